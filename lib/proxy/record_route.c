/* SPDX-License-Identifier: Apache-2.0 */
/* Record-Route, RFC 3261 §16.6 step 4 and RFC 5658. */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define LINE_MAX       768
#define FIELD_NAME     "Record-Route: "
#define OWN_VALUES_MAX 2

/* What both lines of a request have. */
struct line_parts {
	bool sips;
	uint64_t mark[2];           /* of the dialog, and of where the caller is */
	const struct stw_hop *flow; /* of the phone that is reached by it alone; NULL: none */
};

/* RFC 5658 §6.2: the URI names the transport; transport=tls is never written, sips says it. */
void proxy_write_own_uri(
	struct stw_writer *writer, const struct stw_record_route_side *side, bool sips)
{
	bool secure = side->transport == STW_TRANSPORT_TLS || side->transport == STW_TRANSPORT_WSS;

	stw_write_text(writer, secure || sips ? "sips:" : "sip:");
	stw_write_str(writer, side->sent_by);
	if (side->transport == STW_TRANSPORT_TCP)
		stw_write_text(writer, ";transport=tcp");
	else if (side->transport == STW_TRANSPORT_WS || side->transport == STW_TRANSPORT_WSS)
		stw_write_text(writer, ";transport=ws");
}

static void line_write(struct stw_writer *writer, const struct stw_proxy_options *options,
	const struct stw_record_route_side *side, const struct line_parts *parts,
	uint32_t *ret_hop_at)
{
	stw_write_text(writer, FIELD_NAME "<");
	proxy_write_own_uri(writer, side, parts->sips);
	stw_write_text(writer, ";lr;stw=");
	proxy_write_hash(writer, parts->mark[0]);
	*ret_hop_at = (uint32_t)writer->len;
	proxy_write_hash(writer, parts->mark[1]);
	if (parts->flow)
		proxy_flow_write(writer, options, parts->flow);
	stw_write_text(writer, ">\r\n");
}

/* Requests of the callee go to where the caller is: to the proxy before us, or to his Contact. */
static uint64_t hop_of_caller(
	const struct stw_proxy_options *options, const struct stw_msg *request, uint64_t mark)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_RECORD_ROUTE);
	struct stw_str route = STW_STR_NONE;
	struct stw_uri uri = { 0 };

	stw_values_next(&values, &route);
	proxy_hop_find(request, route, &uri);
	return proxy_hop(options, mark, &uri);
}

int stw_record_route_write(const struct stw_proxy_options *options, const struct stw_msg *request,
	const struct stw_record_route_side *in, const struct stw_record_route_side *out,
	const struct stw_hop *flow, struct stw_arena *arena, struct stw_record_route *ret)
{
	struct line_parts parts = { .sips = request->uri.scheme == STW_SCHEME_SIPS, .flow = flow };
	char buffer[2 * LINE_MAX];
	struct stw_writer writer;
	uint32_t hop_at, second;

	parts.mark[0] = proxy_mark(options, request, request->from.tag);
	parts.mark[1] = hop_of_caller(options, request, parts.mark[0]);
	stw_writer_init(&writer, buffer, sizeof(buffer));
	/* The callee meets the side that sent to it first, the caller the other one (RFC 5658 §6.2:
	 * "any multi-homed situation"). */
	line_write(&writer, options, out, &parts, &hop_at);
	if (in->transport != out->transport || !stw_str_equal_nocase(in->sent_by, out->sent_by))
		line_write(&writer, options, in, &parts, &second);
	if (writer.overflow)
		return -ENOBUFS;
	if (stw_arena_copy(arena, stw_writer_text(&writer), &ret->lines) < 0)
		return -ENOMEM;
	ret->mark = parts.mark[0];
	ret->hop_at = hop_at;
	return 0;
}

/* ---- on the way back -------------------------------------------------------------------------
 */

unsigned stw_record_route_count(const struct stw_msg *msg)
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_RECORD_ROUTE);
	struct stw_str value;
	unsigned n = 0;

	while (stw_values_next(&values, &value))
		n++;
	return n;
}

/* Most phones return the one line as it was written. */
static bool is_as_written(
	const struct stw_record_route *ours, struct stw_str value, struct stw_str *ret_hop)
{
	const size_t name = sizeof(FIELD_NAME) - 1, end = sizeof("\r\n") - 1;

	if (!ours || ours->lines.len != name + value.len + end ||
		memcmp(ours->lines.ptr + name, value.ptr, value.len) != 0)
		return false;
	*ret_hop = stw_str_cut(value, ours->hop_at - name, ours->hop_at - name + PROXY_HASH_TEXT);
	return true;
}

/* A value of ours, with a mark that is right. */
static bool value_is_ours(const struct stw_relay_options *options, uint64_t mark,
	struct stw_str value, struct stw_str *ret_hop)
{
	struct stw_address address;
	struct stw_str dialog;

	return is_as_written(options->ours, value, ret_hop) ||
	       (stw_address_parse(value, &address) == 0 &&
		       proxy_owns_uri(options->proxy, &address.uri) &&
		       proxy_mark_find(&address.uri, &dialog, ret_hop) &&
		       ret_hop->len == PROXY_HASH_TEXT && proxy_hash_equals(dialog, mark));
}

/* Ours are those that stand directly above what the request brought. @return how many, with the
 * one above them */
static unsigned own_values(const struct stw_relay_options *options, uint64_t mark,
	struct stw_str ret_hops[OWN_VALUES_MAX], struct stw_str *ret_above)
{
	struct stw_values values = stw_msg_values(options->response, STW_HDR_RECORD_ROUTE);
	unsigned all = stw_record_route_count(options->response), n = 0;
	unsigned below = options->record_routes;
	struct stw_str value;

	*ret_above = STW_STR_NONE;
	for (unsigned i = 0; i + below < all && stw_values_next(&values, &value); i++) {
		if (i + below + OWN_VALUES_MAX >= all &&
			value_is_ours(options, mark, value, &ret_hops[n])) {
			n++;
			continue;
		}
		*ret_above = value;
		n = 0;
	}
	return n;
}

int proxy_record_route_return(
	const struct stw_relay_options *options, struct stw_edit *edit, struct stw_arena *arena)
{
	const struct stw_msg *response = options->response;
	struct stw_str hops[OWN_VALUES_MAX], above, text;
	char buffer[PROXY_HASH_TEXT];
	struct stw_uri uri = { 0 };
	struct stw_writer writer;
	uint64_t mark;
	unsigned n;
	int err;

	if (response->code <= 100 || response->code >= 300 ||
		!stw_msg_find(response, STW_HDR_RECORD_ROUTE))
		return 0;
	mark = options->ours && options->ours->lines.len
		       ? options->ours->mark
		       : proxy_mark(options->proxy, response, response->from.tag);
	n = own_values(options, mark, hops, &above);
	if (!n)
		return 0;
	proxy_hop_find(response, above, &uri);
	stw_writer_init(&writer, buffer, sizeof(buffer));
	proxy_write_hash(&writer, proxy_hop(options->proxy, mark, &uri));
	err = stw_arena_copy(arena, stw_writer_text(&writer), &text);
	while (err == 0 && n--)
		stw_edit_splice(
			edit, (uint32_t)(hops[n].ptr - response->data), PROXY_HASH_TEXT, text);
	return err;
}
