/* SPDX-License-Identifier: Apache-2.0 */
/* What a REGISTER asks for: RFC 3261 §10.3 steps 6 and 7 as far as the request alone decides them.
 */
#include <strowger/registrar.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* All the text that one request may leave with us. A message is 64 KiB at most. */
#define REGISTER_BYTES_MAX (256 * 1024)
/* What each binding keeps of it. */
#define CONTACT_BYTES_MAX    2048
#define PATH_BYTES_MAX       2048
#define USER_AGENT_BYTES_MAX 128
#define CALL_ID_BYTES_MAX    255
/* "requested expiration interval … smaller than one hour" (§10.3 step 7). */
#define HOUR_S 3600
/* "Malformed values SHOULD be treated as equivalent to 3600" (§20.10, §20.19). */
#define MALFORMED_EXPIRES_S 3600

struct reader {
	const struct stw_msg *msg;
	const struct stw_registrar_options *options;
	struct stw_register *request;
	struct stw_binding common; /* what all contacts of the request share */
	unsigned capacity;         /* of request->contacts */
	uint32_t expires_s;        /* where a Contact has no parameter of its own */
	bool expires_given;        /* by the Expires header field, well-formed */
	bool too_brief;
	bool secure; /* Request-URI and each Path value are of the sips scheme */
};

/* A folded line becomes one line again (§7.3.1): CR and LF never reach a response of ours. */
static int copy_unfolded(struct stw_arena *arena, struct stw_str text, struct stw_str *ret)
{
	char *copy = stw_arena_bytes(arena, text.len);
	size_t i;

	if (!copy)
		return -ENOMEM;
	for (i = 0; i < text.len; i++)
		copy[i] = text.ptr[i] == '\r' || text.ptr[i] == '\n' ? ' ' : text.ptr[i];
	*ret = (struct stw_str){ copy, text.len };
	return 0;
}

/* ---- Path, RFC 3327 ---------------------------------------------------------------- */

/* Path-value = name-addr *( SEMI rr-param ), with a URI that a Route can hold. */
static bool path_value_valid(struct stw_str value, struct stw_address *ret)
{
	return stw_address_parse(value, ret) == 0 && ret->in_brackets &&
	       (ret->uri.scheme == STW_SCHEME_SIP || ret->uri.scheme == STW_SCHEME_SIPS);
}

static const struct stw_cause *read_path_values(struct reader *reader)
{
	struct stw_values values = stw_msg_values(reader->msg, STW_HDR_PATH);
	char text[PATH_BYTES_MAX];
	struct stw_address address;
	struct stw_writer writer;
	struct stw_str value;

	stw_writer_init(&writer, text, sizeof(text));
	while (stw_values_next(&values, &value)) {
		if (!path_value_valid(value, &address))
			return &stw_cause_bad_path;
		reader->secure = reader->secure && address.uri.scheme == STW_SCHEME_SIPS;
		if (writer.len)
			stw_write_text(&writer, ", ");
		stw_write_str(&writer, value);
	}
	if (writer.overflow)
		return &stw_cause_bad_path;
	if (copy_unfolded(&reader->request->arena, stw_writer_text(&writer), &reader->common.path) <
		0)
		return &stw_cause_register_no_memory;
	return NULL;
}

/* §5.3: the registrar stores the values with the binding and copies them into the 200. */
static const struct stw_cause *read_path(struct reader *reader, struct stw_str *ret_headers)
{
	struct stw_register *request = reader->request;
	const struct stw_cause *cause;

	if (!stw_msg_find(reader->msg, STW_HDR_PATH))
		return NULL;
	if (!stw_msg_has_token(reader->msg, STW_HDR_SUPPORTED, STW_STR("path"))) {
		*ret_headers = STW_STR("Unsupported: path\r\n");
		return &stw_cause_path_not_supported;
	}
	cause = read_path_values(reader);
	if (!cause && reader->common.path.len &&
		stw_arena_printf(&request->arena, &request->echo_path, "Path: %.*s\r\n",
			STW_STR_ARG(reader->common.path)) < 0)
		cause = &stw_cause_register_no_memory;
	return cause;
}

/* ---- Contact ------------------------------------------------------------------------ */

/* 0: it is not kept elsewhere; else a bit of its own. */
static unsigned kept_elsewhere(struct stw_str name)
{
	if (stw_str_equal_nocase(name, STW_STR("q")))
		return 1;
	return stw_str_equal_nocase(name, STW_STR("expires")) ? 2 : 0;
}

/* The contact parameters but q and expires, which change and are written anew. */
static const struct stw_cause *read_params(
	struct reader *reader, struct stw_str params, struct stw_binding *binding)
{
	char text[CONTACT_BYTES_MAX];
	struct stw_writer writer;
	struct stw_param param;
	unsigned kept, seen = 0;
	size_t at = 0;
	int more;

	stw_writer_init(&writer, text, sizeof(text));
	while ((more = stw_param_next(params, &at, &param)) > 0) {
		kept = kept_elsewhere(param.name);
		if (kept & seen)
			return &stw_cause_parameter_repeated;
		seen |= kept;
		if (kept)
			continue;
		stw_write_char(&writer, ';');
		stw_write_str(&writer, param.name);
		if (!param.value.ptr)
			continue;
		stw_write_char(&writer, '=');
		stw_write_str(&writer, param.value);
	}
	if (more < 0 || writer.overflow)
		return &stw_cause_bad_contact;
	if (copy_unfolded(&reader->request->arena, stw_writer_text(&writer), &binding->params) < 0)
		return &stw_cause_register_no_memory;
	return NULL;
}

static const struct stw_cause *read_q(struct stw_str params, struct stw_binding *binding)
{
	struct stw_str value;
	unsigned q = 1000;

	if (stw_param_find(params, STW_STR("q"), &value) &&
		(!value.ptr || stw_qvalue_parse(value, &q) < 0))
		return &stw_cause_bad_contact;
	binding->q = (uint16_t)q;
	return NULL;
}

/* RFC 5626 §4.1: +sip.instance="<urn:…>". */
static const struct stw_cause *read_instance(struct reader *reader, struct stw_binding *binding)
{
	struct stw_str value;
	char *text;

	if (!stw_param_find(binding->params, STW_STR("+sip.instance"), &value) || !value.len)
		return NULL;
	text = stw_arena_bytes(&reader->request->arena, value.len);
	if (!text)
		return &stw_cause_register_no_memory;
	binding->instance = stw_unquote(value, text);
	return NULL;
}

/*
 * "expires" of the Contact, else Expires, else the default; what is malformed counts as an hour
 * (§20.10, §20.19). Only what was asked for can be too brief. Longer than we grant is shortened.
 */
static uint32_t contact_expires(struct reader *reader, struct stw_str params)
{
	const struct stw_registrar_options *options = reader->options;
	uint32_t expires_s = reader->expires_s;
	bool given = reader->expires_given;
	struct stw_str value;

	if (stw_param_find(params, STW_STR("expires"), &value)) {
		given = value.ptr && stw_delta_seconds_parse(value, &expires_s) == 0;
		if (!given)
			expires_s = MALFORMED_EXPIRES_S;
	}
	if (given && expires_s > 0 && expires_s < options->min_expires_s && expires_s < HOUR_S)
		reader->too_brief = true;
	return expires_s < options->max_expires_s ? expires_s : options->max_expires_s;
}

/* R11: calls to such a contact would come back here, with whatever parameters it is reached by. */
static bool is_aor(struct reader *reader, const struct stw_uri *uri)
{
	struct stw_str aor, maddr;

	if (uri->port || uri->headers.len || stw_uri_param(uri, STW_STR("maddr"), &maddr))
		return false;
	return stw_aor_canonical(uri, &reader->request->arena, &aor) == 0 &&
	       stw_str_equal(aor, reader->request->aor);
}

/* Most requests have one. */
static int contact_room(struct reader *reader)
{
	struct stw_register *request = reader->request;
	unsigned capacity = reader->capacity ? 4 * reader->capacity : 1;
	struct stw_register_contact *contacts;

	if (request->n < reader->capacity)
		return 0;
	contacts = stw_arena_alloc(&request->arena, capacity * sizeof(*contacts));
	if (!contacts)
		return -ENOMEM;
	if (request->n)
		memcpy(contacts, request->contacts, request->n * sizeof(*contacts));
	request->contacts = contacts;
	reader->capacity = capacity;
	return 0;
}

static const struct stw_cause *read_contact(
	struct reader *reader, const struct stw_address *address)
{
	struct stw_register *request = reader->request;
	struct stw_binding *binding;
	const struct stw_cause *cause;
	uint32_t expires_s;

	if (request->n == STW_REGISTER_CONTACTS_MAX)
		return &stw_cause_too_many_bindings;
	if (contact_room(reader) < 0)
		return &stw_cause_register_no_memory;
	binding = &request->contacts[request->n].binding;
	*binding = reader->common;
	if (address->uri.text.len > CONTACT_BYTES_MAX)
		return &stw_cause_bad_contact;
	if (stw_arena_copy(&request->arena, address->uri.text, &binding->uri) < 0)
		return &stw_cause_register_no_memory;
	cause = read_params(reader, address->params, binding);
	if (!cause)
		cause = read_q(address->params, binding);
	if (!cause)
		cause = read_instance(reader, binding);
	if (cause)
		return cause;
	expires_s = contact_expires(reader, address->params);
	/* RFC 5630 §5.2 */
	if (expires_s && address->uri.scheme == STW_SCHEME_SIPS && !reader->secure)
		return &stw_cause_sips_contact_insecure;
	if (expires_s && is_aor(reader, &address->uri))
		return &stw_cause_contact_is_aor;
	request->contacts[request->n++].expires_s = expires_s;
	return NULL;
}

/* Step 6: "*" stands alone and with an Expires header field of 0. */
static const struct stw_cause *check_wildcard(const struct reader *reader, unsigned values)
{
	if (!reader->request->wildcard)
		return NULL;
	if (values > 1 || !reader->expires_given || reader->expires_s != 0)
		return &stw_cause_wildcard_misused;
	return NULL;
}

static const struct stw_cause *read_contacts(struct reader *reader)
{
	struct stw_values values = stw_msg_values(reader->msg, STW_HDR_CONTACT);
	const struct stw_cause *cause = NULL;
	struct stw_address address;
	struct stw_str value;
	unsigned count = 0;

	while (!cause && stw_values_next(&values, &value)) {
		count++;
		if (stw_address_parse(value, &address) < 0)
			return &stw_cause_bad_contact;
		if (address.wildcard)
			reader->request->wildcard = true;
		else
			cause = read_contact(reader, &address);
	}
	return cause ? cause : check_wildcard(reader, count);
}

/* ---- the request ---------------------------------------------------------------------- */

static void read_expires(struct reader *reader)
{
	struct stw_str value = stw_msg_value(reader->msg, STW_HDR_EXPIRES);

	reader->expires_s = reader->options->default_expires_s;
	if (!value.ptr)
		return;
	reader->expires_given = stw_delta_seconds_parse(value, &reader->expires_s) == 0;
	if (!reader->expires_given)
		reader->expires_s = MALFORMED_EXPIRES_S;
}

/* The first bytes are enough to know a phone by, cut between two characters of UTF-8. */
static struct stw_str user_agent_cut(struct stw_str text)
{
	size_t len = USER_AGENT_BYTES_MAX;

	if (text.len <= len)
		return text;
	while (len > 0 && ((uint8_t)text.ptr[len] & 0xC0) == 0x80)
		len--;
	return stw_str_cut(text, 0, len);
}

/*
 * A Call-ID is only compared with the next one (§10.3 step 7): of a long one 128 bits are kept,
 * behind a "#", which no Call-ID has. Each binding of a request has it, in memory and in the store.
 * The keys are constants: it is the same after a restart. Who makes two of one hash has deceived
 * his own bindings only.
 */
static int copy_call_id(struct stw_arena *arena, struct stw_str call_id, struct stw_str *ret)
{
	static const struct stw_hash_key keys[] = { { 1, 0 }, { 2, 0 } };
	uint64_t hashes[STW_ARRAY_SIZE(keys)];

	if (call_id.len <= CALL_ID_BYTES_MAX)
		return stw_arena_copy(arena, call_id, ret);
	for (size_t i = 0; i < STW_ARRAY_SIZE(keys); i++) {
		struct stw_hasher hasher;

		stw_hasher_init(&hasher, keys[i]);
		stw_hasher_text(&hasher, call_id);
		hashes[i] = stw_hasher_value(&hasher);
	}
	return stw_arena_printf(arena, ret, "#%016" PRIx64 "%016" PRIx64, hashes[0], hashes[1]);
}

static int read_common(struct reader *reader, struct stw_str aor)
{
	struct stw_register *request = reader->request;
	struct stw_str agent = stw_msg_value(reader->msg, STW_HDR_USER_AGENT);

	if (stw_arena_copy(&request->arena, aor, &request->aor) < 0 ||
		copy_call_id(&request->arena, reader->msg->call_id, &request->call_id) < 0 ||
		copy_unfolded(&request->arena, user_agent_cut(agent), &reader->common.user_agent) <
			0)
		return -ENOMEM;
	request->cseq = reader->msg->cseq.number;
	reader->common.call_id = request->call_id;
	reader->common.cseq = request->cseq;
	return 0;
}

static const struct stw_cause *refuse_brief(struct reader *reader, struct stw_str *ret_headers)
{
	if (stw_arena_printf(&reader->request->arena, ret_headers, "Min-Expires: %u\r\n",
		    (unsigned)reader->options->min_expires_s) < 0)
		return &stw_cause_register_no_memory;
	return &stw_cause_interval_too_brief;
}

static void register_init(struct stw_register *request)
{
	stw_arena_init(&request->arena, REGISTER_BYTES_MAX);
	request->aor = request->call_id = request->echo_path = STW_STR_NONE;
	request->wildcard = false;
	request->n = 0;
	request->contacts = NULL;
	request->cseq = 0;
}

const struct stw_cause *stw_register_parse(const struct stw_msg *msg, struct stw_str aor,
	const struct stw_hop *source, const struct stw_registrar_options *options,
	struct stw_register *ret, struct stw_str *ret_headers)
{
	struct reader reader = {
		.msg = msg,
		.options = options,
		.request = ret,
		.common = { .source = *source },
		.secure = msg->uri.scheme == STW_SCHEME_SIPS,
	};
	const struct stw_cause *cause;

	register_init(ret);
	if (read_common(&reader, aor) < 0)
		return &stw_cause_register_no_memory;
	read_expires(&reader);
	cause = read_path(&reader, ret_headers);
	if (!cause)
		cause = read_contacts(&reader);
	if (!cause && reader.too_brief)
		cause = refuse_brief(&reader, ret_headers);
	return cause;
}

void stw_register_done(struct stw_register *request)
{
	stw_arena_done(&request->arena);
}
