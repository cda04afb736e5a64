/* SPDX-License-Identifier: Apache-2.0 */
/* List P: RFC 3261 §16.3, policy, §16.5. */
#include "server/route/feature.h"

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
 * (§12.2.1.2), or to a phone of the user whom To names. Who names himself one of ours did so in the
 * beginning, or is asked. */
bool stw_route_stays_in_dialog(struct stw_check *check)
{
	const struct stw_proxy_routing *routing = &check->request->routing;
	struct stw_proxy_target target;

	if (!routing->in_dialog)
		return false;
	if (routing->hop_known || stw_refreshes_lead(check->core->refreshes, routing))
		return true;
	return !routing->has_route && !check->caller_domain.len &&
	       stw_route_binding_of_to(check, &target);
}

/* §22.3: our own users prove who they are. */
static enum stw_verdict check_caller(struct stw_check *check)
{
	struct stw_str from;
	enum stw_verdict verdict;

	if (!check->config->auth.required || !check->caller_domain.len ||
		stw_route_stays_in_dialog(check))
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

	if (check->caller_domain.len || stw_route_stays_in_dialog(check))
		return STW_PASS;
	if (!to_us) {
		if (request->routing.in_dialog || check->left_dialog) {
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

/* Without our mark the To must say that it acknowledges something, and of whom. */
static bool ack_is_for(struct stw_check *check, const struct stw_user *user)
{
	const struct stw_msg *msg = check->request->msg;
	struct stw_str domain = stw_route_domain(check->core, &msg->to.uri), aor;

	return check->request->routing.in_dialog ||
	       (msg->to.tag.len && domain.len &&
		       stw_route_aor(check, &msg->to.uri, domain, &aor) == 0 &&
		       stw_directory_resolve(check->core->options.directory, aor) == user);
}

/* An ACK to one of our users goes to a registered phone of his, or nowhere. */
static bool ack_binding(struct stw_check *check, struct stw_proxy_target *ret)
{
	struct stw_proxy_target targets[STW_ROUTE_TARGETS_MAX];
	const struct stw_user *user;
	struct stw_str aor;
	unsigned live;

	if (stw_route_aor(check, check->called, check->domain, &aor) < 0)
		return false;
	user = stw_directory_resolve(check->core->options.directory, aor);
	if (!user || !ack_is_for(check, user) ||
		!stw_route_bindings(check, user->aor, targets, STW_ROUTE_TARGETS_MAX, &live))
		return false;
	*ret = targets[0];
	return true;
}

/* The ACK of a 2xx (§13.2.2.4), which nobody answers and nobody can be asked about, goes where its
 * dialog goes. We record the route of each INVITE, so one that is not in a dialog of ours by its
 * Route is of a phone that lost the route set, and may reach one of our users at most. */
static enum stw_verdict ack_relay(struct stw_check *check)
{
	const struct stw_proxy_routing *routing = &check->request->routing;

	if (!routing->in_dialog && (routing->has_route || !check->domain.len))
		return stw_route_refuse(check, &stw_cause_ack_unmatched);
	return check_relay(check);
}

/* No service, no number and no trunk is for it. */
static enum stw_verdict ack_forward(struct stw_check *check)
{
	const struct stw_proxy_routing *routing = &check->request->routing;
	struct stw_proxy_target target;
	bool bound = false;

	if (check->domain.len && !routing->has_route) {
		bound = ack_binding(check, &target);
		if (!bound)
			return stw_route_refuse(check, &stw_cause_ack_unmatched);
	} else if (!routing->has_route) {
		bound = stw_route_target_of_to(check, &target);
	}
	stw_request_forward_stateless(check->request, bound ? &target : NULL);
	return STW_DONE;
}

const struct stw_check_row stw_route_ack_rows[] = {
	{ "P2-P5", stw_route_validate },
	{ "P8", stw_route_mark },
	{ "P9", ack_relay },
	{ "P12-P14", ack_forward },
	{ NULL, NULL },
};

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
