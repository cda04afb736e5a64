/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that an RFC prints (tests/torture/rfc3665, rfc5359): "bob -> agent  INVITE F5" has the
 * header fields and the body of F5 of the flow that the file covers, sips: as sip:. What a call
 * makes itself is left out: addresses of the parties, identifiers, routes and credentials.
 */
#include "runner.h"

#include <glob.h>
#include <string.h>

static const char *const own[] = { "Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Route",
	"Content-Length", "Authorization", "Proxy-Authorization", NULL };

/* "rfc5359-2.4-bob": the text of the file of this message. */
static struct stw_str printed_text(struct scenario *s, unsigned number)
{
	struct stw_str rest = s->covers, rfc, section;
	struct stw_str text = STW_STR_NONE;
	glob_t found;

	next_item(&rest, '-', &rfc);
	next_item(&rest, '-', &section);
	if (glob(print(s, "%s/tests/torture/%.*s/%.*s-F%02u-*.sip%c", STW_SOURCE_ROOT,
			 STW_STR_ARG(rfc), STW_STR_ARG(section), number, '\0')
			    .ptr,
		    0, NULL, &found) == 0)
		text = file_read(s, found.gl_pathv[0]);
	globfree(&found);
	return text;
}

static struct stw_str replaced(
	struct scenario *s, struct stw_str text, const char *old, const char *new)
{
	struct stw_str done = STW_STR(""), pattern = stw_str_from(old);
	const char *at;

	while (text.len && (at = memmem(text.ptr, text.len, old, pattern.len))) {
		size_t before = (size_t)(at - text.ptr);

		done = print(s, "%.*s%.*s%s", STW_STR_ARG(done),
			STW_STR_ARG(stw_str_cut(text, 0, before)), new);
		text = stw_str_cut(text, before + pattern.len, text.len);
	}
	return print(s, "%.*s%.*s", STW_STR_ARG(done), STW_STR_ARG(text));
}

static struct stw_str as_sip(struct scenario *s, struct stw_str text)
{
	return replaced(s, text, "sips:", "sip:");
}

static bool is_own(const struct scenario *s, struct stw_str name)
{
	for (unsigned i = 0; own[i]; i++) {
		if (stw_str_equal_nocase(name, stw_str_from(own[i])))
			return true;
	}
	/* The server knows its own Record-Route again by what it has put into it. */
	return !s->agent && stw_str_equal_nocase(name, STW_STR("Record-Route"));
}

static bool has_name(const struct changes *changes, struct stw_str name)
{
	for (unsigned i = 0; i < changes->n; i++) {
		if (stw_str_equal_nocase(changes->v[i].name, name))
			return true;
	}
	return false;
}

static void change_add(struct scenario *s, struct changes *changes, char op, struct stw_str name,
	struct stw_str value)
{
	const char *quote = stw_str_find(value, '\'', 0) < value.len ? "\"" : "'";

	if (changes->n < CHANGES_MAX)
		changes->v[changes->n++] = (struct change){ .op = op,
			.name = name,
			.value = print(s, "%s%.*s%s", quote, STW_STR_ARG(value), quote) };
}

int printed_changes(struct scenario *s, unsigned number, struct changes *ret)
{
	struct stw_str text = printed_text(s, number), name, value;
	struct message *message;
	const struct stw_msg *msg;

	if (!text.len)
		return fail(s, "no F%u is printed for \"%.*s\"", number, STW_STR_ARG(s->covers));
	message = message_new(s, NULL, text);
	msg = &message->msg;
	if (!message->parsed)
		return fail(s, "F%u cannot be read", number);
	if (!msg->is_request)
		change_add(s, ret, '=', STW_STR("Reason-Phrase"), stw_msg_phrase(msg));
	for (unsigned i = 0; i < msg->field_count; i++) {
		name = stw_field_name(msg, &msg->fields[i]);
		value = as_sip(s, stw_field_value(msg, &msg->fields[i]));
		value = replaced(s, value, "\r\n", "");
		if (!is_own(s, name))
			change_add(s, ret, has_name(ret, name) ? '+' : '=', name, value);
	}
	if (stw_msg_body(msg).len)
		change_add(s, ret, '=', STW_STR("body"), as_sip(s, stw_msg_body(msg)));
	else
		change_add(s, ret, '-', STW_STR("body"), STW_STR_NONE);
	return 0;
}
