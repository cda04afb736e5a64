/* SPDX-License-Identifier: Apache-2.0 */
#include "server/dialplan/dialplan.h"

#include "support.h"

#include <errno.h>
#include <string.h>

/* ---- numbers ---- */

static void numbers_lose_their_separators(void **state)
{
	static const struct {
		const char *uri, *number; /* NULL: a name */
	} cases[] = {
		{ "sip:1234@example.com", "1234" },
		{ "sip:+49-30-(12)34@example.com;user=phone", "+49301234" },
		{ "sip:%2B4930@example.com", "+4930" },
		{ "sip:*21%23@example.com", "*21#" },
		{ "sip:1234;phone-context=+49@example.com", "1234" },
		{ "tel:+1-201-555-0123", "+12015550123" },
		{ "tel:7042;phone-context=example.com", "7042" },
		{ "sip:alic@example.com", NULL },
		{ "sip:12a4@example.com", NULL },
		{ "sip:---@example.com", NULL },
		{ "sip:example.com", NULL },
		{ "urn:service:sos", NULL },
	};
	char buffer[STW_NUMBER_MAX];

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_str number = STW_STR_NONE;
		struct stw_uri uri;
		int err;

		assert_int_equal(stw_uri_parse(stw_str_from(cases[i].uri), &uri), 0);
		err = stw_number_from_uri(&uri, buffer, &number);
		assert_int_equal(err, cases[i].number ? 0 : -EBADMSG);
		if (cases[i].number)
			assert_str(number, cases[i].number);
	}
}

static void a_number_has_a_limit(void **state)
{
	char text[STW_NUMBER_MAX + 2], buffer[STW_NUMBER_MAX];
	struct stw_str number;

	memset(text, '7', sizeof(text));
	assert_int_equal(
		stw_number_from_text((struct stw_str){ text, STW_NUMBER_MAX }, buffer, &number), 0);
	assert_int_equal(
		stw_number_from_text((struct stw_str){ text, STW_NUMBER_MAX + 1 }, buffer, &number),
		-ENOBUFS);
}

/* ---- patterns ---- */

static struct stw_pattern pattern(const char *text)
{
	struct stw_pattern pattern;
	size_t at;

	assert_int_equal(stw_pattern_parse(stw_str_from(text), &pattern, &at), 0);
	return pattern;
}

static void what_is_no_pattern_says_where(void **state)
{
	static const struct {
		const char *text;
		size_t at;
	} cases[] = { { "", 0 }, { "12y", 2 }, { "1[", 2 }, { "1[]2", 2 }, { "1[3-", 3 },
		{ "[9-1]", 1 }, { "[+-1]", 1 }, { "1]", 1 }, { "12 3", 2 } };
	struct stw_pattern pattern;
	size_t at;

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			stw_pattern_parse(stw_str_from(cases[i].text), &pattern, &at), -EBADMSG);
		assert_int_equal(at, cases[i].at);
	}
	assert_int_equal(
		stw_pattern_parse(STW_STR("1234567890123456789012345678901234567890123456789"),
			&pattern, &at),
		-ENOBUFS);
}

static void numbers_match_wholly_partly_or_not(void **state)
{
	static const struct {
		const char *pattern, *number;
		enum stw_pattern_match match;
	} cases[] = {
		{ "12xx", "1234", STW_PATTERN_YES },
		{ "12xx", "1", STW_PATTERN_INCOMPLETE },
		{ "12xx", "12", STW_PATTERN_INCOMPLETE },
		{ "12xx", "99", STW_PATTERN_NO },
		{ "12xx", "12345", STW_PATTERN_NO },
		{ "12xx", "12+4", STW_PATTERN_NO },
		{ "[2-57]x", "71", STW_PATTERN_YES },
		{ "[2-57]x", "61", STW_PATTERN_NO },
		{ "0.", "0", STW_PATTERN_INCOMPLETE },
		{ "0.", "01", STW_PATTERN_YES },
		{ "0.", "0123456789012345", STW_PATTERN_YES },
		{ "0.", "01#", STW_PATTERN_NO },
		{ "*21*.#", "*21*1234", STW_PATTERN_INCOMPLETE },
		{ "*21*.#", "*21*1234#", STW_PATTERN_YES },
		{ "*21*.#", "*21*#", STW_PATTERN_NO },
		{ ".5", "555", STW_PATTERN_YES },
		{ ".5", "5", STW_PATTERN_INCOMPLETE },
		{ "+49.", "+4930", STW_PATTERN_YES },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_pattern of = pattern(cases[i].pattern);

		assert_int_equal(stw_pattern_match(&of, stw_str_from(cases[i].number), NULL),
			cases[i].match);
	}
}

static void patterns_stand_to_each_other(void **state)
{
	static const struct {
		const char *a, *b;
		enum stw_pattern_order order;
		const char *example; /* NULL: not asked */
	} cases[] = {
		{ "12xx", "13xx", STW_PATTERN_APART, NULL },
		{ "12xx", "1xxx", STW_PATTERN_APART, "1200" },
		{ "[0-9]1", "x1", STW_PATTERN_EQUAL, "01" },
		{ "12", "12", STW_PATTERN_EQUAL, "12" },
		{ "[12]x", "[23]x", STW_PATTERN_AMBIGUOUS, "20" },
		{ "[12]x", "[34]x", STW_PATTERN_APART, NULL },
		{ ".5", "x.", STW_PATTERN_SHADOWED, "05" },
		{ "x.", ".5", STW_PATTERN_APART, NULL },
		{ "0.", "00.", STW_PATTERN_APART, "000" },
		{ "00.", "0.", STW_PATTERN_APART, NULL },
	};
	char buffer[STW_NUMBER_MAX];

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_pattern a = pattern(cases[i].a), b = pattern(cases[i].b);
		struct stw_str example = STW_STR("");

		assert_int_equal(stw_pattern_compare(&a, &b, buffer, &example), cases[i].order);
		if (cases[i].example)
			assert_str(example, cases[i].example);
	}
}

/* ---- the plan ---- */

static void the_most_specific_wins_in_any_order(void **state)
{
	static const char *const patterns[] = { ".", "1xxx", "12xx", "123x", "1[23]xx", "0.",
		"00." };
	static const struct {
		const char *number, *winner;
	} cases[] = { { "1234", "123x" }, { "1244", "12xx" }, { "1344", "1[23]xx" },
		{ "1999", "1xxx" }, { "7", "." }, { "0049", "00." }, { "049", "0." } };

	for (unsigned turn = 0; turn < STW_ARRAY_SIZE(patterns); turn++) {
		struct stw_dial_entry entries[STW_ARRAY_SIZE(patterns)];
		const struct stw_dial_entry *found;

		for (unsigned i = 0; i < STW_ARRAY_SIZE(patterns); i++) {
			unsigned value = (i + turn) % STW_ARRAY_SIZE(patterns);

			entries[i] = (struct stw_dial_entry){ .pattern = pattern(patterns[value]),
				.value = value };
		}
		stw_dialplan_sort(entries, STW_ARRAY_SIZE(patterns));
		for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
			assert_int_equal(stw_dialplan_find(entries, STW_ARRAY_SIZE(patterns),
						 stw_str_from(cases[i].number), &found, NULL),
				STW_PATTERN_YES);
			assert_string_equal(patterns[found->value], cases[i].winner);
		}
	}
}

static void a_prefix_is_incomplete(void **state)
{
	struct stw_dial_entry entries[] = { { .pattern = pattern("12xx") },
		{ .pattern = pattern("+49xx.") } };
	const struct stw_dial_entry *found;
	unsigned missing = 0;

	stw_dialplan_sort(entries, 2);
	assert_int_equal(stw_dialplan_find(entries, 2, STW_STR("+4"), &found, &missing),
		STW_PATTERN_INCOMPLETE);
	assert_null(found);
	assert_int_equal(missing, 4);
	assert_int_equal(stw_dialplan_find(entries, 2, STW_STR("123"), &found, &missing),
		STW_PATTERN_INCOMPLETE);
	assert_int_equal(missing, 1);
	assert_int_equal(stw_dialplan_find(entries, 2, STW_STR("2"), &found, NULL), STW_PATTERN_NO);
	assert_int_equal(stw_dialplan_find(NULL, 0, STW_STR("2"), &found, NULL), STW_PATTERN_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_lose_their_separators),
		cmocka_unit_test(a_number_has_a_limit),
		cmocka_unit_test(what_is_no_pattern_says_where),
		cmocka_unit_test(numbers_match_wholly_partly_or_not),
		cmocka_unit_test(patterns_stand_to_each_other),
		cmocka_unit_test(the_most_specific_wins_in_any_order),
		cmocka_unit_test(a_prefix_is_incomplete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
