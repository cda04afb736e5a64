/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small reader of its own: what the message layer does wrong must not look right here. It knows
 * what the phones of the simulation and the server write: folds, compact names, lists.
 */
#include "simulate/internal.h"

#include <string.h>

bool sip_is(struct stw_str text, const char *word)
{
	return stw_str_equal_nocase(text, stw_str_from(word));
}

struct stw_str sip_uri(struct stw_str value)
{
	size_t open = stw_str_find(value, '<', 0), close;

	if (open < value.len) {
		close = stw_str_find(value, '>', open);
		return stw_str_cut(value, open + 1, close);
	}
	return stw_str_trim(stw_str_cut(value, 0, stw_str_find(value, ';', 0)));
}

bool sip_param(struct stw_str value, const char *name, struct stw_str *ret)
{
	size_t at = stw_str_find(value, '>', 0), end, equals, len = strlen(name);
	struct stw_str part;

	if (at == value.len)
		at = 0;
	for (at = stw_str_find(value, ';', at); at < value.len; at = end) {
		end = stw_str_find(value, ';', at + 1);
		part = stw_str_trim(stw_str_cut(value, at + 1, end));
		equals = stw_str_find(part, '=', 0);
		if (equals == len && strncasecmp(part.ptr, name, len) == 0) {
			*ret = stw_str_trim(stw_str_cut(part, equals + 1, part.len));
			if (equals == part.len)
				ret->len = 0;
			return true;
		}
	}
	return false;
}

static const struct {
	const char *name, *compact;
} names[] = {
	{ "Via", "v" },
	{ "From", "f" },
	{ "To", "t" },
	{ "Call-ID", "i" },
	{ "CSeq", "CSeq" },
	{ "Route", "Route" },
	{ "Record-Route", "Record-Route" },
	{ "Contact", "m" },
	{ "Max-Forwards", "Max-Forwards" },
	{ "WWW-Authenticate", "WWW-Authenticate" },
	{ "Proxy-Authenticate", "Proxy-Authenticate" },
	{ "Diversion", "Diversion" },
	{ "RSeq", "RSeq" },
	{ "Priority", "Priority" },
	{ "Request-Disposition", "d" },
	{ "Expires", "Expires" },
};

/* Values of a list, apart at commas outside of quotes and brackets. */
static void take_list(struct stw_str value, struct stw_str *list, unsigned *count)
{
	size_t at, from = 0;
	bool quoted = false, bracket = false;

	for (at = 0; at <= value.len; at++) {
		char byte = at < value.len ? value.ptr[at] : ',';

		if (byte == '"')
			quoted = !quoted;
		else if (byte == '<' || byte == '>')
			bracket = byte == '<';
		if (at < value.len && (byte != ',' || quoted || bracket))
			continue;
		if (*count < VALUES_MAX)
			list[(*count)++] = stw_str_trim(stw_str_cut(value, from, at));
		from = at + 1;
	}
}

static uint64_t number_of(struct stw_str text)
{
	uint64_t number = 0;
	size_t i;

	for (i = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
		number = number * 10 + (uint64_t)(text.ptr[i] - '0');
	return number;
}

static void take_cseq(struct stw_str value, struct sip *ret)
{
	size_t at = 0;

	ret->cseq = (unsigned)number_of(value);
	while (at < value.len && value.ptr[at] >= '0' && value.ptr[at] <= '9')
		at++;
	ret->method = stw_str_trim(stw_str_cut(value, at, value.len));
}

static void take_field(struct stw_str name, struct stw_str value, struct sip *ret)
{
	unsigned i = 0;

	while (i < STW_ARRAY_SIZE(names) && !sip_is(name, names[i].name) &&
		!sip_is(name, names[i].compact))
		i++;
	switch (i) {
	case 0:
		take_list(value, ret->vias, &ret->via_count);
		break;
	case 1:
		ret->from = value;
		break;
	case 2:
		ret->to = value;
		break;
	case 3:
		ret->call_id = value;
		break;
	case 4:
		take_cseq(value, ret);
		break;
	case 5:
		take_list(value, ret->routes, &ret->route_count);
		break;
	case 6:
		take_list(value, ret->record_routes, &ret->record_route_count);
		break;
	case 7:
		take_list(value, ret->contacts, &ret->contact_count);
		break;
	case 8:
		ret->has_max_forwards = true;
		ret->max_forwards = (unsigned)number_of(value);
		break;
	case 9:
	case 10:
		ret->challenge = value;
		ret->proxy_challenge = i == 10;
		break;
	case 11:
		take_list(value, ret->diversions, &ret->diversion_count);
		break;
	case 12:
		ret->rseq = (unsigned)number_of(value);
		break;
	case 13:
		ret->priority = value;
		break;
	case 14:
		ret->disposition = value;
		break;
	case 15:
		ret->expires_s = (unsigned)number_of(value);
		break;
	default:
		break;
	}
}

/* @return the place behind the field that begins at `at`; text.len: no blank line */
static size_t next_field(struct stw_str text, size_t at)
{
	size_t end = at;

	do {
		end = stw_str_find(text, '\n', end);
		if (end == text.len)
			return text.len;
		end++;
	} while (end < text.len && (text.ptr[end] == ' ' || text.ptr[end] == '\t'));
	return end;
}

static bool take_start(struct stw_str start, struct sip *ret)
{
	size_t first = stw_str_find(start, ' ', 0), second = stw_str_find(start, ' ', first + 1);

	ret->start = start;
	if (first == start.len)
		return false;
	if (stw_str_starts(start, STW_STR("SIP/2.0 "))) {
		ret->code = (unsigned)number_of(stw_str_cut(start, 8, start.len));
		return true;
	}
	ret->request = true;
	ret->uri = stw_str_cut(start, first + 1, second);
	return second < start.len;
}

bool sip_read(struct stw_str text, struct sip *ret)
{
	size_t at = 0, end, colon;
	struct stw_str field, via;

	memset(ret, 0, sizeof(*ret));
	end = stw_str_find(text, '\n', 0);
	if (end == text.len || !take_start(stw_str_trim(stw_str_cut(text, 0, end)), ret))
		return false;
	for (at = end + 1; at < text.len && text.ptr[at] != '\r'; at = end) {
		end = next_field(text, at);
		field = stw_str_cut(text, at, end);
		colon = stw_str_find(field, ':', 0);
		if (colon == field.len)
			return false;
		take_field(stw_str_trim(stw_str_cut(field, 0, colon)),
			stw_str_trim(stw_str_cut(field, colon + 1, field.len)), ret);
	}
	if (at + 2 > text.len || !ret->via_count || !ret->from.len || !ret->to.len ||
		!ret->call_id.len || !ret->method.len)
		return false;
	ret->body = stw_str_cut(text, at + 2, text.len);
	sip_param(ret->from, "tag", &ret->from_tag);
	sip_param(ret->to, "tag", &ret->to_tag);
	sip_param(ret->vias[0], "branch", &ret->branch);
	via = stw_str_trim(stw_str_cut(ret->vias[0], 0, stw_str_find(ret->vias[0], ';', 0)));
	at = stw_str_find(via, ' ', 0);
	ret->sent_by = at < via.len ? stw_str_trim(stw_str_cut(via, at, via.len)) : via;
	return true;
}
