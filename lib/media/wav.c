/* SPDX-License-Identifier: Apache-2.0 */
/* RIFF WAVE: "fmt " and "data" among other chunks, little endian. */
#include "internal.h"

#include <errno.h>

static uint32_t little32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static uint16_t little16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static void little_put(uint8_t *at, uint32_t number, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(number >> 8 * i);
}

static const char *format_fault(const uint8_t *at, size_t len)
{
	if (len < 16)
		return "its format chunk is too short";
	if (little16(at) != 1)
		return "it is not PCM";
	if (little16(at + 2) != 1)
		return "it is not mono";
	if (little32(at + 4) != STW_SOUND_HZ)
		return "it has not 8000 samples a second";
	if (little16(at + 14) != 16)
		return "it has not 16 bits a sample";
	return NULL;
}

int stw_wav_parse(const void *bytes, size_t len, const uint8_t **ret_samples, size_t *ret_count,
	const char **ret_why)
{
	const uint8_t *at = bytes;
	bool formatted = false;
	size_t from = 12, size;

	*ret_why = "it is not a WAV file";
	if (len < 12 || memcmp(at, "RIFF", 4) != 0 || memcmp(at + 8, "WAVE", 4) != 0)
		return -EBADMSG;
	while (len - from >= 8) {
		size = little32(at + from + 4);
		from += 8;
		/* A recording that was cut off has a size beyond the end. */
		if (size > len - from)
			size = len - from;
		if (memcmp(at + from - 8, "fmt ", 4) == 0) {
			*ret_why = format_fault(at + from, size);
			if (*ret_why)
				return -EBADMSG;
			formatted = true;
		} else if (memcmp(at + from - 8, "data", 4) == 0) {
			*ret_why = "its format chunk is missing";
			if (!formatted)
				return -EBADMSG;
			*ret_samples = at + from;
			*ret_count = size / 2;
			return 0;
		}
		from += size + (size & 1 && size < len - from);
	}
	*ret_why = "it holds no sound";
	return -EBADMSG;
}

void stw_wav_header(uint64_t count, uint8_t buffer[STW_WAV_HEADER_BYTES])
{
	uint32_t bytes =
		count > (UINT32_MAX - 64) / 2 ? (UINT32_MAX - 64) / 2 * 2 : (uint32_t)count * 2;

	memcpy(buffer, "RIFF....WAVEfmt ", 16);
	little_put(buffer + 4, bytes + STW_WAV_HEADER_BYTES - 8, 4);
	little_put(buffer + 16, 16, 4);
	little_put(buffer + 20, 1, 2);
	little_put(buffer + 22, 1, 2);
	little_put(buffer + 24, STW_SOUND_HZ, 4);
	little_put(buffer + 28, STW_SOUND_HZ * 2, 4);
	little_put(buffer + 32, 2, 2);
	little_put(buffer + 34, 16, 2);
	memcpy(buffer + 36, "data", 4);
	little_put(buffer + 40, bytes, 4);
}
