/* SPDX-License-Identifier: Apache-2.0 */
/* Places that failed are tried last for a while, RFC 3263 §4.3. */
#include <strowger/locate.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEWS_MS 1000 /* a smaller difference is none */

struct outage {
	struct stw_node node;
	TAILQ_ENTRY(outage) age;
	enum stw_transport transport;
	struct stw_addr addr;
	uint64_t until_ms, told_ms; /* told: what was news last */
};
TAILQ_HEAD(outage_list, outage);

struct stw_outages {
	struct stw_table table;
	struct stw_hash_key key;
	struct outage_list ages; /* oldest first */
	unsigned max;
};

int stw_outages_new(unsigned max, struct stw_hash_key key, struct stw_outages **ret)
{
	struct stw_outages *outages = calloc(1, sizeof(*outages));

	if (!outages)
		return -ENOMEM;
	stw_table_init(&outages->table);
	TAILQ_INIT(&outages->ages);
	outages->key = key;
	outages->max = max;
	*ret = outages;
	return 0;
}

static uint64_t place_hash(const struct stw_outages *outages, enum stw_transport transport,
	const struct stw_addr *addr)
{
	uint8_t bytes[sizeof(addr->ip) + 4];

	memcpy(bytes, addr->ip, sizeof(addr->ip));
	bytes[sizeof(addr->ip)] = (uint8_t)transport;
	bytes[sizeof(addr->ip) + 1] = addr->family;
	bytes[sizeof(addr->ip) + 2] = (uint8_t)(addr->port >> 8);
	bytes[sizeof(addr->ip) + 3] = (uint8_t)addr->port;
	return stw_hash(outages->key, bytes, sizeof(bytes));
}

static struct outage *outage_find(const struct stw_outages *outages, enum stw_transport transport,
	const struct stw_addr *addr)
{
	struct stw_node *node =
		stw_table_first(&outages->table, place_hash(outages, transport, addr));

	for (; node; node = stw_table_next_same(node)) {
		struct outage *outage = STW_CONTAINER_OF(node, struct outage, node);

		if (outage->transport == transport && stw_addr_equal(&outage->addr, addr))
			return outage;
	}
	return NULL;
}

static void outage_drop(struct stw_outages *outages, struct outage *outage)
{
	TAILQ_REMOVE(&outages->ages, outage, age);
	stw_table_remove(&outages->table, &outage->node);
	free(outage);
}

bool stw_outages_add(struct stw_outages *outages, enum stw_transport transport,
	const struct stw_addr *addr, uint32_t for_ms, struct stw_now now)
{
	struct outage *outage = outage_find(outages, transport, addr);
	uint64_t until_ms = now.mono_ms + for_ms, told_ms = outage ? outage->told_ms : 0;
	bool news = until_ms >= told_ms + NEWS_MS || until_ms + NEWS_MS <= told_ms;

	if (outage)
		outage_drop(outages, outage);
	if (!for_ms || !outages->max)
		return told_ms != 0;
	if (outages->table.count >= outages->max)
		outage_drop(outages, TAILQ_FIRST(&outages->ages));
	outage = calloc(1, sizeof(*outage));
	if (!outage)
		return false;
	outage->transport = transport;
	outage->addr = *addr;
	outage->until_ms = until_ms;
	outage->told_ms = news ? until_ms : told_ms;
	if (stw_table_insert(&outages->table, &outage->node, place_hash(outages, transport, addr)) <
		0) {
		free(outage);
		return false;
	}
	TAILQ_INSERT_TAIL(&outages->ages, outage, age);
	return news;
}

bool stw_outages_remove(
	struct stw_outages *outages, enum stw_transport transport, const struct stw_addr *addr)
{
	struct outage *outage = outages->table.count ? outage_find(outages, transport, addr) : NULL;

	if (outage)
		outage_drop(outages, outage);
	return outage != NULL;
}

bool stw_outages_has(const struct stw_outages *outages, enum stw_transport transport,
	const struct stw_addr *addr, struct stw_now now)
{
	const struct outage *outage =
		outages->table.count ? outage_find(outages, transport, addr) : NULL;

	return outage && now.mono_ms < outage->until_ms;
}

unsigned stw_outages_order(
	const struct stw_outages *outages, struct stw_place *places, unsigned n, struct stw_now now)
{
	struct stw_place failed[STW_PLACES_MAX];
	unsigned good = 0, bad = 0;

	for (unsigned i = 0; i < n; i++) {
		if (stw_outages_has(outages, places[i].transport, &places[i].addr, now))
			failed[bad++] = places[i];
		else
			places[good++] = places[i];
	}
	memcpy(places + good, failed, bad * sizeof(*failed));
	return bad;
}

size_t stw_outages_count(const struct stw_outages *outages)
{
	return outages->table.count;
}

struct stw_outages *stw_outages_free(struct stw_outages *outages)
{
	if (!outages)
		return NULL;
	while (!TAILQ_EMPTY(&outages->ages))
		outage_drop(outages, TAILQ_FIRST(&outages->ages));
	stw_table_done(&outages->table);
	free(outages);
	return NULL;
}
