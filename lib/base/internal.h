/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/base. */
#ifndef STW_BASE_INTERNAL_H
#define STW_BASE_INTERNAL_H

static inline unsigned char ascii_lower(unsigned char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + ('a' - 'A')) : byte;
}

#endif
