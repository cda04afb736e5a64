/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <string.h>

/* RFC 2046 §5.1.1: at most 70 characters; CRLF and two hyphens are kept in front of them. */
#define BOUNDARY_MAX 70
#define FRONT        4

/* CRLF "--" boundary */
static struct stw_str delimiter(const struct stw_multipart *multipart)
{
	return (struct stw_str){ multipart->boundary_text, multipart->boundary.len + FRONT };
}

/* Is the line at `at` a delimiter? A longer boundary may start with this one. */
static bool is_delimiter(struct stw_str text, size_t at, struct stw_str delimiter)
{
	struct stw_str dashes = str_part(delimiter, 2, delimiter.len);
	size_t end = at + dashes.len;

	return stw_str_equal(stw_str_cut(text, at, end), dashes) &&
	       (end == text.len || char_is(text.ptr[end], CHAR_LWS) ||
		       (char_at(text, end, '-') && char_at(text, end + 1, '-')));
}

/* The first line from `at` on, where one starts, that is a delimiter; text.len: there is none. */
static size_t delimiter_find(struct stw_str text, size_t at, struct stw_str delimiter)
{
	const char *hit;

	while (at < text.len && !is_delimiter(text, at, delimiter)) {
		hit = memmem(text.ptr + at, text.len - at, delimiter.ptr, delimiter.len);
		if (!hit)
			return text.len;
		at = (size_t)(hit - text.ptr) + 2;
	}
	return at;
}

static int boundary_read(struct stw_str params, struct stw_multipart *multipart)
{
	struct stw_str value, text;
	char buffer[2 * BOUNDARY_MAX + 2];

	if (!stw_param_find(params, STW_STR("boundary"), &value) || value.len > sizeof(buffer))
		return -EBADMSG;
	text = stw_unquote(value, buffer);
	if (!text.len || text.len > BOUNDARY_MAX)
		return -EBADMSG;
	memcpy(multipart->boundary_text, "\r\n--", FRONT);
	memcpy(multipart->boundary_text + FRONT, text.ptr, text.len);
	multipart->boundary = (struct stw_str){ multipart->boundary_text + FRONT, text.len };
	return 0;
}

int stw_multipart_begin(struct stw_str content_type, struct stw_str body, struct stw_multipart *ret)
{
	size_t type = char_run(content_type, 0, CHAR_TOKEN), at = lws_skip(content_type, type), len;

	if (!stw_str_equal_nocase(str_part(content_type, 0, type), STW_STR("multipart")))
		return -ENOENT;
	if (!char_at(content_type, at, '/'))
		return -EBADMSG;
	at = lws_skip(content_type, at + 1);
	len = char_run(content_type, at, CHAR_TOKEN);
	if (!len || boundary_read(str_part(content_type, at + len, content_type.len), ret) < 0)
		return -EBADMSG;

	/* What stands before the first delimiter is the preamble and is ignored. */
	at = delimiter_find(body, 0, delimiter(ret));
	if (at == body.len)
		return -EBADMSG;
	ret->rest = str_part(body, at, body.len);
	return 0;
}

/* Where the value of a field that is of use goes; NULL: of none. */
static struct stw_str *part_value(struct stw_part *part, struct stw_str name)
{
	if (stw_str_equal_nocase(name, STW_STR("Content-Type")))
		return &part->content_type;
	if (stw_str_equal_nocase(name, STW_STR("Content-Disposition")))
		return &part->content_disposition;
	if (stw_str_equal_nocase(name, STW_STR("Content-Encoding")))
		return &part->content_encoding;
	if (stw_str_equal_nocase(name, STW_STR("Content-Language")))
		return &part->content_language;
	return NULL;
}

/* The lines of a part's header. */
static void part_headers_read(struct stw_part *part)
{
	struct stw_str text = part->headers, *value;
	size_t at = 0, end, colon;

	while (at < text.len) {
		end = at;
		do
			end = stw_str_find(text, '\n', end) + 1;
		while (end < text.len && (text.ptr[end] == ' ' || text.ptr[end] == '\t'));
		if (end > text.len)
			end = text.len;
		colon = stw_str_find(stw_str_cut(text, 0, end), ':', at);
		if (colon < end) {
			value = part_value(part, str_trim_lws(str_part(text, at, colon)));
			if (value)
				*value = str_trim_lws(str_part(text, colon + 1, end));
		}
		at = end;
	}
}

/* body-part = MIME-part-headers [CRLF *OCTET] */
static void part_read(struct stw_str text, struct stw_part *ret)
{
	const char *blank = NULL;
	size_t len = text.len;

	if (text.len >= 2 && text.ptr[0] == '\r' && text.ptr[1] == '\n')
		len = 0;
	else if ((blank = memmem(text.ptr, text.len, "\r\n\r\n", 4)))
		len = (size_t)(blank - text.ptr) + 2;
	*ret = (struct stw_part){ .headers = str_part(text, 0, len) };
	ret->body = str_part(text, len < text.len ? len + 2 : len, text.len);
	ret->content_type = ret->content_disposition = str_part(text, 0, 0);
	ret->content_encoding = ret->content_language = ret->content_type;
	part_headers_read(ret);
}

int stw_multipart_next(struct stw_multipart *multipart, struct stw_part *ret)
{
	struct stw_str rest = multipart->rest;
	size_t at = multipart->boundary.len + 2, end;

	if (at > rest.len)
		return -EBADMSG;
	if (char_at(rest, at, '-') && char_at(rest, at + 1, '-'))
		return 0;
	/* transport-padding */
	while (at < rest.len && (rest.ptr[at] == ' ' || rest.ptr[at] == '\t'))
		at++;
	if (!char_at(rest, at, '\r') || !char_at(rest, at + 1, '\n'))
		return -EBADMSG;
	at += 2;
	end = delimiter_find(rest, at, delimiter(multipart));
	if (end == rest.len)
		return -EBADMSG;
	/* The CRLF before a delimiter belongs to it; an empty part may have none. */
	part_read(str_part(rest, at, end - at < 2 ? at : end - 2), ret);
	multipart->rest = str_part(rest, end, rest.len);
	return 1;
}
