/* SPDX-License-Identifier: Apache-2.0 */
/* The phones: who they are, what they begin, and what their calls must come to. */
#include "simulate/phone.h"

#include <stdlib.h>
#include <string.h>

uint64_t key_of(unsigned device, struct stw_str a, struct stw_str b, struct stw_str c)
{
	uint64_t parts[] = { device, text_hash(a.ptr, a.len), text_hash(b.ptr, b.len),
		text_hash(c.ptr, c.len) };

	return text_hash(parts, sizeof(parts));
}

static bool place_by_name(const struct world *world, const char *host, struct stw_addr *ret)
{
	unsigned a, b, c, d, port = 5060;

	if (sscanf(host, "d%u.example", &a) == 1 && a < NODES) {
		*ret = world->nodes[a].addr;
		return true;
	}
	if (sscanf(host, "p-%u-%u-%u.example", &b, &c, &d) == 3)
		a = 10;
	else if (sscanf(host, "%u.%u.%u.%u:%u", &a, &b, &c, &d, &port) < 4)
		return false;
	*ret = (struct stw_addr){ .family = 4,
		.ip = { (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d },
		.port = (uint16_t)port };
	return true;
}

bool place_of(const struct world *world, struct stw_str uri, struct stw_addr *ret, bool *ret_tcp)
{
	size_t at = stw_str_find(uri, '@', 0);
	struct stw_str transport;
	char host[100];

	at = at < uri.len ? at : stw_str_find(uri, ':', 0);
	snprintf(host, sizeof(host), "%.*s", STW_STR_ARG(stw_str_cut(uri, at + 1, uri.len)));
	if (!place_by_name(world, host, ret))
		return false;
	*ret_tcp = sip_param(uri, "transport", &transport) && sip_is(transport, "tcp");
	return true;
}

struct call *call_of(struct world *world, struct stw_str call_id)
{
	struct keyed *found = keyed_find(&world->call_ids, text_hash(call_id.ptr, call_id.len));
	unsigned index;

	if (!found)
		return NULL;
	memcpy(&index, found + 1, sizeof(index));
	return &world->calls[index];
}

/* ---- registrations --------------------------------------------------------------------------- */

static void register_next(struct world *world, unsigned device, uint64_t delay_ms)
{
	struct happening *happening;

	if (world->quiet)
		return;
	happening = happen(world, DEVICE_REGISTER, delay_ms);
	happening->who = device;
	plan(world, happening);
}

/* Its own Contact, and perhaps that calls go elsewhere besides. */
static void contact_lines(
	struct world *world, const struct device *device, char *buffer, size_t size)
{
	unsigned expires = (unsigned)(60 + below(world, 540));
	int n;

	/* Behind a translator only a registration lets the other side of a call in. */
	if (!device->behind_nat && chance(world, 80))
		expires = 0;
	n = snprintf(buffer, size, "Contact: <%s>;expires=%u;q=0.%llu\r\n", device->contact,
		expires, (unsigned long long)(1 + below(world, 9)));
	if (world->loops && chance(world, 60))
		snprintf(buffer + n, size - (size_t)n,
			"Contact: <sip:u%llu@d%u.example>;expires=30\r\n",
			(unsigned long long)below(world, USERS),
			(device->node + 1 + (unsigned)below(world, NODES - 1)) % NODES);
}

void device_registers(struct world *world, unsigned index)
{
	struct device *device = &world->devices[index];
	struct request request = { .method = "REGISTER", .max_forwards = 70 };

	if (world->quiet || device_is_dead(world, index))
		return;
	snprintf(request.uri, sizeof(request.uri), "sip:d%u.example", device->node);
	snprintf(request.from, sizeof(request.from), "<sip:u%u@d%u.example>;tag=r%u", device->user,
		device->node, index);
	snprintf(request.to, sizeof(request.to), "<sip:u%u@d%u.example>", device->user,
		device->node);
	snprintf(request.call_id, sizeof(request.call_id), "%s", device->register_call_id);
	request.cseq = ++device->register_cseq;
	contact_lines(world, device, request.lines, sizeof(request.lines));
	client_start(world, index, FOR_REGISTER, &request);
}

static unsigned any_device(struct world *world)
{
	unsigned index;

	do {
		index = (unsigned)below(world, DEVICES);
	} while (!world->devices[index].contact[0] || device_is_dead(world, index));
	return index;
}

/* Bytes that are no message of anybody: keep-alives, other protocols, halves; and an ACK or CANCEL
 * of nothing. */
void phones_noise(struct world *world)
{
	static const char *const noise[] = { "\r\n\r\n", "\r\n", "GET / HTTP/1.1\r\n\r\n",
		"SIP/2.0 200 OK\r\n\r\n", "INVITE sip:u1@d1.example SIP/2.0\r\n\r\n", "INVITE" };
	const char *bytes = noise[below(world, STW_ARRAY_SIZE(noise))];
	struct client stray = { .device = any_device(world),
		.request = { .from = "<sip:x@y.example>;tag=1", .cseq = 1, .max_forwards = 70 } };
	const struct device *device = &world->devices[stray.device];
	const struct stw_addr *to = &world->nodes[device->node].addr;
	struct request *request = &stray.request;
	char *text;
	size_t len;

	if (chance(world, 500)) {
		/* On a connection only what is legal between messages: the rest would end it. */
		device_sends(world, stray.device, to, device->tcp, NULL,
			device->tcp ? noise[0] : bytes, strlen(device->tcp ? noise[0] : bytes));
		return;
	}
	snprintf(request->method, sizeof(request->method), "%s",
		chance(world, 500) ? "ACK" : "CANCEL");
	snprintf(request->uri, sizeof(request->uri), "sip:u%llu@d%u.example",
		(unsigned long long)below(world, USERS), device->node);
	snprintf(request->to, sizeof(request->to), "<%s>;tag=nobody", request->uri);
	snprintf(request->call_id, sizeof(request->call_id), "stray-%llu",
		(unsigned long long)++world->serial);
	snprintf(stray.branch, sizeof(stray.branch), "z9hG4bKstray%llu",
		(unsigned long long)++world->serial);
	stray.tcp = device->tcp;
	text = request_text(world, &stray, &len);
	device_sends(world, stray.device, to, device->tcp, NULL, text, len);
	free(text);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* One of the callee's phones is registered and will be for a while. */
bool user_bound(const struct world *world, unsigned id, uint64_t since_ms)
{
	const struct device *device = &world->devices[id * DEVICES_MAX];
	unsigned i;

	for (i = 0; i < DEVICES_MAX; i++, device++) {
		if (device->contact[0] && !device->pending && !device->uncertain &&
			device->lives_ms <= since_ms && device->bound_since_ms <= since_ms &&
			device->bound_until_ms > world->now.wall_ms + 20000)
			return true;
	}
	return false;
}

static bool callee_bound(const struct world *world, const struct call *call)
{
	return user_bound(world, call->node * USERS + call->user, world->now.mono_ms);
}

static void call_uri(struct world *world, struct call *call, struct request *request)
{
	const struct device *device = &world->devices[call->device];
	unsigned other = (unsigned)below(world, NODES);

	call->user = (unsigned)below(world, USERS);
	call->node = chance(world, 500) ? device->node : other;
	snprintf(request->uri, sizeof(request->uri), "sip:u%u@d%u.example", call->user, call->node);
	if (chance(world, 900))
		return;
	call->oracle = call->plain = false;
	switch (below(world, 4)) {
	case 0:
		snprintf(request->uri, sizeof(request->uri), "sip:nobody@d%u.example", call->node);
		break;
	case 1:
		snprintf(request->uri, sizeof(request->uri), "sip:x@unknown.example");
		break;
	case 2:
		snprintf(request->uri, sizeof(request->uri), "sip:d%u.example", call->node);
		break;
	default:
		snprintf(request->routes, sizeof(request->routes),
			"Route: <sip:192.0.2.%u;lr>\r\nRoute: <sip:d%u.example;lr>\r\n",
			100 + device->node, other);
	}
}

static const char *call_method(struct world *world)
{
	static const char *const methods[] = { "MESSAGE", "MESSAGE", "OPTIONS", "SUBSCRIBE",
		"REFER", "PUBLISH", "WHATEVER", "BYE", "PRACK", "INFO", "UPDATE", "NOTIFY" };

	return chance(world, 800) ? "INVITE" : methods[below(world, STW_ARRAY_SIZE(methods))];
}

static void call_odds(struct world *world, struct call *call, struct request *request)
{
	if (chance(world, 30)) {
		request->max_forwards = (unsigned)below(world, 4);
		call->oracle = false;
	} else if (chance(world, 20)) {
		request->max_forwards = 999; /* none */
	}
	if (chance(world, 20)) {
		snprintf(request->lines, sizeof(request->lines), "Max-Breadth: %llu\r\n",
			(unsigned long long)below(world, 4));
		call->oracle = false;
	} else if (chance(world, 15)) {
		snprintf(request->lines, sizeof(request->lines), "Proxy-Require: foo\r\n");
		call->oracle = false;
	} else if (chance(world, 50)) {
		snprintf(request->lines, sizeof(request->lines), "Expires: %llu\r\n",
			(unsigned long long)(1 + below(world, 60)));
		call->oracle = false;
	}
	if (strcmp(request->method, "MESSAGE") == 0 && chance(world, 700))
		request->body_bytes = (unsigned)below(world, chance(world, 900) ? 300 : 1800);
}

void call_start(struct world *world, unsigned number)
{
	struct call *call = &world->calls[number];
	struct request request = { .cseq = (unsigned)(1 + below(world, 100000)),
		.max_forwards = 70 };
	struct keyed *keyed = must_alloc(sizeof(*keyed) + sizeof(number));
	const struct device *device;
	struct happening *cancel;
	struct client *client;

	call->device = any_device(world);
	device = &world->devices[call->device];
	call->oracle = call->plain = !device->wrong_password;
	call->group = -1;
	call->began_ms = world->now.mono_ms;
	snprintf(call->call_id, sizeof(call->call_id), "c%u-%llx@p%u", number,
		(unsigned long long)below(world, 1u << 20), call->device);
	memcpy(keyed + 1, &number, sizeof(number));
	keyed_add(&world->call_ids, text_hash(call->call_id, strlen(call->call_id)), keyed);
	snprintf(request.method, sizeof(request.method), "%s", call_method(world));
	call_uri(world, call, &request);
	call->plain = call->plain && strcmp(request.method, "INVITE") == 0;
	service_call(world, call, request.uri, sizeof(request.uri));
	queue_call(world, call, request.uri, sizeof(request.uri));
	call_odds(world, call, &request);
	queue_lines(world, call, request.lines, sizeof(request.lines));
	snprintf(request.from, sizeof(request.from), "%s<sip:u%u@d%u.example>;tag=f%u",
		chance(world, 100) ? "\"A, \\\"b\\\"; <c>\" " : "", device->user, device->node,
		number);
	snprintf(request.to, sizeof(request.to), "<%s>", request.uri);
	snprintf(request.call_id, sizeof(request.call_id), "%s", call->call_id);
	call->plain = call->plain && call->oracle && !device->pending;
	call->oracle = call->oracle && world->calm && !device->pending &&
		       strcmp(request.method, "INVITE") == 0 && call->group < 0 &&
		       call->queue < 0 && service_plain(world, call->node * USERS + call->user) &&
		       callee_bound(world, call);
	client = client_start(world, call->device, FOR_CALL, &request);
	client->call = call;
	if (strcmp(request.method, "INVITE") != 0 || !chance(world, 200))
		return;
	call->oracle = call->plain = false;
	cancel = happen(world, CALL_CANCEL, below(world, chance(world, 700) ? 3000 : 60000));
	cancel->key = client->keyed.key;
	plan(world, cancel);
}

/* ---- what they come to ------------------------------------------------------------------------
 */

/* In a calm world it is known what must come out. */
static void call_check(struct world *world, const struct call *call, unsigned code)
{
	struct stw_str call_id = stw_str_from(call->call_id);
	unsigned i;

	if (!world->calm || call->died)
		return;
	if (call->successes && !call->cancelled && code / 100 != 2)
		wrong(world, call_id, "a phone has answered, and the caller gets %u", code);
	service_final(world, call, code);
	if (!call->oracle || world->loops)
		return;
	if (!call->reached && callee_bound(world, call) && code != 408)
		wrong(world, call_id,
			"u%u@d%u.example is registered, no phone rang, and the caller gets %u",
			call->user, call->node, code);
	for (i = 0; i < call->code_count && !call->successes && code / 100 != 2; i++) {
		if (call->codes[i] / 100 == 6 && code / 100 != 6)
			wrong(world, call_id, "a phone has said %u, and the caller gets %u",
				call->codes[i], code);
	}
}

/* What no fault of the server makes of a request within a dialog, in a calm world. */
static bool dialog_may_get(const struct world *world, const struct client *client, unsigned code)
{
	if (code == 481 || code == 408 || strstr(client->request.uri, "@172.16."))
		return true;
	/* Nobody registers any more at the end: an idle connection is closed meanwhile, and it may
	 * have been the only way to the phone (use_source: always). */
	return (code == 0 && world->phones_die) || (code == 480 && world->quiet);
}

void phone_final(struct world *world, struct client *client, unsigned code, const struct sip *sip)
{
	struct device *device = &world->devices[client->device];
	struct call *call = client->call;

	if (client->purpose == FOR_REGISTER) {
		world->result->registrations += code == 200;
		register_next(world, client->device,
			code == 200 ? 1000 + below(world, 40000) : 2000 + below(world, 10000));
		/* Who has hung and lives again may have two under way: they overtake one another.
		 */
		if (world->calm && code / 100 != 2 && !device->wrong_password &&
			!(code == 500 && device->lives_ms))
			wrong(world, stw_str_from(client->request.call_id),
				"a REGISTER is refused with %u", code);
	} else if (client->purpose == FOR_CALL && call && !call->over) {
		call->over = true;
		call->final = code;
		if (strcmp(client->request.method, "INVITE") == 0)
			call_check(world, call, code);
	} else if (client->purpose == FOR_DIALOG && world->calm && code / 100 != 2 &&
		   !dialog_may_get(world, client, code)) {
		wrong(world, stw_str_from(client->request.call_id), "%u to a %s in a dialog", code,
			client->request.method);
	}
}

void device_gets(struct world *world, const struct happening *happening)
{
	struct stw_str text = { happening->data, happening->len };
	struct sip sip;

	if (device_is_dead(world, happening->who)) {
		struct call *call = sip_read(text, &sip) ? call_of(world, sip.call_id) : NULL;

		if (call)
			call->died = true;
		return;
	}
	if (!sip_read(text, &sip)) {
		if (text.len > 4 && strict(world))
			wrong(world, STW_STR_NONE, "a phone gets what it cannot read: %.*s",
				(int)(text.len < 200 ? text.len : 200), text.ptr);
		return;
	}
	if (!sip_is(sip.method, "REGISTER"))
		world->devices[happening->who].call_ms = world->now.mono_ms;
	if (sip.request)
		server_gets(world, happening->who, happening, &sip);
	else
		client_gets(world, &sip);
}

/* ---- how they die -----------------------------------------------------------------------------
 */

bool device_is_dead(const struct world *world, unsigned device)
{
	return world->now.mono_ms < world->devices[device].lives_ms;
}

/* What the keys of a table lead to; @return false: not of this phone */
static bool forget_client(struct world *world, unsigned device, struct keyed *keyed)
{
	struct client *client = (struct client *)keyed;

	if (client->device != device)
		return false;
	if (client->call)
		client->call->died = true;
	keyed_remove(&world->clients, keyed);
	client_free(client);
	return true;
}

static bool forget_server(struct world *world, unsigned device, struct keyed *keyed)
{
	struct server *server = (struct server *)keyed;

	if (server->device != device)
		return false;
	if (server->call)
		server->call->died = true;
	keyed_remove(&world->servers, keyed);
	server_free(server);
	return true;
}

static void forget(struct world *world, struct keyed_table *table, unsigned device,
	bool (*forgets)(struct world *world, unsigned device, struct keyed *keyed))
{
	for (size_t i = 0; i < table->capacity; i++) {
		struct keyed *keyed = table->buckets[i], *next;

		for (; keyed; keyed = next) {
			next = keyed->next;
			forgets(world, device, keyed);
		}
	}
}

void device_dies(struct world *world, unsigned index, uint64_t ms)
{
	struct device *device = &world->devices[index];

	if (device_is_dead(world, index))
		return;
	trace_line(world, STW_STR_NONE, "%s.%u hangs for %llu ms", device->name, device->number,
		(unsigned long long)ms);
	device->died_ms = world->now.mono_ms;
	device->lives_ms = world->now.mono_ms + ms;
	forget(world, &world->clients, index, forget_client);
	forget(world, &world->servers, index, forget_server);
	device->invites = device->dialogs = 0;
	for (unsigned i = 0; i < world->options->calls; i++)
		world->calls[i].died |= world->calls[i].device == index && !world->calls[i].over;
	register_next(world, index, ms + 1);
}

/* ---- who they are ---------------------------------------------------------------------------- */

static void device_make(struct world *world, unsigned index)
{
	struct device *device = &world->devices[index];
	bool by_name = chance(world, 100);

	device->index = index;
	device->number = index % DEVICES_MAX;
	device->user = index / DEVICES_MAX % USERS;
	device->node = index / DEVICES_MAX / USERS;
	if (device->number && chance(world, 500))
		return;
	device->tcp = chance(world, 300);
	device->behind_nat = !device->tcp && chance(world, 150);
	device->wrong_password = !device->behind_nat && chance(world, 40);
	device->addr = (struct stw_addr){ .family = 4,
		.ip = { 10, (uint8_t)device->node, (uint8_t)device->user, (uint8_t)device->number },
		.port = (uint16_t)(device->behind_nat ? 30000 + index : 5060) };
	snprintf(device->name, sizeof(device->name), "u%u@d%u", device->user, device->node);
	snprintf(device->register_call_id, sizeof(device->register_call_id), "register-%u", index);
	if (device->behind_nat)
		snprintf(device->contact, sizeof(device->contact), "sip:u%u@172.16.%u.9:5060",
			device->user, device->number);
	else
		snprintf(device->contact, sizeof(device->contact),
			by_name ? "sip:u%u@p-%u-%u-%u.example%s" : "sip:u%u@10.%u.%u.%u:5060%s",
			device->user, device->node, device->user, device->number,
			device->tcp ? ";transport=tcp" : "");
	register_next(world, index, below(world, 10000));
}

void phones_begin(struct world *world)
{
	unsigned i;

	for (i = 0; i < DEVICES; i++)
		device_make(world, i);
}

void phones_end(struct world *world)
{
	keyed_done(&world->clients, client_free);
	keyed_done(&world->servers, server_free);
	keyed_done(&world->dialogs, free);
	keyed_done(&world->call_ids, free);
}
