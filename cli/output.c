/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <string.h>

#define COLUMNS 79

static void STW_PRINTF(2, 0) complain(struct stw_cli *cli, const char *format, va_list args)
{
	fprintf(cli->err, "strowger%s%s: ", cli->command ? " " : "",
		cli->command ? cli->command->name : "");
	vfprintf(cli->err, format, args);
	fputc('\n', cli->err);
}

int stw_cli_fail(struct stw_cli *cli, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(cli, format, args);
	va_end(args);
	return STW_EXIT_FAILED;
}

int stw_cli_usage(struct stw_cli *cli, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(cli, format, args);
	va_end(args);
	fprintf(cli->err, "Try `strowger help%s%s`.\n", cli->command ? " " : "",
		cli->command ? cli->command->name : "");
	return STW_EXIT_USAGE;
}

int stw_cli_json(struct stw_cli *cli, json_t *json)
{
	int err;

	if (!json)
		return stw_cli_fail(cli, "out of memory");
	err = json_dumpf(json, cli->out, JSON_INDENT(2));
	json_decref(json);
	fputc('\n', cli->out);
	return err < 0 ? STW_EXIT_FAILED : STW_EXIT_DONE;
}

void stw_cli_wrap(FILE *out, unsigned at, unsigned indent, const char *text)
{
	bool first = true;
	size_t word;

	while (*text) {
		word = strcspn(text, " ");
		if (!first && at + 1 + word > COLUMNS) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		fprintf(out, "%s%.*s", first ? "" : " ", (int)word, text);
		at += (unsigned)word + (first ? 0 : 1);
		first = false;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

void stw_cli_config_errors(FILE *out, const char *file, const struct stw_config_errors *errors)
{
	for (unsigned i = 0; i < errors->n; i++) {
		const struct stw_config_error *error = &errors->v[i];

		if (error->line != 0)
			fprintf(out, "%s:%u:%u: %s\n", file, error->line, error->column,
				error->text);
		else
			fprintf(out, "%s: %s\n", file, error->text);
	}
}

json_t *stw_cli_config_errors_json(const char *file, const struct stw_config_errors *errors)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < errors->n; i++) {
		const struct stw_config_error *error = &errors->v[i];

		json_array_append_new(list,
			json_pack("{s:s, s:i, s:i, s:s}", "file", file, "line", (int)error->line,
				"column", (int)error->column, "text", error->text));
	}
	return list;
}

static void paragraphs_print(FILE *out, const char *text)
{
	char paragraph[2048];
	const char *end;

	while (*text) {
		end = strstr(text, "\n\n");
		if (!end)
			end = text + strlen(text);
		snprintf(paragraph, sizeof(paragraph), "%.*s", (int)(end - text), text);
		stw_cli_wrap(out, 0, 0, paragraph);
		fputc('\n', out);
		text = end + strspn(end, "\n");
	}
}

static void option_print(FILE *out, const struct stw_cli_option *option)
{
	char head[64];
	int width;

	if (option->letter)
		width = snprintf(head, sizeof(head), "  -%c, --%s", option->letter, option->name);
	else
		width = snprintf(head, sizeof(head), "      --%s", option->name);
	if (option->value_name && width > 0 && (size_t)width < sizeof(head))
		snprintf(head + width, sizeof(head) - (size_t)width, " %s", option->value_name);
	fprintf(out, "%-26s", head);
	if (strlen(head) >= 26) /* a space at least */
		fprintf(out, "\n%26s", "");
	stw_cli_wrap(out, 26, 26, option->help);
}

void stw_cli_help(FILE *out, const struct stw_command *command,
	const struct stw_cli_option *options, unsigned count)
{
	static const struct stw_cli_option common[] = {
		{ "output", 'o', "FORMAT", "text (the default) or json", NULL, NULL },
		{ "config", 'c', "FILE",
			"configuration file; else $STROWGER_CONFIG, else " STW_CONFIG_FILE_DEFAULT,
			NULL, NULL },
		{ "socket", 0, "PATH", "administration socket of the running server", NULL, NULL },
		{ "help", 'h', NULL, "this text", NULL, NULL },
	};

	fprintf(out, "usage: strowger %s [OPTIONS]%s%s\n\n", command->name,
		*command->synopsis ? " " : "", command->synopsis);
	paragraphs_print(out, command->summary);
	paragraphs_print(out, command->help);
	fputs("Options:\n", out);
	for (unsigned i = 0; i < count; i++)
		option_print(out, &options[i]);
	for (unsigned i = 0; i < STW_ARRAY_SIZE(common); i++)
		option_print(out, &common[i]);
}
