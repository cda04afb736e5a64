/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Nonce counts, RFC 7616 §3.4 "nc": each nc of a nonce is good once. Counts may overtake one
 * another on the way, so a window of 64 below the highest is kept.
 *
 * Memory is bounded: a set of four entries per bucket, the nonce that was issued first makes
 * room. What was forgotten must not come back: a bucket remembers when the youngest nonce that
 * it ever forgot was issued, and a nonce that is not in it and not younger counts as seen.
 *
 * A bucket is held for some ten instructions. Nobody waits long for another worker at the same
 * bucket: whose holder does not run at all just now counts as seen, and its sender is challenged
 * once more (stale=true).
 */
#define WINDOW 64
#define WAYS   4
#define TRIES  2000 /* some microseconds */

struct entry {
	struct nonce nonce;
	uint64_t window; /* bit n: highest - n was seen; 0: the entry is free */
	uint32_t highest;
	bool once; /* used up by a request without nc */
};

struct bucket {
	atomic_bool held;
	uint64_t forgotten_ms; /* issue time of the youngest nonce that made room */
	struct entry entries[WAYS];
};

struct nonce_counts {
	size_t mask;
	struct bucket buckets[];
};

int nonce_counts_new(size_t slots, struct nonce_counts **ret)
{
	size_t buckets = slots > WAYS ? slots / WAYS : 1;
	struct nonce_counts *counts;

	if (buckets > (SIZE_MAX - sizeof(*counts)) / sizeof(counts->buckets[0]))
		return -ENOMEM;
	counts = calloc(1, sizeof(*counts) + buckets * sizeof(counts->buckets[0]));
	if (!counts)
		return -ENOMEM;
	counts->mask = buckets - 1; /* the buckets are touched when they are needed */
	*ret = counts;
	return 0;
}

struct nonce_counts *nonce_counts_free(struct nonce_counts *counts)
{
	free(counts);
	return NULL;
}

static struct entry *entry_find(struct bucket *bucket, const struct nonce *nonce)
{
	for (unsigned i = 0; i < WAYS; i++) {
		struct entry *entry = &bucket->entries[i];

		if (entry->window && entry->nonce.random == nonce->random &&
			entry->nonce.issued_ms == nonce->issued_ms)
			return entry;
	}
	return NULL;
}

static struct entry *entry_make_room(struct bucket *bucket)
{
	struct entry *oldest = &bucket->entries[0];

	for (unsigned i = 0; i < WAYS; i++) {
		struct entry *entry = &bucket->entries[i];

		if (!entry->window)
			return entry;
		if (entry->nonce.issued_ms < oldest->nonce.issued_ms)
			oldest = entry;
	}
	if (oldest->nonce.issued_ms > bucket->forgotten_ms)
		bucket->forgotten_ms = oldest->nonce.issued_ms;
	return oldest;
}

static bool window_take(struct entry *entry, uint32_t nc)
{
	uint64_t bit;

	if (nc > entry->highest) {
		uint32_t ahead = nc - entry->highest;

		entry->window = ahead < WINDOW ? entry->window << ahead | 1 : 1;
		entry->highest = nc;
		return true;
	}
	if (entry->highest - nc >= WINDOW)
		return false;
	bit = UINT64_C(1) << (entry->highest - nc);
	if (entry->window & bit)
		return false;
	entry->window |= bit;
	return true;
}

static bool bucket_take(struct bucket *bucket, const struct nonce *nonce, uint64_t nc)
{
	struct entry *entry = entry_find(bucket, nonce);

	if (entry)
		return nc != NC_ONCE && !entry->once && window_take(entry, (uint32_t)nc);
	if (nonce->issued_ms <= bucket->forgotten_ms)
		return false;
	entry = entry_make_room(bucket);
	*entry = (struct entry){
		.nonce = *nonce, .window = 1, .highest = (uint32_t)nc, .once = nc == NC_ONCE
	};
	return true;
}

bool nonce_counts_take(struct nonce_counts *counts, const struct nonce *nonce, uint64_t nc)
{
	/* Fibonacci hashing: the upper half of the product depends on all bits. */
	size_t index = (size_t)(nonce->random * UINT64_C(0x9e3779b97f4a7c15) >> 32) & counts->mask;
	struct bucket *bucket = &counts->buckets[index];
	unsigned tries = 0;
	bool taken;

	while (atomic_exchange_explicit(&bucket->held, true, memory_order_acquire)) {
		if (++tries == TRIES)
			return false;
	}
	taken = bucket_take(bucket, nonce, nc);
	atomic_store_explicit(&bucket->held, false, memory_order_release);
	return taken;
}
