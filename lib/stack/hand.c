/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one worker to another. A message whose Call-ID belongs to another worker goes there once,
 * parsed; what has to leave on a connection of another worker goes back as one piece of bytes. What
 * a parcel carries lies in its own block, so that one allocation and one pointer are all.
 */
#include <strowger/stack.h>

#include <errno.h>
#include <string.h>

#include "internal.h"

/* What a turn takes from all others, and at least from each: a message costs about so many times as
 * much as what is only passed on. The next turn is that of the own sockets. */
#define TURN_COST     4096 /* what a poll brings, and some */
#define TURN_COST_MIN 256
#define MESSAGE_COST  4
/* How much of a ring, in quarters, may be taken by what can wait here, by new requests that came as
 * datagrams, and by what ends or answers something. */
#define RING_STREAMS  2
#define RING_REQUESTS 3
#define RING_URGENT   4
/* Parcels that wait here for room: nothing else is sent beyond the first, answers up to the second.
 * Messages of streams have no bound but that nothing is read while they wait (stack_hold()). */
#define OUTBOX_REQUESTS 8192
#define OUTBOX_ANSWERS  65536

void parcel_free(struct parcel *parcel)
{
	stw_block_unref(parcel->block);
}

static struct parcel *parcel_in(struct stw_block *block, enum parcel_kind kind)
{
	struct parcel *parcel = (struct parcel *)(void *)block->data;

	*parcel = (struct parcel){ .kind = kind, .block = block };
	return parcel;
}

/* NULL: no memory. */
static struct parcel *parcel_new(enum parcel_kind kind, size_t bytes)
{
	struct stw_block *block;

	if (stw_block_new(sizeof(struct parcel) + bytes, &block) < 0)
		return NULL;
	return parcel_in(block, kind);
}

/* ---- out ------------------------------------------------------------------------- */

/* What waited first goes first. */
static void outbox_push(struct stw_stack *stack, unsigned to)
{
	struct outbox *outbox = &stack->outboxes[to];
	struct stw_ring *ring =
		workers_ring(stack->options.workers, stack->options.flows.worker, to);

	while (outbox->first) {
		struct parcel *next = outbox->first->next;

		if (stw_ring_push_within(ring, outbox->first, RING_STREAMS) < 0)
			break; /* else it is not ours any more */
		stack->handed_to |= UINT64_C(1) << to;
		outbox->first = next;
		outbox->count--;
		stack->outbox_count--;
	}
}

static int outbox_add(struct stw_stack *stack, unsigned to, struct parcel *parcel, unsigned max)
{
	struct outbox *outbox = &stack->outboxes[to];

	if (outbox->count >= max)
		return -ENOBUFS;
	parcel->next = NULL;
	if (outbox->first)
		outbox->last->next = parcel;
	else
		outbox->first = parcel;
	outbox->last = parcel;
	outbox->count++;
	stack->outbox_count++;
	return 0;
}

static int parcel_pushed(struct stw_stack *stack, unsigned to, struct parcel *parcel, int err)
{
	if (err < 0) {
		stack->stats.handed_lost++;
		parcel_free(parcel);
		return err;
	}
	stack->handed_to |= UINT64_C(1) << to;
	return 0;
}

/*
 * Takes the parcel, also on failure. It may wait for room, behind no more than `waits_max` others;
 * those to one worker stay in order.
 * @return 0; -ENOBUFS the other worker does not keep up
 */
static int parcel_push(
	struct stw_stack *stack, unsigned to, struct parcel *parcel, unsigned waits_max)
{
	struct stw_ring *ring =
		workers_ring(stack->options.workers, stack->options.flows.worker, to);
	int err = -ENOBUFS;

	parcel->from = stack->options.flows.worker;
	outbox_push(stack, to);
	if (!stack->outboxes[to].first)
		err = stw_ring_push_within(ring, parcel, RING_STREAMS);
	if (err < 0)
		err = outbox_add(stack, to, parcel, waits_max);
	return parcel_pushed(stack, to, parcel, err);
}

/* What does not wait: it goes past what does. The same otherwise. */
static int parcel_push_now(
	struct stw_stack *stack, unsigned to, struct parcel *parcel, unsigned quarters)
{
	struct stw_ring *ring =
		workers_ring(stack->options.workers, stack->options.flows.worker, to);

	parcel->from = stack->options.flows.worker;
	return parcel_pushed(stack, to, parcel, stw_ring_push_within(ring, parcel, quarters));
}

bool stack_is_elsewhere(const struct stw_stack *stack, unsigned *ret_owner)
{
	const struct stw_workers *workers = stack->options.workers;

	if (!workers)
		return false;
	*ret_owner = workers_owner(workers, stack->msg);
	return *ret_owner != stack->options.flows.worker;
}

/* By its method, or because the kernel has found a sign of it (lib/io/sort.c). */
static bool message_is_urgent(const struct stw_stack *stack)
{
	enum stw_method method = stack->msg->method;

	return !stack->msg->is_request || method == STW_METHOD_ACK || method == STW_METHOD_BYE ||
	       method == STW_METHOD_CANCEL || method == STW_METHOD_PRACK ||
	       stack->arrival.queue % STW_QUEUES == STW_QUEUE_URGENT;
}

/* A datagram finds room or is lost, as on a network: its sender repeats it. A message of a stream
 * has no sender who would: it waits. */
static int message_push(struct stw_stack *stack, unsigned owner, struct parcel *parcel, bool stream)
{
	if (stream)
		return parcel_push(stack, owner, parcel, UINT32_MAX);
	return parcel_push_now(
		stack, owner, parcel, message_is_urgent(stack) ? RING_URGENT : RING_REQUESTS);
}

int stack_hand_message(struct stw_stack *stack, unsigned owner, const struct stw_hop *hop)
{
	bool stream = stw_transport_reliable(hop->transport);
	struct parcel *parcel;
	struct stw_block *block;
	struct stw_msg *msg;
	int err;

	err = stw_msg_keep_behind(stack->msg, sizeof(*parcel), &block, &msg);
	if (err < 0)
		return err;
	parcel = parcel_in(block, PARCEL_MESSAGE);
	parcel->hop = *hop;
	parcel->msg = msg;
	parcel->handed_ms = stack->now.mono_ms;
	parcel->arrival = stack->arrival;
	err = message_push(stack, owner, parcel, stream);
	if (err < 0)
		return err;
	stack->stats.handed_out++;
	if (stream && stack->msg->is_request)
		stw_flows_handed(stack->flows, hop->flow, owner);
	return 0;
}

int stack_hand_bytes(
	struct stw_stack *stack, const struct stw_hop *hop, uint16_t port, struct stw_slices slices)
{
	size_t bytes = stw_slices_bytes(slices);
	struct parcel *parcel = parcel_new(PARCEL_SEND, bytes);

	if (!parcel)
		return -ENOMEM;
	parcel->hop = *hop;
	parcel->port = port;
	parcel->opens = stw_flows_is_opening(stack->flows, hop->flow);
	parcel->bytes = (struct stw_str){ (char *)(parcel + 1), bytes };
	stw_slices_flatten(slices, (char *)(parcel + 1));
	return parcel_push(
		stack, hop->flow.worker, parcel, port ? OUTBOX_ANSWERS : OUTBOX_REQUESTS);
}

/* OPENED or CLOSED. Rare, and never lost: who waits for an answer on this flow would wait for its
 * timer. */
static void hand_word(
	struct stw_stack *stack, unsigned to, enum parcel_kind kind, const struct stw_hop *hop)
{
	struct parcel *parcel = parcel_new(kind, 0);

	if (!parcel)
		return;
	parcel->hop = *hop;
	parcel_push(stack, to, parcel, UINT32_MAX);
}

static void tell_users(
	struct stw_stack *stack, uint64_t users, enum parcel_kind kind, struct stw_flow_id flow)
{
	struct stw_hop hop = { .flow = flow };

	for (unsigned to = 0; users; to++, users >>= 1) {
		if (users & 1)
			hand_word(stack, to, kind, &hop);
	}
}

void stack_tell_opened(struct stw_stack *stack, struct stw_flow_id flow)
{
	tell_users(stack, stw_flows_users(stack->flows, flow), PARCEL_OPENED, flow);
}

void stack_tell_closed(struct stw_stack *stack, struct stw_flow_id flow, uint64_t users)
{
	tell_users(stack, users, PARCEL_CLOSED, flow);
}

/* Asks those who have requests of this flow for a word behind their answers. @return true: none can
 * be asked, the flow may be closed */
bool stack_tell_leaves(struct stw_stack *stack, struct stw_flow_id flow, uint64_t handed)
{
	bool left = false;

	for (unsigned to = 0; handed; to++, handed >>= 1) {
		struct parcel *parcel;

		if (!(handed & 1) || to == stack->options.worker)
			continue;
		parcel = parcel_new(PARCEL_LEAVES, 0);
		if (!parcel) {
			left = stw_flows_left(stack->flows, flow);
			continue;
		}
		parcel->hop.flow = flow;
		parcel_push(stack, to, parcel, UINT32_MAX);
	}
	return left;
}

/* What a timer finds out as well leaves the room in a ring to messages. */
static bool tell_has_room(struct stw_stack *stack, unsigned to, unsigned waits_max)
{
	return waits_max ||
	       !stw_ring_half_full(workers_ring(stack->options.workers, stack->options.worker, to));
}

/* To all others, each in a parcel of its own; lost where there is no room. @return how many */
static unsigned tell_all(struct stw_stack *stack, const struct parcel *like, unsigned waits_max)
{
	const struct stw_workers *workers = stack->options.workers;
	unsigned told = 0;

	for (unsigned to = 0; workers && to < stw_workers_count(workers); to++) {
		struct parcel *parcel;

		if (to == stack->options.worker || !tell_has_room(stack, to, waits_max))
			continue;
		parcel = parcel_new(like->kind, like->bytes.len);
		if (!parcel)
			break;
		if (like->bytes.len)
			memcpy(parcel + 1, like->bytes.ptr, like->bytes.len);
		parcel->bytes = (struct stw_str){ (char *)(parcel + 1), like->bytes.len };
		parcel->hop = like->hop;
		parcel->error = like->error;
		parcel->for_ms = like->for_ms;
		parcel->answered = like->answered;
		parcel_push(stack, to, parcel, waits_max);
		told++;
	}
	return told;
}

/* The kernel tells an error of ICMP to the socket that the addresses lead to, which need not be the
 * one that sent: whose request or response it was knows its owner. @return how many are told */
unsigned stack_tell_failed(struct stw_stack *stack, const struct stw_io_event *event)
{
	struct parcel like = { .kind = PARCEL_FAILED,
		.hop = event->hop,
		.bytes = { event->data, event->len },
		.error = event->error };

	return tell_all(stack, &like, 0);
}

/* One worker has learnt it: the others need not wait for a timer of their own. */
void stack_tell_outage(struct stw_stack *stack, const struct stw_place *place, uint32_t for_ms)
{
	struct parcel like = { .kind = PARCEL_OUTAGE,
		.hop = { .transport = place->transport, .remote = place->addr },
		.for_ms = for_ms };

	tell_all(stack, &like, 0);
}

/* What comes from there is no stranger's to the others either. */
void stack_tell_account(
	struct stw_stack *stack, struct stw_str name, const struct stw_addr *addr, bool answered)
{
	struct parcel like = {
		.kind = PARCEL_ACCOUNT, .hop.remote = *addr, .bytes = name, .answered = answered
	};

	tell_all(stack, &like, OUTBOX_REQUESTS);
}

/*
 * While something waits here no stream is read: what one poll has brought is all that can wait, and
 * TCP keeps the peers back. The rings to us are emptied all the same, so that no two workers wait
 * for each other.
 */
static void stack_hold(struct stw_stack *stack)
{
	const struct stw_io_ops *io = stack->options.io;
	bool holds = stack->outbox_count > 0;

	if (holds != stack->holds && io->hold)
		io->hold(stack->options.io_user, holds);
	stack->holds = holds;
}

/* The batch is over: who sleeps and has something new is woken, once. */
void stack_hand_end(struct stw_stack *stack)
{
	struct parcel *next;

	for (unsigned to = 0; stack->outbox_count && to < stw_workers_count(stack->options.workers);
		to++)
		outbox_push(stack, to);
	if (stack->handed_to)
		workers_call(stack->options.workers, stack->handed_to);
	stack->handed_to = 0;
	stack_hold(stack);
	for (; stack->taken; stack->taken = next) {
		next = stack->taken->next;
		parcel_free(stack->taken);
	}
}

/* ---- in ------------------------------------------------------------------------------ */

/* In that queue of the kernel, and then in the ring. */
static struct stw_overload_arrival taken_arrival(
	struct stw_stack *stack, const struct parcel *parcel)
{
	struct stw_overload_arrival arrival = parcel->arrival;
	uint64_t now_ms = stack->now.mono_ms, waited_us = arrival.waited_us;

	if (now_ms > parcel->handed_ms)
		waited_us += (now_ms - parcel->handed_ms) * 1000;
	arrival.waited_us = waited_us > UINT32_MAX ? UINT32_MAX : (uint32_t)waited_us;
	arrival.elsewhere =
		&stack->queues_elsewhere[parcel->from * STW_OVERLOAD_QUEUES + arrival.queue];
	return arrival;
}

static void taken_message(struct stw_stack *stack, struct parcel *parcel)
{
	stack->stats.handed_in++;
	stack->arrival = taken_arrival(stack, parcel);
	stack->msg = parcel->msg;
	stack->handed = parcel->block;
	stack->admitted = false;
	stack->msg_of_flow = false; /* the block lives until the end of the batch */
	stack_receive_own(stack, &parcel->hop);
	stack->msg = &stack->own_msg;
	stack->handed = NULL;
}

/* §18.2.2: the flow of the request is gone, a new one to sent-by takes the response. */
static void taken_response(struct stw_stack *stack, const struct parcel *parcel)
{
	struct stw_hop hop = parcel->hop;

	hop.flow = (struct stw_flow_id){ 0 };
	hop.remote.port = parcel->port;
	if (stack_send(stack, &hop, (struct stw_slices){ &parcel->bytes, 1 }) < 0)
		stack_drop(stack, &hop, NULL, &stw_cause_flow_gone);
}

/* Another worker has something for a peer that is connected to us. */
static void taken_bytes(struct stw_stack *stack, struct parcel *parcel)
{
	const struct stw_io_ops *io = stack->options.io;
	struct stw_hop hop = parcel->hop;
	int err = -ENOTCONN;

	if (!parcel->port && stw_flows_is_leaving(stack->flows, hop.flow) &&
		!stw_str_starts(parcel->bytes, STW_STR("ACK "))) {
		/* Nothing would be heard of it. */
		hand_word(stack, parcel->from, PARCEL_CLOSED, &hop);
		return;
	}
	if (stw_flows_hop(stack->flows, hop.flow, &hop)) {
		stw_flows_used_by(stack->flows, hop.flow, parcel->from);
		stw_flows_sent(stack->flows, hop.flow, stack->now);
		err = io->send(
			stack->options.io_user, &hop, (struct stw_slices){ &parcel->bytes, 1 });
	}
	if (err == -ENOTCONN)
		stw_flows_lost(stack->flows, hop.flow);
	if (err == 0 && parcel->opens && !stw_flows_is_opening(stack->flows, hop.flow))
		hand_word(stack, parcel->from, PARCEL_OPENED, &hop);
	if (err == 0)
		return;
	hand_word(stack, parcel->from, PARCEL_CLOSED, &hop);
	if (err == -ENOTCONN && parcel->port && !parcel->opens)
		taken_response(stack, parcel);
	else
		stack_drop(stack, &hop, NULL, &stw_cause_flow_gone);
}

static void taken_closed(struct stw_stack *stack, const struct parcel *parcel)
{
	struct stw_io_event event = { .kind = STW_IO_CLOSED, .hop = parcel->hop };

	branch_flow_closed(stack, &event);
	reply_flow_closed(stack, parcel->hop.flow);
}

static void taken_failed(struct stw_stack *stack, const struct parcel *parcel)
{
	struct stw_io_event event = { .kind = STW_IO_SEND_FAILED,
		.hop = parcel->hop,
		.data = parcel->bytes.ptr,
		.len = parcel->bytes.len,
		.error = parcel->error };

	if (stack_affords_failure(stack))
		stack_send_failed(stack, &event);
}

static void taken_outage(struct stw_stack *stack, const struct parcel *parcel)
{
	stw_outages_add(stack->outages, parcel->hop.transport, &parcel->hop.remote, parcel->for_ms,
		stack->now);
}

/* Behind all that we have said on this flow. Takes the parcel. */
void parcel_left(struct stw_stack *stack, struct parcel *parcel)
{
	parcel->kind = PARCEL_LEFT;
	parcel_push(stack, parcel->from, parcel, UINT32_MAX);
}

static void parcel_take(struct stw_stack *stack, struct parcel *parcel)
{
	switch (parcel->kind) {
	case PARCEL_MESSAGE:
		taken_message(stack, parcel);
		break;
	case PARCEL_SEND:
		taken_bytes(stack, parcel);
		break;
	case PARCEL_OPENED:
		reply_flow_opened(stack, parcel->hop.flow);
		break;
	case PARCEL_CLOSED:
		taken_closed(stack, parcel);
		break;
	case PARCEL_LEAVES:
		taken_closed(stack, parcel);
		if (!leave_begin(stack, parcel->hop.flow, parcel))
			parcel_left(stack, parcel);
		return;
	case PARCEL_LEFT:
		stack_left_flow(stack, parcel->hop.flow);
		break;
	case PARCEL_FAILED:
		taken_failed(stack, parcel);
		break;
	case PARCEL_OUTAGE:
		taken_outage(stack, parcel);
		break;
	case PARCEL_ACCOUNT:
		account_told(stack, parcel->bytes, &parcel->hop.remote, parcel->answered);
		break;
	}
	parcel->next = stack->taken;
	stack->taken = parcel;
}

static void ring_take(struct stw_stack *stack, struct stw_ring *ring, unsigned cost_max)
{
	struct parcel *parcel;

	for (unsigned cost = 0; cost < cost_max && (parcel = stw_ring_pop(ring));) {
		cost += parcel->kind == PARCEL_MESSAGE ? MESSAGE_COST : 1;
		parcel_take(stack, parcel);
	}
}

void stw_stack_handed(struct stw_stack *stack)
{
	const struct stw_workers *workers = stack->options.workers;
	unsigned self = stack->options.flows.worker, n, cost_max;

	if (!workers)
		return;
	n = stw_workers_count(workers);
	cost_max = TURN_COST / n > TURN_COST_MIN ? TURN_COST / n : TURN_COST_MIN;
	for (unsigned from = 0; from < n; from++) {
		if (from != self)
			ring_take(stack, workers_ring(workers, from, self), cost_max);
	}
}

void stack_hand_free(struct stw_stack *stack)
{
	for (unsigned to = 0; stack->outbox_count && to < STW_WORKERS_MAX; to++) {
		struct parcel *parcel = stack->outboxes[to].first, *next;

		for (; parcel; parcel = next) {
			next = parcel->next;
			parcel_free(parcel);
		}
	}
}
