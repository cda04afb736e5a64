/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, and a histogram of times in us, 16 buckets per octave. */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>
#include <time.h>

static uint32_t hist[1024];

static void hist_add(uint64_t us)
{
	int e = us < 16 ? 0 : 59 - __builtin_clzll(us);
	unsigned b = us < 16 ? (unsigned)us : (unsigned)(16 * (e + 1)) + (unsigned)(us >> e & 15);
	hist[b < 1023 ? b : 1023]++;
}

static double quantile(double p)
{
	long n = 0, want;
	for (int i = 0; i < 1024; i++)
		n += hist[i];
	want = (long)(p * (double)n);
	for (int i = 0; i < 1024; i++)
		if ((want -= hist[i]) < 0)
			return i < 16 ? i : (double)((uint64_t)(16 + i % 16) << (i / 16 - 1));
	return 0;
}

static uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
