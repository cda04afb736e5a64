/* SPDX-License-Identifier: Apache-2.0 */
/* The dialog that an INVITE names: to take its place (Replaces, RFC 3891 §3) or to be added to its
 * conversation (Join, RFC 3911 §4). List U18. */
#include "internal.h"

#include <string.h>

struct dialog_name {
	struct stw_str call_id, to_tag, from_tag;
	bool early_only;
};

/* ---- dialogs that are over ------------------------------------------------------------------ */

static uint64_t dialog_hash(const struct stw_ua *ua, struct stw_str call_id,
	struct stw_str local_tag, struct stw_str remote_tag)
{
	struct stw_hasher hasher;

	stw_hasher_init(&hasher, ua->gone_key);
	stw_hasher_text(&hasher, call_id);
	stw_hasher_text(&hasher, local_tag);
	stw_hasher_text(&hasher, remote_tag);
	return stw_hasher_value(&hasher);
}

void named_forget(struct stw_ua *ua, const struct stw_dialog *dialog)
{
	ua->gone[ua->gone_at++ % GONE_MAX] =
		dialog_hash(ua, dialog->call_id, dialog->local_tag, dialog->remote_tag);
}

static bool is_gone(const struct stw_ua *ua, const struct dialog_name *name)
{
	uint64_t hash = dialog_hash(ua, name->call_id, name->to_tag, name->from_tag);

	for (unsigned i = 0; i < GONE_MAX && i < ua->gone_at; i++) {
		if (ua->gone[i] == hash)
			return true;
	}
	return false;
}

/* ---- those that are there ----------------------------------------------------------------------
 */

/* A tag of zero stands for none, too (RFC 3891 §6.1, RFC 3911 §7.1). */
static bool tag_is(struct stw_str named, struct stw_str tag)
{
	return stw_str_equal(named, tag) || (stw_str_equal(named, STW_STR("0")) && !tag.len);
}

static bool dialog_is(const struct stw_dialog *dialog, const struct dialog_name *name)
{
	return stw_str_equal(dialog->call_id, name->call_id) &&
	       tag_is(name->to_tag, dialog->local_tag) &&
	       tag_is(name->from_tag, dialog->remote_tag);
}

static bool session_is(const struct stw_session *session, const struct dialog_name *name)
{
	const struct early *early = session->earlies;

	if (session->state == STW_SESSION_ENDED)
		return false;
	if (session->dialog && dialog_is(session->dialog, name))
		return true;
	while (early && !dialog_is(early->dialog, name))
		early = early->next;
	return early;
}

/* ---- the header field -----------------------------------------------------------------------
 */

static bool name_read(
	const struct stw_msg *msg, const struct stw_field *field, struct dialog_name *ret)
{
	struct stw_str value = stw_field_value(msg, field), params, ignored;
	size_t end = stw_str_find(value, ';', 0);

	ret->call_id = stw_str_trim(stw_str_cut(value, 0, end));
	params = stw_str_cut(value, end, value.len);
	ret->early_only = stw_param_find(params, STW_STR("early-only"), &ignored);
	return ret->call_id.len && stw_param_find(params, STW_STR("to-tag"), &ret->to_tag) &&
	       stw_param_find(params, STW_STR("from-tag"), &ret->from_tag);
}

static const struct stw_field *join_find(const struct stw_msg *msg)
{
	return stw_msg_find_name(msg, STW_STR("Join"));
}

static unsigned join_count(const struct stw_msg *msg)
{
	unsigned count = 0;

	for (unsigned i = 0; i < msg->field_count; i++)
		count +=
			msg->fields[i].header == STW_HDR_UNKNOWN &&
			stw_str_equal_nocase(stw_field_name(msg, &msg->fields[i]), STW_STR("Join"));
	return count;
}

const struct stw_cause *named_misplaced(const struct stw_msg *request)
{
	if (request->method == STW_METHOD_INVITE)
		return NULL;
	if (stw_msg_find(request, STW_HDR_REPLACES))
		return &stw_cause_ua_replaces_bad;
	return join_find(request) ? &stw_cause_ua_join_bad : NULL;
}

static const struct stw_cause *replaces_refusal(
	const struct stw_session *session, const struct dialog_name *name)
{
	if (session->state == STW_SESSION_INCOMING)
		return &stw_cause_ua_replaces_nothing; /* an early dialog that we did not begin */
	return name->early_only && session->state != STW_SESSION_CALLING
		       ? &stw_cause_ua_replaces_confirmed
		       : NULL;
}

void named_find(struct stw_ua *ua, const struct stw_msg *invite, struct named *ret)
{
	const struct stw_field *replaces = stw_msg_find(invite, STW_HDR_REPLACES),
			       *field = replaces ? replaces : join_find(invite);
	const struct stw_ua_policy *policy = &ua->options.policy;
	struct stw_session *session = ua->sessions;
	struct dialog_name name;

	memset(ret, 0, sizeof(*ret));
	if (!field)
		return;
	ret->join = !replaces;
	if (!name_read(invite, field, &name) || (replaces && join_count(invite)) ||
		(replaces ? stw_msg_find_next(invite, replaces) != NULL : join_count(invite) > 1)) {
		ret->cause = replaces ? &stw_cause_ua_replaces_bad : &stw_cause_ua_join_bad;
		return;
	}
	while (session && !session_is(session, &name))
		session = session->next;
	if (!session && is_gone(ua, &name))
		ret->cause = &stw_cause_ua_named_gone;
	else if (!session)
		ret->cause = replaces ? &stw_cause_ua_replaces_nothing : &stw_cause_ua_join_nothing;
	else if (policy->refuse_takeover)
		ret->cause = &stw_cause_ua_takeover;
	else if (replaces)
		ret->cause = replaces_refusal(session, &name);
	else if (!policy->mixes)
		ret->cause = &stw_cause_ua_join_unable;
	ret->session = ret->cause ? NULL : session;
}
