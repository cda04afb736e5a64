/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "overload_test.h"

static const struct stw_source_limits limits = {
	.stranger_rate = 10, .known_rate = 100, .drop_factor = 3
};
static struct stw_sources *sources;

static int set_up(void **state)
{
	return stw_sources_new(64, (struct stw_hash_key){ 1, 2 }, &sources);
}

static int tear_down(void **state)
{
	sources = stw_sources_free(sources);
	return 0;
}

struct counts {
	unsigned admitted, refused, dropped;
};

static struct counts flood(const char *host, unsigned n, uint64_t ms)
{
	struct counts counts = { 0 };
	struct stw_addr addr = addr_of(host);

	for (unsigned i = 0; i < n; i++) {
		switch (stw_sources_admit(sources, &limits, &addr, at_ms(ms))) {
		case STW_OVERLOAD_ADMIT:
			counts.admitted++;
			break;
		case STW_OVERLOAD_REFUSE:
			counts.refused++;
			break;
		case STW_OVERLOAD_DROP:
			counts.dropped++;
			break;
		}
	}
	return counts;
}

/* Two seconds are free at once; of the refusals too: 21 and 41 with the one that fills the bucket.
 */
static void test_stranger(void **state)
{
	struct counts counts = flood("192.0.2.1", 100, 0);

	assert_int_equal(counts.admitted, 21);
	assert_int_equal(counts.refused, 41);
	assert_int_equal(counts.dropped, 38);
	assert_int_equal(flood("192.0.2.2", 21, 0).admitted, 21);
	/* A tenth of a second later there is room for one more. */
	counts = flood("192.0.2.1", 5, 100);
	assert_int_equal(counts.admitted, 1);
	/* At its rate nothing is refused. */
	for (uint64_t ms = 200; ms < 5000; ms += 100)
		assert_int_equal(flood("192.0.2.1", 1, ms).admitted, 1);
}

static void test_known_has_more(void **state)
{
	struct stw_addr addr = addr_of("192.0.2.1");

	stw_sources_prove(sources, &addr, at_ms(0));
	assert_true(stw_sources_known(sources, &addr, at_ms(3599999)));
	assert_int_equal(flood("192.0.2.1", 1000, 0).admitted, 201);
	assert_false(stw_sources_known(sources, &addr, at_ms(3600000)));
	assert_int_equal(flood("192.0.2.1", 1000, 3600000).admitted, 21);
}

static void test_network_of_ipv6(void **state)
{
	assert_int_equal(flood("2001:db8:0:1::1", 15, 0).admitted, 15);
	assert_int_equal(flood("2001:db8:0:1:ffff::2", 15, 0).admitted, 6);
	assert_int_equal(flood("2001:db8:0:2::1", 15, 0).admitted, 15);
}

static void test_no_limit(void **state)
{
	const struct stw_source_limits none = { .drop_factor = 2 };
	struct stw_addr addr = addr_of("192.0.2.1");

	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(
			stw_sources_admit(sources, &none, &addr, at_ms(0)), STW_OVERLOAD_ADMIT);
}

static bool keep(void *context, const struct stw_source_state *state)
{
	struct stw_source_state **next = context;

	*(*next)++ = *state;
	return true;
}

static unsigned limited(uint64_t ms, struct stw_source_state *ret)
{
	return stw_sources_limited(sources, at_ms(ms), keep, &ret);
}

static void test_who_is_limited(void **state)
{
	struct stw_source_state states[8];
	char text[STW_ADDR_TEXT_MAX];

	flood("192.0.2.1", 100, 0);
	flood("192.0.2.2", 20, 0);
	assert_int_equal(limited(0, states), 1);
	assert_str(stw_addr_ip_text(&states[0].addr, text), "192.0.2.1");
	assert_int_equal(states[0].until_ms - at_ms(0).mono_ms, 101);
	assert_int_equal(states[0].refused, 41);
	assert_int_equal(states[0].dropped, 38);
	assert_false(states[0].known);
	assert_int_equal(limited(1200, states), 0);
	/* A bucket that was full has forgotten. */
	flood("192.0.2.1", 25, 5000);
	assert_int_equal(limited(5000, states), 1);
	assert_int_equal(states[0].refused, 4);
	flood("2001:db8::7", 100, 5000);
	assert_int_equal(limited(5000, states), 2);
}

/* 10,000 strangers push nobody out who has proven himself, and the table stays as large as it is.
 */
static void test_bounded(void **state)
{
	struct stw_addr known = addr_of("192.0.2.1");
	char host[32];

	stw_sources_prove(sources, &known, at_ms(0));
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(host, sizeof(host), "10.0.%u.%u", i / 250, i % 250);
		assert_int_equal(flood(host, 1, 0).admitted, 1);
	}
	assert_true(stw_sources_known(sources, &known, at_ms(0)));
}

static void *flood_of_thread(void *context)
{
	*(struct counts *)context = flood("192.0.2.1", 20000, 0);
	return NULL;
}

/* Two workers share one budget. */
static void test_threads(void **state)
{
	struct counts counts[2];
	pthread_t threads[2];

	flood("192.0.2.1", 1, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, flood_of_thread, &counts[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(counts[0].admitted + counts[1].admitted, 20);
	assert_int_equal(counts[0].refused + counts[1].refused, 41);
}

static void test_no_memory(void **state)
{
	struct stw_sources *none;

	for (unsigned nth = 1; nth <= 2; nth++) {
		support_fail_allocation(nth);
		assert_int_equal(
			stw_sources_new(64, (struct stw_hash_key){ 1, 2 }, &none), -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stranger, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_known_has_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_network_of_ipv6, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_is_limited, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
