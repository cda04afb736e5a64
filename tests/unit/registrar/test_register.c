/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

/* A cause by its id; NULL: good. `first`: what the first contact becomes, "uri params q expires".
 */
static const struct {
	const char *lines;
	const char *cause;
	unsigned n;
	const char *first;
} cases[] = {
	/* Where the expiry comes from. */
	{ "Contact: <sip:w@192.0.2.4>;expires=100\r\nExpires: 200\r\n", NULL, 1,
		"sip:w@192.0.2.4  1000 100" },
	{ "Contact: <sip:w@192.0.2.4>\r\nExpires: 200\r\n", NULL, 1, "sip:w@192.0.2.4  1000 200" },
	{ "Contact: <sip:w@192.0.2.4>\r\n", NULL, 1, "sip:w@192.0.2.4  1000 3600" },
	{ "Contact: <sip:w@192.0.2.4>;expires=soon\r\nExpires: 200\r\n", NULL, 1,
		"sip:w@192.0.2.4  1000 3600" },
	{ "Contact: <sip:w@192.0.2.4>;expires=-1\r\n", NULL, 1, "sip:w@192.0.2.4  1000 3600" },
	{ "Contact: <sip:w@192.0.2.4>;expires\r\n", NULL, 1, "sip:w@192.0.2.4  1000 3600" },
	{ "Contact: <sip:w@192.0.2.4>\r\nExpires: 0 0 l@company.com\r\n", NULL, 1,
		"sip:w@192.0.2.4  1000 3600" },
	{ "Contact: <sip:w@192.0.2.4>;expires=7201\r\n", NULL, 1, "sip:w@192.0.2.4  1000 7200" },
	{ "Contact: <sip:w@192.0.2.4>;expires=100000000000000000000\r\n", NULL, 1,
		"sip:w@192.0.2.4  1000 7200" },
	{ "Contact: <sip:w@192.0.2.4>;expires=0\r\n", NULL, 1, "sip:w@192.0.2.4  1000 0" },
	{ "Contact: <sip:w@192.0.2.4>;expires=60\r\n", NULL, 1, "sip:w@192.0.2.4  1000 60" },
	{ "Contact: <sip:w@192.0.2.4>;expires=59\r\n", "interval-too-brief", 0, "" },
	{ "Contact: <sip:w@192.0.2.4>;expires=1\r\n", "interval-too-brief", 0, "" },
	{ "Contact: <sip:w@192.0.2.4>\r\nExpires: 59\r\n", "interval-too-brief", 0, "" },
	{ "Contact: <sip:a@192.0.2.4>;expires=3600, <sip:b@192.0.2.4>;expires=10\r\n",
		"interval-too-brief", 0, "" },
	{ "Contact: <sip:w@192.0.2.4>;expires=300\r\nExpires: 5\r\n", NULL, 1,
		"sip:w@192.0.2.4  1000 300" },
	/* q and other parameters. */
	{ "Contact: <sip:w@192.0.2.4>;q=0.7;expires=100\r\n", NULL, 1, "sip:w@192.0.2.4  700 100" },
	{ "Contact: <sip:w@192.0.2.4>;q=0;expires=100\r\n", NULL, 1, "sip:w@192.0.2.4  0 100" },
	{ "Contact: <sip:w@192.0.2.4>;q=1.5\r\n", "bad-contact", 0, "" },
	{ "Contact: <sip:w@192.0.2.4>;q\r\n", "bad-contact", 0, "" },
	{ "Contact: \"Mr. Watson\" <sip:w@192.0.2.4;transport=tcp> ; Q=\"x\"\r\n", "bad-contact", 0,
		"" },
	{ "m: Mr Watson <sip:w@192.0.2.4;transport=tcp>;x=\"a,;b\";expires=99;y\r\n", NULL, 1,
		"sip:w@192.0.2.4;transport=tcp ;x=\"a,;b\";y 1000 99" },
	{ "Contact: <sip:w@192.0.2.4>\r\n ;x=\"a\r\n b\"\r\n", NULL, 1,
		"sip:w@192.0.2.4 ;x=\"a   b\" 1000 3600" },
	/* RFC 4475: escnull, cparam01, cparam02, regescrt; RFC 3665 §2.2 has a mailto. */
	{ "Contact: <sip:%00@host5.example.com>\r\nContact: <sip:%00%00@host5.example.com>\r\n",
		NULL, 2, "sip:%00@host5.example.com  1000 3600" },
	{ "Contact: sip:+19725552222@gw1.example.net;unknownparam\r\n", NULL, 1,
		"sip:+19725552222@gw1.example.net ;unknownparam 1000 3600" },
	{ "Contact: <sip:+19725552222@gw1.example.net;unknownparam>\r\n", NULL, 1,
		"sip:+19725552222@gw1.example.net;unknownparam  1000 3600" },
	{ "M: <sip:watson@example.com?Route=%3Csip:sip.example.com%3E>\r\n", NULL, 1,
		"sip:watson@example.com?Route=%3Csip:sip.example.com%3E  1000 3600" },
	{ "Contact: <mailto:watson@bell-telephone.com>;q=0.1\r\n", NULL, 1,
		"mailto:watson@bell-telephone.com  100 3600" },
	{ "Contact: <tel:+19725552222>\r\n", NULL, 1, "tel:+19725552222  1000 3600" },
	/* Faults. */
	{ "Contact: <sip:w@192.0.2.4\r\n", "bad-contact", 0, "" },
	{ "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\r\n", "bad-contact", 0,
		"" },
	{ "Contact: <sip:w@192.0.2.4>, <sip:>\r\n", "bad-contact", 0, "" },
	{ "Contact: <sip:w@192.0.2.4>;expires=5, <sip:>\r\n", "bad-contact", 0, "" },
	{ "Contact: <" WATSON ">\r\n", "contact-is-aor", 0, "" },
	{ "Contact: <sip:w%61tson@EXAMPLE.com;transport=tcp>\r\n", "contact-is-aor", 0, "" },
	{ "Contact: <" WATSON ":5062>\r\n", NULL, 1, WATSON ":5062  1000 3600" },
	{ "Contact: <" WATSON ">;expires=0\r\n", NULL, 1, WATSON "  1000 0" },
	/* The wildcard. */
	{ "Contact: *\r\nExpires: 0\r\n", NULL, 0, "*" },
	{ "Contact: *\r\nExpires: 60\r\n", "wildcard-misused", 0, "" },
	{ "Contact: *\r\n", "wildcard-misused", 0, "" },
	{ "Contact: *\r\nExpires: none\r\n", "wildcard-misused", 0, "" },
	{ "Contact: *, *\r\nExpires: 0\r\n", "wildcard-misused", 0, "" },
	{ "Contact: *\r\nContact: <sip:w@192.0.2.4>\r\nExpires: 0\r\n", "wildcard-misused", 0, "" },
	{ "Contact: <sip:w@192.0.2.4>, *\r\nExpires: 0\r\n", "wildcard-misused", 0, "" },
	/* Only a question. */
	{ "", NULL, 0, "" },
	{ "Expires: 5\r\n", NULL, 0, "" },
};

static const char *cause_id(const struct stw_cause *cause)
{
	return cause ? cause->id : "good";
}

static void what_is_asked(void **state)
{
	struct stw_register *request = malloc(sizeof(*request));
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		const struct stw_cause *cause =
			request_parse(&options, "1@h", 7, cases[i].lines, request);
		char first[512] = "";

		print_message("%s", cases[i].lines[0] ? cases[i].lines : "-\n");
		assert_string_equal(cause_id(cause), cases[i].cause ? cases[i].cause : "good");
		if (!cause) {
			assert_int_equal(request->n, cases[i].n);
			if (request->wildcard)
				snprintf(first, sizeof(first), "*");
			else if (request->n)
				snprintf(first, sizeof(first), "%.*s %.*s %u %u",
					STW_STR_ARG(request->contacts[0].binding.uri),
					STW_STR_ARG(request->contacts[0].binding.params),
					request->contacts[0].binding.q,
					request->contacts[0].expires_s);
			assert_string_equal(first, cases[i].first);
		}
		stw_register_done(request);
	}
	free(request);
}

/* 423-3: a minimum above an hour rejects nothing that asks for an hour. */
static void long_minimum(void **state)
{
	const struct stw_registrar_options with = { 7200, 86400, 7200, 10, false, false };
	struct stw_register *request = malloc(sizeof(*request));

	assert_null(request_parse(&with, "1@h", 7, "Contact: <sip:w@h>;expires=3600\r\n", request));
	assert_int_equal(request->contacts[0].expires_s, 3600);
	stw_register_done(request);
	assert_ptr_equal(
		request_parse(&with, "1@h", 7, "Contact: <sip:w@h>;expires=3599\r\n", request),
		&stw_cause_interval_too_brief);
	stw_register_done(request);
	free(request);
}

/* The default is what we chose: it is never too brief. */
static void short_default(void **state)
{
	const struct stw_registrar_options with = { 600, 86400, 300, 10, false, false };
	struct stw_register *request = malloc(sizeof(*request));

	assert_null(request_parse(&with, "1@h", 7, "Contact: <sip:w@h>\r\n", request));
	assert_int_equal(request->contacts[0].expires_s, 300);
	stw_register_done(request);
	/* §20.10, §20.19: what cannot be read is an hour, not the default. */
	assert_null(request_parse(&with, "1@h", 7, "Contact: <sip:w@h>;expires=x\r\n", request));
	assert_int_equal(request->contacts[0].expires_s, 3600);
	stw_register_done(request);
	assert_null(
		request_parse(&with, "1@h", 7, "Expires: x\r\nContact: <sip:w@h>\r\n", request));
	assert_int_equal(request->contacts[0].expires_s, 3600);
	stw_register_done(request);
	free(request);
}

static void headers_of_refusals(void **state)
{
	struct stw_register *request = malloc(sizeof(*request));
	static struct request message;
	struct stw_str headers = STW_STR_NONE;

	request_read(&message, "1@h", 7, "Contact: <sip:w@h>;expires=10\r\n");
	assert_ptr_equal(stw_register_parse(&message.msg, STW_STR(WATSON), &source, &options,
				 request, &headers),
		&stw_cause_interval_too_brief);
	assert_str(headers, "Min-Expires: 60\r\n");
	stw_register_done(request);
	request_read(&message, "1@h", 7, "Path: <sip:p1.example.com;lr>\r\nContact: *\r\n");
	assert_ptr_equal(stw_register_parse(&message.msg, STW_STR(WATSON), &source, &options,
				 request, &headers),
		&stw_cause_path_not_supported);
	assert_str(headers, "Unsupported: path\r\n");
	stw_register_done(request);
	free(request);
}

static void path(void **state)
{
	struct stw_register *request = malloc(sizeof(*request));

	assert_null(request_parse(&options, "1@h", 7,
		"Supported: gruu, Path\r\nPath: <sip:p3.example.com;lr>,\r\n "
		"<sip:p1.example.com;lr>;x=y\r\n"
		"Path: <sips:p0.example.com;lr>\r\nContact: <sip:w@h>\r\n",
		request));
	assert_str(request->contacts[0].binding.path,
		"<sip:p3.example.com;lr>, <sip:p1.example.com;lr>;x=y, <sips:p0.example.com;lr>");
	assert_str(request->echo_path, "Path: <sip:p3.example.com;lr>, "
				       "<sip:p1.example.com;lr>;x=y, <sips:p0.example.com;lr>\r\n");
	stw_register_done(request);
	assert_ptr_equal(request_parse(&options, "1@h", 7,
				 "Supported: path\r\nPath: sip:p3.example.com;lr\r\n", request),
		&stw_cause_bad_path);
	stw_register_done(request);
	assert_ptr_equal(request_parse(&options, "1@h", 7,
				 "Supported: path\r\nPath: <mailto:x@y>\r\n", request),
		&stw_cause_bad_path);
	stw_register_done(request);
	free(request);
}

static void what_a_binding_keeps(void **state)
{
	struct stw_register *request = malloc(sizeof(*request));
	const struct stw_binding *binding;
	char lines[512];
	int len;

	assert_null(request_parse(&options, "a84b4c76e66710@h", 4711,
		"User-Agent: Bell 1.0\r\nContact: "
		"<sip:w@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n",
		request));
	binding = &request->contacts[0].binding;
	assert_str(request->aor, WATSON);
	assert_str(request->call_id, "a84b4c76e66710@h");
	assert_int_equal(request->cseq, 4711);
	assert_str(binding->call_id, "a84b4c76e66710@h");
	assert_int_equal(binding->cseq, 4711);
	assert_str(binding->user_agent, "Bell 1.0");
	assert_str(binding->instance, "<urn:uuid:1>");
	assert_str(binding->params, ";+sip.instance=\"<urn:uuid:1>\";reg-id=1");
	assert_memory_equal(&binding->source, &source, sizeof(source));
	assert_str(binding->path, "");
	stw_register_done(request);
	/* A long name is cut, but not within a character. */
	len = snprintf(lines, sizeof(lines), "User-Agent: %0127d", 0);
	snprintf(lines + len, sizeof(lines) - (size_t)len,
		"\xc3\xa4\xc3\xa4\r\nContact: <sip:w@h>\r\n");
	assert_null(request_parse(&options, "1@h", 1, lines, request));
	assert_int_equal(request->contacts[0].binding.user_agent.len, 127);
	stw_register_done(request);
	free(request);
}

static void limits(void **state)
{
	struct stw_register *request = malloc(sizeof(*request));
	char lines[8192], *at;
	unsigned i, n;

	for (n = STW_REGISTER_CONTACTS_MAX; n <= STW_REGISTER_CONTACTS_MAX + 1; n++) {
		for (i = 0, at = lines; i < n; i++)
			at += sprintf(at, "Contact: <sip:w%u@h>\r\n", i);
		assert_string_equal(cause_id(request_parse(&options, "1@h", 1, lines, request)),
			n > STW_REGISTER_CONTACTS_MAX ? "too-many-bindings" : "good");
		stw_register_done(request);
	}
	sprintf(lines, "Contact: <sip:%02100d@h>\r\n", 0);
	assert_ptr_equal(request_parse(&options, "1@h", 1, lines, request), &stw_cause_bad_contact);
	stw_register_done(request);
	sprintf(lines, "Contact: <sip:w@h>;x=%02100d\r\n", 0);
	assert_ptr_equal(request_parse(&options, "1@h", 1, lines, request), &stw_cause_bad_contact);
	stw_register_done(request);
	sprintf(lines, "Supported: path\r\nPath: <sip:%02100d@h>\r\nContact: <sip:w@h>\r\n", 0);
	assert_ptr_equal(request_parse(&options, "1@h", 1, lines, request), &stw_cause_bad_path);
	stw_register_done(request);
	free(request);
}

/* Of a long Call-ID as much is kept as tells it from others. */
static void long_call_ids(void **state)
{
	static const char contact[] = "Contact: <sip:w@192.0.2.4>\r\n";
	struct stw_register a, b;
	static const size_t lengths[] = { 255, 256, 4000 };
	char text[4001];

	for (size_t i = 0; i < STW_ARRAY_SIZE(lengths); i++) {
		size_t len = lengths[i];

		memset(text, 'x', len);
		text[len] = '\0';
		assert_null(request_parse(&options, text, 1, contact, &a));
		assert_true(a.call_id.len <= 255);
		assert_true((len == 255) == stw_str_equal(a.call_id, stw_str_from(text)));
		assert_true(stw_str_equal(a.contacts[0].binding.call_id, a.call_id));
		assert_null(request_parse(&options, text, 1, contact, &b));
		assert_true(stw_str_equal(a.call_id, b.call_id));
		stw_register_done(&b);
		text[len - 1] = 'y';
		assert_null(request_parse(&options, text, 1, contact, &b));
		assert_false(stw_str_equal(a.call_id, b.call_id));
		stw_register_done(&a);
		stw_register_done(&b);
	}
	/* It goes into the store: as it was. */
	memset(text, 'x', 256);
	text[256] = '\0';
	assert_null(request_parse(&options, text, 1, contact, &a));
	assert_true(stw_str_equal(a.call_id, STW_STR("#caf5c085ad23a3ef74e15e4942b5f970")));
	stw_register_done(&a);
}

static void no_memory(void **state)
{
	struct stw_register *request = malloc(sizeof(*request));
	const struct stw_cause *cause;
	char lines[4096];
	unsigned nth;

	sprintf(lines,
		"Supported: path\r\nPath: <sip:p%01500d.example.com;lr>\r\n"
		"Contact: <sip:w@h>;+sip.instance=\"<urn:uuid:1>\";x=%01000d;expires=5\r\n",
		0, 0);
	for (nth = 1;; nth++) {
		support_fail_allocation(nth);
		cause = request_parse(&options, "1@h", 1, lines, request);
		support_fail_allocation(0);
		stw_register_done(request);
		if (cause == &stw_cause_interval_too_brief)
			break;
		assert_ptr_equal(cause, &stw_cause_register_no_memory);
	}
	assert_true(nth > 2);
	free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked),
		cmocka_unit_test(long_minimum),
		cmocka_unit_test(short_default),
		cmocka_unit_test(headers_of_refusals),
		cmocka_unit_test(path),
		cmocka_unit_test(what_a_binding_keeps),
		cmocka_unit_test(limits),
		cmocka_unit_test(long_call_ids),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
