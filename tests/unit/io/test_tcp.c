/* SPDX-License-Identifier: Apache-2.0 */
#include "io_test.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <time.h>

static const char *const hosts[] = { "127.0.0.1", "::1" };

/* A batch of events with one message to send. */
static int send_now(struct stw_io *io, const struct stw_hop *hop, struct stw_str text)
{
	int err = stw_io_ops()->send(io, hop, (struct stw_slices){ &text, 1 });

	stw_io_flush(io);
	return err;
}

static int test_send_now(struct stw_io *io, const struct stw_hop *hop, const char *text)
{
	return send_now(io, hop, stw_str_from(text));
}

static struct stw_hop hop_to(const struct stw_addr *remote)
{
	return (struct stw_hop){ .transport = STW_TRANSPORT_TCP, .remote = *remote };
}

static struct stw_flow_id test_open(struct stw_io *io, const struct stw_addr *remote)
{
	struct stw_hop hop = hop_to(remote);
	struct stw_flow_id id = { 0 };

	assert_int_equal(stw_io_ops()->open(io, &hop, &id), 0);
	assert_true(stw_flow_id_set(id));
	return id;
}

static int test_listening(const char *host, int backlog, struct stw_addr *ret)
{
	int fd = test_socket(SOCK_STREAM, host, ret);

	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* A peer that has connected to our only listener, and its flow. */
static int test_incoming(struct stw_io *io, const struct stw_listener *ours, struct stw_hop *ret)
{
	const struct stw_io_event *event;
	struct stw_addr peer;
	int fd = test_connect(&ours->bind, &peer);

	event = test_next(io, STW_IO_OPENED);
	assert_true(event->incoming);
	assert_true(stw_addr_equal(&event->hop.remote, &peer));
	*ret = event->hop;
	return fd;
}

/* What arrives until the peer's end, in all. */
static size_t test_read_all(int fd)
{
	static char data[1 << 16];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0)
		total += (size_t)n;
	assert_int_equal(n, 0);
	return total;
}

static void test_accept(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(hosts); i++) {
		struct stw_io *io = test_io(&(struct stw_io_options){ .worker = 3 });
		struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, hosts[i]);
		const struct stw_io_event *event;
		struct stw_hop hop;
		int fd = test_incoming(io, &ours, &hop);

		assert_int_equal(hop.flow.worker, 3);
		assert_int_equal(hop.listener, 0);
		assert_true(stw_addr_equal(&hop.local, &ours.bind));
		assert_int_equal(send(fd, "hello", 5, 0), 5);
		event = test_next(io, STW_IO_BYTES);
		assert_str(((struct stw_str){ event->data, event->len }), "hello");
		assert_true(stw_flow_id_equal(event->hop.flow, hop.flow));

		assert_int_equal(test_send_now(io, &hop, "answer"), 0);
		test_expect(fd, "answer");
		close(fd);
		event = test_next(io, STW_IO_ENDED);
		assert_true(stw_flow_id_equal(event->hop.flow, hop.flow));
		stw_io_ops()->close(io, hop.flow);
		assert_int_equal(test_send_now(io, &hop, "late"), -ENOTCONN);
		stw_io_free(io);
	}
}

/* Sent while it opens: queued, then delivered in order. From the listener's address. */
static void test_connect_out(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(hosts); i++) {
		struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
		struct stw_addr peer;
		int listening = test_listening(hosts[i], 8, &peer), fd, on = 0;
		struct stw_hop hop = hop_to(&peer);
		const struct stw_io_event *event;
		socklen_t len = sizeof(on);

		test_listen(io, STW_TRANSPORT_TCP, hosts[i]);
		hop.flow = test_open(io, &peer);
		assert_int_equal(test_send_now(io, &hop, "one "), 0);
		assert_int_equal(test_send_now(io, &hop, "two "), 0);
		event = test_next(io, STW_IO_OPENED);
		assert_false(event->incoming);
		assert_true(stw_flow_id_equal(event->hop.flow, hop.flow));
		assert_true(event->hop.local.port != 0);
		assert_int_equal(test_send_now(io, &hop, "three"), 0);
		fd = accept(listening, NULL, NULL);
		assert_true(fd >= 0);
		test_expect(fd, "one two three");
		assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
		close(fd);
		close(listening);
		stw_io_free(io);
	}
}

static void test_connect_source(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_addr peer, source = test_addr("127.0.0.2", 0);
	int listening = test_listening("127.0.0.1", 8, &peer);

	test_listen(io, STW_TRANSPORT_TCP, "127.0.0.2");
	test_open(io, &peer);
	assert_true(stw_addr_same_ip(&test_next(io, STW_IO_OPENED)->hop.local, &source));
	close(listening);
	stw_io_free(io);
}

static void test_connect_refused(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	const struct stw_io_event *event;
	struct stw_addr peer;
	struct stw_hop hop;

	close(test_socket(SOCK_STREAM, "127.0.0.1", &peer));
	hop = hop_to(&peer);
	hop.flow = test_open(io, &peer);
	assert_int_equal(test_send_now(io, &hop, "never"), 0);
	event = test_next(io, STW_IO_CLOSED);
	assert_int_equal(event->error, ECONNREFUSED);
	assert_true(stw_flow_id_equal(event->hop.flow, hop.flow));
	assert_true(stw_addr_equal(&event->hop.remote, &peer));
	test_nothing(io, 10);
	stw_io_free(io);
}

/* A listener whose queue is full ignores us: the connection ends in time. */
static void test_connect_timeout(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ .connect_timeout_ms = 60 });
	struct stw_addr peer, ignored;
	int listening = test_listening("127.0.0.1", 0, &peer),
	    filler = test_connect(&peer, &ignored);
	uint64_t start_ms = stw_io_now().mono_ms;

	test_open(io, &peer);
	assert_int_equal(test_next(io, STW_IO_CLOSED)->error, ETIMEDOUT);
	assert_in_range(stw_io_now().mono_ms - start_ms, 60, 1000);

	/* Given up before: nothing is told. */
	stw_io_ops()->close(io, test_open(io, &peer));
	test_nothing(io, 100);
	close(filler);
	close(listening);
	stw_io_free(io);
}

static void test_open_errors(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ .max_flows = 1 });
	struct stw_addr peer;
	int listening = test_listening("127.0.0.1", 8, &peer);
	struct stw_hop hop = hop_to(&peer);
	struct stw_flow_id id;

	hop.remote.port = 0;
	assert_int_equal(stw_io_ops()->open(io, &hop, &id), -EINVAL);
	hop.remote.port = peer.port;
	hop.transport = STW_TRANSPORT_TLS;
	assert_int_equal(stw_io_ops()->open(io, &hop, &id), -EPROTONOSUPPORT);
	hop.transport = STW_TRANSPORT_TCP;
	hop.remote = test_addr("255.255.255.255", 5060);
	assert_true(stw_io_ops()->open(io, &hop, &id) < 0);
	support_fail_allocation(1);
	assert_int_equal(stw_io_ops()->open(io, &hop, &id), -ENOMEM);
	support_fail_allocation(0);
	test_open(io, &peer);
	hop.remote = peer;
	assert_int_equal(stw_io_ops()->open(io, &hop, &id), -ENOBUFS);
	close(listening);
	stw_io_free(io);
}

/* The name of a flow that is gone does not reach the one that got its slot. */
static void test_generation(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ .max_flows = 1 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_hop first, second, other;
	int fd = test_incoming(io, &ours, &first);

	close(fd);
	test_next(io, STW_IO_ENDED);
	stw_io_ops()->close(io, first.flow);
	fd = test_incoming(io, &ours, &second);
	assert_int_equal(second.flow.slot, first.flow.slot);
	assert_int_not_equal(second.flow.generation, first.flow.generation);
	assert_int_equal(test_send_now(io, &first, "x"), -ENOTCONN);
	stw_io_ops()->close(io, first.flow);
	assert_int_equal(test_send_now(io, &second, "y"), 0);
	test_expect(fd, "y");

	other = second;
	other.flow.worker = 9;
	assert_int_equal(test_send_now(io, &other, "x"), -ENOTCONN);
	other.flow = (struct stw_flow_id){ .slot = 77777, .generation = 1 };
	assert_int_equal(test_send_now(io, &other, "x"), -ENOTCONN);
	other.flow = (struct stw_flow_id){ 0 };
	assert_int_equal(test_send_now(io, &other, "x"), -ENOTCONN);
	close(fd);
	stw_io_free(io);
}

/* More than the kernel takes at once: queued, then read by the peer byte for byte. */
static void test_partial_writes(void **state)
{
	enum { PARTS = 300, PART = 100000 };
	static char part[PART], data[PART];
	struct stw_io *io = test_io(&(struct stw_io_options){ .max_output_bytes = PARTS * PART });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_str slices[] = { { part, 1 }, { part + 1, 70000 },
		{ part + 70001, PART - 70001 } };
	const struct stw_io_event *events;
	struct stw_hop hop;
	size_t got = 0;
	int fd = test_incoming(io, &ours, &hop);

	for (size_t i = 0; i < PART; i++)
		part[i] = (char)(i * 7 >> 2);
	for (int i = 0; i < PARTS; i++)
		assert_int_equal(stw_io_ops()->send(io, &hop, (struct stw_slices){ slices, 3 }), 0);
	stw_io_flush(io);
	stw_io_ops()->close(io, hop.flow);
	assert_int_equal(test_send_now(io, &hop, "x"), -ENOTCONN);

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (;;) {
		ssize_t n = recv(fd, data, PART - got % PART, 0);

		if (n == 0)
			break;
		assert_true(n > 0 || errno == EAGAIN);
		if (n > 0)
			assert_memory_equal(data, part + got % PART, (size_t)n);
		got += n > 0 ? (size_t)n : 0;
		assert_int_equal(test_poll(io, n < 0 ? 1 : 0, &events), 0);
	}
	assert_int_equal(got, (size_t)PARTS * PART);
	close(fd);
	test_nothing(io, 10);
	stw_io_free(io);
}

/* What is sent in one batch of events leaves together; much leaves before its end. */
static void test_collected(void **state)
{
	static char part[40000], data[2 * sizeof(part) + 8];
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_str one = { part, sizeof(part) };
	struct stw_hop hop;
	int fd = test_incoming(io, &ours, &hop);

	for (int round = 0; round < 2; round++) {
		assert_int_equal(test_send(io, &hop, "one "), 0);
		assert_int_equal(test_send(io, &hop, "two "), 0);
		assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), -1);
		stw_io_flush(io);
		assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), 8);
		assert_memory_equal(data, "one two ", 8);
	}
	assert_int_equal(stw_io_ops()->send(io, &hop, (struct stw_slices){ &one, 1 }), 0);
	assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), -1);
	assert_int_equal(stw_io_ops()->send(io, &hop, (struct stw_slices){ &one, 1 }), 0);
	assert_int_equal(
		recv(fd, data, sizeof(data), MSG_WAITALL | MSG_DONTWAIT), 2 * sizeof(part));

	/* Closed in the same batch: it leaves before the end of the connection. */
	assert_int_equal(test_send(io, &hop, "last"), 0);
	stw_io_ops()->close(io, hop.flow);
	assert_int_equal(test_read_all(fd), 4);
	stw_io_flush(io);
	close(fd);
	test_nothing(io, 20);
	stw_io_free(io);
}

/* Many small messages behind a full socket. */
static void test_small_messages_queue(void **state)
{
	static char big[1 << 20];
	struct stw_io *io = test_io(&(struct stw_io_options){ .max_output_bytes = 64 << 20 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_str one = { big, sizeof(big) };
	const struct stw_io_event *events;
	struct stw_hop hop;
	size_t sent = 0, got = 0;
	int fd = test_incoming(io, &ours, &hop);

	for (; sent < 32 * sizeof(big); sent += sizeof(big))
		assert_int_equal(send_now(io, &hop, one), 0);
	for (int i = 0; i < 1000; i++, sent += 5)
		assert_int_equal(test_send_now(io, &hop, "small"), 0);
	while (got < sent) {
		ssize_t n = recv(fd, big, sizeof(big), MSG_DONTWAIT);

		got += n > 0 ? (size_t)n : 0;
		assert_int_equal(test_poll(io, n < 0 ? 1 : 0, &events), 0);
	}
	assert_int_equal(got, sent);
	close(fd);
	stw_io_free(io);
}

/* A peer that does not read is cut off at the limit. */
static void test_slow_reader(void **state)
{
	static char part[10000];
	struct stw_io *io = test_io(&(struct stw_io_options){ .max_output_bytes = 50000 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_str one = { part, sizeof(part) };
	const struct stw_io_event *event;
	struct stw_io_stats stats;
	struct stw_hop hop;
	int fd = test_incoming(io, &ours, &hop), err = 0;

	for (int i = 0; i < 10000 && err == 0; i++)
		err = send_now(io, &hop, one);
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(test_send_now(io, &hop, "x"), -ENOTCONN);
	event = test_next(io, STW_IO_CLOSED);
	assert_int_equal(event->error, ENOBUFS);
	assert_true(stw_flow_id_equal(event->hop.flow, hop.flow));
	stw_io_stats(io, &stats);
	assert_int_equal(stats.flows_cut, 1);
	close(fd);

	/* The limit holds while the flow opens, too; closed by us, it is not told. */
	hop.flow = test_open(io, &ours.bind);
	for (err = 0; err == 0;)
		err = send_now(io, &hop, one);
	assert_int_equal(err, -ENOBUFS);
	stw_io_ops()->close(io, hop.flow);
	stw_io_stop_listening(io);
	stw_io_free(io);
}

/* What waits for a peer ends with it in time, unless the peer goes on reading. */
static void test_stalled_reader(void **state)
{
	enum { TIMEOUT_MS = 300, PART = 2 << 20 };
	static char part[PART];
	struct stw_io *io = test_io(&(struct stw_io_options){
		.max_output_bytes = 64 << 20, .output_timeout_ms = TIMEOUT_MS });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_str one = { part, PART };
	const struct stw_io_event *event;
	struct stw_io_stats stats;
	struct stw_hop hop;
	uint64_t start_ms;
	int fd = test_incoming(io, &ours, &hop);

	for (int i = 0; i < 24; i++)
		assert_int_equal(send_now(io, &hop, one), 0);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(recv(fd, part, PART, MSG_WAITALL), PART);
		test_nothing(io, TIMEOUT_MS / 5);
	}
	start_ms = stw_io_now().mono_ms;
	event = test_next(io, STW_IO_CLOSED);
	assert_int_equal(event->error, ENOBUFS);
	assert_in_range(stw_io_now().mono_ms - start_ms, TIMEOUT_MS / 2, 2 * TIMEOUT_MS);
	stw_io_stats(io, &stats);
	assert_int_equal(stats.flows_cut, 1);
	close(fd);

	/* All that waited was read: nobody is waited for. */
	fd = test_incoming(io, &ours, &hop);
	for (int i = 0; i < 4; i++)
		assert_int_equal(send_now(io, &hop, one), 0);
	for (size_t got = 0; got < (size_t)4 * PART;) {
		ssize_t n = recv(fd, part, PART, MSG_DONTWAIT);

		got += n > 0 ? (size_t)n : 0;
		test_nothing(io, n < 0 ? 1 : 0);
	}
	test_nothing(io, 2 * TIMEOUT_MS);
	close(fd);
	stw_io_free(io);
}

/* Where much waits for many, less may wait for each; one more finds room still. */
static void test_slow_readers(void **state)
{
	enum { PEERS = 12, PARTS = 8, PART = 20000 };
	static char part[PART];
	struct stw_io *io = test_io(&(struct stw_io_options){
		.max_output_bytes = PARTS * PART, .max_outputs_bytes = PARTS * PARTS * PART });
	struct stw_str one = { part, PART };
	struct stw_addr peer, ignored;
	int listening = test_listening("127.0.0.1", 0, &peer),
	    filler = test_connect(&peer, &ignored);
	struct stw_hop hop = hop_to(&peer);
	unsigned cut = 0;

	for (unsigned i = 0; i < PEERS; i++) {
		int err = 0;

		hop.flow = test_open(io, &peer);
		for (unsigned sent = 0; sent < PARTS && err == 0; sent++)
			err = send_now(io, &hop, one);
		assert_true(err == 0 || err == -ENOBUFS);
		cut += err != 0;
	}
	assert_int_equal(cut, PEERS - PARTS / 2);
	hop.flow = test_open(io, &peer);
	assert_int_equal(send_now(io, &hop, one), 0);
	close(filler);
	close(listening);
	stw_io_free(io);
}

/* Bytes first, then the end, told once. What a peer that has ended is still sent reaches it, also
 * when we have closed before it was read. */
static void test_half_close(void **state)
{
	static char part[32 << 20];
	struct stw_io *io = test_io(&(struct stw_io_options){ .max_output_bytes = 32 << 20 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_str one = { part, sizeof(part) };
	const struct stw_io_event *events;
	struct stw_hop hop;
	int fd = test_incoming(io, &ours, &hop), closed = 0;
	size_t got = 0;
	ssize_t n;

	assert_int_equal(send_now(io, &hop, one), 0);
	assert_int_equal(send(fd, "last", 4, 0), 4);
	shutdown(fd, SHUT_WR);
	assert_int_equal(test_next(io, STW_IO_BYTES)->len, 4);
	test_next(io, STW_IO_ENDED);
	test_nothing(io, 10);
	assert_int_equal(test_send_now(io, &hop, "x"), 0);
	stw_io_ops()->close(io, hop.flow);
	assert_int_equal(test_send_now(io, &hop, "x"), -ENOTCONN);
	while ((n = recv(fd, part, sizeof(part), MSG_DONTWAIT)) != 0) {
		assert_true(n > 0 || errno == EAGAIN);
		got += n > 0 ? (size_t)n : 0;
		closed += test_poll(io, 1, &events);
	}
	assert_int_equal(got, sizeof(part) + 1);
	assert_int_equal(closed, 0);
	close(fd);
	stw_io_free(io);
}

/* A peer that has ended and is gone altogether: noticed by what is sent, told once. */
static void test_half_close_then_reset(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_hop hop;
	int fd = test_incoming(io, &ours, &hop);

	close(fd);
	test_next(io, STW_IO_ENDED);
	assert_int_equal(test_send_now(io, &hop, "first: answered by a reset"), 0);
	assert_int_equal(test_send_now(io, &hop, "second"), 0);
	assert_int_equal(test_send(io, &hop, "third"), -ENOTCONN);
	assert_int_equal(test_next(io, STW_IO_CLOSED)->error, EPIPE);
	test_nothing(io, 10);
	stw_io_free(io);
}

/* A peer that has closed answers what we write with a reset: that is heard of, and once. */
static void test_closed_by_peer(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	const struct stw_io_event *event;
	struct stw_hop hop;
	int fd = test_incoming(io, &ours, &hop);

	close(fd);
	test_next(io, STW_IO_ENDED);
	test_nothing(io, 10);
	assert_int_equal(test_send_now(io, &hop, "180"), 0);
	event = test_next(io, STW_IO_CLOSED);
	assert_true(stw_flow_id_equal(event->hop.flow, hop.flow));
	assert_int_equal(test_send_now(io, &hop, "486"), -ENOTCONN);
	stw_io_free(io);
}

static void test_reset(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct linger now = { 1, 0 };
	struct stw_hop hop;
	int fd = test_incoming(io, &ours, &hop);

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	assert_int_equal(test_next(io, STW_IO_CLOSED)->error, ECONNRESET);

	/* Noticed by a write: told once. */
	fd = test_incoming(io, &ours, &hop);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	assert_int_equal(test_send_now(io, &hop, "x"), 0);
	assert_int_equal(test_send(io, &hop, "y"), -ENOTCONN);
	test_next(io, STW_IO_CLOSED);
	test_nothing(io, 10);
	stw_io_free(io);
}

/* Our last response reaches a peer that was still sending (a reset would have overtaken it). */
static void test_close_while_peer_sends(void **state)
{
	static char flood[100000];
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_hop hop;
	int fd = test_incoming(io, &ours, &hop);

	assert_int_equal(send(fd, flood, sizeof(flood), 0), sizeof(flood));
	assert_int_equal(test_send_now(io, &hop, "513"), 0);
	stw_io_ops()->close(io, hop.flow);
	test_nothing(io, 20);
	assert_int_equal(test_read_all(fd), 3);
	close(fd);
	test_nothing(io, 20);
	assert_int_equal(test_incoming(io, &ours, &hop) >= 0, true);
	stw_io_free(io);
}

static void test_many_accepts(void **state)
{
	enum { PEERS = 200 };
	struct stw_io *io = test_io(&(struct stw_io_options){ .max_flows = PEERS - 10 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	const struct stw_io_event *events;
	struct stw_io_stats stats = { 0 };
	struct stw_addr peer;
	int fds[PEERS], opened = 0, polls = 0;

	for (int i = 0; i < PEERS; i++)
		fds[i] = test_connect(&ours.bind, &peer);
	while (stats.flows_accepted + stats.flows_refused < PEERS) {
		opened += test_poll(io, 100, &events);
		stw_io_stats(io, &stats);
		polls++;
	}
	assert_int_equal(stats.flows_accepted, PEERS - 10);
	assert_int_equal(stats.flows_refused, 10);
	assert_int_equal(opened, PEERS - 10);
	assert_in_range(polls, 1, PEERS / 4);
	for (int i = 0; i < PEERS; i++)
		close(fds[i]);
	for (opened = 0; opened < PEERS - 10;)
		opened += test_poll(io, TEST_WAIT_MS, &events);
	stw_io_free(io);
}

/* What has waited is not hidden by what came later and is read with it. */
static void test_waited(void **state)
{
	enum { READ = 16384, WAIT_US = 30000 };
	static char flood[READ + 1000];
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	const struct stw_io_event *event;
	struct stw_hop hop;
	int fd = test_incoming(io, &ours, &hop), on = 1;

	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(send(fd, flood, sizeof(flood), 0), sizeof(flood));
		assert_int_equal(test_next(io, STW_IO_BYTES)->len, READ);
		usleep(WAIT_US);
		assert_int_equal(send(fd, flood, 1000, 0), 1000);
		event = test_next(io, STW_IO_BYTES);
		assert_int_equal(event->len, 2000);
		assert_true(event->waited_us >= WAIT_US);
	}
	/* Read to its end: the next one begins anew. */
	usleep(WAIT_US);
	assert_int_equal(send(fd, flood, 1, 0), 1);
	assert_true(test_next(io, STW_IO_BYTES)->waited_us < WAIT_US);
	close(fd);
	stw_io_free(io);
}

/* A busy peer's backlog waits with us, where its time is seen: more than the 64 KiB that the kernel
 * would begin with. */
static void test_window(void **state)
{
	static const char data[1 << 14];
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct pollfd ready = { .events = POLLOUT };
	int little = 1; /* the kernel's least */
	size_t sent = 0;
	ssize_t n;
	struct stw_hop hop;

	ready.fd = test_incoming(io, &ours, &hop);
	setsockopt(ready.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
	while (poll(&ready, 1, 50) > 0) {
		n = send(ready.fd, data, sizeof(data), MSG_DONTWAIT);
		assert_true(n > 0);
		sent += (size_t)n;
	}
	assert_true(sent >= 150000);
	close(ready.fd);
	stw_io_free(io);
}

/* One flow that never stops does not keep the others waiting. */
static void test_fair(void **state)
{
	static char flood[200000];
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	const struct stw_io_event *events;
	struct stw_hop busy, quiet;
	int busy_fd = test_incoming(io, &ours, &busy), quiet_fd = test_incoming(io, &ours, &quiet);
	bool seen = false;

	assert_true(send(busy_fd, flood, sizeof(flood), MSG_DONTWAIT) > 50000);
	assert_int_equal(send(quiet_fd, "q", 1, 0), 1);
	usleep(20000);
	for (int n = test_poll(io, TEST_WAIT_MS, &events); n > 0; n--) {
		assert_true(events[n - 1].len <= 16384);
		seen |= stw_flow_id_equal(events[n - 1].hop.flow, quiet.flow);
	}
	assert_true(seen);
	close(busy_fd);
	close(quiet_fd);
	stw_io_free(io);
}

/* The kernel stamps what arrives only some time after the first socket asks for it. */
static void stamps_begin(struct stw_io *io, int fd)
{
	uint32_t waited_us = 0;

	for (int i = 0; i < 200 && waited_us < 2000; i++) {
		assert_int_equal(send(fd, "?", 1, 0), 1);
		usleep(2000);
		waited_us = test_next(io, STW_IO_BYTES)->waited_us;
	}
}

/* Held: the loop neither reads nor spins, and flows may end; then what has come is there, with the
 * time that it has waited. */
static void test_hold(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_hop busy, left, reset;
	int busy_fd = test_incoming(io, &ours, &busy), left_fd = test_incoming(io, &ours, &left),
	    reset_fd = test_incoming(io, &ours, &reset);
	struct linger at_once = { .l_onoff = 1 };
	const struct stw_io_event *events;
	clock_t before;

	stamps_begin(io, busy_fd);
	stw_io_ops()->hold(io, true);
	assert_int_equal(send(busy_fd, "one", 3, 0), 3);
	assert_int_equal(send(left_fd, "not read", 8, 0), 8);
	assert_int_equal(send(reset_fd, "last", 4, 0), 4);
	test_nothing(io, 10);
	setsockopt(reset_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(reset_fd);
	stw_io_ops()->close(io, left.flow);
	before = clock();
	test_nothing(io, 100);
	assert_true(clock() - before < CLOCKS_PER_SEC / 100);
	assert_int_equal(test_send_now(io, &busy, "answer"), 0);
	test_expect(busy_fd, "answer");

	stw_io_ops()->hold(io, false);
	assert_int_equal(test_poll(io, TEST_WAIT_MS, &events), 2);
	assert_int_equal(events[0].kind, STW_IO_BYTES);
	assert_true(stw_flow_id_equal(events[0].hop.flow, busy.flow));
	assert_str(((struct stw_str){ events[0].data, events[0].len }), "one");
	assert_true(events[0].waited_us >= 100000);
	assert_true(stw_flow_id_equal(events[1].hop.flow, reset.flow));
	assert_str(((struct stw_str){ events[1].data, events[1].len }), "last");
	events = test_next(io, STW_IO_CLOSED);
	assert_true(stw_flow_id_equal(events->hop.flow, reset.flow));
	close(busy_fd);
	close(left_fd);
	stw_io_free(io);
}

/* Without descriptors connections are refused, the loop does not spin, and later ones are served.
 */
static void test_descriptors_run_out(void **state)
{
	enum { PEERS = 8 };
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	const struct stw_io_event *events;
	struct rlimit limit, before;
	struct stw_io_stats stats;
	struct stw_addr peer;
	struct stw_hop hop;
	int fds[PEERS], n;
	char byte;

	for (int i = 0; i < PEERS; i++)
		fds[i] = test_connect(&ours.bind, &peer);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)fds[PEERS - 1] + 3; /* room for two */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	n = test_poll(io, 50, &events);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

	assert_int_equal(n, 2);
	stw_io_stats(io, &stats);
	assert_int_equal(stats.flows_accepted, 2);
	assert_int_equal(stats.flows_refused, PEERS - 2);
	assert_int_equal(recv(fds[PEERS - 1], &byte, 1, 0), 0);
	close(test_incoming(io, &ours, &hop));
	for (int i = 0; i < PEERS; i++)
		close(fds[i]);
	stw_io_free(io);
}

/* The lowest number that is not in use. */
static int free_descriptor(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

/* What we have closed waits for its peer as long as nobody needs its descriptor. */
static void test_descriptor_of_closed(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct rlimit limit, before;
	struct stw_addr peer;
	struct stw_hop hop;
	int fd = test_incoming(io, &ours, &hop), next = test_connect(&ours.bind, &peer);

	assert_int_equal(test_send_now(io, &hop, "503"), 0);
	stw_io_ops()->close(io, hop.flow);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)free_descriptor();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	hop = test_next(io, STW_IO_OPENED)->hop;
	/* One that we open ourselves takes it as well. */
	assert_int_equal(test_send_now(io, &hop, "503"), 0);
	stw_io_ops()->close(io, hop.flow);
	test_open(io, &ours.bind);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(test_read_all(fd), 3);
	assert_int_equal(test_read_all(next), 3);
	close(fd);
	close(next);
	stw_io_free(io);
}

/* Nothing was sent that a reset might overtake: nothing is waited for. */
static void test_close_unused(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_addr peer;
	int fd = test_connect(&ours.bind, &peer), number = free_descriptor();

	stw_io_ops()->close(io, test_next(io, STW_IO_OPENED)->hop.flow);
	assert_int_equal(free_descriptor(), number);
	assert_int_equal(test_read_all(fd), 0);
	close(fd);
	stw_io_free(io);
}

/* Even the reserve is gone: accepting pauses, and goes on by itself. */
static void test_reserve_gone(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct rlimit limit, before;
	struct stw_addr peer;
	int fd = test_connect(&ours.bind, &peer);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 3; /* every number up to here is in use */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	test_nothing(io, 20);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	test_next(io, STW_IO_OPENED);
	close(fd);
	stw_io_free(io);
}

static void test_stop_listening(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_addr ignored;
	union test_name name;
	struct stw_hop hop;
	socklen_t len;
	int fd = test_incoming(io, &ours, &hop),
	    late = test_socket(SOCK_STREAM, "127.0.0.1", &ignored);

	stw_io_stop_listening(io);
	len = test_name(&ours.bind, &name);
	assert_int_equal(connect(late, &name.sa, len), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(test_send_now(io, &hop, "lives"), 0);
	test_expect(fd, "lives");
	close(late);
	close(fd);
	stw_io_free(io);
}

static void test_queue_no_memory(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_addr peer;
	int listening = test_listening("127.0.0.1", 8, &peer);
	struct stw_hop hop = hop_to(&peer);

	hop.flow = test_open(io, &peer);
	support_fail_allocation(1);
	assert_int_equal(test_send_now(io, &hop, "x"), -ENOBUFS);
	support_fail_allocation(0);
	assert_int_equal(test_next(io, STW_IO_CLOSED)->error, ENOMEM);
	close(listening);
	stw_io_free(io);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_connect_out),
		cmocka_unit_test(test_connect_source),
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_connect_timeout),
		cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_generation),
		cmocka_unit_test(test_partial_writes),
		cmocka_unit_test(test_collected),
		cmocka_unit_test(test_small_messages_queue),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_stalled_reader),
		cmocka_unit_test(test_slow_readers),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_half_close_then_reset),
		cmocka_unit_test(test_closed_by_peer),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_close_while_peer_sends),
		cmocka_unit_test(test_many_accepts),
		cmocka_unit_test(test_waited),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_fair),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_descriptors_run_out),
		cmocka_unit_test(test_descriptor_of_closed),
		cmocka_unit_test(test_close_unused),
		cmocka_unit_test(test_reserve_gone),
		cmocka_unit_test(test_stop_listening),
		cmocka_unit_test(test_queue_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
