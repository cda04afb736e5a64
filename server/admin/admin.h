/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * admin: the API over HTTP, on a Unix socket and, when configured, on loopback for reading. Its
 * threads never touch the worker: they put a question into a ring, wake the worker and wait for the
 * copy.
 */
#ifndef STW_ADMIN_H
#define STW_ADMIN_H

#include "server/admin/api.h"

#define STW_ADMIN_CONNECTIONS 64 /* at a time, of the socket and of HTTP each */

struct stw_admin;

struct stw_admin_options {
	struct stw_config *config; /* the admin takes its own reference */
	const struct stw_directory *directory;
	const struct stw_location *location;
	bool next_port;              /* admin.listen: take the next free port when it is taken */
	void (*wake)(void *context); /* a question waits; called from threads of the admin */
	void *wake_context;
	void (*thread_start)(void); /* called by each thread before its first connection, or NULL */
	uid_t socket_owner; /* who else may own the folder of the socket; and gets the socket */
	gid_t socket_group;
};

/** Bind only; a socket that nobody answers on is replaced. @return 0, -errno with a sentence */
int stw_admin_new(const struct stw_admin_options *options, struct stw_admin **ret, char *ret_error,
	size_t error_size);
/** Begin to answer. Takes `info`, which is added to the status. @return 0, -errno */
int stw_admin_start(struct stw_admin *admin, json_t *info);
/** "127.0.0.1:8090" as bound; empty: not on loopback. */
const char *stw_admin_address(const struct stw_admin *admin);
/** After a reload. */
void stw_admin_set_config(struct stw_admin *admin, struct stw_config *config);

/** Worker: next question that waits, NULL: none. Answer it with stw_admin_answer(). */
struct stw_ask *stw_admin_next(struct stw_admin *admin);
void stw_admin_answer(struct stw_admin *admin, struct stw_ask *ask);

/** Worker, before the end: new questions are answered with 503. */
void stw_admin_close(struct stw_admin *admin);
/** Is somebody still being answered? */
bool stw_admin_busy(const struct stw_admin *admin);
/** Stops; the socket's file is removed by stw_admin_unlink(), the last word of a server. */
void stw_admin_stop(struct stw_admin *admin);
void stw_admin_unlink(const struct stw_admin *admin);
struct stw_admin *stw_admin_free(struct stw_admin *admin);

#endif
