/* SPDX-License-Identifier: Apache-2.0 */
#include "server/serve/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <strowger/rcu.h>

#include "server/serve/sandbox.h"

#define STOP_GRACE_MS 700 /* for answers that are on their way */

/* ---- signals: a handler only says so and wakes the loop ------------------------------------ */

static volatile sig_atomic_t signal_stop, signal_reload;
static struct stw_io *volatile signal_io;

static void signal_caught(int number)
{
	int saved = errno;

	if (number == SIGHUP)
		signal_reload = 1;
	else
		signal_stop = signal_stop + 1;
	if (signal_io)
		stw_io_wake(signal_io);
	errno = saved;
}

static void signals_install(void)
{
	static const int caught[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction action = { .sa_handler = signal_caught };

	sigemptyset(&action.sa_mask);
	for (unsigned i = 0; i < STW_ARRAY_SIZE(caught); i++)
		sigaction(caught[i], &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
}

static void signals_remove(void)
{
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal_io = NULL;
}

/* ---- questions of the administration ----------------------------------------------------------
 */

static void serve_answer(struct serve *serve, struct stw_ask *ask)
{
	switch (ask->kind) {
	case STW_ASK_CORE:
		if (ask->question.kind == STW_QUESTION_DRAIN)
			stw_log_event(serve->log, STW_LOG_NOTICE, "server.draining", NULL);
		serve_ask(serve, &ask->question);
		break;
	case STW_ASK_RELOAD:
		serve_reload(serve, &ask->question);
		break;
	case STW_ASK_STOP:
		atomic_store(&serve->stopping, true);
		stw_admin_answer(serve->admin, ask);
		break;
	}
}

/* Nobody waits for the answer to a signal. */
static void question_forgotten(struct stw_question *question)
{
	json_decref(question->answer);
	free(question);
}

static void serve_hangup(struct serve *serve)
{
	struct stw_question *question = calloc(1, sizeof(*question));

	if (!question)
		return;
	question->answered = question_forgotten;
	serve_reload(serve, question);
}

static void serve_asks(struct serve *serve)
{
	struct stw_ask *ask;

	if (signal_reload) {
		signal_reload = 0;
		serve_hangup(serve);
	}
	if (signal_stop)
		atomic_store(&serve->stopping, true);
	while ((ask = stw_admin_next(serve->admin)))
		serve_answer(serve, ask);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void stop_answered(struct stw_question *question)
{
}

/* Nothing new is begun, calls that ring are ended on both sides, what was answered is let out. A
 * second signal ends at once. */
static void serve_end(struct serve *serve)
{
	struct stw_question stop = { .kind = STW_QUESTION_STOP, .answered = stop_answered };
	uint64_t deadline_ms = stw_io_now().mono_ms + STOP_GRACE_MS;
	struct serve_worker *main_worker = &serve->workers[0];

	serve_notify("STOPPING=1");
	stw_log_event(serve->log, STW_LOG_NOTICE, "server.stopping", NULL);
	stw_core_begin(main_worker->core, stw_io_now());
	serve_ask(serve, &stop);
	stw_io_flush(main_worker->io);
	stw_core_end(main_worker->core);
	stw_admin_close(serve->admin);
	stw_io_stop_listening(main_worker->io);
	while (signal_stop < 2 && stw_io_now().mono_ms < deadline_ms &&
		(stw_admin_busy(serve->admin) || !serve_workers_idle(serve))) {
		if (serve_turn(main_worker, stw_io_now().mono_ms + 20, serve_asks) < 0)
			break;
	}
	serve_asks(serve); /* who came before the door was closed */
	serve_workers_end(serve);
	serve_workers_settle(serve);
}

/* ---- words for people
 * --------------------------------------------------------------------------------- */

static void serve_print(const struct serve *serve)
{
	const struct stw_config *config = serve->config;
	FILE *out = serve->options.out;
	char address[STW_ADDR_TEXT_MAX];

	fprintf(out, "Strowger %s serves", STW_VERSION);
	for (unsigned i = 0; i < config->domain_count; i++)
		fprintf(out, "%s %.*s", i ? "," : "", STW_STR_ARG(config->domains[i]));
	fprintf(out, ".\n\n");
	for (unsigned i = 0; i < serve->listeners.n; i++)
		fprintf(out, "  %-15s %s %.*s\n", i ? "" : "SIP",
			serve->listeners.v[i].transport == STW_TRANSPORT_UDP ? "udp" : "tcp",
			STW_STR_ARG(stw_addr_text(&serve->listeners.v[i].bind, address)));
	fprintf(out, "  %-15s %.*s\n", "administration", STW_STR_ARG(config->admin.socket));
	if (*stw_admin_address(serve->admin))
		fprintf(out, "  %-15s http://%s/v1/status (read only)\n", "",
			stw_admin_address(serve->admin));
	fprintf(out, "  %-15s %.*s%s\n", "store", STW_STR_ARG(config->store),
		serve->options.trial ? " (removed at the end)" : "");
	fprintf(out, "  %-15s %s\n", "configuration",
		serve->options.trial ? "none, --try"
		: config->file       ? config->file
				     : "none, the defaults");
	if (serve->options.trial)
		trial_print(serve);
	else if (!stw_directory_count(serve->directory))
		fprintf(out, "\nThere are no users yet: `strowger user add NAME` adds one.\n");
	fprintf(out, "\nCtrl-C stops it.\n");
	fflush(out);
}

int stw_serve(const struct stw_serve_options *options)
{
	struct serve serve = { .options = *options, .lock_fd = -1 };
	int err;

	signals_install();
	err = serve_start(&serve);
	if (err < 0) {
		serve_done(&serve);
		fprintf(options->err, "strowger serve: %s\n", serve.error);
		return 1;
	}
	signal_io = serve.workers[0].io;
	if (signal_stop > 0)
		atomic_store(&serve.stopping, true);
	serve_print(&serve);
	stw_log_event(serve.log, STW_LOG_NOTICE, "server.ready", serve_info(&serve));
	serve_notify("READY=1");
	serve_sandbox_main();
	while (err == 0 && !atomic_load(&serve.stopping))
		err = serve_turn(&serve.workers[0], UINT64_MAX, serve_asks);
	if (err < 0)
		stw_log_event(serve.log, STW_LOG_ERROR, "server.failed",
			json_pack("{s:s}", "reason", strerror(-err)));
	serve_end(&serve);
	signals_remove();
	stw_log_event(serve.log, STW_LOG_NOTICE, "server.stopped", NULL);
	serve_done(&serve);
	return err < 0 || atomic_load(&serve.failed) ? 1 : 0;
}
