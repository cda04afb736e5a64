/* SPDX-License-Identifier: Apache-2.0 */
/* A store of form 1 had a row for each binding. It becomes one of form 2 in one transaction. */
#include "server/store/internal.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define AOR_BYTES_MAX (16u << 20)

/* Rows of one address-of-record, until the next one begins. */
struct loader {
	sqlite3_stmt *put;
	struct stw_arena arena; /* the text of the rows */
	struct stw_str aor;
	struct stw_binding *v;
	unsigned n, capacity;
};

static struct stw_str column_str(sqlite3_stmt *statement, int at)
{
	const char *text = (const char *)sqlite3_column_text(statement, at);

	return (struct stw_str){ text, text ? (size_t)sqlite3_column_bytes(statement, at) : 0 };
}

/* As a journal of one entry for each, which the first fold makes rows of. */
static int loader_put(struct loader *loader)
{
	struct stw_bindings *made = stw_bindings_make(loader->aor, 1, loader->v, loader->n);
	size_t bytes = made ? stw_bindings_stored_bytes(made) : 0;
	uint8_t *data = made ? malloc(bytes) : NULL;
	int code = SQLITE_NOMEM;

	if (data) {
		stw_bindings_store(made, data);
		sqlite3_bind_blob64(loader->put, 1, data, bytes, SQLITE_STATIC);
		code = sqlite3_step(loader->put);
		sqlite3_reset(loader->put);
	}
	free(data);
	free(made);
	return code == SQLITE_DONE ? 0 : code == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

static int loader_flush(struct loader *loader)
{
	int err = loader->n ? loader_put(loader) : 0;

	loader->n = 0;
	stw_arena_reset(&loader->arena);
	return err;
}

static int loader_room(struct loader *loader)
{
	unsigned capacity = loader->capacity ? 2 * loader->capacity : 8;
	struct stw_binding *v;

	if (loader->n < loader->capacity)
		return 0;
	v = realloc(loader->v, capacity * sizeof(*v));
	if (!v)
		return -ENOMEM;
	loader->v = v;
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

static int load_row(struct loader *loader, sqlite3_stmt *statement)
{
	struct stw_str aor = column_str(statement, 0);
	int err = 0;

	if (loader->n && !stw_str_equal(loader->aor, aor))
		err = loader_flush(loader);
	if (err == 0)
		err = loader_room(loader);
	if (err == 0 && !loader->n)
		err = stw_arena_copy(&loader->arena, aor, &loader->aor);
	if (err == 0)
		err = read_binding(statement, &loader->arena, &loader->v[loader->n]);
	if (err == 0)
		loader->n++;
	return err;
}

/* The order in which they were refreshed is as good as the one they had. */
static int raise_rows(sqlite3 *handle)
{
	static const char sql[] =
		"SELECT aor, uri, params, q, expires_ms, updated_ms, call_id, cseq, path,"
		" user_agent, instance, transport, remote_ip, remote_port, remote_scope,"
		" local_ip, local_port, listener FROM form1 ORDER BY aor, updated_ms";
	struct loader loader = { .n = 0 };
	sqlite3_stmt *rows = NULL;
	int err = -EIO, code;

	stw_arena_init(&loader.arena, AOR_BYTES_MAX);
	if (sqlite3_prepare_v2(handle, sql, -1, &rows, NULL) == SQLITE_OK &&
		sqlite3_prepare_v2(handle, "INSERT INTO journal(data) VALUES(?)", -1, &loader.put,
			NULL) == SQLITE_OK) {
		err = 0;
		while (err == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW)
			err = load_row(&loader, rows);
		if (err == 0)
			err = code == SQLITE_DONE ? loader_flush(&loader) : -EIO;
	}
	sqlite3_finalize(rows);
	sqlite3_finalize(loader.put);
	stw_arena_done(&loader.arena);
	free(loader.v);
	return err;
}

static int run(sqlite3 *handle, const char *sql)
{
	return sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

int form1_raise(sqlite3 *handle)
{
	int err = run(handle,
		"BEGIN IMMEDIATE; ALTER TABLE bindings RENAME TO form1;" DB_BINDINGS_SCHEMA);

	if (err == 0)
		err = raise_rows(handle);
	if (err == 0)
		err = run(handle, "DROP TABLE form1; PRAGMA user_version = 2; COMMIT");
	if (err < 0 && !sqlite3_get_autocommit(handle))
		run(handle, "ROLLBACK");
	return err;
}
