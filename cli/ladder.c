/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ladder.h"

#include <stdbool.h>
#include <string.h>

#include <strowger/message.h>

#define WIDTH      100
#define TIME_WIDTH 11 /* "   +0.123 s" */
#define LABEL_MAX  22
#define GAP_MAX    46
#define PEERS_MAX  4 /* more share the last column */

struct column {
	const char *peer; /* "udp 192.0.2.1:5060"; NULL: the server */
	char name[LABEL_MAX + 1];
	unsigned at; /* place in the line */
};

struct ladder {
	struct column columns[PEERS_MAX + 1];
	unsigned count, server;
	bool shared; /* the last column stands for several peers */
	char line[WIDTH + 1];
};

static const char *text(const json_t *record, const char *key)
{
	const char *value = json_string_value(json_object_get(record, key));

	return value ? value : "";
}

static bool is_kind(const json_t *record, const char *kind)
{
	return strcmp(text(record, "kind"), kind) == 0;
}

/* ---- columns ----------------------------------------------------------------------------- */

/* The user part of a URI, or its host: what people call the peer. */
static void name_of_uri(const char *uri, char name[LABEL_MAX + 1])
{
	struct stw_str shown;
	struct stw_uri parts;

	if (stw_uri_parse(stw_str_from(uri), &parts) < 0)
		return;
	shown = parts.user.len ? parts.user : parts.host;
	snprintf(name, LABEL_MAX + 1, "%.*s", STW_STR_ARG(shown));
}

static struct column *column_find(struct ladder *ladder, const char *peer)
{
	for (unsigned i = 0; i < ladder->count; i++) {
		if (ladder->columns[i].peer && strcmp(ladder->columns[i].peer, peer) == 0)
			return &ladder->columns[i];
	}
	return NULL;
}

static void column_add(struct ladder *ladder, const char *peer, const char *uri)
{
	struct column *column = column_find(ladder, peer);

	if (!*peer)
		return;
	if (!column && ladder->count == STW_ARRAY_SIZE(ladder->columns)) {
		column = &ladder->columns[ladder->count - 1];
		snprintf(column->name, sizeof(column->name), "others");
		ladder->shared = true;
		return;
	}
	if (!column) {
		column = &ladder->columns[ladder->count++];
		column->peer = peer;
	}
	if (!*column->name && *uri)
		name_of_uri(uri, column->name);
}

static bool is_first_request(const json_t *record)
{
	return is_kind(record, "request-in") || is_kind(record, "dropped");
}

/* The caller on the left, then the server (first, when it calls), then whom it spoke to, in the
 * order of their appearance.
 */
static void columns_find(struct ladder *ladder, const json_t *call)
{
	const json_t *records = json_object_get(call, "records"), *record;
	size_t i;

	json_array_foreach(records, i, record)
	{
		if (is_kind(record, "request-out"))
			break; /* the request is our own */
		if (!is_first_request(record))
			continue;
		column_add(ladder, text(record, "peer"), text(call, "from"));
		break;
	}
	ladder->server = ladder->count++;
	snprintf(ladder->columns[ladder->server].name, LABEL_MAX, "strowger");
	json_array_foreach(records, i, record)
	{
		column_add(ladder, text(record, "peer"),
			is_kind(record, "request-out") ? text(record, "uri") : "");
	}
}

static void columns_place(struct ladder *ladder)
{
	unsigned gaps = ladder->count > 1 ? ladder->count - 1 : 1;
	unsigned gap = (WIDTH - LABEL_MAX - TIME_WIDTH - 2) / gaps;

	if (gap > GAP_MAX)
		gap = GAP_MAX;
	for (unsigned i = 0; i < ladder->count; i++)
		ladder->columns[i].at = TIME_WIDTH + 2 + i * gap;
}

/* ---- lines --------------------------------------------------------------------------------- */

static void line_put(struct ladder *ladder, unsigned at, const char *words, unsigned room)
{
	for (unsigned i = 0; words[i] && i < room && at + i < WIDTH; i++)
		ladder->line[at + i] =
			words[i] >= 0x20 && words[i] < 0x7f ? words[i] : '?'; /* one column each */
}

static void line_begin(struct ladder *ladder, bool lines)
{
	memset(ladder->line, ' ', WIDTH);
	ladder->line[WIDTH] = 0;
	for (unsigned i = 0; lines && i < ladder->count; i++)
		ladder->line[ladder->columns[i].at] = '|';
}

static void line_print(struct ladder *ladder, FILE *out)
{
	size_t len = WIDTH;

	while (len > 0 && ladder->line[len - 1] == ' ')
		len--;
	fprintf(out, "%.*s\n", (int)len, ladder->line);
}

static unsigned column_room(const struct ladder *ladder, unsigned index)
{
	if (index + 1 < ladder->count)
		return ladder->columns[index + 1].at - ladder->columns[index].at - 1;
	return LABEL_MAX;
}

static void heads_print(struct ladder *ladder, FILE *out)
{
	const char *peer, *address;

	line_begin(ladder, false);
	for (unsigned i = 0; i < ladder->count; i++)
		line_put(ladder, ladder->columns[i].at, ladder->columns[i].name,
			column_room(ladder, i));
	line_print(ladder, out);
	line_begin(ladder, false);
	for (unsigned i = 0; i < ladder->count; i++) {
		peer = ladder->columns[i].peer;
		if (!peer || (ladder->shared && i + 1 == ladder->count))
			continue;
		address = strchr(peer, ' ');
		line_put(ladder, ladder->columns[i].at, address ? address + 1 : peer,
			column_room(ladder, i));
	}
	line_print(ladder, out);
}

static void time_put(struct ladder *ladder, const json_t *record)
{
	json_int_t ms = json_integer_value(json_object_get(record, "at_ms"));
	char words[40];

	snprintf(words, sizeof(words), "%5lld.%03lld s", (long long)(ms / 1000),
		(long long)(ms % 1000));
	line_put(ladder, 0, words, TIME_WIDTH);
}

static void arrow_put(struct ladder *ladder, unsigned from, unsigned to, const char *words)
{
	unsigned left = from < to ? from : to, right = from < to ? to : from, room, len;

	for (unsigned i = left + 1; i < right; i++)
		ladder->line[i] = '-';
	ladder->line[from < to ? right - 1 : left + 1] = from < to ? '>' : '<';
	room = right - left > 6 ? right - left - 6 : 0;
	len = (unsigned)strlen(words);
	if (len > room)
		len = room;
	if (!len)
		return;
	ladder->line[left + 3] = ' ';
	line_put(ladder, left + 4, words, len);
	ladder->line[left + 4 + len] = ' ';
}

/* ---- records ----------------------------------------------------------------------------------
 */

static bool same_reason(const json_t *a, const json_t *b)
{
	return strcmp(text(a, "cause"), text(b, "cause")) == 0 &&
	       json_equal(json_object_get(a, "facts"), json_object_get(b, "facts"));
}

/* Number of the explanation; equal ones share it. 0: there is nothing to explain. */
static unsigned mark_of(struct stw_ladder_marks *marks, const json_t *record)
{
	if (!*text(record, "cause"))
		return 0;
	for (unsigned i = 0; i < marks->count; i++) {
		if (same_reason(marks->records[i], record))
			return i + 1;
	}
	if (marks->count == STW_LADDER_MARKS)
		return 0;
	marks->records[marks->count++] = record;
	return marks->count;
}

static void message_words(const json_t *record, unsigned mark, char words[WIDTH])
{
	json_int_t code = json_integer_value(json_object_get(record, "code"));
	char number[16] = "";

	if (mark)
		snprintf(number, sizeof(number), "[%u] ", mark);
	if (code)
		snprintf(
			words, WIDTH, "%s%lld %s", number, (long long)code, text(record, "phrase"));
	else
		snprintf(words, WIDTH, "%s%s", number, text(record, "method"));
}

static bool is_message(const json_t *record)
{
	return strncmp(text(record, "kind"), "request-", 8) == 0 ||
	       strncmp(text(record, "kind"), "response-", 9) == 0;
}

static void record_print(
	struct ladder *ladder, FILE *out, const json_t *record, struct stw_ladder_marks *marks)
{
	const struct column *column = column_find(ladder, text(record, "peer"));
	unsigned mark = mark_of(marks, record), server = ladder->columns[ladder->server].at;
	char words[WIDTH];

	line_begin(ladder, true);
	time_put(ladder, record);
	if (!is_message(record)) {
		snprintf(words, sizeof(words), "* [%u] %s %s %s ", mark, text(record, "kind"),
			*text(record, "method") ? text(record, "method") : "response",
			text(record, "peer"));
		line_put(ladder, server, words, WIDTH);
		line_print(ladder, out);
		return;
	}
	if (!column)
		column = &ladder->columns[ladder->count - 1];
	message_words(record, mark, words);
	if (is_kind(record, "request-in") || is_kind(record, "response-in"))
		arrow_put(ladder, column->at, server, words);
	else
		arrow_put(ladder, server, column->at, words);
	if (ladder->shared && column == &ladder->columns[ladder->count - 1])
		line_put(ladder, column->at + 1, text(record, "peer"), LABEL_MAX);
	line_print(ladder, out);
}

void stw_ladder_print(FILE *out, const json_t *call, struct stw_ladder_marks *ret)
{
	struct ladder ladder = { .count = 0 };
	const json_t *record;
	size_t i;

	ret->count = 0;
	columns_find(&ladder, call);
	columns_place(&ladder);
	heads_print(&ladder, out);
	json_array_foreach(json_object_get(call, "records"), i, record)
		record_print(&ladder, out, record, ret);
}
