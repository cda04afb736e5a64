/* SPDX-License-Identifier: Apache-2.0 */
/* Which transaction a message belongs to: RFC 3261 §17.1.3, §17.2.3, §9.2. */
#include "internal.h"

/* The longest To of a response that is read for its tag; of a longer one any tag will do. */
#define TO_LINE_BYTES 1024

bool stw_tx_has_cookie(struct stw_str branch)
{
	struct stw_str cookie = STW_STR("z9hG4bK");

	/* The bare cookie identifies nothing (RFC 4475 §3.2.1): it counts as absent. */
	return branch.len > cookie.len &&
	       stw_str_equal_nocase(stw_str_cut(branch, 0, cookie.len), cookie);
}

/* RFC 3261 §18.2.2: 5060, 5061 for TLS. */
uint16_t tx_sent_by_port(const struct stw_via *via)
{
	if (via->port)
		return via->port;
	return stw_str_equal_nocase(via->transport, STW_STR("TLS")) ? 5061 : 5060;
}

static uint64_t hash_nocase(const struct stw_tx_layer *layer, struct stw_str text)
{
	return stw_hash_nocase(layer->key, text.ptr, text.len);
}

uint64_t stw_tx_request_hash(const struct stw_tx_layer *layer, const struct stw_msg *request)
{
	const struct stw_via *via = &request->via;

	if (request->tx_hash)
		return request->tx_hash;
	if (stw_tx_has_cookie(via->branch))
		return stw_hash_nocase_pair(layer->key, via->branch, via->host) +
		       tx_sent_by_port(via);
	return stw_hash(layer->key, request->call_id.ptr, request->call_id.len) +
	       3 * hash_nocase(layer, request->from.tag) + request->cseq.number;
}

uint64_t tx_merge_hash(const struct stw_tx_layer *layer, const struct stw_msg *request)
{
	const struct stw_cseq *cseq = &request->cseq;
	uint64_t hash;

	if (request->merge_hash)
		return request->merge_hash;
	hash = stw_hash_pair(layer->key, request->call_id, request->from.tag) + cseq->number;
	if (cseq->method == STW_METHOD_UNKNOWN)
		return hash + stw_hash(layer->key, cseq->name.ptr, cseq->name.len);
	return hash + ((uint64_t)cseq->method << 32);
}

void stw_tx_expect_request(const struct stw_tx_layer *layer, struct stw_msg *request)
{
	request->tx_hash = stw_tx_request_hash(layer, request);
	stw_table_expect(&layer->servers, request->tx_hash);
	/* A proxy does not ask (§8.2.2.2), and what a server answers itself is mostly this one. */
	if (request->method != STW_METHOD_REGISTER)
		return;
	request->merge_hash = tx_merge_hash(layer, request);
	stw_table_expect(&layer->requests, request->merge_hash);
}

void stw_tx_expect_response(const struct stw_tx_layer *layer, struct stw_msg *response)
{
	response->tx_hash = stw_tx_expect_client(layer, response->via.branch);
}

uint64_t stw_tx_expect_client(const struct stw_tx_layer *layer, struct stw_str branch)
{
	uint64_t hash = hash_nocase(layer, branch);

	stw_table_expect(&layer->clients, hash);
	return hash;
}

static bool sent_by_equal(const struct tx *tx, const struct stw_via *via)
{
	return tx->port == tx_sent_by_port(via) && stw_str_equal_nocase(tx_host(tx), via->host);
}

static bool uri_equal(struct stw_str kept, const struct stw_msg *request)
{
	struct stw_uri uri;

	if (stw_str_equal(kept, stw_msg_text(request, request->uri_at, request->uri_len)))
		return true;
	return request->has_uri && stw_uri_parse(kept, &uri) == 0 &&
	       stw_uri_equal(&uri, &request->uri);
}

/* To tag of the INVITE; for its ACK the one of our response. */
static bool legacy_to_equal(const struct tx *tx, const struct stw_msg *request)
{
	const struct tx_legacy *legacy = tx_legacy(tx);

	if (request->method != STW_METHOD_ACK)
		return stw_str_equal_nocase(legacy->to_tag, request->to.tag);
	if (!tx->pub.final_sent)
		return false;
	return !legacy->tag_known ||
	       legacy->response_tag == hash_nocase(tx->layer, request->to.tag);
}

/* RFC 3261 §17.2.3 for peers of RFC 2543; equality of Via by §20.42. */
static bool legacy_equal(const struct tx *tx, const struct stw_msg *request)
{
	const struct tx_legacy *legacy = tx_legacy(tx);

	return legacy->cseq == request->cseq.number &&
	       stw_str_equal(legacy->call_id, request->call_id) &&
	       stw_str_equal_nocase(legacy->from_tag, request->from.tag) &&
	       sent_by_equal(tx, &request->via) &&
	       stw_str_equal_nocase(legacy->transport, request->via.transport) &&
	       stw_str_equal_nocase(legacy->via_params, request->via.params) &&
	       legacy_to_equal(tx, request) && uri_equal(legacy->uri, request);
}

static bool server_equal(const struct tx *tx, const struct stw_msg *request)
{
	if (tx->is_legacy)
		return !stw_tx_has_cookie(request->via.branch) && legacy_equal(tx, request);
	return stw_str_equal_nocase(tx->pub.branch, request->via.branch) &&
	       sent_by_equal(tx, &request->via);
}

static bool has_method(const struct tx *tx, enum stw_method method, struct stw_str name)
{
	return tx->pub.method == method &&
	       (method != STW_METHOD_UNKNOWN || stw_str_equal(tx_method_name(tx), name));
}

static bool request_is_own(const struct tx *tx, const struct stw_msg *request)
{
	return has_method(tx, request->method, stw_msg_method_name(request));
}

static bool can_be_acked(const struct tx *tx, const struct stw_msg *request)
{
	return tx->pub.method == STW_METHOD_INVITE;
}

static bool can_be_cancelled(const struct tx *tx, const struct stw_msg *request)
{
	return tx->pub.method != STW_METHOD_CANCEL;
}

static struct stw_tx *server_find(const struct stw_tx_layer *layer, const struct stw_msg *request,
	bool (*wanted)(const struct tx *, const struct stw_msg *))
{
	struct stw_node *node;

	if (!request->has_via)
		return NULL;
	node = stw_table_first(&layer->servers, stw_tx_request_hash(layer, request));
	for (; node; node = stw_table_next_same(node)) {
		struct tx *tx = STW_CONTAINER_OF(node, struct tx, node);

		if (wanted(tx, request) && server_equal(tx, request))
			return &tx->pub;
	}
	return NULL;
}

struct stw_tx *stw_tx_match_request(const struct stw_tx_layer *layer, const struct stw_msg *request)
{
	return server_find(
		layer, request, request->method == STW_METHOD_ACK ? can_be_acked : request_is_own);
}

struct stw_tx *stw_tx_match_cancel(const struct stw_tx_layer *layer, const struct stw_msg *cancel)
{
	return server_find(layer, cancel, can_be_cancelled);
}

struct stw_tx *stw_tx_match_response(
	const struct stw_tx_layer *layer, const struct stw_msg *response)
{
	struct stw_str branch = response->via.branch;
	struct stw_node *node;

	if (!response->has_via || !response->has_cseq)
		return NULL;
	node = stw_table_first(&layer->clients,
		response->tx_hash ? response->tx_hash : hash_nocase(layer, branch));
	for (; node; node = stw_table_next_same(node)) {
		struct tx *tx = STW_CONTAINER_OF(node, struct tx, node);

		if (has_method(tx, response->cseq.method, response->cseq.name) &&
			stw_str_equal_nocase(tx->pub.branch, branch))
			return &tx->pub;
	}
	return NULL;
}

/* ---- the To tag of a response, which lies before us in slices ---------------- */

struct reader {
	struct stw_slices slices;
	unsigned slice;
	size_t at;
};

/* The next byte, which stays the next; -1 at the end. */
static int reader_peek(struct reader *reader)
{
	while (reader->slice < reader->slices.n &&
		reader->at == reader->slices.v[reader->slice].len) {
		reader->slice++;
		reader->at = 0;
	}
	if (reader->slice == reader->slices.n)
		return -1;
	return (unsigned char)reader->slices.v[reader->slice].ptr[reader->at];
}

/* One line, folds joined (§7.3.1), without its CRLF. A longer one is cut at the writer's capacity.
 */
static bool line_read(struct reader *reader, struct stw_writer *line)
{
	int byte, after;

	line->len = 0;
	line->overflow = false;
	while ((byte = reader_peek(reader)) >= 0) {
		reader->at++;
		if (byte == '\r')
			continue;
		after = byte == '\n' ? reader_peek(reader) : 0;
		if (byte == '\n' && (line->len == 0 || (after != ' ' && after != '\t')))
			break;
		stw_write_char(line, byte == '\n' ? ' ' : (char)byte);
	}
	return line->len > 0;
}

/* Value of a "To: …" line; false for other lines. */
static bool line_is_to(struct stw_str line, struct stw_str *ret_value)
{
	size_t colon = stw_str_find(line, ':', 0);

	if (stw_header_from(stw_str_trim(stw_str_cut(line, 0, colon))) != STW_HDR_TO)
		return false;
	*ret_value = stw_str_trim(stw_str_cut(line, colon + 1, line.len));
	return true;
}

void tx_legacy_answered(struct tx *tx, struct stw_slices response)
{
	struct tx_legacy *legacy = tx_legacy(tx);
	struct reader reader = { .slices = response };
	struct stw_address to = { 0 };
	struct stw_str value;
	struct stw_writer line;
	char buffer[TO_LINE_BYTES];

	if (!legacy || tx->pub.method != STW_METHOD_INVITE)
		return;
	legacy->tag_known = false;
	stw_writer_init(&line, buffer, sizeof(buffer));
	while (line_read(&reader, &line)) {
		if (!line_is_to(stw_writer_text(&line), &value))
			continue;
		legacy->tag_known = !line.overflow && stw_address_parse(value, &to) == 0;
		legacy->response_tag = hash_nocase(tx->layer, to.tag);
		return;
	}
}
