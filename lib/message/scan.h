/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the message layer: many bytes at once. The only place with vector instructions; what
 * is between the #if and #else lines gives the same answers. */
#ifndef STW_MESSAGE_SCAN_H
#define STW_MESSAGE_SCAN_H

#include <string.h>

#include "internal.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/** Index of the lowest set bit; `bits` is not 0. */
static inline unsigned bit_first(uint64_t bits)
{
	return (unsigned)__builtin_ctzll(bits);
}

#if defined(__SSE2__)
static inline uint64_t stops_of_16(const char *at)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);

	v = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8('\r')), v);
	return (unsigned)_mm_movemask_epi8(v);
}

/** A bit for each of 64 bytes: is it CR or below? Beside CR, LF and NUL a few other bytes are. */
static inline uint64_t stops_of_64(const char *at)
{
	return stops_of_16(at) | stops_of_16(at + 16) << 16 | stops_of_16(at + 32) << 32 |
	       stops_of_16(at + 48) << 48;
}
#else
static inline uint64_t stops_of_64(const char *at)
{
	uint64_t bits = 0;
	unsigned i;

	for (i = 0; i < 64; i++)
		bits |= (uint64_t)((uint8_t)at[i] <= '\r') << i;
	return bits;
}
#endif

/** The first of 16 bytes that is `byte`; 16: none. */
static inline unsigned find_in_16(const char *at, char byte)
{
#if defined(__SSE2__)
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
	unsigned bits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(byte)));

	return bit_first(bits | 0x10000u);
#else
	unsigned i = 0;

	while (i < 16 && at[i] != byte)
		i++;
	return i;
#endif
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

/** A walk over the bytes of a message that are CR or below, 64 bytes a step. */
struct stops {
	const char *block, *next, *end; /* looked at; to be looked at; the end of all */
	uint64_t bits;                  /* of `block`, those not yet given */
	bool roomy;                     /* 64 bytes or more in all */
};

static inline void stops_init(struct stops *stops, const char *at, const char *end)
{
	*stops = (struct stops){ at, at, end, 0, end - at >= 64 };
}

/** The last block is shorter: the 64 bytes that end with it, or byte by byte. */
static inline uint64_t stops_of_tail(const struct stops *stops)
{
	size_t len = (size_t)(stops->end - stops->next), i;
	uint64_t bits = 0;

	if (stops->roomy)
		return stops_of_64(stops->end - 64) >> (64 - len);
	for (i = 0; i < len; i++)
		bits |= (uint64_t)((uint8_t)stops->next[i] <= '\r') << i;
	return bits;
}

/** The next one; `end` when there is none. */
static inline const char *stops_next(struct stops *stops)
{
	const char *at;

	while (!stops->bits) {
		if (stops->next == stops->end)
			return stops->end;
		stops->block = stops->next;
		if (stops->end - stops->next >= 64) {
			stops->bits = stops_of_64(stops->next);
			stops->next += 64;
		} else {
			stops->bits = stops_of_tail(stops);
			stops->next = stops->end;
		}
	}
	at = stops->block + bit_first(stops->bits);
	stops->bits &= stops->bits - 1;
	return at;
}

/* ---- the names of header fields -------------------------------------------------------- */

/** Eight bytes as a number, in the order of memory. */
static inline uint64_t word_load(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/** The first `len` bytes of a word, 1 to 8; the others 0. */
static inline uint64_t word_first(uint64_t word, size_t len)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word & UINT64_MAX >> (64 - 8 * len);
#else
	return word & UINT64_MAX << (64 - 8 * len);
#endif
}

#define NAME_BYTES_MAX   24u /* of the header field names that are known; header.c checks it */
#define HEADER_SLOT_BITS 9u
#define HEADER_SLOTS     (1u << HEADER_SLOT_BITS)

/** A name as three words, and the bits that count: not the case of letters (§7.3.1), nothing behind
 * the name. */
struct known_name {
	uint64_t word[NAME_BYTES_MAX / 8], mask[NAME_BYTES_MAX / 8];
	size_t len, unused;
};

extern struct known_name known_names[STW_HEADERS];
extern uint8_t header_slots[HEADER_SLOTS]; /* index of `known_names`, open addressing; 0: free */
extern uint8_t header_compacts[256];

/** Multipliers that bring all names of today's list into slots of their own. */
static inline unsigned name_slot(const char *name, size_t len)
{
	const uint64_t fold = UINT64_C(0x2020202020202020);
	uint64_t sum = len * UINT64_C(0x9892139600ddb74d);

	if (len <= 8)
		return (unsigned)((sum + word_first(word_load(name) | fold, len) *
						  UINT64_C(0xb52a43abad8d194b)) >>
				  (64 - HEADER_SLOT_BITS));
	sum += (word_load(name) | fold) * UINT64_C(0xb52a43abad8d194b);
	sum += word_first(word_load(name + 8) | fold, len < 16 ? len - 8 : 8) *
	       UINT64_C(0x10e6d8e6568068b9);
	return (unsigned)(sum >> (64 - HEADER_SLOT_BITS));
}

static inline bool name_is(const char *name, size_t len, const struct known_name *known)
{
	if (len != known->len || ((word_load(name) ^ known->word[0]) & known->mask[0]))
		return false;
	if (len <= 8)
		return true;
	return !((word_load(name + 8) ^ known->word[1]) & known->mask[1]) &&
	       !((word_load(name + 16) ^ known->word[2]) & known->mask[2]);
}

/** The header field of a name of `len` bytes, 1 to NAME_BYTES_MAX, all of which may be read. */
static inline enum stw_header header_of_name(const char *name, size_t len)
{
	unsigned slot, header;

	if (len == 1)
		return (enum stw_header)header_compacts[(uint8_t)name[0]];
	slot = name_slot(name, len);
	while ((header = header_slots[slot]) && !name_is(name, len, &known_names[header]))
		slot = (slot + 1) % HEADER_SLOTS;
	return (enum stw_header)header;
}

#endif
