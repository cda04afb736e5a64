/* SPDX-License-Identifier: Apache-2.0 */
/* One process writes a store. The lock is beside it, so that replacing the store does not lose it.
 */
#include "server/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
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

/* The folder may belong to the user of the service, and we may be root still: a link that lies
 * there must not lead us to a file that is none of ours. Others find what they may write anyway,
 * and a copy of the folder may be made of hard links. */
static int lock_open(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	struct stat status;
	int err;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		err = -errno;
	else if (!S_ISREG(status.st_mode) || (geteuid() == 0 && status.st_nlink != 1))
		err = -ELOOP;
	else
		return fd;
	close(fd);
	return err;
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
	fd = lock_open(name);
	if (fd < 0)
		return fd;
	err = lock_take(fd);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

const char *stw_store_lock_error(int err)
{
	return err == -ELOOP ? "the .lock beside it is a link or no file; remove it"
			     : strerror(-err);
}

/* The file stays: removing it would let two processes lock two files of the same name. */
void stw_store_unlock(int fd)
{
	close(fd);
}
