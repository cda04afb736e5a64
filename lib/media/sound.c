/* SPDX-License-Identifier: Apache-2.0 */
/* Both directions of the sound of a call, packet by packet. */
#include "internal.h"

#include <errno.h>

#define REPORT_MS      5000 /* RFC 3550 §6.2, times 0.5 to 1.5 */
#define DIGIT_MS       100
#define DIGIT_PAUSE_MS 100
#define DIGIT_ENDS     3 /* RFC 4733 §2.5.1.4 */
#define DIGIT_VOLUME   10
#define TONE_DB        (-10)
#define SKIP_MS        1000
#define GAP_MAX        (STW_SOUND_HZ * 10) /* a longer one is no gap but a new beginning */
#define SAMPLES_MAX    480                 /* of a packet that we send: 60 ms */
#define NTP_EPOCH_S    INT64_C(2208988800)

static uint64_t report_wait(struct stw_sound *sound)
{
	return REPORT_MS / 2 + stw_random_below(&sound->random, REPORT_MS);
}

void stw_sound_init(struct stw_sound *sound, const struct stw_sound_options *options)
{
	memset(sound, 0, sizeof(*sound));
	sound->options = *options;
	stw_random_seed(&sound->random, options->seed);
	sound->sequence = (uint16_t)stw_random_below(&sound->random, 32768);
	sound->timestamp = (uint32_t)stw_random_next(&sound->random);
	stw_tone_init(&sound->tone, options->tone_hz, 0, TONE_DB);
}

/* RFC 3550 §5.1: the timestamp goes on while nothing is sent. */
static void pass_until(struct stw_sound *sound, uint64_t now_ms)
{
	if (now_ms <= sound->due_ms)
		return;
	sound->timestamp += (uint32_t)(now_ms - sound->due_ms) * (STW_SOUND_HZ / 1000);
	sound->due_ms = now_ms;
}

void stw_sound_start(
	struct stw_sound *sound, const struct stw_sound_stream *stream, struct stw_now now)
{
	bool sent = sound->running && sound->stream.send;

	sound->stream = *stream;
	if (!sound->running) {
		sound->report_ms = now.mono_ms + report_wait(sound);
		sound->due_ms = now.mono_ms;
	}
	if (!sent) {
		pass_until(sound, now.mono_ms);
		sound->next_ms = sound->due_ms;
		sound->marker = true; /* RFC 3551 §4.1: a talkspurt begins */
	}
	sound->running = true;
}

int stw_sound_dial(struct stw_sound *sound, const char *digits)
{
	size_t count = strlen(digits);

	for (size_t i = 0; i < count; i++)
		if (stw_event_of(digits[i]) < 0)
			return -EINVAL;
	if (count > STW_SOUND_DIGITS - sound->digit_count)
		return -ENOBUFS;
	for (size_t i = 0; i < count; i++)
		sound->digits[sound->digit_count++] =
			stw_event_digit((uint8_t)stw_event_of(digits[i]));
	return 0;
}

bool stw_sound_done(const struct stw_sound *sound)
{
	const struct stw_sound_options *options = &sound->options;

	return !options->echo && !sound->digit_count && options->tone_hz <= 0 &&
	       (!options->play || (!options->loop && sound->play_at >= options->play_count));
}

/* ---- what is sent ------------------------------------------------------------------------------
 */

static void play(struct stw_sound *sound, int16_t *samples, unsigned count)
{
	const struct stw_sound_options *options = &sound->options;

	for (unsigned i = 0; i < count; i++) {
		if (options->loop && sound->play_at >= options->play_count)
			sound->play_at = 0;
		samples[i] = sound->play_at < options->play_count
				     ? stw_wav_sample(options->play, sound->play_at++)
				     : 0;
	}
}

static void echo(struct stw_sound *sound, int16_t *samples, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		samples[i] = sound->echo_count ? sound->echo[sound->echo_from] : 0;
		if (!sound->echo_count)
			continue;
		sound->echo_from = (sound->echo_from + 1) % STW_SOUND_ECHO;
		sound->echo_count--;
	}
}

static void samples_make(struct stw_sound *sound, int16_t *samples, unsigned count)
{
	if (sound->options.echo)
		echo(sound, samples, count);
	else if (sound->options.play && sound->options.play_count)
		play(sound, samples, count);
	else if (sound->options.tone_hz > 0)
		stw_tone_fill(&sound->tone, samples, count);
	else
		memset(samples, 0, count * sizeof(*samples));
	if (sound->options.ops.mix)
		sound->options.ops.mix(sound->options.user, samples, count);
}

static void digit_next(struct stw_sound *sound)
{
	sound->digit_count--;
	memmove(sound->digits, sound->digits + 1, sound->digit_count);
	sound->digit_ms = 0;
	sound->ends = 0;
}

/* One packet of the first digit as an event; its timestamp stays that of its beginning (RFC 4733
 * §2.5.1). @return bytes of the payload; 0: the pause behind it, which is sound. */
static size_t event_make(struct stw_sound *sound, struct stw_rtp *rtp, uint8_t *payload)
{
	unsigned ptime = sound->stream.ptime_ms, length = sound->digit_ms + ptime;
	struct stw_event event = {
		.event = (uint8_t)stw_event_of(sound->digits[0]),
		.volume = DIGIT_VOLUME,
	};

	if (!sound->digit_ms) {
		sound->digit_timestamp = sound->timestamp;
		rtp->marker = true;
	}
	sound->digit_ms += ptime;
	if (length > DIGIT_MS + DIGIT_PAUSE_MS + ptime * DIGIT_ENDS) {
		digit_next(sound);
		return 0;
	}
	if (length > DIGIT_MS) {
		if (sound->ends == DIGIT_ENDS)
			return 0;
		sound->ends++;
		event.end = true;
		length = DIGIT_MS;
	}
	event.duration = (uint16_t)(length * (STW_SOUND_HZ / 1000));
	rtp->payload_type = (uint8_t)sound->stream.send_event_type;
	rtp->timestamp = sound->digit_timestamp;
	stw_event_write(&event, payload);
	return STW_EVENT_BYTES;
}

/* The first digit as two tones in the sound. */
static void digit_samples(struct stw_sound *sound, int16_t *samples, unsigned count)
{
	if (!sound->digit_ms)
		stw_tone_init_digit(&sound->tone, sound->digits[0], TONE_DB);
	sound->digit_ms += sound->stream.ptime_ms;
	if (sound->digit_ms <= DIGIT_MS)
		stw_tone_fill(&sound->tone, samples, count);
	else
		memset(samples, 0, count * sizeof(*samples));
	if (sound->digit_ms < DIGIT_MS + DIGIT_PAUSE_MS)
		return;
	digit_next(sound);
	stw_tone_init(&sound->tone, sound->options.tone_hz, 0, TONE_DB);
}

static size_t payload_make(struct stw_sound *sound, struct stw_rtp *rtp, uint8_t *payload)
{
	unsigned count = sound->stream.ptime_ms * (STW_SOUND_HZ / 1000u);
	bool events = sound->stream.send_event_type >= 0;
	int16_t samples[SAMPLES_MAX];
	size_t bytes = 0;

	if (sound->digit_count && events)
		bytes = event_make(sound, rtp, payload);
	if (bytes)
		return bytes;
	if (sound->digit_count && !events)
		digit_samples(sound, samples, count);
	else
		samples_make(sound, samples, count);
	for (unsigned i = 0; i < count; i++)
		payload[i] = stw_law_encode(sound->stream.law, samples[i]);
	return count;
}

size_t stw_sound_next(struct stw_sound *sound, struct stw_now now, void *buffer, size_t size)
{
	uint8_t payload[SAMPLES_MAX];
	struct stw_rtp rtp = { .payload = payload };
	unsigned ptime = sound->stream.ptime_ms;

	if (!sound->running || !sound->stream.send || !ptime || ptime * 8u > SAMPLES_MAX) {
		sound->next_ms = UINT64_MAX;
		return 0;
	}
	if (now.mono_ms < sound->next_ms)
		return 0;
	if (now.mono_ms - sound->next_ms > SKIP_MS) {
		pass_until(sound, now.mono_ms);
		sound->next_ms = now.mono_ms;
	}
	rtp.marker = sound->marker;
	rtp.payload_type = sound->stream.send_type;
	rtp.sequence = sound->sequence++;
	rtp.timestamp = sound->timestamp;
	rtp.ssrc = sound->options.ssrc;
	rtp.payload_bytes = payload_make(sound, &rtp, payload);
	sound->marker = false;
	sound->timestamp += ptime * 8u;
	sound->next_ms += ptime;
	sound->due_ms = sound->next_ms;
	sound->sent_packets++;
	sound->sent_octets += rtp.payload_bytes;
	return stw_rtp_write(&rtp, buffer, size);
}

/* ---- what is heard ------------------------------------------------------------------------------
 */

/* @return false: it is of none that was agreed on */
static bool law_of(const struct stw_sound_stream *stream, uint8_t type, enum stw_law *ret)
{
	for (unsigned i = 0; i < STW_LAWS; i++) {
		*ret = (enum stw_law)i;
		if (stream->receive_types[i] == type)
			return true;
	}
	return false;
}

static void hear(struct stw_sound *sound, const struct stw_rtp *rtp, enum stw_law law, bool anew)
{
	int16_t samples[STW_RTP_BYTES_MAX];
	unsigned count = rtp->payload_bytes < STW_RTP_BYTES_MAX ? (unsigned)rtp->payload_bytes
								: STW_RTP_BYTES_MAX;
	int32_t gap = (int32_t)(rtp->timestamp - sound->heard_timestamp);
	uint64_t at = sound->heard_at;

	for (unsigned i = 0; i < count; i++)
		samples[i] = stw_law_decode(law, rtp->payload[i]);
	if (!anew && gap > -GAP_MAX && gap < GAP_MAX && (gap >= 0 || at >= (uint64_t)-gap))
		at = at + (uint64_t)(int64_t)gap;
	if (at + count >= sound->heard_at || anew) {
		sound->heard_at = at + count;
		sound->heard_timestamp = rtp->timestamp + count;
	}
	sound->heard_packets++;
	if (sound->options.ops.heard)
		sound->options.ops.heard(sound->options.user, at, samples, count);
	for (unsigned i = 0; sound->options.echo && i < count; i++)
		if (sound->echo_count < STW_SOUND_ECHO)
			sound->echo[(sound->echo_from + sound->echo_count++) % STW_SOUND_ECHO] =
				samples[i];
}

/* An event is told once: its packets have one timestamp. */
static void hear_event(struct stw_sound *sound, const struct stw_rtp *rtp)
{
	struct stw_event event;

	if (stw_event_parse(rtp->payload, rtp->payload_bytes, &event) < 0 || event.event > 15 ||
		(sound->event_known && sound->event_timestamp == rtp->timestamp))
		return;
	sound->event_known = true;
	sound->event_timestamp = rtp->timestamp;
	if (sound->options.ops.digit)
		sound->options.ops.digit(sound->options.user, stw_event_digit(event.event));
}

static bool hear_report(struct stw_sound *sound, const void *bytes, size_t len, uint64_t arrived_us)
{
	struct stw_rtcp rtcp;

	if (stw_rtcp_parse(bytes, len, sound->options.ssrc, &rtcp) < 0) {
		sound->ignored++;
		return false;
	}
	sound->peer_reported = true;
	sound->peer_left |= rtcp.bye;
	if (rtcp.sender) {
		sound->peer_sr = (uint32_t)(rtcp.ntp >> 16);
		sound->peer_sr_ms = arrived_us / 1000;
	}
	if (rtcp.has_block)
		sound->peer = rtcp.block;
	return true;
}

bool stw_sound_receive(struct stw_sound *sound, const void *bytes, size_t len, uint64_t arrived_us)
{
	uint32_t arrival = (uint32_t)(arrived_us / 125);
	struct stw_rtp rtp;
	bool is_event, anew;
	enum stw_law law;

	if (stw_rtp_is_rtcp(bytes, len))
		return hear_report(sound, bytes, len, arrived_us);
	if (!sound->running || stw_rtp_parse(bytes, len, &rtp) < 0) {
		sound->ignored++;
		return false;
	}
	is_event = rtp.payload_type == sound->stream.receive_event_type;
	if (!is_event && !law_of(&sound->stream, rtp.payload_type, &law)) {
		sound->ignored++;
		return false;
	}
	if (is_event) {
		/* Its timestamp stands still: it says nothing of the jitter. */
		if (sound->source.begun)
			arrival = sound->source.transit + rtp.timestamp;
		stw_rtp_source_receive(&sound->source, &rtp, arrival);
		hear_event(sound, &rtp);
		return true;
	}
	anew = stw_rtp_source_receive(&sound->source, &rtp, arrival);
	hear(sound, &rtp, law, anew);
	return true;
}

/* ---- reports
 * -------------------------------------------------------------------------------------- */

size_t stw_sound_report(
	struct stw_sound *sound, struct stw_now now, bool bye, void *buffer, size_t size)
{
	struct stw_rtcp rtcp = {
		.ssrc = sound->options.ssrc,
		.sender = sound->sent_packets > 0,
		.ntp = (uint64_t)(now.wall_ms / 1000 + NTP_EPOCH_S) << 32 |
		       (uint64_t)(now.wall_ms % 1000) * UINT32_MAX / 1000,
		/* §6.4.1: of the same moment as `ntp` */
		.timestamp = sound->timestamp +
			     (uint32_t)(now.mono_ms - sound->due_ms) * (STW_SOUND_HZ / 1000),
		.packets = (uint32_t)sound->sent_packets,
		.octets = (uint32_t)sound->sent_octets,
		.cname = sound->options.cname,
		.has_block = sound->source.begun,
		.bye = bye,
	};

	if (!sound->running || (!bye && now.mono_ms < sound->report_ms))
		return 0;
	sound->report_ms = now.mono_ms + report_wait(sound);
	if (rtcp.has_block)
		stw_rtp_source_block(&sound->source, &rtcp.block);
	if (rtcp.has_block && sound->peer_sr_ms) {
		rtcp.block.last_sr = sound->peer_sr;
		rtcp.block.delay = (uint32_t)((now.mono_ms - sound->peer_sr_ms) * 65536 / 1000);
	}
	return stw_rtcp_write(&rtcp, buffer, size);
}
