/* SPDX-License-Identifier: Apache-2.0 */
/* List P: RFC 3261 §16.3, policy, §16.5. */
#include "server/route/feature.h"

static bool never_answered(const struct stw_check *check)
{
	return check->request->msg->method == STW_METHOD_ACK ||
	       check->request->msg->method == STW_METHOD_CANCEL;
}

/* RFC 3325 §9.1: one value or two. They are removed; what is not worth removing is refused. */
static enum stw_verdict check_assertions(struct stw_check *check)
{
	const struct stw_msg *msg = check->request->msg;
	const struct stw_field *field = stw_msg_find(msg, STW_HDR_P_ASSERTED_IDENTITY);
	unsigned n = 0;

	for (; field; field = stw_msg_find_next(msg, field))
		n++;
	return n > 2 ? stw_route_refuse(check, &stw_cause_header_repeated) : STW_PASS;
}

enum stw_verdict stw_route_validate(struct stw_check *check)
{
	const struct stw_cause *cause;
	struct stw_str lines;

	if (check->request->msg->uri.scheme == STW_SCHEME_TEL && !check->emergency &&
		check->config->rule_count == 0)
		return stw_route_refuse(check, &stw_cause_scheme_unsupported);
	cause = stw_request_validate(check->request, &check->refusal);
	if (!cause)
		return check_assertions(check);
	/* §16.3 step 3: a proxy may answer an OPTIONS that may go no further as its final
	 * recipient. Allow would say nothing: a proxy does not ask for the method (§11.2). */
	if (cause == &stw_cause_options_final) {
		if (stw_route_capability_lines(check, "", &lines) < 0)
			return stw_route_refuse(check, &stw_cause_out_of_memory);
		stw_request_respond(check->request, 200, lines, cause);
		return STW_DONE;
	}
	return STW_REFUSE;
}

/* In a dialog that passed through us nobody is asked again, as long as the request goes where the
 * dialog does: to the place that our mark covers, or that the other side has moved to since
 * (§12.2.1.2), to one of our users, or to a phone of the user whom To names. */
static bool stays_in_dialog(struct stw_check *check)
{
	const struct stw_proxy_routing *routing = &check->request->routing;
	struct stw_proxy_target target;

	return routing->in_dialog &&
	       (routing->hop_known || stw_refreshes_lead(check->core->refreshes, routing) ||
		       (!routing->has_route &&
			       (check->domain.len || stw_route_binding_of_to(check, &target))));
}

/* §22.3: our own users prove who they are. */
static enum stw_verdict check_caller(struct stw_check *check)
{
	struct stw_str from;
	enum stw_verdict verdict;

	if (!check->config->auth.required || !check->caller_domain.len || never_answered(check) ||
		stays_in_dialog(check))
		return STW_PASS;
	verdict = stw_route_authenticate(check, STW_HDR_PROXY_AUTHORIZATION, check->caller_domain);
	if (verdict != STW_PASS)
		return verdict;
	if (stw_route_aor(check, &check->request->msg->from.uri, check->caller_domain, &from) < 0 ||
		!stw_str_equal(from, check->user_aor)) {
		stw_refusal_fact(&check->refusal, "user", check->user_aor);
		return stw_route_refuse(check, &stw_cause_from_mismatch);
	}
	return STW_PASS;
}

enum stw_verdict stw_route_mark(struct stw_check *check)
{
	return check->request->routing.forged ? stw_route_refuse(check, &stw_cause_route_forged)
					      : STW_PASS;
}

/* Nobody relays through us to elsewhere without being one of our users. */
static enum stw_verdict check_relay(struct stw_check *check)
{
	const struct stw_request *request = check->request;
	bool to_us = check->domain.len && !request->routing.has_route;

	if (check->caller_domain.len || stays_in_dialog(check))
		return STW_PASS;
	if (!to_us) {
		if (request->routing.in_dialog) {
			stw_refusal_fact(&check->refusal, "destination", request->routing.uri.host);
			return stw_route_refuse(check, &stw_cause_dialog_elsewhere);
		}
		stw_refusal_fact(&check->refusal, "destination", request->routing.uri.host);
		stw_refusal_fact(&check->refusal, "caller", request->msg->from.uri.host);
		check->refusal.option = "domains";
		return stw_route_refuse(check, &stw_cause_relay_refused);
	}
	if (!check->config->call.from_anyone && !stw_route_trunk_of_source(check) &&
		!stw_route_trunk_of_contact(check)) {
		check->refusal.option = "call.from_anyone";
		stw_refusal_fact(&check->refusal, "caller", request->msg->from.uri.host);
		return stw_route_refuse(check, &stw_cause_stranger_refused);
	}
	return STW_PASS;
}

const struct stw_check_row stw_route_proxy_rows[] = {
	{ "P2-P5", stw_route_validate },
	{ "P7", stw_route_feature_dialog },
	{ "P7", check_caller },
	{ "P8", stw_route_mark },
	{ "P9", check_relay },
	{ "P10", stw_route_priority },
	{ "P10", stw_route_call },
	{ "P10", stw_route_analytics },
	{ "P10", stw_route_rejection },
	{ "P11", stw_route_session },
	{ "P12", stw_route_feature },
	{ "P12", stw_route_trunk_direct },
	{ "P12", stw_route_trunk_incoming },
	{ "P12", stw_route_dialplan },
	{ "P12", stw_route_ambiguous },
	{ "P12-P14", stw_route_target_set },
	{ NULL, NULL },
};
