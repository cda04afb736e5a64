/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <string.h>
#include <strowger/message.h>

static void table_is_complete_and_ascending(void **state)
{
	size_t count = 0;
	const struct stw_status *all = stw_status_all(&count);

	assert_int_equal(count, 77);
	for (size_t i = 0; i < count; i++) {
		assert_in_range(all[i].code, 100, 699);
		if (i)
			assert_true(all[i - 1].code < all[i].code);
		assert_ptr_equal(stw_status_find(all[i].code), &all[i]);
		assert_ptr_equal(stw_status_phrase(all[i].code), all[i].phrase);
	}
}

static void every_text_says_something(void **state)
{
	static const char *const retries[] = { "never", "after-fix", "after-delay",
		"immediately-with-change", "other-target" };
	size_t count = 0;
	const struct stw_status *all = stw_status_all(&count);

	for (size_t i = 0; i < count; i++) {
		const char *const texts[] = { all[i].summary, all[i].reason, all[i].remedy };
		bool known_retry = false;

		assert_true(strlen(all[i].phrase) > 1);
		assert_int_equal(strncmp(all[i].rfc, "RFC ", 4), 0);
		assert_non_null(strstr(all[i].rfc, "§"));
		assert_true(strlen(all[i].status) && strlen(all[i].methods));
		for (size_t t = 0; t < STW_ARRAY_SIZE(texts); t++) {
			assert_true(strlen(texts[t]) > 10);
			assert_int_equal(texts[t][strlen(texts[t]) - 1], '.');
		}
		for (size_t r = 0; r < STW_ARRAY_SIZE(retries); r++)
			known_retry |= strcmp(retries[r], all[i].retry) == 0;
		assert_true(known_retry);
	}
}

/* RFC 3261 §8.1.3.2 */
static void unknown_code_is_that_of_its_class(void **state)
{
	static const struct {
		unsigned code, as;
	} cases[] = {
		{ 100, 100 },
		{ 101, 183 },
		{ 184, 183 },
		{ 199, 199 },
		{ 200, 200 },
		{ 299, 200 },
		{ 399, 300 },
		{ 431, 400 },
		{ 499, 400 },
		{ 486, 486 },
		{ 599, 500 },
		{ 699, 600 },
		{ 608, 608 },
	};
	static const unsigned outside[] = { 0, 1, 99, 700, 4294967295u };

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		const struct stw_status *status = stw_status_or_class(cases[i].code);

		assert_non_null(status);
		assert_int_equal(status->code, cases[i].as);
	}
	for (size_t i = 0; i < STW_ARRAY_SIZE(outside); i++) {
		assert_null(stw_status_or_class(outside[i]));
		assert_null(stw_status_find(outside[i]));
		assert_string_equal(stw_status_phrase(outside[i]), "");
	}
	assert_null(stw_status_find(499));
	assert_string_equal(stw_status_phrase(499), "");
	assert_string_equal(stw_status_phrase(481), "Call/Transaction Does Not Exist");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_complete_and_ascending),
		cmocka_unit_test(every_text_says_something),
		cmocka_unit_test(unknown_code_is_that_of_its_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
