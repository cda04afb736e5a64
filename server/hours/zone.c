/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones as the time zone database has them: changes that were, and a rule for those to come.
 */
#include "server/hours/hours.h"

#include <errno.h>

#define DAY_S        86400
#define CHANGES_MAX  2000
#define TYPES_MAX    256
#define RULE_HOURS   167 /* RFC 8536 §3.3.1 */
#define OFFSET_HOURS 24
#define WEST_MOST_S  -89999 /* RFC 8536 §3.2: utoff */
#define EAST_MOST_S  93599

/* ---- rules of POSIX ---- */

struct rule_text {
	struct stw_str text;
	size_t at;
	bool bad;
};

static char next_char(const struct rule_text *rule)
{
	return rule->at < rule->text.len ? rule->text.ptr[rule->at] : '\0';
}

static bool take_char(struct rule_text *rule, char c)
{
	if (next_char(rule) != c)
		return false;
	rule->at++;
	return true;
}

static unsigned take_number(struct rule_text *rule, unsigned min, unsigned max)
{
	unsigned number = 0, digits = 0;

	for (; digits < 4 && next_char(rule) >= '0' && next_char(rule) <= '9'; digits++)
		number = number * 10 + (unsigned)(rule->text.ptr[rule->at++] - '0');
	if (!digits || number < min || number > max)
		rule->bad = true;
	return number;
}

/* "CET" or "<+01>". */
static void take_name(struct rule_text *rule)
{
	bool quoted = take_char(rule, '<');
	size_t from = rule->at;
	char c;

	for (; (c = next_char(rule)); rule->at++) {
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-')))
			break;
	}
	if (rule->at - from < 3 || (quoted && !take_char(rule, '>')))
		rule->bad = true;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int32_t take_time(struct rule_text *rule, unsigned max_hours)
{
	bool negative = take_char(rule, '-');
	int32_t seconds;

	if (!negative)
		(void)take_char(rule, '+');
	seconds = (int32_t)take_number(rule, 0, max_hours) * 3600;
	if (take_char(rule, ':')) {
		seconds += (int32_t)take_number(rule, 0, 59) * 60;
		if (take_char(rule, ':'))
			seconds += (int32_t)take_number(rule, 0, 59);
	}
	return negative ? -seconds : seconds;
}

static void take_day(struct rule_text *rule, struct stw_zone_day *ret)
{
	*ret = (struct stw_zone_day){ .kind = '0', .at_s = 2 * 3600 };
	if (!take_char(rule, ','))
		rule->bad = true;
	if (take_char(rule, 'M')) {
		ret->kind = 'M';
		ret->month = take_number(rule, 1, 12);
		rule->bad = !take_char(rule, '.') || rule->bad;
		ret->week = take_number(rule, 1, 5);
		rule->bad = !take_char(rule, '.') || rule->bad;
		ret->day = take_number(rule, 0, 6);
	} else if (take_char(rule, 'J')) {
		ret->kind = 'J';
		ret->day = take_number(rule, 1, 365);
	} else {
		ret->day = take_number(rule, 0, 365);
	}
	if (take_char(rule, '/'))
		ret->at_s = take_time(rule, RULE_HOURS);
}

int stw_zone_parse(struct stw_str text, struct stw_zone *ret)
{
	struct rule_text rule = { .text = text };
	struct stw_zone zone = { .has_rule = true };

	take_name(&rule);
	zone.standard_s = -take_time(&rule, OFFSET_HOURS); /* POSIX counts to the west */
	if (!rule.bad && rule.at < text.len) {
		zone.has_summer = true;
		take_name(&rule);
		zone.summer_s = next_char(&rule) == ',' ? zone.standard_s + 3600
							: -take_time(&rule, OFFSET_HOURS);
		take_day(&rule, &zone.begin);
		take_day(&rule, &zone.end);
	}
	if (rule.bad || rule.at < text.len)
		return -EBADMSG;
	*ret = zone;
	return 0;
}

/* ---- when a rule is in force ---- */

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970 to the first of the year; behind 1970. */
static int64_t year_begins(int64_t year)
{
	return 365 * (year - 1970) + (year - 1969) / 4 - (year - 1901) / 100 + (year - 1601) / 400;
}

static int64_t year_of(int64_t day)
{
	int64_t year = 1970 + day / 366;

	while (year_begins(year + 1) <= day)
		year++;
	return year;
}

/* Days from the first of the year. */
static unsigned month_begins(bool leap, unsigned month)
{
	static const unsigned before[13] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334,
		365 };

	return before[month - 1] + (leap && month > 2);
}

/* The second of the local clock, from 1970, at which it is changed in that year. */
static int64_t day_at(const struct stw_zone_day *rule, int64_t year)
{
	int64_t first = year_begins(year);
	bool leap = is_leap(year);
	unsigned day = rule->day;

	if (rule->kind == 'J') {
		day = rule->day - 1 + (leap && rule->day > 59);
	} else if (rule->kind == 'M') {
		unsigned begin = month_begins(leap, rule->month);
		unsigned length = month_begins(leap, rule->month + 1) - begin;
		unsigned weekday = (unsigned)((first + begin + 4) % 7);

		day = (rule->day + 7 - weekday) % 7 + (rule->week - 1) * 7;
		if (day >= length)
			day -= 7;
		day += begin;
	}
	return (first + day) * DAY_S + rule->at_s;
}

static int32_t rule_offset(const struct stw_zone *zone, int64_t unix_s)
{
	int64_t year, begin, end;
	bool summer;

	if (!zone->has_summer || unix_s < DAY_S)
		return zone->standard_s;
	year = year_of((unix_s + zone->standard_s) / DAY_S);
	begin = day_at(&zone->begin, year) - zone->standard_s;
	end = day_at(&zone->end, year) - zone->summer_s;
	summer = begin < end ? unix_s >= begin && unix_s < end : unix_s >= begin || unix_s < end;
	return summer ? zone->summer_s : zone->standard_s;
}

int32_t stw_zone_offset(const struct stw_zone *zone, int64_t unix_s)
{
	unsigned low = 0, high = zone->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (zone->at_s[middle] <= unix_s)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == zone->count && zone->has_rule)
		return rule_offset(zone, unix_s);
	return low ? zone->offset_s[low - 1] : zone->first_s;
}

/* ---- files of the database ---- */

struct bytes {
	const unsigned char *ptr;
	size_t left;
	bool bad;
};

static const unsigned char *take_bytes(struct bytes *bytes, size_t n)
{
	const unsigned char *at = bytes->ptr;

	if (bytes->bad || n > bytes->left) {
		bytes->bad = true;
		return NULL;
	}
	bytes->ptr += n;
	bytes->left -= n;
	return at;
}

/* Big-endian, two's complement. */
static int64_t take_int(struct bytes *bytes, unsigned n)
{
	const unsigned char *at = take_bytes(bytes, n);
	uint64_t number = at && at[0] & 0x80 ? UINT64_MAX : 0;

	for (unsigned i = 0; at && i < n; i++)
		number = number << 8 | at[i];
	return (int64_t)number;
}

/* RFC 8536 §3.1. */
struct header {
	unsigned version;
	uint32_t isut, isstd, leap, time, type, chars;
};

static void take_header(struct bytes *bytes, struct header *ret)
{
	const unsigned char *magic = take_bytes(bytes, 4), *version = take_bytes(bytes, 16);

	*ret = (struct header){ 0 };
	if (bytes->bad || magic[0] != 'T' || magic[1] != 'Z' || magic[2] != 'i' ||
		magic[3] != 'f') {
		bytes->bad = true;
		return;
	}
	ret->version = version[0];
	ret->isut = (uint32_t)take_int(bytes, 4);
	ret->isstd = (uint32_t)take_int(bytes, 4);
	ret->leap = (uint32_t)take_int(bytes, 4);
	ret->time = (uint32_t)take_int(bytes, 4);
	ret->type = (uint32_t)take_int(bytes, 4);
	ret->chars = (uint32_t)take_int(bytes, 4);
	if (ret->time > CHANGES_MAX || ret->type == 0 || ret->type > TYPES_MAX ||
		ret->chars > UINT16_MAX || ret->leap > UINT16_MAX || ret->isstd > TYPES_MAX ||
		ret->isut > TYPES_MAX)
		bytes->bad = true;
}

/* What stands behind the types, and is of no use here. */
static void skip_rest(struct bytes *bytes, const struct header *header, unsigned time_bytes)
{
	(void)take_bytes(bytes,
		header->chars + header->leap * (time_bytes + 4) + header->isstd + header->isut);
}

/* RFC 8536 §3.2. */
static int take_changes(struct bytes *bytes, const struct header *header, unsigned time_bytes,
	struct stw_arena *arena, struct stw_zone *ret)
{
	int64_t *at_s = stw_arena_alloc(arena, (header->time + 1) * sizeof(*at_s));
	int32_t *offset_s = stw_arena_alloc(arena, (header->time + 1) * sizeof(*offset_s));
	int32_t types[TYPES_MAX];
	const unsigned char *index;

	if (!at_s || !offset_s)
		return -ENOMEM;
	for (uint32_t i = 0; i < header->time; i++) {
		at_s[i] = take_int(bytes, time_bytes);
		if (i && at_s[i] <= at_s[i - 1])
			bytes->bad = true;
	}
	index = take_bytes(bytes, header->time);
	for (uint32_t i = 0; i < header->type; i++) {
		types[i] = (int32_t)take_int(bytes, 4);
		if (types[i] < WEST_MOST_S || types[i] > EAST_MOST_S)
			bytes->bad = true;
		(void)take_bytes(bytes, 2);
	}
	for (uint32_t i = 0; !bytes->bad && i < header->time; i++) {
		bytes->bad = index[i] >= header->type;
		offset_s[i] = bytes->bad ? 0 : types[index[i]];
	}
	skip_rest(bytes, header, time_bytes);
	ret->at_s = at_s;
	ret->offset_s = offset_s;
	ret->count = header->time;
	ret->first_s = types[0];
	return bytes->bad ? -EBADMSG : 0;
}

/* RFC 8536 §3.3: an empty one says nothing of later times. */
static int take_footer(struct bytes *bytes, struct stw_zone *zone)
{
	struct stw_str text = { (const char *)bytes->ptr, bytes->left };
	struct stw_zone rule = { 0 };
	size_t end;

	if (!text.len || text.ptr[0] != '\n')
		return -EBADMSG;
	end = stw_str_find(text, '\n', 1);
	if (end == text.len)
		return -EBADMSG;
	text = stw_str_cut(text, 1, end);
	if (text.len && stw_zone_parse(text, &rule) < 0)
		return -EBADMSG;
	rule.at_s = zone->at_s;
	rule.offset_s = zone->offset_s;
	rule.count = zone->count;
	rule.first_s = zone->first_s;
	*zone = rule;
	return 0;
}

int stw_zone_read(const char *data, size_t len, struct stw_arena *arena, struct stw_zone *ret)
{
	struct bytes bytes = { (const unsigned char *)data, len, false };
	struct stw_zone zone = { 0 };
	struct header header;
	bool old;
	int err;

	take_header(&bytes, &header);
	old = header.version < '2';
	if (!old) {
		(void)take_bytes(&bytes, (size_t)header.time * 5 + (size_t)header.type * 6);
		skip_rest(&bytes, &header, 4);
		take_header(&bytes, &header);
	}
	if (bytes.bad)
		return -EBADMSG;
	err = take_changes(&bytes, &header, old ? 4 : 8, arena, &zone);
	if (err == 0 && !old)
		err = take_footer(&bytes, &zone);
	if (err == 0)
		*ret = zone;
	return err;
}
