/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <stdlib.h>
#include <string.h>

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "";
}

static void duration_words(json_int_t seconds, char words[32])
{
	if (seconds >= 3600)
		snprintf(words, 32, "%lldh %lldm", (long long)(seconds / 3600),
			(long long)(seconds / 60 % 60));
	else if (seconds >= 60)
		snprintf(words, 32, "%lldm %llds", (long long)(seconds / 60),
			(long long)(seconds % 60));
	else
		snprintf(words, 32, "%llds", (long long)seconds);
}

void stw_cli_binding(FILE *out, const json_t *binding)
{
	char words[32];

	duration_words(json_integer_value(json_object_get(binding, "expires_in_s")), words);
	fprintf(out, "  %s\n      from %s %s, for another %s, q %.3g", text(binding, "contact"),
		text(binding, "transport"), text(binding, "source"), words,
		json_number_value(json_object_get(binding, "q")));
	if (*text(binding, "path"))
		fprintf(out, ", through %s", text(binding, "path"));
	if (*text(binding, "user_agent"))
		fprintf(out, "\n      %s", text(binding, "user_agent"));
	fputc('\n', out);
}

static int binding_list(struct stw_client *client, const char *contact)
{
	struct stw_cli *cli = client->cli;
	const char *aor = cli->operand_count > 1 ? cli->operands[1] : NULL;
	char *path = aor ? stw_client_path("/v1/bindings/", aor) : strdup("/v1/bindings");
	json_t *answer, *user, *binding;
	int status = STW_EXIT_FAILED;
	size_t i, k;

	if (path)
		status = stw_client_ask_or_store(client, "GET", path, NULL, &answer);
	free(path);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	json_array_foreach(answer, i, user)
	{
		fprintf(cli->out, "%s\n", text(user, "aor"));
		json_array_foreach(json_object_get(user, "bindings"), k, binding)
			stw_cli_binding(cli->out, binding);
	}
	if (i == 0 && aor)
		fprintf(cli->out, "%s is not registered.\n", aor);
	else if (i == 0)
		fprintf(cli->out, "Nobody is registered.\n");
	json_decref(answer);
	return STW_EXIT_DONE;
}

static char *remove_path(const char *aor, const char *contact)
{
	char *path = stw_client_path("/v1/bindings/", aor), *whole = NULL, *query;

	if (!path || !contact)
		return path;
	query = stw_client_path("?contact=", contact);
	if (query && asprintf(&whole, "%s%s", path, query) < 0)
		whole = NULL;
	free(query);
	free(path);
	return whole;
}

static int binding_remove(struct stw_client *client, const char *contact)
{
	struct stw_cli *cli = client->cli;
	int status = STW_EXIT_FAILED;
	json_int_t removed;
	json_t *answer;
	char *path;

	if (cli->operand_count < 2)
		return stw_cli_usage(cli, "an argument is missing: strowger binding remove AOR");
	path = remove_path(cli->operands[1], contact);
	if (path)
		status = stw_client_ask_or_store(client, "DELETE", path, NULL, &answer);
	free(path);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	removed = json_integer_value(json_object_get(answer, "removed"));
	fprintf(cli->out, "%lld binding%s of %s removed.\n", (long long)removed,
		removed == 1 ? "" : "s", cli->operands[1]);
	json_decref(answer);
	return STW_EXIT_DONE;
}

int stw_cmd_binding(struct stw_cli *cli)
{
	const char *contact = NULL;
	const struct stw_cli_option options[] = {
		{ "contact", 0, "URI", "remove only this Contact, as `binding list` shows it",
			&contact, NULL },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 1, 2);
	struct stw_client client;
	bool list, removes;

	if (status >= 0)
		return status;
	list = strcmp(cli->operands[0], "list") == 0;
	removes = strcmp(cli->operands[0], "remove") == 0;
	if (!list && !removes)
		return stw_cli_usage(cli, "binding %s is not known; there are list and remove",
			cli->operands[0]);
	status = stw_client_open(cli, &client);
	if (status >= 0)
		return status;
	status = list ? binding_list(&client, contact) : binding_remove(&client, contact);
	stw_client_close(&client);
	return status;
}
