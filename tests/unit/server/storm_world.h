/* SPDX-License-Identifier: Apache-2.0 */
/* The world of test_storm.c: what is remembered, the rules, the network, names and connections. */
#ifndef STORM_WORLD_H
#define STORM_WORLD_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core.h"
#include "server/core_internal.h"
#include "support.h"

#define PHONES   8
#define FLOWS    128
#define CLIENTS  1024
#define RECORDS  4096
#define HEAP_MAX 4096
#define TEXT_MAX 8192

/* ---- what is remembered of the traffic ------------------------------------------------------- */

/* A transaction as the wire shows it: by branch and method. */
struct record {
	struct record *next;
	char branch[100], method[24];
	/* into the server */
	bool datagram, stateful, success;
	uint64_t final_hash; /* of a final response but 2xx to INVITE; 0: none */
	char own_tag[32];
	/* out of the server */
	bool sent, got_1xx, got_final, acked, cancelled, broken;
	struct stw_addr remote;
	uint64_t first_ms;
	char *invite; /* as the phone got it */
	size_t invite_len;
};

/* A request of a phone, enough of it to cancel, acknowledge or follow it up. */
struct client {
	char method[16], uri[200], from[200], to[300], call_id[80], branch[60], route[1200];
	unsigned cseq, phone, resent;
	bool tcp, answered, in_dialog;
};

enum happening_kind { EVENT, TO_PHONE, RESPOND, RESEND, CANCEL, FOLLOW_UP };

struct happening {
	uint64_t due_ms, order;
	enum happening_kind kind;
	struct stw_io_event event;
	struct stw_dns_answer answer;
	struct stw_dns_record records[4];
	char *data; /* what the event or the phone gets, with nothing behind it */
	size_t len;
	char *whole; /* EVENT on a stream: the message that ends here */
	size_t whole_len;
	unsigned phone, code;
	struct client client;
};

enum flow_state { FREE, OPENING, OPEN };

struct flow {
	enum flow_state state;
	uint32_t generation;
	unsigned phone;
	struct stw_hop hop;
	uint64_t in_ms, out_ms; /* when the last byte arrives there: streams keep their order */
};

struct storm {
	uint64_t seed;
	struct stw_random random;
	struct stw_now now;
	bool mutate, starve, store_fails, loops, abrupt, quiet, trace;
	unsigned loss, repeat; /* per mille */
	struct stw_config *config;
	struct stw_listeners listeners;
	struct stw_location *location;
	struct stw_directory *directory;
	struct stw_store *store;
	struct stw_core *core;
	struct stw_addr phones[PHONES], server;
	struct flow flows[FLOWS];
	struct happening *heap[HEAP_MAX];
	unsigned heap_count;
	uint64_t order, stateless, stalled_ms;
	struct client clients[CLIENTS];
	unsigned client_count;
	struct record *in[RECORDS], *out[RECORDS];
	struct stw_field fields[STW_MSG_FIELDS_MAX], fields2[STW_MSG_FIELDS_MAX];
	char wrong[400];
	uint64_t steps, messages;
};

static struct storm *storm;

static uint64_t below(uint64_t bound)
{
	return stw_random_below(&storm->random, bound);
}

static bool chance(unsigned per_mille)
{
	return below(1000) < per_mille;
}

/* The allocation that is made to fail is one of the server's. */
static void *must_alloc(size_t bytes)
{
	void *memory = calloc(1, bytes ? bytes : 1);

	return memory ? memory : calloc(1, bytes ? bytes : 1);
}

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
	va_list list;

	if (storm->wrong[0])
		return;
	va_start(list, format);
	vsnprintf(storm->wrong, sizeof(storm->wrong), format, list);
	va_end(list);
	if (storm->trace)
		fprintf(stderr, "!!!! %s\n", storm->wrong);
}

/* No mutation and no lack of memory: the whole list of rules holds. */
static bool strict(void)
{
	return !storm->mutate && !storm->starve;
}

static uint64_t text_hash(const char *data, size_t len)
{
	return stw_hash((struct stw_hash_key){ 5, 6 }, data, len) | 1;
}

static struct record *record_find(
	struct record **table, struct stw_str branch, struct stw_str method, bool add)
{
	char key[140];
	int n = snprintf(key, sizeof(key), "%.*s %.*s", STW_STR_ARG(branch), STW_STR_ARG(method));
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(key) ? (size_t)n : sizeof(key) - 1;
	struct record **at = &table[text_hash(key, len) % RECORDS], *record;

	for (record = *at; record; record = record->next) {
		if (stw_str_equal(stw_str_from(record->branch), branch) &&
			stw_str_equal(stw_str_from(record->method), method))
			return record;
	}
	if (!add || branch.len >= sizeof(record->branch) || method.len >= sizeof(record->method))
		return NULL;
	record = must_alloc(sizeof(*record));
	if (branch.len)
		memcpy(record->branch, branch.ptr, branch.len);
	memcpy(record->method, method.ptr, method.len);
	record->first_ms = storm->now.mono_ms;
	/* Timer C may have run out while the process stood still. */
	record->broken = record->first_ms == storm->stalled_ms;
	record->next = *at;
	*at = record;
	return record;
}

static bool read_message(
	struct stw_msg *msg, struct stw_field *fields, const char *data, size_t len)
{
	static const struct stw_msg_limits wide = { 1u << 20, 1u << 20, 1u << 20, 1u << 20,
		1u << 20 };
	struct stw_fault fault;

	*msg = (struct stw_msg){ .fields = fields, .field_capacity = STW_MSG_FIELDS_MAX };
	return stw_msg_parse(msg, data, len, &wide, &fault) == 0 && stw_msg_check(msg, &fault) == 0;
}

static void trace(const char *arrow, const struct stw_addr *peer, const char *data, size_t len)
{
	const char *end = memchr(data, '\r', len);
	const char *branch = memmem(data, len, "branch=", 7);
	const char *cseq = memmem(data, len, "CSeq: ", 6);
	char address[STW_ADDR_TEXT_MAX];

	if (!storm->trace)
		return;
	fprintf(stderr, "%8llu %s %.*s  %.*s  %.20s %.14s\n",
		(unsigned long long)(storm->now.mono_ms - 1000), arrow,
		STW_STR_ARG(stw_addr_text(peer, address)), (int)(end ? end - data : 0), data,
		branch && branch + 30 < data + len ? branch + 7 : "", cseq ? cseq : "");
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void rule_own_tag(struct record *record, const struct stw_msg *msg)
{
	struct stw_str tag = msg->to.tag;

	if (storm->loops || msg->code == 100 || tag.len != 19 ||
		!stw_str_starts(tag, STW_STR("stw")))
		return;
	if (record->own_tag[0] && !stw_str_equal(stw_str_from(record->own_tag), tag))
		wrong("two To tags of our own for %s %s", record->method, record->branch);
	memcpy(record->own_tag, tag.ptr, tag.len);
}

/* RFC 3261 §17.2: one final, the same each time; RFC 6026 §7.1: any number of 2xx to INVITE. */
static void rule_one_final(struct record *record, const struct stw_msg *msg, bool stateless)
{
	uint64_t hash = text_hash(msg->data, msg->len);
	bool success = msg->code / 100 == 2 && msg->cseq.method == STW_METHOD_INVITE;

	if (stateless)
		return;
	record->stateful = true;
	if (msg->code < 200)
		return;
	if (record->final_hash && (success || record->final_hash != hash))
		wrong("%u is a second final response to %s %s", msg->code, record->method,
			record->branch);
	if (record->success && !success)
		wrong("%u behind a 2xx to %s %s", msg->code, record->method, record->branch);
	record->success |= success;
	if (!success)
		record->final_hash = hash;
}

static void rules_response(const struct stw_msg *msg)
{
	bool invite = msg->cseq.method == STW_METHOD_INVITE;
	struct stw_stack_stats stats;
	struct record *record;
	bool stateless;

	stw_stack_stats(storm->core->stack, &stats);
	stateless = stats.stateless != storm->stateless;
	storm->stateless = stats.stateless;
	if (!invite && msg->code > 100 && msg->code < 200)
		wrong("%u to %.*s (RFC 4320 §4.1)", msg->code, STW_STR_ARG(msg->cseq.name));
	if (!invite && msg->code == 408)
		wrong("408 to %.*s (RFC 4320 §4.2)", STW_STR_ARG(msg->cseq.name));
	if (msg->cseq.method == STW_METHOD_ACK && strict())
		wrong("%u to an ACK", msg->code);
	if (!strict())
		return;
	record = record_find(storm->in, msg->via.branch, msg->cseq.name, false);
	if (!record) {
		wrong("%u to a %.*s that nobody sent: branch %.*s", msg->code,
			STW_STR_ARG(msg->cseq.name), STW_STR_ARG(msg->via.branch));
		return;
	}
	rule_own_tag(record, msg);
	rule_one_final(record, msg, stateless);
}

static void rules_request(const struct stw_msg *msg, const struct stw_hop *hop)
{
	struct record *record, *invite;

	record = record_find(storm->out, msg->via.branch, msg->cseq.name, true);
	invite = record_find(storm->out, msg->via.branch, STW_STR("INVITE"), false);
	if (!record || !strict())
		return;
	if (msg->method == STW_METHOD_ACK && invite)
		invite->acked = true;
	if (msg->method == STW_METHOD_CANCEL && invite && !record->sent) {
		if (!invite->got_1xx)
			wrong("CANCEL before a 1xx, branch %s (RFC 3261 §9.1)", record->branch);
		if (invite->got_final)
			wrong("CANCEL behind the final response, branch %s (RFC 3261 §9.1)",
				record->branch);
	}
	record->sent = true;
	record->remote = hop->remote;
}

/* What the server is about to read. */
static void note_in(const char *data, size_t len, bool datagram)
{
	struct record *record;
	struct stw_msg msg;

	if (!read_message(&msg, storm->fields, data, len))
		return;
	if (msg.is_request) {
		record = record_find(storm->in, msg.via.branch, msg.cseq.name, true);
		if (record)
			record->datagram = datagram;
		return;
	}
	record = record_find(storm->out, msg.via.branch, msg.cseq.name, false);
	if (!record)
		return;
	if (msg.code < 200) {
		record->got_1xx = true;
	} else if (!record->got_final) {
		record->got_final = true;
		record->broken |= !datagram || msg.code < 300 ||
				  storm->now.mono_ms > record->first_ms + 30000;
	}
}

/* Every transaction that still waits at this address hears of it. */
static void note_refused(const struct stw_addr *remote)
{
	struct record *record;
	unsigned i;

	for (i = 0; i < RECORDS; i++) {
		for (record = storm->out[i]; record; record = record->next)
			record->broken |=
				!record->got_final && stw_addr_equal(&record->remote, remote);
	}
}

static void rules_at_the_end(void)
{
	struct record *record;
	unsigned i;

	for (i = 0; i < RECORDS && strict(); i++) {
		for (record = storm->in[i]; record; record = record->next) {
			if (record->datagram && record->stateful &&
				strcmp(record->method, "INVITE") == 0 && !record->success &&
				!record->final_hash)
				wrong("INVITE %s got a provisional response and never a final one",
					record->branch);
		}
		for (record = storm->out[i]; record; record = record->next) {
			if (strcmp(record->method, "INVITE") == 0 && record->got_final &&
				!record->broken && !record->acked)
				wrong("branch %s: a final response was not acknowledged "
				      "(§17.1.1.3)",
					record->branch);
		}
	}
}

/* ---- what is to come ------------------------------------------------------------------------- */

static bool sooner(const struct happening *a, const struct happening *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void happening_free(struct happening *happening)
{
	free(happening->data);
	free(happening->whole);
	free(happening);
}

static struct happening *happen(enum happening_kind kind, uint64_t delay_ms)
{
	struct happening *happening = must_alloc(sizeof(*happening));

	happening->kind = kind;
	happening->due_ms = storm->now.mono_ms + delay_ms;
	happening->order = ++storm->order;
	return happening;
}

/* Takes the happening; a full network loses it. Streams and names are never lost: there is room
 * kept for them. */
static void plan(struct happening *happening)
{
	unsigned at = storm->heap_count;
	bool losable = happening->kind != EVENT || happening->event.kind == STW_IO_DATAGRAM;

	if (at == HEAP_MAX || (losable && at > HEAP_MAX / 2)) {
		if (!losable)
			abort();
		happening_free(happening);
		return;
	}
	storm->heap_count++;
	for (; at && sooner(happening, storm->heap[(at - 1) / 2]); at = (at - 1) / 2)
		storm->heap[at] = storm->heap[(at - 1) / 2];
	storm->heap[at] = happening;
}

static struct happening *heap_pop(void)
{
	struct happening *first = storm->heap[0], *last = storm->heap[--storm->heap_count];
	unsigned at = 0, child;

	while ((child = 2 * at + 1) < storm->heap_count) {
		if (child + 1 < storm->heap_count &&
			sooner(storm->heap[child + 1], storm->heap[child]))
			child++;
		if (!sooner(storm->heap[child], last))
			break;
		storm->heap[at] = storm->heap[child];
		at = child;
	}
	storm->heap[at] = last;
	return first;
}

static void keep_data(struct happening *happening, const char *data, size_t len)
{
	happening->data = must_alloc(len);
	memcpy(happening->data, data, len);
	happening->len = len;
}

static uint64_t network_ms(void)
{
	return chance(800) ? below(50) : below(1500);
}

/* ---- the world as the core asks it ----------------------------------------------------------- */

static struct flow *flow_of(struct stw_flow_id id)
{
	struct flow *flow = id.slot < FLOWS ? &storm->flows[id.slot] : NULL;

	return flow && flow->state != FREE && flow->generation == id.generation ? flow : NULL;
}

static unsigned phone_at(const struct stw_addr *addr)
{
	unsigned i = 0;

	while (i < PHONES && !stw_addr_same_ip(&storm->phones[i], addr))
		i++;
	return i;
}

static struct flow *flow_new(const struct stw_hop *hop, unsigned phone)
{
	unsigned slot = 0;
	struct flow *flow;

	while (slot < FLOWS && storm->flows[slot].state != FREE)
		slot++;
	if (slot == FLOWS)
		return NULL;
	flow = &storm->flows[slot];
	*flow = (struct flow){
		.state = OPENING, .generation = flow->generation + 1, .phone = phone, .hop = *hop
	};
	flow->hop.flow = (struct stw_flow_id){ .slot = slot, .generation = flow->generation };
	flow->in_ms = flow->out_ms = storm->now.mono_ms;
	return flow;
}

/* Something reaches the server on a flow, behind what is on its way already. */
static struct happening *flow_event(
	struct flow *flow, enum stw_io_event_kind kind, uint64_t delay_ms)
{
	struct happening *happening = happen(EVENT, delay_ms);

	happening->event.kind = kind;
	happening->event.hop = flow->hop;
	if (happening->due_ms < flow->in_ms)
		happening->due_ms = flow->in_ms;
	flow->in_ms = happening->due_ms;
	return happening;
}

static void flow_break(struct flow *flow, int error)
{
	struct happening *happening = flow_event(flow, STW_IO_CLOSED, below(200));

	happening->event.error = error;
	plan(happening);
}

static void datagram_in(const struct stw_addr *from, const char *data, size_t len)
{
	struct happening *happening = happen(EVENT, network_ms());

	happening->event.kind = STW_IO_DATAGRAM;
	happening->event.hop = (struct stw_hop){
		.transport = STW_TRANSPORT_UDP, .remote = *from, .local = storm->server
	};
	keep_data(happening, data, len);
	plan(happening);
}

static void datagram_out(const struct stw_hop *hop, unsigned phone, const char *data, size_t len)
{
	struct happening *happening;

	if (stw_addr_same_ip(&hop->remote, &storm->server)) {
		datagram_in(&storm->server, data, len);
		return;
	}
	if (chance(8)) {
		happening = happen(EVENT, below(50));
		happening->event.kind = STW_IO_SEND_FAILED;
		happening->event.hop = *hop;
		happening->event.error = ECONNREFUSED;
		plan(happening);
		return;
	}
	if (phone == PHONES || chance(storm->loss))
		return;
	happening = happen(TO_PHONE, network_ms());
	happening->phone = phone;
	happening->event.hop = *hop;
	keep_data(happening, data, len);
	plan(happening);
}

static int ops_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	size_t len = stw_slices_bytes(slices);
	char *data = must_alloc(len);
	struct happening *happening;
	struct flow *flow = NULL;
	struct stw_msg msg;

	stw_slices_flatten(slices, data);
	trace("->", &hop->remote, data, len);
	if (len > 4 && read_message(&msg, storm->fields2, data, len)) {
		if (msg.is_request)
			rules_request(&msg, hop);
		else
			rules_response(&msg);
	} else if (len > 4 && strict()) {
		wrong("the server sent what cannot be read: %.100s", data);
	}
	if (hop->transport == STW_TRANSPORT_UDP) {
		datagram_out(hop, phone_at(&hop->remote), data, len);
		free(data);
		return 0;
	}
	flow = flow_of(hop->flow);
	if (flow && !chance(3)) {
		happening = happen(TO_PHONE, network_ms());
		happening->phone = flow->phone;
		happening->event.hop = flow->hop;
		if (happening->due_ms < flow->out_ms)
			happening->due_ms = flow->out_ms;
		flow->out_ms = happening->due_ms;
		keep_data(happening, data, len);
		plan(happening);
		free(data);
		return 0;
	}
	free(data);
	if (!flow)
		return -ENOTCONN;
	flow_break(flow, ENOBUFS);
	return -ENOBUFS;
}

static int ops_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	unsigned phone = phone_at(&hop->remote);
	struct flow *flow;

	if (chance(20))
		return -ENETUNREACH;
	flow = flow_new(hop, phone);
	if (!flow)
		return -ENOBUFS;
	*ret = flow->hop.flow;
	if (phone == PHONES || chance(150)) {
		struct happening *closed =
			flow_event(flow, STW_IO_CLOSED, chance(500) ? below(20) : 4000);

		closed->event.error = ECONNREFUSED;
		plan(closed);
		return 0;
	}
	plan(flow_event(flow, STW_IO_OPENED, below(chance(200) ? 3000 : 50)));
	return 0;
}

static void ops_close(void *io, struct stw_flow_id id)
{
	struct flow *flow = flow_of(id);

	if (flow)
		flow->state = FREE;
}

static int ops_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	struct happening *answer;
	unsigned i;

	if (chance(20))
		return -ENOBUFS;
	answer = happen(EVENT, chance(700) ? below(100) : below(5000));
	answer->event.kind = STW_IO_RESOLVED;
	answer->event.query = query;
	answer->answer.ttl_s = (uint32_t)below(20);
	answer->answer.records = answer->records;
	/* Few domains have more than addresses. */
	if (chance(type == STW_DNS_A ? 300 : 800)) {
		answer->answer.error = chance(500) ? -ENOENT : chance(500) ? -ETIMEDOUT : -EIO;
	} else {
		answer->answer.n = (unsigned)(1 + below(3));
		for (i = 0; i < answer->answer.n; i++) {
			struct stw_dns_record *record = &answer->records[i];

			record->addr = storm->phones[below(PHONES)];
			record->addr.family = chance(50) ? 6 : 4;
			record->addr.port = 0;
			record->port = 5060;
			record->priority = (uint16_t)below(2);
			record->weight = (uint16_t)below(3);
			record->terminal_srv = chance(900);
			record->service = chance(500) ? STW_STR("SIP+D2U") : STW_STR("SIP+D2T");
			record->target = chance(950) ? STW_STR("host.example.net") : STW_STR_NONE;
		}
		if (chance(50))
			answer->event.query += 1 + below(3);
	}
	plan(answer);
	/* An answer for another question is no answer: the right one comes later. */
	if (answer->event.query != query) {
		answer = happen(EVENT, 5000);
		answer->event.kind = STW_IO_RESOLVED;
		answer->event.query = query;
		answer->answer.error = -ETIMEDOUT;
		plan(answer);
	}
	return 0;
}

static const struct stw_io_ops ops = { ops_send, ops_open, ops_close, ops_resolve };

#endif
