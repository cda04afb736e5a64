/* SPDX-License-Identifier: Apache-2.0 */
/* A real OPTIONS (RFC 3261 §11), and what came back. */
#include "cli/agent.h"

#include <errno.h>
#include <stdlib.h>

#include "server/decision/decision.h"

#define TIMEOUT_MS 32000

struct probe {
	char uri[1024];
	uint64_t give_up_ms;
};

/* "udp 192.0.2.1:5060" */
static const char *place_words(enum stw_transport transport, const struct stw_addr *addr,
	char words[STW_ADDR_TEXT_MAX + 8])
{
	char address[STW_ADDR_TEXT_MAX];

	snprintf(words, STW_ADDR_TEXT_MAX + 8, "%s %.*s",
		transport == STW_TRANSPORT_UDP ? "udp" : "tcp",
		STW_STR_ARG(stw_addr_text(addr, address)));
	return words;
}

/* ---- nothing came ---------------------------------------------------------------------------- */

static void probe_fail(struct agent *agent, const char *why)
{
	const struct probe *probe = agent->user;

	agent->finished = true;
	if (!agent->cli->json) {
		agent->status = stw_cli_fail(agent->cli, "%s", why);
		return;
	}
	stw_cli_json(agent->cli, json_pack("{s:s, s:o}", "uri", probe->uri, "error",
					 stw_json_text(stw_str_from(why))));
	agent->status = STW_EXIT_FAILED;
}

static void probe_failed(struct agent *agent, const struct stw_cause *cause)
{
	const struct probe *probe = agent->user;
	char why[1200], place[STW_ADDR_TEXT_MAX + 8];

	place_words(agent->failed_by, &agent->failed, place);
	if (agent->failure == ECONNREFUSED)
		snprintf(why, sizeof(why), "nothing listens on %s", place);
	else if (agent->failure)
		snprintf(why, sizeof(why), "%s: %s", place, strerror(agent->failure));
	else if (cause->code == 408 || !cause->code)
		snprintf(why, sizeof(why), "408 Request Timeout: no answer from %s", probe->uri);
	else
		snprintf(why, sizeof(why), "%s: %s", probe->uri, agent_cause(cause)->meaning);
	probe_fail(agent, why);
}

/* ---- an answer ------------------------------------------------------------------------------- */

static json_t *answer_json(const struct agent *agent, const struct stw_msg *msg)
{
	static const enum stw_header shown[] = { STW_HDR_SERVER, STW_HDR_USER_AGENT, STW_HDR_ALLOW,
		STW_HDR_SUPPORTED, STW_HDR_ACCEPT, STW_HDR_CONTACT };
	const struct probe *probe = agent->user;
	json_t *headers = json_object();
	char words[STW_ADDR_TEXT_MAX + 8], name[32];

	for (size_t i = 0; i < STW_ARRAY_SIZE(shown); i++) {
		struct stw_str value = stw_msg_value(msg, shown[i]);

		snprintf(name, sizeof(name), "%.*s", STW_STR_ARG(stw_header_name(shown[i])));
		if (value.len)
			json_object_set_new(headers, name, stw_json_text(value));
	}
	return json_pack("{s:s, s:i, s:o, s:s, s:I, s:o}", "uri", probe->uri, "code",
		(int)msg->code, "phrase", stw_json_text(stw_msg_phrase(msg)), "from",
		place_words(agent->heard_by, &agent->heard_from, words), "after_ms",
		(json_int_t)(agent->now.mono_ms - agent->started.mono_ms), "headers", headers);
}

static void answer_print(struct agent *agent, json_t *answer, unsigned code)
{
	const struct stw_status *row = stw_status_or_class(code);
	FILE *out = agent->cli->out;
	const char *key;
	json_t *value;

	if (agent->cli->json) {
		stw_cli_json(agent->cli, answer);
		return;
	}
	json_object_foreach(json_object_get(answer, "headers"), key, value)
		fprintf(out, "  %-14s %s\n", key, json_string_value(value));
	fprintf(out, "%u %s from %s after %lld ms", code,
		json_string_value(json_object_get(answer, "phrase")),
		json_string_value(json_object_get(answer, "from")),
		(long long)json_integer_value(json_object_get(answer, "after_ms")));
	if (code < 300 || !row)
		fputc('\n', out);
	else
		fprintf(out, ": %s\n", row->summary);
	json_decref(answer);
}

static void probe_event(struct agent *agent, const struct stw_ua_event *event)
{
	if (event->kind != STW_UA_RESPONSE || agent->finished)
		return;
	if (!event->msg) {
		probe_failed(agent, event->cause);
		return;
	}
	agent->finished = true;
	agent->status = event->code < 300 ? STW_EXIT_DONE : STW_EXIT_FAILED;
	answer_print(agent, answer_json(agent, event->msg), event->code);
}

static void probe_turn(struct agent *agent)
{
	const struct probe *probe = agent->user;
	char why[1200];

	agent->deadline_ms = probe->give_up_ms;
	if (agent->finished || agent->now.mono_ms < probe->give_up_ms)
		return;
	snprintf(why, sizeof(why), "no answer from %s within %g s", probe->uri,
		(double)(probe->give_up_ms - agent->started.mono_ms) / 1000);
	probe_fail(agent, why);
}

/* ---- what is asked --------------------------------------------------------------------------- */

static int probe_send(struct agent *agent)
{
	const struct probe *probe = agent->user;
	int err;

	agent_begin(agent);
	err = stw_ua_send(agent->ua, &(struct stw_ua_message){ .method = STW_STR("OPTIONS"),
					     .uri = stw_str_from(probe->uri) });
	agent_end(agent);
	if (err == -EBADMSG || err == -EINVAL)
		return stw_cli_usage(agent->cli, "%s is no SIP URI, like sip:bob@example.com",
			agent->cli->operands[0]);
	return err < 0 ? stw_cli_fail(agent->cli, "%s", strerror(-err)) : -1;
}

int stw_cmd_options(struct stw_cli *cli)
{
	struct agent_options shared = { 0 };
	struct probe probe = { .give_up_ms = TIMEOUT_MS };
	const char *from = NULL;
	const struct stw_cli_option options[] = {
		AGENT_OPTIONS(shared),
		{ "from", 0, "URI", "who asks, when it is not the user; anonymous unless given",
			&from, NULL },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 1, 1);
	struct agent *agent;

	if (status < 0)
		status = agent_seconds(cli, "timeout", shared.timeout, &probe.give_up_ms);
	if (status >= 0)
		return status;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return stw_cli_fail(cli, "no memory is left");
	agent->probe = true;
	status = agent_open(agent, cli, &shared, cli->operands[0]);
	agent_uri(agent, cli->operands[0], probe.uri, sizeof(probe.uri));
	probe.give_up_ms += agent->now.mono_ms;
	agent->user = &probe;
	agent->event = probe_event;
	agent->turn = probe_turn;
	agent->owes_answer = true;
	if (from)
		snprintf(agent->aor, sizeof(agent->aor), "%s", from);
	else if (!*agent->aor) /* RFC 3323 §4.1.1.3 */
		snprintf(agent->aor, sizeof(agent->aor), "sip:anonymous@anonymous.invalid");
	if (status < 0)
		status = agent_start(agent);
	if (status < 0)
		status = probe_send(agent);
	if (status < 0)
		agent_run(agent);
	else
		agent->status = status;
	return agent_close(agent);
}
