/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include <strowger/media.h>

#include "support.h"

#define PLACES 32000

/* What one party hears. */
struct ear {
	int16_t samples[PLACES];
	uint64_t count;
	char digits[STW_SOUND_DIGITS + 1];
	unsigned digit_count;
};

static void heard(void *user, uint64_t at, const int16_t *samples, unsigned count)
{
	struct ear *ear = user;

	for (unsigned i = 0; i < count && at + i < PLACES; i++)
		ear->samples[at + i] = samples[i];
	if (at + count > ear->count)
		ear->count = at + count;
}

static void digit(void *user, char name)
{
	struct ear *ear = user;

	ear->digits[ear->digit_count++] = name;
}

static struct ear ears[2];
static struct stw_sound parties[2];
static struct stw_sound_options options[2];
static struct stw_sound_stream stream;
static const struct stw_now begin = { 1000, INT64_C(1700000000000) };
static unsigned sent[2], dropped;

static int setup(void **state)
{
	memset(ears, 0, sizeof(ears));
	memset(options, 0, sizeof(options));
	for (unsigned i = 0; i < 2; i++) {
		options[i].ssrc = 100 + i;
		options[i].seed = i;
		options[i].cname = STW_STR("x");
		options[i].ops = (struct stw_sound_ops){ .heard = heard, .digit = digit };
		options[i].user = &ears[i];
	}
	stream = (struct stw_sound_stream){ .law = STW_PCMU,
		.receive_types = { 0, -1 },
		.send_event_type = 101,
		.receive_event_type = 101,
		.ptime_ms = 20,
		.send = true };
	sent[0] = sent[1] = dropped = 0;
	return 0;
}

static void start(void)
{
	for (unsigned i = 0; i < 2; i++) {
		stw_sound_init(&parties[i], &options[i]);
		stw_sound_start(&parties[i], &stream, begin);
	}
}

/* For so long, each packet takes no time; every nth of the first party's is lost. */
static void run(unsigned from_ms, unsigned to_ms, unsigned lose)
{
	uint8_t buffer[STW_RTP_BYTES_MAX];
	struct stw_now now = begin;
	size_t len;

	for (unsigned ms = from_ms; ms < to_ms; ms++) {
		now.mono_ms = begin.mono_ms + ms;
		now.wall_ms = begin.wall_ms + ms;
		for (unsigned i = 0; i < 2; i++) {
			while ((len = stw_sound_next(&parties[i], now, buffer, sizeof(buffer)))) {
				if (lose && i == 0 && ++sent[0] % lose == 0) {
					dropped++;
					continue;
				}
				stw_sound_receive(&parties[!i], buffer, len, now.mono_ms * 1000);
			}
			len = stw_sound_report(&parties[i], now, false, buffer, sizeof(buffer));
			if (len)
				stw_sound_receive(&parties[!i], buffer, len, now.mono_ms * 1000);
		}
	}
}

static void test_tone(void **state)
{
	options[0].tone_hz = 1000;
	start();
	run(0, 1000, 0);
	assert_int_equal(parties[0].sent_packets, 50);
	assert_int_equal(ears[1].count, 8000);
	assert_true(stw_tone_share(ears[1].samples, 8000, 1000) > 0.98);
	assert_true(stw_sound_level(ears[0].samples, 8000) < -60);
	assert_int_equal(stw_rtp_source_lost(&parties[1].source), 0);
	assert_true(parties[1].source.jitter == 0);
}

/* PCMA, 30 ms; what is lost leaves its place empty. */
static void test_losses(void **state)
{
	options[0].tone_hz = 500;
	stream.law = STW_PCMA;
	stream.send_type = 8;
	stream.receive_types[STW_PCMU] = -1;
	stream.receive_types[STW_PCMA] = 8;
	stream.ptime_ms = 30;
	start();
	run(0, 3000, 10);
	assert_int_equal(dropped, 10);
	assert_int_equal(parties[0].sent_packets, 100);
	assert_in_range(ears[1].count, 23760 - 1, 24000);
	for (unsigned i = 0; i < 100; i++)
		assert_true((stw_tone_share(ears[1].samples + i * 240, 240, 500) > 0.9) ==
			    (i % 10 != 9));
	assert_in_range(stw_rtp_source_lost(&parties[1].source), 9, 10);
}

/* An answer with both: the law is that of each packet. */
static void test_both_laws(void **state)
{
	options[0].tone_hz = options[1].tone_hz = 1000;
	stream.receive_types[STW_PCMA] = 8;
	start();
	parties[0].stream.law = STW_PCMA;
	parties[0].stream.send_type = 8;
	run(0, 1000, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ears[i].count, 8000);
		assert_true(stw_tone_share(ears[i].samples, 8000, 1000) > 0.98);
		assert_int_equal(parties[i].ignored, 0);
	}
}

static void test_play(void **state)
{
	static uint8_t file[2 * 400];

	for (unsigned i = 0; i < 400; i++)
		file[2 * i + 1] = 16;
	options[0].play = file;
	options[0].play_count = 400;
	start();
	assert_false(stw_sound_done(&parties[0]));
	run(0, 100, 0);
	assert_true(stw_sound_done(&parties[0]));
	assert_int_equal(ears[1].count, 800);
	assert_in_range(ears[1].samples[399], 4000, 4200);
	assert_int_equal(ears[1].samples[400], 0);
	options[0].loop = true;
	setup(NULL);
	options[0].play = file;
	options[0].play_count = 400;
	options[0].loop = true;
	start();
	run(0, 100, 0);
	assert_false(stw_sound_done(&parties[0]));
	assert_in_range(ears[1].samples[799], 4000, 4200);
}

static void test_echo(void **state)
{
	options[0].tone_hz = 700;
	options[1].echo = true;
	start();
	run(0, 1000, 0);
	assert_true(stw_tone_share(ears[0].samples + 800, 6400, 700) > 0.98);
}

/* Digits as events: once each, in order, equal ones too, also when packets are lost. */
static void test_digits(void **state)
{
	start();
	assert_int_equal(stw_sound_dial(&parties[0], "1144x"), -EINVAL);
	assert_int_equal(stw_sound_dial(&parties[0], "1144*#d0"), 0);
	run(0, 3000, 7);
	assert_string_equal(ears[1].digits, "1144*#D0");
	assert_true(stw_sound_done(&parties[0]) && dropped > 10);
	assert_int_equal(parties[0].digit_count, 0);
}

/* RFC 4733 §2.5.1: the timestamp stands, the duration grows, the end is said three times. */
static void test_event_packets(void **state)
{
	unsigned events = 0, ends = 0, markers = 0, last = 0;
	uint8_t buffer[STW_RTP_BYTES_MAX];
	struct stw_now now = begin;
	struct stw_event event;
	struct stw_rtp rtp;
	size_t len;

	start();
	assert_int_equal(stw_sound_dial(&parties[0], "5"), 0);
	for (; now.mono_ms < begin.mono_ms + 1000; now.mono_ms++) {
		len = stw_sound_next(&parties[0], now, buffer, sizeof(buffer));
		if (!len)
			continue;
		assert_int_equal(stw_rtp_parse(buffer, len, &rtp), 0);
		if (rtp.payload_type != 101)
			continue;
		assert_int_equal(stw_event_parse(rtp.payload, rtp.payload_bytes, &event), 0);
		assert_int_equal(event.event, 5);
		assert_true(event.duration >= last && event.duration <= 800);
		last = event.duration;
		events++;
		ends += event.end;
		markers += rtp.marker;
	}
	assert_int_equal(events, 8);
	assert_int_equal(ends, 3);
	assert_int_equal(markers, 1);
	assert_int_equal(last, 800);
}

/* Without events they are tones. */
static void test_tones(void **state)
{
	stream.send_event_type = stream.receive_event_type = -1;
	start();
	assert_int_equal(stw_sound_dial(&parties[0], "9"), 0);
	run(0, 200, 0);
	assert_string_equal(ears[1].digits, "");
	assert_true(stw_tone_share(ears[1].samples, 800, 852) > 0.45);
	assert_true(stw_tone_share(ears[1].samples, 800, 1477) > 0.45);
	assert_true(stw_sound_level(ears[1].samples + 800, 800) < -60);
}

static void test_hold(void **state)
{
	uint8_t buffer[STW_RTP_BYTES_MAX];
	uint32_t timestamp;

	options[0].tone_hz = 700;
	start();
	run(0, 200, 0);
	stream.send = false;
	timestamp = parties[0].timestamp;
	stw_sound_start(&parties[0], &stream, begin);
	run(200, 5000, 0);
	assert_int_equal(parties[0].sent_packets, 10);
	stream.send = true;
	stw_sound_start(&parties[0], &stream, (struct stw_now){ begin.mono_ms + 5000, 0 });
	/* What has passed since then, though nothing was sent (RFC 3550 §5.1). */
	assert_int_equal((uint32_t)(parties[0].timestamp - timestamp), 4800 * 8);
	run(5000, 5100, 0);
	assert_int_equal(parties[0].sent_packets, 15);
	assert_int_equal((uint32_t)(parties[0].timestamp - timestamp), 4900 * 8);
	/* After a pause it does not catch up. */
	run(9000, 9100, 0);
	assert_int_equal(parties[0].sent_packets, 20);
	assert_int_equal(
		stw_sound_next(&parties[0], (struct stw_now){ begin.mono_ms, 0 }, buffer, 999), 0);
}

static void test_reports(void **state)
{
	uint8_t buffer[STW_RTP_BYTES_MAX];
	struct stw_now now = { begin.mono_ms + 20000, begin.wall_ms };
	size_t len;

	options[0].tone_hz = 700;
	start();
	run(0, 16000, 4);
	assert_true(parties[0].peer_reported && parties[1].peer_reported);
	assert_int_equal(parties[0].peer.ssrc, 100);
	assert_in_range(parties[0].peer.fraction_lost, 50, 70);
	assert_true(parties[0].peer.last_sr != 0);
	assert_int_equal(parties[1].peer.lost, 0);
	assert_false(parties[1].peer_left);
	len = stw_sound_report(&parties[0], now, true, buffer, sizeof(buffer));
	assert_true(len > 0);
	assert_true(stw_sound_receive(&parties[1], buffer, len, now.mono_ms * 1000));
	assert_true(parties[1].peer_left);
}

/* Who has sent it is not known by that. */
static void test_ignored(void **state)
{
	struct stw_rtp rtp = {
		.payload_type = 18, .payload = (const uint8_t *)"x", .payload_bytes = 1
	};
	uint8_t buffer[STW_RTP_BYTES_MAX];
	size_t len;

	start();
	assert_false(stw_sound_receive(&parties[1], "junk", 4, 0));
	len = stw_rtp_write(&rtp, buffer, sizeof(buffer));
	assert_false(stw_sound_receive(&parties[1], buffer, len, 0));
	assert_int_equal(parties[1].ignored, 2);
	rtp.payload_type = 0;
	len = stw_rtp_write(&rtp, buffer, sizeof(buffer));
	assert_true(stw_sound_receive(&parties[1], buffer, len, 0));
	assert_int_equal(parties[1].ignored, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_tone, setup),
		cmocka_unit_test_setup(test_losses, setup),
		cmocka_unit_test_setup(test_both_laws, setup),
		cmocka_unit_test_setup(test_play, setup),
		cmocka_unit_test_setup(test_echo, setup),
		cmocka_unit_test_setup(test_digits, setup),
		cmocka_unit_test_setup(test_event_packets, setup),
		cmocka_unit_test_setup(test_tones, setup),
		cmocka_unit_test_setup(test_hold, setup),
		cmocka_unit_test_setup(test_reports, setup),
		cmocka_unit_test_setup(test_ignored, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
