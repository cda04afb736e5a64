/* SPDX-License-Identifier: Apache-2.0 */
/* What phones do with requests that reach them (RFC 3261 §8.2, §13.3, §17.2). */
#include "simulate/phone.h"

#include <stdlib.h>
#include <string.h>

#define T1_MS      500
#define T2_MS      4000
#define TIMER_I_MS 5000

void server_free(void *item)
{
	struct server *server = item;

	free(server->request);
	free(server->response);
	free(server);
}

static uint64_t server_key(unsigned device, struct stw_str branch, const char *method)
{
	return key_of(device, branch, stw_str_from(method), STW_STR("server"));
}

static void server_wakes(struct world *world, const struct server *server, uint64_t delay_ms)
{
	struct happening *happening = happen(world, SERVER_TIMER, delay_ms);

	happening->key = server->keyed.key;
	plan(world, happening);
}

static void server_plans(
	struct world *world, const struct server *server, unsigned code, uint64_t delay_ms)
{
	struct happening *happening = happen(world, SERVER_ANSWER, delay_ms);

	happening->key = server->keyed.key;
	happening->number = code;
	plan(world, happening);
}

static void server_sends(struct world *world, const struct server *server)
{
	device_sends(world, server->device, &server->hop.remote,
		server->hop.transport == STW_TRANSPORT_TCP, &server->hop, server->response,
		server->response_len);
}

/* ---- the text of a response ------------------------------------------------------------------ */

static void write_values(
	struct stw_writer *writer, const char *name, const struct stw_str *values, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		stw_write_format(writer, "%s: %.*s\r\n", name, STW_STR_ARG(values[i]));
}

static void write_contact(struct world *world, struct server *server, struct stw_writer *writer)
{
	if (server->code / 100 == 3)
		stw_write_format(writer, "Contact: <sip:u%llu@d%llu.example>;q=0.5\r\n",
			(unsigned long long)below(world, USERS),
			(unsigned long long)below(world, NODES));
	else if (server->code < 300)
		stw_write_format(
			writer, "Contact: <%s>\r\n", world->devices[server->device].contact);
}

static void response_make(struct world *world, struct server *server, const struct sip *sip)
{
	struct stw_writer writer;
	char *text = must_alloc(TEXT_MAX);

	stw_writer_init(&writer, text, TEXT_MAX);
	stw_write_format(&writer, "SIP/2.0 %u Answer\r\n", server->code);
	write_values(&writer, "Via", sip->vias, sip->via_count);
	write_values(&writer, "Record-Route", sip->record_routes, sip->record_route_count);
	stw_write_format(&writer,
		"From: %.*s\r\nTo: %.*s%s%s\r\nCall-ID: %.*s\r\nCSeq: %u %.*s\r\n",
		STW_STR_ARG(sip->from), STW_STR_ARG(sip->to),
		sip->to_tag.len || server->code == 100 ? "" : ";tag=",
		sip->to_tag.len || server->code == 100 ? "" : server->tag,
		STW_STR_ARG(sip->call_id), sip->cseq, STW_STR_ARG(sip->method));
	write_contact(world, server, &writer);
	stw_write_text(&writer, "Content-Length: 0\r\n\r\n");
	free(server->response);
	server->response = text;
	server->response_len = writer.len;
}

static void call_tally(struct server *server)
{
	struct call *call = server->call;

	if (!call || server->in_dialog || !server->invite)
		return;
	call->redirected |= server->code / 100 == 3;
	if (server->code < 300)
		call->successes++;
	else if (call->code_count < STW_ARRAY_SIZE(call->codes)) {
		call->owners[call->code_count] = (uint8_t)(server->device / DEVICES_MAX);
		call->codes[call->code_count++] = server->code;
	}
}

static bool is_call(const struct server *server)
{
	return server->invite && !server->in_dialog;
}

void server_answer(struct world *world, uint64_t key, unsigned code)
{
	struct server *server = keyed_find(&world->servers, key);
	struct sip sip;

	if (!server || server->final_ms)
		return;
	if (!sip_read((struct stw_str){ server->request, server->request_len }, &sip))
		return;
	server->code = code;
	response_make(world, server, &sip);
	if (code >= 200) {
		if (is_call(server))
			world->devices[server->device].invites--;
		server->final_ms = world->now.mono_ms;
		server->interval_ms = T1_MS;
		call_tally(server);
		if (server->invite && code < 300)
			server->dialog = dialog_callee(world, server, &sip);
		server_wakes(world, server, T1_MS);
	}
	server_sends(world, server);
}

/* A phone behind a translator is found by the user whom To names: not when the call was forwarded
 * to it, and not when nobody registers any more. */
static bool reachable_in_dialog(const struct world *world, unsigned index, const struct sip *invite)
{
	const struct device *device = &world->devices[index];
	char aor[40];

	snprintf(aor, sizeof(aor), "sip:u%u@d%u.example", device->user, device->node);
	return !device->behind_nat ||
	       (!world->quiet && stw_str_equal(sip_uri(invite->to), stw_str_from(aor)));
}

/* §13.3.1.4: a 2xx that nobody acknowledges ends the dialog. */
static void server_unacknowledged(struct world *world, struct server *server)
{
	struct sip sip;

	if (!sip_read((struct stw_str){ server->request, server->request_len }, &sip))
		return;
	if (server->call && server->call->died)
		return;
	if (server->code < 300) {
		if (world->calm && reachable_in_dialog(world, server->device, &sip))
			wrong(world, sip.call_id, "a 2xx was not acknowledged at u%u",
				world->devices[server->device].user);
		dialog_ends(world, server->dialog);
	} else if (world->calm && server->hop.transport == STW_TRANSPORT_UDP) {
		wrong(world, sip.call_id, "the response %u was not acknowledged", server->code);
	}
}

void server_timer(struct world *world, uint64_t key)
{
	struct server *server = keyed_find(&world->servers, key);
	uint64_t age;
	bool again;

	if (!server)
		return;
	age = world->now.mono_ms - (server->final_ms ? server->final_ms : server->started_ms);
	if (server->final_ms && age >= TIMER_64T1_MS) {
		if (server->invite && !server->acked)
			server_unacknowledged(world, server);
		keyed_remove(&world->servers, &server->keyed);
		server_free(server);
		return;
	}
	if (!server->final_ms) {
		/* A phone that nobody answers rings on, but not for ever. */
		if (age < 500000) {
			server_wakes(world, server, 60000);
			return;
		}
		if (is_call(server))
			world->devices[server->device].invites--;
		keyed_remove(&world->servers, &server->keyed);
		server_free(server);
		return;
	}
	again = server->invite && !server->acked &&
		(server->code < 300 || server->hop.transport == STW_TRANSPORT_UDP);
	if (again)
		server_sends(world, server);
	server->interval_ms = server->interval_ms * 2 > T2_MS ? T2_MS : server->interval_ms * 2;
	server_wakes(world, server, again ? server->interval_ms : TIMER_64T1_MS - age);
}

/* ---- behaviour ------------------------------------------------------------------------------- */

static void behave_invite(struct world *world, const struct server *server)
{
	static const unsigned others[] = { 404, 410, 415, 480, 488, 500, 503, 600, 606, 302, 302 };
	unsigned roll = (unsigned)below(world, 100);
	uint64_t ring_ms = below(world, chance(world, 900) ? 6000 : 50000);

	if (chance(world, 300))
		server_plans(world, server, 100, below(world, 50));
	/* Who rings for long says so. */
	if (chance(world, 700) || (roll < 77 && ring_ms > 5000))
		server_plans(world, server, chance(world, 850) ? 180 : 183, below(world, 1000));
	if (roll < 55)
		server_plans(world, server, 200, ring_ms);
	else if (roll < 70)
		server_plans(world, server, 486, below(world, 400));
	else if (roll < 77)
		server_plans(world, server, 603, ring_ms);
	else if (roll < 88)
		server_plans(world, server, others[below(world, STW_ARRAY_SIZE(others))],
			below(world, 2000));
	server_wakes(world, server, 60000);
}

static void behave_other(struct world *world, const struct server *server)
{
	static const unsigned codes[] = { 200, 200, 200, 200, 200, 202, 404, 405, 480, 503 };

	server_plans(world, server, codes[below(world, STW_ARRAY_SIZE(codes))],
		below(world, chance(world, 950) ? 300 : 10000));
}

/* §17.2.1: until Timer I, which TCP does not need. */
static bool is_ongoing(const struct world *world, const struct server *server)
{
	return server && (!server->final_ms || server->code < 300 || !server->acked ||
				 (server->hop.transport == STW_TRANSPORT_UDP &&
					 world->now.mono_ms < server->final_ms + TIMER_I_MS));
}

/* §8.2.2.2: the same request by another way. A queue rings an agent again, when what was before is
 * over. */
static bool merged(struct world *world, const struct server *server, const struct sip *sip)
{
	uint64_t key = key_of(server->device, sip->call_id, sip->from_tag, STW_STR("merged"));
	bool queued = server->call && server->call->queue >= 0;
	struct answered *first;

	key += (uint64_t)sip->cseq << 8;
	first = keyed_find(&world->dialogs, key);
	if (first && (!queued || is_ongoing(world, keyed_find(&world->servers, first->server))))
		return true;
	if (!first) {
		first = must_alloc(sizeof(*first));
		keyed_add(&world->dialogs, key, &first->keyed);
	}
	first->server = server->keyed.key;
	return false;
}

static void behave(struct world *world, struct server *server, const struct sip *sip)
{
	struct dialog *dialog = sip->to_tag.len ? dialog_find(world, server->device, sip) : NULL;

	server->in_dialog = sip->to_tag.len != 0;
	if (is_call(server))
		world->devices[server->device].invites++;
	if (server->in_dialog && !dialog) {
		server_answer(world, server->keyed.key, 481);
	} else if (dialog) {
		if (sip_is(sip->method, "BYE"))
			dialog_over(world, dialog);
		server_plans(world, server, 200, below(world, server->invite ? 1000 : 100));
	} else if (sip_is(sip->method, "BYE")) {
		server_answer(world, server->keyed.key, 481);
	} else if (server->invite) {
		if (server->call) {
			service_rings(world, server->call, server->device / DEVICES_MAX);
			queue_reaches(world, server->call, server->device);
		}
		if (merged(world, server, sip))
			server_answer(world, server->keyed.key, 482);
		else
			behave_invite(world, server);
	} else {
		behave_other(world, server);
	}
}

/* ---- in -------------------------------------------------------------------------------------- */

static void gets_ack(struct world *world, unsigned device, const struct sip *sip)
{
	struct server *server =
		keyed_find(&world->servers, server_key(device, sip->branch, "INVITE"));
	struct dialog *dialog;
	struct answered *answered;

	if (server) {
		if (server->final_ms && server->code >= 300)
			server->acked = true;
		return;
	}
	/* The ACK of a 2xx: by the dialog and the number of its INVITE. */
	dialog = dialog_find(world, device, sip);
	if (!dialog)
		return;
	answered = keyed_find(
		&world->dialogs, key_of(sip->cseq, sip->call_id, sip->to_tag, STW_STR("answered")));
	server = answered ? keyed_find(&world->servers, answered->server) : NULL;
	if (server)
		server->acked = true;
}

static void gets_cancel(struct world *world, struct server *cancel, const struct sip *sip)
{
	struct server *server =
		keyed_find(&world->servers, server_key(cancel->device, sip->branch, "INVITE"));

	server_answer(world, cancel->keyed.key, server ? 200 : 481);
	if (!server || server->final_ms)
		return;
	/* Who has just lifted the receiver answers, and crosses the CANCEL. */
	server_plans(world, server, chance(world, 70) ? 200 : 487, below(world, 50));
}

void server_gets(struct world *world, unsigned device, const struct happening *happening,
	const struct sip *sip)
{
	char method[16];
	struct server *server;
	uint64_t key;

	if (sip_is(sip->method, "ACK")) {
		gets_ack(world, device, sip);
		return;
	}
	snprintf(method, sizeof(method), "%.*s", STW_STR_ARG(sip->method));
	key = server_key(device, sip->branch, method);
	server = keyed_find(&world->servers, key);
	if (server) {
		if (server->response)
			server_sends(world, server);
		return;
	}
	server = must_alloc(sizeof(*server));
	server->device = device;
	server->hop = happening->hop;
	server->request = must_copy(happening->data, happening->len);
	server->request_len = happening->len;
	server->invite = strcmp(method, "INVITE") == 0;
	server->started_ms = world->now.mono_ms;
	server->call = call_of(world, sip->call_id);
	snprintf(server->tag, sizeof(server->tag), "t%u-%llx", device,
		(unsigned long long)++world->serial);
	keyed_add(&world->servers, key, &server->keyed);
	if (strcmp(method, "CANCEL") == 0)
		gets_cancel(world, server, sip);
	else
		behave(world, server, sip);
}
