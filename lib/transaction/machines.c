/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four machines of RFC 3261 §17, one row per arrow. An empty cell: the event says nothing in
 * this state. Row STW_TX_NONE is the arrow that enters the figure from outside.
 */
#include "internal.h"

/* clang-format off */
#define RULE(state, ...) { STW_TX_##state, __VA_ARGS__ }

/* INVITE client transaction: RFC 3261 §17.1.1, figure 5 as replaced by RFC 6026 §8.4. */
static const struct tx_rule invite_client[STW_TX_STATES][TX_EVENTS] = {
	[STW_TX_NONE] = {
		[EV_START]           = RULE(CALLING,    STW_TX_SEND | ACT_START_A | ACT_START_B),
	},
	[STW_TX_CALLING] = {
		[EV_TIMER_A]         = RULE(CALLING,    STW_TX_SEND | ACT_DOUBLE_A),
		[EV_TIMER_B]         = RULE(TERMINATED, STW_TX_TIMEOUT),
		[EV_TRANSPORT_ERROR] = RULE(TERMINATED, STW_TX_ERROR),
		[EV_1XX]             = RULE(PROCEEDING, STW_TX_PASS_UP | ACT_STOP_A | ACT_STOP_B),
		[EV_2XX]             = RULE(ACCEPTED,   STW_TX_PASS_UP | ACT_STOP_A | ACT_START_M),
		[EV_300_699]         = RULE(COMPLETED,  STW_TX_PASS_UP | STW_TX_SEND_ACK |
						        ACT_STOP_A | ACT_START_D),
		[EV_TU_RESEND]       = RULE(CALLING,    STW_TX_SEND | ACT_START_A | ACT_START_B),
		[EV_TU_FORGET]       = RULE(TERMINATED, 0),
	},
	[STW_TX_PROCEEDING] = {
		[EV_1XX]             = RULE(PROCEEDING, STW_TX_PASS_UP),
		[EV_2XX]             = RULE(ACCEPTED,   STW_TX_PASS_UP | ACT_START_M),
		[EV_300_699]         = RULE(COMPLETED,  STW_TX_PASS_UP | STW_TX_SEND_ACK |
						        ACT_START_D),
		[EV_TU_FORGET]       = RULE(TERMINATED, 0),     /* §9.1: no final after CANCEL */
	},
	[STW_TX_ACCEPTED] = {
		[EV_2XX]             = RULE(ACCEPTED,   STW_TX_PASS_UP),
		[EV_TIMER_M]         = RULE(TERMINATED, 0),
	},
	[STW_TX_COMPLETED] = {
		[EV_300_699]         = RULE(COMPLETED,  STW_TX_SEND_ACK),
		[EV_TRANSPORT_ERROR] = RULE(TERMINATED, STW_TX_ERROR),
		[EV_TIMER_D]         = RULE(TERMINATED, 0),
	},
};

/* Non-INVITE client transaction: RFC 3261 §17.1.2, figure 6. */
static const struct tx_rule non_invite_client[STW_TX_STATES][TX_EVENTS] = {
	[STW_TX_NONE] = {
		[EV_START]           = RULE(TRYING,     STW_TX_SEND | ACT_START_E | ACT_START_F),
	},
	[STW_TX_TRYING] = {
		[EV_TIMER_E]         = RULE(TRYING,     STW_TX_SEND | ACT_DOUBLE_E),
		[EV_TIMER_F]         = RULE(TERMINATED, STW_TX_TIMEOUT),
		[EV_TRANSPORT_ERROR] = RULE(TERMINATED, STW_TX_ERROR),
		[EV_1XX]             = RULE(PROCEEDING, STW_TX_PASS_UP),
		[EV_2XX]             = RULE(COMPLETED,  STW_TX_PASS_UP | ACT_STOP_E | ACT_START_K),
		[EV_300_699]         = RULE(COMPLETED,  STW_TX_PASS_UP | ACT_STOP_E | ACT_START_K),
		[EV_TU_RESEND]       = RULE(TRYING,     STW_TX_SEND | ACT_START_E | ACT_START_F),
		[EV_TU_FORGET]       = RULE(TERMINATED, 0),
	},
	[STW_TX_PROCEEDING] = {
		[EV_TIMER_E]         = RULE(PROCEEDING, STW_TX_SEND | ACT_RESET_E),
		[EV_TIMER_F]         = RULE(TERMINATED, STW_TX_TIMEOUT),
		[EV_TRANSPORT_ERROR] = RULE(TERMINATED, STW_TX_ERROR),
		[EV_1XX]             = RULE(PROCEEDING, STW_TX_PASS_UP),
		[EV_2XX]             = RULE(COMPLETED,  STW_TX_PASS_UP | ACT_STOP_E | ACT_START_K),
		[EV_300_699]         = RULE(COMPLETED,  STW_TX_PASS_UP | ACT_STOP_E | ACT_START_K),
		[EV_TU_FORGET]       = RULE(TERMINATED, 0),
	},
	[STW_TX_COMPLETED] = {
		[EV_TIMER_K]         = RULE(TERMINATED, 0),
	},
};

/*
 * INVITE server transaction: RFC 3261 §17.2.1, figure 7 as replaced by RFC 6026 §8.6. Timer H is
 * told to the TU, as the text of §17.2.1 demands where the figure is silent.
 */
static const struct tx_rule invite_server[STW_TX_STATES][TX_EVENTS] = {
	[STW_TX_NONE] = {
		[EV_START]           = RULE(PROCEEDING, STW_TX_PASS_UP | ACT_START_100),
	},
	[STW_TX_PROCEEDING] = {
		[EV_REQUEST]         = RULE(PROCEEDING, STW_TX_SEND),
		[EV_TIMER_100]       = RULE(PROCEEDING, STW_TX_SEND_100),
		[EV_TU_1XX]          = RULE(PROCEEDING, STW_TX_SEND | ACT_STOP_100),
		[EV_TU_2XX]          = RULE(ACCEPTED,   STW_TX_SEND | ACT_STOP_100 | ACT_START_L),
		[EV_TU_300_699]      = RULE(COMPLETED,  STW_TX_SEND | ACT_START_G | ACT_START_H),
		[EV_TRANSPORT_ERROR] = RULE(PROCEEDING, STW_TX_ERROR),
	},
	[STW_TX_ACCEPTED] = {
		[EV_REQUEST]         = RULE(ACCEPTED,   0),
		[EV_ACK]             = RULE(ACCEPTED,   STW_TX_PASS_UP),
		[EV_TU_2XX]          = RULE(ACCEPTED,   STW_TX_SEND),
		[EV_TRANSPORT_ERROR] = RULE(ACCEPTED,   STW_TX_ERROR),
		[EV_TIMER_L]         = RULE(TERMINATED, 0),
	},
	[STW_TX_COMPLETED] = {
		[EV_REQUEST]         = RULE(COMPLETED,  STW_TX_SEND),
		[EV_ACK]             = RULE(CONFIRMED,  ACT_STOP_G | ACT_START_I),
		[EV_TRANSPORT_ERROR] = RULE(COMPLETED,  STW_TX_ERROR),
		[EV_TIMER_G]         = RULE(COMPLETED,  STW_TX_SEND | ACT_DOUBLE_G),
		[EV_TIMER_H]         = RULE(TERMINATED, STW_TX_TIMEOUT),
	},
	[STW_TX_CONFIRMED] = {
		[EV_TIMER_I]         = RULE(TERMINATED, 0),
	},
};

/*
 * Non-INVITE server transaction: RFC 3261 §17.2.2, figure 8, with RFC 4320. A transport error no
 * longer ends it: §17.2.4 as replaced by RFC 6026 §8.8 says that it MUST remain in its state.
 */
static const struct tx_rule non_invite_server[STW_TX_STATES][TX_EVENTS] = {
	[STW_TX_NONE] = {
		[EV_START]           = RULE(TRYING,     STW_TX_PASS_UP | ACT_START_100),
	},
	[STW_TX_TRYING] = {
		[EV_TIMER_100]       = RULE(TRYING,     STW_TX_SEND_100),
		[EV_TU_1XX]          = RULE(PROCEEDING, STW_TX_SEND | ACT_STOP_100),
		[EV_TU_2XX]          = RULE(COMPLETED,  STW_TX_SEND | ACT_STOP_100 | ACT_START_J),
		[EV_TU_300_699]      = RULE(COMPLETED,  STW_TX_SEND | ACT_STOP_100 | ACT_START_J),
		[EV_TU_ABANDON]      = RULE(TERMINATED, 0),     /* RFC 4320 §4.2 */
		[EV_TIMER_J]         = RULE(TERMINATED, 0),     /* abandoned before 64*T1 */
	},
	[STW_TX_PROCEEDING] = {
		[EV_REQUEST]         = RULE(PROCEEDING, STW_TX_SEND),
		[EV_TU_1XX]          = RULE(PROCEEDING, STW_TX_SEND),
		[EV_TU_2XX]          = RULE(COMPLETED,  STW_TX_SEND | ACT_START_J),
		[EV_TU_300_699]      = RULE(COMPLETED,  STW_TX_SEND | ACT_START_J),
		[EV_TU_ABANDON]      = RULE(TERMINATED, 0),     /* RFC 4320 §4.2 */
		[EV_TIMER_J]         = RULE(TERMINATED, 0),     /* abandoned before 64*T1 */
		[EV_TRANSPORT_ERROR] = RULE(PROCEEDING, STW_TX_ERROR),
	},
	[STW_TX_COMPLETED] = {
		[EV_REQUEST]         = RULE(COMPLETED,  STW_TX_SEND),
		[EV_TRANSPORT_ERROR] = RULE(COMPLETED,  STW_TX_ERROR),
		[EV_TIMER_J]         = RULE(TERMINATED, 0),
	},
};

/* RFC 3261 Table 4 and RFC 6026 §8.11: what ends which state. */
static const enum tx_event end_events[][STW_TX_STATES] = {
	[STW_TX_INVITE_CLIENT] = {
		[STW_TX_CALLING] = EV_TIMER_B, [STW_TX_COMPLETED] = EV_TIMER_D,
		[STW_TX_ACCEPTED] = EV_TIMER_M,
	},
	[STW_TX_NON_INVITE_CLIENT] = {
		[STW_TX_TRYING] = EV_TIMER_F, [STW_TX_PROCEEDING] = EV_TIMER_F,
		[STW_TX_COMPLETED] = EV_TIMER_K,
	},
	[STW_TX_INVITE_SERVER] = {
		[STW_TX_COMPLETED] = EV_TIMER_H, [STW_TX_CONFIRMED] = EV_TIMER_I,
		[STW_TX_ACCEPTED] = EV_TIMER_L,
	},
	[STW_TX_NON_INVITE_SERVER] = {
		[STW_TX_TRYING] = EV_TIMER_J, [STW_TX_PROCEEDING] = EV_TIMER_J,
		[STW_TX_COMPLETED] = EV_TIMER_J,
	},
};
/* clang-format on */

const struct tx_rule *tx_rule_find(
	enum stw_tx_kind kind, enum stw_tx_state state, enum tx_event event)
{
	switch (kind) {
	case STW_TX_INVITE_CLIENT:
		return &invite_client[state][event];
	case STW_TX_NON_INVITE_CLIENT:
		return &non_invite_client[state][event];
	case STW_TX_INVITE_SERVER:
		return &invite_server[state][event];
	case STW_TX_NON_INVITE_SERVER:
		break;
	}
	return &non_invite_server[state][event];
}

enum tx_event tx_end_event(enum stw_tx_kind kind, enum stw_tx_state state)
{
	enum tx_event event = end_events[kind][state];

	return event == EV_START ? TX_EVENTS : event;
}

enum tx_event tx_retransmit_event(enum stw_tx_kind kind)
{
	static const enum tx_event events[] = {
		[STW_TX_INVITE_CLIENT] = EV_TIMER_A,
		[STW_TX_NON_INVITE_CLIENT] = EV_TIMER_E,
		[STW_TX_INVITE_SERVER] = EV_TIMER_G,
		[STW_TX_NON_INVITE_SERVER] = TX_EVENTS,
	};

	return events[kind];
}

const char *stw_tx_state_name(enum stw_tx_state state)
{
	static const char *const names[STW_TX_STATES] = {
		[STW_TX_NONE] = "none",
		[STW_TX_CALLING] = "Calling",
		[STW_TX_TRYING] = "Trying",
		[STW_TX_PROCEEDING] = "Proceeding",
		[STW_TX_ACCEPTED] = "Accepted",
		[STW_TX_COMPLETED] = "Completed",
		[STW_TX_CONFIRMED] = "Confirmed",
		[STW_TX_TERMINATED] = "Terminated",
	};

	return state < STW_TX_STATES ? names[state] : names[STW_TX_NONE];
}
