/* SPDX-License-Identifier: Apache-2.0 */
/* The common front (F1–F12): from bytes to a request in the hands of the core, or to its answer. */
#include <strowger/stack.h>

#include <errno.h>
#include <string.h>

#include "internal.h"

/* A request in hand; it is freed after its event unless a transaction or the core keeps it alive.
 */
static struct box *box_new(struct stw_stack *stack, const struct stw_hop *hop)
{
	struct box *box = stw_memory_take_zeros(sizeof(*box));

	if (!box)
		return NULL;
	box->request.stack = stack;
	box->request.msg = stack->msg;
	box->request.source = *hop;
	stw_arena_init(&box->request.arena, REQUEST_ARENA_BYTES);
	box->request.arena.next_chunk_bytes = REQUEST_CHUNK_BYTES;
	box->request.arena.large_bytes = &stack->large_bytes;
	if (stack->msg->has_via)
		stw_via_stamp(&stack->msg->via, &hop->remote, &box->request.stamp);
	return box;
}

static void box_release(struct box *box)
{
	if (box->alive)
		return;
	stw_block_release(box->kept, &box->request.stack->large_bytes);
	stw_arena_done(&box->request.arena);
	stw_memory_give(box, sizeof(*box));
}

/* Where a response will go. A maddr that is a name is looked up when the first one is ready. */
static bool box_address_reply(struct box *box)
{
	int err;

	if (!box->request.msg->has_via)
		return false;
	err = stw_response_target(&box->request.msg->via, &box->request.source, &box->reply);
	if (err != -ENOENT)
		return err == 0;
	box->reply = box->request.source;
	box->reply_is_name = true;
	return true;
}

static void note_request(struct stw_stack *stack, const struct stw_hop *hop)
{
	struct stw_note note = { .kind = STW_NOTE_REQUEST_IN,
		.hop = hop,
		.msg = stack->msg,
		.method = stack->msg->method,
		.method_name = stw_msg_method_name(stack->msg) };

	stack_note(stack, &note);
}

/* A fault of syntax: answered without state when an answer can be addressed (F2), never for an ACK
 * (F3), and not for a source that is over its limit: maddr may lead the answer to anybody. */
static void receive_fault(
	struct stw_stack *stack, const struct stw_hop *hop, const struct stw_cause *cause)
{
	const struct stw_cause *limit;
	struct stw_refusal refusal = { .cause = cause };
	struct box *box;

	stack->stats.faults++;
	if (!stack->msg->is_request || stack->msg->method == STW_METHOD_ACK || !cause->code) {
		stack_drop(stack, hop, stack->msg, cause);
		return;
	}
	limit = stack->admitted ? NULL : shed_source(stack, &hop->remote);
	if (limit) {
		stack_drop(stack, hop, stack->msg, limit);
		return;
	}
	box = box_new(stack, hop);
	if (!box)
		return;
	if (!box_address_reply(box)) {
		stack_drop(stack, hop, stack->msg, &stw_cause_via_unusable);
	} else {
		note_request(stack, hop);
		if (cause == &stw_cause_cseq_method_mismatch &&
			stack->msg->method == STW_METHOD_UNKNOWN) {
			refusal.cause = &stw_cause_unknown_method_mismatch;
			refusal.headers = STW_STR("Allow: " STW_STACK_ALLOW "\r\n");
		}
		reply_own(box, &refusal, refusal.cause->code);
	}
	box_release(box);
}

/* ---- responses -------------------------------------------------------------------- */

static bool response_has_way_up(const struct stw_msg *response)
{
	struct stw_values values = stw_msg_vias_below(response);
	struct stw_str via;

	return stw_values_next(&values, &via);
}

/* Of a request of our own, and not of one that we forwarded? */
static bool tx_is_own(const struct stw_tx *tx)
{
	return tx->user && tx->user_kind == USER_REQUEST &&
	       ((struct branch *)tx->user)->box->client;
}

/* §8.1.3.3: what we forwarded comes back with the Via of whoever sent it to us below ours, what is
 * our own with ours alone. CANCELs are always our own. NULL: fits. */
static const struct stw_cause *response_misfit(
	const struct stw_tx *tx, const struct stw_msg *response)
{
	bool way_up = response_has_way_up(response);

	if (tx && tx_is_own(tx))
		return way_up ? &stw_cause_response_not_ours_alone : NULL;
	if (way_up || response->cseq.method == STW_METHOD_CANCEL)
		return NULL;
	return &stw_cause_response_no_way_up;
}

/* Nothing but the Request-URI has said where it goes: no Route, whose proxies may take it anywhere,
 * and no binding or flow, which somebody else may have as well. */
static bool branch_goes_by_uri(const struct branch *branch)
{
	const struct stw_proxy_routing *routing = &branch->box->request.routing;

	return !routing->has_route && !branch->target.has_hop &&
	       stw_str_equal(branch->target.uri, routing->uri_text);
}

/* Who answers is where the dialog goes only when the request was on no other way. */
static void note_refresh(
	struct stw_note *note, const struct branch *branch, struct stw_proxy_refresh *refresh)
{
	const struct stw_request *request = &branch->box->request;
	struct place_check requester = { .request = request, .caller = true },
			   answerer = { .request = request, .branch = branch };
	struct stw_proxy_bar bars[2] = { { place_is_barred, &requester },
		{ place_is_barred, &answerer } };

	if (!note->misfit && request->routing.dialog &&
		stw_proxy_refresh_find(&request->stack->options.proxy, request->msg,
			&request->routing, note->msg, bars, refresh)) {
		if (!branch_goes_by_uri(branch))
			refresh->answerer = 0;
		note->refresh = refresh;
	}
}

/* What the response belongs to. */
static void note_branch(struct stw_note *note, const struct stw_tx *tx, struct stw_msg *response,
	struct stw_proxy_refresh *refresh)
{
	const struct branch *branch;
	uint32_t session_s = 0;

	if (tx->user_kind == USER_REQUEST) {
		branch = tx->user;
		note->target = &branch->target;
		note->request = branch->box->request.msg;
		note->misfit = !stw_response_fits(note->request, response);
		if (!note->misfit) /* the same Call-ID */
			response->call_hash = note->request->call_hash;
		note_refresh(note, branch, refresh);
		session_s = branch->box->session_s;
	} else if (tx->user_kind == USER_REMAINS) {
		note->misfit = !remains_fits(tx->user, response);
		session_s = remains_session(tx);
	}
	if (session_s && stw_relay_wants_session(response))
		note->session_s = session_s;
}

/* It may have rung for long. */
static void fetch_of_response(const struct stw_tx *tx)
{
	const struct branch *branch = tx->user_kind == USER_REQUEST ? tx->user : NULL;

	if (!branch)
		return;
	stw_fetch(branch, sizeof(*branch));
	stw_fetch(branch->box, sizeof(*branch->box));
	stw_fetch(branch->box->request.msg, sizeof(*branch->box->request.msg));
	stw_fetch(branch->box->request.tx, sizeof(*branch->box->request.tx));
	stw_response_context_fetch(branch->box->context);
}

static void receive_response(struct stw_stack *stack, const struct stw_hop *hop)
{
	struct stw_note note = { .kind = STW_NOTE_RESPONSE_IN,
		.hop = hop,
		.msg = stack->msg,
		.code = stack->msg->code,
		.phrase = stw_msg_phrase(stack->msg),
		.method = stack->msg->cseq.method,
		.method_name = stack->msg->cseq.name };
	struct stw_proxy_refresh refresh;
	const struct stw_cause *cause;
	struct stw_tx *tx;
	unsigned actions;

	stack->stats.responses_in++;
	stw_tx_expect_response(stack->transactions, stack->msg);
	if (!stw_listeners_own(
		    stack->options.listeners, stack->msg->via.host, stack->msg->via.port)) {
		stack_drop(stack, hop, stack->msg, &stw_cause_response_not_ours);
		return;
	}
	tx = stw_tx_match_response(stack->transactions, stack->msg);
	if (tx)
		fetch_of_response(tx);
	cause = response_misfit(tx, stack->msg);
	if (cause) {
		stack_drop(stack, hop, stack->msg, cause);
		return;
	}
	if (!tx) {
		stack_drop(stack, hop, stack->msg, &stw_cause_response_unmatched);
		return;
	}
	branch_heard(tx, &stack->msg->via);
	if (tx->user)
		note_branch(&note, tx, stack->msg, &refresh);
	actions = stw_tx_receive_response(tx, stack->msg, stack->now);
	if (actions & STW_TX_PASS_UP)
		stack_note(stack, &note);
	else
		stack->stats.retransmissions++;
	if (tx->user_kind == USER_REQUEST)
		branch_tx_actions(tx->user, tx, actions, stack->msg);
	else
		remains_tx_actions(tx, actions, stack->msg);
}

/* ---- requests ---------------------------------------------------------------------- */

/* F10: the request belongs to a transaction: a retransmission, or the ACK of a refusal. */
static void receive_matched(struct stw_stack *stack, const struct stw_hop *hop, struct stw_tx *tx)
{
	unsigned actions = stw_tx_receive_request(tx, stack->msg, stack->now);

	stack->stats.retransmissions += stack->msg->method != STW_METHOD_ACK;
	reply_tx_actions(tx, actions);
	if (stack->msg->method == STW_METHOD_ACK && tx->user && tx->user_kind == USER_REQUEST)
		stack_dirty(tx->user); /* it may be settled now */
	/* An ACK in Accepted that carries the branch of its INVITE (RFC 6026 §7.1) is the core's.
	 */
	if ((actions & STW_TX_PASS_UP) && stack->msg->method == STW_METHOD_ACK)
		stack_receive_new(stack, hop);
}

/* The ACK for a refusal that was sent without state carries the To tag that we derived (§8.2.7), in
 * a dialog the peer's and the branch of its INVITE (§17.1.1.3). Ours stands also in that of a 2xx
 * when the client is of RFC 2543 and no branch tells them apart. */
static bool ack_of_stateless(struct stw_stack *stack)
{
	struct stw_str tag = stack->msg->to.tag;
	char buffer[24];

	if (stw_str_equal(tag, reply_tag(stack, stack->msg, buffer)))
		return !uas_awaits(stack, stack->msg, tag);
	return reply_refused(stack, stack->msg);
}

/* F11: CANCEL is answered 200 and ends what is pending; never challenged (§9.2, §22.1). The To tag
 * of the 200 is that of our own responses to the INVITE, because both are derived alike. */
static void receive_cancel(struct box *box, struct stw_tx *cancelled)
{
	static const struct stw_refusal ok = { 0 };

	struct box *invite = NULL;

	if (cancelled->user && cancelled->user_kind == USER_REQUEST &&
		cancelled->kind == STW_TX_INVITE_SERVER)
		invite = cancelled->user;
	if (stw_request_wait(&box->request) < 0)
		return;
	if (invite)
		box->to_tag = invite->to_tag;
	box->waiting = false;
	reply_own(box, &ok, 200);
	box->to_tag = STW_STR_NONE;
	if (invite && !uas_cancelled(invite, box->request.msg))
		forward_cancel(invite, box->request.msg);
}

static void receive_box(struct box *box)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_refusal refusal = { .cause = NULL };
	struct stw_tx *cancelled = NULL;
	char buffer[ADMIT_BYTES];

	if (!box_address_reply(box)) {
		stack_drop(stack, &box->request.source, stack->msg, &stw_cause_via_unusable);
		return;
	}
	if (stack->msg->method == STW_METHOD_CANCEL)
		cancelled = stw_tx_match_cancel(stack->transactions, stack->msg);
	if (cancelled) {
		receive_cancel(box, cancelled);
		return;
	}
	if (uas_receive(box))
		return;
	if (!admit_request(box, &refusal, buffer))
		stack->options.core->request(stack->options.core_user, &box->request);
	else if (refusal.cause->code)
		reply_own(box, &refusal, refusal.cause->code);
	else
		stack_drop(stack, &box->request.source, stack->msg, refusal.cause);
}

void stack_receive_new(struct stw_stack *stack, const struct stw_hop *hop)
{
	struct box *box = box_new(stack, hop);

	if (!box)
		return;
	receive_box(box);
	box_release(box);
}

static void receive_request(struct stw_stack *stack, const struct stw_hop *hop)
{
	const struct stw_core_ops *core = stack->options.core;
	struct stw_tx *tx;

	stack->stats.requests_in++;
	stw_tx_expect_request(stack->transactions, stack->msg);
	if (core->expect)
		core->expect(stack->options.core_user, stack->msg);
	tx = stw_tx_match_request(stack->transactions, stack->msg);
	if (tx) {
		if (stack->msg->method == STW_METHOD_ACK)
			note_request(stack, hop);
		receive_matched(stack, hop, tx);
		return;
	}
	note_request(stack, hop);
	if (stack->msg->method == STW_METHOD_ACK && ack_of_stateless(stack))
		return;
	stack_receive_new(stack, hop);
}

/* F2, F7b: a stream whose sender breaks the limits, or cannot be answered, is not worth keeping. */
static bool fault_keeps_stream(const struct stw_stack *stack, const struct stw_fault *fault)
{
	return fault->cause->code != 513 && (stack->msg->has_via || !stack->msg->is_request);
}

/* A message of ours, as it came or handed over by another worker. */
void stack_receive_own(struct stw_stack *stack, const struct stw_hop *hop)
{
	if (stack->msg->is_request)
		receive_request(stack, hop);
	else
		receive_response(stack, hop);
}

/* @return false: the message of a stream is lost, and nobody would repeat it */
static bool receive_for_other(struct stw_stack *stack, unsigned owner, const struct stw_hop *hop)
{
	int err = stack_hand_message(stack, owner, hop);

	if (err == 0)
		return true;
	stack_drop(stack, hop, stack->msg,
		err == -ENOBUFS ? &stw_cause_worker_busy : &stw_cause_out_of_memory);
	return !stw_flow_id_set(hop->flow);
}

/* @return false when a stream that brought these bytes is to be closed */
bool stack_receive(struct stw_stack *stack, const struct stw_hop *hop, const char *data, size_t len)
{
	struct stw_fault fault = { 0 };
	unsigned owner;
	int err;

	stack->msg_of_flow = stw_flow_id_set(hop->flow);
	stack->admitted = false;
	if (stack_shed(stack, hop, data, len))
		return true;
	err = stw_msg_parse(stack->msg, data, len, &stack->options.flows.message, &fault);
	if (err == -EAGAIN) {
		stack->stats.dropped++;
		return true;
	}
	if (stw_msg_check(stack->msg, &fault) < 0 || err < 0) {
		receive_fault(stack, hop, fault.cause);
		return fault_keeps_stream(stack, &fault);
	}
	if (stack_is_elsewhere(stack, &owner))
		return receive_for_other(stack, owner, hop);
	stack_receive_own(stack, hop);
	return true;
}

void stack_receive_broken(struct stw_stack *stack, const struct stw_hop *hop, const char *data,
	size_t len, const struct stw_cause *cause)
{
	struct stw_fault fault = { 0 };

	stack->admitted = false;
	if (stw_msg_parse(stack->msg, data, len, &stack->options.flows.message, &fault) ==
		-EAGAIN) {
		stack->stats.dropped++;
		return;
	}
	stw_msg_check(stack->msg, &fault);
	receive_fault(stack, hop, cause);
}
