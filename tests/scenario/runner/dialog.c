/* SPDX-License-Identifier: Apache-2.0 */
/* What a party has seen: calls by Call-ID, in each the dialogs with one or more peers (RFC 3261
 * §12). */
#include "runner.h"

struct stw_str token(struct scenario *s, const char *prefix)
{
	char random[10];

	stw_random_token(&s->random, random, sizeof(random));
	return print(s, "%s%.*s", prefix, (int)sizeof(random), random);
}

struct stw_str party_contact(struct scenario *s, const struct party *party, bool reliable)
{
	char buffer[STW_ADDR_TEXT_MAX];
	struct stw_str addr = stw_addr_text(&party->addr, buffer);

	return print(s, "<sip:%.*s@%.*s%s>", STW_STR_ARG(party->name), STW_STR_ARG(addr),
		reliable ? ";transport=tcp" : "");
}

struct stw_str party_address(struct scenario *s, const struct party *party)
{
	if (party->user)
		return print(
			s, "<sip:%.*s@%.*s>", STW_STR_ARG(party->name), STW_STR_ARG(s->domain));
	return print(s, "<sip:%.*s@%.*s.example.net>", STW_STR_ARG(party->name),
		STW_STR_ARG(party->name));
}

struct call *call_find(struct party *party, struct stw_str id)
{
	struct call *call = party->calls;

	while (call && !stw_str_equal(call->id, id))
		call = call->next;
	return call;
}

struct call *call_new(struct scenario *s, struct party *party, struct stw_str id)
{
	struct call *call = make(s, sizeof(*call));

	call->id = id;
	call->local_tag =
		print(s, "%.*s-%.*s", STW_STR_ARG(party->name), STW_STR_ARG(token(s, "")));
	call->next = party->calls;
	party->calls = party->call = call;
	return call;
}

/* "sipalg shares proxy2": what goes past a proxy that does not stay in the way, or a phone that
 * moves.
 */
int call_share(struct scenario *s, struct party *party, struct stw_str name)
{
	const struct party *other = party_find(s, name);
	struct call *copy;

	if (!other || !other->call)
		return fail(s, "\"%.*s\" has no call", STW_STR_ARG(name));
	copy = make(s, sizeof(*copy));
	*copy = *other->call;
	copy->next = party->calls;
	party->calls = party->call = copy;
	return 0;
}

struct dialog *dialog_find(const struct call *call, struct stw_str remote_tag)
{
	struct dialog *dialog = call->dialogs;

	while (dialog && !stw_str_equal(dialog->remote_tag, remote_tag))
		dialog = dialog->next;
	return dialog;
}

static struct dialog *dialog_get(struct scenario *s, struct call *call, struct stw_str remote_tag)
{
	struct dialog *dialog = dialog_find(call, remote_tag);

	if (dialog)
		return dialog;
	dialog = make(s, sizeof(*dialog));
	dialog->remote_tag = remote_tag;
	dialog->next = call->dialogs;
	call->dialogs = dialog;
	return dialog;
}

/* Record-Route, in order for the callee, reversed for the caller (§12.1.1, §12.1.2). */
static void dialog_routes(struct dialog *dialog, const struct message *message, bool reverse)
{
	struct stw_values values = stw_msg_values(&message->msg, STW_HDR_RECORD_ROUTE);
	struct stw_str swap;
	unsigned i, n = 0;

	while (n < ROUTES_MAX && stw_values_next(&values, &dialog->routes[n]))
		n++;
	dialog->route_count = n;
	for (i = 0; reverse && i < n / 2; i++) {
		swap = dialog->routes[i];
		dialog->routes[i] = dialog->routes[n - 1 - i];
		dialog->routes[n - 1 - i] = swap;
	}
}

static void dialog_target(struct dialog *dialog, const struct message *message)
{
	struct stw_address contact;

	if (stw_address_parse(stw_msg_value(&message->msg, STW_HDR_CONTACT), &contact) == 0)
		dialog->target = contact.uri.text;
}

static struct stw_str without_tag(struct scenario *s, const struct stw_address *address)
{
	return print(s, "%.*s%s<%.*s>", STW_STR_ARG(address->display),
		address->display.len ? " " : "", STW_STR_ARG(address->uri.text));
}

static bool makes_dialog(const struct stw_msg *msg)
{
	enum stw_method method = msg->cseq.method;

	return method == STW_METHOD_INVITE || method == STW_METHOD_SUBSCRIBE ||
	       method == STW_METHOD_REFER;
}

static void request_got(struct scenario *s, struct message *message)
{
	const struct stw_msg *msg = &message->msg;
	struct party *party = message->party;
	struct call *call = call_find(party, msg->call_id);
	struct dialog *dialog;

	if (!call) {
		call = call_new(s, party, msg->call_id);
		call->local = without_tag(s, &msg->to);
		call->remote = without_tag(s, &msg->from);
	}
	party->call = call;
	call->reliable = stw_transport_reliable(message->hop.transport);
	if (!makes_dialog(msg))
		return;
	dialog = dialog_get(s, call, msg->from.tag);
	call->current = dialog;
	if (!msg->to.tag.ptr)
		dialog_routes(dialog, message, false);
	dialog_target(dialog, message);
}

static void final_got(struct call *call, struct message *message)
{
	call->final = message;
	if (message->msg.code < 300)
		return;
	/* All early dialogs end with a final response that is no 2xx (§12.3). */
	if (!call->current || !call->current->confirmed) {
		call->dialogs = NULL;
		call->current = NULL;
	}
}

static void response_got(struct scenario *s, struct message *message)
{
	const struct stw_msg *msg = &message->msg;
	struct party *party = message->party;
	struct call *call = call_find(party, msg->call_id);
	struct dialog *dialog;

	if (!call)
		return;
	party->call = call;
	if (msg->cseq.method == STW_METHOD_INVITE && msg->code >= 200)
		final_got(call, message);
	if (!makes_dialog(msg) || msg->code <= 100 || msg->code >= 300 || !msg->to.tag.ptr)
		return;
	dialog = dialog_get(s, call, msg->to.tag);
	if (!dialog->confirmed)
		dialog_routes(dialog, message, true);
	dialog_target(dialog, message);
	dialog->confirmed |= msg->code >= 200;
	if (msg->code >= 200 || !call->current || !call->current->confirmed)
		call->current = dialog;
}

void dialog_note(struct scenario *s, struct message *message)
{
	struct party *party = message->party;

	message->older = party->history;
	party->history = message;
	if (!message->from_server || message->kind != MESSAGE_SIP || !message->parsed)
		return;
	if (message->msg.is_request)
		request_got(s, message);
	else
		response_got(s, message);
}
