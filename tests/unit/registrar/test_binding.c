/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <errno.h>

#include "bindings.h"

static const struct stw_binding full = {
	.uri = { "sip:w@192.0.2.1", 15 },
	.params = { ";x=\"y\"", 6 },
	.call_id = { "1@h", 3 },
	.path = { "<sip:p;lr>", 10 },
	.user_agent = { "Bell", 4 },
	.instance = { "<urn:uuid:1>", 12 },
	.cseq = 4294967295,
	.q = 1000,
	.expires_ms = INT64_C(1700000000123),
	.updated_ms = -1,
	.source = { .transport = STW_TRANSPORT_WSS,
		.remote = { .family = 6,
			.ip = { 0xfe, 0x80, [15] = 9 },
			.port = 65535,
			.scope = 7 },
		.local = { .family = 4, .ip = { 127, 0, 0, 1 }, .port = 5060 },
		.listener = 513,
		.flow = { 1, 70000, 3 } },
};

static void assert_same(const struct stw_binding *a, const struct stw_binding *b)
{
	assert_true(stw_str_equal(a->uri, b->uri));
	assert_true(stw_str_equal(a->params, b->params));
	assert_true(stw_str_equal(a->call_id, b->call_id));
	assert_true(stw_str_equal(a->path, b->path));
	assert_true(stw_str_equal(a->user_agent, b->user_agent));
	assert_true(stw_str_equal(a->instance, b->instance));
	assert_int_equal(a->cseq, b->cseq);
	assert_int_equal(a->q, b->q);
	assert_int_equal(a->expires_ms, b->expires_ms);
	assert_int_equal(a->updated_ms, b->updated_ms);
	assert_int_equal(a->source.transport, b->source.transport);
	assert_true(stw_addr_equal(&a->source.remote, &b->source.remote));
	assert_true(stw_addr_equal(&a->source.local, &b->source.local));
	assert_int_equal(a->source.listener, b->source.listener);
}

static struct stw_bindings *three(void)
{
	struct stw_binding v[3] = { full, { .uri = STW_STR("sip:x") }, full };
	struct stw_bindings *bindings;

	v[2].source.flow = (struct stw_flow_id){ 0 };
	v[2].source.remote = (struct stw_addr){ 0 };
	bindings = stw_bindings_make(STW_STR("sip:w@h"), 9, v, 3);
	assert_int_equal(bindings->n, 3);
	assert_str(stw_bindings_aor(bindings), "sip:w@h");
	for (unsigned i = 0; i < 3; i++)
		assert_same(binding_at(bindings, i), &v[i]);
	return bindings;
}

static void packed(void **state)
{
	struct stw_bindings *bindings = three(), *copy = stw_bindings_copy(bindings), *none;

	assert_true(stw_flow_id_equal(binding_at(bindings, 0)->source.flow, full.source.flow));
	assert_false(stw_flow_id_set(binding_at(bindings, 2)->source.flow));
	assert_int_equal(stw_bindings_bytes(copy), stw_bindings_bytes(bindings));
	assert_memory_equal(copy, bindings, stw_bindings_bytes(copy));
	none = stw_bindings_make(STW_STR("sip:w@h"), 1, NULL, 0);
	assert_int_equal(none->n, 0);
	free(none);
	free(copy);
	free(bindings);
}

/* A flow is not stored; all else comes back. Cut anywhere it is refused; with any byte changed too,
 * or it is another snapshot that stays within its bounds. */
static void stored(void **state)
{
	struct stw_bindings *bindings = three(), *again;
	size_t bytes = stw_bindings_stored_bytes(bindings), used, i;
	uint8_t *data = malloc(bytes), *cut;

	stw_bindings_store(bindings, data);
	assert_int_equal(stw_bindings_load(data, bytes, &used, &again), 0);
	assert_int_equal(used, bytes);
	assert_int_equal(again->version, 1);
	for (unsigned n = 0; n < 3; n++) {
		assert_same(binding_at(again, n), binding_at(bindings, n));
		assert_false(stw_flow_id_set(binding_at(again, n)->source.flow));
	}
	free(again);
	for (i = 0; i < bytes; i++) {
		cut = malloc(i + 1);
		memcpy(cut, data, i);
		assert_int_equal(stw_bindings_load(cut, i, &used, &again), -EBADMSG);
		free(cut);
	}
	for (i = 0; i < bytes * 256; i++) {
		uint8_t byte = data[i / 256];

		data[i / 256] = (uint8_t)i;
		if (stw_bindings_load(data, bytes, &used, &again) == 0) {
			for (unsigned n = 0; n < again->n; n++)
				assert_true(binding_at(again, n)->instance.len <= bytes);
			free(again);
		}
		data[i / 256] = byte;
	}
	free(data);
	free(bindings);
}

static void no_memory(void **state)
{
	struct stw_bindings *bindings = three(), *again = NULL;
	size_t bytes = stw_bindings_stored_bytes(bindings), used;
	uint8_t *data = malloc(bytes);

	stw_bindings_store(bindings, data);
	for (unsigned nth = 1; nth <= 3; nth++) {
		support_fail_allocation(nth);
		assert_int_equal(stw_bindings_load(data, bytes, &used, &again), -ENOMEM);
		support_fail_allocation(0);
		assert_null(again);
	}
	support_fail_allocation(1);
	assert_null(stw_bindings_make(STW_STR("sip:w@h"), 1, &full, 1));
	support_fail_allocation(0);
	free(data);
	free(bindings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed),
		cmocka_unit_test(stored),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
