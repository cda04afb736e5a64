/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admin/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <strowger/rcu.h>

#include "server/admin/account.h"
#include "server/admin/list.h"
#include "server/card/card.h"
#include "server/queue/queue.h"

#define ARENA_BYTES   16384u
#define CALLS_DEFAULT 20
#define CALLS_MAX     10000
#define SETTINGS_MAX  64

/* One request in hand. */
struct turn {
	const struct stw_api *api;
	const struct stw_api_request *request;
	const char *rest; /* of the path, behind the endpoint; "" when there is none */
	struct stw_arena arena;
	struct stw_api_reply *reply;
};

void stw_api_error(struct stw_api_reply *ret, unsigned status, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_decref(ret->json);
	ret->status = status;
	ret->json = json_pack("{s:o}", "error", stw_json_text(stw_str_from(text)));
}

static void turn_ok(struct turn *turn, json_t *json)
{
	turn->reply->status = 200;
	turn->reply->json = json;
	if (!json)
		stw_api_error(turn->reply, 500, "no memory is left");
}

/* @return 0 with an answer, else the error has been replied */
static int turn_ask(struct turn *turn, struct stw_ask *ask)
{
	int err = turn->api->ask(turn->api->context, ask);

	if (err == 0)
		err = ask->question.error;
	if (err == 0)
		return 0;
	json_decref(ask->question.answer);
	ask->question.answer = NULL;
	if (err == -ESHUTDOWN)
		stw_api_error(turn->reply, 503, "the server is ending");
	else if (err == -EINVAL)
		stw_api_error(turn->reply, 400, "%s is no address", turn->rest);
	else if (err == -ENOBUFS)
		stw_api_error(turn->reply, 503, "too many changes wait for the store");
	else if (err == -ENOENT)
		stw_api_error(turn->reply, 404, "there is no user %s", turn->rest);
	else
		stw_api_error(turn->reply, 500, "the store refused the change");
	return err;
}

static int turn_account(struct turn *turn, struct stw_str text, struct stw_account *ret)
{
	char error[200] = "no memory is left";
	int err = stw_account_parse(turn->request->config, text, &turn->arena, ret, error);

	if (err < 0)
		stw_api_error(turn->reply, err == -EINVAL ? 400 : 500, "%s", error);
	return err;
}

/* ---- the server -------------------------------------------------------------------------- */

json_t *stw_api_domains(const struct stw_config *config)
{
	json_t *domains = json_array();

	for (unsigned i = 0; i < config->domain_count; i++)
		json_array_append_new(domains, stw_json_text(config->domains[i]));
	return domains;
}

/* A reload may bring other domains; the rest of `info` needs a restart. */
static void get_status(struct turn *turn)
{
	struct stw_ask ask = { .question.kind = STW_QUESTION_STATUS };

	if (turn_ask(turn, &ask) < 0)
		return;
	if (ask.question.answer && turn->api->info) {
		json_object_set_new(
			ask.question.answer, "domains", stw_api_domains(turn->request->config));
		json_object_update_missing(
			ask.question.answer, (json_t *)(uintptr_t)turn->api->info);
	}
	turn_ok(turn, ask.question.answer);
}

static void get_why(struct turn *turn)
{
	struct stw_ask ask = { .question = { .kind = STW_QUESTION_WHY,
				       .text = stw_str_from(turn->rest) } };
	int err;

	if (!*turn->rest) {
		stw_api_error(turn->reply, 400, "which call? /v1/why/CALL-ID or /v1/why/last");
		return;
	}
	err = turn->api->ask(turn->api->context, &ask);
	if (err == 0 && ask.question.error == -ENOENT)
		stw_api_error(turn->reply, 404,
			strcmp(turn->rest, "last") == 0 ? "no call is remembered yet"
							: "no call with Call-ID %s is remembered",
			turn->rest);
	else if (err < 0 || ask.question.error < 0)
		stw_api_error(turn->reply, 503, "the server is ending");
	else
		turn_ok(turn, ask.question.answer);
}

static void get_calls(struct turn *turn)
{
	struct stw_ask ask = { .question = {
				       .kind = STW_QUESTION_CALLS, .number = CALLS_DEFAULT } };
	uint64_t number;

	if (turn->request->number) {
		if (stw_str_to_uint(stw_str_from(turn->request->number), CALLS_MAX, &number) < 0) {
			stw_api_error(turn->reply, 400, "n is a number of at most %d", CALLS_MAX);
			return;
		}
		ask.question.number = (unsigned)number;
	}
	if (turn_ask(turn, &ask) == 0)
		turn_ok(turn, ask.question.answer);
}

static void post_drain(struct turn *turn)
{
	struct stw_ask ask = { .question.kind = STW_QUESTION_DRAIN };

	if (turn_ask(turn, &ask) < 0)
		return;
	json_decref(ask.question.answer);
	get_status(turn);
}

/* The configuration is at fault: its errors are the answer. */
static void post_reload(struct turn *turn)
{
	struct stw_ask ask = { .kind = STW_ASK_RELOAD };
	int err = turn->api->ask(turn->api->context, &ask);

	if (err < 0) {
		stw_api_error(turn->reply, 503, "the server is ending");
		return;
	}
	turn_ok(turn, ask.question.answer);
	if (ask.question.error < 0)
		turn->reply->status = 409;
}

static void post_stop(struct turn *turn)
{
	struct stw_ask ask = { .kind = STW_ASK_STOP };

	if (turn->api->ask(turn->api->context, &ask) < 0)
		stw_api_error(turn->reply, 503, "the server is ending");
	else
		turn_ok(turn, json_pack("{s:I}", "pid", (json_int_t)getpid()));
}

/* ---- users --------------------------------------------------------------------------------- */

static bool user_exists(const struct turn *turn, struct stw_str aor)
{
	bool found;

	if (turn->api->read_rcu)
		stw_rcu_register_thread();
	found = stw_directory_find(turn->api->directory, aor) != NULL;
	if (turn->api->read_rcu)
		stw_rcu_unregister_thread();
	return found;
}

/* Each setting: its value, or what is standard. Without such a user nothing is added. */
static void add_settings(const struct turn *turn, struct stw_str aor, json_t *json)
{
	const struct stw_setting *setting;
	const struct stw_user *user;

	if (turn->api->read_rcu)
		stw_rcu_register_thread();
	user = stw_directory_find(turn->api->directory, aor);
	for (size_t i = 0; user && (setting = stw_setting_at(i)); i++) {
		struct stw_str value = stw_settings_value(user->settings, setting->key);

		if (!value.len)
			value = stw_str_from(setting->standard);
		json_object_set_new(json, setting->key, stw_json_text(value));
	}
	if (turn->api->read_rcu)
		stw_rcu_unregister_thread();
}

static void get_user(struct turn *turn)
{
	struct stw_ask ask = { .question.kind = STW_QUESTION_BINDINGS };
	struct stw_account account;
	json_t *first, *json;

	if (turn_account(turn, stw_str_from(turn->rest), &account) < 0)
		return;
	if (!user_exists(turn, account.aor)) {
		stw_api_error(turn->reply, 404, "there is no user %s", turn->rest);
		return;
	}
	ask.question.text = account.aor;
	if (turn_ask(turn, &ask) < 0)
		return;
	first = json_object_get(json_array_get(ask.question.answer, 0), "bindings");
	json = json_pack("{s:o, s:o, s:o, s:o}", "aor", stw_json_text(account.aor), "user",
		stw_json_text(account.user), "domain", stw_json_text(account.domain), "bindings",
		first ? json_incref(first) : json_array());
	if (json)
		add_settings(turn, account.aor, json);
	turn_ok(turn, json);
	json_decref(ask.question.answer);
}

static void turn_list(struct turn *turn, int (*list)(const struct stw_api *api, json_t **ret))
{
	json_t *answer = NULL;
	int err = list(turn->api, &answer);

	if (err == -ESHUTDOWN)
		stw_api_error(turn->reply, 503, "the server is ending");
	else
		turn_ok(turn, answer);
}

static void get_users(struct turn *turn)
{
	if (*turn->rest)
		get_user(turn);
	else
		turn_list(turn, stw_list_users);
}

static void get_rules(struct turn *turn)
{
	turn_list(turn, stw_list_rules);
}

/* Whom a caller turns to who was rejected; RFC 7515 §9.2.1. */
static void get_card(struct turn *turn)
{
	const struct stw_config *config = turn->request->config;
	struct stw_card card = { .certificate = config->analytics.card_certificate,
		.name = config->analytics.card_name,
		.contacts = config->analytics.card_contacts.v,
		.contact_count = config->analytics.card_contacts.n };
	char *text;

	if (!config->analytics.card) {
		stw_api_error(turn->reply, 404, "analytics.card_key is not set");
		return;
	}
	if (stw_card_make(&card, config->analytics.card, (int64_t)time(NULL), &text) < 0) {
		stw_api_error(turn->reply, 500, "the card cannot be signed");
		return;
	}
	turn_ok(turn, json_string(text));
	turn->reply->type = "application/jose";
	free(text);
}

/* One element of POST /v1/users. @return 0, else the error has been replied */
static int user_row(struct turn *turn, size_t index, const char *mode, struct stw_user_row *ret)
{
	const json_t *list = json_object_get(turn->request->body, "users");
	const json_t *element = json_array_get(list, index);
	const char *aor = json_string_value(json_object_get(element, "aor"));
	const json_t *password = json_object_get(element, "password");
	struct stw_account account;
	char error[200] = "no memory is left";
	bool found;

	if (!aor || !json_is_string(password)) {
		stw_api_error(turn->reply, 400, "users[%zu] needs \"aor\" and \"password\"", index);
		return -EINVAL;
	}
	if (turn_account(turn, stw_str_from(aor), &account) < 0)
		return -EINVAL;
	found = strcmp(mode, "set") != 0 && user_exists(turn, account.aor);
	if (strcmp(mode, "add") == 0 && found) {
		stw_api_error(turn->reply, 409,
			"the user %s exists already; `user passwd` changes the password", aor);
		return -EEXIST;
	}
	if (strcmp(mode, "passwd") == 0 && !found) {
		stw_api_error(turn->reply, 404, "there is no user %s", aor);
		return -ENOENT;
	}
	if (stw_account_row(&account,
		    (struct stw_str){ json_string_value(password), json_string_length(password) },
		    &turn->arena, ret, error) < 0) {
		stw_api_error(turn->reply, 400, "%s", error);
		return -EINVAL;
	}
	return 0;
}

static int agent_check(
	struct turn *turn, const char *key, const struct stw_account *account, struct stw_str names)
{
	const struct stw_config *config = turn->request->config;
	size_t from = 0, end;

	for (; from < names.len; from = end + 1) {
		const struct stw_call_queue *queue;
		struct stw_str name;

		end = stw_str_find(names, ',', from);
		name = stw_str_trim(stw_str_cut(names, from, end));
		queue = stw_config_queue(config, name);
		if (queue && stw_queue_admits(config, queue, account->user, account->domain))
			continue;
		if (queue)
			stw_api_error(turn->reply, 400, "%s: %.*s is none of the agents of %.*s",
				key, STW_STR_ARG(account->user), STW_STR_ARG(name));
		else
			stw_api_error(turn->reply, 400,
				"%s: there is no queue %.*s in the configuration", key,
				STW_STR_ARG(name));
		return -EINVAL;
	}
	return 0;
}

/* Queues and groups are in the configuration, which the store does not know. */
static int setting_check(
	struct turn *turn, const struct stw_account *account, const char *key, const char *value)
{
	struct stw_forward_target target;

	if (strcmp(key, "queues") == 0 || strcmp(key, "queues_paused") == 0)
		return agent_check(turn, key, account, stw_str_from(value));
	if (strncmp(key, "forward.", 8) != 0 ||
		stw_forward_target_parse(stw_str_from(value), &target) < 0 ||
		(target.kind != STW_FORWARD_TO_QUEUE && target.kind != STW_FORWARD_TO_GROUP) ||
		(target.kind == STW_FORWARD_TO_GROUP &&
			stw_config_group(turn->request->config, target.text)) ||
		(target.kind == STW_FORWARD_TO_QUEUE &&
			stw_config_queue(turn->request->config, target.text)))
		return 0;
	stw_api_error(turn->reply, 400, "%s: there is no %s %.*s in the configuration", key,
		target.kind == STW_FORWARD_TO_QUEUE ? "queue" : "group", STW_STR_ARG(target.text));
	return -EINVAL;
}

/* "KEY=VALUE" of each member. @return how many; -EINVAL: replied */
static int settings_read(
	struct turn *turn, const struct stw_account *account, struct stw_str changes[SETTINGS_MAX])
{
	const char *key;
	json_t *value;
	int n = 0;

	json_object_foreach((json_t *)(uintptr_t)turn->request->body, key, value)
	{
		if (n == SETTINGS_MAX || !json_is_string(value) ||
			stw_arena_printf(&turn->arena, &changes[n++], "%s=%s", key,
				json_string_value(value)) < 0) {
			stw_api_error(turn->reply, 400,
				"the value of each setting is a string, and not all too long");
			return -EINVAL;
		}
		if (setting_check(turn, account, key, json_string_value(value)) < 0)
			return -EINVAL;
	}
	if (n == 0)
		stw_api_error(turn->reply, 400,
			"settings are needed: {\"KEY\": \"VALUE\", …}; an empty value clears");
	return n ? n : -EINVAL;
}

static void patch_user(struct turn *turn)
{
	struct stw_ask ask = { .question.kind = STW_QUESTION_SETTINGS };
	struct stw_setting_error error = { "the change is not possible" };
	struct stw_str changes[SETTINGS_MAX];
	struct stw_account account;
	int n, err;

	turn->arena.limit_bytes = ARENA_BYTES + 2 * STW_SETTING_TEXT_MAX;
	if (turn_account(turn, stw_str_from(turn->rest), &account) < 0)
		return;
	n = settings_read(turn, &account, changes);
	if (n < 0)
		return;
	ask.question.text = account.aor;
	ask.question.job.settings = changes;
	ask.question.job.setting_count = (unsigned)n;
	ask.question.job.setting_error = &error;
	err = turn_ask(turn, &ask);
	if (err == -EBADMSG)
		stw_api_error(turn->reply, 400, "%s", error.text);
	if (err < 0)
		return;
	json_decref(ask.question.answer);
	get_user(turn);
}

static void users_store(struct turn *turn, struct stw_user_row *rows, unsigned count)
{
	struct stw_ask ask = {
		.question = { .kind = STW_QUESTION_USER_SET, .users = rows, .user_count = count }
	};

	if (turn_ask(turn, &ask) < 0)
		return;
	json_decref(ask.question.answer);
	turn_ok(turn, json_pack("{s:i}", "users", (int)count));
}

static void post_users(struct turn *turn)
{
	const char *mode = json_string_value(json_object_get(turn->request->body, "mode"));
	size_t count = json_array_size(json_object_get(turn->request->body, "users"));
	struct stw_user_row *rows;
	size_t i;

	if (!mode || (strcmp(mode, "add") != 0 && strcmp(mode, "passwd") != 0 &&
			     strcmp(mode, "set") != 0)) {
		stw_api_error(turn->reply, 400, "\"mode\" is one of add, passwd, set");
		return;
	}
	if (!count) {
		stw_api_error(turn->reply, 400, "\"users\" is a list of at least one user");
		return;
	}
	rows = calloc(count, sizeof(*rows));
	if (!rows) {
		stw_api_error(turn->reply, 500, "no memory is left");
		return;
	}
	turn->arena.limit_bytes = ARENA_BYTES + count * 2048;
	for (i = 0; i < count && user_row(turn, i, mode, &rows[i]) == 0; i++)
		;
	if (i == count)
		users_store(turn, rows, (unsigned)count);
	explicit_bzero(rows, count * sizeof(*rows));
	free(rows);
}

static void delete_user(struct turn *turn)
{
	struct stw_account account;
	struct stw_user_row row = { 0 };
	struct stw_ask ask = {
		.question = { .kind = STW_QUESTION_USER_REMOVE, .users = &row, .user_count = 1 }
	};

	if (turn_account(turn, stw_str_from(turn->rest), &account) < 0)
		return;
	row.user = account.user;
	row.domain = account.domain;
	if (!user_exists(turn, account.aor)) {
		stw_api_error(turn->reply, 404, "there is no user %s", turn->rest);
		return;
	}
	if (turn_ask(turn, &ask) < 0)
		return;
	json_decref(ask.question.answer);
	turn_ok(turn, json_pack("{s:o}", "removed", stw_json_text(account.aor)));
}

/* ---- bindings ------------------------------------------------------------------------------ */

static void get_bindings(struct turn *turn)
{
	struct stw_ask ask = { .question.kind = STW_QUESTION_BINDINGS };
	struct stw_account account;

	if (!*turn->rest) {
		turn_list(turn, stw_list_bindings);
		return;
	}
	if (turn_account(turn, stw_str_from(turn->rest), &account) < 0)
		return;
	ask.question.text = account.aor;
	if (turn_ask(turn, &ask) == 0)
		turn_ok(turn, ask.question.answer);
}

static void delete_binding(struct turn *turn)
{
	struct stw_ask ask = { .question.kind = STW_QUESTION_BINDING_REMOVE };
	struct stw_account account;
	int err;

	if (turn_account(turn, stw_str_from(turn->rest), &account) < 0)
		return;
	ask.question.text = account.aor;
	ask.question.text2 = stw_str_from(turn->request->contact);
	err = turn->api->ask(turn->api->context, &ask);
	if (err == 0)
		err = ask.question.error;
	if (err < 0) {
		stw_api_error(turn->reply, err == -ENOENT ? 404 : 503,
			err == -ENOENT ? "%s has no such binding"
				       : "the change to %s was not stored",
			turn->rest);
		return;
	}
	json_decref(ask.question.answer);
	turn_ok(turn, json_pack("{s:o, s:i}", "aor", stw_json_text(account.aor), "removed",
			      (int)ask.question.job.changed));
}

/* ---- queues ------------------------------------------------------------------------------- */

static void get_queues(struct turn *turn)
{
	struct stw_ask ask = { .question = { .kind = STW_QUESTION_QUEUES,
				       .text = stw_str_from(turn->rest) } };
	int err = turn->api->ask(turn->api->context, &ask);

	if (err == 0 && ask.question.error == -ENOENT)
		stw_api_error(turn->reply, 404, "there is no queue %s", turn->rest);
	else if (err < 0 || ask.question.error < 0)
		stw_api_error(turn->reply, 503, "the server is ending");
	else
		turn_ok(turn, ask.question.answer);
}

static int queue_change(
	struct turn *turn, struct stw_str aor, enum stw_queue_act act, struct stw_queue_change *ret)
{
	int err;

	if (turn->api->read_rcu)
		stw_rcu_register_thread();
	err = stw_queue_change(turn->request->config, stw_directory_find(turn->api->directory, aor),
		act, stw_str_from(turn->rest), ret);
	if (turn->api->read_rcu)
		stw_rcu_unregister_thread();
	return err;
}

/* Why an agent is not logged in, out or paused. */
static void queue_refuse(struct turn *turn, const char *agent, int err)
{
	if (err == -ENOTUNIQ)
		stw_api_error(turn->reply, 404, "there is no user %s", agent);
	else if (err == -ENOENT)
		stw_api_error(turn->reply, 404, "there is no queue %s", turn->rest);
	else if (err == -EPERM)
		stw_api_error(
			turn->reply, 403, "%s is none of the agents of %s", agent, turn->rest);
	else
		stw_api_error(turn->reply, 409, "%s is not logged in to %s", agent, turn->rest);
}

/* {"agent": AOR, "act": "login"} */
static void post_queues(struct turn *turn)
{
	static const char *const acts[] = { "login", "logout", "pause" };
	const char *agent = json_string_value(json_object_get(turn->request->body, "agent"));
	const char *word = json_string_value(json_object_get(turn->request->body, "act"));
	struct stw_ask ask = { .question.kind = STW_QUESTION_SETTINGS };
	struct stw_setting_error error = { "the change is not possible" };
	struct stw_queue_change change;
	struct stw_account account;
	unsigned act = 0;
	int err;

	while (word && act < STW_ARRAY_SIZE(acts) && strcmp(acts[act], word) != 0)
		act++;
	if (!agent || !word || act == STW_ARRAY_SIZE(acts)) {
		stw_api_error(turn->reply, 400,
			"\"agent\" is a user, \"act\" is one of login, logout, pause");
		return;
	}
	if (turn_account(turn, stw_str_from(agent), &account) < 0)
		return;
	err = queue_change(turn, account.aor, (enum stw_queue_act)act, &change);
	if (err < 0) {
		queue_refuse(turn, agent, err);
		return;
	}
	ask.question.text = account.aor;
	ask.question.job.settings = change.settings;
	ask.question.job.setting_count = STW_ARRAY_SIZE(change.settings);
	ask.question.job.setting_error = &error;
	err = turn_ask(turn, &ask);
	if (err == -EBADMSG)
		stw_api_error(turn->reply, 400, "%s", error.text);
	if (err < 0)
		return;
	json_decref(ask.question.answer);
	turn_ok(turn, json_pack("{s:s, s:o, s:s}", "queue", turn->rest, "agent",
			      stw_json_text(account.aor), "act", acts[act]));
}

/* ---- try ---- */

static void post_try(struct turn *turn)
{
	struct stw_ask ask = { .question = {
				       .kind = STW_QUESTION_TRY, .ask = turn->request->body } };
	const json_t *as = json_object_get(turn->request->body, "as");
	struct stw_account account;
	json_t *body = NULL;

	if (!json_is_string(json_object_get(turn->request->body, "uri"))) {
		stw_api_error(turn->reply, 400, "which URI?");
		return;
	}
	if (json_is_string(as)) {
		if (turn_account(turn, stw_str_from(json_string_value(as)), &account) < 0)
			return;
		body = json_copy((json_t *)(uintptr_t)turn->request->body);
		json_object_set_new(body, "as", stw_json_text(account.aor));
		ask.question.ask = body;
	}
	if (turn->api->ask(turn->api->context, &ask) < 0)
		stw_api_error(turn->reply, 503, "the server is ending");
	else if (ask.question.error == -EINVAL)
		stw_api_error(turn->reply, 400, "%s", ask.question.refusal);
	else if (ask.question.error < 0)
		stw_api_error(turn->reply, 500, "no memory is left");
	else
		turn_ok(turn, ask.question.answer);
	json_decref(body);
}

/* ---- the table ------------------------------------------------------------------------------- */

struct endpoint {
	const char *method, *path;
	bool takes_rest, changes;
	void (*run)(struct turn *turn);
};

static const struct endpoint endpoints[] = {
	{ "GET", "/v1/status", false, false, get_status },
	{ "GET", "/v1/calls", false, false, get_calls },
	{ "GET", "/v1/why", true, false, get_why },
	{ "GET", "/v1/users", true, false, get_users },
	{ "POST", "/v1/users", false, true, post_users },
	{ "PATCH", "/v1/users", true, true, patch_user },
	{ "DELETE", "/v1/users", true, true, delete_user },
	{ "GET", "/v1/rules", false, false, get_rules },
	{ "GET", "/v1/card", false, false, get_card },
	{ "GET", "/v1/bindings", true, false, get_bindings },
	{ "DELETE", "/v1/bindings", true, true, delete_binding },
	{ "GET", "/v1/queues", true, false, get_queues },
	{ "POST", "/v1/queues", true, true, post_queues },
	{ "POST", "/v1/try", false, false, post_try },
	{ "POST", "/v1/reload", false, true, post_reload },
	{ "POST", "/v1/drain", false, true, post_drain },
	{ "POST", "/v1/stop", false, true, post_stop },
};

/* Behind the endpoint's path; NULL: it is another one. */
static const char *endpoint_rest(const struct endpoint *endpoint, const char *path)
{
	size_t len = strlen(endpoint->path);

	if (strncmp(path, endpoint->path, len) != 0)
		return NULL;
	if (!path[len])
		return path + len;
	return endpoint->takes_rest && path[len] == '/' ? path + len + 1 : NULL;
}

static void endpoint_run(const struct endpoint *endpoint, struct turn *turn)
{
	if (endpoint->changes && turn->request->read_only) {
		stw_api_error(turn->reply, 403,
			"changes are made through the Unix socket only, by the strowger command");
		return;
	}
	stw_arena_init(&turn->arena, ARENA_BYTES);
	endpoint->run(turn);
	stw_arena_done(&turn->arena);
}

void stw_api_handle(
	const struct stw_api *api, const struct stw_api_request *request, struct stw_api_reply *ret)
{
	struct turn turn = { .api = api, .request = request, .reply = ret };
	char allow[sizeof(ret->allow)] = "";
	size_t len = 0;

	*ret = (struct stw_api_reply){ 0 };
	for (size_t i = 0; i < STW_ARRAY_SIZE(endpoints); i++) {
		turn.rest = endpoint_rest(&endpoints[i], request->path);
		if (!turn.rest)
			continue;
		len += (size_t)snprintf(allow + len, sizeof(allow) - len, "%s%s%s", len ? ", " : "",
			endpoints[i].method,
			strcmp(endpoints[i].method, "GET") == 0 ? ", HEAD" : ""); /* http.c */
		if (strcmp(endpoints[i].method, request->method) == 0) {
			endpoint_run(&endpoints[i], &turn);
			return;
		}
	}
	if (len)
		stw_api_error(ret, 405, "%s is not possible here", request->method);
	else
		stw_api_error(ret, 404, "there is no %s", request->path);
	memcpy(ret->allow, allow, sizeof(ret->allow));
}
