/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * store: what must survive. One store thread owns the SQLite file; workers send jobs and get
 * results. Asynchronous, versioned: fit for a replicated engine behind the same interface.
 */
#ifndef STW_STORE_H
#define STW_STORE_H

#include <strowger/auth.h>
#include <strowger/registrar.h>

struct stw_location;      /* server/directory/location.h */
struct stw_directory;     /* server/directory/user.h */
struct stw_setting_error; /* server/directory/setting.h */

enum stw_job_kind {
	STW_JOB_REGISTER, /* registration in, bindings out */
	STW_JOB_USER_SET, /* add or change users (import: many in one transaction) */
	STW_JOB_USER_REMOVE,
	STW_JOB_SETTINGS,       /* change settings of one user */
	STW_JOB_BINDING_REMOVE, /* of one AOR: all, or one by its URI */
	STW_JOB_SWEEP,          /* delete what has expired */
};

struct stw_user_row {
	struct stw_str user, domain;    /* unescaped user part, lower-case domain */
	struct stw_ha1 ha1_user;        /* user name "user" */
	struct stw_ha1 ha1_user_domain; /* user name "user@domain" */
};

/** Work for the store thread. Owned by the submitter again when the result has come back. */
struct stw_job {
	enum stw_job_kind kind;
	unsigned queue;     /* of the thread that submits it and gets it back */
	void *context;      /* the submitter's */
	struct stw_now now; /* when it was submitted */
	/* REGISTER */
	struct stw_register *registration;
	struct stw_registrar_options registrar;
	const struct stw_bindings *result; /* for the answer; in the arena of the registration */
	uint64_t removed_users; /* stw_store_removed_users() before the user was looked up */
	bool by_user; /* SETTINGS: by him who was looked up then, and nobody else of his name */
	/* USER_* */
	struct stw_user_row *users;
	unsigned user_count;
	/* BINDING_REMOVE, SETTINGS: text borrowed from the submitter until the result */
	struct stw_str aor, contact_uri; /* contact empty: all */
	const struct stw_str *settings;  /* "KEY=VALUE" */
	unsigned setting_count;
	struct stw_setting_error *setting_error; /* out, with `refused` */
	/* out */
	const struct stw_cause *cause; /* refused or failed; NULL: committed */
	unsigned changed;              /* rows */
	int refused; /* SETTINGS: 0; -ENOENT no such user; -EBADMSG as setting_error says */
	bool more;   /* SWEEP: it has removed as many as one may, and others may be left */
	struct stw_job *next;
};

#define STW_STORE_QUEUES_MAX 64

struct stw_store_options {
	struct stw_str path; /* SQLite file; ":memory:" keeps nothing */
	bool sync_full;
	bool threaded;    /* false: jobs run inside stw_store_run() (tests, CLI) */
	const bool *held; /* not threaded: jobs wait while it says so; NULL: never */
	unsigned queues;  /* threads that submit, at most STW_STORE_QUEUES_MAX; 0: one */
	/* threaded: results of this queue wait (called from the store thread) */
	void (*wake)(void *context, unsigned queue);
	void *wake_context;
	void (*thread_start)(void);    /* called first in the store thread, or NULL */
	struct stw_location *location; /* read at start, written by the store thread only */
	struct stw_directory *directory;
};

struct stw_store;

/** Opens or creates the file, loads users and bindings into the maps (expired ones are dropped).
 *  @param ret_error  a clear sentence on failure. @return 0, -errno */
int stw_store_open(const struct stw_store_options *options, struct stw_now now,
	struct stw_store **ret, char *ret_error, size_t error_size);
/** Each queue belongs to one thread. The jobs of a batch begin when it next finds no result.
 *  @return 0; -ENOBUFS when too many wait (503) */
int stw_store_submit(struct stw_store *store, struct stw_job *job);
/** Results that are ready, in the order of submission; NULL: none. The thread of the queue. */
struct stw_job *stw_store_result(struct stw_store *store, unsigned queue);
/** Counts up with each user that is removed, when the directory knows him no more. Any thread. */
uint64_t stw_store_removed_users(const struct stw_store *store);
/** Not threaded: run what was submitted as one group. */
void stw_store_run(struct stw_store *store);
/** Waits for the queue to empty, commits, closes. */
struct stw_store *stw_store_close(struct stw_store *store);

/** One process owns a store: the lock beside it says so. @return fd; -EBUSY another process holds
 * it; -ELOOP what lies there is no file of ours; -errno */
int stw_store_lock(struct stw_str path);
const char *stw_store_lock_error(int err);
void stw_store_unlock(int fd);

#endif
