/* SPDX-License-Identifier: Apache-2.0 */
/* The time of a non-INVITE, which is 64*T1 for all that is tried (RFC 4320 §4.2, RFC 4321 §1.5). */
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

static void level_over(void)
{
	INPUT(&bench, stw_response_context_level_over(bench.context));
}

static void give_up(void)
{
	INPUT(&bench, stw_response_context_give_up_silent(bench.context));
}

static void open(const char *method, const char *lines)
{
	bench_open(&bench, method, "sip:bob@example.test", lines);
}

static void add(const char *uri, const char *instance, unsigned flow, unsigned q)
{
	struct stw_proxy_target target = { .uri = stw_str_from(uri),
		.instance = stw_str_from(instance),
		.q = q,
		.has_hop = true };

	target.hop.flow = (struct stw_flow_id){ 0, flow, 1 };
	assert_int_equal(stw_response_context_add(bench.context, &target, 1), 0);
}

static unsigned levels_left(void)
{
	return stw_response_context_levels_left(bench.context);
}

static void serial(unsigned n)
{
	char uri[40];

	for (unsigned i = 0; i < n; i++) {
		snprintf(uri, sizeof(uri), "sip:bob@p%u.example.test", i);
		bench_add(&bench, uri, 1000 - i);
	}
	INPUT(&bench, stw_response_context_start(bench.context));
}

static void levels_are_counted(void **state)
{
	struct stw_proxy_target targets[7] = { 0 };
	/* Two phones of two flows and one of three have three turns, another q and group one. */
	static const struct {
		const char *uri, *instance;
		unsigned q;
	} phones[7] = { { "sip:a@x.test", "<urn:uuid:1>", 900 },
		{ "sip:a@x.test", "<urn:uuid:1>", 900 }, { "sip:b@x.test", "<urn:uuid:2>", 900 },
		{ "sip:a@x.test", "<urn:uuid:1>", 900 }, { "sip:b@x.test", "<urn:uuid:2>", 900 },
		{ "sip:c@x.test", "", 900 }, { "sip:d@x.test", "", 500 } };

	open("MESSAGE", "");
	assert_int_equal(levels_left(), 0);
	for (unsigned i = 0; i < 7; i++) {
		targets[i].uri = stw_str_from(phones[i].uri);
		targets[i].instance = stw_str_from(phones[i].instance);
		targets[i].q = phones[i].q;
		targets[i].has_hop = true;
		targets[i].hop.flow = (struct stw_flow_id){ 0, i, 1 };
	}
	assert_int_equal(stw_response_context_add(bench.context, targets, 7), 0);
	assert_int_equal(levels_left(), 4);
	add("sip:e@x.test", "", 9, 1000);
	assert_int_equal(levels_left(), 5);
	INPUT(&bench, stw_response_context_start(bench.context));
	assert_int_equal(levels_left(), 4); /* a, b and c run: two turns of a, one of b beside it */
	bench_close(&bench);
}

static void what_comes_next_begins_beside_it(void **state)
{
	open("MESSAGE", "");
	serial(3);
	expect("START 0 30; "); /* breadth is left for the others */
	level_over();
	expect("START 1 15; ");
	level_over();
	expect("START 2 15; ");
	assert_int_equal(levels_left(), 0);
	respond(0, 200);
	expect("RELAY 200; ");
	respond(1, 200);
	respond(2, 404);
	expect("FINISHED; ");
	bench_close(&bench);
}

static void what_it_says_late_counts(void **state)
{
	open("MESSAGE", "");
	serial(2);
	level_over();
	respond(0, 486);
	expect("");
	respond(1, 404);
	expect("RELAY 486; FINISHED; ");
	bench_close(&bench);

	open("MESSAGE", "");
	serial(2);
	level_over();
	respond(1, 404);
	expect(""); /* as long as the first one may still answer */
	give_up();
	expect("RELAY 404; ");
	bench_timeout(&bench, 0);
	expect("FINISHED; ");
	bench_close(&bench);
}

/* Max-Breadth 1 does not let two run at once (RFC 5393 §5.3.3). */
static void breadth_is_waited_for(void **state)
{
	open("MESSAGE", "Max-Breadth: 1\r\n");
	serial(2);
	level_over();
	expect("");
	respond(0, 480);
	expect("START 1 1; ");
	bench_close(&bench);
}

static void nothing_begins_too_late(void **state)
{
	open("MESSAGE", "");
	serial(2);
	give_up();
	expect("");
	bench_timeout(&bench, 0);
	expect("ABANDON; FINISHED; ");
	bench_close(&bench);

	open("MESSAGE", ""); /* 64*T1 are over before the second one has said anything */
	serial(2);
	level_over();
	give_up();
	INPUT(&bench, stw_response_context_abandon(bench.context));
	expect("ABANDON; ");
	respond(1, 200);
	expect("");
	bench_timeout(&bench, 0);
	expect("FINISHED; ");
	bench_close(&bench);
}

static void an_invite_has_other_timers(void **state)
{
	open("INVITE", "");
	serial(2);
	level_over();
	give_up();
	INPUT(&bench, stw_response_context_abandon(bench.context));
	expect("");
	respond(0, 486);
	expect("START 1 60; C 1; ");
	bench_close(&bench);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_are_counted),
		cmocka_unit_test(what_comes_next_begins_beside_it),
		cmocka_unit_test(what_it_says_late_counts),
		cmocka_unit_test(breadth_is_waited_for),
		cmocka_unit_test(nothing_begins_too_late),
		cmocka_unit_test(an_invite_has_other_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
