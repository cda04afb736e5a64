/* SPDX-License-Identifier: Apache-2.0 */
/* try: a request that is never sent. */
#include "cli/client.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/try.h"

#define NAME_COLUMNS  12
#define LABEL_COLUMNS 18

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "";
}

static void line_print(FILE *out, const char *label, const char *words)
{
	if (!*words)
		return;
	fprintf(out, "    %-*s", LABEL_COLUMNS - 4, label);
	stw_cli_wrap(out, LABEL_COLUMNS, LABEL_COLUMNS, words);
}

static void answer_print(FILE *out, const json_t *json)
{
	json_int_t code = json_integer_value(json_object_get(json, "code"));
	const json_t *value;
	const char *key;
	char words[400];

	if (code)
		fprintf(out, "\n%lld %s, cause %s\n", (long long)code, text(json, "phrase"),
			text(json, "cause"));
	else
		fprintf(out, "\nno answer, cause %s\n", text(json, "cause"));
	line_print(out, "Meaning", text(json, "meaning"));
	json_object_foreach(json_object_get((json_t *)(uintptr_t)json, "facts"), key, value)
	{
		snprintf(words, sizeof(words), "%s = %s", key, json_string_value(value));
		line_print(out, "Fact", words);
	}
	if (*text(json, "option")) {
		snprintf(words, sizeof(words), "%s, %s", text(json, "option"),
			*text(json, "place") ? text(json, "place") : "default");
		line_print(out, "Decided by", words);
	}
	line_print(out, "Usual reason", text(json, "reason"));
	line_print(out, "To pass", text(json, "remedy"));
	if (code == 401 || code == 407)
		line_print(out, "Go on with", "--as AOR: as a user who has proven who he is");
	line_print(out, "Defined in", text(json, "rfc"));
}

static void try_print(FILE *out, const json_t *json)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(json, "checks"), i, item) fprintf(out, "%-*s%-8s%s\n",
		NAME_COLUMNS, text(item, "name"), text(item, "verdict"), text(item, "about"));
	if (json_object_get(json, "cause") || json_object_get(json, "code"))
		answer_print(out, json);
	json_array_foreach(json_object_get(json, "targets"), i, item) fprintf(out,
		"%swould go to %s%sby %s at %s\n", i ? "" : "\n", text(item, "uri"),
		*text(item, "uri") ? " " : "", text(item, "transport"), text(item, "address"));
	json_array_foreach(json_object_get(json, "names"), i, item)
		fprintf(out, "%swould look up %s\n", i ? "" : "\n", json_string_value(item));
	fprintf(out, "\n%s\n",
		json_is_true(json_object_get(json, "passes")) ? "The request would pass."
							      : "The request would not pass.");
}

/* "2026-12-24T18:00:00Z", or a time of today: "18:00". -1: neither */
static json_int_t at_read(const char *at)
{
	time_t now = time(NULL), seconds;
	struct tm tm = { 0 };
	const char *end = strptime(at, "%Y-%m-%dT%H:%M:%SZ", &tm);
	int day = tm.tm_mday;

	if (end && !*end) {
		seconds = timegm(&tm);
		return tm.tm_mday == day ? (json_int_t)seconds * 1000 : -1; /* 30 February */
	}
	localtime_r(&now, &tm);
	tm.tm_sec = 0;
	tm.tm_isdst = -1; /* that of then, on the day of a change */
	end = strptime(at, "%H:%M", &tm);
	if (!end || *end)
		return -1;
	seconds = mktime(&tm);
	return (json_int_t)seconds * 1000;
}

static void set_text(json_t *json, const char *key, const char *value)
{
	if (value)
		json_object_set_new(json, key, json_string(value));
}

int stw_cmd_try(struct stw_cli *cli)
{
	const char *from = NULL, *source = NULL, *as = NULL, *at = NULL, *header = NULL;
	const struct stw_cli_option options[] = {
		{ "from", 'f', "URI", "Who calls; default: the user of --as, or nobody.", &from,
			NULL },
		{ "source", 's', "ADDRESS", "Where it comes from; default: 127.0.0.1:5060.",
			&source, NULL },
		{ "as", 'a', "AOR", "This user has proven who he is.", &as, NULL },
		{ "at", 't', "TIME", "The hours are those of then: 2026-12-24T18:00:00Z, or 18:00.",
			&at, NULL },
		{ "header", 'H', "LINE", "A header field; it takes the place of ours of that name.",
			&header, NULL },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 2, 2);
	struct stw_client client;
	struct stw_addr addr;
	json_t *body, *answer;

	if (status >= 0)
		return status;
	if (source && stw_try_source(source, &addr) < 0)
		return stw_cli_usage(cli, "%s is no IP address, with or without a port", source);
	if (at && at_read(at) < 0)
		return stw_cli_usage(cli, "%s is no time", at);
	status = stw_client_open(cli, &client);
	if (status >= 0)
		return status;
	body = json_pack("{s:s, s:s}", "method", cli->operands[0], "uri", cli->operands[1]);
	set_text(body, "from", from);
	set_text(body, "source", source);
	set_text(body, "as", as);
	if (at)
		json_object_set_new(body, "at_ms", json_integer(at_read(at)));
	if (header)
		json_object_set_new(body, "headers", json_pack("[s]", header));
	status = stw_client_ask_or_store(&client, "POST", "/v1/try", body, &answer);
	if (status < 0) {
		status = json_is_true(json_object_get(answer, "passes")) ? STW_EXIT_DONE
									 : STW_EXIT_FAILED;
		if (cli->json)
			stw_cli_json(cli, answer);
		else
			try_print(cli->out, answer);
		if (!cli->json)
			json_decref(answer);
	}
	stw_client_close(&client);
	return status;
}
