/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <stdlib.h>
#include <string.h>

#include "cli/ladder.h"

#define LABEL_COLUMNS 18

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "";
}

static json_int_t code_of(const json_t *record)
{
	return json_integer_value(json_object_get(record, "code"));
}

static void line_print(FILE *out, const char *label, const char *words)
{
	if (!*words)
		return;
	fprintf(out, "    %-*s", LABEL_COLUMNS - 4, label);
	stw_cli_wrap(out, LABEL_COLUMNS, LABEL_COLUMNS, words);
}

static void facts_print(FILE *out, const json_t *facts)
{
	const char *key;
	const json_t *value;
	char words[320];

	json_object_foreach((json_t *)(uintptr_t)facts, key, value)
	{
		snprintf(words, sizeof(words), "%s = %s", key, json_string_value(value));
		line_print(out, "Fact", words);
	}
}

static void place_print(FILE *out, const json_t *record)
{
	char words[400];

	if (!*text(record, "option"))
		return;
	if (!*text(record, "place") || strcmp(text(record, "place"), "default") == 0)
		snprintf(words, sizeof(words), "%s, at its default", text(record, "option"));
	else
		snprintf(words, sizeof(words), "%s, %s", text(record, "option"),
			text(record, "place"));
	line_print(out, "Decided by", words);
}

static void reason_print(FILE *out, unsigned number, const json_t *record)
{
	fprintf(out, "\n[%u] ", number);
	if (code_of(record) && *text(record, "phrase"))
		fprintf(out, "%lld %s, ", (long long)code_of(record), text(record, "phrase"));
	fprintf(out, "cause %s%s\n", text(record, "cause"),
		json_is_true(json_object_get(record, "relayed")) ? ", relayed" : "");
	line_print(out, "Meaning", text(record, "meaning"));
	facts_print(out, json_object_get(record, "facts"));
	place_print(out, record);
	line_print(out, "Usual reason", text(record, "reason"));
	line_print(out, "Remedy", text(record, "remedy"));
	line_print(out, "Defined in", text(record, "rfc"));
}

/* ---- the last word ------------------------------------------------------------------------- */

/* What was last answered to the request that began the call; NULL: nothing final. */
static const json_t *outcome_find(const json_t *records)
{
	const char *method = text(json_array_get(records, 0), "method");
	const json_t *record, *outcome = NULL;
	size_t i;

	json_array_foreach(records, i, record)
	{
		if (strcmp(text(record, "kind"), "response-out") == 0 && code_of(record) >= 200 &&
			strcmp(text(record, "method"), method) == 0)
			outcome = record;
	}
	return outcome;
}

/* Who gave the response that was relayed. */
static const char *origin_find(const json_t *records, json_int_t code)
{
	const json_t *record;
	const char *peer = "";
	size_t i;

	json_array_foreach(records, i, record)
	{
		if (strcmp(text(record, "kind"), "response-in") == 0 && code_of(record) == code)
			peer = text(record, "peer");
	}
	return peer;
}

static void outcome_print(FILE *out, const json_t *call)
{
	const json_t *records = json_object_get(call, "records");
	const json_t *outcome = outcome_find(records);
	const json_t *last = json_array_get(records, json_array_size(records) - 1);
	const char *method = text(json_array_get(records, 0), "method"), *origin;
	char words[1024];

	if (!outcome && strcmp(text(last, "kind"), "dropped") == 0) {
		fprintf(out, "\nIt was dropped: nothing was sent back.\n");
		return;
	}
	if (!outcome) {
		fprintf(out, "\n%s: no final response was given.\n", method);
		return;
	}
	if (json_is_true(json_object_get(outcome, "relayed"))) {
		origin = origin_find(records, code_of(outcome));
		snprintf(words, sizeof(words), "%s: %lld %s from %s, relayed by this server.",
			method, (long long)code_of(outcome), text(outcome, "phrase"),
			*origin ? origin : "a branch");
	} else {
		snprintf(words, sizeof(words), "%s: %lld %s from this server%s%s", method,
			(long long)code_of(outcome), text(outcome, "phrase"),
			*text(outcome, "cause") ? ": " : ".", text(outcome, "meaning"));
	}
	fputc('\n', out);
	stw_cli_wrap(out, 0, 0, words);
}

static void call_print(FILE *out, const json_t *call)
{
	static const char unreadable[] = "(unreadable)";
	json_int_t lost = json_integer_value(json_object_get(call, "lost"));
	struct stw_ladder_marks marks;

	fprintf(out, "Call-ID %s\n", text(call, "call_id"));
	fprintf(out, "from %s to %s, %s\n\n", *text(call, "from") ? text(call, "from") : unreadable,
		*text(call, "to") ? text(call, "to") : unreadable, text(call, "started"));
	stw_ladder_print(out, call, &marks);
	if (lost)
		fprintf(out,
			"%lld more messages were not recorded: the memory of one call is full.\n",
			(long long)lost);
	for (unsigned i = 0; i < marks.count; i++)
		reason_print(out, i + 1, marks.records[i]);
	outcome_print(out, call);
}

int stw_cmd_why(struct stw_cli *cli)
{
	int status = stw_cli_parse(cli, NULL, 0, 1, 1);
	struct stw_client client;
	json_t *call;
	char *path;

	if (status >= 0)
		return status;
	status = stw_client_open(cli, &client);
	if (status >= 0)
		return status;
	path = stw_client_path("/v1/why/", cli->operands[0]);
	status = path ? stw_client_ask(&client, "GET", path, NULL, &call)
		      : stw_cli_fail(cli, "no memory is left");
	free(path);
	stw_client_close(&client);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, call);
	call_print(cli->out, call);
	json_decref(call);
	return STW_EXIT_DONE;
}
