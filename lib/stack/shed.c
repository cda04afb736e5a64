/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Row F12 before all others: in a flood (stw_overload_floods()) a request that begins something is
 * refused or dropped after a short look, because to read it and to tell of it costs more than
 * there is; and the ACK of such a refusal ends here. What may be urgent, what belongs to a
 * transaction, and all that is not plain is read as ever; and so are one of each source a second,
 * so that the records say what happens.
 */
#include <strowger/stack.h>

#include <string.h>

#include "internal.h"

#define SHED_REPLY_BYTES 512 /* beside what is repeated */

/* ---- what is left to the others -------------------------------------------------- */

static bool method_may_be_shed(enum stw_method method)
{
	return method != STW_METHOD_BYE && method != STW_METHOD_CANCEL &&
	       method != STW_METHOD_PRACK;
}

/* The digits of one are all the digits of the other? Separators say nothing (RFC 3966 §5.1.1). */
static bool same_digits(struct stw_str user, struct stw_str number)
{
	size_t i = 0, j = 0;

	for (;;) {
		while (i < user.len && (user.ptr[i] < '0' || user.ptr[i] > '9'))
			i++;
		while (j < number.len && (number.ptr[j] < '0' || number.ptr[j] > '9'))
			j++;
		if (i == user.len || j == number.len)
			return i == user.len && j == number.len;
		if (user.ptr[i++] != number.ptr[j++])
			return false;
	}
}

/* An emergency call, or perhaps one: not a sip URI, or a number that is dialled then. */
static bool uri_may_be_urgent(const struct stw_stack *stack, struct stw_str uri)
{
	const struct stw_str scheme = STW_STR("sip:");
	struct stw_str user;

	if (!stw_str_equal_nocase(stw_str_cut(uri, 0, scheme.len), scheme))
		return true;
	user = stw_str_cut(uri, scheme.len, stw_str_find(uri, '@', scheme.len));
	if (!user.len || user.ptr[0] < '!' || user.ptr[0] > '9')
		return false;
	user = stw_str_cut(user, 0, stw_str_find(user, ';', 0));
	if (memchr(user.ptr, '%', user.len))
		return true;
	for (unsigned i = 0; i < stack->options.urgent_user_count; i++) {
		if (same_digits(user, stack->options.urgent_users[i]))
			return true;
	}
	return false;
}

static bool is_elsewhere(const struct stw_stack *stack, struct stw_str call_id)
{
	const struct stw_workers *workers = stack->options.workers;

	return workers && stw_workers_owner(workers, call_id) != stack->options.flows.worker;
}

/* Is it the turn of this source to have a record? Sources share places: some have fewer. */
static bool source_is_noted(struct stw_stack *stack, const struct stw_addr *addr)
{
	uint32_t second = (uint32_t)(stack->now.mono_ms / 1000) + 1;
	uint64_t words[2], slot;

	_Static_assert(sizeof(words) == sizeof(addr->ip), "a whole address");
	memcpy(words, addr->ip, sizeof(words));
	slot = ((words[0] ^ words[1] * 31) * UINT64_C(0x9e3779b97f4a7c15) >> 32) % SHED_SOURCES;
	if (stack->shed_noted[slot] == second)
		return false;
	stack->shed_noted[slot] = second;
	return true;
}

/* ---- the answer ------------------------------------------------------------------------ */

/* What a transaction would be found by, and the To tag follows from. Those of RFC 2543 are found by
 * more, and what comes by one is read. */
static bool answer_read(struct stw_stack *stack, const struct stw_msg_peek *peek)
{
	struct stw_msg *msg = &stack->shed_msg;

	if (stw_via_parse(peek->via, &msg->via) < 0 || !stw_tx_has_cookie(msg->via.branch) ||
		msg->via.has_oc || msg->via.is_stamped || msg->via.maddr.ptr ||
		stw_cseq_parse(peek->cseq, &msg->cseq) < 0 || msg->cseq.method != peek->method ||
		stw_msg_peek_tag(peek->from, &msg->from.tag) < 0)
		return false;
	msg->is_request = msg->has_via = true;
	msg->method = peek->method;
	msg->data = peek->method_name.ptr;
	msg->method_len = (uint32_t)peek->method_name.len;
	msg->call_id = peek->call_id;
	msg->tx_hash = msg->merge_hash = 0;
	stw_tx_expect_request(stack->transactions, msg);
	return true;
}

/* §18.2.1, RFC 3581 §4. */
static void via_write(struct stw_writer *writer, const struct stw_via *via, struct stw_str value,
	const struct stw_addr *source)
{
	size_t at = via->has_rport ? via->rport_at : value.len;
	struct stw_via_stamp stamp;

	stw_via_stamp(via, source, &stamp);
	stw_write_text(writer, "Via: ");
	stw_write_str(writer, stw_str_cut(value, 0, at));
	if (stamp.rport) {
		stw_write_char(writer, '=');
		stw_write_uint(writer, stamp.rport);
	}
	if (stamp.received.len) {
		stw_write_text(writer, ";received=");
		stw_write_str(writer, stamp.received);
	}
	stw_write_str(writer, stw_str_cut(value, at, value.len));
}

static void line_write(struct stw_writer *writer, const char *name, struct stw_str value)
{
	stw_write_text(writer, name);
	stw_write_str(writer, value);
}

static bool answer_write(struct stw_stack *stack, const struct stw_hop *hop,
	const struct stw_msg_peek *peek, const struct stw_cause *cause, struct stw_writer *writer)
{
	char tag[24];

	stw_write_text(writer, "SIP/2.0 ");
	stw_write_uint(writer, cause->code);
	stw_write_char(writer, ' ');
	stw_write_text(writer, cause->phrase);
	stw_write_text(writer, "\r\n");
	via_write(writer, &stack->shed_msg.via, peek->via, &hop->remote);
	for (unsigned i = 1; i < peek->via_count; i++)
		line_write(writer, "\r\n", peek->vias[i]);
	line_write(writer, "\r\nFrom: ", peek->from);
	line_write(writer, "\r\nTo: ", peek->to);
	line_write(writer, ";tag=", reply_tag(stack, &stack->shed_msg, tag));
	line_write(writer, "\r\nCall-ID: ", peek->call_id);
	line_write(writer, "\r\nCSeq: ", peek->cseq);
	/* As retry_after(): not for a server, which would stop all of its users. */
	if (stack->options.retry_after_s && peek->via_count == 1) {
		stw_write_text(writer, "\r\nRetry-After: ");
		stw_write_uint(
			writer, 1 + stw_random_below(&stack->random, stack->options.retry_after_s));
	}
	stw_write_text(writer, "\r\nContent-Length: 0\r\n\r\n");
	return !writer->overflow;
}

/* Those for one connection go out together: each would be a system call. */
static void answer_send(struct stw_stack *stack, struct stw_hop *reply, struct stw_str text)
{
	if (!stw_flow_id_set(reply->flow)) {
		stack_send(stack, reply, (struct stw_slices){ &text, 1 });
		return;
	}
	if (stack->shed_count == SHED_ANSWERS)
		stack_shed_flush(stack);
	stack->shed_hop = *reply;
	stack->shed_answers[stack->shed_count++] = text;
}

void stack_shed_flush(struct stw_stack *stack)
{
	struct stw_slices answers = { stack->shed_answers, stack->shed_count };

	if (!stack->shed_count)
		return;
	stack->shed_count = 0;
	stack_send(stack, &stack->shed_hop, answers);
}

static size_t answer_bytes(const struct stw_msg_peek *peek)
{
	size_t bytes = SHED_REPLY_BYTES + peek->from.len + peek->to.len + peek->call_id.len +
		       peek->cseq.len;

	for (unsigned i = 0; i < peek->via_count; i++)
		bytes += peek->vias[i].len;
	return bytes;
}

/* @return false: it has to be read after all */
static bool answer(struct stw_stack *stack, const struct stw_hop *hop,
	const struct stw_msg_peek *peek, const struct stw_cause *cause)
{
	size_t capacity = answer_bytes(peek);
	struct stw_writer writer;
	struct stw_hop reply;
	struct stw_str text;
	char *buffer;

	if (stw_response_target(&stack->shed_msg.via, hop, &reply) < 0)
		return false;
	buffer = stw_arena_bytes(&stack->scratch, capacity);
	if (!buffer)
		return false;
	stw_writer_init(&writer, buffer, capacity);
	if (!answer_write(stack, hop, peek, cause, &writer))
		return false;
	text = stw_writer_text(&writer);
	stack->stats.stateless++;
	stack->stats.responses_out++;
	answer_send(stack, &reply, text);
	return true;
}

/* ---- the verdict -------------------------------------------------------------------------- */

const struct stw_cause *shed_source(struct stw_stack *stack, const struct stw_addr *source)
{
	enum stw_overload_verdict verdict;

	if (!source_limited(stack, source))
		return NULL;
	verdict = stw_sources_admit(
		stack->options.sources, &stack->options.source_limits, source, stack->now);
	if (verdict == STW_OVERLOAD_ADMIT)
		return NULL;
	if (verdict == STW_OVERLOAD_DROP) {
		stack->stats.source_dropped++;
		return &stw_cause_source_flood;
	}
	stack->stats.source_refused++;
	return &stw_cause_source_limit;
}

static const struct stw_cause *shed_waited(struct stw_stack *stack, enum stw_method method)
{
	enum stw_overload_class class =
		method == STW_METHOD_REGISTER ? STW_OVERLOAD_REGISTER : STW_OVERLOAD_NEW;

	switch (stw_overload_admit(&stack->overload, class, &stack->arrival, stack->now)) {
	case STW_OVERLOAD_ADMIT:
		return NULL;
	case STW_OVERLOAD_REFUSE:
		return &stw_cause_overload;
	case STW_OVERLOAD_DROP:
		break;
	}
	return &stw_cause_overload_dropped;
}

/* Of a refusal that was sent without state: as ack_of_stateless(), before it is read. However short
 * it has waited: there is one for each refusal. */
static bool shed_ack(struct stw_stack *stack, const char *data, size_t len)
{
	const struct stw_str ours = STW_STR(";tag=" REPLY_TAG);
	struct stw_msg_peek peek;
	struct stw_str tag;
	char buffer[24];

	if (!memmem(data, len, ours.ptr, ours.len) || !stw_msg_peek(data, len, &peek) ||
		peek.method != STW_METHOD_ACK || is_elsewhere(stack, peek.call_id) ||
		stw_msg_peek_tag(peek.to, &tag) < 0 || !answer_read(stack, &peek) ||
		!stw_str_equal(tag, reply_tag(stack, &stack->shed_msg, buffer)) ||
		stw_tx_match_request(stack->transactions, &stack->shed_msg))
		return false;
	stack->stats.requests_in++;
	stack->stats.unrecorded++;
	return true;
}

bool stack_shed(struct stw_stack *stack, const struct stw_hop *hop, const char *data, size_t len)
{
	const struct stw_cause *cause;
	struct stw_msg_peek peek;

	if (len > 4 && memcmp(data, "ACK ", 4) == 0)
		return stw_overload_refuses(&stack->overload) && shed_ack(stack, data, len);
	if (!stw_overload_floods(&stack->overload, &stack->arrival) ||
		!stw_msg_peek(data, len, &peek) || is_elsewhere(stack, peek.call_id))
		return false;
	if (!method_may_be_shed(peek.method) || !answer_read(stack, &peek) ||
		uri_may_be_urgent(stack, peek.uri) || source_is_noted(stack, &hop->remote) ||
		stw_tx_match_request(stack->transactions, &stack->shed_msg))
		return false;
	cause = shed_source(stack, &hop->remote);
	if (!cause)
		cause = shed_waited(stack, peek.method);
	stack->admitted = !cause; /* it is not counted again */
	if (!cause || (cause->code && !answer(stack, hop, &peek, cause)))
		return false;
	stack->stats.requests_in++;
	stack->stats.unrecorded++;
	stack->stats.dropped += !cause->code;
	return true;
}
