/* SPDX-License-Identifier: Apache-2.0 */
/* Command line options, the same way for all commands. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "server/suggest.h"

#define OWN_MAX    48
#define COMMON_MAX 4
#define OWN_FIRST  1000 /* values of getopt_long for a command's own options */

enum { OPT_SOCKET = 500 };

static const struct option common[COMMON_MAX] = {
	{ "output", required_argument, NULL, 'o' },
	{ "config", required_argument, NULL, 'c' },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "help", no_argument, NULL, 'h' },
};

struct table {
	struct option longs[OWN_MAX + COMMON_MAX + 1];
	char shorts[2 * OWN_MAX + 16];
};

static void table_fill(struct table *table, const struct stw_cli_option *options, unsigned count)
{
	size_t len;

	memset(table, 0, sizeof(*table));
	strcpy(table->shorts, ":o:c:h");
	len = strlen(table->shorts);
	for (unsigned i = 0; i < count; i++) {
		table->longs[i] = (struct option){ options[i].name,
			options[i].value_name ? required_argument : no_argument, NULL,
			OWN_FIRST + (int)i };
		if (!options[i].letter)
			continue;
		table->shorts[len++] = options[i].letter;
		if (options[i].value_name)
			table->shorts[len++] = ':';
	}
	memcpy(&table->longs[count], common, sizeof(common));
}

static int unknown_option(struct stw_cli *cli, const struct table *table, const char *word)
{
	struct stw_suggestion suggestion;
	size_t dashes = strspn(word, "-");

	if (dashes < 2 && optopt > 0 && optopt < 256)
		return stw_cli_usage(cli, "unknown option -%c", optopt);
	stw_suggest_begin(
		&suggestion, (struct stw_str){ word + dashes, strcspn(word + dashes, "=") });
	for (const struct option *option = table->longs; option->name; option++)
		stw_suggest_try(&suggestion, option->name);
	return stw_cli_usage(cli, "unknown option %s%s%s%s", word,
		suggestion.best ? "; did you mean --" : "", suggestion.best ? suggestion.best : "",
		suggestion.best ? "?" : "");
}

static void own_set(const struct stw_cli_option *option, const char *value)
{
	if (option->ret_value)
		*option->ret_value = value;
	if (option->ret_set)
		*option->ret_set = true;
}

static int output_set(struct stw_cli *cli, const char *format)
{
	cli->json = strcmp(format, "json") == 0;
	if (cli->json || strcmp(format, "text") == 0)
		return -1;
	return stw_cli_usage(cli, "-o %s is not known; allowed: text, json", format);
}

/* Index of a command's option for what getopt_long returned; `count` when it is a common one. */
static unsigned own_index(const struct stw_cli_option *options, unsigned count, int letter)
{
	if (letter >= OWN_FIRST)
		return (unsigned)(letter - OWN_FIRST);
	for (unsigned i = 0; i < count; i++) {
		if (options[i].letter && options[i].letter == letter)
			return i;
	}
	return count;
}

static int operands_check(struct stw_cli *cli, int min, int max)
{
	cli->operands = cli->argv + optind;
	cli->operand_count = cli->argc - optind;
	if (cli->operand_count < min)
		return stw_cli_usage(cli, "an argument is missing: strowger %s %s",
			cli->command->name, cli->command->synopsis);
	if (cli->operand_count > max)
		return stw_cli_usage(cli, "unexpected argument %s", cli->operands[max]);
	return -1;
}

int stw_cli_parse(
	struct stw_cli *cli, const struct stw_cli_option *options, unsigned count, int min, int max)
{
	struct table table;
	unsigned own;
	int letter, word, status = -1;

	table_fill(&table, options, count);
	cli->config_file = getenv("STROWGER_CONFIG");
	if (cli->config_file && !*cli->config_file)
		cli->config_file = NULL;
	optind = 0;
	opterr = 0;
	for (word = 1; status < 0; word = optind) {
		letter = getopt_long(cli->argc, cli->argv, table.shorts, table.longs, NULL);
		if (letter < 0)
			return operands_check(cli, min, max);
		own = own_index(options, count, letter);
		if (letter == '?')
			return unknown_option(
				cli, &table, cli->argv[optind > word ? optind - 1 : word]);
		if (letter == ':')
			return stw_cli_usage(cli, "option %s needs a value", cli->argv[optind - 1]);
		if (own < count)
			own_set(&options[own], optarg);
		else if (letter == 'o')
			status = output_set(cli, optarg);
		else if (letter == 'c')
			cli->config_file = optarg;
		else if (letter == OPT_SOCKET)
			cli->socket = optarg;
		else {
			stw_cli_help(cli->out, cli->command, options, count);
			return STW_EXIT_DONE;
		}
	}
	return status;
}

int stw_cli_config(struct stw_cli *cli, struct stw_config **ret)
{
	const char *path = cli->config_file ? cli->config_file : STW_CONFIG_FILE_DEFAULT;
	struct stw_config_errors errors;
	int err = stw_config_load(path, &errors, ret);

	if (err == -ENOENT && !cli->config_file)
		err = stw_config_parse(NULL, "", 0, &errors, ret);
	if (err == 0)
		return -1;
	if (err != -EINVAL)
		return stw_cli_fail(cli, "%s: %s", path, strerror(-err));
	stw_cli_config_errors(cli->err, path, &errors);
	return STW_EXIT_FAILED;
}

const char *stw_cli_socket(const struct stw_cli *cli, const struct stw_config *config)
{
	return cli->socket ? cli->socket : config->admin.socket.ptr;
}
