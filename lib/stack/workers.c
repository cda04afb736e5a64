/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stacks of several threads share: a ring from each to each, who sleeps, and the registry
 * of flows. No lock; nobody waits for anybody.
 */
#include <strowger/stack.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define RING_DEFAULT     4096
#define RINGS_BYTES_MAX  (8u << 20) /* many workers have shorter rings */
#define RING_MIN         64

/* On a cache line of its own: the owner writes it a few times a turn. */
struct seat {
	_Alignas(STW_CACHE_LINE_BYTES) atomic_bool sleeping;
	atomic_size_t room_used; /* as of the end of its last batch */
};

struct stw_workers {
	unsigned n;
	struct stw_hash_key key;
	void (*wake)(void *context, unsigned worker);
	void *wake_context;
	struct stw_flow_registry *registry;
	struct stw_ring **rings; /* from * n + to */
	struct seat seats[];
};

static size_t ring_places(const struct stw_workers_options *options)
{
	size_t places = options->ring_places ? options->ring_places : RING_DEFAULT;

	while (!options->ring_places && places > RING_MIN &&
		places * options->n * options->n * sizeof(void *) > RINGS_BYTES_MAX)
		places /= 2;
	return places;
}

static int rings_new(struct stw_workers *workers, size_t places)
{
	unsigned i, count = workers->n * workers->n;
	int err = 0;

	workers->rings = calloc(count, sizeof(struct stw_ring *));
	if (!workers->rings)
		return -ENOMEM;
	for (i = 0; err == 0 && i < count; i++) {
		if (i / workers->n != i % workers->n)
			err = stw_ring_new(places, &workers->rings[i]);
	}
	return err;
}

static struct stw_workers *workers_alloc(unsigned n)
{
	size_t bytes = sizeof(struct stw_workers) + n * sizeof(struct seat);
	struct stw_workers *workers = aligned_alloc(_Alignof(struct stw_workers), bytes);

	if (workers)
		memset(workers, 0, bytes);
	return workers;
}

int stw_workers_new(const struct stw_workers_options *options, struct stw_workers **ret)
{
	struct stw_workers *workers;
	int err;

	if (options->n == 0 || options->n > STW_WORKERS_MAX)
		return -EINVAL;
	workers = workers_alloc(options->n);
	if (!workers)
		return -ENOMEM;
	workers->n = options->n;
	workers->key = options->key;
	workers->wake = options->wake;
	workers->wake_context = options->wake_context;
	for (unsigned i = 0; i < options->n; i++) {
		atomic_init(&workers->seats[i].sleeping, false);
		atomic_init(&workers->seats[i].room_used, 0);
	}
	err = stw_flow_registry_new(options->n,
		options->flow_slots ? options->flow_slots : options->max_flows, options->max_flows,
		options->key, &workers->registry);
	if (err == 0)
		err = rings_new(workers, ring_places(options));
	if (err < 0) {
		stw_workers_free(workers);
		return err;
	}
	*ret = workers;
	return 0;
}

struct stw_workers *stw_workers_free(struct stw_workers *workers)
{
	if (!workers)
		return NULL;
	for (unsigned i = 0; workers->rings && i < workers->n * workers->n; i++) {
		struct parcel *parcel;

		while (workers->rings[i] && (parcel = stw_ring_pop(workers->rings[i])))
			parcel_free(parcel);
		stw_ring_free(workers->rings[i]);
	}
	free(workers->rings);
	stw_flow_registry_free(workers->registry);
	free(workers);
	return NULL;
}

/* The key is secret: nobody can aim all his calls at one worker. */
unsigned stw_workers_owner(const struct stw_workers *workers, struct stw_str call_id)
{
	uint64_t hash = stw_hash(workers->key, call_id.ptr, call_id.len);

	return (unsigned)((hash >> 32) * workers->n >> 32);
}

/* A response belongs to the transaction that its branch names, whatever else it says (§17.1.3). */
unsigned workers_owner(const struct stw_workers *workers, const struct stw_msg *msg)
{
	unsigned worker;

	if (!msg->is_request && stw_proxy_branch_worker(msg->via.branch, &worker) &&
		worker < workers->n)
		return worker;
	return stw_workers_owner(workers, msg->call_id);
}

struct stw_ring *workers_ring(const struct stw_workers *workers, unsigned from, unsigned to)
{
	return workers->rings[from * workers->n + to];
}

unsigned stw_workers_count(const struct stw_workers *workers)
{
	return workers->n;
}

struct stw_flow_registry *workers_registry(const struct stw_workers *workers)
{
	return workers->registry;
}

/* ---- limits that hold for all: known as of the last batch, nothing is shared by message ---- */

void workers_tell_room(struct stw_workers *workers, unsigned worker, size_t used)
{
	atomic_store_explicit(&workers->seats[worker].room_used, used, memory_order_relaxed);
}

size_t workers_room(const struct stw_workers *workers, unsigned but)
{
	size_t sum = 0;

	for (unsigned i = 0; i < workers->n; i++) {
		if (i != but)
			sum += atomic_load_explicit(
				&workers->seats[i].room_used, memory_order_relaxed);
	}
	return sum;
}

/* ---- who sleeps ------------------------------------------------------------------------ */

/*
 * Either the one who lies down sees what was pushed, or the one who pushed sees that he sleeps:
 * each writes first, then reads, with a fence between.
 */
bool stw_workers_rest(struct stw_workers *workers, unsigned worker)
{
	struct seat *seat = &workers->seats[worker];

	atomic_store_explicit(&seat->sleeping, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned from = 0; from < workers->n; from++) {
		if (from != worker && !stw_ring_empty(workers_ring(workers, from, worker))) {
			stw_workers_rise(workers, worker);
			return false;
		}
	}
	return true;
}

void stw_workers_rise(struct stw_workers *workers, unsigned worker)
{
	atomic_store_explicit(&workers->seats[worker].sleeping, false, memory_order_relaxed);
}

bool stw_workers_quiet(const struct stw_workers *workers)
{
	for (unsigned i = 0; i < workers->n * workers->n; i++) {
		if (workers->rings[i] && !stw_ring_empty(workers->rings[i]))
			return false;
	}
	return true;
}

void workers_call(struct stw_workers *workers, uint64_t pushed_to)
{
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; pushed_to; i++, pushed_to >>= 1) {
		if (!(pushed_to & 1) ||
			!atomic_load_explicit(&workers->seats[i].sleeping, memory_order_relaxed))
			continue;
		if (atomic_exchange_explicit(
			    &workers->seats[i].sleeping, false, memory_order_relaxed) &&
			workers->wake)
			workers->wake(workers->wake_context, i);
	}
}
