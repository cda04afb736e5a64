/* SPDX-License-Identifier: Apache-2.0 */
/* Each hears the sum of the others. Their clocks differ: a listener that runs out of sound waits
 * until some has gathered again, one that falls behind skips. */
#include "internal.h"

void stw_mix_put(struct stw_mix *mix, const int16_t *samples, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		mix->samples[mix->end++ % STW_MIX_SAMPLES] = samples[i];
}

static int16_t sum(int16_t a, int16_t b)
{
	int both = a + b;

	return (int16_t)(both > INT16_MAX ? INT16_MAX : both < INT16_MIN ? INT16_MIN : both);
}

void stw_mix_add(
	const struct stw_mix *mix, struct stw_mix_ear *ear, int16_t *samples, unsigned count)
{
	uint64_t waiting;

	if (!ear->begun)
		ear->at = mix->end;
	ear->begun = true;
	waiting = mix->end - ear->at;
	if (waiting > STW_MIX_SAMPLES) {
		waiting = STW_MIX_WAIT;
		ear->at = mix->end - waiting;
	}
	if (!ear->hears && waiting >= STW_MIX_WAIT)
		ear->hears = true;
	if (ear->hears && waiting < count)
		ear->hears = false;
	for (unsigned i = 0; ear->hears && i < count; i++)
		samples[i] = sum(samples[i], mix->samples[ear->at++ % STW_MIX_SAMPLES]);
}
