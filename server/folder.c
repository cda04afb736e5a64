/* SPDX-License-Identifier: Apache-2.0 */
#include "server/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is asked and what is given is one and the same, whatever its name leads to by now. */
int stw_file_give(const char *path, mode_t kind, uid_t owner, gid_t group)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0;
	struct stat info;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &info) < 0)
		err = -errno;
	else if (info.st_uid == owner && info.st_gid == group)
		err = 0;
	else if ((info.st_mode & S_IFMT) != kind)
		err = -ELOOP;
	else if (kind != S_IFDIR && info.st_nlink != 1)
		err = -EMLINK;
	else if (fchownat(fd, "", owner, group, AT_EMPTY_PATH) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int folder_add(const char *folder, uid_t owner, gid_t group)
{
	if (mkdir(folder, 0750) < 0)
		return errno == EEXIST ? 0 : -errno;
	return geteuid() == 0 ? stw_file_give(folder, S_IFDIR, owner, group) : 0;
}

static int folder_check(const char *folder, uid_t owner, char *ret_error, size_t error_size)
{
	struct stat info;
	int err;

	if (stat(folder, &info) < 0) {
		err = -errno;
		snprintf(ret_error, error_size, "%s: %s", folder, strerror(-err));
		return err;
	}
	if (!S_ISDIR(info.st_mode)) {
		snprintf(ret_error, error_size, "%s is no folder", folder);
		return -ENOTDIR;
	}
	if (info.st_uid != 0 && info.st_uid != owner && info.st_uid != geteuid()) {
		snprintf(ret_error, error_size, "the folder %s belongs to another user", folder);
		return -EPERM;
	}
	return 0;
}

int stw_folder_make(const char *path, uid_t owner, gid_t group, char *ret_error, size_t error_size)
{
	char folder[PATH_MAX];
	char *slash, *end;
	int err = 0;

	if (snprintf(folder, sizeof(folder), "%s", path) >= (int)sizeof(folder)) {
		snprintf(ret_error, error_size, "the path %.40s… is too long", path);
		return -ENAMETOOLONG;
	}
	end = strrchr(folder, '/');
	if (!end || end == folder)
		return 0;
	*end = 0;
	for (slash = strchr(folder + 1, '/'); slash && err == 0; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		err = folder_add(folder, owner, group);
		*slash = '/';
	}
	if (err == 0)
		err = folder_add(folder, owner, group);
	if (err < 0) {
		snprintf(ret_error, error_size, "the folder %s cannot be made: %s", folder,
			strerror(-err));
		return err;
	}
	return folder_check(folder, owner, ret_error, error_size);
}
