/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P12 and later: a user has his calls forwarded. Always, in do-not-disturb and without a binding
 * before a phone is tried; when busy, without an answer or not reached when all of them have ended
 * (the best response of all devices decides, and a 6xx is never forwarded). The request goes on in
 * the same response context; the caller gets 181 in an early dialog of ours.
 */
#include <errno.h>
#include <string.h>

#include "server/dialplan/dialplan.h"
#include "server/route/route.h"

/* What each kind of forwarding is called where. */
static const struct kind {
	const char *setting;
	const char *reason; /* RFC 5806 §4 */
	unsigned code;      /* RFC 4458 §3, RFC 7044 §5 */
	const struct stw_cause *cause;
} kinds[] = {
	[STW_FORWARD_ALWAYS] = { "forward.always", "unconditional", 302,
		&stw_cause_forwarded_always },
	[STW_FORWARD_BUSY] = { "forward.busy", "user-busy", 486, &stw_cause_forwarded_busy },
	[STW_FORWARD_NO_ANSWER] = { "forward.no_answer", "no-answer", 408,
		&stw_cause_forwarded_no_answer },
	[STW_FORWARD_UNREGISTERED] = { "forward.unregistered", "unavailable", 404,
		&stw_cause_forwarded_unregistered },
	[STW_FORWARD_DND] = { "forward.dnd", "do-not-disturb", 480, &stw_cause_forwarded_dnd },
	[STW_FORWARD_CLOSED] = { NULL, "time-of-day", 302, NULL }, /* no setting of a user */
};

/* One act of forwarding in this call, the oldest first. */
struct stw_diverter {
	struct stw_diverter *next;
	enum stw_forward_when when;
	struct stw_str aor;    /* who forwards */
	struct stw_str target; /* to whom, a URI */
};

/* ---- the service of a call ---- */

static bool method_may_divert(const struct stw_check *check)
{
	enum stw_method method = check->request->msg->method;

	/* OPTIONS asks what an INVITE would meet (RFC 3261 §11). */
	return (method == STW_METHOD_INVITE || method == STW_METHOD_MESSAGE ||
		       method == STW_METHOD_OPTIONS) &&
	       !check->request->routing.in_dialog;
}

struct stw_service *stw_route_service(struct stw_check *check)
{
	if (!check->service)
		check->service = stw_arena_zalloc(&check->request->arena, sizeof(*check->service));
	return check->service;
}

int stw_route_leave_out(struct stw_check *check, const struct stw_str *names, unsigned n)
{
	struct stw_service *service = stw_route_service(check);
	unsigned before = service ? service->without_count : 0;
	struct stw_str *all = stw_arena_alloc(&check->request->arena, (before + n) * sizeof(*all));

	if (!service || !all)
		return -ENOMEM;
	if (before)
		memcpy(all, service->without, before * sizeof(*all));
	memcpy(all + before, names, n * sizeof(*all));
	service->without = all;
	service->without_count = before + n;
	return 0;
}

static bool has_rule(const struct stw_user *user, enum stw_forward_when when)
{
	return user->settings && user->settings->forward[when].len > 0;
}

int stw_route_divert_watch(struct stw_check *check, const struct stw_user *user)
{
	struct stw_service *service = check->service;

	if (!method_may_divert(check) ||
		(!has_rule(user, STW_FORWARD_BUSY) && !has_rule(user, STW_FORWARD_NO_ANSWER) &&
			!has_rule(user, STW_FORWARD_UNREGISTERED)))
		return 0;
	service = stw_route_service(check);
	if (!service)
		return -ENOMEM;
	if (has_rule(user, STW_FORWARD_NO_ANSWER))
		service->no_answer_ms = user->settings->no_answer_ms;
	return stw_arena_copy(&check->request->arena, user->aor, &service->aor);
}

/* 181, or a note when there is none. */
static void announce(struct stw_check *check)
{
	struct stw_refusal *announcement = &check->service->announcement;

	if (announcement->cause && !stw_request_progress(check->request, announcement))
		stw_request_note(check->request, announcement);
	announcement->cause = NULL;
}

static enum stw_verdict serve(struct stw_check *check, struct stw_proxy_job *job)
{
	struct stw_service *service = check->service;

	job->asks = true;
	job->asks_6xx = service->conveys_608;
	job->fresh = !service->goes_on;
	job->diversion = service->diversion;
	job->history = service->history;
	job->without = service->without;
	job->without_count = service->without_count;
	if (service->added.len &&
		stw_arena_printf(&check->request->arena, &job->history, "%.*s%.*s",
			STW_STR_ARG(service->history), STW_STR_ARG(service->added)) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (service->no_answer_ms) {
		job->ring_timeout_ms = service->no_answer_ms;
		job->together = true;
	}
	check->request->user = service;
	if (!service->open) {
		service->open = true;
		job->hold = service->announcement.cause != NULL;
		stw_request_proxy(check->request, job);
		if (!job->hold)
			return STW_DONE;
	}
	announce(check);
	stw_request_more(check->request, job);
	return STW_DONE;
}

bool stw_route_hold(struct stw_check *check)
{
	struct stw_service *service = check->service;
	struct stw_proxy_job job = { .asks = true, .asks_6xx = service->conveys_608, .hold = true };

	check->request->user = service;
	if (!service->open) {
		service->open = true;
		stw_request_proxy(check->request, &job);
	}
	if (!check->request->answered)
		announce(check);
	return !check->request->answered;
}

enum stw_verdict stw_route_submit(struct stw_check *check, struct stw_proxy_job *job)
{
	if (check->service)
		return serve(check, job);
	stw_request_proxy(check->request, job);
	return STW_DONE;
}

/* ---- what the forwarded request carries ---- */

/* RFC 5806 §5: the newest on top. */
static int diversion_write(struct stw_check *check, const struct stw_diverter *newest)
{
	struct stw_service *service = check->service;

	return stw_arena_printf(&check->request->arena, &service->diversion,
		"Diversion: <%.*s>;reason=%s;counter=1\r\n%.*s", STW_STR_ARG(newest->aor),
		kinds[newest->when].reason, STW_STR_ARG(service->diversion));
}

/* The index of the last entry that the request has brought; empty: none. */
static struct stw_str history_brought(const struct stw_msg *request)
{
	struct stw_values values = stw_msg_values(request, STW_HDR_HISTORY_INFO);
	struct stw_str value, last = STW_STR_NONE, index = STW_STR_NONE;
	struct stw_address address;

	while (stw_values_next(&values, &value))
		last = value;
	if (stw_address_parse(last, &address) == 0)
		stw_param_find(address.params, STW_STR("index"), &index);
	return index;
}

static bool has_headers(struct stw_str uri)
{
	return stw_str_find(uri, '?', 0) < uri.len;
}

/* An entry that a response made history has its code as Reason, §10.2. */
static void history_reason(
	struct stw_writer *writer, struct stw_str uri, const struct stw_diverter *next)
{
	bool answered =
		next && (next->when == STW_FORWARD_BUSY || next->when == STW_FORWARD_NO_ANSWER);

	if (answered && !has_headers(uri) && !stw_str_starts(uri, STW_STR("tel:")))
		stw_write_format(writer, "?Reason=SIP%%3Bcause%%3D%u", kinds[next->when].code);
}

static void history_entries(struct stw_writer *writer, struct stw_str asked, struct stw_str brought,
	const struct stw_diverter *diverter)
{
	struct stw_str base = brought.len ? brought : STW_STR("1");
	unsigned n;

	if (!brought.len) {
		stw_write_format(writer, "History-Info: <%.*s", STW_STR_ARG(asked));
		history_reason(writer, asked, diverter);
		stw_write_text(writer, ">;index=1\r\n");
	}
	for (n = 1; diverter; n++, diverter = diverter->next) {
		stw_write_format(writer, "History-Info: <%.*s", STW_STR_ARG(diverter->target));
		if (!has_headers(diverter->target))
			stw_write_format(writer, ";cause=%u", kinds[diverter->when].code);
		history_reason(writer, diverter->target, diverter->next);
		stw_write_format(
			writer, ">;index=%.*s.%u;mp=%.*s", STW_STR_ARG(base), n, STW_STR_ARG(base));
		if (n > 1)
			stw_write_format(writer, ".%u", n - 1);
		stw_write_text(writer, "\r\n");
	}
}

/* RFC 7044 §9.2, §10.3: who was called, why he was not the last, and who is called now. */
static int history_write(struct stw_check *check)
{
	struct stw_service *service = check->service;
	const struct stw_msg *request = check->request->msg;
	struct stw_str asked = check->request->routing.uri_text;
	struct stw_str brought = history_brought(request);
	size_t bytes = asked.len + 100;
	struct stw_writer writer;
	char *buffer;

	if (stw_msg_has_token(request, STW_HDR_PRIVACY, STW_STR("history")))
		return 0;
	for (const struct stw_diverter *d = service->diverters; d; d = d->next)
		bytes += d->target.len + 2 * brought.len + 120;
	buffer = stw_arena_bytes(&check->request->arena, bytes);
	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&writer, buffer, bytes);
	history_entries(&writer, asked, brought, service->diverters);
	service->history = writer.overflow ? STW_STR_NONE : stw_writer_text(&writer);
	return 0;
}

/* ---- where to ---- */

/* "bob", "+49 30 123", "*97#" of the user's domain, "bob@example.net", or a URI. */
int stw_route_target_uri(
	struct stw_check *check, struct stw_str text, struct stw_str domain, struct stw_str *ret)
{
	struct stw_arena *arena = &check->request->arena;
	char buffer[STW_NUMBER_MAX];
	struct stw_str number, aor;
	int err;

	if (stw_str_starts(text, STW_STR("group:")) || stw_str_starts(text, STW_STR("queue:")))
		text = stw_str_cut(text, 6, text.len);
	else if (stw_str_find(text, ':', 0) < text.len)
		return stw_arena_copy(arena, text, ret);
	if (stw_str_find(text, '@', 0) < text.len)
		return stw_arena_printf(arena, ret, "sip:%.*s", STW_STR_ARG(text));
	err = stw_number_from_text(text, buffer, &number);
	err = stw_aor_make(err == 0 ? number : text, domain, arena, &aor);
	if (err == 0)
		*ret = aor;
	return err;
}

/* RFC 4458 §2: a server elsewhere (voicemail) reads from the Request-URI why it gets the call. */
static enum stw_verdict forward_elsewhere(
	struct stw_check *check, const struct stw_diverter *newest)
{
	struct stw_proxy_target target = { .uri = newest->target, .q = 1000 };
	struct stw_str cause;

	if ((check->called->scheme == STW_SCHEME_SIP || check->called->scheme == STW_SCHEME_SIPS) &&
		!has_headers(newest->target) &&
		!stw_uri_param(check->called, STW_STR("cause"), &cause) &&
		stw_arena_printf(&check->request->arena, &target.uri, "%.*s;cause=%u",
			STW_STR_ARG(newest->target), kinds[newest->when].code) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_forward(check, &target, 1);
}

/* The target is one of our users, a number, or somebody elsewhere. */
static enum stw_verdict forward_to(struct stw_check *check, const struct stw_diverter *newest)
{
	struct stw_uri *called = stw_arena_zalloc(&check->request->arena, sizeof(*called));
	enum stw_verdict verdict;

	if (!called)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	if (stw_uri_parse(newest->target, called) < 0)
		return stw_route_refuse(check, &stw_cause_forward_target);
	if (called->scheme != STW_SCHEME_SIP && called->scheme != STW_SCHEME_SIPS &&
		called->scheme != STW_SCHEME_TEL)
		return stw_route_refuse(check, &stw_cause_forward_target);
	check->called = called;
	check->domain = called->scheme == STW_SCHEME_TEL
				? stw_route_tel_domain(check->config, called)
				: stw_route_domain(check->core, called);
	if (!check->domain.len)
		return forward_elsewhere(check, newest);
	if (!called->user.ptr && called->scheme != STW_SCHEME_TEL)
		return stw_route_refuse(check, &stw_cause_forward_target);
	verdict = stw_route_dialplan(check);
	return verdict == STW_PASS ? stw_route_target_set(check) : verdict;
}

/* By its name, which may be that of a user, too. */
static enum stw_verdict forward_to_queue(
	struct stw_check *check, const struct stw_diverting *diverting)
{
	const struct stw_call_queue *queue = stw_config_queue(
		check->config, stw_str_cut(diverting->target, 6, diverting->target.len));

	if (!queue)
		return stw_route_refuse(check, &stw_cause_forward_target);
	if (stw_arena_copy(&check->request->arena, diverting->domain, &check->domain) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_queue(check, queue);
}

/* ---- whether ---- */

/* "sip:bob@example.com > sip:carol@example.com > …" */
static void chain_fact(struct stw_check *check, struct stw_str last)
{
	const struct stw_diverter *diverter = check->service->diverters;
	struct stw_arena *arena = &check->request->arena;
	struct stw_str chain = STW_STR("");

	for (; diverter; diverter = diverter->next) {
		if (stw_arena_printf(arena, &chain, "%.*s%.*s > ", STW_STR_ARG(chain),
			    STW_STR_ARG(diverter->aor)) < 0)
			return;
	}
	if (stw_arena_printf(arena, &chain, "%.*s%.*s", STW_STR_ARG(chain), STW_STR_ARG(last)) == 0)
		stw_refusal_fact(&check->refusal, "chain", chain);
}

/* Did another server bring the call here after this user had forwarded it there? */
static bool request_was_diverted_by(
	struct stw_check *check, struct stw_str aor, unsigned *ret_count)
{
	struct stw_values values = stw_msg_values(check->request->msg, STW_HDR_DIVERSION);
	struct stw_address address;
	struct stw_str value, domain, other;

	/* Behind so many it is refused in any case. */
	for (*ret_count = 0; *ret_count < check->config->call.max_forwards; (*ret_count)++) {
		if (!stw_values_next(&values, &value))
			break;
		if (stw_address_parse(value, &address) < 0 || address.wildcard)
			continue;
		domain = stw_route_domain(check->core, &address.uri);
		if (domain.len && stw_route_aor(check, &address.uri, domain, &other) == 0 &&
			stw_str_equal(other, aor))
			return true;
	}
	return false;
}

/* NULL, or why the call may not be forwarded by this user. */
static const struct stw_cause *divert_refused(struct stw_check *check, struct stw_str aor)
{
	const struct stw_diverter *diverter = check->service->diverters;
	unsigned count;

	if (request_was_diverted_by(check, aor, &count))
		return &stw_cause_forwarding_loop;
	for (; diverter; diverter = diverter->next, count++) {
		if (stw_str_equal(diverter->aor, aor))
			return &stw_cause_forwarding_loop;
	}
	if (count < check->config->call.max_forwards)
		return NULL;
	check->refusal.option = "call.max_forwards";
	return &stw_cause_forwarded_too_often;
}

/* The caller is told where to go and goes there himself. */
static enum stw_verdict redirect(struct stw_check *check, const struct stw_diverter *newest)
{
	if (stw_arena_printf(&check->request->arena, &check->refusal.headers,
		    "Contact: <%.*s>\r\nDiversion: <%.*s>;reason=%s;counter=1\r\n",
		    STW_STR_ARG(newest->target), STW_STR_ARG(newest->aor),
		    kinds[newest->when].reason) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_refuse(check, &stw_cause_forward_redirected);
}

static struct stw_diverter *diverter_new(
	struct stw_check *check, const struct stw_diverting *diverting)
{
	struct stw_arena *arena = &check->request->arena;
	struct stw_diverter *diverter = stw_arena_zalloc(arena, sizeof(*diverter));

	if (!diverter || !stw_route_service(check) ||
		stw_arena_copy(arena, diverting->aor, &diverter->aor) < 0 ||
		stw_route_target_uri(
			check, diverting->target, diverting->domain, &diverter->target) < 0)
		return NULL;
	diverter->when = diverting->when;
	return diverter;
}

/* It is one of the chain now; nothing of what was before it counts. */
static void diverter_append(struct stw_service *service, struct stw_diverter *newest)
{
	struct stw_diverter **end = &service->diverters;

	while (*end)
		end = &(*end)->next;
	*end = newest;
	service->aor = service->group = STW_STR_NONE;
	service->no_answer_ms = 0;
	service->goes_on = false;
}

enum stw_verdict stw_route_divert_to(struct stw_check *check, const struct stw_diverting *diverting)
{
	struct stw_diverter *newest = diverter_new(check, diverting);
	struct stw_refusal *announcement;
	const struct stw_cause *cause;

	if (!newest)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	check->refusal = (struct stw_refusal){ .cause = NULL };
	cause = divert_refused(check, newest->aor);
	if (cause) {
		stw_refusal_fact(&check->refusal, "user", newest->aor);
		stw_refusal_fact(&check->refusal, "setting", stw_str_from(diverting->setting));
		chain_fact(check, newest->aor);
		return stw_route_refuse(check, cause);
	}
	/* It has led to nobody's phone: only the record hears of it. */
	if (check->service->announcement.cause)
		stw_request_note(check->request, &check->service->announcement);
	diverter_append(check->service, newest);
	if (check->follows) {
		stw_calls_leave(check->core->calls, check->request->msg, STW_STR_NONE);
		stw_calls_diverted(check->core->calls, check->request->msg, newest->aor);
	}
	announcement = diverting->redirects ? &check->refusal : &check->service->announcement;
	*announcement = (struct stw_refusal){ .cause = diverting->cause };
	stw_refusal_fact(announcement, "user", newest->aor);
	stw_refusal_fact(announcement, "to", newest->target);
	stw_refusal_fact(announcement, "setting", stw_str_from(diverting->setting));
	if (diverting->redirects)
		return redirect(check, newest);
	/* On behalf of the one who forwards. */
	if (diversion_write(check, newest) < 0 || history_write(check) < 0 ||
		stw_arena_copy(&check->request->arena, diverting->domain, &check->caller_domain) <
			0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	check->on_behalf = newest->aor;
	if (stw_str_starts(diverting->target, STW_STR("queue:")))
		return forward_to_queue(check, diverting);
	return forward_to(check, newest);
}

bool stw_route_divert(struct stw_check *check, const struct stw_user *user,
	enum stw_forward_when when, enum stw_verdict *ret)
{
	struct stw_diverting diverting = { .aor = user->aor,
		.domain = user->domain,
		.when = when,
		.setting = kinds[when].setting,
		.cause = kinds[when].cause };

	if (!has_rule(user, when) || !method_may_divert(check))
		return false;
	diverting.target = user->settings->forward[when];
	diverting.redirects = user->settings->mode == STW_MODE_REDIRECT;
	*ret = stw_route_divert_to(check, &diverting);
	return true;
}

/* ---- all phones of a user have ended ---- */

static bool outcome_kind(const struct stw_outcome *outcome, enum stw_forward_when *ret)
{
	if (outcome->expired || outcome->code == 408)
		*ret = STW_FORWARD_NO_ANSWER;
	else if (outcome->code == 486 || outcome->cause == &stw_cause_all_busy)
		*ret = STW_FORWARD_BUSY;
	else if (outcome->code == 480 && (!outcome->rang || outcome->cause))
		*ret = STW_FORWARD_UNREGISTERED;
	else
		return false;
	return true;
}

void stw_route_next(
	struct stw_core *core, struct stw_request *request, const struct stw_outcome *outcome)
{
	struct stw_check check = {
		.core = core, .request = request, .config = core->config, .service = request->user
	};
	const struct stw_user *user = NULL;
	enum stw_forward_when when;
	enum stw_verdict verdict;

	if (check.service->end.cause) {
		stw_request_settle(request, &check.service->end);
		return;
	}
	check.called = &request->routing.uri;
	check.caller_domain = stw_route_domain(core, &request->msg->from.uri);
	check.follows = request->msg->method == STW_METHOD_INVITE && core_follows_calls(core);
	if (check.service->conveyed ||
		(outcome->response && outcome->code >= 600 && !check.service->waiting)) {
		stw_route_rejected(&check, outcome);
		return;
	}
	if (check.service->waiting) {
		stw_route_queue_next(check.service->waiting, outcome);
		return;
	}
	if (check.service->group.len) {
		stw_route_group_next(
			&check, outcome_kind(outcome, &when) ? when : STW_FORWARD_UNREGISTERED);
		return;
	}
	if (check.service->aor.len)
		user = stw_directory_find(core->options.directory, check.service->aor);
	if (!user || !outcome_kind(outcome, &when) ||
		!stw_route_divert(&check, user, when, &verdict))
		stw_request_settle(request, NULL);
	else if (verdict == STW_REFUSE)
		stw_request_settle(request, &check.refusal);
}
