/* SPDX-License-Identifier: Apache-2.0 */
#include "server/call/records.h"
#include "server/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#define QUEUES_MAX     64u
#define PLACES         4096u
#define PAUSE_NS       100000000L          /* between two looks at the rings */
#define BATCH_BYTES    65536u              /* written with one call */
#define LOOK_BACK      (16 * 1024 * 1024L) /* bytes of the file that are read at the start */
#define LINE_BYTES_MAX (256 * 1024L)

struct stw_records {
	struct stw_records_options options;
	char *path; /* NULL: none */
	struct stw_ring *rings[QUEUES_MAX];
	int fd;    /* -1: none, or it cannot be opened */
	bool torn; /* its last line may be half a one */
	pthread_t thread;
	bool started;
	atomic_bool ending, reopen;
	_Atomic uint64_t lost, unwritten;
	char batch[BATCH_BYTES];
	size_t batch_len;
	uint64_t batch_lines;
};

/* ---- the file -------------------------------------------------------------------------- */

static int file_open(struct stw_records *records)
{
	records->fd = open(records->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	return records->fd < 0 ? -errno : 0;
}

static void file_close(struct stw_records *records)
{
	if (records->fd >= 0)
		close(records->fd);
	records->fd = -1;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What came behind a line that was written in part can be read again. */
static int file_go_on(struct stw_records *records)
{
	int err = records->fd < 0 ? file_open(records) : 0;

	if (err == 0 && records->torn)
		err = write_all(records->fd, "\n", 1);
	if (err == 0)
		records->torn = false;
	return err;
}

static void batch_write(struct stw_records *records)
{
	if (!records->batch_len)
		return;
	if (file_go_on(records) < 0 ||
		write_all(records->fd, records->batch, records->batch_len) < 0) {
		atomic_fetch_add(&records->unwritten, records->batch_lines);
		records->torn = true;
		file_close(records);
	}
	records->batch_len = 0;
	records->batch_lines = 0;
}

static void batch_add(struct stw_records *records, const struct stw_record_line *line)
{
	if (!records->path)
		return;
	if (records->batch_len + line->len > BATCH_BYTES)
		batch_write(records);
	if (line->len > BATCH_BYTES) {
		atomic_fetch_add(&records->unwritten, 1);
		return;
	}
	memcpy(records->batch + records->batch_len, line->text, line->len);
	records->batch_len += line->len;
	records->batch_lines++;
}

/* ---- calls that were left open ------------------------------------------------------------ */

static void open_note(json_t *open, const char *text)
{
	json_t *record = json_loads(text, 0, NULL);
	const char *call_id = json_string_value(json_object_get(record, "call_id"));
	const char *start = json_string_value(json_object_get(record, "start"));
	const char *uri = json_string_value(json_object_get(record, "request_uri"));
	char key[1200];

	/* A proxy above may have forked it: two calls with one Call-ID, which begin together. */
	if (call_id && start) {
		snprintf(key, sizeof(key), "%s %s %s", start, uri ? uri : "", call_id);
		if (json_is_null(json_object_get(record, "ended_by")) &&
			json_is_null(json_object_get(record, "cause")))
			json_object_set(open, key, record);
		else
			json_object_del(open, key);
	}
	json_decref(record);
}

static void open_read(FILE *file, json_t *open)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	if (fseek(file, 0, SEEK_END) == 0 && ftell(file) > LOOK_BACK)
		fseek(file, -LOOK_BACK, SEEK_END);
	else
		rewind(file);
	while ((len = getline(&text, &size, file)) > 0 && len < LINE_BYTES_MAX)
		open_note(open, text);
	free(text);
}

/* Whether the end of the file is that of a line. */
static bool ends_torn(FILE *file)
{
	return fseek(file, -1, SEEK_END) == 0 && getc(file) != '\n';
}

static void lost_tell(struct stw_records *records, json_t *record)
{
	struct stw_record_line *line;
	size_t len;
	char *text;

	json_object_set_new(record, "cause", json_string("lost"));
	text = json_dumps(record, JSON_COMPACT | JSON_ENSURE_ASCII);
	len = text ? strlen(text) : 0;
	line = text ? malloc(sizeof(*line) + len + 1) : NULL;
	if (line) {
		memcpy(line->text, text, len);
		line->text[len] = '\n';
		line->len = len + 1;
		batch_add(records, line);
		if (records->options.take)
			records->options.take(records->options.take_context,
				(struct stw_str){ line->text, line->len });
	}
	free(line);
	free(text);
}

static void tell_lost_calls(struct stw_records *records)
{
	struct stat status;
	FILE *file = fstat(records->fd, &status) == 0 && S_ISREG(status.st_mode)
			     ? fopen(records->path, "re")
			     : NULL;
	json_t *open = json_object(), *record;
	const char *key;

	if (file) {
		open_read(file, open);
		records->torn = ends_torn(file);
		fclose(file);
	}
	json_object_foreach(open, key, record) lost_tell(records, record);
	json_decref(open);
	batch_write(records);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool ring_drain(struct stw_records *records, struct stw_ring *ring)
{
	struct stw_record_line *line;
	bool any = false;

	while ((line = stw_ring_pop(ring))) {
		batch_add(records, line);
		if (records->options.take)
			records->options.take(records->options.take_context,
				(struct stw_str){ line->text, line->len });
		free(line);
		any = true;
	}
	return any;
}

void stw_records_run(struct stw_records *records)
{
	if (atomic_exchange(&records->reopen, false))
		file_close(records);
	for (unsigned i = 0; i < records->options.queues; i++)
		(void)ring_drain(records, records->rings[i]);
	batch_write(records);
}

static void *records_thread(void *context)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct stw_records *records = context;

	prctl(PR_SET_NAME, "strowger-cdr");
	if (records->options.thread_start)
		records->options.thread_start();
	while (!atomic_load(&records->ending)) {
		stw_records_run(records);
		nanosleep(&pause, NULL);
	}
	stw_records_run(records);
	return NULL;
}

static int records_start(struct stw_records *records)
{
	int err;

	err = stw_thread_start(&records->thread, records_thread, records);
	records->started = err == 0;
	return err;
}

/* ---- life --------------------------------------------------------------------------------------
 */

static int records_prepare(struct stw_records *records)
{
	size_t places = records->options.ring_places ? records->options.ring_places : PLACES;
	int err = 0;

	if (!records->options.queues)
		records->options.queues = 1;
	if (records->options.path.len) {
		records->path = strndup(records->options.path.ptr, records->options.path.len);
		err = records->path ? 0 : -ENOMEM;
	}
	for (unsigned i = 0; err == 0 && i < records->options.queues; i++)
		err = stw_ring_new(places, &records->rings[i]);
	return err;
}

int stw_records_open(const struct stw_records_options *options, struct stw_records **ret,
	char *ret_error, size_t error_size)
{
	struct stw_records *records = calloc(1, sizeof(*records));
	int err = records ? 0 : -ENOMEM;

	if (records) {
		records->options = *options;
		records->fd = -1;
		err = records_prepare(records);
	}
	if (err < 0) {
		snprintf(ret_error, error_size, "no memory is left");
		stw_records_close(records);
		return err;
	}
	if (records->path && (err = file_open(records)) < 0)
		snprintf(ret_error, error_size, "cdr.file: %s: %s", records->path, strerror(-err));
	if (err == 0 && records->path)
		tell_lost_calls(records);
	if (err == 0 && options->threaded && (err = records_start(records)) < 0)
		snprintf(ret_error, error_size, "the thread of the call records: %s",
			strerror(-err));
	if (err < 0)
		stw_records_close(records);
	else
		*ret = records;
	return err;
}

struct stw_records *stw_records_close(struct stw_records *records)
{
	if (!records)
		return NULL;
	atomic_store(&records->ending, true);
	if (records->started)
		pthread_join(records->thread, NULL);
	else if (records->rings[records->options.queues - 1])
		stw_records_run(records);
	for (unsigned i = 0; i < records->options.queues; i++)
		stw_ring_free(records->rings[i]);
	file_close(records);
	free(records->path);
	free(records);
	return NULL;
}

/* ---- the workers
 * --------------------------------------------------------------------------------- */

void stw_records_give(struct stw_records *records, unsigned queue, struct stw_record_line *line)
{
	if (line && stw_ring_push(records->rings[queue], line) == 0)
		return;
	free(line);
	atomic_fetch_add(&records->lost, 1);
}

void stw_records_reopen(struct stw_records *records)
{
	atomic_store(&records->reopen, true);
}

uint64_t stw_records_lost(const struct stw_records *records)
{
	return atomic_load(&records->lost);
}

uint64_t stw_records_unwritten(const struct stw_records *records)
{
	return atomic_load(&records->unwritten);
}
