/* SPDX-License-Identifier: Apache-2.0 */
/* Two stacks joined by rings, in virtual time and without threads. */
#include "lab.h"

struct pair {
	struct stw_workers *workers;
	struct lab *labs[2];
	unsigned woken[2];
};

static void pair_wake(void *context, unsigned worker)
{
	((struct pair *)context)->woken[worker]++;
}

static void pair_init_with(struct pair *pair, size_t ring_places, uint32_t max_transactions)
{
	struct stw_workers_options options = { .n = 2,
		.key = { 7, 11 },
		.max_flows = 100,
		.flow_slots = 256,
		.ring_places = ring_places,
		.wake = pair_wake,
		.wake_context = pair };

	*pair = (struct pair){ 0 };
	assert_int_equal(stw_workers_new(&options, &pair->workers), 0);
	for (unsigned i = 0; i < 2; i++) {
		pair->labs[i] = lab_new_worker(pair->workers, i, max_transactions);
		lab_target(pair->labs[i], "sip:bob@192.0.2.2:5060");
	}
}

static void pair_init(struct pair *pair, size_t ring_places)
{
	pair_init_with(pair, ring_places, 4096);
}

static void pair_done(struct pair *pair)
{
	for (unsigned i = 0; i < 2; i++)
		lab_free(pair->labs[i]);
	stw_workers_free(pair->workers);
}

/* What waits in the rings of this worker. */
static void pair_take(struct pair *pair, unsigned worker)
{
	struct lab *lab = pair->labs[worker];

	stw_stack_begin(lab->stack, lab->now);
	stw_stack_handed(lab->stack);
	lab_end(lab);
}

/* A Call-ID that belongs to this worker. */
static const char *call_of(const struct pair *pair, unsigned worker)
{
	static char text[2][32];

	for (unsigned i = 0;; i++) {
		snprintf(text[worker], sizeof(text[worker]), "call-%u", i);
		if (stw_workers_owner(pair->workers, stw_str_from(text[worker])) == worker)
			return text[worker];
	}
}

static const char *request_of(const char *method, const char *transport, const char *call_id)
{
	static char text[1000];

	snprintf(text, sizeof(text),
		"%s sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/%s "
		"192.0.2.1:5060;branch=z9hG4bK-1\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\n"
		"To: <sip:bob@example.com>\r\nCall-ID: %s\r\nCSeq: 1 %s\r\nContent-Length: "
		"0\r\n\r\n",
		method, transport, call_id, method);
	return text;
}

static struct stw_hop stream_hop(unsigned worker, uint32_t slot)
{
	struct stw_hop hop = hop_at(STW_TRANSPORT_TCP, "192.0.2.1", 40000);

	hop.flow =
		(struct stw_flow_id){ .worker = (uint16_t)worker, .slot = slot, .generation = 1 };
	return hop;
}

static void flow_opens(struct lab *lab, struct stw_hop hop)
{
	struct stw_io_event event = { .kind = STW_IO_OPENED, .incoming = true, .hop = hop };

	lab_event(lab, &event);
}

/* Worker 0 has a connection of the caller. */
static void pair_init_flow(struct pair *pair, size_t ring_places)
{
	pair_init(pair, ring_places);
	flow_opens(pair->labs[0], stream_hop(0, 3));
}

/* By that connection: a request of a call that belongs to this worker. */
static void flow_brings(struct pair *pair, const char *method, unsigned owner)
{
	lab_receive(
		pair->labs[0], stream_hop(0, 3), request_of(method, "TCP", call_of(pair, owner)));
}

/* A datagram of a call of `owner` is read by this worker. */
static void datagram_brings(struct pair *pair, unsigned worker, const char *method, unsigned owner)
{
	lab_receive(pair->labs[worker], caller(), request_of(method, "UDP", call_of(pair, owner)));
}

/* What worker 1 forwards is for a phone behind that connection. */
static void flow_is_the_target(struct pair *pair)
{
	struct stw_proxy_target *target = &pair->labs[1]->targets[0];

	target->has_hop = target->hop_only = true;
	target->hop = stream_hop(0, 3);
}

static struct stw_stack_stats stats_of(const struct pair *pair, unsigned worker)
{
	struct stw_stack_stats stats;

	stw_stack_stats(pair->labs[worker]->stack, &stats);
	return stats;
}

static void sent_begins(const struct lab *lab, unsigned index, const char *start)
{
	assert_true(index < lab->sent_count);
	assert_memory_equal(lab->sent[index].text, start, strlen(start));
}

static void test_call_of_another_worker(void **state)
{
	struct pair pair;

	pair_init(&pair, 0);
	datagram_brings(&pair, 0, "INVITE", 1);
	assert_int_equal(pair.labs[0]->sent_count, 0);
	assert_int_equal(stats_of(&pair, 0).handed_out, 1);
	assert_int_equal(stats_of(&pair, 0).requests_in, 0);
	pair_take(&pair, 1);
	assert_int_equal(stats_of(&pair, 1).handed_in, 1);
	assert_int_equal(stats_of(&pair, 1).requests_in, 1);
	/* The 100 and the INVITE leave from the worker that owns the call. */
	assert_int_equal(pair.labs[1]->sent_count, 2);
	sent_begins(pair.labs[1], 1, "INVITE");
	assert_int_equal(pair.labs[0]->sent_count, 0);
	pair_done(&pair);
}

/* Its response arrives at the other worker and finds the transaction by its branch. */
static void test_response_goes_where_its_branch_says(void **state)
{
	struct pair pair;
	char response[1000], via[200];
	const char *start, *end;

	pair_init(&pair, 0);
	datagram_brings(&pair, 0, "MESSAGE", 1);
	pair_take(&pair, 1);
	assert_int_equal(pair.labs[1]->sent_count, 1);
	start = strstr(pair.labs[1]->sent[0].text, "Via: ");
	end = strstr(start, "\r\n");
	snprintf(via, sizeof(via), "%.*s", (int)(end - start), start);
	snprintf(response, sizeof(response),
		"SIP/2.0 200 OK\r\n%s\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1\r\n"
		"From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\n"
		"Call-ID: %s\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n",
		via, call_of(&pair, 0));
	lab_receive(pair.labs[0], callee(), response);
	pair_take(&pair, 1);
	assert_int_equal(pair.labs[1]->sent_count, 2);
	sent_begins(pair.labs[1], 1, "SIP/2.0");
	pair_done(&pair);
}

/* What has to leave on a connection goes back to the worker that has it. */
static void test_response_on_a_flow_of_another_worker(void **state)
{
	struct pair pair;

	pair_init_flow(&pair, 0);
	pair.labs[1]->answers_options = true;
	flow_brings(&pair, "OPTIONS", 1);
	pair_take(&pair, 1);
	assert_int_equal(pair.labs[1]->sent_count, 0);
	assert_int_equal(pair.labs[1]->opened, 0);
	pair_take(&pair, 0);
	assert_int_equal(pair.labs[0]->sent_count, 1);
	sent_begins(pair.labs[0], 0, "SIP/2.0");
	pair_done(&pair);
}

/* A worker that sent on a flow hears of its end, and its branch fails at once. */
static void test_end_of_a_flow_is_told(void **state)
{
	struct pair pair;

	pair_init_flow(&pair, 0);
	flow_is_the_target(&pair);
	datagram_brings(&pair, 1, "MESSAGE", 1);
	pair_take(&pair, 0);
	assert_int_equal(pair.labs[0]->sent_count, 1);
	assert_int_equal(pair.labs[1]->sent_count, 0);
	flow_closes(pair.labs[0], stream_hop(0, 3), 0);
	pair_take(&pair, 1);
	assert_int_equal(pair.labs[1]->sent_count, 1);
	sent_begins(pair.labs[1], 0, "SIP/2.0");
	/* And from now on it knows without asking. */
	datagram_brings(&pair, 1, "OPTIONS", 1);
	assert_int_equal(pair.labs[1]->sent_count, 2);
	pair_done(&pair);
}

/* The flow ends between the question whether it lives and the arrival of the bytes. */
static void test_flow_ends_on_the_way(void **state)
{
	struct pair pair;

	pair_init_flow(&pair, 0);
	flow_is_the_target(&pair);
	datagram_brings(&pair, 1, "MESSAGE", 1);
	flow_closes(pair.labs[0], stream_hop(0, 3), 0);
	pair_take(&pair, 0);
	assert_int_equal(pair.labs[0]->sent_count, 0);
	assert_int_equal(pair.labs[0]->dropped, 1);
	pair_take(&pair, 1);
	assert_int_equal(pair.labs[1]->sent_count, 1);
	pair_done(&pair);
}

/* Worker 0 opens a connection to where a caller is named; worker 1, whose request of his came by
 * one that is gone, finds that for its response (§18.2.2). */
static void answer_on_an_opening_flow(struct pair *pair)
{
	const char *text, *host;
	char named[1000];

	pair_init(pair, 0);
	pair->labs[0]->targets[0].uri = STW_STR("sip:alice@192.0.2.1;transport=tcp");
	datagram_brings(pair, 0, "MESSAGE", 0);
	assert_int_equal(pair->labs[0]->opened, 1);
	flow_opens(pair->labs[1], stream_hop(1, 3));
	text = request_of("MESSAGE", "TCP", call_of(pair, 1));
	host = strstr(text, "192.0.2.1:5060");
	snprintf(named, sizeof(named), "%.*sphone.example.com:5060%s", (int)(host - text), text,
		host + strlen("192.0.2.1:5060"));
	lab_receive(pair->labs[1], stream_hop(1, 3), named);
	flow_closes(pair->labs[1], stream_hop(1, 3), 0);
	lab_receive(pair->labs[1], callee(), response_text(&pair->labs[1]->sent[0], "200 OK"));
	lab_wait(pair->labs[1], 6000); /* Timer K */
	assert_int_equal(pair->labs[1]->opened, 0);
	assert_int_equal(stats_of(pair, 1).requests, 1);
}

/* RFC 3263 §5: it is refused, and worker 1 looks for another place. */
static void test_opening_flow_of_another_worker_fails(void **state)
{
	struct pair pair;

	answer_on_an_opening_flow(&pair);
	pair_take(&pair, 0);
	flow_closes(pair.labs[0], pair.labs[0]->sent[0].hop, ECONNREFUSED);
	pair_take(&pair, 1);
	assert_int_equal(pair.labs[1]->asked, 1);
	pair_done(&pair);
}

/* It opens, before or after the response has come there: the request is over. */
static void test_opening_flow_of_another_worker_opens(void **state)
{
	for (unsigned before = 0; before < 2; before++) {
		struct stw_io_event opened = { .kind = STW_IO_OPENED };
		struct pair pair;

		answer_on_an_opening_flow(&pair);
		opened.hop = pair.labs[0]->sent[0].hop;
		if (before)
			lab_event(pair.labs[0], &opened);
		pair_take(&pair, 0);
		if (!before)
			lab_event(pair.labs[0], &opened);
		sent_begins(pair.labs[0], 1, "SIP/2.0 200");
		pair_take(&pair, 1);
		assert_int_equal(stats_of(&pair, 1).requests, 0);
		assert_int_equal(pair.labs[1]->asked, 0);
		pair_done(&pair);
	}
}

/* §18.2.2: the flow of a request ends while the response is on the way to it: sent-by is next. */
static void test_flow_ends_before_a_response(void **state)
{
	struct pair pair;

	pair_init_flow(&pair, 0);
	pair.labs[1]->answers_options = true;
	flow_brings(&pair, "OPTIONS", 1);
	pair_take(&pair, 1);
	flow_closes(pair.labs[0], stream_hop(0, 3), 0);
	pair_take(&pair, 0);
	assert_int_equal(pair.labs[0]->opened, 1);
	assert_int_equal(pair.labs[0]->sent_count, 1);
	sent_begins(pair.labs[0], 0, "SIP/2.0 200");
	assert_int_equal(pair.labs[0]->sent[0].hop.remote.port, 5060);
	pair_done(&pair);
}

/* §18.1.1: a large request waits a second for a connection of another worker, too; and a phone that
 * has ended its side at another worker gets no call. */
static void test_flow_of_another_worker_is_opening(void **state)
{
	struct pair pair;

	pair_init(&pair, 0);
	pair.labs[0]->targets[0].uri = STW_STR("sip:bob@192.0.2.2;transport=tcp");
	datagram_brings(&pair, 0, "MESSAGE", 0);
	lab_receive_large(
		pair.labs[1], caller(), request_of("MESSAGE", "UDP", call_of(&pair, 1)), 1500);
	assert_int_equal(pair.labs[1]->sent_count, 0);
	lab_wait(pair.labs[1], 1100);
	assert_int_equal(pair.labs[1]->sent_count, 1);
	assert_int_equal(pair.labs[1]->sent[0].hop.transport, STW_TRANSPORT_UDP);
	pair_done(&pair);
}

static void test_flow_of_another_worker_is_leaving(void **state)
{
	struct pair pair;

	pair_init_flow(&pair, 0);
	flow_brings(&pair, "MESSAGE", 0);
	flow_ends(pair.labs[0], stream_hop(0, 3));
	flow_is_the_target(&pair);
	datagram_brings(&pair, 1, "MESSAGE", 1);
	assert_int_equal(pair.labs[1]->sent_count, 1);
	sent_begins(pair.labs[1], 0, "SIP/2.0 480");
	pair_done(&pair);
}

/* It begins to leave while a request is on the way to it: nothing would be heard of that, so it has
 * failed at once and nothing is said. An ACK is not answered. */
static void test_flow_begins_to_leave_on_the_way(void **state)
{
	static const struct {
		const char *method;
		unsigned said, failed;
	} cases[] = { { "MESSAGE", 0, 1 }, { "ACK", 1, 0 } };

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct pair pair;

		pair_init_flow(&pair, 0);
		flow_brings(&pair, "MESSAGE", 0);
		flow_is_the_target(&pair);
		datagram_brings(&pair, 1, cases[i].method, 1);
		flow_ends(pair.labs[0], stream_hop(0, 3));
		pair_take(&pair, 0);
		assert_int_equal(pair.labs[0]->sent_count, 1 + cases[i].said);
		assert_int_equal(pair.labs[0]->closed, 0);
		pair_take(&pair, 1);
		assert_int_equal(pair.labs[1]->sent_count, cases[i].failed);
		if (cases[i].failed)
			sent_begins(pair.labs[1], 0, "SIP/2.0 500");
		pair_done(&pair);
	}
}

/* A datagram finds room or is dropped with a word. New requests leave some to what ends or answers
 * others. */
static void test_full_ring_drops_datagrams(void **state)
{
	struct pair pair;

	pair_init(&pair, 8);
	for (unsigned i = 0; i < 8; i++)
		lab_receive(
			pair.labs[0], caller(), request_of("MESSAGE", "UDP", call_of(&pair, 1)));
	assert_int_equal(stats_of(&pair, 0).handed_out, 6);
	assert_int_equal(stats_of(&pair, 0).handed_lost, 2);
	assert_int_equal(pair.labs[0]->dropped, 2);
	lab_receive(pair.labs[0], caller(), request_of("ACK", "UDP", call_of(&pair, 1)));
	lab_receive(pair.labs[0], caller(), request_of("BYE", "UDP", call_of(&pair, 1)));
	assert_int_equal(pair.labs[0]->dropped, 2);
	lab_receive(pair.labs[0], caller(), request_of("BYE", "UDP", call_of(&pair, 1)));
	assert_int_equal(pair.labs[0]->dropped, 3);
	assert_false(pair.labs[0]->holds);
	pair_take(&pair, 1);
	assert_int_equal(stats_of(&pair, 1).handed_in, 8);
	pair_done(&pair);
}

/* Anybody can forge errors of ICMP: they leave room in the rings for messages, and cost no more
 * than is afforded. */
static void test_errors_of_icmp_leave_room(void **state)
{
	struct stw_io_event forged = { .kind = STW_IO_SEND_FAILED,
		.hop = hop_at(STW_TRANSPORT_UDP, "192.0.2.77", 5060),
		.error = ECONNREFUSED };
	struct pair pair;

	pair_init(&pair, 64);
	for (unsigned i = 0; i < 10000; i++)
		lab_event(pair.labs[0], &forged);
	assert_int_equal(stats_of(&pair, 0).handing, 0);
	for (unsigned i = 0; i < 32; i++)
		lab_receive(pair.labs[0], caller(),
			request_of(i < 16 ? "MESSAGE" : "BYE", "UDP", call_of(&pair, 1)));
	assert_int_equal(stats_of(&pair, 0).handed_out, 32);
	assert_int_equal(pair.labs[0]->dropped, 0);
	pair_take(&pair, 1);
	pair_done(&pair);
}

/* Beyond what is afforded none is told, however much room there is. */
static void test_errors_of_icmp_are_afforded(void **state)
{
	struct stw_io_event forged = { .kind = STW_IO_SEND_FAILED,
		.hop = hop_at(STW_TRANSPORT_UDP, "192.0.2.77", 5060),
		.error = ECONNREFUSED };
	struct pair pair;

	pair_init(&pair, 0);
	for (unsigned i = 0; i < 200000; i++) {
		lab_event(pair.labs[0], &forged);
		if (i % 1000 == 0)
			pair_take(&pair, 1);
	}
	while (!stw_workers_quiet(pair.workers))
		pair_take(&pair, 1);
	lab_event(pair.labs[0], &forged);
	assert_true(stw_workers_quiet(pair.workers));
	pair_done(&pair);
}

/* Messages of streams wait in half of the ring and then here, all that a poll can bring: streams
 * are not read until the last has been handed over. Datagrams go past them. */
static void test_full_ring_holds_streams(void **state)
{
	enum { MANY = 6000 };
	struct pair pair;
	unsigned turns = 0;

	pair_init(&pair, 64);
	flow_opens(pair.labs[0], stream_hop(0, 3));
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(pair.labs[0]->holds, i > 32);
		lab_receive(pair.labs[0], stream_hop(0, 3),
			request_of("MESSAGE", "TCP", call_of(&pair, 1)));
	}
	assert_int_equal(stats_of(&pair, 0).handed_out, MANY);
	assert_int_equal(stats_of(&pair, 0).handing, MANY - 32);
	assert_int_equal(stw_stack_next(pair.labs[0]->stack), pair.labs[0]->now.mono_ms + 1);
	for (unsigned i = 0; i < 32; i++)
		lab_receive(pair.labs[0], caller(),
			request_of(i < 16 ? "OPTIONS" : "BYE", "UDP", call_of(&pair, 1)));
	for (; stats_of(&pair, 1).handed_in < MANY + 32; turns++) {
		assert_true(pair.labs[0]->holds || stats_of(&pair, 0).handing == 0);
		pair_take(&pair, 1);
		pair_take(&pair, 0);
	}
	assert_in_range(turns, MANY / 64, MANY / 32 + 1);
	assert_false(pair.labs[0]->holds);
	assert_int_equal(stats_of(&pair, 0).handed_lost, 0);
	assert_int_equal(pair.labs[0]->dropped + pair.labs[0]->closed, 0);
	pair_done(&pair);
}

/* What others hand over is taken as fast as they can read it. */
static void test_turn_takes_what_a_poll_brings(void **state)
{
	enum { MANY = 500 };
	struct pair pair;

	pair_init(&pair, 0);
	flow_opens(pair.labs[0], stream_hop(0, 3));
	for (unsigned i = 0; i < MANY; i++)
		lab_receive(pair.labs[0], stream_hop(0, 3),
			request_of("MESSAGE", "TCP", call_of(&pair, 1)));
	pair_take(&pair, 1);
	assert_int_equal(stats_of(&pair, 1).handed_in, MANY);
	pair_done(&pair);
}

/* Both rings are full and both workers have more: each takes what it got, and all is answered. */
static void test_both_rings_are_full(void **state)
{
	enum { EACH = 100 };
	struct pair pair;

	pair_init(&pair, 4);
	for (unsigned worker = 0; worker < 2; worker++) {
		pair.labs[worker]->answers_options = true;
		flow_opens(pair.labs[worker], stream_hop(worker, 3));
		for (unsigned i = 0; i < EACH; i++)
			lab_receive(pair.labs[worker], stream_hop(worker, 3),
				request_of("OPTIONS", "TCP", call_of(&pair, !worker)));
	}
	for (unsigned i = 0; i < 3 * EACH; i++) {
		assert_true(i > 0 || (pair.labs[0]->holds && pair.labs[1]->holds));
		pair_take(&pair, i % 2);
	}
	for (unsigned worker = 0; worker < 2; worker++) {
		assert_int_equal(pair.labs[worker]->sent_count, EACH);
		assert_false(pair.labs[worker]->holds);
		assert_int_equal(stats_of(&pair, worker).handed_lost, 0);
		assert_int_equal(pair.labs[worker]->closed + pair.labs[worker]->dropped, 0);
	}
	pair_done(&pair);
}

/* Answers for connections of a worker that does not move wait, more of them than requests do. */
static void test_answers_wait(void **state)
{
	enum { MANY = 12000 };
	struct pair pair;

	pair_init(&pair, 0);
	pair.labs[1]->answers_options = true;
	flow_opens(pair.labs[0], stream_hop(0, 3));
	for (unsigned i = 0; i < MANY; i++) {
		lab_receive(pair.labs[0], stream_hop(0, 3),
			request_of("OPTIONS", "TCP", call_of(&pair, 1)));
		pair_take(&pair, 1);
	}
	assert_int_equal(stats_of(&pair, 1).handing, MANY - 2048);
	assert_int_equal(stats_of(&pair, 1).handed_lost, 0);
	pair.labs[1]->targets[0].has_hop = pair.labs[1]->targets[0].hop_only = true;
	pair.labs[1]->targets[0].hop = stream_hop(0, 3);
	lab_receive(pair.labs[1], caller(), request_of("MESSAGE", "UDP", call_of(&pair, 1)));
	assert_int_equal(stats_of(&pair, 1).handed_lost, 1);
	assert_memory_equal(pair.labs[1]->sent[0].text, "SIP/2.0 ", 8);
	pair_done(&pair);
}

/* ---- what has waited where it was read ------------------------------------------------ */

static void pass(struct pair *pair, unsigned ms)
{
	for (unsigned i = 0; i < 2; i++) {
		pair->labs[i]->now.mono_ms += ms;
		pair->labs[i]->now.wall_ms += ms;
	}
}

/* A new request that is read by one worker and belongs to one. @return refusals of the latter */
static unsigned waits(struct pair *pair, unsigned reader, unsigned owner, unsigned waited_ms)
{
	static unsigned number;
	char text[1000], branch[32];
	struct stw_io_event event = { .kind = STW_IO_DATAGRAM,
		.hop = caller(),
		.data = text,
		.waited_us = waited_ms * 1000,
		.queue_stands = waited_ms > 0 };
	const char *like = request_of("OPTIONS", "UDP", call_of(pair, owner)), *at;

	at = strstr(like, "z9hG4bK-1");
	snprintf(branch, sizeof(branch), "z9hG4bK-o%u", number++);
	event.len = (size_t)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - like), like, branch,
		at + strlen("z9hG4bK-1"));
	lab_event(pair->labs[reader], &event);
	if (owner != reader)
		pair_take(pair, owner);
	return pair->labs[owner]->overload_refused;
}

/* The queue of one worker stands, that of the other does not: who comes late is refused by both. */
static void test_late_at_the_other_worker(void **state)
{
	struct pair pair;
	unsigned refused = 0;

	pair_init(&pair, 0);
	pair.labs[1]->answers_options = true;
	for (unsigned i = 0; i < 30; i++) {
		refused = waits(&pair, 0, 1, 60);
		assert_int_equal(waits(&pair, 1, 1, 0), refused);
		pass(&pair, 10);
	}
	assert_in_range(refused, 19, 20);
	assert_int_equal(pair.labs[1]->sent_count, 60);
	pair_done(&pair);
}

static void count_limits(void *io, unsigned listener, enum stw_queue queue, uint32_t messages)
{
	(void)listener, (void)queue;
	((struct lab *)io)->limited += messages != UINT32_MAX;
}

/* A queue that is cut goes down at once, half of the target or not: whether it is cut is known
 * where it was read. */
static void test_cut_at_the_other_worker(void **state)
{
	struct pair pair;
	unsigned refused;

	lab_io.limit = count_limits;
	pair_init(&pair, 0);
	for (unsigned i = 0; i < 2; i++)
		pair.labs[i]->answers_options = true;
	for (unsigned i = 0; i < 30; i++) {
		waits(&pair, 0, 0, 60);
		waits(&pair, 0, 1, 60);
		pass(&pair, 10);
	}
	assert_int_equal(pair.labs[0]->limited, 1);
	assert_int_equal(pair.labs[1]->limited, 0);
	refused = waits(&pair, 0, 1, 60);
	assert_true(refused > 0);
	assert_int_equal(waits(&pair, 0, 1, 20), refused);
	pair_done(&pair);
	lab_io.limit = NULL;
}

static void ask_both(struct pair *pair)
{
	flow_opens(pair->labs[0], stream_hop(0, 3));
	for (unsigned owner = 0; owner < 2; owner++) {
		pair->labs[owner]->answers_options = true;
		flow_brings(pair, "OPTIONS", owner);
	}
	assert_int_equal(pair->labs[0]->sent_count, 1);
}

/* Who ends his side behind his requests gets the answers of all workers before we close ours. */
static void test_end_waits_for_answers(void **state)
{
	struct pair pair;

	pair_init(&pair, 0);
	ask_both(&pair);
	flow_ends(pair.labs[0], stream_hop(0, 3));
	flow_ends(pair.labs[0], stream_hop(0, 3));
	assert_int_equal(pair.labs[0]->closed, 0);
	pair_take(&pair, 1);
	pair_take(&pair, 0);
	assert_int_equal(pair.labs[0]->sent_count, 2);
	sent_begins(pair.labs[0], 1, "SIP/2.0 200");
	assert_int_equal(pair.labs[0]->closed, 1);
	assert_int_equal(stats_of(&pair, 0).flows, 0);
	pair_done(&pair);
}

/* … also those that come later: each worker says when it has answered all. */
static void test_end_waits_for_late_answers(void **state)
{
	struct pair pair;

	pair_init_flow(&pair, 0);
	for (unsigned owner = 0; owner < 2; owner++)
		flow_brings(&pair, "MESSAGE", owner);
	flow_ends(pair.labs[0], stream_hop(0, 3));
	for (unsigned owner = 0; owner < 2; owner++) {
		struct lab *lab = pair.labs[owner];

		pair_take(&pair, 1);
		pair_take(&pair, 0);
		lab_wait(pair.labs[0], 100);
		lab_wait(pair.labs[1], 100);
		assert_int_equal(pair.labs[0]->closed, 0);
		lab_receive(lab, callee(), response_text(&lab->sent[0], "200 OK"));
		lab_wait(lab, 10);
	}
	pair_take(&pair, 0);
	assert_int_equal(pair.labs[0]->closed, 1);
	assert_int_equal(pair.labs[0]->opened + pair.labs[1]->opened, 0);
	assert_memory_equal(
		pair.labs[0]->sent[pair.labs[0]->sent_count - 1].text, "SIP/2.0 200", 11);
	pair_done(&pair);
}

/* Likewise when we end it: what was understood before is answered. Nothing is read any more. */
static void test_broken_stream_waits_for_answers(void **state)
{
	struct pair pair;

	pair_init(&pair, 0);
	ask_both(&pair);
	lab_receive(pair.labs[0], stream_hop(0, 3), "garbage\r\n\r\n");
	assert_int_equal(pair.labs[0]->closed, 0);
	flow_brings(&pair, "OPTIONS", 0);
	pair_take(&pair, 1);
	pair_take(&pair, 0);
	assert_int_equal(pair.labs[0]->sent_count, 2);
	assert_int_equal(pair.labs[0]->closed, 1);
	pair_done(&pair);
}

/* The connection breaks while it is waited for answers. */
static void test_closed_while_it_waits(void **state)
{
	struct pair pair;

	pair_init(&pair, 0);
	ask_both(&pair);
	flow_ends(pair.labs[0], stream_hop(0, 3));
	flow_closes(pair.labs[0], stream_hop(0, 3), ECONNRESET);
	pair_take(&pair, 1);
	pair_take(&pair, 0);
	assert_int_equal(pair.labs[0]->sent_count, 1);
	assert_int_equal(pair.labs[0]->closed, 0);
	assert_int_equal(stats_of(&pair, 0).flows, 0);
	pair_done(&pair);
}

/* Whoever looks whether all is said sees what is still between the workers. */
static void test_quiet(void **state)
{
	struct pair pair;

	pair_init(&pair, 4);
	ask_both(&pair);
	assert_false(stw_workers_quiet(pair.workers));
	pair_take(&pair, 1);
	assert_false(stw_workers_quiet(pair.workers));
	pair_take(&pair, 0);
	assert_true(stw_workers_quiet(pair.workers));
	for (unsigned i = 0; i < 3; i++)
		lab_receive(pair.labs[0], stream_hop(0, 3),
			request_of("OPTIONS", "TCP", call_of(&pair, 1)));
	assert_int_equal(stats_of(&pair, 0).handing, 1);
	pair_take(&pair, 1);
	pair_take(&pair, 0);
	assert_int_equal(stats_of(&pair, 0).handing, 0);
	pair_done(&pair);
}

/* The word that is waited for finds room also where messages do not. */
static void test_end_behind_a_full_ring(void **state)
{
	struct pair pair;

	pair_init(&pair, 4);
	ask_both(&pair);
	for (unsigned i = 0; i < 9; i++)
		flow_brings(&pair, "OPTIONS", 1);
	flow_ends(pair.labs[0], stream_hop(0, 3));
	for (unsigned i = 0; i < 10 && !pair.labs[0]->closed; i++) {
		pair_take(&pair, 1);
		pair_take(&pair, 0);
	}
	assert_int_equal(pair.labs[0]->closed, 1);
	assert_int_equal(pair.labs[0]->sent_count, 11);
	pair_done(&pair);
}

/* Only who sleeps is woken, and once for all that a batch brings. */
static void test_wakes_who_sleeps(void **state)
{
	struct pair pair;

	pair_init(&pair, 0);
	datagram_brings(&pair, 0, "MESSAGE", 1);
	assert_int_equal(pair.woken[1], 0);
	assert_false(stw_workers_rest(pair.workers, 1));
	pair_take(&pair, 1);
	assert_true(stw_workers_rest(pair.workers, 1));
	datagram_brings(&pair, 0, "MESSAGE", 1);
	datagram_brings(&pair, 0, "MESSAGE", 1);
	assert_int_equal(pair.woken[1], 1);
	assert_int_equal(pair.woken[0], 0);
	stw_workers_rise(pair.workers, 1);
	pair_take(&pair, 1);
	pair_done(&pair);
}

/* The bound of transactions is that of all workers together. */
static void test_transactions_of_all(void **state)
{
	struct pair pair;

	pair_init_with(&pair, 0, 2);
	datagram_brings(&pair, 0, "MESSAGE", 0);
	assert_int_equal(stats_of(&pair, 0).transactions, 2);
	datagram_brings(&pair, 1, "MESSAGE", 1);
	assert_int_equal(stats_of(&pair, 1).transactions, 0);
	assert_non_null(strstr(pair.labs[1]->sent[0].text, "SIP/2.0 503 "));
	pair_done(&pair);
}

/* … and so is that of the bytes of large requests; what was handed over lies in its parcel. */
static void test_large_requests_of_all(void **state)
{
	struct pair pair;

	pair_init_with(&pair, 0, 20);
	lab_receive_large(
		pair.labs[1], caller(), request_of("MESSAGE", "UDP", call_of(&pair, 0)), 20000);
	pair_take(&pair, 0);
	assert_in_range(stats_of(&pair, 0).large_bytes, 20000, 23000);
	datagram_brings(&pair, 1, "MESSAGE", 1);
	assert_int_equal(stats_of(&pair, 1).transactions, 0);
	sent_begins(pair.labs[1], 0, "SIP/2.0 503 ");
	lab_wait(pair.labs[0], 40000);
	lab_is_idle(pair.labs[0]);
	pair_done(&pair);
}

static void test_workers_new(void **state)
{
	struct stw_workers_options options = { .n = 3, .max_flows = 10 };
	struct stw_workers *workers;

	assert_int_equal(stw_workers_new(&options, &workers), 0);
	assert_int_equal(stw_workers_count(workers), 3);
	stw_workers_free(workers);
	options.n = 0;
	assert_int_equal(stw_workers_new(&options, &workers), -EINVAL);
	options.n = STW_WORKERS_MAX + 1;
	assert_int_equal(stw_workers_new(&options, &workers), -EINVAL);
	assert_null(stw_workers_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_of_another_worker),
		cmocka_unit_test(test_response_goes_where_its_branch_says),
		cmocka_unit_test(test_response_on_a_flow_of_another_worker),
		cmocka_unit_test(test_end_of_a_flow_is_told),
		cmocka_unit_test(test_flow_ends_on_the_way),
		cmocka_unit_test(test_opening_flow_of_another_worker_fails),
		cmocka_unit_test(test_opening_flow_of_another_worker_opens),
		cmocka_unit_test(test_flow_ends_before_a_response),
		cmocka_unit_test(test_flow_of_another_worker_is_opening),
		cmocka_unit_test(test_flow_of_another_worker_is_leaving),
		cmocka_unit_test(test_flow_begins_to_leave_on_the_way),
		cmocka_unit_test(test_full_ring_drops_datagrams),
		cmocka_unit_test(test_errors_of_icmp_leave_room),
		cmocka_unit_test(test_errors_of_icmp_are_afforded),
		cmocka_unit_test(test_full_ring_holds_streams),
		cmocka_unit_test(test_turn_takes_what_a_poll_brings),
		cmocka_unit_test(test_both_rings_are_full),
		cmocka_unit_test(test_answers_wait),
		cmocka_unit_test(test_late_at_the_other_worker),
		cmocka_unit_test(test_cut_at_the_other_worker),
		cmocka_unit_test(test_end_waits_for_answers),
		cmocka_unit_test(test_end_waits_for_late_answers),
		cmocka_unit_test(test_broken_stream_waits_for_answers),
		cmocka_unit_test(test_closed_while_it_waits),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_end_behind_a_full_ring),
		cmocka_unit_test(test_wakes_who_sleeps),
		cmocka_unit_test(test_transactions_of_all),
		cmocka_unit_test(test_large_requests_of_all),
		cmocka_unit_test(test_workers_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
