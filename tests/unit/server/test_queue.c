/* SPDX-License-Identifier: Apache-2.0 */
/* Queues, as several workers see them: the clock of each was read at the begin of its batch, so
 * what one has written may be later than what another one calls now. What calls do is in
 * tests/scenario/queue. */
#include "server/queue/queue.h"

#include <string.h>

#include "support.h"

static const char yaml[] = "domains: [example.com]\n"
			   "queues: [{name: support, call_time: 60s}]\n";

struct scene {
	struct stw_config *config;
	struct stw_directory *directory;
	struct stw_location *location;
	struct stw_busy *busy;
	struct stw_queues *queues;
};

/* Bob is logged in, and has no phone. */
static void add_agent(struct stw_directory *directory)
{
	const struct stw_str change = STW_STR("queues=support");
	const struct stw_ha1 none = { 0 };
	struct stw_setting_error error;
	struct stw_settings *settings;
	struct stw_user *user;

	assert_int_equal(
		stw_user_new(STW_STR("bob"), STW_STR("example.com"), &none, &none, &user), 0);
	assert_int_equal(stw_settings_change(NULL, &change, 1, &settings, &error), 0);
	assert_int_equal(stw_user_settle(user, settings), 0);
	assert_int_equal(stw_directory_publish(directory, user), 0);
}

static void scene_open(struct scene *scene)
{
	const struct stw_queues_options options = { .workers = 2 };
	const struct stw_hash_key key = { 1, 2 };
	struct stw_config_errors errors = { .n = 0 };

	assert_int_equal(stw_config_parse("test", yaml, strlen(yaml), &errors, &scene->config), 0);
	assert_int_equal(stw_directory_new(key, &scene->directory), 0);
	assert_int_equal(stw_location_new(key, &scene->location), 0);
	assert_int_equal(stw_busy_new(key, 10, &scene->busy), 0);
	assert_int_equal(stw_queues_new(&options, &scene->queues), 0);
	add_agent(scene->directory);
}

static void scene_close(struct scene *scene)
{
	stw_queues_free(scene->queues);
	stw_busy_free(scene->busy);
	stw_location_free(scene->location);
	stw_directory_free(scene->directory);
	stw_config_unref(scene->config);
}

static struct stw_queue_view view(const struct scene *scene, unsigned worker, uint64_t now_ms)
{
	return (struct stw_queue_view){ .config = scene->config,
		.directory = scene->directory,
		.location = scene->location,
		.busy = scene->busy,
		.now = { now_ms, 1700000000000 },
		.worker = worker };
}

static struct stw_queue_call *enter(struct scene *scene, uint64_t now_ms)
{
	const struct stw_queue_caller caller = { .name = STW_STR("carol") };
	struct stw_queue_view own = view(scene, 0, now_ms);
	struct stw_queue_call *call;

	assert_int_equal(
		stw_queues_enter(scene->queues, &own, scene->config->queues, &caller, &call), 0);
	return call;
}

/* @return the only queue; json_decref() the list */
static const json_t *report(struct scene *scene, uint64_t now_ms, json_t **ret_list)
{
	struct stw_queue_view own = view(scene, 1, now_ms);

	*ret_list = stw_queues_report(scene->queues, &own, STW_STR("support"));
	return json_array_get(*ret_list, 0);
}

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void waits_since_later(void **state)
{
	struct scene scene;
	struct stw_queue_call *call;
	const json_t *callers;
	json_t *list;

	scene_open(&scene);
	call = enter(&scene, 5000);
	callers = json_object_get(report(&scene, 4998, &list), "callers");
	assert_int_equal(number(json_array_get(callers, 0), "waited_s"), 0);
	json_decref(list);
	callers = json_object_get(report(&scene, 7000, &list), "callers");
	assert_int_equal(number(json_array_get(callers, 0), "waited_s"), 2);
	json_decref(list);
	stw_queues_leave(scene.queues, call, (struct stw_now){ 8000, 0 });
	scene_close(&scene);
}

/* Answered at one worker, over at once at another one whose clock is older: it took no time, and
 * nobody is told to wait for ages because of it. */
static void over_before_answered(void **state)
{
	struct scene scene;
	struct stw_queue_call *call;
	const struct stw_str bob = STW_STR("sip:bob@example.com");
	struct stw_queue_view own;
	json_t *list;

	scene_open(&scene);
	call = enter(&scene, 5000);
	assert_int_equal(stw_busy_enter(scene.busy, bob, 0), 0);
	own = view(&scene, 0, 6000);
	stw_queues_answered(scene.queues, &own, call, bob);
	stw_queues_leave(scene.queues, call, own.now);
	stw_busy_leave(scene.busy, bob, 5999);
	assert_int_equal(number(report(&scene, 5999, &list), "wait_s"), 60);
	json_decref(list);
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_since_later),
		cmocka_unit_test(over_before_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
