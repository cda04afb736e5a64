/* SPDX-License-Identifier: Apache-2.0 */
/* Flows: connections from OPENED to CLOSED. A slot's generation tells a flow from its successor. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- slots and lists ----------------------------------------------------------- */

static struct flow_slot *slot_take(struct stw_io *io)
{
	struct flow_slot *slot;

	if (io->free_slot != UINT32_MAX) {
		slot = &io->slots[io->free_slot];
		io->free_slot = slot->next_free;
		return slot;
	}
	if (io->slots_used == io->options.max_flows)
		return NULL;
	slot = &io->slots[io->slots_used++];
	slot->generation = 1;
	return slot;
}

/* What we have closed only waits for its peer: who leaves it waiting keeps nobody out. */
bool flow_drop_lingering(struct stw_io *io)
{
	struct flow *oldest = TAILQ_FIRST(&io->closing);

	if (oldest)
		flow_drop(io, oldest, 0);
	return oldest;
}

static void slot_give(struct stw_io *io, struct flow_slot *slot)
{
	slot->flow = NULL;
	if (++slot->generation == 0)
		slot->generation = 1;
	slot->next_free = io->free_slot;
	io->free_slot = (uint32_t)(slot - io->slots);
}

int flow_new(struct stw_io *io, int fd, const struct stw_hop *hop, struct flow **ret)
{
	struct flow_slot *slot;
	struct flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return -ENOMEM;
	slot = slot_take(io);
	if (!slot && flow_drop_lingering(io))
		slot = slot_take(io);
	if (!slot) {
		free(flow);
		return -ENOBUFS;
	}
	slot->flow = flow;
	flow->fd = fd;
	flow->hop = *hop;
	flow->hop.flow.worker = io->options.worker;
	flow->hop.flow.slot = (uint32_t)(slot - io->slots);
	flow->hop.flow.generation = slot->generation;
	*ret = flow;
	return 0;
}

struct flow *flow_find(struct stw_io *io, uint32_t slot, uint32_t generation)
{
	if (slot >= io->slots_used || io->slots[slot].generation != generation)
		return NULL;
	return io->slots[slot].flow;
}

void flow_move(struct flow *flow, struct flow_list *list)
{
	if (flow->list)
		TAILQ_REMOVE(flow->list, flow, link);
	flow->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, flow, link);
}

/* ---- the end of a flow ------------------------------------------------------------ */

static void flow_push_later(struct stw_io *io, struct flow *flow)
{
	if (!flow->pushed)
		TAILQ_INSERT_TAIL(&io->pushed, flow, push_link);
	flow->pushed = true;
}

static void flow_unpush(struct stw_io *io, struct flow *flow)
{
	if (flow->pushed)
		TAILQ_REMOVE(&io->pushed, flow, push_link);
	flow->pushed = false;
}

static void flow_unhold(struct stw_io *io, struct flow *flow)
{
	if (flow->held)
		TAILQ_REMOVE(&io->held, flow, held_link);
	flow->held = false;
}

void flow_release(struct stw_io *io, struct flow *flow)
{
	flow_move(flow, NULL);
	flow_unpush(io, flow);
	flow_unhold(io, flow);
	if (flow->fd >= 0)
		close(flow->fd);
	output_free(io, flow);
	slot_give(io, &io->slots[flow->hop.flow.slot]);
	free(flow);
}

/* What the kernel holds for a peer that does not read goes with the connection. */
static void flow_reset(const struct flow *flow)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(flow->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Close at once; CLOSED follows unless the layers have closed it themselves. */
void flow_drop(struct stw_io *io, struct flow *flow, int error)
{
	if (flow->output_bytes)
		flow_reset(flow);
	if (flow->closing) {
		flow_release(io, flow);
		return;
	}
	flow_unpush(io, flow);
	flow_unhold(io, flow);
	close(flow->fd);
	flow->fd = -1;
	flow->error = error;
	flow->state = FLOW_DEAD;
	output_free(io, flow);
	flow_move(flow, &io->dead);
}

static void closed_tell(struct stw_io *io, const struct flow *flow, int error)
{
	struct stw_io_event *event = event_add(io, STW_IO_CLOSED);

	event->hop = flow->hop;
	event->error = error;
}

void flows_tell_closed(struct stw_io *io, unsigned events_max)
{
	struct flow *flow;

	while (io->event_count < events_max && (flow = TAILQ_FIRST(&io->dead))) {
		closed_tell(io, flow, flow->error);
		flow_release(io, flow);
	}
}

/* ---- what is waited for ------------------------------------------------------------- */

static void flow_watch(struct stw_io *io, struct flow *flow)
{
	uint32_t events = 0;

	if (flow->state == FLOW_OPENING || flow->full)
		events |= EPOLLOUT;
	/* When we close, what the peer sends is read only to see its end. */
	if (flow->state == FLOW_OPEN && !flow->ended && !flow->held &&
		(!flow->closing || flow->shut))
		events |= EPOLLIN;
	/* Its peer reads still: a reset is told once. */
	if (!events && (flow->held || (flow->ended && !flow->closing)))
		events = EPOLLET;
	if (events == flow->watched)
		return;
	if (watch_set(io, flow->fd, events,
		    watch_key(WATCH_FLOW, flow->hop.flow.slot, flow->hop.flow.generation)) == 0)
		flow->watched = events;
}

/*
 * Closing: first what is queued goes out, then our side is shut down, then the peer closes its
 * side. To close while the peer still sends would answer it with a reset, which may overtake our
 * last response (RFC 1122 §4.2.2.13).
 */
static void flow_close_step(struct stw_io *io, struct flow *flow)
{
	if (!flow->first && !flow->shut) {
		flow->shut = true;
		if (flow->ended || shutdown(flow->fd, SHUT_WR) < 0) {
			flow_release(io, flow);
			return;
		}
	}
	flow_watch(io, flow);
}

static void flow_linger(struct stw_io *io, struct flow *flow)
{
	flow_unhold(io, flow);
	flow->closing = true;
	flow->due_ms = clock_mono_ms() + LINGER_MS;
	flow_move(flow, &io->closing);
}

/* What the peer cannot take any more goes with the connection. */
static void flow_fail(struct stw_io *io, struct flow *flow, int error)
{
	flow_reset(flow);
	flow_drop(io, flow, error);
}

/* What was collected leaves. */
static void flow_push(struct stw_io *io, struct flow *flow)
{
	int err;

	flow_unpush(io, flow);
	err = output_flush(io, flow);
	if (err < 0)
		flow_fail(io, flow, -err);
	else if (flow->closing)
		flow_close_step(io, flow);
	else
		flow_watch(io, flow);
}

void flow_close(struct stw_io *io, struct flow *flow)
{
	if (flow->closing)
		return;
	/* Where nothing was sent, there is nothing that a reset could overtake. */
	if (flow->state == FLOW_DEAD || !flow->used) {
		flow_release(io, flow);
		return;
	}
	flow_linger(io, flow);
	if (flow->state == FLOW_OPEN)
		flow_push(io, flow);
}

void flows_expire(struct stw_io *io, uint64_t now_ms)
{
	struct flow *flow;

	while ((flow = TAILQ_FIRST(&io->opening)) && flow->due_ms <= now_ms)
		flow_drop(io, flow, ETIMEDOUT);
	while ((flow = TAILQ_FIRST(&io->closing)) && flow->due_ms <= now_ms)
		flow_drop(io, flow, ETIMEDOUT);
	while ((flow = TAILQ_FIRST(&io->stalled)) && flow->due_ms <= now_ms) {
		io->stats.flows_cut++;
		flow_drop(io, flow, ENOBUFS);
	}
}

uint64_t flows_due_ms(const struct stw_io *io)
{
	const struct flow_list *const lists[] = { &io->opening, &io->closing, &io->stalled };
	uint64_t due_ms = UINT64_MAX;

	for (unsigned i = 0; i < STW_ARRAY_SIZE(lists); i++) {
		const struct flow *first = TAILQ_FIRST(lists[i]);

		if (first && first->due_ms < due_ms)
			due_ms = first->due_ms;
	}
	return due_ms;
}

/* ---- in and out ------------------------------------------------------------------------ */

static void flow_opened(struct stw_io *io, struct flow *flow)
{
	union sockaddr_any name;
	socklen_t len = sizeof(name);
	struct stw_io_event *event;

	flow->state = FLOW_OPEN;
	if (flow->closing)
		return;
	flow_move(flow, NULL);
	if (getsockname(flow->fd, &name.sa, &len) == 0)
		addr_from_sockaddr(&name.sa, &flow->hop.local);
	io->stats.flows_opened++;
	event = event_add(io, STW_IO_OPENED);
	event->hop = flow->hop;
}

static bool flow_connected(struct stw_io *io, struct flow *flow)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(flow->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		flow_drop(io, flow, error);
		return false;
	}
	flow_opened(io, flow);
	return true;
}

static void bytes_tell(struct stw_io *io, const struct flow *flow, size_t len, uint32_t waited_us)
{
	struct stw_io_event *event = event_add(io, STW_IO_BYTES);

	event->hop = flow->hop;
	event->data = io->bytes + io->bytes_used;
	event->len = len;
	event->waited_us = waited_us;
	event->queue_stands = io->crowded || len == FLOW_READ_BYTES;
	io->gather.stands |= len == FLOW_READ_BYTES;
	io->bytes_used += len;
}

/* The peer has shut down its side: what it asked for may still be answered. */
static void flow_ended(struct stw_io *io, struct flow *flow)
{
	struct stw_io_event *event;

	if (flow->closing) {
		flow_drop(io, flow, 0);
		return;
	}
	flow->ended = true;
	flow_watch(io, flow);
	event = event_add(io, STW_IO_ENDED);
	event->hop = flow->hop;
}

/*
 * How long the first byte of what was read has waited. The kernel's stamp is that of the last byte,
 * and what arrives meanwhile is joined to what waits; so the time is taken in which all is read
 * that was there at a mark.
 */
static uint32_t flow_waited_us(struct flow *flow, struct msghdr *header, size_t len)
{
	uint64_t now_us = clock_mono_us(), waited_us = stamp_waited_us(header, clock_stamp_ns());
	size_t unread = stamp_unread(header);

	flow->read_bytes += len;
	if (flow->mark_bytes && now_us - flow->mark_us > waited_us)
		waited_us = now_us - flow->mark_us;
	if (flow->drain_us > waited_us)
		waited_us = flow->drain_us;
	if (!flow->mark_bytes || flow->read_bytes >= flow->mark_bytes) {
		flow->drain_us = unread && flow->mark_bytes ? now_us - flow->mark_us : 0;
		flow->mark_bytes = unread ? flow->read_bytes + unread : 0;
		flow->mark_us = now_us;
	}
	return waited_us > UINT32_MAX ? UINT32_MAX : (uint32_t)waited_us;
}

static void flow_read(struct stw_io *io, struct flow *flow)
{
	struct iovec room = { io->bytes + io->bytes_used, FLOW_READ_BYTES };
	_Alignas(8) char control[UDP_CONTROL_BYTES];
	struct msghdr header = { .msg_iov = &room,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(flow->fd, &header, MSG_DONTWAIT);

	if (n == 0) {
		if (!flow->ended || flow->closing)
			flow_ended(io, flow);
	} else if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			flow_drop(io, flow, errno);
	} else if (!flow->closing) {
		bytes_tell(io, flow, (size_t)n, flow_waited_us(flow, &header, (size_t)n));
	} else {
		flow->discarded_bytes += (size_t)n;
		if (flow->discarded_bytes > LINGER_BYTES)
			flow_drop(io, flow, 0);
	}
}

/* Only who has brought something is not watched any more, as others have nothing to be read. */
static void flow_hold(struct stw_io *io, struct flow *flow)
{
	if (!flow->held)
		TAILQ_INSERT_TAIL(&io->held, flow, held_link);
	flow->held = true;
	flow_watch(io, flow);
}

void flows_hold(struct stw_io *io, bool on)
{
	struct flow *flow;

	io->holds = on;
	while (!on && (flow = TAILQ_FIRST(&io->held))) {
		flow_unhold(io, flow);
		flow_watch(io, flow);
	}
}

void flow_ready(struct stw_io *io, struct flow *flow, uint32_t ready)
{
	bool readable = ready & (EPOLLIN | EPOLLHUP | EPOLLERR);
	int err;

	if (flow->state == FLOW_DEAD)
		return;
	if (flow->state == FLOW_OPENING) {
		if (!flow_connected(io, flow))
			return;
		readable = false;
	}
	err = output_flush(io, flow);
	if (err == 0 && flow->ended && !flow->closing && (ready & (EPOLLHUP | EPOLLERR)))
		err = -ECONNRESET;
	if (err < 0) {
		flow_drop(io, flow, -err);
		return;
	}
	if (flow->closing && !flow->shut) {
		flow_close_step(io, flow);
		return;
	}
	flow_watch(io, flow);
	if (readable && io->holds && !flow->ended && !flow->closing)
		flow_hold(io, flow);
	else if (readable)
		flow_read(io, flow);
}

int flow_send(struct stw_io *io, struct flow *flow, struct stw_slices slices)
{
	int err;

	if (flow->closing || flow->state == FLOW_DEAD)
		return -ENOTCONN;
	err = output_add(io, flow, slices);
	if (err == 0) {
		flow->used = true;
		if (flow->full)
			flow_watch(io, flow);
		else if (flow->state == FLOW_OPEN && flow->first)
			flow_push_later(io, flow);
		return 0;
	}
	if (err == -ENOBUFS)
		io->stats.flows_cut++;
	flow_fail(io, flow, -err);
	return err == -ENOBUFS || err == -ENOMEM ? -ENOBUFS : -ENOTCONN;
}

void flows_push(struct stw_io *io)
{
	struct flow *flow;

	while ((flow = TAILQ_FIRST(&io->pushed)))
		flow_push(io, flow);
}

void flows_done(struct stw_io *io)
{
	for (uint32_t i = 0; i < io->slots_used; i++) {
		if (io->slots[i].flow)
			flow_release(io, io->slots[i].flow);
	}
}
