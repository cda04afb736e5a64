/* SPDX-License-Identifier: Apache-2.0 */
#include "server/card/card.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define HALF_BYTES 32 /* of a signature: R, then S (RFC 7518 §3.4) */
#define DER_BYTES  128

struct stw_card_key {
	EVP_PKEY *pkey;
};

/* ---- the key ------------------------------------------------------------------------------ */

static bool is_p256(const EVP_PKEY *pkey)
{
	char group[64];
	size_t len = 0;

	return EVP_PKEY_is_a(pkey, "EC") &&
	       EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

/* Nobody is there to be asked for the password of a key. */
static int no_password(char *buffer, int size, int writing, void *context)
{
	return -1;
}

int stw_card_key_load(const char *path, struct stw_card_key **ret)
{
	struct stw_card_key *key;
	FILE *file = fopen(path, "rbe");

	if (!file)
		return -errno;
	key = calloc(1, sizeof(*key));
	if (key)
		key->pkey = PEM_read_PrivateKey(file, NULL, no_password, NULL);
	fclose(file);
	if (!key)
		return -ENOMEM;
	if (!key->pkey || !is_p256(key->pkey)) {
		stw_card_key_free(key);
		return -EINVAL;
	}
	*ret = key;
	return 0;
}

struct stw_card_key *stw_card_key_free(struct stw_card_key *key)
{
	if (key)
		EVP_PKEY_free(key->pkey);
	free(key);
	return NULL;
}

/* ---- the card, RFC 7095 -----------------------------------------------------------------------
 */

static const struct {
	struct stw_str prefix;
	const char *property, *type;
	bool cut; /* the value is what stands behind the prefix */
} kinds[] = {
	{ { "mailto:", 7 }, "email", "text", true },
	{ { "tel:", 4 }, "tel", "uri", false },
	{ { "https://", 8 }, "url", "uri", false },
	{ { "http://", 7 }, "url", "uri", false },
};

static size_t kind_of(struct stw_str uri)
{
	size_t i = 0;

	while (i < STW_ARRAY_SIZE(kinds) &&
		(!stw_str_starts(uri, kinds[i].prefix) || uri.len == kinds[i].prefix.len))
		i++;
	return i;
}

bool stw_card_is_contact(struct stw_str uri)
{
	for (size_t i = 0; i < uri.len; i++) {
		if (uri.ptr[i] <= ' ' || uri.ptr[i] > '~')
			return false;
	}
	return kind_of(uri) < STW_ARRAY_SIZE(kinds);
}

static void property_add(json_t *list, const char *name, const char *type, struct stw_str value)
{
	json_array_append_new(list,
		json_pack("[s, {}, s, s%]", name, type, value.len ? value.ptr : "", value.len));
}

static json_t *payload_make(const struct stw_card *card, int64_t now_s)
{
	json_t *properties = json_array();

	property_add(properties, "version", "text", STW_STR("4.0"));
	property_add(properties, "fn", "text", card->name);
	for (unsigned i = 0; i < card->contact_count; i++) {
		struct stw_str uri = card->contacts[i];
		size_t kind = kind_of(uri);

		if (kind < STW_ARRAY_SIZE(kinds))
			property_add(properties, kinds[kind].property, kinds[kind].type,
				stw_str_cut(uri, kinds[kind].cut ? kinds[kind].prefix.len : 0,
					uri.len));
	}
	return json_pack("{s:I, s:[s, o]}", "iat", (json_int_t)now_s, "jcard", "vcard", properties);
}

/* ---- the signature ----------------------------------------------------------------------------
 */

/* RFC 7515 §2: without padding. @return bytes written */
static size_t encode(const unsigned char *data, size_t len, char *to)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		size_t bytes = len - i < 3 ? len - i : 3;
		unsigned group = (unsigned)data[i] << 16;

		if (bytes > 1)
			group |= (unsigned)data[i + 1] << 8;
		if (bytes > 2)
			group |= data[i + 2];
		for (size_t k = 0; k <= bytes; k++)
			to[n++] = letters[group >> (18 - 6 * k) & 63];
	}
	return n;
}

static bool signature_split(const unsigned char *der, size_t len, unsigned char *to)
{
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)len);
	bool ok = signature &&
		  BN_bn2binpad(ECDSA_SIG_get0_r(signature), to, HALF_BYTES) == HALF_BYTES &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(signature), to + HALF_BYTES, HALF_BYTES) ==
			  HALF_BYTES;

	ECDSA_SIG_free(signature);
	return ok;
}

static bool sign(const struct stw_card_key *key, const char *text, size_t len, unsigned char *to)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char der[DER_BYTES];
	size_t der_len = sizeof(der);
	bool ok = context &&
		  EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
		  EVP_DigestSign(context, der, &der_len, (const unsigned char *)text, len) == 1 &&
		  signature_split(der, der_len, to);

	EVP_MD_CTX_free(context);
	return ok;
}

static int jws_make(
	const struct stw_card_key *key, const char *header, const char *payload, char **ret)
{
	size_t header_len = strlen(header), payload_len = strlen(payload), n;
	char *text = malloc((header_len + payload_len + 2 * (size_t)HALF_BYTES) * 4 / 3 + 16);
	unsigned char signature[2 * HALF_BYTES];

	if (!text)
		return -ENOMEM;
	n = encode((const unsigned char *)header, header_len, text);
	text[n++] = '.';
	n += encode((const unsigned char *)payload, payload_len, text + n);
	if (!sign(key, text, n, signature)) {
		free(text);
		return -EIO;
	}
	text[n++] = '.';
	n += encode(signature, sizeof(signature), text + n);
	text[n] = 0;
	*ret = text;
	return 0;
}

int stw_card_make(
	const struct stw_card *card, const struct stw_card_key *key, int64_t now_s, char **ret)
{
	json_t *header_json = json_pack("{s:s, s:s, s:s%}", "alg", "ES256", "typ", "vcard+json",
		"x5u", card->certificate.len ? card->certificate.ptr : "", card->certificate.len);
	json_t *payload_json = payload_make(card, now_s);
	char *header = header_json ? json_dumps(header_json, JSON_COMPACT) : NULL;
	char *payload = payload_json ? json_dumps(payload_json, JSON_COMPACT) : NULL;
	int err = header && payload ? jws_make(key, header, payload, ret) : -ENOMEM;

	free(header);
	free(payload);
	json_decref(header_json);
	json_decref(payload_json);
	return err;
}
