/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at a request that is to be refused because there is too much to do, or at the ACK of such
 * a refusal: only what decides whether it may be, and the lines that the answer repeats. All that
 * is not plain is left to stw_msg_parse(), which knows what to say of it.
 */
#include <strowger/message.h>

#include <errno.h>
#include <string.h>

#define LINES_MAX 64
#define LINE_MAX  512

static bool has_nocase(struct stw_str text, const char *lower, size_t len)
{
	for (size_t i = 0; i + len <= text.len; i++) {
		size_t same = 0;

		while (same < len && (text.ptr[i + same] | 0x20) == lower[same])
			same++;
		if (same == len)
			return true;
	}
	return false;
}

static bool start_read(struct stw_str line, struct stw_msg_peek *ret)
{
	static const char version[] = " SIP/2.0";
	const size_t version_len = sizeof(version) - 1;
	size_t space = stw_str_find(line, ' ', 0);

	if (line.len < space + 1 + version_len ||
		memcmp(line.ptr + line.len - version_len, version, version_len) != 0)
		return false;
	ret->method_name = stw_str_cut(line, 0, space);
	ret->method = stw_method_from(ret->method_name);
	ret->uri = stw_str_cut(line, space + 1, line.len - version_len);
	return ret->method != STW_METHOD_UNKNOWN && ret->uri.len && ret->uri.ptr[0] != ' ';
}

static bool once(struct stw_str *field, struct stw_str value)
{
	if (field->ptr)
		return false;
	*field = value;
	return value.len > 0;
}

static bool via_read(struct stw_msg_peek *ret, struct stw_str line, struct stw_str value)
{
	if (ret->via_count == STW_PEEK_VIAS_MAX)
		return false;
	if (!ret->via_count)
		ret->via = value;
	ret->vias[ret->via_count++] = line;
	return !memchr(value.ptr, ',', value.len);
}

static bool is_name(struct stw_str name, char compact, struct stw_str full)
{
	if (name.len == 1)
		return (name.ptr[0] | 0x20) == compact;
	return name.len == full.len && stw_str_equal_nocase(name, full);
}

/* Its first letter says that it may be one of ours. @return false: stw_msg_parse() is to see it */
static bool field_read(struct stw_msg_peek *ret, struct stw_str line)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	struct stw_str name, value;

	if (!colon || colon == line.ptr || colon[-1] <= ' ')
		return false;
	name = (struct stw_str){ line.ptr, (size_t)(colon - line.ptr) };
	value = stw_str_trim(stw_str_cut(line, name.len + 1, line.len));
	switch (name.ptr[0] | 0x20) {
	case 'v':
		return !is_name(name, 'v', STW_STR("Via")) || via_read(ret, line, value);
	case 'f':
		return !is_name(name, 'f', STW_STR("From")) || once(&ret->from, value);
	case 't':
		return !is_name(name, 't', STW_STR("To")) || once(&ret->to, value);
	case 'i':
		return name.len != 1 || once(&ret->call_id, value);
	case 'c':
		if (name.len == 7 && stw_str_equal_nocase(name, STW_STR("Call-ID")))
			return once(&ret->call_id, value);
		return name.len != 4 || !stw_str_equal_nocase(name, STW_STR("CSeq")) ||
		       once(&ret->cseq, value);
	default:
		return !stw_str_equal_nocase(name, STW_STR("Resource-Priority"));
	}
}

static bool is_ours(char first)
{
	switch (first | 0x20) {
	case 'v':
	case 'f':
	case 't':
	case 'i':
	case 'c':
	case 'r':
		return true;
	default:
		return false;
	}
}

/* A To tag, or a name that looks like one, is for an ACK alone. */
static bool peek_complete(const struct stw_msg_peek *peek)
{
	return peek->via_count && peek->from.ptr && peek->to.ptr && peek->call_id.ptr &&
	       peek->cseq.ptr &&
	       (peek->to.ptr[peek->to.len - 1] == '>' || peek->method == STW_METHOD_ACK ||
		       !has_nocase(peek->to, "tag", 3));
}

bool stw_msg_peek(const char *data, size_t len, struct stw_msg_peek *ret)
{
	const char *at = data, *end = data + len;

	ret->via_count = 0;
	ret->via = ret->from = ret->to = ret->call_id = ret->cseq = STW_STR_NONE;
	for (unsigned lines = 0; lines < LINES_MAX; lines++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct stw_str line;

		if (!stop || stop == at || stop[-1] != '\r')
			return false;
		line = (struct stw_str){ at, (size_t)(stop - 1 - at) };
		at = stop + 1;
		if (!line.len)
			return lines > 0 && peek_complete(ret);
		if (line.len > LINE_MAX || line.ptr[0] <= ' ')
			return false;
		if (lines ? is_ours(line.ptr[0]) && !field_read(ret, line) : !start_read(line, ret))
			return false;
	}
	return false;
}

int stw_msg_peek_tag(struct stw_str from, struct stw_str *ret)
{
	struct stw_str rest, tag;
	const char *bracket = memrchr(from.ptr, '>', from.len);

	if (!bracket || memchr(from.ptr, '"', from.len))
		return -EBADMSG;
	rest = stw_str_cut(from, (size_t)(bracket + 1 - from.ptr), from.len);
	if (rest.len < 6 || memcmp(rest.ptr, ";tag=", 5) != 0)
		return -EBADMSG;
	tag = stw_str_cut(rest, 5, stw_str_find(rest, ';', 5));
	if (memchr(tag.ptr, ' ', tag.len) || memchr(tag.ptr, '\t', tag.len))
		return -EBADMSG;
	*ret = tag;
	return 0;
}
