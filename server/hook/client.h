/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * client: the thread that asks web servers: libcurl's multi interface for HTTP and TLS, c-ares for
 * names, rings to and from the workers. Connections are kept; redirects are not followed.
 */
#ifndef STW_HOOK_CLIENT_H
#define STW_HOOK_CLIENT_H

#include "server/hook/delivery.h"
#include "server/hook/hook.h"

struct stw_hook_client;

/** Text is copied. */
struct stw_hook_client_options {
	unsigned queues;      /* workers */
	unsigned connections; /* of each purpose, at a time */
	unsigned max_waiting; /* questions of each purpose at a time, of all workers */
	size_t max_answer_bytes;
	const char *ca;          /* PEM file; NULL or empty: those of the system */
	const char *dns_servers; /* as in c-ares; NULL or empty: those of the system */
	/** An answer waits for this worker; called in the thread of the client. */
	void (*wake)(void *context, unsigned queue);
	void *wake_context;
	/** Where lines are delivered, such as call records; NULL or empty: nowhere. */
	const char *lines_url;
	size_t max_lines, max_line_bytes; /* that wait for it */
	uint32_t lines_timeout_ms;        /* for a POST of them */
	void (*thread_start)(void);       /* first thing in the thread; may be NULL */
};

/** Starts the thread. @return 0; -ENOMEM; -errno */
int stw_hook_client_new(
	const struct stw_hook_client_options *options, struct stw_hook_client **ret);
/**
 * A line, with its end of line, for lines_url: POSTs of application/x-ndjson until it is taken
 * (delivery.h). Copied; one thread at a time; never waits.
 */
void stw_hook_client_deliver(struct stw_hook_client *client, struct stw_str line);
/** Any thread. */
void stw_hook_client_delivered(struct stw_hook_client *client, struct stw_delivery_stats *ret);
/** For struct stw_hook_ops; `hook` is the client. */
extern const struct stw_hook_ops stw_hook_client_ops;
/** Ends the thread. What is open is answered with STW_HOOK_DOWN, and waits for its worker until
 * stw_hook_client_free(). */
void stw_hook_client_stop(struct stw_hook_client *client);
/** Frees also what nobody has fetched. Accepts NULL; returns NULL. */
struct stw_hook_client *stw_hook_client_free(struct stw_hook_client *client);

#endif
