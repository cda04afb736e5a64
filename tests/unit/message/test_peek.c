/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

#define START "INVITE sip:bob@b.example SIP/2.0\r\n"
#define VIA   "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
#define FROM  "From: Alice <sip:a@a.example>;tag=7\r\n"
#define TO    "To: <sip:bob@b.example>\r\n"
#define REST  "Call-ID: c1\r\nCSeq: 1 INVITE\r\n"
#define END   "Content-Length: 0\r\n\r\n"

static const struct {
	const char *in;
	bool plain;
} cases[] = {
	{ START VIA FROM TO REST END, true },
	{ START VIA VIA FROM TO REST "\r\nbody", true },
	{ START "v:SIP/2.0/UDP h\r\nf: <sip:a@a>;tag=7\r\nt: b\r\ni: c1\r\ncSEQ : 1 INVITE\r\n\r\n",
		false },
	{ START "v:SIP/2.0/UDP h\r\nf: <sip:a@a>;tag=7\r\nt: b\r\ni: c1\r\ncSEQ: 1 INVITE\r\n\r\n",
		true },
	{ START VIA FROM TO REST "Resource: 1\r\n" END, true },
	{ START VIA FROM TO REST "Route: <sip:192.0.2.9;lr>\r\n" END, true },
	/* What may be urgent, or belong to a dialog. */
	{ START VIA FROM TO REST "resource-PRIORITY: ets.0\r\n" END, false },
	{ START VIA FROM "To: <sip:bob@b.example>;tag=1\r\n" REST END, false },
	{ START VIA FROM "To: <sip:bob@b.example> ; TaG = 1\r\n" REST END, false },
	{ START VIA FROM "To: sip:bob@b.example;tag=1\r\n" REST END, false },
	{ "ACK sip:b SIP/2.0\r\n" VIA FROM "To: <sip:b@b.example>;tag=1\r\n"
	  "Call-ID: c1\r\nCSeq: 1 ACK\r\n\r\n",
		true },
	/* What is missing, or there twice. */
	{ START FROM TO REST END, false },
	{ START VIA TO REST END, false },
	{ START VIA FROM REST END, false },
	{ START VIA FROM TO "CSeq: 1 INVITE\r\n" END, false },
	{ START VIA FROM TO "Call-ID: c1\r\n" END, false },
	{ START VIA FROM FROM TO REST END, false },
	{ START VIA FROM TO TO REST END, false },
	{ START VIA FROM TO REST REST END, false },
	{ START VIA FROM TO REST, false },
	/* What is not plain. */
	{ START "Via: SIP/2.0/UDP h, SIP/2.0/UDP i\r\n" FROM TO REST END, false },
	{ START VIA FROM TO " ;tag=1\r\n" REST END, false },
	{ START VIA FROM TO REST "From : <sip:x@x.example>;tag=9\r\n" END, false },
	{ START VIA FROM TO REST "no colon\r\n" END, true },
	{ START VIA FROM TO REST "Call-IDs\r\n" END, false },
	{ "INVITE sip:bob@b.example SIP/2.1\r\n" VIA FROM TO REST END, false },
	{ "INVITE  SIP/2.0\r\n" VIA FROM TO REST END, false },
	{ "PLAY sip:bob@b.example SIP/2.0\r\n" VIA FROM TO REST END, false },
	{ "SIP/2.0 200 OK\r\n" VIA FROM TO REST END, false },
	{ START VIA FROM TO "Call-ID: c1\nCSeq: 1 INVITE\r\n" END, false },
	{ "", false },
	{ "\r\n\r\n", false },
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].in);
		char *bytes = support_guarded(cases[i].in, len);
		struct stw_msg_peek peek;

		if (stw_msg_peek(bytes, len, &peek) != cases[i].plain)
			fail_msg("case %zu: %s", i, cases[i].in);
		support_guarded_free(bytes, len);
	}
}

static void test_members(void **state)
{
	const char *text = START VIA "V: SIP/2.0/TCP h\r\n" FROM TO REST END;
	struct stw_msg_peek peek;

	assert_true(stw_msg_peek(text, strlen(text), &peek));
	assert_int_equal(peek.method, STW_METHOD_INVITE);
	assert_str(peek.uri, "sip:bob@b.example");
	assert_int_equal(peek.via_count, 2);
	assert_str(peek.via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
	assert_str(peek.vias[1], "V: SIP/2.0/TCP h");
	assert_str(peek.from, "Alice <sip:a@a.example>;tag=7");
	assert_str(peek.to, "<sip:bob@b.example>");
	assert_str(peek.call_id, "c1");
	assert_str(peek.cseq, "1 INVITE");
}

/* Cut anywhere it is not whole, and nothing behind is read. */
static void test_cut(void **state)
{
	const char *text = START VIA FROM TO REST END;
	struct stw_msg_peek peek;

	for (size_t len = 0; len < strlen(text); len++) {
		char *bytes = support_guarded(text, len);

		assert_false(stw_msg_peek(bytes, len, &peek));
		support_guarded_free(bytes, len);
	}
}

static void test_many_vias(void **state)
{
	char text[2048];
	struct stw_msg_peek peek;

	for (unsigned vias = 1; vias <= STW_PEEK_VIAS_MAX + 1; vias++) {
		strcpy(text, START);
		for (unsigned i = 0; i < vias; i++)
			strcat(text, VIA);
		strcat(text, FROM TO REST END);
		assert_int_equal(
			stw_msg_peek(text, strlen(text), &peek), vias <= STW_PEEK_VIAS_MAX);
	}
}

static void test_tag(void **state)
{
	static const char *const bad[] = { "<sip:a@a>", "sip:a@a;tag=1", "<sip:a@a> ;tag=1",
		"<sip:a@a>;x=1;tag=1", "\"A\" <sip:a@a>;tag=1",
		"<sip:a@a>;tag=", "<sip:a@a>;tag=1 ", "" };
	struct stw_str tag;

	assert_int_equal(stw_msg_peek_tag(STW_STR("<sip:a@a>;tag=1"), &tag), 0);
	assert_str(tag, "1");
	assert_int_equal(stw_msg_peek_tag(STW_STR("A <sip:a@a;x=1>;tag=12;y=2"), &tag), 0);
	assert_str(tag, "12");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(stw_msg_peek_tag(stw_str_from(bad[i]), &tag), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_many_vias),
		cmocka_unit_test(test_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
