/* SPDX-License-Identifier: Apache-2.0 */
/* Record-Route, RFC 3261 §16.6 step 4 and RFC 5658. */
#include "internal.h"

#include <errno.h>

#define LINE_MAX       768
#define OWN_VALUES_MAX 2

/* What both lines of a request have. */
struct line_parts {
	bool sips;
	uint64_t mark[3]; /* of the dialog, of where the caller is, and the callee's secret */
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
	const struct stw_record_route_side *side, const struct line_parts *parts)
{
	stw_write_text(writer, "Record-Route: <");
	proxy_write_own_uri(writer, side, parts->sips);
	stw_write_text(writer, ";lr;stw=");
	proxy_write_hash(writer, parts->mark[0]);
	proxy_write_hash(writer, parts->mark[1]);
	proxy_write_hash(writer, parts->mark[2]);
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

int stw_record_route_write(const struct stw_proxy_options *options,
	const struct stw_record_route *record, struct stw_arena *arena, struct stw_str *ret_lines)
{
	const struct stw_record_route_side *in = &record->in, *out = &record->out;
	const struct stw_msg *request = record->request;
	struct line_parts parts = { .sips = request->uri.scheme == STW_SCHEME_SIPS,
		.flow = record->flow };
	char buffer[2 * LINE_MAX];
	struct stw_writer writer;

	parts.mark[0] = proxy_mark(options, request, request->from.tag);
	parts.mark[1] = hop_of_caller(options, request, parts.mark[0]);
	parts.mark[2] = proxy_secret(options, parts.mark[0], record->branch);
	stw_writer_init(&writer, buffer, sizeof(buffer));
	/* The callee meets the side that sent to it first, the caller the other one (RFC 5658 §6.2:
	 * "any multi-homed situation"). */
	line_write(&writer, options, out, &parts);
	if (in->transport != out->transport || !stw_str_equal_nocase(in->sent_by, out->sent_by))
		line_write(&writer, options, in, &parts);
	if (writer.overflow)
		return -ENOBUFS;
	return stw_arena_copy(arena, stw_writer_text(&writer), ret_lines);
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

/* Ours are those that stand directly above what the request brought. @return how many, with the
 * one above them */
static unsigned own_values(const struct stw_proxy_options *options, unsigned below,
	const struct stw_msg *response, uint64_t mark,
	struct proxy_mark_parts ret_parts[OWN_VALUES_MAX], struct stw_str *ret_above)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_RECORD_ROUTE);
	unsigned all = stw_record_route_count(response), n = 0;
	struct stw_address address;
	struct stw_str value;

	*ret_above = STW_STR_NONE;
	for (unsigned i = 0; i + below < all && stw_values_next(&values, &value); i++) {
		if (i + below + OWN_VALUES_MAX >= all && stw_address_parse(value, &address) == 0 &&
			proxy_owns_uri(options, &address.uri) &&
			proxy_mark_find(&address.uri, &ret_parts[n]) &&
			ret_parts[n].side.len == PROXY_HASH_TEXT &&
			proxy_hash_equals(ret_parts[n].dialog, mark)) {
			n++;
			continue;
		}
		*ret_above = value;
		n = 0;
	}
	return n;
}

/* What the callee has in its mark is not for the caller, also where no dialog came of it: such a
 * response leads nowhere. */
static int part_replace(const struct stw_proxy_options *options, uint64_t mark, uint64_t hop,
	const struct proxy_mark_parts *parts, struct stw_edit *edit, struct stw_arena *arena)
{
	char buffer[2 * PROXY_HASH_TEXT];
	struct stw_writer writer;
	struct stw_str text;
	int err;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	proxy_write_hash(&writer, hop);
	proxy_write_hash(&writer, proxy_proof(options, mark, parts->side));
	err = stw_arena_copy(arena, stw_writer_text(&writer), &text);
	if (err == 0)
		stw_edit_splice(edit, (uint32_t)(parts->hop.ptr - edit->msg->data),
			2 * PROXY_HASH_TEXT, text);
	return err;
}

int proxy_record_route_return(const struct stw_proxy_options *options, unsigned below,
	struct stw_edit *edit, struct stw_arena *arena)
{
	const struct stw_msg *response = edit->msg;
	struct proxy_mark_parts parts[OWN_VALUES_MAX];
	struct stw_uri uri = { 0 };
	struct stw_str above;
	uint64_t mark, hop;
	unsigned n;
	int err = 0;

	if (response->code <= 100 || !stw_msg_find(response, STW_HDR_RECORD_ROUTE))
		return 0;
	mark = proxy_mark(options, response, response->from.tag);
	n = own_values(options, below, response, mark, parts, &above);
	if (!n)
		return 0;
	if (response->code < 300)
		proxy_hop_find(response, above, &uri);
	hop = proxy_hop(options, mark, &uri);
	while (err == 0 && n--)
		err = part_replace(options, mark, hop, &parts[n], edit, arena);
	return err;
}
