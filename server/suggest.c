/* SPDX-License-Identifier: Apache-2.0 */
#include "server/suggest.h"

#include <ctype.h>

#define WORD_MAX 48 /* longer words are no slip of a known one */

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned stw_edit_distance(struct stw_str a, struct stw_str b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *swap;
	unsigned cost;

	if (a.len > WORD_MAX || b.len > WORD_MAX)
		return UINT32_MAX;
	for (unsigned j = 0; j <= b.len; j++)
		last[j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			cost = same_letter(a.ptr[i - 1], b.ptr[j - 1]) ? 0 : 1;
			row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && same_letter(a.ptr[i - 1], b.ptr[j - 2]) &&
				same_letter(a.ptr[i - 2], b.ptr[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		swap = before;
		before = last;
		last = row;
		row = swap;
	}
	return last[b.len];
}

void stw_suggest_begin(struct stw_suggestion *suggestion, struct stw_str word)
{
	*suggestion = (struct stw_suggestion){ .word = word, .distance = UINT32_MAX };
}

void stw_suggest_try(struct stw_suggestion *suggestion, const char *candidate)
{
	struct stw_str text = stw_str_from(candidate);
	size_t shorter = text.len < suggestion->word.len ? text.len : suggestion->word.len;
	unsigned allowed = shorter < 4 ? 1 : shorter < 9 ? 2 : 3;
	unsigned distance = stw_edit_distance(suggestion->word, text);

	/* "warn" for "warning": the beginning of a word is as good as a slip. */
	if (distance > allowed && suggestion->word.len >= 3 && text.len > suggestion->word.len &&
		stw_str_starts(text, suggestion->word))
		distance = allowed;
	if (distance > allowed || distance >= suggestion->distance)
		return;
	suggestion->distance = distance;
	suggestion->best = candidate;
}
