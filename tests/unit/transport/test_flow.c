/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <strowger/transport.h>

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDLE_MS    60000u
#define MESSAGE_MS 5000u

struct fixture {
	struct stw_wheel wheel;
	struct stw_flows *flows;
	char *fed; /* the last read: borrowed by its flow */
	size_t fed_len;
};

static const struct stw_hash_key key = { 1, 2 };

static struct stw_now at(uint64_t ms)
{
	return (struct stw_now){ .mono_ms = ms };
}

static void fixture_init(struct fixture *f, unsigned max_flows, unsigned max_per_source)
{
	struct stw_flow_limits limits = {
		.max_flows = max_flows,
		.max_per_source = max_per_source,
		.idle_ms = IDLE_MS,
		.message_ms = MESSAGE_MS,
		.message = stw_msg_limits_default,
	};

	*f = (struct fixture){ 0 };
	stw_wheel_init(&f->wheel, 0);
	assert_int_equal(stw_flows_new(&limits, &f->wheel, key, &f->flows), 0);
}

static void fed_free(struct fixture *f)
{
	if (f->fed)
		support_guarded_free(f->fed, f->fed_len);
	f->fed = NULL;
}

static void fixture_done(struct fixture *f)
{
	fed_free(f);
	f->flows = stw_flows_free(f->flows);
	assert_int_equal(f->wheel.count, 0);
}

static struct stw_hop hop_of(const char *host, uint16_t port, uint32_t slot, uint32_t generation)
{
	struct stw_hop hop = { .transport = STW_TRANSPORT_TCP, .flow = { 1, slot, generation } };

	assert_int_equal(stw_addr_from_host(stw_str_from(host), port, &hop.remote), 0);
	return hop;
}

static struct stw_flow_id open_flow(struct fixture *f, uint32_t slot)
{
	struct stw_hop hop = hop_of("192.0.2.4", (uint16_t)(40000 + slot), slot, 1);

	assert_int_equal(stw_flows_opened(f->flows, &hop, true, at(0)), 0);
	return hop.flow;
}

static const char message[] = "OPTIONS sip:example.com SIP/2.0\r\n"
			      "Via: SIP/2.0/TCP a.example.com;branch=z9hG4bKa\r\n"
			      "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\n"
			      "Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
			      "Content-Length: 5\r\n\r\nhello";
#define MESSAGE_LEN (sizeof(message) - 1)

static void feed(
	struct fixture *f, struct stw_flow_id id, const char *data, size_t len, uint64_t ms)
{
	fed_free(f);
	f->fed = support_guarded(data, len);
	f->fed_len = len;
	assert_int_equal(stw_flows_bytes(f->flows, id, f->fed, len, at(ms)), 0);
}

static enum stw_frame_kind next(struct fixture *f, struct stw_flow_id id, uint64_t ms)
{
	const char *data;

	return stw_flows_next(f->flows, id, &data, at(ms)).kind;
}

static void assert_message(struct fixture *f, struct stw_flow_id id, uint64_t ms)
{
	const char *data = NULL;
	struct stw_frame frame = stw_flows_next(f->flows, id, &data, at(ms));

	assert_int_equal(frame.kind, STW_FRAME_MESSAGE);
	assert_int_equal(frame.bytes, MESSAGE_LEN);
	assert_memory_equal(data, message, MESSAGE_LEN);
}

/* Expire the wheel at `ms`. @return flows that are to be closed; the last one in `ret` */
static unsigned expire(struct fixture *f, uint64_t ms, struct stw_flow_id *ret, bool *ret_half)
{
	struct stw_timer *timer;
	unsigned count = 0;

	while ((timer = stw_wheel_expire(&f->wheel, ms)) != NULL) {
		assert_int_equal(timer->kind, STW_TIMER_FLOW);
		if (!stw_flows_timer(f->flows, timer, at(ms), ret, ret_half))
			continue;
		stw_flows_closed(f->flows, *ret);
		count++;
	}
	return count;
}

static void test_byte_by_byte(void **state)
{
	struct fixture f;
	struct stw_flow_id id;

	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i + 1 < MESSAGE_LEN; i++) {
			feed(&f, id, message + i, 1, 10);
			assert_int_equal(next(&f, id, 10), STW_FRAME_MORE);
		}
		feed(&f, id, message + MESSAGE_LEN - 1, 1, 10);
		assert_message(&f, id, 10);
		assert_int_equal(next(&f, id, 10), STW_FRAME_MORE);
	}
	fixture_done(&f);
}

/* Nothing is copied of messages that are whole in a read; of half a message and the next read no
 * more than ends it. */
/* It is closed when another worker has answered: nothing more is taken, and only so much is read.
 */
static void test_leaves(void **state)
{
	struct fixture f;
	struct stw_flow_id id;
	char text[3 * MESSAGE_LEN], bytes[1024] = { 0 };
	unsigned reads = 0;
	uint64_t ask;

	for (unsigned i = 0; i < 3; i++)
		memcpy(text + i * MESSAGE_LEN, message, MESSAGE_LEN);
	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	feed(&f, id, text, 10, 0);
	assert_int_equal(next(&f, id, 0), STW_FRAME_MORE);
	stw_flows_handed(f.flows, id, 0);
	feed(&f, id, text + 10, sizeof(text) - 10, 0);
	assert_message(&f, id, 0);
	assert_false(stw_flows_leave(f.flows, id, UINT64_MAX, &ask));
	assert_int_equal(ask, 1);
	assert_int_equal(next(&f, id, 0), STW_FRAME_MORE);
	while (stw_flows_bytes(f.flows, id, bytes, sizeof(bytes), at(0)) == 0) {
		assert_int_equal(next(&f, id, 0), STW_FRAME_MORE);
		assert_true(++reads < 1000);
	}
	assert_int_equal(reads, 256);
	assert_true(stw_flows_left(f.flows, id));
	stw_flows_closed(f.flows, id);
	fixture_done(&f);
}

/* Half a message that nobody reads any more is not late; the end is that of the leaving. */
static void test_leaves_in_time(void **state)
{
	struct fixture f;
	struct stw_flow_id id, closed;
	uint64_t ask;
	bool half;

	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	stw_flows_handed(f.flows, id, 0);
	assert_false(stw_flows_leave(f.flows, id, 500, &ask));
	assert_int_equal(expire(&f, 499, &closed, &half), 0);
	assert_int_equal(expire(&f, 500, &closed, &half), 1);
	id = open_flow(&f, 2);
	stw_flows_handed(f.flows, id, 0);
	feed(&f, id, message, 10, 500);
	assert_int_equal(next(&f, id, 500), STW_FRAME_MORE);
	assert_false(stw_flows_leave(f.flows, id, UINT64_MAX, &ask));
	assert_int_equal(expire(&f, 500 + IDLE_MS - 1, &closed, &half), 0);
	assert_int_equal(expire(&f, 500 + IDLE_MS, &closed, &half), 1);
	assert_false(half);
	fixture_done(&f);
}

static void test_copies_little(void **state)
{
	static char stream[100 * MESSAGE_LEN];
	struct fixture f;
	struct stw_flow_id id;
	const char *data;

	for (size_t i = 0; i < 100; i++)
		memcpy(stream + i * MESSAGE_LEN, message, MESSAGE_LEN);
	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	for (unsigned read = 0; read < 2; read++) {
		size_t begun = read ? 7 : 0, at_byte = 50 * MESSAGE_LEN * read + begun;

		feed(&f, id, stream + at_byte, 50 * MESSAGE_LEN + (read ? 0 : 7) - begun, 1);
		for (unsigned i = 0; i < 50; i++) {
			bool copied = read && i == 0;
			struct stw_frame frame = stw_flows_next(f.flows, id, &data, at(1));

			assert_int_equal(frame.kind, STW_FRAME_MESSAGE);
			assert_memory_equal(data, message, MESSAGE_LEN);
			if (!copied)
				assert_ptr_equal(data, f.fed + i * MESSAGE_LEN - begun);
		}
		assert_int_equal(next(&f, id, 1), STW_FRAME_MORE);
	}
	fixture_done(&f);
}

/* A thousand messages in reads of odd sizes come out whole and in order. */
static void test_cut_anywhere(void **state)
{
	static char stream[1000 * MESSAGE_LEN];
	static const size_t reads[] = { 1, 1460, 3, 17, 4096, 65536, 200 };

	for (size_t i = 0; i < 1000; i++)
		memcpy(stream + i * MESSAGE_LEN, message, MESSAGE_LEN);
	for (size_t r = 0; r < STW_ARRAY_SIZE(reads); r++) {
		struct fixture f;
		struct stw_flow_id id;
		unsigned messages = 0;

		fixture_init(&f, 10, 10);
		id = open_flow(&f, 1);
		for (size_t pos = 0, len; pos < sizeof(stream); pos += len) {
			const char *data;

			len = sizeof(stream) - pos < reads[r] ? sizeof(stream) - pos : reads[r];
			assert_int_equal(stw_flows_bytes(f.flows, id, stream + pos, len, at(1)), 0);
			while (stw_flows_next(f.flows, id, &data, at(1)).kind ==
				STW_FRAME_MESSAGE) {
				assert_memory_equal(data, message, MESSAGE_LEN);
				messages++;
			}
		}
		assert_int_equal(messages, 1000);
		fixture_done(&f);
	}
}

/* RFC 5626 §3.5.1, §4.4.1 */
static void test_ping_pong(void **state)
{
	struct fixture f;
	struct stw_flow_id id, closed;
	bool half;

	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	feed(&f, id, "\r\n\r\n", 4, 1000);
	assert_int_equal(next(&f, id, 1000), STW_FRAME_PING);
	assert_int_equal(next(&f, id, 1000), STW_FRAME_MORE);

	for (size_t i = 0; i < 3; i++) {
		feed(&f, id, &"\r\n\r\n"[i], 1, 1000);
		assert_int_equal(next(&f, id, 1000), STW_FRAME_MORE);
	}
	feed(&f, id, "\n", 1, 1000);
	assert_int_equal(next(&f, id, 1000), STW_FRAME_PING);

	/* A pong is no message begun: no message timer. */
	feed(&f, id, "\r\n", 2, 2000);
	assert_int_equal(next(&f, id, 2000), STW_FRAME_MORE);
	assert_int_equal(expire(&f, 2000 + IDLE_MS - 1, &closed, &half), 0);

	feed(&f, id, message, MESSAGE_LEN, 2000);
	assert_int_equal(next(&f, id, 2000), STW_FRAME_CRLF);
	assert_message(&f, id, 2000);
	feed(&f, id, "\r\n\r\n", 4, 2000);
	assert_int_equal(next(&f, id, 2000), STW_FRAME_PING);
	fixture_done(&f);
}

/* However they are cut, none is lost; those that come together are one frame. */
static void test_pings_together(void **state)
{
	static const size_t reads[] = { 1, 3, 4, 5, 2050, 16383, 65536 };
	enum { PINGS = 5000, BYTES = 4 * PINGS + 2 + MESSAGE_LEN };
	static char stream[BYTES];

	for (size_t i = 0; i < 4 * PINGS + 2; i++)
		stream[i] = "\r\n"[i % 2];
	memcpy(stream + 4 * PINGS + 2, message, MESSAGE_LEN);
	for (size_t r = 0; r < STW_ARRAY_SIZE(reads); r++) {
		struct fixture f;
		struct stw_flow_id id;
		size_t pings = 0, frames = 0, rest[STW_FRAME_BROKEN + 1] = { 0 };

		fixture_init(&f, 10, 10);
		id = open_flow(&f, 1);
		for (size_t pos = 0, len; pos < BYTES; pos += len) {
			const char *data;
			struct stw_frame frame;

			len = BYTES - pos < reads[r] ? BYTES - pos : reads[r];
			feed(&f, id, stream + pos, len, 1);
			do {
				frame = stw_flows_next(f.flows, id, &data, at(1));
				rest[frame.kind]++;
				if (frame.kind == STW_FRAME_PING) {
					pings += frame.bytes / 4;
					frames++;
				}
			} while (frame.kind != STW_FRAME_MORE);
		}
		assert_int_equal(pings, PINGS);
		assert_in_range(frames, 1, reads[r] < 4 ? PINGS : 2 * (BYTES / reads[r] + 1));
		assert_int_equal(rest[STW_FRAME_CRLF], 1);
		assert_int_equal(rest[STW_FRAME_MESSAGE], 1);
		assert_int_equal(rest[STW_FRAME_BROKEN], 0);
		fixture_done(&f);
	}
}

static void test_idle(void **state)
{
	struct fixture f;
	struct stw_flow_id id, closed;
	bool half = true;

	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	assert_int_equal(expire(&f, IDLE_MS - 1, &closed, &half), 0);
	feed(&f, id, "\r\n\r\n", 4, IDLE_MS - 1);
	assert_int_equal(next(&f, id, IDLE_MS - 1), STW_FRAME_PING);
	assert_int_equal(next(&f, id, IDLE_MS - 1), STW_FRAME_MORE);
	assert_int_equal(expire(&f, IDLE_MS + 10, &closed, &half), 0);
	stw_flows_sent(f.flows, id, at(IDLE_MS + 20));
	assert_int_equal(expire(&f, 2 * IDLE_MS + 19, &closed, &half), 0);
	assert_int_equal(stw_flows_count(f.flows), 1);
	assert_int_equal(expire(&f, 2 * IDLE_MS + 20, &closed, &half), 1);
	assert_true(stw_flow_id_equal(closed, id));
	assert_false(half);
	assert_int_equal(stw_flows_count(f.flows), 0);
	fixture_done(&f);
}

/* Half a message and silence; and one that trickles so that the flow is never idle. */
static void test_slow_message(void **state)
{
	struct fixture f;
	struct stw_flow_id id, closed;
	bool half = false;

	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	feed(&f, id, message, 40, 1000);
	assert_int_equal(next(&f, id, 1000), STW_FRAME_MORE);
	assert_int_equal(expire(&f, 1000 + MESSAGE_MS - 1, &closed, &half), 0);
	feed(&f, id, message + 40, 1, 1000 + MESSAGE_MS - 1);
	assert_int_equal(next(&f, id, 1000 + MESSAGE_MS - 1), STW_FRAME_MORE);
	assert_int_equal(expire(&f, 1000 + MESSAGE_MS, &closed, &half), 1);
	assert_true(half);
	assert_int_equal(stw_flows_count(f.flows), 0);
	fixture_done(&f);
}

/* A message that completes stops the message time; what begins behind it has its own. */
static void test_message_time_starts_anew(void **state)
{
	struct fixture f;
	struct stw_flow_id id, closed;
	bool half = false;

	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	feed(&f, id, message, 40, 1000);
	assert_int_equal(next(&f, id, 1000), STW_FRAME_MORE);
	feed(&f, id, message + 40, MESSAGE_LEN - 40, 4000);
	assert_message(&f, id, 4000);
	feed(&f, id, "O", 1, 4000);
	assert_int_equal(next(&f, id, 4000), STW_FRAME_MORE);
	assert_int_equal(expire(&f, 4000 + MESSAGE_MS - 1, &closed, &half), 0);
	feed(&f, id, message + 1, MESSAGE_LEN - 1, 4000 + MESSAGE_MS - 1);
	assert_message(&f, id, 4000 + MESSAGE_MS - 1);
	assert_int_equal(next(&f, id, 4000 + MESSAGE_MS - 1), STW_FRAME_MORE);
	assert_int_equal(expire(&f, 4000 + MESSAGE_MS + IDLE_MS - 2, &closed, &half), 0);
	assert_int_equal(expire(&f, 4000 + MESSAGE_MS + IDLE_MS - 1, &closed, &half), 1);
	assert_false(half);
	fixture_done(&f);
}

static void test_no_time_limits(void **state)
{
	struct stw_flow_limits limits = { .max_flows = 1, .max_per_source = 1 };
	struct stw_hop hop = hop_of("192.0.2.4", 1, 1, 1);
	struct fixture f = { 0 };

	limits.message = stw_msg_limits_default;
	stw_wheel_init(&f.wheel, 0);
	assert_int_equal(stw_flows_new(&limits, &f.wheel, key, &f.flows), 0);
	assert_int_equal(stw_flows_opened(f.flows, &hop, true, at(0)), 0);
	feed(&f, hop.flow, "OPT", 3, 1);
	assert_int_equal(next(&f, hop.flow, 1), STW_FRAME_MORE);
	assert_int_equal(f.wheel.count, 0);
	fixture_done(&f);
}

static void test_limits(void **state)
{
	struct fixture f;
	struct stw_hop hop;

	fixture_init(&f, 4, 2);
	open_flow(&f, 1);
	open_flow(&f, 2);
	hop = hop_of("192.0.2.4", 5060, 3, 1);
	assert_ptr_equal(
		stw_flows_refusal(f.flows, &hop.remote, true), &stw_cause_flow_limit_source);
	assert_int_equal(stw_flows_opened(f.flows, &hop, true, at(0)), -ENOBUFS);
	/* what we open ourselves does not count for the source */
	assert_null(stw_flows_refusal(f.flows, &hop.remote, false));
	assert_int_equal(stw_flows_opening(f.flows, &hop, at(0)), 0);
	assert_int_equal(stw_flows_opened(f.flows, &hop, false, at(0)), 0);
	hop = hop_of("192.0.2.5", 5060, 4, 1);
	assert_int_equal(stw_flows_opened(f.flows, &hop, true, at(0)), 0);
	hop = hop_of("192.0.2.6", 5060, 5, 1);
	assert_ptr_equal(stw_flows_refusal(f.flows, &hop.remote, true), &stw_cause_flow_limit);
	assert_int_equal(stw_flows_opened(f.flows, &hop, true, at(0)), -ENOBUFS);
	assert_int_equal(stw_flows_opening(f.flows, &hop, at(0)), -ENOBUFS);
	assert_int_equal(stw_flows_count(f.flows), 4);

	/* one that closes makes room, in all and for its source */
	stw_flows_closed(f.flows, (struct stw_flow_id){ 1, 1, 1 });
	hop = hop_of("192.0.2.4", 5061, 5, 1);
	assert_int_equal(stw_flows_opened(f.flows, &hop, true, at(0)), 0);
	fixture_done(&f);
}

static void test_find(void **state)
{
	struct fixture f;
	struct stw_hop opening = hop_of("192.0.2.9", 5060, 7, 1), open, got;
	struct stw_flow_id id;

	fixture_init(&f, 10, 10);
	assert_int_equal(stw_flows_find(f.flows, STW_TRANSPORT_TCP, &opening.remote, &id), -ENOENT);
	assert_int_equal(stw_flows_opening(f.flows, &opening, at(0)), 0);
	assert_int_equal(stw_flows_find(f.flows, STW_TRANSPORT_TCP, &opening.remote, &id), 0);
	assert_int_equal(id.slot, 7);
	assert_int_equal(stw_flows_find(f.flows, STW_TRANSPORT_TLS, &opening.remote, &id), -ENOENT);

	/* open is preferred to opening, whichever came first */
	open = hop_of("192.0.2.9", 5060, 8, 1);
	open.listener = 3;
	assert_int_equal(stw_flows_opened(f.flows, &open, true, at(0)), 0);
	assert_int_equal(stw_flows_find(f.flows, STW_TRANSPORT_TCP, &opening.remote, &id), 0);
	assert_int_equal(id.slot, 8);
	opening.flow.slot = 9;
	assert_int_equal(stw_flows_opening(f.flows, &opening, at(0)), 0);
	assert_int_equal(stw_flows_find(f.flows, STW_TRANSPORT_TCP, &opening.remote, &id), 0);
	assert_int_equal(id.slot, 8);
	assert_true(stw_flows_hop(f.flows, id, &got));
	assert_int_equal(got.listener, 3);
	assert_true(stw_addr_equal(&got.remote, &open.remote));

	/* framing lost: about to be closed, nothing new goes there */
	feed(&f, id, "X\r\n\r\n", 5, 0);
	assert_int_equal(next(&f, id, 0), STW_FRAME_BROKEN);
	assert_int_equal(stw_flows_find(f.flows, STW_TRANSPORT_TCP, &opening.remote, &id), 0);
	assert_int_not_equal(id.slot, 8);
	fixture_done(&f);
}

/* Connected: the local address and listener become known. */
static void test_opening_becomes_open(void **state)
{
	struct fixture f;
	struct stw_hop hop = hop_of("192.0.2.9", 5060, 7, 1), got;

	fixture_init(&f, 1, 1);
	assert_int_equal(stw_flows_opening(f.flows, &hop, at(0)), 0);
	hop.listener = 2;
	hop.local = hop_of("192.0.2.1", 40000, 0, 1).remote;
	assert_int_equal(stw_flows_opened(f.flows, &hop, false, at(5)), 0);
	assert_int_equal(stw_flows_count(f.flows), 1);
	assert_true(stw_flows_hop(f.flows, hop.flow, &got));
	assert_int_equal(got.listener, 2);
	assert_true(stw_addr_equal(&got.local, &hop.local));
	fixture_done(&f);
}

/* The slot is used again: the old name names nothing. */
static void test_generation(void **state)
{
	struct fixture f;
	struct stw_hop first = hop_of("192.0.2.4", 40000, 5, 1), second, got;
	struct stw_flow_id other_worker;
	const char *data;

	fixture_init(&f, 10, 10);
	assert_int_equal(stw_flows_opened(f.flows, &first, true, at(0)), 0);
	feed(&f, first.flow, message, 50, 0);
	stw_flows_closed(f.flows, first.flow);
	second = hop_of("192.0.2.5", 40001, 5, 2);
	assert_int_equal(stw_flows_opened(f.flows, &second, true, at(0)), 0);

	assert_false(stw_flows_hop(f.flows, first.flow, &got));
	assert_int_equal(stw_flows_bytes(f.flows, first.flow, "x", 1, at(0)), -ENOENT);
	assert_int_equal(stw_flows_next(f.flows, first.flow, &data, at(0)).kind, STW_FRAME_MORE);
	stw_flows_sent(f.flows, first.flow, at(0));
	stw_flows_closed(f.flows, first.flow);
	other_worker = second.flow;
	other_worker.worker = 2;
	assert_false(stw_flows_hop(f.flows, other_worker, &got));
	assert_true(stw_flows_hop(f.flows, second.flow, &got));
	assert_int_equal(got.remote.port, 40001);
	feed(&f, second.flow, message, MESSAGE_LEN, 0);
	assert_message(&f, second.flow, 0);
	fixture_done(&f);
}

static void test_broken(void **state)
{
	static const char broken[] = "OPTIONS sip:a SIP/2.0\r\nContent-Length: x\r\n\r\nrest";
	struct fixture f;
	struct stw_flow_id id;
	struct stw_frame frame;
	const char *data;

	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	feed(&f, id, broken, sizeof(broken) - 1, 0);
	frame = stw_flows_next(f.flows, id, &data, at(0));
	assert_int_equal(frame.kind, STW_FRAME_BROKEN);
	assert_int_equal(frame.cause->code, 400);
	assert_memory_equal(data, broken, frame.bytes);
	assert_int_equal(next(&f, id, 0), STW_FRAME_MORE);
	/* nothing is kept any more */
	support_fail_allocation(0);
	assert_int_equal(stw_flows_bytes(f.flows, id, message, MESSAGE_LEN, at(0)), 0);
	assert_int_equal(support_allocations(), 0);
	assert_int_equal(next(&f, id, 0), STW_FRAME_MORE);
	fixture_done(&f);
}

/* However much a peer sends, one message and one read is all that is held. */
static void test_bounded(void **state)
{
	static char filler[65536];
	struct fixture f;
	struct stw_flow_id id;
	struct stw_frame frame = { .kind = STW_FRAME_MORE };
	const char *data;
	size_t sent = 0;

	memset(filler, 'x', sizeof(filler));
	fixture_init(&f, 10, 10);
	id = open_flow(&f, 1);
	feed(&f, id, "OPTIONS sip:a SIP/2.0\r\nA: ", 26, 0);
	assert_int_equal(next(&f, id, 0), STW_FRAME_MORE);
	while (frame.kind == STW_FRAME_MORE && sent <= 4 * stw_msg_limits_default.max_message) {
		feed(&f, id, filler, 1000, 0);
		sent += 1000;
		frame = stw_flows_next(f.flows, id, &data, at(0));
	}
	assert_int_equal(frame.kind, STW_FRAME_BROKEN);
	assert_int_equal(frame.cause->code, 513);

	/* nobody takes: refused */
	id = open_flow(&f, 2);
	feed(&f, id, message, MESSAGE_LEN, 0);
	assert_int_equal(stw_flows_bytes(f.flows, id, "x", 1, at(0)), -ENOBUFS);
	assert_message(&f, id, 0);
	fixture_done(&f);
}

static int open_and_feed(struct fixture *f)
{
	struct stw_hop hop = hop_of("192.0.2.4", 40000, 1, 1),
		       out = hop_of("192.0.2.9", 5060, 2, 1);
	int err = stw_flows_opened(f->flows, &hop, true, at(0));

	if (err < 0)
		return err;
	err = stw_flows_opening(f->flows, &out, at(0));
	if (err < 0)
		return err;
	feed(f, hop.flow, message, MESSAGE_LEN, 0);
	assert_message(f, hop.flow, 0);
	feed(f, hop.flow, message, 40, 0);
	return next(f, hop.flow, 0) == STW_FRAME_BROKEN ? -ENOMEM : 0;
}

/* Each allocation fails once: an error, and nothing is left behind. */
static void test_no_memory(void **state)
{
	unsigned nth;
	int err = -ENOMEM;

	for (nth = 1; err < 0; nth++) {
		struct fixture f;

		fixture_init(&f, 10, 10);
		support_fail_allocation(nth);
		err = open_and_feed(&f);
		support_fail_allocation(0);
		assert_true(err == 0 || err == -ENOMEM);
		assert_in_range(stw_flows_count(f.flows), 0, 2);
		stw_flows_closed(f.flows, (struct stw_flow_id){ 1, 1, 1 });
		stw_flows_closed(f.flows, (struct stw_flow_id){ 1, 2, 1 });
		assert_int_equal(stw_flows_count(f.flows), 0);
		assert_int_equal(f.wheel.count, 0);
		assert_int_equal(open_and_feed(&f), 0);
		fixture_done(&f);
	}
	assert_true(nth > 6);
}

static void test_new_without_memory(void **state)
{
	struct stw_flow_limits limits = { .max_flows = 1 };
	struct stw_flows *flows = NULL;
	struct stw_wheel wheel;

	stw_wheel_init(&wheel, 0);
	support_fail_allocation(1);
	assert_int_equal(stw_flows_new(&limits, &wheel, key, &flows), -ENOMEM);
	support_fail_allocation(0);
	assert_null(flows);
	assert_null(stw_flows_free(NULL));
}

/* Ten thousand idle flows, each after a message and a ping: what does one cost? */
static void test_cost_of_idle_flows(void **state)
{
	const unsigned count = 10000;
	struct stw_flow_id closed;
	struct fixture f;
	size_t before, bytes;
	bool half;

	fixture_init(&f, count, count);
	before = mallinfo2().uordblks;
	for (uint32_t i = 0; i < count; i++) {
		struct stw_hop hop = hop_of("198.51.100.0", 40000, i, 1);

		hop.remote.ip[2] = (uint8_t)(i >> 8);
		hop.remote.ip[3] = (uint8_t)i;
		assert_int_equal(stw_flows_opened(f.flows, &hop, true, at(i)), 0);
		assert_int_equal(
			stw_flows_bytes(f.flows, hop.flow, message, MESSAGE_LEN, at(i)), 0);
		assert_message(&f, hop.flow, i);
		assert_int_equal(stw_flows_bytes(f.flows, hop.flow, "\r\n\r\n", 4, at(i)), 0);
		assert_int_equal(next(&f, hop.flow, i), STW_FRAME_PING);
		assert_int_equal(next(&f, hop.flow, i), STW_FRAME_MORE);
	}
	bytes = (mallinfo2().uordblks - before) / count;
	print_message("bytes per idle flow: %zu\n", bytes);
	assert_in_range(bytes, 0, 512);
	assert_int_equal(expire(&f, count + IDLE_MS, &closed, &half), count);
	assert_int_equal(stw_flows_count(f.flows), 0);
	fixture_done(&f);
}

/* ---- several workers --------------------------------------------------------------------- */

#define ROUNDS 10000
/* Its slot has a new flow before the end of the old one is told: the new one lives for the others,
 * until it ends itself. */
static void test_successor_lives(void **state)
{
	struct stw_flow_limits limits = {
		.max_flows = 10, .max_per_source = 10, .message = stw_msg_limits_default
	};
	struct stw_hop old = hop_of("192.0.2.4", 40000, 5, 7),
		       young = hop_of("192.0.2.4", 40001, 5, 8);
	struct stw_flows *flows, *others;
	struct stw_wheel wheel;
	struct stw_hop hop;

	stw_wheel_init(&wheel, 0);
	assert_int_equal(stw_flow_registry_new(2, 10, 10, key, &limits.registry), 0);
	assert_int_equal(stw_flows_new(&limits, &wheel, key, &others), 0);
	limits.worker = 1;
	assert_int_equal(stw_flows_new(&limits, &wheel, key, &flows), 0);

	assert_int_equal(stw_flows_opened(flows, &old, true, at(0)), 0);
	assert_true(stw_flows_hop(others, old.flow, &hop));
	assert_int_equal(stw_flows_opened(flows, &young, true, at(0)), 0);
	stw_flows_closed(flows, old.flow);
	assert_false(stw_flows_hop(others, old.flow, &hop));
	assert_true(stw_flows_hop(others, young.flow, &hop));
	stw_flows_closed(flows, young.flow);
	assert_false(stw_flows_hop(others, young.flow, &hop));

	stw_flows_free(flows);
	stw_flows_free(others);
	stw_flow_registry_free(limits.registry);
}

#define SPINS 2000 /* then the machine has another use for the CPU */
/* Where others use the CPUs the two wait for each other, and each round takes milliseconds. */
#define RACE_S       60
#define ROUNDS_LEAST 100

/* Two workers that take a connection of the same address at the same moment. */
struct racer {
	pthread_t thread;
	struct stw_flow_registry *registry;
	uint16_t worker;
	atomic_uint *rounds;   /* how many there will be */
	atomic_uint *ready;    /* both count up to where they meet */
	atomic_uint *admitted; /* in this round */
	unsigned wrong;        /* rounds that did not admit just one */
};

static void racers_meet(atomic_uint *ready, unsigned count)
{
	atomic_fetch_add(ready, 1);
	for (unsigned spins = 0; atomic_load(ready) < count; spins++) {
		if (spins > SPINS)
			sched_yield();
	}
}

static void *race(void *context)
{
	struct racer *racer = context;
	struct stw_flow_limits limits = { .registry = racer->registry,
		.worker = racer->worker,
		.max_flows = 100,
		.max_per_source = 1,
		.message = stw_msg_limits_default };
	struct stw_hop hop = { .transport = STW_TRANSPORT_TCP,
		.flow = { .worker = racer->worker, .slot = 1, .generation = 1 },
		.remote = { .family = 4, .ip = { 192, 0, 2, 1 }, .port = 5060 } };
	time_t end = time(NULL) + RACE_S;
	struct stw_flows *flows;
	struct stw_wheel wheel;

	stw_wheel_init(&wheel, 0);
	if (stw_flows_new(&limits, &wheel, key, &flows) < 0)
		abort();
	for (unsigned round = 0; round < atomic_load(racer->rounds); round++) {
		if (racer->worker == 0 && time(NULL) > end)
			atomic_store(racer->rounds, round + 1);
		racers_meet(racer->ready, 6 * round + 2);
		atomic_fetch_add(racer->admitted, stw_flows_opened(flows, &hop, true, at(0)) == 0);
		racers_meet(racer->ready, 6 * round + 4);
		racer->wrong += atomic_load(racer->admitted) != round + 1;
		stw_flows_closed(flows, hop.flow);
		racers_meet(racer->ready, 6 * round + 6);
	}
	stw_flows_free(flows);
	return NULL;
}

static void test_limit_per_source_of_two_workers(void **state)
{
	atomic_uint rounds = ROUNDS, ready = 0, admitted = 0;
	struct stw_flow_registry *registry;
	struct racer racers[2];

	assert_int_equal(stw_flow_registry_new(2, 10, 100, key, &registry), 0);
	for (uint16_t i = 0; i < 2; i++)
		racers[i] = (struct racer){ .registry = registry,
			.worker = i,
			.rounds = &rounds,
			.ready = &ready,
			.admitted = &admitted };
	assert_int_equal(pthread_create(&racers[1].thread, NULL, race, &racers[1]), 0);
	race(&racers[0]);
	pthread_join(racers[1].thread, NULL);
	assert_int_equal(racers[0].wrong, 0);
	assert_int_equal(racers[1].wrong, 0);
	assert_in_range(rounds, ROUNDS_LEAST, ROUNDS);
	stw_flow_registry_free(registry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_ping_pong),
		cmocka_unit_test(test_pings_together),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_slow_message),
		cmocka_unit_test(test_message_time_starts_anew),
		cmocka_unit_test(test_no_time_limits),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_opening_becomes_open),
		cmocka_unit_test(test_generation),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_leaves_in_time),
		cmocka_unit_test(test_copies_little),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_new_without_memory),
		cmocka_unit_test(test_cost_of_idle_flows),
		cmocka_unit_test(test_successor_lives),
		cmocka_unit_test(test_limit_per_source_of_two_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
