/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/base: text as words of eight bytes. */
#ifndef STW_BASE_INTERNAL_H
#define STW_BASE_INTERNAL_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Eight bytes as a little-endian word. */
static inline uint64_t word_load(const unsigned char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

/* Fewer than eight, zeros above them. Loads of four and two bytes may overlap. */
static inline uint64_t word_load_rest(const unsigned char *bytes, size_t len)
{
	if (len >= 4) {
		uint32_t low, high;

		memcpy(&low, bytes, sizeof(low));
		memcpy(&high, bytes + len - 4, sizeof(high));
		return le32toh(low) | (uint64_t)le32toh(high) << (8 * (len - 4));
	}
	if (len == 0)
		return 0;
	return bytes[0] | (uint64_t)bytes[len / 2] << (8 * (len / 2)) |
	       (uint64_t)bytes[len - 1] << (8 * (len - 1));
}

/* Eight bytes with 'A'..'Z' made lower case. Each step stays within its own byte. */
static inline uint64_t word_fold(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t seven = word & ~high;
	uint64_t from_a = seven + ones * (0x80 - 'A'), above_z = seven + ones * (0x7f - 'Z');

	return word | ((from_a & ~above_z & ~word & high) >> 2);
}

#endif
