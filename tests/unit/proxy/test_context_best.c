/* SPDX-License-Identifier: Apache-2.0 */
/* The decision table: ranks, rows, and what is built from several responses (RFC 3261 §16.7). */
#include "context_support.h"

#include <context.h>

/* Codes in the order of the table; "=" joins those of equal rank. */
static const char *const ladder[] = {
	"600=603=604=606=607=608=699",
	"302",
	"300",
	"301",
	"380",
	"305",
	"401=407",
	"420",
	"415",
	"484",
	("494=421=417=422=423=424=425=428=429=433=436=437=438=440=469=470=413=414=416=406=412=485="
	 "488"
	 "=489=493"),
	"486",
	"480",
	"403=402",
	"410=404=405",
	"400=409=411=439=481=483=491=499",
	"408",
	"487",
	"482",
	"430",
	"580",
	"513=505=501=555",
	"500=599",
	"504",
	"502",
	"503",
};

static void ranks_of_the_table(void **state)
{
	unsigned i, last = 0;

	for (i = 0; i < STW_ARRAY_SIZE(ladder); i++) {
		const char *at = ladder[i];
		struct candidate first = { .code = (unsigned)atoi(at) };

		assert_true(i == 0 || candidate_rank(&first) > last);
		for (last = candidate_rank(&first); (at = strchr(at, '=')); at++) {
			struct candidate same = { .code = (unsigned)atoi(at + 1) };

			assert_int_equal(candidate_rank(&same), last);
		}
	}
}

static unsigned step_first(unsigned step)
{
	return (unsigned)atoi(ladder[step]);
}

static void expect_final(struct bench *bench, unsigned code)
{
	char want[80];

	if (code == 503)
		snprintf(want, sizeof(want), "ANSWER 500 downstream-unavailable; FINISHED; ");
	else if (code == 430)
		snprintf(want, sizeof(want), "ANSWER 480 flow-failed; FINISHED; ");
	else
		snprintf(want, sizeof(want), "RELAY %u; FINISHED; ", code);
	assert_string_equal(bench->log, want);
}

/* Each neighbouring pair, in both orders of arrival. */
static void neighbours(void **state)
{
	struct bench bench;
	unsigned i, turn;

	for (i = 0; i + 1 < STW_ARRAY_SIZE(ladder); i++) {
		for (turn = 0; turn < 2; turn++) {
			bench_open(&bench, "INVITE", "sip:bob@example.test", "");
			bench_fork(&bench, 2);
			bench_respond(&bench, 0, step_first(i + turn), "");
			assert_null(strstr(bench.log, "RELAY"));
			bench_respond(&bench, 1, step_first(i + !turn), "");
			expect_final(&bench, step_first(i));
			bench_close(&bench);
		}
	}
}

/* Every code against itself of equal rank: the first received. */
static void equal_rank_first_received(void **state)
{
	static const unsigned pairs[][2] = { { 603, 600 }, { 600, 603 }, { 401, 407 }, { 407, 401 },
		{ 488, 416 }, { 402, 403 }, { 405, 404 }, { 483, 400 }, { 400, 499 }, { 555, 501 },
		{ 599, 500 } };
	struct bench bench;
	unsigned i;

	for (i = 0; i < STW_ARRAY_SIZE(pairs); i++) {
		bench_open(&bench, "OPTIONS", "sip:bob@example.test", "");
		bench_fork(&bench, 2);
		bench_respond(&bench, 1, pairs[i][0], "");
		bench_respond(&bench, 0, pairs[i][1], "");
		expect_final(&bench, pairs[i][0]);
		bench_close(&bench);
	}
}

static void server_error_with_retry_after_first(void **state)
{
	struct bench bench;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 2);
	bench_respond(&bench, 0, 500, "");
	bench_respond(&bench, 1, 500, "Retry-After: 18 (soon);duration=3\r\n");
	expect_final(&bench, 500);
	assert_non_null(strstr(bench.relayed, "Retry-After: 18"));
	bench_close(&bench);
}

/* Rows 1 and 2. */
static void no_candidate(void **state)
{
	struct bench bench;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 1);
	bench_timeout(&bench, 0);
	assert_string_equal(bench.log, "ANSWER 408 no-response-downstream; FINISHED; ");
	bench_close(&bench);

	bench_open(&bench, "MESSAGE", "sip:bob@example.test", "");
	bench_fork(&bench, 2);
	bench_timeout(&bench, 0);
	bench_respond(&bench, 1, 408, "");
	assert_string_equal(bench.log, "ABANDON; FINISHED; ");
	bench_close(&bench);

	bench_open(&bench, "MESSAGE", "sip:bob@example.test", "");
	bench_fork(&bench, 1);
	bench_respond_as(
		&bench, 0, 200, "From: <sip:a@a>;tag=f1\r\nTo: <sip:b@b>\r\nCall-ID: x\r\n", "");
	assert_string_equal(bench.log, "ANSWER 480 no-target-answered; FINISHED; ");
	bench_close(&bench);
}

/* Row 3 before row 4 before the ranks. */
static void cancelled_by_caller(void **state)
{
	struct bench bench;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 3);
	bench_respond(&bench, 0, 486, "");
	bench_respond(&bench, 1, 180, "");
	bench_respond(&bench, 2, 180, "");
	INPUT(&bench, stw_response_context_cancel(bench.context, STW_STR_NONE));
	assert_string_equal(bench.log, "CANCEL 1; CANCEL 2; ");
	bench_respond(&bench, 1, 487, "X-Which: first\r\n");
	bench_respond(&bench, 2, 487, "X-Which: second\r\n");
	expect_final(&bench, 487);
	assert_non_null(strstr(bench.relayed, "X-Which: first"));
	bench_close(&bench);

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 2);
	bench_respond(&bench, 0, 180, "");
	bench_respond(&bench, 1, 180, "");
	INPUT(&bench, stw_response_context_cancel(bench.context, STW_STR_NONE));
	bench_respond(&bench, 1, 487, "");
	bench_respond(&bench, 0, 603, "");
	expect_final(&bench, 603);
	bench_close(&bench);
}

static void challenges_are_merged(void **state)
{
	struct bench bench;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 4);
	bench_respond(&bench, 0, 486, "");
	bench_respond(&bench, 1, 407, "Proxy-Authenticate: Digest realm=\"a\", nonce=\"1\"\r\n");
	bench_respond(&bench, 2, 401,
		"WWW-Authenticate: Digest realm=\"b\",\r\n nonce=\"2\"\r\nX-Other: no\r\n"
		"www-authenticate: Digest  realm=\"b\", algorithm=SHA-256\r\n");
	bench_respond(&bench, 3, 407, "Proxy-Authenticate: Digest realm=\"c\"\r\n");
	expect_final(&bench, 407);
	assert_string_equal(bench.lines,
		"WWW-Authenticate: Digest realm=\"b\",\r\n nonce=\"2\"\r\n"
		"www-authenticate: Digest  realm=\"b\", algorithm=SHA-256\r\n"
		"Proxy-Authenticate: Digest realm=\"c\"\r\n");
	assert_non_null(strstr(bench.relayed, "realm=\"a\""));
	assert_null(strstr(bench.relayed, "tag=t1")); /* merged: a new To tag */
	assert_non_null(strstr(bench.relayed, "To: <sip:bob@example.test>;tag="));
	bench_close(&bench);
}

static void one_response_keeps_its_to_tag(void **state)
{
	struct bench bench;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 1);
	bench_respond(&bench, 0, 401, "WWW-Authenticate: Digest realm=\"b\"\r\n");
	expect_final(&bench, 401);
	assert_string_equal(bench.lines, "");
	assert_non_null(strstr(bench.relayed, "tag=t1"));
	bench_close(&bench);
}

static void contacts_of_the_same_code(void **state)
{
	struct bench bench;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 3);
	bench_respond(&bench, 0, 302, "Contact: <sip:x@x.test>\r\n");
	bench_respond(&bench, 1, 301, "Contact: <sip:y@y.test>\r\n");
	bench_respond(&bench, 2, 302, "m: <sip:z@z.test>, <sip:w@w.test>\r\n");
	expect_final(&bench, 302);
	assert_string_equal(bench.lines, "m: <sip:z@z.test>, <sip:w@w.test>\r\n");
	bench_close(&bench);
}

static void unavailable_becomes_500(void **state)
{
	static const struct {
		const char *first, *second, *lines;
	} cases[] = {
		{ "Retry-After: 30\r\n", "Retry-After: 20\r\n",
			"Warning: 399 strowger \"downstream unavailable\"\r\nRetry-After: 20\r\n" },
		{ "Retry-After: 30\r\n", "",
			"Warning: 399 strowger \"downstream unavailable\"\r\n" },
		{ "", "", "Warning: 399 strowger \"downstream unavailable\"\r\n" },
	};
	struct bench bench;
	unsigned i;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		bench_open(&bench, "INVITE", "sip:bob@example.test", "");
		bench_fork(&bench, 2);
		bench_respond(&bench, 0, 503, cases[i].first);
		bench_respond(&bench, 1, 503, cases[i].second);
		expect_final(&bench, 503);
		assert_string_equal(bench.lines, cases[i].lines);
		bench_close(&bench);
	}
}

/* A failure of the transport has no Retry-After: then none is told. */
static void transport_failure_counts_as_503(void **state)
{
	struct bench bench;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 2);
	bench_respond(&bench, 0, 503, "Retry-After: 30\r\n");
	INPUT(&bench, stw_response_context_failed(bench.context, 1, NULL));
	expect_final(&bench, 503);
	assert_string_equal(bench.lines, "Warning: 399 strowger \"downstream unavailable\"\r\n");
	bench_close(&bench);

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 2);
	INPUT(&bench,
		stw_response_context_failed(bench.context, 0, &stw_cause_downstream_unavailable));
	INPUT(&bench, stw_response_context_failed(bench.context, 1, &stw_cause_flow_failed));
	assert_string_equal(bench.log, "ANSWER 480 flow-failed; FINISHED; ");
	bench_close(&bench);
}

static void all_busy_is_an_option(void **state)
{
	struct bench bench;
	unsigned on;

	for (on = 0; on < 3; on++) {
		bench_open(&bench, "INVITE", "sip:bob@example.test", "");
		bench.options.all_busy_600 = on > 0;
		bench_fork(&bench, 2);
		bench_respond(&bench, 0, 486, "");
		bench_respond(&bench, 1, on == 2 ? 404 : 486, "");
		assert_string_equal(bench.log,
			on == 1 ? "ANSWER 600 all-busy; FINISHED; " : "RELAY 486; FINISHED; ");
		bench_close(&bench);
	}
}

/* Responses that can never be sent are counted, not copied. */
static void losers_are_not_kept(void **state)
{
	struct bench bench;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 4);
	support_allocations();
	bench_respond(&bench, 0, 486, "");
	assert_true(support_allocations() > 0);
	bench_respond(&bench, 1, 404, "");
	bench_respond(&bench, 2, 503, "");
	assert_int_equal(support_allocations(), 0);
	bench_close(&bench);
}

static void without_memory_for_the_copy(void **state)
{
	struct bench bench;

	bench_open(&bench, "INVITE", "sip:bob@example.test", "");
	bench_fork(&bench, 1);
	support_fail_allocation(1);
	bench_respond(&bench, 0, 486, "");
	support_fail_allocation(0);
	assert_string_equal(bench.log, "ANSWER 500 downstream-unavailable; FINISHED; ");
	bench_close(&bench);
}

static void without_memory_for_the_lines(void **state)
{
	struct bench bench;
	unsigned nth;

	for (nth = 1; nth < 5; nth++) {
		bench_open(&bench, "INVITE", "sip:bob@example.test", "");
		bench_fork(&bench, 2);
		bench_respond(&bench, 0, 401, "WWW-Authenticate: Digest realm=\"a\"\r\n");
		support_fail_allocation(nth);
		bench_respond(&bench, 1, 401, "WWW-Authenticate: Digest realm=\"b\"\r\n");
		support_fail_allocation(0);
		expect_final(&bench, 401);
		bench_close(&bench);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranks_of_the_table),
		cmocka_unit_test(neighbours),
		cmocka_unit_test(equal_rank_first_received),
		cmocka_unit_test(server_error_with_retry_after_first),
		cmocka_unit_test(no_candidate),
		cmocka_unit_test(cancelled_by_caller),
		cmocka_unit_test(challenges_are_merged),
		cmocka_unit_test(one_response_keeps_its_to_tag),
		cmocka_unit_test(contacts_of_the_same_code),
		cmocka_unit_test(unavailable_becomes_500),
		cmocka_unit_test(transport_failure_counts_as_503),
		cmocka_unit_test(all_busy_is_an_option),
		cmocka_unit_test(losers_are_not_kept),
		cmocka_unit_test(without_memory_for_the_copy),
		cmocka_unit_test(without_memory_for_the_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
