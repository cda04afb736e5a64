/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two halves of RFC 3261 §18.2: what the receiving side writes into the top Via (§18.2.1), and
 * how the sending side of the response reads it (§18.2.2), both with RFC 3581.
 */
#include <strowger/transport.h>

#include <errno.h>

/* sent-by is the address that the packet came from. */
static bool is_source(const struct stw_via *via, const struct stw_addr *source)
{
	struct stw_addr sent_by;

	return via->host_kind != STW_HOST_NAME && stw_addr_from_host(via->host, 0, &sent_by) == 0 &&
	       stw_addr_same_ip(&sent_by, source);
}

void stw_via_stamp(
	const struct stw_via *via, const struct stw_addr *source, struct stw_via_stamp *ret)
{
	*ret = (struct stw_via_stamp){ 0 };
	if (via->has_rport)
		ret->rport = source->port;
	/* A `received` that the sender itself wrote would let it aim our response at anybody. */
	if (via->has_rport || via->received.ptr || !is_source(via, source))
		ret->received = stw_addr_ip_text(source, ret->received_text);
}

/* Give a parameter of the top Via this value. */
static void param_set(
	struct stw_edit *edit, const struct stw_param *param, struct stw_str equals_value)
{
	const char *data = edit->msg->data, *end = param->name.ptr + param->name.len;

	if (param->value.ptr)
		stw_edit_splice(edit, (uint32_t)(param->value.ptr - data),
			(uint32_t)param->value.len, stw_str_cut(equals_value, 1, equals_value.len));
	else
		stw_edit_splice(edit, (uint32_t)(end - data), 0, equals_value);
}

/* Give each rport and each `received` of the top Via its value, "=" included; empty: leave it.
 * @return true when there was a `received` */
static bool params_set(struct stw_edit *edit, struct stw_str rport, struct stw_str received)
{
	const struct stw_str rport_name = STW_STR("rport"), received_name = STW_STR("received");
	const struct stw_via *via = &edit->msg->via;
	struct stw_param param;
	size_t at = 0;
	bool found = false;

	if (!via->is_stamped) {
		at = (size_t)(via->text.ptr - edit->msg->data) + via->rport_at;
		if (rport.len && via->has_rport)
			stw_edit_splice(edit, (uint32_t)at, 0, rport);
		return false;
	}
	while (stw_param_next(via->params, &at, &param) > 0) {
		if (rport.len && stw_str_equal_nocase(param.name, rport_name))
			param_set(edit, &param, rport);
		if (received.len && stw_str_equal_nocase(param.name, received_name)) {
			param_set(edit, &param, received);
			found = true;
		}
	}
	return found;
}

int stw_via_stamp_edit(
	struct stw_edit *edit, const struct stw_via_stamp *stamp, struct stw_arena *arena)
{
	const struct stw_via *via = &edit->msg->via;
	size_t at, bytes = sizeof("=65535;received=") + stamp->received.len;
	struct stw_str rport, text = STW_STR_NONE, value = STW_STR_NONE;
	struct stw_writer writer;
	char *buffer = stw_arena_bytes(arena, bytes);

	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&writer, buffer, bytes);
	if (stamp->rport) {
		stw_write_char(&writer, '=');
		stw_write_uint(&writer, stamp->rport);
	}
	rport = stw_writer_text(&writer);
	if (stamp->received.len) {
		stw_write_text(&writer, ";received=");
		stw_write_str(&writer, stamp->received);
		text = stw_str_cut(stw_writer_text(&writer), rport.len, writer.len);
		value = stw_str_cut(text, sizeof(";received") - 1, text.len);
	}
	if (params_set(edit, rport, value) || !text.len)
		return 0;
	/* Behind "=rport" when that stands at the same place. */
	at = (size_t)(via->text.ptr - edit->msg->data) + via->text.len;
	stw_edit_splice(edit, (uint32_t)at, 0, text);
	return 0;
}

/* A client writes two of them; a list without end is not worth the splices. */
#define OC_PARAMS_MAX 4

void stw_via_oc_remove(struct stw_edit *edit)
{
	const struct stw_msg *msg = edit->msg;
	struct stw_param param;
	size_t at = 0, from = 0;
	unsigned n = 0;

	while (n < OC_PARAMS_MAX && stw_param_next(msg->via.params, &at, &param) > 0) {
		if (stw_via_param_is_oc(param.name)) {
			stw_edit_splice(edit, (uint32_t)(msg->via.params.ptr - msg->data + from),
				(uint32_t)(at - from), STW_STR_NONE);
			n++;
		}
		from = at;
	}
}

/* host of a Via as a place to send to: a name has to be resolved, a group is refused (RFC 4475
 * §3.3.10). */
static int host_target(struct stw_str host, uint16_t port, struct stw_addr *ret)
{
	struct stw_addr addr;
	enum stw_host_kind kind;

	if (stw_addr_from_host(host, port, &addr) < 0) {
		if (stw_host_parse(host, &host, &kind) < 0 || kind != STW_HOST_NAME)
			return -EBADMSG;
		return -ENOENT;
	}
	if (!stw_addr_is_unicast(&addr))
		return -EBADMSG;
	*ret = addr;
	return 0;
}

/* The port of sent-by, or the default port of the transport. */
static uint16_t sent_by_port(const struct stw_via *via, enum stw_transport transport)
{
	return via->port ? via->port : stw_transport_default_port(transport);
}

/* A request that we received: the source address is what `received` and `rport` would say. */
static int target_from_source(
	const struct stw_via *via, const struct stw_hop *source, struct stw_hop *ret)
{
	struct stw_hop hop = *source;
	bool reliable = stw_transport_reliable(source->transport);
	int err;

	if (reliable && stw_flow_id_set(source->flow)) {
		*ret = hop;
		return 0;
	}
	if (!reliable && via->maddr.ptr) {
		err = host_target(via->maddr, sent_by_port(via, hop.transport), &hop.remote);
		if (err < 0)
			return err;
		/* It is where a response must go, so there is no other place when it may not go
		 * there: nobody else aims us at the services of our own machine. */
		if (stw_addr_is_loopback(&hop.remote) && !stw_addr_is_loopback(&source->remote))
			return -EBADMSG;
	} else if (reliable || !via->has_rport) {
		hop.remote.port = sent_by_port(via, hop.transport);
	}
	if (!stw_addr_is_unicast(&hop.remote))
		return -EBADMSG;
	*ret = hop;
	return 0;
}

/* A response that we relay: only its Via says where the request came from. */
static int target_from_via(const struct stw_via *via, struct stw_hop *ret)
{
	struct stw_hop hop = { .transport = stw_transport_from(via->transport) };
	uint16_t port = sent_by_port(via, hop.transport);
	int err;

	if (hop.transport == STW_TRANSPORT_NONE)
		return -EBADMSG;
	if (!stw_transport_reliable(hop.transport) && via->maddr.ptr) {
		err = host_target(via->maddr, port, &hop.remote);
	} else if (via->received.ptr) {
		if (!stw_transport_reliable(hop.transport) && via->rport)
			port = via->rport;
		err = host_target(via->received, port, &hop.remote);
		if (err == -ENOENT) /* received is an address, never a name (§25.1) */
			err = -EBADMSG;
	} else {
		err = host_target(via->host, port, &hop.remote);
	}
	if (err < 0)
		return err;
	*ret = hop;
	return 0;
}

int stw_response_target(
	const struct stw_via *via, const struct stw_hop *source, struct stw_hop *ret)
{
	return source ? target_from_source(via, source, ret) : target_from_via(via, ret);
}
