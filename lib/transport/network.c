/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/transport.h>

#include <errno.h>
#include <string.h>

int stw_network_parse(struct stw_str text, struct stw_network *ret)
{
	size_t slash = stw_str_find(text, '/', 0);
	struct stw_network network;
	uint64_t bits;

	if (stw_addr_from_host(stw_str_cut(text, 0, slash), 0, &network.addr) < 0)
		return -EBADMSG;
	bits = network.addr.family == 4 ? 32 : 128;
	if (slash < text.len &&
		stw_str_to_uint(stw_str_cut(text, slash + 1, text.len), bits, &bits) < 0)
		return -EBADMSG;
	network.bits = (uint8_t)bits;
	*ret = network;
	return 0;
}

bool stw_network_has(const struct stw_network *network, const struct stw_addr *addr)
{
	unsigned bytes = network->bits / 8, rest = network->bits % 8;

	if (network->addr.family != addr->family || memcmp(network->addr.ip, addr->ip, bytes) != 0)
		return false;
	return rest == 0 || (network->addr.ip[bytes] ^ addr->ip[bytes]) >> (8 - rest) == 0;
}

bool stw_networks_have(const struct stw_network *networks, unsigned n, const struct stw_addr *addr)
{
	for (unsigned i = 0; i < n; i++) {
		if (stw_network_has(&networks[i], addr))
			return true;
	}
	return false;
}
