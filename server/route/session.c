/* SPDX-License-Identifier: Apache-2.0 */
/* P11: session timers, RFC 4028 §8.1: an interval that is too small is refused or raised, one that
 * is too large is reduced, and one that is missing is inserted. */
#include <errno.h>

#include "server/route/route.h"

#define MIN_SE_STANDARD_S 90u /* §5: when there is no Min-SE */

/* "600;refresher=uac": the number; what comes behind it in `ret_params`, with its semicolon. */
static int interval_read(const struct stw_msg *msg, enum stw_header header, uint64_t *ret,
	struct stw_str *ret_params)
{
	const struct stw_field *field = stw_msg_find(msg, header);
	struct stw_str value = field ? stw_field_value(msg, field) : STW_STR_NONE;
	size_t end = stw_str_find(value, ';', 0);

	*ret_params = stw_str_cut(value, end, value.len);
	if (!field)
		return -ENOENT;
	return stw_str_to_uint(stw_str_trim(stw_str_cut(value, 0, end)), UINT32_MAX, ret);
}

static enum stw_verdict session_refuse(struct stw_check *check)
{
	check->refusal = (struct stw_refusal){ .option = "session_timer.min_se" };
	if (stw_arena_printf(&check->request->arena, &check->refusal.headers, "Min-SE: %u\r\n",
		    check->config->session_timer.min_se_s) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_refuse(check, &stw_cause_session_interval);
}

/* Session-Expires as it goes on, in the place of what there was. `params`: the refresher, which a
 * proxy must not touch. `min_se_s` 0: Min-SE stays, too. */
static int session_write(
	struct stw_check *check, uint64_t expires_s, uint64_t min_se_s, struct stw_str params)
{
	const struct stw_str names[] = { STW_STR("Session-Expires"), STW_STR("Min-SE") };
	struct stw_service *service = stw_route_service(check);
	struct stw_arena *arena = &check->request->arena;
	struct stw_str kept;
	int err = service ? stw_arena_copy(arena, params, &kept) : -ENOMEM;

	if (err == 0)
		err = stw_route_leave_out(check, names, min_se_s ? 2 : 1);
	if (err == 0)
		err = stw_arena_printf(arena, &service->added, "%.*sSession-Expires: %llu%.*s\r\n",
			STW_STR_ARG(service->added), (unsigned long long)expires_s,
			STW_STR_ARG(kept));
	if (err == 0 && min_se_s)
		err = stw_arena_printf(arena, &service->added, "%.*sMin-SE: %llu\r\n",
			STW_STR_ARG(service->added), (unsigned long long)min_se_s);
	return err;
}

/* What the request says of its session. */
struct session {
	bool timer;                   /* the caller knows session timers */
	bool asks;                    /* there is a Session-Expires … */
	uint64_t expires_s, min_se_s; /* … that is a number */
	struct stw_str params;
};

static int session_read(const struct stw_msg *msg, struct session *ret)
{
	struct stw_str ignored;
	int err = interval_read(msg, STW_HDR_SESSION_EXPIRES, &ret->expires_s, &ret->params);

	ret->asks = err != -ENOENT;
	ret->timer = stw_msg_has_token(msg, STW_HDR_SUPPORTED, STW_STR("timer"));
	if (interval_read(msg, STW_HDR_MIN_SE, &ret->min_se_s, &ignored) < 0)
		ret->min_se_s = MIN_SE_STANDARD_S;
	return ret->asks ? err : 0;
}

/* The interval that goes on: ours when there is none, not above our largest, never below Min-SE.
 * 0: none. */
static uint64_t session_interval(const struct session *session, const struct stw_config *config)
{
	uint64_t expires_s = session->asks ? session->expires_s : config->session_timer.insert_s;

	if (!session->asks && !expires_s)
		return 0;
	if (config->session_timer.max_s && expires_s > config->session_timer.max_s)
		expires_s = config->session_timer.max_s;
	return expires_s < session->min_se_s ? session->min_se_s : expires_s;
}

enum stw_verdict stw_route_session(struct stw_check *check)
{
	const struct stw_msg *msg = check->request->msg;
	uint64_t ours_s = check->config->session_timer.min_se_s, expires_s, min_se_s = 0;
	struct session session = { 0 };

	if (msg->method != STW_METHOD_INVITE && msg->method != STW_METHOD_UPDATE)
		return STW_PASS;
	/* Most calls: nothing is asked for, and nothing to be read. */
	if (!check->config->session_timer.insert_s && !stw_msg_find(msg, STW_HDR_SESSION_EXPIRES))
		return STW_PASS;
	if (session_read(msg, &session) < 0)
		return STW_PASS;
	if (session.timer && session.asks && session.expires_s < ours_s)
		return session_refuse(check);
	if (!session.timer && session.min_se_s < ours_s)
		session.min_se_s = ours_s;
	expires_s = session_interval(&session, check->config);
	if (!session.timer && session.asks && session.expires_s < session.min_se_s)
		min_se_s = session.min_se_s;
	if ((expires_s != session.expires_s || !session.asks) && expires_s &&
		session_write(check, expires_s, min_se_s, session.params) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (session.timer)
		stw_request_session(check->request, (uint32_t)expires_s);
	return STW_PASS;
}
