/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * directory: the users of our domains, with their settings, and the other names and the numbers
 * that reach them. Readers never wait (RCU); the store thread is the only writer.
 */
#ifndef STW_USER_H
#define STW_USER_H

#include <strowger/auth.h>

#include "server/directory/setting.h"

struct stw_user_names;
struct stw_map; /* server/directory/map.h */

/** A user: immutable snapshot. */
struct stw_user {
	struct stw_str user, domain;
	struct stw_str aor; /* canonical "sip:user@domain" */
	struct stw_ha1 ha1_user, ha1_user_domain;
	uint64_t birth; /* users who had been removed when he came; the same in all his snapshots */
	const struct stw_settings *settings; /* NULL: all as without settings */
	struct stw_user_names *names;        /* private; NULL: none */
	void *agent; /* private: an item of the map of agents, until it is published */
};

struct stw_directory;

int stw_directory_new(struct stw_hash_key key, struct stw_directory **ret);
/** By canonical AOR. NULL: not provisioned. Valid until the reader's next quiescent state. */
const struct stw_user *stw_directory_find(
	const struct stw_directory *directory, struct stw_str aor);
/** The same; when there is none, by the settings `alias` and `number`: "sip:alias@domain",
 * "sip:+4930123@domain", or "tel:+4930123" for a number that is the same everywhere. */
const struct stw_user *stw_directory_resolve(
	const struct stw_directory *directory, struct stw_str aor);
/** Writer. Replaces; without settings. @return 0, -ENOMEM, -EBADMSG no user or domain */
int stw_directory_put(struct stw_directory *directory, struct stw_str user, struct stw_str domain,
	const struct stw_ha1 *ha1_user, const struct stw_ha1 *ha1_user_domain);

/** A user of our own to be published later; stw_user_free() it. @return 0, -ENOMEM, -EBADMSG no
 * user or domain */
int stw_user_new(struct stw_str user, struct stw_str domain, const struct stw_ha1 *ha1_user,
	const struct stw_ha1 *ha1_user_domain, struct stw_user **ret);
/** The same with the AOR as it was once made of user and domain (a row of the store). @return as
 * above */
int stw_user_load(struct stw_str aor, struct stw_str user, struct stw_str domain,
	const struct stw_ha1 *ha1_user, const struct stw_ha1 *ha1_user_domain,
	struct stw_user **ret);
/** Before it is published: the settings, of which it makes the names. Takes them on success.
 *  @return 0, -ENOMEM, -EBADMSG a name cannot be one */
int stw_user_settle(struct stw_user *user, struct stw_settings *settings);
/** One that was never published. */
struct stw_user *stw_user_free(struct stw_user *user);
/** Other names and numbers of a user, canonical as stw_directory_resolve() takes them. */
size_t stw_user_name_count(const struct stw_user *user);
struct stw_str stw_user_name(const struct stw_user *user, size_t index);

/** Writer: make room, so that the next `more` publications, with `names` other names in all, need
 * no memory. @return 0, -ENOMEM */
int stw_directory_reserve(struct stw_directory *directory, size_t more, size_t names);
/** Writer: put in place, takes the user. @return 0; -ENOMEM (the user is freed) */
int stw_directory_publish(struct stw_directory *directory, struct stw_user *user);
/** Writer. @return 0, -ENOENT */
int stw_directory_remove(struct stw_directory *directory, struct stw_str aor);
void stw_directory_reclaim(struct stw_directory *directory);
void stw_directory_walk(const struct stw_directory *directory,
	bool (*visit)(void *context, const struct stw_user *user), void *context);
/** For stw_keys_collect(). */
const struct stw_map *stw_directory_map(const struct stw_directory *directory);
/** Does the name lead to him? By now there may be another snapshot of him. */
bool stw_directory_leads_to(
	const struct stw_directory *directory, struct stw_str name, const struct stw_user *user);
/** Has the user been removed since so many had been? Another one may have his name by now. */
bool stw_directory_is_gone(
	const struct stw_directory *directory, struct stw_str aor, uint64_t removed_users);
/** Is the number of calls of any user limited (max_calls)? Any thread. */
bool stw_directory_limited(const struct stw_directory *directory);
/** Those who are logged in to any queue (setting `queues`), without a look at the others. */
void stw_directory_agents(const struct stw_directory *directory,
	bool (*visit)(void *context, const struct stw_user *user), void *context);
size_t stw_directory_count(const struct stw_directory *directory);
struct stw_directory *stw_directory_free(struct stw_directory *directory);

#endif
