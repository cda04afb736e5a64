/* SPDX-License-Identifier: Apache-2.0 */
/* time_zone, and when groups and queues are open. */
#include "server/config/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/directory/setting.h"

#define ZONE_FOLDER    "/usr/share/zoneinfo/"
#define ZONE_LOCAL     "/etc/localtime"
#define ZONE_BYTES_MAX 65536

/* ---- time_zone ---- */

/* @return 0; -ENOENT …; -EBADMSG; -ENOMEM */
static int zone_load(struct config_context *context, const char *path, struct stw_zone *ret)
{
	FILE *file = fopen(path, "re");
	char *bytes;
	size_t len;
	int err;

	if (!file)
		return -errno;
	bytes = malloc(ZONE_BYTES_MAX);
	len = bytes ? fread(bytes, 1, ZONE_BYTES_MAX, file) : 0;
	err = bytes ? stw_zone_read(bytes, len, &context->config->arena, ret) : -ENOMEM;
	free(bytes);
	fclose(file);
	return err;
}

/* A name of the database, "Europe/Berlin": nothing that leads out of its folder. */
static bool is_zone_name(struct stw_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool starts = i == 0 || text.ptr[i - 1] == '/';

		if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
			(starts || ((c < '0' || c > '9') && !strchr("_+-/", c))))
			return false;
	}
	return text.len > 0 && text.len < 64;
}

/* Where the machine says nothing its clock is that of UTC (tzset(3)). */
static int zone_find(struct config_context *context, struct stw_str text, struct stw_zone *ret)
{
	char path[sizeof(ZONE_FOLDER) + 64];
	int err;

	if (stw_str_equal(text, STW_STR("UTC")))
		return 0;
	if (stw_str_equal(text, STW_STR("local"))) {
		err = zone_load(context, ZONE_LOCAL, ret);
		return err == -ENOENT ? 0 : err;
	}
	if (stw_zone_parse(text, ret) == 0)
		return 0;
	if (!is_zone_name(text))
		return -EBADMSG;
	snprintf(path, sizeof(path), ZONE_FOLDER "%.*s", STW_STR_ARG(text));
	return zone_load(context, path, ret);
}

static void zone_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_zone zone = { 0 };
	char quoted[96];
	int err = zone_find(context, item->text, &zone);

	if (err == -ENOMEM) {
		context->no_memory = true;
	} else if (err < 0) {
		config_error(context, item->mark, "%s: %s is no time zone%s; allowed: %s",
			option->key, config_quote(item->text, quoted),
			err == -ENOENT ? " of " ZONE_FOLDER : "", option->allowed);
	} else {
		context->config->zone = zone;
		config_keep(context, item->text, &context->config->time_zone);
	}
}

static bool zone_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	ret->text = config->time_zone;
	return index == 0;
}

/* A file that nobody has asked for is no error: UTC then. */
static void zone_standard(struct config_context *context, const struct stw_option *option)
{
	struct stw_config *config = context->config;

	config->time_zone = stw_str_from(option->standard);
	if (zone_find(context, config->time_zone, &config->zone) == -ENOMEM)
		context->no_memory = true;
}

const struct stw_option_form config_form_time_zone = {
	.add = zone_add,
	.get = zone_get,
	.standard = zone_standard,
};

/* ---- open and closed ---- */

bool config_target_read(struct config_context *context, const char *list, const char *key,
	const struct config_field *field, struct stw_str *ret)
{
	struct stw_forward_target target;
	char quoted[96];

	*ret = field->text;
	if (!field->text.ptr || stw_forward_target_parse(field->text, &target) == 0)
		return true;
	config_error(context, field->mark,
		"%s: %s: %s cannot be called; allowed: a user, a number, a SIP URI, group:NAME, "
		"queue:NAME",
		list, key, config_quote(field->text, quoted));
	return false;
}

bool config_opening_read(struct config_context *context, const char *list,
	const struct config_field *open, const struct config_field *closed, struct stw_opening *ret)
{
	struct stw_str bad;
	char quoted[96];
	int err;

	ret->open = open->text;
	if (closed->text.ptr && !open->text.ptr) {
		config_error(
			context, closed->mark, "%s: closed without open: it is never closed", list);
		return false;
	}
	if (!config_target_read(context, list, "closed", closed, &ret->closed))
		return false;
	if (!open->text.ptr)
		return true;
	err = stw_hours_parse(open->text, &ret->hours, &bad);
	if (err == -ENOBUFS)
		config_error(context, open->mark, "%s: open: more than %d times", list,
			STW_HOURS_SPANS_MAX);
	else if (err < 0)
		config_error(context, open->mark,
			"%s: open: %s is no time; allowed: days and times like mon-fri "
			"08:00-18:00, "
			"sat 22:00-02:00, sun",
			list, config_quote(bad, quoted));
	return err == 0;
}

void config_check_way(struct config_context *context, const struct config_way *way)
{
	struct config_mark mark = config_option_mark(context, way->list);
	struct stw_str target[2];

	if (!config_check_target(context, way->target, target))
		config_error(context, mark, "%s: %s of %.*s: there is no %.*s %.*s", way->list,
			way->key, STW_STR_ARG(way->name), STW_STR_ARG(target[0]),
			STW_STR_ARG(target[1]));
	else if (stw_str_equal(target[0], stw_str_from(way->kind)) &&
		 stw_str_equal(target[1], way->name))
		config_error(context, mark, "%s: %s of %.*s leads to itself", way->list, way->key,
			STW_STR_ARG(way->name));
}
