/* SPDX-License-Identifier: Apache-2.0 */
/* P12: what the caller wants of the phones of a user and of the way to them, RFC 3841 §7. */
#include <errno.h>

#include "server/route/route.h"

static const struct stw_str directives[] = {
#define DIRECTIVE(name, word) { word, sizeof(word) - 1 },
	STW_DIRECTIVES(DIRECTIVE)
#undef DIRECTIVE
};

static unsigned directives_read(const struct stw_msg *msg)
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_REQUEST_DISPOSITION);
	struct stw_str value;
	unsigned found = 0;

	while (stw_values_next(&values, &value)) {
		for (unsigned i = 0; i < STW_ARRAY_SIZE(directives); i++)
			if (value.len == directives[i].len &&
				stw_str_equal_nocase(value, directives[i]))
				found |= 1u << i;
	}
	return found;
}

/* Once for each check: they may be 30,000. */
static unsigned directives_of(struct stw_check *check)
{
	if (!check->directives_known)
		check->directives = directives_read(check->request->msg);
	check->directives_known = true;
	return check->directives;
}

bool stw_route_directive(struct stw_check *check, enum stw_directive directive)
{
	return directives_of(check) & 1u << directive;
}

/* §9.1: "There can only be one directive of each type per request". The two of a type are
 * neighbours. */
static const struct stw_str *directives_contradict(struct stw_check *check)
{
	unsigned found = directives_of(check);

	for (unsigned i = 0; i < STW_ARRAY_SIZE(directives); i += 2)
		if ((found >> i & 3) == 3)
			return &directives[i];
	return NULL;
}

enum stw_verdict stw_route_preferences(struct stw_check *check)
{
	struct stw_request *request = check->request;
	const struct stw_str *directive = directives_contradict(check);
	int err;

	if (directive) {
		stw_refusal_fact(&check->refusal, "directive", *directive);
		return stw_route_refuse(check, &stw_cause_disposition_contradicts);
	}
	err = stw_preferences_parse(request->msg, &request->arena, &check->preferences);
	if (err == 0)
		return STW_PASS;
	return stw_route_refuse(check, err == -EBADMSG ? &stw_cause_preferences_malformed
				       : err == -E2BIG ? &stw_cause_preferences_too_many
						       : &stw_cause_out_of_memory);
}

bool stw_route_wants(
	struct stw_check *check, const struct stw_binding *binding, unsigned *ret_score)
{
	const struct stw_msg *msg = check->request->msg;

	*ret_score = STW_PREFERENCE_MAX;
	if (check->preferences) {
		if (stw_preferences_match(check->preferences, binding->params, ret_score))
			return true;
		check->unwanted = true;
		return false;
	}
	if (binding->params.len && !stw_preferences_implied(msg, binding->params))
		*ret_score = 0;
	return true;
}

/* What was only implied gives way when nothing would be left: the phone then answers 405 or 489. */
static unsigned drop_implied(struct stw_proxy_target *targets, unsigned *scores, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!scores[i])
			continue;
		targets[kept] = targets[i];
		scores[kept++] = scores[i];
	}
	return kept ? kept : n;
}

/* By q, and among equals by what the caller prefers; else as they came. */
static void sort(struct stw_proxy_target *targets, unsigned *scores, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct stw_proxy_target target = targets[i];
		unsigned score = scores[i], at = i;

		for (; at && (targets[at - 1].q < target.q ||
				     (targets[at - 1].q == target.q && scores[at - 1] < score));
			at--) {
			targets[at] = targets[at - 1];
			scores[at] = scores[at - 1];
		}
		targets[at] = target;
		scores[at] = score;
	}
}

unsigned stw_route_prefer(struct stw_check *check, struct stw_proxy_target *targets,
	unsigned scores[STW_ROUTE_TARGETS_MAX], unsigned n)
{
	if (!check->preferences)
		n = drop_implied(targets, scores, n);
	if (n < 2 || (!check->preferences && !directives_of(check)))
		return n;
	sort(targets, scores, n);
	if (stw_route_directive(check, STW_DIRECTIVE_NO_FORK))
		return 1;
	/* Equal q are tried together, lower ones later. */
	for (unsigned i = 0; i < n; i++) {
		if (stw_route_directive(check, STW_DIRECTIVE_PARALLEL))
			targets[i].q = 1000;
		else if (stw_route_directive(check, STW_DIRECTIVE_SEQUENTIAL))
			targets[i].q = 1000 - i;
	}
	return n;
}
