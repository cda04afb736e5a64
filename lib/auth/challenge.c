/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

/* RFC 3261 §22.4 item 8: qop always stands in a challenge. */
static void challenge_write_one(struct stw_writer *writer, const struct stw_challenge *challenge,
	enum stw_digest_algorithm algorithm)
{
	stw_write_str(writer, stw_header_name(challenge->header));
	stw_write_text(writer, ": Digest realm=");
	auth_write_quoted(writer, challenge->realm);
	stw_write_text(writer, ", nonce=");
	auth_write_quoted(writer, challenge->nonce);
	stw_write_text(writer, ", opaque=\"\", algorithm=");
	stw_write_str(writer, stw_digest_name(algorithm));
	stw_write_text(writer, ", qop=\"auth,auth-int\"");
	if (challenge->stale)
		stw_write_text(writer, ", stale=true");
	stw_write_text(writer, "\r\n");
}

/* RFC 8760 §2.3: one header field per algorithm, the preferred on top. */
void stw_challenge_write(struct stw_writer *writer, const struct stw_challenge *challenge)
{
	for (unsigned i = 0; i < challenge->algorithm_count; i++)
		challenge_write_one(writer, challenge, challenge->algorithms[i]);
}

void stw_auth_info_write(struct stw_writer *writer, struct stw_nonces *nonces,
	const struct stw_credentials *credentials, uint64_t peer, uint64_t random,
	struct stw_now now)
{
	char buffer[STW_NONCE_TEXT_MAX], realm_text[256];
	struct stw_nonce_scope scope = { .peer = peer };
	struct nonce nonce;
	struct stw_str next;
	int len = auth_unescape(credentials->realm, realm_text, sizeof(realm_text));

	if (len < 0)
		return;
	scope.realm = (struct stw_str){ realm_text, (size_t)len };
	if (nonce_open(nonces, scope, credentials->nonce, &nonce) < 0)
		return;
	if (!nonce_is_aging(nonces, &nonce, now))
		return;
	next = stw_nonce_make(nonces, scope, random, now, buffer);
	if (!next.len)
		return;
	stw_write_str(writer, stw_header_name(STW_HDR_AUTHENTICATION_INFO));
	stw_write_text(writer, ": nextnonce=");
	auth_write_quoted(writer, next);
	stw_write_text(writer, "\r\n");
}
