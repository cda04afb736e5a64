/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

static const char text[] =
	"INVITE sip:bob:pw@example.com:5070;x=y SIP/2.0\r\n"
	"Via: SIP/2.0/TCP h:1;branch=z9hG4bK1;received=192.0.2.1;maddr=192.0.2.2;rport=9"
	";oc=7;oc-algo=\"loss\"\r\n"
	"From: \"A\" <sip:a@b>;tag=1\r\n"
	"To: <tel:+1-2;ext=3>;tag=2\r\n"
	"Call-ID: x@y\r\n"
	"CSeq: 1 INVITE\r\n"
	"X-Other: z\r\n"
	"Content-Length: 4\r\n"
	"\r\n"
	"bodymore";

static void test_keep(void **state)
{
	struct stw_block *block;
	struct guarded_msg m;
	struct stw_msg *kept;

	assert_int_equal(guarded_parse(&m, text), 0);
	assert_int_equal(stw_msg_check(&m.msg, &m.fault), 0);
	support_fail_allocation(0);
	assert_int_equal(stw_msg_keep(&m.msg, &block, &kept), 0);
	assert_int_equal(support_allocations(), 1);
	/* The old bytes and index go: nothing may point there. */
	guarded_done(&m);
	memset(&m, 0xff, sizeof(m));

	assert_int_equal(kept->len, sizeof(text) - 1 - 4);
	assert_str(stw_msg_body(kept), "body");
	assert_str(kept->uri.text, "sip:bob:pw@example.com:5070;x=y");
	assert_str(kept->uri.user, "bob");
	assert_str(kept->uri.password, "pw");
	assert_str(kept->uri.host, "example.com");
	assert_str(kept->uri.params, ";x=y");
	assert_str(kept->via.transport, "TCP");
	assert_str(kept->via.sent_by, "h:1");
	assert_str(kept->via.branch, "z9hG4bK1");
	assert_str(kept->via.received, "192.0.2.1");
	assert_str(kept->via.maddr, "192.0.2.2");
	assert_str(kept->via.oc, "7");
	assert_str(kept->via.oc_algo, "loss");
	assert_int_equal(kept->via.rport, 9);
	assert_str(kept->from.display, "\"A\"");
	assert_str(kept->from.tag, "1");
	assert_str(kept->to.uri.user, "+1-2");
	assert_str(kept->to.uri.params, ";ext=3");
	assert_str(kept->to.tag, "2");
	assert_null(kept->to.uri.password.ptr);
	assert_str(kept->call_id, "x@y");
	assert_str(kept->cseq.name, "INVITE");
	assert_int_equal(kept->field_count, 7);
	assert_str(stw_msg_value(kept, STW_HDR_CALL_ID), "x@y");
	assert_str(stw_field_value(kept, stw_msg_find_name(kept, STW_STR("X-Other"))), "z");
	stw_block_unref(block);
}

static void test_undecoded(void **state)
{
	struct stw_block *block;
	struct guarded_msg m;
	struct stw_msg *kept;

	assert_int_equal(guarded_parse(&m, "SIP/2.0 200 OK\r\n\r\n"), 0);
	assert_int_equal(stw_msg_keep(&m.msg, &block, &kept), 0);
	guarded_done(&m);
	assert_int_equal(kept->field_count, 0);
	assert_null(kept->via.text.ptr);
	assert_str(stw_msg_phrase(kept), "OK");
	stw_block_unref(block);
}

static void test_no_memory(void **state)
{
	struct stw_block *block = NULL;
	struct stw_msg *kept = NULL;
	struct guarded_msg m;

	assert_int_equal(guarded_parse(&m, text), 0);
	support_fail_allocation(1);
	assert_int_equal(stw_msg_keep(&m.msg, &block, &kept), -ENOMEM);
	support_fail_allocation(0);
	assert_null(block);
	assert_null(kept);
	guarded_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_undecoded),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
