/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "server/call/busy.h"

#include "support.h"

static const struct stw_hash_key key = { 1, 2 };

static void test_counts(void **state)
{
	const struct stw_str alice = STW_STR("sip:alice@example.com");
	const struct stw_str bob = STW_STR("sip:bob@example.com");
	struct stw_busy *busy;

	assert_int_equal(stw_busy_new(key, 100, &busy), 0);
	assert_int_equal(stw_busy_count(busy, alice), 0);
	assert_int_equal(stw_busy_ended_ms(busy, alice), 0);
	assert_int_equal(stw_busy_enter(busy, alice, 0), 0);
	assert_int_equal(stw_busy_enter(busy, alice, 2), 0);
	assert_int_equal(stw_busy_enter(busy, alice, 2), -EBUSY);
	assert_int_equal(stw_busy_count(busy, alice), 2);
	assert_int_equal(stw_busy_count(busy, bob), 0);
	assert_int_equal(stw_busy_leaves(busy), 0); /* the refused one was never there */
	assert_int_equal(stw_busy_ended_ms(busy, alice), 0);
	stw_busy_leave(busy, alice, 5000);
	assert_int_equal(stw_busy_count(busy, alice), 1);
	assert_int_equal(stw_busy_ended_ms(busy, alice), 5000);
	assert_int_equal(stw_busy_leaves(busy), 1);
	assert_int_equal(stw_busy_enter(busy, alice, 2), 0);
	stw_busy_leave(busy, alice, 6000);
	stw_busy_leave(busy, alice, 7000);
	stw_busy_leave(busy, alice, 8000); /* one too many */
	assert_int_equal(stw_busy_count(busy, alice), 0);
	assert_int_equal(stw_busy_ended_ms(busy, alice), 7000);
	assert_int_equal(stw_busy_leaves(busy), 3);
	stw_busy_free(busy);
}

static struct stw_str user(unsigned i, char buffer[64])
{
	return (struct stw_str){ buffer, (size_t)snprintf(buffer, 64, "sip:u%u@example.com", i) };
}

/* More users than places: those who are free are forgotten, those who talk are not. */
static void test_bounded(void **state)
{
	struct stw_busy *busy;
	char buffer[64];
	unsigned refused = 0;

	assert_int_equal(stw_busy_new(key, 8, &busy), 0); /* 16 places */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(stw_busy_enter(busy, user(i, buffer), 0), 0);
	for (unsigned i = 10; i < 1000; i++) {
		assert_int_equal(stw_busy_enter(busy, user(i, buffer), 0), 0);
		stw_busy_leave(busy, user(i, buffer), i);
	}
	assert_int_equal(stw_busy_ended_ms(busy, user(999, buffer)), 999);
	assert_int_equal(stw_busy_ended_ms(busy, user(990, buffer)), 0);
	for (unsigned i = 2000; i < 2010; i++)
		refused += stw_busy_enter(busy, user(i, buffer), 0) == -ENOBUFS;
	assert_int_equal(refused, 4);
	/* a new one has not the end of the one before */
	assert_int_equal(stw_busy_ended_ms(busy, user(2001, buffer)), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(stw_busy_count(busy, user(i, buffer)), 1);
	stw_busy_free(busy);
}

#define THREADS 4
#define ROUNDS  20000

static struct stw_busy *shared;
static atomic_uint inside, most;

/* They all want the one line of few users. */
static void *worker(void *context)
{
	unsigned seed = *(unsigned *)context, seen;
	char buffer[64];

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct stw_str aor = user(1 + (i * 7 + seed) % 3, buffer);
		bool first = stw_str_equal(aor, STW_STR("sip:u1@example.com"));

		if (stw_busy_enter(shared, aor, 1) < 0)
			continue;
		if (first) {
			seen = atomic_fetch_add(&inside, 1) + 1;
			if (seen > atomic_load(&most))
				atomic_store(&most, seen);
			atomic_fetch_sub(&inside, 1);
		}
		stw_busy_leave(shared, aor, i + 1);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	unsigned seeds[THREADS];
	char buffer[64];

	assert_int_equal(stw_busy_new(key, 2, &shared), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		seeds[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, worker, &seeds[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&most), 1);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(stw_busy_count(shared, user(i, buffer)), 0);
	assert_true(stw_busy_leaves(shared) > 0);
	stw_busy_free(shared);
}

#define RACES 50000

static atomic_uint race, raced;
static int entered[2];

/* Without sleep, as long as the other one runs. */
static void await(const atomic_uint *what, unsigned value)
{
	for (unsigned spins = 0; atomic_load(what) < value; spins++) {
		if (spins > 10000)
			sched_yield();
	}
}

static void *racer(void *context)
{
	for (unsigned i = 1; i <= RACES; i++) {
		await(&race, i);
		entered[1] = stw_busy_enter(shared, *(struct stw_str *)context, 1);
		atomic_store(&raced, i);
	}
	return NULL;
}

/* Two calls at the same moment, and one free place: one of them gets it. */
static void test_last_place(void **state)
{
	struct stw_str bob = STW_STR("sip:bob@example.com");
	unsigned wrong = 0;
	pthread_t thread;

	atomic_store(&race, 0);
	assert_int_equal(stw_busy_new(key, 1000, &shared), 0);
	assert_int_equal(pthread_create(&thread, NULL, racer, &bob), 0);
	for (unsigned i = 1; i <= RACES; i++) {
		atomic_store(&race, i);
		for (volatile unsigned pause = 0; pause < i % 40;)
			pause++;
		entered[0] = stw_busy_enter(shared, bob, 1);
		await(&raced, i);
		wrong += (entered[0] == 0) + (entered[1] == 0) != 1;
		stw_busy_leave(shared, bob, i);
	}
	pthread_join(thread, NULL);
	assert_int_equal(wrong, 0);
	stw_busy_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_last_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
