/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folding: what the journal says of an address-of-record becomes its row, and the journal is
 * dropped. The newest snapshot is in the location service, and one that a later group has made is
 * in the journal still, so nothing is read back. Who was removed has lost its row at once.
 */
#include "server/store/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In one transaction, as long as one of a full group of registrations: those wait for it, and a
 * fold shall leave them half of the time. Each page of a dropped group is read. */
#define FOLD_ROWS   64
#define FOLD_GROUPS 32

static bool is_due(const struct fold *fold, const struct stw_bindings *bindings)
{
	return bindings->group > fold->after && bindings->group <= fold->until;
}

struct counter {
	struct fold *fold;
	size_t n, bytes;
};

static bool count(void *context, const struct stw_bindings *bindings)
{
	struct counter *counter = context;

	if (is_due(counter->fold, bindings)) {
		counter->n++;
		counter->bytes += bindings->aor_len;
	}
	return true;
}

static bool collect(void *context, const struct stw_bindings *bindings)
{
	struct stw_str aor = stw_bindings_aor(bindings);
	struct counter *counter = context;
	struct fold *fold = counter->fold;
	char *text = fold->text + counter->bytes;

	if (is_due(fold, bindings) && aor.len) {
		fold->keys[fold->n++] = (struct stw_str){ memcpy(text, aor.ptr, aor.len), aor.len };
		counter->bytes += aor.len;
	}
	return true;
}

static int key_compare(const void *a, const void *b)
{
	const struct stw_str *left = a, *right = b;
	size_t len = left->len < right->len ? left->len : right->len;
	int order = memcmp(left->ptr, right->ptr, len);

	return order ? order : (left->len > right->len) - (left->len < right->len);
}

/* Two blocks, so that a large fold gives its memory back to the system. */
int fold_begin(
	struct fold *fold, const struct stw_location *location, uint64_t after, uint64_t until)
{
	struct counter counter = { .fold = fold };

	*fold = (struct fold){ .running = true, .after = after, .until = until };
	stw_location_walk(location, count, &counter);
	fold->keys = malloc((counter.n + 1) * sizeof(*fold->keys));
	fold->text = malloc(counter.bytes + 1);
	if (!fold->keys || !fold->text) {
		fold_end(fold);
		return -ENOMEM;
	}
	counter.bytes = 0;
	stw_location_walk(location, collect, &counter);
	qsort(fold->keys, fold->n, sizeof(*fold->keys), key_compare);
	return 0;
}

void fold_end(struct fold *fold)
{
	free(fold->keys);
	free(fold->text);
	*fold = (struct fold){ .running = false };
}

static int fold_rows(
	struct fold *fold, struct db *db, const struct stw_location *location, size_t max)
{
	size_t end = fold->n - fold->at > max ? fold->at + max : fold->n;
	const struct stw_bindings *bindings;
	int err = 0;

	for (; fold->at < end && err >= 0; fold->at++) {
		bindings = stw_location_find(location, fold->keys[fold->at]);
		if (bindings && is_due(fold, bindings))
			err = db_bindings_put(db, bindings);
	}
	return err < 0 ? err : 0;
}

int fold_step(struct fold *fold, struct db *db, const struct stw_location *location, unsigned parts)
{
	bool rows = fold->at < fold->n;
	int err = db_begin(db), dropped = 0;

	if (err == 0 && rows)
		err = fold_rows(fold, db, location, (size_t)parts * FOLD_ROWS);
	if (err == 0 && !rows)
		err = dropped = db_journal_drop(db, fold->until, parts * FOLD_GROUPS);
	if (err >= 0)
		err = db_commit(db);
	if (err < 0)
		db_rollback(db);
	if (err == 0 && (rows || dropped == (int)(parts * FOLD_GROUPS)))
		return 1;
	fold_end(fold);
	return err;
}
