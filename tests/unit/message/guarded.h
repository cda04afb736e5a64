/* SPDX-License-Identifier: Apache-2.0 */
/* Text against a guard page, and messages made of text, for the tests of this folder. */
#ifndef STW_TESTS_MESSAGE_GUARDED_H
#define STW_TESTS_MESSAGE_GUARDED_H

#include "support.h"

#include <strowger/message.h>

#include <errno.h>
#include <string.h>

static inline struct stw_str guard(const char *text)
{
	size_t len = strlen(text);

	return (struct stw_str){ support_guarded(text, len), len };
}

static inline void unguard(struct stw_str text)
{
	support_guarded_free((char *)(uintptr_t)text.ptr, text.len);
}

#define GUARDED_FIELDS 32

/** A message in guarded memory with its index. */
struct guarded_msg {
	struct stw_str text;
	struct stw_msg msg;
	struct stw_field fields[GUARDED_FIELDS];
	struct stw_fault fault;
};

static inline int guarded_parse_bytes(struct guarded_msg *guarded, const char *bytes, size_t len,
	const struct stw_msg_limits *limits)
{
	guarded->text = (struct stw_str){ support_guarded(bytes, len), len };
	guarded->msg.fields = guarded->fields;
	guarded->msg.field_capacity = GUARDED_FIELDS;
	return stw_msg_parse(&guarded->msg, guarded->text.ptr, len, limits, &guarded->fault);
}

static inline int guarded_parse(struct guarded_msg *guarded, const char *text)
{
	return guarded_parse_bytes(guarded, text, strlen(text), NULL);
}

static inline void guarded_done(struct guarded_msg *guarded)
{
	unguard(guarded->text);
}

/** assert the id of a cause; "" stands for none */
#define assert_cause(cause, expected) assert_string_equal((cause) ? (cause)->id : "", expected)

#endif
