/* SPDX-License-Identifier: Apache-2.0 */
/* What `strowger queue show` tells: who waits, and why which agent is not rung. */
#include "server/decision/decision.h"
#include "server/queue/internal.h"

static const struct {
	const char *name, *why;
} states[] = {
	[AGENT_FREE] = { "free", "gets the next caller" },
	[AGENT_PAUSED] = { "paused", "has paused; `queue login` ends it" },
	[AGENT_GIVEN_UP] = { "not answering", "has let three calls pass; `queue login` ends it" },
	[AGENT_RINGS] = { "ringing", "is rung for a caller of a queue" },
	[AGENT_BUSY] = { "busy", "is in a call, or is calling or rung by somebody" },
	[AGENT_WRAPS_UP] = { "wrap-up", "has time of his own behind a call" },
	[AGENT_RESTS] = { "resting", "has just let a call pass" },
	[AGENT_DND] = { "do not disturb", "his setting dnd is on" },
	[AGENT_AWAY] = { "no phone", "none of his phones is registered" },
};

static json_t *agents_json(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue)
{
	struct stw_node *node = stw_table_walk(&queues->agents, NULL);
	json_t *list = json_array(), *one;

	for (; node; node = stw_table_walk(&queues->agents, node)) {
		struct agent *agent = STW_CONTAINER_OF(node, struct agent, node);
		enum agent_state state = agent_state(queues, agent, view, queue);

		if (state == AGENT_OUT)
			continue;
		one = json_pack("{s:o, s:s, s:s, s:i}", "aor",
			stw_json_text((struct stw_str){ agent->aor, agent->len }), "state",
			states[state].name, "why", states[state].why, "failures",
			(int)agent->failures);
		if (agent->rest_ms > view->now.mono_ms)
			json_object_set_new(one, "for_s",
				json_integer(
					(json_int_t)((agent->rest_ms - view->now.mono_ms + 999) /
						     1000)));
		if (agent->rings)
			json_object_set_new(one, "rings_for",
				stw_json_text((struct stw_str){
					agent->rings->name, agent->rings->name_len }));
		json_array_append_new(list, one);
	}
	return list;
}

/* He may have come at another worker, by its clock. */
static uint64_t waited_ms(const struct stw_queue_call *call, const struct stw_queue_view *view)
{
	uint64_t now_ms = view->now.mono_ms, since_ms = call->since.mono_ms;

	return now_ms > since_ms ? now_ms - since_ms : 0;
}

static json_t *callers_json(const struct stw_queue_view *view, const struct line *line)
{
	const struct stw_queue_call *call = line ? line->first : NULL;
	json_t *list = json_array(), *one;
	unsigned place = 0;

	for (; call; call = call->next) {
		one = json_pack("{s:o, s:o, s:o, s:I, s:i}", "caller",
			stw_json_text((struct stw_str){ call->name, call->name_len }), "call_id",
			stw_json_text((struct stw_str){ call->call_id, call->call_id_len }),
			"since", stw_json_time((int64_t)call->since.wall_ms), "waited_s",
			(json_int_t)(waited_ms(call, view) / 1000), "priority", call->priority);
		if (call->agent)
			json_object_set_new(one, "agent",
				stw_json_text(
					(struct stw_str){ call->agent->aor, call->agent->len }));
		else
			json_object_set_new(one, "place", json_integer(++place));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *queue_json(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue)
{
	const struct line *line = line_find(queues, queue->name);
	struct line none = { .count = 0 };

	return json_pack("{s:o, s:i, s:I, s:I, s:o, s:o, s:o}", "name", stw_json_text(queue->name),
		"max_length", (int)queue->max_length, "max_wait_s",
		(json_int_t)(queue->max_wait_ms / 1000), "wait_s",
		(json_int_t)line_wait_s(queues, view, queue, line ? line : &none, 1), "overflow",
		queue->overflow.len ? stw_json_text(queue->overflow) : json_null(), "callers",
		callers_json(view, line), "agents", agents_json(queues, view, queue));
}

json_t *stw_queues_report(
	struct stw_queues *queues, const struct stw_queue_view *view, struct stw_str name)
{
	const struct stw_config *config = view->config;
	json_t *list = json_array();

	pthread_mutex_lock(&queues->mutex);
	agents_look(queues, view);
	for (unsigned i = 0; i < config->queue_count; i++) {
		if (!name.len || stw_str_equal(config->queues[i].name, name))
			json_array_append_new(list, queue_json(queues, view, &config->queues[i]));
	}
	pthread_mutex_unlock(&queues->mutex);
	if (name.len && !json_array_size(list)) {
		json_decref(list);
		return NULL;
	}
	return list;
}
