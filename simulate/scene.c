/* SPDX-License-Identifier: Apache-2.0 */
/* A scene of user agents: virtual time, the network between them, and the run of a seed. */
#include "simulate/agents.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CALL_GAP_MS 3000
#define CUT_MS      10000  /* at most: shorter than what a transaction waits for */
#define CALM_MS     150000 /* 64*T1 of what was lost, what follows it, and a wait after glare */
#define CHANGE_MS   15000  /* a hold with nothing in its way but the session timer */
#define QUIET_MS    400000 /* longer than Timer C and what follows it */
#define IDLE_MAX    5000   /* batches in one millisecond */

uint64_t scene_below(struct scene *scene, uint64_t bound)
{
	return stw_random_below(&scene->random, bound);
}

bool scene_chance(struct scene *scene, unsigned per_mille)
{
	return scene_below(scene, 1000) < per_mille;
}

bool scene_more(struct scene *scene, unsigned per_mille)
{
	return scene->more && stw_random_below(&scene->more_random, 1000) < per_mille;
}

bool scene_strict(const struct scene *scene)
{
	return !scene->mutate && !scene->starve;
}

/* ---- trace and faults ------------------------------------------------------------------------ */

void scene_line(struct scene *scene, struct stw_str call_id, const char *format, ...)
{
	const char *watch = scene->options->watch;
	char *line = scene->lines[scene->line_count % LINES_REMEMBERED];
	int n = snprintf(line, 20, "%10llu ", (unsigned long long)scene->now.mono_ms);
	va_list list;

	va_start(list, format);
	vsnprintf(line + n, sizeof(scene->lines[0]) - (size_t)n, format, list);
	va_end(list);
	if (!watch || !watch[0])
		scene->line_count++;
	else if (stw_str_equal(call_id, stw_str_from(watch)))
		fprintf(scene->options->ladder, "%s\n", line);
}

void scene_wrong(struct scene *scene, struct stw_str call_id, const char *format, ...)
{
	struct stw_simulate_result *result = scene->result;
	va_list list;

	if (result->wrong[0])
		return;
	va_start(list, format);
	vsnprintf(result->wrong, sizeof(result->wrong), format, list);
	va_end(list);
	snprintf(result->call_id, sizeof(result->call_id), "%.*s", STW_STR_ARG(call_id));
	if (scene->options->ladder)
		scene_line(scene, call_id, "!!! %s", result->wrong);
}

static const char *station_name(const struct scene *scene, const struct stw_addr *addr)
{
	static const char *const names[STATIONS] = { "p0", "p1", "p2", "p3", "proxy" };

	for (unsigned i = 0; i < STATIONS; i++) {
		if (stw_addr_equal(&scene->stations[i].addr, addr))
			return names[i];
	}
	return "nobody";
}

static void trace_datagram(struct scene *scene, const struct stw_addr *from,
	const struct stw_addr *to, struct stw_str text, const char *how)
{
	struct {
		uint64_t before, now, bytes, how;
	} step = { scene->result->trace, scene->now.mono_ms, text_hash(text.ptr, text.len),
		(uint64_t)how[0] };
	struct sip sip;

	scene->result->trace = text_hash(&step, sizeof(step));
	scene->result->messages++;
	if (!scene->options->ladder || !sip_read(text, &sip))
		return;
	scene_line(scene, sip.call_id, "%-6s -> %-6s %.*s%s%.*s  [%u %.*s%s, to %.*s, %.*s]%s%s",
		station_name(scene, from), station_name(scene, to), STW_STR_ARG(sip.start),
		sip.request ? "" : " to ", sip.request ? 0 : (int)sip.method.len, sip.method.ptr,
		sip.cseq, STW_STR_ARG(sip.method), sip.body.len ? ", body" : "",
		STW_STR_ARG(sip.to_tag), STW_STR_ARG(sip.branch), how[0] ? "  " : "", how);
}

/* ---- network ----------------------------------------------------------------------------------
 */

static struct party *station_at(struct scene *scene, const struct stw_addr *addr)
{
	for (unsigned i = 0; i < STATIONS; i++) {
		if (stw_addr_equal(&scene->stations[i].addr, addr))
			return &scene->stations[i];
	}
	return NULL;
}

static uint64_t delay_ms(struct scene *scene)
{
	return 1 + (scene_chance(scene, 700) ? scene_below(scene, 20)
					     : scene_below(scene, scene->jitter_ms));
}

static void mutate(struct scene *scene, char *data, size_t len)
{
	for (unsigned n = 1 + (unsigned)scene_below(scene, 3); n; n--)
		data[scene_below(scene, len)] = (char)scene_below(scene, 256);
}

static void datagram_arrives(struct scene *scene, const struct stw_addr *from,
	const struct stw_addr *to, struct stw_str text)
{
	struct party *party = station_at(scene, to);
	struct happening *happening;

	if (!party)
		return;
	happening =
		agenda_make(&scene->agenda, PARTY_DATAGRAM, scene->now.mono_ms + delay_ms(scene));
	happening->who = party->index;
	happening->hop =
		(struct stw_hop){ .transport = STW_TRANSPORT_UDP, .remote = *from, .local = *to };
	happening->data = must_copy(text.ptr, text.len);
	happening->len = text.len;
	if (scene->mutate && !scene->calm && scene_chance(scene, 50))
		mutate(scene, happening->data, text.len);
	agenda_add(&scene->agenda, happening);
}

static void datagram(
	struct scene *scene, struct party *from, const struct stw_addr *to, struct stw_str text)
{
	const struct party *party = station_at(scene, to);
	unsigned copies = 1 + scene_chance(scene, scene->repeat);
	bool apart = from->cut_until_ms > scene->now.mono_ms ||
		     (party && party->cut_until_ms > scene->now.mono_ms);

	if (apart || scene_chance(scene, scene->loss)) {
		scene->result->lost++;
		trace_datagram(scene, &from->addr, to, text, apart ? "apart" : "lost");
		return;
	}
	trace_datagram(scene, &from->addr, to, text, copies > 1 ? "twice" : "");
	for (; copies; copies--)
		datagram_arrives(scene, &from->addr, to, text);
}

static int ops_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	struct party *party = io;
	struct stw_str text = { NULL, stw_slices_bytes(slices) };
	char *data = must_alloc(text.len + 1);

	stw_slices_flatten(slices, data);
	text.ptr = data;
	if (party->ua)
		party_sent(party, text);
	datagram(party->scene, party, &hop->remote, text);
	free(data);
	return 0;
}

static int ops_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	(void)io;
	(void)hop;
	(void)ret;
	return -ECONNREFUSED;
}

static void ops_close(void *io, struct stw_flow_id flow)
{
	(void)io;
	(void)flow;
}

static int ops_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	(void)io;
	(void)name;
	(void)type;
	(void)query;
	return -ENOBUFS;
}

static const struct stw_io_ops io_ops = {
	.send = ops_send, .open = ops_open, .close = ops_close, .resolve = ops_resolve
};

/* ---- batches ----------------------------------------------------------------------------------
 */

static void batch_begin(struct party *party)
{
	struct scene *scene = party->scene;

	stw_stack_begin(party->stack, scene->now);
	if (scene->starve && !scene->calm && scene_chance(scene, 20))
		scene->options->fail_allocation((unsigned)(1 + scene_below(scene, 12)));
}

static void batch_end(struct party *party)
{
	if (party->scene->options->fail_allocation)
		party->scene->options->fail_allocation(0);
	stw_stack_end(party->stack);
	if (party->ua)
		party_batch_end(party);
}

static void party_takes(struct party *party, struct happening *happening)
{
	struct stw_io_event event = { .kind = STW_IO_DATAGRAM,
		.hop = happening->hop,
		.data = happening->data,
		.len = happening->len };

	batch_begin(party);
	if (party->ua)
		party_got(party, (struct stw_str){ happening->data, happening->len });
	stw_stack_event(party->stack, &event);
	batch_end(party);
}

void scene_plan_leg(struct leg *leg, uint64_t after_ms)
{
	struct scene *scene = leg->party->scene;
	struct happening *happening =
		agenda_make(&scene->agenda, LEG_ACTS, scene->now.mono_ms + after_ms);

	happening->key = (uint64_t)(uintptr_t)leg;
	agenda_add(&scene->agenda, happening);
}

/* Until it is over. */
static void leg_turn(struct scene *scene, struct leg *leg)
{
	uint64_t after_ms;

	if (!leg->session)
		return;
	batch_begin(leg->party);
	leg_acts(leg);
	batch_end(leg->party);
	after_ms = scene_below(scene, scene_chance(scene, 600) ? 3000 : 60000);
	if (scene->calm ||
		(leg->session && stw_session_state(leg->session) != STW_SESSION_CONFIRMED))
		after_ms = scene_below(scene, 3000);
	if (leg->session)
		scene_plan_leg(leg, after_ms);
}

static void calls_turn(struct scene *scene)
{
	struct party *party = &scene->stations[scene_below(scene, PARTIES)];

	if (scene->cuts && scene_chance(scene, 150))
		scene->stations[scene_below(scene, STATIONS)].cut_until_ms =
			scene->now.mono_ms + scene_below(scene, CUT_MS);
	batch_begin(party);
	party_calls(party);
	batch_end(party);
}

static void takes_turn(struct party *party, const struct happening *happening)
{
	if (party->scene->calm)
		return;
	batch_begin(party);
	party_takes_over(party, happening->data, happening->whole);
	batch_end(party);
}

static void happens(struct scene *scene, struct happening *happening)
{
	if (happening->kind == PARTY_DATAGRAM)
		party_takes(&scene->stations[happening->who], happening);
	else if (happening->kind == PARTY_CALLS)
		calls_turn(scene);
	else if (happening->kind == PARTY_TAKES)
		takes_turn(&scene->stations[happening->who], happening);
	else
		leg_turn(scene, (struct leg *)(uintptr_t)happening->key);
	happening_free(happening);
}

/* @return when the next timer is due */
static uint64_t timers(struct scene *scene)
{
	uint64_t next = UINT64_MAX, due;

	for (unsigned i = 0; i < STATIONS; i++) {
		struct party *party = &scene->stations[i];

		due = stw_stack_next(party->stack);
		if (due <= scene->now.mono_ms) {
			batch_begin(party);
			stw_stack_timers(party->stack);
			batch_end(party);
			due = scene->now.mono_ms;
		}
		next = due < next ? due : next;
	}
	return next;
}

static void scene_move(struct scene *scene, uint64_t to_ms)
{
	if (to_ms <= scene->now.mono_ms)
		return;
	scene->now.wall_ms += (int64_t)(to_ms - scene->now.mono_ms);
	scene->now.mono_ms = to_ms;
}

static void advance(struct scene *scene, uint64_t ms)
{
	uint64_t until = scene->now.mono_ms + ms, next, due;
	unsigned idle = 0;

	while (!scene->result->wrong[0]) {
		due = timers(scene);
		next = agenda_next(&scene->agenda);
		next = due < next ? due : next;
		if (next > until)
			break;
		idle = next > scene->now.mono_ms ? 0 : idle + 1;
		if (idle > IDLE_MAX)
			scene_wrong(scene, STW_STR_NONE,
				"time stands still: something is due without end");
		scene_move(scene, next);
		if (agenda_next(&scene->agenda) <= scene->now.mono_ms)
			happens(scene, agenda_pop(&scene->agenda));
	}
	scene_move(scene, until);
}

/* ---- a run ------------------------------------------------------------------------------------
 */

static void weather(struct scene *scene)
{
	bool calm = scene_chance(scene, 200);

	scene->jitter_ms = calm ? 20 : scene_chance(scene, 600) ? 150 : 2000;
	if (!calm) {
		scene->loss = (unsigned)(scene_chance(scene, 300) ? 0 : scene_below(scene, 250));
		scene->repeat = (unsigned)(scene_chance(scene, 300) ? 0 : scene_below(scene, 200));
		scene->cuts = scene_chance(scene, 300);
		scene->mutate = scene_chance(scene, 80);
		scene->starve = scene_chance(scene, 80) && scene->options->fail_allocation;
	}
	snprintf(scene->result->weather, sizeof(scene->result->weather),
		"agents, %sloss %u‰, repeat %u‰, up to %u ms%s%s%s%s", calm ? "calm, " : "",
		scene->loss, scene->repeat, scene->jitter_ms, scene->cuts ? ", cuts" : "",
		scene->mutate ? ", mutations" : "", scene->starve ? ", no memory" : "",
		scene->more ? ", more" : "");
}

static int scene_begin(struct scene *scene)
{
	int err = 0;

	stw_random_seed(&scene->random, scene->options->seed);
	stw_random_seed(&scene->more_random, ~scene->options->seed);
	scene->more = stw_random_below(&scene->more_random, 1000) < 400;
	scene->now = (struct stw_now){ .mono_ms = 1000, .wall_ms = 1800000000000 };
	weather(scene);
	for (unsigned i = 0; i < STATIONS && err == 0; i++) {
		struct party *party = &scene->stations[i];

		party->scene = scene;
		party->index = i;
		party->addr = (struct stw_addr){
			.family = 4, .ip = { 192, 0, 2, (uint8_t)(i + 1) }, .port = 5060
		};
		snprintf(party->address, sizeof(party->address), "192.0.2.%u", i + 1);
		err = party_start(party, &io_ops);
	}
	return err;
}

/* One end of each session that stands holds it and takes it back: nothing is in its way for good.
 */
static void hold_all(struct scene *scene, bool hold)
{
	const struct leg *peer;

	for (struct leg *leg = scene->legs; leg; leg = leg->next) {
		peer = leg->session ? leg_peer(leg) : NULL;
		if (!peer || !leg->port || !peer->port || scene->result->wrong[0])
			continue;
		leg->changed_to = 0;
		batch_begin(leg->party);
		if (leg_hold(leg, hold) == -EBUSY) /* its timer is refreshed just now */
			leg->changed_to = 1;
		batch_end(leg->party);
		advance(scene, CHANGE_MS);
		if (!leg->session || leg->changed_to == 1 || scene->result->wrong[0])
			continue;
		if (leg->changed_to != 200)
			scene_wrong(scene, leg_call_id(leg), "p%u: a calm %s ends with %u",
				leg->party->index, hold ? "hold" : "resume", leg->changed_to);
	}
}

static void scene_play(struct scene *scene)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < scene->options->calls; i++) {
		agenda_add(&scene->agenda,
			agenda_make(&scene->agenda, PARTY_CALLS, scene->now.mono_ms + at));
		at += scene_below(scene, 2 * CALL_GAP_MS);
	}
	advance(scene, at);
	scene->calm = true;
	scene->loss = scene->repeat = 0;
	scene->jitter_ms = 20;
	advance(scene, CALM_MS);
	if (scene_strict(scene)) {
		scene_check_standing(scene);
		hold_all(scene, true);
		scene_check_standing(scene);
		hold_all(scene, false);
		scene_check_standing(scene);
	}
	for (unsigned i = 0; i < PARTIES; i++) {
		batch_begin(&scene->stations[i]);
		stw_ua_stop(scene->stations[i].ua);
		batch_end(&scene->stations[i]);
	}
	advance(scene, QUIET_MS);
}

static void check_station(struct scene *scene, const struct party *party)
{
	struct stw_stack_stats stats;

	stw_stack_stats(party->stack, &stats);
	if (party->ua && !stw_ua_idle(party->ua))
		scene_wrong(scene, STW_STR_NONE, "p%u has a session or a request at the end",
			party->index);
	if (stats.transactions || stats.requests || stats.timers)
		scene_wrong(scene, STW_STR_NONE,
			"station %u has %zu transactions, %zu requests, %zu timers at the end",
			party->index, stats.transactions, stats.requests, stats.timers);
	if (party->ports)
		scene_wrong(scene, STW_STR_NONE, "p%u has %u ports at the end", party->index,
			party->ports);
}

static void scene_check(struct scene *scene)
{
	const struct leg *leg = scene->legs;
	const struct job *job = scene->jobs;

	for (; leg; leg = leg->next) {
		if (leg->session)
			scene_wrong(scene, leg_call_id(leg), "p%u was not told of an end",
				leg->party->index);
	}
	for (; job; job = job->next) {
		if (job->begun && !job->leg && !job->answers)
			scene_wrong(scene, STW_STR_NONE, "a request has no answer at the end");
	}
	for (unsigned i = 0; i < STATIONS; i++)
		check_station(scene, &scene->stations[i]);
	scene_check_results(scene);
}

static void scene_end(struct scene *scene)
{
	for (unsigned i = 0; i < STATIONS; i++)
		party_end(&scene->stations[i]);
	agenda_done(&scene->agenda);
	party_rules_done(scene);
	legs_free(scene);
}

static void print_lines(const struct scene *scene)
{
	unsigned n = scene->line_count < LINES_REMEMBERED ? scene->line_count : LINES_REMEMBERED;

	if (!scene->options->ladder || (scene->options->watch && scene->options->watch[0]))
		return;
	for (unsigned i = scene->line_count - n; i < scene->line_count; i++)
		fprintf(scene->options->ladder, "%s\n", scene->lines[i % LINES_REMEMBERED]);
}

int scene_run(const struct stw_simulate_options *options, struct stw_simulate_result *ret)
{
	struct scene *scene = must_alloc(sizeof(*scene));
	int err;

	scene->options = options;
	scene->result = ret;
	err = scene_begin(scene);
	if (err == 0) {
		scene_play(scene);
		if (!ret->wrong[0])
			scene_check(scene);
		print_lines(scene);
		ret->virtual_ms = scene->now.mono_ms;
	}
	scene_end(scene);
	free(scene);
	return err;
}
