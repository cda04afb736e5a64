/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/transport.h>

#include <errno.h>

/*
 * RFC 3263 §4.1 without NAPTR: the transport parameter; else UDP for sip, TLS over TCP for sips.
 * A sips URI makes TCP mean TLS and WS mean WSS (RFC 3261 §26.2.2, RFC 7118 §5.4); UDP cannot be
 * secured.
 */
static int uri_transport(const struct stw_uri *uri, struct stw_target *target)
{
	static const enum stw_transport secured[] = {
		[STW_TRANSPORT_NONE] = STW_TRANSPORT_NONE,
		[STW_TRANSPORT_UDP] = STW_TRANSPORT_NONE,
		[STW_TRANSPORT_TCP] = STW_TRANSPORT_TLS,
		[STW_TRANSPORT_TLS] = STW_TRANSPORT_TLS,
		[STW_TRANSPORT_WS] = STW_TRANSPORT_WSS,
		[STW_TRANSPORT_WSS] = STW_TRANSPORT_WSS,
	};
	bool is_sips = uri->scheme == STW_SCHEME_SIPS;
	enum stw_transport transport = is_sips ? STW_TRANSPORT_TLS : STW_TRANSPORT_UDP;
	struct stw_str value;

	if (stw_uri_param(uri, STW_STR("transport"), &value)) {
		if (value.len == 0)
			return -EBADMSG;
		target->transport_given = true;
		transport = stw_transport_from(value);
		if (is_sips)
			transport = secured[transport];
	}
	if (transport == STW_TRANSPORT_NONE)
		return -ENOTSUP;
	target->transport = transport;
	target->sips = is_sips;
	return 0;
}

int stw_target_host(
	const struct stw_uri *uri, struct stw_str *ret_host, enum stw_host_kind *ret_kind)
{
	struct stw_str maddr;

	if (stw_uri_param(uri, STW_STR("maddr"), &maddr))
		return stw_host_parse(maddr, ret_host, ret_kind);
	*ret_host = uri->host;
	*ret_kind = uri->host_kind;
	return 0;
}

int stw_target_from_uri(const struct stw_uri *uri, struct stw_target *ret)
{
	struct stw_target target = { 0 };
	int err;

	if (uri->scheme != STW_SCHEME_SIP && uri->scheme != STW_SCHEME_SIPS)
		return -ENOTSUP;
	err = uri_transport(uri, &target);
	if (err < 0)
		return err;
	err = stw_target_host(uri, &target.host, &target.host_kind);
	if (err < 0)
		return err;

	target.port_given = uri->port;
	target.port = uri->port ? uri->port : stw_transport_default_port(target.transport);
	target.need_resolve = target.host_kind == STW_HOST_NAME;
	if (!target.need_resolve) {
		if (stw_addr_from_host(target.host, target.port, &target.addr) < 0 ||
			!stw_addr_is_unicast(&target.addr))
			return -EBADMSG;
	}
	*ret = target;
	return 0;
}
