/* SPDX-License-Identifier: Apache-2.0 */
/* P12 for groups and queues with hours: who gets the calls when they are closed. */
#include "server/route/route.h"

#include "server/try.h"

/* A trial may ask for another time; who is registered then nobody knows, so only hours see it. */
static int64_t hours_now(const struct stw_check *check)
{
	const struct stw_trial *trial = check->core->options.trial;

	return trial && trial->at_ms ? trial->at_ms : check->core->now.wall_ms;
}

static void hours_facts(struct stw_check *check, const struct stw_called_hours *called)
{
	struct stw_arena *arena = &check->request->arena;
	char buffer[STW_HOURS_TEXT_MAX];
	struct stw_str now = stw_hours_text(&check->config->zone, hours_now(check), buffer);

	check->refusal =
		(struct stw_refusal){ .cause = &stw_cause_out_of_hours, .option = called->list };
	stw_refusal_fact(&check->refusal, called->kind, called->name);
	if (stw_arena_copy(arena, now, &now) == 0)
		stw_refusal_fact(&check->refusal, "now", now);
	stw_refusal_fact(&check->refusal, "open", called->opening->open);
}

/* §21.4.18: when to call again. */
static enum stw_verdict hours_refuse(struct stw_check *check, const struct stw_called_hours *called)
{
	uint32_t wait_s =
		stw_hours_wait_s(&called->opening->hours, &check->config->zone, hours_now(check));

	if (stw_arena_printf(&check->request->arena, &check->refusal.headers, "Retry-After: %u\r\n",
		    wait_s) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return STW_REFUSE;
}

enum stw_verdict stw_route_hours(struct stw_check *check, const struct stw_called_hours *called)
{
	const struct stw_opening *opening = called->opening;
	struct stw_diverting diverting = { .aor = called->aor,
		.domain = check->domain,
		.target = opening->closed,
		.when = STW_FORWARD_CLOSED,
		.cause = &stw_cause_out_of_hours_forwarded };

	if (!opening->hours.n ||
		stw_hours_hold(&opening->hours, &check->config->zone, hours_now(check)))
		return STW_PASS;
	hours_facts(check, called);
	diverting.setting = called->closed;
	if (!diverting.target.len) {
		diverting.target = called->overflow_target;
		diverting.setting = called->overflow;
	}
	if (!diverting.target.len)
		return hours_refuse(check, called);
	stw_request_note(check->request, &check->refusal);
	return stw_route_divert_to(check, &diverting);
}
