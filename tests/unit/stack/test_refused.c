/* SPDX-License-Identifier: Apache-2.0 */
/* What is believed of the errors of ICMP, RFC 3261 §18.4. */
#include "lab.h"

#define TIMEOUT_MS 40000u /* more than 64*T1 and T4 */

/* The error quotes so many bytes of what was sent. */
static struct stw_io_event refusal_of(const struct sent *sent, size_t bytes)
{
	return (struct stw_io_event){ .kind = STW_IO_SEND_FAILED,
		.error = ECONNREFUSED,
		.hop = sent->hop,
		.data = sent->text,
		.len = bytes < strlen(sent->text) ? bytes : strlen(sent->text) };
}

static void next_address_is_tried(void **state)
{
	struct lab *lab = lab_new();
	struct stw_io_event refused;
	const struct sent *invite;

	(void)state;
	lab_target(lab, "sip:bob@name.test:5060");
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 100 ");
	assert_int_equal(lab->asked, 1);
	name_is_answered(lab, 3);
	refused = refusal_of(lab_expect(lab, "INVITE "), 520);
	lab_event(lab, &refused);
	invite = lab_expect(lab, "INVITE ");
	sent_to(invite, hop_at(STW_TRANSPORT_UDP, "192.0.2.3", 5060));
	refused = refusal_of(invite, 520);
	lab_event(lab, &refused);
	lab_expect(lab, "SIP/2.0 500 ");
	lab_receive(lab, caller(), request_text("ACK", "i1", 1, ""));
	lab_wait(lab, TIMEOUT_MS);
	lab_expect_nothing(lab);
	lab_is_idle(lab);
	lab_free(lab);
}

/* RFC 3261 §18.4: an error of ICMP ends the request that it quotes and no other. One that does not
 * reach to the branch is believed when it comes for the next copy, too. */
static void refusals_are_doubted(void **state)
{
	struct lab *lab = lab_new();
	struct stw_io_event refused, other;
	const struct sent *invite, *last;

	(void)state;
	lab_target(lab, "sip:bob@name.test:5060");
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 100 ");
	name_is_answered(lab, 2);
	invite = lab_expect(lab, "INVITE ");
	/* Of another request to the same address, twice and before the copy and after it. */
	other = refusal_of(invite, 5000);
	other.data = "INVITE sip:bob@name.test SIP/2.0\r\nVia: SIP/2.0/UDP "
		     "192.0.2.1;branch=z9hG4bKno\r\n";
	other.len = strlen(other.data);
	refused = refusal_of(invite, 0);
	lab_event(lab, &other);
	lab_event(lab, &refused);
	lab_event(lab, &refused);
	lab_expect_nothing(lab);
	lab_wait(lab, 500);
	last = lab_expect(lab, "INVITE ");
	lab_event(lab, &other);
	lab_expect_nothing(lab);
	/* A copy after which nothing comes: it begins anew. */
	lab_wait(lab, 1000);
	lab_expect(lab, "INVITE ");
	lab_wait(lab, 2000);
	last = lab_expect(lab, "INVITE ");
	refused = refusal_of(last, strcspn(last->text, "\n") + 20);
	lab_event(lab, &refused);
	lab_expect_nothing(lab);
	lab_wait(lab, 4000);
	lab_expect(lab, "INVITE ");
	lab_event(lab, &refused);
	sent_to(lab_expect(lab, "INVITE "), hop_at(STW_TRANSPORT_UDP, "192.0.2.3", 5060));
	/* What was known of the other address does not count here. */
	refused.hop.remote = hop_at(STW_TRANSPORT_UDP, "192.0.2.3", 5060).remote;
	lab_event(lab, &refused);
	lab_expect_nothing(lab);
	lab_free(lab);
}

/* Who forges errors of ICMP makes us look at our requests so often and no more. */
static void refusals_are_limited(void **state)
{
	struct lab *lab = lab_new();
	struct stw_io_event forged = { .kind = STW_IO_SEND_FAILED,
		.error = ECONNREFUSED,
		.hop = hop_at(STW_TRANSPORT_UDP, "192.0.2.99", 5060) };
	struct stw_io_event refused;

	(void)state;
	lab_target(lab, "sip:bob@name.test:5060");
	lab_receive(lab, caller(), request_text("INVITE", "i1", 1, ""));
	lab_expect(lab, "SIP/2.0 100 ");
	name_is_answered(lab, 2);
	refused = refusal_of(lab_expect(lab, "INVITE "), 520);
	lab_begin(lab);
	/* Each looks at the request and at its branch. */
	for (unsigned i = 0; i < 40000; i++)
		stw_stack_event(lab->stack, &forged);
	stw_stack_event(lab->stack, &refused);
	lab_end(lab);
	lab_expect_nothing(lab);
	lab_wait(lab, 100);
	lab_event(lab, &refused);
	lab_expect(lab, "INVITE ");
	lab_free(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_address_is_tried),
		cmocka_unit_test(refusals_are_doubted),
		cmocka_unit_test(refusals_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
