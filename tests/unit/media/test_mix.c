/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/media.h>

#include "support.h"

static struct stw_mix mix;
static struct stw_mix_ear ear;
static int16_t said[STW_MIX_SAMPLES * 2], heard[160];

static int setup(void **state)
{
	memset(&mix, 0, sizeof(mix));
	memset(&ear, 0, sizeof(ear));
	for (unsigned i = 0; i < STW_ARRAY_SIZE(said); i++)
		said[i] = (int16_t)(i + 1);
	return 0;
}

static void hear(void)
{
	memset(heard, 0, sizeof(heard));
	stw_mix_add(&mix, &ear, heard, STW_ARRAY_SIZE(heard));
}

static void test_waits_then_hears_all(void **state)
{
	hear(); /* begins here */
	stw_mix_put(&mix, said, STW_MIX_WAIT - 1);
	hear();
	assert_int_equal(heard[0], 0);
	stw_mix_put(&mix, said + STW_MIX_WAIT - 1, 1);
	for (unsigned at = 0; at + 160 <= STW_MIX_WAIT; at += 160) {
		hear();
		assert_memory_equal(heard, said + at, sizeof(heard));
	}
}

static void test_waits_again_when_nothing_is_said(void **state)
{
	hear();
	stw_mix_put(&mix, said, STW_MIX_WAIT + 10);
	for (unsigned i = 0; i < STW_MIX_WAIT / 160; i++)
		hear();
	hear();
	assert_int_equal(heard[0], 0);
	stw_mix_put(&mix, said + STW_MIX_WAIT + 10, 160);
	hear();
	assert_int_equal(heard[0], 0);
	stw_mix_put(&mix, said + STW_MIX_WAIT + 170, STW_MIX_WAIT);
	hear();
	assert_int_equal(heard[0], said[STW_MIX_WAIT]); /* nothing was lost */
}

static void test_skips_when_it_is_far_behind(void **state)
{
	hear();
	stw_mix_put(&mix, said, STW_MIX_SAMPLES + 1);
	hear();
	assert_int_equal(heard[0], said[STW_MIX_SAMPLES + 1 - STW_MIX_WAIT]);
}

static void test_adds_without_overflow(void **state)
{
	int16_t loud[STW_MIX_WAIT];

	hear();
	for (unsigned i = 0; i < STW_ARRAY_SIZE(loud); i++)
		loud[i] = i % 2 ? INT16_MIN : INT16_MAX;
	stw_mix_put(&mix, loud, STW_ARRAY_SIZE(loud));
	memset(heard, 0, sizeof(heard));
	heard[0] = 5;
	heard[1] = -5;
	heard[2] = -7;
	stw_mix_add(&mix, &ear, heard, STW_ARRAY_SIZE(heard));
	assert_int_equal(heard[0], INT16_MAX);
	assert_int_equal(heard[1], INT16_MIN);
	assert_int_equal(heard[2], INT16_MAX - 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_waits_then_hears_all, setup),
		cmocka_unit_test_setup(test_waits_again_when_nothing_is_said, setup),
		cmocka_unit_test_setup(test_skips_when_it_is_far_behind, setup),
		cmocka_unit_test_setup(test_adds_without_overflow, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
