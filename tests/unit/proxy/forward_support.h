/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of validation, preprocessing and forwarding share. */
#ifndef STW_TESTS_FORWARD_SUPPORT_H
#define STW_TESTS_FORWARD_SUPPORT_H

#include "support.h"

#include <strowger/proxy.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message against a guard page. */
struct message {
	struct stw_msg msg;
	struct stw_field fields[STW_MSG_FIELDS_MAX];
	char *guarded;
	size_t len;
};

static inline void message_take(struct message *message, const char *data, size_t len)
{
	struct stw_fault fault = { 0 };

	message->guarded = support_guarded(data, len);
	message->len = len;
	message->msg =
		(struct stw_msg){ .fields = message->fields, .field_capacity = STW_MSG_FIELDS_MAX };
	if (stw_msg_parse(&message->msg, message->guarded, len, NULL, &fault) < 0 ||
		stw_msg_check(&message->msg, &fault) < 0)
		fail_msg("%s at byte %zu of\n%s", fault.cause->id, fault.offset, data);
}

static inline void message_parse(struct message *message, const char *text)
{
	message_take(message, text, strlen(text));
}

static inline void message_done(struct message *message)
{
	support_guarded_free(message->guarded, message->len);
}

/* A proxy of this name and address; all have the same key. */
struct proxy {
	struct stw_listeners listeners;
	struct stw_proxy_options options;
};

static inline void proxy_init(struct proxy *proxy, const char *name, const char *ip)
{
	struct stw_listener *listener = &proxy->listeners.v[0];

	memset(proxy, 0, sizeof(*proxy));
	proxy->listeners.n = 1;
	listener->transport = STW_TRANSPORT_UDP;
	listener->advertise = stw_str_from(name);
	assert_int_equal(stw_addr_from_host(stw_str_from(ip), 5060, &listener->bind), 0);
	proxy->options.listeners = &proxy->listeners;
	proxy->options.key = (struct stw_hash_key){ 1, 2 };
	proxy->options.max_breadth = 60;
}

/* Our lines for this request, on a branch of the same name each time. */
static inline int record_route(const struct proxy *proxy, const struct message *request,
	const struct stw_record_route_side *in, const struct stw_record_route_side *out,
	struct stw_arena *arena, struct stw_record_route *ret)
{
	struct stw_record_route_options options = {
		.request = &request->msg, .in = *in, .out = *out, .branch = STW_STR("z9hG4bKp1")
	};

	return stw_record_route_write(&proxy->options, &options, arena, ret);
}

/* Slices in one piece with a NUL behind; free() it. */
static inline char *joined(struct stw_slices slices)
{
	size_t bytes = stw_slices_bytes(slices);
	char *text = malloc(bytes + 1);

	assert_non_null(text);
	stw_slices_flatten(slices, text);
	text[bytes] = '\0';
	return text;
}

#define FORWARD_VIA "SIP/2.0/UDP p1.example.com;branch=z9hG4bKp1"

/* The request as the proxy forwards it; free() it. */
static inline char *forwarded(const struct proxy *proxy, const struct message *request,
	const struct stw_proxy_target *target, struct stw_str record_route)
{
	struct stw_proxy_routing routing;
	struct stw_forward_options options = { .proxy = &proxy->options,
		.request = &request->msg,
		.routing = &routing,
		.target = target,
		.via = STW_STR(FORWARD_VIA),
		.record_route = record_route };
	struct stw_slices slices;
	struct stw_arena arena;
	char *text;

	stw_arena_init(&arena, 65536);
	assert_int_equal(stw_proxy_preprocess(&proxy->options, &request->msg, NULL, &routing), 0);
	assert_int_equal(stw_forward_build(&options, &arena, &slices), 0);
	text = joined(slices);
	stw_arena_done(&arena);
	return text;
}

#endif
