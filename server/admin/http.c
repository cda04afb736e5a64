/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP around the API. */
#include "server/admin/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct exchange {
	char *body;
	size_t len, capacity;
	bool too_large;
};

static enum MHD_Result exchange_reply(
	struct MHD_Connection *connection, const struct stw_api_reply *reply, bool last)
{
	char *text = reply->type ? strdup(json_string_value(reply->json))
				 : json_dumps(reply->json, JSON_INDENT(1));
	size_t len = text ? strlen(text) : 0;
	struct MHD_Response *response;
	enum MHD_Result result;

	response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(
		response, "Content-Type", reply->type ? reply->type : "application/json");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", reply->allow);
	if (last)
		MHD_add_response_header(response, "Connection", "close");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

/* A larger room; what it held may be a password, which realloc(3) would leave behind. */
static bool exchange_grow(struct exchange *exchange, size_t capacity)
{
	char *body = malloc(capacity);

	if (!body)
		return false;
	if (exchange->len)
		memcpy(body, exchange->body, exchange->len);
	if (exchange->body)
		explicit_bzero(exchange->body, exchange->len);
	free(exchange->body);
	exchange->body = body;
	exchange->capacity = capacity;
	return true;
}

static void exchange_append(struct exchange *exchange, const char *data, size_t len)
{
	size_t capacity = exchange->capacity ? exchange->capacity : 4096;

	if (exchange->too_large || len > ADMIN_BODY_MAX - exchange->len) {
		exchange->too_large = true;
		return;
	}
	while (capacity < exchange->len + len)
		capacity *= 2;
	if (capacity != exchange->capacity && !exchange_grow(exchange, capacity)) {
		exchange->too_large = true;
		return;
	}
	memcpy(exchange->body + exchange->len, data, len);
	exchange->len += len;
}

static bool host_is(const char *host, const char *name, size_t len)
{
	return strncasecmp(host, name, len) == 0 && (!host[len] || host[len] == ':');
}

/*
 * A page of another site, loaded in a browser on this machine, may reach loopback under a name of
 * its own (DNS rebinding): only our own names are answered, and the address we listen on.
 */
static bool host_is_ours(const struct stw_admin *admin, struct MHD_Connection *connection)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	const char *port = strrchr(admin->address, ':');

	for (size_t i = 0; host && i < STW_ARRAY_SIZE(names); i++)
		if (host_is(host, names[i], strlen(names[i])))
			return true;
	return host && port && host_is(host, admin->address, (size_t)(port - admin->address));
}

/* Such a page can also send a request to our own name: it would not see the answer, but the server
 * would make it. Browsers say whose request it is (W3C Fetch Metadata). */
static bool site_is_ours(struct MHD_Connection *connection)
{
	const char *site =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-Fetch-Site");

	return !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

struct repeats {
	unsigned hosts, lengths, encodings;
};

static enum MHD_Result repeats_count(
	void *user, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct repeats *repeats = user;

	repeats->hosts += strcasecmp(key, "Host") == 0;
	repeats->lengths += strcasecmp(key, "Content-Length") == 0;
	repeats->encodings += strcasecmp(key, "Transfer-Encoding") == 0;
	return MHD_YES;
}

/* RFC 9112 §3.2, §6.3: where a request ends, and whom it is for, is said once. */
static bool is_ambiguous(struct MHD_Connection *connection)
{
	struct repeats repeats = { 0 };

	MHD_get_connection_values(connection, MHD_HEADER_KIND, repeats_count, &repeats);
	return repeats.hosts > 1 || repeats.lengths + repeats.encodings > 1;
}

/* The strings are ours alone; jansson gives them as constant so that their length stays. */
static void passwords_wipe(const json_t *body)
{
	const json_t *users = json_object_get(body, "users"), *password;

	for (size_t i = 0; i < json_array_size(users); i++) {
		password = json_object_get(json_array_get(users, i), "password");
		if (json_is_string(password))
			explicit_bzero((char *)(uintptr_t)json_string_value(password),
				json_string_length(password));
	}
}

static void exchange_run(struct stw_admin *admin, struct stw_api_request *request,
	const struct exchange *exchange, struct stw_api_reply *reply)
{
	json_error_t error;
	json_t *body = NULL;
	struct stw_config *config;

	if (exchange->too_large) {
		stw_api_error(reply, 413, "the body is longer than %u bytes", ADMIN_BODY_MAX);
		return;
	}
	if (exchange->len > 0) {
		body = json_loadb(exchange->body, exchange->len, JSON_REJECT_DUPLICATES, &error);
		if (!body) {
			stw_api_error(reply, 400, "the body is no JSON, line %d: %s", error.line,
				error.text);
			return;
		}
	}
	pthread_mutex_lock(&admin->mutex);
	config = stw_config_ref(admin->config);
	pthread_mutex_unlock(&admin->mutex);
	request->body = body;
	request->config = config;
	stw_api_handle(&admin->api, request, reply);
	stw_config_unref(config);
	passwords_wipe(body);
	json_decref(body);
}

static enum MHD_Result exchange_step(struct stw_admin *admin, struct MHD_Connection *connection,
	struct stw_api_request *request, struct exchange *exchange)
{
	struct stw_api_reply reply = { 0 };
	enum MHD_Result result;

	request->contact =
		MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "contact");
	request->number = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "n");
	if (request->read_only && !host_is_ours(admin, connection))
		stw_api_error(&reply, 403, "the Host of the request is no name of this address");
	else if (request->read_only && !site_is_ours(connection))
		stw_api_error(&reply, 403, "the request is of a page of another site");
	else
		exchange_run(admin, request, exchange, &reply);
	result = exchange_reply(connection, &reply, false);
	json_decref(reply.json);
	return result;
}

/* What would be read as the next request is not: the connection is closed. */
static enum MHD_Result exchange_refuse(struct MHD_Connection *connection)
{
	struct stw_api_reply reply = { 0 };
	enum MHD_Result result;

	stw_api_error(&reply, 400, "Host, or the length of the body, is said twice");
	result = exchange_reply(connection, &reply, true);
	json_decref(reply.json);
	return result;
}

static enum MHD_Result on_request(struct stw_admin *admin, struct MHD_Connection *connection,
	struct stw_api_request *request, struct exchange **exchange)
{
	if (*exchange)
		return exchange_step(admin, connection, request, *exchange);
	if (is_ambiguous(connection))
		return exchange_refuse(connection);
	*exchange = calloc(1, sizeof(**exchange));
	if (!*exchange)
		return MHD_NO;
	atomic_fetch_add(&admin->requests, 1);
	return MHD_YES;
}

/* RFC 9110 §9.3.2: of the answer to a HEAD the library leaves out the body. */
static const char *method_asked(const char *method)
{
	return strcmp(method, "HEAD") == 0 ? "GET" : method;
}

/* A zero would end the name before its end: what has one stays as it is, and names nothing. */
static size_t on_unescape(void *context, struct MHD_Connection *connection, char *text)
{
	return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **state)
{
	struct stw_api_request request = { .method = method_asked(method), .path = url };

	if (*state && *data_len > 0) {
		exchange_append(*state, data, *data_len);
		/* The library keeps its buffer for the next request. */
		explicit_bzero((char *)(uintptr_t)data, *data_len);
		*data_len = 0;
		return MHD_YES;
	}
	return on_request(context, connection, &request, (struct exchange **)state);
}

/* Any user of this machine can connect to loopback, so nothing is changed from there. */
static enum MHD_Result on_access_loopback(void *context, struct MHD_Connection *connection,
	const char *url, const char *method, const char *version, const char *data,
	size_t *data_len, void **state)
{
	struct stw_api_request request = {
		.method = method_asked(method), .path = url, .read_only = true
	};

	/* A body is not read, but it is the library that says when it has ended. */
	if (*state && *data_len > 0) {
		*data_len = 0;
		return MHD_YES;
	}
	return on_request(context, connection, &request, (struct exchange **)state);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code)
{
	struct stw_admin *admin = context;
	struct exchange *exchange = *state;

	if (!exchange)
		return;
	if (exchange->body)
		explicit_bzero(exchange->body, exchange->len);
	free(exchange->body);
	free(exchange);
	*state = NULL;
	atomic_fetch_sub(&admin->requests, 1);
}

/* The threads are the library's; this is the first that they call of ours, before they read. */
static enum MHD_Result on_connection(
	void *context, const struct sockaddr *address, socklen_t address_len)
{
	static _Thread_local bool started;
	const struct stw_admin *admin = context;

	if (!started && admin->options.thread_start)
		admin->options.thread_start();
	started = true;
	return MHD_YES;
}

struct MHD_Daemon *admin_serve(struct stw_admin *admin, int fd, bool loopback)
{
	/* MHD_USE_ITC: at its limit of connections the daemon does not look at the listening
	 * socket, and nothing else would wake it up to stop. */
	return MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC, 0, on_connection, admin,
		loopback ? on_access_loopback : on_access, admin, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)STW_ADMIN_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_IDLE_S, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, admin, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, admin,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}
