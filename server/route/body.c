/* SPDX-License-Identifier: Apache-2.0 */
/* U10: a body of a request to the server itself that must be understood and is not (RFC 3261
 * §8.2.3, RFC 5621). The server does nothing with a session description, but knows what it is. */
#include "server/route/route.h"

/* Bodies within bodies, beyond any sense (RFC 5621 §4.3: unnecessary nesting). */
#define DEPTH_MAX 4

enum body_fault {
	BODY_UNDERSTOOD,
	BODY_TYPE,
	BODY_ENCODING,
	BODY_LANGUAGE,
	BODY_BROKEN, /* multipart whose parts cannot be told from one another */
};

static struct stw_str before(struct stw_str text, char end)
{
	return stw_str_trim(stw_str_cut(text, 0, stw_str_find(text, end, 0)));
}

/* `known` or a variant of it ("en-GB" of "en"). */
static bool value_known(struct stw_str value, struct stw_str known)
{
	return stw_str_equal_nocase(stw_str_cut(value, 0, known.len), known) &&
	       (value.len == known.len || value.ptr[known.len] == '-');
}

static bool all_known(const struct stw_msg *request, enum stw_header header, struct stw_str known)
{
	struct stw_values values = stw_msg_values(request, header);
	struct stw_str value;

	while (stw_values_next(&values, &value)) {
		if (!value_known(value, known))
			return false;
	}
	return true;
}

/* The same for the field of a part, which may be empty. */
static bool list_known(struct stw_str list, struct stw_str known)
{
	while (list.len) {
		if (!value_known(before(list, ','), known))
			return false;
		list = stw_str_cut(list, stw_str_find(list, ',', 0) + 1, list.len);
	}
	return true;
}

/* RFC 3204 §2, RFC 5621 §8.1: required unless it says otherwise. */
static bool is_optional(struct stw_str disposition)
{
	size_t at = stw_str_find(disposition, ';', 0);
	struct stw_str handling;

	return stw_param_find(stw_str_cut(disposition, at, disposition.len), STW_STR("handling"),
		       &handling) &&
	       stw_str_equal_nocase(handling, STW_STR("optional"));
}

/* RFC 5621 §8.4, §9.4: nothing refers to a part of it here, and no icon is shown. */
static bool disposition_known(struct stw_str disposition)
{
	struct stw_str type = before(disposition, ';');

	return !type.len || stw_str_equal_nocase(type, STW_STR("session")) ||
	       stw_str_equal_nocase(type, STW_STR("render"));
}

static bool is_multipart(struct stw_str type, struct stw_str subtype)
{
	struct stw_str name = before(type, ';'), main = before(name, '/');
	size_t at = stw_str_find(name, '/', 0);

	return stw_str_equal_nocase(main, STW_STR("multipart")) &&
	       (!subtype.len ||
		       stw_str_equal_nocase(
			       stw_str_trim(stw_str_cut(name, at + 1, name.len)), subtype));
}

static enum body_fault parts_fault(
	struct stw_str type, struct stw_str body, bool alternative, unsigned depth);

static enum body_fault content_fault(struct stw_str type, struct stw_str body, unsigned depth)
{
	if (is_multipart(type, STW_STR_NONE))
		return parts_fault(type, body, is_multipart(type, STW_STR("alternative")), depth);
	return stw_str_equal_nocase(before(type, ';'), STW_STR("application/sdp")) ? BODY_UNDERSTOOD
										   : BODY_TYPE;
}

static enum body_fault part_fault(const struct stw_part *part, unsigned depth)
{
	if (!disposition_known(part->content_disposition))
		return BODY_TYPE;
	if (!list_known(part->content_encoding, STW_STR("identity")))
		return BODY_ENCODING;
	if (!list_known(part->content_language, STW_STR("en")))
		return BODY_LANGUAGE;
	return content_fault(part->content_type, part->body, depth);
}

/* All parts of a multipart that are required; of an alternative, one will do and their own handling
 * says nothing (RFC 5621 §8.3). Other subtypes are treated as mixed (§4.2). */
static enum body_fault parts_fault(
	struct stw_str type, struct stw_str body, bool alternative, unsigned depth)
{
	enum body_fault fault, first = BODY_UNDERSTOOD;
	bool understood = false;
	struct stw_multipart multipart;
	struct stw_part part;
	int more;

	if (depth == DEPTH_MAX)
		return BODY_TYPE;
	if (stw_multipart_begin(type, body, &multipart) < 0)
		return BODY_BROKEN;
	while ((more = stw_multipart_next(&multipart, &part)) > 0) {
		if (!alternative && is_optional(part.content_disposition))
			continue;
		fault = part_fault(&part, depth + 1);
		understood = understood || !fault;
		first = first ? first : fault;
	}
	if (more < 0)
		return BODY_BROKEN;
	return alternative && understood ? BODY_UNDERSTOOD : first;
}

enum stw_verdict stw_route_body(struct stw_check *check)
{
	const struct stw_msg *request = check->request->msg;
	struct stw_str disposition = stw_msg_value(request, STW_HDR_CONTENT_DISPOSITION);
	enum body_fault fault = BODY_TYPE;

	if (!request->body_len || is_optional(disposition))
		return STW_PASS;
	if (!all_known(request, STW_HDR_CONTENT_ENCODING, STW_STR("identity")))
		fault = BODY_ENCODING;
	else if (disposition_known(disposition))
		fault = content_fault(
			stw_msg_value(request, STW_HDR_CONTENT_TYPE), stw_msg_body(request), 0);
	if (!fault && !all_known(request, STW_HDR_CONTENT_LANGUAGE, STW_STR("en")))
		fault = BODY_LANGUAGE;
	switch (fault) {
	case BODY_UNDERSTOOD:
		return STW_PASS;
	case BODY_BROKEN:
		return stw_route_refuse(check, &stw_cause_body_broken);
	case BODY_TYPE:
		check->refusal.headers = STW_STR(ROUTE_ACCEPT);
		break;
	case BODY_ENCODING:
		check->refusal.headers = STW_STR(ROUTE_ACCEPT_ENCODING);
		break;
	case BODY_LANGUAGE:
		check->refusal.headers = STW_STR(ROUTE_ACCEPT_LANGUAGE);
		break;
	}
	return stw_route_refuse(check, &stw_cause_body_not_understood);
}
