/* SPDX-License-Identifier: Apache-2.0 */
/* A response on its way upstream, RFC 3261 §16.7 steps 3 and 9. */
#include "internal.h"

#include <errno.h>

int proxy_slices(const struct stw_edit *edit, struct stw_arena *arena, struct stw_slices *ret)
{
	struct stw_str *v = stw_arena_alloc(arena, (2 * edit->count + 1) * sizeof(*v));
	int n;

	if (!v)
		return -ENOMEM;
	n = stw_edit_slices(edit, v);
	if (n < 0)
		return n;
	*ret = (struct stw_slices){ v, (unsigned)n };
	return 0;
}

void proxy_assertions_remove(struct stw_edit *edit)
{
	const struct stw_field *field = stw_msg_find(edit->msg, STW_HDR_P_ASSERTED_IDENTITY);
	uint32_t start, end;

	while (field) {
		start = field->start;
		/* Lines that follow each other are one change: there may be hundreds. */
		do {
			end = field->end;
			field = stw_msg_find_next(edit->msg, field);
		} while (field && field->start == end);
		stw_edit_splice(edit, start, end - start, STW_STR_NONE);
	}
}

/* The way back is a stream, as the next Via says. */
static bool goes_by_stream(const struct stw_msg *response)
{
	struct stw_values values = stw_msg_vias_below(response);
	struct stw_str value;
	struct stw_via via;

	return stw_values_next(&values, &value) && stw_via_parse(value, &via) == 0 &&
	       stw_transport_reliable(stw_transport_from(via.transport));
}

/* RFC 7339 §5.2: what we tell the client stands in the Via that it wrote. */
static void second_via_append(struct stw_edit *edit, struct stw_str params)
{
	struct stw_values values = stw_msg_vias_below(edit->msg);
	struct stw_str value;

	if (params.len && stw_values_next(&values, &value))
		stw_edit_splice(
			edit, (uint32_t)(value.ptr + value.len - edit->msg->data), 0, params);
}

bool stw_relay_wants_session(const struct stw_msg *response)
{
	enum stw_method method = response->cseq.method;

	return response->code / 100 == 2 &&
	       (method == STW_METHOD_INVITE || method == STW_METHOD_UPDATE) &&
	       !stw_msg_find(response, STW_HDR_SESSION_EXPIRES);
}

/* A further Require field says the same as a further value of the first one (RFC 3261 §7.3.1). */
int stw_relay_session(const struct stw_msg *response, uint32_t interval_s, struct stw_arena *arena,
	struct stw_str *lines)
{
	bool required;

	if (!interval_s || !stw_relay_wants_session(response))
		return 0;
	required = stw_msg_has_token(response, STW_HDR_REQUIRE, STW_STR("timer"));
	return stw_arena_printf(arena, lines, "Session-Expires: %u;refresher=uac\r\n%s%.*s",
		interval_s, required ? "" : "Require: timer\r\n", STW_STR_ARG(*lines));
}

int stw_relay_build(
	const struct stw_relay_options *options, struct stw_arena *arena, struct stw_slices *ret)
{
	const struct stw_msg *response = options->response;
	struct stw_edit edit;
	struct stw_str length;

	stw_edit_init(&edit, response);
	stw_edit_remove_first_value(&edit, STW_HDR_VIA);
	second_via_append(&edit, options->via_params);
	proxy_assertions_remove(&edit);
	if (proxy_record_route_return(options, &edit, arena) < 0)
		return -ENOMEM;
	if (options->lines.len)
		stw_edit_append_field(&edit, options->lines);
	/* §18.3: a datagram may have come without Content-Length, a stream may not. */
	if (!stw_msg_find(response, STW_HDR_CONTENT_LENGTH) && goes_by_stream(response)) {
		if (stw_arena_printf(arena, &length, "Content-Length: %u\r\n", response->body_len) <
			0)
			return -ENOMEM;
		stw_edit_append_field(&edit, length);
	}
	return proxy_slices(&edit, arena, ret);
}
