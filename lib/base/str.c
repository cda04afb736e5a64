/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <errno.h>
#include <string.h>

#include "internal.h"

/* Mostly the case is the same. */
static inline bool words_equal_nocase(uint64_t x, uint64_t y)
{
	return x == y || word_fold(x) == word_fold(y);
}

bool stw_str_equal_nocase(struct stw_str a, struct stw_str b)
{
	const unsigned char *x = (const unsigned char *)a.ptr, *y = (const unsigned char *)b.ptr;
	size_t left = a.len;

	if (a.len != b.len)
		return false;
	for (; left >= 8; left -= 8, x += 8, y += 8) {
		if (!words_equal_nocase(word_load(x), word_load(y)))
			return false;
	}
	return left == 0 || words_equal_nocase(word_load_rest(x, left), word_load_rest(y, left));
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
