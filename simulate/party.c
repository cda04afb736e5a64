/* SPDX-License-Identifier: Apache-2.0 */
/* What the agents of a scene do, and what they are told. */
#include "simulate/agents.h"

#include <stdlib.h>
#include <string.h>

#define TRANSACTIONS_MAX 1000
#define TIMER_C_MS       181000
#define HASTE            15 /* per mille: the user acts within the event that he is told */

static const struct stw_str texts[] = { { "one", 3 }, { "two", 3 } };

/* ---- legs -------------------------------------------------------------------------------------
 */

static struct leg *leg_of(const struct party *party, const struct stw_session *session)
{
	struct leg *leg = party->scene->legs;

	while (leg && (leg->party != party || leg->session != session))
		leg = leg->next;
	return leg;
}

static struct leg *leg_need(struct party *party, struct stw_session *session)
{
	struct scene *scene = party->scene;
	struct leg *leg = leg_of(party, session);

	if (leg)
		return leg;
	leg = must_alloc(sizeof(*leg));
	leg->party = party;
	leg->session = session;
	leg->number = scene->leg_count++;
	leg->caller = stw_session_is_caller(session);
	leg->next = scene->legs;
	scene->legs = leg;
	scene_plan_leg(leg, scene_below(scene, 4000));
	return leg;
}

struct stw_str leg_call_id(const struct leg *leg)
{
	return stw_str_from(leg->call_id);
}

static void leg_learn(struct leg *leg)
{
	const struct stw_msg *invite = stw_session_invite(leg->session);

	if (!leg->call_id[0] && invite)
		snprintf(leg->call_id, sizeof(leg->call_id), "%.*s", STW_STR_ARG(invite->call_id));
}

struct leg *leg_peer(const struct leg *leg)
{
	const struct stw_dialog *dialog = stw_session_dialog(leg->session), *other;
	struct leg *peer = leg->party->scene->legs;

	for (; dialog && peer; peer = peer->next) {
		if (peer == leg || !peer->session)
			continue;
		other = stw_session_dialog(peer->session);
		if (other && stw_dialog_is(
				     other, dialog->call_id, dialog->remote_tag, dialog->local_tag))
			return peer;
	}
	return NULL;
}

static void leg_over(struct leg *leg, const struct stw_ua_event *event)
{
	leg->session = NULL;
	leg->code = event->code;
	leg->by_us = event->by_us;
	leg->changing = false;
}

void legs_free(struct scene *scene)
{
	struct leg *leg;
	struct job *job;

	while ((leg = scene->legs)) {
		scene->legs = leg->next;
		free(leg);
	}
	while ((job = scene->jobs)) {
		scene->jobs = job->next;
		free(job);
	}
}

/* ---- what an agent is told ---------------------------------------------------------------------
 */

static void told(struct party *party, const struct stw_ua_event *event, struct leg *leg)
{
	struct scene *scene = party->scene;
	const struct stw_msg *msg = event->msg;
	struct stw_str call_id = leg ? leg_call_id(leg) : msg ? msg->call_id : STW_STR_NONE;

	if (scene->options->ladder)
		scene_line(scene, call_id, "%14sp%u is told: %s %u %.*s%s", "", party->index,
			stw_ua_event_name(event->kind), event->code, STW_STR_ARG(event->phrase),
			event->by_us ? ", by us" : "");
}

static void told_established(struct leg *leg)
{
	if (leg->established)
		scene_wrong(leg->party->scene, leg_call_id(leg), "p%u: established twice",
			leg->party->index);
	leg->established = true;
}

static void told_joined(struct leg *leg, const struct stw_ua_event *event)
{
	struct leg *other = event->other ? leg_of(leg->party, event->other) : NULL;

	leg->mixed = true;
	if (other)
		other->mixed = true;
}

static void told_changed(struct leg *leg, unsigned code)
{
	/* A refresh of its timer was refused, or it says that it is a focus. */
	if (!leg->changing && (code >= 300 || leg->mixed))
		return;
	if (!leg->changing)
		scene_wrong(leg->party->scene, leg_call_id(leg),
			"p%u: a change has ended that was not begun", leg->party->index);
	leg->changing = false;
	leg->changed_to = code;
}

static void told_response(struct party *party, struct job *job)
{
	if (job && ++job->answers > 1)
		scene_wrong(
			party->scene, STW_STR_NONE, "p%u: an answer is told twice", party->index);
}

static void party_event(void *user, const struct stw_ua_event *event)
{
	struct party *party = user;
	struct scene *scene = party->scene;
	struct leg *leg = event->session ? leg_of(party, event->session) : NULL;
	bool over = event->session && stw_session_state(event->session) == STW_SESSION_ENDED;

	if (event->session && !leg && !over)
		leg = leg_need(party, event->session);
	if (leg)
		leg_learn(leg);
	if (leg)
		leg->told = true;
	told(party, event, leg);
	if (event->kind == STW_UA_RESPONSE)
		told_response(party, event->job);
	if (!leg)
		return;
	if (event->kind == STW_UA_ACCEPTED)
		leg->accepted = true;
	else if (event->kind == STW_UA_JOINED)
		told_joined(leg, event);
	else if (event->kind == STW_UA_REPLACED) /* it ends, as if its user had said so */
		leg->ended_by_user = true;
	else if (event->kind == STW_UA_ESTABLISHED)
		told_established(leg);
	else if (event->kind == STW_UA_CHANGED)
		told_changed(leg, event->code);
	if (over)
		leg_over(leg, event);
	else if (!scene->calm && scene_chance(scene, HASTE))
		leg_acts(leg);
}

static const struct stw_sdp_abilities *party_media(void *user, struct stw_session *session)
{
	struct party *party = user;
	struct leg *leg;

	if (!party->has_media)
		return NULL;
	leg = leg_need(party, session);
	if (!leg->port_of) {
		party->ports++;
		leg->port_of = session;
		leg->port = (uint16_t)(10000 + 2 * (leg->number % 25000));
	}
	leg->abilities = (struct stw_sdp_abilities){ .codecs = party->codecs,
		.codec_count = party->codecs[1].name.len ? 2 : 1,
		.address = stw_str_from(party->address),
		.rtp_port = leg->port,
		.qos = party->qos };
	return &leg->abilities;
}

static void party_media_done(void *user, struct stw_session *session)
{
	struct party *party = user;
	struct leg *leg = party->scene->legs;

	while (leg && (leg->party != party || leg->port_of != session))
		leg = leg->next;
	if (!leg) {
		scene_wrong(
			party->scene, STW_STR_NONE, "p%u gives a port back twice", party->index);
		return;
	}
	if (leg->session && leg->told)
		scene_wrong(
			party->scene, leg_call_id(leg), "p%u was not told of an end", party->index);
	leg->session = NULL;
	leg->port_of = NULL;
	party->ports--;
}

static const struct stw_ua_ops ua_ops = {
	.event = party_event, .media = party_media, .media_done = party_media_done
};

/* ---- what an agent does ------------------------------------------------------------------------
 */

/* A party itself, the proxy for one or for several at once, or nobody. */
static bool somebody(struct party *party, char uri[48])
{
	struct scene *scene = party->scene;
	unsigned to = (unsigned)scene_below(scene, PARTIES),
		 way = (unsigned)scene_below(scene, 100);

	if (to == party->index && way < 97)
		to = (to + 1) % PARTIES;
	if (way < 60)
		snprintf(uri, 48, "sip:p%u@192.0.2.%u", to, to + 1);
	else if (way < 70)
		snprintf(uri, 48, "sip:p%u@192.0.2.%u", to, FORK + 1);
	else if (way < 99)
		snprintf(uri, 48, "sip:g%u@192.0.2.%u",
			1 + (unsigned)scene_below(scene, (1 << PARTIES) - 1), FORK + 1);
	else
		snprintf(uri, 48, "sip:nobody@192.0.2.77");
	return way < 60;
}

static struct job *job_new(struct scene *scene, struct leg *leg)
{
	struct job *job = must_alloc(sizeof(*job));

	job->leg = leg;
	job->next = scene->jobs;
	scene->jobs = job;
	return job;
}

static void party_asks(struct party *party, const char *uri)
{
	struct scene *scene = party->scene;
	bool options = scene_chance(scene, 500);
	struct job *job = job_new(scene, NULL);
	struct stw_ua_message message = {
		.method = options ? STW_STR("OPTIONS") : STW_STR("MESSAGE"),
		.uri = stw_str_from(uri),
		.job = job,
	};

	if (!options) {
		message.content_type = STW_STR("text/plain");
		message.body = texts[scene_below(scene, STW_ARRAY_SIZE(texts))];
	}
	job->begun = stw_ua_send(party->ua, &message) == 0;
}

/* Later, in a batch of its own: the one that is under way may be another party's. */
static void scene_call(struct party *party, const struct stw_session_options *options)
{
	struct scene *scene = party->scene;
	struct happening *happening =
		agenda_make(&scene->agenda, PARTY_TAKES, scene->now.mono_ms + 1);

	happening->who = party->index;
	happening->data = must_copy(options->uri.ptr, options->uri.len);
	happening->whole = must_copy(options->headers.ptr, options->headers.len);
	agenda_add(&scene->agenda, happening);
}

void party_takes_over(struct party *party, const char *uri, const char *headers)
{
	struct stw_session_options options = { .uri = stw_str_from(uri),
		.headers = stw_str_from(headers) };
	struct stw_session *session = NULL;

	if (stw_ua_call(party->ua, &options, &session) == 0 && session)
		leg_need(party, session)->told = true;
}

void party_calls(struct party *party)
{
	struct scene *scene = party->scene;
	char uri[48];
	bool direct = somebody(party, uri);
	struct stw_session_options options = { .uri = stw_str_from(uri),
		.late_offer = scene_chance(scene, 200),
		.anonymous = scene_chance(scene, 50) };
	struct stw_session *session = NULL;
	struct leg *leg;

	if (scene_chance(scene, 150)) {
		party_asks(party, uri);
		return;
	}
	if (stw_ua_call(party->ua, &options, &session) < 0 || !session)
		return;
	leg = leg_need(party, session);
	leg->told = true;
	leg->direct = direct;
	leg_learn(leg);
	if (scene_chance(scene, 150)) { /* at any moment before an answer */
		leg->ended_by_user = true;
		stw_session_end(session, STW_STR_NONE);
	}
}

static void leg_refuses(struct leg *leg)
{
	static const unsigned codes[] = { 302, 404, 408, 480, 486, 488, 500, 503, 600, 603 };
	struct scene *scene = leg->party->scene;
	unsigned code = codes[scene_below(scene, STW_ARRAY_SIZE(codes))];
	char lines[80] = "";

	if (code == 302)
		snprintf(lines, sizeof(lines), "Contact: <sip:p%u@192.0.2.%u>\r\n",
			(leg->party->index + 1) % PARTIES, (leg->party->index + 1) % PARTIES + 1);
	stw_session_refuse(leg->session, code, STW_STR_NONE, stw_str_from(lines));
}

static void leg_answers(struct leg *leg)
{
	struct scene *scene = leg->party->scene;

	switch (scene_below(scene, scene->calm ? 4 : 10)) {
	case 0:
		leg_refuses(leg);
		break;
	case 1:
	case 2:
	case 3:
		stw_session_accept(leg->session);
		break;
	case 4:
	case 5:
		stw_session_ring(leg->session, 183);
		break;
	case 6:
		leg->ended_by_user = true;
		stw_session_end(leg->session, STW_STR_NONE);
		break;
	default:
		stw_session_ring(leg->session, 180);
	}
}

int leg_hold(struct leg *leg, bool hold)
{
	int err;

	/* What is told during the call belongs to it. */
	if (!leg->changing) {
		leg->changing = true;
		err = stw_session_hold(leg->session, hold);
		leg->changing = leg->changing && err == 0;
		return err;
	}
	err = stw_session_hold(leg->session, hold);
	if (err == 0)
		scene_wrong(leg->party->scene, leg_call_id(leg),
			"p%u: a change begins while another one is under way", leg->party->index);
	return err;
}

/* As after a change of its address. */
static void leg_renews(struct leg *leg)
{
	bool changing = leg->changing;

	leg->changing = true;
	leg->changing = (stw_session_renew(leg->session) == 0 && leg->changing) || changing;
}

/* Its user, from another telephone, takes its place or joins it (RFC 3891, RFC 3911). */
static void leg_is_taken(struct leg *leg)
{
	struct scene *scene = leg->party->scene;
	const struct stw_dialog *dialog = stw_session_dialog(leg->session);
	struct party *party = &scene->stations[(leg->party->index + 1) % PARTIES];
	struct stw_session_options options = { 0 };
	char uri[48], headers[300];

	if (!dialog || scene->leg_count > LEGS_OF_ONE * scene->options->calls)
		return;
	snprintf(uri, sizeof(uri), "sip:p%u@%s", leg->party->index, leg->party->address);
	snprintf(headers, sizeof(headers), "%s: %.*s;to-tag=%.*s;from-tag=%.*s\r\n",
		scene_more(scene, 500) ? "Replaces" : "Join", STW_STR_ARG(dialog->call_id),
		STW_STR_ARG(dialog->local_tag), STW_STR_ARG(dialog->remote_tag));
	options.uri = stw_str_from(uri);
	options.headers = stw_str_from(headers);
	scene_call(party, &options);
}

/* Another session of the same agent that stands. */
static struct leg *leg_beside(const struct leg *leg)
{
	struct leg *other = leg->party->scene->legs;

	while (other && (other == leg || other->party != leg->party || !other->session ||
				stw_session_state(other->session) != STW_SESSION_CONFIRMED))
		other = other->next;
	return other;
}

static void leg_transfers(struct leg *leg)
{
	struct scene *scene = leg->party->scene;
	struct leg *other = scene_chance(scene, 500) ? leg_beside(leg) : NULL;
	struct job *job;
	char uri[48];

	if (scene->leg_count > LEGS_OF_ONE * scene->options->calls)
		return;
	job = job_new(scene, leg);
	somebody(leg->party, uri);
	job->begun = other ? stw_session_refer_to_session(leg->session, other->session, job) == 0
			   : stw_session_refer(leg->session, stw_str_from(uri), job) == 0;
}

static void leg_says(struct leg *leg)
{
	struct scene *scene = leg->party->scene;
	bool info = scene_chance(scene, 500);
	struct job *job = job_new(scene, leg);

	job->begun = stw_session_send(leg->session, info ? STW_STR("INFO") : STW_STR("MESSAGE"),
			     STW_STR_NONE, STW_STR("text/plain"),
			     texts[scene_below(scene, STW_ARRAY_SIZE(texts))], job) == 0;
}

/* Both ends of the session act at the same time. */
static void leg_duels(struct leg *leg)
{
	struct leg *peer = leg_peer(leg);
	uint64_t in_ms = scene_below(leg->party->scene, 100);

	scene_plan_leg(leg, in_ms);
	if (peer)
		scene_plan_leg(peer, in_ms);
}

static void leg_talks(struct leg *leg)
{
	struct scene *scene = leg->party->scene;
	unsigned what = (unsigned)scene_below(scene, 100);

	if (scene_more(scene, 100)) {
		leg_renews(leg);
		return;
	}
	if (scene_more(scene, 100)) {
		leg_is_taken(leg);
		return;
	}
	if (what < 40)
		(void)leg_hold(leg, scene_chance(scene, 500));
	else if (what < 55)
		leg_duels(leg);
	else if (what < 70)
		leg_says(leg);
	else if (what < 80)
		leg_transfers(leg);
	else {
		leg->ended_by_user = true;
		stw_session_end(leg->session, STW_STR_NONE);
	}
}

void leg_acts(struct leg *leg)
{
	struct scene *scene = leg->party->scene;

	switch (stw_session_state(leg->session)) {
	case STW_SESSION_INCOMING:
		leg_answers(leg);
		break;
	case STW_SESSION_CALLING:
	case STW_SESSION_ACCEPTED:
		if (!scene_chance(scene, 250))
			break;
		leg->ended_by_user = true;
		stw_session_end(leg->session, STW_STR_NONE);
		break;
	case STW_SESSION_CONFIRMED:
		if (!scene->calm)
			leg_talks(leg);
		break;
	case STW_SESSION_ENDED:
		break;
	}
}

/* ---- stations ----------------------------------------------------------------------------------
 */

static void party_request(void *core, struct stw_request *request)
{
	struct party *party = core;

	if (!stw_ua_request(party->ua, request))
		stw_request_drop(request, &stw_cause_ua_no_dialog);
}

/* "g5": the first and the third party; "p1": the second one. */
static unsigned fork_targets(
	const struct stw_uri *uri, struct stw_proxy_target targets[PARTIES], char uris[PARTIES][48])
{
	bool group = uri->user.len && uri->user.ptr[0] == 'g';
	uint64_t number = 0;
	unsigned n = 0;

	if (stw_str_to_uint(stw_str_cut(uri->user, 1, uri->user.len), 255, &number) < 0)
		return 0;
	for (unsigned i = 0; i < PARTIES; i++) {
		if (group ? !(number >> i & 1) : number != i)
			continue;
		snprintf(uris[n], 48, "sip:p%u@192.0.2.%u", i, i + 1);
		targets[n] = (struct stw_proxy_target){ .uri = stw_str_from(uris[n]), .q = 1000 };
		n++;
	}
	return n;
}

static void fork_request(void *core, struct stw_request *request)
{
	struct party *party = core;
	struct stw_refusal refusal = { 0 };
	struct stw_proxy_target targets[PARTIES];
	char uris[PARTIES][48];
	struct stw_proxy_job job = { .targets = targets };
	struct stw_addr addr;
	const struct stw_cause *cause = stw_request_validate(request, &refusal);
	const struct stw_uri *uri = &request->routing.uri;
	bool ours;

	if (!cause)
		cause = stw_request_preprocess(request);
	ours = !cause && !request->routing.has_route &&
	       stw_addr_from_host(uri->host, 5060, &addr) == 0 &&
	       stw_addr_same_ip(&addr, &party->addr);
	if (!cause && ours) {
		job.n = fork_targets(uri, targets, uris);
		cause = job.n ? NULL : &stw_cause_ua_not_me;
	}
	refusal.cause = cause;
	if (request->msg->method == STW_METHOD_ACK || request->msg->method == STW_METHOD_CANCEL) {
		if (cause || ours)
			stw_request_drop(request, &stw_cause_ua_no_dialog);
		else
			stw_request_forward_stateless(request, NULL);
	} else if (cause) {
		stw_request_refuse(request, &refusal);
	} else {
		stw_request_proxy(request, &job);
	}
}

static int party_stack(
	struct party *party, const struct stw_io_ops *io, const struct stw_core_ops *core)
{
	struct scene *scene = party->scene;
	struct stw_stack_options options = { .io = io,
		.io_user = party,
		.core = core,
		.core_user = party,
		.key = { party->index, 7 },
		.seed = stw_random_next(&scene->random),
		.listeners = &party->listeners,
		.local_addrs = { party->addr },
		.local_addr_count = 1,
		.max_transactions = TRANSACTIONS_MAX,
		.overload = { .target_ms = 25 },
		.flows = { .max_flows = 4,
			.max_per_source = 4,
			.idle_ms = 3600000,
			.message_ms = 10000,
			.message = stw_msg_limits_default },
		.proxy = { .max_breadth = 60, .max_branches = 32, .timer_c_ms = TIMER_C_MS } };

	party->listeners.n = 1;
	party->listeners.v[0].transport = STW_TRANSPORT_UDP;
	party->listeners.v[0].bind = party->addr;
	return stw_stack_new(&options, scene->now, &party->stack);
}

static void party_policy(struct party *party, struct stw_ua_policy *policy)
{
	struct scene *scene = party->scene;

	policy->reliable = scene_chance(scene, 400);
	policy->automatic = scene_chance(scene, 250);
	policy->ring_ms = (uint32_t)(scene_chance(scene, 300) ? 0 : scene_below(scene, 4000));
	policy->early_media = scene_chance(scene, 300);
	policy->refuse_transfer = scene_chance(scene, 100);
	if (scene_chance(scene, 100))
		policy->lines = 2;
	if (scene_chance(scene, 100))
		policy->min_se_s = 120;
	if (scene_chance(scene, 50))
		policy->require = STW_STR("timer");
	if (scene_chance(scene, 50))
		policy->reject_anonymous = true;
	if (scene_chance(scene, 60))
		policy->dnd = true;
	if (scene_chance(scene, 60)) {
		snprintf(party->redirect, sizeof(party->redirect), "sip:p%u@192.0.2.%u",
			(party->index + 1) % PARTIES, (party->index + 1) % PARTIES + 1);
		policy->redirect = stw_str_from(party->redirect);
	}
	policy->send_199 = scene_more(scene, 300);
	policy->mixes = scene_more(scene, 500);
	policy->refuse_takeover = scene_more(scene, 150);
	policy->qos = party->qos != STW_SDP_QOS_NONE;
	policy->reserve_ms = scene_more(scene, 500) ? 700 : 0;
	if (scene_chance(scene, 100)) {
		policy->auth_realm = STW_STR("scene");
		policy->auth_user = STW_STR("friend");
		policy->auth_password = STW_STR("secret");
	}
}

int party_start(struct party *party, const struct stw_io_ops *io)
{
	static const struct stw_core_ops party_core = { .request = party_request };
	static const struct stw_core_ops fork_core = { .request = fork_request };
	struct scene *scene = party->scene;
	bool fork = party->index == FORK;
	struct stw_ua_options options = { .ops = &ua_ops, .user = party };
	int err = party_stack(party, io, fork ? &fork_core : &party_core);

	if (err < 0 || fork)
		return err;
	party->has_media = !scene_chance(scene, 40);
	party->codecs[0] = stw_sdp_codecs_default[scene_chance(scene, 100)];
	if (scene_more(scene, 400))
		party->qos = scene_more(scene, 400) ? STW_SDP_QOS_MANDATORY : STW_SDP_QOS_SUPPORTED;
	if (scene_chance(scene, 800))
		party->codecs[1] = stw_sdp_codecs_default[!party->codecs[0].payload_type];
	snprintf(party->aor, sizeof(party->aor), "sip:p%u@%s", party->index, party->address);
	options.stack = party->stack;
	options.aor = stw_str_from(party->aor);
	options.session_expires_s =
		scene_chance(scene, 500) ? 90 + (uint32_t)scene_below(scene, 60) : 0;
	options.follow_redirects = scene_chance(scene, 700);
	options.auth_user = STW_STR("friend");
	options.auth_password = scene_chance(scene, 800) ? STW_STR("secret") : STW_STR_NONE;
	party_policy(party, &options.policy);
	return stw_ua_new(&options, &party->ua);
}

void party_end(struct party *party)
{
	stw_ua_free(party->ua);
	stw_stack_free(party->stack);
}
