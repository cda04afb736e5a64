/* SPDX-License-Identifier: Apache-2.0 */
/* List U for requests to the server itself: it answers OPTIONS and nothing else (RFC 3261 §8.2,
 * §11). */
#include "server/route/route.h"

#include <errno.h>
#include <string.h>

#define ALLOW_LINE "Allow: " STW_STACK_ALLOW "\r\n"

static enum stw_verdict check_validate(struct stw_check *check)
{
	/* A UAS ignores Max-Forwards and Proxy-Require is not its business, but the scheme must be
	 * ours. */
	return check->request->routing.uri.scheme == STW_SCHEME_SIP ||
			       check->request->routing.uri.scheme == STW_SCHEME_SIPS
		       ? STW_PASS
		       : stw_route_refuse(check, &stw_cause_scheme_unsupported);
}

/* §15.1.2: a BYE is of a dialog even when it names none. */
static bool names_dialog(const struct stw_msg *request)
{
	return request->to.tag.ptr || request->method == STW_METHOD_BYE;
}

static enum stw_verdict check_method(struct stw_check *check)
{
	const struct stw_msg *request = check->request->msg;

	if (request->method == STW_METHOD_OPTIONS ||
		(request->method != STW_METHOD_UNKNOWN && names_dialog(request)))
		return STW_PASS;
	check->refusal.headers = STW_STR(ALLOW_LINE);
	return stw_route_refuse(check, request->method == STW_METHOD_UNKNOWN
					       ? &stw_cause_method_unknown
					       : &stw_cause_not_acceptable_here_method);
}

static enum stw_verdict check_dialog(struct stw_check *check)
{
	struct stw_request *invite;

	if (!names_dialog(check->request->msg))
		return STW_PASS;
	invite = stw_request_early(check->request);
	return invite ? stw_route_early(check, invite)
		      : stw_route_refuse(check, &stw_cause_dialog_unknown);
}

/* Room for all tags of Require behind "Unsupported: ". */
static char *tags_room(struct stw_check *check, size_t *ret_bytes)
{
	struct stw_values values = stw_msg_values(check->request->msg, STW_HDR_REQUIRE);
	struct stw_str tag;

	*ret_bytes = sizeof("Unsupported: \r\n");
	while (stw_values_next(&values, &tag))
		*ret_bytes += tag.len + 2;
	return stw_arena_bytes(&check->request->arena, *ret_bytes);
}

/* U9: the tags of Require that we do not support. */
enum stw_verdict stw_route_require(struct stw_check *check,
	bool (*supported)(const struct stw_check *check, struct stw_str tag),
	const struct stw_cause *cause)
{
	struct stw_values values = stw_msg_values(check->request->msg, STW_HDR_REQUIRE);
	struct stw_writer writer;
	struct stw_str tag;
	size_t bytes;
	char *room;

	if (!values.field)
		return STW_PASS;
	room = tags_room(check, &bytes);
	if (!room)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	stw_writer_init(&writer, room, bytes);
	while (stw_values_next(&values, &tag)) {
		if (supported && supported(check, tag))
			continue;
		stw_write_text(&writer, writer.len ? ", " : "Unsupported: ");
		stw_write_str(&writer, tag);
	}
	if (!writer.len)
		return STW_PASS;
	stw_write_text(&writer, "\r\n");
	check->refusal.headers = stw_writer_text(&writer);
	return stw_route_refuse(check, cause);
}

static bool acts_on_priority(const struct stw_check *check)
{
	return check->config->priority.namespaces.n > 0;
}

static bool is_supported(const struct stw_check *check, struct stw_str tag)
{
	return stw_proxy_supports(tag, acts_on_priority(check));
}

static enum stw_verdict check_require(struct stw_check *check)
{
	enum stw_verdict verdict =
		stw_route_require(check, is_supported, &stw_cause_extension_required_here);

	return verdict == STW_PASS ? stw_route_priority_known(check) : verdict;
}

/* RFC 3261 §11.2; RFC 4412 §4.4. */
int stw_route_capability_lines(struct stw_check *check, const char *lines, struct stw_str *ret)
{
	static const char more[] = ROUTE_ACCEPT ROUTE_ACCEPT_ENCODING ROUTE_ACCEPT_LANGUAGE;
	struct stw_str priority = stw_route_priority_line(check);
	size_t capacity = strlen(lines) + sizeof(more) + STW_SUPPORTED_BYTES + priority.len;
	char *buffer = stw_arena_bytes(&check->request->arena, capacity);
	struct stw_writer writer;

	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&writer, buffer, capacity);
	stw_write_text(&writer, lines);
	stw_write_text(&writer, more);
	stw_proxy_write_supported(&writer, acts_on_priority(check));
	stw_write_str(&writer, priority);
	*ret = stw_writer_text(&writer);
	return 0;
}

static enum stw_verdict answer_options(struct stw_check *check)
{
	struct stw_str lines;

	if (stw_route_capability_lines(check, ALLOW_LINE, &lines) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	stw_request_respond(check->request, 200, lines, &stw_cause_options_answered);
	return STW_DONE;
}

const struct stw_check_row stw_route_server_rows[] = {
	{ "U4", check_method },
	{ "U5", check_validate },
	{ "U6", check_dialog },
	{ "U9", check_require },
	{ "U10", stw_route_body },
	{ "OPTIONS", answer_options },
	{ NULL, NULL },
};
