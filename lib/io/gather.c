/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping a little longer under load, so that what comes meanwhile is served at once. */
#include "internal.h"

#include <time.h>

#define COUNT_US 10000 /* over which the load is counted */
#define WORTH    8     /* messages within `gather_us` that are worth a wait */
#define ENOUGH   16    /* messages that a wait is for */

/* How long it takes until enough have come; 0: too few would. */
static uint32_t wait_us(const struct gather *gather, uint32_t gather_us, uint64_t elapsed_us)
{
	uint64_t wait = ENOUGH * elapsed_us;

	if (!gather->messages || (uint64_t)gather->messages * gather_us < WORTH * elapsed_us)
		return 0;
	wait /= gather->messages;
	if (wait < gather_us / 2)
		return gather_us / 2;
	return wait < gather_us ? (uint32_t)wait : gather_us;
}

void stw_io_gather(struct stw_io *io)
{
	struct gather *gather = &io->gather;
	uint64_t now_us = clock_mono_us(), elapsed_us = now_us - gather->counted_us, until_us;
	struct timespec until;

	if (elapsed_us >= COUNT_US) {
		gather->wait_us = wait_us(gather, io->options.gather_us, elapsed_us);
		gather->counted_us = now_us;
		gather->messages = 0;
	}
	until_us = gather->polled_us + gather->wait_us;
	until = (struct timespec){ .tv_sec = (time_t)(until_us / 1000000),
		.tv_nsec = (long)(until_us % 1000000 * 1000) };
	if (gather->wait_us && !gather->stands && now_us < until_us)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

void gather_polled(struct stw_io *io, uint64_t now_us)
{
	io->gather.polled_us = now_us;
	io->gather.messages += io->event_count;
}
