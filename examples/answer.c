/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says where it can be called, rings for a fifth of a second, answers, and goes when the caller has
 * hung up. With a code it refuses one call instead:
 *
 *     cc -o answer answer.c $(pkg-config --cflags --libs strowger) && ./answer [486]
 */
#include "loop.h"

static void told(void *user, const struct stw_ua_event *event)
{
	struct example *example = user;

	printf("%s %u %.*s\n", stw_ua_event_name(event->kind), event->code,
		STW_STR_ARG(event->phrase));
	example->over = example->over || event->kind == STW_UA_ENDED;
}

int main(int argc, char **argv)
{
	static const struct stw_ua_ops ops = { .event = told, .media = example_media };
	struct stw_ua_policy policy = { .automatic = true, .ring_ms = 200 };
	struct example example = { 0 };

	if (argc > 1)
		policy.then = (unsigned)strtoul(argv[1], NULL, 10);
	if (example_start(&example, &ops, "sip:example@127.0.0.1", &policy) < 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("sip:example@127.0.0.1:%u\n", example.listeners.v[0].bind.port);
	return example_run(&example, NULL, NULL);
}
