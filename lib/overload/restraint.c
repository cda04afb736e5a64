/* SPDX-License-Identifier: Apache-2.0 */
/* The client side of RFC 7339 and RFC 7415: what a next hop has asked for, and how it is obeyed. */
#include <strowger/overload.h>

#include <errno.h>
#include <stdlib.h>

#define VALIDITY_DEFAULT_MS 500   /* RFC 7339 §4.3 */
#define VALIDITY_MAX_MS     60000 /* nobody silences us for longer by one message */
#define RATE_MAX            10000000
/* RFC 7415 §3.5.2: TAU2 = 10 T, TAU1 = TAU2 / 2. */
#define TAU1_INTERVALS 5
#define TAU2_INTERVALS 10
/* The mix of the two categories is what the last requests were, RFC 7339 §7.2. */
#define MIX_ONE      65536
#define MIX_START    (MIX_ONE / 5 * 4)
#define MIX_LEAST    (MIX_ONE / 100)
#define MIX_SHIFT    8
#define SEQ_FRACTION 100000
#define US_PER_S     1000000

struct next_hop {
	struct stw_addr addr; /* family 0: free */
	uint64_t until_ms;    /* its word holds until then */
	uint64_t seq;
	bool rate;
	uint32_t value;    /* percent to keep back, or requests a second */
	int32_t reducible; /* share of the last requests that may be kept back, of MIX_ONE */
	uint64_t bucket_us, at_us;
};

struct stw_restraint {
	unsigned count, workers;
	struct next_hop hops[];
};

int stw_restraint_new(unsigned hops, unsigned workers, struct stw_restraint **ret)
{
	struct stw_restraint *restraint =
		calloc(1, sizeof(*restraint) + hops * sizeof(restraint->hops[0]));

	if (!restraint)
		return -ENOMEM;
	restraint->count = hops;
	restraint->workers = workers;
	*ret = restraint;
	return 0;
}

struct stw_restraint *stw_restraint_free(struct stw_restraint *restraint)
{
	free(restraint);
	return NULL;
}

static struct next_hop *hop_find(struct stw_restraint *restraint, const struct stw_addr *addr)
{
	unsigned i;

	for (i = 0; i < restraint->count; i++) {
		if (stw_addr_equal(&restraint->hops[i].addr, addr))
			return &restraint->hops[i];
	}
	return NULL;
}

/* A free one, else the one whose word ends first: few servers are next hops at a time. */
static struct next_hop *hop_take(struct stw_restraint *restraint, const struct stw_addr *addr)
{
	struct next_hop *hop = &restraint->hops[0];
	unsigned i;

	for (i = 0; i < restraint->count && hop->addr.family; i++) {
		if (!restraint->hops[i].addr.family || restraint->hops[i].until_ms < hop->until_ms)
			hop = &restraint->hops[i];
	}
	*hop = (struct next_hop){ .addr = *addr, .reducible = MIX_START };
	return hop;
}

/* ---- what it asks -------------------------------------------------------------------- */

struct word {
	uint64_t value, validity_ms, seq;
	bool rate;
};

/* oc-seq = 1*12DIGIT "." 1*5DIGIT, as one number that grows with it. */
static int seq_parse(struct stw_str text, uint64_t *ret)
{
	size_t dot = stw_str_find(text, '.', 0);
	struct stw_str fraction = stw_str_cut(text, dot + 1, text.len);
	uint64_t whole, part = 0, scale = SEQ_FRACTION;

	if (stw_str_to_uint(stw_str_cut(text, 0, dot), UINT64_C(999999999999), &whole) < 0 ||
		(dot < text.len && stw_str_to_uint(fraction, SEQ_FRACTION - 1, &part) < 0))
		return -EBADMSG;
	for (size_t i = 0; i < fraction.len && i < 5; i++)
		scale /= 10;
	*ret = whole * SEQ_FRACTION + part * scale;
	return 0;
}

/* @return 0; -ENOENT: the server does not take part; -EBADMSG: what it says makes no sense */
static int word_parse(const struct stw_via *via, struct word *ret)
{
	struct word word = { .validity_ms = VALIDITY_DEFAULT_MS };
	struct stw_param param;
	size_t at = 0;
	int err = 0;

	if (!via->has_oc || !via->oc.ptr)
		return -ENOENT;
	if (stw_str_equal_nocase(via->oc_algo, STW_STR("rate")))
		word.rate = true;
	else if (via->oc_algo.ptr && !stw_str_equal_nocase(via->oc_algo, STW_STR("loss")))
		return -EBADMSG;
	if (stw_str_to_uint(via->oc, word.rate ? RATE_MAX : 100, &word.value) < 0)
		return -EBADMSG;
	while (err == 0 && stw_param_next(via->params, &at, &param) > 0) {
		if (stw_str_equal_nocase(param.name, STW_STR("oc-validity")))
			err = stw_str_to_uint(param.value, UINT32_MAX, &word.validity_ms);
		else if (stw_str_equal_nocase(param.name, STW_STR("oc-seq")))
			err = seq_parse(param.value, &word.seq);
	}
	if (word.validity_ms > VALIDITY_MAX_MS)
		word.validity_ms = VALIDITY_MAX_MS;
	*ret = word;
	return err < 0 ? -EBADMSG : 0;
}

void stw_restraint_response(struct stw_restraint *restraint, const struct stw_addr *remote,
	const struct stw_via *via, struct stw_now now)
{
	struct next_hop *hop;
	struct word word;

	if (word_parse(via, &word) < 0)
		return;
	hop = hop_find(restraint, remote);
	/* §5.4: what is older, or said again, changes nothing while the newer word holds. Behind
	 * its end any number is good: the server may have begun anew. */
	if (hop && word.seq && hop->until_ms > now.mono_ms && word.seq <= hop->seq)
		return;
	if (!word.validity_ms || (!word.rate && !word.value)) {
		if (hop)
			*hop = (struct next_hop){ 0 };
		return;
	}
	if (!hop)
		hop = hop_take(restraint, remote);
	if (!hop->rate && word.rate) {
		hop->bucket_us = 0;
		hop->at_us = now.mono_ms * 1000;
	}
	hop->rate = word.rate;
	hop->value = (uint32_t)word.value;
	hop->seq = word.seq;
	hop->until_ms = now.mono_ms + word.validity_ms;
}

/* ---- how it is obeyed ------------------------------------------------------------------ */

/* RFC 7339 §7.2: all that is asked for is taken from the requests that may be kept back. */
static bool loss_admit(struct next_hop *hop, bool reducible, struct stw_random *random)
{
	uint64_t permille;

	hop->reducible += ((reducible ? MIX_ONE : 0) - hop->reducible) / (1 << MIX_SHIFT);
	if (hop->reducible < MIX_LEAST)
		hop->reducible = MIX_LEAST;
	if (!reducible)
		return true;
	permille = (uint64_t)hop->value * 10 * MIX_ONE / (uint64_t)hop->reducible;
	return stw_random_below(random, 1000) >= permille;
}

/* RFC 7415 §3.5.2; what must not be kept back fills the bucket all the same. */
static bool rate_admit(struct next_hop *hop, unsigned workers, bool reducible, uint64_t now_us)
{
	uint64_t interval, gone = now_us - hop->at_us, left;

	if (!hop->value)
		return !reducible;
	interval = (uint64_t)US_PER_S * workers / hop->value;
	left = hop->bucket_us > gone ? hop->bucket_us - gone : 0;
	if (reducible && left > TAU1_INTERVALS * interval)
		return false;
	if (left <= TAU2_INTERVALS * interval)
		left += interval;
	hop->bucket_us = left;
	hop->at_us = now_us;
	return true;
}

bool stw_restraint_admit(struct stw_restraint *restraint, const struct stw_addr *remote,
	enum stw_overload_class class, struct stw_now now, struct stw_random *random)
{
	struct next_hop *hop = hop_find(restraint, remote);
	bool reducible = class != STW_OVERLOAD_NEVER;

	if (!hop || hop->until_ms <= now.mono_ms)
		return true;
	return hop->rate ? rate_admit(hop, restraint->workers, reducible, now.mono_ms * 1000)
			 : loss_admit(hop, reducible, random);
}

unsigned stw_restraint_count(const struct stw_restraint *restraint, struct stw_now now)
{
	unsigned i, n = 0;

	for (i = 0; i < restraint->count; i++)
		n += restraint->hops[i].addr.family && restraint->hops[i].until_ms > now.mono_ms;
	return n;
}
