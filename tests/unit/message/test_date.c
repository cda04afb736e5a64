/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

static const struct {
	const char *text;
	int64_t seconds;
} good[] = {
	{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
	{ "Sat, 13 Nov 2010 23:29:00 GMT", 1289690940 },
	{ "Thu, 21 Feb 2002 13:02:03 GMT", 1014296523 },
	{ "Tue, 29 Feb 2000 23:59:59 GMT", 951868799 },
	{ "Wed, 01 Mar 2000 00:00:00 GMT", 951868800 },
	{ "Fri, 31 Dec 2038 23:59:59 GMT", 2177452799 },
	{ "Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799) },
};

static const char *const bad[] = {
	"",
	"Sat, 13 Nov 2010 23:29:00 EST",
	"Sat, 13 Nov 2010 23:29:00 UTC",
	"Sat, 13 Nov 2010 23:29:00",
	"sat, 13 Nov 2010 23:29:00 GMT",
	"Sat, 13 nov 2010 23:29:00 GMT",
	"Xxx, 13 Nov 2010 23:29:00 GMT",
	"Sat, 3 Nov 2010 23:29:00 GMT",
	"Sat, 00 Nov 2010 23:29:00 GMT",
	"Sat, 31 Nov 2010 23:29:00 GMT",
	"Mon, 29 Feb 2010 23:29:00 GMT",
	"Thu, 29 Feb 1900 23:29:00 GMT",
	"Sat, 13 Nov 2010 24:29:00 GMT",
	"Sat, 13 Nov 2010 23:60:00 GMT",
	"Sat, 13 Nov 2010 23:29:61 GMT",
	"Sat, 13 Xxx 2010 23:29:00 GMT",
	"Sat, 13 Nov 2010 23:29:00 GMT ",
	"Sat  13 Nov 2010 23:29:00 GMT",
	"Sat, 1a Nov 2010 23:29:00 GMT",
};

static void test_good(void **state)
{
	char buffer[STW_DATE_BYTES];
	struct stw_str text;
	int64_t seconds;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(good); i++) {
		text = guard(good[i].text);
		assert_int_equal(stw_date_parse(text, &seconds), 0);
		assert_int_equal(seconds, good[i].seconds);
		stw_date_write(seconds, buffer);
		assert_string_equal(buffer, good[i].text);
		unguard(text);
	}
}

static void test_bad(void **state)
{
	struct stw_str text;
	int64_t seconds;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(bad); i++) {
		text = guard(bad[i]);
		if (stw_date_parse(text, &seconds) != -EBADMSG)
			fail_msg("%s", bad[i]);
		unguard(text);
	}
}

/* Every day of 400 years there and back, and what lies outside is clamped. */
static void test_round_trip(void **state)
{
	char buffer[STW_DATE_BYTES];
	int64_t day, seconds = 0;

	for (day = 0; day < 146097; day++) {
		stw_date_write(day * 86400 + 86399, buffer);
		assert_int_equal(stw_date_parse(stw_str_from(buffer), &seconds), 0);
		assert_int_equal(seconds, day * 86400 + 86399);
	}
	stw_date_write(-1, buffer);
	assert_string_equal(buffer, good[0].text);
	stw_date_write(INT64_MAX, buffer);
	assert_string_equal(buffer, "Fri, 31 Dec 9999 23:59:59 GMT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
