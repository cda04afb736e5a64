/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * core: the server of one worker without I/O: stack, checks, target sets, decisions. `serve` drives
 * it with lib/io and the clock, the scenarios drive it in virtual time.
 */
#ifndef STW_CORE_H
#define STW_CORE_H

#include <jansson.h>

#include "server/call/call.h"
#include "server/config/config.h"
#include "server/decision/decision.h"
#include "server/directory/location.h"
#include "server/directory/user.h"
#include "server/queue/queue.h"
#include "server/store/store.h"
#include "server/trunk/registration.h"

#include <strowger/stack.h>

struct stw_core;
struct stw_hook_ops;

struct stw_core_options {
	struct stw_config *config; /* the core takes its own reference */
	struct stw_store *store;
	struct stw_location *location;
	struct stw_directory *directory;
	struct stw_workers *workers;    /* NULL: the only worker */
	struct stw_nonces *nonces;      /* of all workers, outlive the core; NULL: its own */
	unsigned worker;                /* which one; also its queue of the store */
	struct stw_trunk_board *trunks; /* shared by all workers; NULL: its own */
	struct stw_queues *queues;      /* shared by all workers; NULL: its own */
	struct stw_sources *sources;    /* shared by all workers; NULL: no limits for each source */
	struct stw_busy *busy;          /* of all workers, outlives the core; NULL: its own */
	struct stw_records *records;    /* the same; NULL: calls are not recorded */
	const struct stw_io_ops *io;
	void *io_user;
	const struct stw_listeners *listeners; /* as bound, real ports; must outlive the core */
	struct stw_addr local_addrs[16];
	unsigned local_addr_count;
	uint64_t seed;           /* of all workers; each makes its own from it */
	struct stw_hash_key key; /* this and the secret are equal in all workers */
	uint8_t nonce_secret[32];
	/** Called once for each note, after it was recorded; may be NULL. */
	void (*log)(void *context, const struct stw_note *note, struct stw_str place);
	uint64_t (*log_lost)(const void *context); /* lines that nobody will read; may be NULL */
	void *log_context;
	const struct stw_hook_ops *hook; /* how web servers are asked; NULL: they are not */
	void *hook_user;
	struct stw_trial *trial; /* try.h: checks are told, nothing is stored; NULL: in earnest */
};

int stw_core_new(const struct stw_core_options *options, struct stw_now now, struct stw_core **ret);

/** The nonces that several cores share. @return 0, -ENOMEM, -EIO */
int stw_core_nonces_new(const struct stw_config *config, const uint8_t secret[32],
	struct stw_now now, struct stw_nonces **ret);

/** One batch: events of the network, what other workers hand over, results of the store, timers
 * that are due. Then flush, then stw_core_end(). */
void stw_core_begin(struct stw_core *core, struct stw_now now);
void stw_core_event(struct stw_core *core, const struct stw_io_event *event);
/** What other workers have handed over, results of the store and due timers. With a store that is
 * not threaded, its jobs are run here.
 */
void stw_core_work(struct stw_core *core);
void stw_core_end(struct stw_core *core);
/** When to come back at the latest (monotonic ms), UINT64_MAX: never. */
uint64_t stw_core_next(const struct stw_core *core);

/** New live options. The caller has made sure that no restart option differs. */
void stw_core_reload(struct stw_core *core, struct stw_config *config);
/** From now on new requests are refused with 503 (in-dialog requests, ACK, CANCEL, PRACK, BYE go
 * on). */
void stw_core_drain(struct stw_core *core);
/** The same, and calls that are not answered yet end now with 503: the server is about to go.
 * Within a batch. */
void stw_core_stop(struct stw_core *core);
/** No transaction and no request left, nothing that waits for another worker or the store. What
 * lies between the workers: stw_workers_quiet(). */
bool stw_core_idle(const struct stw_core *core);

/* ---- questions of the administration: asked in another thread, answered by the worker
 * ------------ */

enum stw_question_kind {
	STW_QUESTION_STATUS,         /* answer: counters */
	STW_QUESTION_WHY,            /* text: Call-ID or "last" */
	STW_QUESTION_CALLS,          /* number: how many */
	STW_QUESTION_USER_SET,       /* users, user_count */
	STW_QUESTION_USER_REMOVE,    /* users[0].user, .domain */
	STW_QUESTION_SETTINGS,       /* text: AOR; job.settings, .setting_count, .setting_error */
	STW_QUESTION_BINDINGS,       /* text: AOR (any form) */
	STW_QUESTION_BINDING_REMOVE, /* text: AOR; text2: contact URI or empty */
	STW_QUESTION_QUEUES,         /* text: name of a queue or empty: all */
	STW_QUESTION_DRAIN,
	STW_QUESTION_RELOAD, /* config: the new snapshot */
	STW_QUESTION_STOP,
	STW_QUESTION_TRY, /* ask; answer as stw_try() gives it, or error -EINVAL with `refusal` */
};

#define STW_QUESTION_AOR_MAX 512

/** Owned by the asker; nothing in it may be touched until `answered` was called. */
struct stw_question {
	enum stw_question_kind kind;
	struct stw_str text, text2;
	unsigned number;
	struct stw_user_row *users;
	unsigned user_count;
	struct stw_config *config; /* borrowed from the asker */
	const json_t *ask;         /* TRY; borrowed */
	char refusal[200];         /* TRY */
	json_t *answer;            /* new reference, or NULL */
	int error;                 /* 0; -ENOENT; -EINVAL; -EIO; -EBADMSG: job.setting_error */
	void (*answered)(struct stw_question *question);
	void *context;
	struct stw_job job;             /* room for the store's part */
	char aor[STW_QUESTION_AOR_MAX]; /* the canonical form of `text`, for the store */
};

/** Adds {"aor": …, "bindings": […]} to a list, unless all have expired. @return 0, -ENOMEM */
int stw_bindings_report(const struct stw_bindings *bindings, struct stw_now now, json_t *list);

/** Worker thread. Answers at once, or after the store has committed. */
void stw_core_question(struct stw_core *core, struct stw_question *question);

/** Is this one for all workers? What is not is shared, and any one of them knows it. */
bool stw_question_concerns_all(enum stw_question_kind kind);
/**
 * A question to `n` workers as one for each, stw_question_part(). When all have been answered,
 * their answers are made one, the question itself is answered in the thread of the last, and the
 * parts are gone.
 * @return 0, -ENOMEM
 */
struct stw_question_parts;
int stw_question_split(struct stw_question *question, unsigned n, struct stw_question_parts **ret);
struct stw_question *stw_question_part(struct stw_question_parts *parts, unsigned i);

struct stw_core *stw_core_free(struct stw_core *core);

#endif
