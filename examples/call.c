/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls a URI, hangs up as soon as the call stands, and says what came:
 *
 *     cc -o call call.c $(pkg-config --cflags --libs strowger) && ./call sip:bob@127.0.0.1:5070
 */
#include "loop.h"

static void told(void *user, const struct stw_ua_event *event)
{
	struct example *example = user;

	printf("%s %u %.*s\n", stw_ua_event_name(event->kind), event->code,
		STW_STR_ARG(event->phrase));
	if (event->kind == STW_UA_ESTABLISHED)
		stw_session_end(event->session, STW_STR_NONE);
	if (event->kind != STW_UA_ENDED)
		return;
	example->over = true;
	if (event->code >= 300) {
		example->status = 1;
		printf("%s\n", stw_status_or_class(event->code)->remedy);
	}
}

static void begin(struct example *example, const char *uri)
{
	struct stw_session_options options = { .uri = stw_str_from(uri) };

	if (stw_ua_call(example->ua, &options, NULL) < 0) {
		fprintf(stderr, "%s cannot be called\n", uri);
		example->status = 1;
		example->over = true;
	}
}

int main(int argc, char **argv)
{
	static const struct stw_ua_ops ops = { .event = told, .media = example_media };
	struct example example = { 0 };

	if (argc != 2 || example_start(&example, &ops, "sip:example@127.0.0.1", NULL) < 0)
		return 2;
	return example_run(&example, begin, argv[1]);
}
