/* SPDX-License-Identifier: Apache-2.0 */
/* Values of one word: numbers with their units, durations, true and false, words of a list. */
#include "server/config/internal.h"

#include <errno.h>
#include <string.h>

#include "server/suggest.h"

static const struct unit {
	const char *name;
	uint64_t factor;
} duration_units[] = {         /* in milliseconds, longest first */
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
}, size_units[] = {
	{ "GiB", 1u << 30 }, { "MiB", 1u << 20 }, { "KiB", 1u << 10 }, { "", 1 },
};

void *config_member(const struct stw_config *config, const struct stw_option *option)
{
	return (char *)(uintptr_t)config + option->offset;
}

void config_keep(struct config_context *context, struct stw_str text, struct stw_str *ret)
{
	if (stw_arena_copy(&context->config->arena, text, ret) < 0)
		context->no_memory = true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct stw_str digits_take(struct stw_str *text)
{
	struct stw_str digits = { text->ptr, 0 };

	while (digits.len < text->len && is_digit(text->ptr[digits.len]))
		digits.len++;
	text->ptr += digits.len;
	text->len -= digits.len;
	return digits;
}

static struct stw_str letters_take(struct stw_str *text)
{
	struct stw_str letters = { text->ptr, 0 };

	while (letters.len < text->len && !is_digit(text->ptr[letters.len]))
		letters.len++;
	text->ptr += letters.len;
	text->len -= letters.len;
	return letters;
}

/* 1*( 1*DIGIT unit ), units in falling order: 3m1s; or 0, which is the same in each. @return 0;
 * -ENOENT no unit; -EBADMSG; -ERANGE */
int config_duration(struct stw_str text, uint64_t *ret_ms)
{
	size_t next = 0, unit;
	uint64_t number, sum = 0;
	struct stw_str letters;
	int err;

	if (stw_str_equal(text, STW_STR("0"))) {
		*ret_ms = 0;
		return 0;
	}
	do {
		err = stw_str_to_uint(digits_take(&text), UINT32_MAX, &number);
		if (err < 0)
			return err;
		letters = letters_take(&text);
		if (letters.len == 0)
			return -ENOENT;
		for (unit = next; unit < STW_ARRAY_SIZE(duration_units); unit++) {
			if (stw_str_equal(letters, stw_str_from(duration_units[unit].name)))
				break;
		}
		if (unit == STW_ARRAY_SIZE(duration_units))
			return -EBADMSG;
		sum += number * duration_units[unit].factor;
		next = unit + 1;
	} while (text.len > 0);
	*ret_ms = sum;
	return 0;
}

/* 1*DIGIT [ KiB / MiB / GiB ] */
static int size_parse(struct stw_str text, uint64_t *ret)
{
	struct stw_str digits = digits_take(&text);
	uint64_t number;
	int err = stw_str_to_uint(digits, UINT32_MAX, &number);

	if (err < 0)
		return err;
	for (size_t i = 0; i < STW_ARRAY_SIZE(size_units); i++) {
		if (!stw_str_equal(text, stw_str_from(size_units[i].name)))
			continue;
		*ret = number * size_units[i].factor;
		return 0;
	}
	return -EBADMSG;
}

static bool is_bytes(const struct stw_option *option)
{
	return strcmp(option->unit, "bytes") == 0;
}

static bool is_seconds(const struct stw_option *option)
{
	return strcmp(option->unit, "s") == 0;
}

struct stw_str config_number_text(
	const struct stw_option *option, uint64_t number, char *buffer, size_t size)
{
	bool duration = option->type == STW_OPTION_DURATION;
	const struct unit *units = duration ? duration_units : size_units;
	size_t n = duration ? STW_ARRAY_SIZE(duration_units) : STW_ARRAY_SIZE(size_units);
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, size);
	if (duration && is_seconds(option))
		number *= 1000;
	for (size_t i = 0; i < n && (duration || is_bytes(option)); i++) {
		if (number < units[i].factor || (!duration && number % units[i].factor != 0))
			continue;
		stw_write_uint(&writer, number / units[i].factor);
		stw_write_text(&writer, units[i].name);
		number %= units[i].factor;
		if (number == 0)
			return stw_writer_text(&writer);
	}
	if (writer.len == 0) {
		stw_write_uint(&writer, number);
		stw_write_text(&writer, duration ? "s" : "");
	}
	return stw_writer_text(&writer);
}

static void number_store(struct config_context *context, const struct stw_option *option,
	const struct config_item *item, uint64_t number)
{
	char allowed[128], quoted[96];
	uint32_t stored = (uint32_t)number;

	if (number < option->min || number > option->max) {
		config_error(context, item->mark, "%s: %s is out of range; allowed: %.*s",
			option->key, config_quote(item->text, quoted),
			STW_STR_ARG(stw_option_allowed(option, allowed, sizeof(allowed))));
		return;
	}
	memcpy(config_member(context->config, option), &stored, sizeof(stored));
}

static void uint_set(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	char allowed[128], quoted[96];
	uint64_t number;
	int err;

	err = is_bytes(option) ? size_parse(item->text, &number)
			       : stw_str_to_uint(item->text, UINT32_MAX, &number);
	if (err == -ERANGE)
		number = UINT64_MAX;
	if (err == 0 || err == -ERANGE) {
		number_store(context, option, item, number);
		return;
	}
	config_error(context, item->mark, "%s: %s is not a %s; allowed: %.*s", option->key,
		config_quote(item->text, quoted),
		is_bytes(option) ? "number of bytes (KiB and MiB may follow)" : "number",
		STW_STR_ARG(stw_option_allowed(option, allowed, sizeof(allowed))));
}

static void duration_set(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	char allowed[128], quoted[96];
	struct stw_str range = stw_option_allowed(option, allowed, sizeof(allowed));
	uint64_t number = 0;
	int err = config_duration(item->text, &number);

	config_quote(item->text, quoted);
	if (err == -ENOENT) {
		config_error(context, item->mark,
			"%s: %s has no unit; allowed: %.*s (units d, h, m, s, ms; did you mean "
			"%.*ss?)",
			option->key, quoted, STW_STR_ARG(range), STW_STR_ARG(item->text));
		return;
	}
	if (err == -EBADMSG) {
		config_error(context, item->mark,
			"%s: %s is not a duration; write it like 60s, 1h, 3m1s or 500ms; allowed: "
			"%.*s",
			option->key, quoted, STW_STR_ARG(range));
		return;
	}
	if (err < 0)
		number = UINT64_MAX;
	if (err == 0 && is_seconds(option)) {
		if (number % 1000 != 0) {
			config_error(context, item->mark,
				"%s: %s is not whole seconds; allowed: %.*s", option->key, quoted,
				STW_STR_ARG(range));
			return;
		}
		number /= 1000;
	}
	number_store(context, option, item, number);
}

static void bool_set(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	static const struct {
		const char *word, *meant;
	} meant[] = {
		{ "yes", "true" },
		{ "on", "true" },
		{ "1", "true" },
		{ "y", "true" },
		{ "no", "false" },
		{ "off", "false" },
		{ "0", "false" },
		{ "n", "false" },
		{ "true", "true" },
		{ "false", "false" },
	};
	struct stw_suggestion suggestion;
	const char *hint = NULL;
	char quoted[96];
	bool value = stw_str_equal(item->text, STW_STR("true"));

	if (value || stw_str_equal(item->text, STW_STR("false"))) {
		memcpy(config_member(context->config, option), &value, sizeof(value));
		return;
	}
	for (size_t i = 0; i < STW_ARRAY_SIZE(meant); i++) {
		if (stw_str_equal_nocase(item->text, stw_str_from(meant[i].word)))
			hint = meant[i].meant;
	}
	if (!hint) {
		stw_suggest_begin(&suggestion, item->text);
		stw_suggest_try(&suggestion, "true");
		stw_suggest_try(&suggestion, "false");
		hint = suggestion.best;
	}
	config_error(context, item->mark, "%s: %s is not true or false%s%s%s", option->key,
		config_quote(item->text, quoted), hint ? "; did you mean " : "", hint ? hint : "",
		hint ? "?" : "");
}

/* Word `index` of "auto|always|never". */
static bool word_at(const char *words, unsigned index, struct stw_str *ret)
{
	struct stw_str all = stw_str_from(words);
	size_t from = 0, end;

	for (;;) {
		end = stw_str_find(all, '|', from);
		*ret = stw_str_cut(all, from, end);
		if (index-- == 0)
			return true;
		if (end >= all.len)
			return false;
		from = end + 1;
	}
}

static void enum_set(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	char allowed[128], quoted[96], words[8][32];
	struct stw_suggestion suggestion;
	struct stw_str word;

	stw_suggest_begin(&suggestion, item->text);
	for (uint32_t i = 0; i < STW_ARRAY_SIZE(words) && word_at(option->allowed, i, &word); i++) {
		if (stw_str_equal(word, item->text)) {
			memcpy(config_member(context->config, option), &i, sizeof(i));
			return;
		}
		snprintf(words[i], sizeof(words[i]), "%.*s", STW_STR_ARG(word));
		stw_suggest_try(&suggestion, words[i]);
	}
	config_error(context, item->mark, "%s: %s is not known; allowed: %.*s%s%s%s", option->key,
		config_quote(item->text, quoted),
		STW_STR_ARG(stw_option_allowed(option, allowed, sizeof(allowed))),
		suggestion.best ? "; did you mean " : "", suggestion.best ? suggestion.best : "",
		suggestion.best ? "?" : "");
}

static void text_set(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	if (option->form)
		option->form->add(context, option, item);
	else
		config_keep(context, item->text, config_member(context->config, option));
}

void config_value_set(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	static void (*const setters[])(
		struct config_context *, const struct stw_option *, const struct config_item *) = {
		[STW_OPTION_BOOL] = bool_set,
		[STW_OPTION_UINT] = uint_set,
		[STW_OPTION_DURATION] = duration_set,
		[STW_OPTION_TEXT] = text_set,
		[STW_OPTION_ENUM] = enum_set,
		[STW_OPTION_LIST] = text_set,
	};
	char quoted[96];

	if (item->text.len > CONFIG_TEXT_MAX) {
		config_error(context, item->mark, "%s: the value is longer than %d bytes",
			option->key, CONFIG_TEXT_MAX);
		return;
	}
	if (memchr(item->text.ptr, '\0', item->text.len)) {
		config_error(context, item->mark, "%s: %s contains a NUL byte", option->key,
			config_quote(item->text, quoted));
		return;
	}
	setters[option->type](context, option, item);
}

struct stw_str config_value_get(
	const struct stw_config *config, const struct stw_option *option, char *buffer, size_t size)
{
	const void *member = config_member(config, option);
	struct stw_str word = STW_STR_NONE;
	uint32_t number;
	bool truth;

	switch (option->type) {
	case STW_OPTION_TEXT:
	case STW_OPTION_LIST:
		return *(const struct stw_str *)member;
	case STW_OPTION_BOOL:
		memcpy(&truth, member, sizeof(truth));
		return truth ? STW_STR("true") : STW_STR("false");
	case STW_OPTION_ENUM:
		memcpy(&number, member, sizeof(number));
		word_at(option->allowed, number, &word);
		return word;
	default:
		memcpy(&number, member, sizeof(number));
		return config_number_text(option, number, buffer, size);
	}
}
