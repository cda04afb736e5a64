/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * auth: Digest, RFC 3261 §22, RFC 7616, RFC 8760. MD5, SHA-256 and SHA-512-256, qop auth and
 * auth-int, nonces that prove themselves, nonce counts that do not repeat.
 */
#ifndef STROWGER_AUTH_H
#define STROWGER_AUTH_H

#include <strowger/message.h>

enum stw_digest_algorithm {
	STW_DIGEST_MD5,
	STW_DIGEST_SHA_256,
	STW_DIGEST_SHA_512_256,
	STW_DIGEST_ALGORITHMS
};

/** "MD5", "SHA-256", "SHA-512-256". */
struct stw_str stw_digest_name(enum stw_digest_algorithm algorithm);
/** Without case, also the "-sess" forms are recognised and refused. @return 0, -ENOENT */
int stw_digest_from(struct stw_str name, enum stw_digest_algorithm *ret);
/** Bytes of a digest: 16 or 32. */
size_t stw_digest_bytes(enum stw_digest_algorithm algorithm);

#define STW_DIGEST_BYTES_MAX 32
#define STW_DIGEST_HEX_MAX   64

/** H(user:realm:password) for each algorithm: what is stored instead of a password. */
struct stw_ha1 {
	uint8_t digest[STW_DIGEST_ALGORITHMS][STW_DIGEST_BYTES_MAX];
};

/** @return 0, -EIO when the digest library fails */
int stw_ha1_make(
	struct stw_str user, struct stw_str realm, struct stw_str password, struct stw_ha1 *ret);

/**
 * Parsed Digest credentials (Authorization, Proxy-Authorization); borrowed, without quotes. Escapes
 * are undone in `username` only, which then points to `username_text`: do not copy the structure.
 */
struct stw_credentials {
	enum stw_digest_algorithm algorithm; /* MD5 when not given */
	struct stw_str username, realm, nonce, uri, response, cnonce, opaque, qop, nc;
	char username_text[128]; /* holds an unescaped user name */
};

/** @return 0; -ENOENT: not the Digest scheme; -EBADMSG broken or a part missing; -ENOTSUP algorithm
 * unknown */
int stw_credentials_parse(struct stw_str value, struct stw_credentials *ret);
/** First credentials of the request for this realm. @return 0; -ENOENT none; -EBADMSG, -ENOTSUP as
 * above */
int stw_credentials_find(const struct stw_msg *msg, enum stw_header header, struct stw_str realm,
	struct stw_credentials *ret);

/** Keys and limits of a domain's nonces. Shared by workers; the nc table is bounded. */
struct stw_nonces;

/** @param secret 32 bytes @param slots bound of nonces whose count is watched, a power of two
 * @return 0, -ENOMEM, -EIO */
int stw_nonces_new(
	const uint8_t secret[32], uint32_t lifetime_s, size_t slots, struct stw_nonces **ret);
/** With a secret kept over restarts: nonces of before this start are stale, as their counts are
 * forgotten. To be called once, before the first nonce is made. The wall clock is read here only;
 * from then on the monotonic one counts. */
void stw_nonces_start(struct stw_nonces *nonces, struct stw_now now);
/** Accepts NULL; returns NULL. */
struct stw_nonces *stw_nonces_free(struct stw_nonces *nonces);

/** Where a nonce is good: in the realm, and for requests of the peer that it was sent to. Whoever
 * only writes another sender into a datagram has not seen it. */
struct stw_nonce_scope {
	struct stw_str realm;
	uint64_t peer; /* tells senders apart; 0: anybody */
};

#define STW_NONCE_TEXT_MAX 80
/** A nonce of now: time and random, and an HMAC over our start, both and the scope. Empty when the
 * digest library fails. */
struct stw_str stw_nonce_make(const struct stw_nonces *nonces, struct stw_nonce_scope scope,
	uint64_t random, struct stw_now now, char buffer[STW_NONCE_TEXT_MAX]);

enum stw_auth_verdict {
	STW_AUTH_OK,
	STW_AUTH_NONE,  /* no credentials for the realm */
	STW_AUTH_STALE, /* digest right, nonce too old, of another secret, start or peer, or its
			   count replayed: challenge with stale=true */
	STW_AUTH_BAD,   /* user unknown, digest wrong, no nonce of ours, algorithm not offered, uri
			   does not match */
	STW_AUTH_MALFORMED, /* cannot be parsed; challenge again */
};

/** What is to be verified; all borrowed. */
struct stw_auth_check {
	const struct stw_msg *request;
	const struct stw_credentials *credentials;
	const struct stw_ha1 *ha1; /* NULL: user unknown; the same work is done against a dummy */
	struct stw_str realm;
	uint64_t peer;    /* as in struct stw_nonce_scope */
	unsigned offered; /* set of 1 << algorithm that may be used */
	bool uri_ours;    /* the Digest uri names this server: enough, clients differ in what they
			     write */
	bool *nonce_ages; /* NULL, or told when the verdict is OK: the nonce is past half its life,
			     and stw_auth_info_write() has something to say */
};

/**
 * §22.4, RFC 7616 §3.4: nonce genuine, algorithm offered, uri meant for this Request-URI (equal
 * after unescaping, or the request was retargeted: uri is accepted when it is a SIP URI equal by
 * §19.1.4), response equal (constant time), nc not seen with this nonce (the count is taken only
 * when all else is right; a window of 64 lets counts overtake one another). Without qop (RFC 2069)
 * a nonce is good once. Spends the count: call it once for a request.
 */
enum stw_auth_verdict stw_auth_check(
	struct stw_nonces *nonces, const struct stw_auth_check *check, struct stw_now now);

/** Why a check failed; NULL for STW_AUTH_OK. `check` may be NULL. @param proxy the 407 row, else
 * the 401 row */
const struct stw_cause *stw_auth_cause(
	enum stw_auth_verdict verdict, const struct stw_auth_check *check, bool proxy);
/** The same for an error of stw_credentials_find. */
const struct stw_cause *stw_credentials_cause(int err, bool proxy);

/** A challenge to be written; all borrowed. */
struct stw_challenge {
	enum stw_header header; /* STW_HDR_WWW_AUTHENTICATE or STW_HDR_PROXY_AUTHENTICATE */
	struct stw_str realm, nonce;
	const enum stw_digest_algorithm
		*algorithms; /* in order of preference, one challenge each */
	unsigned algorithm_count;
	bool stale;
};
/** Lines with CRLF; qop="auth,auth-int", opaque, algorithm. */
void stw_challenge_write(struct stw_writer *writer, const struct stw_challenge *challenge);
/** "Authentication-Info: nextnonce=…" line for a 2xx when the nonce is past half its life (RFC 7616
 * §3.5); else nothing. */
void stw_auth_info_write(struct stw_writer *writer, struct stw_nonces *nonces,
	const struct stw_credentials *credentials, uint64_t peer, uint64_t random,
	struct stw_now now);

/* ---- the client's side: answer a challenge ------------------------------------------------ */

/** A challenge and what answers it; all borrowed. */
struct stw_digest_answer {
	enum stw_header header;   /* STW_HDR_AUTHORIZATION or STW_HDR_PROXY_AUTHORIZATION */
	struct stw_str challenge; /* value of WWW-/Proxy-Authenticate */
	struct stw_str user, password, method, uri, body;
	struct stw_str cnonce;
	uint32_t nc;
};
/** Writes the header line with CRLF. @return 0; -ENOENT not Digest; -ENOTSUP algorithm or qop;
 * -EBADMSG */
int stw_digest_answer_write(struct stw_writer *writer, const struct stw_digest_answer *answer);

/**
 * Who we are at another server, and what it has asked last: its challenges are kept, so that
 * further requests carry credentials at once with a nonce count that rises (RFC 7616 §3.4, RFC 3261
 * §22.3). At most STW_DIGEST_REALMS challenges; one thread.
 */
struct stw_digest_client;

#define STW_DIGEST_REALMS 4

/** @param realm the only one that is answered; empty: any. Text is copied. @return 0, -ENOMEM */
int stw_digest_client_new(struct stw_str user, struct stw_str password, struct stw_str realm,
	struct stw_digest_client **ret);
/** Is it the one for these? */
bool stw_digest_client_is(const struct stw_digest_client *client, struct stw_str user,
	struct stw_str password, struct stw_str realm);
/** Accepts NULL; returns NULL. */
struct stw_digest_client *stw_digest_client_free(struct stw_digest_client *client);

/**
 * A 401 or 407: of each realm the topmost challenge that can be answered is kept (RFC 8760 §2.4) in
 * the place of what was kept of it.
 * @param ret_stale a nonce was too old, and nothing else was wrong; may be NULL
 * @return 0; -ENOENT no challenge for us; -ENOTSUP none with an algorithm and a qop that we know;
 * -EBADMSG none that can be read; -ENOMEM
 */
int stw_digest_client_challenged(
	struct stw_digest_client *client, const struct stw_msg *response, bool *ret_stale);
/** Did the request carry credentials for each realm that the response asks for? Then they were
 * refused, unless their nonce was too old (§22.1: not tried again). */
bool stw_digest_was_answered(const struct stw_msg *request, const struct stw_msg *response);
/** What was answered and refused all the same is not used again. */
void stw_digest_client_refused(struct stw_digest_client *client, const struct stw_msg *response);
/** Is there a challenge that the next request can answer at once? */
bool stw_digest_client_ready(const struct stw_digest_client *client);

/** What is to be signed; all borrowed. */
struct stw_digest_request {
	const struct stw_msg *request; /* what it carries already, and its body; may be NULL */
	struct stw_str method, uri;    /* as they are sent */
	struct stw_random *random;     /* for cnonce */
};
/** Lines with CRLF that answer all that was kept; a realm for which the request has credentials is
 * left out. Nothing when there is nothing to answer. @return 0, -EIO */
int stw_digest_client_write(struct stw_digest_client *client, struct stw_writer *writer,
	const struct stw_digest_request *request);

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include <strowger/causes/auth.def>
#undef CAUSE

#endif
