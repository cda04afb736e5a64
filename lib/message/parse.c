/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "scan.h"

const struct stw_msg_limits stw_msg_limits_default = {
	.max_message = 256 * 1024,
	.max_uri = 2048,
	.max_body = 128 * 1024,
	.max_headers = STW_MSG_FIELDS_MAX,
	.max_field = 8192,
};

const struct stw_msg_limits stw_msg_limits_none = {
	.max_message = UINT32_MAX,
	.max_uri = UINT32_MAX,
	.max_body = UINT32_MAX,
	.max_headers = UINT32_MAX,
	.max_field = UINT32_MAX,
};

/* State of one pass. */
struct scan {
	struct stw_msg *msg;
	const struct stw_msg_limits *limits;
	struct stw_fault *fault;
	const char *end; /* no byte behind is looked at but the body's */
	unsigned field_max;
	bool has_length; /* Content-Length seen */
	uint64_t length; /* its value; UINT64_MAX: not a number */
};

/* Order of the common front: 505, 414, 413, 513, then all the 400s in the order of their place. */
static unsigned fault_rank(const struct stw_cause *cause)
{
	switch (cause->code) {
	case 505:
		return 1;
	case 414:
		return 2;
	case 413:
		return 3;
	case 513:
		return 4;
	default:
		return 5;
	}
}

void fault_note(const struct stw_msg *msg, struct stw_fault *fault, size_t offset,
	enum stw_header header, const struct stw_cause *cause)
{
	const char *at = msg->data, *end = msg->data + offset;
	unsigned line = 1;

	if (fault->cause && fault_rank(fault->cause) <= fault_rank(cause))
		return;
	for (; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
		line++;
	*fault = (struct stw_fault){ offset, line, header, cause };
}

static void scan_fault(struct scan *scan, const char *at, const struct stw_cause *cause)
{
	scan->msg->has_fault = true;
	fault_note(scan->msg, scan->fault, (size_t)(at - scan->msg->data), STW_HDR_UNKNOWN, cause);
}

/* Is the byte at `at` the second of a quoted-pair (§25.1)? Backslashes before it pair up. */
static bool is_quoted_pair(const char *start, const char *at)
{
	size_t backslashes = 0;

	while (at > start && at[-1] == '\\') {
		backslashes++;
		at--;
	}
	return backslashes % 2;
}

/* A byte that ends no line as it should. @return true when it ends one nevertheless: a bare LF.
 * That is a fault, as are a bare CR and a NUL outside a quoted-pair. */
static bool stop_ends_line(struct scan *scan, const char *start, const char *at)
{
	if (*at != '\r' && *at != '\n' && *at != '\0')
		return false;
	if (*at == '\0' && is_quoted_pair(start, at))
		return false;
	scan_fault(scan, at, &stw_cause_bad_header_syntax);
	return *at == '\n';
}

static inline bool is_crlf(const char *at)
{
	return !memcmp(at, "\r\n", 2);
}

/* The end of the line that starts at `start`; *ret_next is the start of the next one. Without an
 * end of line it is where the bytes end, and that is a fault. */
static const char *line_end(struct scan *scan, const char *start, const char **ret_next)
{
	const char *at;

	for (at = stop_find(start, scan->end); at < scan->end; at = stop_find(at + 1, scan->end)) {
		if (at + 1 < scan->end && is_crlf(at)) {
			*ret_next = at + 2;
			return at;
		}
		if (stop_ends_line(scan, start, at)) {
			*ret_next = at + 1;
			return at;
		}
	}
	scan_fault(scan, at, &stw_cause_bad_header_syntax);
	*ret_next = at;
	return at;
}

/* ---- start line, §7.1 and §7.2 ------------------------------------------------ */

static bool starts_sip(struct stw_str text)
{
	return text.len >= 4 && (text.ptr[0] | 0x20) == 's' && (text.ptr[1] | 0x20) == 'i' &&
	       (text.ptr[2] | 0x20) == 'p' && text.ptr[3] == '/';
}

/* What ends nearly every Request-Line and starts nearly every Status-Line. */
static inline bool is_sip_2_0(const char *at)
{
	return !memcmp(at, "SIP/2.0", 7);
}

/* SIP-Version of `text`, which starts with "SIP/". @return its length; 0 when it is none */
static size_t version_length(struct stw_str text, bool *ret_is_2_0)
{
	size_t major = char_run(text, 4, CHAR_DIGIT);
	size_t minor = char_at(text, 4 + major, '.') ? char_run(text, 5 + major, CHAR_DIGIT) : 0;

	if (!major || !minor)
		return 0;
	*ret_is_2_0 = major == 1 && minor == 1 && text.ptr[4] == '2' && text.ptr[6] == '0';
	return 5 + major + minor;
}

/* Status-Line = SIP-Version SP Status-Code SP Reason-Phrase; the SP behind the code may be missing.
 */
static void status_line_read(struct scan *scan, struct stw_str line)
{
	struct stw_msg *msg = scan->msg;
	bool is_2_0 = line.len > 7 && is_sip_2_0(line.ptr) && line.ptr[7] == ' ';
	size_t at = is_2_0 ? 7 : version_length(line, &is_2_0);
	unsigned code;

	if (at && !is_2_0)
		scan_fault(scan, line.ptr, &stw_cause_version_not_supported);
	if (!at || !char_at(line, at, ' ') || char_run(line, at + 1, CHAR_DIGIT) != 3 ||
		(line.len > at + 4 && line.ptr[at + 4] != ' ')) {
		scan_fault(scan, line.ptr + at, &stw_cause_bad_status_line);
		return;
	}
	code = (unsigned)(line.ptr[at + 1] - '0') * 100 + (unsigned)(line.ptr[at + 2] - '0') * 10 +
	       (unsigned)(line.ptr[at + 3] - '0');
	if (code < 100 || code > 699) {
		scan_fault(scan, line.ptr + at + 1, &stw_cause_bad_status_line);
		return;
	}
	msg->code = (uint16_t)code;
	msg->phrase_at = (uint32_t)(line.len > at + 4 ? at + 5 : line.len);
	msg->phrase_len = (uint32_t)line.len - msg->phrase_at;
}

/* Where the last word of the line starts; blanks behind it are not its own (RFC 4475 §3.1.2.10). */
static struct stw_str last_word(struct stw_str line)
{
	size_t end = line.len, start;

	while (end && char_is(line.ptr[end - 1], CHAR_LWS))
		end--;
	for (start = end; start && line.ptr[start - 1] != ' '; start--)
		;
	return str_part(line, start, end);
}

/* No SIP-Version ends the line: only one that starts as a SIP request does is worth an answer. */
static int not_sip(struct scan *scan, struct stw_str line, enum stw_method method)
{
	if (method == STW_METHOD_UNKNOWN) {
		scan->fault->cause = NULL;
		scan_fault(scan, line.ptr, &stw_cause_not_sip);
		return -EAGAIN;
	}
	scan_fault(scan, line.ptr + line.len, &stw_cause_bad_request_line);
	return 0;
}

/* The token at the start. */
static size_t method_length(struct stw_str line, enum stw_method *ret)
{
	size_t len = char_run(line, 0, CHAR_TOKEN);

	*ret = stw_method_from(str_part(line, 0, len));
	return len;
}

/* As request_line_read() for nearly all: a known method, one blank, a URI, " SIP/2.0". @return
 * false: it is none of these */
static INLINE bool request_line_usual(struct scan *scan, const char *line, size_t len)
{
	static const char version[] = { ' ', 'S', 'I', 'P', '/', '2', '.', '0' };
	struct stw_msg *msg = scan->msg;
	enum stw_method method;
	size_t uri_at, uri_len;

	if (len < 16 + sizeof(version) ||
		memcmp(line + len - sizeof(version), version, sizeof(version)) != 0)
		return false;
	uri_at = find_in_16(line, ' ') + 1;
	method = method_from((struct stw_str){ line, uri_at - 1 });
	uri_len = len - sizeof(version) - uri_at;
	if (method == STW_METHOD_UNKNOWN || uri_len > scan->limits->max_uri ||
		line[uri_at] == ' ' || line[uri_at + uri_len - 1] == ' ')
		return false;
	msg->method = method;
	msg->method_len = (uint32_t)uri_at - 1;
	msg->uri_at = (uint32_t)uri_at;
	msg->uri_len = (uint32_t)uri_len;
	return true;
}

/* Request-Line = Method SP Request-URI SP SIP-Version; blanks within the URI are its own fault. */
static __attribute__((noinline)) int request_line_read(struct scan *scan, struct stw_str line)
{
	struct stw_msg *msg = scan->msg;
	struct stw_str version = last_word(line), uri = str_none();
	enum stw_method method;
	size_t method_len = method_length(line, &method);
	bool is_2_0 = version.len == 7 && is_sip_2_0(version.ptr);
	size_t version_at = (size_t)(version.ptr - line.ptr);

	if (!starts_sip(version) || version_at == 0)
		return not_sip(scan, line, method);
	if (method_len && char_at(line, method_len, ' ') && method_len + 1 < version_at)
		uri = str_part(line, method_len + 1, version_at - 1);
	msg->method_len = (uint32_t)method_len;
	msg->method = method;
	msg->uri_at = (uint32_t)(uri.ptr ? uri.ptr - line.ptr : 0);
	msg->uri_len = (uint32_t)uri.len;

	if (!is_2_0 && version_length(version, &is_2_0) != version.len)
		scan_fault(scan, version.ptr, &stw_cause_bad_request_line);
	else if (!is_2_0)
		scan_fault(scan, version.ptr, &stw_cause_version_not_supported);
	if (uri.len > scan->limits->max_uri)
		scan_fault(scan, uri.ptr, &stw_cause_uri_too_long);
	if (!uri.len || uri.ptr[0] == ' ' || uri.ptr[uri.len - 1] == ' ')
		scan_fault(scan, line.ptr + method_len, &stw_cause_bad_request_line);
	if (version.ptr + version.len != line.ptr + line.len)
		scan_fault(scan, version.ptr + version.len, &stw_cause_bad_request_line);
	return 0;
}

static INLINE int start_line_read(struct scan *scan, const char *end, const char *next)
{
	struct stw_msg *msg = scan->msg;
	struct stw_str line = { msg->data, (size_t)(end - msg->data) };

	msg->start_len = (uint32_t)line.len;
	msg->headers_at = (uint32_t)(next - msg->data);
	msg->is_request = !starts_sip(line);
	if (msg->is_request)
		return request_line_usual(scan, line.ptr, line.len) ? 0
								    : request_line_read(scan, line);
	status_line_read(scan, line);
	return 0;
}

/* ---- header fields, §7.3 -------------------------------------------------------- */

/* Repeating these harms nobody: they inform people or are not used here (§8.2.2, §16.3). */
static bool may_repeat(enum stw_header header)
{
	switch (header) {
	case STW_HDR_DATE:
	case STW_HDR_MIME_VERSION:
	case STW_HDR_MIN_EXPIRES:
	case STW_HDR_ORGANIZATION:
	case STW_HDR_PRIORITY:
	case STW_HDR_REPLY_TO:
	case STW_HDR_RETRY_AFTER:
	case STW_HDR_SERVER:
	case STW_HDR_SUBJECT:
	case STW_HDR_TIMESTAMP:
	case STW_HDR_USER_AGENT:
		return true;
	default:
		return !(stw_header_flags(header) & STW_HDR_SINGLE);
	}
}

static void header_fault(
	struct scan *scan, const struct stw_field *field, const struct stw_cause *cause)
{
	scan->msg->has_fault = true;
	fault_note(scan->msg, scan->fault, field->start, (enum stw_header)field->header, cause);
}

static INLINE void content_length_read(struct scan *scan, const struct stw_field *field)
{
	int err;

	if (scan->has_length) {
		header_fault(scan, field, &stw_cause_content_length_twice);
		return;
	}
	scan->has_length = true;
	err = uint_read(stw_field_value(scan->msg, field), UINT32_MAX, &scan->length);
	if (err == -ERANGE)
		scan->length = UINT32_MAX;
	if (err != 0 && err != -ERANGE) {
		scan->length = UINT64_MAX;
		header_fault(scan, field, &stw_cause_bad_content_length);
	}
}

/* A field that is not the first of its kind, or is the Content-Length. */
static __attribute__((noinline)) void field_judge(struct scan *scan, const struct stw_field *field)
{
	if (field->header == STW_HDR_CONTENT_LENGTH)
		content_length_read(scan, field);
	else if (!may_repeat((enum stw_header)field->header))
		header_fault(scan, field, &stw_cause_header_repeated);
}

/* A field joins the index if there is room. */
static void field_add(struct scan *scan, const struct stw_field *field)
{
	struct stw_msg *msg = scan->msg;
	uint16_t *first = &msg->first[field->header];

	if (field->end - field->start > scan->limits->max_field)
		header_fault(scan, field, &stw_cause_header_too_large);
	if (*first || field->header == STW_HDR_CONTENT_LENGTH)
		field_judge(scan, field);
	if (msg->field_count == scan->field_max) {
		header_fault(scan, field, &stw_cause_too_many_headers);
		return;
	}
	msg->fields[msg->field_count++] = *field;
	if (*first)
		*first |= STW_MSG_REPEATED;
	else if (field->header)
		*first = msg->field_count;
}

/* Any name, with the LWS behind it. @return where its colon should be */
static const char *name_read(struct scan *scan, const char *start, struct stw_str *ret)
{
	const char *at = start;

	while (at < scan->end && char_is(*at, CHAR_TOKEN))
		at++;
	*ret = (struct stw_str){ start, (size_t)(at - start) };
	while (at < scan->end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

/* message-header = field-name HCOLON field-value; its lines go on to the first that is followed by
 * no continuation (§7.3.1). @return the start of what follows */
static __attribute__((noinline)) const char *field_read(struct scan *scan, const char *start)
{
	const char *data = scan->msg->data, *next, *end, *value, *at;
	struct stw_field field;
	struct stw_str name;

	at = name_read(scan, start, &name);
	end = line_end(scan, start, &next);
	while (next < scan->end && (*next == ' ' || *next == '\t'))
		end = line_end(scan, next, &next);
	if (!name.len || at >= end || *at != ':') {
		scan_fault(scan, at, &stw_cause_bad_header_syntax);
		return next;
	}
	if (name.len > UINT16_MAX) {
		scan_fault(scan, at, &stw_cause_header_too_large);
		return next;
	}

	for (value = at + 1; value < end && char_is(*value, CHAR_LWS); value++)
		;
	while (end > value && char_is(end[-1], CHAR_LWS))
		end--;
	field = (struct stw_field){ .start = (uint32_t)(start - data),
		.value = (uint32_t)(value - data),
		.value_len = (uint32_t)(end - value),
		.end = (uint32_t)(next - data),
		.name_len = (uint16_t)name.len,
		.header = (uint16_t)stw_header_from(name) };
	field_add(scan, &field);
	return next;
}

/* As name_known() for compact forms and for names with their colon in these 32 bytes. */
static __attribute__((noinline)) enum stw_header name_other(const char *start, size_t room)
{
	const struct known_name *known;
	enum stw_header header;
	const char *colon;

	if (start[1] == ':')
		return (enum stw_header)name_tables.compacts[(uint8_t)*start];
	if (room < 32)
		return STW_HDR_UNKNOWN;
	colon = start + 16 + find_in_16(start + 16, ':');
	if (colon - start > NAME_BYTES_MAX)
		return STW_HDR_UNKNOWN;
	header = (enum stw_header)name_tables.long_slots[name_slot(start, colon)];
	known = &name_tables.known[header];
	if (!name_bytes_are(start, known, 0) || !name_bytes_are(start, known, 16))
		return STW_HDR_UNKNOWN;
	return header;
}

/* Does a header field start here whose name is known at once, with its colon right behind it?
 * `room`: bytes that may be read, 16 or more; before it there is a start line. */
static INLINE bool name_known(const char *start, size_t room, const char **ret_colon, size_t *ret)
{
	size_t len = find_in_16(start, ':'); /* 16: no name of the short ones equals these bytes */

	*ret_colon = start + len;
	*ret = name_tables.slots[name_slot(start, *ret_colon)];
	if (LIKELY(name_bytes_are(start, &name_tables.known[*ret], 0)))
		return true;
	*ret = name_other(start, room);
	*ret_colon = start + (start[1] == ':' ? 1 : stw_header_name((enum stw_header) * ret).len);
	return *ret;
}

/* As field_read() for what nearly all fields are: a known name, its colon, at most one blank, a
 * value, CRLF at `end`, and no fold behind it. @return false: it is none of these */
static INLINE bool field_read_usual(const char *data, size_t len, size_t at, size_t end,
	struct stw_field *ret, size_t *ret_header)
{
	const char *start = data + at, *colon, *value;

	if (UNLIKELY(!name_known(start, len - at, &colon, ret_header) || !is_crlf(data + end)))
		return false;
	value = colon + 2;
	if (UNLIKELY(colon[1] != ' '))
		value = colon + 1;
	if (UNLIKELY((uint8_t)*value <= ' ' || (uint8_t)data[end - 1] <= ' '))
		return false;
	ret->start = (uint32_t)at;
	ret->value = (uint32_t)(value - data);
	ret->value_len = (uint32_t)end - ret->value;
	ret->name_len = (uint16_t)(colon - start);
	ret->header = (uint16_t)*ret_header;
	return true;
}

/* How far the index may be filled without a look at the limits: no field may be too large. */
static unsigned usual_max(const struct scan *scan)
{
	bool may_be_large = (size_t)(scan->end - scan->msg->data) > scan->limits->max_field;

	return may_be_large ? 0 : scan->field_max;
}

/* The first Content-Length, if the fields of usual form have brought it. */
static INLINE void length_settle(struct scan *scan)
{
	unsigned first = scan->msg->first[STW_HDR_CONTENT_LENGTH] & ~STW_MSG_REPEATED;

	if (first && !scan->has_length)
		content_length_read(scan, &scan->msg->fields[first - 1]);
}

/* A field of usual form that is not the first of its kind. */
static __attribute__((noinline)) void field_again(struct scan *scan, const struct stw_field *field)
{
	if (header_flags[field->header] & STW_HDR_SINGLE) {
		length_settle(scan); /* its fault comes first */
		field_judge(scan, field);
	}
	scan->msg->first[field->header] |= STW_MSG_REPEATED;
}

/* The ends of lines from `at` on, if there is room for a field of usual form. */
static INLINE bool ends_from(const struct scan *scan, const char *at, struct ends *ret)
{
	const char *data = scan->msg->data;

	if (scan->end - at < NAME_BYTES_SHORT + 1) {
		*ret = (struct ends){ 0 };
		return false;
	}
	ends_init(ret, data, (size_t)(scan->end - data), (size_t)(at - data));
	return true;
}

/* All fields from `start` up to one that is not usual. @return where that starts, or what follows
 */
static INLINE const char *fields_read_usual(struct scan *scan, struct ends ends, const char *start)
{
	struct stw_msg *const msg = scan->msg;
	const char *const data = msg->data;
	const size_t len = (size_t)(scan->end - data);
	struct stw_field *field = msg->fields + msg->field_count;
	size_t count = msg->field_count, max = usual_max(scan);
	size_t at = (size_t)(start - data), line_end, header;
	uint16_t *first;

	while (count < max && at + NAME_BYTES_SHORT + 1 <= len) {
		line_end = ends_next(&ends, at);
		if (UNLIKELY(!field_read_usual(data, len, at, line_end, field, &header)))
			break;
		if (UNLIKELY((uint8_t)data[line_end + 2] <= ' ')) {
			if (data[line_end + 2] != '\r') /* a fold */
				break;
			max = count; /* the last */
		}
		at = line_end + 2;
		field->end = (uint32_t)at;
		first = &msg->first[header];
		count++;
		if (LIKELY(!*first))
			*first = (uint16_t)count;
		else
			field_again(scan, field);
		field++;
	}
	msg->field_count = (uint16_t)count;
	length_settle(scan);
	return data + at;
}

/* @return the first byte of the body; NULL when no blank line ends the header fields */
static INLINE const char *fields_read(struct scan *scan, struct ends ends, const char *at)
{
	while (at < scan->end) {
		at = fields_read_usual(scan, ends, at);
		if (*at == '\r' && at + 1 < scan->end && at[1] == '\n')
			return at + 2;
		if (*at == '\n') {
			scan_fault(scan, at, &stw_cause_bad_header_syntax);
			return at + 1;
		}
		at = field_read(scan, at);
		ends_from(scan, at, &ends);
	}
	scan_fault(scan, at, &stw_cause_bad_header_syntax);
	return NULL;
}

/* The end of the start line, as line_end(); `ends` goes on behind it. */
static INLINE const char *start_line_end(
	struct scan *scan, struct ends *ends, const char **ret_next)
{
	const char *line;

	if (LIKELY(ends_from(scan, scan->msg->data, ends))) {
		line = scan->msg->data + ends_next(ends, 0);
		*ret_next = line + 2;
		if (LIKELY(is_crlf(line)))
			return line;
	}
	line = line_end(scan, scan->msg->data, ret_next);
	ends_from(scan, *ret_next, ends);
	return line;
}

/* ---- body, §7.4, §18.3 ------------------------------------------------------------ */

static INLINE void body_read(struct scan *scan, const char *body, size_t len)
{
	struct stw_msg *msg = scan->msg;
	uint64_t rest = len - (size_t)(body - msg->data), body_len = rest;

	if (scan->has_length)
		body_len = scan->length == UINT64_MAX ? 0 : scan->length;
	if (body_len > scan->limits->max_body)
		scan_fault(scan, body, &stw_cause_body_too_large);
	if (body_len > rest)
		scan_fault(scan, msg->data + len, &stw_cause_body_incomplete);
	msg->body_at = (uint32_t)(body - msg->data);
	msg->body_len = (uint32_t)(body_len < rest ? body_len : rest);
	msg->len = msg->body_at + msg->body_len;
	if (msg->len > scan->limits->max_message)
		scan_fault(scan, body, &stw_cause_message_too_large);
}

/* What stw_msg_check() decodes is not cleared here: it does that itself where it decodes nothing.
 * In pieces that are a few stores each. */
static INLINE void msg_clear(struct stw_msg *msg, const char *data)
{
	const size_t half = STW_HEADERS / 2;

	msg->data = data;
	memset(&msg->len, 0, offsetof(struct stw_msg, fields) - offsetof(struct stw_msg, len));
	msg->field_count = 0;
	memset(msg->first, 0, half * sizeof(*msg->first));
	memset(msg->first + half, 0, (STW_HEADERS - half) * sizeof(*msg->first));
	msg->has_via = msg->has_from = msg->has_to = false;
	msg->has_call_id = msg->has_cseq = msg->has_uri = msg->has_fault = false;
}

/* Room in the index: what the caller gave, what is allowed, and a number leaves the mark free. */
static unsigned field_max(const struct stw_msg *msg, const struct stw_msg_limits *limits)
{
	uint32_t max = msg->field_capacity < limits->max_headers ? msg->field_capacity
								 : limits->max_headers;

	return max < STW_MSG_REPEATED ? max : STW_MSG_REPEATED - 1;
}

uint16_t stw_msg_lines(const char *data, size_t len)
{
	const char *end = data + len, *at = data;
	unsigned n = 0;

	while (at < end && *at != '\r' && *at != '\n' && n < STW_MSG_REPEATED - 1) {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at ? at + 1 : end;
		n++;
	}
	return (uint16_t)n;
}

int stw_msg_parse(struct stw_msg *msg, const char *data, size_t len,
	const struct stw_msg_limits *limits, struct stw_fault *fault)
{
	struct scan scan;
	const char *line, *next, *body;
	struct ends ends;
	int err;

	scan.msg = msg;
	scan.limits = limits ? limits : &stw_msg_limits_default;
	scan.fault = fault;
	scan.has_length = false;
	scan.length = 0;
	/* §7.5: CRLF before the start line is ignored. */
	for (; len >= 2 && data[0] == '\r' && data[1] == '\n'; len -= 2)
		data += 2;
	msg_clear(msg, data);
	fault->cause = NULL;
	if (len > UINT32_MAX)
		len = UINT32_MAX;
	if (!len || !char_is(data[0], CHAR_TOKEN)) {
		scan_fault(&scan, data, &stw_cause_not_sip);
		return -EAGAIN;
	}

	scan.end = data + (len < scan.limits->max_message ? len : scan.limits->max_message);
	scan.field_max = field_max(msg, scan.limits);
	line = start_line_end(&scan, &ends, &next);
	err = start_line_read(&scan, line, next);
	if (err < 0)
		return err;
	body = fields_read(&scan, ends, next);
	if (body) {
		body_read(&scan, body, len);
	} else {
		msg->len = (uint32_t)(scan.end - data);
		msg->body_at = msg->len;
		if (msg->len < len)
			scan_fault(&scan, scan.end, &stw_cause_message_too_large);
	}
	return msg->has_fault ? -EBADMSG : 0;
}
