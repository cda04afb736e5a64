/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

static void summary_print(FILE *out, const char *file, const struct stw_config *config)
{
	char address[STW_ADDR_TEXT_MAX];

	fprintf(out, "%s: valid; domains", file);
	for (unsigned i = 0; i < config->domain_count; i++)
		fprintf(out, "%s %.*s", i ? "," : "", STW_STR_ARG(config->domains[i]));
	fputs("; listens on", out);
	for (unsigned i = 0; i < config->listen.n; i++) {
		const struct stw_listener *listener = &config->listen.v[i];

		fprintf(out, "%s %.*s %.*s", i ? "," : "",
			STW_STR_ARG(stw_transport_name(listener->transport)),
			STW_STR_ARG(stw_addr_text(&listener->bind, address)));
	}
	fputc('\n', out);
}

static int result_print(
	struct stw_cli *cli, const char *file, const struct stw_config_errors *errors)
{
	int status = errors->n > 0 ? STW_EXIT_FAILED : STW_EXIT_DONE;

	if (cli->json) {
		if (stw_cli_json(
			    cli, json_pack("{s:s, s:b, s:o}", "file", file, "valid", errors->n == 0,
					 "errors", stw_cli_config_errors_json(file, errors))) != 0)
			return STW_EXIT_FAILED;
		return status;
	}
	stw_cli_config_errors(cli->err, file, errors);
	if (errors->n > 0)
		fprintf(cli->err, "%s: %u error%s\n", file, errors->n, errors->n == 1 ? "" : "s");
	return status;
}

/* As serve looks for him; not while a file is read, which a server in its sandbox does, too. */
static void system_user_check(const struct stw_config *config, struct stw_config_errors *errors)
{
	struct stw_config_error *error = &errors->v[errors->n];

	if (!config->user.len || getpwnam(config->user.ptr))
		return;
	error->line = stw_config_line(config, "user");
	error->column = 1;
	snprintf(error->text, sizeof(error->text), "user: there is no system user %.*s",
		STW_STR_ARG(config->user));
	errors->n++;
}

int stw_cmd_check(struct stw_cli *cli)
{
	struct stw_config_errors errors;
	struct stw_config *config = NULL;
	const char *file;
	int status = stw_cli_parse(cli, NULL, 0, 1, 1), err;

	if (status >= 0)
		return status;
	file = cli->operands[0];
	err = stw_config_load(file, &errors, &config);
	if (err < 0 && err != -EINVAL)
		return stw_cli_fail(cli, "%s: %s", file, strerror(-err));
	if (config)
		system_user_check(config, &errors);
	status = result_print(cli, file, &errors);
	if (config && !errors.n && !cli->json)
		summary_print(cli->out, file, config);
	stw_config_unref(config);
	return status;
}
