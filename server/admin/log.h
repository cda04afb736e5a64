/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * log: one JSON object a line on standard error; with the priority that journald reads in front
 * when standard error is the journal. What a peer can trigger is limited per cause.
 */
#ifndef STW_LOG_H
#define STW_LOG_H

#include <jansson.h>

#include "server/admin/log_writer.h"
#include "server/config/config.h"

#include <strowger/stack.h>

struct stw_log;

/** Of one thread: it has the queue of the writer to itself. Borrows the writer. */
int stw_log_new(enum stw_log_level level, struct stw_log_writer *writer, unsigned queue,
	struct stw_log **ret);
/** Live. */
void stw_log_set_level(struct stw_log *log, enum stw_log_level level);
/** One line; the thread of the log. Takes `members` (an object, or NULL), whose text must be UTF-8:
 * stw_json_text(). */
void stw_log_event(
	struct stw_log *log, enum stw_log_level level, const char *event, json_t *members);
/** A note of the stack: refusals and failures, and failed authentication for tools like fail2ban.
 * Worker only. */
void stw_log_note(void *log, const struct stw_note *note, struct stw_str place);
/** Any thread: lines of the whole process that nobody will read, stw_log_writer_lost(). */
uint64_t stw_log_lost(const void *log);
struct stw_log *stw_log_free(struct stw_log *log);

#endif
