/* SPDX-License-Identifier: Apache-2.0 */
/* Out of the house: which listener, which local address, which flow. */
#include <strowger/stack.h>

#include <errno.h>

#include "internal.h"

/* The address of this machine that a peer at `remote` sees, for listeners bound to a wildcard. */
static struct stw_addr send_local_addr(
	const struct stw_stack *stack, const struct stw_hop *source, const struct stw_addr *remote)
{
	bool loopback = stw_addr_is_loopback(remote);
	struct stw_addr none = { 0 };
	unsigned i;

	if (source && source->local.family == remote->family && !stw_addr_is_any(&source->local) &&
		stw_addr_is_loopback(&source->local) == loopback)
		return source->local;
	for (i = 0; i < stack->options.local_addr_count; i++) {
		const struct stw_addr *addr = &stack->options.local_addrs[i];

		if (addr->family == remote->family && stw_addr_is_loopback(addr) == loopback)
			return *addr;
	}
	return none;
}

/* Fills hop->listener and hop->local for hop->transport and hop->remote. @return 0, -ENOENT */
int stack_choose_listener(
	struct stw_stack *stack, const struct stw_hop *source, struct stw_hop *hop)
{
	const struct stw_listener *listener;
	int like = source && source->transport == hop->transport ? source->listener : -1;
	int index = stw_listener_for(stack->options.listeners, hop->transport, &hop->remote, like);

	if (index < 0)
		return -ENOENT;
	listener = &stack->options.listeners->v[index];
	hop->listener = (uint16_t)index;
	if (stw_addr_is_any(&listener->bind))
		hop->local = send_local_addr(stack, source, &hop->remote);
	else
		hop->local = listener->bind;
	return 0;
}

struct stw_str stack_sent_by(
	struct stw_stack *stack, const struct stw_hop *hop, char *buffer, size_t size)
{
	struct sent_by *last = &stack->sent_by;
	struct stw_writer writer;

	if (!last->text.len || last->listener != hop->listener ||
		!stw_addr_equal(&last->local, &hop->local)) {
		last->listener = hop->listener;
		last->local = hop->local;
		last->text = stw_listener_sent_by(&stack->options.listeners->v[hop->listener],
			&hop->local, last->buffer, sizeof(last->buffer));
	}
	stw_writer_init(&writer, buffer, size);
	stw_write_str(&writer, last->text);
	return writer.overflow ? STW_STR_NONE : stw_writer_text(&writer);
}

/* A stream: the flow of the hop, else one that is there for this address, else a new one. */
static int send_find_flow(struct stw_stack *stack, struct stw_hop *hop)
{
	struct stw_hop there = { 0 };
	int err;

	if (stw_flow_id_set(hop->flow) && stw_flows_hop(stack->flows, hop->flow, &there))
		return 0;
	if (stw_flows_find(stack->flows, hop->transport, &hop->remote, &hop->flow) == 0)
		return 0;
	err = stack->options.io->open(stack->options.io_user, hop, &hop->flow);
	if (err < 0)
		return err;
	err = stw_flows_opening(stack->flows, hop, stack->now);
	if (err < 0)
		stack->options.io->close(stack->options.io_user, hop->flow);
	return err;
}

static int send_on_flow(
	struct stw_stack *stack, struct stw_hop *hop, uint16_t port, struct stw_slices slices)
{
	int err = send_find_flow(stack, hop);

	if (err < 0)
		return err;
	if (hop->flow.worker != stack->options.worker)
		return stack_hand_bytes(stack, hop, port, slices);
	stw_flows_sent(stack->flows, hop->flow, stack->now);
	err = stack->options.io->send(stack->options.io_user, hop, slices);
	if (err == -ENOTCONN)
		stw_flows_lost(stack->flows, hop->flow);
	return err;
}

/* Send to a hop; hop->flow is filled for streams. One that was found here and has just ended is as
 * good as none. @return 0; -ENOTCONN: the flow that was given is gone; -errno: the peer cannot be
 * reached */
int stack_send_response(
	struct stw_stack *stack, struct stw_hop *hop, uint16_t port, struct stw_slices slices)
{
	bool given = stw_flow_id_set(hop->flow);
	int err;

	if (!stw_transport_reliable(hop->transport))
		return stack->options.io->send(stack->options.io_user, hop, slices);
	err = send_on_flow(stack, hop, port, slices);
	if (err != -ENOTCONN || given)
		return err;
	hop->flow = (struct stw_flow_id){ 0 };
	return send_on_flow(stack, hop, port, slices);
}

int stack_send(struct stw_stack *stack, struct stw_hop *hop, struct stw_slices slices)
{
	return stack_send_response(stack, hop, 0, slices);
}
