/* SPDX-License-Identifier: Apache-2.0 */
#include "server/hook/reply.h"

#include <errno.h>
#include <jansson.h>

#include <strowger/message.h>

#define TTL_MAX_S 86400

struct reading {
	struct stw_arena *arena;
	struct stw_hook_reply *reply;
	const char *why; /* the first fault */
	bool no_memory;
};

static bool fault(struct reading *reading, const char *why)
{
	if (!reading->why)
		reading->why = why;
	return false;
}

/* Text that may stand in a line of a SIP message. */
static bool is_line(struct stw_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c < ' ' || c == 0x7f)
			return false;
	}
	return text.len <= STW_HOOK_TEXT_MAX;
}

static bool text_read(
	struct reading *reading, const json_t *json, const char *why, struct stw_str *ret)
{
	struct stw_str text;

	if (!json_is_string(json))
		return fault(reading, why);
	text = (struct stw_str){ json_string_value(json), json_string_length(json) };
	if (!is_line(text))
		return fault(reading, why);
	if (stw_arena_copy(reading->arena, text, ret) < 0)
		reading->no_memory = true;
	return !reading->no_memory;
}

static bool number_read(
	struct reading *reading, const json_t *json, const char *why, json_int_t max, uint32_t *ret)
{
	if (!json_is_integer(json) || json_integer_value(json) < 0 ||
		json_integer_value(json) > max)
		return fault(reading, why);
	*ret = (uint32_t)json_integer_value(json);
	return true;
}

/* ---- the actions ------------------------------------------------------------------------ */

static bool action_read(struct reading *reading, const json_t *json)
{
	static const struct {
		const char *name;
		enum stw_hook_action action;
	} actions[] = { { "pass", STW_HOOK_PASS }, { "add", STW_HOOK_PASS },
		{ "refuse", STW_HOOK_REFUSE }, { "redirect", STW_HOOK_REDIRECT } };
	const char *name = json_string_value(json);

	for (size_t i = 0; name && i < STW_ARRAY_SIZE(actions); i++) {
		if (strcmp(name, actions[i].name) == 0) {
			reading->reply->action = actions[i].action;
			return true;
		}
	}
	return fault(reading, "action is none of pass, add, refuse, redirect");
}

static bool refuse_read(struct reading *reading, const json_t *root)
{
	struct stw_hook_reply *reply = reading->reply;
	const json_t *code = json_object_get(root, "code"),
		     *phrase = json_object_get(root, "phrase"),
		     *reason = json_object_get(root, "reason"),
		     *card = json_object_get(root, "card");
	uint32_t number = 0;

	if (code && (!number_read(reading, code, "code is no response code", 699, &number) ||
			    number < 400))
		return fault(reading, "code is no response code from 400 to 699");
	if (card && !json_is_boolean(card))
		return fault(reading, "card is neither true nor false");
	reply->code = number;
	reply->no_card = json_is_false(card);
	return (!phrase ||
		       text_read(reading, phrase, "phrase is no line of text", &reply->phrase)) &&
	       (!reason || text_read(reading, reason, "reason is no line of text", &reply->reason));
}

static bool contact_read(struct reading *reading, const json_t *json)
{
	struct stw_hook_reply *reply = reading->reply;
	struct stw_str *contact = &reply->contacts[reply->contact_count];
	struct stw_uri uri;

	if (reply->contact_count == STW_HOOK_CONTACTS_MAX)
		return fault(reading, "too many contacts");
	if (!text_read(reading, json, "a contact is no text", contact))
		return false;
	if (stw_uri_parse(*contact, &uri) < 0 ||
		(uri.scheme != STW_SCHEME_SIP && uri.scheme != STW_SCHEME_SIPS &&
			uri.scheme != STW_SCHEME_TEL))
		return fault(reading, "a contact is no sip, sips or tel URI");
	reply->contact_count++;
	return true;
}

static bool contacts_read(struct reading *reading, const json_t *list)
{
	const json_t *json;
	size_t i;

	if (json_array_size(list) == 0)
		return fault(reading, "contacts is no list of URIs");
	json_array_foreach(list, i, json)
	{
		if (!contact_read(reading, json))
			return false;
	}
	return true;
}

static bool headers_read(struct reading *reading, json_t *object)
{
	struct stw_hook_reply *reply = reading->reply;
	const char *name;
	json_t *json;

	if (object && !json_is_object(object))
		return fault(reading, "headers is no object");
	json_object_foreach(object, name, json)
	{
		struct stw_hook_header *header = &reply->headers[reply->header_count];

		if (reply->header_count == STW_HOOK_HEADERS_MAX)
			return fault(reading, "too many headers");
		if (!stw_is_token(stw_str_from(name)))
			return fault(reading, "the name of a header is no word");
		if (!text_read(reading, json, "the value of a header is no line of text",
			    &header->value))
			return false;
		if (stw_arena_copy(reading->arena, stw_str_from(name), &header->name) < 0)
			reading->no_memory = true;
		reply->header_count++;
	}
	return !reading->no_memory;
}

static bool classes_read(struct reading *reading, const json_t *list)
{
	struct stw_hook_reply *reply = reading->reply;
	const json_t *json;
	size_t i;

	if (list && !json_is_array(list))
		return fault(reading, "classes is no list");
	json_array_foreach(list, i, json)
	{
		if (reply->class_count == STW_HOOK_CLASSES_MAX)
			return fault(reading, "too many classes");
		if (!text_read(reading, json, "a class is no word",
			    &reply->classes[reply->class_count]))
			return false;
		if (!stw_is_token(reply->classes[reply->class_count++]))
			return fault(reading, "a class is no word");
	}
	return true;
}

static bool root_read(struct reading *reading, const json_t *root)
{
	const json_t *ttl = json_object_get(root, "ttl");

	if (!json_is_object(root))
		return fault(reading, "it is no object");
	if (!action_read(reading, json_object_get(root, "action")))
		return false;
	if (ttl && !number_read(reading, ttl, "ttl is no number of seconds up to 86400", TTL_MAX_S,
			   &reading->reply->ttl_s))
		return false;
	switch (reading->reply->action) {
	case STW_HOOK_REFUSE:
		return refuse_read(reading, root);
	case STW_HOOK_REDIRECT:
		return contacts_read(reading, json_object_get(root, "contacts"));
	case STW_HOOK_PASS:
		break;
	}
	return headers_read(reading, json_object_get(root, "headers")) &&
	       classes_read(reading, json_object_get(root, "classes"));
}

int stw_hook_reply_read(struct stw_str text, struct stw_arena *arena, struct stw_hook_reply *ret,
	const char **ret_why)
{
	struct reading reading = { .arena = arena, .reply = ret };
	json_t *root = json_loadb(text.len ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, NULL);
	bool ok;

	*ret = (struct stw_hook_reply){ .action = STW_HOOK_PASS };
	ok = root ? root_read(&reading, root) : fault(&reading, "it is no JSON");
	json_decref(root);
	*ret_why = reading.why;
	if (ok)
		return 0;
	return reading.no_memory ? -ENOMEM : -EBADMSG;
}
