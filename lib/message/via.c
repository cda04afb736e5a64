/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "usual.h"

/* token SWS at `at`, moved behind both. @return the token; empty when there is none */
static struct stw_str token_take(struct stw_str value, size_t *at)
{
	size_t start = lws_skip(value, *at), len = char_run(value, start, CHAR_TOKEN);

	*at = lws_skip(value, start + len);
	return str_part(value, start, start + len);
}

/* What nearly all write, and the one LWS behind it. */
static const char usual_protocol[] = { 'S', 'I', 'P', '/', '2', '.', '0', '/' };

/* sent-protocol = protocol-name SLASH protocol-version SLASH transport. Any name and version will
 * do: a 505 travels back along a Via of that version (RFC 4475 §3.1.2.16). */
static int sent_protocol_parse(struct stw_str value, size_t *at, struct stw_via *via)
{
	if (value.len > sizeof(usual_protocol) &&
		!memcmp(value.ptr, usual_protocol, sizeof(usual_protocol)))
		*at = sizeof(usual_protocol);
	else if (!token_take(value, at).len || !char_at(value, (*at)++, '/') ||
		 !token_take(value, at).len || !char_at(value, (*at)++, '/'))
		return -EBADMSG;
	via->transport = token_take(value, at);
	/* LWS stands between transport and sent-by. */
	return via->transport.len && via->transport.ptr + via->transport.len < value.ptr + *at
		       ? 0
		       : -EBADMSG;
}

/* An address with the brackets that some put around IPv6 (RFC 5118 §4.5) or without, or a host. */
static int via_host_parse(struct stw_str value, struct stw_str *ret)
{
	enum stw_host_kind kind;
	uint8_t bytes[16];

	if (stw_host_parse(value, ret, &kind) == 0)
		return 0;
	if (ipv6_parse(value, bytes) < 0)
		return -EBADMSG;
	*ret = value;
	return 0;
}

/* response-port = "rport" [EQUAL 1*DIGIT], RFC 3581 §5 */
static int rport_parse(struct stw_str name, struct stw_str value, struct stw_via *via)
{
	uint64_t port = 0;

	via->is_stamped |= via->has_rport || value.ptr;
	if (via->has_rport) {
		via->repeated = true;
		return 0;
	}
	if (value.ptr && stw_str_to_uint(value, UINT16_MAX, &port) < 0)
		return -EBADMSG;
	via->has_rport = true;
	via->rport_at = (uint32_t)(name.ptr + name.len - via->text.ptr);
	via->rport = (uint16_t)port;
	return 0;
}

static int branch_take(struct stw_str value, struct stw_via *via)
{
	if (!value.ptr || value.ptr[0] == '"')
		return -EBADMSG;
	if (via->branch.ptr)
		via->repeated = true;
	else
		via->branch = value;
	return 0;
}

static struct stw_str without_quotes(struct stw_str value)
{
	bool quoted = value.len >= 2 && value.ptr[0] == '"';

	return quoted ? stw_str_cut(value, 1, value.len - 1) : value;
}

static void oc_take(struct stw_str value, struct stw_via *via)
{
	if (!via->has_oc)
		via->oc = value;
	via->has_oc = true;
}

/* Whoever receives a request writes this anew (§18.2.1): no address counts as none. */
static void received_take(struct stw_str value, struct stw_via *via)
{
	via->is_stamped = true;
	if (via->received.ptr)
		via->repeated = true;
	else
		via_host_parse(value, &via->received);
}

static int maddr_parse(struct stw_str value, struct stw_via *via)
{
	if (!via->maddr.ptr)
		return via_host_parse(value, &via->maddr);
	via->repeated = true;
	return 0;
}

/* via-params. Of a repeated parameter the first counts. */
static __attribute__((noinline)) int via_param_parse(
	struct stw_str name, struct stw_str value, struct stw_via *via)
{
	switch (name.len) {
	case 2:
		if (name_is_word(name, "oc", 2))
			oc_take(value, via);
		return 0;
	case 5:
		if (name_is_word(name, "rport", 5))
			return rport_parse(name, value, via);
		if (name_is_word(name, "maddr", 5))
			return maddr_parse(value, via);
		return 0;
	case 6:
		return name_is_word(name, "branch", 6) ? branch_take(value, via) : 0;
	case 7:
		if (name_is_word(name, "oc-algo", 7) && !via->oc_algo.ptr)
			via->oc_algo = without_quotes(value);
		return 0;
	case 8:
		if (name_is_word(name, "received", 8))
			received_take(value, via);
		return 0;
	default:
		return 0;
	}
}

bool stw_via_param_is_oc(struct stw_str name)
{
	return (name.len == 2 && stw_str_equal_nocase(name, STW_STR("oc"))) ||
	       stw_str_equal_nocase(stw_str_cut(name, 0, 3), STW_STR("oc-"));
}

/* Do eight bytes end with the last `len` of `word`, which is of eight bytes in lower case? */
static INLINE bool ends_with(uint64_t bytes, const char *word, size_t len)
{
	return (bytes ^ word_read(word, 8)) >> (64 - 8 * len) == 0;
}

/* As via_param_parse() for what nearly all write, by one look at the end of the name. */
static INLINE bool usual_via_param(struct stw_param param, const char *end, struct stw_via *via)
{
	const char *name_end = param.name.ptr + param.name.len;
	uint64_t name = word_read(name_end - 8, 8) | UINT64_C(0x2020202020202020);
	uint32_t port;

	if (ends_with(name, " ;branch", 7) && param.value.ptr && param.value.ptr[0] != '"' &&
		!via->branch.ptr) {
		via->branch = param.value;
		return true;
	}
	if (ends_with(name, "  ;rport", 6) && !via->has_rport) {
		via->has_rport = true;
		via->rport_at = (uint32_t)(name_end - via->text.ptr);
		if (!param.value.ptr)
			return true;
		port = usual_number(param.value.ptr, param.value.ptr + param.value.len);
		via->rport = (uint16_t)port;
		via->is_stamped = true;
		return port <= UINT16_MAX;
	}
	if (ends_with(name, "received", 8) && param.name.len == 8 && param.value.ptr &&
		!via->received.ptr && usual_ipv4(param.value.ptr, param.value.len, end)) {
		via->received = param.value;
		via->is_stamped = true;
		return true;
	}
	return via_param_parse(param.name, param.value, via) == 0;
}

/* As stw_via_parse() for what nearly all are. @return false: it is none of these */
static INLINE bool via_parse_usual(struct stw_str value, struct stw_via *ret)
{
	struct stw_param param;
	struct marks marks;
	const char *at, *start;

	if (value.len < MARKS_BYTES_MIN + sizeof(usual_protocol) ||
		memcmp(value.ptr, usual_protocol, sizeof(usual_protocol)) != 0)
		return false;
	start = value.ptr + sizeof(usual_protocol);
	marks = marks_of(start, value.ptr + value.len);
	at = mark_next(&marks);
	if (at == start || marks.byte != ' ')
		return false;
	ret->text = value;
	ret->transport = (struct stw_str){ start, (size_t)(at - start) };
	start = at + 1;
	at = usual_hostport(&marks, start, &ret->host, &ret->host_kind, &ret->port);
	if (!at)
		return false;
	ret->sent_by = (struct stw_str){ start, (size_t)(at - start) };
	ret->params = (struct stw_str){ at, (size_t)(marks.end - at) };
	/* All behind, in two pieces that are a few stores each. */
	memset(&ret->branch, 0,
		offsetof(struct stw_via, has_rport) - offsetof(struct stw_via, branch));
	memset(&ret->has_rport, 0, sizeof(*ret) - offsetof(struct stw_via, has_rport));
	while (at != marks.end) {
		at = usual_param(&marks, at, &param);
		if (!at || !usual_via_param(param, marks.end, ret))
			return false;
	}
	return true;
}

/* via-parm = sent-protocol LWS sent-by *( SEMI via-params ), RFC 3261 §20.42 */
static __attribute__((noinline)) int via_parse(struct stw_str value, struct stw_via *ret)
{
	struct hostport hostport;
	struct stw_param param;
	const char *start, *end;
	size_t at = 0;
	int more;

	value = str_trim_lws(value);
	*ret = (struct stw_via){ .text = value };
	if (sent_protocol_parse(value, &at, ret) < 0)
		return -EBADMSG;
	start = run_end(value.ptr + at, value.ptr + value.len, CHAR_LWS);
	end = hostport_read(start, value.ptr + value.len, true, &hostport);
	if (!end)
		return -EBADMSG;
	ret->sent_by = (struct stw_str){ start, (size_t)(end - start) };
	ret->host = hostport.host;
	ret->host_kind = hostport.kind;
	ret->port = hostport.port;

	end = run_end(end, value.ptr + value.len, CHAR_LWS);
	at = (size_t)(end - value.ptr);
	ret->params = str_part(value, at, value.len);
	at = 0;
	while ((more = stw_param_next(ret->params, &at, &param)) > 0)
		if (via_param_parse(param.name, param.value, ret) < 0)
			return -EBADMSG;
	return more;
}

int stw_via_parse(struct stw_str value, struct stw_via *ret)
{
	return via_parse_usual(value, ret) ? 0 : via_parse(value, ret);
}
