/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

/* Parts as "type/disposition/body" joined by "|"; "!" at the end: then the body is broken. */
static const struct {
	const char *type, *body;
	int err;
	const char *parts;
} cases[] = {
	{ "multipart/mixed;boundary=x", "--x\r\nContent-Type: a/b\r\n\r\none\r\n--x--", 0,
		"a/b//one" },
	{ "Multipart / Mixed ; boundary = \"x y\"",
		"preamble\r\n--x y\r\n\r\none\r\n--x y \t\r\ncontent-disposition: "
		"session\r\n\r\n\r\ntwo\r\n\r\n"
		"--x y--\r\nepilogue",
		0, "//one|/session/\r\ntwo\r\n" },
	{ "multipart/mixed;boundary=x", "--x\r\n\r\n--xy\r\n--x\r\nA: b\r\n--x--", 0, "//--xy|//" },
	{ "multipart/mixed;boundary=x", "--x\r\nContent-Type:\r\n a/b;\r\n c=d\r\n\r\n\r\n--x--", 0,
		"a/b;\r\n c=d//" },
	{ "multipart/mixed;boundary=x", "--x\r\n\r\nmid --x dle\r\n--x--", 0, "//mid --x dle" },
	{ "multipart/mixed;boundary=x", "--x\r\n--x--", 0, "//" },
	{ "multipart/mixed;boundary=x", "\r\n--x\r\n\r\n--xy\r\n--x--", 0, "//--xy" },
	{ "multipart/mixed;boundary=x", "a--x\n--x\r--x--", -EBADMSG, "" },
	{ "multipart/mixed;boundary=x", "--x\r\n\r\n\n--x\r--x\r\n--x--", 0, "//\n--x\r--x" },
	{ "multipart/mixed;boundary=-", "-\r\n---\r\n\r\n----\r\n-----", 0, "//----" },
	{ "multipart/mixed;boundary=x",
		"--x\r\nContent-Type\r\nContent-Disposition:b\n\r\n\r\n--x--", 0, "/b/" },
	{ "multipart/mixed;boundary=x", "--x--", 0, "" },
	{ "multipart/mixed;boundary=x", "--x\r\n\r\none", 0, "!" },
	{ "multipart/mixed;boundary=x", "--x\r\n\r\none\r\n--x", 0, "//one|!" },
	{ "multipart/mixed;boundary=x", "--x \n\r\none\r\n--x--", 0, "!" },
	{ "multipart/mixed;boundary=x", "no delimiter", -EBADMSG, "" },
	{ "multipart/mixed;boundary=x", "not at line start --x\r\n", -EBADMSG, "" },
	{ "multipart/mixed;boundary=x", "", -EBADMSG, "" },
	{ "multipart/mixed", "--x--", -EBADMSG, "" },
	{ "multipart/mixed;boundary=\"\"", "----", -EBADMSG, "" },
	{ "multipart;boundary=x", "--x--", -EBADMSG, "" },
	{ "multipart/;boundary=x", "--x--", -EBADMSG, "" },
	{ "multipart/mixed;boundary="
	  "0123456789012345678901234567890123456789012345678901234567890123456789",
		"--0123456789012345678901234567890123456789012345678901234567890123456789--", 0,
		"" },
	{ "multipart/mixed;boundary="
	  "01234567890123456789012345678901234567890123456789012345678901234567890",
		"--01234567890123456789012345678901234567890123456789012345678901234567890--",
		-EBADMSG, "" },
	{ "application/sdp", "v=0", -ENOENT, "" },
	{ "", "", -ENOENT, "" },
};

static void part_write(struct stw_writer *writer, const struct stw_part *part)
{
	if (writer->len)
		stw_write_char(writer, '|');
	stw_write_str(writer, part->content_type);
	stw_write_char(writer, '/');
	stw_write_str(writer, part->content_disposition);
	stw_write_char(writer, '/');
	stw_write_str(writer, part->body);
}

static void test_cases(void **state)
{
	struct stw_multipart multipart;
	struct stw_str type, body;
	struct stw_writer writer;
	struct stw_part part;
	char buffer[512];
	int err, more = 0;
	size_t i;

	assert_int_equal(stw_multipart_begin(STW_STR_NONE, STW_STR_NONE, &multipart), -ENOENT);
	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		type = guard(cases[i].type);
		body = guard(cases[i].body);
		err = stw_multipart_begin(type, body, &multipart);
		if (err != cases[i].err)
			fail_msg("%s %s: %d", cases[i].type, cases[i].body, err);
		stw_writer_init(&writer, buffer, sizeof(buffer));
		while (!err && (more = stw_multipart_next(&multipart, &part)) > 0)
			part_write(&writer, &part);
		if (!err && more < 0)
			stw_write_text(&writer, writer.len ? "|!" : "!");
		assert_str(stw_writer_text(&writer), cases[i].parts);
		unguard(type);
		unguard(body);
	}
}

/* The boundary lives in the walker: a copy of it walks on alone. */
static void test_copy(void **state)
{
	struct stw_multipart first, second;
	struct stw_part part;

	assert_int_equal(stw_multipart_begin(STW_STR("multipart/mixed;boundary=x"),
				 STW_STR("--x\r\n\r\na\r\n--x--"), &first),
		0);
	second = first;
	memset(&first, 0, sizeof(first));
	assert_int_equal(stw_multipart_next(&second, &part), 1);
	assert_str(part.body, "a");
	assert_int_equal(stw_multipart_next(&second, &part), 0);
	assert_int_equal(stw_multipart_next(&second, &part), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
