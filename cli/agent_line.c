/* SPDX-License-Identifier: Apache-2.0 */
/* The sound of the sessions: ports, WAV files, statistics. */
#include "cli/agent.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define RECORD_SAMPLES_MAX (STW_SOUND_HZ * 3600ull * 4)
#define RECORD_EARLY_MS    2000 /* so much sound may come before its time */
#define PLAY_BYTES_MAX     (64 << 20)

struct agent_line *agent_line_find(struct agent *agent, const struct stw_session *session)
{
	for (unsigned i = 0; session && i < AGENT_LINES_MAX; i++)
		if (agent->lines[i].used && agent->lines[i].session == session)
			return &agent->lines[i];
	return NULL;
}

/* ---- recording ------------------------------------------------------------------------------ */

/* The first session writes FILE, the second FILE.2, and so on. */
static void record_open(struct agent_line *line)
{
	struct agent *agent = line->agent;
	uint8_t header[STW_WAV_HEADER_BYTES];
	char path[4096];

	if (!agent->options->record)
		return;
	if (++agent->recordings == 1)
		snprintf(path, sizeof(path), "%s", agent->options->record);
	else
		snprintf(path, sizeof(path), "%s.%u", agent->options->record, agent->recordings);
	line->record = fopen(path, "wb");
	if (!line->record) {
		agent->status = stw_cli_fail(agent->cli, "%s: %s", path, strerror(errno));
		return;
	}
	line->record_ms = agent->now.mono_ms;
	stw_wav_header(0, header);
	fwrite(header, 1, sizeof(header), line->record);
}

/* A peer may send more sound than there is time. */
static bool record_takes(const struct agent_line *line, uint64_t end)
{
	uint64_t passed_ms = line->agent->now.mono_ms - line->record_ms;

	return line->record && end <= RECORD_SAMPLES_MAX &&
	       end <= (passed_ms + RECORD_EARLY_MS) * (STW_SOUND_HZ / 1000);
}

static void record_close(struct agent_line *line)
{
	uint8_t header[STW_WAV_HEADER_BYTES];

	if (!line->record)
		return;
	stw_wav_header(line->recorded, header);
	if (fseek(line->record, 0, SEEK_SET) == 0)
		fwrite(header, 1, sizeof(header), line->record);
	if (fclose(line->record) != 0)
		line->agent->status = stw_cli_fail(
			line->agent->cli, "%s: %s", line->agent->options->record, strerror(errno));
	line->record = NULL;
}

static void line_heard(void *user, uint64_t at, const int16_t *samples, unsigned count)
{
	struct agent_line *line = user;
	uint8_t bytes[2 * STW_RTP_BYTES_MAX];

	stw_mix_put(&line->said, samples, count);
	if (!record_takes(line, at + count))
		return;
	for (unsigned i = 0; i < count; i++) {
		bytes[2 * i] = (uint8_t)samples[i];
		bytes[2 * i + 1] = (uint8_t)((uint16_t)samples[i] >> 8);
	}
	if (fseek(line->record, (long)(STW_WAV_HEADER_BYTES + 2 * at), SEEK_SET) == 0)
		fwrite(bytes, 2, count, line->record);
	if (at + count > line->recorded)
		line->recorded = at + count;
}

/* ---- a conversation of more than two
 * -------------------------------------------------------------- */

static void line_mix(void *user, int16_t *samples, unsigned count)
{
	struct agent_line *line = user;

	for (unsigned i = 0; line->conversation && i < AGENT_LINES_MAX; i++) {
		const struct agent_line *other = &line->agent->lines[i];

		if (other != line && other->used && other->conversation == line->conversation)
			stw_mix_add(&other->said, &line->ears[i], samples, count);
	}
}

void agent_line_join(struct agent_line *line, struct agent_line *other)
{
	if (!other->conversation)
		other->conversation = ++other->agent->conversations;
	line->conversation = other->conversation;
}

/* ---- a line and its sound
 * ------------------------------------------------------------------------ */

static void sound_init(struct agent_line *line)
{
	struct agent *agent = line->agent;
	const struct stw_sound_options options = {
		.ssrc = (uint32_t)stw_io_seed(),
		.seed = stw_io_seed(),
		.cname = stw_str_from(line->address),
		.play = agent->samples,
		.play_count = agent->sample_count,
		.loop = agent->options->loop,
		.tone_hz = agent->tone_hz,
		.echo = agent->options->echo,
		.ops = { .heard = line_heard, .digit = agent_digit, .mix = line_mix },
		.user = line,
	};

	stw_sound_init(&line->sound, &options);
}

/* What the codecs and options of the command make of a place where we receive. */
static struct stw_sdp_abilities abilities_at(const struct agent *agent, const struct stw_addr *addr,
	uint16_t rtp_port, char buffer[STW_ADDR_TEXT_MAX])
{
	struct stw_str text = stw_addr_text(addr, buffer);

	/* Without port and brackets. */
	text = stw_str_cut(text, text.ptr[0] == '[', text.len);
	text.len = addr->family == 4 ? stw_str_find(text, ':', 0) : stw_str_find(text, ']', 0);
	memmove(buffer, text.ptr, text.len);
	buffer[text.len] = '\0';
	return (struct stw_sdp_abilities){
		.codecs = agent->codecs,
		.codec_count = agent->codec_count,
		.address = { buffer, text.len },
		.rtp_port = rtp_port,
		.everywhere = agent->everywhere,
		.addresses_only = true,
		.qos = agent->qos,
	};
}

void agent_abilities(struct agent *agent)
{
	agent->abilities =
		abilities_at(agent, agent_media_addr(agent, 0), 0, agent->abilities_address);
	agent->ua_options.abilities = &agent->abilities;
}

/* Who calls us gets sound in the family that the call came in. */
static const struct stw_addr *line_addr(
	const struct agent *agent, const struct stw_session *session)
{
	const struct stw_addr *theirs = agent_media_addr(agent, agent->heard_from.family);

	return !stw_session_is_caller(session) && theirs->family ? theirs
								 : agent_media_addr(agent, 0);
}

const struct stw_sdp_abilities *agent_media(void *user, struct stw_session *session)
{
	struct agent *agent = user;
	struct stw_addr addr = *line_addr(agent, session);
	struct agent_line *line = agent_line_find(agent, session);
	int err;

	if (line)
		return &line->abilities;
	for (line = agent->lines; line->used; line++)
		if (line + 1 == agent->lines + AGENT_LINES_MAX)
			return NULL;
	memset(line, 0, sizeof(*line));
	for (unsigned i = 0; i < AGENT_LINES_MAX; i++)
		agent->lines[i].ears[line - agent->lines] = (struct stw_mix_ear){ 0 };
	addr.port = 0;
	err = stw_io_rtp_open(agent->io, &addr, &line->rtp);
	if (err < 0) {
		stw_cli_fail(agent->cli, "no port for sound: %s", strerror(-err));
		return NULL;
	}
	line->agent = agent;
	line->session = session;
	line->used = true;
	line->hangup_ms = UINT64_MAX;
	line->abilities = abilities_at(agent, &addr, stw_io_rtp_port(line->rtp), line->address);
	sound_init(line);
	return &line->abilities;
}

static enum stw_law law_of(const struct stw_sdp_stream_codec *codec)
{
	return stw_str_equal_nocase(codec->codec.name, STW_STR("PCMA")) ? STW_PCMA : STW_PCMU;
}

void agent_line_stream(struct agent_line *line, const struct stw_sdp_stream *stream)
{
	struct stw_sound_stream sound = {
		.law = law_of(&stream->codec),
		.send_type = stream->codec.send_type,
		.receive_types = { -1, -1 },
		.send_event_type = -1,
		.receive_event_type = -1,
		.ptime_ms = stream->ptime_ms,
		.send = stream->active && stream->may_send,
	};
	const struct stw_addr before = line->peer;

	for (unsigned i = 0; i < stream->other_count; i++)
		sound.receive_types[law_of(&stream->others[i])] = stream->others[i].receive_type;
	if (stream->active)
		sound.receive_types[sound.law] = stream->codec.receive_type;
	if (stream->events.codec.name.len) {
		sound.send_event_type = stream->events.send_type;
		sound.receive_event_type = stream->events.receive_type;
	}
	if (stream->active && stw_addr_from_host(stw_str_from(stream->address), stream->rtp_port,
				      &line->peer) < 0)
		sound.send = false;
	if (!stw_addr_equal(&before, &line->peer))
		line->heard = (struct stw_addr){ 0 };
	line->peer_rtcp_port = stream->rtcp_port;
	if (!line->sounding && stream->active)
		record_open(line);
	line->sounding |= stream->active;
	stw_sound_start(&line->sound, &sound, line->agent->now);
}

static void report_send(struct agent_line *line, bool bye)
{
	uint8_t buffer[STW_RTP_BYTES_MAX];
	struct stw_addr to = line->peer;
	size_t len;

	len = stw_sound_report(&line->sound, line->agent->now, bye, buffer, sizeof(buffer));
	to.port = line->peer_rtcp_port;
	if (len && to.port)
		stw_io_rtp_send(line->rtp, true, &to, buffer, len);
}

/*
 * Whose datagrams are taken (RFC 3550 §8.2: a known source that comes from elsewhere may be an
 * attack). First who the description names; until he is heard, who sends sound first: a peer behind
 * an address translator. What is no sound of this call changes nothing (line_take()).
 */
static bool line_hears(const struct agent_line *line, const struct stw_addr *from, bool rtcp)
{
	struct stw_addr at = line->heard.family ? line->heard : line->peer;

	if (rtcp) {
		at.port = from->port;
		return stw_addr_equal(from, &at) &&
		       (from->port == line->peer_rtcp_port || from->port == line->heard.port ||
			       from->port == line->heard.port + 1);
	}
	return !line->heard.family || stw_addr_equal(from, &line->peer) ||
	       stw_addr_equal(from, &line->heard);
}

static void line_take(struct agent_line *line, const struct stw_addr *from, const uint8_t *bytes,
	size_t len, uint64_t arrived_us)
{
	bool rtcp = stw_rtp_is_rtcp(bytes, len);

	if (line_hears(line, from, rtcp) &&
		stw_sound_receive(&line->sound, bytes, len, arrived_us) && !rtcp)
		line->heard = *from;
}

static void line_turn(struct agent_line *line)
{
	uint8_t buffer[STW_RTP_BYTES_MAX];
	struct stw_addr from;
	uint64_t arrived_us;
	size_t len;
	int got;

	for (unsigned i = 0; i < 64; i++) {
		got = stw_io_rtp_receive(line->rtp, buffer, sizeof(buffer), &from, &arrived_us);
		if (got < 0)
			break;
		line_take(line, &from, buffer, (size_t)got, arrived_us);
	}
	while ((len = stw_sound_next(&line->sound, line->agent->now, buffer, sizeof(buffer))))
		stw_io_rtp_send(line->rtp, false, &line->peer, buffer, len);
	if (line->sounding)
		report_send(line, false);
}

void agent_lines_turn(struct agent *agent)
{
	for (unsigned i = 0; i < AGENT_LINES_MAX; i++)
		if (agent->lines[i].used)
			line_turn(&agent->lines[i]);
}

uint64_t agent_lines_next(const struct agent *agent)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < AGENT_LINES_MAX; i++) {
		const struct agent_line *line = &agent->lines[i];

		if (!line->used)
			continue;
		if (line->sounding && line->sound.next_ms < next)
			next = line->sound.next_ms;
		if (line->sounding && line->sound.report_ms < next)
			next = line->sound.report_ms;
		if (line->hangup_ms < next && !line->hung_up)
			next = line->hangup_ms;
	}
	return next;
}

void agent_line_free(struct agent_line *line)
{
	if (!line || !line->used)
		return;
	if (line->sounding)
		report_send(line, true);
	record_close(line);
	stw_io_rtp_close(line->rtp);
	line->used = false;
}

json_t *agent_line_json(const struct agent_line *line)
{
	const struct stw_rtp_source *source = &line->sound.source;
	json_t *json;

	if (!line->sounding)
		return NULL;
	json = json_pack("{s:I, s:I, s:I, s:I, s:f, s:f}", "sent_packets",
		(json_int_t)line->sound.sent_packets, "received_packets",
		(json_int_t)source->received, "lost_packets",
		(json_int_t)stw_rtp_source_lost(source), "reordered_packets",
		(json_int_t)source->reordered, "jitter_ms", round(source->jitter / 8 * 1000) / 1000,
		"jitter_max_ms", round(source->jitter_max / 8 * 1000) / 1000);
	if (line->sound.peer.ssrc)
		json_object_set_new(json, "peer_lost_packets", json_integer(line->sound.peer.lost));
	return json;
}

/* ---- options
 * ------------------------------------------------------------------------------------- */

static int play_read(struct agent *agent, const char *path)
{
	FILE *file = fopen(path, "rb");
	const char *why;
	size_t len;

	if (!file)
		return stw_cli_fail(agent->cli, "%s: %s", path, strerror(errno));
	agent->play = malloc(PLAY_BYTES_MAX);
	len = agent->play ? fread(agent->play, 1, PLAY_BYTES_MAX, file) : 0;
	fclose(file);
	if (stw_wav_parse(agent->play, len, &agent->samples, &agent->sample_count, &why) < 0)
		return stw_cli_fail(agent->cli,
			"%s: %s; convert it with `sox FILE -r 8000 -b 16 -c 1 OUT.wav`", path, why);
	return -1;
}

static int codecs_read(struct agent *agent, const char *list)
{
	struct stw_str rest = stw_str_from(list ? list : "PCMU,PCMA"), word;
	bool known = true;
	size_t end;

	while (rest.len && known && agent->codec_count < 2) {
		end = stw_str_find(rest, ',', 0);
		word = stw_str_trim(stw_str_cut(rest, 0, end));
		rest = stw_str_cut(rest, end + 1, rest.len);
		known = false;
		for (unsigned i = 0; i < 2; i++)
			if (stw_str_equal_nocase(word, stw_sdp_codecs_default[i].name)) {
				agent->codecs[agent->codec_count++] = stw_sdp_codecs_default[i];
				known = true;
			}
	}
	if (!known || rest.len || !agent->codec_count)
		return stw_cli_usage(agent->cli, "--codecs takes PCMU, PCMA, or both");
	agent->codecs[agent->codec_count++] = stw_sdp_codecs_default[2];
	return -1;
}

int agent_sound_read(struct agent *agent)
{
	const struct agent_options *options = agent->options;
	uint64_t hz = 0;
	int status;

	if (options->tone && (stw_str_to_uint(stw_str_from(options->tone), 3900, &hz) < 0 || !hz))
		return stw_cli_usage(agent->cli, "--tone takes 1 to 3900 Hz");
	agent->tone_hz = (double)hz;
	status = codecs_read(agent, options->codecs);
	if (status < 0 && options->play)
		status = play_read(agent, options->play);
	return status;
}
