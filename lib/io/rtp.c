/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of ports for RTP and RTCP: what is read here is not SIP. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PORT_MIN 16384
#define PORT_MAX 32766
#define TRIES    200

struct stw_io_rtp {
	struct stw_io *io;
	int fds[2]; /* RTP, RTCP */
	uint16_t port;
};

static int pair_open(struct stw_io_rtp *rtp, const struct stw_addr *addr, uint16_t port)
{
	struct stw_listener listener = { .transport = STW_TRANSPORT_UDP, .bind = *addr };

	for (unsigned i = 0; i < 2; i++) {
		listener.bind.port = (uint16_t)(port + i);
		rtp->fds[i] = listener_socket(&listener, false);
		if (rtp->fds[i] < 0 && i == 1)
			close(rtp->fds[0]);
		if (rtp->fds[i] < 0)
			return rtp->fds[i];
	}
	rtp->port = port;
	return 0;
}

static int pair_find(struct stw_io_rtp *rtp, const struct stw_addr *addr)
{
	unsigned pairs = (PORT_MAX - PORT_MIN) / 2 + 1, first, err;

	if (addr->port)
		return addr->port & 1 ? -EINVAL : pair_open(rtp, addr, addr->port);
	first = (unsigned)(stw_io_seed() % pairs);
	err = EADDRINUSE;
	for (unsigned i = 0; i < TRIES && err == EADDRINUSE; i++)
		err = (unsigned)-pair_open(
			rtp, addr, (uint16_t)(PORT_MIN + 2 * ((first + i) % pairs)));
	return -(int)err;
}

int stw_io_rtp_open(struct stw_io *io, const struct stw_addr *addr, struct stw_io_rtp **ret)
{
	struct stw_io_rtp *rtp = calloc(1, sizeof(*rtp));
	int err;

	if (!rtp)
		return -ENOMEM;
	rtp->io = io;
	err = pair_find(rtp, addr);
	if (err < 0) {
		free(rtp);
		return err;
	}
	for (unsigned i = 0; i < 2; i++) {
		stamps_enable(rtp->fds[i]);
		err = watch_set(io, rtp->fds[i], EPOLLIN, watch_key(WATCH_RTP, 0, 0));
		if (err < 0) {
			stw_io_rtp_close(rtp);
			return err;
		}
	}
	*ret = rtp;
	return 0;
}

uint16_t stw_io_rtp_port(const struct stw_io_rtp *rtp)
{
	return rtp->port;
}

int stw_io_rtp_send(
	struct stw_io_rtp *rtp, bool rtcp, const struct stw_addr *to, const void *bytes, size_t len)
{
	union sockaddr_any name;
	socklen_t name_len = sockaddr_from_addr(to, &name);

	return sendto(rtp->fds[rtcp], bytes, len, 0, &name.sa, name_len) < 0 ? -errno : 0;
}

int stw_io_rtp_receive(struct stw_io_rtp *rtp, void *buffer, size_t size, struct stw_addr *ret_from,
	uint64_t *ret_arrived_us)
{
	_Alignas(8) char control[UDP_CONTROL_BYTES];
	struct iovec iov = { buffer, size };
	union sockaddr_any name;
	struct msghdr header = { .msg_name = &name,
		.msg_namelen = sizeof(name),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	ssize_t len = -1;

	for (unsigned i = 0; i < 2 && len < 0; i++) {
		header.msg_namelen = sizeof(name);
		header.msg_controllen = sizeof(control);
		len = recvmsg(rtp->fds[i], &header, 0);
		/* What ICMP said of a datagram of ours is told once, and is no reason to stop. */
		if (len < 0 && errno == ECONNREFUSED)
			len = recvmsg(rtp->fds[i], &header, 0);
	}
	if (len < 0)
		return -EAGAIN;
	addr_from_sockaddr(&name.sa, ret_from);
	*ret_arrived_us = clock_mono_us() - stamp_waited_us(&header, clock_stamp_ns());
	return (int)len;
}

struct stw_io_rtp *stw_io_rtp_close(struct stw_io_rtp *rtp)
{
	if (!rtp)
		return NULL;
	for (unsigned i = 0; i < 2; i++) {
		watch_set(rtp->io, rtp->fds[i], 0, 0);
		close(rtp->fds[i]);
	}
	free(rtp);
	return NULL;
}
