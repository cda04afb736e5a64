/* SPDX-License-Identifier: Apache-2.0 */
/* Row F12: is there room for what this request begins? In this order: what its source may ask for,
 * the time it has waited, the transactions there are and how large they are, and what the core
 * says. */
#include <strowger/stack.h>

#include "internal.h"

/* When the phone that sent it shall come again, each at another time. A server upstream is told
 * nothing: it would stop all of its users at once (RFC 7339 §5.10.2). */
static struct stw_str retry_after(struct box *box, struct stw_writer *writer)
{
	struct stw_stack *stack = box->request.stack;
	struct stw_values values = stw_msg_vias_below(stack->msg);
	size_t from = writer->len;
	struct stw_str value;

	if (stack->msg->via.has_oc || !stack->options.retry_after_s ||
		stw_values_next(&values, &value))
		return STW_STR_NONE;
	stw_write_format(writer, "Retry-After: %u\r\n",
		1 + (unsigned)stw_random_below(&stack->random, stack->options.retry_after_s));
	return stw_str_cut(stw_writer_text(writer), from, writer->len);
}

bool source_limited(const struct stw_stack *stack, const struct stw_addr *addr)
{
	const struct stw_stack_options *options = &stack->options;

	return options->sources && !stw_networks_have(options->exempt, options->exempt_count, addr);
}

static struct stw_str number_text(struct stw_writer *writer, uint64_t number)
{
	size_t from = writer->len;

	stw_write_uint(writer, number);
	return stw_str_cut(stw_writer_text(writer), from, writer->len);
}

/* A To tag alone gives no priority: our mark in the Route does. */
static bool in_dialog(struct box *box)
{
	return box->request.msg->to.tag.ptr && !stw_request_preprocess(&box->request) &&
	       box->request.routing.in_dialog;
}

/* What it ends is not here: else it would not be asked whether it may come in. */
static bool ends_something(enum stw_method method)
{
	return method == STW_METHOD_BYE || method == STW_METHOD_PRACK ||
	       method == STW_METHOD_CANCEL;
}

/* In earnest, what ends something comes again: it is never refused, and beyond the limit not
 * answered, or whoever writes such a method could have any number of answers sent to others. */
static const struct stw_cause *admit_source(
	struct box *box, bool known, struct stw_refusal *ret, struct stw_writer *writer)
{
	struct stw_stack *stack = box->request.stack;
	const struct stw_source_limits *limits = &stack->options.source_limits;
	enum stw_overload_verdict verdict;

	verdict = stw_sources_admit(
		stack->options.sources, limits, &box->request.source.remote, stack->now);
	if (verdict == STW_OVERLOAD_ADMIT)
		return NULL;
	ret->option = known ? "limits.known_source_rate" : "limits.source_rate";
	stw_refusal_fact(ret, "limit",
		number_text(writer, known ? limits->known_rate : limits->stranger_rate));
	stw_refusal_fact(ret, "source", known ? STW_STR("known") : STW_STR("stranger"));
	if (verdict == STW_OVERLOAD_DROP || ends_something(stack->msg->method)) {
		stack->stats.source_dropped++;
		return &stw_cause_source_flood;
	}
	stack->stats.source_refused++;
	ret->headers = retry_after(box, writer);
	return &stw_cause_source_limit;
}

struct stw_overload_arrival stack_arrival(
	const struct stw_stack *stack, const struct stw_io_event *event)
{
	unsigned queue = event->hop.listener * STW_QUEUES;
	bool stream = event->hop.transport != STW_TRANSPORT_UDP;

	if (event->queue < STW_QUEUES)
		queue += event->queue;
	return (struct stw_overload_arrival){ .queue = queue,
		.waited_us = event->waited_us,
		.standing = event->queue_stands,
		.cut = !stream && stack->rooms[queue] != UINT32_MAX,
		.stream = stream };
}

static const struct stw_cause *admit_waited(struct box *box, enum stw_overload_class class,
	struct stw_refusal *ret, struct stw_writer *writer)
{
	struct stw_stack *stack = box->request.stack;
	enum stw_overload_verdict verdict;

	verdict = stw_overload_admit(&stack->overload, class, &stack->arrival, stack->now);
	if (verdict == STW_OVERLOAD_ADMIT)
		return NULL;
	ret->option = "overload.target_delay";
	stw_refusal_fact(ret, "waited_ms", number_text(writer, stack->arrival.waited_us / 1000));
	if (verdict == STW_OVERLOAD_DROP)
		return &stw_cause_overload_dropped;
	ret->headers = retry_after(box, writer);
	return &stw_cause_overload;
}

static bool is_emergency(const struct stw_stack *stack)
{
	const struct stw_core_ops *core = stack->options.core;

	return core->emergency ? core->emergency(stack->options.core_user, stack->msg)
			       : stw_overload_is_emergency(stack->msg);
}

static const struct stw_cause *admit_new(
	struct box *box, struct stw_refusal *ret, struct stw_writer *writer)
{
	struct stw_stack *stack = box->request.stack;
	const struct stw_addr *remote = &box->request.source.remote;
	bool limited = source_limited(stack, remote);
	bool known = limited && stw_sources_known(stack->options.sources, remote, stack->now);
	bool inside = in_dialog(box);
	enum stw_overload_class class =
		stw_overload_classify(stack->msg, inside, known || !limited);
	const struct stw_cause *cause = NULL;

	if (limited && !inside)
		cause = admit_source(box, known, ret, writer);
	return cause ? cause : admit_waited(box, class, ret, writer);
}

/* RFC 7339 §5.10.1: what belongs to running calls has room left when new work has none; what ends
 * a call that we know as much again, since each INVITE that was let in is followed by a BYE; and an
 * emergency most. A To tag proves nothing, and a BYE without our mark no more than that. */
static uint32_t admit_room(struct box *box, bool emergency)
{
	const struct stw_stack *stack = box->request.stack;
	uint32_t max = stack->options.max_transactions;
	enum stw_method method = stack->msg->method;
	bool ends = ends_something(method);
	unsigned eighths = 0;

	if (emergency)
		eighths = 9;
	else if (in_dialog(box))
		eighths = ends ? 8 : 2;
	else if (ends || stack->msg->to.tag.ptr)
		eighths = 1;
	return max + eighths * (max / 8);
}

/* @return true: there is room */
static bool admit_kept(
	struct box *box, bool emergency, struct stw_refusal *ret, struct stw_writer *writer)
{
	struct stw_stack *stack = box->request.stack;
	size_t used = stack_room_used(stack) + stack->room_elsewhere;
	uint32_t room = admit_room(box, emergency);

	if (used < room)
		return true;
	stack->stats.room_refused++;
	ret->option = "limits.max_transactions";
	ret->headers = STW_STR("Retry-After: 5\r\n");
	ret->cause = &stw_cause_transaction_limit;
	stw_refusal_fact(ret, "limit", number_text(writer, room));
	stw_refusal_fact(ret, "used", number_text(writer, used));
	return false;
}

const struct stw_cause *admit_request(
	struct box *box, struct stw_refusal *ret, char buffer[ADMIT_BYTES])
{
	struct stw_stack *stack = box->request.stack;
	const struct stw_core_ops *core = stack->options.core;
	enum stw_method method = stack->msg->method;
	struct stw_writer writer;
	bool emergency;

	if (method == STW_METHOD_ACK)
		return NULL;
	stw_writer_init(&writer, buffer, ADMIT_BYTES);
	emergency = is_emergency(stack);
	if (!emergency && !stack->admitted)
		ret->cause = admit_new(box, ret, &writer);
	if (ret->cause || method == STW_METHOD_CANCEL)
		return ret->cause;
	if (admit_kept(box, emergency, ret, &writer) && core->admit && !emergency &&
		!in_dialog(box) && !ends_something(method))
		ret->cause = core->admit(stack->options.core_user, stack->msg, &ret->headers);
	return ret->cause;
}
