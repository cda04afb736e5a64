/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin/log_writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include <strowger/io.h>

#include "server/decision/decision.h"
#include "server/thread.h"

#define QUEUES_MAX   64u
#define PLACES       4096u
#define BYTES        (1u << 20)
#define ROUND_LINES  64   /* of one ring, before it is the turn of the next */
#define TELL_MS      1000 /* while lines are lost without a pause, how often that is told */
#define END_STALL_MS 1000 /* at the end: so long nobody reads */
#define END_MS       5000

/* Lines of one thread. */
struct queue {
	struct stw_ring *ring;
	atomic_size_t bytes; /* of the lines in it */
};

struct stw_log_writer {
	struct stw_log_writer_options options;
	bool journal;
	struct queue queues[QUEUES_MAX];
	_Atomic uint64_t lost;
	pthread_t thread;
	void (*thread_start)(void);
	bool started;
	sem_t wake; /* posted by who ends `sleeping` */
	atomic_bool sleeping, ending, ended;
	atomic_uint writes; /* that have come to their end */

	/* The thread's: lines that go out with one call. As many bytes as a pipe takes whole, so
	 * that lines of other processes do not come between (pipe(7)). */
	char batch[PIPE_BUF];
	size_t batch_len;
	unsigned batch_lines;
	bool torn; /* what was written last may be half a line */
	uint64_t told, told_ms;
};

/* ---- writing -------------------------------------------------------------------------------- */

/* Who shares the description may have made it non-blocking. */
static int write_all(int fd, const char *bytes, size_t len)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };

	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EAGAIN)
			(void)poll(&ready, 1, -1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What comes behind a line that was written in part can be read again. */
static int lines_write(struct stw_log_writer *writer, const char *lines, size_t len)
{
	int err = writer->torn ? write_all(writer->options.fd, "\n", 1) : 0;

	if (err == 0) {
		err = write_all(writer->options.fd, lines, len);
		writer->torn = err < 0;
	}
	atomic_fetch_add(&writer->writes, 1);
	return err;
}

static void batch_write(struct stw_log_writer *writer)
{
	if (writer->batch_len && lines_write(writer, writer->batch, writer->batch_len) < 0)
		atomic_fetch_add(&writer->lost, writer->batch_lines);
	writer->batch_len = 0;
	writer->batch_lines = 0;
}

static void batch_add(struct stw_log_writer *writer, const struct stw_log_line *line)
{
	if (writer->batch_len + line->len > sizeof(writer->batch))
		batch_write(writer);
	if (line->len > sizeof(writer->batch)) {
		if (lines_write(writer, line->text, line->len) < 0)
			atomic_fetch_add(&writer->lost, 1);
		return;
	}
	memcpy(writer->batch + writer->batch_len, line->text, line->len);
	writer->batch_len += line->len;
	writer->batch_lines++;
}

/* Lines flow again, or some of them: whoever reads them learns that others are not there. It asks
 * for no level: lines of the level that was asked for are missing. */
static void lost_tell(struct stw_log_writer *writer)
{
	uint64_t lost = atomic_load(&writer->lost);
	struct stw_now now = stw_io_now();
	json_t *object;
	char *text, line[200];
	int len;

	if (lost == writer->told)
		return;
	object = json_pack("{s:s, s:s, s:I}", "event", "log.lost", "level", "warning", "lines",
		(json_int_t)(lost - writer->told));
	if (object && !writer->journal)
		json_object_set_new(object, "time", stw_json_time(now.wall_ms));
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	len = text ? snprintf(line, sizeof(line), "%s%s\n", writer->journal ? "<4>" : "", text) : 0;
	if (len && lines_write(writer, line, (size_t)len) == 0) {
		writer->told = lost;
		writer->told_ms = now.mono_ms;
	}
	free(text);
	json_decref(object);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* @return false: nothing was there */
static bool writer_round(struct stw_log_writer *writer)
{
	struct stw_log_line *line;
	bool any = false;

	for (unsigned i = 0; i < writer->options.queues; i++) {
		struct queue *queue = &writer->queues[i];

		for (unsigned n = 0; n < ROUND_LINES && (line = stw_ring_pop(queue->ring)); n++) {
			batch_add(writer, line);
			atomic_fetch_sub(&queue->bytes, line->len);
			free(line);
			any = true;
		}
	}
	return any;
}

static void writer_drain(struct stw_log_writer *writer)
{
	while (writer_round(writer)) {
		if (stw_io_now().mono_ms - writer->told_ms < TELL_MS)
			continue;
		batch_write(writer);
		lost_tell(writer);
	}
	batch_write(writer);
	lost_tell(writer);
}

static bool has_work(const struct stw_log_writer *writer)
{
	for (unsigned i = 0; i < writer->options.queues; i++) {
		if (!stw_ring_empty(writer->queues[i].ring))
			return true;
	}
	return atomic_load(&writer->ending);
}

/* What was pushed before "sleeping" was seen is found here; for what comes later somebody ends it
 * and posts. */
static void writer_sleep(struct stw_log_writer *writer)
{
	atomic_store(&writer->sleeping, true);
	atomic_thread_fence(memory_order_seq_cst);
	if (has_work(writer) && atomic_exchange(&writer->sleeping, false))
		return;
	while (sem_wait(&writer->wake) < 0)
		;
}

static void writer_wake(struct stw_log_writer *writer)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&writer->sleeping) && atomic_exchange(&writer->sleeping, false))
		sem_post(&writer->wake);
}

static void *writer_thread(void *context)
{
	struct stw_log_writer *writer = context;
	bool ending;

	prctl(PR_SET_NAME, "strowger-log");
	if (writer->thread_start)
		writer->thread_start();
	while (true) {
		ending = atomic_load(&writer->ending);
		writer_drain(writer);
		if (ending)
			break;
		writer_sleep(writer);
	}
	atomic_store(&writer->ended, true);
	return NULL;
}

/* ---- life -------------------------------------------------------------------------------------
 */

/* systemd sets JOURNAL_STREAM to "device:inode" of what it connected (systemd.exec(5)). */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat info;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(fd, &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

static struct stw_log_writer *writer_free(struct stw_log_writer *writer)
{
	for (unsigned i = 0; i < writer->options.queues; i++)
		stw_ring_free(writer->queues[i].ring);
	sem_destroy(&writer->wake);
	free(writer);
	return NULL;
}

int stw_log_writer_new(const struct stw_log_writer_options *options, struct stw_log_writer **ret)
{
	struct stw_log_writer *writer = calloc(1, sizeof(*writer));
	int err = 0;

	if (!writer)
		return -ENOMEM;
	writer->options = *options;
	if (!options->queues)
		writer->options.queues = 1;
	if (!options->ring_places)
		writer->options.ring_places = PLACES;
	if (!options->ring_bytes)
		writer->options.ring_bytes = BYTES;
	writer->journal = is_journal(options->fd);
	sem_init(&writer->wake, 0, 0);
	for (unsigned i = 0; err == 0 && i < writer->options.queues; i++)
		err = stw_ring_new(writer->options.ring_places, &writer->queues[i].ring);
	if (err < 0)
		writer_free(writer);
	else
		*ret = writer;
	return err;
}

int stw_log_writer_start(struct stw_log_writer *writer, void (*thread_start)(void))
{
	int err;

	writer->thread_start = thread_start;
	err = stw_thread_start(&writer->thread, writer_thread, writer);
	writer->started = err == 0;
	return err;
}

/* @return false: it has not come to its end, and may never */
static bool writer_wait(struct stw_log_writer *writer)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t begin_ms = stw_io_now().mono_ms, moved_ms = begin_ms, now_ms = begin_ms;
	unsigned writes = atomic_load(&writer->writes), seen;

	while (!atomic_load(&writer->ended)) {
		if (now_ms - begin_ms >= END_MS || now_ms - moved_ms >= END_STALL_MS)
			return false;
		nanosleep(&pause, NULL);
		now_ms = stw_io_now().mono_ms;
		seen = atomic_load(&writer->writes);
		if (seen != writes)
			moved_ms = now_ms;
		writes = seen;
	}
	return true;
}

struct stw_log_writer *stw_log_writer_close(struct stw_log_writer *writer)
{
	if (!writer)
		return NULL;
	atomic_store(&writer->ending, true);
	if (writer->started) {
		writer_wake(writer);
		/* It still blocks: what it works with stays, until the process has ended. */
		if (!writer_wait(writer)) {
			pthread_detach(writer->thread);
			return NULL;
		}
		pthread_join(writer->thread, NULL);
	}
	return writer_free(writer);
}

/* ---- who logs ---------------------------------------------------------------------------------
 */

void stw_log_writer_give(struct stw_log_writer *writer, unsigned queue, struct stw_log_line *line)
{
	struct queue *own = &writer->queues[queue];
	size_t len = line ? line->len : 0;

	if (line && !writer->started) {
		batch_add(writer, line);
		batch_write(writer);
		free(line);
		return;
	}
	if (line && atomic_load(&own->bytes) + len <= writer->options.ring_bytes) {
		/* First: the line is the thread's as soon as it is in the ring. */
		atomic_fetch_add(&own->bytes, len);
		if (stw_ring_push(own->ring, line) == 0) {
			writer_wake(writer);
			return;
		}
		atomic_fetch_sub(&own->bytes, len);
	}
	free(line);
	atomic_fetch_add(&writer->lost, 1);
}

uint64_t stw_log_writer_lost(const struct stw_log_writer *writer)
{
	return atomic_load(&writer->lost);
}

bool stw_log_writer_is_journal(const struct stw_log_writer *writer)
{
	return writer->journal;
}
