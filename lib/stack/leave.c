/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a connection waits for the answers to what came by it: while it is open a response
 * MUST be sent on it (RFC 3261 §18.2.2), and a peer that has ended its own side still reads. Each
 * worker that has requests of it says when all of them have their final response.
 */
#include <strowger/stack.h>

#include <stdlib.h>

#include "internal.h"

struct leave {
	struct leave *next, **link; /* of the stack */
	struct stw_stack *stack;
	struct stw_timer timer; /* TIMER_LEFT: nothing is waited for any more */
	struct stw_flow_id flow;
	struct parcel *parcel; /* goes back to who has the flow; NULL: it is ours */
	unsigned waits;        /* requests without a final response */
};

/* ---- requests by their flow -------------------------------------------------------- */

static struct box **asked_list(struct stw_stack *stack, struct stw_flow_id flow)
{
	return &stack->asked_on[flow.slot % FLOW_LISTS];
}

void asked_begin(struct box *box)
{
	struct box **list = asked_list(box->request.stack, box->request.source.flow);

	if (!stw_flow_id_set(box->request.source.flow) || box->request.answered)
		return;
	box->asked_next = *list;
	box->asked_link = list;
	if (*list)
		(*list)->asked_link = &box->asked_next;
	*list = box;
}

/* The final response leaves, or none will: what waits for it goes on when the event is over. */
void asked_end(struct box *box)
{
	struct stw_stack *stack = box->request.stack;
	struct leave *leave = box->leave;

	if (!box->asked_link)
		return;
	*box->asked_link = box->asked_next;
	if (box->asked_next)
		box->asked_next->asked_link = box->asked_link;
	box->asked_link = NULL;
	box->leave = NULL;
	if (leave && --leave->waits == 0)
		stw_timer_start(&stack->wheel, &leave->timer, stack->now.mono_ms);
}

/* ---- the wait ------------------------------------------------------------------------ */

static struct leave *leave_new(struct stw_stack *stack, struct stw_flow_id flow)
{
	struct leave *leave = calloc(1, sizeof(*leave));

	if (!leave)
		return NULL;
	leave->stack = stack;
	leave->flow = flow;
	leave->timer = (struct stw_timer){ .kind = TIMER_LEFT, .owner = leave };
	leave->next = stack->leaves;
	leave->link = &stack->leaves;
	if (leave->next)
		leave->next->link = &leave->next;
	stack->leaves = leave;
	return leave;
}

static void leave_free(struct leave *leave)
{
	stw_timer_stop(&leave->stack->wheel, &leave->timer);
	*leave->link = leave->next;
	if (leave->next)
		leave->next->link = leave->link;
	if (leave->parcel)
		parcel_free(leave->parcel);
	free(leave);
}

/* Takes the parcel when it waits. @return false: there is nothing to wait for, or no memory */
bool leave_begin(struct stw_stack *stack, struct stw_flow_id flow, struct parcel *parcel)
{
	struct leave *leave = NULL;
	struct box *box;

	for (box = *asked_list(stack, flow); box; box = box->asked_next) {
		if (box->leave || !stw_flow_id_equal(box->request.source.flow, flow))
			continue;
		if (!leave)
			leave = leave_new(stack, flow);
		if (!leave)
			return false;
		box->leave = leave;
		leave->waits++;
	}
	if (leave)
		leave->parcel = parcel;
	return leave;
}

void leave_timer(struct leave *leave)
{
	struct parcel *parcel = leave->parcel;

	leave->parcel = NULL;
	if (parcel)
		parcel_left(leave->stack, parcel);
	else
		stack_left_flow(leave->stack, leave->flow);
	leave_free(leave);
}

void leaves_free(struct stw_stack *stack)
{
	while (stack->leaves)
		leave_free(stack->leaves);
}
