/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of places in buckets. A place is one word, name and count together, and is changed by
 * compare-and-swap: so it is never counted for a user who has lost it. Two workers may give one
 * user two places; they are counted together, and either may be left.
 */
#include "server/call/busy.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKET     16u
#define COUNT_BITS 20u
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

struct place {
	_Atomic uint64_t word; /* the upper bits of the hash, and the count; 0: never used */
	_Atomic uint64_t ended_ms;
};

struct stw_busy {
	struct stw_hash_key key;
	size_t buckets; /* a power of two */
	_Atomic uint64_t leaves;
	struct place *places;
};

int stw_busy_new(struct stw_hash_key key, size_t users, struct stw_busy **ret)
{
	struct stw_busy *busy = calloc(1, sizeof(*busy));

	if (!busy)
		return -ENOMEM;
	busy->key = key;
	/* Half of the places stay free, so that a bucket is hardly ever full. */
	for (busy->buckets = 1; busy->buckets * BUCKET < users * 2;)
		busy->buckets *= 2;
	busy->places = calloc(busy->buckets * BUCKET, sizeof(*busy->places));
	if (!busy->places) {
		free(busy);
		return -ENOMEM;
	}
	*ret = busy;
	return 0;
}

struct stw_busy *stw_busy_free(struct stw_busy *busy)
{
	if (busy)
		free(busy->places);
	free(busy);
	return NULL;
}

/* The lower bits choose the bucket, the upper ones are the name; it is never 0. */
static struct place *bucket_of(const struct stw_busy *busy, struct stw_str aor, uint64_t *ret_name)
{
	uint64_t hash = stw_hash(busy->key, aor.ptr, aor.len);

	*ret_name = hash & ~COUNT_MASK;
	if (!*ret_name)
		*ret_name = UINT64_C(1) << COUNT_BITS;
	return &busy->places[(hash & (busy->buckets - 1)) * BUCKET];
}

/* @param but  this place does not count; NULL: all do */
static unsigned bucket_count(const struct place *bucket, uint64_t name, const struct place *but)
{
	unsigned count = 0;

	for (unsigned i = 0; i < BUCKET; i++) {
		uint64_t word = atomic_load(&bucket[i].word);

		if (&bucket[i] != but && (word & ~COUNT_MASK) == name)
			count += (unsigned)(word & COUNT_MASK);
	}
	return count;
}

unsigned stw_busy_count(const struct stw_busy *busy, struct stw_str aor)
{
	uint64_t name;
	const struct place *bucket = bucket_of(busy, aor, &name);

	return bucket_count(bucket, name, NULL);
}

uint64_t stw_busy_ended_ms(const struct stw_busy *busy, struct stw_str aor)
{
	uint64_t name, last = 0, ended;
	const struct place *bucket = bucket_of(busy, aor, &name);

	for (unsigned i = 0; i < BUCKET; i++) {
		if ((atomic_load(&bucket[i].word) & ~COUNT_MASK) != name)
			continue;
		ended = atomic_load(&bucket[i].ended_ms);
		if (ended > last)
			last = ended;
	}
	return last;
}

/* Where the user is counted; else one that was never used; else that of whoever is free longest. */
static struct place *place_choose(struct place *bucket, uint64_t name, uint64_t *ret_word)
{
	struct place *best = NULL;
	uint64_t word, best_ended = 0, ended;

	for (unsigned i = 0; i < BUCKET; i++) {
		word = atomic_load(&bucket[i].word);
		if ((word & ~COUNT_MASK) == name && (word & COUNT_MASK) < COUNT_MASK) {
			*ret_word = word;
			return &bucket[i];
		}
		if (word & COUNT_MASK)
			continue;
		ended = word ? atomic_load(&bucket[i].ended_ms) + 1 : 0;
		if (!best || ended < best_ended) {
			best = &bucket[i];
			best_ended = ended;
			*ret_word = word;
		}
	}
	return best;
}

/* @param ended_ms  NULL: it was never a call */
static bool take_one(struct stw_busy *busy, struct stw_str aor, const uint64_t *ended_ms)
{
	uint64_t name, word;
	struct place *bucket = bucket_of(busy, aor, &name);

	for (unsigned i = 0; i < BUCKET; i++) {
		word = atomic_load(&bucket[i].word);
		while ((word & ~COUNT_MASK) == name && (word & COUNT_MASK)) {
			/* First: who finds the user free finds since when. */
			if (ended_ms)
				atomic_store(&bucket[i].ended_ms, *ended_ms);
			if (atomic_compare_exchange_weak(&bucket[i].word, &word, word - 1))
				return true;
		}
	}
	return false;
}

/* The word that is exchanged says who was first: of two calls for the last free place one gets it,
 * and who is refused was never counted, so that he keeps nobody else out. */
int stw_busy_enter(struct stw_busy *busy, struct stw_str aor, unsigned limit)
{
	uint64_t name, word, next;
	struct place *bucket = bucket_of(busy, aor, &name), *place;
	bool known;

	do {
		place = place_choose(bucket, name, &word);
		if (!place)
			return -ENOBUFS;
		known = (word & ~COUNT_MASK) == name;
		next = (known ? word : name) + 1;
		if (limit && (next & COUNT_MASK) + bucket_count(bucket, name, place) > limit)
			return -EBUSY;
		/* What another user leaves behind is not this one's. */
		if (!known)
			atomic_store(&place->ended_ms, 0);
	} while (!atomic_compare_exchange_weak(&place->word, &word, next));
	/* Another worker may have given him another place at the same moment: then both go. */
	if (!limit || (next & COUNT_MASK) + bucket_count(bucket, name, place) <= limit)
		return 0;
	take_one(busy, aor, NULL);
	return -EBUSY;
}

void stw_busy_leave(struct stw_busy *busy, struct stw_str aor, uint64_t now_ms)
{
	if (take_one(busy, aor, &now_ms))
		atomic_fetch_add(&busy->leaves, 1);
}

uint64_t stw_busy_leaves(const struct stw_busy *busy)
{
	return atomic_load(&busy->leaves);
}
