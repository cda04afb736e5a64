/* SPDX-License-Identifier: Apache-2.0 */
/* "try METHOD URI from URI as AOR source ADDRESS header "LINE"  | conditions": nothing is sent. */
#include "runner.h"

#include "server/try.h"

static json_t *ask_make(struct scenario *s, struct stw_str text)
{
	json_t *ask = json_object(), *headers = json_array();
	struct stw_str word, value;

	next_word(&text, &value);
	json_object_set_new(ask, "method", stw_json_text(value));
	next_word(&text, &value);
	json_object_set_new(ask, "uri", stw_json_text(value));
	while (next_word(&text, &word) && next_item(&text, ' ', &value)) {
		if (value.len > 1 && value.ptr[0] == '"')
			value = stw_str_cut(value, 1, value.len - 1);
		if (is_word(word, "header"))
			json_array_append_new(headers, stw_json_text(value));
		else if (is_word(word, "at"))
			json_object_set_new(ask, "at_ms",
				json_integer((json_int_t)s->now.wall_ms +
					     1000 * atoll(print(s, "%.*s%c", STW_STR_ARG(value), 0)
								    .ptr)));
		else
			json_object_set_new(ask, print(s, "%.*s%c", STW_STR_ARG(word), 0).ptr,
				stw_json_text(value));
	}
	json_object_set_new(ask, "headers", headers);
	return ask;
}

static const char *text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "";
}

/* What a condition names. */
static struct stw_str result_value(struct scenario *s, const json_t *result, struct stw_str name)
{
	const json_t *checks = json_object_get(result, "checks");
	const json_t *target = json_array_get(json_object_get(result, "targets"), 0);
	const json_t *last = json_array_get(checks, json_array_size(checks) - 1);

	if (is_word(name, "passes"))
		return json_is_true(json_object_get(result, "passes")) ? STW_STR("yes")
								       : STW_STR("no");
	if (is_word(name, "code"))
		return print(s, "%d", (int)json_integer_value(json_object_get(result, "code")));
	if (is_word(name, "row"))
		return stw_str_from(text_of(last, "name"));
	if (is_word(name, "verdict"))
		return stw_str_from(text_of(last, "verdict"));
	if (is_word(name, "target"))
		return print(s, "%s at %s", text_of(target, "uri"), text_of(target, "address"));
	if (is_word(name, "name"))
		return stw_str_from(
			json_string_value(json_array_get(json_object_get(result, "names"), 0)));
	return stw_str_from(text_of(result, print(s, "%.*s%c", STW_STR_ARG(name), 0).ptr));
}

int server_try(struct scenario *s, struct stw_str text)
{
	struct stw_str what, item, name, value;
	json_t *ask, *result = NULL;
	char error[200] = "";
	int err = 0;

	next_item(&text, '|', &what);
	ask = ask_make(s, what);
	if (stw_try(s->workers[0].core, ask, &result, error) < 0)
		err = fail(s, "try: %s", error);
	json_decref(ask);
	while (err == 0 && next_item(&text, ',', &item)) {
		next_item(&item, '=', &name);
		item = stw_str_trim(item);
		value = result_value(s, result, name);
		if (!stw_str_equal(value, item))
			err = fail(s, "%.*s = %.*s expected, but is \"%.*s\"", STW_STR_ARG(name),
				STW_STR_ARG(item), STW_STR_ARG(value));
	}
	json_decref(result);
	return err;
}
