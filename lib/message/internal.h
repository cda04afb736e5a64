/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the message layer: character classes of RFC 3261 §25.1 and small readers. */
#ifndef STW_MESSAGE_INTERNAL_H
#define STW_MESSAGE_INTERNAL_H

#include <string.h>
#include <strowger/message.h>

/* Classes of stw_char_class[]; the rule of §25.1 each stands for. */
enum {
	CHAR_DIGIT = 1u << 0,
	CHAR_ALPHA = 1u << 1,
	CHAR_HEX = 1u << 2,
	CHAR_TOKEN = 1u << 3,
	CHAR_WORD = 1u << 4, /* word of Call-ID */
	CHAR_USER = 1u << 5, /* unreserved / user-unreserved */
	CHAR_PASSWORD = 1u << 6,
	CHAR_PARAM = 1u << 7,  /* paramchar of a URI, without escaped */
	CHAR_HEADER = 1u << 8, /* hname, hvalue of a URI, without escaped */
	CHAR_URIC = 1u << 9,   /* uric, without escaped */
	CHAR_SCHEME = 1u << 10,
	CHAR_VALUE = 1u << 11,    /* unquoted value of a header parameter, see lexer.c */
	CHAR_DISPLAY = 1u << 12,  /* unquoted display-name, see lexer.c */
	CHAR_RESERVED = 1u << 13, /* reserved of RFC 2396 §2.2 */
	CHAR_LWS = 1u << 14,      /* SP, HTAB and the CR LF of a fold */
	CHAR_LABEL = 1u << 15,    /* of a label of a hostname, see host.c */
	CHAR_ALPHANUM = CHAR_ALPHA | CHAR_DIGIT,
};

/** As stw_header_flags(). */
extern const uint8_t header_flags[STW_HEADERS];
extern const uint16_t stw_char_class[256];
extern const uint8_t stw_char_lower[256];

static inline bool char_is(char byte, unsigned classes)
{
	return stw_char_class[(uint8_t)byte] & classes;
}

static inline char char_lower(char byte)
{
	return (char)stw_char_lower[(uint8_t)byte];
}

/** The end of the run of such bytes that starts at `at`; four a step. */
static inline const char *run_end(const char *at, const char *end, unsigned classes)
{
	for (; end - at >= 4; at += 4) {
		if (!char_is(at[0], classes))
			return at;
		if (!char_is(at[1], classes))
			return at + 1;
		if (!char_is(at[2], classes))
			return at + 2;
		if (!char_is(at[3], classes))
			return at + 3;
	}
	while (at < end && char_is(*at, classes))
		at++;
	return at;
}

/** Length of the run of such bytes that starts at `at`. */
static inline size_t char_run(struct stw_str text, size_t at, unsigned classes)
{
	if (at >= text.len) /* no arithmetic on the NULL of an empty text */
		return 0;
	return (size_t)(run_end(text.ptr + at, text.ptr + text.len, classes) - text.ptr) - at;
}

/** Without the case of letters: a byte that becomes the letter or "-" of a word was one. */
static inline __attribute__((always_inline)) uint64_t word_fold(const char *at, size_t len)
{
	uint64_t word = 0;

	memcpy(&word, at, len);
	return word | UINT64_C(0x2020202020202020);
}

/** Is `name`, a token, this word of up to 8 bytes, which is in lower-case letters? Without case. */
static inline __attribute__((always_inline)) bool name_is_word(
	struct stw_str name, const char *word, size_t len)
{
	if (name.len != len)
		return false;
	if (len <= 2)
		return (name.ptr[0] | 0x20) == word[0] && (name.ptr[1] | 0x20) == word[1];
	if (len <= 4)
		return word_fold(name.ptr, 2) == word_fold(word, 2) &&
		       word_fold(name.ptr + len - 2, 2) == word_fold(word + len - 2, 2);
	return word_fold(name.ptr, 4) == word_fold(word, 4) &&
	       word_fold(name.ptr + len - 4, 4) == word_fold(word + len - 4, 4);
}

static inline bool char_at(struct stw_str text, size_t at, char byte)
{
	return at < text.len && text.ptr[at] == byte;
}

/** The part [from, to), which the caller knows to be within the text; of absent text it is absent.
 */
static inline struct stw_str str_part(struct stw_str text, size_t from, size_t to)
{
	return (struct stw_str){ text.ptr ? text.ptr + from : NULL, to - from };
}

static inline struct stw_str str_none(void)
{
	return (struct stw_str){ NULL, 0 };
}

/** `at`, moved over LWS. */
static inline size_t lws_skip(struct stw_str text, size_t at)
{
	if (at + 1 < text.len && text.ptr[at] == ' ' && !char_is(text.ptr[at + 1], CHAR_LWS))
		return at + 1;
	if (at < text.len && char_is(text.ptr[at], CHAR_LWS))
		at += stw_lws_length(text, at);
	return at;
}

/** The byte behind LWS. */
static inline const char *lws_end(const char *at, const char *end)
{
	if (at == end || !char_is(*at, CHAR_LWS))
		return at;
	if (*at == ' ' && at + 1 < end && !char_is(at[1], CHAR_LWS))
		return at + 1;
	return at + stw_lws_length((struct stw_str){ at, (size_t)(end - at) }, 0);
}

/** As stw_str_to_uint(), inlined for up to nine digits. */
static inline __attribute__((always_inline)) int uint_read(
	struct stw_str text, uint64_t max, uint64_t *ret)
{
	uint32_t number = 0, digit;
	size_t at;

	for (at = 0; at < text.len && (digit = (uint32_t)(text.ptr[at] - '0')) <= 9; at++)
		number = number * 10 + digit;
	if (at - 1 >= 9 || at < text.len || number > max)
		return stw_str_to_uint(text, max, ret);
	*ret = number;
	return 0;
}

/** Without LWS at both ends; stays within the text. */
static inline struct stw_str str_trim_lws(struct stw_str text)
{
	while (text.len && char_is(text.ptr[text.len - 1], CHAR_LWS))
		text.len--;
	while (text.len && char_is(text.ptr[0], CHAR_LWS)) {
		text.ptr++;
		text.len--;
	}
	return text;
}

/** As stw_method_from(): length and first letter leave one candidate. Methods are case-sensitive
 * (RFC 3261 §7.1). */
static inline __attribute__((always_inline)) enum stw_method method_from(struct stw_str token)
{
#define KEY(len, letter) ((len) << 8 | (letter))
#define IF(name)                                                                                   \
	return memcmp(token.ptr, #name, sizeof(#name) - 1) ? STW_METHOD_UNKNOWN : STW_METHOD_##name
	if (token.len < 3 || token.len > 9)
		return STW_METHOD_UNKNOWN;
	/* clang-format off */
	switch (KEY(token.len, (size_t)(uint8_t)token.ptr[0])) {
	case KEY(3, 'A'): IF(ACK);
	case KEY(3, 'B'): IF(BYE);
	case KEY(4, 'I'): IF(INFO);
	case KEY(5, 'P'): IF(PRACK);
	case KEY(5, 'R'): IF(REFER);
	case KEY(6, 'I'): IF(INVITE);
	case KEY(6, 'C'): IF(CANCEL);
	case KEY(6, 'N'): IF(NOTIFY);
	case KEY(6, 'U'): IF(UPDATE);
	case KEY(7, 'O'): IF(OPTIONS);
	case KEY(7, 'P'): IF(PUBLISH);
	case KEY(7, 'M'): IF(MESSAGE);
	case KEY(8, 'R'): IF(REGISTER);
	case KEY(9, 'S'): IF(SUBSCRIBE);
	default: return STW_METHOD_UNKNOWN;
	}
	/* clang-format on */
#undef IF
#undef KEY
}

/** Value of a hexadecimal digit; the caller knows that it is one. */
unsigned char_hex(char byte);
/** As run_end(), with well-formed "%HH" among the bytes. */
const char *escaped_run_end(const char *at, const char *end, unsigned classes);
/** As char_run(), with well-formed "%HH" among the bytes. */
size_t escaped_run(struct stw_str text, size_t at, unsigned classes);
/** Bytes of the quoted-string at `at`, both quotes counted; 0 when there is none or it is not
 * closed. */
size_t quoted_length(struct stw_str text, size_t at);
/** IPv6address of RFC 3261 §25.1 without brackets. @return 0, -EBADMSG */
int ipv6_parse(struct stw_str text, uint8_t ret_bytes[16]);
/** What hostport_read() found. */
struct hostport {
	struct stw_str host;
	enum stw_host_kind kind;
	uint16_t port; /* 0: none given */
};
/** hostport of a URI or sent-by of a Via at `at`; with `lws`, LWS may surround the colon. @return
 * the byte behind, NULL when there is none */
const char *hostport_read(const char *at, const char *end, bool lws, struct hostport *ret);
/* Comparing two URIs looks at each pair of their parameters. */
#define URI_PARTS_MAX 64
/** userinfo = ( user / telephone-subscriber ) [ ":" password ] "@", without the "@". @return 0,
 * -EBADMSG */
int userinfo_parse(struct stw_str text, struct stw_uri *uri);
/** Record a fault unless a graver one, or an earlier one as grave, stands there (F4–F9). */
void fault_note(const struct stw_msg *msg, struct stw_fault *fault, size_t offset,
	enum stw_header header, const struct stw_cause *cause);

#endif
