/* SPDX-License-Identifier: Apache-2.0 */
#include "server/hours/hours.h"

#include <errno.h>
#include <stdio.h>

#define DAY_S    86400
#define DAY_MIN  1440
#define ALL_DAYS 0x7f

static const char days[7][4] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

/* ---- as written ---- */

static int day_parse(struct stw_str text, unsigned *ret)
{
	for (unsigned i = 0; i < 7; i++) {
		if (!stw_str_equal_nocase(text, stw_str_from(days[i])))
			continue;
		*ret = i;
		return 0;
	}
	return -EBADMSG;
}

/* "mon", "mon-fri", "sat-mon". */
static int days_parse(struct stw_str text, uint8_t *days_set)
{
	size_t dash = stw_str_find(text, '-', 0);
	unsigned from, to;

	if (day_parse(stw_str_cut(text, 0, dash), &from) < 0)
		return -EBADMSG;
	to = from;
	if (dash < text.len && day_parse(stw_str_cut(text, dash + 1, text.len), &to) < 0)
		return -EBADMSG;
	for (;; from = (from + 1) % 7) {
		*days_set |= (uint8_t)(1u << from);
		if (from == to)
			return 0;
	}
}

/* "8:30" */
static int minute_parse(struct stw_str text, uint16_t *ret)
{
	size_t colon = stw_str_find(text, ':', 0);
	uint64_t hour, minute;

	if (colon > 2 || text.len - colon != 3 ||
		stw_str_to_uint(stw_str_cut(text, 0, colon), 24, &hour) < 0 ||
		stw_str_to_uint(stw_str_cut(text, colon + 1, text.len), 59, &minute) < 0 ||
		hour * 60 + minute > DAY_MIN)
		return -EBADMSG;
	*ret = (uint16_t)(hour * 60 + minute);
	return 0;
}

static int times_parse(struct stw_str text, struct stw_hours_span *span)
{
	size_t dash = stw_str_find(text, '-', 0);

	if (dash == text.len || minute_parse(stw_str_cut(text, 0, dash), &span->from_min) < 0 ||
		minute_parse(stw_str_cut(text, dash + 1, text.len), &span->to_min) < 0 ||
		span->from_min == DAY_MIN || span->from_min == span->to_min)
		return -EBADMSG;
	return 0;
}

static int span_add(struct stw_hours *hours, struct stw_hours_span span)
{
	if (hours->n == STW_HOURS_SPANS_MAX)
		return -ENOBUFS;
	if (!span.days)
		span.days = ALL_DAYS;
	hours->v[hours->n++] = span;
	return 0;
}

/* The next word of `text`, which loses it; empty: none. */
static struct stw_str word_take(struct stw_str *text)
{
	struct stw_str word;
	size_t end;

	*text = stw_str_trim(*text);
	end = stw_str_find(*text, ' ', 0);
	word = stw_str_cut(*text, 0, end);
	*text = stw_str_cut(*text, end, text->len);
	return word;
}

static int entry_parse(struct stw_str text, struct stw_hours *hours)
{
	struct stw_hours_span span = { .to_min = DAY_MIN };
	unsigned times = 0;
	struct stw_str word = word_take(&text);
	int err = word.len ? 0 : -EBADMSG;

	for (; err == 0 && word.len; word = word_take(&text)) {
		if (stw_str_find(word, ':', 0) == word.len) {
			err = times ? -EBADMSG : days_parse(word, &span.days);
			continue;
		}
		err = times_parse(word, &span);
		if (err == 0)
			err = span_add(hours, span);
		times++;
	}
	return err == 0 && !times ? span_add(hours, span) : err;
}

int stw_hours_parse(struct stw_str text, struct stw_hours *ret, struct stw_str *ret_bad)
{
	struct stw_hours hours = { .n = 0 };
	size_t from = 0, end;
	int err;

	for (;; from = end + 1) {
		end = stw_str_find(text, ',', from);
		*ret_bad = stw_str_trim(stw_str_cut(text, from, end));
		err = entry_parse(*ret_bad, &hours);
		if (err < 0)
			return err;
		if (end == text.len)
			break;
	}
	*ret = hours;
	return 0;
}

/* ---- at a time ---- */

struct local {
	int64_t day; /* from 1970 */
	unsigned weekday, second;
};

static struct local local_of(const struct stw_zone *zone, int64_t unix_s)
{
	int64_t local_s = unix_s + stw_zone_offset(zone, unix_s);
	int64_t day = local_s / DAY_S - (local_s % DAY_S < 0);

	/* 1 January 1970 was a Thursday. */
	return (struct local){ .day = day,
		.weekday = (unsigned)(((day + 3) % 7 + 7) % 7),
		.second = (unsigned)(local_s - day * DAY_S) };
}

static bool span_has(const struct stw_hours_span *span, unsigned weekday)
{
	return span->days >> weekday & 1;
}

bool stw_hours_hold(const struct stw_hours *hours, const struct stw_zone *zone, int64_t unix_ms)
{
	struct local now = local_of(zone, unix_ms / 1000);
	unsigned minute = now.second / 60, yesterday = (now.weekday + 6) % 7;

	for (unsigned i = 0; i < hours->n; i++) {
		const struct stw_hours_span *span = &hours->v[i];
		bool over_midnight = span->to_min < span->from_min;

		if (span_has(span, now.weekday) && minute >= span->from_min &&
			(over_midnight || minute < span->to_min))
			return true;
		if (over_midnight && span_has(span, yesterday) && minute < span->to_min)
			return true;
	}
	return false;
}

uint32_t stw_hours_wait_s(
	const struct stw_hours *hours, const struct stw_zone *zone, int64_t unix_ms)
{
	int64_t now_s = unix_ms / 1000, best_s = 8 * DAY_S;
	struct local now = local_of(zone, now_s);

	for (unsigned i = 0; i < hours->n; i++) {
		for (unsigned k = 0; k <= 7; k++) {
			int64_t wait_s =
				(int64_t)k * DAY_S + hours->v[i].from_min * 60 - now.second;

			if (span_has(&hours->v[i], (now.weekday + k) % 7) && wait_s > 0 &&
				wait_s < best_s)
				best_s = wait_s;
		}
	}
	/* The clocks may be changed before that. */
	best_s += stw_zone_offset(zone, now_s) - stw_zone_offset(zone, now_s + best_s);
	return best_s > 0 ? (uint32_t)best_s : 1;
}

struct stw_str stw_hours_text(
	const struct stw_zone *zone, int64_t unix_ms, char buffer[STW_HOURS_TEXT_MAX])
{
	struct local now = local_of(zone, unix_ms / 1000);
	int len = snprintf(buffer, STW_HOURS_TEXT_MAX, "%s %02u:%02u", days[now.weekday],
		now.second / 3600 % 24, now.second / 60 % 60);

	return (struct stw_str){ buffer, (size_t)len };
}
