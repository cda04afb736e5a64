/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "overload_test.h"

#define NEW      STW_OVERLOAD_NEW
#define REGISTER STW_OVERLOAD_REGISTER
#define NEVER    STW_OVERLOAD_NEVER
#define ADMIT    STW_OVERLOAD_ADMIT
#define REFUSE   STW_OVERLOAD_REFUSE
#define DROP     STW_OVERLOAD_DROP

static struct stw_overload overload_of(uint32_t target_ms, enum stw_overload_feedback feedback)
{
	struct stw_overload_options options = { .target_ms = target_ms, .feedback = feedback };
	struct stw_overload overload;

	stw_overload_init(&overload, &options);
	return overload;
}

/* It has refused something just now: what stands above the target is refused at once. */
static struct stw_overload busy_of(enum stw_overload_feedback feedback)
{
	struct stw_overload overload = overload_of(20, feedback);

	overload.queues[0].refused_ms = at_ms(0).mono_ms;
	return overload;
}

static enum stw_overload_verdict admit(struct stw_overload *overload, unsigned queue,
	enum stw_overload_class class, uint32_t waited_us, struct stw_now now)
{
	const struct stw_overload_arrival arrival = {
		.queue = queue, .waited_us = waited_us, .standing = waited_us > 0
	};

	return stw_overload_admit(overload, class, &arrival, now);
}

/* What a server is told that is known. */
static struct stw_str params(struct stw_overload *overload, const struct stw_via *via,
	struct stw_now now, char buffer[STW_OVERLOAD_PARAMS_MAX])
{
	static const struct stw_addr source = { .family = 4, .ip = { 192, 0, 2, 2 } };

	return stw_overload_params(overload, via, &source, true, now, buffer);
}

/* What is refused at which wait, up at the threshold and down at half of it: in this order. */
static const struct {
	uint32_t waited_us;
	enum stw_overload_class class;
	enum stw_overload_verdict verdict;
} steps[] = {
	{ 0, NEW, ADMIT },
	{ 20000, NEW, ADMIT },
	{ 20001, NEW, REFUSE },
	{ 20001, REGISTER, ADMIT },
	{ 20001, NEVER, ADMIT },
	{ 10001, NEW, REFUSE },
	{ 10000, NEW, ADMIT },
	{ 20000, NEW, ADMIT },
	{ 40001, REGISTER, REFUSE },
	{ 40001, NEW, REFUSE },
	{ 20001, REGISTER, REFUSE },
	{ 20000, REGISTER, ADMIT },
	{ 20000, NEW, REFUSE },
	{ 9999, NEW, ADMIT },
	{ 320000, NEW, REFUSE },
	{ 320001, NEW, DROP },
	{ 320001, REGISTER, DROP },
	{ 4000000000, NEVER, ADMIT },
	{ 160001, NEW, DROP },
	{ 160000, NEW, REFUSE },
	{ 0, NEW, ADMIT },
};

static void test_who_is_refused_when(void **state)
{
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_LOSS);

	for (size_t i = 0; i < STW_ARRAY_SIZE(steps); i++) {
		if (admit(&overload, 0, steps[i].class, steps[i].waited_us, at_ms(i)) !=
			steps[i].verdict)
			fail_msg("step %zu", i);
	}
	assert_int_equal(overload.dropped_total, 3);
}

static void test_each_queue_has_its_own_state(void **state)
{
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_LOSS);

	overload.queues[1].refused_ms = at_ms(0).mono_ms;
	assert_int_equal(admit(&overload, 0, NEW, 30000, at_ms(0)), REFUSE);
	assert_int_equal(admit(&overload, 1, NEW, 15000, at_ms(0)), ADMIT);
	assert_int_equal(admit(&overload, 0, NEW, 15000, at_ms(0)), REFUSE);
}

/* A burst, or a pause of the process, is no overload: only what stands for 100 ms; then at once. */
static void test_only_a_standing_queue(void **state)
{
	const struct stw_overload_arrival last = { .waited_us = 90000 };
	struct stw_overload overload = overload_of(20, STW_OVERLOAD_FEEDBACK_LOSS);

	assert_int_equal(admit(&overload, 0, NEW, 90000, at_ms(0)), ADMIT);
	assert_int_equal(admit(&overload, 0, NEW, 20000, at_ms(50)), ADMIT);
	assert_int_equal(admit(&overload, 0, NEW, 90000, at_ms(60)), ADMIT);
	assert_int_equal(admit(&overload, 0, NEW, 90000, at_ms(159)), ADMIT);
	assert_int_equal(admit(&overload, 0, NEW, 90000, at_ms(160)), REFUSE);
	/* The queue is empty now, whatever its last one has waited. */
	assert_int_equal(stw_overload_admit(&overload, NEW, &last, at_ms(161)), ADMIT);
	assert_int_equal(admit(&overload, 0, NEW, 21000, at_ms(1159)), REFUSE);
	assert_int_equal(admit(&overload, 0, NEW, 1000, at_ms(1160)), ADMIT);
	assert_int_equal(admit(&overload, 0, NEW, 21000, at_ms(2159)), ADMIT);
}

/* One connection has a backlog, another one asks now and then. */
static void test_connections_are_queues_of_their_own(void **state)
{
	const struct stw_overload_arrival busy = { .waited_us = 90000,
		.standing = true,
		.stream = true },
					  quiet = { .stream = true };
	struct stw_overload overload = overload_of(20, STW_OVERLOAD_FEEDBACK_LOSS);

	for (uint64_t ms = 1000; ms < 2000; ms += 10) {
		assert_int_equal(stw_overload_admit(&overload, NEW, &busy, at_ms(ms)),
			ms < 1100 ? ADMIT : REFUSE);
		assert_int_equal(stw_overload_admit(&overload, NEW, &quiet, at_ms(ms + 5)), ADMIT);
	}
	/* A pause of the process a while later. */
	assert_int_equal(stw_overload_admit(&overload, NEW, &busy, at_ms(9000)), ADMIT);
	assert_int_equal(stw_overload_admit(&overload, NEW, &busy, at_ms(9099)), ADMIT);
	assert_int_equal(stw_overload_admit(&overload, NEW, &busy, at_ms(9300)), ADMIT);
	assert_int_equal(stw_overload_admit(&overload, NEW, &busy, at_ms(9350)), ADMIT);
	assert_int_equal(stw_overload_admit(&overload, NEW, &busy, at_ms(9400)), REFUSE);
}

/* Nobody repeats what a stream has brought: it is answered, or served late. Those of datagrams have
 * refusals of their own. */
static void test_streams_lose_nothing(void **state)
{
	struct stw_overload_arrival late = {
		.waited_us = 1280000, .standing = true, .stream = true
	};
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_LOSS);
	unsigned refused = 0, admitted = 0;

	while (admit(&overload, 0, NEW, 21000, at_ms(1)) != DROP)
		;
	for (unsigned i = 0; i < 1000; i++) {
		enum stw_overload_verdict verdict =
			stw_overload_admit(&overload, i % 2 ? NEW : REGISTER, &late, at_ms(1));

		refused += verdict == REFUSE;
		admitted += verdict == ADMIT;
	}
	assert_int_equal(refused + admitted, 1000);
	assert_int_equal(refused - admitted, 64);
	late.waited_us++; /* its sender has given up, or soon will */
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(stw_overload_admit(&overload, NEW, &late, at_ms(1)), REFUSE);
}

static void test_without_a_target_nothing_is_refused(void **state)
{
	struct stw_overload overload = overload_of(0, STW_OVERLOAD_FEEDBACK_LOSS);
	char buffer[STW_OVERLOAD_PARAMS_MAX];
	struct stw_via via = via_of(";oc;oc-algo=\"loss\"");

	assert_int_equal(admit(&overload, 0, NEW, UINT32_MAX, at_ms(0)), ADMIT);
	assert_str(params(&overload, &via, at_ms(0), buffer), "");
}

/* ---- feedback ---------------------------------------------------------------------- */

/* One request a millisecond; of ten, `refused` have waited too long. */
static void load(struct stw_overload *overload, uint64_t from_ms, uint64_t to_ms, unsigned refused)
{
	for (uint64_t ms = from_ms; ms < to_ms; ms++)
		admit(overload, 0, NEW, ms % 10 < refused ? 30000 : 0, at_ms(ms));
}

static void test_calm_server_says_so(void **state)
{
	struct stw_overload overload = overload_of(20, STW_OVERLOAD_FEEDBACK_LOSS);
	struct stw_via via = via_of(";oc;oc-algo=\"rate, loss\""), phone = via_of("");
	char buffer[STW_OVERLOAD_PARAMS_MAX];

	load(&overload, 0, 1000, 0);
	assert_str(params(&overload, &via, at_ms(1000), buffer),
		";oc=0;oc-algo=\"loss\";oc-validity=0;oc-seq=1282321616.000");
	assert_str(params(&overload, &phone, at_ms(1000), buffer), "");
	assert_false(stw_overload_active(&overload, at_ms(1000)));
}

static void test_loss_rises_holds_and_ends(void **state)
{
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_LOSS);
	struct stw_via via = via_of(";oc;oc-algo=\"loss\"");
	char buffer[STW_OVERLOAD_PARAMS_MAX];
	uint32_t before;

	load(&overload, 0, 201, 5);
	before = overload.loss_permille;
	assert_in_range(before, 300, 600);
	assert_str(params(&overload, &via, at_ms(200), buffer),
		";oc=58;oc-algo=\"loss\";oc-validity=500;oc-seq=1282321615.200");
	load(&overload, 201, 3000, 5);
	assert_in_range(overload.loss_permille, 900, 1000);
	assert_true(stw_overload_active(&overload, at_ms(3000)));
	/* Over within two seconds, without a single request. */
	params(&overload, &via, at_ms(4900), buffer);
	assert_int_equal(overload.loss_permille, 0);
	assert_false(stw_overload_active(&overload, at_ms(4900)));
}

/* A client that obeys leaves nothing to refuse: the demand falls slowly, and finds its place. */
static void test_loss_finds_its_place(void **state)
{
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_LOSS);
	unsigned sent = 0, served = 0;
	uint32_t waited_us = 0;
	struct stw_random random;

	stw_random_seed(&random, 1);
	/* Twice of what is served (one a ms), a queue of first in, first out. */
	for (uint64_t ms = 0; ms < 10000; ms++) {
		for (unsigned i = 0; i < 2; i++) {
			if (stw_random_below(&random, 1000) < overload.loss_permille)
				continue;
			if (ms >= 2000)
				sent++;
			if (admit(&overload, 0, NEW, waited_us, at_ms(ms)) != ADMIT)
				continue;
			waited_us += 1000;
			if (ms >= 2000)
				served++;
		}
		waited_us -= waited_us < 1000 ? waited_us : 1000;
	}
	assert_in_range(served, 7600, 8050);
	assert_in_range(sent, served, 10500);
}

static void test_rate_is_shared(void **state)
{
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_RATE);
	struct stw_via via = via_of(";oc;oc-algo=\"loss,rate\""), old;
	struct stw_addr other = { .family = 4, .ip = { 192, 0, 2, 3 } };
	char buffer[STW_OVERLOAD_PARAMS_MAX];

	old = via_of(";oc;oc-algo=\"loss\"");
	load(&overload, 0, 201, 5);
	assert_str(params(&overload, &via, at_ms(200), buffer),
		";oc=500;oc-algo=\"rate\";oc-validity=500;oc-seq=1282321615.200");
	assert_str(stw_overload_params(&overload, &via, &other, true, at_ms(200), buffer),
		";oc=250;oc-algo=\"rate\";oc-validity=500;oc-seq=1282321615.200");
	overload.options.workers = 2;
	assert_str(stw_overload_params(&overload, &via, &other, true, at_ms(200), buffer),
		";oc=500;oc-algo=\"rate\";oc-validity=500;oc-seq=1282321615.200");
	assert_str(params(&overload, &old, at_ms(200), buffer),
		";oc=58;oc-algo=\"loss\";oc-validity=500;oc-seq=1282321615.200");
	assert_str(params(&overload, &via, at_ms(2200), buffer),
		";oc=0;oc-algo=\"rate\";oc-validity=0;oc-seq=1282321617.219");
}

/* However many strangers ask for it, a server that is known keeps its half; and nobody is told to
 * send nothing. */
static void test_rate_of_strangers(void **state)
{
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_RATE);
	struct stw_via via = via_of(";oc;oc-algo=\"rate\"");
	struct stw_addr source = { .family = 4, .ip = { 203, 0, 113, 0 } };
	char buffer[STW_OVERLOAD_PARAMS_MAX];

	load(&overload, 0, 201, 5);
	for (unsigned i = 0; i < 200; i++, source.ip[3]++)
		stw_overload_params(&overload, &via, &source, false, at_ms(200), buffer);
	assert_str(params(&overload, &via, at_ms(200), buffer),
		";oc=250;oc-algo=\"rate\";oc-validity=500;oc-seq=1282321615.200");
	overload.rate = 10;
	assert_str(stw_overload_params(&overload, &via, &source, false, at_ms(200), buffer),
		";oc=1;oc-algo=\"rate\";oc-validity=500;oc-seq=1282321615.200");
}

static void test_what_no_client_offers(void **state)
{
	struct stw_overload overload = overload_of(20, STW_OVERLOAD_FEEDBACK_LOSS);
	struct stw_via via = via_of(";oc;oc-algo=\"other\"");
	char buffer[STW_OVERLOAD_PARAMS_MAX];

	assert_str(params(&overload, &via, at_ms(0), buffer), "");
	overload.options.feedback = STW_OVERLOAD_FEEDBACK_OFF;
	via = via_of(";oc;oc-algo=\"loss\"");
	assert_str(params(&overload, &via, at_ms(0), buffer), "");
}

/* The number never goes back, whatever the clock does (RFC 7339 §4.4). */
static void test_sequence_grows(void **state)
{
	struct stw_overload overload = overload_of(20, STW_OVERLOAD_FEEDBACK_LOSS);
	struct stw_now now = at_ms(5000);

	admit(&overload, 0, NEW, 0, now);
	now.mono_ms += 200;
	now.wall_ms -= 100000;
	admit(&overload, 0, NEW, 0, now);
	assert_true(overload.wall_ms > at_ms(5000).wall_ms);
}

/* The room of a queue follows from what is served, while there are refusals and a while after. */
static void test_room(void **state)
{
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_OFF);
	const unsigned queue = 4;
	uint64_t ms;

	assert_int_equal(stw_overload_room(&overload, queue, at_ms(0)), UINT32_MAX);
	/* Twenty are served each millisecond, and one is refused. */
	overload.queues[queue].refused_ms = at_ms(0).mono_ms;
	for (ms = 0; ms < 1000; ms++) {
		for (unsigned i = 0; i < 20; i++)
			assert_int_equal(admit(&overload, queue, NEW, 0, at_ms(ms)), ADMIT);
		assert_int_equal(admit(&overload, queue, NEW, 20001, at_ms(ms)), REFUSE);
	}
	/* 20 ms of target, and a fourth more. */
	assert_in_range(stw_overload_room(&overload, queue, at_ms(ms)), 495, 505);
	assert_int_equal(stw_overload_room(&overload, queue + 1, at_ms(ms)), UINT32_MAX);
	assert_int_not_equal(stw_overload_room(&overload, queue, at_ms(ms + 1400)), UINT32_MAX);
	assert_int_equal(stw_overload_room(&overload, queue, at_ms(ms + 1600)), UINT32_MAX);
	/* A slow server: what is read at once is always let in. */
	overload.queues[queue].taken_mean = 10;
	assert_int_equal(stw_overload_room(&overload, queue, at_ms(ms)), 64);
}

/* What another worker has read is late by itself: what is read here in time neither ends that nor
 * is refused for it, and its room does not change. */
static void test_elsewhere(void **state)
{
	struct stw_overload overload = overload_of(20, STW_OVERLOAD_FEEDBACK_OFF);
	struct stw_overload_queue queue = { 0 };
	const struct stw_overload_arrival late = {
		.waited_us = 30000, .standing = true, .elsewhere = &queue
	};

	for (uint64_t ms = 0; ms < 1000; ms++) {
		enum stw_overload_verdict verdict = ms < 100 ? ADMIT : REFUSE;

		assert_int_equal(stw_overload_admit(&overload, NEW, &late, at_ms(ms)), verdict);
		assert_int_equal(admit(&overload, 0, NEW, 0, at_ms(ms)), ADMIT);
	}
	assert_int_equal(stw_overload_room(&overload, 0, at_ms(1000)), UINT32_MAX);
	/* Both count for what is served. */
	assert_true(overload.queues[0].taken_mean >= 100 && queue.taken_mean == 0);
}

/* As many refusals are answered as requests are served, and a few more. */
static void test_answers(void **state)
{
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_OFF);
	const struct stw_overload_arrival arrival = { .waited_us = 21000, .standing = true },
					  quick = { .waited_us = 9000, .standing = true };
	unsigned refused = 0, dropped = 0;

	assert_int_equal(admit(&overload, 0, NEVER, 0, at_ms(1)), ADMIT);
	assert_false(stw_overload_floods(&overload, &arrival));
	for (unsigned i = 0; i < 200; i++) {
		enum stw_overload_verdict verdict = admit(&overload, 0, NEW, 21000, at_ms(1));

		refused += verdict == REFUSE;
		dropped += verdict == DROP;
	}
	assert_int_equal(refused, 64);
	assert_int_equal(dropped, 136);
	assert_true(stw_overload_floods(&overload, &arrival));
	assert_false(stw_overload_floods(&overload, &quick));
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(admit(&overload, 1, NEW, 0, at_ms(2)), ADMIT);
	refused = 0;
	for (unsigned i = 0; i < 200; i++)
		refused += admit(&overload, 0, NEW, 21000, at_ms(3)) == REFUSE;
	assert_int_equal(refused, 50);
	/* In the next interval some are, whatever is served. */
	assert_int_equal(admit(&overload, 0, NEW, 21000, at_ms(150)), REFUSE);
	assert_false(stw_overload_floods(&overload, &arrival));
}

/* A queue that is cut is full again at once: only what has waited for too long is refused. */
static void test_cut(void **state)
{
	struct stw_overload overload = busy_of(STW_OVERLOAD_FEEDBACK_OFF);
	struct stw_overload_arrival arrival = { .waited_us = 21000, .standing = true, .cut = true };

	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(stw_overload_admit(&overload, NEW, &arrival, at_ms(1)), REFUSE);
	assert_true(stw_overload_refuses(&overload));
	assert_true(stw_overload_floods(&overload, &arrival));
	arrival.waited_us = 19000;
	assert_false(stw_overload_floods(&overload, &arrival));
	assert_int_equal(stw_overload_admit(&overload, NEW, &arrival, at_ms(1)), ADMIT);
	arrival.waited_us = 21000;
	assert_int_equal(stw_overload_admit(&overload, NEW, &arrival, at_ms(1)), REFUSE);
	arrival.waited_us = 19000;
	arrival.cut = false;
	assert_int_equal(stw_overload_admit(&overload, NEW, &arrival, at_ms(1)), REFUSE);
	assert_false(stw_overload_refuses(&(struct stw_overload){ .calm = 15 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_refused_when),
		cmocka_unit_test(test_each_queue_has_its_own_state),
		cmocka_unit_test(test_only_a_standing_queue),
		cmocka_unit_test(test_connections_are_queues_of_their_own),
		cmocka_unit_test(test_streams_lose_nothing),
		cmocka_unit_test(test_without_a_target_nothing_is_refused),
		cmocka_unit_test(test_calm_server_says_so),
		cmocka_unit_test(test_loss_rises_holds_and_ends),
		cmocka_unit_test(test_loss_finds_its_place),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_rate_is_shared),
		cmocka_unit_test(test_rate_of_strangers),
		cmocka_unit_test(test_what_no_client_offers),
		cmocka_unit_test(test_sequence_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
