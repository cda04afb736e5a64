/* uses: strowger_server */
/* SPDX-License-Identifier: Apache-2.0 */
/* What comes over the socket of the administration: requests one after the other, each five texts
 * that end with NUL: method, path, contact, number, body. A user that was made is there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <strowger/rcu.h>

#include "server/admin/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS_MAX 20
#define PARTS        5

static struct {
	struct stw_config *config;
	struct stw_directory *directory;
	struct stw_location *location;
	struct stw_store *store;
	struct stw_core *core;
	struct stw_now now;
	bool answered;
} world;

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static int ops_send(void *io, const struct stw_hop *hop, struct stw_slices slices)
{
	return 0;
}

static int ops_open(void *io, const struct stw_hop *hop, struct stw_flow_id *ret)
{
	return -ENOBUFS;
}

static void ops_close(void *io, struct stw_flow_id id)
{
}

static int ops_resolve(void *io, struct stw_str name, unsigned type, uint64_t query)
{
	return -ENOBUFS;
}

static const struct stw_io_ops ops = {
	.send = ops_send, .open = ops_open, .close = ops_close, .resolve = ops_resolve
};

static void answered(struct stw_question *question)
{
	world.answered = true;
}

/* As the worker would, and the store behind it. */
static int ask(void *context, struct stw_ask *ask)
{
	if (ask->kind == STW_ASK_RELOAD)
		ask->question.answer = json_object();
	if (ask->kind != STW_ASK_CORE)
		return 0;
	world.answered = false;
	ask->question.answered = answered;
	stw_core_begin(world.core, world.now);
	stw_core_question(world.core, &ask->question);
	stw_store_run(world.store);
	stw_core_work(world.core);
	stw_core_end(world.core);
	stw_rcu_quiescent();
	must(world.answered);
	return 0;
}

static void handle(char *const part[PARTS])
{
	struct stw_api api = {
		.directory = world.directory, .location = world.location, .ask = ask
	};
	struct stw_api_reply reply = { 0 };
	json_t *body = *part[4] ? json_loads(part[4], JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct stw_api_request request = { .method = part[0],
		.path = part[1],
		.contact = *part[2] ? part[2] : NULL,
		.number = *part[3] ? part[3] : NULL,
		.body = body,
		.config = world.config };
	char *text;

	world.now.mono_ms += 10;
	world.now.wall_ms += 10;
	stw_api_handle(&api, &request, &reply);
	must(reply.status >= 200 && reply.status <= 599 && reply.json);
	must(reply.status == 200 || json_string_value(json_object_get(reply.json, "error")));
	text = json_dumps(reply.json, JSON_INDENT(1));
	must(text != NULL);
	free(text);
	json_decref(reply.json);
	json_decref(body);
}

static void run(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *part[PARTS], *at = text;
	unsigned n, requests = 0;

	must(text != NULL);
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	while (at < text + size && requests++ < REQUESTS_MAX) {
		for (n = 0; n < PARTS; n++) {
			part[n] = at < text + size ? at : text + size;
			at = part[n] + strlen(part[n]) + 1;
		}
		handle(part);
	}
	free(text);
}

static void world_begin(void)
{
	static const char yaml[] =
		"domains: [example.com]\nlisten: [\"udp:192.0.2.100:5060\"]\n"
		"store: \"memory:\"\nauth: {required: false, insecure_listen: true}\n"
		"decisions: {keep_calls: 100}\n";
	static const uint8_t secret[32] = { 1 };
	static struct stw_nonces *nonces; /* large, and nobody is asked for a password */
	struct stw_config_errors errors = { .n = 0 };
	struct stw_hash_key key = { 1, 2 };
	struct stw_store_options store = { .path = STW_STR(":memory:") };
	struct stw_core_options options = { .io = &ops, .seed = 7, .key = { 3, 4 } };
	char error[200];

	memset(&world, 0, sizeof(world));
	world.now = (struct stw_now){ .mono_ms = 1000, .wall_ms = 1800000000000 };
	must(stw_config_parse("fuzz", yaml, sizeof(yaml) - 1, &errors, &world.config) == 0);
	must(stw_location_new(key, &world.location) == 0);
	must(stw_directory_new(key, &world.directory) == 0);
	store.location = world.location;
	store.directory = world.directory;
	must(stw_store_open(&store, world.now, &world.store, error, sizeof(error)) == 0);
	if (!nonces)
		must(stw_nonces_new(secret, 300, 64, &nonces) == 0);
	options.nonces = nonces;
	options.config = world.config;
	options.store = world.store;
	options.location = world.location;
	options.directory = world.directory;
	options.listeners = &world.config->listen;
	must(stw_core_new(&options, world.now, &world.core) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool registered;

	if (!registered)
		stw_rcu_register_thread();
	registered = true;
	world_begin();
	run(data, size);
	stw_core_free(world.core);
	stw_store_close(world.store);
	stw_location_free(world.location);
	stw_directory_free(world.directory);
	stw_config_unref(world.config);
	return 0;
}
