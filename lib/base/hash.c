/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), §2. */
#include <strowger/base.h>

#include <endian.h>
#include <string.h>

static inline uint64_t rotate_left(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void sip_round(struct stw_hasher *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate_left(s->v1, 13) ^ s->v0;
	s->v3 = rotate_left(s->v3, 16) ^ s->v2;
	s->v0 = rotate_left(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate_left(s->v1, 17) ^ s->v2;
	s->v3 = rotate_left(s->v3, 21) ^ s->v0;
	s->v2 = rotate_left(s->v2, 32);
}

static inline void sip_compress(struct stw_hasher *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

/* Eight bytes as a little-endian word. */
static inline uint64_t word_load(const unsigned char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

/* The last, fewer than eight. */
static inline uint64_t word_load_rest(const unsigned char *bytes, size_t len)
{
	uint64_t word = 0;

	if (len & 4) {
		uint32_t four;

		memcpy(&four, bytes, sizeof(four));
		word = le32toh(four);
		bytes += 4;
	}
	for (size_t i = 0; i < (len & 3); i++)
		word |= (uint64_t)bytes[i] << (8 * ((len & 4) + i));
	return word;
}

/* Eight bytes with 'A'..'Z' made lower case. Each step stays within its own byte. */
static inline uint64_t word_fold(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t seven = word & ~high;
	uint64_t from_a = seven + ones * (0x80 - 'A'), above_z = seven + ones * (0x7f - 'Z');

	return word | ((from_a & ~above_z & ~word & high) >> 2);
}

static inline struct stw_hasher sip_begin(struct stw_hash_key key)
{
	return (struct stw_hasher){
		.v0 = key.k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = key.k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key.k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = key.k1 ^ UINT64_C(0x7465646279746573),
	};
}

/* Whole words, then the rest with the length above it. */
static inline void sip_add(struct stw_hasher *s, const void *bytes, size_t len, bool fold)
{
	const unsigned char *at = bytes;
	uint64_t word;

	for (size_t left = len; left >= 8; left -= 8, at += 8) {
		word = word_load(at);
		sip_compress(s, fold ? word_fold(word) : word);
	}
	word = word_load_rest(at, len & 7);
	sip_compress(s, (fold ? word_fold(word) : word) | (uint64_t)len << 56);
}

static inline uint64_t sip_end(struct stw_hasher s)
{
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t stw_hash(struct stw_hash_key key, const void *bytes, size_t len)
{
	struct stw_hasher s = sip_begin(key);

	sip_add(&s, bytes, len, false);
	return sip_end(s);
}

uint64_t stw_hash_nocase(struct stw_hash_key key, const void *bytes, size_t len)
{
	struct stw_hasher s = sip_begin(key);

	sip_add(&s, bytes, len, true);
	return sip_end(s);
}

void stw_hasher_init(struct stw_hasher *hasher, struct stw_hash_key key)
{
	*hasher = sip_begin(key);
}

/* The whole length goes first: the one above the rest holds only eight bits of it. */
void stw_hasher_text(struct stw_hasher *hasher, struct stw_str text)
{
	sip_compress(hasher, text.len);
	sip_add(hasher, text.ptr, text.len, false);
}

void stw_hasher_text_nocase(struct stw_hasher *hasher, struct stw_str text)
{
	sip_compress(hasher, text.len);
	sip_add(hasher, text.ptr, text.len, true);
}

void stw_hasher_number(struct stw_hasher *hasher, uint64_t number)
{
	sip_compress(hasher, number);
}

uint64_t stw_hasher_value(const struct stw_hasher *hasher)
{
	return sip_end(*hasher);
}
