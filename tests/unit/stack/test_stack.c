/* SPDX-License-Identifier: Apache-2.0 */
/* The seam: whole calls through a stack, and what goes wrong between its layers. */
#include "lab.h"

#define TIMEOUT_MS 40000u /* more than 64*T1 and T4 */

/* ---- one call ----------------------------------------------------------------------- */

static void call_is_relayed(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *invite, *ack, *bye;

	(void)state;
	invite = invite_arrives(lab);
	sent_to(invite, callee());
	sent_has(invite, "Max-Forwards: 69\r\n");
	sent_has(invite, "Record-Route: <sip:192.0.2.9:5060;lr;stw=");
	lab_receive(lab, callee(), response_text(invite, "100 Trying"));
	lab_expect_nothing(lab);
	lab_receive(lab, callee(), response_text(invite, "180 Ringing"));
	sent_to(lab_expect(lab, "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP "
				"192.0.2.1:5060;branch=z9hG4bKi1\r\n"),
		caller());
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 180 ");
	lab_receive(lab, callee(), response_text(invite, "200 OK"));
	sent_to(lab_expect(lab, "SIP/2.0 200 OK\r\n"), caller());
	lab_receive(lab, callee(), response_text(invite, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 OK\r\n");
	lab_receive(lab, caller(), request_text("ACK", "a1", 1, ""));
	ack = lab_expect(lab, "ACK ");
	sent_to(ack, callee());
	lab_receive(lab, caller(), request_text("BYE", "b1", 2, ""));
	bye = lab_expect(lab, "BYE ");
	lab_receive(lab, callee(), response_text(bye, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 OK\r\n");
	lab_receive(lab, caller(), request_text("BYE", "b1", 2, ""));
	lab_expect(lab, "SIP/2.0 200 OK\r\n");
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* §17.1.1.3: the ACK for a refusal goes the way of the INVITE, with its branch, once for each copy.
 */
static void refusal_is_acknowledged_hop_by_hop(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *invite = NULL, *ack;
	struct stw_stack_stats stats;
	char *branch;

	(void)state;
	invite = invite_arrives(lab);
	branch = strstr(invite->text, "Via: ");
	lab_receive(lab, callee(), response_text(invite, "486 Busy Here"));
	ack = lab_expect(lab, "ACK ");
	sent_to(ack, callee());
	assert_memory_equal(
		strstr(ack->text, "Via: "), branch, (size_t)(strstr(branch, "\r\n") - branch));
	sent_has(ack, "To: <sip:bob@example.test>;tag=b\r\n");
	lab_expect(lab, "SIP/2.0 486 ");
	lab_receive(lab, callee(), response_text(invite, "486 Busy Here"));
	lab_expect(lab, "ACK ");
	lab_expect_nothing(lab);
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	stw_stack_stats(lab->stack, &stats);
	assert_int_equal(stats.retransmissions, 1); /* the second 486, not the ACK */
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* §9.1: no CANCEL before a 1xx; §16.10: the Reason goes along. */
static void cancel_waits_for_a_provisional(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *invite, *cancel;

	(void)state;
	invite = invite_arrives(lab);
	lab_receive(lab, caller(), request_text("CANCEL", "i1", 1, "Reason: SIP;cause=26\r\n"));
	lab_expect(lab, "SIP/2.0 200 ");
	lab_expect_nothing(lab);
	lab_receive(lab, callee(), response_text(invite, "180 Ringing"));
	lab_expect(lab, "SIP/2.0 180 ");
	cancel = lab_expect(lab, "CANCEL ");
	sent_to(cancel, callee());
	sent_has(cancel, "Reason: SIP;cause=26\r\n");
	lab_receive(lab, callee(), response_text(cancel, "200 OK"));
	lab_receive(lab, callee(), response_text(invite, "487 Request Terminated"));
	lab_expect(lab, "ACK ");
	lab_expect(lab, "SIP/2.0 487 ");
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* §9.1: a callee that answers the CANCEL but not the INVITE is given up after 64*T1. */
static void cancelled_branch_without_answer_ends(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *invite = NULL, *cancel;

	(void)state;
	invite = invite_arrives(lab);
	lab_receive(lab, callee(), response_text(invite, "180 Ringing"));
	lab_expect(lab, "SIP/2.0 180 ");
	lab_receive(lab, caller(), request_text("CANCEL", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 200 ");
	cancel = lab_expect(lab, "CANCEL ");
	lab_receive(lab, callee(), response_text(cancel, "200 OK"));
	lab_wait(lab, 32000);
	lab_expect(lab, "SIP/2.0 4");
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab_free(lab);
}

static void first_answer_of_a_fork_cancels_the_other(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *one, *two, *cancel;

	(void)state;
	lab_target(lab, "sip:bob@192.0.2.2");
	lab_target(lab, "sip:bob@192.0.2.3");
	one = invite_arrives(lab);
	two = lab_expect(lab, "INVITE ");
	lab_receive(lab, two->hop, response_text(two, "180 Ringing"));
	lab_expect(lab, "SIP/2.0 180 ");
	lab_receive(lab, one->hop, response_text(one, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 ");
	cancel = lab_expect(lab, "CANCEL ");
	sent_to(cancel, two->hop);
	sent_has(cancel, "Reason: SIP;cause=200");
	lab_receive(lab, two->hop, response_text(two, "487 Request Terminated"));
	lab_expect(lab, "ACK ");
	lab_receive(lab, two->hop, response_text(cancel, "200 OK"));
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* Neither Timer B of the branches nor the waits behind them leave anything. */
static void silent_callee_gives_408_to_an_invite_only(void **state)
{
	struct lab *lab = lab_new();

	(void)state;
	invite_arrives(lab);
	lab_wait(lab, 32500);
	while (strncmp(lab->sent[lab->sent_seen].text, "INVITE ", 7) == 0)
		lab->sent_seen++;
	lab_expect(lab, "SIP/2.0 408 ");
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	lab_wait(lab, TIMEOUT_MS);
	lab->sent_seen = lab->sent_count;
	/* RFC 4320 §4: a 100 after 3.5 s, never a 408. */
	lab_receive(lab, caller(), request_text("MESSAGE", "m1", 2, ""));
	lab_expect(lab, "MESSAGE ");
	lab_wait(lab, 3400);
	while (lab->sent_seen < lab->sent_count)
		lab_expect(lab, "MESSAGE ");
	lab_wait(lab, 100);
	while (strncmp(lab->sent[lab->sent_seen].text, "MESSAGE ", 8) == 0)
		lab->sent_seen++;
	lab_expect(lab, "SIP/2.0 100 ");
	lab_wait(lab, TIMEOUT_MS);
	while (lab->sent_seen < lab->sent_count)
		lab_expect(lab, "MESSAGE ");
	lab_is_idle(lab);
	lab_free(lab);
}

/* ---- streams ----------------------------------------------------------------------------- */

/* The bytes of a stream go with the next frame, a datagram made of them is sent later. */
static void answer_of_a_stream_survives_the_batch(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *invite;
	struct stw_hop flow;
	char frames[8192];
	int len;

	(void)state;
	lab_target(lab, "sip:bob@192.0.2.2;transport=tcp");
	invite = invite_arrives(lab);
	assert_int_equal(invite->hop.transport, STW_TRANSPORT_TCP);
	flow = flow_of(lab, invite, true);
	len = snprintf(frames, sizeof(frames), "%s", response_text(invite, "200 OK"));
	snprintf(frames + len, sizeof(frames) - (size_t)len, "%s",
		response_text(invite, "200 Again"));
	lab_receive(lab, flow, frames);
	sent_has(lab_expect(lab, "SIP/2.0 200 OK\r\n"), "\r\nContent-Length: 0\r\n\r\n");
	sent_has(lab_expect(lab, "SIP/2.0 200 Again\r\n"), "\r\nContent-Length: 0\r\n\r\n");
	flow_closes(lab, flow, 0);
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab_free(lab);
}

/* RFC 5626 §3.5.1: each ping has its answer; of those that come together they leave together. */
static void pings_are_answered(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop flow = flow_arrives(lab, hop_at(STW_TRANSPORT_TCP, "192.0.2.1", 40000));
	char pings[4 * 150 + 1] = "";
	size_t bytes = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(pings) - 1; i++)
		pings[i] = "\r\n"[i % 2];
	lab_receive(lab, flow, pings);
	assert_int_equal(lab->sent_count, 3);
	for (unsigned i = 0; i < 3; i++)
		bytes += strlen(lab_expect(lab, "\r\n")->text);
	assert_int_equal(bytes, 2 * 150);
	lab_receive(lab, flow, "\r\n\r\n");
	assert_string_equal(lab_expect(lab, "")->text, "\r\n");
	lab_receive(lab, flow, "\r\n");
	lab_expect_nothing(lab);
	flow_closes(lab, flow, 0);
	lab_is_idle(lab);
	lab_free(lab);
}

static void closed_flow_fails_its_branches(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *one, *two;
	struct stw_hop flow;

	(void)state;
	lab_target(lab, "sip:bob@192.0.2.2;transport=tcp");
	one = invite_arrives(lab);
	lab_receive(lab, caller(), request_text("MESSAGE", "m1", 2, ""));
	two = lab_expect(lab, "MESSAGE ");
	assert_int_equal(lab->opened, 1);
	assert_true(stw_flow_id_equal(one->hop.flow, two->hop.flow));
	flow = flow_of(lab, one, false);
	flow_closes(lab, flow, ECONNREFUSED);
	lab_expect(lab, "SIP/2.0 500 ");
	lab_expect(lab, "SIP/2.0 500 ");
	lab_expect_nothing(lab);
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab_free(lab);
}

/* §18.2.2: when the flow of the request is gone its answer goes to a new one, to the port of
 * sent-by. */
static void answer_finds_another_flow(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop from = hop_at(STW_TRANSPORT_TCP, "192.0.2.1", 40000);
	struct stw_io_event event = { .kind = STW_IO_OPENED, .incoming = true };
	const struct sent *invite, *answer;

	(void)state;
	from.flow = (struct stw_flow_id){ .slot = 1, .generation = 1 };
	from.listener = 1;
	event.hop = from;
	lab_event(lab, &event);
	lab_receive(lab, from, request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 100 ");
	invite = lab_expect(lab, "INVITE ");
	flow_closes(lab, from, 0);
	lab_receive(lab, callee(), response_text(invite, "200 OK"));
	answer = lab_expect(lab, "SIP/2.0 200 ");
	sent_to(answer, hop_at(STW_TRANSPORT_TCP, "192.0.2.1", 5060));
	assert_int_equal(lab->opened, 1);
	flow_closes(lab, answer->hop, 0);
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab_free(lab);
}

/* ---- large requests, §18.1.1 ------------------------------------------------------------------
 */

static const char *large_request(const char *method, const char *branch, unsigned cseq)
{
	static char rest[2048];
	int len = snprintf(
		rest, sizeof(rest), "Content-Type: text/plain\r\nContent-Length: 1400\r\n\r\n");

	memset(rest + len, 'x', 1400);
	rest[len + 1400] = '\0';
	return request_text(method, branch, cseq, rest);
}

static void large_request_falls_back_after_a_second(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *first, *second;

	(void)state;
	lab_receive(lab, caller(), large_request("MESSAGE", "m1", 1));
	first = lab_expect(lab, "MESSAGE ");
	assert_int_equal(first->hop.transport, STW_TRANSPORT_TCP);
	sent_has(first, "Via: SIP/2.0/TCP 192.0.2.9:5060;branch=");
	lab_wait(lab, 990);
	lab_expect_nothing(lab);
	lab_wait(lab, 20);
	second = lab_expect(lab, "MESSAGE ");
	sent_to(second, callee());
	sent_has(second, "Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=");
	lab_receive(lab, callee(), response_text(second, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 ");
	flow_closes(lab, flow_of(lab, first, false), ETIMEDOUT);
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* … also when the request that has opened the connection has fallen back. */
static void large_request_on_an_opening_flow_falls_back(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *first, *second;

	(void)state;
	lab_receive(lab, caller(), large_request("MESSAGE", "m1", 1));
	first = lab_expect(lab, "MESSAGE ");
	lab_wait(lab, 1010);
	sent_to(lab_expect(lab, "MESSAGE "), callee());
	lab_receive(lab, callee(), response_text(&lab->sent[1], "200 OK"));
	lab_expect(lab, "SIP/2.0 200 ");
	lab_receive(lab, caller(), large_request("MESSAGE", "m2", 2));
	assert_int_equal(lab_expect(lab, "MESSAGE ")->hop.transport, STW_TRANSPORT_TCP);
	lab_wait(lab, 1010);
	second = lab_expect(lab, "MESSAGE ");
	sent_to(second, callee());
	lab_receive(lab, callee(), response_text(second, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 ");
	assert_int_equal(lab->opened, 1);
	flow_closes(lab, flow_of(lab, first, false), ETIMEDOUT);
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* A connection that is there has taken the request: its answer may take longer than a second. */
static void large_request_on_an_open_flow_stays(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *sent;
	struct stw_hop flow;

	(void)state;
	lab_receive(lab, caller(), large_request("MESSAGE", "m1", 1));
	sent = lab_expect(lab, "MESSAGE ");
	flow = flow_of(lab, sent, true);
	lab_receive(lab, flow, response_text(sent, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 ");
	lab_receive(lab, caller(), large_request("MESSAGE", "m2", 2));
	sent = lab_expect(lab, "MESSAGE ");
	lab_wait(lab, 3000);
	lab_expect_nothing(lab);
	lab_receive(lab, flow, response_text(sent, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 ");
	assert_int_equal(lab->opened, 1);
	lab_wait(lab, TIMEOUT_MS);
	flow_closes(lab, flow, 0);
	lab_is_idle(lab);
	lab_free(lab);
}

static void large_request_falls_back_at_once(void **state)
{
	struct lab *lab = lab_new();

	(void)state;
	lab->open_error = -ECONNREFUSED;
	lab_receive(lab, caller(), large_request("MESSAGE", "m1", 1));
	sent_to(lab_expect(lab, "MESSAGE "), callee());
	lab->open_error = 0;
	lab_receive(lab, caller(), large_request("MESSAGE", "m2", 2));
	flow_closes(lab, lab_expect(lab, "MESSAGE ")->hop, ECONNREFUSED);
	sent_to(lab_expect(lab, "MESSAGE "), callee());
	/* Nobody would notice that TCP did not take an ACK. */
	lab_receive(lab, caller(), large_request("ACK", "a1", 1));
	sent_to(lab_expect(lab, "ACK "), callee());
	lab_free(lab);
}

/* ---- names
 * --------------------------------------------------------------------------------------- */

static void name_not_found(void **state)
{
	struct lab *lab = lab_new();

	(void)state;
	lab_target(lab, "sip:bob@name.test:5060");
	lab_receive(lab, caller(), request_text("MESSAGE", "m1", 1, ""));
	name_is_answered(lab, 0);
	lab_expect(lab, "SIP/2.0 500 Target Name Not Found\r\n");
	lab_receive(lab, caller(), request_text("ACK", "a1", 1, ""));
	name_is_answered(lab, 0);
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* Nobody rings who is asked for too late. */
static void name_answered_after_cancel(void **state)
{
	struct lab *lab = lab_new();

	(void)state;
	lab_target(lab, "sip:bob@name.test:5060");
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 100 ");
	lab_receive(lab, caller(), request_text("CANCEL", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 200 ");
	name_is_answered(lab, 2);
	lab_expect(lab, "SIP/2.0 487 ");
	lab_expect_nothing(lab);
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab_free(lab);
}

static void no_next_address_after_cancel(void **state)
{
	struct lab *lab = lab_new();
	unsigned i;

	(void)state;
	lab_target(lab, "sip:bob@name.test:5060");
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	name_is_answered(lab, 2);
	lab_receive(lab, caller(), request_text("CANCEL", "i1", 1, ""));
	lab_wait(lab, 33000);
	for (i = 0; i < lab->sent_count; i++)
		assert_false(strncmp(lab->sent[i].text, "INVITE ", 7) == 0 &&
			     lab->sent[i].hop.remote.ip[3] == 3);
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab_free(lab);
}

/* ---- who is answered, and from where
 * ----------------------------------------------------------------- */

/* The address translation of a phone lets in only what comes from where it registered. */
static void binding_is_reached_from_its_listener(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *invite;

	(void)state;
	lab_target(lab, "sip:bob@10.0.0.1");
	lab->targets[0].has_hop = true;
	lab->targets[0].hop = callee();
	lab->targets[0].hop.listener = 2;
	invite = invite_arrives(lab);
	sent_to(invite, callee());
	assert_int_equal(invite->hop.listener, 2);
	sent_has(invite, "Via: SIP/2.0/UDP 192.0.2.9:5070;");
	lab_free(lab);
}

static void nothing_is_answered_that_must_not_be(void **state)
{
	struct lab *lab = lab_new();

	(void)state;
	lab_receive(lab, caller(),
		"ACK sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.1;branch=z9hG4bKx\r\n\r\n");
	lab_receive(lab, caller(),
		"ACK sip:bob@192.0.2.2 SIP/9.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.1;branch=z9hG4bKx\r\n\r\n");
	lab_receive(lab, caller(),
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\n"
		"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 "
		"INVITE\r\n\r\n");
	lab_receive(lab, caller(), "SIP/2.0 200 OK\r\n\r\n");
	lab_receive(lab, caller(), "\r\n\r\n");
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* §8.2.7: the To tag comes from the request, so that the ACK for a stateless refusal is known
 * again. */
static void stateless_refusal_keeps_nothing(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *answer, *again;
	char ack[1024];
	const char *tag;

	(void)state;
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, "Content-Length: x\r\n\r\n"));
	answer = lab_expect(lab, "SIP/2.0 400 ");
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, "Content-Length: x\r\n\r\n"));
	again = lab_expect(lab, "SIP/2.0 400 ");
	assert_string_equal(answer->text, again->text);
	tag = strstr(strstr(answer->text, "\r\nTo: "), ";tag=");
	snprintf(ack, sizeof(ack),
		"ACK sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.1:5060;branch=z9hG4bKi1\r\n"
		"From: <sip:alice@example.test>;tag=a\r\nTo: "
		"<sip:bob@example.test>%.*s\r\nCall-ID: c1\r\nCSeq: 1 ACK\r\n"
		"Content-Length: 0\r\n\r\n",
		(int)(strstr(tag, "\r\n") - tag), tag);
	lab_receive(lab, caller(), ack);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab->answers_options = true;
	lab_receive(lab, caller(), request_text("OPTIONS", "o1", 1, ""));
	lab_expect(lab, "SIP/2.0 200 ");
	lab_is_idle(lab);
	lab_free(lab);
}

/* More requests under one branch than a peer has reason for: what they cost is given back. */
static void crowded_branch_leaks_nothing(void **state)
{
	struct lab *lab = lab_new();
	char method[16];
	unsigned i;

	(void)state;
	for (i = 0; i < 24; i++) {
		snprintf(method, sizeof(method), "METHOD%u", i);
		lab_receive(lab, caller(), request_text(method, "same", i + 1, ""));
	}
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab_free(lab);
}

/* A Route with our mark, from a call that is over. */
static const char *marked_route(struct lab *lab)
{
	static char route[200];
	const struct sent *invite = invite_arrives(lab);
	const char *mark = strstr(invite->text, "Record-Route: ");

	snprintf(route, sizeof(route), "%.*s\r\n", (int)strcspn(mark + 7, "\r"), mark + 7);
	lab_receive(lab, callee(), response_text(invite, "486 Busy Here"));
	lab_expect(lab, "ACK ");
	lab_expect(lab, "SIP/2.0 486 ");
	lab_wait(lab, TIMEOUT_MS);
	lab->sent_seen = lab->sent_count;
	return route;
}

/* So many requests of this kind are let in, and then none. */
static void let_in(struct lab *lab, const char *method, const char *uri, const char *to_tag,
	const char *route, unsigned n)
{
	char text[2048], start[40];

	snprintf(start, sizeof(start), "%s ", method);
	for (unsigned i = 0; i <= n; i++) {
		snprintf(text, sizeof(text),
			"%s %s SIP/2.0\r\n"
			"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%s%u-%zu\r\n"
			"From: <sip:alice@example.test>;tag=a\r\n"
			"To: <sip:bob@example.test>%s\r\nCall-ID: c1\r\nCSeq: %u %s\r\n"
			"Max-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n",
			method, uri, method, i, strlen(uri) + strlen(to_tag) + strlen(route),
			to_tag, 100 + i, method, route);
		lab_receive(lab, caller(), text);
		lab_expect(lab, i < n ? start : "SIP/2.0 503 Too Many Transactions");
	}
}

/* Each has two transactions. What claims to be of a call has an eighth more, what proves it a
 * quarter, what ends one that we know as much again, and an emergency an eighth beyond that. */
static void full_stack_serves_running_calls(void **state)
{
	struct lab *lab = lab_new();
	const char *route = marked_route(lab);

	(void)state;
	let_in(lab, "MESSAGE", "sip:bob@192.0.2.2", "", "", 32);
	let_in(lab, "INFO", "sip:bob@192.0.2.2", ";tag=b", "", 4);
	let_in(lab, "BYE", "sip:bob@192.0.2.2", "", "", 0);
	let_in(lab, "INFO", "sip:bob@192.0.2.2", ";tag=b", route, 4);
	let_in(lab, "BYE", "sip:bob@192.0.2.2", ";tag=b", route, 24);
	let_in(lab, "PRACK", "sip:bob@192.0.2.2", ";tag=b", route, 0);
	/* It is let in, if to no avail. */
	lab_receive(lab, caller(),
		"MESSAGE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKs\r\n"
		"From: <sip:alice@example.test>;tag=a\r\nTo: <urn:service:sos>\r\nCall-ID: s\r\n"
		"CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n");
	lab_expect(lab, "SIP/2.0 500 Transport Not Supported");
	lab_free(lab);
}

/* Three of 20 KB have the room of 64 transactions; a BYE still has some, and so has everybody when
 * they are over. */
static void large_requests_have_less_room(void **state)
{
	struct lab *lab = lab_new();
	struct stw_stack_stats stats;
	char branch[16];
	unsigned i;

	(void)state;
	for (i = 0; i < 4; i++) {
		snprintf(branch, sizeof(branch), "m%u", i);
		lab_receive_large(lab, caller(), request_text("MESSAGE", branch, i + 1, ""), 20000);
		lab_expect(lab, i < 3 ? "MESSAGE " : "SIP/2.0 503 Too Many Transactions");
	}
	stw_stack_stats(lab->stack, &stats);
	assert_int_equal(stats.transactions, 6);
	assert_in_range(stats.large_bytes, 60000, 66000);
	assert_int_equal(stats.room_used, 6 + stats.large_bytes / 1024);
	assert_int_equal(stats.room_refused, 1);
	lab_receive(lab, caller(), request_text("BYE", "b", 100, ""));
	lab_expect(lab, "BYE ");
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab->sent_seen = lab->sent_count;
	lab_receive_large(lab, caller(), request_text("MESSAGE", "m9", 200, ""), 20000);
	lab_expect(lab, "MESSAGE ");
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab_free(lab);
}

/* Each by `bytes` more than before, give or take its index and header fields. */
static void large_more(struct lab *lab, size_t *large_bytes, size_t bytes)
{
	struct stw_stack_stats stats;

	stw_stack_stats(lab->stack, &stats);
	assert_in_range(stats.large_bytes - *large_bytes, bytes, bytes + 2500);
	*large_bytes = stats.large_bytes;
}

/* What each side of a fork says is kept, too: the last response, refusals, their ACKs, CANCEL; and
 * the branch of a client may be long. */
static void each_large_piece_is_counted(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *one, *two, *cancel;
	char branch[4097], text[8192];
	size_t large_bytes = 0;

	(void)state;
	lab_target(lab, "sip:bob@192.0.2.2");
	lab_target(lab, "sip:bob@192.0.2.3");
	memset(branch, 'b', 4096);
	branch[4096] = '\0';
	snprintf(text, sizeof(text), "%s", request_text("INVITE", branch, 1, ""));
	lab_receive_large(lab, caller(), text, 10000);
	lab_expect(lab, "SIP/2.0 100 ");
	one = lab_expect(lab, "INVITE ");
	two = lab_expect(lab, "INVITE ");
	/* The message and the 100 with the branch, the transaction named by it, and what a second
	 * branch takes of the arena. */
	large_more(lab, &large_bytes, 10000 + 3 * 4096 + 6144);
	lab_receive_large(lab, one->hop, response_text(one, "180 Ringing"), 20000);
	lab_expect(lab, "SIP/2.0 180 ");
	large_more(lab, &large_bytes, 20000);
	lab_receive_large(lab, one->hop, response_text(one, "486 Busy Here"), 30000);
	lab_expect(lab, "ACK ");
	large_more(lab, &large_bytes, 30000 + 4096);
	lab_receive(lab, two->hop, response_text(two, "180 Ringing"));
	lab_expect(lab, "SIP/2.0 180 ");
	snprintf(text, sizeof(text), "%s", request_text("CANCEL", branch, 1, ""));
	lab_receive(lab, caller(), text);
	lab_expect(lab, "SIP/2.0 200 ");
	cancel = lab_expect(lab, "CANCEL ");
	lab_receive_large(lab, two->hop, response_text(two, "487 Request Terminated"), 10000);
	lab_expect(lab, "ACK ");
	lab_receive(lab, two->hop, response_text(cancel, "200 OK"));
	lab_expect(lab, "SIP/2.0 487 ");
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
	lab_free(lab);
}

/* With all of it still there. */
static void stack_ends_with_large_pieces(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *invite;

	(void)state;
	lab_receive_large(lab, caller(), request_text("INVITE", "i1", 1, ""), 20000);
	lab_expect(lab, "SIP/2.0 100 ");
	invite = lab_expect(lab, "INVITE ");
	lab_receive_large(lab, invite->hop, response_text(invite, "486 Busy Here"), 20000);
	lab_receive_large(lab, caller(), request_text("INVITE", "i2", 2, ""), 20000);
	lab_free(lab);
}

/* ---- memory
 * ---------------------------------------------------------------------------------------------- */

static void call_once(struct lab *lab, unsigned n)
{
	char branch[16], ack[16];
	const struct sent *invite;

	snprintf(branch, sizeof(branch), "i%u", n);
	snprintf(ack, sizeof(ack), "a%u", n);
	lab_receive(lab, caller(), request_text("INVITE", branch, n, ""));
	lab_expect(lab, "SIP/2.0 100 ");
	invite = lab_expect(lab, "INVITE ");
	lab_receive(lab, callee(), response_text(invite, "180 Ringing"));
	lab_expect(lab, "SIP/2.0 180 ");
	lab_receive(lab, callee(), response_text(invite, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 ");
	lab_receive(lab, caller(), request_text("ACK", ack, n, ""));
	lab_expect(lab, "ACK ");
}

/* INVITE, 180, 200 and ACK through the proxy; the lab itself copies the text of each of 5 messages
 * that are sent. */
#define LAB_ALLOCATIONS  5u
#define CALL_ALLOCATIONS 14u

static void call_allocates_little(void **state)
{
	struct lab *lab = lab_new();
	unsigned count;

	(void)state;
	call_once(lab, 1);
	support_fail_allocation(0);
	call_once(lab, 2);
	count = support_allocations() - LAB_ALLOCATIONS;
	assert_in_range(count, 1, CALL_ALLOCATIONS);
	lab_free(lab);
}

static void requests_left(struct lab *lab, size_t requests, size_t transactions)
{
	struct stw_stack_stats stats;

	stw_stack_stats(lab->stack, &stats);
	assert_int_equal(stats.requests, requests);
	assert_int_equal(stats.transactions, transactions);
}

/* The callee's response with one character replaced. */
static const char *response_spoilt(const struct sent *request, const char *status, const char *at)
{
	char *text = (char *)(uintptr_t)response_text(request, status);

	strstr(text, at)[strlen(at) - 1] = 'x';
	return text;
}

/* The transactions of a call that is over absorb and repeat; its messages are freed before. */
static void what_is_over_keeps_little(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *invite = invite_arrives(lab), *bye;

	(void)state;
	requests_left(lab, 1, 2);
	lab_receive(lab, callee(), response_text(invite, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 ");
	requests_left(lab, 0, 2);
	lab_receive(lab, caller(), request_text("BYE", "b1", 2, ""));
	bye = lab_expect(lab, "BYE ");
	lab_receive(lab, callee(), response_text(bye, "200 OK"));
	lab_expect(lab, "SIP/2.0 200 ");
	requests_left(lab, 0, 4);

	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_receive(lab, callee(), response_text(bye, "200 OK"));
	lab_receive(
		lab, callee(), response_spoilt(invite, "200 OK", "sip:alice@example.test>;tag=a"));
	lab_receive(lab, callee(), response_spoilt(invite, "200 OK", "Call-ID: c1"));
	lab_receive(lab, caller(), request_text("CANCEL", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 200 ");
	lab_expect_nothing(lab);
	lab_receive(lab, callee(), response_text(invite, "200 OK"));
	sent_to(lab_expect(lab, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1"), caller());
	lab_receive(lab, caller(), request_text("BYE", "b1", 2, ""));
	sent_to(lab_expect(lab, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1"), caller());
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* §17.1.1.3: the To of an ACK is that of the response, of a later one too. */
static void refusal_that_is_over_is_acknowledged(void **state)
{
	struct lab *lab = lab_new();
	const struct sent *invite = invite_arrives(lab), *ack;

	(void)state;
	lab_receive(lab, callee(), response_text(invite, "486 Busy Here"));
	sent_has(lab_expect(lab, "ACK "), "\r\nTo: <sip:bob@example.test>;tag=b\r\n");
	lab_expect(lab, "SIP/2.0 486 ");
	requests_left(lab, 1, 2);
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	requests_left(lab, 0, 2);
	lab_receive(lab, callee(), response_spoilt(invite, "486 Busy Here", ";tag=b"));
	ack = lab_expect(lab, "ACK ");
	sent_to(ack, callee());
	sent_has(ack, "\r\nTo: <sip:bob@example.test>;tag=x\r\nCall-ID: c1\r\nCSeq: 1 ACK\r\n");
	lab_expect_nothing(lab);
	lab_free(lab);
}

/* Whatever allocation fails, nothing is used after its end and nothing is lost but the call. */
static void call_without_memory(void **state)
{
	unsigned nth;

	(void)state;
	for (nth = 1; nth < 40; nth++) {
		struct lab *lab = lab_new();
		char *invite = support_guarded(request_text("INVITE", "i1", 1, ""),
			strlen(request_text("INVITE", "i1", 1, "")));
		struct stw_io_event event = { .kind = STW_IO_DATAGRAM,
			.hop = caller(),
			.data = invite,
			.len = strlen(request_text("INVITE", "i1", 1, "")) };

		lab_begin(lab);
		support_fail_allocation(nth);
		stw_stack_event(lab->stack, &event);
		support_fail_allocation(0);
		lab_end(lab);
		support_guarded_free(invite, event.len);
		lab_receive(lab, caller(), request_text("CANCEL", "i1", 1, ""));
		lab_wait(lab, 2 * TIMEOUT_MS);
		lab_is_idle(lab);
		lab_free(lab);
	}
}

static unsigned fails_at; /* which allocation */

/* Held first, and then sent to where a service says. */
static bool holds_and_forwards(struct lab *lab, struct stw_request *request)
{
	struct stw_proxy_job job = { .asks = true, .hold = true };

	if (request->msg->method != STW_METHOD_INVITE)
		return false;
	assert_null(stw_request_preprocess(request));
	stw_request_proxy(request, &job);
	job.targets = lab->targets;
	job.n = lab->target_count;
	support_fail_allocation(fails_at);
	stw_request_more(request, &job);
	support_fail_allocation(0);
	return true;
}

/* What a service has held is answered, too, when there is no memory for its first target. */
static void service_without_memory(void **state)
{
	(void)state;
	for (fails_at = 1; fails_at < 12; fails_at++) {
		struct lab *lab = lab_new();

		stw_memory_keep(0);
		lab->takes = holds_and_forwards;
		lab_target(lab, "sip:bob@192.0.2.2");
		lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
		lab_wait(lab, 2 * TIMEOUT_MS);
		lab_is_idle(lab);
		lab_free(lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_is_relayed),
		cmocka_unit_test(service_without_memory),
		cmocka_unit_test(refusal_is_acknowledged_hop_by_hop),
		cmocka_unit_test(cancel_waits_for_a_provisional),
		cmocka_unit_test(cancelled_branch_without_answer_ends),
		cmocka_unit_test(first_answer_of_a_fork_cancels_the_other),
		cmocka_unit_test(silent_callee_gives_408_to_an_invite_only),
		cmocka_unit_test(answer_of_a_stream_survives_the_batch),
		cmocka_unit_test(pings_are_answered),
		cmocka_unit_test(closed_flow_fails_its_branches),
		cmocka_unit_test(answer_finds_another_flow),
		cmocka_unit_test(large_request_falls_back_after_a_second),
		cmocka_unit_test(large_request_on_an_opening_flow_falls_back),
		cmocka_unit_test(large_request_on_an_open_flow_stays),
		cmocka_unit_test(large_request_falls_back_at_once),
		cmocka_unit_test(name_not_found),
		cmocka_unit_test(name_answered_after_cancel),
		cmocka_unit_test(no_next_address_after_cancel),
		cmocka_unit_test(binding_is_reached_from_its_listener),
		cmocka_unit_test(nothing_is_answered_that_must_not_be),
		cmocka_unit_test(stateless_refusal_keeps_nothing),
		cmocka_unit_test(crowded_branch_leaks_nothing),
		cmocka_unit_test(full_stack_serves_running_calls),
		cmocka_unit_test(large_requests_have_less_room),
		cmocka_unit_test(each_large_piece_is_counted),
		cmocka_unit_test(stack_ends_with_large_pieces),
		cmocka_unit_test(call_allocates_little),
		cmocka_unit_test(what_is_over_keeps_little),
		cmocka_unit_test(refusal_that_is_over_is_acknowledged),
		cmocka_unit_test(call_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
