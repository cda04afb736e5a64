/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer that is due later than now lies on the level of the highest byte in which the two times
 * differ, in the slot named by that byte of its due time. So the timers of a level are all due
 * before those of the next level, every occupied slot lies ahead of now, and the first set bit of
 * the lowest occupied level is what comes next. When now reaches the start of a slot, its timers
 * move to lower levels.
 *
 * Most timers are started for the same few waits (5 s, 32 s), by the hundred thousand, and end
 * there: each move to a lower level would touch what has long left the caches. They stand in lanes,
 * sorted by due time because that is the order in which they are started. What would break the
 * order of its lane goes to the wheel.
 *
 * Beyond the 2^40 ms that the levels span, timers wait in slot 0 of the top level, which no other
 * timer can use, for the next multiple of 2^40 ms.
 */
#include <strowger/base.h>

#define LEVEL_BITS 8
#define LEVEL_TOP  (STW_WHEEL_LEVELS - 1)
#define SPAN_BITS  (LEVEL_BITS * STW_WHEEL_LEVELS)
#define LANE_BITS                                                                                  \
	10 /* waits of 2^10 to 2^11 ms are in the first lane, twice as long ones in the next */

_Static_assert(STW_WHEEL_SLOTS == 1 << LEVEL_BITS, "a slot for every value of a byte");

static void list_init(struct stw_timer *head)
{
	head->next = head->prev = head;
}

static bool list_is_empty(const struct stw_timer *head)
{
	return head->next == head;
}

static void list_insert_after(struct stw_timer *at, struct stw_timer *timer)
{
	timer->prev = at;
	timer->next = at->next;
	at->next->prev = timer;
	at->next = timer;
}

static void list_remove(struct stw_timer *timer)
{
	timer->prev->next = timer->next;
	timer->next->prev = timer->prev;
	timer->next = timer->prev = NULL;
}

static uint64_t slot_bit(unsigned slot)
{
	return UINT64_C(1) << (slot % 64);
}

static bool timer_before(const struct stw_timer *a, const struct stw_timer *b)
{
	return a->due_ms < b->due_ms ||
	       (a->due_ms == b->due_ms && (int32_t)(a->started - b->started) < 0);
}

static void expired_insert(struct stw_wheel *wheel, struct stw_timer *timer)
{
	struct stw_timer *at = wheel->expired.prev;

	while (at != &wheel->expired && timer_before(timer, at))
		at = at->prev;
	list_insert_after(at, timer);
}

/* NULL: its wait is too short or too long, or it is due before the last of its lane. */
static struct stw_timer *lane_for(struct stw_wheel *wheel, const struct stw_timer *timer)
{
	uint64_t wait = (timer->due_ms - wheel->now_ms) >> LANE_BITS;
	struct stw_timer *lane;

	if (timer->due_ms <= wheel->now_ms || !wait || wait >> STW_WHEEL_LANES)
		return NULL;
	lane = &wheel->lanes[63 - (unsigned)__builtin_clzll(wait)];
	return list_is_empty(lane) || lane->prev->due_ms <= timer->due_ms ? lane : NULL;
}

static void timer_place(struct stw_wheel *wheel, struct stw_timer *timer)
{
	uint64_t differ = timer->due_ms ^ wheel->now_ms;
	unsigned level = LEVEL_TOP, slot = 0;

	if (timer->due_ms <= wheel->now_ms) {
		expired_insert(wheel, timer);
		return;
	}
	if (differ >> SPAN_BITS == 0) {
		level = (63 - (unsigned)__builtin_clzll(differ)) / LEVEL_BITS;
		slot = (timer->due_ms >> (LEVEL_BITS * level)) % STW_WHEEL_SLOTS;
	}
	list_insert_after(wheel->slots[level][slot].prev, timer);
	wheel->occupied[level][slot / 64] |= slot_bit(slot);
}

/* Take a timer out of its list, and the bit of its slot away when it was the last there. */
static void timer_unlink(struct stw_wheel *wheel, struct stw_timer *timer)
{
	struct stw_timer *head = timer->prev;
	unsigned level, slot;

	list_remove(timer);
	if (!list_is_empty(head) || head == &wheel->expired ||
		(head >= wheel->lanes && head < wheel->lanes + STW_WHEEL_LANES))
		return;
	level = (unsigned)((head - &wheel->slots[0][0]) / STW_WHEEL_SLOTS);
	slot = (unsigned)((head - &wheel->slots[0][0]) % STW_WHEEL_SLOTS);
	wheel->occupied[level][slot / 64] &= ~slot_bit(slot);
}

void stw_wheel_init(struct stw_wheel *wheel, uint64_t now_ms)
{
	*wheel = (struct stw_wheel){ .now_ms = now_ms };
	for (unsigned level = 0; level < STW_WHEEL_LEVELS; level++) {
		for (unsigned slot = 0; slot < STW_WHEEL_SLOTS; slot++)
			list_init(&wheel->slots[level][slot]);
	}
	for (unsigned lane = 0; lane < STW_WHEEL_LANES; lane++)
		list_init(&wheel->lanes[lane]);
	list_init(&wheel->expired);
}

void stw_timer_start(struct stw_wheel *wheel, struct stw_timer *timer, uint64_t due_ms)
{
	struct stw_timer *lane;

	stw_timer_stop(wheel, timer);
	timer->due_ms = due_ms;
	timer->started = wheel->started++;
	lane = lane_for(wheel, timer);
	if (lane)
		list_insert_after(lane->prev, timer);
	else
		timer_place(wheel, timer);
	wheel->count++;
}

void stw_timer_stop(struct stw_wheel *wheel, struct stw_timer *timer)
{
	if (!stw_timer_running(timer))
		return;
	timer_unlink(wheel, timer);
	wheel->count--;
}

bool stw_timer_running(const struct stw_timer *timer)
{
	return timer->next != NULL;
}

/* First occupied slot of a level; STW_WHEEL_SLOTS when there is none. */
static unsigned level_first(const struct stw_wheel *wheel, unsigned level)
{
	for (unsigned i = 0; i < STW_WHEEL_SLOTS / 64; i++) {
		uint64_t word = wheel->occupied[level][i];

		if (level == LEVEL_TOP && i == 0)
			word &= ~slot_bit(0); /* what lies beyond the span comes last */
		if (word)
			return i * 64 + (unsigned)__builtin_ctzll(word);
	}
	return STW_WHEEL_SLOTS;
}

/* The occupied slot that comes next and the time at which it starts; NULL when all are empty. */
static const struct stw_timer *slot_next(const struct stw_wheel *wheel, uint64_t *ret_start_ms)
{
	for (unsigned level = 0; level < STW_WHEEL_LEVELS; level++) {
		unsigned slot = level_first(wheel, level), shift = LEVEL_BITS * level;
		uint64_t above = wheel->now_ms >> shift >> LEVEL_BITS;

		if (slot == STW_WHEEL_SLOTS)
			continue;
		*ret_start_ms = (above << LEVEL_BITS | slot) << shift;
		return &wheel->slots[level][slot];
	}
	if (list_is_empty(&wheel->slots[LEVEL_TOP][0]))
		return NULL;
	*ret_start_ms = ((wheel->now_ms >> SPAN_BITS) + 1) << SPAN_BITS;
	return &wheel->slots[LEVEL_TOP][0];
}

/* Place the timers of a slot anew, as seen from the present time; their order is kept. */
static void slot_cascade(struct stw_wheel *wheel, const struct stw_timer *slot)
{
	struct stw_timer *last = slot->prev, *timer;

	do {
		timer = slot->next;
		timer_unlink(wheel, timer);
		timer_place(wheel, timer);
	} while (timer != last);
}

static void wheel_advance(struct stw_wheel *wheel, uint64_t now_ms)
{
	const struct stw_timer *slot;
	uint64_t start_ms = 0;

	while ((slot = slot_next(wheel, &start_ms)) && start_ms <= now_ms) {
		wheel->now_ms = start_ms;
		slot_cascade(wheel, slot);
	}
	wheel->now_ms = now_ms;
}

/* The first of all that are due; NULL: none is. */
static struct stw_timer *due_first(const struct stw_wheel *wheel)
{
	struct stw_timer *first = list_is_empty(&wheel->expired) ? NULL : wheel->expired.next;

	for (unsigned i = 0; i < STW_WHEEL_LANES; i++) {
		struct stw_timer *head = wheel->lanes[i].next;

		if (head != &wheel->lanes[i] && head->due_ms <= wheel->now_ms &&
			(!first || timer_before(head, first)))
			first = head;
	}
	return first;
}

struct stw_timer *stw_wheel_expire(struct stw_wheel *wheel, uint64_t now_ms)
{
	struct stw_timer *timer;

	if (now_ms > wheel->now_ms)
		wheel_advance(wheel, now_ms);
	timer = due_first(wheel);
	if (timer)
		stw_timer_stop(wheel, timer);
	return timer;
}

const struct stw_timer *stw_wheel_due(const struct stw_wheel *wheel, const struct stw_timer *after)
{
	const struct stw_timer *next = after ? after->next : due_first(wheel);
	bool is_head = (uintptr_t)next - (uintptr_t)wheel < sizeof(*wheel);

	return is_head ? NULL : next;
}

uint64_t stw_wheel_next(const struct stw_wheel *wheel)
{
	uint64_t next_ms = UINT64_MAX;

	if (list_is_empty(&wheel->expired))
		slot_next(wheel, &next_ms);
	else
		next_ms = wheel->expired.next->due_ms;
	for (unsigned i = 0; i < STW_WHEEL_LANES; i++) {
		const struct stw_timer *lane = &wheel->lanes[i];

		if (!list_is_empty(lane) && lane->next->due_ms < next_ms)
			next_ms = lane->next->due_ms;
	}
	return next_ms;
}
