/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/call/records.h"

#include "support.h"

static char path[64];

static struct stw_record_line *line_of(const char *text)
{
	struct stw_record_line *line = malloc(sizeof(*line) + strlen(text));

	line->len = strlen(text);
	memcpy(line->text, text, line->len);
	return line;
}

static char *contents(const char *name)
{
	static char text[65536];
	FILE *file = fopen(name, "r");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	text[len] = '\0';
	return text;
}

static struct stw_records *records_new(struct stw_records_options options)
{
	struct stw_records *records;
	char error[200];

	options.path = stw_str_from(path);
	assert_int_equal(stw_records_open(&options, &records, error, sizeof(error)), 0);
	return records;
}

static int setup(void **state)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/strowger-records-XXXXXX");
	fd = mkstemp(path);
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int teardown(void **state)
{
	unlink(path);
	return 0;
}

#define CALL(id, answer, end, by, cause)                                                           \
	"{\"call_id\":\"" id "\",\"start\":\"2026-01-01T00:00:00.000Z\",\"answer\":" answer        \
	",\"end\":" end ",\"ended_by\":" by ",\"cause\":" cause "}\n"

/* Two calls of one INVITE that was forked above: the end of one is not that of the other. */
static void test_lost_fork(void **state)
{
	static const char *const lines[] = { "null}\n", "\"callee\"}\n" };
	struct stw_records *records = records_new((struct stw_records_options){ 0 });
	char line[200];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(line, sizeof(line),
			"{\"call_id\":\"f\",\"start\":\"2026-01-01T00:00:00.000Z\",\"request_uri\":"
			"\"sip:u%u@example.com\",\"cause\":null,\"ended_by\":%s",
			i, lines[i]);
		stw_records_give(records, 0, line_of(line));
	}
	stw_records_close(records);
	stw_records_close(records_new((struct stw_records_options){ 0 }));
	assert_non_null(strstr(contents(path), "\"lost\""));
}

/* Answered, and the end never came: lost, once. */
static void test_lost_calls(void **state)
{
	struct stw_records *records = records_new((struct stw_records_options){ 0 });
	char *text;

	stw_records_give(records, 0, line_of(CALL("a", "\"x\"", "null", "null", "null")));
	stw_records_give(records, 0, line_of(CALL("b", "\"x\"", "null", "null", "null")));
	stw_records_give(records, 0, line_of("half a line that a crash has left\n"));
	stw_records_give(records, 0, line_of(CALL("c", "null", "\"y\"", "\"callee\"", "null")));
	stw_records_give(records, 0, line_of(CALL("a", "\"x\"", "\"y\"", "\"caller\"", "null")));
	stw_records_close(records);
	for (unsigned i = 0; i < 2; i++)
		stw_records_close(records_new((struct stw_records_options){ 0 }));
	text = contents(path);
	assert_non_null(strstr(text, "\"cause\":\"lost\""));
	assert_non_null(strstr(strstr(text, "\"ended_by\":\"caller\""), "\"call_id\":\"b\""));
	assert_null(strstr(strstr(text, "\"lost\"") + 1, "\"lost\""));
}

/* A line that was written in part before a restart spoils none behind it. */
static void test_torn(void **state)
{
	FILE *file = fopen(path, "w");
	struct stw_records *records;

	fputs("{}\n{\"call_id\":", file);
	fclose(file);
	records = records_new((struct stw_records_options){ 0 });
	stw_records_give(records, 0, line_of("{\"n\":1}\n"));
	stw_records_close(records);
	stw_records_close(records_new((struct stw_records_options){ 0 }));
	assert_string_equal(contents(path), "{}\n{\"call_id\":\n{\"n\":1}\n");
}

static void test_reopen(void **state)
{
	struct stw_records *records = records_new((struct stw_records_options){ 0 });
	char old[80];

	snprintf(old, sizeof(old), "%s.1", path);
	stw_records_give(records, 0, line_of("{\"n\":1}\n"));
	stw_records_run(records);
	assert_int_equal(rename(path, old), 0);
	stw_records_give(records, 0, line_of("{\"n\":2}\n"));
	stw_records_run(records);
	stw_records_reopen(records);
	stw_records_give(records, 0, line_of("{\"n\":3}\n"));
	stw_records_run(records);
	assert_string_equal(contents(old), "{\"n\":1}\n{\"n\":2}\n");
	assert_string_equal(contents(path), "{\"n\":3}\n");
	stw_records_close(records);
	unlink(old);
}

static void test_full(void **state)
{
	struct stw_records *records = records_new((struct stw_records_options){ .ring_places = 4 });

	for (unsigned i = 0; i < 10; i++)
		stw_records_give(records, 0, line_of("{}\n"));
	stw_records_give(records, 0, NULL);
	assert_int_equal(stw_records_lost(records), 7);
	stw_records_close(records);
	assert_string_equal(contents(path), "{}\n{}\n{}\n{}\n");
}

/* A disk that is full: counted, and the next line is a whole one. */
static void test_unwritten(void **state)
{
	struct stw_records *records;
	char error[200];
	struct stw_records_options options = { .path = STW_STR("/dev/full") };

	assert_int_equal(stw_records_open(&options, &records, error, sizeof(error)), 0);
	stw_records_give(records, 0, line_of("{}\n"));
	stw_records_give(records, 0, line_of("{}\n"));
	stw_records_run(records);
	assert_int_equal(stw_records_unwritten(records), 2);
	stw_records_close(records);
	options.path = STW_STR("/nowhere/calls.json");
	assert_int_equal(stw_records_open(&options, &records, error, sizeof(error)), -ENOENT);
	assert_string_equal(error, "cdr.file: /nowhere/calls.json: No such file or directory");
}

static char context_text[] = "me";
static _Atomic unsigned taken;

static void take(void *context, struct stw_str line)
{
	assert_string_equal(context, "me");
	taken += (unsigned)line.len;
}

static void test_thread(void **state)
{
	struct stw_records *records = records_new((struct stw_records_options){
		.queues = 2, .threaded = true, .take = take, .take_context = context_text });

	stw_records_give(records, 0, line_of("{}\n"));
	stw_records_give(records, 1, line_of("{\"n\":1}\n"));
	for (unsigned i = 0; taken < 11 && i < 200; i++)
		usleep(10000);
	assert_int_equal(taken, 11);
	stw_records_give(records, 1, line_of("{}\n"));
	stw_records_close(records);
	assert_string_equal(contents(path), "{}\n{\"n\":1}\n{}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lost_fork, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reopen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwritten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_thread, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
