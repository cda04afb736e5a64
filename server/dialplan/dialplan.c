/* SPDX-License-Identifier: Apache-2.0 */
#include "server/dialplan/dialplan.h"

#include <stdlib.h>

static int entry_order(const void *a, const void *b)
{
	const struct stw_dial_entry *of_a = a, *of_b = b;
	int prefer = stw_pattern_prefer(&of_a->pattern, &of_b->pattern);

	if (prefer != 0)
		return prefer;
	return of_a->value < of_b->value ? -1 : of_a->value > of_b->value;
}

void stw_dialplan_sort(struct stw_dial_entry *entries, unsigned n)
{
	if (n > 1)
		qsort(entries, n, sizeof(*entries), entry_order);
}

enum stw_pattern_match stw_dialplan_find(const struct stw_dial_entry *entries, unsigned n,
	struct stw_str number, const struct stw_dial_entry **ret, unsigned *ret_missing)
{
	enum stw_pattern_match found = STW_PATTERN_NO;
	unsigned missing, least = 0;

	*ret = NULL;
	for (unsigned i = 0; i < n; i++) {
		enum stw_pattern_match match =
			stw_pattern_match(&entries[i].pattern, number, &missing);

		if (match == STW_PATTERN_YES) {
			*ret = &entries[i];
			return match;
		}
		if (match == STW_PATTERN_INCOMPLETE && (least == 0 || missing < least))
			least = missing;
		if (match > found)
			found = match;
	}
	if (ret_missing)
		*ret_missing = least;
	return found;
}
