/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that ask what comes when all that was tried has failed: forwarding, hunting, queues. No
 * back-to-back user agent: the response context goes on with other targets, and what the server
 * says meanwhile (181, 182) is an early dialog of its own.
 */
#include <strowger/stack.h>

#include <errno.h>

#include <strowger/uas.h>

#include "internal.h"

int service_open(struct box *box, const struct stw_proxy_job *job)
{
	struct service *service = stw_arena_zalloc(&box->request.arena, sizeof(*service));

	if (!service)
		return -ENOMEM;
	service->diversion = job->diversion;
	service->history = job->history;
	service->without = job->without;
	service->without_count = job->without_count;
	service->together = job->together;
	service->box = box;
	box->service = service;
	stw_response_context_ask(box->context);
	if (job->asks_6xx)
		stw_response_context_ask_6xx(box->context);
	return 0;
}

void service_next(struct box *box, const struct stw_proxy_action *action)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_outcome outcome = { .code = action->code,
		.cause = action->cause,
		.response = action->response,
		.expired = box->service->expired,
		.rang = action->rang };

	forward_stop_no_answer(box);
	if (box->service->hung_up) {
		forward_cancel(box, NULL);
		return;
	}
	stack->options.core->next(stack->options.core_user, &box->request, &outcome);
}

void service_expire(struct box *box)
{
	box->service->expired = true;
	stw_response_context_leave(box->context);
}

/* Of the branch that the response came by. */
static const struct stw_proxy_target *answering_target(
	const struct box *box, const struct stw_msg *response)
{
	const struct branch *branch = response ? box->branches : NULL;

	while (branch && !(branch->tx && stw_str_equal(branch->tx->branch, response->via.branch)))
		branch = branch->next;
	return branch ? &branch->target : NULL;
}

/* ---- the early dialog of a 181 or 182 of ours ------------------------------------------ */

/* §12.1.1: Call-ID and both tags. The hash is keyed: what is equal in it is the same. */
static uint64_t early_hash(
	struct stw_stack *stack, const struct stw_msg *msg, struct stw_str local_tag)
{
	struct stw_hasher hasher;

	stw_hasher_init(&hasher, stack->options.key);
	stw_hasher_text(&hasher, msg->call_id);
	stw_hasher_text(&hasher, msg->from.tag);
	stw_hasher_text(&hasher, local_tag);
	return stw_hasher_value(&hasher);
}

/* Without memory its requests get 481. */
static void early_begin(struct box *box)
{
	struct stw_stack *stack = box->request.stack;
	struct service *service = box->service;
	uint64_t hash;

	if (!service || service->ended || service->early_listed)
		return;
	hash = early_hash(stack, box->request.msg, stw_request_tag(&box->request));
	service->early_listed = stw_table_insert(&stack->early, &service->early, hash) == 0;
}

static void early_end(struct box *box)
{
	if (box->service->early_listed)
		stw_table_remove(&box->request.stack->early, &box->service->early);
	box->service->early_listed = false;
}

struct stw_request *stw_request_early(const struct stw_request *request)
{
	struct stw_stack *stack = request->stack;
	struct stw_node *node;

	if (!stack->early.count || !request->msg->to.tag.len)
		return NULL;
	node = stw_table_first(
		&stack->early, early_hash(stack, request->msg, request->msg->to.tag));
	return node ? &STW_CONTAINER_OF(node, struct service, early)->box->request : NULL;
}

void stw_request_hang_up(struct stw_request *invite, const struct stw_msg *bye)
{
	struct box *box = box_of(invite);

	early_end(box);
	box->service->hung_up = true;
	if (box->context && !stw_response_context_has_early(box->context))
		forward_cancel(box, bye);
}

/* ---- the end --------------------------------------------------------------------------- */

void service_ended(struct box *box, unsigned code, const struct stw_msg *response)
{
	struct stw_stack *stack = box->request.stack;

	if (box->service->ended)
		return;
	box->service->ended = true;
	early_end(box);
	if (stack->options.core->ended)
		stack->options.core->ended(stack->options.core_user, &box->request, code, response,
			answering_target(box, response));
}

/* ---- what the core may ask ----------------------------------------------------------- */

void stw_request_more(struct stw_request *request, const struct stw_proxy_job *job)
{
	const struct stw_refusal refusal = { .cause = &stw_cause_out_of_memory };
	struct box *box = box_of(request);
	int err;

	if (!box->service || !box->context || request->answered)
		return;
	box->service->diversion = job->diversion;
	box->service->history = job->history;
	box->service->without = job->without;
	box->service->without_count = job->without_count;
	box->ring_timeout_ms = job->ring_timeout_ms;
	box->service->together = job->together;
	box->service->expired = false;
	forward_stop_no_answer(box);
	stw_response_context_options(box->context,
		job->no_recurse ? &request->stack->proxy_foreign : &request->stack->options.proxy);
	/* More targets than branches are allowed, or than there is memory for: the first of them
	 * are tried. */
	err = stw_response_context_more(box->context, job->targets, job->n, job->fresh);
	forward_run(box);
	/* Where nothing was ever tried, nothing would end it. */
	if (err == -ENOMEM && !box->branches)
		stw_request_settle(request, &refusal);
}

void stw_request_settle(struct stw_request *request, const struct stw_refusal *refusal)
{
	struct box *box = box_of(request);

	if (!box->service || !box->context || request->answered)
		return;
	if (!refusal) {
		stw_response_context_settle(box->context);
	} else {
		box->service->end = *refusal;
		(void)stw_refusal_keep(&box->service->end, &request->arena);
		branch_unwant_all(box);
		stw_response_context_refuse(box->context, box->service->end.cause);
	}
	forward_run(box);
}

bool stw_request_goes_on(struct stw_request *request)
{
	const struct box *box = box_of(request);

	return box->service && box->context && !request->answered &&
	       !stw_response_context_is_closed(box->context);
}

void stw_request_expire(struct stw_request *request)
{
	struct box *box = box_of(request);

	if (!stw_request_goes_on(request))
		return;
	stw_timer_stop(&request->stack->wheel, &box->no_answer);
	branch_unwant_all(box);
	service_expire(box);
	forward_run(box);
}

static bool requires_100rel(const struct stw_request *request)
{
	return stw_msg_has_token(request->msg, STW_HDR_REQUIRE, STW_STR("100rel"));
}

bool stw_request_progress_barred(const struct stw_request *request)
{
	return requires_100rel(request) && !stw_msg_body(request->msg).len;
}

static bool progress_reliably(struct stw_request *request, const struct stw_refusal *refusal)
{
	struct stw_answer answer = { .code = refusal->cause->code,
		.cause = refusal->cause,
		.refusal = refusal,
		.phrase = refusal->phrase,
		.headers = refusal->headers,
		.dialog = true,
		.reliable = true };

	return !stw_request_progress_barred(request) && !stw_request_awaits_prack(request) &&
	       stw_request_answer(request, &answer) == 0;
}

bool stw_request_progress(struct stw_request *request, const struct stw_refusal *refusal)
{
	struct box *box = box_of(request);
	struct stw_stack *stack = request->stack;
	struct stw_refusal with_contact = *refusal;
	char buffer[300];
	struct stw_str sent_by;

	if (request->answered || request->msg->method != STW_METHOD_INVITE ||
		(box->service && box->service->hung_up))
		return false;
	if (requires_100rel(request)) {
		if (!progress_reliably(request, refusal))
			return false;
		early_begin(box);
		return true;
	}
	sent_by = stack_sent_by(stack, &request->source, buffer, sizeof(buffer));
	if (stw_arena_printf(&stack->scratch, &with_contact.headers,
		    "Contact: <sip:%.*s%s>\r\n%.*s", STW_STR_ARG(sent_by),
		    request->source.transport == STW_TRANSPORT_TCP ? ";transport=tcp" : "",
		    STW_STR_ARG(refusal->headers)) < 0)
		return false;
	reply_own(box, &with_contact, refusal->cause->code);
	early_begin(box);
	return true;
}

uint64_t stw_request_mark(const struct stw_request *request)
{
	return stw_proxy_loop_hash(&request->stack->options.proxy, request->msg, &request->routing);
}

void stw_request_session(struct stw_request *request, uint32_t interval_s)
{
	box_of(request)->session_s = interval_s;
}

void stw_request_note(struct stw_request *request, const struct stw_refusal *refusal)
{
	struct stw_note note = { .kind = STW_NOTE_DECISION,
		.hop = &request->source,
		.msg = request->msg,
		.method = request->msg->method,
		.method_name = stw_msg_method_name(request->msg),
		.cause = refusal->cause,
		.refusal = refusal };

	stack_note(request->stack, &note);
}
