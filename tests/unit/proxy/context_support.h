/* SPDX-License-Identifier: Apache-2.0 */
/* A response context under test: requests and responses as text, actions as words. */
#ifndef STW_TESTS_CONTEXT_SUPPORT_H
#define STW_TESTS_CONTEXT_SUPPORT_H

#include <support.h>

#include <strowger/proxy.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parsed {
	char text[8192];
	struct stw_field fields[STW_MSG_FIELDS_MAX];
	struct stw_msg msg;
};

struct bench {
	struct stw_proxy_options options;
	struct parsed *request, *response;
	struct stw_response_context *context;
	char log[8192];     /* the actions since the last input: "START 0 60; TIMER_C 0; " */
	char relayed[8192]; /* the last message relayed */
	char lines[4096];   /* of the last CANCEL, RELAY or ANSWER */
};

static inline void parse(struct parsed *parsed)
{
	struct stw_fault fault = { 0 };

	memset(&parsed->msg, 0, sizeof(parsed->msg));
	parsed->msg.fields = parsed->fields;
	parsed->msg.field_capacity = STW_MSG_FIELDS_MAX;
	assert_int_equal(
		stw_msg_parse(&parsed->msg, parsed->text, strlen(parsed->text), NULL, &fault), 0);
	assert_int_equal(stw_msg_check(&parsed->msg, &fault), 0);
}

static inline void request_make(
	struct parsed *parsed, const char *method, const char *uri, const char *lines)
{
	snprintf(parsed->text, sizeof(parsed->text),
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP a.example.test;branch=z9hG4bKup\r\n"
		"From: <sip:alice@example.test>;tag=f1\r\nTo: <sip:bob@example.test>\r\n"
		"Call-ID: c1@a\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n",
		method, uri, method, lines);
	parse(parsed);
}

/* `identity`: From, To and Call-ID lines. */
static inline void response_make(struct parsed *parsed, unsigned code, const char *method,
	const char *identity, const char *lines)
{
	snprintf(parsed->text, sizeof(parsed->text),
		"SIP/2.0 %u Test\r\nVia: SIP/2.0/UDP p.example.test;branch=z9hG4bKdown\r\n"
		"Via: SIP/2.0/UDP a.example.test;branch=z9hG4bKup\r\n"
		"%sCSeq: 1 %s\r\n%sContent-Length: 0\r\n\r\n",
		code, identity, method, lines);
	parse(parsed);
}

static inline void bench_open(
	struct bench *bench, const char *method, const char *uri, const char *lines)
{
	struct stw_proxy_options options = {
		.max_breadth = 60, .serial_fallback = true, .max_branches = 30, .key = { 1, 2 }
	};

	memset(bench, 0, sizeof(*bench));
	bench->options = options;
	bench->request = calloc(1, sizeof(*bench->request));
	bench->response = calloc(1, sizeof(*bench->response));
	assert_non_null(bench->request);
	assert_non_null(bench->response);
	request_make(bench->request, method, uri, lines);
	assert_int_equal(
		stw_response_context_new(&bench->options, &bench->request->msg, &bench->context),
		0);
}

static inline void bench_close(struct bench *bench)
{
	stw_response_context_free(bench->context);
	free(bench->request);
	free(bench->response);
}

static inline void text_copy(char *to, size_t size, struct stw_str from)
{
	assert_true(from.len < size);
	if (from.len)
		memcpy(to, from.ptr, from.len);
	to[from.len] = 0;
}

/* Take all actions into the log. */
static inline void bench_take(struct bench *bench)
{
	struct stw_proxy_action action;
	size_t at = 0;

	bench->log[0] = bench->lines[0] = bench->relayed[0] = 0;
#define LOG(...) at += (size_t)snprintf(bench->log + at, sizeof(bench->log) - at, __VA_ARGS__)
	while ((action = stw_response_context_next(bench->context)).kind != STW_PROXY_NOTHING) {
		switch (action.kind) {
		case STW_PROXY_START:
			LOG("START %u %u; ", action.branch, (unsigned)action.max_breadth);
			break;
		case STW_PROXY_CANCEL:
			LOG("CANCEL %u; ", action.branch);
			text_copy(bench->lines, sizeof(bench->lines), action.lines);
			break;
		case STW_PROXY_TIMER_C:
			LOG("C %u; ", action.branch);
			break;
		case STW_PROXY_RELAY:
			LOG("RELAY %u; ", (unsigned)action.response->code);
			text_copy(bench->lines, sizeof(bench->lines), action.lines);
			text_copy(bench->relayed, sizeof(bench->relayed),
				(struct stw_str){ action.response->data, action.response->len });
			break;
		case STW_PROXY_ANSWER:
			LOG("ANSWER %u %s; ", action.cause->code, action.cause->id);
			text_copy(bench->lines, sizeof(bench->lines), action.lines);
			break;
		case STW_PROXY_EARLY_END:
			LOG("199 %u %.*s; ", action.code, STW_STR_ARG(action.tag));
			break;
		case STW_PROXY_NEXT:
			LOG("NEXT %u%s; ", action.code, action.rang ? " rang" : "");
			break;
		case STW_PROXY_ABANDON:
			LOG("ABANDON; ");
			break;
		case STW_PROXY_FINISHED:
			LOG("FINISHED; ");
			break;
		case STW_PROXY_NOTHING:
			break;
		}
		assert_true(at < sizeof(bench->log));
	}
#undef LOG
}

static inline int bench_add(struct bench *bench, const char *uri, unsigned q)
{
	struct stw_proxy_target target = { .uri = stw_str_from(uri), .q = q };

	return stw_response_context_add(bench->context, &target, 1);
}

/* `n` targets of the same q in one group, then start. */
static inline void bench_fork(struct bench *bench, unsigned n)
{
	struct stw_proxy_target targets[64] = { 0 };
	char uris[64][32];
	unsigned i;

	for (i = 0; i < n; i++) {
		snprintf(uris[i], sizeof(uris[i]), "sip:bob@b%u.example.test", i);
		targets[i].uri = stw_str_from(uris[i]);
		targets[i].q = 1000;
	}
	assert_int_equal(stw_response_context_add(bench->context, targets, n), 0);
	stw_response_context_start(bench->context);
	bench_take(bench);
}

#define IDENTITY(tag)                                                                              \
	"From: <sip:alice@example.test>;tag=f1\r\nTo: <sip:bob@example.test>;tag=" tag             \
	"\r\nCall-ID: c1@a\r\n"

static inline void bench_respond_as(struct bench *bench, unsigned branch, unsigned code,
	const char *identity, const char *lines)
{
	struct stw_str method = stw_method_name(bench->request->msg.method);
	char name[16];

	text_copy(name, sizeof(name), method);
	response_make(bench->response, code, name, identity, lines);
	stw_response_context_response(bench->context, branch, &bench->response->msg);
	bench_take(bench);
}

static inline void bench_respond(
	struct bench *bench, unsigned branch, unsigned code, const char *lines)
{
	bench_respond_as(bench, branch, code, IDENTITY("t1"), lines);
}

#define INPUT(bench, call)                                                                         \
	do {                                                                                       \
		call;                                                                              \
		bench_take(bench);                                                                 \
	} while (0)

static inline void bench_timeout(struct bench *bench, unsigned branch)
{
	INPUT(bench, stw_response_context_timeout(bench->context, branch));
}

#endif
