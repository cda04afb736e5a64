/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the message layer: values of the usual form are read from mark to mark. A mark is a
 * byte that is neither letter, digit, "-" nor "."; what is between two marks may stand in a user, a
 * host, a token or a parameter as it is. */
#ifndef STW_MESSAGE_MARKS_H
#define STW_MESSAGE_MARKS_H

#include "scan.h"

/** A bit for each byte of a block of up to 64. */
struct block {
	uint64_t bits;   /* marks */
	uint64_t joints; /* "-" and "." */
};

/** A walk over the marks of a text, a block a step. It stays in registers: nobody has its address.
 */
struct marks {
	const char *base, *end; /* where the block starts; the end of the text */
	uint64_t bits;          /* marks of the block that were not yet given */
	uint64_t joints;        /* of the block; JOINTS_UNKNOWN behind the first */
	char byte;              /* at the mark given last; NUL at the end */
};

#define JOINTS_UNKNOWN UINT64_MAX

/** Of 16 bytes: which may stand between marks, and which of them are "-" and "."? */
#if defined(__SSE2__)
static INLINE void plain_of_16(const char *at, uint64_t *ret_plain, uint64_t *ret_joints)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
	__m128i joints = bytes_in(v, '-', '.');
	__m128i plain = _mm_or_si128(
		bytes_in(v, '0', '9'), bytes_in(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z'));

	*ret_joints = (unsigned)_mm_movemask_epi8(joints);
	*ret_plain = (unsigned)_mm_movemask_epi8(_mm_or_si128(plain, joints));
}
#else
static INLINE void plain_of_16(const char *at, uint64_t *ret_plain, uint64_t *ret_joints)
{
	unsigned i;

	*ret_plain = *ret_joints = 0;
	for (i = 0; i < 16; i++) {
		if (at[i] == '-' || at[i] == '.')
			*ret_joints |= UINT64_C(1) << i;
		if (at[i] == '-' || at[i] == '.' || char_is(at[i], CHAR_ALPHANUM))
			*ret_plain |= UINT64_C(1) << i;
	}
}
#endif

/** The same of 32 bytes. */
static INLINE void plain_of_32(
	const char *low, const char *high, uint64_t *ret_plain, uint64_t *ret_joints)
{
	uint64_t plain, joints;

	plain_of_16(low, ret_plain, ret_joints);
	plain_of_16(high, &plain, &joints);
	*ret_plain |= plain << 16;
	*ret_joints |= joints << 16;
}

#define MARKS_BYTES_MIN 16

/** The block at `base`. The whole text is of MARKS_BYTES_MIN or more. */
static INLINE struct block block_of(const char *base, const char *end)
{
	size_t len = (size_t)(end - base), shift;
	uint64_t plain, joints, high_plain, high_joints;

	if (len > 32) {
		plain_of_32(base, base + 16, &plain, &joints);
		shift = len < 64 ? len - 32 : 32;
		if (len > 48) {
			plain_of_32(base + shift, base + shift + 16, &high_plain, &high_joints);
		} else {
			shift = len - 16;
			plain_of_16(end - 16, &high_plain, &high_joints);
		}
		plain |= high_plain << shift;
		joints |= high_joints << shift;
		if (len < 64)
			plain |= UINT64_MAX << len;
		return (struct block){ ~plain, joints };
	}
	plain_of_16(end - 16, &high_plain, &high_joints);
	if (len < 16) {
		plain = high_plain >> (16 - len);
		joints = high_joints >> (16 - len);
	} else {
		plain_of_16(base, &plain, &joints);
		plain |= high_plain << (len - 16);
		joints |= high_joints << (len - 16);
	}
	return (struct block){ ~(plain | UINT64_MAX << len), joints };
}

/** The same, for what is rare. */
struct block block_at(const char *base, const char *end);

/** Where marks go on. */
struct marks_rest {
	const char *base;
	uint64_t bits; /* 0: there are none */
};

/** The next block with a mark behind the one at `base`. */
struct marks_rest marks_more(const char *base, const char *end);

/** A walk over [at, end), which is of MARKS_BYTES_MIN or more. */
static INLINE struct marks marks_of(const char *at, const char *end)
{
	struct block block = block_of(at, end);

	return (struct marks){ at, end, block.bits, block.joints, 0 };
}

/** The next mark or, behind the last one, the end. */
static INLINE const char *mark_next(struct marks *marks)
{
	struct marks_rest rest;
	const char *at;

	if (UNLIKELY(!marks->bits)) {
		marks->byte = '\0';
		if (marks->end - marks->base <= 64)
			return marks->end;
		rest = marks_more(marks->base, marks->end);
		marks->base = rest.base;
		marks->bits = rest.bits;
		marks->joints = JOINTS_UNKNOWN;
		if (!rest.bits)
			return marks->end;
	}
	at = marks->base + bit_first(marks->bits);
	marks->bits &= marks->bits - 1;
	marks->byte = *at;
	return at;
}

/** The next mark that is no byte of such a class: the end of a run. NUL is in no class. */
static INLINE const char *run_next(struct marks *marks, unsigned classes)
{
	const char *at = mark_next(marks);

	while (char_is(marks->byte, classes))
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

/** Up to 8 bytes, the first the lowest. */
static INLINE uint64_t word_read(const char *at, size_t len)
{
	uint64_t word = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	memcpy(&word, at, len);
#else
	size_t i;

	for (i = 0; i < len; i++)
		word |= (uint64_t)(uint8_t)at[i] << 8 * i;
#endif
	return word;
}

#endif
