/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define ITEMS 200000u

static void test_new(void **state)
{
	struct stw_ring *ring = NULL;

	assert_int_equal(stw_ring_new(0, &ring), -EINVAL);
	assert_int_equal(stw_ring_new(3, &ring), -EINVAL);
	assert_int_equal(stw_ring_new(SIZE_MAX / 2 + 1, &ring), -ENOMEM);
	support_fail_allocation(1);
	assert_int_equal(stw_ring_new(4, &ring), -ENOMEM);
	assert_null(ring);
	assert_null(stw_ring_free(NULL));
}

static void test_full_and_empty(void **state)
{
	int items[9];

	for (size_t capacity = 1; capacity <= 8; capacity *= 2) {
		struct stw_ring *ring;

		assert_int_equal(stw_ring_new(capacity, &ring), 0);
		for (unsigned round = 0; round < 20; round++) {
			assert_null(stw_ring_pop(ring));
			for (size_t i = 0; i < capacity; i++) {
				assert_int_equal(stw_ring_half_full(ring), 2 * i >= capacity);
				assert_int_equal(stw_ring_push(ring, &items[i]), 0);
			}
			assert_true(stw_ring_half_full(ring));
			assert_int_equal(stw_ring_push(ring, &items[8]), -ENOBUFS);
			assert_ptr_equal(stw_ring_pop(ring), &items[0]);
			assert_int_equal(stw_ring_push(ring, &items[8]), 0);
			for (size_t i = 1; i < capacity; i++)
				assert_ptr_equal(stw_ring_pop(ring), &items[i]);
			assert_ptr_equal(stw_ring_pop(ring), &items[8]);
		}
		assert_null(stw_ring_pop(ring));
		assert_null(stw_ring_free(ring));
	}
}

/* Room that is kept for what is more urgent: at least one place is there for all. */
static void test_within(void **state)
{
	static const struct {
		size_t capacity;
		unsigned quarters, places;
	} cases[] = { { 1, 2, 1 }, { 2, 2, 1 }, { 4, 2, 2 }, { 4, 3, 3 }, { 4, 4, 4 },
		{ 64, 3, 48 } };
	int item = 0;

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		unsigned quarters = cases[i].quarters;
		struct stw_ring *ring;

		assert_int_equal(stw_ring_new(cases[i].capacity, &ring), 0);
		for (unsigned places = 0; places < cases[i].places; places++)
			assert_int_equal(stw_ring_push_within(ring, &item, quarters), 0);
		assert_int_equal(stw_ring_push_within(ring, &item, quarters), -ENOBUFS);
		assert_ptr_equal(stw_ring_pop(ring), &item);
		assert_int_equal(stw_ring_push_within(ring, &item, quarters), 0);
		stw_ring_free(ring);
	}
}

struct item {
	unsigned number;
};

/* Fresh memory for each item: what was written before the push must be seen after the pop. */
static void *produce(void *argument)
{
	struct stw_ring *ring = argument;

	for (unsigned i = 0; i < ITEMS; i++) {
		struct item *item = malloc(sizeof(*item));

		if (!item)
			abort();
		item->number = i;
		while (stw_ring_push(ring, item) < 0)
			sched_yield();
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	struct stw_ring *ring;
	pthread_t producer;

	assert_int_equal(stw_ring_new(64, &ring), 0);
	assert_int_equal(pthread_create(&producer, NULL, produce, ring), 0);
	for (unsigned i = 0; i < ITEMS; i++) {
		struct item *item;

		while (!(item = stw_ring_pop(ring)))
			sched_yield();
		assert_int_equal(item->number, i);
		free(item);
	}
	assert_int_equal(pthread_join(producer, NULL), 0);
	assert_null(stw_ring_pop(ring));
	stw_ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_full_and_empty),
		cmocka_unit_test(test_within),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
