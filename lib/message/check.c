/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#include "marks.h"

/* What §8.1.1 demands of every message: each of these leaves its `has_` flag and tells the first
 * fault. A member that is not decoded holds nothing of the message before. */
#define CLEAR(member) memset(&(member), 0, sizeof(member))

static __attribute__((noinline)) void check_fault(struct stw_msg *msg, struct stw_fault *fault,
	enum stw_header header, const struct stw_cause *cause)
{
	const struct stw_field *field = stw_msg_find(msg, header);

	fault_note(msg, fault, field ? field->value : msg->headers_at, header, cause);
}

/* §7.3.1: which of two tags names the dialog, which branch the transaction? In a response they are
 * ours mostly, and some who answer write rport behind ours: there the first one counts. */
static INLINE void params_check(
	struct stw_msg *msg, struct stw_fault *fault, enum stw_header header, bool repeated)
{
	if (UNLIKELY(repeated) && msg->is_request)
		check_fault(msg, fault, header, &stw_cause_parameter_repeated);
}

/* The value of a mandatory field; false when there is none. */
static INLINE bool value_take(struct stw_msg *msg, struct stw_fault *fault, enum stw_header header,
	const struct stw_cause *missing, struct stw_str *ret)
{
	const struct stw_field *field = stw_msg_find(msg, header);

	if (!field) {
		check_fault(msg, fault, header, missing);
		return false;
	}
	*ret = stw_field_value(msg, field);
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

static void via_check(struct stw_msg *msg, struct stw_fault *fault)
{
	const struct stw_str *branch;
	struct stw_str value;

	if (!value_take(msg, fault, STW_HDR_VIA, &stw_cause_missing_via, &value)) {
		CLEAR(msg->via);
		return;
	}
	/* What is read as one value holds no comma that would end it. */
	msg->has_via = stw_via_parse(value, &msg->via) == 0;
	if (!msg->has_via && !via_first_check(msg)) {
		check_fault(msg, fault, STW_HDR_VIA, &stw_cause_bad_via);
		return;
	}
	params_check(msg, fault, STW_HDR_VIA, msg->via.repeated);
	/* RFC 4475 §3.2.1: the cookie alone identifies no transaction. */
	branch = &msg->via.branch;
	if (branch->len == 7 && msg->is_request &&
		stw_str_equal_nocase(*branch, STW_STR("z9hG4bK")))
		check_fault(msg, fault, STW_HDR_VIA, &stw_cause_bad_branch);
}

/* From or To; all of it is 0 when it is missing or malformed. */
static INLINE void address_check(struct stw_msg *msg, struct stw_fault *fault,
	enum stw_header header, const struct stw_cause *missing, const struct stw_cause *bad,
	struct stw_address *ret, bool *ret_has)
{
	struct stw_str value;

	if (value_take(msg, fault, header, missing, &value)) {
		if (LIKELY(stw_address_parse(value, ret) == 0 && !ret->wildcard)) {
			*ret_has = true;
			params_check(msg, fault, header, ret->tag_repeated);
			return;
		}
		check_fault(msg, fault, header, bad);
	}
	CLEAR(*ret);
}

static void from_check(struct stw_msg *msg, struct stw_fault *fault)
{
	address_check(msg, fault, STW_HDR_FROM, &stw_cause_missing_from, &stw_cause_bad_from,
		&msg->from, &msg->has_from);
}

static void to_check(struct stw_msg *msg, struct stw_fault *fault)
{
	address_check(msg, fault, STW_HDR_TO, &stw_cause_missing_to, &stw_cause_bad_to, &msg->to,
		&msg->has_to);
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

static void call_id_check(struct stw_msg *msg, struct stw_fault *fault)
{
	struct stw_str value;

	if (value_take(msg, fault, STW_HDR_CALL_ID, &stw_cause_missing_call_id, &value)) {
		if (LIKELY(is_call_id(value))) {
			msg->has_call_id = true;
			msg->call_id = value;
			return;
		}
		check_fault(msg, fault, STW_HDR_CALL_ID, &stw_cause_bad_call_id);
	}
	msg->call_id = str_none();
}

static void cseq_check(struct stw_msg *msg, struct stw_fault *fault)
{
	struct stw_str value;

	if (value_take(msg, fault, STW_HDR_CSEQ, &stw_cause_missing_cseq, &value)) {
		msg->has_cseq = stw_cseq_parse(value, &msg->cseq) == 0;
		if (!msg->has_cseq)
			check_fault(msg, fault, STW_HDR_CSEQ, &stw_cause_bad_cseq);
	}
	if (!msg->has_cseq)
		CLEAR(msg->cseq);
	else if (!msg->is_request)
		msg->method = msg->cseq.method;
	else if (msg->cseq.method != msg->method ||
		 (msg->method == STW_METHOD_UNKNOWN &&
			 !stw_str_equal(msg->cseq.name, stw_msg_method_name(msg))))
		check_fault(msg, fault, STW_HDR_CSEQ, &stw_cause_cseq_method_mismatch);
}

/* In two pieces that are a few stores each. */
static INLINE void uri_clear(struct stw_uri *uri)
{
	const size_t half = sizeof(*uri) / 2;

	memset(uri, 0, half);
	memset((char *)uri + half, 0, sizeof(*uri) - half);
}

/* §19.1.1, Table 1: a Request-URI has no headers (RFC 4475 §3.1.2.11). */
static void uri_check(struct stw_msg *msg, struct stw_fault *fault)
{
	struct stw_str text = stw_msg_text(msg, msg->uri_at, msg->uri_len);

	if (LIKELY(stw_uri_parse(text, &msg->uri) == 0 && !msg->uri.headers.len)) {
		msg->has_uri = true;
		return;
	}
	CLEAR(msg->uri);
	fault_note(msg, fault, msg->uri_at, STW_HDR_UNKNOWN, &stw_cause_bad_request_uri);
}

/* A number above 255 counts as absent (RFC 4475 §3.1.2.4), what is no number does not. */
static void max_forwards_check(struct stw_msg *msg, struct stw_fault *fault)
{
	uint64_t number;
	int err = stw_msg_number(msg, STW_HDR_MAX_FORWARDS, 255, &number);

	msg->max_forwards = err < 0 ? -1 : (int16_t)number;
	if (err == -EBADMSG)
		check_fault(msg, fault, STW_HDR_MAX_FORWARDS, &stw_cause_bad_max_forwards);
}

int stw_msg_check(struct stw_msg *msg, struct stw_fault *fault)
{
	if (!msg->has_fault)
		fault->cause = NULL;
	via_check(msg, fault);
	from_check(msg, fault);
	to_check(msg, fault);
	call_id_check(msg, fault);
	cseq_check(msg, fault);
	if (msg->is_request) {
		uri_check(msg, fault);
		max_forwards_check(msg, fault);
	} else {
		uri_clear(&msg->uri);
	}
	return fault->cause ? -EBADMSG : 0;
}
