/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues: who is logged in, and what must come of those who wait. A model of its own: it knows what
 * the server has acknowledged, and sees what it takes and sends. Certain is only what a message has
 * told; what is not certain is not held against the server.
 */
#include "simulate/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/rcu.h>

#include "server/queue/queue.h"

#define TICK_MS      3000
#define LATE_MS      1000   /* a timer of the server that is due has been heard by then */
#define BRANCHES_MAX 28     /* limits.max_branches, less those that are kept for the overflow */
#define IDLE_MS      70000  /* his last call may ring elsewhere meanwhile */
#define CHANGES_MS   100000 /* agents come and go for so long behind the last call */
#define NOBODY       (-1)

/* Somebody who has called a queue, from his INVITE to the end of the call. */
struct queue_caller {
	struct queue_caller *next, *made_before;
	unsigned boot, queue, stalls;
	char call_id[80];
	int priority;
	uint64_t order, in_ms;
	unsigned expires_s; /* of his INVITE; 0: none */
	bool no_queue;
	bool listed; /* among the callers of the node */
	bool gone;   /* he has hung up, or the host says that he hears nothing */
	bool over;   /* there is a final response */
	/* what the messages of the server tell */
	bool in_line, waits, rung;
	bool unfit; /* for an agent at least: others may come first */
	uint64_t told_ms;
	unsigned told_place;
	int agent;               /* who rings */
	unsigned open, branches; /* INVITEs to phones: under way, and all */
	bool misfit; /* a phone that rang for him spoke of what he had sent: it may count, or not */
	uint64_t ring_ms;
	int answered_by;
	bool too_late; /* for the queue he had waited for too long, and was its caller no more */
	unsigned answers;
	uint64_t waits_ms, waited_ms, told_batch, waits_batch, rung_batch, left_batch;
	uint64_t given_batch; /* an agent was found for him; he is rung when his name is known */
};

static bool watched(const struct node *node)
{
	return node->world->queues && strict(node->world);
}

static const struct service_queue *queue_of(
	const struct node *node, const struct queue_caller *caller)
{
	return &node->queues[caller->queue];
}

static bool admits(const struct service_queue *queue, unsigned user)
{
	return !queue->agents || (queue->agents >> user & 1);
}

/* ---- agents come and go ---------------------------------------------------------------------- */

struct login {
	struct stw_question question;
	struct node *node;
	unsigned user, queue;
	enum stw_queue_act act;
	char name[12];
	struct stw_queue_change change;
	struct stw_setting_error error;
};

static void login_acknowledged(struct node *node, const struct login *login)
{
	struct queue_agent *agent = &node->agents[login->user];
	unsigned bit = 1u << login->queue;

	agent->logged_in =
		login->act == STW_QUEUE_LOGOUT ? agent->logged_in & ~bit : agent->logged_in | bit;
	agent->paused = login->act == STW_QUEUE_PAUSE ? agent->paused | bit : agent->paused & ~bit;
	/* What he has not answered is forgiven, and who logs in wants to be rung. */
	agent->changed_ms = node->world->now.mono_ms;
	agent->wrapped_ms = agent->rests_ms = 0;
	agent->let_pass = false;
}

static void login_answered(struct stw_question *question)
{
	struct login *login = (struct login *)question;
	struct node *node = login->node;
	struct queue_agent *agent = &node->agents[login->user];

	agent->changing--;
	if (question->error == 0)
		login_acknowledged(node, login);
	else if (node->disk.writes_left != UINT_MAX)
		agent->unknown = true;
	free(login);
}

static struct stw_str aor_of(const struct node *node, unsigned user, char buffer[40])
{
	return (struct stw_str){ buffer,
		(size_t)snprintf(buffer, 40, "sip:u%u@%s", user, node->domain) };
}

static void login_choose(struct node *node, struct login *login)
{
	struct world *world = node->world;
	unsigned roll = (unsigned)queue_below(world, 100);

	login->node = node;
	login->queue = (unsigned)queue_below(world, QUEUES);
	login->user = (unsigned)queue_below(world, USERS);
	login->act = roll < 65 ? STW_QUEUE_LOGIN : roll < 80 ? STW_QUEUE_LOGOUT : STW_QUEUE_PAUSE;
}

static void queues_change(struct node *node)
{
	struct login *login = must_alloc(sizeof(*login));
	char aor[40];
	int err;

	login_choose(node, login);
	err = stw_queue_change(node->config,
		stw_directory_find(node->directory, aor_of(node, login->user, aor)), login->act,
		stw_str_from(node->queues[login->queue].name), &login->change);
	if (err < 0) {
		free(login);
		return;
	}
	snprintf(login->name, sizeof(login->name), "u%u", login->user);
	login->question.kind = STW_QUESTION_SETTINGS;
	login->question.text = stw_str_from(login->name);
	login->question.job.settings = login->change.settings;
	login->question.job.setting_count = STW_ARRAY_SIZE(login->change.settings);
	login->question.job.setting_error = &login->error;
	login->question.answered = login_answered;
	node->agents[login->user].changing++;
	stw_core_begin(node->core, node->world->now);
	stw_core_question(node->core, &login->question);
	stw_core_work(node->core);
	stw_core_end(node->core);
	rules_batch_end(node);
	stw_rcu_quiescent();
}

/* Two or three agents for each queue, before the first call. */
void queues_begin(struct node *node)
{
	for (unsigned i = 0; node->world->queues && i < 3 * QUEUES; i++) {
		struct login login = { .node = node,
			.queue = i % QUEUES,
			.user = (unsigned)queue_below(node->world, USERS),
			.act = STW_QUEUE_LOGIN };
		char text[40], aor[40];
		struct stw_str setting = { text, (size_t)snprintf(text, sizeof(text), "queues+=%s",
							 node->queues[login.queue].name) };
		struct stw_job job = { .kind = STW_JOB_SETTINGS,
			.now = node->world->now,
			.settings = &setting,
			.setting_count = 1,
			.setting_error = &login.error };

		if (!admits(&node->queues[login.queue], login.user))
			continue;
		job.aor = aor_of(node, login.user, aor);
		stw_store_submit(node->store, &job);
		stw_store_run(node->store);
		if (stw_store_result(node->store, 0) != &job || job.cause || job.refused)
			wrong(node->world, STW_STR_NONE, "u%u cannot log in", login.user);
		else
			login_acknowledged(node, &login);
	}
}

void queues_adopt(struct node *node)
{
	char text[40];

	for (unsigned user = 0; user < USERS; user++) {
		struct queue_agent *agent = &node->agents[user];
		const struct stw_user *found =
			stw_directory_find(node->directory, aor_of(node, user, text));
		const struct stw_settings *settings = found ? found->settings : NULL;

		if (!agent->unknown && !agent->changing)
			continue;
		*agent = (struct queue_agent){ 0 };
		for (unsigned i = 0; settings && i < QUEUES; i++) {
			struct stw_str name = stw_str_from(node->queues[i].name);

			if (stw_setting_list_has(&settings->queues, name))
				agent->logged_in |= 1u << i;
			if (stw_setting_list_has(&settings->queues_paused, name))
				agent->paused |= 1u << i;
		}
	}
}

/* ---- callers --------------------------------------------------------------------------------- */

/* To a queue instead of a user, perhaps. */
void queue_call(struct world *world, struct call *call, char *uri, size_t uri_size)
{
	call->queue = NOBODY;
	if (!world->queues || !call->plain || call->group >= 0 || !queue_chance(world, 250))
		return;
	call->queue = (int)queue_below(world, QUEUES);
	call->oracle = false;
	snprintf(uri, uri_size, "sip:%s@d%u.example",
		world->nodes[call->node].queues[call->queue].name, call->node);
}

/* How urgent he is, and whether he wants to wait. */
void queue_lines(struct world *world, const struct call *call, char *lines, size_t size)
{
	size_t len = strlen(lines);

	if (call->queue < 0)
		return;
	if (queue_chance(world, 150))
		len += (size_t)snprintf(lines + len, size - len, "Priority: %s\r\n",
			queue_chance(world, 500) ? "urgent" : "non-urgent");
	if (queue_chance(world, 60))
		snprintf(lines + len, size - len, "Request-Disposition: no-queue\r\n");
}

static int priority_of(const struct sip *sip)
{
	return sip_is(sip->priority, "urgent") ? 1 : sip_is(sip->priority, "non-urgent") ? -1 : 0;
}

static void caller_begins(struct node *node, struct queue_caller *caller)
{
	if (!caller->listed) {
		caller->next = node->callers;
		node->callers = caller;
	}
	caller->listed = true;
	caller->over = false;
	caller->order = ++node->world->serial;
	caller->in_ms = node->world->now.mono_ms;
}

/* A refusal keeps no state: the request, sent again, may be one for who has become free. */
static void caller_begins_again(struct node *node, struct queue_caller *caller)
{
	if (caller->over && !caller->told_ms && !caller->rung)
		caller_begins(node, caller);
}

static void agent_called(struct node *node, const struct sip *sip)
{
	char aor[40];

	for (unsigned user = 0; user < USERS; user++) {
		if (stw_str_equal(sip->uri, aor_of(node, user, aor)))
			node->agents[user].called_ms = node->world->now.mono_ms;
	}
}

struct queue_caller *queue_comes(struct node *node, const struct sip *sip)
{
	struct world *world = node->world;
	struct queue_caller *caller;
	unsigned i = 0;
	char uri[60];

	for (; i < QUEUES; i++) {
		snprintf(uri, sizeof(uri), "sip:%s@%s", node->queues[i].name, node->domain);
		if (stw_str_equal(sip->uri, stw_str_from(uri)))
			break;
	}
	if (!watched(node) || sip->to_tag.len || !sip_is(sip->method, "INVITE"))
		return NULL;
	if (i == QUEUES) {
		agent_called(node, sip);
		return NULL;
	}
	caller = must_alloc(sizeof(*caller));
	caller->made_before = world->queue_callers;
	world->queue_callers = caller;
	caller->boot = node->boots;
	caller->stalls = node->stalls;
	caller->queue = i;
	snprintf(caller->call_id, sizeof(caller->call_id), "%.*s", STW_STR_ARG(sip->call_id));
	caller->priority = priority_of(sip);
	caller->no_queue = sip->disposition.len != 0;
	caller->expires_s = sip->expires_s;
	caller->agent = caller->answered_by = NOBODY;
	caller_begins(node, caller);
	return caller;
}

static bool lives(const struct node *node, const struct queue_caller *caller)
{
	return caller && caller->boot == node->boots;
}

static bool before(const struct queue_caller *a, const struct queue_caller *b)
{
	return a->queue == b->queue && a != b &&
	       (a->priority != b->priority ? a->priority > b->priority : a->order < b->order);
}

static void caller_leaves(struct node *node, struct queue_caller *caller)
{
	if (caller->in_line)
		caller->left_batch = node->queue_batch;
	caller->in_line = caller->waits = false;
	caller->agent = NOBODY;
	caller->open = 0;
}

static bool is_plain(const struct node *node, const struct queue_caller *caller)
{
	const struct call *call = call_of(node->world, stw_str_from(caller->call_id));

	return call && call->plain;
}

/* In the line, or out of it in this batch. */
static unsigned line_length(const struct node *node, unsigned queue)
{
	unsigned n = 0;

	for (const struct queue_caller *other = node->callers; other; other = other->next)
		n += other->queue == queue &&
		     (other->in_line || other->left_batch == node->queue_batch);
	return n;
}

/* What the queue itself says to a caller whom no agent was rung for. */
static void refusal_check(struct node *node, const struct queue_caller *caller, unsigned code)
{
	const struct service_queue *queue = queue_of(node, caller);
	struct stw_str call_id = stw_str_from(caller->call_id);
	uint64_t now = node->world->now.mono_ms;

	if (!is_plain(node, caller))
		return;
	if (code == 408 && caller->waits && now < caller->in_ms + 1000ull * queue->max_wait_s)
		wrong(node->world, call_id, "server%u: 408 to who has waited for %llu ms only",
			node->index, (unsigned long long)(now - caller->in_ms));
	if (caller->told_ms || caller->rung || queue->overflow != NOBODY)
		return;
	if (code == 486 && !caller->no_queue &&
		line_length(node, caller->queue) < queue->max_length)
		wrong(node->world, call_id, "server%u: 486, and only %u of %u wait", node->index,
			line_length(node, caller->queue), queue->max_length);
	for (unsigned user = 0; code == 480 && user < USERS; user++) {
		const struct queue_agent *agent = &node->agents[user];

		if ((agent->logged_in >> caller->queue & 1) && !agent->changing && !agent->unknown)
			wrong(node->world, call_id, "server%u: 480, and u%u is logged in to %s",
				node->index, user, queue->name);
	}
}

/* @return the place that he is told */
static unsigned told_check(
	struct node *node, const struct queue_caller *caller, const struct sip *sip)
{
	const struct service_queue *queue = queue_of(node, caller);
	uint64_t now = node->world->now.mono_ms, gap = now - caller->told_ms;
	unsigned place = 0, wait;
	const char *what = NULL;
	char text[80], unit[4];

	snprintf(text, sizeof(text), "%.*s", STW_STR_ARG(sip->start));
	if (sscanf(text, "SIP/2.0 182 Queued; place %u; wait %u %3s", &place, &wait, unit) != 3)
		what = "cannot be read";
	else if (!place || !wait || (strcmp(unit, "s") == 0 ? wait > 90 : wait < 2))
		what = "tells what cannot be";
	else if (caller->no_queue)
		what = "goes to who does not want to wait";
	else if (caller->stalls != node->stalls)
		return place;
	else if (now > caller->in_ms + 1000ull * queue->max_wait_s + LATE_MS)
		what = "goes to who has waited for too long";
	else if (caller->waits && gap < STW_QUEUE_TELL_MS)
		what = "comes too soon behind the last";
	/* Unless a connection is gone, and shows nothing of it. */
	else if (caller->waits && node->world->calm && gap > 1000ull * queue->announce_s + LATE_MS)
		what = "comes too late behind the last";
	if (what)
		wrong(node->world, sip->call_id, "server%u: \"%s\" %s", node->index, text, what);
	return place;
}

static void caller_told(struct node *node, struct queue_caller *caller, const struct sip *sip)
{
	caller->told_place = told_check(node, caller, sip);
	caller->told_ms = node->world->now.mono_ms;
	caller->told_batch = node->queue_batch;
	if (!caller->waits) {
		caller->waits_batch = node->queue_batch;
		caller->waits_ms = node->world->now.mono_ms;
	}
	caller->in_line = caller->waits = true;
	caller->agent = NOBODY;
	caller->open = 0;
}

void queue_response(
	struct node *node, struct queue_caller *caller, const struct sip *sip, bool again)
{
	if (!lives(node, caller))
		return;
	if (sip->code == 182)
		caller_begins_again(node, caller);
	if (caller->over)
		return;
	if (sip->code == 182) {
		if (!again)
			caller_told(node, caller, sip);
	} else if (sip->code == 181) {
		caller_leaves(node, caller);
	} else if (sip->code >= 200) {
		refusal_check(node, caller, sip->code);
		caller->over = true;
		caller_leaves(node, caller);
	}
}

/* ---- an agent is rung ------------------------------------------------------------------------ */

/* In a calm world who has had no call for long, and nothing to do with one, may be rung. */
static bool is_free(const struct node *node, unsigned user, unsigned queue)
{
	const struct world *world = node->world;
	const struct queue_agent *agent = &node->agents[user];
	const struct device *device = &world->devices[(node->index * USERS + user) * DEVICES_MAX];
	uint64_t now = world->now.mono_ms, idle_ms = IDLE_MS;

	/* His wrap-up time may have begun with the end of another call. */
	for (unsigned i = 0; i < QUEUES; i++)
		idle_ms += 1000ull * node->queues[i].wrap_up_s;
	if (!world->calm || world->loops || world->phones_die)
		return false;
	if (!(agent->logged_in >> queue & 1) || (agent->paused >> queue & 1) || agent->changing ||
		agent->unknown || agent->talks || now < agent->changed_ms + LATE_MS ||
		now < agent->wrapped_ms + LATE_MS || now < agent->rests_ms + LATE_MS ||
		agent->let_pass || node->users[user].dnd || node->users[user].unknown ||
		(agent->called_ms && now < agent->called_ms + idle_ms))
		return false;
	for (unsigned i = 0; i < DEVICES_MAX; i++, device++) {
		if (device->dialogs || device->invites || now < device->call_ms + idle_ms)
			return false;
	}
	return user_bound(world, node->index * USERS + user, now - LATE_MS);
}

static void ring_check(struct node *node, const struct queue_caller *caller, unsigned user)
{
	const struct queue_agent *agent = &node->agents[user];
	const struct queue_caller *other = node->callers;
	uint64_t now = node->world->now.mono_ms;
	const char *what = NULL;

	if (agent->changing || agent->unknown)
		return;
	if (!(agent->logged_in >> caller->queue & 1))
		what = "is not logged in";
	else if (agent->paused >> caller->queue & 1)
		what = "has paused";
	else if (agent->talks)
		what = "is in a call of a queue";
	else if (now < agent->wrapped_ms)
		what = "has wrap-up time";
	else if (now < agent->rests_ms)
		what = "has just let a call pass";
	else if (caller->waited_ms > LATE_MS && is_free(node, user, caller->queue))
		what = "could have been long ago";
	for (; other; other = other->next) {
		if (other != caller && other->agent == (int)user && other->open && !other->over &&
			now < other->ring_ms + 1000ull * queue_of(node, other)->agent_timeout_s)
			what = "rings for another caller";
	}
	if (what)
		wrong(node->world, stw_str_from(caller->call_id),
			"server%u: u%u is rung for queue %s, and %s", node->index, user,
			queue_of(node, caller)->name, what);
}

/* An agent is his: a phone whose connection is gone, or not there yet, shows nothing of it. Or he
 * is not his any more: one that has said nothing gets no CANCEL. */
void queue_noted(struct node *node, struct stw_str call_id, const char *what)
{
	for (struct queue_caller *caller = node->callers; caller; caller = caller->next) {
		if (caller->over || !stw_str_equal(call_id, stw_str_from(caller->call_id)))
			continue;
		caller->in_line = caller->rung = true;
		caller->open = 0;
		caller->unfit |= strcmp(what, "unfit") == 0;
		if (strcmp(what, "rings") != 0)
			continue;
		caller->given_batch = node->queue_batch;
		caller->waited_ms = caller->waits ? node->world->now.mono_ms - caller->waits_ms : 0;
		caller->waits = false;
	}
}

bool queue_rings(struct node *node, struct queue_caller *caller, const struct sip *sip, int owner)
{
	uint64_t now = node->world->now.mono_ms;
	bool same;

	if (!lives(node, caller))
		return false;
	caller_begins_again(node, caller);
	if (caller->over)
		return false;
	/* The overflow. */
	if (sip->diversion_count) {
		caller_leaves(node, caller);
		return false;
	}
	same = caller->agent == owner &&
	       (caller->open || caller->rung_batch == node->queue_batch) &&
	       now < caller->ring_ms + 1000ull * queue_of(node, caller)->agent_timeout_s;
	if (owner != NOBODY && !same)
		ring_check(node, caller, (unsigned)owner);
	if (!same) {
		caller->ring_ms = now;
		caller->rung_batch = node->queue_batch;
		caller->open = 0;
		caller->misfit = false;
	}
	caller->in_line = caller->rung = true;
	caller->waits = false;
	/* A Contact that leads to somebody else is nobody's here. */
	caller->agent = owner;
	caller->open += owner != NOBODY;
	caller->branches++;
	if (owner != NOBODY)
		node->agents[owner].let_pass = true;
	return true;
}

void queue_answered(struct node *node, struct queue_caller *caller, int owner)
{
	if (!lives(node, caller) || owner == NOBODY)
		return;
	if (!caller->answers++ && !caller->over && !caller->gone) {
		caller->answered_by = owner;
		caller->too_late = node->world->now.mono_ms >=
				   caller->in_ms + 1000ull * queue_of(node, caller)->max_wait_s;
		node->agents[owner].talks = caller;
		node->agents[owner].rests_ms = 0;
		node->agents[owner].let_pass = false;
		return;
	}
	/* Two have answered: the record of the call is of one of them. */
	for (unsigned user = 0; user < USERS; user++) {
		if (node->agents[user].talks == caller)
			node->agents[user].talks = NULL;
	}
}

void queue_branch_ends(struct node *node, struct queue_caller *caller, int owner, unsigned code)
{
	struct queue_agent *agent;

	if (!lives(node, caller) || owner == NOBODY || caller->agent != owner || !caller->open)
		return;
	agent = &node->agents[owner];
	caller->misfit |=
		code == 606 || (code / 100 == 4 && code != 408 && code != 480 && code != 486);
	if (--caller->open || caller->misfit || caller->gone || caller->over || caller->answers ||
		agent->talks || agent->changing || agent->changed_ms >= caller->ring_ms ||
		!is_plain(node, caller))
		return;
	agent->rests_ms = node->world->now.mono_ms + STW_QUEUE_REST_MS;
}

/* ---- a call ends ----------------------------------------------------------------------------- */

void queue_call_ends(struct node *node, struct stw_str call_id)
{
	for (struct queue_caller *caller = node->callers; caller; caller = caller->next) {
		struct queue_agent *agent;

		if (caller->answered_by == NOBODY ||
			!stw_str_equal(call_id, stw_str_from(caller->call_id)))
			continue;
		agent = &node->agents[caller->answered_by];
		caller->answered_by = NOBODY;
		if (agent->talks != caller)
			continue;
		agent->talks = NULL;
		if (caller->too_late)
			continue;
		agent->wrapped_ms =
			node->world->now.mono_ms + 1000ull * queue_of(node, caller)->wrap_up_s;
	}
}

void queue_caller_gone(struct node *node, struct stw_str call_id)
{
	for (struct queue_caller *caller = node->callers; caller; caller = caller->next)
		caller->gone |= stw_str_equal(call_id, stw_str_from(caller->call_id));
}

/* The server has forgotten them. */
void queues_forget(struct node *node)
{
	node->callers = NULL;
	for (unsigned user = 0; user < USERS; user++) {
		struct queue_agent *agent = &node->agents[user];

		agent->talks = NULL;
		agent->wrapped_ms = agent->rests_ms = 0;
	}
}

void queues_done(struct world *world)
{
	while (world->queue_callers) {
		struct queue_caller *caller = world->queue_callers;

		world->queue_callers = caller->made_before;
		free(caller);
	}
}

/* ---- what holds behind each batch ------------------------------------------------------------ */

/* He waits, and did so before this batch. Who has hung up leaves when it is his turn. When his time
 * is over, or another agent's phones would be too many for limits.max_branches, he does so no more:
 * what may still be answered has been given up, and is waited for before he hears of it. */
static bool waits_on(const struct node *node, const struct queue_caller *caller)
{
	unsigned patience_s = queue_of(node, caller)->max_wait_s;

	if (caller->expires_s && caller->expires_s < patience_s)
		patience_s = caller->expires_s;
	return caller->waits && !caller->gone && caller->waits_batch < node->queue_batch &&
	       caller->branches + DEVICES_MAX <= BRANCHES_MAX &&
	       node->world->now.mono_ms < caller->in_ms + 1000ull * patience_s;
}

/* An agent is his, and was so before this batch. */
static bool rings_on(const struct node *node, const struct queue_caller *caller)
{
	const struct queue_agent *agent =
		caller->agent == NOBODY ? NULL : &node->agents[caller->agent];

	/* Who has logged out is not rung on, and a phone that says nothing gets no CANCEL. */
	return agent && !agent->changing && agent->changed_ms < caller->ring_ms && caller->open &&
	       caller->rung_batch < node->queue_batch &&
	       node->world->now.mono_ms <
		       caller->ring_ms + 1000ull * queue_of(node, caller)->agent_timeout_s;
}

/* He was told a place: not better than those certainly before him leave, not worse than all of
 * them. */
static void place_check(struct node *node, const struct queue_caller *caller)
{
	unsigned certain = 1, possible = 1, length = 1;

	for (const struct queue_caller *other = node->callers; other; other = other->next) {
		bool long_since = waits_on(node, other);

		length += other != caller && other->queue == caller->queue && long_since;
		if (!before(other, caller))
			continue;
		possible += (other->in_line && !rings_on(node, other)) ||
			    other->left_batch == node->queue_batch;
		certain += long_since;
	}
	if (caller->told_place < certain || caller->told_place > possible)
		wrong(node->world, stw_str_from(caller->call_id),
			"server%u: is told place %u of queue %s, and it is %u to %u", node->index,
			caller->told_place, queue_of(node, caller)->name, certain, possible);
	/* Who was rung for in vain waits in any case. */
	if (!caller->rung && caller->waits_batch == node->queue_batch &&
		length > queue_of(node, caller)->max_length)
		wrong(node->world, stw_str_from(caller->call_id),
			"server%u: waits as the %u. of at most %u", node->index, length,
			queue_of(node, caller)->max_length);
}

/* An agent was rung for him: nobody waits who comes before him. */
static void order_check(struct node *node, const struct queue_caller *caller)
{
	for (const struct queue_caller *other = node->callers; other; other = other->next) {
		if (before(other, caller) && waits_on(node, other) && !other->unfit)
			wrong(node->world, stw_str_from(caller->call_id),
				"server%u: u%d is rung for him, and %s comes before him",
				node->index, caller->agent, other->call_id);
	}
}

static void free_check(struct node *node, const struct queue_caller *caller)
{
	if (caller->told_place != 1 || caller->unfit)
		return;
	for (unsigned user = 0; user < USERS; user++) {
		if (is_free(node, user, caller->queue))
			wrong(node->world, stw_str_from(caller->call_id),
				"server%u: is the first in queue %s, and u%u is free", node->index,
				queue_of(node, caller)->name, user);
	}
}

static bool is_history(const struct queue_caller *caller)
{
	return caller->over && caller->answered_by == NOBODY;
}

void queues_batch_end(struct node *node)
{
	struct queue_caller *caller, **at = &node->callers;

	if (!watched(node))
		return;
	for (caller = node->callers; caller; caller = caller->next) {
		if (caller->waits && caller->told_batch == node->queue_batch) {
			place_check(node, caller);
			free_check(node, caller);
		}
		if (caller->agent != NOBODY && caller->rung_batch == node->queue_batch &&
			caller->given_batch == node->queue_batch)
			order_check(node, caller);
	}
	while ((caller = *at)) {
		if (!is_history(caller)) {
			at = &caller->next;
			continue;
		}
		*at = caller->next;
		caller->listed = false;
	}
	node->queue_batch++;
}

/* ---- what the server tells of its queues ----------------------------------------------------- */

static struct queue_caller *caller_found(const struct node *node, const char *call_id)
{
	struct queue_caller *caller = node->callers;

	while (caller && (caller->over || strcmp(caller->call_id, call_id) != 0))
		caller = caller->next;
	return caller;
}

static void report_callers(struct node *node, unsigned queue, const json_t *callers, bool end)
{
	size_t n = json_array_size(callers), i;
	const struct queue_caller *caller;
	const json_t *one;

	json_array_foreach(callers, i, one)
	{
		const char *call_id = json_string_value(json_object_get(one, "call_id"));

		if (end || !caller_found(node, call_id))
			wrong(node->world, stw_str_from(call_id),
				"server%u: is left in queue %s, and his call is over", node->index,
				node->queues[queue].name);
	}
	for (caller = node->callers; caller; caller = caller->next) {
		if (caller->queue != queue || !waits_on(node, caller))
			continue;
		for (i = 0; i < n && strcmp(caller->call_id,
					     json_string_value(json_object_get(
						     json_array_get(callers, i), "call_id"))) != 0;
			i++)
			;
		if (i == n)
			wrong(node->world, stw_str_from(caller->call_id),
				"server%u: waits, and queue %s does not know him", node->index,
				node->queues[queue].name);
	}
}

/* Is he one of the queue's agents, and what does he do? */
static const char *report_state(const struct node *node, const json_t *agents, unsigned user)
{
	char aor[40];
	const json_t *one;
	size_t i;

	aor_of(node, user, aor);
	json_array_foreach(agents, i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, "aor")), aor) == 0)
			return json_string_value(json_object_get(one, "state"));
	}
	return NULL;
}

static void report_agents(struct node *node, unsigned queue, const json_t *agents, bool end)
{
	const struct world *world = node->world;
	bool still = end && world->calm && !world->loops && !world->phones_die;

	for (unsigned user = 0; user < USERS; user++) {
		const struct queue_agent *agent = &node->agents[user];
		const char *state = report_state(node, agents, user);

		if (agent->changing || agent->unknown)
			continue;
		if ((state != NULL) != (agent->logged_in >> queue & 1))
			wrong(node->world, STW_STR_NONE,
				"server%u: u%u has logged %s queue %s, and the queue says %s",
				node->index, user, state ? "out of" : "in to",
				node->queues[queue].name, state ? state : "nothing of him");
		else if (state && ((end && strcmp(state, "ringing") == 0) ||
					  (still && strcmp(state, "busy") == 0)))
			wrong(node->world, STW_STR_NONE, "server%u: at the end u%u is %s",
				node->index, user, state);
	}
}

/* The first of those who wait, and may get any agent. NULL: there is none */
static const char *report_first(const struct node *node, const json_t *callers)
{
	const struct queue_caller *caller;
	const json_t *one;
	size_t i;

	json_array_foreach(callers, i, one)
	{
		const char *call_id = json_string_value(json_object_get(one, "call_id"));

		caller = json_object_get(one, "place") ? caller_found(node, call_id) : NULL;
		if (caller && !caller->unfit)
			return call_id;
	}
	return NULL;
}

/* Who could be rung is, as soon as it can be known. */
static void report_free(
	struct node *node, unsigned queue, const json_t *callers, const json_t *agents)
{
	const char *call_id = report_first(node, callers);

	for (unsigned user = 0; call_id && user < USERS; user++) {
		const char *state = report_state(node, agents, user);

		if (state && strcmp(state, "free") == 0)
			wrong(node->world, stw_str_from(call_id),
				"server%u: waits in queue %s, and u%u is free", node->index,
				node->queues[queue].name, user);
	}
}

struct report {
	struct stw_question question;
	struct node *node;
	bool end, settled; /* settled: what was due has been done */
};

static void report_answered(struct stw_question *question)
{
	struct report *report = (struct report *)question;
	const json_t *one;
	size_t i;

	json_array_foreach(question->answer, i, one)
	{
		report_callers(
			report->node, (unsigned)i, json_object_get(one, "callers"), report->end);
		report_agents(
			report->node, (unsigned)i, json_object_get(one, "agents"), report->end);
		if (report->settled)
			report_free(report->node, (unsigned)i, json_object_get(one, "callers"),
				json_object_get(one, "agents"));
	}
	json_decref(question->answer);
	free(report);
}

static void report_ask(struct node *node, bool end, bool settled)
{
	struct report *report = must_alloc(sizeof(*report));

	report->question.kind = STW_QUESTION_QUEUES;
	report->question.answered = report_answered;
	report->node = node;
	report->end = end;
	report->settled = settled;
	stw_core_begin(node->core, node->world->now);
	stw_core_question(node->core, &report->question);
	stw_core_work(node->core);
	stw_core_end(node->core);
	rules_batch_end(node);
	stw_rcu_quiescent();
}

void queues_check(struct node *node, bool end)
{
	if (!watched(node) || !node->up || node->leaving || node->held ||
		node->stalled_until_ms > node->world->now.mono_ms)
		return;
	report_ask(node, end, false);
	report_ask(node, end, true);
}

/* ---- time passes ----------------------------------------------------------------------------- */

void queues_tick(struct world *world)
{
	struct node *node = &world->nodes[queue_below(world, NODES)];

	if (world->now.mono_ms < world->queues_until_ms)
		plan(world, happen(world, QUEUES_TICK, queue_below(world, TICK_MS)));
	if (!node->up || node->held || node->leaving || node->stalled_until_ms > world->now.mono_ms)
		return;
	queues_check(node, false);
	queues_change(node);
}

void queues_play(struct world *world, uint64_t last_call_ms)
{
	if (!world->queues)
		return;
	world->queues_until_ms = last_call_ms + CHANGES_MS;
	plan(world, happen(world, QUEUES_TICK, TICK_MS));
}

/* A phone of an agent hangs for a while, and has forgotten everything behind that. */
void queue_reaches(struct world *world, const struct call *call, unsigned device)
{
	struct happening *happening;

	if (!world->phones_die || call->queue < 0 || !queue_chance(world, 60))
		return;
	happening = happen(world, DEVICE_DIES, queue_below(world, 15000));
	happening->who = device;
	happening->number = (unsigned)(2000 + queue_below(world, 60000));
	plan(world, happening);
}
