/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>

static int answer_to(const char *challenge, size_t len, struct stw_writer *writer)
{
	struct stw_digest_answer answer = {
		.header = STW_HDR_AUTHORIZATION,
		.challenge = { challenge, len },
		.user = STW_STR("Mufasa"),
		.password = STW_STR("Circle of Life"),
		.method = STW_STR("GET"),
		.uri = STW_STR("/dir/index.html"),
		.cnonce = STW_STR("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"),
		.nc = 1,
	};

	return stw_digest_answer_write(writer, &answer);
}

#define RFC7616                                                                                    \
	"Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, "      \
	"nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "                                 \
	"opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""

static void example_of_rfc7616(void **state)
{
	struct stw_writer writer;
	char buffer[1024];

	stw_writer_init(&writer, buffer, sizeof(buffer));
	assert_int_equal(answer_to(RFC7616, strlen(RFC7616), &writer), 0);
	assert_str(stw_writer_text(&writer),
		"Authorization: Digest username=\"Mufasa\", realm=\"http-auth@example.org\", "
		"nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", "
		"response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", "
		"algorithm=SHA-256, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", "
		"qop=auth, nc=00000001, "
		"opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"\r\n");
}

static void table_of_cases(void **state)
{
	static const struct {
		const char *challenge;
		int err;
		const char *part, *absent; /* of the answer */
	} cases[] = {
		{ "Digest realm=\"r\", nonce=\"n\"", 0, "response=\"", "qop" },
		{ "Digest realm=\"r\", nonce=\"n\"", 0, "uri=\"", "algorithm" },
		{ "Digest realm=\"r\", nonce=\"n\", qop=auth", 0, "qop=auth,", "opaque" },
		{ "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\", algorithm=md5", 0,
			"qop=auth-int", "opaque" },
		{ "Digest realm=\"r\", nonce=\"n\", qop=\"token,auth\", opaque=\"\"", 0,
			"opaque=\"\"", "token" },
		{ "Digest realm=\"\\\"r\", nonce=\"n\", stale=FALSE", 0, "realm=\"\\\"r\"",
			"stale" },
		{ "Digest realm=\"r\", nonce=\"n\", qop=\"token\"", -ENOTSUP, NULL, NULL },
		{ "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess, qop=auth", -ENOTSUP, NULL,
			NULL },
		{ "Digest realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5", -ENOTSUP, NULL, NULL },
		{ "Basic realm=\"r\"", -ENOENT, NULL, NULL },
		{ "", -ENOENT, NULL, NULL },
		{ "Digest nonce=\"n\"", -EBADMSG, NULL, NULL },
		{ "Digest realm=\"r\"", -EBADMSG, NULL, NULL },
		{ "Digest realm=\"r\", nonce=\"n\", nonce=\"m\"", -EBADMSG, NULL, NULL },
		{ "Digest realm=\"r, nonce=\"n\"", -EBADMSG, NULL, NULL },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		size_t len = strlen(cases[i].challenge);
		char buffer[1024], *guarded = support_guarded(cases[i].challenge, len);
		struct stw_writer writer;
		int err;

		stw_writer_init(&writer, buffer, sizeof(buffer) - 1);
		err = answer_to(guarded, len, &writer);
		support_guarded_free(guarded, len);
		if (err != cases[i].err)
			print_error("%s\n", cases[i].challenge);
		assert_int_equal(err, cases[i].err);
		buffer[writer.len] = '\0';
		if (err < 0) {
			assert_int_equal(writer.len, 0);
			continue;
		}
		assert_non_null(strstr(buffer, cases[i].part));
		assert_null(strstr(buffer, cases[i].absent));
	}
}

static void every_prefix(void **state)
{
	for (size_t len = 0; len < strlen(RFC7616); len++) {
		char buffer[1024], *guarded = support_guarded(RFC7616, len);
		struct stw_writer writer;
		int err;

		stw_writer_init(&writer, buffer, sizeof(buffer));
		err = answer_to(guarded, len, &writer);
		assert_true(err == 0 || err == -ENOENT || err == -EBADMSG || err == -ENOTSUP);
		support_guarded_free(guarded, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example_of_rfc7616),
		cmocka_unit_test(table_of_cases),
		cmocka_unit_test(every_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
