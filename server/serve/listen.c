/* SPDX-License-Identifier: Apache-2.0 */
#include "server/serve/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define DESCRIPTORS_SPARE 100 /* store, records, log, and what libraries open */

int serve_io_new(struct serve *serve, unsigned worker)
{
	const struct stw_config *config = serve->config;
	struct stw_io_options options = {
		.worker = (uint16_t)worker,
		.workers = (uint16_t)serve->worker_count,
		.gather_us = config->gather_ms * 1000,
		.max_flows = config->limits.max_connections,
		.max_output_bytes = config->limits.max_output_bytes,
		.dns_timeout_ms = config->dns.timeout_ms,
		.dns_servers = config->dns.servers,
	};
	int err = stw_io_new(&options, &serve->workers[worker].io);

	return err < 0 ? serve_fail(
				 serve, err, "the event loop cannot be set up: %s", strerror(-err))
		       : 0;
}

/* ---- descriptors ---------------------------------------------------------------------- */

/* Take as many as the system grants. @return how many there are */
static uint64_t descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return UINT64_MAX;
	if (limit.rlim_cur != limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur;
}

/* What the server may have open beside the connections of phones. */
static uint64_t descriptors_kept(const struct serve *serve)
{
	const struct stw_config *config = serve->config;

	return (uint64_t)serve->worker_count * stw_io_descriptors(config->listen.n) +
	       2 * STW_ADMIN_CONNECTIONS + 2 * config->hook.connections + DESCRIPTORS_SPARE;
}

void serve_connections_limit(const struct serve *serve, struct stw_config *config)
{
	if (serve->max_connections && config->limits.max_connections > serve->max_connections)
		config->limits.max_connections = serve->max_connections;
}

/* Connections are descriptors, and would take the last one from the administration and the DNS. */
int serve_descriptors(struct serve *serve)
{
	uint32_t wanted = serve->config->limits.max_connections;
	uint64_t limit = descriptors_raise(), kept = descriptors_kept(serve), left;

	if (limit >= kept + wanted)
		return 0;
	left = limit > kept + limit / 4 ? limit - kept : limit / 4;
	serve->max_connections = left ? (uint32_t)left : 1;
	serve_connections_limit(serve, serve->config);
	if (serve->config->limits.max_connections < wanted)
		stw_log_event(serve->log, STW_LOG_WARNING, "connections.limited",
			json_pack("{s:I, s:I, s:I}", "limits.max_connections", (json_int_t)wanted,
				"connections", (json_int_t)serve->max_connections, "descriptors",
				(json_int_t)limit));
	return 0;
}

/* ---- listeners ------------------------------------------------------------------------ */

static int listen_failed(struct serve *serve, const struct stw_listener *listener, int err)
{
	struct stw_str transport = stw_transport_name(listener->transport);
	char address[STW_ADDR_TEXT_MAX];
	struct stw_str addr = stw_addr_text(&listener->bind, address);
	const char *why = strerror(-err);

	if (err == -EADDRINUSE)
		why = "another program has this port";
	else if (err == -EADDRNOTAVAIL)
		why = "this machine does not have this address";
	else if (err == -EACCES)
		why = "ports below 1024 are for root only";
	return serve_fail(serve, err, "cannot listen on %.*s %.*s: %s", STW_STR_ARG(transport),
		STW_STR_ARG(addr), why);
}

int serve_listen(struct serve *serve)
{
	int err;

	err = serve_io_new(serve, 0);
	serve->listeners = serve->config->listen;
	for (unsigned i = 0; err >= 0 && i < serve->listeners.n; i++) {
		err = stw_io_listen(serve->workers[0].io, &serve->listeners.v[i]);
		if (err < 0)
			return listen_failed(serve, &serve->listeners.v[i], err);
	}
	return err < 0 ? err : 0;
}

int serve_listen_shared(struct serve *serve)
{
	for (unsigned worker = 1; worker < serve->worker_count; worker++) {
		int err = serve_io_new(serve, worker);

		for (unsigned i = 0; err >= 0 && i < serve->listeners.n; i++) {
			struct stw_listener *listener = &serve->listeners.v[i];

			err = stw_io_listen(serve->workers[worker].io, listener);
			if (err < 0)
				return listen_failed(serve, listener, err);
		}
		if (err < 0)
			return err;
	}
	return 0;
}
