/* SPDX-License-Identifier: Apache-2.0 */
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct stw_str print_list(struct scenario *s, const char *format, va_list args)
	STW_PRINTF(2, 0);

static struct stw_str print_list(struct scenario *s, const char *format, va_list args)
{
	char *text = NULL;
	struct stw_str ret;
	int len = vasprintf(&text, format, args);

	if (len < 0)
		abort();
	ret = keep(s, (struct stw_str){ text, (size_t)len });
	free(text);
	return ret;
}

struct stw_str keep(struct scenario *s, struct stw_str text)
{
	struct stw_str ret;

	if (stw_arena_copy(&s->arena, text, &ret) < 0)
		abort();
	return ret;
}

struct stw_str print(struct scenario *s, const char *format, ...)
{
	struct stw_str ret;
	va_list args;

	va_start(args, format);
	ret = print_list(s, format, args);
	va_end(args);
	return ret;
}

void *make(struct scenario *s, size_t bytes)
{
	void *ret = stw_arena_zalloc(&s->arena, bytes);

	if (!ret)
		abort();
	return ret;
}

int fail(struct scenario *s, const char *format, ...)
{
	va_list args;

	if (s->failed)
		return -1;
	s->failed = true;
	va_start(args, format);
	s->failure = print_list(s, format, args);
	va_end(args);
	return -1;
}

void tell(struct scenario *s, const char *format, ...)
{
	uint64_t ms = s->now.mono_ms % 100000000;
	struct stw_str text;
	va_list args;

	if (!s->verbose)
		return;
	va_start(args, format);
	text = print_list(s, format, args);
	va_end(args);
	printf("%6llu.%03llu  %.*s\n", (unsigned long long)(ms / 1000),
		(unsigned long long)(ms % 1000), STW_STR_ARG(text));
}

static size_t quoted_end(struct stw_str text, size_t at)
{
	char quote = text.ptr[at++];

	while (at < text.len && text.ptr[at] != quote)
		at += text.ptr[at] == '\\' && at + 1 < text.len ? 2 : 1;
	return at < text.len ? at + 1 : text.len;
}

/* A quote opens only where a word begins: "it's" has none. */
static bool is_quote(struct stw_str text, size_t at)
{
	char before = at ? text.ptr[at - 1] : ' ';

	return text.ptr[at] == '"' ||
	       (text.ptr[at] == '\'' &&
		       (before == ' ' || before == '=' || before == '~' || before == ':'));
}

bool next_word(struct stw_str *text, struct stw_str *ret)
{
	size_t at = 0;

	*text = stw_str_trim(*text);
	*ret = STW_STR_NONE;
	if (!text->len)
		return false;
	while (at < text->len && text->ptr[at] != ' ' && text->ptr[at] != '\t')
		at = is_quote(*text, at) ? quoted_end(*text, at) : at + 1;
	*ret = stw_str_cut(*text, 0, at);
	*text = stw_str_trim(stw_str_cut(*text, at, text->len));
	return true;
}

bool next_item(struct stw_str *text, char separator, struct stw_str *ret)
{
	size_t at = 0;
	int depth = 0;

	*text = stw_str_trim(*text);
	*ret = STW_STR_NONE;
	if (!text->len)
		return false;
	while (at < text->len && (depth || text->ptr[at] != separator)) {
		if (is_quote(*text, at)) {
			at = quoted_end(*text, at);
			continue;
		}
		depth += strchr("[<{", text->ptr[at]) && at + 1 < text->len &&
			 text->ptr[at + 1] != ' ';
		depth -= strchr("]>}", text->ptr[at]) && depth > 0;
		at++;
	}
	*ret = stw_str_trim(stw_str_cut(*text, 0, at));
	*text = stw_str_cut(*text, at + 1, text->len);
	return true;
}

bool is_word(struct stw_str text, const char *word)
{
	return stw_str_equal(text, stw_str_from(word));
}

int next_duration(struct stw_str *text, uint64_t *ret_ms)
{
	struct stw_str word, unit;
	size_t digits = 0;
	uint64_t number;

	if (!next_word(text, &word))
		return -EBADMSG;
	while (digits < word.len && word.ptr[digits] >= '0' && word.ptr[digits] <= '9')
		digits++;
	if (stw_str_to_uint(stw_str_cut(word, 0, digits), 1000000000, &number) < 0)
		return -EBADMSG;
	unit = stw_str_cut(word, digits, word.len);
	if (!unit.len && !next_word(text, &unit))
		return -EBADMSG;
	if (is_word(unit, "ms"))
		*ret_ms = number;
	else if (is_word(unit, "s"))
		*ret_ms = number * 1000;
	else if (is_word(unit, "min"))
		*ret_ms = number * 60000;
	else if (is_word(unit, "h"))
		*ret_ms = number * 3600000;
	else
		return -EBADMSG;
	return 0;
}

struct stw_str unquoted(struct stw_str text)
{
	if (text.len >= 2 && (text.ptr[0] == '"' || text.ptr[0] == '\'') &&
		quoted_end(text, 0) == text.len)
		return stw_str_cut(text, 1, text.len - 1);
	return text;
}

bool contains(struct stw_str text, struct stw_str part)
{
	return !part.len || (text.len && memmem(text.ptr, text.len, part.ptr, part.len));
}

int address_read(struct stw_str text, struct stw_addr *ret)
{
	size_t at = text.len;
	uint64_t port = 5060;

	while (at > 0 && text.ptr[at - 1] >= '0' && text.ptr[at - 1] <= '9')
		at--;
	if (at > 1 && text.ptr[at - 1] == ':' && (text.ptr[0] != '[' || text.ptr[at - 2] == ']')) {
		if (stw_str_to_uint(stw_str_cut(text, at, text.len), 65535, &port) < 0)
			return -EBADMSG;
		text = stw_str_cut(text, 0, at - 1);
	}
	return stw_addr_from_host(text, (uint16_t)port, ret);
}
