/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3263 §4.1 and §4.2 with RFC 7984 §3.1, as a machine: NAPTR says which SRV record, SRV says
 * which host and port, A and AAAA say which address. A number, an explicit port, or a transport
 * parameter makes it begin later.
 */
#include "locate.h"

#include <errno.h>
#include <string.h>

#define SOURCES_MAX 64

enum question_kind { QUESTION_NAPTR, QUESTION_SRV, QUESTION_ADDR };

struct question {
	struct stw_str name;
	enum stw_dns_type type;
	enum question_kind kind;
	unsigned service; /* SRV */
	bool asked, answered;
};

/* An SRV record that may lead to the servers, and what came of it. */
struct service {
	struct stw_str name; /* "_sip._udp.example.com" */
	enum stw_transport transport;
	bool asked, answered;
	struct locate_srv *records; /* in the order in which they are followed */
	unsigned count;
};

/* A host whose addresses are asked for. */
struct host {
	struct stw_str name;
	struct stw_str service; /* empty: no SRV record led here */
	uint16_t priority, weight, port;
	struct stw_addr addrs[LOCATE_HOST_ADDRS_MAX];
	unsigned count;
};

struct stw_locate {
	struct stw_locate_options options; /* as they were when it began */
	struct stw_target target;
	struct stw_random *random;
	struct stw_arena *arena;
	enum stw_locate_state state;
	const struct stw_cause *cause;

	struct question *questions;
	unsigned question_count, ask_next, unanswered;

	struct service services[LOCATE_SERVICES_MAX];
	unsigned service_count, service_at;
	bool by_naptr;

	struct host *hosts; /* of the service that is being followed, or the target itself */
	unsigned host_count, hosts_first; /* question */
	enum stw_transport transport;     /* of the hosts */

	/* What has been met on the way: */
	bool timed_out, denied, followed, loopback, limited;
	bool naptr_failed, naptr_skipped;
	struct stw_place *places;
	unsigned place_count;
};

static void locate_fail(struct stw_locate *locate, const struct stw_cause *cause)
{
	locate->state = STW_LOCATE_FAILED;
	locate->cause = cause;
}

/* ---- what we can send with ------------------------------------------------------------- */

static bool family_served(
	const struct stw_locate *locate, enum stw_transport transport, unsigned family)
{
	const struct stw_listeners *listeners = locate->options.listeners;

	for (unsigned i = 0; i < listeners->n; i++) {
		if (listeners->v[i].transport == transport &&
			(!family || listeners->v[i].bind.family == family))
			return true;
	}
	return false;
}

/* Names of the network that lead to this machine itself are not followed, unless it is meant so:
 * we listen on loopback. */
static bool loopback_served(const struct stw_locate *locate, enum stw_transport transport)
{
	return locate->options.loopback ||
	       stw_listeners_on_loopback(locate->options.listeners, transport);
}

static unsigned sources_of(const struct stw_locate *locate, struct stw_addr ret[SOURCES_MAX])
{
	const struct stw_locate_options *options = &locate->options;
	unsigned n = 0;

	for (unsigned i = 0; i < options->listeners->n && n < SOURCES_MAX; i++) {
		const struct stw_listener *listener = &options->listeners->v[i];

		if (listener->transport != locate->transport)
			continue;
		if (!stw_addr_is_any(&listener->bind)) {
			ret[n++] = listener->bind;
			continue;
		}
		for (unsigned j = 0; j < options->local_addr_count && n < SOURCES_MAX; j++) {
			if (options->local_addrs[j].family == listener->bind.family)
				ret[n++] = options->local_addrs[j];
		}
	}
	return n;
}

/* §4.1: UDP for sip, TLS over TCP for sips; another one only where we have not even that. */
static enum stw_transport transport_by_default(const struct stw_locate *locate)
{
	if (locate->target.transport_given || locate->target.sips ||
		family_served(locate, STW_TRANSPORT_UDP, 0) ||
		!family_served(locate, STW_TRANSPORT_TCP, 0))
		return locate->target.transport;
	return STW_TRANSPORT_TCP;
}

/* ---- questions ---------------------------------------------------------------------------- */

static bool question_add(struct stw_locate *locate, const struct question *question)
{
	if (locate->question_count == locate->options.max_questions) {
		locate->limited = true;
		return false;
	}
	locate->questions[locate->question_count++] = *question;
	locate->unanswered++;
	return true;
}

/* It was not answered: not even that there is no such record. */
static bool question_failed(const struct stw_dns_answer *answer)
{
	return answer->error && answer->error != -ENOENT;
}

bool stw_locate_ask(struct stw_locate *locate, unsigned *ret_question, struct stw_str *ret_name,
	enum stw_dns_type *ret_type)
{
	struct question *question;

	if (locate->state != STW_LOCATE_ASKING || locate->ask_next == locate->question_count)
		return false;
	question = &locate->questions[locate->ask_next];
	question->asked = true;
	*ret_question = locate->ask_next++;
	*ret_name = question->name;
	*ret_type = question->type;
	return true;
}

/* ---- addresses: §4.2, RFC 7984 §3.1 ---------------------------------------------------------- */

static bool host_is_asked(const struct stw_locate *locate, struct stw_str name)
{
	for (unsigned i = locate->hosts_first; i < locate->question_count; i++) {
		if (stw_str_equal_nocase(locate->questions[i].name, name))
			return true;
	}
	return false;
}

static void host_ask(struct stw_locate *locate, const struct host *host)
{
	struct question question = { .name = host->name, .kind = QUESTION_ADDR };

	if (host_is_asked(locate, host->name))
		return;
	if (family_served(locate, locate->transport, 6)) {
		question.type = STW_DNS_AAAA;
		question_add(locate, &question);
	}
	if (family_served(locate, locate->transport, 4)) {
		question.type = STW_DNS_A;
		question_add(locate, &question);
	}
}

static void hosts_begin(struct stw_locate *locate, enum stw_transport transport, unsigned count)
{
	locate->transport = transport;
	locate->hosts_first = locate->question_count;
	locate->host_count = 0;
	locate->followed = true;
	locate->hosts = stw_arena_zalloc(locate->arena, count * sizeof(*locate->hosts));
	if (!locate->hosts)
		locate_fail(locate, &stw_cause_locate_no_memory);
}

/* The hosts that the SRV records name. */
static void hosts_of_service(struct stw_locate *locate, const struct service *service)
{
	hosts_begin(locate, service->transport, service->count);
	for (unsigned i = 0; locate->hosts && i < service->count; i++) {
		const struct locate_srv *srv = &service->records[i];
		struct host *host = &locate->hosts[locate->host_count++];

		*host = (struct host){ .name = srv->target,
			.service = service->name,
			.priority = srv->priority,
			.weight = srv->weight,
			.port = srv->port };
		host_ask(locate, host);
	}
}

/* The target itself is the host. */
static void hosts_of_target(struct stw_locate *locate, enum stw_transport transport)
{
	uint16_t port = locate->target.port_given;

	hosts_begin(locate, transport, 1);
	if (!locate->hosts)
		return;
	locate->hosts[0].name = locate->target.host;
	locate->hosts[0].port = port ? port : stw_transport_default_port(transport);
	locate->host_count = 1;
	host_ask(locate, &locate->hosts[0]);
}

static void host_take(struct stw_locate *locate, struct host *host,
	const struct stw_dns_record *record, bool local)
{
	struct stw_addr addr = record->addr;

	if (host->count == LOCATE_HOST_ADDRS_MAX || !stw_addr_is_unicast(&addr))
		return;
	if (stw_addr_is_loopback(&addr) && !local && !loopback_served(locate, locate->transport)) {
		locate->loopback = true;
		return;
	}
	addr.port = host->port;
	host->addrs[host->count++] = addr;
}

/* Half of the room at most for one family, so that a long answer does not hide the other. */
static void addr_answered(struct stw_locate *locate, const struct question *question,
	const struct stw_dns_answer *answer)
{
	unsigned n = answer->error ? 0 : answer->n;

	if (n > LOCATE_HOST_ADDRS_MAX / 2)
		n = LOCATE_HOST_ADDRS_MAX / 2;
	for (unsigned i = 0; i < locate->host_count; i++) {
		struct host *host = &locate->hosts[i];

		for (unsigned j = 0; j < n && stw_str_equal_nocase(host->name, question->name); j++)
			host_take(locate, host, &answer->records[j], answer->local);
	}
}

/* ---- the list ----------------------------------------------------------------------------------
 */

static bool place_is_there(const struct stw_locate *locate, const struct stw_addr *addr)
{
	for (unsigned i = 0; i < locate->place_count; i++) {
		if (stw_addr_equal(&locate->places[i].addr, addr))
			return true;
	}
	return false;
}

/* RFC 7984 §4: the addresses of two SRV records are never mixed. */
static void places_of_host(struct stw_locate *locate, struct host *host, unsigned room,
	const struct stw_addr *sources, unsigned source_count)
{
	locate_order_addrs(host->addrs, host->count, sources, source_count);
	for (unsigned i = 0; i < host->count && room > 0; i++) {
		if (place_is_there(locate, &host->addrs[i]))
			continue;
		locate->places[locate->place_count++] = (struct stw_place){
			.transport = locate->transport,
			.addr = host->addrs[i],
			.host = host->name,
			.service = host->service,
			.priority = host->priority,
			.weight = host->weight,
		};
		room--;
	}
}

static void places_make(struct stw_locate *locate)
{
	unsigned max = locate->options.max_places, source_count, behind;
	struct stw_addr sources[SOURCES_MAX];

	locate->places = stw_arena_alloc(locate->arena, max * sizeof(*locate->places));
	if (!locate->places) {
		locate_fail(locate, &stw_cause_locate_no_memory);
		return;
	}
	source_count = sources_of(locate, sources);
	for (unsigned i = 0; i < locate->host_count && locate->place_count < max; i++) {
		/* Each host behind this one keeps room for one address. */
		behind = locate->host_count - 1 - i;
		places_of_host(locate, &locate->hosts[i],
			max - locate->place_count > behind ? max - locate->place_count - behind : 1,
			sources, source_count);
	}
}

/* ---- services: §4.1 ---------------------------------------------------------------------------
 */

static struct service *service_add(
	struct stw_locate *locate, struct stw_str name, enum stw_transport transport)
{
	struct service *service = &locate->services[locate->service_count];

	if (locate->service_count == LOCATE_SERVICES_MAX)
		return NULL;
	*service = (struct service){ .transport = transport };
	if (stw_arena_copy(locate->arena, name, &service->name) < 0) {
		locate_fail(locate, &stw_cause_locate_no_memory);
		return NULL;
	}
	locate->service_count++;
	return service;
}

static void service_ask(struct stw_locate *locate, unsigned index)
{
	struct service *service = &locate->services[index];
	struct question question = {
		.name = service->name, .type = STW_DNS_SRV, .kind = QUESTION_SRV, .service = index
	};

	service->asked = true;
	service->answered = !stw_dns_name_valid(service->name) || !question_add(locate, &question);
}

/* "_sip._udp." and the target; §4.2: _sips wherever the transport is secured. */
static void service_of_target(struct stw_locate *locate, enum stw_transport transport)
{
	static const char *const prefixes[] = {
		[STW_TRANSPORT_UDP] = "_sip._udp",
		[STW_TRANSPORT_TCP] = "_sip._tcp",
		[STW_TRANSPORT_TLS] = "_sips._tcp",
		[STW_TRANSPORT_WS] = "_sip._ws",
		[STW_TRANSPORT_WSS] = "_sips._ws",
	};
	char buffer[STW_DNS_NAME_MAX + 16];
	struct stw_writer writer;

	stw_writer_init(&writer, buffer, sizeof(buffer));
	stw_write_format(&writer, "%s.%.*s", prefixes[transport], STW_STR_ARG(locate->target.host));
	if (!writer.overflow && service_add(locate, stw_writer_text(&writer), transport))
		service_ask(locate, locate->service_count - 1);
}

/* No NAPTR record: a query for each transport that is supported, all at once. */
static void services_guess(struct stw_locate *locate)
{
	static const enum stw_transport plain[] = { STW_TRANSPORT_UDP, STW_TRANSPORT_TCP };

	if (locate->target.sips)
		service_of_target(locate, STW_TRANSPORT_TLS);
	for (unsigned i = 0; !locate->target.sips && i < STW_ARRAY_SIZE(plain); i++) {
		if (family_served(locate, plain[i], 0))
			service_of_target(locate, plain[i]);
	}
}

/* §4.2: the address of the domain is meant when there are no SRV records. Whether there are is not
 * known when the question has failed. */
static void srv_answered(
	struct stw_locate *locate, struct service *service, const struct stw_dns_answer *answer)
{
	unsigned max = locate->options.max_srv;
	struct locate_srv records[STW_DNS_RECORDS_MAX];
	unsigned n = answer->error ? 0 : answer->n;

	service->answered = true;
	locate->timed_out |= question_failed(answer);
	service->count = locate_order_srv(answer->records, n, locate->random, records, max);
	if (!service->count) {
		locate->denied |= n > 0;
		return;
	}
	service->records =
		stw_arena_alloc(locate->arena, service->count * sizeof(*service->records));
	for (unsigned i = 0; service->records && i < service->count; i++) {
		service->records[i] = records[i];
		if (stw_arena_copy(locate->arena, records[i].target, &service->records[i].target) <
			0)
			service->records = NULL;
	}
	if (!service->records)
		locate_fail(locate, &stw_cause_locate_no_memory);
}

/* ---- NAPTR: §4.1, RFC 3403 §4.1
 * ------------------------------------------------------------------ */

static enum stw_transport naptr_transport(struct stw_str service, bool *ret_secured)
{
	static const struct {
		struct stw_str service;
		enum stw_transport transport;
		bool secured;
	} rows[] = {
		{ { "SIP+D2U", 7 }, STW_TRANSPORT_UDP, false },
		{ { "SIP+D2T", 7 }, STW_TRANSPORT_TCP, false },
		{ { "SIPS+D2T", 8 }, STW_TRANSPORT_TLS, true },
		{ { "SIP+D2W", 7 }, STW_TRANSPORT_WS, false },
		{ { "SIPS+D2W", 8 }, STW_TRANSPORT_WSS, true },
	};

	for (unsigned i = 0; i < STW_ARRAY_SIZE(rows); i++) {
		*ret_secured = rows[i].secured;
		if (stw_str_equal_nocase(rows[i].service, service))
			return rows[i].transport;
	}
	return STW_TRANSPORT_NONE;
}

static bool naptr_is_sip(const struct stw_dns_record *record)
{
	static const struct stw_str sip = { "SIP+D2", 6 }, sips = { "SIPS+D2", 7 };

	return stw_str_equal_nocase(stw_str_cut(record->service, 0, sip.len), sip) ||
	       stw_str_equal_nocase(stw_str_cut(record->service, 0, sips.len), sips);
}

static enum stw_transport naptr_usable(
	const struct stw_locate *locate, const struct stw_dns_record *record)
{
	bool secured = false;
	enum stw_transport transport = naptr_transport(record->service, &secured);

	if (!record->terminal_srv || transport == STW_TRANSPORT_NONE ||
		(locate->target.sips && !secured) || !family_served(locate, transport, 0))
		return STW_TRANSPORT_NONE;
	return transport;
}

/* Those of the lowest order that we can use, by preference: a higher order is out of bounds. */
static void services_of_naptr(struct stw_locate *locate, const struct stw_dns_answer *answer)
{
	const struct stw_dns_record *sorted[STW_DNS_RECORDS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < answer->n && count < STW_ARRAY_SIZE(sorted); i++) {
		const struct stw_dns_record *record = &answer->records[i];
		unsigned at = count;

		if (naptr_usable(locate, record) == STW_TRANSPORT_NONE)
			continue;
		for (; at > 0 && (sorted[at - 1]->priority > record->priority ||
					 (sorted[at - 1]->priority == record->priority &&
						 sorted[at - 1]->weight > record->weight));
			at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = record;
		count++;
	}
	for (unsigned i = 0; i < count && sorted[i]->priority == sorted[0]->priority; i++)
		service_add(locate, sorted[i]->target, naptr_usable(locate, sorted[i]));
}

/* Without an answer it goes on as without a record. Who keeps the answer back can so lead a sip URI
 * from TLS to UDP, as whoever forges one; a sips URI asks for the records of TLS alone. */
static void naptr_answered(struct stw_locate *locate, const struct stw_dns_answer *answer)
{
	bool offered = false;

	locate->naptr_failed = question_failed(answer);
	for (unsigned i = 0; !answer->error && i < answer->n; i++)
		offered |= naptr_is_sip(&answer->records[i]);
	if (!offered) {
		services_guess(locate);
		return;
	}
	locate->by_naptr = true;
	services_of_naptr(locate, answer);
	/* The domain says how it can be reached, and we cannot. */
	if (!locate->service_count && locate->state == STW_LOCATE_ASKING)
		locate_fail(locate, &stw_cause_no_listener);
}

/* ---- step by step
 * --------------------------------------------------------------------------------- */

static void locate_give_up(struct stw_locate *locate)
{
	if (locate->timed_out || locate->naptr_failed)
		locate_fail(locate, &stw_cause_name_timeout);
	else if (locate->limited)
		locate_fail(locate, &stw_cause_locate_limit);
	else if (locate->loopback)
		locate_fail(locate, &stw_cause_name_is_loopback);
	else
		locate_fail(locate, &stw_cause_name_not_found);
}

/* No SRV record leads anywhere: the domain refuses, or it has none and its address is meant. */
static void services_used_up(struct stw_locate *locate)
{
	enum stw_transport transport =
		locate->service_count ? locate->services[0].transport : locate->target.transport;

	if (locate->timed_out || locate->followed)
		locate_give_up(locate);
	else if (locate->denied)
		locate_fail(locate, &stw_cause_service_not_offered);
	else
		hosts_of_target(
			locate, locate->by_naptr ? transport : transport_by_default(locate));
}

/* @return true while something more can be done at once */
static bool services_step(struct stw_locate *locate)
{
	struct service *service;

	if (locate->service_at == locate->service_count) {
		services_used_up(locate);
		return true;
	}
	service = &locate->services[locate->service_at];
	if (!service->asked)
		service_ask(locate, locate->service_at);
	if (!service->answered)
		return false;
	if (service->count)
		hosts_of_service(locate, service);
	else
		locate->service_at++;
	return true;
}

static bool hosts_step(struct stw_locate *locate)
{
	for (unsigned i = locate->hosts_first; i < locate->question_count; i++) {
		if (!locate->questions[i].answered)
			return false;
	}
	places_make(locate);
	if (locate->place_count && locate->state == STW_LOCATE_ASKING) {
		locate->state = STW_LOCATE_READY;
	} else if (locate->service_at + 1 < locate->service_count) {
		locate->service_at++;
		locate->hosts = NULL;
	} else if (locate->state == STW_LOCATE_ASKING) {
		locate_give_up(locate);
	}
	return true;
}

static void locate_step(struct stw_locate *locate)
{
	bool more = true;

	while (more && locate->state == STW_LOCATE_ASKING) {
		if (locate->hosts)
			more = hosts_step(locate);
		else
			more = services_step(locate);
	}
}

static void locate_answer(
	struct stw_locate *locate, unsigned index, const struct stw_dns_answer *answer)
{
	struct question *question = &locate->questions[index];

	if (locate->state != STW_LOCATE_ASKING || question->answered)
		return;
	question->answered = true;
	locate->unanswered--;
	switch (question->kind) {
	case QUESTION_NAPTR:
		naptr_answered(locate, answer);
		break;
	case QUESTION_SRV:
		srv_answered(locate, &locate->services[question->service], answer);
		break;
	case QUESTION_ADDR:
		locate->timed_out |= question_failed(answer);
		if (index >= locate->hosts_first)
			addr_answered(locate, question, answer);
		break;
	}
	locate_step(locate);
}

bool stw_locate_usable(const struct stw_locate *locate)
{
	for (unsigned i = 0; locate->state == STW_LOCATE_ASKING && i < locate->host_count; i++) {
		if (locate->hosts && locate->hosts[i].count)
			return true;
	}
	return false;
}

static const struct stw_dns_answer locate_timeout = { .error = -ETIMEDOUT };

void stw_locate_finish(struct stw_locate *locate)
{
	while (locate->state == STW_LOCATE_ASKING) {
		for (unsigned i = 0; i < locate->question_count; i++)
			locate_answer(locate, i, &locate_timeout);
	}
}

void stw_locate_answer(
	struct stw_locate *locate, unsigned index, const struct stw_dns_answer *answer)
{
	if (!locate->naptr_skipped || locate->questions[index].kind != QUESTION_NAPTR)
		locate_answer(locate, index, answer);
	else if (answer->error == -ETIMEDOUT)
		stw_locate_finish(locate);
}

void stw_locate_skip_naptr(struct stw_locate *locate)
{
	if (!locate->question_count || locate->questions[0].kind != QUESTION_NAPTR ||
		locate->questions[0].answered)
		return;
	locate->naptr_skipped = true;
	locate_answer(locate, 0, &locate_timeout);
}

/* ---- begin and end
 * ------------------------------------------------------------------------------------ */

static void locate_number(struct stw_locate *locate)
{
	locate->places = stw_arena_zalloc(locate->arena, sizeof(*locate->places));
	if (!locate->places) {
		locate_fail(locate, &stw_cause_locate_no_memory);
		return;
	}
	locate->places[0].transport = transport_by_default(locate);
	locate->places[0].addr = locate->target.addr;
	if (!locate->target.port_given)
		locate->places[0].addr.port =
			stw_transport_default_port(locate->places[0].transport);
	locate->place_count = 1;
	locate->state = STW_LOCATE_READY;
}

static void locate_begin(struct stw_locate *locate)
{
	const struct stw_target *target = &locate->target;
	struct question naptr = { .name = target->host, .type = STW_DNS_NAPTR };
	enum stw_transport transport = transport_by_default(locate);

	if (!target->need_resolve) {
		locate_number(locate);
		return;
	}
	if (!stw_dns_name_valid(target->host)) {
		locate_fail(locate, &stw_cause_name_not_found);
		return;
	}
	locate->questions = stw_arena_zalloc(
		locate->arena, locate->options.max_questions * sizeof(*locate->questions));
	if (!locate->questions) {
		locate_fail(locate, &stw_cause_locate_no_memory);
		return;
	}
	if (!family_served(locate, transport, 0)) {
		locate_fail(locate, &stw_cause_no_listener);
		return;
	}
	if (target->port_given)
		hosts_of_target(locate, transport);
	else if (target->transport_given)
		service_of_target(locate, transport);
	else
		question_add(locate, &naptr);
}

int stw_locate_new(const struct stw_locate_options *options, const struct stw_target *target,
	struct stw_random *random, struct stw_arena *arena, struct stw_locate **ret)
{
	struct stw_locate *locate = stw_arena_zalloc(arena, sizeof(*locate));

	if (!locate)
		return -ENOMEM;
	locate->options = *options;
	locate->target = *target;
	locate->random = random;
	locate->arena = arena;
	locate->state = STW_LOCATE_ASKING;
	locate_begin(locate);
	if (locate->hosts || locate->service_count)
		locate_step(locate);
	*ret = locate;
	return 0;
}

enum stw_locate_state stw_locate_state(const struct stw_locate *locate)
{
	return locate->state;
}

struct stw_place *stw_locate_places(struct stw_locate *locate, unsigned *ret_count)
{
	*ret_count = locate->place_count;
	return locate->places;
}

const struct stw_cause *stw_locate_cause(const struct stw_locate *locate)
{
	return locate->cause;
}

void stw_place_rule(const struct stw_place *place, struct stw_writer *writer)
{
	if (place->service.len)
		stw_write_format(writer, "SRV %.*s priority %u weight %u, ",
			STW_STR_ARG(place->service), place->priority, place->weight);
	if (place->host.len)
		stw_write_format(writer, "%s of %.*s",
			stw_dns_type_name(place->addr.family == 4 ? STW_DNS_A : STW_DNS_AAAA),
			STW_STR_ARG(place->host));
	else
		stw_write_text(writer, "address in the URI");
}
