/* SPDX-License-Identifier: Apache-2.0 */
/* The web server that is asked about calls: "server -> hook", "hook -> server". */
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/hook/hook.h"

/* A question from its being asked until the worker has taken what became of it. */
struct asked {
	struct asked *next;
	struct stw_hook_question *question;
	bool listed;   /* a line has named it */
	bool answered; /* or its time is over */
};

static int hook_submit(void *user, struct stw_hook_question *question)
{
	struct scenario *s = user;
	struct asked *asked = make(s, sizeof(*asked)), **end = &s->asked;

	if (s->hook_busy)
		return -ENOBUFS;
	question->due_ms = s->now.mono_ms + question->timeout_ms;
	asked->question = question;
	while (*end)
		end = &(*end)->next;
	*end = asked;
	tell(s, "server -> hook  POST %s %.*s", question->url, STW_STR_ARG(question->body));
	return 0;
}

static struct stw_hook_question *hook_answer(void *user, unsigned queue)
{
	struct scenario *s = user;
	struct stw_hook_question *question;

	for (struct asked **at = &s->asked; *at; at = &(*at)->next) {
		if ((*at)->question->queue != queue || !(*at)->answered)
			continue;
		question = (*at)->question;
		*at = (*at)->next;
		return question;
	}
	return NULL;
}

const struct stw_hook_ops hook_ops = { .submit = hook_submit, .answer = hook_answer };

uint64_t hook_due(const struct scenario *s)
{
	uint64_t due_ms = UINT64_MAX;

	for (const struct asked *asked = s->asked; asked; asked = asked->next) {
		if (!asked->answered && asked->question->due_ms < due_ms)
			due_ms = asked->question->due_ms;
	}
	return due_ms;
}

bool hook_expire(struct scenario *s)
{
	bool any = false;

	for (struct asked *asked = s->asked; asked; asked = asked->next) {
		if (asked->answered || asked->question->due_ms > s->now.mono_ms)
			continue;
		any = asked->answered = true;
		asked->question->result = STW_HOOK_LATE;
		snprintf(asked->question->why, sizeof(asked->question->why), "no answer in time");
		tell(s, "hook is too late");
	}
	return any;
}

bool hook_quiet(const struct scenario *s)
{
	const struct asked *asked = s->asked;

	while (asked && asked->listed)
		asked = asked->next;
	return !asked;
}

void hook_forget(struct scenario *s)
{
	for (struct asked *asked = s->asked; asked; asked = asked->next)
		stw_hook_question_free(asked->question);
	s->asked = NULL;
}

/* "from.uri", "asserted_identity" (a list: its elements, joined with ", ") */
static bool body_value(
	struct scenario *s, const json_t *root, struct stw_str path, struct stw_str *ret)
{
	struct stw_str name;
	const json_t *element;
	size_t i;

	while (root && next_item(&path, '.', &name))
		root = json_object_get(root, keep(s, name).ptr);
	if (!root || json_is_null(root))
		return false;
	if (json_is_string(root)) {
		*ret = keep(s, stw_str_from(json_string_value(root)));
	} else if (json_is_array(root)) {
		*ret = STW_STR("");
		json_array_foreach(root, i, element) *ret = print(s, "%.*s%s%s", STW_STR_ARG(*ret),
			i ? ", " : "", json_string_value(element));
	} else {
		char *text = json_dumps(root, JSON_COMPACT | JSON_ENCODE_ANY);

		*ret = keep(s, stw_str_from(text));
		free(text);
	}
	return true;
}

/* "POST  | from.uri = sip:eve@…": the oldest question that no line has named yet. */
int hook_expect(struct scenario *s, struct stw_str text)
{
	struct asked *asked = s->asked;
	struct changes changes = { .n = 0 };
	struct stw_str rest, value;
	json_t *root;

	next_item(&text, '|', &rest);
	if (!is_word(stw_str_trim(rest), "POST"))
		return fail(s, "the hook gets a POST, nothing else");
	while (asked && asked->listed)
		asked = asked->next;
	if (!asked)
		return fail(s, "the hook was not asked");
	asked->listed = true;
	s->previous_ms = s->now.mono_ms;
	root = json_loadb(asked->question->body.ptr, asked->question->body.len, 0, NULL);
	if (!root || changes_read(s, text, &changes) < 0)
		return fail(s, "what the hook got is no JSON");
	for (unsigned i = 0; i < changes.n; i++) {
		bool found = is_word(changes.v[i].name, "body") ||
			     body_value(s, root, changes.v[i].name, &value);

		if (is_word(changes.v[i].name, "body"))
			value = asked->question->body;
		if (!condition_holds(changes.v[i].op, found, value,
			    expand(s, s->parties, changes.v[i].value)))
			return fail(s, "%.*s is \"%.*s\"; the hook got %.*s",
				STW_STR_ARG(changes.v[i].name),
				STW_STR_ARG(found ? value : STW_STR("absent")),
				STW_STR_ARG(asked->question->body));
	}
	json_decref(root);
	return 0;
}

static void answer_text(struct stw_hook_question *question, struct stw_str text)
{
	question->answer = malloc(text.len + 1);
	if (!question->answer)
		return;
	if (text.len)
		memcpy(question->answer, text.ptr, text.len);
	question->answer_len = text.len;
}

/* "200 {"action": "pass"}", "500", "fails" (not reached), "too long" */
int hook_reply(struct scenario *s, struct stw_str text)
{
	struct asked *asked = s->asked;
	struct stw_hook_question *question;
	struct stw_str word;
	uint64_t status;

	while (asked && (asked->answered || !asked->listed))
		asked = asked->next;
	if (!asked)
		return fail(s, "the hook has not been asked, or the ladder does not say so");
	question = asked->question;
	asked->answered = true;
	tell(s, "hook -> server  %.*s", STW_STR_ARG(text));
	if (is_word(text, "fails")) {
		question->result = STW_HOOK_DOWN;
		snprintf(question->why, sizeof(question->why), "connection refused");
	} else if (is_word(text, "too long")) {
		question->result = STW_HOOK_TOO_LONG;
		snprintf(question->why, sizeof(question->why), "the answer is too long");
	} else if (!next_word(&text, &word) || stw_str_to_uint(word, 999, &status) < 0) {
		return fail(s, "200 BODY, another status, fails or too long");
	} else if (status == 200) {
		question->result = STW_HOOK_ANSWERED;
		answer_text(question, stw_str_trim(text));
	} else {
		question->result = STW_HOOK_REFUSED;
		snprintf(question->why, sizeof(question->why), "HTTP status %u", (unsigned)status);
	}
	return 0;
}
