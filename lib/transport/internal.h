/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the transport layer. */
#ifndef STW_TRANSPORT_INTERNAL_H
#define STW_TRANSPORT_INTERNAL_H

#include <strowger/transport.h>

/* Bytes of a stream that wait to be framed: [start, end) of `bytes`. No allocation while empty. */
struct flow_input {
	char *bytes;
	uint32_t start, end, capacity;
};

static inline size_t flow_input_len(const struct flow_input *input)
{
	return input->end - input->start;
}

/** @return 0; -ENOMEM, the input is as before */
int flow_input_append(struct flow_input *input, const char *data, size_t len);
/** Forget `len` bytes at the front; moves at most a quarter of what it has forgotten since the last
 * move. */
void flow_input_drop(struct flow_input *input, size_t len);
/** Is there a first byte of a message, or nothing but (part of) keep-alive CRLFs? */
bool flow_input_begun(const struct flow_input *input);
void flow_input_done(struct flow_input *input);

/* registry.c: shared by the workers */
unsigned registry_total(const struct stw_flow_registry *registry);
/** One flow more, or -ENOBUFS when there are `max`. */
int registry_take(struct stw_flow_registry *registry, unsigned max);
void registry_give(struct stw_flow_registry *registry);
/** Flows that this IP address has opened to us. */
unsigned registry_source(const struct stw_flow_registry *registry, const struct stw_addr *addr);
/** One more of this address. NULL: it has `max`, or there is no room to count it. */
_Atomic uint64_t *registry_hold(
	struct stw_flow_registry *registry, const struct stw_addr *addr, unsigned max);
/** Accepts NULL. */
void registry_release(_Atomic uint64_t *way);
enum registry_state {
	REGISTRY_GONE,
	REGISTRY_OPENING,
	REGISTRY_OPEN,
	REGISTRY_LEAVING, /* only what is answered still leaves on it */
};
/** By the worker that has the flow. */
void registry_set(
	struct stw_flow_registry *registry, struct stw_flow_id id, enum registry_state state);
void registry_unset(struct stw_flow_registry *registry, struct stw_flow_id id);
/** By any; of flows that are shared. */
enum registry_state registry_state(const struct stw_flow_registry *registry, struct stw_flow_id id);
/** By the hash of transport and remote address. */
void registry_put(struct stw_flow_registry *registry, uint64_t hash, struct stw_flow_id id);
void registry_remove(struct stw_flow_registry *registry, uint64_t hash, struct stw_flow_id id);
/** @return 0, -ENOENT */
int registry_find(const struct stw_flow_registry *registry, uint64_t hash, struct stw_flow_id *ret);

#endif
