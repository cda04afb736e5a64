/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

struct proxy_mix proxy_mix_begin(struct stw_hash_key key, enum proxy_mix_use use)
{
	return (struct proxy_mix){ key, (uint64_t)use };
}

void proxy_mix_number(struct proxy_mix *mix, uint64_t number)
{
	uint64_t words[2] = { mix->value, number };

	mix->value = stw_hash(mix->key, words, sizeof(words));
}

void proxy_mix_text(struct proxy_mix *mix, struct stw_str text)
{
	proxy_mix_number(mix, stw_hash(mix->key, text.len ? text.ptr : "", text.len));
}

void proxy_write_hash(struct stw_writer *writer, uint64_t hash)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(hash >> (56 - 8 * i));
	stw_write_hex(writer, bytes, sizeof(bytes));
}

bool proxy_hash_equals(struct stw_str text, uint64_t hash)
{
	char buffer[PROXY_HASH_TEXT];
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	proxy_write_hash(&writer, hash);
	return stw_str_equal_nocase(text, stw_writer_text(&writer));
}

uint64_t proxy_mark(
	const struct stw_proxy_options *options, const struct stw_msg *request, struct stw_str tag)
{
	struct proxy_mix mix = proxy_mix_begin(options->key, PROXY_MIX_MARK);

	proxy_mix_text(&mix, request->call_id);
	proxy_mix_text(&mix, tag);
	return mix.value;
}

/* A preloaded Route of a phone often names its outbound proxy by the domain (§16.4). */
static bool names_our_domain(const struct stw_proxy_options *options, const struct stw_uri *uri)
{
	for (unsigned i = 0; i < options->domain_count; i++) {
		if (stw_str_equal_nocase(uri->host, options->domains[i]))
			return uri->port == 0 || uri->port == 5060;
	}
	return false;
}

bool proxy_owns_uri(const struct stw_proxy_options *options, const struct stw_uri *uri)
{
	return (uri->scheme == STW_SCHEME_SIP || uri->scheme == STW_SCHEME_SIPS) &&
	       (stw_listeners_own(options->listeners, uri->host, uri->port) ||
		       names_our_domain(options, uri));
}
