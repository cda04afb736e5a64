/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * locate, a part of transport: RFC 3263 and RFC 7984 as a machine that asks questions of the DNS
 * and ends with an ordered list of places to try; and the memory of places that failed.
 */
#ifndef STROWGER_LOCATE_H
#define STROWGER_LOCATE_H

#include <strowger/dns.h>

#define STW_PLACES_MAX 32

/** A transport and address to which a request can be sent, and the rule that led there. */
struct stw_place {
	enum stw_transport transport;
	struct stw_addr addr;   /* with port */
	struct stw_str host;    /* whose address it is; empty: the URI has it as a number */
	struct stw_str service; /* name of the SRV record; empty: none led here */
	uint16_t priority, weight;
};

/** What we can send with, and how far a look-up may go. */
struct stw_locate_options {
	const struct stw_listeners *listeners;
	const struct stw_addr *local_addrs; /* of this machine, for wildcard listeners */
	unsigned local_addr_count;
	unsigned max_places;    /* addresses of one request, at most STW_PLACES_MAX */
	unsigned max_srv;       /* SRV records that are followed, at most STW_DNS_RECORDS_MAX */
	unsigned max_questions; /* of one request, cached ones included */
	bool loopback; /* names may lead to this machine itself, though nothing listens there */
};

enum stw_locate_state { STW_LOCATE_ASKING, STW_LOCATE_READY, STW_LOCATE_FAILED };

struct stw_locate;

/**
 * Begin. Everything lies in `arena`; `target` and `options` are copied, what they point to is
 * borrowed as long as the look-up goes on. `random` orders SRV records of equal priority (RFC
 * 2782).
 * @return 0, -ENOMEM
 */
int stw_locate_new(const struct stw_locate_options *options, const struct stw_target *target,
	struct stw_random *random, struct stw_arena *arena, struct stw_locate **ret);
/** Next question that is to be asked now, in any order with the others. @return false: none */
bool stw_locate_ask(struct stw_locate *locate, unsigned *ret_question, struct stw_str *ret_name,
	enum stw_dns_type *ret_type);
/** The answer to one of them. New questions may be there. */
void stw_locate_answer(
	struct stw_locate *locate, unsigned question, const struct stw_dns_answer *answer);
/**
 * The NAPTR question has had its part of the time: go on as if there were no such record (RFC 3263
 * §4.1). When it has timed out in the end, all the others have had their time, too. Does nothing
 * when it was answered, or is not asked.
 */
void stw_locate_skip_naptr(struct stw_locate *locate);
/** An address is known that could be tried while others are still asked for (RFC 8305 §3). */
bool stw_locate_usable(const struct stw_locate *locate);
/** No more patience: what was not answered counts as timed out. */
void stw_locate_finish(struct stw_locate *locate);
enum stw_locate_state stw_locate_state(const struct stw_locate *locate);
/** READY: at least one, in the order in which they are to be tried. Lives as long as the arena. */
struct stw_place *stw_locate_places(struct stw_locate *locate, unsigned *ret_count);
/** FAILED: why. */
const struct stw_cause *stw_locate_cause(const struct stw_locate *locate);
/** "SRV _sip._udp.example.com priority 10 weight 5, A of sip1.example.com", for the record. */
void stw_place_rule(const struct stw_place *place, struct stw_writer *writer);

/* ---- places that failed, RFC 3263 §4.3 ------------------------------------------------------ */

struct stw_outages;

/** @param max  remembered at a time; the oldest is forgotten first. @return 0, -ENOMEM */
int stw_outages_new(unsigned max, struct stw_hash_key key, struct stw_outages **ret);
/** The place failed: it comes last for so long; 0: not any more.
 *  @return true: that is news, by a second at least */
bool stw_outages_add(struct stw_outages *outages, enum stw_transport transport,
	const struct stw_addr *addr, uint32_t for_ms, struct stw_now now);
/** It has answered. @return true: it had failed before */
bool stw_outages_remove(
	struct stw_outages *outages, enum stw_transport transport, const struct stw_addr *addr);
bool stw_outages_has(const struct stw_outages *outages, enum stw_transport transport,
	const struct stw_addr *addr, struct stw_now now);
/** Those that failed go behind the others; both keep their order. @return how many failed */
unsigned stw_outages_order(const struct stw_outages *outages, struct stw_place *places, unsigned n,
	struct stw_now now);
size_t stw_outages_count(const struct stw_outages *outages);
/** Accepts NULL; returns NULL. */
struct stw_outages *stw_outages_free(struct stw_outages *outages);

#endif
