/* SPDX-License-Identifier: Apache-2.0 */
/* P10 and P12 for a user with settings: is he still here, does he want this caller, is he to be
 * disturbed, and are callers told his addresses instead of being connected. */
#include <errno.h>

#include "server/dialplan/dialplan.h"
#include "server/route/route.h"

#define REDIRECTS_MAX  32
#define HOST_BYTES_MAX 255 /* of a domain name, RFC 1035 §3.1 */

/* ---- the caller ---- */

const struct stw_user *stw_route_caller(struct stw_check *check)
{
	const struct stw_uri *from = &check->request->msg->from.uri;
	struct stw_str aor = check->user_aor, domain;

	if (!aor.len) {
		domain = stw_route_domain(check->core, from);
		if (!domain.len || stw_route_aor(check, from, domain, &aor) < 0)
			return NULL;
	}
	return stw_directory_resolve(check->core->options.directory, aor);
}

const struct stw_user *stw_route_payer(struct stw_check *check)
{
	return check->on_behalf.len
		       ? stw_directory_find(check->core->options.directory, check->on_behalf)
		       : stw_route_caller(check);
}

/* RFC 3323 §4.2: values are separated by ";". */
static bool privacy_asked(const struct stw_msg *msg)
{
	const struct stw_field *field = stw_msg_find(msg, STW_HDR_PRIVACY);

	for (; field; field = stw_msg_find_next(msg, field)) {
		struct stw_str all = stw_field_value(msg, field), value;
		size_t from = 0, end;

		for (; from <= all.len; from = end + 1) {
			end = stw_str_find(all, ';', from);
			value = stw_str_trim(stw_str_cut(all, from, end));
			if (stw_str_equal_nocase(value, STW_STR("id")) ||
				stw_str_equal_nocase(value, STW_STR("user")))
				return true;
		}
	}
	return false;
}

static bool is_quoted_anonymous(struct stw_str display)
{
	if (display.len > 1 && display.ptr[0] == '"')
		display = stw_str_cut(display, 1, display.len - 1);
	return stw_str_equal_nocase(stw_str_trim(display), STW_STR("anonymous"));
}

/* RFC 5079 §3: who withholds his identity; not who has none that could be trusted. */
static bool is_anonymous(const struct stw_msg *msg)
{
	return stw_str_equal_nocase(msg->from.uri.host, STW_STR("anonymous.invalid")) ||
	       is_quoted_anonymous(msg->from.display) || privacy_asked(msg);
}

/* ---- lists of callers ---- */

/* Who calls, by all that an entry of a list may name. */
struct caller {
	struct stw_check *check;
	const struct stw_user *callee;
	struct stw_uri uri;          /* has his AOR: canonical for a user of ours, else From */
	const struct stw_user *user; /* NULL: none of ours */
	struct stw_str number;       /* empty: From is no number */
	char number_text[STW_NUMBER_MAX];
	bool anonymous;
};

static void caller_read(struct stw_check *check, const struct stw_user *callee, struct caller *ret)
{
	const struct stw_uri *from = &check->request->msg->from.uri;

	*ret = (struct caller){ .check = check, .callee = callee };
	ret->anonymous = is_anonymous(check->request->msg);
	ret->user = stw_route_caller(check);
	if (stw_number_from_uri(from, ret->number_text, &ret->number) < 0)
		ret->number = STW_STR_NONE;
	ret->uri = *from;
	if (ret->user && stw_uri_parse(ret->user->aor, &ret->uri) < 0)
		ret->uri = (struct stw_uri){ .scheme = STW_SCHEME_OTHER };
}

/* "user@domain", or a URI. Lists are long: nothing is allocated for an entry. */
static bool aor_is(const struct caller *caller, struct stw_str entry)
{
	size_t at = stw_str_find(entry, '@', 0);
	struct stw_uri uri = { .scheme = STW_SCHEME_SIP };

	uri.user = stw_str_cut(entry, 0, at);
	uri.host = stw_str_cut(entry, at + 1, entry.len);
	if (stw_str_find(entry, ':', 0) < entry.len && stw_uri_parse(entry, &uri) < 0)
		return false;
	return stw_aor_equal(&uri, &caller->uri);
}

/* Does the number lead to him in the domain of the one who is called? */
static bool number_leads_to(const struct caller *caller, struct stw_str number)
{
	char buffer[sizeof("sip:@[]") + 3 * STW_NUMBER_MAX + HOST_BYTES_MAX];
	struct stw_writer writer;

	if (!caller->user)
		return false;
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_aor_write(&writer, number, caller->callee->domain);
	return !writer.overflow && stw_directory_leads_to(caller->check->core->options.directory,
					   stw_writer_text(&writer), caller->user);
}

/* The number that he shows, or one of those that lead to him here. */
static bool number_is(const struct caller *caller, struct stw_str entry)
{
	struct stw_pattern pattern;
	char buffer[STW_NUMBER_MAX];
	struct stw_str number;
	size_t at;

	if (stw_number_from_text(entry, buffer, &number) == 0 &&
		((caller->number.len && stw_str_equal(number, caller->number)) ||
			number_leads_to(caller, number)))
		return true;
	return caller->number.len && stw_pattern_parse(entry, &pattern, &at) == 0 &&
	       stw_pattern_match(&pattern, caller->number, NULL) == STW_PATTERN_YES;
}

static bool entry_is(const struct caller *caller, struct stw_str entry)
{
	if (stw_str_equal(entry, STW_STR("anonymous")))
		return caller->anonymous;
	if (entry.ptr[0] == '@')
		return stw_str_equal_nocase(stw_str_cut(entry, 1, entry.len),
			caller->user ? caller->user->domain
				     : caller->check->request->msg->from.uri.host);
	if (stw_str_find(entry, '@', 0) < entry.len)
		return aor_is(caller, entry);
	return number_is(caller, entry);
}

static bool list_has(
	const struct caller *caller, const struct stw_setting_list *list, struct stw_str *ret_entry)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (!entry_is(caller, list->v[i]))
			continue;
		*ret_entry = list->v[i];
		return true;
	}
	return false;
}

/* ---- the checks ---- */

static enum stw_verdict refuse_moved(struct stw_check *check, const struct stw_settings *settings)
{
	if (stw_arena_printf(&check->request->arena, &check->refusal.headers, "Contact: <%.*s>\r\n",
		    STW_STR_ARG(settings->moved_to)) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_refuse(check, &stw_cause_user_moved);
}

static enum stw_verdict check_lists(
	struct stw_check *check, const struct stw_settings *settings, const struct caller *caller)
{
	struct stw_str entry;

	if (list_has(caller, &settings->block, &entry)) {
		stw_refusal_fact(&check->refusal, "block", entry);
		return stw_route_refuse(check, settings->block_code == 607
						       ? &stw_cause_caller_unwanted
						       : &stw_cause_caller_blocked);
	}
	if (settings->reject_anonymous && caller->anonymous)
		return stw_route_refuse(check, settings->reject_anonymous == 433
						       ? &stw_cause_anonymity_refused
						       : &stw_cause_anonymity_refused_covertly);
	return STW_PASS;
}

static bool is_allowed(const struct stw_settings *settings, const struct caller *caller)
{
	struct stw_str entry;

	return list_has(caller, &settings->allow, &entry);
}

enum stw_verdict stw_route_called(struct stw_check *check, const struct stw_user *user)
{
	const struct stw_settings *settings = user->settings;
	struct caller caller;

	if (!settings || check->request->routing.in_dialog)
		return STW_PASS;
	if (settings->state == STW_USER_CLOSED)
		return stw_route_refuse(check, &stw_cause_user_closed);
	if (settings->state == STW_USER_MOVED)
		return refuse_moved(check, settings);
	if (!settings->block.n && !settings->reject_anonymous)
		return STW_PASS;
	caller_read(check, user, &caller);
	return is_allowed(settings, &caller) ? STW_PASS : check_lists(check, settings, &caller);
}

bool stw_route_dnd(struct stw_check *check, const struct stw_user *user)
{
	const struct stw_settings *settings = user->settings;
	struct caller caller;

	if (!settings || !settings->dnd || check->request->routing.in_dialog ||
		check->request->msg->method != STW_METHOD_INVITE)
		return false;
	if (!settings->allow.n)
		return true;
	caller_read(check, user, &caller);
	return !is_allowed(settings, &caller);
}

/* ---- redirecting, §8.3, §21.3 ---- */

static bool domain_redirects(const struct stw_config *config, struct stw_str domain)
{
	for (unsigned i = 0; i < config->call.redirect_count; i++) {
		if (stw_str_equal_nocase(config->call.redirect[i], domain))
			return true;
	}
	return false;
}

bool stw_route_redirects(struct stw_check *check, const struct stw_user *user)
{
	if (check->request->routing.in_dialog)
		return false;
	if (user->settings && (user->settings->forward[STW_FORWARD_BUSY].len ||
				      user->settings->forward[STW_FORWARD_NO_ANSWER].len))
		return false;
	if (user->settings && user->settings->mode != STW_MODE_DEFAULT)
		return user->settings->mode == STW_MODE_REDIRECT;
	if (stw_route_directive(check, STW_DIRECTIVE_REDIRECT))
		return true;
	if (stw_route_directive(check, STW_DIRECTIVE_PROXY))
		return false;
	return check->config->call.redirect_count && domain_redirects(check->config, user->domain);
}

/* Never the Request-URI itself (§8.3), and from sips to sips only (RFC 5630 §5.3). */
static bool may_redirect_to(const struct stw_check *check, const struct stw_binding *binding)
{
	struct stw_uri uri;

	if (binding->expires_ms <= check->core->now.wall_ms)
		return false;
	if (stw_uri_parse(binding->uri, &uri) < 0)
		return false;
	return !stw_uri_equal(&uri, &check->request->routing.uri) &&
	       (check->request->routing.uri.scheme != STW_SCHEME_SIPS ||
		       uri.scheme == STW_SCHEME_SIPS);
}

/* One address the caller is told of, and how well it suits him (RFC 3841 §7.2.4). */
struct told {
	struct stw_binding binding;
	unsigned score;
};

static bool comes_before(const struct told *a, const struct told *b)
{
	return a->binding.q > b->binding.q || (a->binding.q == b->binding.q && a->score > b->score);
}

/* In this order, and equal where nobody prefers one: a q that says so, none above that of its
 * phone. */
static uint16_t told_q(const struct told *told, const struct told *before, uint16_t q_before)
{
	if (!before)
		return told->binding.q;
	if (!comes_before(before, told))
		return q_before;
	return told->binding.q < q_before ? told->binding.q : q_before ? q_before - 1 : 0;
}

static int contacts_write(struct stw_check *check, const struct told *told, unsigned n)
{
	struct stw_str *headers = &check->refusal.headers;
	uint16_t q = 0;
	int err = 0;

	for (unsigned i = 0; err == 0 && i < n; i++) {
		const struct stw_binding *binding = &told[i].binding;
		int64_t left_ms = binding->expires_ms - check->core->now.wall_ms;

		q = told_q(&told[i], i ? &told[i - 1] : NULL, q);
		err = stw_arena_printf(&check->request->arena, headers,
			"%.*sContact: <%.*s>;q=%u.%03u;expires=%lld\r\n", STW_STR_ARG(*headers),
			STW_STR_ARG(binding->uri), q / 1000u, q % 1000u,
			(long long)((left_ms + 999) / 1000));
	}
	return err;
}

enum stw_verdict stw_route_redirect(struct stw_check *check, const struct stw_bindings *registered)
{
	struct told told[REDIRECTS_MAX], one;
	size_t cursor = 0;
	unsigned n = 0;

	while (registered && n < REDIRECTS_MAX &&
		stw_bindings_next(registered, &cursor, &one.binding)) {
		unsigned at = n;

		if (!may_redirect_to(check, &one.binding) ||
			!stw_route_wants(check, &one.binding, &one.score))
			continue;
		for (; at && comes_before(&one, &told[at - 1]); at--)
			told[at] = told[at - 1];
		told[at] = one;
		n++;
	}
	if (!n)
		return stw_route_refuse(check,
			check->unwanted ? &stw_cause_unpreferred : &stw_cause_not_registered);
	if (contacts_write(check, told, n) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_refuse(
		check, n == 1 ? &stw_cause_redirected : &stw_cause_redirected_to_several);
}
