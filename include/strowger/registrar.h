/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * registrar: RFC 3261 §10 with Path (RFC 3327). What a REGISTER asks for, what the bindings become,
 * what the 200 says. Pure: the bindings that are and a request give the bindings that will be.
 */
#ifndef STROWGER_REGISTRAR_H
#define STROWGER_REGISTRAR_H

#include <strowger/transport.h>

/** One Contact of an address-of-record and where it is reached. */
struct stw_binding {
	struct stw_str uri;        /* Contact URI as registered */
	struct stw_str params;     /* contact parameters but q and expires: ";a=b…" or empty */
	struct stw_str call_id;    /* or, of a long one, a hash */
	struct stw_str path;       /* Path values "<…>, <…>", or empty */
	struct stw_str user_agent; /* empty: unknown */
	struct stw_str instance;   /* value of +sip.instance, or empty */
	uint32_t cseq;
	uint16_t q;            /* thousandths; 1000 when not given (§16.6 step 5) */
	int64_t expires_ms;    /* wall clock */
	int64_t updated_ms;    /* wall clock, last refresh */
	struct stw_hop source; /* where the REGISTER came from: transport, remote, listener, flow */
};

/** All bindings of one address-of-record: an immutable snapshot, packed into one block without
 * pointers. free() it. */
struct stw_bindings {
	uint64_t version;      /* counts up with each change */
	uint64_t group;        /* for who keeps it: the commit that made it */
	uint32_t packed_bytes; /* of what follows */
	uint16_t n;            /* bindings */
	uint16_t aor_len;
	uint8_t packed[];
};

/** A snapshot of these bindings; the text is copied. NULL when no memory. */
struct stw_bindings *stw_bindings_make(
	struct stw_str aor, uint64_t version, const struct stw_binding *v, unsigned n);
/** "sip:user@domain", canonical; borrowed from the snapshot. */
struct stw_str stw_bindings_aor(const struct stw_bindings *bindings);
/** One binding after the other, with text borrowed from the snapshot; *cursor is 0 at first.
 *  @return false: there is no other */
bool stw_bindings_next(
	const struct stw_bindings *bindings, size_t *cursor, struct stw_binding *ret);
/** NULL when no memory. */
struct stw_bindings *stw_bindings_copy(const struct stw_bindings *bindings);
/** Size of that copy. */
size_t stw_bindings_bytes(const struct stw_bindings *bindings);

/** The bytes by which a snapshot outlives the process: the same on every machine. */
size_t stw_bindings_stored_bytes(const struct stw_bindings *bindings);
void stw_bindings_store(const struct stw_bindings *bindings, uint8_t *to);
/** A snapshot of version 1, without flows, from bytes that are not trusted.
 *  @param ret_used  how many of them it took. @return 0; -EBADMSG; -ENOMEM */
int stw_bindings_load(const uint8_t *from, size_t len, size_t *ret_used, struct stw_bindings **ret);

/** What a domain grants, §10.3 step 7. */
struct stw_registrar_options {
	uint32_t min_expires_s, max_expires_s, default_expires_s;
	uint32_t max_bindings;
	bool exclusive; /* one device at a time: another one is refused while the first is there */
	bool rfc2543; /* conflicts get 409, also those of the parameter action (RFC 2543 §7.4.10) */
};

#define STW_REGISTER_CONTACTS_MAX 32

/** A Contact of a REGISTER. */
struct stw_register_contact {
	struct stw_binding binding;
	uint32_t expires_s; /* granted: 0 removes */
};

/** What a REGISTER asks for, with its own copy of the text so that it may wait or change threads.
 */
struct stw_register {
	struct stw_arena arena;
	struct stw_str aor;
	bool wildcard; /* Contact: * with Expires: 0 */
	unsigned n;    /* 0: only a question (§10.2.3) */
	struct stw_register_contact *contacts;
	struct stw_str call_id; /* as in struct stw_binding */
	uint32_t cseq;
	struct stw_str echo_path; /* Path lines for the 200 (RFC 3327 §5.3), or empty */
};

/** "sip:user@domain": scheme sip, user unescaped then escaped in one way, host lower case, no port
 * or parameters (§10.3 step 5). @return 0; -EBADMSG; -ENOMEM */
int stw_aor_canonical(const struct stw_uri *uri, struct stw_arena *arena, struct stw_str *ret);

/** The canonical form of an unescaped user part and a domain, as of a row of the store. @return as
 * above */
int stw_aor_make(
	struct stw_str user, struct stw_str domain, struct stw_arena *arena, struct stw_str *ret);
/** The same, of what is neither empty, into a buffer. */
void stw_aor_write(struct stw_writer *writer, struct stw_str user, struct stw_str domain);
/** Have both the same canonical form? Allocates nothing. */
bool stw_aor_equal(const struct stw_uri *a, const struct stw_uri *b);

/**
 * Rows R9, R11 and R14 (§10.3 steps 6–7 as far as the request alone decides them).
 * @param source  where the request came from
 * @param ret     embedded; call stw_register_done() also after a refusal
 * @param ret_headers  lines the refusal must carry (Min-Expires, Unsupported); borrowed from
 * ret->arena
 * @return NULL: good; else the cause
 */
const struct stw_cause *stw_register_parse(const struct stw_msg *request, struct stw_str aor,
	const struct stw_hop *source, const struct stw_registrar_options *options,
	struct stw_register *ret, struct stw_str *ret_headers);
/** Frees the text; the structure is the caller's. */
void stw_register_done(struct stw_register *request);

/**
 * Row R15 and §10.3 step 7: the bindings after the request; all or nothing. Expired ones are left
 * out.
 * @param old  NULL: none
 * @param ret  new snapshot (malloc), n may be 0; equal version when nothing changed
 * @return NULL: good; else the cause (CSeq order 500, too many bindings 403, no memory 500)
 */
const struct stw_cause *stw_register_apply(const struct stw_bindings *old,
	const struct stw_register *request, const struct stw_registrar_options *options,
	struct stw_now now, struct stw_bindings **ret);
/** Contact lines of the 200: every current binding with q and remaining expires (§10.3 step 8). */
void stw_bindings_write_contacts(
	struct stw_writer *writer, const struct stw_bindings *bindings, struct stw_now now);

#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include <strowger/causes/registrar.def>
#undef CAUSE

#endif
