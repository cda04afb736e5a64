/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarding and groups: which settings users have, and what must come of a call to one of them. A
 * model of its own, that knows only what the server has acknowledged.
 */
#include "simulate/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/rcu.h>

static const char *const keys[STW_FORWARD_KINDS] = { "forward.always", "forward.busy",
	"forward.no_answer", "forward.unregistered", "forward.dnd" };

static uint64_t service_below(struct world *world, uint64_t bound)
{
	return stw_random_below(&world->service_random, bound);
}

static bool service_chance(struct world *world, unsigned per_mille)
{
	return service_below(world, 1000) < per_mille;
}

static const struct service_user *user_of(const struct world *world, unsigned id)
{
	return &world->nodes[id / USERS].users[id % USERS];
}

/* ---- settings and groups --------------------------------------------------------------------- */

static void target_choose(struct node *node, char *buffer, size_t size)
{
	struct world *world = node->world;
	unsigned user = (unsigned)service_below(world, USERS);

	if (service_chance(world, 600))
		snprintf(buffer, size, "u%u", user);
	else if (service_chance(world, 600))
		snprintf(buffer, size, "u%u@d%u.example", user,
			(unsigned)service_below(world, NODES));
	else
		snprintf(buffer, size, "group:%s", node->groups[service_below(world, GROUPS)].name);
}

void services_choose(struct node *node)
{
	static const char *const names[GROUPS][2] = { { "all", "all" }, { "hunt", "order" },
		{ "byq", "q" } };
	struct world *world = node->world;

	for (unsigned i = 0; i < GROUPS; i++) {
		node->groups[i] = (struct service_group){ .name = names[i][0],
			.ring = names[i][1],
			.members = 1u << service_below(world, USERS) |
				   1u << service_below(world, USERS) |
				   1u << service_below(world, USERS),
			.timeout_s = (unsigned)(3 + service_below(world, 15)),
			.overflow = service_chance(world, 500) ? (int)service_below(world, USERS)
							       : -1 };
	}
}

void services_yaml(const struct node *node, char *buffer, size_t size)
{
	struct stw_writer writer;
	const char *comma;
	unsigned i, user;

	stw_writer_init(&writer, buffer, size - 1);
	for (i = 0; node->world->services && i < GROUPS; i++) {
		const struct service_group *group = &node->groups[i];

		stw_write_format(&writer, "%s  - {name: %s, ring: %s, timeout: %us, members: \"",
			i ? "" : "groups:\n", group->name, group->ring, group->timeout_s);
		for (user = 0, comma = ""; user < USERS; user++) {
			if (!(group->members >> user & 1))
				continue;
			stw_write_format(&writer, "%su%u", comma, user);
			comma = ",";
		}
		stw_write_text(&writer, "\"");
		if (group->overflow >= 0)
			stw_write_format(&writer, ", overflow: u%d", group->overflow);
		stw_write_text(&writer, "}\n");
	}
	buffer[writer.len] = 0;
}

/* A change of one user under way. */
struct change {
	struct stw_question question;
	struct node *node;
	unsigned user, when;
	char name[12], target[24], text[64];
	struct stw_str setting;
	struct stw_setting_error error;
};

/* when STW_FORWARD_KINDS: do-not-disturb, `target` "on" or "off". */
static struct change *change_choose(struct node *node, bool clears)
{
	struct change *change = must_alloc(sizeof(*change));
	struct world *world = node->world;

	change->node = node;
	change->user = (unsigned)service_below(world, USERS);
	change->when = (unsigned)service_below(world, STW_FORWARD_KINDS + 1);
	if (change->when == STW_FORWARD_KINDS)
		snprintf(change->target, sizeof(change->target), clears ? "off" : "on");
	else if (!clears)
		target_choose(node, change->target, sizeof(change->target));
	snprintf(change->text, sizeof(change->text), "%s=%s",
		change->when < STW_FORWARD_KINDS ? keys[change->when] : "dnd", change->target);
	change->setting = stw_str_from(change->text);
	return change;
}

static void change_acknowledged(const struct change *change)
{
	struct service_user *user = &change->node->users[change->user];

	if (change->when == STW_FORWARD_KINDS)
		user->dnd = strcmp(change->target, "on") == 0;
	else
		snprintf(user->forward[change->when], sizeof(user->forward[0]), "%s",
			change->target);
}

void services_begin(struct node *node)
{
	struct world *world = node->world;
	char aor[40];

	for (unsigned i = 0; world->services && i < USERS; i++) {
		struct change *change = change_choose(node, false);
		struct stw_job job = { .kind = STW_JOB_SETTINGS,
			.now = world->now,
			.settings = &change->setting,
			.setting_count = 1,
			.setting_error = &change->error };

		snprintf(aor, sizeof(aor), "sip:u%u@%s", change->user, node->domain);
		job.aor = stw_str_from(aor);
		stw_store_submit(node->store, &job);
		stw_store_run(node->store);
		if (stw_store_result(node->store, 0) != &job || job.cause)
			wrong(world, STW_STR_NONE, "%s of u%u cannot be stored", change->text,
				change->user);
		else if (!job.refused)
			change_acknowledged(change);
		free(change);
	}
}

static void change_answered(struct stw_question *question)
{
	struct change *change = (struct change *)question;
	struct node *node = change->node;

	node->world->settings_changes++;
	if (question->error == 0)
		change_acknowledged(change);
	else if (question->error != -EBADMSG && node->disk.writes_left != UINT_MAX)
		node->users[change->user].unknown = true;
	free(change);
}

void services_change(struct node *node)
{
	struct world *world = node->world;
	struct change *change;

	if (!world->services || !node->up || node->held ||
		node->stalled_until_ms > world->now.mono_ms || !service_chance(world, 500))
		return;
	change = change_choose(node, service_chance(world, 500));
	snprintf(change->name, sizeof(change->name), "u%u", change->user);
	change->question.kind = STW_QUESTION_SETTINGS;
	change->question.text = stw_str_from(change->name);
	change->question.job.settings = &change->setting;
	change->question.job.setting_count = 1;
	change->question.job.setting_error = &change->error;
	change->question.answered = change_answered;
	world->settings_changes++;
	stw_core_begin(node->core, world->now);
	stw_core_question(node->core, &change->question);
	stw_core_work(node->core);
	stw_core_end(node->core);
	rules_batch_end(node);
	stw_rcu_quiescent();
}

/* What the look-ups give. @return false: the user has no settings */
static const struct stw_settings *settings_found(const struct node *node, unsigned user)
{
	const struct stw_user *found;
	char aor[40];

	snprintf(aor, sizeof(aor), "sip:u%u@%s", user, node->domain);
	found = stw_directory_find(node->directory, stw_str_from(aor));
	return found ? found->settings : NULL;
}

static struct stw_str forward_found(const struct stw_settings *settings, unsigned when)
{
	return settings ? settings->forward[when] : STW_STR_NONE;
}

void services_adopt(struct node *node)
{
	for (unsigned i = 0; i < USERS; i++) {
		struct service_user *user = &node->users[i];
		const struct stw_settings *settings = settings_found(node, i);

		if (!user->unknown)
			continue;
		user->unknown = false;
		user->dnd = settings && settings->dnd;
		for (unsigned when = 0; when < STW_FORWARD_KINDS; when++)
			snprintf(user->forward[when], sizeof(user->forward[0]), "%.*s",
				STW_STR_ARG(forward_found(settings, when)));
	}
}

void services_check(struct node *node)
{
	for (unsigned i = 0; i < USERS && strict(node->world); i++) {
		const struct service_user *user = &node->users[i];
		const struct stw_settings *settings = settings_found(node, i);

		if (user->unknown)
			continue;
		if (user->dnd != (settings && settings->dnd))
			wrong(node->world, STW_STR_NONE,
				"server%u: dnd of u%u is not as it was set", node->index, i);
		for (unsigned when = 0; when < STW_FORWARD_KINDS; when++) {
			struct stw_str found = forward_found(settings, when);

			if (!stw_str_equal(found, stw_str_from(user->forward[when])))
				wrong(node->world, STW_STR_NONE,
					"server%u: %s of u%u was set to \"%s\" and is \"%.*s\"",
					node->index, keys[when], i, user->forward[when],
					STW_STR_ARG(found));
		}
	}
}

/* ---- whom a call may lead to ----------------------------------------------------------------- */

/* What was seen of the settings on the way. */
struct reach {
	const struct world *world;
	uint32_t users, groups; /* that were asked */
	uint32_t ring;          /* whose phones may ring */
};

/* @return false: it is a group */
static bool target_user(unsigned node, const char *target, unsigned *ret)
{
	unsigned user;

	if (sscanf(target, "u%u@d%u", &user, &node) < 1)
		return false;
	*ret = node * USERS + user;
	return true;
}

static int target_group(const struct world *world, unsigned node, const char *target)
{
	for (unsigned i = 0; i < GROUPS; i++) {
		if (strcmp(target, world->nodes[node].groups[i].name) == 0)
			return (int)i;
	}
	return -1;
}

static void reach_user(struct reach *reach, unsigned id);

static void reach_group(struct reach *reach, unsigned node, unsigned index)
{
	const struct service_group *group = &reach->world->nodes[node].groups[index];
	uint32_t bit = 1u << (node * GROUPS + index);

	if (reach->groups & bit)
		return;
	reach->groups |= bit;
	for (unsigned i = 0; i < USERS; i++) {
		if ((group->members >> i & 1) && !reach->world->nodes[node].users[i].dnd)
			reach->ring |= 1u << (node * USERS + i);
	}
	if (group->overflow >= 0)
		reach_user(reach, node * USERS + (unsigned)group->overflow);
}

static void reach_target(struct reach *reach, unsigned node, const char *target)
{
	unsigned id;

	if (!target[0])
		return;
	if (target_user(node, target, &id))
		reach_user(reach, id);
	else
		reach_group(reach, node, (unsigned)target_group(reach->world, node, target + 6));
}

static void reach_user(struct reach *reach, unsigned id)
{
	const struct service_user *user = user_of(reach->world, id);
	unsigned node = id / USERS;

	if (reach->users >> id & 1)
		return;
	reach->users |= 1u << id;
	if (user->forward[STW_FORWARD_ALWAYS][0]) {
		reach_target(reach, node, user->forward[STW_FORWARD_ALWAYS]);
	} else if (user->dnd) {
		reach_target(reach, node, user->forward[STW_FORWARD_DND]);
	} else {
		reach->ring |= 1u << id;
		reach_target(reach, node, user->forward[STW_FORWARD_BUSY]);
		reach_target(reach, node, user->forward[STW_FORWARD_NO_ANSWER]);
		reach_target(reach, node, user->forward[STW_FORWARD_UNREGISTERED]);
	}
}

void service_call(struct world *world, struct call *call, char *uri, size_t uri_size)
{
	struct reach reach = { .world = world };

	if (!world->services || !call->plain)
		return;
	call->settings_at = world->settings_changes;
	if (service_chance(world, 250)) {
		call->group = (int)service_below(world, GROUPS);
		snprintf(uri, uri_size, "sip:%s@d%u.example",
			world->nodes[call->node].groups[call->group].name, call->node);
		reach_group(&reach, call->node, (unsigned)call->group);
	} else {
		reach_user(&reach, call->node * USERS + call->user);
	}
	call->may_ring = reach.ring;
}

/* Is it known what must come of the call? Not when phones lead it elsewhere, or somebody changes
 * his settings meanwhile. */
static bool is_known(const struct world *world, const struct call *call)
{
	return world->calm && world->services && !world->loops && call->plain && !call->died &&
	       call->queue < 0 && !call->redirected && call->settings_at == world->settings_changes;
}

void service_rings(struct world *world, struct call *call, unsigned id)
{
	call->reached++;
	call->reached_of[id]++;
	if (is_known(world, call) && !(call->may_ring >> id & 1))
		wrong(world, stw_str_from(call->call_id),
			"u%u@d%u.example rings, and the call cannot lead to him", id % USERS,
			id / USERS);
}

bool service_plain(const struct world *world, unsigned id)
{
	static const struct service_user none;

	return memcmp(user_of(world, id), &none, sizeof(none)) == 0;
}

/* ---- what must come of it -------------------------------------------------------------------- */

/* How many phones of his have answered with `code`, and with any. */
static unsigned answers(const struct call *call, unsigned id, unsigned code, unsigned *ret_all)
{
	unsigned n = 0;

	*ret_all = 0;
	for (unsigned i = 0; i < call->code_count; i++) {
		if (call->owners[i] != id)
			continue;
		n += call->codes[i] == code;
		(*ret_all)++;
	}
	return n;
}

/* Why the calls of a user must have been forwarded. @return false: not known */
static bool why_forwarded(
	const struct world *world, const struct call *call, unsigned id, unsigned *ret_when)
{
	const struct service_user *user = user_of(world, id);
	unsigned reached = call->reached_of[id], busy, all;

	busy = answers(call, id, 486, &all);
	if (user->forward[STW_FORWARD_ALWAYS][0])
		*ret_when = STW_FORWARD_ALWAYS;
	else if (user->dnd)
		*ret_when = STW_FORWARD_DND;
	else if (reached && busy == reached && all == busy)
		*ret_when = STW_FORWARD_BUSY;
	else if (reached && all && answers(call, id, 487, &all) == all)
		*ret_when = STW_FORWARD_NO_ANSWER;
	else
		return false;
	return true;
}

/* A user without settings who is registered must have been rung. */
static void must_ring(
	struct world *world, const struct call *call, unsigned id, const char *why, unsigned code)
{
	if (call->reached_of[id] || !service_plain(world, id) ||
		!user_bound(world, id, call->began_ms))
		return;
	wrong(world, stw_str_from(call->call_id),
		"%s leads to u%u@d%u.example, no phone of his rang, and the caller gets %u", why,
		id % USERS, id / USERS, code);
}

static void user_final(struct world *world, const struct call *call, unsigned code)
{
	unsigned id = call->node * USERS + call->user, when, target;
	const struct service_user *user = user_of(world, id);

	if (!why_forwarded(world, call, id, &when))
		return;
	if (when == STW_FORWARD_DND && !user->forward[when][0] && code != 480)
		wrong(world, stw_str_from(call->call_id),
			"u%u@d%u.example is not to be disturbed, and the caller gets %u",
			call->user, call->node, code);
	if (user->forward[when][0] && target_user(call->node, user->forward[when], &target) &&
		target != id)
		must_ring(world, call, target, keys[when], code);
}

static void group_final(struct world *world, const struct call *call, unsigned code)
{
	const struct service_group *group = &world->nodes[call->node].groups[call->group];
	unsigned first = call->node * USERS, i;

	/* The word of a user: it ends the call for the whole group. */
	for (i = 0; i < call->code_count; i++) {
		if (call->codes[i] / 100 == 6)
			return;
	}
	/* By q, the time may be over before all have been tried. */
	for (i = 0; i < USERS && !(call->reached && strcmp(group->ring, "q") == 0); i++) {
		if (!(group->members >> i & 1) || call->reached_of[first + i] ||
			user_of(world, first + i)->dnd ||
			!user_bound(world, first + i, call->began_ms))
			continue;
		wrong(world, stw_str_from(call->call_id),
			"u%u of group %s never rang, and the caller gets %u", i, group->name, code);
	}
	if (group->overflow >= 0 && !(group->members >> group->overflow & 1))
		must_ring(world, call, first + (unsigned)group->overflow, "overflow", code);
}

void service_final(struct world *world, const struct call *call, unsigned code)
{
	bool elsewhere = world->devices[call->device].node != call->node;

	if (!is_known(world, call) || call->successes || code / 100 == 2 || code == 0)
		return;
	/* His own server has its patience too, and wants to know who calls when the call comes back
	 * to it from another one: what came of the first attempt says nothing about the second. */
	if (code == 407 || (elsewhere && (code == 408 || call->given_up || call->anew)))
		return;
	if (call->group >= 0)
		group_final(world, call, code);
	else
		user_final(world, call, code);
}
