/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "server/serve/serve.h"

int stw_cmd_serve(struct stw_cli *cli)
{
	bool trial = false;
	const struct stw_cli_option options[] = {
		{ "try", 0, NULL,
			"no configuration: listen on loopback, with the users alice and bob, whose "
			"passwords are printed, and a store that is removed at the end",
			NULL, &trial },
	};
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 0, 0);
	struct stw_serve_options serve = { .out = cli->out, .err = cli->err };

	if (status >= 0)
		return status;
	serve.trial = trial;
	serve.socket = cli->socket;
	serve.config_file = cli->config_file ? cli->config_file : STW_CONFIG_FILE_DEFAULT;
	serve.config_optional = !cli->config_file;
	if (serve.socket && *serve.socket != '/')
		return stw_cli_usage(cli, "--socket takes an absolute path");
	if (serve.socket && stw_str_from(serve.socket).len > 107)
		return stw_cli_usage(cli, "--socket takes a path of at most 107 bytes");
	return stw_serve(&serve);
}
