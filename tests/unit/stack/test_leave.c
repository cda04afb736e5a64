/* SPDX-License-Identifier: Apache-2.0 */
/* Flows that end, or have just ended, while something is to leave on them: leave.c, send.c. */
#include "lab.h"

#define TIMEOUT_MS 40000u /* more than 64*T1 and T4 */

/* A connection of the caller, or of the phone of the one who is called. */
static struct stw_hop stream_arrives(struct lab *lab, const char *ip, uint16_t port)
{
	return flow_arrives(lab, hop_at(STW_TRANSPORT_TCP, ip, port));
}

static struct stw_hop caller_connects(struct lab *lab)
{
	return stream_arrives(lab, "192.0.2.1", 40000);
}

static struct stw_hop phone_connects(struct lab *lab)
{
	return stream_arrives(lab, "192.0.2.2", 40000);
}

/* @return the INVITE as it is forwarded */
static struct sent invite_by(struct lab *lab, struct stw_hop from)
{
	lab_receive(lab, from, request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 100 ");
	return *lab_expect(lab, "INVITE ");
}

/* The binding of the one who is called, made by this connection. */
static void target_by(struct lab *lab, struct stw_hop phone, bool only)
{
	lab->targets[0].has_hop = true;
	lab->targets[0].hop_only = only;
	lab->targets[0].hop = phone;
}

static void lab_expect_on(struct lab *lab, struct stw_hop stream, const char *start)
{
	assert_true(stw_flow_id_equal(lab_expect(lab, start)->hop.flow, stream.flow));
}

/* All timers have run out, and nothing is left. */
static void lab_runs_out(struct lab *lab)
{
	lab_wait(lab, TIMEOUT_MS);
	lab_is_idle(lab);
}

/* §18.2.2 again: the final response is read in the same batch as the end of the flow, before it. */
static void answer_on_a_flow_that_has_just_ended(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop from = caller_connects(lab);
	struct sent invite = invite_by(lab, from);
	const struct sent *answer;

	(void)state;
	lab->dead = from.flow;
	lab_receive(lab, callee(), response_text(&invite, "486 Busy Here"));
	flow_closes(lab, from, ECONNRESET);
	lab_expect(lab, "ACK ");
	answer = lab_expect(lab, "SIP/2.0 486 ");
	sent_to(answer, hop_at(STW_TRANSPORT_TCP, "192.0.2.1", 5060));
	assert_int_equal(lab->opened, 1);
	flow_closes(lab, answer->hop, ECONNREFUSED);
	lab_runs_out(lab);
	lab_free(lab);
}

/* What was read with a request whose answer finds the flow dead is no less asked. */
static void requests_behind_an_answer_that_is_lost(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop from = caller_connects(lab);
	char both[2000];
	size_t at;

	(void)state;
	lab->answers_options = true;
	lab->dead = from.flow;
	at = (size_t)snprintf(both, sizeof(both), "%s", request_text("OPTIONS", "o1", 1, ""));
	snprintf(both + at, sizeof(both) - at, "%s", request_text("MESSAGE", "m1", 2, ""));
	lab_receive(lab, from, both);
	lab_expect(lab, "SIP/2.0 200 ");
	lab_expect(lab, "MESSAGE ");
	flow_closes(lab, from, ECONNRESET);
	lab_free(lab);
}

/* §18.2.2: who has shut down his side only still gets his responses on it, however late; then we
 * close ours. Calls to him do not use it any more. */
static void half_closed_flow_waits_for_answers(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop from = caller_connects(lab);
	struct sent invite;

	(void)state;
	lab_target(lab, "sip:bob@192.0.2.2");
	invite = invite_by(lab, from);
	lab_receive(lab, from, request_text("MESSAGE", "m1", 2, ""));
	lab_expect(lab, "MESSAGE ");
	flow_ends(lab, from);
	flow_ends(lab, from);
	lab_wait(lab, 10);
	assert_int_equal(lab->closed, 0);
	lab_receive(lab, callee(), response_text(&invite, "180 Ringing"));
	lab_expect_on(lab, from, "SIP/2.0 180 ");
	lab_wait(lab, 5000);
	lab_receive(lab, callee(), response_text(&invite, "486 Busy Here"));
	while (strncmp(lab->sent[lab->sent_seen].text, "ACK ", 4) != 0)
		lab->sent_seen++; /* the MESSAGE, repeated */
	lab_expect(lab, "ACK ");
	lab_expect_on(lab, from, "SIP/2.0 486 ");
	lab_wait(lab, 10);
	assert_int_equal(lab->closed, 0);
	lab_runs_out(lab);
	assert_int_equal(lab->closed, 1);
	assert_int_equal(lab->opened, 0);
	lab_free(lab);
}

/* The connection breaks while it is waited for, or the server ends. */
static void half_closed_flow_ends(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop from = caller_connects(lab);

	(void)state;
	lab_receive(lab, from, request_text("MESSAGE", "m1", 1, ""));
	flow_ends(lab, from);
	flow_closes(lab, from, ECONNRESET);
	lab_receive(lab, callee(), response_text(lab_expect(lab, "MESSAGE "), "200 OK"));
	assert_int_equal(lab->opened, 1);
	flow_closes(lab, lab_expect(lab, "SIP/2.0 200 ")->hop, ECONNREFUSED);
	lab_runs_out(lab);
	assert_int_equal(lab->closed, 0);
	from = flow_arrives(lab, from);
	lab_receive(lab, from, request_text("MESSAGE", "m2", 2, ""));
	flow_ends(lab, from);
	lab_free(lab);
}

/* A peer that goes on sending behind what cannot be read shall hear of it soon: what it sends is
 * lost. */
static void unreadable_flow_ends_soon(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop from = caller_connects(lab);
	struct sent invite;

	(void)state;
	invite = invite_by(lab, from);
	lab_receive(lab, from, "garbage\r\n\r\n");
	lab_wait(lab, 499);
	assert_int_equal(lab->closed, 0);
	lab_wait(lab, 1);
	assert_int_equal(lab->closed, 1);
	lab_receive(lab, callee(), response_text(&invite, "486 Busy Here"));
	lab_wait(lab, TIMEOUT_MS);
	lab_free(lab);
}

/* No call goes to a phone that answers no more on its flow; what went there has failed. */
static void half_closed_flow_takes_no_requests(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop phone = phone_connects(lab);

	(void)state;
	lab_target(lab, "sip:bob@192.0.2.7");
	lab_receive(lab, phone, request_text("MESSAGE", "m1", 1, ""));
	lab_expect(lab, "MESSAGE ");
	target_by(lab, phone, true);
	lab_receive(lab, caller(), request_text("MESSAGE", "m2", 2, ""));
	lab_expect(lab, "MESSAGE ");
	flow_ends(lab, phone);
	lab_expect(lab, "SIP/2.0 500 ");
	lab_receive(lab, caller(), request_text("MESSAGE", "m3", 3, ""));
	lab_expect(lab, "SIP/2.0 480 ");
	lab_expect_nothing(lab);
	lab_runs_out(lab);
	assert_int_equal(lab->closed, 1);
	lab_free(lab);
}

/* The flow of a binding likewise: nothing has left on it, so its Contact is tried. */
static void request_on_a_flow_that_has_just_ended(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop phone = phone_connects(lab);
	const struct sent *invite;

	(void)state;
	lab_target(lab, "sip:bob@192.0.2.2:5062;transport=tcp");
	target_by(lab, phone, false);
	lab->dead = phone.flow;
	invite = invite_arrives(lab);
	sent_to(invite, hop_at(STW_TRANSPORT_TCP, "192.0.2.2", 5062));
	flow_closes(lab, phone, ECONNRESET);
	lab_expect_nothing(lab);
	flow_closes(lab, flow_of(lab, invite, false), ECONNREFUSED);
	lab_expect(lab, "SIP/2.0 480 ");
	/* Where the flow is all that is known, it has failed. */
	phone = flow_arrives(lab, phone);
	lab->targets[0].hop_only = true;
	lab_receive(lab, caller(), request_text("MESSAGE", "m1", 2, ""));
	lab_expect(lab, "SIP/2.0 480 ");
	flow_closes(lab, phone, ECONNRESET);
	lab_expect_nothing(lab);
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	lab_runs_out(lab);
	lab_free(lab);
}

/* A flow that is found by its address is as good as none when it has just ended. */
static void found_flow_has_just_ended(void **state)
{
	struct lab *lab = lab_new();
	struct stw_hop phone = stream_arrives(lab, "192.0.2.2", 5060);

	(void)state;
	lab_target(lab, "sip:bob@192.0.2.2:5060;transport=tcp");
	lab->dead = phone.flow;
	invite_arrives(lab);
	assert_int_equal(lab->opened, 1);
	flow_closes(lab, phone, ECONNRESET);
	lab_expect_nothing(lab);
	lab_free(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answer_on_a_flow_that_has_just_ended),
		cmocka_unit_test(requests_behind_an_answer_that_is_lost),
		cmocka_unit_test(half_closed_flow_waits_for_answers),
		cmocka_unit_test(half_closed_flow_ends),
		cmocka_unit_test(unreadable_flow_ends_soon),
		cmocka_unit_test(half_closed_flow_takes_no_requests),
		cmocka_unit_test(request_on_a_flow_that_has_just_ended),
		cmocka_unit_test(found_flow_has_just_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
