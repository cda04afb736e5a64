/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server/serve. */
#ifndef STW_SERVE_INTERNAL_H
#define STW_SERVE_INTERNAL_H

#include "server/serve/serve.h"

#include <pthread.h>

#include <strowger/io.h>

#include "server/admin/admin.h"
#include "server/admin/log.h"
#include "server/core.h"
#include "server/hook/client.h"

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

/** A loop with its core. The first one runs in the main thread. */
struct serve_worker {
	struct serve *serve;
	unsigned index;
	struct stw_io *io;
	struct stw_core *core;
	struct stw_log *log;        /* the gates of its notes */
	struct stw_ring *questions; /* from the main thread; the first has none */
	pthread_t thread;
	bool started;
	bool stopping;    /* its own */
	atomic_bool idle; /* once it is stopping */
};

struct serve {
	struct stw_serve_options options;
	struct stw_config *config;
	struct stw_config *bound;       /* of the start: the listeners borrow from it */
	struct stw_listeners listeners; /* as bound */
	struct stw_log_writer *log_writer;
	struct stw_log *log; /* of the first worker */
	struct serve_worker workers[STW_WORKERS_MAX];
	unsigned worker_count;
	uint32_t max_connections;   /* that descriptors are left for; 0: as many as configured */
	struct stw_workers *shared; /* NULL: one worker */
	struct stw_trunk_board *trunks;
	struct stw_queues *queues;
	struct stw_nonces *nonces;
	int lock_fd;
	struct stw_directory *directory;
	struct stw_location *location;
	struct stw_sources *sources;
	struct stw_busy *busy;
	struct stw_records *records; /* NULL: none are asked for */
	struct stw_store *store;
	struct stw_admin *admin;
	struct stw_hook_client *hook; /* NULL: no web server is asked about calls */
	uid_t uid;                    /* who we are to be */
	gid_t gid;
	atomic_bool stopping;
	atomic_bool failed; /* a loop could not go on */
	atomic_bool ended;  /* the other workers leave their loops */
	char folder[128];   /* --try: the temporary folder; empty: none */
	struct trial_user users[2];
	char error[ERROR_BYTES]; /* why it cannot start */
};

/* Sets serve->error. @return err */
int serve_fail(struct serve *serve, int err, const char *format, ...) STW_PRINTF(3, 4);

/* options.c: configuration of a start and of a reload */
int serve_config_load(
	struct serve *serve, struct stw_config_errors *errors, struct stw_config **ret);
/* Answers the question when all workers have the new snapshot, or why there is none. */
void serve_reload(struct serve *serve, struct stw_question *question);

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
/* Fewer connections than are configured when the system grants too few descriptors; warns. */
int serve_descriptors(struct serve *serve);
/* As decided then. */
void serve_connections_limit(const struct serve *serve, struct stw_config *config);
int serve_listen(struct serve *serve);
/* The other workers share the addresses that the first one has bound. */
int serve_listen_shared(struct serve *serve);
int serve_io_new(struct serve *serve, unsigned worker);

/* worker.c */
unsigned serve_worker_count(const struct stw_config *config);
int serve_workers_start(struct serve *serve);
/* They leave their loops. */
void serve_workers_end(struct serve *serve);
/* Main thread, after that: what is still between them goes out. */
void serve_workers_settle(struct serve *serve);
bool serve_workers_idle(const struct serve *serve);
/* One batch: what came in, what is due, what goes out; `also` is called within. @return 0, -errno
 */
int serve_turn(struct serve_worker *worker, uint64_t deadline_ms, void (*also)(struct serve *));
/* Main thread: a question to whom it concerns. */
void serve_ask(struct serve *serve, struct stw_question *question);

/* secret.c: the one that is kept, or a new one */
int serve_secret(struct serve *serve, struct serve_secret *ret);

/* notify.c: "READY=1" to the service manager, when there is one */
void serve_notify(const char *state);

#endif
