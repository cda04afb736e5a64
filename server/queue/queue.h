/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * queue: callers who wait, and the agents who get them. One structure for all workers, under a
 * mutex that only calls to queues take; the worker that owns the INVITE of a caller does what has
 * to be done for him (docs/decisions/0021). Who is an agent stands in the directory
 * (setting `queues`), who is in a call in stw_busy; here is who waits, who rings for whom, and who
 * has failed to answer.
 *
 * Nothing here sends: stw_queues_due() says what is to be done. Bounded: callers by max_length of
 * each queue, agents by the users who are logged in.
 */
#ifndef STW_QUEUE_H
#define STW_QUEUE_H

#include <jansson.h>

#include "server/call/busy.h"
#include "server/config/config.h"
#include "server/directory/location.h"
#include "server/directory/user.h"

struct stw_queues;
struct stw_queue_call;

#define STW_QUEUE_FAILURES 3 /* in a row: the agent is paused */
/* Before an agent who has not answered is rung again: behind Timer I of his phone (RFC 3261
 * §17.2.1, T4), which would take the INVITE for a merged request until then (§8.2.2.2). */
#define STW_QUEUE_REST_MS   6000u
#define STW_QUEUE_TELL_MS   2000u /* at the least, between two 182 */
#define STW_QUEUE_TASKS_MAX 32u

struct stw_queues_options {
	unsigned workers;                             /* 0: one */
	void (*wake)(void *context, unsigned worker); /* it has something to do; any worker's
							 thread. May be NULL */
	void *wake_context;
};

/** What the worker knows, in its thread and for the call of the function only. */
struct stw_queue_view {
	const struct stw_config *config;
	const struct stw_directory *directory;
	const struct stw_location *location;
	const struct stw_busy *busy;
	struct stw_now now;
	unsigned worker;
};

/** @return 0, -ENOMEM */
int stw_queues_new(const struct stw_queues_options *options, struct stw_queues **ret);
/** Accepts NULL; returns NULL. */
struct stw_queues *stw_queues_free(struct stw_queues *queues);

/* ---- callers ------------------------------------------------------------------------------ */

/** A caller; text is copied, long one cut off. */
struct stw_queue_caller {
	struct stw_str name, call_id;
	int priority;     /* the higher comes first */
	bool cannot_wait; /* he is not told that he waits: only a free agent will do */
	uint64_t whose;   /* who counts as one with him for max_per_caller; 0: nobody */
	void *context;
};

/**
 * He comes to the queue. When an agent is free he is rung at once: stw_queues_due() says so.
 * @return 0; -ENOENT no agent is logged in; -EUSERS max_per_caller of his are there; -ENOBUFS
 *         max_length wait already; -EAGAIN `cannot_wait`, and no agent is free; -ENOMEM
 */
int stw_queues_enter(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, const struct stw_queue_caller *caller,
	struct stw_queue_call **ret);
/** What stw_queues_enter() would say of a caller of usual priority, who does not come. */
int stw_queues_ask(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, const struct stw_queue_caller *caller);
/** He is gone: answered (by whom, see below), or not. Frees the call. */
void stw_queues_leave(struct stw_queues *queues, struct stw_queue_call *call, struct stw_now now);
/** `aor` has answered; it need not be the agent who rings now: a 2xx may cross the CANCEL to one
 * who was rung before. Empty: the one who rings. His call lasts until stw_busy says that he is in
 * none. stw_queues_leave() follows. */
void stw_queues_answered(struct stw_queues *queues, const struct stw_queue_view *view,
	struct stw_queue_call *call, struct stw_str aor);

enum stw_queue_failure {
	STW_QUEUE_DECLINED, /* he, or his phone, did not take the call: it counts */
	STW_QUEUE_UNFIT,    /* he cannot get this caller; another one he may */
	STW_QUEUE_GONE,     /* he has logged out, or has got a call meanwhile */
};

/** What rang for the caller does so no more: he waits again, in his place. @return failures of the
 * agent in a row; STW_QUEUE_FAILURES: he is paused now */
unsigned stw_queues_failed(struct stw_queues *queues, struct stw_queue_call *call,
	enum stw_queue_failure failure, struct stw_now now);

/** Who rings for him; empty: nobody. Lives until that has ended. */
struct stw_str stw_queue_call_agent(struct stw_queues *queues, const struct stw_queue_call *call);
/** Who rang before; empty: nobody. */
struct stw_str stw_queue_call_agent_before(const struct stw_queue_call *call);
/** The queue that he waits in. */
struct stw_str stw_queue_call_queue(const struct stw_queue_call *call);

/** What is to be done for a caller of this worker. */
enum stw_queue_task_kind {
	STW_QUEUE_RING,        /* an agent is his: ring him */
	STW_QUEUE_WITHDRAW,    /* his agent must not be rung any longer */
	STW_QUEUE_TELL,        /* 182 */
	STW_QUEUE_WAIT,        /* nobody rings, and who did has forgotten him (REST_MS) */
	STW_QUEUE_OVER,        /* he has waited for too long */
	STW_QUEUE_CLOSED,      /* the configuration has the queue no more */
	STW_QUEUE_NOBODY_FREE, /* his agent has let him pass, and he cannot wait for another one */
};

struct stw_queue_task {
	enum stw_queue_task_kind kind;
	void *context;     /* the caller's */
	unsigned place;    /* TELL: 1 is the next */
	uint64_t wait_s;   /* … and how long it will take, as it looks */
	uint64_t waited_s; /* so far */
};

/**
 * Who is free gets who waits; what is to be done now for callers of this worker. Each task is said
 * once. A task for one caller may free this caller's call, but no other one.
 * @return how many, at most STW_QUEUE_TASKS_MAX: come again until it is 0
 */
unsigned stw_queues_due(struct stw_queues *queues, const struct stw_queue_view *view,
	struct stw_queue_task tasks[STW_QUEUE_TASKS_MAX]);
/** When the worker has to ask again (monotonic ms); 0: now; UINT64_MAX: when something happens. */
uint64_t stw_queues_next(const struct stw_queues *queues, unsigned worker);
/** Has any call of a user ended since the last time, while somebody waits or an agent is in a call
 * of a queue? One of the workers is told so. */
bool stw_queues_freed(struct stw_queues *queues, const struct stw_busy *busy);
/** An agent may be free now, for a reason that is not in stw_busy: this worker will look. */
void stw_queues_look(struct stw_queues *queues, unsigned worker);

/* ---- agents ------------------------------------------------------------------------------ */

enum stw_queue_act { STW_QUEUE_LOGIN, STW_QUEUE_LOGOUT, STW_QUEUE_PAUSE };

#define STW_QUEUE_CHANGE_BYTES 96

/** Changes of settings (STW_JOB_SETTINGS) that log an agent in or out, or pause him; login ends a
 * pause. */
struct stw_queue_change {
	struct stw_str settings[2];
	char text[2][STW_QUEUE_CHANGE_BYTES];
};
/** @return 0; -ENOENT there is no such queue; -EPERM he is none of its agents; -ESRCH (PAUSE) he is
 * not logged in; -ENOTUNIQ no user */
int stw_queue_change(const struct stw_config *config, const struct stw_user *user,
	enum stw_queue_act act, struct stw_str queue, struct stw_queue_change *ret);
/** He was logged in or out: what he has not answered is forgiven. Any worker. */
void stw_queues_forgive(struct stw_queues *queues, struct stw_str aor);

/** Who waits and who might take him, of one queue or (empty) all. NULL: no memory, or there is no
 * such queue */
json_t *stw_queues_report(
	struct stw_queues *queues, const struct stw_queue_view *view, struct stw_str name);

#endif
