/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of phones: their own client transactions (RFC 3261 §17.1), not those of the library.
 */
#include "simulate/phone.h"

#include <stdlib.h>
#include <string.h>

#define T1_MS        500
#define T2_MS        4000
#define PATIENCE_MS  450000 /* longer than Timer C of the servers */
#define LINGER_MS    32000
#define CANCEL_MS    40000 /* a branch that says nothing has Timer B */
#define MAX_ATTEMPTS 3

void client_free(void *item)
{
	free(((struct client *)item)->text);
	free(item);
}

static void mutate(struct world *world, char *text, size_t *len)
{
	unsigned n = (unsigned)(1 + below(world, 4));
	size_t at, cut;

	while (n-- && *len > 2) {
		at = below(world, *len);
		switch (below(world, 4)) {
		case 0:
			text[at] = (char)below(world, 256);
			break;
		case 1:
			*len = at;
			break;
		case 2:
			cut = 1 + below(world, *len - at);
			memmove(text + at, text + at + cut, *len - at - cut);
			*len -= cut;
			break;
		default:
			text[at] = ";,<>\"\r\n \t:=@%?&"[below(world, 15)];
		}
	}
}

void device_sends(struct world *world, unsigned device, const struct stw_addr *to, bool tcp,
	const struct stw_hop *flow, const char *text, size_t len)
{
	char *copy = must_copy(text, len);

	if (!stw_str_starts((struct stw_str){ text, len }, STW_STR("REGISTER ")))
		world->devices[device].call_ms = world->now.mono_ms;
	if (world->mutate && chance(world, 100))
		mutate(world, copy, &len);
	if (tcp)
		network_stream(world, device, to, flow, copy, len);
	else
		network_datagram(world, &world->devices[device].addr, to, copy, len);
	free(copy);
}

/* ---- the text of a request ------------------------------------------------------------------- */

/* Names of header fields as phones write them: full, compact, in any case; values with folds. */
static void write_field(struct world *world, struct stw_writer *writer, const char *name,
	const char *compact, const char *value)
{
	bool odd = chance(world, 60);

	stw_write_format(writer, "%s%s%s%s\r\n", odd && chance(world, 500) ? compact : name,
		odd && chance(world, 300) ? " :" : ":", odd && chance(world, 300) ? "\r\n \t" : " ",
		value);
}

char *request_text(struct world *world, const struct client *client, size_t *ret_len)
{
	const struct request *request = &client->request;
	const struct device *device = &world->devices[client->device];
	char *text = must_alloc(TEXT_MAX), value[300], own[STW_ADDR_TEXT_MAX];
	struct stw_writer writer;
	struct stw_str address = stw_addr_text(&device->addr, own);
	unsigned i;

	if (device->behind_nat)
		address = STW_STR("172.16.0.9:5060");
	stw_writer_init(&writer, text, TEXT_MAX);
	stw_write_format(&writer, "%s %s SIP/2.0\r\n", request->method, request->uri);
	snprintf(value, sizeof(value), "SIP/2.0/%s %.*s;branch=%s%s", client->tcp ? "TCP" : "UDP",
		STW_STR_ARG(address), client->branch,
		device->behind_nat || device->index % 2 ? ";rport" : "");
	write_field(world, &writer, "Via", "v", value);
	if (request->max_forwards < 200)
		stw_write_format(&writer, "Max-Forwards: %u\r\n", request->max_forwards);
	stw_write_text(&writer, request->routes);
	write_field(world, &writer, "From", "f", request->from);
	write_field(world, &writer, "To", "t", request->to);
	write_field(world, &writer, "Call-ID", "i", request->call_id);
	snprintf(value, sizeof(value), "%u %s", request->cseq, request->method);
	write_field(world, &writer, "CSeq", "cseq", value);
	if (strcmp(request->method, "REGISTER") != 0 && strcmp(request->method, "CANCEL") != 0) {
		snprintf(value, sizeof(value), "<%s>", device->contact);
		write_field(world, &writer, "Contact", "m", value);
	}
	stw_write_text(&writer, request->lines);
	if (chance(world, 50))
		stw_write_text(&writer, "X-Unknown: \"a, b\" <c>;d\r\n");
	if (request->body_bytes)
		stw_write_text(&writer, "Content-Type: text/plain\r\n");
	snprintf(value, sizeof(value), "%u", request->body_bytes);
	write_field(world, &writer, "Content-Length", "l", value);
	stw_write_text(&writer, "\r\n");
	for (i = 0; i < request->body_bytes; i++)
		stw_write_char(&writer, "0123456789abcdef"[i % 16]);
	*ret_len = writer.len;
	return text;
}

/* ---- life ------------------------------------------------------------------------------------ */

static uint64_t client_key(struct stw_str branch, struct stw_str method)
{
	return key_of(0, branch, method, STW_STR("client"));
}

static void client_wakes(struct world *world, struct client *client, uint64_t delay_ms)
{
	struct happening *happening = happen(world, CLIENT_TIMER, delay_ms);

	happening->key = client->keyed.key;
	plan(world, happening);
}

static void client_send(struct world *world, struct client *client)
{
	device_sends(
		world, client->device, &client->to, client->tcp, NULL, client->text, client->len);
}

static bool is_call(const struct client *client)
{
	return client->purpose == FOR_CALL && strcmp(client->request.method, "INVITE") == 0;
}

static void client_add(struct world *world, struct client *client)
{
	const struct request *request = &client->request;

	client->text = request_text(world, client, &client->len);
	client->started_ms = client->provisional_ms = world->now.mono_ms;
	client->interval_ms = T1_MS;
	if (is_call(client))
		world->devices[client->device].invites++;
	keyed_add(&world->clients,
		client_key(stw_str_from(client->branch), stw_str_from(request->method)),
		&client->keyed);
	client_send(world, client);
	client_wakes(world, client, client->tcp ? TIMER_64T1_MS : T1_MS);
}

/* The next hop: the first Route, the Request-URI in a dialog without one, else its own server. */
static void client_place(struct world *world, struct client *client)
{
	const struct request *request = &client->request;
	const struct device *device = &world->devices[client->device];
	struct stw_str where = stw_str_from(request->uri);

	client->to = world->nodes[device->node].addr;
	client->tcp = device->tcp;
	if (request->routes[0])
		where = sip_uri(stw_str_from(request->routes));
	else if (client->purpose != FOR_DIALOG)
		return;
	place_of(world, where, &client->to, &client->tcp);
}

struct client *client_start(
	struct world *world, unsigned device, enum purpose purpose, const struct request *request)
{
	struct client *client = must_alloc(sizeof(*client));

	client->purpose = purpose;
	client->device = device;
	client->request = *request;
	snprintf(client->branch, sizeof(client->branch), "z9hG4bK%s%llx",
		chance(world, 500) ? "Ab" : "cD", (unsigned long long)++world->serial);
	client_place(world, client);
	client_add(world, client);
	return client;
}

void client_cancel(struct world *world, struct client *client)
{
	struct client *cancel;

	if (client->state == CLIENT_TRYING)
		client->cancel_wanted = true;
	if (client->state != CLIENT_PROCEEDING || client->cancelled)
		return;
	client->cancelled = true;
	client->cancelled_ms = world->now.mono_ms;
	if (client->call)
		client->call->cancelled = true;
	cancel = must_alloc(sizeof(*cancel));
	*cancel = *client;
	cancel->text = NULL;
	cancel->purpose = FOR_CANCEL;
	cancel->state = CLIENT_TRYING;
	snprintf(cancel->request.method, sizeof(cancel->request.method), "CANCEL");
	cancel->request.lines[0] = 0;
	cancel->request.body_bytes = 0;
	client_add(world, cancel);
}

void call_cancel(struct world *world, uint64_t key)
{
	struct client *client = keyed_find(&world->clients, key);

	if (client)
		client_cancel(world, client);
}

static void client_lingers(struct world *world, struct client *client, unsigned code)
{
	if (is_call(client))
		world->devices[client->device].invites--;
	client->state = CLIENT_COMPLETED;
	client->final = code;
	client->over_ms = world->now.mono_ms + LINGER_MS;
	client_wakes(world, client, LINGER_MS);
}

static void client_complete(
	struct world *world, struct client *client, unsigned code, const struct sip *sip)
{
	client_lingers(world, client, code);
	phone_final(world, client, code, sip);
}

/* RFC 3261 §9.1: who has cancelled waits no longer than that for the answer. */
static void client_gives_up(struct world *world, struct client *client)
{
	bool invite = strcmp(client->request.method, "INVITE") == 0;
	bool dead = client->purpose == FOR_DIALOG && world->phones_die;

	if (world->calm && client->state == CLIENT_PROCEEDING && invite)
		wrong(world, stw_str_from(client->request.call_id),
			"the caller has a provisional response and never got a final one");
	if (world->calm && client->state == CLIENT_TRYING && !dead)
		wrong(world, stw_str_from(client->request.call_id),
			"no response at all to a %s, and the network lost nothing",
			client->request.method);
	client_complete(world, client, 0, NULL);
}

void client_timer(struct world *world, uint64_t key)
{
	struct client *client = keyed_find(&world->clients, key);
	uint64_t now = world->now.mono_ms;
	bool invite;

	if (!client)
		return;
	invite = strcmp(client->request.method, "INVITE") == 0;
	if (client->state == CLIENT_COMPLETED && now < client->over_ms)
		return;
	if (client->state == CLIENT_COMPLETED) {
		keyed_remove(&world->clients, &client->keyed);
		client_free(client);
		return;
	}
	if (invite && client->state == CLIENT_PROCEEDING) {
		if (world->calm && client->cancelled && now > client->cancelled_ms + CANCEL_MS)
			wrong(world, stw_str_from(client->request.call_id),
				"the caller has sent CANCEL, and the call goes on");
		if (now >= client->provisional_ms + PATIENCE_MS)
			client_gives_up(world, client);
		else
			client_wakes(world, client, 5000);
		return;
	}
	if (now >= client->started_ms + TIMER_64T1_MS) {
		client_gives_up(world, client);
		return;
	}
	client->interval_ms *= 2;
	if (!invite && client->interval_ms > T2_MS)
		client->interval_ms = T2_MS;
	if (!client->tcp)
		client_send(world, client);
	client_wakes(world, client, client->interval_ms);
}

/* ---- responses ------------------------------------------------------------------------------- */

/* §17.1.1.3: the ACK of a failure belongs to the transaction. */
static void client_ack(struct world *world, struct client *client, const struct sip *sip)
{
	struct client ack = *client;
	size_t len;
	char *text;

	snprintf(ack.request.method, sizeof(ack.request.method), "ACK");
	snprintf(ack.request.to, sizeof(ack.request.to), "%.*s", STW_STR_ARG(sip->to));
	ack.request.lines[0] = 0;
	ack.request.body_bytes = 0;
	text = request_text(world, &ack, &len);
	device_sends(world, client->device, &client->to, client->tcp, NULL, text, len);
	free(text);
}

static void client_check(struct world *world, const struct client *client, const struct sip *sip)
{
	const struct request *request = &client->request;

	if (!strict(world))
		return;
	if (!stw_str_equal(sip->call_id, stw_str_from(request->call_id)) ||
		sip->cseq != request->cseq ||
		!stw_str_equal(sip->from, stw_str_from(request->from)))
		wrong(world, sip->call_id, "the response %u is not for the %s with its branch",
			sip->code, request->method);
	if (sip->via_count != 1)
		wrong(world, sip->call_id, "the phone gets a response with %u Via", sip->via_count);
	/* A refusal without state is not remembered: a copy of the request that comes late may find
	 * more. In a calm world none comes late. */
	if (client->state == CLIENT_COMPLETED && client->final && world->calm && sip->code >= 200 &&
		(client->final < 300) != (sip->code < 300))
		wrong(world, sip->call_id, "%u behind the final response %u to %s", sip->code,
			client->final, request->method);
}

/* @return true: the request was sent again with credentials */
static bool client_answers_challenge(
	struct world *world, struct client *client, const struct sip *sip)
{
	struct stw_digest_answer answer = { .header = sip->proxy_challenge
							      ? STW_HDR_PROXY_AUTHORIZATION
							      : STW_HDR_AUTHORIZATION,
		.challenge = sip->challenge,
		.method = stw_str_from(client->request.method),
		.uri = stw_str_from(client->request.uri),
		.cnonce = STW_STR("0a4f113b"),
		.nc = 1 };
	struct device *device = &world->devices[client->device];
	struct request request = client->request;
	struct stw_writer writer;
	struct client *again;
	char user[8];

	if (!sip->challenge.len || client->attempts + 1 >= MAX_ATTEMPTS || client->cancel_wanted)
		return false;
	snprintf(user, sizeof(user), "u%u", device->user);
	answer.user = stw_str_from(user);
	answer.password = device->wrong_password ? STW_STR("guess") : STW_STR("secret");
	stw_writer_init(&writer, request.lines, sizeof(request.lines));
	writer.len = client->attempts ? 0 : strlen(request.lines);
	if (stw_digest_answer_write(&writer, &answer) < 0 || writer.overflow) {
		wrong(world, sip->call_id, "the challenge cannot be answered: %.*s",
			STW_STR_ARG(sip->challenge));
		return false;
	}
	request.lines[writer.len] = 0;
	request.cseq++;
	if (client->purpose == FOR_REGISTER)
		device->register_cseq = request.cseq;
	again = client_start(world, client->device, client->purpose, &request);
	again->attempts = client->attempts + 1;
	again->call = client->call;
	again->dialog = client->dialog;
	if (again->call && again->call->reached)
		again->call->anew = true;
	return true;
}

static void client_final(struct world *world, struct client *client, const struct sip *sip)
{
	if ((sip->code == 401 || sip->code == 407) &&
		client_answers_challenge(world, client, sip)) {
		client_lingers(world, client, sip->code);
		return;
	}
	client_complete(world, client, sip->code, sip);
}

void client_gets(struct world *world, const struct sip *sip)
{
	struct client *client = keyed_find(&world->clients, client_key(sip->branch, sip->method));
	bool invite = sip_is(sip->method, "INVITE");

	if (!client)
		return;
	client_check(world, client, sip);
	if (sip->code < 200) {
		client->provisional_ms = world->now.mono_ms;
		if (client->state == CLIENT_TRYING)
			client->state = CLIENT_PROCEEDING;
		if (client->cancel_wanted)
			client_cancel(world, client);
		return;
	}
	if (invite && sip->code < 300)
		dialog_caller(world, client, sip);
	else if (invite)
		client_ack(world, client, sip);
	if (client->state != CLIENT_COMPLETED)
		client_final(world, client, sip);
}
