/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What remains of a request when all has been said (RFC 3261 §17). Its transactions go on for up to
 * 64*T1 and need little for that: the last response and where it went, the ACK of a refusal, and
 * for a 2xx that comes again the way up. The message, its arena, the response context and the
 * branches are freed before, so that a call that is over takes a tenth of the memory.
 */
#include <strowger/stack.h>

#include <string.h>

#include "internal.h"

/* Of the server side, and of the INVITE client transactions in Accepted. */
struct remains {
	struct stw_stack *stack;
	struct stw_tx *server;      /* NULL: it has ended */
	struct stw_block *response; /* NULL: there is none to repeat (Accepted, Confirmed) */
	unsigned transactions;      /* that refer to it */
	struct stw_hop reply;
	uint16_t reply_port; /* reply_send() */
	union {
		struct stw_str response_text;
		struct {
			uint64_t identity;  /* of the responses that fit the request */
			uint32_t session_s; /* stw_request_session() */
			bool in_dialog;     /* it had a To tag */
			bool there;         /* branch_is_there() of each that had a 2xx */
		};
	};
};

/* The ACK for a refusal, §17.1.1.3; in a block, its text behind it. */
struct ack {
	struct stw_stack *stack;
	struct stw_hop hop;
	struct stw_str text;
	size_t to_at, to_len; /* value of To, which is the response's */
};

/* ---- the ACK of a refusal ------------------------------------------------------------------ */

int ack_keep(struct stw_stack *stack, const struct stw_hop *hop, struct stw_str text,
	struct stw_block **ret)
{
	static const char to[] = "\r\nTo: ";
	const char *at = memmem(text.ptr, text.len, to, sizeof(to) - 1), *end;
	struct stw_block *block;
	struct ack *ack;
	int err = stw_block_new(sizeof(*ack) + text.len, &block);

	if (err < 0)
		return err;
	stw_block_count(block, &stack->large_bytes);
	at = at ? at + sizeof(to) - 1 : text.ptr;
	end = memmem(at, (size_t)(text.ptr + text.len - at), "\r\nCall-ID: ", 11);
	ack = (struct ack *)(void *)block->data;
	*ack = (struct ack){ .stack = stack,
		.hop = *hop,
		.text = { (char *)(ack + 1), text.len },
		.to_at = (size_t)(at - text.ptr),
		.to_len = end ? (size_t)(end - at) : 0 };
	memcpy(ack + 1, text.ptr, text.len);
	*ret = block;
	return 0;
}

void ack_free(struct stw_block *block)
{
	const struct ack *ack = block ? (const struct ack *)(const void *)block->data : NULL;

	if (ack)
		stw_block_release(block, &ack->stack->large_bytes);
}

/* A repeated refusal is acknowledged again, with its own To. */
void ack_send(struct stw_block *block, const struct stw_msg *response)
{
	struct ack *ack = (struct ack *)(void *)block->data;
	struct stw_stack *stack = ack->stack;
	size_t to_end = ack->to_at + ack->to_len;
	struct stw_str *v = stw_arena_alloc(&stack->scratch, 3 * sizeof(*v));
	char *to;

	if (!v)
		return;
	v[0] = stw_str_cut(ack->text, 0, ack->to_at);
	v[1] = stw_msg_value(response, STW_HDR_TO);
	v[2] = stw_str_cut(ack->text, to_end, ack->text.len);
	/* The bytes of a stream move on before the batch is sent. */
	to = stw_arena_bytes(&stack->scratch, v[1].len);
	if (!to)
		return;
	memcpy(to, v[1].ptr, v[1].len);
	v[1].ptr = to;
	stack->stats.requests_out++;
	(void)stack_send(stack, &ack->hop, (struct stw_slices){ v, 3 });
}

static void ack_note(struct stw_block *block, const struct stw_msg *response)
{
	const struct ack *ack = (const struct ack *)(const void *)block->data;
	struct stw_note note = { .kind = STW_NOTE_REQUEST_OUT,
		.hop = &ack->hop,
		.msg = response,
		.method = STW_METHOD_INVITE,
		.method_name = STW_STR("ACK") };
	size_t uri = sizeof("ACK ") - 1;

	note.uri = stw_str_cut(ack->text, uri, stw_str_find(ack->text, ' ', uri));
	stack_note(ack->stack, &note);
}

/* ---- making it ---------------------------------------------------------------------------------
 */

static bool server_is_settled(const struct box *box)
{
	const struct stw_tx *tx = box->request.tx;

	if (!tx)
		return true;
	/* Where the name in sent-by leads is asked when a response is refused. */
	if ((tx->reliable || box->response) && box->request.msg->via.host_kind == STW_HOST_NAME)
		return false;
	if (tx->kind == STW_TX_INVITE_SERVER)
		return tx->state == STW_TX_ACCEPTED || tx->state == STW_TX_CONFIRMED;
	return tx->state == STW_TX_COMPLETED;
}

static bool branch_is_settled(const struct branch *branch)
{
	const struct stw_tx *tx = branch->tx, *cancel = branch->cancel_tx;

	if (branch->state != BRANCH_ENDED || (cancel && cancel->state != STW_TX_COMPLETED))
		return false;
	if (!tx || tx->state == STW_TX_ACCEPTED)
		return true;
	return tx->state == STW_TX_COMPLETED && (tx->kind != STW_TX_INVITE_CLIENT || branch->ack);
}

/* Nothing is left to be done but to absorb and to repeat. */
static bool box_is_settled(const struct box *box)
{
	const struct branch *branch;

	if (!box->request.answered || box->waiting || box->uas ||
		(box->context && !box->finished) || box->reply_is_name || box->reply_lookup.stack ||
		reply_is_on_its_way(box) || !server_is_settled(box))
		return false;
	for (branch = box->branches; branch; branch = branch->next) {
		if (!branch_is_settled(branch))
			return false;
	}
	return true;
}

/* Call-ID, CSeq and tags that a response to the request has. */
static uint64_t identity_of(
	const struct stw_stack *stack, const struct stw_msg *msg, bool in_dialog)
{
	struct stw_hasher hasher;

	stw_hasher_init(&hasher, stack->options.key);
	stw_hasher_text(&hasher, msg->call_id);
	stw_hasher_text(&hasher, msg->from.tag);
	stw_hasher_text(&hasher, msg->from.uri.user);
	stw_hasher_text_nocase(&hasher, msg->from.uri.host);
	stw_hasher_number(&hasher, msg->cseq.number);
	if (in_dialog)
		stw_hasher_text(&hasher, msg->to.tag);
	return stw_hasher_value(&hasher);
}

static void remains_take(struct remains *remains, struct stw_tx *tx)
{
	tx->user = remains;
	tx->user_kind = USER_REMAINS;
	remains->transactions++;
}

/* The client transactions let go of the branch. */
static void branch_leave(struct branch *branch, struct remains *remains)
{
	struct stw_tx *tx = branch->tx;

	if (branch->cancel_tx)
		branch->cancel_tx->user = NULL;
	branch->tx = branch->cancel_tx = NULL;
	if (!tx)
		return;
	if (tx->state == STW_TX_ACCEPTED) {
		remains_take(remains, tx);
		return;
	}
	tx->user = branch->ack;
	tx->user_kind = USER_ACK;
	branch->ack = NULL;
}

/* The last response, which only Completed sends again (§17.2.2). */
static void remains_take_response(struct remains *remains, struct box *box)
{
	if (remains->server->state == STW_TX_COMPLETED) {
		remains->response = box->response;
		remains->response_text = box->response_text;
		box->response = NULL;
	}
	stw_tx_move_response(remains->server,
		remains->response ? (struct stw_slices){ &remains->response_text, 1 }
				  : (struct stw_slices){ 0 });
}

/* Without memory for it the request stays as it is. @return true when it is to be freed */
bool box_settle(struct box *box)
{
	struct remains *remains;
	struct branch *branch;

	if (!box_is_settled(box) || !(remains = stw_memory_take(sizeof(*remains))))
		return false;
	*remains = (struct remains){ .stack = box->request.stack,
		.server = box->request.tx,
		.reply = box->reply,
		.reply_port = reply_port(box) };
	if (box->context && box->request.msg->method == STW_METHOD_INVITE) {
		remains->in_dialog = box->request.msg->to.tag.ptr;
		remains->session_s = box->session_s;
		remains->there = true;
		remains->identity =
			identity_of(remains->stack, box->request.msg, remains->in_dialog);
	}
	if (remains->server) {
		remains_take(remains, remains->server);
		remains_take_response(remains, box);
	}
	for (branch = box->branches; branch; branch = branch->next) {
		if (!remains->response && branch->tx && branch->tx->state == STW_TX_ACCEPTED)
			remains->there &= branch_is_there(branch);
		branch_leave(branch, remains);
	}
	box->request.tx = NULL;
	if (!remains->transactions)
		stw_memory_give(remains, sizeof(*remains));
	return true;
}

/* ---- what the transactions still ask for --------------------------------------------------------
 */

static void remains_send(struct remains *remains, struct stw_slices slices)
{
	struct stw_stack *stack = remains->stack;
	struct stw_flow_id flow;

	if (!slices.n)
		return;
	stack->stats.responses_out++;
	if (reply_send(stack, &remains->reply, remains->reply_port, slices, &flow) < 0 &&
		remains->server) {
		stw_tx_transport_error(remains->server, stack->now);
		stack_drop(stack, &remains->reply, NULL, &stw_cause_transport_error);
	}
}

bool remains_fits(const struct remains *remains, const struct stw_msg *response)
{
	return response->has_call_id && response->has_from && response->has_to &&
	       identity_of(remains->stack, response, remains->in_dialog) == remains->identity;
}

/* §16.7 step 5: a 2xx to INVITE goes up each time it comes. */
static void remains_relay(struct remains *remains, const struct stw_msg *response)
{
	struct stw_stack *stack = remains->stack;
	struct stw_note note = { .kind = STW_NOTE_RESPONSE_OUT,
		.hop = &remains->reply,
		.msg = response,
		.method = STW_METHOD_INVITE,
		.method_name = STW_STR("INVITE"),
		.code = response->code,
		.phrase = stw_msg_phrase(response),
		.relayed = true };
	struct stw_request nobody = { .stack = stack };
	struct place_check check = { .request = &nobody, .there = remains->there };
	struct stw_relay_options relay = { .proxy = &stack->options.proxy,
		.response = response,
		.bar = { place_is_barred, &check } };
	struct stw_slices slices;
	unsigned actions = STW_TX_SEND;

	if (!remains_fits(remains, response) ||
		stw_relay_session(response, remains->session_s, &stack->scratch, &relay.lines) <
			0 ||
		stw_relay_build(&relay, &stack->scratch, &slices) < 0 ||
		reply_settle(stack, &slices) < 0)
		return;
	stack_note(stack, &note);
	if (remains->server && !reply_is_refused(remains->server))
		actions = stw_tx_respond(remains->server, response->code, slices, stack->now);
	if (actions & STW_TX_SEND)
		remains_send(remains, slices);
}

uint32_t remains_session(const struct stw_tx *tx)
{
	const struct remains *remains = tx->user;

	return tx->state == STW_TX_ACCEPTED ? remains->session_s : 0;
}

void remains_tx_actions(struct stw_tx *tx, unsigned actions, const struct stw_msg *msg)
{
	struct remains *remains = tx->user;

	if (tx->user_kind == USER_ACK) {
		if ((actions & STW_TX_SEND_ACK) && msg && tx->user) {
			ack_note(tx->user, msg);
			ack_send(tx->user, msg);
		}
		return;
	}
	if (tx == remains->server) {
		if (actions & STW_TX_SEND)
			remains_send(remains, tx->message);
	} else if ((actions & STW_TX_PASS_UP) && msg && msg->code / 100 == 2) {
		remains_relay(remains, msg);
	}
}

void remains_tx_done(struct stw_tx *tx)
{
	struct remains *remains = tx->user;

	if (tx->user_kind == USER_ACK) {
		ack_free(tx->user);
		return;
	}
	if (tx == remains->server)
		remains->server = NULL;
	if (--remains->transactions)
		return;
	stw_block_release(remains->response, &remains->stack->large_bytes);
	stw_memory_give(remains, sizeof(*remains));
}
