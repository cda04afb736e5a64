/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/auth.h>

#include <errno.h>

#define CAUSE STW_CAUSE_DEFINE
#include <strowger/causes/auth.def>
#undef CAUSE

static const struct stw_cause *algorithm_cause(bool proxy)
{
	return proxy ? &stw_cause_algorithm_not_offered_proxy : &stw_cause_algorithm_not_offered;
}

/* RFC 3261 §22.2, §22.3: a user agent or registrar answers 401, a proxy 407. */
const struct stw_cause *stw_auth_cause(
	enum stw_auth_verdict verdict, const struct stw_auth_check *check, bool proxy)
{
	switch (verdict) {
	case STW_AUTH_OK:
		return NULL;
	case STW_AUTH_NONE:
		return proxy ? &stw_cause_credentials_missing_proxy
			     : &stw_cause_credentials_missing;
	case STW_AUTH_STALE:
		return proxy ? &stw_cause_nonce_stale_proxy : &stw_cause_nonce_stale;
	case STW_AUTH_MALFORMED:
		return proxy ? &stw_cause_credentials_malformed_proxy
			     : &stw_cause_credentials_malformed;
	case STW_AUTH_BAD:
		break;
	}
	if (check && check->credentials && !(check->offered & 1u << check->credentials->algorithm))
		return algorithm_cause(proxy);
	return proxy ? &stw_cause_credentials_wrong_proxy : &stw_cause_credentials_wrong;
}

const struct stw_cause *stw_credentials_cause(int err, bool proxy)
{
	if (err == -ENOENT)
		return stw_auth_cause(STW_AUTH_NONE, NULL, proxy);
	if (err == -ENOTSUP)
		return algorithm_cause(proxy);
	return stw_auth_cause(STW_AUTH_MALFORMED, NULL, proxy);
}
