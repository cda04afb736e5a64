/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 608 for callers who do not understand it, RFC 8688 §3.4: a media server tells them, in its 183,
 * what the card says, and then they get the 608 all the same. That is for a 608 of our own and,
 * since the forwarded INVITE says so with +sip.608, for those of servers behind us.
 */
#include <errno.h>

#include "server/route/route.h"

/* RFC 6809 §4.2: "*;+sip.608". */
static bool understands_608(const struct stw_msg *msg)
{
	const struct stw_field *field = stw_msg_find_name(msg, STW_STR("Feature-Caps"));

	for (; field; field = stw_msg_find_next(msg, field)) {
		struct stw_str all = stw_field_value(msg, field), value, param;
		size_t from = 0, end;

		for (; from < all.len; from = end + 1) {
			end = stw_str_find(all, ',', from);
			value = stw_str_trim(stw_str_cut(all, from, end));
			if (value.len && value.ptr[0] == '*' &&
				stw_param_find(stw_str_cut(value, 1, value.len),
					STW_STR("+sip.608"), &param))
				return true;
		}
	}
	return false;
}

bool stw_route_hears_rejection(const struct stw_check *check)
{
	const struct stw_msg *msg = check->request->msg;

	return check->config->analytics.announcement.len && msg->method == STW_METHOD_INVITE &&
	       !check->request->routing.in_dialog && !understands_608(msg);
}

/* ---- the announcement ---- */

static enum stw_verdict announcement_submit(struct stw_check *check, const struct stw_cause *cause)
{
	struct stw_proxy_target target = { .q = 1000, .granted = true };
	struct stw_proxy_job job = { .targets = &target, .n = 1, .no_recurse = true };
	struct stw_refusal note = { .cause = cause, .option = "analytics.announcement" };

	if (stw_arena_copy(
		    &check->request->arena, check->config->analytics.announcement, &target.uri) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	stw_refusal_fact(&note, "by", target.uri);
	stw_request_note(check->request, &note);
	check->service->no_answer_ms = check->config->call.ring_timeout_ms;
	return stw_route_submit(check, &job);
}

/* What the media server says at the end does not count. It finds the card where the caller would:
 * in Call-Info. */
enum stw_verdict stw_route_announce(struct stw_check *check, const struct stw_cause *cause)
{
	struct stw_service *service = stw_route_service(check);

	if (!service)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (stw_refusal_keep(&check->refusal, &check->request->arena) < 0)
		return STW_REFUSE;
	*service = (struct stw_service){ .end = check->refusal, .added = check->refusal.headers };
	return announcement_submit(check, cause);
}

/* ---- 608 from below ---- */

/* RFC 6809 §4.2.1: ours becomes the top-most one. */
static int feature_caps_write(struct stw_check *check, struct stw_service *service)
{
	static const struct stw_str name = { "Feature-Caps", 12 };
	const struct stw_msg *msg = check->request->msg;
	const struct stw_field *field = stw_msg_find_name(msg, name);
	struct stw_arena *arena = &check->request->arena;
	int err = field ? stw_route_leave_out(check, &name, 1) : 0;

	if (err == 0)
		err = stw_arena_printf(arena, &service->added, "%.*sFeature-Caps: *;+sip.608\r\n",
			STW_STR_ARG(service->added));
	for (; err == 0 && field; field = stw_msg_find_next(msg, field))
		err = stw_arena_printf(arena, &service->added, "%.*sFeature-Caps: %.*s\r\n",
			STW_STR_ARG(service->added), STW_STR_ARG(stw_field_value(msg, field)));
	return err;
}

static __attribute__((noinline)) enum stw_verdict rejection(struct stw_check *check)
{
	struct stw_service *service;

	if (!stw_route_hears_rejection(check))
		return STW_PASS;
	service = stw_route_service(check);
	if (!service || feature_caps_write(check, service) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	service->conveys_608 = true;
	return STW_PASS;
}

/* Apart from the rest, so that a server that announces nothing pays nothing for its frame. */
enum stw_verdict stw_route_rejection(struct stw_check *check)
{
	return check->config->analytics.announcement.len ? rejection(check) : STW_PASS;
}

/* The card of who has rejected the call, for the media server. */
static int card_take(struct stw_check *check, const struct stw_msg *response)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_CALL_INFO);
	struct stw_str *added = &check->service->added, value, purpose;
	int err = 0;

	while (err == 0 && stw_values_next(&values, &value)) {
		size_t params = stw_str_find(value, '>', 0);

		if (stw_param_find(stw_str_cut(value, params + 1, value.len), STW_STR("purpose"),
			    &purpose) &&
			stw_str_equal_nocase(purpose, STW_STR("jwscard")))
			err = stw_arena_printf(&check->request->arena, added,
				"%.*sCall-Info: %.*s\r\n", STW_STR_ARG(*added), STW_STR_ARG(value));
	}
	return err;
}

void stw_route_rejected(struct stw_check *check, const struct stw_outcome *outcome)
{
	struct stw_service *service = check->service;

	if (service->conveyed || outcome->code != 608 || !service->conveys_608 ||
		!check->config->analytics.announcement.len ||
		card_take(check, outcome->response) < 0) {
		stw_request_settle(check->request, NULL);
		return;
	}
	service->conveyed = true;
	if (check->follows)
		stw_calls_leave(check->core->calls, check->request->msg, STW_STR_NONE);
	/* The 608 stays the best response, behind whatever the media server says. */
	service->goes_on = true;
	if (announcement_submit(check, &stw_cause_rejection_announced) == STW_REFUSE)
		stw_request_settle(check->request, NULL);
}
