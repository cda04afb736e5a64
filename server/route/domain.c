/* SPDX-License-Identifier: Apache-2.0 */
#include "server/route/route.h"

#include <errno.h>

struct stw_str stw_route_domain(const struct stw_core *core, const struct stw_uri *uri)
{
	const struct stw_config *config = core->config;
	struct stw_str domain;

	if (uri->scheme != STW_SCHEME_SIP && uri->scheme != STW_SCHEME_SIPS)
		return STW_STR_NONE;
	domain = stw_config_domain(config, uri->host);
	if (domain.len)
		return domain;
	if (config->domain_count &&
		stw_listeners_own(core->options.listeners, uri->host, uri->port))
		return config->domains[0];
	return STW_STR_NONE;
}

/* The same user under the domain's own name: "sip:bob@192.0.2.1:5060" is bob of the first domain.
 */
int stw_route_aor(struct stw_check *check, const struct stw_uri *uri, struct stw_str domain,
	struct stw_str *ret)
{
	struct stw_uri named = *uri;

	if (!uri->user.ptr)
		return -EBADMSG;
	named.host = domain;
	named.host_kind = STW_HOST_NAME;
	named.port = 0;
	return stw_aor_canonical(&named, &check->request->arena, ret);
}
