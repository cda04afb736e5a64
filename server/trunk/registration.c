/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trunk/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/core_internal.h"
#include "server/decision/decision.h"

#define BYTES_MAX         16384u
#define HEADERS_BYTES     10240u
#define EXPIRES_MAX_S     86400u
#define RETRY_AFTER_MAX_S 3600u
#define STALE_MAX         2 /* answers, when all that was wrong is the age of the nonce */
#define CHALLENGES_MAX    8 /* that are answered in a round, by all servers of a name */

/* RFC 5626 §4.5: 30 s, doubled with each failure, half an hour at most. Who was refused because of
 * what he is does not come back so soon. */
#define WAIT_BASE_S    30u
#define WAIT_MAX_S     1800u
#define WAIT_REFUSED_S 300u

/* The registration of one trunk. */
struct registration {
	struct registration *next;
	struct stw_registrations *all;
	struct stw_arena arena; /* owns the text */
	struct stw_str name, user, password, realm, aor, registrar;
	struct stw_str uris[STW_TRUNK_URIS_MAX];
	unsigned uri_count;
	uint32_t wish_s; /* as configured */
	char contact[STW_TRUNK_CONTACT_BYTES];

	char call_id[STW_CALL_ID_BYTES], tag[STW_TAG_BYTES];
	uint32_t cseq;
	struct stw_digest_client *digest;
	struct stw_client *client; /* the REGISTER under way, or NULL */
	struct stw_alarm alarm;    /* the next one */
	uint32_t expires_s;        /* that is asked for */
	unsigned uri, home;        /* the place that is tried, and where it is registered */
	struct stw_addr place;     /* of its name, who has heard us last; family 0: nobody */
	struct stw_addr home_place;
	bool heard;          /* what comes next belongs there: it answers, or says farewell */
	unsigned answers;    /* to challenges of this place … */
	unsigned challenges; /* … and of all, in this round */
	unsigned failures;   /* rounds in a row */
	bool interval_set;   /* by 423, in this round */
	bool waiting;        /* for another one of its name to be gone */
	bool leaving;        /* it is removed … */
	bool farewell;       /* … with the REGISTER under way: Expires: 0 */
	bool gone;           /* … and no trunk any more: freed when that is over */
	bool told;           /* the record knows that it is registered */
	uint64_t until_ms;   /* registered until then (monotonic) */

	unsigned code; /* the last final response; 0: none came */
	char phrase[64];
	const struct stw_cause *cause; /* of its failure; NULL: it has succeeded */
};

struct stw_registrations {
	struct stw_registrations_options options;
	struct registration *first;
};

static struct stw_now now_of(const struct registration *registration)
{
	return stw_stack_now(registration->all->options.stack);
}

/* ---- the record ---------------------------------------------------------------------------- */

static void registration_note(
	struct registration *registration, const struct stw_msg *msg, const struct stw_cause *cause)
{
	const struct stw_registrations_options *options = &registration->all->options;
	struct stw_refusal refusal = { .cause = cause };
	struct stw_note note = { .kind = STW_NOTE_DECISION,
		.now = now_of(registration),
		.msg = msg,
		.method = STW_METHOD_REGISTER,
		.method_name = STW_STR("REGISTER"),
		.cause = cause,
		.refusal = &refusal };
	char code[16];

	stw_refusal_fact(&refusal, "trunk", registration->name);
	if (registration->code) {
		snprintf(code, sizeof(code), "%u", registration->code);
		stw_refusal_fact(&refusal, "code", stw_str_from(code));
	}
	options->note(options->user, &note);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void registration_free(struct registration *registration)
{
	struct stw_registrations *all = registration->all;
	struct registration **at = &all->first;

	while (*at && *at != registration)
		at = &(*at)->next;
	if (*at)
		*at = registration->next;
	stw_alarm_stop(all->options.stack, &registration->alarm);
	if (registration->client)
		stw_client_forget(registration->client);
	stw_digest_client_free(registration->digest);
	stw_arena_wipe(&registration->arena);
	free(registration);
}

static int texts_copy(struct registration *registration, const struct stw_trunk *trunk)
{
	struct stw_arena *arena = &registration->arena;
	struct stw_uri aor;
	int err = stw_arena_copy(arena, trunk->name, &registration->name);

	if (err == 0)
		err = stw_arena_copy(arena, trunk->user, &registration->user);
	if (err == 0)
		err = stw_arena_copy(arena, trunk->password, &registration->password);
	if (err == 0)
		err = stw_arena_copy(arena, trunk->realm, &registration->realm);
	if (err == 0)
		err = stw_arena_copy(arena, trunk->aor, &registration->aor);
	for (unsigned i = 0; err == 0 && i < trunk->uri_count; i++)
		err = stw_arena_copy(arena, trunk->uris[i], &registration->uris[i]);
	registration->uri_count = trunk->uri_count;
	/* §10.2: the Request-URI names the domain, without a user. */
	if (err == 0 && stw_uri_parse(registration->aor, &aor) == 0)
		err = stw_arena_printf(arena, &registration->registrar,
			aor.host_kind == STW_HOST_IPV6 ? "sip:[%.*s]" : "sip:%.*s",
			STW_STR_ARG(aor.host));
	return err;
}

static bool registration_is(const struct registration *registration, const struct stw_trunk *trunk)
{
	if (!stw_str_equal(registration->name, trunk->name) ||
		!stw_str_equal(registration->user, trunk->user) ||
		!stw_str_equal(registration->password, trunk->password) ||
		!stw_str_equal(registration->realm, trunk->realm) ||
		!stw_str_equal(registration->aor, trunk->aor) ||
		registration->wish_s != trunk->expires_s ||
		registration->uri_count != trunk->uri_count)
		return false;
	for (unsigned i = 0; i < trunk->uri_count; i++) {
		if (!stw_str_equal(registration->uris[i], trunk->uris[i]))
			return false;
	}
	return true;
}

static void registration_fired(struct stw_alarm *alarm);

static struct registration *registration_new(
	struct stw_registrations *all, const struct stw_trunk *trunk)
{
	struct registration *registration = calloc(1, sizeof(*registration));
	struct registration **end = &all->first;

	if (!registration)
		return NULL;
	registration->all = all;
	registration->alarm.fired = registration_fired;
	stw_arena_init(&registration->arena, BYTES_MAX);
	if (texts_copy(registration, trunk) < 0 ||
		stw_digest_client_new(registration->user, registration->password,
			registration->realm, &registration->digest) < 0) {
		registration_free(registration);
		return NULL;
	}
	registration->waiting = true;
	registration->wish_s = registration->expires_s = trunk->expires_s;
	stw_stack_call_id(all->options.stack, registration->call_id);
	stw_stack_tag(all->options.stack, registration->tag);
	stw_trunk_contact(all->options.key, registration->name, registration->contact);
	registration->contact[STW_TRUNK_CONTACT_BYTES - 1] = '\0';
	while (*end)
		end = &(*end)->next;
	*end = registration;
	return registration;
}

/* ---- sending -------------------------------------------------------------------------------- */

static void registration_response(
	void *user, struct stw_client *client, const struct stw_msg *response);
static void registration_failed(
	void *user, struct stw_client *client, const struct stw_cause *cause);

static const struct stw_client_ops registration_ops = {
	.response = registration_response,
	.failed = registration_failed,
};

static int headers_write(struct registration *registration, struct stw_writer *writer)
{
	struct stw_digest_request sign = { .method = STW_STR("REGISTER"),
		.uri = registration->registrar,
		.random = stw_stack_random(registration->all->options.stack) };

	stw_write_format(writer,
		"From: <%.*s>;tag=%s\r\nTo: <%.*s>\r\nCall-ID: %s\r\nCSeq: %u REGISTER\r\n"
		"Expires: %u\r\n",
		STW_STR_ARG(registration->aor), registration->tag, STW_STR_ARG(registration->aor),
		registration->call_id, (unsigned)++registration->cseq,
		registration->farewell ? 0 : (unsigned)registration->expires_s);
	return stw_digest_client_write(registration->digest, writer, &sign);
}

/* The nth answer of a round, or the first of a new one. */
static void registration_send(struct registration *registration)
{
	struct stw_stack *stack = registration->all->options.stack;
	char buffer[HEADERS_BYTES];
	struct stw_client_job job = { .method = STW_STR("REGISTER"),
		.uri = registration->registrar,
		.outbound = registration->uris[registration->uri],
		.prefer = &registration->place,
		.prefer_always = registration->heard,
		.contact = true,
		.contact_user = { registration->contact, STW_TRUNK_CONTACT_BYTES - 1 },
		.ops = &registration_ops,
		.user = registration };
	struct stw_writer writer;
	int err;

	stw_alarm_stop(stack, &registration->alarm);
	stw_writer_init(&writer, buffer, sizeof(buffer));
	err = headers_write(registration, &writer);
	job.headers = stw_writer_text(&writer);
	if (err == 0)
		err = writer.overflow ? -ENOBUFS
				      : stw_stack_originate(stack, &job, &registration->client);
	if (err < 0)
		registration_failed(registration, NULL, &stw_cause_out_of_memory);
}

static void round_begin(struct registration *registration)
{
	registration->uri = 0;
	registration->heard = false;
	registration->answers = registration->challenges = 0;
	registration->interval_set = false;
	registration_send(registration);
}

static void registration_fired(struct stw_alarm *alarm)
{
	round_begin(STW_CONTAINER_OF(alarm, struct registration, alarm));
}

/* The Contact is made of the name: what removes the old one would remove the new one, at the same
 * registrar. */
static bool contact_is_free(const struct registration *registration)
{
	const struct registration *other = registration->all->first;

	while (other && !(other->gone && stw_str_equal(other->name, registration->name) &&
				stw_str_equal(other->aor, registration->aor)))
		other = other->next;
	return !other;
}

static void registrations_begin(struct stw_registrations *all)
{
	struct registration *registration = all->first;

	for (; registration; registration = registration->next) {
		if (!registration->waiting || registration->leaving ||
			!contact_is_free(registration))
			continue;
		registration->waiting = false;
		round_begin(registration);
	}
}

/* ---- what comes of it ------------------------------------------------------------------------ */

/* True: it was the last word, and the registration is no more. */
static bool registration_left(struct registration *registration)
{
	struct stw_registrations *all = registration->all;

	if (!registration->leaving)
		return false;
	registration->until_ms = 0;
	if (registration->gone) {
		registration_free(registration);
		registrations_begin(all);
	}
	return true;
}

/* What is not registered needs no farewell; what is, only where it is. */
static void registration_part(struct registration *registration)
{
	if (registration->until_ms <= now_of(registration).mono_ms) {
		registration_left(registration);
		return;
	}
	registration->farewell = true;
	registration->uri = registration->home;
	registration->place = registration->home_place;
	registration->heard = true;
	registration->answers = registration->challenges = 0;
	registration_send(registration);
}

/* Between half of it and all: not everybody comes back at once. */
static uint32_t wait_of(const struct registration *registration, uint32_t at_least_s)
{
	unsigned shift = registration->failures < 7 ? registration->failures : 7;
	uint32_t wait_s = WAIT_BASE_S << shift;

	if (wait_s > WAIT_MAX_S)
		wait_s = WAIT_MAX_S;
	wait_s -= (uint32_t)(stw_random_next(stw_stack_random(registration->all->options.stack)) %
			     (wait_s / 2 + 1));
	return wait_s < at_least_s ? at_least_s : wait_s;
}

/* Another place of the trunk, else later. */
static void round_failed(struct registration *registration, const struct stw_cause *cause,
	const struct stw_msg *msg, uint32_t at_least_s)
{
	struct stw_stack *stack = registration->all->options.stack;

	registration->cause = cause;
	registration_note(registration, msg, cause);
	registration->told = false;
	registration->place.family = 0;
	if (registration_left(registration))
		return;
	if (registration->uri + 1 < registration->uri_count) {
		registration->uri++;
		registration->answers = registration->challenges = 0;
		registration_send(registration);
		return;
	}
	stw_alarm_start(
		stack, &registration->alarm, (uint64_t)wait_of(registration, at_least_s) * 1000);
	registration->failures++;
}

static void registration_failed(
	void *user, struct stw_client *client, const struct stw_cause *cause)
{
	struct registration *registration = user;
	const struct stw_msg *request = client ? stw_client_request(client) : NULL;

	registration->client = NULL;
	registration->code = 0;
	registration->phrase[0] = '\0';
	if (registration->leaving && !registration->farewell)
		registration_part(registration);
	else
		round_failed(registration, cause, request, 0);
}

/* Our Contact in the 200 says for how long, else Expires, else what we have asked for. */
static bool granted(
	const struct registration *registration, const struct stw_msg *response, uint32_t *ret_s)
{
	struct stw_values values = stw_msg_values(response, STW_HDR_CONTACT);
	struct stw_str value, expires, contact = stw_str_from(registration->contact);
	struct stw_address address;
	uint64_t seconds;

	if (stw_msg_number(response, STW_HDR_EXPIRES, UINT32_MAX, &seconds) < 0)
		seconds = registration->expires_s;
	while (stw_values_next(&values, &value)) {
		if (stw_address_parse(value, &address) < 0 || address.wildcard ||
			!stw_str_equal(address.uri.user, contact))
			continue;
		if (stw_param_find(address.params, STW_STR("expires"), &expires))
			(void)stw_str_to_uint(expires, UINT32_MAX, &seconds);
		*ret_s = (uint32_t)seconds;
		return seconds > 0;
	}
	return false;
}

/* Between seven and nine tenths of the time: a lost REGISTER has time for its repetitions. */
static uint64_t refresh_ms(struct registration *registration, uint32_t granted_s)
{
	struct stw_random *random = stw_stack_random(registration->all->options.stack);

	return (uint64_t)granted_s * (700 + stw_random_next(random) % 200);
}

static void registration_kept(struct registration *registration, uint32_t granted_s)
{
	registration->home = registration->uri;
	registration->home_place = registration->place;
	registration->until_ms = now_of(registration).mono_ms + (uint64_t)granted_s * 1000;
}

/* It was under way when the registration had to leave. */
static void registration_late(struct registration *registration, const struct stw_msg *response)
{
	uint32_t granted_s;

	if (response->code < 300 && granted(registration, response, &granted_s))
		registration_kept(registration, granted_s);
	registration_part(registration);
}

static void registration_succeeded(
	struct registration *registration, const struct stw_msg *response)
{
	struct stw_stack *stack = registration->all->options.stack;
	uint32_t granted_s;

	if (registration->leaving) {
		registration_note(registration, response, &stw_cause_trunk_left);
		registration_left(registration);
		return;
	}
	if (!granted(registration, response, &granted_s)) {
		round_failed(registration, &stw_cause_trunk_not_kept, response, 0);
		return;
	}
	registration->cause = NULL;
	registration->failures = 0;
	registration_kept(registration, granted_s);
	board_set(registration->all->options.board, registration->name, registration->until_ms);
	if (!registration->told)
		registration_note(registration, response, &stw_cause_trunk_registered);
	registration->told = true;
	stw_alarm_start(stack, &registration->alarm, refresh_ms(registration, granted_s));
}

static void registration_challenged(
	struct registration *registration, const struct stw_msg *response)
{
	bool stale = false;
	int err = stw_digest_client_challenged(registration->digest, response, &stale);

	if (err == 0 && registration->answers < (stale ? STALE_MAX : 1) &&
		registration->challenges < CHALLENGES_MAX) {
		registration->challenges++;
		registration->answers++;
		registration_send(registration);
		return;
	}
	stw_digest_client_refused(registration->digest, response);
	round_failed(registration, err < 0 ? &stw_cause_trunk_challenge : &stw_cause_trunk_password,
		response, WAIT_REFUSED_S);
}

/* §10.2.8: the time was too short. Once in a round, and no longer than a day. */
static bool interval_raised(struct registration *registration, const struct stw_msg *response)
{
	uint64_t min_s;

	if (registration->interval_set || registration->leaving ||
		stw_msg_number(response, STW_HDR_MIN_EXPIRES, UINT32_MAX, &min_s) < 0 ||
		min_s <= registration->expires_s || min_s > EXPIRES_MAX_S)
		return false;
	registration->interval_set = true;
	registration->expires_s = (uint32_t)min_s;
	return true;
}

static uint32_t retry_after_s(const struct stw_msg *response)
{
	struct stw_str value = stw_msg_value(response, STW_HDR_RETRY_AFTER);
	size_t digits = 0;
	uint64_t seconds = 0;

	while (digits < value.len && value.ptr[digits] >= '0' && value.ptr[digits] <= '9')
		digits++;
	if (stw_str_to_uint(stw_str_cut(value, 0, digits), RETRY_AFTER_MAX_S, &seconds) == -ERANGE)
		seconds = RETRY_AFTER_MAX_S;
	return (uint32_t)seconds;
}

/* RFC 3263 §4.3: a name may have several servers, each with nonces and bindings of its own. What
 * comes next goes to the same one, for as long as it can be reached; the next round only among
 * those of the best priority. */
static void registration_heard(struct registration *registration, const struct stw_client *client)
{
	const struct stw_addr *place = &stw_client_hop(client)->remote;

	if (!stw_addr_equal(place, &registration->place))
		registration->answers = 0;
	registration->place = *place;
	registration->heard = true;
}

static void registration_response(
	void *user, struct stw_client *client, const struct stw_msg *response)
{
	struct registration *registration = user;
	uint32_t wait_s;

	if (response->code < 200)
		return;
	stw_client_forget(client);
	registration_heard(registration, client);
	registration->client = NULL;
	registration->code = response->code;
	snprintf(registration->phrase, sizeof(registration->phrase), "%.*s",
		STW_STR_ARG(stw_msg_phrase(response)));
	if (registration->leaving && !registration->farewell) {
		registration_late(registration, response);
	} else if (response->code < 300) {
		registration_succeeded(registration, response);
	} else if (response->code == 401 || response->code == 407) {
		registration_challenged(registration, response);
	} else if (response->code == 423 && interval_raised(registration, response)) {
		registration_send(registration);
	} else {
		wait_s = retry_after_s(response);
		if (wait_s < WAIT_REFUSED_S && response->code != 408 && response->code / 100 != 5)
			wait_s = WAIT_REFUSED_S;
		round_failed(registration, &stw_cause_trunk_refused, response, wait_s);
	}
}

/* ---- all of them ----------------------------------------------------------------------------- */

int stw_registrations_new(
	const struct stw_registrations_options *options, struct stw_registrations **ret)
{
	struct stw_registrations *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->options = *options;
	*ret = all;
	return 0;
}

/* §10.2: not before the last one is answered, or it might be the last to arrive. A server that ends
 * has no time for that when it is registered. */
static bool waits_for_answer(const struct registration *registration)
{
	return registration->client &&
	       (registration->gone || registration->until_ms <= now_of(registration).mono_ms);
}

static void registration_leave(struct registration *registration)
{
	if (registration->leaving)
		return;
	registration->leaving = true;
	board_set(registration->all->options.board, registration->name, 0);
	stw_alarm_stop(registration->all->options.stack, &registration->alarm);
	if (waits_for_answer(registration))
		return;
	if (registration->client)
		stw_client_forget(registration->client);
	registration->client = NULL;
	registration_part(registration);
}

static struct registration *registration_find(
	const struct stw_registrations *all, const struct stw_trunk *trunk)
{
	struct registration *registration = all->first;

	while (registration && (registration->leaving || !registration_is(registration, trunk)))
		registration = registration->next;
	return registration;
}

static bool config_has(const struct stw_config *config, const struct registration *registration)
{
	for (unsigned i = 0; i < config->trunk_count; i++) {
		if (config->trunks[i].registers &&
			registration_is(registration, &config->trunks[i]))
			return true;
	}
	return false;
}

void stw_registrations_set(struct stw_registrations *all, const struct stw_config *config)
{
	struct registration *registration = all->first, *next;

	for (; registration; registration = next) {
		next = registration->next;
		if (registration->leaving || config_has(config, registration))
			continue;
		registration->gone = true;
		registration_leave(registration);
	}
	for (unsigned i = 0; i < config->trunk_count; i++) {
		if (!config->trunks[i].registers || registration_find(all, &config->trunks[i]))
			continue;
		(void)registration_new(all, &config->trunks[i]);
	}
	registrations_begin(all);
}

void stw_registrations_leave(struct stw_registrations *all)
{
	struct registration *registration = all->first, *next;

	for (; registration; registration = next) {
		next = registration->next;
		registration_leave(registration);
	}
}

json_t *stw_registrations_report(const struct stw_registrations *all, struct stw_now now)
{
	const struct registration *registration = all->first;
	json_t *list = json_array();

	for (; registration; registration = registration->next) {
		uint64_t until_ms = registration->until_ms, next_ms = 0;
		json_t *entry;

		if (registration->gone)
			continue;
		if (stw_timer_running(&registration->alarm.timer))
			next_ms = registration->alarm.timer.due_ms;
		entry = json_pack("{s:o, s:b, s:I, s:I, s:i, s:o, s:s}", "name",
			stw_json_text(registration->name), "registered", until_ms > now.mono_ms,
			"until_s",
			(json_int_t)(until_ms > now.mono_ms ? (until_ms - now.mono_ms) / 1000 : 0),
			"next_s",
			(json_int_t)(next_ms > now.mono_ms ? (next_ms - now.mono_ms) / 1000 : 0),
			"code", (int)registration->code, "phrase",
			stw_json_text(stw_str_from(registration->phrase)), "cause",
			registration->cause ? registration->cause->id : "");
		if (entry)
			json_array_append_new(list, entry);
	}
	return list;
}

struct stw_registrations *stw_registrations_free(struct stw_registrations *all)
{
	if (!all)
		return NULL;
	while (all->first)
		registration_free(all->first);
	free(all);
	return NULL;
}
