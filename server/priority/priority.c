/* SPDX-License-Identifier: Apache-2.0 */
#include "server/priority/priority.h"

#include <errno.h>
#include <string.h>

#define MILITARY "routine priority immediate flash flash-override"
#define TEN      "0 1 2 3 4 5 6 7 8 9"
#define SIXTEEN  "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"
/* RFC 5478: each of these has ten of its kind, NAME-000000 to NAME-000009. */
#define FAMILY "-00000"

static const struct stw_priority_namespace spaces[] = {
	{ "dsn", MILITARY, 5 },                             /* RFC 4412 §10.2 */
	{ "drsn", MILITARY " flash-override-override", 6 }, /* §10.3 */
	{ "q735", "4 3 2 1 0", 5 },                         /* §10.4 */
	{ "ets", "4 3 2 1 0", 5 },                          /* §10.5 */
	{ "wps", "4 3 2 1 0", 5 },                          /* §10.6 */
	{ "esnet", "0 1 2 3 4", 5 },                        /* RFC 7135 */
	{ "mcpttp", SIXTEEN, 16 },                          /* RFC 8101 */
	{ "mcpttq", SIXTEEN, 16 },                          /* RFC 8101 */
};

static const struct stw_priority_namespace families[] = {
	{ "dsn", TEN, 10 },
	{ "drsn", TEN, 10 },
	{ "rts", TEN, 10 },
	{ "crts", TEN, 10 },
};

static const struct stw_priority_namespace *family_find(struct stw_str name)
{
	struct stw_str family = stw_str_cut(name, 0, stw_str_find(name, '-', 0));
	struct stw_str rest = stw_str_cut(name, family.len, name.len);

	if (rest.len != sizeof(FAMILY) || !stw_str_starts(rest, STW_STR(FAMILY)) ||
		rest.ptr[rest.len - 1] < '0' || rest.ptr[rest.len - 1] > '9')
		return NULL;
	for (size_t i = 0; i < STW_ARRAY_SIZE(families); i++) {
		if (stw_str_equal_nocase(family, stw_str_from(families[i].name)))
			return &families[i];
	}
	return NULL;
}

const struct stw_priority_namespace *stw_priority_find(struct stw_str name)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(spaces); i++) {
		if (stw_str_equal_nocase(name, stw_str_from(spaces[i].name)))
			return &spaces[i];
	}
	return family_find(name);
}

int stw_priority_level(const struct stw_priority_namespace *space, struct stw_str value)
{
	struct stw_str values = stw_str_from(space->values);
	size_t from = 0, end;
	int level = 0;

	for (; from < values.len; from = end + 1, level++) {
		end = stw_str_find(values, ' ', from);
		if (stw_str_equal_nocase(stw_str_cut(values, from, end), value))
			return level;
	}
	return -ENOENT;
}

unsigned stw_priority_rank(const struct stw_priority_namespace *space, unsigned level)
{
	return level * STW_PRIORITY_RANK_MAX / (space->count - 1);
}

/* ---- the header field ----------------------------------------------------------------- */

/* token-nodot */
static bool is_word(struct stw_str text)
{
	return stw_is_token(text) && stw_str_find(text, '.', 0) == text.len;
}

static int value_read(struct stw_str text, struct stw_priority_value *ret)
{
	size_t dot = stw_str_find(text, '.', 0);
	int level;

	*ret = (struct stw_priority_value){ .space = stw_str_cut(text, 0, dot),
		.value = stw_str_cut(text, dot + 1, text.len) };
	if (!is_word(ret->space) || !is_word(ret->value))
		return -EBADMSG;
	ret->known = stw_priority_find(ret->space);
	level = ret->known ? stw_priority_level(ret->known, ret->value) : -ENOENT;
	if (level < 0)
		ret->known = NULL;
	else
		ret->level = (unsigned)level;
	return 0;
}

int stw_priority_read(
	const struct stw_msg *msg, struct stw_priority_value ret[STW_PRIORITY_VALUES_MAX])
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_RESOURCE_PRIORITY);
	struct stw_str value;
	int n = 0;

	while (stw_values_next(&values, &value)) {
		if (n == STW_PRIORITY_VALUES_MAX)
			return -ENOBUFS;
		if (value_read(stw_str_trim(value), &ret[n]) < 0)
			return -EBADMSG;
		for (int i = 0; i < n; i++) {
			if (stw_str_equal_nocase(ret[i].space, ret[n].space))
				return -EBADMSG;
		}
		n++;
	}
	/* The header field stands there, and nothing in it. */
	return n || !stw_msg_find(msg, STW_HDR_RESOURCE_PRIORITY) ? n : -EBADMSG;
}
