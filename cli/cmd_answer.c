/* SPDX-License-Identifier: Apache-2.0 */
/* Be the called side: ring, answer, refuse, with each response that a phone can give. */
#include "cli/agent.h"

#include <stdlib.h>

#define RING_MS 1000

struct answer {
	const char *ring, *then, *count, *hangup_after, *lines, *redirect, *screen_via, *min_se,
		*recv_info, *qos, *require, *realm, *users, *priorities;
	bool dnd, busy_everywhere, media_everywhere, reject_anonymous, auth, early_media, reliable,
		no_register, mix, no_takeover, auto_answer, auto_answer_privileged,
		tell_answer_mode, send_199, obey_refer;
	uint64_t hangup_ms, left;    /* sessions */
	struct stw_ua_policy policy; /* its numbers */
	struct stw_registration *registration;
};

static void answer_event(struct agent *agent, const struct stw_ua_event *event)
{
	struct answer *answer = agent->user;
	struct agent_line *line = agent_line_find(agent, event->session);

	if (event->kind == STW_UA_ESTABLISHED && line && answer->hangup_ms != UINT64_MAX)
		line->hangup_ms = agent->now.mono_ms + answer->hangup_ms;
	if (event->kind == STW_UA_UNREGISTERED && event->code >= 300)
		agent_explain(agent, event->code, event->cause);
	if (event->kind != STW_UA_ENDED && event->kind != STW_UA_REFUSED)
		return;
	if (event->kind == STW_UA_REFUSED && event->msg && event->msg->method != STW_METHOD_INVITE)
		return;
	if (!answer->left || --answer->left || agent->finished)
		return;
	agent->finished = true;
	agent->ua_options.policy.dnd = true; /* who calls now would be left alone */
	stw_ua_set_policy(agent->ua, &agent->ua_options.policy);
	if (answer->registration)
		stw_registration_end(answer->registration);
}

/* Whom the lines of standard input mean. */
static struct stw_session *newest(struct agent *agent)
{
	for (unsigned i = AGENT_LINES_MAX; i-- > 0;)
		if (agent->lines[i].used)
			return (struct stw_session *)(uintptr_t)agent->lines[i].session;
	return NULL;
}

static void answer_turn(struct agent *agent)
{
	struct stw_session *session;

	for (unsigned i = 0; i < AGENT_LINES_MAX; i++) {
		struct agent_line *line = &agent->lines[i];

		if (!line->used || agent->now.mono_ms < line->hangup_ms || line->hung_up)
			continue;
		line->hung_up = true;
		stw_session_end((struct stw_session *)(uintptr_t)line->session, STW_STR_NONE);
	}
	while ((session = newest(agent)) && agent_keys(agent, session))
		continue;
	agent->deadline_ms = session ? agent_keys_next(agent) : UINT64_MAX;
}

static int number_read(
	struct stw_cli *cli, const char *option, const char *text, uint64_t max, uint64_t *ret)
{
	if (text && stw_str_to_uint(stw_str_from(text), max, ret) < 0)
		return stw_cli_usage(
			cli, "--%s takes a number, 0 to %llu", option, (unsigned long long)max);
	return -1;
}

/* Numbers, and what is more than one word. */
static int policy_read(struct stw_cli *cli, struct answer *answer)
{
	struct stw_ua_policy *policy = &answer->policy;
	uint64_t ring_ms = RING_MS, then = 0, lines = 0, min_se = 0;
	int status = agent_seconds(cli, "ring", answer->ring, &ring_ms);

	if (status < 0)
		status = number_read(cli, "then", answer->then, 699, &then);
	if (status < 0 && then && then < 200)
		status = stw_cli_usage(cli, "--then takes a final code, 200 to 699");
	if (status < 0 && answer->lines &&
		(stw_str_to_uint(stw_str_from(answer->lines), AGENT_LINES_MAX, &lines) < 0 ||
			!lines))
		status = stw_cli_usage(cli, "--lines takes a number, 1 to %d", AGENT_LINES_MAX);
	if (status < 0)
		status = number_read(cli, "min-se", answer->min_se, 86400, &min_se);
	if (status < 0)
		status = number_read(cli, "count", answer->count, UINT32_MAX, &answer->left);
	if (status < 0)
		status = agent_seconds(
			cli, "hangup-after", answer->hangup_after, &answer->hangup_ms);
	if (status < 0 && answer->qos && strcmp(answer->qos, "ok") != 0 &&
		strcmp(answer->qos, "fail") != 0)
		status = stw_cli_usage(cli, "--qos takes ok or fail");
	policy->ring_ms = (uint32_t)ring_ms;
	policy->then = (unsigned)then;
	policy->lines = (unsigned)lines;
	policy->min_se_s = (uint32_t)min_se;
	return status;
}

static int answer_read(struct agent *agent, struct answer *answer)
{
	struct stw_ua_policy *policy = &agent->ua_options.policy;

	*policy = answer->policy;
	policy->automatic = true;
	policy->dnd = answer->dnd;
	policy->busy_everywhere = answer->busy_everywhere;
	if (answer->busy_everywhere && !policy->lines)
		policy->lines = 1;
	policy->redirect = stw_str_from(answer->redirect);
	policy->screen_via = stw_str_from(answer->screen_via);
	policy->reject_anonymous = answer->reject_anonymous;
	policy->recv_info = stw_str_from(answer->recv_info);
	policy->require = stw_str_from(answer->require);
	policy->users = stw_str_from(answer->users);
	policy->priorities = stw_str_from(answer->priorities);
	policy->early_media = answer->early_media;
	policy->reliable = answer->reliable;
	policy->mixes = answer->mix;
	policy->obey_refer = answer->obey_refer;
	policy->send_199 = answer->send_199;
	policy->auto_answer = answer->auto_answer;
	policy->auto_answer_privileged = answer->auto_answer_privileged;
	policy->tell_answer_mode = answer->tell_answer_mode;
	if (answer->auto_answer_privileged && !answer->auth)
		return stw_cli_usage(agent->cli, "--auto-answer-privileged needs --auth");
	policy->refuse_takeover = answer->no_takeover;
	policy->qos = answer->qos != NULL;
	policy->qos_fails = answer->qos && strcmp(answer->qos, "fail") == 0;
	agent->everywhere = answer->media_everywhere;
	if (answer->qos)
		agent->qos = STW_SDP_QOS_SUPPORTED;
	if (answer->auth) {
		if (!*agent->password || !*agent->aor)
			return stw_cli_usage(agent->cli, "--auth needs --user and --password-file");
		policy->auth_realm = STW_STR("strowger");
		policy->auth_password = stw_str_from(agent->password);
	}
	return -1;
}

static int answer_run(struct agent *agent, struct answer *answer)
{
	struct stw_uri aor;
	int status = answer_read(agent, answer), err = 0;

	agent->user = answer;
	agent->event = answer_event;
	agent->turn = answer_turn;
	agent->leaves = true;
	if (answer->auth && stw_uri_parse(stw_str_from(agent->aor), &aor) == 0)
		agent->ua_options.policy.auth_user = aor.user;
	if (status < 0)
		status = agent_start(agent);
	if (status >= 0)
		return status;
	if (agent->options->user && !answer->no_register) {
		agent_begin(agent);
		err = stw_ua_register(
			agent->ua, &(struct stw_registration_options){ 0 }, &answer->registration);
		agent_end(agent);
	}
	if (err < 0)
		return stw_cli_fail(agent->cli, "cannot register: %s", strerror(-err));
	if (!agent->cli->json && !agent->options->user) {
		char address[STW_ADDR_TEXT_MAX];

		fprintf(agent->cli->out, "listening on %.*s\n",
			STW_STR_ARG(stw_addr_text(&agent->listeners.v[0].bind, address)));
		fflush(agent->cli->out);
	}
	agent_run(agent);
	return -1;
}

int stw_cmd_answer(struct stw_cli *cli)
{
	struct agent_options shared = { 0 };
	struct answer answer = { .hangup_ms = UINT64_MAX };
	const struct stw_cli_option options[] = {
		AGENT_OPTIONS(shared),
		AGENT_SOUND_OPTIONS(shared),
		{ "ring", 0, "SECONDS", "ring so long before answering; 1 unless given",
			&answer.ring, NULL },
		{ "then", 0, "CODE", "the final response; 200 unless given", &answer.then, NULL },
		{ "count", 0, "N", "end after so many calls", &answer.count, NULL },
		{ "hangup-after", 0, "SECONDS", "hang up so long after answering",
			&answer.hangup_after, NULL },
		{ "lines", 0, "N", "calls at a time, 1 to 32; more get 486", &answer.lines, NULL },
		{ "busy-everywhere", 0, NULL, "600 instead of 486", NULL, &answer.busy_everywhere },
		{ "dnd", 0, NULL, "do not disturb: 480", NULL, &answer.dnd },
		{ "media-everywhere", 0, NULL, "606 instead of 488", NULL,
			&answer.media_everywhere },
		{ "redirect", 0, "URI", "302 to it", &answer.redirect, NULL },
		{ "screen-via", 0, "URI", "305 unless the call comes from there",
			&answer.screen_via, NULL },
		{ "reject-anonymous", 0, NULL, "433 for callers without a name", NULL,
			&answer.reject_anonymous },
		{ "min-se", 0, "SECONDS", "422 for shorter session timers", &answer.min_se, NULL },
		{ "recv-info", 0, "LIST", "INFO packages; 469 for others", &answer.recv_info,
			NULL },
		{ "qos", 0, "ok|fail", "preconditions are met, or 580", &answer.qos, NULL },
		{ "require", 0, "TAG", "421 for callers that do not support it", &answer.require,
			NULL },
		{ "users", 0, "LIST", "names and numbers: 404 for others, 484 for first digits",
			&answer.users, NULL },
		{ "priorities", 0, "LIST", "417 for who demands others (RFC 4412)",
			&answer.priorities, NULL },
		{ "auth", 0, NULL, "ask callers for the password: 401", NULL, &answer.auth },
		{ "early-media", 0, NULL, "183 with a description instead of 180", NULL,
			&answer.early_media },
		{ "reliable", 0, NULL, "provisional responses by 100rel", NULL, &answer.reliable },
		{ "auto-answer", 0, NULL,
			"callers may ask to be answered at once: Answer-Mode (RFC 5373)", NULL,
			&answer.auto_answer },
		{ "auto-answer-privileged", 0, NULL,
			"those with the password of --auth by Priv-Answer-Mode", NULL,
			&answer.auto_answer_privileged },
		{ "tell-answer-mode", 0, NULL, "say in the 200 how it was answered", NULL,
			&answer.tell_answer_mode },
		{ "mix", 0, NULL, "whoever joins a call is added to it (RFC 3911); else 488", NULL,
			&answer.mix },
		{ "send-199", 0, NULL,
			"199 before a refusal, to callers that support it (RFC 6228)", NULL,
			&answer.send_199 },
		{ "obey-refer", 0, NULL, "call whom anybody asks for by REFER; else 603", NULL,
			&answer.obey_refer },
		{ "no-takeover", 0, NULL, "403 for Replaces and Join", NULL, &answer.no_takeover },
		{ "no-register", 0, NULL, "do not register the user", NULL, &answer.no_register },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 0, 0);
	struct agent *agent;

	if (status < 0)
		status = policy_read(cli, &answer);
	if (status >= 0)
		return status;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return stw_cli_fail(cli, "no memory is left");
	status = agent_open(agent, cli, &shared, shared.proxy ? shared.proxy : shared.user);
	if (status < 0)
		status = answer_run(agent, &answer);
	if (status >= 0)
		agent->status = status;
	return agent_close(agent);
}
