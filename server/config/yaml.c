/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to options, event by event. The file is two levels deep at most (a group and its options;
 * entries of a list and their values two more), so nothing recurses without bound; anchors and
 * aliases are refused, so nothing can be multiplied.
 */
#include "server/config/internal.h"

#include <string.h>
#include <yaml.h>

#include "server/suggest.h"

#define KEY_MAX 64

struct reader {
	struct config_context *context;
	yaml_parser_t parser;
	yaml_event_t event;
	bool has_event;
	bool broken; /* no further event can be had */
	const char *text;
	size_t len;
};

static struct config_mark mark_of(yaml_mark_t mark)
{
	return (struct config_mark){ (unsigned)mark.line + 1, (unsigned)mark.column + 1 };
}

/* Errors of the character decoder know a byte offset only. */
static struct config_mark mark_at(const struct reader *reader, size_t offset)
{
	struct config_mark mark = { 1, 1 };

	for (size_t i = 0; i < offset && i < reader->len; i++) {
		mark.column++;
		if (reader->text[i] == '\n')
			mark = (struct config_mark){ mark.line + 1, 1 };
	}
	return mark;
}

static void syntax_error(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	struct config_mark mark = mark_of(parser->problem_mark);
	const char *problem = parser->problem ? parser->problem : "not readable";

	if (parser->error == YAML_MEMORY_ERROR) {
		reader->context->no_memory = true;
		return;
	}
	if (parser->error == YAML_READER_ERROR)
		mark = mark_at(reader, parser->problem_offset);
	config_error(reader->context, mark, "not valid YAML: %s%s%s%s", problem,
		parser->context ? " (" : "", parser->context ? parser->context : "",
		parser->context ? ")" : "");
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return event->data.alias.anchor;
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

/* A scalar may be a password. */
static void event_drop(struct reader *reader)
{
	if (reader->has_event && reader->event.type == YAML_SCALAR_EVENT)
		explicit_bzero(reader->event.data.scalar.value, reader->event.data.scalar.length);
	if (reader->has_event)
		yaml_event_delete(&reader->event);
	reader->has_event = false;
}

/* The next event. False: the file is broken, which has been said. */
static bool event_next(struct reader *reader)
{
	event_drop(reader);
	if (reader->broken || reader->context->no_memory)
		return false;
	if (!yaml_parser_parse(&reader->parser, &reader->event)) {
		reader->broken = true;
		syntax_error(reader);
		return false;
	}
	reader->has_event = true;
	if (anchor_of(&reader->event)) {
		config_error(reader->context, mark_of(reader->event.start_mark),
			"anchors (&name) and aliases (*name) are not used here; write the value "
			"out");
		reader->broken = true;
		return false;
	}
	return true;
}

static bool starts(const yaml_event_t *event)
{
	return event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT;
}

/* Leave the value at hand, with all that is in it. */
static void value_skip(struct reader *reader)
{
	unsigned depth = starts(&reader->event) ? 1 : 0;

	while (depth > 0 && event_next(reader)) {
		if (starts(&reader->event))
			depth++;
		else if (reader->event.type == YAML_SEQUENCE_END_EVENT ||
			 reader->event.type == YAML_MAPPING_END_EVENT)
			depth--;
	}
}

static struct stw_str scalar_text(const yaml_event_t *event)
{
	return (struct stw_str){ (const char *)event->data.scalar.value,
		event->data.scalar.length };
}

/* "key:" with nothing behind it. */
static bool scalar_is_null(const yaml_event_t *event)
{
	struct stw_str text = scalar_text(event);

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text.len == 0 || stw_str_equal(text, STW_STR("~")) ||
		       stw_str_equal(text, STW_STR("null")));
}

static void scalar_read(struct reader *reader, const struct stw_option *option)
{
	struct config_item item;

	item.text = scalar_text(&reader->event);
	item.mark = mark_of(reader->event.start_mark);
	item.entry = false;
	if (scalar_is_null(&reader->event))
		config_error(reader->context, item.mark,
			"%s: has no value; leave the line out for the default", option->key);
	else
		config_value_set(reader->context, option, &item);
}

/* The key at hand as a string. False and an error when it is no plain word. */
static bool key_take(struct reader *reader, char key[KEY_MAX], struct config_mark *ret_mark)
{
	struct stw_str text;

	*ret_mark = mark_of(reader->event.start_mark);
	if (reader->event.type != YAML_SCALAR_EVENT) {
		config_error(reader->context, *ret_mark, "a key must be the name of an option");
		value_skip(reader);
		return false;
	}
	text = scalar_text(&reader->event);
	snprintf(key, KEY_MAX, "%.*s", STW_STR_ARG(text));
	return true;
}

/* ---- entries: {key: value, …} ---- */

struct entry {
	struct reader *reader;
	const struct stw_option *option;
	struct config_item *item;
	bool good;
	char text[CONFIG_TEXT_MAX]; /* of the value at hand */
	size_t len;
};

static void entry_error(
	struct entry *entry, struct config_mark mark, const char *key, const char *what)
{
	config_error(entry->reader->context, mark, "%s: %s%s%s", entry->option->key, key,
		*key ? " " : "", what);
	entry->good = false;
}

static void entry_key_unknown(struct entry *entry, struct config_mark mark, const char *key)
{
	const struct stw_option_form *form = entry->option->form;
	struct stw_suggestion suggestion;
	char quoted[96], allowed[200];
	struct stw_writer writer;

	stw_suggest_begin(&suggestion, stw_str_from(key));
	stw_writer_init(&writer, allowed, sizeof(allowed));
	for (unsigned i = 0; i < form->key_count; i++) {
		stw_suggest_try(&suggestion, form->keys[i].name);
		stw_write_format(&writer, "%s%s", i ? ", " : "", form->keys[i].name);
	}
	config_error(entry->reader->context, mark, "%s: unknown key %s; allowed: %.*s%s%s%s",
		entry->option->key, config_quote(stw_str_from(key), quoted),
		STW_STR_ARG(stw_writer_text(&writer)), suggestion.best ? "; did you mean " : "",
		suggestion.best ? suggestion.best : "", suggestion.best ? "?" : "");
	entry->good = false;
}

/* A scalar, behind what the value has already (a list). */
static void entry_append(struct entry *entry, const char *key, struct config_mark mark)
{
	struct stw_str text = scalar_text(&entry->reader->event);

	if (entry->len + text.len + 2 >= CONFIG_TEXT_MAX || memchr(text.ptr, '\0', text.len)) {
		entry_error(entry, mark, key, "is too long or contains a NUL byte");
		return;
	}
	if (entry->len > 0) {
		memcpy(entry->text + entry->len, ", ", 2);
		entry->len += 2;
	}
	memcpy(entry->text + entry->len, text.ptr, text.len);
	entry->len += text.len;
}

static void entry_list(struct entry *entry, const char *key, struct config_mark mark)
{
	struct reader *reader = entry->reader;

	while (event_next(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		if (reader->event.type == YAML_SCALAR_EVENT) {
			entry_append(entry, key, mark);
			continue;
		}
		entry_error(entry, mark_of(reader->event.start_mark), key, "must be a text");
		value_skip(reader);
	}
}

static void entry_value(struct entry *entry, const char *key, struct config_field *field)
{
	struct reader *reader = entry->reader;

	entry->len = 0;
	if (reader->event.type == YAML_SCALAR_EVENT)
		entry_append(entry, key, field->mark);
	else
		entry_list(entry, key, field->mark);
	config_keep(reader->context, (struct stw_str){ entry->text, entry->len }, &field->text);
	explicit_bzero(entry->text, entry->len); /* it may be a password */
}

static void entry_pair(struct entry *entry, const char *key, struct config_mark mark)
{
	const struct stw_option_form *form = entry->option->form;
	struct reader *reader = entry->reader;
	struct config_field *field;
	unsigned i;

	for (i = 0; i < form->key_count && strcmp(form->keys[i].name, key) != 0; i++)
		;
	field = &entry->item->fields[i];
	if (i == form->key_count) {
		entry_key_unknown(entry, mark, key);
	} else if (reader->event.type != YAML_SCALAR_EVENT &&
		   reader->event.type != YAML_SEQUENCE_START_EVENT) {
		entry_error(entry, mark, key, "must be a text");
	} else if (field->text.ptr) {
		entry_error(entry, mark_of(reader->event.start_mark), key,
			"stands twice in this entry");
	} else {
		field->mark = mark_of(reader->event.start_mark);
		entry_value(entry, key, field);
		return;
	}
	value_skip(reader);
}

static void entry_read(struct reader *reader, const struct stw_option *option)
{
	const struct stw_option_form *form = option->form;
	struct config_item item;
	struct entry entry = { .reader = reader, .option = option, .item = &item, .good = true };
	struct config_mark mark;
	char key[KEY_MAX];

	memset(item.fields, 0, sizeof(item.fields));
	item.entry = true;
	item.mark = mark_of(reader->event.start_mark);
	while (event_next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		bool known = key_take(reader, key, &mark);

		if (!event_next(reader))
			return;
		if (known)
			entry_pair(&entry, key, mark);
		else
			value_skip(reader);
		entry.good = entry.good && known;
	}
	if (reader->broken || reader->context->no_memory || !entry.good)
		return;
	for (unsigned i = 0; i < form->key_count; i++) {
		if (!form->keys[i].required || item.fields[i].text.len > 0)
			continue;
		config_error(reader->context, item.mark, "%s: the entry has no %s", option->key,
			form->keys[i].name);
		return;
	}
	item.text = item.fields[0].text;
	option->form->add(reader->context, option, &item);
}

static void list_read(struct reader *reader, const struct stw_option *option)
{
	struct config_mark start = mark_of(reader->event.start_mark);
	unsigned count = 0;

	while (event_next(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		count++;
		if (reader->event.type == YAML_SCALAR_EVENT && !option->form->only_entries) {
			scalar_read(reader, option);
		} else if (reader->event.type == YAML_MAPPING_START_EVENT && option->form->keys) {
			entry_read(reader, option);
		} else {
			config_error(reader->context, mark_of(reader->event.start_mark),
				"%s: an element must be a %s", option->key,
				option->form->only_entries ? "mapping, {key: value, ...}" : "text");
			value_skip(reader);
		}
	}
	if (!reader->broken && count < option->min)
		config_error(reader->context, start,
			"%s: the list is empty; leave the line out for the default", option->key);
}

/* The value at hand into an option. */
static void option_read(struct reader *reader, const struct stw_option *option)
{
	struct config_mark mark = mark_of(reader->event.start_mark);
	bool list = option->type == STW_OPTION_LIST;
	char allowed[128];

	if (list)
		option->form->clear(reader->context->config);
	if (reader->event.type == YAML_SCALAR_EVENT && !(list && option->form->only_entries)) {
		scalar_read(reader, option);
	} else if (list && reader->event.type == YAML_SEQUENCE_START_EVENT) {
		list_read(reader, option);
	} else {
		struct stw_str words = stw_option_allowed(option, allowed, sizeof(allowed));

		config_error(reader->context, mark,
			"%s: a %s is not allowed here, it takes a %s%s%.*s", option->key,
			reader->event.type == YAML_SCALAR_EVENT           ? "text"
			: reader->event.type == YAML_SEQUENCE_START_EVENT ? "list"
									  : "mapping",
			option->type == STW_OPTION_BOOL ? "word" : stw_option_type_name(option),
			words.len > 0 ? "; allowed: " : "", STW_STR_ARG(words));
		value_skip(reader);
	}
}

/* Length of "registration" in "registration.min_expires"; 0: at the top. */
static size_t group_length(const char *key)
{
	const char *dot = strchr(key, '.');

	return dot ? (size_t)(dot - key) : 0;
}

static bool is_group(const char *name)
{
	const struct stw_option *option;
	size_t count;

	option = stw_option_all(&count);
	for (size_t i = 0; i < count; i++) {
		if (group_length(option[i].key) == strlen(name) &&
			strncmp(option[i].key, name, strlen(name)) == 0)
			return true;
	}
	return false;
}

/* "registration.max_bindings" for "max_bindings" at the wrong place; else the nearest name at this
 * one. */
static void unknown_key(
	struct reader *reader, const char *group, const char *name, struct config_mark mark)
{
	struct stw_suggestion suggestion;
	const struct stw_option *option;
	const char *elsewhere = NULL, *hint;
	char quoted[96], full[2 * KEY_MAX], groups[CONFIG_OPTIONS_MAX][KEY_MAX];
	size_t count, length;

	snprintf(full, sizeof(full), "%s%s%s", group, *group ? "." : "", name);
	option = stw_option_all(&count);
	stw_suggest_begin(&suggestion, stw_str_from(name));
	for (size_t i = 0; i < count; i++) {
		length = group_length(option[i].key);
		if (length == strlen(group) && strncmp(option[i].key, group, length) == 0)
			stw_suggest_try(&suggestion, option[i].key + (length ? length + 1 : 0));
		if (*group == '\0' && length > 0) {
			snprintf(groups[i], KEY_MAX, "%.*s", (int)length, option[i].key);
			stw_suggest_try(&suggestion, groups[i]);
		}
		if (strcmp(option[i].key + (length ? length + 1 : 0), name) == 0)
			elsewhere = option[i].key;
	}
	hint = elsewhere ? elsewhere : suggestion.best;
	config_error(reader->context, mark, "unknown option %s%s%s%s",
		config_quote(stw_str_from(full), quoted), hint ? "; did you mean " : "",
		hint ? hint : "; `strowger config --defaults` lists all", hint ? "?" : "");
}

static void twice(struct reader *reader, const char *key, struct config_mark mark, unsigned line)
{
	config_error(reader->context, mark, "%s stands twice; first in line %u", key, line);
}

static void known_option(
	struct reader *reader, const struct stw_option *option, struct config_mark mark)
{
	struct config_context *context = reader->context;
	unsigned index = config_option_index(option);

	if (context->config->lines[index] != 0) {
		twice(reader, option->key, mark, context->config->lines[index]);
		value_skip(reader);
		return;
	}
	context->config->lines[index] = mark.line;
	context->at[index] = mark_of(reader->event.start_mark);
	option_read(reader, option);
}

static void group_read(struct reader *reader, const char *group, struct config_mark mark)
{
	const struct stw_option *option;
	char name[KEY_MAX], key[2 * KEY_MAX];

	if (reader->event.type == YAML_SCALAR_EVENT && scalar_is_null(&reader->event))
		return; /* all its options are commented out */
	if (reader->event.type != YAML_MAPPING_START_EVENT) {
		config_error(reader->context, mark,
			"%s: is a group of options; write them below it, indented", group);
		value_skip(reader);
		return;
	}
	while (event_next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		bool known = key_take(reader, name, &mark);

		if (!event_next(reader))
			return;
		snprintf(key, sizeof(key), "%s.%s", group, name);
		option = known ? stw_option_find(key) : NULL;
		if (option) {
			known_option(reader, option, mark);
			continue;
		}
		if (known)
			unknown_key(reader, group, name, mark);
		value_skip(reader);
	}
}

/* A group may stand once. */
struct seen {
	char name[KEY_MAX];
	unsigned line;
};

static unsigned seen_before(struct seen *seen, const char *name, unsigned line)
{
	for (unsigned i = 0; i < CONFIG_OPTIONS_MAX; i++) {
		if (strcmp(seen[i].name, name) == 0)
			return seen[i].line;
		if (seen[i].line != 0)
			continue;
		snprintf(seen[i].name, sizeof(seen[i].name), "%s", name);
		seen[i].line = line;
		return 0;
	}
	return 0;
}

static void root_read(struct reader *reader)
{
	struct seen seen[CONFIG_OPTIONS_MAX] = { 0 };
	const struct stw_option *option;
	struct config_mark mark;
	char key[KEY_MAX];
	unsigned before;

	while (event_next(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
		bool known = key_take(reader, key, &mark);

		if (!event_next(reader))
			return;
		option = known && !strchr(key, '.') ? stw_option_find(key) : NULL;
		if (option) {
			known_option(reader, option, mark);
			continue;
		}
		if (known && is_group(key)) {
			before = seen_before(seen, key, mark.line);
			if (before == 0) {
				group_read(reader, key, mark);
				continue;
			}
			twice(reader, key, mark, before);
		} else if (known && stw_option_find(key)) {
			config_error(reader->context, mark,
				"%s: write the group and its option in two lines, or {…}", key);
		} else if (known) {
			unknown_key(reader, "", key, mark);
		}
		value_skip(reader);
	}
}

static void document_read(struct reader *reader)
{
	struct config_mark mark;

	if (!event_next(reader))
		return;
	mark = mark_of(reader->event.start_mark);
	if (reader->event.type == YAML_MAPPING_START_EVENT) {
		root_read(reader);
	} else if (reader->event.type != YAML_SCALAR_EVENT || !scalar_is_null(&reader->event)) {
		config_error(
			reader->context, mark, "the file must consist of lines \"option: value\"");
		value_skip(reader);
	}
}

static bool reader_begin(
	struct reader *reader, struct config_context *context, const char *text, size_t len)
{
	*reader = (struct reader){ .context = context, .text = text, .len = len };
	if (!yaml_parser_initialize(&reader->parser)) {
		context->no_memory = true;
		return false;
	}
	yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, len);
	return true;
}

static void reader_end(struct reader *reader)
{
	yaml_parser_t *parser = &reader->parser;

	event_drop(reader);
	explicit_bzero(parser->raw_buffer.start,
		(size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
	explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
	yaml_parser_delete(parser);
}

int config_read(struct config_context *context, const char *text, size_t len)
{
	struct reader reader;
	bool document = false;

	if (!reader_begin(&reader, context, text, len))
		return -1;
	while (event_next(&reader) && reader.event.type != YAML_STREAM_END_EVENT) {
		if (reader.event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		if (document) {
			config_error(context, mark_of(reader.event.start_mark),
				"the file has a second document (---); only one is allowed");
			break;
		}
		document = true;
		document_read(&reader);
	}
	reader_end(&reader);
	return reader.broken ? -1 : 0;
}

void config_read_value(
	struct config_context *context, const struct stw_option *option, const char *text)
{
	struct reader reader;

	if (!reader_begin(&reader, context, text, strlen(text)))
		return;
	/* stream start, document start, value */
	if (event_next(&reader) && event_next(&reader) && event_next(&reader))
		option_read(&reader, option);
	reader_end(&reader);
}
