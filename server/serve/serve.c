/* SPDX-License-Identifier: Apache-2.0 */
#include "server/serve/internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <strowger/rcu.h>

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
		stw_core_question(serve->core, &ask->question);
		return;
	case STW_ASK_RELOAD:
		ask->question.answer = serve_reload(serve, &ask->question.error);
		break;
	case STW_ASK_STOP:
		serve->stopping = true;
		break;
	}
	stw_admin_answer(serve->admin, ask);
}

static void serve_asks(struct serve *serve)
{
	struct stw_ask *ask;
	int err;

	if (signal_reload) {
		signal_reload = 0;
		json_decref(serve_reload(serve, &err));
	}
	if (signal_stop)
		serve->stopping = true;
	while ((ask = stw_admin_next(serve->admin)))
		serve_answer(serve, ask);
}

/* ---- the loop
 * ------------------------------------------------------------------------------------ */

/* One batch: what came in, what is due, what goes out. */
static int serve_turn(struct serve *serve, uint64_t deadline_ms)
{
	const struct stw_io_event *events;
	uint64_t next_ms = stw_core_next(serve->core);
	int count;

	stw_rcu_offline();
	count = stw_io_poll(serve->io, next_ms < deadline_ms ? next_ms : deadline_ms, &events);
	stw_rcu_online();
	if (count < 0)
		return count;
	stw_core_begin(serve->core, stw_io_now());
	for (int i = 0; i < count; i++)
		stw_core_event(serve->core, &events[i]);
	serve_asks(serve);
	stw_core_work(serve->core);
	stw_io_flush(serve->io);
	stw_core_end(serve->core);
	return 0;
}

/* Nothing new is begun, calls that ring are ended on both sides, what was answered is let out. A
 * second signal ends at once. */
static void serve_end(struct serve *serve)
{
	uint64_t deadline_ms = stw_io_now().mono_ms + STOP_GRACE_MS;

	serve_notify("STOPPING=1");
	stw_log_event(serve->log, STW_LOG_NOTICE, "server.stopping", NULL);
	stw_core_begin(serve->core, stw_io_now());
	stw_core_stop(serve->core);
	stw_io_flush(serve->io);
	stw_core_end(serve->core);
	stw_admin_close(serve->admin);
	stw_io_stop_listening(serve->io);
	while (signal_stop < 2 && stw_io_now().mono_ms < deadline_ms &&
		(stw_admin_busy(serve->admin) || !stw_core_idle(serve->core))) {
		if (serve_turn(serve, stw_io_now().mono_ms + 20) < 0)
			break;
	}
	serve_asks(serve); /* who came before the door was closed */
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
	signal_io = serve.io;
	serve.stopping = signal_stop > 0;
	serve_print(&serve);
	stw_log_event(serve.log, STW_LOG_NOTICE, "server.ready", serve_info(&serve));
	serve_notify("READY=1");
	while (err == 0 && !serve.stopping)
		err = serve_turn(&serve, UINT64_MAX);
	if (err < 0)
		stw_log_event(serve.log, STW_LOG_ERROR, "server.failed",
			json_pack("{s:s}", "reason", strerror(-err)));
	serve_end(&serve);
	signals_remove();
	stw_log_event(serve.log, STW_LOG_NOTICE, "server.stopped", NULL);
	serve_done(&serve);
	return err < 0 ? 1 : 0;
}
