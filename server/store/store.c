/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue before the store and its thread. Jobs that wait are taken as one group and committed
 * together; then what they changed is published to the readers of the maps; then the results go
 * back. A result therefore says: this survives kill -9 (RFC 3261 §10.3 step 7, "committed").
 */
#include "server/directory/change.h"
#include "server/store/internal.h"
#include "server/thread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE_MAX       16384 /* jobs of a queue under way: submitted, result not yet taken */
#define GROUP_MAX       256   /* jobs in one transaction */
#define SWEEP_PLACES    65536 /* of the map, looked at by one sweep */
#define SWEEP_AORS      256   /* changed by one sweep */
#define GROUP_BYTES_MAX (16u << 20)
#define MET_BITS        4096
#define FOLD_PARTS_LAST 64     /* that are one when the store is closed */
#define FOLD_AT         262144 /* snapshots in the journal, or four for each address-of-record */
#define RECLAIM_AT      512    /* replaced snapshots and users */
#define PACE_US         2000   /* from one group to the next, under load */
#define PACE_JOBS       128    /* so many do not wait for it */

/* One for each thread that submits. */
struct queue {
	struct stw_ring *jobs, *results;
	unsigned under_way;  /* the submitter's */
	atomic_bool drained; /* the submitter has found no result: wake it for the next */
};

struct stw_store {
	struct stw_store_options options;
	struct db *db;
	struct queue queues[STW_STORE_QUEUES_MAX];
	struct stw_job *held; /* it has a group of its own, the next one */
	unsigned next_queue;  /* whose turn it is; the writer's, as all down to the thread */
	size_t sweep_cursor;
	uint64_t last_group; /* in the journal */
	uint64_t folded;     /* groups up to it are rows */
	size_t journaled;    /* snapshots behind it, and behind what is being folded */
	struct fold fold;
	size_t folding;    /* snapshots of which `fold` makes rows */
	bool fold_due;     /* however short the journal is */
	size_t replaced;   /* that readers may still hold */
	uint64_t group_us; /* when the last group of registrations began */
	bool pressed;      /* soon after the one before */
	pthread_t thread;
	bool started;
	sem_t wake; /* posted by who ends `sleeping` */
	atomic_bool stop;
	atomic_uint waiting;  /* jobs in the ring, or about to be */
	atomic_bool sleeping; /* the store thread waits for jobs */
	_Atomic uint64_t removed_users;
};

/* ---- a group: what its jobs have changed so far ---------------------------------------------- */

struct change {
	struct stw_bindings *bindings; /* either: of one address-of-record */
	struct stw_user *user;         /* or: added or changed */
	struct stw_str removed_user;   /* or: its address-of-record */
};

struct group {
	struct stw_store *store;
	uint64_t number;
	struct stw_job *jobs[GROUP_MAX];
	unsigned n;
	struct change *changes;
	uint64_t *hashes;            /* of their addresses-of-record, as in the location service */
	uint64_t met[MET_BITS / 64]; /* a bit for each hash: most are changed for the first time */
	size_t count, capacity, snapshots;
	size_t names; /* of the users */
	bool begun;   /* a group that changes nothing needs no transaction */
	int err;      /* the group has failed */
	struct stw_arena arena;
	unsigned swept;
	struct stw_job *sweep;
};

static int group_grow(struct group *group)
{
	size_t capacity = group->capacity ? 2 * group->capacity : GROUP_MAX;
	struct change *changes = realloc(group->changes, capacity * sizeof(*changes));
	uint64_t *hashes;

	if (!changes)
		return -ENOMEM;
	group->changes = changes;
	hashes = realloc(group->hashes, capacity * sizeof(*hashes));
	if (!hashes)
		return -ENOMEM;
	group->hashes = hashes;
	group->capacity = capacity;
	return 0;
}

static uint64_t aor_hash(const struct group *group, struct stw_str aor)
{
	return stw_location_hash(group->store->options.location, aor);
}

static uint64_t *met_word(struct group *group, uint64_t hash, uint64_t *ret_bit)
{
	*ret_bit = UINT64_C(1) << hash % 64;
	return &group->met[hash % MET_BITS / 64];
}

static bool group_has_met(struct group *group, uint64_t hash)
{
	uint64_t bit;

	return *met_word(group, hash, &bit) & bit;
}

static void group_meet(struct group *group, uint64_t hash)
{
	uint64_t bit;

	*met_word(group, hash, &bit) |= bit;
}

/* Takes what the change holds. */
static void group_push(struct group *group, struct change change, uint64_t hash)
{
	if (group->count == group->capacity && group_grow(group) < 0) {
		free(change.bindings);
		stw_user_free(change.user);
		group->err = -ENOMEM;
		return;
	}
	group->hashes[group->count] = hash;
	group_meet(group, hash);
	group->snapshots += change.bindings != NULL;
	group->names += change.user ? stw_user_name_count(change.user) : 0;
	group->changes[group->count++] = change;
}

static int group_begin(struct group *group)
{
	if (!group->begun && !group->err) {
		group->err = db_begin(group->store->db);
		group->begun = !group->err;
	}
	return group->err;
}

/* As an earlier job of the group has left it, else as it is published. */
static const struct stw_bindings *group_bindings(
	struct group *group, struct stw_str aor, uint64_t hash)
{
	size_t i = group_has_met(group, hash) ? group->count : 0;

	while (i--) {
		const struct stw_bindings *bindings = group->changes[i].bindings;

		if (group->hashes[i] == hash && bindings &&
			stw_str_equal(stw_bindings_aor(bindings), aor))
			return bindings->n ? bindings : NULL;
	}
	return stw_location_find_hashed(group->store->options.location, aor, hash);
}

static unsigned rows_changed(const struct stw_bindings *old, const struct stw_bindings *bindings)
{
	unsigned before = old ? old->n : 0;

	return before > bindings->n ? before - bindings->n : 1;
}

/* Takes the new snapshot. Who is gone has no snapshot that could be folded: its row goes now. */
static void group_change_bindings(struct group *group, struct stw_job *job,
	const struct stw_bindings *old, struct stw_bindings *bindings, uint64_t hash)
{
	int err = group_begin(group);

	if (err == 0 && !bindings->n)
		err = db_bindings_delete(group->store->db, stw_bindings_aor(bindings));
	if (err < 0) {
		free(bindings);
		group->err = err;
		return;
	}
	job->changed += rows_changed(old, bindings);
	bindings->group = group->number;
	group_push(group, (struct change){ .bindings = bindings }, hash);
}

/* ---- the kinds of job --------------------------------------------------------------------------
 */

/* The copy lies with the registration, so that no thread frees what another one has allocated. */
static struct stw_bindings *result_copy(
	struct stw_register *registration, const struct stw_bindings *bindings)
{
	size_t bytes = stw_bindings_bytes(bindings);
	struct stw_bindings *copy;

	/* Not text of the request: outside its limit. */
	registration->arena.limit_bytes += bytes + _Alignof(max_align_t);
	copy = stw_arena_alloc(&registration->arena, bytes);
	return copy ? memcpy(copy, bindings, bytes) : NULL;
}

/* Has the user been removed since the worker has seen him? His name may be another's by now, for
 * whom no phone of his is bound and nothing set. */
static bool user_is_gone(
	const struct stw_store *store, const struct stw_job *job, struct stw_str aor)
{
	return job->removed_users != stw_store_removed_users(store) &&
	       stw_directory_is_gone(store->options.directory, aor, job->removed_users);
}

static void run_register(struct group *group, struct stw_job *job, uint64_t hash)
{
	const struct stw_bindings *old = group_bindings(group, job->registration->aor, hash);
	struct stw_bindings *bindings;

	if (user_is_gone(group->store, job, job->registration->aor)) {
		job->cause = &stw_cause_aor_unknown;
		return;
	}
	job->cause =
		stw_register_apply(old, job->registration, &job->registrar, job->now, &bindings);
	if (job->cause)
		return;
	job->result = result_copy(job->registration, bindings);
	if (!job->result)
		job->cause = &stw_cause_register_no_memory;
	if (!job->result || bindings->version == (old ? old->version : 0))
		free(bindings);
	else
		group_change_bindings(group, job, old, bindings, hash);
}

/* A new password makes him no other, and is no reason to forget the settings. */
static int user_continue(const struct stw_store *store, struct stw_user *user)
{
	const struct stw_user *old = stw_directory_find(store->options.directory, user->aor);
	struct stw_setting_error error;
	struct stw_settings *settings;
	int err;

	user->birth = old ? old->birth : stw_store_removed_users(store);
	if (!old || !old->settings)
		return 0;
	err = stw_settings_change(old->settings, NULL, 0, &settings, &error);
	if (err < 0)
		return err;
	err = stw_user_settle(user, settings);
	if (err < 0)
		free(settings);
	return err;
}

static int user_put(struct group *group, const struct stw_user_row *row)
{
	struct stw_user *user;
	int rows =
		stw_user_new(row->user, row->domain, &row->ha1_user, &row->ha1_user_domain, &user);

	if (rows < 0)
		return rows;
	rows = user_continue(group->store, user);
	if (rows == 0)
		rows = db_user_set(group->store->db, user);
	if (rows < 0)
		stw_user_free(user);
	else
		group_push(group, (struct change){ .user = user }, 0);
	return rows;
}

static void run_user_set(struct group *group, struct stw_job *job)
{
	for (unsigned i = 0; i < job->user_count && group_begin(group) == 0; i++) {
		int rows = user_put(group, &job->users[i]);

		if (rows < 0)
			group->err = rows;
		else
			job->changed += (unsigned)rows;
	}
}

/* What the job asks for may be wrong; that is no failure of the store. */
static void run_settings(struct group *group, struct stw_job *job)
{
	struct stw_user *user;
	int rows;

	if (job->by_user && user_is_gone(group->store, job, job->aor)) {
		job->refused = -ENOENT;
		return;
	}
	job->refused = stw_directory_change(group->store->options.directory, job->aor,
		job->settings, job->setting_count, &user, job->setting_error);
	if (job->refused == -ENOMEM)
		group->err = -ENOMEM;
	if (job->refused < 0)
		return;
	rows = group_begin(group);
	if (rows == 0)
		rows = db_settings_set(group->store->db, user->aor,
			user->settings ? user->settings->text : STW_STR_NONE);
	if (rows < 0) {
		stw_user_free(user);
		group->err = rows;
		return;
	}
	job->changed += (unsigned)rows;
	group_push(group, (struct change){ .user = user }, 0);
}

/* Whoever gets the name next does not get the phones of the one before. */
static void remove_user_bindings(struct group *group, struct stw_job *job, struct stw_str aor)
{
	uint64_t hash = aor_hash(group, aor);
	const struct stw_bindings *old = group_bindings(group, aor, hash);
	struct stw_bindings *bindings;

	if (!old)
		return;
	bindings = stw_bindings_make(aor, 0, NULL, 0);
	if (bindings)
		group_change_bindings(group, job, old, bindings, hash);
	else
		group->err = -ENOMEM;
}

static void remove_user(struct group *group, struct stw_job *job, struct stw_str aor)
{
	int rows;

	if (group_begin(group) < 0)
		return;
	rows = db_user_remove(group->store->db, aor);
	if (rows < 0) {
		group->err = rows;
		return;
	}
	if (!rows)
		return;
	group_push(group, (struct change){ .removed_user = aor }, 0);
	remove_user_bindings(group, job, aor);
	job->changed += (unsigned)rows;
}

/* By address-of-record, or by rows. */
static void run_user_remove(struct group *group, struct stw_job *job)
{
	struct stw_str aor;
	unsigned i;

	if (job->aor.len)
		remove_user(group, job, job->aor);
	for (i = 0; i < job->user_count && !group->err; i++) {
		if (stw_aor_make(job->users[i].user, job->users[i].domain, &group->arena, &aor) < 0)
			group->err = -ENOMEM;
		else
			remove_user(group, job, aor);
	}
}

static bool uri_matches(struct stw_str wanted, struct stw_str uri)
{
	struct stw_uri a, b;

	if (!wanted.len || stw_str_equal(wanted, uri))
		return true;
	return stw_uri_parse(wanted, &a) == 0 && stw_uri_parse(uri, &b) == 0 &&
	       stw_uri_equal(&a, &b);
}

static void run_binding_remove(struct group *group, struct stw_job *job)
{
	uint64_t hash = aor_hash(group, job->aor);
	const struct stw_bindings *old = group_bindings(group, job->aor, hash);
	struct stw_bindings *bindings;
	struct stw_binding *kept;
	size_t cursor = 0;
	unsigned n = 0;

	if (!old)
		return;
	kept = malloc((old->n + 1u) * sizeof(*kept));
	if (!kept) {
		job->cause = &stw_cause_register_no_memory;
		return;
	}
	while (stw_bindings_next(old, &cursor, &kept[n]))
		n += !uri_matches(job->contact_uri, kept[n].uri);
	bindings = n < old->n ? stw_bindings_make(job->aor, old->version + 1, kept, n) : NULL;
	if (bindings)
		group_change_bindings(group, job, old, bindings, hash);
	else if (n < old->n)
		job->cause = &stw_cause_register_no_memory;
	free(kept);
}

static bool has_expired(const struct stw_bindings *bindings, struct stw_now now)
{
	struct stw_binding binding;
	size_t cursor = 0;

	while (bindings && stw_bindings_next(bindings, &cursor, &binding))
		if (binding.expires_ms <= now.wall_ms)
			return true;
	return false;
}

/* A REGISTER that asks for nothing leaves out what has expired. */
static void sweep_bindings(struct group *group, const struct stw_bindings *old, uint64_t hash)
{
	static const struct stw_registrar_options no_limits;
	struct stw_register *request = calloc(1, sizeof(*request));
	struct stw_bindings *bindings;

	if (!request)
		return;
	request->aor = stw_bindings_aor(old);
	if (!stw_register_apply(old, request, &no_limits, group->sweep->now, &bindings)) {
		group_change_bindings(group, group->sweep, old, bindings, hash);
		group->swept++;
	}
	free(request);
}

static bool sweep_visit(void *context, const struct stw_bindings *published)
{
	struct group *group = context;
	const struct stw_bindings *old;
	uint64_t hash;

	if (!has_expired(published, group->sweep->now))
		return true;
	hash = aor_hash(group, stw_bindings_aor(published));
	old = group_bindings(group, stw_bindings_aor(published), hash);
	if (has_expired(old, group->sweep->now))
		sweep_bindings(group, old, hash);
	return !group->err && group->swept < SWEEP_AORS;
}

static void run_sweep(struct group *group, struct stw_job *job)
{
	group->sweep = job;
	group->swept = 0;
	stw_location_scan(group->store->options.location, &group->store->sweep_cursor, SWEEP_PLACES,
		sweep_visit, group);
	job->more = group->swept >= SWEEP_AORS;
}

/* @param hash  of the address-of-record of a REGISTER */
static void run_job(struct group *group, struct stw_job *job, uint64_t hash)
{
	switch (job->kind) {
	case STW_JOB_REGISTER:
		run_register(group, job, hash);
		break;
	case STW_JOB_USER_SET:
		run_user_set(group, job);
		break;
	case STW_JOB_USER_REMOVE:
		run_user_remove(group, job);
		break;
	case STW_JOB_SETTINGS:
		run_settings(group, job);
		break;
	case STW_JOB_BINDING_REMOVE:
		run_binding_remove(group, job);
		break;
	case STW_JOB_SWEEP:
		run_sweep(group, job);
		break;
	}
}

/* What they look for is read from memory while the first of them run. */
static void run_jobs(struct group *group)
{
	uint64_t hashes[GROUP_MAX] = { 0 };
	unsigned i;

	for (i = 0; i < group->n; i++)
		if (group->jobs[i]->kind == STW_JOB_REGISTER)
			hashes[i] = aor_hash(group, group->jobs[i]->registration->aor);
	stw_location_expect(group->store->options.location, hashes, group->n);
	for (i = 0; i < group->n && !group->err; i++)
		run_job(group, group->jobs[i], hashes[i]);
}

/* ---- all or nothing
 * ------------------------------------------------------------------------------ */

/* All snapshots of the group, as one entry. */
static int group_journal(struct group *group)
{
	size_t bytes = 0, i;
	uint8_t *data, *at;
	int err;

	if (!group->snapshots)
		return 0;
	for (i = 0; i < group->count; i++)
		if (group->changes[i].bindings)
			bytes += stw_bindings_stored_bytes(group->changes[i].bindings);
	data = at = db_room(group->store->db, bytes);
	if (!data)
		return -ENOMEM;
	for (i = 0; i < group->count; i++) {
		const struct stw_bindings *bindings = group->changes[i].bindings;

		if (!bindings)
			continue;
		stw_bindings_store(bindings, at);
		at += stw_bindings_stored_bytes(bindings);
	}
	err = db_journal_put(group->store->db, group->number, data, bytes);
	return err < 0 ? err : 0;
}

/* Room first: after the commit nothing may fail. */
static void group_commit(struct group *group)
{
	const struct stw_store_options *options = &group->store->options;

	if (!group->err && group->count) {
		group->err = stw_location_reserve(options->location, group->count);
		if (!group->err)
			group->err = stw_directory_reserve(
				options->directory, group->count, group->names);
	}
	if (group->begun && !group->err)
		group->err = group_journal(group);
	if (group->begun && !group->err)
		group->err = db_commit(group->store->db);
	if (group->begun && group->err)
		db_rollback(group->store->db);
}

static void group_publish(struct group *group)
{
	const struct stw_store_options *options = &group->store->options;
	struct stw_store *store = group->store;
	size_t i;

	if (group->snapshots)
		store->last_group = group->number;
	store->journaled += group->snapshots;
	store->replaced += group->count;

	for (i = 0; i < group->count; i++) {
		struct change *change = &group->changes[i];

		if (change->bindings) {
			stw_location_publish_hashed(
				options->location, change->bindings, group->hashes[i]);
		} else if (change->user) {
			stw_directory_publish(options->directory, change->user);
		} else {
			stw_directory_remove(options->directory, change->removed_user);
			atomic_fetch_add(&store->removed_users, 1);
		}
	}
}

/* What a job was told may rest on another one that is undone now: all of them fail. */
static void group_undo(struct group *group)
{
	size_t i;

	for (i = 0; i < group->count; i++) {
		free(group->changes[i].bindings);
		stw_user_free(group->changes[i].user);
	}
	for (i = 0; i < group->n; i++) {
		struct stw_job *job = group->jobs[i];

		job->result = NULL;
		job->changed = 0;
		job->more = false;
		job->cause = &stw_cause_commit_failed;
	}
}

/* There is room: no more jobs are under way than the ring holds. */
static void store_answer(struct stw_store *store, struct group *group)
{
	uint64_t answered = 0;
	unsigned i;

	for (i = 0; i < group->n; i++) {
		unsigned queue = group->jobs[i]->queue;

		answered |= UINT64_C(1) << queue;
		stw_ring_push(store->queues[queue].results, group->jobs[i]);
	}
	atomic_thread_fence(memory_order_seq_cst);
	for (i = 0; store->options.wake && answered; i++, answered >>= 1) {
		if ((answered & 1) && atomic_exchange(&store->queues[i].drained, false))
			store->options.wake(store->options.wake_context, i);
	}
}

/* What changes users rests on what is published, not on what the group has done so far. */
static bool is_alone(const struct stw_job *job)
{
	return job->kind == STW_JOB_USER_SET || job->kind == STW_JOB_USER_REMOVE ||
	       job->kind == STW_JOB_SETTINGS;
}

/* From each queue in turn, so that a busy one does not keep the others waiting. */
static void group_collect(struct stw_store *store, struct group *group)
{
	unsigned empty = 0;

	if (store->held) {
		group->jobs[group->n++] = store->held;
		store->held = NULL;
		return;
	}
	while (group->n < GROUP_MAX && empty < store->options.queues) {
		struct stw_job *job = stw_ring_pop(store->queues[store->next_queue].jobs);

		empty = job ? 0 : empty + 1;
		store->next_queue = (store->next_queue + 1) % store->options.queues;
		if (job && is_alone(job) && group->n) {
			store->held = job;
			return;
		}
		if (job)
			group->jobs[group->n++] = job;
		if (job && is_alone(job))
			return;
	}
}

/* Waiting for all readers costs as much for many as for one. */
static void store_reclaim(struct stw_store *store, bool now)
{
	if (!now && store->replaced < RECLAIM_AT)
		return;
	stw_location_reclaim(store->options.location);
	stw_directory_reclaim(store->options.directory);
	store->replaced = 0;
}

/* Snapshots that make the journal long beside what it would become. */
static size_t journal_limit(const struct stw_store *store)
{
	size_t rows = 4 * stw_location_count(store->options.location);

	return rows > FOLD_AT ? rows : FOLD_AT;
}

/* While more registrations wait than a group takes, the journal may grow as long once more. */
static bool fold_waits(const struct stw_store *store)
{
	size_t folding = store->fold.running ? store->folding : 0;

	return atomic_load(&store->waiting) >= GROUP_MAX &&
	       folding + store->journaled < 2 * journal_limit(store);
}

/* Now and then, and when the journal is long. Without memory for it the journal grows on until the
 * next time. */
static void store_fold_begin(struct stw_store *store)
{
	if (!store->journaled || (!store->fold_due && store->journaled < journal_limit(store)))
		return;
	store->fold_due = false;
	if (fold_begin(&store->fold, store->options.location, store->folded, store->last_group) < 0)
		return;
	store->folding = store->journaled;
	store->journaled = 0;
}

/* @param parts  of which one step is made; @return false: nothing to fold */
static bool store_fold(struct stw_store *store, unsigned parts)
{
	uint64_t until;
	int more;

	if (fold_waits(store))
		return store->fold.running;
	if (!store->fold.running)
		store_fold_begin(store);
	if (!store->fold.running)
		return false;
	until = store->fold.until;
	more = fold_step(&store->fold, store->db, store->options.location, parts);
	if (more == 0)
		store->folded = until;
	else if (more < 0)
		store->journaled++; /* of what it has left there, so that it is tried again */
	return true;
}

/* What is left in the journal when the store is closed would have to be read at the next start. In
 * larger parts: nobody waits. */
static void store_fold_all(struct stw_store *store)
{
	while (store->fold.running && store_fold(store, FOLD_PARTS_LAST))
		;
	store->fold_due = true;
	while (store_fold(store, FOLD_PARTS_LAST))
		;
}

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Registrations that follow each other are under load; what changes users never waits. */
static void store_watch(struct stw_store *store, const struct group *group)
{
	uint64_t now_us;

	store->pressed = false;
	if (group->jobs[0]->kind != STW_JOB_REGISTER)
		return;
	now_us = clock_us();
	store->pressed = now_us - store->group_us < 2 * PACE_US;
	store->group_us = now_us;
}

/* @return false: no job waits */
static bool store_run_group(struct stw_store *store)
{
	struct group group = { .store = store, .number = store->last_group + 1 };
	bool swept; /* and no other sweep follows at once */

	group_collect(store, &group);
	if (!group.n)
		return false;
	atomic_fetch_sub(&store->waiting, group.n);
	if (store->options.threaded)
		store_watch(store, &group);
	stw_arena_init(&group.arena, GROUP_BYTES_MAX);
	run_jobs(&group);
	group_commit(&group);
	if (group.err)
		group_undo(&group);
	else
		group_publish(&group);
	swept = group.sweep && !group.sweep->more;
	store_answer(store, &group);
	/* Behind the results: the submitter need not wait for the readers of the old snapshots. */
	store_reclaim(store, swept);
	if (swept && store->options.threaded)
		stw_memory_return();
	store->fold_due = store->fold_due || swept;
	stw_arena_done(&group.arena);
	free(group.changes);
	free(group.hashes);
	return true;
}

/* ---- the thread
 * ---------------------------------------------------------------------------------------- */

/* @return false: told to stop, and nothing waits */
static bool store_sleep(struct stw_store *store)
{
	bool stop;

	atomic_store(&store->sleeping, true);
	/* What was counted before "sleeping" was seen is found here; for what comes later somebody
	 * ends it and posts. */
	stop = atomic_load(&store->stop);
	if ((stop || atomic_load(&store->waiting)) && atomic_exchange(&store->sleeping, false))
		return !stop || atomic_load(&store->waiting);
	while (sem_wait(&store->wake) < 0)
		;
	return true;
}

/* A large group costs less for each of its jobs, and while the thread naps nobody needs to wake it.
 * A REGISTER that comes alone does not wait. */
static void store_nap(struct stw_store *store)
{
	uint64_t now_us = store->pressed ? clock_us() : 0, end_us = store->group_us + PACE_US;
	struct timespec pause = { .tv_nsec = (long)(end_us - now_us) * 1000 };

	if (store->pressed && now_us < end_us && !store->fold.running &&
		atomic_load(&store->waiting) < PACE_JOBS)
		nanosleep(&pause, NULL);
	store->pressed = false;
}

static void *store_thread(void *context)
{
	struct stw_store *store = context;

	pthread_setname_np(pthread_self(), "strowger-store");
	if (store->options.thread_start)
		store->options.thread_start();
	do {
		while ((int)store_run_group(store) | (int)store_fold(store, 1))
			store_nap(store);
	} while (store_sleep(store));
	store_fold_all(store);
	store->db = db_close(store->db); /* files are this thread's alone, to the end */
	return NULL;
}

static int store_start(struct stw_store *store)
{
	int err;

	err = stw_thread_start(&store->thread, store_thread, store);
	store->started = err == 0;
	return err;
}

/* A semaphore, because whoever is woken by a condition variable waits for its mutex first: on one
 * CPU two more switches. */
static void store_wake(struct stw_store *store)
{
	if (atomic_exchange(&store->sleeping, false))
		sem_post(&store->wake);
}

int stw_store_submit(struct stw_store *store, struct stw_job *job)
{
	struct queue *queue = &store->queues[job->queue];

	if (queue->under_way == QUEUE_MAX)
		return -ENOBUFS;
	job->result = NULL;
	job->cause = NULL;
	job->changed = 0;
	job->refused = 0;
	job->more = false;
	queue->under_way++;
	atomic_fetch_add(&store->waiting, 1);
	stw_ring_push(queue->jobs, job);
	return 0;
}

/* Once for all jobs of a batch, and only when it sleeps. */
static void store_kick(struct stw_store *store)
{
	if (store->started && atomic_load(&store->waiting))
		store_wake(store);
}

struct stw_job *stw_store_result(struct stw_store *store, unsigned queue)
{
	struct queue *own = &store->queues[queue];
	struct stw_job *job = stw_ring_pop(own->results);

	if (!job) {
		atomic_store(&own->drained, true);
		atomic_thread_fence(memory_order_seq_cst);
		job = stw_ring_pop(own->results);
	}
	if (job)
		own->under_way--;
	else
		store_kick(store);
	return job;
}

uint64_t stw_store_removed_users(const struct stw_store *store)
{
	return atomic_load_explicit(&store->removed_users, memory_order_acquire);
}

void stw_store_run(struct stw_store *store)
{
	if (store->options.held && *store->options.held)
		return;
	while (!store->options.threaded &&
		((int)store_run_group(store) | (int)store_fold(store, 1)))
		;
}

/* ---- open and close
 * ---------------------------------------------------------------------------------------- */

static struct stw_store *store_free(struct stw_store *store)
{
	if (!store)
		return NULL;
	fold_end(&store->fold);
	db_close(store->db);
	for (unsigned i = 0; i < store->options.queues; i++) {
		stw_ring_free(store->queues[i].jobs);
		stw_ring_free(store->queues[i].results);
	}
	sem_destroy(&store->wake);
	free(store);
	return NULL;
}

static struct stw_store *store_new(const struct stw_store_options *options)
{
	struct stw_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->options = *options;
	store->options.path = STW_STR_NONE;
	sem_init(&store->wake, 0, 0);
	atomic_init(&store->stop, false);
	atomic_init(&store->waiting, 0);
	atomic_init(&store->sleeping, false);
	if (!store->options.queues)
		store->options.queues = 1;
	for (unsigned i = 0; i < store->options.queues; i++) {
		struct queue *queue = &store->queues[i];

		atomic_init(&queue->drained, true);
		if (stw_ring_new(QUEUE_MAX, &queue->jobs) < 0 ||
			stw_ring_new(QUEUE_MAX, &queue->results) < 0)
			return store_free(store);
	}
	return store;
}

int stw_store_open(const struct stw_store_options *options, struct stw_now now,
	struct stw_store **ret, char *ret_error, size_t error_size)
{
	struct stw_store *store = store_new(options);
	int err;

	if (!store) {
		snprintf(ret_error, error_size, "store %.*s cannot be opened: out of memory",
			STW_STR_ARG(options->path));
		return -ENOMEM;
	}
	err = db_open(options, &store->db, ret_error, error_size);
	if (err == 0)
		err = db_load(store->db, options, now, &store->last_group, &store->journaled,
			ret_error, error_size);
	if (err < 0) {
		store_free(store);
		return err;
	}
	stw_location_reclaim(options->location);
	stw_directory_reclaim(options->directory);
	if (options->threaded) {
		err = store_start(store);
		if (err < 0) {
			snprintf(ret_error, error_size, "the store thread cannot be started");
			store_free(store);
			return err;
		}
	}
	*ret = store;
	return 0;
}

struct stw_store *stw_store_close(struct stw_store *store)
{
	if (!store)
		return NULL;
	if (store->started) {
		atomic_store(&store->stop, true);
		store_wake(store);
		pthread_join(store->thread, NULL);
	} else {
		while (store_run_group(store))
			;
		store_fold_all(store);
	}
	return store_free(store);
}
