/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <strowger/io.h>

#include "server/admin/log_writer.h"

#define LINES 4000

static struct stw_log_line *line_of(unsigned n)
{
	struct stw_log_line *line = malloc(sizeof(*line) + 200);

	line->len = (size_t)snprintf(line->text, 200, "{\"n\":%u,\"text\":\"%0100u\"}\n", n, n);
	return line;
}

struct reader {
	int fds[2];
	FILE *file;
	struct stw_log_writer *writer;
};

static void reader_open(struct reader *reader, struct stw_log_writer_options options, bool thread)
{
	assert_int_equal(pipe(reader->fds), 0);
	reader->file = fdopen(reader->fds[0], "r");
	options.fd = reader->fds[1];
	assert_int_equal(stw_log_writer_new(&options, &reader->writer), 0);
	if (thread)
		assert_int_equal(stw_log_writer_start(reader->writer, NULL), 0);
}

static void reader_close(struct reader *reader)
{
	close(reader->fds[1]);
	fclose(reader->file);
}

/* The number of the next line; -1: there is none */
static int next(struct reader *reader)
{
	char text[400];
	int n = -1;

	if (fgets(text, sizeof(text), reader->file) && sscanf(text, "{\"n\":%d", &n) != 1)
		fail_msg("%s", text);
	return n;
}

/* Startup: nothing waits, so that it stands before what the process says next. */
static void test_without_thread(void **state)
{
	struct reader reader;

	reader_open(&reader, (struct stw_log_writer_options){ 0 }, false);
	stw_log_writer_give(reader.writer, 0, line_of(7));
	assert_int_equal(next(&reader), 7);
	stw_log_writer_close(reader.writer);
	reader_close(&reader);
}

/* A line leaves at once, and what was given before the end is written. */
static void test_lines(void **state)
{
	struct pollfd ready = { .events = POLLIN };
	struct reader reader;

	reader_open(&reader, (struct stw_log_writer_options){ .queues = 2 }, true);
	ready.fd = reader.fds[0];
	for (unsigned i = 0; i < 20; i++) {
		stw_log_writer_give(reader.writer, i % 2, line_of(i));
		assert_int_equal(poll(&ready, 1, 1000), 1);
		assert_int_equal(next(&reader), i);
	}
	for (unsigned i = 0; i < 200; i++)
		stw_log_writer_give(reader.writer, i % 2, line_of(i));
	stw_log_writer_close(reader.writer);
	close(reader.fds[1]);
	for (int even = 0, odd = 1, n; even < 200 || odd < 201;) {
		n = next(&reader);
		assert_int_equal(n, n % 2 ? odd : even);
		*(n % 2 ? &odd : &even) += 2;
	}
	assert_int_equal(next(&reader), -1);
	fclose(reader.file);
}

/* Takes what can be read of LINES. @return lines that are said to be lost */
static unsigned read_on(struct reader *reader, unsigned *lines)
{
	static const char told[] = "\"event\":\"log.lost\",\"level\":\"warning\",\"lines\":";
	char text[400], *said;
	unsigned lost = 0;

	alarm(20);
	while (*lines + lost < LINES && fgets(text, sizeof(text), reader->file)) {
		assert_int_equal(text[strlen(text) - 1], '\n');
		said = strstr(text, told);
		if (said)
			lost += (unsigned)atoi(said + strlen(told));
		else
			(*lines)++;
	}
	alarm(0);
	return lost;
}

/* Nobody reads: who logs does not wait, and what is lost is told when it flows again. */
static void test_stalled(void **state)
{
	struct reader reader;
	unsigned lines = 0, lost;

	reader_open(&reader, (struct stw_log_writer_options){ .ring_places = 64 }, true);
	alarm(20);
	for (unsigned i = 0; i < LINES; i++)
		stw_log_writer_give(reader.writer, 0, line_of(i));
	alarm(0);
	assert_true(stw_log_writer_lost(reader.writer) > 0);
	lost = read_on(&reader, &lines);
	assert_int_equal(lost, stw_log_writer_lost(reader.writer));
	assert_int_equal(lines + lost, LINES);
	stw_log_writer_give(reader.writer, 0, line_of(7));
	assert_int_equal(next(&reader), 7);
	stw_log_writer_close(reader.writer);
	reader_close(&reader);
}

/* Long lines do not take more memory than short ones. */
static void test_bytes(void **state)
{
	struct reader reader;
	unsigned lines = 0;

	reader_open(&reader, (struct stw_log_writer_options){ .ring_bytes = 10000 }, true);
	alarm(20);
	for (unsigned i = 0; i < LINES; i++)
		stw_log_writer_give(reader.writer, 0, line_of(i));
	alarm(0);
	/* 64 KiB in the pipe, a batch in the thread's hands */
	assert_true(stw_log_writer_lost(reader.writer) > LINES - (65536 + 10000 + 4096) / 110 - 1);
	read_on(&reader, &lines);
	stw_log_writer_close(reader.writer);
	reader_close(&reader);
}

/* Nobody reads, and will not: the end comes all the same. What the thread works with stays. */
static void test_end_stalled(void **state)
{
	static struct reader reader;
	uint64_t begin_ms = stw_io_now().mono_ms;

	reader_open(&reader, (struct stw_log_writer_options){ 0 }, true);
	alarm(20);
	for (unsigned i = 0; i < LINES; i++)
		stw_log_writer_give(reader.writer, 0, line_of(i));
	stw_log_writer_close(reader.writer);
	alarm(0);
	assert_in_range(stw_io_now().mono_ms - begin_ms, 900, 5000);
}

/* Another process has made the description that is shared with it non-blocking. */
static void test_nonblocking(void **state)
{
	struct reader reader;

	reader_open(&reader, (struct stw_log_writer_options){ 0 }, true);
	assert_int_equal(fcntl(reader.fds[1], F_SETFL, O_NONBLOCK), 0);
	for (unsigned i = 0; i < 2000; i++)
		stw_log_writer_give(reader.writer, 0, line_of(i));
	for (int i = 0; i < 2000; i++)
		assert_int_equal(next(&reader), i);
	assert_int_equal(stw_log_writer_lost(reader.writer), 0);
	stw_log_writer_close(reader.writer);
	reader_close(&reader);
}

/* A disk that is full. */
static void test_unwritten(void **state)
{
	struct stw_log_writer_options options = { .fd = open("/dev/full", O_WRONLY | O_CLOEXEC) };
	struct stw_log_writer *writer;

	assert_int_equal(stw_log_writer_new(&options, &writer), 0);
	stw_log_writer_give(writer, 0, line_of(1));
	stw_log_writer_give(writer, 0, line_of(2));
	stw_log_writer_give(writer, 0, NULL);
	assert_int_equal(stw_log_writer_lost(writer), 3);
	stw_log_writer_close(writer);
	close(options.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_thread),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_stalled),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_end_stalled),
		cmocka_unit_test(test_nonblocking),
		cmocka_unit_test(test_unwritten),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
