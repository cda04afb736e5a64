/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MD5 and SHA-256 are called directly: a context of the EVP interface costs two allocations and
 * more time than the hash of so few bytes.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "internal.h"

#include <errno.h>
#include <pthread.h>

/* Registry of RFC 7616 §6.1. */
static const struct {
	const char *name;
	size_t bytes;
} algorithms[STW_DIGEST_ALGORITHMS] = {
	[STW_DIGEST_MD5] = { "MD5", 16 },
	[STW_DIGEST_SHA_256] = { "SHA-256", 32 },
	[STW_DIGEST_SHA_512_256] = { "SHA-512-256", 32 },
};

/* Looking an algorithm up takes longer than hashing with it, so it is done once. */
static EVP_MD *sha_512_256;
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	sha_512_256 = EVP_MD_fetch(NULL, "SHA2-512/256", NULL);
}

struct stw_str stw_digest_name(enum stw_digest_algorithm algorithm)
{
	return stw_str_from(algorithms[algorithm].name);
}

int stw_digest_from(struct stw_str name, enum stw_digest_algorithm *ret)
{
	for (unsigned i = 0; i < STW_DIGEST_ALGORITHMS; i++) {
		if (!stw_str_equal_nocase(name, stw_str_from(algorithms[i].name)))
			continue;
		*ret = (enum stw_digest_algorithm)i;
		return 0;
	}
	return -ENOENT;
}

size_t stw_digest_bytes(enum stw_digest_algorithm algorithm)
{
	return algorithms[algorithm].bytes;
}

void hash_init(struct hash *hash, enum stw_digest_algorithm algorithm)
{
	hash->algorithm = algorithm;
	hash->failed = false;
	if (algorithm != STW_DIGEST_SHA_512_256)
		return;
	pthread_once(&fetch_once, fetch);
	hash->ctx.evp = EVP_MD_CTX_new();
	hash->failed = !hash->ctx.evp || !sha_512_256;
}

void hash_begin(struct hash *hash)
{
	int good = 0;

	if (hash->failed)
		return;
	switch (hash->algorithm) {
	case STW_DIGEST_MD5:
		good = MD5_Init(&hash->ctx.md5);
		break;
	case STW_DIGEST_SHA_256:
		good = SHA256_Init(&hash->ctx.sha256);
		break;
	default:
		good = EVP_DigestInit_ex2(hash->ctx.evp, sha_512_256, NULL);
		break;
	}
	hash->failed = good != 1;
}

void hash_add(struct hash *hash, struct stw_str text)
{
	int good = 0;

	if (hash->failed || !text.len)
		return;
	switch (hash->algorithm) {
	case STW_DIGEST_MD5:
		good = MD5_Update(&hash->ctx.md5, text.ptr, text.len);
		break;
	case STW_DIGEST_SHA_256:
		good = SHA256_Update(&hash->ctx.sha256, text.ptr, text.len);
		break;
	default:
		good = EVP_DigestUpdate(hash->ctx.evp, text.ptr, text.len);
		break;
	}
	hash->failed = good != 1;
}

void hash_add_hex(struct hash *hash, const uint8_t *bytes)
{
	char text[STW_DIGEST_HEX_MAX];
	struct stw_writer writer;

	stw_writer_init(&writer, text, sizeof(text));
	stw_write_hex(&writer, bytes, stw_digest_bytes(hash->algorithm));
	hash_add(hash, stw_writer_text(&writer));
}

void hash_add_unescaped(struct hash *hash, struct stw_str text)
{
	size_t from = 0;

	while (from < text.len) {
		/* The byte behind a backslash begins the next run, even if it is a backslash. */
		size_t to = stw_str_find(text, '\\', from ? from + 1 : 0);

		hash_add(hash, stw_str_cut(text, from, to));
		from = to + 1;
	}
}

void hash_end(struct hash *hash, uint8_t ret[STW_DIGEST_BYTES_MAX])
{
	int good = 0;

	if (hash->failed)
		return;
	switch (hash->algorithm) {
	case STW_DIGEST_MD5:
		good = MD5_Final(ret, &hash->ctx.md5);
		break;
	case STW_DIGEST_SHA_256:
		good = SHA256_Final(ret, &hash->ctx.sha256);
		break;
	default:
		good = EVP_DigestFinal_ex(hash->ctx.evp, ret, NULL);
		break;
	}
	hash->failed = good != 1;
}

int hash_done(struct hash *hash)
{
	if (hash->algorithm == STW_DIGEST_SHA_512_256)
		EVP_MD_CTX_free(hash->ctx.evp);
	return hash->failed ? -EIO : 0;
}

/* A1 of RFC 7616 §3.4.2, without "-sess". */
int stw_ha1_make(
	struct stw_str user, struct stw_str realm, struct stw_str password, struct stw_ha1 *ret)
{
	struct stw_ha1 made = { 0 };

	for (unsigned i = 0; i < STW_DIGEST_ALGORITHMS; i++) {
		struct hash hash;

		hash_init(&hash, (enum stw_digest_algorithm)i);
		hash_begin(&hash);
		hash_add(&hash, user);
		hash_add(&hash, STW_STR(":"));
		hash_add(&hash, realm);
		hash_add(&hash, STW_STR(":"));
		hash_add(&hash, password);
		hash_end(&hash, made.digest[i]);
		if (hash_done(&hash) < 0)
			return -EIO;
	}
	*ret = made;
	return 0;
}

/* A2 of RFC 7616 §3.4.3; an empty body is hashed as the empty string (RFC 8760 §2.6 item 7). */
static void hash_a2(
	struct hash *hash, const struct digest_input *input, uint8_t ret[STW_DIGEST_BYTES_MAX])
{
	bool integrity = stw_str_equal_nocase(input->qop, STW_STR("auth-int"));
	uint8_t body[STW_DIGEST_BYTES_MAX] = { 0 };

	if (integrity) {
		hash_begin(hash);
		hash_add(hash, input->body);
		hash_end(hash, body);
	}
	hash_begin(hash);
	hash_add(hash, input->method);
	hash_add(hash, STW_STR(":"));
	hash_add(hash, input->uri);
	if (integrity) {
		hash_add(hash, STW_STR(":"));
		hash_add_hex(hash, body);
	}
	hash_end(hash, ret);
}

/* RFC 7616 §3.4.1; without qop as RFC 2069 did it (RFC 2617 §3.2.2.1). */
int digest_response(const struct digest_input *input, uint8_t ret[STW_DIGEST_BYTES_MAX])
{
	const struct stw_str with_qop[] = { input->nc, input->cnonce, input->qop };
	uint8_t a2[STW_DIGEST_BYTES_MAX] = { 0 };
	struct hash hash;

	hash_init(&hash, input->algorithm);
	hash_a2(&hash, input, a2);
	hash_begin(&hash);
	hash_add_hex(&hash, input->ha1);
	hash_add(&hash, STW_STR(":"));
	hash_add(&hash, input->nonce);
	for (size_t i = 0; input->qop.len && i < STW_ARRAY_SIZE(with_qop); i++) {
		hash_add(&hash, STW_STR(":"));
		hash_add(&hash, with_qop[i]);
	}
	hash_add(&hash, STW_STR(":"));
	hash_add_hex(&hash, a2);
	hash_end(&hash, ret);
	return hash_done(&hash);
}
