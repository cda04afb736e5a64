/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits for each source: a bucket for an IPv4 address or an IPv6 /64, in sets of a fixed table
 * that all workers share. A bucket that has run full says nothing, so its place is given away; in a
 * set of busy ones a stranger's goes first, the one nearest to full.
 *
 * A bucket is a virtual schedule (GCRA, ITU-T I.371): the time at which its next request would be
 * in rate. One word, changed by compare-and-swap; a lost race costs one request of the wrong count.
 */
#include <strowger/overload.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SET_WAYS  8
#define BURST_US  2000000 /* free at once: two seconds of the rate */
#define US_PER_S  1000000
#define US_PER_MS 1000
#define KNOWN_MS  3600000

struct source {
	_Atomic uint64_t net;      /* upper half of an IPv6 address, or ::ffff and an IPv4 one */
	_Atomic uint64_t tag;      /* of both halves and the family; 0: free */
	_Atomic uint64_t next_us;  /* virtual schedule of what is taken */
	_Atomic uint64_t reply_us; /* the same of the refusals that are answered */
	_Atomic uint64_t known_ms; /* until then; 0: a stranger */
	_Atomic uint64_t refused, dropped;
};

struct stw_sources {
	struct stw_hash_key key;
	size_t sets;
	struct source *v;
	_Atomic bool refusing; /* somebody has been refused once */
};

int stw_sources_new(unsigned count, struct stw_hash_key key, struct stw_sources **ret)
{
	struct stw_sources *sources = calloc(1, sizeof(*sources));

	if (!sources)
		return -ENOMEM;
	sources->key = key;
	sources->sets = count / SET_WAYS ? count / SET_WAYS : 1;
	sources->v = calloc(sources->sets * SET_WAYS, sizeof(*sources->v));
	if (!sources->v) {
		free(sources);
		return -ENOMEM;
	}
	*ret = sources;
	return 0;
}

struct stw_sources *stw_sources_free(struct stw_sources *sources)
{
	if (sources)
		free(sources->v);
	free(sources);
	return NULL;
}

/* ---- finding one ------------------------------------------------------------------- */

static uint64_t source_tag(const struct stw_sources *sources, const struct stw_addr *addr)
{
	uint64_t words[2] = { stw_addr_network(addr), addr->family };
	uint64_t hash = stw_hash(sources->key, words, sizeof(words));

	/* The lowest bit says the family when it is shown. */
	return (hash & ~UINT64_C(3)) | 2 | (addr->family == 6);
}

static struct source *set_of(const struct stw_sources *sources, uint64_t tag)
{
	return &sources->v[(tag >> 2) % sources->sets * SET_WAYS];
}

static struct source *source_find(const struct stw_sources *sources, const struct stw_addr *addr)
{
	uint64_t tag = source_tag(sources, addr);
	struct source *set = set_of(sources, tag);
	unsigned i;

	for (i = 0; i < SET_WAYS; i++) {
		if (atomic_load_explicit(&set[i].tag, memory_order_acquire) == tag)
			return &set[i];
	}
	return NULL;
}

/* The time at which nothing is lost when the place is given away; far in the future for known
 * ones. */
static uint64_t source_worth(struct source *source, uint64_t now_ms)
{
	uint64_t next_us = atomic_load_explicit(&source->next_us, memory_order_relaxed);
	uint64_t known_ms = atomic_load_explicit(&source->known_ms, memory_order_relaxed);

	if (!atomic_load_explicit(&source->tag, memory_order_relaxed))
		return 0;
	return known_ms > now_ms ? UINT64_MAX / 2 + known_ms : 1 + next_us;
}

static struct source *source_take(
	struct stw_sources *sources, const struct stw_addr *addr, uint64_t now_ms)
{
	struct source *source = source_find(sources, addr), *set;
	uint64_t tag;
	unsigned i;

	if (source)
		return source;
	tag = source_tag(sources, addr);
	source = set = set_of(sources, tag);
	for (i = 1; i < SET_WAYS; i++) {
		if (source_worth(&set[i], now_ms) < source_worth(source, now_ms))
			source = &set[i];
	}
	atomic_store_explicit(&source->net, stw_addr_network(addr), memory_order_relaxed);
	atomic_store_explicit(&source->next_us, 0, memory_order_relaxed);
	atomic_store_explicit(&source->reply_us, 0, memory_order_relaxed);
	atomic_store_explicit(&source->known_ms, 0, memory_order_relaxed);
	atomic_store_explicit(&source->refused, 0, memory_order_relaxed);
	atomic_store_explicit(&source->dropped, 0, memory_order_relaxed);
	atomic_store_explicit(&source->tag, tag, memory_order_release);
	return source;
}

/* ---- its budget ----------------------------------------------------------------------- */

/* One more at `rate` a second. @return false: beyond it, and not counted */
static bool bucket_take(_Atomic uint64_t *bucket, uint64_t rate, uint64_t now_us)
{
	uint64_t next = atomic_load_explicit(bucket, memory_order_relaxed), from;

	do {
		from = next > now_us ? next : now_us;
		if (from > now_us + BURST_US)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		bucket, &next, from + US_PER_S / rate, memory_order_relaxed, memory_order_relaxed));
	return true;
}

enum stw_overload_verdict stw_sources_admit(struct stw_sources *sources,
	const struct stw_source_limits *limits, const struct stw_addr *addr, struct stw_now now)
{
	uint64_t now_us = now.mono_ms * US_PER_MS, factor;
	struct source *source = source_take(sources, addr, now.mono_ms);
	uint32_t rate = atomic_load_explicit(&source->known_ms, memory_order_relaxed) > now.mono_ms
				? limits->known_rate
				: limits->stranger_rate;

	if (!rate)
		return STW_OVERLOAD_ADMIT;
	if (atomic_load_explicit(&source->next_us, memory_order_relaxed) <= now_us) {
		atomic_store_explicit(&source->refused, 0, memory_order_relaxed);
		atomic_store_explicit(&source->dropped, 0, memory_order_relaxed);
	}
	if (bucket_take(&source->next_us, rate, now_us))
		return STW_OVERLOAD_ADMIT;
	if (!atomic_load_explicit(&sources->refusing, memory_order_relaxed))
		atomic_store_explicit(&sources->refusing, true, memory_order_relaxed);
	factor = limits->drop_factor > 1 ? limits->drop_factor - 1 : 1;
	if (bucket_take(&source->reply_us, rate * factor, now_us)) {
		atomic_fetch_add_explicit(&source->refused, 1, memory_order_relaxed);
		return STW_OVERLOAD_REFUSE;
	}
	atomic_fetch_add_explicit(&source->dropped, 1, memory_order_relaxed);
	return STW_OVERLOAD_DROP;
}

void stw_sources_prove(struct stw_sources *sources, const struct stw_addr *addr, struct stw_now now)
{
	struct source *source = source_take(sources, addr, now.mono_ms);

	atomic_store_explicit(&source->known_ms, now.mono_ms + KNOWN_MS, memory_order_relaxed);
}

bool stw_sources_known(
	const struct stw_sources *sources, const struct stw_addr *addr, struct stw_now now)
{
	struct source *source = source_find(sources, addr);

	return source &&
	       atomic_load_explicit(&source->known_ms, memory_order_relaxed) > now.mono_ms;
}

/* ---- who is limited --------------------------------------------------------------------- */

/* Refused since its bucket ran low, and that is less than half filled again. @return false: not
 * limited */
static bool source_show(
	const struct source *source, struct stw_now now, struct stw_source_state *ret)
{
	uint64_t next_us = atomic_load_explicit(&source->next_us, memory_order_relaxed);
	uint64_t net = atomic_load_explicit(&source->net, memory_order_relaxed);
	bool ipv6 = atomic_load_explicit(&source->tag, memory_order_relaxed) & 1;

	*ret = (struct stw_source_state){
		.known =
			atomic_load_explicit(&source->known_ms, memory_order_relaxed) > now.mono_ms,
		.until_ms = now.mono_ms,
		.refused = atomic_load_explicit(&source->refused, memory_order_relaxed),
		.dropped = atomic_load_explicit(&source->dropped, memory_order_relaxed),
	};
	ret->addr.family = ipv6 ? 6 : 4;
	memcpy(ret->addr.ip, &net, ipv6 ? sizeof(net) : 4);
	if (next_us > now.mono_ms * US_PER_MS + BURST_US)
		ret->until_ms = (next_us - BURST_US) / US_PER_MS + 1;
	return ret->refused + ret->dropped > 0 && next_us > now.mono_ms * US_PER_MS + BURST_US / 2;
}

unsigned stw_sources_limited(const struct stw_sources *sources, struct stw_now now,
	bool (*visit)(void *context, const struct stw_source_state *state), void *context)
{
	struct stw_source_state state;
	unsigned n = 0;
	bool more = true;

	/* The table of a server that nobody floods is not walked, nor its memory touched. */
	if (!atomic_load_explicit(&sources->refusing, memory_order_relaxed))
		return 0;
	for (size_t i = 0; i < sources->sets * SET_WAYS; i++) {
		if (!source_show(&sources->v[i], now, &state))
			continue;
		n++;
		if (more)
			more = visit(context, &state);
	}
	return n;
}
