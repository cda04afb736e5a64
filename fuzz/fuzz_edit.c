/* uses: stw_message */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits of a parsed message against the simplest model: changes one by one on a copy, from the
 * back. First byte: how many changes; four bytes each; then the message. An answer is written as
 * well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strowger/message.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHANGES_MAX 45
#define INSERT_MAX  8

static struct stw_field fields[64];
static char model[8192], joined[8192], response_text[16384];

static void edit_apply(struct stw_edit *edit, const uint8_t *op)
{
	static const char text[] = "X: 1\r\n1";
	const struct stw_msg *msg = edit->msg;
	struct stw_str line = { text, op[3] % INSERT_MAX };
	const struct stw_field *field = NULL;

	if (msg->field_count)
		field = &msg->fields[op[1] % msg->field_count];
	switch (op[0] % 8) {
	case 0:
		stw_edit_splice(edit, msg->headers_at, 0, line);
		break;
	case 1:
		stw_edit_append_field(edit, line);
		break;
	case 2:
		stw_edit_set_uri(edit, line);
		break;
	case 3:
		stw_edit_remove_first_value(edit, (enum stw_header)(op[1] % STW_HEADERS));
		break;
	case 4:
		if (field)
			stw_edit_remove_field(edit, field);
		break;
	case 5:
		if (field)
			stw_edit_set_value(edit, field, line);
		break;
	case 6:
		if (field)
			stw_edit_insert_before(edit, field, line);
		break;
	default:
		stw_edit_splice(edit, op[1] * 2u, op[2], line);
		break;
	}
}

/* Changes from the last to the first: no place moves. At one place the later text goes in first. */
static size_t model_apply(const struct stw_edit *edit)
{
	size_t len = edit->msg->len;

	memcpy(model, edit->msg->data, len);
	for (unsigned i = edit->count; i-- > 0;) {
		const struct stw_edit_op *op = &edit->ops[i];

		memmove(model + op->at, model + op->at + op->cut, len - op->at - op->cut);
		len -= op->cut;
		memmove(model + op->at + op->text.len, model + op->at, len - op->at);
		if (op->text.len)
			memcpy(model + op->at, op->text.ptr, op->text.len);
		len += op->text.len;
	}
	return len;
}

/* The model cuts what follows a place, so a cut must be the last change at its place. */
static bool model_can(const struct stw_edit *edit)
{
	for (unsigned i = 1; i < edit->count; i++) {
		if (edit->ops[i - 1].at == edit->ops[i].at && edit->ops[i - 1].cut)
			return false;
	}
	return true;
}

static void edit_check(const struct stw_edit *edit)
{
	struct stw_str v[STW_EDIT_SLICES_MAX];
	struct stw_slices slices = { v, 0 };
	int n = stw_edit_slices(edit, v);

	if (edit->overflow) {
		if (n != -ENOBUFS)
			abort();
		return;
	}
	if (n < 0 || n > STW_EDIT_SLICES_MAX)
		abort();
	slices.n = (unsigned)n;
	stw_slices_flatten(slices, joined);
	if (!model_can(edit))
		return;
	if (model_apply(edit) != stw_slices_bytes(slices) ||
		memcmp(model, joined, stw_slices_bytes(slices)) != 0)
		abort();
}

static void respond(const struct stw_msg *msg, unsigned seed)
{
	struct stw_response response = {
		.request = msg,
		.code = 100 + seed % 600,
		.to_tag = STW_STR("tag"),
		.record_route = seed & 1,
		.received = STW_STR("192.0.2.1"),
		.rport = (uint16_t)seed,
	};
	struct stw_writer writer;

	stw_writer_init(&writer, response_text, sizeof(response_text));
	stw_response_write(&writer, &response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stw_msg msg = { .fields = fields, .field_capacity = STW_ARRAY_SIZE(fields) };
	struct stw_fault fault = { 0 };
	struct stw_edit edit;
	size_t changes = size ? data[0] % CHANGES_MAX : 0, head = 1 + changes * 4;
	char *text;
	int err;

	if (size < head || size - head > 4096)
		return 0;
	text = malloc(size - head + 1);
	if (!text)
		abort();
	memcpy(text, data + head, size - head);
	err = stw_msg_parse(&msg, text, size - head, NULL, &fault);
	if (err != -EAGAIN) {
		stw_msg_check(&msg, &fault);
		respond(&msg, data[0] * 257u);
	}
	if (err == 0) {
		stw_edit_init(&edit, &msg);
		for (size_t i = 0; i < changes; i++)
			edit_apply(&edit, data + 1 + i * 4);
		edit_check(&edit);
	}
	free(text);
	return 0;
}
