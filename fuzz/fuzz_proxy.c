/* uses: stw_proxy */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message through the proxy: validated, preprocessed and forwarded, or relayed. What goes out
 * must be readable again, and a forwarded request must have lost a hop and won a Via. First byte:
 * which target.
 */
#include <stdlib.h>
#include <string.h>
#include <strowger/proxy.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stw_field fields[STW_MSG_FIELDS_MAX], out_fields[STW_MSG_FIELDS_MAX];
static char joined[140000];
static struct stw_listeners listeners = { .n = 1,
	.v = { { .transport = STW_TRANSPORT_UDP,
		.bind = { .family = 4, .ip = { 192, 0, 2, 1 }, .port = 5060 },
		.advertise = { "p1.example.com", 14 } } } };
static const struct stw_proxy_options options = { .listeners = &listeners, .key = { 1, 2 } };

static const struct {
	const char *uri, *path;
} targets[] = {
	{ "", "" },
	{ "sip:b@h;method=X?A=b", "" },
	{ "sips:b@h", "<sip:e1.com;lr>, \"a,b\" <sip:e2.com>" },
	{ "sip:b@[2001:db8::1]:5070", "<sip:strict.com>,<sip:e2.com;lr>" },
};

static unsigned count(const struct stw_msg *msg, enum stw_header header)
{
	struct stw_values values = stw_msg_values(msg, header);
	struct stw_str value;
	unsigned n = 0;

	while (stw_values_next(&values, &value))
		n++;
	return n;
}

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* The slices as a message again. */
static void reparse(struct stw_slices slices, struct stw_msg *out)
{
	struct stw_fault fault = { 0 };
	static const struct stw_msg_limits wide = { 1u << 30, 1u << 30, 1u << 30, 1u << 30,
		1u << 30, false };
	size_t bytes = stw_slices_bytes(slices);

	must(bytes <= sizeof(joined));
	stw_slices_flatten(slices, joined);
	*out = (struct stw_msg){ .fields = out_fields, .field_capacity = STW_MSG_FIELDS_MAX };
	stw_msg_parse(out, joined, bytes, &wide, &fault);
}

static void forward(const struct stw_msg *msg, unsigned which, struct stw_arena *arena)
{
	struct stw_proxy_target target = { .uri = stw_str_from(targets[which].uri),
		.path = stw_str_from(targets[which].path) };
	struct stw_addr source = { .family = 4, .ip = { 192, 0, 2, 9 }, .port = 4321 };
	struct stw_record_route_side side = { STW_TRANSPORT_UDP, STW_STR("p1.example.com") };
	struct stw_proxy_routing routing;
	struct stw_via_stamp stamp;
	struct stw_record_route_options record_options = {
		.request = msg, .in = side, .out = side, .branch = STW_STR("z9hG4bKp1")
	};
	struct stw_record_route ours;
	struct stw_forward_options forward_options = { .proxy = &options,
		.request = msg,
		.routing = &routing,
		.target = &target,
		.stamp = &stamp,
		.via = STW_STR("SIP/2.0/TCP p1.example.com;branch=z9hG4bKp1"),
		.max_breadth = 7 };
	struct stw_slices slices;
	struct stw_random random;
	char branch[STW_BRANCH_MAX];
	struct stw_msg out;
	struct stw_hop hop;
	struct stw_uri uri;

	if (stw_proxy_preprocess(&options, msg, arena, &routing) < 0)
		return;
	stw_random_seed(&random, 1);
	must(stw_proxy_branch(&options, msg, &routing, &random, branch).len == 40);
	must(stw_proxy_stateless_branch(&options, msg, branch).len == 23);
	stw_via_stamp(&msg->via, &source, &stamp);
	stw_proxy_flow(&routing, &hop);
	hop = (struct stw_hop){ .transport = STW_TRANSPORT_TCP, .remote = source };
	record_options.flow = &hop;
	must(stw_record_route_write(&options, &record_options, arena, &ours) == 0);
	forward_options.record_route = ours.lines;
	must(stw_path_write(&options, &hop, &side, false, arena, &forward_options.path) == 0);
	stw_forward_next_hop(&forward_options, arena, &uri);
	if (stw_forward_build(&forward_options, arena, &slices) < 0 ||
		msg->field_count > STW_MSG_FIELDS_MAX - 8)
		return;
	reparse(slices, &out);
	must(count(&out, STW_HDR_VIA) == count(msg, STW_HDR_VIA) + 1);
	must(count(&out, STW_HDR_RECORD_ROUTE) == count(msg, STW_HDR_RECORD_ROUTE) + 1);
	must(count(&out, STW_HDR_PATH) == count(msg, STW_HDR_PATH) + 1);
	must(out.body_len == msg->body_len);
}

static void relay(const struct stw_msg *msg, struct stw_arena *arena)
{
	struct stw_relay_options relay = { .proxy = &options,
		.response = msg,
		.lines = STW_STR("X: 1\r\n"),
		.via_params = STW_STR(";oc=1") };
	struct stw_slices slices;
	struct stw_msg out;

	if (stw_relay_build(&relay, arena, &slices) < 0 ||
		msg->field_count > STW_MSG_FIELDS_MAX - 8)
		return;
	reparse(slices, &out);
	must(count(&out, STW_HDR_VIA) + 1 == count(msg, STW_HDR_VIA));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stw_msg msg = { .fields = fields, .field_capacity = STW_MSG_FIELDS_MAX };
	struct stw_fault fault = { 0 };
	struct stw_arena arena;
	struct stw_str headers;
	char *copy;

	if (size < 2)
		return 0;
	copy = malloc(size - 1);
	must(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	stw_arena_init(&arena, 1u << 20);
	if (stw_msg_parse(&msg, copy, size - 1, NULL, &fault) == 0 &&
		stw_msg_check(&msg, &fault) == 0) {
		if (msg.is_request) {
			stw_proxy_validate(&options, &msg, &arena, &headers);
			forward(&msg, data[0] % STW_ARRAY_SIZE(targets), &arena);
		} else {
			relay(&msg, &arena);
		}
	}
	stw_arena_done(&arena);
	free(copy);
	return 0;
}
