/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#include "marks.h"

/* What §8.1.1 demands of every message; each decoder leaves its `has_` flag and tells the first
 * fault. */
struct check {
	struct stw_msg *msg;
	struct stw_fault *fault;
	bool failed;
};

/* A member that is not decoded holds nothing of the message before. */
#define CLEAR(member) memset(&(member), 0, sizeof(member))

static __attribute__((noinline)) void check_fault(
	struct check *check, enum stw_header header, const struct stw_cause *cause)
{
	const struct stw_field *field = stw_msg_find(check->msg, header);

	check->failed = true;
	fault_note(check->msg, check->fault, field ? field->value : check->msg->headers_at, header,
		cause);
}

/* §7.3.1: which of two tags names the dialog, which branch the transaction? In a response they are
 * ours mostly, and some who answer write rport behind ours: there the first one counts. */
static INLINE void params_check(struct check *check, enum stw_header header, bool repeated)
{
	if (repeated && check->msg->is_request)
		check_fault(check, header, &stw_cause_parameter_repeated);
}

/* The value of a mandatory field; false when there is none. */
static INLINE bool value_take(struct check *check, enum stw_header header,
	const struct stw_cause *missing, struct stw_str *ret)
{
	const struct stw_field *field = stw_msg_find(check->msg, header);

	if (!field) {
		check_fault(check, header, missing);
		return false;
	}
	*ret = stw_field_value(check->msg, field);
	return true;
}

/* RFC 4475 §3.1.2.1: the sent-by before broken parameters is still a place to send the 400 to. */
static bool via_sent_by(struct stw_str value, struct stw_via *ret)
{
	size_t end = stw_str_find(value, ';', 0);

	if (stw_via_parse(stw_str_cut(value, 0, end), ret) < 0)
		return false;
	ret->text = value;
	ret->params = stw_str_cut(value, end, value.len);
	return true;
}

/* The topmost of several in one field, or one that is malformed. @return is it well-formed? */
static __attribute__((noinline)) bool via_first_check(struct stw_msg *msg)
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_VIA);
	struct stw_str value = stw_msg_value(msg, STW_HDR_VIA);

	msg->has_via = stw_values_next(&values, &value) && stw_via_parse(value, &msg->via) == 0;
	if (msg->has_via)
		return true;
	msg->has_via = via_sent_by(value, &msg->via);
	if (!msg->has_via)
		CLEAR(msg->via);
	return false;
}

static void via_check(struct check *check)
{
	struct stw_msg *msg = check->msg;
	struct stw_str value, branch;

	if (!value_take(check, STW_HDR_VIA, &stw_cause_missing_via, &value)) {
		CLEAR(msg->via);
		return;
	}
	/* What is read as one value holds no comma that would end it. */
	msg->has_via = stw_via_parse(value, &msg->via) == 0;
	if (!msg->has_via && !via_first_check(msg)) {
		check_fault(check, STW_HDR_VIA, &stw_cause_bad_via);
		return;
	}
	params_check(check, STW_HDR_VIA, msg->via.repeated);
	/* RFC 4475 §3.2.1: the cookie alone identifies no transaction. */
	branch = msg->via.branch;
	if (branch.len == 7 && msg->is_request && stw_str_equal_nocase(branch, STW_STR("z9hG4bK")))
		check_fault(check, STW_HDR_VIA, &stw_cause_bad_branch);
}

static void from_check(struct check *check)
{
	struct stw_msg *msg = check->msg;
	struct stw_str value;

	if (value_take(check, STW_HDR_FROM, &stw_cause_missing_from, &value)) {
		msg->has_from = stw_address_parse(value, &msg->from) == 0 && !msg->from.wildcard;
		if (!msg->has_from)
			check_fault(check, STW_HDR_FROM, &stw_cause_bad_from);
		else
			params_check(check, STW_HDR_FROM, msg->from.tag_repeated);
	}
	if (!msg->has_from)
		CLEAR(msg->from);
}

static void to_check(struct check *check)
{
	struct stw_msg *msg = check->msg;
	struct stw_str value;

	if (value_take(check, STW_HDR_TO, &stw_cause_missing_to, &value)) {
		msg->has_to = stw_address_parse(value, &msg->to) == 0 && !msg->to.wildcard;
		if (!msg->has_to)
			check_fault(check, STW_HDR_TO, &stw_cause_bad_to);
		else
			params_check(check, STW_HDR_TO, msg->to.tag_repeated);
	}
	if (!msg->has_to)
		CLEAR(msg->to);
}

/* callid = word [ "@" word ] */
static __attribute__((noinline)) bool is_call_id_any(struct stw_str value)
{
	size_t at = char_run(value, 0, CHAR_WORD), len;

	if (at == 0 || at == value.len)
		return at;
	len = char_at(value, at, '@') ? char_run(value, at + 1, CHAR_WORD) : 0;
	return len && at + 1 + len == value.len;
}

/* The same; of plain bytes but one "@" is what nearly all write. */
static INLINE bool is_call_id(struct stw_str value)
{
	const char *at, *end = value.ptr + value.len;
	struct marks marks;

	if (value.len < MARKS_BYTES_MIN)
		return is_call_id_any(value);
	marks = marks_of(value.ptr, end);
	at = mark_next(&marks);
	if (marks.byte == '@' && at > value.ptr && at + 1 < end)
		at = mark_next(&marks);
	return at == end || is_call_id_any(value);
}

static void call_id_check(struct check *check)
{
	struct stw_msg *msg = check->msg;
	struct stw_str value;

	msg->call_id = str_none();
	if (!value_take(check, STW_HDR_CALL_ID, &stw_cause_missing_call_id, &value))
		return;
	msg->has_call_id = is_call_id(value);
	if (!msg->has_call_id)
		check_fault(check, STW_HDR_CALL_ID, &stw_cause_bad_call_id);
	else
		msg->call_id = value;
}

static void cseq_check(struct check *check)
{
	struct stw_msg *msg = check->msg;
	struct stw_str value;

	if (value_take(check, STW_HDR_CSEQ, &stw_cause_missing_cseq, &value)) {
		msg->has_cseq = stw_cseq_parse(value, &msg->cseq) == 0;
		if (!msg->has_cseq)
			check_fault(check, STW_HDR_CSEQ, &stw_cause_bad_cseq);
	}
	if (!msg->has_cseq)
		CLEAR(msg->cseq);
	else if (!msg->is_request)
		msg->method = msg->cseq.method;
	else if (msg->cseq.method != msg->method ||
		 (msg->method == STW_METHOD_UNKNOWN &&
			 !stw_str_equal(msg->cseq.name, stw_msg_method_name(msg))))
		check_fault(check, STW_HDR_CSEQ, &stw_cause_cseq_method_mismatch);
}

/* In two pieces that are a few stores each. */
static INLINE void uri_clear(struct stw_uri *uri)
{
	const size_t half = sizeof(*uri) / 2;

	memset(uri, 0, half);
	memset((char *)uri + half, 0, sizeof(*uri) - half);
}

/* §19.1.1, Table 1: a Request-URI has no headers (RFC 4475 §3.1.2.11). */
static void uri_check(struct check *check)
{
	struct stw_msg *msg = check->msg;
	struct stw_str text = stw_msg_text(msg, msg->uri_at, msg->uri_len);

	msg->has_uri = stw_uri_parse(text, &msg->uri) == 0 && !msg->uri.headers.len;
	if (msg->has_uri)
		return;
	CLEAR(msg->uri);
	check->failed = true;
	fault_note(msg, check->fault, msg->uri_at, STW_HDR_UNKNOWN, &stw_cause_bad_request_uri);
}

/* A number above 255 counts as absent (RFC 4475 §3.1.2.4), what is no number does not. */
static void max_forwards_check(struct check *check)
{
	uint64_t number;
	int err = stw_msg_number(check->msg, STW_HDR_MAX_FORWARDS, 255, &number);

	check->msg->max_forwards = err < 0 ? -1 : (int16_t)number;
	if (err == -EBADMSG)
		check_fault(check, STW_HDR_MAX_FORWARDS, &stw_cause_bad_max_forwards);
}

int stw_msg_check(struct stw_msg *msg, struct stw_fault *fault)
{
	struct check check = { msg, fault, msg->has_fault };

	if (!msg->has_fault)
		*fault = (struct stw_fault){ 0 };
	via_check(&check);
	from_check(&check);
	to_check(&check);
	call_id_check(&check);
	cseq_check(&check);
	if (msg->is_request) {
		uri_check(&check);
		max_forwards_check(&check);
	} else {
		uri_clear(&msg->uri);
	}
	return check.failed ? -EBADMSG : 0;
}
