/* SPDX-License-Identifier: Apache-2.0 */
/* The response context event by event: one case for each row of §16.7 to §16.10 as we decided them.
 */
#include "context_support.h"

#include <errno.h>

#define ELSEWHERE "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"

static struct bench bench;

static void invite(unsigned n)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, n);
}

static void expect(const char *log)
{
	assert_string_equal(bench.log, log);
}

static void respond(unsigned branch, unsigned code)
{
	bench_respond(&bench, branch, code, "");
}

static void start(void)
{
	INPUT(&bench, stw_response_context_start(bench.context));
}

static void cancel(const char *reason)
{
	INPUT(&bench, stw_response_context_cancel(bench.context, stw_str_from(reason)));
}

static void no_answer(void)
{
	INPUT(&bench, stw_response_context_no_answer(bench.context));
}

static void timer_c(unsigned branch)
{
	INPUT(&bench, stw_response_context_timer_c(bench.context, branch));
}

static void failed(unsigned branch, const struct stw_cause *cause)
{
	INPUT(&bench, stw_response_context_failed(bench.context, branch, cause));
}

/* ---- provisional responses ------------------------ */

static void provisionals_to_invite(void **state)
{
	invite(1);
	expect("START 0 60; C 0; ");
	respond(0, 100);
	expect("");
	respond(0, 180);
	expect("RELAY 180; C 0; ");
	respond(0, 199);
	expect("RELAY 199; C 0; ");
	bench_respond_as(&bench, 0, 183,
		"From: <sip:a@a>;tag=f1\r\nTo: <sip:b@b>;tag=1\r\nCall-ID: no\r\n", "");
	expect("");
	respond(7, 180);
	expect("");
	bench_close(&bench);
}

/* RFC 6228: one that ends many dialogs at once; the 1xx of all of them go up. */
static void early_dialogs_are_bounded(void **state)
{
	char identity[256];

	bench_open(&bench, "INVITE", "sip:bob@example.test", "Supported: 199\r\n");
	bench_fork(&bench, 2);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(identity, sizeof(identity),
			"From: <sip:a@a>;tag=f1\r\nTo: <sip:b@b>;tag=%u\r\nCall-ID: c1@a\r\n",
			i % 20);
		bench_respond_as(&bench, 0, 183, identity, "");
		expect("RELAY 183; C 0; ");
	}
	respond(0, 486);
	expect("199 486 15; 199 486 14; 199 486 13; 199 486 12; 199 486 11; 199 486 10; "
	       "199 486 9; 199 486 8; 199 486 7; 199 486 6; 199 486 5; 199 486 4; "
	       "199 486 3; 199 486 2; 199 486 1; 199 486 0; ");
	bench_close(&bench);
}

static void provisionals_after_the_final(void **state)
{
	invite(2);
	respond(0, 180);
	respond(0, 200);
	expect("RELAY 200; ");
	respond(1, 180);
	expect("C 1; CANCEL 1; ");
	respond(1, 487);
	expect("FINISHED; ");
	respond(1, 180);
	expect("");
	bench_close(&bench);
}

static void provisionals_to_non_invite(void **state)
{
	bench_open(&bench, "MESSAGE", "sip:bob@example.test", "");
	bench_fork(&bench, 1);
	expect("START 0 60; ");
	respond(0, 180);
	expect("");
	respond(0, 200);
	expect("RELAY 200; FINISHED; ");
	bench_close(&bench);
}

/* ---- success ------------------------ */

static void success_cancels_the_others(void **state)
{
	invite(3);
	expect("START 0 20; C 0; START 1 20; C 1; START 2 20; C 2; ");
	respond(0, 180);
	respond(1, 183);
	respond(0, 200);
	expect("RELAY 200; CANCEL 1; ");
	assert_string_equal(bench.lines, ELSEWHERE);
	respond(2, 100); /* §9.1: only now */
	expect("CANCEL 2; ");
	assert_string_equal(bench.lines, ELSEWHERE);
	respond(2, 180);
	expect("C 2; ");
	respond(1, 487);
	expect("");
	respond(2, 487);
	expect("FINISHED; ");
	bench_close(&bench);
}

static void every_success_goes_up(void **state)
{
	invite(2);
	respond(0, 200);
	respond(0, 200);
	expect("RELAY 200; ");
	respond(1, 200);
	expect("RELAY 200; FINISHED; ");
	respond(1, 200);
	expect("RELAY 200; ");
	bench_close(&bench);
}

static void success_after_a_failure_was_sent(void **state)
{
	invite(1);
	bench_timeout(&bench, 0);
	expect("ANSWER 408 no-response-downstream; FINISHED; ");
	respond(0, 200);
	expect("RELAY 200; ");
	respond(0, 486);
	expect("");
	bench_close(&bench);
}

static void second_success_to_non_invite_is_dropped(void **state)
{
	bench_open(&bench, "MESSAGE", "sip:bob@example.test", "");
	bench_fork(&bench, 2);
	respond(1, 202);
	expect("RELAY 202; ");
	respond(0, 200);
	expect("FINISHED; ");
	respond(0, 200);
	expect("");
	bench_close(&bench);
}

static void no_cancel_is_obeyed(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test",
		"Request-Disposition: proxy, no-cancel\r\n");
	bench_fork(&bench, 2);
	respond(0, 180);
	respond(1, 180);
	respond(0, 200);
	expect("RELAY 200; ");
	respond(1, 486);
	expect("FINISHED; ");
	bench_close(&bench);
}

static void success_drops_untried_targets(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_add(&bench, "sip:b1@x.test", 1000);
	bench_add(&bench, "sip:b2@x.test", 500);
	start();
	respond(0, 200);
	expect("RELAY 200; FINISHED; ");
	assert_int_equal(bench_add(&bench, "sip:b3@x.test", 500), 0);
	start();
	expect("");
	bench_close(&bench);
}

/* ---- 6xx ------------------------ */

static void global_failure_stops_everything(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_add(&bench, "sip:later@x.test", 100);
	bench_fork(&bench, 3);
	expect("START 0 60; C 0; ");
	respond(0, 404);
	expect("START 1 20; C 1; START 2 20; C 2; START 3 20; C 3; ");
	bench_add(&bench, "sip:never@x.test", 100);
	respond(1, 180);
	respond(3, 180);
	respond(2, 603);
	expect("CANCEL 1; CANCEL 3; ");
	assert_string_equal(bench.lines, "Reason: SIP;cause=603;text=\"Decline\"\r\n");
	respond(1, 600);
	respond(3, 487);
	expect("RELAY 603; FINISHED; ");
	bench_close(&bench);
}

static void success_beats_global_failure(void **state)
{
	invite(2);
	respond(1, 180);
	respond(0, 600);
	expect("CANCEL 1; ");
	respond(1, 200);
	expect("RELAY 200; FINISHED; ");
	bench_close(&bench);
}

static void global_failure_of_non_invite_cancels_nothing(void **state)
{
	bench_open(&bench, "MESSAGE", "sip:bob@example.test", "");
	bench_fork(&bench, 2);
	respond(1, 100);
	respond(0, 607);
	expect("");
	respond(1, 404);
	expect("RELAY 607; FINISHED; ");
	bench_close(&bench);
}

/* ---- silence ------------------------ */

static void ring_timer(void **state)
{
	invite(2);
	respond(0, 180);
	no_answer();
	expect("CANCEL 0; ");
	assert_string_equal(bench.lines, "");
	respond(0, 487);
	respond(1, 180);
	expect("RELAY 180; C 1; CANCEL 1; ");
	respond(1, 487);
	expect("ANSWER 408 no-answer; FINISHED; ");
	bench_close(&bench);
}

static void a_reason_of_the_phone_beats_the_ring_timer(void **state)
{
	invite(1);
	respond(0, 180);
	no_answer();
	respond(0, 486);
	expect("RELAY 486; FINISHED; ");
	bench_close(&bench);
}

static void ring_timer_goes_on_to_the_next(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_add(&bench, "sip:b1@x.test", 1000);
	start();
	respond(0, 180);
	bench_add(&bench, "sip:mailbox@x.test", 1000);
	no_answer();
	expect("CANCEL 0; ");
	respond(0, 487);
	expect("START 1 60; C 1; ");
	respond(1, 200);
	expect("RELAY 200; FINISHED; ");
	bench_close(&bench);
}

static void expires_ends_all(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_add(&bench, "sip:b1@x.test", 1000);
	bench_add(&bench, "sip:b2@x.test", 500);
	start();
	respond(0, 180);
	INPUT(&bench, stw_response_context_expired(bench.context));
	expect("CANCEL 0; ");
	respond(0, 487);
	expect("ANSWER 408 invite-expired; FINISHED; ");
	bench_close(&bench);
}

static void timer_c_rows(void **state)
{
	invite(1);
	timer_c(0);
	expect("ANSWER 408 timer-c; FINISHED; ");
	bench_close(&bench);

	invite(1);
	respond(0, 180);
	timer_c(0);
	expect("CANCEL 0; ");
	respond(0, 487);
	expect("ANSWER 408 timer-c; FINISHED; ");
	bench_close(&bench);

	invite(1); /* not even the CANCEL helps */
	respond(0, 180);
	timer_c(0);
	bench_timeout(&bench, 0);
	expect("ANSWER 408 timer-c; FINISHED; ");
	timer_c(0);
	expect("");
	bench_close(&bench);
}

static void a_received_408_to_non_invite_is_silence(void **state)
{
	bench_open(&bench, "MESSAGE", "sip:bob@example.test", "");
	bench_fork(&bench, 2);
	respond(0, 408);
	respond(1, 404);
	expect("RELAY 404; FINISHED; ");
	bench_close(&bench);
}

static void silent_branches_may_be_given_up(void **state)
{
	bench_open(&bench, "MESSAGE", "sip:bob@example.test", "");
	bench_fork(&bench, 2);
	INPUT(&bench, stw_response_context_give_up_silent(bench.context));
	expect("");
	respond(0, 404);
	INPUT(&bench, stw_response_context_give_up_silent(bench.context));
	expect("RELAY 404; ");
	respond(1, 200);
	expect("FINISHED; ");
	bench_close(&bench);
}

/* ---- failures and misfits ------------------------ */

static void failures_by_cause(void **state)
{
	static const struct stw_cause no_dns = { "dns", 504, "", "", "", "", "" };
	static const struct stw_cause lost = { "lost", 503, "", "", "", "", "" };
	static const struct stw_cause silent = { "silent", 408, "", "", "", "", "" };

	invite(2);
	failed(0, &no_dns);
	failed(1, &lost);
	expect("ANSWER 504 dns; FINISHED; ");
	bench_close(&bench);

	invite(1);
	failed(0, &lost);
	expect("ANSWER 500 downstream-unavailable; FINISHED; ");
	bench_close(&bench);

	bench_open(&bench, "MESSAGE", "sip:bob@example.test", "");
	bench_fork(&bench, 1);
	failed(0, &silent);
	expect("ABANDON; FINISHED; ");
	bench_close(&bench);
}

static void misfits(void **state)
{
	static const char *const identities[] = {
		"From: <sip:a@a>;tag=f2\r\nTo: <sip:b@b>;tag=1\r\nCall-ID: c1@a\r\n",
		"From: <sip:a@a>\r\nTo: <sip:b@b>;tag=1\r\nCall-ID: c1@a\r\n",
		"From: <sip:a@a>;tag=f1\r\nTo: <sip:b@b>;tag=1\r\nCall-ID: C1@a\r\n",
	};
	unsigned i, code;

	for (i = 0; i < STW_ARRAY_SIZE(identities); i++) {
		for (code = 200; code < 700; code += 100) {
			invite(1);
			bench_respond_as(&bench, 0, code, identities[i], "");
			expect("ANSWER 502 bad-response-downstream; FINISHED; ");
			bench_close(&bench);
		}
	}
}

static void misfit_to_tag_in_a_dialog(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	snprintf(bench.request->text, sizeof(bench.request->text),
		"INVITE sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
		"From: <sip:a@a>;tag=f1\r\nTo: <sip:b@b>;tag=t9\r\nCall-ID: c1@a\r\n"
		"CSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\r\n");
	parse(bench.request);
	bench_fork(&bench, 1);
	respond(0, 480); /* tag=t1 */
	expect("ANSWER 502 bad-response-downstream; FINISHED; ");
	bench_close(&bench);
}

/* ---- CANCEL from upstream ------------------------ */

static void cancel_carries_its_reason(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_add(&bench, "sip:later@x.test", 500);
	bench_fork(&bench, 2);
	respond(0, 404);
	respond(1, 180);
	cancel("Reason: Q.850;cause=16\r\n");
	expect("CANCEL 1; ");
	assert_string_equal(bench.lines, "Reason: Q.850;cause=16\r\n");
	cancel("Reason: Q.850;cause=17\r\n");
	expect("");
	respond(2, 100);
	expect("CANCEL 2; ");
	assert_string_equal(bench.lines, "Reason: Q.850;cause=16\r\n");
	respond(2, 487);
	respond(1, 487);
	expect("RELAY 487; FINISHED; ");
	bench_close(&bench);
}

static void cancel_crosses_success(void **state)
{
	invite(1);
	respond(0, 180);
	cancel("");
	expect("CANCEL 0; ");
	respond(0, 200);
	expect("RELAY 200; FINISHED; ");
	cancel("");
	expect("");
	bench_close(&bench);
}

static void cancel_before_any_response(void **state)
{
	invite(2);
	cancel("");
	expect("");
	bench_timeout(&bench, 0);
	respond(1, 486); /* it never saw a CANCEL */
	expect("RELAY 486; FINISHED; ");
	bench_close(&bench);
}

static void cancel_of_non_invite_does_nothing(void **state)
{
	bench_open(&bench, "MESSAGE", "sip:bob@example.test", "");
	bench_fork(&bench, 1);
	respond(0, 100);
	cancel("");
	expect("");
	respond(0, 200);
	expect("RELAY 200; FINISHED; ");
	bench_close(&bench);
}

/* ---- serial, parallel, later groups ------------------------ */

static void serial_by_falling_q(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench.context = stw_response_context_free(bench.context);
	assert_int_equal(
		stw_response_context_new(&bench.options, &bench.request->msg, &bench.context), 0);
	{
		struct stw_proxy_target targets[] = {
			{ .uri = STW_STR("sip:low@x.test"), .q = 100 },
			{ .uri = STW_STR("sip:high@x.test"), .q = 1000 },
			{ .uri = STW_STR("sip:mid1@x.test"), .q = 500 },
			{ .uri = STW_STR("sip:mid2@x.test"), .q = 500 },
			{ .uri = STW_STR("sip:HIGH@x.test"), .q = 1000 },
			{ .uri = STW_STR("sip:high@X.test"), .q = 1000 }, /* a duplicate */
		};

		assert_int_equal(stw_response_context_add(bench.context, targets, 6), 0);
	}
	start();
	expect("START 0 30; C 0; START 1 30; C 1; ");
	respond(0, 486);
	expect("");
	respond(1, 404);
	expect("START 2 30; C 2; START 3 30; C 3; ");
	respond(3, 404);
	respond(2, 404);
	expect("START 4 60; C 4; ");
	respond(4, 404);
	expect("RELAY 486; FINISHED; ");
	bench_close(&bench);
}

static void targets_are_copied(void **state)
{
	char uri[] = "sip:b@x.test", path[] = "<sip:edge.test;lr>";
	struct stw_proxy_target target = {
		.uri = stw_str_from(uri), .path = stw_str_from(path), .q = 1
	};
	struct stw_proxy_action action;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	assert_int_equal(stw_response_context_add(bench.context, &target, 1), 0);
	memset(uri, 'x', sizeof(uri));
	memset(path, 'x', sizeof(path));
	stw_response_context_start(bench.context);
	action = stw_response_context_next(bench.context);
	assert_int_equal(action.kind, STW_PROXY_START);
	assert_str(action.target->uri, "sip:b@x.test");
	assert_str(action.target->path, "<sip:edge.test;lr>");
	bench_close(&bench);
}

static void waiting_without_a_branch(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	start();
	expect("");
	cancel("");
	expect("ANSWER 487 cancelled-by-caller; FINISHED; ");
	bench_close(&bench);

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	start();
	no_answer();
	expect("ANSWER 408 no-answer; FINISHED; ");
	bench_close(&bench);
}

static void as_many_branches_as_allowed(void **state)
{
	unsigned i;
	char uri[40];

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench.options.max_branches = 3;
	for (i = 0; i < 3; i++) {
		snprintf(uri, sizeof(uri), "sip:b%u@x.test", i);
		assert_int_equal(bench_add(&bench, uri, 1000), 0);
	}
	assert_int_equal(bench_add(&bench, "sip:b0@x.test", 1000), 0);
	assert_int_equal(bench_add(&bench, "sip:b9@x.test", 1000), -ENOBUFS);
	bench_close(&bench);
}

static void memory_is_bounded(void **state)
{
	static char uri[4000];
	int i, err = 0;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	for (i = 0; i < 100 && err == 0; i++) {
		memset(uri, 'a', sizeof(uri) - 1);
		snprintf(uri, 16, "sip:u%04d", i);
		uri[strlen(uri)] = 'a';
		err = bench_add(&bench, uri, 1000);
	}
	assert_int_equal(err, -ENOMEM);
	assert_in_range(i, 10, 20);
	start(); /* what went in is tried */
	expect("START 0 60; C 0; ");
	bench_close(&bench);
}

static void allocation_failures(void **state)
{
	struct stw_response_context *context = NULL;
	struct stw_proxy_target target = { .uri = STW_STR("sip:b@x.test") };

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	support_fail_allocation(1);
	assert_int_equal(
		stw_response_context_new(&bench.options, &bench.request->msg, &context), -ENOMEM);
	support_fail_allocation(1);
	assert_int_equal(stw_response_context_add(bench.context, &target, 1), -ENOMEM);
	support_fail_allocation(0);
	assert_int_equal(stw_response_context_add(bench.context, &target, 1), 0);
	assert_null(stw_response_context_free(NULL));
	bench_close(&bench);
}

/* ---- Max-Breadth, RFC 5393 §5.3.3 ------------------------ */

static void breadth(const char *line, bool fallback, unsigned n)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", line);
	bench.options.serial_fallback = fallback;
	bench_fork(&bench, n);
}

static void breadth_is_divided(void **state)
{
	breadth("", false, 2);
	expect("START 0 30; C 0; START 1 30; C 1; ");
	bench_close(&bench);
	breadth("Max-Breadth: 200\r\n", false, 2);
	expect("START 0 30; C 0; START 1 30; C 1; ");
	bench_close(&bench);
	breadth("Max-Breadth: 7\r\n", false, 2);
	expect("START 0 3; C 0; START 1 3; C 1; ");
	bench_close(&bench);
	breadth("Max-Breadth: 7\r\n", false, 1);
	expect("START 0 7; C 0; ");
	bench_close(&bench);
}

static void breadth_falls_back_to_serial(void **state)
{
	breadth("Max-Breadth: 2\r\n", true, 4);
	expect("START 0 1; C 0; START 1 1; C 1; ");
	respond(1, 486);
	expect("START 2 1; C 2; ");
	respond(0, 486);
	expect("START 3 1; C 3; ");
	respond(2, 486);
	respond(3, 486);
	expect("RELAY 486; FINISHED; ");
	bench_close(&bench);
}

/* RFC 5393 §3: what has been here before is not tried in turn. */
static void breadth_of_a_spiral(void **state)
{
	static const char line[] = "Max-Breadth: 2\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch="
				   "z9hG4bKuDNetB2tutmR9mce.cb8ae2d327bf840b\r\n";
	struct stw_listeners listeners = { .n = 1, .v[0].transport = STW_TRANSPORT_UDP };

	assert_int_equal(stw_addr_from_host(STW_STR("192.0.2.1"), 5060, &listeners.v[0].bind), 0);
	for (unsigned n = 2; n <= 4; n += 2) {
		bench_open(&bench, "INVITE", "sip:bob@example.test", line);
		bench.options.listeners = &listeners;
		bench_fork(&bench, n);
		expect(n == 2 ? "START 0 1; C 0; START 1 1; C 1; "
			      : "ANSWER 440 max-breadth-exceeded; FINISHED; ");
		bench_close(&bench);
	}
}

static void breadth_exceeded(void **state)
{
	breadth("Max-Breadth: 1\r\n", false, 2);
	expect("ANSWER 440 max-breadth-exceeded; FINISHED; ");
	bench_close(&bench);
	breadth("Max-Breadth: 0\r\n", true, 1);
	expect("ANSWER 440 max-breadth-exceeded; FINISHED; ");
	bench_close(&bench);
}

static void breadth_exceeded_by_a_later_group(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "Max-Breadth: 1\r\n");
	bench.options.serial_fallback = false;
	bench_add(&bench, "sip:first@x.test", 1000);
	start();
	{
		struct stw_proxy_target two[] = { { .uri = STW_STR("sip:a@x.test") },
			{ .uri = STW_STR("sip:b@x.test") } };

		assert_int_equal(stw_response_context_add(bench.context, two, 2), 0);
	}
	respond(0, 486);
	expect("ANSWER 440 max-breadth-exceeded; FINISHED; ");
	bench_close(&bench);
}

/* ---- flows of one instance, RFC 5626 §7 ------------------------ */

static void two_flows(const char *method)
{
	struct stw_proxy_target targets[3] = { 0 };
	unsigned i;

	bench_open(&bench, method, "sip:bob@example.test", "");
	for (i = 0; i < 3; i++) {
		targets[i].uri =
			i < 2 ? STW_STR("sip:bob@phone.test") : STW_STR("sip:bob@other.test");
		targets[i].instance = i < 2 ? STW_STR("<urn:uuid:1>") : STW_STR("<urn:uuid:2>");
		targets[i].q = 1000;
		targets[i].has_hop = true;
		targets[i].hop.flow = (struct stw_flow_id){ 0, i, 1 };
	}
	assert_int_equal(stw_response_context_add(bench.context, targets, 3), 0);
	start();
}

static void one_flow_of_an_instance_at_a_time(void **state)
{
	two_flows("INVITE");
	expect("START 0 30; C 0; START 1 30; C 1; ");
	respond(1, 486);
	expect("");
	respond(0, 430);
	expect("START 2 60; C 2; ");
	respond(2, 480);
	expect("RELAY 486; FINISHED; ");
	bench_close(&bench);
}

static void an_instance_that_answered_is_not_tried_again(void **state)
{
	two_flows("INVITE");
	respond(0, 404);
	respond(1, 404);
	expect("RELAY 404; FINISHED; ");
	bench_close(&bench);
}

static void a_430_is_replaced_by_the_other_flow(void **state)
{
	two_flows("MESSAGE");
	respond(0, 430);
	expect("START 2 45; ");
	bench_timeout(&bench, 2);
	bench_timeout(&bench, 1);
	expect("ABANDON; FINISHED; ");
	bench_close(&bench);

	two_flows("INVITE");
	failed(0, NULL);
	expect("START 2 30; C 2; ");
	respond(2, 430);
	respond(1, 430);
	expect("ANSWER 480 flow-failed; FINISHED; ");
	bench_close(&bench);
}

/* ---- recursion ------------------------ */

static void recurse(const char *uri)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench.options.recurse = true;
	assert_int_equal(bench_add(&bench, uri, 1000), 0);
	start();
}

static void contacts_are_followed(void **state)
{
	recurse("sip:b@x.test");
	bench_respond(&bench, 0, 302,
		"Contact: <sip:c@y.test?Subject=x>;q=0.7, \"D\" <sip:d@y.test>\r\n"
		"Contact: <sip:b@x.test>\r\n");
	expect("START 1 60; C 1; ");
	respond(1, 404);
	expect("START 2 60; C 2; ");
	bench_respond(&bench, 2, 302, "Contact: <sip:c@y.test>\r\n");
	expect("RELAY 404; FINISHED; ");
	bench_close(&bench);
}

static void no_contact_left_and_nothing_else(void **state)
{
	recurse("sip:b@x.test");
	bench_respond(&bench, 0, 302, "Contact: <sip:b@x.test>\r\n");
	expect("ANSWER 408 no-response-downstream; FINISHED; ");
	bench_close(&bench);
}

static void what_is_not_followed_stays_in_the_response(void **state)
{
	recurse("sip:b@x.test");
	bench_respond(&bench, 0, 301,
		"Contact: <sips:c@y.test>, <sip:d@y.test>, <tel:+1555>;q=0.1\r\n"
		"X-Other: kept\r\nContact: <mailto:b@x.test>\r\n");
	expect("START 1 60; C 1; ");
	respond(1, 486);
	expect("RELAY 301; FINISHED; ");
	assert_non_null(strstr(bench.relayed,
		"Contact: <sips:c@y.test>, <tel:+1555>;q=0.1, <mailto:b@x.test>\r\n"));
	assert_null(strstr(bench.relayed, "d@y.test"));
	assert_non_null(strstr(bench.relayed, "X-Other: kept"));
	bench_close(&bench);
}

/* So many are looked at; the caller gets the others. */
static void contacts_are_bounded(void **state)
{
	char lines[2048];
	size_t len = (size_t)snprintf(lines, sizeof(lines), "Contact: <sip:b@x.test>");

	for (unsigned i = 1; i < 64; i++)
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, ", <sip:b@x.test>");
	snprintf(lines + len, sizeof(lines) - len, ", <sip:c@y.test>\r\n");
	recurse("sip:b@x.test");
	bench_respond(&bench, 0, 302, lines);
	expect("RELAY 302; FINISHED; ");
	assert_non_null(strstr(bench.relayed, "\r\nContact: <sip:c@y.test>\r\n"));
	assert_null(strstr(bench.relayed, "b@x.test>\r\n"));
	bench_close(&bench);
}

static void never_followed(void **state)
{
	static const struct {
		const char *uri;
		unsigned code;
		const char *contact;
	} cases[] = {
		{ "sip:b@x.test", 305, "Contact: <sip:c@y.test>\r\n" },
		{ "sip:b@x.test", 380, "Contact: <sip:c@y.test>\r\n" },
		{ "sips:b@x.test", 302, "Contact: <sip:c@y.test>\r\n" },
		{ "sip:b@x.test", 302, "Contact: <sips:c@y.test>\r\n" },
		{ "sip:b@x.test", 302, "Contact: *\r\n" },
		{ "sip:b@x.test", 302, "Contact: <sip:\r\n" },
		{ "sip:b@x.test", 300, "" },
	};
	char want[40];
	unsigned i;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		recurse(cases[i].uri);
		bench_respond(&bench, 0, cases[i].code, cases[i].contact);
		snprintf(want, sizeof(want), "RELAY %u; FINISHED; ", cases[i].code);
		expect(want);
		assert_non_null(strstr(bench.relayed, cases[i].contact));
		bench_close(&bench);
	}
}

static void redirections_without_memory(void **state)
{
	unsigned nth;

	for (nth = 1; nth < 8; nth++) {
		recurse("sip:b@x.test");
		support_fail_allocation(nth);
		bench_respond(&bench, 0, 302, "Contact: <sip:c@y.test>, <tel:+1>\r\n");
		if (!strstr(bench.log, "FINISHED"))
			respond(1, 404);
		support_fail_allocation(0);
		assert_non_null(strstr(bench.log, "FINISHED"));
		bench_close(&bench);
	}
}

static void unsupported_scheme_of_our_making(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test:5070", "");
	bench_add(&bench, "tel:+1-555;phone-context=x", 1000);
	start();
	response_make(bench.response, 416, "INVITE", IDENTITY("t1"), "");
	stw_response_context_response(bench.context, 0, &bench.response->msg);
	assert_str(stw_response_context_next(bench.context).target->uri,
		"sip:+1-555;phone-context=x@example.test:5070;user=phone");
	bench_take(&bench);
	respond(1, 416);
	expect("RELAY 416; FINISHED; ");
	bench_close(&bench);

	bench_open(&bench, "INVITE", "sips:bob@example.test", "");
	bench_add(&bench, "tel:+1-555", 1000);
	start();
	respond(0, 416);
	expect("RELAY 416; FINISHED; ");
	bench_close(&bench);
}

/* ---- the caller of the queue ------------------------ */

/* A START that fails at once, while the actions are still being taken. */
static void failures_inside_the_loop(void **state)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_add(&bench, "sip:a@x.test", 1000);
	stw_response_context_start(bench.context);
	assert_int_equal(stw_response_context_next(bench.context).kind, STW_PROXY_START);
	stw_response_context_failed(bench.context, 0, NULL);
	bench_take(&bench);
	expect("ANSWER 500 downstream-unavailable; FINISHED; ");
	bench_close(&bench);
}

static void a_final_waits_in_the_queue(void **state)
{
	invite(1);
	response_make(bench.response, 486, "INVITE", IDENTITY("t1"), "");
	stw_response_context_response(bench.context, 0, &bench.response->msg);
	memset(bench.response->text, 'x', sizeof(bench.response->text) - 1);
	cancel("");
	expect("RELAY 486; FINISHED; ");
	assert_non_null(strstr(bench.relayed, "SIP/2.0 486 Test\r\n"));
	bench_close(&bench);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(provisionals_to_invite),
		cmocka_unit_test(early_dialogs_are_bounded),
		cmocka_unit_test(provisionals_after_the_final),
		cmocka_unit_test(provisionals_to_non_invite),
		cmocka_unit_test(success_cancels_the_others),
		cmocka_unit_test(every_success_goes_up),
		cmocka_unit_test(success_after_a_failure_was_sent),
		cmocka_unit_test(second_success_to_non_invite_is_dropped),
		cmocka_unit_test(no_cancel_is_obeyed),
		cmocka_unit_test(success_drops_untried_targets),
		cmocka_unit_test(global_failure_stops_everything),
		cmocka_unit_test(success_beats_global_failure),
		cmocka_unit_test(global_failure_of_non_invite_cancels_nothing),
		cmocka_unit_test(ring_timer),
		cmocka_unit_test(a_reason_of_the_phone_beats_the_ring_timer),
		cmocka_unit_test(ring_timer_goes_on_to_the_next),
		cmocka_unit_test(expires_ends_all),
		cmocka_unit_test(timer_c_rows),
		cmocka_unit_test(a_received_408_to_non_invite_is_silence),
		cmocka_unit_test(silent_branches_may_be_given_up),
		cmocka_unit_test(failures_by_cause),
		cmocka_unit_test(misfits),
		cmocka_unit_test(misfit_to_tag_in_a_dialog),
		cmocka_unit_test(cancel_carries_its_reason),
		cmocka_unit_test(cancel_crosses_success),
		cmocka_unit_test(cancel_before_any_response),
		cmocka_unit_test(cancel_of_non_invite_does_nothing),
		cmocka_unit_test(serial_by_falling_q),
		cmocka_unit_test(targets_are_copied),
		cmocka_unit_test(waiting_without_a_branch),
		cmocka_unit_test(as_many_branches_as_allowed),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(allocation_failures),
		cmocka_unit_test(breadth_is_divided),
		cmocka_unit_test(breadth_falls_back_to_serial),
		cmocka_unit_test(breadth_of_a_spiral),
		cmocka_unit_test(breadth_exceeded),
		cmocka_unit_test(breadth_exceeded_by_a_later_group),
		cmocka_unit_test(one_flow_of_an_instance_at_a_time),
		cmocka_unit_test(an_instance_that_answered_is_not_tried_again),
		cmocka_unit_test(a_430_is_replaced_by_the_other_flow),
		cmocka_unit_test(contacts_are_followed),
		cmocka_unit_test(no_contact_left_and_nothing_else),
		cmocka_unit_test(what_is_not_followed_stays_in_the_response),
		cmocka_unit_test(contacts_are_bounded),
		cmocka_unit_test(never_followed),
		cmocka_unit_test(redirections_without_memory),
		cmocka_unit_test(unsupported_scheme_of_our_making),
		cmocka_unit_test(failures_inside_the_loop),
		cmocka_unit_test(a_final_waits_in_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
