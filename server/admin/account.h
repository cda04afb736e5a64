/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * account: users as an administrator writes them, and what is stored for them.
 */
#ifndef STW_ACCOUNT_H
#define STW_ACCOUNT_H

#include "server/config/config.h"
#include "server/store/store.h"

#define STW_ACCOUNT_NAME_MAX 127 /* "user@domain": what credentials can carry as user name */
#define STW_PASSWORD_MAX     256

/** An address-of-record of one of our domains. */
struct stw_account {
	struct stw_str user, domain; /* user unescaped; domain as configured */
	struct stw_str aor;          /* canonical */
};

/**
 * "bob" (of the first domain), "bob@example.com" or "sip:bob@example.com".
 * @param arena      keeps the text
 * @param ret_error  a sentence, on failure
 * @return 0; -EINVAL; -ENOMEM
 */
int stw_account_parse(const struct stw_config *config, struct stw_str text, struct stw_arena *arena,
	struct stw_account *ret, char ret_error[200]);
/** Row with both HA1s (user names "user" and "user@domain"). @return 0; -EINVAL bad password; -EIO
 */
int stw_account_row(const struct stw_account *account, struct stw_str password,
	struct stw_arena *arena, struct stw_user_row *ret, char ret_error[200]);

#endif
