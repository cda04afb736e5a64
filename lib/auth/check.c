/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* Stands in for an unknown user, whose check shall take as long as that of a known one. */
static const struct stw_ha1 nobody = { .digest = { { 0x5f }, { 0x5f }, { 0x5f } } };

static bool user_equal(struct stw_str a, struct stw_str b)
{
	char text_a[256], text_b[256];
	int len_a, len_b;

	if (stw_str_equal(a, b))
		return true;
	if (a.len > sizeof(text_a) || b.len > sizeof(text_b))
		return false;
	len_a = stw_unescape(a, text_a);
	len_b = stw_unescape(b, text_b);
	return len_a >= 0 && len_b >= 0 &&
	       stw_str_equal((struct stw_str){ text_a, (size_t)len_a },
		       (struct stw_str){ text_b, (size_t)len_b });
}

/*
 * RFC 3261 §22.4 item 6, RFC 8760 §2.6 item 6: proxies on the way may have changed parameters, so
 * the same user at the same host is enough.
 */
static bool uri_meant(const struct stw_msg *request, struct stw_str claimed)
{
	struct stw_str text = stw_msg_text(request, request->uri_at, request->uri_len);
	struct stw_uri uri, other;

	if (stw_str_equal(text, claimed))
		return true;
	if (stw_uri_parse(text, &uri) < 0 || stw_uri_parse(claimed, &other) < 0)
		return false;
	if (stw_uri_equal(&uri, &other))
		return true;
	return (uri.scheme == STW_SCHEME_SIP || uri.scheme == STW_SCHEME_SIPS) &&
	       (other.scheme == STW_SCHEME_SIP || other.scheme == STW_SCHEME_SIPS) &&
	       user_equal(uri.user, other.user) && stw_str_equal_nocase(uri.host, other.host);
}

/* Constant time: neither the user nor the place of the first wrong byte can be measured. */
static bool response_right(const struct stw_auth_check *check)
{
	const struct stw_credentials *credentials = check->credentials;
	const struct stw_ha1 *ha1 = check->ha1 ? check->ha1 : &nobody;
	size_t bytes = stw_digest_bytes(credentials->algorithm);
	uint8_t expected[STW_DIGEST_BYTES_MAX] = { 0 }, given[STW_DIGEST_BYTES_MAX] = { 0 };
	struct digest_input input = {
		.algorithm = credentials->algorithm,
		.ha1 = ha1->digest[credentials->algorithm],
		.nonce = credentials->nonce,
		.nc = credentials->nc,
		.cnonce = credentials->cnonce,
		.qop = credentials->qop,
		.method = stw_msg_method_name(check->request),
		.uri = credentials->uri,
		.body = stw_msg_body(check->request),
	};

	if (credentials->response.len != 2 * bytes)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		const char *pair = credentials->response.ptr + 2 * i;
		int high = OPENSSL_hexchar2int((unsigned char)pair[0]);
		int low = OPENSSL_hexchar2int((unsigned char)pair[1]);

		if (high < 0 || low < 0)
			return false;
		given[i] = (uint8_t)(high << 4 | low);
	}
	if (digest_response(&input, expected) < 0)
		return false;
	return (CRYPTO_memcmp(expected, given, bytes) == 0) & (check->ha1 != NULL);
}

/* The count is taken last, so that nobody without the password can use up a nonce. */
static enum stw_auth_verdict nonce_spend(struct stw_nonces *nonces, const struct nonce *nonce,
	const struct stw_credentials *credentials, struct stw_now now)
{
	uint64_t count = NC_ONCE;
	uint32_t nc;

	if (nonce_age_ms(nonces, nonce, now) > nonces->lifetime_ms)
		return STW_AUTH_STALE;
	if (credentials->qop.len) {
		if (auth_nc_parse(credentials->nc, &nc) < 0)
			return STW_AUTH_MALFORMED;
		count = nc;
	}
	return nonce_counts_take(nonces->counts, nonce, count) ? STW_AUTH_OK : STW_AUTH_STALE;
}

/*
 * A right digest over a nonce of another secret, start or peer comes from a client that knew us
 * before a restart, or has moved: stale, so that its user is not asked for the password again (RFC
 * 7616 §3.3).
 */
enum stw_auth_verdict stw_auth_check(
	struct stw_nonces *nonces, const struct stw_auth_check *check, struct stw_now now)
{
	const struct stw_credentials *credentials = check->credentials;
	struct nonce nonce = { 0 };
	bool right, meant;
	int genuine;

	if (!credentials || !auth_unescaped_equal(credentials->realm, check->realm))
		return STW_AUTH_NONE;
	genuine = nonce_open(nonces, (struct stw_nonce_scope){ check->realm, check->peer },
		credentials->nonce, &nonce);
	meant = check->uri_ours || uri_meant(check->request, credentials->uri);
	right = response_right(check);
	if (!right || !meant || genuine == -EBADMSG ||
		!(check->offered & 1u << credentials->algorithm))
		return STW_AUTH_BAD;
	if (genuine < 0)
		return STW_AUTH_STALE;
	if (check->nonce_ages)
		*check->nonce_ages = nonce_is_aging(nonces, &nonce, now);
	return nonce_spend(nonces, &nonce, credentials, now);
}
