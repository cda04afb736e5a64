/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/stack.h>
#include <strowger/uac.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define RESTRAINT_HOPS 64
#define ROOMS_MS       100
#define LEAVE_MS       500 /* T1 */
#define CRLF_4         "\r\n\r\n\r\n\r\n"
#define CRLF_16        CRLF_4 CRLF_4 CRLF_4 CRLF_4
/* A stall may make the timers of thousands of calls due in one batch, each with a response. */
#define SCRATCH_BYTES_MAX (256u * 1024u * 1024u)

void stw_refusal_fact(struct stw_refusal *refusal, const char *key, struct stw_str value)
{
	if (refusal->fact_count < STW_FACTS_MAX)
		refusal->facts[refusal->fact_count++] = (struct stw_fact){ key, value };
}

int stw_refusal_keep(struct stw_refusal *refusal, struct stw_arena *arena)
{
	int err = stw_arena_copy(arena, refusal->phrase, &refusal->phrase);

	if (err == 0)
		err = stw_arena_copy(arena, refusal->headers, &refusal->headers);
	if (err == 0)
		err = stw_arena_copy(arena, refusal->content_type, &refusal->content_type);
	if (err == 0)
		err = stw_arena_copy(arena, refusal->body, &refusal->body);
	for (unsigned i = 0; err == 0 && i < refusal->fact_count; i++)
		err = stw_arena_copy(arena, refusal->facts[i].value, &refusal->facts[i].value);
	if (err < 0)
		*refusal = (struct stw_refusal){ .cause = &stw_cause_out_of_memory };
	return err;
}

const struct stw_stack_dns stw_stack_dns_default = { .max_places = 8,
	.max_srv = 8,
	.max_questions = 16,
	.time_ms = 8000,
	.naptr_ms = 2000,
	.failed_ms = 60000,
	.cache = { .max_names = 10000, .max_bytes = 4u << 20 } };

static unsigned stack_worker_count(const struct stw_stack_options *options)
{
	return options->workers ? stw_workers_count(options->workers) : 1;
}

static void stack_take_options(struct stw_stack *stack, const struct stw_stack_options *options)
{
	stack->options = *options;
	if (!options->dns.max_places)
		stack->options.dns = stw_stack_dns_default;
	stack->locate = (struct stw_locate_options){ .listeners = options->listeners,
		.local_addrs = stack->options.local_addrs,
		.local_addr_count = options->local_addr_count,
		.max_places = stack->options.dns.max_places,
		.max_srv = stack->options.dns.max_srv,
		.max_questions = stack->options.dns.max_questions,
		.loopback = stack->options.dns.loopback };
	stack->options.proxy.listeners = options->listeners;
	stack->options.proxy.key = options->key;
	stack->options.flows.worker = options->worker;
	stack->options.proxy.marks_worker = options->workers != NULL;
	stack->options.proxy.worker = options->worker;
	stack->options.proxy.large_bytes = &stack->large_bytes;
	if (options->workers)
		stack->options.flows.registry = workers_registry(options->workers);
	stack->proxy_foreign = stack->options.proxy;
	stack->proxy_foreign.recurse = stack->proxy_foreign.recurse_asked = false;
	stack->overload.options = options->overload;
	stack->overload.options.workers = stack_worker_count(options);
	stack->overload.options.key = options->key;
	if (options->io->urgent)
		options->io->urgent(
			options->io_user, options->urgent_users, options->urgent_user_count);
}

/* What other workers have read from their queues says nothing of ours. */
static int stack_know_queues(struct stw_stack *stack)
{
	if (!stack->options.workers)
		return 0;
	stack->queues_elsewhere =
		calloc((size_t)stack_worker_count(&stack->options) * STW_OVERLOAD_QUEUES,
			sizeof(*stack->queues_elsewhere));
	return stack->queues_elsewhere ? 0 : -ENOMEM;
}

int stw_stack_new(
	const struct stw_stack_options *options, struct stw_now now, struct stw_stack **ret)
{
	struct stw_stack *stack = calloc(1, sizeof(*stack));
	int err;

	if (!stack)
		return -ENOMEM;
	stw_overload_init(&stack->overload, &options->overload);
	stack_take_options(stack, options);
	stack->now = now;
	memset(stack->rooms, 0xff, sizeof(stack->rooms));
	stw_wheel_init(&stack->wheel, now.mono_ms);
	stw_random_seed(&stack->random, options->seed);
	stw_arena_init(&stack->scratch, SCRATCH_BYTES_MAX);
	stw_table_init(&stack->answers);
	stw_table_init(&stack->early);
	stack->own_msg.fields = stack->fields;
	stack->own_msg.field_capacity = STW_MSG_FIELDS_MAX;
	stack->msg = &stack->own_msg;
	err = stack_know_queues(stack);
	if (err < 0)
		goto fail;
	err = stw_flows_new(&stack->options.flows, &stack->wheel, options->key, &stack->flows);
	if (err < 0)
		goto fail;
	err = stw_restraint_new(RESTRAINT_HOPS, stack_worker_count(options), &stack->restraint);
	if (err < 0)
		goto fail;
	err = stw_tx_layer_new(&stack->wheel, options->key, &stack->transactions);
	if (err < 0)
		goto fail;
	err = stw_dns_cache_new(&stack->options.dns.cache, options->key, &stack->names);
	if (err < 0)
		goto fail;
	err = stw_outages_new(OUTAGES_MAX, options->key, &stack->outages);
	if (err < 0)
		goto fail;
	*ret = stack;
	return 0;
fail:
	stw_stack_free(stack);
	return err;
}

void stw_stack_reconfigure(struct stw_stack *stack, const struct stw_stack_options *options)
{
	stack_take_options(stack, options);
	stw_dns_cache_limit(stack->names, &stack->options.dns.cache);
}

void stw_stack_begin(struct stw_stack *stack, struct stw_now now)
{
	stack->now = now;
	if (stack->options.workers)
		stack->room_elsewhere = workers_room(stack->options.workers, stack->options.worker);
}

void stack_note(struct stw_stack *stack, struct stw_note *note)
{
	note->now = stack->now;
	if (stack->options.core->note)
		stack->options.core->note(stack->options.core_user, note);
}

void stack_drop(struct stw_stack *stack, const struct stw_hop *hop, const struct stw_msg *msg,
	const struct stw_cause *cause)
{
	struct stw_note note = { .kind = STW_NOTE_DROPPED, .hop = hop, .msg = msg, .cause = cause };

	stack->stats.dropped++;
	if (msg && msg->is_request) {
		note.method = msg->method;
		note.method_name = stw_msg_method_name(msg);
	} else if (msg) {
		note.code = msg->code;
	}
	stack_note(stack, &note);
}

/* ---- events -------------------------------------------------------------------- */

void stack_close_flow(struct stw_stack *stack, struct stw_flow_id flow)
{
	struct stw_io_event event = { .kind = STW_IO_CLOSED };

	event.hop.flow = flow;
	stack_tell_closed(stack, flow, stw_flows_closed(stack->flows, flow));
	stack->options.io->close(stack->options.io_user, flow);
	branch_flow_closed(stack, &event);
	reply_flow_closed(stack, flow);
}

/* §18.2.2: what is answered to requests of this flow, here or by other workers, still leaves on it.
 * Answers to ours do not come any more. A peer that goes on sending, which nobody reads, shall hear
 * of it soon. */
static void stack_leave_flow(struct stw_stack *stack, struct stw_flow_id flow, bool ended)
{
	uint64_t until_ms = ended ? UINT64_MAX : stack->now.mono_ms + LEAVE_MS;
	struct stw_io_event event = { .kind = STW_IO_CLOSED, .hop = { .flow = flow } };
	uint64_t ask;

	if (leave_begin(stack, flow, NULL))
		stw_flows_handed(stack->flows, flow, stack->options.worker);
	if (stw_flows_leave(stack->flows, flow, until_ms, &ask) ||
		stack_tell_leaves(stack, flow, ask))
		stack_close_flow(stack, flow);
	else if (ask)
		branch_flow_closed(stack, &event);
}

/* One who had requests of it has answered them. */
void stack_left_flow(struct stw_stack *stack, struct stw_flow_id flow)
{
	if (stw_flows_left(stack->flows, flow))
		stack_close_flow(stack, flow);
}

static void stack_opened(struct stw_stack *stack, const struct stw_io_event *event)
{
	const struct stw_cause *cause;
	int err;

	err = stw_flows_opened(stack->flows, &event->hop, event->incoming, stack->now);
	if (err < 0) {
		cause = stw_flows_refusal(stack->flows, &event->hop.remote, event->incoming);
		if (!cause && err == -ENOBUFS) /* another worker has just taken or given the last */
			cause = &stw_cause_flow_limit_source;
		stack_drop(stack, &event->hop, NULL, cause ? cause : &stw_cause_out_of_memory);
		stack->options.io->close(stack->options.io_user, event->hop.flow);
		return;
	}
	if (event->incoming)
		return;
	stack_tell_opened(stack, event->hop.flow);
	reply_flow_opened(stack, event->hop.flow);
}

/* RFC 5626 §3.5.1: the answer to each CRLFCRLF is one CRLF. */
static void stack_pong(struct stw_stack *stack, const struct stw_hop *hop, size_t count)
{
	static const char pongs[] = CRLF_16 CRLF_16 CRLF_16 CRLF_16;
	const size_t most = (sizeof(pongs) - 1) / 2;

	while (count > 0) {
		size_t now = count < most ? count : most;
		struct stw_str text = { pongs, 2 * now };

		stack->options.io->send(
			stack->options.io_user, hop, (struct stw_slices){ &text, 1 });
		count -= now;
	}
}

static void stack_bytes(struct stw_stack *stack, const struct stw_io_event *event)
{
	struct stw_hop hop = event->hop;
	const char *data;

	if (stw_flows_bytes(stack->flows, hop.flow, event->data, event->len, stack->now) < 0) {
		stack_close_flow(stack, hop.flow);
		return;
	}
	while (stw_flows_reads(stack->flows, event->hop.flow, &hop)) {
		struct stw_frame frame = stw_flows_next(stack->flows, hop.flow, &data, stack->now);

		switch (frame.kind) {
		case STW_FRAME_MORE:
			return;
		case STW_FRAME_PING:
			stack_pong(stack, &hop, frame.bytes / 4);
			break;
		case STW_FRAME_CRLF:
			break;
		case STW_FRAME_MESSAGE:
			if (stack_receive(stack, &hop, data, frame.bytes))
				break;
			stack_shed_flush(stack);
			stack_leave_flow(stack, hop.flow, false);
			return;
		case STW_FRAME_BROKEN:
			stack_shed_flush(stack);
			if (!frame.cause) {
				stack_close_flow(stack, hop.flow);
				return;
			}
			stack_receive_broken(stack, &hop, data, frame.bytes, frame.cause);
			stack_leave_flow(stack, hop.flow, false);
			return;
		}
	}
}

static void stack_closed(struct stw_stack *stack, const struct stw_io_event *event)
{
	stack_tell_closed(stack, event->hop.flow, stw_flows_closed(stack->flows, event->hop.flow));
	if (event->error == ENOBUFS || event->error == -ENOBUFS)
		stack_drop(stack, &event->hop, NULL, &stw_cause_slow_reader);
	branch_flow_closed(stack, event);
	reply_flow_closed(stack, event->hop.flow);
}

/* An error of ICMP makes us look at all requests and at the branches on datagrams, and tell all
 * workers; and anybody can forge one: so many are looked at or told and no more. Without it a timer
 * finds out. */
#define FAILURE_STEPS_PER_MS 1000
#define FAILURE_STEPS_MAX    100000

bool stack_affords_failure(struct stw_stack *stack)
{
	uint64_t passed_ms = stack->now.mono_ms - stack->failure_ms;

	stack->failure_ms = stack->now.mono_ms;
	stack->failure_steps += (int64_t)passed_ms * FAILURE_STEPS_PER_MS;
	if (stack->failure_steps > FAILURE_STEPS_MAX)
		stack->failure_steps = FAILURE_STEPS_MAX;
	return stack->failure_steps > 0;
}

/* A datagram was refused. Of `event` the data are the branch of its top Via, if that is known. */
void stack_send_failed(struct stw_stack *stack, const struct stw_io_event *event)
{
	stack->failure_steps -= 1 + (int64_t)branch_send_failed(stack, event);
	stack->failure_steps -= reply_send_failed(stack, event);
}

/* The kernel says so, and the others do not know it. */
static void stack_refused(struct stw_stack *stack, const struct stw_io_event *event)
{
	struct stw_io_event refused = *event;
	struct stw_str branch;

	if (!stack_affords_failure(stack))
		return;
	branch = refused_branch((struct stw_str){ event->data, event->len });
	refused.data = branch.ptr;
	refused.len = branch.len;
	stack->failure_steps -= stack_tell_failed(stack, &refused);
	stack_send_failed(stack, &refused);
}

void stw_stack_event(struct stw_stack *stack, const struct stw_io_event *event)
{
	stack->arrival = stack_arrival(stack, event);
	switch (event->kind) {
	case STW_IO_DATAGRAM:
		stack_receive(stack, &event->hop, event->data, event->len);
		break;
	case STW_IO_OPENED:
		stack_opened(stack, event);
		break;
	case STW_IO_BYTES:
		stack_bytes(stack, event);
		stack_shed_flush(stack);
		break;
	case STW_IO_ENDED:
		stack_leave_flow(stack, event->hop.flow, true);
		break;
	case STW_IO_CLOSED:
		stack_closed(stack, event);
		break;
	case STW_IO_SEND_FAILED:
		stack_refused(stack, event);
		break;
	case STW_IO_RESOLVED:
		stack_resolved(stack, event);
		break;
	case STW_IO_WOKEN:
		break;
	}
}

/* ---- timers ------------------------------------------------------------------------ */

static void stack_flow_timer(struct stw_stack *stack, struct stw_timer *timer)
{
	struct stw_flow_id flow;
	struct stw_hop hop = { 0 };
	bool half = false;

	if (!stw_flows_timer(stack->flows, timer, stack->now, &flow, &half))
		return;
	stw_flows_hop(stack->flows, flow, &hop);
	if (!stw_flows_is_leaving(stack->flows, flow))
		stack_drop(
			stack, &hop, NULL, half ? &stw_cause_message_slow : &stw_cause_flow_idle);
	stack_close_flow(stack, flow);
}

static void stack_tx_timer(struct stw_stack *stack, struct stw_timer *timer)
{
	struct stw_tx *tx = timer->owner;
	unsigned actions = stw_tx_timer(tx, timer, stack->now);

	if (tx->kind == STW_TX_INVITE_SERVER || tx->kind == STW_TX_NON_INVITE_SERVER)
		reply_tx_actions(tx, actions);
	else if (tx->user_kind == USER_REQUEST)
		branch_tx_actions(tx->user, tx, actions, NULL);
}

static void stack_timer(struct stw_stack *stack, struct stw_timer *timer)
{
	switch (timer->kind) {
	case STW_TIMER_FLOW:
		stack_flow_timer(stack, timer);
		break;
	case STW_TIMER_TX_RETRANSMIT:
	case STW_TIMER_TX_END:
	case STW_TIMER_TX_100:
		stack_tx_timer(stack, timer);
		break;
	case TIMER_NO_ANSWER:
	case TIMER_EXPIRES:
	case TIMER_LEVEL:
	case TIMER_CLIENT_GONE:
		forward_timer(timer->owner, timer);
		break;
	case TIMER_UNHEARD:
		forward_unheard(timer->owner);
		break;
	case TIMER_LOCATE:
		lookup_expire(timer->owner);
		break;
	case TIMER_REPEAT:
		uas_timer(timer);
		break;
	case TIMER_LEFT:
		leave_timer(timer->owner);
		break;
	case TIMER_ALARM:
		((struct stw_alarm *)timer->owner)->fired(timer->owner);
		break;
	default:
		branch_timer(timer->owner, timer);
	}
}

/* Most timers are those of transactions that have absorbed for 32 s, and nothing of them is in a
 * cache any more. */
static void stack_expect(const struct stw_stack *stack)
{
	const struct stw_timer *next = stw_wheel_due(&stack->wheel, NULL), *behind;

	if (!next)
		return;
	if (next->kind == STW_TIMER_TX_END)
		stw_tx_expect(next->owner);
	behind = stw_wheel_due(&stack->wheel, next);
	if (!behind)
		return;
	/* It lies in what it belongs to. */
	__builtin_prefetch(behind, 1);
	__builtin_prefetch((const char *)behind - 64, 1);
}

void stw_stack_timers(struct stw_stack *stack)
{
	struct stw_timer *timer;

	while ((timer = stw_wheel_expire(&stack->wheel, stack->now.mono_ms))) {
		stack_expect(stack);
		stack_timer(stack, timer);
	}
}

uint64_t stw_stack_next(const struct stw_stack *stack)
{
	uint64_t next = stw_wheel_next(&stack->wheel);

	/* What waits for another worker is tried again soon: nobody says when it has room. */
	return stack->outbox_count && next > stack->now.mono_ms ? stack->now.mono_ms + 1 : next;
}

/* ---- the end of a batch ----------------------------------------------------------------- */

void stack_dirty(struct box *box)
{
	struct stw_stack *stack = box->request.stack;

	if (box->dirty || !box->alive)
		return;
	box->dirty = true;
	box->dirty_next = stack->dirty;
	stack->dirty = box;
}

/* A block that may still wait in the batch to be sent is freed after that. NULL: nothing. */
int stack_retire(struct stw_stack *stack, struct stw_block *block)
{
	struct retired *retired;

	if (!block)
		return 0;
	retired = stw_arena_alloc(&stack->scratch, sizeof(*retired));
	if (!retired)
		return -ENOMEM;
	*retired = (struct retired){ stack->retired, block };
	stack->retired = retired;
	return 0;
}

static void retired_free(struct stw_stack *stack)
{
	for (; stack->retired; stack->retired = stack->retired->next)
		stw_block_release(stack->retired->block, &stack->large_bytes);
}

/* A transaction is about to be freed: its owner lets go of it. */
static void stack_tx_done(void *context, struct stw_tx *tx)
{
	struct branch *branch = tx->user;
	struct box *box = tx->user;

	if (!tx->user)
		return;
	if (tx->user_kind != USER_REQUEST) {
		remains_tx_done(tx);
		return;
	}
	if (tx->kind == STW_TX_INVITE_SERVER || tx->kind == STW_TX_NON_INVITE_SERVER) {
		box->request.tx = NULL;
		stack_dirty(box);
		return;
	}
	if (branch->tx == tx)
		branch->tx = NULL;
	if (branch->cancel_tx == tx)
		branch->cancel_tx = NULL;
	stack_dirty(branch->box);
}

static bool box_is_dead(const struct box *box)
{
	const struct branch *branch;

	if (box->request.tx || box->waiting || reply_is_on_its_way(box))
		return false;
	for (branch = box->branches; branch; branch = branch->next) {
		if (branch->tx || branch->cancel_tx || branch->state != BRANCH_ENDED)
			return false;
	}
	return true;
}

static void box_free(struct box *box)
{
	struct stw_stack *stack = box->request.stack;

	if (box->client)
		client_done(box);
	else if (box->service)
		service_ended(box, 0, NULL);
	if (!box->client && stack->options.core->done)
		stack->options.core->done(stack->options.core_user, &box->request);
	if (box->uas)
		uas_done(box);
	stw_timer_stop(&stack->wheel, &box->no_answer);
	stw_timer_stop(&stack->wheel, &box->expires);
	if (box->unheard)
		stw_timer_stop(&stack->wheel, box->unheard);
	reply_place_end(box);
	asked_end(box);
	stw_response_context_free(box->context);
	while (box->branches) {
		struct branch *next = box->branches->next;

		branch_free(box->branches);
		box->branches = next;
	}
	stw_block_release(box->kept, &stack->large_bytes);
	stw_block_release(box->response, &stack->large_bytes);
	stw_arena_done(&box->request.arena);
	if (box->live_link) {
		*box->live_link = box->live_next;
		if (box->live_next)
			box->live_next->live_link = box->live_link;
		stack->live_count--;
	}
	stw_memory_give(box, sizeof(*box));
}

/* What is too much is best lost by the kernel; it is told when that has changed. */
static void stack_limit_queues(struct stw_stack *stack)
{
	const struct stw_io_ops *io = stack->options.io;
	unsigned count = stack->options.listeners->n * STW_QUEUES;

	if (!io->limit || stack->now.mono_ms < stack->rooms_due_ms)
		return;
	stack->rooms_due_ms = stack->now.mono_ms + ROOMS_MS;
	for (unsigned i = 0; i < count; i++) {
		uint32_t room = stw_overload_room(&stack->overload, i, stack->now);

		if (room == stack->rooms[i])
			continue;
		stack->rooms[i] = room;
		io->limit(stack->options.io_user, i / STW_QUEUES, i % STW_QUEUES, room);
	}
}

void stw_stack_end(struct stw_stack *stack)
{
	struct box *box;

	stack_hand_end(stack);
	stack_limit_queues(stack);
	retired_free(stack);
	stw_tx_reap(stack->transactions, stack_tx_done, stack);
	while ((box = stack->dirty)) {
		stack->dirty = box->dirty_next;
		stw_fetch(stack->dirty, sizeof(*stack->dirty));
		box->dirty = false;
		if (box_is_dead(box) || box_settle(box))
			box_free(box);
	}
	stw_arena_reset(&stack->scratch);
	if (stack->options.workers)
		workers_tell_room(
			stack->options.workers, stack->options.worker, stack_room_used(stack));
}

void stw_stack_stop(struct stw_stack *stack, const struct stw_cause *cause)
{
	struct box *box;

	for (box = stack->live; box; box = box->live_next) {
		if (!box->context) {
			request_end_held(box, cause);
			continue;
		}
		branch_unwant_all(box);
		stw_response_context_stop(box->context, cause);
		forward_run(box);
	}
}

void stw_stack_stats(struct stw_stack *stack, struct stw_stack_stats *ret)
{
	*ret = stack->stats;
	ret->overloaded = stw_overload_active(&stack->overload, stack->now);
	ret->overload_loss = (stack->overload.loss_permille + 9) / 10;
	ret->overload_refused = stack->overload.refused_total;
	ret->overload_dropped = stack->overload.dropped_total;
	ret->restraint_next_hops = stw_restraint_count(stack->restraint, stack->now);
	ret->transactions = stw_tx_count(stack->transactions);
	ret->room_used = stack_room_used(stack);
	ret->large_bytes = stack->large_bytes + stw_tx_large_bytes(stack->transactions);
	ret->requests = stack->live_count;
	ret->flows = stw_flows_count(stack->flows);
	ret->timers = stack->wheel.count;
	ret->handing = stack->outbox_count;
}

uint64_t stw_stack_lost(const struct stw_stack *stack)
{
	const struct stw_io_ops *io = stack->options.io;

	return io->lost ? io->lost(stack->options.io_user) : 0;
}

struct stw_stack *stw_stack_free(struct stw_stack *stack)
{
	if (!stack)
		return NULL;
	if (stack->transactions) {
		stw_tx_end_all(stack->transactions);
		stw_tx_reap(stack->transactions, stack_tx_done, stack);
	}
	while (stack->live)
		box_free(stack->live);
	retired_free(stack);
	leaves_free(stack);
	assert(stack->large_bytes == 0);
	stack_hand_free(stack);
	stw_outages_free(stack->outages);
	stw_dns_cache_free(stack->names);
	stw_tx_layer_free(stack->transactions);
	stw_flows_free(stack->flows);
	accounts_free(stack);
	stw_restraint_free(stack->restraint);
	stw_table_done(&stack->answers);
	stw_table_done(&stack->early);
	stw_arena_done(&stack->scratch);
	free(stack->queues_elsewhere);
	free(stack);
	return NULL;
}
