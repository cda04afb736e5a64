/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#include "usual.h"

/* IPv4address = 1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT, each below 256. @return the byte
 * behind, NULL when there is none */
static const char *ipv4_read(const char *at, const char *end, uint8_t ret_bytes[4])
{
	unsigned number, digit, i;
	const char *start;

	for (i = 0; i < 4; i++) {
		if (i > 0 && (at == end || *at++ != '.'))
			return NULL;
		start = at;
		for (number = 0; at < end && (digit = (unsigned)(*at - '0')) <= 9; at++) {
			number = number * 10 + digit;
			if (number > 255)
				return NULL;
		}
		if (at == start || at > start + 3)
			return NULL;
		ret_bytes[i] = (uint8_t)number;
	}
	return at;
}

bool usual_ipv4(const char *at, size_t len, const char *end)
{
	size_t room = (size_t)(end - at), before = room < 16 ? 16 - room : 0;
	uint64_t digits, dots, high, threes, first = UINT64_C(1) << before, behind;
	const char *number;

	if (len > 15)
		return false;
	at -= before;
	behind = first << len;
	digits = digits_of_16(at, &dots, &high) & (behind - first);
	dots &= behind - first;
	threes = digits & digits >> 1 & digits >> 2;
	/* No other byte, no digits of four, no dot at an end or beside another … */
	if ((digits | dots) != behind - first || (threes & digits >> 3) ||
		((dots << 1 | first) & (dots | behind)))
		return false;
	dots &= dots - 1; /* … and three of them. */
	dots &= dots - 1;
	if (!dots || (dots & (dots - 1)))
		return false;
	for (threes &= high; threes; threes &= threes - 1) { /* 200 and more */
		number = at + bit_first(threes);
		if ((number[0] * 10 + number[1]) * 10 + number[2] > 255 + '0' * 111)
			return false;
	}
	return true;
}

static int ipv4_parse(struct stw_str text, uint8_t ret_bytes[4])
{
	const char *end = text.ptr + text.len;

	return ipv4_read(text.ptr, end, ret_bytes) == end ? 0 : -EBADMSG;
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
 * digit in the last label if it is not all digits (RFC 1123 §2.1). @return the byte behind, NULL
 * when there is none
 */
static const char *hostname_read(const char *at, const char *end)
{
	const char *start, *label_end;

	for (;;) {
		start = at;
		label_end = at = run_end(at, end, CHAR_LABEL);
		if (at == start || *start == '-' || at[-1] == '-')
			return NULL;
		if (at == end || *at != '.')
			break;
		at++;
		if (at == end || (!char_is(*at, CHAR_LABEL) && *at != '.'))
			break;
	}
	if (char_is(*start, CHAR_DIGIT) && run_end(start, label_end, CHAR_DIGIT) == label_end)
		return NULL;
	return at;
}

/* IPv6reference = "[" IPv6address "]" */
static const char *ipv6_reference_read(const char *at, const char *end, struct stw_str *ret)
{
	const char *close = memchr(at, ']', (size_t)(end - at));
	uint8_t bytes[16];

	if (!close)
		return NULL;
	*ret = (struct stw_str){ at + 1, (size_t)(close - at - 1) };
	return ipv6_parse(*ret, bytes) == 0 ? close + 1 : NULL;
}

static const char *host_read(
	const char *at, const char *end, struct stw_str *ret, enum stw_host_kind *ret_kind)
{
	const char *behind;
	uint8_t bytes[4];

	if (at == end)
		return NULL;
	if (*at == '[') {
		*ret_kind = STW_HOST_IPV6;
		return ipv6_reference_read(at, end, ret);
	}
	*ret_kind = STW_HOST_IPV4;
	behind = char_is(*at, CHAR_DIGIT) ? ipv4_read(at, end, bytes) : NULL;
	if (!behind || (behind < end && (char_is(*behind, CHAR_LABEL) || *behind == '.'))) {
		*ret_kind = STW_HOST_NAME;
		behind = hostname_read(at, end);
	}
	if (behind)
		*ret = (struct stw_str){ at, (size_t)(behind - at) };
	return behind;
}

int stw_host_parse(struct stw_str text, struct stw_str *ret, enum stw_host_kind *ret_kind)
{
	enum stw_host_kind kind;
	struct stw_str host;

	if (!text.len ||
		host_read(text.ptr, text.ptr + text.len, &host, &kind) != text.ptr + text.len)
		return -EBADMSG;
	*ret = host;
	*ret_kind = kind;
	return 0;
}

struct stw_str stw_host_relative(struct stw_str host)
{
	return host.len > 1 && host.ptr[host.len - 1] == '.' ? stw_str_cut(host, 0, host.len - 1)
							     : host;
}

/* port = 1*DIGIT, 1 to 65535 */
static const char *port_read(const char *at, const char *end, uint16_t *ret)
{
	unsigned number = 0, digit;

	for (; at < end && (digit = (unsigned)(*at - '0')) <= 9; at++) {
		number = number * 10 + digit;
		if (number > UINT16_MAX)
			return NULL;
	}
	*ret = (uint16_t)number;
	return number ? at : NULL;
}

const char *hostport_read(const char *at, const char *end, bool lws, struct hostport *ret)
{
	const char *colon;

	ret->port = 0;
	at = host_read(at, end, &ret->host, &ret->kind);
	if (!at)
		return NULL;
	colon = lws ? lws_end(at, end) : at;
	if (colon == end || *colon != ':')
		return at;
	at = colon + 1;
	return port_read(lws ? lws_end(at, end) : at, end, &ret->port);
}
