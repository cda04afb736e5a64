/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "server/cause.h"
#include "server/directory/setting.h"
#include "server/suggest.h"

#define LABEL_COLUMNS 15

/* RFC 3261 §7.2 */
static const char *class_name(unsigned code)
{
	static const char *const names[] = {
		"",
		"1xx Provisional",
		"2xx Successful",
		"3xx Redirection",
		"4xx Request Failure",
		"5xx Server Failure",
		"6xx Global Failure",
	};

	return names[code / 100];
}

static const char *retry_words(const char *retry, unsigned code)
{
	static const struct {
		const char *word, *text;
	} words[] = {
		{ "never", "no" },
		{ "other-target", "yes, to another target" },
		{ "after-fix", "yes, after what is wrong has been corrected" },
		{ "after-delay", "yes, after a while" },
		{ "immediately-with-change",
			"yes, at once, with the change that the response asks for" },
	};

	/* RFC 3261 §21.3, §21.4.23: by Contact */
	if (strcmp(retry, "other-target") == 0 && (code / 100 == 3 || code == 485))
		return "yes, to another target that the response names";
	for (size_t i = 0; i < STW_ARRAY_SIZE(words); i++) {
		if (strcmp(words[i].word, retry) == 0)
			return words[i].text;
	}
	return retry;
}

static const char *status_words(const char *status)
{
	return strcmp(status, "current") == 0 ? "" : status;
}

static void line_print(FILE *out, const char *label, const char *text)
{
	if (!text || !*text)
		return;
	fprintf(out, "%-*s", LABEL_COLUMNS, label);
	stw_cli_wrap(out, LABEL_COLUMNS, LABEL_COLUMNS, text);
}

/* ---- a cause ---- */

static json_t *cause_json(const struct stw_cause *cause)
{
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s}", "cause", cause->id, "code",
		(int)cause->code, "phrase", cause->phrase, "rfc", cause->rfc, "meaning",
		cause->meaning, "reason", cause->reason, "remedy", cause->remedy);
}

static int cause_explain(struct stw_cli *cli, const struct stw_cause *cause)
{
	char answer[160];

	if (cli->json)
		return stw_cli_json(cli, cause_json(cause));
	if (cause->code != 0)
		snprintf(answer, sizeof(answer), "%u %s", cause->code, cause->phrase);
	else
		snprintf(answer, sizeof(answer),
			"none: what came is dropped, or it only stands in a record");
	fprintf(cli->out, "%s\n\n", cause->id);
	line_print(cli->out, "Response", answer);
	line_print(cli->out, "Meaning", cause->meaning);
	line_print(cli->out, "Usual reason", cause->reason);
	line_print(cli->out, "Remedy", cause->remedy);
	line_print(cli->out, "Defined in", cause->rfc);
	return STW_EXIT_DONE;
}

static int cause_unknown(struct stw_cli *cli, const char *word)
{
	const struct stw_cause *const *causes;
	struct stw_suggestion suggestion;
	size_t count;

	causes = stw_cause_all(&count);
	stw_suggest_begin(&suggestion, stw_str_from(word));
	for (size_t i = 0; i < count; i++)
		stw_suggest_try(&suggestion, causes[i]->id);
	return stw_cli_fail(cli, "there is no cause %s%s%s%s", word,
		suggestion.best ? "; did you mean " : "", suggestion.best ? suggestion.best : "",
		suggestion.best ? "?" : "; `strowger explain causes` lists them all");
}

/* ---- a code ---- */

static json_t *status_json(const struct stw_status *status, unsigned code)
{
	bool registered = status->code == code;

	return json_pack("{s:i, s:b, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
		"code", (int)code, "registered", registered, "treated_as", (int)status->code,
		"phrase", status->phrase, "class", class_name(code), "rfc", status->rfc, "status",
		status->status, "methods", status->methods, "sender",
		stw_status_sender(status->code), "meaning", status->summary, "reason",
		status->reason, "remedy", status->remedy, "retry", status->retry);
}

static json_t *code_causes_json(unsigned code)
{
	const struct stw_cause *const *causes;
	json_t *list = json_array();
	size_t count;

	causes = stw_cause_all(&count);
	for (size_t i = 0; i < count; i++) {
		if (causes[i]->code == code)
			json_array_append_new(list, cause_json(causes[i]));
	}
	return list;
}

static void code_causes_print(FILE *out, unsigned code)
{
	const struct stw_cause *const *causes;
	bool first = true;
	size_t count;

	causes = stw_cause_all(&count);
	for (size_t i = 0; i < count; i++) {
		if (causes[i]->code != code)
			continue;
		if (first)
			fprintf(out,
				"\nStrowger sends %u for these causes (`strowger explain "
				"CAUSE`):\n",
				code);
		first = false;
		fprintf(out, "  %s\n      ", causes[i]->id);
		stw_cli_wrap(out, 6, 6, causes[i]->meaning);
	}
}

static void status_print(FILE *out, const struct stw_status *status)
{
	line_print(out, "Meaning", status->summary);
	line_print(out, "Sent by", stw_status_sender(status->code));
	line_print(out, "Answers", status->methods);
	line_print(out, "Usual reason", status->reason);
	line_print(out, "Remedy", status->remedy);
	line_print(out, "Try again", retry_words(status->retry, status->code));
	line_print(out, "Standing", status_words(status->status));
	line_print(out, "Defined in", status->rfc);
}

static int code_explain(struct stw_cli *cli, unsigned code)
{
	const struct stw_status *status = stw_status_or_class(code);
	json_t *json;

	if (!status)
		return stw_cli_usage(
			cli, "%u is not a response code; they go from 100 to 699", code);
	if (cli->json) {
		json = status_json(status, code);
		if (json)
			json_object_set_new(json, "causes", code_causes_json(code));
		return stw_cli_json(cli, json);
	}
	if (status->code == code) {
		fprintf(cli->out, "%u %s  (%s)\n\n", code, status->phrase, class_name(code));
	} else {
		fprintf(cli->out, "%u  (%s)\n\n", code, class_name(code));
		fprintf(cli->out,
			"Not a registered code. Who receives it treats it as %u %s\n"
			"(RFC 3261 §8.1.3.2):\n\n",
			status->code, status->phrase);
	}
	status_print(cli->out, status);
	code_causes_print(cli->out, code);
	return STW_EXIT_DONE;
}

/* ---- all codes ---- */

static int all_explain(struct stw_cli *cli)
{
	const struct stw_status *status;
	json_t *list = json_array();
	unsigned class = 0;
	size_t count;

	status = stw_status_all(&count);
	for (size_t i = 0; i < count; i++) {
		if (cli->json) {
			json_array_append_new(list, status_json(&status[i], status[i].code));
			continue;
		}
		if (status[i].code / 100 != class)
			fprintf(cli->out, "%s%s\n", class ? "\n" : "", class_name(status[i].code));
		class = status[i].code / 100;
		fprintf(cli->out, "  %u %s\n      ", status[i].code, status[i].phrase);
		stw_cli_wrap(cli->out, 6, 6, status[i].summary);
	}
	if (cli->json)
		return stw_cli_json(cli, list);
	json_decref(list);
	fputs("\n`strowger explain CODE` says more about one.\n", cli->out);
	return STW_EXIT_DONE;
}

/* ---- all causes ---- */

static int by_code(const void *left, const void *right)
{
	const struct stw_cause *a = *(const struct stw_cause *const *)left;
	const struct stw_cause *b = *(const struct stw_cause *const *)right;

	if (a->code != b->code)
		return a->code < b->code ? -1 : 1;
	return strcmp(a->id, b->id);
}

static void cause_list(struct stw_cli *cli, const struct stw_cause *const *causes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned code = causes[i]->code;

		if (code && (i == 0 || causes[i - 1]->code != code))
			fprintf(cli->out, "%s%u %s\n", i ? "\n" : "", code,
				stw_status_phrase(code));
		else if (i == 0)
			fputs("No response: what came is dropped, or its connection closed\n",
				cli->out);
		fprintf(cli->out, "  %s\n      ", causes[i]->id);
		stw_cli_wrap(cli->out, 6, 6, causes[i]->meaning);
	}
	fputs("\n`strowger explain CAUSE` says more about one.\n", cli->out);
}

static int causes_explain(struct stw_cli *cli)
{
	const struct stw_cause *const *all, **causes;
	json_t *list;
	size_t count;

	all = stw_cause_all(&count);
	causes = malloc(count * sizeof(*causes));
	if (!causes)
		return stw_cli_fail(cli, "out of memory");
	memcpy(causes, all, count * sizeof(*causes));
	qsort(causes, count, sizeof(*causes), by_code);
	if (!cli->json) {
		cause_list(cli, causes, count);
		free(causes);
		return STW_EXIT_DONE;
	}
	list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, cause_json(causes[i]));
	free(causes);
	return stw_cli_json(cli, list);
}

/* ---- settings of a user ---- */

static int settings_explain(struct stw_cli *cli)
{
	const struct stw_setting *setting;
	json_t *list = json_array();

	for (size_t i = 0; (setting = stw_setting_at(i)); i++) {
		if (cli->json) {
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:s}", "key", setting->key,
					      "allowed", setting->allowed, "standard",
					      setting->standard, "help", setting->help));
			continue;
		}
		fprintf(cli->out, "%s%s%s\n      ", setting->key, *setting->standard ? "=" : "",
			setting->standard);
		stw_cli_wrap(cli->out, 6, 6, setting->help);
		fputs("      ", cli->out);
		stw_cli_wrap(cli->out, 6, 6, setting->allowed);
	}
	if (cli->json)
		return stw_cli_json(cli, list);
	json_decref(list);
	fputs("\n`strowger user set AOR KEY=VALUE...` changes them.\n", cli->out);
	return STW_EXIT_DONE;
}

int stw_cmd_explain(struct stw_cli *cli)
{
	int status = stw_cli_parse(cli, NULL, 0, 0, 1);
	const struct stw_cause *cause;
	const char *word;
	uint64_t code;

	if (status >= 0)
		return status;
	if (cli->operand_count == 0)
		return all_explain(cli);
	word = cli->operands[0];
	if (isdigit((unsigned char)word[0])) {
		if (stw_str_to_uint(stw_str_from(word), 999, &code) < 0)
			return stw_cli_usage(
				cli, "%s is not a response code; they go from 100 to 699", word);
		return code_explain(cli, (unsigned)code);
	}
	if (strcmp(word, "causes") == 0)
		return causes_explain(cli);
	if (strcmp(word, "settings") == 0)
		return settings_explain(cli);
	cause = stw_cause_find(word);
	return cause ? cause_explain(cli, cause) : cause_unknown(cli, word);
}
