/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server/queue. All of it under the mutex. */
#ifndef STW_QUEUE_INTERNAL_H
#define STW_QUEUE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/queue/queue.h"

#define QUEUE_TEXT_MAX    128 /* of a caller's name and Call-ID */
#define QUEUE_WORKERS_MAX 64

/* Somebody who is logged in to a queue, or rings, or has just done so. */
struct agent {
	struct stw_node node;         /* by AOR */
	const struct stw_user *user;  /* of the last look: valid in its batch only */
	unsigned look;                /* the last one that has found him logged in */
	struct stw_queue_call *rings; /* for whom */
	unsigned failures;            /* in a row */
	bool paused;                  /* because of them */
	bool served;                  /* his last call came from a queue … */
	uint64_t served_ms;           /* … since when */
	uint32_t wrap_up_ms;          /* … and what he has to himself behind it */
	struct line *served_line;
	uint64_t rest_ms; /* not before that */
	uint64_t last_ms; /* when he had something to do last */
	size_t len;
	char aor[];
};

/* A queue that somebody waits in, or has. Lives as long as the server: names come and go by reload
 * only. */
struct line {
	struct line *next;
	struct stw_queue_call *first; /* in the order in which they are served */
	unsigned count;
	uint64_t call_ms; /* how long a call takes, with wrap-up: a moving mean; 0: not measured */
	size_t len;
	char name[64];
};

struct stw_queue_call {
	struct stw_queue_call *next;                 /* in its line */
	struct stw_queue_call *own_next, **own_link; /* of the worker */
	struct line *line;
	unsigned worker;
	void *context;
	int priority;
	bool cannot_wait;
	uint64_t whose;
	struct agent *agent;  /* who rings, or is about to */
	bool start, withdraw; /* to be told */
	uint64_t rings_ms;    /* when that one was found */
	uint64_t wait_ms;     /* STW_QUEUE_WAIT is due; UINT64_MAX: it was said */
	char *before;         /* who rang before him; NULL: nobody */
	uint64_t *unfit;      /* hashes of agents who cannot get him, in order */
	unsigned unfit_count, unfit_room;
	struct stw_now since;
	uint64_t told_ms; /* the last 182; 0: none so far */
	unsigned told_place;
	char name[QUEUE_TEXT_MAX], call_id[QUEUE_TEXT_MAX];
	size_t name_len, call_id_len;
};

struct stw_queues {
	struct stw_queues_options options;
	pthread_mutex_t mutex;
	struct stw_table agents;
	struct line *lines;
	struct stw_queue_call *own[QUEUE_WORKERS_MAX];
	unsigned look;
	atomic_uint_least64_t leaves; /* stw_busy_leaves() at the last look */
	atomic_uint count;            /* of callers, and of agents who have `served` */
	atomic_uint_least64_t due[QUEUE_WORKERS_MAX]; /* stw_queues_next() */
};

enum agent_state {
	AGENT_FREE,
	AGENT_PAUSED,
	AGENT_GIVEN_UP, /* paused because he did not answer */
	AGENT_RINGS,
	AGENT_BUSY,
	AGENT_WRAPS_UP,
	AGENT_RESTS,
	AGENT_DND,
	AGENT_AWAY, /* no phone */
	AGENT_OUT,  /* not of this queue, or not any more */
};

/* What he does as an agent of this queue. */
enum agent_state agent_state(struct stw_queues *queues, struct agent *agent,
	const struct stw_queue_view *view, const struct stw_call_queue *queue);
/* Workers whose callers wait look again: when an agent will be free has changed. */
void workers_call_all(struct stw_queues *queues, unsigned from);
/* Find out who is logged in. */
void agents_look(struct stw_queues *queues, const struct stw_queue_view *view);
struct agent *agent_find(const struct stw_queues *queues, struct stw_str aor);
uint64_t agent_hash(struct stw_str aor);
/* NULL: nobody has ever waited there. */
struct line *line_find(const struct stw_queues *queues, struct stw_str name);
/* Agents of the queue who are not paused. */
unsigned agents_on_duty(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue);
/* What the one in this place (1: the next) has to wait. */
uint64_t line_wait_s(struct stw_queues *queues, const struct stw_queue_view *view,
	const struct stw_call_queue *queue, const struct line *line, unsigned place);

#endif
