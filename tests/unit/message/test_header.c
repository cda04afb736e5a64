/* SPDX-License-Identifier: Apache-2.0 */
#include "guarded.h"

#include <ctype.h>

/* Each name of the list is found by itself, in capitals and by its compact form. */
static void test_list(void **state)
{
	static const struct {
		enum stw_header header;
		const char *name;
		char compact;
		unsigned flags;
	} rows[] = {
#define X(id, name, compact, flags, rfc) { STW_HDR_##id, name, compact, flags },
		STW_HEADER_LIST(X)
#undef X
	};
	char capitals[64], compact[2] = "";
	struct stw_str name;
	size_t i, at;

	for (i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		name = guard(rows[i].name);
		assert_int_equal(stw_header_from(name), rows[i].header);
		assert_str(stw_header_name(rows[i].header), rows[i].name);
		assert_int_equal(stw_header_flags(rows[i].header), rows[i].flags);
		for (at = 0; at <= name.len; at++)
			capitals[at] = (char)toupper((unsigned char)rows[i].name[at]);
		assert_int_equal(stw_header_from(stw_str_from(capitals)), rows[i].header);
		capitals[name.len - 1] = '~';
		assert_int_equal(stw_header_from(stw_str_from(capitals)), STW_HDR_UNKNOWN);
		unguard(name);
		if (!rows[i].compact)
			continue;
		compact[0] = rows[i].compact;
		assert_int_equal(stw_header_from(stw_str_from(compact)), rows[i].header);
		compact[0] = (char)toupper((unsigned char)rows[i].compact);
		assert_int_equal(stw_header_from(stw_str_from(compact)), rows[i].header);
	}
}

static void test_unknown(void **state)
{
	static const char *const names[] = { "", "z", "g", "1", "~", "Vi", "Viaa", "X-Via", "To ",
		"A-name-that-is-longer-than-any-known-name" };
	size_t i;

	for (i = 0; i < STW_ARRAY_SIZE(names); i++)
		assert_int_equal(stw_header_from(stw_str_from(names[i])), STW_HDR_UNKNOWN);
	assert_null(stw_header_name(STW_HDR_UNKNOWN).ptr);
	assert_int_equal(stw_header_flags(STW_HDR_UNKNOWN), 0);
}

static void test_methods(void **state)
{
	static const char *const unknown[] = { "", "INV", "invite", "INVITES", "INVITF", "ACK ",
		"X", "SUBSCRIBES", "NOTIFX", "RE%47ISTER" };
	struct stw_str name;
	unsigned method;
	size_t i;

	for (method = 1; method < STW_METHODS; method++) {
		name = stw_method_name((enum stw_method)method);
		assert_true(name.len >= 3);
		assert_int_equal(stw_method_from(name), method);
	}
	for (i = 0; i < STW_ARRAY_SIZE(unknown); i++)
		assert_int_equal(stw_method_from(stw_str_from(unknown[i])), STW_METHOD_UNKNOWN);
	assert_null(stw_method_name(STW_METHOD_UNKNOWN).ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
