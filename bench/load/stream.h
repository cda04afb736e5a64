/* SPDX-License-Identifier: Apache-2.0 */
/* One TCP connection of the load generator: messages in (RFC 3261 §18.3), bytes out. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAM_IN = 1 << 18, STREAM_OUT = 1 << 22 };

struct stream {
	int fd; /* -1: none */
	char *in, *out;
	size_t in_from, in_to, out_from, out_to;
};

static void stream_begin(struct stream *s, int fd)
{
	int on = 1;

	if (!s->in) {
		s->in = malloc(STREAM_IN + 1);
		s->out = malloc(STREAM_OUT);
	}
	s->fd = fd;
	s->in_from = s->in_to = s->out_from = s->out_to = 0;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Returns 0, or -1 with errno. */
static int stream_connect(struct stream *s, const struct sockaddr_in *to, int *ret_port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in own;
	socklen_t len = sizeof own;

	if (connect(fd, (const void *)to, sizeof *to) || getsockname(fd, (void *)&own, &len))
		return -1;
	*ret_port = ntohs(own.sin_port);
	stream_begin(s, fd);
	return 0;
}

static int stream_listen(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return bind(fd, (const void *)at, sizeof *at) || listen(fd, 16) ? -1 : fd;
}

static void stream_end(struct stream *s)
{
	close(s->fd);
	s->fd = -1;
}

static size_t stream_waiting(const struct stream *s)
{
	return s->out_to - s->out_from;
}

static void stream_push(struct stream *s)
{
	ssize_t n = 0;

	while (s->fd >= 0 && s->out_from < s->out_to) {
		n = send(s->fd, s->out + s->out_from, s->out_to - s->out_from,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		s->out_from += (size_t)n;
	}
	if (s->out_from == s->out_to)
		s->out_from = s->out_to = 0;
}

/* Returns 0 when there is no room for it. */
static int stream_put(struct stream *s, const char *data, size_t len)
{
	if (s->fd < 0)
		return 0;
	if (s->out_to + len > STREAM_OUT) {
		memmove(s->out, s->out + s->out_from, s->out_to - s->out_from);
		s->out_to -= s->out_from;
		s->out_from = 0;
	}
	if (s->out_to + len > STREAM_OUT)
		return 0;
	memcpy(s->out + s->out_to, data, len);
	s->out_to += len;
	return 1;
}

/* Read what there is; returns 0 at the end of the stream. */
static int stream_read(struct stream *s)
{
	memmove(s->in, s->in + s->in_from, s->in_to - s->in_from);
	s->in_to -= s->in_from;
	s->in_from = 0;
	ssize_t n = recv(s->fd, s->in + s->in_to, STREAM_IN - s->in_to, MSG_DONTWAIT);
	if (n > 0)
		s->in_to += (size_t)n;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* The next whole message, or NULL. */
static char *stream_next(struct stream *s, int *ret_len)
{
	char *p, *end = s->in + s->in_to, *head, *length;
	size_t body = 0;

	while (s->in_from < s->in_to && (s->in[s->in_from] == '\r' || s->in[s->in_from] == '\n'))
		s->in_from++;
	p = s->in + s->in_from;
	head = memmem(p, (size_t)(end - p), "\r\n\r\n", 4);
	if (!head)
		return NULL;
	head += 4;
	length = memmem(p, (size_t)(head - p), "\r\nContent-Length:", 17);
	if (length)
		body = (size_t)strtoul(length + 17, NULL, 10);
	if (body > (size_t)(end - head))
		return NULL;
	*ret_len = (int)(head - p + (ptrdiff_t)body);
	s->in_from += (size_t)*ret_len;
	return p;
}

#endif
