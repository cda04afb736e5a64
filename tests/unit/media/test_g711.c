/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <strowger/media.h>

#include "support.h"

static void test_known(void **state)
{
	static const struct {
		enum stw_law law;
		uint8_t code;
		int sample;
	} known[] = { { STW_PCMU, 0xff, 0 }, { STW_PCMU, 0x00, -32124 }, { STW_PCMU, 0x80, 32124 },
		{ STW_PCMU, 0xf0, 120 }, { STW_PCMU, 0x70, -120 }, { STW_PCMU, 0xa0, 7932 },
		{ STW_PCMA, 0xd5, 8 }, { STW_PCMA, 0x55, -8 }, { STW_PCMA, 0xaa, 32256 },
		{ STW_PCMA, 0x2a, -32256 }, { STW_PCMA, 0x80, 5504 } };

	for (size_t i = 0; i < STW_ARRAY_SIZE(known); i++) {
		assert_int_equal(stw_law_decode(known[i].law, known[i].code), known[i].sample);
		assert_int_equal(
			stw_law_encode(known[i].law, (int16_t)known[i].sample), known[i].code);
	}
}

/* Every code is its own; every sample comes back within half a step. */
static void test_all(void **state)
{
	for (unsigned law = STW_PCMU; law <= STW_PCMA; law++) {
		for (unsigned code = 0; code < 256; code++)
			if (law != STW_PCMU || code != 0x7f) /* minus zero */
				assert_int_equal(
					stw_law_encode(law, stw_law_decode(law, (uint8_t)code)),
					code);
		for (int sample = -32768; sample <= 32767; sample++) {
			int back = stw_law_decode(law, stw_law_encode(law, (int16_t)sample));
			int size = abs(sample) > 32635 ? 32635 : abs(sample);

			if (abs(abs(back) - size) > size / 32 + 12 || back * sample < 0)
				fail_msg("law %u: %d comes back as %d", law, sample, back);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_known),
		cmocka_unit_test(test_all) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
