/* SPDX-License-Identifier: Apache-2.0 */
/* What an offer asks for, and why we refuse it: RFC 3264 §6, RFC 3261 §20.43, §21.4.26, §21.6.4. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>

#define PTIME_MIN_MS     10
#define PTIME_MAX_MS     60
#define PTIME_DEFAULT_MS 20

struct verdict {
	unsigned warning; /* 0: the stream is acceptable */
	const char *why;
};

/* RFC 3264 §8.4; RFC 6157 §4.1: a name within .invalid stands for no address. */
static bool is_no_address(struct stw_str address)
{
	const struct stw_str invalid = STW_STR(".invalid");
	size_t tail = address.len > invalid.len ? address.len - invalid.len : 0;

	return stw_str_equal(address, STW_STR("0.0.0.0")) ||
	       stw_str_equal(address, STW_STR("::")) ||
	       stw_str_equal_nocase(stw_str_cut(address, tail, address.len), invalid);
}

bool sdp_address_fits(
	const struct stw_sdp_abilities *abilities, const struct stw_sdp_connection *connection)
{
	struct stw_str address = connection->address, host;
	enum stw_host_kind kind;

	if (!abilities->addresses_only || is_no_address(address))
		return true;
	if (stw_str_equal(connection->type, STW_STR("IP6")))
		return stw_str_find(address, ':', 0) < address.len;
	return stw_host_parse(address, &host, &kind) == 0 && kind == STW_HOST_IPV4;
}

/* "a=rtcp:53020" or "a=rtcp:53020 IN IP4 192.0.2.1"; the address is not used. */
static uint16_t rtcp_port(const struct stw_sdp_media *media)
{
	struct stw_str value, word;
	uint64_t port;

	if (stw_sdp_attribute(media->lines, STW_STR("rtcp"), &value) &&
		sdp_word_next(&value, &word) && stw_str_to_uint(word, 65535, &port) == 0 && port)
		return (uint16_t)port;
	return media->port == 65535 ? 0 : (uint16_t)(media->port + 1);
}

static uint16_t ptime_ms(const struct stw_sdp_media *media)
{
	struct stw_str value;
	uint64_t number;

	if (!stw_sdp_attribute(media->lines, STW_STR("ptime"), &value) ||
		stw_str_to_uint(value, PTIME_MAX_MS, &number) < 0 || number < PTIME_MIN_MS)
		return PTIME_DEFAULT_MS;
	return (uint16_t)(number / 10 * 10);
}

bool sdp_peer_read(const struct stw_sdp_media *media, struct stw_sdp_stream *stream)
{
	struct stw_str address = media->connection.address;

	if (address.len >= sizeof(stream->address))
		return false;
	stream->active = true;
	memcpy(stream->address, address.ptr, address.len);
	stream->address[address.len] = '\0';
	stream->rtp_port = media->port;
	stream->rtcp_port = rtcp_port(media);
	stream->ptime_ms = ptime_ms(media);
	stream->may_send = (stream->direction & STW_SDP_SENDONLY) && !is_no_address(address);
	return true;
}

/* The largest b=AS:, in kbit/s. */
static uint64_t bandwidth(struct stw_str lines)
{
	struct stw_str line;
	uint64_t most = 0, number;
	size_t cursor = 0;

	while (sdp_line_next(lines, &cursor, &line))
		if (stw_str_starts(line, STW_STR("b=AS:")) &&
			stw_str_to_uint(stw_str_cut(line, 5, line.len), UINT32_MAX, &number) == 0 &&
			number > most)
			most = number;
	return most;
}

static struct verdict media_judge(const struct stw_sdp_abilities *abilities,
	const struct stw_sdp *sdp, const struct stw_sdp_media *media, struct stw_sdp_stream *ret)
{
	bool is_ip6 = stw_str_find(abilities->address, ':', 0) < abilities->address.len;
	uint64_t kbits = bandwidth(media->lines);

	if (!stw_str_equal(media->type, STW_STR("audio")))
		return (struct verdict){ 304, "Only audio is available" };
	if (!stw_str_equal(media->protocol, STW_STR("RTP/AVP")))
		return (struct verdict){ 302, "Only RTP/AVP is available" };
	if (!stw_str_equal(media->connection.network, STW_STR("IN")))
		return (struct verdict){ 300, "Only addresses of the Internet are understood" };
	if (!stw_str_equal(media->connection.type, is_ip6 ? STW_STR("IP6") : STW_STR("IP4")))
		return (struct verdict){ 301, is_ip6 ? "Only IPv6 addresses can be reached"
						     : "Only IPv4 addresses can be reached" };
	if (!sdp_address_fits(abilities, &media->connection))
		return (struct verdict){ 301, "Names of hosts are not resolved" };
	if (!kbits)
		kbits = bandwidth(sdp->lines);
	if (abilities->bandwidth_kbits && kbits > abilities->bandwidth_kbits)
		return (struct verdict){ 370, "The bandwidth that is asked for is not there" };
	if (!sdp_codec_choose(abilities, media, ret))
		return (struct verdict){ 305, "None of the codecs is available" };
	ret->other_count = 0; /* our answer names one */
	ret->direction = sdp_mirror(media->direction);
	if (!sdp_peer_read(media, ret))
		return (struct verdict){ 399, "The address of the media is too long" };
	return (struct verdict){ 0, NULL };
}

static int refuse(struct stw_sdp_refusal *ret, unsigned code, unsigned warning, const char *why)
{
	ret->code = code;
	ret->warning = warning;
	snprintf(ret->why, sizeof(ret->why), "%s", why);
	return -EBADMSG;
}

static bool text_keep(struct stw_str text, char *buffer, size_t size)
{
	if (text.len >= size)
		return false;
	memcpy(buffer, text.ptr, text.len);
	buffer[text.len] = '\0';
	return true;
}

/* What must be said again with port 0. */
static bool place_keep(const struct stw_sdp_media *media, struct stw_sdp_place *place)
{
	struct stw_str format;
	size_t cursor = 0;

	place->ours = false;
	return stw_sdp_format_next(media, &cursor, &format) &&
	       text_keep(media->type, place->type, sizeof(place->type)) &&
	       text_keep(media->protocol, place->protocol, sizeof(place->protocol)) &&
	       text_keep(format, place->format, sizeof(place->format));
}

/* Chooses the audio stream: that which it was, else the first that is acceptable. */
static int offer_judge(
	struct stw_sdp_session *session, const struct stw_sdp *sdp, struct stw_sdp_refusal *ret)
{
	struct verdict worst = { 0, NULL }, verdict;
	const struct stw_sdp_media *chosen = NULL;
	struct stw_sdp_stream stream = { 0 };

	for (unsigned i = 0; i < sdp->media_count; i++) {
		const struct stw_sdp_media *media = &sdp->media[i];
		bool moved = i < session->place_count && !session->places[i].ours &&
			     session->stream.active;

		if (!place_keep(media, &session->next_places[i]))
			return refuse(ret, 488, 399, "A word of an m= line is too long");
		if (!media->port || chosen)
			continue;
		verdict = media_judge(session->abilities, sdp, media, &stream);
		if (verdict.warning == 0 && !moved) {
			chosen = media;
			session->next = stream;
			session->next_places[i].ours = true;
		} else if (verdict.warning && (!worst.warning || worst.warning == 304)) {
			worst = verdict;
		}
	}
	session->next_place_count = sdp->media_count;
	if (!chosen && worst.warning)
		return refuse(
			ret, session->abilities->everywhere ? 606 : 488, worst.warning, worst.why);
	if (chosen)
		sdp_qos_read(session, chosen);
	return 0;
}

int stw_sdp_receive_offer(
	struct stw_sdp_session *session, struct stw_str text, struct stw_sdp_refusal *ret)
{
	struct stw_sdp_fault fault;
	struct stw_sdp sdp;
	int err;

	*ret = (struct stw_sdp_refusal){ 0 };
	if (session->state != STW_SDP_STABLE)
		return -EBUSY;
	if (stw_sdp_parse(text, &sdp, &fault) < 0) {
		refuse(ret, 400, 0, "");
		snprintf(ret->why, sizeof(ret->why), "session description, line %u: %s", fault.line,
			fault.why);
		return -EBADMSG;
	}
	if (sdp.media_count < session->place_count)
		return refuse(ret, 488, 399, "The offer has fewer m= lines than the session");
	session->qos_before = session->qos;
	session->next = (struct stw_sdp_stream){ 0 };
	err = offer_judge(session, &sdp, ret);
	if (err == 0)
		session->state = STW_SDP_OFFER_RECEIVED;
	return err;
}
