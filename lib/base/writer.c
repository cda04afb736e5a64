/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for `len` more bytes, already counted as written; NULL when they do not fit. */
static inline char *writer_extend(struct stw_writer *writer, size_t len)
{
	char *at = writer->ptr;

	if (len > writer->capacity - writer->len) {
		writer->overflow = true;
		return NULL;
	}
	at += writer->len;
	writer->len += len;
	return at;
}

static size_t digits_of(uint64_t number)
{
	size_t n = 1;

	for (; number >= 1000; number /= 1000)
		n += 3;
	return n + (number >= 10) + (number >= 100);
}

void stw_write_uint(struct stw_writer *writer, uint64_t number)
{
	size_t len = digits_of(number);
	char *at = writer_extend(writer, len);

	if (!at)
		return;
	while (len > 0) {
		at[--len] = (char)('0' + number % 10);
		number /= 10;
	}
}

/* Four bytes, the first of them the lowest, as eight digits in the same order. */
static inline uint64_t hex_of_4(uint32_t bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t wide = bytes, above_9;

	wide = (wide | wide << 16) & UINT64_C(0x0000ffff0000ffff);
	wide = (wide | wide << 8) & UINT64_C(0x00ff00ff00ff00ff);
	wide = (wide >> 4 | wide << 8) & (ones * 15);
	above_9 = (wide + ones * 6) >> 4 & ones;
	return wide + ones * '0' + above_9 * ('a' - '0' - 10);
}

void stw_write_hex(struct stw_writer *writer, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *from = bytes;
	uint64_t word;
	uint32_t four;
	char *at;

	if (len > SIZE_MAX / 2) {
		writer->overflow = true;
		return;
	}
	at = len ? writer_extend(writer, 2 * len) : NULL;
	if (!at)
		return;
	for (; len >= sizeof(four); len -= sizeof(four), from += sizeof(four)) {
		memcpy(&four, from, sizeof(four));
		word = htole64(hex_of_4(le32toh(four)));
		memcpy(at, &word, sizeof(word));
		at += sizeof(word);
	}
	for (; len > 0; len--, from++) {
		*at++ = digits[*from >> 4];
		*at++ = digits[*from & 15];
	}
}

/* The NUL of printf must not cost a byte of the buffer: what fills it exactly comes by a copy. */
STW_PRINTF(2, 0)
static int format_exact(struct stw_writer *writer, const char *format, va_list args)
{
	char *text;
	int len = vasprintf(&text, format, args);

	if (len < 0)
		return -ENOMEM;
	stw_write_str(writer, (struct stw_str){ text, (size_t)len });
	free(text);
	return 0;
}

void stw_write_format(struct stw_writer *writer, const char *format, ...)
{
	size_t room = writer->capacity - writer->len;
	va_list args, again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(room ? writer->ptr + writer->len : NULL, room, format, args);
	if (len >= 0 && (size_t)len < room)
		writer->len += (size_t)len;
	else if (len < 0 || (size_t)len > room || format_exact(writer, format, again) < 0)
		writer->overflow = true;
	va_end(again);
	va_end(args);
}
