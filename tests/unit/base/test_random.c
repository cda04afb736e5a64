/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <string.h>

/* The first outputs of xoshiro256** from the state 1, 2, 3, 4, as its description gives them. */
static void test_vector(void **state)
{
	static const uint64_t expected[] = { 11520, 0, 1509978240, UINT64_C(1215971899390074240) };
	struct stw_random random = { { 1, 2, 3, 4 } };

	for (size_t i = 0; i < STW_ARRAY_SIZE(expected); i++)
		assert_true(stw_random_next(&random) == expected[i]);
}

/* splitmix64 from 0. */
static void test_seed(void **state)
{
	struct stw_random random, again, other;

	stw_random_seed(&random, 0);
	assert_true(random.state[0] == UINT64_C(0xe220a8397b1dcdaf));
	assert_true(random.state[1] == UINT64_C(0x6e789e6aa1b965f4));
	stw_random_seed(&again, 0);
	stw_random_seed(&other, 1);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t number = stw_random_next(&random);

		assert_true(number == stw_random_next(&again));
		assert_true(number != stw_random_next(&other));
	}
}

static void test_below(void **state)
{
	struct stw_random random;
	unsigned seen[6] = { 0 };
	uint64_t bound = (UINT64_C(1) << 63) + 1;

	stw_random_seed(&random, 7);
	for (unsigned i = 0; i < 60000; i++)
		seen[stw_random_below(&random, 6)]++;
	for (unsigned i = 0; i < 6; i++)
		assert_in_range(seen[i], 9500, 10500);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(stw_random_below(&random, 1), 0);
		assert_true(stw_random_below(&random, bound) < bound);
	}
}

static void test_token(void **state)
{
	struct stw_random random;
	char *token = support_guarded("", 0);
	bool seen[256] = { false };
	unsigned kinds = 0;

	stw_random_seed(&random, 7);
	stw_random_token(&random, token, 0);
	support_guarded_free(token, 0);
	for (unsigned round = 0; round < 100; round++) {
		token = support_guarded("????????????????????", 20);
		stw_random_token(&random, token, 20);
		for (unsigned i = 0; i < 20; i++) {
			char c = token[i];

			assert_true((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				    (c >= 'A' && c <= 'Z'));
			kinds += !seen[(unsigned char)c];
			seen[(unsigned char)c] = true;
		}
		support_guarded_free(token, 20);
	}
	assert_int_equal(kinds, 62);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
