/* uses: strowger_server */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server core under a byte string of steps: datagrams, connections and their bytes, time,
 * names, refused datagrams, answers to what it sent, requests of phones that belong together.
 * Whatever comes: after ten quiet minutes nothing is left. A step is its kind, one argument, and
 * for text the length in two bytes and the text.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/dns.h>
#include <strowger/rcu.h>

#include "server/core.h"
#include "server/core_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FLOWS     8
#define QUERIES   16
#define STEPS_MAX 200
#define SENT      8 /* a power of two */
#define QUIET_MS  600000u

enum step { DATAGRAM, OPEN, BYTES, CLOSE, TIME, REFUSE, RESOLVE, ANSWER, REQUEST, STEPS };

static struct {
	struct stw_core *core;
	struct stw_now now;
	struct stw_hop flows[FLOWS];
	bool open[FLOWS], told[FLOWS];
	uint32_t generation;
	uint64_t queries[QUERIES];
	unsigned query_count;
	struct {
		char *text;
		size_t len;
		struct stw_hop hop;
	} sent[SENT]; /* the last requests of the server, in a circle */
	unsigned sent_next;
	unsigned cseq; /* of REGISTERs */
} world;

static struct stw_field fields[STW_MSG_FIELDS_MAX];

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static struct stw_addr address(uint8_t last)
{
	return (struct stw_addr){ .family = 4, .ip = { 192, 0, 2, last }, .port = 5060 };
}

/* ---- what the core asks -------------------------------------------------------------- */

static bool flow_is_open(struct stw_flow_id id)
{
	return id.slot < FLOWS && world.open[id.slot] &&
	       world.flows[id.slot].flow.generation == id.generation;
}

static int ops_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	size_t len = stw_slices_bytes(slices);
	char *text = malloc(len + 1);

	must(text != NULL);
	stw_slices_flatten(slices, text);
	if (len > 8 && memcmp(text, "SIP/2.0 ", 8) != 0) {
		unsigned at = world.sent_next++ % SENT;

		free(world.sent[at].text);
		world.sent[at].text = text;
		world.sent[at].len = len;
		world.sent[at].hop = *hop;
	} else {
		free(text);
	}
	return !stw_transport_reliable(hop->transport) || flow_is_open(hop->flow) ? 0 : -ENOTCONN;
}

static int flow_new(const struct stw_hop *hop, struct stw_hop *ret)
{
	unsigned slot = 0;

	while (slot < FLOWS && world.open[slot])
		slot++;
	if (slot == FLOWS)
		return -ENOBUFS;
	world.open[slot] = true;
	world.told[slot] = false;
	world.flows[slot] = *hop;
	world.flows[slot].flow =
		(struct stw_flow_id){ .slot = slot, .generation = ++world.generation };
	*ret = world.flows[slot];
	return 0;
}

static int ops_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	struct stw_hop own;
	int err = flow_new(hop, &own);

	if (err == 0)
		*ret = own.flow;
	return err;
}

static void ops_close(void *io, struct stw_flow_id id)
{
	if (flow_is_open(id))
		world.open[id.slot] = false;
}

static int ops_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	if (world.query_count == QUERIES)
		return -ENOBUFS;
	world.queries[world.query_count++] = query;
	return 0;
}

static const struct stw_io_ops ops = {
	.send = ops_send, .open = ops_open, .close = ops_close, .resolve = ops_resolve
};

/* ---- steps ------------------------------------------------------------------------------ */

static void batch(const struct stw_io_event *event)
{
	stw_core_begin(world.core, world.now);
	if (event)
		stw_core_event(world.core, event);
	stw_core_work(world.core);
	stw_core_end(world.core);
	stw_rcu_quiescent();
}

static void advance(uint64_t ms)
{
	uint64_t until = world.now.mono_ms + ms, next;
	unsigned idle = 0;

	while ((next = stw_core_next(world.core)) <= until) {
		idle = next > world.now.mono_ms ? 0 : idle + 1;
		must(idle < 1000);
		if (next > world.now.mono_ms) {
			world.now.wall_ms += (int64_t)(next - world.now.mono_ms);
			world.now.mono_ms = next;
		}
		batch(NULL);
	}
	world.now.wall_ms += (int64_t)(until - world.now.mono_ms);
	world.now.mono_ms = until;
}

/* With nothing behind its last byte, so that reading on is seen. */
static void step_text(struct stw_io_event *event, const uint8_t *text, size_t len)
{
	char *copy = malloc(len ? len : 1);

	must(copy != NULL);
	if (len)
		memcpy(copy, text, len);
	event->data = copy;
	event->len = len;
	batch(event);
	free(copy);
}

static void step_flow(enum step step, unsigned slot, const uint8_t *text, size_t len)
{
	struct stw_io_event event = { .kind = STW_IO_OPENED, .hop = world.flows[slot] };

	if (!world.open[slot])
		return;
	if (step == CLOSE) {
		world.open[slot] = false;
		event.kind = STW_IO_CLOSED;
		event.error = ECONNRESET;
		batch(&event);
		return;
	}
	if (!world.told[slot]) {
		world.told[slot] = true;
		batch(&event);
	}
	event.kind = STW_IO_BYTES;
	if (len && world.open[slot])
		step_text(&event, text, len);
}

static void step_open(uint8_t from)
{
	struct stw_hop hop = { .transport = STW_TRANSPORT_TCP,
		.remote = address(from),
		.local = address(100),
		.listener = 1 };
	struct stw_io_event event = { .kind = STW_IO_OPENED, .incoming = true };

	hop.remote.port = 40000;
	if (flow_new(&hop, &event.hop) < 0)
		return;
	world.told[event.hop.flow.slot] = true;
	batch(&event);
}

/* Two records that lead on to others, or to phones; or none. */
static void step_resolve(uint8_t argument)
{
	struct stw_dns_record records[2] = { { .addr = address(argument),
						     .port = 5060,
						     .weight = argument,
						     .service = STW_STR("SIP+D2U"),
						     .terminal_srv = true,
						     .target = STW_STR("x.example.net") },
		{ .addr = address((uint8_t)(argument + 1)),
			.priority = argument & 1,
			.port = 5070,
			.service = STW_STR("SIP+D2T"),
			.terminal_srv = argument & 2,
			.target = STW_STR("y.example.net") } };
	struct stw_dns_answer answer = { .ttl_s = argument / 4, .records = records };
	struct stw_io_event event = { .kind = STW_IO_RESOLVED, .answer = &answer };

	if (!world.query_count)
		return;
	event.query = world.queries[--world.query_count];
	records[0].addr.port = records[1].addr.port = 0;
	answer.n = argument % 3;
	answer.error = answer.n ? 0 : -ENOENT;
	batch(&event);
}

/* The peer of one of the server's last requests answers it: `argument` chooses the code, and how
 * far back. */
static void step_answer(uint8_t argument)
{
	static const uint16_t codes[] = { 100, 180, 183, 200, 202, 302, 401, 408, 486, 487, 503,
		600 };
	struct stw_msg msg = { .fields = fields, .field_capacity = STW_MSG_FIELDS_MAX };
	struct stw_response response = { .request = &msg,
		.record_route = true,
		.code = codes[argument % STW_ARRAY_SIZE(codes)],
		.to_tag = STW_STR("peer"),
		.headers = STW_STR("Contact: <sip:a@192.0.2.7>;q=0.3, <sip:b@example.com>\r\n") };
	unsigned at = (world.sent_next - 1 - argument / STW_ARRAY_SIZE(codes)) % SENT;
	struct stw_io_event event = { .kind = STW_IO_DATAGRAM, .hop = world.sent[at].hop };
	struct stw_fault fault;
	struct stw_writer writer;
	static char text[200000];

	if (!world.sent[at].text ||
		stw_msg_parse(&msg, world.sent[at].text, world.sent[at].len, NULL, &fault) < 0 ||
		stw_msg_check(&msg, &fault) < 0)
		return;
	stw_writer_init(&writer, text, sizeof(text));
	stw_response_write(&writer, &response);
	if (writer.overflow)
		return;
	if (event.hop.transport == STW_TRANSPORT_UDP)
		step_text(&event, (const uint8_t *)text, writer.len);
	else if (flow_is_open(event.hop.flow))
		step_flow(BYTES, event.hop.flow.slot, (const uint8_t *)text, writer.len);
}

/* Record-Route lines of the server's last request as the Route of one within the dialog. */
static void route_write(struct stw_writer *writer)
{
	unsigned at = (world.sent_next - 1) % SENT;
	struct stw_msg msg = { .fields = fields, .field_capacity = STW_MSG_FIELDS_MAX };
	struct stw_fault fault;
	struct stw_values values;
	struct stw_str value;

	if (!world.sent[at].text ||
		stw_msg_parse(&msg, world.sent[at].text, world.sent[at].len, NULL, &fault) < 0)
		return;
	values = stw_msg_values(&msg, STW_HDR_RECORD_ROUTE);
	while (stw_values_next(&values, &value))
		stw_write_format(writer, "Route: %.*s\r\n", STW_STR_ARG(value));
}

static void contacts_write(struct stw_writer *writer, char user, unsigned n)
{
	static const char *const forms[] = { ";q=0.9", ";transport=tcp>;q=0.9", "" };

	for (unsigned i = 0; i < n && i < STW_ARRAY_SIZE(forms); i++)
		stw_write_format(writer, "Contact: <sip:%c@192.0.2.%u%s%s\r\n", user, 10 + i,
			i == 1 ? "" : ">", forms[i]);
	if (n > STW_ARRAY_SIZE(forms))
		stw_write_text(writer, "Contact: *\r\nExpires: 0\r\n");
}

/* What a phone may ask; the dialog is the call that the same number began. */
static const struct phone_request {
	const char *method, *branch; /* ACK of a refusal and CANCEL take that of the INVITE */
	unsigned cseq;               /* 0: counts up */
	bool to_tag, route;
} phone_requests[] = {
	{ "REGISTER", "R", 0, false, false },
	{ "INVITE", "I", 1, false, false },
	{ "ACK", "I", 1, true, false },
	{ "ACK", "A", 1, true, true },
	{ "BYE", "B", 2, true, true },
	{ "CANCEL", "I", 1, false, false },
	{ "MESSAGE", "M", 3, false, false },
	{ "OPTIONS", "O", 3, false, false },
};

static void request_write(struct stw_writer *writer, const struct phone_request *request, char user,
	unsigned call, const char *uri)
{
	const char *called = request->cseq ? uri : user == 'a' ? "a@example.com" : "b@example.com";
	unsigned cseq = request->cseq;

	if (!cseq)
		cseq = ++world.cseq;
	stw_write_format(writer, "%s sip:%s SIP/2.0\r\n", request->method,
		request->cseq ? uri : "example.com");
	stw_write_format(writer, "Via: SIP/2.0/UDP 192.0.2.%d;branch=z9hG4bK%c%u%s%u\r\n",
		user == 'a' ? 20 : 21, user, call, request->branch, cseq);
	stw_write_format(
		writer, "Max-Forwards: 70\r\nFrom: <sip:%c@example.com>;tag=f%u\r\n", user, call);
	stw_write_format(writer, "To: <sip:%s>%s\r\nCall-ID: call%u\r\nCSeq: %u %s\r\n", called,
		request->to_tag ? ";tag=peer" : "", call, cseq, request->method);
	contacts_write(writer, user, request->cseq ? 1 : call + 1);
	if (request->route)
		route_write(writer);
	stw_write_text(writer, "Content-Length: 0\r\n\r\n");
}

/* Bits of the argument: 3 for the method, 2 for the call, 1 for the caller, 2 for the called. The
 * same again is a retransmission. */
static void step_request(uint8_t argument)
{
	static const char *const uris[] = { "b@example.com", "a@example.com", "c@192.0.2.9",
		"d@example.net" };
	char user = argument & 32 ? 'b' : 'a', text[4096];
	struct stw_io_event event = { .kind = STW_IO_DATAGRAM,
		.hop = { .transport = STW_TRANSPORT_UDP,
			.remote = address(user == 'a' ? 20 : 21),
			.local = address(100) } };
	struct stw_writer writer;

	stw_writer_init(&writer, text, sizeof(text));
	request_write(&writer, &phone_requests[argument & 7], user, argument >> 3 & 3,
		uris[argument >> 6]);
	if (!writer.overflow)
		step_text(&event, (const uint8_t *)text, writer.len);
}

static void step(enum step step, uint8_t argument, const uint8_t *text, size_t len)
{
	struct stw_io_event event = { .kind = STW_IO_DATAGRAM,
		.hop = { .transport = STW_TRANSPORT_UDP,
			.remote = address(argument),
			.local = address(100) } };

	switch (step) {
	case DATAGRAM:
		step_text(&event, text, len);
		break;
	case REFUSE:
		event.kind = STW_IO_SEND_FAILED;
		event.error = ECONNREFUSED;
		batch(&event);
		break;
	case OPEN:
		step_open(argument);
		break;
	case BYTES:
	case CLOSE:
		step_flow(step, argument % FLOWS, text, len);
		break;
	case TIME:
		advance((uint64_t)argument * argument * 4);
		break;
	case RESOLVE:
		step_resolve(argument);
		break;
	case ANSWER:
		step_answer(argument);
		break;
	case REQUEST:
		step_request(argument);
		break;
	case STEPS:
		break;
	}
}

static void run(const uint8_t *data, size_t size)
{
	unsigned steps = 0;
	size_t at = 0, len;
	enum step kind;

	while (at + 2 <= size && steps++ < STEPS_MAX) {
		kind = data[at] % STEPS;
		at += 2;
		len = 0;
		if (kind == DATAGRAM || kind == BYTES) {
			if (at + 2 > size)
				return;
			len = (size_t)data[at] << 8 | data[at + 1];
			at += 2;
			if (len > size - at)
				len = size - at;
		}
		step(kind, data[at - (kind == DATAGRAM || kind == BYTES ? 3 : 1)], data + at, len);
		at += len;
	}
}

/* ---- a world for each input ------------------------------------------------------------------ */

static const char yaml[] =
	"domains: [example.com]\nlisten: [\"udp:192.0.2.100:5060\", \"tcp:192.0.2.100:5060\"]\n"
	"store: \"memory:\"\nauth: {required: false, insecure_listen: true}\nproxy: {recurse: "
	"true}\n"
	"registration: {min_expires: 10s}\nlimits: {connection_idle: 1m, max_transactions: 100}\n"
	"decisions: {keep_calls: 100}\n";

static void users_add(struct stw_store *store)
{
	struct stw_user_row rows[2] = { { .user = STW_STR("a"), .domain = STW_STR("example.com") },
		{ .user = STW_STR("b"), .domain = STW_STR("example.com") } };
	struct stw_job job = {
		.kind = STW_JOB_USER_SET, .now = world.now, .users = rows, .user_count = 2
	};

	must(stw_store_submit(store, &job) == 0);
	stw_store_run(store);
	must(stw_store_result(store, 0) == &job && !job.cause);
}

static void check_empty(void)
{
	struct stw_stack_stats stats;
	unsigned i, open = 0;

	while (world.query_count)
		step_resolve(0);
	for (i = 0; i < FLOWS; i++)
		step_flow(CLOSE, i, NULL, 0);
	advance(QUIET_MS);
	while (world.query_count)
		step_resolve(0);
	for (i = 0; i < FLOWS; i++)
		step_flow(CLOSE, i, NULL, 0);
	advance(QUIET_MS);
	stw_stack_stats(world.core->stack, &stats);
	for (i = 0; i < FLOWS; i++)
		open += world.open[i];
	must(stats.flows == open);
	must(world.query_count || (stats.transactions == 0 && stats.requests == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[32] = { 1 };
	static struct stw_nonces *nonces; /* large, and nobody is asked for a password */
	static bool registered;
	struct stw_hash_key key = { 1, 2 };
	struct stw_config_errors errors = { .n = 0 };
	struct stw_store_options store_options = { .path = STW_STR(":memory:") };
	struct stw_core_options options = { .io = &ops,
		.seed = 7,
		.key = { 3, 4 },
		.local_addrs = { address(100) },
		.local_addr_count = 1 };
	struct stw_listeners listeners;
	char error[200];

	if (!registered)
		stw_rcu_register_thread();
	registered = true;
	if (!nonces)
		must(stw_nonces_new(secret, 300, 64, &nonces) == 0);
	options.nonces = nonces;
	memset(&world, 0, sizeof(world));
	world.now = (struct stw_now){ .mono_ms = 1000, .wall_ms = 1800000000000 };
	must(stw_config_parse("fuzz", yaml, sizeof(yaml) - 1, &errors, &options.config) == 0);
	must(stw_location_new(key, &options.location) == 0);
	must(stw_directory_new(key, &options.directory) == 0);
	store_options.location = options.location;
	store_options.directory = options.directory;
	must(stw_store_open(&store_options, world.now, &options.store, error, sizeof(error)) == 0);
	users_add(options.store);
	listeners = options.config->listen;
	options.listeners = &listeners;
	must(stw_core_new(&options, world.now, &world.core) == 0);
	run(data, size);
	check_empty();
	stw_core_free(world.core);
	stw_store_close(options.store);
	stw_location_free(options.location);
	stw_directory_free(options.directory);
	stw_config_unref(options.config);
	for (unsigned i = 0; i < SENT; i++)
		free(world.sent[i].text);
	return 0;
}
