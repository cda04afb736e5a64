/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows: connections by their name {worker, slot, generation}, and by transport and remote address
 * so that a request to the same place reuses one (RFC 3261 §18.1.1, RFC 5626 §5.3).
 *
 * One timer a flow. It is not moved at every byte: when it expires too early, it is started again
 * for the time at which the flow will really be idle, or its message late.
 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct flow {
	struct stw_node by_id, by_remote;
	struct stw_timer timer;
	struct stw_hop hop;       /* hop.flow is its name */
	_Atomic uint64_t *source; /* where its address is counted; NULL: we opened it */
	uint64_t users;           /* other workers that have sent on it */
	uint64_t handed;          /* workers that have requests of it, ours only when it leaves */
	struct flow_input input;  /* the begun message */
	struct stw_str fresh;     /* borrowed: what the last read has brought behind it */
	uint32_t pulled; /* the last so many bytes of `input` stand in front of `fresh`, too */
	struct stw_framing framing;
	uint32_t taken;     /* bytes of the frame given out last, dropped at the next call */
	uint64_t active_ms; /* when something was received or sent last */
	uint64_t begun_ms;  /* when the waiting half of a message was seen first */
	bool open, begun, broken;
	bool lost;    /* it was told before its CLOSED */
	bool leaving; /* it is closed when `left_count` workers have answered, or then: */
	uint64_t leave_until_ms;
	unsigned left_count;
	size_t discarded_bytes; /* what came although it is broken or leaving */
};

struct stw_flows {
	struct stw_flow_limits limits;
	struct stw_wheel *wheel;
	struct stw_hash_key key;
	struct stw_flow_registry *registry, *own; /* own: nobody shares it */
	struct stw_table by_id, by_remote;
};

bool stw_flow_id_equal(struct stw_flow_id a, struct stw_flow_id b)
{
	return a.worker == b.worker && a.slot == b.slot && a.generation == b.generation;
}

/* ---- the two tables --------------------------------------------------------------- */

static uint64_t id_hash(const struct stw_flows *flows, struct stw_flow_id id)
{
	const uint32_t words[3] = { id.worker, id.slot, id.generation };

	return stw_hash(flows->key, words, sizeof(words));
}

static uint64_t remote_hash(
	const struct stw_flows *flows, enum stw_transport transport, const struct stw_addr *remote)
{
	uint8_t bytes[sizeof(remote->ip) + 8] = { (uint8_t)transport, remote->family };

	memcpy(bytes + 2, &remote->port, sizeof(remote->port));
	memcpy(bytes + 4, &remote->scope, sizeof(remote->scope));
	memcpy(bytes + 8, remote->ip, sizeof(remote->ip));
	return stw_hash(flows->key, bytes, sizeof(bytes));
}

static struct flow *flow_find(const struct stw_flows *flows, struct stw_flow_id id)
{
	struct stw_node *node = stw_table_first(&flows->by_id, id_hash(flows, id));

	for (; node; node = stw_table_next_same(node)) {
		struct flow *flow = STW_CONTAINER_OF(node, struct flow, by_id);

		if (stw_flow_id_equal(flow->hop.flow, id))
			return flow;
	}
	return NULL;
}

/* ---- life of a flow ------------------------------------------------------------------- */

/* When the flow is to be closed if nothing more happens; UINT64_MAX: never. */
static uint64_t flow_due(const struct stw_flows *flows, const struct flow *flow)
{
	const struct stw_flow_limits *limits = &flows->limits;
	uint64_t idle = limits->idle_ms ? flow->active_ms + limits->idle_ms : UINT64_MAX;
	uint64_t late = UINT64_MAX;

	if (flow->leaving)
		late = flow->leave_until_ms;
	else if (flow->begun && limits->message_ms)
		late = flow->begun_ms + limits->message_ms;
	return late < idle ? late : idle;
}

/* A later end leaves the timer alone: it finds out when it expires. */
static void flow_timer_update(struct stw_flows *flows, struct flow *flow)
{
	uint64_t due = flow_due(flows, flow);

	if (due != UINT64_MAX && (!stw_timer_running(&flow->timer) || due < flow->timer.due_ms))
		stw_timer_start(flows->wheel, &flow->timer, due);
}

static int flow_new(struct stw_flows *flows, const struct stw_hop *hop, struct flow **ret)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return -ENOMEM;
	flow->hop = *hop;
	flow->timer.kind = STW_TIMER_FLOW;
	flow->timer.owner = flow;
	stw_framing_init(&flow->framing);
	if (stw_table_insert(&flows->by_id, &flow->by_id, id_hash(flows, hop->flow)) < 0)
		goto fail;
	if (stw_table_insert(&flows->by_remote, &flow->by_remote,
		    remote_hash(flows, hop->transport, &hop->remote)) < 0) {
		stw_table_remove(&flows->by_id, &flow->by_id);
		goto fail;
	}
	registry_set(flows->registry, hop->flow, REGISTRY_OPENING);
	registry_put(flows->registry, flow->by_remote.hash, hop->flow);
	*ret = flow;
	return 0;
fail:
	free(flow);
	return -ENOMEM;
}

static void flow_free(struct stw_flows *flows, struct flow *flow)
{
	stw_timer_stop(flows->wheel, &flow->timer);
	registry_remove(flows->registry, flow->by_remote.hash, flow->hop.flow);
	stw_table_remove(&flows->by_id, &flow->by_id);
	stw_table_remove(&flows->by_remote, &flow->by_remote);
	registry_unset(flows->registry, flow->hop.flow);
	registry_release(flow->source);
	registry_give(flows->registry);
	flow_input_done(&flow->input);
	free(flow);
}

const struct stw_cause *stw_flows_refusal(
	const struct stw_flows *flows, const struct stw_addr *remote, bool incoming)
{
	if (registry_total(flows->registry) >= flows->limits.max_flows)
		return &stw_cause_flow_limit;
	if (incoming && registry_source(flows->registry, remote) >= flows->limits.max_per_source)
		return &stw_cause_flow_limit_source;
	return NULL;
}

static int flow_admit(
	struct stw_flows *flows, const struct stw_hop *hop, bool incoming, struct flow **ret)
{
	_Atomic uint64_t *source = NULL;
	int err;

	if (incoming && stw_flows_refusal(flows, &hop->remote, incoming))
		return -ENOBUFS;
	err = registry_take(flows->registry, flows->limits.max_flows);
	if (err < 0)
		return err;
	if (incoming)
		source = registry_hold(flows->registry, &hop->remote, flows->limits.max_per_source);
	err = incoming && !source ? -ENOBUFS : flow_new(flows, hop, ret);
	if (err < 0) {
		registry_release(source);
		registry_give(flows->registry);
		return err;
	}
	(*ret)->source = source;
	return 0;
}

int stw_flows_opened(
	struct stw_flows *flows, const struct stw_hop *hop, bool incoming, struct stw_now now)
{
	struct flow *flow = flow_find(flows, hop->flow);

	assert(stw_flow_id_set(hop->flow));
	if (!flow) {
		int err = flow_admit(flows, hop, incoming, &flow);

		if (err < 0)
			return err;
	}
	flow->hop.local = hop->local;
	flow->hop.listener = hop->listener;
	flow->open = true;
	registry_set(flows->registry, hop->flow, REGISTRY_OPEN);
	flow->active_ms = now.mono_ms;
	flow_timer_update(flows, flow);
	return 0;
}

int stw_flows_opening(struct stw_flows *flows, const struct stw_hop *hop, struct stw_now now)
{
	struct flow *flow;
	int err;

	assert(stw_flow_id_set(hop->flow) && !flow_find(flows, hop->flow));
	err = flow_admit(flows, hop, false, &flow);
	if (err < 0)
		return err;
	flow->active_ms = now.mono_ms;
	flow_timer_update(flows, flow);
	return 0;
}

int stw_flows_find(const struct stw_flows *flows, enum stw_transport transport,
	const struct stw_addr *remote, struct stw_flow_id *ret)
{
	uint64_t hash = remote_hash(flows, transport, remote);
	struct stw_node *node = stw_table_first(&flows->by_remote, hash);
	const struct flow *found = NULL;

	for (; node; node = stw_table_next_same(node)) {
		struct flow *flow = STW_CONTAINER_OF(node, struct flow, by_remote);

		if (flow->broken || flow->lost || flow->leaving ||
			flow->hop.transport != transport ||
			!stw_addr_equal(&flow->hop.remote, remote))
			continue;
		if (!found || (flow->open && !found->open))
			found = flow;
	}
	if (!found)
		return registry_find(flows->registry, hash, ret);
	*ret = found->hop.flow;
	return 0;
}

static enum registry_state flow_elsewhere(const struct stw_flows *flows, struct stw_flow_id id)
{
	return id.worker == flows->limits.worker ? REGISTRY_GONE
						 : registry_state(flows->registry, id);
}

bool stw_flows_hop(const struct stw_flows *flows, struct stw_flow_id id, struct stw_hop *ret)
{
	const struct flow *flow = flow_find(flows, id);

	if (flow) {
		*ret = flow->hop;
		return !flow->lost;
	}
	if (flow_elsewhere(flows, id) == REGISTRY_GONE)
		return false;
	ret->flow = id;
	return true;
}

bool stw_flows_reads(const struct stw_flows *flows, struct stw_flow_id id, struct stw_hop *ret)
{
	const struct flow *flow = flow_find(flows, id);

	if (flow)
		*ret = flow->hop;
	return flow;
}

bool stw_flows_is_opening(const struct stw_flows *flows, struct stw_flow_id id)
{
	const struct flow *flow = flow_find(flows, id);

	return flow ? !flow->open : flow_elsewhere(flows, id) == REGISTRY_OPENING;
}

void stw_flows_sent(struct stw_flows *flows, struct stw_flow_id id, struct stw_now now)
{
	struct flow *flow = flow_find(flows, id);

	if (flow)
		flow->active_ms = now.mono_ms;
}

void stw_flows_lost(struct stw_flows *flows, struct stw_flow_id id)
{
	struct flow *flow = flow_find(flows, id);

	if (!flow)
		return;
	flow->lost = true;
	registry_remove(flows->registry, flow->by_remote.hash, id);
	registry_unset(flows->registry, id);
}

void stw_flows_handed(struct stw_flows *flows, struct stw_flow_id id, unsigned worker)
{
	struct flow *flow = flow_find(flows, id);

	if (flow)
		flow->handed |= UINT64_C(1) << worker;
}

bool stw_flows_leave(
	struct stw_flows *flows, struct stw_flow_id id, uint64_t until_ms, uint64_t *ret_ask)
{
	struct flow *flow = flow_find(flows, id);

	*ret_ask = 0;
	if (!flow || !flow->handed)
		return true;
	if (flow->leaving) {
		if (until_ms > flow->leave_until_ms)
			flow->leave_until_ms = until_ms;
		return false;
	}
	registry_remove(flows->registry, flow->by_remote.hash, flow->hop.flow);
	registry_set(flows->registry, id, REGISTRY_LEAVING);
	flow->leaving = true;
	flow->leave_until_ms = until_ms;
	flow_timer_update(flows, flow);
	flow->fresh = STW_STR_NONE;
	flow->pulled = 0;
	*ret_ask = flow->handed | flow->users;
	flow->left_count = (unsigned)__builtin_popcountll(*ret_ask);
	return false;
}

bool stw_flows_is_leaving(const struct stw_flows *flows, struct stw_flow_id id)
{
	const struct flow *flow = flow_find(flows, id);

	return flow ? flow->leaving : flow_elsewhere(flows, id) == REGISTRY_LEAVING;
}

bool stw_flows_left(struct stw_flows *flows, struct stw_flow_id id)
{
	struct flow *flow = flow_find(flows, id);

	return flow && flow->leaving && --flow->left_count == 0;
}

void stw_flows_used_by(struct stw_flows *flows, struct stw_flow_id id, unsigned worker)
{
	struct flow *flow = flow_find(flows, id);

	if (flow)
		flow->users |= UINT64_C(1) << worker;
}

uint64_t stw_flows_users(const struct stw_flows *flows, struct stw_flow_id id)
{
	const struct flow *flow = flow_find(flows, id);

	return flow ? flow->users : 0;
}

uint64_t stw_flows_closed(struct stw_flows *flows, struct stw_flow_id id)
{
	struct flow *flow = flow_find(flows, id);
	uint64_t users = flow ? flow->users : 0;

	if (flow)
		flow_free(flows, flow);
	return users;
}

/*
 * ---- bytes and frames, §18.3 ------------------------------------------------------------
 *
 * A message is given out where the last read has left it. Only one that is not whole is copied, and
 * of the next read as much as ends it.
 */

#define PULL_BYTES    2048
#define DISCARD_BYTES (256 << 10) /* behind the last message, as lib/io does behind our close */

static int fresh_pull(struct flow *flow, size_t len)
{
	if (len > flow->fresh.len)
		len = flow->fresh.len;
	if (flow_input_append(&flow->input, flow->fresh.ptr, len) < 0)
		return -ENOMEM;
	flow->fresh = stw_str_cut(flow->fresh, len, flow->fresh.len);
	flow->pulled += (uint32_t)len;
	return 0;
}

/* What was pulled and is not of the frame that is dropped is read where it came from. */
static void flow_drop_taken(struct flow *flow)
{
	size_t len = flow_input_len(&flow->input), back;

	if (flow->taken > 0 && len == 0) {
		flow->fresh = stw_str_cut(flow->fresh, flow->taken, flow->fresh.len);
	} else if (flow->taken > 0) {
		back = len - flow->taken < flow->pulled ? len - flow->taken : flow->pulled;
		flow->input.end -= (uint32_t)back;
		if (back) /* else there may be no `fresh` */
			flow->fresh =
				(struct stw_str){ flow->fresh.ptr - back, flow->fresh.len + back };
		flow->pulled = 0;
		flow_input_drop(&flow->input, flow->taken);
	}
	flow->taken = 0;
}

int stw_flows_bytes(struct stw_flows *flows, struct stw_flow_id id, const char *data, size_t len,
	struct stw_now now)
{
	struct flow *flow = flow_find(flows, id);

	if (!flow)
		return -ENOENT;
	if (flow->broken || flow->leaving) { /* where a message begins is not known any more */
		flow->discarded_bytes += len;
		return flow->discarded_bytes > DISCARD_BYTES ? -ENOBUFS : 0;
	}
	flow_drop_taken(flow);
	if (flow->fresh.len > 0)
		return -ENOBUFS;
	flow->active_ms = now.mono_ms;
	flow->fresh = (struct stw_str){ data, len };
	flow->pulled = 0;
	return 0;
}

/* Nothing more to take: half a message starts the message timer, once. */
static void flow_wait(struct stw_flows *flows, struct flow *flow, struct stw_now now)
{
	if (flow->begun || !flow_input_begun(&flow->input))
		return;
	flow->begun = true;
	flow->begun_ms = now.mono_ms;
	flow_timer_update(flows, flow);
}

/* Keep-alives that came together (RFC 5626 §3.5.1): who sends many shall not cost much. */
static size_t pings_length(const char *data, size_t len)
{
	size_t bytes = 0;

	while (len - bytes >= 4 && memcmp(data + bytes, "\r\n\r\n", 4) == 0)
		bytes += 4;
	return bytes;
}

static void flow_take(struct flow *flow, struct stw_frame *frame, const char *data, size_t len)
{
	if (frame->kind == STW_FRAME_PING)
		frame->bytes = pings_length(data, len);
	assert(frame->bytes > 0 && frame->bytes <= len);
	flow->taken = (uint32_t)frame->bytes;
	flow->begun = false;
	stw_framing_init(&flow->framing);
	if (frame->kind != STW_FRAME_BROKEN)
		return;
	flow->broken = true;
	flow->taken = (uint32_t)flow_input_len(&flow->input);
	flow->fresh = STW_STR_NONE;
	flow->pulled = 0;
}

/* No memory for half a message: where the next one begins is lost. */
static struct stw_frame flow_break(struct flow *flow)
{
	flow->broken = true;
	flow->fresh = STW_STR_NONE;
	return (struct stw_frame){ .kind = STW_FRAME_BROKEN };
}

static struct stw_frame flow_next(struct stw_flows *flows, struct flow *flow, const char **ret_data)
{
	for (;;) {
		size_t kept = flow_input_len(&flow->input), len = kept ? kept : flow->fresh.len;
		struct stw_frame frame;

		*ret_data = kept ? flow->input.bytes + flow->input.start : flow->fresh.ptr;
		frame = stw_framing_next(&flow->framing, *ret_data, len, &flows->limits.message);
		if (frame.kind != STW_FRAME_MORE)
			flow_take(flow, &frame, *ret_data, len);
		if (frame.kind != STW_FRAME_MORE || !flow->fresh.len)
			return frame;
		/* The rest of a read is copied; so much of the next one that little goes back. */
		if (fresh_pull(flow, !kept ? len : kept < PULL_BYTES ? PULL_BYTES : kept) < 0)
			return flow_break(flow);
	}
}

struct stw_frame stw_flows_next(
	struct stw_flows *flows, struct stw_flow_id id, const char **ret_data, struct stw_now now)
{
	struct stw_frame frame = { .kind = STW_FRAME_MORE };
	struct flow *flow = flow_find(flows, id);

	if (!flow)
		return frame;
	flow_drop_taken(flow);
	if (flow->broken || flow->leaving)
		return frame;
	frame = flow_next(flows, flow, ret_data);
	if (frame.kind == STW_FRAME_MORE)
		flow_wait(flows, flow, now);
	return frame;
}

bool stw_flows_timer(struct stw_flows *flows, struct stw_timer *timer, struct stw_now now,
	struct stw_flow_id *ret, bool *ret_half)
{
	struct flow *flow = timer->owner;

	assert(timer->kind == STW_TIMER_FLOW);
	if (flow_due(flows, flow) > now.mono_ms) {
		flow_timer_update(flows, flow);
		return false;
	}
	*ret = flow->hop.flow;
	*ret_half = flow->begun && !flow->leaving;
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

int stw_flows_new(const struct stw_flow_limits *limits, struct stw_wheel *wheel,
	struct stw_hash_key key, struct stw_flows **ret)
{
	struct stw_flows *flows = calloc(1, sizeof(*flows));

	if (!flows)
		return -ENOMEM;
	flows->limits = *limits;
	flows->wheel = wheel;
	flows->key = key;
	stw_table_init(&flows->by_id);
	stw_table_init(&flows->by_remote);
	flows->registry = limits->registry;
	if (!flows->registry) {
		if (stw_flow_registry_new(0, 0, limits->max_flows, key, &flows->own) < 0) {
			free(flows);
			return -ENOMEM;
		}
		flows->registry = flows->own;
	}
	*ret = flows;
	return 0;
}

unsigned stw_flows_count(const struct stw_flows *flows)
{
	return (unsigned)flows->by_id.count;
}

struct stw_flows *stw_flows_free(struct stw_flows *flows)
{
	struct stw_node *node, *next;

	if (!flows)
		return NULL;
	for (node = stw_table_walk(&flows->by_id, NULL); node; node = next) {
		next = stw_table_walk(&flows->by_id, node);
		flow_free(flows, STW_CONTAINER_OF(node, struct flow, by_id));
	}
	stw_table_done(&flows->by_id);
	stw_table_done(&flows->by_remote);
	stw_flow_registry_free(flows->own);
	free(flows);
	return NULL;
}
