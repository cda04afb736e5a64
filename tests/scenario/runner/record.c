/* SPDX-License-Identifier: Apache-2.0 */
/* The records of calls, when the option cdr.file is set: "server records". */
#include "runner.h"

#include <jansson.h>
#include <stdlib.h>

#include "server/cause.h"

struct recorded {
	struct recorded *next;
	struct stw_str text;
	bool listed;
};

static void record_take(void *context, struct stw_str line)
{
	struct scenario *s = context;
	struct recorded **end = &s->recorded;

	while (*end)
		end = &(*end)->next;
	*end = make(s, sizeof(**end));
	(*end)->text = keep(s, stw_str_cut(line, 0, line.len - 1));
	tell(s, "    server records  %.*s", STW_STR_ARG((*end)->text));
}

int record_start(struct scenario *s)
{
	struct stw_records_options options = {
		.queues = s->worker_count, .take = record_take, .take_context = s
	};
	char error[200];

	s->records = NULL;
	if (!s->config->cdr.file.len)
		return 0;
	return stw_records_open(&options, &s->records, error, sizeof(error));
}

void record_end(struct scenario *s)
{
	s->records = stw_records_close(s->records);
}

static bool record_value(
	struct scenario *s, const json_t *record, struct stw_str name, struct stw_str *ret)
{
	const json_t *value = json_object_get(record, keep(s, name).ptr);
	char *text;

	if (!value || json_is_null(value))
		return false;
	if (json_is_string(value)) {
		*ret = keep(s, stw_str_from(json_string_value(value)));
		return true;
	}
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	*ret = keep(s, stw_str_from(text));
	free(text);
	return true;
}

static int record_compare(struct scenario *s, const json_t *record, const struct changes *changes)
{
	for (unsigned i = 0; i < changes->n; i++) {
		const struct change *change = &changes->v[i];
		struct stw_str wanted = expand(s, s->parties, change->value), value;
		bool found = record_value(s, record, change->name, &value);

		if (!condition_holds(change->op, found, value, wanted))
			return fail(s, "%.*s of the record is \"%.*s\"", STW_STR_ARG(change->name),
				STW_STR_ARG(found ? value : STW_STR("absent")));
		if (is_word(change->name, "cause") && found && stw_cause_find(value.ptr))
			cause_seen(stw_cause_find(value.ptr), true);
	}
	return 0;
}

/* The oldest that is not listed yet; "server records nothing": there is none. */
int record_expect(struct scenario *s, struct stw_str text)
{
	struct recorded *recorded;
	struct changes changes = { .n = 0 };
	struct stw_str rest;
	json_t *record;
	int err;

	if (!s->records)
		return fail(s, "the option cdr.file is not set");
	stw_records_run(s->records);
	next_item(&text, '|', &rest);
	for (recorded = s->recorded; recorded && recorded->listed;)
		recorded = recorded->next;
	if (is_word(stw_str_trim(rest), "nothing"))
		return recorded ? fail(s, "the server has recorded %.*s",
					  STW_STR_ARG(recorded->text))
				: 0;
	if (!recorded)
		return fail(s, "the server has recorded no call");
	recorded->listed = true;
	if (changes_read(s, text, &changes) < 0)
		return -1;
	record = json_loadb(recorded->text.ptr, recorded->text.len, 0, NULL);
	if (!record)
		return fail(s, "the record is no JSON: %.*s", STW_STR_ARG(recorded->text));
	err = record_compare(s, record, &changes);
	json_decref(record);
	return err;
}
