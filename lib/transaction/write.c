/* SPDX-License-Identifier: Apache-2.0 */
/* The two requests that are made from another one, hop by hop. */
#include "internal.h"

static void field_write(struct stw_writer *writer, const char *name, struct stw_str value)
{
	stw_write_text(writer, name);
	stw_write_text(writer, ": ");
	stw_write_str(writer, value);
	stw_write_text(writer, "\r\n");
}

/* Its Route stays, so that stateless proxies on the way decide as they did for the request. */
static void route_write(struct stw_writer *writer, const struct stw_msg *request)
{
	const struct stw_field *field = stw_msg_find(request, STW_HDR_ROUTE);

	for (; field; field = stw_msg_find_next(request, field))
		field_write(writer, "Route", stw_field_value(request, field));
}

/* RFC 3841 §5: preferences are equal to those of the request, for the same reason. As they came: a
 * line does not grow. */
static void preferences_write(struct stw_writer *writer, const struct stw_msg *request)
{
	static const enum stw_header headers[] = {
		STW_HDR_ACCEPT_CONTACT,
		STW_HDR_REJECT_CONTACT,
		STW_HDR_REQUEST_DISPOSITION,
	};
	const struct stw_field *field;

	for (unsigned i = 0; i < STW_ARRAY_SIZE(headers); i++) {
		field = stw_msg_find(request, headers[i]);
		for (; field; field = stw_msg_find_next(request, field))
			stw_write_str(writer,
				stw_msg_text(request, field->start, field->end - field->start));
	}
}

/* What ACK and CANCEL share: all but the To of the one and the Reason of the other. */
static void derived_write(struct stw_writer *writer, const struct stw_msg *request,
	const char *method, struct stw_str to)
{
	stw_write_text(writer, method);
	stw_write_char(writer, ' ');
	stw_write_str(writer, stw_msg_text(request, request->uri_at, request->uri_len));
	stw_write_text(writer, " SIP/2.0\r\n");
	field_write(writer, "Via", request->via.text);
	stw_write_text(writer, "Max-Forwards: 70\r\n");
	route_write(writer, request);
	field_write(writer, "From", stw_msg_value(request, STW_HDR_FROM));
	field_write(writer, "To", to);
	field_write(writer, "Call-ID", request->call_id);
	stw_write_text(writer, "CSeq: ");
	stw_write_uint(writer, request->cseq.number);
	stw_write_char(writer, ' ');
	stw_write_text(writer, method);
	stw_write_text(writer, "\r\n");
	preferences_write(writer, request);
}

void stw_tx_write_ack(
	struct stw_writer *writer, const struct stw_msg *invite, const struct stw_msg *response)
{
	derived_write(writer, invite, "ACK", stw_msg_value(response, STW_HDR_TO));
	stw_write_text(writer, "Content-Length: 0\r\n\r\n");
}

void stw_tx_write_cancel(
	struct stw_writer *writer, const struct stw_msg *invite, struct stw_str reason_line)
{
	derived_write(writer, invite, "CANCEL", stw_msg_value(invite, STW_HDR_TO));
	stw_write_str(writer, reason_line); /* RFC 3326 */
	stw_write_text(writer, "Content-Length: 0\r\n\r\n");
}
