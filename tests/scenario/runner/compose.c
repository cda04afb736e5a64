/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of the parties: well-formed by default, as the line changes them. */
#include "runner.h"

#include <errno.h>
#include <string.h>

struct field {
	struct stw_str name, value;
};

struct draft {
	struct stw_str start, body, method, uri;
	unsigned code;
	struct field v[FIELDS_MAX];
	unsigned n;
	struct call *call;
};

static void add(struct draft *draft, const char *name, struct stw_str value)
{
	if (draft->n < FIELDS_MAX)
		draft->v[draft->n++] = (struct field){ stw_str_from(name), value };
}

static struct field *field_find(struct draft *draft, struct stw_str name)
{
	unsigned i;

	for (i = 0; i < draft->n; i++) {
		if (stw_str_equal_nocase(draft->v[i].name, name))
			return &draft->v[i];
	}
	return NULL;
}

static void field_remove(struct draft *draft, struct stw_str name, const struct field *but)
{
	unsigned i, n = 0;

	for (i = 0; i < draft->n; i++) {
		if (&draft->v[i] == but || !stw_str_equal_nocase(draft->v[i].name, name))
			draft->v[n++] = draft->v[i];
	}
	draft->n = n;
}

static struct stw_str sdp(struct scenario *s, const struct party *party)
{
	char buffer[STW_ADDR_TEXT_MAX];
	struct stw_str ip = stw_addr_ip_text(&party->addr, buffer);

	return print(s,
		"v=0\r\no=%.*s 1 1 IN IP%d %.*s\r\ns=-\r\nc=IN IP%d %.*s\r\nt=0 0\r\nm=audio 49170 "
		"RTP/AVP 0\r\n",
		STW_STR_ARG(party->name), party->addr.family, STW_STR_ARG(ip), party->addr.family,
		STW_STR_ARG(ip));
}

/* ---- changes -------------------------------------------------------------------------------- */

/* ";name=…" of a field: replaced, or added at the end. */
static void param_set(
	struct scenario *s, struct field *field, const char *name, struct stw_str value)
{
	struct stw_str key = print(s, ";%s=", name), text = field->value;
	size_t at = 0, end;

	while (at < text.len && !stw_str_starts(stw_str_cut(text, at, text.len), key))
		at++;
	end = stw_str_find(text, ';', at + 1);
	field->value = print(s, "%.*s%.*s%.*s%.*s", STW_STR_ARG(stw_str_cut(text, 0, at)),
		STW_STR_ARG(key), STW_STR_ARG(value),
		STW_STR_ARG(stw_str_cut(text, end, text.len)));
}

static bool change_special(
	struct scenario *s, struct draft *draft, struct stw_str name, struct stw_str value)
{
	static const struct {
		const char *name, *field, *param;
	} params[] = {
		{ "Via.branch", "Via", "branch" },
		{ "From.tag", "From", "tag" },
		{ "To.tag", "To", "tag" },
	};
	struct field *field;
	size_t i;

	if (is_word(name, "body"))
		draft->body = value;
	else if (is_word(name, "Request-URI") || is_word(name, "URI"))
		draft->start = print(
			s, "%.*s %.*s SIP/2.0", STW_STR_ARG(draft->method), STW_STR_ARG(value));
	else if (is_word(name, "Reason-Phrase"))
		draft->start = print(s, "SIP/2.0 %u %.*s", draft->code, STW_STR_ARG(value));
	else if (is_word(name, "start-line"))
		draft->start = value;
	else if (is_word(name, "SIP-Version"))
		draft->start = print(s, "%.*s%.*s",
			STW_STR_ARG(stw_str_cut(draft->start, 0, draft->start.len - 7)),
			STW_STR_ARG(value));
	else {
		for (i = 0; i < STW_ARRAY_SIZE(params) && !is_word(name, params[i].name);)
			i++;
		field = i < STW_ARRAY_SIZE(params)
				? field_find(draft, stw_str_from(params[i].field))
				: NULL;
		if (field)
			param_set(s, field, params[i].param, value);
		return field != NULL;
	}
	return true;
}

static int change_apply(
	struct scenario *s, struct party *party, struct draft *draft, const struct change *change)
{
	struct stw_str value = expand(s, party, change->value);
	struct field *field = field_find(draft, change->name);

	if (change->op == '-') {
		field_remove(draft, change->name, NULL);
		if (is_word(change->name, "body")) {
			draft->body = STW_STR_NONE;
			field_remove(draft, STW_STR("Content-Type"), NULL);
		}
		return 0;
	}
	if (change->op != '=' && change->op != '+')
		return fail(s, "%.*s: a message is made with =, + and - only",
			STW_STR_ARG(change->name));
	if (change->op == '=' && change_special(s, draft, change->name, value))
		return 0;
	if (field && change->op == '=') {
		field->value = value;
		field_remove(draft, change->name, field);
		return 0;
	}
	add(draft, "", value);
	draft->v[draft->n - 1].name = change->name;
	return 0;
}

static int draft_change(
	struct scenario *s, struct party *party, struct draft *draft, const struct changes *changes)
{
	unsigned i;

	for (i = 0; i < changes->n; i++) {
		if (change_apply(s, party, draft, &changes->v[i]) < 0)
			return -1;
	}
	return 0;
}

static struct stw_str draft_text(struct scenario *s, struct draft *draft)
{
	struct field *length = field_find(draft, STW_STR("Content-Length"));
	size_t i, bytes = draft->start.len + draft->body.len + 8;
	struct stw_writer writer;

	if (length && !length->value.len)
		length->value = print(s, "%zu", draft->body.len);
	for (i = 0; i < draft->n; i++)
		bytes += draft->v[i].name.len + draft->v[i].value.len + 4;
	stw_writer_init(&writer, make(s, bytes), bytes);
	stw_write_str(&writer, draft->start);
	for (i = 0; i < draft->n; i++)
		stw_write_format(&writer, "\r\n%.*s: %.*s", STW_STR_ARG(draft->v[i].name),
			STW_STR_ARG(draft->v[i].value));
	stw_write_text(&writer, "\r\n\r\n");
	stw_write_str(&writer, draft->body);
	return stw_writer_text(&writer);
}

static void draft_body(struct draft *draft, struct stw_str body)
{
	draft->body = body;
	if (body.len)
		add(draft, "Content-Type", STW_STR("application/sdp"));
	add(draft, "Content-Length", STW_STR_NONE);
}

/* ---- Digest
 * --------------------------------------------------------------------------------------- */

struct auth_words {
	struct stw_str user, password, algorithm, nc, cnonce, uri, realm, of;
};

static int auth_read(struct scenario *s, struct stw_str text, struct auth_words *ret)
{
	struct {
		const char *name;
		struct stw_str *value;
	} const rows[] = {
		{ "user", &ret->user },
		{ "password", &ret->password },
		{ "algorithm", &ret->algorithm },
		{ "nc", &ret->nc },
		{ "cnonce", &ret->cnonce },
		{ "uri", &ret->uri },
		{ "realm", &ret->realm },
		{ "of", &ret->of },
	};
	struct stw_str word;
	size_t equal, i;

	while (next_word(&text, &word)) {
		equal = stw_str_find(word, '=', 0);
		for (i = 0; i < STW_ARRAY_SIZE(rows); i++) {
			if (is_word(stw_str_cut(word, 0, equal), rows[i].name))
				break;
		}
		if (i == STW_ARRAY_SIZE(rows))
			return fail(s, "auth: \"%.*s\" is not known", STW_STR_ARG(word));
		*rows[i].value = unquoted(stw_str_cut(word, equal + 1, word.len));
	}
	return 0;
}

/* The newest challenge that the party got and that fits the words. */
static const struct stw_field *challenge_find(struct scenario *s, const struct party *party,
	const struct auth_words *words, const struct message **ret)
{
	const struct message *message = party->history;

	for (; message; message = message->older) {
		enum stw_header header = message->msg.code == 407 ? STW_HDR_PROXY_AUTHENTICATE
								  : STW_HDR_WWW_AUTHENTICATE;
		const struct stw_field *field;

		if (!message->from_server || message->msg.is_request ||
			message->kind != MESSAGE_SIP)
			continue;
		for (field = stw_msg_find(&message->msg, header); field;
			field = stw_msg_find_next(&message->msg, field)) {
			struct stw_str value = stw_field_value(&message->msg, field);

			*ret = message;
			if ((!words->algorithm.len ||
				    contains(value, print(s, "algorithm=%.*s",
							    STW_STR_ARG(words->algorithm)))) &&
				(!words->realm.len || contains(value, words->realm)))
				return field;
		}
	}
	return NULL;
}

static uint32_t auth_count(
	struct party *party, const struct auth_words *words, struct stw_str nonce)
{
	uint64_t count;

	if (!stw_str_equal(nonce, party->nonce)) {
		party->nonce = nonce;
		party->nc = 0;
	}
	if (stw_str_to_uint(words->nc, UINT32_MAX, &count) == 0)
		return (uint32_t)count;
	return is_word(words->nc, "same") ? party->nc : ++party->nc;
}

static int draft_authenticate(
	struct scenario *s, struct party *party, struct draft *draft, const struct order *order)
{
	struct auth_words words = { .user = party->name,
		.password = party->password,
		.cnonce = STW_STR("c0ffee"),
		.uri = draft->uri };
	const struct message *message = NULL;
	const struct party *giver;
	const struct stw_field *field;
	struct stw_digest_answer answer;
	struct stw_writer writer;
	struct stw_str line, nonce = STW_STR_NONE;
	char buffer[4096];
	size_t nonce_at;

	if (auth_read(s, order->auth, &words) < 0)
		return -1;
	giver = words.of.len ? party_find(s, words.of) : party;
	field = giver ? challenge_find(s, giver, &words, &message) : NULL;
	if (!field)
		return fail(s, "auth: %.*s has got no such challenge", STW_STR_ARG(party->name));
	answer = (struct stw_digest_answer){ .header = message->msg.code == 407
							       ? STW_HDR_PROXY_AUTHORIZATION
							       : STW_HDR_AUTHORIZATION,
		.challenge = stw_field_value(&message->msg, field),
		.user = words.user,
		.password = words.password,
		.method = draft->method,
		.uri = words.uri,
		.body = draft->body,
		.cnonce = words.cnonce };
	for (nonce_at = 0; nonce_at < answer.challenge.len; nonce_at++) {
		nonce = stw_str_cut(answer.challenge, nonce_at, answer.challenge.len);
		if (stw_str_starts(nonce, STW_STR("nonce=\"")))
			break;
	}
	nonce = stw_str_cut(nonce, 7, stw_str_find(nonce, '"', 7));
	answer.nc = auth_count(party, &words, nonce);
	stw_writer_init(&writer, buffer, sizeof(buffer));
	if (stw_digest_answer_write(&writer, &answer) < 0)
		return fail(s, "auth: the challenge cannot be answered: %.*s",
			STW_STR_ARG(answer.challenge));
	line = stw_str_trim(keep(s, stw_writer_text(&writer)));
	nonce_at = stw_str_find(line, ':', 0);
	add(draft, "", stw_str_trim(stw_str_cut(line, nonce_at + 1, line.len)));
	draft->v[draft->n - 1].name = stw_str_cut(line, 0, nonce_at);
	return 0;
}

/* ---- requests
 * ----------------------------------------------------------------------------------------- */

static void draft_via(struct scenario *s, struct draft *draft, const struct party *party)
{
	char buffer[STW_ADDR_TEXT_MAX];
	struct stw_str addr = stw_addr_text(&party->addr, buffer);

	add(draft, "Via",
		print(s, "SIP/2.0/%s %.*s;branch=z9hG4bK%.*s",
			draft->call->reliable ? "TCP" : "UDP", STW_STR_ARG(addr),
			STW_STR_ARG(token(s, ""))));
	add(draft, "Max-Forwards", STW_STR("70"));
}

static void draft_start(struct scenario *s, struct draft *draft, struct stw_str uri)
{
	draft->uri = uri;
	draft->start = print(s, "%.*s %.*s SIP/2.0", STW_STR_ARG(draft->method), STW_STR_ARG(uri));
}

static void draft_ids(
	struct scenario *s, struct draft *draft, struct stw_str remote_tag, unsigned cseq)
{
	struct call *call = draft->call;

	add(draft, "From",
		print(s, "%.*s;tag=%.*s", STW_STR_ARG(call->local), STW_STR_ARG(call->local_tag)));
	add(draft, "To",
		print(s, "%.*s%s%.*s", STW_STR_ARG(call->remote), remote_tag.len ? ";tag=" : "",
			STW_STR_ARG(remote_tag)));
	add(draft, "Call-ID", call->id);
	add(draft, "CSeq", print(s, "%u %.*s", cseq, STW_STR_ARG(draft->method)));
}

static void draft_contact_and_body(
	struct scenario *s, struct draft *draft, const struct party *party)
{
	struct stw_str body = STW_STR_NONE;

	if (is_word(draft->method, "INVITE"))
		body = sdp(s, party);
	if (!is_word(draft->method, "BYE") && !is_word(draft->method, "ACK") &&
		!is_word(draft->method, "CANCEL") && !is_word(draft->method, "OPTIONS") &&
		!is_word(draft->method, "MESSAGE"))
		add(draft, "Contact", party_contact(s, party, draft->call->reliable));
	draft_body(draft, body);
}

static void request_outside(
	struct scenario *s, struct party *party, struct draft *draft, struct stw_str uri)
{
	struct call *call = draft->call;

	if (!call) {
		call = draft->call = call_new(s, party, token(s, "call-"));
		call->local = party_address(s, party);
		call->remote = is_word(draft->method, "REGISTER")
				       ? call->local
				       : print(s, "<%.*s>", STW_STR_ARG(uri));
	}
}

static void request_write_outside(
	struct scenario *s, struct party *party, struct draft *draft, struct stw_str uri)
{
	draft_start(s, draft, uri);
	draft_via(s, draft, party);
	draft_ids(s, draft, STW_STR_NONE, ++draft->call->cseq);
	draft_contact_and_body(s, draft, party);
}

static void request_write_inside(
	struct scenario *s, struct party *party, struct draft *draft, const struct dialog *dialog)
{
	struct call *call = draft->call;
	unsigned i, cseq;

	if (is_word(draft->method, "ACK") && call->invite)
		cseq = call->invite->msg.cseq.number;
	else
		cseq = ++call->cseq;
	draft_start(s, draft, dialog->target.len ? dialog->target : STW_STR("sip:unknown.invalid"));
	draft_via(s, draft, party);
	for (i = 0; i < dialog->route_count; i++)
		add(draft, "Route", dialog->routes[i]);
	draft_ids(s, draft, dialog->remote_tag, cseq);
	draft_contact_and_body(s, draft, party);
}

/* CANCEL, and ACK to a final response that is no 2xx: the INVITE's branch, URI, Route (§9.1,
 * §17.1.1.3). */
static void request_write_hop(struct scenario *s, struct draft *draft, bool ack)
{
	const struct message *invite = draft->call->invite;
	const struct stw_msg *msg = &invite->msg;
	struct stw_values values = stw_msg_values(msg, STW_HDR_ROUTE);
	struct stw_str route;

	draft_start(s, draft, stw_msg_text(msg, msg->uri_at, msg->uri_len));
	add(draft, "Via", msg->via.text);
	add(draft, "Max-Forwards", STW_STR("70"));
	while (stw_values_next(&values, &route))
		add(draft, "Route", route);
	add(draft, "From", stw_msg_value(msg, STW_HDR_FROM));
	add(draft, "To", stw_msg_value(ack ? &draft->call->final->msg : msg, STW_HDR_TO));
	add(draft, "Call-ID", draft->call->id);
	add(draft, "CSeq", print(s, "%u %.*s", msg->cseq.number, STW_STR_ARG(draft->method)));
	draft_body(draft, STW_STR_NONE);
}

static bool goes_by_hop(const struct call *call, const struct order *order)
{
	if (!call || !call->invite || order->uri.len)
		return false;
	if (is_word(order->what, "CANCEL"))
		return true;
	return is_word(order->what, "ACK") && call->final && call->final->msg.code >= 300;
}

/* "with carol": the dialog with her, in the newest of the party's calls that has one. */
static struct dialog *dialog_with(struct party *party, const struct party *peer)
{
	struct dialog *dialog = NULL;
	struct call *call;

	if (!peer || !peer->call)
		return NULL;
	for (call = party->calls; call && !dialog; call = call->next) {
		dialog = dialog_find(call, peer->call->local_tag);
		if (dialog)
			party->call = call;
	}
	return dialog;
}

static int order_dialog(
	struct scenario *s, struct party *party, const struct order *order, struct dialog **ret)
{
	const struct call *call = party->call;

	*ret = call && !order->uri.len && !is_word(order->what, "REGISTER") ? call->current : NULL;
	if (!order->with.len)
		return 0;
	*ret = dialog_with(party, party_find(s, order->with));
	return *ret ? 0
		    : fail(s, "%.*s has no dialog with %.*s", STW_STR_ARG(party->name),
			      STW_STR_ARG(order->with));
}

/* A call is named as it went out: changes may have named it. */
static void call_adopt(struct call *call, const struct message *message)
{
	if (!message->parsed || !message->msg.has_call_id || !message->msg.has_from)
		return;
	call->id = message->msg.call_id;
	call->local_tag = message->msg.from.tag;
}

static int compose_request(
	struct scenario *s, struct party *party, const struct order *order, struct message **ret)
{
	struct draft draft = { .method = order->what };
	struct message *last = message_last(party, order->what, false);
	struct changes inherited = { .n = 0 };
	struct dialog *dialog;
	struct stw_str uri = order->uri.len ? expand(s, party, order->uri) : STW_STR_NONE;

	if (order_dialog(s, party, order, &dialog) < 0)
		return -1;
	draft.call = party->call;
	if (!goes_by_hop(party->call, order) && !dialog) {
		if (!uri.len && !last)
			return fail(s, "%.*s outside a dialog needs a Request-URI",
				STW_STR_ARG(order->what));
		draft.call = uri.len ? NULL : call_find(party, last->msg.call_id);
		if (!uri.len) {
			uri = last->uri;
			inherited = last->changes;
		}
		request_outside(s, party, &draft, uri);
	}
	party->call = draft.call;
	draft.call->reliable =
		!order->udp && (order->tcp || draft.call->reliable || party->uses_tcp);
	if (goes_by_hop(party->call, order))
		request_write_hop(s, &draft, is_word(order->what, "ACK"));
	else if (dialog)
		request_write_inside(s, party, &draft, dialog);
	else
		request_write_outside(s, party, &draft, uri);
	if (draft_change(s, party, &draft, &inherited) < 0 ||
		draft_change(s, party, &draft, &order->printed) < 0)
		return -1;
	if (order->authenticate && draft_authenticate(s, party, &draft, order) < 0)
		return -1;
	if (draft_change(s, party, &draft, &order->changes) < 0)
		return -1;
	*ret = message_new(s, party, draft_text(s, &draft));
	(*ret)->uri = uri;
	(*ret)->changes = order->changes.n ? order->changes : inherited;
	if (is_word(order->what, "INVITE") && !dialog)
		call_adopt(draft.call, *ret);
	if (is_word(order->what, "INVITE")) {
		draft.call->invite = *ret;
		draft.call->final = NULL;
	}
	return 0;
}

/* ---- responses
 * ------------------------------------------------------------------------------------------- */

static const struct message *request_to_answer(const struct party *party, const struct order *order)
{
	const struct message *message = party->history;

	if (order->to.len)
		return message_last(party, order->to, true);
	for (; message; message = message->older) {
		if (message->from_server && message->msg.is_request &&
			message->kind == MESSAGE_SIP && message->msg.method != STW_METHOD_ACK)
			return message;
	}
	return NULL;
}

static void response_copy(struct draft *draft, const struct stw_msg *msg, enum stw_header header)
{
	struct stw_values values = stw_msg_values(msg, header);
	struct stw_str value;

	while (stw_values_next(&values, &value))
		add(draft, stw_header_name(header).ptr, value);
}

static void response_write(
	struct scenario *s, struct party *party, struct draft *draft, const struct stw_msg *msg)
{
	bool dialog =
		draft->code > 100 && draft->code < 300 && msg->cseq.method == STW_METHOD_INVITE;
	struct stw_str to = stw_msg_value(msg, STW_HDR_TO);

	draft->start =
		print(s, "SIP/2.0 %u %s", draft->code, stw_status_phrase((unsigned)draft->code));
	response_copy(draft, msg, STW_HDR_VIA);
	if (dialog)
		response_copy(draft, msg, STW_HDR_RECORD_ROUTE);
	add(draft, "From", stw_msg_value(msg, STW_HDR_FROM));
	if (draft->code > 100 && !msg->to.tag.ptr)
		to = print(
			s, "%.*s;tag=%.*s", STW_STR_ARG(to), STW_STR_ARG(draft->call->local_tag));
	add(draft, "To", to);
	add(draft, "Call-ID", msg->call_id);
	add(draft, "CSeq", stw_msg_value(msg, STW_HDR_CSEQ));
	if (dialog)
		add(draft, "Contact", party_contact(s, party, draft->call->reliable));
	draft_body(draft, dialog && (draft->code == 200 || draft->code == 183) ? sdp(s, party)
									       : STW_STR_NONE);
}

static int compose_response(
	struct scenario *s, struct party *party, const struct order *order, struct message **ret)
{
	const struct message *request = request_to_answer(party, order);
	struct draft draft = { .n = 0 };
	uint64_t code = 0;

	if (!request)
		return fail(s, "%.*s has got no such request to answer", STW_STR_ARG(party->name));
	stw_str_to_uint(order->what, 699, &code);
	draft.code = (unsigned)code;
	draft.call = call_find(party, request->msg.call_id);
	response_write(s, party, &draft, &request->msg);
	if (draft_change(s, party, &draft, &order->printed) < 0 ||
		draft_change(s, party, &draft, &order->changes) < 0)
		return -1;
	*ret = message_new(s, party, draft_text(s, &draft));
	return 0;
}

int compose(
	struct scenario *s, struct party *party, const struct order *order, struct message **ret)
{
	bool response =
		order->what.len == 3 && order->what.ptr[0] >= '1' && order->what.ptr[0] <= '6';

	if (order->again) {
		const struct message *last = message_last(party, order->what, false);

		if (!last)
			return fail(s, "%.*s has sent no %.*s yet", STW_STR_ARG(party->name),
				STW_STR_ARG(order->what));
		*ret = message_new(s, party, last->text);
		return 0;
	}
	return response ? compose_response(s, party, order, ret)
			: compose_request(s, party, order, ret);
}
