/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the message layer: the usual forms of URIs and of parameters, read from mark to mark.
 * What is accepted here the general readers accept, with the same result; all else is theirs. */
#ifndef STW_MESSAGE_USUAL_H
#define STW_MESSAGE_USUAL_H

#include "marks.h"

/** Is [at, at + len) an IPv4address (§25.1)? `end`: of the text, which is of MARKS_BYTES_MIN or
 * more. */
bool usual_ipv4(const char *at, size_t len, const char *end);

/** The host [at, end) before the mark `end`: an IPv4address, or labels in which no "-" or "." is
 * beside another or at an end, the last of which starts with a letter. The joints of its block are
 * known. */
static INLINE bool usual_host(
	const struct marks *marks, const char *at, const char *end, enum stw_host_kind *ret)
{
	size_t start = (size_t)(at - marks->base), len = (size_t)(end - at);
	const char *last = at;
	uint64_t joints;

	/* All ones when they are not known: a host of more bytes than a block has. */
	joints = marks->joints >> (start & 63);
	if (at == end || (joints & 1))
		return false;
	joints <<= (64 - len) & 63; /* the last byte is the highest bit */
	if ((int64_t)joints < 0 || (joints & joints << 1))
		return false;
	if (LIKELY(joints))
		last = end - __builtin_clzll(joints);
	*ret = STW_HOST_NAME;
	if (LIKELY(char_is(*last, CHAR_ALPHA)))
		return true;
	*ret = STW_HOST_IPV4;
	return usual_ipv4(at, len, marks->end);
}

/** The number that four digits are, as bytes in order of place; UINT32_MAX: these are no digits. */
static INLINE uint32_t number_of_4(const char *at)
{
	uint32_t word = (uint32_t)word_read(at, 4) ^ UINT32_C(0x30303030);

	if ((word | (word + UINT32_C(0x06060606))) & UINT32_C(0xf0f0f0f0))
		return UINT32_MAX;
	word = word * 10 + (word >> 8);
	return (word & 0xff) * 100 + (word >> 16 & 0xff);
}

/** 1*5DIGIT [at, end). @return 65536 or more: it is none */
static INLINE uint32_t usual_number(const char *at, const char *end)
{
	uint32_t number = 0, digit;

	if (at == end || end - at > 5)
		return UINT32_MAX;
	if (end - at >= 4) {
		number = number_of_4(at);
		if (number == UINT32_MAX)
			return UINT32_MAX;
		at += 4;
	}
	for (; at < end; at++) {
		digit = (uint32_t)(*at - '0');
		if (digit > 9)
			return UINT32_MAX;
		number = number * 10 + digit;
	}
	return number;
}

/** hostport before a mark that is none of its own, which is returned; NULL: not of this form. */
static INLINE const char *usual_hostport(struct marks *marks, const char *at,
	struct stw_str *ret_host, enum stw_host_kind *ret_kind, uint16_t *ret_port)
{
	struct block block;
	const char *end;
	uint32_t port;

	/* A block of its own when it is not within this one. */
	if (UNLIKELY(marks->joints == JOINTS_UNKNOWN ||
		     (!marks->bits && marks->end - marks->base > 64))) {
		block = block_at(at, marks->end);
		marks->base = at;
		marks->bits = block.bits;
		marks->joints = block.joints;
	}
	end = mark_next(marks);
	if (!usual_host(marks, at, end, ret_kind))
		return NULL;
	*ret_host = (struct stw_str){ at, (size_t)(end - at) };
	*ret_port = 0;
	if (marks->byte != ':')
		return end;
	at = end + 1;
	end = mark_next(marks);
	port = usual_number(at, end);
	*ret_port = (uint16_t)port;
	return port - 1 < UINT16_MAX ? end : NULL;
}

/** userinfo and its "@", if there are any. @return where hostport starts; NULL: malformed */
static INLINE const char *usual_userinfo(struct marks *marks, const char *at, struct stw_uri *ret)
{
	struct marks start = *marks;
	const char *stop = mark_next(marks);

	ret->password = str_none();
	if (LIKELY(marks->byte == '@')) {
		ret->user = (struct stw_str){ at, (size_t)(stop - at) };
		return stop > at ? stop + 1 : NULL;
	}
	ret->user = str_none();
	while (stop != marks->end && marks->byte != '@' && marks->byte != '>')
		stop = mark_next(marks);
	if (marks->byte != '@') {
		*marks = start;
		return at;
	}
	return userinfo_parse((struct stw_str){ at, (size_t)(stop - at) }, ret) < 0 ? NULL
										    : stop + 1;
}

/** *( ";" pname [ "=" pvalue ] ) without escapes. @return the mark behind; NULL: not of this form
 */
static INLINE const char *usual_uri_params(struct marks *marks, const char *at)
{
	unsigned count = 0;
	const char *start;

	while (marks->byte == ';') {
		start = at + 1;
		at = run_next(marks, CHAR_PARAM);
		if (at == start || ++count > URI_PARTS_MAX)
			return NULL;
		if (marks->byte != '=')
			continue;
		start = at + 1;
		at = run_next(marks, CHAR_PARAM);
		if (at == start)
			return NULL;
	}
	return at;
}

/** A sip or sips URI without headers that starts here. @return the mark behind, or the end; NULL:
 * not of this form */
static INLINE const char *usual_uri(struct marks *marks, const char *at, struct stw_uri *ret)
{
	const char *start = at, *colon = mark_next(marks);

	ret->scheme_name = (struct stw_str){ start, (size_t)(colon - start) };
	if (marks->byte != ':')
		return NULL;
	if (LIKELY(colon - start == 3 && fold_4(start) == fold_4("sip:")))
		ret->scheme = STW_SCHEME_SIP;
	else if (colon - start == 4 && fold_4(start) == fold_4("sips"))
		ret->scheme = STW_SCHEME_SIPS;
	else
		return NULL;
	at = usual_userinfo(marks, colon + 1, ret);
	if (!at)
		return NULL;
	at = usual_hostport(marks, at, &ret->host, &ret->host_kind, &ret->port);
	if (!at)
		return NULL;
	ret->params.ptr = at;
	at = usual_uri_params(marks, at);
	if (!at)
		return NULL;
	ret->params.len = (size_t)(at - ret->params.ptr);
	ret->text = (struct stw_str){ start, (size_t)(at - start) };
	ret->headers = (struct stw_str){ at, 0 };
	ret->opaque = str_none();
	return at;
}

/** Behind the second quote of a quoted-string of which the first was given last. Escapes, folds and
 * NUL are not of this form: NULL. */
static INLINE const char *usual_quoted(struct marks *marks)
{
	const char *at;

	do {
		at = mark_next(marks);
		if (marks->byte == '"')
			return at + 1;
	} while (marks->byte != '\\' && marks->byte != '\r' && marks->byte != '\0');
	return NULL;
}

/** One ";name=value" at `at`, without LWS. @return the ";" behind or the end; NULL: not of this
 * form
 */
static INLINE const char *usual_param(struct marks *marks, const char *at, struct stw_param *ret)
{
	const char *start = at + 1;

	if (marks->byte != ';')
		return NULL;
	at = run_next(marks, CHAR_TOKEN | CHAR_PARAM);
	if (at == start)
		return NULL;
	ret->name = (struct stw_str){ start, (size_t)(at - start) };
	ret->value = str_none();
	if (marks->byte == '=') {
		start = at + 1;
		at = run_next(marks, CHAR_VALUE);
		if (UNLIKELY(at == start)) {
			if (marks->byte != '"')
				return NULL;
			at = usual_quoted(marks);
			if (!at || mark_next(marks) != at)
				return NULL;
		}
		ret->value = (struct stw_str){ start, (size_t)(at - start) };
	}
	return marks->byte == ';' || at == marks->end ? at : NULL;
}

#endif
