/* SPDX-License-Identifier: Apache-2.0 */
/* Record-Route, RFC 3261 §16.6 step 4 and RFC 5658. */
#include "internal.h"

#include <errno.h>

#define LINE_MAX 512

/* RFC 5658 §6.2: the URI names the transport; transport=tls is never written, sips says it. */
static void line_write(struct stw_writer *writer, const struct stw_record_route_side *side,
	bool sips, uint64_t mark)
{
	bool secure = side->transport == STW_TRANSPORT_TLS || side->transport == STW_TRANSPORT_WSS;

	stw_write_text(writer, "Record-Route: <");
	stw_write_text(writer, secure || sips ? "sips:" : "sip:");
	stw_write_str(writer, side->sent_by);
	if (side->transport == STW_TRANSPORT_TCP)
		stw_write_text(writer, ";transport=tcp");
	else if (side->transport == STW_TRANSPORT_WS || side->transport == STW_TRANSPORT_WSS)
		stw_write_text(writer, ";transport=ws");
	stw_write_text(writer, ";lr;stw=");
	proxy_write_hash(writer, mark);
	stw_write_text(writer, ">\r\n");
}

int stw_record_route_write(const struct stw_proxy_options *options, const struct stw_msg *request,
	const struct stw_record_route_side *in, const struct stw_record_route_side *out,
	struct stw_arena *arena, struct stw_str *ret_lines)
{
	bool sips = request->uri.scheme == STW_SCHEME_SIPS;
	uint64_t mark = proxy_mark(options, request, request->from.tag);
	char buffer[2 * LINE_MAX];
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	/* The callee meets the side that sent to it first, the caller the other one (RFC 5658 §6.2:
	 * "any multi-homed situation"). */
	line_write(&writer, out, sips, mark);
	if (in->transport != out->transport || !stw_str_equal_nocase(in->sent_by, out->sent_by))
		line_write(&writer, in, sips, mark);
	if (writer.overflow)
		return -ENOBUFS;
	return stw_arena_copy(arena, stw_writer_text(&writer), ret_lines);
}
