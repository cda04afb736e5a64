/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stw_tx_layer_new(struct stw_wheel *wheel, struct stw_hash_key key, struct stw_tx_layer **ret)
{
	struct stw_tx_layer *layer = calloc(1, sizeof(*layer));

	if (!layer)
		return -ENOMEM;
	layer->wheel = wheel;
	layer->key = key;
	stw_table_init(&layer->servers);
	stw_table_init(&layer->clients);
	stw_table_init(&layer->requests);
	*ret = layer;
	return 0;
}

static void table_end_all(struct stw_table *table)
{
	struct stw_node *node, *next;

	for (node = stw_table_walk(table, NULL); node; node = next) {
		next = stw_table_walk(table, node);
		tx_end(STW_CONTAINER_OF(node, struct tx, node));
	}
}

void stw_tx_end_all(struct stw_tx_layer *layer)
{
	table_end_all(&layer->servers);
	table_end_all(&layer->clients);
}

struct stw_tx_layer *stw_tx_layer_free(struct stw_tx_layer *layer)
{
	if (!layer)
		return NULL;
	stw_tx_end_all(layer);
	stw_tx_reap(layer, NULL, NULL);
	assert(layer->count == 0 && layer->large_bytes == 0);
	stw_table_done(&layer->servers);
	stw_table_done(&layer->clients);
	stw_table_done(&layer->requests);
	free(layer);
	return NULL;
}

size_t stw_tx_count(const struct stw_tx_layer *layer)
{
	return layer->count;
}

size_t stw_tx_large_bytes(const struct stw_tx_layer *layer)
{
	return layer->large_bytes;
}

static void tx_free(struct tx *tx)
{
	stw_large_remove(&tx->layer->large_bytes, tx->bytes);
	stw_memory_give(tx, tx->bytes);
}

void tx_end(struct tx *tx)
{
	struct stw_tx_layer *layer = tx->layer;

	stw_timer_stop(layer->wheel, &tx->retransmit);
	stw_timer_stop(layer->wheel, &tx->end);
	stw_table_remove(tx_is_server(tx) ? &layer->servers : &layer->clients, &tx->node);
	if (tx->is_known)
		stw_table_remove(&layer->requests, tx_request(tx));
	tx->pub.state = STW_TX_TERMINATED;
	tx->node.next = layer->ended;
	layer->ended = &tx->node;
}

void stw_tx_expect(const struct stw_tx *pub)
{
	const struct tx *tx = tx_of(pub);
	const struct stw_tx_layer *layer = tx->layer;

	stw_table_expect(tx_is_server(tx) ? &layer->servers : &layer->clients, tx->node.hash);
	__builtin_prefetch(pub->user, 1);
}

void stw_tx_reap(struct stw_tx_layer *layer, void (*user_done)(void *context, struct stw_tx *tx),
	void *context)
{
	while (layer->ended) {
		struct tx *tx = STW_CONTAINER_OF(layer->ended, struct tx, node);

		layer->ended = tx->node.next;
		if (user_done)
			user_done(context, &tx->pub);
		layer->count--;
		tx_free(tx);
	}
}

/* One right-sized allocation holds the transaction and the text of its key. */
static struct tx *tx_alloc(struct stw_tx_layer *layer, size_t text_bytes, struct stw_now now)
{
	size_t bytes = sizeof(struct tx) + text_bytes;
	struct tx *tx = stw_memory_take_zeros(bytes);

	if (!tx)
		return NULL;
	tx->bytes = (uint32_t)bytes;
	tx->layer = layer;
	stw_large_add(&layer->large_bytes, bytes);
	tx->retransmit.owner = tx->end.owner = &tx->pub;
	tx->end.kind = STW_TIMER_TX_END;
	tx->pub.started_ms = now.mono_ms;
	return tx;
}

static struct stw_str text_keep(char **at, struct stw_str text)
{
	struct stw_str kept = { *at, text.len };

	if (text.len)
		memcpy(*at, text.ptr, text.len);
	*at += text.len;
	return kept;
}

static size_t legacy_bytes(const struct stw_msg *request)
{
	return sizeof(struct tx_legacy) + request->uri_len + request->via.transport.len +
	       request->via.params.len + request->to.tag.len + request->from.tag.len +
	       request->call_id.len;
}

static void legacy_keep(struct tx_legacy *legacy, char **at, const struct stw_msg *request)
{
	struct stw_str uri = stw_msg_text(request, request->uri_at, request->uri_len);

	legacy->uri = text_keep(at, uri);
	legacy->transport = text_keep(at, request->via.transport);
	legacy->via_params = text_keep(at, request->via.params);
	legacy->to_tag = text_keep(at, request->to.tag);
	legacy->from_tag = text_keep(at, request->from.tag);
	legacy->call_id = text_keep(at, request->call_id);
	legacy->cseq = request->cseq.number;
}

/* Branch, sent-by and the name of an unknown method, one behind the other. */
static void key_keep(
	struct tx *tx, char *at, struct stw_str branch, struct stw_str host, struct stw_str name)
{
	tx->pub.branch = text_keep(&at, branch);
	tx->host_len = (uint32_t)text_keep(&at, host).len;
	tx->name_len = (uint32_t)text_keep(&at, name).len;
}

static struct tx *server_alloc(
	struct stw_tx_layer *layer, const struct stw_msg *request, struct stw_now now)
{
	const struct stw_via *via = &request->via;
	bool is_legacy = !stw_tx_has_cookie(via->branch);
	bool may_merge = !request->to.tag.ptr;
	struct stw_str name = STW_STR_NONE;
	struct tx *tx;
	char *at;

	if (request->method == STW_METHOD_UNKNOWN)
		name = stw_msg_method_name(request);
	tx = tx_alloc(layer,
		via->branch.len + via->host.len + name.len +
			(may_merge ? sizeof(struct stw_node) : 0) +
			(is_legacy ? legacy_bytes(request) : 0),
		now);
	if (!tx)
		return NULL;
	at = tx->text + (may_merge ? sizeof(struct stw_node) : 0);
	tx->may_merge = may_merge;
	tx->is_legacy = is_legacy;
	if (is_legacy) {
		at += sizeof(struct tx_legacy);
		legacy_keep(tx_legacy(tx), &at, request);
	}
	key_keep(tx, at, via->branch, via->host, name);
	tx->port = tx_sent_by_port(via);
	return tx;
}

static bool key_is_crowded(const struct stw_tx_layer *layer, uint64_t hash)
{
	const struct stw_node *node = stw_table_first(&layer->servers, hash);
	unsigned count = 0;

	for (; node; node = stw_table_next_same(node))
		count++;
	return count >= TX_SAME_KEY_MAX;
}

int stw_tx_server_new(struct stw_tx_layer *layer, const struct stw_msg *request, bool reliable,
	struct stw_now now, struct stw_tx **ret)
{
	uint64_t hash = stw_tx_request_hash(layer, request);
	struct tx *tx;

	assert(request->is_request && request->method != STW_METHOD_ACK);
	if (key_is_crowded(layer, hash))
		return -ENOBUFS;
	tx = server_alloc(layer, request, now);
	if (!tx)
		return -ENOMEM;
	tx->pub.method = request->method;
	tx->pub.reliable = reliable;
	tx->pub.kind = request->method == STW_METHOD_INVITE ? STW_TX_INVITE_SERVER
							    : STW_TX_NON_INVITE_SERVER;
	if (stw_table_insert(&layer->servers, &tx->node, hash) < 0) {
		tx_free(tx);
		return -ENOMEM;
	}
	layer->count++;
	(void)tx_step(tx, EV_START, now);
	*ret = &tx->pub;
	return 0;
}

bool stw_tx_is_merged(struct stw_tx *pub, const struct stw_msg *request)
{
	struct tx *tx = tx_of(pub);
	struct stw_tx_layer *layer = tx->layer;
	uint64_t hash;

	if (!tx->may_merge)
		return false;
	hash = tx_merge_hash(layer, request);
	/* The hash is keyed: what is equal in it is the same. */
	if (stw_table_first(&layer->requests, hash))
		return true;
	/* Without memory a copy of the request is not recognized. */
	if (!tx->is_known)
		tx->is_known = stw_table_insert(&layer->requests, tx_request(tx), hash) == 0;
	return false;
}

int stw_tx_client_new(struct stw_tx_layer *layer, const struct stw_tx_client_options *options,
	struct stw_now now, struct stw_tx **ret, unsigned *ret_actions)
{
	struct stw_str name = STW_STR_NONE;
	uint64_t hash = options->hash;
	struct tx *tx;

	assert(options->method != STW_METHOD_ACK);
	if (!hash)
		hash = stw_tx_expect_client(layer, options->branch);
	if (options->method == STW_METHOD_UNKNOWN)
		name = options->method_name;
	tx = tx_alloc(layer, options->branch.len + name.len, now);
	if (!tx)
		return -ENOMEM;
	key_keep(tx, tx->text, options->branch, STW_STR_NONE, name);
	tx->pub.method = options->method;
	tx->pub.reliable = options->reliable;
	tx->pub.message = options->request;
	tx->pub.kind = options->method == STW_METHOD_INVITE ? STW_TX_INVITE_CLIENT
							    : STW_TX_NON_INVITE_CLIENT;
	if (stw_table_insert(&layer->clients, &tx->node, hash) < 0) {
		tx_free(tx);
		return -ENOMEM;
	}
	layer->count++;
	*ret_actions = tx_step(tx, EV_START, now);
	*ret = &tx->pub;
	return 0;
}
