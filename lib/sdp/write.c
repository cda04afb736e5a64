/* SPDX-License-Identifier: Apache-2.0 */
/* What we say about ourselves: RFC 8866 §5, RFC 3264 §5 and §9, RFC 3605. */
#include "internal.h"

#include <errno.h>

const char *sdp_direction_word(enum stw_sdp_direction direction)
{
	static const char *const words[] = { "inactive", "sendonly", "recvonly", "sendrecv" };

	return words[direction];
}

static const char *address_type(const struct stw_sdp_abilities *abilities)
{
	bool is_ip6 = stw_str_find(abilities->address, ':', 0) < abilities->address.len;

	return is_ip6 ? "IP6" : "IP4";
}

void sdp_write_head(const struct stw_sdp_abilities *abilities, uint64_t id, uint64_t version,
	struct stw_writer *writer)
{
	stw_write_text(writer, "v=0\r\no=- ");
	stw_write_uint(writer, id);
	stw_write_char(writer, ' ');
	stw_write_uint(writer, version);
	stw_write_format(writer, " IN %s %.*s\r\n", address_type(abilities),
		STW_STR_ARG(abilities->address));
}

void sdp_write_connection(const struct stw_sdp_abilities *abilities, struct stw_writer *writer)
{
	stw_write_format(writer, "s=-\r\nc=IN %s %.*s\r\nt=0 0\r\n", address_type(abilities),
		STW_STR_ARG(abilities->address));
}

void sdp_write_codec(
	const struct stw_sdp_codec *codec, unsigned payload_type, struct stw_writer *writer)
{
	stw_write_format(writer, "a=rtpmap:%u %.*s/%u\r\n", payload_type, STW_STR_ARG(codec->name),
		(unsigned)codec->clock_hz);
	if (codec->fmtp.len)
		stw_write_format(
			writer, "a=fmtp:%u %.*s\r\n", payload_type, STW_STR_ARG(codec->fmtp));
}

void sdp_write_formats(const struct stw_sdp_abilities *abilities, struct stw_writer *writer)
{
	const struct stw_sdp_codec *codecs;
	unsigned count;

	codecs = sdp_codecs(abilities, &count);
	for (unsigned i = 0; i < count; i++)
		stw_write_format(writer, " %u", (unsigned)codecs[i].payload_type);
	stw_write_text(writer, "\r\n");
	for (unsigned i = 0; i < count; i++)
		sdp_write_codec(&codecs[i], codecs[i].payload_type, writer);
}

void sdp_write_transport(const struct stw_sdp_abilities *abilities, struct stw_writer *writer)
{
	stw_write_format(writer, "a=ptime:%u\r\n",
		abilities->ptime_ms ? (unsigned)abilities->ptime_ms : 20U);
	if (abilities->rtcp_port && abilities->rtcp_port != abilities->rtp_port + 1)
		stw_write_format(writer, "a=rtcp:%u\r\n", (unsigned)abilities->rtcp_port);
}

int sdp_written(struct stw_sdp_session *session, struct stw_str body, struct stw_str *ret)
{
	struct stw_str before = { session->written + session->written_body,
		session->written_bytes - session->written_body };
	struct stw_writer writer;

	if (session->written_bytes && !stw_str_equal(before, body))
		session->version++;
	stw_writer_init(&writer, session->written, sizeof(session->written));
	sdp_write_head(session->abilities, session->id, session->version, &writer);
	session->written_body = writer.len;
	stw_write_str(&writer, body);
	if (writer.overflow) {
		session->written_bytes = session->written_body = 0;
		return -ENOBUFS;
	}
	session->written_bytes = writer.len;
	*ret = stw_writer_text(&writer);
	return 0;
}

int stw_sdp_abilities_write(
	const struct stw_sdp_abilities *abilities, uint64_t id, struct stw_writer *writer)
{
	sdp_write_head(abilities, id, id, writer);
	sdp_write_connection(abilities, writer);
	stw_write_text(writer, "m=audio 0 RTP/AVP");
	sdp_write_formats(abilities, writer);
	if (abilities->qos != STW_SDP_QOS_NONE) /* RFC 3312 §12 */
		stw_write_text(writer, "a=des:qos none local sendrecv\r\n"
				       "a=des:qos none remote sendrecv\r\n");
	return writer->overflow ? -ENOBUFS : 0;
}

int stw_sdp_reject(struct stw_str offer, uint64_t id, struct stw_writer *writer)
{
	static const struct stw_sdp_abilities nowhere = { .address = { "0.0.0.0", 7 } };
	struct stw_sdp sdp;
	struct stw_sdp_fault fault;

	if (stw_sdp_parse(offer, &sdp, &fault) < 0)
		return -EBADMSG;
	sdp_write_head(&nowhere, id, id, writer);
	sdp_write_connection(&nowhere, writer);
	for (unsigned i = 0; i < sdp.media_count; i++)
		stw_write_format(writer, "m=%.*s 0 %.*s %.*s\r\n", STW_STR_ARG(sdp.media[i].type),
			STW_STR_ARG(sdp.media[i].protocol), STW_STR_ARG(sdp.media[i].formats));
	return writer->overflow ? -ENOBUFS : 0;
}
