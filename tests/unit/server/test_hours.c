/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/hours/hours.h"

#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)

static struct stw_zone zone_of(const char *rule)
{
	struct stw_zone zone;

	assert_int_equal(stw_zone_parse(stw_str_from(rule), &zone), 0);
	return zone;
}

/* Against what the C library makes of the same rule, every seven hours of forty years. */
static void test_rules(void **state)
{
	static const char *const rules[] = { "UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+0530>-5:30",
		"EST5EDT,M3.2.0,M11.1.0", "AEST-10AEDT,M10.1.0,M4.1.0/3",
		"<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "NZST-12NZDT,M9.5.0,M4.1.0/3",
		"EXT-2EYT,J60/0,J300/0", "EXT-2EYT,59/0,299/0", "EET-2EEST,M3.4.4/50,M10.4.4/50",
		"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0" };
	struct tm tm;

	for (size_t i = 0; i < STW_ARRAY_SIZE(rules); i++) {
		struct stw_zone zone = zone_of(rules[i]);

		setenv("TZ", rules[i], 1);
		tzset();
		for (time_t t = 366 * DAY; t < 366 * DAY * 40; t += 7 * HOUR) {
			localtime_r(&t, &tm);
			if (stw_zone_offset(&zone, t) != tm.tm_gmtoff)
				fail_msg("%s at %lld: %d, not %ld", rules[i], (long long)t,
					stw_zone_offset(&zone, t), tm.tm_gmtoff);
		}
	}
	unsetenv("TZ");
}

static void test_rules_to_the_second(void **state)
{
	struct stw_zone berlin = zone_of("CET-1CEST,M3.5.0,M10.5.0/3");

	/* 29 March 2026, 01:00 UTC; 25 October 2026, 01:00 UTC */
	assert_int_equal(stw_zone_offset(&berlin, 1774745999), HOUR);
	assert_int_equal(stw_zone_offset(&berlin, 1774746000), 2 * HOUR);
	assert_int_equal(stw_zone_offset(&berlin, 1792889999), 2 * HOUR);
	assert_int_equal(stw_zone_offset(&berlin, 1792890000), HOUR);
	assert_int_equal(stw_zone_offset(&berlin, INT64_C(253402300799)), HOUR);
	assert_int_equal(stw_zone_offset(&berlin, -1), HOUR);
}

static void test_bad_rules(void **state)
{
	static const char *const rules[] = { "", "UTC", "U0", "UTC25", "<+01-1", "CET-1CEST",
		"CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
		"CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J300", "CET-1CEST,366,J300",
		"CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0x", "CET-1:60",
		"Europe/Berlin", "CET-1CEST,M3.5,M10.5.0", "CET-12345" };
	struct stw_zone zone;

	for (size_t i = 0; i < STW_ARRAY_SIZE(rules); i++) {
		if (stw_zone_parse(stw_str_from(rules[i]), &zone) != -EBADMSG)
			fail_msg("%s", rules[i]);
	}
}

/* ---- files, RFC 8536 ---- */

struct file {
	char bytes[512];
	size_t len;
};

static void put(struct file *file, int64_t number, unsigned bytes)
{
	while (bytes--)
		file->bytes[file->len++] = (char)((uint64_t)number >> 8 * bytes);
}

static void put_text(struct file *file, const char *text, size_t len)
{
	memcpy(file->bytes + file->len, text, len);
	file->len += len;
}

/* Two changes, 1000 and 2000: from LMT (+100 s) to +3600 s and +7200 s. */
static void put_block(struct file *file, char version, unsigned time_bytes)
{
	put_text(file, "TZif", 4);
	put(file, version, 1);
	put_text(file, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
	put(file, 1, 4); /* isut */
	put(file, 1, 4); /* isstd */
	put(file, 1, 4); /* leap */
	put(file, 2, 4);
	put(file, 3, 4);
	put(file, 4, 4);
	put(file, 1000, time_bytes);
	put(file, 2000, time_bytes);
	put(file, 1, 1);
	put(file, 2, 1);
	put(file, 100, 4), put(file, 0, 2);
	put(file, 3600, 4), put(file, 0, 2);
	put(file, 7200, 4), put(file, 0x0100, 2);
	put_text(file, "LMT", 4);
	put(file, 78796800, time_bytes), put(file, 1, 4);
	put(file, 0, 1);
	put(file, 0, 1);
}

static void test_files(void **state)
{
	struct stw_zone zone;
	struct stw_arena arena;
	struct file file = { .len = 0 };
	size_t old, footer;

	stw_arena_init(&arena, 1u << 20);
	put_block(&file, 0, 4);
	old = file.len;
	assert_int_equal(stw_zone_read(file.bytes, old, &arena, &zone), 0);
	assert_int_equal(stw_zone_offset(&zone, 999), 100);
	assert_int_equal(stw_zone_offset(&zone, 1000), 3600);
	assert_int_equal(stw_zone_offset(&zone, 1999), 3600);
	assert_int_equal(stw_zone_offset(&zone, 2000), 7200);
	assert_int_equal(stw_zone_offset(&zone, INT64_C(1) << 40), 7200);

	file.len = 0;
	put_block(&file, '2', 4);
	put_block(&file, '2', 8);
	footer = file.len;
	put_text(&file, "\nEXT-5\n", 7);
	assert_int_equal(stw_zone_read(file.bytes, file.len, &arena, &zone), 0);
	assert_int_equal(stw_zone_offset(&zone, 999), 100);
	assert_int_equal(stw_zone_offset(&zone, 1999), 3600);
	assert_int_equal(stw_zone_offset(&zone, 2001), 5 * HOUR);
	for (size_t len = 0; len < file.len; len++) {
		char *exact = malloc(len ? len : 1);

		memcpy(exact, file.bytes, len);
		assert_int_equal(stw_zone_read(exact, len, &arena, &zone), -EBADMSG);
		free(exact);
	}
	memcpy(file.bytes + footer, "\n\n", 2);
	assert_int_equal(stw_zone_read(file.bytes, file.len, &arena, &zone), 0);
	assert_int_equal(stw_zone_offset(&zone, INT64_C(1) << 40), 7200);
	memcpy(file.bytes + footer, "\nEX\n", 4);
	assert_int_equal(stw_zone_read(file.bytes, file.len, &arena, &zone), -EBADMSG);
	stw_arena_done(&arena);
}

/* Counts that lie, a type that is not there, changes that go back. */
static void test_broken_files(void **state)
{
	struct stw_zone zone;
	struct stw_arena arena;
	struct file file = { .len = 0 }, broken;

	stw_arena_init(&arena, 1u << 20);
	put_block(&file, 0, 4);
	for (size_t at = 20; at < 44; at += 4) {
		broken = file;
		memset(broken.bytes + at, 0x7f, 4);
		assert_int_equal(stw_zone_read(broken.bytes, file.len, &arena, &zone), -EBADMSG);
	}
	broken = file;
	memset(broken.bytes + 36, 0, 4); /* no types */
	assert_int_equal(stw_zone_read(broken.bytes, file.len, &arena, &zone), -EBADMSG);
	broken = file;
	memset(broken.bytes + 44 + 10, 0x80, 4); /* no such offset */
	assert_int_equal(stw_zone_read(broken.bytes, file.len, &arena, &zone), -EBADMSG);
	broken = file;
	broken.bytes[44 + 8] = 3;
	assert_int_equal(stw_zone_read(broken.bytes, file.len, &arena, &zone), -EBADMSG);
	broken = file;
	memcpy(broken.bytes + 48, broken.bytes + 44, 4);
	assert_int_equal(stw_zone_read(broken.bytes, file.len, &arena, &zone), -EBADMSG);
	stw_arena_done(&arena);
}

/* The database of this machine, where it has one, against the C library. */
static void test_database(void **state)
{
	static const char *const names[] = { "Europe/Berlin", "America/New_York", "Asia/Kolkata",
		"Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "America/Godthab" };
	char path[64];

	for (size_t i = 0; i < STW_ARRAY_SIZE(names); i++) {
		struct stw_zone zone;
		struct stw_arena arena;
		struct tm tm;
		size_t len;
		char *bytes;
		FILE *file;

		snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", names[i]);
		file = fopen(path, "r");
		if (!file)
			continue;
		fclose(file);
		bytes = support_read_file(path, &len);
		stw_arena_init(&arena, 1u << 20);
		assert_int_equal(stw_zone_read(bytes, len, &arena, &zone), 0);
		setenv("TZ", names[i], 1);
		tzset();
		for (time_t t = -40 * 365 * DAY; t < 150 * 365 * DAY; t += 31 * HOUR) {
			localtime_r(&t, &tm);
			if (stw_zone_offset(&zone, t) != tm.tm_gmtoff)
				fail_msg("%s at %lld: %d, not %ld", names[i], (long long)t,
					stw_zone_offset(&zone, t), tm.tm_gmtoff);
		}
		stw_arena_done(&arena);
		free(bytes);
	}
	unsetenv("TZ");
}

/* ---- hours ---- */

static void test_bad_hours(void **state)
{
	static const struct {
		const char *text, *bad;
	} rows[] = {
		{ "", "" },
		{ "mon-fri 08:00-18:00,", "" },
		{ "mon-fir", "mon-fir" },
		{ "sun, mon 8-18", "mon 8-18" },
		{ "08:00", "08:00" },
		{ "08:00-08:00", "08:00-08:00" },
		{ "24:00-08:00", "24:00-08:00" },
		{ "08:00-24:01", "08:00-24:01" },
		{ "08:60-09:00", "08:60-09:00" },
		{ "008:00-09:00", "008:00-09:00" },
		{ "08:0-09:00", "08:0-09:00" },
		{ "08:00-09:00 mon", "08:00-09:00 mon" },
		{ "mon-tue-wed", "mon-tue-wed" },
	};
	struct stw_hours hours;
	struct stw_str bad;
	char many[40 * 13];

	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		if (stw_hours_parse(stw_str_from(rows[i].text), &hours, &bad) != -EBADMSG)
			fail_msg("%s", rows[i].text);
		assert_true(stw_str_equal(bad, stw_str_from(rows[i].bad)));
	}
	for (size_t i = 0; i < 40; i++)
		memcpy(many + i * 13, "08:00-09:00, ", 13);
	assert_int_equal(stw_hours_parse((struct stw_str){ many, sizeof(many) - 2 }, &hours, &bad),
		-ENOBUFS);
}

#define MONDAY (INT64_C(1767571200)) /* 5 January 2026, 00:00 UTC */

static void test_hold(void **state)
{
	static const struct {
		const char *text;
		int64_t from_s, to_s; /* of the week of MONDAY; open from … to before … */
	} rows[] = {
		{ "mon 08:00-18:00", 8 * HOUR, 18 * HOUR },
		{ "MON 8:00-18:00", 8 * HOUR, 18 * HOUR },
		{ "mon", 0, DAY },
		{ "tue-thu", DAY, 4 * DAY },
		{ "mon wed 00:00-24:00", 2 * DAY, 3 * DAY },
		{ "fri 22:00-02:00", 4 * DAY + 22 * HOUR, 5 * DAY + 2 * HOUR },
		{ "sat-mon 00:00-24:00", 5 * DAY, 8 * DAY },
		{ "sun 23:00-01:00", 6 * DAY + 23 * HOUR, 7 * DAY + HOUR },
		{ "tue 18:00-00:00", DAY + 18 * HOUR, 2 * DAY },
		{ "wed 08:00-12:00 12:00-13:30", 2 * DAY + 8 * HOUR, 2 * DAY + 13 * HOUR + 1800 },
	};
	const struct stw_zone utc = { 0 };
	struct stw_hours hours;
	struct stw_str bad;

	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		int64_t from_ms = (MONDAY + rows[i].from_s) * 1000;
		int64_t to_ms = (MONDAY + rows[i].to_s) * 1000;

		assert_int_equal(stw_hours_parse(stw_str_from(rows[i].text), &hours, &bad), 0);
		if (stw_hours_hold(&hours, &utc, from_ms - 1) ||
			!stw_hours_hold(&hours, &utc, from_ms) ||
			!stw_hours_hold(&hours, &utc, to_ms - 1) ||
			stw_hours_hold(&hours, &utc, to_ms))
			fail_msg("%s", rows[i].text);
		assert_int_equal(stw_hours_wait_s(&hours, &utc, from_ms - 60000), 60);
	}
}

static void test_every_day(void **state)
{
	const struct stw_zone utc = { 0 };
	struct stw_hours hours;
	struct stw_str bad;

	assert_int_equal(stw_hours_parse(STW_STR("08:00-18:00, 20:00-02:00"), &hours, &bad), 0);
	for (int64_t hour = 0; hour < 7 * 24; hour++) {
		int64_t of_day = hour % 24;

		assert_int_equal(stw_hours_hold(&hours, &utc, (MONDAY + hour * HOUR) * 1000),
			(of_day >= 8 && of_day < 18) || of_day >= 20 || of_day < 2);
	}
}

/* 29 March 2026 in Berlin has no 02:30, 25 October two. */
static void test_clocks_change(void **state)
{
	struct stw_zone berlin = zone_of("CET-1CEST,M3.5.0,M10.5.0/3");
	char buffer[STW_HOURS_TEXT_MAX];
	struct stw_hours hours;
	struct stw_str bad, text;

	assert_int_equal(stw_hours_parse(STW_STR("sun 08:00-09:00"), &hours, &bad), 0);
	/* Midnight there; from Saturday's 23:00 UTC 8 hours, 7 hours, 9 hours. */
	assert_int_equal(stw_hours_wait_s(&hours, &berlin, INT64_C(1774134000000)), 8 * HOUR);
	assert_int_equal(stw_hours_wait_s(&hours, &berlin, INT64_C(1774738800000)), 7 * HOUR);
	assert_int_equal(stw_hours_wait_s(&hours, &berlin, INT64_C(1792879200000)), 9 * HOUR);
	assert_true(stw_hours_hold(&hours, &berlin, INT64_C(1774764000000)));
	text = stw_hours_text(&berlin, INT64_C(1774746000000), buffer);
	assert_true(stw_str_equal(text, STW_STR("sun 03:00")));
	text = stw_hours_text(&berlin, INT64_C(1774745940000), buffer);
	assert_true(stw_str_equal(text, STW_STR("sun 01:59")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_rules_to_the_second),
		cmocka_unit_test(test_bad_rules),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_broken_files),
		cmocka_unit_test(test_database),
		cmocka_unit_test(test_bad_hours),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_clocks_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
