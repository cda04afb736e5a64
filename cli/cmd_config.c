/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>

#define VALUE_MAX 2048

static json_t *value_json(const struct stw_option *option, const struct stw_config *config)
{
	json_t *list = json_array();
	struct stw_writer writer;
	struct stw_str text = STW_STR("");
	char value[VALUE_MAX];

	for (unsigned i = 0;; i++) {
		stw_writer_init(&writer, value, sizeof(value));
		if (!stw_option_text(option, config, i, &writer))
			break;
		text = stw_writer_text(&writer);
		json_array_append_new(list, json_stringn(text.ptr, text.len));
		if (option->type != STW_OPTION_LIST)
			break;
	}
	if (option->type == STW_OPTION_LIST)
		return list;
	json_decref(list);
	if (option->type == STW_OPTION_BOOL)
		return json_boolean(stw_str_equal(text, STW_STR("true")));
	return json_stringn(text.ptr, text.len);
}

static json_t *option_json(const struct stw_option *option, const struct stw_config *config)
{
	char allowed[128], place[256];
	struct stw_str words = stw_option_allowed(option, allowed, sizeof(allowed));
	struct stw_str from = stw_config_place(config, option->key, place, sizeof(place));

	return json_pack("{s:s, s:o, s:s#, s:s, s:s, s:s#, s:s, s:b, s:s, s:s}", "key", option->key,
		"value", value_json(option, config), "from", from.ptr, (int)from.len, "type",
		stw_option_type_name(option), "unit", option->unit, "allowed",
		words.ptr ? words.ptr : "", (int)words.len, "default", option->standard, "live",
		option->live, "help", option->help, "rfc", option->rfc);
}

static int config_json(struct stw_cli *cli, const struct stw_config *config)
{
	const struct stw_option *option;
	json_t *list = json_array();
	size_t count;

	option = stw_option_all(&count);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, option_json(&option[i], config));
	return stw_cli_json(cli, list);
}

static int defaults_get(struct stw_cli *cli, struct stw_config **ret)
{
	struct stw_config_errors errors;
	int err = stw_config_parse(NULL, "", 0, &errors, ret);

	return err < 0 ? stw_cli_fail(cli, "%s", strerror(-err)) : -1;
}

int stw_cmd_config(struct stw_cli *cli)
{
	bool defaults = false;
	const struct stw_cli_option options[] = {
		{ "defaults", 0, NULL, "the values of an empty configuration file", NULL,
			&defaults },
	};
	struct stw_config *config;
	int status = stw_cli_parse(cli, options, STW_ARRAY_SIZE(options), 0, 0);

	if (status < 0)
		status = defaults ? defaults_get(cli, &config) : stw_cli_config(cli, &config);
	if (status >= 0)
		return status;
	status = STW_EXIT_DONE;
	if (cli->json)
		status = config_json(cli, config);
	else
		stw_config_print(cli->out, config);
	stw_config_unref(config);
	return status;
}
