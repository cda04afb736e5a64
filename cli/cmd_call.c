/* SPDX-License-Identifier: Apache-2.0 */
/* Place a call, with sound, and say what became of it. */
#include "cli/agent.h"

#include <errno.h>
#include <stdlib.h>

#define RESERVE_MS 200 /* nothing is reserved: the time that it would take */

struct call {
	const char *duration, *cancel_after, *header, *from, *join, *replace;
	bool late_offer, anonymous, openly, overlap, qos;
	uint64_t duration_ms, cancel_ms,
		timeout_ms; /* UINT64_MAX: none; times of the clock later */
	struct stw_session *session;
	bool established, cancelled;
	unsigned code;
};

static void call_event(struct agent *agent, const struct stw_ua_event *event)
{
	struct call *call = agent->user;

	if (event->session != call->session)
		return;
	if (event->kind == STW_UA_ACCEPTED) {
		call->cancel_ms = call->timeout_ms = UINT64_MAX;
	} else if (event->kind == STW_UA_ESTABLISHED && !call->established) {
		call->established = true;
		if (call->duration_ms != UINT64_MAX)
			call->duration_ms += agent->now.mono_ms;
	} else if (event->kind == STW_UA_ENDED) {
		call->session = NULL;
		agent->finished = true;
		if (!call->established && !call->cancelled && !agent->stopping)
			agent->status = STW_EXIT_FAILED;
		agent_explain(agent, event->code, event->cause);
	}
}

static void call_turn(struct agent *agent)
{
	struct call *call = agent->user;
	uint64_t now_ms = agent->now.mono_ms;
	struct agent_line *line;

	agent->deadline_ms = agent_keys_next(agent);
	while (call->session && agent_keys(agent, call->session))
		continue;
	if (!call->session)
		return;
	line = agent_line_find(agent, call->session);
	if (now_ms >= call->cancel_ms || now_ms >= call->timeout_ms) {
		call->cancelled = now_ms >= call->cancel_ms;
		call->cancel_ms = call->timeout_ms = UINT64_MAX;
		stw_session_end(call->session, STW_STR_NONE);
	} else if (call->established &&
		   (now_ms >= call->duration_ms ||
			   (call->duration_ms == UINT64_MAX && line && agent->samples &&
				   stw_sound_done(&line->sound)))) {
		call->duration_ms = UINT64_MAX - 1;
		stw_session_end(call->session, STW_STR_NONE);
	}
	if (call->cancel_ms < agent->deadline_ms)
		agent->deadline_ms = call->cancel_ms;
	if (call->timeout_ms < agent->deadline_ms)
		agent->deadline_ms = call->timeout_ms;
	if (call->established && call->duration_ms < agent->deadline_ms)
		agent->deadline_ms = call->duration_ms;
}

static void line_add(char *lines, size_t size, const char *name, const char *value)
{
	size_t len = strlen(lines);

	if (value)
		snprintf(lines + len, size - len, "%s%s\r\n", name, value);
}

static int call_place(struct agent *agent, struct call *call, const char *target)
{
	char uri[1024], headers[4096] = "";
	struct stw_session_options options = {
		.late_offer = call->late_offer,
		.anonymous = call->anonymous || call->openly,
		.identity_allowed = call->openly,
		.overlap = call->overlap,
	};
	int err;

	agent_uri(agent, target, uri, sizeof(uri));
	line_add(headers, sizeof(headers), "", call->header);
	line_add(headers, sizeof(headers), "Join: ", call->join);
	line_add(headers, sizeof(headers), "Replaces: ", call->replace);
	options.uri = stw_str_from(uri);
	options.headers = stw_str_from(headers);
	agent_begin(agent);
	err = stw_ua_call(agent->ua, &options, &call->session);
	agent_end(agent);
	if (err == -EBADMSG)
		return stw_cli_usage(agent->cli, "%s is no SIP URI", uri);
	if (err == -EINVAL)
		return stw_cli_usage(agent->cli, "--header takes a whole line, NAME: VALUE");
	return err < 0 ? stw_cli_fail(agent->cli, "%s", strerror(-err)) : -1;
}

static int call_run(struct agent *agent, struct call *call, const char *target)
{
	uint64_t started_ms = agent->now.mono_ms;
	int status;

	if (call->from)
		snprintf(agent->aor, sizeof(agent->aor), "%s", call->from);
	if (call->qos) {
		agent->qos = STW_SDP_QOS_MANDATORY;
		agent->ua_options.policy.qos = true;
		agent->ua_options.policy.reserve_ms = RESERVE_MS;
	}
	agent->user = call;
	agent->event = call_event;
	agent->turn = call_turn;
	if (call->cancel_ms != UINT64_MAX)
		call->cancel_ms += started_ms;
	if (call->timeout_ms != UINT64_MAX)
		call->timeout_ms += started_ms;
	status = agent_start(agent);
	if (status < 0)
		status = call_place(agent, call, target);
	if (status < 0)
		agent_run(agent);
	return status;
}

int stw_cmd_call(struct stw_cli *cli)
{
	struct agent_options shared = { 0 };
	struct call call = {
		.duration_ms = UINT64_MAX, .cancel_ms = UINT64_MAX, .timeout_ms = UINT64_MAX
	};
	const char *dtmf = NULL;
	const struct stw_cli_option options[] = {
		AGENT_OPTIONS(shared),
		AGENT_SOUND_OPTIONS(shared),
		{ "from", 0, "URI", "who calls, when it is not the user", &call.from, NULL },
		{ "duration", 0, "SECONDS", "hang up so long after it was answered", &call.duration,
			NULL },
		{ "cancel-after", 0, "SECONDS", "give up when nobody has answered",
			&call.cancel_after, NULL },
		{ "dtmf", 0, "DIGITS", "send them when it was answered", &dtmf, NULL },
		{ "header", 0, "LINE", "a header field more: \"Subject: lunch\"", &call.header,
			NULL },
		{ "join", 0, "DIALOG",
			"be added to this call of the other side: CALL-ID;to-tag=TAG;from-tag=TAG",
			&call.join, NULL },
		{ "replace", 0, "DIALOG", "take the place of this call of the other side",
			&call.replace, NULL },
		{ "late-offer", 0, NULL, "let the called side offer", NULL, &call.late_offer },
		{ "anonymous", 0, NULL, "do not say who we are (RFC 3323)", NULL, &call.anonymous },
		{ "anonymous-or-openly", 0, NULL, "say who we are when nobody else is taken (433)",
			NULL, &call.openly },
		{ "overlap", 0, NULL, "more digits follow by lines \"dial DIGITS\" (484)", NULL,
			&call.overlap },
		{ "qos", 0, NULL, "demand preconditions (RFC 3312)", NULL, &call.qos },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 1, 1);
	struct agent *agent;

	if (status < 0)
		status = agent_seconds(cli, "duration", call.duration, &call.duration_ms);
	if (status < 0)
		status = agent_seconds(cli, "cancel-after", call.cancel_after, &call.cancel_ms);
	if (status < 0)
		status = agent_seconds(cli, "timeout", shared.timeout, &call.timeout_ms);
	if (status >= 0)
		return status;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return stw_cli_fail(cli, "no memory is left");
	agent->dial = dtmf;
	for (size_t i = 0; dtmf && dtmf[i] && status < 0; i++)
		if (stw_event_of(dtmf[i]) < 0 || i >= STW_SOUND_DIGITS)
			status = stw_cli_usage(cli, "--dtmf takes up to 64 of 0-9, *, # and A-D");
	if (status < 0)
		status = agent_open(agent, cli, &shared, cli->operands[0]);
	if (status < 0)
		status = call_run(agent, &call, cli->operands[0]);
	if (status >= 0)
		agent->status = status;
	return agent_close(agent);
}
