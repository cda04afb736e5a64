/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual time: what is to come, one batch after the other, and the troubles that a seed brings. */
#include "simulate/agents.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/rcu.h>

#define BATCH_MAX   8
#define SETTLE_MS   20000  /* phones register before the first call */
#define QUIET_MS    700000 /* longer than any timer: Timer C and what follows it */
#define IDLE_MAX    20000  /* batches in one millisecond */
#define CALL_GAP_MS 120
#define QUEUE_SEED  0x7175658au /* the older ones of seeds.txt bring no queues */

uint64_t below(struct world *world, uint64_t bound)
{
	return stw_random_below(&world->random, bound);
}

bool chance(struct world *world, unsigned per_mille)
{
	return below(world, 1000) < per_mille;
}

bool strict(const struct world *world)
{
	return !world->mutate && !world->starve;
}

/* ---- trace and faults ------------------------------------------------------------------------ */

static void address_name(const struct world *world, const struct stw_addr *addr, char name[80])
{
	unsigned node = node_at(world, addr), device = device_at(world, addr);
	char text[STW_ADDR_TEXT_MAX];

	if (node < NODES)
		snprintf(name, 80, "server%u", node);
	else if (device < DEVICES)
		snprintf(name, 80, "%s.%u", world->devices[device].name,
			world->devices[device].number);
	else
		snprintf(name, 80, "%.*s", STW_STR_ARG(stw_addr_text(addr, text)));
}

void trace_line(struct world *world, struct stw_str call_id, const char *format, ...)
{
	const char *watch = world->options->watch;
	char *line = world->lines[world->line_count % LINES_REMEMBERED];
	int n = snprintf(line, 20, "%10llu ", (unsigned long long)world->now.mono_ms);
	va_list list;

	va_start(list, format);
	vsnprintf(line + n, sizeof(world->lines[0]) - (size_t)n, format, list);
	va_end(list);
	if (!watch || !watch[0])
		world->line_count++;
	else if (stw_str_equal(call_id, stw_str_from(watch)))
		fprintf(world->options->ladder, "%s\n", line);
}

void trace_message(struct world *world, const struct stw_addr *from, const struct stw_addr *to,
	struct stw_str text, const char *how)
{
	struct {
		uint64_t before, now, bytes, how;
	} step = { world->result->trace, world->now.mono_ms, text_hash(text.ptr, text.len),
		(uint64_t)how[0] };
	char names[2][80];
	struct sip sip;

	world->result->trace = text_hash(&step, sizeof(step));
	world->result->messages++;
	if (!world->options->ladder || !sip_read(text, &sip))
		return;
	address_name(world, from, names[0]);
	address_name(world, to, names[1]);
	trace_line(world, sip.call_id, "%-12s -> %-12s %.*s%s%.*s  [%u %.*s, %u Via, %.*s]%s%s",
		names[0], names[1], STW_STR_ARG(sip.start), sip.request ? "" : " to ",
		sip.request ? 0 : (int)sip.method.len, sip.method.ptr, sip.cseq,
		STW_STR_ARG(sip.method), sip.via_count, STW_STR_ARG(sip.branch), how[0] ? "  " : "",
		how);
}

void trace_note(struct node *node, const struct stw_note *note)
{
	static const char *const kinds[] = { "request in", "request out", "response in",
		"response out", "timeout", "failure", "dropped", "retransmission" };
	struct stw_str call_id = note->msg ? note->msg->call_id : STW_STR_NONE;

	if (node->world->options->ladder && note->kind >= STW_NOTE_RESPONSE_OUT &&
		note->kind != STW_NOTE_RETRANSMISSION)
		trace_line(node->world, call_id, "%14sserver%u notes: %s %u, %s", "", node->index,
			kinds[note->kind], note->code,
			note->cause     ? note->cause->id
			: note->relayed ? "relayed"
					: "no cause");
}

void wrong(struct world *world, struct stw_str call_id, const char *format, ...)
{
	struct stw_simulate_result *result = world->result;
	va_list list;

	if (result->wrong[0])
		return;
	va_start(list, format);
	vsnprintf(result->wrong, sizeof(result->wrong), format, list);
	va_end(list);
	snprintf(result->call_id, sizeof(result->call_id), "%.*s", STW_STR_ARG(call_id));
	trace_line(world, call_id, "!!! %s", result->wrong);
}

/* ---- what is to come ------------------------------------------------------------------------- */

struct happening *happen(struct world *world, enum happening_kind kind, uint64_t delay_ms)
{
	return agenda_make(&world->agenda, kind, world->now.mono_ms + delay_ms);
}

void plan(struct world *world, struct happening *happening)
{
	agenda_add(&world->agenda, happening);
}

/* ---- troubles -------------------------------------------------------------------------------- */

static void trouble_partition(struct world *world)
{
	unsigned a = (unsigned)below(world, ENDPOINTS), b = (unsigned)below(world, ENDPOINTS);
	uint64_t until =
		world->now.mono_ms + 1000 + below(world, chance(world, 800) ? 10000 : 60000);

	if (a == b)
		return;
	world->cut_until_ms[a][b] = world->cut_until_ms[b][a] = until;
	trace_line(world, STW_STR_NONE, "endpoints %u and %u are apart until %llu", a, b,
		(unsigned long long)until);
}

static void trouble_disk(struct node *node)
{
	struct world *world = node->world;
	struct happening *happening;

	if (node->held || !node->up)
		return;
	if (chance(world, 500)) {
		node->disk.refuses = !node->disk.refuses;
		return;
	}
	node->held = true;
	happening = happen(world, NODE_DISK, 1 + below(world, chance(world, 900) ? 400 : 8000));
	happening->who = node->index;
	happening->boot = node->boots;
	plan(world, happening);
}

static void trouble_crash(struct node *node)
{
	struct world *world = node->world;

	if (!node->up || node->leaving)
		return;
	if (chance(world, 250)) {
		node->leaving = true;
		stw_core_begin(node->core, world->now);
		stw_core_stop(node->core);
		stw_core_work(node->core);
		stw_core_end(node->core);
		rules_batch_end(node);
		struct happening *gone = happen(world, NODE_GONE, 200 + below(world, 5000));

		gone->who = node->index;
		gone->boot = node->boots;
		plan(world, gone);
		return;
	}
	if (chance(world, 500))
		node->disk.writes_left = (unsigned)below(world, 12);
	else
		node_crash(node);
}

static void trouble_stall(struct node *node)
{
	struct world *world = node->world;
	uint64_t until = world->now.mono_ms + 100 + below(world, chance(world, 900) ? 3000 : 40000);

	node->stalls++;
	if (node->stalled_until_ms < until)
		node->stalled_until_ms = until;
}

/* One of what this seed may bring, and the next one. */
static void trouble(struct world *world)
{
	struct node *node = &world->nodes[below(world, NODES)];

	if (!world->quiet)
		plan(world, happen(world, TROUBLE, below(world, 6000)));
	switch (below(world, 10)) {
	case 8:
		phones_noise(world);
		break;
	case 9:
		/* Somebody sets the clock. */
		if (!strict(world))
			world->now.wall_ms += (int64_t)below(world, 7200000) - 3600000;
		break;
	case 0:
		if (world->crashes && !world->quiet)
			trouble_crash(node);
		break;
	case 1:
		if (world->parts && !world->quiet)
			trouble_partition(world);
		break;
	case 2:
	case 3:
		if (world->disks && !world->quiet)
			trouble_disk(node);
		break;
	case 4:
		if (world->breaks && !world->quiet)
			network_break(world);
		break;
	case 5:
		if (world->parts && !world->quiet && chance(world, 200))
			trouble_stall(node);
		break;
	case 6:
		if (node->up && chance(world, 100))
			node_reload(node);
		services_change(node);
		break;
	default:
		if (node->up)
			node_ask(node);
	}
}

/* ---- batches --------------------------------------------------------------------------------- */

static bool for_node(const struct happening *happening)
{
	return happening->kind <= NODE_DISK;
}

static void node_event(struct node *node, struct happening *happening)
{
	static const enum stw_io_event_kind kinds[] = { [NODE_DATAGRAM] = STW_IO_DATAGRAM,
		[NODE_OPENED] = STW_IO_OPENED,
		[NODE_BYTES] = STW_IO_BYTES,
		[NODE_CLOSED] = STW_IO_CLOSED,
		[NODE_SEND_FAILED] = STW_IO_SEND_FAILED,
		[NODE_RESOLVED] = STW_IO_RESOLVED,
		[NODE_DISK] = STW_IO_WOKEN };
	struct stw_io_event event = { .kind = kinds[happening->kind],
		.incoming = happening->number != 0,
		.error = happening->error,
		.hop = happening->hop,
		.data = happening->data,
		.len = happening->len,
		.query = happening->key,
		.answer = &happening->answer };

	if (happening->kind == NODE_DISK)
		node->held = false;
	else if (happening->kind == NODE_DATAGRAM)
		rules_in(
			node, (struct stw_str){ happening->data, happening->len }, &happening->hop);
	else if (happening->kind == NODE_SEND_FAILED)
		rules_refused(node, &happening->hop.remote,
			(struct stw_str){ happening->data, happening->len });
	else if (happening->whole)
		rules_in(node, (struct stw_str){ happening->whole, happening->whole_len },
			&happening->hop);
	if (node->world->starve && chance(node->world, 20))
		node->world->options->fail_allocation((unsigned)(1 + below(node->world, 25)));
	stw_core_event(node->core, &event);
}

/* @return false: it is not there, or stands still */
static bool node_takes(struct node *node, struct happening *happening)
{
	struct world *world = node->world;
	bool flow = happening->kind == NODE_OPENED || happening->kind == NODE_BYTES ||
		    happening->kind == NODE_CLOSED;

	if (happening->kind != NODE_DATAGRAM && happening->boot != node->boots)
		return false;
	if (!node->up)
		return false;
	return !flow || network_arrives(world, happening);
}

static void node_batch_end(struct node *node)
{
	stw_core_work(node->core);
	if (node->world->options->fail_allocation)
		node->world->options->fail_allocation(0);
	stw_core_end(node->core);
	rules_batch_end(node);
	stw_rcu_quiescent();
	if (node->up && node->disk.writes_left == 0)
		node_crash(node);
}

/* What is due for one node, a few together; else one thing that happens elsewhere. */
static void node_batch(struct world *world, struct happening *first)
{
	struct node *node = &world->nodes[first->who];
	unsigned n = 0, max = (unsigned)(1 + below(world, BATCH_MAX));
	struct happening *taken[BATCH_MAX], *next = first;

	if (node->up && node->stalled_until_ms > world->now.mono_ms) {
		first->due_ms = node->stalled_until_ms;
		plan(world, first);
		return;
	}
	if (node->up)
		stw_core_begin(node->core, world->now);
	for (;;) {
		taken[n++] = next;
		if (node_takes(node, next))
			node_event(node, next);
		if (n == max || agenda_next(&world->agenda) > world->now.mono_ms ||
			!for_node(agenda_first(&world->agenda)) ||
			agenda_first(&world->agenda)->who != node->index)
			break;
		next = agenda_pop(&world->agenda);
	}
	if (node->up)
		node_batch_end(node);
	while (n)
		happening_free(taken[--n]);
}

static void elsewhere(struct world *world, struct happening *happening)
{
	struct node *node = &world->nodes[happening->who % NODES];

	switch (happening->kind) {
	case DEVICE_MESSAGE:
		if (network_arrives(world, happening))
			device_gets(world, happening);
		break;
	case DEVICE_CLOSED:
		network_arrives(world, happening);
		break;
	case CLIENT_TIMER:
		client_timer(world, happening->key);
		break;
	case SERVER_TIMER:
		server_timer(world, happening->key);
		break;
	case SERVER_ANSWER:
		server_answer(world, happening->key, happening->number);
		break;
	case DIALOG_STEP:
		dialog_step(world, happening->key, happening->number);
		break;
	case DEVICE_REGISTER:
		device_registers(world, happening->who);
		break;
	case CALL_START:
		call_start(world, happening->number);
		break;
	case CALL_CANCEL:
		call_cancel(world, happening->key);
		break;
	case DEVICE_DIES:
		device_dies(world, happening->who, happening->number);
		break;
	case TROUBLE:
		trouble(world);
		break;
	case QUEUES_TICK:
		queues_tick(world);
		break;
	case NODE_RESTART:
		if (!node->up && node_start(node) < 0)
			wrong(world, STW_STR_NONE, "server%u does not start again", node->index);
		break;
	default:
		if (node->up && happening->boot == node->boots)
			node_crash(node);
	}
	happening_free(happening);
}

/* Timers of the nodes that are due. @return when the next one is */
static uint64_t nodes_timers(struct world *world)
{
	uint64_t next = UINT64_MAX, due;
	unsigned i;

	for (i = 0; i < NODES; i++) {
		struct node *node = &world->nodes[i];

		if (!node->up)
			continue;
		due = stw_core_next(node->core);
		if (due < node->stalled_until_ms)
			due = node->stalled_until_ms;
		if (due <= world->now.mono_ms) {
			stw_core_begin(node->core, world->now);
			node_batch_end(node);
			due = world->now.mono_ms;
		}
		next = due < next ? due : next;
	}
	return next;
}

static void advance_until(struct world *world, uint64_t until)
{
	uint64_t next, timers;
	struct happening *happening;
	unsigned idle = 0;

	while (!world->result->wrong[0]) {
		timers = nodes_timers(world);
		next = agenda_next(&world->agenda);
		next = timers < next ? timers : next;
		if (next > until)
			break;
		idle = next > world->now.mono_ms ? 0 : idle + 1;
		if (idle > IDLE_MAX)
			wrong(world, STW_STR_NONE,
				"time stands still: something is due without end");
		if (next > world->now.mono_ms) {
			world->now.wall_ms += (int64_t)(next - world->now.mono_ms);
			world->now.mono_ms = next;
		}
		if (agenda_next(&world->agenda) > world->now.mono_ms)
			continue;
		happening = agenda_pop(&world->agenda);
		if (for_node(happening))
			node_batch(world, happening);
		else
			elsewhere(world, happening);
		rules_expire(world, false);
	}
	if (world->result->wrong[0])
		return;
	world->now.wall_ms += (int64_t)(until - world->now.mono_ms);
	world->now.mono_ms = until;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void weather(struct world *world)
{
	bool can_starve = world->options->fail_allocation != NULL;

	world->calm = chance(world, 250);
	world->jitter_ms = world->calm ? 20 : chance(world, 700) ? 100 : 1500;
	if (!world->calm) {
		world->loss = (unsigned)(chance(world, 300) ? 0 : below(world, 250));
		world->repeat = (unsigned)(chance(world, 300) ? 0 : below(world, 200));
		world->crashes = chance(world, 500);
		world->parts = chance(world, 400);
		world->disks = chance(world, 400);
		world->breaks = chance(world, 500);
		world->slow_names = chance(world, 500);
		world->mutate = chance(world, 120);
		world->starve = chance(world, 120) && can_starve;
	}
	world->loops = chance(world, 300);
	world->services = stw_random_below(&world->service_random, 1000) < 600;
	world->queues = stw_random_below(&world->queue_random, 1000) < 400;
	world->phones_die = stw_random_below(&world->queue_random, 1000) < 400 && world->queues;
	world->srv = chance(world, 500);
	world->naptr = world->srv && chance(world, 500);
	snprintf(world->result->weather, sizeof(world->result->weather),
		"%sloss %u‰, repeat %u‰, up to %u ms%s%s%s%s%s%s%s%s%s%s%s",
		world->calm ? "calm, " : "", world->loss, world->repeat, world->jitter_ms,
		world->crashes ? ", crashes" : "", world->parts ? ", partitions" : "",
		world->disks ? ", bad disks" : "", world->breaks ? ", broken connections" : "",
		world->slow_names ? ", slow names" : "", world->loops ? ", loops" : "",
		world->services ? ", services" : "", world->queues ? ", queues" : "",
		world->phones_die ? ", phones that die" : "", world->mutate ? ", mutations" : "",
		world->starve ? ", no memory" : "");
}

static int world_begin(struct world *world)
{
	unsigned i;
	int err = 0;

	stw_random_seed(&world->random, world->options->seed);
	stw_random_seed(&world->service_random, ~world->options->seed);
	stw_random_seed(&world->queue_random, world->options->seed ^ QUEUE_SEED);
	world->now = (struct stw_now){ .mono_ms = 1000, .wall_ms = 1800000000000 };
	world->short_records.last = &world->short_records.first;
	world->long_records.last = &world->long_records.first;
	weather(world);
	disk_register(world);
	for (i = 0; i < NODES; i++) {
		struct node *node = &world->nodes[i];

		node->world = world;
		node->index = i;
		node->addr = (struct stw_addr){
			.family = 4, .ip = { 192, 0, 2, (uint8_t)(100 + i) }, .port = 5060
		};
		snprintf(node->domain, sizeof(node->domain), "d%u.example", i);
		services_choose(node);
		queues_choose(node);
		snprintf(node->path, sizeof(node->path), "%s/n%u.db", world->options->folder, i);
		if (err == 0)
			err = node_start(node);
	}
	phones_begin(world);
	return err;
}

static void world_play(struct world *world)
{
	uint64_t at = SETTLE_MS;
	struct happening *call;
	unsigned i;

	world->calls = must_alloc(world->options->calls * sizeof(*world->calls) + 1);
	for (i = 0; i < world->options->calls; i++) {
		call = happen(world, CALL_START, at);
		call->number = i;
		plan(world, call);
		at += below(world, 2 * CALL_GAP_MS);
	}
	plan(world, happen(world, TROUBLE, SETTLE_MS / 2));
	queues_play(world, at);
	advance_until(world, world->now.mono_ms + at);
	world->quiet = true;
	for (i = 0; i < NODES; i++)
		world->nodes[i].disk.refuses = false;
	advance_until(world, world->now.mono_ms + QUIET_MS);
}

static void world_check(struct world *world)
{
	unsigned i;

	rules_expire(world, true);
	for (i = 0; i < NODES && !world->result->wrong[0]; i++) {
		if (!world->nodes[i].up)
			wrong(world, STW_STR_NONE, "server%u is not there at the end", i);
		else
			node_check_empty(&world->nodes[i]);
	}
}

static void world_end(struct world *world)
{
	unsigned i;

	world->result->virtual_ms = world->now.mono_ms;
	for (i = 0; i < NODES; i++)
		node_end(&world->nodes[i]);
	disk_unregister();
	phones_end(world);
	rules_done(world);
	agenda_done(&world->agenda);
	queues_done(world);
	free(world->calls);
}

static void print_lines(const struct world *world)
{
	unsigned n = world->line_count < LINES_REMEMBERED ? world->line_count : LINES_REMEMBERED, i;

	if (!world->options->ladder || (world->options->watch && world->options->watch[0]))
		return;
	for (i = world->line_count - n; i < world->line_count; i++)
		fprintf(world->options->ladder, "%s\n", world->lines[i % LINES_REMEMBERED]);
}

static int world_run(const struct stw_simulate_options *options, struct stw_simulate_result *ret)
{
	struct world *world = must_alloc(sizeof(*world));
	int err;

	world->options = options;
	world->result = ret;
	err = world_begin(world);
	if (err == 0) {
		world_play(world);
		if (!ret->wrong[0])
			world_check(world);
		print_lines(world);
	}
	world_end(world);
	free(world);
	return err;
}

int stw_simulate_run(const struct stw_simulate_options *options, struct stw_simulate_result *ret)
{
	*ret = (struct stw_simulate_result){ 0 };
	return options->agents ? scene_run(options, ret) : world_run(options, ret);
}
