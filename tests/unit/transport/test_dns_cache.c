/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <strowger/dns.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct stw_now now = { .mono_ms = 1000000 };
static struct stw_dns_cache *cache;

static void open_cache(unsigned max_names, size_t max_bytes)
{
	struct stw_dns_limits limits = { max_names, max_bytes };

	assert_int_equal(stw_dns_cache_new(&limits, (struct stw_hash_key){ 3, 4 }, &cache), 0);
}

static struct stw_dns_answer found;
static uint64_t query;

static int find(const char *name, enum stw_dns_type type, struct stw_dns_waiter *waiter)
{
	return stw_dns_cache_find(cache, stw_str_from(name), type, now, waiter, &found, &query);
}

static void answered(uint64_t which, int error, uint32_t ttl_s, const char *target)
{
	struct stw_dns_record record = {
		.port = 5060, .target = stw_str_from(target), .service = STW_STR("SIP+D2U")
	};
	struct stw_dns_answer answer = {
		.error = error, .ttl_s = ttl_s, .records = &record, .n = error ? 0 : 1
	};

	stw_dns_cache_answered(cache, which, &answer, now);
}

static unsigned told(void)
{
	unsigned n = 0;

	while (stw_dns_cache_told(cache))
		n++;
	return n;
}

static void test_kept_for_its_time(void **state)
{
	struct stw_dns_waiter waiter = { 0 };

	open_cache(100, 1 << 20);
	assert_int_equal(find("Example.com", STW_DNS_SRV, &waiter), STW_DNS_ASK);
	answered(query, 0, 10, "host.test");
	assert_ptr_equal(stw_dns_cache_told(cache), &waiter);
	assert_null(stw_dns_cache_told(cache));
	assert_int_equal(find("eXample.com.", STW_DNS_SRV, &waiter), STW_DNS_KNOWN);
	assert_str(found.records[0].target, "host.test");
	assert_str(found.records[0].service, "SIP+D2U");
	assert_int_equal(find("example.com", STW_DNS_A, &waiter), STW_DNS_ASK);
	now.mono_ms += 9999;
	assert_int_equal(find("example.com", STW_DNS_SRV, &waiter), STW_DNS_KNOWN);
	now.mono_ms += 1;
	assert_int_equal(find("example.com", STW_DNS_SRV, &waiter), STW_DNS_ASK);
	/* At most an hour. */
	answered(query, 0, 1000000, "host.test");
	told();
	now.mono_ms += 3599999;
	assert_int_equal(find("example.com", STW_DNS_SRV, &waiter), STW_DNS_KNOWN);
	now.mono_ms += 1;
	assert_int_equal(find("example.com", STW_DNS_SRV, &waiter), STW_DNS_ASK);
	stw_dns_waiter_withdraw(&waiter);
	stw_dns_cache_free(cache);
}

static void test_absence_is_kept_failure_is_not(void **state)
{
	struct stw_dns_waiter waiter = { 0 };

	open_cache(100, 1 << 20);
	find("gone.test", STW_DNS_A, &waiter);
	answered(query, -ENOENT, 30, "");
	told();
	assert_int_equal(find("gone.test", STW_DNS_A, &waiter), STW_DNS_KNOWN);
	assert_int_equal(found.error, -ENOENT);
	now.mono_ms += 30000;
	assert_int_equal(find("gone.test", STW_DNS_A, &waiter), STW_DNS_ASK);
	answered(query, -ETIMEDOUT, 30, "");
	assert_int_equal(told(), 1);
	assert_int_equal(find("gone.test", STW_DNS_A, &waiter), STW_DNS_ASK);
	/* TTL 0: for those who have asked, no longer (RFC 1035 §3.2.1). */
	answered(query, 0, 0, "host.test");
	assert_int_equal(told(), 1);
	assert_int_equal(find("gone.test", STW_DNS_A, &waiter), STW_DNS_ASK);
	stw_dns_waiter_withdraw(&waiter);
	stw_dns_cache_free(cache);
}

static void test_one_question_for_all(void **state)
{
	struct stw_dns_waiter waiters[3] = { 0 };
	struct stw_dns_stats stats;
	uint64_t asked;

	open_cache(100, 1 << 20);
	assert_int_equal(find("a.test", STW_DNS_A, &waiters[0]), STW_DNS_ASK);
	asked = query;
	assert_int_equal(find("a.test", STW_DNS_A, &waiters[1]), STW_DNS_ASKED);
	assert_int_equal(find("A.test", STW_DNS_A, &waiters[2]), STW_DNS_ASKED);
	stw_dns_waiter_withdraw(&waiters[1]);
	answered(asked + 77, 0, 60, "x"); /* to nothing */
	assert_int_equal(told(), 0);
	answered(asked, 0, 60, "x");
	assert_ptr_equal(stw_dns_cache_told(cache), &waiters[0]);
	/* One that withdraws while others are told is not told. */
	stw_dns_waiter_withdraw(&waiters[2]);
	assert_int_equal(told(), 0);
	answered(asked, 0, 60, "x"); /* twice */
	assert_int_equal(told(), 0);
	/* All withdraw, and the answer is kept for the next. */
	find("b.test", STW_DNS_A, &waiters[0]);
	stw_dns_waiter_withdraw(&waiters[0]);
	answered(query, 0, 60, "x");
	assert_int_equal(find("b.test", STW_DNS_A, &waiters[0]), STW_DNS_KNOWN);
	stw_dns_cache_stats(cache, &stats);
	assert_int_equal(stats.names, 2);
	assert_int_equal(stats.asking, 0);
	assert_int_equal(stats.questions, 2);
	assert_int_equal(stats.hits, 1);
	stw_dns_cache_free(cache);
}

static void test_bounds(void **state)
{
	struct stw_dns_waiter waiters[20] = { 0 };
	struct stw_dns_stats stats;
	char name[32];

	open_cache(16, 1 << 20);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "n%d.test", i);
		assert_int_equal(find(name, STW_DNS_A, &waiters[0]), STW_DNS_ASK);
		answered(query, 0, 600, "host.test");
		told();
		find("n0.test", STW_DNS_A, &waiters[0]); /* used all the time: stays */
	}
	stw_dns_cache_stats(cache, &stats);
	assert_int_equal(stats.names, 16);
	assert_int_equal(find("n0.test", STW_DNS_A, &waiters[0]), STW_DNS_KNOWN);
	assert_int_equal(find("n199.test", STW_DNS_A, &waiters[0]), STW_DNS_KNOWN);
	/* As many being asked as may be remembered. */
	for (int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "m%d.test", i);
		assert_int_equal(find(name, STW_DNS_A, &waiters[i]), STW_DNS_ASK);
	}
	assert_int_equal(find("one-more.test", STW_DNS_A, &waiters[16]), -ENOBUFS);
	for (int i = 0; i < 16; i++)
		stw_dns_waiter_withdraw(&waiters[i]);
	stw_dns_cache_free(cache);
	/* Bytes. */
	open_cache(1000, 4096);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "n%d.test", i);
		find(name, STW_DNS_A, &waiters[0]);
		answered(query, 0, 600, "host.test");
		told();
		stw_dns_cache_stats(cache, &stats);
		assert_true(stats.bytes <= 4096);
	}
	assert_true(stats.names > 5);
	stw_dns_cache_free(cache);
}

static void test_no_memory(void **state)
{
	struct stw_dns_waiter waiter = { 0 };
	struct stw_dns_limits limits = { 16, 4096 };
	int result = -ENOMEM;

	support_fail_allocation(1);
	assert_int_equal(
		stw_dns_cache_new(&limits, (struct stw_hash_key){ 3, 4 }, &cache), -ENOMEM);
	support_fail_allocation(0);
	open_cache(16, 4096);
	for (unsigned nth = 1; result == -ENOMEM; nth++) {
		support_fail_allocation(nth);
		result = find("a.test", STW_DNS_A, &waiter);
		support_fail_allocation(0);
	}
	assert_int_equal(result, STW_DNS_ASK);
	support_fail_allocation(1);
	answered(query, 0, 60, "x");
	support_fail_allocation(0);
	/* Who waits hears it all the same; it is not kept. */
	assert_int_equal(told(), 1);
	assert_int_equal(find("a.test", STW_DNS_A, &waiter), STW_DNS_ASK);
	stw_dns_waiter_withdraw(&waiter);
	stw_dns_cache_free(cache);
	assert_null(stw_dns_cache_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_for_its_time),
		cmocka_unit_test(test_absence_is_kept_failure_is_not),
		cmocka_unit_test(test_one_question_for_all),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
