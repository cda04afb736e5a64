/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <string.h>

/* IPv4address = 1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT, each below 256. */
static int ipv4_parse(struct stw_str text, uint8_t ret_bytes[4])
{
	size_t at = 0, end, i;
	unsigned number;

	for (i = 0; i < 4; i++) {
		end = at + char_run(text, at, CHAR_DIGIT);
		if (end == at || end > at + 3)
			return -EBADMSG;
		for (number = 0; at < end; at++)
			number = number * 10 + (unsigned)(text.ptr[at] - '0');
		if (number > 255)
			return -EBADMSG;
		ret_bytes[i] = (uint8_t)number;
		if (i < 3 && !char_at(text, at++, '.'))
			return -EBADMSG;
	}
	return at == text.len ? 0 : -EBADMSG;
}

/* Of "::" at `at`; 3 for the ":::" that RFC 3261's grammar wants before an IPv4address and that is
 * to be tolerated (RFC 5118 §4.10); 0 when there is none. */
static size_t gap_length(struct stw_str text, size_t at)
{
	if (!char_at(text, at, ':') || !char_at(text, at + 1, ':'))
		return 0;
	if (!char_at(text, at + 2, ':'))
		return 2;
	return char_at(text, at + 3 + char_run(text, at + 3, CHAR_DIGIT), '.') ? 3 : 2;
}

/* One group of IPv6address at `*at`: hex4 gives 2 bytes, a last IPv4address 4. */
static int ipv6_group(struct stw_str text, size_t *at, uint8_t *bytes, size_t room)
{
	size_t len = char_run(text, *at, CHAR_HEX), i;
	unsigned number = 0;

	if (char_at(text, *at + len, '.')) {
		if (room < 4 || ipv4_parse(str_part(text, *at, text.len), bytes) < 0)
			return -EBADMSG;
		*at = text.len;
		return 4;
	}
	if (len < 1 || len > 4 || room < 2)
		return -EBADMSG;
	for (i = 0; i < len; i++)
		number = number << 4 | char_hex(text.ptr[*at + i]);
	bytes[0] = (uint8_t)(number >> 8);
	bytes[1] = (uint8_t)number;
	*at += len;
	return 2;
}

int ipv6_parse(struct stw_str text, uint8_t ret_bytes[16])
{
	uint8_t bytes[16] = { 0 };
	size_t at = gap_length(text, 0), count = 0, gap = at ? 0 : SIZE_MAX, len;
	int group;

	while (at < text.len) {
		group = ipv6_group(text, &at, bytes + count, sizeof(bytes) - count);
		if (group < 0)
			return -EBADMSG;
		count += (size_t)group;
		if (at == text.len)
			break;
		len = gap_length(text, at);
		if (len && gap == SIZE_MAX) {
			gap = count;
			at += len;
		} else if (len || !char_at(text, at, ':') || ++at == text.len) {
			return -EBADMSG;
		}
	}
	if (gap == SIZE_MAX ? count != 16 : count >= 16)
		return -EBADMSG;

	memset(ret_bytes, 0, 16);
	if (gap == SIZE_MAX)
		gap = count;
	memcpy(ret_bytes, bytes, gap);
	memcpy(ret_bytes + 16 - (count - gap), bytes + gap, count - gap);
	return 0;
}

/*
 * hostname = *( domainlabel "." ) toplabel [ "." ]. As senders do: "_" within labels, and a first
 * digit in the last label if it is not all digits (RFC 1123 §2.1).
 */
static bool is_hostname(struct stw_str text)
{
	size_t at = 0, start;
	bool has_letter = false;

	if (text.len && text.ptr[text.len - 1] == '.')
		text.len--;
	do {
		start = at;
		has_letter = false;
		for (; at < text.len && text.ptr[at] != '.'; at++) {
			if (!char_is(text.ptr[at], CHAR_ALPHANUM) && text.ptr[at] != '-' &&
				text.ptr[at] != '_')
				return false;
			has_letter |= !char_is(text.ptr[at], CHAR_DIGIT);
		}
		if (at == start || text.ptr[start] == '-' || text.ptr[at - 1] == '-')
			return false;
	} while (at++ < text.len);
	return has_letter;
}

int stw_host_parse(struct stw_str text, struct stw_str *ret, enum stw_host_kind *ret_kind)
{
	uint8_t bytes[16];

	if (char_at(text, 0, '[')) {
		if (text.ptr[text.len - 1] != ']')
			return -EBADMSG;
		text = str_part(text, 1, text.len - 1);
		if (ipv6_parse(text, bytes) < 0)
			return -EBADMSG;
		*ret_kind = STW_HOST_IPV6;
	} else if (text.len && char_is(text.ptr[0], CHAR_DIGIT) && ipv4_parse(text, bytes) == 0) {
		*ret_kind = STW_HOST_IPV4;
	} else if (is_hostname(text)) {
		*ret_kind = STW_HOST_NAME;
	} else {
		return -EBADMSG;
	}
	*ret = text;
	return 0;
}

int hostport_parse(struct stw_str text, bool lws, struct stw_str *ret_host,
	enum stw_host_kind *ret_kind, uint16_t *ret_port)
{
	size_t end = 0, at;
	uint64_t port = 0;

	if (char_at(text, 0, '['))
		end = stw_str_find(text, ']', 0);
	while (end < text.len && text.ptr[end] != ':' && !char_is(text.ptr[end], CHAR_LWS))
		end++;
	if (stw_host_parse(str_part(text, 0, end), ret_host, ret_kind) < 0)
		return -EBADMSG;

	at = lws ? lws_skip(text, end) : end;
	if (at < text.len) {
		if (text.ptr[at++] != ':')
			return -EBADMSG;
		at = lws ? lws_skip(text, at) : at;
		if (stw_str_to_uint(str_part(text, at, text.len), UINT16_MAX, &port) < 0 || !port)
			return -EBADMSG;
	}
	*ret_port = (uint16_t)port;
	return 0;
}
