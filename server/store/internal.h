/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server/store: the SQLite file. Used by one thread at a time. */
#ifndef STW_STORE_INTERNAL_H
#define STW_STORE_INTERNAL_H

#include "server/directory/location.h"
#include "server/directory/user.h"
#include "server/store/store.h"

struct db;

/** Opens or creates; a clear sentence in ret_error on failure. @return 0, -errno */
int db_open(const struct stw_store_options *options, struct db **ret, char *ret_error,
	size_t error_size);
struct db *db_close(struct db *db);
/** Fills the maps; what has expired is deleted. @return as db_open */
int db_load(struct db *db, const struct stw_store_options *options, struct stw_now now,
	char *ret_error, size_t error_size);

int db_begin(struct db *db);
int db_commit(struct db *db);
/** Accepts that no transaction is open. */
void db_rollback(struct db *db);

/** Within a transaction. @return rows changed, -errno */
int db_bindings_change(
	struct db *db, const struct stw_bindings *old, const struct stw_bindings *bindings);
int db_user_set(struct db *db, const struct stw_user *user);
int db_user_remove(struct db *db, struct stw_str aor);

#endif
