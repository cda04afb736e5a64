/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include <strowger/sdp.h>

#include "support.h"

#define HEAD "v=0\r\no=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\ns=Call\r\n"
#define GOOD HEAD "c=IN IP4 198.51.100.1\r\nt=0 0\r\n"

static const struct {
	const char *in;
	int err;
	unsigned line;
	const char *why;
} cases[] = {
	{ GOOD, 0, 0, "" },
	{ GOOD "m=audio 49170 RTP/AVP 0\r\n", 0, 0, "" },
	{ GOOD "m=audio 49170 RTP/AVP 0\r\n\r\n", 0, 0, "" },
	{ "v=0\no=- 1 1 IN IP6 ::1\ns=-\nc=IN IP6 ::1\nt=0 0\nm=audio 9 RTP/AVP 0\n", 0, 0, "" },
	{ GOOD "m=audio 49170 RTP/AVP 0", 0, 0, "" },
	{ HEAD "t=0 0\r\nm=audio 0 RTP/AVP 0\r\n", 0, 0, "" },
	{ HEAD "t=0 0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n", 0, 0, "" },
	{ "", -EBADMSG, 1, "the first line is not v=" },
	{ "o=- 1 1 IN IP4 x\r\n", -EBADMSG, 1, "the first line is not v=" },
	{ "v=1\r\n", -EBADMSG, 1, "the version of v= is not 0" },
	{ "v=0\r\ns=-\r\n", -EBADMSG, 2, "the second line is not o=" },
	{ "v=0\r\no=- 1 1 IN IP4\r\n", -EBADMSG, 2, "o= is not user" },
	{ "v=0\r\no=- x 1 IN IP4 h\r\n", -EBADMSG, 2, "not numbers" },
	{ "v=0\r\no=- 1 1 IN IP4 h\r\nt=0 0\r\n", -EBADMSG, 3, "the third line is not s=" },
	{ "v=0\r\no=- 1 1 IN IP4 h\r\n", -EBADMSG, 3, "the third line is not s=" },
	{ HEAD "m=audio 0 RTP/AVP 0\r\n", -EBADMSG, 4, "there is no t=" },
	{ HEAD, -EBADMSG, 3, "there is no t=" },
	{ GOOD "x=1\r\n", -EBADMSG, 6, "unknown" },
	{ GOOD "v=0\r\n", -EBADMSG, 6, "twice" },
	{ GOOD "\r\nm=audio 1 RTP/AVP 0\r\n", -EBADMSG, 6, "empty" },
	{ GOOD "a\r\n", -EBADMSG, 6, "does not begin" },
	{ GOOD "a=x\ry\r\n", -EBADMSG, 6, "lone CR" },
	{ GOOD "c=IN IP4\r\n", -EBADMSG, 6, "c= is not" },
	{ GOOD "m=audio RTP/AVP 0\r\n", -EBADMSG, 6, "m= is not" },
	{ GOOD "m=audio 65536 RTP/AVP 0\r\n", -EBADMSG, 6, "the port of m=" },
	{ GOOD "m=audio -1 RTP/AVP 0\r\n", -EBADMSG, 6, "the port of m=" },
	{ GOOD "m=audio 1/0 RTP/AVP 0\r\n", -EBADMSG, 6, "number of ports" },
	{ GOOD "m=audio 1 RTP/AVP\r\n", -EBADMSG, 6, "m= is not" },
	{ GOOD "m=audio 1 RTP/AVP 0  8\r\n", -EBADMSG, 6, "single spaces" },
	{ GOOD "m=audio 1 RTP/AVP 0\r\nt=0 0\r\n", -EBADMSG, 7, "may not be there" },
	{ HEAD "t=0 0\r\nm=audio 1 RTP/AVP 0\r\na=x\r\n", -EBADMSG, 5, "there is no c=" },
	{ HEAD "t=0 0\r\nm=a 1 RTP/AVP 0\r\nm=b 0 RTP/AVP 0\r\n", -EBADMSG, 5, "there is no c=" },
};

static void test_cases(void **state)
{
	static struct stw_sdp sdp;
	struct stw_sdp_fault fault;
	char *text;
	size_t len;
	int err;

	for (size_t i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		len = strlen(cases[i].in);
		text = support_guarded(cases[i].in, len);
		fault = (struct stw_sdp_fault){ 0, "" };
		err = stw_sdp_parse((struct stw_str){ text, len }, &sdp, &fault);
		if (err != cases[i].err || fault.line != cases[i].line ||
			!strstr(fault.why, cases[i].why))
			fail_msg("%s\n-> %d, line %u: %s", cases[i].in, err, fault.line, fault.why);
		support_guarded_free(text, len);
	}
}

/* RFC 8866 §5, without what SIP does not use. */
static const char example[] = "v=0\r\n"
			      "o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n"
			      "s=Call to John Smith\r\n"
			      "i=SDP Offer #1\r\n"
			      "u=http://www.jdoe.example.com/home.html\r\n"
			      "e=Jane Doe <jane@jdoe.example.com>\r\n"
			      "p=+1 617 555-6011\r\n"
			      "c=IN IP4 198.51.100.1/127\r\n"
			      "t=0 0\r\n"
			      "a=recvonly\r\n"
			      "m=audio 49170/2 RTP/AVP 0 8 101\r\n"
			      "a=rtpmap:101 telephone-event/8000\r\n"
			      "a=fmtp:101 0-15\r\n"
			      "a=sendonly\r\n"
			      "m=video 51372 RTP/AVP 99\r\n"
			      "c=IN IP6 2001:db8::2\r\n"
			      "a=rtpmap:99 h263-1998/90000\r\n";

static void test_example(void **state)
{
	struct stw_str value, name, format;
	struct stw_sdp_fault fault;
	static struct stw_sdp sdp;
	size_t cursor = 0;

	assert_int_equal(stw_sdp_parse(stw_str_from(example), &sdp, &fault), 0);
	assert_str(sdp.user, "jdoe");
	assert_str(sdp.session_id, "3724394400");
	assert_str(sdp.version, "3724394405");
	assert_str(sdp.origin.address, "198.51.100.1");
	assert_str(sdp.name, "Call to John Smith");
	assert_int_equal(sdp.media_count, 2);
	assert_str(sdp.media[0].type, "audio");
	assert_int_equal(sdp.media[0].port, 49170);
	assert_int_equal(sdp.media[0].port_count, 2);
	assert_str(sdp.media[0].formats, "0 8 101");
	assert_int_equal(sdp.media[0].format_count, 3);
	assert_str(sdp.media[0].connection.address, "198.51.100.1");
	assert_int_equal(sdp.media[0].direction, STW_SDP_SENDONLY);
	assert_int_equal(sdp.media[1].direction, STW_SDP_RECVONLY);
	assert_str(sdp.media[1].connection.type, "IP6");
	assert_str(sdp.media[1].connection.address, "2001:db8::2");
	assert_int_equal(sdp.media[1].line, 15);
	assert_true(
		stw_sdp_format_attribute(&sdp.media[0], STW_STR("rtpmap"), STW_STR("101"), &value));
	assert_str(value, "telephone-event/8000");
	assert_false(
		stw_sdp_format_attribute(&sdp.media[0], STW_STR("rtpmap"), STW_STR("10"), &value));
	assert_false(stw_sdp_attribute(sdp.media[1].lines, STW_STR("fmtp"), &value));
	assert_true(stw_sdp_attribute(sdp.lines, STW_STR("recvonly"), &value));
	assert_int_equal(value.len, 0);
	while (stw_sdp_format_next(&sdp.media[0], &cursor, &format))
		name = format;
	assert_str(name, "101");
	cursor = 0;
	assert_true(stw_sdp_attribute_next(sdp.media[0].lines, &cursor, &name, &value));
	assert_str(name, "rtpmap");
}

static void test_limits(void **state)
{
	static struct stw_sdp sdp;
	struct stw_sdp_fault fault;
	char text[1024] = GOOD;

	for (unsigned i = 0; i < STW_SDP_MEDIA_MAX; i++)
		strcat(text, "m=audio 1 RTP/AVP 0\r\n");
	assert_int_equal(stw_sdp_parse(stw_str_from(text), &sdp, &fault), 0);
	strcat(text, "m=audio 1 RTP/AVP 0\r\n");
	assert_int_equal(stw_sdp_parse(stw_str_from(text), &sdp, &fault), -ENOBUFS);
	assert_int_equal(fault.line, 22);
	strcpy(text, GOOD "m=audio 1 RTP/AVP");
	for (unsigned i = 0; i < STW_SDP_FORMATS_MAX; i++)
		strcat(text, " 0");
	assert_int_equal(stw_sdp_parse(stw_str_from(text), &sdp, &fault), 0);
	strcat(text, " 0");
	assert_int_equal(stw_sdp_parse(stw_str_from(text), &sdp, &fault), -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
