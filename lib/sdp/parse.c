/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 8866 §5 and §9: lines of one letter, "=" and a value. */
#include "internal.h"

#include <errno.h>

struct reader {
	struct stw_str text;
	size_t at, line_at; /* behind the line; where it began */
	unsigned line;
	char type;
	struct stw_str value;
	struct stw_sdp *sdp;
	struct stw_sdp_fault *fault;
	struct stw_sdp_connection connection; /* of the session */
	enum stw_sdp_direction direction;
	bool timed; /* t= was there */
};

bool sdp_word_next(struct stw_str *rest, struct stw_str *ret)
{
	size_t end = stw_str_find(*rest, ' ', 0);

	if (end == 0)
		return false;
	*ret = stw_str_cut(*rest, 0, end);
	*rest = stw_str_cut(*rest, end + 1, rest->len);
	return true;
}

bool sdp_line_next(struct stw_str text, size_t *cursor, struct stw_str *ret)
{
	size_t end;

	if (*cursor >= text.len)
		return false;
	end = stw_str_find(text, '\n', *cursor);
	*ret = stw_str_cut(text, *cursor, end);
	if (ret->len && ret->ptr[ret->len - 1] == '\r')
		ret->len--;
	*cursor = end + 1;
	return true;
}

static int broken(struct reader *reader, const char *why)
{
	*reader->fault = (struct stw_sdp_fault){ reader->line, why };
	return -EBADMSG;
}

static int too_much(struct reader *reader, const char *why)
{
	broken(reader, why);
	return -ENOBUFS;
}

/* The next line of a type and a value. @return 1; 0 at the end; -EBADMSG */
static int line_read(struct reader *reader)
{
	struct stw_str line;

	reader->line_at = reader->at;
	if (!sdp_line_next(reader->text, &reader->at, &line))
		return 0;
	reader->line++;
	if (!line.len) {
		/* An empty line more at the end of a body is common and harmless. */
		if (stw_str_trim(stw_str_cut(reader->text, reader->at, reader->text.len)).len)
			return broken(reader, "the line is empty");
		reader->at = reader->text.len;
		return 0;
	}
	if (line.len < 2 || line.ptr[1] != '=')
		return broken(reader, "the line does not begin with a letter and \"=\"");
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '\0' || line.ptr[i] == '\r')
			return broken(reader, "the line holds a NUL or a lone CR");
	reader->type = line.ptr[0];
	reader->value = stw_str_cut(line, 2, line.len);
	return 1;
}

static bool is_digits(struct stw_str text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	return text.len > 0;
}

/* nettype SP addrtype SP connection-address; what follows a "/" is for multicast. */
static bool connection_read(struct stw_str text, struct stw_sdp_connection *ret)
{
	if (!sdp_word_next(&text, &ret->network) || !sdp_word_next(&text, &ret->type) ||
		!sdp_word_next(&text, &ret->address) || text.len)
		return false;
	ret->address = stw_str_cut(ret->address, 0, stw_str_find(ret->address, '/', 0));
	return ret->address.len > 0;
}

static int origin_read(struct reader *reader)
{
	struct stw_sdp *sdp = reader->sdp;
	struct stw_str rest = reader->value;

	if (!sdp_word_next(&rest, &sdp->user) || !sdp_word_next(&rest, &sdp->session_id) ||
		!sdp_word_next(&rest, &sdp->version) || !connection_read(rest, &sdp->origin))
		return broken(reader, "o= is not user, id, version, network, type, address");
	if (!is_digits(sdp->session_id) || !is_digits(sdp->version))
		return broken(reader, "id and version of o= are not numbers");
	return 0;
}

/* v=0, o=, s= come first and in this order. */
static int head_read(struct reader *reader)
{
	static const char types[] = "vos";
	int err;

	for (size_t i = 0; i < 3; i++) {
		err = line_read(reader);
		if (err < 0)
			return err;
		if (err == 0 || reader->type != types[i]) {
			reader->line += err == 0;
			return broken(reader, i == 0   ? "the first line is not v="
					      : i == 1 ? "the second line is not o="
						       : "the third line is not s=");
		}
		if (i == 0 && !stw_str_equal(reader->value, STW_STR("0")))
			return broken(reader, "the version of v= is not 0");
		if (i == 1 && (err = origin_read(reader)) < 0)
			return err;
	}
	reader->sdp->name = reader->value;
	return 0;
}

static void direction_read(struct stw_str value, enum stw_sdp_direction *ret)
{
	for (unsigned i = 0; i < 4; i++)
		if (stw_str_equal(value, stw_str_from(sdp_direction_word(i))))
			*ret = (enum stw_sdp_direction)i;
}

/* proto and port of m=: "49170/2" */
static int media_head(struct reader *reader, struct stw_sdp_media *media)
{
	struct stw_str rest = reader->value, port, count, format;
	uint64_t number = 1;
	size_t cursor = 0, slash;

	if (!sdp_word_next(&rest, &media->type) || !sdp_word_next(&rest, &port) ||
		!sdp_word_next(&rest, &media->protocol) || !rest.len)
		return broken(reader, "m= is not media, port, protocol and formats");
	slash = stw_str_find(port, '/', 0);
	count = stw_str_cut(port, slash + 1, port.len);
	if (slash < port.len && (stw_str_to_uint(count, 65535, &number) < 0 || !number))
		return broken(reader, "the number of ports of m= is not 1 to 65535");
	media->port_count = (unsigned)number;
	if (stw_str_to_uint(stw_str_cut(port, 0, slash), 65535, &number) < 0)
		return broken(reader, "the port of m= is not 0 to 65535");
	media->port = (uint16_t)number;
	media->formats = rest;
	while (stw_sdp_format_next(media, &cursor, &format))
		if (++media->format_count > STW_SDP_FORMATS_MAX)
			return too_much(reader, "m= names more than 32 formats");
	if (cursor < rest.len)
		return broken(reader, "the formats of m= are not separated by single spaces");
	return 0;
}

/* From behind one m= line to the next. @return as line_read() */
static int media_read(struct reader *reader)
{
	struct stw_sdp_media *media = &reader->sdp->media[reader->sdp->media_count];
	bool connected = false;
	size_t from;
	int err;

	if (reader->sdp->media_count == STW_SDP_MEDIA_MAX)
		return too_much(reader, "there are more than 16 m= lines");
	reader->sdp->media_count++;
	*media = (struct stw_sdp_media){ .line = reader->line,
		.connection = reader->connection,
		.direction = reader->direction };
	err = media_head(reader, media);
	if (err < 0)
		return err;
	from = reader->at;
	while ((err = line_read(reader)) > 0 && reader->type != 'm') {
		if (!strchr("icbka", reader->type))
			return broken(reader, "behind m= stands a line that may not be there");
		if (reader->type == 'c' && !connection_read(reader->value, &media->connection))
			return broken(reader, "c= is not network, type and address");
		connected |= reader->type == 'c';
		if (reader->type == 'a')
			direction_read(reader->value, &media->direction);
	}
	if (err < 0)
		return err;
	media->lines = stw_str_cut(reader->text, from, err ? reader->line_at : reader->text.len);
	if (media->port && !connected && !reader->connection.address.len) {
		reader->line = media->line;
		return broken(reader, "there is no c= for this m=");
	}
	return err;
}

/* Between s= and the first m=. @return as line_read() */
static int session_read(struct reader *reader)
{
	size_t from = reader->at;
	int err;

	while ((err = line_read(reader)) > 0 && reader->type != 'm') {
		if (!strchr("iuepcbtrzka", reader->type))
			return broken(reader, "the letter of the line is unknown or comes twice");
		if (reader->type == 'c' && !connection_read(reader->value, &reader->connection))
			return broken(reader, "c= is not network, type and address");
		if (reader->type == 'a')
			direction_read(reader->value, &reader->direction);
		reader->timed |= reader->type == 't';
	}
	if (err < 0)
		return err;
	if (!reader->timed)
		return broken(reader, "there is no t= before");
	reader->sdp->lines =
		stw_str_cut(reader->text, from, err ? reader->line_at : reader->text.len);
	return err;
}

int stw_sdp_parse(struct stw_str text, struct stw_sdp *ret, struct stw_sdp_fault *fault)
{
	struct reader reader = {
		.text = text, .sdp = ret, .fault = fault, .direction = STW_SDP_SENDRECV
	};
	int err;

	ret->media_count = 0;
	if (text.len > STW_SDP_BYTES_MAX)
		return too_much(&reader, "the description is longer than 16384 bytes");
	err = head_read(&reader);
	if (err == 0)
		err = session_read(&reader);
	while (err > 0)
		err = media_read(&reader);
	return err;
}

bool stw_sdp_attribute_next(
	struct stw_str lines, size_t *cursor, struct stw_str *name, struct stw_str *value)
{
	struct stw_str line;
	size_t colon;

	while (sdp_line_next(lines, cursor, &line)) {
		if (!stw_str_starts(line, STW_STR("a=")))
			continue;
		colon = stw_str_find(line, ':', 2);
		*name = stw_str_cut(line, 2, colon);
		*value = stw_str_cut(line, colon + 1, line.len);
		return true;
	}
	return false;
}

bool stw_sdp_attribute(struct stw_str lines, struct stw_str name, struct stw_str *ret_value)
{
	struct stw_str found, value;
	size_t cursor = 0;

	while (stw_sdp_attribute_next(lines, &cursor, &found, &value))
		if (stw_str_equal(found, name)) {
			*ret_value = value;
			return true;
		}
	return false;
}

bool stw_sdp_format_next(
	const struct stw_sdp_media *media, size_t *cursor, struct stw_str *ret_format)
{
	struct stw_str rest = stw_str_cut(media->formats, *cursor, media->formats.len);

	if (!sdp_word_next(&rest, ret_format))
		return false;
	*cursor += ret_format->len + 1;
	return true;
}

bool stw_sdp_format_attribute(const struct stw_sdp_media *media, struct stw_str attribute,
	struct stw_str format, struct stw_str *ret_value)
{
	struct stw_str name, value, word;
	size_t cursor = 0;

	while (stw_sdp_attribute_next(media->lines, &cursor, &name, &value))
		if (stw_str_equal(name, attribute) && sdp_word_next(&value, &word) &&
			stw_str_equal(word, format)) {
			*ret_value = value;
			return true;
		}
	return false;
}
