/* SPDX-License-Identifier: Apache-2.0 */
/* The server side: responses, our own and relayed, and what the server transaction asks for. */
#include <strowger/stack.h>

#include <errno.h>
#include <string.h>

#include "internal.h"

#define TAG_BYTES       24
#define REPLY_BYTES_MAX (256u * 1024u)

/* The same for each copy of a request, and for the ACK of its refusal. Whose branches repeat has
 * another one in another call all the same. */
static uint64_t request_hash(struct stw_stack *stack, const struct stw_msg *request)
{
	struct stw_hash_key key = stack->options.key;
	struct stw_hasher hasher;

	stw_hasher_init(&hasher, key);
	stw_hasher_number(&hasher, stw_tx_request_hash(stack->transactions, request));
	stw_hasher_number(&hasher, stw_hash(key, request->call_id.ptr, request->call_id.len));
	return stw_hasher_value(&hasher);
}

/* §8.2.7: the same tag for each copy of the same request, whether state is kept or not. */
struct stw_str reply_tag(
	struct stw_stack *stack, const struct stw_msg *request, char buffer[TAG_BYTES])
{
	uint64_t hash = request_hash(stack, request);
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, TAG_BYTES);
	stw_write_text(&writer, REPLY_TAG);
	stw_write_hex(&writer, &hash, sizeof(hash));
	return stw_writer_text(&writer);
}

/* In a dialog the To tag of a refusal is the peer's and tells nothing: the request is remembered. A
 * client of RFC 2543 acknowledges a 2xx that a copy may have got after all in the same way. */
static void refusal_remember(struct stw_stack *stack, const struct stw_msg *request, unsigned code)
{
	uint64_t hash;

	if (code < 300 || request->method != STW_METHOD_INVITE || !request->to.tag.ptr ||
		!stw_tx_has_cookie(request->via.branch))
		return;
	hash = request_hash(stack, request);
	stack->refused[hash % REFUSED_MAX] = hash;
}

bool reply_refused(struct stw_stack *stack, const struct stw_msg *ack)
{
	uint64_t hash = request_hash(stack, ack);

	return stack->refused[hash % REFUSED_MAX] == hash;
}

/* Where it goes when there is no flow for it: sent-by, unless that was looked up. */
uint16_t reply_port(const struct box *box)
{
	const struct stw_via *via = &box->request.msg->via;

	if (box->reply_moved)
		return box->reply.remote.port;
	return via->port ? via->port : stw_transport_default_port(box->reply.transport);
}

static struct stw_hop reply_hop(struct stw_stack *stack, const struct stw_hop *reply, uint16_t port)
{
	struct stw_hop hop = *reply;

	if (!stw_transport_reliable(hop.transport) || stw_flows_hop(stack->flows, hop.flow, &hop))
		return hop;
	hop = *reply;
	hop.flow = (struct stw_flow_id){ 0 };
	hop.remote.port = port;
	return hop;
}

int reply_send(struct stw_stack *stack, const struct stw_hop *reply, uint16_t port,
	struct stw_slices slices, struct stw_flow_id *ret_flow)
{
	int err = -ENOTCONN;
	bool elsewhere;

	*ret_flow = (struct stw_flow_id){ 0 };
	/* A flow that has just ended is known to have by then. */
	for (unsigned i = 0; i < 2 && err == -ENOTCONN; i++) {
		struct stw_hop hop = reply_hop(stack, reply, port);

		elsewhere = stw_transport_reliable(hop.transport) && !stw_flow_id_set(hop.flow);
		err = stack_send_response(stack, &hop, port, slices);
		if (err == 0 && elsewhere)
			*ret_flow = hop.flow;
	}
	return err;
}

void reply_transmit(struct box *box, struct stw_slices slices)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_flow_id flow;
	bool gone;
	int err;

	if (!slices.n)
		return; /* reply_lost() */
	if (box->reply_is_name) {
		reply_find_maddr(box);
		return;
	}
	stack->stats.responses_out++;
	refusal_sent(&box->refusal);
	err = reply_send(stack, &box->reply, reply_port(box), slices, &flow);
	if (stw_flow_id_set(flow))
		reply_takes(box, flow);
	/* What is too large for a datagram says nothing of others; room comes again. */
	gone = stw_transport_reliable(box->reply.transport) && err != -ENOBUFS && err != -ENOMEM;
	if (err == 0 || reply_try_elsewhere(box, gone))
		return;
	reply_failed(box);
	if (gone)
		reply_unheard(box);
}

/* The last response once more, for it has not arrived. A 2xx to INVITE is not kept: its sender
 * repeats it (§13.3.1.4). */
void reply_again(struct box *box)
{
	const struct stw_tx *tx = box->request.tx;

	if (box->response && !(tx && tx->method == STW_METHOD_INVITE && tx->last_code / 100 == 2))
		reply_transmit(box, (struct stw_slices){ &box->response_text, 1 });
}

void reply_tx_actions(struct stw_tx *tx, unsigned actions)
{
	struct box *box = tx->user;
	struct stw_note note = { 0 };

	if (!box)
		return;
	if (tx->user_kind != USER_REQUEST) {
		remains_tx_actions(tx, actions, NULL);
		return;
	}
	if (actions & STW_TX_SEND_100)
		reply_trying(box);
	if (actions & STW_TX_SEND)
		reply_transmit(box, tx->message);
	if (actions & (STW_TX_TIMEOUT | STW_TX_ERROR)) {
		note.kind = actions & STW_TX_TIMEOUT ? STW_NOTE_TIMEOUT : STW_NOTE_FAILURE;
		note.hop = &box->request.source;
		note.msg = box->request.msg;
		note.method = tx->method;
		note.method_name = stw_msg_method_name(box->request.msg);
		note.cause =
			actions & STW_TX_TIMEOUT ? &stw_cause_timer_h : &stw_cause_transport_error;
		stack_note(box->request.stack, &note);
	}
	if (actions & STW_TX_ENDED)
		stack_dirty(box);
}

/* A response that came by a stream lies in the buffer of its flow, which moves on before the batch
 * is sent. */
int reply_settle(struct stw_stack *stack, struct stw_slices *slices)
{
	size_t bytes = stw_slices_bytes(*slices);
	struct stw_str *text;
	char *copy;

	if (!stack->msg_of_flow)
		return 0;
	text = stw_arena_alloc(&stack->scratch, sizeof(*text));
	copy = stw_arena_bytes(&stack->scratch, bytes);
	if (!text || !copy)
		return -ENOMEM;
	stw_slices_flatten(*slices, copy);
	*text = (struct stw_str){ copy, bytes };
	*slices = (struct stw_slices){ text, 1 };
	return 0;
}

static void reply_answered(struct box *box)
{
	box->request.answered = true;
	asked_end(box);
	if (box->uas)
		uas_answered(box->uas);
}

/* There was no memory for a final response. The transaction ends as if it had been lost on the way:
 * nothing else would ever end it. */
static void reply_lost(struct box *box, unsigned code)
{
	struct stw_tx *tx = box->request.tx;

	if (!tx || code < 200)
		return;
	reply_answered(box);
	if (box->service)
		service_ended(box, 0, NULL);
	reply_tx_actions(
		tx, stw_tx_respond(tx, 500, (struct stw_slices){ 0 }, box->request.stack->now));
}

/* Hand a response to the server transaction, or send it without one. `slices` live for the batch
 * only. */
static void reply_give(struct box *box, unsigned code, struct stw_slices slices)
{
	struct stw_tx *tx = box->request.tx;
	struct stw_block *block;
	unsigned actions;

	if (tx && code / 100 == 2 && reply_is_refused(tx))
		tx = NULL;
	if ((!tx || (tx->method == STW_METHOD_INVITE && code / 100 == 2)) &&
		reply_settle(box->request.stack, &slices) < 0) {
		reply_lost(box, code);
		return;
	}
	if (!tx) {
		box->request.stack->stats.stateless++;
		refusal_remember(box->request.stack, box->request.msg, code);
		reply_transmit(box, slices);
		return;
	}
	/* In Accepted nothing is ever sent again by the machine: the slices need not be kept. */
	if (tx->method == STW_METHOD_INVITE && code / 100 == 2) {
		reply_tx_actions(tx, stw_tx_respond(tx, code, slices, box->request.stack->now));
		return;
	}
	/* The last response stays in force until there is room for this one. */
	if (stw_block_new(stw_slices_bytes(slices), &block) < 0) {
		reply_lost(box, code);
		return;
	}
	if (stack_retire(box->request.stack, box->response) < 0) {
		stw_block_unref(block);
		reply_lost(box, code);
		return;
	}
	stw_block_count(block, &box->request.stack->large_bytes);
	stw_slices_flatten(slices, block->data);
	box->response = block;
	box->response_text = (struct stw_str){ block->data, block->bytes };
	actions = stw_tx_respond(
		tx, code, (struct stw_slices){ &box->response_text, 1 }, box->request.stack->now);
	reply_tx_actions(tx, actions);
}

static void reply_note(struct box *box, struct stw_note *note)
{
	note->kind = STW_NOTE_RESPONSE_OUT;
	note->hop = &box->reply;
	note->msg = box->request.msg;
	note->method = box->request.msg->method;
	note->method_name = stw_msg_method_name(box->request.msg);
	note->in_dialog = box->request.routing.in_dialog;
	note->dialog = box->request.routing.dialog;
	stack_note(box->request.stack, note);
}

/* A response is hardly longer than the head of its request; where names that came in their compact
 * form make it so, there is more room at the next try. */
static int reply_write(struct box *box, const struct stw_response *response, struct stw_str *ret)
{
	const struct stw_msg *msg = response->request;
	size_t capacity = (msg->body_at ? msg->body_at : msg->len) + response->headers.len +
			  response->body.len + 1024;
	struct stw_writer writer;
	char *buffer;

	for (;; capacity *= 4) {
		buffer = stw_arena_bytes(&box->request.stack->scratch, capacity);
		if (!buffer)
			return -ENOMEM;
		stw_writer_init(&writer, buffer, capacity);
		stw_response_write(&writer, response);
		if (!writer.overflow)
			break;
		if (capacity > REPLY_BYTES_MAX)
			return -ENOBUFS;
	}
	*ret = stw_writer_text(&writer);
	return 0;
}

/* Empty: the default of the code. */
static struct stw_str reply_phrase(const struct stw_refusal *refusal, unsigned code)
{
	if (refusal->phrase.len)
		return refusal->phrase;
	return refusal->cause && refusal->cause->code == code ? stw_str_from(refusal->cause->phrase)
							      : STW_STR_NONE;
}

/* What the server that the request came from is to keep back. */
static struct stw_str reply_overload(struct box *box, char buffer[STW_OVERLOAD_PARAMS_MAX])
{
	struct stw_stack *stack = box->request.stack;
	const struct stw_via *via = &box->request.msg->via;
	const struct stw_addr *source = &box->request.source.remote;
	bool known;

	if (!via->has_oc)
		return STW_STR_NONE;
	known = !source_limited(stack, source) ||
		stw_sources_known(stack->options.sources, source, stack->now);
	return stw_overload_params(&stack->overload, via, source, known, stack->now, buffer);
}

int reply_write_own(struct box *box, const struct stw_refusal *refusal, unsigned code, bool dialog,
	struct stw_str *ret)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_msg *msg = box->request.msg;
	struct stw_response response = { .request = msg,
		.code = code,
		.phrase = reply_phrase(refusal, code),
		.headers = refusal->headers,
		.content_type = refusal->content_type,
		.body = refusal->body,
		.record_route = dialog };
	char tag[TAG_BYTES], oc[STW_OVERLOAD_PARAMS_MAX];

	if (code > 100)
		response.to_tag = box->to_tag.len ? box->to_tag : reply_tag(stack, msg, tag);
	response.received = box->request.stamp.received;
	response.rport = box->request.stamp.rport;
	response.oc = reply_overload(box, oc);
	return reply_write(box, &response, ret);
}

void reply_give_own(
	struct box *box, const struct stw_refusal *refusal, unsigned code, struct stw_str text)
{
	struct stw_note note = { .code = code, .cause = refusal->cause, .refusal = refusal };

	note.phrase = reply_phrase(refusal, code);
	if (!note.phrase.len)
		note.phrase = stw_str_from(stw_status_phrase(code));
	if (code >= 200)
		reply_answered(box);
	reply_note(box, &note);
	if (code >= 200 && box->service)
		service_ended(box, code, NULL);
	reply_give(box, code, (struct stw_slices){ &text, 1 });
}

/* A response of our own. `refusal->cause` may be NULL (200, 100). */
void reply_own(struct box *box, const struct stw_refusal *refusal, unsigned code)
{
	/* §12.1.1: a provisional response makes an early dialog. */
	bool dialog = code > 100 && code < 200;
	struct stw_str text;

	if (reply_write_own(box, refusal, code, dialog, &text) < 0)
		reply_lost(box, code);
	else
		reply_give_own(box, refusal, code, text);
}

/* RFC 6228 §6: in the early dialog that has ended; no Contact, no Record-Route. */
void reply_early_end(struct box *box, struct stw_str tag, unsigned code)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_refusal refusal = { .cause = &stw_cause_early_dialog_ended };
	struct stw_note note = { .code = 199, .cause = refusal.cause, .refusal = &refusal };
	struct stw_response response = { .request = box->request.msg,
		.code = 199,
		.phrase = stw_str_from(refusal.cause->phrase),
		.to_tag = tag,
		.received = box->request.stamp.received,
		.rport = box->request.stamp.rport };
	const char *phrase = stw_status_phrase(code);
	struct stw_str text;

	if (stw_arena_printf(&stack->scratch, &response.headers, "Reason: SIP;cause=%u%s%s%s\r\n",
		    code, *phrase ? ";text=\"" : "", phrase, *phrase ? "\"" : "") < 0 ||
		reply_write(box, &response, &text) < 0)
		return;
	note.phrase = response.phrase;
	reply_note(box, &note);
	reply_give(box, 199, (struct stw_slices){ &text, 1 });
}

void reply_trying(struct box *box)
{
	static const struct stw_refusal trying = { 0 };

	box->tried = true;
	reply_own(box, &trying, 100);
}

/* By which it came, or came when it was kept. NULL: it is not known any more */
static const struct branch *reply_branch(const struct box *box, const struct stw_msg *response)
{
	const struct branch *branch = box->branches;

	while (branch && !(branch->tx && stw_str_equal(branch->tx->branch, response->via.branch)))
		branch = branch->next;
	return branch;
}

/* It cannot be written: no memory for it, which counts as lost, or it wants more changes than one
 * can do (as with our Record-Route a hundred times over), as each copy of it will. */
static void reply_not_relayed(struct box *box, unsigned code, int err)
{
	struct stw_refusal refusal = { .cause = &stw_cause_bad_response_downstream };

	if (err != -ENOBUFS)
		reply_lost(box, code);
	else if (code >= 200 && !box->request.answered)
		reply_own(box, &refusal, refusal.cause->code);
}

/* §16.7 step 9: a response from below goes up, its top Via removed. */
void reply_relay(struct box *box, const struct stw_msg *response, struct stw_str lines,
	const struct stw_cause *cause)
{
	struct stw_note note = { .code = response->code,
		.phrase = stw_msg_phrase(response),
		.cause = cause,
		.relayed = true };
	struct stw_stack *stack = box->request.stack;
	const struct branch *branch = reply_branch(box, response);
	struct place_check check = { .request = &box->request, .branch = branch };
	struct stw_relay_options relay = { .proxy = &stack->options.proxy,
		.response = response,
		.ours = branch ? &branch->record_route : NULL,
		.lines = lines,
		.from = &box->request.msg->from.uri,
		.bar = { place_is_barred, &check } };
	char buffer[STW_OVERLOAD_PARAMS_MAX];
	struct stw_slices slices;
	int err;

	relay.via_params = reply_overload(box, buffer);
	err = stw_arena_copy(&stack->scratch, relay.via_params, &relay.via_params);
	if (err == 0)
		err = stw_relay_session(response, box->session_s, &stack->scratch, &relay.lines);
	if (err == 0)
		err = stw_relay_build(&relay, &stack->scratch, &slices);
	if (err < 0) {
		reply_not_relayed(box, response->code, err);
		return;
	}
	if (response->code >= 200)
		reply_answered(box);
	reply_note(box, &note);
	if (response->code >= 200 && box->service)
		service_ended(box, response->code, response);
	reply_give(box, response->code, slices);
}

/* ---- what the core may ask ----------------------------------------------------------- */

/* Copy the message out of the batch; the stamp and the routing borrow from it anew. */
int box_keep(struct box *box)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_msg *kept;
	int err;

	if (box->kept)
		return 0;
	if (stack->handed && box->request.msg == stack->msg) {
		box->kept = stw_block_ref(stack->handed);
		stw_block_count(box->kept, &stack->large_bytes);
		return 0;
	}
	err = stw_msg_keep(box->request.msg, &box->kept, &kept);
	if (err < 0)
		return err;
	stw_block_count(box->kept, &stack->large_bytes);
	/* The stamp's text lies in the request itself; only the routing borrowed from the batch. */
	stw_proxy_routing_move(&box->request.routing, box->request.msg, kept);
	box->request.msg = kept;
	return 0;
}

/* From here on the request has state and is freed at the end of a batch. */
void box_make_alive(struct box *box)
{
	struct stw_stack *stack = box->request.stack;

	if (box->alive)
		return;
	box->alive = true;
	box->live_next = stack->live;
	box->live_link = &stack->live;
	if (stack->live)
		stack->live->live_link = &box->live_next;
	stack->live = box;
	stack->live_count++;
	asked_begin(box);
}

int stw_request_wait(struct stw_request *request)
{
	struct box *box = box_of(request);
	struct stw_stack *stack = request->stack;
	bool reliable = stw_transport_reliable(request->source.transport);
	int err;

	if (request->tx)
		return 0;
	err = box_keep(box);
	if (err == 0)
		err = stw_tx_server_new(
			stack->transactions, request->msg, reliable, stack->now, &request->tx);
	if (err < 0)
		return err;
	request->tx->user = box;
	box->waiting = true;
	box_make_alive(box);
	return 0;
}

int stw_request_hold(struct stw_request *request)
{
	struct box *box = box_of(request);
	int err = stw_request_wait(request);

	if (err < 0)
		return err;
	box->held = box->waiting = true;
	if (request->msg->method == STW_METHOD_INVITE && !box->tried)
		reply_trying(box);
	return 0;
}

void stw_request_leave(struct stw_request *request)
{
	box_of(request)->waiting = false;
	stack_dirty(box_of(request));
}

struct stw_random *stw_request_random(struct stw_request *request)
{
	return &request->stack->random;
}

const struct stw_cause *stw_request_validate(struct stw_request *request, struct stw_refusal *ret)
{
	ret->cause = stw_proxy_validate(
		&request->stack->options.proxy, request->msg, &request->arena, &ret->headers);
	return ret->cause;
}

void stw_request_consume(struct stw_request *request, struct stw_str realm)
{
	const struct stw_msg *msg = request->msg;
	const struct stw_field *field = stw_msg_find(msg, STW_HDR_PROXY_AUTHORIZATION);
	struct stw_credentials credentials;

	if (!field ||
		stw_credentials_find(msg, STW_HDR_PROXY_AUTHORIZATION, realm, &credentials) < 0)
		return;
	while (field && field->end <= (uint32_t)(credentials.realm.ptr - msg->data))
		field = stw_msg_find_next(msg, field);
	request->consumed = field ? field->value : 0;
}

const struct stw_cause *stw_request_preprocess(struct stw_request *request)
{
	struct box *box = box_of(request);

	if (!box->routed)
		box->routing_error = stw_proxy_preprocess(&request->stack->options.proxy,
			request->msg, &request->arena, &request->routing);
	box->routed = true;
	return box->routing_error < 0 ? &stw_cause_bad_route : NULL;
}

void stw_request_drop(struct stw_request *request, const struct stw_cause *cause)
{
	stack_drop(request->stack, &request->source, request->msg, cause);
	box_of(request)->waiting = false;
	stack_dirty(box_of(request));
}

/* A 2xx to REGISTER or OPTIONS, or a refusal: the core has decided. */
static void request_finish(
	struct stw_request *request, const struct stw_refusal *refusal, unsigned code)
{
	struct box *box = box_of(request);

	if (request->msg->method == STW_METHOD_ACK || code == 0) {
		stw_request_drop(request, refusal->cause);
		return;
	}
	reply_own(box, refusal, code);
	box->waiting = false;
	stack_dirty(box);
}

void stw_request_refuse(struct stw_request *request, const struct stw_refusal *refusal)
{
	request_finish(request, refusal, refusal->cause->code);
}

void stw_request_respond(struct stw_request *request, unsigned code, struct stw_str headers,
	const struct stw_cause *cause)
{
	struct stw_refusal refusal = { .cause = cause, .headers = headers };

	/* A non-INVITE success is repeated for a retransmission: it needs a transaction (§17.2.2).
	 * OPTIONS does nothing, so a copy of it gets the same answer without one (§8.2.7): asking
	 * costs us no state. */
	if (code < 300 && request->msg->method != STW_METHOD_OPTIONS &&
		stw_request_wait(request) < 0)
		return;
	request_finish(request, &refusal, code);
}
