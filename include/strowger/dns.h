/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * dns, a part of transport: what is asked of the DNS and what it answered. Messages are read here
 * (RFC 1035), answers are kept for their time to live, all without a socket and in virtual time.
 */
#ifndef STROWGER_DNS_H
#define STROWGER_DNS_H

#include <sys/queue.h>

#include <strowger/transport.h>

/** Types of records, RFC 1035 §3.2.2, RFC 3596, RFC 2782, RFC 3403. */
enum stw_dns_type {
	STW_DNS_A = 1,
	STW_DNS_AAAA = 28,
	STW_DNS_SRV = 33,
	STW_DNS_NAPTR = 35,
};

/** "A", "AAAA", "SRV", "NAPTR". */
const char *stw_dns_type_name(enum stw_dns_type type);

#define STW_DNS_NAME_MAX    253  /* characters, RFC 1035 §2.3.4 */
#define STW_DNS_RECORDS_MAX 32   /* kept of one answer; those of the lowest priority or order */
#define STW_DNS_TEXT_BYTES  4096 /* names and services of one answer */
#define STW_DNS_TTL_MAX_S   3600u
#define STW_DNS_NEGATIVE_S  30u /* when the answer carries no SOA, RFC 2308 §5 */

/** One record; which members count is said by the type that was asked. */
struct stw_dns_record {
	struct stw_addr addr;   /* A, AAAA; port 0 */
	uint16_t priority;      /* SRV; order of a NAPTR */
	uint16_t weight;        /* SRV; preference of a NAPTR */
	uint16_t port;          /* SRV */
	bool terminal_srv;      /* NAPTR: flag "s" and no regexp, RFC 3263 §4.1 */
	struct stw_str service; /* NAPTR: "SIP+D2U" */
	struct stw_str target;  /* SRV target, NAPTR replacement; no final dot; ".": empty */
};

/** What came of one question. Borrowed from whoever gives it. */
struct stw_dns_answer {
	int error; /* 0; -ENOENT no such name or record; -ETIMEDOUT; -EIO; -ENOBUFS not asked */
	uint32_t ttl_s; /* of the records, or of their absence; 0: for those who asked, no longer */
	bool local;     /* from the hosts file of this machine, not from the network */
	const struct stw_dns_record *records;
	unsigned n; /* above 0 when error is 0 */
};

/** Room for an answer that is read from the wire. */
struct stw_dns_buffer {
	struct stw_dns_record records[STW_DNS_RECORDS_MAX];
	char text[STW_DNS_TEXT_BYTES];
	size_t text_len;
};

/** A name that can be asked for: letters, digits, '-', '_', labels of 1 to 63, a final dot or none.
 * Others are never asked and never believed. */
bool stw_dns_name_valid(struct stw_str name);

/**
 * Read a response, whatever its bytes are. CNAMEs are followed within it, at most eight; records of
 * other names and types are not looked at. `ret` borrows from `buffer`; its error is -EIO when the
 * message is malformed, truncated, answers another question, carries a failure, or may hold what
 * was asked for behind the 2,048 records that are looked at.
 */
void stw_dns_parse(const uint8_t *message, size_t len, struct stw_str name, enum stw_dns_type type,
	struct stw_dns_buffer *buffer, struct stw_dns_answer *ret);

/* ---- cache ------------------------------------------------------------------------------- */

/** Bounds of what is remembered; bytes count names, records and their entries. */
struct stw_dns_limits {
	unsigned max_names;
	size_t max_bytes;
};

struct stw_dns_cache;
TAILQ_HEAD(stw_dns_waiters, stw_dns_waiter);

/** Embedded in who waits for an answer. Zeroed, or withdrawn, when it is not in use. */
struct stw_dns_waiter {
	TAILQ_ENTRY(stw_dns_waiter) link;
	struct stw_dns_waiters *list; /* NULL: waits for nothing */
	void *owner;                  /* the user's, with the next */
	unsigned question;
};

/** @return 0, -ENOMEM */
int stw_dns_cache_new(
	const struct stw_dns_limits *limits, struct stw_hash_key key, struct stw_dns_cache **ret);
/** The limits take effect with the next answer. */
void stw_dns_cache_limit(struct stw_dns_cache *cache, const struct stw_dns_limits *limits);

enum stw_dns_found {
	STW_DNS_KNOWN, /* the answer, borrowed until the next call for this cache */
	STW_DNS_ASK,   /* `waiter` waits for `query`, which is to be asked now */
	STW_DNS_ASKED, /* `waiter` waits for a query that was asked before */
};
/** Case of the name and a final dot make no difference. @return enum stw_dns_found; -ENOBUFS: as
 * many names are being asked as there may be; -ENOMEM */
int stw_dns_cache_find(struct stw_dns_cache *cache, struct stw_str name, enum stw_dns_type type,
	struct stw_now now, struct stw_dns_waiter *waiter, struct stw_dns_answer *ret_answer,
	uint64_t *ret_query);
/** An answer came: it is kept for its time, at most an hour; failures other than absence are not
 * kept. Those who wait are then to be taken by stw_dns_cache_told(). */
void stw_dns_cache_answered(struct stw_dns_cache *cache, uint64_t query,
	const struct stw_dns_answer *answer, struct stw_now now);
/** Next one that waited for an answer that came; NULL: none. */
struct stw_dns_waiter *stw_dns_cache_told(struct stw_dns_cache *cache);
/** Accepts one that waits for nothing. */
void stw_dns_waiter_withdraw(struct stw_dns_waiter *waiter);

/** Numbers of now, and counters since the start. */
struct stw_dns_stats {
	size_t names, asking, bytes;
	uint64_t hits, questions;
};
void stw_dns_cache_stats(const struct stw_dns_cache *cache, struct stw_dns_stats *ret);
/** Those who wait must have withdrawn. Accepts NULL; returns NULL. */
struct stw_dns_cache *stw_dns_cache_free(struct stw_dns_cache *cache);

#endif
