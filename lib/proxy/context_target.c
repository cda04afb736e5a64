/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target set of a response context: order (RFC 3261 §16.6), instances and their flows (RFC 5626
 * §7) and the division of Max-Breadth (RFC 5393 §5.3.3).
 */
#include "context.h"
#include "internal.h"

#include <errno.h>

uint32_t stw_proxy_breadth(const struct stw_proxy_options *options, const struct stw_msg *request)
{
	uint64_t breadth;
	int err = stw_msg_number(request, STW_HDR_MAX_BREADTH, UINT32_MAX, &breadth);

	if (err < 0 || breadth > options->max_breadth)
		return options->max_breadth;
	return (uint32_t)breadth;
}

/* ---- adding ------------------------ */

static bool uri_same(struct stw_str a, struct stw_str b)
{
	struct stw_uri uri_a, uri_b;

	if (stw_str_equal(a, b))
		return true;
	return stw_uri_parse(a, &uri_a) == 0 && stw_uri_parse(b, &uri_b) == 0 &&
	       stw_uri_equal(&uri_a, &uri_b);
}

/* Two flows of one phone may carry the same Contact (RFC 5626 §5.1): they are two places. */
static bool hops_differ(const struct stw_proxy_target *a, const struct stw_proxy_target *b)
{
	return a->has_hop && b->has_hop &&
	       (!stw_flow_id_equal(a->hop.flow, b->hop.flow) ||
		       a->hop.transport != b->hop.transport ||
		       !stw_addr_equal(&a->hop.remote, &b->hop.remote));
}

/* What was tried before all was begun afresh may be tried again. */
static bool list_holds(const struct stw_response_context *context, const struct branch *list,
	const struct stw_proxy_target *target)
{
	for (; list; list = list->next)
		if ((list->state == BRANCH_UNTRIED || branch_counts(context, list)) &&
			uri_same(list->target.uri, target->uri) &&
			!hops_differ(&list->target, target))
			return true;
	return false;
}

static int target_copy(struct stw_arena *arena, const struct stw_proxy_target *target,
	struct stw_proxy_target *ret)
{
	struct stw_code_set *next_on;

	*ret = *target;
	if (target->next_on) {
		next_on = stw_arena_alloc(arena, sizeof(*next_on));
		if (!next_on)
			return -ENOMEM;
		*next_on = *target->next_on;
		ret->next_on = next_on;
	}
	if (stw_arena_copy(arena, target->uri, &ret->uri) < 0 ||
		stw_arena_copy(arena, target->path, &ret->path) < 0 ||
		stw_arena_copy(arena, target->instance, &ret->instance) < 0 ||
		stw_arena_copy(arena, target->owner, &ret->owner) < 0)
		return -ENOMEM;
	ret->instance_of = STW_STR_NONE;
	if (target->instance.len &&
		stw_arena_copy(arena, target->instance_of, &ret->instance_of) < 0)
		return -ENOMEM;
	return 0;
}

static bool goes_before(const struct branch *a, const struct branch *b)
{
	return a->group != b->group ? a->group < b->group : a->target.q > b->target.q;
}

static uint32_t branches_max(const struct stw_proxy_options *options)
{
	uint32_t max = options->max_branches;

	return max && max < CONTEXT_BRANCHES_MAX ? max : CONTEXT_BRANCHES_MAX;
}

int context_target_add(
	struct stw_response_context *context, const struct stw_proxy_target *target, unsigned group)
{
	struct branch **at = &context->untried, *branch;

	if (list_holds(context, context->untried, target) ||
		list_holds(context, context->started, target))
		return 0;
	if (context->targets - context->targets_before >= branches_max(context->options))
		return -ENOBUFS;
	if (context_reserve(context, context->targets + 1) < 0)
		return -ENOMEM;
	branch = stw_arena_zalloc(&context->arena, sizeof(*branch));
	if (!branch || target_copy(&context->arena, target, &branch->target) < 0)
		return -ENOMEM;
	branch->group = group;
	while (*at && !goes_before(branch, *at))
		at = &(*at)->next;
	branch->next = *at;
	*at = branch;
	context->targets++;
	return 1;
}

/* ---- which may start ------------------------ */

enum instance_state {
	INSTANCE_FREE,  /* not tried, or all flows tried so far have failed */
	INSTANCE_BUSY,  /* one flow is being tried: RFC 5626 §7 wants one at a time */
	INSTANCE_SPENT, /* it has answered: it is not tried again */
};

static bool same_instance(const struct branch *a, const struct branch *b)
{
	return a->target.instance.len && stw_str_equal(a->target.instance, b->target.instance) &&
	       stw_str_equal(a->target.instance_of, b->target.instance_of);
}

static enum instance_state instance_state(
	const struct stw_response_context *context, const struct branch *branch)
{
	const struct branch *other;

	for (other = context->untried; other && other != branch; other = other->next)
		if (other->chosen && same_instance(branch, other))
			return INSTANCE_BUSY;
	for (other = context->started; other; other = other->next) {
		if (!same_instance(branch, other) || !branch_counts(context, other) || other->left)
			continue;
		if (other->state == BRANCH_PENDING)
			return INSTANCE_BUSY;
		if (!other->flow_failed)
			return INSTANCE_SPENT;
	}
	return INSTANCE_FREE;
}

static bool same_level(const struct branch *a, unsigned group, unsigned q)
{
	return a->group == group && a->target.q == q;
}

/* Mark what may start among the first group and q; drop what may never. @return how many are marked
 */
static unsigned level_choose(struct stw_response_context *context)
{
	struct branch **at = &context->untried;
	unsigned group = context->untried->group, q = context->untried->target.q, n = 0;

	while (*at && same_level(*at, group, q)) {
		struct branch *branch = *at;
		enum instance_state state = instance_state(context, branch);

		branch->chosen = state == INSTANCE_FREE;
		n += branch->chosen;
		if (state == INSTANCE_SPENT)
			*at = branch->next;
		else
			at = &branch->next;
	}
	return n;
}

/* Which of the flows of its phone in this level it is. */
static unsigned branch_turn(const struct branch *level, const struct branch *branch)
{
	unsigned turn = 1;

	for (; branch->target.instance.len && level != branch; level = level->next)
		turn += same_instance(level, branch);
	return turn;
}

unsigned stw_response_context_levels_left(const struct stw_response_context *context)
{
	const struct branch *level = context->untried, *branch;
	unsigned levels = 0, turns = 0, turn;

	for (branch = level; branch; branch = branch->next) {
		if (!same_level(branch, level->group, level->target.q)) {
			levels += turns;
			turns = 0;
			level = branch;
		}
		turn = branch_turn(level, branch);
		turns = turn > turns ? turn : turns;
	}
	return levels + turns;
}

/* RFC 5626 §11.5: the 430 of another flow of this instance is replaced by what comes now. */
static void flow_replace(struct stw_response_context *context, const struct branch *branch)
{
	struct branch *other;

	for (other = context->started; other; other = other->next)
		if (same_instance(branch, other) && other->received.code == 430)
			other->received.code = 0;
}

static void branch_start(
	struct stw_response_context *context, struct branch *branch, uint32_t breadth)
{
	flow_replace(context, branch);
	branch->chosen = false;
	branch->next = NULL;
	branch->state = BRANCH_PENDING;
	branch->index = context->started_count++;
	branch->breadth = breadth;
	context->breadth_used += breadth;
	context->pending++;
	*context->started_end = branch;
	context->started_end = &branch->next;
	context_push(context, ENTRY_START, branch->index);
	if (context->invite)
		context_push(context, ENTRY_TIMER_C, branch->index);
}

/* Another group, or what else is to be tried of a non-INVITE, may begin while those `n` have not
 * ended. */
static bool may_overlap(const struct stw_response_context *context, unsigned n)
{
	const struct branch *branch = context->invite ? NULL : context->untried;

	while (branch && n--)
		branch = branch->next;
	return context->asks || branch;
}

/* Start the first `n` that are marked; each gets an equal share of what is free. */
static void level_start(struct stw_response_context *context, unsigned n)
{
	uint32_t share = (context->breadth_in - context->breadth_used) / n;
	struct branch **at = &context->untried;

	if (may_overlap(context, n) && share > 1)
		share /= 2;
	context->level_group = context->untried->group;
	context->level_q = context->untried->target.q;
	while (*at && same_level(*at, context->level_group, context->level_q)) {
		struct branch *branch = *at;

		if (branch->chosen && n) {
			*at = branch->next;
			branch_start(context, branch, share);
			n--;
		} else {
			branch->chosen = false;
			at = &branch->next;
		}
	}
}

/* RFC 5393 §5.3.3: too little breadth for a parallel fork, and no leave to try in turn. */
static void breadth_exceeded(struct stw_response_context *context)
{
	context->untried = NULL;
	candidate_own(context, &context->own, &stw_cause_max_breadth);
}

/* In turn takes no more breadth, but RFC 5393 §3 shows what N users make of it who are bound to one
 * another: N! requests of one. So it is for a request that comes here for the first time. */
static bool may_serialise(const struct stw_response_context *context)
{
	return context->options->serial_fallback &&
	       !proxy_spirals(context->options, context->request);
}

void context_start_targets(struct stw_response_context *context)
{
	while (context->untried) {
		struct branch *first = context->untried;
		uint32_t room = context->breadth_in - context->breadth_used;
		unsigned n;

		if (context_active(context) &&
			!same_level(first, context->level_group, context->level_q))
			return;
		if (room == 0 && context->left)
			return; /* those that were left have not ended yet */
		n = level_choose(context);
		if (n == 0 && context->untried == first)
			return; /* another flow of the same phone has not ended yet */
		if (n == 0)
			continue; /* some of this q were dropped */
		if (n > room && !context_active(context) &&
			(room == 0 || !may_serialise(context))) {
			/* What those that were left still hold comes back (RFC 5393 §5.3.3). */
			if (!context->left)
				breadth_exceeded(context);
			return;
		}
		if (room)
			level_start(context, n < room ? n : room);
		return;
	}
}
