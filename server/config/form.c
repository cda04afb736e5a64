/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and lists with a grammar of their own. */
#include "server/config/internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <strowger/stack.h>

#include "server/suggest.h"

#define MEMORY_PER_TRANSACTION 4096

static void item_text(struct config_item *item, struct stw_str text)
{
	size_t len = text.len < sizeof(item->buffer) ? text.len : sizeof(item->buffer);

	memcpy(item->buffer, text.ptr, len);
	item->text = (struct stw_str){ item->buffer, len };
}

int config_host_port(struct stw_str text, struct stw_str *ret_host, uint16_t *ret_port)
{
	size_t from = text.len > 0 && text.ptr[0] == '[' ? stw_str_find(text, ']', 0) : 0;
	size_t colon = stw_str_find(text, ':', from);
	uint64_t port = 0;

	if (colon < text.len &&
		stw_str_to_uint(stw_str_cut(text, colon + 1, text.len), 65535, &port) < 0)
		return -EBADMSG;
	*ret_host = stw_str_cut(text, 0, colon);
	*ret_port = (uint16_t)port;
	return ret_host->len > 0 ? 0 : -EBADMSG;
}

/* ---- domains ---- */

static void domains_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	enum stw_host_kind kind;
	struct stw_str host;
	char quoted[96];

	config_quote(item->text, quoted);
	if (stw_host_parse(item->text, &host, &kind) < 0 || host.len > 253) {
		config_error(context, item->mark,
			"domains: %s is not a host name; allowed: names like example.com, without "
			"port "
			"or sip:",
			quoted);
		return;
	}
	if (stw_config_domain(config, host).len) {
		config_error(context, item->mark, "domains: %s stands twice", quoted);
		return;
	}
	if (config->domain_count == STW_CONFIG_DOMAINS_MAX) {
		config_error(context, item->mark, "domains: more than %d domains",
			STW_CONFIG_DOMAINS_MAX);
		return;
	}
	config_keep(context, host, &config->domains[config->domain_count]);
	if (context->no_memory)
		return;
	for (size_t i = 0; i < host.len; i++) {
		char *c = (char *)(uintptr_t)&config->domains[config->domain_count].ptr[i];

		*c = (char)tolower((unsigned char)*c);
	}
	config->domain_count++;
}

static bool domains_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	struct stw_str domain;
	bool ipv6;

	if (index >= config->domain_count)
		return false;
	domain = config->domains[index];
	ipv6 = stw_str_find(domain, ':', 0) < domain.len;
	ret->text.ptr = ret->buffer;
	ret->text.len = (size_t)snprintf(ret->buffer, sizeof(ret->buffer), "%s%.*s%s",
		ipv6 ? "[" : "", STW_STR_ARG(domain), ipv6 ? "]" : "");
	return true;
}

static void domains_clear(struct stw_config *config)
{
	config->domain_count = 0;
}

static void domains_standard(struct config_context *context, const struct stw_option *option)
{
	struct config_item item = { .text = STW_STR("localhost") };
	enum stw_host_kind kind;
	struct stw_str host;
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) == 0 &&
		stw_host_parse(stw_str_from(name), &host, &kind) == 0)
		item.text = stw_str_from(name);
	domains_add(context, option, &item);
}

const struct stw_option_form config_form_domains = {
	.add = domains_add,
	.get = domains_get,
	.clear = domains_clear,
	.standard = domains_standard,
};

/* ---- listen ---- */

#define NOT_BUILT "encrypted and WebSocket listeners (tls, ws, wss) are not built yet"

enum { LISTEN_ADDRESS, LISTEN_ADVERTISE };

static const struct config_key listen_keys[] = {
	[LISTEN_ADDRESS] = { .name = "address", .required = true },
	[LISTEN_ADVERTISE] = { .name = "advertise" },
};

/* The word before the first colon. @return the transport; NONE and an error when it cannot be used
 */
static enum stw_transport listen_transport(
	struct config_context *context, const struct config_item *item, struct stw_str word)
{
	static const char allowed[] = "allowed: udp:HOST:PORT or tcp:HOST:PORT";
	enum stw_transport transport = stw_transport_from(word);
	char text[96], quoted[96];
	struct stw_suggestion suggestion;

	if (transport == STW_TRANSPORT_UDP || transport == STW_TRANSPORT_TCP)
		return transport;
	config_quote(item->text, quoted);
	if (transport != STW_TRANSPORT_NONE) {
		config_error(context, item->mark, "listen: %s: " NOT_BUILT "; %s", quoted, allowed);
		return STW_TRANSPORT_NONE;
	}
	stw_suggest_begin(&suggestion, word);
	stw_suggest_try(&suggestion, "udp");
	stw_suggest_try(&suggestion, "tcp");
	if (!suggestion.best)
		suggestion.best =
			isdigit((unsigned char)word.ptr[0]) || word.ptr[0] == '[' ? "udp:" : NULL;
	text[0] = '\0';
	if (suggestion.best)
		snprintf(text, sizeof(text), "; did you mean %s%s?", suggestion.best,
			strchr(suggestion.best, ':') ? "..." : "");
	config_error(context, item->mark, "listen: %s does not start with a transport; %s%s",
		quoted, allowed, text);
	return STW_TRANSPORT_NONE;
}

bool config_transport_read(struct config_context *context, struct config_mark mark,
	const char *where, const struct stw_uri *uri)
{
	enum stw_transport transport;
	struct stw_str name;
	char quoted[96];

	if (!stw_uri_param(uri, STW_STR("transport"), &name))
		return true;
	transport = stw_transport_from(name);
	if (transport == STW_TRANSPORT_UDP || transport == STW_TRANSPORT_TCP)
		return true;
	config_error(context, mark, "%s: transport %s %s; allowed: udp, tcp", where,
		config_quote(name, quoted),
		transport == STW_TRANSPORT_NONE ? "is not known" : "is not built yet");
	return false;
}

static bool advertise_set(struct config_context *context, struct config_mark mark,
	struct stw_str text, struct stw_listener *listener)
{
	enum stw_host_kind kind;
	struct stw_str host, inner;
	char quoted[96];
	uint16_t port;

	if (config_host_port(text, &host, &port) < 0 || stw_host_parse(host, &inner, &kind) < 0) {
		config_error(context, mark,
			"advertise: %s is not an address; allowed: HOST or HOST:PORT, IPv6 in "
			"brackets",
			config_quote(text, quoted));
		return false;
	}
	if (!listener)
		return true;
	config_keep(context, host, &listener->advertise);
	listener->advertise_port = port;
	return !context->no_memory;
}

static bool listen_twice(const struct stw_listeners *listen, const struct stw_listener *listener)
{
	for (unsigned i = 0; i < listen->n; i++) {
		if (listen->v[i].transport == listener->transport && listener->bind.port != 0 &&
			stw_addr_equal(&listen->v[i].bind, &listener->bind))
			return true;
	}
	return false;
}

static void listen_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_listeners *listen = &context->config->listen;
	size_t colon = stw_str_find(item->text, ':', 0);
	struct stw_listener listener = { 0 };
	struct stw_str rest, host;
	char quoted[96];
	uint16_t port;

	listener.transport = listen_transport(context, item, stw_str_cut(item->text, 0, colon));
	if (listener.transport == STW_TRANSPORT_NONE)
		return;
	config_quote(item->text, quoted);
	rest = stw_str_cut(item->text, colon + 1, item->text.len);
	if (config_host_port(rest, &host, &port) < 0 || host.len == rest.len ||
		stw_addr_from_host(host, port, &listener.bind) < 0) {
		config_error(context, item->mark,
			"listen: %s has no IP address and port; allowed: udp:HOST:PORT or "
			"tcp:HOST:PORT, "
			"HOST an address of this machine (0.0.0.0 or [::] for all, IPv6 in "
			"brackets)",
			quoted);
		return;
	}
	if (listen_twice(listen, &listener)) {
		config_error(context, item->mark, "listen: %s stands twice", quoted);
		return;
	}
	if (listen->n == STW_LISTENERS_MAX) {
		config_error(
			context, item->mark, "listen: more than %d listeners", STW_LISTENERS_MAX);
		return;
	}
	if (item->entry && item->fields[LISTEN_ADVERTISE].text.ptr &&
		!advertise_set(context, item->fields[LISTEN_ADVERTISE].mark,
			item->fields[LISTEN_ADVERTISE].text, &listener))
		return;
	context->listen_at[listen->n] = item->mark;
	listen->v[listen->n++] = listener;
}

/* Does this listener name what the option `advertise` says? */
static bool advertises_global(const struct stw_config *config, const struct stw_listener *listener)
{
	struct stw_str host;
	uint16_t port;

	return config->advertise.len > 0 &&
	       config_host_port(config->advertise, &host, &port) == 0 &&
	       stw_str_equal(host, listener->advertise) && port == listener->advertise_port &&
	       !stw_addr_is_loopback(&listener->bind);
}

static bool listen_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	const struct stw_listener *listener;
	char address[STW_ADDR_TEXT_MAX];
	struct stw_writer writer;
	size_t text_len;

	if (index >= config->listen.n)
		return false;
	listener = &config->listen.v[index];
	stw_writer_init(&writer, ret->buffer, sizeof(ret->buffer));
	stw_write_text(&writer, listener->transport == STW_TRANSPORT_UDP ? "udp:" : "tcp:");
	stw_write_str(&writer, stw_addr_text(&listener->bind, address));
	ret->text = stw_writer_text(&writer);
	text_len = writer.len;
	if (listener->advertise.len == 0 || advertises_global(config, listener))
		return true;
	stw_write_str(&writer, listener->advertise);
	if (listener->advertise_port != 0)
		stw_write_format(&writer, ":%u", listener->advertise_port);
	ret->entry = true;
	ret->fields[LISTEN_ADDRESS].text = ret->text;
	ret->fields[LISTEN_ADVERTISE].text =
		stw_str_cut(stw_writer_text(&writer), text_len, writer.len);
	return true;
}

static void listen_clear(struct stw_config *config)
{
	config->listen.n = 0;
}

const struct stw_option_form config_form_listen = {
	.add = listen_add,
	.get = listen_get,
	.clear = listen_clear,
	.keys = listen_keys,
	.key_count = STW_ARRAY_SIZE(listen_keys),
};

/* ---- advertise ---- */

static void advertise_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	if (item->text.len == 0 || advertise_set(context, item->mark, item->text, NULL))
		config_keep(context, item->text, &context->config->advertise);
}

static bool text_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index > 0)
		return false;
	item_text(ret, *(const struct stw_str *)config_member(config, option));
	return true;
}

const struct stw_option_form config_form_advertise = { .add = advertise_add, .get = text_get };

/* ---- auth.algorithms ---- */

static void algorithms_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	enum stw_digest_algorithm algorithm;
	struct stw_suggestion suggestion;
	char quoted[96], names[STW_DIGEST_ALGORITHMS][32];

	config_quote(item->text, quoted);
	if (stw_digest_from(item->text, &algorithm) < 0) {
		stw_suggest_begin(&suggestion, item->text);
		for (int i = 0; i < STW_DIGEST_ALGORITHMS; i++) {
			snprintf(names[i], sizeof(names[i]), "%.*s",
				STW_STR_ARG(stw_digest_name((enum stw_digest_algorithm)i)));
			stw_suggest_try(&suggestion, names[i]);
		}
		config_error(context, item->mark,
			"auth.algorithms: %s is not known; allowed: %s%s%s%s", quoted,
			option->allowed, suggestion.best ? "; did you mean " : "",
			suggestion.best ? suggestion.best : "", suggestion.best ? "?" : "");
		return;
	}
	for (unsigned i = 0; i < config->auth.algorithm_count; i++) {
		if (config->auth.algorithms[i] != algorithm)
			continue;
		config_error(context, item->mark, "auth.algorithms: %s stands twice", quoted);
		return;
	}
	config->auth.algorithms[config->auth.algorithm_count++] = algorithm;
}

static bool algorithms_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	if (index >= config->auth.algorithm_count)
		return false;
	item_text(ret, stw_digest_name(config->auth.algorithms[index]));
	return true;
}

static void algorithms_clear(struct stw_config *config)
{
	config->auth.algorithm_count = 0;
}

const struct stw_option_form config_form_algorithms = {
	.add = algorithms_add,
	.get = algorithms_get,
	.clear = algorithms_clear,
};

/* ---- store ---- */

static void store_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	static const struct stw_str sqlite = { "sqlite:", 7 };
	struct stw_str *store = &context->config->store;
	char quoted[96];

	config_quote(item->text, quoted);
	if (stw_str_equal(item->text, STW_STR("memory")) ||
		stw_str_equal(item->text, STW_STR("memory:")))
		config_keep(context, STW_STR(":memory:"), store);
	else if (stw_str_starts(item->text, sqlite) && item->text.len > sqlite.len)
		config_keep(context, stw_str_cut(item->text, sqlite.len, item->text.len), store);
	else if (stw_str_starts(item->text, STW_STR("nats")))
		config_error(context, item->mark,
			"store: %s: a shared store over NATS is not built yet; allowed: %s", quoted,
			option->allowed);
	else if (item->text.len > 0 && item->text.ptr[0] == '/')
		config_error(context, item->mark,
			"store: %s names no kind of store; allowed: %s; did you mean sqlite:%.*s?",
			quoted, option->allowed, STW_STR_ARG(item->text));
	else
		config_error(context, item->mark, "store: %s is not known; allowed: %s", quoted,
			option->allowed);
}

static bool store_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	bool memory = stw_str_equal(config->store, STW_STR(":memory:"));

	if (index > 0)
		return false;
	if (memory) {
		ret->text = STW_STR("memory");
		return true;
	}
	ret->text.ptr = ret->buffer;
	ret->text.len = (size_t)snprintf(
		ret->buffer, sizeof(ret->buffer), "sqlite:%.*s", STW_STR_ARG(config->store));
	return true;
}

static void store_standard(struct config_context *context, const struct stw_option *option)
{
	char socket[512], store[512];

	stw_config_default_paths(socket, sizeof(socket), store, sizeof(store));
	config_keep(context, stw_str_from(store), &context->config->store);
}

const struct stw_option_form config_form_store = {
	.add = store_add,
	.get = store_get,
	.standard = store_standard,
};

/* ---- files, the admin socket and its address ---- */

static void path_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	char path[CONFIG_TEXT_MAX + 1], quoted[96];

	config_keep(context, item->text, config_member(context->config, option));
	if (item->text.len == 0)
		return;
	snprintf(path, sizeof(path), "%.*s", STW_STR_ARG(item->text));
	if (access(path, R_OK) < 0)
		config_error(context, item->mark, "%s: %s cannot be read: %s", option->key,
			config_quote(item->text, quoted), strerror(errno));
}

const struct stw_option_form config_form_path = { .add = path_add, .get = text_get };

/* Who names a certificate believes that calls are encrypted from now on. */
static void tls_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	if (item->text.len > 0)
		config_error(
			context, item->mark, "%s: " NOT_BUILT "; leave the line out", option->key);
}

const struct stw_option_form config_form_tls = { .add = tls_add, .get = text_get };

static void socket_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	char quoted[96];

	if (item->text.len == 0 || item->text.ptr[0] != '/' || item->text.len > max)
		config_error(context, item->mark,
			"admin.socket: %s is not an absolute path of at most %zu bytes",
			config_quote(item->text, quoted), max);
	else
		config_keep(context, item->text, &context->config->admin.socket);
}

static void socket_standard(struct config_context *context, const struct stw_option *option)
{
	char socket[512], store[512];

	stw_config_default_paths(socket, sizeof(socket), store, sizeof(store));
	config_keep(context, stw_str_from(socket), &context->config->admin.socket);
}

const struct stw_option_form config_form_socket = {
	.add = socket_add,
	.get = text_get,
	.standard = socket_standard,
};

static void admin_listen_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_addr addr;
	struct stw_str host;
	char quoted[96];
	uint16_t port;

	config_quote(item->text, quoted);
	if (item->text.len > 0 && (config_host_port(item->text, &host, &port) < 0 || port == 0 ||
					  stw_addr_from_host(host, port, &addr) < 0))
		config_error(context, item->mark,
			"admin.listen: %s is not an address and port; allowed: like 127.0.0.1:8090",
			quoted);
	else if (item->text.len > 0 && !stw_addr_is_loopback(&addr))
		config_error(context, item->mark,
			"admin.listen: %s is not on loopback; the administration is for this "
			"machine only; "
			"allowed: like 127.0.0.1:%u",
			quoted, port);
	else
		config_keep(context, item->text, &context->config->admin.listen);
}

const struct stw_option_form config_form_admin_listen = { .add = admin_listen_add,
	.get = text_get };

/* ---- workers: a number, or one for each CPU ---- */

static void workers_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	uint64_t number = 0;
	char quoted[96];

	if (!stw_str_equal(item->text, STW_STR("auto")) &&
		(stw_str_to_uint(item->text, STW_WORKERS_MAX, &number) < 0 || number == 0)) {
		config_error(context, item->mark,
			"workers: %s is not a number of threads; allowed: %s",
			config_quote(item->text, quoted), option->allowed);
		return;
	}
	context->config->workers = (unsigned)number;
}

static bool workers_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	struct stw_writer writer;

	if (index > 0)
		return false;
	stw_writer_init(&writer, ret->buffer, sizeof(ret->buffer));
	if (config->workers)
		stw_write_uint(&writer, config->workers);
	else
		stw_write_text(&writer, "auto");
	ret->text = stw_writer_text(&writer);
	return true;
}

static void workers_standard(struct config_context *context, const struct stw_option *option)
{
	context->config->workers = 1;
}

const struct stw_option_form config_form_workers = {
	.add = workers_add, .get = workers_get, .standard = workers_standard
};

/* ---- dns.servers: kept as one text with commas ---- */

static void servers_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_str *servers = &context->config->dns.servers;
	struct stw_addr addr;
	struct stw_str host;
	char quoted[96];
	uint16_t port;

	if (config_host_port(item->text, &host, &port) < 0 ||
		stw_addr_from_host(host, port, &addr) < 0) {
		config_error(context, item->mark,
			"dns.servers: %s is not an IP address; allowed: %s, IPv6 in brackets",
			config_quote(item->text, quoted), option->allowed);
		return;
	}
	if (servers->len > CONFIG_TEXT_MAX / 2) {
		config_error(context, item->mark, "dns.servers: more servers than can be kept");
		return;
	}
	if (stw_arena_printf(&context->config->arena, servers, "%.*s%s%.*s", STW_STR_ARG(*servers),
		    servers->len > 0 ? "," : "", STW_STR_ARG(item->text)) < 0)
		context->no_memory = true;
}

static bool servers_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	struct stw_str servers = config->dns.servers;
	size_t from = 0, end;

	if (servers.len == 0)
		return false;
	for (;; from = end + 1) {
		end = stw_str_find(servers, ',', from);
		if (index-- == 0)
			break;
		if (end >= servers.len)
			return false;
	}
	item_text(ret, stw_str_cut(servers, from, end));
	return true;
}

static void servers_clear(struct stw_config *config)
{
	config->dns.servers = STW_STR("");
}

const struct stw_option_form config_form_servers = {
	.add = servers_add,
	.get = servers_get,
	.clear = servers_clear,
};

/* ---- limits.source_exempt ---- */

static void exempt_add(struct config_context *context, const struct stw_option *option,
	const struct config_item *item)
{
	struct stw_config *config = context->config;
	struct stw_network network;
	char quoted[96];

	if (stw_network_parse(item->text, &network) < 0)
		config_error(context, item->mark,
			"limits.source_exempt: %s is no network; allowed: %s, IPv6 too",
			config_quote(item->text, quoted), option->allowed);
	else if (config->limits.exempt_count == STW_CONFIG_EXEMPT_MAX)
		config_error(context, item->mark, "limits.source_exempt: more than %d networks",
			STW_CONFIG_EXEMPT_MAX);
	else
		config->limits.exempt[config->limits.exempt_count++] = network;
}

static bool exempt_get(const struct stw_config *config, const struct stw_option *option,
	unsigned index, struct config_item *ret)
{
	char text[STW_ADDR_TEXT_MAX], buffer[STW_ADDR_TEXT_MAX + 8];
	const struct stw_network *network = &config->limits.exempt[index];
	struct stw_writer writer;

	if (index >= config->limits.exempt_count)
		return false;
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_write_str(&writer, stw_addr_ip_text(&network->addr, text));
	if (network->bits < (network->addr.family == 4 ? 32 : 128))
		stw_write_format(&writer, "/%u", network->bits);
	item_text(ret, stw_writer_text(&writer));
	return true;
}

static void exempt_clear(struct stw_config *config)
{
	config->limits.exempt_count = 0;
}

const struct stw_option_form config_form_exempt = {
	.add = exempt_add,
	.get = exempt_get,
	.clear = exempt_clear,
};

/* ---- limits.max_transactions: as many as a quarter of the memory holds; so do large requests,
 * which count by the KiB ---- */

static void max_transactions_standard(
	struct config_context *context, const struct stw_option *option)
{
	uint64_t number = config_machine_memory() / MEMORY_PER_TRANSACTION;

	if (number < option->min)
		number = option->min;
	if (number > option->max)
		number = option->max;
	context->config->limits.max_transactions = (uint32_t)number;
}

const struct stw_option_form config_form_max_transactions = {
	.standard = max_transactions_standard,
};
