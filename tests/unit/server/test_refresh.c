/* SPDX-License-Identifier: Apache-2.0 */
/* What no ladder shows: bounds, and a 2xx that comes again. */
#include <errno.h>

#include "server/call/refresh.h"

#include "support.h"

#define MAX       3u
#define MAX_AGE_S 100u
#define MARKED    1u /* where the mark leads */

static struct stw_now now;
static struct stw_refreshes *refreshes;

/* Time goes on. */
static void after_ms(uint64_t ms)
{
	now.mono_ms += ms;
	stw_refreshes_now(refreshes, now);
	stw_refreshes_timers(refreshes);
}

static bool leads(uint64_t dialog, bool by_callee, uint64_t hop)
{
	struct stw_proxy_routing routing = {
		.in_dialog = true, .dialog = dialog, .by_callee = by_callee, .hop = hop
	};

	return stw_refreshes_lead(refreshes, &routing);
}

/* The caller's request went to the callee's marked place and had a 2xx. */
static void refresh(uint64_t dialog, uint32_t cseq, uint64_t requester, uint64_t answerer)
{
	struct stw_proxy_routing routing = {
		.in_dialog = true, .hop_known = true, .dialog = dialog, .hop = MARKED
	};
	struct stw_proxy_refresh what = { &routing, cseq, requester, answerer };
	struct stw_note note = { .kind = STW_NOTE_RESPONSE_IN, .code = 200, .refresh = &what };

	stw_refreshes_note(refreshes, &note);
}

static void bye(uint64_t dialog, unsigned code, bool relayed)
{
	struct stw_note note = { .kind = STW_NOTE_RESPONSE_OUT,
		.method = STW_METHOD_BYE,
		.code = code,
		.relayed = relayed,
		.dialog = dialog };

	stw_refreshes_note(refreshes, &note);
}

static void is_bounded(void **state)
{
	for (uint64_t dialog = 1; dialog <= MAX + 1; dialog++)
		refresh(dialog, 1, 7, MARKED);
	assert_int_equal(stw_refreshes_count(refreshes), MAX);
	assert_true(leads(MAX, true, 7));
	assert_false(leads(MAX + 1, true, 7));
	/* What is there still changes. */
	refresh(MAX, 2, 8, MARKED);
	assert_true(leads(MAX, true, 8));
	assert_false(leads(MAX, true, 7));
}

static void nothing_new(void **state)
{
	refresh(1, 1, 0, MARKED);
	refresh(1, 2, 0, 0);
	assert_int_equal(stw_refreshes_count(refreshes), 0);
	assert_false(leads(1, true, 0));
	assert_false(leads(0, true, 7));
	assert_int_equal(stw_refreshes_next(refreshes), UINT64_MAX);
	/* One side has moved, not the other one. */
	refresh(1, 4, 0, 8);
	assert_true(leads(1, false, 8));
	assert_false(leads(1, true, 8));
	assert_false(leads(1, true, 0));
}

/* RFC 3261 §13.3.1.4: until its ACK comes, perhaps behind a newer UPDATE. */
static void again(void **state)
{
	refresh(1, 5, 7, 8);
	refresh(1, 6, 9, 10);
	refresh(1, 5, 7, 8);
	assert_true(leads(1, true, 9));
	assert_true(leads(1, false, 10));
	assert_false(leads(1, true, 7));
	assert_false(leads(1, false, 8));
}

static void ages(void **state)
{
	refresh(1, 1, 7, MARKED);
	after_ms(60000);
	refresh(1, 2, 7, MARKED);
	after_ms(99999);
	assert_true(leads(1, true, 7));
	after_ms(1);
	assert_false(leads(1, true, 7));
	assert_int_equal(stw_refreshes_count(refreshes), 0);
	stw_refreshes_max_age(refreshes, 5);
	refresh(1, 3, 7, MARKED);
	after_ms(5000);
	assert_int_equal(stw_refreshes_count(refreshes), 0);
}

static void ends(void **state)
{
	static const struct {
		unsigned code;
		bool relayed, over;
	} cases[] = { { 200, true, true }, { 481, true, true }, { 100, false, false },
		{ 401, true, false }, { 407, true, false }, { 403, false, false } };

	for (unsigned i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		refresh(1, i + 1, 7, MARKED);
		bye(2, 200, true);
		bye(1, cases[i].code, cases[i].relayed);
		after_ms(31999);
		assert_true(leads(1, true, 7));
		after_ms(1);
		assert_int_equal(leads(1, true, 7), !cases[i].over);
	}
}

static void no_memory(void **state)
{
	struct stw_refreshes *none = NULL;

	support_fail_allocation(1);
	assert_int_equal(stw_refreshes_new(MAX, MAX_AGE_S, now, &none), -ENOMEM);
	support_fail_allocation(0);
	assert_null(none);
	assert_null(stw_refreshes_free(NULL));
}

static int setup(void **state)
{
	now = (struct stw_now){ .mono_ms = 1000, .wall_ms = 1000 };
	return stw_refreshes_new(MAX, MAX_AGE_S, now, &refreshes);
}

static int teardown(void **state)
{
	refreshes = stw_refreshes_free(refreshes);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_new, setup, teardown),
		cmocka_unit_test_setup_teardown(again, setup, teardown),
		cmocka_unit_test_setup_teardown(ages, setup, teardown),
		cmocka_unit_test_setup_teardown(ends, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
