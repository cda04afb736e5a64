/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server core in a storm: raw phones over a network that loses, repeats, delays, reorders,
 * breaks connections and answers late, all from one seed, in virtual time. What must hold whatever
 * happens is looked at on the way and after ten quiet minutes.
 *
 * STORM_SEED=n runs that seed alone, STORM_COUNT=n so many seeds from there (or from 1),
 * STORM_EVENTS=n so many steps each; STORM_TRACE=1 prints each message.
 */
#include <sqlite3.h>

#include <strowger/rcu.h>

#include "storm_phones.h"

#define QUIET_MS      600000u
#define DEFAULT_SEEDS 24
#define DEFAULT_STEPS 3000

/* ---- time ------------------------------------------------------------------------------------ */

/* @return false: the core does not hear of it */
static bool event_happens(struct happening *happening)
{
	struct stw_io_event *event = &happening->event;
	struct flow *flow;

	event->data = happening->data;
	event->len = happening->len;
	event->answer = &happening->answer;
	if (event->kind == STW_IO_DATAGRAM) {
		if (storm->quiet)
			return false;
		note_in(event->data, event->len, true);
		trace("<-", &event->hop.remote, event->data, event->len);
		return true;
	}
	if (event->kind == STW_IO_BYTES && storm->quiet)
		return false;
	if (event->kind == STW_IO_SEND_FAILED)
		note_refused(&event->hop.remote);
	if (event->kind != STW_IO_OPENED && event->kind != STW_IO_BYTES &&
		event->kind != STW_IO_CLOSED)
		return true;
	flow = flow_of(event->hop.flow);
	if (!flow)
		return false;
	if (event->kind == STW_IO_OPENED)
		flow->state = OPEN;
	else if (event->kind == STW_IO_CLOSED)
		flow->state = FREE;
	if (happening->whole)
		note_in(happening->whole, happening->whole_len, false);
	return true;
}

static void phone_happens(const struct happening *happening)
{
	switch (happening->kind) {
	case TO_PHONE:
		phone_gets(happening);
		break;
	case RESPOND:
		phone_answers(happening);
		break;
	case RESEND:
		if (!storm->clients[happening->code].answered &&
			strcmp(storm->clients[happening->code].branch, happening->client.branch) ==
				0)
			client_send(&happening->client, happening->client.method,
				happening->client.branch, happening->client.to, "");
		break;
	case CANCEL:
		client_send(&happening->client, "CANCEL", happening->client.branch,
			happening->client.to, "");
		break;
	case FOLLOW_UP:
		phone_follows_up(&happening->client);
		break;
	case EVENT:
		break;
	}
}

/* What is due, at most a few together, and the timers. */
static void batch(void)
{
	struct happening *taken[8];
	struct stw_stack_stats stats;
	unsigned n = 0, i, max = (unsigned)(1 + below(STW_ARRAY_SIZE(taken)));

	stw_stack_stats(storm->core->stack, &stats);
	storm->stateless = stats.stateless;
	stw_core_begin(storm->core, storm->now);
	while (n < max && storm->heap_count && storm->heap[0]->due_ms <= storm->now.mono_ms) {
		taken[n] = heap_pop();
		if (taken[n]->kind != EVENT) {
			if (!storm->quiet)
				phone_happens(taken[n]);
		} else if (event_happens(taken[n])) {
			if (storm->starve && chance(20))
				support_fail_allocation((unsigned)(1 + below(25)));
			stw_core_event(storm->core, &taken[n]->event);
			stw_stack_stats(storm->core->stack, &stats);
			storm->stateless = stats.stateless;
		}
		n++;
	}
	stw_core_work(storm->core);
	support_fail_allocation(0);
	stw_core_end(storm->core);
	stw_rcu_quiescent();
	for (i = 0; i < n; i++)
		happening_free(taken[i]);
}

static void advance(uint64_t ms)
{
	uint64_t until = storm->now.mono_ms + ms, next;
	unsigned idle = 0;

	for (;;) {
		next = stw_core_next(storm->core);
		if (storm->heap_count && storm->heap[0]->due_ms < next)
			next = storm->heap[0]->due_ms;
		if (next > until)
			break;
		idle = next > storm->now.mono_ms ? 0 : idle + 1;
		if (idle > 2 * HEAP_MAX) {
			wrong("the core asks for its timers without end");
			return;
		}
		if (next > storm->now.mono_ms) {
			storm->now.wall_ms += (int64_t)(next - storm->now.mono_ms);
			storm->now.mono_ms = next;
		}
		batch();
	}
	storm->now.wall_ms += (int64_t)(until - storm->now.mono_ms);
	storm->now.mono_ms = until;
}

/* The process stood still: what was on its way is lost, nobody asks again. */
static void stall(void)
{
	uint64_t ms = 1000 + below(chance(500) ? 10000 : 400000);
	unsigned i, n = storm->heap_count;
	struct record *record;
	struct happening **kept = must_alloc(sizeof(*kept) * HEAP_MAX);

	for (i = 0; i < n; i++)
		kept[i] = heap_pop();
	for (i = 0; i < n; i++) {
		if (kept[i]->kind == EVENT && kept[i]->event.kind != STW_IO_DATAGRAM)
			plan(kept[i]);
		else
			happening_free(kept[i]);
	}
	free(kept);
	/* The server to itself: it may send again what it has forgotten. */
	for (i = 0; i < RECORDS && storm->loops; i++) {
		for (record = storm->in[i]; record; record = record->next) {
			record->final_hash = 0;
			record->success = record->stateful = false;
		}
	}
	for (i = 0; i < CLIENTS; i++)
		storm->clients[i].answered = true;
	storm->now.mono_ms += ms;
	storm->stalled_ms = storm->now.mono_ms;
	storm->now.wall_ms += (int64_t)ms;
	if (chance(300))
		storm->now.wall_ms += (int64_t)below(7200000) - 3600000;
}

/* ---- the server and its administration ------------------------------------------------------- */

static struct stw_config *config_make(void)
{
	struct stw_config_errors errors = { .n = 0 };
	struct stw_config *config = NULL;
	char yaml[1500];
	int n;

	n = snprintf(yaml, sizeof(yaml),
		"domains: [example.com]\nlisten: [\"udp:192.0.2.100:5060\", "
		"\"tcp:192.0.2.100:5060\"]\nstore: \"memory:\"\n"
		"auth: {required: %s, insecure_listen: true}\nudp_oversize: %s\n"
		"registration: {use_source: %s, min_expires: 10s, max_bindings: 6}\ncall: "
		"{ring_timeout: %llus}\n"
		"proxy: {recurse: %s, serial_fallback: %s, all_busy_600: %s, timer_c: %s}\n"
		"limits: {connection_idle: %s, max_transactions: 2000}\ndecisions: {keep_calls: "
		"100}\n",
		chance(80) ? "true" : "false", chance(700) ? "tcp" : "send",
		chance(600)   ? "auto"
		: chance(500) ? "always"
			      : "never",
		(unsigned long long)(5 + below(60)), chance(500) ? "true" : "false",
		chance(500) ? "true" : "false", chance(300) ? "true" : "false",
		chance(700) ? "3m1s" : "5m", chance(500) ? "1m" : "15m");
	if (n < 0 || stw_config_parse("storm", yaml, (size_t)n, &errors, &config) < 0)
		fprintf(stderr, "storm: configuration: %s\n", errors.v[0].text);
	return config;
}

static void users_add(void)
{
	struct stw_user_row rows[PHONES] = { 0 };
	struct stw_job job = {
		.kind = STW_JOB_USER_SET, .now = storm->now, .users = rows, .user_count = PHONES
	};
	static char names[PHONES][4];
	unsigned i;

	for (i = 0; i < PHONES; i++) {
		snprintf(names[i], sizeof(names[i]), "u%u", i);
		rows[i].user = stw_str_from(names[i]);
		rows[i].domain = STW_STR("example.com");
		stw_ha1_make(rows[i].user, rows[i].domain, STW_STR("secret"), &rows[i].ha1_user);
		rows[i].ha1_user_domain = rows[i].ha1_user;
	}
	assert_int_equal(stw_store_submit(storm->store, &job), 0);
	stw_store_run(storm->store);
	assert_ptr_equal(stw_store_result(storm->store, 0), &job);
	assert_null(job.cause);
}

static void server_log(void *context, const struct stw_note *note, struct stw_str place)
{
	if (storm->trace && note->kind >= STW_NOTE_TIMEOUT && note->kind != STW_NOTE_RETRANSMISSION)
		fprintf(stderr, "         %s\n", note->cause ? note->cause->id : "?");
}

static void server_start(void)
{
	struct stw_hash_key key = { 1, 2 };
	struct stw_store_options store = { .path = STW_STR(":memory:") };
	struct stw_core_options options = {
		.io = &ops, .seed = storm->seed, .key = { 3, storm->seed }, .log = server_log
	};
	char error[400] = "";

	storm->config = config_make();
	assert_non_null(storm->config);
	assert_int_equal(stw_location_new(key, &storm->location), 0);
	assert_int_equal(stw_directory_new(key, &storm->directory), 0);
	store.location = options.location = storm->location;
	store.directory = options.directory = storm->directory;
	assert_int_equal(
		stw_store_open(&store, storm->now, &storm->store, error, sizeof(error)), 0);
	users_add();
	storm->listeners = storm->config->listen;
	options.config = storm->config;
	options.store = storm->store;
	options.listeners = &storm->listeners;
	options.local_addrs[0] = storm->server;
	options.local_addr_count = 1;
	assert_int_equal(stw_core_new(&options, storm->now, &storm->core), 0);
}

static void server_end(void)
{
	sqlite3_hard_heap_limit64(0);
	stw_core_free(storm->core);
	stw_store_close(storm->store);
	stw_location_free(storm->location);
	stw_directory_free(storm->directory);
	stw_config_unref(storm->config);
}

static void answered(struct stw_question *question)
{
	json_decref(question->answer);
	free(question);
}

static void administer(void)
{
	static const enum stw_question_kind kinds[] = { STW_QUESTION_STATUS, STW_QUESTION_WHY,
		STW_QUESTION_CALLS, STW_QUESTION_BINDINGS, STW_QUESTION_BINDING_REMOVE,
		STW_QUESTION_USERS };
	struct stw_question *question = must_alloc(sizeof(*question));
	struct stw_config *config;

	question->kind = kinds[below(STW_ARRAY_SIZE(kinds))];
	question->text = question->kind == STW_QUESTION_WHY ? STW_STR("last") : STW_STR("u1");
	question->number = 10;
	question->answered = answered;
	stw_core_question(storm->core, question);
	if (!chance(300))
		return;
	config = config_make();
	stw_core_reload(storm->core, config);
	stw_config_unref(storm->config);
	storm->config = config;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void step(void)
{
	unsigned phone = (unsigned)below(PHONES);
	struct flow *flow = &storm->flows[below(FLOWS)];
	static const char *const noise[] = { "\r\n\r\n", "\r\n", "", "GET / HTTP/1.1\r\n\r\n",
		"SIP/2.0 200 OK\r\n\r\n", "INVITE sip:u1@example.com SIP/2.0\r\n\r\n" };
	const char *bytes = noise[below(STW_ARRAY_SIZE(noise))];

	switch (below(40)) {
	case 0:
		if (flow->state == OPEN)
			flow_break(flow, chance(500) ? 0 : ECONNRESET);
		break;
	case 1:
		if (storm->mutate || bytes[0] == '\r')
			phone_send(phone, chance(500), bytes, strlen(bytes));
		break;
	case 2:
		if (chance(100))
			administer();
		break;
	case 3:
		if (chance(40))
			stall();
		break;
	case 4:
		if (storm->store_fails)
			sqlite3_hard_heap_limit64(chance(500) ? 0 : 1);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		phone_registers(phone);
		break;
	default:
		phone_calls(phone);
	}
	advance(below(chance(950) ? 100 : 3000));
}

static void check_empty(void)
{
	struct stw_stack_stats stats;
	unsigned i, open = 0;

	stw_stack_stats(storm->core->stack, &stats);
	for (i = 0; i < FLOWS; i++)
		open += storm->flows[i].state != FREE;
	if (stats.transactions || stats.requests || !stw_core_idle(storm->core))
		wrong("left: %zu transactions, %zu requests, %u jobs", stats.transactions,
			stats.requests, storm->core->pending_jobs);
	if (stats.flows != open)
		wrong("left: %zu flows, but %u connections", stats.flows, open);
	if (stats.timers > 2 * stats.flows)
		wrong("left: %zu timers", stats.timers);
}

static void records_free(struct record **table)
{
	unsigned i;

	for (i = 0; i < RECORDS; i++) {
		while (table[i]) {
			struct record *next = table[i]->next;

			free(table[i]->invite);
			free(table[i]);
			table[i] = next;
		}
	}
}

static void storm_begin(uint64_t seed)
{
	unsigned i;

	storm = must_alloc(sizeof(*storm));
	storm->seed = seed;
	stw_random_seed(&storm->random, seed);
	storm->now = (struct stw_now){ .mono_ms = 1000, .wall_ms = 1800000000000 };
	storm->server = (struct stw_addr){ .family = 4, .ip = { 192, 0, 2, 100 }, .port = 5060 };
	for (i = 0; i < PHONES; i++)
		storm->phones[i] = (struct stw_addr){
			.family = 4, .ip = { 192, 0, 2, (uint8_t)(i + 1) }, .port = 5060
		};
	storm->mutate = chance(250);
	storm->starve = chance(125);
	storm->store_fails = chance(250);
	storm->loops = chance(200);
	storm->abrupt = chance(125);
	storm->loss = (unsigned)(chance(400) ? 0 : below(200));
	storm->repeat = (unsigned)(chance(400) ? 0 : below(200));
	storm->trace = getenv("STORM_TRACE") != NULL;
	server_start();
}

/* @return what is wrong, empty: nothing */
static const char *storm_run(uint64_t seed, uint64_t steps, char text[500])
{
	storm_begin(seed);
	for (; storm->steps < steps && !storm->wrong[0]; storm->steps++)
		step();
	if (!storm->abrupt && !storm->wrong[0]) {
		sqlite3_hard_heap_limit64(0);
		storm->quiet = true;
		advance(QUIET_MS);
		check_empty();
		rules_at_the_end();
	}
	server_end();
	while (storm->heap_count)
		happening_free(heap_pop());
	records_free(storm->in);
	records_free(storm->out);
	if (storm->wrong[0])
		snprintf(text, 500, "%s%s%s%s%s", storm->wrong, storm->mutate ? " mutate" : "",
			storm->starve ? " starve" : "", storm->store_fails ? " store" : "",
			storm->loops ? " loops" : "");
	else
		text[0] = 0;
	free(storm);
	return text;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_storm(void **state)
{
	uint64_t first = number_of("STORM_SEED", 1);
	uint64_t count = number_of("STORM_COUNT", getenv("STORM_SEED") ? 1 : DEFAULT_SEEDS);
	uint64_t steps = number_of("STORM_EVENTS", DEFAULT_STEPS), seed;
	unsigned failed = 0;
	char text[500];

	for (seed = first; seed < first + count; seed++) {
		if (getenv("STORM_VERBOSE"))
			fprintf(stderr, "storm: seed %llu\n", (unsigned long long)seed);
		if (storm_run(seed, steps, text)[0]) {
			fprintf(stderr, "storm: STORM_SEED=%llu STORM_EVENTS=%llu: %s\n",
				(unsigned long long)seed, (unsigned long long)steps, text);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_storm) };
	int failed;

	stw_rcu_register_thread();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	stw_rcu_unregister_thread();
	return failed;
}
