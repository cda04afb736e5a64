/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * client: the administration as commands use it: through the socket of the running server, or, when
 * none runs, with the store opened here. Both answer with the JSON of server/admin/api.h.
 */
#ifndef STW_CLIENT_H
#define STW_CLIENT_H

#include "cli/cli.h"

struct stw_client {
	struct stw_cli *cli;
	struct stw_config *config; /* NULL with --socket */
	char socket[256];
};

struct stw_client_reply {
	unsigned status;
	json_t *json; /* new reference */
};

/** @return -1 to go on; else the exit status, what is wrong was said */
int stw_client_open(struct stw_cli *cli, struct stw_client *ret);
void stw_client_close(struct stw_client *client);

/** Through the socket. Takes `body`. @return 0; -ECONNREFUSED no server; -EACCES; -EIO with words
 * said */
int stw_client_send(struct stw_client *client, const char *method, const char *path, json_t *body,
	struct stw_client_reply *ret);
/** Says why nobody was reached. @return STW_EXIT_FAILED */
int stw_client_unreachable(struct stw_client *client, int err);
/**
 * The same for commands that need a server: what is wrong is said.
 * @return -1 with the JSON of a 200; else the exit status
 */
int stw_client_ask(struct stw_client *client, const char *method, const char *path, json_t *body,
	json_t **ret);
/** As stw_client_ask(), but without a server the store is opened here. */
int stw_client_ask_or_store(struct stw_client *client, const char *method, const char *path,
	json_t *body, json_t **ret);
/** "/v1/users/" and a part in which all but letters and digits is escaped. free() it. */
char *stw_client_path(const char *endpoint, const char *part);

/* cmd_binding.c: one binding, indented */
void stw_cli_binding(FILE *out, const json_t *binding);

/* local.c. Takes `body`. @return 0, -errno with words said */
int client_local(struct stw_client *client, const char *method, const char *path, json_t *body,
	struct stw_client_reply *ret);

#endif
