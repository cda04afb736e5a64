/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "internal.h"

#include <errno.h>

static int setup(void **state)
{
	int err = stw_nonces_new(secret, LIFETIME, 64, (struct stw_nonces **)state);

	if (err == 0)
		stw_nonces_start(*state, start);
	return err;
}

static int teardown(void **state)
{
	stw_nonces_free(*state);
	return 0;
}

static void carries_time_and_random(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct stw_str text =
		stw_nonce_make(*state, SCOPE, UINT64_C(0xfedcba9876543210), start, buffer);
	struct nonce nonce;

	assert_int_equal(text.len, 41);
	for (size_t i = 0; i < text.len; i++)
		assert_non_null(
			strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
				text.ptr[i]));
	assert_int_equal(nonce_open(*state, SCOPE, text, &nonce), 0);
	assert_int_equal(nonce.issued_ms, start.wall_ms);
	assert_int_equal(nonce.random, UINT64_C(0xfedcba9876543210));
	assert_int_equal(nonce_age_ms(*state, &nonce, later(5)), 5);
	assert_int_equal(nonce_age_ms(*state, &nonce, later(-5)), 5);
}

/* No change of any bit of any byte goes unnoticed, nor does another length. */
static void every_bit_counts(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX], forged[STW_NONCE_TEXT_MAX + 1];
	struct stw_str text = stw_nonce_make(*state, SCOPE, 7, start, buffer);
	struct nonce nonce;

	for (size_t i = 0; i < text.len * 8; i++) {
		memcpy(forged, buffer, text.len);
		forged[i / 8] = (char)(forged[i / 8] ^ (1 << i % 8));
		assert_true(nonce_open(*state, SCOPE, (struct stw_str){ forged, text.len },
				    &nonce) < 0);
	}
	for (size_t len = 0; len < text.len; len++) {
		char *guarded = support_guarded(buffer, len);

		assert_int_equal(
			nonce_open(*state, SCOPE, (struct stw_str){ guarded, len }, &nonce),
			-EBADMSG);
		support_guarded_free(guarded, len);
	}
	memcpy(forged, buffer, text.len);
	forged[text.len] = 'A';
	assert_int_equal(
		nonce_open(*state, SCOPE, (struct stw_str){ forged, text.len + 1 }, &nonce),
		-EBADMSG);
}

static void bound_to_realm_peer_and_secret(void **state)
{
	uint8_t other_secret[32];
	char buffer[STW_NONCE_TEXT_MAX];
	struct stw_str text = stw_nonce_make(*state, SCOPE, 7, start, buffer);
	struct stw_nonce_scope scope = SCOPE;
	struct stw_nonces *other;
	struct nonce nonce;

	scope.realm = STW_STR("example.org");
	assert_int_equal(nonce_open(*state, scope, text, &nonce), -EACCES);
	scope = SCOPE;
	scope.peer ^= UINT64_C(1) << 63;
	assert_int_equal(nonce_open(*state, scope, text, &nonce), -EACCES);
	memcpy(other_secret, secret, sizeof(other_secret));
	other_secret[31] ^= 1;
	assert_int_equal(stw_nonces_new(other_secret, LIFETIME, 64, &other), 0);
	assert_int_equal(nonce_open(other, SCOPE, text, &nonce), -EACCES);
	stw_nonces_free(other);
	assert_int_equal(stw_nonces_new(secret, LIFETIME, 64, &other), 0);
	assert_int_equal(nonce_open(other, SCOPE, text, &nonce), -EACCES);
	stw_nonces_start(other, start);
	assert_int_equal(nonce_open(other, SCOPE, text, &nonce), 0);
	stw_nonces_free(other);
}

static void no_memory(void **state)
{
	struct stw_nonces *nonces = NULL;
	unsigned nth = 1;

	for (;; nth++) {
		int err;

		support_fail_allocation(nth);
		err = stw_nonces_new(secret, LIFETIME, 64, &nonces);
		support_fail_allocation(0);
		if (err == 0)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_null(nonces);
	}
	assert_true(nth > 2);
	stw_nonces_free(nonces);
	assert_null(stw_nonces_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(carries_time_and_random, setup, teardown),
		cmocka_unit_test_setup_teardown(every_bit_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(bound_to_realm_peer_and_secret, setup, teardown),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
