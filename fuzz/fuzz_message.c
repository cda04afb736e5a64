/* uses: stw_message */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a message: index, checks, every value, multipart bodies, a kept copy. */
#include <strowger/message.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static bool is_within(const struct stw_msg *msg, struct stw_str text)
{
	return !text.ptr || (text.ptr >= msg->data && text.ptr + text.len <= msg->data + msg->len);
}

static void fields_walk(const struct stw_msg *msg)
{
	const struct stw_field *field = msg->fields, *end = field + msg->field_count;
	uint32_t at = msg->headers_at;

	for (; field < end; field++) {
		require(field->start >= at && field->start + field->name_len < field->value);
		require(field->value + field->value_len <= field->end && field->end <= msg->len);
		require(stw_header_from(stw_field_name(msg, field)) == field->header);
		at = field->end;
	}
	require(msg->body_at <= msg->len && msg->body_at + msg->body_len == msg->len);
}

static void values_walk(const struct stw_msg *msg)
{
	struct stw_address address;
	struct stw_values values;
	struct stw_cseq cseq;
	struct stw_str value;
	struct stw_via via;
	int64_t seconds;
	unsigned header;
	uint64_t number;

	for (header = 1; header < STW_HEADERS; header++) {
		values = stw_msg_values(msg, (enum stw_header)header);
		while (stw_values_next(&values, &value)) {
			require(is_within(msg, value) && value.len);
			if (stw_address_parse(value, &address) == 0)
				require(is_within(msg, address.uri.text) &&
					is_within(msg, address.params));
			if (stw_via_parse(value, &via) == 0)
				require(is_within(msg, via.params) && is_within(msg, via.branch));
			stw_cseq_parse(value, &cseq);
			stw_date_parse(value, &seconds);
		}
		stw_msg_number(msg, (enum stw_header)header, 255, &number);
	}
}

static void body_walk(const struct stw_msg *msg)
{
	struct stw_multipart multipart;
	struct stw_part part;
	struct stw_str description;

	(void)stw_body_check(msg, STW_STR(STW_BODY_ACCEPT));
	require(!stw_body_description(msg, &description) || is_within(msg, description));
	if (stw_multipart_begin(
		    stw_msg_value(msg, STW_HDR_CONTENT_TYPE), stw_msg_body(msg), &multipart) < 0)
		return;
	while (stw_multipart_next(&multipart, &part) > 0) {
		require(is_within(msg, part.headers) && is_within(msg, part.body));
		require(is_within(msg, part.content_type));
	}
}

static void keep(const struct stw_msg *msg)
{
	struct stw_block *block;
	struct stw_msg *kept;

	if (stw_msg_keep(msg, &block, &kept) < 0)
		return;
	fields_walk(kept);
	require(is_within(kept, kept->uri.text) && is_within(kept, kept->via.params));
	require(is_within(kept, kept->from.params) && is_within(kept, kept->to.tag));
	require(stw_str_equal(kept->call_id, msg->call_id));
	stw_block_unref(block);
}

/* What the short look says of a request, the reader says too. */
static void peek(const struct stw_msg *msg, bool is_right)
{
	struct stw_msg_peek peek;
	struct stw_str tag;

	if (!stw_msg_peek(msg->data, msg->len, &peek))
		return;
	require(is_within(msg, peek.from) && is_within(msg, peek.to) && is_within(msg, peek.uri));
	for (unsigned i = 0; i < peek.via_count; i++)
		require(is_within(msg, peek.vias[i]));
	if (stw_msg_peek_tag(peek.from, &tag) == 0)
		require(is_within(msg, tag));
	if (!is_right)
		return;
	require(msg->is_request && msg->method == peek.method);
	require(!msg->to.tag.ptr || msg->method == STW_METHOD_ACK);
	require(stw_str_equal(msg->call_id, peek.call_id));
	if (stw_msg_peek_tag(peek.from, &tag) == 0)
		require(stw_str_equal(msg->from.tag, tag));
}

/* Those below the topmost Via are all but the first. */
static void vias_below(const struct stw_msg *msg)
{
	struct stw_values all = stw_msg_values(msg, STW_HDR_VIA), below = stw_msg_vias_below(msg);
	struct stw_str value, other;

	require(stw_values_next(&all, &value) && stw_str_equal(value, msg->via.text));
	while (stw_values_next(&all, &value))
		require(stw_values_next(&below, &other) && other.ptr == value.ptr &&
			other.len == value.len);
	require(!stw_values_next(&below, &other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stw_field fields[64];
	struct stw_msg msg = { .fields = fields, .field_capacity = 64 };
	struct stw_fault fault;
	/* A buffer of its own, so that a read behind it is seen. */
	char *bytes = malloc(size ? size : 1);
	bool is_right;
	int err;

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	err = stw_msg_parse(&msg, bytes, size, NULL, &fault);
	require(err == 0 || (fault.cause && fault.offset <= size && fault.line >= 1));
	is_right = stw_msg_check(&msg, &fault) == 0 && err == 0;
	if (!is_right)
		require(fault.cause);
	else
		require(msg.has_via && msg.has_from && msg.has_to && msg.has_call_id &&
			msg.has_cseq);
	if (is_right)
		vias_below(&msg);
	fields_walk(&msg);
	values_walk(&msg);
	body_walk(&msg);
	keep(&msg);
	peek(&msg, is_right);
	free(bytes);
	return 0;
}
