/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack with a core that proxies everything, in virtual time, on a network that writes down what
 * is sent. Datagrams are read when the batch ends, as lib/io does: what was freed or moved before
 * is found by the sanitizer.
 */
#ifndef STW_TESTS_STACK_LAB_H
#define STW_TESTS_STACK_LAB_H

#include <support.h>

#include <strowger/stack.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENT_MAX 256

struct sent {
	struct stw_hop hop;
	struct stw_str slices[STW_EDIT_SLICES_MAX];
	unsigned n;
	char *text; /* NULL: a datagram that the batch has not handed over yet */
};

struct lab {
	struct stw_stack *stack;
	struct stw_now now;
	struct stw_listeners listeners;
	struct stw_proxy_target targets[4];
	unsigned target_count; /* 0: by the Request-URI */
	struct sent sent[SENT_MAX];
	unsigned sent_count, sent_seen;
	unsigned opened, closed, asked;
	uint64_t query;
	int open_error;
	struct stw_flow_id dead; /* the network knows that it is gone, the stack does not yet */
	bool holds;              /* nothing is to be read from flows */
	unsigned limited;        /* queues of the kernel, see test_hand.c */
	bool answers_options;
	unsigned dropped, overload_refused;                          /* noted */
	bool (*takes)(struct lab *lab, struct stw_request *request); /* NULL: none */
};

/* ---- the network --------------------------------------------------------------------- */

static inline void sent_settle(struct sent *sent)
{
	struct stw_slices slices = { sent->slices, sent->n };
	size_t bytes = stw_slices_bytes(slices);

	sent->text = malloc(bytes + 1);
	assert_non_null(sent->text);
	stw_slices_flatten(slices, sent->text);
	sent->text[bytes] = '\0';
}

static inline int lab_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	struct lab *lab = io;
	struct sent *sent = &lab->sent[lab->sent_count];

	if (stw_flow_id_set(hop->flow) && stw_flow_id_equal(hop->flow, lab->dead))
		return -ENOTCONN;
	lab->sent_count++;
	assert_true(lab->sent_count < SENT_MAX && slices.n <= STW_EDIT_SLICES_MAX);
	*sent = (struct sent){ .hop = *hop, .n = slices.n };
	memcpy(sent->slices, slices.v, slices.n * sizeof(*slices.v));
	if (stw_flow_id_set(hop->flow))
		sent_settle(sent);
	return 0;
}

static inline int lab_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	struct lab *lab = io;

	(void)hop;
	if (lab->open_error)
		return lab->open_error;
	*ret = (struct stw_flow_id){ .slot = 100 + lab->opened++, .generation = 1 };
	return 0;
}

static inline void lab_close(void *io, struct stw_flow_id flow)
{
	struct lab *lab = io;

	(void)flow;
	lab->closed++;
}

static inline int lab_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	struct lab *lab = io;

	assert_true(name.len > 0);
	lab->asked++;
	lab->query = query;
	return 0;
}

static inline void lab_hold(void *io, bool on)
{
	struct lab *lab = io;

	assert_int_equal(on, !lab->holds);
	lab->holds = on;
}

static struct stw_io_ops lab_io = { .send = lab_send,
	.open = lab_open,
	.close = lab_close,
	.resolve = lab_resolve,
	.hold = lab_hold };

/* ---- the core -------------------------------------------------------------------------- */

static inline void lab_request(void *core, struct stw_request *request)
{
	struct lab *lab = core;
	struct stw_proxy_job job = {
		.targets = lab->targets, .n = lab->target_count, .ring_timeout_ms = 60000
	};

	if (lab->takes && lab->takes(lab, request))
		return;
	assert_null(stw_request_preprocess(request));
	if (request->msg->method == STW_METHOD_OPTIONS && lab->answers_options)
		stw_request_respond(request, 200, STW_STR_NONE, NULL);
	else if (request->msg->method == STW_METHOD_ACK ||
		 request->msg->method == STW_METHOD_CANCEL)
		stw_request_forward_stateless(request, lab->target_count ? lab->targets : NULL);
	else
		stw_request_proxy(request, &job);
}

static inline void lab_note(void *core, const struct stw_note *note)
{
	struct lab *lab = core;

	lab->dropped += note->kind == STW_NOTE_DROPPED;
	lab->overload_refused +=
		note->kind == STW_NOTE_RESPONSE_OUT && note->cause == &stw_cause_overload;
}

static inline void lab_next(
	void *core, struct stw_request *request, const struct stw_outcome *outcome)
{
	stw_request_settle(request, NULL);
}

static const struct stw_core_ops lab_core = {
	.request = lab_request, .next = lab_next, .note = lab_note
};

/* ---- places ------------------------------------------------------------------------------ */

static inline struct stw_hop hop_at(enum stw_transport transport, const char *ip, uint16_t port)
{
	struct stw_hop hop = { .transport = transport };

	assert_int_equal(stw_addr_from_host(stw_str_from(ip), port, &hop.remote), 0);
	hop.local = hop.remote;
	hop.local.port = 5060;
	return hop;
}

static inline struct stw_hop caller(void)
{
	return hop_at(STW_TRANSPORT_UDP, "192.0.2.1", 5060);
}

static inline struct stw_hop callee(void)
{
	return hop_at(STW_TRANSPORT_UDP, "192.0.2.2", 5060);
}

static inline void lab_listen(
	struct lab *lab, enum stw_transport transport, const char *ip, uint16_t port)
{
	struct stw_listener *listener = &lab->listeners.v[lab->listeners.n++];

	listener->transport = transport;
	assert_int_equal(stw_addr_from_host(stw_str_from(ip), port, &listener->bind), 0);
}

static inline void lab_target(struct lab *lab, const char *uri)
{
	lab->targets[lab->target_count++] =
		(struct stw_proxy_target){ .uri = stw_str_from(uri), .q = 1000 };
}

/* ---- life ---------------------------------------------------------------------------------- */

/* One of several stacks, or with NULL the only one. */
static inline struct lab *lab_new_worker(
	struct stw_workers *workers, unsigned worker, uint32_t max_transactions)
{
	static const struct stw_str emergency = { "112", 3 };
	struct lab *lab = calloc(1, sizeof(*lab));
	struct stw_stack_options options = {
		.io = &lab_io,
		.core = &lab_core,
		.key = { 1, 2 },
		.seed = 7,
		.workers = workers,
		.worker = (uint16_t)worker,
		.max_transactions = max_transactions,
		.udp_oversize_tcp = true,
		.overload = { .target_ms = 25 }, /* what comes without a delay is never refused */
		.urgent_users = &emergency,
		.urgent_user_count = 1,
		.flows = { .max_flows = 16,
			.max_per_source = 8,
			.idle_ms = 3600000,
			.message_ms = 10000 },
		.proxy = { .max_breadth = 60, .max_branches = 32, .timer_c_ms = 181000 },
	};

	assert_non_null(lab);
	lab_listen(lab, STW_TRANSPORT_UDP, "192.0.2.9", 5060);
	lab_listen(lab, STW_TRANSPORT_TCP, "192.0.2.9", 5060);
	lab_listen(lab, STW_TRANSPORT_UDP, "192.0.2.9", 5070);
	lab->now = (struct stw_now){ 1000000, 1700000000000 };
	options.flows.message = stw_msg_limits_default;
	options.io_user = options.core_user = lab;
	options.listeners = &lab->listeners;
	assert_int_equal(stw_stack_new(&options, lab->now, &lab->stack), 0);
	return lab;
}

static inline struct lab *lab_new(void)
{
	return lab_new_worker(NULL, 0, 64);
}

static inline void lab_free(struct lab *lab)
{
	unsigned i;

	stw_stack_free(lab->stack);
	for (i = 0; i < lab->sent_count; i++)
		free(lab->sent[i].text);
	free(lab);
}

static inline void lab_begin(struct lab *lab)
{
	stw_stack_begin(lab->stack, lab->now);
}

static inline void lab_end(struct lab *lab)
{
	unsigned i;

	for (i = 0; i < lab->sent_count; i++) {
		if (!lab->sent[i].text)
			sent_settle(&lab->sent[i]);
	}
	stw_stack_end(lab->stack);
}

static inline void lab_event(struct lab *lab, const struct stw_io_event *event)
{
	lab_begin(lab);
	stw_stack_event(lab->stack, event);
	lab_end(lab);
}

/* The bytes are gone when the batch is over, as those of a receive slot. */
static inline void lab_receive(struct lab *lab, struct stw_hop hop, const char *text)
{
	struct stw_io_event event = { .kind = STW_IO_DATAGRAM, .hop = hop, .len = strlen(text) };
	char *bytes = support_guarded(text, event.len);

	if (stw_flow_id_set(hop.flow))
		event.kind = STW_IO_BYTES;
	event.data = bytes;
	lab_event(lab, &event);
	support_guarded_free(bytes, event.len);
}

/* Let time pass, timer by timer. */
static inline void lab_wait(struct lab *lab, uint64_t ms)
{
	uint64_t end = lab->now.mono_ms + ms, next;

	while ((next = stw_stack_next(lab->stack)) <= end) {
		if (next > lab->now.mono_ms) {
			lab->now.wall_ms += (int64_t)(next - lab->now.mono_ms);
			lab->now.mono_ms = next;
		} else {
			lab->now.mono_ms++;
		}
		lab_begin(lab);
		stw_stack_timers(lab->stack);
		lab_end(lab);
	}
	if (lab->now.mono_ms < end)
		lab->now.mono_ms = end;
}

/* Nothing is left: no transaction, no request, no timer. */
static inline void lab_is_idle(struct lab *lab)
{
	struct stw_stack_stats stats;

	stw_stack_stats(lab->stack, &stats);
	assert_int_equal(stats.transactions, 0);
	assert_int_equal(stats.requests, 0);
	assert_int_equal(stats.timers, stats.flows);
	assert_int_equal(stats.large_bytes, 0);
	assert_int_equal(stats.room_used, 0);
}

/* ---- what was sent ----------------------------------------------------------------------------
 */

/* The next message that was sent begins with this text. */
static inline const struct sent *lab_expect(struct lab *lab, const char *start)
{
	const struct sent *sent = &lab->sent[lab->sent_seen];

	if (lab->sent_seen == lab->sent_count)
		fail_msg("nothing was sent, not even \"%s\"", start);
	if (strncmp(sent->text, start, strlen(start)) != 0)
		fail_msg("\"%s\" was expected, sent was:\n%s", start, sent->text);
	lab->sent_seen++;
	return sent;
}

static inline void lab_expect_nothing(struct lab *lab)
{
	if (lab->sent_seen != lab->sent_count)
		fail_msg("sent was:\n%s", lab->sent[lab->sent_seen].text);
}

static inline void sent_has(const struct sent *sent, const char *part)
{
	if (!strstr(sent->text, part))
		fail_msg("\"%s\" was expected in:\n%s", part, sent->text);
}

static inline void sent_to(const struct sent *sent, struct stw_hop hop)
{
	char ours[STW_ADDR_TEXT_MAX], theirs[STW_ADDR_TEXT_MAX];

	if (sent->hop.transport != hop.transport || !stw_addr_equal(&sent->hop.remote, &hop.remote))
		fail_msg("went to %.*s, not to %.*s:\n%s",
			STW_STR_ARG(stw_addr_text(&sent->hop.remote, ours)),
			STW_STR_ARG(stw_addr_text(&hop.remote, theirs)), sent->text);
}

/* ---- what others say ----------------------------------------------------------------------------
 */

static inline const char *request_text(
	const char *method, const char *branch, unsigned cseq, const char *rest)
{
	static char text[8192];

	snprintf(text, sizeof(text),
		"%s sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.1:5060;branch=z9hG4bK%s\r\n"
		"From: <sip:alice@example.test>;tag=a\r\nTo: <sip:bob@example.test>\r\nCall-ID: "
		"c1\r\n"
		"CSeq: %u %s\r\nMax-Forwards: 70\r\n%s%s",
		method, branch, cseq, method, rest,
		strstr(rest, "\r\n\r\n") ? "" : "Content-Length: 0\r\n\r\n");
	return text;
}

/* The message with a body of so many bytes in the place of none. Freed by the caller. */
static inline char *text_with_body(const char *text, unsigned bytes)
{
	size_t head = (size_t)(strstr(text, "Content-Length: ") - text), size = head + bytes + 64;
	char *large = malloc(size);
	int at;

	assert_non_null(large);
	at = snprintf(large, size, "%.*sContent-Length: %u\r\n\r\n", (int)head, text, bytes);
	memset(large + at, 'x', bytes);
	large[at + (int)bytes] = '\0';
	return large;
}

static inline void lab_receive_large(
	struct lab *lab, struct stw_hop hop, const char *text, unsigned bytes)
{
	char *large = text_with_body(text, bytes);

	lab_receive(lab, hop, large);
	free(large);
}

/* The lines of a message that begin with `name`; a To without tag gets the callee's. */
static inline void text_copy_lines(struct stw_writer *writer, const char *text, const char *name)
{
	const char *at = text, *end;

	for (at = strstr(at, "\r\n"); at && at[2] != '\r'; at = end) {
		struct stw_str line = { at + 2, 0 };

		end = strstr(at + 2, "\r\n");
		line.len = (size_t)(end - line.ptr);
		if (!stw_str_starts(line, stw_str_from(name)))
			continue;
		stw_write_str(writer, line);
		if (strcmp(name, "To:") == 0 && !memmem(line.ptr, line.len, ";tag=", 5))
			stw_write_text(writer, ";tag=b");
		stw_write_text(writer, "\r\n");
	}
}

/* The answer of the callee to a request that it got. */
static inline const char *response_text(const struct sent *request, const char *status)
{
	static char text[8192];
	struct stw_writer writer;

	stw_writer_init(&writer, text, sizeof(text) - 1);
	stw_write_format(&writer, "SIP/2.0 %s\r\n", status);
	text_copy_lines(&writer, request->text, "Via:");
	text_copy_lines(&writer, request->text, "Record-Route:");
	text_copy_lines(&writer, request->text, "From:");
	text_copy_lines(&writer, request->text, "To:");
	text_copy_lines(&writer, request->text, "Call-ID:");
	text_copy_lines(&writer, request->text, "CSeq:");
	stw_write_text(&writer, "Content-Length: 0\r\n\r\n");
	assert_false(writer.overflow);
	text[writer.len] = '\0';
	return text;
}

/* ---- calls and flows ------------------------------------------------------------------------- */

static inline const struct sent *invite_arrives(struct lab *lab)
{
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	sent_to(lab_expect(lab, "SIP/2.0 100 "), caller());
	return lab_expect(lab, "INVITE ");
}

static inline struct stw_hop flow_of(struct lab *lab, const struct sent *sent, bool opened)
{
	struct stw_io_event event = { .kind = STW_IO_OPENED, .hop = sent->hop };

	event.hop.local = lab->listeners.v[1].bind;
	if (opened)
		lab_event(lab, &event);
	return event.hop;
}

static inline void flow_closes(struct lab *lab, struct stw_hop hop, int error)
{
	struct stw_io_event event = { .kind = STW_IO_CLOSED, .hop = hop, .error = error };

	lab_event(lab, &event);
}

/* A flow that was accepted from the caller, or from a phone that has registered. */
static inline struct stw_hop flow_arrives(struct lab *lab, struct stw_hop from)
{
	struct stw_io_event event = { .kind = STW_IO_OPENED, .incoming = true };

	from.flow = (struct stw_flow_id){ .slot = 1, .generation = 1 };
	from.listener = 1;
	event.hop = from;
	lab_event(lab, &event);
	return from;
}

static inline void flow_ends(struct lab *lab, struct stw_hop hop)
{
	struct stw_io_event event = { .kind = STW_IO_ENDED, .hop = hop };

	lab_event(lab, &event);
}

static inline void name_is_answered(struct lab *lab, unsigned n)
{
	struct stw_dns_record records[3] = { { .priority = 0 } };
	struct stw_dns_answer answer = {
		.error = n ? 0 : -ENOENT, .ttl_s = 60, .records = records, .n = n
	};
	struct stw_io_event event = {
		.kind = STW_IO_RESOLVED, .query = lab->query, .answer = &answer
	};

	stw_addr_from_host(STW_STR("192.0.2.2"), 0, &records[0].addr);
	stw_addr_from_host(STW_STR("192.0.2.3"), 0, &records[1].addr);
	stw_addr_from_host(STW_STR("224.0.0.1"), 0, &records[2].addr);
	lab_event(lab, &event);
}

#endif
