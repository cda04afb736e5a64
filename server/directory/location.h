/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * location: the location service, address-of-record to bindings. Readers never wait (RCU); the
 * store thread is the only writer.
 */
#ifndef STW_LOCATION_H
#define STW_LOCATION_H

#include <strowger/registrar.h>

struct stw_location;
struct stw_map; /* server/directory/map.h */

int stw_location_new(struct stw_hash_key key, struct stw_location **ret);
/** The current snapshot, NULL when there is none. Valid until the reader's next quiescent state. */
const struct stw_bindings *stw_location_find(
	const struct stw_location *location, struct stw_str aor);
/** Writer: put a snapshot in place (takes it). n == 0 removes. The old one is freed after a grace
 * period.
 *  @return 0; -ENOMEM (the snapshot is freed) */
int stw_location_publish(struct stw_location *location, struct stw_bindings *bindings);
/** Writer: the same with the hash of the address-of-record at hand, computed once. */
uint64_t stw_location_hash(const struct stw_location *location, struct stw_str aor);
const struct stw_bindings *stw_location_find_hashed(
	const struct stw_location *location, struct stw_str aor, uint64_t hash);
int stw_location_publish_hashed(
	struct stw_location *location, struct stw_bindings *bindings, uint64_t hash);
/** Writer: these will be looked for soon, so that the memory is waited for once and not for each.
 */
void stw_location_expect(const struct stw_location *location, const uint64_t *hashes, size_t n);
/** Writer: make room, so that the next `more` publications need no memory. @return 0, -ENOMEM */
int stw_location_reserve(struct stw_location *location, size_t more);
/** Writer: wait for a grace period and free what was replaced. */
void stw_location_reclaim(struct stw_location *location);
/** Walk over all: callback returns false to stop. */
void stw_location_walk(const struct stw_location *location,
	bool (*visit)(void *context, const struct stw_bindings *bindings), void *context);
/** Writer: a part of that walk, `max` places on from *cursor (at first 0), round and round. */
void stw_location_scan(const struct stw_location *location, size_t *cursor, size_t max,
	bool (*visit)(void *context, const struct stw_bindings *bindings), void *context);
/** For stw_keys_collect(). */
const struct stw_map *stw_location_map(const struct stw_location *location);
size_t stw_location_count(const struct stw_location *location);
struct stw_location *stw_location_free(struct stw_location *location);

#endif
