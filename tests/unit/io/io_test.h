/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of io share: an io on loopback, plain sockets as the peer, events by kind. */
#ifndef STW_TESTS_IO_TEST_H
#define STW_TESTS_IO_TEST_H

#include <strowger/io.h>

#include "support.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEST_WAIT_MS 5000

union test_name {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static inline struct stw_io *test_io(const struct stw_io_options *options)
{
	struct stw_io *io;

	assert_int_equal(stw_io_new(options, &io), 0);
	return io;
}

static inline struct stw_addr test_addr(const char *host, uint16_t port)
{
	struct stw_addr addr;

	assert_int_equal(stw_addr_from_host(stw_str_from(host), port, &addr), 0);
	return addr;
}

static inline struct stw_listener test_listen(
	struct stw_io *io, enum stw_transport transport, const char *host)
{
	struct stw_listener listener = { .transport = transport, .bind = test_addr(host, 0) };

	assert_true(stw_io_listen(io, &listener) >= 0);
	assert_true(listener.bind.port != 0);
	return listener;
}

static inline socklen_t test_name(const struct stw_addr *addr, union test_name *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (addr->family == 4) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(addr->port);
		memcpy(&ret->in.sin_addr, addr->ip, 4);
		return sizeof(ret->in);
	}
	ret->in6.sin6_family = AF_INET6;
	ret->in6.sin6_port = htons(addr->port);
	memcpy(&ret->in6.sin6_addr, addr->ip, 16);
	return sizeof(ret->in6);
}

/* A plain socket bound to a free port of the host, blocking for at most TEST_WAIT_MS. */
static inline int test_socket(int type, const char *host, struct stw_addr *ret)
{
	struct timeval wait = { .tv_sec = TEST_WAIT_MS / 1000 };
	union test_name name;
	socklen_t len;
	int fd;

	*ret = test_addr(host, 0);
	fd = socket(ret->family == 4 ? AF_INET : AF_INET6, type, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	len = test_name(ret, &name);
	assert_int_equal(bind(fd, &name.sa, len), 0);
	assert_int_equal(getsockname(fd, &name.sa, &len), 0);
	ret->port = ntohs(ret->family == 4 ? name.in.sin_port : name.in6.sin6_port);
	return fd;
}

static inline int test_connect(const struct stw_addr *to, struct stw_addr *ret)
{
	int fd = test_socket(SOCK_STREAM, to->family == 4 ? "127.0.0.1" : "::1", ret);
	union test_name name;
	socklen_t len = test_name(to, &name);

	assert_int_equal(connect(fd, &name.sa, len), 0);
	return fd;
}

static inline void test_send_to(int fd, const struct stw_addr *to, const void *data, size_t len)
{
	union test_name name;
	socklen_t name_len = test_name(to, &name);

	assert_int_equal(sendto(fd, data, len, 0, &name.sa, name_len), len);
}

static inline int test_send(struct stw_io *io, const struct stw_hop *hop, const char *text)
{
	struct stw_str one = stw_str_from(text);

	return stw_io_ops()->send(io, hop, (struct stw_slices){ &one, 1 });
}

static inline int test_poll(struct stw_io *io, uint32_t wait_ms, const struct stw_io_event **ret)
{
	return stw_io_poll(io, stw_io_now().mono_ms + wait_ms, ret);
}

/* The next event, which must come alone, in time, and be of this kind. Valid until the next poll.
 */
static inline const struct stw_io_event *test_next(struct stw_io *io, enum stw_io_event_kind kind)
{
	const struct stw_io_event *events;
	int n = test_poll(io, TEST_WAIT_MS, &events);

	assert_int_equal(n, 1);
	assert_int_equal(events[0].kind, kind);
	return events;
}

static inline void test_nothing(struct stw_io *io, uint32_t wait_ms)
{
	const struct stw_io_event *events;

	assert_int_equal(test_poll(io, wait_ms, &events), 0);
}

/* What the peer's socket gets: exactly this text. */
static inline void test_expect(int fd, const char *text)
{
	char data[256];
	size_t len = strlen(text), got = 0;

	assert_true(len < sizeof(data));
	while (got < len) {
		ssize_t n = recv(fd, data + got, len - got, 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_memory_equal(data, text, len);
}

#endif
