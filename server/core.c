/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/core_internal.h"
#include "server/route/feature.h"

#define NONCE_SLOTS       65536
#define SWEEP_INTERVAL_MS 30000
#define STORE_WAIT_MS     5000
#define HOOK_CACHE_BYTES  (32u << 20)

/* ---- what the stack asks of us ---------------------------------------------------- */

static void core_request(void *user, struct stw_request *request)
{
	stw_route_request(user, request);
}

static const struct stw_cause *core_admit(
	void *user, const struct stw_msg *request, struct stw_str *ret_headers)
{
	const struct stw_core *core = user;

	if (!core->draining)
		return NULL;
	*ret_headers = STW_STR("Retry-After: 60\r\n");
	return &stw_cause_maintenance;
}

static bool core_emergency(void *user, const struct stw_msg *request)
{
	struct stw_str number;

	return stw_route_may_be_emergency(request) &&
	       stw_route_is_emergency(user, request, &number);
}

static void core_note(void *user, const struct stw_note *note)
{
	struct stw_core *core = user;
	const struct stw_refusal *refusal = note->refusal;
	struct stw_str place = STW_STR_NONE;
	char buffer[300];

	if (refusal && refusal->option)
		place = stw_config_place(core->config, refusal->option, buffer, sizeof(buffer));
	stw_decisions_note(core->decisions, note, place);
	if (stw_calls_count(core->calls))
		stw_calls_note(core->calls, note);
	if (note->dialog || note->refresh)
		stw_refreshes_note(core->refreshes, note);
	if (core->options.log)
		core->options.log(core->options.log_context, note, place);
}

static void core_expect(void *user, struct stw_msg *request)
{
	const struct stw_core *core = user;

	stw_decisions_expect(core->decisions, request);
}

static void core_next(void *user, struct stw_request *request, const struct stw_outcome *outcome)
{
	stw_route_next(user, request, outcome);
}

static const struct stw_cause *core_guard(void *user, const struct stw_request *request,
	const struct stw_uri *uri, const struct stw_hop *hop)
{
	return stw_route_guard(user, request, uri, hop);
}

static void core_ended(void *user, struct stw_request *request, unsigned code,
	const struct stw_msg *response, const struct stw_proxy_target *target)
{
	stw_route_ended(user, request, code, response, target);
}

static const struct stw_core_ops core_ops = {
	.expect = core_expect,
	.request = core_request,
	.next = core_next,
	.ended = core_ended,
	.guard = core_guard,
	.admit = core_admit,
	.emergency = core_emergency,
	.note = core_note,
};

static void core_results(struct stw_core *core);

/* ---- life ------------------------------------------------------------------------------ */

/* The Call-IDs are spread evenly, and what is kept by call with them. */
static size_t core_share(const struct stw_core *core, size_t whole)
{
	unsigned n = core->options.workers ? stw_workers_count(core->options.workers) : 1;

	return (whole + n - 1) / n;
}

static void core_stack_options(const struct stw_core *core, struct stw_stack_options *ret)
{
	const struct stw_config *config = core->config;

	*ret = (struct stw_stack_options){
		.io = core->options.io,
		.io_user = core->options.io_user,
		.core = &core_ops,
		.core_user = (void *)(uintptr_t)core,
		.listeners = core->options.listeners,
		.local_addr_count = core->options.local_addr_count,
		.key = core->options.key,
		.seed = core->options.seed + core->options.worker,
		.workers = core->options.workers,
		.worker = (uint16_t)core->options.worker,
		.max_transactions = config->limits.max_transactions,
		.urgent_users = config->emergency.numbers,
		.urgent_user_count = config->emergency.number_count,
		.dns = { .max_places = config->dns.max_addresses,
			.max_srv = config->dns.max_srv,
			.max_questions = config->dns.max_questions,
			.time_ms = config->dns.max_time_ms,
			.naptr_ms = config->dns.timeout_ms * 2 / 5,
			.failed_ms = config->dns.failed_for_ms,
			.cache = { config->dns.cache_names, config->dns.cache_bytes } },
		.overload = { .target_ms = config->overload.target_ms,
			.feedback = config->overload.feedback },
		.retry_after_s = config->overload.retry_after_s,
		.restrain = config->overload.restrain,
		.sources = core->options.sources,
		.source_limits = config->limits.source,
		.exempt = config->limits.exempt,
		.exempt_count = config->limits.exempt_count,
		.udp_oversize_tcp = config->udp_oversize == STW_UDP_OVERSIZE_TCP,
		.flows = { .max_flows = config->limits.max_connections,
			.max_per_source = config->limits.max_connections_per_source,
			.idle_ms = config->limits.connection_idle_ms,
			.message_ms = config->limits.message_timeout_ms,
			.message = config->limits.message },
		.proxy = { .domains = config->domains,
			.domain_count = config->domain_count,
			.tel = config->rule_count > 0 || config->emergency.number_count > 0,
			.max_breadth = config->proxy.max_breadth,
			.serial_fallback = config->proxy.serial_fallback,
			.recurse = config->proxy.recurse == STW_RECURSE_TRUE,
			.recurse_asked = config->proxy.recurse == STW_RECURSE_ASKED,
			.all_busy_600 = config->proxy.all_busy_600,
			.priority = config->priority.namespaces.n > 0,
			.max_branches = config->limits.max_branches,
			.timer_c_ms = config->proxy.timer_c_ms },
	};
	memcpy(ret->local_addrs, core->options.local_addrs, sizeof(ret->local_addrs));
}

int stw_core_nonces_new(const struct stw_config *config, const uint8_t secret[32],
	struct stw_now now, struct stw_nonces **ret)
{
	int err = stw_nonces_new(secret, config->auth.nonce_lifetime_s, NONCE_SLOTS, ret);

	if (err == 0)
		stw_nonces_start(*ret, now);
	return err;
}

static int core_queues(struct stw_core *core)
{
	static const struct stw_queues_options options = { .workers = 1 };
	int err = core->options.queues ? 0 : stw_queues_new(&options, &core->own_queues);

	core->queues = core->options.queues ? core->options.queues : core->own_queues;
	return err;
}

/* One worker is enough, and a trial sends nothing. */
static int core_trunks(struct stw_core *core)
{
	struct stw_registrations_options options = {
		.stack = core->stack, .key = core->options.key, .note = core_note, .user = core
	};
	int err = 0;

	if (!core->options.trunks)
		err = stw_trunk_board_new(&core->own_trunks);
	core->trunks = core->options.trunks ? core->options.trunks : core->own_trunks;
	options.board = core->trunks;
	if (err == 0 && core->options.worker == 0 && !core->options.trial)
		err = stw_registrations_new(&options, &core->registrations);
	return err;
}

bool core_follows_calls(const struct stw_core *core)
{
	return core->options.records || core->config->group_idle || core->config->queue_count ||
	       stw_directory_limited(core->options.directory);
}

static int core_calls_new(struct stw_core *core)
{
	struct stw_calls_options options = { .key = core->options.key,
		.records = core->options.records,
		.queue = core->options.worker,
		.max = core_share(core, core->config->limits.max_calls),
		.max_age_s = core->config->call.max_age_s };
	int err = 0;

	if (!core->options.busy)
		err = stw_busy_new(options.key, core->config->limits.max_calls, &core->own_busy);
	core->busy = options.busy = core->options.busy ? core->options.busy : core->own_busy;
	if (err == 0)
		err = stw_refreshes_new(
			options.max, options.max_age_s, core->now, &core->refreshes);
	return err < 0 ? err : stw_calls_new(&options, core->now, &core->calls);
}

int stw_core_new(const struct stw_core_options *options, struct stw_now now, struct stw_core **ret)
{
	struct stw_core *core = calloc(1, sizeof(*core));
	struct stw_stack_options stack;
	int err;

	if (!core)
		return -ENOMEM;
	core->options = *options;
	core->config = stw_config_ref(options->config);
	core->now = core->started = now;
	core->sweep_due_ms = now.mono_ms + SWEEP_INTERVAL_MS;
	err = stw_decisions_new(
		options->trial ? 0 : core_share(core, core->config->decisions.keep_calls),
		options->key, &core->decisions);
	if (err == 0)
		err = stw_hook_cache_new(core_share(core, core->config->hook.cache_answers),
			core_share(core, HOOK_CACHE_BYTES), options->key, &core->answers);
	if (err == 0 && !options->nonces)
		err = stw_core_nonces_new(
			core->config, options->nonce_secret, now, &core->own_nonces);
	core->nonces = options->nonces ? options->nonces : core->own_nonces;
	if (err == 0)
		err = core_calls_new(core);
	if (err == 0) {
		core_stack_options(core, &stack);
		err = stw_stack_new(&stack, now, &core->stack);
	}
	if (err == 0)
		err = core_trunks(core);
	if (err == 0)
		err = core_queues(core);
	if (err < 0) {
		stw_core_free(core);
		return err;
	}
	*ret = core;
	return 0;
}

void stw_core_reload(struct stw_core *core, struct stw_config *config)
{
	struct stw_stack_options stack;

	stw_route_trunks_reload(core, config);
	stw_config_unref(core->config);
	core->config = stw_config_ref(config);
	core->registrations_set = false;
	core_stack_options(core, &stack);
	stw_stack_reconfigure(core->stack, &stack);
	stw_calls_max_age(core->calls, config->call.max_age_s);
	stw_refreshes_max_age(core->refreshes, config->call.max_age_s);
	stw_queues_look(core->queues, core->options.worker);
}

void stw_core_drain(struct stw_core *core)
{
	core->draining = true;
}

void stw_core_stop(struct stw_core *core)
{
	stw_core_drain(core);
	stw_stack_stop(core->stack, &stw_cause_maintenance);
	if (core->registrations)
		stw_registrations_leave(core->registrations);
}

bool stw_core_idle(const struct stw_core *core)
{
	struct stw_stack_stats stats;

	stw_stack_stats(core->stack, &stats);
	return stats.transactions == 0 && stats.requests == 0 && stats.handing == 0 &&
	       core->pending_jobs == 0 && core->open_questions == 0;
}

/* What the store still has in hand belongs to requests of ours: take it back first. */
static void core_wait_for_store(struct stw_core *core)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	unsigned i;

	for (i = 0; core->pending_jobs && i < STORE_WAIT_MS; i++) {
		stw_store_run(core->options.store);
		core_results(core);
		if (core->pending_jobs)
			nanosleep(&pause, NULL);
	}
}

struct stw_core *stw_core_free(struct stw_core *core)
{
	if (!core)
		return NULL;
	core_wait_for_store(core);
	/* The disk hangs, and the store has jobs of ours in hand: they, and what they lie in, stay.
	 */
	if (core->pending_jobs)
		return NULL;
	stw_registrations_free(core->registrations);
	stw_trunk_board_free(core->own_trunks);
	stw_stack_free(core->stack);
	stw_route_features_free(core);
	stw_calls_free(core->calls);
	stw_refreshes_free(core->refreshes);
	stw_busy_free(core->own_busy);
	stw_queues_free(core->own_queues);
	stw_decisions_free(core->decisions);
	stw_nonces_free(core->own_nonces);
	stw_hook_cache_free(core->answers);
	stw_config_unref(core->config);
	free(core);
	return NULL;
}

/* ---- a batch ------------------------------------------------------------------------------ */

void stw_core_begin(struct stw_core *core, struct stw_now now)
{
	core->now = now;
	core->removed_users = stw_store_removed_users(core->options.store);
	stw_stack_begin(core->stack, now);
	stw_calls_now(core->calls, now);
	stw_refreshes_now(core->refreshes, now);
}

void stw_core_event(struct stw_core *core, const struct stw_io_event *event)
{
	stw_stack_event(core->stack, event);
}

/* Who has registered, logged in, or wants to be disturbed again may take a call. What the store has
 * not taken changes nothing. */
static void core_queues_hear(struct stw_core *core, const struct stw_job *job)
{
	bool changed = job->kind == STW_JOB_SETTINGS && !job->cause && !job->refused;

	for (unsigned i = 0; changed && i < job->setting_count; i++) {
		if (stw_str_starts(job->settings[i], STW_STR("queues")))
			stw_queues_forgive(core->queues, job->aor);
	}
	if (job->kind != STW_JOB_SWEEP)
		stw_queues_look(core->queues, core->options.worker);
}

/* Where many phones have vanished the next one follows at once: a job of its own, so that REGISTERs
 * come between. */
static void core_swept(struct stw_core *core)
{
	core->sweeping = false;
	if (core->sweep.more && !core->draining)
		core->sweep_due_ms = core->now.mono_ms;
}

static void core_results(struct stw_core *core)
{
	struct stw_job *job;

	while ((job = stw_store_result(core->options.store, core->options.worker))) {
		core->pending_jobs--;
		core_queues_hear(core, job);
		if (job == &core->sweep)
			core_swept(core);
		else if (job->kind == STW_JOB_REGISTER)
			stw_route_registered(core, job->context, job);
		else if (!job->context)
			stw_route_feature_committed(core, job);
		else
			core_question_committed(core, job);
	}
}

static void core_answers(struct stw_core *core)
{
	struct stw_hook_question *question;

	while (core->open_questions && (question = core->options.hook->answer(
						core->options.hook_user, core->options.worker))) {
		core->open_questions--;
		stw_route_answered(core, question);
	}
}

/* What has expired is deleted now and then; look-ups never see it anyway. */
static void core_sweep(struct stw_core *core)
{
	if (core->options.worker != 0 || core->sweeping || core->now.mono_ms < core->sweep_due_ms)
		return;
	core->sweep_due_ms = core->now.mono_ms + SWEEP_INTERVAL_MS;
	core->sweep = (struct stw_job){ .kind = STW_JOB_SWEEP, .now = core->now };
	if (stw_store_submit(core->options.store, &core->sweep) < 0)
		return;
	core->sweeping = true;
	core->pending_jobs++;
}

static bool core_registers(const struct stw_core *core)
{
	return core->registrations && !core->registrations_set && !core->draining;
}

void stw_core_work(struct stw_core *core)
{
	stw_stack_handed(core->stack);
	stw_stack_timers(core->stack);
	if (core_registers(core)) {
		core->registrations_set = true;
		stw_registrations_set(core->registrations, core->config);
	}
	stw_calls_timers(core->calls);
	stw_refreshes_timers(core->refreshes);
	core_sweep(core);
	core_answers(core);
	stw_store_run(core->options.store);
	core_results(core); /* wakes the store for all that was submitted so far */
	stw_route_queues_work(core);
}

void stw_core_end(struct stw_core *core)
{
	stw_stack_end(core->stack);
}

uint64_t stw_core_next(const struct stw_core *core)
{
	uint64_t next = stw_stack_next(core->stack), calls = stw_calls_next(core->calls);
	uint64_t queues = stw_queues_next(core->queues, core->options.worker);
	uint64_t refreshes = stw_refreshes_next(core->refreshes);

	next = calls < next ? calls : next;
	next = queues < next ? queues : next;
	next = refreshes < next ? refreshes : next;
	if (core_registers(core))
		return 0;

	if (core->options.worker != 0 || core->sweeping)
		return next;
	return next < core->sweep_due_ms ? next : core->sweep_due_ms;
}
