/* SPDX-License-Identifier: Apache-2.0 */
/* Record-Route, RFC 3261 §16.6 step 4 and RFC 5658. */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define LINE_MAX   768
#define FIELD_NAME "Record-Route: "

/* What both lines of a request have. */
struct line_parts {
	bool sips;
	uint64_t mark, hop; /* of the dialog, and of where the caller is */
	struct stw_str secret;
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
	size_t *ret_side_at)
{
	stw_write_text(writer, FIELD_NAME "<");
	proxy_write_own_uri(writer, side, parts->sips);
	stw_write_text(writer, ";lr;stw=");
	proxy_write_hash(writer, parts->mark);
	proxy_write_hash(writer, parts->hop);
	*ret_side_at = writer->len;
	stw_write_str(writer, parts->secret);
	if (parts->flow)
		proxy_flow_write(writer, options, parts->flow);
	stw_write_text(writer, ">\r\n");
}

/* Requests of the callee go to where the caller is: to the proxy before us, or to his Contact. */
static uint64_t hop_of_caller(const struct stw_proxy_options *proxy,
	const struct stw_record_route_options *options, uint64_t mark)
{
	const struct stw_msg *request = options->request;
	struct proxy_sender callee = { mark, true, &request->to.uri };
	struct stw_values values = stw_msg_values(request, STW_HDR_RECORD_ROUTE);
	struct stw_str route = STW_STR_NONE;

	stw_values_next(&values, &route);
	return proxy_hop_said(proxy, &callee, request, route, &options->bar);
}

/* `msg`: the request, or a response to it. */
static struct stw_record_route marks_make(
	const struct stw_proxy_options *options, const struct stw_msg *msg, struct stw_str branch)
{
	struct stw_record_route made = { .mark = proxy_mark(options, msg, msg->from.tag) };
	uint64_t secret = proxy_secret(options, made.mark, branch);

	proxy_hash_text(secret, made.secret);
	proxy_hash_text(proxy_proof(options, made.mark, secret), made.proof);
	return made;
}

int stw_record_route_write(const struct stw_proxy_options *proxy,
	const struct stw_record_route_options *options, struct stw_arena *arena,
	struct stw_record_route *ret)
{
	const struct stw_record_route_side *in = &options->in, *out = &options->out;
	const struct stw_msg *request = options->request;
	struct stw_record_route made = marks_make(proxy, request, options->branch);
	struct line_parts parts = { .sips = request->uri.scheme == STW_SCHEME_SIPS,
		.mark = made.mark,
		.hop = hop_of_caller(proxy, options, made.mark),
		.secret = { made.secret, sizeof(made.secret) },
		.flow = options->flow };
	char buffer[2 * LINE_MAX];
	struct stw_writer writer;
	size_t second;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	/* The callee meets the side that sent to it first, the caller the other one (RFC 5658 §6.2:
	 * "any multi-homed situation"). */
	line_write(&writer, proxy, out, &parts, &made.side_at);
	if (in->transport != out->transport || !stw_str_equal_nocase(in->sent_by, out->sent_by))
		line_write(&writer, proxy, in, &parts, &second);
	if (writer.overflow)
		return -ENOBUFS;
	if (stw_arena_copy(arena, stw_writer_text(&writer), &made.lines) < 0)
		return -ENOMEM;
	made.side_at -= sizeof(FIELD_NAME) - 1;
	*ret = made;
	return 0;
}

/* ---- on the way back -------------------------------------------------------------------------
 */

/* Most phones return the first line as it was written. */
static bool is_as_written(const struct stw_record_route *ours, struct stw_str value)
{
	return ours->side_at && value.len >= ours->side_at + sizeof(ours->secret) &&
	       memcmp(value.ptr + ours->side_at, ours->secret, sizeof(ours->secret)) == 0;
}

/* Where the third part of a mark stands in it, whatever has become of the rest. */
static size_t side_find(struct stw_str value)
{
	const struct stw_str name = STW_STR(";stw");
	size_t at = 0;

	while ((at = stw_str_find(value, '=', at)) < value.len) {
		if (at >= name.len &&
			stw_str_equal_nocase(stw_str_cut(value, at - name.len, at), name))
			return at + 1 + 2 * PROXY_HASH_TEXT;
		at++;
	}
	return value.len;
}

/* Written by us on this branch, for no other value has its secret. @return also what is for the
 * callee alone: the hop, and behind it the secret */
static bool value_is_ours(
	const struct stw_record_route *ours, struct stw_str value, struct stw_str *ret_for_callee)
{
	size_t at = ours->side_at;

	if (!is_as_written(ours, value)) {
		at = side_find(value);
		if (!proxy_hash_text_equals(stw_str_cut(value, at, at + PROXY_HASH_TEXT),
			    (struct stw_str){ ours->secret, sizeof(ours->secret) }))
			return false;
	}
	*ret_for_callee = stw_str_cut(value, at - PROXY_HASH_TEXT, at + PROXY_HASH_TEXT);
	return true;
}

/* What stands there for the caller. Where no dialog came of it, it leads nowhere. */
static int for_caller_write(const struct stw_relay_options *options,
	const struct stw_record_route *ours, struct stw_str above, struct stw_arena *arena,
	struct stw_str *ret)
{
	struct proxy_sender caller = { ours->mark, false,
		options->from ? options->from : &options->response->from.uri };
	char buffer[2 * PROXY_HASH_TEXT];
	struct stw_writer writer;
	uint64_t hop = 0;

	if (options->response->code > 100 && options->response->code < 300)
		hop = proxy_hop_said(
			options->proxy, &caller, options->response, above, &options->bar);
	stw_writer_init(&writer, buffer, sizeof(buffer));
	proxy_write_hash(&writer, hop);
	stw_write_str(&writer, (struct stw_str){ ours->proof, sizeof(ours->proof) });
	return stw_arena_copy(arena, stw_writer_text(&writer), ret);
}

/* The secret is not for the caller, so it counts neither where the value stands (a phone may keep
 * but some of them), nor what else has been changed of it, nor that a refusal needs none. */
int proxy_record_route_return(
	const struct stw_relay_options *options, struct stw_edit *edit, struct stw_arena *arena)
{
	const struct stw_msg *response = options->response;
	struct stw_values values = stw_msg_values(response, STW_HDR_RECORD_ROUTE);
	struct stw_str value, for_callee, above = STW_STR_NONE, text = STW_STR_NONE;
	const struct stw_record_route *ours = options->ours;
	struct stw_record_route again;

	if (!stw_msg_find(response, STW_HDR_RECORD_ROUTE) || (ours && !ours->lines.len))
		return 0;
	if (!ours) {
		again = marks_make(options->proxy, response, response->via.branch);
		ours = &again;
	}
	while (stw_values_next(&values, &value)) {
		if (!value_is_ours(ours, value, &for_callee)) {
			above = value;
			continue;
		}
		if (!text.len && for_caller_write(options, ours, above, arena, &text) < 0)
			return -ENOMEM;
		stw_edit_splice(edit, (uint32_t)(for_callee.ptr - response->data),
			(uint32_t)for_callee.len, text);
	}
	return 0;
}
