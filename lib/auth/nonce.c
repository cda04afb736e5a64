/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED /* as in digest.c */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/*
 * A nonce needs no memory on our side (RFC 7616 §3.3 suggests the same):
 *
 *     "1" base64url( issued_ms: 6 bytes | random: 8 bytes | HMAC-SHA-256, first 16 bytes )
 *
 * The HMAC covers our start, version, time, random, peer and realm. 30 bytes fill 40 characters
 * without a spare bit, so that each character counts.
 *
 * The wall clock is read once, at the start, and from there on time is that of the monotonic clock:
 * somebody may set the wall clock by hours, and no nonce shall be older or younger for it.
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

/* RFC 2104: the hash of the padded key is made once for each of the two. */
static bool mac_key(struct stw_nonces *nonces, const uint8_t secret[32])
{
	uint8_t inner[SHA256_CBLOCK], outer[SHA256_CBLOCK];
	bool made;

	memset(inner, 0x36, sizeof(inner));
	memset(outer, 0x5c, sizeof(outer));
	for (unsigned i = 0; i < 32; i++) {
		inner[i] ^= secret[i];
		outer[i] ^= secret[i];
	}
	made = SHA256_Init(&nonces->inner) == 1 && SHA256_Init(&nonces->outer) == 1 &&
	       SHA256_Update(&nonces->inner, inner, sizeof(inner)) == 1 &&
	       SHA256_Update(&nonces->outer, outer, sizeof(outer)) == 1;
	OPENSSL_cleanse(inner, sizeof(inner));
	OPENSSL_cleanse(outer, sizeof(outer));
	return made;
}

static void put_number(uint8_t *to, unsigned bytes, uint64_t number)
{
	while (bytes--) {
		to[bytes] = (uint8_t)number;
		number >>= 8;
	}
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
	err = nonce_counts_new(slots, &nonces->counts);
	if (err < 0)
		goto fail;
	err = mac_key(nonces, secret) ? 0 : -EIO;
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
	uint8_t start[2 * sizeof(uint64_t)];

	nonces->ahead_ms = (uint64_t)now.wall_ms - now.mono_ms;
	put_number(start, sizeof(uint64_t), (uint64_t)now.wall_ms);
	put_number(start + sizeof(uint64_t), sizeof(uint64_t), now.mono_ms);
	(void)SHA256_Update(&nonces->inner, start, sizeof(start));
}

struct stw_nonces *stw_nonces_free(struct stw_nonces *nonces)
{
	if (nonces) {
		OPENSSL_cleanse(&nonces->inner, sizeof(nonces->inner));
		OPENSSL_cleanse(&nonces->outer, sizeof(nonces->outer));
		nonce_counts_free(nonces->counts);
	}
	free(nonces);
	return NULL;
}

static int mac_make(const struct stw_nonces *nonces, const uint8_t plain[PLAIN_BYTES],
	struct stw_nonce_scope scope, uint8_t ret[32])
{
	SHA256_CTX inner = nonces->inner, outer = nonces->outer;
	const uint8_t version = VERSION;
	uint8_t hash[SHA256_DIGEST_LENGTH], peer[sizeof(scope.peer)];
	bool made;

	put_number(peer, sizeof(peer), scope.peer);
	made = SHA256_Update(&inner, &version, 1) == 1 &&
	       SHA256_Update(&inner, plain, PLAIN_BYTES) == 1 &&
	       SHA256_Update(&inner, peer, sizeof(peer)) == 1 &&
	       SHA256_Update(&inner, scope.realm.ptr, scope.realm.len) == 1 &&
	       SHA256_Final(hash, &inner) == 1 && SHA256_Update(&outer, hash, sizeof(hash)) == 1 &&
	       SHA256_Final(ret, &outer) == 1;
	return made ? 0 : -EIO;
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

/* @return six bits; 64: no character of the alphabet */
static unsigned decode_one(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	return c == '-' ? 62 : c == '_' ? 63 : 64;
}

static int decode(const char *from, uint8_t ret[NONCE_BYTES])
{
	for (unsigned i = 0; i < NONCE_BYTES; i += 3) {
		uint32_t group = 0;

		for (unsigned k = 0; k < 4; k++, from++) {
			unsigned bits = decode_one(*from);

			if (bits == 64)
				return -EBADMSG;
			group = group << 6 | bits;
		}
		put_number(ret + i, 3, group);
	}
	return 0;
}

static uint64_t time_ms(const struct stw_nonces *nonces, struct stw_now now)
{
	return (now.mono_ms + nonces->ahead_ms) & ((UINT64_C(1) << 8 * TIME_BYTES) - 1);
}

struct stw_str stw_nonce_make(const struct stw_nonces *nonces, struct stw_nonce_scope scope,
	uint64_t random, struct stw_now now, char buffer[STW_NONCE_TEXT_MAX])
{
	uint8_t bytes[NONCE_BYTES], mac[32];

	put_number(bytes, TIME_BYTES, time_ms(nonces, now));
	put_number(bytes + TIME_BYTES, RANDOM_BYTES, random);
	if (mac_make(nonces, bytes, scope, mac) < 0)
		return (struct stw_str){ buffer, 0 };
	memcpy(bytes + PLAIN_BYTES, mac, MAC_BYTES);
	buffer[0] = VERSION;
	encode(bytes, buffer + 1);
	return (struct stw_str){ buffer, NONCE_TEXT };
}

int nonce_open(const struct stw_nonces *nonces, struct stw_nonce_scope scope, struct stw_str text,
	struct nonce *ret)
{
	uint8_t bytes[NONCE_BYTES], mac[32];

	if (text.len != NONCE_TEXT || text.ptr[0] != VERSION || decode(text.ptr + 1, bytes) < 0)
		return -EBADMSG;
	if (mac_make(nonces, bytes, scope, mac) < 0)
		return -EACCES;
	if (CRYPTO_memcmp(bytes + PLAIN_BYTES, mac, MAC_BYTES) != 0)
		return -EACCES;
	ret->issued_ms = get_number(bytes, TIME_BYTES);
	ret->random = get_number(bytes + TIME_BYTES, RANDOM_BYTES);
	return 0;
}

uint64_t nonce_age_ms(
	const struct stw_nonces *nonces, const struct nonce *nonce, struct stw_now now)
{
	uint64_t now_ms = time_ms(nonces, now);

	if (now_ms < nonce->issued_ms)
		return nonce->issued_ms - now_ms;
	return now_ms - nonce->issued_ms;
}

bool nonce_is_aging(const struct stw_nonces *nonces, const struct nonce *nonce, struct stw_now now)
{
	return nonce_age_ms(nonces, nonce, now) > nonces->lifetime_ms / 2;
}
