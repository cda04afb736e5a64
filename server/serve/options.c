/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a start and of a reload. */
#include "server/serve/internal.h"

#include <errno.h>
#include <string.h>

/* Who runs with a file has not asked for the defaults when it is gone. */
static bool may_have_no_file(const struct serve *serve)
{
	return serve->options.config_optional && !(serve->config && serve->config->file);
}

int serve_config_load(
	struct serve *serve, struct stw_config_errors *errors, struct stw_config **ret)
{
	const struct stw_serve_options *options = &serve->options;
	int err = stw_config_load(options->config_file, errors, ret);

	if (err == -ENOENT && may_have_no_file(serve))
		err = stw_config_parse(NULL, "", 0, errors, ret);
	if (err == 0 && options->socket)
		(*ret)->admin.socket = stw_str_from(options->socket);
	if (err == 0)
		serve_connections_limit(serve, *ret);
	return err;
}

static json_t *errors_json(const struct serve *serve, const struct stw_config_errors *errors)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < errors->n; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:i, s:i, s:o}", "file", serve->options.config_file,
				"line", (int)errors->v[i].line, "column", (int)errors->v[i].column,
				"text", stw_json_text(stw_str_from(errors->v[i].text))));
	return json_pack("{s:s, s:o}", "error",
		"the configuration has errors; the old one stays in force", "errors", list);
}

/* One snapshot, built once; each worker takes it between two batches. */
static void reload_apply(
	struct serve *serve, struct stw_config *config, struct stw_question *question)
{
	stw_admin_set_config(serve->admin, config);
	for (unsigned i = 0; i < serve->worker_count; i++)
		stw_log_set_level(serve->workers[i].log, config->log.level);
	stw_config_unref(serve->config);
	serve->config = config;
	question->kind = STW_QUESTION_RELOAD;
	question->config = config;
	serve_ask(serve, question);
}

static json_t *reload_refused(int err, const char *format, ...) STW_PRINTF(2, 3);
static json_t *reload_refused(int err, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return json_pack("{s:o}", "error", stw_json_text(stw_str_from(text)));
}

/* All that need a restart at once, so that nobody has to try again for each. */
static json_t *restart_refused(
	const struct stw_config *old, const struct stw_config *config, int *ret_error)
{
	const struct stw_option *option = stw_config_restart_needed(old, config, NULL), *next;
	struct stw_writer writer;
	struct stw_str names;
	bool several = false;
	char text[300];

	if (!option)
		return NULL;
	stw_writer_init(&writer, text, sizeof(text));
	for (; option; option = next) {
		next = stw_config_restart_needed(old, config, option);
		if (writer.len)
			stw_write_text(&writer, next ? ", " : " and ");
		stw_write_text(&writer, option->key);
		several = several || next;
	}
	names = stw_writer_text(&writer);
	*ret_error = -EBUSY;
	return reload_refused(-EBUSY,
		"%.*s %s changed, which needs a restart; nothing of the new file is in force",
		STW_STR_ARG(names), several ? "have" : "has");
}

static void reload_log(struct serve *serve, int err, json_t *answer)
{
	stw_log_event(serve->log, err < 0 ? STW_LOG_ERROR : STW_LOG_NOTICE,
		err < 0 ? "config.refused" : "config.reloaded", json_incref(answer));
}

void serve_reload(struct serve *serve, struct stw_question *question)
{
	const char *file = serve->options.config_file;
	struct stw_config_errors errors = { .n = 0 };
	struct stw_config *config;
	int err = 0;
	json_t *answer;

	/* Whatever becomes of the configuration: the file may have been rotated. */
	if (serve->records)
		stw_records_reopen(serve->records);
	if (serve->options.trial)
		answer = reload_refused(err = -EINVAL, "with --try there is no file to read again");
	else if ((err = serve_config_load(serve, &errors, &config)) == -EINVAL)
		answer = errors_json(serve, &errors);
	else if (err < 0)
		answer = reload_refused(err, "%s: %s", file, strerror(-err));
	else if ((answer = restart_refused(serve->config, config, &err)))
		stw_config_unref(config);
	else
		answer = json_pack(
			"{s:b, s:s}", "reloaded", 1, "file", config->file ? config->file : "");
	reload_log(serve, err, answer);
	question->answer = answer;
	question->error = err;
	if (err < 0)
		question->answered(question);
	else
		reload_apply(serve, config, question);
}
