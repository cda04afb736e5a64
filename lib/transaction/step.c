/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>

static void retransmit_start(struct tx *tx, uint32_t interval_ms, struct stw_now now)
{
	tx->interval_ms = interval_ms;
	tx->retransmit.kind = STW_TIMER_TX_RETRANSMIT;
	stw_timer_start(tx->layer->wheel, &tx->retransmit, now.mono_ms + interval_ms);
}

static void provisional_start(struct tx *tx, struct stw_now now)
{
	bool is_invite = tx->pub.kind == STW_TX_INVITE_SERVER;

	tx->retransmit.kind = STW_TIMER_TX_100;
	stw_timer_start(tx->layer->wheel, &tx->retransmit,
		now.mono_ms + (is_invite ? TX_INVITE_100_MS : TX_NON_INVITE_100_MS));
}

static uint32_t at_most_t2(uint32_t interval_ms)
{
	return interval_ms < STW_T2_MS ? interval_ms : STW_T2_MS;
}

/* A, E, G and the time of the 100. */
static void retransmit_apply(struct tx *tx, unsigned actions, struct stw_now now)
{
	if (actions & (ACT_STOP_A | ACT_START_A))
		stw_timer_stop(tx->layer->wheel, &tx->retransmit);
	if (actions & ACT_START_A && !tx->pub.reliable)
		retransmit_start(tx, STW_T1_MS, now);
	if (actions & ACT_DOUBLE_A)
		retransmit_start(tx, 2 * tx->interval_ms, now);
	if (actions & ACT_DOUBLE_E)
		retransmit_start(tx, at_most_t2(2 * tx->interval_ms), now);
	if (actions & ACT_RESET_E)
		retransmit_start(tx, STW_T2_MS, now);
	if (actions & ACT_START_100)
		provisional_start(tx, now);
}

/* B, D, F and H to M. */
static void end_apply(struct tx *tx, unsigned actions, struct stw_now now)
{
	struct stw_wheel *wheel = tx->layer->wheel;

	if (actions & ACT_STOP_B)
		stw_timer_stop(wheel, &tx->end);
	if (actions & (ACT_START_B | ACT_START_D))
		stw_timer_start(wheel, &tx->end, now.mono_ms + STW_TIMER_B_MS);
	if (actions & ACT_START_I)
		stw_timer_start(wheel, &tx->end, now.mono_ms + STW_T4_MS);
}

unsigned tx_step(struct tx *tx, enum tx_event event, struct stw_now now)
{
	const struct tx_rule *rule = tx_rule_find(tx->pub.kind, tx->pub.state, event);
	unsigned actions = rule->actions;

	if (rule->next == STW_TX_NONE)
		return 0;
	tx->pub.state = rule->next;
	retransmit_apply(tx, actions, now);
	end_apply(tx, actions, now);
	if (tx->pub.state == STW_TX_TERMINATED) {
		tx_end(tx);
		actions |= STW_TX_ENDED;
	} else if (tx->pub.reliable && actions & ACT_ZERO_IF_RELIABLE) {
		actions |= tx_step(tx, tx_end_event(tx->pub.kind, tx->pub.state), now);
	}
	if (tx->forgotten)
		actions &= ~(unsigned)(STW_TX_PASS_UP | STW_TX_TIMEOUT | STW_TX_ERROR);
	return actions & ACT_PUBLIC;
}

unsigned stw_tx_receive_request(
	struct stw_tx *tx, const struct stw_msg *request, struct stw_now now)
{
	/* Before the first response there is nothing to repeat. */
	if (tx->last_code == 0)
		return 0;
	return tx_step(tx_of(tx), request->method == STW_METHOD_ACK ? EV_ACK : EV_REQUEST, now);
}

/* RFC 4320 §4.1: no 1xx but 100, and over an unreliable transport not before Timer E reaches T2. */
static bool provisional_is_allowed(const struct stw_tx *tx, unsigned code, struct stw_now now)
{
	if (tx->kind == STW_TX_INVITE_SERVER)
		return true;
	return code == 100 &&
	       (tx->reliable || now.mono_ms >= tx->started_ms + TX_NON_INVITE_100_MS);
}

unsigned stw_tx_respond(
	struct stw_tx *tx, unsigned code, struct stw_slices response, struct stw_now now)
{
	enum tx_event event = code < 200 ? EV_TU_1XX : code < 300 ? EV_TU_2XX : EV_TU_300_699;

	assert(tx_is_server(tx_of(tx)) && code >= 100 && code <= 699);
	if (code < 200 && !provisional_is_allowed(tx, code, now))
		return 0;
	/* RFC 4320 §4.2: a non-INVITE request is never answered 408, it just ends. */
	if (code == 408 && tx->kind == STW_TX_NON_INVITE_SERVER)
		return stw_tx_abandon(tx, now);
	if (tx_rule_find(tx->kind, tx->state, event)->next == STW_TX_NONE)
		return 0;
	tx->last_code = (uint16_t)code;
	tx->final_sent = code >= 200;
	tx->message = response;
	if (tx->final_sent)
		tx_legacy_answered(tx_of(tx), response);
	return tx_step(tx_of(tx), event, now);
}

void stw_tx_move_response(struct stw_tx *tx, struct stw_slices response)
{
	tx->message = response;
}

/* Until the Timer F of the client copies of the request are ours to absorb, and the 100 is due (RFC
 * 4320 §4.1). */
unsigned stw_tx_abandon(struct stw_tx *tx, struct stw_now now)
{
	uint64_t end_ms = tx->started_ms + STW_TIMER_B_MS;

	if (tx_rule_find(tx->kind, tx->state, EV_TU_ABANDON)->next == STW_TX_NONE)
		return 0;
	if (now.mono_ms >= end_ms)
		return tx_step(tx_of(tx), EV_TU_ABANDON, now);
	stw_timer_start(tx_of(tx)->layer->wheel, &tx_of(tx)->end, end_ms);
	return 0;
}

unsigned stw_tx_resend(
	struct stw_tx *tx, struct stw_slices request, bool reliable, struct stw_now now)
{
	if (tx_rule_find(tx->kind, tx->state, EV_TU_RESEND)->next == STW_TX_NONE)
		return 0;
	tx->message = request;
	tx->reliable = reliable;
	return tx_step(tx_of(tx), EV_TU_RESEND, now);
}

unsigned stw_tx_receive_response(
	struct stw_tx *tx, const struct stw_msg *response, struct stw_now now)
{
	unsigned code = response->code;
	enum tx_event event = code < 200 ? EV_1XX : code < 300 ? EV_2XX : EV_300_699;

	if (tx_rule_find(tx->kind, tx->state, event)->next == STW_TX_NONE)
		return 0;
	tx->last_code = (uint16_t)code;
	return tx_step(tx_of(tx), event, now);
}

void stw_tx_forget(struct stw_tx *tx)
{
	tx_of(tx)->forgotten = true;
	/* No timer is started on the way to Terminated: the time is not needed. */
	(void)tx_step(tx_of(tx), EV_TU_FORGET, (struct stw_now){ 0 });
}

unsigned stw_tx_transport_error(struct stw_tx *tx, struct stw_now now)
{
	return tx_step(tx_of(tx), EV_TRANSPORT_ERROR, now);
}

static enum tx_event timer_event(const struct stw_tx *tx, const struct stw_timer *timer)
{
	switch (timer->kind) {
	case STW_TIMER_TX_RETRANSMIT:
		return tx_retransmit_event(tx->kind);
	case STW_TIMER_TX_END:
		return tx_end_event(tx->kind, tx->state);
	default:
		return EV_TIMER_100;
	}
}

/* Who has stood still finds both timers due. What is over is not sent again: the other side has
 * forgotten it by now, and would take it for something new. */
static bool timer_is_late(const struct tx *tx, const struct stw_timer *timer, struct stw_now now)
{
	return timer->kind == STW_TIMER_TX_RETRANSMIT && stw_timer_running(&tx->end) &&
	       tx->end.due_ms <= now.mono_ms;
}

unsigned stw_tx_timer(struct stw_tx *tx, struct stw_timer *timer, struct stw_now now)
{
	enum tx_event event = timer_event(tx, timer);

	if (timer_is_late(tx_of(tx), timer, now))
		return 0;
	return event == TX_EVENTS ? 0 : tx_step(tx_of(tx), event, now);
}

char stw_tx_timer_letter(const struct stw_tx *tx, const struct stw_timer *timer)
{
	enum tx_event event = timer_event(tx, timer);

	if (!stw_timer_running(timer) || event < EV_TIMER_A || event >= TX_EVENTS)
		return 0;
	return TX_TIMER_LETTERS[event - EV_TIMER_A];
}
