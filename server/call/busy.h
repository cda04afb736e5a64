/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * busy: how many calls each user has now, made or received, of all workers together; and when the
 * last one ended. Bounded; no lock: any thread reads, any worker counts.
 *
 * A call counts from the INVITE that passes here (ringing included) to its end. Calls of before a
 * restart are not known.
 */
#ifndef STW_BUSY_H
#define STW_BUSY_H

#include <strowger/base.h>

struct stw_busy;

/** Room for the calls of `users` users at the same time, in equal buckets. @return 0, -ENOMEM */
int stw_busy_new(struct stw_hash_key key, size_t users, struct stw_busy **ret);
/** Calls of this AOR (canonical, "sip:bob@example.com") now. */
unsigned stw_busy_count(const struct stw_busy *busy, struct stw_str aor);
/** When the last call of this AOR ended, in monotonic ms; 0: none has, or it is forgotten. */
uint64_t stw_busy_ended_ms(const struct stw_busy *busy, struct stw_str aor);
/**
 * One more call. With `limit` only when there are fewer than that: two workers never get the last
 * place both.
 * @param limit  0: none
 * @return 0; -EBUSY the limit is reached; -ENOBUFS no room, it is not counted: do not leave
 */
int stw_busy_enter(struct stw_busy *busy, struct stw_str aor, unsigned limit);
/** One call less, `now_ms` monotonic. */
void stw_busy_leave(struct stw_busy *busy, struct stw_str aor, uint64_t now_ms);
/** How many calls have left so far, of all users: while it stays the same, nobody has become free.
 */
uint64_t stw_busy_leaves(const struct stw_busy *busy);
/** Accepts NULL; returns NULL. */
struct stw_busy *stw_busy_free(struct stw_busy *busy);

#endif
