/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * media: sound at 8000 samples a second in 16 bit: RTP and RTCP (RFC 3550) with G.711 (RFC 3551)
 * and telephone events (RFC 4733), WAV, tones and their detection. Pure: bytes and time go in,
 * bytes come out.
 */
#ifndef STROWGER_MEDIA_H
#define STROWGER_MEDIA_H

#include <strowger/base.h>

#define STW_SOUND_HZ 8000 /* samples a second, and units of RTP timestamps */

/* ---- RTP: RFC 3550 §5 --------------------------------------------------------------------------
 */

#define STW_RTP_BYTES_MAX 1500

/** A packet; `payload` borrows. */
struct stw_rtp {
	bool marker;
	uint8_t payload_type;
	uint16_t sequence;
	uint32_t timestamp, ssrc;
	const uint8_t *payload;
	size_t payload_bytes;
};

/** CSRCs, header extension and padding are skipped. @return 0; -EBADMSG */
int stw_rtp_parse(const void *bytes, size_t len, struct stw_rtp *ret);
/** @return bytes written; 0: they do not fit */
size_t stw_rtp_write(const struct stw_rtp *rtp, void *buffer, size_t size);
/** Is this datagram RTCP (RFC 5761 §4), not RTP? */
bool stw_rtp_is_rtcp(const void *bytes, size_t len);

/** What has come from one source: appendices A.1, A.3 and A.8 of RFC 3550. Zero at first. */
struct stw_rtp_source {
	bool begun;
	uint32_t ssrc;
	uint32_t first, highest; /* extended sequence numbers */
	uint64_t received;       /* packets, doubles too */
	uint64_t reordered;      /* came after a later one */
	uint32_t transit;        /* of the last one, in units of the timestamp */
	double jitter;           /* §6.4.1, in units of the timestamp */
	double jitter_max;
	uint64_t expected_prior, received_prior; /* at the last report */
};

/** Count a packet. A jump or another SSRC begins anew (its losses are forgotten).
 * @param arrival  in units of the timestamp, from any beginning
 * @return true: the source has begun anew */
bool stw_rtp_source_receive(
	struct stw_rtp_source *source, const struct stw_rtp *rtp, uint32_t arrival);
/** Packets that should have come since the beginning. */
uint64_t stw_rtp_source_expected(const struct stw_rtp_source *source);
/** Expected and not come; doubles hide losses, so never below zero. */
uint64_t stw_rtp_source_lost(const struct stw_rtp_source *source);

/* ---- RTCP: RFC 3550 §6 -------------------------------------------------------------------------
 */

/** A report block, §6.4.1. */
struct stw_rtcp_block {
	uint32_t ssrc;
	uint8_t fraction_lost; /* of 256, since the last report */
	int32_t lost;
	uint32_t highest, jitter;
	uint32_t last_sr, delay; /* middle of an NTP time; units of 1/65536 s */
};

/** A compound packet: SR or RR, SDES with CNAME, BYE. */
struct stw_rtcp {
	uint32_t ssrc;
	bool sender; /* SR */
	uint64_t ntp;
	uint32_t timestamp, packets, octets; /* of an SR */
	bool has_block;
	struct stw_rtcp_block block; /* the first, or the one about `about` */
	struct stw_str cname;        /* borrowed; empty: none */
	bool bye;
};

/** @param about  SSRC whose block is wanted; 0: the first one
 * @return 0; -EBADMSG not a compound packet of §6.1 or a length does not fit */
int stw_rtcp_parse(const void *bytes, size_t len, uint32_t about, struct stw_rtcp *ret);
/** @return bytes written; 0: they do not fit, or the CNAME is longer than 255 bytes */
size_t stw_rtcp_write(const struct stw_rtcp *rtcp, void *buffer, size_t size);
/** The block about a source; counts its interval. */
void stw_rtp_source_block(struct stw_rtp_source *source, struct stw_rtcp_block *ret);

/* ---- G.711: RFC 3551 §4.5.14 --------------------------------------------------------------------
 */

enum stw_law { STW_PCMU, STW_PCMA };
#define STW_LAWS 2

uint8_t stw_law_encode(enum stw_law law, int16_t sample);
int16_t stw_law_decode(enum stw_law law, uint8_t code);

/* ---- telephone events: RFC 4733 §2.3 ------------------------------------------------------------
 */

#define STW_EVENT_BYTES 4

struct stw_event {
	uint8_t event; /* 0-9, 10 "*", 11 "#", 12-15 "A" to "D" */
	bool end;
	uint8_t volume;    /* -dBm0, 0 to 63 */
	uint16_t duration; /* units of the timestamp */
};

/** @return 0; -EBADMSG */
int stw_event_parse(const void *bytes, size_t len, struct stw_event *ret);
void stw_event_write(const struct stw_event *event, uint8_t buffer[STW_EVENT_BYTES]);
/** "0" … "D" of an event below 16; else '?'. */
char stw_event_digit(uint8_t event);
/** @return event of a digit; -EINVAL */
int stw_event_of(char digit);

/* ---- WAV
 * ------------------------------------------------------------------------------------------ */

#define STW_WAV_HEADER_BYTES 44

/**
 * A WAV file of 8000 Hz, 16 bit, mono, PCM.
 * @param ret_samples  little endian, may be unaligned: read by stw_wav_sample()
 * @param ret_why      static, what is wrong: "it has 44100 samples a second, not 8000" is told as
 *                     "it has not 8000 samples a second"
 * @return 0; -EBADMSG
 */
int stw_wav_parse(const void *bytes, size_t len, const uint8_t **ret_samples, size_t *ret_count,
	const char **ret_why);
/** Header of a file with `count` samples behind it; a count that WAV cannot say becomes the most.
 */
void stw_wav_header(uint64_t count, uint8_t buffer[STW_WAV_HEADER_BYTES]);
static inline int16_t stw_wav_sample(const uint8_t *samples, size_t index)
{
	return (int16_t)(uint16_t)(samples[2 * index] | samples[2 * index + 1] << 8);
}

/* ---- tones and what is heard
 * --------------------------------------------------------------------- */

/** Two sines; embedded. */
struct stw_tone {
	double step[2], phase[2], amplitude[2]; /* radians a sample; of 32767 */
};

/** Level in dB below full scale: -10 is loud. A second frequency of 0: a single tone. */
void stw_tone_init(struct stw_tone *tone, double hz, double second_hz, double level_db);
/** The two frequencies of a DTMF digit (Q.23). @return 0; -EINVAL */
int stw_tone_init_digit(struct stw_tone *tone, char digit, double level_db);
void stw_tone_fill(struct stw_tone *tone, int16_t *samples, unsigned count);
/** Share of the power that a frequency has, 0 to 1 (Goertzel). Silence: 0. */
double stw_tone_share(const int16_t *samples, unsigned count, double hz);
/** Level (RMS) in dB below full scale; silence: -100. */
double stw_sound_level(const int16_t *samples, unsigned count);

/* ---- a small conference ------------------------------------------------------------------------
 */

#define STW_MIX_SAMPLES 2400 /* 300 ms: what a listener may be behind */
#define STW_MIX_WAIT    480  /* 60 ms: what waits before a listener begins, against jitter */

/** What one party says, for those who listen. Zero at first. */
struct stw_mix {
	uint64_t end; /* samples that it has said */
	int16_t samples[STW_MIX_SAMPLES];
};

/** Where a listener is in what a party says. Zero at first. */
struct stw_mix_ear {
	uint64_t at;
	bool begun, hears;
};

void stw_mix_put(struct stw_mix *mix, const int16_t *samples, unsigned count);
/** Add what the listener has not heard yet, without overflow. Silence when the party says nothing;
 * a listener that is too far behind skips. */
void stw_mix_add(
	const struct stw_mix *mix, struct stw_mix_ear *ear, int16_t *samples, unsigned count);

/* ---- sound of a call
 * -------------------------------------------------------------------------------- */

struct stw_sound_ops {
	/** Samples that were heard, `at` samples from the beginning; packets that were lost leave a
	 * gap, late ones come late. May be NULL. */
	void (*heard)(void *user, uint64_t at, const int16_t *samples, unsigned count);
	/** A digit has begun. May be NULL. */
	void (*digit)(void *user, char digit);
	/** These samples are about to be sent: add to them (stw_mix_add()). May be NULL. */
	void (*mix)(void *user, int16_t *samples, unsigned count);
};

/** What was agreed on, and where we are in it. */
struct stw_sound_stream {
	enum stw_law law;                            /* of what is sent */
	uint8_t send_type;                           /* payload type */
	int16_t receive_types[STW_LAWS];             /* of each law; -1: none */
	int16_t send_event_type, receive_event_type; /* -1: none, digits are sent as tones */
	uint16_t ptime_ms;
	bool send; /* held, or nowhere to send to: nothing is made */
};

/** Text and samples are borrowed. */
struct stw_sound_options {
	uint32_t ssrc;
	uint64_t seed;
	struct stw_str cname;
	const uint8_t *play; /* samples as in WAV; NULL: silence, or the tone */
	size_t play_count;
	bool loop;      /* play again and again */
	double tone_hz; /* 0: none */
	bool echo;      /* what is heard, in place of all others */
	struct stw_sound_ops ops;
	void *user;
};

#define STW_SOUND_ECHO   16000 /* samples that wait at most */
#define STW_SOUND_DIGITS 64

/** Embedded. Read the counters; change nothing. */
struct stw_sound {
	struct stw_sound_options options;
	struct stw_sound_stream stream;
	bool running;
	struct stw_random random;
	/* what is sent */
	uint16_t sequence;
	uint32_t timestamp;
	uint64_t due_ms; /* the time that `timestamp` stands for */
	bool marker;
	uint64_t next_ms; /* when stw_sound_next() has the next packet */
	size_t play_at;
	struct stw_tone tone;
	uint64_t sent_packets, sent_octets;
	/* digits */
	char digits[STW_SOUND_DIGITS];
	unsigned digit_count;
	unsigned digit_ms; /* of the first one; 0: not begun */
	unsigned ends;     /* packets with E sent */
	uint32_t digit_timestamp;
	/* what is heard */
	struct stw_rtp_source source;
	uint64_t heard_at, heard_packets;
	uint32_t heard_timestamp; /* that of heard_at */
	uint32_t event_timestamp; /* of the last digit heard */
	bool event_known;
	uint64_t ignored; /* datagrams that were no RTP or of another type */
	int16_t echo[STW_SOUND_ECHO];
	unsigned echo_from, echo_count;
	/* reports */
	uint64_t report_ms; /* when the next is due */
	uint64_t peer_sr_ms;
	uint32_t peer_sr;
	bool peer_reported, peer_left; /* an RTCP, a BYE has come */
	struct stw_rtcp_block peer;    /* what the peer said of us last */
};

void stw_sound_init(struct stw_sound *sound, const struct stw_sound_options *options);
/** Begin, or go on with what was agreed on anew. */
void stw_sound_start(
	struct stw_sound *sound, const struct stw_sound_stream *stream, struct stw_now now);
/** Digits to be sent one after the other, 100 ms and a pause of 100 ms each. @return 0; -EINVAL one
 * is none; -ENOBUFS more than STW_SOUND_DIGITS wait */
int stw_sound_dial(struct stw_sound *sound, const char *digits);
/** Sent all that was to be played and dialled? Never with an echo, a loop or a tone. */
bool stw_sound_done(const struct stw_sound *sound);
/** The next RTP packet if it is due: call it until it returns 0, and again at `next_ms`. After a
 * pause of more than a second the time between is skipped. @return bytes */
size_t stw_sound_next(struct stw_sound *sound, struct stw_now now, void *buffer, size_t size);
/** A datagram of the RTP port or the RTCP port. @param arrived_us monotonic. @return false: it is
 * ignored, as no RTCP, or no RTP of a type that was agreed on */
bool stw_sound_receive(struct stw_sound *sound, const void *bytes, size_t len, uint64_t arrived_us);
/** The next RTCP packet if it is due at `report_ms`, or at once with BYE. @return bytes, 0: none */
size_t stw_sound_report(
	struct stw_sound *sound, struct stw_now now, bool bye, void *buffer, size_t size);

#endif
