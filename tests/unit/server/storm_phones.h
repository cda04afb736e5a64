/* SPDX-License-Identifier: Apache-2.0 */
/* The phones of test_storm.c: raw endpoints that call, register, answer and misbehave. */
#ifndef STORM_PHONES_H
#define STORM_PHONES_H

#include "storm_world.h"

/* ---- phones: out ----------------------------------------------------------------------------- */

static struct flow *phone_flow(unsigned phone)
{
	struct stw_hop hop = { .transport = STW_TRANSPORT_TCP,
		.remote = storm->phones[phone],
		.local = storm->server,
		.listener = 1 };
	struct happening *opened;
	struct flow *flow;
	unsigned i;

	for (i = 0; i < FLOWS; i++) {
		if (storm->flows[i].state != FREE && storm->flows[i].phone == phone && !chance(50))
			return &storm->flows[i];
	}
	hop.remote.port = (uint16_t)(20000 + below(40000));
	flow = flow_new(&hop, phone);
	if (!flow)
		return NULL;
	opened = flow_event(flow, STW_IO_OPENED, below(100));
	opened->event.incoming = true;
	plan(opened);
	return flow;
}

/* In one to three pieces, the last of which knows what was sent. */
static void bytes_in(struct flow *flow, const char *data, size_t len)
{
	size_t at = 0, bytes;

	while (at < len) {
		struct happening *happening = flow_event(flow, STW_IO_BYTES, network_ms());

		bytes = chance(700) ? len - at : 1 + below(len - at);
		keep_data(happening, data + at, bytes);
		at += bytes;
		if (at == len) {
			happening->whole = must_alloc(len);
			memcpy(happening->whole, data, len);
			happening->whole_len = len;
		}
		plan(happening);
	}
}

static size_t mutate(char *data, size_t len, size_t capacity)
{
	unsigned n = (unsigned)(1 + below(4));
	size_t at, cut;

	while (n-- && len > 2) {
		at = below(len);
		switch (below(5)) {
		case 0:
			data[at] = (char)below(256);
			break;
		case 1:
			len = at;
			break;
		case 2:
			cut = 1 + below(len - at);
			memmove(data + at, data + at + cut, len - at - cut);
			len -= cut;
			break;
		case 3:
			cut = 1 + below(len - at < 60 ? len - at : 60);
			if (len + cut < capacity) {
				memmove(data + at + cut, data + at, len - at);
				len += cut;
			}
			break;
		default:
			data[at] = ";,<>\"\r\n \t:=@%?&"[below(15)];
		}
	}
	return len;
}

static void phone_send(unsigned phone, bool tcp, const char *text, size_t len)
{
	static char buffer[2 * TEXT_MAX];
	unsigned copies = 1 + chance(storm->repeat);
	struct flow *flow;

	if (storm->quiet || len > sizeof(buffer))
		return;
	storm->messages++;
	memcpy(buffer, text, len);
	if (storm->mutate && chance(250))
		len = mutate(buffer, len, sizeof(buffer));
	if (tcp) {
		flow = phone_flow(phone);
		if (flow)
			bytes_in(flow, buffer, len);
		return;
	}
	for (; copies; copies--) {
		if (!chance(storm->loss))
			datagram_in(&storm->phones[phone], buffer, len);
	}
}

static void client_send(const struct client *client, const char *method, const char *branch,
	const char *to, const char *lines)
{
	static char text[TEXT_MAX];
	char address[STW_ADDR_TEXT_MAX];
	struct stw_str own = stw_addr_text(&storm->phones[client->phone], address);
	int len;

	len = snprintf(text, sizeof(text),
		"%s %s SIP/2.0\r\nVia: SIP/2.0/%s %.*s;branch=%s%s\r\nMax-Forwards: %u\r\n%sFrom: "
		"%s\r\nTo: %s\r\n"
		"Call-ID: %s\r\nCSeq: %u %s\r\nContact: <sip:u%u@%.*s%s>\r\n%sContent-Length: "
		"0\r\n\r\n",
		method, client->uri, client->tcp ? "TCP" : "UDP", STW_STR_ARG(own), branch,
		client->phone % 2 ? ";rport" : "",
		client->cseq % 50 == 7 ? 0 : 20 + client->cseq % 50, client->route, client->from,
		to, client->call_id, client->cseq, method, client->phone, STW_STR_ARG(own),
		client->tcp ? ";transport=tcp" : "", lines);
	if (len > 0 && (size_t)len < sizeof(text))
		phone_send(client->phone, client->tcp, text, (size_t)len);
}

static struct client *client_new(unsigned phone, const char *method)
{
	struct client *client = &storm->clients[storm->client_count++ % CLIENTS];

	*client = (struct client){
		.phone = phone, .tcp = chance(250), .cseq = (unsigned)(1 + below(100000))
	};
	snprintf(client->method, sizeof(client->method), "%s", method);
	snprintf(client->branch, sizeof(client->branch), "z9hG4bKc%llx%x",
		(unsigned long long)stw_random_next(&storm->random), storm->client_count);
	return client;
}

/* Send it, again when it is lost, and perhaps give it up. */
static void client_start(struct client *client, const char *lines)
{
	bool invite = strcmp(client->method, "INVITE") == 0;
	struct happening *happening;
	unsigned i;

	client_send(client, client->method, client->branch, client->to, lines);
	for (i = 0; i < 3 && !client->tcp && !lines[0]; i++) {
		happening = happen(RESEND, (500u << i) + below(100));
		happening->client = *client;
		happening->code = (unsigned)(client - storm->clients);
		plan(happening);
	}
	if (invite && chance(300)) {
		happening = happen(CANCEL, below(chance(700) ? 3000 : 60000));
		happening->client = *client;
		plan(happening);
	}
}

static const char *random_method(void)
{
	static const char *const methods[] = { "INVITE", "INVITE", "INVITE", "INVITE", "BYE",
		"OPTIONS", "MESSAGE", "REFER", "INFO", "SUBSCRIBE", "NOTIFY", "UPDATE", "PUBLISH",
		"PRACK", "ACK", "CANCEL", "REGISTER", "WHATEVER" };

	return methods[below(STW_ARRAY_SIZE(methods))];
}

static void random_uri(char *buffer, size_t size)
{
	unsigned user = (unsigned)below(PHONES);

	switch (below(12)) {
	case 0:
		snprintf(buffer, size, "sip:u%u@192.0.2.%u:5060%s", user, user + 1,
			chance(300) ? ";transport=tcp" : "");
		break;
	case 1:
		snprintf(buffer, size, "sip:u%u@h%u.example.net%s", user, user,
			chance(300) ? ";transport=tcp" : "");
		break;
	case 2:
		snprintf(buffer, size, "sip:example.com");
		break;
	case 3:
		snprintf(buffer, size, "sip:nobody@example.com");
		break;
	default:
		snprintf(buffer, size, "sip:u%u@example.com", user);
	}
}

static void phone_calls(unsigned phone)
{
	static char lines[2000];
	struct client *client = client_new(phone, random_method());

	random_uri(client->uri, sizeof(client->uri));
	snprintf(client->from, sizeof(client->from), "<sip:u%u@example.com>;tag=f%llx", phone,
		(unsigned long long)below(1u << 30));
	snprintf(client->to, sizeof(client->to), "<%s>%s", client->uri,
		chance(50) ? ";tag=unknown" : "");
	snprintf(client->call_id, sizeof(client->call_id), "c%llx@192.0.2.%u",
		(unsigned long long)stw_random_next(&storm->random), phone + 1);
	lines[0] = 0;
	if (chance(100))
		snprintf(lines, sizeof(lines), "Expires: %llu\r\n", (unsigned long long)below(90));
	else if (chance(60))
		snprintf(lines, sizeof(lines), "Subject: %*s\r\n", 1200, "x");
	else if (chance(30))
		snprintf(lines, sizeof(lines), "Require: foo\r\nProxy-Require: bar\r\n");
	else if (chance(30))
		snprintf(lines, sizeof(lines), "Max-Breadth: %llu\r\n",
			(unsigned long long)below(4));
	client_start(client, lines);
}

/* One to three Contacts: its own address, another's, a name, or the server itself. */
static void random_contacts(unsigned phone, char *buffer, size_t size, bool own)
{
	unsigned n = (unsigned)(1 + below(3)), other;
	size_t at = 0;

	buffer[0] = 0;
	while (n-- && at + 200 < size) {
		other = own && chance(700) ? phone : (unsigned)below(PHONES);
		at += (size_t)snprintf(buffer + at, size - at, "Contact: <sip:u%u@", other);
		if (storm->loops && chance(150))
			at += (size_t)snprintf(buffer + at, size - at, "192.0.2.100");
		else if (chance(100))
			at += (size_t)snprintf(buffer + at, size - at, "h%u.example.net", other);
		else
			at += (size_t)snprintf(
				buffer + at, size - at, "192.0.2.%u:5060", other + 1);
		at += (size_t)snprintf(buffer + at, size - at, "%s>;q=0.%llu;expires=%llu\r\n",
			chance(250) ? ";transport=tcp" : "", (unsigned long long)below(10),
			(unsigned long long)(chance(100) ? 0 : 30 + below(600)));
	}
}

static void phone_registers(unsigned phone)
{
	static char text[TEXT_MAX];
	char contacts[1000];
	bool tcp = chance(350);
	int len;

	random_contacts(phone, contacts, sizeof(contacts), true);
	if (chance(30))
		snprintf(contacts, sizeof(contacts), "Contact: *\r\nExpires: 0\r\n");
	if (chance(50))
		contacts[0] = 0;
	len = snprintf(text, sizeof(text),
		"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/%s "
		"192.0.2.%u:5060;branch=z9hG4bKr%llx;rport\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:u%u@example.com>;tag=r\r\nTo: "
		"<sip:u%u@example.com>\r\n"
		"Call-ID: r%u-%llu\r\nCSeq: %llu REGISTER\r\n%s%sContent-Length: 0\r\n\r\n",
		tcp ? "TCP" : "UDP", phone + 1, (unsigned long long)stw_random_next(&storm->random),
		phone, phone, phone, (unsigned long long)below(3),
		(unsigned long long)(chance(900) ? storm->order & 0x7fffffff : 1), contacts,
		chance(50) ? "Supported: path\r\nPath: <sip:p@192.0.2.3;lr>\r\n" : "");
	phone_send(phone, tcp, text, (size_t)len);
}

/* ---- phones: in ------------------------------------------------------------------------------ */

static unsigned random_code(bool invite)
{
	static const unsigned codes[] = { 200, 200, 200, 200, 202, 300, 302, 302, 401, 403, 404,
		407, 408, 410, 415, 420, 480, 481, 483, 486, 486, 487, 488, 491, 494, 500, 501, 503,
		503, 504, 513, 580, 600, 603, 604, 606, 607 };

	if (chance(30))
		return (unsigned)(100 + below(600));
	if (!invite && chance(100))
		return chance(500) ? 100 : 183;
	return codes[below(STW_ARRAY_SIZE(codes))];
}

static void plan_answer(unsigned phone, const struct stw_hop *hop, struct stw_str request,
	unsigned code, uint64_t delay_ms)
{
	struct happening *happening = happen(RESPOND, delay_ms);

	happening->phone = phone;
	happening->code = code;
	happening->event.hop = *hop;
	keep_data(happening, request.ptr, request.len);
	plan(happening);
}

static void phone_request(const struct happening *happening, const struct stw_msg *msg)
{
	bool invite = msg->method == STW_METHOD_INVITE;
	struct stw_str text = { happening->data, happening->len };
	const struct stw_hop *hop = &happening->event.hop;
	unsigned phone = happening->phone;
	struct record *record;

	if (msg->method == STW_METHOD_ACK || chance(80))
		return;
	record = invite ? record_find(storm->out, msg->via.branch, STW_STR("INVITE"), false) : NULL;
	if (record && !record->invite) {
		record->invite = must_alloc(text.len);
		memcpy(record->invite, text.ptr, text.len);
		record->invite_len = text.len;
	}
	if (msg->method == STW_METHOD_CANCEL) {
		plan_answer(phone, hop, text, 200, below(200));
		record = record_find(storm->out, msg->via.branch, STW_STR("INVITE"), false);
		if (chance(700) && record && record->invite)
			plan_answer(phone, hop,
				(struct stw_str){ record->invite, record->invite_len }, 487,
				below(400));
		return;
	}
	if (invite && chance(600))
		plan_answer(phone, hop, text, 100, below(300));
	if (invite && chance(500))
		plan_answer(phone, hop, text, chance(900) ? 180 : (unsigned)(101 + below(99)),
			below(2000));
	if (!chance(100))
		plan_answer(phone, hop, text, random_code(invite),
			below(chance(800) ? 3000
				: invite  ? 100000
					  : 20000));
	if (chance(50))
		plan_answer(phone, hop, text, random_code(invite), below(5000));
}

static void phone_answers(const struct happening *happening)
{
	static char text[2 * TEXT_MAX];
	char headers[1400], tag[40];
	struct stw_response response = { .code = happening->code, .record_route = true };
	struct stw_writer writer;
	struct stw_msg msg;
	struct flow *flow;

	if (!read_message(&msg, storm->fields, happening->data, happening->len))
		return;
	response.request = &msg;
	headers[0] = 0;
	if (response.code / 100 == 3)
		random_contacts(happening->phone, headers, sizeof(headers), false);
	else if (response.code / 100 == 2)
		snprintf(headers, sizeof(headers), "Contact: <sip:u%u@192.0.2.%u:5060>\r\n",
			happening->phone, happening->phone + 1);
	snprintf(tag, sizeof(tag), "t%u-%llx", happening->phone,
		(unsigned long long)(chance(50)
					     ? below(1000)
					     : text_hash(msg.via.branch.ptr, msg.via.branch.len)));
	response.headers = stw_str_from(headers);
	response.to_tag = stw_str_from(tag);
	stw_writer_init(&writer, text, sizeof(text));
	stw_response_write(&writer, &response);
	if (writer.overflow)
		return;
	flow = flow_of(happening->event.hop.flow);
	if (happening->event.hop.transport == STW_TRANSPORT_UDP)
		phone_send(happening->phone, false, text, writer.len);
	else if (flow && !storm->quiet)
		bytes_in(flow, text, writer.len);
}

static struct client *client_by_branch(struct stw_str branch)
{
	unsigned i;

	for (i = 0; i < CLIENTS; i++) {
		if (stw_str_equal(stw_str_from(storm->clients[i].branch), branch))
			return &storm->clients[i];
	}
	return NULL;
}

/* §12.1.2: the route set of a caller is Record-Route backwards. */
static void take_route(struct client *client, const struct stw_msg *msg, bool backwards)
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_RECORD_ROUTE);
	char lines[sizeof(client->route)], before[sizeof(client->route)] = "";
	struct stw_str value;

	while (stw_values_next(&values, &value)) {
		if (strlen(before) + value.len + 12 >= sizeof(lines))
			return;
		int n = backwards ? snprintf(lines, sizeof(lines), "Route: %.*s\r\n%s",
					    STW_STR_ARG(value), before)
				  : snprintf(lines, sizeof(lines), "%sRoute: %.*s\r\n", before,
					    STW_STR_ARG(value));

		if (n < 0 || (size_t)n >= sizeof(lines))
			return;
		memcpy(before, lines, sizeof(before));
	}
	memcpy(client->route, before, sizeof(client->route));
}

static void phone_success(struct client *client, const struct stw_msg *msg)
{
	struct client dialog = *client;
	struct stw_address contact;
	struct happening *happening;

	if (stw_address_parse(stw_msg_value(msg, STW_HDR_CONTACT), &contact) == 0 &&
		contact.uri.text.len < sizeof(dialog.uri))
		snprintf(dialog.uri, sizeof(dialog.uri), "%.*s", STW_STR_ARG(contact.uri.text));
	snprintf(dialog.to, sizeof(dialog.to), "%.*s", STW_STR_ARG(stw_msg_value(msg, STW_HDR_TO)));
	take_route(&dialog, msg, true);
	if (!chance(100)) {
		char branch[80];

		snprintf(branch, sizeof(branch), "z9hG4bKa%llx",
			(unsigned long long)stw_random_next(&storm->random));
		client_send(&dialog, "ACK", branch, dialog.to, "");
	}
	if (chance(600)) {
		happening = happen(FOLLOW_UP, below(20000));
		happening->client = dialog;
		plan(happening);
	}
}

static void phone_response(const struct stw_msg *msg)
{
	struct client *client = client_by_branch(msg->via.branch);
	char to[sizeof(client->to)];

	if (!client || msg->code < 200 ||
		!stw_str_equal(stw_str_from(client->method), msg->cseq.name))
		return;
	client->answered = true;
	if (msg->cseq.method != STW_METHOD_INVITE)
		return;
	if (msg->code < 300) {
		phone_success(client, msg);
		return;
	}
	snprintf(to, sizeof(to), "%.*s", STW_STR_ARG(stw_msg_value(msg, STW_HDR_TO)));
	if (!chance(50))
		client_send(client, "ACK", client->branch, to, "");
}

static void phone_follows_up(const struct client *dialog)
{
	static const char *const methods[] = { "BYE", "BYE", "INVITE", "INFO", "UPDATE", "OPTIONS",
		"REFER", "NOTIFY" };
	struct client *client = client_new(dialog->phone, methods[below(STW_ARRAY_SIZE(methods))]);
	struct client named = *client;

	*client = *dialog;
	memcpy(client->method, named.method, sizeof(client->method));
	memcpy(client->branch, named.branch, sizeof(client->branch));
	client->cseq = dialog->cseq + 1;
	client->answered = false;
	client_start(client, "");
}

static void phone_gets(const struct happening *happening)
{
	struct stw_msg msg;

	if (!read_message(&msg, storm->fields, happening->data, happening->len))
		return;
	if (msg.is_request)
		phone_request(happening, &msg);
	else
		phone_response(&msg);
}

#endif
