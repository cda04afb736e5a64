/* SPDX-License-Identifier: Apache-2.0 */
/* P12 for groups: several users behind one name, rung together or one after the other. */
#include "server/route/route.h"

static enum stw_verdict group_refuse(struct stw_check *check, const struct stw_group *group)
{
	check->refusal = (struct stw_refusal){ .option = "groups" };
	stw_refusal_fact(&check->refusal, "group", group->name);
	return stw_route_refuse(check, &stw_cause_group_nobody);
}

/* The phones of a member. Whom he does not want, and when, counts here too; his own forwarding does
 * not. */
static unsigned member_targets(struct stw_check *check, const struct stw_group_member *member,
	struct stw_proxy_target *targets, unsigned max)
{
	struct stw_str domain = member->domain.len ? member->domain : check->service->group_domain;
	const struct stw_user *user;
	struct stw_str aor;
	unsigned live, n;

	if (stw_aor_make(member->user, domain, &check->request->arena, &aor) < 0)
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

	while (service->member < group->member_count && n < STW_ROUTE_TARGETS_MAX) {
		n += member_targets(check, &group->members[service->member++], targets + n,
			STW_ROUTE_TARGETS_MAX - n);
		if (n && group->ring == STW_GROUP_ORDER)
			break;
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
	struct stw_service *service = stw_route_service(check);
	enum stw_method method = check->request->msg->method;

	if (!service || stw_arena_copy(&check->request->arena, group->name, &service->group) < 0 ||
		stw_arena_copy(&check->request->arena, check->domain, &service->group_domain) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (method == STW_METHOD_ACK || method == STW_METHOD_CANCEL) {
		check->refusal.cause = &stw_cause_request_gone;
		return STW_REFUSE;
	}
	service->group_aor = aor;
	service->member = 0;
	service->goes_on = false;
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
