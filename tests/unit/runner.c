/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tests of one layer in one executable, which is linked once: NAME is played by main() of
 * test_NAME.c, known here as unit_NAME() (tests/tests.cmake, which also writes the list TESTS).
 *
 * usage: unit_LAYER NAME
 */
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*main)(void);
} tests[] = {
#define TEST(name) { #name, unit_##name },
	TESTS
#undef TEST
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(argv[1], tests[i].name))
			return tests[i].main();
	fprintf(stderr, "usage: %s NAME\n", argv[0]);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		fprintf(stderr, "  %s\n", tests[i].name);
	return 2;
}
