/* SPDX-License-Identifier: Apache-2.0 */
/* P10: a web server says what becomes of a call before any phone rings (RFC 8688 and others). */
#include "server/route/route.h"

#include "server/try.h"

#define OWN_FIELDS_MAX 8 /* of the caller, under names that are ours to fill */

/* ---- whether ---- */

static bool method_is_asked_about(const struct stw_check *check)
{
	const struct stw_word_list *methods = &check->config->analytics.methods;
	struct stw_str method = stw_msg_method_name(check->request->msg);

	for (unsigned i = 0; i < methods->n; i++) {
		if (stw_str_equal(methods->v[i], method))
			return true;
	}
	return false;
}

static bool is_asked_about(const struct stw_check *check)
{
	bool ours = check->caller_domain.len > 0;

	/* A tag in To alone says nothing: anybody can write one. */
	if (check->request->routing.in_dialog || !method_is_asked_about(check))
		return false;
	switch (check->config->analytics.about) {
	case STW_ASKED_ABOUT_STRANGERS:
		return !ours;
	case STW_ASKED_ABOUT_USERS:
		return ours;
	case STW_ASKED_ABOUT_ALL:
		break;
	}
	return true;
}

static enum stw_verdict ask(struct stw_check *check)
{
	const struct stw_config *config = check->config;
	const struct stw_hook_ask question = { .purpose = STW_PURPOSE_ANALYTICS,
		.url = config->analytics.url,
		.timeout_ms = config->analytics.timeout_ms,
		.cache_s = config->analytics.cache_s,
		.facts = stw_route_ask_facts(check, "call") };

	return stw_route_ask(check, &question);
}

/* ---- what it says ---- */

static bool is_listed(const struct stw_word_list *list, struct stw_str word)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (stw_str_equal_nocase(list->v[i], word))
			return true;
	}
	return false;
}

static enum stw_verdict no_answer(
	struct stw_check *check, const struct stw_cause *cause, struct stw_str why)
{
	check->refusal.option = "analytics.on_failure";
	/* What was read of it counts for nothing. */
	check->inquiries[STW_PURPOSE_ANALYTICS].reply.class_count = 0;
	return stw_route_no_answer(check, cause, why, check->config->analytics.on_failure);
}

static const struct stw_cause *cause_of_code(const struct stw_config *config, unsigned code)
{
	static const struct stw_cause *const causes[] = { &stw_cause_analytics_forbidden,
		&stw_cause_analytics_not_found, &stw_cause_analytics_gone,
		&stw_cause_analytics_unavailable, &stw_cause_analytics_busy,
		&stw_cause_analytics_declined, &stw_cause_analytics_rejected };

	for (unsigned i = 0; i < config->analytics.codes.n; i++) {
		uint64_t allowed;

		if (stw_str_to_uint(config->analytics.codes.v[i], 699, &allowed) < 0 ||
			allowed != code)
			continue;
		for (unsigned k = 0; k < STW_ARRAY_SIZE(causes); k++) {
			if (causes[k]->code == code)
				return causes[k];
		}
	}
	return NULL;
}

/* ---- 608, RFC 8688 ---- */

static int card_add(struct stw_check *check)
{
	struct stw_str url = check->config->analytics.card_url;

	return url.len ? stw_arena_printf(&check->request->arena, &check->refusal.headers,
				 "Call-Info: <%.*s>;purpose=jwscard\r\n", STW_STR_ARG(url))
		       : 0;
}

static enum stw_verdict refuse(struct stw_check *check, const struct stw_hook_reply *reply)
{
	unsigned code = reply->code ? reply->code : 608;
	const struct stw_cause *cause = cause_of_code(check->config, code);

	if (!cause)
		return no_answer(check, &stw_cause_hook_nonsense,
			STW_STR("its code is not in analytics.codes"));
	check->refusal.phrase = reply->phrase;
	check->refusal.option = "analytics.url";
	if (reply->reason.len)
		stw_refusal_fact(&check->refusal, "reason", reply->reason);
	if (code == 608 && !reply->no_card && card_add(check) < 0)
		cause = &stw_cause_out_of_memory;
	check->refusal.cause = cause;
	return code == 608 && stw_route_hears_rejection(check)
		       ? stw_route_announce(check, &stw_cause_analytics_announced)
		       : STW_REFUSE;
}

static enum stw_verdict redirect(struct stw_check *check, const struct stw_hook_reply *reply)
{
	struct stw_arena *arena = &check->request->arena;
	struct stw_str *headers = &check->refusal.headers;

	for (unsigned i = 0; i < reply->contact_count; i++) {
		if (stw_arena_printf(arena, headers, "%.*sContact: <%.*s>;q=%u.%03u\r\n",
			    STW_STR_ARG(*headers), STW_STR_ARG(reply->contacts[i]), i ? 0u : 1u,
			    i ? 1000u - 100u * i : 0u) < 0)
			return stw_route_refuse(check, &stw_cause_out_of_memory);
	}
	check->refusal.option = "analytics.url";
	return stw_route_refuse(check, &stw_cause_analytics_redirected);
}

/* Who reads a field that only this server fills must be able to believe it. */
static unsigned own_fields(const struct stw_check *check)
{
	const struct stw_word_list *names = &check->config->analytics.headers;
	const struct stw_msg *msg = check->request->msg;
	const struct stw_field *field;
	unsigned n = 0;

	for (unsigned i = 0; i < names->n; i++) {
		field = stw_msg_find_name(msg, names->v[i]);
		for (; field; field = stw_msg_find_next(msg, field))
			n++;
	}
	return n;
}

static int without(struct stw_check *check)
{
	const struct stw_word_list *names = &check->config->analytics.headers;
	struct stw_arena *arena = &check->request->arena;
	struct stw_service *service = stw_route_service(check);
	struct stw_str *list = stw_arena_zalloc(arena, names->n * sizeof(*list));
	int err = service && list ? 0 : -1;

	for (unsigned i = 0; err == 0 && i < names->n; i++)
		err = stw_arena_copy(arena, names->v[i], &list[i]);
	if (err == 0) {
		service->without = list;
		service->without_count = names->n;
	}
	return err;
}

static int headers_add(struct stw_check *check, const struct stw_hook_reply *reply)
{
	struct stw_service *service = stw_route_service(check);
	int err = service ? 0 : -1;

	for (unsigned i = 0; err == 0 && i < reply->header_count; i++)
		err = stw_arena_printf(&check->request->arena, &service->added,
			"%.*s%.*s: %.*s\r\n", STW_STR_ARG(service->added),
			STW_STR_ARG(reply->headers[i].name), STW_STR_ARG(reply->headers[i].value));
	return err;
}

static void note_added(struct stw_check *check, const struct stw_hook_reply *reply)
{
	struct stw_refusal note = { .cause = &stw_cause_analytics_added,
		.option = "analytics.url" };

	for (unsigned i = 0; i < reply->header_count; i++)
		stw_refusal_fact(&note, "header", reply->headers[i].name);
	for (unsigned i = 0; i < reply->class_count; i++)
		stw_refusal_fact(&note, "class", reply->classes[i]);
	if (note.fact_count)
		stw_request_note(check->request, &note);
}

static enum stw_verdict pass(struct stw_check *check, const struct stw_hook_reply *reply)
{
	for (unsigned i = 0; i < reply->header_count; i++) {
		if (!is_listed(&check->config->analytics.headers, reply->headers[i].name))
			return no_answer(check, &stw_cause_hook_nonsense,
				STW_STR("a header is not in analytics.headers"));
	}
	if (reply->header_count && headers_add(check, reply) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	note_added(check, reply);
	return STW_PASS;
}

static enum stw_verdict judge(struct stw_check *check, const struct stw_inquiry *inquiry)
{
	if (inquiry->cause)
		return no_answer(check, inquiry->cause, inquiry->why);
	switch (inquiry->reply.action) {
	case STW_HOOK_REFUSE:
		return refuse(check, &inquiry->reply);
	case STW_HOOK_REDIRECT:
		return redirect(check, &inquiry->reply);
	case STW_HOOK_PASS:
		break;
	}
	return pass(check, &inquiry->reply);
}

static __attribute__((noinline)) enum stw_verdict analytics(struct stw_check *check)
{
	struct stw_inquiry *inquiry = check->inquiries;
	enum stw_verdict verdict;
	unsigned own;

	if (inquiry && inquiry[STW_PURPOSE_ANALYTICS].answered)
		return judge(check, &inquiry[STW_PURPOSE_ANALYTICS]);
	if (check->core->options.trial || !is_asked_about(check))
		return STW_PASS;
	own = own_fields(check);
	if (own > OWN_FIELDS_MAX)
		return stw_route_refuse(check, &stw_cause_header_repeated);
	inquiry = stw_route_inquiry(check, STW_PURPOSE_ANALYTICS);
	if (!inquiry || (own && without(check) < 0))
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	verdict = ask(check);
	return verdict == STW_PASS ? judge(check, inquiry) : verdict;
}

/* Apart from the rest, so that a server that asks nobody pays nothing for its frame. */
enum stw_verdict stw_route_analytics(struct stw_check *check)
{
	return check->config->analytics.url.len ? analytics(check) : STW_PASS;
}
