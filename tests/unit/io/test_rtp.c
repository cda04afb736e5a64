/* SPDX-License-Identifier: Apache-2.0 */
#include "io_test.h"

static void test_pair(void **state)
{
	struct stw_io *io = test_io(&(struct stw_io_options){ 0 });
	struct stw_addr any = test_addr("127.0.0.1", 0), to, from;
	const struct stw_io_event *events;
	struct stw_io_rtp *one, *two, *none;
	uint64_t arrived_us, before_us = stw_io_now().mono_ms * 1000;
	char buffer[16];

	assert_int_equal(stw_io_rtp_open(io, &any, &one), 0);
	assert_int_equal(stw_io_rtp_open(io, &any, &two), 0);
	assert_int_equal(stw_io_rtp_port(one) % 2, 0);
	assert_true(stw_io_rtp_port(one) != stw_io_rtp_port(two));
	to = test_addr("127.0.0.1", stw_io_rtp_port(two));
	assert_int_equal(stw_io_rtp_open(io, &to, &none), -EADDRINUSE);
	to.port++;
	assert_int_equal(stw_io_rtp_open(io, &to, &none), -EINVAL);
	assert_int_equal(
		stw_io_rtp_receive(two, buffer, sizeof(buffer), &from, &arrived_us), -EAGAIN);

	assert_int_equal(stw_io_rtp_send(one, true, &to, "rtcp", 4), 0);
	to.port--;
	assert_int_equal(stw_io_rtp_send(one, false, &to, "rtp", 3), 0);
	assert_true(test_poll(io, TEST_WAIT_MS, &events) > 0);
	assert_int_equal(events[0].kind, STW_IO_WOKEN);
	assert_int_equal(stw_io_rtp_receive(two, buffer, sizeof(buffer), &from, &arrived_us), 3);
	assert_memory_equal(buffer, "rtp", 3);
	assert_int_equal(from.port, stw_io_rtp_port(one));
	assert_in_range(arrived_us, before_us, stw_io_now().mono_ms * 1000 + 1000);
	assert_int_equal(stw_io_rtp_receive(two, buffer, sizeof(buffer), &from, &arrived_us), 4);
	assert_int_equal(from.port, stw_io_rtp_port(one) + 1);
	stw_io_rtp_close(two);

	/* Nobody listens there any more; that does not hinder what comes. */
	assert_int_equal(stw_io_rtp_send(one, false, &to, "rtp", 3), 0);
	to.port = stw_io_rtp_port(one);
	stw_io_rtp_send(one, true, &to, "self", 4);
	assert_true(test_poll(io, TEST_WAIT_MS, &events) > 0);
	assert_int_equal(stw_io_rtp_receive(one, buffer, sizeof(buffer), &from, &arrived_us), 4);
	stw_io_rtp_close(one);
	test_nothing(io, 20);
	stw_io_free(io);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pair) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
