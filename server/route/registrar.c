/* SPDX-License-Identifier: Apache-2.0 */
/* List R: RFC 3261 §10.3 in its order. The store decides R15 and commits; then the 200 leaves. */
#include "server/route/route.h"

#define ANSWER_FEW_BYTES 2048

/* A REGISTER that waits for the store. */
struct registration {
	struct stw_job job;
	struct stw_register want;
	bool nonce_ages; /* the 200 names the next one */
};

/* The priority of a REGISTER is not looked at. */
static bool is_supported(const struct stw_check *check, struct stw_str tag)
{
	(void)check;
	return stw_proxy_supports(tag, false);
}

static enum stw_verdict check_require(struct stw_check *check)
{
	return stw_route_require(check, is_supported, &stw_cause_extension_unsupported);
}

static enum stw_verdict check_credentials(struct stw_check *check)
{
	if (!check->config->auth.required)
		return STW_PASS;
	return stw_route_authenticate(check, STW_HDR_AUTHORIZATION, check->domain);
}

/* R7 and R8: To names whose bindings are meant. A domain that is not ours, or no such user: 404;
 * somebody else's bindings: 403. */
static enum stw_verdict check_aor(struct stw_check *check)
{
	const struct stw_uri *to = &check->request->msg->to.uri;
	struct stw_str domain, aor;
	bool own;

	if (to->scheme != STW_SCHEME_SIP && to->scheme != STW_SCHEME_SIPS)
		return stw_route_refuse(check, &stw_cause_bad_to_scheme);
	domain = stw_route_domain(check->core, to);
	if (!domain.len)
		return stw_route_refuse(check, &stw_cause_domain_not_served);
	if (stw_route_aor(check, to, domain, &aor) < 0)
		return stw_route_refuse(check, &stw_cause_aor_unknown);
	stw_refusal_fact(&check->refusal, "aor", aor);
	own = stw_str_equal(aor, check->user_aor);
	/* An address that is nobody's can be refused to nobody in particular: 404 also for a user
	 * of ours. */
	if (!own && !stw_directory_find(check->core->options.directory, aor))
		return stw_route_refuse(check, &stw_cause_aor_unknown);
	if (check->config->auth.required && !own) {
		stw_refusal_fact(&check->refusal, "user", check->user_aor);
		return stw_route_refuse(check, &stw_cause_not_own_aor);
	}
	check->registration->aor = aor;
	return STW_PASS;
}

static struct stw_registrar_options registrar_options(const struct stw_config *config)
{
	return (struct stw_registrar_options){
		.min_expires_s = config->registration.min_expires_s,
		.max_expires_s = config->registration.max_expires_s,
		.default_expires_s = config->registration.default_expires_s,
		.max_bindings = config->registration.max_bindings,
		.exclusive = config->registration.exclusive,
		.rfc2543 = config->limits.message.rfc2543,
	};
}

static enum stw_verdict check_contacts(struct stw_check *check)
{
	struct stw_registrar_options options = registrar_options(check->config);
	struct stw_str aor = check->registration->aor, headers = STW_STR_NONE;
	const struct stw_cause *cause;

	cause = stw_register_parse(check->request->msg, aor, &check->request->source, &options,
		check->registration, &headers);
	if (!cause)
		return STW_PASS;
	/* The parsed registration goes away; the lines live on in the request's arena. */
	if (stw_arena_copy(&check->request->arena, headers, &check->refusal.headers) < 0)
		cause = &stw_cause_out_of_memory;
	if (cause == &stw_cause_interval_too_brief)
		check->refusal.option = "registration.min_expires";
	return stw_route_refuse(check, cause);
}

static enum stw_verdict submit(struct stw_check *check)
{
	struct registration *registration =
		STW_CONTAINER_OF(check->registration, struct registration, want);
	struct stw_core *core = check->core;

	if (core->options.trial) {
		stw_request_respond(check->request, 200, STW_STR_NONE, &stw_cause_registered);
		return STW_DONE;
	}
	if (stw_request_wait(check->request) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	/* U8: only here, since what is refused before has no transaction to be compared with. */
	if (stw_tx_is_merged(check->request->tx, check->request->msg))
		return stw_route_refuse(check, &stw_cause_register_merged);
	registration->job.kind = STW_JOB_REGISTER;
	registration->job.queue = core->options.worker;
	registration->job.context = check->request;
	registration->job.now = core->now;
	registration->job.registration = &registration->want;
	registration->job.registrar = registrar_options(check->config);
	registration->job.removed_users = check->removed_users;
	if (stw_store_submit(core->options.store, &registration->job) < 0) {
		check->refusal.headers = STW_STR("Retry-After: 5\r\n");
		return stw_route_refuse(check, &stw_cause_store_unavailable);
	}
	registration->nonce_ages = check->nonce_ages;
	core->pending_jobs++;
	check->registration = NULL;
	return STW_DONE;
}

static enum stw_verdict run_registration(struct stw_check *check)
{
	static const struct stw_check_row rows[] = {
		{ "R7-R8", check_aor },
		{ "R9-R14", check_contacts },
		{ "R15", submit },
		{ NULL, NULL },
	};
	struct registration *registration = stw_memory_take_zeros(sizeof(*registration));
	enum stw_verdict verdict = STW_PASS;
	unsigned i;

	if (!registration)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	check->registration = &registration->want;
	for (i = 0; rows[i].run && verdict == STW_PASS; i++)
		verdict = rows[i].run(check);
	if (check->registration) {
		stw_register_done(&registration->want);
		stw_memory_give(registration, sizeof(*registration));
	}
	return verdict;
}

const struct stw_check_row stw_route_registrar_rows[] = {
	{ "R5", check_require },
	{ "R6", check_credentials },
	{ "R7-R15", run_registration },
	{ NULL, NULL },
};

/* ---- R16 ------------------------------------------------------------------------------ */

static size_t contacts_capacity(const struct stw_bindings *bindings, struct stw_str path)
{
	return (bindings ? stw_bindings_bytes(bindings) + 96 * (size_t)bindings->n : 0) + path.len +
	       STW_DATE_BYTES + 256;
}

/* RFC 7616 §3.5: the next nonce comes with the 200, so that a phone that refreshes is not
 * challenged again. */
static void write_next_nonce(
	struct stw_core *core, struct stw_request *request, struct stw_writer *writer)
{
	struct stw_str realm = stw_route_domain(core, &request->routing.uri);
	struct stw_credentials credentials;

	if (realm.len &&
		stw_credentials_find(request->msg, STW_HDR_AUTHORIZATION, realm, &credentials) == 0)
		stw_auth_info_write(writer, core->nonces, &credentials,
			stw_addr_network(&request->source.remote),
			stw_random_next(stw_request_random(request)), core->now);
}

/* "The response SHOULD include a Date header field" (step 8): phones without a clock live by it. */
static void write_date(struct stw_core *core, struct stw_writer *writer)
{
	int64_t now_s = core->now.wall_ms / 1000;

	if (core->date_s != now_s || !core->date[0])
		stw_date_write(now_s, core->date);
	core->date_s = now_s;
	stw_write_text(writer, "Date: ");
	stw_write_text(writer, core->date);
	stw_write_text(writer, "\r\n");
}

static void answer_ok(
	struct stw_core *core, struct stw_request *request, struct registration *registration)
{
	const struct stw_bindings *bindings = registration->job.result;
	size_t capacity = contacts_capacity(bindings, registration->want.echo_path);
	struct stw_refusal refusal = { .cause = &stw_cause_out_of_memory };
	char few[ANSWER_FEW_BYTES], *buffer = few;
	struct stw_writer writer;

	/* What is in the arena of the request stays until Timer J, and this is copied anyway. */
	if (capacity > sizeof(few))
		buffer = stw_arena_bytes(&request->arena, capacity);
	if (!buffer) {
		stw_request_refuse(request, &refusal);
		return;
	}
	stw_writer_init(&writer, buffer, capacity);
	if (bindings)
		stw_bindings_write_contacts(&writer, bindings, core->now);
	stw_write_str(&writer, registration->want.echo_path);
	write_date(core, &writer);
	if (registration->nonce_ages)
		write_next_nonce(core, request, &writer);
	stw_request_respond(request, 200, stw_writer_text(&writer), &stw_cause_registered);
}

void stw_route_registered(struct stw_core *core, struct stw_request *request, struct stw_job *job)
{
	struct registration *registration = STW_CONTAINER_OF(job, struct registration, job);
	struct stw_refusal refusal = { .cause = job->cause };

	if (job->cause) {
		stw_refusal_fact(&refusal, "aor", registration->want.aor);
		if (job->cause == &stw_cause_too_many_bindings)
			refusal.option = "registration.max_bindings";
		else if (job->cause == &stw_cause_action_conflict)
			refusal.option = "legacy.rfc2543";
		else if (job->cause == &stw_cause_device_conflict ||
			 job->cause == &stw_cause_device_conflict_legacy)
			refusal.option = "registration.exclusive";
		stw_request_refuse(request, &refusal);
	} else {
		if (job->result)
			stw_route_proven(core, request);
		answer_ok(core, request, registration);
	}
	stw_register_done(&registration->want);
	stw_memory_give(registration, sizeof(*registration));
}
