/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>

#define R32  "0123456789abcdef0123456789ABCDEF"
#define R64  R32 R32
#define BASE "username=\"bob\", realm=\"r\", nonce=\"n\", uri=\"sip:b\", response=\"" R32 "\""

static const struct {
	const char *in;
	int err;
	const char *username; /* when err is 0 */
} cases[] = {
	{ "Digest " BASE, 0, "bob" },
	{ "digest\t" BASE ",", 0, "bob" },
	{ "Digest\r\n " BASE ",\r\n opaque=\"\"", 0, "bob" },
	{ "Digest , ," BASE, 0, "bob" },
	/* Quotes left out or put where none belong. */
	{ "Digest username=bob,realm=r,nonce=n,uri=sip:b;transport=udp,response=" R32, 0, "bob" },
	{ "Digest " BASE ", algorithm=\"MD5\", qop=\"auth\", nc=\"00000001\", cnonce=c", 0, "bob" },
	{ "Digest " BASE ", qop=auth-int, nc=1, cnonce=\"c\"", 0, "bob" },
	{ "Digest Username = \"bob\" , REALM=\"r\", nonce=\"n\", uri=\"sip:b\", response=\"" R32
	  "\"",
		0, "bob" },
	{ "Digest username=\"b\\\"o\\\\b\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"" R32
	  "\"",
		0, "b\"o\\b" },
	{ "Digest username=\"b, c=d\", realm=\"a,b\", nonce=\"n\", uri=\"u\", response=\"" R32 "\"",
		0, "b, c=d" },
	{ "Digest username=\"\", realm=\"\", nonce=\"n\", uri=\"u\", response=\"" R32 "\"", 0, "" },
	{ "Digest username*=UTF-8''J%C3%A4s%20Doe, realm=\"r\", nonce=n, uri=\"u\", response=" R32,
		0, "J\xc3\xa4s Doe" },
	{ "Digest " BASE ", unknown=\"x,y\", userhash=false", 0, "bob" },
	{ "Digest username=\"bob\", realm=\"r\", nonce=\"n\", uri=\"u\", algorithm=sha-512-256, "
	  "response=\"" R64 "\"",
		0, "bob" },

	{ "", -ENOENT, NULL },
	{ "Basic YWxpY2U6cGFzcw==", -ENOENT, NULL },
	{ "Digestive " BASE, -ENOENT, NULL },
	{ "Dig", -ENOENT, NULL },
	{ "NoOneKnowsThisScheme opaque-data=here", -ENOENT, NULL },
	{ "Digest", -EBADMSG, NULL },
	{ "Digest " BASE ", algorithm=MD5-sess, qop=auth, nc=1, cnonce=c", -ENOTSUP, NULL },
	{ "Digest " BASE ", algorithm=AKAv1-MD5", -ENOTSUP, NULL },
	/* A part missing. */
	{ "Digest realm=\"r\", nonce=\"n\", uri=\"u\", response=\"" R32 "\"", -EBADMSG, NULL },
	{ "Digest username=\"b\", nonce=\"n\", uri=\"u\", response=\"" R32 "\"", -EBADMSG, NULL },
	{ "Digest username=\"b\", realm=\"r\", uri=\"u\", response=\"" R32 "\"", -EBADMSG, NULL },
	{ "Digest username=\"b\", realm=\"r\", nonce=\"n\", response=\"" R32 "\"", -EBADMSG, NULL },
	{ "Digest username=\"b\", realm=\"r\", nonce=\"n\", uri=\"u\"", -EBADMSG, NULL },
	{ "Digest " BASE ", qop=auth, nc=00000001", -EBADMSG, NULL },
	{ "Digest " BASE ", qop=auth, cnonce=\"c\"", -EBADMSG, NULL },
	{ "Digest " BASE ", qop=auth, cnonce=\"\", nc=00000001", -EBADMSG, NULL },
	{ "Digest " BASE ", qop=\"\", cnonce=\"c\", nc=00000001", -EBADMSG, NULL },
	{ "Digest " BASE ", qop=\"auth,auth-int\", cnonce=\"c\", nc=00000001", -EBADMSG, NULL },
	{ "Digest " BASE ", qop=auth, cnonce=\"c\", nc=0000000g", -EBADMSG, NULL },
	{ "Digest " BASE ", qop=auth, cnonce=\"c\", nc=000000001", -EBADMSG, NULL },
	/* Named twice. */
	{ "Digest " BASE ", username=\"carol\"", -EBADMSG, NULL },
	{ "Digest " BASE ", URI=\"sip:c\"", -EBADMSG, NULL },
	{ "Digest " BASE ", username*=UTF-8''carol", -EBADMSG, NULL },
	/* Broken. */
	{ "Digest username=\"bob", -EBADMSG, NULL },
	{ "Digest username=\"bob\\", -EBADMSG, NULL },
	{ "Digest username=", -EBADMSG, NULL },
	{ "Digest username", -EBADMSG, NULL },
	{ "Digest =\"bob\"", -EBADMSG, NULL },
	{ "Digest username=\"bob\" realm=\"r\"", -EBADMSG, NULL },
	{ "Digest " BASE ", Digest " BASE, -EBADMSG, NULL },
	{ "Digest username=\"b\r\n ob\", realm=\"r\", nonce=\"n\", uri=\"u\", response=" R32,
		-EBADMSG, NULL },
	{ "Digest username=\"b\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"" R64 "\"",
		-EBADMSG, NULL },
	{ "Digest username=\"b\", realm=\"r\", nonce=\"n\", uri=\"u\", algorithm=SHA-256, "
	  "response=\"" R32 "\"",
		-EBADMSG, NULL },
	{ "Digest username=\"b\", realm=\"r\", nonce=\"n\", uri=\"u\", "
	  "response=\"0123456789abcdef0123456789abcdeg\"",
		-EBADMSG, NULL },
	{ "Digest username*=UTF-8''J%C3%, realm=\"r\", nonce=n, uri=\"u\", response=" R32, -EBADMSG,
		NULL },
	{ "Digest username*=ISO-8859-1''J, realm=\"r\", nonce=n, uri=\"u\", response=" R32,
		-EBADMSG, NULL },
};

static void table_of_cases(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		size_t len = strlen(cases[i].in);
		char *text = support_guarded(cases[i].in, len);
		struct stw_credentials credentials;
		int err = stw_credentials_parse((struct stw_str){ text, len }, &credentials);

		if (err != cases[i].err)
			print_error("%s\n", cases[i].in);
		assert_int_equal(err, cases[i].err);
		if (err == 0)
			assert_str(credentials.username, cases[i].username);
		support_guarded_free(text, len);
	}
}

/* Each beginning of each case ends before a guard page and is never taken for something longer. */
static void every_prefix(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		for (size_t len = 0; len < strlen(cases[i].in); len++) {
			char *text = support_guarded(cases[i].in, len);
			struct stw_credentials credentials;
			int err =
				stw_credentials_parse((struct stw_str){ text, len }, &credentials);

			assert_true(
				err == 0 || err == -ENOENT || err == -EBADMSG || err == -ENOTSUP);
			support_guarded_free(text, len);
		}
	}
}

static void parts(void **state)
{
	struct stw_credentials credentials;

	assert_int_equal(
		stw_credentials_parse(STW_STR("Digest "
					      "username=\"bob\",realm=\"biloxi.com\",nonce="
					      "\"dcd9\",uri=\"sip:b@c\","
					      "qop=auth,nc=0000002A,cnonce=\"0a4f\",response=\"" R64
					      "\",opaque=\"5ccc\","
					      "algorithm=SHA-256"),
			&credentials),
		0);
	assert_str(credentials.username, "bob");
	assert_str(credentials.realm, "biloxi.com");
	assert_str(credentials.nonce, "dcd9");
	assert_str(credentials.uri, "sip:b@c");
	assert_str(credentials.qop, "auth");
	assert_str(credentials.nc, "0000002A");
	assert_str(credentials.cnonce, "0a4f");
	assert_str(credentials.response, R64);
	assert_str(credentials.opaque, "5ccc");
	assert_int_equal(credentials.algorithm, STW_DIGEST_SHA_256);
}

static int parse_username_of(size_t bytes, const char *unit)
{
	char text[2048] = "Digest username=\"";
	struct stw_credentials credentials;

	for (size_t i = 0; i < bytes; i++)
		strcat(text, unit);
	strcat(text, "\", realm=\"r\", nonce=\"n\", uri=\"sip:b\", response=\"" R32 "\"");
	return stw_credentials_parse(stw_str_from(text), &credentials);
}

static void username_limit(void **state)
{
	assert_int_equal(parse_username_of(127, "x"), 0);
	assert_int_equal(parse_username_of(128, "x"), -EBADMSG);
	assert_int_equal(parse_username_of(127, "\\\""), 0);
	assert_int_equal(parse_username_of(128, "\\\""), -EBADMSG);
}

static void written_on_success_only(void **state)
{
	struct stw_credentials credentials, before;

	memset(&credentials, 0x5a, sizeof(credentials));
	before = credentials;
	assert_int_equal(
		stw_credentials_parse(STW_STR("Digest " BASE ", qop=x"), &credentials), -EBADMSG);
	assert_memory_equal(&credentials, &before, sizeof(before));
}

#define LINE(realm, rest)                                                                          \
	"Authorization: Digest username=\"bob\", realm=\"" realm "\", nonce=\"n\", "               \
	"uri=\"sip:b\", response=\"" R32 "\"" rest "\r\n"

static void find_by_realm(void **state)
{
	const struct {
		struct stw_str lines, realm;
		int err;
	} finds[] = {
		{ STW_STR(""), STW_STR("a"), -ENOENT },
		{ STW_STR(LINE("a", "")), STW_STR("a"), 0 },
		{ STW_STR(LINE("A", "")), STW_STR("a"), -ENOENT },
		{ STW_STR(LINE("b", "") LINE("a", "")), STW_STR("a"), 0 },
		{ STW_STR(LINE("a\\\"b", "")), STW_STR("a\"b"), 0 },
		{ STW_STR("Authorization: Basic eA==\r\n"), STW_STR("a"), -ENOENT },
		{ STW_STR("Authorization: Digest broken\r\n"), STW_STR("a"), -EBADMSG },
		{ STW_STR("Authorization: Digest broken\r\n" LINE("a", "")), STW_STR("a"), 0 },
		{ STW_STR(LINE("b", ", algorithm=X")), STW_STR("a"), -ENOENT },
		{ STW_STR(LINE("a", ", algorithm=X")), STW_STR("a"), -ENOTSUP },
		{ STW_STR("Proxy-" LINE("a", "")), STW_STR("a"), -ENOENT },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(finds); i++) {
		struct stw_credentials credentials;
		struct request request;

		request_make(&request, URI, finds[i].lines, "");
		assert_int_equal(stw_credentials_find(&request.msg, STW_HDR_AUTHORIZATION,
					 finds[i].realm, &credentials),
			finds[i].err);
		if (finds[i].err == 0)
			assert_true(credentials.username.len == 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_of_cases),
		cmocka_unit_test(every_prefix),
		cmocka_unit_test(parts),
		cmocka_unit_test(username_limit),
		cmocka_unit_test(written_on_success_only),
		cmocka_unit_test(find_by_realm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
