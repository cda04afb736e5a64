/* SPDX-License-Identifier: Apache-2.0 */
#include "io_test.h"

#include <pthread.h>

static void *waker(void *io)
{
	usleep(20000);
	stw_io_wake(io);
	return NULL;
}

static void test_from_thread(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	const struct stw_io_event *events;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, waker, io), 0);
	assert_int_equal(stw_io_poll(io, UINT64_MAX, &events), 1);
	assert_int_equal(events[0].kind, STW_IO_WOKEN);
	pthread_join(thread, NULL);
	stw_io_free(io);
}

/* Many calls before a poll are one event, and none is left over. */
static void test_once(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });

	for (int i = 0; i < 1000; i++)
		stw_io_wake(io);
	test_next(io, STW_IO_WOKEN);
	test_nothing(io, 0);
	stw_io_free(io);
}

static void test_deadline(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	const struct stw_io_event *events;
	uint64_t start_ms = stw_io_now().mono_ms;

	assert_int_equal(stw_io_poll(io, start_ms + 50, &events), 0);
	assert_in_range(stw_io_now().mono_ms - start_ms, 50, 1000);
	assert_int_equal(stw_io_poll(io, 0, &events), 0);
	stw_io_free(io);
}

/* It waits for more only as long as messages come. */
static void test_gather(void **state)
{
	const uint32_t gather_ms = 400;
	struct stw_io *io = test_io(&(struct stw_io_options){ .gather_us = gather_ms * 1000 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_UDP, "127.0.0.1");
	struct stw_addr peer;
	int fd = test_socket(SOCK_DGRAM, "127.0.0.1", &peer);
	uint64_t start_ms = stw_io_now().mono_ms, polled_ms = 0;

	stw_io_gather(io);
	assert_true(stw_io_now().mono_ms - start_ms < gather_ms);
	for (int i = 0; i < 8; i++) {
		test_send_to(fd, &ours.bind, "hello", 5);
		polled_ms = stw_io_now().mono_ms;
		test_next(io, STW_IO_DATAGRAM);
	}
	usleep(20000);     /* the load is counted over 10 ms */
	stw_io_gather(io); /* so many come that half of the time is enough for 16 */
	assert_true(stw_io_now().mono_ms - polled_ms >= gather_ms / 2 - 1);

	test_nothing(io, 0);
	polled_ms = stw_io_now().mono_ms;
	usleep(20000);
	stw_io_gather(io); /* nothing has come since */
	assert_true(stw_io_now().mono_ms - polled_ms < gather_ms);
	close(fd);
	stw_io_free(io);
}

/* What waits on a connection is not waited for. */
static void test_gather_stands(void **state)
{
	static const char data[1 << 16];
	const uint32_t gather_ms = 400;
	struct stw_io *io = test_io(&(struct stw_io_options){ .gather_us = gather_ms * 1000 });
	struct stw_listener ours = test_listen(io, STW_TRANSPORT_TCP, "127.0.0.1");
	struct stw_addr peer;
	int fd = test_connect(&ours.bind, &peer);
	uint64_t polled_ms;

	test_next(io, STW_IO_OPENED);
	stw_io_gather(io);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(send(fd, "hello", 5, 0), 5);
		test_next(io, STW_IO_BYTES);
	}
	assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
	test_next(io, STW_IO_BYTES);
	polled_ms = stw_io_now().mono_ms;
	usleep(20000); /* the load is counted over 10 ms */
	stw_io_gather(io);
	assert_true(stw_io_now().mono_ms - polled_ms < gather_ms / 2);
	close(fd);
	stw_io_free(io);
}

static void test_clock_and_seed(void **state)
{
	struct stw_now now = stw_io_now();

	assert_true(now.mono_ms > 0);
	assert_true(now.wall_ms > INT64_C(1577836800000)); /* 2020 */
	assert_true(stw_io_seed() != stw_io_seed());
}

static void test_local_addrs(void **state)
{
	struct stw_addr addrs[64], loopback = test_addr("127.0.0.1", 0);
	unsigned n = stw_io_local_addrs(addrs, STW_ARRAY_SIZE(addrs)), seen = 0;

	assert_in_range(n, 1, STW_ARRAY_SIZE(addrs));
	for (unsigned i = 0; i < n; i++)
		seen += stw_addr_same_ip(&addrs[i], &loopback);
	assert_int_equal(seen, 1);
	assert_int_equal(stw_io_local_addrs(addrs, 1), 1);
	assert_int_equal(stw_io_local_addrs(addrs, 0), 0);
}

static void test_source_addr(void **state)
{
	struct stw_addr loopback = test_addr("127.0.0.1", 5060), from;
	struct stw_addr everyone = test_addr("255.255.255.255", 5060);

	assert_int_equal(stw_io_source_addr(&loopback, &from), 0);
	loopback.port = 0;
	assert_true(stw_addr_equal(&from, &loopback));
	assert_int_equal(stw_io_source_addr(&everyone, &from), -EACCES);
}

static void test_new_fails(void **state)
{
	struct stw_io_options options = { .dns_servers = STW_STR("127.0.0.1:53") };
	struct stw_io *io = NULL;
	unsigned allocations;

	support_fail_allocation(0);
	stw_io_free(test_io(&options));
	allocations = support_allocations();
	assert_true(allocations > 0);
	for (unsigned nth = 1; nth <= allocations; nth++) {
		support_fail_allocation(nth);
		assert_int_equal(stw_io_new(&options, &io), -ENOMEM);
		assert_null(io);
	}
	support_fail_allocation(0);

	options.dns_servers = STW_STR("not an address");
	assert_int_equal(stw_io_new(&options, &io), -EINVAL);
	options.dns_servers = STW_STR_NONE;
	options.max_flows = 1U << 24;
	assert_int_equal(stw_io_new(&options, &io), -EINVAL);
	assert_null(stw_io_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_thread),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_gather_stands),
		cmocka_unit_test(test_clock_and_seed),
		cmocka_unit_test(test_local_addrs),
		cmocka_unit_test(test_source_addr),
		cmocka_unit_test(test_new_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
