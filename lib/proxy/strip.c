/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

static bool param_is_stripped(const struct stw_param *param, unsigned set, bool sips)
{
	if (stw_str_equal_nocase(param->name, STW_STR("maddr")))
		return set & PROXY_STRIP_MADDR;
	if (stw_str_equal_nocase(param->name, STW_STR("method")))
		return set & PROXY_STRIP_METHOD;
	if (stw_str_equal_nocase(param->name, STW_STR("transport")))
		return (set & PROXY_STRIP_TRANSPORT) &&
		       !stw_str_equal_nocase(param->value, sips ? STW_STR("tls") : STW_STR("udp"));
	return false;
}

void proxy_write_stripped(struct stw_writer *writer, const struct stw_uri *uri, unsigned set)
{
	const char *params = uri->params.len    ? uri->params.ptr
			     : uri->headers.len ? uri->headers.ptr - 1
						: uri->text.ptr + uri->text.len;
	const char *host_end = uri->host.ptr + uri->host.len + (uri->host_kind == STW_HOST_IPV6);
	bool sips = uri->scheme == STW_SCHEME_SIPS;
	bool no_port = (set & PROXY_STRIP_PORT) && uri->port != (sips ? 5061 : 5060);
	const char *end = no_port ? host_end : params;
	struct stw_param param;
	size_t at = 0;

	stw_write_str(writer, (struct stw_str){ uri->text.ptr, (size_t)(end - uri->text.ptr) });
	while (stw_param_next(uri->params, &at, &param) > 0) {
		if (param_is_stripped(&param, set, sips))
			continue;
		stw_write_char(writer, ';');
		stw_write_str(writer, param.name);
		if (!param.value.ptr)
			continue;
		stw_write_char(writer, '=');
		stw_write_str(writer, param.value);
	}
	if (uri->headers.len && !(set & PROXY_STRIP_HEADERS)) {
		stw_write_char(writer, '?');
		stw_write_str(writer, uri->headers);
	}
}
