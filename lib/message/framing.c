/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message ends in a byte stream, RFC 3261 §18.3. Every byte is looked at once, however the stream
 * is cut: lines are found from where the last call stopped, and a field is read when the line
 * behind it is complete.
 */
#include <strowger/message.h>

#include <errno.h>
#include <string.h>

void stw_framing_init(struct stw_framing *framing)
{
	*framing = (struct stw_framing){ 0 };
}

static struct stw_frame frame_end(
	struct stw_framing *framing, enum stw_frame_kind kind, size_t bytes)
{
	stw_framing_init(framing);
	return (struct stw_frame){ .kind = kind, .bytes = bytes };
}

static struct stw_frame frame_broken(
	struct stw_framing *framing, size_t len, const struct stw_cause *cause)
{
	struct stw_frame frame = { STW_FRAME_BROKEN, framing->headers_end, cause };

	if (!frame.bytes)
		frame.bytes = len;
	stw_framing_init(framing);
	return frame;
}

static const struct stw_frame frame_more = { .kind = STW_FRAME_MORE };

/* Keep-alives (RFC 5626 §3.5.1) and CRLFs that may stand before a start line (RFC 3261 §7.5). */
static struct stw_frame blank_next(struct stw_framing *framing, const char *data, size_t len)
{
	static const char ping[] = "\r\n\r\n";
	size_t same = 0;

	while (same < len && same < 4 && data[same] == ping[same])
		same++;
	if (same == 4)
		return frame_end(framing, STW_FRAME_PING, 4);
	if (same == len)
		return frame_more;
	return frame_end(framing, STW_FRAME_CRLF, 2);
}

/* Digits beyond 32 bits stay the largest number: too large in any case. */
static int length_parse(struct stw_str value, uint32_t *ret)
{
	uint64_t number = UINT32_MAX;
	int err = stw_str_to_uint(value, UINT32_MAX, &number);

	if (err == -EBADMSG)
		return err;
	*ret = err < 0 ? UINT32_MAX : (uint32_t)number;
	return 0;
}

/* RFC 3261 §20.14. `field` is one field with its folds; all but Content-Length is ignored. */
static void length_field(struct stw_framing *framing, struct stw_str field)
{
	size_t colon = stw_str_find(field, ':', 0);
	struct stw_str name = stw_str_trim(stw_str_cut(field, 0, colon));
	struct stw_str value = stw_str_trim(stw_str_cut(field, colon + 1, field.len));
	uint32_t length = 0;

	if (colon == field.len || (!stw_str_equal_nocase(name, STW_STR("Content-Length")) &&
					  !stw_str_equal_nocase(name, STW_STR("l"))))
		return;
	if (framing->fault)
		return;
	if (length_parse(value, &length) < 0)
		framing->fault = &stw_cause_bad_content_length;
	else if (framing->has_length && length != framing->content_length)
		framing->fault = &stw_cause_content_length_twice;
	framing->content_length = length;
	framing->has_length = true;
}

/* The line [line_at, end) is complete: it ends the field before it or continues it (§7.3.1). */
static void header_line(struct stw_framing *framing, const char *data, uint32_t end)
{
	uint32_t at = framing->field_at;
	char first = data[framing->line_at];

	if (first == ' ' || first == '\t')
		return;
	if (at && (data[at] == 'C' || data[at] == 'c' || data[at] == 'L' || data[at] == 'l'))
		length_field(framing, (struct stw_str){ data + at, framing->line_at - at });
	framing->field_at = framing->line_at;
	if (end - framing->line_at == 2)
		framing->headers_end = end;
}

/* Walk over the start line. @return false when the Request-URI is longer than `max_uri` */
static bool start_line(
	struct stw_framing *framing, const char *data, uint32_t len, uint32_t max_uri)
{
	while (framing->scanned < len) {
		char byte = data[framing->scanned++];

		if (byte == '\n' && framing->scanned > 1 && data[framing->scanned - 2] == '\r') {
			framing->line_at = framing->scanned;
			return true;
		}
		if (byte != ' ') {
			if (framing->start_spaces == 1 && ++framing->uri_bytes > max_uri)
				return false;
		} else if (framing->start_spaces == 0 || framing->uri_bytes > 0) {
			framing->start_spaces = framing->start_spaces ? 2 : 1;
		}
	}
	return true;
}

static void header_lines(struct stw_framing *framing, const char *data, uint32_t len)
{
	while (!framing->headers_end && framing->scanned < len) {
		const char *newline = memchr(data + framing->scanned, '\n', len - framing->scanned);

		if (!newline) {
			framing->scanned = len;
			return;
		}
		framing->scanned = (uint32_t)(newline - data) + 1;
		if (newline[-1] != '\r')
			continue;
		header_line(framing, data, framing->scanned);
		framing->line_at = framing->scanned;
	}
}

static struct stw_frame body_next(
	struct stw_framing *framing, size_t len, const struct stw_msg_limits *limits)
{
	uint64_t whole = (uint64_t)framing->headers_end + framing->content_length;

	if (framing->fault)
		return frame_broken(framing, len, framing->fault);
	if (!framing->has_length)
		return frame_broken(framing, len,
			limits->rfc2543 ? &stw_cause_length_required
					: &stw_cause_content_length_missing);
	if (framing->content_length > limits->max_body)
		return frame_broken(framing, len, &stw_cause_body_too_large);
	if (whole > limits->max_message)
		return frame_broken(framing, len, &stw_cause_message_too_large);
	if (len < whole)
		return frame_more;
	return frame_end(framing, STW_FRAME_MESSAGE, (size_t)whole);
}

struct stw_frame stw_framing_next(struct stw_framing *framing, const char *data, size_t len,
	const struct stw_msg_limits *limits)
{
	uint32_t window;

	if (!limits)
		limits = &stw_msg_limits_default;
	if (len == 0)
		return frame_more;
	if (framing->scanned == 0 && data[0] == '\r' && (len == 1 || data[1] == '\n'))
		return blank_next(framing, data, len);

	window = len < limits->max_message ? (uint32_t)len : limits->max_message;
	if (!framing->line_at && !start_line(framing, data, window, limits->max_uri))
		return frame_broken(framing, len, &stw_cause_uri_too_long);
	if (framing->line_at)
		header_lines(framing, data, window);
	if (framing->headers_end)
		return body_next(framing, len, limits);
	if (len > limits->max_message)
		return frame_broken(framing, len, &stw_cause_message_too_large);
	return frame_more;
}
