/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/registrar.h>

#include "support.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *uri;
	int err;
	const char *aor;
} cases[] = {
	{ "sip:bob@example.com", 0, "sip:bob@example.com" },
	{ "SIP:bob@EXAMPLE.com", 0, "sip:bob@example.com" },
	{ "sips:bob@example.com", 0, "sip:bob@example.com" },
	{ "sip:bob@example.com:5061;transport=tcp;user=phone?Subject=x", 0, "sip:bob@example.com" },
	{ "sip:bob:secret@example.com", 0, "sip:bob@example.com" },
	{ "sip:Bob@example.com", 0, "sip:Bob@example.com" },
	{ "sip:b%6Fb@example.com", 0, "sip:bob@example.com" },
	{ "sip:%62%6f%62@example.com", 0, "sip:bob@example.com" },
	{ "sip:a%20b@example.com", 0, "sip:a%20b@example.com" },
	{ "sip:%c3%a4@example.com", 0, "sip:%C3%A4@example.com" },
	{ "sip:null-%00-null@example.com", 0, "sip:null-%00-null@example.com" },
	{ "sip:+1-555;ext=5@example.com", 0, "sip:+1-555;ext=5@example.com" },
	{ "sip:bob@[2001:DB8::1]:5060", 0, "sip:bob@[2001:db8::1]" },
	{ "sip:bob@Example.COM.", 0, "sip:bob@example.com" },
	{ "sip:example.com", -EBADMSG, "" },
	{ "tel:+1555", -EBADMSG, "" },
	{ "mailto:bob@example.com", -EBADMSG, "" },
};

static void canonical(void **state)
{
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		size_t len = strlen(cases[i].uri);
		char *text = support_guarded(cases[i].uri, len);
		struct stw_arena arena;
		struct stw_str aor;
		struct stw_uri uri;

		stw_arena_init(&arena, 4096);
		assert_int_equal(stw_uri_parse((struct stw_str){ text, len }, &uri), 0);
		assert_int_equal(stw_aor_canonical(&uri, &arena, &aor), cases[i].err);
		if (!cases[i].err)
			assert_str(aor, cases[i].aor);
		stw_arena_done(&arena);
		support_guarded_free(text, len);
	}
}

static void canonical_is_stable(void **state)
{
	struct stw_str first, second;
	struct stw_arena arena;
	struct stw_uri uri;

	stw_arena_init(&arena, 4096);
	assert_int_equal(stw_uri_parse(STW_STR("sip:%00%7f%3a%40b@Example.COM"), &uri), 0);
	assert_int_equal(stw_aor_canonical(&uri, &arena, &first), 0);
	assert_int_equal(stw_uri_parse(first, &uri), 0);
	assert_int_equal(stw_aor_canonical(&uri, &arena, &second), 0);
	assert_true(stw_str_equal(first, second));
	stw_arena_done(&arena);
}

static void equal_as_canonical_forms(void **state)
{
	static const char *const malformed[] = { "b%6", "b%6x" };
	struct stw_uri a, b;
	size_t i, j;

	for (i = 0; i < STW_ARRAY_SIZE(cases); i++) {
		assert_int_equal(stw_uri_parse(stw_str_from(cases[i].uri), &a), 0);
		for (j = 0; j < STW_ARRAY_SIZE(cases); j++) {
			assert_int_equal(stw_uri_parse(stw_str_from(cases[j].uri), &b), 0);
			assert_int_equal(stw_aor_equal(&a, &b),
				!cases[i].err && !strcmp(cases[i].aor, cases[j].aor));
		}
	}
	assert_int_equal(stw_uri_parse(STW_STR("sip:bob@example.com"), &a), 0);
	b = a;
	for (i = 0; i < STW_ARRAY_SIZE(malformed); i++) {
		b.user = stw_str_from(malformed[i]);
		assert_false(stw_aor_equal(&a, &b));
	}
}

static void made_from_a_row(void **state)
{
	struct stw_arena arena;
	struct stw_str aor;

	stw_arena_init(&arena, 4096);
	assert_int_equal(stw_aor_make(STW_STR("a b"), STW_STR("Example.com"), &arena, &aor), 0);
	assert_str(aor, "sip:a%20b@example.com");
	assert_int_equal(stw_aor_make(STW_STR("b"), STW_STR("2001:db8::1"), &arena, &aor), 0);
	assert_str(aor, "sip:b@[2001:db8::1]");
	assert_int_equal(stw_aor_make(STW_STR("b"), STW_STR("[2001:db8::1]"), &arena, &aor), 0);
	assert_str(aor, "sip:b@[2001:db8::1]");
	assert_int_equal(stw_aor_make(STW_STR(""), STW_STR("x"), &arena, &aor), -EBADMSG);
	assert_int_equal(stw_aor_make(STW_STR("x"), STW_STR(""), &arena, &aor), -EBADMSG);
	stw_arena_done(&arena);
}

static void no_memory(void **state)
{
	struct stw_arena arena;
	struct stw_str aor;
	struct stw_uri uri;

	assert_int_equal(stw_uri_parse(STW_STR("sip:bob@example.com"), &uri), 0);
	stw_arena_init(&arena, 4096);
	support_fail_allocation(1);
	assert_int_equal(stw_aor_canonical(&uri, &arena, &aor), -ENOMEM);
	support_fail_allocation(0);
	stw_arena_done(&arena);
	stw_arena_init(&arena, 8);
	assert_int_equal(stw_aor_canonical(&uri, &arena, &aor), -ENOMEM);
	stw_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical),
		cmocka_unit_test(canonical_is_stable),
		cmocka_unit_test(equal_as_canonical_forms),
		cmocka_unit_test(made_from_a_row),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
