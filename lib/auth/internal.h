/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the auth layer. */
#ifndef STW_AUTH_INTERNAL_H
#define STW_AUTH_INTERNAL_H

#include <strowger/auth.h>

#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

/* ---- digest.c: hashes fed piece by piece ---------------------------------------------- */

/** One hash context, reused for all hashes of a call. A failure sticks until hash_done. */
struct hash {
	union {
		MD5_CTX md5;
		SHA256_CTX sha256;
		EVP_MD_CTX *evp; /* the others */
	} ctx;
	enum stw_digest_algorithm algorithm;
	bool failed;
};

void hash_init(struct hash *hash, enum stw_digest_algorithm algorithm);
void hash_begin(struct hash *hash);
void hash_add(struct hash *hash, struct stw_str text);
void hash_add_hex(struct hash *hash, const uint8_t *bytes);
/** Adds the inside of a quoted-string without its backslashes. */
void hash_add_unescaped(struct hash *hash, struct stw_str text);
void hash_end(struct hash *hash, uint8_t ret[STW_DIGEST_BYTES_MAX]);
/** @return 0, -EIO */
int hash_done(struct hash *hash);

/** What a request-digest is made of, RFC 7616 §3.4.1 to §3.4.3. */
struct digest_input {
	enum stw_digest_algorithm algorithm;
	const uint8_t *ha1;
	struct stw_str nonce, nc, cnonce, qop; /* qop empty: as RFC 2069 */
	struct stw_str method, uri, body;      /* body: for auth-int */
};

/** @return 0, -EIO */
int digest_response(const struct digest_input *input, uint8_t ret[STW_DIGEST_BYTES_MAX]);

/* ---- answer.c: what a challenge says --------------------------------------------------- */

/** What matters for the answer, RFC 7616 §3.3; values still escaped. */
struct challenge_read {
	struct stw_str realm, nonce, opaque, algorithm, qop, stale;
	enum stw_digest_algorithm digest;
};

/** Also of one that cannot be answered the realm is told, when there is one. @return 0; -ENOENT;
 * -ENOTSUP; -EBADMSG */
int challenge_read(struct stw_str value, struct challenge_read *ret);

/* ---- param.c: comma lists of auth-param ------------------------------------------------ */

struct auth_param {
	struct stw_str name;
	struct stw_str value; /* without quotes, escapes still in it */
	bool quoted;
};

/** Skips the word "Digest". @return 0; -ENOENT another scheme */
int auth_scheme(struct stw_str value, size_t *ret_at);
/** Walks over name=value, …. @return 1 one more, 0 the end, -EBADMSG */
int auth_param_next(struct stw_str value, size_t *at, struct auth_param *ret);
/** Is the inside of a quoted-string, its escapes undone, equal to `plain`? */
bool auth_unescaped_equal(struct stw_str quoted, struct stw_str plain);
/** `text` as quoted-string, with `"` and `\` escaped (RFC 3261 §25.1). */
void auth_write_quoted(struct stw_writer *writer, struct stw_str text);
/** Undo the escapes of the inside of a quoted-string. @return bytes written, -ENOBUFS */
int auth_unescape(struct stw_str quoted, char *buffer, size_t capacity);
/** 1 to 8 hexadecimal digits. @return 0, -EBADMSG */
int auth_nc_parse(struct stw_str text, uint32_t *ret);

/* ---- nonce.c --------------------------------------------------------------------------- */

/** What a nonce carries. */
struct nonce {
	uint64_t issued_ms; /* wall clock at the start, and what the monotonic one went on since */
	uint64_t random;
};

/** @return 0; -EBADMSG: never a nonce of ours; -EACCES: shaped like ours, from another secret,
 * start, realm or peer */
int nonce_open(const struct stw_nonces *nonces, struct stw_nonce_scope scope, struct stw_str text,
	struct nonce *ret);
/** Milliseconds since a nonce was issued; another worker's may be of some later, which counts as
 * its distance. */
uint64_t nonce_age_ms(
	const struct stw_nonces *nonces, const struct nonce *nonce, struct stw_now now);
/** Past half its life: the next one is due (RFC 7616 §3.5). */
bool nonce_is_aging(const struct stw_nonces *nonces, const struct nonce *nonce, struct stw_now now);

/* ---- count.c: which nc of which nonce has been seen ------------------------------------- */

#define NC_ONCE UINT64_MAX /* no nc came: the nonce is good for this request only */

struct nonce_counts;

/** @param slots a power of two. @return 0, -ENOMEM */
int nonce_counts_new(size_t slots, struct nonce_counts **ret);
struct nonce_counts *nonce_counts_free(struct nonce_counts *counts);
/** True once for each nc of a nonce; false when it may have been seen before. Any thread. */
bool nonce_counts_take(struct nonce_counts *counts, const struct nonce *nonce, uint64_t nc);

struct stw_nonces {
	SHA256_CTX inner, outer; /* keyed; copied for each use */
	uint64_t lifetime_ms;
	uint64_t ahead_ms; /* of the monotonic clock: the wall clock, at the start */
	struct nonce_counts *counts;
};

#endif
