/* SPDX-License-Identifier: Apache-2.0 */
#include "lab.h"

#define IC  STW_TX_INVITE_CLIENT
#define NC  STW_TX_NON_INVITE_CLIENT
#define IS  STW_TX_INVITE_SERVER
#define NS  STW_TX_NON_INVITE_SERVER
#define UDP false
#define TCP true

static struct lab lab;

/* Sequences in time: each timer A to M with its values, on both sorts of transport. */
static const struct {
	enum stw_tx_kind kind;
	bool reliable;
	const char *script, *log, *state;
} sequences[] = {
	/* A doubles without end, B after 64*T1: seven requests in all. */
	{ IC, UDP, "w40000", "A@500=S A@1500=S A@3500=S A@7500=S A@15500=S A@31500=S B@32000=TX",
		"Terminated" },
	{ IC, TCP, "w40000", "B@32000=TX", "Terminated" },
	/* In Proceeding neither A nor B runs. */
	{ IC, UDP, "w600 100 w1000000 180 w1000000", "A@500=S 100=P 180=P", "Proceeding" },
	{ IC, TCP, "100 w1000000", "100=P", "Proceeding" },
	/* D. */
	{ IC, UDP, "w100 486 w31999", "486=KP", "Completed" },
	{ IC, UDP, "w100 486 486 w100 486 w40000", "486=KP 486=K 486=K D@32100=X", "Terminated" },
	{ IC, UDP, "100 600 w40000", "100=P 600=KP D@32000=X", "Terminated" },
	{ IC, TCP, "486 486 w40000", "486=KPX 486=-", "Terminated" },
	{ IC, TCP, "180 300 w40000", "180=P 300=KPX", "Terminated" },
	/* M on all transports; each 2xx is passed up, a later 300-699 is not. */
	{ IC, UDP, "200 w31999 200 486 100", "200=P 200=P 486=- 100=-", "Accepted" },
	{ IC, UDP, "180 w500 200 w40000", "180=P 200=P M@32500=X", "Terminated" },
	{ IC, TCP, "200 w10 200 w40000", "200=P 200=P M@32000=X", "Terminated" },
	/* Transport errors. */
	{ IC, UDP, "err w40000", "err=EX", "Terminated" },
	{ IC, UDP, "180 err", "180=P err=-", "Proceeding" },
	{ IC, UDP, "486 err w40000", "486=KP err=EX", "Terminated" },

	/* E doubles up to T2, F after 64*T1: eleven requests in all. */
	{ NC, UDP, "w40000",
		"E@500=S E@1500=S E@3500=S E@7500=S E@11500=S E@15500=S E@19500=S E@23500=S "
		"E@27500=S "
		"E@31500=S F@32000=TX",
		"Terminated" },
	{ NC, TCP, "w40000", "F@32000=TX", "Terminated" },
	/* Proceeding: the running interval ends, then T2 at once; F goes on. */
	{ NC, UDP, "w100 100 w12000 100 w30000",
		"100=P E@500=S E@4500=S E@8500=S 100=P E@12500=S E@16500=S E@20500=S E@24500=S "
		"E@28500=S "
		"F@32000=TX",
		"Terminated" },
	{ NC, TCP, "100 w40000", "100=P F@32000=TX", "Terminated" },
	/* K. */
	{ NC, UDP, "w600 200 w4999 200 486", "E@500=S 200=P 200=- 486=-", "Completed" },
	{ NC, UDP, "w600 200 w5000", "E@500=S 200=P K@5600=X", "Terminated" },
	{ NC, UDP, "100 404 w5000", "100=P 404=P K@5000=X", "Terminated" },
	{ NC, TCP, "200 200", "200=PX 200=-", "Terminated" },
	{ NC, TCP, "100 503", "100=P 503=PX", "Terminated" },
	{ NC, UDP, "err", "err=EX", "Terminated" },
	{ NC, UDP, "100 err", "100=P err=EX", "Terminated" },

	/* The 100 after 200 ms, unless something was sent; a repeated INVITE gets the last
	   response. */
	{ IS, UDP, "w199 req", "req=-", "Proceeding" },
	{ IS, UDP, "w1000 r100 req r180 r183 req", "0@200=1 r100=S req=S r180=S r183=S req=S",
		"Proceeding" },
	{ IS, UDP, "w100 r100 w1000000 req", "r100=S req=S", "Proceeding" },
	{ IS, TCP, "w1000", "0@200=1", "Proceeding" },
	/* G doubles up to T2, H after 64*T1. */
	{ IS, UDP, "w10 r486 w40000",
		"r486=S G@510=S G@1510=S G@3510=S G@7510=S G@11510=S G@15510=S G@19510=S G@23510=S "
		"G@27510=S G@31510=S H@32010=TX",
		"Terminated" },
	{ IS, TCP, "r486 w31999 req", "r486=S req=S", "Completed" },
	{ IS, TCP, "r486 w40000", "r486=S H@32000=TX", "Terminated" },
	/* I. */
	{ IS, UDP, "r486 w600 req ack ack req w4999", "r486=S G@500=S req=S ack=- ack=- req=-",
		"Confirmed" },
	{ IS, UDP, "r486 w600 ack w5000", "r486=S G@500=S ack=- I@5600=X", "Terminated" },
	{ IS, TCP, "r486 ack ack", "r486=S ack=X ack=-", "Terminated" },
	/* L on all transports; ACK goes up, INVITE is absorbed, 2xx is sent again when the TU says
	   so. */
	{ IS, UDP, "r200 req ack r200 ack w31999", "r200=S req=- ack=P r200=S ack=P", "Accepted" },
	{ IS, UDP, "r180 r200 w32000", "r180=S r200=S L@32000=X", "Terminated" },
	{ IS, TCP, "r200 w32000", "r200=S L@32000=X", "Terminated" },
	{ IS, UDP, "r200 r486 r180", "r200=S r486=- r180=-", "Accepted" },
	{ IS, UDP, "r486 r200 r180 r487", "r486=S r200=- r180=- r487=-", "Completed" },
	/* RFC 6026 §7.1: transport errors are told and end nothing. */
	{ IS, UDP, "err r180 err", "err=E r180=S err=E", "Proceeding" },
	{ IS, UDP, "r200 err", "r200=S err=E", "Accepted" },
	{ IS, UDP, "r486 err", "r486=S err=E", "Completed" },
	{ IS, UDP, "r486 ack err", "r486=S ack=- err=-", "Confirmed" },
	{ IS, UDP, "ack abandon", "ack=- abandon=-", "Proceeding" },

	/* RFC 4320 §4.1: the 100 after 3.5 s; before it none on UDP; no other 1xx at all. */
	{ NS, UDP, "w3499 req", "req=-", "Trying" },
	{ NS, UDP, "w3500 r100 req", "0@3500=1 r100=S req=S", "Proceeding" },
	{ NS, TCP, "w3500", "0@3500=1", "Trying" },
	{ NS, UDP, "w3000 r100 r180", "r100=- r180=-", "Trying" },
	{ NS, TCP, "w3 r100 r100 r183 w1000000", "r100=S r100=S r183=-", "Proceeding" },
	/* J. */
	{ NS, UDP, "r200 req r404 w31999 req", "r200=S req=S r404=- req=S", "Completed" },
	{ NS, UDP, "w4000 r100 r404 w32000", "0@3500=1 r100=S r404=S J@36000=X", "Terminated" },
	{ NS, UDP, "r404 w32000", "r404=S J@32000=X", "Terminated" },
	{ NS, TCP, "r200 req", "r200=SX req=-", "Terminated" },
	{ NS, TCP, "r100 r500 req", "r100=S r500=SX req=-", "Terminated" },
	/* RFC 4320 §4.2: no 408. */
	{ NS, UDP, "w32000 abandon", "0@3500=1 abandon=X", "Terminated" },
	/* Copies are absorbed until 64*T1, and the 100 is sent (§4.1). */
	{ NS, UDP, "w4000 r100 abandon req w27999", "0@3500=1 r100=S abandon=- req=S",
		"Proceeding" },
	{ NS, UDP, "w4000 r100 abandon w28000", "0@3500=1 r100=S abandon=- J@32000=X",
		"Terminated" },
	{ NS, UDP, "r408 req w31999", "r408=- req=- 0@3500=1", "Trying" },
	{ NS, TCP, "w10 r408 w32000", "r408=- 0@3500=1 J@32000=X", "Terminated" },
	{ NS, UDP, "r200 r408 abandon", "r200=S r408=- abandon=-", "Completed" },
	/* RFC 6026 §8.8. */
	{ NS, UDP, "err", "err=-", "Trying" },
	{ NS, UDP, "w4000 r100 err", "0@3500=1 r100=S err=E", "Proceeding" },
	{ NS, UDP, "r200 err", "r200=S err=E", "Completed" },

	/* The stack lets go of a client. */
	{ IC, UDP, "forget w40000", "forget=X", "Terminated" },
	{ IC, UDP, "180 forget w40000", "180=P forget=X", "Terminated" },
	{ IC, UDP, "486 forget 486 w40000", "486=KP forget=- 486=K D@32000=X", "Terminated" },
	{ IC, UDP, "486 forget err", "486=KP forget=- err=X", "Terminated" },
	{ IC, UDP, "200 forget 200 w40000", "200=P forget=- 200=- M@32000=X", "Terminated" },
	{ NC, UDP, "forget", "forget=X", "Terminated" },
	{ NC, UDP, "100 forget", "100=P forget=X", "Terminated" },
	{ NC, UDP, "200 forget 200 w5000", "200=P forget=- 200=- K@5000=X", "Terminated" },

	/* Another transport before any response: the timers begin anew. */
	{ IC, TCP, "w1000 resend w40000",
		"resend=S A@1500=S A@2500=S A@4500=S A@8500=S A@16500=S A@32500=S B@33000=TX",
		"Terminated" },
	{ IC, UDP, "w600 resend-tcp w40000", "A@500=S resend-tcp=S B@32600=TX", "Terminated" },
	{ IC, UDP, "180 resend", "180=P resend=-", "Proceeding" },
	{ NC, TCP, "w1000 resend w1600", "resend=S E@1500=S E@2500=S", "Trying" },
	{ NC, UDP, "100 resend", "100=P resend=-", "Proceeding" },
};

static void test_sequences(void **state)
{
	for (size_t i = 0; i < STW_ARRAY_SIZE(sequences); i++) {
		lab_init(&lab);
		lab_new(&lab, sequences[i].kind, sequences[i].reliable);
		support_allocations();
		lab_play(&lab, sequences[i].script);
		assert_int_equal(support_allocations(), 0);
		if (strcmp(lab.log, sequences[i].log) != 0)
			fail_msg("case %zu, %s:\n  is     %s\n  not    %s", i, sequences[i].script,
				lab.log, sequences[i].log);
		assert_string_equal(stw_tx_state_name(lab.tx->state), sequences[i].state);
		assert_int_equal(lab.ended, lab.tx->state == STW_TX_TERMINATED);
		if (lab.ended)
			assert_int_equal(lab.wheel.count, 0);
		stw_tx_reap(lab.layer, NULL, NULL);
		assert_int_equal(stw_tx_count(lab.layer), lab.ended ? 0 : 1);
		lab_done(&lab);
	}
}

/* The figures said once more in words of their own: every arrow of a state; all else is ignored. */
static const struct {
	enum stw_tx_kind kind;
	enum stw_tx_state state;
	const char *arrows;
} figures[] = {
	{ IC, STW_TX_NONE, "start>Calling" },
	{ IC, STW_TX_CALLING,
		"1xx>Proceeding 2xx>Accepted 3xx>Completed resend>Calling "
		"forget>Terminated err>Terminated A>Calling B>Terminated" },
	{ IC, STW_TX_PROCEEDING, "1xx>Proceeding 2xx>Accepted 3xx>Completed forget>Terminated" },
	{ IC, STW_TX_ACCEPTED, "2xx>Accepted M>Terminated" },
	{ IC, STW_TX_COMPLETED, "3xx>Completed err>Terminated D>Terminated" },
	{ NC, STW_TX_NONE, "start>Trying" },
	{ NC, STW_TX_TRYING,
		"1xx>Proceeding 2xx>Completed 3xx>Completed resend>Trying "
		"forget>Terminated err>Terminated E>Trying F>Terminated" },
	{ NC, STW_TX_PROCEEDING,
		"1xx>Proceeding 2xx>Completed 3xx>Completed forget>Terminated "
		"err>Terminated E>Proceeding F>Terminated" },
	{ NC, STW_TX_COMPLETED, "K>Terminated" },
	{ IS, STW_TX_NONE, "start>Proceeding" },
	{ IS, STW_TX_PROCEEDING,
		"req>Proceeding r1xx>Proceeding r2xx>Accepted r3xx>Completed "
		"err>Proceeding 100>Proceeding" },
	{ IS, STW_TX_ACCEPTED,
		"req>Accepted ack>Accepted r2xx>Accepted err>Accepted L>Terminated" },
	{ IS, STW_TX_COMPLETED,
		"req>Completed ack>Confirmed err>Completed G>Completed H>Terminated" },
	{ IS, STW_TX_CONFIRMED, "I>Terminated" },
	{ NS, STW_TX_NONE, "start>Trying" },
	{ NS, STW_TX_TRYING,
		"r1xx>Proceeding r2xx>Completed r3xx>Completed abandon>Terminated 100>Trying "
		"J>Terminated" },
	{ NS, STW_TX_PROCEEDING,
		"req>Proceeding r1xx>Proceeding r2xx>Completed r3xx>Completed "
		"abandon>Terminated err>Proceeding J>Terminated" },
	{ NS, STW_TX_COMPLETED, "req>Completed err>Completed J>Terminated" },
};

static const char *const event_names[TX_EVENTS] = {
	"start",
	"1xx",
	"2xx",
	"3xx",
	"req",
	"ack",
	"r1xx",
	"r2xx",
	"r3xx",
	"abandon",
	"resend",
	"forget",
	"err",
	"100",
	"A",
	"B",
	"D",
	"E",
	"F",
	"G",
	"H",
	"I",
	"J",
	"K",
	"L",
	"M",
};

static void arrows_of(enum stw_tx_kind kind, enum stw_tx_state state, char *ret, size_t bytes)
{
	size_t len = 0;

	ret[0] = '\0';
	for (unsigned event = 0; event < TX_EVENTS; event++) {
		const struct tx_rule *rule = tx_rule_find(kind, state, event);

		if (rule->next == STW_TX_NONE) {
			assert_int_equal(rule->actions, 0);
			continue;
		}
		len += (size_t)snprintf(ret + len, bytes - len, "%s%s>%s", len ? " " : "",
			event_names[event], stw_tx_state_name(rule->next));
		assert_true(len < bytes);
	}
}

static void test_figures(void **state)
{
	char arrows[1024];

	for (unsigned kind = IC; kind <= NS; kind++) {
		for (unsigned s = STW_TX_NONE; s < STW_TX_STATES; s++) {
			const char *expected = "";

			for (size_t i = 0; i < STW_ARRAY_SIZE(figures); i++) {
				if (figures[i].kind == kind && figures[i].state == s)
					expected = figures[i].arrows;
			}
			arrows_of(kind, s, arrows, sizeof(arrows));
			assert_string_equal(arrows, expected);
		}
	}
}

static void test_timer_letters(void **state)
{
	struct tx *tx;

	lab_init(&lab);
	lab_new(&lab, IC, UDP);
	tx = tx_of(lab.tx);
	assert_int_equal(stw_tx_timer_letter(lab.tx, &tx->retransmit), 'A');
	assert_int_equal(stw_tx_timer_letter(lab.tx, &tx->end), 'B');
	lab_play(&lab, "180");
	assert_int_equal(stw_tx_timer_letter(lab.tx, &tx->retransmit), 0);
	assert_int_equal(stw_tx_timer_letter(lab.tx, &tx->end), 0);
	lab_play(&lab, "200");
	assert_int_equal(stw_tx_timer_letter(lab.tx, &tx->end), 'M');
	lab_new(&lab, IS, UDP);
	tx = tx_of(lab.tx);
	assert_int_equal(
		stw_tx_timer_letter(lab.tx, &tx->retransmit), 0); /* the 100 has no letter */
	lab_play(&lab, "r486");
	assert_int_equal(stw_tx_timer_letter(lab.tx, &tx->retransmit), 'G');
	assert_int_equal(stw_tx_timer_letter(lab.tx, &tx->end), 'H');
	lab_done(&lab);
}

/* A clock that comes late: intervals count from when the timer was served. */
static void test_late_clock(void **state)
{
	struct stw_timer *timer;

	lab_init(&lab);
	lab_new(&lab, NC, UDP);
	lab.now.mono_ms += 9000;
	timer = stw_wheel_expire(&lab.wheel, lab.now.mono_ms);
	assert_non_null(timer);
	assert_int_equal(stw_tx_timer(lab.tx, timer, lab.now), STW_TX_SEND);
	assert_null(stw_wheel_expire(&lab.wheel, lab.now.mono_ms));
	lab_wait(&lab, 1000);
	assert_string_equal(lab.log, "E@10000=S");
	lab_done(&lab);
}

/* The process stood still for longer than 64*T1: nothing is sent again, it is over. */
static void test_clock_behind_the_end(void **state)
{
	static const enum stw_tx_kind kinds[] = { IC, NC };
	struct stw_timer *timer;
	unsigned i, actions;

	for (i = 0; i < STW_ARRAY_SIZE(kinds); i++) {
		lab_init(&lab);
		lab_new(&lab, kinds[i], UDP);
		lab.now.mono_ms += STW_TIMER_B_MS + 10000;
		actions = 0;
		while ((timer = stw_wheel_expire(&lab.wheel, lab.now.mono_ms)))
			actions |= stw_tx_timer(lab.tx, timer, lab.now);
		assert_int_equal(actions, STW_TX_TIMEOUT | STW_TX_ENDED);
		lab_done(&lab);
	}
}

static void test_what_is_sent(void **state)
{
	static const struct stw_str one = { "180", 3 }, two = { "200", 3 }, late = { "486", 3 };

	lab_init(&lab);
	lab_new(&lab, IS, UDP);
	assert_int_equal(lab.tx->last_code, 0);
	assert_int_equal(
		stw_tx_respond(lab.tx, 180, (struct stw_slices){ &one, 1 }, lab.now), STW_TX_SEND);
	assert_ptr_equal(lab.tx->message.v, &one);
	assert_false(lab.tx->final_sent);
	assert_int_equal(
		stw_tx_respond(lab.tx, 200, (struct stw_slices){ &two, 1 }, lab.now), STW_TX_SEND);
	assert_ptr_equal(lab.tx->message.v, &two);
	assert_true(lab.tx->final_sent);
	assert_int_equal(stw_tx_respond(lab.tx, 486, (struct stw_slices){ &late, 1 }, lab.now), 0);
	assert_ptr_equal(lab.tx->message.v, &two);
	assert_int_equal(lab.tx->last_code, 200);
	lab_done(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_timer_letters),
		cmocka_unit_test(test_late_clock),
		cmocka_unit_test(test_clock_behind_the_end),
		cmocka_unit_test(test_what_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
