/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"
#include "support.h"

#include <errno.h>
#include <pthread.h>

static const struct nonce first = { 1000, 1 };

static int setup(void **state)
{
	return nonce_counts_new(4, (struct nonce_counts **)state);
}

static int teardown(void **state)
{
	nonce_counts_free(*state);
	return 0;
}

static void each_count_once(void **state)
{
	for (uint64_t nc = 1; nc < 300; nc++) {
		assert_true(nonce_counts_take(*state, &first, nc));
		assert_false(nonce_counts_take(*state, &first, nc));
	}
	for (uint64_t nc = 1; nc < 300; nc++)
		assert_false(nonce_counts_take(*state, &first, nc));
}

static void overtaken_counts(void **state)
{
	assert_true(nonce_counts_take(*state, &first, 100));
	assert_true(nonce_counts_take(*state, &first, 37)); /* 63 behind */
	assert_false(nonce_counts_take(*state, &first, 37));
	assert_false(nonce_counts_take(*state, &first, 36)); /* 64 behind: not known any more */
	assert_true(nonce_counts_take(*state, &first, 99));
	assert_true(nonce_counts_take(*state, &first, 101));
	assert_false(nonce_counts_take(*state, &first, 37));
	assert_false(nonce_counts_take(*state, &first, 99));
	assert_true(nonce_counts_take(*state, &first, 164)); /* moves 101 to the window's end */
	assert_false(nonce_counts_take(*state, &first, 101));
	assert_true(nonce_counts_take(*state, &first, 102));
	assert_true(nonce_counts_take(*state, &first, 164 + 64)); /* the whole window is new */
	assert_false(nonce_counts_take(*state, &first, 164));
	assert_true(nonce_counts_take(*state, &first, 165));
	assert_true(nonce_counts_take(*state, &first, UINT32_MAX));
	assert_false(nonce_counts_take(*state, &first, UINT32_MAX));
	assert_false(nonce_counts_take(*state, &first, 0));
}

static void without_count_once_only(void **state)
{
	const struct nonce second = { 1000, 2 };

	assert_true(nonce_counts_take(*state, &first, NC_ONCE));
	assert_false(nonce_counts_take(*state, &first, NC_ONCE));
	assert_false(nonce_counts_take(*state, &first, 1));
	assert_false(nonce_counts_take(*state, &first, UINT32_MAX));
	assert_false(nonce_counts_take(*state, &first, UINT32_MAX - 1));
	assert_true(nonce_counts_take(*state, &second, 1));
	assert_false(nonce_counts_take(*state, &second, NC_ONCE));
}

/* Four entries: what made room is never taken again, what stayed still counts right. */
static void forgotten_is_not_replayed(void **state)
{
	struct nonce nonces[100];

	for (unsigned i = 0; i < 100; i++) {
		nonces[i] = (struct nonce){ 1000 + i, i * UINT64_C(0x123456789abcdef) };
		assert_true(nonce_counts_take(*state, &nonces[i], 1));
	}
	for (unsigned i = 0; i < 100; i++) {
		assert_false(nonce_counts_take(*state, &nonces[i], 1));
		assert_int_equal(nonce_counts_take(*state, &nonces[i], 2), i >= 96);
	}
	/* Never seen, but not younger than what was forgotten: might have been. */
	assert_false(nonce_counts_take(*state, &(struct nonce){ 1095, 5 }, 1));
	assert_true(nonce_counts_take(*state, &(struct nonce){ 1096, 5 }, 1));
}

#define RACERS     4
#define RACE_COUNT 20000

struct race {
	struct nonce_counts *counts;
	unsigned char *taken; /* by nc: 1, it was accepted */
};

static void *race_run(void *data)
{
	struct race *race = data;

	for (uint64_t nc = 1; nc <= RACE_COUNT; nc++)
		race->taken[nc] = nonce_counts_take(race->counts, &first, nc);
	return NULL;
}

/*
 * Workers that present the same counts at once: each count is accepted at most once. None may
 * accept a count while a holder does not run, so a few are refused to all of them, and few it is.
 */
static void workers(void **state)
{
	static unsigned char taken[RACERS][RACE_COUNT + 1];
	struct race races[RACERS];
	pthread_t threads[RACERS];
	unsigned all = 0;

	for (unsigned i = 0; i < RACERS; i++) {
		races[i] = (struct race){ *state, taken[i] };
		assert_int_equal(pthread_create(&threads[i], NULL, race_run, &races[i]), 0);
	}
	for (unsigned i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned nc = 1; nc <= RACE_COUNT; nc++) {
		unsigned once = 0;

		for (unsigned i = 0; i < RACERS; i++)
			once += taken[i][nc];
		assert_true(once <= 1);
		all += once;
	}
	assert_true(all > RACE_COUNT / 2);
}

static void no_memory(void **state)
{
	struct nonce_counts *counts = NULL;

	support_fail_allocation(1);
	assert_int_equal(nonce_counts_new(64, &counts), -ENOMEM);
	support_fail_allocation(0);
	assert_null(counts);
	assert_int_equal(nonce_counts_new(SIZE_MAX / 2 + 1, &counts), -ENOMEM);
	assert_null(nonce_counts_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_count_once, setup, teardown),
		cmocka_unit_test_setup_teardown(overtaken_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(without_count_once_only, setup, teardown),
		cmocka_unit_test_setup_teardown(forgotten_is_not_replayed, setup, teardown),
		cmocka_unit_test_setup_teardown(workers, setup, teardown),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
