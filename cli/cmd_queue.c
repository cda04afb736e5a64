/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <stdlib.h>
#include <string.h>

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "";
}

static long long number(const json_t *json, const char *key)
{
	return (long long)json_integer_value(json_object_get(json, key));
}

static void caller_print(FILE *out, const json_t *caller)
{
	const char *agent = text(caller, "agent");

	if (*agent)
		fprintf(out, "  ringing   %s for %s", agent, text(caller, "caller"));
	else
		fprintf(out, "  place %-3lld %s", number(caller, "place"), text(caller, "caller"));
	fprintf(out, ", waits since %s (%lld s)", text(caller, "since"),
		number(caller, "waited_s"));
	if (number(caller, "priority"))
		fprintf(out, ", priority %+lld", number(caller, "priority"));
	fprintf(out, "\n            Call-ID %s\n", text(caller, "call_id"));
}

static void queue_print(FILE *out, const json_t *queue)
{
	const json_t *one;
	size_t i;

	fprintf(out, "%s: %zu of %lld callers, the next waits for about %lld s\n",
		text(queue, "name"), json_array_size(json_object_get(queue, "callers")),
		number(queue, "max_length"), number(queue, "wait_s"));
	json_array_foreach(json_object_get(queue, "callers"), i, one) caller_print(out, one);
	json_array_foreach(json_object_get(queue, "agents"), i, one)
	{
		fprintf(out, "  agent     %s: %s (%s)", text(one, "aor"), text(one, "state"),
			text(one, "why"));
		if (number(one, "for_s"))
			fprintf(out, ", for another %lld s", number(one, "for_s"));
		fputc('\n', out);
	}
	if (i == 0)
		fprintf(out, "  nobody is logged in\n");
}

static int queue_show(struct stw_client *client)
{
	struct stw_cli *cli = client->cli;
	const char *name = cli->operand_count > 1 ? cli->operands[1] : NULL;
	char *path = name ? stw_client_path("/v1/queues/", name) : strdup("/v1/queues");
	int status = STW_EXIT_FAILED;
	json_t *answer, *queue;
	size_t i;

	if (path)
		status = stw_client_ask(client, "GET", path, NULL, &answer);
	free(path);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	json_array_foreach(answer, i, queue) queue_print(cli->out, queue);
	if (i == 0)
		fprintf(cli->out, "There are no queues; they are listed under queues in the "
				  "configuration.\n");
	json_decref(answer);
	return STW_EXIT_DONE;
}

static int queue_act(struct stw_client *client, const char *done)
{
	struct stw_cli *cli = client->cli;
	char *path = stw_client_path("/v1/queues/", cli->operands[1]);
	int status = STW_EXIT_FAILED;
	json_t *answer;

	if (path)
		status = stw_client_ask_or_store(client, "POST", path,
			json_pack("{s:s, s:s}", "agent", cli->operands[2], "act", cli->operands[0]),
			&answer);
	free(path);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	fprintf(cli->out, "%s %s %s.\n", text(answer, "agent"), done, text(answer, "queue"));
	json_decref(answer);
	return STW_EXIT_DONE;
}

static const struct {
	const char *name, *done;
} acts[] = {
	{ "login", "is logged in to" },
	{ "logout", "is logged out of" },
	{ "pause", "pauses in" },
};

int stw_cmd_queue(struct stw_cli *cli)
{
	int status = stw_cli_parse(cli, NULL, 0, 1, 3);
	struct stw_client client;
	bool show;
	size_t i;

	if (status >= 0)
		return status;
	show = strcmp(cli->operands[0], "show") == 0;
	for (i = 0; i < STW_ARRAY_SIZE(acts) && strcmp(cli->operands[0], acts[i].name) != 0; i++)
		;
	if (!show && i == STW_ARRAY_SIZE(acts))
		return stw_cli_usage(cli,
			"queue %s is not known; there are login, logout, pause, show",
			cli->operands[0]);
	if (show ? cli->operand_count > 2 : cli->operand_count < 3)
		return show ? stw_cli_usage(cli, "unexpected argument %s", cli->operands[2])
			    : stw_cli_usage(cli,
				      "an argument is missing: strowger queue %s QUEUE AOR",
				      cli->operands[0]);
	status = stw_client_open(cli, &client);
	if (status >= 0)
		return status;
	status = show ? queue_show(&client) : queue_act(&client, acts[i].done);
	stw_client_close(&client);
	return status;
}
