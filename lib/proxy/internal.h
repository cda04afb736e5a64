/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the proxy layer: keyed hashes that come back to us, and URIs with parts left out. */
#ifndef STW_PROXY_INTERNAL_H
#define STW_PROXY_INTERNAL_H

#include <strowger/proxy.h>

/* ---- mark.c: what we write into requests and know again when it comes back ------------------- */

#define PROXY_HASH_TEXT 16 /* a hash in hexadecimal */

/* What a hash is for: equal parts must not give equal hashes in two places. */
enum proxy_mix_use {
	PROXY_MIX_MARK = 1,
	PROXY_MIX_HOP,
	PROXY_MIX_LOOP,
	PROXY_MIX_STATELESS,
	PROXY_MIX_FLOW,
	PROXY_MIX_SECRET,
	PROXY_MIX_PROOF,
	PROXY_MIX_DIALOG,
};

struct stw_hasher proxy_mix_begin(struct stw_hash_key key, enum proxy_mix_use use);
void proxy_write_hash(struct stw_writer *writer, uint64_t hash);
struct stw_str proxy_hash_text(uint64_t hash, char buffer[PROXY_HASH_TEXT]);
bool proxy_hash_equals(struct stw_str text, uint64_t hash);
bool proxy_hash_text_equals(struct stw_str text, struct stw_str hash);
/* Of a text of that length. One that is no hash has some number. */
uint64_t proxy_hash_read(struct stw_str text);

/* Mark of the dialog that a request with this Call-ID and From tag establishes. */
uint64_t proxy_mark(
	const struct stw_proxy_options *options, const struct stw_msg *request, struct stw_str tag);
/* Who sends requests in the dialog of a mark. */
struct proxy_sender {
	uint64_t mark;
	bool callee;
	const struct stw_uri *from; /* what he is in From */
};
/* Where they go that he sends to this URI. */
uint64_t proxy_hop(const struct stw_proxy_options *options, const struct proxy_sender *sender,
	const struct stw_uri *uri);
/* Where the other side is, as a message from there says: by the Record-Route value that stands next
 * to ours (`route`), or by its Contact. 0: it does not say, or is not believed. */
uint64_t proxy_hop_said(const struct stw_proxy_options *options, const struct proxy_sender *sender,
	const struct stw_msg *msg, struct stw_str route, const struct stw_proxy_bar *bar);
/* The parts of our mark in a Record-Route or Route URI. */
struct proxy_mark_parts {
	struct stw_str dialog, hop;
	struct stw_str side; /* of the callee a secret, of the caller its proof */
};
bool proxy_mark_find(const struct stw_uri *uri, struct proxy_mark_parts *ret);
/* What only the callee learns: of one INVITE on one branch, so that no other INVITE has it. */
uint64_t proxy_secret(
	const struct stw_proxy_options *options, uint64_t mark, struct stw_str branch);
/* What only the caller learns. It belongs to the secret, but we alone can tell that. */
uint64_t proxy_proof(const struct stw_proxy_options *options, uint64_t mark, uint64_t secret);
/* Are we responsible for the host: a listener of ours, or a domain (§16.4)? `port` 0: not given. */
bool proxy_owns_host(const struct stw_proxy_options *options, struct stw_str host, uint16_t port);
/* Does the URI name us so? */
bool proxy_owns_uri(const struct stw_proxy_options *options, const struct stw_uri *uri);

/* ---- branch.c ---------------------------------------------------------------------------------
 */

#define PROXY_UNIQUE_LEN 16
/* The first part of a branch value of ours: no other one has it. Longer it is never. */
struct stw_str proxy_branch_unique_part(struct stw_str branch);
/* The second part of a branch value of ours; false when it has another form. */
bool proxy_branch_loop_part(struct stw_str branch, struct stw_str *ret);

/* ---- validate.c -------------------------------------------------------------------------------
 */

/* The request has been here before, for somebody else (§16.3 step 4). */
bool proxy_spirals(const struct stw_proxy_options *options, const struct stw_msg *request);

/* ---- strip.c ----------------------------------------------------------------------------------
 */

enum proxy_strip {
	PROXY_STRIP_MADDR = 1u << 0,
	PROXY_STRIP_METHOD = 1u << 1,
	PROXY_STRIP_HEADERS = 1u << 2,
	PROXY_STRIP_PORT = 1u << 3,      /* one that is not the scheme's default */
	PROXY_STRIP_TRANSPORT = 1u << 4, /* likewise */
};

/* A sip or sips URI without the parts of the set; never longer than it was. */
void proxy_write_stripped(struct stw_writer *writer, const struct stw_uri *uri, unsigned set);

/* ---- values.c ---------------------------------------------------------------------------------
 */

/* The values of a list of our own text, such as a Path that the registrar has kept. */
struct proxy_list {
	struct stw_msg msg;
	struct stw_field field;
};

struct stw_values proxy_list_values(
	struct proxy_list *list, struct stw_str text, enum stw_header header);

/* ---- flow.c -----------------------------------------------------------------------------------
 */

/* A flow token in a URI of ours. */
struct proxy_flow {
	struct stw_str place; /* where it leads */
	bool genuine;         /* its mark is ours */
};
/* ";stw-flow=…": what is sent to this URI of ours leaves by this hop. */
void proxy_flow_write(struct stw_writer *writer, const struct stw_proxy_options *options,
	const struct stw_hop *hop);
/* False: the URI has none. */
bool proxy_flow_find(
	const struct stw_proxy_options *options, const struct stw_uri *uri, struct proxy_flow *ret);

/* ---- record_route.c ---------------------------------------------------------------------------
 */

/* "sip:HOST:PORT;transport=tcp": ourselves as this side names us. */
void proxy_write_own_uri(
	struct stw_writer *writer, const struct stw_record_route_side *side, bool sips);
/* In a response: our Record-Route values say to the caller where the callee is, as they said to the
 * callee where the caller is, and prove the caller to be him. @return 0, -ENOMEM */
int proxy_record_route_return(
	const struct stw_relay_options *options, struct stw_edit *edit, struct stw_arena *arena);

/* ---- relay.c ----------------------------------------------------------------------------------
 */

/* RFC 3325 §5: who a message comes from is not for a peer to assert whom nobody trusts. */
void proxy_assertions_remove(struct stw_edit *edit);
/* The edited message as slices that lie in the arena. @return 0, -ENOMEM, -ENOBUFS */
int proxy_slices(const struct stw_edit *edit, struct stw_arena *arena, struct stw_slices *ret);

#endif
