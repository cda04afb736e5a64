/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * delivery: lines (call records) on their way to a web server, several in one POST, in their order,
 * each POST again until it is taken: after one second, then after twice as long each time, up to a
 * minute. Bounded: where there is no room the oldest are lost, and counted. Without I/O and clock:
 * the client does what is to be done.
 */
#ifndef STW_HOOK_DELIVERY_H
#define STW_HOOK_DELIVERY_H

#include <strowger/base.h>

#define STW_DELIVERY_BATCH_LINES  200
#define STW_DELIVERY_BATCH_BYTES  (256u * 1024u)
#define STW_DELIVERY_RETRY_MS     1000
#define STW_DELIVERY_RETRY_MAX_MS 60000

struct stw_delivery;

/** What became of a POST. */
enum stw_delivery_end {
	STW_DELIVERY_TAKEN,   /* 2xx */
	STW_DELIVERY_FAILED,  /* to be tried again: not reached, no answer, 408, 429, 3xx, 5xx */
	STW_DELIVERY_REFUSED, /* another 4xx: it would be refused again, the lines are lost */
};

struct stw_delivery_stats {
	uint64_t delivered, lost; /* lines */
	size_t waiting, bytes;    /* lines; of them */
	uint64_t failures;        /* POSTs that were not taken */
};

/** @return 0, -ENOMEM */
int stw_delivery_new(size_t max_lines, size_t max_bytes, struct stw_delivery **ret);
/** Copies the line. Without memory, or when it alone is too long, it is lost. */
void stw_delivery_put(struct stw_delivery *delivery, struct stw_str line);
/** When something is to be sent: not before (monotonic ms); UINT64_MAX: nothing. */
uint64_t stw_delivery_due(const struct stw_delivery *delivery);
/**
 * The lines of the next POST, into `ret` (free() its text). Until stw_delivery_end() they are not
 * thrown away.
 * @return 0; -EAGAIN: nothing is due, or one is on its way; -ENOMEM
 */
int stw_delivery_begin(struct stw_delivery *delivery, uint64_t now_ms, struct stw_str *ret);
void stw_delivery_end(struct stw_delivery *delivery, enum stw_delivery_end end, uint64_t now_ms);
void stw_delivery_stats(const struct stw_delivery *delivery, struct stw_delivery_stats *ret);
/** Of an HTTP status; 0: there was none. */
enum stw_delivery_end stw_delivery_end_of(unsigned status);
/** What waits is lost. Accepts NULL; returns NULL. */
struct stw_delivery *stw_delivery_free(struct stw_delivery *delivery);

#endif
