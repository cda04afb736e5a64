/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over the files of its corpus, so that every build replays what fuzzing found.
 * NAME is the target of fuzz_NAME.c, known here as fuzz_NAME() (tests/tests.cmake, which also
 * writes the list TESTS).
 *
 * usage: replay NAME CORPUS-FOLDER
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int fuzz_target(const uint8_t *data, size_t size);

static const struct {
	const char *name;
	fuzz_target *target;
} targets[] = {
#define TEST(name) { #name, fuzz_##name },
	TESTS
#undef TEST
};

static fuzz_target *target_find(const char *name)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (!strcmp(name, targets[i].name))
			return targets[i].target;
	return NULL;
}

static int replay_file(fuzz_target *target, const char *folder, const char *name)
{
	char path[4096];
	FILE *file;
	uint8_t *data;
	long size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (!file)
		return -1;
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	data = size >= 0 ? malloc((size_t)size + 1) : NULL;
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		free(data);
		fclose(file);
		return -1;
	}
	fclose(file);
	target(data, (size_t)size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	fuzz_target *target = argc == 3 ? target_find(argv[1]) : NULL;
	DIR *folder = target ? opendir(argv[2]) : NULL;
	unsigned count = 0;

	if (!folder) {
		fprintf(stderr, "usage: %s NAME CORPUS-FOLDER (both must exist)\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		if (replay_file(target, argv[2], entry->d_name) < 0) {
			fprintf(stderr, "%s: cannot be read\n", entry->d_name);
			return 1;
		}
		count++;
	}
	closedir(folder);
	printf("%u corpus files replayed\n", count);
	return count ? 0 : 1;
}
