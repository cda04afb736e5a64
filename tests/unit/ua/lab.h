/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User agents in virtual time on a network without sockets: each has a stack of its own; what goes
 * to an address where no agent lives is written down for the test, which answers by hand.
 */
#ifndef STW_TESTS_UA_LAB_H
#define STW_TESTS_UA_LAB_H

#include <support.h>

#include <strowger/ua.h>
#include <strowger/uac.h>
#include <strowger/uas.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGENTS_MAX 4
#define LOG_MAX    400

struct net;

/* What was told, one line each: "progress 180 Ringing". */
struct agent {
	struct net *net;
	struct stw_stack *stack;
	struct stw_ua *ua;
	struct stw_listeners listeners;
	struct stw_sdp_abilities abilities;
	bool has_media;
	struct stw_session *session; /* the last one that was told of */
	char told[LOG_MAX][96];
	unsigned told_count, told_seen;
	struct stw_ua_event last;
	char text[512];
	void (*on_event)(struct agent *agent, const struct stw_ua_event *event);
};

struct packet {
	struct packet *next;
	struct stw_addr from, to;
	size_t len;
	char text[];
};

struct net {
	struct agent agents[AGENTS_MAX];
	unsigned count;
	struct stw_now now;
	struct packet *first, **end;
	char *raw[LOG_MAX]; /* to who is no agent */
	unsigned raw_count, raw_seen;
	bool (*lose)(struct net *net, const struct packet *packet);
	unsigned lost;
};

static inline struct stw_addr net_addr(unsigned host)
{
	struct stw_addr addr;
	char ip[32];

	snprintf(ip, sizeof(ip), "192.0.2.%u", host);
	assert_int_equal(stw_addr_from_host(stw_str_from(ip), 5060, &addr), 0);
	return addr;
}

static inline struct packet *net_add(
	struct net *net, struct stw_addr from, struct stw_addr to, const char *text, size_t len)
{
	struct packet *packet = malloc(sizeof(*packet) + len + 1);

	assert_non_null(packet);
	*packet = (struct packet){ .from = from, .to = to, .len = len };
	memcpy(packet->text, text, len);
	packet->text[len] = '\0';
	*net->end = packet;
	net->end = &packet->next;
	return packet;
}

/* ---- io ops: sent at once, so that nothing of the batch is kept ---- */

static inline int agent_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	struct agent *agent = io;
	size_t bytes = stw_slices_bytes(slices);
	char *text = malloc(bytes + 1);

	assert_non_null(text);
	stw_slices_flatten(slices, text);
	net_add(agent->net, agent->listeners.v[0].bind, hop->remote, text, bytes);
	free(text);
	return 0;
}

static inline int agent_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	(void)io;
	(void)hop;
	(void)ret;
	return -ECONNREFUSED;
}

static inline void agent_close(void *io, struct stw_flow_id flow)
{
	(void)io;
	(void)flow;
}

static inline int agent_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	(void)io;
	(void)name;
	(void)type;
	(void)query;
	return -ENOBUFS;
}

static const struct stw_io_ops agent_io = {
	.send = agent_send, .open = agent_open, .close = agent_close, .resolve = agent_resolve
};

static inline void agent_request(void *core, struct stw_request *request)
{
	struct agent *agent = core;

	if (!stw_ua_request(agent->ua, request))
		stw_request_drop(request, &stw_cause_ua_no_dialog);
}

static const struct stw_core_ops agent_core = { .request = agent_request };

static inline void agent_event(void *user, const struct stw_ua_event *event)
{
	struct agent *agent = user;
	char *line = agent->told[agent->told_count++];

	assert_true(agent->told_count < LOG_MAX);
	snprintf(line, sizeof(agent->told[0]), "%s%s%.0u%s%.*s", stw_ua_event_name(event->kind),
		event->code ? " " : "", event->code, event->phrase.len ? " " : "",
		STW_STR_ARG(event->phrase));
	agent->last = *event;
	snprintf(agent->text, sizeof(agent->text), "%.*s", STW_STR_ARG(event->text));
	if (event->session)
		agent->session = event->kind == STW_UA_ENDED ? NULL : event->session;
	if (agent->on_event)
		agent->on_event(agent, event);
}

static inline const struct stw_sdp_abilities *agent_media(void *user, struct stw_session *session)
{
	struct agent *agent = user;

	(void)session;
	return agent->has_media ? &agent->abilities : NULL;
}

static const struct stw_ua_ops agent_ops = { .event = agent_event, .media = agent_media };

/* ---- life ---- */

static inline struct net *net_new(void)
{
	struct net *net = calloc(1, sizeof(*net));

	assert_non_null(net);
	net->end = &net->first;
	net->now = (struct stw_now){ 1000000, 1700000000000 };
	return net;
}

/* At 192.0.2.1, .2 … @param options  without stack, ops and user */
static inline struct agent *agent_new(struct net *net, struct stw_ua_options options)
{
	struct agent *agent = &net->agents[net->count++];
	struct stw_stack_options stack = { .io = &agent_io,
		.io_user = agent,
		.core = &agent_core,
		.core_user = agent,
		.key = { net->count, 2 },
		.seed = net->count,
		.listeners = &agent->listeners,
		.max_transactions = 1000,
		.overload = { .target_ms = 25 },
		.flows = { .max_flows = 16,
			.max_per_source = 8,
			.idle_ms = 3600000,
			.message_ms = 10000 },
		.proxy = { .max_breadth = 60, .max_branches = 32, .timer_c_ms = 181000 } };
	static char addresses[AGENTS_MAX][32];

	agent->net = net;
	agent->listeners.n = 1;
	agent->listeners.v[0].transport = STW_TRANSPORT_UDP;
	agent->listeners.v[0].bind = net_addr(net->count);
	stack.flows.message = stw_msg_limits_default;
	snprintf(addresses[net->count - 1], 32, "192.0.2.%u", net->count);
	agent->has_media = true;
	agent->abilities =
		(struct stw_sdp_abilities){ .address = stw_str_from(addresses[net->count - 1]),
			.rtp_port = 4000 };
	assert_int_equal(stw_stack_new(&stack, net->now, &agent->stack), 0);
	options.stack = agent->stack;
	options.ops = &agent_ops;
	options.user = agent;
	assert_int_equal(stw_ua_new(&options, &agent->ua), 0);
	return agent;
}

static inline void agent_begin(struct agent *agent)
{
	stw_stack_begin(agent->stack, agent->net->now);
}

static inline void agent_end(struct agent *agent)
{
	stw_stack_end(agent->stack);
}

static inline bool net_deliver(struct net *net)
{
	struct packet *packet = net->first;
	struct stw_io_event event = { .kind = STW_IO_DATAGRAM };

	if (!packet)
		return false;
	net->first = packet->next;
	if (!net->first)
		net->end = &net->first;
	if (net->lose && net->lose(net, packet)) {
		net->lost++;
		free(packet);
		return true;
	}
	for (unsigned i = 0; i < net->count; i++) {
		struct agent *agent = &net->agents[i];
		char *bytes;

		if (!stw_addr_equal(&agent->listeners.v[0].bind, &packet->to))
			continue;
		bytes = support_guarded(packet->text, packet->len);
		event.hop = (struct stw_hop){
			.transport = STW_TRANSPORT_UDP, .remote = packet->from, .local = packet->to
		};
		event.data = bytes;
		event.len = packet->len;
		agent_begin(agent);
		stw_stack_event(agent->stack, &event);
		agent_end(agent);
		support_guarded_free(bytes, packet->len);
		free(packet);
		return true;
	}
	assert_true(net->raw_count < LOG_MAX);
	net->raw[net->raw_count++] = strdup(packet->text);
	free(packet);
	return true;
}

static inline void net_settle(struct net *net)
{
	for (unsigned i = 0; net_deliver(net); i++)
		assert_true(i < 2000);
}

/* Let time pass, timer by timer. */
static inline void net_wait(struct net *net, uint64_t ms)
{
	uint64_t end = net->now.mono_ms + ms;

	net_settle(net);
	for (;;) {
		uint64_t next = UINT64_MAX;

		for (unsigned i = 0; i < net->count; i++) {
			uint64_t due = stw_stack_next(net->agents[i].stack);

			next = due < next ? due : next;
		}
		if (next > end)
			break;
		if (next <= net->now.mono_ms)
			next = net->now.mono_ms + 1;
		net->now.wall_ms += (int64_t)(next - net->now.mono_ms);
		net->now.mono_ms = next;
		for (unsigned i = 0; i < net->count; i++) {
			agent_begin(&net->agents[i]);
			stw_stack_timers(net->agents[i].stack);
			agent_end(&net->agents[i]);
		}
		net_settle(net);
	}
	if (net->now.mono_ms < end)
		net->now.mono_ms = end;
}

/* No session, transaction, request or timer is left. */
static inline void net_is_idle(struct net *net)
{
	net_wait(net, 70000);
	for (unsigned i = 0; i < net->count; i++) {
		struct stw_stack_stats stats;

		stw_stack_stats(net->agents[i].stack, &stats);
		assert_true(stw_ua_idle(net->agents[i].ua));
		assert_int_equal(stats.transactions, 0);
		assert_int_equal(stats.requests, 0);
		assert_int_equal(stats.timers, 0);
	}
}

static inline void net_free(struct net *net)
{
	for (unsigned i = 0; i < net->count; i++) {
		stw_ua_free(net->agents[i].ua);
		stw_stack_free(net->agents[i].stack);
	}
	for (unsigned i = 0; i < net->raw_count; i++)
		free(net->raw[i]);
	while (net->first) {
		struct packet *next = net->first->next;

		free(net->first);
		net->first = next;
	}
	free(net);
}

/* ---- what was told and sent ---- */

/* The next event of the agent reads so. */
static inline void told(struct agent *agent, const char *line)
{
	if (agent->told_seen == agent->told_count)
		fail_msg("nothing was told, not even \"%s\"", line);
	if (strcmp(agent->told[agent->told_seen], line) != 0)
		fail_msg("\"%s\" was expected, told was \"%s\"", line,
			agent->told[agent->told_seen]);
	agent->told_seen++;
}

static inline void told_nothing(struct agent *agent)
{
	if (agent->told_seen != agent->told_count)
		fail_msg("told was \"%s\"", agent->told[agent->told_seen]);
}

/* The next message to who is no agent begins so. */
static inline const char *raw(struct net *net, const char *start)
{
	const char *text;

	net_settle(net);
	if (net->raw_seen == net->raw_count)
		fail_msg("nothing was sent, not even \"%s\"", start);
	text = net->raw[net->raw_seen];
	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("\"%s\" was expected, sent was:\n%s", start, text);
	net->raw_seen++;
	return text;
}

static inline void raw_nothing(struct net *net)
{
	net_settle(net);
	if (net->raw_seen != net->raw_count)
		fail_msg("sent was:\n%s", net->raw[net->raw_seen]);
}

static inline void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" was expected in:\n%s", part, text);
}

static inline void has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" was not expected in:\n%s", part, text);
}

/* ---- the party without an agent: 192.0.2.9 ---- */

static inline void raw_send(struct net *net, unsigned agent, const char *text)
{
	net_add(net, net_addr(9), net_addr(agent), text, strlen(text));
	net_settle(net);
}

static inline void copy_lines(
	struct stw_writer *writer, const char *text, const char *name, const char *tag)
{
	const char *at = strstr(text, "\r\n"), *end;

	for (; at && at[2] != '\r'; at = end) {
		struct stw_str line = { at + 2, 0 };

		end = strstr(at + 2, "\r\n");
		line.len = (size_t)(end - line.ptr);
		if (!stw_str_starts(line, stw_str_from(name)))
			continue;
		stw_write_str(writer, line);
		if (tag && !memmem(line.ptr, line.len, ";tag=", 5))
			stw_write_format(writer, ";tag=%s", tag);
		stw_write_text(writer, "\r\n");
	}
}

/* A response to a request that it got; `more`: further lines and, behind an empty one, a body. */
static inline void raw_answer(struct net *net, unsigned agent, const char *request,
	const char *status, const char *tag, const char *more)
{
	const char *body = strstr(more, "\r\n\r\n");
	char text[8192];
	struct stw_writer writer;

	stw_writer_init(&writer, text, sizeof(text) - 1);
	stw_write_format(&writer, "SIP/2.0 %s\r\n", status);
	copy_lines(&writer, request, "Via:", NULL);
	copy_lines(&writer, request, "From:", NULL);
	copy_lines(&writer, request, "To:", tag);
	copy_lines(&writer, request, "Call-ID:", NULL);
	copy_lines(&writer, request, "CSeq:", NULL);
	if (body)
		stw_write_format(&writer, "%.*sContent-Length: %zu\r\n%s", (int)(body + 2 - more),
			more, strlen(body + 4), body + 2);
	else
		stw_write_format(&writer, "%sContent-Length: 0\r\n\r\n", more);
	assert_false(writer.overflow);
	text[writer.len] = '\0';
	raw_send(net, agent, text);
}

#define SDP_BODY(direction)                                                                        \
	"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"                \
	"m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=" direction "\r\n"
#define SDP_TYPE "Content-Type: application/sdp\r\n\r\n"

/* An INVITE, or another request outside of a dialog, of the party. */
static inline const char *raw_request(
	const char *method, unsigned cseq, const char *to_tag, const char *more)
{
	static char text[8192];
	const char *body = strstr(more, "\r\n\r\n");
	int len = snprintf(text, sizeof(text),
		"%s sip:bob@192.0.2.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK%s%u\r\nMax-Forwards: 70\r\n"
		"From: <sip:raw@192.0.2.9>;tag=raw\r\nTo: <sip:bob@192.0.2.1>%s%s\r\n"
		"Call-ID: raw1\r\nCSeq: %u %s\r\nContact: <sip:raw@192.0.2.9>\r\n%.*s"
		"Content-Length: %zu\r\n%s",
		method, strcmp(method, "ACK") == 0 ? "INVITE" : method, cseq,
		*to_tag ? ";tag=" : "", to_tag, cseq, method,
		body ? (int)(body + 2 - more) : (int)strlen(more), more,
		body ? strlen(body + 4) : 0, body ? body + 2 : "\r\n");

	assert_true(len > 0 && (size_t)len < sizeof(text));
	return text;
}

/* The To tag of a response. */
static inline const char *tag_of(const char *text)
{
	static char tag[128];

	assert_int_equal(
		sscanf(strstr(strstr(text, "\r\nTo: "), ";tag=") + 5, "%127[^;\r]", tag), 1);
	return tag;
}

#endif
