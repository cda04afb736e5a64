/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern is an automaton of a row: place i is reached when i elements have been served. The set
 * of places that a number may have reached is a word of bits, so that matching needs neither
 * recursion nor memory.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "server/dialplan/dialplan.h"

#define SYMBOLS   13
#define DIGITS    0x3ffu /* all ten */
#define PAIRS_MAX 2048   /* pairs of sets looked at when two patterns are compared */

static const char symbol_names[SYMBOLS + 1] = "0123456789+*#";

_Static_assert(STW_PATTERN_ELEMENTS_MAX < 64, "the places of a pattern fit a word");

static int symbol_index(char c)
{
	const char *at = c ? strchr(symbol_names, c) : NULL;

	return at ? (int)(at - symbol_names) : -1;
}

/* ---- reading ---- */

/* "[2-57]" from behind the bracket. @return bytes read with the closing bracket, or -EBADMSG */
static int set_parse(struct stw_str text, size_t at, uint16_t *ret, size_t *ret_at)
{
	size_t i = at;

	*ret = 0;
	for (; i < text.len && text.ptr[i] != ']'; i++) {
		int from = symbol_index(text.ptr[i]), to = from;

		if (from < 0)
			break;
		if (i + 2 < text.len && text.ptr[i + 1] == '-' && text.ptr[i + 2] != ']') {
			to = symbol_index(text.ptr[i + 2]);
			if (from > 9 || to > 9 || to < from)
				break;
			i += 2;
		}
		for (; from <= to; from++)
			*ret |= (uint16_t)(1u << from);
	}
	if (i < text.len && text.ptr[i] == ']' && *ret)
		return (int)(i + 1 - at);
	*ret_at = i;
	return -EBADMSG;
}

int stw_pattern_parse(struct stw_str text, struct stw_pattern *ret, size_t *ret_at)
{
	ret->n = 0;
	for (size_t i = 0; i < text.len; i++) {
		struct stw_pattern_element element = { 0 };
		int symbol = symbol_index(text.ptr[i]), used;

		*ret_at = i;
		if (symbol >= 0) {
			element.symbols = (uint16_t)(1u << symbol);
		} else if (text.ptr[i] == 'x' || text.ptr[i] == 'X' || text.ptr[i] == '.') {
			element.symbols = DIGITS;
			element.repeats = text.ptr[i] == '.';
		} else if (text.ptr[i] == '[') {
			used = set_parse(text, i + 1, &element.symbols, ret_at);
			if (used < 0)
				return used;
			i += (size_t)used;
		} else {
			return -EBADMSG;
		}
		if (ret->n == STW_PATTERN_ELEMENTS_MAX)
			return -ENOBUFS;
		ret->elements[ret->n++] = element;
	}
	*ret_at = 0;
	return ret->n > 0 ? 0 : -EBADMSG;
}

/* ---- matching ---- */

static uint64_t step(const struct stw_pattern *pattern, uint64_t places, int symbol)
{
	uint64_t next = 0;

	for (unsigned i = 0; i < pattern->n; i++) {
		if (!(places >> i & 1) || !(pattern->elements[i].symbols >> symbol & 1))
			continue;
		next |= UINT64_C(1) << (i + 1);
		if (pattern->elements[i].repeats)
			next |= UINT64_C(1) << i;
	}
	return next;
}

static bool accepts(const struct stw_pattern *pattern, uint64_t places)
{
	return places >> pattern->n & 1;
}

enum stw_pattern_match stw_pattern_match(
	const struct stw_pattern *pattern, struct stw_str number, unsigned *ret_missing)
{
	uint64_t places = 1;

	for (size_t i = 0; i < number.len && places; i++) {
		int symbol = symbol_index(number.ptr[i]);

		places = symbol < 0 ? 0 : step(pattern, places, symbol);
	}
	if (accepts(pattern, places))
		return STW_PATTERN_YES;
	if (!places)
		return STW_PATTERN_NO;
	/* Each place that is left wants one symbol at least. */
	if (ret_missing)
		*ret_missing = pattern->n - (63 - (unsigned)__builtin_clzll(places));
	return STW_PATTERN_INCOMPLETE;
}

/* ---- which of two ---- */

static unsigned width(const struct stw_pattern_element *element)
{
	/* What repeats is wider than any set. */
	return (element->repeats ? SYMBOLS : 0) + (unsigned)__builtin_popcount(element->symbols);
}

int stw_pattern_prefer(const struct stw_pattern *a, const struct stw_pattern *b)
{
	for (unsigned i = 0; i < a->n && i < b->n; i++) {
		unsigned of_a = width(&a->elements[i]), of_b = width(&b->elements[i]);

		if (of_a != of_b)
			return of_a < of_b ? -1 : 1;
	}
	/* The longer one says more. */
	return a->n == b->n ? 0 : a->n > b->n ? -1 : 1;
}

/* Walk the pairs of sets that a common number can reach. */
struct pair {
	uint64_t a, b;
	int from; /* the pair before, -1: the first */
	int symbol;
};

struct walk {
	struct pair pairs[PAIRS_MAX];
	int count;
	int both;              /* a pair that both accept, -1: none */
	bool a_alone, b_alone; /* a number that only one of them matches */
	bool full;             /* not all pairs could be looked at */
};

static void pair_add(struct walk *walk, struct pair pair)
{
	for (int i = 0; i < walk->count; i++) {
		if (walk->pairs[i].a == pair.a && walk->pairs[i].b == pair.b)
			return;
	}
	if (walk->count == PAIRS_MAX) {
		walk->full = true;
		return;
	}
	walk->pairs[walk->count++] = pair;
}

static void walk_all(struct walk *walk, const struct stw_pattern *a, const struct stw_pattern *b)
{
	walk->count = 0;
	walk->both = -1;
	walk->a_alone = walk->b_alone = walk->full = false;
	pair_add(walk, (struct pair){ .a = 1, .b = 1, .from = -1 });
	for (int i = 0; i < walk->count; i++) {
		struct pair at = walk->pairs[i];
		bool of_a = accepts(a, at.a), of_b = accepts(b, at.b);

		if (of_a && of_b && walk->both < 0)
			walk->both = i;
		walk->a_alone |= of_a && !of_b;
		walk->b_alone |= of_b && !of_a;
		for (int symbol = 0; symbol < SYMBOLS; symbol++) {
			struct pair next = { .a = step(a, at.a, symbol),
				.b = step(b, at.b, symbol),
				.from = i,
				.symbol = symbol };

			if (next.a || next.b)
				pair_add(walk, next);
		}
	}
}

/* The number that led to a pair, read backwards. */
static void example_write(const struct walk *walk, char *example, struct stw_str *ret)
{
	size_t len = 0;

	for (int i = walk->both; walk->pairs[i].from >= 0; i = walk->pairs[i].from)
		len++;
	*ret = (struct stw_str){ example, len };
	if (len > STW_NUMBER_MAX) {
		*ret = STW_STR("");
		return;
	}
	for (int i = walk->both; walk->pairs[i].from >= 0; i = walk->pairs[i].from)
		example[--len] = symbol_names[walk->pairs[i].symbol];
}

/* Most pairs differ in their first symbols: no walk is needed to know. */
static bool begin_apart(const struct stw_pattern *a, const struct stw_pattern *b)
{
	for (unsigned i = 0; i < a->n && i < b->n; i++) {
		if (!(a->elements[i].symbols & b->elements[i].symbols))
			return true;
		if (a->elements[i].repeats || b->elements[i].repeats)
			break;
	}
	return false;
}

enum stw_pattern_order stw_pattern_compare(const struct stw_pattern *a, const struct stw_pattern *b,
	char *example, struct stw_str *ret_example)
{
	static _Thread_local struct walk walk;
	int prefer = stw_pattern_prefer(a, b);

	if (begin_apart(a, b))
		return STW_PATTERN_APART;
	walk_all(&walk, a, b);
	if (walk.both < 0)
		return STW_PATTERN_APART;
	if (example)
		example_write(&walk, example, ret_example);
	if (!walk.a_alone && !walk.b_alone && !walk.full)
		return STW_PATTERN_EQUAL;
	if (prefer == 0)
		return STW_PATTERN_AMBIGUOUS;
	return prefer > 0 && !walk.a_alone && !walk.full ? STW_PATTERN_SHADOWED : STW_PATTERN_APART;
}
