/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams: batches in, batches out, and what ICMP says of them (RFC 3261 §18.4). */
#include "internal.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/sock_diag.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SEND_TRIES 4
/* What fits behind the IP and UDP headers. */
#define PAYLOAD_MAX_IPV4 65507
#define PAYLOAD_MAX_IPV6 65527
/* What the kernel adds to a datagram: headers and struct skb_shared_info; struct sk_buff. */
#define UDP_MESSAGE_EXTRA 400
#define UDP_MESSAGE_HEAD  256

/* ---- socket ------------------------------------------------------------------- */

/* The kernel tells twice the number that it was given. */
static int receive_bytes(int fd)
{
	int bytes = 0;
	socklen_t len = sizeof(bytes);

	return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len) < 0 ? 0 : bytes / 2;
}

/* What the system grants to everybody, and what we got: the privilege may be gone later. */
static void queue_widen(struct udp_queue *queue)
{
	int bytes = UDP_SOCKET_BYTES;

	setsockopt(queue->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	queue->plain_bytes = receive_bytes(queue->fd);
	setsockopt(queue->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	queue->bytes = receive_bytes(queue->fd);
}

/* A failure leaves it as it is. */
static bool queue_widens_again(const struct udp_queue *queue)
{
	return queue->plain_bytes >= queue->bytes ||
	       setsockopt(queue->fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue->bytes,
		       sizeof(queue->bytes)) == 0;
}

static int udp_configure(int fd, const struct io_listener *listener)
{
	bool ipv4 = listener->bound.bind.family == 4;
	int level = ipv4 ? IPPROTO_IP : IPPROTO_IPV6, on = 1;

	buffer_raise(fd, SO_SNDBUFFORCE, SO_SNDBUF, UDP_SOCKET_BYTES);
	stamps_enable(fd);
	if (listener->wildcard &&
		setsockopt(fd, level, ipv4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof(on)) < 0)
		return -errno;
	if (setsockopt(fd, level, ipv4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

static void received_prepare(struct udp_queue *queue)
{
	for (unsigned i = 0; i < UDP_BATCH; i++) {
		struct msghdr *header = &queue->in.messages[i].msg_hdr;

		queue->in.iov[i].iov_base = queue->slots + (size_t)i * UDP_STRIDE_BYTES;
		queue->in.iov[i].iov_len = UDP_SLOT_BYTES;
		header->msg_iov = &queue->in.iov[i];
		header->msg_iovlen = 1;
		header->msg_name = &queue->in.names[i];
		header->msg_namelen = sizeof(queue->in.names[i]);
		header->msg_control = queue->in.control[i];
		header->msg_controllen = UDP_CONTROL_BYTES;
	}
}

static int queue_open(struct io_listener *listener, int fd)
{
	struct udp_queue *queue = &listener->udp->queues[listener->udp->queue_count];

	queue->slots = malloc((size_t)UDP_BATCH * UDP_STRIDE_BYTES);
	if (!queue->slots)
		return -ENOMEM;
	queue->fd = fd;
	queue->limit = UINT32_MAX;
	queue_widen(queue);
	received_prepare(queue);
	listener->udp->queue_count++;
	return udp_configure(fd, listener);
}

/* The order in which they are bound is their number for the kernel. */
static int queues_open(struct stw_io *io, struct io_listener *listener)
{
	int err = sort_attach(
		listener->fd, io->options.workers, listener->bound.bind.family, NULL, 0);

	if (err < 0)
		return 0; /* all in one queue */
	for (unsigned i = 1; i < STW_QUEUES; i++) {
		int fd = listener_socket(&listener->bound, true);

		if (fd < 0)
			return fd;
		err = queue_open(listener, fd);
		if (err < 0) {
			if (listener->udp->queue_count == i)
				close(fd);
			return err;
		}
	}
	return 0;
}

int udp_open(struct stw_io *io, struct io_listener *listener)
{
	int err;

	listener->udp = calloc(1, sizeof(*listener->udp));
	if (!listener->udp)
		return -ENOMEM;
	err = queue_open(listener, listener->fd);
	return err < 0 ? err : queues_open(io, listener);
}

int udp_watch(struct stw_io *io, uint16_t index)
{
	struct udp *udp = io->listeners[index].udp;
	int err = 0;

	for (unsigned i = 0; err == 0 && i < udp->queue_count; i++)
		err = watch_set(
			io, udp->queues[i].fd, EPOLLIN, watch_key(WATCH_LISTENER, index, i));
	return err;
}

/* The descriptor of the first queue is that of the listener. */
void udp_close(struct io_listener *listener)
{
	struct udp *udp = listener->udp;

	for (unsigned i = 0; udp && i < udp->queue_count; i++) {
		free(udp->queues[i].slots);
		if (i > 0)
			close(udp->queues[i].fd);
	}
	free(udp);
	listener->udp = NULL;
}

/* On failure they are sorted as before. */
void udp_sort(struct stw_io *io, const struct stw_str *users, unsigned count)
{
	for (unsigned i = 0; i < io->listener_count; i++) {
		const struct io_listener *listener = &io->listeners[i];

		if (listener->udp && listener->udp->queue_count > 1)
			sort_attach(listener->fd, io->options.workers, listener->bound.bind.family,
				users, count);
	}
}

/* What a message takes from the room of its socket: the kernel allocates by powers of two. */
static uint32_t message_bytes(size_t len)
{
	uint32_t bytes = 512;

	while (bytes < len + UDP_MESSAGE_EXTRA)
		bytes *= 2;
	return bytes + UDP_MESSAGE_HEAD;
}

/* One that is large is not what all the others are. */
static uint32_t mean_bytes(uint32_t mean, uint32_t bytes)
{
	return mean ? (uint32_t)((UINT64_C(15) * mean + bytes) / 16) : bytes;
}

void udp_limit(struct io_listener *listener, enum stw_queue number, uint32_t messages)
{
	struct udp_queue *queue = &listener->udp->queues[number];
	uint64_t bytes;

	if (number >= listener->udp->queue_count || messages == queue->limit)
		return;
	queue->limit = messages;
	bytes = (uint64_t)queue->bytes;
	if (messages != UINT32_MAX && queue->message_bytes)
		bytes = (uint64_t)messages * queue->message_bytes / 2;
	if (bytes > (uint64_t)queue->bytes)
		bytes = (uint64_t)queue->bytes;
	/* Better long than short for ever. */
	if (queue_widens_again(queue))
		buffer_raise(queue->fd, SO_RCVBUFFORCE, SO_RCVBUF, (int)bytes);
}

/* A kernel that does not tell (before 4.12) has lost none. */
static void queue_count_lost(struct udp_queue *queue)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	if (getsockopt(queue->fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0 || len < sizeof(info))
		return;
	queue->lost += info[SK_MEMINFO_DROPS] - queue->drops;
	queue->drops = info[SK_MEMINFO_DROPS];
}

uint64_t udp_lost(struct io_listener *listener)
{
	uint64_t lost = 0;

	for (unsigned i = 0; listener->udp && i < listener->udp->queue_count; i++) {
		queue_count_lost(&listener->udp->queues[i]);
		lost += listener->udp->queues[i].lost;
	}
	return lost;
}

/* ---- errors ----------------------------------------------------------------------- */

/* @return NULL: too many are waiting already */
static struct send_failure *failure_add(
	struct stw_io *io, uint16_t index, const union sockaddr_any *name, int error)
{
	struct send_failure *failure = &io->failures[io->failure_count];

	io->stats.send_failures++;
	if (io->failure_count == FAILURES_MAX)
		return NULL;
	memset(failure, 0, sizeof(*failure));
	failure->hop.transport = STW_TRANSPORT_UDP;
	failure->hop.listener = index;
	addr_from_sockaddr(&name->sa, &failure->hop.remote);
	failure->error = error;
	io->failure_count++;
	return failure;
}

static void failure_quote(struct send_failure *failure, const struct iovec *iov, size_t n)
{
	for (size_t i = 0; failure && i < n; i++) {
		size_t room = sizeof(failure->quote) - failure->quote_len;
		size_t bytes = iov[i].iov_len < room ? iov[i].iov_len : room;

		memcpy(failure->quote + failure->quote_len, iov[i].iov_base, bytes);
		failure->quote_len += bytes;
	}
}

/*
 * RFC 3261 §18.4: host, network, port or protocol unreachable and parameter problem are told;
 * source quench and TTL exceeded are not. "Fragmentation needed" has been noted by the kernel.
 */
static bool error_matters(const struct sock_extended_err *error)
{
	if (error->ee_origin == SO_EE_ORIGIN_ICMP)
		return (error->ee_type == ICMP_DEST_UNREACH &&
			       error->ee_code != ICMP_FRAG_NEEDED) ||
		       error->ee_type == ICMP_PARAMETERPROB;
	if (error->ee_origin == SO_EE_ORIGIN_ICMP6)
		return error->ee_type == ICMP6_DST_UNREACH || error->ee_type == ICMP6_PARAM_PROB;
	return false;
}

static bool error_take(struct msghdr *header, struct sock_extended_err *ret)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		if ((part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
			(part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR)) {
			memcpy(ret, CMSG_DATA(part), sizeof(*ret));
			return true;
		}
	}
	return false;
}

/* What is read are the bytes of our datagram that the error quotes. */
static void errors_receive(struct stw_io *io, uint16_t index, int fd)
{
	int ignored;
	socklen_t len = sizeof(ignored);

	for (unsigned i = 0; i < UDP_ERRORS; i++) {
		_Alignas(8) char control[512];
		struct sock_extended_err error;
		union sockaddr_any name = { 0 };
		char quote[QUOTE_BYTES];
		struct iovec iov = { quote, sizeof(quote) };
		struct msghdr header = {
			.msg_name = &name,
			.msg_namelen = sizeof(name),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};

		ssize_t bytes = recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);

		if (bytes < 0)
			break;
		iov.iov_len = (size_t)bytes;
		if (error_take(&header, &error) && error_matters(&error))
			failure_quote(failure_add(io, index, &name, (int)error.ee_errno), &iov, 1);
	}
	/* The error that the queue announced would else be the answer to the next call. */
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &ignored, &len);
}

/* ---- in ------------------------------------------------------------------------------ */

static void local_from_control(struct msghdr *header, struct stw_addr *ret)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
			const struct in_pktinfo *info = (const void *)CMSG_DATA(part);

			ret->family = 4;
			memcpy(ret->ip, &info->ipi_spec_dst, 4);
		} else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
			const struct in6_pktinfo *info = (const void *)CMSG_DATA(part);

			if (IN6_IS_ADDR_MULTICAST(&info->ipi6_addr))
				continue;
			ret->family = 6;
			memcpy(ret->ip, &info->ipi6_addr, 16);
			if (IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
				ret->scope = (uint32_t)info->ipi6_ifindex;
		}
	}
}

static struct stw_io_event *datagram_tell(
	struct stw_io *io, uint16_t index, struct udp_received *in, unsigned slot, int64_t now_ns)
{
	const struct io_listener *listener = &io->listeners[index];
	struct msghdr *header = &in->messages[slot].msg_hdr;
	struct stw_io_event *event = event_add(io, STW_IO_DATAGRAM);

	event->hop.transport = STW_TRANSPORT_UDP;
	event->hop.listener = index;
	addr_from_sockaddr(&in->names[slot].sa, &event->hop.remote);
	if (listener->wildcard)
		local_from_control(header, &event->hop.local);
	else
		event->hop.local = listener->bound.bind;
	if (event->hop.local.family)
		event->hop.local.port = listener->bound.bind.port;
	event->data = in->iov[slot].iov_base;
	event->len = in->messages[slot].msg_len;
	event->waited_us = stamp_waited_us(header, now_ns);
	return event;
}

static void datagrams_receive(struct stw_io *io, uint16_t index, enum stw_queue number)
{
	struct udp_queue *queue = &io->listeners[index].udp->queues[number];
	struct udp_received *in = &queue->in;
	struct stw_io_event *event;
	int64_t now_ns;
	int n;

	n = recvmmsg(queue->fd, in->messages, UDP_BATCH, MSG_DONTWAIT, NULL);
	now_ns = clock_stamp_ns();
	io->stats.receive_calls++;
	for (int i = 0; i < n; i++) {
		struct msghdr *header = &in->messages[i].msg_hdr;

		/* An empty datagram carries no message, and port 0 cannot be answered. */
		if (in->messages[i].msg_len && in->names[i].in.sin_port) {
			event = datagram_tell(io, index, in, (unsigned)i, now_ns);
			event->queue = (uint8_t)number;
			event->queue_stands = n == UDP_BATCH;
		}
		io->stats.datagrams_in++;
		header->msg_namelen = sizeof(in->names[i]);
		header->msg_controllen = UDP_CONTROL_BYTES;
	}
	if (n == UDP_BATCH) {
		io->gather.stands = io->datagrams_stand = true;
		queue->message_bytes = mean_bytes(
			queue->message_bytes, message_bytes(in->messages[n - 1].msg_len));
		io->urgent_stands |= number == STW_QUEUE_URGENT;
	}
}

void udp_ready(struct stw_io *io, uint16_t index, enum stw_queue number, uint32_t ready)
{
	if (ready & EPOLLERR)
		errors_receive(io, index, io->listeners[index].udp->queues[number].fd);
	if (ready & EPOLLIN)
		datagrams_receive(io, index, number);
}

/* ---- out ------------------------------------------------------------------------------- */

static size_t control_put_source(struct msghdr *header, const struct stw_addr *local)
{
	struct cmsghdr *part = header->msg_control;
	struct in_pktinfo info = { 0 };
	struct in6_pktinfo info6 = { 0 };

	memset(part, 0, UDP_CONTROL_BYTES);
	if (local->family == 4) {
		memcpy(&info.ipi_spec_dst, local->ip, 4);
		part->cmsg_level = IPPROTO_IP;
		part->cmsg_type = IP_PKTINFO;
		part->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(part), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	memcpy(&info6.ipi6_addr, local->ip, 16);
	info6.ipi6_ifindex = local->scope;
	part->cmsg_level = IPPROTO_IPV6;
	part->cmsg_type = IPV6_PKTINFO;
	part->cmsg_len = CMSG_LEN(sizeof(info6));
	memcpy(CMSG_DATA(part), &info6, sizeof(info6));
	return CMSG_SPACE(sizeof(info6));
}

static unsigned iov_borrow(struct iovec *iov, struct stw_slices slices)
{
	unsigned n = 0;

	for (unsigned i = 0; i < slices.n; i++) {
		if (!slices.v[i].len)
			continue;
		iov[n].iov_base = (void *)(uintptr_t)slices.v[i].ptr;
		iov[n++].iov_len = slices.v[i].len;
	}
	return n;
}

static void batch_add(
	struct io_listener *listener, const struct stw_hop *hop, struct stw_slices slices)
{
	struct udp_batch *out = &listener->udp->out;
	struct msghdr *header = &out->messages[out->count].msg_hdr;

	memset(header, 0, sizeof(*header));
	header->msg_name = &out->names[out->count];
	header->msg_namelen = sockaddr_from_addr(&hop->remote, &out->names[out->count]);
	header->msg_iov = &out->iov[out->iov_count];
	header->msg_iovlen = iov_borrow(header->msg_iov, slices);
	out->iov_count += (unsigned)header->msg_iovlen;
	if (listener->wildcard && hop->local.family == hop->remote.family &&
		!stw_addr_is_any(&hop->local)) {
		header->msg_control = out->control[out->count];
		header->msg_controllen = control_put_source(header, &hop->local);
	}
	out->count++;
}

int udp_send(struct stw_io *io, const struct stw_hop *hop, struct stw_slices slices)
{
	struct io_listener *listener;
	struct udp_batch *out;

	if (hop->listener >= io->listener_count || !hop->remote.port)
		return -EINVAL;
	listener = &io->listeners[hop->listener];
	if (!listener->udp || listener->bound.bind.family != hop->remote.family)
		return -EINVAL;
	if (slices.n > UDP_IOVECS ||
		stw_slices_bytes(slices) >
			(hop->remote.family == 4 ? PAYLOAD_MAX_IPV4 : PAYLOAD_MAX_IPV6))
		return -EMSGSIZE;

	out = &listener->udp->out;
	if (out->count == UDP_BATCH || out->iov_count + slices.n > UDP_IOVECS)
		udp_flush(io, hop->listener);
	batch_add(listener, hop, slices);
	if (out->count == UDP_BATCH)
		udp_flush(io, hop->listener);
	return 0;
}

static bool no_room(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

void udp_flush(struct stw_io *io, uint16_t index)
{
	struct udp_batch *out = &io->listeners[index].udp->out;
	unsigned next = 0, tries = 0;

	while (next < out->count) {
		int n = sendmmsg(io->listeners[index].fd, &out->messages[next], out->count - next,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		io->stats.send_calls++;
		if (n > 0) {
			next += (unsigned)n;
			io->stats.datagrams_out += (unsigned)n;
			tries = 0;
		} else if (no_room(errno)) {
			/* As on a full link: lost, and the sender's timers repeat what matters. */
			io->stats.datagrams_dropped += out->count - next;
			break;
		} else if (++tries == SEND_TRIES) {
			/* Until then it may be ICMP's answer to an earlier datagram, see ip(7). */
			failure_quote(failure_add(io, index, &out->names[next], errno),
				out->messages[next].msg_hdr.msg_iov,
				out->messages[next].msg_hdr.msg_iovlen);
			next++;
			tries = 0;
		}
	}
	out->count = 0;
	out->iov_count = 0;
}
