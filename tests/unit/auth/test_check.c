/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "internal.h"

#include <errno.h>

static const uint8_t new_secret[32] = "another one, after a restart....";

struct fixture {
	struct stw_nonces *nonces;
	struct stw_ha1 ha1;
};

static int setup(void **state)
{
	static struct fixture fixture;

	*state = &fixture;
	if (stw_nonces_new(secret, LIFETIME, 256, &fixture.nonces) < 0)
		return -1;
	return stw_ha1_make(USER, REALM, PASSWORD, &fixture.ha1);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fixture->nonces = stw_nonces_free(fixture->nonces);
	return 0;
}

/* What a client sends and how the server looks at it; what is 0 takes the usual value. */
struct attempt {
	enum stw_digest_algorithm algorithm;
	const char *qop; /* "": none in the challenge */
	struct stw_str nonce, realm, password, body;
	const char *uri, *request_uri;
	uint32_t nc;
	unsigned offered;
	bool unknown, tampered, moved;
	int64_t after_ms, wall_step_ms; /* time since the start, and how far the clock was set */
};

/* The challenge as we write it, but with a qop of the test's choice. */
static struct stw_str challenge_text(const struct attempt *attempt, char *buffer, size_t capacity)
{
	struct stw_str realm = attempt->realm.ptr ? attempt->realm : REALM;
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, capacity);
	stw_write_format(&writer, "Digest realm=\"%.*s\", nonce=\"%.*s\", algorithm=%s",
		STW_STR_ARG(realm), STW_STR_ARG(attempt->nonce),
		stw_digest_name(attempt->algorithm).ptr);
	if (attempt->qop[0])
		stw_write_format(&writer, ", qop=\"%s\"", attempt->qop);
	assert_false(writer.overflow);
	return stw_writer_text(&writer);
}

static void attempt_send(const struct attempt *attempt, struct request *request)
{
	char challenge[512], line[1024];
	struct stw_writer writer;
	struct stw_digest_answer answer = {
		.header = STW_HDR_AUTHORIZATION,
		.challenge = challenge_text(attempt, challenge, sizeof(challenge)),
		.user = USER,
		.password = attempt->password.ptr ? attempt->password : PASSWORD,
		.method = STW_STR("INVITE"),
		.uri = stw_str_from(attempt->uri ? attempt->uri : URI),
		.body = attempt->body,
		.cnonce = STW_STR("0a4f113b"),
		.nc = attempt->nc ? attempt->nc : 1,
	};

	stw_writer_init(&writer, line, sizeof(line));
	assert_int_equal(stw_digest_answer_write(&writer, &answer), 0);
	assert_false(writer.overflow);
	request_make(request, attempt->request_uri ? attempt->request_uri : URI,
		stw_writer_text(&writer), attempt->tampered ? "v=1\r\n" : "v=0\r\n");
}

static enum stw_auth_verdict verdict(struct fixture *fixture, struct attempt attempt)
{
	struct stw_str realm = attempt.realm.ptr ? attempt.realm : REALM;
	struct stw_credentials credentials;
	struct request request;
	struct stw_now now;
	struct stw_auth_check check = {
		.request = &request.msg,
		.credentials = &credentials,
		.ha1 = attempt.unknown ? NULL : &fixture->ha1,
		.realm = REALM,
		.peer = attempt.moved ? PEER + 1 : PEER,
		.offered = attempt.offered ? attempt.offered : ALL,
	};

	if (!attempt.qop)
		attempt.qop = "auth";
	if (!attempt.body.ptr)
		attempt.body = STW_STR("v=0\r\n");
	attempt_send(&attempt, &request);
	assert_int_equal(
		stw_credentials_find(&request.msg, STW_HDR_AUTHORIZATION, realm, &credentials), 0);
	now = later(attempt.after_ms);
	now.wall_ms += attempt.wall_step_ms;
	return stw_auth_check(fixture->nonces, &check, now);
}

static struct stw_str fresh(struct fixture *fixture, char buffer[STW_NONCE_TEXT_MAX])
{
	static uint64_t random;

	return stw_nonce_make(fixture->nonces, SCOPE, ++random, start, buffer);
}

static void right_credentials(void **state)
{
	const char *const qops[] = { "auth", "auth-int", "auth-int,auth", "" };

	for (unsigned algorithm = 0; algorithm < STW_DIGEST_ALGORITHMS; algorithm++) {
		for (size_t i = 0; i < STW_ARRAY_SIZE(qops); i++) {
			char buffer[STW_NONCE_TEXT_MAX];
			struct attempt attempt = { .algorithm = algorithm,
				.qop = qops[i],
				.nonce = fresh(*state, buffer) };

			assert_int_equal(verdict(*state, attempt), STW_AUTH_OK);
		}
	}
}

static void stale_by_time(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt attempt = { .nonce = fresh(*state, buffer) };

	attempt.after_ms = LIFETIME * 1000 + 1;
	assert_int_equal(verdict(*state, attempt), STW_AUTH_STALE);
	attempt.password = STW_STR("wrong");
	assert_int_equal(verdict(*state, attempt), STW_AUTH_BAD);
	attempt.password = STW_STR_NONE;
	attempt.after_ms = LIFETIME * 1000;
	assert_int_equal(verdict(*state, attempt), STW_AUTH_OK);
	/* The clock was set back by more than a lifetime. */
	attempt.nc = 2;
	attempt.after_ms = -(LIFETIME * 1000 + 1);
	assert_int_equal(verdict(*state, attempt), STW_AUTH_STALE);
}

static void replay(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt attempt = { .nonce = fresh(*state, buffer), .nc = 200 };

	assert_int_equal(verdict(*state, attempt), STW_AUTH_OK);
	assert_int_equal(verdict(*state, attempt), STW_AUTH_STALE);
	attempt.nc = 150; /* overtaken on the way */
	assert_int_equal(verdict(*state, attempt), STW_AUTH_OK);
	assert_int_equal(verdict(*state, attempt), STW_AUTH_STALE);
	attempt.nc = 200 - 64; /* out of the window */
	assert_int_equal(verdict(*state, attempt), STW_AUTH_STALE);
	attempt.nc = 201;
	attempt.algorithm = STW_DIGEST_SHA_256; /* counts belong to the nonce */
	assert_int_equal(verdict(*state, attempt), STW_AUTH_OK);
	attempt.qop = "";
	assert_int_equal(verdict(*state, attempt), STW_AUTH_STALE);
}

static void without_qop_once(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt attempt = { .nonce = fresh(*state, buffer), .qop = "" };

	assert_int_equal(verdict(*state, attempt), STW_AUTH_OK);
	assert_int_equal(verdict(*state, attempt), STW_AUTH_STALE);
	attempt.qop = "auth";
	assert_int_equal(verdict(*state, attempt), STW_AUTH_STALE);
}

static void failures_spend_no_count(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt wrong = { .nonce = fresh(*state, buffer), .password = STW_STR("wrong") };
	struct attempt right = { .nonce = wrong.nonce };

	assert_int_equal(verdict(*state, wrong), STW_AUTH_BAD);
	wrong.password = STW_STR_NONE;
	wrong.unknown = true;
	assert_int_equal(verdict(*state, wrong), STW_AUTH_BAD);
	assert_int_equal(verdict(*state, right), STW_AUTH_OK);
}

/* Not even a response made from the dummy that stands in for an unknown user opens the door. */
static void unknown_user(void **state)
{
	struct fixture *fixture = *state;
	const uint8_t dummy[STW_DIGEST_BYTES_MAX] = { 0x5f };
	char buffer[STW_NONCE_TEXT_MAX], hex[STW_DIGEST_HEX_MAX];
	uint8_t response[STW_DIGEST_BYTES_MAX];
	struct stw_writer writer;
	struct request request;
	struct stw_credentials credentials = {
		.algorithm = STW_DIGEST_SHA_256,
		.username = USER,
		.realm = REALM,
		.nonce = fresh(fixture, buffer),
		.uri = STW_STR(URI),
	};
	struct digest_input input = {
		.algorithm = STW_DIGEST_SHA_256,
		.ha1 = dummy,
		.nonce = credentials.nonce,
		.method = STW_STR("INVITE"),
		.uri = STW_STR(URI),
	};
	struct stw_auth_check check = {
		.request = &request.msg,
		.credentials = &credentials,
		.realm = REALM,
		.peer = PEER,
		.offered = ALL,
	};

	request_make(&request, URI, STW_STR(""), "");
	assert_int_equal(digest_response(&input, response), 0);
	stw_writer_init(&writer, hex, sizeof(hex));
	stw_write_hex(&writer, response, sizeof(response));
	credentials.response = stw_writer_text(&writer);
	assert_int_equal(stw_auth_check(fixture->nonces, &check, start), STW_AUTH_BAD);
	memset(fixture->ha1.digest, 0, sizeof(fixture->ha1.digest));
	fixture->ha1.digest[STW_DIGEST_SHA_256][0] = 0x5f;
	check.ha1 = &fixture->ha1;
	assert_int_equal(stw_auth_check(fixture->nonces, &check, start), STW_AUTH_OK);
}

static void forged_nonce(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX], other[STW_NONCE_TEXT_MAX];
	struct stw_str genuine = fresh(*state, buffer);

	for (size_t i = 0; i < genuine.len; i++) {
		struct attempt attempt = { .nonce = { other, genuine.len } };

		memcpy(other, buffer, genuine.len);
		other[i] = other[i] == 'A' ? 'B' : 'A';
		assert_int_not_equal(verdict(*state, attempt), STW_AUTH_OK);
		attempt.password = STW_STR("wrong");
		assert_int_equal(verdict(*state, attempt), STW_AUTH_BAD);
	}
	assert_int_equal(verdict(*state, (struct attempt){ .nonce = STW_STR("dcd98b7102dd2f0e") }),
		STW_AUTH_BAD);
}

/* It was given to somebody else, or the client has moved: stale for who knows the password, and not
 * used up. */
static void another_peer(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt attempt = { .nonce = fresh(*state, buffer), .moved = true };

	assert_int_equal(verdict(*state, attempt), STW_AUTH_STALE);
	attempt.password = STW_STR("wrong");
	assert_int_equal(verdict(*state, attempt), STW_AUTH_BAD);
	attempt = (struct attempt){ .nonce = attempt.nonce };
	assert_int_equal(verdict(*state, attempt), STW_AUTH_OK);
}

/* §5 of the design: after a restart clients are challenged again, without asking their users. */
static void restart(void **state)
{
	struct fixture *fixture = *state, after = *fixture;
	char buffer[STW_NONCE_TEXT_MAX], young[STW_NONCE_TEXT_MAX];
	struct attempt attempt = { .nonce = fresh(fixture, buffer), .after_ms = 1000 };

	assert_int_equal(stw_nonces_new(new_secret, LIFETIME, 256, &after.nonces), 0);
	assert_int_equal(verdict(&after, attempt), STW_AUTH_STALE);
	stw_nonces_free(after.nonces);

	/* The same secret: counts are gone, so what is older than the start is stale. */
	assert_int_equal(stw_nonces_new(secret, LIFETIME, 256, &after.nonces), 0);
	stw_nonces_start(after.nonces, later(1));
	assert_int_equal(verdict(&after, attempt), STW_AUTH_STALE);
	attempt.nonce = stw_nonce_make(after.nonces, SCOPE, 99, later(1), young);
	assert_int_equal(verdict(&after, attempt), STW_AUTH_OK);
	stw_nonces_free(after.nonces);
}

/* Set by hours, back or forth: nonces of before and of after are good, and grow old by their time.
 */
static void clock_is_set(void **state)
{
	const int64_t steps_ms[] = { -7200000, 7200000, INT64_MIN / 2 };

	for (size_t i = 0; i < STW_ARRAY_SIZE(steps_ms); i++) {
		char before[STW_NONCE_TEXT_MAX], after[STW_NONCE_TEXT_MAX];
		struct stw_now now = { later(1000).mono_ms, start.wall_ms + steps_ms[i] };
		struct fixture fixture = *(struct fixture *)*state;
		struct attempt attempt = { .after_ms = 1000, .wall_step_ms = steps_ms[i] };

		assert_int_equal(stw_nonces_new(secret, LIFETIME, 1, &fixture.nonces), 0);
		stw_nonces_start(fixture.nonces, start);
		attempt.nonce = fresh(&fixture, before);
		assert_int_equal(verdict(&fixture, attempt), STW_AUTH_OK);
		/* Each of five that come after makes one forgotten that was issued before it. */
		for (unsigned k = 0; k < 5; k++) {
			now.mono_ms++;
			attempt.nonce = stw_nonce_make(fixture.nonces, SCOPE, 1000 + k, now, after);
			assert_int_equal(verdict(&fixture, attempt), STW_AUTH_OK);
		}
		attempt.after_ms = 1005 + LIFETIME * 1000 + 1;
		attempt.nc = 2;
		assert_int_equal(verdict(&fixture, attempt), STW_AUTH_STALE);
		stw_nonces_free(fixture.nonces);
	}
}

/* A clock that was ahead before a restart does not bring back what was issued then. */
static void restart_after_clock_was_ahead(void **state)
{
	struct fixture fixture = *(struct fixture *)*state;
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt attempt = { .after_ms = 60000 };

	assert_int_equal(stw_nonces_new(secret, LIFETIME, 256, &fixture.nonces), 0);
	stw_nonces_start(fixture.nonces, later(60000));
	attempt.nonce = stw_nonce_make(fixture.nonces, SCOPE, 7, later(60000), buffer);
	assert_int_equal(verdict(&fixture, attempt), STW_AUTH_OK);
	stw_nonces_free(fixture.nonces);

	assert_int_equal(stw_nonces_new(secret, LIFETIME, 256, &fixture.nonces), 0);
	stw_nonces_start(fixture.nonces, later(1));
	assert_int_equal(verdict(&fixture, attempt), STW_AUTH_STALE);
	stw_nonces_free(fixture.nonces);
}

static void algorithm_not_offered(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt attempt = { .nonce = fresh(*state, buffer),
		.algorithm = STW_DIGEST_MD5,
		.offered = 1u << STW_DIGEST_SHA_256 };

	assert_int_equal(verdict(*state, attempt), STW_AUTH_BAD);
	attempt.algorithm = STW_DIGEST_SHA_256;
	assert_int_equal(verdict(*state, attempt), STW_AUTH_OK);
}

static void wrong_realm(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt attempt = { .nonce = fresh(*state, buffer),
		.realm = STW_STR("example.org") };

	assert_int_equal(verdict(*state, attempt), STW_AUTH_NONE);
}

static void integrity_of_the_body(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt attempt = {
		.nonce = fresh(*state, buffer), .qop = "auth-int", .tampered = true
	};

	assert_int_equal(verdict(*state, attempt), STW_AUTH_BAD);
	attempt.qop = "auth";
	assert_int_equal(verdict(*state, attempt), STW_AUTH_OK);
}

static void uri_of_the_credentials(void **state)
{
	static const struct {
		const char *claimed, *requested;
		enum stw_auth_verdict verdict;
	} uris[] = {
		{ "sip:bob@example.com", "sip:bob@EXAMPLE.com", STW_AUTH_OK },
		{ "sip:b%6fb@example.com", "sip:bob@example.com", STW_AUTH_OK },
		{ "sip:bob@example.com", "sip:bob@example.com;transport=tcp", STW_AUTH_OK },
		{ "sip:bob@example.com:5060", "sip:bob@example.com", STW_AUTH_OK },
		{ "sips:bob@example.com", "sip:bob@example.com", STW_AUTH_OK },
		{ "sip:example.com", "sip:example.com;lr", STW_AUTH_OK },
		{ "sip:carol@example.com", "sip:bob@example.com", STW_AUTH_BAD },
		{ "sip:bob@example.org", "sip:bob@example.com", STW_AUTH_BAD },
		{ "sip:Bob@example.com", "sip:bob@example.com", STW_AUTH_BAD },
		{ "sip:example.com", "sip:bob@example.com", STW_AUTH_BAD },
		{ "tel:+15551", "sip:+15551@example.com", STW_AUTH_BAD },
		{ "tel:+15551", "tel:+15551", STW_AUTH_OK },
		{ "/index.html", "sip:bob@example.com", STW_AUTH_BAD },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(uris); i++) {
		char buffer[STW_NONCE_TEXT_MAX];
		struct attempt attempt = { .nonce = fresh(*state, buffer),
			.uri = uris[i].claimed,
			.request_uri = uris[i].requested };
		enum stw_auth_verdict got = verdict(*state, attempt);

		if (got != uris[i].verdict)
			print_error("%s for %s\n", uris[i].claimed, uris[i].requested);
		assert_int_equal(got, uris[i].verdict);
	}
}

static void no_credentials(void **state)
{
	struct fixture *fixture = *state;
	struct request request;
	struct stw_auth_check check = { .request = &request.msg, .realm = REALM, .offered = ALL };

	request_make(&request, URI, STW_STR(""), "");
	assert_int_equal(stw_auth_check(fixture->nonces, &check, start), STW_AUTH_NONE);
}

/* Inside the causes say what it was; outside nothing tells an unknown user from a wrong password.
 */
static void causes(void **state)
{
	struct stw_credentials credentials = { .algorithm = STW_DIGEST_MD5 };
	struct stw_auth_check check = { .credentials = &credentials, .offered = ALL };

	assert_null(stw_auth_cause(STW_AUTH_OK, &check, false));
	for (int verdict = STW_AUTH_NONE; verdict <= STW_AUTH_MALFORMED; verdict++) {
		assert_int_equal(
			stw_auth_cause((enum stw_auth_verdict)verdict, &check, false)->code, 401);
		assert_int_equal(
			stw_auth_cause((enum stw_auth_verdict)verdict, &check, true)->code, 407);
	}
	assert_ptr_equal(
		stw_auth_cause(STW_AUTH_BAD, &check, true), &stw_cause_credentials_wrong_proxy);
	assert_ptr_equal(stw_auth_cause(STW_AUTH_STALE, NULL, false), &stw_cause_nonce_stale);
	check.offered = 1u << STW_DIGEST_SHA_256;
	assert_ptr_equal(
		stw_auth_cause(STW_AUTH_BAD, &check, false), &stw_cause_algorithm_not_offered);
	assert_ptr_equal(
		stw_credentials_cause(-ENOTSUP, true), &stw_cause_algorithm_not_offered_proxy);
	assert_ptr_equal(stw_credentials_cause(-ENOENT, false), &stw_cause_credentials_missing);
	assert_ptr_equal(stw_credentials_cause(-EBADMSG, false), &stw_cause_credentials_malformed);
}

/* A stranger's request costs no memory on our side, whatever it claims. */
static void nothing_is_kept_for_strangers(void **state)
{
	char buffer[STW_NONCE_TEXT_MAX];
	struct attempt attempt = { .nonce = fresh(*state, buffer), .unknown = true };

	support_allocations();
	assert_int_equal(verdict(*state, attempt), STW_AUTH_BAD);
	assert_int_equal(support_allocations(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(right_credentials),
		TEST(stale_by_time),
		TEST(replay),
		TEST(without_qop_once),
		TEST(unknown_user),
		TEST(failures_spend_no_count),
		TEST(forged_nonce),
		TEST(another_peer),
		TEST(restart),
		TEST(restart_after_clock_was_ahead),
		TEST(clock_is_set),
		TEST(algorithm_not_offered),
		TEST(wrong_realm),
		TEST(no_credentials),
		TEST(integrity_of_the_body),
		TEST(uri_of_the_credentials),
		TEST(nothing_is_kept_for_strangers),
		cmocka_unit_test(causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
