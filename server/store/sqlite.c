/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as an SQLite file in WAL mode. A user is a row. What a group of jobs has made of
 * bindings is one row of the journal, so that a commit writes few pages; fold.c makes one row per
 * address-of-record of it later.
 */
#include "server/store/internal.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCHEMA_VERSION 3
#define APPLICATION_ID 0x53545731 /* "STW1" */
#define BUSY_MS        2000

/* With zeros over each page that becomes free nothing of a user stays in the file; over those of
 * the journal they would be all of it once more. */
static const char wipe_all[] = "PRAGMA secure_delete = ON";
static const char wipe_little[] = "PRAGMA secure_delete = FAST";

static const char schema[] =
	"CREATE TABLE users("
	" aor TEXT PRIMARY KEY, user TEXT NOT NULL, domain TEXT NOT NULL,"
	" ha1_user BLOB NOT NULL, ha1_user_domain BLOB NOT NULL,"
	" settings TEXT NOT NULL DEFAULT '') WITHOUT ROWID;" DB_BINDINGS_SCHEMA;

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	BINDINGS_PUT,
	BINDINGS_DELETE,
	JOURNAL_PUT,
	JOURNAL_DROP,
	USER_PUT,
	USER_DELETE,
	SETTINGS_PUT,
	STATEMENTS
};

static const char *const statements[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[BINDINGS_PUT] = "INSERT OR REPLACE INTO bindings VALUES(?,?,?,?)",
	[BINDINGS_DELETE] = "DELETE FROM bindings WHERE aor = ?",
	[JOURNAL_PUT] = "INSERT INTO journal VALUES(?,?)",
	[JOURNAL_DROP] =
		("DELETE FROM journal WHERE number IN"
		 " (SELECT number FROM journal WHERE number <= ? ORDER BY number LIMIT ?)"),
	[USER_PUT] = "INSERT OR REPLACE INTO users VALUES(?,?,?,?,?,?)",
	[USER_DELETE] = "DELETE FROM users WHERE aor = ?",
	[SETTINGS_PUT] = "UPDATE users SET settings = ? WHERE aor = ?",
};

struct db {
	sqlite3 *handle;
	sqlite3_stmt *statements[STATEMENTS];
	uint8_t *room; /* for what is written next */
	size_t room_bytes;
	struct stw_str path; /* borrowed during open and load */
	char *error;         /* likewise */
	size_t error_size;
};

static int db_errno(int code)
{
	switch (code & 0xFF) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	default:
		return -EIO;
	}
}

/* ---- statements ------------------------------------------------------------------------ */

static void bind_str(sqlite3_stmt *statement, int at, struct stw_str text)
{
	sqlite3_bind_text(statement, at, text.len ? text.ptr : "", (int)text.len, SQLITE_STATIC);
}

/* As it lies in the page: sqlite3_column_text() would copy it for a NUL behind it. */
static struct stw_str column_str(sqlite3_stmt *statement, int at)
{
	const char *text = sqlite3_column_blob(statement, at);

	return (struct stw_str){ text, text ? (size_t)sqlite3_column_bytes(statement, at) : 0 };
}

/* Runs one that returns no row. @return rows changed, -errno */
static int db_run(struct db *db, enum statement which)
{
	sqlite3_stmt *statement = db->statements[which];
	int code = sqlite3_step(statement), changed = sqlite3_changes(db->handle);

	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code == SQLITE_DONE ? changed : db_errno(code);
}

int db_begin(struct db *db)
{
	int err = db_run(db, BEGIN);

	return err < 0 ? err : 0;
}

int db_commit(struct db *db)
{
	int err = db_run(db, COMMIT);

	return err < 0 ? err : 0;
}

/* Some faults (disk full) have rolled back already. */
void db_rollback(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		db_run(db, ROLLBACK);
}

uint8_t *db_room(struct db *db, size_t bytes)
{
	uint8_t *room;

	if (bytes > db->room_bytes) {
		room = realloc(db->room, 2 * bytes);
		if (!room)
			return NULL;
		db->room = room;
		db->room_bytes = 2 * bytes;
	}
	return db->room;
}

/* ---- bindings ---------------------------------------------------------------------------- */

int db_journal_put(struct db *db, uint64_t number, const void *data, size_t len)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_PUT];

	sqlite3_bind_int64(statement, 1, (int64_t)number);
	sqlite3_bind_blob64(statement, 2, data, len, SQLITE_STATIC);
	return db_run(db, JOURNAL_PUT);
}

int db_journal_drop(struct db *db, uint64_t until, unsigned max)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DROP];
	int rows;

	sqlite3_bind_int64(statement, 1, (int64_t)until);
	sqlite3_bind_int64(statement, 2, max);
	sqlite3_exec(db->handle, wipe_little, NULL, NULL, NULL);
	rows = db_run(db, JOURNAL_DROP);
	if (sqlite3_exec(db->handle, wipe_all, NULL, NULL, NULL) != SQLITE_OK)
		return -ENOMEM;
	return rows;
}

/* For who looks into the file: the URIs, one a line. */
static size_t contacts_text(const struct stw_bindings *bindings, char *text, int64_t *ret_expires)
{
	struct stw_binding binding;
	size_t cursor = 0, len = 0;

	*ret_expires = 0;
	while (stw_bindings_next(bindings, &cursor, &binding)) {
		if (len)
			text[len++] = '\n';
		if (binding.uri.len)
			memcpy(text + len, binding.uri.ptr, binding.uri.len);
		len += binding.uri.len;
		if (binding.expires_ms > *ret_expires)
			*ret_expires = binding.expires_ms;
	}
	return len;
}

int db_bindings_put(struct db *db, const struct stw_bindings *bindings)
{
	sqlite3_stmt *statement = db->statements[BINDINGS_PUT];
	size_t bytes = stw_bindings_stored_bytes(bindings), len;
	uint8_t *data = db_room(db, 2 * bytes + bindings->n);
	int64_t expires_ms;
	char *text;

	if (!data)
		return -ENOMEM;
	text = (char *)data + bytes;
	stw_bindings_store(bindings, data);
	len = contacts_text(bindings, text, &expires_ms);
	bind_str(statement, 1, stw_bindings_aor(bindings));
	bind_str(statement, 2, (struct stw_str){ text, len });
	sqlite3_bind_int64(statement, 3, expires_ms);
	sqlite3_bind_blob64(statement, 4, data, bytes, SQLITE_STATIC);
	return db_run(db, BINDINGS_PUT);
}

int db_bindings_delete(struct db *db, struct stw_str aor)
{
	bind_str(db->statements[BINDINGS_DELETE], 1, aor);
	return db_run(db, BINDINGS_DELETE);
}

/* ---- users ----------------------------------------------------------------------------------- */

int db_user_set(struct db *db, const struct stw_user *user)
{
	sqlite3_stmt *statement = db->statements[USER_PUT];

	bind_str(statement, 1, user->aor);
	bind_str(statement, 2, user->user);
	bind_str(statement, 3, user->domain);
	sqlite3_bind_blob(statement, 4, &user->ha1_user, sizeof(user->ha1_user), SQLITE_STATIC);
	sqlite3_bind_blob(
		statement, 5, &user->ha1_user_domain, sizeof(user->ha1_user_domain), SQLITE_STATIC);
	bind_str(statement, 6, user->settings ? user->settings->text : STW_STR_NONE);
	return db_run(db, USER_PUT);
}

int db_user_remove(struct db *db, struct stw_str aor)
{
	bind_str(db->statements[USER_DELETE], 1, aor);
	return db_run(db, USER_DELETE);
}

int db_settings_set(struct db *db, struct stw_str aor, struct stw_str text)
{
	sqlite3_stmt *statement = db->statements[SETTINGS_PUT];

	bind_str(statement, 1, text);
	bind_str(statement, 2, aor);
	return db_run(db, SETTINGS_PUT);
}

/* ---- load --------------------------------------------------------------------------------------
 */

struct loaded {
	struct stw_location *location;
	int64_t now_ms;
	uint64_t group; /* the last one of the journal */
	size_t count;   /* snapshots */
	bool expired;   /* there are rows that nobody needs */
};

static int db_fail(struct db *db, int err, const char *format, ...) STW_PRINTF(3, 4);

static int db_fail(struct db *db, int err, const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(db->error, db->error_size, "store %.*s %s", STW_STR_ARG(db->path), what);
	return err;
}

/* The words for a fault that SQLite met while the file was read or set up. */
static int db_fail_code(struct db *db, int code)
{
	switch (code & 0xFF) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return db_fail(db, -EBADMSG,
			"is not a store or is damaged (%s); restore it from a copy, or move it "
			"away to start with an empty one",
			sqlite3_errmsg(db->handle));
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return db_fail(db, -EBUSY, "is held by another process");
	case SQLITE_READONLY:
		return db_fail(db, -EROFS, "cannot be written; check its owner and rights");
	case SQLITE_FULL:
		return db_fail(db, -ENOSPC, "cannot be written: the disk is full");
	default:
		return db_fail(
			db, db_errno(code), "cannot be used: %s", sqlite3_errmsg(db->handle));
	}
}

static int read_ha1(sqlite3_stmt *statement, int at, struct stw_ha1 *ret)
{
	const void *blob = sqlite3_column_blob(statement, at);

	if (!blob || sqlite3_column_bytes(statement, at) != sizeof(*ret))
		return -EBADMSG;
	memcpy(ret, blob, sizeof(*ret));
	return 0;
}

static int load_settings(
	struct stw_str text, struct stw_user *user, struct stw_setting_error *error)
{
	struct stw_settings *settings;
	int err = text.len ? stw_settings_parse(text, &settings, error) : 0;

	if (err < 0 || !text.len)
		return err;
	err = stw_user_settle(user, settings);
	if (err < 0)
		free(settings);
	return err;
}

static int load_user(struct db *db, sqlite3_stmt *statement, struct stw_directory *directory)
{
	struct stw_str user = column_str(statement, 0), domain = column_str(statement, 1);
	struct stw_setting_error error = { "no whole row" };
	struct stw_ha1 ha1_user, ha1_user_domain;
	struct stw_user *made = NULL;
	int err = -EBADMSG;

	if (read_ha1(statement, 2, &ha1_user) == 0 && read_ha1(statement, 3, &ha1_user_domain) == 0)
		err = stw_user_load(
			column_str(statement, 4), user, domain, &ha1_user, &ha1_user_domain, &made);
	if (err == 0)
		err = load_settings(column_str(statement, 5), made, &error);
	if (err == 0)
		err = stw_directory_publish(directory, made);
	else
		stw_user_free(made);
	if (err == -ENOMEM)
		return db_fail(db, err, "cannot be read: out of memory");
	if (err < 0)
		return db_fail(db, err, "has a damaged row for the user %.*s@%.*s (%s)",
			STW_STR_ARG(user), STW_STR_ARG(domain), error.text);
	return 0;
}

static int load_users(struct db *db, struct stw_directory *directory)
{
	static const char sql[] =
		"SELECT user, domain, ha1_user, ha1_user_domain, aor, settings FROM users";
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL), err = 0;

	if (code != SQLITE_OK)
		return db_fail_code(db, code);
	while (err == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		err = load_user(db, statement, directory);
	if (err == 0 && code != SQLITE_DONE)
		err = db_fail_code(db, code);
	sqlite3_finalize(statement);
	return err;
}

static bool all_live(const struct stw_bindings *bindings, int64_t now_ms)
{
	struct stw_binding binding;
	size_t cursor = 0;

	while (stw_bindings_next(bindings, &cursor, &binding))
		if (binding.expires_ms <= now_ms)
			return false;
	return true;
}

/* Without what has expired. Takes the snapshot. NULL: no memory. */
static struct stw_bindings *load_live(struct stw_bindings *bindings, int64_t now_ms)
{
	struct stw_binding *live = malloc((bindings->n + 1u) * sizeof(*live));
	struct stw_bindings *made = NULL;
	size_t cursor = 0;
	unsigned n = 0;

	while (live && stw_bindings_next(bindings, &cursor, &live[n]))
		n += live[n].expires_ms > now_ms;
	if (live)
		made = stw_bindings_make(stw_bindings_aor(bindings), bindings->version, live, n);
	free(live);
	free(bindings);
	return made;
}

/* Who is gone in the journal shall not come back by an older row. */
static int load_publish(struct db *db, struct loaded *loaded, struct stw_bindings *bindings)
{
	int err = 0;

	if (!all_live(bindings, loaded->now_ms))
		bindings = load_live(bindings, loaded->now_ms);
	if (!bindings)
		return -ENOMEM;
	bindings->group = loaded->group;
	loaded->expired = loaded->expired || !bindings->n;
	if (!bindings->n && loaded->group)
		err = db_bindings_delete(db, stw_bindings_aor(bindings));
	if (err < 0) {
		free(bindings);
		return err;
	}
	return stw_location_publish(loaded->location, bindings);
}

/* One after the other, in place of what is there. */
static int load_snapshots(struct db *db, sqlite3_stmt *statement, int at, struct loaded *loaded)
{
	const uint8_t *data = sqlite3_column_blob(statement, at);
	size_t left = (size_t)sqlite3_column_bytes(statement, at), used;
	struct stw_bindings *bindings;
	int err = 0;

	while (left && err == 0) {
		err = stw_bindings_load(data, left, &used, &bindings);
		if (err < 0)
			break;
		err = load_publish(db, loaded, bindings);
		loaded->count++;
		data += used;
		left -= used;
	}
	if (err == -EBADMSG)
		return db_fail(db, err, "has a damaged row of bindings");
	return err < 0 ? db_fail(db, err, "cannot be read: %s", strerror(-err)) : 0;
}

/* The folded rows are older than each entry of the journal. */
static int load_bindings(struct db *db, const char *sql, struct loaded *loaded)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL), err = 0;

	if (code != SQLITE_OK)
		return db_fail_code(db, code);
	while (err == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		loaded->group = (uint64_t)sqlite3_column_int64(statement, 0);
		err = load_snapshots(db, statement, 1, loaded);
	}
	if (err == 0 && code != SQLITE_DONE)
		err = db_fail_code(db, code);
	sqlite3_finalize(statement);
	return err;
}

static int delete_expired(struct db *db, struct stw_now now)
{
	char sql[96];
	int code;

	snprintf(sql, sizeof(sql), "DELETE FROM bindings WHERE expires_ms <= %lld",
		(long long)now.wall_ms);
	code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : db_fail_code(db, code);
}

static int load_all(struct db *db, const struct stw_store_options *options, struct stw_now now,
	uint64_t *ret_group, size_t *ret_journaled, char *ret_error, size_t error_size)
{
	struct loaded loaded = { .location = options->location, .now_ms = now.wall_ms };
	int err;

	db->path = options->path;
	db->error = ret_error;
	db->error_size = error_size;
	err = load_users(db, options->directory);
	if (err == 0)
		err = load_bindings(db, "SELECT 0, data FROM bindings", &loaded);
	if (err == 0 && loaded.expired)
		err = delete_expired(db, now);
	loaded.count = 0;
	if (err == 0)
		err = load_bindings(
			db, "SELECT number, data FROM journal ORDER BY number", &loaded);
	*ret_group = loaded.group;
	*ret_journaled = loaded.count;
	return err;
}

/* All of the file is read once: through a mapping, which is given back. */
int db_load(struct db *db, const struct stw_store_options *options, struct stw_now now,
	uint64_t *ret_group, size_t *ret_journaled, char *ret_error, size_t error_size)
{
	int err;

	sqlite3_exec(db->handle, "PRAGMA mmap_size = 1073741824", NULL, NULL, NULL);
	err = load_all(db, options, now, ret_group, ret_journaled, ret_error, error_size);
	sqlite3_exec(db->handle, "PRAGMA mmap_size = 0", NULL, NULL, NULL);
	return err;
}

/* ---- open
 * ------------------------------------------------------------------------------------------ */

static int db_number(struct db *db, const char *sql, int *ret)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return code == SQLITE_ROW ? 0 : db_fail_code(db, code);
}

static int db_exec(struct db *db, const char *sql)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : db_fail_code(db, code);
}

static int schema_create(struct db *db)
{
	char sql[1600];

	snprintf(sql, sizeof(sql),
		"BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;",
		schema, APPLICATION_ID, SCHEMA_VERSION);
	return db_exec(db, sql);
}

/* Users are kept; bindings of the first form are read and written anew; the second had no settings.
 */
static int schema_raise(struct db *db, int version)
{
	int err = version < 2 ? form1_raise(db->handle) : 0;

	if (err == -ENOMEM)
		return db_fail(db, err, "cannot be read: out of memory");
	if (err < 0)
		return db_fail_code(db, sqlite3_errcode(db->handle));
	return db_exec(db, "BEGIN IMMEDIATE;"
			   "ALTER TABLE users ADD COLUMN settings TEXT NOT NULL DEFAULT '';"
			   "PRAGMA user_version = 3; COMMIT");
}

/* An empty file becomes a store; one of another program, or of a later time, is left alone. */
static int schema_check(struct db *db)
{
	int application = 0, version = 0, tables = 0, err;

	err = db_number(db, "PRAGMA application_id", &application);
	if (err == 0)
		err = db_number(db, "PRAGMA user_version", &version);
	if (err == 0)
		err = db_number(db, "SELECT count(*) FROM sqlite_master", &tables);
	if (err < 0)
		return err;
	if (!application && !version && !tables)
		return schema_create(db);
	if (application != APPLICATION_ID)
		return db_fail(db, -EBADMSG, "holds the data of another program");
	if (version > SCHEMA_VERSION)
		return db_fail(db, -EPROTONOSUPPORT,
			"was written by a newer Strowger (form %d, this one knows %d)", version,
			SCHEMA_VERSION);
	return version < SCHEMA_VERSION ? schema_raise(db, version) : 0;
}

static int db_prepare(struct db *db)
{
	int i, code;

	for (i = 0; i < STATEMENTS; i++) {
		code = sqlite3_prepare_v3(db->handle, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			&db->statements[i], NULL);
		if (code != SQLITE_OK)
			return db_fail_code(db, code);
	}
	return 0;
}

static int db_set_up(struct db *db, bool sync_full)
{
	int err;

	sqlite3_busy_timeout(db->handle, BUSY_MS);
	if (sqlite3_db_readonly(db->handle, "main"))
		return db_fail(db, -EROFS, "cannot be written; check its owner and rights");
	err = schema_check(db);
	if (err == 0)
		err = db_exec(db, "PRAGMA journal_mode = WAL");
	if (err == 0)
		err = db_exec(db,
			sync_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
	if (err == 0)
		err = db_exec(db, wipe_all);
	return err < 0 ? err : db_prepare(db);
}

struct db *db_close(struct db *db)
{
	int i;

	if (!db)
		return NULL;
	for (i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->handle);
	free(db->room);
	free(db);
	return NULL;
}

static int db_open_file(struct db *db, const struct stw_store_options *options)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	char name[PATH_MAX];
	struct stat status;
	int code;

	if (!db->path.len || db->path.len >= sizeof(name))
		return db_fail(db, -ENAMETOOLONG, "has no usable name");
	snprintf(name, sizeof(name), "%.*s", STW_STR_ARG(db->path));
	if (stat(name, &status) == 0 && S_ISDIR(status.st_mode))
		return db_fail(db, -EISDIR, "is a folder; a file is needed");
	code = sqlite3_open_v2(name, &db->handle, flags, NULL);
	if (code == SQLITE_CANTOPEN)
		return db_fail(db, -ENOENT, "cannot be opened: %s",
			strerror(sqlite3_system_errno(db->handle)));
	return code == SQLITE_OK ? db_set_up(db, options->sync_full) : db_fail_code(db, code);
}

int db_open(const struct stw_store_options *options, struct db **ret, char *ret_error,
	size_t error_size)
{
	struct db *db = calloc(1, sizeof(*db));
	int err;

	if (!db) {
		snprintf(ret_error, error_size, "store %.*s cannot be opened: out of memory",
			STW_STR_ARG(options->path));
		return -ENOMEM;
	}
	db->path = options->path;
	db->error = ret_error;
	db->error_size = error_size;
	err = db_open_file(db, options);
	if (err < 0)
		db_close(db);
	else
		*ret = db;
	return err;
}
