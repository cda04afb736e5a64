/* SPDX-License-Identifier: Apache-2.0 */
/* P12 for groups: several users behind one name, rung together or one after the other. */
#include <errno.h>

#include "server/route/route.h"

static enum stw_verdict group_refuse(struct stw_check *check, const struct stw_group *group)
{
	check->refusal = (struct stw_refusal){ .option = "groups" };
	stw_refusal_fact(&check->refusal, "group", group->name);
	return stw_route_refuse(check, &stw_cause_group_nobody);
}

static int member_aor(
	struct stw_check *check, const struct stw_group_member *member, struct stw_str *ret)
{
	struct stw_str domain = member->domain.len ? member->domain : check->service->group_domain;

	return stw_aor_make(member->user, domain, &check->request->arena, ret);
}

/* Since when nobody has talked to him; who talks comes last. */
static uint64_t member_idle_ms(struct stw_check *check, const struct stw_group_member *member)
{
	const struct stw_user *user = NULL;
	struct stw_str aor;

	if (member_aor(check, member, &aor) == 0)
		user = stw_directory_resolve(check->core->options.directory, aor);
	if (!user || stw_busy_count(check->core->busy, user->aor))
		return UINT64_MAX;
	return stw_busy_ended_ms(check->core->busy, user->aor);
}

/* Decided once for the call, as they are idle when it comes. */
static int turns_make(struct stw_check *check, const struct stw_group *group)
{
	uint8_t *turns = stw_arena_alloc(&check->request->arena, group->member_count);
	uint64_t idle_ms[STW_GROUP_MEMBERS_MAX];
	unsigned i, at;

	if (!turns)
		return -ENOMEM;
	for (i = 0; i < group->member_count; i++) {
		uint64_t mine_ms = member_idle_ms(check, &group->members[i]);

		for (at = i; at && idle_ms[at - 1] > mine_ms; at--) {
			idle_ms[at] = idle_ms[at - 1];
			turns[at] = turns[at - 1];
		}
		idle_ms[at] = mine_ms;
		turns[at] = (uint8_t)i;
	}
	check->service->turns = turns;
	check->service->turn_count = group->member_count;
	return 0;
}

static bool rings_in_turn(const struct stw_group *group)
{
	return group->ring == STW_GROUP_ORDER || group->ring == STW_GROUP_IDLE;
}

/* The group may have changed since the turns were made. */
static unsigned member_at(const struct stw_service *service, const struct stw_group *group)
{
	if (service->member < service->turn_count &&
		service->turns[service->member] < group->member_count)
		return service->turns[service->member];
	return service->member;
}

/* The phones of a member. Whom he does not want, and when, counts here too; his own forwarding does
 * not. */
static unsigned member_targets(struct stw_check *check, const struct stw_group_member *member,
	struct stw_proxy_target *targets, unsigned max)
{
	const struct stw_user *user;
	struct stw_str aor;
	unsigned live, n;

	if (member_aor(check, member, &aor) < 0)
		return 0;
	user = stw_directory_resolve(check->core->options.directory, aor);
	if (!user || stw_route_dnd(check, user) || stw_route_called(check, user) != STW_PASS) {
		check->refusal = (struct stw_refusal){ 0 };
		return 0;
	}
	n = stw_route_bindings(check, user->aor, targets, max, &live);
	return n && stw_route_busy(check, user) ? 0 : n;
}

/* All members, or the next one who has a phone. */
static unsigned step_targets(
	struct stw_check *check, const struct stw_group *group, struct stw_proxy_target *targets)
{
	struct stw_service *service = check->service;
	unsigned n = 0, i;

	for (; service->member < group->member_count && n < STW_ROUTE_TARGETS_MAX;
		service->member++) {
		if (n && rings_in_turn(group))
			break;
		i = member_at(service, group);
		n += member_targets(
			check, &group->members[i], targets + n, STW_ROUTE_TARGETS_MAX - n);
	}
	for (i = 0; i < n && group->ring == STW_GROUP_ALL; i++)
		targets[i].q = 1000;
	return n;
}

static enum stw_verdict group_overflow(
	struct stw_check *check, const struct stw_group *group, enum stw_forward_when when)
{
	struct stw_diverting diverting = { .domain = check->service->group_domain,
		.target = group->overflow,
		.when = when,
		.setting = "groups.overflow",
		.cause = &stw_cause_group_overflow };

	diverting.aor = check->service->group_aor;
	check->service->group = STW_STR_NONE;
	return stw_route_divert_to(check, &diverting);
}

/* @return REFUSE: nothing is left to be tried */
static enum stw_verdict group_step(
	struct stw_check *check, const struct stw_group *group, enum stw_forward_when when)
{
	struct stw_proxy_target targets[STW_ROUTE_TARGETS_MAX];
	struct stw_proxy_job job = { .targets = targets };

	if (check->follows)
		stw_calls_leave(check->core->calls, check->request->msg, STW_STR_NONE);
	job.n = step_targets(check, group, targets);
	if (!job.n)
		return group->overflow.len ? group_overflow(check, group, when)
					   : group_refuse(check, group);
	check->service->no_answer_ms = group->timeout_ms;
	return stw_route_submit(check, &job);
}

enum stw_verdict stw_route_group(
	struct stw_check *check, const struct stw_group *group, struct stw_str aor)
{
	const struct stw_called_hours hours = { &group->opening, "groups", "group", "groups.closed",
		"groups.overflow", group->name, aor, group->overflow };
	struct stw_service *service = stw_route_service(check);
	enum stw_verdict verdict;

	if (!service || stw_arena_copy(&check->request->arena, group->name, &service->group) < 0 ||
		stw_arena_copy(&check->request->arena, check->domain, &service->group_domain) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	verdict = stw_route_hours(check, &hours);
	if (verdict != STW_PASS)
		return verdict;
	service->group_aor = aor;
	service->member = service->turn_count = 0;
	service->goes_on = false;
	if (group->ring == STW_GROUP_IDLE && turns_make(check, group) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return group_step(check, group, STW_FORWARD_UNREGISTERED);
}

void stw_route_group_next(struct stw_check *check, enum stw_forward_when when)
{
	const struct stw_group *group = stw_config_group(check->config, check->service->group);
	enum stw_verdict verdict;

	check->service->goes_on = true;
	if (!group) {
		stw_request_settle(check->request, NULL);
		return;
	}
	verdict = group_step(check, group, when);
	if (verdict == STW_REFUSE)
		stw_request_settle(check->request,
			check->refusal.cause == &stw_cause_group_nobody ? NULL : &check->refusal);
}
