/* SPDX-License-Identifier: Apache-2.0 */
/* Agents: who is logged in, and who is free. */
#include "server/queue/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t agent_hash(struct stw_str aor)
{
	static const struct stw_hash_key key = { 0, 0 };

	return stw_hash(key, aor.ptr, aor.len);
}

struct agent *agent_find(const struct stw_queues *queues, struct stw_str aor)
{
	struct stw_node *node = stw_table_first(&queues->agents, agent_hash(aor));

	for (; node; node = stw_table_next_same(node)) {
		struct agent *agent = STW_CONTAINER_OF(node, struct agent, node);

		if (stw_str_equal((struct stw_str){ agent->aor, agent->len }, aor))
			return agent;
	}
	return NULL;
}

static struct agent *agent_new(struct stw_queues *queues, struct stw_str aor)
{
	struct agent *agent = calloc(1, sizeof(*agent) + aor.len + 1);

	if (!agent)
		return NULL;
	memcpy(agent->aor, aor.ptr, aor.len);
	agent->len = aor.len;
	if (stw_table_insert(&queues->agents, &agent->node, agent_hash(aor)) < 0) {
		free(agent);
		return NULL;
	}
	return agent;
}

static bool look_at(void *context, const struct stw_user *user)
{
	struct stw_queues *queues = context;
	struct agent *agent = agent_find(queues, user->aor);

	if (!agent)
		agent = agent_new(queues, user->aor);
	if (agent) {
		agent->user = user;
		agent->look = queues->look;
	}
	return true;
}

static bool is_in_a_call(const struct agent *agent, const struct stw_queue_view *view)
{
	return view->busy &&
	       stw_busy_count(view->busy, (struct stw_str){ agent->aor, agent->len }) > 0;
}

/* A call that came from a queue is over: how long it was counts, and he has his time of his own. */
static void agent_served(
	struct stw_queues *queues, struct agent *agent, const struct stw_queue_view *view)
{
	struct stw_str aor = { agent->aor, agent->len };
	uint64_t ended_ms = view->busy ? stw_busy_ended_ms(view->busy, aor) : 0;
	struct line *line = agent->served_line;
	uint64_t took_ms;

	if (ended_ms < agent->served_ms)
		ended_ms = view->now.mono_ms;
	/* Answered at another worker, by its clock. */
	if (ended_ms < agent->served_ms)
		ended_ms = agent->served_ms;
	agent->served = false;
	atomic_fetch_sub(&queues->count, 1);
	agent->last_ms = ended_ms;
	if (ended_ms + agent->wrap_up_ms > agent->rest_ms)
		agent->rest_ms = ended_ms + agent->wrap_up_ms;
	workers_call_all(queues, view->worker);
	took_ms = ended_ms - agent->served_ms + agent->wrap_up_ms;
	line->call_ms = line->call_ms ? (7 * line->call_ms + took_ms) / 8 : took_ms;
}

/* Who has logged out everywhere is forgotten when nothing rings at his place any more. */
void agents_look(struct stw_queues *queues, const struct stw_queue_view *view)
{
	struct stw_node *node, *next;

	queues->look++;
	stw_directory_agents(view->directory, look_at, queues);
	for (node = stw_table_walk(&queues->agents, NULL); node; node = next) {
		struct agent *agent = STW_CONTAINER_OF(node, struct agent, node);

		next = stw_table_walk(&queues->agents, node);
		if (agent->served && !is_in_a_call(agent, view))
			agent_served(queues, agent, view);
		if (agent->look == queues->look)
			continue;
		agent->user = NULL;
		if (agent->rings || agent->served)
			continue;
		stw_table_remove(&queues->agents, node);
		free(agent);
	}
}

static bool has_phone(const struct agent *agent, const struct stw_queue_view *view)
{
	const struct stw_bindings *bindings = stw_location_find(view->location, agent->user->aor);
	struct stw_binding binding;
	size_t cursor = 0;

	while (bindings && stw_bindings_next(bindings, &cursor, &binding)) {
		if (binding.expires_ms > (int64_t)view->now.wall_ms)
			return true;
	}
	return false;
}

static enum agent_state state_of_calls(const struct agent *agent, const struct stw_queue_view *view)
{
	uint64_t now_ms = view->now.mono_ms;

	if (agent->rings)
		return AGENT_RINGS;
	if (is_in_a_call(agent, view))
		return AGENT_BUSY;
	if (agent->rest_ms > now_ms)
		return agent->failures ? AGENT_RESTS : AGENT_WRAPS_UP;
	return AGENT_FREE;
}

enum agent_state agent_state(struct stw_queues *queues, struct agent *agent,
	const struct stw_queue_view *view, const struct stw_call_queue *queue)
{
	const struct stw_user *user = agent->user;
	enum agent_state state;

	if (!user || !user->settings || user->settings->state != STW_USER_ACTIVE ||
		!stw_setting_list_has(&user->settings->queues, queue->name) ||
		!stw_queue_admits(view->config, queue, user->user, user->domain))
		return AGENT_OUT;
	state = state_of_calls(agent, view);
	if (state == AGENT_RINGS || state == AGENT_BUSY)
		return state;
	if (stw_setting_list_has(&user->settings->queues_paused, queue->name))
		return AGENT_PAUSED;
	if (agent->paused)
		return AGENT_GIVEN_UP;
	if (state != AGENT_FREE)
		return state;
	if (user->settings->dnd)
		return AGENT_DND;
	return has_phone(agent, view) ? AGENT_FREE : AGENT_AWAY;
}

unsigned agents_on_duty(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue)
{
	struct stw_node *node = stw_table_walk(&queues->agents, NULL);
	unsigned n = 0;

	for (; node; node = stw_table_walk(&queues->agents, node)) {
		struct agent *agent = STW_CONTAINER_OF(node, struct agent, node);
		enum agent_state state = agent_state(queues, agent, view, queue);

		n += state == AGENT_FREE || state == AGENT_RINGS || state == AGENT_BUSY ||
		     state == AGENT_WRAPS_UP || state == AGENT_RESTS;
	}
	return n;
}

/* ---- logging in and out --------------------------------------------------------------------- */

static void change_add(
	struct stw_queue_change *change, unsigned i, const char *what, struct stw_str queue)
{
	int len = snprintf(
		change->text[i], sizeof(change->text[i]), "%s%.*s", what, STW_STR_ARG(queue));

	change->settings[i] = (struct stw_str){ change->text[i], (size_t)len };
}

int stw_queue_change(const struct stw_config *config, const struct stw_user *user,
	enum stw_queue_act act, struct stw_str queue, struct stw_queue_change *ret)
{
	const struct stw_call_queue *found = stw_config_queue(config, queue);

	if (!user)
		return -ENOTUNIQ;
	if (!found && (act != STW_QUEUE_LOGOUT || queue.len >= 64 || !queue.len))
		return -ENOENT;
	if (act == STW_QUEUE_LOGIN && !stw_queue_admits(config, found, user->user, user->domain))
		return -EPERM;
	if (act == STW_QUEUE_PAUSE &&
		(!user->settings || !stw_setting_list_has(&user->settings->queues, queue)))
		return -ESRCH;
	change_add(ret, 0, act == STW_QUEUE_LOGOUT ? "queues-=" : "queues+=", queue);
	change_add(ret, 1, act == STW_QUEUE_PAUSE ? "queues_paused+=" : "queues_paused-=", queue);
	return 0;
}

void stw_queues_forgive(struct stw_queues *queues, struct stw_str aor)
{
	struct agent *agent;

	pthread_mutex_lock(&queues->mutex);
	agent = agent_find(queues, aor);
	if (agent) {
		agent->failures = 0;
		agent->paused = false;
		agent->rest_ms = agent->served ? agent->rest_ms : 0;
	}
	pthread_mutex_unlock(&queues->mutex);
}
