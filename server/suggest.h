/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * "did you mean": the nearest of several known words, for options, commands and causes.
 */
#ifndef STW_SUGGEST_H
#define STW_SUGGEST_H

#include <strowger/base.h>

/** Best candidate so far. Words are borrowed. */
struct stw_suggestion {
	struct stw_str word;
	const char *best; /* NULL: nothing near */
	unsigned distance;
};

void stw_suggest_begin(struct stw_suggestion *suggestion, struct stw_str word);
/** Keeps the candidate when it is nearer than all before, and near enough to be a slip. */
void stw_suggest_try(struct stw_suggestion *suggestion, const char *candidate);
/** Slips between two words: inserted, missing, wrong and swapped letters; case does not count. */
unsigned stw_edit_distance(struct stw_str a, struct stw_str b);

#endif
