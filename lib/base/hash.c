/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-c-d: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), §2.
 * Tables take 1-3, what a peer could gain by forging takes 2-4.
 */
#include <strowger/base.h>

#include "internal.h"

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

static inline void sip_compress(struct stw_hasher *s, uint64_t word, unsigned rounds)
{
	s->v3 ^= word;
	sip_round(s);
	if (rounds > 1)
		sip_round(s);
	s->v0 ^= word;
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
static inline __attribute__((always_inline)) void sip_add(
	struct stw_hasher *s, const void *bytes, size_t len, bool fold, unsigned rounds)
{
	const unsigned char *at = bytes;
	uint64_t word;

	for (size_t left = len; left >= 8; left -= 8, at += 8) {
		word = word_load(at);
		sip_compress(s, fold ? word_fold(word) : word, rounds);
	}
	word = word_load_rest(at, len & 7);
	sip_compress(s, (fold ? word_fold(word) : word) | (uint64_t)len << 56, rounds);
}

static inline uint64_t sip_end(struct stw_hasher s, unsigned rounds)
{
	s.v2 ^= 0xff;
	for (unsigned i = 0; i < rounds; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t stw_hash(struct stw_hash_key key, const void *bytes, size_t len)
{
	struct stw_hasher s = sip_begin(key);

	sip_add(&s, bytes, len, false, 1);
	return sip_end(s, 3);
}

uint64_t stw_hash_nocase(struct stw_hash_key key, const void *bytes, size_t len)
{
	struct stw_hasher s = sip_begin(key);

	sip_add(&s, bytes, len, true, 1);
	return sip_end(s, 3);
}

static inline uint64_t hash_pair(
	struct stw_hash_key key, struct stw_str a, struct stw_str b, bool fold)
{
	struct stw_hasher s = sip_begin(key);

	sip_add(&s, a.ptr, a.len, fold, 1);
	sip_add(&s, b.ptr, b.len, fold, 1);
	return sip_end(s, 3);
}

uint64_t stw_hash_pair(struct stw_hash_key key, struct stw_str a, struct stw_str b)
{
	return hash_pair(key, a, b, false);
}

uint64_t stw_hash_nocase_pair(struct stw_hash_key key, struct stw_str a, struct stw_str b)
{
	return hash_pair(key, a, b, true);
}

void stw_hasher_init(struct stw_hasher *hasher, struct stw_hash_key key)
{
	*hasher = sip_begin(key);
}

/* The whole length goes first: the one above the rest holds only eight bits of it. */
static inline __attribute__((always_inline)) void hasher_add(
	struct stw_hasher *hasher, struct stw_str text, bool fold)
{
	struct stw_hasher s = *hasher; /* in registers */

	sip_compress(&s, text.len, 2);
	sip_add(&s, text.ptr, text.len, fold, 2);
	*hasher = s;
}

void stw_hasher_text(struct stw_hasher *hasher, struct stw_str text)
{
	hasher_add(hasher, text, false);
}

void stw_hasher_text_nocase(struct stw_hasher *hasher, struct stw_str text)
{
	hasher_add(hasher, text, true);
}

void stw_hasher_number(struct stw_hasher *hasher, uint64_t number)
{
	struct stw_hasher s = *hasher;

	sip_compress(&s, number, 2);
	*hasher = s;
}

uint64_t stw_hasher_value(const struct stw_hasher *hasher)
{
	return sip_end(*hasher, 4);
}
