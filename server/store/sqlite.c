/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as an SQLite file in WAL mode: one row per user and per binding. A flow does not
 * survive the process and is not stored; the transport and the addresses it joined are.
 */
#include "server/store/internal.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x53545731 /* "STW1" */
#define BUSY_MS        2000
#define AOR_BYTES_MAX  (16u << 20)

static const char schema[] =
	"CREATE TABLE users("
	" aor TEXT PRIMARY KEY, user TEXT NOT NULL, domain TEXT NOT NULL,"
	" ha1_user BLOB NOT NULL, ha1_user_domain BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE bindings("
	" aor TEXT NOT NULL, uri TEXT NOT NULL, params TEXT NOT NULL, q INTEGER NOT NULL,"
	" expires_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
	" call_id TEXT NOT NULL, cseq INTEGER NOT NULL,"
	" path TEXT NOT NULL, user_agent TEXT NOT NULL, instance TEXT NOT NULL,"
	" transport TEXT NOT NULL, remote_ip TEXT NOT NULL, remote_port INTEGER NOT NULL,"
	" remote_scope INTEGER NOT NULL, local_ip TEXT NOT NULL, local_port INTEGER NOT NULL,"
	" listener INTEGER NOT NULL, PRIMARY KEY(aor, uri)) WITHOUT ROWID;";

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	BINDING_PUT,
	BINDING_DELETE,
	BINDINGS_DELETE,
	USER_PUT,
	USER_DELETE,
	STATEMENTS
};

#define BINDING_COLUMNS                                                                            \
	"aor, uri, params, q, expires_ms, updated_ms, call_id, cseq, path, user_agent, instance, " \
	"transport, remote_ip, remote_port, remote_scope, local_ip, local_port, listener"

static const char *const statements[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[BINDING_PUT] = "INSERT OR REPLACE INTO bindings(" BINDING_COLUMNS
			") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[BINDING_DELETE] = "DELETE FROM bindings WHERE aor = ? AND uri = ?",
	[BINDINGS_DELETE] = "DELETE FROM bindings WHERE aor = ?",
	[USER_PUT] = "INSERT OR REPLACE INTO users VALUES(?,?,?,?,?)",
	[USER_DELETE] = "DELETE FROM users WHERE aor = ?",
};

struct db {
	sqlite3 *handle;
	sqlite3_stmt *statements[STATEMENTS];
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

static struct stw_str column_str(sqlite3_stmt *statement, int at)
{
	const char *text = (const char *)sqlite3_column_text(statement, at);

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

/* ---- bindings ---------------------------------------------------------------------------- */

static struct stw_str ip_text(const struct stw_addr *addr, char buffer[STW_ADDR_TEXT_MAX])
{
	return addr->family ? stw_addr_ip_text(addr, buffer) : STW_STR("");
}

static int binding_put(struct db *db, struct stw_str aor, const struct stw_binding *binding)
{
	sqlite3_stmt *statement = db->statements[BINDING_PUT];
	const struct stw_hop *source = &binding->source;
	char remote[STW_ADDR_TEXT_MAX], local[STW_ADDR_TEXT_MAX];

	bind_str(statement, 1, aor);
	bind_str(statement, 2, binding->uri);
	bind_str(statement, 3, binding->params);
	sqlite3_bind_int(statement, 4, binding->q);
	sqlite3_bind_int64(statement, 5, binding->expires_ms);
	sqlite3_bind_int64(statement, 6, binding->updated_ms);
	bind_str(statement, 7, binding->call_id);
	sqlite3_bind_int64(statement, 8, binding->cseq);
	bind_str(statement, 9, binding->path);
	bind_str(statement, 10, binding->user_agent);
	bind_str(statement, 11, binding->instance);
	bind_str(statement, 12,
		source->transport ? stw_transport_name(source->transport) : STW_STR(""));
	bind_str(statement, 13, ip_text(&source->remote, remote));
	sqlite3_bind_int(statement, 14, source->remote.port);
	sqlite3_bind_int64(statement, 15, source->remote.scope);
	bind_str(statement, 16, ip_text(&source->local, local));
	sqlite3_bind_int(statement, 17, source->local.port);
	sqlite3_bind_int(statement, 18, source->listener);
	return db_run(db, BINDING_PUT);
}

static int binding_delete(struct db *db, struct stw_str aor, struct stw_str uri)
{
	bind_str(db->statements[BINDING_DELETE], 1, aor);
	bind_str(db->statements[BINDING_DELETE], 2, uri);
	return db_run(db, BINDING_DELETE);
}

static const struct stw_binding *find_uri(const struct stw_bindings *bindings, struct stw_str uri)
{
	unsigned i;

	for (i = 0; bindings && i < bindings->n; i++)
		if (stw_str_equal(bindings->v[i].uri, uri))
			return &bindings->v[i];
	return NULL;
}

/* Each refresh gives new times, or another CSeq or Call-ID within the same millisecond. */
static bool same_row(const struct stw_binding *a, const struct stw_binding *b)
{
	return a && a->updated_ms == b->updated_ms && a->expires_ms == b->expires_ms &&
	       a->cseq == b->cseq && stw_str_equal(a->call_id, b->call_id);
}

/* Only the rows that differ. A URI spelled anew is another row. */
int db_bindings_change(
	struct db *db, const struct stw_bindings *old, const struct stw_bindings *bindings)
{
	int rows = 0, err = 0;
	unsigned i;

	if (!bindings->n) {
		bind_str(db->statements[BINDINGS_DELETE], 1, bindings->aor);
		return db_run(db, BINDINGS_DELETE);
	}
	for (i = 0; old && i < old->n && err >= 0; i++) {
		if (find_uri(bindings, old->v[i].uri))
			continue;
		err = binding_delete(db, bindings->aor, old->v[i].uri);
		rows += err;
	}
	for (i = 0; i < bindings->n && err >= 0; i++) {
		if (same_row(find_uri(old, bindings->v[i].uri), &bindings->v[i]))
			continue;
		err = binding_put(db, bindings->aor, &bindings->v[i]);
		rows += err;
	}
	return err < 0 ? err : rows;
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
	return db_run(db, USER_PUT);
}

int db_user_remove(struct db *db, struct stw_str aor)
{
	bind_str(db->statements[USER_DELETE], 1, aor);
	return db_run(db, USER_DELETE);
}

/* ---- load --------------------------------------------------------------------------------------
 */

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

static int load_user(struct db *db, sqlite3_stmt *statement, struct stw_directory *directory)
{
	struct stw_str user = column_str(statement, 0), domain = column_str(statement, 1);
	struct stw_ha1 ha1_user, ha1_user_domain;
	int err = -EBADMSG;

	if (read_ha1(statement, 2, &ha1_user) == 0 && read_ha1(statement, 3, &ha1_user_domain) == 0)
		err = stw_directory_put(directory, user, domain, &ha1_user, &ha1_user_domain);
	if (err == -ENOMEM)
		return db_fail(db, err, "cannot be read: out of memory");
	if (err < 0)
		return db_fail(db, err, "has a damaged row for the user %.*s@%.*s",
			STW_STR_ARG(user), STW_STR_ARG(domain));
	return 0;
}

static int load_users(struct db *db, struct stw_directory *directory)
{
	static const char sql[] = "SELECT user, domain, ha1_user, ha1_user_domain FROM users";
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

/* Rows of one address-of-record, until the next one begins. */
struct loader {
	struct stw_location *location;
	struct stw_arena arena; /* the text of the rows */
	struct stw_bindings *bindings;
	unsigned capacity;
};

static int loader_flush(struct loader *loader)
{
	struct stw_bindings *copy;
	int err = 0;

	if (loader->bindings && loader->bindings->n) {
		copy = stw_bindings_copy(loader->bindings);
		err = copy ? stw_location_publish(loader->location, copy) : -ENOMEM;
		loader->bindings->n = 0;
	}
	stw_arena_reset(&loader->arena);
	return err;
}

static int loader_room(struct loader *loader)
{
	unsigned capacity = loader->capacity ? 2 * loader->capacity : 8;
	struct stw_bindings *bindings;

	if (loader->bindings && loader->bindings->n < loader->capacity)
		return 0;
	bindings = realloc(
		loader->bindings, sizeof(*bindings) + capacity * sizeof(struct stw_binding));
	if (!bindings)
		return -ENOMEM;
	if (!loader->bindings)
		bindings->n = 0;
	loader->bindings = bindings;
	loader->capacity = capacity;
	return 0;
}

/* An address that cannot be read leaves the binding to be reached by its Contact. */
static void read_addr(sqlite3_stmt *statement, int at, int port_at, struct stw_addr *ret)
{
	struct stw_addr addr;

	if (stw_addr_from_host(column_str(statement, at),
		    (uint16_t)sqlite3_column_int(statement, port_at), &addr) == 0)
		*ret = addr;
}

static int read_binding(
	sqlite3_stmt *statement, struct stw_arena *arena, struct stw_binding *binding)
{
	struct stw_hop *source = &binding->source;

	memset(binding, 0, sizeof(*binding));
	binding->q = (uint16_t)sqlite3_column_int(statement, 3);
	binding->expires_ms = sqlite3_column_int64(statement, 4);
	binding->updated_ms = sqlite3_column_int64(statement, 5);
	binding->cseq = (uint32_t)sqlite3_column_int64(statement, 7);
	source->transport = stw_transport_from(column_str(statement, 11));
	read_addr(statement, 12, 13, &source->remote);
	source->remote.scope = (uint32_t)sqlite3_column_int64(statement, 14);
	read_addr(statement, 15, 16, &source->local);
	source->listener = (uint16_t)sqlite3_column_int(statement, 17);
	if (stw_arena_copy(arena, column_str(statement, 1), &binding->uri) < 0 ||
		stw_arena_copy(arena, column_str(statement, 2), &binding->params) < 0 ||
		stw_arena_copy(arena, column_str(statement, 6), &binding->call_id) < 0 ||
		stw_arena_copy(arena, column_str(statement, 8), &binding->path) < 0 ||
		stw_arena_copy(arena, column_str(statement, 9), &binding->user_agent) < 0 ||
		stw_arena_copy(arena, column_str(statement, 10), &binding->instance) < 0)
		return -ENOMEM;
	return 0;
}

static int load_binding(struct loader *loader, sqlite3_stmt *statement)
{
	struct stw_str aor = column_str(statement, 0);
	int err = 0;

	if (loader->bindings && loader->bindings->n && !stw_str_equal(loader->bindings->aor, aor))
		err = loader_flush(loader);
	if (err == 0)
		err = loader_room(loader);
	if (err == 0 && !loader->bindings->n) {
		loader->bindings->version = 1;
		err = stw_arena_copy(&loader->arena, aor, &loader->bindings->aor);
	}
	if (err == 0)
		err = read_binding(
			statement, &loader->arena, &loader->bindings->v[loader->bindings->n]);
	if (err == 0)
		loader->bindings->n++;
	return err;
}

/* The order in which they were refreshed is as good as the one they had. */
static int load_bindings(struct db *db, struct stw_location *location)
{
	static const char sql[] =
		"SELECT " BINDING_COLUMNS " FROM bindings ORDER BY aor, updated_ms";
	struct loader loader = { .location = location };
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL), err = 0;

	if (code != SQLITE_OK)
		return db_fail_code(db, code);
	stw_arena_init(&loader.arena, AOR_BYTES_MAX);
	while (err == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		err = load_binding(&loader, statement);
	if (err == 0 && code == SQLITE_DONE)
		err = loader_flush(&loader);
	if (err < 0)
		db_fail(db, err, "cannot be read: out of memory");
	else if (code != SQLITE_DONE)
		err = db_fail_code(db, code);
	sqlite3_finalize(statement);
	stw_arena_done(&loader.arena);
	free(loader.bindings);
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

int db_load(struct db *db, const struct stw_store_options *options, struct stw_now now,
	char *ret_error, size_t error_size)
{
	int err;

	db->path = options->path;
	db->error = ret_error;
	db->error_size = error_size;
	err = delete_expired(db, now);
	if (err == 0)
		err = load_users(db, options->directory);
	if (err == 0)
		err = load_bindings(db, options->location);
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
	return 0;
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
