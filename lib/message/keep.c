/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <string.h>

/* Addresses as numbers: text from elsewhere must not be compared as a pointer into the message. */
void stw_str_move(struct stw_str *text, const struct stw_msg *from, const struct stw_msg *to)
{
	uintptr_t offset = (uintptr_t)text->ptr - (uintptr_t)from->data;

	if (text->ptr && offset <= from->len)
		text->ptr = to->data + offset;
}

void stw_uri_move(struct stw_uri *uri, const struct stw_msg *from, const struct stw_msg *to)
{
	stw_str_move(&uri->text, from, to);
	stw_str_move(&uri->scheme_name, from, to);
	stw_str_move(&uri->user, from, to);
	stw_str_move(&uri->password, from, to);
	stw_str_move(&uri->host, from, to);
	stw_str_move(&uri->params, from, to);
	stw_str_move(&uri->headers, from, to);
	stw_str_move(&uri->opaque, from, to);
}

static void address_move(
	struct stw_address *address, const struct stw_msg *from, const struct stw_msg *to)
{
	stw_str_move(&address->display, from, to);
	stw_uri_move(&address->uri, from, to);
	stw_str_move(&address->params, from, to);
	stw_str_move(&address->tag, from, to);
}

static void via_move(struct stw_via *via, const struct stw_msg *from, const struct stw_msg *to)
{
	stw_str_move(&via->text, from, to);
	stw_str_move(&via->transport, from, to);
	stw_str_move(&via->sent_by, from, to);
	stw_str_move(&via->host, from, to);
	stw_str_move(&via->params, from, to);
	stw_str_move(&via->branch, from, to);
	stw_str_move(&via->received, from, to);
	stw_str_move(&via->maddr, from, to);
	stw_str_move(&via->oc, from, to);
	stw_str_move(&via->oc_algo, from, to);
}

/* What was not decoded holds nothing of another message. */
static void decoded_move(const struct stw_msg *from, struct stw_msg *kept)
{
	if (!kept->has_uri)
		memset(&kept->uri, 0, sizeof(kept->uri));
	if (!kept->has_via)
		memset(&kept->via, 0, sizeof(kept->via));
	if (!kept->has_from)
		memset(&kept->from, 0, sizeof(kept->from));
	if (!kept->has_to)
		memset(&kept->to, 0, sizeof(kept->to));
	if (!kept->has_call_id)
		kept->call_id = str_none();
	if (!kept->has_cseq)
		memset(&kept->cseq, 0, sizeof(kept->cseq));
	stw_uri_move(&kept->uri, from, kept);
	via_move(&kept->via, from, kept);
	address_move(&kept->from, from, kept);
	address_move(&kept->to, from, kept);
	stw_str_move(&kept->call_id, from, kept);
	stw_str_move(&kept->cseq.name, from, kept);
}

int stw_msg_keep(const struct stw_msg *msg, struct stw_block **ret_block, struct stw_msg **ret)
{
	return stw_msg_keep_behind(msg, 0, ret_block, ret);
}

int stw_msg_keep_behind(const struct stw_msg *msg, size_t front_bytes, struct stw_block **ret_block,
	struct stw_msg **ret)
{
	size_t front = (front_bytes + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	size_t index_bytes = msg->field_count * sizeof(*msg->fields);
	struct stw_block *block;
	struct stw_msg *kept;
	char *bytes;
	int err;

	err = stw_block_new(front + sizeof(*msg) + index_bytes + msg->len, &block);
	if (err < 0)
		return err;
	kept = (struct stw_msg *)(void *)(block->data + front);
	bytes = block->data + front + sizeof(*msg) + index_bytes;
	*kept = *msg;
	kept->fields = (struct stw_field *)(void *)(kept + 1);
	kept->field_capacity = msg->field_count;
	kept->data = bytes;
	if (index_bytes)
		memcpy(kept->fields, msg->fields, index_bytes);
	memcpy(bytes, msg->data, msg->len);

	decoded_move(msg, kept);
	*ret_block = block;
	*ret = kept;
	return 0;
}
