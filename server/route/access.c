/* SPDX-License-Identifier: Apache-2.0 */
/* Digest for the registrar (401) and the proxy (407): who is it, and may the credentials be used.
 */
#include "server/route/route.h"

#include <errno.h>
#include <string.h>

#include "server/try.h"

/* A nonce is for the address it was sent to: one datagram with the sender of somebody else, and
 * credentials over a nonce that was got elsewhere, would pass for a phone at his address
 * (target_of()). Who moves is challenged once more: docs/decisions/0027. */
static struct stw_nonce_scope access_scope(
	const struct stw_check *check, enum stw_header header, struct stw_str realm)
{
	const struct stw_config *config = check->config;
	const struct stw_addr *source = &check->request->source.remote;
	bool any = header == STW_HDR_PROXY_AUTHORIZATION &&
		   stw_networks_have(config->limits.exempt, config->limits.exempt_count, source);

	return (struct stw_nonce_scope){ .realm = realm,
		.peer = any ? 0 : stw_addr_network(source) };
}

static enum stw_verdict access_challenge(struct stw_check *check, enum stw_header header,
	struct stw_str realm, const struct stw_cause *cause, bool stale)
{
	const struct stw_config *config = check->config;
	char nonce[STW_NONCE_TEXT_MAX];
	struct stw_challenge challenge = {
		.header = header == STW_HDR_AUTHORIZATION ? STW_HDR_WWW_AUTHENTICATE
							  : STW_HDR_PROXY_AUTHENTICATE,
		.realm = realm,
		.algorithms = config->auth.algorithms,
		.algorithm_count = config->auth.algorithm_count,
		.stale = stale,
	};
	size_t capacity = 1024 + 4 * realm.len;
	char *buffer = stw_arena_bytes(&check->request->arena, capacity);
	struct stw_writer writer;

	if (!buffer)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	challenge.nonce = stw_nonce_make(check->core->nonces, access_scope(check, header, realm),
		stw_random_next(stw_request_random(check->request)), check->core->now, nonce);
	stw_writer_init(&writer, buffer, capacity);
	stw_challenge_write(&writer, &challenge);
	check->refusal.headers = stw_writer_text(&writer);
	check->refusal.option = "auth.required";
	stw_refusal_fact(&check->refusal, "realm", realm);
	return stw_route_refuse(check, cause);
}

/* "alice", or "alice@example.com": the user's row and the HA1 that belongs to the form used. */
static const struct stw_user *access_user(
	struct stw_check *check, struct stw_str realm, const struct stw_ha1 **ret)
{
	struct stw_str name = check->credentials.username;
	size_t at = stw_str_find(name, '@', 0);
	bool full =
		at < name.len && stw_str_equal_nocase(stw_str_cut(name, at + 1, name.len), realm);
	struct stw_uri uri = { .scheme = STW_SCHEME_SIP,
		.user = full ? stw_str_cut(name, 0, at) : name,
		.host = realm,
		.host_kind = STW_HOST_NAME };
	const struct stw_user *user;
	struct stw_str aor;

	*ret = NULL;
	if (!uri.user.len || stw_aor_canonical(&uri, &check->request->arena, &aor) < 0)
		return NULL;
	user = stw_directory_find(check->core->options.directory, aor);
	if (user)
		*ret = full ? &user->ha1_user_domain : &user->ha1_user;
	return user;
}

static unsigned access_offered(const struct stw_config *config)
{
	unsigned i, set = 0;

	for (i = 0; i < config->auth.algorithm_count; i++)
		set |= 1u << config->auth.algorithms[i];
	return set;
}

/* §22.4 item 6 leaves unequal URIs to the server: some clients name its address where the
 * Request-URI has the domain, or name the server alone. Whoever has seen credentials for a call to
 * one user must not be able to call another with them. */
static bool access_uri_ours(struct stw_check *check)
{
	const struct stw_uri *asked = &check->request->routing.uri;
	struct stw_str domain, claimed, meant;
	struct stw_uri uri;

	if (stw_uri_parse(check->credentials.uri, &uri) < 0)
		return false;
	domain = stw_route_domain(check->core, &uri);
	if (!domain.len || !uri.user.ptr)
		return domain.len;
	return check->domain.len && stw_route_aor(check, &uri, domain, &claimed) == 0 &&
	       stw_route_aor(check, asked, check->domain, &meant) == 0 &&
	       stw_str_equal(claimed, meant);
}

/* As most clients write it: nothing needs to be found out. */
static bool access_uri_verbatim(const struct stw_check *check)
{
	const struct stw_msg *msg = check->request->msg;

	return stw_str_equal(check->credentials.uri, stw_msg_text(msg, msg->uri_at, msg->uri_len));
}

void stw_route_proven(struct stw_core *core, const struct stw_request *request)
{
	if (core->options.sources)
		stw_sources_prove(core->options.sources, &request->source.remote, core->now);
}

enum stw_verdict stw_route_authenticate(
	struct stw_check *check, enum stw_header header, struct stw_str realm)
{
	const struct stw_trial *trial = check->core->options.trial;
	bool proxy = header == STW_HDR_PROXY_AUTHORIZATION;
	struct stw_auth_check verify = { .request = check->request->msg,
		.credentials = &check->credentials,
		.realm = realm,
		.peer = access_scope(check, header, realm).peer,
		.offered = access_offered(check->config),
		.nonce_ages = &check->nonce_ages };
	enum stw_auth_verdict verdict = STW_AUTH_BAD;
	const struct stw_user *user = NULL;
	int err;

	if (trial && trial->as.len) {
		check->authenticated = true;
		check->user_aor = trial->as;
		return STW_PASS;
	}
	err = stw_credentials_find(check->request->msg, header, realm, &check->credentials);
	if (err < 0)
		return access_challenge(
			check, header, realm, stw_credentials_cause(err, proxy), false);
	if (verify.offered & (1u << check->credentials.algorithm)) {
		verify.uri_ours = !access_uri_verbatim(check) && access_uri_ours(check);
		user = access_user(check, realm, &verify.ha1);
		stw_refusal_fact(&check->refusal, "user", check->credentials.username);
		verdict = stw_auth_check(check->core->nonces, &verify, check->core->now);
	}
	if (verdict != STW_AUTH_OK)
		return access_challenge(check, header, realm,
			stw_auth_cause(verdict, &verify, proxy), verdict == STW_AUTH_STALE);
	check->refusal = (struct stw_refusal){ 0 };
	if (user->settings && user->settings->state == STW_USER_CLOSED) {
		stw_refusal_fact(&check->refusal, "user", user->aor);
		return stw_route_refuse(check, &stw_cause_account_closed);
	}
	check->authenticated = true;
	check->user_aor = user->aor;
	stw_route_proven(check->core, check->request);
	/* The nonce count is spent: a copy of the request would now be a replay. The transaction
	 * absorbs it. */
	if (stw_request_wait(check->request) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return STW_PASS;
}

enum stw_verdict stw_route_caller_gone(struct stw_check *check)
{
	stw_refusal_fact(&check->refusal, "user", check->user_aor);
	return access_challenge(check, STW_HDR_PROXY_AUTHORIZATION,
		stw_route_domain(check->core, &check->request->msg->from.uri),
		&stw_cause_credentials_wrong_proxy, false);
}
