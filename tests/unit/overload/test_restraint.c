/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "overload_test.h"

static struct stw_restraint *restraint;
static struct stw_random dice;

static int set_up(void **state)
{
	stw_random_seed(&dice, 1);
	return stw_restraint_new(3, 1, &restraint);
}

static int tear_down(void **state)
{
	restraint = stw_restraint_free(restraint);
	return 0;
}

static void say(const char *host, const char *params, uint64_t ms)
{
	struct stw_addr addr = addr_of(host);
	struct stw_via via = via_of(params);

	stw_restraint_response(restraint, &addr, &via, at_ms(ms));
}

static bool admit(const char *host, enum stw_overload_class class, uint64_t ms)
{
	struct stw_addr addr = addr_of(host);

	return stw_restraint_admit(restraint, &addr, class, at_ms(ms), &dice);
}

/* Of 10,000 requests within the time, of which each `never`th must not be kept back (0: none). */
static unsigned admitted(const char *host, unsigned never, uint64_t ms)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 10000; i++) {
		bool must = never && i % never == 0, sent;

		sent = admit(host, must ? STW_OVERLOAD_NEVER : STW_OVERLOAD_NEW, ms);
		assert_true(sent || !must);
		n += sent;
	}
	return n;
}

static void test_loss(void **state)
{
	assert_int_equal(admitted("192.0.2.1", 0, 0), 10000);
	say("192.0.2.1", ";oc=20;oc-algo=\"loss\";oc-validity=500;oc-seq=1.1", 0);
	admitted("192.0.2.1", 0, 1); /* the mix is learnt */
	assert_in_range(admitted("192.0.2.1", 0, 499), 7800, 8200);
	/* The whole share is taken from those that may be kept back. */
	admitted("192.0.2.1", 2, 1);
	assert_in_range(admitted("192.0.2.1", 2, 499), 7700, 8300);
	assert_int_equal(admitted("192.0.2.1", 0, 500), 10000);
	assert_int_equal(admitted("192.0.2.2", 0, 1), 10000);
}

static void test_loss_of_all(void **state)
{
	say("192.0.2.1", ";oc=100;oc-algo=\"loss\"", 0);
	assert_int_equal(admitted("192.0.2.1", 4, 499), 2500);
	assert_int_equal(admitted("192.0.2.1", 0, 500), 10000); /* 500 ms is the default */
}

static void test_rate(void **state)
{
	unsigned n = 0;

	say("192.0.2.1", ";oc=100;oc-algo=\"rate\";oc-validity=60000;oc-seq=1.1", 0);
	for (uint64_t ms = 0; ms < 10000; ms++)
		n += admit("192.0.2.1", STW_OVERLOAD_NEW, ms);
	assert_in_range(n, 1000, 1010);
	/* What must not wait leaves less for the others. */
	n = 0;
	for (uint64_t ms = 10000; ms < 20000; ms++) {
		if (ms % 20 == 0)
			assert_true(admit("192.0.2.1", STW_OVERLOAD_NEVER, ms));
		else
			n += admit("192.0.2.1", STW_OVERLOAD_NEW, ms);
	}
	assert_in_range(n, 490, 510);
	say("192.0.2.1", ";oc=0;oc-algo=\"rate\";oc-validity=1000;oc-seq=1.2", 20000);
	assert_false(admit("192.0.2.1", STW_OVERLOAD_NEW, 20500));
	assert_true(admit("192.0.2.1", STW_OVERLOAD_NEVER, 20500));
	assert_true(admit("192.0.2.1", STW_OVERLOAD_NEW, 21000));
}

/* Two workers share the rate: each keeps to half of it. */
static void test_rate_of_workers(void **state)
{
	unsigned n = 0;

	stw_restraint_free(restraint);
	assert_int_equal(stw_restraint_new(3, 2, &restraint), 0);
	say("192.0.2.1", ";oc=100;oc-algo=\"rate\";oc-validity=60000;oc-seq=1.1", 0);
	for (uint64_t ms = 0; ms < 10000; ms++)
		n += admit("192.0.2.1", STW_OVERLOAD_NEW, ms);
	assert_in_range(n, 500, 510);
}

static bool keeps_back(uint64_t ms)
{
	return admitted("192.0.2.1", 0, ms) < 10000;
}

static void test_what_ends_it(void **state)
{
	say("192.0.2.1", ";oc=50;oc-algo=\"loss\";oc-validity=5000;oc-seq=10.5", 0);
	assert_true(keeps_back(1));
	say("192.0.2.1", ";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=10.4", 1); /* late */
	say("192.0.2.1", ";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=10.5", 1); /* repeated */
	assert_true(keeps_back(2));
	say("192.0.2.1", ";oc;oc-algo=\"loss,rate\"", 2); /* a server that does not take part */
	say("192.0.2.1", "", 2);
	assert_true(keeps_back(2));
	say("192.0.2.1", ";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=10.50001", 2);
	assert_false(keeps_back(2));
	assert_int_equal(stw_restraint_count(restraint, at_ms(2)), 0);
}

/* A server that has begun anew counts from a lower number. */
static void test_number_after_the_end(void **state)
{
	say("192.0.2.1", ";oc=50;oc-algo=\"loss\";oc-validity=100;oc-seq=10.5", 0);
	say("192.0.2.1", ";oc=50;oc-algo=\"loss\";oc-validity=100;oc-seq=1.1", 100);
	assert_true(keeps_back(150));
}

static void test_nonsense_is_no_word(void **state)
{
	static const char *const words[] = {
		";oc=101;oc-algo=\"loss\"",
		";oc=x;oc-algo=\"loss\"",
		";oc=50;oc-algo=\"other\"",
		";oc=50;oc-algo=\"loss,rate\"",
		";oc=50;oc-algo=\"loss\";oc-validity=x",
		";oc=50;oc-algo=\"loss\";oc-seq=1.2.3",
		";oc=50;oc-algo=\"loss\";oc-seq=1.123456",
		";oc=99999999;oc-algo=\"rate\"",
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(words); i++) {
		say("192.0.2.1", words[i], 0);
		if (stw_restraint_count(restraint, at_ms(0)))
			fail_msg("%s", words[i]);
	}
	/* Nobody silences us for a day. */
	say("192.0.2.1", ";oc=100;oc-algo=\"loss\";oc-validity=86400000", 0);
	assert_true(keeps_back(59999));
	assert_false(keeps_back(60000));
}

static void test_room_is_made(void **state)
{
	say("192.0.2.1", ";oc=100;oc-validity=5000", 0);
	say("192.0.2.2", ";oc=100;oc-validity=1000", 0);
	say("192.0.2.3", ";oc=100;oc-validity=5000", 0);
	assert_int_equal(stw_restraint_count(restraint, at_ms(0)), 3);
	say("192.0.2.4", ";oc=100;oc-validity=5000", 0);
	assert_int_equal(stw_restraint_count(restraint, at_ms(0)), 3);
	assert_false(admit("192.0.2.1", STW_OVERLOAD_NEW, 1));
	assert_true(admit("192.0.2.2", STW_OVERLOAD_NEW, 1));
	assert_false(admit("192.0.2.4", STW_OVERLOAD_NEW, 1));
}

static void test_no_memory(void **state)
{
	struct stw_restraint *none;

	support_fail_allocation(1);
	assert_int_equal(stw_restraint_new(8, 1, &none), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_loss, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_loss_of_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rate_of_workers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_number_after_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense_is_no_word, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_room_is_made, set_up, tear_down),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
