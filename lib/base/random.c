/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256** 1.0 and splitmix64, by D. Blackman and S. Vigna (2018), from their description. */
#include <strowger/base.h>

#include <assert.h>

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static uint64_t splitmix_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void stw_random_seed(struct stw_random *random, uint64_t seed)
{
	for (unsigned i = 0; i < STW_ARRAY_SIZE(random->state); i++)
		random->state[i] = splitmix_next(&seed);
}

uint64_t stw_random_next(struct stw_random *random)
{
	uint64_t *s = random->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9, shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t stw_random_below(struct stw_random *random, uint64_t bound)
{
	uint64_t number, uneven;

	assert(bound > 0);
	/* The first 2^64 mod bound numbers would make the lower results more frequent. */
	uneven = -bound % bound;
	do
		number = stw_random_next(random);
	while (number < uneven);
	return number % bound;
}

void stw_random_token(struct stw_random *random, char *buffer, size_t len)
{
	static const char alphabet[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	const uint64_t base = sizeof(alphabet) - 1, fraction = (UINT64_C(1) << 56) - 1;
	uint64_t rest = 0;

	/* Eight digits to the base 62 are 48 of the 56 bits of a fraction, which needs no division:
	 * none is noticeably more frequent. */
	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0)
			rest = stw_random_next(random) >> 8;
		rest *= base;
		buffer[i] = alphabet[rest >> 56];
		rest &= fraction;
	}
}
