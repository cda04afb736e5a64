/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * priority: Resource-Priority (RFC 4412): the registered namespaces with their values, and what a
 * request asks for. Pure.
 */
#ifndef STW_PRIORITY_H
#define STW_PRIORITY_H

#include <strowger/message.h>

#define STW_PRIORITY_VALUES_MAX 16 /* in one request */
#define STW_PRIORITY_RANK_MAX   1000

/** Of the IANA registry "Resource-Priority Namespaces". */
struct stw_priority_namespace {
	const char *name;
	const char *values; /* lowest first, separated by blanks */
	unsigned count;     /* of values */
};

/** Without case. NULL: not registered. */
const struct stw_priority_namespace *stw_priority_find(struct stw_str name);
/** Index of the value, 0 is the lowest; -ENOENT. Without case. */
int stw_priority_level(const struct stw_priority_namespace *space, struct stw_str value);
/** 0 for the lowest, STW_PRIORITY_RANK_MAX for the highest value of the namespace: what a queue is
 * ordered by. */
unsigned stw_priority_rank(const struct stw_priority_namespace *space, unsigned level);

/** One r-value. Text is the message's. */
struct stw_priority_value {
	struct stw_str space, value;
	const struct stw_priority_namespace *known; /* NULL: neither namespace nor value is … */
	unsigned level;                             /* … registered */
};

/**
 * All r-values of the request, §3.1.
 * @return how many; -EBADMSG: not as the grammar says, or a namespace that stands twice;
 *         -ENOBUFS: too many
 */
int stw_priority_read(
	const struct stw_msg *msg, struct stw_priority_value ret[STW_PRIORITY_VALUES_MAX]);

#endif
