/* SPDX-License-Identifier: Apache-2.0 */
/* Queues: what they are, by chance, and as the configuration says it. */
#include "simulate/internal.h"

#include <stdio.h>

uint64_t queue_below(struct world *world, uint64_t bound)
{
	return stw_random_below(&world->queue_random, bound);
}

bool queue_chance(struct world *world, unsigned per_mille)
{
	return queue_below(world, 1000) < per_mille;
}

void queues_choose(struct node *node)
{
	static const char *const names[QUEUES] = { "desk", "help" };
	struct world *world = node->world;

	for (unsigned i = 0; i < QUEUES; i++) {
		struct service_queue *queue = &node->queues[i];

		*queue = (struct service_queue){ .name = names[i],
			.agent_timeout_s = (unsigned)(2 + queue_below(world, 12)),
			.wrap_up_s =
				(unsigned)(queue_chance(world, 300) ? 0 : queue_below(world, 12)),
			.max_length = (unsigned)queue_below(world, 8),
			.max_wait_s =
				(unsigned)(queue_chance(world, 300) ? 300
								    : 5 + queue_below(world, 60)),
			.announce_s = (unsigned)(5 + queue_below(world, 30)),
			.overflow =
				queue_chance(world, 300) ? (int)queue_below(world, USERS) : -1 };
		if (queue_chance(world, 500))
			queue->agents = 1u << queue_below(world, USERS) |
					1u << queue_below(world, USERS) |
					1u << queue_below(world, USERS);
	}
}

void queues_yaml(const struct node *node, char *buffer, size_t size)
{
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, size - 1);
	for (unsigned i = 0; node->world->queues && i < QUEUES; i++) {
		const struct service_queue *queue = &node->queues[i];
		const char *comma = "";

		stw_write_format(&writer,
			"%s  - {name: %s, agent_timeout: %us, wrap_up: %us, max_length: %u, "
			"max_wait: %us, announce: %us, priority: all",
			i ? "" : "queues:\n", queue->name, queue->agent_timeout_s, queue->wrap_up_s,
			queue->max_length, queue->max_wait_s, queue->announce_s);
		if (queue->agents)
			stw_write_text(&writer, ", agents: [");
		for (unsigned user = 0; user < USERS; user++) {
			if (!(queue->agents >> user & 1))
				continue;
			stw_write_format(&writer, "%su%u", comma, user);
			comma = ", ";
		}
		stw_write_text(&writer, queue->agents ? "]" : "");
		if (queue->overflow >= 0)
			stw_write_format(&writer, ", overflow: u%d", queue->overflow);
		stw_write_text(&writer, "}\n");
	}
	buffer[writer.len] = 0;
}
