/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include "bindings.h"

static struct stw_bindings *bindings_of(const char *lines, struct stw_now now)
{
	struct stw_register *request = malloc(sizeof(*request));
	struct stw_bindings *bindings = NULL;

	assert_null(request_parse(&options, "1@h", 1, lines, request));
	assert_null(stw_register_apply(NULL, request, &options, now, &bindings));
	stw_register_done(request);
	free(request);
	return bindings;
}

static const struct {
	const char *lines;
	int64_t after_ms;
	const char *then;
} cases[] = {
	{ "", 0, "" },
	{ "Contact: <sip:w@h>\r\n", 0, "Contact: <sip:w@h>;expires=3600\r\n" },
	{ "Contact: <sip:w@h>;q=1.0\r\n", 0, "Contact: <sip:w@h>;expires=3600\r\n" },
	{ "Contact: <sip:w@h>;q=0.7;expires=100\r\n", 0,
		"Contact: <sip:w@h>;q=0.7;expires=100\r\n" },
	{ "Contact: <sip:w@h>;q=0.25\r\n", 0, "Contact: <sip:w@h>;q=0.25;expires=3600\r\n" },
	{ "Contact: <sip:w@h>;q=0.050\r\n", 0, "Contact: <sip:w@h>;q=0.05;expires=3600\r\n" },
	{ "Contact: <sip:w@h>;q=0.001\r\n", 0, "Contact: <sip:w@h>;q=0.001;expires=3600\r\n" },
	{ "Contact: <sip:w@h>;q=0\r\n", 0, "Contact: <sip:w@h>;q=0.0;expires=3600\r\n" },
	{ "Contact: <sip:w@h>;expires=100\r\n", 1, "Contact: <sip:w@h>;expires=100\r\n" },
	{ "Contact: <sip:w@h>;expires=100\r\n", 1000, "Contact: <sip:w@h>;expires=99\r\n" },
	{ "Contact: <sip:w@h>;expires=100\r\n", 99999, "Contact: <sip:w@h>;expires=1\r\n" },
	{ "Contact: <sip:w@h>;expires=100\r\n", 100000, "" },
	{ "Contact: <sip:w@h>;expires=100;+sip.instance=\"<urn:uuid:1>\", \"W\" <mailto:w@x>\r\n",
		0,
		"Contact: <sip:w@h>;+sip.instance=\"<urn:uuid:1>\";expires=100\r\nContact: "
		"<mailto:w@x>;expires=3600\r\n" },
	{ "Contact: sip:+19725552222@gw1.example.net;unknownparam\r\n", 0,
		"Contact: <sip:+19725552222@gw1.example.net>;unknownparam;expires=3600\r\n" },
	{ "Contact: <sip:+19725552222@gw1.example.net;unknownparam>\r\n", 0,
		"Contact: <sip:+19725552222@gw1.example.net;unknownparam>;expires=3600\r\n" },
	{ "M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\r\n", 0,
		"Contact: "
		"<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600\r\n" },
};

static void contacts(void **state)
{
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		struct stw_now now = { 0, 1700000000000 };
		struct stw_bindings *bindings = bindings_of(cases[i].lines, now);
		struct stw_writer writer;
		char text[1024];

		stw_writer_init(&writer, text, sizeof(text));
		now.wall_ms += cases[i].after_ms;
		stw_bindings_write_contacts(&writer, bindings, now);
		assert_str(stw_writer_text(&writer), cases[i].then);
		free(bindings);
	}
}

/* What we write, we read as the same. */
static void round_trip(void **state)
{
	const struct stw_now now = { 0, 1700000000000 };
	struct stw_bindings *bindings, *again;
	struct stw_writer writer;
	char text[1024] = "";

	bindings = bindings_of(
		"Contact: <sip:a@h;lr>;q=0.25;x=\"y;z\";expires=77, <mailto:b@h>;q=0\r\n", now);
	stw_writer_init(&writer, text, sizeof(text) - 1);
	stw_bindings_write_contacts(&writer, bindings, now);
	again = bindings_of(text, now);
	assert_int_equal(again->n, 2);
	assert_true(stw_str_equal(binding_at(again, 0)->uri, binding_at(bindings, 0)->uri));
	assert_true(stw_str_equal(binding_at(again, 0)->params, binding_at(bindings, 0)->params));
	assert_int_equal(binding_at(again, 0)->q, 250);
	assert_int_equal(binding_at(again, 1)->q, 0);
	assert_int_equal(binding_at(again, 0)->expires_ms, binding_at(bindings, 0)->expires_ms);
	free(again);
	free(bindings);
}

static void overflow(void **state)
{
	const struct stw_now now = { 0, 1700000000000 };
	struct stw_bindings *bindings = bindings_of("Contact: <sip:w@h>\r\n", now);
	struct stw_writer writer;
	char text[20];

	stw_writer_init(&writer, text, sizeof(text));
	stw_bindings_write_contacts(&writer, bindings, now);
	assert_true(writer.overflow);
	free(bindings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contacts),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
