/* SPDX-License-Identifier: Apache-2.0 */
/* Names of web servers, by c-ares: no thread of its own, as libcurl would start, and no module of
 * the system's resolver to be loaded. */
#include "server/hook/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define TTL_MIN_S   5 /* the hosts file has none */
#define TTL_MAX_S   3600
#define FAILED_S    2
#define ASK_MS      1500
#define ASK_TRIES   3
#define ADDRESS_MAX 46

int resolver_init(struct resolver *resolver, const char *servers)
{
	struct ares_options options = { .timeout = ASK_MS, .tries = ASK_TRIES, .ndomains = 0 };
	int status;

	*resolver = (struct resolver){ .now_ms = 0 };
	status = ares_init_options(&resolver->channel, &options,
		ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS);
	if (status != ARES_SUCCESS) {
		resolver->channel = NULL;
		return status == ARES_ENOMEM ? -ENOMEM : -EIO;
	}
	if (!servers || !*servers)
		return 0;
	status = ares_set_servers_ports_csv(resolver->channel, servers);
	return status == ARES_SUCCESS ? 0 : status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

void resolver_done(struct resolver *resolver)
{
	if (resolver->channel)
		ares_destroy(resolver->channel);
	resolver->channel = NULL;
}

static void address_add(struct resolved *resolved, const struct ares_addrinfo_node *node)
{
	size_t len = strlen(resolved->addresses);
	char text[ADDRESS_MAX];
	const void *address =
		node->ai_family == AF_INET6
			? (const void *)&((const struct sockaddr_in6 *)(const void *)node->ai_addr)
				  ->sin6_addr
			: (const void *)&((const struct sockaddr_in *)(const void *)node->ai_addr)
				  ->sin_addr;

	if (!inet_ntop(node->ai_family, address, text, sizeof(text)) ||
		len + strlen(text) + 4 > sizeof(resolved->addresses))
		return;
	snprintf(resolved->addresses + len, sizeof(resolved->addresses) - len,
		node->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", len ? "," : "", text);
}

static void on_answer(void *context, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct resolved *resolved = context;
	const struct ares_addrinfo_node *node;
	int ttl_s = TTL_MAX_S;

	resolved->asking = false;
	resolved->addresses[0] = 0;
	for (node = answer ? answer->nodes : NULL; node; node = node->ai_next) {
		address_add(resolved, node);
		if (node->ai_ttl < ttl_s)
			ttl_s = node->ai_ttl > TTL_MIN_S ? node->ai_ttl : TTL_MIN_S;
	}
	if (answer)
		ares_freeaddrinfo(answer);
	if (!resolved->addresses[0]) {
		snprintf(resolved->why, sizeof(resolved->why), "%.80s: %.40s", resolved->host,
			status == ARES_SUCCESS ? "no address" : ares_strerror(status));
		ttl_s = FAILED_S;
	}
	resolved->until_ms = resolved->resolver->now_ms + (uint64_t)ttl_s * 1000;
}

/* The place of this name, or the one that was not used for the longest time. */
static struct resolved *place_of(struct resolver *resolver, const char *host)
{
	struct resolved *oldest = NULL;

	for (unsigned i = 0; i < RESOLVED_MAX; i++) {
		struct resolved *resolved = &resolver->v[i];

		if (strcmp(resolved->host, host) == 0)
			return resolved;
		if (!resolved->asking && (!oldest || resolved->used_ms < oldest->used_ms))
			oldest = resolved;
	}
	if (!oldest || strlen(host) >= sizeof(oldest->host))
		return NULL;
	*oldest = (struct resolved){ .resolver = resolver };
	snprintf(oldest->host, sizeof(oldest->host), "%s", host);
	return oldest;
}

const struct resolved *resolver_get(struct resolver *resolver, const char *host, uint64_t now_ms)
{
	const struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM };
	struct resolved *resolved = place_of(resolver, host);

	resolver->now_ms = now_ms;
	if (!resolved)
		return NULL;
	resolved->used_ms = now_ms;
	if (resolved->asking || resolved->until_ms > now_ms)
		return resolved;
	resolved->asking = true;
	ares_getaddrinfo(resolver->channel, host, NULL, &hints, on_answer, resolved);
	return resolved;
}

unsigned resolver_watch(
	struct resolver *resolver, struct curl_waitfd fds[RESOLVE_FDS], int *ret_wait_ms)
{
	struct timeval limit = { *ret_wait_ms / 1000, *ret_wait_ms % 1000 * 1000 }, left;
	ares_socket_t sockets[RESOLVE_FDS];
	int bits = ares_getsock(resolver->channel, sockets, RESOLVE_FDS);
	const struct timeval *wait;
	unsigned n = 0;

	for (unsigned i = 0; i < RESOLVE_FDS; i++) {
		bool readable = ARES_GETSOCK_READABLE((unsigned)bits, i);
		bool writable = ARES_GETSOCK_WRITABLE((unsigned)bits, i);

		if (readable || writable)
			fds[n++] = (struct curl_waitfd){ .fd = sockets[i],
				.events = (short)((readable ? CURL_WAIT_POLLIN : 0) |
						  (writable ? CURL_WAIT_POLLOUT : 0)) };
	}
	wait = n ? ares_timeout(resolver->channel, &limit, &left) : NULL;
	if (wait)
		*ret_wait_ms = (int)(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1);
	return n;
}

void resolver_process(
	struct resolver *resolver, const struct curl_waitfd *fds, unsigned n, uint64_t now_ms)
{
	resolver->now_ms = now_ms;
	for (unsigned i = 0; i < n; i++)
		ares_process_fd(resolver->channel,
			fds[i].revents & CURL_WAIT_POLLIN ? fds[i].fd : ARES_SOCKET_BAD,
			fds[i].revents & CURL_WAIT_POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
}
