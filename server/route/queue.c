/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P12 for queues: a free agent is rung, or the caller waits and hears his place in a 182 now and
 * then (RFC 3261 §21.1.4). His INVITE stays in its response context meanwhile. Who gets which agent
 * is said by server/queue; here it is done, by the worker that has the INVITE.
 */
#include <errno.h>
#include <stdio.h>

#include "server/route/route.h"

#define BRANCHES_MAX       64   /* for which one request has memory */
#define BRANCHES_SPARE     4    /* of limits.max_branches: for where the queue overflows */
#define BRANCH_BYTES       3072 /* of that memory, as a rule */
#define BRANCH_BYTES_SPARE 8192 /* with a long Contact and Path */
#define MEDIA_FAILURES_MAX 3    /* in a row: then he waits without it */
#define ROUNDS_MAX         1000 /* of work in a batch: what is left comes in the next one */

enum media {
	MEDIA_NONE,  /* he hears nothing, or an agent rings */
	MEDIA_PLAYS, /* the media server is asked to play, or does */
	MEDIA_ENDS,  /* we have ended it */
};

/* A caller in a queue; lies in the arena of his INVITE. */
struct stw_waiting {
	struct stw_check check;
	struct stw_queue_call *call; /* NULL: he is gone */
	struct stw_str aor;          /* of the queue */
	struct stw_str domain;
	unsigned branches; /* that were opened for his agents, and the media server */
	bool withdrawn;    /* we have ended what rang */
	enum media media;
	struct stw_str media_uri; /* that was asked last; empty: none */
	unsigned media_failures;  /* in a row */
	uint64_t media_at_ms;     /* not before that: it may still have what we have ended */
};

struct stw_queue_view stw_route_queue_view(const struct stw_core *core)
{
	return (struct stw_queue_view){ .config = core->config,
		.directory = core->options.directory,
		.location = core->options.location,
		.busy = core->busy,
		.now = core->now,
		.worker = core->options.trial ? 0 : core->options.worker };
}

/* A check as it was when he came, with the configuration of now. */
static struct stw_check check_again(const struct stw_waiting *waiting)
{
	struct stw_check check = waiting->check;

	check.config = check.core->config;
	check.refusal = (struct stw_refusal){ .option = "queues" };
	return check;
}

/* A number as a fact, as long as its room lasts. */
struct number {
	char text[24];
};

static void fact_number(
	struct stw_refusal *refusal, const char *key, uint64_t value, struct number *room)
{
	snprintf(room->text, sizeof(room->text), "%llu", (unsigned long long)value);
	stw_refusal_fact(refusal, key, stw_str_from(room->text));
}

static void queue_note(const struct stw_waiting *waiting, const struct stw_cause *cause,
	struct stw_str agent, const char *key, uint64_t value)
{
	struct stw_refusal refusal = { .cause = cause, .option = "queues" };
	struct number number;

	stw_refusal_fact(&refusal, "queue", stw_queue_call_queue(waiting->call));
	stw_refusal_fact(&refusal, "agent", agent);
	fact_number(&refusal, key, value, &number);
	stw_request_note(waiting->check.request, &refusal);
}

/* ---- what he hears -----------------------------------------------------------------------------
 */

static void media_note(struct stw_waiting *waiting, const struct stw_cause *cause, unsigned code)
{
	struct stw_refusal refusal = { .cause = cause, .option = "queues" };
	struct number number;

	stw_refusal_fact(&refusal, "queue", stw_queue_call_queue(waiting->call));
	stw_refusal_fact(&refusal, "media", waiting->media_uri);
	if (code)
		fact_number(&refusal, "code", code, &number);
	stw_request_note(waiting->check.request, &refusal);
}

static bool has_branches(const struct stw_waiting *waiting, unsigned more)
{
	unsigned max = waiting->check.core->config->limits.max_branches;
	const struct stw_arena *arena = &waiting->check.request->arena;

	if (arena->limit_bytes - arena->used_bytes <
		more * BRANCH_BYTES + BRANCHES_SPARE * BRANCH_BYTES_SPARE)
		return false;
	return waiting->branches + more + BRANCHES_SPARE <=
	       (max < BRANCHES_MAX ? max : BRANCHES_MAX);
}

/* His INVITE goes to the media server as to one more phone, in the same response context: its 183
 * makes the early dialog (RFC 3960 §3). What it says at the end does not count. */
static void media_begin(struct stw_waiting *waiting)
{
	struct stw_check check = check_again(waiting);
	const struct stw_call_queue *queue =
		stw_config_queue(check.config, stw_queue_call_queue(waiting->call));
	struct stw_proxy_target target = { .q = 1000, .granted = true, .own_6xx = true };
	struct stw_proxy_job job = { .targets = &target, .n = 1, .no_recurse = true };

	if (!queue || !queue->media.len || waiting->media != MEDIA_NONE ||
		check.core->now.mono_ms < waiting->media_at_ms ||
		waiting->media_failures == MEDIA_FAILURES_MAX || !has_branches(waiting, 1) ||
		stw_arena_copy(&check.request->arena, queue->media, &target.uri) < 0)
		return;
	waiting->media = MEDIA_PLAYS;
	waiting->media_uri = target.uri;
	waiting->branches++;
	media_note(waiting, &stw_cause_queue_media, 0);
	check.service->no_answer_ms = 0;
	if (stw_route_submit(&check, &job) == STW_REFUSE)
		stw_request_settle(check.request, &check.refusal);
}

/* Somebody else is tried now. */
static void media_end(struct stw_waiting *waiting)
{
	if (waiting->media == MEDIA_NONE)
		return;
	waiting->media = MEDIA_ENDS;
	waiting->media_at_ms = waiting->check.core->now.mono_ms + STW_QUEUE_REST_MS;
	stw_request_expire(waiting->check.request);
	waiting->media = MEDIA_NONE;
}

/* It has ended by itself: he waits on. */
static void media_failed(struct stw_waiting *waiting, const struct stw_outcome *outcome)
{
	waiting->media = MEDIA_NONE;
	waiting->media_failures = outcome->rang ? 0 : waiting->media_failures + 1;
	media_note(waiting, &stw_cause_queue_media_failed, outcome->code);
}

/* ---- out of the queue -------------------------------------------------------------------------
 */

/* He does not get an agent: the overflow, or `cause`. */
static enum stw_verdict queue_out(struct stw_check *check, const struct stw_call_queue *queue,
	struct stw_str aor, struct stw_str domain, const struct stw_cause *cause,
	enum stw_forward_when when)
{
	struct stw_diverting diverting = { .aor = aor,
		.domain = domain,
		.when = when,
		.setting = "queues.overflow",
		.cause = &stw_cause_queue_overflow };

	if (check->service)
		check->service->waiting = NULL;
	check->refusal = (struct stw_refusal){ .cause = cause, .option = "queues" };
	if (queue)
		stw_refusal_fact(&check->refusal, "queue", queue->name);
	if (!queue || !queue->overflow.len)
		return STW_REFUSE;
	stw_request_note(check->request, &check->refusal);
	diverting.target = queue->overflow;
	return stw_route_divert_to(check, &diverting);
}

static void waiting_leave(struct stw_waiting *waiting)
{
	struct stw_core *core = waiting->check.core;

	if (waiting->call)
		stw_queues_leave(core->queues, waiting->call, core->now);
	waiting->call = NULL;
}

static void waiting_out(
	struct stw_waiting *waiting, const struct stw_cause *cause, enum stw_forward_when when)
{
	struct stw_check check = check_again(waiting);
	const struct stw_call_queue *queue =
		stw_config_queue(check.config, stw_queue_call_queue(waiting->call));

	media_end(waiting);
	waiting_leave(waiting);
	if (queue_out(&check, queue, waiting->aor, waiting->domain, cause, when) != STW_REFUSE)
		return;
	/* His calls have taken the memory: that is no fault of the overflow. */
	if (check.refusal.cause == &stw_cause_out_of_memory)
		check.refusal.cause = cause;
	stw_request_settle(check.request, &check.refusal);
}

/* ---- an agent is rung --------------------------------------------------------------------------
 */

static void agent_failed(struct stw_waiting *waiting, enum stw_queue_failure failure, uint64_t code)
{
	struct stw_check *check = &waiting->check;
	struct stw_core *core = check->core;
	unsigned failures;

	stw_calls_leave(core->calls, check->request->msg, STW_STR_NONE);
	queue_note(waiting,
		failure == STW_QUEUE_DECLINED ? &stw_cause_queue_agent_declined
					      : &stw_cause_queue_agent_unfit,
		stw_queue_call_agent(core->queues, waiting->call), "code", code);
	failures = stw_queues_failed(core->queues, waiting->call, failure, core->now);
	if (failure == STW_QUEUE_DECLINED && failures >= STW_QUEUE_FAILURES)
		queue_note(waiting, &stw_cause_queue_agent_paused,
			stw_queue_call_agent_before(waiting->call), "failures", failures);
}

/* His phones; 0: he cannot get this caller. */
static unsigned agent_targets(struct stw_check *check, const struct stw_user *user,
	struct stw_proxy_target targets[STW_ROUTE_TARGETS_MAX])
{
	unsigned live, n = 0;

	if (!stw_route_dnd(check, user) && stw_route_called(check, user) == STW_PASS)
		n = stw_route_bindings(check, user->aor, targets, STW_ROUTE_TARGETS_MAX, &live);
	check->refusal = (struct stw_refusal){ .option = "queues" };
	for (unsigned i = 0; i < n; i++) {
		targets[i].q = 1000;
		targets[i].own_6xx = true;
	}
	return n;
}

/* Is he still one of the queue, and in no call? From here on he is in this one. */
static bool agent_take(
	struct stw_check *check, const struct stw_user *user, const struct stw_call_queue *queue)
{
	return user && queue && user->settings &&
	       stw_setting_list_has(&user->settings->queues, queue->name) &&
	       stw_calls_callee(check->core->calls, check->request->msg, user->aor, 1) != -EBUSY;
}

static void waiting_ring(struct stw_waiting *waiting, const struct stw_queue_task *task)
{
	struct stw_check check = check_again(waiting);
	struct stw_proxy_target targets[STW_ROUTE_TARGETS_MAX];
	struct stw_proxy_job job = { .targets = targets, .no_recurse = true };
	struct stw_str agent = stw_queue_call_agent(check.core->queues, waiting->call);
	const struct stw_user *user = stw_directory_find(check.core->options.directory, agent);
	const struct stw_call_queue *queue =
		stw_config_queue(check.config, stw_queue_call_queue(waiting->call));

	if (user)
		job.n = agent_targets(&check, user, targets);
	waiting->check.preferences = check.preferences; /* read once */
	if (user && !job.n) {
		agent_failed(waiting, STW_QUEUE_UNFIT, 0);
		return;
	}
	if (!agent_take(&check, user, queue)) {
		agent_failed(waiting, STW_QUEUE_GONE, 0);
		return;
	}
	if (!has_branches(waiting, job.n) && waiting->branches) {
		waiting_out(waiting, &stw_cause_queue_nobody_took, STW_FORWARD_NO_ANSWER);
		return;
	}
	media_end(waiting);
	waiting->branches += job.n;
	waiting->withdrawn = false;
	queue_note(waiting, &stw_cause_queue_agent_rings, agent, "waited", task->waited_s);
	check.service->no_answer_ms = queue->agent_timeout_ms;
	if (stw_route_submit(&check, &job) == STW_REFUSE)
		stw_request_settle(check.request, &check.refusal);
}

/* What a phone says of its user or of itself: he is busy, away, declines or has forwarded it, or it
 * does not work. Anything else (§21.4; of §21.5 and §21.6 what is left out here) speaks of what
 * this caller has sent: three such INVITEs would take the agent off the queue. */
static bool is_of_agent(unsigned code)
{
	switch (code) {
	case 408:
	case 430: /* RFC 5626 §11.5: the phone has left the edge it came by */
	case 480:
	case 486:
		return true;
	case 505:
	case 513:
	case 580: /* RFC 3312 §8 */
	case 606:
	case 607: /* RFC 8197: not this caller */
	case 608: /* RFC 8688 */
		return false;
	default:
		return code / 100 == 3 || code / 100 == 5 || code / 100 == 6;
	}
}

/* The Max-Breadth that the caller allows (RFC 5393 §5.3.3, 440) may be too small for the agent's
 * phones, or we have no way to them: no fault of his. */
static enum stw_queue_failure failure_of(
	const struct stw_waiting *waiting, const struct stw_outcome *outcome)
{
	if (waiting->withdrawn)
		return STW_QUEUE_GONE;
	if (!outcome->expired &&
		(outcome->cause == &stw_cause_no_listener || !is_of_agent(outcome->code)))
		return STW_QUEUE_UNFIT;
	return STW_QUEUE_DECLINED;
}

void stw_route_queue_next(struct stw_waiting *waiting, const struct stw_outcome *outcome)
{
	struct stw_core *core = waiting->check.core;

	if (!waiting->call || waiting->media == MEDIA_ENDS)
		return;
	if (waiting->media == MEDIA_PLAYS)
		media_failed(waiting, outcome);
	else if (outcome->cause == &stw_cause_out_of_memory)
		waiting_out(waiting, &stw_cause_queue_nobody_took, STW_FORWARD_NO_ANSWER);
	else if (stw_queue_call_agent(core->queues, waiting->call).len)
		agent_failed(waiting, failure_of(waiting, outcome),
			outcome->expired ? 408 : outcome->code);
}

/* ---- 182 -------------------------------------------------------------------------------------
 */

static void waiting_tell(struct stw_waiting *waiting, const struct stw_queue_task *task)
{
	struct stw_check check = check_again(waiting);
	struct stw_refusal progress = { .cause = &stw_cause_queue_waits, .option = "queues" };
	bool minutes = task->wait_s > 90;
	struct number numbers[3];
	char phrase[80];

	snprintf(phrase, sizeof(phrase), "Queued; place %u; wait %llu %s", task->place,
		(unsigned long long)(minutes ? (task->wait_s + 59) / 60 : task->wait_s),
		minutes ? "min" : "s");
	progress.phrase = stw_str_from(phrase);
	stw_refusal_fact(&progress, "queue", stw_queue_call_queue(waiting->call));
	fact_number(&progress, "place", task->place, &numbers[0]);
	fact_number(&progress, "wait", task->wait_s, &numbers[1]);
	fact_number(&progress, "waited", task->waited_s, &numbers[2]);
	(void)stw_request_progress(check.request, &progress);
}

/* ---- what is to be done -----------------------------------------------------------------------
 */

static void task_run(const struct stw_queue_task *task)
{
	struct stw_waiting *waiting = task->context;

	if (!waiting->call)
		return;
	/* He has hung up, and what was tried for him has not ended yet. */
	if (!stw_request_goes_on(waiting->check.request)) {
		waiting_leave(waiting);
		return;
	}
	switch (task->kind) {
	case STW_QUEUE_RING:
		waiting_ring(waiting, task);
		break;
	case STW_QUEUE_WITHDRAW:
		waiting->withdrawn = true;
		stw_request_expire(waiting->check.request);
		break;
	case STW_QUEUE_TELL:
		waiting_tell(waiting, task);
		media_begin(waiting);
		break;
	case STW_QUEUE_WAIT:
		media_begin(waiting);
		break;
	case STW_QUEUE_OVER:
		waiting_out(waiting, &stw_cause_queue_waited_too_long, STW_FORWARD_NO_ANSWER);
		break;
	case STW_QUEUE_CLOSED:
		waiting_out(waiting, &stw_cause_queue_closed, STW_FORWARD_UNREGISTERED);
		break;
	case STW_QUEUE_NOBODY_FREE:
		waiting_out(waiting, &stw_cause_queue_cannot_wait, STW_FORWARD_BUSY);
		break;
	}
}

void stw_route_queues_work(struct stw_core *core)
{
	struct stw_queue_task tasks[STW_QUEUE_TASKS_MAX];
	struct stw_queue_view view;
	unsigned n;

	view = stw_route_queue_view(core);
	if (stw_queues_next(core->queues, view.worker) > core->now.mono_ms &&
		!stw_queues_freed(core->queues, core->busy))
		return;
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		n = stw_queues_due(core->queues, &view, tasks);
		if (!n)
			return;
		for (unsigned i = 0; i < n; i++)
			task_run(&tasks[i]);
	}
}

/* ---- he comes --------------------------------------------------------------------------------
 */

/* RFC 3261 §20.26; anything else is as normal. */
static int priority_of(const struct stw_check *check, const struct stw_call_queue *queue)
{
	static const struct {
		const char *word;
		int priority;
	} words[] = { { "emergency", 2 }, { "urgent", 1 }, { "non-urgent", -1 } };
	const struct stw_field *field = stw_msg_find(check->request->msg, STW_HDR_PRIORITY);

	if (!field || queue->priority == STW_QUEUE_PRIORITY_NONE ||
		(queue->priority == STW_QUEUE_PRIORITY_USERS && !check->caller_domain.len))
		return 0;
	for (size_t i = 0; i < STW_ARRAY_SIZE(words); i++) {
		if (stw_str_equal_nocase(stw_field_value(check->request->msg, field),
			    stw_str_from(words[i].word)))
			return words[i].priority;
	}
	return 0;
}

static enum stw_verdict queue_refuse(struct stw_check *check, const struct stw_call_queue *queue,
	struct stw_waiting *waiting, int err)
{
	static const struct {
		int err;
		const struct stw_cause *cause;
		enum stw_forward_when when;
	} rows[] = {
		{ -ENOENT, &stw_cause_queue_nobody, STW_FORWARD_UNREGISTERED },
		{ -ENOBUFS, &stw_cause_queue_full, STW_FORWARD_BUSY },
		{ -EAGAIN, &stw_cause_queue_cannot_wait, STW_FORWARD_BUSY },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		if (rows[i].err == err)
			return queue_out(check, queue, waiting->aor, waiting->domain, rows[i].cause,
				rows[i].when);
	}
	if (err != -EUSERS)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	/* The overflow is not for him: he would have all of that, too. */
	check->refusal.option = "queues";
	stw_refusal_fact(&check->refusal, "queue", queue->name);
	return stw_route_refuse(check, &stw_cause_queue_caller_full);
}

static struct stw_waiting *waiting_new(struct stw_check *check, const struct stw_call_queue *queue)
{
	struct stw_arena *arena = &check->request->arena;
	struct stw_waiting *waiting = stw_arena_zalloc(arena, sizeof(*waiting));

	if (!waiting || !stw_route_service(check) ||
		stw_arena_copy(arena, check->domain, &waiting->domain) < 0 ||
		stw_aor_make(queue->name, waiting->domain, arena, &waiting->aor) < 0)
		return NULL;
	check->service->aor = check->service->group = STW_STR_NONE;
	check->service->goes_on = false;
	return waiting;
}

static enum stw_verdict queue_hours(struct stw_check *check, const struct stw_call_queue *queue,
	const struct stw_waiting *waiting)
{
	const struct stw_called_hours hours = { &queue->opening, "queues", "queue", "queues.closed",
		"queues.overflow", queue->name, waiting->aor, queue->overflow };

	return stw_route_hours(check, &hours);
}

/* Who counts as one caller: a user of ours who has proven it, else an IPv4 address or an IPv6 /64.
 * A trunk, or what limits.source_exempt names, speaks for many. */
static uint64_t whose_call(struct stw_check *check)
{
	const struct stw_config *config = check->config;
	const struct stw_addr *addr = &check->request->source.remote;
	struct stw_hasher hasher;

	stw_hasher_init(&hasher, check->core->options.key);
	if (check->authenticated) {
		stw_hasher_text(&hasher, check->user_aor);
	} else {
		if (stw_route_trunk_of_source(check) || stw_route_trunk_of_contact(check) ||
			stw_networks_have(config->limits.exempt, config->limits.exempt_count, addr))
			return 0;
		stw_hasher_number(&hasher, stw_addr_network(addr));
	}
	return stw_hasher_value(&hasher) | 1;
}

static int waiting_enter(
	struct stw_check *check, const struct stw_call_queue *queue, struct stw_waiting *waiting)
{
	const struct stw_request *request = check->request;
	struct stw_queue_view view = stw_route_queue_view(check->core);
	struct stw_queue_caller caller = { .name = request->msg->from.uri.text,
		.call_id = request->msg->call_id,
		.priority = priority_of(check, queue),
		.cannot_wait = stw_request_progress_barred(request) ||
			       stw_route_directive(check, STW_DIRECTIVE_NO_QUEUE),
		.whose = whose_call(check),
		.context = waiting };

	return stw_queues_enter(check->core->queues, &view, queue, &caller, &waiting->call);
}

/* RFC 3261 §11: what an INVITE would meet. */
static enum stw_verdict queue_options(
	struct stw_check *check, const struct stw_call_queue *queue, struct stw_waiting *waiting)
{
	struct stw_queue_view view = stw_route_queue_view(check->core);
	struct stw_queue_caller caller = { .cannot_wait = stw_route_directive(
						   check, STW_DIRECTIVE_NO_QUEUE),
		.whose = whose_call(check) };
	int err = stw_queues_ask(check->core->queues, &view, queue, &caller);

	if (err < 0)
		return queue_refuse(check, queue, waiting, err);
	return stw_route_capabilities(check);
}

enum stw_verdict stw_route_queue(struct stw_check *check, const struct stw_call_queue *queue)
{
	enum stw_method method = check->request->msg->method;
	struct stw_waiting *waiting;
	enum stw_verdict verdict;
	int err;

	if (method != STW_METHOD_INVITE && method != STW_METHOD_OPTIONS) {
		check->refusal.headers = STW_STR(ROUTE_CALL_ALLOW);
		return stw_route_refuse(check, &stw_cause_queue_method);
	}
	waiting = waiting_new(check, queue);
	if (!waiting)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	verdict = queue_hours(check, queue, waiting);
	if (verdict != STW_PASS)
		return verdict;
	if (method == STW_METHOD_OPTIONS)
		return queue_options(check, queue, waiting);
	if (stw_route_check_keep(check, &waiting->check) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	err = waiting_enter(check, queue, waiting);
	if (err < 0)
		return queue_refuse(check, queue, waiting, err);
	check->service->waiting = waiting;
	if (!stw_route_hold(check))
		waiting_leave(waiting);
	else if (check->core->options.trial)
		stw_route_queues_work(check->core);
	return STW_DONE;
}

/* ---- he goes ---------------------------------------------------------------------------------
 */

void stw_route_ended(struct stw_core *core, struct stw_request *request, unsigned code,
	const struct stw_msg *response, const struct stw_proxy_target *target)
{
	const struct stw_service *service = request->user;
	struct stw_waiting *waiting = service ? service->waiting : NULL;
	struct stw_queue_view view;

	if (!waiting || !waiting->call)
		return;
	view = stw_route_queue_view(core);
	if (code / 100 == 2 && target && stw_str_equal(target->uri, waiting->media_uri))
		media_note(waiting, &stw_cause_queue_media_answered, 0);
	else if (code / 100 == 2 && response)
		stw_queues_answered(
			core->queues, &view, waiting->call, target ? target->owner : STW_STR_NONE);
	waiting_leave(waiting);
}
