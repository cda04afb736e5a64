/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/message.h>

#include <string.h>

static void write_field(struct stw_writer *writer, const char *name, struct stw_str value)
{
	stw_write_text(writer, name);
	stw_write_text(writer, ": ");
	stw_write_str(writer, value);
	stw_write_text(writer, "\r\n");
}

static void write_param(struct stw_writer *writer, struct stw_str name, struct stw_str value)
{
	stw_write_char(writer, ';');
	stw_write_str(writer, name);
	if (!value.ptr)
		return;
	stw_write_char(writer, '=');
	stw_write_str(writer, value);
}

static void rport_write(struct stw_writer *writer, uint16_t port)
{
	stw_write_text(writer, ";rport=");
	stw_write_uint(writer, port);
}

static void via_received_write(struct stw_writer *writer, struct stw_str received)
{
	if (received.len)
		write_param(writer, STW_STR("received"), received);
}

/* RFC 3581 §4: the value of rport is the source port, but only for a client that asked for it. */
static void via_params_write(struct stw_writer *writer, const struct stw_response *response)
{
	struct stw_str params = response->request->via.params;
	struct stw_param param;
	size_t at = 0;

	while (stw_param_next(params, &at, &param) == 1) {
		if (response->oc.len && stw_via_param_is_oc(param.name))
			continue;
		if (response->received.len && stw_str_equal_nocase(param.name, STW_STR("received")))
			continue;
		if (response->rport && stw_str_equal_nocase(param.name, STW_STR("rport")))
			rport_write(writer, response->rport);
		else
			write_param(writer, param.name, param.value);
	}
	via_received_write(writer, response->received);
	stw_write_str(writer, response->oc);
}

/* Where the value of rport goes when branch and rport are all there is, as in nearly all requests
 * of phones; 0: the parameters are to be read. */
static size_t usual_rport_place(const struct stw_via *via)
{
	const struct stw_str rport = STW_STR(";rport"), branch = STW_STR(";branch=");
	struct stw_str params = via->params;

	if (params.len != rport.len + branch.len + via->branch.len)
		return 0;
	if (via->branch.ptr == params.ptr + branch.len &&
		!memcmp(params.ptr + params.len - rport.len, rport.ptr, rport.len))
		return params.len;
	if (via->branch.ptr == params.ptr + params.len - via->branch.len &&
		!memcmp(params.ptr, rport.ptr, rport.len))
		return rport.len;
	return 0;
}

/* @return false: nothing is written */
static bool usual_via_params_write(struct stw_writer *writer, const struct stw_response *response)
{
	struct stw_str params = response->request->via.params;
	size_t at = usual_rport_place(&response->request->via);

	if (!at || !response->rport || response->oc.len)
		return false;
	stw_write_str(writer, stw_str_cut(params, 0, at));
	stw_write_char(writer, '=');
	stw_write_uint(writer, response->rport);
	stw_write_str(writer, stw_str_cut(params, at, params.len));
	via_received_write(writer, response->received);
	return true;
}

/* RFC 3261 §18.2.1. Without anything to add the value stays as it came, byte for byte. */
static void top_via_write(
	struct stw_writer *writer, const struct stw_response *response, struct stw_str value)
{
	const struct stw_via *via = &response->request->via;
	bool port_asked = response->rport && via->has_rport;
	size_t head = value.len;

	if (!response->request->has_via ||
		(!response->received.len && !port_asked && !response->oc.len)) {
		write_field(writer, "Via", value);
		return;
	}
	if (via->params.len)
		head = (size_t)(via->params.ptr - value.ptr);
	stw_write_text(writer, "Via: ");
	stw_write_str(writer, stw_str_trim(stw_str_cut(value, 0, head)));
	if (!usual_via_params_write(writer, response))
		via_params_write(writer, response);
	stw_write_text(writer, "\r\n");
}

/* The values below the top one are copied by the line, so that a list of short ones does not grow
 * in the answer. */
static void vias_write(struct stw_writer *writer, const struct stw_response *response)
{
	const struct stw_msg *request = response->request;
	struct stw_values values = stw_msg_values(request, STW_HDR_VIA);
	const struct stw_field *field;
	struct stw_str value, rest;
	size_t used;

	if (!stw_values_next(&values, &value))
		return;
	top_via_write(writer, response, value);
	field = values.field;
	rest = stw_field_value(request, field);
	used = (size_t)(value.ptr + value.len - rest.ptr);
	rest = stw_str_cut(rest, stw_str_find(rest, ',', used) + 1, rest.len);
	if (stw_str_trim(rest).len)
		write_field(writer, "Via", stw_str_trim(rest));
	while ((field = stw_msg_find_next(request, field)))
		write_field(writer, "Via", stw_field_value(request, field));
}

static void values_write(struct stw_writer *writer, const struct stw_msg *request,
	enum stw_header header, const char *name)
{
	struct stw_values values = stw_msg_values(request, header);
	struct stw_str value;

	while (stw_values_next(&values, &value))
		write_field(writer, name, value);
}

/* RFC 3261 §8.2.6.2: a tag in every response but 100. */
static void to_write(struct stw_writer *writer, const struct stw_response *response)
{
	const struct stw_msg *request = response->request;

	if (!request->has_to)
		return;
	stw_write_text(writer, "To: ");
	stw_write_str(writer, stw_msg_value(request, STW_HDR_TO));
	if (!request->to.tag.ptr && response->code != 100 && response->to_tag.len)
		write_param(writer, STW_STR("tag"), response->to_tag);
	stw_write_text(writer, "\r\n");
}

/* What cannot be read is left out: the answer to a broken request must not be broken itself. */
static void copied_fields_write(struct stw_writer *writer, const struct stw_response *response)
{
	const struct stw_msg *request = response->request;
	struct stw_str timestamp = stw_msg_value(request, STW_HDR_TIMESTAMP);

	vias_write(writer, response);
	/* §12.1.1, Table 3: only where a dialog may begin. */
	if (response->record_route && response->code > 100 && response->code < 300)
		values_write(writer, request, STW_HDR_RECORD_ROUTE, "Record-Route");
	if (request->has_from)
		write_field(writer, "From", stw_msg_value(request, STW_HDR_FROM));
	to_write(writer, response);
	if (request->has_call_id)
		write_field(writer, "Call-ID", request->call_id);
	if (request->has_cseq)
		write_field(writer, "CSeq", stw_msg_value(request, STW_HDR_CSEQ));
	if (response->code == 100 && timestamp.ptr) /* §8.2.6.1 */
		write_field(writer, "Timestamp", timestamp);
}

void stw_response_write(struct stw_writer *writer, const struct stw_response *response)
{
	struct stw_str phrase = response->phrase;

	if (!phrase.len)
		phrase = stw_str_from(stw_status_phrase(response->code));
	stw_write_text(writer, "SIP/2.0 ");
	stw_write_uint(writer, response->code);
	stw_write_char(writer, ' ');
	stw_write_str(writer, phrase);
	stw_write_text(writer, "\r\n");
	copied_fields_write(writer, response);
	stw_write_str(writer, response->headers);
	if (response->content_type.len)
		write_field(writer, "Content-Type", response->content_type);
	stw_write_text(writer, "Content-Length: ");
	stw_write_uint(writer, response->body.len);
	stw_write_text(writer, "\r\n\r\n");
	stw_write_str(writer, response->body);
}
