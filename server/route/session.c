/* SPDX-License-Identifier: Apache-2.0 */
/* P11: session timers, RFC 4028 §8.1: what a proxy does about an interval that is too small. */
#include <errno.h>
#include <string.h>

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

/* Beside what another row wants to be left out. */
static int fields_leave_out(struct stw_check *check, struct stw_service *service, bool min_se)
{
	unsigned n = service->without_count;
	struct stw_str *names = stw_arena_alloc(&check->request->arena, (n + 2) * sizeof(*names));

	if (!names)
		return -ENOMEM;
	if (n)
		memcpy(names, service->without, n * sizeof(*names));
	names[n++] = STW_STR("Session-Expires");
	if (min_se)
		names[n++] = STW_STR("Min-SE");
	service->without = names;
	service->without_count = n;
	return 0;
}

/* The refresher stays as it was: a proxy must not touch it. `min_se_s` 0: Min-SE stays, too. */
static enum stw_verdict session_raise(
	struct stw_check *check, uint64_t expires_s, uint64_t min_se_s, struct stw_str params)
{
	struct stw_service *service = stw_route_service(check);
	struct stw_arena *arena = &check->request->arena;
	struct stw_str kept;
	int err = service ? stw_arena_copy(arena, params, &kept) : -ENOMEM;

	if (err == 0)
		err = fields_leave_out(check, service, min_se_s > 0);
	if (err == 0)
		err = stw_arena_printf(arena, &service->added, "%.*sSession-Expires: %llu%.*s\r\n",
			STW_STR_ARG(service->added), (unsigned long long)expires_s,
			STW_STR_ARG(kept));
	if (err == 0 && min_se_s)
		err = stw_arena_printf(arena, &service->added, "%.*sMin-SE: %llu\r\n",
			STW_STR_ARG(service->added), (unsigned long long)min_se_s);
	return err < 0 ? stw_route_refuse(check, &stw_cause_out_of_memory) : STW_PASS;
}

enum stw_verdict stw_route_session(struct stw_check *check)
{
	const struct stw_msg *msg = check->request->msg;
	uint64_t ours_s = check->config->session_timer.min_se_s;
	uint64_t expires_s, min_se_s = MIN_SE_STANDARD_S;
	struct stw_str params, ignored;

	if (msg->method != STW_METHOD_INVITE && msg->method != STW_METHOD_UPDATE)
		return STW_PASS;
	if (interval_read(msg, STW_HDR_SESSION_EXPIRES, &expires_s, &params) < 0)
		return STW_PASS;
	if (interval_read(msg, STW_HDR_MIN_SE, &min_se_s, &ignored) < 0)
		min_se_s = MIN_SE_STANDARD_S;
	if (stw_msg_has_token(msg, STW_HDR_SUPPORTED, STW_STR("timer"))) {
		if (expires_s < ours_s)
			return session_refuse(check);
		return expires_s < min_se_s ? session_raise(check, min_se_s, 0, params) : STW_PASS;
	}
	if (min_se_s < ours_s)
		min_se_s = ours_s;
	if (expires_s >= min_se_s)
		return STW_PASS;
	return session_raise(check, min_se_s, min_se_s, params);
}
