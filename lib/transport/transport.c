/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/transport.h>

/* RFC 3261 §18, §19.1.2 (default ports), RFC 7118 §5 (WebSocket). */
static const struct transport_fact {
	struct stw_str name;
	uint16_t default_port;
	bool reliable;
} facts[] = {
	[STW_TRANSPORT_NONE] = { { "", 0 }, 5060, false },
	[STW_TRANSPORT_UDP] = { { "UDP", 3 }, 5060, false },
	[STW_TRANSPORT_TCP] = { { "TCP", 3 }, 5060, true },
	[STW_TRANSPORT_TLS] = { { "TLS", 3 }, 5061, true },
	[STW_TRANSPORT_WS] = { { "WS", 2 }, 80, true },
	[STW_TRANSPORT_WSS] = { { "WSS", 3 }, 443, true },
};

enum stw_transport stw_transport_from(struct stw_str name)
{
	for (unsigned i = STW_TRANSPORT_UDP; i < STW_ARRAY_SIZE(facts); i++) {
		if (stw_str_equal_nocase(name, facts[i].name))
			return (enum stw_transport)i;
	}
	return STW_TRANSPORT_NONE;
}

struct stw_str stw_transport_name(enum stw_transport transport)
{
	return facts[transport].name;
}

bool stw_transport_reliable(enum stw_transport transport)
{
	return facts[transport].reliable;
}

uint16_t stw_transport_default_port(enum stw_transport transport)
{
	return facts[transport].default_port;
}
