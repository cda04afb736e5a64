/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * card: the signed jCard of a 608 (RFC 8688 §3.2): whom a caller turns to who was rejected. A JSON
 * Web Signature (RFC 7515) with ES256, made anew for each who fetches it, since its iat must be
 * fresh.
 */
#ifndef STW_CARD_H
#define STW_CARD_H

#include <strowger/base.h>

struct stw_card_key;

/** A PEM file with a private key for P-256. @return 0; -errno of the file; -EINVAL: it holds none;
 * -ENOMEM */
int stw_card_key_load(const char *path, struct stw_card_key **ret);
/** Accepts NULL; returns NULL. */
struct stw_card_key *stw_card_key_free(struct stw_card_key *key);

struct stw_card {
	struct stw_str certificate;     /* x5u: where the certificate of the key is */
	struct stw_str name;            /* fn */
	const struct stw_str *contacts; /* mailto:, tel:, http: and https: URIs; at least one */
	unsigned contact_count;
};

/** Is this something a jCard can name? */
bool stw_card_is_contact(struct stw_str uri);
/** The JWS in its compact form, into `ret` (free()). Any thread. @return 0; -ENOMEM; -EIO */
int stw_card_make(
	const struct stw_card *card, const struct stw_card_key *key, int64_t now_s, char **ret);

#endif
