/* SPDX-License-Identifier: Apache-2.0 */
/* The common part of the parser programs: it loads the corpus and measures.
 * Each program defines  static int parse(const char *msg, size_t len, int full)
 * which returns a number that depends on what was parsed (so that nothing is
 * optimised away), or -1 on error, and  static void setup(void).
 *   parse-X CORPUS default|full        median of 15 rounds: ns/message, MB/s
 *   parse-X CORPUS default|full N      N silent passes, for callgrind
 *   parse-X CORPUS default|full each   ns for each message */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int parse(const char *msg, size_t len, int full);
static void setup(void);

static struct {
	char *p;
	size_t n;
	char name[32];
} corpus[64];
static int ncorpus;
static size_t corpus_bytes;

/* "==== name" begins a message; LF becomes CRLF; "@" is the body's length */
static void corpus_load(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024], *m = malloc(1 << 16);
	if (!f) {
		perror(path);
		exit(2);
	}
	size_t n = 0;
	for (;;) {
		char *l = fgets(line, sizeof line, f);
		if (!l || !strncmp(line, "==== ", 5)) {
			if (ncorpus && n) {
				char *body, *at, len[8];
				m[n] = 0;
				body = strstr(m, "\r\n\r\n") + 4;
				sprintf(len, "%zu", n - (size_t)(body - m));
				at = strstr(m, ": @\r\n");
				if (at && at < body) {
					memmove(at + 2 + strlen(len), at + 3,
						n - (size_t)(at + 3 - m) + 1);
					memcpy(at + 2, len, strlen(len));
					n += strlen(len) - 1;
				}
				corpus[ncorpus - 1].p = memcpy(malloc(n + 64), m, n + 1);
				corpus[ncorpus - 1].n = n;
				corpus_bytes += n;
				n = 0;
			}
			if (!l)
				break;
			line[strcspn(line, "\n")] = 0;
			snprintf(corpus[ncorpus++].name, sizeof corpus[0].name, "%.31s", line + 5);
			continue;
		}
		size_t k = strcspn(line, "\n");
		memcpy(m + n, line, k);
		n += k;
		m[n++] = '\r';
		m[n++] = '\n';
	}
	fclose(f);
	free(m);
}

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static volatile int sink;
static void pass(int full)
{
	for (int i = 0; i < ncorpus; i++)
		sink += parse(corpus[i].p, corpus[i].n, full);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s CORPUS default|full [N|each]\n", argv[0]);
		return 2;
	}
	int full = !strcmp(argv[2], "full");
	corpus_load(argv[1]);
	setup();
	if (argc > 3 && strcmp(argv[3], "each")) {
		for (int n = atoi(argv[3]); n > 0; n--)
			pass(full);
		return 0;
	}
	for (int i = 0; i < ncorpus; i++)
		if (parse(corpus[i].p, corpus[i].n, full) < 0) {
			fprintf(stderr, "%s: error in %s\n", argv[0], corpus[i].name);
			return 1;
		}
	if (argc > 3) {
		for (int i = 0; i < ncorpus; i++) {
			double best = 1e18;
			for (int r = 0; r < 15; r++) {
				double t = now_ns();
				for (int k = 0; k < 500; k++)
					sink += parse(corpus[i].p, corpus[i].n, full);
				t = (now_ns() - t) / 500;
				if (t < best)
					best = t;
			}
			printf("%-22s %5zu bytes %8.0f ns\n", corpus[i].name, corpus[i].n, best);
		}
		return 0;
	}
	double v[15], t = now_ns();
	int n = 0;
	while (now_ns() - t < 1e8)
		pass(full), n++; /* warm-up, and passes for about 0.1 s */
	for (int r = 0; r < 15; r++) {
		t = now_ns();
		for (int k = 0; k < n; k++)
			pass(full);
		v[r] = (now_ns() - t) / n / ncorpus;
	}
	qsort(v, 15, sizeof *v, cmp_double);
	printf("%-12s %-8s %3d messages %6zu bytes  ns/message: median %8.1f  min %8.1f  max %8.1f "
	       "  %8.1f MB/s\n",
		strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0], argv[2], ncorpus,
		corpus_bytes, v[7], v[0], v[14], (double)corpus_bytes / ncorpus / v[7] * 1e3);
}
