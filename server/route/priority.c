/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P10: Resource-Priority, RFC 4412 §4.6, for the namespaces that the server acts upon. What it does
 * not know passes untouched, unless the caller insists. Without priority.namespaces it is no actor,
 * and a proxy that does not care.
 */
#include "server/priority/priority.h"
#include "server/route/route.h"

#define ACCEPT_LINE_MAX 4096

static bool is_listed(const struct stw_word_list *list, struct stw_str word)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (stw_str_equal_nocase(list->v[i], word))
			return true;
	}
	return false;
}

/* §12.4: each value that would have been understood. */
struct stw_str stw_route_priority_line(struct stw_check *check)
{
	const struct stw_word_list *list = &check->config->priority.namespaces;
	char *buffer = list->n ? stw_arena_bytes(&check->request->arena, ACCEPT_LINE_MAX) : NULL;
	struct stw_writer writer;
	bool first = true;

	if (!buffer)
		return STW_STR_NONE;
	stw_writer_init(&writer, buffer, ACCEPT_LINE_MAX);
	stw_write_text(&writer, "Accept-Resource-Priority: ");
	for (unsigned i = 0; i < list->n; i++) {
		const struct stw_priority_namespace *space = stw_priority_find(list->v[i]);
		struct stw_str values = stw_str_from(space->values);
		size_t from = 0, end;

		for (; from < values.len; from = end + 1, first = false) {
			end = stw_str_find(values, ' ', from);
			stw_write_format(&writer, "%s%.*s.%.*s", first ? "" : ", ",
				STW_STR_ARG(list->v[i]),
				STW_STR_ARG(stw_str_cut(values, from, end)));
		}
	}
	stw_write_text(&writer, "\r\n");
	return writer.overflow ? STW_STR_NONE : stw_writer_text(&writer);
}

/* Who has proven that he is one of ours and has the class, or comes from where the operator says.
 */
static bool is_entitled(struct stw_check *check)
{
	const struct stw_config *config = check->config;
	struct stw_network network;

	for (unsigned i = 0; i < config->priority.sources.n; i++) {
		if (stw_network_parse(config->priority.sources.v[i], &network) == 0 &&
			stw_network_has(&network, &check->request->source.remote))
			return true;
	}
	return check->authenticated && stw_route_class_held(check, config->priority.class);
}

static enum stw_verdict priority_unknown(struct stw_check *check)
{
	check->refusal.headers = stw_route_priority_line(check);
	check->refusal.option = "priority.namespaces";
	return stw_route_refuse(check, &stw_cause_priority_unknown);
}

/* `ret_known`: one that we act upon is there; check->priority is the highest of them. */
static enum stw_verdict priority_look(struct stw_check *check, bool *ret_known)
{
	const struct stw_msg *msg = check->request->msg;
	struct stw_priority_value values[STW_PRIORITY_VALUES_MAX];
	bool required = stw_msg_has_token(msg, STW_HDR_REQUIRE, STW_STR("resource-priority"));
	int n = stw_priority_read(msg, values);

	*ret_known = false;
	if (n < 0)
		return stw_route_refuse(check, &stw_cause_priority_malformed);
	check->priority = 0;
	for (int i = 0; i < n; i++) {
		unsigned rank;

		if (!values[i].known ||
			!is_listed(&check->config->priority.namespaces, values[i].space))
			continue;
		*ret_known = true;
		rank = stw_priority_rank(values[i].known, values[i].level);
		if (rank > check->priority)
			check->priority = rank;
	}
	return required && !*ret_known ? priority_unknown(check) : STW_PASS;
}

static enum stw_verdict priority(struct stw_check *check)
{
	bool known;
	enum stw_verdict verdict = priority_look(check, &known);

	if (verdict != STW_PASS || !known)
		return verdict;
	/* §4.6.4. In a dialog it was looked at when that was begun. */
	if (check->request->routing.in_dialog || is_entitled(check))
		return STW_PASS;
	check->priority = 0;
	check->refusal.option = "priority.class";
	return stw_route_refuse(check, &stw_cause_priority_not_entitled);
}

enum stw_verdict stw_route_priority(struct stw_check *check)
{
	return check->config->priority.namespaces.n ? priority(check) : STW_PASS;
}

enum stw_verdict stw_route_priority_known(struct stw_check *check)
{
	bool known;

	return check->config->priority.namespaces.n ? priority_look(check, &known) : STW_PASS;
}
