/* SPDX-License-Identifier: Apache-2.0 */
/* P10: calls are followed from here on, and how many of them a user may have. */
#include <errno.h>

#include "server/route/route.h"

/* OPTIONS asks what an INVITE would meet (RFC 3261 §11). A phone that has lost its route set
 * refreshes a call that is followed, and begins none. */
static bool is_asked(const struct stw_check *check)
{
	const struct stw_msg *msg = check->request->msg;

	return (msg->method == STW_METHOD_INVITE || msg->method == STW_METHOD_OPTIONS) &&
	       !check->request->routing.in_dialog && core_follows_calls(check->core) &&
	       !stw_calls_talk(check->core->calls, msg);
}

static unsigned limit_of(const struct stw_user *user)
{
	return user && user->settings ? user->settings->max_calls : 0;
}

/* The limit stands beside the refusal. */
static void limit_fact(struct stw_check *check, const struct stw_user *user)
{
	struct stw_str text;

	check->refusal = (struct stw_refusal){ .cause = NULL };
	stw_refusal_fact(&check->refusal, "user", user->aor);
	if (stw_arena_printf(&check->request->arena, &text, "%u", limit_of(user)) == 0)
		stw_refusal_fact(&check->refusal, "max_calls", text);
}

enum stw_verdict stw_route_call(struct stw_check *check)
{
	const struct stw_user *caller;
	unsigned limit;
	int err;

	if (!is_asked(check) || check->request->msg->method != STW_METHOD_INVITE)
		return STW_PASS;
	caller = stw_route_caller(check);
	limit = check->emergency ? 0 : limit_of(caller);
	if (check->core->options.trial) {
		err = limit && stw_busy_count(check->core->busy, caller->aor) >= limit ? -EBUSY : 0;
	} else {
		check->follows = true;
		err = stw_calls_begin(check->core->calls, check->request->msg,
			stw_request_mark(check->request), caller ? caller->aor : STW_STR_NONE,
			limit);
	}
	if (err != -EBUSY)
		return STW_PASS;
	limit_fact(check, caller);
	return stw_route_refuse(check, &stw_cause_caller_max_calls);
}

bool stw_route_busy(struct stw_check *check, const struct stw_user *user)
{
	unsigned limit = limit_of(user);
	bool busy;

	if (check->follows)
		busy = stw_calls_callee(
			       check->core->calls, check->request->msg, user->aor, limit) == -EBUSY;
	else
		busy = limit && is_asked(check) &&
		       stw_busy_count(check->core->busy, user->aor) >= limit;
	if (busy)
		limit_fact(check, user);
	return busy;
}
