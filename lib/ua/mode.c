/* SPDX-License-Identifier: Apache-2.0 */
/* How a call is to be answered: Answer-Mode and Priv-Answer-Mode (RFC 5373 §4.5). */
#include "internal.h"

static const struct stw_str names[] = { { "Answer-Mode", 11 }, { "Priv-Answer-Mode", 16 } };

struct mode {
	const struct stw_str *name; /* NULL: nothing is asked for */
	bool automatic, manual;     /* neither: a value that we do not know */
	bool require;
};

static bool mode_read(const struct stw_msg *msg, const struct stw_str *name, struct mode *ret)
{
	const struct stw_field *field = stw_msg_find_name(msg, *name);
	struct stw_str value = field ? stw_field_value(msg, field) : STW_STR_NONE, word, ignored;
	size_t end = stw_str_find(value, ';', 0);

	if (!field)
		return false;
	word = stw_str_trim(stw_str_cut(value, 0, end));
	*ret = (struct mode){ .name = name,
		.automatic = stw_str_equal_nocase(word, STW_STR("Auto")),
		.manual = stw_str_equal_nocase(word, STW_STR("Manual")),
		.require = stw_param_find(
			stw_str_cut(value, end, value.len), STW_STR("require"), &ignored) };
	return true;
}

/* §4.1: the privileged one counts when its caller is known and may use it. */
static bool is_privileged(const struct stw_ua *ua)
{
	return ua->options.policy.auto_answer_privileged && ua->options.policy.auth_realm.len;
}

static struct mode mode_wanted(const struct stw_ua *ua, const struct stw_msg *invite)
{
	struct mode mode = { 0 };

	if (is_privileged(ua) && mode_read(invite, &names[1], &mode))
		return mode;
	(void)mode_read(invite, &names[0], &mode);
	return mode;
}

static bool mode_is_permitted(const struct stw_ua *ua, const struct mode *mode)
{
	return mode->automatic && (mode->name == &names[1] || ua->options.policy.auto_answer);
}

bool answers_at_once(const struct stw_session *session)
{
	struct mode mode = mode_wanted(session->ua, session->invite);

	return mode_is_permitted(session->ua, &mode);
}

/* Nobody is there who could answer by hand when the policy answers. */
const struct stw_cause *mode_refusal(const struct stw_ua *ua, const struct stw_msg *invite)
{
	struct mode mode = mode_wanted(ua, invite), privileged;

	if (!mode.name && mode_read(invite, &names[1], &privileged))
		return privileged.manual ? &stw_cause_ua_manual_answer
					 : &stw_cause_ua_automatic_answer;
	if (!mode.require || mode_is_permitted(ua, &mode))
		return NULL;
	if (mode.manual)
		return ua->options.policy.automatic ? &stw_cause_ua_manual_answer : NULL;
	return &stw_cause_ua_automatic_answer;
}

/* §5.1 */
void mode_write(const struct stw_session *session, struct stw_writer *writer)
{
	struct mode mode = mode_wanted(session->ua, session->invite);

	if (mode.name && session->ua->options.policy.tell_answer_mode)
		stw_write_format(writer, "%.*s: %s\r\n", STW_STR_ARG(*mode.name),
			session->automatic ? "Auto" : "Manual");
}

struct stw_str mode_told(const struct stw_msg *response)
{
	const struct stw_field *field = stw_msg_find_name(response, names[0]);

	if (!field)
		field = stw_msg_find_name(response, names[1]);
	return field ? stw_field_value(response, field) : STW_STR_NONE;
}
