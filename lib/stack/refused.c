/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3261 §18.4: what to believe of an error of ICMP. Anybody can send one who knows two addresses
 * and their ports, and the header of a datagram is all that it has to quote (RFC 792); only whoever
 * has seen the datagram knows its branch. So an error that quotes a branch is about that message
 * alone; one that quotes less counts when it comes again for the next copy. RFC 5927 does the like
 * for TCP.
 */
#include <strowger/stack.h>

#include "internal.h"

static bool line_is_via(struct stw_str line, struct stw_str *ret_values)
{
	size_t colon = stw_str_find(line, ':', 0);
	struct stw_str name = stw_str_trim(stw_str_cut(line, 0, colon));

	if (colon >= line.len || (!stw_str_equal_nocase(name, STW_STR("Via")) &&
					 !stw_str_equal_nocase(name, STW_STR("v"))))
		return false;
	*ret_values = stw_str_trim(stw_str_cut(line, colon + 1, line.len));
	return true;
}

/* Others may have put theirs behind it; a comma may also stand in quotes. */
static struct stw_str branch_of_first(struct stw_str values)
{
	struct stw_str first = stw_str_cut(values, 0, stw_str_find(values, ',', 0));
	struct stw_via via;

	if (stw_via_parse(values, &via) == 0 || stw_via_parse(stw_str_trim(first), &via) == 0)
		return via.branch;
	return STW_STR_NONE;
}

/* The branch of the top Via; empty: what is quoted does not reach to the end of its line. */
struct stw_str refused_branch(struct stw_str quote)
{
	size_t from = stw_str_find(quote, '\n', 0) + 1, end;
	struct stw_str values;

	for (; from < quote.len; from = end + 1) {
		end = stw_str_find(quote, '\n', from);
		if (end >= quote.len)
			break;
		if (line_is_via(stw_str_cut(quote, from, end), &values))
			return branch_of_first(values);
	}
	return STW_STR_NONE;
}

/* A copy leaves. */
void refusal_sent(struct refusal *refusal)
{
	refusal->before = refusal->last;
	refusal->last = false;
}

/* Was the message with this branch refused? */
bool refusal_is_sure(
	const struct refusal *refusal, struct stw_str branch, const struct stw_io_event *event)
{
	struct stw_str refused = { event->data, event->len };

	return refused.len ? stw_str_equal(refused, branch) : refusal->before;
}
