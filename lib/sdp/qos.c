/* SPDX-License-Identifier: Apache-2.0 */
/* Preconditions of quality of service: RFC 3312 §4, §5, §8; RFC 4032. */
#include "internal.h"

#include <errno.h>

/* none, send, recv, sendrecv; as bits of enum stw_sdp_direction. */
static bool direction_of(struct stw_str word, unsigned *ret)
{
	static const char *const words[] = { "none", "send", "recv", "sendrecv" };

	for (unsigned i = 0; i < 4; i++)
		if (stw_str_equal(word, stw_str_from(words[i]))) {
			*ret = i;
			return true;
		}
	return false;
}

static const char *direction_name(unsigned direction)
{
	static const char *const words[] = { "none", "send", "recv", "sendrecv" };

	return words[direction & 3];
}

/* A type that we do not know and that must be met: what the 580 says of it (§9). */
static void unknown_keep(struct stw_sdp_qos_table *table, struct stw_str type, struct stw_str rest)
{
	struct stw_str strength, segment, word;
	struct stw_writer writer;
	unsigned direction;

	if (table->unknown[0] || !sdp_word_next(&rest, &strength) ||
		!stw_str_equal(strength, STW_STR("mandatory")) || !sdp_word_next(&rest, &segment) ||
		!sdp_word_next(&rest, &word) || !direction_of(word, &direction))
		return;
	stw_writer_init(&writer, table->unknown, sizeof(table->unknown) - 1);
	stw_write_format(&writer, "%.*s unknown %.*s %s", STW_STR_ARG(type),
		STW_STR_ARG(stw_str_equal(segment, STW_STR("local"))    ? STW_STR("remote")
			    : stw_str_equal(segment, STW_STR("remote")) ? STW_STR("local")
									: segment),
		direction_name(sdp_mirror((enum stw_sdp_direction)direction)));
	table->unknown[writer.overflow ? 0 : writer.len] = '\0';
}

/* What one attribute says; directions and segments are the peer's and get mirrored (table 4). */
static void attribute_read(
	struct stw_sdp_qos_table *table, struct stw_str name, struct stw_str rest)
{
	struct stw_str type, strength = STW_STR_NONE, segment, word;
	bool is_des = stw_str_equal(name, STW_STR("des")), is_ours;
	unsigned direction;

	if (!sdp_word_next(&rest, &type))
		return;
	if (is_des && !stw_str_equal(type, STW_STR("qos")))
		unknown_keep(table, type, rest);
	if (!stw_str_equal(type, STW_STR("qos")) || (is_des && !sdp_word_next(&rest, &strength)) ||
		!sdp_word_next(&rest, &segment) || !sdp_word_next(&rest, &word) ||
		!direction_of(word, &direction))
		return;
	table->used = true;
	table->end_to_end |= stw_str_equal(segment, STW_STR("e2e"));
	direction = sdp_mirror((enum stw_sdp_direction)direction);
	is_ours = !stw_str_equal(segment, STW_STR("local"));
	if (is_des) {
		if (stw_str_equal(strength, STW_STR("mandatory")))
			*(is_ours ? &table->want_local : &table->want_remote) |= direction;
	} else if (stw_str_equal(name, STW_STR("conf"))) {
		table->confirm |= is_ours;
	} else if (is_ours) {
		table->local |= direction; /* table 3: what the peer knows to be there, is */
	} else {
		table->remote = direction;
	}
}

void sdp_qos_read(struct stw_sdp_session *session, const struct stw_sdp_media *media)
{
	struct stw_sdp_qos_table *table = &session->qos;
	struct stw_str name, value;
	size_t cursor = 0;

	if (session->abilities->qos == STW_SDP_QOS_NONE)
		return;
	table->unknown[0] = '\0';
	while (stw_sdp_attribute_next(media->lines, &cursor, &name, &value))
		if (stw_str_equal(name, STW_STR("curr")) || stw_str_equal(name, STW_STR("des")) ||
			stw_str_equal(name, STW_STR("conf")))
			attribute_read(table, name, value);
}

void sdp_qos_offer(struct stw_sdp_session *session)
{
	struct stw_sdp_qos_table *table = &session->qos;

	if (session->abilities->qos != STW_SDP_QOS_MANDATORY || table->used)
		return;
	table->used = true;
	table->want_local = table->want_remote = STW_SDP_SENDRECV;
}

/* One line when both directions are wanted alike, else one for each (§5.1.1). */
static void des_write(struct stw_writer *writer, const char *segment, unsigned wanted)
{
	if (wanted == STW_SDP_SENDRECV || wanted == 0) {
		stw_write_format(writer, "a=des:qos %s %s sendrecv\r\n",
			wanted ? "mandatory" : "none", segment);
		return;
	}
	stw_write_format(writer, "a=des:qos mandatory %s %s\r\n", segment, direction_name(wanted));
	stw_write_format(writer, "a=des:qos none %s %s\r\n", segment, direction_name(~wanted));
}

void sdp_qos_write(const struct stw_sdp_session *session, struct stw_writer *writer)
{
	const struct stw_sdp_qos_table *table = &session->qos;
	unsigned missing = table->want_remote & ~table->remote;

	if (!table->used)
		return;
	if (table->end_to_end) {
		stw_write_format(writer, "a=curr:qos e2e %s\r\n", direction_name(table->local));
		des_write(writer, "e2e", table->want_local);
		return;
	}
	stw_write_format(writer, "a=curr:qos local %s\r\n", direction_name(table->local));
	stw_write_format(writer, "a=curr:qos remote %s\r\n", direction_name(table->remote));
	des_write(writer, "local", table->want_local);
	des_write(writer, "remote", table->want_remote);
	if (missing)
		stw_write_format(writer, "a=conf:qos remote %s\r\n", direction_name(missing));
}

void stw_sdp_qos_reserved(struct stw_sdp_session *session, enum stw_sdp_direction direction)
{
	session->qos.local = direction;
	session->qos_before.local = direction;
}

bool stw_sdp_qos_met(const struct stw_sdp_session *session)
{
	const struct stw_sdp_qos_table *table = &session->qos;

	return !table->used ||
	       (!(table->want_local & ~table->local) && !(table->want_remote & ~table->remote));
}

bool stw_sdp_qos_possible(const struct stw_sdp_session *session)
{
	return !session->qos.unknown[0];
}

bool stw_sdp_qos_update_due(const struct stw_sdp_session *session)
{
	const struct stw_sdp_qos_table *table = &session->qos;

	return table->used && table->confirm && !(table->want_local & ~table->local) &&
	       (table->want_local & ~table->told);
}

int stw_sdp_qos_failure(struct stw_sdp_session *session, struct stw_str *ret)
{
	const struct stw_sdp_qos_table *table = &session->qos;
	char body[STW_SDP_WRITTEN_MAX];
	struct stw_writer writer;
	unsigned missing = table->want_local & ~table->local;

	if (session->state != STW_SDP_OFFER_RECEIVED || (!table->used && !table->unknown[0]))
		return -EINVAL;
	stw_writer_init(&writer, body, sizeof(body));
	sdp_write_connection(session->abilities, &writer);
	for (unsigned i = 0; i < session->next_place_count; i++) {
		const struct stw_sdp_place *place = &session->next_places[i];

		stw_write_format(
			&writer, "m=%s 0 %s %s\r\n", place->type, place->protocol, place->format);
		if (place->ours && table->unknown[0])
			stw_write_format(&writer, "a=des:%s\r\n", table->unknown);
		else if (place->ours && missing)
			stw_write_format(&writer, "a=des:qos failure %s %s\r\n",
				table->end_to_end ? "e2e" : "local", direction_name(missing));
	}
	stw_sdp_rollback(session);
	return writer.overflow ? -ENOBUFS : sdp_written(session, stw_writer_text(&writer), ret);
}
