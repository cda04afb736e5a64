/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to name servers, by c-ares. A channel of c-ares keeps one socket for all that it is
 * asking and closes it when it is idle; so each question in flight has a channel of its own, and
 * with it a port that the kernel has drawn for it alone (RFC 5452 §9.2). c-ares draws the ids,
 * repeats, goes to the next server, and to TCP when an answer is truncated; what came back is read
 * by stw_dns_parse(). Each question is answered once, in time, and has its channel no longer than
 * that. The names of one domain have a part of the channels that others leave, so that these are
 * answered while its servers are silent; the more domains are silent, the smaller is the part.
 */
#include "internal.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#define DNS_UDP_BYTES  1232 /* offered by EDNS: no fragments; what is longer comes by TCP */
#define HOSTS_TTL_S    5    /* the hosts file may change */
#define SYSTEM_LOOK_MS 1000 /* and so may the servers of the system */

/* ---- questions ----------------------------------------------------------------------- */

static void query_move(struct query *query, struct query_list *list)
{
	if (query->list)
		TAILQ_REMOVE(query->list, query, link);
	query->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, query, link);
}

static void query_forget(struct query *query)
{
	query_move(query, NULL);
	query->io->query_count--;
	free(query);
}

static void query_finish(struct query *query)
{
	if (query->domain) {
		query->domain->queries--;
		query->domain->channels -= query->channel != NULL;
		query->io->dns.asked -= query->channel != NULL;
	}
	query->domain = NULL;
	if (query->channel)
		query->channel->query = NULL;
	query->channel = NULL;
	query_move(query, &query->io->done);
}

/* Nobody waits for c-ares any more: the channel is free for the next question. */
static void query_fail(struct query *query, int error)
{
	struct dns_channel *channel = query->channel;

	query->answer = (struct stw_dns_answer){ .error = error };
	query_finish(query);
	if (!channel)
		return;
	ares_cancel(channel->ares);
	query->io->dns.due_ms = 0;
}

/* ---- domains ------------------------------------------------------------------------- */

/* The start of the last label of what ends at `end`. */
static size_t label_start(struct stw_str name, size_t end)
{
	while (end > 0 && name.ptr[end - 1] != '.')
		end--;
	return end;
}

/* Below which a country lets everybody have a domain: "co" of "co.uk". Not whatever is short: who
 * has a short domain would have as many as he likes. */
static bool label_is_shared(struct stw_str label)
{
	static const char *const shared[] = { "ac", "ad", "co", "com", "ed", "edu", "go", "gob",
		"gov", "id", "info", "ltd", "me", "mil", "ne", "net", "nom", "or", "org", "plc",
		"sch", "web" };

	for (unsigned i = 0; i < STW_ARRAY_SIZE(shared); i++) {
		if (stw_str_equal_nocase(label, stw_str_from(shared[i])))
			return true;
	}
	return false;
}

/* The last two labels stand for the domain whose servers are asked, or three. */
static struct dns_domain *domain_of(struct dns *dns, struct stw_str name)
{
	size_t last, from;

	if (name.ptr[name.len - 1] == '.')
		name.len--;
	last = from = label_start(name, name.len);
	if (from > 0)
		from = label_start(name, from - 1);
	if (from > 0 && name.len - last == 2 && label_is_shared(stw_str_cut(name, from, last - 1)))
		from = label_start(name, from - 1);
	return &dns->domains[stw_hash_nocase(dns->key, name.ptr + from, name.len - from) % DOMAINS];
}

/* A third of what is left: alone it has a fourth of all. */
static bool domain_may_ask(const struct stw_io *io, const struct dns_domain *domain)
{
	return 3 * domain->channels < CHANNELS_MAX - io->dns.asked;
}

/* As many as are left: alone it has half of all. This one is counted already. */
static bool domain_may_wait(const struct stw_io *io, const struct dns_domain *domain)
{
	return domain->queries <= QUERIES_MAX + 1 - io->query_count;
}

/* ---- channels ------------------------------------------------------------------------- */

static void channel_move(struct dns_channel *channel, struct channel_list *list)
{
	TAILQ_REMOVE(channel->list, channel, link);
	channel->list = list;
	TAILQ_INSERT_TAIL(list, channel, link);
}

static void channel_watch(void *user, ares_socket_t fd, int readable, int writable)
{
	uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);
	struct dns_channel *channel = user;

	watch_set(channel->io, fd, events, watch_key(WATCH_DNS, channel->index, (uint32_t)fd));
}

/* Each server is asked in the time that a question has. c-ares asks them in turn, and waits twice
 * as long in each round as in the last. @return rounds */
static int rounds_of(const struct stw_io *io, int *ret_timeout_ms)
{
	unsigned servers = io->dns.server_count ? io->dns.server_count : 1;
	int rounds = servers == 1 ? 3 : servers <= 3 ? 2 : 1;

	*ret_timeout_ms = (int)(io->options.dns_timeout_ms / (servers * ((1u << rounds) - 1)) + 1);
	return rounds;
}

static int servers_given(ares_channel ares, const struct stw_io *io)
{
	return io->dns.servers ? ares_set_servers_ports_csv(ares, io->dns.servers) : ARES_SUCCESS;
}

/* Not those that the file of the system names by now: it may be half written. */
static int servers_like(ares_channel ares, ares_channel reader)
{
	struct ares_addr_port_node *servers = NULL;
	int status = ares_get_servers_ports(reader, &servers);

	if (status == ARES_SUCCESS)
		status = ares_set_servers_ports(ares, servers);
	ares_free_data(servers);
	return status;
}

/* `channel`: for questions; NULL: a reader. */
static int resolver_open(struct stw_io *io, struct dns_channel *channel, ares_channel *ret)
{
	int timeout_ms, rounds = rounds_of(io, &timeout_ms);
	struct ares_options options = {
		.flags = ARES_FLAG_EDNS,
		.ednspsz = DNS_UDP_BYTES,
		.timeout = timeout_ms,
		.tries = rounds,
		.sock_state_cb = channel_watch,
		.sock_state_cb_data = channel,
		.ndomains = 0, /* a host in a URI is a full name: nothing is appended */
		.resolvconf_path = (char *)(uintptr_t)io->options.resolv_conf, /* is copied */
	};
	ares_channel ares;
	int status = ares_init_options(&ares, &options,
		ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
			ARES_OPT_SOCK_STATE_CB | ARES_OPT_DOMAINS | ARES_OPT_RESOLVCONF);

	if (status != ARES_SUCCESS)
		return status == ARES_ENOMEM ? -ENOMEM : -EIO;
	status = channel ? servers_like(ares, io->dns.reader) : servers_given(ares, io);
	if (status != ARES_SUCCESS) {
		ares_destroy(ares);
		return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
	}
	*ret = ares;
	return 0;
}

static void channel_close(struct dns_channel *channel)
{
	TAILQ_REMOVE(channel->list, channel, link);
	if (channel->ares)
		ares_destroy(channel->ares);
	if (channel->io->dns.channels[channel->index] == channel)
		channel->io->dns.channels[channel->index] = NULL;
	free(channel);
}

static struct dns_channel *channel_new(struct stw_io *io, int *ret_error)
{
	struct dns_channel *channel;
	uint32_t index = 0;

	while (index < CHANNELS_MAX && io->dns.channels[index])
		index++;
	*ret_error = -ENOBUFS;
	if (index == CHANNELS_MAX)
		return NULL;
	*ret_error = -ENOMEM;
	channel = calloc(1, sizeof(*channel));
	if (!channel)
		return NULL;
	channel->index = index;
	channel->due_ms = UINT64_MAX;
	channel->io = io;
	channel->list = &io->dns.idle;
	TAILQ_INSERT_TAIL(&io->dns.idle, channel, link);
	*ret_error = resolver_open(io, channel, &channel->ares);
	if (*ret_error < 0) {
		channel_close(channel);
		return NULL;
	}
	io->dns.channels[index] = channel;
	return channel;
}

static void channel_schedule(struct dns_channel *channel, uint64_t now_ms)
{
	struct timeval left;

	channel->due_ms = UINT64_MAX;
	if (!ares_timeout(channel->ares, NULL, &left))
		return;
	channel->due_ms = now_ms + (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1;
	if (channel->due_ms < channel->io->dns.due_ms)
		channel->io->dns.due_ms = channel->due_ms;
}

/* ---- the servers that the system names --------------------------------------------------------
 */

static unsigned servers_count(ares_channel ares)
{
	struct ares_addr_port_node *servers = NULL;
	unsigned count = 0;

	if (ares_get_servers_ports(ares, &servers) != ARES_SUCCESS)
		return 1;
	for (const struct ares_addr_port_node *server = servers; server; server = server->next)
		count++;
	ares_free_data(servers);
	return count;
}

static int reader_open(struct stw_io *io)
{
	ares_channel reader;
	int err = resolver_open(io, NULL, &reader);

	if (err < 0)
		return err;
	if (io->dns.reader)
		ares_destroy(io->dns.reader);
	io->dns.reader = reader;
	io->dns.server_count = servers_count(reader);
	return 0;
}

/* @return true: it has changed since it was read. One that is empty, or not there, is being
 * replaced. */
static bool system_look(const struct stw_io *io, struct dns_system *ret)
{
	const struct dns_system *old = &io->dns.system;
	struct stat file;

	if (stat(io->options.resolv_conf, &file) < 0 || file.st_size == 0)
		return false;
	ret->device = file.st_dev;
	ret->inode = file.st_ino;
	ret->size = file.st_size;
	ret->changed = file.st_mtim;
	return ret->device != old->device || ret->inode != old->inode || ret->size != old->size ||
	       ret->changed.tv_sec != old->changed.tv_sec ||
	       ret->changed.tv_nsec != old->changed.tv_nsec;
}

/* Those at work end what they have begun. */
static void system_follow(struct stw_io *io, uint64_t now_ms)
{
	struct dns_system system = { .look_ms = now_ms + SYSTEM_LOOK_MS };
	struct dns_channel *channel;

	if (io->dns.servers || now_ms < io->dns.system.look_ms)
		return;
	io->dns.system.look_ms = system.look_ms;
	if (!system_look(io, &system) || reader_open(io) < 0)
		return;
	io->dns.system = system;
	for (channel = TAILQ_FIRST(&io->dns.busy); channel; channel = TAILQ_NEXT(channel, link))
		channel->stale = true;
	while ((channel = TAILQ_FIRST(&io->dns.idle)))
		channel_close(channel);
}

/* @return an idle channel; NULL: as many as there may be are at work, or no memory */
static struct dns_channel *channel_get(struct stw_io *io, int *ret_error)
{
	struct dns_channel *channel;

	system_follow(io, clock_mono_ms());
	channel = TAILQ_FIRST(&io->dns.idle);
	return channel ? channel : channel_new(io, ret_error);
}

/* ---- asking -------------------------------------------------------------------------------- */

/* c-ares has come to an end with it. The socket is closed when this has returned, so the channel is
 * used again only later. */
static void channel_answered(void *user, int status, int timeouts, unsigned char *message, int len)
{
	struct dns_channel *channel = user;
	struct query *query = channel->query;

	channel->ended = true;
	if (!query)
		return;
	if (status == ARES_ETIMEOUT)
		query->answer = (struct stw_dns_answer){ .error = -ETIMEDOUT };
	else if (!message || len < 0)
		query->answer = (struct stw_dns_answer){ .error = -EIO };
	else
		stw_dns_parse(message, (size_t)len, stw_str_from(query->name),
			(enum stw_dns_type)query->type, &query->buffer, &query->answer);
	query_finish(query);
}

static void query_ask(struct stw_io *io, struct query *query, struct dns_channel *channel)
{
	channel_move(channel, &io->dns.busy);
	channel->ended = false;
	channel->query = query;
	query->channel = channel;
	query->domain->channels++;
	io->dns.asked++;
	query_move(query, &io->waiting);
	ares_query(channel->ares, query->name, 1, query->type, channel_answered, channel);
	channel_schedule(channel, clock_mono_ms());
	/* It may have failed at once. */
	if (channel->ended)
		io->dns.due_ms = 0;
}

/* @return 0: it is on its way, or has failed; -ENOBUFS it has to wait */
static int query_start(struct stw_io *io, struct query *query)
{
	struct dns_channel *channel;
	int error = 0;

	if (!domain_may_ask(io, query->domain))
		return -ENOBUFS;
	channel = channel_get(io, &error);
	if (channel)
		query_ask(io, query, channel);
	else if (error == -ENOBUFS || !TAILQ_EMPTY(&io->dns.busy))
		return -ENOBUFS;
	else
		query_fail(query, -EIO);
	return 0;
}

/* Those that found no channel get theirs as soon as one is free. */
static void queue_serve(struct stw_io *io)
{
	struct query *query, *next;

	for (query = TAILQ_FIRST(&io->queued); query; query = next) {
		next = TAILQ_NEXT(query, link);
		if (query_start(io, query) < 0 && domain_may_ask(io, query->domain))
			return;
	}
}

/* ---- the hosts file: names of this machine and its neighbours ---------------------------------
 */

static bool hosts_look(struct query *query, const char *name, int family)
{
	struct hostent *host = NULL;
	unsigned n = 0;

	if (ares_gethostbyname_file(query->io->dns.reader, name, family, &host) != ARES_SUCCESS)
		return false;
	for (; host->h_addr_list[n] && n < STW_DNS_RECORDS_MAX; n++) {
		struct stw_dns_record *record = &query->buffer.records[n];

		*record = (struct stw_dns_record){ 0 };
		record->addr.family = family == AF_INET ? 4 : 6;
		memcpy(record->addr.ip, host->h_addr_list[n], family == AF_INET ? 4 : 16);
	}
	ares_free_hostent(host);
	query->answer = (struct stw_dns_answer){
		.ttl_s = HOSTS_TTL_S, .local = true, .records = query->buffer.records, .n = n
	};
	return n > 0;
}

/* "localhost" and what ends with ".localhost", RFC 6761 §6.3. */
static bool is_localhost(struct stw_str name)
{
	static const struct stw_str localhost = { "localhost", 9 };
	size_t from;

	if (name.len && name.ptr[name.len - 1] == '.')
		name.len--;
	if (name.len < localhost.len)
		return false;
	from = name.len - localhost.len;
	return stw_str_equal_nocase(stw_str_cut(name, from, name.len), localhost) &&
	       (from == 0 || name.ptr[from - 1] == '.');
}

static void localhost_answer(struct query *query, int family)
{
	struct stw_dns_record *record = &query->buffer.records[0];

	*record = (struct stw_dns_record){ .addr.family = family == AF_INET ? 4 : 6 };
	if (family == AF_INET)
		memcpy(record->addr.ip, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
	else
		memcpy(record->addr.ip, &in6addr_loopback, 16);
	query->answer = (struct stw_dns_answer){
		.ttl_s = HOSTS_TTL_S, .local = true, .records = record, .n = 1
	};
}

/* "example.com" of "_sip._udp.example.com". */
static const char *name_served(const char *name)
{
	while (*name == '_' && strchr(name, '.'))
		name = strchr(name, '.') + 1;
	return name;
}

static bool hosts_have(struct query *query, const char *name)
{
	return hosts_look(query, name, AF_INET) || hosts_look(query, name, AF_INET6);
}

/* A name that the file has in the other family only has no address in this one; and who has put it
 * there means these addresses, not the services that the network may know of it. */
static bool hosts_know(struct query *query)
{
	bool addr = query->type == STW_DNS_A || query->type == STW_DNS_AAAA, localhost;
	int family = query->type == STW_DNS_A ? AF_INET : AF_INET6;
	const char *name = addr ? query->name : name_served(query->name);

	if (addr && hosts_look(query, name, family))
		return true;
	localhost = is_localhost(stw_str_from(name));
	if (hosts_have(query, name) || (localhost && !addr))
		query->answer = (struct stw_dns_answer){ .error = -ENOENT, .ttl_s = HOSTS_TTL_S };
	else if (localhost)
		localhost_answer(query, family);
	else
		return false;
	return true;
}

int dns_resolve(struct stw_io *io, struct stw_str name, unsigned type, uint64_t id)
{
	struct query *query;

	if (io->query_count == QUERIES_MAX)
		return -ENOBUFS;
	query = calloc(1, sizeof(*query));
	if (!query)
		return -ENOBUFS;
	io->query_count++;
	query->io = io;
	query->id = id;
	query->type = (uint16_t)type;
	query->due_ms = clock_mono_ms() + io->options.dns_timeout_ms;
	if (!stw_dns_name_valid(name) || name.len >= sizeof(query->name)) {
		query_fail(query, -ENOENT);
		return 0;
	}
	memcpy(query->name, name.ptr, name.len);
	if (hosts_know(query)) {
		query_finish(query);
		return 0;
	}
	query->domain = domain_of(&io->dns, name);
	query->domain->queries++;
	if (!domain_may_wait(io, query->domain)) {
		query_fail(query, -ENOBUFS);
		return 0;
	}
	query_move(query, &io->queued);
	(void)query_start(io, query);
	return 0;
}

/* ---- in the loop --------------------------------------------------------------------------------
 */

void dns_ready(struct stw_io *io, uint32_t index, int fd, uint32_t ready)
{
	bool readable = ready & (EPOLLIN | EPOLLERR | EPOLLHUP), writable = ready & EPOLLOUT;
	struct dns_channel *channel = index < CHANNELS_MAX ? io->dns.channels[index] : NULL;

	if (!channel)
		return;
	ares_process_fd(
		channel->ares, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
	io->dns.due_ms = 0; /* look at all in dns_expire() */
}

static void channels_expire(struct stw_io *io, uint64_t now_ms)
{
	struct dns_channel *channel, *next;
	unsigned idle = 0;

	for (channel = TAILQ_FIRST(&io->dns.busy); channel; channel = next) {
		next = TAILQ_NEXT(channel, link);
		if (!channel->ended && channel->due_ms <= now_ms)
			ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
		if (channel->ended && channel->stale) {
			channel_close(channel);
		} else if (channel->ended) {
			channel->due_ms = UINT64_MAX;
			channel_move(channel, &io->dns.idle);
		} else {
			channel_schedule(channel, now_ms);
		}
	}
	for (channel = TAILQ_FIRST(&io->dns.idle); channel; channel = next) {
		next = TAILQ_NEXT(channel, link);
		if (++idle > CHANNELS_IDLE)
			channel_close(channel);
	}
}

/* In order of their time: all questions have the same. */
static void queries_expire(struct query_list *list, uint64_t now_ms)
{
	struct query *query;

	while ((query = TAILQ_FIRST(list)) && query->due_ms <= now_ms)
		query_fail(query, -ETIMEDOUT);
}

void dns_expire(struct stw_io *io, uint64_t now_ms)
{
	queries_expire(&io->waiting, now_ms);
	queries_expire(&io->queued, now_ms);
	if (io->dns.due_ms > now_ms)
		return;
	io->dns.due_ms = UINT64_MAX;
	channels_expire(io, now_ms);
	queue_serve(io);
}

static uint64_t query_due_ms(const struct query_list *list)
{
	const struct query *first = TAILQ_FIRST(list);

	return first ? first->due_ms : UINT64_MAX;
}

uint64_t dns_due_ms(const struct stw_io *io)
{
	uint64_t due_ms = io->dns.due_ms, query_ms = query_due_ms(&io->waiting);

	if (query_ms < due_ms)
		due_ms = query_ms;
	query_ms = query_due_ms(&io->queued);
	return query_ms < due_ms ? query_ms : due_ms;
}

void dns_tell(struct stw_io *io, unsigned events_max)
{
	struct query *query;

	while (io->event_count < events_max && (query = TAILQ_FIRST(&io->done))) {
		struct stw_io_event *event = event_add(io, STW_IO_RESOLVED);

		event->query = query->id;
		event->answer = &query->answer;
		query_move(query, &io->shown);
	}
}

void dns_forget_shown(struct stw_io *io)
{
	struct query *query;

	while ((query = TAILQ_FIRST(&io->shown)))
		query_forget(query);
}

/* ---- life
 * ------------------------------------------------------------------------------------------ */

static int library_error;

static void library_init(void)
{
	library_error = ares_library_init(ARES_LIB_INIT_ALL);
}

int dns_open(struct stw_io *io)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct stw_str servers = io->options.dns_servers;

	pthread_once(&once, library_init);
	if (library_error)
		return -ENOMEM;
	io->dns.due_ms = UINT64_MAX;
	io->dns.key = (struct stw_hash_key){ stw_io_seed(), stw_io_seed() };
	if (servers.len) {
		io->dns.servers = malloc(servers.len + 1);
		if (!io->dns.servers)
			return -ENOMEM;
		memcpy(io->dns.servers, servers.ptr, servers.len);
		io->dns.servers[servers.len] = '\0';
	} else {
		system_look(io, &io->dns.system);
	}
	/* Also finds out whether the servers can be read. */
	return reader_open(io);
}

void dns_done(struct stw_io *io)
{
	struct query_list *const lists[] = { &io->queued, &io->waiting, &io->done, &io->shown };
	struct dns_channel *channel;
	struct query *query;

	while ((channel = TAILQ_FIRST(&io->dns.busy)) || (channel = TAILQ_FIRST(&io->dns.idle)))
		channel_close(channel);
	for (unsigned i = 0; i < STW_ARRAY_SIZE(lists); i++) {
		while ((query = TAILQ_FIRST(lists[i])))
			query_forget(query);
	}
	if (io->dns.reader)
		ares_destroy(io->dns.reader);
	free(io->dns.servers);
}
