/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * call: the calls that pass here, each from its INVITE to its end. The worker of the Call-ID keeps
 * them; what happens to a call it hears from the notes of the stack. A call ends with the final
 * response that refuses it, with the BYE of its last dialog (whatever answers that) or a response
 * from within it that says as much (RFC 5057 §5.1), when its session has not been refreshed in time
 * (RFC 4028 §8.3), or after call.max_age.
 *
 * Who is in a call counts in stw_busy; what has become of it is told to stw_records. Bounded in
 * number and in bytes of each.
 */
#ifndef STW_CALL_H
#define STW_CALL_H

#include <strowger/stack.h>

#include "server/call/busy.h"
#include "server/call/records.h"

struct stw_calls;

/** What it points to must outlive the calls. */
struct stw_calls_options {
	struct stw_hash_key key;
	struct stw_busy *busy;
	struct stw_records *records; /* NULL: nobody reads them */
	unsigned queue;              /* of this thread, in the records */
	size_t max;                  /* calls at a time */
	uint32_t max_age_s;
};

/** @return 0, -ENOMEM */
int stw_calls_new(
	const struct stw_calls_options *options, struct stw_now now, struct stw_calls **ret);
/** Live: for calls that change from now on. */
void stw_calls_max_age(struct stw_calls *calls, uint32_t max_age_s);
/** The time of all that happens until the next. */
void stw_calls_now(struct stw_calls *calls, struct stw_now now);

/**
 * An INVITE outside a dialog is about to be served. When it is refused after this, that is a call,
 * too.
 * @param mark    of the request: by that it is known when it comes back to us
 * @param caller  canonical AOR of the user of ours who calls; empty: somebody else
 * @param limit   how many calls he may have with this one; 0: any number
 * @return 0; -EBUSY he has as many already: refuse it; -ENOBUFS, -ENOMEM it is not followed
 */
int stw_calls_begin(struct stw_calls *calls, const struct stw_msg *invite, uint64_t mark,
	struct stw_str caller, unsigned limit);
/** A request of a dialog of a call that is followed, to the other side of it. */
bool stw_calls_talk(const struct stw_calls *calls, const struct stw_msg *request);
/** His phones are about to ring: he is in the call, unless another one answers, or he leaves.
 *  @return 0, also when he is not counted; -EBUSY he has as many calls as `limit` says */
int stw_calls_callee(struct stw_calls *calls, const struct stw_msg *invite, struct stw_str callee,
	unsigned limit);
/** Who rang does so no longer. `callee` empty: all that were called. */
void stw_calls_leave(struct stw_calls *calls, const struct stw_msg *invite, struct stw_str callee);
/** He, or a group, has forwarded it. */
void stw_calls_diverted(struct stw_calls *calls, const struct stw_msg *invite, struct stw_str aor);

/** Every note of the stack, while there are calls. */
void stw_calls_note(struct stw_calls *calls, const struct stw_note *note);
/** What is due. */
void stw_calls_timers(struct stw_calls *calls);
/** When the next is due (monotonic ms), UINT64_MAX: none. */
uint64_t stw_calls_next(const struct stw_calls *calls);
size_t stw_calls_count(const struct stw_calls *calls);
/** Calls that were not followed because there were too many, since the start. */
uint64_t stw_calls_unfollowed(const struct stw_calls *calls);
/** Their users are free; nothing is told to the records. Accepts NULL; returns NULL. */
struct stw_calls *stw_calls_free(struct stw_calls *calls);

#endif
