/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

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

void stw_write_uint(struct stw_writer *writer, uint64_t number)
{
	uint64_t rest = number;
	size_t len = 1;
	char *at;

	while (rest >= 10) {
		rest /= 10;
		len++;
	}
	at = writer_extend(writer, len);
	while (at && len--) {
		at[len] = (char)('0' + number % 10);
		number /= 10;
	}
}

void stw_write_hex(struct stw_writer *writer, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *from = bytes;
	char *at;

	if (len > SIZE_MAX / 2) {
		writer->overflow = true;
		return;
	}
	at = len ? writer_extend(writer, 2 * len) : NULL;
	for (size_t i = 0; at && i < len; i++) {
		*at++ = digits[from[i] >> 4];
		*at++ = digits[from[i] & 15];
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
