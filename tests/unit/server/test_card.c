/* SPDX-License-Identifier: Apache-2.0 */
/* The signed card: what stands in it, and keys that are none. That its signature holds is verified
 * by another program in tests/interop/hook.py. */
#include "support.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/card/card.h"

#define FOLDER STW_SOURCE_ROOT "/tests/unit/server/card/"

static void test_keys(void **state)
{
	struct stw_card_key *key = NULL;

	assert_int_equal(stw_card_key_load(FOLDER "p256.pem", &key), 0);
	assert_null(stw_card_key_free(key));
	assert_int_equal(stw_card_key_load(FOLDER "p384.pem", &key), -EINVAL);
	assert_int_equal(stw_card_key_load(STW_SOURCE_ROOT "/LICENSE", &key), -EINVAL);
	assert_int_equal(stw_card_key_load(FOLDER "none.pem", &key), -ENOENT);
	assert_null(stw_card_key_free(NULL));
}

static void test_contacts(void **state)
{
	assert_true(stw_card_is_contact(STW_STR("mailto:a@example.com")));
	assert_true(stw_card_is_contact(STW_STR("tel:+49301")));
	assert_true(stw_card_is_contact(STW_STR("https://www.example.com/appeal")));
	assert_false(stw_card_is_contact(STW_STR("mailto:")));
	assert_false(stw_card_is_contact(STW_STR("a@example.com")));
	assert_false(stw_card_is_contact(STW_STR("https://www.example.com/a b")));
	assert_false(stw_card_is_contact(STW_STR("")));
}

static unsigned value_of(char c)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = strchr(letters, c);

	assert_non_null(at);
	return (unsigned)(at - letters);
}

/* One part of a JWS. @return bytes */
static size_t decode(const char *text, size_t len, char *to)
{
	unsigned bits = 0, have = 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 6 | value_of(text[i]);
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[n++] = (char)(bits >> have & 255);
		}
	}
	to[n] = 0;
	return n;
}

static void test_card(void **state)
{
	const struct stw_str contacts[] = { STW_STR("mailto:a@example.com"), STW_STR("tel:+49301"),
		STW_STR("https://www.example.com/") };
	const struct stw_card card = { .certificate = STW_STR("https://www.example.com/c.pem"),
		.name = STW_STR("Call \"Appeals\""),
		.contacts = contacts,
		.contact_count = 3 };
	struct stw_card_key *key = NULL;
	char *text, *second, *end, part[2000];

	assert_int_equal(stw_card_key_load(FOLDER "p256.pem", &key), 0);
	assert_int_equal(stw_card_make(&card, key, 1546008698, &text), 0);
	end = strchr(text, '.');
	decode(text, (size_t)(end - text), part);
	assert_string_equal(part, "{\"alg\":\"ES256\",\"typ\":\"vcard+json\","
				  "\"x5u\":\"https://www.example.com/c.pem\"}");
	second = end + 1;
	end = strchr(second, '.');
	decode(second, (size_t)(end - second), part);
	assert_string_equal(part,
		"{\"iat\":1546008698,\"jcard\":[\"vcard\",[[\"version\",{},\"text\",\"4.0\"],"
		"[\"fn\",{},\"text\",\"Call \\\"Appeals\\\"\"],"
		"[\"email\",{},\"text\",\"a@example.com\"],[\"tel\",{},\"uri\",\"tel:+49301\"],"
		"[\"url\",{},\"uri\",\"https://www.example.com/\"]]]}");
	assert_int_equal(decode(end + 1, strlen(end + 1), part), 64);
	assert_null(strchr(text, '='));
	free(text);
	stw_card_key_free(key);
}

static void test_no_memory(void **state)
{
	const struct stw_str contact = STW_STR("tel:+1");
	const struct stw_card card = { .contacts = &contact, .contact_count = 1 };
	struct stw_card_key *key = NULL;
	char *text;

	support_fail_allocation(1);
	assert_true(stw_card_key_load(FOLDER "p256.pem", &key) < 0);
	support_fail_allocation(0);
	assert_int_equal(stw_card_key_load(FOLDER "p256.pem", &key), 0);
	for (unsigned nth = 1; nth < 12; nth++) {
		text = NULL;
		support_fail_allocation(nth);
		if (stw_card_make(&card, key, 1, &text) == 0)
			free(text);
		support_fail_allocation(0);
	}
	stw_card_key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_contacts),
		cmocka_unit_test(test_card),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
