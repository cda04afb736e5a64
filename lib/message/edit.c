/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/message.h>

#include <errno.h>
#include <string.h>

void stw_edit_init(struct stw_edit *edit, const struct stw_msg *msg)
{
	edit->msg = msg;
	edit->count = 0;
	edit->overflow = false;
}

/* An insertion has no length: it collides only with a cut that it stands inside. */
static bool ops_overlap(const struct stw_edit_op *a, const struct stw_edit_op *b)
{
	if (a->at == b->at)
		return a->cut && b->cut;
	return a->at < b->at ? b->at - a->at < a->cut : a->at - b->at < b->cut;
}

/* Does it stand behind all changes that are there? */
static bool splice_is_last(const struct stw_edit *edit, uint32_t at)
{
	const struct stw_edit_op *last;

	if (!edit->count)
		return true;
	last = &edit->ops[edit->count - 1];
	return at > last->at && at - last->at >= last->cut;
}

void stw_edit_splice(struct stw_edit *edit, uint32_t at, uint32_t cut, struct stw_str text)
{
	struct stw_edit_op op = { at, cut, text };
	unsigned place = 0;

	if (edit->count == STW_EDIT_MAX || at > edit->msg->len || cut > edit->msg->len - at)
		edit->overflow = true;
	if (!edit->overflow && splice_is_last(edit, at)) {
		edit->ops[edit->count++] = op;
		return;
	}
	for (unsigned i = 0; i < edit->count; i++) {
		if (ops_overlap(&edit->ops[i], &op))
			edit->overflow = true;
		if (edit->ops[i].at <= at)
			place = i + 1;
	}
	if (edit->overflow)
		return;
	memmove(&edit->ops[place + 1], &edit->ops[place], (edit->count - place) * sizeof(op));
	edit->ops[place] = op;
	edit->count++;
}

void stw_edit_append_field(struct stw_edit *edit, struct stw_str line)
{
	const struct stw_msg *msg = edit->msg;
	uint32_t at = msg->headers_at;

	if (msg->field_count)
		at = msg->fields[msg->field_count - 1].end;
	stw_edit_splice(edit, at, 0, line);
}

void stw_edit_insert_before(
	struct stw_edit *edit, const struct stw_field *field, struct stw_str line)
{
	stw_edit_splice(edit, field->start, 0, line);
}

void stw_edit_remove_field(struct stw_edit *edit, const struct stw_field *field)
{
	stw_edit_splice(edit, field->start, field->end - field->start, STW_STR_NONE);
}

void stw_edit_set_value(struct stw_edit *edit, const struct stw_field *field, struct stw_str value)
{
	stw_edit_splice(edit, field->value, field->value_len, value);
}

/* RFC 3261 §7.3.1: values may share a line or have lines of their own; the order is the same. */
void stw_edit_remove_first_value(struct stw_edit *edit, enum stw_header header)
{
	bool is_decoded = header == STW_HDR_VIA && edit->msg->has_via;
	struct stw_values values =
		is_decoded ? stw_msg_vias_below(edit->msg) : stw_msg_values(edit->msg, header);
	const struct stw_field *field;
	struct stw_str value;
	uint32_t second_at;

	if (!is_decoded && !stw_values_next(&values, &value))
		return;
	field = values.field;
	if (!stw_values_next(&values, &value) || values.field != field) {
		stw_edit_remove_field(edit, field);
		return;
	}
	second_at = (uint32_t)(value.ptr - edit->msg->data);
	stw_edit_splice(edit, field->value, second_at - field->value, STW_STR_NONE);
}

void stw_edit_set_uri(struct stw_edit *edit, struct stw_str uri)
{
	stw_edit_splice(edit, edit->msg->uri_at, edit->msg->uri_len, uri);
}

int stw_edit_slices(const struct stw_edit *edit, struct stw_str *v)
{
	const struct stw_msg *msg = edit->msg;
	uint32_t at = 0;
	int n = 0;

	if (edit->overflow)
		return -ENOBUFS;
	for (unsigned i = 0; i < edit->count; i++) {
		const struct stw_edit_op *op = &edit->ops[i];

		if (op->at > at)
			v[n++] = stw_msg_text(msg, at, op->at - at);
		if (op->text.len)
			v[n++] = op->text;
		if (op->at + op->cut > at)
			at = op->at + op->cut;
	}
	if (msg->len > at)
		v[n++] = stw_msg_text(msg, at, msg->len - at);
	return n;
}
