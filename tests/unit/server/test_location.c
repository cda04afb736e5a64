/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/location.h"

#include <strowger/rcu.h>

#include "bindings.h"
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AORS 500

static const struct stw_hash_key key = { 1, 2 };

static struct stw_str aor_of(unsigned i, char buffer[40])
{
	return (struct stw_str){ buffer, (size_t)snprintf(buffer, 40, "sip:u%u@example.com", i) };
}

/* One binding whose URI and CSeq say the same number. */
static struct stw_bindings *snapshot(unsigned aor, unsigned number)
{
	struct stw_binding binding = { .cseq = number };
	char name[40], uri[40];

	binding.uri = (struct stw_str){ uri, (size_t)sprintf(uri, "sip:%u@h", number) };
	return stw_bindings_make(aor_of(aor, name), number, &binding, 1);
}

static struct stw_bindings *nothing(unsigned aor)
{
	char name[40];

	return stw_bindings_make(aor_of(aor, name), 0, NULL, 0);
}

static const struct stw_bindings *find(const struct stw_location *location, unsigned aor)
{
	char name[40];

	return stw_location_find(location, aor_of(aor, name));
}

static bool count_visit(void *context, const struct stw_bindings *bindings)
{
	return --*(unsigned *)context > 0;
}

static void put_replace_remove(void **state)
{
	struct stw_location *location;
	unsigned left;

	assert_int_equal(stw_location_new(key, &location), 0);
	assert_null(find(location, 1));
	assert_int_equal(stw_location_publish(location, nothing(1)), 0);
	assert_int_equal(stw_location_count(location), 0);
	assert_int_equal(stw_location_publish(location, snapshot(1, 10)), 0);
	assert_int_equal(stw_location_publish(location, snapshot(2, 20)), 0);
	assert_int_equal(stw_location_publish(location, snapshot(1, 11)), 0);
	assert_int_equal(stw_location_count(location), 2);
	assert_int_equal(binding_at(find(location, 1), 0)->cseq, 11);
	assert_int_equal(binding_at(find(location, 2), 0)->cseq, 20);
	left = 100;
	stw_location_walk(location, count_visit, &left);
	assert_int_equal(left, 98);
	left = 1;
	stw_location_walk(location, count_visit, &left);
	assert_int_equal(left, 0);
	assert_int_equal(stw_location_publish(location, nothing(1)), 0);
	assert_null(find(location, 1));
	assert_int_equal(stw_location_count(location), 1);
	stw_location_reclaim(location);
	assert_int_equal(stw_location_publish(location, snapshot(1, 12)), 0);
	assert_int_equal(binding_at(find(location, 1), 0)->cseq, 12);
	assert_null(stw_location_free(location));
	assert_null(stw_location_free(NULL));
}

/* Growth, and many removals: old places are cleared away and nothing is lost. */
static void grows_and_churns(void **state)
{
	struct stw_location *location;
	unsigned round, i, left;

	assert_int_equal(stw_location_new(key, &location), 0);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < AORS; i++)
			assert_int_equal(stw_location_publish(location, snapshot(i, round)), 0);
		assert_int_equal(stw_location_count(location), AORS);
		for (i = 0; i < AORS; i++)
			assert_int_equal(binding_at(find(location, i), 0)->cseq, round);
		for (i = 0; i < AORS; i += 1 + round % 3)
			assert_int_equal(stw_location_publish(location, nothing(i)), 0);
		for (i = 0; i < AORS; i += 1 + round % 3)
			assert_null(find(location, i));
		stw_location_reclaim(location);
	}
	left = AORS;
	stw_location_walk(location, count_visit, &left);
	assert_int_equal(AORS - left, stw_location_count(location));
	stw_location_free(location);
}

static void scan_goes_round(void **state)
{
	struct stw_location *location;
	unsigned left = 1000, i;
	size_t cursor = 0;

	assert_int_equal(stw_location_new(key, &location), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(stw_location_publish(location, snapshot(i, i)), 0);
	/* 64 places: eight times eight see each once, one more call of all sees each once again. */
	for (i = 0; i < 8; i++)
		stw_location_scan(location, &cursor, 8, count_visit, &left);
	assert_int_equal(left, 980);
	cursor += 13;
	stw_location_scan(location, &cursor, SIZE_MAX, count_visit, &left);
	assert_int_equal(left, 960);
	stw_location_free(location);
}

static void no_memory(void **state)
{
	struct stw_location *location = NULL;
	struct stw_bindings *more[60];
	unsigned i;

	for (i = 1; i <= 2; i++) {
		support_fail_allocation(i);
		assert_int_equal(stw_location_new(key, &location), -ENOMEM);
		support_fail_allocation(0);
	}
	assert_int_equal(stw_location_new(key, &location), 0);
	for (i = 0; i < 52; i++)
		assert_int_equal(stw_location_publish(location, snapshot(i, i)), 0);
	more[0] = snapshot(52, 52);
	support_fail_allocation(1);
	assert_int_equal(stw_location_publish(location, more[0]), -ENOMEM);
	support_fail_allocation(0);
	assert_int_equal(stw_location_count(location), 52);
	/* Without memory for the list of what is to be freed, it is freed at once. */
	more[0] = snapshot(3, 33);
	support_fail_allocation(1);
	assert_int_equal(stw_location_publish(location, more[0]), 0);
	support_fail_allocation(0);
	assert_int_equal(binding_at(find(location, 3), 0)->cseq, 33);
	/* Room that was made in time. */
	for (i = 0; i < 60; i++)
		more[i] = snapshot(100 + i, i);
	support_fail_allocation(1);
	assert_int_equal(stw_location_reserve(location, 60), -ENOMEM);
	support_fail_allocation(0);
	assert_int_equal(stw_location_reserve(location, 60), 0);
	support_allocations();
	for (i = 0; i < 60; i++)
		assert_int_equal(stw_location_publish(location, more[i]), 0);
	assert_int_equal(support_allocations(), 0);
	assert_int_equal(stw_location_count(location), 112);
	stw_location_free(location);
}

struct race {
	struct stw_location *location;
	atomic_bool stop;
	atomic_uint seen, torn, lost;
};

/* u0 is always there, its numbers only grow; the others come and go. */
static void *race_reader(void *context)
{
	struct race *race = context;
	unsigned last = 0, i;
	char uri[40];

	stw_rcu_register_thread();
	while (!atomic_load(&race->stop)) {
		for (i = 0; i < 8; i++) {
			const struct stw_bindings *bindings = find(race->location, i);

			if (!bindings) {
				race->lost += i == 0;
				continue;
			}
			sprintf(uri, "sip:%u@h", binding_at(bindings, 0)->cseq);
			if (!stw_str_equal(binding_at(bindings, 0)->uri, stw_str_from(uri)) ||
				(i == 0 && binding_at(bindings, 0)->cseq < last))
				race->torn++;
			if (i == 0)
				last = binding_at(bindings, 0)->cseq;
			race->seen++;
		}
		stw_rcu_quiescent();
	}
	stw_rcu_unregister_thread();
	return NULL;
}

static void readers_beside_the_writer(void **state)
{
	struct race race = { .stop = false };
	pthread_t threads[2];
	unsigned i;

	assert_int_equal(stw_location_new(key, &race.location), 0);
	assert_int_equal(stw_location_publish(race.location, snapshot(0, 0)), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race_reader, &race), 0);
	for (i = 1; i < 3000 || atomic_load(&race.seen) < 1000; i++) {
		assert_int_equal(stw_location_publish(race.location, snapshot(0, i)), 0);
		assert_int_equal(stw_location_publish(race.location,
					 i & 1 ? snapshot(1 + i % 7, i) : nothing(1 + i % 7)),
			0);
		if (i % 100 == 0)
			assert_int_equal(stw_location_reserve(race.location, i % 1000), 0);
		stw_location_reclaim(race.location);
	}
	atomic_store(&race.stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(race.torn, 0);
	assert_int_equal(race.lost, 0);
	stw_location_free(race.location);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_replace_remove),
		cmocka_unit_test(grows_and_churns),
		cmocka_unit_test(scan_goes_round),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(readers_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
