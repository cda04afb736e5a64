/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STW_MEDIA_INTERNAL_H
#define STW_MEDIA_INTERNAL_H

#include <strowger/media.h>

/* Numbers in the order of the network. */
static inline uint16_t get16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

static inline uint32_t get32(const uint8_t *from)
{
	return (uint32_t)get16(from) << 16 | get16(from + 2);
}

static inline void put16(uint8_t *to, unsigned number)
{
	to[0] = (uint8_t)(number >> 8);
	to[1] = (uint8_t)number;
}

static inline void put32(uint8_t *to, uint32_t number)
{
	put16(to, number >> 16);
	put16(to + 2, number & 0xffff);
}

#endif
