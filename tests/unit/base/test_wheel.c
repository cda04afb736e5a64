/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <string.h>

#define TIMERS     400
#define OPERATIONS 100000
#define DAY_MS     UINT64_C(86400000)
#define SPAN_MS    (UINT64_C(1) << 40)

/* The same in the plainest form: an array sorted by due time, then by order of start. */
struct model {
	unsigned order[TIMERS];
	size_t count;
};

struct world {
	struct stw_wheel wheel;
	struct stw_timer timers[TIMERS];
	struct model model;
	struct stw_random random;
	uint64_t now_ms;
};

static void model_remove(struct model *model, unsigned id)
{
	for (size_t i = 0; i < model->count; i++) {
		if (model->order[i] != id)
			continue;
		memmove(&model->order[i], &model->order[i + 1],
			(--model->count - i) * sizeof(model->order[0]));
		return;
	}
}

static void model_insert(struct world *w, unsigned id, uint64_t due_ms)
{
	struct model *model = &w->model;
	size_t at = model->count;

	for (; at && w->timers[model->order[at - 1]].due_ms > due_ms; at--)
		;
	memmove(&model->order[at + 1], &model->order[at], (model->count++ - at) * sizeof(unsigned));
	model->order[at] = id;
}

static void world_start(struct world *w, unsigned id, uint64_t due_ms)
{
	model_remove(&w->model, id);
	stw_timer_start(&w->wheel, &w->timers[id], due_ms);
	model_insert(w, id, due_ms);
	assert_true(stw_timer_running(&w->timers[id]));
}

static void world_stop(struct world *w, unsigned id)
{
	model_remove(&w->model, id);
	stw_timer_stop(&w->wheel, &w->timers[id]);
	assert_false(stw_timer_running(&w->timers[id]));
}

/* One timer at most; true when one was due. */
static bool world_expire(struct world *w)
{
	const struct stw_timer *timer = stw_wheel_expire(&w->wheel, w->now_ms), *expected = NULL;
	bool took = timer;

	if (w->model.count && w->timers[w->model.order[0]].due_ms <= w->now_ms) {
		expected = &w->timers[w->model.order[0]];
		model_remove(&w->model, w->model.order[0]);
	}
	assert_ptr_equal(timer, expected);
	assert_true(!timer || !stw_timer_running(timer));
	if (w->model.count && w->timers[w->model.order[0]].due_ms <= w->now_ms) {
		expected = &w->timers[w->model.order[0]];
		assert_ptr_equal(stw_wheel_due(&w->wheel, NULL), expected);
		timer = stw_wheel_due(&w->wheel, expected);
		assert_true(!timer || stw_timer_running(timer));
	} else {
		assert_null(stw_wheel_due(&w->wheel, NULL));
	}
	return took;
}

/* Never later than the truth; earlier by less than one slot of the level it waits on. */
static void world_check_next(const struct world *w)
{
	uint64_t next_ms = stw_wheel_next(&w->wheel), due_ms;

	assert_int_equal(w->wheel.count, w->model.count);
	if (w->model.count == 0) {
		assert_true(next_ms == UINT64_MAX);
		return;
	}
	due_ms = w->timers[w->model.order[0]].due_ms;
	assert_true(next_ms <= due_ms);
	if (due_ms <= w->wheel.now_ms)
		assert_true(next_ms == due_ms);
	else
		assert_true(next_ms > w->wheel.now_ms);
	if (due_ms > w->wheel.now_ms && (due_ms ^ w->wheel.now_ms) < 256)
		assert_true(next_ms == due_ms);
}

/* Times as a SIP server has them, and now and then one at the edge of the wheel. */
static uint64_t delay_draw(struct stw_random *random)
{
	static const uint64_t bounds[] = { 4, 300, 500, 5000, 32000, 70000, 3600000, 30 * DAY_MS,
		UINT64_C(1) << 33, SPAN_MS, 3 * SPAN_MS };

	return stw_random_below(random, bounds[stw_random_below(random, STW_ARRAY_SIZE(bounds))]);
}

static void world_step(struct world *w)
{
	unsigned id = (unsigned)stw_random_below(&w->random, TIMERS);
	uint64_t delay_ms = delay_draw(&w->random), action = stw_random_below(&w->random, 16);

	if (action < 7)
		world_start(w, id, w->now_ms + delay_ms);
	else if (action == 7)
		world_start(w, id, w->now_ms - delay_ms % 1000);
	else if (action < 10)
		world_stop(w, id);
	else if (action == 10)
		w->now_ms += delay_ms % (30 * DAY_MS);
	else if (action == 11)
		w->now_ms += delay_ms % 600;
	else if (action == 12 && w->model.count)
		w->now_ms = stw_wheel_next(&w->wheel) > w->now_ms ? stw_wheel_next(&w->wheel)
								  : w->now_ms;
	else
		world_expire(w);
}

static void test_against_sorted_list(void **state)
{
	static struct world w;

	for (uint64_t seed = 1; seed <= 5; seed++) {
		memset(&w, 0, sizeof(w));
		stw_random_seed(&w.random, seed);
		w.now_ms = seed * seed * UINT64_C(0x3fffffff0) + 1000;
		stw_wheel_init(&w.wheel, w.now_ms);
		for (unsigned step = 0; step < OPERATIONS; step++) {
			world_step(&w);
			world_check_next(&w);
		}
		w.now_ms += 10 * SPAN_MS;
		while (world_expire(&w))
			world_check_next(&w);
		assert_int_equal(w.wheel.count, 0);
	}
}

/* Every distance at which a level begins or ends, from every kind of present. */
static void test_edges(void **state)
{
	static const uint64_t starts[] = { 0, 1, 255, 256, 65535, 0xffffff, 0xffffffff, SPAN_MS - 1,
		SPAN_MS, 5 * SPAN_MS - 3 };
	static struct stw_wheel wheel;

	for (size_t i = 0; i < STW_ARRAY_SIZE(starts); i++) {
		for (unsigned bits = 0; bits < 43; bits++) {
			for (unsigned off = 0; off < 3; off++) {
				uint64_t due = starts[i] + (UINT64_C(1) << bits) + off;
				struct stw_timer timer = { 0 };

				stw_wheel_init(&wheel, starts[i]);
				stw_timer_start(&wheel, &timer, due);
				assert_null(stw_wheel_expire(&wheel, due - 1));
				assert_true(stw_wheel_next(&wheel) == due);
				assert_ptr_equal(stw_wheel_expire(&wheel, due), &timer);
				assert_true(stw_wheel_next(&wheel) == UINT64_MAX);
			}
		}
	}
}

static void test_last_moment(void **state)
{
	static struct stw_wheel wheel;
	struct stw_timer timer = { 0 };

	stw_wheel_init(&wheel, UINT64_MAX - 1000);
	stw_timer_start(&wheel, &timer, UINT64_MAX);
	assert_null(stw_wheel_expire(&wheel, UINT64_MAX - 1));
	assert_ptr_equal(stw_wheel_expire(&wheel, UINT64_MAX), &timer);
}

/* Timer F's owner, told of a timeout, stops and restarts timers that are due as well. */
static void test_change_among_expired(void **state)
{
	static struct stw_wheel wheel;
	struct stw_timer t[5] = { { 0 } };

	stw_wheel_init(&wheel, 1000);
	for (unsigned i = 0; i < 5; i++)
		stw_timer_start(&wheel, &t[i], 1100 + i);
	assert_ptr_equal(stw_wheel_expire(&wheel, 1200), &t[0]);
	stw_timer_stop(&wheel, &t[1]);
	stw_timer_start(&wheel, &t[2], 1250); /* due, now later */
	stw_timer_start(&wheel, &t[0], 1104); /* passed: after t[4], started before it */
	stw_timer_stop(&wheel, &t[1]);
	assert_ptr_equal(stw_wheel_expire(&wheel, 1200), &t[3]);
	assert_ptr_equal(stw_wheel_expire(&wheel, 1200), &t[4]);
	assert_ptr_equal(stw_wheel_expire(&wheel, 1200), &t[0]);
	assert_null(stw_wheel_expire(&wheel, 1200));
	assert_null(stw_wheel_expire(&wheel, 900));
	assert_int_equal(wheel.count, 1);
	assert_true(stw_wheel_next(&wheel) == 1250);
	assert_ptr_equal(stw_wheel_expire(&wheel, 1250), &t[2]);
}

/* The same time, reached from different levels: in the order of start. */
static void test_equal_times(void **state)
{
	static struct stw_wheel wheel;
	struct stw_timer t[4] = { { 0 } };
	uint64_t due = 0x01020304;

	stw_wheel_init(&wheel, 0);
	stw_timer_start(&wheel, &t[0], due);
	assert_null(stw_wheel_expire(&wheel, 0x01000000));
	stw_timer_start(&wheel, &t[1], due);
	assert_null(stw_wheel_expire(&wheel, 0x01020000));
	stw_timer_start(&wheel, &t[2], due);
	assert_null(stw_wheel_expire(&wheel, 0x01020303));
	stw_timer_start(&wheel, &t[3], due);
	assert_null(stw_wheel_due(&wheel, NULL));
	for (unsigned i = 0; i < 4; i++) {
		assert_ptr_equal(stw_wheel_expire(&wheel, due + 7), &t[i]);
		assert_ptr_equal(stw_wheel_due(&wheel, NULL), i < 3 ? &t[i + 1] : NULL);
	}
}

/* A thousand years without a timer, then with one: a walk over the milliseconds would not end. */
static void test_long_idle(void **state)
{
	static struct stw_wheel wheel;
	struct stw_timer timer = { 0 };
	uint64_t years_1000 = 365000 * DAY_MS;

	stw_wheel_init(&wheel, 5);
	assert_null(stw_wheel_expire(&wheel, years_1000));
	stw_timer_start(&wheel, &timer, 2 * years_1000);
	assert_null(stw_wheel_expire(&wheel, 2 * years_1000 - 1));
	assert_ptr_equal(stw_wheel_expire(&wheel, 3 * years_1000), &timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_sorted_list),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_last_moment),
		cmocka_unit_test(test_change_among_expired),
		cmocka_unit_test(test_equal_times),
		cmocka_unit_test(test_long_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
