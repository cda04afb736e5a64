/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: each has its loop, its core and its sockets. The first one runs in the main thread and
 * hears the administration and the signals; it passes on what concerns all.
 */
#include "server/serve/internal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <strowger/rcu.h>

#include "server/serve/sandbox.h"

#define QUESTIONS_MAX  256 /* more than the administration has under way */
#define FAILED_WAIT_MS 20  /* between turns of a loop that cannot go on */
#define LAST_TURNS     64  /* more than empty a full ring */

unsigned serve_worker_count(const struct stw_config *config)
{
	unsigned n = config->workers;
	cpu_set_t cpus;

	if (n == 0)
		n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 1;
	return n < STW_WORKERS_MAX ? n : STW_WORKERS_MAX;
}

/* ---- a turn of the loop ----------------------------------------------------------- */

static void worker_questions(struct serve_worker *worker)
{
	struct stw_question *question;

	while (worker->questions && (question = stw_ring_pop(worker->questions))) {
		if (question->kind == STW_QUESTION_STOP) {
			stw_io_stop_listening(worker->io);
			worker->stopping = true;
		}
		stw_core_question(worker->core, question);
	}
}

/* Sleeps until something happens; what another worker pushes wakes it. */
static int worker_poll(
	struct serve_worker *worker, uint64_t deadline_ms, const struct stw_io_event **ret_events)
{
	struct stw_workers *shared = worker->serve->shared;
	int count;

	stw_rcu_offline();
	stw_io_gather(worker->io);
	if (shared && !stw_workers_rest(shared, worker->index))
		deadline_ms = 0;
	count = stw_io_poll(worker->io, deadline_ms, ret_events);
	stw_rcu_online();
	if (shared)
		stw_workers_rise(shared, worker->index);
	return count;
}

int serve_turn(struct serve_worker *worker, uint64_t deadline_ms, void (*also)(struct serve *))
{
	const struct stw_io_event *events;
	uint64_t next_ms = stw_core_next(worker->core);
	int count;

	count = worker_poll(worker, next_ms < deadline_ms ? next_ms : deadline_ms, &events);
	if (count < 0)
		return count;
	stw_core_begin(worker->core, stw_io_now());
	for (int i = 0; i < count; i++)
		stw_core_event(worker->core, &events[i]);
	worker_questions(worker);
	if (also)
		also(worker->serve);
	stw_core_work(worker->core);
	stw_io_flush(worker->io);
	stw_core_end(worker->core);
	if (worker->stopping)
		atomic_store(&worker->idle, stw_core_idle(worker->core));
	return 0;
}

/* ---- the other workers --------------------------------------------------------------- */

/* A turn without a look at the network. */
static void worker_answer(struct serve_worker *worker)
{
	stw_core_begin(worker->core, stw_io_now());
	worker_questions(worker);
	stw_core_work(worker->core);
	stw_io_flush(worker->io);
	stw_core_end(worker->core);
}

/* Its calls are lost; the others end in order, and questions are still answered. */
static void worker_failed(struct serve_worker *worker, int err)
{
	const struct timespec pause = { .tv_nsec = FAILED_WAIT_MS * 1000000L };
	struct serve *serve = worker->serve;

	if (!atomic_exchange(&serve->stopping, true)) {
		stw_log_event(worker->log, STW_LOG_ERROR, "server.failed",
			json_pack("{s:s, s:i}", "reason", strerror(-err), "worker",
				(int)worker->index));
		atomic_store(&serve->failed, true);
		stw_io_wake(serve->workers[0].io);
	}
	stw_rcu_offline();
	nanosleep(&pause, NULL);
	stw_rcu_online();
	worker_answer(worker);
}

static void *worker_thread(void *context)
{
	struct serve_worker *worker = context;
	char name[16];
	int err;

	snprintf(name, sizeof(name), "strowger-w%u", worker->index);
	prctl(PR_SET_NAME, name);
	serve_sandbox_worker();
	stw_rcu_register_thread();
	while (!atomic_load(&worker->serve->ended)) {
		err = serve_turn(worker, UINT64_MAX, NULL);
		if (err < 0)
			worker_failed(worker, err);
	}
	worker_answer(worker); /* nobody waits for ever */
	stw_rcu_unregister_thread();
	return NULL;
}

int serve_workers_start(struct serve *serve)
{
	sigset_t all, before;
	int err = 0;

	/* Signals belong to the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 1; err == 0 && i < serve->worker_count; i++) {
		struct serve_worker *worker = &serve->workers[i];

		err = -stw_ring_new(QUESTIONS_MAX, &worker->questions);
		if (err == 0)
			err = pthread_create(&worker->thread, NULL, worker_thread, worker);
		worker->started = err == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err ? serve_fail(serve, -err, "worker threads cannot be started: %s", strerror(err))
		   : 0;
}

void serve_workers_end(struct serve *serve)
{
	atomic_store(&serve->ended, true);
	for (unsigned i = 1; i < serve->worker_count; i++) {
		struct serve_worker *worker = &serve->workers[i];

		if (!worker->started)
			continue;
		stw_io_wake(worker->io);
		pthread_join(worker->thread, NULL);
		worker->started = false;
	}
}

/* What one of them said last may still lie before another that had left its loop already. */
void serve_workers_settle(struct serve *serve)
{
	for (unsigned turn = 0; turn < LAST_TURNS; turn++) {
		for (unsigned i = 0; i < serve->worker_count; i++)
			worker_answer(&serve->workers[i]);
		if (!serve->shared || stw_workers_quiet(serve->shared))
			return;
	}
}

bool serve_workers_idle(const struct serve *serve)
{
	bool idle = stw_core_idle(serve->workers[0].core);

	for (unsigned i = 1; i < serve->worker_count; i++)
		idle = idle && atomic_load(&serve->workers[i].idle);
	return idle && (!serve->shared || stw_workers_quiet(serve->shared));
}

/* ---- what the main thread tells them ---------------------------------------------------- */

static void worker_tell(struct serve_worker *worker, struct stw_question *question)
{
	if (!worker->started || stw_ring_push(worker->questions, question) < 0) {
		question->error = -ENOBUFS;
		question->answered(question);
		return;
	}
	stw_io_wake(worker->io);
}

void serve_ask(struct serve *serve, struct stw_question *question)
{
	struct stw_question_parts *parts;

	if (serve->worker_count == 1 || !stw_question_concerns_all(question->kind)) {
		stw_core_question(serve->workers[0].core, question);
		return;
	}
	if (stw_question_split(question, serve->worker_count, &parts) < 0) {
		question->error = -ENOMEM;
		question->answered(question);
		return;
	}
	/* Ours is the last: until then the parts are there. */
	for (unsigned i = 1; i < serve->worker_count; i++)
		worker_tell(&serve->workers[i], stw_question_part(parts, i));
	stw_core_question(serve->workers[0].core, stw_question_part(parts, 0));
}
