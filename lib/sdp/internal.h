/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STW_SDP_INTERNAL_H
#define STW_SDP_INTERNAL_H

#include <strowger/message.h>
#include <strowger/sdp.h>

/** Words of a line, separated by single spaces. @return false: none is left */
bool sdp_word_next(struct stw_str *rest, struct stw_str *ret);
/** Next line without its end. @return false: no more */
bool sdp_line_next(struct stw_str text, size_t *cursor, struct stw_str *ret);

/* codec.c */
const struct stw_sdp_codec *sdp_codecs(
	const struct stw_sdp_abilities *abilities, unsigned *ret_count);
/** What an m= line and we have in common. @return false: no codec */
bool sdp_codec_choose(const struct stw_sdp_abilities *abilities, const struct stw_sdp_media *media,
	struct stw_sdp_stream *ret);

/* write.c */
void sdp_write_formats(const struct stw_sdp_abilities *abilities, struct stw_writer *writer);
void sdp_write_codec(
	const struct stw_sdp_codec *codec, unsigned payload_type, struct stw_writer *writer);
const char *sdp_direction_word(enum stw_sdp_direction direction);
/** o= of a session or of abilities, v= before and s= behind it. */
void sdp_write_head(const struct stw_sdp_abilities *abilities, uint64_t id, uint64_t version,
	struct stw_writer *writer);
void sdp_write_connection(const struct stw_sdp_abilities *abilities, struct stw_writer *writer);
/** Our ptime, a=rtcp. */
void sdp_write_transport(const struct stw_sdp_abilities *abilities, struct stw_writer *writer);
/** Makes the new description the last one; the version grows when it differs (§8). @return 0,
 * -ENOBUFS */
int sdp_written(struct stw_sdp_session *session, struct stw_str body, struct stw_str *ret);

/* offer.c: address, ports and ptime of the peer; `direction` is set. @return false: too long */
bool sdp_peer_read(const struct stw_sdp_media *media, struct stw_sdp_stream *stream);
/* Can the user send there? */
bool sdp_address_fits(
	const struct stw_sdp_abilities *abilities, const struct stw_sdp_connection *connection);

/* qos.c */
/** The table as the peer's description says it, mirrored. */
void sdp_qos_read(struct stw_sdp_session *session, const struct stw_sdp_media *media);
void sdp_qos_offer(struct stw_sdp_session *session);
void sdp_qos_write(const struct stw_sdp_session *session, struct stw_writer *writer);

static inline enum stw_sdp_direction sdp_mirror(enum stw_sdp_direction direction)
{
	return (enum stw_sdp_direction)(((unsigned)direction & 1) << 1 | (unsigned)direction >> 1);
}

#endif
