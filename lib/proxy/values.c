/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

struct stw_values proxy_list_values(
	struct proxy_list *list, struct stw_str text, enum stw_header header)
{
	list->field = (struct stw_field){ .value_len = (uint32_t)text.len,
		.end = (uint32_t)text.len,
		.header = (uint16_t)header };
	list->msg = (struct stw_msg){ .data = text.ptr,
		.len = (uint32_t)text.len,
		.fields = &list->field,
		.field_count = 1,
		.field_capacity = 1 };
	list->msg.first[header] = 1;
	return stw_msg_values(&list->msg, header);
}
