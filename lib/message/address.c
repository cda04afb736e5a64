/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>

#include "usual.h"

/* *( SEMI generic-param ), of which `tag` is picked. */
static int address_params_parse(struct stw_str text, struct stw_address *address)
{
	struct stw_param param;
	size_t at = 0;
	int more;

	address->params = str_part(text, lws_skip(text, 0), text.len);
	while ((more = stw_param_next(address->params, &at, &param)) > 0) {
		if (!name_is_word(param.name, "tag", 3))
			continue;
		if (address->tag.ptr) {
			address->tag_repeated = true;
			continue;
		}
		if (!stw_is_token(param.value))
			return -EBADMSG;
		address->tag = param.value;
	}
	return more;
}

/* The `<` of a name-addr; value.len for an addr-spec. display-name = *(token LWS) / quoted-string;
 * no LWS is needed before the bracket (RFC 4475 §3.1.1.6). */
static int bracket_find(struct stw_str value, struct stw_address *address, size_t *ret)
{
	size_t at = quoted_length(value, 0);

	if (at) {
		address->display = str_part(value, 0, at);
		at = lws_skip(value, at);
		*ret = at;
		return char_at(value, at, '<') ? 0 : -EBADMSG;
	}
	at = char_run(value, 0, CHAR_DISPLAY | CHAR_LWS);
	if (!char_at(value, at, '<')) {
		*ret = value.len;
		return 0;
	}
	address->display = str_trim_lws(str_part(value, 0, at));
	*ret = at;
	return 0;
}

/* RFC 8217 §3: an addr-spec without brackets ends before ";"; it may hold neither "," nor "?". */
static size_t addr_spec_end(struct stw_str value)
{
	size_t at = 0;

	while (at < value.len && value.ptr[at] != ';' && value.ptr[at] != ',' &&
		value.ptr[at] != '?' && !char_is(value.ptr[at], CHAR_LWS))
		at++;
	return at;
}

/* The "<" behind a display-name without escapes, folds or UTF-8. @return NULL: not of this form */
static INLINE const char *usual_bracket(
	struct marks *marks, const char *at, struct stw_str *ret_display)
{
	const char *start = at, *end;

	*ret_display = (struct stw_str){ start, 0 };
	at = mark_next(marks);
	if (at == start && marks->byte == '<')
		return at;
	if (at == start && marks->byte == '"') {
		end = usual_quoted(marks);
		if (!end)
			return NULL;
		ret_display->len = (size_t)(end - start);
		at = mark_next(marks);
		if (marks->byte == ' ' && at == end) {
			at = mark_next(marks);
			end++;
		}
		if (at != end)
			return NULL;
	} else {
		if (at == start)
			return NULL;
		while (marks->byte == ' ')
			at = mark_next(marks);
		ret_display->len = (size_t)(at - start) - (at[-1] == ' ');
		if (at > start + 1 && at[-1] == ' ' && at[-2] == ' ')
			return NULL;
	}
	return marks->byte == '<' ? at : NULL;
}

static INLINE bool usual_params(struct marks *marks, const char *at, struct stw_str *ret_tag)
{
	struct stw_param param;
	const char *start;

	if (LIKELY(marks->byte == ';' && marks->end - at > 5 && fold_4(at + 1) == fold_4("tag="))) {
		start = mark_next(marks) + 1;
		at = mark_next(marks);
		*ret_tag = (struct stw_str){ start, (size_t)(at - start) };
		if (at == start)
			return false;
	} else {
		*ret_tag = str_none();
	}
	while (at != marks->end) {
		at = usual_param(marks, at, &param);
		if (!at)
			return false;
		if (param.name.len != 3 || !name_is_word(param.name, "tag", 3))
			continue;
		if (ret_tag->ptr || !stw_is_token(param.value))
			return false;
		*ret_tag = param.value;
	}
	return true;
}

/* As stw_address_parse() for what nearly all are: a name-addr of a sip URI. @return false: it is
 * none of these */
static INLINE bool address_parse_usual(struct stw_str value, struct stw_address *ret)
{
	struct marks marks;
	const char *at;

	if (value.len < MARKS_BYTES_MIN)
		return false;
	marks = marks_of(value.ptr, value.ptr + value.len);
	at = usual_bracket(&marks, value.ptr, &ret->display);
	if (!at)
		return false;
	at = usual_uri(&marks, at + 1, &ret->uri);
	if (!at || marks.byte != '>')
		return false;
	ret->in_brackets = true;
	ret->wildcard = ret->tag_repeated = false;
	at = mark_next(&marks);
	if (at[-1] != '>')
		return false;
	ret->params = (struct stw_str){ at, (size_t)(marks.end - at) };
	return usual_params(&marks, at, &ret->tag);
}

static __attribute__((noinline)) int address_parse(struct stw_str value, struct stw_address *ret)
{
	size_t at, end;

	value = str_trim_lws(value);
	*ret = (struct stw_address){ .display = { value.ptr, 0 } };
	if (value.len == 1 && value.ptr[0] == '*') {
		ret->wildcard = true;
		ret->params = str_part(value, 1, 1);
		return 0;
	}
	if (bracket_find(value, ret, &at) < 0)
		return -EBADMSG;
	ret->in_brackets = at < value.len;
	if (ret->in_brackets) {
		end = stw_str_find(value, '>', ++at);
		if (end == value.len || stw_uri_parse(str_part(value, at, end), &ret->uri) < 0)
			return -EBADMSG;
		end++;
	} else {
		end = addr_spec_end(value);
		if (stw_uri_parse(str_part(value, 0, end), &ret->uri) < 0)
			return -EBADMSG;
	}
	return address_params_parse(str_part(value, end, value.len), ret);
}

int stw_address_parse(struct stw_str value, struct stw_address *ret)
{
	return address_parse_usual(value, ret) ? 0 : address_parse(value, ret);
}
