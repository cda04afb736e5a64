/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

static int setup(void **state)
{
	return stw_nonces_new(secret, LIFETIME, 64, (struct stw_nonces **)state);
}

static int teardown(void **state)
{
	stw_nonces_free(*state);
	return 0;
}

static void one_line_per_algorithm(void **state)
{
	const enum stw_digest_algorithm order[] = { STW_DIGEST_SHA_512_256, STW_DIGEST_MD5 };
	struct stw_challenge challenge = {
		.header = STW_HDR_WWW_AUTHENTICATE,
		.realm = STW_STR("a \"b\" \\c"),
		.nonce = STW_STR("n1"),
		.algorithms = order,
		.algorithm_count = 2,
	};
	struct stw_writer writer;
	char buffer[1024];

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_challenge_write(&writer, &challenge);
	assert_str(stw_writer_text(&writer),
		"WWW-Authenticate: Digest realm=\"a \\\"b\\\" \\\\c\", nonce=\"n1\", opaque=\"\", "
		"algorithm=SHA-512-256, qop=\"auth,auth-int\"\r\n"
		"WWW-Authenticate: Digest realm=\"a \\\"b\\\" \\\\c\", nonce=\"n1\", opaque=\"\", "
		"algorithm=MD5, qop=\"auth,auth-int\"\r\n");

	challenge.header = STW_HDR_PROXY_AUTHENTICATE;
	challenge.realm = REALM;
	challenge.stale = true;
	challenge.algorithm_count = 1;
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_challenge_write(&writer, &challenge);
	assert_str(stw_writer_text(&writer),
		"Proxy-Authenticate: Digest realm=\"example.com\", nonce=\"n1\", opaque=\"\", "
		"algorithm=SHA-512-256, qop=\"auth,auth-int\", stale=true\r\n");
}

static void too_small_a_buffer(void **state)
{
	const enum stw_digest_algorithm algorithm = STW_DIGEST_MD5;
	struct stw_challenge challenge = {
		.header = STW_HDR_WWW_AUTHENTICATE,
		.realm = REALM,
		.nonce = STW_STR("n"),
		.algorithms = &algorithm,
		.algorithm_count = 1,
	};
	struct stw_writer writer;
	char buffer[256];

	stw_writer_init(&writer, buffer, 20);
	stw_challenge_write(&writer, &challenge);
	assert_true(writer.overflow);
}

/* The challenge as sent, answered by our client, checked by our server; a realm with quotes too. */
static void round_trip(
	struct stw_nonces *nonces, struct stw_str realm, enum stw_digest_algorithm algorithm)
{
	static uint64_t random;
	char nonce[STW_NONCE_TEXT_MAX], lines[1024], answers[1024];
	struct stw_challenge challenge = {
		.header = STW_HDR_PROXY_AUTHENTICATE,
		.realm = realm,
		.algorithms = &algorithm,
		.nonce = stw_nonce_make(
			nonces, (struct stw_nonce_scope){ realm, PEER }, ++random, start, nonce),
		.algorithm_count = 1,
	};
	struct stw_digest_answer answer = {
		.header = STW_HDR_PROXY_AUTHORIZATION,
		.user = USER,
		.password = PASSWORD,
		.method = STW_STR("INVITE"),
		.uri = STW_STR(URI),
		.cnonce = STW_STR("c"),
		.nc = 1,
	};
	struct stw_credentials credentials;
	bool ages = true;
	struct stw_auth_check check = {
		.credentials = &credentials,
		.realm = realm,
		.peer = PEER,
		.offered = ALL,
		.nonce_ages = &ages,
	};
	struct stw_writer writer;
	struct request request;
	struct stw_ha1 ha1;

	stw_writer_init(&writer, lines, sizeof(lines));
	stw_challenge_write(&writer, &challenge);
	answer.challenge = stw_str_trim(stw_str_cut(stw_writer_text(&writer), 20, writer.len));
	stw_writer_init(&writer, answers, sizeof(answers));
	assert_int_equal(stw_digest_answer_write(&writer, &answer), 0);
	request_make(&request, URI, stw_writer_text(&writer), "");

	assert_int_equal(stw_ha1_make(USER, realm, PASSWORD, &ha1), 0);
	assert_int_equal(stw_credentials_find(
				 &request.msg, STW_HDR_PROXY_AUTHORIZATION, realm, &credentials),
		0);
	assert_int_equal(credentials.algorithm, algorithm);
	check.request = &request.msg;
	check.ha1 = &ha1;
	assert_int_equal(stw_auth_check(nonces, &check, start), STW_AUTH_OK);
	assert_false(ages);

	stw_writer_init(&writer, lines, sizeof(lines));
	stw_auth_info_write(&writer, nonces, &credentials, PEER, 9, later(LIFETIME * 1000 / 2));
	assert_str(stw_writer_text(&writer), "");
	stw_auth_info_write(&writer, nonces, &credentials, PEER, 9, later(LIFETIME * 1000 / 2 + 1));
	assert_true(stw_str_starts(
		stw_writer_text(&writer), STW_STR("Authentication-Info: nextnonce=\"1")));
	assert_memory_equal(lines + writer.len - 3, "\"\r\n", 3);
}

static void challenge_answer_check(void **state)
{
	for (unsigned algorithm = 0; algorithm < STW_DIGEST_ALGORITHMS; algorithm++) {
		round_trip(*state, REALM, algorithm);
		round_trip(*state, STW_STR("the \"big\" \\ realm, of all"), algorithm);
	}
}

static void no_next_nonce_for_a_forged_one(void **state)
{
	struct stw_credentials credentials = { .realm = REALM, .nonce = STW_STR("forged") };
	struct stw_writer writer;
	char buffer[256];

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_auth_info_write(&writer, *state, &credentials, PEER, 9, start);
	assert_int_equal(writer.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_per_algorithm),
		cmocka_unit_test(too_small_a_buffer),
		cmocka_unit_test_setup_teardown(challenge_answer_check, setup, teardown),
		cmocka_unit_test_setup_teardown(no_next_nonce_for_a_forged_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
