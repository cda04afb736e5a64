/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as a YAML file that reads back to the same snapshot. */
#include "server/config/config.h"

#include <ctype.h>
#include <string.h>

#include "server/config/internal.h"

#define COMMENT_COLUMNS 90

static bool item_get(const struct stw_option *option, const struct stw_config *config,
	unsigned index, struct config_item *ret)
{
	ret->entry = false;
	memset(ret->fields, 0, sizeof(ret->fields));
	if (option->form && option->form->get)
		return option->form->get(config, option, index, ret);
	if (index > 0)
		return false;
	ret->text = config_value_get(config, option, ret->buffer, sizeof(ret->buffer));
	return true;
}

bool stw_option_text(const struct stw_option *option, const struct stw_config *config,
	unsigned index, struct stw_writer *writer)
{
	struct config_item item;

	if (!item_get(option, config, index, &item))
		return false;
	if (!item.entry) {
		stw_write_str(writer, item.text);
		return !writer->overflow;
	}
	for (unsigned i = 0, n = 0; i < option->form->key_count; i++) {
		const struct config_key *key = &option->form->keys[i];

		if (!item.fields[i].text.ptr)
			continue;
		stw_write_format(writer, "%s%s: %.*s", n++ ? ", " : "{", key->name,
			STW_STR_ARG(key->secret ? STW_STR("...") : item.fields[i].text));
	}
	stw_write_char(writer, '}');
	return !writer->overflow;
}

/* Safe without quotes, in block and in flow style. */
static bool is_plain(struct stw_str text)
{
	if (text.len == 0 || !(isalnum((unsigned char)text.ptr[0]) || text.ptr[0] == '/') ||
		text.ptr[text.len - 1] == ':')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!isalnum((unsigned char)text.ptr[i]) && !memchr("._/:@-", text.ptr[i], 6))
			return false;
	}
	return !stw_str_equal(text, STW_STR("null"));
}

static void scalar_print(FILE *out, struct stw_str text)
{
	if (is_plain(text)) {
		fprintf(out, "%.*s", STW_STR_ARG(text));
		return;
	}
	fputc('"', out);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void item_print(FILE *out, const struct stw_option *option, const struct config_item *item,
	const char *indent)
{
	unsigned n = 0;

	if (!item->entry) {
		scalar_print(out, item->text);
		return;
	}
	for (unsigned i = 0; i < option->form->key_count; i++) {
		if (!item->fields[i].text.ptr)
			continue;
		if (n++)
			fprintf(out, "\n%s    ", indent);
		fprintf(out, "%s: ", option->form->keys[i].name);
		scalar_print(out, item->fields[i].text);
	}
}

static void value_print(FILE *out, const struct stw_option *option, const struct stw_config *config,
	const char *indent)
{
	struct config_item item;
	unsigned index = 0;

	if (option->type != STW_OPTION_LIST) {
		item_get(option, config, 0, &item);
		fputc(' ', out);
		item_print(out, option, &item, indent);
	} else {
		for (; item_get(option, config, index, &item); index++) {
			fprintf(out, "\n%s  - ", indent);
			item_print(out, option, &item, indent);
		}
		if (index == 0)
			fputs(" []", out);
	}
	fputc('\n', out);
}

/* Words into lines of comment. */
static void comment_print(FILE *out, const char *indent, const char *text)
{
	size_t column = 0, word;

	while (*text) {
		word = strcspn(text, " ");
		if (column == 0 || column + 1 + word > COMMENT_COLUMNS) {
			column = (size_t)fprintf(out, "%s%s#", column ? "\n" : "", indent);
			column -= 1;
		}
		fprintf(out, " %.*s", (int)word, text);
		column += 1 + word;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void facts_print(FILE *out, const struct stw_option *option, const char *indent)
{
	char allowed[128], line[400];
	struct stw_str words = stw_option_allowed(option, allowed, sizeof(allowed));
	const char *standard = option->standard, *type = stw_option_type_name(option);

	if (option->form && option->form->standard && *standard == '\0')
		standard = "depends on the user who starts it";
	if (option->type == STW_OPTION_BOOL)
		words = STW_STR_NONE;
	snprintf(line, sizeof(line), "%c%s%s%s%.*s. Default: %s. Change: %s.%s%s%s",
		toupper(type[0]), type + 1, strcmp(option->unit, "bytes") == 0 ? " of bytes" : "",
		words.len > 0 ? ", " : "", STW_STR_ARG(words), *standard ? standard : "empty",
		option->live ? "live" : "restart", *option->rfc ? " " : "", option->rfc,
		*option->rfc ? "." : "");
	comment_print(out, indent, line);
}

void stw_config_print(FILE *out, const struct stw_config *config)
{
	const struct stw_option *option;
	const char *group = "", *dot, *indent;
	size_t count, length;

	option = stw_option_all(&count);
	fputs("# Strowger: every option, with its value. What is left out keeps its default.\n",
		out);
	fputs("# Change: live takes effect with `strowger reload`, restart with a new start.\n",
		out);
	for (size_t i = 0; i < count; i++) {
		dot = strchr(option[i].key, '.');
		length = dot ? (size_t)(dot - option[i].key) : 0;
		indent = dot ? "  " : "";
		fputc('\n', out);
		if (dot && (strncmp(group, option[i].key, length) != 0 || group[length] != '.'))
			fprintf(out, "%.*s:\n", (int)length, option[i].key);
		group = dot ? option[i].key : "";
		comment_print(out, indent, option[i].help);
		facts_print(out, &option[i], indent);
		fprintf(out, "%s%s:", indent, dot ? dot + 1 : option[i].key);
		value_print(out, &option[i], config, indent);
	}
}
