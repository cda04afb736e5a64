/* SPDX-License-Identifier: Apache-2.0 */
/* Ask a telephone to call somebody (RFC 3515), and say how far it has got. */
#include "cli/agent.h"

#include <errno.h>
#include <stdlib.h>

#define TIMEOUT_MS 180000

struct refer {
	uint64_t give_up_ms;
	bool silently;
};

static void refer_event(struct agent *agent, const struct stw_ua_event *event)
{
	const struct refer *refer = agent->user;
	bool refused = event->kind == STW_UA_RESPONSE && event->code >= 300;
	bool silent = event->kind == STW_UA_RESPONSE && refer->silently;
	bool last = event->kind == STW_UA_TRANSFERRED && event->final;

	if (!refused && !silent && !last)
		return;
	agent->finished = true;
	if (event->code >= 300)
		agent->status = STW_EXIT_FAILED;
	agent_explain(agent, event->code, event->cause);
}

static void refer_turn(struct agent *agent)
{
	const struct refer *refer = agent->user;

	agent->deadline_ms = refer->give_up_ms;
	if (agent->now.mono_ms < refer->give_up_ms || agent->finished)
		return;
	agent->finished = true;
	agent->status = stw_cli_fail(agent->cli, "no last word came");
}

static int refer_send(struct agent *agent, const char *who, const char *whom)
{
	const struct refer *refer = agent->user;
	char uri[1024], target[1024];
	int err;

	agent_uri(agent, who, uri, sizeof(uri));
	snprintf(target, sizeof(target), "%s%s", strchr(whom, ':') ? "" : "sip:", whom);
	agent_begin(agent);
	err = stw_ua_refer(agent->ua, &(struct stw_refer_options){ .uri = stw_str_from(uri),
					      .refer_to = stw_str_from(target),
					      .no_subscription = refer->silently });
	agent_end(agent);
	if (err == -EBADMSG || err == -EINVAL)
		return stw_cli_usage(agent->cli, "%s or %s is no SIP URI", uri, target);
	return err < 0 ? stw_cli_fail(agent->cli, "%s", strerror(-err)) : -1;
}

int stw_cmd_refer(struct stw_cli *cli)
{
	struct agent_options shared = { 0 };
	struct refer refer = { .give_up_ms = TIMEOUT_MS };
	const struct stw_cli_option options[] = {
		AGENT_OPTIONS(shared),
		{ "silently", 0, NULL, "without being told how far it has got (RFC 4488)", NULL,
			&refer.silently },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 2, 2);
	struct agent *agent;

	if (status < 0)
		status = agent_seconds(cli, "timeout", shared.timeout, &refer.give_up_ms);
	if (status >= 0)
		return status;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return stw_cli_fail(cli, "no memory is left");
	status = agent_open(agent, cli, &shared, cli->operands[0]);
	refer.give_up_ms += agent->now.mono_ms;
	agent->user = &refer;
	agent->event = refer_event;
	agent->turn = refer_turn;
	agent->owes_answer = true;
	if (status < 0)
		status = agent_start(agent);
	if (status < 0)
		status = refer_send(agent, cli->operands[0], cli->operands[1]);
	if (status < 0)
		agent_run(agent);
	else
		agent->status = status;
	return agent_close(agent);
}
