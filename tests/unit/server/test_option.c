/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config/internal.h"

/* "store\_sync", as scdoc wants it. */
static void man_text(const char *text, char *ret)
{
	for (; *text; text++) {
		if (*text == '_')
			*ret++ = '\\';
		*ret++ = *text;
	}
	*ret = '\0';
}

/* "*queues* (list, {name, agents, …})": all keys that an entry can have. */
static void keys_are_documented(const struct stw_option *option, const char *head)
{
	const struct stw_option_form *form = option->form;
	char keys[1000];

	for (unsigned i = 0; form && form->only_entries && i < form->key_count; i++) {
		if (!strstr(option->allowed, form->keys[i].name))
			fail_msg("%s: %s is not among what is allowed", option->key,
				form->keys[i].name);
	}
	if (!form || !form->only_entries)
		return;
	man_text(option->allowed, keys);
	head += strcspn(head, "(");
	if (strncmp(head, "(list, ", 7) != 0 || strncmp(head + 7, keys, strlen(keys)) != 0)
		fail_msg("strowger.yaml(5) does not have %s %s", option->key, option->allowed);
}

static void test_each_option_is_documented(void **state)
{
	const struct stw_option *option;
	char name[80], key[64];
	size_t count;
	char *page = support_read_file(STW_SOURCE_ROOT "/docs/man/strowger.yaml.5.scd", &count);

	option = stw_option_all(&count);
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(option[i].help);

		man_text(option[i].key, key);
		snprintf(name, sizeof(name), "*%.60s* (", key);
		if (!strstr(page, name))
			fail_msg("%s is not in strowger.yaml(5)", name);
		keys_are_documented(&option[i], strstr(page, name));
		assert_true(len > 10 && option[i].help[len - 1] == '.');
		assert_ptr_equal(stw_option_find(option[i].key), &option[i]);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(option[i].key, option[j].key);
		if (*option[i].rfc)
			assert_memory_equal(option[i].rfc, "RFC ", 4);
	}
	assert_null(stw_option_find("registration"));
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_option_is_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
