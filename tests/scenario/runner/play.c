/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a file, one after the other. */
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define END_MS      600000 /* what is not over after ten minutes hangs */
#define REGISTER_MS 100

/* ---- the file ------------------------------------------------------------------------ */

struct stw_str file_read(struct scenario *s, const char *path)
{
	FILE *file = fopen(path, "rb");
	char buffer[262144];
	size_t bytes = 0;

	if (!file) {
		fail(s, "%s: cannot be read", path);
		return STW_STR_NONE;
	}
	bytes = fread(buffer, 1, sizeof(buffer), file);
	fclose(file);
	return keep(s, (struct stw_str){ buffer, bytes });
}

static bool take_row(struct stw_str *text, struct stw_str *ret)
{
	size_t end = stw_str_find(*text, '\n', 0);

	if (!text->len)
		return false;
	*ret = stw_str_cut(*text, 0, end);
	*text = stw_str_cut(*text, end + 1, text->len);
	return true;
}

/* Lines up to END, each with CRLF. */
static struct stw_str take_block(struct scenario *s, struct stw_str *text, unsigned *number)
{
	struct stw_str row, block = STW_STR("");

	while (take_row(text, &row)) {
		++*number;
		if (is_word(stw_str_trim(row), "END"))
			break;
		block = print(s, "%.*s%.*s\r\n", STW_STR_ARG(block), STW_STR_ARG(row));
	}
	return block;
}

int play_read(struct scenario *s)
{
	struct stw_str text = file_read(s, s->path), row;
	struct line **end = &s->lines, *line = NULL;
	unsigned number = 0;

	while (take_row(&text, &row)) {
		struct stw_str trimmed = stw_str_trim(row);

		number++;
		if (!trimmed.len || trimmed.ptr[0] == '#')
			continue;
		if (line && (trimmed.ptr[0] == '|' || trimmed.ptr[0] == ',')) {
			line->text = print(
				s, "%.*s %.*s", STW_STR_ARG(line->text), STW_STR_ARG(trimmed));
			continue;
		}
		line = make(s, sizeof(*line));
		line->number = number;
		line->text = trimmed;
		if (contains(trimmed, STW_STR("<<END")))
			line->block = take_block(s, &text, &number);
		if (stw_str_starts(trimmed, STW_STR("one worker:")))
			s->worker_count = 1;
		*end = line;
		end = &line->next;
	}
	return s->failed ? -1 : 0;
}

/* ---- time and what waits -------------------------------------------------------------------- */

static struct stw_str whole(struct scenario *s, const struct message *message)
{
	unsigned long long ms = message->at_ms % 100000000;

	return print(s, "server -> %.*s at %llu.%03llu s:\n%.*s", STW_STR_ARG(message->party->name),
		ms / 1000, ms % 1000,
		STW_STR_ARG(
			message->kind == MESSAGE_SIP ? message->text : message_name(s, message)));
}

/* Before anything new happens, all that came must stand in the ladder. */
static int check_quiet(struct scenario *s)
{
	const struct party *party;
	const struct note *note;

	for (party = s->parties; party; party = party->next) {
		if (party->pending)
			return fail(s, "unexpected, not in the ladder before this line:\n%.*s",
				STW_STR_ARG(whole(s, party->pending)));
	}
	if (!hook_quiet(s))
		return fail(s, "the hook was asked, not in the ladder before this line");
	for (note = s->notes; note && !(note->kind == STW_NOTE_DROPPED && !note->taken);)
		note = note->older;
	if (note)
		return fail(s,
			"the server dropped a message, not in the ladder before this line: cause "
			"%s %.*s",
			note->cause ? note->cause->id : "none", STW_STR_ARG(note->facts));
	return 0;
}

static void now_is_mark(struct scenario *s)
{
	s->mark_ms = s->previous_ms = s->now.mono_ms;
}

/* "at T": after the mark. "+T", "after T": after the line before. @return 1 when `word` is one of
 * them */
static int when(struct scenario *s, struct stw_str word, struct stw_str *rest, uint64_t *ret_ms)
{
	uint64_t ms, base = s->previous_ms;

	if (word.len > 1 && word.ptr[0] == '+')
		*rest = print(s, "%.*s %.*s", STW_STR_ARG(stw_str_cut(word, 1, word.len)),
			STW_STR_ARG(*rest));
	else if (is_word(word, "at"))
		base = s->mark_ms;
	else if (!is_word(word, "after"))
		return 0;
	if (next_duration(rest, &ms) < 0)
		return fail(s, "\"%.*s %.*s\" is no time", STW_STR_ARG(word), STW_STR_ARG(*rest));
	*ret_ms = base + ms;
	return 1;
}

static int advance_to(struct scenario *s, uint64_t ms)
{
	if (ms < s->now.mono_ms)
		return fail(s, "that time has passed");
	if (check_quiet(s) < 0)
		return -1;
	if (world_advance(s, ms) < 0)
		return -1;
	s->previous_ms = s->now.mono_ms;
	return 0;
}

/* ---- a party sends ----------------------------------------------------------------------------
 */

static int send_bytes(struct scenario *s, struct party *party, struct stw_str bytes, bool tcp)
{
	struct message *message = message_new(s, party, bytes);

	if (message->parsed)
		dialog_note(s, message);
	tell(s, "%.*s -> server  %zu bytes as they are", STW_STR_ARG(party->name), bytes.len);
	return world_send(s, party, tcp, message);
}

/* "via tcp", "via udp", "again", "to INVITE", "with carol", "F5", "auth …", and when. */
static int order_word(struct scenario *s, struct stw_str word, struct stw_str *rest,
	struct order *order, uint64_t *at_ms)
{
	struct stw_str value;
	uint64_t number;
	int err;

	if (is_word(word, "again")) {
		order->again = true;
	} else if (is_word(word, "auth")) {
		order->authenticate = true;
		order->auth = *rest;
		*rest = STW_STR_NONE;
	} else if (is_word(word, "via") && next_word(rest, &value)) {
		order->tcp = is_word(value, "tcp");
		order->udp = !order->tcp;
	} else if (is_word(word, "to") && next_word(rest, &value)) {
		order->to = value;
	} else if (is_word(word, "with") && next_word(rest, &value)) {
		order->with = value;
	} else if (stw_str_find(word, ':', 0) < word.len && !order->uri.len) {
		order->uri = word;
	} else if (word.ptr[0] == 'F' &&
		   stw_str_to_uint(stw_str_cut(word, 1, word.len), 99, &number) == 0) {
		return printed_changes(s, (unsigned)number, &order->printed);
	} else {
		err = when(s, word, rest, at_ms);
		return err == 0 ? fail(s, "\"%.*s\" cannot be understood", STW_STR_ARG(word)) : err;
	}
	return 0;
}

static int send_order(struct scenario *s, struct party *party, const struct order *order)
{
	struct message *message;
	bool reliable;

	if (compose(s, party, order, &message) < 0)
		return -1;
	reliable = order->tcp || (party->call && party->call->reliable && !order->udp);
	tell(s, "%.*s -> server  %.*s%s", STW_STR_ARG(party->name),
		STW_STR_ARG(message_title(s, message)), reliable ? "  via tcp" : "");
	dialog_note(s, message);
	return world_send(s, party, reliable, message);
}

static int play_send(struct scenario *s, struct party *party, struct stw_str text)
{
	struct stw_str rest, conditions, word;
	struct order order = { .again = false };
	uint64_t at_ms = s->now.mono_ms;

	next_item(&text, '|', &rest);
	conditions = text;
	if (!next_word(&rest, &order.what))
		return fail(s, "what does %.*s send?", STW_STR_ARG(party->name));
	if (is_word(order.what, "file") && next_word(&rest, &order.uri))
		order.uri = unquoted(order.uri);
	while (!stw_str_starts(rest, STW_STR("<<")) && next_word(&rest, &word)) {
		if (order_word(s, word, &rest, &order, &at_ms) < 0)
			return -1;
	}
	if (changes_read(s, conditions, &order.changes) < 0 || check_quiet(s) < 0 ||
		advance_to(s, at_ms) < 0 || check_quiet(s) < 0)
		return -1;
	now_is_mark(s);
	if (is_word(order.what, "raw"))
		return send_bytes(s, party, expand(s, party, s->at->block),
			order.tcp || contains(rest, STW_STR("via tcp")));
	if (is_word(order.what, "file"))
		return send_bytes(s, party,
			file_read(s,
				print(s, "%s/%.*s", STW_SOURCE_ROOT, STW_STR_ARG(order.uri)).ptr),
			order.tcp);
	if (is_word(order.what, "ping"))
		return world_bytes(s, party, STW_STR("\r\n\r\n"));
	return send_order(s, party, &order);
}

/* ---- the server sends
 * ----------------------------------------------------------------------------- */

static int expectation_read(
	struct scenario *s, struct party *party, struct stw_str text, struct expectation *ret)
{
	struct stw_str rest, word;
	uint64_t ms;
	int timed;

	*ret = (struct expectation){ .party = party, .until_ms = s->now.mono_ms };
	next_item(&text, '|', &rest);
	if (!next_word(&rest, &ret->what))
		return fail(s, "what does %.*s get?", STW_STR_ARG(party->name));
	while (next_word(&rest, &word)) {
		timed = when(s, word, &rest, &ret->until_ms);
		if (timed < 0)
			return -1;
		if (timed) {
			ret->has_at = true;
			ret->at_ms = ret->until_ms;
		} else if (is_word(word, "again")) {
			ret->again = true;
		} else if (is_word(word, "within") && next_duration(&rest, &ms) == 0) {
			ret->until_ms = s->previous_ms + ms;
		} else if (is_word(word, "via") && next_word(&rest, &word)) {
			ret->tcp = is_word(word, "tcp");
			ret->udp = !ret->tcp;
		} else if (stw_str_find(word, ':', 0) < word.len) {
			ret->uri = word;
		} else {
			return fail(s, "\"%.*s\" cannot be understood", STW_STR_ARG(word));
		}
	}
	return changes_read(s, text, &ret->changes);
}

static void take(struct scenario *s, struct party *party, struct message *message)
{
	struct message **at = &party->pending;

	while (*at != message)
		at = &(*at)->next;
	*at = message->next;
	if (!*at)
		party->pending_end = at;
	dialog_note(s, message);
	s->previous_ms = message->at_ms;
}

/* Wait until the party has something more than `seen`, at most until the expectation's time. */
static int wait_for(
	struct scenario *s, const struct expectation *expectation, const struct message *seen)
{
	while (!(seen ? seen->next : expectation->party->pending)) {
		if (s->now.mono_ms >= expectation->until_ms)
			return -ETIMEDOUT;
		if (world_step(s, expectation->until_ms) < 0 || s->failed)
			return -1;
	}
	return 0;
}

static int others_quiet(struct scenario *s, const struct expectation *expectation)
{
	const struct party *party;

	for (party = s->parties; party; party = party->next) {
		if (party != expectation->party && party->pending &&
			party->pending->at_ms < s->now.mono_ms)
			return fail(s, "unexpected, before %.*s got its %.*s:\n%.*s",
				STW_STR_ARG(expectation->party->name),
				STW_STR_ARG(expectation->what),
				STW_STR_ARG(whole(s, party->pending)));
	}
	return 0;
}

static int expect_next(struct scenario *s, const struct expectation *expectation)
{
	const struct party *other;
	struct message *message;
	const char *differs;

	if (wait_for(s, expectation, NULL) < 0) {
		for (other = s->parties; other && !other->pending;)
			other = other->next;
		return fail(s, "nothing came%s%.*s", other ? " but\n" : "",
			STW_STR_ARG(other ? whole(s, other->pending) : STW_STR_NONE));
	}
	message = expectation->party->pending;
	differs = expect_differs(s, expectation, message);
	if (differs)
		return fail(s, "%s; what came:\n%.*s", differs, STW_STR_ARG(whole(s, message)));
	if (others_quiet(s, expectation) < 0)
		return -1;
	take(s, expectation->party, message);
	return 0;
}

static int expect_any(struct scenario *s, const struct expectation *expectation)
{
	struct message *message = NULL;
	const char *differs = "nothing came";

	while (wait_for(s, expectation, message) == 0) {
		message = message ? message->next : expectation->party->pending;
		differs = expect_differs(s, expectation, message);
		if (!differs) {
			take(s, expectation->party, message);
			return 0;
		}
	}
	return fail(s, "%s%s%.*s", differs, message ? "; the last that came:\n" : "",
		STW_STR_ARG(message ? whole(s, message) : STW_STR_NONE));
}

static int play_expect(struct scenario *s, struct stw_str text, bool any)
{
	struct expectation expectation;
	struct stw_str name;
	struct party *party;

	next_word(&text, &name);
	party = party_find(s, name);
	if (!party)
		return fail(s, "%.*s is not a party", STW_STR_ARG(name));
	/* A server that has just begun does something by itself. */
	if (world_settle(s) < 0 || expectation_read(s, party, text, &expectation) < 0)
		return -1;
	return any ? expect_any(s, &expectation) : expect_next(s, &expectation);
}

/* "server drops", "server gives up", "server cannot send": a note of the core, with its cause. */
static int play_note(struct scenario *s, enum stw_note_kind kind, struct stw_str text)
{
	struct changes changes = { .n = 0 };
	uint64_t until_ms = s->now.mono_ms;
	struct stw_str rest, word;
	struct note *note;
	bool timed = false;

	next_item(&text, '|', &rest);
	while (next_word(&rest, &word)) {
		if (when(s, word, &rest, &until_ms) <= 0)
			return fail(s, "\"%.*s\" cannot be understood", STW_STR_ARG(word));
		timed = true;
	}
	if (changes_read(s, text, &changes) < 0)
		return -1;
	while (!(note = expect_note(s, kind, &changes, true))) {
		if (s->now.mono_ms >= until_ms)
			break;
		if (world_step(s, until_ms) < 0)
			return -1;
	}
	if (!note)
		return fail(s, "the server noted no such thing");
	if (timed && note->at_ms != until_ms)
		return fail(s, "it happened %lld ms earlier", (long long)(until_ms - note->at_ms));
	s->previous_ms = note->at_ms;
	return 0;
}

/* ---- the world
 * -------------------------------------------------------------------------------------- */

static int dns_number(struct stw_str *text, uint16_t *ret)
{
	struct stw_str word;
	uint64_t number;

	if (!next_item(text, ' ', &word) || stw_str_to_uint(word, 65535, &number) < 0)
		return -1;
	*ret = (uint16_t)number;
	return 0;
}

/* "10 5 5060 host", "10 50 s SIP+D2T host", an address */
static int dns_record(enum stw_dns_type type, struct stw_str text, struct stw_dns_record *ret)
{
	struct stw_str flag;
	int err;

	if (type == STW_DNS_A || type == STW_DNS_AAAA)
		return stw_addr_from_host(text, 0, &ret->addr);
	err = dns_number(&text, &ret->priority) | dns_number(&text, &ret->weight);
	if (type == STW_DNS_SRV) {
		err |= dns_number(&text, &ret->port);
	} else {
		err |= !next_item(&text, ' ', &flag) || !next_item(&text, ' ', &ret->service);
		ret->terminal_srv = is_word(flag, "s");
	}
	ret->target = is_word(text, ".") ? STW_STR_NONE : text;
	return err | !text.len;
}

static int dns_records(
	struct scenario *s, struct dns_entry *entry, struct stw_str value, unsigned family)
{
	struct stw_dns_record *records = make(s, STW_DNS_RECORDS_MAX * sizeof(*records));
	unsigned n = 0;
	struct stw_str item;

	while (n < STW_DNS_RECORDS_MAX && next_item(&value, ',', &item)) {
		if (dns_record(entry->type, item, &records[n]) != 0)
			return fail(s, "\"%.*s\" is no record of this type", STW_STR_ARG(item));
		n += !family || records[n].addr.family == family;
	}
	entry->answer.records = records;
	entry->answer.n = n;
	if (!n)
		entry->answer =
			(struct stw_dns_answer){ .error = -ENOENT, .ttl_s = entry->answer.ttl_s };
	return 0;
}

static int dns_entry(struct scenario *s, struct stw_str name, enum stw_dns_type type,
	uint32_t ttl_s, struct stw_str value)
{
	struct dns_entry *entry = make(s, sizeof(*entry));
	unsigned family = type == STW_DNS_A ? 4 : type == STW_DNS_AAAA ? 6 : 0;

	entry->name = name;
	entry->type = type;
	entry->answer.ttl_s = ttl_s;
	entry->next = s->names;
	s->names = entry;
	if (is_word(value, "timeout"))
		entry->answer = (struct stw_dns_answer){ .error = -ETIMEDOUT };
	else if (is_word(value, "failure"))
		entry->answer = (struct stw_dns_answer){ .error = -EIO };
	else if (is_word(value, "nothing"))
		entry->answer.error = -ENOENT;
	else
		return dns_records(s, entry, value, family);
	return 0;
}

static int dns_asked(struct scenario *s, struct stw_str number)
{
	uint64_t expected;
	unsigned asked = s->questions;

	if (stw_str_to_uint(number, 1000, &expected) < 0)
		return fail(s, "how many questions?");
	s->questions = 0;
	return asked == expected ? 0
				 : fail(s, "the server has asked %u questions, not %u", asked,
					   (unsigned)expected);
}

/* dns NAME [A|AAAA|SRV|NAPTR] [ttl SECONDS] = RECORD, … | nothing | timeout | failure */
static int play_dns(struct scenario *s, struct stw_str text)
{
	static const enum stw_dns_type types[] = { STW_DNS_A, STW_DNS_AAAA, STW_DNS_SRV,
		STW_DNS_NAPTR };
	bool words_for_all;
	struct stw_str head, name, word;
	uint64_t ttl_s = 300;
	unsigned only = 0;

	if (stw_str_starts(text, STW_STR("asked ")))
		return dns_asked(s, stw_str_trim(stw_str_cut(text, 6, text.len)));
	next_item(&text, '=', &head);
	next_item(&head, ' ', &name);
	text = stw_str_trim(text);
	while (next_item(&head, ' ', &word)) {
		for (unsigned i = 0; i < STW_ARRAY_SIZE(types); i++) {
			if (is_word(word, stw_dns_type_name(types[i])))
				only = types[i];
		}
		if (is_word(word, "ttl") && (!next_item(&head, ' ', &word) ||
						    stw_str_to_uint(word, UINT32_MAX, &ttl_s) < 0))
			return fail(s, "ttl of how many seconds?");
	}
	words_for_all =
		is_word(text, "timeout") || is_word(text, "nothing") || is_word(text, "failure");
	for (unsigned i = 0; i < STW_ARRAY_SIZE(types); i++) {
		bool host = types[i] == STW_DNS_A || types[i] == STW_DNS_AAAA;

		if ((only ? only == types[i] : host || words_for_all) &&
			dns_entry(s, name, types[i], (uint32_t)ttl_s, text) < 0)
			return -1;
	}
	return 0;
}

static int play_party_event(struct scenario *s, struct party *party, struct stw_str what)
{
	if (is_word(what, "closes tcp"))
		world_close(s, party);
	else if (is_word(what, "silent"))
		party->silent = true;
	else if (is_word(what, "uses tcp"))
		party->uses_tcp = true;
	else if (is_word(what, "is removed") || is_word(what, "is added"))
		return server_user(s, party, is_word(what, "is removed"));
	else if (stw_str_starts(what, STW_STR("shares ")))
		return call_share(s, party, stw_str_cut(what, 7, what.len));
	else if (stw_str_starts(what, STW_STR("has ")))
		return server_user_settings(
			s, party, expand(s, party, stw_str_cut(what, 4, what.len)));
	else if (!world_reach(party, what))
		return fail(s, "\"%.*s\" cannot be understood", STW_STR_ARG(what));
	return world_settle(s);
}

/* "to bob fails", "to bob hangs", "to bob succeeds" */
static int play_connect(struct scenario *s, struct stw_str text)
{
	struct stw_str word;
	struct party *party;

	next_word(&text, &word);
	next_word(&text, &word);
	party = party_find(s, word);
	if (!party)
		return fail(s, "%.*s is not a party", STW_STR_ARG(word));
	party->connect_fails = is_word(text, "fails");
	party->connect_hangs = is_word(text, "hangs");
	return 0;
}

static int play_nothing(struct scenario *s, struct stw_str text)
{
	struct stw_str word;
	uint64_t ms;

	if (!next_word(&text, &word) || !is_word(word, "for") || next_duration(&text, &ms) < 0)
		return fail(s, "nothing for how long?");
	return advance_to(s, s->now.mono_ms + ms) < 0 ? -1 : check_quiet(s);
}

/* "party eve at 198.51.100.7:5070" */
static int play_party(struct scenario *s, struct stw_str text)
{
	struct stw_str name, at;

	if (!next_word(&text, &name) || !next_word(&text, &at) || !is_word(at, "at"))
		return fail(s, "party NAME at ADDRESS");
	return party_add(s, keep(s, name).ptr, keep(s, text).ptr, false) ? 0 : -1;
}

/* "wait 80 ms": what is sent to the server from now on is read so much later. */
static int play_arrivals(struct scenario *s, struct stw_str text)
{
	struct stw_str word;
	uint64_t ms;

	if (!next_word(&text, &word) || !is_word(word, "wait") || next_duration(&text, &ms) < 0)
		return fail(s, "arrivals wait for how long?");
	s->waits_us = (uint32_t)(ms * 1000);
	return 0;
}

static int play_world(struct scenario *s, struct stw_str verb, struct stw_str text)
{
	struct party *party = party_find(s, verb);
	int err;

	if (check_quiet(s) < 0)
		return -1;
	if (s->agent && agent_lacks(s, verb))
		return -1;
	if (party)
		err = play_party_event(s, party, text);
	else if (is_word(verb, "dns"))
		err = play_dns(s, text);
	else if (is_word(verb, "connect"))
		err = play_connect(s, text);
	else if (is_word(verb, "arrivals"))
		err = play_arrivals(s, text);
	else if (is_word(verb, "store") && (is_word(text, "waits") || is_word(text, "goes on")))
		s->store_waits = is_word(text, "waits"), err = 0;
	else if (is_word(verb, "store"))
		err = server_store_fails(s, is_word(text, "fails"));
	else if (is_word(verb, "restart"))
		err = server_restart(s);
	else if (is_word(verb, "reload"))
		err = server_reload(s, text);
	else if (is_word(verb, "drain"))
		server_drain(s), err = 0;
	else if (is_word(verb, "stop"))
		world_stop(s), err = 0;
	else
		return fail(s, "\"%.*s\" cannot be understood", STW_STR_ARG(verb));
	tell(s, "%.*s %.*s", STW_STR_ARG(verb), STW_STR_ARG(text));
	now_is_mark(s);
	return err < 0 ? err : world_settle(s);
}

/* ---- "server:"
 * ------------------------------------------------------------------------------------------ */

struct bound {
	struct party *party, *at;
	struct stw_str q, path, expires, features;
	bool tcp;
};

static int bound_read(struct scenario *s, struct stw_str text, struct bound *ret)
{
	struct stw_str word;

	while (next_word(&text, &word)) {
		if (is_word(word, "tcp"))
			ret->tcp = true;
		else if (is_word(word, "at") && next_word(&text, &word))
			ret->at = party_find(s, word);
		else if (is_word(word, "with") && next_word(&text, &word)) {
			next_word(&text, is_word(word, "path") ? &ret->path : &ret->features);
			if (ret->features.len > 1) /* without its quotes */
				ret->features =
					stw_str_cut(ret->features, 1, ret->features.len - 1);
		} else if (stw_str_starts(word, STW_STR("q=")))
			ret->q = stw_str_cut(word, 2, word.len);
		else if (stw_str_starts(word, STW_STR("expires=")))
			ret->expires = stw_str_cut(word, 8, word.len);
		else
			return fail(s, "bound: \"%.*s\" cannot be understood", STW_STR_ARG(word));
	}
	return ret->at ? 0 : fail(s, "bound at whom?");
}

static int bound_send(
	struct scenario *s, const struct bound *bound, bool authenticate, struct message **ret)
{
	struct stw_str contact = party_contact(s, bound->at, bound->tcp);
	struct order order = { .what = STW_STR("REGISTER"), .tcp = bound->tcp };
	struct party *at = bound->at;
	struct stw_str aor = party_address(s, bound->party), changes;

	order.uri = authenticate ? STW_STR_NONE : print(s, "sip:%.*s", STW_STR_ARG(s->domain));
	order.authenticate = authenticate;
	order.auth = print(s, "user=%.*s password=%.*s", STW_STR_ARG(bound->party->name),
		STW_STR_ARG(bound->party->password));
	changes = print(s,
		"From: %.*s;tag=bound-%u, To: %.*s, Contact: '%.*s%.*s%s%.*s%s%.*s'%s%.*s",
		STW_STR_ARG(aor), s->order, STW_STR_ARG(aor), STW_STR_ARG(contact),
		STW_STR_ARG(bound->features), bound->q.len ? ";q=" : "", STW_STR_ARG(bound->q),
		bound->expires.len ? ";expires=" : "", STW_STR_ARG(bound->expires),
		bound->path.len ? ", Supported: path, Path: " : "", STW_STR_ARG(bound->path));
	if (changes_read(s, changes, &order.changes) < 0 || send_order(s, at, &order) < 0)
		return -1;
	if (!at->pending)
		world_advance(s, s->now.mono_ms + REGISTER_MS);
	*ret = at->pending;
	if (!*ret)
		return fail(s, "the registration was not answered");
	take(s, at, *ret);
	return 0;
}

static int play_bound(struct scenario *s, struct party *party, struct stw_str text)
{
	struct bound bound = { .party = party, .at = party };
	struct message *answer;

	if (bound_read(s, text, &bound) < 0 || bound_send(s, &bound, false, &answer) < 0)
		return -1;
	if (answer->msg.code == 401 && bound_send(s, &bound, true, &answer) < 0)
		return -1;
	if (answer->msg.code != 200)
		return fail(s, "bound:\n%.*s", STW_STR_ARG(answer->text));
	return 0;
}

/* Its options first, then the server starts, then its bindings. */
static int play_server(struct scenario *s, struct stw_str text, bool bindings)
{
	struct stw_str item, word, verb, rest;
	struct party *party;

	while (next_item(&text, ';', &item)) {
		rest = item;
		if (!next_word(&rest, &word))
			continue;
		party = party_find(s, word);
		if (!party) {
			if (!bindings && server_setting(s, item) < 0)
				return -1;
			continue;
		}
		if (!next_word(&rest, &verb))
			verb = STW_STR_NONE;
		if (is_word(verb, "has")) {
			if (bindings && server_user_settings(s, party, rest) < 0)
				return -1;
			continue;
		}
		if (!is_word(verb, "bound"))
			return fail(s, "\"%.*s\" cannot be understood", STW_STR_ARG(item));
		if (bindings && play_bound(s, party, rest) < 0)
			return -1;
	}
	return 0;
}

static int play_users(struct scenario *s, struct stw_str text)
{
	struct party *party;
	struct stw_str word;

	for (party = s->parties; party; party = party->next)
		party->user = false;
	while (next_word(&text, &word)) {
		party = party_find(s, word);
		if (!party)
			return fail(s, "%.*s is not a party", STW_STR_ARG(word));
		party->user = true;
	}
	return 0;
}

/* The first YAML block of a page of the guide: what it shows must work. */
static int play_guide(struct scenario *s, struct stw_str text)
{
	struct stw_str path = print(s, "%s/%.*s%c", STW_SOURCE_ROOT, STW_STR_ARG(text), '\0'), row;
	bool inside = false;

	text = file_read(s, path.ptr);
	s->guide = STW_STR("");
	while (take_row(&text, &row)) {
		if (inside && stw_str_starts(row, STW_STR("```")))
			return 0;
		if (inside)
			s->guide = print(s, "%.*s%.*s\n", STW_STR_ARG(s->guide), STW_STR_ARG(row));
		inside = inside || is_word(row, "```yaml");
	}
	return fail(s, "%s shows no ```yaml", path.ptr);
}

static bool head_of(struct stw_str *text, const char *head)
{
	struct stw_str name = stw_str_from(head);

	if (!stw_str_starts(*text, name))
		return false;
	*text = stw_str_trim(stw_str_cut(*text, name.len, text->len));
	return true;
}

/* A file that restarts the server or breaks its store needs a real one. */
static int open_store(struct scenario *s)
{
	const struct line *line;

	for (line = s->lines; line; line = line->next) {
		if (!is_word(line->text, "restart") &&
			!stw_str_starts(line->text, STW_STR("store ")))
			continue;
		snprintf(s->store_dir, sizeof(s->store_dir), "/tmp/stw-scenario-XXXXXX");
		if (!mkdtemp(s->store_dir))
			return fail(s, "no directory for the store");
		return 0;
	}
	return 0;
}

static int play_head(struct scenario *s)
{
	struct line *line;
	bool bindings = false;
	struct stw_str text;

	for (line = s->lines; line; line = line->next) {
		text = line->text;
		s->at = line;
		if ((head_of(&text, "server:") && play_server(s, text, false) < 0) ||
			(head_of(&text, "agent:") && agent_setting(s, text) < 0) ||
			(head_of(&text, "users:") && play_users(s, text) < 0) ||
			(head_of(&text, "config from ") && play_guide(s, text) < 0) ||
			(head_of(&text, "party ") && play_party(s, text) < 0))
			return -1;
		if (head_of(&text, "covers:"))
			s->covers = text;
	}
	if (open_store(s) < 0 || server_start(s) < 0)
		return -1;
	for (line = s->lines; line; line = line->next) {
		text = line->text;
		s->at = line;
		bindings = head_of(&text, "server:");
		if (bindings && play_server(s, text, true) < 0)
			return -1;
	}
	now_is_mark(s);
	return 0;
}

/* ---- the ladder
 * ------------------------------------------------------------------------------------------ */

static int play_time(struct scenario *s, struct stw_str word, struct stw_str rest)
{
	uint64_t ms;

	if (when(s, word, &rest, &ms) <= 0)
		return -1;
	return advance_to(s, ms);
}

static int play_group(struct scenario *s)
{
	struct stw_str text;

	for (s->at = s->at->next; s->at && !is_word(s->at->text, "}"); s->at = s->at->next) {
		text = s->at->text;
		if (!head_of(&text, "server ->") && !head_of(&text, "agent ->"))
			return fail(s, "only what the server sends can stand in { }");
		if (play_expect(s, text, true) < 0)
			return -1;
	}
	return s->at ? 0 : fail(s, "} is missing");
}

/* The web server says what becomes of its oldest question; "busy" and "ready": whether it takes
 * any. */
static int play_hook(struct scenario *s, struct stw_str text)
{
	if (check_quiet(s) < 0)
		return -1;
	now_is_mark(s);
	if (is_word(text, "busy") || is_word(text, "ready")) {
		s->hook_busy = text.ptr[0] == 'b';
		return 0;
	}
	return hook_reply(s, text) < 0 ? -1 : world_wake(s);
}

static int play_line(struct scenario *s, struct stw_str text);

/* What the agent sends, drops and tells, and what it is to do. */
static int play_agent(struct scenario *s, struct stw_str text)
{
	struct stw_str verb;

	if (head_of(&text, "->"))
		return play_expect(s, text, false);
	if (head_of(&text, "drops"))
		return play_note(s, STW_NOTE_DROPPED, text);
	if (head_of(&text, "gives up"))
		return play_note(s, STW_NOTE_TIMEOUT, text);
	if (head_of(&text, "cannot send"))
		return play_note(s, STW_NOTE_FAILURE, text);
	if (head_of(&text, "decides"))
		return play_note(s, STW_NOTE_DECISION, text);
	if (head_of(&text, "tells "))
		return agent_tells(s, text);
	if (check_quiet(s) < 0 || !next_word(&text, &verb))
		return -1;
	tell(s, "agent %.*s %.*s", STW_STR_ARG(verb), STW_STR_ARG(text));
	now_is_mark(s);
	return agent_does(s, verb, stw_str_trim(text)) < 0 ? -1 : world_settle(s);
}

/* "repeat 100: LINE" */
static int play_repeat(struct scenario *s, struct stw_str text)
{
	struct stw_str count = text;
	uint64_t i, n;

	next_item(&text, ':', &count);
	if (stw_str_to_uint(count, 100000, &n) < 0)
		return fail(s, "repeat N: LINE");
	for (i = 0; i < n; i++) {
		if (play_line(s, stw_str_trim(text)) < 0)
			return -1;
	}
	return 0;
}

static int play_line(struct scenario *s, struct stw_str text)
{
	struct stw_str rest = text, word, arrow;
	struct party *party;

	if (head_of(&text, "agent:") || head_of(&text, "server:") || head_of(&text, "users:") ||
		head_of(&text, "covers:") || head_of(&text, "party ") ||
		head_of(&text, "one worker:") || head_of(&text, "config from "))
		return 0;
	if (head_of(&text, "repeat "))
		return play_repeat(s, text);
	if (s->agent && head_of(&text, "agent "))
		return play_agent(s, text);
	if (is_word(text, "{"))
		return play_group(s);
	if (head_of(&text, "server -> hook"))
		return hook_expect(s, text);
	if (head_of(&text, "hook -> server"))
		return play_hook(s, text);
	if (head_of(&text, "server ->"))
		return play_expect(s, text, false);
	if (head_of(&text, "server records"))
		return record_expect(s, text);
	if (head_of(&text, "server drops"))
		return play_note(s, STW_NOTE_DROPPED, text);
	if (head_of(&text, "server gives up"))
		return play_note(s, STW_NOTE_TIMEOUT, text);
	if (head_of(&text, "server cannot send"))
		return play_note(s, STW_NOTE_FAILURE, text);
	if (head_of(&text, "server decides"))
		return play_note(s, STW_NOTE_DECISION, text);
	next_word(&rest, &word);
	party = party_find(s, word);
	text = rest;
	if (party && next_word(&rest, &arrow) && is_word(arrow, "->")) {
		next_word(&rest, &arrow);
		return is_word(arrow, s->agent ? "agent" : "server")
			       ? play_send(s, party, rest)
			       : fail(s, "%.*s can talk to the server only", STW_STR_ARG(word));
	}
	if (is_word(word, "mark"))
		return now_is_mark(s), 0;
	if (is_word(word, "try"))
		return server_try(s, text);
	if (is_word(word, "nothing"))
		return play_nothing(s, text);
	if (word.ptr[0] == '+' || is_word(word, "after") || is_word(word, "at"))
		return play_time(s, word, text);
	return play_world(s, word, text);
}

/* Time runs until everything is over; then the parties hang up their connections. */
static int play_end(struct scenario *s)
{
	uint64_t end_ms = s->now.mono_ms + END_MS;

	s->at = NULL;
	while (!s->failed && world_quiet(s) && !server_idle(s) && s->now.mono_ms < end_ms) {
		if (world_step(s, end_ms) < 0)
			return -1;
	}
	world_close(s, NULL);
	if (world_settle(s) < 0 || check_quiet(s) < 0)
		return -1;
	return server_check_empty(s);
}

int play(struct scenario *s)
{
	world_parties(s);
	if (play_head(s) < 0)
		return -1;
	for (s->at = s->lines; s->at; s->at = s->at->next) {
		if (play_line(s, s->at->text) < 0)
			return -1;
	}
	return play_end(s);
}
