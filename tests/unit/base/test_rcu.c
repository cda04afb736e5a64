/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <strowger/rcu.h>

#define VERSIONS 500u
#define READERS  3

struct version {
	unsigned number, check;
};

static struct version *shared;
static atomic_bool over;
static atomic_uint reading;

static struct version *version_new(unsigned number)
{
	struct version *version = malloc(sizeof(*version));

	if (!version)
		abort();
	version->number = number;
	version->check = ~number;
	return version;
}

/* Versions only go up, are whole, and are not freed while held: the last is AddressSanitizer's. */
static void *read_versions(void *argument)
{
	unsigned last = 0;
	bool right = true;

	stw_rcu_register_thread();
	atomic_fetch_add(&reading, 1);
	for (unsigned turn = 0; !atomic_load(&over); turn++) {
		const struct version *version = STW_RCU_READ(shared);

		sched_yield();
		right = right && version->number >= last && version->check == ~version->number;
		last = version->number;
		stw_rcu_quiescent();
		if (turn % 16 == 0) {
			stw_rcu_offline();
			sched_yield();
			stw_rcu_online();
		}
	}
	stw_rcu_unregister_thread();
	return right ? &over : NULL;
}

static void test_readers_and_writer(void **state)
{
	pthread_t threads[READERS];

	stw_rcu_register_thread();
	STW_RCU_PUBLISH(shared, version_new(1));
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_versions, NULL), 0);
	while (atomic_load(&reading) < READERS)
		sched_yield();
	for (unsigned number = 2; number < VERSIONS; number++) {
		struct version *old = shared;

		STW_RCU_PUBLISH(shared, version_new(number));
		stw_rcu_synchronize();
		old->check = 0;
		free(old);
	}
	atomic_store(&over, true);
	stw_rcu_offline();
	for (unsigned i = 0; i < READERS; i++) {
		void *result;

		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_ptr_equal(result, &over);
	}
	stw_rcu_online();
	free(shared);
	stw_rcu_unregister_thread();
}

/* One registered thread alone does not wait for itself; nor does an unregistered one. */
static void test_alone(void **state)
{
	stw_rcu_register_thread();
	stw_rcu_synchronize();
	stw_rcu_quiescent();
	stw_rcu_synchronize();
	stw_rcu_unregister_thread();
	stw_rcu_synchronize();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_readers_and_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
