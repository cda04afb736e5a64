/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping a little longer under load, so that what comes meanwhile is served at once. */
#include "internal.h"

#include <time.h>

#define COUNT_US 10000 /* over which the load is counted */
#define WORTH    4     /* messages that are worth a wait */

static bool load_is_worth(const struct gather *gather, uint32_t gather_us, uint64_t elapsed_us)
{
	return (uint64_t)gather->messages * gather_us >= WORTH * elapsed_us;
}

void stw_io_gather(struct stw_io *io)
{
	struct gather *gather = &io->gather;
	uint64_t now_us = clock_mono_us(), until_us = gather->polled_us + io->options.gather_us;
	uint64_t elapsed_us = now_us - gather->counted_us;
	struct timespec until = { .tv_sec = (time_t)(until_us / 1000000),
		.tv_nsec = (long)(until_us % 1000000 * 1000) };

	if (elapsed_us >= COUNT_US) {
		gather->busy = load_is_worth(gather, io->options.gather_us, elapsed_us);
		gather->counted_us = now_us;
		gather->messages = 0;
	}
	if (gather->busy && !gather->stands && now_us < until_us)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

void gather_polled(struct stw_io *io, uint64_t now_us)
{
	io->gather.polled_us = now_us;
	io->gather.messages += io->event_count;
}
