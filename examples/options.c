/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a URI what it can do (RFC 3261 §11), as a ping:
 *
 *     cc -o options options.c $(pkg-config --cflags --libs strowger) && ./options
 * sip:127.0.0.1:5070
 */
#include "loop.h"

static void told(void *user, const struct stw_ua_event *event)
{
	struct example *example = user;

	if (event->kind != STW_UA_RESPONSE)
		return;
	printf("%u %.*s\n", event->code, STW_STR_ARG(event->phrase));
	if (event->msg)
		printf("Allow: %.*s\n", STW_STR_ARG(stw_msg_value(event->msg, STW_HDR_ALLOW)));
	example->status = event->code / 100 != 2;
	example->over = true;
}

static void begin(struct example *example, const char *uri)
{
	struct stw_ua_message message = { .method = STW_STR("OPTIONS"), .uri = stw_str_from(uri) };

	if (stw_ua_send(example->ua, &message) < 0) {
		fprintf(stderr, "%s cannot be asked\n", uri);
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
