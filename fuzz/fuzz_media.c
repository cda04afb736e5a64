/* uses: stw_media */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as RTP, RTCP, telephone event and WAV, and as a datagram of a call. */
#include <strowger/media.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void heard(void *user, uint64_t at, const int16_t *samples, unsigned count)
{
	must(count <= STW_RTP_BYTES_MAX);
}

static void digit(void *user, char name)
{
	must(name != '?');
}

static void try_packets(const uint8_t *data, size_t size)
{
	static const uint8_t empty[1];
	struct stw_rtp rtp;
	struct stw_rtcp rtcp;
	uint8_t buffer[2048];
	size_t len;

	if (stw_rtp_parse(data, size, &rtp) == 0) {
		must(rtp.payload >= data && rtp.payload + rtp.payload_bytes <= data + size);
		len = stw_rtp_write(&rtp, buffer, sizeof(buffer));
		must(!len || len <= size);
	}
	if (stw_rtcp_parse(size ? data : empty, size, 0, &rtcp) == 0) {
		len = stw_rtcp_write(&rtcp, buffer, sizeof(buffer));
		must(len && stw_rtcp_parse(buffer, len, 0, &rtcp) == 0);
	}
}

static void try_wav(const uint8_t *data, size_t size)
{
	const uint8_t *samples;
	const char *why;
	size_t count;

	if (stw_wav_parse(data, size, &samples, &count, &why) == 0)
		must(samples >= data && samples + 2 * count <= data + size);
	else
		must(why != NULL);
}

/* Datagrams one after the other: a byte of length before each. */
static void try_call(const uint8_t *data, size_t size)
{
	static struct stw_sound sound;
	const struct stw_sound_options options = {
		.ssrc = 1, .echo = true, .ops = { .heard = heard, .digit = digit }
	};
	const struct stw_sound_stream stream = { .receive_types = { 0, 8 },
		.receive_event_type = 101,
		.send_event_type = -1,
		.ptime_ms = 20,
		.send = true };
	uint8_t buffer[STW_RTP_BYTES_MAX];
	struct stw_now now = { 1000, 1000 };
	size_t len;

	stw_sound_init(&sound, &options);
	stw_sound_start(&sound, &stream, now);
	while (size) {
		len = data[0] < size ? data[0] : size - 1;
		stw_sound_receive(&sound, data + 1, len, now.mono_ms * 1000);
		data += len + 1;
		size -= len + 1;
		now.mono_ms += 7;
		stw_sound_next(&sound, now, buffer, sizeof(buffer));
	}
	must(stw_sound_report(&sound, now, true, buffer, sizeof(buffer)) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_packets(data, size);
	try_wav(data, size);
	try_call(data, size);
	return 0;
}
