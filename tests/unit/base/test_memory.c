/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <malloc.h>
#include <string.h>
#include <threads.h>

#define KEPT_BYTES 16384u
#define PIECES     300 /* more than a thread keeps of one size then */

/* Pieces of all sizes are apart from each other, and hold what was put into them. */
static void test_sizes(void **state)
{
	static const size_t sizes[] = { 1, 63, 64, 65, 1000, 4096, 4097, 100000 };
	unsigned char *pieces[STW_ARRAY_SIZE(sizes)];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < STW_ARRAY_SIZE(sizes); i++) {
			pieces[i] = stw_memory_take(sizes[i]);
			assert_non_null(pieces[i]);
			memset(pieces[i], (int)i + 1, sizes[i]);
		}
		for (unsigned i = 0; i < STW_ARRAY_SIZE(sizes); i++) {
			assert_int_equal(pieces[i][0], i + 1);
			assert_int_equal(pieces[i][sizes[i] - 1], i + 1);
			stw_memory_give(pieces[i], sizes[i]);
		}
	}
	stw_memory_give(NULL, 64);
}

/* Whatever size a piece was given back with, one that is taken has room for what was asked. */
static void test_room(void **state)
{
	for (unsigned round = 0; round < 2; round++) {
		for (size_t bytes = 5000; bytes > 3; bytes -= 3) {
			void *piece = stw_memory_take(bytes);

			assert_true(malloc_usable_size(piece) >= bytes);
			stw_memory_give(piece, bytes);
		}
		for (size_t bytes = 1; bytes < 5000; bytes += 3) {
			void *piece = stw_memory_take(bytes);

			assert_true(malloc_usable_size(piece) >= bytes);
			stw_memory_give(piece, bytes);
		}
	}
}

static void test_zeros(void **state)
{
	for (unsigned round = 0; round < 2; round++) {
		unsigned char *piece = stw_memory_take_zeros(200);

		for (unsigned i = 0; i < 200; i++)
			assert_int_equal(piece[i], 0);
		memset(piece, 7, 200);
		stw_memory_give(piece, 200);
	}
}

static int giver(void *context)
{
	void **pieces = context;

	for (unsigned i = 0; i < PIECES; i++)
		stw_memory_give(pieces[i], 128);
	return 0;
}

/* What one thread took another may give; what it kept goes when it ends (LeakSanitizer and valgrind
 * look). */
static void test_threads(void **state)
{
	static void *pieces[PIECES];
	thrd_t thread;

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < PIECES; i++)
			assert_non_null(pieces[i] = stw_memory_take(128));
		assert_int_equal(thrd_create(&thread, giver, pieces), thrd_success);
		assert_int_equal(thrd_join(thread, NULL), thrd_success);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_threads),
	};

	stw_memory_keep(KEPT_BYTES); /* the support of the tests keeps none */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
