/* SPDX-License-Identifier: Apache-2.0 */
/* Who may speak when: RFC 3264 §4, RFC 6337 §2; our side of it. */
#include "internal.h"

#include <errno.h>

void stw_sdp_session_init(
	struct stw_sdp_session *session, const struct stw_sdp_abilities *abilities, uint64_t id)
{
	*session = (struct stw_sdp_session){
		.abilities = abilities,
		.wish = STW_SDP_SENDRECV,
		.id = id,
		.version = id,
	};
}

void stw_sdp_session_wish(struct stw_sdp_session *session, enum stw_sdp_direction wish)
{
	session->wish = wish;
}

/* The payload type of a codec does not change for the life of a session (§8.3.2). */
static unsigned payload_type(
	const struct stw_sdp_session *session, const struct stw_sdp_codec *codec)
{
	const struct stw_sdp_stream *stream = &session->stream;

	if (stw_str_equal(codec->name, stream->codec.codec.name))
		return stream->codec.receive_type;
	if (stw_str_equal(codec->name, stream->events.codec.name))
		return stream->events.receive_type;
	for (unsigned i = 0; i < stream->other_count; i++)
		if (stw_str_equal(codec->name, stream->others[i].codec.name))
			return stream->others[i].receive_type;
	return codec->payload_type;
}

static void write_offered_formats(const struct stw_sdp_session *session, struct stw_writer *writer)
{
	const struct stw_sdp_codec *codecs;
	unsigned count;

	codecs = sdp_codecs(session->abilities, &count);
	for (unsigned i = 0; i < count; i++)
		stw_write_format(writer, " %u", payload_type(session, &codecs[i]));
	stw_write_text(writer, "\r\n");
	for (unsigned i = 0; i < count; i++)
		sdp_write_codec(&codecs[i], payload_type(session, &codecs[i]), writer);
}

/* One codec, so that it does not change in the midst of a call, and events (RFC 3264 §6.1). */
static void write_answered_formats(const struct stw_sdp_stream *stream, struct stw_writer *writer)
{
	bool events = stream->events.codec.name.len > 0;

	stw_write_format(writer, " %u", (unsigned)stream->codec.receive_type);
	if (events)
		stw_write_format(writer, " %u", (unsigned)stream->events.receive_type);
	stw_write_text(writer, "\r\n");
	sdp_write_codec(&stream->codec.codec, stream->codec.receive_type, writer);
	if (events)
		sdp_write_codec(&stream->events.codec, stream->events.receive_type, writer);
}

/* All m= lines; `stream` is what is answered, NULL: this is an offer. */
static int describe(struct stw_sdp_session *session, const struct stw_sdp_stream *stream,
	enum stw_sdp_direction direction, struct stw_str *ret)
{
	const struct stw_sdp_abilities *abilities = session->abilities;
	char body[STW_SDP_WRITTEN_MAX];
	struct stw_writer writer;

	stw_writer_init(&writer, body, sizeof(body));
	sdp_write_connection(abilities, &writer);
	for (unsigned i = 0; i < session->next_place_count; i++) {
		const struct stw_sdp_place *place = &session->next_places[i];

		if (!place->ours) {
			stw_write_format(&writer, "m=%s 0 %s %s\r\n", place->type, place->protocol,
				place->format);
			continue;
		}
		stw_write_format(&writer, "m=audio %u RTP/AVP", (unsigned)abilities->rtp_port);
		if (stream)
			write_answered_formats(stream, &writer);
		else
			write_offered_formats(session, &writer);
		sdp_write_transport(abilities, &writer);
		stw_write_format(&writer, "a=%s\r\n", sdp_direction_word(direction));
		sdp_qos_write(session, &writer);
	}
	if (writer.overflow)
		return -ENOBUFS;
	session->qos.told = session->qos.local;
	return sdp_written(session, stw_writer_text(&writer), ret);
}

int stw_sdp_offer(struct stw_sdp_session *session, struct stw_str *ret)
{
	int err;

	if (session->state != STW_SDP_STABLE)
		return -EBUSY;
	memcpy(session->next_places, session->places, sizeof(session->places));
	session->next_place_count = session->place_count;
	if (!session->place_count)
		session->next_places[session->next_place_count++] =
			(struct stw_sdp_place){ .ours = true };
	session->qos_before = session->qos;
	session->offered = session->wish;
	sdp_qos_offer(session);
	err = describe(session, NULL, session->wish, ret);
	if (err == 0)
		session->state = STW_SDP_OFFER_SENT;
	return err;
}

static void agree(struct stw_sdp_session *session, const struct stw_sdp_stream *stream)
{
	session->stream = *stream;
	memcpy(session->places, session->next_places, sizeof(session->places));
	session->place_count = session->next_place_count;
	session->state = STW_SDP_STABLE;
}

int stw_sdp_answer(struct stw_sdp_session *session, struct stw_str *ret)
{
	struct stw_sdp_stream *next = &session->next;
	int err;

	if (session->state != STW_SDP_OFFER_RECEIVED)
		return -EINVAL;
	/* The wish may have changed while the offer was open. */
	next->direction = (enum stw_sdp_direction)(next->direction & session->wish);
	next->may_send = next->may_send && (next->direction & STW_SDP_SENDONLY);
	err = describe(session, next, next->direction, ret);
	if (err == 0)
		agree(session, next);
	return err;
}

void stw_sdp_rollback(struct stw_sdp_session *session)
{
	if (session->state == STW_SDP_STABLE)
		return;
	session->state = STW_SDP_STABLE;
	session->qos = session->qos_before;
}

/* What an answer makes of the stream that we offered. */
static int answer_apply(struct stw_sdp_session *session, const struct stw_sdp_media *media,
	struct stw_sdp_fault *fault)
{
	struct stw_sdp_stream stream = { 0 };

	if (media->port) {
		if (!sdp_codec_choose(session->abilities, media, &stream)) {
			*fault = (struct stw_sdp_fault){ media->line,
				"the answer names no codec that was offered" };
			return -EBADMSG;
		}
		stream.codec.receive_type = (uint8_t)payload_type(session, &stream.codec.codec);
		for (unsigned i = 0; i < stream.other_count; i++)
			stream.others[i].receive_type =
				(uint8_t)payload_type(session, &stream.others[i].codec);
		if (stream.events.codec.name.len)
			stream.events.receive_type =
				(uint8_t)payload_type(session, &stream.events.codec);
		stream.direction =
			(enum stw_sdp_direction)(session->offered & sdp_mirror(media->direction));
		if (!sdp_address_fits(session->abilities, &media->connection)) {
			*fault = (struct stw_sdp_fault){ media->line,
				"the answer names a host, and not its address" };
			return -EBADMSG;
		}
		if (!sdp_peer_read(media, &stream)) {
			*fault = (struct stw_sdp_fault){ media->line,
				"the address of the answer is too long" };
			return -EBADMSG;
		}
		sdp_qos_read(session, media);
	}
	agree(session, &stream);
	return 0;
}

int stw_sdp_receive_answer(
	struct stw_sdp_session *session, struct stw_str text, struct stw_sdp_fault *fault)
{
	struct stw_sdp sdp;
	int err;

	if (session->state != STW_SDP_OFFER_SENT)
		return -EINVAL;
	err = stw_sdp_parse(text, &sdp, fault) < 0 ? -EBADMSG : 0;
	if (err == 0 && sdp.media_count != session->next_place_count) {
		*fault = (struct stw_sdp_fault){ 1,
			"the answer has not as many m= lines as the offer" };
		err = -EBADMSG;
	}
	for (unsigned i = 0; err == 0 && session->state == STW_SDP_OFFER_SENT; i++) {
		if (i == sdp.media_count)
			agree(session, &(struct stw_sdp_stream){ 0 });
		else if (session->next_places[i].ours)
			err = answer_apply(session, &sdp.media[i], fault);
	}
	if (err < 0)
		stw_sdp_rollback(session);
	return err;
}
