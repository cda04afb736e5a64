/* uses: stw_message */
/* SPDX-License-Identifier: Apache-2.0 */
/* However a stream is cut, its frames are the same. First byte: the cuts. The rest: the stream. */
#include <stdlib.h>
#include <string.h>
#include <strowger/message.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct stw_msg_limits limits = {
	.max_message = 600,
	.max_uri = 60,
	.max_body = 200,
	.max_headers = 20,
	.max_field = 200,
};

/* The next frame of `stream` when up to `step` bytes more come each time; step 0: all at once. */
static struct stw_frame frame_fed(const char *stream, size_t len, size_t step)
{
	struct stw_framing framing;
	struct stw_frame frame = { .kind = STW_FRAME_MORE };
	size_t come = 0;

	stw_framing_init(&framing);
	while (come < len && frame.kind == STW_FRAME_MORE) {
		char *exact;

		come = step && len - come > step ? come + step : len;
		exact = malloc(come);
		if (!exact)
			abort();
		memcpy(exact, stream, come);
		frame = stw_framing_next(&framing, exact, come, &limits);
		free(exact);
		if (frame.kind != STW_FRAME_MORE && (frame.bytes == 0 || frame.bytes > come))
			abort();
		if ((frame.kind == STW_FRAME_BROKEN) != (frame.cause != NULL))
			abort();
	}
	return frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *stream = (const char *)data + 1;
	struct stw_frame whole, cut;
	size_t left;

	if (size < 2 || size > 4096)
		return 0;
	left = size - 1;
	do {
		whole = frame_fed(stream, left, 0);
		cut = frame_fed(stream, left, (size_t)data[0] % 32 + 1);
		if (whole.kind != cut.kind || whole.cause != cut.cause)
			abort();
		if (whole.kind == STW_FRAME_MORE || whole.kind == STW_FRAME_BROKEN)
			return 0;
		if (whole.bytes != cut.bytes)
			abort();
		stream += whole.bytes;
		left -= whole.bytes;
	} while (left);
	return 0;
}
