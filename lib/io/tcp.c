/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: listening, accepting until descriptors run out and after, connecting. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Before the handshake; what a listener accepts has that of the listener. */
static void tcp_window(int fd)
{
	buffer_raise(fd, SO_RCVBUFFORCE, SO_RCVBUF, TCP_WINDOW_BYTES);
}

int tcp_listen(struct stw_io *io, struct io_listener *listener)
{
	tcp_window(listener->fd);
	return listen(listener->fd, SOMAXCONN) < 0 ? -errno : 0;
}

static void stream_configure(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_INQ, &on, sizeof(on));
	stamps_enable(fd);
}

/* ---- descriptors run out ---------------------------------------------------------- */

/*
 * When no descriptor is left, a connection could be neither accepted nor refused, and the listener
 * would stay ready for ever. One descriptor is kept for that case: it is closed, the connection is
 * accepted on it and closed, and it is opened again.
 */
int reserve_open(struct stw_io *io)
{
	io->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return io->reserve_fd < 0 ? -errno : 0;
}

static void listeners_watch(struct stw_io *io, bool watch)
{
	for (unsigned i = 0; i < io->listener_count; i++) {
		if (!io->listeners[i].udp && io->listeners[i].fd >= 0)
			watch_set(io, io->listeners[i].fd, watch ? EPOLLIN : 0,
				watch_key(WATCH_LISTENER, i, 0));
	}
}

static void accept_pause(struct stw_io *io)
{
	listeners_watch(io, false);
	io->accept_again_ms = clock_mono_ms() + ACCEPT_PAUSE_MS;
}

void tcp_accept_again(struct stw_io *io, uint64_t now_ms)
{
	if (now_ms < io->accept_again_ms)
		return;
	io->accept_again_ms = UINT64_MAX;
	listeners_watch(io, true);
}

/* @return false: nothing waits any more, or even the reserve is gone */
static bool accept_refuse(struct stw_io *io, int listener_fd)
{
	int fd, error;

	if (io->reserve_fd >= 0)
		close(io->reserve_fd);
	fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
	error = errno;
	if (fd >= 0) {
		io->stats.flows_refused++;
		close(fd);
	}
	if (reserve_open(io) < 0 || (fd < 0 && error != EAGAIN)) {
		accept_pause(io);
		return false;
	}
	return fd >= 0;
}

/* ---- accepting ---------------------------------------------------------------------- */

static int accepted_add(struct stw_io *io, uint16_t index, int fd, const union sockaddr_any *name)
{
	struct stw_hop hop = { .transport = STW_TRANSPORT_TCP, .listener = index };
	struct stw_io_event *event;
	union sockaddr_any local;
	socklen_t len = sizeof(local);
	struct flow *flow;
	int err;

	addr_from_sockaddr(&name->sa, &hop.remote);
	if (getsockname(fd, &local.sa, &len) == 0)
		addr_from_sockaddr(&local.sa, &hop.local);
	err = flow_new(io, fd, &hop, &flow);
	if (err < 0)
		return err;
	flow->state = FLOW_OPEN;
	flow->watched = EPOLLIN;
	err = watch_set(io, fd, EPOLLIN,
		watch_key(WATCH_FLOW, flow->hop.flow.slot, flow->hop.flow.generation));
	if (err < 0) {
		flow->fd = -1;
		flow_release(io, flow);
		return err;
	}
	stream_configure(fd);
	io->stats.flows_accepted++;
	event = event_add(io, STW_IO_OPENED);
	event->hop = flow->hop;
	event->incoming = true;
	return 0;
}

/* @return false: nothing more to accept for now */
static bool accept_one(struct stw_io *io, uint16_t index)
{
	int listener_fd = io->listeners[index].fd, fd;
	union sockaddr_any name;
	socklen_t len = sizeof(name);

	fd = accept4(listener_fd, &name.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		if (accepted_add(io, index, fd, &name) < 0) {
			io->stats.flows_refused++;
			close(fd);
		}
		return true;
	}
	if (errno == EMFILE || errno == ENFILE)
		return flow_drop_lingering(io) || accept_refuse(io, listener_fd);
	if (errno == ENOBUFS || errno == ENOMEM) {
		accept_pause(io);
		return false;
	}
	/* Others are errors of the one connection that was to be accepted, see accept(2). */
	return errno != EAGAIN;
}

void tcp_accept(struct stw_io *io, uint16_t index)
{
	if (io->listeners[index].fd < 0)
		return;
	for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
		if (!accept_one(io, index))
			return;
	}
	io->gather.stands = true; /* more wait perhaps */
}

/* ---- connecting ------------------------------------------------------------------------ */

/* From the address of the listener, when it has one; else the kernel chooses by its routes. */
static int connect_bind(const struct stw_io *io, int fd, const struct stw_hop *hop)
{
	const struct io_listener *listener;
	struct stw_addr source;
	union sockaddr_any name;
	socklen_t len;
	int on = 1;

	if (hop->listener >= io->listener_count)
		return 0;
	listener = &io->listeners[hop->listener];
	if (listener->wildcard || listener->bound.bind.family != hop->remote.family)
		return 0;
	source = listener->bound.bind;
	source.port = 0;
	len = sockaddr_from_addr(&source, &name);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, &name.sa, len) < 0 ? -errno : 0;
}

static int connect_start(const struct stw_io *io, int fd, const struct stw_hop *hop)
{
	union sockaddr_any name;
	socklen_t len;
	int err;

	err = connect_bind(io, fd, hop);
	if (err < 0)
		return err;
	len = sockaddr_from_addr(&hop->remote, &name);
	if (connect(fd, &name.sa, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

static int stream_socket(const struct stw_addr *remote)
{
	int family = remote->family == 4 ? AF_INET : AF_INET6, fd;

	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	tcp_window(fd);
	stream_configure(fd);
	return fd;
}

int tcp_open(struct stw_io *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	struct flow *flow = NULL;
	int fd, err;

	if (!hop->remote.family || !hop->remote.port)
		return -EINVAL;
	fd = stream_socket(&hop->remote);
	if (fd == -EMFILE && flow_drop_lingering(io))
		fd = stream_socket(&hop->remote);
	if (fd < 0)
		return fd;
	err = flow_new(io, fd, hop, &flow);
	if (err < 0) {
		close(fd);
		return err;
	}
	err = connect_start(io, fd, hop);
	if (err == 0)
		err = watch_set(io, fd, EPOLLOUT,
			watch_key(WATCH_FLOW, flow->hop.flow.slot, flow->hop.flow.generation));
	if (err < 0) {
		flow_release(io, flow);
		return err;
	}
	flow->watched = EPOLLOUT;
	flow->due_ms = clock_mono_ms() + io->options.connect_timeout_ms;
	flow_move(flow, &io->opening);
	*ret = flow->hop.flow;
	return 0;
}
