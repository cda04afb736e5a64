/* SPDX-License-Identifier: Apache-2.0 */
#include "io_test.h"

#define BATCH 64

struct side {
	const char *host, *wildcard,
		*other; /* other: a second address of the machine, NULL: none */
};

static const struct side sides[] = {
	{ "127.0.0.1", "0.0.0.0", "127.0.0.2" },
	{ "::1", "::", NULL },
};

static struct stw_hop hop_to(const struct stw_addr *remote)
{
	return (struct stw_hop){ .transport = STW_TRANSPORT_UDP, .remote = *remote };
}

static void test_both_ways(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(sides); i++) {
		struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
		struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, sides[i].host);
		const struct stw_io_event *event;
		struct stw_addr peer;
		int fd = test_socket(SOCK_DGRAM, sides[i].host, &peer);

		test_send_to(fd, &ours.bind, "hello", 5);
		event = test_next(io, STW_IO_DATAGRAM);
		assert_str(((struct stw_str){ event->data, event->len }), "hello");
		assert_int_equal(event->hop.transport, STW_TRANSPORT_UDP);
		assert_int_equal(event->hop.listener, 0);
		assert_true(stw_addr_equal(&event->hop.remote, &peer));
		assert_true(stw_addr_equal(&event->hop.local, &ours.bind));
		assert_false(stw_flow_id_set(event->hop.flow));

		assert_int_equal(test_send(io, &event->hop, "answer"), 0);
		stw_io_flush(io);
		test_expect(fd, "answer");
		close(fd);
		stw_io_free(io);
	}
}

/* A wildcard listener knows where a datagram arrived, and answers from there. */
static void test_wildcard_source(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(sides); i++) {
		const char *host = sides[i].other ? sides[i].other : sides[i].host;
		struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
		struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, sides[i].wildcard);
		struct stw_addr peer, target = test_addr(host, ours.bind.port);
		const struct stw_io_event *event;
		union test_name from, expected;
		socklen_t len = sizeof(from);
		char data[16];
		int fd = test_socket(SOCK_DGRAM, sides[i].host, &peer);

		test_send_to(fd, &target, "x", 1);
		event = test_next(io, STW_IO_DATAGRAM);
		assert_true(stw_addr_equal(&event->hop.local, &target));
		assert_int_equal(test_send(io, &event->hop, "y"), 0);
		stw_io_flush(io);

		assert_int_equal(recvfrom(fd, data, sizeof(data), 0, &from.sa, &len), 1);
		assert_int_equal(len, test_name(&target, &expected));
		if (target.family == 4)
			assert_memory_equal(&from.in.sin_addr, &expected.in.sin_addr, 4);
		else
			assert_memory_equal(&from.in6.sin6_addr, &expected.in6.sin6_addr, 16);
		close(fd);
		stw_io_free(io);
	}
}

static void test_batch_in(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	const struct stw_io_event *events;
	struct stw_io_stats stats;
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);

	for (uint8_t i = 0; i < BATCH + 1; i++)
		test_send_to(fd, &ours.bind, &i, 1);
	assert_int_equal(test_poll(io, TEST_WAIT_MS, &events), BATCH);
	for (int i = 0; i < BATCH; i++)
		assert_int_equal(events[i].data[0], i);
	stw_io_stats(io, &stats);
	assert_int_equal(stats.receive_calls, 1);
	assert_int_equal(stats.datagrams_in, BATCH);
	assert_int_equal(test_next(io, STW_IO_DATAGRAM)->data[0], BATCH);
	close(fd);
	stw_io_free(io);
}

static void test_batch_out(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_str slices[] = { STW_STR("one "), STW_STR(""), STW_STR("two") };
	struct stw_io_stats stats;
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);
	struct stw_hop hop = hop_to(&peer);

	test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	for (int i = 0; i < BATCH - 1; i++)
		assert_int_equal(stw_io_ops()->send(io, &hop, (struct stw_slices){ slices, 3 }), 0);
	stw_io_stats(io, &stats);
	assert_int_equal(stats.send_calls, 0);
	stw_io_flush(io);
	stw_io_flush(io);
	stw_io_stats(io, &stats);
	assert_int_equal(stats.send_calls, 1);
	assert_int_equal(stats.datagrams_out, BATCH - 1);
	for (int i = 0; i < BATCH - 1; i++)
		test_expect(fd, "one two");

	/* A full batch goes at once: it borrows nothing beyond the call. */
	for (int i = 0; i < BATCH; i++)
		assert_int_equal(test_send(io, &hop, "z"), 0);
	stw_io_stats(io, &stats);
	assert_int_equal(stats.send_calls, 2);
	close(fd);
	stw_io_free(io);
}

/* More slices than one batch has room for: flushed in between, nothing lost. */
static void test_many_slices(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_str slices[1025];
	struct stw_addr peer;
	char data[2048];
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);
	struct stw_hop hop = hop_to(&peer);

	test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	for (size_t i = 0; i < STW_ARRAY_SIZE(slices); i++)
		slices[i] = STW_STR("a");
	assert_int_equal(
		stw_io_ops()->send(io, &hop, (struct stw_slices){ slices, 1025 }), -EMSGSIZE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			stw_io_ops()->send(io, &hop, (struct stw_slices){ slices, 1000 }), 0);
	stw_io_flush(io);
	for (int i = 0; i < 3; i++)
		assert_int_equal(recv(fd, data, sizeof(data), 0), 1000);
	close(fd);
	stw_io_free(io);
}

/* RFC 3261 §18.1.1: datagrams up to the maximum, headers included, must be handled. */
static void test_largest(void **state)
{
	static char data[65508];
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	struct stw_str slices[] = { { data, 65000 }, { data + 65000, 507 }, { data, 1 } };
	const struct stw_io_event *event;
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);
	struct stw_hop hop = hop_to(&peer);

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 >> 3);
	test_send_to(fd, &ours.bind, data, 65507);
	event = test_next(io, STW_IO_DATAGRAM);
	assert_int_equal(event->len, 65507);
	assert_memory_equal(event->data, data, 65507);

	assert_int_equal(stw_io_ops()->send(io, &hop, (struct stw_slices){ slices, 3 }), -EMSGSIZE);
	assert_int_equal(stw_io_ops()->send(io, &hop, (struct stw_slices){ slices, 2 }), 0);
	stw_io_flush(io);
	memset(data, 0, sizeof(data));
	assert_int_equal(recv(fd, data, sizeof(data), 0), 65507);
	assert_int_equal(data[65506], (char)(65506 * 31 >> 3));
	close(fd);
	stw_io_free(io);
}

/* RFC 3261 §18.4: ICMP port unreachable is told; others on the same socket are not hurt. */
static void test_refused(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(sides); i++) {
		struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
		struct stw_addr gone, alive;
		int gone_fd = test_socket(SOCK_DGRAM, sides[i].host, &gone);
		int alive_fd = test_socket(SOCK_DGRAM, sides[i].host, &alive);
		struct stw_hop to_gone = hop_to(&gone), to_alive = hop_to(&alive);
		const struct stw_io_event *event;
		struct stw_io_stats stats;

		test_listen(io, STW_TRANSPORT_UDP, sides[i].host);
		close(gone_fd);
		assert_int_equal(test_send(io, &to_gone, "x"), 0);
		stw_io_flush(io);
		assert_int_equal(test_send(io, &to_alive, "one"), 0);
		stw_io_flush(io);
		assert_int_equal(test_send(io, &to_alive, "two"), 0);
		stw_io_flush(io);
		test_expect(alive_fd, "one");
		test_expect(alive_fd, "two");

		event = test_next(io, STW_IO_SEND_FAILED);
		assert_int_equal(event->error, ECONNREFUSED);
		assert_int_equal(event->len, 1);
		assert_memory_equal(event->data, "x", 1);
		assert_true(stw_addr_equal(&event->hop.remote, &gone));
		assert_int_equal(event->hop.transport, STW_TRANSPORT_UDP);
		assert_false(stw_flow_id_set(event->hop.flow));
		test_nothing(io, 20);
		stw_io_stats(io, &stats);
		assert_int_equal(stats.send_failures, 1);
		assert_int_equal(stats.datagrams_dropped, 0);
		close(alive_fd);
		stw_io_free(io);
	}
}

/* Each error quotes its own datagram, as much of it as the kernel sends back. */
static void test_refused_quotes(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	const struct stw_io_event *events;
	struct stw_addr gone[3];
	char data[1200];
	int n = 0, seen = 0;

	test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	for (int i = 0; i < 3; i++) {
		struct stw_str slice = { data, sizeof(data) };
		struct stw_hop hop;

		close(test_socket(SOCK_DGRAM, "127.0.0.1", &gone[i]));
		hop = hop_to(&gone[i]);
		memset(data, 'a' + i, sizeof(data));
		assert_int_equal(stw_io_ops()->send(io, &hop, (struct stw_slices){ &slice, 1 }), 0);
		stw_io_flush(io);
	}
	for (; seen < 3; seen += n) {
		n = test_poll(io, TEST_WAIT_MS, &events);
		assert_true(n > 0);
		for (int i = 0; i < n; i++) {
			assert_int_equal(events[i].kind, STW_IO_SEND_FAILED);
			assert_in_range(events[i].len, 500, 576);
			for (int j = 0; j < 3; j++) {
				if (stw_addr_equal(&events[i].hop.remote, &gone[j]))
					assert_int_equal(events[i].data[499], 'a' + j);
			}
		}
	}
	stw_io_free(io);
}

/* The kernel itself refuses: from an address that is not ours. The next datagram still goes out. */
static void test_send_error(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);
	struct stw_hop hop = hop_to(&peer), bad = hop;
	const struct stw_io_event *event;

	test_listen(io, STW_TRANSPORT_UDP, "0.0.0.0");
	bad.local = test_addr("192.0.2.77", 0);
	assert_int_equal(test_send(io, &bad, "bad"), 0);
	assert_int_equal(test_send(io, &hop, "good"), 0);
	stw_io_flush(io);
	test_expect(fd, "good");
	event = test_next(io, STW_IO_SEND_FAILED);
	assert_true(event->error > 0);
	assert_int_equal(event->len, 3);
	assert_memory_equal(event->data, "bad", 3);
	close(fd);
	stw_io_free(io);
}

static void test_wrong_hop(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_addr v6 = test_addr("::1", 9), none = test_addr("127.0.0.1", 0);
	struct stw_hop hop = hop_to(&v6);

	test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	assert_int_equal(test_send(io, &hop, "x"), -EINVAL);
	hop = hop_to(&none);
	assert_int_equal(test_send(io, &hop, "x"), -EINVAL);
	hop.remote.port = 9;
	hop.listener = 1;
	assert_int_equal(test_send(io, &hop, "x"), -EINVAL);
	hop.listener = 60000;
	assert_int_equal(test_send(io, &hop, "x"), -EINVAL);
	stw_io_free(io);
}

static void test_listen_errors(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener first = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1"), other = first;
	struct stw_listener six = { .transport = STW_TRANSPORT_UDP, .bind = test_addr("::", 0) };

	assert_int_equal(stw_io_listen(io, &other), -EADDRINUSE);
	other.bind = test_addr("192.0.2.1", 0);
	assert_int_equal(stw_io_listen(io, &other), -EADDRNOTAVAIL);
	other.transport = STW_TRANSPORT_TLS;
	assert_int_equal(stw_io_listen(io, &other), -EPROTONOSUPPORT);
	/* V6ONLY: the IPv4 port of the same number is another listener's. */
	six.bind.port = first.bind.port;
	assert_int_equal(stw_io_listen(io, &six), 1);
	stw_io_free(io);
}

/* Workers share an address; a stranger who has it already is noticed. */
static void test_reuse_port(void **state)
{
	struct stw_io_options options = { .workers = 2 };
	struct stw_io *first = test_io(&options), *second, *stranger;
	struct stw_listener ours = test_listen(first, STW_TRANSPORT_UDP, "127.0.0.1"), same = ours;

	options.worker = 1;
	second = test_io(&options);
	assert_int_equal(stw_io_listen(second, &same), 0);
	options.worker = 0;
	stranger = test_io(&options);
	assert_int_equal(stw_io_listen(stranger, &same), -EADDRINUSE);
	stw_io_free(stranger);
	stw_io_free(second);
	stw_io_free(first);
}

#define WORKERS (sizeof(STW_WORKER_MARKS) - 1)

static int respond(int fd, const struct stw_addr *to, unsigned shift, const char *branch)
{
	char text[600];
	int len = snprintf(text, sizeof(text),
		"SIP/2.0 200 %.*s\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=%s\r\n"
		"From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\n"
		"Call-ID: 1@example.com\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
		(int)shift, "Okay and so on", branch);

	test_send_to(fd, to, text, (size_t)len);
	return len;
}

static unsigned who_gets(struct stw_io *workers[WORKERS], int len)
{
	const struct stw_io_event *events;
	unsigned who = WORKERS, i;

	for (i = 0; i < WORKERS; i++) {
		if (test_poll(workers[i], 0, &events) != 1)
			continue;
		assert_int_equal(who, WORKERS);
		assert_int_equal(events[0].len, len);
		who = i;
	}
	return who;
}

/* A response comes to the worker that its branch names, wherever it begins; others to some worker.
 */
static void test_responses_to_their_worker(void **state)
{
	struct stw_io_options options = { .workers = WORKERS };
	struct stw_io *workers[WORKERS];
	struct stw_listener ours = { .transport = STW_TRANSPORT_UDP };
	char branch[] = "z9hG4bK?abcdefghijklmno.0123456789abcdef";
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);
	unsigned usual, i;

	ours.bind = test_addr("127.0.0.1", 0);
	for (i = 0; i < WORKERS; i++) {
		options.worker = (uint16_t)i;
		workers[i] = test_io(&options);
		assert_int_equal(stw_io_listen(workers[i], &ours), 0);
	}
	for (i = 0; i < WORKERS; i++) {
		branch[7] = STW_WORKER_MARKS[i];
		assert_int_equal(who_gets(workers, respond(fd, &ours.bind, i % 9, branch)), i);
	}
	/* Those that name none come to the worker of their sender. */
	usual = who_gets(workers, respond(fd, &ours.bind, 2, "z9hG4bK.abc"));
	assert_in_range(usual, 0, WORKERS - 1);
	assert_int_equal(who_gets(workers, respond(fd, &ours.bind, 2, "1")), usual);
	test_send_to(fd, &ours.bind, "SIP/2.0 200 OK\r\n\r\n", 18);
	assert_int_equal(who_gets(workers, 18), usual);
	for (i = 0; i < WORKERS; i++)
		stw_io_free(workers[i]);
	close(fd);
}

/* Draining: datagrams go on, for the responses of what lives. */
static void test_stop_listening(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);

	stw_io_stop_listening(io);
	test_send_to(fd, &ours.bind, "", 0);
	test_send_to(fd, &ours.bind, "BYE", 3);
	assert_int_equal(test_next(io, STW_IO_DATAGRAM)->len, 3);
	close(fd);
	stw_io_free(io);
}

static void test_no_memory(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener listener = { .transport = STW_TRANSPORT_UDP };

	listener.bind = test_addr("127.0.0.1", 0);
	for (unsigned nth = 1; nth <= 2; nth++) {
		support_fail_allocation(nth);
		assert_int_equal(stw_io_listen(io, &listener), -ENOMEM);
	}
	support_fail_allocation(0);
	assert_int_equal(stw_io_listen(io, &listener), 0);
	stw_io_free(io);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_wildcard_source),
		cmocka_unit_test(test_batch_in),
		cmocka_unit_test(test_batch_out),
		cmocka_unit_test(test_many_slices),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_quotes),
		cmocka_unit_test(test_send_error),
		cmocka_unit_test(test_wrong_hop),
		cmocka_unit_test(test_listen_errors),
		cmocka_unit_test(test_reuse_port),
		cmocka_unit_test(test_responses_to_their_worker),
		cmocka_unit_test(test_stop_listening),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
