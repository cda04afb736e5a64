/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a snapshot: read, shared, compared, freed. */
#include "server/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/config/internal.h"

struct stw_str stw_config_domain(const struct stw_config *config, struct stw_str name)
{
	name = stw_host_relative(name);
	for (unsigned i = 0; i < config->domain_count; i++) {
		if (stw_str_equal_nocase(stw_host_relative(config->domains[i]), name))
			return config->domains[i];
	}
	return STW_STR_NONE;
}

struct stw_config *stw_config_ref(struct stw_config *config)
{
	atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
	return config;
}

struct stw_config *stw_config_unref(struct stw_config *config)
{
	if (config && atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) == 1) {
		stw_card_key_free(config->analytics.card);
		stw_arena_wipe(&config->arena); /* passwords of trunks */
		free(config);
	}
	return NULL;
}

static int config_new(const char *name, struct stw_config **ret)
{
	struct stw_config *config = calloc(1, sizeof(*config));
	struct stw_str file = STW_STR_NONE;

	if (!config)
		return -ENOMEM;
	atomic_init(&config->refs, 1);
	stw_arena_init(&config->arena, CONFIG_ARENA_BYTES);
	config->lines =
		stw_arena_zalloc(&config->arena, CONFIG_OPTIONS_MAX * sizeof(config->lines[0]));
	if (!config->lines ||
		(name && stw_arena_copy(&config->arena, stw_str_from(name), &file) < 0)) {
		stw_config_unref(config);
		return -ENOMEM;
	}
	config->file = file.ptr;
	*ret = config;
	return 0;
}

int stw_config_parse(const char *name, const char *text, size_t len,
	struct stw_config_errors *errors, struct stw_config **ret)
{
	struct config_context context = { .errors = errors };
	int err;

	errors->n = 0;
	err = config_new(name, &context.config);
	if (err < 0)
		return err;
	err = config_defaults(&context);
	/* After a broken file the options that were not reached would be judged by their defaults.
	 */
	if (err == 0 && config_read(&context, text, len) == 0 && !context.no_memory)
		config_check(&context);
	if (context.no_memory)
		err = -ENOMEM;
	else if (errors->n > 0)
		err = -EINVAL;
	if (err < 0) {
		stw_config_unref(context.config);
		return err;
	}
	*ret = context.config;
	return 0;
}

/* A regular file of bounded size; free() the text. */
static int file_read(const char *path, char **ret_text, size_t *ret_len)
{
	struct stat status;
	FILE *file = fopen(path, "rbe");
	char *text = NULL;
	int err = 0;

	if (!file)
		return -errno;
	if (fstat(fileno(file), &status) < 0)
		err = -errno;
	else if (S_ISDIR(status.st_mode))
		err = -EISDIR;
	else if (!(text = malloc(CONFIG_FILE_BYTES + 1)))
		err = -ENOMEM;
	if (err == 0) {
		setvbuf(file, NULL, _IONBF, 0); /* a password in it has no other copy */
		*ret_len = fread(text, 1, CONFIG_FILE_BYTES + 1, file);
		if (ferror(file))
			err = -EIO;
		else if (*ret_len > CONFIG_FILE_BYTES)
			err = -EFBIG;
	}
	fclose(file);
	if (err == 0) {
		*ret_text = text;
		return 0;
	}
	if (text)
		explicit_bzero(text, CONFIG_FILE_BYTES + 1);
	free(text);
	return err;
}

int stw_config_load(const char *path, struct stw_config_errors *errors, struct stw_config **ret)
{
	char *text = NULL;
	size_t len = 0;
	int err;

	errors->n = 0;
	err = file_read(path, &text, &len);
	if (err < 0)
		return err;
	err = stw_config_parse(path, text, len, errors, ret);
	explicit_bzero(text, len);
	free(text);
	return err;
}

static bool value_equal(
	const struct stw_option *option, const struct stw_config *a, const struct stw_config *b)
{
	char text[2][2 * CONFIG_TEXT_MAX];
	struct stw_writer writer[2];
	bool more[2];

	for (unsigned index = 0;; index++) {
		for (int i = 0; i < 2; i++) {
			stw_writer_init(&writer[i], text[i], sizeof(text[i]));
			more[i] = stw_option_text(option, i == 0 ? a : b, index, &writer[i]);
		}
		if (more[0] != more[1] ||
			!stw_str_equal(stw_writer_text(&writer[0]), stw_writer_text(&writer[1])))
			return false;
		if (!more[0])
			return true;
	}
}

const struct stw_option *stw_config_restart_needed(
	const struct stw_config *old, const struct stw_config *new_, const struct stw_option *after)
{
	const struct stw_option *option;
	size_t count;

	option = stw_option_all(&count);
	for (size_t i = after ? (size_t)(after - option) + 1 : 0; i < count; i++) {
		if (!option[i].live && !value_equal(&option[i], old, new_))
			return &option[i];
	}
	return NULL;
}

unsigned stw_config_line(const struct stw_config *config, const char *key)
{
	const struct stw_option *option = stw_option_find(key);

	return option ? config->lines[config_option_index(option)] : 0;
}

struct stw_str stw_config_place(
	const struct stw_config *config, const char *key, char *buffer, size_t size)
{
	unsigned line = stw_config_line(config, key);
	struct stw_writer writer;
	const char *slash;

	if (line == 0 || !config->file)
		return STW_STR("default");
	slash = strrchr(config->file, '/');
	stw_writer_init(&writer, buffer, size);
	stw_write_text(&writer, slash ? slash + 1 : config->file);
	stw_write_char(&writer, ':');
	stw_write_uint(&writer, line);
	return writer.overflow ? STW_STR_NONE : stw_writer_text(&writer);
}
