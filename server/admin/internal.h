/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server/admin. */
#ifndef STW_ADMIN_INTERNAL_H
#define STW_ADMIN_INTERNAL_H

#include "server/admin/admin.h"

#include <microhttpd.h>
#include <pthread.h>

#define ADMIN_RING     64
#define ADMIN_BODY_MAX (16u << 20) /* an import of some hundred thousand users */
#define ADMIN_IDLE_S   30

struct stw_admin {
	struct stw_admin_options options;
	char socket[256], address[STW_ADDR_TEXT_MAX];
	int unix_fd, tcp_fd; /* owned by the daemons once started; -1: none */
	struct MHD_Daemon *unix_daemon, *tcp_daemon;
	atomic_uint requests; /* being answered */
	struct stw_api api;
	json_t *info;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t answered;
	struct stw_config *config;
	struct stw_ring *ring;
	bool closed;
};

/* socket.c. @return fd, -errno with a sentence */
int admin_listen_unix(const struct stw_admin_options *options, const char *path, char *ret_error,
	size_t error_size);
int admin_listen_tcp(struct stw_str text, bool next_port, char address[STW_ADDR_TEXT_MAX],
	char *ret_error, size_t error_size);

/* http.c */
struct MHD_Daemon *admin_serve(struct stw_admin *admin, int fd, bool loopback);

#endif
