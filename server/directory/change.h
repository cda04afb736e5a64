/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * change: the settings of a user changed, and what only the whole directory can tell: whose a name
 * is, whether a forwarding goes to somebody, and whether forwardings make a ring.
 */
#ifndef STW_CHANGE_H
#define STW_CHANGE_H

#include "server/directory/user.h"

/**
 * A user with changed settings, to be published.
 * @param aor      canonical
 * @param changes  as stw_settings_change() takes them
 * @param ret      stw_user_free() it unless it is published
 * @return 0; -ENOENT no such user; -EBADMSG with `error`; -ENOMEM
 */
int stw_directory_change(const struct stw_directory *directory, struct stw_str aor,
	const struct stw_str *changes, unsigned n, struct stw_user **ret,
	struct stw_setting_error *error);

/** Whom a forwarding of a user of `domain` reaches; NULL: nobody of the directory. Valid until the
 * reader's next quiescent state. `arena` is for the names on the way. */
const struct stw_user *stw_directory_target(const struct stw_directory *directory,
	struct stw_str domain, const struct stw_forward_target *target, struct stw_arena *arena);

/**
 * The rules of a user who is published against the rest of the directory, as stw_directory_change()
 * does: users who have gone since are found so. @return 0; -EBADMSG with `error`; -ENOMEM
 */
int stw_directory_check(const struct stw_directory *directory, const struct stw_user *user,
	struct stw_setting_error *error);

#endif
