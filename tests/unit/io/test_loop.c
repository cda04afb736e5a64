/* SPDX-License-Identifier: Apache-2.0 */
/* What one turn of the loop brings when much is ready: of whom, in which order, and how much. */
#include "io_test.h"

#define PEERS     200 /* more than are asked for at a time */
#define READ      16384
#define READ_ALL  (1 << 19)
#define BESIDE    (1 << 16) /* datagrams that stand */
#define BUSY      40
#define SETTLE_US 20000

struct crowd {
	struct stw_io *io;
	struct stw_listener udp, tcp;
	struct stw_addr peer;
	int datagrams, fds[PEERS];
	struct stw_flow_id flows[PEERS];
	unsigned count;
};

/* So many peers that are connected, and one that sends datagrams. */
static void crowd_init(struct crowd *crowd, const struct stw_io_options *options, unsigned count)
{
	struct stw_addr ignored;

	crowd->io = test_io(options);
	crowd->udp = test_listen(crowd->io, STW_TRANSPORT_UDP, "127.0.0.1");
	crowd->tcp = test_listen(crowd->io, STW_TRANSPORT_TCP, "127.0.0.1");
	crowd->datagrams = test_socket(SOCK_DGRAM, "127.0.0.1", &crowd->peer);
	crowd->count = count;
	for (unsigned i = 0; i < count; i++) {
		crowd->fds[i] = test_connect(&crowd->tcp.bind, &ignored);
		crowd->flows[i] = test_next(crowd->io, STW_IO_OPENED)->hop.flow;
	}
}

static void crowd_done(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->count; i++)
		close(crowd->fds[i]);
	close(crowd->datagrams);
	stw_io_free(crowd->io);
}

static void crowd_send(struct crowd *crowd, size_t len)
{
	static const char data[3 * READ];

	for (unsigned i = 0; i < crowd->count; i++)
		assert_int_equal(send(crowd->fds[i], data, len, 0), len);
}

static void datagram_send(struct crowd *crowd, const char *text)
{
	test_send_to(crowd->datagrams, &crowd->udp.bind, text, strlen(text));
}

static unsigned count_kind(const struct stw_io_event *events, int n, enum stw_io_event_kind kind)
{
	unsigned count = 0;

	for (int i = 0; i < n; i++)
		count += events[i].kind == kind;
	return count;
}

static unsigned whose(const struct crowd *crowd, const struct stw_io_event *event)
{
	unsigned i = 0;

	while (i < crowd->count && !stw_flow_id_equal(crowd->flows[i], event->hop.flow))
		i++;
	assert_true(i < crowd->count);
	return i;
}

/* However many connections are ready, and although they were before it. */
static void test_datagram_in_next_poll(void **state)
{
	const struct stw_io_event *events;
	struct stw_addr late;
	struct crowd crowd;
	unsigned bytes = 0;
	int n, fd;

	crowd_init(&crowd, &(struct stw_io_options){ 0 }, PEERS);
	crowd_send(&crowd, 1);
	datagram_send(&crowd, "OPTIONS sip:b.example");
	datagram_send(&crowd, "BYE sip:b@b.example");
	fd = test_connect(&crowd.tcp.bind, &late);
	stw_io_wake(crowd.io);
	n = test_poll(crowd.io, TEST_WAIT_MS, &events);
	assert_int_equal(count_kind(events, n, STW_IO_DATAGRAM), 2);
	assert_int_equal(count_kind(events, n, STW_IO_WOKEN), 1);
	assert_int_equal(count_kind(events, n, STW_IO_OPENED), 1);
	for (bytes = count_kind(events, n, STW_IO_BYTES); bytes < PEERS; bytes += (unsigned)n) {
		n = test_poll(crowd.io, TEST_WAIT_MS, &events);
		assert_true(n > 0);
	}
	assert_int_equal(bytes, PEERS);
	test_nothing(crowd.io, 0);
	close(fd);
	crowd_done(&crowd);
}

/* What is urgent is told before what connections bring, and other datagrams after it. */
static void test_urgent_first(void **state)
{
	const struct stw_io_event *events;
	struct crowd crowd;

	crowd_init(&crowd, &(struct stw_io_options){ 0 }, 2);
	crowd_send(&crowd, 1);
	datagram_send(&crowd, "INVITE sip:b@b.example");
	datagram_send(&crowd, "BYE sip:b@b.example");
	assert_int_equal(test_poll(crowd.io, TEST_WAIT_MS, &events), 4);
	assert_int_equal(events[0].kind, STW_IO_DATAGRAM);
	assert_int_equal(events[0].queue, STW_QUEUE_URGENT);
	assert_int_equal(events[1].kind, STW_IO_BYTES);
	assert_int_equal(events[2].kind, STW_IO_BYTES);
	assert_int_equal(events[3].kind, STW_IO_DATAGRAM);
	assert_int_equal(events[3].queue, STW_QUEUE_NEW);
	crowd_done(&crowd);
}

/* One turn brings of all connections so much and a read more, and each has its turn. */
static void test_bounded(void **state)
{
	const struct stw_io_event *events;
	unsigned reads[PEERS] = { 0 };
	struct crowd crowd;

	crowd_init(&crowd, &(struct stw_io_options){ 0 }, BUSY);
	crowd_send(&crowd, 3 * READ);
	usleep(SETTLE_US);
	for (unsigned all = 0; all < 3 * BUSY;) {
		int n = test_poll(crowd.io, TEST_WAIT_MS, &events);
		size_t bytes = 0;

		assert_int_equal(count_kind(events, n, STW_IO_BYTES), n);
		for (int i = 0; i < n; i++) {
			bytes += events[i].len;
			assert_int_equal(events[i].len, READ);
			assert_int_equal(++reads[whose(&crowd, &events[i])], all++ / BUSY + 1);
		}
		assert_in_range(bytes, 1, READ_ALL + READ);
	}
	test_nothing(crowd.io, 0);
	crowd_done(&crowd);
}

/* Those whose turn is the next one are not slept for, and stand in a queue. */
static void test_rest_is_not_waited_for(void **state)
{
	const uint32_t gather_ms = 400;
	const struct stw_io_event *events;
	uint64_t start_ms;
	struct crowd crowd;
	unsigned all = 0;

	crowd_init(&crowd, &(struct stw_io_options){ .gather_us = gather_ms * 1000 }, BUSY);
	stw_io_gather(crowd.io);
	crowd_send(&crowd, READ - 1); /* none has more than one read brings */
	usleep(SETTLE_US);
	start_ms = stw_io_now().mono_ms;
	while (all < BUSY) {
		int n = test_poll(crowd.io, TEST_WAIT_MS, &events);

		assert_true(n > 0 && n < BUSY);
		for (int i = 0; i < n; i++)
			assert_true(all == 0 || events[i].queue_stands);
		all += (unsigned)n;
		if (all == BUSY)
			break;
		usleep(SETTLE_US); /* the load is counted over 10 ms */
		stw_io_gather(crowd.io);
	}
	assert_true(stw_io_now().mono_ms - start_ms < gather_ms / 2);
	crowd_done(&crowd);
}

/* While datagrams stand, connections bring less. */
static void test_beside_datagrams(void **state)
{
	const struct stw_io_event *events;
	struct crowd crowd;
	size_t bytes = 0;
	int n;

	crowd_init(&crowd, &(struct stw_io_options){ 0 }, BUSY);
	crowd_send(&crowd, 3 * READ);
	for (unsigned i = 0; i < 300; i++)
		datagram_send(&crowd, "hello");
	usleep(SETTLE_US);
	n = test_poll(crowd.io, TEST_WAIT_MS, &events);
	assert_int_equal(count_kind(events, n, STW_IO_DATAGRAM), 64);
	n = test_poll(crowd.io, TEST_WAIT_MS, &events);
	assert_int_equal(count_kind(events, n, STW_IO_DATAGRAM), 64);
	for (int i = 0; i < n; i++)
		bytes += events[i].kind == STW_IO_BYTES ? events[i].len : 0;
	assert_in_range(bytes, BESIDE, BESIDE + READ);
	crowd_done(&crowd);
}

/* That as many were ready as are asked for at a time says something of that poll alone. */
static void test_full_report_is_not_for_ever(void **state)
{
	const uint32_t gather_ms = 400;
	const struct stw_io_event *events;
	struct crowd crowd;
	uint64_t polled_ms;

	crowd_init(&crowd, &(struct stw_io_options){ .gather_us = gather_ms * 1000 }, 64);
	stw_io_gather(crowd.io);
	crowd_send(&crowd, 1);
	usleep(SETTLE_US);
	assert_int_equal(test_poll(crowd.io, TEST_WAIT_MS, &events), 64);
	datagram_send(&crowd, "hello");
	assert_int_equal(test_poll(crowd.io, TEST_WAIT_MS, &events), 1);
	polled_ms = stw_io_now().mono_ms;
	usleep(SETTLE_US);
	stw_io_gather(crowd.io);
	assert_true(stw_io_now().mono_ms - polled_ms >= gather_ms / 2 - 1);
	crowd_done(&crowd);
}

/* What was reported of a connection before it was closed is not told. */
static void test_closed_before_its_turn(void **state)
{
	const struct stw_io_event *events;
	struct crowd crowd;
	int n;

	crowd_init(&crowd, &(struct stw_io_options){ 0 }, BUSY);
	crowd_send(&crowd, READ);
	usleep(SETTLE_US);
	n = test_poll(crowd.io, TEST_WAIT_MS, &events);
	assert_true(n > 0 && n < BUSY);
	for (unsigned i = 0; i < BUSY; i++)
		stw_io_ops()->close(crowd.io, crowd.flows[i]);
	test_nothing(crowd.io, 0);
	crowd_done(&crowd);
}

/* What the kernel tells once is not forgotten when nothing else is ready any more. */
static void test_told_once(void **state)
{
	const struct stw_io_event *events;
	struct linger now = { .l_onoff = 1 };
	struct crowd crowd;
	uint64_t start_ms;
	int *last;

	crowd_init(&crowd, &(struct stw_io_options){ 0 }, 1 + READ_ALL / READ);
	last = &crowd.fds[--crowd.count];
	assert_int_equal(shutdown(*last, SHUT_WR), 0);
	test_next(crowd.io, STW_IO_ENDED);
	test_nothing(crowd.io, 0); /* so that it is reported behind the others */
	crowd_send(&crowd, READ);
	usleep(SETTLE_US);
	setsockopt(*last, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(*last);
	assert_int_equal(test_poll(crowd.io, TEST_WAIT_MS, &events), crowd.count);
	start_ms = stw_io_now().mono_ms;
	test_next(crowd.io, STW_IO_CLOSED);
	assert_true(stw_io_now().mono_ms - start_ms < TEST_WAIT_MS / 2);
	crowd_done(&crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_datagram_in_next_poll),
		cmocka_unit_test(test_urgent_first),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_rest_is_not_waited_for),
		cmocka_unit_test(test_beside_datagrams),
		cmocka_unit_test(test_full_report_is_not_for_ever),
		cmocka_unit_test(test_closed_before_its_turn),
		cmocka_unit_test(test_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
