/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>

#include "marks.h"

/* The rules of RFC 3261 §25.1 as expressions of a byte; the compiler makes a table of them. */
#define IN(c, from, to) ((c) >= (from) && (c) <= (to))
#define DIGIT(c)        IN(c, '0', '9')
#define ALPHA(c)        (IN(c, 'a', 'z') || IN(c, 'A', 'Z'))
#define ALPHANUM(c)     (ALPHA(c) || DIGIT(c))
#define HEXDIG(c)       (DIGIT(c) || IN(c, 'a', 'f') || IN(c, 'A', 'F'))
#define MARK(c)                                                                                    \
	((c) == '-' || (c) == '_' || (c) == '.' || (c) == '!' || (c) == '~' || (c) == '*' ||       \
		(c) == '\'' || (c) == '(' || (c) == ')')
#define UNRESERVED(c) (ALPHANUM(c) || MARK(c))
#define RESERVED(c)                                                                                \
	((c) == ';' || (c) == '/' || (c) == '?' || (c) == ':' || (c) == '@' || (c) == '&' ||       \
		(c) == '=' || (c) == '+' || (c) == '$' || (c) == ',')
#define TOKEN(c)                                                                                   \
	(ALPHANUM(c) || (c) == '-' || (c) == '.' || (c) == '!' || (c) == '%' || (c) == '*' ||      \
		(c) == '_' || (c) == '+' || (c) == '`' || (c) == '\'' || (c) == '~')
#define WORD(c)                                                                                    \
	(TOKEN(c) || (c) == '(' || (c) == ')' || (c) == '<' || (c) == '>' || (c) == ':' ||         \
		(c) == '\\' || (c) == '"' || (c) == '/' || (c) == '[' || (c) == ']' ||             \
		(c) == '?' || (c) == '{' || (c) == '}')
#define PASSWORD(c)                                                                                \
	(UNRESERVED(c) || (c) == '&' || (c) == '=' || (c) == '+' || (c) == '$' || (c) == ',')
/* "#" is not in the grammar, but some telephones dial "sip:*21#@…" without escaping it. */
#define USER(c) (PASSWORD(c) || (c) == ';' || (c) == '?' || (c) == '/' || (c) == '#')
#define PARAM(c)                                                                                   \
	(UNRESERVED(c) || (c) == '[' || (c) == ']' || (c) == '/' || (c) == ':' || (c) == '&' ||    \
		(c) == '+' || (c) == '$')
#define HEADER(c)                                                                                  \
	(UNRESERVED(c) || (c) == '[' || (c) == ']' || (c) == '/' || (c) == '?' || (c) == ':' ||    \
		(c) == '+' || (c) == '$')
/* "[" and "]" for the IPv6 references that RFC 3986 §3.2.2 brought. */
#define URIC(c)   (RESERVED(c) || UNRESERVED(c) || (c) == '[' || (c) == ']')
#define SCHEME(c) (ALPHANUM(c) || (c) == '+' || (c) == '-' || (c) == '.')
/* gen-value is token / host; senders also leave paramchars, "=", "@" and UTF-8 unquoted. */
#define VALUE(c)                                                                                   \
	((TOKEN(c) || PARAM(c) || (c) == '=' || (c) == '@' || (c) == '?' || (c) == '{' ||          \
		(c) == '}' || (c) == '|' || (c) == '^' || (c) == '#' || (c) >= 0x80))
/* *(token LWS); senders also leave UTF-8 unquoted. */
#define DISPLAY(c) (TOKEN(c) || (c) >= 0x80)
#define LABEL(c)   (ALPHANUM(c) || (c) == '-' || (c) == '_')
#define LWS(c)     ((c) == ' ' || (c) == '\t' || (c) == '\r' || (c) == '\n')

#define CLASS(c)                                                                                   \
	((DIGIT(c) ? CHAR_DIGIT : 0) | (ALPHA(c) ? CHAR_ALPHA : 0) | (HEXDIG(c) ? CHAR_HEX : 0) |  \
		(TOKEN(c) ? CHAR_TOKEN : 0) | (WORD(c) ? CHAR_WORD : 0) |                          \
		(USER(c) ? CHAR_USER : 0) | (PASSWORD(c) ? CHAR_PASSWORD : 0) |                    \
		(PARAM(c) ? CHAR_PARAM : 0) | (HEADER(c) ? CHAR_HEADER : 0) |                      \
		(URIC(c) ? CHAR_URIC : 0) | (SCHEME(c) ? CHAR_SCHEME : 0) |                        \
		(VALUE(c) ? CHAR_VALUE : 0) | (DISPLAY(c) ? CHAR_DISPLAY : 0) |                    \
		(RESERVED(c) ? CHAR_RESERVED : 0) | (LWS(c) ? CHAR_LWS : 0) |                      \
		(LABEL(c) ? CHAR_LABEL : 0))
#define LOWER(c) (uint8_t)(IN(c, 'A', 'Z') ? (c) + ('a' - 'A') : (c))

#define EACH4(X, c)  X(c), X((c) + 1), X((c) + 2), X((c) + 3)
#define EACH16(X, c) EACH4(X, c), EACH4(X, (c) + 4), EACH4(X, (c) + 8), EACH4(X, (c) + 12)
#define EACH64(X, c) EACH16(X, c), EACH16(X, (c) + 16), EACH16(X, (c) + 32), EACH16(X, (c) + 48)
#define EACH256(X)   EACH64(X, 0), EACH64(X, 64), EACH64(X, 128), EACH64(X, 192)

const uint16_t stw_char_class[256] = { EACH256(CLASS) };
const uint8_t stw_char_lower[256] = { EACH256(LOWER) };

struct block block_at(const char *base, const char *end)
{
	return block_of(base, end);
}

struct marks_rest marks_more(const char *base, const char *end)
{
	struct marks_rest rest = { base, 0 };

	while (!rest.bits && end - rest.base > 64) {
		rest.base += 64;
		rest.bits = block_of(rest.base, end).bits;
	}
	return rest;
}

size_t stw_lws_length(struct stw_str text, size_t at)
{
	size_t start = at;

	for (;;) {
		while (at < text.len && (text.ptr[at] == ' ' || text.ptr[at] == '\t'))
			at++;
		if (at + 2 >= text.len || text.ptr[at] != '\r' || text.ptr[at + 1] != '\n')
			return at - start;
		if (text.ptr[at + 2] != ' ' && text.ptr[at + 2] != '\t')
			return at - start;
		at += 3;
	}
}

bool stw_is_token(struct stw_str text)
{
	return text.len && char_run(text, 0, CHAR_TOKEN) == text.len;
}

unsigned char_hex(char byte)
{
	return char_is(byte, CHAR_DIGIT) ? (unsigned)(byte - '0')
					 : (unsigned)(char_lower(byte) - 'a') + 10;
}

const char *escaped_run_end(const char *at, const char *end, unsigned classes)
{
	for (;;) {
		at = run_end(at, end, classes);
		if (end - at < 3 || *at != '%' || !char_is(at[1], CHAR_HEX) ||
			!char_is(at[2], CHAR_HEX))
			return at;
		at += 3;
	}
}

size_t escaped_run(struct stw_str text, size_t at, unsigned classes)
{
	if (at >= text.len)
		return 0;
	return (size_t)(escaped_run_end(text.ptr + at, text.ptr + text.len, classes) - text.ptr) -
	       at;
}

/* qdtext and quoted-pair: any byte may follow a backslash but CR and LF. Line ends are judged when
 * the message is indexed, so that a CR or LF in here belongs to a fold. */
size_t quoted_length(struct stw_str text, size_t at)
{
	size_t start = at, len;

	if (!char_at(text, at, '"'))
		return 0;
	for (at++; at < text.len; at++) {
		if (text.ptr[at] == '"')
			return at + 1 - start;
		if (text.ptr[at] == '\\')
			at++;
		if (!char_at(text, at, '\r'))
			continue;
		len = stw_lws_length(text, at);
		if (!len)
			return 0;
		at += len - 1; /* all folds at once: each looks at those behind it */
	}
	return 0;
}

int stw_unescape(struct stw_str text, char *buffer)
{
	size_t at = 0, written = 0;

	while (at < text.len) {
		if (text.ptr[at] != '%') {
			buffer[written++] = text.ptr[at++];
			continue;
		}
		if (text.len - at < 3 || !char_is(text.ptr[at + 1], CHAR_HEX) ||
			!char_is(text.ptr[at + 2], CHAR_HEX))
			return -EBADMSG;
		buffer[written++] =
			(char)(char_hex(text.ptr[at + 1]) << 4 | char_hex(text.ptr[at + 2]));
		at += 3;
	}
	return (int)written;
}
