/* SPDX-License-Identifier: Apache-2.0 */
/* Time, network and names: the io of the core without a socket, a clock or a sleep. */
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/rcu.h>

#define ANSWER_MS 4000 /* of a name server or a host that does not answer */
#define STEPS_MAX 100000

/* ---- parties ---------------------------------------------------------------------- */

struct party *party_find(struct scenario *s, struct stw_str name)
{
	struct party *party = s->parties;

	while (party && !stw_str_equal(party->name, name))
		party = party->next;
	return party;
}

struct party *party_add(struct scenario *s, const char *name, const char *addr, bool user)
{
	struct party *party = make(s, sizeof(*party));

	party->name = party->password = keep(s, stw_str_from(name));
	if (address_read(stw_str_from(addr), &party->addr) < 0) {
		fail(s, "%s: \"%s\" is no address", name, addr);
		return NULL;
	}
	party->user = user;
	party->pending_end = &party->pending;
	party->next = s->parties;
	s->parties = party;
	return party;
}

void world_parties(struct scenario *s)
{
	static const struct {
		const char *name, *addr;
		bool user;
	} rows[] = {
		{ "alice", "192.0.2.1", true },
		{ "bob", "192.0.2.2", true },
		{ "carol", "192.0.2.3", true },
		{ "dave", "192.0.2.4", true },
		{ "p1", "192.0.2.11", false },
		{ "p2", "192.0.2.12", false },
		{ "p3", "192.0.2.13", false },
		{ "p4", "192.0.2.14", false },
		{ "mallory", "203.0.113.66", false },
	};
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(rows); i++)
		party_add(s, rows[i].name, rows[i].addr, rows[i].user);
	s->nobody = party_add(s, "nobody", "192.0.2.255", false);
}

static struct party *party_at(struct scenario *s, const struct stw_addr *addr)
{
	struct party *party = s->parties;

	while (party && !stw_addr_equal(&party->addr, addr))
		party = party->next;
	return party ? party : s->nobody;
}

/* ---- messages -------------------------------------------------------------------------- */

struct message *message_new(struct scenario *s, struct party *party, struct stw_str text)
{
	struct message *message = make(s, sizeof(*message));
	struct stw_fault fault;

	message->party = party;
	message->text = text;
	message->at_ms = s->now.mono_ms;
	message->order = ++s->order;
	message->msg.fields = make(s, STW_MSG_FIELDS_MAX * sizeof(*message->msg.fields));
	message->msg.field_capacity = STW_MSG_FIELDS_MAX;
	message->parsed = stw_msg_parse(&message->msg, text.ptr, text.len, NULL, &fault) == 0;
	message->well_formed = stw_msg_check(&message->msg, &fault) == 0 && message->parsed;
	return message;
}

static struct message *party_gets(
	struct scenario *s, struct party *party, struct stw_str text, const struct stw_hop *hop)
{
	struct message *message = message_new(s, party, text);

	message->from_server = true;
	message->hop = *hop;
	if (party->silent)
		return message;
	*party->pending_end = message;
	party->pending_end = &message->next;
	return message;
}

static struct happening *happen(
	struct scenario *s, unsigned worker, uint64_t delay_ms, enum stw_io_event_kind kind)
{
	struct happening *happening = make(s, sizeof(*happening)), **at = &s->happenings;

	happening->due_ms = s->now.mono_ms + delay_ms;
	happening->worker = worker;
	happening->event.kind = kind;
	while (*at && (*at)->due_ms <= happening->due_ms)
		at = &(*at)->next;
	happening->next = *at;
	*at = happening;
	return happening;
}

/* ---- what the core asks of the world ------------------------------------------------------- */

static struct sim_flow *flow_find(struct scenario *s, struct stw_flow_id id)
{
	return id.generation && id.slot < FLOWS_MAX ? &s->flows[id.slot] : NULL;
}

/* As the kernel does with SO_REUSEPORT: an address of a peer always reaches the same worker. */
static unsigned worker_of(const struct scenario *s, const struct stw_addr *remote)
{
	unsigned sum = remote->port;

	for (size_t i = 0; i < sizeof(remote->ip); i++)
		sum += remote->ip[i];
	return sum % s->worker_count;
}

static int ops_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	const struct worker *worker = io;
	struct scenario *s = worker->s;
	size_t bytes = stw_slices_bytes(slices);
	char *buffer = make(s, bytes + 1);
	struct sim_flow *flow = NULL;
	struct party *party;
	struct message *message;

	stw_slices_flatten(slices, buffer);
	if (stw_transport_reliable(hop->transport)) {
		flow = flow_find(s, hop->flow);
		if (flow && hop->flow.worker != worker->index)
			fail(s, "worker %u sends on a connection of worker %u", worker->index,
				hop->flow.worker);
		if (!flow || flow->state == FLOW_CLOSED || flow->state == FLOW_FREE)
			return -ENOTCONN;
	}
	party = flow ? flow->party : party_at(s, &hop->remote);
	if (flow && flow->state == FLOW_OPENING && (party->connect_fails || party->connect_hangs))
		return 0;
	if (!flow && party->unreachable) {
		/* ICMP names the peer, not the socket that sent. */
		struct happening *refused =
			happen(s, worker_of(s, &hop->remote), 0, STW_IO_SEND_FAILED);

		refused->event.hop = *hop;
		refused->event.error = party->unreachable;
		refused->event.data = buffer;
		refused->event.len = party->unquoted ? 0 : bytes;
		tell(s, "server -x %.*s  (unreachable)", STW_STR_ARG(party->name));
		return 0;
	}
	message = party_gets(s, party, (struct stw_str){ buffer, bytes }, hop);
	if (flow && bytes == 2)
		message->kind = MESSAGE_PONG;
	tell(s, "server -> %.*s  %.*s%s", STW_STR_ARG(party->name),
		STW_STR_ARG(message_title(s, message)), flow ? "  via tcp" : "");
	return 0;
}

static struct sim_flow *flow_new(
	struct scenario *s, unsigned worker, struct party *party, struct stw_hop *hop)
{
	uint32_t slot = 0;

	while (slot < FLOWS_MAX && s->flows[slot].state != FLOW_FREE)
		slot++;
	if (slot == FLOWS_MAX)
		return NULL;
	hop->flow =
		(struct stw_flow_id){ .worker = (uint16_t)worker, .slot = slot, .generation = 1 };
	s->flows[slot] = (struct sim_flow){ FLOW_OPENING, *hop, party };
	return &s->flows[slot];
}

static int ops_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	const struct worker *worker = io;
	struct scenario *s = worker->s;
	struct stw_hop own = *hop;
	struct party *party = party_at(s, &hop->remote);
	struct sim_flow *flow = flow_new(s, worker->index, party, &own);
	struct happening *answer;
	bool fails = party == s->nobody || party->connect_fails || party->connect_hangs;

	if (!flow)
		return -ENOBUFS;
	tell(s, "server connects to %.*s%s", STW_STR_ARG(party->name), fails ? "  (fails)" : "");
	answer = happen(s, worker->index, party->connect_hangs ? ANSWER_MS : 0,
		fails ? STW_IO_CLOSED : STW_IO_OPENED);
	answer->event.hop = own;
	if (fails)
		answer->event.error = party->connect_hangs ? ETIMEDOUT : ECONNREFUSED;
	*ret = own.flow;
	return 0;
}

static void ops_close(void *io, struct stw_flow_id id)
{
	const struct worker *worker = io;
	struct scenario *s = worker->s;
	struct sim_flow *flow = flow_find(s, id);

	if (!flow || flow->state == FLOW_CLOSED)
		return;
	if (id.worker != worker->index)
		fail(s, "worker %u closes a connection of worker %u", worker->index, id.worker);
	flow->state = FLOW_CLOSED;
	party_gets(s, flow->party, STW_STR(""), &flow->hop)->kind = MESSAGE_CLOSED;
	tell(s, "server closes the connection of %.*s", STW_STR_ARG(flow->party->name));
}

static int ops_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	const struct worker *worker = io;
	struct scenario *s = worker->s;
	const struct dns_entry *entry = s->names;
	struct happening *answer;

	while (entry && !(entry->type == (enum stw_dns_type)type &&
				stw_str_equal_nocase(entry->name, name)))
		entry = entry->next;
	answer = happen(s, worker->index,
		entry && entry->answer.error == -ETIMEDOUT ? ANSWER_MS : 0, STW_IO_RESOLVED);
	answer->event.query = query;
	answer->answer =
		entry ? entry->answer
		      : (struct stw_dns_answer){ .error = -ENOENT, .ttl_s = STW_DNS_NEGATIVE_S };
	answer->event.answer = &answer->answer;
	s->questions++;
	tell(s, "server asks for %s of %.*s", stw_dns_type_name((enum stw_dns_type)type),
		STW_STR_ARG(name));
	return 0;
}

const struct stw_io_ops world_ops = {
	.send = ops_send, .open = ops_open, .close = ops_close, .resolve = ops_resolve
};

/* ---- what the parties do ----------------------------------------------------------------------
 */

static int listener_hop(
	struct scenario *s, struct party *party, enum stw_transport transport, struct stw_hop *ret)
{
	int index = stw_listener_for(&s->listeners, transport, &party->addr, -1);

	if (index < 0)
		return fail(s, "the server has no listener that %.*s can reach",
			STW_STR_ARG(party->name));
	*ret = (struct stw_hop){ .transport = transport,
		.remote = party->addr,
		.listener = (uint16_t)index,
		.local = s->listeners.v[index].bind };
	return 0;
}

static struct sim_flow *party_flow(struct scenario *s, struct party *party)
{
	struct happening *opened;
	struct sim_flow *flow;
	struct stw_hop hop;
	unsigned i;

	for (i = 0; i < FLOWS_MAX; i++) {
		if (s->flows[i].party == party &&
			(s->flows[i].state == FLOW_OPEN || s->flows[i].state == FLOW_OPENING))
			return &s->flows[i];
	}
	if (listener_hop(s, party, STW_TRANSPORT_TCP, &hop) < 0)
		return NULL;
	hop.remote.port = (uint16_t)(40000 + s->order % 20000);
	flow = flow_new(s, worker_of(s, &hop.remote), party, &hop);
	if (!flow) {
		fail(s, "more than %d connections", FLOWS_MAX);
		return NULL;
	}
	opened = happen(s, hop.flow.worker, 0, STW_IO_OPENED);
	opened->event.hop = hop;
	opened->event.incoming = true;
	return flow;
}

int world_bytes(struct scenario *s, struct party *party, struct stw_str bytes)
{
	struct sim_flow *flow = party_flow(s, party);
	struct happening *happening;

	if (!flow)
		return -1;
	happening = happen(s, flow->hop.flow.worker, 0, STW_IO_BYTES);
	happening->event.waited_us = s->waits_us;
	happening->event.queue_stands = s->waits_us > 0;
	happening->event.hop = flow->hop;
	happening->event.data = bytes.ptr;
	happening->event.len = bytes.len;
	return world_settle(s);
}

int world_send(
	struct scenario *s, struct party *party, bool reliable, const struct message *message)
{
	struct happening *happening;
	struct stw_hop hop;

	if (reliable)
		return world_bytes(s, party, message->text);
	if (listener_hop(s, party, STW_TRANSPORT_UDP, &hop) < 0)
		return -1;
	happening = happen(s, worker_of(s, &hop.remote), 0, STW_IO_DATAGRAM);
	happening->event.waited_us = s->waits_us;
	happening->event.queue_stands = s->waits_us > 0;
	happening->event.hop = hop;
	happening->event.data = message->text.ptr;
	happening->event.len = message->text.len;
	return world_settle(s);
}

bool world_reach(struct party *party, struct stw_str words)
{
	static const struct {
		const char *words;
		int error;
		bool unquoted;
	} rows[] = {
		{ "reachable", 0, false },
		{ "unreachable", ECONNREFUSED, false },
		{ "unreachable unquoted", ECONNREFUSED, true },
		{ "unreachable host", EHOSTUNREACH, false },
	};

	for (unsigned i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		if (!is_word(words, rows[i].words))
			continue;
		party->unreachable = rows[i].error;
		party->unquoted = rows[i].unquoted;
		return true;
	}
	return false;
}

void world_close(struct scenario *s, struct party *party)
{
	unsigned i;

	for (i = 0; i < FLOWS_MAX; i++) {
		struct sim_flow *flow = &s->flows[i];

		if ((party && flow->party != party) ||
			(flow->state != FLOW_OPEN && flow->state != FLOW_OPENING))
			continue;
		flow->state = FLOW_CLOSED;
		happen(s, flow->hop.flow.worker, 0, STW_IO_CLOSED)->event.hop = flow->hop;
	}
}

/* The process of the server is gone, and all that was on its way to it. */
void world_forget_flows(struct scenario *s)
{
	unsigned i;

	for (i = 0; i < FLOWS_MAX; i++) {
		if (s->flows[i].state != FLOW_FREE)
			s->flows[i].state = FLOW_CLOSED;
	}
	s->happenings = NULL;
}

/* ---- time ---------------------------------------------------------------------------------------
 */

/* The core has been told: the connection stands, or is no more. */
static void flow_told(struct scenario *s, const struct stw_io_event *event)
{
	struct sim_flow *flow = flow_find(s, event->hop.flow);

	if (!flow)
		return;
	if (event->kind == STW_IO_OPENED && flow->state == FLOW_OPENING)
		flow->state = FLOW_OPEN;
	else if (event->kind == STW_IO_CLOSED)
		flow->state = FLOW_CLOSED;
}

static bool told_too_late(struct scenario *s, const struct stw_io_event *event)
{
	struct sim_flow *flow = flow_find(s, event->hop.flow);

	return flow && event->kind != STW_IO_CLOSED && flow->state == FLOW_CLOSED;
}

static void batch_run(struct worker *worker, const struct stw_io_event *event)
{
	if (worker->s->agent) {
		agent_batch(worker->s, event);
		return;
	}
	stw_core_begin(worker->core, worker->s->now);
	if (event)
		stw_core_event(worker->core, event);
	stw_core_work(worker->core);
	stw_core_end(worker->core);
	stw_rcu_quiescent();
}

/* What was read is valid during its batch only: the next read is into the same place. */
static void batch(struct worker *worker, const struct stw_io_event *event)
{
	struct stw_io_event once;
	char *data;

	if (!event || !event->len) {
		batch_run(worker, event);
		return;
	}
	data = malloc(event->len);
	if (!data)
		abort();
	memcpy(data, event->data, event->len);
	once = *event;
	once.data = data;
	batch_run(worker, &once);
	explicit_bzero(data, event->len);
	free(data);
}

/* What one hands to the other takes no time. */
static void batches(struct scenario *s, unsigned first, const struct stw_io_event *event)
{
	bool more = true;
	unsigned i;

	batch(&s->workers[first], event);
	for (i = 0; !event && i < s->worker_count; i++) {
		if (i != first)
			batch(&s->workers[i], NULL);
	}
	while (more) {
		more = false;
		for (i = 0; s->shared && i < s->worker_count; i++) {
			if (stw_workers_rest(s->shared, i))
				continue;
			batch(&s->workers[i], NULL);
			more = true;
		}
	}
}

void world_stop(struct scenario *s)
{
	for (unsigned i = 0; i < s->worker_count; i++) {
		stw_core_begin(s->workers[i].core, s->now);
		stw_core_stop(s->workers[i].core);
		stw_core_end(s->workers[i].core);
	}
}

static uint64_t next_due(const struct scenario *s)
{
	uint64_t next = s->happenings ? s->happenings->due_ms : UINT64_MAX;
	uint64_t answer = hook_due(s);

	next = answer < next ? answer : next;
	if (s->agent) {
		uint64_t due = agent_next(s);

		return due < next ? due : next;
	}
	for (unsigned i = 0; i < s->worker_count; i++) {
		uint64_t due = stw_core_next(s->workers[i].core);

		next = due < next ? due : next;
	}
	return next;
}

int world_step(struct scenario *s, uint64_t limit_ms)
{
	struct happening *happening = s->happenings;
	uint64_t next = next_due(s);

	if (next > limit_ms) {
		s->now.wall_ms += (int64_t)(limit_ms - s->now.mono_ms);
		s->now.mono_ms = limit_ms;
		return 0;
	}
	if (next > s->now.mono_ms) {
		s->now.wall_ms += (int64_t)(next - s->now.mono_ms);
		s->now.mono_ms = next;
	}
	if (hook_expire(s)) {
		batches(s, 0, NULL);
		return 1;
	}
	if (!happening || happening->due_ms > s->now.mono_ms) {
		batches(s, 0, NULL);
		return 1;
	}
	s->happenings = happening->next;
	if (!told_too_late(s, &happening->event)) {
		flow_told(s, &happening->event);
		batches(s, happening->worker, &happening->event);
	}
	return 1;
}

int world_wake(struct scenario *s)
{
	batches(s, 0, NULL);
	return world_settle(s);
}

int world_settle(struct scenario *s)
{
	return world_advance(s, s->now.mono_ms);
}

int world_advance(struct scenario *s, uint64_t until_ms)
{
	unsigned steps = 0;

	while (world_step(s, until_ms) > 0) {
		if (++steps > STEPS_MAX)
			return fail(s, "the core asks for its timers without end");
	}
	return s->failed ? -1 : 0;
}

/* No message and no drop waits for its line. */
bool world_quiet(const struct scenario *s)
{
	const struct party *party;
	const struct note *note;

	for (party = s->parties; party; party = party->next) {
		if (party->pending)
			return false;
	}
	if (!hook_quiet(s))
		return false;
	for (note = s->notes; note; note = note->older) {
		if (note->kind == STW_NOTE_DROPPED && !note->taken)
			return false;
	}
	return true;
}
