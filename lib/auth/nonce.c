/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/*
 * A nonce needs no memory on our side (RFC 7616 §3.3 suggests the same):
 *
 *     "1" base64url( issued_ms: 6 bytes | random: 8 bytes | HMAC-SHA-256, first 16 bytes )
 *
 * The HMAC covers version, time, random and realm. 30 bytes fill 40 characters without a spare
 * bit, so that each character counts.
 */
enum {
	VERSION = '1',
	TIME_BYTES = 6,
	RANDOM_BYTES = 8,
	PLAIN_BYTES = TIME_BYTES + RANDOM_BYTES,
	MAC_BYTES = 16,
	NONCE_BYTES = PLAIN_BYTES + MAC_BYTES,
	NONCE_TEXT = 1 + NONCE_BYTES / 3 * 4,
};

_Static_assert(NONCE_BYTES % 3 == 0, "base64 without padding");
_Static_assert(NONCE_TEXT <= STW_NONCE_TEXT_MAX, "the buffer of the caller");

/* RFC 4648 §5. */
static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int mac_key(struct stw_nonces *nonces, const uint8_t secret[32])
{
	char digest[] = "SHA2-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	if (!mac)
		return -EIO;
	nonces->mac = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	if (!nonces->mac)
		return -ENOMEM;
	return EVP_MAC_init(nonces->mac, secret, 32, params) == 1 ? 0 : -EIO;
}

int stw_nonces_new(
	const uint8_t secret[32], uint32_t lifetime_s, size_t slots, struct stw_nonces **ret)
{
	struct stw_nonces *nonces;
	int err;

	assert(slots && (slots & (slots - 1)) == 0);
	nonces = calloc(1, sizeof(*nonces));
	if (!nonces)
		return -ENOMEM;
	nonces->lifetime_ms = (uint64_t)lifetime_s * 1000;
	atomic_init(&nonces->not_before_ms, 0);
	err = nonce_counts_new(slots, &nonces->counts);
	if (err < 0)
		goto fail;
	err = mac_key(nonces, secret);
	if (err < 0)
		goto fail;
	*ret = nonces;
	return 0;
fail:
	stw_nonces_free(nonces);
	return err;
}

void stw_nonces_start(struct stw_nonces *nonces, struct stw_now now)
{
	uint64_t wall_ms = now.wall_ms > 0 ? (uint64_t)now.wall_ms : 0;

	atomic_store_explicit(&nonces->not_before_ms, wall_ms, memory_order_relaxed);
}

struct stw_nonces *stw_nonces_free(struct stw_nonces *nonces)
{
	if (nonces) {
		EVP_MAC_CTX_free(nonces->mac);
		nonce_counts_free(nonces->counts);
	}
	free(nonces);
	return NULL;
}

static int mac_make(const struct stw_nonces *nonces, const uint8_t plain[PLAIN_BYTES],
	struct stw_str realm, uint8_t ret[32])
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(nonces->mac);
	const uint8_t version = VERSION;
	size_t len;
	bool made;

	made = ctx && EVP_MAC_update(ctx, &version, 1) == 1 &&
	       EVP_MAC_update(ctx, plain, PLAIN_BYTES) == 1 &&
	       (realm.len == 0 ||
		       EVP_MAC_update(ctx, (const unsigned char *)realm.ptr, realm.len) == 1) &&
	       EVP_MAC_final(ctx, ret, &len, 32) == 1;
	EVP_MAC_CTX_free(ctx);
	return made ? 0 : -EIO;
}

static void put_number(uint8_t *to, unsigned bytes, uint64_t number)
{
	while (bytes--) {
		to[bytes] = (uint8_t)number;
		number >>= 8;
	}
}

static uint64_t get_number(const uint8_t *from, unsigned bytes)
{
	uint64_t number = 0;

	while (bytes--)
		number = number << 8 | *from++;
	return number;
}

static void encode(const uint8_t bytes[NONCE_BYTES], char *to)
{
	for (unsigned i = 0; i < NONCE_BYTES; i += 3) {
		uint64_t group = get_number(bytes + i, 3);

		for (int shift = 18; shift >= 0; shift -= 6)
			*to++ = base64url[group >> shift & 63];
	}
}

static int decode(const char *from, uint8_t ret[NONCE_BYTES])
{
	for (unsigned i = 0; i < NONCE_BYTES; i += 3) {
		uint32_t group = 0;

		for (unsigned k = 0; k < 4; k++, from++) {
			const char *at = *from ? strchr(base64url, *from) : NULL;

			if (!at)
				return -EBADMSG;
			group = group << 6 | (uint32_t)(at - base64url);
		}
		put_number(ret + i, 3, group);
	}
	return 0;
}

struct stw_str stw_nonce_make(const struct stw_nonces *nonces, struct stw_str realm,
	uint64_t random, struct stw_now now, char buffer[STW_NONCE_TEXT_MAX])
{
	uint8_t bytes[NONCE_BYTES], mac[32];

	put_number(bytes, TIME_BYTES, (uint64_t)now.wall_ms);
	put_number(bytes + TIME_BYTES, RANDOM_BYTES, random);
	if (mac_make(nonces, bytes, realm, mac) < 0)
		return (struct stw_str){ buffer, 0 };
	memcpy(bytes + PLAIN_BYTES, mac, MAC_BYTES);
	buffer[0] = VERSION;
	encode(bytes, buffer + 1);
	return (struct stw_str){ buffer, NONCE_TEXT };
}

int nonce_open(const struct stw_nonces *nonces, struct stw_str realm, struct stw_str text,
	struct nonce *ret)
{
	uint8_t bytes[NONCE_BYTES], mac[32];

	if (text.len != NONCE_TEXT || text.ptr[0] != VERSION || decode(text.ptr + 1, bytes) < 0)
		return -EBADMSG;
	if (mac_make(nonces, bytes, realm, mac) < 0)
		return -EACCES;
	if (CRYPTO_memcmp(bytes + PLAIN_BYTES, mac, MAC_BYTES) != 0)
		return -EACCES;
	ret->issued_ms = get_number(bytes, TIME_BYTES);
	ret->random = get_number(bytes + TIME_BYTES, RANDOM_BYTES);
	return 0;
}

uint64_t nonce_age_ms(const struct nonce *nonce, struct stw_now now)
{
	uint64_t wall_ms = now.wall_ms > 0 ? (uint64_t)now.wall_ms : 0;

	if (wall_ms < nonce->issued_ms)
		return nonce->issued_ms - wall_ms;
	return wall_ms - nonce->issued_ms;
}
