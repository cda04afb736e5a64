/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/base.h>

#include <errno.h>
#include <stdlib.h>


/*
 * Each side has a cache line: its own position, and the other side's as last seen, so that the
 * line of the other is read only when the ring looks full or empty. Positions count on and on.
 */
struct stw_ring {
	atomic_size_t tail; /* pushed so far; the producer writes it */
	size_t head_seen;
	char gap_tail[STW_CACHE_LINE_BYTES];
	atomic_size_t head; /* popped so far; the consumer writes it */
	size_t tail_seen;
	char gap_head[STW_CACHE_LINE_BYTES];
	size_t mask; /* capacity - 1 */
	void *items[];
};

int stw_ring_new(size_t capacity, struct stw_ring **ret)
{
	struct stw_ring *ring;

	if (capacity == 0 || (capacity & (capacity - 1)))
		return -EINVAL;
	if (capacity > (SIZE_MAX - sizeof(*ring)) / sizeof(void *))
		return -ENOMEM;
	ring = malloc(sizeof(*ring) + capacity * sizeof(void *));
	if (!ring)
		return -ENOMEM;
	atomic_init(&ring->tail, 0);
	atomic_init(&ring->head, 0);
	ring->head_seen = 0;
	ring->tail_seen = 0;
	ring->mask = capacity - 1;
	*ret = ring;
	return 0;
}

int stw_ring_push_within(struct stw_ring *ring, void *item, unsigned quarters)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	size_t max = (quarters * (ring->mask + 1) + 3) / 4;

	if (tail - ring->head_seen >= max) {
		ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
		if (tail - ring->head_seen >= max)
			return -ENOBUFS;
	}
	ring->items[tail & ring->mask] = item;
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return 0;
}

int stw_ring_push(struct stw_ring *ring, void *item)
{
	return stw_ring_push_within(ring, item, 4);
}

void *stw_ring_pop(struct stw_ring *ring)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	void *item;

	if (head == ring->tail_seen) {
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (head == ring->tail_seen)
			return NULL;
	}
	item = ring->items[head & ring->mask];
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return item;
}

bool stw_ring_empty(const struct stw_ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_relaxed) ==
	       atomic_load_explicit(&ring->tail, memory_order_acquire);
}

bool stw_ring_half_full(const struct stw_ring *ring)
{
	size_t used = atomic_load_explicit(&ring->tail, memory_order_relaxed) -
		      atomic_load_explicit(&ring->head, memory_order_relaxed);

	return used > ring->mask / 2;
}

struct stw_ring *stw_ring_free(struct stw_ring *ring)
{
	free(ring);
	return NULL;
}
