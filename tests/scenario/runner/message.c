/* SPDX-License-Identifier: Apache-2.0 */
/* What a ladder can name in a message, and what it can say about it. */
#include "runner.h"

#include <errno.h>
#include <string.h>

struct stw_str message_name(struct scenario *s, const struct message *message)
{
	const struct stw_msg *msg = &message->msg;

	if (message->kind == MESSAGE_PONG)
		return STW_STR("pong");
	if (message->kind == MESSAGE_CLOSED)
		return STW_STR("closed");
	if (!msg->is_request)
		return print(s, "%u", msg->code);
	return stw_msg_method_name(msg);
}

struct stw_str message_title(struct scenario *s, const struct message *message)
{
	const struct stw_msg *msg = &message->msg;
	struct stw_str name = message_name(s, message);

	if (message->kind != MESSAGE_SIP || !message->parsed)
		return name;
	if (!msg->is_request)
		return print(s, "%.*s %.*s  (%.*s)", STW_STR_ARG(name),
			STW_STR_ARG(stw_msg_phrase(msg)), STW_STR_ARG(msg->cseq.name));
	return print(s, "%.*s %.*s", STW_STR_ARG(name),
		STW_STR_ARG(stw_msg_text(msg, msg->uri_at, msg->uri_len)));
}

bool message_is(const struct message *message, struct stw_str name)
{
	uint64_t code;

	if (message->kind == MESSAGE_PONG)
		return is_word(name, "pong");
	if (message->kind == MESSAGE_CLOSED)
		return is_word(name, "closed");
	if (stw_str_to_uint(name, 699, &code) == 0)
		return !message->msg.is_request && message->msg.code == code;
	return message->msg.is_request && stw_str_equal(stw_msg_method_name(&message->msg), name);
}

struct message *message_last(const struct party *party, struct stw_str name, int from_server)
{
	struct message *message = party->history;

	for (; message; message = message->older) {
		if (message_is(message, name) &&
			(from_server < 0 || message->from_server == (bool)from_server))
			return message;
	}
	return NULL;
}

/* ---- header fields -------------------------------------------------------------------- */

struct place {
	struct stw_str name, sub; /* sub empty: the value itself */
	uint64_t index;           /* 0: not given */
};

static void place_read(struct stw_str path, struct place *ret)
{
	size_t dot = stw_str_find(path, '.', 0), bracket = stw_str_find(path, '[', 0);

	*ret = (struct place){ stw_str_cut(path, 0, dot), stw_str_cut(path, dot + 1, path.len), 0 };
	if (bracket < dot) {
		ret->name = stw_str_cut(path, 0, bracket);
		stw_str_to_uint(stw_str_cut(path, bracket + 1, stw_str_find(path, ']', 0)), 1000,
			&ret->index);
	}
}

/* The values of a header field: of a list each, else each line. @return how many */
static unsigned header_values(
	const struct stw_msg *msg, struct stw_str name, struct stw_str *v, unsigned max)
{
	enum stw_header header = stw_header_from(name);
	const struct stw_field *field;
	struct stw_values values;
	unsigned n = 0;

	if (header == STW_HDR_UNKNOWN) {
		for (field = msg->fields; field < msg->fields + msg->field_count && n < max;
			field++) {
			if (stw_str_equal_nocase(stw_field_name(msg, field), name))
				v[n++] = stw_field_value(msg, field);
		}
		return n;
	}
	if (stw_header_flags(header) & STW_HDR_LIST) {
		values = stw_msg_values(msg, header);
		while (n < max && stw_values_next(&values, &v[n]))
			n++;
		return n;
	}
	for (field = stw_msg_find(msg, header); field && n < max;
		field = stw_msg_find_next(msg, field))
		v[n++] = stw_field_value(msg, field);
	return n;
}

/* "realm" in `Digest realm="a", nonce="b"`. */
static bool challenge_param(struct stw_str value, struct stw_str name, struct stw_str *ret)
{
	struct stw_str item;
	size_t equal;

	value = stw_str_cut(value, stw_str_find(value, ' ', 0), value.len);
	while (next_item(&value, ',', &item)) {
		equal = stw_str_find(item, '=', 0);
		if (stw_str_equal_nocase(stw_str_trim(stw_str_cut(item, 0, equal)), name)) {
			*ret = unquoted(stw_str_trim(stw_str_cut(item, equal + 1, item.len)));
			return true;
		}
	}
	return false;
}

static bool param_of(struct stw_str params, struct stw_str name, struct stw_str *ret)
{
	if (!stw_param_find(params, name, ret))
		return false;
	*ret = ret->ptr ? unquoted(*ret) : STW_STR("");
	return true;
}

static bool value_part(
	enum stw_header header, struct stw_str value, struct stw_str sub, struct stw_str *ret)
{
	struct stw_address address;
	struct stw_via via;
	struct stw_cseq cseq;
	size_t semicolon;

	switch (header) {
	case STW_HDR_VIA:
		if (stw_via_parse(value, &via) < 0)
			return false;
		*ret = via.sent_by;
		if (is_word(sub, "sent-by"))
			return true;
		*ret = via.transport;
		return is_word(sub, "transport") || param_of(via.params, sub, ret);
	case STW_HDR_CSEQ:
		if (stw_cseq_parse(value, &cseq) < 0)
			return false;
		*ret = is_word(sub, "method") ? cseq.name
					      : stw_str_cut(value, 0, stw_str_find(value, ' ', 0));
		return true;
	case STW_HDR_WWW_AUTHENTICATE:
	case STW_HDR_PROXY_AUTHENTICATE:
	case STW_HDR_AUTHENTICATION_INFO:
		return challenge_param(value, sub, ret);
	default:
		break;
	}
	if (stw_address_parse(value, &address) == 0 && address.in_brackets) {
		*ret = address.uri.text;
		return is_word(sub, "uri") || param_of(address.params, sub, ret);
	}
	semicolon = stw_str_find(value, ';', 0);
	*ret = stw_str_trim(stw_str_cut(value, 0, semicolon));
	return is_word(sub, "uri") || param_of(stw_str_cut(value, semicolon, value.len), sub, ret);
}

static bool header_value(
	struct scenario *s, const struct stw_msg *msg, struct stw_str path, struct stw_str *ret)
{
	struct stw_str v[64];
	struct place place;
	unsigned i, n;

	place_read(path, &place);
	n = header_values(msg, place.name, v, STW_ARRAY_SIZE(v));
	if (is_word(place.sub, "count")) {
		*ret = print(s, "%u", n);
		return true;
	}
	if (n == 0 || place.index > n)
		return false;
	if (place.sub.len)
		return value_part(stw_header_from(place.name), v[place.index ? place.index - 1 : 0],
			place.sub, ret);
	*ret = v[place.index ? place.index - 1 : 0];
	for (i = 1; i < n && !place.index; i++)
		*ret = print(s, "%.*s, %.*s", STW_STR_ARG(*ret), STW_STR_ARG(v[i]));
	return true;
}

bool message_value(
	struct scenario *s, const struct message *message, struct stw_str path, struct stw_str *ret)
{
	const struct stw_msg *msg = &message->msg;

	if (is_word(path, "URI") || is_word(path, "Request-URI")) {
		*ret = stw_msg_text(msg, msg->uri_at, msg->uri_len);
		return msg->is_request;
	}
	if (is_word(path, "Reason-Phrase")) {
		*ret = stw_msg_phrase(msg);
		return !msg->is_request;
	}
	if (is_word(path, "body")) {
		*ret = stw_msg_body(msg);
		return msg->body_len > 0;
	}
	if (is_word(path, "size")) {
		*ret = print(s, "%zu", message->text.len);
		return true;
	}
	if (is_word(path, "transport")) {
		*ret = stw_transport_name(message->hop.transport);
		return true;
	}
	return header_value(s, msg, path, ret);
}

/* ---- references and values ----------------------------------------------------------------- */

static bool party_value(
	struct scenario *s, struct party *party, struct stw_str what, struct stw_str *ret)
{
	char buffer[STW_ADDR_TEXT_MAX];

	if (is_word(what, "contact")) {
		*ret = party_contact(s, party, party->uses_tcp);
	} else if (is_word(what, "aor")) {
		*ret = party_address(s, party);
		*ret = stw_str_cut(*ret, 1, ret->len - 1);
	} else if (is_word(what, "addr")) {
		*ret = keep(s, stw_addr_text(&party->addr, buffer));
	} else if (is_word(what, "tag")) {
		*ret = party->call ? party->call->local_tag : STW_STR_NONE;
		return party->call != NULL;
	} else {
		return false;
	}
	return true;
}

bool reference_value(
	struct scenario *s, struct party *self, struct stw_str path, struct stw_str *ret)
{
	size_t dot = stw_str_find(path, '.', 0);
	struct stw_str first = stw_str_cut(path, 0, dot),
		       rest = stw_str_cut(path, dot + 1, path.len);
	struct party *party = party_find(s, first);
	const struct message *message;

	if (party) {
		if (party_value(s, party, rest, ret))
			return true;
		dot = stw_str_find(rest, '.', 0);
		first = stw_str_cut(rest, 0, dot);
		rest = stw_str_cut(rest, dot + 1, rest.len);
	}
	if (!rest.len || first.len < 3)
		return false;
	message = message_last(party ? party : self, first, -1);
	if (!message)
		return false;
	if (is_word(rest, "branch"))
		rest = STW_STR("Via.branch");
	return message_value(s, message, rest, ret);
}

struct stw_str expand(struct scenario *s, struct party *self, struct stw_str text)
{
	struct stw_str done = STW_STR(""), value = unquoted(text);
	size_t open, close;
	uint64_t count;

	if (value.ptr == text.ptr && reference_value(s, self, text, &value))
		return value;
	for (open = stw_str_find(value, '{', 0); open < value.len;
		open = stw_str_find(value, '{', 0)) {
		struct stw_str name, found;

		close = stw_str_find(value, '}', open);
		name = stw_str_cut(value, open + 1, close);
		if (name.len > 1 && name.ptr[0] == '*' &&
			stw_str_to_uint(stw_str_cut(name, 1, name.len), 10000000, &count) == 0) {
			char *bytes = make(s, count + 1);

			memset(bytes, 'x', count);
			found = (struct stw_str){ bytes, count };
		} else if (is_word(name, "crlf")) {
			found = STW_STR("\r\n");
		} else if (!reference_value(s, self, name, &found)) {
			found = stw_str_cut(value, open, close + 1);
		}
		done = print(s, "%.*s%.*s%.*s", STW_STR_ARG(done),
			STW_STR_ARG(stw_str_cut(value, 0, open)), STW_STR_ARG(found));
		value = stw_str_cut(value, close + 1, value.len);
	}
	return done.len ? print(s, "%.*s%.*s", STW_STR_ARG(done), STW_STR_ARG(value)) : value;
}

static int change_read(struct scenario *s, struct stw_str item, struct change *ret)
{
	size_t at = 0;
	struct stw_str rest;

	*ret = (struct change){ .op = '=' };
	if (item.ptr[0] == '-' || item.ptr[0] == '+') {
		ret->op = item.ptr[0];
		item = stw_str_trim(stw_str_cut(item, 1, item.len));
	}
	while (at < item.len && !strchr(" \t=~!<>:", item.ptr[at]))
		at++;
	ret->name = stw_str_cut(item, 0, at);
	rest = stw_str_trim(stw_str_cut(item, at, item.len));
	if (is_word(rest, "absent") || (ret->op == '-' && !rest.len)) {
		ret->op = '-';
		return 0;
	}
	if (is_word(rest, "present")) {
		ret->op = 'p';
		return 0;
	}
	if (!ret->name.len || !rest.len || ret->op == '-')
		return fail(s, "\"%.*s\" cannot be understood: Name = value", STW_STR_ARG(item));
	at = 1;
	if (rest.ptr[0] == '!') {
		ret->op = rest.len > 1 && rest.ptr[1] == '~' ? '^' : '!';
		at = 2;
	} else if (strchr("~<>", rest.ptr[0])) {
		ret->op = rest.ptr[0];
	}
	ret->value = stw_str_trim(stw_str_cut(rest, at, rest.len));
	return 0;
}

int changes_read(struct scenario *s, struct stw_str text, struct changes *ret)
{
	struct stw_str item;

	while (next_item(&text, ',', &item)) {
		if (!item.len)
			continue;
		if (ret->n == CHANGES_MAX)
			return fail(s, "more than %d conditions", CHANGES_MAX);
		if (change_read(s, item, &ret->v[ret->n++]) < 0)
			return -1;
	}
	return 0;
}
