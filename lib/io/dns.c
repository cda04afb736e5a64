/* SPDX-License-Identifier: Apache-2.0 */
/* Names to addresses: A and AAAA by c-ares, in the loop. Each query is answered once, in time. */
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define DNS_TRIES      3
#define DNS_PARTS      7 /* of the time: each try waits twice as long as the last, 1 + 2 + 4 */
#define DNS_READ_BYTES (1 << 20)
#define DNS_NAME_BYTES 256 /* RFC 1035 §2.3.4, with NUL */

/* ---- queries ------------------------------------------------------------------- */

static void query_move(struct query *query, struct query_list *list)
{
	if (query->list)
		TAILQ_REMOVE(query->list, query, link);
	query->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, query, link);
}

/* While c-ares still holds the pointer it is only forgotten. */
static void query_forget(struct query *query)
{
	query_move(query, NULL);
	if (query->asked)
		return;
	query->io->query_count--;
	free(query);
}

static void query_finish(struct query *query, int error)
{
	query->error = query->addr_count ? 0 : error;
	query_move(query, &query->io->done);
}

static int query_error(int status)
{
	switch (status) {
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_EBADNAME:
	case ARES_SUCCESS: /* and no address */
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	default:
		return -EIO;
	}
}

static void query_take_addrs(struct query *query, const struct ares_addrinfo *info)
{
	const struct ares_addrinfo_node *node = info ? info->nodes : NULL;

	for (; node && query->addr_count < QUERY_ADDRS_MAX; node = node->ai_next) {
		struct stw_addr *addr = &query->addrs[query->addr_count];

		addr_from_sockaddr(node->ai_addr, addr);
		addr->port = 0;
		if (addr->family)
			query->addr_count++;
	}
}

static void dns_answered(void *user, int status, int timeouts, struct ares_addrinfo *info)
{
	struct query *query = user;

	query->asked = false;
	if (query->list == &query->io->waiting) {
		if (status == ARES_SUCCESS)
			query_take_addrs(query, info);
		query_finish(query, query_error(status));
	} else if (!query->list) {
		query_forget(query);
	}
	if (info)
		ares_freeaddrinfo(info);
}

/* ---- asking ----------------------------------------------------------------------- */

static void dns_ask(struct stw_io *io, struct query *query, const char *name)
{
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC };

	query->asked = true;
	ares_getaddrinfo(io->dns, name, NULL, &hints, dns_answered, query);
}

int dns_resolve(struct stw_io *io, struct stw_str name, uint64_t id)
{
	char text[DNS_NAME_BYTES];
	struct query *query;

	if (io->query_count == QUERIES_MAX)
		return -ENOBUFS;
	query = calloc(1, sizeof(*query));
	if (!query)
		return -ENOBUFS;
	io->query_count++;
	query->io = io;
	query->id = id;
	query->due_ms = clock_mono_ms() + io->options.dns_timeout_ms;
	query_move(query, &io->waiting);

	if (stw_addr_from_host(name, 0, &query->addrs[0]) == 0) {
		query->addr_count = 1;
		query_finish(query, 0);
	} else if (!name.len || name.len >= sizeof(text) || memchr(name.ptr, '\0', name.len)) {
		query_finish(query, -ENOENT);
	} else {
		memcpy(text, name.ptr, name.len);
		text[name.len] = '\0';
		dns_ask(io, query, text);
	}
	return 0;
}

/* ---- in the loop -------------------------------------------------------------------- */

static void dns_watch(void *user, ares_socket_t fd, int readable, int writable)
{
	uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);

	watch_set(user, fd, events, watch_key(WATCH_DNS, 0, (uint32_t)fd));
}

void dns_ready(struct stw_io *io, int fd, uint32_t ready)
{
	bool readable = ready & (EPOLLIN | EPOLLERR | EPOLLHUP), writable = ready & EPOLLOUT;

	ares_process_fd(io->dns, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
}

void dns_expire(struct stw_io *io, uint64_t now_ms)
{
	struct query *query;

	if (!io->query_count)
		return;
	ares_process_fd(io->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	while ((query = TAILQ_FIRST(&io->waiting)) && query->due_ms <= now_ms)
		query_finish(query, -ETIMEDOUT);
}

uint64_t dns_due_ms(const struct stw_io *io, uint64_t now_ms)
{
	const struct query *first = TAILQ_FIRST(&io->waiting);
	struct timeval left;
	uint64_t due_ms = first ? first->due_ms : UINT64_MAX, again_ms;

	if (!io->query_count || !ares_timeout(io->dns, NULL, &left))
		return due_ms;
	again_ms = now_ms + (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1;
	return again_ms < due_ms ? again_ms : due_ms;
}

void dns_tell(struct stw_io *io, unsigned events_max)
{
	struct query *query;

	while (io->event_count < events_max && (query = TAILQ_FIRST(&io->done))) {
		struct stw_io_event *event = event_add(io, STW_IO_RESOLVED);

		event->query = query->id;
		event->error = query->error;
		event->addrs = query->addrs;
		event->addr_count = query->addr_count;
		query_move(query, &io->shown);
	}
}

void dns_forget_shown(struct stw_io *io)
{
	struct query *query;

	while ((query = TAILQ_FIRST(&io->shown)))
		query_forget(query);
}

/* ---- life ------------------------------------------------------------------------------ */

static int library_error;

static void library_init(void)
{
	library_error = ares_library_init(ARES_LIB_INIT_ALL);
}

static int dns_use_servers(struct stw_io *io)
{
	struct stw_str servers = io->options.dns_servers;
	char *text;
	int status;

	if (!servers.len)
		return 0;
	text = malloc(servers.len + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, servers.ptr, servers.len);
	text[servers.len] = '\0';
	status = ares_set_servers_ports_csv(io->dns, text);
	free(text);
	if (status == ARES_SUCCESS)
		return 0;
	return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

int dns_open(struct stw_io *io)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct ares_options options = {
		/* A burst of questions may overrun the server's socket: what was lost is asked
		   again soon. */
		.timeout = (int)(io->options.dns_timeout_ms / DNS_PARTS + 1),
		.tries = DNS_TRIES,
		.socket_receive_buffer_size = DNS_READ_BYTES,
		.sock_state_cb = dns_watch,
		.sock_state_cb_data = io,
		.ndomains = 0, /* a host in a URI is a full name: nothing is appended */
	};
	int status;

	pthread_once(&once, library_init);
	if (library_error)
		return -ENOMEM;
	status = ares_init_options(&io->dns, &options,
		ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_RCVBUF |
			ARES_OPT_SOCK_STATE_CB | ARES_OPT_DOMAINS);
	if (status != ARES_SUCCESS) {
		io->dns = NULL;
		return status == ARES_ENOMEM ? -ENOMEM : -EIO;
	}
	return dns_use_servers(io);
}

void dns_done(struct stw_io *io)
{
	struct query *query;

	if (io->dns)
		ares_destroy(io->dns);
	while ((query = TAILQ_FIRST(&io->waiting)) || (query = TAILQ_FIRST(&io->done)) ||
		(query = TAILQ_FIRST(&io->shown)))
		query_forget(query);
}
