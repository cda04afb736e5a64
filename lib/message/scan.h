/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the message layer: many bytes at once. The only place with vector instructions; what
 * is between the #if and #else lines gives the same answers. */
#ifndef STW_MESSAGE_SCAN_H
#define STW_MESSAGE_SCAN_H

#include <string.h>

#include "internal.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The few functions that run for each line or mark: they share their state in registers. */
#define INLINE inline __attribute__((always_inline))

#define LIKELY(x)   __builtin_expect_with_probability(x, 1, 0.99)
#define UNLIKELY(x) __builtin_expect_with_probability(x, 0, 0.99)

/** Index of the lowest set bit; `bits` is not 0. */
static INLINE size_t bit_first(uint64_t bits)
{
#if defined(__x86_64__)
	uint64_t at;

	/* What the builtin gives, without widening an int; older CPUs take "rep bsf" for "bsf". */
	__asm__("rep bsfq %1, %0" : "=r"(at) : "r"(bits) : "cc");
	return at;
#else
	return (size_t)__builtin_ctzll(bits);
#endif
}

#if defined(__SSE2__)
/* Signed comparison of bytes moved to the top of the range. */
static INLINE __m128i bytes_in(__m128i v, char from, char to)
{
	v = _mm_add_epi8(v, _mm_set1_epi8((char)(0x7f - to)));
	return _mm_cmpgt_epi8(v, _mm_set1_epi8((char)(0x7e - (to - from))));
}

/** A bit for each of 16 bytes: is it CR or below? Beside CR, LF and NUL a few other bytes are. */
static INLINE uint64_t stops_of_16(const char *at)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);

	return (unsigned)_mm_movemask_epi8(bytes_in(v, '\0', '\r'));
}
#endif

#if defined(__AVX2__)
static inline uint64_t stops_of_32(const char *at)
{
	__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);

	v = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8('\r')), v);
	return (uint32_t)_mm256_movemask_epi8(v);
}

/** As above, of 64 bytes. */
static INLINE uint64_t stops_of_64(const char *at)
{
	return stops_of_32(at) | stops_of_32(at + 32) << 32;
}
#elif defined(__SSE2__)
/** As above, of 64 bytes. */
static INLINE uint64_t stops_of_64(const char *at)
{
	uint64_t bits = stops_of_16(at + 48);

	bits = bits << 16 | stops_of_16(at + 32);
	bits = bits << 16 | stops_of_16(at + 16);
	return bits << 16 | stops_of_16(at);
}
#else
/** A bit for each of 64 bytes: is it CR or below? */
static INLINE uint64_t stops_of_64(const char *at)
{
	uint64_t bits = 0;
	unsigned i;

	for (i = 0; i < 64; i++)
		bits |= (uint64_t)((uint8_t)at[i] <= '\r') << i;
	return bits;
}
#endif

/** The first of 16 bytes that is `byte`; 16: none. */
static INLINE size_t find_in_16(const char *at, char byte)
{
#if defined(__SSE2__)
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
	unsigned bits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(byte)));

	return bit_first(bits | 0x10000u);
#else
	size_t i = 0;

	while (i < 16 && at[i] != byte)
		i++;
	return i;
#endif
}

/** A bit for each of 16 bytes: is it a digit? And is it a dot, and is it above "1"? */
static INLINE uint64_t digits_of_16(const char *at, uint64_t *ret_dots, uint64_t *ret_high)
{
#if defined(__SSE2__)
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
	__m128i high = _mm_cmpgt_epi8(v, _mm_set1_epi8('1'));
	__m128i dots = _mm_cmpeq_epi8(v, _mm_set1_epi8('.'));

	*ret_high = (unsigned)_mm_movemask_epi8(high);
	*ret_dots = (unsigned)_mm_movemask_epi8(dots);
	v = _mm_subs_epu8(_mm_sub_epi8(v, _mm_set1_epi8('0')), _mm_set1_epi8(9));
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128()));
#else
	uint64_t digits = 0;
	unsigned i;

	*ret_dots = *ret_high = 0;
	for (i = 0; i < 16; i++) {
		digits |= (uint64_t)char_is(at[i], CHAR_DIGIT) << i;
		*ret_dots |= (uint64_t)(at[i] == '.') << i;
		*ret_high |= (uint64_t)(at[i] > '1') << i;
	}
	return digits;
#endif
}

#if defined(__SSE2__)
static INLINE __m128i is_byte_16(const char *at, __m128i byte)
{
	return _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), byte);
}
#endif

/** Is there a comma in [at, end)? */
static inline bool comma_is_in(const char *at, const char *end)
{
#if defined(__SSE2__)
	const __m128i comma = _mm_set1_epi8(',');

	if (end - at >= 16) {
		const char *last = end - 16;
		__m128i hit = is_byte_16(last, comma);

		for (; last - at > 16; at += 32)
			hit = _mm_or_si128(hit,
				_mm_or_si128(is_byte_16(at, comma), is_byte_16(at + 16, comma)));
		if (at < last)
			hit = _mm_or_si128(hit, is_byte_16(at, comma));
		return _mm_movemask_epi8(hit);
	}
#endif
	while (at < end && *at != ',')
		at++;
	return at < end;
}

/** First comma, quote or "<" in [at, end); `end` when there is none. */
static inline const char *list_stop_find(const char *at, const char *end)
{
#if defined(__SSE2__)
	const __m128i comma = _mm_set1_epi8(','), quote = _mm_set1_epi8('"');
	const __m128i less = _mm_set1_epi8('<');

	for (; end - at >= 16; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, comma),
			_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, less)));
		unsigned bits = (unsigned)_mm_movemask_epi8(hit);

		if (bits)
			return at + bit_first(bits);
	}
#endif
	while (at < end && *at != ',' && *at != '"' && *at != '<')
		at++;
	return at;
}

/* ---- the ends of lines ------------------------------------------------------------- */

/** First byte in [at, end) that is CR or below; `end` when there is none. */
static inline const char *stop_find(const char *at, const char *end)
{
#if defined(__SSE2__)
	for (; end - at >= 16; at += 16) {
		unsigned bits = (unsigned)stops_of_16(at);

		if (bits)
			return at + bit_first(bits);
	}
#endif
	while (at < end && (uint8_t)*at > '\r')
		at++;
	return at;
}

/** A walk over the runs of bytes that are CR or below, 64 bytes a step. The CRLF of a line is such
 * a run, and what stands behind it may be a part of it. The place `last` counts as a start too:
 * behind it there are two bytes that may be read. */
struct ends {
	const char *data;
	size_t last, block; /* see above; where the 64 bytes looked at start */
	uint64_t bits;      /* the starts in these that were not yet given */
};

#define ENDS_BEHIND 3u /* bytes from `last` on */

/** Fewer than 64 bytes before `last`: with the 64 that end there, or byte by byte. */
static uint64_t __attribute__((noinline)) ends_of_tail(const char *data, size_t block, size_t last)
{
	uint64_t bits = 0;
	size_t i;

	if (last >= 64 && last > block)
		bits = stops_of_64(data + last - 64) >> (64 - (last - block));
	else
		for (i = block; i < last; i++)
			bits |= (uint64_t)((uint8_t)data[i] <= '\r') << (i - block);
	return (bits & ~(bits << 1)) | UINT64_C(1) << (last - block);
}

/** Without those before `at`: a CRLF may stand in two blocks. */
static INLINE void ends_load(struct ends *ends, size_t at)
{
	uint64_t stops;

	if (UNLIKELY(ends->block == (ends->last & ~(size_t)63))) {
		ends->bits = ends_of_tail(ends->data, ends->block, ends->last);
	} else {
		stops = stops_of_64(ends->data + ends->block);
		ends->bits = stops & ~(stops << 1);
	}
	if (UNLIKELY(at > ends->block))
		ends->bits &= UINT64_MAX << (at - ends->block);
}

/** A walk from `at` on, which is not behind the last place: `len` of ENDS_BEHIND or more. */
static INLINE void ends_init(struct ends *ends, const char *data, size_t len, size_t at)
{
	*ends = (struct ends){ data, len - ENDS_BEHIND, at & ~(size_t)63, 0 };
	ends_load(ends, at);
}

/** The next one, which is not before `at`; not to be asked for behind the last. */
static INLINE size_t ends_next(struct ends *ends, size_t at)
{
	size_t end;

	while (!ends->bits) {
		ends->block += 64;
		ends_load(ends, at);
	}
	end = ends->block + bit_first(ends->bits);
	ends->bits &= ends->bits - 1;
	return end;
}

/* ---- the names of header fields -------------------------------------------------------- */

#define NAME_BYTES_MAX   31u /* of the header field names that are known; header.c checks it */
#define NAME_BYTES_SHORT 15u /* these need 16 bytes, the longer ones 32 */
#define HEADER_SLOTS     256u
#define NAME_MULTIPLIER  UINT32_C(0x35a77321)

/** A name and its colon. Where `fold` is 0x20 there is a letter, whose case does not count
 * (§7.3.1); where it is 0xff, behind the colon, nothing counts. */
struct known_name {
	_Alignas(16) uint8_t fold[32];
	_Alignas(16) uint8_t text[32];
};

/** All that finds a header field by its name. */
struct name_tables {
	struct known_name known[STW_HEADERS];
	/* Index of `known`, open addressing; 0: free. Of the names of up to NAME_BYTES_SHORT and of
	 * the longer ones. */
	uint8_t slots[HEADER_SLOTS], long_slots[HEADER_SLOTS];
	uint8_t compacts[256]; /* by letter */
};

extern struct name_tables name_tables;

/** Length, first and last letters; the multiplier brings all names of today's list into slots of
 * their own. Reads up to four bytes before a name. */
static inline size_t name_slot(const char *name, const char *end)
{
	uint32_t word;

	memcpy(&word, end - 4, sizeof(word));
	word = ((word ^ (uint32_t)(uint8_t)*name << 8) | UINT32_C(0x20202020)) +
	       (uint32_t)(end - name);
	return (word * NAME_MULTIPLIER) >> 24;
}

/** Are these 16 bytes those of the known name from `at` on? */
static inline bool name_bytes_are(const char *bytes, const struct known_name *known, size_t at)
{
#if defined(__SSE2__)
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(bytes + at));

	v = _mm_or_si128(v, _mm_load_si128((const __m128i *)(const void *)(known->fold + at)));
	v = _mm_cmpeq_epi8(v, _mm_load_si128((const __m128i *)(const void *)(known->text + at)));
	return _mm_movemask_epi8(v) == 0xffff;
#else
	size_t i;

	for (i = at; i < at + 16; i++)
		if (((uint8_t)bytes[i] | known->fold[i]) != known->text[i])
			return false;
	return true;
#endif
}

#endif
