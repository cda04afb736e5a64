/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <errno.h>
#include <string.h>

#include "internal.h"

struct stw_str stw_str_from(const char *text)
{
	return text ? (struct stw_str){ text, strlen(text) } : STW_STR_NONE;
}

bool stw_str_equal(struct stw_str a, struct stw_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool stw_str_equal_nocase(struct stw_str a, struct stw_str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (ascii_lower((unsigned char)a.ptr[i]) != ascii_lower((unsigned char)b.ptr[i]))
			return false;
	}
	return true;
}

bool stw_str_starts(struct stw_str text, struct stw_str prefix)
{
	return text.len >= prefix.len && stw_str_equal(stw_str_cut(text, 0, prefix.len), prefix);
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct stw_str stw_str_trim(struct stw_str text)
{
	while (text.len && is_blank(text.ptr[text.len - 1]))
		text.len--;
	while (text.len && is_blank(text.ptr[0])) {
		text.ptr++;
		text.len--;
	}
	return text;
}

size_t stw_str_find(struct stw_str text, char byte, size_t from)
{
	const char *found;

	if (from >= text.len)
		return text.len;
	found = memchr(text.ptr + from, byte, text.len - from);
	return found ? (size_t)(found - text.ptr) : text.len;
}

struct stw_str stw_str_cut(struct stw_str text, size_t from, size_t to)
{
	if (to > text.len)
		to = text.len;
	if (from > to)
		from = to;
	/* No arithmetic on the NULL of an empty text. */
	return (struct stw_str){ from ? text.ptr + from : text.ptr, to - from };
}

/* Numbers so long that they might not fit; most of them are zeros. */
static int long_to_uint(struct stw_str text, uint64_t max, uint64_t *ret)
{
	uint64_t number = 0;
	bool above = false;

	for (size_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)((unsigned char)text.ptr[i] - '0');

		if (digit > 9)
			return -EBADMSG;
		if (digit > max || number > (max - digit) / 10)
			above = true;
		if (!above)
			number = number * 10 + digit;
	}
	if (above)
		return -ERANGE;
	*ret = number;
	return 0;
}

int stw_str_to_uint(struct stw_str text, uint64_t max, uint64_t *ret)
{
	uint64_t number = 0;

	if (text.len == 0)
		return -EBADMSG;
	if (text.len > 19) /* 19 digits fit in 64 bits */
		return long_to_uint(text, max, ret);
	for (size_t i = 0; i < text.len; i++) {
		uint64_t digit = (uint64_t)((unsigned char)text.ptr[i] - '0');

		if (digit > 9)
			return -EBADMSG;
		number = number * 10 + digit;
	}
	if (number > max)
		return -ERANGE;
	*ret = number;
	return 0;
}
