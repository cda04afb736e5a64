/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * records: call detail records on their way out: from the workers, through a ring for each, to a
 * thread of their own that appends them to a file and gives them to whoever else wants them. What
 * finds a ring full is lost and counted; no worker ever waits.
 */
#ifndef STW_RECORDS_H
#define STW_RECORDS_H

#include <strowger/base.h>

struct stw_records;

/** One line of JSON with its end of line. One allocation: free() it. */
struct stw_record_line {
	size_t len;
	char text[];
};

struct stw_records_options {
	struct stw_str path;        /* appended to; empty: no file */
	unsigned queues;            /* threads that give, at most 64; 0: one */
	size_t ring_places;         /* of each, a power of two (4096) */
	bool threaded;              /* false: stw_records_run() does the work (tests) */
	void (*thread_start)(void); /* called first in the thread, or NULL */
	/** Every line, in the thread of the records: it must not wait for long. NULL: nobody. */
	void (*take)(void *context, struct stw_str line);
	void *take_context;
};

/**
 * Opens the file, and tells of each call that it shows as answered but not as ended that it is
 * lost: the server was not there when it ended.
 * @param ret_error  a clear sentence on failure. @return 0, -errno
 */
int stw_records_open(const struct stw_records_options *options, struct stw_records **ret,
	char *ret_error, size_t error_size);
/** Takes the line; NULL: there was no memory for it, it counts as lost. The thread of the queue. */
void stw_records_give(struct stw_records *records, unsigned queue, struct stw_record_line *line);
/** Any thread: the file was renamed; what comes next goes into a new one. */
void stw_records_reopen(struct stw_records *records);
/** Any thread, since the start: lines that found no room, or no memory; that could not be written.
 */
uint64_t stw_records_lost(const struct stw_records *records);
uint64_t stw_records_unwritten(const struct stw_records *records);
/** Not threaded: write what was given. */
void stw_records_run(struct stw_records *records);
/** Writes what was given. Accepts NULL; returns NULL. */
struct stw_records *stw_records_close(struct stw_records *records);

#endif
