/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <string.h>

/* What a block holds: the message, then its index, then its bytes. */
struct move {
	const char *from, *to;
};

static void str_move(const struct move *move, struct stw_str *text)
{
	if (text->ptr)
		text->ptr = move->to + (text->ptr - move->from);
}

static void uri_move(const struct move *move, struct stw_uri *uri)
{
	str_move(move, &uri->text);
	str_move(move, &uri->scheme_name);
	str_move(move, &uri->user);
	str_move(move, &uri->password);
	str_move(move, &uri->host);
	str_move(move, &uri->params);
	str_move(move, &uri->headers);
	str_move(move, &uri->opaque);
}

static void address_move(const struct move *move, struct stw_address *address)
{
	str_move(move, &address->display);
	uri_move(move, &address->uri);
	str_move(move, &address->params);
	str_move(move, &address->tag);
}

static void via_move(const struct move *move, struct stw_via *via)
{
	str_move(move, &via->text);
	str_move(move, &via->transport);
	str_move(move, &via->sent_by);
	str_move(move, &via->host);
	str_move(move, &via->params);
	str_move(move, &via->branch);
	str_move(move, &via->received);
	str_move(move, &via->maddr);
}

int stw_msg_keep(const struct stw_msg *msg, struct stw_block **ret_block, struct stw_msg **ret)
{
	size_t index_bytes = msg->field_count * sizeof(*msg->fields);
	struct stw_block *block;
	struct stw_msg *kept;
	struct move move;
	char *bytes;
	int err;

	err = stw_block_new(sizeof(*msg) + index_bytes + msg->len, &block);
	if (err < 0)
		return err;
	kept = (struct stw_msg *)(void *)block->data;
	bytes = block->data + sizeof(*msg) + index_bytes;
	*kept = *msg;
	kept->fields = (struct stw_field *)(void *)(block->data + sizeof(*msg));
	kept->field_capacity = msg->field_count;
	kept->data = bytes;
	if (index_bytes)
		memcpy(kept->fields, msg->fields, index_bytes);
	memcpy(bytes, msg->data, msg->len);

	move = (struct move){ msg->data, bytes };
	uri_move(&move, &kept->uri);
	via_move(&move, &kept->via);
	address_move(&move, &kept->from);
	address_move(&move, &kept->to);
	str_move(&move, &kept->call_id);
	str_move(&move, &kept->cseq.name);
	*ret_block = block;
	*ret = kept;
	return 0;
}
