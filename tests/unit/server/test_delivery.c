/* SPDX-License-Identifier: Apache-2.0 */
/* Lines on their way to a web server, in virtual time. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/hook/delivery.h"

static struct stw_delivery *delivery_of(size_t lines, size_t bytes)
{
	struct stw_delivery *delivery;

	assert_int_equal(stw_delivery_new(lines, bytes, &delivery), 0);
	return delivery;
}

static void assert_sent(struct stw_delivery *delivery, uint64_t now_ms, const char *expected)
{
	struct stw_str body;

	assert_int_equal(stw_delivery_begin(delivery, now_ms, &body), 0);
	assert_str(body, expected);
	free((void *)(uintptr_t)body.ptr);
}

static struct stw_delivery_stats stats_of(const struct stw_delivery *delivery)
{
	struct stw_delivery_stats stats;

	stw_delivery_stats(delivery, &stats);
	return stats;
}

static void test_in_order(void **state)
{
	struct stw_delivery *delivery = delivery_of(10, 1000);
	struct stw_str body;

	assert_true(stw_delivery_due(delivery) == UINT64_MAX);
	assert_int_equal(stw_delivery_begin(delivery, 5, &body), -EAGAIN);
	stw_delivery_put(delivery, STW_STR("a\n"));
	stw_delivery_put(delivery, STW_STR("b\n"));
	assert_true(stw_delivery_due(delivery) <= 5);
	assert_sent(delivery, 5, "a\nb\n");
	/* One at a time. */
	stw_delivery_put(delivery, STW_STR("c\n"));
	assert_int_equal(stw_delivery_begin(delivery, 6, &body), -EAGAIN);
	stw_delivery_end(delivery, STW_DELIVERY_TAKEN, 7);
	assert_sent(delivery, 7, "c\n");
	stw_delivery_end(delivery, STW_DELIVERY_TAKEN, 8);
	assert_int_equal(stats_of(delivery).delivered, 3);
	assert_int_equal(stats_of(delivery).waiting, 0);
	assert_int_equal(stats_of(delivery).bytes, 0);
	stw_delivery_free(delivery);
}

static void test_again(void **state)
{
	static const uint64_t waits_ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
	struct stw_delivery *delivery = delivery_of(10, 1000);
	uint64_t now_ms = 100;
	struct stw_str body;

	stw_delivery_put(delivery, STW_STR("a\n"));
	for (size_t i = 0; i < STW_ARRAY_SIZE(waits_ms); i++) {
		assert_sent(delivery, now_ms, "a\n");
		stw_delivery_end(delivery, STW_DELIVERY_FAILED, now_ms);
		assert_int_equal(
			stw_delivery_begin(delivery, now_ms + waits_ms[i] - 1, &body), -EAGAIN);
		now_ms += waits_ms[i];
		assert_int_equal(stw_delivery_due(delivery), now_ms);
	}
	assert_sent(delivery, now_ms, "a\n");
	stw_delivery_end(delivery, STW_DELIVERY_TAKEN, now_ms);
	/* It is well again: the next failure waits a second only. */
	stw_delivery_put(delivery, STW_STR("b\n"));
	assert_sent(delivery, now_ms, "b\n");
	stw_delivery_end(delivery, STW_DELIVERY_FAILED, now_ms);
	assert_int_equal(stw_delivery_due(delivery), now_ms + 1000);
	assert_int_equal(stats_of(delivery).failures, 9);
	assert_int_equal(stats_of(delivery).lost, 0);
	stw_delivery_free(delivery);
}

static void test_refused(void **state)
{
	struct stw_delivery *delivery = delivery_of(10, 1000);

	stw_delivery_put(delivery, STW_STR("a\n"));
	assert_sent(delivery, 0, "a\n");
	stw_delivery_put(delivery, STW_STR("b\n"));
	stw_delivery_end(delivery, STW_DELIVERY_REFUSED, 1);
	assert_int_equal(stats_of(delivery).lost, 1);
	assert_sent(delivery, 1, "b\n");
	stw_delivery_free(delivery);
}

static void test_bounds(void **state)
{
	struct stw_delivery *delivery = delivery_of(3, 8);

	stw_delivery_put(delivery, STW_STR("1\n"));
	stw_delivery_put(delivery, STW_STR("2\n"));
	stw_delivery_put(delivery, STW_STR("3\n"));
	stw_delivery_put(delivery, STW_STR("4\n"));
	assert_int_equal(stats_of(delivery).lost, 1);
	assert_sent(delivery, 0, "2\n3\n4\n");
	/* What is on its way stays; what comes finds no room. */
	stw_delivery_put(delivery, STW_STR("5\n"));
	assert_int_equal(stats_of(delivery).lost, 2);
	stw_delivery_end(delivery, STW_DELIVERY_TAKEN, 0);
	stw_delivery_put(delivery, STW_STR("123456\n"));
	stw_delivery_put(delivery, STW_STR("12345678\n"));
	/* One that is too long alone takes nobody else's place. */
	assert_int_equal(stats_of(delivery).waiting, 1);
	assert_int_equal(stats_of(delivery).lost, 3);
	assert_sent(delivery, 0, "123456\n");
	stw_delivery_end(delivery, STW_DELIVERY_TAKEN, 0);
	/* Behind one that is on its way, the older one goes. */
	stw_delivery_put(delivery, STW_STR("a\n"));
	assert_sent(delivery, 0, "a\n");
	stw_delivery_put(delivery, STW_STR("b\n"));
	stw_delivery_put(delivery, STW_STR("c\n"));
	stw_delivery_put(delivery, STW_STR("d\n"));
	stw_delivery_end(delivery, STW_DELIVERY_TAKEN, 0);
	assert_sent(delivery, 0, "c\nd\n");
	assert_null(stw_delivery_free(delivery));
	assert_null(stw_delivery_free(NULL));
}

static void test_batches(void **state)
{
	struct stw_delivery *delivery = delivery_of(1000, 1 << 20);
	struct stw_str body;

	for (unsigned i = 0; i < STW_DELIVERY_BATCH_LINES + 1; i++)
		stw_delivery_put(delivery, STW_STR("x\n"));
	assert_int_equal(stw_delivery_begin(delivery, 0, &body), 0);
	assert_int_equal(body.len, 2 * STW_DELIVERY_BATCH_LINES);
	free((void *)(uintptr_t)body.ptr);
	stw_delivery_end(delivery, STW_DELIVERY_TAKEN, 0);
	assert_int_equal(stats_of(delivery).waiting, 1);
	stw_delivery_free(delivery);
}

static void test_status(void **state)
{
	assert_int_equal(stw_delivery_end_of(200), STW_DELIVERY_TAKEN);
	assert_int_equal(stw_delivery_end_of(204), STW_DELIVERY_TAKEN);
	assert_int_equal(stw_delivery_end_of(307), STW_DELIVERY_FAILED);
	assert_int_equal(stw_delivery_end_of(400), STW_DELIVERY_REFUSED);
	assert_int_equal(stw_delivery_end_of(408), STW_DELIVERY_FAILED);
	assert_int_equal(stw_delivery_end_of(413), STW_DELIVERY_REFUSED);
	assert_int_equal(stw_delivery_end_of(429), STW_DELIVERY_FAILED);
	assert_int_equal(stw_delivery_end_of(503), STW_DELIVERY_FAILED);
	assert_int_equal(stw_delivery_end_of(0), STW_DELIVERY_FAILED);
}

static void test_no_memory(void **state)
{
	struct stw_delivery *delivery = NULL;
	struct stw_str body;

	support_fail_allocation(1);
	assert_int_equal(stw_delivery_new(1, 10, &delivery), -ENOMEM);
	delivery = delivery_of(10, 100);
	support_fail_allocation(1);
	stw_delivery_put(delivery, STW_STR("a\n"));
	assert_int_equal(stats_of(delivery).lost, 1);
	stw_delivery_put(delivery, STW_STR("b\n"));
	support_fail_allocation(1);
	assert_int_equal(stw_delivery_begin(delivery, 0, &body), -ENOMEM);
	support_fail_allocation(0);
	assert_sent(delivery, 0, "b\n");
	stw_delivery_free(delivery);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
