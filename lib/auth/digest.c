/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <pthread.h>

/* Registry of RFC 7616 §6.1; the second name is that of the crypto library. */
static const struct {
	const char *name, *evp_name;
	size_t bytes;
} algorithms[STW_DIGEST_ALGORITHMS] = {
	[STW_DIGEST_MD5] = { "MD5", "MD5", 16 },
	[STW_DIGEST_SHA_256] = { "SHA-256", "SHA2-256", 32 },
	[STW_DIGEST_SHA_512_256] = { "SHA-512-256", "SHA2-512/256", 32 },
};

/* Looking an algorithm up takes longer than hashing with it, so it is done once. */
static EVP_MD *digests[STW_DIGEST_ALGORITHMS];
static pthread_once_t digests_once = PTHREAD_ONCE_INIT;

static void digests_fetch(void)
{
	for (unsigned i = 0; i < STW_DIGEST_ALGORITHMS; i++)
		digests[i] = EVP_MD_fetch(NULL, algorithms[i].evp_name, NULL);
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
	pthread_once(&digests_once, digests_fetch);
	*hash = (struct hash){ .ctx = EVP_MD_CTX_new(), .algorithm = algorithm };
	hash->failed = !hash->ctx || !digests[algorithm];
}

void hash_begin(struct hash *hash)
{
	if (!hash->failed && EVP_DigestInit_ex2(hash->ctx, digests[hash->algorithm], NULL) != 1)
		hash->failed = true;
}

void hash_add(struct hash *hash, struct stw_str text)
{
	if (!hash->failed && text.len && EVP_DigestUpdate(hash->ctx, text.ptr, text.len) != 1)
		hash->failed = true;
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
	if (!hash->failed && EVP_DigestFinal_ex(hash->ctx, ret, NULL) != 1)
		hash->failed = true;
}

int hash_done(struct hash *hash)
{
	EVP_MD_CTX_free(hash->ctx);
	hash->ctx = NULL;
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
