/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <endian.h>
#include <string.h>

#define SMALL_LETTERS UINT64_C(0x2020202020202020)

struct stw_hasher proxy_mix_begin(struct stw_hash_key key, enum proxy_mix_use use)
{
	struct stw_hasher mix;

	stw_hasher_init(&mix, key);
	stw_hasher_number(&mix, use);
	return mix;
}

void proxy_write_hash(struct stw_writer *writer, uint64_t hash)
{
	hash = htobe64(hash);
	stw_write_hex(writer, &hash, sizeof(hash));
}

struct stw_str proxy_hash_text(uint64_t hash, char buffer[PROXY_HASH_TEXT])
{
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, PROXY_HASH_TEXT);
	proxy_write_hash(&writer, hash);
	return stw_writer_text(&writer);
}

bool proxy_hash_text_equals(struct stw_str text, struct stw_str hash)
{
	/* As it was written, mostly. */
	return stw_str_equal(text, hash) || stw_str_equal_nocase(text, hash);
}

bool proxy_hash_equals(struct stw_str text, uint64_t hash)
{
	char buffer[PROXY_HASH_TEXT];

	return proxy_hash_text_equals(text, proxy_hash_text(hash, buffer));
}

/* Eight digits as four bytes, both in the order of the text. */
static uint32_t hex_read(const char *digits)
{
	uint64_t word;

	memcpy(&word, digits, sizeof(word));
	word = le64toh(word);
	word = (word & UINT64_C(0x0f0f0f0f0f0f0f0f)) +
	       (word >> 6 & UINT64_C(0x0101010101010101)) * 9;
	word = (word << 4 | word >> 8) & UINT64_C(0x00ff00ff00ff00ff);
	word = (word | word >> 8) & UINT64_C(0x0000ffff0000ffff);
	return (uint32_t)(word | word >> 16);
}

uint64_t proxy_hash_read(struct stw_str text)
{
	uint64_t low = hex_read(text.ptr), high = hex_read(text.ptr + PROXY_HASH_TEXT / 2);

	return htobe64(htole64(low | high << 32));
}

uint64_t proxy_mark(
	const struct stw_proxy_options *options, const struct stw_msg *request, struct stw_str tag)
{
	struct stw_hasher mix = proxy_mix_begin(options->key, PROXY_MIX_MARK);

	stw_hasher_text(&mix, request->call_id);
	stw_hasher_text(&mix, tag);
	return stw_hasher_value(&mix);
}

/* §19.1.4: an escape is its character. */
static void mix_user(struct stw_hasher *mix, struct stw_str user)
{
	char buffer[256];
	int len = stw_str_find(user, '%', 0) < user.len && user.len <= sizeof(buffer)
			  ? stw_unescape(user, buffer)
			  : -1;

	stw_hasher_text(mix, len < 0 ? user : (struct stw_str){ buffer, (size_t)len });
}

/* §12.2.1.1: the remote target is what it was, and so is who he says that he is. What decides is
 * where the packets go (RFC 3263 §4), maddr or host, and port; and the user, who may be anybody
 * behind a gateway. A caller who is one of ours stays who he is. A callee, whom To may name by a
 * number or a group, is one of ours or not. */
uint64_t proxy_hop(const struct stw_proxy_options *options, const struct proxy_sender *sender,
	const struct stw_uri *uri)
{
	struct stw_hasher mix = proxy_mix_begin(options->key, PROXY_MIX_HOP);
	bool ours = proxy_owns_uri(options, sender->from);
	struct stw_str host = uri->host, maddr;

	if (uri->params.len && stw_uri_param(uri, STW_STR("maddr"), &maddr))
		host = maddr;
	stw_hasher_number(&mix, sender->mark);
	stw_hasher_text_nocase(&mix, host);
	stw_hasher_number(&mix, uri->port);
	mix_user(&mix, uri->user);
	stw_hasher_number(&mix, ours);
	mix_user(&mix, ours && !sender->callee ? sender->from->user : STW_STR_NONE);
	return stw_hasher_value(&mix);
}

/* With us a caller is nobody but himself. */
static bool is_himself(const struct stw_proxy_options *options, const struct stw_msg *msg,
	const struct stw_uri *place)
{
	return !msg->is_request || !proxy_owns_uri(options, place) ||
	       stw_str_equal(place->user, msg->from.uri.user);
}

uint64_t proxy_hop_said(const struct stw_proxy_options *options, const struct proxy_sender *sender,
	const struct stw_msg *msg, struct stw_str route, const struct stw_proxy_bar *bar)
{
	struct stw_values contacts = stw_msg_values(msg, STW_HDR_CONTACT);
	bool by_route = route.len;
	struct stw_address address;

	if ((!by_route && !stw_values_next(&contacts, &route)) ||
		stw_address_parse(route, &address) < 0 || address.wildcard ||
		!address.uri.host.len || (!by_route && !is_himself(options, msg, &address.uri)) ||
		(bar->bars && bar->bars(bar->user, &address.uri)))
		return 0;
	return proxy_hop(options, sender, &address.uri);
}

uint64_t proxy_secret(const struct stw_proxy_options *options, uint64_t mark, struct stw_str branch)
{
	struct stw_hasher mix = proxy_mix_begin(options->key, PROXY_MIX_SECRET);
	struct stw_str unique = proxy_branch_unique_part(branch);
	uint64_t words[PROXY_UNIQUE_LEN / sizeof(uint64_t)] = { 0 };

	if (unique.len)
		memcpy(words, unique.ptr, unique.len);
	stw_hasher_number(&mix, mark);
	/* Responses are matched in any case (§7.3.1): letters without it. */
	stw_hasher_number(&mix, words[0] | SMALL_LETTERS);
	stw_hasher_number(&mix, words[1] | SMALL_LETTERS);
	return stw_hasher_value(&mix);
}

uint64_t proxy_proof(const struct stw_proxy_options *options, uint64_t mark, uint64_t secret)
{
	struct stw_hasher mix = proxy_mix_begin(options->key, PROXY_MIX_PROOF);

	stw_hasher_number(&mix, mark);
	stw_hasher_number(&mix, secret);
	return stw_hasher_value(&mix);
}

bool proxy_mark_find(const struct stw_uri *uri, struct proxy_mark_parts *ret)
{
	const struct stw_str ours = STW_STR(";lr;stw=");
	struct stw_str mark;

	if (stw_str_starts(uri->params, ours)) /* as record_route.c writes it */
		mark = stw_str_cut(uri->params, ours.len, stw_str_find(uri->params, ';', ours.len));
	else if (!stw_uri_param(uri, STW_STR("stw"), &mark))
		return false;
	ret->dialog = stw_str_cut(mark, 0, PROXY_HASH_TEXT);
	ret->hop = stw_str_cut(mark, PROXY_HASH_TEXT, 2 * PROXY_HASH_TEXT);
	ret->side = stw_str_cut(mark, 2 * PROXY_HASH_TEXT, mark.len);
	return true;
}

/* A preloaded Route of a phone often names its outbound proxy by the domain (§16.4). */
static bool is_our_domain(
	const struct stw_proxy_options *options, struct stw_str host, uint16_t port)
{
	host = stw_host_relative(host);
	for (unsigned i = 0; i < options->domain_count; i++) {
		if (stw_str_equal_nocase(host, stw_host_relative(options->domains[i])))
			return port == 0 || port == 5060;
	}
	return false;
}

bool proxy_owns_host(const struct stw_proxy_options *options, struct stw_str host, uint16_t port)
{
	return stw_listeners_own(options->listeners, host, port) ||
	       is_our_domain(options, host, port);
}

bool proxy_owns_uri(const struct stw_proxy_options *options, const struct stw_uri *uri)
{
	return (uri->scheme == STW_SCHEME_SIP || uri->scheme == STW_SCHEME_SIPS) &&
	       proxy_owns_host(options, uri->host, uri->port);
}
