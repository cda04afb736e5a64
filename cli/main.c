/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <string.h>

#include "server/suggest.h"

#ifdef STW_JEMALLOC
/* Read by jemalloc before main(). The first touch of a small page costs about as much as a request,
 * several times that below some hypervisors, and a busy server touches many: each transaction stays
 * for 32 s. */
const char *malloc_conf = "thp:always";
#endif

static const struct stw_command commands[] = {
#define COMMAND(name, group, synopsis, summary, help)                                              \
	{ #name, group, synopsis, summary, help, stw_cmd_##name },
#include "cli/commands.def"
#undef COMMAND
};

static const struct stw_command *command_find(const char *name)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static void overview_print(FILE *out)
{
	const char *group = "";

	fputs("usage: strowger COMMAND [OPTIONS] [ARGUMENTS]\n\n"
	      "Strowger, a SIP server (RFC 3261).\n",
		out);
	for (size_t i = 0; i < STW_ARRAY_SIZE(commands); i++) {
		if (strcmp(group, commands[i].group) != 0)
			fprintf(out, "\n%s\n", commands[i].group);
		group = commands[i].group;
		fprintf(out, "  %-12s", commands[i].name);
		stw_cli_wrap(out, 14, 14, commands[i].summary);
	}
	fputs("\n`strowger help COMMAND` says more. All commands take -o json.\n", out);
}

static int unknown_command(struct stw_cli *cli, const char *name)
{
	struct stw_suggestion suggestion;

	stw_suggest_begin(&suggestion, stw_str_from(name));
	for (size_t i = 0; i < STW_ARRAY_SIZE(commands); i++)
		stw_suggest_try(&suggestion, commands[i].name);
	stw_suggest_try(&suggestion, "help");
	return stw_cli_usage(cli, "unknown %s %s%s%s%s", *name == '-' ? "option" : "command", name,
		suggestion.best ? "; did you mean " : "", suggestion.best ? suggestion.best : "",
		suggestion.best ? "?" : "");
}

/* A command shows its own help, since only it knows its options. */
static int help(struct stw_cli *cli, const char *name)
{
	static char flag[] = "--help";
	char *argv[3] = { (char *)(uintptr_t)name, flag, NULL };

	cli->command = command_find(name);
	if (!cli->command)
		return unknown_command(cli, name);
	cli->argc = 2;
	cli->argv = argv;
	return cli->command->run(cli);
}

static bool is_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int dispatch(struct stw_cli *cli, int argc, char **argv)
{
	if (argc < 2 ||
		(is_help(argv[1]) && (argc == 2 || argv[1][0] == '-' || is_help(argv[2])))) {
		overview_print(cli->out);
		return STW_EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		fprintf(cli->out, "strowger %s\n", STW_VERSION);
		return STW_EXIT_DONE;
	}
	if (strcmp(argv[1], "help") == 0)
		return argc == 3 ? help(cli, argv[2])
				 : stw_cli_usage(cli, "help takes one command");
	cli->command = command_find(argv[1]);
	if (!cli->command)
		return unknown_command(cli, argv[1]);
	cli->argc = argc - 1;
	cli->argv = argv + 1;
	return cli->command->run(cli);
}

int main(int argc, char **argv)
{
	struct stw_cli cli = { .out = stdout, .err = stderr };
	int status = dispatch(&cli, argc, argv);

	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) != 0 && status == STW_EXIT_DONE)
		return STW_EXIT_FAILED;
	return status;
}
