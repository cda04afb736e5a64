/* SPDX-License-Identifier: Apache-2.0 */
/* feature_codes: what users dial to change their own settings. */
#include "server/config/internal.h"

#include <stdlib.h>
#include <string.h>

#include "server/directory/setting.h"
#include "server/queue/queue.h"

enum { FEATURE_CODE, FEATURE_SET, FEATURE_KEYS };

static const struct config_key feature_keys[FEATURE_KEYS] = {
	[FEATURE_CODE] = { "code", .required = true },
	[FEATURE_SET] = { "set", .required = true },
};

#define WILD "xX[."

/* Where what is dialled begins and ends: between what every number that matches has. */
static void digits_find(struct stw_feature *feature)
{
	struct stw_str code = feature->code;
	size_t n = 0, last = 0;
	bool any = false;

	for (size_t i = 0; i < code.len; i++) {
		if (!memchr(WILD, code.ptr[i], sizeof(WILD) - 1))
			continue;
		if (!any)
			n = i;
		any = true;
		if (code.ptr[i] == '[')
			i = stw_str_find(code, ']', i);
		last = i;
	}
	feature->has_digits = any;
	feature->before = (unsigned)(any ? n : code.len);
	feature->behind = (unsigned)(any ? code.len - last - 1 : 0);
}

/* Others are the administrator's to change. */
static bool key_is_of_user(struct stw_str key)
{
	static const char *const keys[] = { "dnd", "reject_anonymous", "block", "allow",
		"forward.always", "forward.busy", "forward.no_answer", "forward.unregistered",
		"forward.dnd", "forward.no_answer_after" };

	for (size_t i = 0; i < STW_ARRAY_SIZE(keys); i++) {
		if (stw_str_equal(key, stw_str_from(keys[i])))
			return true;
	}
	return false;
}

/* "queue.login=support": an agent logs in, out or pauses. The queue is looked for when all is read.
 */
static bool queue_read(struct stw_str set, struct stw_feature *feature)
{
	static const char *const acts[] = { [STW_QUEUE_LOGIN] = "queue.login=",
		[STW_QUEUE_LOGOUT] = "queue.logout=",
		[STW_QUEUE_PAUSE] = "queue.pause=" };

	for (unsigned i = 0; i < STW_ARRAY_SIZE(acts); i++) {
		if (!stw_str_starts(set, stw_str_from(acts[i])))
			continue;
		feature->queue_act = i;
		feature->queue = stw_str_cut(set, strlen(acts[i]), set.len);
		return feature->queue.len > 0 && !feature->has_digits;
	}
	return false;
}

struct stw_str stw_feature_change(const struct stw_feature *feature, struct stw_str number,
	char buffer[STW_FEATURE_CHANGE_MAX])
{
	size_t at = stw_str_find(feature->set, '$', 0);
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, STW_FEATURE_CHANGE_MAX);
	stw_write_str(&writer, stw_str_cut(feature->set, 0, at));
	if (at < feature->set.len) {
		stw_write_str(&writer,
			stw_str_cut(number, feature->before, number.len - feature->behind));
		stw_write_str(&writer, stw_str_cut(feature->set, at + 1, feature->set.len));
	}
	return stw_writer_text(&writer);
}

static bool set_read(struct config_context *context, const struct config_field *field,
	struct stw_feature *feature)
{
	struct stw_str key = stw_str_cut(field->text, 0, stw_str_find(field->text, '=', 0)), change;
	bool dollar = stw_str_find(field->text, '$', 0) < field->text.len;
	char buffer[STW_FEATURE_CHANGE_MAX], quoted[96], code[96], example[STW_NUMBER_MAX];
	struct stw_setting_error error;
	struct stw_settings *settings = NULL;

	feature->set = field->text;
	if (queue_read(field->text, feature))
		return true;
	config_quote(field->text, quoted);
	config_quote(feature->code, code);
	if (key.len == field->text.len || !key_is_of_user(key) ||
		field->text.len > STW_FEATURE_CHANGE_MAX - STW_NUMBER_MAX) {
		config_error(context, field->mark,
			"feature_codes: %s is nothing that a user may change by a code; allowed: "
			"dnd, reject_anonymous, block, allow, forward.…=VALUE, with $ for what is "
			"dialled, and queue.login|logout|pause=NAME",
			quoted);
		return false;
	}
	if (dollar != feature->has_digits) {
		config_error(context, field->mark,
			dollar ? "feature_codes: %s takes digits, but the code %s has none"
			       : "feature_codes: %s has no $ for the digits of the code %s",
			quoted, code);
		return false;
	}
	memset(example, '1', sizeof(example));
	change = stw_feature_change(feature,
		(struct stw_str){ example, feature->before + feature->behind + 2 }, buffer);
	if (stw_settings_change(NULL, &change, 1, &settings, &error) < 0) {
		config_error(context, field->mark, "feature_codes: %s: %s", quoted, error.text);
		return false;
	}
	free(settings);
	return true;
}

static void features_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	struct stw_feature feature = { .code = item->fields[FEATURE_CODE].text };
	unsigned n = config->feature_count;

	if (n == STW_CONFIG_FEATURES_MAX) {
		config_error(context, item->fields[FEATURE_CODE].mark,
			"feature_codes: more than %d", STW_CONFIG_FEATURES_MAX);
		return;
	}
	config->features = config_grow(context, config->features, n, sizeof(*config->features));
	if (context->no_memory || !config_pattern_add(context, option, &item->fields[FEATURE_CODE],
					  &config->feature_table))
		return;
	digits_find(&feature);
	if (!set_read(context, &item->fields[FEATURE_SET], &feature)) {
		config->feature_table.n--;
		return;
	}
	config->features[config->feature_count++] = feature;
}

static bool features_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index >= config->feature_count)
		return false;
	ret->entry = true;
	ret->fields[FEATURE_CODE].text = config->features[index].code;
	ret->fields[FEATURE_SET].text = config->features[index].set;
	return true;
}

static void features_clear(struct stw_config *config)
{
	config->feature_count = config->feature_table.n = 0;
}

const struct stw_option_form config_form_features = {
	.add = features_add,
	.get = features_get,
	.clear = features_clear,
	.keys = feature_keys,
	.key_count = FEATURE_KEYS,
	.only_entries = true,
};

/* Two codes that a number may mean. */
void config_check_features(struct config_context *context)
{
	struct stw_config *config = context->config;
	struct stw_dial_entry *v = config->feature_table.v;
	enum stw_pattern_order order;
	char quoted[2][96];

	for (unsigned i = 0; i < config->feature_count; i++) {
		const struct stw_feature *feature = &config->features[i];

		if (feature->queue.len && !stw_config_queue(config, feature->queue))
			config_error(context, config_option_mark(context, "feature_codes"),
				"feature_codes: %s names no queue",
				config_quote(feature->set, quoted[0]));
	}
	for (unsigned i = 0; i < config->feature_table.n; i++) {
		for (unsigned j = 0; j < i; j++) {
			order = stw_pattern_compare(&v[i].pattern, &v[j].pattern, NULL, NULL);
			if (order == STW_PATTERN_EQUAL || order == STW_PATTERN_AMBIGUOUS)
				config_error(context, config_option_mark(context, "feature_codes"),
					"feature_codes: %s and %s can both be meant by one number",
					config_quote(config->features[v[j].value].code, quoted[0]),
					config_quote(config->features[v[i].value].code, quoted[1]));
		}
	}
	stw_dialplan_sort(v, config->feature_table.n);
}
