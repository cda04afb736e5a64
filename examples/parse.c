/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads one SIP message from standard input and says what it is. Public headers only:
 *
 *     cc -o parse parse.c $(pkg-config --cflags --libs strowger) && ./parse < invite.sip
 *
 * Nothing is allocated: the message borrows its bytes, the index lies on the stack.
 */
#include <stdio.h>

#include <strowger/message.h>

static void print(const char *label, struct stw_str text)
{
	printf("%-10s %.*s\n", label, STW_STR_ARG(text));
}

static void print_values(const struct stw_msg *msg, enum stw_header header)
{
	struct stw_values values = stw_msg_values(msg, header);
	struct stw_str value;

	while (stw_values_next(&values, &value))
		print(stw_header_name(header).ptr, value);
}

/* Each fault has a cause: what a server answers, and what helps. */
static int refuse(const struct stw_fault *fault)
{
	fprintf(stderr, "line %u, byte %zu: %s (%s)\n%s\n", fault->line, fault->offset,
		fault->cause->meaning, fault->cause->rfc, fault->cause->remedy);
	return 1;
}

int main(void)
{
	static char data[65535];
	struct stw_field fields[STW_MSG_FIELDS_MAX];
	struct stw_msg msg = { .fields = fields, .field_capacity = STW_MSG_FIELDS_MAX };
	struct stw_fault fault;
	size_t len = fread(data, 1, sizeof(data), stdin);

	/* The first makes the index; the second decodes and checks what RFC 3261 §8.1.1 demands. */
	if (stw_msg_parse(&msg, data, len, NULL, &fault) < 0 || stw_msg_check(&msg, &fault) < 0)
		return refuse(&fault);
	print("Method", msg.is_request ? stw_msg_method_name(&msg) : msg.cseq.name);
	if (msg.is_request)
		print("URI", msg.uri.text);
	else
		printf("%-10s %u %s\n", "Status", msg.code, stw_status_phrase(msg.code));
	print("Call-ID", msg.call_id);
	print("Top Via", msg.via.text);
	print_values(&msg, STW_HDR_ROUTE);
	return 0;
}
