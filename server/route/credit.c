/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P12: credit, for new calls through a trunk only. In a dialog nobody is asked: what runs is never
 * ended by a 402 (RFC 5057 note 1). A user's setting says it, and then a web server.
 */
#include "server/route/route.h"

static const struct stw_user *payer_without_credit(struct stw_check *check)
{
	const struct stw_user *payer = stw_route_payer(check);

	return payer && payer->settings && payer->settings->has_credit && !payer->settings->credit
		       ? payer
		       : NULL;
}

/* The row that asks is run again with the answer. A forwarded call comes here from within another
 * one; its number is looked up again then. */
static void row_set(struct stw_check *check)
{
	const struct stw_check_row *row = stw_route_proxy_rows;

	if (check->row && check->row->run == stw_route_trunk_direct)
		return;
	while (row->run != stw_route_dialplan)
		row++;
	check->row = row;
}

static enum stw_verdict ask(
	struct stw_check *check, const struct stw_trunk *trunk, struct stw_str number)
{
	const struct stw_config *config = check->config;
	const struct stw_user *payer = stw_route_payer(check);
	struct stw_hook_ask question = { .purpose = STW_PURPOSE_CREDIT,
		.url = config->credit.url,
		.timeout_ms = config->credit.timeout_ms,
		.facts = stw_route_ask_facts(check, "credit") };

	json_object_set_new(
		question.facts, "payer", payer ? stw_json_text(payer->aor) : json_null());
	json_object_set_new(question.facts, "number", stw_json_text(number));
	json_object_set_new(question.facts, "trunk", stw_json_text(trunk->name));
	row_set(check);
	return stw_route_ask(check, &question);
}

static enum stw_verdict judge(struct stw_check *check, const struct stw_inquiry *inquiry)
{
	const struct stw_hook_reply *reply = &inquiry->reply;
	enum stw_on_failure on_failure = check->config->credit.on_failure;

	check->refusal.option = "credit.on_failure";
	if (inquiry->cause)
		return stw_route_no_answer(check, inquiry->cause, inquiry->why, on_failure);
	if (reply->action == STW_HOOK_REDIRECT || reply->header_count || reply->class_count ||
		(reply->action == STW_HOOK_REFUSE && reply->code && reply->code != 402))
		return stw_route_no_answer(check, &stw_cause_hook_nonsense,
			STW_STR("of credit it says pass, or refuse with 402"), on_failure);
	check->refusal.option = NULL;
	if (reply->action == STW_HOOK_PASS)
		return STW_PASS;
	check->refusal.phrase = reply->phrase;
	check->refusal.option = "credit.url";
	if (reply->reason.len)
		stw_refusal_fact(&check->refusal, "reason", reply->reason);
	return stw_route_refuse(check, &stw_cause_credit_refused);
}

enum stw_verdict stw_route_credit(
	struct stw_check *check, const struct stw_trunk *trunk, struct stw_str number)
{
	enum stw_method method = check->request->msg->method;
	const struct stw_user *payer;
	struct stw_inquiry *inquiry;
	enum stw_verdict verdict;

	if (method != STW_METHOD_INVITE && method != STW_METHOD_MESSAGE)
		return STW_PASS;
	payer = payer_without_credit(check);
	if (payer) {
		stw_refusal_fact(&check->refusal, "user", payer->aor);
		return stw_route_refuse(check, &stw_cause_credit_used_up);
	}
	if (!check->config->credit.url.len || check->core->options.trial)
		return STW_PASS;
	inquiry = stw_route_inquiry(check, STW_PURPOSE_CREDIT);
	if (!inquiry)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (inquiry->answered)
		return judge(check, inquiry);
	verdict = ask(check, trunk, number);
	return verdict == STW_PASS ? judge(check, inquiry) : verdict;
}
