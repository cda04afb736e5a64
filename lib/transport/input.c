/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64u /* a keep-alive */
#define SHRINK_ABOVE 4096u

/* Move what is there to a buffer of another size. */
static int input_resize(struct flow_input *input, size_t capacity)
{
	size_t len = flow_input_len(input);
	char *bytes = malloc(capacity);

	if (!bytes)
		return -ENOMEM;
	if (len > 0)
		memcpy(bytes, input->bytes + input->start, len);
	free(input->bytes);
	*input = (struct flow_input){ bytes, 0, (uint32_t)len, (uint32_t)capacity };
	return 0;
}

static int input_make_room(struct flow_input *input, size_t len)
{
	size_t live = flow_input_len(input), capacity = CAPACITY_MIN;

	if (input->capacity - input->end >= len)
		return 0;
	/* More than half is used up: the move costs less than what was read since the last one. */
	if (input->start > live && input->capacity - live >= len) {
		memmove(input->bytes, input->bytes + input->start, live);
		input->start = 0;
		input->end = (uint32_t)live;
		return 0;
	}
	if (len > UINT32_MAX / 4 - live)
		return -ENOMEM;
	while (capacity < live + len)
		capacity *= 2;
	return input_resize(input, capacity);
}

int flow_input_append(struct flow_input *input, const char *data, size_t len)
{
	if (len == 0)
		return 0;
	if (input_make_room(input, len) < 0)
		return -ENOMEM;
	memcpy(input->bytes + input->end, data, len);
	input->end += (uint32_t)len;
	return 0;
}

void flow_input_drop(struct flow_input *input, size_t len)
{
	assert(len <= flow_input_len(input));
	input->start += (uint32_t)len;
	if (input->start == input->end)
		flow_input_done(input);
	else if (input->capacity > SHRINK_ABOVE && flow_input_len(input) < input->capacity / 8)
		/* A small rest must not hold a large buffer. Without memory it does. */
		(void)input_resize(input, input->capacity / 4);
}

/* What framing leaves unread is either the begin of a keep-alive or that of a message: a CR or LF
 * alone may not stand before one, RFC 3261 §7.5. */
bool flow_input_begun(const struct flow_input *input)
{
	size_t len = flow_input_len(input);

	return len > 3 || (len > 0 && memcmp(input->bytes + input->start, "\r\n\r", len) != 0);
}

void flow_input_done(struct flow_input *input)
{
	free(input->bytes);
	*input = (struct flow_input){ 0 };
}
