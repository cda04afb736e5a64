/* SPDX-License-Identifier: Apache-2.0 */
/* P12 for numbers: the dial plan says whether a user, a trunk or nobody is called. */
#include <errno.h>
#include <string.h>

#include "server/dialplan/dialplan.h"
#include "server/route/route.h"

#define MORE_DIGITS_BYTES 64

/* ---- whose number it is ---- */

/* The local number is of a place: a domain, or the first digits of the global numbers there. The
 * two must not be put together (§5.1.5), but they say whether our plan is meant. */
static bool context_is_ours(const struct stw_config *config, struct stw_str context)
{
	char buffer[STW_NUMBER_MAX];
	const struct stw_dial_entry *entry;
	struct stw_str number;

	return stw_number_from_text(context, buffer, &number) == 0 &&
	       stw_dialplan_find(config->ranges.v, config->ranges.n, number, &entry, NULL) !=
		       STW_PATTERN_NO;
}

struct stw_str stw_route_tel_domain(const struct stw_config *config, const struct stw_uri *uri)
{
	struct stw_str context, domain = STW_STR_NONE;

	if (config->rule_count == 0)
		return STW_STR_NONE;
	if (stw_uri_param(uri, STW_STR("phone-context"), &context))
		domain = stw_config_domain(config, context);
	return domain.len ? domain : config->domains[0];
}

/* ---- outcomes ---- */

static enum stw_verdict number_refuse(struct stw_check *check, const struct stw_cause *cause,
	struct stw_str number, const struct stw_dial_rule *rule)
{
	if (stw_arena_copy(&check->request->arena, number, &number) == 0)
		stw_refusal_fact(&check->refusal, "number", number);
	if (rule)
		stw_refusal_fact(&check->refusal, "rule", rule->match);
	check->refusal.option = "dialplan";
	return stw_route_refuse(check, cause);
}

static enum stw_verdict number_incomplete(
	struct stw_check *check, struct stw_str number, unsigned missing)
{
	if (stw_arena_printf(&check->request->arena, &check->refusal.phrase,
		    "Address Incomplete, %u More Digit%s Needed", missing,
		    missing == 1 ? "" : "s") < 0)
		check->refusal.phrase = STW_STR_NONE;
	return number_refuse(check, &stw_cause_number_incomplete, number, NULL);
}

/* From here on the request is for this user. */
static enum stw_verdict call_user(
	struct stw_check *check, struct stw_str user, struct stw_str domain)
{
	struct stw_uri *called = stw_arena_zalloc(&check->request->arena, sizeof(*called));

	if (!called || stw_arena_copy(&check->request->arena, user, &called->user) < 0 ||
		stw_arena_copy(&check->request->arena, domain, &domain) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	called->scheme = check->request->routing.uri.scheme == STW_SCHEME_SIPS ? STW_SCHEME_SIPS
									       : STW_SCHEME_SIP;
	called->host = domain;
	called->host_kind = STW_HOST_NAME;
	check->called = called;
	check->domain = domain;
	return STW_PASS;
}

/* Who has this number in the called domain, by his name or his settings; a global one in any. */
static const struct stw_user *number_user(struct stw_check *check, struct stw_str number)
{
	const struct stw_directory *directory = check->core->options.directory;
	struct stw_arena *arena = &check->request->arena;
	const struct stw_user *user = NULL;
	struct stw_str name;

	if (stw_aor_make(number, check->domain, arena, &name) == 0)
		user = stw_directory_resolve(directory, name);
	if (!user && number.ptr[0] == '+' &&
		stw_arena_printf(arena, &name, "tel:%.*s", STW_STR_ARG(number)) == 0)
		user = stw_directory_resolve(directory, name);
	return user;
}

/* No user has the number, and no rule leads elsewhere. */
static enum stw_verdict number_of_nobody(
	struct stw_check *check, struct stw_str number, const struct stw_dial_rule *rule)
{
	const struct stw_dial_table *ranges = &check->config->ranges;
	const struct stw_dial_entry *entry;
	unsigned missing;

	switch (stw_dialplan_find(ranges->v, ranges->n, number, &entry, &missing)) {
	case STW_PATTERN_YES:
		return number_refuse(check, &stw_cause_number_unassigned, number, rule);
	case STW_PATTERN_INCOMPLETE:
		return number_incomplete(check, number, missing);
	default:
		return number_refuse(check, &stw_cause_number_unknown, number, rule);
	}
}

static enum stw_verdict call_owner(
	struct stw_check *check, struct stw_str number, const struct stw_dial_rule *rule)
{
	const struct stw_user *user = number_user(check, number);

	return user ? call_user(check, user->user, user->domain)
		    : number_of_nobody(check, number, rule);
}

static enum stw_verdict number_reject(
	struct stw_check *check, struct stw_str number, const struct stw_dial_rule *rule)
{
	static const struct stw_cause *const causes[] = { &stw_cause_dialplan_forbidden,
		&stw_cause_dialplan_not_found, &stw_cause_dialplan_gone,
		&stw_cause_dialplan_unavailable, &stw_cause_dialplan_incomplete,
		&stw_cause_dialplan_busy, &stw_cause_dialplan_decline,
		&stw_cause_dialplan_nowhere };
	size_t i = 0;

	while (i + 1 < STW_ARRAY_SIZE(causes) && causes[i]->code != rule->code)
		i++;
	return number_refuse(check, causes[i], number, rule);
}

/* ---- rules ---- */

static bool list_has(const struct stw_str *list, unsigned n, struct stw_str word)
{
	for (unsigned i = 0; i < n; i++) {
		if (stw_str_equal(list[i], word))
			return true;
	}
	return false;
}

bool stw_route_class_held(struct stw_check *check, struct stw_str class)
{
	const struct stw_config *config = check->config;
	const struct stw_user *caller;

	if (class.len == 0)
		return true;
	if (!check->caller_domain.len)
		return false;
	/* What the web server grants is the caller's, and not of who forwards his call. */
	if (!check->on_behalf.len && check->inquiries &&
		list_has(check->inquiries[STW_PURPOSE_ANALYTICS].reply.classes,
			check->inquiries[STW_PURPOSE_ANALYTICS].reply.class_count, class))
		return true;
	caller = stw_route_payer(check);
	if (caller && caller->settings && caller->settings->classes.n)
		return list_has(caller->settings->classes.v, caller->settings->classes.n, class);
	return list_has(config->call.classes, config->call.class_count, class);
}

static bool number_rewrite(const struct stw_dial_rule *rule, struct stw_str number,
	char buffer[STW_NUMBER_MAX], struct stw_str *ret)
{
	struct stw_str rest = stw_str_cut(number, rule->strip, number.len);

	if (rule->prepend.len + rest.len > STW_NUMBER_MAX || rule->prepend.len + rest.len == 0)
		return false;
	if (rule->prepend.len > 0)
		memcpy(buffer, rule->prepend.ptr, rule->prepend.len);
	memcpy(buffer + rule->prepend.len, rest.ptr, rest.len);
	*ret = (struct stw_str){ buffer, rule->prepend.len + rest.len };
	return true;
}

static enum stw_verdict call_queue(
	struct stw_check *check, const struct stw_dial_rule *rule, struct stw_str number)
{
	const struct stw_call_queue *queue = stw_config_queue(check->config, rule->queue);

	return queue ? stw_route_queue(check, queue)
		     : number_refuse(check, &stw_cause_number_unknown, number, rule);
}

static enum stw_verdict rule_apply(
	struct stw_check *check, const struct stw_dial_rule *rule, struct stw_str number)
{
	const struct stw_trunk *trunk =
		check->config->trunk_count ? &check->config->trunks[rule->trunk] : NULL;
	char buffer[STW_NUMBER_MAX];
	struct stw_str dialled = number;
	enum stw_verdict verdict;
	const char *option;

	if (!stw_route_class_held(check, rule->class)) {
		stw_refusal_fact(&check->refusal, "class", rule->class);
		return number_refuse(check, &stw_cause_class_barred, number, rule);
	}
	if (rule->kind == STW_DIAL_REJECT)
		return number_reject(check, number, rule);
	if (rule->kind == STW_DIAL_QUEUE)
		return call_queue(check, rule, number);
	if (rule->kind == STW_DIAL_USER && rule->user.len > 0)
		return call_user(
			check, rule->user, rule->domain.len > 0 ? rule->domain : check->domain);
	if (!number_rewrite(rule, dialled, buffer, &number))
		return number_refuse(check, &stw_cause_number_too_long, dialled, rule);
	if (rule->kind == STW_DIAL_USER)
		return call_owner(check, number, rule);
	if (!check->caller_domain.len)
		return number_refuse(check, &stw_cause_trunk_stranger, number, rule);
	verdict = stw_route_credit(check, trunk, number);
	option = check->refusal.option;
	if (verdict == STW_REFUSE)
		number_refuse(check, check->refusal.cause, number, rule);
	check->refusal.option = verdict == STW_REFUSE && !option ? "dialplan" : option;
	return verdict == STW_PASS ? stw_route_trunk(check, trunk, number) : verdict;
}

static enum stw_verdict number_route(struct stw_check *check, struct stw_str number)
{
	const struct stw_config *config = check->config;
	const struct stw_dial_entry *entry;
	enum stw_pattern_match match;
	unsigned missing;

	match = stw_dialplan_find(config->dialplan.v, config->dialplan.n, number, &entry, &missing);
	if (match == STW_PATTERN_YES)
		return rule_apply(check, &config->rules[entry->value], number);
	if (match == STW_PATTERN_INCOMPLETE && !number_user(check, number))
		return number_incomplete(check, number, missing);
	return call_owner(check, number, NULL);
}

static __attribute__((noinline)) enum stw_verdict dialplan_apply(struct stw_check *check)
{
	const struct stw_config *config = check->config;
	const struct stw_proxy_routing *routing = &check->request->routing;
	char buffer[STW_NUMBER_MAX];
	struct stw_str number, context;
	int err;

	if (!check->domain.len || routing->has_route || routing->in_dialog)
		return STW_PASS;
	err = stw_number_from_uri(check->called, buffer, &number);
	/* A name: "sip:alice@example.com". */
	if (err == -EBADMSG && check->called->scheme != STW_SCHEME_TEL)
		return STW_PASS;
	if (err < 0)
		return number_refuse(check,
			err == -ENOBUFS ? &stw_cause_number_too_long : &stw_cause_number_unknown,
			check->called->user, NULL);
	if (number.ptr[0] != '+' &&
		stw_uri_param(check->called, STW_STR("phone-context"), &context) &&
		!stw_str_equal_nocase(context, check->domain) &&
		!context_is_ours(config, context)) {
		stw_refusal_fact(&check->refusal, "context", context);
		return number_refuse(check, &stw_cause_number_context, number, NULL);
	}
	return number_route(check, number);
}

/* Apart from the rest, so that a server without numbers pays nothing for its frame. */
enum stw_verdict stw_route_dialplan(struct stw_check *check)
{
	if (check->config->rule_count == 0 && check->config->ranges.n == 0)
		return STW_PASS;
	return dialplan_apply(check);
}
