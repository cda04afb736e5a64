/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server/serve. */
#ifndef STW_SERVE_INTERNAL_H
#define STW_SERVE_INTERNAL_H

#include "server/serve/serve.h"

#include <strowger/io.h>

#include "server/admin/admin.h"
#include "server/admin/log.h"
#include "server/core.h"

#define ERROR_BYTES         512
#define SERVE_SECRET_SUFFIX ".key"

/** Kept beside the store. */
struct serve_secret {
	struct stw_hash_key key;
	uint8_t nonces[32];
};

struct trial_user {
	const char *name;
	char password[11];
};

struct serve {
	struct stw_serve_options options;
	struct stw_config *config;
	struct stw_listeners listeners; /* as bound */
	struct stw_log *log;
	struct stw_io *io;
	int lock_fd;
	struct stw_directory *directory;
	struct stw_location *location;
	struct stw_store *store;
	struct stw_core *core;
	struct stw_admin *admin;
	uid_t uid; /* who we are to be */
	gid_t gid;
	bool stopping;
	char folder[128]; /* --try: the temporary folder; empty: none */
	struct trial_user users[2];
	char error[ERROR_BYTES]; /* why it cannot start */
};

/* Sets serve->error. @return err */
int serve_fail(struct serve *serve, int err, const char *format, ...) STW_PRINTF(3, 4);

/* options.c: configuration of a start and of a reload */
int serve_config_load(
	struct serve *serve, struct stw_config_errors *errors, struct stw_config **ret);
json_t *serve_reload(struct serve *serve, int *ret_error);

/* start.c */
int serve_start(struct serve *serve);
void serve_done(struct serve *serve);
json_t *serve_info(const struct serve *serve);

/* trial.c */
int trial_prepare(struct serve *serve);
int trial_listen(struct serve *serve);
int trial_users(struct serve *serve);
void trial_print(const struct serve *serve);
void trial_remove(struct serve *serve);

/* listen.c */
int serve_listen(struct serve *serve);
int serve_io_new(struct serve *serve);

/* secret.c: the one that is kept, or a new one */
int serve_secret(struct serve *serve, struct serve_secret *ret);

/* notify.c: "READY=1" to the service manager, when there is one */
void serve_notify(const char *state);

#endif
