/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- what is watched -------------------------------------------------------- */

#define WATCH_SLOT_BITS 24
#define URGENT_TURNS    8

uint64_t watch_key(enum watch_kind kind, uint32_t slot, uint32_t value)
{
	return (uint64_t)kind << 56 | (uint64_t)slot << 32 | value;
}

int watch_set(struct stw_io *io, int fd, uint32_t events, uint64_t key)
{
	struct epoll_event event = { .events = events, .data.u64 = key };
	int epoll_fd = key >> 56 == WATCH_FLOW ? io->flows_fd : io->epoll_fd;

	if (!events)
		return epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

struct stw_io_event *event_add(struct stw_io *io, enum stw_io_event_kind kind)
{
	struct stw_io_event *event = &io->events[io->event_count++];

	assert(io->event_count <= EVENTS_MAX);
	memset(event, 0, sizeof(*event));
	event->kind = kind;
	return event;
}

static uint32_t watch_slot(uint64_t key)
{
	return key >> 32 & ((1U << WATCH_SLOT_BITS) - 1);
}

/* ---- datagrams --------------------------------------------------------------- */

static void datagrams_ready(
	struct stw_io *io, const struct epoll_event *ready, int n, enum stw_queue queue)
{
	for (int i = 0; i < n; i++) {
		uint64_t key = ready[i].data.u64;
		uint32_t slot = watch_slot(key);

		if (key >> 56 == WATCH_LISTENER && (uint32_t)key == queue &&
			io->listeners[slot].udp)
			udp_ready(io, (uint16_t)slot, queue, ready[i].events);
	}
}

/* ---- connections ------------------------------------------------------------- */

/* However many there are, they do not stand between us and the datagrams: they have an epoll of
 * their own, which is asked when it is ready. */
static int flows_watch(struct stw_io *io)
{
	io->flows_fd = epoll_create1(EPOLL_CLOEXEC);
	if (io->flows_fd < 0)
		return -errno;
	return watch_set(io, io->flows_fd, EPOLLIN, watch_key(WATCH_FLOWS, 0, 0));
}

static bool flows_wait(const struct stw_io *io)
{
	return io->ready.next < io->ready.count;
}

/* The kernel reports those last that it has reported: all have their turn. */
static void flows_ask(struct stw_io *io)
{
	struct flows_ready *ready = &io->ready;
	int n = epoll_wait(io->flows_fd, ready->v, READY_MAX, 0);

	io->crowded = n == READY_MAX || ready->split;
	io->gather.stands |= n == READY_MAX;
	ready->next = 0;
	ready->count = n > 0 ? n : 0;
	ready->split = false;
}

static void flow_told(struct stw_io *io, const struct epoll_event *told)
{
	struct flow *flow = flow_find(io, watch_slot(told->data.u64), (uint32_t)told->data.u64);

	if (flow)
		flow_ready(io, flow, told->events);
}

/* As much as one poll may bring; the others come first in the next one. */
static void flows_ready(struct stw_io *io, size_t bytes)
{
	struct flows_ready *ready = &io->ready;

	while (flows_wait(io) && io->bytes_used < bytes)
		flow_told(io, &ready->v[ready->next++]);
	if (flows_wait(io))
		ready->split = io->crowded = true;
	io->gather.stands |= flows_wait(io);
}

/* ---- the others ------------------------------------------------------------ */

static void watch_ready(struct stw_io *io, uint64_t key, uint32_t ready)
{
	uint32_t slot = watch_slot(key), value = (uint32_t)key;

	switch ((enum watch_kind)(key >> 56)) {
	case WATCH_WAKE:
		wake_ready(io);
		break;
	case WATCH_LISTENER:
		if (!io->listeners[slot].udp)
			tcp_accept(io, (uint16_t)slot);
		break;
	case WATCH_FLOWS:
		if (!flows_wait(io))
			flows_ask(io);
		break;
	case WATCH_FLOW:
		break;
	case WATCH_DNS:
		dns_ready(io, slot, (int)value, ready);
		break;
	case WATCH_RTP:
		event_add(io, STW_IO_WOKEN);
		break;
	}
}

/* ---- the loop ------------------------------------------------------------------ */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void failures_tell(struct stw_io *io)
{
	for (; io->failures_told < io->failure_count; io->failures_told++) {
		const struct send_failure *failure = &io->failures[io->failures_told];
		struct stw_io_event *event = event_add(io, STW_IO_SEND_FAILED);

		event->hop = failure->hop;
		event->error = failure->error;
		event->data = failure->quote;
		event->len = failure->quote_len;
	}
}

static void failures_forget_told(struct stw_io *io)
{
	io->failure_count -= io->failures_told;
	memmove(io->failures, io->failures + io->failures_told,
		io->failure_count * sizeof(*io->failures));
	io->failures_told = 0;
}

static void pending_tell(struct stw_io *io, unsigned events_max)
{
	failures_tell(io);
	flows_tell_closed(io, events_max);
	dns_tell(io, events_max);
}

static int wait_ms(const struct stw_io *io, uint64_t deadline_ms)
{
	uint64_t now_ms = clock_mono_ms(), due_ms;

	if (io->event_count || flows_wait(io))
		return 0;
	due_ms = earlier(deadline_ms, earlier(flows_due_ms(io), dns_due_ms(io)));
	due_ms = earlier(due_ms, io->accept_again_ms);
	if (due_ms == UINT64_MAX)
		return -1;
	if (due_ms <= now_ms)
		return 0;
	return due_ms - now_ms > INT_MAX ? INT_MAX : (int)(due_ms - now_ms);
}

/* What is urgent comes first, then what connections bring. Other datagrams have their turn while
 * urgent ones keep coming, but not each. */
static void all_ready(struct stw_io *io, const struct epoll_event *ready, int n)
{
	bool stood = io->datagrams_stand;

	io->urgent_stands = io->datagrams_stand = false;
	datagrams_ready(io, ready, n, STW_QUEUE_URGENT);
	for (int i = 0; i < n; i++)
		watch_ready(io, ready[i].data.u64, ready[i].events);
	flows_ready(io, stood || io->datagrams_stand ? FLOWS_READ_BESIDE : FLOWS_READ_BYTES);
	if (io->urgent_stands && ++io->turns % URGENT_TURNS)
		return;
	datagrams_ready(io, ready, n, STW_QUEUE_REGISTER);
	datagrams_ready(io, ready, n, STW_QUEUE_NEW);
}

static int poll_once(struct stw_io *io, uint64_t deadline_ms)
{
	struct epoll_event ready[WATCHED_MAX];
	uint64_t now_us, now_ms;
	int n;

	n = epoll_wait(io->epoll_fd, ready, WATCHED_MAX, wait_ms(io, deadline_ms));
	if (n < 0)
		return -errno;
	io->gather.stands = n == WATCHED_MAX;
	all_ready(io, ready, n);

	now_us = clock_mono_us();
	now_ms = now_us / 1000;
	gather_polled(io, now_us);
	flows_expire(io, now_ms);
	dns_expire(io, now_ms);
	tcp_accept_again(io, now_ms);
	pending_tell(io, EVENTS_MAX);
	return now_ms >= deadline_ms;
}

static bool batches_empty(const struct stw_io *io)
{
	for (unsigned i = 0; i < io->listener_count; i++) {
		if (io->listeners[i].udp && io->listeners[i].udp->out.count)
			return false;
	}
	return TAILQ_EMPTY(&io->pushed);
}

int stw_io_poll(struct stw_io *io, uint64_t deadline_ms, const struct stw_io_event **ret_events)
{
	int done;

	assert(batches_empty(io)); /* their slices have ended with the last batch of events */
	io->event_count = 0;
	io->bytes_used = 0;
	dns_forget_shown(io);
	failures_forget_told(io);
	pending_tell(io, EVENTS_MAX - EVENTS_PER_POLL - FAILURES_MAX);

	do
		done = poll_once(io, deadline_ms);
	while (done == 0 && !io->event_count);
	*ret_events = io->events;
	if (done < 0 && done != -EINTR && !io->event_count)
		return done;
	return (int)io->event_count;
}

/* ---- listeners -------------------------------------------------------------------- */

static bool listener_supported(const struct stw_listener *listener)
{
	return listener->transport == STW_TRANSPORT_UDP || listener->transport == STW_TRANSPORT_TCP;
}

static int listener_bind(int fd, const struct stw_addr *addr)
{
	union sockaddr_any name;
	socklen_t len = sockaddr_from_addr(addr, &name);

	return bind(fd, &name.sa, len) < 0 ? -errno : 0;
}

/* With the privilege also above what the system allows (net.core.rmem_max, wmem_max). */
void buffer_raise(int fd, int force, int plain, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

int listener_socket(const struct stw_listener *listener, bool share)
{
	int family = listener->bind.family == 4 ? AF_INET : AF_INET6, on = 1, fd, err;
	bool datagrams = listener->transport == STW_TRANSPORT_UDP;

	fd = socket(
		family, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	/* Connections in TIME_WAIT do not hinder a restart. For UDP it would let others share the
	 * port. */
	if (!datagrams)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (share)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	err = listener_bind(fd, &listener->bind);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

/* A socket with SO_REUSEPORT would silently share the address with a second server of the same
 * user. */
static int listener_probe(const struct stw_io *io, const struct stw_listener *listener)
{
	int fd;

	if (io->options.worker != 0 || listener->bind.port == 0)
		return 0;
	fd = listener_socket(listener, false);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int listener_open(struct stw_io *io, struct io_listener *listener)
{
	bool udp = listener->bound.transport == STW_TRANSPORT_UDP;
	union sockaddr_any name;
	socklen_t len = sizeof(name);
	int err;

	err = listener_probe(io, &listener->bound);
	if (err < 0)
		return err;
	listener->fd = listener_socket(&listener->bound, udp || io->options.workers > 1);
	if (listener->fd < 0)
		return listener->fd;
	if (getsockname(listener->fd, &name.sa, &len) < 0)
		return -errno;
	addr_from_sockaddr(&name.sa, &listener->bound.bind);
	listener->wildcard = stw_addr_is_any(&listener->bound.bind);
	return udp ? udp_open(io, listener) : tcp_listen(io, listener);
}

static void listener_close(struct io_listener *listener)
{
	udp_close(listener);
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

int stw_io_listen(struct stw_io *io, struct stw_listener *listener)
{
	struct io_listener *slot = &io->listeners[io->listener_count];
	int err;

	if (io->listener_count == STW_LISTENERS_MAX)
		return -ENOBUFS;
	if (!listener_supported(listener))
		return -EPROTONOSUPPORT;
	*slot = (struct io_listener){ .bound = *listener, .fd = -1 };
	err = listener_open(io, slot);
	if (err == 0 && slot->udp)
		err = udp_watch(io, (uint16_t)io->listener_count);
	else if (err == 0)
		err = watch_set(
			io, slot->fd, EPOLLIN, watch_key(WATCH_LISTENER, io->listener_count, 0));
	if (err < 0) {
		listener_close(slot);
		return err;
	}
	listener->bind = slot->bound.bind;
	return (int)io->listener_count++;
}

void stw_io_stop_listening(struct stw_io *io)
{
	for (unsigned i = 0; i < io->listener_count; i++) {
		if (!io->listeners[i].udp)
			listener_close(&io->listeners[i]);
	}
	io->accept_again_ms = UINT64_MAX;
}

/* ---- operations ------------------------------------------------------------------------ */

static int op_send(void *user, const struct stw_hop *hop, struct stw_slices slices)
{
	struct stw_io *io = user;
	struct flow *flow;

	if (hop->transport == STW_TRANSPORT_UDP)
		return udp_send(io, hop, slices);
	if (!stw_flow_id_set(hop->flow) || hop->flow.worker != io->options.worker)
		return -ENOTCONN;
	flow = flow_find(io, hop->flow.slot, hop->flow.generation);
	return flow ? flow_send(io, flow, slices) : -ENOTCONN;
}

static int op_open(void *user, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	return hop->transport == STW_TRANSPORT_TCP ? tcp_open(user, hop, ret) : -EPROTONOSUPPORT;
}

static void op_close(void *user, struct stw_flow_id id)
{
	struct stw_io *io = user;
	struct flow *flow;

	if (!stw_flow_id_set(id) || id.worker != io->options.worker)
		return;
	flow = flow_find(io, id.slot, id.generation);
	if (flow)
		flow_close(io, flow);
}

static int op_resolve(void *user, struct stw_str name, unsigned type, uint64_t query)
{
	return dns_resolve(user, name, type, query);
}

static void op_limit(void *user, unsigned listener, enum stw_queue queue, uint32_t messages)
{
	struct stw_io *io = user;

	if (listener < io->listener_count && io->listeners[listener].udp)
		udp_limit(&io->listeners[listener], queue, messages);
}

static uint64_t op_lost(void *user)
{
	struct stw_io *io = user;
	uint64_t lost = 0;

	for (unsigned i = 0; i < io->listener_count; i++)
		lost += udp_lost(&io->listeners[i]);
	return lost;
}

static void op_hold(void *user, bool on)
{
	flows_hold(user, on);
}

static void op_urgent(void *user, const struct stw_str *users, unsigned count)
{
	udp_sort(user, users, count);
}

const struct stw_io_ops *stw_io_ops(void)
{
	static const struct stw_io_ops ops = {
		.send = op_send,
		.open = op_open,
		.close = op_close,
		.resolve = op_resolve,
		.limit = op_limit,
		.hold = op_hold,
		.lost = op_lost,
		.urgent = op_urgent,
	};

	return &ops;
}

void stw_io_flush(struct stw_io *io)
{
	for (unsigned i = 0; i < io->listener_count; i++) {
		if (io->listeners[i].udp)
			udp_flush(io, (uint16_t)i);
	}
	flows_push(io);
}

/* ---- life ---------------------------------------------------------------------------------- */

/* However much may wait for one, there is room for some. */
static size_t outputs_bytes(size_t max_output_bytes)
{
	size_t bytes = 256u << 20;

	return bytes / 8 < max_output_bytes ? 8 * max_output_bytes : bytes;
}

static void options_fill(struct stw_io_options *options)
{
	if (!options->max_flows)
		options->max_flows = 1024;
	if (!options->max_output_bytes)
		options->max_output_bytes = 1 << 20;
	if (!options->max_outputs_bytes)
		options->max_outputs_bytes = outputs_bytes(options->max_output_bytes);
	if (!options->output_timeout_ms)
		options->output_timeout_ms = 30000;
	if (!options->connect_timeout_ms)
		options->connect_timeout_ms = 4000;
	if (!options->dns_timeout_ms)
		options->dns_timeout_ms = 4000;
	if (!options->resolv_conf)
		options->resolv_conf = "/etc/resolv.conf";
}

static int io_open(struct stw_io *io)
{
	int err;

	io->slots = calloc(io->options.max_flows, sizeof(*io->slots));
	io->bytes = malloc(FLOWS_READ_BYTES + FLOW_READ_BYTES);
	io->events = malloc(EVENTS_MAX * sizeof(*io->events));
	if (!io->slots || !io->bytes || !io->events)
		return -ENOMEM;
	io->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (io->epoll_fd < 0)
		return -errno;
	err = flows_watch(io);
	if (err < 0)
		return err;
	err = wake_open(io);
	if (err < 0)
		return err;
	err = reserve_open(io);
	if (err < 0)
		return err;
	return dns_open(io);
}

/* Two of epoll, the one to be woken by, the reserve, and a socket for each question. */
unsigned stw_io_descriptors(unsigned listeners)
{
	return 4 + listeners * STW_QUEUES + CHANNELS_MAX;
}

int stw_io_new(const struct stw_io_options *options, struct stw_io **ret)
{
	struct stw_io *io;
	int err;

	if (options->max_flows >= 1U << WATCH_SLOT_BITS)
		return -EINVAL;
	io = calloc(1, sizeof(*io));
	if (!io)
		return -ENOMEM;
	io->options = *options;
	options_fill(&io->options);
	io->epoll_fd = io->flows_fd = io->wake_fd = io->reserve_fd = -1;
	io->accept_again_ms = UINT64_MAX;
	io->free_slot = UINT32_MAX;
	TAILQ_INIT(&io->opening);
	TAILQ_INIT(&io->closing);
	TAILQ_INIT(&io->stalled);
	TAILQ_INIT(&io->dead);
	TAILQ_INIT(&io->pushed);
	TAILQ_INIT(&io->held);
	TAILQ_INIT(&io->dns.busy);
	TAILQ_INIT(&io->dns.idle);
	TAILQ_INIT(&io->queued);
	TAILQ_INIT(&io->waiting);
	TAILQ_INIT(&io->done);
	TAILQ_INIT(&io->shown);
	err = io_open(io);
	if (err < 0) {
		stw_io_free(io);
		return err;
	}
	io->options.dns_servers = STW_STR_NONE;
	*ret = io;
	return 0;
}

void stw_io_stats(const struct stw_io *io, struct stw_io_stats *ret)
{
	*ret = io->stats;
}

struct stw_io *stw_io_free(struct stw_io *io)
{
	if (!io)
		return NULL;
	dns_done(io);
	flows_done(io);
	for (unsigned i = 0; i < io->listener_count; i++)
		listener_close(&io->listeners[i]);
	if (io->reserve_fd >= 0)
		close(io->reserve_fd);
	if (io->wake_fd >= 0)
		close(io->wake_fd);
	if (io->flows_fd >= 0)
		close(io->flows_fd);
	if (io->epoll_fd >= 0)
		close(io->epoll_fd);
	free(io->slots);
	free(io->bytes);
	free(io->events);
	free(io);
	return NULL;
}
