/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of bindings: one block without pointers, as it lies in memory and in the store.
 *
 *	aor
 *	for each binding:  fixed part | remote | local | flow | six texts
 *
 * Numbers are little-endian. An address is its port and 4 or 16 bytes, with the scope behind the
 * longer one; a flow stands only where the flags say so.
 */
#include <strowger/registrar.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXTS        6
#define FIXED_BYTES  (1 + 1 + 1 + 2 + 2 + 4 + 8 + 8 + 2 * TEXTS)
#define FLOW_BYTES   (2 + 4 + 4)
#define STORED_BYTES 8 /* before the packed part: its size, the count, the length of the AOR */
#define FLAG_FLOW    1

/* `bytes` is a constant wherever it matters. */
static inline void put_number(uint8_t **at, unsigned bytes, uint64_t number)
{
	number = htole64(number);
	memcpy(*at, &number, bytes);
	*at += bytes;
}

static inline uint64_t get_number(const uint8_t **at, unsigned bytes)
{
	uint64_t number = 0;

	memcpy(&number, *at, bytes);
	*at += bytes;
	return le64toh(number);
}

static size_t addr_bytes(unsigned family)
{
	return family == 6 ? 2 + 16 + 4 : family == 4 ? 2 + 4 : 0;
}

static void put_addr(uint8_t **at, const struct stw_addr *addr)
{
	unsigned bytes = addr->family == 6 ? 16 : 4;

	if (!addr->family)
		return;
	put_number(at, 2, addr->port);
	memcpy(*at, addr->ip, bytes);
	*at += bytes;
	if (addr->family == 6)
		put_number(at, 4, addr->scope);
}

static void get_addr(const uint8_t **at, unsigned family, struct stw_addr *ret)
{
	unsigned bytes = family == 6 ? 16 : 4;

	*ret = (struct stw_addr){ .family = (uint8_t)family };
	if (!family)
		return;
	ret->port = (uint16_t)get_number(at, 2);
	memcpy(ret->ip, *at, bytes);
	*at += bytes;
	if (family == 6)
		ret->scope = (uint32_t)get_number(at, 4);
}

/* What is kept of a text has room in 16 bits: a message is 64 KiB at most. */
static size_t text_bytes(struct stw_str text)
{
	return text.len < UINT16_MAX ? text.len : UINT16_MAX;
}

static size_t binding_bytes(const struct stw_binding *binding)
{
	const struct stw_hop *source = &binding->source;

	return FIXED_BYTES + addr_bytes(source->remote.family) + addr_bytes(source->local.family) +
	       (stw_flow_id_set(source->flow) ? FLOW_BYTES : 0) + text_bytes(binding->uri) +
	       text_bytes(binding->params) + text_bytes(binding->call_id) +
	       text_bytes(binding->path) + text_bytes(binding->user_agent) +
	       text_bytes(binding->instance);
}

static void put_binding(uint8_t **at, const struct stw_binding *binding)
{
	const struct stw_hop *source = &binding->source;
	const struct stw_str texts[TEXTS] = { binding->uri, binding->params, binding->call_id,
		binding->path, binding->user_agent, binding->instance };
	bool flow = stw_flow_id_set(source->flow);

	*(*at)++ = flow ? FLAG_FLOW : 0;
	*(*at)++ = (uint8_t)source->transport;
	*(*at)++ = (uint8_t)(source->remote.family | source->local.family << 4);
	put_number(at, 2, source->listener);
	put_number(at, 2, binding->q);
	put_number(at, 4, binding->cseq);
	put_number(at, 8, (uint64_t)binding->expires_ms);
	put_number(at, 8, (uint64_t)binding->updated_ms);
	for (unsigned i = 0; i < TEXTS; i++)
		put_number(at, 2, text_bytes(texts[i]));
	put_addr(at, &source->remote);
	put_addr(at, &source->local);
	if (flow) {
		put_number(at, 2, source->flow.worker);
		put_number(at, 4, source->flow.slot);
		put_number(at, 4, source->flow.generation);
	}
	for (unsigned i = 0; i < TEXTS; i++) {
		if (texts[i].len)
			memcpy(*at, texts[i].ptr, text_bytes(texts[i]));
		*at += text_bytes(texts[i]);
	}
}

static struct stw_bindings *block_new(size_t packed_bytes)
{
	struct stw_bindings *bindings = malloc(sizeof(*bindings) + packed_bytes);

	if (bindings) {
		bindings->group = 0;
		bindings->packed_bytes = (uint32_t)packed_bytes;
	}
	return bindings;
}

struct stw_bindings *stw_bindings_make(
	struct stw_str aor, uint64_t version, const struct stw_binding *v, unsigned n)
{
	size_t bytes = text_bytes(aor);
	struct stw_bindings *bindings;
	uint8_t *at;
	unsigned i;

	for (i = 0; i < n; i++)
		bytes += binding_bytes(&v[i]);
	bindings = block_new(bytes);
	if (!bindings)
		return NULL;
	bindings->version = version;
	bindings->n = (uint16_t)n;
	bindings->aor_len = (uint16_t)text_bytes(aor);
	at = bindings->packed;
	if (aor.len)
		memcpy(at, aor.ptr, bindings->aor_len);
	at += bindings->aor_len;
	for (i = 0; i < n; i++)
		put_binding(&at, &v[i]);
	return bindings;
}

struct stw_str stw_bindings_aor(const struct stw_bindings *bindings)
{
	return (struct stw_str){ (const char *)bindings->packed, bindings->aor_len };
}

bool stw_bindings_next(const struct stw_bindings *bindings, size_t *cursor, struct stw_binding *ret)
{
	struct stw_str *const texts[TEXTS] = { &ret->uri, &ret->params, &ret->call_id, &ret->path,
		&ret->user_agent, &ret->instance };
	const uint8_t *at = bindings->packed + (*cursor ? *cursor : bindings->aor_len);
	unsigned flags, families;

	if (at == bindings->packed + bindings->packed_bytes)
		return false;
	flags = *at++;
	ret->source.transport = (enum stw_transport) * at++;
	families = *at++;
	ret->source.listener = (uint16_t)get_number(&at, 2);
	ret->q = (uint16_t)get_number(&at, 2);
	ret->cseq = (uint32_t)get_number(&at, 4);
	ret->expires_ms = (int64_t)get_number(&at, 8);
	ret->updated_ms = (int64_t)get_number(&at, 8);
	for (unsigned i = 0; i < TEXTS; i++)
		texts[i]->len = get_number(&at, 2);
	get_addr(&at, families & 15, &ret->source.remote);
	get_addr(&at, families >> 4, &ret->source.local);
	ret->source.flow = (struct stw_flow_id){ 0 };
	if (flags & FLAG_FLOW) {
		ret->source.flow.worker = (uint16_t)get_number(&at, 2);
		ret->source.flow.slot = (uint32_t)get_number(&at, 4);
		ret->source.flow.generation = (uint32_t)get_number(&at, 4);
	}
	for (unsigned i = 0; i < TEXTS; i++) {
		texts[i]->ptr = (const char *)at;
		at += texts[i]->len;
	}
	*cursor = (size_t)(at - bindings->packed);
	return true;
}

size_t stw_bindings_bytes(const struct stw_bindings *bindings)
{
	return sizeof(*bindings) + bindings->packed_bytes;
}

struct stw_bindings *stw_bindings_copy(const struct stw_bindings *bindings)
{
	struct stw_bindings *copy = malloc(stw_bindings_bytes(bindings));

	return copy ? memcpy(copy, bindings, stw_bindings_bytes(bindings)) : NULL;
}

/* ---- as it is stored -------------------------------------------------------------------- */

size_t stw_bindings_stored_bytes(const struct stw_bindings *bindings)
{
	return STORED_BYTES + bindings->packed_bytes;
}

void stw_bindings_store(const struct stw_bindings *bindings, uint8_t *to)
{
	put_number(&to, 4, bindings->packed_bytes);
	put_number(&to, 2, bindings->n);
	put_number(&to, 2, bindings->aor_len);
	memcpy(to, bindings->packed, bindings->packed_bytes);
}

/* @return bytes of the binding at `from`; 0: it is not one. Says whether it names a flow. */
static size_t binding_check(const uint8_t *from, size_t len, bool *flows)
{
	const uint8_t *lengths = from + FIXED_BYTES - 2 * TEXTS;
	size_t bytes = FIXED_BYTES;
	unsigned remote, local;

	if (len < FIXED_BYTES || from[0] > FLAG_FLOW || from[1] > STW_TRANSPORT_WSS)
		return 0;
	if ((from[5] | from[6] << 8) > 1000) /* q in thousandths */
		return 0;
	remote = from[2] & 15;
	local = from[2] >> 4;
	if ((remote && !addr_bytes(remote)) || (local && !addr_bytes(local)))
		return 0;
	bytes += addr_bytes(remote) + addr_bytes(local) + (from[0] ? FLOW_BYTES : 0);
	for (unsigned i = 0; i < TEXTS; i++)
		bytes += get_number(&lengths, 2);
	*flows = *flows || from[0];
	return bytes <= len ? bytes : 0;
}

/* A connection of a process that has ended is no way to a phone. */
static struct stw_bindings *without_flows(struct stw_bindings *bindings)
{
	struct stw_binding *v = malloc(bindings->n * sizeof(*v));
	struct stw_bindings *made = NULL;
	size_t cursor = 0;
	unsigned n = 0;

	for (; v && n < bindings->n && stw_bindings_next(bindings, &cursor, &v[n]); n++)
		v[n].source.flow = (struct stw_flow_id){ 0 };
	if (v)
		made = stw_bindings_make(stw_bindings_aor(bindings), bindings->version, v, n);
	free(v);
	free(bindings);
	return made;
}

int stw_bindings_load(const uint8_t *from, size_t len, size_t *ret_used, struct stw_bindings **ret)
{
	const uint8_t *at = from, *end;
	struct stw_bindings *bindings;
	size_t packed, bytes;
	unsigned n, aor_len;
	bool flows = false;

	if (len < STORED_BYTES)
		return -EBADMSG;
	packed = get_number(&at, 4);
	n = (unsigned)get_number(&at, 2);
	aor_len = (unsigned)get_number(&at, 2);
	if (packed > len - STORED_BYTES || aor_len > packed)
		return -EBADMSG;
	end = at + packed;
	at += aor_len;
	for (unsigned i = 0; i < n; i++, at += bytes) {
		bytes = binding_check(at, (size_t)(end - at), &flows);
		if (!bytes)
			return -EBADMSG;
	}
	if (at != end)
		return -EBADMSG;
	bindings = block_new(packed);
	if (!bindings)
		return -ENOMEM;
	bindings->version = 1;
	bindings->n = (uint16_t)n;
	bindings->aor_len = (uint16_t)aor_len;
	memcpy(bindings->packed, from + STORED_BYTES, packed);
	if (flows)
		bindings = without_flows(bindings);
	if (!bindings)
		return -ENOMEM;
	*ret_used = STORED_BYTES + packed;
	*ret = bindings;
	return 0;
}
