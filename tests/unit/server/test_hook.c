/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of web servers: how they are read, and how long they are remembered. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/hook/cache.h"
#include "server/hook/reply.h"

static struct stw_arena arena;

static int setup(void **state)
{
	stw_arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	stw_arena_done(&arena);
	return 0;
}

/* ---- reply ------------------------------------------------------------------------------- */

static struct stw_hook_reply good(const char *text)
{
	struct stw_hook_reply reply;
	const char *why = "";

	if (stw_hook_reply_read(stw_str_from(text), &arena, &reply, &why) < 0)
		fail_msg("%s: %s", text, why);
	return reply;
}

static void test_actions(void **state)
{
	struct stw_hook_reply reply = good("{\"action\": \"pass\"}");

	assert_int_equal(reply.action, STW_HOOK_PASS);
	assert_int_equal(reply.ttl_s, 0);
	reply = good(
		"{\"action\": \"refuse\", \"code\": 603, \"phrase\": \"No\", \"reason\": \"why\", "
		"\"ttl\": 86400, \"later\": {\"versions\": [1]}}");
	assert_int_equal(reply.action, STW_HOOK_REFUSE);
	assert_int_equal(reply.code, 603);
	assert_str(reply.phrase, "No");
	assert_str(reply.reason, "why");
	assert_int_equal(reply.ttl_s, 86400);
	reply = good("{\"action\": \"redirect\", \"contacts\": [\"sip:a@b.example\", \"tel:+1\"]}");
	assert_int_equal(reply.action, STW_HOOK_REDIRECT);
	assert_int_equal(reply.contact_count, 2);
	assert_str(reply.contacts[1], "tel:+1");
	reply = good("{\"action\": \"add\", \"headers\": {\"X-A\": \"1\", \"X-B\": \"\xc3\xa4\"}, "
		     "\"classes\": [\"national\"]}");
	assert_int_equal(reply.action, STW_HOOK_PASS);
	assert_int_equal(reply.header_count, 2);
	assert_str(reply.headers[0].name, "X-A");
	assert_str(reply.headers[1].value, "\xc3\xa4");
	assert_int_equal(reply.class_count, 1);
	assert_str(reply.classes[0], "national");
}

static void test_nonsense(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "it is no JSON" },
		{ "{", "it is no JSON" },
		{ "{\"action\": \"pass\"} and more", "it is no JSON" },
		{ "{\"action\": \"pass\", \"action\": \"refuse\"}", "it is no JSON" },
		{ "[]", "it is no object" },
		{ "{}", "action is none of pass, add, refuse, redirect" },
		{ "{\"action\": true}", "action is none of pass, add, refuse, redirect" },
		{ "{\"action\": \"Pass\"}", "action is none of pass, add, refuse, redirect" },
		{ "{\"action\": \"pass\", \"ttl\": -1}",
			"ttl is no number of seconds up to 86400" },
		{ "{\"action\": \"pass\", \"ttl\": \"60\"}",
			"ttl is no number of seconds up to 86400" },
		{ "{\"action\": \"pass\", \"ttl\": 86401}",
			"ttl is no number of seconds up to 86400" },
		{ "{\"action\": \"refuse\", \"code\": \"608\"}", "code is no response code" },
		{ "{\"action\": \"refuse\", \"code\": 608.0}", "code is no response code" },
		{ "{\"action\": \"refuse\", \"code\": 302}",
			"code is no response code from 400 to 699" },
		{ "{\"action\": \"refuse\", \"code\": 700}", "code is no response code" },
		{ "{\"action\": \"refuse\", \"phrase\": 1}", "phrase is no line of text" },
		{ "{\"action\": \"refuse\", \"phrase\": \"a\\nb\"}", "phrase is no line of text" },
		{ "{\"action\": \"refuse\", \"reason\": \"a\\u007f\"}",
			"reason is no line of text" },
		{ "{\"action\": \"redirect\"}", "contacts is no list of URIs" },
		{ "{\"action\": \"redirect\", \"contacts\": []}", "contacts is no list of URIs" },
		{ "{\"action\": \"redirect\", \"contacts\": \"sip:a@b.example\"}",
			"contacts is no list of URIs" },
		{ "{\"action\": \"redirect\", \"contacts\": [\"http://b.example\"]}",
			"a contact is no sip, sips or tel URI" },
		{ "{\"action\": \"redirect\", \"contacts\": [\"sip:a@b.example>\"]}",
			"a contact is no sip, sips or tel URI" },
		{ "{\"action\": \"add\", \"headers\": [\"X-A: 1\"]}", "headers is no object" },
		{ "{\"action\": \"add\", \"headers\": {\"X A\": \"1\"}}",
			"the name of a header is no word" },
		{ "{\"action\": \"add\", \"headers\": {\"X-A\": \"1\\r\\nVia: x\"}}",
			"the value of a header is no line of text" },
		{ "{\"action\": \"add\", \"classes\": \"national\"}", "classes is no list" },
		{ "{\"action\": \"add\", \"classes\": [\"a b\"]}", "a class is no word" },
	};
	struct stw_hook_reply reply;
	const char *why;

	for (size_t i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		int err = stw_hook_reply_read(stw_str_from(rows[i].text), &arena, &reply, &why);

		if (err != -EBADMSG || strcmp(why, rows[i].why) != 0)
			fail_msg("%s: %d, %s", rows[i].text, err, why ? why : "understood");
	}
}

/* ---- cache --------------------------------------------------------------------------------- */

static struct stw_hook_cache *cache_of(size_t answers, size_t bytes)
{
	struct stw_hook_cache *cache;

	assert_int_equal(
		stw_hook_cache_new(answers, bytes, (struct stw_hash_key){ 1, 2 }, &cache), 0);
	return cache;
}

static const char *cached(struct stw_hook_cache *cache, const char *question, uint64_t now_ms)
{
	static char text[64];
	struct stw_str answer;

	if (!stw_hook_cache_get(cache, stw_str_from(question), now_ms, &answer))
		return "none";
	snprintf(text, sizeof(text), "%.*s", STW_STR_ARG(answer));
	return text;
}

static void test_cache(void **state)
{
	struct stw_hook_cache *cache = cache_of(2, 10000);

	assert_string_equal(cached(cache, "a", 0), "none");
	stw_hook_cache_put(cache, STW_STR("a"), STW_STR("1"), 100);
	stw_hook_cache_put(cache, STW_STR("b"), STW_STR("2"), 200);
	assert_string_equal(cached(cache, "a", 99), "1");
	/* The one that was not used for the longest time goes. */
	stw_hook_cache_put(cache, STW_STR("c"), STW_STR("3"), 300);
	assert_string_equal(cached(cache, "b", 99), "none");
	assert_string_equal(cached(cache, "a", 99), "1");
	assert_string_equal(cached(cache, "a", 100), "none");
	assert_int_equal(stw_hook_cache_count(cache), 1);
	stw_hook_cache_put(cache, STW_STR("c"), STW_STR("4"), 300);
	assert_string_equal(cached(cache, "c", 299), "4");
	assert_int_equal(stw_hook_cache_count(cache), 1);
	stw_hook_cache_free(cache);
}

static void test_cache_bounds(void **state)
{
	struct stw_hook_cache *cache = cache_of(0, 10000);
	char big[600];

	stw_hook_cache_put(cache, STW_STR("a"), STW_STR("1"), 100);
	assert_int_equal(stw_hook_cache_count(cache), 0);
	stw_hook_cache_free(cache);
	cache = cache_of(100, 1000);
	memset(big, 'x', sizeof(big));
	stw_hook_cache_put(cache, STW_STR("a"), (struct stw_str){ big, sizeof(big) }, 100);
	assert_int_equal(stw_hook_cache_count(cache), 1);
	stw_hook_cache_put(cache, STW_STR("b"), (struct stw_str){ big, sizeof(big) }, 100);
	assert_int_equal(stw_hook_cache_count(cache), 1);
	assert_string_equal(cached(cache, "a", 0), "none");
	assert_null(stw_hook_cache_free(cache));
	assert_null(stw_hook_cache_free(NULL));
}

static void test_no_memory(void **state)
{
	struct stw_hook_cache *cache = NULL;

	support_fail_allocation(1);
	assert_int_equal(
		stw_hook_cache_new(1, 1000, (struct stw_hash_key){ 1, 2 }, &cache), -ENOMEM);
	cache = cache_of(10, 1000);
	for (unsigned nth = 1; nth < 3; nth++) {
		support_fail_allocation(nth);
		stw_hook_cache_put(cache, STW_STR("a"), STW_STR("1"), 100);
		support_fail_allocation(0);
		assert_true(stw_hook_cache_count(cache) <= 1);
	}
	stw_hook_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_bounds),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
