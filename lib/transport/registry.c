/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the workers know of each other's flows, in atomics alone: how many there are, how many each
 * IP address has opened to us, which of them live, and which one reaches an address.
 *
 * An address has a way in the set of ways that its hash names. A way is one word, tag and count, so
 * that both change at once; it is free when the count is 0. Two workers that begin with the same
 * address at the same moment may take a way each: the count of an address is the sum over the set.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define WAYS       8
#define SETS_MAX   (1u << 20)
#define COUNT_BITS 24
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

/* A flow by the hash of transport and remote address. */
struct place {
	_Atomic uint64_t name; /* 0: free */
	_Atomic uint64_t hash; /* valid while `name` stays */
};

struct stw_flow_registry {
	struct stw_hash_key key;
	unsigned workers, slots; /* of each */
	atomic_uint total;
	size_t mask;
	_Atomic uint64_t *ways;   /* (mask + 1) sets */
	struct place *places;     /* likewise; NULL: nobody shares them */
	_Atomic uint64_t *living; /* by worker and slot: generation and state; 0: none */
};

int stw_flow_registry_new(unsigned workers, unsigned slots, unsigned max_flows,
	struct stw_hash_key key, struct stw_flow_registry **ret)
{
	struct stw_flow_registry *registry = calloc(1, sizeof(*registry));
	size_t sets = 1;

	if (!registry)
		return -ENOMEM;
	/* Two addresses a set when each flow comes from another one. */
	while (sets < max_flows / 2 && sets < SETS_MAX)
		sets *= 2;
	registry->key = key;
	registry->workers = workers;
	registry->slots = slots;
	registry->mask = sets - 1;
	atomic_init(&registry->total, 0);
	registry->ways = calloc(sets * WAYS, sizeof(*registry->ways));
	registry->living = calloc((size_t)workers * slots + 1, sizeof(*registry->living));
	if (workers)
		registry->places = calloc(sets * WAYS, sizeof(*registry->places));
	if (!registry->ways || !registry->living || (workers && !registry->places)) {
		stw_flow_registry_free(registry);
		return -ENOMEM;
	}
	*ret = registry;
	return 0;
}

struct stw_flow_registry *stw_flow_registry_free(struct stw_flow_registry *registry)
{
	if (registry) {
		free(registry->ways);
		free(registry->places);
		free(registry->living);
	}
	free(registry);
	return NULL;
}

/* ---- in all ------------------------------------------------------------------------ */

unsigned registry_total(const struct stw_flow_registry *registry)
{
	return atomic_load_explicit(&registry->total, memory_order_relaxed);
}

int registry_take(struct stw_flow_registry *registry, unsigned max)
{
	if (atomic_fetch_add_explicit(&registry->total, 1, memory_order_relaxed) < max)
		return 0;
	atomic_fetch_sub_explicit(&registry->total, 1, memory_order_relaxed);
	return -ENOBUFS;
}

void registry_give(struct stw_flow_registry *registry)
{
	atomic_fetch_sub_explicit(&registry->total, 1, memory_order_relaxed);
}

/* ---- by source ----------------------------------------------------------------------- */

static _Atomic uint64_t *source_set(
	const struct stw_flow_registry *registry, const struct stw_addr *addr, uint64_t *ret_tag)
{
	uint64_t words[2] = { stw_addr_network(addr), addr->family };
	uint64_t hash = stw_hash(registry->key, words, sizeof(words));

	*ret_tag = hash & ~COUNT_MASK;
	return registry->ways + (hash & registry->mask & COUNT_MASK) * WAYS;
}

unsigned registry_source(const struct stw_flow_registry *registry, const struct stw_addr *addr)
{
	unsigned count = 0;
	uint64_t tag;
	_Atomic uint64_t *set = source_set(registry, addr, &tag);

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);

		if ((word & ~COUNT_MASK) == tag)
			count += (unsigned)(word & COUNT_MASK);
	}
	return count;
}

/* The way to count in: that of the address, else a free one. NULL: all are taken by others. */
static _Atomic uint64_t *source_way(_Atomic uint64_t *set, uint64_t tag, uint64_t *ret_word)
{
	_Atomic uint64_t *way = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);

		if ((word & COUNT_MASK) == 0 && way)
			continue;
		if ((word & COUNT_MASK) != 0 && (word & ~COUNT_MASK) != tag)
			continue;
		way = &set[i];
		*ret_word = word;
		if ((word & COUNT_MASK) != 0)
			break;
	}
	return way;
}

/* How often the address is counted in other ways of its set. */
static unsigned source_elsewhere(
	const _Atomic uint64_t *set, const _Atomic uint64_t *but, uint64_t tag)
{
	unsigned count = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);

		if (&set[i] != but && (word & ~COUNT_MASK) == tag)
			count += (unsigned)(word & COUNT_MASK);
	}
	return count;
}

/* Counts first and looks then at what the count became: of two workers with a connection each, one
 * sees that it is the last that has room. */
_Atomic uint64_t *registry_hold(
	struct stw_flow_registry *registry, const struct stw_addr *addr, unsigned max)
{
	uint64_t tag, word = 0, next;
	_Atomic uint64_t *set = source_set(registry, addr, &tag), *way;

	do {
		way = source_way(set, tag, &word);
		if (!way)
			return NULL;
		next = tag | ((word & COUNT_MASK) + 1);
	} while (!atomic_compare_exchange_weak_explicit(
		way, &word, next, memory_order_relaxed, memory_order_relaxed));
	if ((next & COUNT_MASK) + source_elsewhere(set, way, tag) <= max)
		return way;
	registry_release(way);
	return NULL;
}

/* Who holds a way keeps its tag: the count is at least 1 until then. */
void registry_release(_Atomic uint64_t *way)
{
	if (way)
		atomic_fetch_sub_explicit(way, 1, memory_order_relaxed);
}

/* ---- which live, and how --------------------------------------------------------------- */

#define STATE_SHIFT 32

static _Atomic uint64_t *living_place(
	const struct stw_flow_registry *registry, struct stw_flow_id id)
{
	if (id.worker >= registry->workers || id.slot >= registry->slots)
		return NULL;
	return &registry->living[(size_t)id.worker * registry->slots + id.slot];
}

/* Only the worker that has the flow writes: nothing changes between its two steps. */
void registry_set(
	struct stw_flow_registry *registry, struct stw_flow_id id, enum registry_state state)
{
	_Atomic uint64_t *place = living_place(registry, id);

	if (place)
		atomic_store_explicit(place, (uint64_t)state << STATE_SHIFT | id.generation,
			memory_order_release);
}

void registry_unset(struct stw_flow_registry *registry, struct stw_flow_id id)
{
	_Atomic uint64_t *place = living_place(registry, id);

	/* unless the next flow has the slot already */
	if (place && registry_state(registry, id) != REGISTRY_GONE)
		atomic_store_explicit(place, 0, memory_order_release);
}

enum registry_state registry_state(const struct stw_flow_registry *registry, struct stw_flow_id id)
{
	const _Atomic uint64_t *place = living_place(registry, id);
	uint64_t word = place ? atomic_load_explicit(place, memory_order_acquire) : 0;

	if (!stw_flow_id_set(id) || (uint32_t)word != id.generation)
		return REGISTRY_GONE;
	return (enum registry_state)(word >> STATE_SHIFT);
}

/* ---- which reach an address ------------------------------------------------------------ */

#define NAME_CLAIMED UINT64_C(1) /* being written; generation 0 names no flow */

static uint64_t name_of(struct stw_flow_id id)
{
	return (uint64_t)id.generation << 32 | (uint64_t)id.worker << 24 | id.slot;
}

static struct stw_flow_id id_of(uint64_t name)
{
	return (struct stw_flow_id){ .worker = (uint16_t)(name >> 24 & 0xff),
		.slot = (uint32_t)(name & 0xffffff),
		.generation = (uint32_t)(name >> 32) };
}

static struct place *place_set(const struct stw_flow_registry *registry, uint64_t hash)
{
	return registry->places ? registry->places + (hash & registry->mask) * WAYS : NULL;
}

/* Where all ways are taken the flow is not found by others, who then open their own. */
void registry_put(struct stw_flow_registry *registry, uint64_t hash, struct stw_flow_id id)
{
	struct place *set = place_set(registry, hash);

	for (unsigned i = 0; set && i < WAYS; i++) {
		uint64_t free_name = 0;

		if (!atomic_compare_exchange_strong(&set[i].name, &free_name, NAME_CLAIMED))
			continue;
		/* Release: who reads this hash finds NAME_CLAIMED or what came behind it, and never
		 * the name that was here before. */
		atomic_store_explicit(&set[i].hash, hash, memory_order_release);
		atomic_store_explicit(&set[i].name, name_of(id), memory_order_release);
		return;
	}
}

void registry_remove(struct stw_flow_registry *registry, uint64_t hash, struct stw_flow_id id)
{
	struct place *set = place_set(registry, hash);

	for (unsigned i = 0; set && i < WAYS; i++) {
		uint64_t name = name_of(id);

		if (atomic_compare_exchange_strong(&set[i].name, &name, 0))
			return;
	}
}

/*
 * The hash is keyed and has 64 bits: two addresses with the same one do not happen.
 *
 * Name, hash, and the name again: when it has stayed, the hash belongs to it. By the first acquire
 * the hash is no older than the name; by the second one (with the release of the hash in
 * registry_put()) the name that is read last is no older than the hash. No name comes twice: a flow
 * that gets the slot again has another generation.
 */
int registry_find(const struct stw_flow_registry *registry, uint64_t hash, struct stw_flow_id *ret)
{
	const struct place *set = place_set(registry, hash);

	for (unsigned i = 0; set && i < WAYS; i++) {
		uint64_t name = atomic_load_explicit(&set[i].name, memory_order_acquire);

		if (atomic_load_explicit(&set[i].hash, memory_order_acquire) != hash)
			continue;
		if (atomic_load_explicit(&set[i].name, memory_order_relaxed) != name ||
			registry_state(registry, id_of(name)) == REGISTRY_GONE)
			continue;
		*ret = id_of(name);
		return 0;
	}
	return -ENOENT;
}
