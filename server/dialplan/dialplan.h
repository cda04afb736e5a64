/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * dialplan: numbers and the patterns that say where they go. Pure: no state, no I/O.
 *
 * A pattern is a row of elements: `x` one digit, `[2-57]` a digit of a set, `.` one or more digits,
 * `+ * #` and digits themselves. Where several patterns match a number the most specific wins:
 * at the first element that differs the narrower one. The order in the file decides nothing.
 */
#ifndef STW_DIALPLAN_H
#define STW_DIALPLAN_H

#include <strowger/message.h>

#define STW_NUMBER_MAX           64 /* symbols of a dialled number */
#define STW_PATTERN_ELEMENTS_MAX 48

/* ---- numbers ---- */

/**
 * The number that a URI dials, without visual separators (RFC 3966 §3, §5.1.1): the user part of a
 * SIP URI with its escapes undone ("%23" is #), or the subscriber of a tel URI. A user part that
 * holds anything but digits, separators and + * # is a name, no number.
 * @param buffer  of STW_NUMBER_MAX bytes; `ret` points into it
 * @return 0; -EBADMSG no number; -ENOBUFS longer than STW_NUMBER_MAX
 */
int stw_number_from_uri(const struct stw_uri *uri, char *buffer, struct stw_str *ret);
/** The same of bare text, as it stands in settings: "+49 (30) 1234". */
int stw_number_from_text(struct stw_str text, char *buffer, struct stw_str *ret);

/* ---- patterns ---- */

/** One place of a pattern. */
struct stw_pattern_element {
	uint16_t symbols; /* bit n: digit n; then + * # */
	bool repeats;     /* one or more of them */
};

struct stw_pattern {
	struct stw_pattern_element elements[STW_PATTERN_ELEMENTS_MAX];
	unsigned n;
};

enum stw_pattern_match {
	STW_PATTERN_NO,         /* no number that begins so matches */
	STW_PATTERN_INCOMPLETE, /* more symbols are needed */
	STW_PATTERN_YES,        /* complete; more symbols may follow where a `.` ends it */
};

/** @param ret_at  on error, the place of the fault in `text`. @return 0; -EBADMSG; -ENOBUFS too
 * long */
int stw_pattern_parse(struct stw_str text, struct stw_pattern *ret, size_t *ret_at);
/** @param ret_missing  INCOMPLETE: how many symbols are needed at least; may be NULL */
enum stw_pattern_match stw_pattern_match(
	const struct stw_pattern *pattern, struct stw_str number, unsigned *ret_missing);

enum stw_pattern_order {
	STW_PATTERN_APART,     /* no number matches both, or neither hides the other */
	STW_PATTERN_EQUAL,     /* the same numbers */
	STW_PATTERN_AMBIGUOUS, /* both match some number, and neither is the narrower */
	STW_PATTERN_SHADOWED,  /* each number of `a` also matches `b`, which is preferred */
};

/** How two patterns stand to each other, for the check of a plan. `example` (STW_NUMBER_MAX bytes)
 * gets a number that both match, when there is one; may be NULL. */
enum stw_pattern_order stw_pattern_compare(const struct stw_pattern *a, const struct stw_pattern *b,
	char *example, struct stw_str *ret_example);
/** <0: a number that matches both belongs to `a`; >0: to `b`; 0: to neither before the other. */
int stw_pattern_prefer(const struct stw_pattern *a, const struct stw_pattern *b);

/* ---- a plan ---- */

/** What a pattern stands for; the user of the plan knows what is behind `value`. */
struct stw_dial_entry {
	struct stw_pattern pattern;
	unsigned value;
};

/** Sorted so that the first match is the one that wins. Entries belong to the caller. */
void stw_dialplan_sort(struct stw_dial_entry *entries, unsigned n);
/**
 * @param entries  sorted
 * @param ret      the entry that wins; NULL when none matches
 * @param ret_missing  INCOMPLETE: how many symbols are needed at least; may be NULL
 * @return YES; INCOMPLETE: none matches, but one would with more symbols; NO
 */
enum stw_pattern_match stw_dialplan_find(const struct stw_dial_entry *entries, unsigned n,
	struct stw_str number, const struct stw_dial_entry **ret, unsigned *ret_missing);

#endif
