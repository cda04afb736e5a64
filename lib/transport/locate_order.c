/* SPDX-License-Identifier: Apache-2.0 */
/* The order of what the DNS offers: SRV records (RFC 2782), addresses (RFC 6724, RFC 8305). */
#include "locate.h"

#include <string.h>

/* ---- SRV records -------------------------------------------------------------------- */

/* By priority; those of weight 0 stand first in theirs, as the algorithm of RFC 2782 wants it. */
static bool srv_before(const struct stw_dns_record *a, const struct stw_dns_record *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return a->weight == 0 && b->weight != 0;
}

static unsigned srv_sort(
	const struct stw_dns_record *records, unsigned n, const struct stw_dns_record **ret)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n && count < STW_DNS_RECORDS_MAX; i++) {
		unsigned at = count;

		if (!records[i].target.len)
			continue;
		for (; at > 0 && srv_before(&records[i], ret[at - 1]); at--)
			ret[at] = ret[at - 1];
		ret[at] = &records[i];
		count++;
	}
	return count;
}

/* "Select a RR by weight": the first whose running sum reaches a number drawn from 0 to the sum. */
static unsigned srv_draw(
	const struct stw_dns_record *const *sorted, unsigned n, struct stw_random *random)
{
	uint32_t sum = 0, running = 0;
	uint64_t drawn;
	unsigned i = 0;

	for (unsigned j = 0; j < n; j++)
		sum += sorted[j]->weight;
	drawn = stw_random_below(random, (uint64_t)sum + 1);
	while (i + 1 < n && (running += sorted[i]->weight) < drawn)
		i++;
	return i;
}

unsigned locate_order_srv(const struct stw_dns_record *records, unsigned n,
	struct stw_random *random, struct locate_srv *ret, unsigned max)
{
	const struct stw_dns_record *sorted[STW_DNS_RECORDS_MAX];
	unsigned left = srv_sort(records, n, sorted), count = 0;

	while (left && count < max) {
		const struct stw_dns_record *record;
		unsigned same = 1, drawn;

		while (same < left && sorted[same]->priority == sorted[0]->priority)
			same++;
		drawn = srv_draw(sorted, same, random);
		record = sorted[drawn];
		ret[count++] = (struct locate_srv){ record->target, record->priority,
			record->weight, record->port };
		left--;
		memmove(&sorted[drawn], &sorted[drawn + 1], (left - drawn) * sizeof(sorted[0]));
	}
	return count;
}

/* ---- addresses --------------------------------------------------------------------------- */

struct policy {
	uint8_t prefix[16];
	unsigned bits, precedence, label;
};

/* The policy table of RFC 6724 §2.1; IPv4 is ::ffff:0:0/96 there. */
static const struct policy policies[] = {
	{ { [15] = 1 }, 128, 50, 0 },
	{ { 0x20, 0x01, 0, 0 }, 32, 5, 5 },
	{ { 0x20, 0x02 }, 16, 30, 2 },
	{ { 0x3f, 0xfe }, 16, 1, 12 },
	{ { 0xfe, 0xc0 }, 10, 1, 11 },
	{ { 0xfc }, 7, 3, 13 },
	{ { 0 }, 0, 40, 1 },
};
static const struct policy policy_ipv4 = { { 0 }, 0, 35, 4 };

static bool prefix_fits(const struct policy *policy, const uint8_t ip[16])
{
	unsigned bytes = policy->bits / 8, rest = policy->bits % 8;

	if (memcmp(policy->prefix, ip, bytes) != 0)
		return false;
	return !rest || ((policy->prefix[bytes] ^ ip[bytes]) >> (8 - rest)) == 0;
}

static const struct policy *addr_policy(const struct stw_addr *addr)
{
	const struct policy *policy = policies;

	if (addr->family == 4)
		return &policy_ipv4;
	while (!prefix_fits(policy, addr->ip))
		policy++;
	return policy;
}

/* RFC 6724 §3.1, §3.2: loopback and link-local count as link-local, IPv4 else as global. */
static unsigned addr_scope(const struct stw_addr *addr)
{
	if (stw_addr_is_loopback(addr))
		return 2;
	if (addr->family == 4)
		return addr->ip[0] == 169 && addr->ip[1] == 254 ? 2 : 14;
	if (addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80)
		return 2;
	return addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0xc0 ? 5 : 14;
}

/* What is known of one destination when it is compared. */
struct rank {
	bool same_scope, same_label; /* as the best of our addresses */
	unsigned precedence, scope;
};

static struct rank addr_rank(
	const struct stw_addr *addr, const struct stw_addr *sources, unsigned source_count)
{
	const struct policy *policy = addr_policy(addr);
	struct rank rank = { .precedence = policy->precedence, .scope = addr_scope(addr) };

	for (unsigned i = 0; i < source_count; i++) {
		bool same_scope, same_label;

		if (sources[i].family != addr->family)
			continue;
		same_scope = addr_scope(&sources[i]) == rank.scope;
		same_label = addr_policy(&sources[i])->label == policy->label;
		/* Source selection prefers the scope (§5 rule 2) to the label (rule 6). */
		if (same_scope && !rank.same_scope)
			rank.same_label = false;
		if (same_scope || !rank.same_scope)
			rank.same_label |= same_label;
		rank.same_scope |= same_scope;
	}
	return rank;
}

/* §6 rules 2, 5, 6 and 8. Rule 9 would undo what the order of the answer does for the balance of
 * load. */
static bool rank_before(const struct rank *a, const struct rank *b)
{
	if (a->same_scope != b->same_scope)
		return a->same_scope;
	if (a->same_label != b->same_label)
		return a->same_label;
	if (a->precedence != b->precedence)
		return a->precedence > b->precedence;
	return a->scope < b->scope;
}

/* RFC 8305 §4, first family count 1: who cannot reach one family meets the other at once. */
static void families_by_turns(struct stw_addr *addrs, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct stw_addr found;
		unsigned j = i;

		while (j < n && addrs[j].family == addrs[i - 1].family)
			j++;
		if (j == n)
			return;
		found = addrs[j];
		memmove(&addrs[i + 1], &addrs[i], (j - i) * sizeof(*addrs));
		addrs[i] = found;
	}
}

void locate_order_addrs(
	struct stw_addr *addrs, unsigned n, const struct stw_addr *sources, unsigned source_count)
{
	for (unsigned i = 1; i < n; i++) {
		struct stw_addr addr = addrs[i];
		struct rank rank = addr_rank(&addr, sources, source_count);
		unsigned at = i;

		for (; at > 0; at--) {
			struct rank other = addr_rank(&addrs[at - 1], sources, source_count);

			if (!rank_before(&rank, &other))
				break;
			addrs[at] = addrs[at - 1];
		}
		addrs[at] = addr;
	}
	families_by_turns(addrs, n);
}
