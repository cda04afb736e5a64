/* SPDX-License-Identifier: Apache-2.0 */
/* Send a MESSAGE (RFC 3428) and say what came back. */
#include "cli/agent.h"

#include <errno.h>
#include <stdlib.h>

#define BODY_MAX   1300 /* RFC 3428 §8 */
#define TIMEOUT_MS 32000

struct message {
	uint64_t give_up_ms;
};

static void message_event(struct agent *agent, const struct stw_ua_event *event)
{
	if (event->kind != STW_UA_RESPONSE)
		return;
	agent->finished = true;
	if (event->code >= 300)
		agent->status = STW_EXIT_FAILED;
	agent_explain(agent, event->code, event->cause);
}

static void message_turn(struct agent *agent)
{
	struct message *message = agent->user;

	agent->deadline_ms = message->give_up_ms;
	if (agent->finished || agent->now.mono_ms < message->give_up_ms)
		return;
	agent->finished = true;
	agent->status = stw_cli_fail(agent->cli, "no answer came in time");
}

static int message_send(struct agent *agent, const char *target, struct stw_str body)
{
	char uri[1024];
	int err;

	agent_uri(agent, target, uri, sizeof(uri));
	agent_begin(agent);
	err = stw_ua_send(agent->ua, &(struct stw_ua_message){ .method = STW_STR("MESSAGE"),
					     .uri = stw_str_from(uri),
					     .content_type = STW_STR("text/plain"),
					     .body = body });
	agent_end(agent);
	if (err == -EBADMSG || err == -EINVAL)
		return stw_cli_usage(agent->cli, "%s is no SIP URI", uri);
	return err < 0 ? stw_cli_fail(agent->cli, "%s", strerror(-err)) : -1;
}

int stw_cmd_message(struct stw_cli *cli)
{
	struct agent_options shared = { 0 };
	struct message message = { .give_up_ms = TIMEOUT_MS };
	const struct stw_cli_option options[] = { AGENT_OPTIONS(shared) };
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 1, 2);
	char input[BODY_MAX + 1];
	struct stw_str body;
	struct agent *agent;

	if (status < 0)
		status = agent_seconds(cli, "timeout", shared.timeout, &message.give_up_ms);
	if (status >= 0)
		return status;
	if (cli->operand_count == 2)
		body = stw_str_from(cli->operands[1]);
	else
		body = (struct stw_str){ input, fread(input, 1, sizeof(input), stdin) };
	if (body.len > BODY_MAX)
		return stw_cli_usage(cli, "a message has at most %d bytes (RFC 3428)", BODY_MAX);
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return stw_cli_fail(cli, "no memory is left");
	status = agent_open(agent, cli, &shared, cli->operands[0]);
	message.give_up_ms += agent->now.mono_ms;
	agent->user = &message;
	agent->event = message_event;
	agent->turn = message_turn;
	agent->owes_answer = true;
	if (status < 0)
		status = agent_start(agent);
	if (status < 0)
		status = message_send(agent, cli->operands[0], body);
	if (status < 0)
		agent_run(agent);
	else
		agent->status = status;
	return agent_close(agent);
}
