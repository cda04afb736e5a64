/* SPDX-License-Identifier: Apache-2.0 */
/* Random events against a response context: what must hold whatever comes, in whatever order. */
#include "context_support.h"

#include "context.h"

static struct bench bench;

#define RANDOM_BRANCHES 64

struct run {
	struct stw_random random;
	bool started[RANDOM_BRANCHES], ended[RANDOM_BRANCHES], provisional[RANDOM_BRANCHES];
	bool cancelled[RANDOM_BRANCHES];
	uint32_t breadth[RANDOM_BRANCHES];
	unsigned finals, successes, finished, pending, added;
	bool left[RANDOM_BRANCHES];
	bool asks, asked;
	bool fails;           /* nothing but failures comes */
	bool invite, stopped; /* a 2xx, 6xx, CANCEL or final was there */
};

static void run_relay(struct run *run, const struct stw_proxy_action *action)
{
	unsigned code = action->response->code;

	assert_true(run->invite || code >= 200);
	if (code < 200) {
		assert_int_equal(run->finals + run->successes, 0);
	} else if (code < 300) {
		run->successes++;
	} else {
		assert_int_equal(run->successes, 0);
		assert_true(code != 503 && code != 430);
		assert_true(run->invite || code != 408);
		run->finals++;
	}
}

static void run_start(struct run *run, const struct stw_proxy_action *action)
{
	unsigned i, breadth_used = 0;

	assert_true(action->branch < RANDOM_BRANCHES);
	assert_false(run->stopped);
	assert_false(run->started[action->branch]);
	assert_true(action->branch == 0 || run->started[action->branch - 1]);
	assert_true(action->max_breadth > 0);
	run->started[action->branch] = true;
	run->breadth[action->branch] = action->max_breadth;
	run->pending++;
	for (i = 0; i < RANDOM_BRANCHES; i++)
		breadth_used += run->started[i] && !run->ended[i] ? run->breadth[i] : 0;
	assert_true(breadth_used <= 7);
}

static void run_cancel(struct run *run, unsigned branch)
{
	assert_true(run->invite);
	assert_true(run->started[branch] && !run->ended[branch]);
	assert_true(run->provisional[branch]);
	assert_false(run->cancelled[branch]);
	run->cancelled[branch] = true;
}

static void run_take(struct run *run)
{
	struct stw_proxy_action action;

	while ((action = stw_response_context_next(bench.context)).kind != STW_PROXY_NOTHING) {
		switch (action.kind) {
		case STW_PROXY_START:
			run_start(run, &action);
			break;
		case STW_PROXY_CANCEL:
			run_cancel(run, action.branch);
			break;
		case STW_PROXY_RELAY:
			run_relay(run, &action);
			break;
		case STW_PROXY_ANSWER:
			assert_true(run->invite || action.cause->code != 408);
			assert_int_equal(run->successes, 0);
			run->finals++;
			break;
		case STW_PROXY_EARLY_END:
			assert_true(run->invite && run->finals + run->successes == 0);
			break;
		case STW_PROXY_NEXT:
			assert_false(run->stopped);
			assert_true(run->asks);
			run->asked = true;
			break;
		case STW_PROXY_ABANDON:
			assert_false(run->invite);
			run->finals++;
			break;
		case STW_PROXY_FINISHED:
			run->finished++;
			assert_int_equal(run->pending, 0);
			break;
		case STW_PROXY_TIMER_C:
			assert_true(run->invite);
			break;
		case STW_PROXY_NOTHING:
			break;
		}
	}
	run->stopped = run->stopped || run->finals || run->successes;
	assert_int_equal(bench.context->pending, run->pending);
}

static void run_end(struct run *run, unsigned branch)
{
	if (!run->started[branch] || run->ended[branch])
		return;
	run->ended[branch] = true;
	run->pending--;
}

static void run_respond(struct run *run, unsigned branch)
{
	static const unsigned codes[] = { 100, 100, 180, 180, 183, 183, 200, 302, 301, 401, 404,
		408, 416, 430, 480, 486, 487, 487, 500, 503, 503, 603 };
	static const unsigned failures[] = { 180, 430, 430, 500, 503, 504 };
	static const char *const contacts[] = { "", "Contact: <sip:n1@n.test>, <sip:n2@n.test>\r\n",
		"Contact: <sips:n3@n.test>, <sip:n4@n.test>;q=0.2\r\nRetry-After: 5\r\n" };
	unsigned code = run->fails
				? failures[stw_random_below(&run->random, STW_ARRAY_SIZE(failures))]
				: codes[stw_random_below(&run->random, STW_ARRAY_SIZE(codes))];
	bool misfit = stw_random_below(&run->random, 20) == 0;

	response_make(bench.response, code, run->invite ? "INVITE" : "MESSAGE",
		misfit ? "From: <sip:a@a>;tag=f2\r\nTo: <sip:b@b>\r\nCall-ID: c1@a\r\n"
		       : IDENTITY("t"),
		contacts[stw_random_below(&run->random, STW_ARRAY_SIZE(contacts))]);
	if (run->started[branch] && !run->ended[branch] && !misfit) {
		run->provisional[branch] = run->provisional[branch] || code < 200;
		run->stopped = run->stopped || (code >= 600 && !run->left[branch]);
	}
	if (code >= 200)
		run_end(run, branch);
	stw_response_context_response(bench.context, branch, &bench.response->msg);
}

static unsigned run_branch(struct run *run)
{
	unsigned n = 0;

	while (n < RANDOM_BRANCHES && run->started[n])
		n++;
	return n ? (unsigned)stw_random_below(&run->random, n) : 0;
}

/* Some are flows of one phone. */
static struct stw_proxy_target target_random(struct run *run, const char *uri)
{
	static const char *const instances[] = { "", "", "<urn:uuid:1>", "<urn:uuid:2>" };
	struct stw_proxy_target target = { .uri = stw_str_from(uri) };

	target.q = (unsigned)stw_random_below(&run->random, 3) * 500;
	target.instance =
		stw_str_from(instances[stw_random_below(&run->random, STW_ARRAY_SIZE(instances))]);
	target.instance_of = STW_STR("sip:bob@example.test");
	return target;
}

static void run_add(struct run *run)
{
	struct stw_proxy_target target;
	char uri[40];

	if (run->added >= 8 || run->asked)
		return;
	snprintf(uri, sizeof(uri), "%s%u@x.test", run->added == 3 ? "tel:+1" : "sip:r", run->added);
	target = target_random(run, uri);
	run->added++;
	assert_int_equal(stw_response_context_add(bench.context, &target, 1), 0);
	if (stw_random_below(&run->random, 2))
		stw_response_context_start(bench.context);
}

static void run_more(struct run *run)
{
	struct stw_proxy_target targets[2];
	char uris[2][40];
	unsigned i, n = (unsigned)stw_random_below(&run->random, 3);

	for (i = 0; i < n; i++) {
		snprintf(uris[i], sizeof(uris[i]), "sip:m%u@x.test",
			(unsigned)stw_random_below(&run->random, 8));
		targets[i] = target_random(run, uris[i]);
	}
	run->asked = false;
	assert_int_equal(stw_response_context_more(
				 bench.context, targets, n, stw_random_below(&run->random, 2)),
		0);
}

static void run_leave(struct run *run)
{
	unsigned i;

	if (run->asked || run->stopped || !run->invite)
		return;
	for (i = 0; i < RANDOM_BRANCHES; i++)
		run->left[i] = run->left[i] || (run->started[i] && !run->ended[i]);
	stw_response_context_leave(bench.context);
}

/* What only a context that asks is told. */
static void run_service(struct run *run)
{
	unsigned what = (unsigned)stw_random_below(&run->random, 8);

	if (!run->asks)
		return;
	if (run->asked && what < 2) {
		run->asks = run->asked = false;
		stw_response_context_settle(bench.context);
	} else if (run->asked && run->added < 40) {
		run->added++;
		run_more(run);
	} else {
		run_leave(run);
	}
}

static void run_step(struct run *run)
{
	unsigned branch = run_branch(run);

	if (stw_random_below(&run->random, 12) == 0) {
		run_service(run);
		run_take(run);
		return;
	}
	switch (stw_random_below(&run->random, 40)) {
	case 0:
		stw_response_context_cancel(bench.context, STW_STR("Reason: SIP;cause=1\r\n"));
		run->stopped = run->stopped || run->invite;
		break;
	case 1:
		run_end(run, branch);
		stw_response_context_timeout(bench.context, branch);
		break;
	case 2:
		run_end(run, branch);
		stw_response_context_failed(bench.context, branch, NULL);
		break;
	case 3:
		if (run->invite && (!run->provisional[branch] || run->cancelled[branch]))
			run_end(run, branch);
		stw_response_context_timer_c(bench.context, branch);
		break;
	case 4:
		stw_response_context_no_answer(bench.context);
		stw_response_context_level_over(bench.context);
		break;
	case 5:
	case 6:
	case 7:
		run_add(run);
		break;
	default:
		run_respond(run, branch);
		break;
	}
	run_take(run);
}

/* All that is pending comes to its end at last. */
static void run_finish(struct run *run)
{
	unsigned i, rounds;

	stw_response_context_start(bench.context);
	run_take(run);
	stw_response_context_settle(bench.context);
	run_take(run);
	for (rounds = 0; run->pending && rounds < 100; rounds++) {
		for (i = 0; i < RANDOM_BRANCHES; i++) {
			if (!run->started[i] || run->ended[i])
				continue;
			run_end(run, i);
			stw_response_context_timeout(bench.context, i);
			run_take(run);
		}
	}
	if (!run->finals && !run->successes) { /* nothing was ever tried */
		assert_false(run->started[0]);
		stw_response_context_cancel(bench.context, STW_STR_NONE);
		run_take(run);
	}
}

static void random_runs(void **state)
{
	struct run run;
	uint64_t seed;
	unsigned step;

	for (seed = 1; seed <= 5000; seed++) {
		memset(&run, 0, sizeof(run));
		stw_random_seed(&run.random, seed);
		run.invite = stw_random_below(&run.random, 4) != 0;
		bench_open(&bench, run.invite ? "INVITE" : "MESSAGE", "sip:bob@example.test",
			"Max-Breadth: 7\r\nSupported: 199\r\n");
		run.fails = stw_random_below(&run.random, 4) == 0;
		run.asks = stw_random_below(&run.random, 2);
		if (run.asks)
			stw_response_context_ask(bench.context);
		bench.options.recurse = stw_random_below(&run.random, 2);
		bench.options.serial_fallback = stw_random_below(&run.random, 4) != 0;
		do
			run_add(&run);
		while (stw_random_below(&run.random, 3));
		run_take(&run);
		for (step = 0; step < 60; step++)
			run_step(&run);
		run_finish(&run);
		assert_int_equal(run.pending, 0);
		if (run.invite) {
			assert_true(run.finals == 1 || (run.finals == 0 && run.successes > 0));
			assert_int_equal(run.finished, 1);
		} else if (run.started[0]) {
			assert_int_equal(run.finals + run.successes, 1);
			assert_int_equal(run.finished, 1);
		}
		bench_close(&bench);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
