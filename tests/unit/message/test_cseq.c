/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

static const struct {
	const char *in;
	int err;
	uint32_t number;
	const char *name;
	enum stw_method method;
} cases[] = {
	{ "4711 INVITE", 0, 4711, "INVITE", STW_METHOD_INVITE },
	{ "0009\r\n  INVITE", 0, 9, "INVITE", STW_METHOD_INVITE },
	{ "0 ACK", 0, 0, "ACK", STW_METHOD_ACK },
	{ "2147483647\t BYE", 0, 2147483647, "BYE", STW_METHOD_BYE },
	{ "1 invite", 0, 1, "invite", STW_METHOD_UNKNOWN },
	{ "1 RE%47IST%45R", 0, 1, "RE%47IST%45R", STW_METHOD_UNKNOWN },
	{ "2147483648 BYE", -ERANGE, 0, "", 0 },
	{ "99999999999999999999999 BYE", -ERANGE, 0, "", 0 },
	{ "4711INVITE", -EBADMSG, 0, "", 0 },
	{ "4711", -EBADMSG, 0, "", 0 },
	{ "4711 ", -EBADMSG, 0, "", 0 },
	{ "INVITE", -EBADMSG, 0, "", 0 },
	{ " 1 INVITE", -EBADMSG, 0, "", 0 },
	{ "-1 INVITE", -EBADMSG, 0, "", 0 },
	{ "1 INVITE ", -EBADMSG, 0, "", 0 },
	{ "1 INVITE x", -EBADMSG, 0, "", 0 },
	{ "1\r\nINVITE", -EBADMSG, 0, "", 0 },
	{ "", -EBADMSG, 0, "", 0 },
};

static void test_cases(void **state)
{
	struct stw_cseq cseq;
	struct stw_str text;
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		text = guard(cases[i].in);
		if (stw_cseq_parse(text, &cseq) != cases[i].err)
			fail_msg("%s", cases[i].in);
		if (!cases[i].err) {
			assert_int_equal(cseq.number, cases[i].number);
			assert_str(cseq.name, cases[i].name);
			assert_int_equal(cseq.method, cases[i].method);
		}
		unguard(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
