/* SPDX-License-Identifier: Apache-2.0 */
/* One process writes a store. The lock is beside it, so that replacing the store does not lose it.
 */
#include "server/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* The number is for people; what excludes the other process is the lock. */
static int lock_take(int fd)
{
	char text[24];
	int len;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		return errno ? -errno : -EIO;
	return 0;
}

int stw_store_lock(struct stw_str path)
{
	char name[PATH_MAX];
	int fd, err;

	/* A store in memory has nobody to share with. */
	if (stw_str_equal(path, STW_STR(":memory:"))) {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	if (path.len + sizeof(".lock") > sizeof(name))
		return -ENAMETOOLONG;
	snprintf(name, sizeof(name), "%.*s.lock", STW_STR_ARG(path));
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	err = lock_take(fd);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

/* The file stays: removing it would let two processes lock two files of the same name. */
void stw_store_unlock(int fd)
{
	close(fd);
}
