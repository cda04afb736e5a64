/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the message layer: the usual forms of URIs and of parameters, read from mark to mark.
 * What is accepted here the general readers accept, with the same result; all else is theirs. */
#ifndef STW_MESSAGE_USUAL_H
#define STW_MESSAGE_USUAL_H

#include "marks.h"

/** Is [at, end), of digits and dots, an IPv4address (§25.1)? */
static INLINE bool usual_ipv4(const char *at, const char *end)
{
	unsigned dots = 0, number = 0, digits = 0, digit;

	for (; at < end; at++) {
		digit = (unsigned)(*at - '0');
		if (digit <= 9) {
			number = number * 10 + digit;
			digits++;
			continue;
		}
		if (*at != '.' || !digits || digits > 3 || number > 255)
			return false;
		dots++;
		number = digits = 0;
	}
	return dots == 3 && digits && digits <= 3 && number <= 255;
}

/** The host [at, end) before the mark `end`: an IPv4address, or labels in which no "-" or "." is
 * beside another or at an end, the last of which starts with a letter. */
static INLINE bool usual_host(
	const struct marks *marks, const char *at, const char *end, enum stw_host_kind *ret)
{
	size_t start = (size_t)(at - marks->base), len = (size_t)(end - at);
	uint64_t joints;
	const char *last;

	if (len == 0 || start >= 64 || start + len > 63)
		return false;
	joints = marks->joints >> start & ((UINT64_C(1) << len) - 1);
	last = joints ? at + 64 - __builtin_clzll(joints) : at;
	if ((joints | joints >> (len - 1)) & 1 || joints & joints >> 1)
		return false;
	if (LIKELY(char_is(*last, CHAR_ALPHA))) {
		*ret = STW_HOST_NAME;
		return true;
	}
	*ret = STW_HOST_IPV4;
	return usual_ipv4(at, end);
}

/** hostport before a mark that is none of its own, which is returned; NULL: not of this form. */
static INLINE const char *usual_hostport(struct marks *marks, const char *at, struct hostport *ret)
{
	const char *end = mark_next(marks);
	unsigned number = 0, digit;

	if (!usual_host(marks, at, end, &ret->kind))
		return NULL;
	ret->host = (struct stw_str){ at, (size_t)(end - at) };
	ret->port = 0;
	if (mark_byte(marks, end) != ':')
		return end;
	at = end + 1;
	end = mark_next(marks);
	if (end - at > 5)
		return NULL;
	for (; at < end; at++) {
		digit = (unsigned)(*at - '0');
		if (digit > 9)
			return NULL;
		number = number * 10 + digit;
	}
	ret->port = (uint16_t)number;
	return number && number <= UINT16_MAX ? end : NULL;
}

/** userinfo and its "@", if there are any. @return where hostport starts; NULL: malformed */
static INLINE const char *usual_userinfo(
	struct marks *marks, const char *at, struct stw_str *ret_user, struct stw_str *ret_password)
{
	struct marks start = *marks;
	const char *stop = mark_next(marks);
	struct stw_uri uri;

	*ret_user = *ret_password = str_none();
	if (LIKELY(mark_byte(marks, stop) == '@')) {
		*ret_user = (struct stw_str){ at, (size_t)(stop - at) };
		return stop > at ? stop + 1 : NULL;
	}
	while (stop != marks->end && *stop != '@' && *stop != '>')
		stop = mark_next(marks);
	if (mark_byte(marks, stop) != '@') {
		*marks = start;
		return at;
	}
	uri.user = uri.password = str_none();
	if (userinfo_parse((struct stw_str){ at, (size_t)(stop - at) }, &uri) < 0)
		return NULL;
	*ret_user = uri.user;
	*ret_password = uri.password;
	return stop + 1;
}

/** *( ";" pname [ "=" pvalue ] ) without escapes. @return the mark behind; NULL: not of this form
 */
static INLINE const char *usual_uri_params(struct marks *marks, const char *at)
{
	unsigned count = 0;
	const char *start;

	while (mark_byte(marks, at) == ';') {
		start = at + 1;
		at = run_next(marks, CHAR_PARAM);
		if (at == start || ++count > URI_PARTS_MAX)
			return NULL;
		if (mark_byte(marks, at) != '=')
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
	struct stw_str user, password;
	struct hostport hostport;
	bool is_sips = colon - at == 4;

	if (colon - at != 3 + is_sips || mark_byte(marks, colon) != ':' ||
		fold_4(at) != (is_sips ? fold_4("sips") : fold_4("sip:")))
		return NULL;
	at = usual_userinfo(marks, colon + 1, &user, &password);
	if (!at)
		return NULL;
	at = usual_hostport(marks, at, &hostport);
	if (!at)
		return NULL;
	ret->params.ptr = at;
	at = usual_uri_params(marks, at);
	if (!at)
		return NULL;
	ret->scheme = is_sips ? STW_SCHEME_SIPS : STW_SCHEME_SIP;
	ret->text = (struct stw_str){ start, (size_t)(at - start) };
	ret->scheme_name = (struct stw_str){ start, (size_t)(colon - start) };
	ret->user = user;
	ret->password = password;
	ret->host = hostport.host;
	ret->host_kind = hostport.kind;
	ret->port = hostport.port;
	ret->params.len = (size_t)(at - ret->params.ptr);
	ret->headers = (struct stw_str){ at, 0 };
	ret->opaque = str_none();
	return at;
}

/** One ";name=value" at `at`, without LWS, of which `ret_plain` tells whether the value is letters,
 * digits, "-" and "." alone. @return the ";" behind or the end; NULL: not of this form */
static INLINE const char *usual_param(
	struct marks *marks, const char *at, struct stw_param *ret, bool *ret_plain)
{
	const char *start = at + 1, *end;

	*ret_plain = true;
	ret->value = str_none();
	if (*at != ';')
		return NULL;
	at = run_next(marks, CHAR_TOKEN | CHAR_PARAM);
	ret->name = (struct stw_str){ start, (size_t)(at - start) };
	if (at == start)
		return NULL;
	if (mark_byte(marks, at) == '=') {
		start = at + 1;
		end = at = mark_next(marks);
		while (at != marks->end && char_is(*at, CHAR_VALUE))
			at = mark_next(marks);
		*ret_plain = at == end;
		if (mark_byte(marks, at) == '"' && at == start) {
			do
				at = mark_next(marks);
			while (at != marks->end && *at != '"' && *at != '\\' && *at != '\r');
			if (mark_byte(marks, at) != '"')
				return NULL;
			at = mark_next(marks);
			if (at[-1] != '"')
				return NULL;
			*ret_plain = false;
		}
		ret->value = (struct stw_str){ start, (size_t)(at - start) };
		if (at == start)
			return NULL;
	}
	return at == marks->end || *at == ';' ? at : NULL;
}

#endif
