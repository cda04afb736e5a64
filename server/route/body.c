/* SPDX-License-Identifier: Apache-2.0 */
/* U10: a body of a request to the server itself that must be understood and is not (RFC 3261
 * §8.2.3, RFC 5621). The server does nothing with a session description, but knows what it is. */
#include "server/route/route.h"

enum stw_verdict stw_route_body(struct stw_check *check)
{
	switch (stw_body_check(check->request->msg, STW_STR(STW_BODY_ACCEPT))) {
	case STW_BODY_UNDERSTOOD:
		return STW_PASS;
	case STW_BODY_BROKEN:
		return stw_route_refuse(check, &stw_cause_body_broken);
	case STW_BODY_TYPE:
		check->refusal.headers = STW_STR(ROUTE_ACCEPT);
		break;
	case STW_BODY_ENCODING:
		check->refusal.headers = STW_STR(ROUTE_ACCEPT_ENCODING);
		break;
	case STW_BODY_LANGUAGE:
		check->refusal.headers = STW_STR(ROUTE_ACCEPT_LANGUAGE);
		break;
	}
	return stw_route_refuse(check, &stw_cause_body_not_understood);
}
