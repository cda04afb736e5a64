/* SPDX-License-Identifier: Apache-2.0 */
#include "server/hook/internal.h"
#include "server/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES_MAX (64u * 1024u)
#define LAST_MS        1000               /* for lines when the server stops */
#define WAIT_MS        1000               /* at most; whoever has something new wakes the thread */
#define LANES          (STW_PURPOSES + 1) /* one for each purpose, and one for lines */

/* A question that is being asked. */
struct exchange {
	TAILQ_ENTRY(exchange) link;
	struct stw_hook_client *client;
	struct stw_hook_question *question;
	CURL *easy; /* NULL: it waits for its name, or for others of its purpose to end */
	bool added;
	struct curl_slist *resolve;
	char host[256];
	long port;
	size_t capacity, head_bytes;
	bool too_long;
	char error[CURL_ERROR_SIZE];
};

struct stw_hook_client {
	struct stw_hook_client_options options;
	char *ca;
	CURLM *multi;
	int wake_fd;
	struct curl_slist *headers;
	struct resolver resolver;
	TAILQ_HEAD(, exchange) open;
	struct stw_ring **asked, **answered; /* of each queue */
	unsigned running[LANES];             /* exchanges with a connection, or about to have one */
	bool freed;                          /* a connection since somebody was last looked for */
	atomic_uint count[STW_PURPOSES];     /* between submit and answer */
	atomic_bool stopping;
	pthread_t thread;
	bool started;
	/* lines */
	struct stw_delivery *delivery; /* NULL: none are delivered; under `lock` */
	pthread_mutex_t lock;          /* between the thread that gives lines and ours */
	struct curl_slist *line_headers;
	char *lines_url;
	struct stw_hook_question *sending; /* the POST that is on its way; NULL: none */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* By write(2), which every thread may make: the thread sleeps, or will look before it does. */
static void wake(const struct stw_hook_client *client)
{
	const uint64_t one = 1;

	(void)!write(client->wake_fd, &one, sizeof(one));
}

/* ---- the end of a question ------------------------------------------------------------ */

static void lines_end(struct stw_hook_client *client, struct stw_hook_question *question)
{
	pthread_mutex_lock(&client->lock);
	stw_delivery_end(client->delivery, stw_delivery_end_of(question->status), now_ms());
	pthread_mutex_unlock(&client->lock);
	client->sending = stw_hook_question_free(question);
}

static void give(struct stw_hook_client *client, struct stw_hook_question *question)
{
	unsigned queue = question->queue;

	if (question == client->sending) {
		lines_end(client, question);
		return;
	}
	/* There is room: no more are open than the ring takes. */
	(void)stw_ring_push(client->answered[queue], question);
	client->options.wake(client->options.wake_context, queue);
}

static unsigned lane_of(const struct exchange *exchange)
{
	return exchange->question == exchange->client->sending ? STW_PURPOSES
							       : exchange->question->purpose;
}

static void exchange_end(struct exchange *exchange, enum stw_hook_result result, const char *why)
{
	struct stw_hook_client *client = exchange->client;
	struct stw_hook_question *question = exchange->question;

	if (exchange->added) {
		curl_multi_remove_handle(client->multi, exchange->easy);
		client->running[lane_of(exchange)]--;
		client->freed = true;
	}
	if (exchange->easy)
		curl_easy_cleanup(exchange->easy);
	curl_slist_free_all(exchange->resolve);
	TAILQ_REMOVE(&client->open, exchange, link);
	question->result = result;
	snprintf(question->why, sizeof(question->why), "%s", why);
	free(exchange);
	give(client, question);
}

static void exchange_done(struct exchange *exchange, CURLcode code)
{
	struct stw_hook_question *question = exchange->question;
	char why[STW_HOOK_WHY_MAX];
	long status = 0;

	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	question->status = status > 0 ? (unsigned)status : 0;
	if (exchange->too_long) {
		exchange_end(exchange, STW_HOOK_TOO_LONG, "the answer is too long");
	} else if (code == CURLE_OPERATION_TIMEDOUT) {
		exchange_end(exchange, STW_HOOK_LATE, "no answer in time");
	} else if (code != CURLE_OK) {
		snprintf(why, sizeof(why), "%.100s",
			exchange->error[0] ? exchange->error : curl_easy_strerror(code));
		exchange_end(exchange, STW_HOOK_DOWN, why);
	} else if (status != 200) {
		snprintf(why, sizeof(why), "HTTP status %ld", status);
		exchange_end(exchange, STW_HOOK_REFUSED, why);
	} else {
		exchange_end(exchange, STW_HOOK_ANSWERED, "");
	}
}

/* ---- its way ------------------------------------------------------------------------------ */

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
	struct exchange *exchange = user;
	struct stw_hook_question *question = exchange->question;
	size_t needed = question->answer_len + size * n, capacity = exchange->capacity;
	char *grown;

	exchange->too_long = needed > exchange->client->options.max_answer_bytes;
	if (exchange->too_long)
		return 0;
	while (capacity < needed)
		capacity = capacity ? capacity * 2 : 512;
	if (capacity > exchange->capacity) {
		grown = realloc(question->answer, capacity);
		if (!grown)
			return 0;
		question->answer = grown;
		exchange->capacity = capacity;
	}
	memcpy(question->answer + question->answer_len, data, size * n);
	question->answer_len = needed;
	return size * n;
}

static size_t on_head(char *data, size_t size, size_t n, void *user)
{
	struct exchange *exchange = user;

	exchange->head_bytes += size * n;
	exchange->too_long = exchange->head_bytes > HEAD_BYTES_MAX;
	return exchange->too_long ? 0 : size * n;
}

static bool exchange_options(struct exchange *exchange, uint64_t now)
{
	const struct stw_hook_question *question = exchange->question;
	const struct stw_hook_client *client = exchange->client;
	CURL *easy = exchange->easy;
	long left_ms = question->due_ms > now ? (long)(question->due_ms - now) : 1;
	bool ok = true;

#define SET(option, value) ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK
	SET(CURLOPT_URL, question->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TIMEOUT_MS, left_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, left_ms);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDS, question->body.ptr);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)question->body.len);
	SET(CURLOPT_HTTPHEADER,
		question == client->sending ? client->line_headers : client->headers);
	SET(CURLOPT_USERAGENT, "strowger/" STW_VERSION);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, exchange);
	SET(CURLOPT_HEADERFUNCTION, on_head);
	SET(CURLOPT_HEADERDATA, exchange);
	SET(CURLOPT_ERRORBUFFER, exchange->error);
	SET(CURLOPT_PRIVATE, exchange);
	if (client->ca)
		SET(CURLOPT_CAINFO, client->ca);
	if (exchange->resolve)
		SET(CURLOPT_RESOLVE, exchange->resolve);
#undef SET
	return ok;
}

static void exchange_start(struct exchange *exchange, const char *addresses, uint64_t now)
{
	char line[1400];

	if (*addresses) {
		snprintf(
			line, sizeof(line), "%s:%ld:%s", exchange->host, exchange->port, addresses);
		exchange->resolve = curl_slist_append(NULL, line);
	}
	exchange->easy = curl_easy_init();
	if (!exchange->easy || (*addresses && !exchange->resolve) ||
		!exchange_options(exchange, now) ||
		curl_multi_add_handle(exchange->client->multi, exchange->easy) != CURLM_OK) {
		exchange_end(exchange, STW_HOOK_DOWN, "no memory is left");
		return;
	}
	exchange->added = true;
	exchange->client->running[lane_of(exchange)]++;
}

/* A name is looked up first; an address is not. Without a connection for its purpose it waits, in
 * the order of `open`. */
static void exchange_locate(struct exchange *exchange, uint64_t now)
{
	struct stw_hook_client *client = exchange->client;
	const struct resolved *resolved;
	struct in6_addr address;

	if (client->running[lane_of(exchange)] == client->options.connections)
		return;
	if (exchange->host[0] == '[' || inet_pton(AF_INET, exchange->host, &address) == 1) {
		exchange_start(exchange, "", now);
		return;
	}
	resolved = resolver_get(&client->resolver, exchange->host, now);
	if (!resolved)
		exchange_end(exchange, STW_HOOK_BUSY, "too many names are being looked up");
	else if (resolved->asking)
		return;
	else if (!resolved->addresses[0])
		exchange_end(exchange, STW_HOOK_DOWN, resolved->why);
	else
		exchange_start(exchange, resolved->addresses, now);
}

static bool url_read(struct exchange *exchange)
{
	CURLU *url = curl_url();
	char *host = NULL, *port = NULL;
	bool ok = url &&
		  curl_url_set(url, CURLUPART_URL, exchange->question->url, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		  strlen(host) < sizeof(exchange->host);

	if (ok) {
		snprintf(exchange->host, sizeof(exchange->host), "%s", host);
		exchange->port = strtol(port, NULL, 10);
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
	return ok;
}

static void take(struct stw_hook_client *client, struct stw_hook_question *question, uint64_t now)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	question->due_ms = now + question->timeout_ms;
	if (!exchange) {
		question->result = STW_HOOK_DOWN;
		give(client, question);
		return;
	}
	exchange->client = client;
	exchange->question = question;
	TAILQ_INSERT_TAIL(&client->open, exchange, link);
	if (!url_read(exchange))
		exchange_end(exchange, STW_HOOK_DOWN, "its address cannot be read");
}

/* ---- lines ---- */

static void send_lines(struct stw_hook_client *client, uint64_t now)
{
	struct stw_str url = stw_str_from(client->lines_url), body;
	struct stw_hook_question *question;
	int err;

	if (!client->delivery || client->sending)
		return;
	pthread_mutex_lock(&client->lock);
	err = stw_delivery_begin(client->delivery, now, &body);
	pthread_mutex_unlock(&client->lock);
	if (err < 0)
		return;
	err = stw_hook_question_new(url, body, &question);
	free((void *)(uintptr_t)body.ptr);
	if (err < 0) {
		pthread_mutex_lock(&client->lock);
		stw_delivery_end(client->delivery, STW_DELIVERY_FAILED, now);
		pthread_mutex_unlock(&client->lock);
		return;
	}
	question->timeout_ms = client->options.lines_timeout_ms;
	client->sending = question;
	take(client, question, now);
}

/* @return ms until lines are to be sent, at most `wait_ms` */
static int lines_wait(struct stw_hook_client *client, int wait_ms, uint64_t now)
{
	uint64_t due_ms;

	if (!client->delivery || client->sending)
		return wait_ms;
	pthread_mutex_lock(&client->lock);
	due_ms = stw_delivery_due(client->delivery);
	pthread_mutex_unlock(&client->lock);
	if (due_ms <= now)
		return 0;
	return due_ms - now < (uint64_t)wait_ms ? (int)(due_ms - now) : wait_ms;
}

void stw_hook_client_deliver(struct stw_hook_client *client, struct stw_str line)
{
	if (!client->delivery)
		return;
	pthread_mutex_lock(&client->lock);
	stw_delivery_put(client->delivery, line);
	pthread_mutex_unlock(&client->lock);
	wake(client);
}

void stw_hook_client_delivered(struct stw_hook_client *client, struct stw_delivery_stats *ret)
{
	*ret = (struct stw_delivery_stats){ 0 };
	if (!client->delivery)
		return;
	pthread_mutex_lock(&client->lock);
	stw_delivery_stats(client->delivery, ret);
	pthread_mutex_unlock(&client->lock);
}

/* ---- the thread --------------------------------------------------------------------------- */

static void take_asked(struct stw_hook_client *client, uint64_t now)
{
	struct stw_hook_question *question;

	for (unsigned i = 0; i < client->options.queues; i++) {
		while ((question = stw_ring_pop(client->asked[i])))
			take(client, question, now);
	}
}

static void take_done(struct stw_hook_client *client)
{
	const CURLMsg *message;
	struct exchange *exchange;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left))) {
		CURLcode code = message->data.result;
		char *private = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		exchange = (struct exchange *)(void *)private;
		if (exchange)
			exchange_done(exchange, code);
	}
}

/* Those who can go on, the oldest first, and those whose time is over. @return ms until the next
 * one */
static int look_after(struct stw_hook_client *client, uint64_t now)
{
	struct exchange *exchange = TAILQ_FIRST(&client->open), *next;
	uint64_t wait_ms = WAIT_MS;

	client->freed = false;
	for (; exchange; exchange = next) {
		uint64_t due_ms = exchange->question->due_ms;

		next = TAILQ_NEXT(exchange, link);
		if (due_ms <= now) {
			exchange_end(exchange, STW_HOOK_LATE, "no answer in time");
			continue;
		}
		if (due_ms - now < wait_ms)
			wait_ms = due_ms - now;
		if (!exchange->easy)
			exchange_locate(exchange, now);
	}
	return (int)wait_ms;
}

static void turn(struct stw_hook_client *client)
{
	struct curl_waitfd fds[1 + RESOLVE_FDS] = { { .fd = client->wake_fd,
		.events = CURL_WAIT_POLLIN } };
	int running, wait_ms;
	uint64_t count;
	unsigned n;

	take_asked(client, now_ms());
	send_lines(client, now_ms());
	wait_ms = look_after(client, now_ms());
	curl_multi_perform(client->multi, &running);
	take_done(client);
	wait_ms = client->freed ? 0 : lines_wait(client, wait_ms, now_ms());
	n = resolver_watch(&client->resolver, fds + 1, &wait_ms);
	curl_multi_poll(client->multi, fds, 1 + n, wait_ms, NULL);
	if (fds[0].revents)
		(void)!read(client->wake_fd, &count, sizeof(count));
	resolver_process(&client->resolver, fds + 1, n, now_ms());
}

/* What the last calls have left behind gets a little time, unless it was failing anyway. */
static void last_lines(struct stw_hook_client *client)
{
	uint64_t end_ms = now_ms() + LAST_MS;

	while (client->delivery && now_ms() < end_ms &&
		(client->sending || lines_wait(client, 1, now_ms()) == 0))
		turn(client);
}

static void *client_thread(void *context)
{
	struct stw_hook_client *client = context;
	struct exchange *exchange;

	prctl(PR_SET_NAME, "strowger-hook");
	if (client->options.thread_start)
		client->options.thread_start();
	while (!atomic_load(&client->stopping))
		turn(client);
	last_lines(client);
	take_asked(client, now_ms());
	while ((exchange = TAILQ_FIRST(&client->open)))
		exchange_end(exchange, STW_HOOK_DOWN, "the server stops");
	return NULL;
}

/* ---- life ---------------------------------------------------------------------------------- */

static int rings_new(struct stw_hook_client *client)
{
	unsigned n = client->options.queues;
	size_t capacity = 16;
	int err = 0;

	while (capacity <= STW_PURPOSES * client->options.max_waiting)
		capacity *= 2;
	client->asked = calloc(n, sizeof(struct stw_ring *));
	client->answered = calloc(n, sizeof(struct stw_ring *));
	if (!client->asked || !client->answered)
		return -ENOMEM;
	for (unsigned i = 0; err == 0 && i < n; i++) {
		err = stw_ring_new(capacity, &client->asked[i]);
		if (err == 0)
			err = stw_ring_new(capacity, &client->answered[i]);
	}
	return err;
}

static int headers_new(const char *const *lines, unsigned n, struct curl_slist **ret)
{
	for (unsigned i = 0; i < n; i++) {
		struct curl_slist *more = curl_slist_append(*ret, lines[i]);

		if (!more)
			return -ENOMEM;
		*ret = more;
	}
	return 0;
}

static int multi_new(struct stw_hook_client *client)
{
	static const char *const asks[] = { "Content-Type: application/json",
		"Accept: application/json", "Expect:" };
	static const char *const delivers[] = { "Content-Type: application/x-ndjson", "Expect:" };
	long connections = LANES * (long)client->options.connections;
	int err;

	client->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (client->wake_fd < 0)
		return -errno;
	client->multi = curl_multi_init();
	if (!client->multi)
		return -ENOMEM;
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, connections);
	err = headers_new(asks, STW_ARRAY_SIZE(asks), &client->headers);
	return err < 0 ? err
		       : headers_new(delivers, STW_ARRAY_SIZE(delivers), &client->line_headers);
}

static int lines_new(struct stw_hook_client *client)
{
	const struct stw_hook_client_options *options = &client->options;

	if (!options->lines_url || !*options->lines_url)
		return 0;
	client->lines_url = strdup(options->lines_url);
	return client->lines_url ? stw_delivery_new(options->max_lines, options->max_line_bytes,
					   &client->delivery)
				 : -ENOMEM;
}

static int thread_new(struct stw_hook_client *client)
{
	int err;

	err = stw_thread_start(&client->thread, client_thread, client);
	client->started = err == 0;
	return err;
}

int stw_hook_client_new(const struct stw_hook_client_options *options, struct stw_hook_client **ret)
{
	struct stw_hook_client *client = calloc(1, sizeof(*client));
	int err;

	if (!client)
		return -ENOMEM;
	client->options = *options;
	client->wake_fd = -1;
	TAILQ_INIT(&client->open);
	pthread_mutex_init(&client->lock, NULL);
	if (options->ca && *options->ca)
		client->ca = strdup(options->ca);
	err = options->ca && *options->ca && !client->ca ? -ENOMEM : 0;
	if (err == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		err = -ENOMEM;
	if (err == 0)
		err = rings_new(client);
	if (err == 0)
		err = multi_new(client);
	if (err == 0)
		err = resolver_init(&client->resolver, options->dns_servers);
	if (err == 0)
		err = lines_new(client);
	client->options.ca = client->options.dns_servers = client->options.lines_url = NULL;
	if (err == 0)
		err = thread_new(client);
	if (err < 0)
		stw_hook_client_free(client);
	else
		*ret = client;
	return err;
}

static int client_submit(void *hook, struct stw_hook_question *question)
{
	struct stw_hook_client *client = hook;

	if (atomic_fetch_add(&client->count[question->purpose], 1) >= client->options.max_waiting ||
		stw_ring_push(client->asked[question->queue], question) < 0) {
		atomic_fetch_sub(&client->count[question->purpose], 1);
		return -ENOBUFS;
	}
	wake(client);
	return 0;
}

static struct stw_hook_question *client_answer(void *hook, unsigned queue)
{
	struct stw_hook_client *client = hook;
	struct stw_hook_question *question = stw_ring_pop(client->answered[queue]);

	if (question)
		atomic_fetch_sub(&client->count[question->purpose], 1);
	return question;
}

static void client_delivered(void *hook, struct stw_delivery_stats *ret)
{
	stw_hook_client_delivered(hook, ret);
}

const struct stw_hook_ops stw_hook_client_ops = {
	.submit = client_submit,
	.answer = client_answer,
	.delivered = client_delivered,
};

void stw_hook_client_stop(struct stw_hook_client *client)
{
	if (!client || !client->started)
		return;
	atomic_store(&client->stopping, true);
	wake(client);
	pthread_join(client->thread, NULL);
	client->started = false;
}

static void rings_free(struct stw_ring **rings, unsigned n)
{
	for (unsigned i = 0; rings && i < n; i++) {
		while (rings[i] && !stw_ring_empty(rings[i]))
			stw_hook_question_free(stw_ring_pop(rings[i]));
		stw_ring_free(rings[i]);
	}
	free(rings);
}

struct stw_hook_client *stw_hook_client_free(struct stw_hook_client *client)
{
	if (!client)
		return NULL;
	stw_hook_client_stop(client);
	rings_free(client->asked, client->options.queues);
	rings_free(client->answered, client->options.queues);
	if (client->multi)
		curl_multi_cleanup(client->multi);
	if (client->wake_fd >= 0)
		close(client->wake_fd);
	resolver_done(&client->resolver);
	curl_slist_free_all(client->headers);
	curl_slist_free_all(client->line_headers);
	stw_delivery_free(client->delivery);
	pthread_mutex_destroy(&client->lock);
	free(client->lines_url);
	free(client->ca);
	free(client);
	return NULL;
}
