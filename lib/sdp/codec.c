/* SPDX-License-Identifier: Apache-2.0 */
/* Payload types and codecs: RFC 8866 §6.6, RFC 3551 §6, RFC 4733 §2.4. */
#include "internal.h"

const struct stw_sdp_codec stw_sdp_codecs_default[3] = {
	{ .name = { "PCMU", 4 }, .clock_hz = 8000, .payload_type = 0 },
	{ .name = { "PCMA", 4 }, .clock_hz = 8000, .payload_type = 8 },
	{ .name = { "telephone-event", 15 },
		.clock_hz = 8000,
		.payload_type = 101,
		.fmtp = { "0-15", 4 },
		.telephone_events = true },
};

const struct stw_sdp_codec *sdp_codecs(
	const struct stw_sdp_abilities *abilities, unsigned *ret_count)
{
	*ret_count = abilities->codecs ? abilities->codec_count
				       : (unsigned)STW_ARRAY_SIZE(stw_sdp_codecs_default);
	return abilities->codecs ? abilities->codecs : stw_sdp_codecs_default;
}

/* "PCMU/8000" or "PCMU/8000/1"; a static type may come without. */
static bool map_is(const struct stw_sdp_codec *codec, uint64_t payload_type, struct stw_str map)
{
	size_t name_end = stw_str_find(map, '/', 0), clock_end;
	uint64_t clock_hz;

	if (!map.len)
		return payload_type < 96 && payload_type == codec->payload_type;
	clock_end = stw_str_find(map, '/', name_end + 1);
	return stw_str_equal_nocase(stw_str_cut(map, 0, name_end), codec->name) &&
	       stw_str_to_uint(stw_str_cut(map, name_end + 1, clock_end), UINT32_MAX, &clock_hz) ==
		       0 &&
	       clock_hz == codec->clock_hz &&
	       (clock_end >= map.len ||
		       stw_str_equal(stw_str_cut(map, clock_end, map.len), STW_STR("/1")));
}

static const struct stw_sdp_codec *codec_of(const struct stw_sdp_abilities *abilities,
	const struct stw_sdp_media *media, struct stw_str format, uint8_t *ret_type)
{
	struct stw_str map = STW_STR_NONE;
	const struct stw_sdp_codec *codecs;
	uint64_t payload_type;
	unsigned count;

	if (stw_str_to_uint(format, 127, &payload_type) < 0)
		return NULL;
	*ret_type = (uint8_t)payload_type;
	stw_sdp_format_attribute(media, STW_STR("rtpmap"), format, &map);
	codecs = sdp_codecs(abilities, &count);
	for (unsigned i = 0; i < count; i++)
		if (map_is(&codecs[i], payload_type, map))
			return &codecs[i];
	return NULL;
}

static void other_add(struct stw_sdp_stream *stream, const struct stw_sdp_stream_codec *codec)
{
	bool known = stw_str_equal(stream->codec.codec.name, codec->codec.name);

	for (unsigned i = 0; i < stream->other_count; i++)
		known = known || stw_str_equal(stream->others[i].codec.name, codec->codec.name);
	if (!known && !codec->codec.telephone_events && stream->other_count < STW_SDP_CODECS_MAX)
		stream->others[stream->other_count++] = *codec;
}

bool sdp_codec_choose(const struct stw_sdp_abilities *abilities, const struct stw_sdp_media *media,
	struct stw_sdp_stream *ret)
{
	const struct stw_sdp_codec *codec;
	struct stw_sdp_stream_codec *place;
	struct stw_str format;
	size_t cursor = 0;
	uint8_t type;

	ret->codec = ret->events = (struct stw_sdp_stream_codec){ 0 };
	ret->other_count = 0;
	while (stw_sdp_format_next(media, &cursor, &format)) {
		codec = codec_of(abilities, media, format, &type);
		if (!codec)
			continue;
		place = codec->telephone_events ? &ret->events : &ret->codec;
		if (!place->codec.name.len)
			*place = (struct stw_sdp_stream_codec){ type, type, *codec };
		else
			other_add(ret, &(struct stw_sdp_stream_codec){ type, type, *codec });
	}
	return ret->codec.codec.name.len > 0;
}

static bool media_names(const struct stw_sdp_abilities *abilities,
	const struct stw_sdp_media *media, const struct stw_sdp_codec *codec)
{
	struct stw_str format;
	size_t cursor = 0;
	uint8_t type;

	while (stw_sdp_format_next(media, &cursor, &format)) {
		if (codec_of(abilities, media, format, &type) == codec)
			return true;
	}
	return false;
}

unsigned stw_sdp_codecs_common(const struct stw_sdp_abilities *abilities, struct stw_str text,
	struct stw_sdp_codec ret[STW_SDP_CODECS_MAX], unsigned *ret_all)
{
	const struct stw_sdp_codec *codecs = sdp_codecs(abilities, ret_all);
	const struct stw_sdp_media *media = NULL;
	struct stw_sdp_fault fault;
	struct stw_sdp sdp;
	unsigned count = 0;
	bool sound = false;

	if (stw_sdp_parse(text, &sdp, &fault) < 0)
		return 0;
	for (unsigned i = 0; !media && i < sdp.media_count; i++) {
		if (stw_str_equal(sdp.media[i].type, STW_STR("audio")))
			media = &sdp.media[i];
	}
	for (unsigned i = 0; media && i < *ret_all && count < STW_SDP_CODECS_MAX; i++) {
		if (!media_names(abilities, media, &codecs[i]))
			continue;
		sound = sound || !codecs[i].telephone_events;
		ret[count++] = codecs[i];
	}
	return sound ? count : 0;
}
