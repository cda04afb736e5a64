/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user agent at 192.0.2.1 and its peer at 192.0.2.9, for the fuzzers of lib/ua: the peer has the
 * dialogs that the two have made, and writes what may be said in them.
 */
#ifndef STW_FUZZ_AGENT_H
#define STW_FUZZ_AGENT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/ua.h>
#include <strowger/uac.h>

#define SENT     8 /* requests of the agent that the peer remembers; a power of two */
#define LINKS    4 /* dialogs */
#define SESSIONS 8
#define QUIET_MS 600000u

#define SDP                                                                                        \
	"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"                \
	"m=audio 6000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"

static struct {
	struct stw_stack *stack;
	struct stw_ua *ua;
	struct stw_listeners listeners;
	struct stw_now now;
	struct {
		char *text;
		size_t len;
	} sent[SENT];
	unsigned sent_next;
	struct link {
		char call_id[64], ours[64], theirs[64]; /* tags as the agent sees them */
		unsigned cseq;
		unsigned rseq; /* of the agent's last reliable response */
	} links[LINKS];
	unsigned link_next;
	struct stw_session *sessions[SESSIONS];
	unsigned ports;
	unsigned branch;
} world;

static struct stw_field fields[STW_MSG_FIELDS_MAX];

static inline void must(bool is_true)
{
	if (!is_true)
		abort();
}

static inline struct stw_addr address(uint8_t last)
{
	return (struct stw_addr){ .family = 4, .ip = { 192, 0, 2, last }, .port = 5060 };
}

/* ---- what the agent sends ------------------------------------------------------------------- */

static inline bool message_read(const char *text, size_t len, struct stw_msg *ret)
{
	struct stw_fault fault;

	*ret = (struct stw_msg){ .fields = fields, .field_capacity = STW_MSG_FIELDS_MAX };
	return stw_msg_parse(ret, text, len, NULL, &fault) == 0 && stw_msg_check(ret, &fault) == 0;
}

static inline void text_keep(struct stw_str text, char buffer[64])
{
	size_t len = text.len < 63 ? text.len : 63;

	if (len)
		memcpy(buffer, text.ptr, len);
	buffer[len] = '\0';
}

static inline struct link *link_need(
	struct stw_str call_id, struct stw_str ours, struct stw_str theirs)
{
	struct link *link;
	char texts[3][64];

	text_keep(call_id, texts[0]);
	text_keep(ours, texts[1]);
	text_keep(theirs, texts[2]);
	for (unsigned i = 0; i < LINKS; i++) {
		link = &world.links[i];
		if (strcmp(link->call_id, texts[0]) == 0 && strcmp(link->ours, texts[1]) == 0 &&
			strcmp(link->theirs, texts[2]) == 0)
			return link;
	}
	link = &world.links[world.link_next++ % LINKS];
	*link = (struct link){ .cseq = 1 };
	memcpy(link->call_id, texts[0], 64);
	memcpy(link->ours, texts[1], 64);
	memcpy(link->theirs, texts[2], 64);
	return link;
}

/* A response with a To tag makes a dialog. */
static inline void response_seen(const struct stw_msg *msg)
{
	struct link *link;
	uint64_t rseq;

	if (msg->cseq.method != STW_METHOD_INVITE || msg->code <= 100 || msg->code >= 300)
		return;
	link = link_need(msg->call_id, msg->to.tag, msg->from.tag);
	if (stw_msg_number(msg, STW_HDR_RSEQ, UINT32_MAX, &rseq) == 0)
		link->rseq = (unsigned)rseq;
}

static inline int ops_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	size_t len = stw_slices_bytes(slices);
	char *text = malloc(len + 1);
	struct stw_msg msg;
	unsigned at;

	(void)io;
	(void)hop;
	must(text != NULL);
	stw_slices_flatten(slices, text);
	if (!message_read(text, len, &msg)) {
		/* Nobody else can write what cannot be read, but a response has what was asked. */
		must(strncmp(text, "SIP/2.0 ", 8) == 0);
		free(text);
		return 0;
	}
	if (msg.is_request && msg.method != STW_METHOD_ACK && msg.method != STW_METHOD_CANCEL) {
		at = world.sent_next++ % SENT;
		free(world.sent[at].text);
		world.sent[at].text = text;
		world.sent[at].len = len;
		return 0;
	}
	if (!msg.is_request)
		response_seen(&msg);
	free(text);
	return 0;
}

static inline int ops_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	(void)io;
	(void)hop;
	(void)ret;
	return -ECONNREFUSED;
}

static inline void ops_close(void *io, struct stw_flow_id flow)
{
	(void)io;
	(void)flow;
}

static inline int ops_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	(void)io;
	(void)name;
	(void)type;
	(void)query;
	return -ENOBUFS;
}

/* ---- what the agent asks and tells ------------------------------------------------------------
 */

static inline void requested(void *core, struct stw_request *request)
{
	(void)core;
	if (!stw_ua_request(world.ua, request))
		stw_request_drop(request, &stw_cause_ua_no_dialog);
}

static inline unsigned session_at(const struct stw_session *session)
{
	unsigned i = 0;

	while (i < SESSIONS && world.sessions[i] != session)
		i++;
	return i;
}

static inline void told(void *user, const struct stw_ua_event *event)
{
	unsigned at = event->session ? session_at(event->session) : SESSIONS;

	(void)user;
	if (!event->session)
		return;
	if (stw_session_state(event->session) == STW_SESSION_ENDED) {
		if (at < SESSIONS)
			world.sessions[at] = NULL;
		return;
	}
	if (at == SESSIONS)
		at = session_at(NULL);
	if (at < SESSIONS)
		world.sessions[at] = event->session;
}

static const struct stw_sdp_abilities abilities = { .address = { "192.0.2.1", 9 },
	.rtp_port = 4000 };

static inline const struct stw_sdp_abilities *media(void *user, struct stw_session *session)
{
	(void)user;
	(void)session;
	world.ports++;
	return &abilities;
}

static inline void media_done(void *user, struct stw_session *session)
{
	(void)user;
	(void)session;
	must(world.ports-- > 0);
}

/* ---- time -------------------------------------------------------------------------------------
 */

static inline void advance(uint64_t ms)
{
	uint64_t until = world.now.mono_ms + ms, next;
	unsigned idle = 0;

	while ((next = stw_stack_next(world.stack)) <= until) {
		idle = next > world.now.mono_ms ? 0 : idle + 1;
		must(idle < 1000);
		if (next > world.now.mono_ms) {
			world.now.wall_ms += (int64_t)(next - world.now.mono_ms);
			world.now.mono_ms = next;
		}
		stw_stack_begin(world.stack, world.now);
		stw_stack_timers(world.stack);
		stw_stack_end(world.stack);
	}
	world.now.wall_ms += (int64_t)(until - world.now.mono_ms);
	world.now.mono_ms = until;
}

/* With nothing behind its last byte, so that reading on is seen. */
static inline void peer_sends(const void *text, size_t len)
{
	struct stw_io_event event = {
		.kind = STW_IO_DATAGRAM,
		.hop = { .transport = STW_TRANSPORT_UDP, .remote = address(9), .local = address(1) }
	};
	char *copy = malloc(len ? len : 1);

	must(copy != NULL);
	if (len)
		memcpy(copy, text, len);
	event.data = copy;
	event.len = len;
	stw_stack_begin(world.stack, world.now);
	stw_stack_event(world.stack, &event);
	stw_stack_end(world.stack);
	free(copy);
}

/* ---- what the peer says -----------------------------------------------------------------------
 */

static inline void write_rest(
	struct stw_writer *writer, struct stw_str lines, const char *type, struct stw_str body)
{
	stw_write_str(writer, lines);
	if (body.len)
		stw_write_format(writer, "Content-Type: %s\r\n", type);
	stw_write_format(writer, "Content-Length: %zu\r\n\r\n", body.len);
	stw_write_str(writer, body);
}

/* In the dialog of `link`; NULL: one that begins, with the Call-ID `call`. ACK and CANCEL take the
 * number of the request before. */
static inline void peer_request(struct link *link, unsigned call, const char *method,
	struct stw_str lines, const char *type, struct stw_str body)
{
	static char text[200000];
	struct stw_writer writer;
	bool again = strcmp(method, "ACK") == 0 || strcmp(method, "CANCEL") == 0;
	unsigned cseq = link ? (again ? link->cseq : ++link->cseq) : 1;

	stw_writer_init(&writer, text, sizeof(text));
	world.branch += strcmp(method, "CANCEL") != 0;
	stw_write_format(&writer,
		"%s sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK%u\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:peer@192.0.2.9>;tag=%s\r\n",
		method, world.branch, link ? link->theirs : "peer");
	stw_write_format(&writer, "To: <sip:a@192.0.2.1>%s%s\r\n", link ? ";tag=" : "",
		link ? link->ours : "");
	if (link)
		stw_write_format(&writer, "Call-ID: %s\r\n", link->call_id);
	else
		stw_write_format(&writer, "Call-ID: call%u\r\n", call);
	stw_write_format(&writer, "CSeq: %u %s\r\nContact: <sip:peer@192.0.2.9>\r\n", cseq, method);
	write_rest(&writer, lines, type, body);
	if (!writer.overflow)
		peer_sends(text, writer.len);
}

/* The peer answers the agent's request that lies so far back, as the fork `tag`. */
static inline void peer_answer(
	unsigned back, unsigned code, const char *tag, struct stw_str lines, struct stw_str body)
{
	unsigned at = (world.sent_next - 1 - back) % SENT;
	static char text[200000];
	struct stw_writer writer, head;
	struct stw_msg msg;
	char more[4096];
	struct stw_response response = { .request = &msg,
		.record_route = true,
		.code = code,
		.to_tag = stw_str_from(tag),
		.content_type = body.len ? STW_STR("application/sdp") : STW_STR_NONE,
		.body = body };

	if (!world.sent[at].text || !message_read(world.sent[at].text, world.sent[at].len, &msg))
		return;
	stw_writer_init(&head, more, sizeof(more));
	stw_write_text(&head, "Contact: <sip:peer@192.0.2.9>\r\n");
	stw_write_str(&head, lines);
	response.headers = stw_writer_text(&head);
	stw_writer_init(&writer, text, sizeof(text));
	stw_response_write(&writer, &response);
	if (writer.overflow || head.overflow)
		return;
	if (msg.method == STW_METHOD_INVITE && code > 100 && code < 300)
		(void)link_need(
			msg.call_id, msg.from.tag, msg.to.tag.ptr ? msg.to.tag : stw_str_from(tag));
	peer_sends(text, writer.len);
}

/* ---- a world for each input -------------------------------------------------------------------
 */

static inline void world_begin(const struct stw_ua_policy *policy)
{
	static const struct stw_io_ops io = {
		.send = ops_send, .open = ops_open, .close = ops_close, .resolve = ops_resolve
	};
	static const struct stw_core_ops core = { .request = requested };
	static const struct stw_ua_ops ops = {
		.event = told, .media = media, .media_done = media_done
	};
	struct stw_stack_options stack = { .io = &io,
		.core = &core,
		.key = { 3, 4 },
		.seed = 7,
		.listeners = &world.listeners,
		.local_addrs = { address(1) },
		.local_addr_count = 1,
		.max_transactions = 200,
		.overload = { .target_ms = 25 },
		.flows = { .max_flows = 4,
			.max_per_source = 4,
			.idle_ms = 60000,
			.message_ms = 10000,
			.message = stw_msg_limits_default },
		.proxy = { .max_breadth = 60, .max_branches = 32, .timer_c_ms = 181000 } };
	struct stw_ua_options options = { .ops = &ops,
		.aor = STW_STR("sip:a@192.0.2.1"),
		.auth_password = STW_STR("secret"),
		.session_expires_s = 100,
		.follow_redirects = true,
		.max_sessions = SESSIONS,
		.policy = *policy };

	memset(&world, 0, sizeof(world));
	world.now = (struct stw_now){ .mono_ms = 1000, .wall_ms = 1800000000000 };
	world.listeners.n = 1;
	world.listeners.v[0].transport = STW_TRANSPORT_UDP;
	world.listeners.v[0].bind = address(1);
	must(stw_stack_new(&stack, world.now, &world.stack) == 0);
	options.stack = world.stack;
	must(stw_ua_new(&options, &world.ua) == 0);
}

/* After ten quiet minutes nothing is left. */
static inline void world_end(void)
{
	struct stw_stack_stats stats;

	stw_stack_begin(world.stack, world.now);
	stw_ua_stop(world.ua);
	stw_stack_end(world.stack);
	advance(QUIET_MS);
	stw_stack_stats(world.stack, &stats);
	must(stw_ua_idle(world.ua) && !world.ports);
	must(!stats.transactions && !stats.requests && !stats.timers);
	stw_ua_free(world.ua);
	stw_stack_free(world.stack);
	for (unsigned i = 0; i < SENT; i++)
		free(world.sent[i].text);
}

#endif
