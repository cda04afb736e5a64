/* SPDX-License-Identifier: Apache-2.0 */
/* Dialogs: how they begin, who belongs to them, route sets, CSeq, targets; what ends what. */
#include <support.h>

#include <strowger/dialog.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parsed {
	struct stw_msg msg;
	struct stw_field fields[64];
	char text[4096];
};

static const struct stw_msg *parse(struct parsed *parsed, const char *start, const char *more)
{
	struct stw_fault fault;
	size_t len = (size_t)snprintf(parsed->text, sizeof(parsed->text),
		"%s\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nCall-ID: c1\r\n%s"
		"Content-Length: 0\r\n\r\n",
		start, more);

	parsed->msg = (struct stw_msg){ .fields = parsed->fields, .field_capacity = 64 };
	assert_int_equal(stw_msg_parse(&parsed->msg, parsed->text, len, NULL, &fault), 0);
	assert_int_equal(stw_msg_check(&parsed->msg, &fault), 0);
	return &parsed->msg;
}

#define INVITE "INVITE sip:bob@example.test SIP/2.0"
#define OURS                                                                                       \
	"From: \"A, l\" <sip:alice@example.test>;tag=a;x=1\r\n"                                    \
	"To: sip:bob@example.test;y=2\r\n"
#define THEIRS                                                                                     \
	"From: \"A, l\" <sip:alice@example.test>;tag=a;x=1\r\n"                                    \
	"To: sip:bob@example.test;tag=b;y=2\r\n"

static struct stw_dialog *uac_dialog(const char *status, const char *more)
{
	static struct parsed request, response;
	struct stw_dialog *dialog = NULL;
	char lines[2048];

	snprintf(lines, sizeof(lines), THEIRS "CSeq: 7 INVITE\r\n%s", more);
	assert_int_equal(stw_dialog_new_uac(parse(&request, INVITE, OURS "CSeq: 7 INVITE\r\n"),
				 parse(&response, status, lines), &dialog),
		0);
	return dialog;
}

static void text_is(struct stw_writer *writer, const char *text)
{
	assert_str(stw_writer_text(writer), text);
}

/* §12.1.2: Record-Route backwards, target of the Contact, CSeq counts on. */
static void response_begins_a_dialog(void **state)
{
	struct stw_dialog *dialog = uac_dialog("SIP/2.0 180 Ringing",
		"Record-Route: <sip:p3;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p1;lr>\r\n"
		"Contact: \"B\" <sip:bob@192.0.2.2;transport=tcp>;q=1\r\n");
	struct stw_dialog *other;
	char buffer[1024];
	struct stw_writer writer;

	(void)state;
	assert_true(dialog->uac && !dialog->confirmed && !dialog->no_target);
	assert_str(dialog->route, "<sip:p1;lr>, <sip:p2;lr>, <sip:p3;lr>");
	assert_str(dialog->target, "sip:bob@192.0.2.2;transport=tcp");
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_dialog_write(dialog, &writer, STW_STR("BYE"), stw_dialog_next_cseq(dialog));
	text_is(&writer, "From: \"A, l\" <sip:alice@example.test>;x=1;tag=a\r\n"
			 "To: <sip:bob@example.test>;y=2;tag=b\r\n"
			 "Call-ID: c1\r\nCSeq: 8 BYE\r\n");
	other = stw_dialog_ref(dialog);
	stw_dialog_free(dialog);
	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_dialog_write(other, &writer, STW_STR("BYE"), stw_dialog_next_cseq(other));
	text_is(&writer, "From: \"A, l\" <sip:alice@example.test>;x=1;tag=a\r\n"
			 "To: <sip:bob@example.test>;y=2;tag=b\r\n"
			 "Call-ID: c1\r\nCSeq: 9 BYE\r\n");
	assert_str(other->route, "<sip:p1;lr>, <sip:p2;lr>, <sip:p3;lr>");
	assert_str(other->target, "sip:bob@192.0.2.2;transport=tcp");
	stw_dialog_free(other);
}

/* §13.2.2.4: the 2xx has the last word about the route set. */
static void success_confirms_with_its_own_route(void **state)
{
	struct stw_dialog *dialog =
		uac_dialog("SIP/2.0 180 Ringing", "Record-Route: <sip:p1;lr>\r\n");
	struct parsed ok;

	(void)state;
	assert_true(dialog->no_target);
	assert_str(dialog->target, "sip:bob@example.test");
	stw_dialog_confirm_uac(dialog,
		parse(&ok, "SIP/2.0 200 OK",
			THEIRS
			"CSeq: 7 INVITE\r\nRecord-Route: <sip:p9>\r\nContact: <sip:b@h>\r\n"));
	assert_true(dialog->confirmed && !dialog->no_target);
	assert_str(dialog->route, "<sip:p9>");
	assert_str(dialog->target, "sip:b@h");
	stw_dialog_free(dialog);
}

static void request_begins_a_dialog(void **state)
{
	struct parsed request;
	struct stw_dialog *dialog = NULL;

	(void)state;
	assert_int_equal(
		stw_dialog_new_uas(parse(&request, INVITE,
					   OURS "CSeq: 7 INVITE\r\nContact: <sip:a@h;x>\r\n"
						"Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n"),
			STW_STR("mine"), &dialog),
		0);
	assert_str(dialog->route, "<sip:p1;lr>, <sip:p2;lr>");
	assert_str(dialog->target, "sip:a@h;x");
	assert_str(dialog->local_tag, "mine");
	assert_str(dialog->remote_tag, "a");
	assert_int_equal(stw_dialog_next_cseq(dialog), 1);
	stw_dialog_free(dialog);
	assert_int_equal(stw_dialog_new_uas(parse(&request, INVITE, OURS "CSeq: 7 INVITE\r\n"),
				 STW_STR("mine"), &dialog),
		-EBADMSG);
	assert_int_equal(
		stw_dialog_new_uas(parse(&request, INVITE, OURS "CSeq: 7 INVITE\r\nContact: *\r\n"),
			STW_STR("mine"), &dialog),
		-EBADMSG);
}

/* §12.2.2: by Call-ID and both tags; only higher numbers are new. */
static void requests_of_the_peer(void **state)
{
	static const struct {
		const char *ids;
		bool belongs;
	} cases[] = {
		{ "From: <sip:b@x>;tag=b\r\nTo: <sip:a@x>;tag=a\r\n", true },
		{ "From: <sip:b@x>;tag=B\r\nTo: <sip:a@x>;tag=a\r\n", false },
		{ "From: <sip:b@x>;tag=b\r\nTo: <sip:a@x>\r\n", false },
		{ "From: <sip:b@x>\r\nTo: <sip:a@x>;tag=a\r\n", false },
	};
	struct stw_dialog *dialog = uac_dialog("SIP/2.0 200 OK", "Contact: <sip:b@h>\r\n");
	struct parsed request;
	char lines[256];

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		snprintf(lines, sizeof(lines), "%sCSeq: 5 BYE\r\n", cases[i].ids);
		assert_int_equal(stw_dialog_has_request(
					 dialog, parse(&request, "BYE sip:a@h SIP/2.0", lines)),
			cases[i].belongs);
	}
	snprintf(lines, sizeof(lines), "%sCSeq: 5 BYE\r\n", cases[0].ids);
	parse(&request, "BYE sip:a@h SIP/2.0", lines);
	assert_int_equal(stw_dialog_receive(dialog, &request.msg), 0);
	assert_int_equal(stw_dialog_receive(dialog, &request.msg), -ESTALE);
	request.msg.cseq.number = 4;
	assert_int_equal(stw_dialog_receive(dialog, &request.msg), -ESTALE);
	request.msg.cseq.number = 900;
	assert_int_equal(stw_dialog_receive(dialog, &request.msg), 0);
	stw_dialog_free(dialog);
}

/* RFC 6141: what cannot be used leaves the target as it was. */
static void target_is_refreshed(void **state)
{
	struct stw_dialog *dialog = uac_dialog("SIP/2.0 200 OK", "Contact: <sip:b@h1>\r\n");
	struct parsed msg;
	char *long_contact = malloc(2000);

	(void)state;
	assert_int_equal(stw_dialog_refresh(dialog,
				 parse(&msg, "SIP/2.0 200 OK",
					 THEIRS "CSeq: 8 UPDATE\r\nContact: <sip:b@h2>\r\n")),
		0);
	assert_str(dialog->target, "sip:b@h2");
	assert_int_equal(stw_dialog_refresh(dialog,
				 parse(&msg, "SIP/2.0 200 OK", THEIRS "CSeq: 9 INVITE\r\n")),
		-ENOENT);
	assert_int_equal(
		stw_dialog_refresh(dialog,
			parse(&msg, "SIP/2.0 200 OK", THEIRS "CSeq: 9 INVITE\r\nContact: <<>\r\n")),
		-EBADMSG);
	snprintf(long_contact, 2000, THEIRS "CSeq: 9 INVITE\r\nContact: <sip:%01200d@h>\r\n", 1);
	assert_int_equal(
		stw_dialog_refresh(dialog, parse(&msg, "SIP/2.0 200 OK", long_contact)), -ENOBUFS);
	assert_str(dialog->target, "sip:b@h2");
	assert_true(stw_method_refreshes_target(STW_METHOD_UPDATE));
	assert_false(stw_method_refreshes_target(STW_METHOD_INFO));
	free(long_contact);
	stw_dialog_free(dialog);
}

/* RFC 5057 §5.1, table 2: every code that it lists. */
static void responses_end_what_they_end(void **state)
{
	static const struct {
		unsigned first, last;
		enum stw_dialog_effect effect;
	} rows[] = {
		{ 200, 403, STW_DIALOG_STAYS },
		{ 404, 404, STW_DIALOG_ENDS },
		{ 405, 405, STW_DIALOG_USAGE_ENDS },
		{ 406, 407, STW_DIALOG_STAYS },
		{ 408, 408, STW_DIALOG_USAGE_ENDS },
		{ 409, 409, STW_DIALOG_STAYS },
		{ 410, 410, STW_DIALOG_ENDS },
		{ 411, 415, STW_DIALOG_STAYS },
		{ 416, 416, STW_DIALOG_ENDS },
		{ 417, 479, STW_DIALOG_STAYS },
		{ 480, 481, STW_DIALOG_USAGE_ENDS },
		{ 482, 485, STW_DIALOG_ENDS },
		{ 486, 500, STW_DIALOG_STAYS },
		{ 501, 501, STW_DIALOG_USAGE_ENDS },
		{ 502, 502, STW_DIALOG_ENDS },
		{ 503, 603, STW_DIALOG_STAYS },
		{ 604, 604, STW_DIALOG_ENDS },
		{ 605, 699, STW_DIALOG_STAYS },
	};

	(void)state;
	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		for (unsigned code = rows[i].first; code <= rows[i].last; code++)
			assert_int_equal(stw_dialog_effect(code, true), rows[i].effect);
	}
	assert_int_equal(stw_dialog_effect(405, false), STW_DIALOG_STAYS);
	assert_int_equal(stw_dialog_effect(501, false), STW_DIALOG_STAYS);
	assert_int_equal(stw_dialog_effect(481, false), STW_DIALOG_USAGE_ENDS);
	assert_true(stw_method_is_integral(STW_METHOD_UPDATE));
	assert_false(stw_method_is_integral(STW_METHOD_INFO));
}

static void too_much_text(void **state)
{
	static struct parsed request, response;
	struct stw_dialog *dialog = NULL;
	char lines[4000];

	(void)state;
	for (unsigned nth = 1; nth < 2; nth++) {
		parse(&request, INVITE, OURS "CSeq: 7 INVITE\r\n");
		snprintf(lines, sizeof(lines), THEIRS "CSeq: 7 INVITE\r\n");
		parse(&response, "SIP/2.0 200 OK", lines);
		support_fail_allocation(nth);
		assert_int_equal(stw_dialog_new_uac(&request.msg, &response.msg, &dialog), -ENOMEM);
		support_fail_allocation(0);
	}
	assert_null(dialog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(response_begins_a_dialog),
		cmocka_unit_test(success_confirms_with_its_own_route),
		cmocka_unit_test(request_begins_a_dialog),
		cmocka_unit_test(requests_of_the_peer),
		cmocka_unit_test(target_is_refreshed),
		cmocka_unit_test(responses_end_what_they_end),
		cmocka_unit_test(too_much_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
