/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * hook: web servers that are asked about calls. A worker submits a question and goes on; the
 * answer, or why there is none, comes back to it later, always, within the time of the question.
 * `serve` asks real servers in a thread of its own (client.h), the scenarios play them.
 */
#ifndef STW_HOOK_H
#define STW_HOOK_H

#include <strowger/base.h>

struct stw_delivery_stats;

enum stw_hook_result {
	STW_HOOK_ANSWERED, /* with 200, and a body of bounded size */
	STW_HOOK_LATE,     /* not within the time */
	STW_HOOK_DOWN,     /* not reached, no trust in its certificate, the connection broke */
	STW_HOOK_BUSY,     /* too many questions are open */
	STW_HOOK_REFUSED,  /* with another status than 200 */
	STW_HOOK_TOO_LONG, /* the answer */
};

#define STW_HOOK_WHY_MAX 128

/** What a question is about. Each has connections and room of its own: a server that hangs costs
 * the others nothing. */
enum stw_purpose { STW_PURPOSE_ANALYTICS, STW_PURPOSE_CREDIT, STW_PURPOSES };

/** A POST of JSON. Owned by the asker; between submit and answer nobody else touches it. */
struct stw_hook_question {
	unsigned queue; /* of the worker that asks */
	enum stw_purpose purpose;
	char *url; /* these two are freed with it */
	struct stw_str body;
	uint32_t timeout_ms; /* for all of it */
	void *context;       /* of the asker */
	/* the answer */
	enum stw_hook_result result;
	unsigned status; /* of HTTP, 0: none */
	char *answer;    /* freed with it; not terminated */
	size_t answer_len;
	char why[STW_HOOK_WHY_MAX]; /* in words, when there is no answer */
	void *link;                 /* of who has it between submit and answer */
	uint64_t due_ms;            /* likewise */
};

struct stw_hook_ops {
	/** Worker's thread. @return 0; -ENOBUFS: too many of this purpose are open */
	int (*submit)(void *hook, struct stw_hook_question *question);
	/** Worker's thread: the next one that has an end; NULL: none. */
	struct stw_hook_question *(*answer)(void *hook, unsigned queue);
	/** Lines that are delivered to a web server (delivery.h). May be NULL. */
	void (*delivered)(void *hook, struct stw_delivery_stats *ret);
};

/** Copies both texts. @return 0, -ENOMEM */
int stw_hook_question_new(struct stw_str url, struct stw_str body, struct stw_hook_question **ret);
/** Accepts NULL; returns NULL. */
struct stw_hook_question *stw_hook_question_free(struct stw_hook_question *question);

#endif
