/* SPDX-License-Identifier: Apache-2.0 */
/* ITU-T G.711: a sign, three bits of segment, four of step; RFC 3551 §4.5.14. */
#include "internal.h"

#define BIAS     132 /* of PCMU: every segment doubles from here */
#define PCMU_MAX 32635
#define EVEN     0x55 /* PCMA turns every other bit */

/* Number of the highest bit set, 0 for none. */
static unsigned highest_bit(unsigned number)
{
	return number ? 31 - (unsigned)__builtin_clz(number) : 0;
}

static uint8_t pcmu_encode(int sample)
{
	unsigned sign = sample < 0 ? 0x80 : 0, segment;
	int size = sample < 0 ? -sample : sample;

	size = (size > PCMU_MAX ? PCMU_MAX : size) + BIAS;
	segment = highest_bit((unsigned)size) - 7;
	return (uint8_t) ~(sign | segment << 4 | ((unsigned)size >> (segment + 3) & 15));
}

static int pcmu_decode(unsigned code)
{
	unsigned bits = ~code & 0xff, segment = bits >> 4 & 7;
	int size = (int)(((bits & 15) << 3 | BIAS) << segment) - BIAS;

	return bits & 0x80 ? -size : size;
}

static uint8_t pcma_encode(int sample)
{
	unsigned sign = sample < 0 ? 0 : 0x80, segment;
	unsigned size = (unsigned)(sample < 0 ? -sample - 1 : sample);

	segment = size < 256 ? 0 : highest_bit(size) - 7;
	return (uint8_t)((sign | segment << 4 | (size >> (segment ? segment + 3 : 4) & 15)) ^ EVEN);
}

static int pcma_decode(unsigned code)
{
	unsigned bits = (code ^ EVEN) & 0xff, segment = bits >> 4 & 7;
	unsigned size = (bits & 15) << 4 | 8;

	if (segment)
		size = (size | 256) << (segment - 1);
	return bits & 0x80 ? (int)size : -(int)size;
}

uint8_t stw_law_encode(enum stw_law law, int16_t sample)
{
	return law == STW_PCMU ? pcmu_encode(sample) : pcma_encode(sample);
}

int16_t stw_law_decode(enum stw_law law, uint8_t code)
{
	return (int16_t)(law == STW_PCMU ? pcmu_decode(code) : pcma_decode(code));
}
