/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * cli: one cmd_<name>.c for each sub-command. A command is a row in commands.def and a function
 * `int stw_cmd_<name>(struct stw_cli *cli)` that returns the exit status.
 */
#ifndef STW_CLI_H
#define STW_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "server/config/config.h"

enum stw_exit {
	STW_EXIT_DONE = 0,
	STW_EXIT_FAILED = 1, /* refused by the other side, failed, not found */
	STW_EXIT_USAGE = 2,  /* wrong use: unknown option, command or argument */
};

struct stw_cli;

struct stw_command {
	const char *name;
	const char *group;    /* headline in the list of commands */
	const char *synopsis; /* behind the name: "[CODE|CAUSE]" */
	const char *summary;  /* one line */
	const char *help;     /* paragraphs, separated by "\n\n" */
	int (*run)(struct stw_cli *cli);
};

/** What a command gets. `main` fills the first part, stw_cli_parse the second. */
struct stw_cli {
	const struct stw_command *command;
	int argc;
	char **argv; /* argv[0] is the command's name */
	FILE *out, *err;

	char **operands;
	int operand_count;
	bool json;               /* -o json */
	const char *config_file; /* --config, else $STROWGER_CONFIG, else NULL */
	const char *socket;      /* --socket, else NULL: that of the configuration */
};

/** An option of one command. All have -o, --config, --socket and --help besides. */
struct stw_cli_option {
	const char *name;       /* long name without dashes */
	char letter;            /* short form, 0: none */
	const char *value_name; /* "FILE"; NULL: takes no value */
	const char *help;
	const char **ret_value; /* with a value */
	bool *ret_set;          /* without one; may be NULL */
};

/**
 * Options and operands of a command; operands fewer than `min` or more than `max` are wrong use.
 * @return -1 to go on; else the exit status: --help was shown, or what is wrong was said
 */
int stw_cli_parse(struct stw_cli *cli, const struct stw_cli_option *options, unsigned count,
	int min, int max);

#define STW_CONFIG_FILE_DEFAULT "/etc/strowger/strowger.yaml"

/**
 * The configuration that holds: --config, $STROWGER_CONFIG, or /etc/strowger/strowger.yaml. When
 * the last does not exist the defaults hold. Errors are printed.
 * @return -1 to go on with `ret`, to be unreferenced; else the exit status
 */
int stw_cli_config(struct stw_cli *cli, struct stw_config **ret);
/** Path of the administration socket: --socket or that of the configuration. NUL-terminated. */
const char *stw_cli_socket(const struct stw_cli *cli, const struct stw_config *config);

/* ---- output.c ---- */

/** "strowger COMMAND: text" to standard error. @return STW_EXIT_FAILED */
int stw_cli_fail(struct stw_cli *cli, const char *format, ...) STW_PRINTF(2, 3);
/** Wrong use: the text, then how to get help. @return STW_EXIT_USAGE */
int stw_cli_usage(struct stw_cli *cli, const char *format, ...) STW_PRINTF(2, 3);
/** Print and release; NULL means that no memory was left. @return STW_EXIT_DONE or STW_EXIT_FAILED
 */
int stw_cli_json(struct stw_cli *cli, json_t *json);
/** Words of a text in lines of at most 79 columns; the first begins at column `at`. */
void stw_cli_wrap(FILE *out, unsigned at, unsigned indent, const char *text);
/** "FILE:LINE:COLUMN: text" for each. */
void stw_cli_config_errors(FILE *out, const char *file, const struct stw_config_errors *errors);
json_t *stw_cli_config_errors_json(const char *file, const struct stw_config_errors *errors);
/** Help of a command with all its options. */
void stw_cli_help(FILE *out, const struct stw_command *command,
	const struct stw_cli_option *options, unsigned count);

#define COMMAND(name, group, synopsis, summary, help) int stw_cmd_##name(struct stw_cli *cli);
#include "cli/commands.def"
#undef COMMAND

#endif
