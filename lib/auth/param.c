/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <openssl/crypto.h>

int auth_scheme(struct stw_str value, size_t *ret_at)
{
	const struct stw_str digest = STW_STR("Digest");
	size_t at = stw_lws_length(value, 0), blanks;

	if (!stw_str_equal_nocase(stw_str_cut(value, at, at + digest.len), digest))
		return -ENOENT;
	at += digest.len;
	blanks = stw_lws_length(value, at);
	if (blanks == 0 && at < value.len)
		return -ENOENT;
	*ret_at = at + blanks;
	return 0;
}

/* Most often there is none, which needs no call. */
static size_t lws_skip(struct stw_str value, size_t at)
{
	if (at >= value.len || (unsigned char)value.ptr[at] > ' ')
		return at;
	return at + stw_lws_length(value, at);
}

/* Within a quoted-string: what ends it, escapes the next byte, or must not stand there. */
static const bool quoted_stops[256] = {
	['"'] = true, ['\\'] = true, ['\r'] = true, ['\n'] = true, ['\0'] = true
};

static bool is_break(char byte)
{
	return byte == '\r' || byte == '\n' || byte == '\0';
}

/* From the opening quote on. A fold within a value would make its hash ambiguous: refused. */
static int read_quoted(struct stw_str value, size_t *at, struct auth_param *param)
{
	size_t from = *at + 1, to = from;

	for (;;) {
		while (to < value.len && !quoted_stops[(unsigned char)value.ptr[to]])
			to++;
		if (to < value.len && value.ptr[to] == '\\')
			to++;
		else
			break;
		if (to >= value.len || is_break(value.ptr[to]))
			return -EBADMSG;
		to++;
	}
	if (to >= value.len || value.ptr[to] != '"')
		return -EBADMSG;
	param->value = stw_str_cut(value, from, to);
	param->quoted = true;
	*at = to + 1;
	return 0;
}

/* Wider than a token: some devices leave the quotes of uri, realm or nonce out. */
static int read_bare(struct stw_str value, size_t *at, struct auth_param *param)
{
	size_t to = *at;

	while (to < value.len && value.ptr[to] != ',' && (unsigned char)value.ptr[to] > ' ') {
		if (value.ptr[to] == '"' || value.ptr[to] == '\\')
			return -EBADMSG;
		to++;
	}
	if (to == *at)
		return -EBADMSG;
	param->value = stw_str_cut(value, *at, to);
	param->quoted = false;
	*at = to;
	return 0;
}

static size_t skip_empty_elements(struct stw_str value, size_t at)
{
	at = lws_skip(value, at);
	while (at < value.len && value.ptr[at] == ',')
		at = lws_skip(value, at + 1);
	return at;
}

/* auth-param = auth-param-name EQUAL ( token / quoted-string ), RFC 3261 §25.1. */
int auth_param_next(struct stw_str value, size_t *at, struct auth_param *ret)
{
	size_t from = skip_empty_elements(value, *at), to = from;
	struct auth_param param = { 0 };
	int err;

	if (from >= value.len) {
		*at = value.len;
		return 0;
	}
	while (to < value.len && value.ptr[to] != '=' && (unsigned char)value.ptr[to] > ' ')
		to++;
	param.name = stw_str_cut(value, from, to);
	if (!stw_is_token(param.name))
		return -EBADMSG;

	to = lws_skip(value, to);
	if (to >= value.len || value.ptr[to] != '=')
		return -EBADMSG;
	to = lws_skip(value, to + 1);
	if (to < value.len && value.ptr[to] == '"')
		err = read_quoted(value, &to, &param);
	else
		err = read_bare(value, &to, &param);
	if (err < 0)
		return err;

	to = lws_skip(value, to);
	if (to < value.len && value.ptr[to] != ',')
		return -EBADMSG;
	*at = to;
	*ret = param;
	return 1;
}

bool auth_unescaped_equal(struct stw_str quoted, struct stw_str plain)
{
	size_t at = 0, compared = 0;

	for (; at < quoted.len; at++, compared++) {
		if (quoted.ptr[at] == '\\' && at + 1 < quoted.len)
			at++;
		if (compared >= plain.len || quoted.ptr[at] != plain.ptr[compared])
			return false;
	}
	return compared == plain.len;
}

int auth_unescape(struct stw_str quoted, char *buffer, size_t capacity)
{
	size_t len = 0;

	for (size_t at = 0; at < quoted.len; at++) {
		if (quoted.ptr[at] == '\\' && at + 1 < quoted.len)
			at++;
		if (len >= capacity)
			return -ENOBUFS;
		buffer[len++] = quoted.ptr[at];
	}
	return (int)len;
}

void auth_write_quoted(struct stw_writer *writer, struct stw_str text)
{
	size_t from = 0;

	stw_write_char(writer, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '"' && text.ptr[i] != '\\')
			continue;
		stw_write_str(writer, stw_str_cut(text, from, i));
		stw_write_char(writer, '\\');
		from = i;
	}
	stw_write_str(writer, stw_str_cut(text, from, text.len));
	stw_write_char(writer, '"');
}

int auth_nc_parse(struct stw_str text, uint32_t *ret)
{
	uint32_t number = 0;

	if (text.len == 0 || text.len > 8)
		return -EBADMSG;
	for (size_t i = 0; i < text.len; i++) {
		int digit = OPENSSL_hexchar2int((unsigned char)text.ptr[i]);

		if (digit < 0)
			return -EBADMSG;
		number = number << 4 | (uint32_t)digit;
	}
	*ret = number;
	return 0;
}
