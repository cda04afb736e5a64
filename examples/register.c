/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers with a registrar, says until when, and removes the binding again (RFC 3261 §10.2):
 *
 *     cc -o register register.c $(pkg-config --cflags --libs strowger) && ./register
 * sip:127.0.0.1:5060
 */
#include "loop.h"

static void told(void *user, const struct stw_ua_event *event)
{
	static bool leaves;
	struct example *example = user;

	printf("%s %u %.*s", stw_ua_event_name(event->kind), event->code,
		STW_STR_ARG(event->phrase));
	if (event->kind == STW_UA_REGISTERED)
		printf(", for %u s", event->expires_s);
	printf("\n");
	if (leaves) {
		example->over = true;
		return;
	}
	leaves = true;
	example->status = event->code / 100 != 2;
	stw_registration_end(event->registration);
}

static void begin(struct example *example, const char *registrar)
{
	struct stw_registration_options options = {
		.registrar = stw_str_from(registrar), .expires_s = 60, .once = true
	};

	if (stw_ua_register(example->ua, &options, NULL) < 0) {
		fprintf(stderr, "%s is no registrar\n", registrar);
		example->status = 1;
		example->over = true;
	}
}

int main(int argc, char **argv)
{
	static const struct stw_ua_ops ops = { .event = told };
	struct example example = { 0 };

	if (argc != 2 || example_start(&example, &ops, "sip:example@127.0.0.1", NULL) < 0)
		return 2;
	return example_run(&example, begin, argv[1]);
}
