/* SPDX-License-Identifier: Apache-2.0 */
/* Which configuration a start and a reload take. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_is_gone),
		cmocka_unit_test(test_file_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
