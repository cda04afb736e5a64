/* SPDX-License-Identifier: Apache-2.0 */
/* Which configuration a start and a reload take. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/serve/internal.h"

static int load(struct serve *serve)
{
	struct stw_config_errors errors = { .n = 0 };
	struct stw_config *config;
	int err = serve_config_load(serve, &errors, &config);

	if (err < 0)
		return err;
	stw_config_unref(serve->config);
	serve->config = config;
	return 0;
}

/* The defaults are for who has started without a file; a file that is gone is no wish for them. */
static void test_file_is_gone(void **state)
{
	char path[] = "/tmp/strowger-serve-XXXXXX";
	struct serve *serve = calloc(1, sizeof(*serve));
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "domains: [example.com]\n", 23), 23);
	close(fd);
	serve->options = (struct stw_serve_options){ .config_file = path, .config_optional = true };
	assert_int_equal(load(serve), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(load(serve), -ENOENT);
	assert_int_equal(serve->config->domain_count, 1);
	stw_config_unref(serve->config);
	free(serve);
}

/* A file may come later, and then it is one that must stay. */
static void test_file_comes(void **state)
{
	char path[] = "/tmp/strowger-serve-XXXXXX";
	struct serve *serve = calloc(1, sizeof(*serve));
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(unlink(path), 0);
	serve->options = (struct stw_serve_options){ .config_file = path, .config_optional = true };
	assert_int_equal(load(serve), 0);
	assert_int_equal(load(serve), 0);
	assert_null(serve->config->file);
	fd = creat(path, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(load(serve), 0);
	assert_string_equal(serve->config->file, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(load(serve), -ENOENT);
	serve->options.config_optional = false;
	stw_config_unref(serve->config);
	serve->config = NULL;
	assert_int_equal(load(serve), -ENOENT);
	free(serve);
}

static void answered(struct stw_question *question)
{
	json_decref(question->answer);
}

static void log_nowhere(struct serve *serve)
{
	struct stw_log_writer_options options = { .fd = open("/dev/null", O_WRONLY | O_CLOEXEC) };

	assert_int_equal(stw_log_writer_new(&options, &serve->log_writer), 0);
	assert_int_equal(stw_log_new(STW_LOG_ERROR, serve->log_writer, 0, &serve->log), 0);
}

/* Whoever rotates the records sends SIGHUP; that the file of the configuration is broken, or has
 * changed what needs a restart, is not his affair. */
static void test_refused_reload_reopens_records(void **state)
{
	char folder[] = "/tmp/strowger-serve-XXXXXX", path[80], old[80];
	struct stw_question question = { .answered = answered };
	struct serve *serve = calloc(1, sizeof(*serve));
	struct stw_records_options options = { 0 };
	struct stw_record_line *line;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/calls", folder);
	snprintf(old, sizeof(old), "%s/calls.1", folder);
	log_nowhere(serve);
	serve->options = (struct stw_serve_options){ .config_file = folder };
	options.path = stw_str_from(path);
	assert_int_equal(stw_records_open(&options, &serve->records, serve->error, ERROR_BYTES), 0);
	assert_int_equal(rename(path, old), 0);
	serve_reload(serve, &question);
	assert_int_not_equal(question.error, 0);
	line = calloc(1, sizeof(*line) + 2);
	line->len = (size_t)sprintf(line->text, "\n");
	stw_records_give(serve->records, 0, line);
	stw_records_close(serve->records);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	unlink(old);
	rmdir(folder);
	stw_log_free(serve->log);
	stw_log_writer_close(serve->log_writer);
	free(serve);
}

/* The connections that there are when so many descriptors are granted, at the start and after a
 * reload; in a process of its own. */
static void connections_of(unsigned descriptors, unsigned ret[2])
{
	struct serve *serve = calloc(1, sizeof(*serve));
	struct rlimit limit = { descriptors, descriptors };
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		log_nowhere(serve);
		serve->options = (struct stw_serve_options){ .config_file = "/none",
			.config_optional = true };
		serve->worker_count = 1;
		if (load(serve) < 0 || setrlimit(RLIMIT_NOFILE, &limit) < 0 ||
			serve_descriptors(serve) < 0)
			_exit(1);
		ret[0] = serve->config->limits.max_connections;
		if (load(serve) < 0)
			_exit(1);
		ret[1] = serve->config->limits.max_connections;
		_exit(write(ends[1], ret, 2 * sizeof(*ret)) < 0);
	}
	assert_int_equal(read(ends[0], ret, 2 * sizeof(*ret)), 2 * sizeof(*ret));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ends[0]);
	close(ends[1]);
	free(serve);
}

/* Descriptors are left for the administration and the DNS, however many connections there are. */
static void test_descriptors(void **state)
{
	unsigned connections[2];
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < 11000)
		skip();
	connections_of(11000, connections);
	assert_int_equal(connections[0], 10000);
	assert_int_equal(connections[1], 10000);
	connections_of(4096, connections);
	assert_in_range(connections[0], 3400, 3700);
	assert_int_equal(connections[1], connections[0]);
	connections_of(256, connections);
	assert_int_equal(connections[0], 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_is_gone),
		cmocka_unit_test(test_file_comes),
		cmocka_unit_test(test_refused_reload_reopens_records),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
