/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network between servers and phones: datagrams that are lost, repeated and late, connections
 * that keep their order and break, names, and endpoints that cannot reach one another for a while.
 */
#include "simulate/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_NONE CONNECTIONS

uint64_t network_ms(struct world *world)
{
	return 1 + (chance(world, 800) ? below(world, 40) : below(world, world->jitter_ms));
}

unsigned node_at(const struct world *world, const struct stw_addr *addr)
{
	unsigned i = 0;

	while (i < NODES && !stw_addr_same_ip(&world->nodes[i].addr, addr))
		i++;
	return i;
}

unsigned device_at(const struct world *world, const struct stw_addr *addr)
{
	unsigned node = addr->ip[1], user = addr->ip[2], number = addr->ip[3], index;

	if (addr->family != 4 || addr->ip[0] != 10 || node >= NODES || user >= USERS ||
		number >= DEVICES_MAX)
		return DEVICES;
	index = (node * USERS + user) * DEVICES_MAX + number;
	return world->devices[index].contact[0] ? index : DEVICES;
}

static unsigned endpoint_at(const struct world *world, const struct stw_addr *addr)
{
	unsigned node = node_at(world, addr), device = device_at(world, addr);

	if (node < NODES)
		return node;
	return device < DEVICES ? NODES + world->devices[device].node : ENDPOINTS;
}

bool network_cut(const struct world *world, unsigned a, unsigned b)
{
	return a < ENDPOINTS && b < ENDPOINTS && world->cut_until_ms[a][b] > world->now.mono_ms;
}

/* ---- datagrams ------------------------------------------------------------------------------- */

static void datagram_arrives(struct world *world, const struct stw_addr *from,
	const struct stw_addr *to, const char *data, size_t len)
{
	unsigned node = node_at(world, to), device = device_at(world, to);
	struct happening *happening;

	if (node == NODES && device == DEVICES)
		return;
	/* A translator lets in what comes to the port it has given. */
	if (node == NODES && world->devices[device].addr.port != to->port)
		return;
	happening = happen(world, node < NODES ? NODE_DATAGRAM : DEVICE_MESSAGE, network_ms(world));
	happening->who = node < NODES ? node : device;
	happening->hop =
		(struct stw_hop){ .transport = STW_TRANSPORT_UDP, .remote = *from, .local = *to };
	happening->data = must_copy(data, len);
	happening->len = len;
	plan(world, happening);
}

/* A host that is there but nobody listens says so, now and then. */
static void datagram_refused(struct world *world, const struct stw_addr *from,
	const struct stw_addr *to, struct stw_str text)
{
	unsigned node = node_at(world, from);
	struct happening *happening;

	if (node == NODES || !chance(world, 500))
		return;
	happening = happen(world, NODE_SEND_FAILED, below(world, 50));
	happening->who = node;
	happening->boot = world->nodes[node].boots;
	happening->hop =
		(struct stw_hop){ .transport = STW_TRANSPORT_UDP, .remote = *to, .local = *from };
	happening->error = ECONNREFUSED;
	happening->data = must_copy(text.ptr, text.len);
	happening->len = text.len;
	plan(world, happening);
}

void network_datagram(struct world *world, const struct stw_addr *from, const struct stw_addr *to,
	const char *data, size_t len)
{
	unsigned copies = 1 + chance(world, world->repeat), node = node_at(world, to);
	struct stw_str text = { data, len };

	if (network_cut(world, endpoint_at(world, from), endpoint_at(world, to))) {
		trace_message(world, from, to, text, "apart");
		return;
	}
	if (chance(world, world->loss)) {
		world->result->lost++;
		trace_message(world, from, to, text, "lost");
		return;
	}
	if (node < NODES && !world->nodes[node].up) {
		trace_message(world, from, to, text, "nobody there");
		datagram_refused(world, from, to, text);
		return;
	}
	trace_message(world, from, to, text, copies > 1 ? "twice" : "");
	for (; copies; copies--)
		datagram_arrives(world, from, to, data, len);
}

/* ---- connections ----------------------------------------------------------------------------- */

static struct stw_flow_id flow_id(
	const struct world *world, const struct connection *connection, unsigned side)
{
	unsigned slot = (unsigned)(connection - world->connections);

	return (struct stw_flow_id){ .slot = 2 * slot + side,
		.generation = connection->generation };
}

static struct connection *connection_of(
	struct world *world, struct stw_flow_id id, unsigned *ret_side)
{
	struct connection *connection;

	if (!id.generation || id.slot >= 2 * CONNECTIONS)
		return NULL;
	connection = &world->connections[id.slot / 2];
	*ret_side = id.slot % 2;
	return connection->generation == id.generation ? connection : NULL;
}

static struct connection *connection_new(struct world *world)
{
	unsigned slot = 0;

	while (slot < CONNECTIONS && (world->connections[slot].sides[0].kind != NOBODY ||
					     world->connections[slot].sides[1].kind != NOBODY))
		slot++;
	if (slot == SLOT_NONE)
		return NULL;
	world->connections[slot] =
		(struct connection){ .generation = world->connections[slot].generation + 1 };
	return &world->connections[slot];
}

static void side_set(struct world *world, struct connection *connection, unsigned which,
	const struct stw_addr *local, const struct stw_addr *remote)
{
	unsigned node = node_at(world, local);
	struct side *side = &connection->sides[which];

	*side = (struct side){ .kind = node < NODES ? A_NODE : A_DEVICE,
		.who = node < NODES ? node : device_at(world, local),
		.boot = node < NODES ? world->nodes[node].boots : 0,
		.in_ms = world->now.mono_ms,
		.hop = { .transport = STW_TRANSPORT_TCP,
			.remote = *remote,
			.local = *local,
			.listener = 1,
			.flow = flow_id(world, connection, which) } };
}

/* Something that reaches this side, behind what is on its way already. */
static struct happening *side_event(struct world *world, struct connection *connection,
	unsigned which, enum happening_kind kind, uint64_t delay_ms)
{
	struct side *side = &connection->sides[which];
	struct happening *happening;

	if (side->kind == A_DEVICE)
		kind = kind == NODE_CLOSED ? DEVICE_CLOSED : DEVICE_MESSAGE;
	happening = happen(world, kind, delay_ms);
	happening->who = side->who;
	happening->boot = side->boot;
	happening->hop = side->hop;
	if (happening->due_ms < side->in_ms)
		happening->due_ms = side->in_ms;
	side->in_ms = happening->due_ms;
	return happening;
}

static void side_closes(
	struct world *world, struct connection *connection, unsigned which, int error, uint64_t ms)
{
	struct happening *happening;

	if (connection->sides[which].kind == NOBODY)
		return;
	happening = side_event(world, connection, which, NODE_CLOSED, ms);
	happening->error = error;
	plan(world, happening);
}

bool network_arrives(struct world *world, struct happening *happening)
{
	unsigned which;
	struct connection *connection;
	struct side *side;

	if (happening->hop.transport != STW_TRANSPORT_TCP)
		return true;
	connection = connection_of(world, happening->hop.flow, &which);
	if (!connection || connection->sides[which].kind == NOBODY)
		return false;
	side = &connection->sides[which];
	if (happening->kind == NODE_OPENED)
		side->open = true;
	if (happening->kind == NODE_CLOSED || happening->kind == DEVICE_CLOSED) {
		if (side->kind == A_NODE)
			rules_flow_gone(&world->nodes[side->who], side->hop.flow);
		side->kind = NOBODY;
	}
	return true;
}

/* In one to three pieces, the last of which knows what was sent. A partition holds them up. */
static void bytes_go(struct world *world, struct connection *connection, unsigned to,
	const char *data, size_t len)
{
	struct side *side = &connection->sides[to], *other = &connection->sides[1 - to];
	unsigned a = endpoint_at(world, &side->hop.local);
	unsigned b = endpoint_at(world, &other->hop.local);
	bool pieces = side->kind == A_NODE;
	struct happening *happening;
	size_t at = 0, bytes;

	if (side->kind == NOBODY)
		return;
	trace_message(world, &other->hop.local, &side->hop.local, (struct stw_str){ data, len },
		network_cut(world, a, b) ? "held up" : "");
	if (network_cut(world, a, b) && side->in_ms < world->cut_until_ms[a][b])
		side->in_ms = world->cut_until_ms[a][b];
	while (at < len) {
		happening = side_event(world, connection, to, NODE_BYTES, network_ms(world));
		bytes = !pieces || chance(world, 700) ? len - at : 1 + below(world, len - at);
		happening->data = must_copy(data + at, bytes);
		happening->len = bytes;
		at += bytes;
		if (at == len) {
			happening->whole = must_copy(data, len);
			happening->whole_len = len;
		}
		plan(world, happening);
	}
}

/* From one address to another. @return its side 0; NULL: no room, or it is refused now */
static struct connection *connection_open(
	struct world *world, const struct stw_addr *from, const struct stw_addr *to)
{
	unsigned node = node_at(world, to), device = device_at(world, to);
	unsigned a = endpoint_at(world, from), b = endpoint_at(world, to);
	struct connection *connection = connection_new(world);
	struct happening *opened;

	if (!connection)
		return NULL;
	side_set(world, connection, 0, from, to);
	if (network_cut(world, a, b) || (node == NODES && device == DEVICES)) {
		side_closes(world, connection, 0, ETIMEDOUT, 4000);
		return connection;
	}
	if ((node < NODES && !world->nodes[node].up) || (!world->calm && chance(world, 30))) {
		side_closes(world, connection, 0, ECONNREFUSED, 1 + below(world, 50));
		return connection;
	}
	side_set(world, connection, 1, to, from);
	/* What is sent before the connection stands goes when it does. */
	if (connection->sides[0].kind == A_NODE) {
		opened = side_event(world, connection, 0, NODE_OPENED, 2 + 2 * network_ms(world));
		connection->sides[1].in_ms = opened->due_ms;
		plan(world, opened);
	} else {
		connection->sides[0].open = true;
	}
	if (connection->sides[1].kind == A_NODE) {
		opened = side_event(world, connection, 1, NODE_OPENED, network_ms(world));
		opened->number = 1;
		plan(world, opened);
	} else {
		connection->sides[1].open = true;
	}
	return connection;
}

void network_stream(struct world *world, unsigned device, const struct stw_addr *to,
	const struct stw_hop *flow, const char *data, size_t len)
{
	struct connection *connection = NULL;
	struct stw_addr from = world->devices[device].addr;
	unsigned i, side = 0;

	if (flow)
		connection = connection_of(world, flow->flow, &side);
	for (i = 0; i < CONNECTIONS && !connection; i++) {
		struct connection *at = &world->connections[i];

		for (side = 0; side < 2; side++) {
			if (at->sides[side].kind == A_DEVICE && at->sides[side].who == device &&
				at->sides[1 - side].kind != NOBODY &&
				stw_addr_same_ip(&at->sides[side].hop.remote, to)) {
				connection = at;
				break;
			}
		}
	}
	if (!connection || connection->sides[side].kind == NOBODY) {
		from.port = (uint16_t)(20000 + below(world, 40000));
		connection = connection_open(world, &from, to);
		side = 0;
	}
	if (connection)
		bytes_go(world, connection, 1 - side, data, len);
}

void network_node_lost(struct node *node)
{
	struct world *world = node->world;
	unsigned i, side;

	for (i = 0; i < CONNECTIONS; i++) {
		for (side = 0; side < 2; side++) {
			struct connection *at = &world->connections[i];

			if (at->sides[side].kind != A_NODE || at->sides[side].who != node->index)
				continue;
			at->sides[side].kind = NOBODY;
			side_closes(world, at, 1 - side, ECONNRESET, network_ms(world));
		}
	}
}

void network_break(struct world *world)
{
	struct connection *connection = &world->connections[below(world, CONNECTIONS)];
	unsigned tries = CONNECTIONS;

	while (tries-- && connection->sides[0].kind == NOBODY)
		connection = &world->connections[below(world, CONNECTIONS)];
	trace_line(world, STW_STR_NONE, "a connection breaks");
	side_closes(world, connection, 0, chance(world, 500) ? 0 : ECONNRESET, network_ms(world));
	side_closes(world, connection, 1, chance(world, 500) ? 0 : ECONNRESET, network_ms(world));
}

unsigned network_open_count(const struct node *node)
{
	const struct connection *connections = node->world->connections;
	unsigned i, n = 0;

	for (i = 0; i < 2 * CONNECTIONS; i++) {
		const struct side *side = &connections[i / 2].sides[i % 2];

		n += side->kind == A_NODE && side->who == node->index;
	}
	return n;
}

/* ---- the world as a node asks it --------------------------------------------------------------
 */

static int ops_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	struct node *node = io;
	struct world *world = node->world;
	size_t len = stw_slices_bytes(slices);
	struct connection *connection;
	unsigned side = 0;
	char *data;
	int err = 0;

	if (!node->up)
		return 0;
	data = must_alloc(len + 1);
	stw_slices_flatten(slices, data);
	rules_out(node, (struct stw_str){ data, len }, hop);
	if (hop->transport == STW_TRANSPORT_UDP) {
		network_datagram(world, &node->addr, &hop->remote, data, len);
	} else {
		connection = connection_of(world, hop->flow, &side);
		if (!connection || connection->sides[side].kind == NOBODY) {
			err = -ENOTCONN;
		} else if (world->breaks && chance(world, 2)) {
			side_closes(world, connection, side, ENOBUFS, 1);
			err = -ENOBUFS;
		} else {
			bytes_go(world, connection, 1 - side, data, len);
		}
	}
	free(data);
	return err;
}

static int ops_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	struct node *node = io;
	struct world *world = node->world;
	struct stw_addr from = node->addr;
	struct connection *connection;

	if (!world->calm && chance(world, 10))
		return -ENETUNREACH;
	from.port = (uint16_t)(20000 + below(world, 40000));
	connection = connection_open(world, &from, &hop->remote);
	if (!connection)
		return -ENOBUFS;
	*ret = connection->sides[0].hop.flow;
	return 0;
}

static void ops_close(void *io, struct stw_flow_id id)
{
	struct node *node = io;
	unsigned side = 0;
	struct connection *connection = connection_of(node->world, id, &side);

	if (!connection || !node->up || connection->sides[side].kind == NOBODY)
		return;
	connection->sides[side].kind = NOBODY;
	rules_flow_gone(node, id);
	side_closes(node->world, connection, 1 - side, 0, network_ms(node->world));
}

static void answer_addr(struct happening *answer, struct stw_addr addr)
{
	answer->records[0].addr = addr;
	answer->records[0].addr.port = 0;
	answer->answer.n = 1;
}

static void answer_target(
	struct happening *answer, struct stw_dns_record record, unsigned server, const char *before)
{
	unsigned i = answer->answer.n++;

	snprintf(answer->names[i], sizeof(answer->names[i]), "%s%u.example", before, server);
	record.target = stw_str_from(answer->names[i]);
	record.port = 5060;
	answer->records[i] = record;
}

/* p-1-2-0.example is a phone; d1.example the domain of server1, whose host is n1.example. */
static void name_addresses(struct world *world, const char *name, struct happening *answer)
{
	unsigned a, b, c;

	if (sscanf(name, "p-%u-%u-%u.example", &a, &b, &c) == 3 && a < NODES && b < USERS &&
		c < DEVICES_MAX)
		answer_addr(answer, (struct stw_addr){ .family = 4,
					    .ip = { 10, (uint8_t)a, (uint8_t)b, (uint8_t)c } });
	else if ((sscanf(name, "d%u.example", &a) == 1 || sscanf(name, "n%u.example", &a) == 1) &&
		 a < NODES)
		answer_addr(answer, world->nodes[a].addr);
}

static void name_services(
	struct world *world, const char *name, unsigned type, struct happening *answer)
{
	struct stw_dns_record udp = {
		.priority = 1, .terminal_srv = true, .service = STW_STR("SIP+D2U")
	};
	struct stw_dns_record tcp = {
		.priority = 2, .terminal_srv = true, .service = STW_STR("SIP+D2T")
	};
	char protocol[4];
	unsigned a;

	if (type == STW_DNS_SRV && world->srv &&
		sscanf(name, "_sip._%3[a-z].d%u.example", protocol, &a) == 2 && a < NODES)
		answer_target(answer, (struct stw_dns_record){ .weight = 1 }, a, "n");
	else if (type == STW_DNS_NAPTR && world->naptr && sscanf(name, "d%u.example", &a) == 1 &&
		 a < NODES) {
		answer_target(answer, udp, a, "_sip._udp.d");
		answer_target(answer, tcp, a, "_sip._tcp.d");
	}
}

static int ops_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	struct node *node = io;
	struct world *world = node->world;
	struct happening *answer;
	char text[128];

	if (world->slow_names && chance(world, 20))
		return -ENOBUFS;
	snprintf(text, sizeof(text), "%.*s", STW_STR_ARG(name));
	answer = happen(world, NODE_RESOLVED,
		1 + below(world, world->slow_names && chance(world, 200) ? 5000 : 30));
	answer->who = node->index;
	answer->boot = node->boots;
	answer->key = query;
	answer->answer = (struct stw_dns_answer){ .ttl_s = (uint32_t)below(world, 60),
		.records = answer->records };
	if (type == STW_DNS_A)
		name_addresses(world, text, answer);
	else
		name_services(world, text, type, answer);
	if (world->slow_names && chance(world, 100))
		answer->answer.error = chance(world, 500) ? -ETIMEDOUT : -EIO;
	else if (!answer->answer.n)
		answer->answer.error = -ENOENT;
	if (answer->answer.error)
		answer->answer.n = 0;
	plan(world, answer);
	return 0;
}

const struct stw_io_ops network_ops = {
	.send = ops_send, .open = ops_open, .close = ops_close, .resolve = ops_resolve
};
