/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side over several requests: which challenges are open, and how often each nonce was
 * used. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHALLENGE_BYTES_MAX 1024
#define CNONCE_BYTES        16

/* The answer to one realm. A proxy and a user agent server may have the same one: they are two. */
struct asked {
	enum stw_header header;   /* of the credentials */
	struct stw_str challenge; /* own memory */
	struct stw_str realm;     /* of `challenge`, still escaped */
	uint32_t nc;              /* of the last credentials */
};

struct stw_digest_client {
	struct stw_str user, password, realm; /* in `text` */
	struct asked asked[STW_DIGEST_REALMS];
	unsigned asked_count;
	char text[];
};

static struct stw_str text_put(char **at, struct stw_str text)
{
	struct stw_str copy = { *at, text.len };

	if (text.len)
		memcpy(*at, text.ptr, text.len);
	*at += text.len;
	return copy;
}

int stw_digest_client_new(struct stw_str user, struct stw_str password, struct stw_str realm,
	struct stw_digest_client **ret)
{
	struct stw_digest_client *client =
		calloc(1, sizeof(*client) + user.len + password.len + realm.len);
	char *at;

	if (!client)
		return -ENOMEM;
	at = client->text;
	client->user = text_put(&at, user);
	client->password = text_put(&at, password);
	client->realm = text_put(&at, realm);
	*ret = client;
	return 0;
}

bool stw_digest_client_is(const struct stw_digest_client *client, struct stw_str user,
	struct stw_str password, struct stw_str realm)
{
	return stw_str_equal(client->user, user) && stw_str_equal(client->password, password) &&
	       stw_str_equal(client->realm, realm);
}

static void asked_remove(struct stw_digest_client *client, unsigned i)
{
	free((char *)(uintptr_t)client->asked[i].challenge.ptr);
	client->asked_count--;
	memmove(&client->asked[i], &client->asked[i + 1],
		(client->asked_count - i) * sizeof(client->asked[0]));
}

struct stw_digest_client *stw_digest_client_free(struct stw_digest_client *client)
{
	if (!client)
		return NULL;
	while (client->asked_count)
		asked_remove(client, client->asked_count - 1);
	OPENSSL_cleanse(client->text, client->user.len + client->password.len + client->realm.len);
	free(client);
	return NULL;
}

/* ---- challenges -------------------------------------------------------------------------- */

static bool realm_is_ours(const struct stw_digest_client *client, struct stw_str realm)
{
	return !client->realm.len || auth_unescaped_equal(realm, client->realm);
}

static int asked_find(
	const struct stw_digest_client *client, enum stw_header header, struct stw_str realm)
{
	for (unsigned i = 0; i < client->asked_count; i++) {
		if (client->asked[i].header == header &&
			stw_str_equal(client->asked[i].realm, realm))
			return (int)i;
	}
	return -ENOENT;
}

/* The oldest makes room. */
static int asked_add(struct stw_digest_client *client, enum stw_header header,
	struct stw_str challenge, struct stw_str realm)
{
	int old = asked_find(client, header, realm);
	struct asked *asked;
	char *copy;

	if (challenge.len > CHALLENGE_BYTES_MAX)
		return -EBADMSG;
	copy = malloc(challenge.len + 1);
	if (!copy)
		return -ENOMEM;
	if (old >= 0)
		asked_remove(client, (unsigned)old);
	else if (client->asked_count == STW_DIGEST_REALMS)
		asked_remove(client, 0);
	memcpy(copy, challenge.ptr, challenge.len);
	asked = &client->asked[client->asked_count++];
	*asked = (struct asked){ .header = header,
		.challenge = { copy, challenge.len },
		.realm = { copy + (realm.ptr - challenge.ptr), realm.len } };
	return 0;
}

/* What is known after all challenges of a response. */
struct learning {
	struct stw_digest_client *client;
	int error;                                /* of the last that was no use */
	unsigned taken;                           /* how many were kept … */
	unsigned stale;                           /* … and of those were stale */
	struct stw_str realms[STW_DIGEST_REALMS]; /* answered, of this header field */
	unsigned realm_count;
};

static void learn_value(struct learning *learning, enum stw_header header, struct stw_str value)
{
	struct challenge_read challenge;
	int err = challenge_read(value, &challenge);

	if (!challenge.realm.ptr || !realm_is_ours(learning->client, challenge.realm)) {
		if (err == -EBADMSG)
			learning->error = err;
		return;
	}
	for (unsigned i = 0; i < learning->realm_count; i++) {
		if (stw_str_equal(learning->realms[i], challenge.realm))
			return;
	}
	if (learning->realm_count == STW_ARRAY_SIZE(learning->realms))
		return;
	if (err == 0)
		err = asked_add(learning->client, header, value, challenge.realm);
	if (err < 0) {
		learning->error = err;
		return;
	}
	learning->realms[learning->realm_count++] = challenge.realm;
	learning->taken++;
	learning->stale += stw_str_equal_nocase(challenge.stale, STW_STR("true"));
}

static void learn_fields(struct learning *learning, const struct stw_msg *response,
	enum stw_header from, enum stw_header header)
{
	const struct stw_field *field = stw_msg_find(response, from);

	learning->realm_count = 0;
	for (; field; field = stw_msg_find_next(response, field))
		learn_value(learning, header, stw_field_value(response, field));
}

int stw_digest_client_challenged(
	struct stw_digest_client *client, const struct stw_msg *response, bool *ret_stale)
{
	struct learning learning = { .client = client, .error = -ENOENT };

	learn_fields(&learning, response, STW_HDR_WWW_AUTHENTICATE, STW_HDR_AUTHORIZATION);
	learn_fields(&learning, response, STW_HDR_PROXY_AUTHENTICATE, STW_HDR_PROXY_AUTHORIZATION);
	if (!learning.taken)
		return learning.error;
	if (ret_stale)
		*ret_stale = learning.stale == learning.taken;
	return 0;
}

static void forget_fields(struct stw_digest_client *client, const struct stw_msg *response,
	enum stw_header from, enum stw_header header)
{
	const struct stw_field *field = stw_msg_find(response, from);
	struct challenge_read challenge;
	int at;

	for (; field; field = stw_msg_find_next(response, field)) {
		(void)challenge_read(stw_field_value(response, field), &challenge);
		at = challenge.realm.ptr ? asked_find(client, header, challenge.realm) : -ENOENT;
		if (at >= 0)
			asked_remove(client, (unsigned)at);
	}
}

void stw_digest_client_refused(struct stw_digest_client *client, const struct stw_msg *response)
{
	forget_fields(client, response, STW_HDR_WWW_AUTHENTICATE, STW_HDR_AUTHORIZATION);
	forget_fields(client, response, STW_HDR_PROXY_AUTHENTICATE, STW_HDR_PROXY_AUTHORIZATION);
}

bool stw_digest_client_ready(const struct stw_digest_client *client)
{
	return client->asked_count > 0;
}

/* ---- credentials ------------------------------------------------------------------------- */

static bool request_has(const struct stw_msg *request, enum stw_header header, struct stw_str realm)
{
	struct stw_credentials credentials;
	char buffer[256];
	int len = auth_unescape(realm, buffer, sizeof(buffer));

	return request && len >= 0 &&
	       stw_credentials_find(
		       request, header, (struct stw_str){ buffer, (size_t)len }, &credentials) == 0;
}

static bool fields_answered(const struct stw_msg *request, const struct stw_msg *response,
	enum stw_header from, enum stw_header header)
{
	const struct stw_field *field = stw_msg_find(response, from);
	struct challenge_read challenge;

	for (; field; field = stw_msg_find_next(response, field)) {
		(void)challenge_read(stw_field_value(response, field), &challenge);
		if (challenge.realm.ptr && !request_has(request, header, challenge.realm))
			return false;
	}
	return true;
}

bool stw_digest_was_answered(const struct stw_msg *request, const struct stw_msg *response)
{
	return fields_answered(
		       request, response, STW_HDR_WWW_AUTHENTICATE, STW_HDR_AUTHORIZATION) &&
	       fields_answered(
		       request, response, STW_HDR_PROXY_AUTHENTICATE, STW_HDR_PROXY_AUTHORIZATION);
}

int stw_digest_client_write(struct stw_digest_client *client, struct stw_writer *writer,
	const struct stw_digest_request *request)
{
	const struct stw_msg *msg = request->request;

	for (unsigned i = 0; i < client->asked_count; i++) {
		struct asked *asked = &client->asked[i];
		uint64_t random[2] = { stw_random_next(request->random),
			stw_random_next(request->random) };
		struct stw_digest_answer answer = { .header = asked->header,
			.challenge = asked->challenge,
			.user = client->user,
			.password = client->password,
			.method = request->method,
			.uri = request->uri };
		char cnonce[2 * CNONCE_BYTES];
		struct stw_writer hex;
		int err;

		/* §22.3: the client's own credentials for a realm are not ours to replace. */
		if (request_has(msg, asked->header, asked->realm))
			continue;
		stw_writer_init(&hex, cnonce, sizeof(cnonce));
		stw_write_hex(&hex, (const uint8_t *)random, sizeof(random));
		answer.cnonce = stw_writer_text(&hex);
		answer.nc = ++asked->nc;
		if (msg)
			answer.body = stw_msg_body(msg);
		err = stw_digest_answer_write(writer, &answer);
		if (err < 0)
			return err;
	}
	return 0;
}
