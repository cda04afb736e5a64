/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <errno.h>

static int challenge_param(struct challenge_read *challenge, const struct auth_param *param)
{
	const struct {
		struct stw_str name, *value;
	} wanted[] = {
		{ STW_STR("realm"), &challenge->realm },
		{ STW_STR("nonce"), &challenge->nonce },
		{ STW_STR("opaque"), &challenge->opaque },
		{ STW_STR("qop"), &challenge->qop },
		{ STW_STR("algorithm"), &challenge->algorithm },
		{ STW_STR("stale"), &challenge->stale },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(wanted); i++) {
		if (!stw_str_equal_nocase(param->name, wanted[i].name))
			continue;
		if (wanted[i].value->ptr)
			return -EBADMSG;
		*wanted[i].value = param->value;
	}
	return 0;
}

static bool qop_offered(struct stw_str list, struct stw_str qop)
{
	size_t from = 0;

	while (from < list.len) {
		size_t to = stw_str_find(list, ',', from);

		if (stw_str_equal_nocase(stw_str_trim(stw_str_cut(list, from, to)), qop))
			return true;
		from = to + 1;
	}
	return false;
}

/*
 * "auth" where we may choose: proxies that touch a body would break "auth-int". A challenge
 * without qop is answered as RFC 2069 did (RFC 3261 §22.4 item 8).
 */
static int qop_choose(struct challenge_read *challenge)
{
	const struct stw_str choices[] = { STW_STR("auth"), STW_STR("auth-int") };

	if (!challenge->qop.len)
		return 0;
	for (size_t i = 0; i < STW_ARRAY_SIZE(choices); i++) {
		if (!qop_offered(challenge->qop, choices[i]))
			continue;
		challenge->qop = choices[i];
		return 0;
	}
	return -ENOTSUP;
}

int challenge_read(struct stw_str value, struct challenge_read *ret)
{
	struct auth_param param;
	size_t at;
	int more = auth_scheme(value, &at);

	*ret = (struct challenge_read){ .digest = STW_DIGEST_MD5 };
	if (more < 0)
		return more;
	while ((more = auth_param_next(value, &at, &param)) > 0) {
		more = challenge_param(ret, &param);
		if (more < 0)
			return more;
	}
	if (more < 0)
		return more;
	if (!ret->realm.ptr || !ret->nonce.len)
		return -EBADMSG;
	if (ret->algorithm.ptr && stw_digest_from(ret->algorithm, &ret->digest) < 0)
		return -ENOTSUP;
	return qop_choose(ret);
}

/* H(A1), RFC 7616 §3.4.2, from the realm as the challenge wrote it. */
static int ha1_of_challenge(const struct challenge_read *challenge,
	const struct stw_digest_answer *answer, uint8_t ret[STW_DIGEST_BYTES_MAX])
{
	struct hash hash;

	hash_init(&hash, challenge->digest);
	hash_begin(&hash);
	hash_add(&hash, answer->user);
	hash_add(&hash, STW_STR(":"));
	hash_add_unescaped(&hash, challenge->realm);
	hash_add(&hash, STW_STR(":"));
	hash_add(&hash, answer->password);
	hash_end(&hash, ret);
	return hash_done(&hash);
}

static void write_raw_quoted(struct stw_writer *writer, const char *name, struct stw_str value)
{
	stw_write_text(writer, name);
	stw_write_str(writer, value);
	stw_write_char(writer, '"');
}

static void answer_write(struct stw_writer *writer, const struct challenge_read *challenge,
	const struct stw_digest_answer *answer, struct stw_str nc,
	const uint8_t response[STW_DIGEST_BYTES_MAX])
{
	stw_write_str(writer, stw_header_name(answer->header));
	stw_write_text(writer, ": Digest username=");
	auth_write_quoted(writer, answer->user);
	write_raw_quoted(writer, ", realm=\"", challenge->realm);
	write_raw_quoted(writer, ", nonce=\"", challenge->nonce);
	write_raw_quoted(writer, ", uri=\"", answer->uri);
	stw_write_text(writer, ", response=\"");
	stw_write_hex(writer, response, stw_digest_bytes(challenge->digest));
	stw_write_char(writer, '"');
	if (challenge->algorithm.ptr) {
		stw_write_text(writer, ", algorithm=");
		stw_write_str(writer, stw_digest_name(challenge->digest));
	}
	if (challenge->qop.len) {
		write_raw_quoted(writer, ", cnonce=\"", answer->cnonce);
		stw_write_text(writer, ", qop=");
		stw_write_str(writer, challenge->qop);
		stw_write_text(writer, ", nc=");
		stw_write_str(writer, nc);
	}
	if (challenge->opaque.ptr)
		write_raw_quoted(writer, ", opaque=\"", challenge->opaque);
	stw_write_text(writer, "\r\n");
}

int stw_digest_answer_write(struct stw_writer *writer, const struct stw_digest_answer *answer)
{
	const uint8_t nc_bytes[] = { (uint8_t)(answer->nc >> 24), (uint8_t)(answer->nc >> 16),
		(uint8_t)(answer->nc >> 8), (uint8_t)answer->nc };
	uint8_t ha1[STW_DIGEST_BYTES_MAX] = { 0 }, response[STW_DIGEST_BYTES_MAX] = { 0 };
	struct challenge_read challenge;
	struct digest_input input;
	struct stw_writer nc;
	char nc_text[8];
	int err = challenge_read(answer->challenge, &challenge);

	if (err < 0)
		return err;
	assert(answer->cnonce.len || !challenge.qop.len);
	stw_writer_init(&nc, nc_text, sizeof(nc_text));
	stw_write_hex(&nc, nc_bytes, sizeof(nc_bytes));
	err = ha1_of_challenge(&challenge, answer, ha1);
	if (err < 0)
		return err;
	input = (struct digest_input){
		.algorithm = challenge.digest,
		.ha1 = ha1,
		.nonce = challenge.nonce,
		.nc = stw_writer_text(&nc),
		.cnonce = answer->cnonce,
		.qop = challenge.qop,
		.method = answer->method,
		.uri = answer->uri,
		.body = answer->body,
	};
	err = digest_response(&input, response);
	if (err < 0)
		return err;
	answer_write(writer, &challenge, answer, stw_writer_text(&nc), response);
	return 0;
}
