/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a message costs in the core, without a socket and a clock: the same load as sipload.c, in
 * memory. Under callgrind with --toggle-collect='path_*' only the core's instructions are counted,
 * and they are the same in each run (bench/path/run).
 *
 *   path options|register|message|call|flood|drown UNITS
 *
 * flood: INVITEs that have waited too long, as many as are answered with 503. drown: far more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core.h"

#include "../load/sip.h"

#include <strowger/rcu.h>

#define USERS  100
#define BATCH  16 /* units that go on together: as many datagrams in one batch of the core */
#define PACKET 2048
#define STEP_MS                                                                                    \
	1000 /* between two batches of units: the timers of 32 s have a part in the cost           \
	      */

struct packet {
	struct stw_addr peer;
	size_t len;
	char text[PACKET];
};

struct call {
	char routes[512], target[256], to[256];
};

static struct packet in[BATCH * 4], out[BATCH * 8];
static unsigned in_count, out_count;
static struct stw_core *core;
static struct stw_config *config;
static struct stw_now now = { .mono_ms = 1000, .wall_ms = 1800000000000 };
static struct stw_listeners listeners;
static unsigned long finals, refused;
static uint32_t waited_us; /* by what is received now */

static void die(const char *what)
{
	fprintf(stderr, "path: %s\n", what);
	exit(1);
}

/* ---- the world of the core ---------------------------------------------------------------- */

static int world_send(void *user, const struct stw_hop *hop, struct stw_slices slices)
{
	struct packet *packet = &out[out_count];

	(void)user;
	if (out_count == sizeof(out) / sizeof(*out))
		die("too many datagrams");
	packet->peer = hop->remote;
	packet->len = 0;
	for (size_t i = 0; i < slices.n; i++) {
		if (packet->len + slices.v[i].len > PACKET)
			die("a datagram is too long");
		memcpy(packet->text + packet->len, slices.v[i].ptr, slices.v[i].len);
		packet->len += slices.v[i].len;
	}
	out_count++;
	return 0;
}

static const struct stw_io_ops world = { .send = world_send };

/* What callgrind counts. */
__attribute__((noinline)) static void path_batch(void)
{
	stw_core_begin(core, now);
	for (unsigned i = 0; i < in_count; i++) {
		struct stw_io_event event = { .kind = STW_IO_DATAGRAM,
			.hop = { .transport = STW_TRANSPORT_UDP,
				.local = listeners.v[0].bind,
				.remote = in[i].peer },
			.data = in[i].text,
			.len = in[i].len,
			.waited_us = waited_us,
			.queue_stands = waited_us > 0 };

		stw_core_event(core, &event);
	}
	stw_core_work(core);
	stw_core_end(core);
}

static void batch(void)
{
	out_count = 0;
	stw_rcu_quiescent();
	path_batch();
	in_count = 0;
}

/* ---- the peers ------------------------------------------------------------------------------ */

static struct stw_addr address(const char *text, uint16_t port)
{
	struct stw_addr addr;

	if (stw_addr_from_host(stw_str_from(text), port, &addr) < 0)
		die("address");
	return addr;
}

static void receive(const struct stw_addr *from, const char *text, size_t len)
{
	struct packet *packet = &in[in_count++];

	packet->peer = *from;
	packet->len = len;
	memcpy(packet->text, text, len);
}

static void request(const char *method, unsigned long unit, unsigned cseq, const struct call *call)
{
	unsigned user = (unsigned)(unit % USERS);
	bool invite = *method == 'I',
	     with_user = invite || *method == 'M' || *method == 'A' || *method == 'B';
	bool to_self = *method == 'R';
	struct stw_addr from = address("127.0.0.1", 20000 + user % 16);
	char text[PACKET], uri[256];
	int n;

	if (call)
		snprintf(uri, sizeof(uri), "%s", call->target);
	else if (with_user)
		snprintf(uri, sizeof(uri), "sip:u%06u@bench.test", user);
	else
		snprintf(uri, sizeof(uri), "sip:bench.test");
	n = snprintf(text, sizeof(text),
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP "
		"127.0.0.1:%u;branch=z9hG4bK3f2a91bc.%lx.0.%u%s;rport\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:%c%06u@bench.test>;tag=%lx\r\nTo: ",
		method, uri, 20000 + user % 16, unit, cseq, *method == 'A' ? "a" : "",
		to_self ? 'u' : 'a', user, 0x3f2a91bc ^ unit);
	if (call)
		n += snprintf(text + n, sizeof(text) - n, "%s", call->to);
	else if (*method == 'O')
		n += snprintf(text + n, sizeof(text) - n, "<sip:bench.test>");
	else
		n += snprintf(text + n, sizeof(text) - n, "<sip:u%06u@bench.test>", user);
	n += snprintf(text + n, sizeof(text) - n,
		"\r\nCall-ID: %lx-0-3f2a91bc@127.0.0.1\r\nCSeq: %u %s\r\n%s", unit, cseq, method,
		call ? call->routes : "");
	if (invite)
		n += snprintf(text + n, sizeof(text) - n, "Contact: <sip:a%06u@127.0.0.1:%u>\r\n",
			user, 20000 + user % 16);
	if (to_self)
		n += snprintf(text + n, sizeof(text) - n,
			"Contact: <sip:u%06u@127.0.0.1:%u>\r\nExpires: 3600\r\n", user,
			21000 + user % 16);
	if (*method != 'A')
		n += snprintf(text + n, sizeof(text) - n,
			"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, NOTIFY\r\n"
			"Supported: replaces, timer\r\nUser-Agent: sipload\r\n");
	if (invite)
		n += snprintf(text + n, sizeof(text) - n,
			"Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
			sizeof(SDP) - 1, SDP);
	else if (*method == 'M')
		n += snprintf(text + n, sizeof(text) - n,
			"Content-Type: text/plain\r\nContent-Length: 18\r\n\r\nHello, are you in?");
	else
		n += snprintf(text + n, sizeof(text) - n, "Content-Length: 0\r\n\r\n");
	receive(&from, text, (size_t)n);
}

static void respond(const struct packet *packet, const struct msg *msg, const char *status,
	bool contact, bool sdp)
{
	char text[PACKET], *d = str(text, "SIP/2.0 ");

	d = str(str(d, status), "\r\n");
	for (int i = 0; i < msg->nvia; i++)
		d = mem(d, msg->via[i].p, msg->via[i].n);
	for (int i = 0; i < msg->nrr; i++)
		d = mem(d, msg->rr[i].p, msg->rr[i].n);
	d = mem(str(d, "From: "), msg->from.p, msg->from.n);
	d = mem(str(d, "\r\nTo: "), msg->to.p, msg->to.n);
	if (!memmem(msg->to.p, (size_t)msg->to.n, ";tag=", 5))
		d = str(d, ";tag=b3f2a91bc");
	d = mem(str(d, "\r\nCall-ID: "), msg->callid.p, msg->callid.n);
	d = str(mem(str(d, "\r\nCSeq: "), msg->cseq.p, msg->cseq.n), "\r\n");
	if (contact) {
		d = dec(str(d, "Contact: <sip:callee@127.0.0.1:"), packet->peer.port, 1);
		d = str(d, ">\r\n");
	}
	if (sdp) {
		d = dec(str(d, "Content-Type: application/sdp\r\nContent-Length: "),
			sizeof(SDP) - 1, 1);
		d = str(str(d, "\r\n\r\n"), SDP);
	} else
		d = str(d, "Content-Length: 0\r\n\r\n");
	receive(&packet->peer, text, (size_t)(d - text));
}

static void learn(struct call *call, const struct msg *msg)
{
	char *d = call->routes;

	for (int i = msg->nrr - 1; i >= 0; i--)
		d = mem(d, msg->rr[i].p + 7, msg->rr[i].n - 7);
	*d = 0;
	snprintf(call->to, sizeof(call->to), "%.*s", msg->to.n, msg->to.p);
	snprintf(
		call->target, sizeof(call->target), "%.*s", msg->contact.n - 2, msg->contact.p + 1);
}

static struct call calls[BATCH];

/* The datagrams that the core has sent, answered. */
static void answer(const char *status, bool contact, bool sdp)
{
	struct msg msg;

	for (unsigned i = 0; i < out_count; i++) {
		if (parse(&msg, out[i].text, (int)out[i].len) < 0)
			die("unreadable");
		if (msg.status == 0 && msg.method != 'A')
			respond(&out[i], &msg, status, contact, sdp);
	}
}

static void final(unsigned long unit)
{
	struct msg msg;

	for (unsigned i = 0; i < out_count; i++) {
		if (parse(&msg, out[i].text, (int)out[i].len) < 0)
			die("unreadable");
		if (msg.status == 0 || msg.status < 200)
			continue;
		if (msg.status != 200) {
			fprintf(stderr, "%.*s\n", (int)out[i].len, out[i].text);
			die("refused");
		}
		if (msg.contact.p && msg.method == 'I')
			learn(&calls[strtoul(msg.callid.p, NULL, 16) - unit], &msg);
		finals++;
	}
}

static void requests(
	const char *method, unsigned long unit, unsigned n, unsigned cseq, bool in_dialog)
{
	for (unsigned i = 0; i < n; i++)
		request(method, unit + i, cseq, in_dialog ? &calls[i] : NULL);
	batch();
}

static void call_units(unsigned long unit, unsigned n)
{
	struct packet invites[BATCH];
	unsigned count = 0;
	struct msg msg;

	requests("INVITE", unit, n, 1, false);
	for (unsigned i = 0; i < out_count; i++) {
		if (memcmp(out[i].text, "INVITE", 6) == 0)
			invites[count++] = out[i];
	}
	answer("180 Ringing", true, false);
	batch();
	now.mono_ms++, now.wall_ms++;
	for (unsigned i = 0; i < count; i++) {
		if (parse(&msg, invites[i].text, (int)invites[i].len) < 0)
			die("unreadable");
		respond(&invites[i], &msg, "200 OK", true, true);
	}
	batch();
	final(unit);
	requests("ACK", unit, n, 1, true);
	requests("BYE", unit, n, 2, true);
	answer("200 OK", false, false);
	batch();
	final(unit);
}

/* Long enough for 503, too short to be dropped. */
static void flood_units(unsigned long unit, unsigned n)
{
	struct msg msg;

	waited_us = 60000;
	requests("INVITE", unit, n, 1, false);
	for (unsigned i = 0; i < out_count; i++)
		refused += parse(&msg, out[i].text, (int)out[i].len) == 0 && msg.status == 503;
}

static void units(const char *what, unsigned long unit, unsigned n)
{
	unsigned step_ms = *what == 'f' ? 25 : *what == 'd' ? 1 : STEP_MS;

	now.mono_ms += step_ms, now.wall_ms += step_ms;
	switch (*what) {
	case 'o':
		requests("OPTIONS", unit, n, 1, false);
		break;
	case 'r':
		requests("REGISTER", unit, n, 1, false);
		break;
	case 'm':
		requests("MESSAGE", unit, n, 1, false);
		answer("200 OK", false, false);
		batch();
		break;
	case 'f':
	case 'd':
		flood_units(unit, n);
		return;
	default:
		call_units(unit, n);
		return;
	}
	final(unit);
}

/* ---- the core ------------------------------------------------------------------------------- */

static void users(struct stw_store *store)
{
	static char names[USERS][8];
	struct stw_user_row rows[USERS] = { 0 };
	struct stw_job job = {
		.kind = STW_JOB_USER_SET, .now = now, .users = rows, .user_count = USERS
	};

	for (unsigned i = 0; i < USERS; i++) {
		snprintf(names[i], sizeof(names[i]), "u%06u", i);
		rows[i].user = stw_str_from(names[i]);
		rows[i].domain = STW_STR("bench.test");
	}
	if (stw_store_submit(store, &job) < 0)
		die("users");
	stw_store_run(store);
	if (stw_store_result(store, 0) != &job)
		die("users");
}

static void start(void)
{
	static const char yaml[] = "domains: [bench.test]\nlisten: [\"udp:127.0.0.1:5060\"]\n"
				   "store: \"memory:\"\nauth: {required: false}\n";
	struct stw_config_errors errors = { .n = 0 };
	struct stw_core_options options = {
		.io = &world, .listeners = &listeners, .seed = 1, .key = { 1, 2 }
	};
	struct stw_store_options store_options = { .queues = 1 };
	char error[256];

	if (stw_config_parse("path", yaml, sizeof(yaml) - 1, &errors, &config) < 0)
		die(errors.n ? errors.v[0].text : "configuration");
	listeners = config->listen;
	options.config = config;
	store_options.path = config->store;
	if (stw_location_new(options.key, &options.location) < 0 ||
		stw_directory_new(options.key, &options.directory) < 0 ||
		stw_sources_new(config->limits.max_sources, options.key, &options.sources) < 0)
		die("memory");
	store_options.location = options.location;
	store_options.directory = options.directory;
	if (stw_store_open(&store_options, now, &options.store, error, sizeof(error)) < 0)
		die(error);
	users(options.store);
	if (stw_core_new(&options, now, &core) < 0)
		die("core");
}

int main(int argc, char **argv)
{
	unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0, unit = 0;

	if (!n || !strchr("ormcfd", *argv[1]))
		die("usage: path options|register|message|call|flood|drown UNITS");
	stw_rcu_register_thread();
	start();
	for (; unit < USERS; unit += BATCH)
		units("register", unit, BATCH);
	finals = 0;
	for (n = (n + BATCH - 1) / BATCH * BATCH; n; n -= BATCH, unit += BATCH)
		units(argv[1], unit, BATCH);
	printf("%lu final responses, %lu refusals\n", finals, refused);
	return 0;
}
