/* SPDX-License-Identifier: Apache-2.0 */
/* Request validation, RFC 3261 §16.3 steps 2 to 5; step 4 as replaced by RFC 5393 §4.2.2. */
#include "internal.h"

#include <strowger/proxy.h>

/* P2. sips passes: whether a listener can send it is decided with the next hop; likewise whether
 * emergency calls are routed here. */
static const struct stw_cause *scheme_check(
	const struct stw_proxy_options *options, const struct stw_msg *request)
{
	if (request->uri.scheme == STW_SCHEME_SIP || request->uri.scheme == STW_SCHEME_SIPS ||
		(options->tel && request->uri.scheme == STW_SCHEME_TEL) ||
		stw_uri_is_sos(&request->uri))
		return NULL;
	return &stw_cause_scheme_unsupported;
}

/* P3 */
static const struct stw_cause *max_forwards_check(const struct stw_msg *request)
{
	if (request->max_forwards != 0)
		return NULL;
	return request->method == STW_METHOD_OPTIONS ? &stw_cause_options_final
						     : &stw_cause_too_many_hops;
}

static bool via_is_ours(const struct stw_proxy_options *options, const struct stw_via *via,
	struct stw_str *ret_loop_part)
{
	return proxy_branch_loop_part(via->branch, ret_loop_part) &&
	       stw_listeners_own(options->listeners, via->host, via->port);
}

bool proxy_spirals(const struct stw_proxy_options *options, const struct stw_msg *request)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_VIA);
	struct stw_str value, part;
	struct stw_via via;

	while (stw_values_next(&values, &value)) {
		if (stw_via_parse(value, &via) == 0 && via_is_ours(options, &via, &part))
			return true;
	}
	return false;
}

/* P4. The hash is made only once there is something to compare it with. */
static const struct stw_cause *loop_check(const struct stw_proxy_options *options,
	const struct stw_msg *request, struct stw_arena *arena)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_VIA);
	struct stw_proxy_routing routing;
	struct stw_via via = request->via;
	struct stw_str value, part;
	bool has_hash = false;
	uint64_t hash = 0;

	/* The topmost is decoded already. Another element's Via may be anything: what cannot be
	 * read is not ours (RFC 5393 §4.2.4). */
	for (unsigned i = 0; stw_values_next(&values, &value); i++) {
		if ((i > 0 && stw_via_parse(value, &via) < 0) || !via_is_ours(options, &via, &part))
			continue;
		if (!has_hash && stw_proxy_preprocess(options, request, arena, &routing) < 0)
			return NULL;
		if (!has_hash)
			hash = stw_proxy_loop_hash(options, request, &routing);
		has_hash = true;
		if (proxy_hash_equals(part, hash))
			return &stw_cause_loop;
	}
	return NULL;
}

/* "Unsupported: a, b": the tags of Proxy-Require that are not ours (§20.40). */
static struct stw_str unsupported_write(const struct stw_proxy_options *options,
	const struct stw_msg *request, struct stw_arena *arena)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_PROXY_REQUIRE);
	const struct stw_str start = STW_STR("Unsupported: "), comma = STW_STR(", ");
	size_t bytes = start.len + 2;
	struct stw_writer writer;
	struct stw_str value;
	unsigned n = 0;
	char *buffer;

	while (stw_values_next(&values, &value))
		bytes += value.len + comma.len;
	buffer = stw_arena_bytes(arena, bytes);
	if (!buffer)
		return STW_STR_NONE;
	stw_writer_init(&writer, buffer, bytes);
	stw_write_str(&writer, start);
	values = stw_msg_values(request, STW_HDR_PROXY_REQUIRE);
	while (stw_values_next(&values, &value)) {
		if (!stw_is_token(value) || stw_proxy_supports(value, options->priority))
			continue;
		if (n++)
			stw_write_str(&writer, comma);
		stw_write_str(&writer, value);
	}
	stw_write_text(&writer, "\r\n");
	return n ? stw_writer_text(&writer) : STW_STR_NONE;
}

/* P5. §8.2.2.3: in ACK and CANCEL the header field is ignored. */
static const struct stw_cause *proxy_require_check(const struct stw_proxy_options *options,
	const struct stw_msg *request, struct stw_arena *arena, struct stw_str *ret_headers)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_PROXY_REQUIRE);
	struct stw_str value;

	if (request->method == STW_METHOD_ACK || request->method == STW_METHOD_CANCEL)
		return NULL;
	while (stw_values_next(&values, &value)) {
		if (stw_proxy_supports(value, options->priority))
			continue;
		*ret_headers = unsupported_write(options, request, arena);
		return &stw_cause_proxy_require;
	}
	return NULL;
}

const struct stw_cause *stw_proxy_validate(const struct stw_proxy_options *options,
	const struct stw_msg *request, struct stw_arena *arena, struct stw_str *ret_headers)
{
	const struct stw_cause *cause;

	*ret_headers = STW_STR_NONE;
	cause = scheme_check(options, request);
	if (!cause)
		cause = max_forwards_check(request);
	if (!cause)
		cause = loop_check(options, request, arena);
	if (!cause)
		cause = proxy_require_check(options, request, arena, ret_headers);
	return cause;
}
