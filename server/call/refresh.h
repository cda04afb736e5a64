/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * refresh: where the two sides of a dialog have moved to by a target refresh (RFC 3261 §12.2.1.2,
 * §12.2.2, RFC 3311): the mark in our Record-Route still says where they were. Of each dialog the
 * newest place of each side, of dialogs alone that were refreshed; kept by the worker of the
 * Call-ID, whether or not anybody follows the call.
 *
 * A place is for the requests of the other side. Which side has sent a request it proves by what
 * only that side has learned (docs/decisions/0013).
 */
#ifndef STW_REFRESH_H
#define STW_REFRESH_H

#include <strowger/stack.h>

struct stw_refreshes;

/** @param max  dialogs at a time; what is beyond is not remembered
 *  @param max_age_s  so long behind the newest refresh
 *  @return 0, -ENOMEM */
int stw_refreshes_new(
	size_t max, uint32_t max_age_s, struct stw_now now, struct stw_refreshes **ret);
/** Live: for what is refreshed from now on. */
void stw_refreshes_max_age(struct stw_refreshes *refreshes, uint32_t max_age_s);
/** The time of all that happens until the next. */
void stw_refreshes_now(struct stw_refreshes *refreshes, struct stw_now now);
/** Every note of the stack that has `dialog` or `refresh`. */
void stw_refreshes_note(struct stw_refreshes *refreshes, const struct stw_note *note);
/** Does the request go where the other side of its dialog has moved to? */
bool stw_refreshes_lead(
	const struct stw_refreshes *refreshes, const struct stw_proxy_routing *routing);
/** What is due. */
void stw_refreshes_timers(struct stw_refreshes *refreshes);
/** When the next is due (monotonic ms), UINT64_MAX: none. */
uint64_t stw_refreshes_next(const struct stw_refreshes *refreshes);
size_t stw_refreshes_count(const struct stw_refreshes *refreshes);
/** Accepts NULL; returns NULL. */
struct stw_refreshes *stw_refreshes_free(struct stw_refreshes *refreshes);

#endif
