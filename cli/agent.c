/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: sockets, a stack, a user agent on it. */
#include "cli/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/ladder.h"
#include "server/decision/decision.h"

#define TRANSACTIONS_MAX 10000
#define FLOWS_MAX        64
#define FLOW_IDLE_MS     3600000
#define MESSAGE_MS       10000 /* a message has come whole within */
#define OVERLOAD_MS      1000
#define END_MS           4000 /* for what is under way at the end, then the process goes */
#define LINGER_MS        100  /* so that what the peer repeats is answered */

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
	signalled = number;
}

/* ---- what the stack asks
 * -------------------------------------------------------------------------- */

/* What a command says when nothing came back. */
static void agent_failed(struct agent *agent, const struct stw_hop *hop, int error)
{
	agent->failure = error;
	agent->failed = hop->remote;
	agent->failed_by = hop->transport;
}

static int traced_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	struct agent *agent = io;
	int err;

	agent_trace(agent, true, hop, slices);
	err = stw_io_ops()->send(agent->io, hop, slices);
	if (err < 0)
		agent_failed(agent, hop, -err);
	return err;
}

static int traced_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	struct agent *agent = io;
	int err = stw_io_ops()->open(agent->io, hop, ret);

	if (err < 0)
		agent_failed(agent, hop, -err);
	return err;
}

static void traced_close(void *io, struct stw_flow_id flow)
{
	stw_io_ops()->close(((struct agent *)io)->io, flow);
}

static int traced_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	return stw_io_ops()->resolve(((struct agent *)io)->io, name, type, query);
}

static const struct stw_io_ops io_ops = {
	.send = traced_send,
	.open = traced_open,
	.close = traced_close,
	.resolve = traced_resolve,
};

static void requested(void *core, struct stw_request *request)
{
	struct agent *agent = core;

	if (!stw_ua_request(agent->ua, request))
		stw_request_drop(request, &stw_cause_ua_no_dialog);
}

static const struct stw_core_ops core_ops = { .request = requested, .note = agent_note };

static void told(void *user, const struct stw_ua_event *event)
{
	struct agent *agent = user;
	struct agent_line *line = agent_line_find(agent, event->session);

	if (event->kind == STW_UA_MEDIA && line && event->stream)
		agent_line_stream(line, event->stream);
	if (event->kind == STW_UA_JOINED && line && agent_line_find(agent, event->other))
		agent_line_join(line, agent_line_find(agent, event->other));
	if (event->kind == STW_UA_REGISTERED || event->kind == STW_UA_UNREGISTERED)
		agent->registered = event->kind == STW_UA_REGISTERED;
	agent_say(agent, event);
	if (event->kind == STW_UA_ESTABLISHED && line && agent->dial)
		stw_sound_dial(&line->sound, agent->dial);
	if (agent->event)
		agent->event(agent, event);
}

static void media_done(void *user, struct stw_session *session)
{
	agent_line_free(agent_line_find(user, session));
}

static const struct stw_ua_ops ua_ops = {
	.event = told, .media = agent_media, .media_done = media_done
};

/* ---- addresses
 * ---------------------------------------------------------------------------------------
 */

/* Where the system would send from to the host of a URI; only numbers are looked at. */
static bool source_for(const char *uri, struct stw_addr *ret)
{
	struct stw_addr remote;
	struct stw_uri parts;

	return uri && stw_uri_parse(stw_str_from(uri), &parts) == 0 &&
	       stw_addr_from_host(parts.host, 5060, &remote) == 0 &&
	       stw_io_source_addr(&remote, ret) == 0;
}

/* Where sound is received when all addresses are listened on: that of the way out, or loopback. */
static void media_choose(struct agent *agent, const struct stw_addr *bind)
{
	static const char *const outsides[] = { "192.0.2.1", "2001:db8::1" }, *const loopbacks[] = {
		"127.0.0.1", "::1"
	}; /* nothing is sent there */
	unsigned i = bind->family == 6;
	struct stw_addr *media = &agent->media_addrs[i], outside;

	*media = *bind;
	stw_addr_from_host(stw_str_from(outsides[i]), 9, &outside);
	if (stw_addr_is_any(bind) && stw_io_source_addr(&outside, media) < 0)
		stw_addr_from_host(stw_str_from(loopbacks[i]), 0, media);
}

/* `both`: IPv6 besides, on the same port. */
static int address_choose(
	struct agent *agent, const char *target, struct stw_addr *bind, bool *ret_both)
{
	const char *text = agent->options->listen, *colon = text ? strrchr(text, ':') : NULL;
	uint64_t port = target ? 0 : 5060;
	struct stw_str host = { text, colon ? (size_t)(colon - text) : 0 };

	if (text && stw_str_to_uint(stw_str_from(colon ? colon + 1 : text), 65535, &port) < 0)
		port = UINT64_MAX;
	if (port > 65535 || (colon && stw_addr_from_host(host, (uint16_t)port, bind) < 0))
		return stw_cli_usage(agent->cli, "--listen takes ADDRESS:PORT, like "
						 "192.0.2.1:5062, or a port of all addresses");
	if (!colon &&
		(text || (!source_for(agent->options->proxy, bind) && !source_for(target, bind)))) {
		stw_addr_from_host(STW_STR("0.0.0.0"), (uint16_t)port, bind);
		*ret_both = true;
	}
	media_choose(agent, bind);
	return -1;
}

/* Datagrams, and connections on the same port: a request may grow too large (RFC 3261 §18.1.1). */
static int listen_open(struct agent *agent, const struct stw_addr *bind)
{
	static const enum stw_transport transports[] = { STW_TRANSPORT_UDP, STW_TRANSPORT_TCP };
	struct stw_addr addr = *bind;

	for (unsigned i = 0; i < 2; i++) {
		struct stw_listener *listener = &agent->listeners.v[agent->listeners.n];
		int err;

		listener->transport = transports[i];
		listener->bind = addr;
		err = stw_io_listen(agent->io, listener);
		if (err < 0)
			return err;
		addr.port = listener->bind.port;
		agent->listeners.n++;
	}
	return 0;
}

/* Again: without what was opened so far. */
static int io_open(struct agent *agent)
{
	struct stw_io_options options = { .dns_servers = stw_str_from(agent->options->dns) };

	agent->io = stw_io_free(agent->io);
	agent->listeners.n = 0;
	return stw_io_new(&options, &agent->io);
}

/* A port that the system chooses is free for datagrams, and may not be for connections. */
#define LISTEN_TRIES 16

static int listen_all(struct agent *agent, const char *target)
{
	struct stw_addr bind = { 0 }, any6 = { .family = 6 };
	char address[STW_ADDR_TEXT_MAX];
	bool both = false;
	int status = address_choose(agent, target, &bind, &both), err;

	if (status >= 0)
		return status;
	err = listen_open(agent, &bind);
	for (unsigned tries = 1; err == -EADDRINUSE && !bind.port && tries < LISTEN_TRIES;
		tries++) {
		err = io_open(agent);
		if (err == 0)
			err = listen_open(agent, &bind);
	}
	if (err < 0)
		return stw_cli_fail(agent->cli, "cannot listen on %.*s: %s",
			STW_STR_ARG(stw_addr_text(&bind, address)), strerror(-err));
	any6.port = agent->listeners.v[0].bind.port;
	if (both && listen_open(agent, &any6) == 0) /* a machine without IPv6 has none */
		media_choose(agent, &any6);
	return -1;
}

static int stack_open(struct agent *agent)
{
	struct stw_stack_options options = {
		.io = &io_ops,
		.io_user = agent,
		.core = &core_ops,
		.core_user = agent,
		.listeners = &agent->listeners,
		.key = { stw_io_seed(), stw_io_seed() },
		.seed = stw_io_seed(),
		.max_transactions = TRANSACTIONS_MAX,
		.udp_oversize_tcp = true,
		.overload = { .target_ms = OVERLOAD_MS },
		.dns = stw_stack_dns_default,
		.flows = { .max_flows = FLOWS_MAX,
			.max_per_source = FLOWS_MAX,
			.idle_ms = FLOW_IDLE_MS,
			.message_ms = MESSAGE_MS,
			.message = stw_msg_limits_default },
		.proxy = { .max_breadth = 60, .max_branches = 32, .timer_c_ms = 181000 },
	};

	options.dns.loopback = true;
	options.local_addr_count =
		stw_io_local_addrs(options.local_addrs, STW_ARRAY_SIZE(options.local_addrs));
	if (stw_stack_new(&options, stw_io_now(), &agent->stack) < 0)
		return stw_cli_fail(agent->cli, "no memory is left");
	return -1;
}

/* ---- options
 * ------------------------------------------------------------------------------------------- */

int agent_seconds(struct stw_cli *cli, const char *option, const char *text, uint64_t *ret_ms)
{
	char *end;
	double seconds = text ? strtod(text, &end) : 0;

	if (!text)
		return -1;
	if (end == text || *end || !(seconds >= 0 && seconds <= 86400))
		return stw_cli_usage(cli, "--%s takes seconds, 0 to 86400", option);
	*ret_ms = (uint64_t)(seconds * 1000 + 0.5);
	return -1;
}

void agent_uri(const struct agent *agent, const char *text, char *buffer, size_t size)
{
	const char *transport = agent->options->transport;
	bool has_scheme = strncmp(text, "sip:", 4) == 0 || strncmp(text, "sips:", 5) == 0 ||
			  strncmp(text, "tel:", 4) == 0;

	snprintf(buffer, size, "%s%s%s%s", has_scheme ? "" : "sip:", text,
		transport && !strstr(text, ";transport=") ? ";transport=" : "",
		transport && !strstr(text, ";transport=") ? transport : "");
}

static int password_read(struct agent *agent)
{
	const char *path = agent->options->password_file;
	FILE *file;

	if (!path)
		return -1;
	file = fopen(path, "r");
	if (!file)
		return stw_cli_fail(agent->cli, "%s: %s", path, strerror(errno));
	if (!fgets(agent->password, sizeof(agent->password), file))
		agent->password[0] = '\0';
	fclose(file);
	agent->password[strcspn(agent->password, "\r\n")] = '\0';
	return -1;
}

/* Who we are, and so who logs in. */
static int user_read(struct agent *agent, const char *text)
{
	bool has_scheme = strncasecmp(text, "sip:", 4) == 0 || strncasecmp(text, "sips:", 5) == 0;
	struct stw_uri aor;

	snprintf(agent->aor, sizeof(agent->aor), "%s%s", has_scheme ? "" : "sip:", text);
	if (stw_uri_parse(stw_str_from(agent->aor), &aor) < 0 || !aor.user.len)
		return stw_cli_usage(
			agent->cli, "%s is no address-of-record, like sip:bob@example.com", text);
	snprintf(agent->auth_user, sizeof(agent->auth_user), "%.*s", STW_STR_ARG(aor.user));
	return -1;
}

static int options_read(struct agent *agent)
{
	const struct agent_options *options = agent->options;
	const char *transport = options->transport;
	char uri[512];

	if (transport && strcmp(transport, "udp") != 0 && strcmp(transport, "tcp") != 0)
		return stw_cli_usage(agent->cli, "transports are udp and tcp");
	if (options->proxy) {
		agent_uri(agent, options->proxy, uri, sizeof(uri));
		snprintf(agent->outbound, sizeof(agent->outbound), "%s", uri);
	}
	if (options->user && user_read(agent, options->user) >= 0)
		return STW_EXIT_USAGE;
	if (options->json_file) {
		agent->json_file = fopen(options->json_file, "w");
		if (!agent->json_file)
			return stw_cli_fail(
				agent->cli, "%s: %s", options->json_file, strerror(errno));
	}
	return password_read(agent);
}

int agent_open(struct agent *agent, struct stw_cli *cli, const struct agent_options *options,
	const char *target)
{
	int status, err;

	agent->cli = cli;
	agent->options = options;
	agent->deadline_ms = UINT64_MAX;
	agent->started = agent->now = stw_io_now();
	agent->colour = isatty(STDERR_FILENO);
	agent->records = json_array();
	status = options_read(agent);
	if (status < 0)
		status = agent_sound_read(agent);
	if (status >= 0)
		return status;
	err = io_open(agent);
	if (err == -EINVAL)
		return stw_cli_usage(cli, "--dns takes ADDRESS:PORT, like 192.0.2.1:53");
	if (!agent->records || err < 0)
		return stw_cli_fail(cli, "no memory is left");
	status = listen_all(agent, target);
	return status < 0 ? stack_open(agent) : status;
}

int agent_start(struct agent *agent)
{
	struct stw_ua_options *options = &agent->ua_options;
	struct stw_addr home = *agent_media_addr(agent, 0);
	struct sigaction action = { .sa_handler = on_signal };
	char address[STW_ADDR_TEXT_MAX];

	home.port = agent->listeners.v[0].bind.port;
	if (!*agent->aor)
		snprintf(agent->aor, sizeof(agent->aor), "sip:strowger@%.*s",
			STW_STR_ARG(stw_addr_text(&home, address)));
	options->stack = agent->stack;
	options->ops = &ua_ops;
	options->user = agent;
	options->aor = stw_str_from(agent->aor);
	options->outbound = stw_str_from(agent->outbound);
	options->auth_user = stw_str_from(agent->auth_user);
	options->auth_password = stw_str_from(agent->password);
	options->agent = STW_STR("strowger/" STW_VERSION);
	options->follow_redirects = !agent->probe;
	agent_abilities(agent);
	if (stw_ua_new(options, &agent->ua) < 0)
		return stw_cli_usage(agent->cli, "%s is no SIP URI", agent->aor);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return -1;
}

const struct stw_addr *agent_media_addr(const struct agent *agent, unsigned family)
{
	if (!family)
		family = agent->media_addrs[0].family ? 4 : 6;
	return &agent->media_addrs[family == 6];
}

/* ---- the loop
 * ------------------------------------------------------------------------------------------ */

void agent_begin(struct agent *agent)
{
	agent->now = stw_io_now();
	stw_stack_begin(agent->stack, agent->now);
}

void agent_end(struct agent *agent)
{
	stw_io_flush(agent->io);
	stw_stack_end(agent->stack);
}

static void event_take(struct agent *agent, const struct stw_io_event *event)
{
	struct stw_str text = { event->data, event->len };

	if (event->len && (event->kind == STW_IO_DATAGRAM || event->kind == STW_IO_BYTES)) {
		agent->heard_from = event->hop.remote;
		agent->heard_by = event->hop.transport;
		agent_trace(agent, false, &event->hop, (struct stw_slices){ &text, 1 });
	}
	if (event->kind == STW_IO_CLOSED || event->kind == STW_IO_SEND_FAILED)
		agent_failed(agent, &event->hop, event->error);
	stw_stack_event(agent->stack, event);
}

static uint64_t next_ms(const struct agent *agent)
{
	uint64_t next = stw_stack_next(agent->stack), line = agent_lines_next(agent);

	next = line < next ? line : next;
	return agent->deadline_ms < next ? agent->deadline_ms : next;
}

static void turn(struct agent *agent)
{
	const struct stw_io_event *events;
	int count = stw_io_poll(agent->io, next_ms(agent), &events);

	agent_begin(agent);
	for (int i = 0; i < count; i++)
		event_take(agent, &events[i]);
	stw_stack_timers(agent->stack);
	agent_lines_turn(agent);
	if (agent->turn)
		agent->turn(agent);
	if (signalled && !agent->stopping) {
		if (agent->owes_answer && !agent->finished)
			agent->status = stw_cli_fail(agent->cli, "stopped before an answer came");
		agent->stopping = agent->finished = true;
		stw_ua_stop(agent->ua);
	}
	agent_end(agent);
}

/* Asked before each turn: what was refused here at once has ended before the first one. */
static bool run_over(struct agent *agent, uint64_t *end_ms, uint64_t *idle_ms)
{
	if (!agent->finished)
		return false;
	if (!*end_ms)
		*end_ms = agent->now.mono_ms + END_MS;
	if (!*idle_ms && !stw_ua_sessions(agent->ua) && !(agent->registered && agent->leaves))
		*idle_ms = agent->now.mono_ms + LINGER_MS;
	agent->deadline_ms = *idle_ms ? *idle_ms : *end_ms;
	return agent->now.mono_ms >= agent->deadline_ms;
}

void agent_run(struct agent *agent)
{
	uint64_t end_ms = 0, idle_ms = 0;

	while (!run_over(agent, &end_ms, &idle_ms))
		turn(agent);
}

static void ladder_show(struct agent *agent)
{
	struct stw_ladder_marks marks;
	json_t *call;

	if (!agent->options || !agent->options->trace || !json_array_size(agent->records))
		return;
	call = json_pack("{s:o, s:O}", "from", stw_json_text(stw_str_from(agent->first_uri)),
		"records", agent->records);
	if (call)
		stw_ladder_print(agent->cli->err, call, &marks);
	json_decref(call);
}

int agent_close(struct agent *agent)
{
	int status;

	ladder_show(agent);
	for (unsigned i = 0; i < AGENT_LINES_MAX; i++)
		agent_line_free(&agent->lines[i]);
	status = agent->status;
	stw_ua_free(agent->ua);
	stw_stack_free(agent->stack);
	stw_io_free(agent->io);
	if (agent->json_file)
		fclose(agent->json_file);
	json_decref(agent->records);
	free(agent->play);
	free(agent);
	return status;
}
