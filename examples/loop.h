/* SPDX-License-Identifier: Apache-2.0 */
/* What the user agents of these examples share: one UDP socket, a stack, the loop. */
#ifndef EXAMPLE_LOOP_H
#define EXAMPLE_LOOP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/io.h>
#include <strowger/ua.h>

struct example {
	struct stw_io *io;
	struct stw_stack *stack;
	struct stw_ua *ua;
	struct stw_listeners listeners; /* one */
	struct stw_sdp_abilities media; /* what sessions offer; nothing is played here */
	bool over;
	int status;
};

static inline void example_request(void *core, struct stw_request *request)
{
	struct example *example = core;

	if (!stw_ua_request(example->ua, request))
		stw_request_drop(request, &stw_cause_ua_no_dialog);
}

static inline const struct stw_sdp_abilities *example_media(void *user, struct stw_session *session)
{
	return &((struct example *)user)->media;
}

/* An agent at 127.0.0.1 and a port of its own. @return 0, -errno */
static inline int example_start(struct example *example, const struct stw_ua_ops *ops,
	const char *aor, const struct stw_ua_policy *policy)
{
	static const struct stw_core_ops core = { .request = example_request };
	struct stw_io_options io = { .max_flows = 16 };
	struct stw_stack_options stack = { .io = stw_io_ops(),
		.core = &core,
		.core_user = example,
		.listeners = &example->listeners,
		.key = { stw_io_seed(), stw_io_seed() },
		.seed = stw_io_seed(),
		.max_transactions = 100,
		.overload = { .target_ms = 1000 },
		.flows = { .max_flows = 16, .max_per_source = 16, .idle_ms = 60000 } };
	struct stw_ua_options ua = { .ops = ops, .user = example, .aor = stw_str_from(aor) };
	int err = stw_io_new(&io, &example->io);

	example->listeners.n = 1;
	example->listeners.v[0].transport = STW_TRANSPORT_UDP;
	stw_addr_from_host(STW_STR("127.0.0.1"), 0, &example->listeners.v[0].bind);
	if (err == 0 && (err = stw_io_listen(example->io, &example->listeners.v[0])) >= 0) {
		stack.io_user = example->io;
		stack.flows.message = stw_msg_limits_default;
		err = stw_stack_new(&stack, stw_io_now(), &example->stack);
	}
	example->media =
		(struct stw_sdp_abilities){ .address = STW_STR("127.0.0.1"), .rtp_port = 16384 };
	ua.stack = example->stack;
	if (policy)
		ua.policy = *policy;
	return err < 0 ? err : stw_ua_new(&ua, &example->ua);
}

/* `begin` is called in the first batch. Until the example is over and nothing is awaited. */
static inline int example_run(struct example *example,
	void (*begin)(struct example *, const char *), const char *argument)
{
	const struct stw_io_event *events;
	int count = 0;

	do {
		stw_stack_begin(example->stack, stw_io_now());
		for (int i = 0; i < count; i++)
			stw_stack_event(example->stack, &events[i]);
		stw_stack_timers(example->stack);
		if (begin)
			begin(example, argument);
		begin = NULL;
		stw_io_flush(example->io);
		stw_stack_end(example->stack);
		if (example->over && stw_ua_quiet(example->ua))
			break;
		count = stw_io_poll(example->io, stw_stack_next(example->stack), &events);
	} while (count >= 0);
	stw_ua_free(example->ua);
	stw_stack_free(example->stack);
	stw_io_free(example->io);
	return example->status;
}

#endif
