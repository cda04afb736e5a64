/* SPDX-License-Identifier: Apache-2.0 */
/* The core with its configuration, store, users and notes. */
#include "runner.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULTS                                                                                   \
	"domains=[example.com]; listen=[udp:192.0.2.100:5060, tcp:192.0.2.100:5060]; "             \
	"auth.required=false; auth.insecure_listen=true; store=\"memory:\""

/* ---- configuration: "key=value" items become one YAML mapping with dotted keys unfolded
 * ------------ */

struct setting {
	struct stw_str group, key, value; /* group empty: no dot */
};

static unsigned settings_split(struct stw_str items, struct setting *v, unsigned max)
{
	struct stw_str item;
	unsigned i, n = 0;

	while (next_item(&items, ';', &item)) {
		size_t equal = stw_str_find(item, '=', 0), dot;
		struct setting setting = { STW_STR_NONE, stw_str_trim(stw_str_cut(item, 0, equal)),
			stw_str_trim(stw_str_cut(item, equal + 1, item.len)) };

		dot = stw_str_find(setting.key, '.', 0);
		if (dot < setting.key.len) {
			setting.group = stw_str_cut(setting.key, 0, dot);
			setting.key = stw_str_cut(setting.key, dot + 1, setting.key.len);
		}
		for (i = 0; i < n; i++) {
			if (stw_str_equal(v[i].group, setting.group) &&
				stw_str_equal(v[i].key, setting.key))
				break;
		}
		if (i == max)
			return n;
		v[i] = setting;
		n += i == n;
	}
	return n;
}

/* Does the guide say something of this option or group? Then its defaults here are left out. */
static bool guide_says(struct stw_str guide, const struct setting *setting)
{
	struct stw_str name = setting->group.len ? setting->group : setting->key, row;

	while (next_item(&guide, '\n', &row)) {
		if (stw_str_starts(row, name) && row.len > name.len && row.ptr[name.len] == ':')
			return true;
	}
	return false;
}

static void settings_write(
	struct stw_writer *yaml, struct stw_str guide, const struct setting *v, unsigned n)
{
	bool done[128] = { false };
	unsigned i, j;

	stw_write_str(yaml, guide);
	for (i = 0; i < n; i++) {
		if (done[i] || guide_says(guide, &v[i]))
			continue;
		if (!v[i].group.len) {
			stw_write_format(yaml, "%.*s: %.*s\n", STW_STR_ARG(v[i].key),
				STW_STR_ARG(v[i].value));
			continue;
		}
		stw_write_format(yaml, "%.*s:\n", STW_STR_ARG(v[i].group));
		for (j = i; j < n; j++) {
			if (!stw_str_equal(v[i].group, v[j].group))
				continue;
			done[j] = true;
			stw_write_format(yaml, "  %.*s: %.*s\n", STW_STR_ARG(v[j].key),
				STW_STR_ARG(v[j].value));
		}
	}
}

static int config_make(struct scenario *s, struct stw_config **ret)
{
	struct setting v[128];
	struct stw_config_errors errors = { .n = 0 };
	struct stw_writer yaml;
	char buffer[16384];
	struct stw_str all = print(s, DEFAULTS "%.*s", STW_STR_ARG(s->settings));

	if (s->store_dir[0])
		all = print(
			s, "%.*s; store=\"sqlite:%s/strowger.db\"", STW_STR_ARG(all), s->store_dir);
	stw_writer_init(&yaml, buffer, sizeof(buffer));
	settings_write(&yaml, s->guide, v, settings_split(all, v, STW_ARRAY_SIZE(v)));
	if (stw_config_parse("server:", yaml.ptr, yaml.len, &errors, ret) < 0)
		return fail(s, "configuration: %s", errors.n ? errors.v[0].text : "cannot be read");
	return 0;
}

int server_setting(struct scenario *s, struct stw_str item)
{
	s->settings = print(s, "%.*s; %.*s", STW_STR_ARG(s->settings), STW_STR_ARG(item));
	return 0;
}

int server_reload(struct scenario *s, struct stw_str item)
{
	const struct stw_option *option;
	struct stw_config *config;

	server_setting(s, item);
	if (config_make(s, &config) < 0)
		return -1;
	option = stw_config_restart_needed(s->config, config, NULL);
	if (option) {
		stw_config_unref(config);
		return fail(s, "%s needs a restart", option->key);
	}
	for (unsigned i = 0; i < s->worker_count; i++)
		stw_core_reload(s->workers[i].core, config);
	stw_config_unref(s->config);
	s->config = config;
	return 0;
}

/* ---- notes --------------------------------------------------------------------------------------
 */

static const char *note_title(enum stw_note_kind kind)
{
	switch (kind) {
	case STW_NOTE_TIMEOUT:
		return "gives up";
	case STW_NOTE_FAILURE:
		return "cannot send";
	case STW_NOTE_DROPPED:
		return "drops";
	case STW_NOTE_DECISION:
		return "decides";
	default:
		return "answers";
	}
}

static void note_facts(struct scenario *s, struct note *note, const struct stw_refusal *refusal)
{
	unsigned i;

	note->facts = STW_STR("");
	if (!refusal)
		return;
	note->option = keep(s, stw_str_from(refusal->option));
	for (i = 0; i < refusal->fact_count; i++)
		note->facts = print(s, "%.*s%s%s=%.*s", STW_STR_ARG(note->facts), i ? " " : "",
			refusal->facts[i].key, STW_STR_ARG(refusal->facts[i].value));
}

void server_log(void *context, const struct stw_note *what, struct stw_str place)
{
	struct scenario *s = context;
	struct note *note;

	if (what->kind != STW_NOTE_RESPONSE_OUT && what->kind < STW_NOTE_TIMEOUT)
		return;
	if (what->kind == STW_NOTE_RETRANSMISSION)
		return;
	note = make(s, sizeof(*note));
	note->kind = what->kind;
	note->method = what->method;
	note->code = what->code;
	note->order = ++s->order;
	note->at_ms = s->now.mono_ms;
	note->call_id = what->msg ? keep(s, what->msg->call_id) : STW_STR_NONE;
	note->place = keep(s, place);
	note->cause = what->cause;
	note_facts(s, note, what->refusal);
	note->older = s->notes;
	s->notes = note;
	if (note->cause) {
		cause_seen(note->cause, false);
		tell(s, "    server %s, cause %s  %.*s", note_title(note->kind), note->cause->id,
			STW_STR_ARG(note->facts));
	}
}

/* ---- life
 * ---------------------------------------------------------------------------------------- */

static void user_row(struct scenario *s, const struct party *party, struct stw_user_row *ret)
{
	struct stw_str full =
		print(s, "%.*s@%.*s", STW_STR_ARG(party->name), STW_STR_ARG(s->domain));

	*ret = (struct stw_user_row){ .user = party->name, .domain = s->domain };
	stw_ha1_make(party->name, s->domain, party->password, &ret->ha1_user);
	stw_ha1_make(full, s->domain, party->password, &ret->ha1_user_domain);
}

static int users_add(struct scenario *s)
{
	struct stw_user_row rows[16] = { 0 };
	struct stw_job job = { .kind = STW_JOB_USER_SET, .now = s->now, .users = rows };
	struct party *party;

	for (party = s->parties; party; party = party->next) {
		if (party->user && job.user_count < STW_ARRAY_SIZE(rows))
			user_row(s, party, &rows[job.user_count++]);
	}
	if (!job.user_count)
		return 0;
	if (stw_store_submit(s->store, &job) < 0)
		return fail(s, "the store takes no users");
	stw_store_run(s->store);
	if (stw_store_result(s->store, 0) != &job || job.cause)
		return fail(s, "the store could not add the users");
	return 0;
}

static void change_answered(struct stw_question *question)
{
	*(bool *)question->context = true;
}

/* As the administration asks while the server runs. @return as the question's error */
static int change_ask(struct scenario *s, struct stw_question *question)
{
	struct stw_core *core = s->workers[0].core;
	bool answered = false;

	question->answered = change_answered;
	question->context = &answered;
	stw_core_begin(core, s->now);
	stw_core_question(core, question);
	stw_core_work(core);
	stw_core_end(core);
	if (!answered)
		return -EBUSY;
	return world_wake(s) < 0 ? -EIO : question->error;
}

int server_user(struct scenario *s, const struct party *party, bool removed)
{
	struct stw_user_row row;
	struct stw_question question = { .kind = removed ? STW_QUESTION_USER_REMOVE
							 : STW_QUESTION_USER_SET,
		.users = &row,
		.user_count = 1 };

	user_row(s, party, &row);
	return change_ask(s, &question) == 0
		       ? 0
		       : fail(s, "%.*s could not be %s", STW_STR_ARG(party->name),
				 removed ? "removed" : "added");
}

static int settings_ask(struct scenario *s, struct stw_str aor, const struct stw_job *job)
{
	struct stw_question question = { .kind = STW_QUESTION_SETTINGS, .text = aor, .job = *job };

	return change_ask(s, &question);
}

int server_user_settings(struct scenario *s, const struct party *party, struct stw_str text)
{
	struct stw_setting_error error = { "" };
	struct stw_str changes[16], aor;
	struct stw_job job = { .kind = STW_JOB_SETTINGS,
		.now = s->now,
		.settings = changes,
		.setting_error = &error };

	while (job.setting_count < STW_ARRAY_SIZE(changes) &&
		next_word(&text, &changes[job.setting_count]))
		job.setting_count++;
	aor = print(s, "sip:%.*s@%.*s", STW_STR_ARG(party->name), STW_STR_ARG(s->domain));
	if (s->workers[0].core)
		return settings_ask(s, aor, &job) == 0
			       ? 0
			       : fail(s, "settings of %.*s: %s", STW_STR_ARG(party->name),
					 error.text);
	job.aor = aor;
	if (stw_store_submit(s->store, &job) < 0)
		return fail(s, "the store takes no settings");
	stw_store_run(s->store);
	if (stw_store_result(s->store, 0) != &job || job.cause || job.refused)
		return fail(s, "settings of %.*s: %s", STW_STR_ARG(party->name), error.text);
	return 0;
}

static int store_start(struct scenario *s)
{
	struct stw_hash_key key = { 1, 2 };
	struct stw_store_options options = {
		.path = s->config->store, .queues = s->worker_count, .held = &s->store_waits
	};
	char error[400] = "";

	if (stw_location_new(key, &s->location) < 0 || stw_directory_new(key, &s->directory) < 0)
		return fail(s, "no memory");
	if (!s->sources && stw_sources_new(s->config->limits.max_sources, key, &s->sources) < 0)
		return fail(s, "no memory");
	if (stw_busy_new(key, s->config->limits.max_calls, &s->busy) < 0)
		return fail(s, "no memory");
	options.location = s->location;
	options.directory = s->directory;
	if (stw_store_open(&options, s->now, &s->store, error, sizeof(error)) < 0)
		return fail(s, "store: %s", error);
	return 0;
}

static int workers_start(struct scenario *s, const struct stw_core_options *core)
{
	struct stw_workers_options options = { .n = s->worker_count,
		.key = core->key,
		.max_flows = s->config->limits.max_connections,
		.flow_slots = FLOWS_MAX };
	int err = stw_core_nonces_new(s->config, core->nonce_secret, s->now, &s->nonces);

	if (err == 0)
		err = stw_trunk_board_new(&s->trunks);
	if (err == 0)
		err = stw_queues_new(
			&(struct stw_queues_options){ .workers = s->worker_count }, &s->queues);
	return err < 0 || s->worker_count == 1 ? err : stw_workers_new(&options, &s->shared);
}

static int core_start(struct scenario *s)
{
	struct stw_core_options options = { .config = s->config,
		.store = s->store,
		.location = s->location,
		.directory = s->directory,
		.sources = s->sources,
		.busy = s->busy,
		.io = &world_ops,
		.listeners = &s->listeners,
		.seed = 4711,
		.key = { 3, 4 },
		.hook = &hook_ops,
		.hook_user = s,
		.log = server_log,
		.log_context = s };
	unsigned i;

	memset(options.nonce_secret, 'n', sizeof(options.nonce_secret));
	s->listeners = s->config->listen;
	for (i = 0; i < s->listeners.n && i < STW_ARRAY_SIZE(options.local_addrs); i++)
		options.local_addrs[options.local_addr_count++] = s->listeners.v[i].bind;
	if (workers_start(s, &options) < 0 || record_start(s) < 0)
		return fail(s, "no memory");
	options.records = s->records;
	options.workers = s->shared;
	options.nonces = s->nonces;
	options.trunks = s->trunks;
	options.queues = s->queues;
	for (i = 0; i < s->worker_count; i++) {
		s->workers[i].s = s;
		s->workers[i].index = options.worker = i;
		options.io_user = &s->workers[i];
		if (stw_core_new(&options, s->now, &s->workers[i].core) < 0)
			return fail(s, "the core does not start");
	}
	return 0;
}

int server_start(struct scenario *s)
{
	if (config_make(s, &s->config) < 0)
		return -1;
	s->domain = keep(s, s->config->domains[0]);
	if (s->agent)
		return agent_start(s);
	if (store_start(s) < 0 || users_add(s) < 0)
		return -1;
	return core_start(s);
}

static void server_end(struct scenario *s)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		s->workers[i].core = stw_core_free(s->workers[i].core);
	hook_forget(s);
	record_end(s);
	s->shared = stw_workers_free(s->shared);
	s->nonces = stw_nonces_free(s->nonces);
	s->trunks = stw_trunk_board_free(s->trunks);
	s->queues = stw_queues_free(s->queues);
	if (s->store)
		s->store = stw_store_close(s->store);
	s->location = stw_location_free(s->location);
	s->directory = stw_directory_free(s->directory);
	s->sources = stw_sources_free(s->sources);
	s->busy = stw_busy_free(s->busy);
}

/* A new process over the same store: what was in memory is gone. */
int server_restart(struct scenario *s)
{
	server_end(s);
	world_forget_flows(s);
	return store_start(s) < 0 ? -1 : core_start(s);
}

/* Another process holds the file: no commit succeeds. */
int server_store_fails(struct scenario *s, bool fails)
{
	sqlite3 *db = s->store_lock;

	if (!fails) {
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		sqlite3_close(db);
		s->store_lock = NULL;
		return 0;
	}
	if (sqlite3_open(print(s, "%s/strowger.db", s->store_dir).ptr, &db) != SQLITE_OK ||
		sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return fail(s, "the store could not be locked: %s", sqlite3_errmsg(db));
	s->store_lock = db;
	return 0;
}

static void server_answered(struct stw_question *question)
{
}

/* As the workers of a server answer: each for itself, and what they say made one. */
static void server_ask(struct scenario *s, struct stw_question *question)
{
	struct stw_question_parts *parts;

	question->answered = server_answered;
	if (stw_question_split(question, s->worker_count, &parts) < 0) {
		fail(s, "no memory");
		return;
	}
	for (unsigned i = 0; i < s->worker_count; i++)
		stw_core_question(s->workers[i].core, stw_question_part(parts, i));
}

void server_drain(struct scenario *s)
{
	struct stw_question question = { .kind = STW_QUESTION_DRAIN };

	server_ask(s, &question);
}

bool server_idle(const struct scenario *s)
{
	bool idle = true;

	if (s->agent)
		return agent_idle(s);
	for (unsigned i = 0; i < s->worker_count; i++)
		idle = idle && stw_core_idle(s->workers[i].core);
	return idle;
}

int server_check_empty(struct scenario *s)
{
	static const char *const counters[] = { "transactions", "room_used", "requests",
		"connections" };
	struct stw_question question = { .kind = STW_QUESTION_STATUS };
	json_int_t left;
	size_t i;

	if (s->agent)
		return agent_check_empty(s);
	server_ask(s, &question);
	for (i = 0; i < STW_ARRAY_SIZE(counters); i++) {
		left = json_integer_value(json_object_get(question.answer, counters[i]));
		if (left)
			fail(s, "at the end %lld %s are left in the server", (long long)left,
				counters[i]);
	}
	json_decref(question.answer);
	if (!server_idle(s))
		return fail(s, "at the end the core still has something to do");
	return s->failed ? -1 : 0;
}

void server_stop(struct scenario *s)
{
	if (s->store_lock)
		server_store_fails(s, false);
	if (s->agent)
		agent_stop(s);
	server_end(s);
	s->config = stw_config_unref(s->config);
	if (!s->store_dir[0])
		return;
	unlink(print(s, "%s/strowger.db", s->store_dir).ptr);
	unlink(print(s, "%s/strowger.db-wal", s->store_dir).ptr);
	unlink(print(s, "%s/strowger.db-shm", s->store_dir).ptr);
	rmdir(s->store_dir);
}
