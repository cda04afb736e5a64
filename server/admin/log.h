/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * log: one JSON object a line on standard error; with the priority that journald reads in front
 * when standard error is the journal. What a peer can trigger is limited per cause.
 */
#ifndef STW_LOG_H
#define STW_LOG_H

#include <jansson.h>

#include "server/config/config.h"

#include <strowger/stack.h>

struct stw_log;

int stw_log_new(enum stw_log_level level, struct stw_log **ret);
/** Live. */
void stw_log_set_level(struct stw_log *log, enum stw_log_level level);
/** One line; any thread. Takes `members` (an object, or NULL), whose text must be UTF-8:
 * stw_json_text(). */
void stw_log_event(
	struct stw_log *log, enum stw_log_level level, const char *event, json_t *members);
/** A note of the stack: refusals and failures, and failed authentication for tools like fail2ban.
 * Worker only. */
void stw_log_note(void *log, const struct stw_note *note, struct stw_str place);
/** Are the lines read by journald, which takes their priority from their beginning? */
bool stw_log_is_journal(const struct stw_log *log);
struct stw_log *stw_log_free(struct stw_log *log);

#endif
