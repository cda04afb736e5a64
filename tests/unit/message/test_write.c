/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strowger/message.h>

static struct stw_field fields[STW_MSG_FIELDS_MAX], more_fields[STW_MSG_FIELDS_MAX];
static char buffer[16384];

/* As an element does it: check what can be read, even when parsing failed. */
static int read_request(struct stw_msg *msg, struct stw_field *room, struct stw_str text)
{
	struct stw_fault fault = { 0 };
	int err, err_check;

	*msg = (struct stw_msg){ .fields = room, .field_capacity = STW_MSG_FIELDS_MAX };
	err = stw_msg_parse(msg, text.ptr, text.len, NULL, &fault);
	err_check = stw_msg_check(msg, &fault);
	return err ? err : err_check;
}

static struct stw_str write_response(const struct stw_response *response)
{
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_response_write(&writer, response);
	assert_false(writer.overflow);
	return stw_writer_text(&writer);
}

#define REQUEST                                                                                    \
	"INVITE sip:bob@example.com SIP/2.0\r\n"                                                   \
	"v: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bKa , SIP/2.0/TCP b;branch=z9hG4bKb\r\n"  \
	"Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n"                                               \
	"t: Bob <sip:bob@example.com>\r\n"                                                         \
	"f: \"A\" <sip:alice@example.com>;tag=1\r\n"                                               \
	"Timestamp: 54\r\n"                                                                        \
	"i: 4711@a\r\n"                                                                            \
	"VIA: SIP/2.0/UDP c;branch=z9hG4bKc\r\n"                                                   \
	"CSeq:   0009\r\n  INVITE\r\n"                                                             \
	"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"

#define VIAS_BELOW "Via: SIP/2.0/TCP b;branch=z9hG4bKb\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKc\r\n"
#define FROM       "From: \"A\" <sip:alice@example.com>;tag=1\r\n"
#define IDS        "Call-ID: 4711@a\r\nCSeq: 0009\r\n  INVITE\r\n"

static void trying_copies_timestamp_and_adds_no_tag(void **state)
{
	struct stw_response response = {
		.code = 100, .to_tag = STW_STR("t1"), .record_route = true
	};
	struct stw_msg msg;

	assert_int_equal(read_request(&msg, fields, STW_STR(REQUEST)), 0);
	response.request = &msg;
	assert_str(write_response(&response),
		"SIP/2.0 100 Trying\r\n"
		"Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bKa\r\n" VIAS_BELOW FROM
		"To: Bob <sip:bob@example.com>\r\n" IDS
		"Timestamp: 54\r\nContent-Length: 0\r\n\r\n");
}

static void ok_with_all_parts(void **state)
{
	struct stw_response response = {
		.code = 200,
		.phrase = STW_STR("Fine"),
		.to_tag = STW_STR("t1"),
		.record_route = true,
		.headers = STW_STR("Contact: <sip:x>\r\nServer: Strowger\r\n"),
		.content_type = STW_STR("text/plain"),
		.body = STW_STR("hello"),
		.received = STW_STR("2001:db8::1"),
		.rport = 9999,
	};
	struct stw_msg msg;

	assert_int_equal(read_request(&msg, fields, STW_STR(REQUEST)), 0);
	response.request = &msg;
	assert_str(write_response(&response),
		"SIP/2.0 200 Fine\r\n"
		"Via: SIP/2.0/UDP "
		"192.0.2.1:5062;rport=9999;branch=z9hG4bKa;received=2001:db8::1\r\n" VIAS_BELOW
		"Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n" FROM
		"To: Bob <sip:bob@example.com>;tag=t1\r\n" IDS
		"Contact: <sip:x>\r\nServer: Strowger\r\nContent-Type: text/plain\r\n"
		"Content-Length: 5\r\n\r\nhello");
}

/* Record-Route only where a dialog may begin (§12.1.1). */
static void refusal_has_no_record_route(void **state)
{
	struct stw_response response = {
		.code = 404, .to_tag = STW_STR("t1"), .record_route = true
	};
	struct stw_msg msg;
	struct stw_str text;

	assert_int_equal(read_request(&msg, fields, STW_STR(REQUEST)), 0);
	response.request = &msg;
	text = write_response(&response);
	assert_true(stw_str_starts(text, STW_STR("SIP/2.0 404 Not Found\r\n")));
	assert_null(memmem(text.ptr, text.len, "Record-Route", 12));
	assert_null(memmem(text.ptr, text.len, "Timestamp", 9));
}

/* RFC 3261 §18.2.1, RFC 3581 §4. */
static void top_via_is_stamped(void **state)
{
	static const struct {
		const char *via, *received;
		uint16_t rport;
		const char *out;
	} cases[] = {
		{ "SIP/2.0/UDP a;branch=z9hG4bK1", "192.0.2.9", 7,
			"SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.9" },
		{ "SIP/2.0/UDP a", "192.0.2.9", 7, "SIP/2.0/UDP a;received=192.0.2.9" },
		{ "SIP/2.0/UDP a;rport", "", 7, "SIP/2.0/UDP a;rport=7" },
		{ "SIP/2.0/UDP a;rport=1", "192.0.2.9", 7,
			"SIP/2.0/UDP a;rport=7;received=192.0.2.9" },
		{ "SIP/2.0/UDP a;rport", "", 0, "SIP/2.0/UDP a;rport" },
		{ "SIP/2.0/UDP a;BRANCH=z9hG4bK1;rport", "192.0.2.9", 7,
			"SIP/2.0/UDP a;BRANCH=z9hG4bK1;rport=7;received=192.0.2.9" },
		{ "SIP/2.0/UDP a;branch=z9hG4bK1;RPORT", "", 7,
			"SIP/2.0/UDP a;branch=z9hG4bK1;rport=7" },
		{ "SIP/2.0/UDP a;rport;branch=z9hG4bK1", "", 7,
			"SIP/2.0/UDP a;rport=7;branch=z9hG4bK1" },
		{ "SIP/2.0/UDP a;branch=z9hG4bK1", "192.0.2.9", 0,
			"SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.9" },
		{ "SIP/2.0/UDP a ; RPORT ; branch = z9hG4bK1", "192.0.2.9", 65535,
			"SIP/2.0/UDP a;rport=65535;branch=z9hG4bK1;received=192.0.2.9" },
		{ "SIP/2.0/UDP a;received=10.0.0.1;branch=z9hG4bK1", "192.0.2.9", 0,
			"SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.9" },
		{ "SIP/2.0/UDP a;received=10.0.0.1;branch=z9hG4bK1", "", 7,
			"SIP/2.0/UDP a;received=10.0.0.1;branch=z9hG4bK1" },
		{ "SIP / 2.0 / UDP\r\n a:5060 ;branch=z9hG4bK1;x=\";received=1\"", "192.0.2.9", 0,
			"SIP / 2.0 / UDP\r\n "
			"a:5060;branch=z9hG4bK1;x=\";received=1\";received=192.0.2.9" },
	};

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		char request[512], expected[512];
		struct stw_response response = {
			.code = 100,
			.received = stw_str_from(cases[i].received),
			.rport = cases[i].rport,
		};
		struct stw_msg msg;
		struct stw_str text;

		snprintf(request, sizeof(request),
			"OPTIONS sip:b SIP/2.0\r\nVia: %s\r\nFrom: <sip:a>;tag=1\r\n"
			"To: <sip:b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n",
			cases[i].via);
		snprintf(expected, sizeof(expected),
			"SIP/2.0 100 Trying\r\nVia: %s\r\nFrom: ", cases[i].out);
		assert_int_equal(read_request(&msg, fields, stw_str_from(request)), 0);
		response.request = &msg;
		text = write_response(&response);
		assert_str(stw_str_cut(text, 0, strlen(expected)), expected);
	}
}

/* RFC 4475 §3.3.1: the answer is built from what is there and readable. */
static void broken_requests_are_answered(void **state)
{
	static const char in[] =
		"OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
		"From: \"open <sip:a>;tag=1\r\nCSeq: x OPTIONS\r\nTo: <sip:b>;tag=9\r\n\r\n";
	struct stw_response response = { .code = 400,
		.phrase = STW_STR("Missing Call-ID Header Field"),
		.to_tag = STW_STR("new") };
	struct stw_msg msg;

	assert_true(read_request(&msg, fields, STW_STR(in)) < 0);
	response.request = &msg;
	assert_str(write_response(&response), "SIP/2.0 400 Missing Call-ID Header Field\r\n"
					      "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: "
					      "<sip:b>;tag=9\r\nContent-Length: 0\r\n\r\n");
}

static void unknown_code_has_an_empty_phrase(void **state)
{
	struct stw_response response = { .code = 499 };
	struct stw_msg msg;

	assert_int_equal(read_request(&msg, fields, STW_STR(REQUEST)), 0);
	response.request = &msg;
	assert_true(stw_str_starts(write_response(&response), STW_STR("SIP/2.0 499 \r\nVia: ")));
}

/* What does not fit is told, and no byte is written behind the buffer. */
static void small_buffers_overflow(void **state)
{
	struct stw_response response = { .code = 200,
		.to_tag = STW_STR("t1"),
		.record_route = true,
		.received = STW_STR("192.0.2.9"),
		.rport = 1 };
	struct stw_msg msg;
	size_t whole;

	assert_int_equal(read_request(&msg, fields, STW_STR(REQUEST)), 0);
	response.request = &msg;
	whole = write_response(&response).len;
	for (size_t capacity = 0; capacity <= whole; capacity++) {
		struct stw_writer writer;
		char *room = malloc(capacity + 1);

		assert_non_null(room);
		room[capacity] = '!';
		stw_writer_init(&writer, room, capacity);
		stw_response_write(&writer, &response);
		assert_int_equal(writer.overflow, capacity < whole);
		assert_int_equal(room[capacity], '!');
		free(room);
	}
}

static void assert_copied(const struct stw_msg *request, const struct stw_msg *answer)
{
	struct stw_values a = stw_msg_values(request, STW_HDR_VIA);
	struct stw_values b = stw_msg_values(answer, STW_HDR_VIA);
	struct stw_str via, copy;

	while (stw_values_next(&a, &via)) {
		assert_true(stw_values_next(&b, &copy));
		assert_true(stw_str_equal(via, copy));
	}
	assert_false(stw_values_next(&b, &copy));
	assert_true(stw_str_equal(request->call_id, answer->call_id));
	assert_true(stw_str_equal(request->from.tag, answer->from.tag));
	assert_int_equal(request->cseq.number, answer->cseq.number);
	assert_true(stw_str_equal(request->cseq.name, answer->cseq.name));
	if (request->to.tag.ptr)
		assert_true(stw_str_equal(request->to.tag, answer->to.tag));
	else
		assert_str(answer->to.tag, "new-tag");
}

/* Every request of the flows is answered, and the answer reads back with the same identities. */
static unsigned answer_folder(const char *folder_name)
{
	char path[512];
	struct dirent *entry;
	unsigned count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), STW_SOURCE_ROOT "/%s", folder_name);
	folder = opendir(path);
	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		struct stw_response response = { .code = 486, .to_tag = STW_STR("new-tag") };
		struct stw_msg request, answer;
		char *text;
		size_t len;

		if (!strstr(entry->d_name, ".sip"))
			continue;
		snprintf(path, sizeof(path), "%.200s/%s", folder_name, entry->d_name);
		text = support_read_file(path, &len);
		assert_int_equal(read_request(&request, fields, (struct stw_str){ text, len }), 0);
		response.request = &request;
		if (request.is_request) {
			assert_int_equal(
				read_request(&answer, more_fields, write_response(&response)), 0);
			assert_int_equal(answer.code, 486);
			assert_copied(&request, &answer);
			count++;
		}
		free(text);
	}
	closedir(folder);
	return count;
}

static void all_requests_of_the_flows_are_answered(void **state)
{
	assert_int_equal(answer_folder("tests/torture/rfc3665"), 89);
	assert_int_equal(answer_folder("tests/torture/rfc5359"), 171);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trying_copies_timestamp_and_adds_no_tag),
		cmocka_unit_test(ok_with_all_parts),
		cmocka_unit_test(refusal_has_no_record_route),
		cmocka_unit_test(top_via_is_stamped),
		cmocka_unit_test(broken_requests_are_answered),
		cmocka_unit_test(unknown_code_has_an_empty_phrase),
		cmocka_unit_test(small_buffers_overflow),
		cmocka_unit_test(all_requests_of_the_flows_are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
