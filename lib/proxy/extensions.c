/* SPDX-License-Identifier: Apache-2.0 */
/* Extensions by their option tag (RFC 3261 §19.2), for proxy, registrar and server alike. */
#include <strowger/proxy.h>

static const struct extension {
	const char *tag;
	bool acts; /* only where Resource-Priority is acted upon */
} extensions[] = {
	{ "path", false },             /* RFC 3327 §5 */
	{ "pref", false },             /* RFC 3840 §12.1, RFC 3841 §5 */
	{ "resource-priority", true }, /* RFC 4412 §3.4 */
};

bool stw_proxy_supports(struct stw_str tag, bool priority)
{
	for (unsigned i = 0; i < STW_ARRAY_SIZE(extensions); i++) {
		if (stw_str_equal_nocase(tag, stw_str_from(extensions[i].tag)))
			return priority || !extensions[i].acts;
	}
	return false;
}

void stw_proxy_write_supported(struct stw_writer *writer, bool priority)
{
	const char *before = "Supported: ";

	for (unsigned i = 0; i < STW_ARRAY_SIZE(extensions); i++) {
		if (extensions[i].acts && !priority)
			continue;
		stw_write_text(writer, before);
		stw_write_text(writer, extensions[i].tag);
		before = ", ";
	}
	stw_write_text(writer, "\r\n");
}
