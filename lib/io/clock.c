/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <sys/random.h>
#include <time.h>

static int64_t clock_read_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t clock_mono_ms(void)
{
	return (uint64_t)clock_read_ms(CLOCK_MONOTONIC);
}

uint64_t clock_mono_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

struct stw_now stw_io_now(void)
{
	return (struct stw_now){ clock_mono_ms(), clock_read_ms(CLOCK_REALTIME) };
}

uint64_t stw_io_seed(void)
{
	uint64_t seed;

	/* Only a signal before the kernel's pool is ready can cut eight bytes short: getrandom(2).
	 */
	while (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		;
	return seed;
}
