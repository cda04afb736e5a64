/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static void test_life(void **state)
{
	struct stw_block *block;

	assert_int_equal(stw_block_new(100, &block), 0);
	assert_int_equal(block->bytes, 100);
	assert_int_equal((uintptr_t)block->data % _Alignof(max_align_t), 0);
	memset(block->data, 'x', 100);
	assert_ptr_equal(stw_block_ref(block), block);
	assert_null(stw_block_unref(block));
	assert_int_equal(block->data[99], 'x');
	assert_int_equal(atomic_load(&block->refs), 1);
	assert_null(stw_block_unref(block));
	assert_null(stw_block_unref(NULL));
	assert_int_equal(stw_block_new(0, &block), 0);
	stw_block_unref(block);
}

static void test_no_memory(void **state)
{
	struct stw_block *block = NULL;

	assert_int_equal(stw_block_new(SIZE_MAX, &block), -ENOMEM);
	assert_int_equal(stw_block_new(SIZE_MAX - sizeof(*block) + 1, &block), -ENOMEM);
	support_fail_allocation(1);
	assert_int_equal(stw_block_new(1, &block), -ENOMEM);
	assert_null(block);
}

static void *hold(void *argument)
{
	struct stw_block *block = argument;

	for (unsigned i = 0; i < 20000; i++) {
		stw_block_ref(block);
		stw_block_unref(block);
	}
	stw_block_unref(block);
	return NULL;
}

static void test_threads(void **state)
{
	struct stw_block *block;
	pthread_t threads[4];

	assert_int_equal(stw_block_new(8, &block), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hold, stw_block_ref(block)), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&block->refs), 1);
	stw_block_unref(block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
