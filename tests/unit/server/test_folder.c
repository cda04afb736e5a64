/* SPDX-License-Identifier: Apache-2.0 */
/* What root gives to the user of the service, and what not. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/folder.h"

#define NOBODY 65534

static char folder[] = "/tmp/strowger-folder-XXXXXX", names[3][64];

static void file_make(const char *path)
{
	int fd = creat(path, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static uid_t owner_of(const char *path)
{
	struct stat info;

	assert_int_equal(lstat(path, &info), 0);
	return info.st_uid;
}

/* A file of root that stands there by a second name stays his, and so does what a link leads to. */
static void test_give(void **state)
{
	char *file = names[0], *other = names[1], *link_ = names[2];

	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < 3; i++)
		snprintf(names[i], sizeof(names[i]), "%s/%u", folder, i);
	assert_int_equal(stw_file_give(file, S_IFREG, NOBODY, NOBODY), -ENOENT);
	file_make(file);
	assert_int_equal(link(file, other), 0);
	assert_int_equal(symlink(file, link_), 0);
	assert_int_equal(stw_file_give(other, S_IFREG, NOBODY, NOBODY), -EMLINK);
	assert_int_equal(stw_file_give(link_, S_IFREG, NOBODY, NOBODY), -ELOOP);
	assert_int_equal(stw_file_give(folder, S_IFREG, NOBODY, NOBODY), -ELOOP);
	assert_int_equal(owner_of(file), 0);
	assert_int_equal(owner_of(folder), 0);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(stw_file_give(file, S_IFREG, NOBODY, NOBODY), 0);
	assert_int_equal(owner_of(file), NOBODY);
	/* A copy made of hard links is theirs already. */
	assert_int_equal(link(file, other), 0);
	assert_int_equal(stw_file_give(other, S_IFREG, NOBODY, NOBODY), 0);
	assert_int_equal(stw_file_give(folder, S_IFDIR, NOBODY, NOBODY), 0);
	assert_int_equal(owner_of(folder), NOBODY);
	for (unsigned i = 0; i < 3; i++)
		unlink(names[i]);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_give) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
