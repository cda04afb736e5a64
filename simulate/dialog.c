/* SPDX-License-Identifier: Apache-2.0 */
/* The dialogs of phones (RFC 3261 §12): what is sent in them, and how they end. */
#include "simulate/phone.h"

#include <stdlib.h>
#include <string.h>

enum step { STEP_BYE, STEP_INVITE, STEP_INFO };

static uint64_t dialog_key(
	unsigned device, struct stw_str call_id, struct stw_str local, struct stw_str remote)
{
	char tags[300];
	int n = snprintf(tags, sizeof(tags), "%.*s %.*s", STW_STR_ARG(local), STW_STR_ARG(remote));

	return key_of(device, call_id, (struct stw_str){ tags, (size_t)n % sizeof(tags) },
		STW_STR("dialog"));
}

static void dialog_plans(
	struct world *world, const struct dialog *dialog, enum step step, uint64_t delay_ms)
{
	struct happening *happening = happen(world, DIALOG_STEP, delay_ms);

	happening->key = dialog->keyed.key;
	happening->number = step;
	plan(world, happening);
}

/* §12.1: the route set, in the order of the Record-Routes for a callee, backwards for a caller. */
static void take_routes(char *routes, size_t size, const struct sip *sip, bool backwards)
{
	size_t at = 0;
	unsigned i, which;

	routes[0] = 0;
	for (i = 0; i < sip->record_route_count && at < size; i++) {
		which = backwards ? sip->record_route_count - 1 - i : i;
		at += (size_t)snprintf(routes + at, size - at, "Route: %.*s\r\n",
			STW_STR_ARG(sip->record_routes[which]));
	}
	if (at >= size)
		routes[0] = 0;
}

static void take_text(char *buffer, size_t size, struct stw_str text)
{
	snprintf(buffer, size, "%.*s", STW_STR_ARG(text));
}

static struct dialog *dialog_new(
	struct world *world, unsigned device, const struct sip *sip, uint64_t key, bool caller)
{
	struct dialog *dialog = must_alloc(sizeof(*dialog));
	struct request *request = &dialog->request;

	dialog->device = device;
	dialog->caller = caller;
	dialog->since_ms = world->now.mono_ms;
	world->devices[device].dialogs++;
	request->max_forwards = 70;
	take_text(request->call_id, sizeof(request->call_id), sip->call_id);
	take_routes(request->routes, sizeof(request->routes), sip, caller);
	if (sip->contact_count)
		take_text(request->uri, sizeof(request->uri), sip_uri(sip->contacts[0]));
	keyed_add(&world->dialogs, key, &dialog->keyed);
	return dialog;
}

static void dialog_life(struct world *world, struct dialog *dialog)
{
	bool first = dialog->caller || chance(world, 500);

	if (chance(world, 200))
		dialog_plans(world, dialog, STEP_INVITE, 1000 + below(world, 10000));
	if (chance(world, 150))
		dialog_plans(world, dialog, STEP_INFO, below(world, 10000));
	if (first)
		dialog_plans(world, dialog, STEP_BYE, 200 + below(world, 30000));
}

static void send_ack(struct world *world, struct dialog *dialog, unsigned cseq)
{
	struct client ack = { .request = dialog->request,
		.device = dialog->device,
		.to = world->nodes[world->devices[dialog->device].node].addr,
		.tcp = world->devices[dialog->device].tcp };
	struct stw_str next =
		stw_str_from(ack.request.routes[0] ? ack.request.routes : ack.request.uri);
	size_t len;
	char *text;

	snprintf(ack.request.method, sizeof(ack.request.method), "ACK");
	snprintf(ack.branch, sizeof(ack.branch), "z9hG4bKack%llx",
		(unsigned long long)++world->serial);
	ack.request.cseq = cseq;
	place_of(world, ack.request.routes[0] ? sip_uri(next) : next, &ack.to, &ack.tcp);
	text = request_text(world, &ack, &len);
	device_sends(world, dialog->device, &ack.to, ack.tcp, NULL, text, len);
	free(text);
}

void dialog_caller(struct world *world, struct client *client, const struct sip *sip)
{
	uint64_t key = client->purpose == FOR_DIALOG ? client->dialog
						     : dialog_key(client->device, sip->call_id,
							       sip->from_tag, sip->to_tag);
	struct dialog *dialog = keyed_find(&world->dialogs, key);
	struct request *request;

	if (!dialog) {
		dialog = dialog_new(world, client->device, sip, key, true);
		request = &dialog->request;
		take_text(request->from, sizeof(request->from), sip->from);
		take_text(request->to, sizeof(request->to), sip->to);
		dialog->cseq = sip->cseq;
		dialog_life(world, dialog);
		world->result->answered++;
	}
	send_ack(world, dialog, sip->cseq);
}

uint64_t dialog_callee(struct world *world, struct server *server, const struct sip *sip)
{
	struct answered *answered = must_alloc(sizeof(*answered));
	struct stw_str tag = sip->to_tag.len ? sip->to_tag : stw_str_from(server->tag);
	uint64_t key = dialog_key(server->device, sip->call_id, tag, sip->from_tag);
	struct dialog *dialog = keyed_find(&world->dialogs, key);

	answered->server = server->keyed.key;
	keyed_add(&world->dialogs, key_of(sip->cseq, sip->call_id, tag, STW_STR("answered")),
		&answered->keyed);
	if (dialog)
		return key;
	dialog = dialog_new(world, server->device, sip, key, false);
	snprintf(dialog->request.from, sizeof(dialog->request.from), "%.*s;tag=%s",
		STW_STR_ARG(sip->to), server->tag);
	take_text(dialog->request.to, sizeof(dialog->request.to), sip->from);
	dialog->cseq = (unsigned)(1 + below(world, 1000));
	dialog_life(world, dialog);
	return key;
}

/* Its phone has died since it began. */
static bool is_forgotten(const struct world *world, const struct dialog *dialog)
{
	return world->devices[dialog->device].died_ms >= dialog->since_ms;
}

struct dialog *dialog_find(struct world *world, unsigned device, const struct sip *request)
{
	struct dialog *dialog = keyed_find(&world->dialogs,
		dialog_key(device, request->call_id, request->to_tag, request->from_tag));

	return dialog && !is_forgotten(world, dialog) ? dialog : NULL;
}

void dialog_over(struct world *world, struct dialog *dialog)
{
	if (!dialog->ended)
		world->devices[dialog->device].dialogs--;
	dialog->ended = true;
}

void dialog_step(struct world *world, uint64_t key, unsigned step)
{
	static const char *const methods[] = { "BYE", "INVITE", "INFO" };
	struct dialog *dialog = keyed_find(&world->dialogs, key);
	struct request request;
	struct client *client;

	if (!dialog || dialog->ended || !dialog->request.uri[0] || is_forgotten(world, dialog))
		return;
	request = dialog->request;
	snprintf(request.method, sizeof(request.method), "%s",
		step == STEP_INFO && chance(world, 500) ? "UPDATE" : methods[step]);
	request.cseq = ++dialog->cseq;
	if (step == STEP_BYE)
		dialog_over(world, dialog);
	client = client_start(world, dialog->device, FOR_DIALOG, &request);
	client->dialog = key;
}

void dialog_ends(struct world *world, uint64_t key)
{
	dialog_step(world, key, STEP_BYE);
}
