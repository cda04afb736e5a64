/* SPDX-License-Identifier: Apache-2.0 */
/* One question to all workers, and one answer from theirs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core.h"

struct stw_question_parts {
	struct stw_question *whole;
	atomic_uint open;
	unsigned n;
	struct stw_question v[];
};

bool stw_question_concerns_all(enum stw_question_kind kind)
{
	switch (kind) {
	case STW_QUESTION_STATUS:
	case STW_QUESTION_WHY:
	case STW_QUESTION_CALLS:
	case STW_QUESTION_DRAIN:
	case STW_QUESTION_RELOAD:
	case STW_QUESTION_STOP:
		return true;
	case STW_QUESTION_USER_SET:
	case STW_QUESTION_USER_REMOVE:
	case STW_QUESTION_SETTINGS:
	case STW_QUESTION_BINDINGS:
	case STW_QUESTION_BINDING_REMOVE:
	case STW_QUESTION_QUEUES:
	case STW_QUESTION_TRY:
		break;
	}
	return false;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* ---- status: numbers are added ---------------------------------------------------- */

/* These are of the process: each worker says the same. */
static bool is_shared(const char *key)
{
	static const char *const keys[] = { "uptime_s", "users", "addresses_bound",
		"asked_to_keep_back_percent", "sources_limited", "log_lost" };

	for (size_t i = 0; i < STW_ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i], key) == 0)
			return true;
	}
	return false;
}

static void merge_counters(json_t *sum, json_t *part)
{
	json_t *value;
	const char *key;

	json_object_foreach(part, key, value)
	{
		json_t *into = json_object_get(sum, key);

		if (json_is_integer(into) && !is_shared(key))
			json_integer_set(
				into, json_integer_value(into) + json_integer_value(value));
		else if (json_is_true(value))
			json_object_set(sum, key, value);
	}
}

static json_t *merge_status(struct stw_question_parts *parts)
{
	json_t *sum = json_incref(parts->v[0].answer);

	for (unsigned i = 1; sum && i < parts->n; i++) {
		merge_counters(sum, parts->v[i].answer);
		merge_counters(json_object_get(sum, "overload"),
			json_object_get(parts->v[i].answer, "overload"));
		merge_counters(
			json_object_get(sum, "hook"), json_object_get(parts->v[i].answer, "hook"));
	}
	return sum;
}

/* ---- calls: the newest of all --------------------------------------------------------- */

/* ISO 8601 texts in UTC stand in the order of time. */
static int by_start(const void *a, const void *b)
{
	return strcmp(
		text_of(*(json_t *const *)b, "started"), text_of(*(json_t *const *)a, "started"));
}

static json_t *merge_calls(struct stw_question_parts *parts)
{
	json_t *all = json_array(), *result = json_array(), **items;
	size_t count, i;

	for (i = 0; i < parts->n; i++)
		json_array_extend(all, parts->v[i].answer);
	count = json_array_size(all);
	items = malloc((count + 1) * sizeof(json_t *));
	for (i = 0; items && i < count; i++)
		items[i] = json_array_get(all, i);
	if (items)
		qsort(items, count, sizeof(json_t *), by_start);
	for (i = 0; items && i < count && i < parts->whole->number; i++)
		json_array_append(result, items[i]);
	free(items);
	json_decref(all);
	return result;
}

/* ---- why: one call ----------------------------------------------------------------------- */

/* As in a worker's own choice of its newest call: what nobody means by "the last call". */
static bool is_side_matter(const json_t *call)
{
	const json_t *first = json_array_get(json_object_get(call, "records"), 0);

	return !first || strcmp(text_of(first, "kind"), "dropped") == 0 ||
	       strcmp(text_of(first, "method"), "OPTIONS") == 0;
}

static json_t *choose_last(struct stw_question_parts *parts)
{
	json_t *best = NULL;

	for (unsigned i = 0; i < parts->n; i++) {
		json_t *call = parts->v[i].answer;

		if (!call)
			continue;
		if (!best || is_side_matter(best) > is_side_matter(call) ||
			(is_side_matter(best) == is_side_matter(call) &&
				strcmp(text_of(call, "started"), text_of(best, "started")) > 0))
			best = call;
	}
	return json_incref(best);
}

static int64_t started_ms(const json_t *call)
{
	struct tm tm = { 0 };
	int ms = 0;

	if (sscanf(text_of(call, "started"), "%d-%d-%dT%d:%d:%d.%d", &tm.tm_year, &tm.tm_mon,
		    &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) < 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

static json_int_t at_ms(const json_t *record)
{
	return json_integer_value(json_object_get(record, "at_ms"));
}

/* Records in the order of time; those of one worker are in order already. */
static void add_records(json_t *call, const json_t *other)
{
	json_t *records = json_object_get(call, "records"), *record;
	json_int_t later = started_ms(other) - started_ms(call);
	size_t i, at;

	json_array_foreach(json_object_get(other, "records"), i, record)
	{
		json_object_set_new(record, "at_ms", json_integer(at_ms(record) + later));
		at = json_array_size(records);
		while (at > 0 && at_ms(json_array_get(records, at - 1)) > at_ms(record))
			at--;
		json_array_insert(records, at, record);
	}
}

/* All of a call is with one worker, but for what was too broken to be handed over: its records are
 * where it arrived. */
static json_t *join_call(struct stw_question_parts *parts)
{
	json_t *first = NULL;
	unsigned i;

	for (i = 0; i < parts->n; i++) {
		if (parts->v[i].answer &&
			(!first || started_ms(parts->v[i].answer) < started_ms(first)))
			first = parts->v[i].answer;
	}
	for (i = 0; i < parts->n; i++) {
		if (parts->v[i].answer && parts->v[i].answer != first)
			add_records(first, parts->v[i].answer);
	}
	return json_incref(first);
}

/* ---- all have answered --------------------------------------------------------------------- */

static int first_error(const struct stw_question_parts *parts)
{
	for (unsigned i = 0; i < parts->n; i++) {
		if (parts->v[i].error)
			return parts->v[i].error;
	}
	return 0;
}

static void parts_merge(struct stw_question_parts *parts)
{
	struct stw_question *whole = parts->whole;

	switch (whole->kind) {
	case STW_QUESTION_STATUS:
		whole->answer = merge_status(parts);
		break;
	case STW_QUESTION_CALLS:
		whole->answer = merge_calls(parts);
		break;
	case STW_QUESTION_WHY:
		whole->answer = stw_str_equal(whole->text, STW_STR("last")) ? choose_last(parts)
									    : join_call(parts);
		whole->error = whole->answer ? 0 : -ENOENT;
		return;
	default:
		break;
	}
	whole->error = first_error(parts);
}

static void part_answered(struct stw_question *part)
{
	struct stw_question_parts *parts = part->context;
	struct stw_question *whole = parts->whole;

	stw_config_unref(part->config);
	if (atomic_fetch_sub(&parts->open, 1) > 1)
		return;
	parts_merge(parts);
	for (unsigned i = 0; i < parts->n; i++)
		json_decref(parts->v[i].answer);
	free(parts);
	whole->answered(whole);
}

int stw_question_split(struct stw_question *question, unsigned n, struct stw_question_parts **ret)
{
	struct stw_question_parts *parts = calloc(1, sizeof(*parts) + n * sizeof(parts->v[0]));

	if (!parts)
		return -ENOMEM;
	parts->whole = question;
	parts->n = n;
	atomic_init(&parts->open, n);
	for (unsigned i = 0; i < n; i++) {
		parts->v[i] = *question;
		/* The asker may have a newer one before the last worker has this. */
		parts->v[i].config = question->config ? stw_config_ref(question->config) : NULL;
		parts->v[i].answer = NULL;
		parts->v[i].answered = part_answered;
		parts->v[i].context = parts;
	}
	*ret = parts;
	return 0;
}

struct stw_question *stw_question_part(struct stw_question_parts *parts, unsigned i)
{
	return &parts->v[i];
}
