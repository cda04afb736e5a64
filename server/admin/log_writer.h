/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * log_writer: lines of the log on their way to standard error: from the threads that log, through a
 * ring for each, to a thread of their own. Whoever reads them may stand still: then the rings fill,
 * and what finds no room is lost and counted. Nobody who logs ever waits.
 *
 * The file description of standard error is shared with other processes, so it stays as it is:
 * blocking, mostly. It is the thread here that blocks.
 */
#ifndef STW_LOG_WRITER_H
#define STW_LOG_WRITER_H

#include <strowger/base.h>

struct stw_log_writer;

/** One line with its end of line. One allocation: free() it. */
struct stw_log_line {
	size_t len;
	char text[];
};

struct stw_log_writer_options {
	int fd;             /* not closed */
	unsigned queues;    /* threads that give, at most 64; 0: one */
	size_t ring_places; /* of each, a power of two (4096) */
	size_t ring_bytes;  /* of the lines in each (1 MiB) */
};

/** Without its thread it writes what it is given at once, and blocks: until all privileges are
 * dropped nobody else is there who waits. @return 0, -ENOMEM */
int stw_log_writer_new(const struct stw_log_writer_options *options, struct stw_log_writer **ret);
/** Before any other thread gives. @param thread_start  called first in the thread, or NULL.
 * @return 0, -errno */
int stw_log_writer_start(struct stw_log_writer *writer, void (*thread_start)(void));
/** Takes the line; NULL: there was no memory for it, it counts as lost. The thread of the queue. */
void stw_log_writer_give(struct stw_log_writer *writer, unsigned queue, struct stw_log_line *line);
/** Any thread: lines since the start that found no room, or that could not be written. */
uint64_t stw_log_writer_lost(const struct stw_log_writer *writer);
/** Are the lines read by journald, which takes their priority from their beginning? */
bool stw_log_writer_is_journal(const struct stw_log_writer *writer);
/** Nobody gives any more. Writes what was given, but waits for a second at most in which nobody
 * reads, and for five in all. Accepts NULL; returns NULL. */
struct stw_log_writer *stw_log_writer_close(struct stw_log_writer *writer);

#endif
