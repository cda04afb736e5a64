/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <string.h>

static void test_from(void **state)
{
	assert_str(stw_str_from("abc"), "abc");
	assert_int_equal(stw_str_from("").len, 0);
	assert_int_equal(stw_str_from(NULL).len, 0);
	assert_int_equal(STW_STR("a\0b").len, 3);
}

static const struct {
	const char *a, *b;
	bool equal, nocase;
} pairs[] = {
	{ "", "", true, true }, { "INVITE", "INVITE", true, true },
	{ "Invite", "iNVITE", false, true }, { "a", "ab", false, false },
	{ "ab", "a", false, false }, { "", "a", false, false }, { "\xff", "a", false, false },
	{ "[", "{", false, false },                                   /* 0x20 apart, no letters */
	{ "@", "`", false, false }, { "\xc4", "\xe4", false, false }, /* only ASCII letters fold */
};

static void test_equal(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(pairs); i++) {
		size_t a_len = strlen(pairs[i].a), b_len = strlen(pairs[i].b);
		char *a = support_guarded(pairs[i].a, a_len),
		     *b = support_guarded(pairs[i].b, b_len);
		struct stw_str a_str = { a, a_len }, b_str = { b, b_len };

		assert_int_equal(stw_str_equal(a_str, b_str), pairs[i].equal);
		assert_int_equal(stw_str_equal_nocase(a_str, b_str), pairs[i].nocase);
		support_guarded_free(a, a_len);
		support_guarded_free(b, b_len);
	}
	assert_true(stw_str_equal(STW_STR_NONE, STW_STR("")));
	assert_true(stw_str_equal_nocase(STW_STR_NONE, STW_STR_NONE));
}

static void test_starts(void **state)
{
	assert_true(stw_str_starts(STW_STR("z9hG4bKx"), STW_STR("z9hG4bK")));
	assert_true(stw_str_starts(STW_STR("z9hG4bK"), STW_STR("z9hG4bK")));
	assert_true(stw_str_starts(STW_STR_NONE, STW_STR_NONE));
	assert_true(stw_str_starts(STW_STR("a"), STW_STR_NONE));
	assert_false(stw_str_starts(STW_STR("z9hG4b"), STW_STR("z9hG4bK")));
	assert_false(stw_str_starts(STW_STR("Z9HG4BKx"), STW_STR("z9hG4bK")));
	assert_false(stw_str_starts(STW_STR_NONE, STW_STR("a")));
}

static void test_trim(void **state)
{
	assert_str(stw_str_trim(STW_STR(" \t a b\r\n ")), "a b");
	assert_str(stw_str_trim(STW_STR("a")), "a");
	assert_str(stw_str_trim(STW_STR(" \r\n\t")), "");
	assert_str(stw_str_trim(STW_STR("\va\f")), "\va\f");
	assert_str(stw_str_trim(STW_STR_NONE), "");
}

static void test_find_cut(void **state)
{
	struct stw_str text = STW_STR("a;b;c");

	assert_int_equal(stw_str_find(text, ';', 0), 1);
	assert_int_equal(stw_str_find(text, ';', 1), 1);
	assert_int_equal(stw_str_find(text, ';', 2), 3);
	assert_int_equal(stw_str_find(text, ';', 4), 5);
	assert_int_equal(stw_str_find(text, 'a', 99), 5);
	assert_int_equal(stw_str_find(text, '\0', 0), 5);
	assert_int_equal(stw_str_find(STW_STR_NONE, 'a', 0), 0);

	assert_str(stw_str_cut(text, 2, 3), "b");
	assert_str(stw_str_cut(text, 0, SIZE_MAX), "a;b;c");
	assert_str(stw_str_cut(text, 4, 99), "c");
	assert_str(stw_str_cut(text, 99, 100), "");
	assert_str(stw_str_cut(text, 3, 2), "");
	assert_null(stw_str_cut(STW_STR_NONE, 1, 2).ptr);
}

static const struct {
	const char *in;
	uint64_t max;
	int err;
	uint64_t number;
} numbers[] = {
	{ "0", 0, 0, 0 },
	{ "0000", 0, 0, 0 },
	{ "00000000000000000000000070", 70, 0, 70 },
	{ "71", 70, -ERANGE, 0 },
	{ "1", 0, -ERANGE, 0 },
	{ "4294967295", UINT32_MAX, 0, UINT32_MAX },
	{ "4294967296", UINT32_MAX, -ERANGE, 0 },
	{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
	{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
	{ "99999999999999999999999999999999", UINT64_MAX, -ERANGE, 0 },
	{ "99999999999999999999999999999999x", UINT64_MAX, -EBADMSG, 0 },
	{ "", 9, -EBADMSG, 0 },
	{ "-1", 9, -EBADMSG, 0 },
	{ "+1", 9, -EBADMSG, 0 },
	{ " 1", 9, -EBADMSG, 0 },
	{ "1 ", 9, -EBADMSG, 0 },
	{ "1/", 9, -EBADMSG, 0 },
	{ "1:", 9, -EBADMSG, 0 },
	{ "0x1", 9, -EBADMSG, 0 },
	{ "\xb1", 9, -EBADMSG, 0 },
};

static void test_to_uint(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(numbers); i++) {
		size_t len = strlen(numbers[i].in);
		char *in = support_guarded(numbers[i].in, len);
		uint64_t number = 4711;

		assert_int_equal(
			stw_str_to_uint((struct stw_str){ in, len }, numbers[i].max, &number),
			numbers[i].err);
		assert_true(number == (numbers[i].err ? 4711 : numbers[i].number));
		support_guarded_free(in, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_starts),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_find_cut),
		cmocka_unit_test(test_to_uint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
