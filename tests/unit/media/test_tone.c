/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>

#include <strowger/media.h>

#include "support.h"

static void test_single(void **state)
{
	int16_t samples[800];
	struct stw_tone tone;

	stw_tone_init(&tone, 1000, 0, -10);
	stw_tone_fill(&tone, samples, 400);
	stw_tone_fill(&tone, samples + 400, 400); /* goes on without a step */
	assert_true(stw_tone_share(samples, 800, 1000) > 0.99);
	assert_true(stw_tone_share(samples, 800, 1100) < 0.01);
	assert_true(fabs(stw_sound_level(samples, 800) + 13.01) < 0.05);
}

static void test_digits(void **state)
{
	static const double hz[] = { 697, 770, 852, 941, 1209, 1336, 1477, 1633 };
	int16_t samples[800];
	struct stw_tone tone;

	assert_int_equal(stw_tone_init_digit(&tone, '5', -10), 0);
	stw_tone_fill(&tone, samples, 800);
	for (size_t i = 0; i < STW_ARRAY_SIZE(hz); i++) {
		double share = stw_tone_share(samples, 800, hz[i]);

		if (hz[i] == 770 || hz[i] == 1336)
			assert_true(share > 0.45 && share < 0.55);
		else
			assert_true(share < 0.02);
	}
	assert_int_equal(stw_tone_init_digit(&tone, 'E', -10), -EINVAL);
	assert_int_equal(stw_tone_init_digit(&tone, '\0', -10), -EINVAL);
}

static void test_silence(void **state)
{
	int16_t samples[160] = { 0 };

	assert_true(stw_tone_share(samples, 160, 1000) == 0);
	assert_true(stw_sound_level(samples, 160) == -100);
	samples[3] = 1;
	assert_true(stw_sound_level(samples, 160) < -90);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_single),
		cmocka_unit_test(test_digits), cmocka_unit_test(test_silence) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
