/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the message layer: values of the usual form are read from mark to mark. A mark is a
 * byte that is neither letter, digit, "-" nor "."; what is between two marks may stand in a user, a
 * host, a token or a parameter as it is. */
#ifndef STW_MESSAGE_MARKS_H
#define STW_MESSAGE_MARKS_H

#include "scan.h"

/** A walk over the marks of a text, 64 bytes a step; the end is one too. */
struct marks {
	const char *base, *end; /* 64 bytes looked at; the end of all */
	uint64_t bits;          /* marks in these that were not yet given */
	uint64_t joints;        /* "-" and "." in these */
};

#if defined(__SSE2__)
/* Signed comparison of bytes moved to the top of the range. */
static inline __m128i bytes_in(__m128i v, char from, char to)
{
	v = _mm_add_epi8(v, _mm_set1_epi8((char)(0x7f - to)));
	return _mm_cmpgt_epi8(v, _mm_set1_epi8((char)(0x7e - (to - from))));
}

static inline void marks_of_16(const char *at, uint64_t *ret_bits, uint64_t *ret_joints)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
	__m128i joints = bytes_in(v, '-', '.');
	__m128i plain = _mm_or_si128(
		bytes_in(v, '0', '9'), bytes_in(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z'));

	*ret_joints = (unsigned)_mm_movemask_epi8(joints);
	*ret_bits = (unsigned)_mm_movemask_epi8(_mm_or_si128(plain, joints)) ^ 0xffffu;
}
#else
static inline void marks_of_16(const char *at, uint64_t *ret_bits, uint64_t *ret_joints)
{
	unsigned i;

	*ret_bits = *ret_joints = 0;
	for (i = 0; i < 16; i++)
		if (at[i] == '-' || at[i] == '.')
			*ret_joints |= UINT64_C(1) << i;
		else if (!char_is(at[i], CHAR_ALPHANUM))
			*ret_bits |= UINT64_C(1) << i;
}
#endif

/** The marks of the block at `base`. The whole text is of 16 bytes or more. */
static inline void marks_load(struct marks *marks)
{
	size_t len = (size_t)(marks->end - marks->base), at;
	uint64_t bits, joints;

	marks->bits = marks->joints = 0;
	for (at = 0; at < 64 && at + 16 <= len; at += 16) {
		marks_of_16(marks->base + at, &bits, &joints);
		marks->bits |= bits << at;
		marks->joints |= joints << at;
	}
	if (at == 64)
		return;
	if (at < len) { /* 16 bytes that end with the text */
		marks_of_16(marks->end - 16, &bits, &joints);
		marks->bits |= len >= 16 ? bits << (len - 16) : bits >> (16 - len);
		marks->joints |= len >= 16 ? joints << (len - 16) : joints >> (16 - len);
	}
	marks->bits |= UINT64_C(1) << len;
}

#define MARKS_BYTES_MIN 16

/** A walk over [at, end), which is of MARKS_BYTES_MIN or more. */
static inline struct marks marks_of(const char *at, const char *end)
{
	struct marks marks = { at, end, 0, 0 };

	marks_load(&marks);
	return marks;
}

/** The next block. Behind the end there is the end again. */
void marks_more(struct marks *marks);

static inline __attribute__((always_inline)) const char *mark_next(struct marks *marks)
{
	struct marks copy;
	const char *at;

	if (UNLIKELY(!marks->bits)) { /* a copy: the original may stay in registers */
		copy = *marks;
		marks_more(&copy);
		*marks = copy;
	}
	at = marks->base + bit_first(marks->bits);
	marks->bits &= marks->bits - 1;
	return at;
}

/** The next mark that is no byte of such a class: the end of a run. */
static inline __attribute__((always_inline)) const char *run_next(
	struct marks *marks, unsigned classes)
{
	const char *at = mark_next(marks);

	while (at != marks->end && char_is(*at, classes))
		at = mark_next(marks);
	return at;
}

/** Four bytes without the case of letters; where a letter is wanted, nothing else equals it. */
static inline uint32_t fold_4(const char *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word | UINT32_C(0x20202020);
}

/** The byte at a mark; 0 for the end, so that it has to be told from a NUL. */
static inline char mark_byte(const struct marks *marks, const char *at)
{
	return at == marks->end ? '\0' : *at;
}

#endif
