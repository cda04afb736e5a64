/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"
#include "support.h"

#include <errno.h>
#include <string.h>

struct example {
	const char *what;
	enum stw_digest_algorithm algorithm;
	const char *user, *realm, *password;
	const char *method, *uri, *nonce, *nc, *cnonce, *qop, *body;
	const char *response;
};

/* The last rows were made with another implementation of the hashes (Python's hashlib). */
static const struct example examples[] = {
	{ "RFC 2617 §3.5", STW_DIGEST_MD5, "Mufasa", "testrealm@host.com", "Circle Of Life", "GET",
		"/dir/index.html", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b",
		"auth", "", "6629fae49393a05397450978507c4ef1" },
	{ "RFC 7616 §3.9.1, MD5", STW_DIGEST_MD5, "Mufasa", "http-auth@example.org",
		"Circle of Life", "GET", "/dir/index.html",
		"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "00000001",
		"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "auth", "",
		"8ca523f5e9506fed4657c9700eebdbec" },
	{ "RFC 7616 §3.9.1, SHA-256", STW_DIGEST_SHA_256, "Mufasa", "http-auth@example.org",
		"Circle of Life", "GET", "/dir/index.html",
		"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "00000001",
		"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "auth", "",
		"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" },
	{ "RFC 7616 §3.9.2 with its response value recomputed", STW_DIGEST_SHA_512_256,
		"J\xc3\xa4s\xc3\xb8n Doe", "api@example.org", "Secret, or not?", "GET", "/doe.json",
		"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "00000001",
		"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "auth", "",
		"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5" },
	{ "SIP, MD5, auth", STW_DIGEST_MD5, "bob", "biloxi.com", "zanzibar", "INVITE",
		"sip:bob@biloxi.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0000002a", "0a4f113b",
		"auth", "", "d03e5b09b7fb6eec4ea753fd1f467674" },
	{ "SIP, MD5, auth-int", STW_DIGEST_MD5, "bob", "biloxi.com", "zanzibar", "INVITE",
		"sip:bob@biloxi.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0000002a", "0a4f113b",
		"auth-int", "v=0\r\n", "a39bb6e86167841c3f6c5684746125a3" },
	{ "SIP, MD5, no qop", STW_DIGEST_MD5, "bob", "biloxi.com", "zanzibar", "INVITE",
		"sip:bob@biloxi.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0000002a", "0a4f113b",
		"", "", "bf57e4e0d0bffc0fbaedce64d59add5e" },
	{ "SIP, SHA-256, auth", STW_DIGEST_SHA_256, "bob", "biloxi.com", "zanzibar", "INVITE",
		"sip:bob@biloxi.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0000002a", "0a4f113b",
		"auth", "", "518bfe020cfc72bdfdab76a0c8de428e802dcfdc8c1b22ed824bd9042236e6b0" },
	{ "SIP, SHA-256, auth-int", STW_DIGEST_SHA_256, "bob", "biloxi.com", "zanzibar", "INVITE",
		"sip:bob@biloxi.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0000002a", "0a4f113b",
		"auth-int", "v=0\r\n",
		"8baeeeafaaec16f6d16ee15c1c27747277c94e4addd0e91e3889fb9325dbbad8" },
	{ "SIP, SHA-256, no qop", STW_DIGEST_SHA_256, "bob", "biloxi.com", "zanzibar", "INVITE",
		"sip:bob@biloxi.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0000002a", "0a4f113b",
		"", "", "38aad98c50c33abe72c5f88dd17246ffcfa6b1f68852c855719ff0659386c0ca" },
	{ "SIP, SHA-512-256, auth", STW_DIGEST_SHA_512_256, "bob", "biloxi.com", "zanzibar",
		"INVITE", "sip:bob@biloxi.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0000002a",
		"0a4f113b", "auth", "",
		"93ba6ebd05ef58a706aba1fd880b2154e18c50d41c322e014b962127dcae67d3" },
	{ "SIP, SHA-512-256, auth-int", STW_DIGEST_SHA_512_256, "bob", "biloxi.com", "zanzibar",
		"INVITE", "sip:bob@biloxi.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0000002a",
		"0a4f113b", "auth-int", "v=0\r\n",
		"0cb607e99a93ccaa309f70821b3cf287e374f7dec355101242589a273a4b266a" },
	{ "SIP, SHA-512-256, no qop", STW_DIGEST_SHA_512_256, "bob", "biloxi.com", "zanzibar",
		"INVITE", "sip:bob@biloxi.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0000002a",
		"0a4f113b", "", "",
		"9e960b3a01beb63f1ea5d45d43bd8a2178879d3c9ddbbdb0624187ca823c6eca" },
};

static void compute(const struct example *example, struct stw_writer *hex)
{
	uint8_t response[STW_DIGEST_BYTES_MAX];
	struct stw_ha1 ha1;
	struct digest_input input = {
		.algorithm = example->algorithm,
		.ha1 = ha1.digest[example->algorithm],
		.nonce = stw_str_from(example->nonce),
		.nc = stw_str_from(example->nc),
		.cnonce = stw_str_from(example->cnonce),
		.qop = stw_str_from(example->qop),
		.method = stw_str_from(example->method),
		.uri = stw_str_from(example->uri),
		.body = stw_str_from(example->body),
	};

	assert_int_equal(stw_ha1_make(stw_str_from(example->user), stw_str_from(example->realm),
				 stw_str_from(example->password), &ha1),
		0);
	assert_int_equal(digest_response(&input, response), 0);
	stw_write_hex(hex, response, stw_digest_bytes(example->algorithm));
}

static void published_examples(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(examples); i++) {
		char text[STW_DIGEST_HEX_MAX];
		struct stw_writer hex;

		stw_writer_init(&hex, text, sizeof(text));
		compute(&examples[i], &hex);
		if (!stw_str_equal(stw_writer_text(&hex), stw_str_from(examples[i].response)))
			print_error("%s\n", examples[i].what);
		assert_str(stw_writer_text(&hex), examples[i].response);
	}
}

static void names(void **state)
{
	enum stw_digest_algorithm algorithm;

	for (unsigned i = 0; i < STW_DIGEST_ALGORITHMS; i++) {
		assert_int_equal(stw_digest_from(stw_digest_name(i), &algorithm), 0);
		assert_int_equal(algorithm, i);
	}
	assert_int_equal(stw_digest_from(STW_STR("sha-256"), &algorithm), 0);
	assert_int_equal(algorithm, STW_DIGEST_SHA_256);
	assert_int_equal(stw_digest_from(STW_STR("MD5-sess"), &algorithm), -ENOENT);
	assert_int_equal(stw_digest_from(STW_STR("SHA-256-sess"), &algorithm), -ENOENT);
	assert_int_equal(stw_digest_from(STW_STR("AKAv1-MD5"), &algorithm), -ENOENT);
	assert_int_equal(stw_digest_from(STW_STR(""), &algorithm), -ENOENT);
	assert_int_equal(stw_digest_bytes(STW_DIGEST_MD5), 16);
	assert_int_equal(stw_digest_bytes(STW_DIGEST_SHA_512_256), 32);
}

static void escapes_are_hashed_without_backslash(void **state)
{
	const struct {
		struct stw_str escaped, plain;
	} cases[] = {
		{ STW_STR("abc"), STW_STR("abc") },
		{ STW_STR(""), STW_STR("") },
		{ STW_STR("a\\\"b"), STW_STR("a\"b") },
		{ STW_STR("a\\\\b"), STW_STR("a\\b") },
		{ STW_STR("\\\\\\\\"), STW_STR("\\\\") },
		{ STW_STR("\\x\\y"), STW_STR("xy") },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		uint8_t a[STW_DIGEST_BYTES_MAX] = { 1 }, b[STW_DIGEST_BYTES_MAX] = { 2 };
		struct hash hash;

		hash_init(&hash, STW_DIGEST_SHA_256);
		hash_begin(&hash);
		hash_add_unescaped(&hash, cases[i].escaped);
		hash_end(&hash, a);
		hash_begin(&hash);
		hash_add(&hash, cases[i].plain);
		hash_end(&hash, b);
		assert_int_equal(hash_done(&hash), 0);
		assert_memory_equal(a, b, sizeof(a));
		assert_true(auth_unescaped_equal(cases[i].escaped, cases[i].plain));
		assert_false(auth_unescaped_equal(cases[i].escaped, STW_STR("abcd")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_examples),
		cmocka_unit_test(names),
		cmocka_unit_test(escapes_are_hashed_without_backslash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
