/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are answered here: a 2xx to INVITE is repeated until its ACK comes (RFC 3261
 * §13.3.1.4), a reliable provisional response until its PRACK (RFC 3262 §3). Both are found by
 * Call-ID, tags and the CSeq number of the INVITE.
 */
#include <strowger/uas.h>

#include <errno.h>
#include <string.h>

#include "internal.h"

#define RSEQ_FIRST_MAX 0x7fffffffu /* RFC 3262 §3 */

/* Lies in the arena of its box. */
struct uas {
	struct box *box;
	const struct stw_server_ops *ops; /* NULL: a forwarded INVITE */
	void *user;
	struct stw_node node; /* in stack->answers while something is repeated, or was once */
	bool listed;
	struct stw_block *repeated; /* what is sent again: a 2xx or a reliable 1xx */
	struct stw_str repeated_text;
	unsigned repeated_code; /* 0: nothing waits for an ACK or PRACK */
	struct stw_timer repeat;
	uint32_t interval_ms;
	uint64_t until_ms;
	uint32_t rseq;  /* of the last reliable one, 0: none yet */
	bool was_acked; /* the 2xx was acknowledged: a further ACK is absorbed */
	bool was_pracked;
	char tag[24];
};

static struct uas *uas_make(struct box *box)
{
	if (box->uas)
		return box->uas;
	box->uas = stw_arena_zalloc(&box->request.arena, sizeof(*box->uas));
	if (box->uas) {
		box->uas->box = box;
		box->uas->repeat = (struct stw_timer){ .kind = TIMER_REPEAT, .owner = box->uas };
	}
	return box->uas;
}

/* ---- Contact ------------------------------------------------------------------------------ */

int contact_write(struct stw_stack *stack, const struct stw_hop *hop, const struct contact *contact,
	struct stw_arena *arena, struct stw_str *ret)
{
	char buffer[300];
	struct stw_str sent_by = stack_sent_by(stack, hop, buffer, sizeof(buffer));

	return stw_arena_printf(arena, ret, "Contact: <sip:%.*s%s%.*s%s%.*s>%.*s\r\n",
		STW_STR_ARG(contact->user), contact->user.len ? "@" : "", STW_STR_ARG(sent_by),
		hop->transport == STW_TRANSPORT_TCP ? ";transport=tcp" : "",
		STW_STR_ARG(contact->uri_params), STW_STR_ARG(contact->params));
}

/* ---- who it is for --------------------------------------------------------------------------- */

static uint64_t answers_hash(
	struct stw_stack *stack, const struct stw_msg *msg, struct stw_str local_tag, uint32_t cseq)
{
	struct stw_hasher hasher;

	stw_hasher_init(&hasher, stack->options.key);
	stw_hasher_text(&hasher, msg->call_id);
	stw_hasher_text(&hasher, msg->from.tag);
	stw_hasher_text(&hasher, local_tag);
	stw_hasher_number(&hasher, cseq);
	return stw_hasher_value(&hasher);
}

/* The hash is keyed: what is equal in it is the same. */
static struct uas *uas_find(struct stw_stack *stack, const struct stw_msg *msg, uint32_t cseq)
{
	struct stw_node *node =
		stw_table_first(&stack->answers, answers_hash(stack, msg, msg->to.tag, cseq));

	return node ? STW_CONTAINER_OF(node, struct uas, node) : NULL;
}

bool uas_awaits(struct stw_stack *stack, const struct stw_msg *ack, struct stw_str local_tag)
{
	return stack->answers.count &&
	       stw_table_first(
		       &stack->answers, answers_hash(stack, ack, local_tag, ack->cseq.number));
}

static int uas_list(struct uas *uas, struct stw_str local_tag)
{
	struct stw_stack *stack = uas->box->request.stack;
	const struct stw_msg *msg = uas->box->request.msg;

	if (uas->listed)
		return 0;
	if (stw_table_insert(&stack->answers, &uas->node,
		    answers_hash(stack, msg, local_tag, msg->cseq.number)) < 0)
		return -ENOMEM;
	uas->listed = true;
	return 0;
}

/* ---- repeating ----------------------------------------------------------------------------------
 */

static void repeat_stop(struct uas *uas)
{
	stw_timer_stop(&uas->box->request.stack->wheel, &uas->repeat);
	uas->repeated_code = 0;
}

/* RFC 3262 §3: behind the final response no provisional one is repeated, but its PRACK is taken. */
void uas_answered(struct uas *uas)
{
	if (uas->repeated_code < 200)
		repeat_stop(uas);
}

static void repeat_start(struct uas *uas, unsigned code)
{
	struct stw_stack *stack = uas->box->request.stack;

	uas->repeated_code = code;
	uas->interval_ms = STW_T1_MS;
	uas->until_ms = stack->now.mono_ms + STW_TIMER_B_MS;
	stw_timer_start(&stack->wheel, &uas->repeat, stack->now.mono_ms + uas->interval_ms);
}

/* The block before may still wait in the batch. */
static int repeat_keep(struct uas *uas, struct stw_str text)
{
	struct stw_block *block;
	int err = stw_block_new(text.len, &block);

	if (err < 0)
		return err;
	err = stack_retire(uas->box->request.stack, uas->repeated);
	if (err < 0) {
		stw_block_unref(block);
		return err;
	}
	stw_block_count(block, &uas->box->request.stack->large_bytes);
	memcpy(block->data, text.ptr, text.len);
	uas->repeated = block;
	uas->repeated_text = (struct stw_str){ block->data, text.len };
	return 0;
}

static void repeat_give_up(struct uas *uas)
{
	struct stw_request *request = &uas->box->request;
	unsigned code = uas->repeated_code;
	struct stw_note note = { .kind = STW_NOTE_TIMEOUT,
		.hop = &request->source,
		.msg = request->msg,
		.method = request->msg->method,
		.method_name = stw_msg_method_name(request->msg),
		.cause = code < 200 ? &stw_cause_prack_missing : &stw_cause_ack_of_2xx_missing };

	uas->repeated_code = 0;
	stack_note(request->stack, &note);
	if (uas->ops && uas->ops->unanswered)
		uas->ops->unanswered(uas->user, request, code);
	else if (!uas->ops && code < 200)
		stw_request_settle(
			request, &(struct stw_refusal){ .cause = &stw_cause_prack_missing });
}

/* §13.3.1.4: T1, doubled up to T2, also on reliable transports, for what loses it may be further
 * on; RFC 3262 §3: doubled without a bound. */
void uas_timer(struct stw_timer *timer)
{
	struct uas *uas = timer->owner;
	struct stw_stack *stack = uas->box->request.stack;
	struct stw_tx *tx = uas->box->request.tx;
	struct stw_slices again = { &uas->repeated_text, 1 };
	uint64_t next_ms;

	if (stack->now.mono_ms >= uas->until_ms) {
		repeat_give_up(uas);
		return;
	}
	if (uas->repeated_code < 200)
		reply_transmit(uas->box, again); /* others may have followed it */
	else if (tx)
		reply_tx_actions(tx, stw_tx_respond(tx, uas->repeated_code, again, stack->now));
	uas->interval_ms *= 2;
	if (uas->repeated_code >= 200 && uas->interval_ms > STW_T2_MS)
		uas->interval_ms = STW_T2_MS;
	next_ms = stack->now.mono_ms + uas->interval_ms;
	stw_timer_start(
		&stack->wheel, &uas->repeat, next_ms < uas->until_ms ? next_ms : uas->until_ms);
}

/* ---- what comes ---------------------------------------------------------------------------------
 */

static bool uas_take_ack(struct stw_stack *stack)
{
	struct uas *uas = uas_find(stack, stack->msg, stack->msg->cseq.number);

	if (!uas || (uas->repeated_code < 200 && !uas->was_acked))
		return false;
	if (uas->repeated_code < 200)
		return true; /* it had come before */
	repeat_stop(uas);
	uas->was_acked = true;
	if (uas->ops && uas->ops->acked)
		uas->ops->acked(uas->user, &uas->box->request, stack->msg);
	return true;
}

/* RAck = response-num LWS CSeq-num LWS Method, RFC 3262 §7.2. */
static bool rack_parse(struct stw_str value, uint32_t *ret_rseq, struct stw_cseq *ret_cseq)
{
	size_t end = 0;
	uint64_t rseq;

	while (end < value.len && value.ptr[end] >= '0' && value.ptr[end] <= '9')
		end++;
	if (stw_str_to_uint(stw_str_cut(value, 0, end), UINT32_MAX, &rseq) < 0)
		return false;
	*ret_rseq = (uint32_t)rseq;
	return stw_cseq_parse(stw_str_trim(stw_str_cut(value, end, value.len)), ret_cseq) == 0;
}

/* Of a PRACK without a body to an INVITE that is forwarded, or whose user does not care. */
static void prack_answer(struct box *box)
{
	static const struct stw_refusal ok = { 0 };

	if (stw_request_wait(&box->request) < 0)
		return;
	reply_own(box, &ok, 200);
	box->waiting = false;
	stack_dirty(box);
}

static bool uas_take_prack(struct box *box)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_str value = stw_msg_value(box->request.msg, STW_HDR_RACK);
	struct stw_cseq cseq;
	struct uas *uas;
	uint32_t rseq;

	if (!value.ptr || !rack_parse(value, &rseq, &cseq) || cseq.method != STW_METHOD_INVITE)
		return false;
	uas = uas_find(stack, box->request.msg, cseq.number);
	if (!uas || !uas->rseq || rseq != uas->rseq || uas->was_pracked)
		return false; /* 481, the core says it */
	if (uas->ops && uas->ops->prack_passes &&
		!uas->ops->prack_passes(uas->user, &uas->box->request, &box->request))
		return true;
	uas->was_pracked = true;
	if (uas->repeated_code && uas->repeated_code < 200)
		repeat_stop(uas);
	if (uas->ops && uas->ops->pracked)
		uas->ops->pracked(uas->user, &uas->box->request, &box->request);
	else
		prack_answer(box);
	return true;
}

/* An ACK or a PRACK for what is answered here. @return false: it goes the way of all requests */
bool uas_receive(struct box *box)
{
	if (!box->request.stack->answers.count)
		return false;
	switch (box->request.msg->method) {
	case STW_METHOD_ACK:
		return uas_take_ack(box->request.stack);
	case STW_METHOD_PRACK:
		return uas_take_prack(box);
	default:
		return false;
	}
}

/* CANCEL of a request that was taken has been answered. @return false: it was not taken */
bool uas_cancelled(struct box *box, const struct stw_msg *cancel)
{
	if (!box->uas || !box->uas->ops)
		return false;
	if (!box->request.answered && box->uas->ops->cancelled)
		box->uas->ops->cancelled(box->uas->user, &box->request, cancel);
	return true;
}

/* The box is about to be freed. */
void uas_done(struct box *box)
{
	struct uas *uas = box->uas;

	repeat_stop(uas);
	if (uas->listed)
		stw_table_remove(&box->request.stack->answers, &uas->node);
	stw_block_release(uas->repeated, &box->request.stack->large_bytes);
	if (uas->ops && uas->ops->done)
		uas->ops->done(uas->user, &box->request);
}

/* ---- what the core may ask
 * ------------------------------------------------------------------------
 */

int stw_request_take(struct stw_request *request, const struct stw_server_ops *ops, void *user)
{
	struct box *box = box_of(request);
	int err;

	if (request->msg->method == STW_METHOD_ACK)
		return -EINVAL;
	if (!uas_make(box))
		return -ENOMEM;
	err = stw_request_wait(request);
	if (err < 0)
		return err;
	box->uas->ops = ops;
	box->uas->user = user;
	return 0;
}

struct stw_str stw_request_tag(struct stw_request *request)
{
	struct box *box = box_of(request);
	char buffer[24];

	if (request->msg->to.tag.ptr)
		return request->msg->to.tag;
	if (!box->to_tag.len)
		(void)stw_arena_copy(&request->arena,
			reply_tag(request->stack, request->msg, buffer), &box->to_tag);
	return box->to_tag;
}

void stw_request_forget(struct stw_request *request)
{
	static const struct stw_server_ops nothing = { 0 };

	box_of(request)->uas->ops = &nothing;
	repeat_stop(box_of(request)->uas);
}

bool stw_request_is_merged(struct stw_request *request)
{
	return stw_tx_is_merged(request->tx, request->msg);
}

bool stw_request_awaits_prack(const struct stw_request *request)
{
	const struct uas *uas = STW_CONTAINER_OF(request, struct box, request)->uas;

	return uas && uas->repeated_code && uas->repeated_code < 200;
}

void *stw_request_user(const struct stw_request *request)
{
	const struct uas *uas = STW_CONTAINER_OF(request, struct box, request)->uas;

	return uas ? uas->user : NULL;
}

/* Contact and what makes a provisional response reliable, before the lines of the user. */
static int answer_lines(struct box *box, const struct stw_answer *answer, struct stw_str *ret)
{
	struct stw_stack *stack = box->request.stack;
	struct contact contact = { .user = answer->contact_user,
		.uri_params = answer->contact_uri_params,
		.params = answer->contact_params };
	struct stw_str own = STW_STR_NONE, reliable = STW_STR_NONE;
	int err = 0;

	if (answer->dialog && answer->code > 100 && answer->code < 300)
		err = contact_write(stack, &box->request.source, &contact, &stack->scratch, &own);
	if (err == 0 && answer->reliable)
		err = stw_arena_printf(&stack->scratch, &reliable,
			"Require: 100rel\r\nRSeq: %u\r\n", box->uas->rseq);
	if (err == 0)
		err = stw_arena_printf(&stack->scratch, ret, "%.*s%.*s%.*s", STW_STR_ARG(own),
			STW_STR_ARG(reliable), STW_STR_ARG(answer->headers));
	return err;
}

/* RFC 3262 §3: the next number, the first one at random. */
static int answer_reliably(struct box *box)
{
	struct uas *uas = uas_make(box);

	if (!uas)
		return -ENOMEM;
	if ((uas->repeated_code && uas->repeated_code < 200) || box->request.answered)
		return -EBUSY;
	uas->rseq = uas->rseq ? uas->rseq + 1
			      : 1 + (uint32_t)stw_random_below(
					    &box->request.stack->random, RSEQ_FIRST_MAX);
	uas->was_pracked = false;
	return 0;
}

static int answer_repeat(struct box *box, unsigned code, struct stw_str text)
{
	struct uas *uas = uas_make(box);
	int err;

	if (!uas)
		return -ENOMEM;
	err = uas_list(uas, stw_request_tag(&box->request));
	if (err == 0)
		err = repeat_keep(uas, text);
	if (err == 0)
		repeat_start(uas, code);
	return err;
}

int stw_request_answer(struct stw_request *request, const struct stw_answer *answer)
{
	struct box *box = box_of(request);
	struct stw_refusal refusal = answer->refusal ? *answer->refusal : (struct stw_refusal){ 0 };
	bool invite = request->msg->method == STW_METHOD_INVITE;
	struct stw_str text;
	int err = 0;

	if (request->answered)
		return -EALREADY;
	if (answer->to_tag.len && !request->msg->to.tag.ptr)
		err = stw_arena_copy(&request->arena, answer->to_tag, &box->to_tag);
	if (err == 0 && answer->reliable)
		err = answer_reliably(box);
	refusal.cause = answer->cause;
	refusal.phrase = answer->phrase;
	refusal.content_type = answer->content_type;
	refusal.body = answer->body;
	if (err == 0)
		err = answer_lines(box, answer, &refusal.headers);
	if (err == 0)
		err = reply_write_own(box, &refusal, answer->code, answer->dialog, &text);
	if (err < 0)
		return err;
	/* The final response goes out also when it cannot be repeated. */
	if (answer->reliable || (invite && answer->code / 100 == 2))
		err = answer_repeat(box, answer->code, text);
	reply_give_own(box, &refusal, answer->code, text);
	if (answer->code >= 200)
		box->waiting = false;
	stack_dirty(box);
	return err;
}
