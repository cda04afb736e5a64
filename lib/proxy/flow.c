/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow tokens (RFC 5626 §5.2): a URI of ours in Path or Record-Route says by which way a phone is
 * reached. Hexadecimal: where it is, then a keyed mark, so that nobody but us can have written it.
 * A connection is told by its address: names of flows begin anew with the process, the key does
 * not.
 */
#include "internal.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* transport, family, listener, port, scope; then the remote and the local IP address */
#define FIXED_BYTES    (1 + 1 + 2 + 2 + 4)
#define BYTES_MAX      (FIXED_BYTES + 2 * 16)
#define PARAM          ";stw-flow="
#define PARAM_TEXT_MIN (sizeof(PARAM) - 1 + 2 * (FIXED_BYTES + 2 * 4) + PROXY_HASH_TEXT)

static uint64_t flow_mark(const struct stw_proxy_options *options, struct stw_str place)
{
	struct stw_hasher mix = proxy_mix_begin(options->key, PROXY_MIX_FLOW);

	stw_hasher_text_nocase(&mix, place);
	return stw_hasher_value(&mix);
}

static size_t ip_bytes(uint8_t family)
{
	return family == 4 ? 4 : family == 6 ? 16 : 0;
}

/* ---- writing ---- */

static void put(unsigned char **at, uint64_t number, size_t bytes)
{
	number = htobe64(number);
	memcpy(*at, (const unsigned char *)&number + sizeof(number) - bytes, bytes);
	*at += bytes;
}

static void put_ip(unsigned char **at, const struct stw_addr *addr, uint8_t family)
{
	size_t bytes = ip_bytes(family);

	memset(*at, 0, bytes);
	if (addr->family == family)
		memcpy(*at, addr->ip, bytes);
	*at += bytes;
}

void proxy_flow_write(struct stw_writer *writer, const struct stw_proxy_options *options,
	const struct stw_hop *hop)
{
	unsigned char bytes[BYTES_MAX], *at = bytes;
	char buffer[2 * BYTES_MAX];
	struct stw_writer place;

	put(&at, hop->transport, 1);
	put(&at, hop->remote.family, 1);
	put(&at, hop->listener, 2);
	put(&at, hop->remote.port, 2);
	put(&at, hop->remote.scope, 4);
	put_ip(&at, &hop->remote, hop->remote.family);
	put_ip(&at, &hop->local, hop->remote.family);
	stw_writer_init(&place, buffer, sizeof(buffer));
	stw_write_hex(&place, bytes, (size_t)(at - bytes));
	stw_write_text(writer, PARAM);
	stw_write_str(writer, stw_writer_text(&place));
	proxy_write_hash(writer, flow_mark(options, stw_writer_text(&place)));
}

int stw_path_write(const struct stw_proxy_options *options, const struct stw_hop *source,
	const struct stw_record_route_side *out, bool require, struct stw_arena *arena,
	struct stw_str *ret_lines)
{
	char buffer[768];
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_write_text(&writer, "Path: <");
	proxy_write_own_uri(&writer, out, false);
	stw_write_text(&writer, ";lr");
	proxy_flow_write(&writer, options, source);
	stw_write_text(&writer, require ? ">\r\nRequire: path\r\n" : ">\r\n");
	if (writer.overflow)
		return -ENOBUFS;
	return stw_arena_copy(arena, stw_writer_text(&writer), ret_lines);
}

/* ---- reading ---- */

bool proxy_flow_find(
	const struct stw_proxy_options *options, const struct stw_uri *uri, struct proxy_flow *ret)
{
	struct stw_str token, mark;

	if (uri->params.len < PARAM_TEXT_MIN || !stw_uri_param(uri, STW_STR("stw-flow"), &token) ||
		token.len < PROXY_HASH_TEXT)
		return false;
	ret->place = stw_str_cut(token, 0, token.len - PROXY_HASH_TEXT);
	mark = stw_str_cut(token, token.len - PROXY_HASH_TEXT, token.len);
	ret->genuine = proxy_hash_equals(mark, flow_mark(options, ret->place));
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool bytes_read(struct stw_str text, unsigned char bytes[BYTES_MAX])
{
	if (text.len % 2 || text.len < 2 * FIXED_BYTES || text.len > 2 * BYTES_MAX)
		return false;
	for (size_t i = 0; i < text.len; i += 2) {
		int high = digit(text.ptr[i]), low = digit(text.ptr[i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i / 2] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static uint32_t take(const unsigned char **at, size_t bytes)
{
	uint32_t number = 0;

	while (bytes--)
		number = number << 8 | *(*at)++;
	return number;
}

bool stw_proxy_flow(const struct stw_proxy_routing *routing, struct stw_hop *ret)
{
	unsigned char bytes[BYTES_MAX];
	const unsigned char *at = bytes;
	size_t ip;

	*ret = (struct stw_hop){ 0 };
	if (!routing->flow.len || !bytes_read(routing->flow, bytes))
		return false;
	ret->transport = (enum stw_transport)take(&at, 1);
	ret->remote.family = (uint8_t)take(&at, 1);
	ip = ip_bytes(ret->remote.family);
	if (!ip || routing->flow.len != 2 * (FIXED_BYTES + 2 * ip))
		return false;
	ret->listener = (uint16_t)take(&at, 2);
	ret->remote.port = (uint16_t)take(&at, 2);
	ret->remote.scope = take(&at, 4);
	memcpy(ret->remote.ip, at, ip);
	ret->local.family = ret->remote.family;
	memcpy(ret->local.ip, at + ip, ip);
	return true;
}
