/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/registrar.h>

#include <errno.h>
#include <string.h>

/* What a user part may hold unescaped: unreserved and user-unreserved, RFC 3261 §25.1. */
static bool is_user_char(uint8_t byte)
{
	if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
		(byte >= 'A' && byte <= 'Z'))
		return true;
	return byte && strchr("-_.!~*'()&=+$,;?/", byte);
}

/* How many bytes from `at` on need no escape. */
static size_t user_run(struct stw_str user, size_t at)
{
	size_t from = at;

	while (at < user.len && is_user_char((uint8_t)user.ptr[at]))
		at++;
	return at - from;
}

static void write_user(struct stw_writer *writer, struct stw_str user)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t at = 0, run;

	for (; at < user.len; at += run + 1) {
		uint8_t byte;

		run = user_run(user, at);
		stw_write_str(writer, stw_str_cut(user, at, at + run));
		if (at + run == user.len)
			break;
		byte = (uint8_t)user.ptr[at + run];
		stw_write_char(writer, '%');
		stw_write_char(writer, digits[byte >> 4]);
		stw_write_char(writer, digits[byte & 15]);
	}
}

static bool has_upper(struct stw_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z')
			return true;
	}
	return false;
}

static void write_lower(struct stw_writer *writer, struct stw_str text)
{
	if (!has_upper(text)) {
		stw_write_str(writer, text);
		return;
	}
	for (size_t i = 0; i < text.len; i++) {
		char byte = text.ptr[i];

		stw_write_char(writer, byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte);
	}
}

void stw_aor_write(struct stw_writer *writer, struct stw_str user, struct stw_str domain)
{
	bool brackets = stw_str_find(domain, ':', 0) < domain.len && domain.ptr[0] != '[';

	stw_write_text(writer, "sip:");
	write_user(writer, user);
	stw_write_text(writer, brackets ? "@[" : "@");
	write_lower(writer, domain);
	stw_write_text(writer, brackets ? "]" : "");
}

int stw_aor_make(
	struct stw_str user, struct stw_str domain, struct stw_arena *arena, struct stw_str *ret)
{
	size_t capacity = sizeof("sip:@[]") + 3 * user.len + domain.len;
	struct stw_writer writer;
	char *buffer;

	if (!user.len || !domain.len)
		return -EBADMSG;
	buffer = stw_arena_bytes(arena, capacity);
	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&writer, buffer, capacity);
	stw_aor_write(&writer, user, domain);
	*ret = stw_writer_text(&writer);
	return 0;
}

static bool has_aor(const struct stw_uri *uri)
{
	return (uri->scheme == STW_SCHEME_SIP || uri->scheme == STW_SCHEME_SIPS) && uri->user.len;
}

/* "all URI parameters MUST be removed …, any escaped characters MUST be converted to their
 * unescaped form": escaping anew in one way gives the same key, and one that can be written. */
int stw_aor_canonical(const struct stw_uri *uri, struct stw_arena *arena, struct stw_str *ret)
{
	char *user;
	int len;

	if (!has_aor(uri))
		return -EBADMSG;
	user = stw_arena_bytes(arena, uri->user.len);
	if (!user)
		return -ENOMEM;
	len = stw_unescape(uri->user, user);
	if (len < 0)
		return len;
	return stw_aor_make(
		(struct stw_str){ user, (size_t)len }, stw_host_relative(uri->host), arena, ret);
}

/* The byte at *at, unescaped; -1: what looks like an escape is none. */
static int byte_next(struct stw_str text, size_t *at)
{
	size_t from = *at;
	char byte;

	*at += text.ptr[from] == '%' ? 3 : 1;
	return stw_unescape(stw_str_cut(text, from, *at), &byte) == 1 ? (uint8_t)byte : -1;
}

static bool user_equal(struct stw_str a, struct stw_str b)
{
	size_t i = 0, j = 0;
	int byte;

	while (i < a.len && j < b.len) {
		byte = byte_next(a, &i);
		if (byte < 0 || byte != byte_next(b, &j))
			return false;
	}
	return i == a.len && j == b.len;
}

bool stw_aor_equal(const struct stw_uri *a, const struct stw_uri *b)
{
	return has_aor(a) && has_aor(b) &&
	       stw_str_equal_nocase(stw_host_relative(a->host), stw_host_relative(b->host)) &&
	       user_equal(a->user, b->user);
}
