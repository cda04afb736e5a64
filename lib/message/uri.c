/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#include "usual.h"

/* ---- reading, §19.1.1, §25.1, RFC 3966 §3 ---------------------------------------- */

/* *( ";" pname [ "=" pvalue ] ) without any blank. */
static bool uri_params_valid(struct stw_str params)
{
	const char *at = params.ptr, *end = params.ptr + params.len, *start;
	unsigned count = 0;

	while (at < end) {
		if (*at++ != ';' || ++count > URI_PARTS_MAX)
			return false;
		start = at;
		at = escaped_run_end(at, end, CHAR_PARAM);
		if (at == start)
			return false;
		if (at == end || *at != '=')
			continue;
		start = ++at;
		at = escaped_run_end(at, end, CHAR_PARAM);
		if (at == start)
			return false;
	}
	return true;
}

/* header *( "&" header ), header = hname "=" hvalue */
static bool uri_headers_valid(struct stw_str headers)
{
	size_t at = 0, len;
	unsigned count = 0;

	do {
		len = escaped_run(headers, at, CHAR_HEADER);
		at += len;
		if (!len || !char_at(headers, at, '=') || ++count > URI_PARTS_MAX)
			return false;
		at++;
		at += escaped_run(headers, at, CHAR_HEADER);
	} while (char_at(headers, at++, '&'));
	return at == headers.len + 1;
}

int userinfo_parse(struct stw_str text, struct stw_uri *uri)
{
	size_t len = escaped_run(text, 0, CHAR_USER);

	if (!len)
		return -EBADMSG;
	uri->user = str_part(text, 0, len);
	if (len == text.len)
		return 0;
	if (text.ptr[len++] != ':')
		return -EBADMSG;
	if (escaped_run(text, len, CHAR_PASSWORD) != text.len - len)
		return -EBADMSG;
	uri->password = str_part(text, len, text.len);
	return 0;
}

/* The userinfo at `at`, if there is one: "@" is written %40 everywhere else. @return where hostport
 * starts; NULL: it is malformed */
static const char *userinfo_read(const char *at, const char *end, struct stw_uri *uri)
{
	const char *stop = escaped_run_end(at, end, CHAR_USER);

	if (stop < end && *stop != '@') {
		stop = memchr(stop, '@', (size_t)(end - stop));
		if (!stop)
			return at;
		if (userinfo_parse((struct stw_str){ at, (size_t)(stop - at) }, uri) < 0)
			return NULL;
		return stop + 1;
	}
	if (stop == end)
		return at;
	uri->user = (struct stw_str){ at, (size_t)(stop - at) };
	return uri->user.len ? stop + 1 : NULL;
}

/* [ userinfo ] hostport uri-parameters [ headers ] */
static int sip_uri_parse(struct stw_str text, size_t from, struct stw_uri *uri)
{
	const char *at = text.ptr + from, *end = text.ptr + text.len, *mark;
	struct hostport hostport;

	at = userinfo_read(at, end, uri);
	if (at)
		at = hostport_read(at, end, false, &hostport);
	if (!at || (at < end && *at != ';' && *at != '?'))
		return -EBADMSG;
	uri->host = hostport.host;
	uri->host_kind = hostport.kind;
	uri->port = hostport.port;

	mark = at < end ? memchr(at, '?', (size_t)(end - at)) : NULL;
	uri->params = (struct stw_str){ at, (size_t)((mark ? mark : end) - at) };
	uri->headers =
		(struct stw_str){ mark ? mark + 1 : end, mark ? (size_t)(end - mark - 1) : 0 };
	if (!uri_params_valid(uri->params))
		return -EBADMSG;
	return !mark || uri_headers_valid(uri->headers) ? 0 : -EBADMSG;
}

/* telephone-uri = "tel:" telephone-subscriber. A local number without phone-context is let pass:
 * the dial plan knows its context. */
static int tel_uri_parse(struct stw_str text, size_t at, struct stw_uri *uri)
{
	size_t number = at, digits = 0;
	bool is_global = char_at(text, at, '+');

	for (at += is_global; at < text.len && text.ptr[at] != ';'; at++) {
		if (memchr("-.()", text.ptr[at], 4))
			continue;
		if (!char_is(text.ptr[at], is_global ? CHAR_DIGIT : CHAR_HEX) &&
			(is_global || (text.ptr[at] != '*' && text.ptr[at] != '#')))
			return -EBADMSG;
		digits++;
	}
	uri->user = str_part(text, number, at);
	uri->params = str_part(text, at, text.len);
	return digits && uri_params_valid(uri->params) ? 0 : -EBADMSG;
}

static enum stw_scheme scheme_from(struct stw_str name)
{
	if (name_is_word(name, "sip", 3))
		return STW_SCHEME_SIP;
	if (name_is_word(name, "sips", 4))
		return STW_SCHEME_SIPS;
	if (name_is_word(name, "tel", 3))
		return STW_SCHEME_TEL;
	if (name_is_word(name, "urn", 3))
		return STW_SCHEME_URN;
	return STW_SCHEME_OTHER;
}

/* As uri_parse() for what nearly all URIs are. @return false: it is none of these */
static INLINE bool uri_parse_usual(struct stw_str text, struct stw_uri *ret)
{
	struct marks marks;

	if (text.len < MARKS_BYTES_MIN)
		return false;
	marks = marks_of(text.ptr, text.ptr + text.len);
	return usual_uri(&marks, text.ptr, ret) == marks.end;
}

static __attribute__((noinline)) int uri_parse(struct stw_str text, struct stw_uri *ret)
{
	size_t len = char_run(text, 0, CHAR_SCHEME), at = len + 1;
	int err = 0;

	if (!len || !char_is(text.ptr[0], CHAR_ALPHA) || !char_at(text, len, ':'))
		return -EBADMSG;
	*ret = (struct stw_uri){ .text = text, .scheme_name = { text.ptr, len } };
	ret->scheme = scheme_from(ret->scheme_name);
	switch (ret->scheme) {
	case STW_SCHEME_SIP:
	case STW_SCHEME_SIPS:
		err = sip_uri_parse(text, at, ret);
		break;
	case STW_SCHEME_TEL:
		err = tel_uri_parse(text, at, ret);
		break;
	case STW_SCHEME_URN:
	case STW_SCHEME_OTHER:
		ret->opaque = str_part(text, at, text.len);
		if (!ret->opaque.len || escaped_run(text, at, CHAR_URIC) != ret->opaque.len)
			err = -EBADMSG;
		break;
	}
	return err;
}

int stw_uri_parse(struct stw_str text, struct stw_uri *ret)
{
	return uri_parse_usual(text, ret) ? 0 : uri_parse(text, ret);
}

/* A part of a URI at the same place in another copy of its text. */
static INLINE void part_move(struct stw_str *part, const char *from, const char *to)
{
	if (part->ptr)
		part->ptr = to + (part->ptr - from);
}

int stw_uri_parse_like(struct stw_str text, const struct stw_uri *like, struct stw_uri *ret)
{
	const char *from = like->text.ptr;

	if (!text.len || !stw_str_equal(text, like->text))
		return stw_uri_parse(text, ret);
	*ret = *like;
	if (from == text.ptr)
		return 0;
	ret->text.ptr = text.ptr;
	part_move(&ret->scheme_name, from, text.ptr);
	part_move(&ret->user, from, text.ptr);
	part_move(&ret->password, from, text.ptr);
	part_move(&ret->host, from, text.ptr);
	part_move(&ret->params, from, text.ptr);
	part_move(&ret->headers, from, text.ptr);
	part_move(&ret->opaque, from, text.ptr);
	return 0;
}

bool stw_uri_param(const struct stw_uri *uri, struct stw_str name, struct stw_str *ret)
{
	return stw_param_find(uri->params, name, ret);
}

bool stw_uri_is_sos(const struct stw_uri *uri)
{
	const struct stw_str sos = STW_STR("service:sos");

	return uri->scheme == STW_SCHEME_URN &&
	       stw_str_equal_nocase(stw_str_cut(uri->opaque, 0, sos.len), sos) &&
	       (uri->opaque.len == sos.len || uri->opaque.ptr[sos.len] == '.');
}

/* ---- comparison, §19.1.4 ------------------------------------------------------------ */

/* The byte at *at, unescaped; an escaped reserved byte keeps a mark, as it does not equal itself.
 */
static unsigned unit_next(struct stw_str text, size_t *at, bool nocase)
{
	unsigned byte = (uint8_t)text.ptr[*at], mark = 0;

	if (byte == '%' && text.len - *at >= 3) {
		byte = char_hex(text.ptr[*at + 1]) << 4 | char_hex(text.ptr[*at + 2]);
		mark = stw_char_class[byte] & CHAR_RESERVED ? 0x100 : 0;
		*at += 2;
	}
	++*at;
	return (nocase ? stw_char_lower[byte] : byte) | mark;
}

static bool escaped_equal(struct stw_str a, struct stw_str b, bool nocase)
{
	size_t i = 0, j = 0;

	if (!a.ptr != !b.ptr)
		return false;
	while (i < a.len && j < b.len)
		if (unit_next(a, &i, nocase) != unit_next(b, &j, nocase))
			return false;
	return i == a.len && j == b.len;
}

/* RFC 5954 §4: IPv6 addresses are compared as the bits they stand for. */
static bool host_equal(const struct stw_uri *a, const struct stw_uri *b)
{
	uint8_t left[16], right[16];

	if (a->host_kind != b->host_kind)
		return false;
	if (a->host_kind != STW_HOST_IPV6)
		return stw_str_equal_nocase(a->host, b->host);
	return ipv6_parse(a->host, left) == 0 && ipv6_parse(b->host, right) == 0 &&
	       !memcmp(left, right, sizeof(left));
}

static size_t digit_next(struct stw_str number, size_t at)
{
	while (at < number.len && memchr("-.()", number.ptr[at], 4))
		at++;
	return at;
}

/* RFC 3966 §4: visual separators do not count, nor does case. */
static bool number_equal(struct stw_str a, struct stw_str b)
{
	size_t i = digit_next(a, 0), j = digit_next(b, 0);

	while (i < a.len && j < b.len) {
		if (char_lower(a.ptr[i]) != char_lower(b.ptr[j]))
			return false;
		i = digit_next(a, i + 1);
		j = digit_next(b, j + 1);
	}
	return i == a.len && j == b.len;
}

/*
 * The parameters or headers of a URI, each read once. Comparing looks at each pair of them: those
 * that cannot be equal are told by a hash of the name, of a header also of its value.
 */
struct parts {
	unsigned n;
	struct stw_param v[URI_PARTS_MAX];
	uint32_t hash[URI_PARTS_MAX];
};

#define HASH_START 2166136261U

/* FNV-1a; equal for what escaped_equal() finds equal. */
static uint32_t escaped_hash(uint32_t hash, struct stw_str text, bool nocase)
{
	size_t at = 0;

	while (at < text.len)
		hash = (hash ^ unit_next(text, &at, nocase)) * 16777619;
	return hash;
}

static void params_read(struct stw_str params, struct parts *ret)
{
	struct stw_param *param = ret->v;
	size_t at = 0;

	for (ret->n = 0; ret->n < URI_PARTS_MAX; ret->n++, param++) {
		if (stw_param_next(params, &at, param) <= 0)
			break;
		ret->hash[ret->n] = escaped_hash(HASH_START, param->name, true);
	}
}

/* Names are compared as escaped text. */
static bool name_equal(const struct parts *a, unsigned i, const struct parts *b, unsigned j)
{
	return a->hash[i] == b->hash[j] && escaped_equal(a->v[i].name, b->v[j].name, true);
}

enum match { MATCH_ABSENT, MATCH_DIFFERS, MATCH_EQUAL };

static bool value_equal(const struct stw_param *a, const struct stw_param *b, bool tel)
{
	if (escaped_equal(a->value, b->value, true))
		return true;
	/* RFC 3966 §4: a phone-context of global-number-digits, §3: ext */
	return tel && number_equal(a->value, b->value) &&
	       (char_at(a->value, 0, '+') || stw_str_equal_nocase(a->name, STW_STR("ext")));
}

/* Is a parameter of that name there, and of that value? None may appear twice, §19.1.1. */
static enum match param_lookup(
	const struct parts *params, const struct parts *from, unsigned nth, bool tel)
{
	for (unsigned i = 0; i < params->n; i++)
		if (name_equal(params, i, from, nth))
			return value_equal(&params->v[i], &from->v[nth], tel) ? MATCH_EQUAL
									      : MATCH_DIFFERS;
	return MATCH_ABSENT;
}

/* "A user, ttl, or method uri-parameter appearing in only one URI never matches"; maddr and
 * transport likewise. */
static bool param_must_be_in_both(struct stw_str name)
{
	static const char *const names[] = { "user", "ttl", "method", "maddr", "transport" };
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(names); i++)
		if (escaped_equal(name, stw_str_from(names[i]), true))
			return true;
	return false;
}

static bool params_match(const struct parts *a, const struct parts *b, bool tel)
{
	enum match match;

	for (unsigned i = 0; i < a->n; i++) {
		match = param_lookup(b, a, i, tel);
		if (match == MATCH_DIFFERS)
			return false;
		if (match == MATCH_ABSENT && (tel || param_must_be_in_both(a->v[i].name)))
			return false;
	}
	return true;
}

static bool params_equal(struct stw_str a, struct stw_str b, bool tel)
{
	struct parts left, right;

	if (stw_str_equal(a, b))
		return true;
	params_read(a, &left);
	params_read(b, &right);
	return params_match(&left, &right, tel) && params_match(&right, &left, tel);
}

static bool header_next(struct stw_str headers, size_t *at, struct stw_param *ret)
{
	size_t equals, end;

	if (*at >= headers.len)
		return false;
	end = stw_str_find(headers, '&', *at);
	equals = stw_str_find(headers, '=', *at);
	ret->name = str_part(headers, *at, equals < end ? equals : end);
	ret->value = str_part(headers, equals < end ? equals + 1 : end, end);
	*at = end + 1;
	return true;
}

static void headers_read(struct stw_str headers, struct parts *ret)
{
	struct stw_param *header = ret->v;
	size_t at = 0;

	for (ret->n = 0; ret->n < URI_PARTS_MAX; ret->n++, header++) {
		if (!header_next(headers, &at, header))
			break;
		ret->hash[ret->n] = escaped_hash(HASH_START, header->name, true);
		ret->hash[ret->n] = escaped_hash(ret->hash[ret->n], header->value, false);
	}
}

static bool header_is_in(const struct parts *headers, const struct parts *from, unsigned nth)
{
	for (unsigned i = 0; i < headers->n; i++)
		if (name_equal(headers, i, from, nth) &&
			escaped_equal(headers->v[i].value, from->v[nth].value, false))
			return true;
	return false;
}

static bool headers_match(const struct parts *a, const struct parts *b)
{
	for (unsigned i = 0; i < a->n; i++)
		if (!header_is_in(b, a, i))
			return false;
	return true;
}

/* "URI header components are never ignored." */
static bool headers_equal(struct stw_str a, struct stw_str b)
{
	struct parts left, right;

	if (stw_str_equal(a, b))
		return true;
	headers_read(a, &left);
	headers_read(b, &right);
	return headers_match(&left, &right) && headers_match(&right, &left);
}

bool stw_uri_equal(const struct stw_uri *a, const struct stw_uri *b)
{
	if (a->scheme != b->scheme)
		return false;
	switch (a->scheme) {
	case STW_SCHEME_SIP:
	case STW_SCHEME_SIPS:
		return a->port == b->port && host_equal(a, b) &&
		       escaped_equal(a->user, b->user, false) &&
		       escaped_equal(a->password, b->password, false) &&
		       params_equal(a->params, b->params, false) &&
		       headers_equal(a->headers, b->headers);
	case STW_SCHEME_TEL:
		return number_equal(a->user, b->user) && params_equal(a->params, b->params, true);
	case STW_SCHEME_URN:
	case STW_SCHEME_OTHER:
		break;
	}
	return stw_str_equal_nocase(a->scheme_name, b->scheme_name) &&
	       stw_str_equal(a->opaque, b->opaque);
}
