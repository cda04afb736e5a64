/* SPDX-License-Identifier: Apache-2.0 */
/* The request of a branch, RFC 3261 §16.6 steps 1 to 9: changes spliced into what was received. */
#include "internal.h"

#include <errno.h>

/* ---- the route set of the branch: Path, then the Route values that remain -----------------------
 */

struct route_head {
	struct stw_str first;     /* first value; ptr NULL: no Route at all */
	struct stw_str path_rest; /* what goes into Route of the Path */
	bool from_path;
	bool strict;        /* `first` has no lr: it becomes the Request-URI (step 6) */
	struct stw_uri uri; /* of `first` */
};

static struct stw_str path_text(const struct stw_forward_options *options)
{
	return options->target ? options->target->path : STW_STR_NONE;
}

static struct stw_str branch_uri(const struct stw_forward_options *options)
{
	return options->target && options->target->uri.len ? options->target->uri
							   : options->routing->uri_text;
}

/* The Path without its first value. */
static void path_split(struct stw_str path, struct route_head *head)
{
	struct proxy_list list;
	struct stw_values values;
	struct stw_str value;

	if (path.len == 0)
		return;
	values = proxy_list_values(&list, path, STW_HDR_PATH);
	if (!stw_values_next(&values, &head->first))
		return;
	head->from_path = true;
	if (stw_values_next(&values, &value))
		head->path_rest = stw_str_cut(path, (size_t)(value.ptr - path.ptr), path.len);
}

static int route_head_find(const struct stw_forward_options *options, struct route_head *ret)
{
	struct stw_address address;
	struct stw_str lr;

	*ret = (struct route_head){ 0 };
	path_split(path_text(options), ret);
	if (!ret->from_path && options->routing->has_route)
		ret->first = options->routing->next_route;
	if (!ret->first.ptr)
		return 0;
	if (stw_address_parse(ret->first, &address) < 0 || address.wildcard)
		return -EBADMSG;
	ret->uri = address.uri;
	ret->strict = !stw_uri_param(&ret->uri, STW_STR("lr"), &lr);
	if (!ret->strict)
		ret->path_rest = path_text(options);
	return 0;
}

int stw_forward_next_hop(
	const struct stw_forward_options *options, struct stw_arena *arena, struct stw_uri *ret)
{
	struct route_head head;
	struct stw_uri uri;
	int err = route_head_find(options, &head);

	if (err == 0)
		err = stw_uri_parse_like(branch_uri(options), &options->routing->uri, &uri);
	if (err < 0)
		return err;
	if (head.first.ptr) {
		/* Step 7: whichever URI decides, a sips Request-URI makes it sips. */
		if (uri.scheme == STW_SCHEME_SIPS && head.uri.scheme == STW_SCHEME_SIP)
			head.uri.scheme = STW_SCHEME_SIPS;
		uri = head.uri;
	}
	*ret = uri;
	return 0;
}

/* ---- one forwarding in the making
 * ------------------------------------------------------------------ */

struct forward {
	const struct stw_forward_options *options;
	const struct stw_msg *request;
	struct stw_edit edit;
	struct stw_writer writer; /* all new text, one piece of the arena */
	struct route_head head;
	struct stw_str uri; /* Request-URI of the branch, before step 6 */
	const struct stw_field *top_via;
};

/* What was written since the writer stood at `from`. */
static struct stw_str forward_text(const struct forward *forward, size_t from)
{
	return stw_str_cut(stw_writer_text(&forward->writer), from, forward->writer.len);
}

static struct stw_str forward_line(struct forward *forward, const char *name, struct stw_str value)
{
	size_t from = forward->writer.len;

	stw_write_text(&forward->writer, name);
	stw_write_str(&forward->writer, value);
	stw_write_text(&forward->writer, "\r\n");
	return forward_text(forward, from);
}

static struct stw_str forward_number(struct forward *forward, uint64_t number)
{
	size_t from = forward->writer.len;

	stw_write_uint(&forward->writer, number);
	return forward_text(forward, from);
}

/* A line before the first field of its kind; without one, before our Via. */
static void forward_insert(struct forward *forward, enum stw_header header, struct stw_str line)
{
	const struct stw_field *field = stw_msg_find(forward->request, header);

	if (line.len)
		stw_edit_insert_before(&forward->edit, field ? field : forward->top_via, line);
}

/* A number in its field, or in a new one. */
static void forward_set_number(
	struct forward *forward, enum stw_header header, const char *name, uint64_t number)
{
	const struct stw_field *field = stw_msg_find(forward->request, header);
	size_t from = forward->writer.len;

	if (field) {
		stw_edit_set_value(&forward->edit, field, forward_number(forward, number));
		return;
	}
	stw_write_text(&forward->writer, name);
	stw_write_uint(&forward->writer, number);
	stw_write_text(&forward->writer, "\r\n");
	forward_insert(forward, header, forward_text(forward, from));
}

/* Step 2, §19.1.1 Table 1: a Request-URI and a Route have neither method parameter nor headers. */
static struct stw_str forward_clean_uri(struct forward *forward, const struct stw_uri *uri)
{
	size_t from = forward->writer.len;

	if (uri->scheme != STW_SCHEME_SIP && uri->scheme != STW_SCHEME_SIPS)
		return uri->text;
	proxy_write_stripped(&forward->writer, uri, PROXY_STRIP_METHOD | PROXY_STRIP_HEADERS);
	return forward_text(forward, from);
}

static int request_uri_edit(struct forward *forward)
{
	struct stw_str text = branch_uri(forward->options);
	struct stw_uri uri;

	if (stw_str_equal(text, forward->request->uri.text)) {
		forward->uri = text;
	} else {
		if (stw_uri_parse(text, &uri) < 0)
			return -EBADMSG;
		forward->uri = forward_clean_uri(forward, &uri);
		if (!forward->head.strict)
			stw_edit_set_uri(&forward->edit, forward->uri);
	}
	if (forward->head.strict)
		stw_edit_set_uri(&forward->edit, forward_clean_uri(forward, &forward->head.uri));
	return 0;
}

/* Step 3. Above 255 it counts as absent. */
static void max_forwards_edit(struct forward *forward)
{
	int hops = forward->request->max_forwards;

	if (hops < 0)
		hops = 71;
	forward_set_number(
		forward, STW_HDR_MAX_FORWARDS, "Max-Forwards: ", hops > 0 ? (uint64_t)hops - 1 : 0);
}

/* ---- Route
 * --------------------------------------------------------------------------------------------- */

/* Which Route values of the request stay: [from, to). */
struct route_range {
	unsigned from, to;
};

static struct route_range routes_kept(const struct forward *forward)
{
	const struct stw_proxy_routing *routing = forward->options->routing;
	struct stw_values values = stw_msg_values(forward->request, STW_HDR_ROUTE);
	struct route_range kept = { .from = routing->own_routes };
	struct stw_str value;

	while (stw_values_next(&values, &value))
		kept.to++;
	if (routing->strict_restored)
		kept.to--;
	if (forward->head.strict && !forward->head.from_path)
		kept.from++;
	return kept;
}

/* One line of Route, whose first value is number *index of all. */
static void route_field_edit(struct forward *forward, const struct stw_field *field,
	struct route_range kept, unsigned *index)
{
	struct stw_values values = { forward->request, field, 0, STW_HDR_ROUTE, false };
	struct stw_str value, first = STW_STR_NONE, last = STW_STR_NONE;
	uint32_t at, end = field->value + field->value_len;
	bool cut = false;

	while (stw_values_next(&values, &value) && values.field == field) {
		if (*index < kept.from || *index >= kept.to) {
			cut = true;
		} else {
			if (!first.ptr)
				first = value;
			last = value;
		}
		(*index)++;
	}
	if (!cut)
		return;
	if (!first.ptr) {
		stw_edit_remove_field(&forward->edit, field);
		return;
	}
	at = (uint32_t)(first.ptr - forward->request->data);
	stw_edit_splice(&forward->edit, field->value, at - field->value, STW_STR_NONE);
	at = (uint32_t)(last.ptr + last.len - forward->request->data);
	stw_edit_splice(&forward->edit, at, end - at, STW_STR_NONE);
}

/* Step 6: the Request-URI travels through the strict router as the last Route value. */
static void strict_edit(struct forward *forward, const struct stw_field *last)
{
	size_t from = forward->writer.len;
	struct stw_str line;

	stw_write_text(&forward->writer, "Route: <");
	stw_write_str(&forward->writer, forward->uri);
	stw_write_text(&forward->writer, ">\r\n");
	line = forward_text(forward, from);
	if (last)
		stw_edit_splice(&forward->edit, last->end, 0, line);
	else
		forward_insert(forward, STW_HDR_ROUTE, line);
}

static void route_edit(struct forward *forward)
{
	const struct stw_msg *request = forward->request;
	const struct stw_field *field = stw_msg_find(request, STW_HDR_ROUTE), *last = NULL;
	struct route_range kept = routes_kept(forward);
	unsigned index = 0;

	if (forward->head.path_rest.len)
		forward_insert(forward, STW_HDR_ROUTE,
			forward_line(forward, "Route: ", forward->head.path_rest));
	for (; field; field = stw_msg_find_next(request, field)) {
		route_field_edit(forward, field, kept, &index);
		last = field;
	}
	if (forward->head.strict)
		strict_edit(forward, last);
}

/* ---- Via and Content-Length
 * --------------------------------------------------------------------------- */

static int via_edit(struct forward *forward, struct stw_arena *arena)
{
	const struct stw_forward_options *options = forward->options;

	stw_edit_insert_before(
		&forward->edit, forward->top_via, forward_line(forward, "Via: ", options->via));
	if (options->request->via.has_oc)
		stw_via_oc_remove(&forward->edit);
	return options->stamp ? stw_via_stamp_edit(&forward->edit, options->stamp, arena) : 0;
}

/* Step 9: a stream needs it, and a datagram may have come without. */
static void content_length_edit(struct forward *forward)
{
	size_t from = forward->writer.len;

	if (stw_msg_find(forward->request, STW_HDR_CONTENT_LENGTH) ||
		stw_str_starts(forward->options->via, STW_STR("SIP/2.0/UDP ")))
		return;
	stw_write_text(&forward->writer, "Content-Length: ");
	stw_write_uint(&forward->writer, forward->request->body_len);
	stw_write_text(&forward->writer, "\r\n");
	stw_edit_append_field(&forward->edit, forward_text(forward, from));
}

/* Several may have named it; the same cut twice would be one too many. */
static bool is_named_before(const struct stw_forward_options *options, unsigned i)
{
	unsigned j = 0;

	while (j < i && !stw_str_equal_nocase(options->without[j], options->without[i]))
		j++;
	return j < i;
}

static void fields_remove(struct forward *forward)
{
	const struct stw_forward_options *options = forward->options;
	const struct stw_field *field;

	for (unsigned i = 0; i < options->without_count; i++) {
		if (is_named_before(options, i))
			continue;
		field = stw_msg_find_name(forward->request, options->without[i]);
		for (; field; field = stw_msg_find_next(forward->request, field))
			stw_edit_remove_field(&forward->edit, field);
	}
}

/* §22.3: what was for this proxy ends here. */
static void consumed_remove(struct forward *forward)
{
	const struct stw_field *field = stw_msg_find(forward->request, STW_HDR_PROXY_AUTHORIZATION);

	while (field && field->value != forward->options->consumed)
		field = stw_msg_find_next(forward->request, field);
	if (field)
		stw_edit_remove_field(&forward->edit, field);
}

/* ---- all of it
 * -------------------------------------------------------------------------------------------- */

/* Names and numbers of the lines we write. */
#define FIXED_TEXT_MAX 192

static int forward_begin(
	const struct stw_forward_options *options, struct stw_arena *arena, struct forward *forward)
{
	size_t bytes;
	char *buffer;
	int err;

	/* One by one: to clear the room for all changes costs more than to make the usual few. */
	forward->options = options;
	forward->request = options->request;
	forward->top_via = stw_msg_find(options->request, STW_HDR_VIA);
	if (!forward->top_via)
		return -EBADMSG;
	err = route_head_find(options, &forward->head);
	if (err < 0)
		return err;
	bytes = FIXED_TEXT_MAX + options->via.len + path_text(options).len +
		2 * branch_uri(options).len + forward->head.first.len;
	buffer = stw_arena_bytes(arena, bytes);
	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&forward->writer, buffer, bytes);
	stw_edit_init(&forward->edit, options->request);
	return 0;
}

int stw_forward_build(
	const struct stw_forward_options *options, struct stw_arena *arena, struct stw_slices *ret)
{
	struct forward forward;
	int err = forward_begin(options, arena, &forward);

	if (err == 0)
		err = request_uri_edit(&forward);
	if (err < 0)
		return err;
	proxy_assertions_remove(&forward.edit);
	if (options->without_count)
		fields_remove(&forward);
	if (options->consumed)
		consumed_remove(&forward);
	if (options->diversion.len)
		forward_insert(&forward, STW_HDR_DIVERSION, options->diversion);
	if (options->history.len)
		stw_edit_append_field(&forward.edit, options->history);
	if (options->credentials.len)
		stw_edit_append_field(&forward.edit, options->credentials);
	/* Where there is no field of the kind, the lines stand in this order before the old Via. */
	forward_insert(&forward, STW_HDR_RECORD_ROUTE, options->record_route);
	forward_insert(&forward, STW_HDR_PATH, options->path);
	route_edit(&forward);
	max_forwards_edit(&forward);
	if (options->max_breadth)
		forward_set_number(
			&forward, STW_HDR_MAX_BREADTH, "Max-Breadth: ", options->max_breadth);
	content_length_edit(&forward);
	err = via_edit(&forward, arena);
	if (err < 0)
		return err;
	if (forward.writer.overflow)
		return -ENOBUFS;
	return proxy_slices(&forward.edit, arena, ret);
}
