/* SPDX-License-Identifier: Apache-2.0 */
/* Events by chance against all four machines at once; a failing seed is printed and replays. */
#include "lab.h"

#define SEEDS        3000
#define TRANSACTIONS 12
#define EVENTS       200

static struct lab lab;

/* What has been seen of one transaction. */
struct watch {
	struct stw_tx *tx;
	bool ended;
	unsigned passed_finals; /* client: to the core */
	unsigned passed_2xx;
	unsigned told;        /* time-outs, and errors that end a client */
	unsigned sent_finals; /* server: different final codes on the wire */
	unsigned first_final;
};

static struct watch watches[TRANSACTIONS];

static bool is_server(const struct watch *watch)
{
	return tx_is_server(tx_of(watch->tx));
}

static void watch_end(struct watch *watch, unsigned actions)
{
	if (actions & STW_TX_ENDED) {
		assert_false(watch->ended);
		watch->ended = true;
		assert_false(stw_timer_running(&tx_of(watch->tx)->retransmit));
		assert_false(stw_timer_running(&tx_of(watch->tx)->end));
	}
	assert_int_equal(watch->tx->state == STW_TX_TERMINATED, watch->ended);
	if (actions & STW_TX_TIMEOUT || (actions & STW_TX_ERROR && !is_server(watch)))
		watch->told++;
	assert_true(watch->told <= 1);
}

static void client_event(struct watch *watch, unsigned code)
{
	struct stw_msg msg = { .code = (uint16_t)code };
	bool ended = watch->ended;
	unsigned actions = stw_tx_receive_response(watch->tx, &msg, lab.now);

	if (ended)
		assert_int_equal(actions, 0);
	if (actions & STW_TX_PASS_UP && code >= 200) {
		watch->passed_finals++;
		watch->passed_2xx += code < 300;
	}
	/* One final response; an INVITE may pass on many, but then all of them 2xx. */
	if (watch->tx->kind == STW_TX_INVITE_CLIENT && watch->passed_2xx)
		assert_int_equal(watch->passed_finals, watch->passed_2xx);
	else
		assert_true(watch->passed_finals <= 1);
	if (actions & STW_TX_SEND_ACK)
		assert_true(watch->tx->kind == STW_TX_INVITE_CLIENT && code >= 300);
	watch_end(watch, actions);
}

static void server_event(struct watch *watch, unsigned code)
{
	bool ended = watch->ended;
	unsigned actions = stw_tx_respond(watch->tx, code, lab_slices, lab.now);

	if (ended)
		assert_int_equal(actions, 0);
	if (actions & STW_TX_SEND && code >= 200) {
		assert_true(
			!watch->first_final || (watch->first_final < 300 && code < 300 &&
						       watch->tx->kind == STW_TX_INVITE_SERVER));
		watch->first_final = code;
	}
	if (actions & STW_TX_SEND)
		assert_false(watch->first_final && code < 200);
	if (actions & STW_TX_SEND && watch->tx->kind == STW_TX_NON_INVITE_SERVER)
		assert_true(code != 408 && (code == 100 || code >= 200));
	watch_end(watch, actions);
}

static void request_event(struct watch *watch, bool is_ack)
{
	bool invite = watch->tx->kind == STW_TX_INVITE_SERVER;
	struct stw_msg msg = {
		.is_request = true,
		.method = is_ack && invite ? STW_METHOD_ACK : watch->tx->method,
	};
	unsigned actions = stw_tx_receive_request(watch->tx, &msg, lab.now);

	/* A retransmission never reaches the core, only an ACK for a 2xx does. */
	if (actions & STW_TX_PASS_UP)
		assert_true(msg.method == STW_METHOD_ACK && watch->tx->state == STW_TX_ACCEPTED);
	if (actions & STW_TX_SEND)
		assert_true(watch->tx->last_code != 0);
	watch_end(watch, actions);
}

static void timers_run(uint64_t until_ms)
{
	struct stw_timer *timer;

	lab.now.mono_ms = until_ms;
	while ((timer = stw_wheel_expire(&lab.wheel, until_ms))) {
		struct stw_tx *tx = timer->owner;
		struct watch *watch = tx->user;
		unsigned actions = stw_tx_timer(tx, timer, lab.now);

		assert_false(watch->ended);
		assert_false(actions & STW_TX_PASS_UP);
		watch_end(watch, actions);
	}
}

static void random_event(struct stw_random *random)
{
	static const unsigned codes[] = { 100, 180, 199, 200, 202, 299, 300, 404, 408, 486, 503,
		600, 699 };
	struct watch *watch = &watches[stw_random_below(random, TRANSACTIONS)];
	unsigned code = codes[stw_random_below(random, STW_ARRAY_SIZE(codes))];

	switch (stw_random_below(random, 8)) {
	case 0:
	case 1:
		timers_run(lab.now.mono_ms + stw_random_below(random, 1500));
		break;
	case 2:
		watch_end(watch, stw_tx_transport_error(watch->tx, lab.now));
		break;
	case 3:
		if (is_server(watch))
			request_event(watch, stw_random_below(random, 2));
		else
			watch_end(watch, stw_tx_resend(watch->tx, lab_slices,
						 stw_random_below(random, 2), lab.now));
		break;
	case 4:
		if (is_server(watch))
			request_event(watch, true);
		break;
	default:
		if (is_server(watch))
			server_event(watch, code);
		else
			client_event(watch, code);
	}
}

static void transactions_new(struct stw_random *random)
{
	for (unsigned i = 0; i < TRANSACTIONS; i++) {
		enum stw_tx_kind kind = i % 4;
		bool reliable = stw_random_below(random, 2);

		watches[i] = (struct watch){ 0 };
		/* The key does not matter here: three of each kind share theirs. */
		lab_new(&lab, kind, reliable);
		watches[i].tx = lab.tx;
		lab.tx->user = &watches[i];
	}
}

/* The TU must answer an INVITE, or forget it, some day; all else ends by itself. */
static void all_come_to_an_end(void)
{
	for (unsigned i = 0; i < TRANSACTIONS; i++) {
		struct watch *watch = &watches[i];

		if (watch->ended)
			continue;
		if (is_server(watch))
			server_event(watch, 500);
		else if (watch->tx->kind == STW_TX_INVITE_CLIENT &&
			 watch->tx->state == STW_TX_PROCEEDING)
			client_event(watch, 487);
	}
	for (unsigned s = 0; s < 33; s++)
		timers_run(lab.now.mono_ms + 1000);
	for (unsigned i = 0; i < TRANSACTIONS; i++)
		assert_true(watches[i].ended);
	assert_int_equal(lab.wheel.count, 0);
	assert_int_equal(stw_tx_count(lab.layer), TRANSACTIONS);
	stw_tx_reap(lab.layer, NULL, NULL);
	assert_int_equal(stw_tx_count(lab.layer), 0);
	assert_int_equal(lab.layer->servers.count + lab.layer->clients.count, 0);
}

static uint64_t seed_running;

static void test_random_events(void **state)
{
	struct stw_random random;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		seed_running = seed;
		stw_random_seed(&random, seed);
		lab_init(&lab);
		transactions_new(&random);
		support_allocations();
		for (unsigned i = 0; i < EVENTS; i++)
			random_event(&random);
		assert_int_equal(support_allocations(), 0);
		all_come_to_an_end();
		lab_done(&lab);
	}
	seed_running = 0;
}

static int report_seed(void **state)
{
	if (seed_running)
		print_error("failing seed: %llu\n", (unsigned long long)seed_running);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_random_events, report_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
