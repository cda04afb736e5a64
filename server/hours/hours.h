/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * hours: when somebody is there: spans of the week, and the time zone in which they are meant.
 * Pure: the time comes in.
 */
#ifndef STW_HOURS_H
#define STW_HOURS_H

#include <strowger/base.h>

/* ---- time zones, RFC 8536 ---- */

/** A day of each year on which the clocks are changed. */
struct stw_zone_day {
	char kind; /* 'M': day of a week of a month; 'J': 1 to 365 without 29 February; '0': 0 to
		      365 */
	unsigned month, week, day; /* week 5: the last; day of M: 0 is Sunday */
	int32_t at_s; /* of that day by the clock that ends, seconds; may be negative */
};

/** How far clocks are ahead of UTC, in seconds. All zero: UTC. */
struct stw_zone {
	const int64_t *at_s;     /* when the offset has changed, rising, Unix time; in the arena */
	const int32_t *offset_s; /* … and what it was from then on */
	unsigned count;
	int32_t first_s;    /* before the first change */
	bool has_rule;      /* behind the last one, these: */
	int32_t standard_s; /* offset */
	bool has_summer;    /* … and in summer */
	int32_t summer_s;
	struct stw_zone_day begin, end; /* of summer time */
};

/** The rule of POSIX, as RFC 8536 §3.3 extends it: "CET-1CEST,M3.5.0,M10.5.0/3". A summer time
 * needs its rule. @return 0; -EBADMSG */
int stw_zone_parse(struct stw_str text, struct stw_zone *ret);
/** A file of the time zone database (TZif), RFC 8536 §3. `ret` gets what lies in the arena.
 * @return 0; -EBADMSG; -ENOMEM */
int stw_zone_read(const char *bytes, size_t len, struct stw_arena *arena, struct stw_zone *ret);
/** @param unix_s  seconds since 1970, UTC */
int32_t stw_zone_offset(const struct stw_zone *zone, int64_t unix_s);

/* ---- opening hours ---- */

#define STW_HOURS_SPANS_MAX 32

/** From `from_min` of these days to before `to_min`; when that is not later, of the next day. */
struct stw_hours_span {
	uint8_t days;              /* bit 0: Monday */
	uint16_t from_min, to_min; /* minutes of the day, to 24:00 */
};

struct stw_hours {
	struct stw_hours_span v[STW_HOURS_SPANS_MAX];
	unsigned n;
};

/**
 * "mon-fri 08:00-12:00 13:00-18:00, sat 22:00-02:00, sun": entries with commas between them, each
 * with days (none: all), then times (none: the whole day).
 * @param ret_bad  the entry that is wrong, for -EBADMSG
 * @return 0; -EBADMSG; -ENOBUFS too many spans
 */
int stw_hours_parse(struct stw_str text, struct stw_hours *ret, struct stw_str *ret_bad);
/** @param unix_ms  now, UTC */
bool stw_hours_hold(const struct stw_hours *hours, const struct stw_zone *zone, int64_t unix_ms);
/** Seconds until the next span begins; at least 1. There must be one. */
uint32_t stw_hours_wait_s(
	const struct stw_hours *hours, const struct stw_zone *zone, int64_t unix_ms);

#define STW_HOURS_TEXT_MAX 16
/** Day and time in the zone: "thu 08:00". */
struct stw_str stw_hours_text(
	const struct stw_zone *zone, int64_t unix_ms, char buffer[STW_HOURS_TEXT_MAX]);

#endif
