/* SPDX-License-Identifier: Apache-2.0 */
/* Callers: who waits, in which order, and who gets which agent. */
#include "server/queue/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stw_queues_new(const struct stw_queues_options *options, struct stw_queues **ret)
{
	struct stw_queues *queues = calloc(1, sizeof(*queues));

	if (!queues)
		return -ENOMEM;
	queues->options = *options;
	if (!queues->options.workers)
		queues->options.workers = 1;
	if (pthread_mutex_init(&queues->mutex, NULL) != 0) {
		free(queues);
		return -ENOMEM;
	}
	stw_table_init(&queues->agents);
	for (unsigned i = 0; i < QUEUE_WORKERS_MAX; i++)
		atomic_init(&queues->due[i], UINT64_MAX);
	*ret = queues;
	return 0;
}

static void call_free(struct stw_queue_call *call)
{
	free(call->before);
	free(call->unfit);
	free(call);
}

struct stw_queues *stw_queues_free(struct stw_queues *queues)
{
	struct stw_node *node;

	if (!queues)
		return NULL;
	while ((node = stw_table_walk(&queues->agents, NULL))) {
		stw_table_remove(&queues->agents, node);
		free(STW_CONTAINER_OF(node, struct agent, node));
	}
	stw_table_done(&queues->agents);
	while (queues->lines) {
		struct line *line = queues->lines;

		while (line->first) {
			struct stw_queue_call *call = line->first;

			line->first = call->next;
			call_free(call);
		}
		queues->lines = line->next;
		free(line);
	}
	pthread_mutex_destroy(&queues->mutex);
	free(queues);
	return NULL;
}

/* ---- lines ---------------------------------------------------------------------------------- */

struct line *line_find(const struct stw_queues *queues, struct stw_str name)
{
	struct line *line = queues->lines;

	while (line && !stw_str_equal((struct stw_str){ line->name, line->len }, name))
		line = line->next;
	return line;
}

static struct line *line_get(struct stw_queues *queues, struct stw_str name)
{
	struct line *line = line_find(queues, name);

	if (line || name.len >= sizeof(line->name))
		return line;
	line = calloc(1, sizeof(*line));
	if (!line)
		return NULL;
	memcpy(line->name, name.ptr, name.len);
	line->len = name.len;
	line->next = queues->lines;
	queues->lines = line;
	return line;
}

/* Behind all of at least the same priority. */
static void line_insert(struct line *line, struct stw_queue_call *call)
{
	struct stw_queue_call **at = &line->first;

	while (*at && (*at)->priority >= call->priority)
		at = &(*at)->next;
	call->next = *at;
	*at = call;
	line->count++;
}

static void line_remove(struct line *line, struct stw_queue_call *call)
{
	struct stw_queue_call **at = &line->first;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	line->count--;
}

static unsigned waiting(const struct line *line)
{
	unsigned n = 0;

	for (const struct stw_queue_call *call = line->first; call; call = call->next)
		n += !call->agent;
	return n;
}

/* Those for whom an agent rings count, too: he is kept from the others. */
static bool has_places(const struct line *line, const struct stw_call_queue *queue, uint64_t whose)
{
	unsigned n = 0;

	if (!queue->max_per_caller || !whose)
		return false;
	for (const struct stw_queue_call *call = line ? line->first : NULL; call; call = call->next)
		n += call->whose == whose;
	return n >= queue->max_per_caller;
}

uint64_t line_wait_s(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, const struct line *line, unsigned place)
{
	uint64_t call_ms = line->call_ms ? line->call_ms : queue->call_time_ms;
	unsigned agents = agents_on_duty(queues, view, queue);

	return (place * call_ms / (agents ? agents : 1) + 999) / 1000;
}

/* ---- workers -------------------------------------------------------------------------------- */

static void worker_call(struct stw_queues *queues, unsigned worker, unsigned from)
{
	if (atomic_exchange(&queues->due[worker], 0) == 0)
		return;
	if (worker != from && queues->options.wake)
		queues->options.wake(queues->options.wake_context, worker);
}

void workers_call_all(struct stw_queues *queues, unsigned from)
{
	for (unsigned i = 0; i < queues->options.workers; i++) {
		if (queues->own[i])
			worker_call(queues, i, from);
	}
}

static bool anything_goes_on(const struct stw_queues *queues)
{
	return atomic_load_explicit(&queues->count, memory_order_relaxed) > 0;
}

bool stw_queues_freed(struct stw_queues *queues, const struct stw_busy *busy)
{
	uint64_t leaves;

	if (!anything_goes_on(queues))
		return false;
	leaves = stw_busy_leaves(busy);
	return atomic_load_explicit(&queues->leaves, memory_order_relaxed) != leaves &&
	       atomic_exchange(&queues->leaves, leaves) != leaves;
}

void stw_queues_look(struct stw_queues *queues, unsigned worker)
{
	if (anything_goes_on(queues))
		worker_call(queues, worker, worker);
}

uint64_t stw_queues_next(const struct stw_queues *queues, unsigned worker)
{
	return atomic_load_explicit(&queues->due[worker], memory_order_relaxed);
}

static void own_add(struct stw_queues *queues, struct stw_queue_call *call)
{
	struct stw_queue_call **first = &queues->own[call->worker];

	call->own_next = *first;
	if (*first)
		(*first)->own_link = &call->own_next;
	call->own_link = first;
	*first = call;
	atomic_fetch_add(&queues->count, 1);
}

static void own_remove(struct stw_queues *queues, struct stw_queue_call *call)
{
	*call->own_link = call->own_next;
	if (call->own_next)
		call->own_next->own_link = call->own_link;
	atomic_fetch_sub(&queues->count, 1);
}

/* Places have changed: who waits behind hears of it. */
static void line_moved(struct stw_queues *queues, const struct line *line, unsigned from)
{
	for (const struct stw_queue_call *call = line->first; call; call = call->next)
		worker_call(queues, call->worker, from);
	/* The one who was called may have nobody left there. */
	worker_call(queues, from, from);
}

/* ---- who gets whom -------------------------------------------------------------------------- */

/* Where the agent stands, or would. */
static unsigned unfit_place(const struct stw_queue_call *call, const struct agent *agent)
{
	unsigned low = 0, high = call->unfit_count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (call->unfit[middle] < agent->node.hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_unfit(const struct stw_queue_call *call, const struct agent *agent)
{
	unsigned place = unfit_place(call, agent);

	return place < call->unfit_count && call->unfit[place] == agent->node.hash;
}

static int unfit_add(struct stw_queue_call *call, const struct agent *agent)
{
	unsigned place = unfit_place(call, agent);

	if (call->unfit_count == call->unfit_room) {
		unsigned room = call->unfit_room ? 2 * call->unfit_room : 8;
		uint64_t *unfit = realloc(call->unfit, room * sizeof(*unfit));

		if (!unfit)
			return -ENOMEM;
		call->unfit = unfit;
		call->unfit_room = room;
	}
	memmove(&call->unfit[place + 1], &call->unfit[place],
		(call->unfit_count - place) * sizeof(*call->unfit));
	call->unfit[place] = agent->node.hash;
	call->unfit_count++;
	return 0;
}

/* The free agent who has had nothing to do for the longest time. */
static struct agent *agent_choose(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, const struct stw_queue_call *call, bool *ret_any)
{
	struct stw_node *node = stw_table_walk(&queues->agents, NULL);
	struct agent *best = NULL;

	*ret_any = false;
	for (; node; node = stw_table_walk(&queues->agents, node)) {
		struct agent *agent = STW_CONTAINER_OF(node, struct agent, node);

		if (agent_state(queues, agent, view, queue) != AGENT_FREE)
			continue;
		*ret_any = true;
		if (is_unfit(call, agent) || (best && best->last_ms <= agent->last_ms))
			continue;
		best = agent;
	}
	return best;
}

static void queue_match(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue)
{
	struct line *line = line_find(queues, queue->name);
	struct stw_queue_call *call = line ? line->first : NULL;
	bool any = true;

	for (; call && any; call = call->next) {
		struct agent *agent;

		if (call->agent)
			continue;
		agent = agent_choose(queues, view, queue, call, &any);
		if (!agent)
			continue;
		agent->rings = call;
		agent->last_ms = view->now.mono_ms;
		call->agent = agent;
		call->start = true;
		call->rings_ms = view->now.mono_ms;
		line_moved(queues, line, view->worker);
	}
}

/* Who rings for a caller, and is no agent of his queue any more. */
static void line_withdraw(
	struct stw_queues *queues, const struct stw_queue_view *view, const struct line *line)
{
	struct stw_str name = { line->name, line->len };

	for (struct stw_queue_call *call = line->first; call; call = call->next) {
		const struct stw_user *user = call->agent ? call->agent->user : NULL;

		if (!call->agent || call->withdraw ||
			(user && user->settings &&
				stw_setting_list_has(&user->settings->queues, name) &&
				!stw_setting_list_has(&user->settings->queues_paused, name)))
			continue;
		call->withdraw = true;
		worker_call(queues, call->worker, view->worker);
	}
}

static void match(struct stw_queues *queues, const struct stw_queue_view *view)
{
	agents_look(queues, view);
	for (const struct line *line = queues->lines; line; line = line->next)
		line_withdraw(queues, view, line);
	for (unsigned i = 0; i < view->config->queue_count; i++)
		queue_match(queues, view, &view->config->queues[i]);
}

/* ---- a caller comes and goes ------------------------------------------------------------------
 */

static void text_keep(char *to, size_t *len, struct stw_str text)
{
	*len = text.len < QUEUE_TEXT_MAX ? text.len : QUEUE_TEXT_MAX;
	if (*len)
		memcpy(to, text.ptr, *len);
}

static struct stw_queue_call *call_new(
	const struct stw_queue_view *view, const struct stw_queue_caller *caller)
{
	struct stw_queue_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->worker = view->worker;
	call->context = caller->context;
	call->priority = caller->priority;
	call->cannot_wait = caller->cannot_wait;
	call->whose = caller->whose;
	call->since = view->now;
	call->wait_ms = view->now.mono_ms;
	text_keep(call->name, &call->name_len, caller->name);
	text_keep(call->call_id, &call->call_id_len, caller->call_id);
	return call;
}

#define LOGGED_IN (~(1u << AGENT_OUT))

/* In one of these states; a bit each. */
static bool anybody(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, unsigned states)
{
	struct stw_node *node = stw_table_walk(&queues->agents, NULL);

	for (; node; node = stw_table_walk(&queues->agents, node)) {
		struct agent *agent = STW_CONTAINER_OF(node, struct agent, node);

		if (states & (1u << agent_state(queues, agent, view, queue)))
			return true;
	}
	return false;
}

static void call_end(struct stw_queues *queues, struct stw_queue_call *call)
{
	if (call->agent)
		call->agent->rings = NULL;
	line_remove(call->line, call);
	own_remove(queues, call);
	call_free(call);
}

static int enter(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, const struct stw_queue_caller *caller,
	struct stw_queue_call **ret)
{
	struct line *line = line_get(queues, queue->name);
	struct stw_queue_call *call;

	if (!line)
		return -ENOMEM;
	agents_look(queues, view);
	if (!anybody(queues, view, queue, LOGGED_IN))
		return -ENOENT;
	if (has_places(line, queue, caller->whose))
		return -EUSERS;
	call = call_new(view, caller);
	if (!call)
		return -ENOMEM;
	call->line = line;
	line_insert(line, call);
	own_add(queues, call);
	match(queues, view);
	if (!call->agent && (call->cannot_wait || waiting(line) > queue->max_length)) {
		int err = call->cannot_wait ? -EAGAIN : -ENOBUFS;

		call_end(queues, call);
		return err;
	}
	/* By its priority it may have come before others. */
	line_moved(queues, line, view->worker);
	*ret = call;
	return 0;
}

int stw_queues_enter(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, const struct stw_queue_caller *caller,
	struct stw_queue_call **ret)
{
	int err;

	pthread_mutex_lock(&queues->mutex);
	err = enter(queues, view, queue, caller, ret);
	pthread_mutex_unlock(&queues->mutex);
	return err;
}

static int ask(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, const struct stw_queue_caller *caller)
{
	const struct line *line = line_find(queues, queue->name);

	match(queues, view); /* those who wait come before him */
	if (!anybody(queues, view, queue, LOGGED_IN))
		return -ENOENT;
	if (has_places(line, queue, caller->whose))
		return -EUSERS;
	if (anybody(queues, view, queue, 1u << AGENT_FREE))
		return 0;
	if (caller->cannot_wait)
		return -EAGAIN;
	return (line ? waiting(line) : 0) < queue->max_length ? 0 : -ENOBUFS;
}

int stw_queues_ask(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, const struct stw_queue_caller *caller)
{
	int err;

	pthread_mutex_lock(&queues->mutex);
	err = ask(queues, view, queue, caller);
	pthread_mutex_unlock(&queues->mutex);
	return err;
}

void stw_queues_leave(struct stw_queues *queues, struct stw_queue_call *call, struct stw_now now)
{
	struct line *line = call->line;
	unsigned worker = call->worker;

	pthread_mutex_lock(&queues->mutex);
	if (call->agent)
		call->agent->last_ms = now.mono_ms;
	call_end(queues, call);
	line_moved(queues, line, worker);
	pthread_mutex_unlock(&queues->mutex);
}

void stw_queues_answered(struct stw_queues *queues, const struct stw_queue_view *view,
	struct stw_queue_call *call, struct stw_str aor)
{
	const struct stw_call_queue *queue =
		stw_config_queue(view->config, stw_queue_call_queue(call));
	struct agent *agent;

	pthread_mutex_lock(&queues->mutex);
	agent = aor.len ? agent_find(queues, aor) : call->agent;
	if (agent) {
		agent->failures = 0;
		agent->paused = false;
		if (!agent->served)
			atomic_fetch_add(&queues->count, 1);
		agent->served = true;
		agent->served_ms = agent->last_ms = view->now.mono_ms;
		agent->served_line = call->line;
		agent->wrap_up_ms = queue ? queue->wrap_up_ms : 0;
		agent->rest_ms = 0;
	}
	/* He is in a call now: the other one who was about to get him is not his. */
	if (agent && agent->rings && agent->rings != call) {
		agent->rings->withdraw = true;
		worker_call(queues, agent->rings->worker, view->worker);
	}
	pthread_mutex_unlock(&queues->mutex);
}

unsigned stw_queues_failed(struct stw_queues *queues, struct stw_queue_call *call,
	enum stw_queue_failure failure, struct stw_now now)
{
	struct agent *agent = call->agent;
	unsigned failures;

	pthread_mutex_lock(&queues->mutex);
	agent->rings = NULL;
	agent->last_ms = now.mono_ms;
	if (failure == STW_QUEUE_DECLINED) {
		agent->failures++;
		agent->rest_ms = now.mono_ms + STW_QUEUE_REST_MS;
		agent->paused = agent->paused || agent->failures >= STW_QUEUE_FAILURES;
	} else if (failure == STW_QUEUE_UNFIT && unfit_add(call, agent) < 0) {
		agent->rest_ms =
			now.mono_ms + STW_QUEUE_REST_MS; /* else he would be the next again */
	}
	failures = agent->failures;
	free(call->before);
	call->before = strdup(agent->aor);
	call->agent = NULL;
	call->start = call->withdraw = false;
	call->wait_ms = call->rings_ms + STW_QUEUE_REST_MS;
	workers_call_all(queues, call->worker);
	pthread_mutex_unlock(&queues->mutex);
	return failures;
}

struct stw_str stw_queue_call_agent(struct stw_queues *queues, const struct stw_queue_call *call)
{
	struct stw_str aor = STW_STR_NONE;

	pthread_mutex_lock(&queues->mutex);
	if (call->agent)
		aor = (struct stw_str){ call->agent->aor, call->agent->len };
	pthread_mutex_unlock(&queues->mutex);
	return aor;
}

struct stw_str stw_queue_call_agent_before(const struct stw_queue_call *call)
{
	return call->before ? stw_str_from(call->before) : STW_STR_NONE;
}

struct stw_str stw_queue_call_queue(const struct stw_queue_call *call)
{
	return (struct stw_str){ call->line->name, call->line->len };
}

/* ---- what is to be done ------------------------------------------------------------------------
 */

/* 1: the next; who rings for somebody else is not counted. */
static unsigned place_of(const struct stw_queue_call *call)
{
	const struct stw_queue_call *other = call->line->first;
	unsigned place = 1;

	for (; other != call; other = other->next)
		place += !other->agent;
	return place;
}

/* When the caller has to hear something, as things are. */
static uint64_t tell_ms(const struct stw_queue_call *call, const struct stw_call_queue *queue)
{
	if (!call->told_ms)
		return 0;
	if (place_of(call) != call->told_place)
		return call->told_ms + STW_QUEUE_TELL_MS;
	return call->told_ms + queue->announce_ms;
}

static bool waits_too_long(
	const struct stw_queue_call *call, const struct stw_call_queue *queue, uint64_t now_ms)
{
	return call->since.mono_ms + queue->max_wait_ms <= now_ms;
}

/* @return false: nothing */
static bool task_of(struct stw_queues *queues, const struct stw_queue_view *view,
	struct stw_queue_call *call, struct stw_queue_task *ret)
{
	const struct stw_call_queue *queue =
		stw_config_queue(view->config, stw_queue_call_queue(call));
	uint64_t now_ms = view->now.mono_ms;

	*ret = (struct stw_queue_task){ .context = call->context,
		.waited_s = (now_ms - call->since.mono_ms) / 1000 };
	if (call->agent) {
		ret->kind = call->start ? STW_QUEUE_RING : STW_QUEUE_WITHDRAW;
		if (!call->start && !call->withdraw)
			return false;
		call->start = call->withdraw = false;
		return true;
	}
	if (!queue || waits_too_long(call, queue, now_ms)) {
		ret->kind = queue ? STW_QUEUE_OVER : STW_QUEUE_CLOSED;
		return true;
	}
	if (call->cannot_wait) {
		ret->kind = STW_QUEUE_NOBODY_FREE;
		return true;
	}
	if (tell_ms(call, queue) > now_ms) {
		ret->kind = STW_QUEUE_WAIT;
		if (call->wait_ms > now_ms)
			return false;
		call->wait_ms = UINT64_MAX;
		return true;
	}
	ret->kind = STW_QUEUE_TELL;
	ret->place = call->told_place = place_of(call);
	ret->wait_s = line_wait_s(queues, view, queue, call->line, ret->place);
	call->told_ms = now_ms;
	return true;
}

/* When something will happen by itself: a caller hears or goes, an agent has rested. */
static uint64_t next_ms(struct stw_queues *queues, const struct stw_queue_view *view)
{
	const struct stw_queue_call *call = queues->own[view->worker];
	struct stw_node *node = stw_table_walk(&queues->agents, NULL);
	uint64_t next = UINT64_MAX, due;

	if (!call)
		return UINT64_MAX;
	for (; call; call = call->own_next) {
		const struct stw_call_queue *queue =
			stw_config_queue(view->config, stw_queue_call_queue(call));

		if (call->agent || !queue)
			continue;
		due = call->since.mono_ms + queue->max_wait_ms;
		next = due < next ? due : next;
		due = tell_ms(call, queue);
		next = due < next ? due : next;
		next = call->wait_ms < next ? call->wait_ms : next;
	}
	for (; node; node = stw_table_walk(&queues->agents, node)) {
		due = STW_CONTAINER_OF(node, struct agent, node)->rest_ms;
		if (due > view->now.mono_ms && due < next)
			next = due;
	}
	return next;
}

unsigned stw_queues_due(struct stw_queues *queues, const struct stw_queue_view *view,
	struct stw_queue_task tasks[STW_QUEUE_TASKS_MAX])
{
	struct stw_queue_call *call;
	unsigned n = 0;

	pthread_mutex_lock(&queues->mutex);
	atomic_store(&queues->due[view->worker], UINT64_MAX);
	match(queues, view);
	for (call = queues->own[view->worker]; call && n < STW_QUEUE_TASKS_MAX;
		call = call->own_next)
		n += task_of(queues, view, call, &tasks[n]);
	atomic_store(&queues->due[view->worker], n ? 0 : next_ms(queues, view));
	pthread_mutex_unlock(&queues->mutex);
	return n;
}
