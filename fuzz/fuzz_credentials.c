/* uses: stw_auth */
/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials and challenges from the network: parse, check, answer. */
#include <strowger/auth.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(struct stw_str challenge)
{
	char buffer[8192];
	struct stw_writer writer;
	struct stw_digest_answer input = {
		.header = STW_HDR_AUTHORIZATION,
		.challenge = challenge,
		.user = STW_STR("a\"b"),
		.password = STW_STR("p"),
		.method = STW_STR("INVITE"),
		.uri = STW_STR("sip:b@c"),
		.cnonce = STW_STR("c"),
		.nc = 1,
	};

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_digest_answer_write(&writer, &input);
}

/* What was parsed stands in the input or in the structure, and can never be accepted here. */
static void check(struct stw_nonces *nonces, const struct stw_credentials *credentials)
{
	static const char text[] = "INVITE sip:bob@example.com SIP/2.0\r\n\r\n";
	struct stw_now now = { 1, 1700000000000 };
	struct stw_writer writer;
	char buffer[512];
	struct stw_msg msg = { .data = text,
		.len = sizeof(text) - 1,
		.is_request = true,
		.method_len = 6,
		.uri_at = 7,
		.uri_len = 19,
		.body_at = sizeof(text) - 1 };
	struct stw_auth_check input = { .request = &msg,
		.credentials = credentials,
		.realm = credentials->realm,
		.offered = 7 };

	if (credentials->username.len > 127 || !credentials->nonce.len)
		abort();
	if (stw_auth_check(nonces, &input, now) == STW_AUTH_OK)
		abort();
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_auth_info_write(&writer, nonces, credentials, 1, 1, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[32] = { 1 };
	static struct stw_nonces *nonces;
	struct stw_credentials credentials;
	struct stw_str value = { (const char *)data, size };

	if (!nonces && stw_nonces_new(secret, 300, 64, &nonces) < 0)
		abort();
	if (stw_credentials_parse(value, &credentials) == 0)
		check(nonces, &credentials);
	answer(value);
	return 0;
}
