/* SPDX-License-Identifier: Apache-2.0 */
#include "lab.h"

static const char invite_text[] = "INVITE sip:bob@biloxi.com SIP/2.0\r\n"
				  "v: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff, "
				  "SIP/2.0/TCP other.example;branch=z9hG4bK2\r\n"
				  "To: Bob <sip:bob@biloxi.com>\r\n"
				  "From: Alice <sip:alice@atlanta.com>;tag=88sja8x\r\n"
				  "Max-Forwards: 7\r\n"
				  "Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n"
				  "Route: <sip:p3.example;lr>\r\n"
				  "Require: 100rel\r\nProxy-Require: foo\r\n"
				  "Request-Disposition: no-fork\r\n"
				  "a: *;audio\r\n"
				  "Reject-Contact: *;video, *;mobility=\"mobile\"\r\n"
				  "Call-ID: 987asjd97y7atg\r\n"
				  "CSeq: 986759 INVITE\r\n"
				  "a: *;automata\r\n"
				  "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody";

static const char response_text[] = "SIP/2.0 486 Busy Here\r\n"
				    "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\r\n"
				    "To: Bob <sip:bob@biloxi.com>;tag=99sa0xk\r\n"
				    "From: Alice <sip:alice@atlanta.com>;tag=88sja8x\r\n"
				    "Call-ID: 987asjd97y7atg\r\n"
				    "CSeq: 986759 INVITE\r\nContent-Length: 0\r\n\r\n";

/* RFC 3841 §5: equal to those of the request. */
#define PREFERENCES                                                                                \
	"a: *;audio\r\na: *;automata\r\n"                                                          \
	"Reject-Contact: *;video, *;mobility=\"mobile\"\r\n"                                       \
	"Request-Disposition: no-fork\r\n"

static struct lab_msg invite, response;

/* RFC 3261 §17.1.1.3. */
static void test_ack(void **state)
{
	struct stw_writer writer;
	char buffer[2048];
	struct lab_msg ack;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_tx_write_ack(
		&writer, lab_parse(&invite, invite_text), lab_parse(&response, response_text));
	assert_false(writer.overflow);
	assert_str(stw_writer_text(&writer),
		"ACK sip:bob@biloxi.com SIP/2.0\r\n"
		"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\r\n"
		"Max-Forwards: 70\r\n"
		"Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n"
		"Route: <sip:p3.example;lr>\r\n"
		"From: Alice <sip:alice@atlanta.com>;tag=88sja8x\r\n"
		"To: Bob <sip:bob@biloxi.com>;tag=99sa0xk\r\n"
		"Call-ID: 987asjd97y7atg\r\n"
		"CSeq: 986759 ACK\r\n" PREFERENCES "Content-Length: 0\r\n\r\n");
	stw_write_char(&writer, '\0');
	assert_int_equal(lab_parse(&ack, buffer)->method, STW_METHOD_ACK);
}

/* RFC 3261 §9.1: no Require, To as in the request; RFC 3326. */
static void test_cancel(void **state)
{
	struct stw_writer writer;
	char buffer[2048];

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_tx_write_cancel(&writer, lab_parse(&invite, invite_text),
		STW_STR("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"));
	assert_str(stw_writer_text(&writer),
		"CANCEL sip:bob@biloxi.com SIP/2.0\r\n"
		"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\r\n"
		"Max-Forwards: 70\r\n"
		"Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n"
		"Route: <sip:p3.example;lr>\r\n"
		"From: Alice <sip:alice@atlanta.com>;tag=88sja8x\r\n"
		"To: Bob <sip:bob@biloxi.com>\r\n"
		"Call-ID: 987asjd97y7atg\r\n"
		"CSeq: 986759 CANCEL\r\n" PREFERENCES
		"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"
		"Content-Length: 0\r\n\r\n");
}

static void test_too_small(void **state)
{
	struct stw_writer writer;
	char buffer[100];

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_tx_write_cancel(&writer, lab_parse(&invite, invite_text), STW_STR_NONE);
	assert_true(writer.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ack),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
