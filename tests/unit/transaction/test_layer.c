/* SPDX-License-Identifier: Apache-2.0 */
#include "lab.h"

#include <errno.h>

static struct lab lab;

struct reaped {
	unsigned count;
	void *users[8];
};

static void user_done(void *context, struct stw_tx *tx)
{
	struct reaped *reaped = context;

	assert_int_equal(tx->state, STW_TX_TERMINATED);
	reaped->users[reaped->count++] = tx->user;
}

static void test_reap(void **state)
{
	struct reaped reaped = { 0 };
	int first, second;

	lab_init(&lab);
	lab_new(&lab, STW_TX_NON_INVITE_SERVER, false);
	lab.tx->user = &first;
	lab_play(&lab, "w32000 abandon");
	assert_int_equal(stw_tx_count(lab.layer), 1);
	lab_new(&lab, STW_TX_INVITE_CLIENT, false);
	lab.tx->user = &second;
	stw_tx_reap(lab.layer, user_done, &reaped);
	assert_int_equal(reaped.count, 1);
	assert_ptr_equal(reaped.users[0], &first);
	assert_int_equal(stw_tx_count(lab.layer), 1);
	stw_tx_reap(lab.layer, user_done, &reaped);
	assert_int_equal(reaped.count, 1);

	stw_tx_end_all(lab.layer);
	assert_int_equal(lab.wheel.count, 0);
	stw_tx_reap(lab.layer, user_done, &reaped);
	assert_int_equal(reaped.count, 2);
	assert_ptr_equal(reaped.users[1], &second);
	assert_int_equal(stw_tx_count(lab.layer), 0);
	lab_done(&lab);
	assert_null(stw_tx_layer_free(NULL));
}

static int server_new(const char *method, const char *via)
{
	struct lab_request parts = { .method = method, .via = via };
	struct lab_msg msg;
	struct stw_tx *tx = NULL;

	lab_request(&msg, parts);
	return stw_tx_server_new(lab.layer, &msg.msg, false, lab.now, &tx);
}

static int client_new(const char *branch)
{
	struct stw_tx_client_options options = {
		.method = STW_METHOD_INVITE,
		.branch = stw_str_from(branch),
		.request = lab_slices,
	};
	struct stw_tx *tx = NULL;
	unsigned actions = 0;

	return stw_tx_client_new(lab.layer, &options, lab.now, &tx, &actions);
}

/* The nth allocation fails: nothing is left over, and the next try succeeds. */
static void test_no_memory(void **state)
{
	struct stw_tx_layer *layer = NULL;

	lab_init(&lab);
	support_fail_allocation(1);
	assert_int_equal(stw_tx_layer_new(&lab.wheel, lab_key(), &layer), -ENOMEM);
	assert_null(layer);
	for (unsigned nth = 1; nth <= 2; nth++) {
		support_fail_allocation(nth);
		assert_int_equal(server_new("INVITE", NULL), -ENOMEM);
		support_fail_allocation(nth);
		assert_int_equal(client_new("z9hG4bK1"), -ENOMEM);
		support_fail_allocation(0);
		assert_int_equal(stw_tx_count(lab.layer), 0);
		assert_int_equal(lab.wheel.count, 0);
	}
	assert_int_equal(server_new("INVITE", NULL), 0);
	assert_int_equal(client_new("z9hG4bK1"), 0);
	lab_done(&lab);
}

/* One allocation for each transaction, none for an event. */
static void test_allocations(void **state)
{
	lab_init(&lab);
	assert_int_equal(server_new("OPTIONS", "SIP/2.0/UDP a.example.com"), 0);
	support_allocations();
	assert_int_equal(server_new("OPTIONS", "SIP/2.0/UDP b.example.com"), 0);
	assert_int_equal(support_allocations(), 1);
	lab_new(&lab, STW_TX_INVITE_SERVER, false);
	support_allocations();
	lab_play(&lab, "w500 r100 req r180 r486 w3000 req ack err w10000");
	assert_int_equal(support_allocations(), 0);
	lab_done(&lab);
	assert_in_range(sizeof(struct tx), 1, 184);
	print_message("struct tx: %zu bytes, struct tx_legacy: %zu bytes\n", sizeof(struct tx),
		sizeof(struct tx_legacy));
}

/* A peer that gives one branch to ever more requests makes no chain without end. */
static void test_crowded_key(void **state)
{
	char method[16];

	lab_init(&lab);
	for (unsigned i = 0; i < TX_SAME_KEY_MAX; i++) {
		snprintf(method, sizeof(method), "FOO%u", i);
		assert_int_equal(server_new(method, NULL), 0);
	}
	assert_int_equal(server_new("INVITE", NULL), -ENOBUFS);
	assert_int_equal(stw_tx_count(lab.layer), TX_SAME_KEY_MAX);
	assert_int_equal(
		server_new("INVITE", "SIP/2.0/UDP pc33.example.com;branch=z9hG4bKother"), 0);
	lab_done(&lab);
}

static void test_many(void **state)
{
	char branch[32];
	struct lab_msg msg;

	lab_init(&lab);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		assert_int_equal(client_new(branch), 0);
	}
	assert_int_equal(stw_tx_count(lab.layer), 20000);
	for (unsigned i = 0; i < 20000; i += 997) {
		snprintf(branch, sizeof(branch), "z9hG4bK%u", i);
		lab_response(&msg, 486, branch, "INVITE");
		lab.tx = stw_tx_match_response(lab.layer, &msg.msg);
		assert_non_null(lab.tx);
		assert_str(lab.tx->branch, branch);
	}
	lab_done(&lab);
}

static void test_causes(void **state)
{
	assert_int_equal(stw_cause_timer_b.code, 408);
	assert_int_equal(stw_cause_timer_f.code, 0); /* RFC 4320 §4.2 */
	assert_int_equal(stw_cause_timer_h.code, 0);
	assert_int_equal(stw_cause_transport_error.code, 503);
	assert_int_equal(stw_cause_request_gone.code, 481);
	assert_int_equal(stw_cause_response_unmatched.code, 0);
	assert_string_equal(stw_cause_timer_b.id, "no-response");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reap),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_allocations),
		cmocka_unit_test(test_crowded_key),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
