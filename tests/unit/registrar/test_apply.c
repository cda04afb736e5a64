/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include "bindings.h"

#define START_MS INT64_C(1700000000000)

/*
 * A story is a list of REGISTERs to one address-of-record. After each: the cause, or the bindings
 * as "uri;cseq uri;cseq".
 */
struct step {
	const char *call_id;
	unsigned cseq;
	const char *lines;
	unsigned after_s;
	const char *then;
};

static void write_state(const struct stw_bindings *bindings, char *text, size_t size)
{
	unsigned i;
	size_t len = 0;

	text[0] = 0;
	for (i = 0; bindings && i < bindings->n; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%.*s;%u", i ? " " : "",
			STW_STR_ARG(binding_at(bindings, i)->uri), binding_at(bindings, i)->cseq);
}

static struct stw_bindings *play(
	const struct step *steps, size_t n, const struct stw_registrar_options *with)
{
	struct stw_register *request = malloc(sizeof(*request));
	struct stw_bindings *bindings = NULL, *next;
	struct stw_now now = { 0, START_MS };
	char before[2048], text[2048];
	size_t i;

	for (i = 0; i < n; i++) {
		const struct stw_cause *cause;

		print_message("%s %u %s", steps[i].call_id, steps[i].cseq, steps[i].lines);
		now.wall_ms += (int64_t)steps[i].after_s * 1000;
		assert_null(request_parse(
			with, steps[i].call_id, steps[i].cseq, steps[i].lines, request));
		write_state(bindings, before, sizeof(before));
		cause = stw_register_apply(bindings, request, with, now, &next);
		stw_register_done(request);
		write_state(bindings, text, sizeof(text));
		assert_string_equal(text, before);
		if (cause) {
			assert_string_equal(cause->id, steps[i].then);
			continue;
		}
		free(bindings);
		bindings = next;
		write_state(bindings, text, sizeof(text));
		assert_string_equal(text, steps[i].then);
		assert_str(stw_bindings_aor(bindings), WATSON);
	}
	free(request);
	return bindings;
}

#define PLAY(steps) free(play(steps, STW_ARRAY_SIZE(steps), &options))

static void add_refresh_remove(void **state)
{
	static const struct step steps[] = {
		{ "1@h", 1, "Contact: <sip:w@a>\r\n", 0, "sip:w@a;1" },
		{ "1@h", 2, "Contact: <sip:w@A>\r\n", 0, "sip:w@A;2" },
		{ "2@h", 1, "Contact: <sip:w@b>, <mailto:w@x>\r\n", 0,
			"sip:w@A;2 sip:w@b;1 mailto:w@x;1" },
		{ "1@h", 3, "Contact: <sip:w@a>;expires=0, <sip:w@c>\r\n", 0,
			"sip:w@b;1 mailto:w@x;1 sip:w@c;3" },
		{ "1@h", 4, "Contact: <sip:nobody@a>;expires=0\r\n", 0,
			"sip:w@b;1 mailto:w@x;1 sip:w@c;3" },
		{ "1@h", 5, "", 0, "sip:w@b;1 mailto:w@x;1 sip:w@c;3" },
		{ "1@h", 6, "Contact: <mailto:w@x>, <sip:w@b>\r\nExpires: 0\r\n", 0, "sip:w@c;3" },
		{ "1@h", 7, "Contact: *\r\nExpires: 0\r\n", 0, "" },
		{ "1@h", 8, "Contact: *\r\nExpires: 0\r\n", 0, "" },
	};

	PLAY(steps);
}

static void order(void **state)
{
	static const struct step steps[] = {
		{ "1@h", 5, "Contact: <sip:w@a>\r\n", 0, "sip:w@a;5" },
		{ "1@h", 5, "Contact: <sip:w@a>\r\n", 0, "register-out-of-order" },
		{ "1@h", 4, "Contact: <sip:w@a>;expires=0\r\n", 0, "register-out-of-order" },
		{ "1@h", 5, "Contact: <sip:w@new>, <sip:w@a>\r\n", 0, "register-out-of-order" },
		{ "1@h", 4, "", 0, "sip:w@a;5" },
		{ "1@h", 4, "Contact: <sip:w@b>\r\n", 0, "sip:w@a;5 sip:w@b;4" },
		{ "2@h", 1, "Contact: <sip:w@b>\r\n", 0, "sip:w@a;5 sip:w@b;1" },
		{ "1@h", 5, "Contact: *\r\nExpires: 0\r\n", 0, "register-out-of-order" },
		{ "2@h", 2, "Contact: *\r\nExpires: 0\r\n", 0, "" },
		{ "1@h", 1, "Contact: <sip:w@a>\r\n", 0, "sip:w@a;1" },
		/* What has expired no longer counts. */
		{ "1@h", 1, "Contact: <sip:w@a>\r\n", 3600, "sip:w@a;1" },
		{ "1@h", 1, "Contact: <sip:w@a>\r\n", 3599, "register-out-of-order" },
	};

	PLAY(steps);
}

static void same_contact_twice(void **state)
{
	static const struct step steps[] = {
		{ "1@h", 1, "Contact: <sip:w@a>;q=0.1, <sip:w@A>;q=0.2\r\n", 0, "sip:w@A;1" },
		{ "1@h", 2, "Contact: <sip:w@a>;expires=0, <sip:w@a>;expires=100\r\n", 0,
			"sip:w@a;2" },
		{ "1@h", 3, "Contact: <sip:w@b>, <sip:w@b>;expires=0\r\n", 0, "sip:w@a;2" },
	};

	PLAY(steps);
}

/* RFC 3261 §19.1.4, RFC 4475 §3.1.1.4: these are different contacts. */
static void compared_as_uris(void **state)
{
	static const struct step steps[] = {
		{ "1@h", 1, "Contact: <sip:%00@h5>\r\nContact: <sip:%00%00@h5>\r\n", 0,
			"sip:%00@h5;1 sip:%00%00@h5;1" },
		{ "1@h", 2, "Contact: <sip:%00@h5;transport=tcp>;expires=0\r\n", 0,
			"sip:%00@h5;1 sip:%00%00@h5;1" },
		{ "1@h", 3, "Contact: <sip:%00@h5;x=y>;expires=0\r\n", 0, "sip:%00%00@h5;1" },
	};

	PLAY(steps);
}

static void limit(void **state)
{
	static const struct stw_registrar_options two = { 60, 7200, 3600, 2, false, false },
						  one = { 60, 7200, 3600, 1, false, false };
	static const struct step steps[] = {
		{ "1@h", 1, "Contact: <sip:w@a>, <sip:w@b>, <sip:w@c>\r\n", 0,
			"too-many-bindings" },
		{ "1@h", 2, "Contact: <sip:w@a>, <sip:w@b>\r\n", 0, "sip:w@a;2 sip:w@b;2" },
		{ "1@h", 3, "Contact: <sip:w@c>\r\n", 0, "too-many-bindings" },
		{ "1@h", 4, "Contact: <sip:w@c>, <sip:w@a>;expires=0\r\n", 0,
			"sip:w@b;2 sip:w@c;4" },
		{ "2@h", 1, "Contact: <sip:w@d>;expires=120\r\n", 3600, "sip:w@d;1" },
		{ "2@h", 2, "Contact: <sip:w@e>\r\n", 0, "sip:w@d;1 sip:w@e;2" },
		/* Those behind it are not compared any more. */
		{ "2@h", 2, "Contact: <sip:w@f>, <sip:w@e>\r\n", 0, "too-many-bindings" },
		{ "2@h", 3, "Contact: <sip:w@f>, <sip:w@g>, <sip:w@f>;expires=0\r\n", 0,
			"too-many-bindings" },
		{ "2@h", 4, "Contact: <sip:w@f>, <sip:w@f>;expires=0\r\n", 0,
			"sip:w@d;1 sip:w@e;2" },
	};
	struct stw_register *request = malloc(sizeof(*request));
	struct stw_bindings *bindings = play(steps, STW_ARRAY_SIZE(steps), &two), *next;
	const struct stw_now now = { 0, START_MS + 3600 * 1000 };

	/* The limit was lowered: what is there may stay. */
	assert_null(request_parse(&one, "2@h", 3, "Contact: <sip:w@d>\r\n", request));
	assert_null(stw_register_apply(bindings, request, &one, now, &next));
	assert_int_equal(next->n, 2);
	stw_register_done(request);
	free(request);
	free(next);
	free(bindings);
}

static void versions_and_times(void **state)
{
	struct stw_register *request = malloc(sizeof(*request));
	struct stw_now now = { 0, START_MS };
	struct stw_bindings *first, *second, *copy;

	assert_null(request_parse(&options, "1@h", 1, "", request));
	assert_null(stw_register_apply(NULL, request, &options, now, &first));
	assert_int_equal(first->version, 0);
	assert_int_equal(first->n, 0);
	stw_register_done(request);
	free(first);
	assert_null(request_parse(
		&options, "1@h", 1, "Contact: <sip:w@h>;expires=100;q=0.5;a=b\r\n", request));
	assert_null(stw_register_apply(NULL, request, &options, now, &first));
	stw_register_done(request);
	assert_int_equal(first->version, 1);
	assert_int_equal(binding_at(first, 0)->expires_ms, START_MS + 100000);
	assert_int_equal(binding_at(first, 0)->updated_ms, START_MS);
	assert_int_equal(binding_at(first, 0)->q, 500);
	assert_str(binding_at(first, 0)->params, ";a=b");
	assert_str(binding_at(first, 0)->call_id, "1@h");
	/* A question changes nothing, until something has expired. */
	assert_null(request_parse(&options, "1@h", 2, "", request));
	now.wall_ms += 99999;
	assert_null(stw_register_apply(first, request, &options, now, &second));
	assert_int_equal(second->version, 1);
	assert_int_equal(second->n, 1);
	free(second);
	now.wall_ms++;
	assert_null(stw_register_apply(first, request, &options, now, &second));
	assert_int_equal(second->version, 2);
	assert_int_equal(second->n, 0);
	stw_register_done(request);
	copy = stw_bindings_copy(first);
	assert_int_equal(stw_bindings_bytes(copy), stw_bindings_bytes(first));
	assert_true(binding_at(copy, 0)->uri.ptr != binding_at(first, 0)->uri.ptr);
	free(first);
	assert_str(stw_bindings_aor(copy), WATSON);
	assert_str(binding_at(copy, 0)->uri, "sip:w@h");
	free(copy);
	free(second);
	free(request);
}

static void no_memory(void **state)
{
	struct stw_register *request = malloc(sizeof(*request));
	const struct stw_now now = { 0, START_MS };
	struct stw_bindings *bindings = NULL;
	unsigned nth;

	assert_null(request_parse(&options, "1@h", 1, "Contact: <sip:w@h>\r\n", request));
	for (nth = 1; nth < 2; nth++) {
		support_fail_allocation(nth);
		assert_ptr_equal(stw_register_apply(NULL, request, &options, now, &bindings),
			&stw_cause_register_no_memory);
		assert_null(bindings);
	}
	support_fail_allocation(0);
	assert_null(stw_register_apply(NULL, request, &options, now, &bindings));
	support_fail_allocation(1);
	assert_null(stw_bindings_copy(bindings));
	support_fail_allocation(0);
	stw_register_done(request);
	free(bindings);
	free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_refresh_remove),
		cmocka_unit_test(order),
		cmocka_unit_test(same_contact_twice),
		cmocka_unit_test(compared_as_uris),
		cmocka_unit_test(limit),
		cmocka_unit_test(versions_and_times),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
