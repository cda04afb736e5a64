/* SPDX-License-Identifier: Apache-2.0 */
/* Register (RFC 3261 §10.2), ask for the bindings, or remove them. */
#include "cli/agent.h"

#include <stdlib.h>

#include "server/decision/decision.h"

#define TIMEOUT_MS 32000

struct registering {
	const char *expires;
	bool keep, fetch, remove_all;
	uint64_t give_up_ms;
	struct stw_registration *registration;
};

/* The Contacts of the 200. */
static void bindings_print(struct agent *agent, const struct stw_msg *msg)
{
	struct stw_str value;
	char words[1024];

	for (unsigned i = 0; msg && i < msg->field_count; i++) {
		if (msg->fields[i].header != STW_HDR_CONTACT)
			continue;
		value = stw_field_value(msg, &msg->fields[i]);
		snprintf(words, sizeof(words), "binding %.*s", STW_STR_ARG(value));
		agent_tell(agent, "binding", json_pack("{s:o}", "contact", stw_json_text(value)),
			words);
	}
}

static void register_event(struct agent *agent, const struct stw_ua_event *event)
{
	struct registering *registering = agent->user;

	if (event->kind == STW_UA_REGISTERED || event->kind == STW_UA_BINDINGS) {
		bindings_print(agent, event->msg);
		registering->give_up_ms = UINT64_MAX;
		agent->owes_answer = false;
		agent->finished |= !registering->keep;
	} else if (event->kind == STW_UA_UNREGISTERED) {
		agent->finished = true;
		if (event->code >= 300)
			agent->status = STW_EXIT_FAILED;
		agent_explain(agent, event->code, event->cause);
	}
}

static void register_turn(struct agent *agent)
{
	struct registering *registering = agent->user;

	agent->deadline_ms = registering->give_up_ms;
	if (agent->finished || agent->now.mono_ms < registering->give_up_ms)
		return;
	agent->finished = true;
	agent->status = stw_cli_fail(agent->cli, "no answer came in time");
}

static int register_run(struct agent *agent, struct registering *registering, uint64_t expires_s)
{
	int status = agent_start(agent), err;

	if (status >= 0)
		return status;
	agent_begin(agent);
	err = stw_ua_register(agent->ua,
		&(struct stw_registration_options){ .expires_s = (uint32_t)expires_s,
			.fetch = registering->fetch,
			.remove_all = registering->remove_all,
			.once = !registering->keep },
		&registering->registration);
	agent_end(agent);
	if (err < 0)
		return stw_cli_fail(agent->cli, "%s", strerror(-err));
	agent_run(agent);
	return -1;
}

int stw_cmd_register(struct stw_cli *cli)
{
	struct agent_options shared = { 0 };
	struct registering registering = { .give_up_ms = TIMEOUT_MS };
	const struct stw_cli_option options[] = {
		AGENT_OPTIONS(shared),
		{ "expires", 0, "SECONDS", "for how long; 3600 unless given", &registering.expires,
			NULL },
		{ "keep", 0, NULL, "stay, and keep the binding alive", NULL, &registering.keep },
		{ "fetch", 0, NULL, "only say which bindings there are", NULL, &registering.fetch },
		{ "remove-all", 0, NULL, "remove all bindings", NULL, &registering.remove_all },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 0, 0);
	uint64_t expires_s = 0;
	struct agent *agent;

	if (status < 0)
		status = agent_seconds(cli, "timeout", shared.timeout, &registering.give_up_ms);
	if (status < 0 && registering.expires &&
		(stw_str_to_uint(stw_str_from(registering.expires), UINT32_MAX, &expires_s) < 0 ||
			!expires_s))
		status = stw_cli_usage(cli, "--expires takes seconds, 1 or more");
	if (status < 0 && !shared.user)
		status = stw_cli_usage(cli, "--user AOR is missing: who is to be registered");
	if (status >= 0)
		return status;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return stw_cli_fail(cli, "no memory is left");
	status = agent_open(agent, cli, &shared, shared.user);
	registering.give_up_ms += agent->now.mono_ms;
	agent->user = &registering;
	agent->event = register_event;
	agent->turn = register_turn;
	agent->owes_answer = true;
	agent->leaves = registering.keep;
	if (status < 0)
		status = register_run(agent, &registering, expires_s);
	if (status >= 0)
		agent->status = status;
	return agent_close(agent);
}
