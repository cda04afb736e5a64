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

#endif
