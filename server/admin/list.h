/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * list: answers about all users, however many. They are made in the thread of the administration,
 * which is quiescent after each user: no commit and no message waits for them.
 */
#ifndef STW_LIST_H
#define STW_LIST_H

#include "server/admin/api.h"

/** In the order of the addresses-of-record, as api.h says.
 *  @return 0; -ENOMEM; -ESHUTDOWN the server is ending */
int stw_list_users(const struct stw_api *api, json_t **ret);
int stw_list_rules(const struct stw_api *api, json_t **ret);
int stw_list_bindings(const struct stw_api *api, json_t **ret);

#endif
