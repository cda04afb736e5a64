/* SPDX-License-Identifier: Apache-2.0 */
/* Sines and what they are heard by: Goertzel's filter, ITU-T Q.23 for digits. */
#include "internal.h"

#include <errno.h>
#include <math.h>

#define FULL    32767.0
#define TURN    6.283185307179586
#define SILENCE (-100.0)

void stw_tone_init(struct stw_tone *tone, double hz, double second_hz, double level_db)
{
	double amplitude = FULL * pow(10, level_db / 20);

	*tone = (struct stw_tone){
		.step = { TURN * hz / STW_SOUND_HZ, TURN * second_hz / STW_SOUND_HZ },
		.amplitude = { amplitude, second_hz > 0 ? amplitude : 0 },
	};
}

int stw_tone_init_digit(struct stw_tone *tone, char digit, double level_db)
{
	static const char keys[] = "123A456B789C*0#D";
	static const double rows[] = { 697, 770, 852, 941 }, columns[] = { 1209, 1336, 1477, 1633 };
	const char *at = digit ? strchr(keys, digit) : NULL;

	if (!at)
		return -EINVAL;
	stw_tone_init(tone, rows[(at - keys) / 4], columns[(at - keys) % 4], level_db);
	return 0;
}

void stw_tone_fill(struct stw_tone *tone, int16_t *samples, unsigned count)
{
	double sum;

	for (unsigned i = 0; i < count; i++) {
		sum = 0;
		for (unsigned k = 0; k < 2; k++) {
			sum += tone->amplitude[k] * sin(tone->phase[k]);
			tone->phase[k] = fmod(tone->phase[k] + tone->step[k], TURN);
		}
		sum = sum > FULL ? FULL : sum < -FULL ? -FULL : sum;
		samples[i] = (int16_t)lrint(sum);
	}
}

double stw_tone_share(const int16_t *samples, unsigned count, double hz)
{
	double turn = 2 * cos(TURN * hz / STW_SOUND_HZ), last = 0, before = 0, now, power = 0;

	for (unsigned i = 0; i < count; i++) {
		now = samples[i] + turn * last - before;
		before = last;
		last = now;
		power += (double)samples[i] * samples[i];
	}
	if (power <= 0)
		return 0;
	now = (last * last + before * before - turn * last * before) * 2 / (power * count);
	return now > 1 ? 1 : now;
}

double stw_sound_level(const int16_t *samples, unsigned count)
{
	double power = 0;

	for (unsigned i = 0; i < count; i++)
		power += (double)samples[i] * samples[i];
	return power > 0 ? 10 * log10(power / count / (FULL * FULL)) : SILENCE;
}
