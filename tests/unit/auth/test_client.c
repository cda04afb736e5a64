/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials over several requests. What the client writes is checked by our own server side. */
#include "fixture.h"

#include <errno.h>

#include "internal.h"

struct response {
	char text[8192];
	struct stw_field fields[64];
	struct stw_msg msg;
};

static void response_make(struct response *response, const char *lines)
{
	struct stw_fault fault;
	int len = snprintf(response->text, sizeof(response->text),
		"SIP/2.0 407 Proxy Authentication Required\r\n"
		"Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1\r\n"
		"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>;tag=2\r\n"
		"Call-ID: c@a.example.com\r\nCSeq: 1 INVITE\r\n%sContent-Length: 0\r\n\r\n",
		lines);

	response->msg = (struct stw_msg){ .fields = response->fields, .field_capacity = 64 };
	assert_int_equal(
		stw_msg_parse(&response->msg, response->text, (size_t)len, NULL, &fault), 0);
}

static struct stw_digest_client *client_make(struct stw_str realm)
{
	struct stw_digest_client *client;

	assert_int_equal(stw_digest_client_new(USER, PASSWORD, realm, &client), 0);
	return client;
}

static int challenged(struct stw_digest_client *client, const char *lines)
{
	struct response response;

	response_make(&response, lines);
	return stw_digest_client_challenged(client, &response.msg, NULL);
}

static char written_text[4096];

static struct stw_str written(struct stw_digest_client *client, const struct stw_msg *msg)
{
	struct stw_random random;
	struct stw_digest_request request = {
		.request = msg, .method = STW_STR("INVITE"), .uri = STW_STR(URI), .random = &random
	};
	struct stw_writer writer;

	stw_random_seed(&random, 7);
	stw_writer_init(&writer, written_text, sizeof(written_text));
	assert_int_equal(stw_digest_client_write(client, &writer, &request), 0);
	return stw_writer_text(&writer);
}

static bool has(struct stw_str text, const char *part)
{
	return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* Challenge, answer, the same nonce again: what our own check says. */
static void our_server_is_content(void **state)
{
	static const char *const bodies[] = { "", "v=0\r\n" };
	enum stw_digest_algorithm algorithms[] = { STW_DIGEST_SHA_512_256, STW_DIGEST_MD5 };
	struct stw_digest_client *client = client_make(STW_STR_NONE);
	struct stw_nonces *nonces;
	struct stw_ha1 ha1;
	char text[STW_NONCE_TEXT_MAX], lines[1024];
	struct stw_challenge challenge = { .header = STW_HDR_PROXY_AUTHENTICATE,
		.realm = REALM,
		.algorithms = algorithms,
		.algorithm_count = 2 };
	struct stw_writer writer;

	assert_int_equal(stw_nonces_new(secret, LIFETIME, 64, &nonces), 0);
	assert_int_equal(stw_ha1_make(USER, REALM, PASSWORD, &ha1), 0);
	challenge.nonce = stw_nonce_make(nonces, SCOPE, 1, start, text);
	stw_writer_init(&writer, lines, sizeof(lines) - 1);
	stw_challenge_write(&writer, &challenge);
	lines[writer.len] = '\0';
	assert_false(stw_digest_client_ready(client));
	assert_int_equal(challenged(client, lines), 0);
	assert_true(stw_digest_client_ready(client));
	for (unsigned i = 0; i < 4; i++) {
		struct stw_credentials credentials;
		struct stw_auth_check check = {
			.credentials = &credentials,
			.ha1 = &ha1,
			.realm = REALM,
			.peer = PEER,
			.offered = ALL,
		};
		struct request plain, request;

		request_make(&plain, URI, STW_STR(""), bodies[i % 2]);
		request_make(&request, URI, written(client, &plain.msg), bodies[i % 2]);
		check.request = &request.msg;
		assert_int_equal(stw_credentials_find(&request.msg, STW_HDR_PROXY_AUTHORIZATION,
					 REALM, &credentials),
			0);
		assert_int_equal(credentials.algorithm, STW_DIGEST_SHA_512_256);
		assert_int_equal(credentials.nc.ptr[7], '1' + (char)i);
		assert_int_equal(stw_auth_check(nonces, &check, start), STW_AUTH_OK);
		/* Credentials that are there already are let alone. */
		assert_int_equal(written(client, &request.msg).len, 0);
	}
	stw_digest_client_free(client);
	stw_nonces_free(nonces);
}

static void body_is_signed(void **state)
{
	struct stw_digest_client *client = client_make(STW_STR_NONE);
	struct request with, without;
	char first[4096];
	struct stw_str text;

	request_make(&with, URI, STW_STR(""), "v=0\r\n");
	request_make(&without, URI, STW_STR(""), "");
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(challenged(client, "WWW-Authenticate: Digest realm=\"r\", "
						    "nonce=\"n\", qop=\"auth-int\"\r\n"),
			0);
		text = written(client, i ? &with.msg : &without.msg);
		assert_true(has(text, "qop=auth-int") && has(text, "Authorization: Digest"));
		if (i == 0)
			memcpy(first, text.ptr, text.len);
		else
			assert_memory_not_equal(first, text.ptr, text.len);
	}
	stw_digest_client_free(client);
}

static void which_challenge(void **state)
{
	static const struct {
		const char *lines, *realm;
		int err;
		const char *part, *absent;
	} cases[] = {
		/* The topmost that we know, RFC 8760 §2.4. */
		{ "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\", algorithm=SHA-1, qop=auth\r\n"
		  "WWW-Authenticate: Digest realm=\"r\", nonce=\"2\", algorithm=SHA-256, "
		  "qop=auth\r\n"
		  "WWW-Authenticate: Digest realm=\"r\", nonce=\"3\", algorithm=MD5, qop=auth\r\n",
			"", 0, "nonce=\"2\"", "nonce=\"3\"" },
		/* All of them, if they are of several realms or parties. */
		{ "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n"
		  "Proxy-Authenticate: Digest realm=\"r\", nonce=\"2\"\r\n",
			"", 0, "\r\nProxy-Authorization: Digest", "nonce=\"3\"" },
		{ "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n"
		  "WWW-Authenticate: Digest realm=\"s\", nonce=\"2\"\r\n",
			"s", 0, "nonce=\"2\"", "nonce=\"1\"" },
		{ "WWW-Authenticate: Digest realm=\"a\\\"s\", nonce=\"2\"\r\n", "a\"s", 0,
			"realm=\"a\\\"s\"", "qop" },
		{ "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n", "s", -ENOENT, NULL,
			NULL },
		{ "WWW-Authenticate: Basic realm=\"r\"\r\n", "", -ENOENT, NULL, NULL },
		{ "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\", algorithm=SHA-1\r\n", "",
			-ENOTSUP, NULL, NULL },
		{ "WWW-Authenticate: Digest realm=\"r\", nonce=\"\r\n", "", -EBADMSG, NULL, NULL },
		{ "", "", -ENOENT, NULL, NULL },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_digest_client *client = client_make(stw_str_from(cases[i].realm));
		struct stw_str text;

		assert_int_equal(challenged(client, cases[i].lines), cases[i].err);
		text = written(client, NULL);
		if (cases[i].err < 0) {
			assert_int_equal(text.len, 0);
		} else {
			assert_true(has(text, cases[i].part));
			assert_false(has(text, cases[i].absent));
		}
		stw_digest_client_free(client);
	}
}

static void counts_begin_anew_with_the_nonce(void **state)
{
	struct stw_digest_client *client = client_make(STW_STR_NONE);
	struct response response;
	bool stale;

	for (unsigned i = 0; i < 2; i++) {
		response_make(&response,
			i ? "WWW-Authenticate: Digest realm=\"r\", nonce=\"2\", qop=auth, "
			    "stale=TRUE\r\n"
			  : "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\", qop=auth\r\n");
		assert_int_equal(stw_digest_client_challenged(client, &response.msg, &stale), 0);
		assert_int_equal(stale, i == 1);
		assert_true(has(written(client, NULL), "nc=00000001"));
		assert_true(has(written(client, NULL), "nc=00000002"));
	}
	stw_digest_client_refused(client, &response.msg);
	assert_false(stw_digest_client_ready(client));
	assert_int_equal(written(client, NULL).len, 0);
	stw_digest_client_free(client);
}

/* A peer that names ever new realms takes no more memory. */
static void realms_are_bounded(void **state)
{
	struct stw_digest_client *client = client_make(STW_STR_NONE);
	char line[128];
	struct stw_str text;

	for (unsigned i = 0; i < 20; i++) {
		snprintf(line, sizeof(line),
			"WWW-Authenticate: Digest realm=\"r%u\", nonce=\"1\"\r\n", i);
		assert_int_equal(challenged(client, line), 0);
	}
	text = written(client, NULL);
	assert_false(has(text, "\"r15\""));
	for (unsigned i = 16; i < 20; i++) {
		snprintf(line, sizeof(line), "realm=\"r%u\"", i);
		assert_true(has(text, line));
	}
	assert_true(stw_digest_client_is(client, USER, PASSWORD, STW_STR_NONE));
	assert_false(stw_digest_client_is(client, USER, STW_STR("other"), STW_STR_NONE));
	stw_digest_client_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_server_is_content),
		cmocka_unit_test(body_is_signed),
		cmocka_unit_test(which_challenge),
		cmocka_unit_test(counts_begin_anew_with_the_nonce),
		cmocka_unit_test(realms_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
