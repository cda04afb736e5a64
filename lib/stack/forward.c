/* SPDX-License-Identifier: Apache-2.0 */
/* What the response context asks for, and how the core starts it. */
#include <strowger/stack.h>

#include <errno.h>

#include "internal.h"

#define REASONS_MAX 8 /* fields of a CANCEL; those beyond stay here */

static struct branch *forward_branch(struct box *box, unsigned index)
{
	struct branch *branch = box->branches;

	while (branch && branch->index != index)
		branch = branch->next;
	return branch;
}

static void forward_timer_c(struct box *box, unsigned index)
{
	struct stw_stack *stack = box->request.stack;
	struct branch *branch = forward_branch(box, index);

	if (branch && branch->state != BRANCH_ENDED)
		stw_timer_start(&stack->wheel, &branch->timer_c,
			stack->now.mono_ms + stack->options.proxy.timer_c_ms);
}

static void forward_cancel_branch(struct box *box, const struct stw_proxy_action *action)
{
	struct branch *branch = forward_branch(box, action->branch);

	if (branch)
		branch_cancel(branch, action->lines);
}

static void forward_answer(struct box *box, const struct stw_proxy_action *action)
{
	struct stw_refusal refusal = { .cause = action->cause, .headers = action->lines };

	if (box->service && box->service->end.cause == action->cause)
		refusal = box->service->end;
	else if (action->cause == box->lost_cause)
		stw_refusal_fact(&refusal, box->lost_key, box->lost_name);
	reply_own(box, &refusal, action->cause->code);
}

/* A non-INVITE ends without an answer: the client's own timer tells it (RFC 4320 §4.2). */
static void forward_abandon(struct box *box)
{
	struct stw_stack *stack = box->request.stack;

	if (box->request.tx)
		reply_tx_actions(box->request.tx, stw_tx_abandon(box->request.tx, stack->now));
}

/* call.ring_timeout runs for each group of targets anew; where something comes behind it, for all
 * of them together. */
static void forward_start_no_answer(struct box *box)
{
	struct stw_stack *stack = box->request.stack;

	if (box->service && box->service->together && stw_timer_running(&box->no_answer))
		return;
	if (box->ring_timeout_ms && box->request.msg->method == STW_METHOD_INVITE)
		stw_timer_start(
			&stack->wheel, &box->no_answer, stack->now.mono_ms + box->ring_timeout_ms);
}

/* Before other targets are tried. The limit of another request than INVITE is for all of them. */
void forward_stop_no_answer(struct box *box)
{
	if (box->request.msg->method == STW_METHOD_INVITE)
		stw_timer_stop(&box->request.stack->wheel, &box->no_answer);
}

/* RFC 4321 §1.5: the client waits 64*T1, however many are tried in turn. So each level has only its
 * share of that time to say something. */
static void forward_share_time(struct box *box)
{
	struct stw_stack *stack = box->request.stack;
	uint64_t now_ms = stack->now.mono_ms, end_ms = box->no_answer.due_ms, share_ms;
	unsigned levels;

	if (box->request.msg->method == STW_METHOD_INVITE)
		return;
	levels = stw_response_context_levels_left(box->context);
	if (!levels || !stw_timer_running(&box->no_answer) || end_ms <= now_ms) {
		stw_timer_stop(&stack->wheel, &box->expires);
		return;
	}
	share_ms = (end_ms - now_ms) / (levels + 1);
	if (share_ms < NEXT_PLACE_MIN_MS)
		share_ms = NEXT_PLACE_MIN_MS;
	stw_timer_start(&stack->wheel, &box->expires, now_ms + share_ms);
}

static void forward_action(struct box *box, const struct stw_proxy_action *action)
{
	struct stw_wheel *wheel = &box->request.stack->wheel;

	switch (action->kind) {
	case STW_PROXY_START:
		forward_start_no_answer(box);
		forward_share_time(box);
		branch_start(box, action);
		break;
	case STW_PROXY_CANCEL:
		forward_cancel_branch(box, action);
		break;
	case STW_PROXY_TIMER_C:
		forward_timer_c(box, action->branch);
		break;
	case STW_PROXY_RELAY:
		reply_relay(box, action->response, action->lines, action->cause);
		break;
	case STW_PROXY_ANSWER:
		forward_answer(box, action);
		break;
	case STW_PROXY_EARLY_END:
		reply_early_end(box, action->tag, action->code);
		break;
	case STW_PROXY_NEXT:
		service_next(box, action);
		break;
	case STW_PROXY_ABANDON:
		forward_abandon(box);
		break;
	case STW_PROXY_FINISHED:
		box->finished = true;
		stw_timer_stop(wheel, &box->no_answer);
		stw_timer_stop(wheel, &box->expires);
		stack_dirty(box);
		break;
	case STW_PROXY_NOTHING:
		break;
	}
}

/* Perform the context's actions. What they cause comes out of the same loop, not of a deeper one.
 */
void forward_run(struct box *box)
{
	struct stw_proxy_action action;

	if (box->running || !box->context)
		return;
	box->running = true;
	do {
		action = stw_response_context_next(box->context);
		forward_action(box, &action);
	} while (action.kind != STW_PROXY_NOTHING);
	box->running = false;
	if (box->request.answered) {
		stw_timer_stop(&box->request.stack->wheel, &box->no_answer);
		stw_timer_stop(&box->request.stack->wheel, &box->expires);
	}
}

static unsigned forward_levels(const struct box *box)
{
	return box->request.msg->method == STW_METHOD_INVITE
		       ? 0
		       : stw_response_context_levels_left(box->context);
}

/* §16.7 step 4: a redirection may bring targets when the last level has the time that is left,
 * which they are given their share of. */
void forward_response(struct box *box, unsigned index, const struct stw_msg *response)
{
	unsigned levels = forward_levels(box);

	stw_response_context_response(box->context, index, response);
	if (forward_levels(box) > levels)
		forward_share_time(box);
	forward_run(box);
}

/* RFC 3326 §2: one reason for each protocol. Without memory the first. */
static struct stw_str forward_reasons(struct stw_stack *stack, const struct stw_msg *cancel)
{
	const struct stw_field *field = cancel ? stw_msg_find(cancel, STW_HDR_REASON) : NULL;
	struct stw_str lines[REASONS_MAX];
	struct stw_slices slices = { lines, 0 };
	size_t bytes;
	char *text;

	for (; field && slices.n < REASONS_MAX; field = stw_msg_find_next(cancel, field))
		lines[slices.n++] = stw_msg_text(cancel, field->start, field->end - field->start);
	if (!slices.n)
		return STW_STR_NONE;
	bytes = stw_slices_bytes(slices);
	text = slices.n == 1 ? NULL : stw_arena_alloc(&stack->scratch, bytes);
	if (!text)
		return lines[0];
	stw_slices_flatten(slices, text);
	return (struct stw_str){ text, bytes };
}

/* §9.2: what the core holds has gone nowhere yet. */
void request_end_held(struct box *box, const struct stw_cause *cause)
{
	const struct stw_refusal refusal = { .cause = cause };

	if (box->held && box->waiting && !box->request.answered)
		reply_own(box, &refusal, cause->code);
}

/* §16.10: the caller gives up. Its Reason goes along. `cancel` NULL: nothing has just been
 * received. */
void forward_cancel(struct box *box, const struct stw_msg *cancel)
{
	if (!box->context) {
		request_end_held(box, &stw_cause_cancelled);
		return;
	}
	branch_unwant_all(box);
	stw_response_context_cancel(box->context, forward_reasons(box->request.stack, cancel));
	forward_run(box);
}

/* Until 64*T1 have passed somebody may still answer; then it would be too late (RFC 4320 §4.2). */
static void forward_time_up(struct box *box)
{
	struct stw_stack *stack = box->request.stack;

	stw_timer_stop(&stack->wheel, &box->expires);
	box->no_answer.kind = TIMER_CLIENT_GONE;
	stw_timer_start(
		&stack->wheel, &box->no_answer, box->no_answer.due_ms + NON_INVITE_MARGIN_MS);
	stw_response_context_give_up_silent(box->context);
}

/* Who answers now comes too late: the record says why nothing went up. */
static void forward_client_gone(struct box *box)
{
	const struct stw_request *request = &box->request;

	if (!request->answered)
		stack_drop(request->stack, &request->source, request->msg, &stw_cause_timer_f);
	stw_response_context_abandon(box->context);
}

static void forward_non_invite_timer(struct box *box, struct stw_timer *timer)
{
	if (timer->kind == TIMER_LEVEL)
		stw_response_context_level_over(box->context);
	else if (timer->kind == TIMER_CLIENT_GONE)
		forward_client_gone(box);
	else
		forward_time_up(box);
	forward_run(box);
}

/* §17.2.4: no response to the INVITE gets to the caller, neither by his connection nor by one to
 * sent-by (§18.2.2): nobody would talk to who answers it. */
void forward_unheard(struct box *box)
{
	if (!box->context) {
		request_end_held(box, &stw_cause_caller_unreachable);
		return;
	}
	if (box->request.answered)
		return;
	branch_unwant_all(box);
	stw_response_context_refuse(box->context, &stw_cause_caller_unreachable);
	forward_run(box);
}

void forward_timer(struct box *box, struct stw_timer *timer)
{
	if (!box->context)
		return;
	if (box->request.msg->method != STW_METHOD_INVITE) {
		forward_non_invite_timer(box, timer);
		return;
	}
	branch_unwant_all(box);
	if (timer->kind == TIMER_EXPIRES)
		stw_response_context_expired(box->context);
	else if (box->service && box->service->together)
		service_expire(box);
	else
		stw_response_context_no_answer(box->context);
	forward_run(box);
}

/* The timers of an INVITE: call.ring_timeout, and Expires (§13.3.1). Of another request: one silent
 * branch must not hold back what the others said until the client has given up (RFC 4321 §1.5),
 * however long a web server took before. */
static void forward_prepare_timers(struct box *box, uint32_t ring_timeout_ms)
{
	struct stw_stack *stack = box->request.stack;
	uint64_t expires_s;

	box->ring_timeout_ms = ring_timeout_ms;
	box->no_answer = (struct stw_timer){ .kind = TIMER_NO_ANSWER, .owner = box };
	box->expires = (struct stw_timer){ .kind = TIMER_EXPIRES, .owner = box };
	if (box->request.msg->method != STW_METHOD_INVITE) {
		box->expires.kind = TIMER_LEVEL;
		stw_timer_start(&stack->wheel, &box->no_answer,
			box->request.tx->started_ms + STW_TIMER_B_MS - NON_INVITE_MARGIN_MS);
		return;
	}
	if (stw_msg_number(box->request.msg, STW_HDR_EXPIRES, UINT32_MAX, &expires_s) == 0 &&
		expires_s)
		stw_timer_start(
			&stack->wheel, &box->expires, stack->now.mono_ms + expires_s * 1000);
}

static int forward_open(struct box *box, const struct stw_proxy_job *job)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_proxy_target implied = { .uri = box->request.routing.uri_text, .q = 1000 };
	bool ours = job->n && !box->request.routing.in_dialog && !job->no_recurse;
	int err;

	/* §16.5: a 3xx is followed only for a Request-URI that we are responsible for. */
	err = stw_response_context_new(ours ? &stack->options.proxy : &stack->proxy_foreign,
		box->request.msg, &box->context);
	if (err == 0 && job->asks)
		err = service_open(box, job);
	if (err < 0 || job->hold)
		return err;
	err = stw_response_context_add(
		box->context, job->n ? job->targets : &implied, job->n ? job->n : 1);
	/* More targets than branches are allowed: the first of them are tried. */
	return err == -ENOBUFS ? 0 : err;
}

void stw_request_proxy(struct stw_request *request, const struct stw_proxy_job *job)
{
	struct box *box = box_of(request);
	struct stw_refusal refusal = { .cause = &stw_cause_out_of_memory };

	if (stw_request_wait(request) < 0) {
		stw_request_refuse(request, &refusal);
		return;
	}
	if (forward_open(box, job) < 0) {
		box->context = stw_response_context_free(box->context);
		stw_request_refuse(request, &refusal);
		return;
	}
	box->waiting = false;
	if (request->msg->method == STW_METHOD_INVITE && !box->tried)
		reply_trying(box);
	forward_prepare_timers(box, job->ring_timeout_ms);
	stw_response_context_start(box->context);
	forward_run(box);
}

/* The text of a target must live as long as the request: a name may have to be resolved first. */
static int forward_copy_target(struct stw_request *request, const struct stw_proxy_target *target,
	struct stw_proxy_target *ret)
{
	int err;

	*ret = *target;
	err = stw_arena_copy(&request->arena, target->uri, &ret->uri);
	if (err == 0)
		err = stw_arena_copy(&request->arena, target->path, &ret->path);
	return err;
}

void stw_request_forward_stateless(
	struct stw_request *request, const struct stw_proxy_target *target)
{
	struct box *box = box_of(request);
	struct stw_proxy_target implied = { .uri = request->routing.uri_text, .q = 1000 }, copy;

	if (forward_copy_target(request, target ? target : &implied, &copy) < 0 ||
		box_keep(box) < 0 || branch_start_stateless(box, &copy) < 0)
		stw_request_drop(request, &stw_cause_out_of_memory);
	box_make_alive(box);
	stack_dirty(box);
}
