/* SPDX-License-Identifier: Apache-2.0 */
/* A user agent in the place of the server: "agent: automatic=true; ring=1s; then=486". */
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/ua.h>
#include <strowger/uac.h>

/* What was told, oldest first. */
struct told {
	struct told *next;
	struct stw_str text;         /* "ended 486" */
	struct stw_ua_event event;   /* without what it borrows, but cause */
	struct stw_str phrase, more; /* `text` of the event */
	struct message *message;     /* NULL: none */
};

struct agent {
	struct scenario *s;
	struct stw_stack *stack;
	struct stw_ua *ua;
	struct stw_ua_options options;
	struct stw_ua_policy policy;
	struct stw_sdp_abilities abilities;
	bool qos_demanded;                    /* by our offers */
	bool mute;                            /* no media at all */
	struct stw_session *session, *second; /* the last one, and the one before */
	struct stw_registration *registration;
	struct told *told, **told_end;
};

/* ---- settings ------------------------------------------------------------------------------- */

static const struct {
	const char *key;
	size_t at;
} texts[] = {
#define TEXT(key, member)                                                                          \
	{                                                                                          \
		key, offsetof(struct agent, member)                                                \
	}
	TEXT("aor", options.aor),
	TEXT("outbound", options.outbound),
	TEXT("password", options.auth_password),
	TEXT("agent", options.agent),
	TEXT("methods", policy.methods),
	TEXT("extensions", policy.extensions),
	TEXT("users", policy.users),
	TEXT("priorities", policy.priorities),
	TEXT("accept", policy.accept),
	TEXT("require", policy.require),
	TEXT("screen_via", policy.screen_via),
	TEXT("recv_info", policy.recv_info),
	TEXT("redirect", policy.redirect),
	TEXT("realm", policy.auth_realm),
	TEXT("caller", policy.auth_user),
	TEXT("caller_password", policy.auth_password),
#undef TEXT
}, flags[] = {
#define FLAG(key, member)                                                                          \
	{                                                                                          \
		key, offsetof(struct agent, member)                                                \
	}
	FLAG("follow_redirects", options.follow_redirects),
	FLAG("automatic", policy.automatic),
	FLAG("dnd", policy.dnd),
	FLAG("reject_anonymous", policy.reject_anonymous),
	FLAG("busy_everywhere", policy.busy_everywhere),
	FLAG("early_media", policy.early_media),
	FLAG("reliable", policy.reliable),
	FLAG("refuse_transfer", policy.refuse_transfer),
	FLAG("obey_refer", policy.obey_refer),
	FLAG("refuse_takeover", policy.refuse_takeover),
	FLAG("send_199", policy.send_199),
	FLAG("mixes", policy.mixes),
	FLAG("auto_answer", policy.auto_answer),
	FLAG("auto_answer_privileged", policy.auto_answer_privileged),
	FLAG("tell_answer_mode", policy.tell_answer_mode),
	FLAG("qos", policy.qos),
	FLAG("qos_demanded", qos_demanded),
	FLAG("qos_fails", policy.qos_fails),
	FLAG("media_everywhere", abilities.everywhere),
	FLAG("mute", mute),
#undef FLAG
}, numbers[] = {
#define NUMBER(key, member)                                                                        \
	{                                                                                          \
		key, offsetof(struct agent, member)                                                \
	}
	NUMBER("session_expires", options.session_expires_s),
	NUMBER("max_sessions", options.max_sessions),
	NUMBER("min_se", policy.min_se_s),
	NUMBER("max_body", policy.max_body),
	NUMBER("lines", policy.lines),
	NUMBER("then", policy.then),
	NUMBER("reserve_ms", policy.reserve_ms),
	NUMBER("ring_ms", policy.ring_ms),
	NUMBER("bandwidth_kbits", abilities.bandwidth_kbits),
#undef NUMBER
};

static int agent_set(struct agent *agent, struct stw_str key, struct stw_str value)
{
	char *base = (char *)agent;
	uint64_t number;

	for (size_t i = 0; i < STW_ARRAY_SIZE(texts); i++) {
		if (!is_word(key, texts[i].key))
			continue;
		*(struct stw_str *)(void *)(base + texts[i].at) = keep(agent->s, unquoted(value));
		return 0;
	}
	for (size_t i = 0; i < STW_ARRAY_SIZE(flags); i++) {
		if (!is_word(key, flags[i].key))
			continue;
		*(bool *)(void *)(base + flags[i].at) = is_word(value, "true");
		return 0;
	}
	for (size_t i = 0; i < STW_ARRAY_SIZE(numbers); i++) {
		if (!is_word(key, numbers[i].key) ||
			stw_str_to_uint(value, UINT32_MAX, &number) < 0)
			continue;
		*(unsigned *)(void *)(base + numbers[i].at) = (unsigned)number;
		return 0;
	}
	return fail(agent->s, "agent: \"%.*s=%.*s\" cannot be understood", STW_STR_ARG(key),
		STW_STR_ARG(value));
}

int agent_setting(struct scenario *s, struct stw_str items)
{
	struct stw_str item;

	if (!s->agent) {
		s->agent = make(s, sizeof(*s->agent));
		s->agent->s = s;
		s->agent->told_end = &s->agent->told;
		s->agent->options.aor = STW_STR("sip:bob@example.com");
	}
	while (next_item(&items, ';', &item)) {
		size_t equal = stw_str_find(item, '=', 0);

		if (item.len && agent_set(s->agent, stw_str_trim(stw_str_cut(item, 0, equal)),
					stw_str_trim(stw_str_cut(item, equal + 1, item.len))) < 0)
			return -1;
	}
	return 0;
}

/* ---- what the stack and the agent ask ---------------------------------------------------------
 */

static void agent_request(void *user, struct stw_request *request)
{
	struct agent *agent = user;

	if (!stw_ua_request(agent->ua, request))
		stw_request_drop(request, &stw_cause_ack_unmatched);
}

static void agent_note(void *user, const struct stw_note *note)
{
	struct agent *agent = user;

	server_log(agent->s, note, STW_STR_NONE);
}

static const struct stw_core_ops core_ops = { .request = agent_request, .note = agent_note };

/* What the peer did wrong is a decision of the record. */
static void agent_fault(struct agent *agent, const struct stw_ua_event *event)
{
	struct stw_note note = {
		.kind = STW_NOTE_DECISION, .msg = event->msg, .cause = event->cause
	};

	server_log(agent->s, &note, STW_STR_NONE);
}

static struct told *told_new(struct agent *agent, const struct stw_ua_event *event)
{
	struct scenario *s = agent->s;
	struct told *told = make(s, sizeof(*told));

	told->text = print(s, "%s", stw_ua_event_name(event->kind));
	if (event->code)
		told->text = print(s, "%.*s %u", STW_STR_ARG(told->text), event->code);
	told->event = *event;
	told->event.session = NULL;
	told->event.registration = NULL;
	told->event.msg = NULL;
	told->phrase = keep(s, event->phrase);
	told->more = keep(s, event->text);
	if (event->msg)
		told->message = message_new(s, s->nobody,
			keep(s, (struct stw_str){ event->msg->data, event->msg->len }));
	*agent->told_end = told;
	agent->told_end = &told->next;
	return told;
}

static void agent_event(void *user, const struct stw_ua_event *event)
{
	struct agent *agent = user;
	struct told *told = told_new(agent, event);

	tell(agent->s, "    agent tells %.*s %.*s", STW_STR_ARG(told->text),
		STW_STR_ARG(event->phrase));
	if (event->cause && (event->kind == STW_UA_FAULT || event->kind == STW_UA_ENDED ||
				    event->kind == STW_UA_TRANSFERRED))
		agent_fault(agent, event);
	if (!event->session)
		return;
	if (event->kind == STW_UA_ENDED) {
		if (agent->session == event->session)
			agent->session = agent->second, agent->second = NULL;
		else if (agent->second == event->session)
			agent->second = NULL;
	} else if (event->session != agent->session) {
		if (event->session != agent->second)
			agent->second = agent->session, agent->session = event->session;
	}
}

static const struct stw_sdp_abilities *agent_media(void *user, struct stw_session *session)
{
	struct agent *agent = user;

	return agent->mute ? NULL : &agent->abilities;
}

static const struct stw_ua_ops ua_ops = { .event = agent_event, .media = agent_media };

/* ---- life -------------------------------------------------------------------------------------
 */

int agent_start(struct scenario *s)
{
	struct agent *agent = s->agent;
	struct stw_stack_options options = { .io = &world_ops,
		.io_user = &s->workers[0],
		.core = &core_ops,
		.core_user = agent,
		.listeners = &s->listeners,
		.key = { 3, 4 },
		.seed = 4711,
		.max_transactions = 1000,
		.udp_oversize_tcp = true,
		.overload = { .target_ms = 25 },
		.flows = { .max_flows = FLOWS_MAX,
			.max_per_source = FLOWS_MAX,
			.idle_ms = 3600000,
			.message_ms = 10000 },
		.proxy = { .max_breadth = 60, .max_branches = 32, .timer_c_ms = 181000 } };

	s->worker_count = 1;
	s->workers[0].s = s;
	s->listeners = s->config->listen;
	options.flows.message = stw_msg_limits_default;
	agent->abilities.address = STW_STR("192.0.2.100");
	agent->abilities.rtp_port = 4000;
	agent->abilities.qos = agent->qos_demanded ? STW_SDP_QOS_MANDATORY
			       : agent->policy.qos || agent->policy.qos_fails
				       ? STW_SDP_QOS_SUPPORTED
				       : STW_SDP_QOS_NONE;
	if (stw_stack_new(&options, s->now, &agent->stack) < 0)
		return fail(s, "the stack does not start");
	agent->options.stack = agent->stack;
	agent->options.ops = &ua_ops;
	agent->options.user = agent;
	agent->options.abilities = agent->mute ? NULL : &agent->abilities;
	agent->options.policy = agent->policy;
	if (stw_ua_new(&agent->options, &agent->ua) < 0)
		return fail(s, "the agent does not start");
	return 0;
}

void agent_batch(struct scenario *s, const struct stw_io_event *event)
{
	struct stw_stack *stack = s->agent->stack;

	stw_stack_begin(stack, s->now);
	if (event)
		stw_stack_event(stack, event);
	stw_stack_timers(stack);
	stw_stack_end(stack);
}

uint64_t agent_next(const struct scenario *s)
{
	return stw_stack_next(s->agent->stack);
}

bool agent_idle(const struct scenario *s)
{
	struct stw_stack_stats stats;

	stw_stack_stats(s->agent->stack, &stats);
	return stats.transactions == 0 && stats.requests == 0 && stw_ua_idle(s->agent->ua);
}

int agent_check_empty(struct scenario *s)
{
	struct stw_stack_stats stats;

	stw_stack_stats(s->agent->stack, &stats);
	if (!stw_ua_idle(s->agent->ua))
		return fail(s, "at the end the agent has something left");
	if (stats.transactions || stats.requests || stats.flows)
		return fail(s,
			"at the end %zu transactions, %zu requests, %zu connections are left",
			stats.transactions, stats.requests, stats.flows);
	return 0;
}

void agent_stop(struct scenario *s)
{
	s->agent->ua = stw_ua_free(s->agent->ua);
	s->agent->stack = stw_stack_free(s->agent->stack);
}

/* ---- lines -------------------------------------------------------------------------------------
 */

static const char *const retry_words[] = {
	[STW_UA_RETRY_NEVER] = "never",
	[STW_UA_RETRY_WITH_CHANGE] = "with-change",
	[STW_UA_RETRY_DELAY] = "after-delay",
	[STW_UA_RETRY_OTHER] = "other-target",
	[STW_UA_RETRY_FIX] = "after-fix",
};

/* What a condition names: of the event, of what the tables say about it, or of its message. */
static bool told_value(
	struct scenario *s, const struct told *told, struct stw_str name, struct stw_str *ret)
{
	const struct stw_cause *cause = told->event.cause;
	const struct stw_status *status = stw_status_or_class(told->event.code);

	if (is_word(name, "phrase"))
		*ret = told->phrase;
	else if (is_word(name, "text"))
		*ret = told->more;
	else if (is_word(name, "cause"))
		*ret = stw_str_from(cause ? cause->id : "");
	else if (is_word(name, "meaning"))
		*ret = stw_str_from(cause ? cause->meaning : status ? status->summary : "");
	else if (is_word(name, "remedy"))
		*ret = stw_str_from(cause ? cause->remedy : status ? status->remedy : "");
	else if (is_word(name, "retry"))
		*ret = stw_str_from(retry_words[stw_ua_retry(told->event.code)]);
	else if (is_word(name, "retry_s"))
		*ret = print(s, "%u", told->event.retry_s);
	else if (is_word(name, "expires_s"))
		*ret = print(s, "%u", told->event.expires_s);
	else if (is_word(name, "by_us"))
		*ret = stw_str_from(told->event.by_us ? "true" : "false");
	else
		return told->message && message_value(s, told->message, name, ret);
	return ret->len > 0;
}

static int told_compare(
	struct scenario *s, const struct told *told, const struct changes *conditions)
{
	struct stw_str value = STW_STR_NONE;
	bool found;

	for (unsigned i = 0; i < conditions->n; i++) {
		const struct change *condition = &conditions->v[i];

		found = told_value(s, told, condition->name, &value);
		if (is_word(condition->name, "cause") && told->event.cause)
			cause_seen(told->event.cause, condition->op == '=');
		if (!condition_holds(
			    condition->op, found, value, expand(s, s->parties, condition->value)))
			return fail(s, "the agent has told \"%.*s\" with %.*s = %.*s",
				STW_STR_ARG(told->text), STW_STR_ARG(condition->name),
				STW_STR_ARG(found ? value : STW_STR("nothing")));
	}
	return 0;
}

/* "agent tells ended 486 | conditions": what was told before it is passed over. */
int agent_tells(struct scenario *s, struct stw_str text)
{
	struct told *told = s->agent->told;
	struct changes conditions = { .n = 0 };
	struct stw_str what;

	if (!next_item(&text, '|', &what) || changes_read(s, text, &conditions) < 0)
		return -1;
	while (told && !stw_str_equal(told->text, what))
		told = told->next;
	if (!told)
		return fail(s, "the agent has not told \"%.*s\"%s%.*s", STW_STR_ARG(what),
			s->agent->told ? ", but " : "",
			s->agent->told ? (int)s->agent->told->text.len : 0,
			s->agent->told ? s->agent->told->text.ptr : "");
	s->agent->told = told->next;
	if (!told->next)
		s->agent->told_end = &s->agent->told;
	return told_compare(s, told, &conditions);
}

/* What stands behind "|" of what the agent is to send. */
struct agent_extras {
	struct stw_str headers, content_type, body, other_type, other_body;
	bool identity_allowed, overlap, focus;
};

static int extras_read(struct scenario *s, struct stw_str text, struct agent_extras *ret)
{
	struct changes changes = { .n = 0 };

	memset(ret, 0, sizeof(*ret));
	if (changes_read(s, text, &changes) < 0)
		return -1;
	for (unsigned i = 0; i < changes.n; i++) {
		const struct change *change = &changes.v[i];
		struct stw_str value = expand(s, s->parties, change->value);

		if (change->op == '+')
			ret->headers = print(s, "%.*s%.*s: %.*s\r\n", STW_STR_ARG(ret->headers),
				STW_STR_ARG(change->name), STW_STR_ARG(value));
		else if (is_word(change->name, "Content-Type"))
			ret->content_type = value;
		else if (is_word(change->name, "body"))
			ret->body = value;
		else if (is_word(change->name, "other-type"))
			ret->other_type = value;
		else if (is_word(change->name, "other-body"))
			ret->other_body = value;
		else if (is_word(change->name, "identity"))
			ret->identity_allowed = is_word(value, "allowed");
		else if (is_word(change->name, "overlap"))
			ret->overlap = is_word(value, "true");
		else if (is_word(change->name, "focus"))
			ret->focus = is_word(value, "true");
		else
			return fail(s, "the agent can send no \"%.*s\"", STW_STR_ARG(change->name));
	}
	return 0;
}

/* "sip:x@y with "Subject: lunch"": a line more, whose {references} are filled in. */
static bool agent_line(
	struct agent *agent, struct stw_str text, struct stw_str *ret_uri, struct stw_str *ret_line)
{
	struct stw_str word;

	*ret_line = STW_STR_NONE;
	if (!next_word(&text, ret_uri))
		return false;
	if (next_word(&text, &word) && is_word(word, "with"))
		*ret_line = print(agent->s, "%.*s\r\n",
			STW_STR_ARG(expand(agent->s, agent->s->nobody, stw_str_trim(text))));
	return true;
}

static int agent_call(struct agent *agent, struct stw_str text, bool late, bool anonymous)
{
	struct stw_session_options options = { .late_offer = late, .anonymous = anonymous };
	struct agent_extras extras;
	struct stw_session *session = NULL;
	struct stw_str what, line;
	int err;

	if (!next_item(&text, '|', &what) || extras_read(agent->s, text, &extras) < 0 ||
		!agent_line(agent, what, &options.uri, &line))
		return -EINVAL;
	options.headers =
		print(agent->s, "%.*s%.*s", STW_STR_ARG(line), STW_STR_ARG(extras.headers));
	options.content_type = extras.content_type;
	options.body = extras.body;
	options.identity_allowed = extras.identity_allowed;
	options.overlap = extras.overlap;
	options.focus = extras.focus;
	err = stw_ua_call(agent->ua, &options, &session);
	if (session && session != agent->session)
		agent->second = agent->session, agent->session = session;
	return err;
}

/* "registers [REGISTRAR [with "Contact: further ones"]]", "fetches" the bindings, "removes-all". */
static int agent_register(struct agent *agent, struct stw_str verb, struct stw_str text)
{
	struct stw_registration_options options = { .fetch = is_word(verb, "fetches"),
		.remove_all = is_word(verb, "removes-all") };
	struct stw_str line, name = STW_STR("Contact: ");

	(void)agent_line(agent, text, &options.registrar, &line);
	if (line.len && !stw_str_starts(line, name))
		return -EINVAL;
	if (line.len)
		options.contacts = stw_str_cut(line, name.len, line.len - 2);
	return stw_ua_register(agent->ua, &options, &agent->registration);
}

static int agent_sends(struct agent *agent, struct stw_str text)
{
	struct stw_ua_message message = { 0 };
	struct agent_extras extras;
	struct stw_str what;

	if (!next_item(&text, '|', &what) || extras_read(agent->s, text, &extras) < 0 ||
		!next_word(&what, &message.method) || !next_word(&what, &message.uri))
		return -EINVAL;
	message.headers = extras.headers;
	message.body = extras.body.len ? extras.body
				       : expand(agent->s, agent->s->nobody, stw_str_trim(what));
	if (message.body.len)
		message.content_type = extras.content_type.len      ? extras.content_type
				       : message.body.ptr[0] == '<' ? STW_STR("text/html")
								    : STW_STR("text/plain");
	message.other_type = extras.other_type;
	message.other_body = extras.other_body;
	return stw_ua_send(agent->ua, &message);
}

/* The other one of its sessions is meant from now on. */
static int agent_switch(struct agent *agent)
{
	struct stw_session *session = agent->second;

	if (!session)
		return -ENOENT;
	agent->second = agent->session;
	agent->session = session;
	return 0;
}

/* "sip:a@x to call sip:b@y", then perhaps "silently". */
static int agent_asks(struct agent *agent, struct stw_str text)
{
	struct stw_refer_options options = { 0 };
	struct stw_str word;

	if (!next_word(&text, &options.uri) || !next_word(&text, &word) || !is_word(word, "to") ||
		!next_word(&text, &word) || !is_word(word, "call") ||
		!next_word(&text, &options.refer_to))
		return -EINVAL;
	options.refer_to = expand(agent->s, agent->s->nobody, options.refer_to);
	options.no_subscription = is_word(text, "silently");
	return stw_ua_refer(agent->ua, &options);
}

/* "192.0.2.20": it goes on from another address, and tells the peer of its session. */
static int agent_move(struct agent *agent, struct stw_str text)
{
	struct stw_listeners *listeners = &agent->s->listeners;
	struct stw_addr addr;

	if (!agent->session || stw_addr_from_host(text, 0, &addr) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < listeners->n; i++) {
		addr.port = listeners->v[i].bind.port;
		listeners->v[i].bind = addr;
	}
	agent->abilities.address = keep(agent->s, text);
	return stw_session_renew(agent->session);
}

/* "603", "603 | +Retry-After: 300" */
static int session_refuses(struct agent *agent, struct stw_str text)
{
	struct agent_extras extras;
	struct stw_str what;
	uint64_t code;

	if (!next_item(&text, '|', &what) || stw_str_to_uint(what, 699, &code) < 0 ||
		extras_read(agent->s, text, &extras) < 0)
		return -EINVAL;
	return stw_session_refuse(agent->session, (unsigned)code, STW_STR_NONE, extras.headers);
}

/* What needs a session. */
static int session_does(struct agent *agent, struct stw_str verb, struct stw_str text)
{
	struct stw_session *session = agent->session;
	uint64_t code = 0;

	if (!session)
		return -ENOENT;
	(void)stw_str_to_uint(text, 699, &code);
	if (is_word(verb, "rings"))
		return stw_session_ring(session, code ? (unsigned)code : 180);
	if (is_word(verb, "accepts"))
		return stw_session_accept(session);
	if (is_word(verb, "refuses"))
		return session_refuses(agent, text);
	if (is_word(verb, "holds") || is_word(verb, "resumes"))
		return stw_session_hold(session, verb.ptr[0] == 'h');
	if (is_word(verb, "refers") && is_word(text, "to second"))
		return stw_session_refer_to_session(session, agent->second, NULL);
	if (is_word(verb, "refers"))
		return stw_session_refer(session, text, NULL);
	if (is_word(verb, "mixes"))
		return stw_session_focus(session);
	if (is_word(verb, "informs"))
		return stw_session_send(
			session, STW_STR("INFO"), STW_STR_NONE, STW_STR_NONE, STW_STR_NONE, NULL);
	if (is_word(verb, "dials"))
		return stw_session_dial(session, text);
	if (is_word(verb, "ends"))
		return stw_session_end(session,
			       text.len ? print(agent->s, "%.*s\r\n", STW_STR_ARG(unquoted(text)))
					: STW_STR_NONE),
		       0;
	return -EINVAL;
}

/* It has no store, no configuration and no life of its own. @return true: that is told */
bool agent_lacks(struct scenario *s, struct stw_str verb)
{
	static const char *const verbs[] = { "store", "restart", "reload", "drain", "stop" };

	for (size_t i = 0; i < STW_ARRAY_SIZE(verbs); i++)
		if (is_word(verb, verbs[i]))
			return fail(s, "\"%s\" is for a server, and this is an agent", verbs[i]) <
			       0;
	return false;
}

int agent_does(struct scenario *s, struct stw_str verb, struct stw_str text)
{
	struct agent *agent = s->agent;
	int err;

	stw_stack_begin(agent->stack, s->now);
	if (is_word(verb, "calls"))
		err = agent_call(agent, text, false, false);
	else if (is_word(verb, "calls-without-offer"))
		err = agent_call(agent, text, true, false);
	else if (is_word(verb, "calls-anonymously"))
		err = agent_call(agent, text, false, true);
	else if (is_word(verb, "registers") || is_word(verb, "fetches") ||
		 is_word(verb, "removes-all"))
		err = agent_register(agent, verb, text);
	else if (is_word(verb, "unregisters") && agent->registration)
		stw_registration_end(agent->registration), err = 0;
	else if (is_word(verb, "asks"))
		err = agent_asks(agent, text);
	else if (is_word(verb, "sends"))
		err = agent_sends(agent, text);
	else if (is_word(verb, "stops"))
		stw_ua_stop(agent->ua), err = 0;
	else if (is_word(verb, "switches"))
		err = agent_switch(agent);
	else if (is_word(verb, "moves"))
		err = agent_move(agent, text);
	else
		err = session_does(agent, verb, text);
	stw_stack_end(agent->stack);
	if (err < 0)
		return fail(s, "the agent cannot: %s", strerror(-err));
	return 0;
}
