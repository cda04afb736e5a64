/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <string.h>
#include <strowger/message.h>

static const struct stw_cause *const causes[] = {
#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) &stw_cause_##name,
#include <strowger/causes/message.def>
#undef CAUSE
};

static const char *const names[] = {
#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) #name,
#include <strowger/causes/message.def>
#undef CAUSE
};

/* Operators search logs for ids: lower case, hyphens, the name of the row. */
static void id_is_the_name_with_hyphens(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(causes); i++) {
		assert_int_equal(strlen(causes[i]->id), strlen(names[i]));
		for (size_t at = 0; names[i][at]; at++)
			assert_int_equal(
				causes[i]->id[at], names[i][at] == '_' ? '-' : names[i][at]);
	}
}

static void ids_and_phrases_are_unique(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(causes); i++) {
		for (size_t other = 0; other < i; other++) {
			assert_string_not_equal(causes[i]->id, causes[other]->id);
			assert_string_not_equal(causes[i]->phrase, causes[other]->phrase);
		}
	}
}

/* A Reason-Phrase goes on the wire as it stands: plain ASCII text (RFC 3261 §25.1). */
static void phrases_are_plain_text(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(causes); i++) {
		assert_true(strlen(causes[i]->phrase) > 3);
		for (const char *at = causes[i]->phrase; *at; at++)
			assert_in_range(*at, ' ', '~');
	}
}

static void every_text_is_a_sentence(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(causes); i++) {
		const char *const texts[] = { causes[i]->meaning, causes[i]->reason,
			causes[i]->remedy };

		for (size_t t = 0; t < STW_ARRAY_SIZE(texts); t++) {
			assert_true(strlen(texts[t]) > 20);
			assert_in_range(texts[t][0], 'A', 'Z');
			assert_int_equal(texts[t][strlen(texts[t]) - 1], '.');
		}
		assert_int_equal(strncmp(causes[i]->rfc, "RFC ", 4), 0);
	}
}

static void codes_are_in_the_registry(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(causes); i++) {
		if (causes[i]->code)
			assert_non_null(stw_status_find(causes[i]->code));
	}
	assert_int_equal(stw_cause_missing_via.code, 0);
	assert_int_equal(stw_cause_not_sip.code, 0);
	assert_int_equal(stw_cause_bad_status_line.code, 0);
	assert_int_equal(stw_cause_uri_too_long.code, 414);
	assert_int_equal(stw_cause_body_too_large.code, 413);
	assert_int_equal(stw_cause_version_not_supported.code, 505);
	assert_int_equal(stw_cause_too_many_headers.code, 513);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(id_is_the_name_with_hyphens),
		cmocka_unit_test(ids_and_phrases_are_unique),
		cmocka_unit_test(phrases_are_plain_text),
		cmocka_unit_test(every_text_is_a_sentence),
		cmocka_unit_test(codes_are_in_the_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
