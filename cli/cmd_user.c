/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "server/admin/account.h"
#include "server/decision/decision.h"
#include "server/directory/setting.h"
#include "server/suggest.h"

#define LINE_MAX_BYTES 1024
#define OPERANDS_MAX   66

/* ---- passwords ----------------------------------------------------------------------------------
 */

/* One line without its end. @return length; -1 at the end of the file; -2 too long */
static int line_read(FILE *file, char line[LINE_MAX_BYTES])
{
	size_t len;

	if (!fgets(line, LINE_MAX_BYTES, file))
		return -1;
	len = strlen(line);
	if (len == LINE_MAX_BYTES - 1 && line[len - 1] != '\n')
		return -2;
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		line[--len] = 0;
	return (int)len;
}

/* From the terminal, without echo. @return as line_read() */
static int password_ask(const char *prompt, char line[LINE_MAX_BYTES])
{
	struct termios shown, hidden;
	FILE *terminal = fopen("/dev/tty", "r+");
	int len;

	if (!terminal)
		return -1;
	fputs(prompt, terminal);
	fflush(terminal);
	if (tcgetattr(fileno(terminal), &shown) < 0) {
		fclose(terminal);
		return -1;
	}
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fileno(terminal), TCSAFLUSH, &hidden);
	len = line_read(terminal, line);
	tcsetattr(fileno(terminal), TCSAFLUSH, &shown);
	fputc('\n', terminal);
	fclose(terminal);
	return len;
}

/* @return -1 with a password, else the exit status */
static int password_get(struct stw_cli *cli, bool from_stdin, char password[LINE_MAX_BYTES])
{
	char again[LINE_MAX_BYTES];

	if (from_stdin) {
		if (line_read(stdin, password) > 0)
			return -1;
		return stw_cli_fail(cli, "no password on standard input");
	}
	if (!isatty(STDIN_FILENO))
		return stw_cli_usage(cli,
			"there is no terminal to ask for the password; --password-stdin reads it "
			"from standard input");
	if (password_ask("Password: ", password) <= 0)
		return stw_cli_fail(cli, "no password was entered");
	if (password_ask("Once more: ", again) < 0 || strcmp(password, again) != 0)
		return stw_cli_fail(cli, "the two passwords differ; nothing was changed");
	return -1;
}

static bool is_utf8(const char *text)
{
	json_t *json = json_string(text);

	json_decref(json);
	return json != NULL;
}

/* ---- add, passwd --------------------------------------------------------------------------------
 */

static int user_store(struct stw_client *client, const char *mode, bool from_stdin)
{
	struct stw_cli *cli = client->cli;
	const char *aor = cli->operands[1];
	char password[LINE_MAX_BYTES];
	json_t *answer;
	int status = password_get(cli, from_stdin, password);

	if (status >= 0)
		return status;
	if (!is_utf8(password))
		return stw_cli_fail(cli, "the password is not UTF-8");
	status = stw_client_ask_or_store(client, "POST", "/v1/users",
		json_pack("{s:s, s:[{s:o, s:o}]}", "mode", mode, "users", "aor",
			stw_json_text(stw_str_from(aor)), "password", json_string(password)),
		&answer);
	explicit_bzero(password, sizeof(password));
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	json_decref(answer);
	fprintf(cli->out,
		strcmp(mode, "add") == 0 ? "User %s added.\n" : "Password of %s changed.\n", aor);
	return STW_EXIT_DONE;
}

static int user_add(struct stw_client *client, bool from_stdin)
{
	return user_store(client, "add", from_stdin);
}

static int user_passwd(struct stw_client *client, bool from_stdin)
{
	return user_store(client, "passwd", from_stdin);
}

/* ---- list, show, remove
 * --------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int user_list(struct stw_client *client, bool from_stdin)
{
	struct stw_cli *cli = client->cli;
	json_t *answer, *value;
	const char **names;
	int status;
	size_t i;

	status = stw_client_ask_or_store(client, "GET", "/v1/users", NULL, &answer);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	names = calloc(json_array_size(answer) + 1, sizeof(*names));
	if (!names) {
		json_decref(answer);
		return stw_cli_fail(cli, "no memory is left");
	}
	json_array_foreach(answer, i, value) names[i] = json_string_value(value);
	qsort(names, json_array_size(answer), sizeof(*names), by_text);
	for (i = 0; i < json_array_size(answer); i++)
		fprintf(cli->out, "%s\n", names[i]);
	if (i == 0)
		fprintf(cli->out, "There are no users; `strowger user add NAME` adds one.\n");
	free(names);
	json_decref(answer);
	return STW_EXIT_DONE;
}

/* What differs from the standard; `-o json` has all. */
static void user_show_settings(const struct stw_cli *cli, const json_t *user)
{
	const struct stw_setting *setting;

	for (size_t i = 0; (setting = stw_setting_at(i)); i++) {
		const char *value = json_string_value(json_object_get(user, setting->key));

		if (value && strcmp(value, setting->standard) != 0)
			fprintf(cli->out, "  %s=%s\n", setting->key, value);
	}
}

static int user_show(struct stw_client *client, bool from_stdin)
{
	struct stw_cli *cli = client->cli;
	char *path = stw_client_path("/v1/users/", cli->operands[1]);
	json_t *answer, *binding;
	int status = STW_EXIT_FAILED;
	size_t i;

	if (path)
		status = stw_client_ask_or_store(client, "GET", path, NULL, &answer);
	free(path);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	fprintf(cli->out, "%s\n  user name  %s\n  domain     %s\n",
		json_string_value(json_object_get(answer, "aor")),
		json_string_value(json_object_get(answer, "user")),
		json_string_value(json_object_get(answer, "domain")));
	user_show_settings(cli, answer);
	json_array_foreach(json_object_get(answer, "bindings"), i, binding)
		stw_cli_binding(cli->out, binding);
	if (i == 0)
		fprintf(cli->out, "  not registered\n");
	json_decref(answer);
	return STW_EXIT_DONE;
}

static int user_remove(struct stw_client *client, bool from_stdin)
{
	struct stw_cli *cli = client->cli;
	char *path = stw_client_path("/v1/users/", cli->operands[1]);
	int status = STW_EXIT_FAILED;
	json_t *answer;

	if (path)
		status = stw_client_ask_or_store(client, "DELETE", path, NULL, &answer);
	free(path);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	fprintf(cli->out, "User %s removed.\n",
		json_string_value(json_object_get(answer, "removed")));
	json_decref(answer);
	return STW_EXIT_DONE;
}

/* ---- set
 * --------------------------------------------------------------------------------------------- */

/* The settings from the command line as an object. @return -1, else the exit status */
static int settings_read(struct stw_cli *cli, json_t *settings)
{
	for (int i = 2; i < cli->operand_count; i++) {
		const char *text = cli->operands[i], *equals = strchr(text, '=');

		if (!equals || equals == text)
			return stw_cli_usage(cli,
				"%s is no setting: KEY=VALUE is one, and KEY= clears it", text);
		if (json_object_setn_new(
			    settings, text, (size_t)(equals - text), json_string(equals + 1)) < 0)
			return stw_cli_fail(cli, "%s is not UTF-8", text);
	}
	return -1;
}

static int user_settings(struct stw_client *client, bool from_stdin)
{
	struct stw_cli *cli = client->cli;
	json_t *settings = json_object(), *answer;
	int status = settings_read(cli, settings);
	char *path = stw_client_path("/v1/users/", cli->operands[1]);

	if (status < 0 && !path)
		status = stw_cli_fail(cli, "no memory is left");
	if (status < 0)
		status = stw_client_ask_or_store(client, "PATCH", path, settings, &answer);
	else
		json_decref(settings);
	free(path);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	fprintf(cli->out, "%s\n", json_string_value(json_object_get(answer, "aor")));
	user_show_settings(cli, answer);
	json_decref(answer);
	return STW_EXIT_DONE;
}

/* Users whose settings were right once. */
static int user_check(struct stw_client *client, bool from_stdin)
{
	struct stw_cli *cli = client->cli;
	json_t *answer, *value;
	int status;
	size_t i;

	status = stw_client_ask_or_store(client, "GET", "/v1/rules", NULL, &answer);
	if (status >= 0)
		return status;
	status = json_array_size(answer) ? STW_EXIT_FAILED : STW_EXIT_DONE;
	if (cli->json)
		return stw_cli_json(cli, answer) != STW_EXIT_DONE ? STW_EXIT_FAILED : status;
	json_array_foreach(answer, i, value)
	{
		fprintf(cli->out, "%s: %s\n", json_string_value(json_object_get(value, "aor")),
			json_string_value(json_object_get(value, "error")));
	}
	if (i == 0)
		fprintf(cli->out, "The settings of all users are right.\n");
	json_decref(answer);
	return status;
}

/* ---- import
 * ----------------------------------------------------------------------------------------- */

/* "user[@domain]:password"; the password may hold colons. Empty lines and # lines are skipped.
 * @return 1 added, 0 skipped, -EINVAL */
static int import_line(char *line, json_t *users)
{
	char *colon = strchr(line, ':');

	if (!*line || *line == '#')
		return 0;
	if (!colon || colon == line || !colon[1])
		return -EINVAL;
	*colon = 0;
	if (json_array_append_new(
		    users, json_pack("{s:s, s:s}", "aor", line, "password", colon + 1)) < 0)
		return -EINVAL; /* not UTF-8 */
	return 1;
}

/* @return -1, else the exit status */
static int import_read(
	struct stw_cli *cli, const char *name, const struct stw_config *config, json_t *users)
{
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
	char line[LINE_MAX_BYTES], why[200];
	struct stw_account account;
	struct stw_arena arena;
	unsigned number = 0;
	int len = 0, err = 0;

	if (!file)
		return stw_cli_fail(cli, "%s: %s", name, strerror(errno));
	stw_arena_init(&arena, 16384);
	while (err >= 0 && (len = line_read(file, line)) != -1) {
		number++;
		snprintf(why, sizeof(why), "not of the form user[@domain]:password");
		err = len < 0 ? -EINVAL : import_line(line, users);
		if (err > 0 && config)
			err = stw_account_parse(config, stw_str_from(line), &arena, &account, why);
		stw_arena_reset(&arena);
	}
	stw_arena_done(&arena);
	if (ferror(file)) {
		err = stw_cli_fail(cli, "%s: %s", name, strerror(errno));
		if (file != stdin)
			fclose(file);
		return err;
	}
	if (file != stdin)
		fclose(file);
	if (err < 0)
		return stw_cli_fail(cli, "%s:%u: %s; nothing was imported", name, number, why);
	return -1;
}

static int user_import(struct stw_client *client, bool from_stdin)
{
	struct stw_cli *cli = client->cli;
	json_t *users = json_array(), *answer;
	int status = import_read(cli, cli->operands[1], client->config, users);

	if (status < 0 && !json_array_size(users))
		status = stw_cli_fail(cli, "%s: no users in it", cli->operands[1]);
	if (status >= 0) {
		json_decref(users);
		return status;
	}
	if (isatty(STDERR_FILENO))
		fprintf(cli->err, "%zu users …\n", json_array_size(users));
	status = stw_client_ask_or_store(client, "POST", "/v1/users",
		json_pack("{s:s, s:o}", "mode", "set", "users", users), &answer);
	if (status >= 0)
		return status;
	if (cli->json)
		return stw_cli_json(cli, answer);
	fprintf(cli->out, "%lld users imported.\n",
		(long long)json_integer_value(json_object_get(answer, "users")));
	json_decref(answer);
	return STW_EXIT_DONE;
}

/* ---- the table
 * ----------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *operands; /* NULL: takes none */
	int min, max;                /* with the name */
	int (*run)(struct stw_client *client, bool from_stdin);
} actions[] = {
	{ "add", "AOR", 2, 2, user_add },
	{ "passwd", "AOR", 2, 2, user_passwd },
	{ "list", NULL, 1, 1, user_list },
	{ "show", "AOR", 2, 2, user_show },
	{ "set", "AOR KEY=VALUE...", 3, OPERANDS_MAX, user_settings },
	{ "check", NULL, 1, 1, user_check },
	{ "remove", "AOR", 2, 2, user_remove },
	{ "import", "FILE", 2, 2, user_import },
};

static int unknown_action(struct stw_cli *cli, const char *word)
{
	struct stw_suggestion suggestion;

	stw_suggest_begin(&suggestion, stw_str_from(word));
	for (size_t i = 0; i < STW_ARRAY_SIZE(actions); i++)
		stw_suggest_try(&suggestion, actions[i].name);
	return stw_cli_usage(cli, "user %s is not known%s%s%s", word,
		suggestion.best ? "; did you mean " : "", suggestion.best ? suggestion.best : "",
		suggestion.best
			? "?"
			: "; there are add, passwd, list, show, set, check, remove, import");
}

int stw_cmd_user(struct stw_cli *cli)
{
	bool from_stdin = false;
	const struct stw_cli_option options[] = {
		{ "password-stdin", 0, NULL,
			"read the password from standard input, one line (add, passwd)", NULL,
			&from_stdin },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 1, OPERANDS_MAX);
	struct stw_client client;
	size_t i;

	if (status >= 0)
		return status;
	for (i = 0; i < STW_ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, cli->operands[0]) == 0)
			break;
	}
	if (i == STW_ARRAY_SIZE(actions))
		return unknown_action(cli, cli->operands[0]);
	if (cli->operand_count < actions[i].min)
		return stw_cli_usage(cli, "an argument is missing: strowger user %s %s",
			actions[i].name, actions[i].operands);
	if (cli->operand_count > actions[i].max)
		return stw_cli_usage(cli, "unexpected argument %s", cli->operands[actions[i].max]);
	status = stw_client_open(cli, &client);
	if (status >= 0)
		return status;
	status = actions[i].run(&client, from_stdin);
	stw_client_close(&client);
	return status;
}
