/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the phones: client.c, server.c, dialog.c and phone.c. */
#ifndef STW_SIMULATE_PHONE_H
#define STW_SIMULATE_PHONE_H

#include "simulate/internal.h"

enum purpose { FOR_CALL, FOR_REGISTER, FOR_DIALOG, FOR_CANCEL, FOR_ANYTHING };

/* What a request is made of. */
struct request {
	char method[16], uri[200], from[240], to[320], call_id[64], lines[700], routes[1400];
	unsigned cseq, max_forwards, body_bytes;
};

enum client_state { CLIENT_TRYING, CLIENT_PROCEEDING, CLIENT_COMPLETED };

/* A client transaction of a phone, RFC 3261 §17.1. */
struct client {
	struct keyed keyed;
	enum purpose purpose;
	enum client_state state;
	struct request request;
	unsigned device, attempts, final;
	struct call *call;
	uint64_t dialog, provisional_ms, started_ms, over_ms, cancelled_ms;
	unsigned interval_ms;
	char branch[48];
	char *text;
	size_t len;
	struct stw_addr to;
	bool tcp, cancel_wanted, cancelled;
};

/* A server transaction of a phone, §17.2, with the 2xx of the UAS core, §13.3.1.4. */
struct server {
	struct keyed keyed;
	unsigned device, code, interval_ms;
	struct stw_hop hop;
	char *request, *response;
	size_t request_len, response_len;
	char tag[32];
	bool invite, acked, in_dialog;
	uint64_t dialog, started_ms, final_ms;
	struct call *call;
};

struct dialog {
	struct keyed keyed;
	unsigned device, cseq;
	bool caller, ended;
	uint64_t since_ms;
	struct request request; /* of the next request in it */
};

/* Which server transaction waits for the ACK of its 2xx; kept among the dialogs. */
struct answered {
	struct keyed keyed;
	uint64_t server;
};

uint64_t key_of(unsigned device, struct stw_str a, struct stw_str b, struct stw_str c);
/* Where a URI leads to: to a node, or to a phone itself. @return false: nowhere known */
bool place_of(const struct world *world, struct stw_str uri, struct stw_addr *ret, bool *ret_tcp);
/* The text of a request. malloc'd. */
char *request_text(struct world *world, const struct client *client, size_t *ret_len);
void device_sends(struct world *world, unsigned device, const struct stw_addr *to, bool tcp,
	const struct stw_hop *flow, const char *text, size_t len);

struct client *client_start(
	struct world *world, unsigned device, enum purpose purpose, const struct request *request);
void client_cancel(struct world *world, struct client *client);
void client_gets(struct world *world, const struct sip *sip);
void client_free(void *item);

void server_gets(struct world *world, unsigned device, const struct happening *happening,
	const struct sip *sip);
void server_free(void *item);

/* A 2xx makes or confirms a dialog of the caller, which sends its ACK. */
void dialog_caller(struct world *world, struct client *client, const struct sip *sip);
uint64_t dialog_callee(struct world *world, struct server *server, const struct sip *sip);
struct dialog *dialog_find(struct world *world, unsigned device, const struct sip *request);
void dialog_ends(struct world *world, uint64_t key);
/* Its other side has sent BYE. */
void dialog_over(struct world *world, struct dialog *dialog);

/* A request of a phone has ended; code 0: by its timer. */
void phone_final(struct world *world, struct client *client, unsigned code, const struct sip *sip);

#endif
