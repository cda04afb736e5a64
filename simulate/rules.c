/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold whatever happens: each message that a server takes or sends is remembered as part
 * of a transaction, by its branch and method, and compared with what it belongs to. A transaction
 * that is old enough is looked at for the last time and forgotten.
 */
#include "simulate/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_MS        110000 /* a transaction other than INVITE is over */
#define LONG_MS         690000 /* an INVITE is over: Timer C, and what follows */
#define STORE_WAITS_S   20     /* between a REGISTER and its 200, when the disk is slow */
#define SENDS_MAX       12     /* of one request over UDP: Timer A or E until B or F */
#define CALL_MESSAGES   4000
#define PROVISIONAL_MS  200
#define FORWARDS_MAX    5 /* call.max_forwards, as it is by default */
#define SAMPLE_PER_MILL 20

/* A transaction as the wire shows it, seen from one server. */
struct record {
	struct keyed keyed;
	struct record *later, *next_sent;
	struct node *node;
	unsigned boot, stalls;
	bool out, invite;
	/* the request */
	char call_id[80], method[16], branch[80];
	uint64_t from, to, rest, body, second; /* hashes; rest: the Vias behind the top one */
	unsigned cseq, via_count, max_forwards;
	bool has_max_forwards, has_to_tag, has_rport;
	bool hunts;                  /* in: members of a group ring one after the other */
	int owner;                   /* out: whose phone of this server it is for; -1: nobody's */
	struct queue_caller *caller; /* of a queue; out: for whom it is */
	bool branch_ended;           /* out: for him */
	long asked_s;                /* REGISTER: how long; -1: not known */
	struct stw_hop hop;
	uint64_t first_ms;
	/* in: what was answered */
	uint64_t first_response_ms, final_hash;
	unsigned final, sent_code;
	bool success, stateful, flow_gone, got_success, got_success_soon, forwarded;
	bool two_ways; /* its connection was lost and came again, or TCP did not take a large
			* request in time, and the datagram went after it
			*/
	bool owed;     /* the request was repeated, the response not yet */
	char own_tag[32];
	/* out: what was sent and came back */
	uint64_t of_key, bytes;         /* of_key: the request that was forwarded */
	unsigned sends, failures, acks; /* failures: 300–699 to an INVITE that came in */
	bool got_1xx, got_final, broken, cancelled;
	bool late; /* the first response came behind timer B: the server has given it up */
};

/* Why a request may stay without an answer. */
struct noted {
	struct keyed keyed;
	uint64_t at_ms;
};

static uint64_t hash_str(struct stw_str text)
{
	return text_hash(text.ptr, text.len);
}

static uint64_t record_key(const struct node *node, bool out, struct stw_str branch,
	struct stw_str sent_by, struct stw_str method)
{
	uint64_t parts[] = { node->index, node->boots, out, hash_str(branch), hash_str(sent_by),
		hash_str(method) };

	return text_hash(parts, sizeof(parts));
}

static uint64_t note_key(const struct node *node, struct stw_str call_id, struct stw_str method)
{
	uint64_t parts[] = { node->index, hash_str(call_id), hash_str(method) };

	return text_hash(parts, sizeof(parts));
}

static void copy_text(char *buffer, size_t size, struct stw_str text)
{
	snprintf(buffer, size, "%.*s", STW_STR_ARG(text));
}

/* A value without the folds and blanks that a hop may change: here none may. */
static uint64_t vias_hash(const struct sip *sip, unsigned from)
{
	uint64_t hash = 1;
	unsigned i;

	for (i = from; i < sip->via_count; i++) {
		uint64_t parts[] = { hash, hash_str(sip->vias[i]) };

		hash = text_hash(parts, sizeof(parts));
	}
	return hash;
}

/* Branch and sent-by of the Via below the top one: they name the request that was forwarded. */
static bool second_via(const struct sip *sip, struct stw_str *ret_branch, struct stw_str *ret_by)
{
	struct stw_str via;
	size_t at;

	if (sip->via_count < 2)
		return false;
	*ret_branch = STW_STR_NONE;
	sip_param(sip->vias[1], "branch", ret_branch);
	via = stw_str_trim(stw_str_cut(sip->vias[1], 0, stw_str_find(sip->vias[1], ';', 0)));
	at = stw_str_find(via, ' ', 0);
	*ret_by = stw_str_trim(stw_str_cut(via, at, via.len));
	return true;
}

/* "sip:u3@10.0.3.1:5060": 3; -1: another server's, or nobody's. */
static int owner_of(struct stw_str uri)
{
	char text[24], host[6];
	unsigned user;

	copy_text(text, sizeof(text), uri);
	if (sscanf(text, "sip:u%u@%5[^.]", &user, host) < 2 || host[0] == 'd')
		return -1;
	return (int)user;
}

static struct record *record_new(
	struct node *node, bool out, const struct sip *sip, uint64_t key, const struct stw_hop *hop)
{
	struct world *world = node->world;
	struct record *record = must_alloc(sizeof(*record));
	struct record_list *list;
	struct stw_str rport;

	record->node = node;
	record->boot = node->boots;
	record->stalls = node->stalls;
	record->out = out;
	record->invite = sip_is(sip->method, "INVITE");
	copy_text(record->call_id, sizeof(record->call_id), sip->call_id);
	copy_text(record->method, sizeof(record->method), sip->method);
	copy_text(record->branch, sizeof(record->branch), sip->branch);
	record->from = hash_str(sip->from);
	record->to = hash_str(sip->to);
	record->rest = vias_hash(sip, 1);
	record->second = vias_hash(sip, 2);
	record->body = hash_str(sip->body);
	record->cseq = sip->cseq;
	record->via_count = sip->via_count;
	record->has_max_forwards = sip->has_max_forwards;
	record->max_forwards = sip->max_forwards;
	record->has_to_tag = sip->to_tag.len != 0;
	record->has_rport = sip_param(sip->vias[0], "rport", &rport);
	record->asked_s = -1;
	record->hunts = !out && stw_str_starts(sip->uri, STW_STR("sip:hunt@"));
	record->owner = out && record->invite ? owner_of(sip->uri) : -1;
	record->caller = out ? NULL : queue_comes(node, sip);
	record->hop = *hop;
	record->first_ms = world->now.mono_ms;
	keyed_add(&world->records, key, &record->keyed);
	list = record->invite ? &world->long_records : &world->short_records;
	*list->last = record;
	list->last = &record->later;
	return record;
}

/* ---- registrations --------------------------------------------------------------------------- */

static struct device *device_of(const struct node *node, const char *register_call_id)
{
	unsigned index;

	if (sscanf(register_call_id, "register-%u", &index) != 1 || index >= DEVICES)
		return NULL;
	if (node->world->devices[index].node != node->index)
		return NULL;
	return &node->world->devices[index];
}

/* How long a REGISTER or its 200 says that the device's Contact lasts; -1: it is not there. */
static long contact_expires(const struct device *device, const struct sip *sip)
{
	struct stw_str expires;
	unsigned i;

	for (i = 0; i < sip->contact_count; i++) {
		if (stw_str_equal(sip_uri(sip->contacts[i]), stw_str_from(device->contact)) &&
			sip_param(sip->contacts[i], "expires", &expires))
			return strtol(expires.ptr, NULL, 10);
	}
	return -1;
}

static void registration_answered(
	struct node *node, const struct record *record, const struct sip *sip)
{
	struct device *device = device_of(node, record->call_id);
	long granted_s, asked_s = record->asked_s;

	if (!device)
		return;
	if (device->pending && !record->final)
		device->pending--;
	if (sip->code / 100 != 2)
		return;
	granted_s = contact_expires(device, sip);
	device->uncertain = false;
	if (device->bound_until_ms <= node->world->now.wall_ms)
		device->bound_since_ms = node->world->now.mono_ms;
	device->bound_until_ms =
		granted_s < 0 ? 0 : node->world->now.wall_ms + (int64_t)granted_s * 1000;
	if (asked_s > 0 && (granted_s > asked_s || granted_s < asked_s - STORE_WAITS_S))
		wrong(node->world, sip->call_id, "server%u: %s asked for %ld s and has got %ld",
			node->index, device->contact, asked_s, granted_s);
}

/* ---- into a server --------------------------------------------------------------------------- */

/* For the queue nothing more comes of it. */
static void branch_ends(struct record *record, unsigned code)
{
	if (!record->branch_ended && record->caller && record->out)
		queue_branch_ends(record->node, record->caller, record->owner, code);
	record->branch_ended = true;
}

static void response_in(struct node *node, const struct sip *sip, const struct stw_hop *hop)
{
	struct record *record = keyed_find(&node->world->records,
		record_key(node, true, sip->branch, STW_STR_NONE, sip->method));
	struct record *of;
	uint64_t age;

	if (!record)
		return;
	age = node->world->now.mono_ms - record->first_ms;
	of = keyed_find(&node->world->records, record->of_key);
	if (of && sip->code / 100 == 2 && record->invite) {
		of->got_success = true;
		of->got_success_soon |= age < 30000;
	}
	if (sip->code >= 300 && age < 30000)
		record->failures++;
	record->late |= !record->got_1xx && !record->got_final && age > TIMER_64T1_MS;
	if (sip->code < 200) {
		record->got_1xx = true;
	} else if (!record->got_final) {
		if (sip->code < 300 && record->caller && !record->late)
			queue_answered(node, record->caller, record->owner);
		branch_ends(record, sip->code);
		record->got_final = true;
		record->broken |=
			hop->transport != STW_TRANSPORT_UDP || sip->code < 300 || age > 30000;
	}
}

static void call_given_up(struct world *world, struct stw_str call_id)
{
	struct call *call = call_of(world, call_id);

	if (call)
		call->given_up = true;
}

void rules_in(struct node *node, struct stw_str text, const struct stw_hop *hop)
{
	struct world *world = node->world;
	struct record *record;
	struct device *device;
	struct sip sip;
	uint64_t key;

	if (!sip_read(text, &sip))
		return;
	if (!sip.request) {
		response_in(node, &sip, hop);
		return;
	}
	key = record_key(node, false, sip.branch, sip.sent_by, sip.method);
	record = keyed_find(&world->records, key);
	if (record) {
		/* Behind Timer J (§17.2.2) a copy that was long on its way is a new request. */
		if (record->final && !record->invite &&
			world->now.mono_ms >= record->first_response_ms + STW_TIMER_B_MS)
			record->final_hash = 0;
		/* Once its ACK has come, an INVITE is absorbed. */
		record->owed = record->final && !record->invite;
		record->two_ways |= hop->transport != record->hop.transport ||
				    hop->remote.port != record->hop.remote.port;
		return;
	}
	record = record_new(node, false, &sip, key, hop);
	if (sip_is(sip.method, "BYE"))
		queue_call_ends(node, sip.call_id);
	if (sip_is(sip.method, "CANCEL")) {
		queue_caller_gone(node, sip.call_id);
		call_given_up(world, sip.call_id);
	}
	device = sip_is(sip.method, "REGISTER") ? device_of(node, record->call_id) : NULL;
	if (!device)
		return;
	device->pending++;
	record->asked_s = contact_expires(device, &sip);
}

/* ---- out of a server: responses -------------------------------------------------------------- */

/* One final response, the same each time (§17.2); any number of 2xx to INVITE (RFC 6026 §7.1),
 * which go up behind another final response too when a branch has given one late (§16.7 step 5).
 * Without a transaction the same code is given again, unless a queue has changed meanwhile. */
static void one_final(
	struct record *record, const struct sip *sip, struct stw_str text, bool stateless)
{
	uint64_t hash = hash_str(text);
	bool success = sip->code / 100 == 2 && record->invite;
	struct node *node = record->node;
	const char *what = NULL;

	if (success && record->got_success) {
		record->success = true;
		return;
	}
	if (stateless && record->final && record->final != sip->code && !node->changed &&
		!node->leaving && !record->caller)
		what = "another final response without state";
	if (!stateless && sip->code >= 200) {
		if (record->final_hash && (success || record->final_hash != hash))
			what = "a second final response";
		/* Timer G repeats what has gone before the 2xx (§17.2.1). */
		if (record->success && !success && record->final_hash != hash)
			what = "behind a 2xx";
		record->success |= success;
		if (!success)
			record->final_hash = hash;
	}
	/* Who stood still for long may take what was under way for something new; and so may who
	 * gets by TCP, where Timer J is 0, what comes by UDP later (§18.1.1). */
	if (what && record->stalls == node->stalls && !record->two_ways)
		wrong(node->world, sip->call_id, "server%u: %u to %s %s is %s", node->index,
			sip->code, record->method, record->branch, what);
}

static void response_matches(struct node *node, const struct record *record, const struct sip *sip)
{
	const char *what = NULL;
	struct stw_str received;

	if (!stw_str_equal(sip->call_id, stw_str_from(record->call_id)) ||
		sip->cseq != record->cseq)
		what = "Call-ID or CSeq";
	else if (hash_str(sip->from) != record->from)
		what = "From";
	else if (sip->via_count != record->via_count || vias_hash(sip, 1) != record->rest)
		what = "the Vias";
	else if (record->has_to_tag && hash_str(sip->to) != record->to)
		what = "To";
	else if (sip->code > 100 && !sip->to_tag.len)
		what = "the tag of To (there is none)";
	if (what)
		wrong(node->world, sip->call_id,
			"server%u: in the response %u to %s %s is not as in the request: %s",
			node->index, sip->code, record->method, record->branch, what);
	if (record->has_rport && !record->two_ways &&
		(!sip_param(sip->vias[0], "rport", &received) ||
			strtoul(received.ptr, NULL, 10) != record->hop.remote.port))
		wrong(node->world, sip->call_id,
			"server%u: rport of the response %u is not the port it came from (RFC "
			"3581)",
			node->index, sip->code);
	if (stw_str_starts(sip->sent_by, STW_STR("172.16.")) &&
		!sip_param(sip->vias[0], "received", &received))
		wrong(node->world, sip->call_id,
			"server%u: no received= in the top Via of the response %u (§18.2.1)",
			node->index, sip->code);
}

static void own_tag(struct record *record, const struct sip *sip)
{
	struct node *node = record->node;
	bool own = node->own_noted; /* what is sent again has no note of its own */

	node->own_noted = false;
	if (record->stateful && record->final)
		return;
	if (sip->code == 100 || !own || sip->to_tag.len != 19 ||
		!stw_str_starts(sip->to_tag, STW_STR("stw")))
		return;
	if (record->own_tag[0] && !stw_str_equal(stw_str_from(record->own_tag), sip->to_tag) &&
		!node->world->loops)
		wrong(node->world, sip->call_id, "server%u: two To tags of its own for %s %s",
			node->index, record->method, record->branch);
	copy_text(record->own_tag, sizeof(record->own_tag), sip->to_tag);
}

/* RFC 5057 §5.1: for all who see it the call is over, whether or not a BYE follows. But only the
 * other phone, or its silence, says so: what the server refuses itself was never in the dialog. */
static bool ends_call(const struct record *record, const struct sip *sip, bool own)
{
	static const unsigned codes[] = { 404, 408, 410, 416, 480, 481, 482, 483, 484, 485, 502,
		604 };
	unsigned i = 0;

	if (!record->has_to_tag || !record->forwarded || record->final ||
		(own && (!record->invite || sip->code != 408)))
		return false;
	while (i < STW_ARRAY_SIZE(codes) && codes[i] != sip->code)
		i++;
	return i < STW_ARRAY_SIZE(codes) && !sip_is(sip->method, "BYE");
}

static void response_out(struct node *node, const struct sip *sip, struct stw_str text)
{
	struct world *world = node->world;
	struct stw_stack_stats stats;
	struct record *record;
	bool stateless, own = node->own_noted;

	stw_stack_stats(node->core->stack, &stats);
	stateless = stats.stateless != node->stateless;
	node->stateless = stats.stateless;
	if (!strict(world))
		return;
	record = keyed_find(
		&world->records, record_key(node, false, sip->branch, sip->sent_by, sip->method));
	if (!record) {
		wrong(world, sip->call_id, "server%u: %u to a %.*s that nobody sent", node->index,
			sip->code, STW_STR_ARG(sip->method));
		return;
	}
	if (!record->invite && sip->code > 100 && sip->code < 200)
		wrong(world, sip->call_id, "server%u: %u to %s (RFC 4320 §4.1)", node->index,
			sip->code, record->method);
	if (!record->invite && sip->code == 408)
		wrong(world, sip->call_id, "server%u: 408 to %s (RFC 4320 §4.2)", node->index,
			record->method);
	if (strcmp(record->method, "ACK") == 0)
		wrong(world, sip->call_id, "server%u: %u to an ACK", node->index, sip->code);
	response_matches(node, record, sip);
	own_tag(record, sip);
	one_final(record, sip, text, stateless);
	if (record->caller)
		queue_response(node, record->caller, sip, !own);
	if (ends_call(record, sip, own))
		queue_call_ends(node, sip->call_id);
	record->stateful |= !stateless;
	record->owed = false;
	if (!record->first_response_ms)
		record->first_response_ms = world->now.mono_ms;
	/* Without state, and with other options, a copy may be granted what the first was refused.
	 */
	if ((record->final ? record->final >= 300 && sip->code < 300 : sip->code >= 200) &&
		strcmp(record->method, "REGISTER") == 0)
		registration_answered(node, record, sip);
	/* Its note is awaited at the end of the batch. */
	if (sip->code >= 300 && record->sent_code != sip->code) {
		record->sent_code = sip->code;
		record->next_sent = world->sent;
		world->sent = record;
	}
	if (sip->code >= 200)
		record->final = sip->code;
}

/* ---- out of a server: requests --------------------------------------------------------------- */

static void cancel_out(struct node *node, const struct sip *sip, bool first)
{
	struct record *invite = keyed_find(&node->world->records,
		record_key(node, true, sip->branch, STW_STR_NONE, STW_STR("INVITE")));

	if (invite) {
		invite->cancelled = true;
		branch_ends(invite, 0);
	}
	if (!invite) {
		wrong(node->world, sip->call_id, "server%u: CANCEL of a branch that was not sent",
			node->index);
	} else if (first && !invite->got_1xx) {
		wrong(node->world, sip->call_id, "server%u: CANCEL before a 1xx (§9.1)",
			node->index);
	} else if (first && invite->got_final) {
		wrong(node->world, sip->call_id,
			"server%u: CANCEL behind the final response (§9.1)", node->index);
	}
}

static void ack_out(struct node *node, const struct sip *sip)
{
	struct record *invite = keyed_find(&node->world->records,
		record_key(node, true, sip->branch, STW_STR_NONE, STW_STR("INVITE")));

	if (!invite)
		wrong(node->world, sip->call_id, "server%u: ACK of a branch that was not sent",
			node->index);
	else
		invite->acks++;
}

static void forwarded_matches(struct node *node, const struct record *of,
	const struct record *record, const struct sip *sip)
{
	const char *what = NULL;

	if (strcmp(of->call_id, record->call_id) != 0 || of->cseq != record->cseq)
		what = "Call-ID or CSeq differ";
	else if (of->from != record->from || of->to != record->to)
		what = "From or To differ";
	else if (of->body != record->body)
		what = "the body differs";
	else if (record->via_count != of->via_count + 1 || of->rest != record->second)
		what = "the Vias below are others";
	else if (!record->has_max_forwards)
		what = "there is no Max-Forwards";
	else if (of->has_max_forwards && record->max_forwards + 1 != of->max_forwards)
		what = "Max-Forwards does not count down by one";
	if (what)
		wrong(node->world, sip->call_id,
			"server%u: %s is forwarded, but %s (%u Via, Max-Forwards %u)", node->index,
			record->method, what, record->via_count, record->max_forwards);
}

/* A group that hunts rings its members one after the other. */
static void check_hunt(struct node *node, const struct record *of, const struct record *newest)
{
	const struct record *record = node->world->long_records.first;

	/* A phone may name other places, that count as its own. */
	for (; record && newest->owner >= 0; record = record->later) {
		if (record->out && record->node == node && record->of_key == newest->of_key &&
			record->boot == newest->boot && record->owner >= 0 &&
			record->owner != newest->owner && record->got_1xx && !record->late &&
			!record->got_final && !record->broken && !record->cancelled)
			wrong(node->world, stw_str_from(of->call_id),
				"server%u: u%d and u%d of a group that hunts ring at a time",
				node->index, record->owner, newest->owner);
	}
}

static void forwarded(struct node *node, struct record *record, const struct sip *sip)
{
	struct world *world = node->world;
	struct stw_str branch, sent_by;
	struct record *of;

	if (!second_via(sip, &branch, &sent_by)) {
		if (!sip_is(sip->method, "ACK") && !sip_is(sip->method, "CANCEL"))
			wrong(world, sip->call_id, "server%u: a %s that nobody sent", node->index,
				record->method);
		return;
	}
	if (sip_is(sip->method, "CANCEL"))
		wrong(world, sip->call_id, "server%u: forwards a CANCEL", node->index);
	record->of_key = record_key(node, false, branch, sent_by, sip->method);
	of = keyed_find(&world->records, record->of_key);
	if (!of)
		wrong(world, sip->call_id, "server%u: forwards a %s that it did not get",
			node->index, record->method);
	else
		forwarded_matches(node, of, record, sip);
	if (of)
		of->forwarded = true;
	if (of && of->hunts && record->invite && !sip->to_tag.len)
		check_hunt(node, of, record);
	if (of && of->caller && queue_rings(node, of->caller, sip, record->owner))
		record->caller = of->caller;
}

/* Nobody forwards the same call twice, and not more than call.max_forwards do. */
static void check_diversions(struct node *node, const struct sip *sip)
{
	unsigned i, j;

	if (sip->diversion_count > FORWARDS_MAX)
		wrong(node->world, sip->call_id, "server%u: a call was forwarded %u times",
			node->index, sip->diversion_count);
	for (i = 0; i < sip->diversion_count; i++) {
		for (j = 0; j < i; j++) {
			if (stw_str_equal(sip_uri(sip->diversions[i]), sip_uri(sip->diversions[j])))
				wrong(node->world, sip->call_id,
					"server%u: %.*s has forwarded a call twice", node->index,
					STW_STR_ARG(sip_uri(sip->diversions[i])));
		}
	}
}

/* A call does not go round and round. */
static void count_message(struct node *node, const struct sip *sip)
{
	struct call *call = call_of(node->world, sip->call_id);

	if (call && ++call->messages > CALL_MESSAGES)
		wrong(node->world, sip->call_id, "more than %u messages of one call",
			CALL_MESSAGES);
}

static void request_out(
	struct node *node, const struct sip *sip, struct stw_str text, const struct stw_hop *hop)
{
	struct world *world = node->world;
	uint64_t key = record_key(node, true, sip->branch, STW_STR_NONE, sip->method);
	struct record *record = keyed_find(&world->records, key);
	uint64_t bytes = hash_str(text);
	bool first = !record;

	if (!strict(world))
		return;
	if (first) {
		record = record_new(node, true, sip, key, hop);
		record->bytes = bytes;
		forwarded(node, record, sip);
		check_diversions(node, sip);
	}
	if (sip->via_count == 1 && sip_is(sip->method, "CANCEL"))
		cancel_out(node, sip, first);
	if (sip->via_count == 1 && sip_is(sip->method, "ACK"))
		ack_out(node, sip);
	/* What is forwarded without state is sent as often as it comes. */
	if (sip_is(sip->method, "ACK") || record->hop.transport != hop->transport)
		return;
	if (record->bytes != bytes)
		wrong(world, sip->call_id, "server%u: another request with the branch of %s %s",
			node->index, record->method, record->branch);
	if (++record->sends > SENDS_MAX)
		wrong(world, sip->call_id, "server%u: %s was sent %u times", node->index,
			record->method, record->sends);
}

void rules_out(struct node *node, struct stw_str text, const struct stw_hop *hop)
{
	struct sip sip;

	if (!sip_read(text, &sip)) {
		if (text.len > 4 && strict(node->world))
			wrong(node->world, STW_STR_NONE, "server%u sends what cannot be read: %.*s",
				node->index, (int)(text.len < 200 ? text.len : 200), text.ptr);
		return;
	}
	count_message(node, &sip);
	if (sip.request)
		request_out(node, &sip, text, hop);
	else
		response_out(node, &sip, text);
}

/* ---- notes: every answer has a cause -----------------------------------------------------------
 */

static void note_keep(struct keyed_table *table, uint64_t key, uint64_t now_ms)
{
	struct noted *noted = keyed_find(table, key);

	if (!noted) {
		noted = must_alloc(sizeof(*noted));
		keyed_add(table, key, &noted->keyed);
	}
	noted->at_ms = now_ms;
}

static uint64_t answer_key(struct stw_str call_id, unsigned code)
{
	uint64_t parts[] = { hash_str(call_id), code };

	return text_hash(parts, sizeof(parts));
}

void rules_note(struct node *node, const struct stw_note *note)
{
	struct world *world = node->world;
	struct stw_str call_id = note->msg ? note->msg->call_id : STW_STR_NONE;

	if (!node->up || !strict(world))
		return;
	if (!note->cause && (note->kind == STW_NOTE_TIMEOUT || note->kind == STW_NOTE_FAILURE ||
				    note->kind == STW_NOTE_DROPPED ||
				    (note->kind == STW_NOTE_RESPONSE_OUT && !note->relayed &&
					    note->code >= 300)))
		wrong(world, call_id, "server%u: no cause for %s %u", node->index,
			note->kind == STW_NOTE_RESPONSE_OUT ? "the response" : "what it notes",
			note->code);
	if (note->cause && strncmp(note->cause->id, "queue-agent-", 12) == 0)
		queue_noted(node, call_id, note->cause->id + 12);
	if (note->kind == STW_NOTE_RESPONSE_OUT)
		node->own_noted = !note->relayed;
	if (note->kind == STW_NOTE_RESPONSE_OUT)
		note_keep(&world->batch_notes, answer_key(call_id, note->code), world->now.mono_ms);
	else if (note->kind == STW_NOTE_TIMEOUT || note->kind == STW_NOTE_FAILURE ||
		 note->kind == STW_NOTE_DROPPED)
		note_keep(&world->notes,
			note_key(node, call_id,
				note->msg && note->msg->has_cseq ? note->msg->cseq.name
								 : note->method_name),
			world->now.mono_ms);
}

/* The decision record knows the call that was answered. */
static void sample_decision(struct node *node, const struct record *record)
{
	json_t *call = stw_decisions_call(node->core->decisions, stw_str_from(record->call_id));
	json_t *records = json_object_get(call, "records"), *entry;
	bool found = false;
	size_t i;

	json_array_foreach(records, i, entry)
	{
		json_t *cause = json_object_get(entry, "cause");
		bool relayed = json_is_true(json_object_get(entry, "relayed"));

		found |= json_integer_value(json_object_get(entry, "code")) ==
				 (json_int_t)record->sent_code &&
			 (relayed || cause);
	}
	if (!found && json_array_size(records) < 60)
		wrong(node->world, stw_str_from(record->call_id),
			"server%u: the decision record has no cause for the response %u",
			node->index, record->sent_code);
	json_decref(call);
}

void rules_batch_end(struct node *node)
{
	struct world *world = node->world;
	struct stw_stack_stats stats;
	struct record *record;

	while ((record = world->sent)) {
		world->sent = record->next_sent;
		if (!keyed_find(&world->batch_notes,
			    answer_key(stw_str_from(record->call_id), record->sent_code)))
			wrong(world, stw_str_from(record->call_id),
				"server%u: the response %u to %s is not noted with its cause",
				node->index, record->sent_code, record->method);
		else if (chance(world, SAMPLE_PER_MILL))
			sample_decision(node, record);
	}
	if (world->batch_notes.count)
		keyed_done(&world->batch_notes, free);
	if (!node->up)
		return;
	queues_batch_end(node);
	stw_stack_stats(node->core->stack, &stats);
	node->stateless = stats.stateless;
}

/* ---- troubles that explain something --------------------------------------------------------- */

/* Every transaction that still waits at this address hears of it. A caller whom no response reaches
 * is given up (RFC 3261 §17.2.4). */
void rules_refused(struct node *node, const struct stw_addr *remote, struct stw_str message)
{
	struct record *lists[] = { node->world->short_records.first,
		node->world->long_records.first };
	struct record *record;
	struct sip sip;
	unsigned i;

	if (sip_read(message, &sip) && !sip.request && sip_is(sip.method, "INVITE"))
		queue_caller_gone(node, sip.call_id);
	for (i = 0; i < STW_ARRAY_SIZE(lists); i++) {
		for (record = lists[i]; record; record = record->later) {
			if (record->out && record->node == node && !record->got_final &&
				stw_addr_equal(&record->hop.remote, remote) &&
				memmem(message.ptr, message.len, record->branch,
					strlen(record->branch))) {
				record->broken = true;
				branch_ends(record, 0);
			}
		}
	}
}

void rules_flow_gone(struct node *node, struct stw_flow_id flow)
{
	struct record *lists[] = { node->world->short_records.first,
		node->world->long_records.first };
	struct record *record;
	unsigned i;

	for (i = 0; i < STW_ARRAY_SIZE(lists); i++) {
		for (record = lists[i]; record; record = record->later) {
			if (record->node == node && stw_flow_id_equal(record->hop.flow, flow)) {
				record->flow_gone = record->broken = true;
				branch_ends(record, 0);
			}
		}
	}
}

/* ---- the last look --------------------------------------------------------------------------- */

static bool is_noted(const struct record *record)
{
	struct noted *noted = keyed_find(
		&record->node->world->notes, note_key(record->node, stw_str_from(record->call_id),
						     stw_str_from(record->method)));

	return noted && noted->at_ms >= record->first_ms;
}

static void last_look_in(struct world *world, const struct record *record)
{
	struct stw_str call_id = stw_str_from(record->call_id);
	unsigned node = record->node->index;

	if (strcmp(record->method, "ACK") == 0 || record->flow_gone)
		return;
	if (!record->final && !record->success && !is_noted(record))
		wrong(world, call_id,
			"server%u: %s %s was neither answered nor dropped with a cause", node,
			record->method, record->branch);
	if (record->invite && record->stateful && !record->success && !record->final_hash)
		wrong(world, call_id, "server%u: INVITE %s never got a final response", node,
			record->branch);
	if (record->invite && record->got_success_soon && !record->success && !record->final_hash)
		wrong(world, call_id, "server%u: a 2xx to INVITE %s was not passed on", node,
			record->branch);
	if (record->owed && !record->node->leaving)
		wrong(world, call_id, "server%u: %s %s was repeated, and its response %u was not",
			node, record->method, record->branch, record->final);
	if (record->invite && record->first_response_ms > record->first_ms + PROVISIONAL_MS)
		wrong(world, call_id, "server%u: nothing within 200 ms of INVITE %s", node,
			record->branch);
}

static void last_look_out(struct world *world, const struct record *record)
{
	struct stw_str call_id = stw_str_from(record->call_id);
	/* Who stood still beyond Timer F has had no time to send again. */
	bool silent = !record->got_1xx && !record->got_final && !record->broken &&
		      record->stalls == record->node->stalls;

	if (record->invite && record->got_final && !record->broken &&
		record->acks < record->failures)
		wrong(world, call_id,
			"server%u: branch %s has %u final responses and %u ACKs (§17.1.1.3)",
			record->node->index, record->branch, record->failures, record->acks);
	if (silent && record->hop.transport == STW_TRANSPORT_UDP && record->sends == 1 &&
		strcmp(record->method, "ACK") != 0)
		wrong(world, call_id,
			"server%u: %s %s was not sent again, and nothing came back (§17.1)",
			record->node->index, record->method, record->branch);
}

static void last_look(struct world *world, const struct record *record)
{
	if (!strict(world) || record->boot != record->node->boots || !record->node->up)
		return;
	if (record->out)
		last_look_out(world, record);
	else
		last_look_in(world, record);
}

static void expire(struct world *world, struct record_list *list, uint64_t age_ms)
{
	struct record *record;

	while ((record = list->first) && record->first_ms + age_ms <= world->now.mono_ms) {
		last_look(world, record);
		list->first = record->later;
		if (!list->first)
			list->last = &list->first;
		keyed_remove(&world->records, &record->keyed);
		free(record);
	}
}

void rules_expire(struct world *world, bool all)
{
	expire(world, &world->short_records, all ? 0 : SHORT_MS);
	expire(world, &world->long_records, all ? 0 : LONG_MS);
}

void rules_done(struct world *world)
{
	keyed_done(&world->records, free);
	keyed_done(&world->notes, free);
	keyed_done(&world->batch_notes, free);
}
