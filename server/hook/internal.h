/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server/hook. */
#ifndef STW_HOOK_INTERNAL_H
#define STW_HOOK_INTERNAL_H

#include <ares.h>
#include <curl/curl.h>
#include <sys/queue.h>

#include "server/hook/client.h"

#define RESOLVE_FDS ARES_GETSOCK_MAXNUM

/* A name and its addresses, as curl takes them: "host:443:192.0.2.1,[2001:db8::1]". */
struct resolved {
	char host[256];
	char addresses[1024]; /* behind "host:port:"; empty: none */
	char why[STW_HOOK_WHY_MAX];
	uint64_t until_ms; /* 0: never asked */
	bool asking;
	uint64_t used_ms;
	struct resolver *resolver;
};

#define RESOLVED_MAX 16

/* Names are few: those of the configuration. */
struct resolver {
	ares_channel channel;
	uint64_t now_ms;
	struct resolved v[RESOLVED_MAX];
};

/** @return 0, -ENOMEM, -EIO, -EINVAL */
int resolver_init(struct resolver *resolver, const char *servers);
void resolver_done(struct resolver *resolver);
/** What is known of the name, or a question on its way (`asking`). NULL: too many names. */
const struct resolved *resolver_get(struct resolver *resolver, const char *host, uint64_t now_ms);
/** The sockets to watch; `ret_wait_ms` is lowered. @return how many */
unsigned resolver_watch(
	struct resolver *resolver, struct curl_waitfd fds[RESOLVE_FDS], int *ret_wait_ms);
/** What the sockets have, what is due. */
void resolver_process(
	struct resolver *resolver, const struct curl_waitfd *fds, unsigned n, uint64_t now_ms);

#endif
