/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks: the files of the default file system of SQLite, but writes can be refused, and can end
 * with the process in the midst of one. What was written before `kill -9` is there afterwards, so
 * nothing waits for the platter.
 */
#include "simulate/internal.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct disk_file {
	sqlite3_file base;
	struct disk *disk;
	sqlite3_file *real;
};

static struct world *disk_world;
static sqlite3_vfs *real_vfs;
static sqlite3_vfs disk_vfs;

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct disk_file *)file)->real;
}

/* @return SQLITE_OK: it may be written */
static int disk_write(sqlite3_file *file)
{
	struct disk *disk = ((struct disk_file *)file)->disk;

	if (!disk)
		return SQLITE_OK;
	if (disk->crashed)
		return SQLITE_IOERR_WRITE;
	if (disk->refuses)
		return SQLITE_FULL;
	if (disk->writes_left != UINT_MAX && --disk->writes_left == 0)
		disk->crashed = true;
	return disk->crashed ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int file_close(sqlite3_file *file)
{
	return real_of(file)->pMethods ? real_of(file)->pMethods->xClose(real_of(file)) : SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *buffer, int bytes, sqlite3_int64 at)
{
	return real_of(file)->pMethods->xRead(real_of(file), buffer, bytes, at);
}

static int file_write(sqlite3_file *file, const void *buffer, int bytes, sqlite3_int64 at)
{
	struct disk *disk = ((struct disk_file *)file)->disk;
	bool crashed = disk && disk->crashed;
	int code = disk_write(file);

	/* The write that the crash interrupts is there in part. */
	if (disk && disk->crashed && !crashed)
		real_of(file)->pMethods->xWrite(real_of(file), buffer, bytes / 2, at);
	if (code != SQLITE_OK)
		return code;
	return real_of(file)->pMethods->xWrite(real_of(file), buffer, bytes, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int code = disk_write(file);

	return code == SQLITE_OK ? real_of(file)->pMethods->xTruncate(real_of(file), size) : code;
}

static int file_sync(sqlite3_file *file, int flags)
{
	return disk_write(file);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int file_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_lock(sqlite3_file *file, int *ret)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_device(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
	return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void shm_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shm_unmap(sqlite3_file *file, int remove)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods disk_methods = { 2, file_close, file_read, file_write,
	file_truncate, file_sync, file_size, file_lock, file_unlock, file_check_lock, file_control,
	file_sector, file_device, shm_map, shm_lock, shm_barrier, shm_unmap, NULL, NULL };

static int disk_open(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct disk_file *opened = (struct disk_file *)file;
	unsigned i;
	int code;

	memset(opened, 0, sizeof(*opened));
	opened->real = (sqlite3_file *)(opened + 1);
	for (i = 0; i < NODES && name; i++) {
		struct node *node = &disk_world->nodes[i];

		if (node->path[0] && strncmp(name, node->path, strlen(node->path)) == 0)
			opened->disk = &node->disk;
	}
	code = real_vfs->xOpen(real_vfs, name, opened->real, flags, ret_flags);
	opened->base.pMethods = opened->real->pMethods ? &disk_methods : NULL;
	return code;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	unsigned i;

	/* A process that is dead deletes nothing. */
	for (i = 0; i < NODES; i++) {
		struct node *node = &disk_world->nodes[i];

		if (node->path[0] && strncmp(name, node->path, strlen(node->path)) == 0 &&
			node->disk.crashed)
			return SQLITE_IOERR_DELETE;
	}
	return real_vfs->xDelete(real_vfs, name, 0);
}

void disk_register(struct world *world)
{
	disk_world = world;
	real_vfs = sqlite3_vfs_find(NULL);
	disk_vfs = *real_vfs;
	disk_vfs.zName = "strowger-simulate";
	disk_vfs.szOsFile += (int)sizeof(struct disk_file);
	disk_vfs.pNext = NULL;
	disk_vfs.xOpen = disk_open;
	disk_vfs.xDelete = disk_delete;
	sqlite3_vfs_register(&disk_vfs, 1);
}

void disk_unregister(void)
{
	sqlite3_vfs_unregister(&disk_vfs);
	sqlite3_vfs_register(real_vfs, 1);
}
