/* SPDX-License-Identifier: Apache-2.0 */
/* Private to server/store: the SQLite file. Used by one thread at a time. */
#ifndef STW_STORE_INTERNAL_H
#define STW_STORE_INTERNAL_H

#include "server/directory/location.h"
#include "server/directory/user.h"
#include "server/store/store.h"

struct db;
struct sqlite3;

/** Opens or creates; a clear sentence in ret_error on failure. @return 0, -errno */
int db_open(const struct stw_store_options *options, struct db **ret, char *ret_error,
	size_t error_size);
struct db *db_close(struct db *db);
/**
 * Fills the maps; what has expired is deleted.
 * @param ret_group      number of the last group in the journal; 0: none
 * @param ret_journaled  snapshots in the journal
 * @return as db_open
 */
int db_load(struct db *db, const struct stw_store_options *options, struct stw_now now,
	uint64_t *ret_group, size_t *ret_journaled, char *ret_error, size_t error_size);

int db_begin(struct db *db);
int db_commit(struct db *db);
/** Accepts that no transaction is open. */
void db_rollback(struct db *db);
/** Room for what is written next, until the next call of a db_ function. NULL: no memory. */
uint8_t *db_room(struct db *db, size_t bytes);

/** Within a transaction. @return rows changed, -errno */
int db_journal_put(struct db *db, uint64_t number, const void *data, size_t len);
/** The oldest groups up to a number, at most `max` of them. */
int db_journal_drop(struct db *db, uint64_t until, unsigned max);
int db_bindings_put(struct db *db, const struct stw_bindings *bindings);
int db_bindings_delete(struct db *db, struct stw_str aor);
int db_user_set(struct db *db, const struct stw_user *user);
int db_user_remove(struct db *db, struct stw_str aor);
/** The text of the settings of a user who is there. */
int db_settings_set(struct db *db, struct stw_str aor, struct stw_str text);

/* `contacts` and `expires_ms` are for who looks into the file, and for what has expired. */
#define DB_BINDINGS_SCHEMA                                                                         \
	"CREATE TABLE bindings("                                                                   \
	" aor TEXT PRIMARY KEY, contacts TEXT NOT NULL, expires_ms INTEGER NOT NULL,"              \
	" data BLOB NOT NULL) WITHOUT ROWID;"                                                      \
	"CREATE TABLE journal(number INTEGER PRIMARY KEY, data BLOB NOT NULL);"

/* form1.c: a store whose bindings were rows of their own. @return 0, -ENOMEM, -EIO */
int form1_raise(struct sqlite3 *handle);

/* ---- fold.c: the journal becomes rows, a part at a time ----------------------------------- */

struct fold {
	bool running;
	uint64_t after, until; /* groups that it folds: (after, until] */
	char *text;
	struct stw_str *keys; /* sorted, so that each page is written once */
	size_t n, at;
};

/** What the groups behind `after` up to `until` have changed. @return 0, -ENOMEM */
int fold_begin(
	struct fold *fold, const struct stw_location *location, uint64_t after, uint64_t until);
/** So many parts, in a transaction of their own: rows, and behind them the journal up to `until`
 * goes, the oldest first. @return 1 there is more; 0 done; -errno: given up */
int fold_step(
	struct fold *fold, struct db *db, const struct stw_location *location, unsigned parts);
void fold_end(struct fold *fold);

#endif
