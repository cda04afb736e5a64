/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/dialog.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- text of the dialog ------------------------------------------------------------------- */

static int text_keep(struct stw_dialog *dialog, struct stw_str text, struct stw_str *ret)
{
	char *at = dialog->text + dialog->text_len;

	if (text.len > sizeof(dialog->text) - dialog->text_len)
		return -ENOBUFS;
	if (text.len)
		memcpy(at, text.ptr, text.len);
	dialog->text_len += text.len;
	*ret = (struct stw_str){ at, text.len };
	return 0;
}

static int text_add(struct stw_dialog *dialog, struct stw_str text, struct stw_str *more)
{
	struct stw_str part;
	int err = text_keep(dialog, text, &part);

	if (err == 0)
		more->len += part.len;
	return err;
}

/* An address without its tag: "\"Bob\" <sip:bob@example.com>;x=1". An addr-spec gets its brackets,
 * for its parameters were header parameters. */
static int address_keep(
	struct stw_dialog *dialog, const struct stw_address *address, struct stw_str *ret)
{
	struct stw_param param;
	size_t at = 0;
	int err = text_keep(dialog, address->display, ret);

	if (err == 0)
		err = text_add(dialog, address->display.len ? STW_STR(" <") : STW_STR("<"), ret);
	if (err == 0)
		err = text_add(dialog, address->uri.text, ret);
	if (err == 0)
		err = text_add(dialog, STW_STR(">"), ret);
	while (err == 0 && stw_param_next(address->params, &at, &param) == 1) {
		if (stw_str_equal_nocase(param.name, STW_STR("tag")))
			continue;
		err = text_add(dialog, STW_STR(";"), ret);
		if (err == 0)
			err = text_add(dialog, param.name, ret);
		if (err == 0 && param.value.ptr)
			err = text_add(dialog, STW_STR("="), ret);
		if (err == 0)
			err = text_add(dialog, param.value, ret);
	}
	return err;
}

static int target_keep(struct stw_dialog *dialog, struct stw_str uri)
{
	if (uri.len > sizeof(dialog->target_text))
		return -ENOBUFS;
	if (uri.len)
		memcpy(dialog->target_text, uri.ptr, uri.len);
	dialog->target = (struct stw_str){ dialog->target_text, uri.len };
	return 0;
}

/* The first Contact; its URI has to be one that a request can be sent to. */
static int contact_find(const struct stw_msg *msg, struct stw_address *ret)
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_CONTACT);
	struct stw_str value;

	if (!stw_values_next(&values, &value))
		return -ENOENT;
	if (stw_address_parse(value, ret) < 0 || ret->wildcard ||
		ret->uri.scheme == STW_SCHEME_OTHER || ret->uri.headers.len)
		return -EBADMSG;
	return 0;
}

/* The text of the route set is not copied by value but as one list; `backwards` for the UAC
 * (§12.1.2). */
static int route_keep(struct stw_dialog *dialog, const struct stw_msg *msg, bool backwards)
{
	struct stw_values values = stw_msg_values(msg, STW_HDR_RECORD_ROUTE);
	struct stw_str value, list[64];
	unsigned n = 0;
	int err = text_keep(dialog, STW_STR_NONE, &dialog->route);

	while (stw_values_next(&values, &value)) {
		if (n == STW_ARRAY_SIZE(list))
			return -ENOBUFS;
		list[n++] = value;
	}
	for (unsigned i = 0; err == 0 && i < n; i++) {
		if (i)
			err = text_add(dialog, STW_STR(", "), &dialog->route);
		if (err == 0)
			err = text_add(dialog, list[backwards ? n - 1 - i : i], &dialog->route);
	}
	return err;
}

static int ids_keep(struct stw_dialog *dialog, const struct stw_msg *msg,
	const struct stw_address *local, struct stw_str local_tag, const struct stw_address *remote)
{
	int err = text_keep(dialog, msg->call_id, &dialog->call_id);

	if (err == 0)
		err = text_keep(dialog, local_tag, &dialog->local_tag);
	if (err == 0)
		err = text_keep(dialog, remote->tag, &dialog->remote_tag);
	if (err == 0)
		err = address_keep(dialog, local, &dialog->local);
	if (err == 0)
		err = address_keep(dialog, remote, &dialog->remote);
	return err;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The last step of both: the dialog, or what has failed. */
static int dialog_give(struct stw_dialog *dialog, int err, struct stw_dialog **ret)
{
	if (err < 0) {
		stw_dialog_free(dialog);
		return err;
	}
	*ret = dialog;
	return 0;
}

/* Where requests go, as the response says; else to where we began. */
static int way_keep(
	struct stw_dialog *dialog, const struct stw_msg *request, const struct stw_msg *response)
{
	struct stw_address contact;

	if (route_keep(dialog, response, true) < 0) {
		dialog->route = STW_STR_NONE;
		dialog->cut = true;
	}
	dialog->no_target = contact_find(response, &contact) < 0;
	if (!dialog->no_target && target_keep(dialog, contact.uri.text) == 0)
		return 0;
	dialog->cut = dialog->cut || !dialog->no_target;
	return target_keep(dialog, request->uri.text);
}

int stw_dialog_new_uac(
	const struct stw_msg *request, const struct stw_msg *response, struct stw_dialog **ret)
{
	struct stw_dialog *dialog = calloc(1, sizeof(*dialog));
	int err;

	if (!dialog)
		return -ENOMEM;
	dialog->uac = true;
	dialog->confirmed = response->code >= 200;
	dialog->secure = request->uri.scheme == STW_SCHEME_SIPS;
	dialog->local_cseq = request->cseq.number;
	err = ids_keep(dialog, response, &request->from, request->from.tag, &response->to);
	if (err == 0)
		err = way_keep(dialog, request, response);
	return dialog_give(dialog, err, ret);
}

int stw_dialog_new_uas(
	const struct stw_msg *request, struct stw_str local_tag, struct stw_dialog **ret)
{
	struct stw_dialog *dialog;
	struct stw_address contact;
	int err;

	if (contact_find(request, &contact) < 0)
		return -EBADMSG;
	dialog = calloc(1, sizeof(*dialog));
	if (!dialog)
		return -ENOMEM;
	dialog->secure = request->uri.scheme == STW_SCHEME_SIPS;
	dialog->remote_cseq = request->cseq.number;
	dialog->has_remote_cseq = true;
	err = ids_keep(dialog, request, &request->to, local_tag, &request->from);
	if (err == 0)
		err = route_keep(dialog, request, false);
	if (err == 0)
		err = target_keep(dialog, contact.uri.text);
	return dialog_give(dialog, err, ret);
}

struct stw_dialog *stw_dialog_ref(struct stw_dialog *dialog)
{
	dialog->kept++;
	return dialog;
}

struct stw_dialog *stw_dialog_free(struct stw_dialog *dialog)
{
	if (dialog && dialog->kept)
		dialog->kept--;
	else
		free(dialog);
	return NULL;
}

void stw_dialog_confirm_uac(struct stw_dialog *dialog, const struct stw_msg *response)
{
	struct stw_str route = dialog->route;
	bool fits = route_keep(dialog, response, true) == 0;

	dialog->confirmed = true;
	/* Without room for another one the route set of the early dialog stays. */
	if (!fits)
		dialog->route = route;
	if (stw_dialog_refresh(dialog, response) < 0)
		return;
	dialog->no_target = false;
	dialog->cut = dialog->cut && !fits;
}

void stw_dialog_confirm_uas(struct stw_dialog *dialog)
{
	dialog->confirmed = true;
}

/* ---- what belongs to it -------------------------------------------------------------------- */

/* A tag that is missing and an empty one are the same (§12.1.1). */
static bool tag_equal(struct stw_str a, struct stw_str b)
{
	return a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool stw_dialog_is(const struct stw_dialog *dialog, struct stw_str call_id,
	struct stw_str local_tag, struct stw_str remote_tag)
{
	return stw_str_equal(dialog->call_id, call_id) && tag_equal(dialog->local_tag, local_tag) &&
	       tag_equal(dialog->remote_tag, remote_tag);
}

bool stw_dialog_has_request(const struct stw_dialog *dialog, const struct stw_msg *request)
{
	return stw_dialog_is(dialog, request->call_id, request->to.tag, request->from.tag);
}

bool stw_dialog_has_response(const struct stw_dialog *dialog, const struct stw_msg *response)
{
	return stw_dialog_is(dialog, response->call_id, response->from.tag, response->to.tag);
}

/* ---- requests of both sides ---------------------------------------------------------------- */

int stw_dialog_receive(struct stw_dialog *dialog, const struct stw_msg *request)
{
	if (dialog->has_remote_cseq && request->cseq.number <= dialog->remote_cseq)
		return -ESTALE;
	dialog->has_remote_cseq = true;
	dialog->remote_cseq = request->cseq.number;
	return 0;
}

bool stw_method_refreshes_target(enum stw_method method)
{
	return method == STW_METHOD_INVITE || method == STW_METHOD_UPDATE ||
	       method == STW_METHOD_SUBSCRIBE || method == STW_METHOD_NOTIFY ||
	       method == STW_METHOD_REFER;
}

int stw_dialog_refresh(struct stw_dialog *dialog, const struct stw_msg *msg)
{
	struct stw_address contact;
	int err = contact_find(msg, &contact);

	return err < 0 ? err : target_keep(dialog, contact.uri.text);
}

uint32_t stw_dialog_next_cseq(struct stw_dialog *dialog)
{
	return ++dialog->local_cseq;
}

static void write_address(
	struct stw_writer *writer, const char *name, struct stw_str address, struct stw_str tag)
{
	stw_write_text(writer, name);
	stw_write_str(writer, address);
	if (tag.len) {
		stw_write_text(writer, ";tag=");
		stw_write_str(writer, tag);
	}
	stw_write_text(writer, "\r\n");
}

void stw_dialog_write(const struct stw_dialog *dialog, struct stw_writer *writer,
	struct stw_str method, uint32_t cseq)
{
	write_address(writer, "From: ", dialog->local, dialog->local_tag);
	write_address(writer, "To: ", dialog->remote, dialog->remote_tag);
	stw_write_format(writer, "Call-ID: %.*s\r\nCSeq: %u %.*s\r\n", STW_STR_ARG(dialog->call_id),
		cseq, STW_STR_ARG(method));
}
