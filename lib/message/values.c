/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>

#include "scan.h"

static __attribute__((noinline)) const struct stw_field *find_next(
	const struct stw_msg *msg, const struct stw_field *field)
{
	const struct stw_field *end = msg->fields + msg->field_count, *next;

	for (next = field + 1; next < end; next++) {
		if (next->header != field->header)
			continue;
		if (field->header != STW_HDR_UNKNOWN ||
			stw_str_equal_nocase(stw_field_name(msg, next), stw_field_name(msg, field)))
			return next;
	}
	return NULL;
}

static INLINE bool is_alone(const struct stw_msg *msg, const struct stw_field *field)
{
	return field->header != STW_HDR_UNKNOWN && !(msg->first[field->header] & STW_MSG_REPEATED);
}

const struct stw_field *stw_msg_find_next(const struct stw_msg *msg, const struct stw_field *field)
{
	return is_alone(msg, field) ? NULL : find_next(msg, field);
}

const struct stw_field *stw_msg_find_name(const struct stw_msg *msg, struct stw_str name)
{
	const struct stw_field *end = msg->fields + msg->field_count, *field;
	enum stw_header header = stw_header_from(name);

	if (header != STW_HDR_UNKNOWN)
		return stw_msg_find(msg, header);
	for (field = msg->fields; field < end; field++)
		if (field->header == STW_HDR_UNKNOWN &&
			stw_str_equal_nocase(stw_field_name(msg, field), name))
			return field;
	return NULL;
}

/*
 * The comma that ends the value at `at`, or the end (§7.3.1). Commas within quoted-string and <>
 * are part of it. Parentheses are no comments here: no list header field has a comment in its
 * grammar, and the user part of a URI may hold an unbalanced one (§25.1). What is left open runs to
 * the end.
 */
static size_t value_end(struct stw_str text, size_t at)
{
	const char *end = text.ptr + text.len;
	size_t quoted;

	for (;;) {
		at = (size_t)(list_stop_find(text.ptr + at, end) - text.ptr);
		if (at == text.len || text.ptr[at] == ',')
			return at;
		if (text.ptr[at] == '<') {
			at = stw_str_find(text, '>', at);
			continue;
		}
		quoted = quoted_length(text, at);
		if (!quoted)
			return text.len;
		at += quoted;
	}
}

static __attribute__((noinline)) bool values_next(struct stw_values *values, struct stw_str *ret)
{
	bool is_list = header_flags[values->header] & STW_HDR_LIST;
	struct stw_str text, value;
	size_t end;

	while (values->field) {
		text = stw_field_value(values->msg, values->field);
		while (values->at < text.len) {
			end = is_list ? value_end(text, values->at) : text.len;
			value = str_trim_lws(str_part(text, values->at, end));
			values->at = end + 1;
			if (value.len) {
				*ret = value;
				return true;
			}
		}
		values->field = stw_msg_find_next(values->msg, values->field);
		values->at = 0;
	}
	return false;
}

/* Most fields hold one value and no comma; what the index calls a value is trimmed. */
bool stw_values_read(struct stw_values *values, struct stw_str *ret)
{
	const struct stw_field *field = values->field;
	const struct stw_msg *msg = values->msg;
	const char *at;

	if (values->at) {
		if (UNLIKELY(values->at < field->value_len))
			return values_next(values, ret);
		values->at = 0;
		field = values->field = stw_msg_find_next(msg, field);
		if (!field)
			return false;
	}
	at = msg->data + field->value;
	if (UNLIKELY(!field->value_len) || ((header_flags[values->header] & STW_HDR_LIST) &&
						   comma_is_in(at, at + field->value_len)))
		return values_next(values, ret);
	*ret = (struct stw_str){ at, field->value_len };
	values->at = (size_t)field->value_len + 1;
	values->is_last = is_alone(msg, field);
	return true;
}

struct stw_values stw_msg_vias_below(const struct stw_msg *msg)
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_VIA);
	const struct stw_field *field = values.field;
	size_t end;

	if (UNLIKELY(!msg->has_via)) {
		values.field = NULL;
		return values;
	}
	end = (size_t)(msg->via.text.ptr + msg->via.text.len - msg->data);
	/* It may stand in a later field, when the first ones hold no value. */
	while (UNLIKELY(end > (size_t)field->value + field->value_len))
		values.field = field = find_next(msg, field);
	values.at = end - field->value + 1;
	values.is_last = values.at > field->value_len && is_alone(msg, field);
	return values;
}

bool stw_msg_has_token(const struct stw_msg *msg, enum stw_header header, struct stw_str token)
{
	struct stw_values values = stw_msg_values(msg, header);
	struct stw_str value;

	while (stw_values_next(&values, &value))
		if (stw_str_equal_nocase(value, token))
			return true;
	return false;
}

bool stw_list_has(struct stw_str list, struct stw_str token)
{
	size_t at = 0, end;

	for (; at < list.len; at = end + 1) {
		end = stw_str_find(list, ',', at);
		if (stw_str_equal_nocase(stw_str_trim(stw_str_cut(list, at, end)), token))
			return true;
	}
	return false;
}

bool stw_msg_accepts(const struct stw_msg *msg, struct stw_str type)
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_ACCEPT);
	struct stw_str value, main = stw_str_cut(type, 0, stw_str_find(type, '/', 0) + 1);

	while (stw_values_next(&values, &value)) {
		value = stw_str_trim(stw_str_cut(value, 0, stw_str_find(value, ';', 0)));
		if (stw_str_equal_nocase(value, type) || stw_str_equal(value, STW_STR("*/*")) ||
			(value.len == main.len + 1 && value.ptr[main.len] == '*' &&
				stw_str_equal_nocase(stw_str_cut(value, 0, main.len), main)))
			return true;
	}
	return false;
}

int stw_msg_number(const struct stw_msg *msg, enum stw_header header, uint64_t max, uint64_t *ret)
{
	const struct stw_field *field = stw_msg_find(msg, header);

	if (!field)
		return -ENOENT;
	return uint_read(stw_field_value(msg, field), max, ret);
}
