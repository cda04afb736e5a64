/* SPDX-License-Identifier: Apache-2.0 */
/* What of a body must be understood and is not (RFC 3261 §8.2.3, RFC 5621), and where in it the
 * session description is. */
#include "internal.h"

/* Bodies within bodies, beyond any sense (RFC 5621 §4.3: unnecessary nesting). */
#define DEPTH_MAX 4

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

static enum stw_body_fault parts_fault(
	struct stw_str type, struct stw_str body, struct stw_str accept, unsigned depth);

static enum stw_body_fault content_fault(
	struct stw_str type, struct stw_str body, struct stw_str accept, unsigned depth)
{
	if (is_multipart(type, STW_STR_NONE) && stw_list_has(accept, STW_STR("multipart/mixed")))
		return parts_fault(type, body, accept, depth);
	return stw_list_has(accept, before(type, ';')) ? STW_BODY_UNDERSTOOD : STW_BODY_TYPE;
}

static enum stw_body_fault part_fault(
	const struct stw_part *part, struct stw_str accept, unsigned depth)
{
	if (!disposition_known(part->content_disposition))
		return STW_BODY_TYPE;
	if (!list_known(part->content_encoding, STW_STR(STW_BODY_ENCODINGS)))
		return STW_BODY_ENCODING;
	if (!list_known(part->content_language, STW_STR(STW_BODY_LANGUAGES)))
		return STW_BODY_LANGUAGE;
	return content_fault(part->content_type, part->body, accept, depth);
}

/* All parts of a multipart that are required; of an alternative, one will do and their own handling
 * says nothing (RFC 5621 §8.3). Other subtypes are treated as mixed (§4.2). */
static enum stw_body_fault parts_fault(
	struct stw_str type, struct stw_str body, struct stw_str accept, unsigned depth)
{
	enum stw_body_fault fault, first = STW_BODY_UNDERSTOOD;
	bool alternative = is_multipart(type, STW_STR("alternative")), understood = false;
	struct stw_multipart multipart;
	struct stw_part part;
	int more;

	if (depth == DEPTH_MAX)
		return STW_BODY_TYPE;
	if (stw_multipart_begin(type, body, &multipart) < 0)
		return STW_BODY_BROKEN;
	while ((more = stw_multipart_next(&multipart, &part)) > 0) {
		if (!alternative && is_optional(part.content_disposition))
			continue;
		fault = part_fault(&part, accept, depth + 1);
		understood = understood || !fault;
		first = first ? first : fault;
	}
	if (more < 0)
		return STW_BODY_BROKEN;
	return alternative && understood ? STW_BODY_UNDERSTOOD : first;
}

enum stw_body_fault stw_body_check(const struct stw_msg *request, struct stw_str accept)
{
	struct stw_str disposition = stw_msg_value(request, STW_HDR_CONTENT_DISPOSITION);
	enum stw_body_fault fault = STW_BODY_TYPE;

	if (!request->body_len || is_optional(disposition))
		return STW_BODY_UNDERSTOOD;
	if (!all_known(request, STW_HDR_CONTENT_ENCODING, STW_STR(STW_BODY_ENCODINGS)))
		return STW_BODY_ENCODING;
	if (disposition_known(disposition))
		fault = content_fault(stw_msg_value(request, STW_HDR_CONTENT_TYPE),
			stw_msg_body(request), accept, 0);
	if (!fault && !all_known(request, STW_HDR_CONTENT_LANGUAGE, STW_STR(STW_BODY_LANGUAGES)))
		return STW_BODY_LANGUAGE;
	return fault;
}

/* ---- session descriptions -------------------------------------------------------------------- */

/* The first one, of alternatives the last one (RFC 5621 §6.1). A part that is required and not
 * understood does not hide those beside it: a response cannot be refused. */
static bool description_find(
	struct stw_str type, struct stw_str body, unsigned depth, struct stw_str *ret)
{
	bool alternative = is_multipart(type, STW_STR("alternative")), found = false;
	struct stw_multipart multipart;
	struct stw_part part;

	if (stw_str_equal_nocase(before(type, ';'), STW_STR("application/sdp"))) {
		*ret = body;
		return true;
	}
	if (depth == DEPTH_MAX || stw_multipart_begin(type, body, &multipart) < 0)
		return false;
	while ((alternative || !found) && stw_multipart_next(&multipart, &part) > 0) {
		if (!part_fault(&part, STW_STR(STW_BODY_ACCEPT), depth + 1) &&
			description_find(part.content_type, part.body, depth + 1, ret))
			found = true;
	}
	return found;
}

bool stw_body_description(const struct stw_msg *msg, struct stw_str *ret)
{
	if (!msg->body_len || !disposition_known(stw_msg_value(msg, STW_HDR_CONTENT_DISPOSITION)) ||
		!all_known(msg, STW_HDR_CONTENT_ENCODING, STW_STR(STW_BODY_ENCODINGS)))
		return false;
	return description_find(
		stw_msg_value(msg, STW_HDR_CONTENT_TYPE), stw_msg_body(msg), 0, ret);
}
