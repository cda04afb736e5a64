/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison of what came with what the ladder says. */
#include "runner.h"

#include <stdlib.h>
#include <string.h>

/* ---- causes: the note that belongs to a response -------------------------------------- */

static struct note *note_of(struct scenario *s, const struct message *message)
{
	struct note *note, *best = NULL;

	for (note = s->notes; note; note = note->older) {
		if (note->kind != STW_NOTE_RESPONSE_OUT || note->code != message->msg.code ||
			note->at_ms != message->at_ms ||
			!stw_str_equal(note->call_id, message->msg.call_id))
			continue;
		if (!best || abs((int)note->order - (int)message->order) <
				     abs((int)best->order - (int)message->order))
			best = note;
	}
	return best;
}

static bool note_value(const struct note *note, struct stw_str name, struct stw_str *ret)
{
	*ret = STW_STR_NONE;
	if (!note)
		return true;
	if (is_word(name, "cause"))
		*ret = note->cause ? stw_str_from(note->cause->id) : STW_STR_NONE;
	else if (is_word(name, "option"))
		*ret = note->option;
	else if (is_word(name, "facts"))
		*ret = note->facts;
	else
		return false;
	return true;
}

/* ---- conditions ------------------------------------------------------------------------- */

static bool numbers(struct stw_str a, struct stw_str b, uint64_t *ret_a, uint64_t *ret_b)
{
	return stw_str_to_uint(a, UINT64_MAX / 2, ret_a) == 0 &&
	       stw_str_to_uint(b, UINT64_MAX / 2, ret_b) == 0;
}

bool condition_holds(char op, bool found, struct stw_str value, struct stw_str wanted)
{
	uint64_t a, b;

	switch (op) {
	case '-':
		return !found;
	case 'p':
		return found;
	case '=':
		return found && stw_str_equal(value, wanted);
	case '!':
		return !found || !stw_str_equal(value, wanted);
	case '~':
		return found && contains(value, wanted);
	case '^':
		return !found || !contains(value, wanted);
	case '<':
		return found && numbers(value, wanted, &a, &b) && a < b;
	case '>':
		return found && numbers(value, wanted, &a, &b) && a > b;
	default:
		return false;
	}
}

static const char *op_text(char op)
{
	switch (op) {
	case '!':
		return "!=";
	case '^':
		return "!~";
	case '~':
		return "~";
	case '<':
		return "<";
	case '>':
		return ">";
	default:
		return "=";
	}
}

static const char *condition_text(struct scenario *s, const struct change *change, bool found,
	struct stw_str value, struct stw_str wanted)
{
	struct stw_str is =
		found ? print(s, "is \"%.*s\"", STW_STR_ARG(value)) : STW_STR("is absent");

	if (change->op == '-' || change->op == 'p')
		return print(s, "%.*s %s expected, but %.*s", STW_STR_ARG(change->name),
			change->op == 'p' ? "present" : "absent", STW_STR_ARG(is))
			.ptr;
	return print(s, "%.*s %s \"%.*s\" expected, but %.*s", STW_STR_ARG(change->name),
		op_text(change->op), STW_STR_ARG(wanted), STW_STR_ARG(is))
		.ptr;
}

static const char *condition_differs(struct scenario *s, const struct change *change,
	const struct note *note, const struct message *message)
{
	struct party *party = message ? message->party : s->parties;
	struct stw_str wanted = expand(s, party, change->value), value;
	bool found;

	if (note_value(note, change->name, &value) && (note || is_word(change->name, "cause")))
		found = value.len > 0;
	else
		found = message && message_value(s, message, change->name, &value);
	if (!condition_holds(change->op, found, value, wanted))
		return condition_text(s, change, found, value, wanted);
	return NULL;
}

static const char *conditions_differ(struct scenario *s, const struct changes *changes,
	const struct note *note, const struct message *message)
{
	const char *differs;
	unsigned i;

	for (i = 0; i < changes->n; i++) {
		differs = condition_differs(s, &changes->v[i], note, message);
		if (differs)
			return differs;
	}
	for (i = 0; note && note->cause && i < changes->n; i++) {
		if (is_word(changes->v[i].name, "cause") && changes->v[i].op == '=')
			cause_seen(note->cause, true);
	}
	return NULL;
}

/* ---- messages and notes --------------------------------------------------------------------- */

static bool is_repeated(const struct message *message)
{
	const struct message *older = message->party->history;

	while (older && !(older->from_server && stw_str_equal(older->text, message->text)))
		older = older->older;
	return older && message->text.len > 0;
}

/* An answer to a request without From has none either: the ladder says so. */
static bool lack_is_expected(const struct expectation *expectation)
{
	unsigned i;

	for (i = 0; i < expectation->changes.n; i++) {
		if (expectation->changes.v[i].op == '-')
			return true;
	}
	return false;
}

static const char *time_differs(
	struct scenario *s, const struct expectation *expectation, const struct message *message)
{
	unsigned long long came = message->at_ms - s->mark_ms,
			   wanted = expectation->at_ms - s->mark_ms;

	if (expectation->has_at && message->at_ms != expectation->at_ms)
		return print(s,
			"it came at %llu ms, expected at %llu ms (since the last thing a party "
			"did)",
			came, wanted)
			.ptr;
	return NULL;
}

const char *expect_differs(
	struct scenario *s, const struct expectation *expectation, const struct message *message)
{
	struct stw_str uri;

	if (!message_is(message, expectation->what))
		return print(s, "%.*s expected", STW_STR_ARG(expectation->what)).ptr;
	if (message->kind == MESSAGE_SIP && !message->well_formed && !lack_is_expected(expectation))
		return "the message of the server is malformed";
	if (expectation->again && !is_repeated(message))
		return "a repetition expected, but it differs from all before";
	if (!expectation->again && message->kind == MESSAGE_SIP && is_repeated(message))
		return "it is a repetition (\"again\" says that one is expected)";
	if (expectation->uri.len && message_value(s, message, STW_STR("URI"), &uri) &&
		!stw_str_equal(uri, expand(s, message->party, expectation->uri)))
		return print(s, "Request-URI %.*s expected", STW_STR_ARG(expectation->uri)).ptr;
	if (expectation->tcp && message->hop.transport != STW_TRANSPORT_TCP)
		return "expected by TCP";
	if (expectation->udp && message->hop.transport != STW_TRANSPORT_UDP)
		return "expected by UDP";
	if (time_differs(s, expectation, message))
		return time_differs(s, expectation, message);
	return conditions_differ(s, &expectation->changes,
		message->msg.is_request ? NULL : note_of(s, message), message);
}

/* Oldest note of a kind that no line has named and that the conditions fit. */
struct note *expect_note(
	struct scenario *s, enum stw_note_kind kind, const struct changes *changes, bool take)
{
	struct note *note, *found = NULL;

	for (note = s->notes; note; note = note->older) {
		if (note->kind == kind && !note->taken &&
			!conditions_differ(s, changes, note, NULL))
			found = note;
	}
	if (found && take)
		found->taken = true;
	return found;
}
