/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

/* Parameters as "name" or "name=value", joined by "|"; "!" at the end: then the list is broken. */
static const struct {
	const char *in, *out;
} lists[] = {
	{ "", "" },
	{ "  ", "" },
	{ ";a", "a" },
	{ " ; a ; b = c ;\r\n d\r\n = \"e;f\\\"\" ", "a|b=c|d=\"e;f\\\"\"" },
	{ ";lr;transport=tcp", "lr|transport=tcp" },
	{ ";maddr=[2001:db8::1];received=2001:db8::9", "maddr=[2001:db8::1]|received=2001:db8::9" },
	{ ";a=b=c", "a=b=c" },
	{ "a", "!" },
	{ ";", "!" },
	{ ";a;;b", "a|!" },
	{ ";a=", "!" },
	{ ";=b", "!" },
	{ ";a=\"open", "!" },
	{ ";a=\"b\"c", "!" },
	{ ";a b", "!" },
	{ ";a=b,c", "!" },
	{ ";a=<b>", "!" },
	{ ";a\r\n;b", "!" },
};

static void test_next(void **state)
{
	struct stw_writer writer;
	struct stw_param param;
	struct stw_str text;
	char buffer[256];
	size_t i, at;
	int more;

	for (i = 0; i < STW_ARRAY_SIZE(lists); i++) {
		text = guard(lists[i].in);
		stw_writer_init(&writer, buffer, sizeof(buffer));
		at = 0;
		while ((more = stw_param_next(text, &at, &param)) > 0) {
			if (writer.len)
				stw_write_char(&writer, '|');
			stw_write_str(&writer, param.name);
			if (param.value.ptr)
				stw_write_char(&writer, '=');
			stw_write_str(&writer, param.value);
		}
		if (more < 0)
			stw_write_text(&writer, writer.len ? "|!" : "!");
		assert_str(stw_writer_text(&writer), lists[i].out);
		unguard(text);
	}
}

static void test_find(void **state)
{
	struct stw_str value;

	assert_true(stw_param_find(STW_STR(";a=1;Tag=2;tag=3;lr"), STW_STR("tag"), &value));
	assert_str(value, "2");
	assert_true(stw_param_find(STW_STR(";a=1;lr"), STW_STR("LR"), &value));
	assert_null(value.ptr);
	assert_false(stw_param_find(STW_STR(";a=1;lr"), STW_STR("l"), &value));
	assert_false(stw_param_find(STW_STR(";;lr"), STW_STR("lr"), &value));
}

static void test_unquote(void **state)
{
	char buffer[32];

	assert_str(stw_unquote(STW_STR("token"), buffer), "token");
	assert_str(stw_unquote(STW_STR("\"a b\""), buffer), "a b");
	assert_str(stw_unquote(STW_STR("\"a\\\"b\\\\\""), buffer), "a\"b\\");
	assert_str(stw_unquote(STW_STR("\"\""), buffer), "");
	assert_str(stw_unquote(STW_STR("\""), buffer), "\"");
	assert_str(stw_unquote(STW_STR(""), buffer), "");
	assert_str(stw_unquote(STW_STR("\"a\\\""), buffer), "a\\");
}

static void test_qvalue(void **state)
{
	static const struct {
		const char *in;
		int q;
	} rows[] = {
		{ "0", 0 },
		{ "1", 1000 },
		{ "0.", 0 },
		{ "1.", 1000 },
		{ "0.5", 500 },
		{ "0.05", 50 },
		{ "0.123", 123 },
		{ "1.000", 1000 },
		{ "0.33", 330 },
		{ "1.001", -1 },
		{ "0.1234", -1 },
		{ "2", -1 },
		{ "", -1 },
		{ ".5", -1 },
		{ "-1", -1 },
		{ "0,5", -1 },
		{ "0.5x", -1 },
		{ "01", -1 },
	};
	struct stw_str text;
	unsigned q = 0;
	size_t i;
	int err;

	for (i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		text = guard(rows[i].in);
		err = stw_qvalue_parse(text, &q);
		if (rows[i].q < 0 ? err != -EBADMSG : err != 0 || (int)q != rows[i].q)
			fail_msg("%s: %d %u", rows[i].in, err, q);
		unguard(text);
	}
}

static void test_delta_seconds(void **state)
{
	uint32_t seconds = 1;

	assert_int_equal(stw_delta_seconds_parse(STW_STR("0"), &seconds), 0);
	assert_int_equal(seconds, 0);
	assert_int_equal(stw_delta_seconds_parse(STW_STR("4294967295"), &seconds), 0);
	assert_int_equal(seconds, UINT32_MAX);
	assert_int_equal(stw_delta_seconds_parse(STW_STR("1"), &seconds), 0);
	assert_int_equal(stw_delta_seconds_parse(STW_STR("100000000000000000000000"), &seconds), 0);
	assert_int_equal(seconds, UINT32_MAX);
	assert_int_equal(stw_delta_seconds_parse(STW_STR(""), &seconds), -EBADMSG);
	assert_int_equal(stw_delta_seconds_parse(STW_STR("1s"), &seconds), -EBADMSG);
	assert_int_equal(stw_delta_seconds_parse(STW_STR("-1"), &seconds), -EBADMSG);
}

static void test_lexer(void **state)
{
	assert_true(stw_is_token(STW_STR("a-.!%*_+`'~9Z")));
	assert_false(stw_is_token(STW_STR("")));
	assert_false(stw_is_token(STW_STR("a@b")));
	assert_false(stw_is_token(STW_STR("\xc3\xbc")));
	assert_int_equal(stw_lws_length(STW_STR("  \tx"), 0), 3);
	assert_int_equal(stw_lws_length(STW_STR("a \r\n b"), 1), 4);
	assert_int_equal(stw_lws_length(STW_STR("\r\n\tb"), 0), 3);
	assert_int_equal(stw_lws_length(STW_STR(" \r\nb"), 0), 1);
	assert_int_equal(stw_lws_length(STW_STR(" \r\n"), 0), 1);
	assert_int_equal(stw_lws_length(STW_STR(" \r\n \r\n x"), 0), 7);
	assert_int_equal(stw_lws_length(STW_STR("a"), 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_unquote),
		cmocka_unit_test(test_qvalue),
		cmocka_unit_test(test_delta_seconds),
		cmocka_unit_test(test_lexer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
