/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of targets behind one another: what comes when all of one has failed is asked. */
#include "context_support.h"

static struct bench bench;

static void expect(const char *log)
{
	assert_string_equal(bench.log, log);
}

static void respond(unsigned branch, unsigned code)
{
	bench_respond(&bench, branch, code, "");
}

static void cancel(const char *reason)
{
	INPUT(&bench, stw_response_context_cancel(bench.context, stw_str_from(reason)));
}

static void more(const char *uri, bool fresh)
{
	struct stw_proxy_target target = { .uri = stw_str_from(uri), .q = 1000 };

	INPUT(&bench, assert_int_equal(stw_response_context_more(bench.context,
					       uri ? &target : NULL, uri ? 1 : 0, fresh),
			      0));
}

static void settle(void)
{
	INPUT(&bench, stw_response_context_settle(bench.context));
}

static void leave(void)
{
	INPUT(&bench, stw_response_context_leave(bench.context));
}

static void ask(unsigned n)
{
	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	stw_response_context_ask(bench.context);
	bench_fork(&bench, n);
}

static void what_comes_next_is_asked(void **state)
{
	ask(2);
	expect("START 0 15; C 0; START 1 15; C 1; ");
	respond(0, 480);
	expect("");
	respond(1, 486);
	expect("NEXT 486; ");
	more("sip:carol@c.test", true);
	expect("START 2 30; C 2; ");
	respond(2, 180);
	expect("RELAY 180; C 2; ");
	respond(2, 404);
	expect("NEXT 404 rang; ");
	settle();
	expect("RELAY 404; FINISHED; ");
	bench_close(&bench);

	ask(1);
	respond(0, 480);
	expect("NEXT 480; ");
	more("sip:carol@c.test", false);
	respond(1, 404);
	expect("NEXT 480; ");
	settle();
	expect("RELAY 480; FINISHED; ");
	bench_close(&bench);
}

static void what_is_not_asked(void **state)
{
	ask(1);
	respond(0, 603);
	expect("RELAY 603; FINISHED; ");
	bench_close(&bench);

	ask(1);
	respond(0, 180);
	cancel("");
	expect("CANCEL 0; ");
	respond(0, 487);
	expect("RELAY 487; FINISHED; ");
	bench_close(&bench);

	ask(1);
	respond(0, 180);
	INPUT(&bench, stw_response_context_expired(bench.context));
	expect("CANCEL 0; ");
	respond(0, 487);
	expect("ANSWER 408 invite-expired; FINISHED; ");
	bench_close(&bench);

	ask(1);
	settle();
	expect("");
	respond(0, 486);
	expect("RELAY 486; FINISHED; ");
	bench_close(&bench);
}

static void who_was_left_is_not_waited_for(void **state)
{
	ask(2);
	respond(0, 180);
	leave();
	expect("CANCEL 0; NEXT 408 rang; ");
	more("sip:carol@c.test", true);
	expect("START 2 15; C 2; ");
	respond(1, 180);
	expect("CANCEL 1; ");
	assert_string_equal(bench.lines, "Reason: SIP;cause=408;text=\"Request Timeout\"\r\n");
	respond(0, 487);
	expect("");
	respond(1, 603);
	expect("");
	respond(2, 486);
	expect("NEXT 486; ");
	settle();
	expect("RELAY 486; FINISHED; ");
	bench_close(&bench);

	/* Its 2xx has crossed the CANCEL. */
	ask(1);
	respond(0, 180);
	leave();
	more("sip:carol@c.test", true);
	respond(1, 180);
	respond(0, 200);
	expect("RELAY 200; CANCEL 1; ");
	respond(1, 487);
	expect("FINISHED; ");
	bench_close(&bench);

	/* … while nothing was decided yet. */
	ask(1);
	respond(0, 180);
	leave();
	respond(0, 200);
	expect("RELAY 200; FINISHED; ");
	more("sip:carol@c.test", true);
	expect("");
	bench_close(&bench);
}

static void a_pause_between_the_groups(void **state)
{
	ask(1);
	respond(0, 486);
	more(NULL, true);
	expect("NEXT 408; ");
	cancel("");
	expect("ANSWER 487 cancelled-by-caller; FINISHED; ");
	bench_close(&bench);

	ask(1);
	respond(0, 486);
	INPUT(&bench, stw_response_context_stop(bench.context, &stw_cause_loop));
	expect("ANSWER 482 loop; FINISHED; ");
	bench_close(&bench);

	/* No breadth is left before those who were left have ended. */
	bench_open(&bench, "INVITE", "sip:bob@example.test", "Max-Breadth: 1\r\n");
	stw_response_context_ask(bench.context);
	bench_fork(&bench, 1);
	expect("START 0 1; C 0; ");
	respond(0, 180);
	leave();
	more("sip:carol@c.test", true);
	expect("");
	respond(0, 487);
	expect("START 1 1; C 1; ");
	respond(1, 200);
	expect("RELAY 200; FINISHED; ");
	bench_close(&bench);
}

static void the_same_place_again(void **state)
{
	ask(1);
	respond(0, 486);
	more("sip:bob@b0.example.test", false);
	expect("NEXT 486; ");
	more("sip:bob@b0.example.test", true);
	expect("START 1 30; C 1; ");
	respond(1, 200);
	bench_close(&bench);
}

/* ---- the q of a redirection ------------------------ */

/* `q` of two phones, of which the first one redirects. */
static void redirected(unsigned first, unsigned second, const char *contacts)
{
	struct stw_proxy_target phones[2] = { { .uri = STW_STR("sip:p1@x.test"), .q = first },
		{ .uri = STW_STR("sip:p2@x.test"), .q = second } };

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench.options.recurse = true;
	assert_int_equal(stw_response_context_add(bench.context, phones, 2), 0);
	INPUT(&bench, stw_response_context_start(bench.context));
	bench_respond(&bench, 0, 302, contacts);
}

/* Its best contact rings as the phone did, the others by their share of its q. */
static void contacts_take_the_q_of_the_branch(void **state)
{
	redirected(1000, 1000, "Contact: <sip:a@x.test>;q=0.2, <sip:b@x.test>;q=0.1\r\n");
	expect("START 2 30; C 2; ");
	respond(2, 486);
	expect(""); /* the other phone rings still */
	respond(1, 486);
	expect("START 3 60; C 3; ");
	bench_close(&bench);

	redirected(1000, 400, "Contact: <sip:a@x.test>;q=0.2, <sip:b@x.test>;q=0.1\r\n");
	expect("START 1 60; C 1; ");
	respond(1, 486);
	expect("START 2 60; C 2; "); /* 500 of 1000 is more than 400 */
	respond(2, 302);
	expect("START 3 60; C 3; ");
	bench_close(&bench);

	redirected(500, 400, "Contact: <sip:a@x.test>;q=1.0, <sip:b@x.test>;q=0.1\r\n");
	expect("START 1 60; C 1; ");
	respond(1, 486);
	expect("START 2 60; C 2; "); /* the other phone: 50 of 500 is less than 400 */
	bench_close(&bench);

	redirected(1000, 400, "Contact: <sip:a@x.test>;q=0, <sip:b@x.test>;q=0\r\n");
	expect("START 1 30; C 1; START 2 30; C 2; ");
	bench_close(&bench);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_next_is_asked),
		cmocka_unit_test(what_is_not_asked),
		cmocka_unit_test(who_was_left_is_not_waited_for),
		cmocka_unit_test(a_pause_between_the_groups),
		cmocka_unit_test(the_same_place_again),
		cmocka_unit_test(contacts_take_the_q_of_the_branch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
