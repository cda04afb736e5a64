/* SPDX-License-Identifier: Apache-2.0 */
/* List U for requests to the server itself: it answers OPTIONS and nothing else (RFC 3261 §8.2,
 * §11). */
#include "server/route/route.h"

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
	return names_dialog(check->request->msg)
		       ? stw_route_refuse(check, &stw_cause_dialog_unknown)
		       : STW_PASS;
}

/* U9: the tags of Require that we do not support; `supported` may be empty. */
enum stw_verdict stw_route_require(
	struct stw_check *check, struct stw_str supported, const struct stw_cause *cause)
{
	struct stw_values values = stw_msg_values(check->request->msg, STW_HDR_REQUIRE);
	struct stw_str line = STW_STR_NONE, tag;

	while (stw_values_next(&values, &tag)) {
		if (supported.len && stw_str_equal_nocase(tag, supported))
			continue;
		if (stw_arena_printf(&check->request->arena, &line, "%.*s%s%.*s", STW_STR_ARG(line),
			    line.len ? ", " : "Unsupported: ", STW_STR_ARG(tag)) < 0)
			return stw_route_refuse(check, &stw_cause_out_of_memory);
	}
	if (!line.len)
		return STW_PASS;
	if (stw_arena_printf(&check->request->arena, &check->refusal.headers, "%.*s\r\n",
		    STW_STR_ARG(line)) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_refuse(check, cause);
}

static enum stw_verdict check_require(struct stw_check *check)
{
	return stw_route_require(check, STW_STR("path"), &stw_cause_extension_required_here);
}

/* The values of a list that are neither `known` nor a variant of it ("en-GB" of "en"). */
static bool all_known(const struct stw_msg *request, enum stw_header header, struct stw_str known)
{
	struct stw_values values = stw_msg_values(request, header);
	struct stw_str value;

	while (stw_values_next(&values, &value)) {
		if (!stw_str_equal_nocase(stw_str_cut(value, 0, known.len), known) ||
			(value.len > known.len && value.ptr[known.len] != '-'))
			return false;
	}
	return true;
}

/* RFC 5621 §4.2: multipart is always understood. */
static bool type_known(const struct stw_msg *request)
{
	const struct stw_str multipart = STW_STR("multipart/");
	struct stw_str type = stw_msg_value(request, STW_HDR_CONTENT_TYPE);

	type = stw_str_trim(stw_str_cut(type, 0, stw_str_find(type, ';', 0)));
	return stw_str_equal_nocase(type, STW_STR("application/sdp")) ||
	       stw_str_equal_nocase(stw_str_cut(type, 0, multipart.len), multipart);
}

static bool body_optional(const struct stw_msg *request)
{
	struct stw_str value = stw_msg_value(request, STW_HDR_CONTENT_DISPOSITION), handling;
	struct stw_str params = stw_str_cut(value, stw_str_find(value, ';', 0), value.len);

	return stw_param_find(params, STW_STR("handling"), &handling) &&
	       stw_str_equal_nocase(handling, STW_STR("optional"));
}

/* U10, §8.2.3: a body that must be understood and is not; the response says what would be. */
static enum stw_verdict check_body(struct stw_check *check)
{
	const struct stw_msg *request = check->request->msg;

	if (!request->body_len || body_optional(request))
		return STW_PASS;
	if (!type_known(request))
		check->refusal.headers = STW_STR(ROUTE_ACCEPT);
	else if (!all_known(request, STW_HDR_CONTENT_ENCODING, STW_STR("identity")))
		check->refusal.headers = STW_STR(ROUTE_ACCEPT_ENCODING);
	else if (!all_known(request, STW_HDR_CONTENT_LANGUAGE, STW_STR("en")))
		check->refusal.headers = STW_STR(ROUTE_ACCEPT_LANGUAGE);
	else
		return STW_PASS;
	return stw_route_refuse(check, &stw_cause_body_not_understood);
}

static enum stw_verdict answer_options(struct stw_check *check)
{
	stw_request_respond(check->request, 200, STW_STR(ALLOW_LINE ROUTE_CAPABILITIES),
		&stw_cause_options_answered);
	return STW_DONE;
}

const struct stw_check_row stw_route_server_rows[] = {
	{ "U4", check_method },
	{ "U5", check_validate },
	{ "U6", check_dialog },
	{ "U9", check_require },
	{ "U10", check_body },
	{ "OPTIONS", answer_options },
	{ NULL, NULL },
};
