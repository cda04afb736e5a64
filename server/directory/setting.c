/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/setting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/message.h>

#include "server/dialplan/dialplan.h"
#include "server/suggest.h"

#define ROWS_MAX   32
#define QUOTED_MAX 80

/* What is being made: the values as written, then the snapshot. */
struct draft {
	struct stw_str values[ROWS_MAX];
	struct stw_settings *settings;
	struct stw_str *elements; /* of all lists */
	struct stw_setting_error *error;
	const struct row *row;
	char changed[STW_SETTING_TEXT_MAX]; /* lists with one element more or less */
	size_t changed_len;
};

struct row {
	struct stw_setting public;
	/* Check the value and put it into the snapshot. @return 0, -EBADMSG (said) */
	int (*read)(struct draft *draft, struct stw_str value, void *member);
	size_t offset;
};

static int fail(struct draft *draft, struct stw_str value)
{
	int len = (int)(value.len < QUOTED_MAX ? value.len : QUOTED_MAX);

	snprintf(draft->error->text, sizeof(draft->error->text),
		"%s: \"%.*s\" is not right; allowed: %s", draft->row->public.key, len, value.ptr,
		draft->row->public.allowed);
	return -EBADMSG;
}

static int fail_length(struct draft *draft)
{
	snprintf(draft->error->text, sizeof(draft->error->text), "%s: more than %d entries",
		draft->row->public.key, STW_SETTING_LIST_MAX);
	return -EBADMSG;
}

/* ---- kinds of values ---- */

static int read_word(struct draft *draft, struct stw_str value, const char *const *words,
	unsigned n, unsigned *ret)
{
	for (*ret = 0; *ret < n; (*ret)++) {
		if (stw_str_equal_nocase(value, stw_str_from(words[*ret])))
			return 0;
	}
	return fail(draft, value);
}

static int read_state(struct draft *draft, struct stw_str value, void *member)
{
	static const char *const words[] = { "active", "closed", "moved" };
	unsigned word = 0;
	int err = read_word(draft, value, words, 3, &word);

	*(enum stw_user_state *)member = (enum stw_user_state)word;
	return err;
}

static int read_mode(struct draft *draft, struct stw_str value, void *member)
{
	static const char *const words[] = { "proxy", "redirect" };
	unsigned word = 0;
	int err = read_word(draft, value, words, 2, &word);

	*(enum stw_user_mode *)member = word ? STW_MODE_REDIRECT : STW_MODE_PROXY;
	return err;
}

static int read_switch(struct draft *draft, struct stw_str value, void *member)
{
	static const char *const words[] = { "off", "on" };
	unsigned word = 0;
	int err = read_word(draft, value, words, 2, &word);

	*(bool *)member = word == 1;
	return err;
}

static int read_code(struct draft *draft, struct stw_str value, unsigned code, unsigned *ret)
{
	uint64_t number;

	if (stw_str_equal(value, STW_STR("off")) && code == 433) {
		*ret = 0;
		return 0;
	}
	if (stw_str_to_uint(value, 999, &number) < 0 || (number != code && number != 403))
		return fail(draft, value);
	*ret = (unsigned)number;
	return 0;
}

static int read_block_code(struct draft *draft, struct stw_str value, void *member)
{
	return read_code(draft, value, 607, member);
}

static int read_anonymous(struct draft *draft, struct stw_str value, void *member)
{
	return read_code(draft, value, 433, member);
}

static int read_calls(struct draft *draft, struct stw_str value, void *member)
{
	uint64_t number;

	if (stw_str_to_uint(value, 1000, &number) < 0)
		return fail(draft, value);
	*(unsigned *)member = (unsigned)number;
	return 0;
}

static int read_credit(struct draft *draft, struct stw_str value, void *member)
{
	if (stw_str_to_uint(value, INT64_MAX, member) < 0)
		return fail(draft, value);
	draft->settings->has_credit = true;
	return 0;
}

/* "20s", "20": seconds. */
static int read_seconds(struct draft *draft, struct stw_str value, void *member)
{
	size_t len = value.len && value.ptr[value.len - 1] == 's' ? value.len - 1 : value.len;
	uint64_t number;

	if (stw_str_to_uint(stw_str_cut(value, 0, len), 600, &number) < 0 || number == 0)
		return fail(draft, value);
	*(uint32_t *)member = (uint32_t)number * 1000;
	return 0;
}

static bool is_sip_uri(struct stw_str value)
{
	struct stw_uri uri;

	return stw_uri_parse(value, &uri) == 0 &&
	       (uri.scheme == STW_SCHEME_SIP || uri.scheme == STW_SCHEME_SIPS ||
		       uri.scheme == STW_SCHEME_TEL);
}

static bool is_name(struct stw_str value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"<>,=;:@/?", c))
			return false;
	}
	return value.len > 0;
}

static bool is_number(struct stw_str value)
{
	char buffer[STW_NUMBER_MAX];
	struct stw_str number;

	return stw_number_from_text(value, buffer, &number) == 0;
}

static bool is_user_at_domain(struct stw_str value, size_t at)
{
	enum stw_host_kind kind;
	struct stw_str host;

	return is_name(stw_str_cut(value, 0, at)) &&
	       stw_host_parse(stw_str_cut(value, at + 1, value.len), &host, &kind) == 0;
}

int stw_forward_target_parse(struct stw_str value, struct stw_forward_target *ret)
{
	size_t colon = stw_str_find(value, ':', 0), at = stw_str_find(value, '@', 0);
	struct stw_str scheme = stw_str_cut(value, 0, colon);
	struct stw_str rest = stw_str_cut(value, colon + 1, value.len);

	*ret = (struct stw_forward_target){ .text = value };
	if (colon < value.len && (stw_str_equal(scheme, STW_STR("queue")) ||
					 stw_str_equal(scheme, STW_STR("group")))) {
		ret->kind = scheme.ptr[0] == 'q' ? STW_FORWARD_TO_QUEUE : STW_FORWARD_TO_GROUP;
		ret->text = rest;
		return is_name(rest) ? 0 : -EBADMSG;
	}
	if (colon < value.len) {
		ret->kind = STW_FORWARD_TO_URI;
		return is_sip_uri(value) ? 0 : -EBADMSG;
	}
	if (at < value.len) {
		ret->kind = STW_FORWARD_TO_USER;
		return is_user_at_domain(value, at) ? 0 : -EBADMSG;
	}
	ret->kind = is_name(value) ? STW_FORWARD_TO_NAME : STW_FORWARD_TO_NUMBER;
	return is_name(value) || is_number(value) ? 0 : -EBADMSG;
}

static bool is_target(struct stw_str value)
{
	struct stw_forward_target target;

	return stw_forward_target_parse(value, &target) == 0;
}

static int read_target(struct draft *draft, struct stw_str value, void *member)
{
	if (!is_target(value))
		return fail(draft, value);
	*(struct stw_str *)member = value;
	return 0;
}

static int read_uri(struct draft *draft, struct stw_str value, void *member)
{
	if (!is_sip_uri(value))
		return fail(draft, value);
	*(struct stw_str *)member = value;
	return 0;
}

/* ---- lists ---- */

static int read_list(struct draft *draft, struct stw_str value, void *member,
	bool (*fits)(struct stw_str element))
{
	struct stw_setting_list *list = member;
	size_t from = 0, end;

	list->v = draft->elements;
	for (list->n = 0; from <= value.len; from = end + 1) {
		struct stw_str element;

		end = stw_str_find(value, ',', from);
		element = stw_str_trim(stw_str_cut(value, from, end));
		if (list->n == STW_SETTING_LIST_MAX)
			return fail_length(draft);
		if (!fits(element))
			return fail(draft, element);
		*draft->elements++ = element;
		list->n++;
	}
	return 0;
}

static int read_names(struct draft *draft, struct stw_str value, void *member)
{
	return read_list(draft, value, member, is_name);
}

static int read_numbers(struct draft *draft, struct stw_str value, void *member)
{
	return read_list(draft, value, member, is_number);
}

static bool is_caller(struct stw_str value)
{
	struct stw_pattern pattern;
	size_t at = stw_str_find(value, '@', 0);
	enum stw_host_kind kind;
	struct stw_str host;

	if (stw_str_equal(value, STW_STR("anonymous")) || is_number(value) ||
		stw_pattern_parse(value, &pattern, &at) == 0)
		return true;
	at = stw_str_find(value, '@', 0);
	if (at == 0)
		return stw_host_parse(stw_str_cut(value, 1, value.len), &host, &kind) == 0;
	return at < value.len && (is_sip_uri(value) || is_target(value));
}

static int read_callers(struct draft *draft, struct stw_str value, void *member)
{
	return read_list(draft, value, member, is_caller);
}

/* ---- the table ---- */

#define TARGET_WORDS "a user, a number, a URI, queue:NAME or group:NAME"
#define CALLER_WORDS                                                                               \
	"user@domain, @domain, a number or a pattern like +49900. , anonymous; several with "      \
	"commas"

#define ROW(key, allowed, standard, member, kind, help)                                            \
	{                                                                                          \
		{ key, allowed, standard, help }, read_##kind,                                     \
			offsetof(struct stw_settings, member)                                      \
	}

static const struct row rows[] = {
	ROW("state", "active, closed, moved", "active", state, state,
		"closed answers 410 Gone; moved answers 301 with moved_to."),
	ROW("moved_to", "a SIP or tel URI", "", moved_to, uri,
		"Where a user who moved is reached now."),
	ROW("alias", "names without @; several with commas", "", alias, names,
		"Other names of this user in the domain."),
	ROW("number", "numbers like 42 or +4930123456; several with commas", "", number, numbers,
		"Numbers that reach this user."),
	ROW("dnd", "on, off", "off", dnd, switch, "Do not disturb: calls are answered with 480."),
	ROW("block", CALLER_WORDS, "", block, callers, "Callers who are refused."),
	ROW("allow", CALLER_WORDS, "", allow, callers,
		"Callers who are never refused by block, do-not-disturb or reject_anonymous."),
	ROW("block_code", "403, 607", "403", block_code, block_code,
		"What a blocked caller gets; 607 says that the user does not want him."),
	ROW("reject_anonymous", "off, 433, 403", "off", reject_anonymous, anonymous,
		"Callers who hide who they are get 433, or 403 that does not tell the setting."),
	ROW("max_calls", "0, for no limit, to 1000", "0", max_calls, calls,
		"Calls that the user may have at a time, made and received; one more to him is "
		"answered with 486 or forwarded as busy, one more from him with 403."),
	ROW("class", "names; several with commas", "", classes, names,
		"Classes of service: what the dial plan lets this user call."),
	ROW("credit", "units, a whole number", "", credit, credit,
		"Prepaid: units left; with 0, calls to trunks are answered with 402. They are not "
		"counted down here."),
	ROW("mode", "proxy, redirect", "", mode, mode,
		"redirect tells callers the addresses of the phones, or where calls are forwarded "
		"to, instead of connecting them; empty: as the domain."),
	ROW("forward.always", TARGET_WORDS, "", forward[STW_FORWARD_ALWAYS], target,
		"Forward every call."),
	ROW("forward.busy", TARGET_WORDS, "", forward[STW_FORWARD_BUSY], target,
		"Forward when busy (486)."),
	ROW("forward.no_answer", TARGET_WORDS, "", forward[STW_FORWARD_NO_ANSWER], target,
		"Forward when nobody answers within forward.no_answer_after."),
	ROW("forward.no_answer_after", "1s to 600s", "20s", no_answer_ms, seconds,
		"How long it rings before forward.no_answer."),
	ROW("forward.unregistered", TARGET_WORDS, "", forward[STW_FORWARD_UNREGISTERED], target,
		"Forward when no phone is registered or reached."),
	ROW("forward.dnd", TARGET_WORDS, "", forward[STW_FORWARD_DND], target,
		"Forward instead of the 480 of do-not-disturb."),
	ROW("queues", "names of queues; several with commas", "", queues, names,
		"Queues whose calls this user takes as an agent; see `strowger queue`."),
	ROW("queues_paused", "names of queues; several with commas", "", queues_paused, names,
		"Those of them that he is not rung for now."),
};

#define ROWS STW_ARRAY_SIZE(rows)
_Static_assert(ROWS <= ROWS_MAX, "room for all values");

const struct stw_setting *stw_setting_at(size_t index)
{
	return index < ROWS ? &rows[index].public : NULL;
}

/* ---- reading ---- */

static const struct row *row_find(struct stw_str key)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (stw_str_equal(key, stw_str_from(rows[i].public.key)))
			return &rows[i];
	}
	return NULL;
}

static int key_unknown(struct draft *draft, struct stw_str key)
{
	struct stw_suggestion suggestion;
	int len = (int)(key.len < QUOTED_MAX ? key.len : QUOTED_MAX);

	stw_suggest_begin(&suggestion, key);
	for (size_t i = 0; i < ROWS; i++)
		stw_suggest_try(&suggestion, rows[i].public.key);
	snprintf(draft->error->text, sizeof(draft->error->text),
		"there is no setting \"%.*s\"%s%s%s", len, key.ptr,
		suggestion.best ? "; did you mean " : "", suggestion.best ? suggestion.best : "",
		suggestion.best ? "?" : "");
	return -EBADMSG;
}

static bool printable(struct stw_str value)
{
	for (size_t i = 0; i < value.len; i++) {
		if ((unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

/* Elements of a comma list, but one of them. */
static size_t list_without(struct stw_str list, struct stw_str element, char *out)
{
	size_t from = 0, end, len = 0;

	for (; from < list.len; from = end + 1) {
		struct stw_str one;

		end = stw_str_find(list, ',', from);
		one = stw_str_trim(stw_str_cut(list, from, end));
		if (!one.len || stw_str_equal(one, element))
			continue;
		if (len)
			out[len++] = ',';
		memcpy(out + len, one.ptr, one.len);
		len += one.len;
	}
	return len;
}

/* "KEY+=VALUE", "KEY-=VALUE": who changes one element need not know the others. */
static int assign_element(
	struct draft *draft, struct stw_str *value, struct stw_str element, bool adds)
{
	char *text = draft->changed + draft->changed_len;
	size_t room = sizeof(draft->changed) - draft->changed_len;
	size_t len;

	if (value->len + element.len + 1 > room || stw_str_find(element, ',', 0) < element.len)
		return fail(draft, element);
	len = list_without(*value, element, text);
	if (adds && len)
		text[len++] = ',';
	if (adds && element.len)
		memcpy(text + len, element.ptr, element.len);
	len += adds ? element.len : 0;
	*value = (struct stw_str){ text, len };
	draft->changed_len += len;
	return 0;
}

static int assign(struct draft *draft, struct stw_str change)
{
	size_t equals = stw_str_find(change, '=', 0);
	struct stw_str key = stw_str_cut(change, 0, equals);
	struct stw_str value = stw_str_trim(stw_str_cut(change, equals + 1, change.len));
	char sign = key.len ? key.ptr[key.len - 1] : 0;
	const struct row *row;

	if (sign == '+' || sign == '-')
		key.len--;
	row = row_find(stw_str_trim(key));
	if (!row)
		return key_unknown(draft, stw_str_trim(key));
	draft->row = row;
	if (equals == change.len || !printable(value))
		return fail(draft, value);
	if (key.len < equals)
		return row->read == read_names || row->read == read_numbers ||
				       row->read == read_callers
			       ? assign_element(
					 draft, &draft->values[row - rows], value, sign == '+')
			       : fail(draft, value);
	draft->values[row - rows] = value;
	return 0;
}

/* The text of all that is set, and a copy of it that the snapshot keeps. */
static int keep_text(struct draft *draft)
{
	struct stw_writer writer;
	unsigned commas = 0;
	size_t bytes = 0;
	char *text;

	for (size_t i = 0; i < ROWS; i++) {
		if (!draft->values[i].len)
			continue;
		bytes += strlen(rows[i].public.key) + draft->values[i].len + 2;
		commas++;
		for (size_t c = 0; c < draft->values[i].len; c++)
			commas += draft->values[i].ptr[c] == ',';
	}
	if (bytes > STW_SETTING_TEXT_MAX) {
		snprintf(draft->error->text, sizeof(draft->error->text),
			"the settings of a user take at most %d bytes", STW_SETTING_TEXT_MAX);
		return -EBADMSG;
	}
	draft->settings =
		calloc(1, sizeof(*draft->settings) + commas * sizeof(*draft->elements) + bytes);
	if (!draft->settings)
		return -ENOMEM;
	draft->elements = (struct stw_str *)(void *)(draft->settings + 1);
	text = (char *)(draft->elements + commas);
	stw_writer_init(&writer, text, bytes);
	for (size_t i = 0; i < ROWS; i++) {
		if (!draft->values[i].len)
			continue;
		stw_write_format(&writer, "%s=", rows[i].public.key);
		text = writer.ptr + writer.len;
		stw_write_str(&writer, draft->values[i]);
		draft->values[i].ptr = text;
		stw_write_char(&writer, '\n');
	}
	draft->settings->text = stw_writer_text(&writer);
	return 0;
}

/* Who is in both lists was meant to be in one. */
static int check_callers(struct draft *draft)
{
	const struct stw_setting_list *block = &draft->settings->block;
	const struct stw_setting_list *allow = &draft->settings->allow;

	for (unsigned i = 0; i < block->n; i++) {
		for (unsigned k = 0; k < allow->n; k++) {
			if (!stw_str_equal_nocase(block->v[i], allow->v[k]))
				continue;
			snprintf(draft->error->text, sizeof(draft->error->text),
				"block and allow contradict each other: both hold %.*s",
				(int)(block->v[i].len < QUOTED_MAX ? block->v[i].len : QUOTED_MAX),
				block->v[i].ptr);
			return -EBADMSG;
		}
	}
	return 0;
}

static int read_values(struct draft *draft)
{
	struct stw_settings *settings = draft->settings;
	int err;

	settings->block_code = 403;
	settings->no_answer_ms = 20000;
	for (size_t i = 0; i < ROWS; i++) {
		draft->row = &rows[i];
		if (!draft->values[i].len)
			continue;
		err = rows[i].read(draft, draft->values[i], (char *)settings + rows[i].offset);
		if (err < 0)
			return err;
	}
	if (settings->state == STW_USER_MOVED && !settings->moved_to.len) {
		snprintf(draft->error->text, sizeof(draft->error->text),
			"state=moved needs moved_to: where the user is now");
		return -EBADMSG;
	}
	return check_callers(draft);
}

static int make(struct draft *draft, struct stw_settings **ret)
{
	int err = keep_text(draft);

	if (err == 0)
		err = read_values(draft);
	if (err < 0) {
		free(draft->settings);
		return err;
	}
	*ret = draft->settings;
	return 0;
}

static int assign_lines(struct draft *draft, struct stw_str text)
{
	size_t from = 0, end;

	for (; from < text.len; from = end + 1) {
		int err;

		end = stw_str_find(text, '\n', from);
		err = assign(draft, stw_str_cut(text, from, end));
		if (err < 0)
			return err;
	}
	return 0;
}

int stw_settings_change(const struct stw_settings *old, const struct stw_str *changes, unsigned n,
	struct stw_settings **ret, struct stw_setting_error *error)
{
	struct draft draft = { .error = error };
	int err = old ? assign_lines(&draft, old->text) : 0;

	for (unsigned i = 0; err == 0 && i < n; i++)
		err = assign(&draft, changes[i]);
	return err < 0 ? err : make(&draft, ret);
}

int stw_settings_parse(
	struct stw_str text, struct stw_settings **ret, struct stw_setting_error *error)
{
	struct draft draft = { .error = error };
	int err = assign_lines(&draft, text);

	return err < 0 ? err : make(&draft, ret);
}

bool stw_setting_list_has(const struct stw_setting_list *list, struct stw_str element)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (stw_str_equal(list->v[i], element))
			return true;
	}
	return false;
}

struct stw_str stw_settings_value(const struct stw_settings *settings, const char *key)
{
	size_t len = strlen(key), from = 0, end;

	for (; settings && from < settings->text.len; from = end + 1) {
		struct stw_str line;

		end = stw_str_find(settings->text, '\n', from);
		line = stw_str_cut(settings->text, from, end);
		if (line.len > len && line.ptr[len] == '=' && memcmp(line.ptr, key, len) == 0)
			return stw_str_cut(line, len + 1, line.len);
	}
	return STW_STR_NONE;
}
