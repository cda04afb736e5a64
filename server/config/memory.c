/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory this process may use. Asked once: a snapshot must not differ from the one before
 * because the machine has changed. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/config/internal.h"

#define PATH_BYTES 4096

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t memory;

/* Where control groups of version 2 and 1 have their limits. */
static const struct group_kind {
	const char *controllers, *root, *file;
} group_kinds[] = {
	{ "", "/sys/fs/cgroup", "memory.max" },
	{ "memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
};

/* A number of bytes, or "max". */
static void group_limit(const char *directory, const char *name)
{
	char path[PATH_BYTES + 32], text[32] = "";
	unsigned long long limit;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(text, sizeof(text), file) && sscanf(text, "%llu", &limit) == 1 && limit < memory)
		memory = limit;
	fclose(file);
}

/* The limit of a group holds for those below it as well. In a container the path may be that of the
 * machine, and only its root is there. */
static void group_limits(const struct group_kind *kind, const char *path)
{
	char directory[PATH_BYTES];
	char *slash;

	snprintf(directory, sizeof(directory), "%s%s", kind->root, path);
	for (;;) {
		group_limit(directory, kind->file);
		slash = strrchr(directory, '/');
		if (slash < directory + strlen(kind->root))
			return;
		*slash = '\0';
	}
}

/* A line of /proc/self/cgroup: "4:memory:/a/b", "0::/a/b". */
static void group_line(char *line)
{
	char *controllers, *path;

	line[strcspn(line, "\n")] = '\0';
	controllers = strchr(line, ':');
	path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return;
	*path++ = '\0';
	for (size_t i = 0; i < STW_ARRAY_SIZE(group_kinds); i++) {
		if (strcmp(controllers + 1, group_kinds[i].controllers) == 0)
			group_limits(&group_kinds[i], path);
	}
}

static void memory_ask(void)
{
	char line[PATH_BYTES];
	FILE *file;

	memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	file = fopen("/proc/self/cgroup", "re");
	while (file && fgets(line, sizeof(line), file))
		group_line(line);
	if (file)
		fclose(file);
}

uint64_t config_machine_memory(void)
{
	pthread_once(&once, memory_ask);
	return memory;
}
