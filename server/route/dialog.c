/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dialogs of the server itself: the call to a code that changes settings (feature.c), and the early
 * dialog of a 181 or 182, which lasts until the INVITE has its final response.
 */
#include "server/route/route.h"

#define RETRY_AFTER_MAX_S 10u

/* §11.2 */
enum stw_verdict stw_route_capabilities(struct stw_check *check)
{
	struct stw_refusal answer = { .cause = &stw_cause_options_answered };
	const struct stw_service *service = check->service;

	if (stw_route_capability_lines(check, ROUTE_CALL_ALLOW, &answer.headers) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (!service || (!service->open && !service->announcement.cause))
		stw_request_respond(check->request, 200, answer.headers, answer.cause);
	else if (stw_route_hold(check))
		stw_request_settle(check->request, &answer);
	return STW_DONE;
}

enum stw_verdict stw_route_in_dialog(struct stw_check *check)
{
	check->refusal.headers = STW_STR(ROUTE_CALL_ALLOW);
	switch (check->request->msg->method) {
	case STW_METHOD_OPTIONS:
		return stw_route_capabilities(check);
	case STW_METHOD_PRACK: /* RFC 3262 §3: what it fits was taken before */
		check->refusal.headers = STW_STR_NONE;
		return stw_route_refuse(check, &stw_cause_prack_unmatched);
	case STW_METHOD_UNKNOWN:
		return stw_route_refuse(check, &stw_cause_method_unknown);
	default:
		return stw_route_refuse(check, &stw_cause_dialog_method);
	}
}

/* §14.2. Its ACK has the tag of the dialog: a transaction must find it. */
static enum stw_verdict early_invite(struct stw_check *check)
{
	struct stw_request *request = check->request;

	if (stw_request_wait(request) < 0 ||
		stw_arena_printf(&request->arena, &check->refusal.headers, "Retry-After: %u\r\n",
			(unsigned)stw_random_below(
				stw_request_random(request), RETRY_AFTER_MAX_S + 1)) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_refuse(check, &stw_cause_dialog_invite);
}

enum stw_verdict stw_route_early(struct stw_check *check, struct stw_request *invite)
{
	const struct stw_msg *msg = check->request->msg;

	if (msg->cseq.number <= invite->msg->cseq.number)
		return stw_route_refuse(check, &stw_cause_dialog_order);
	if (msg->method == STW_METHOD_INVITE)
		return early_invite(check);
	if (msg->method != STW_METHOD_BYE)
		return stw_route_in_dialog(check);
	stw_request_respond(check->request, 200, STW_STR_NONE, NULL);
	stw_request_hang_up(invite, check->request->msg);
	return STW_DONE;
}
