/* SPDX-License-Identifier: Apache-2.0 */
/* P12 for names that several users go by: 485, RFC 3261 §21.4.23. */
#include "server/route/route.h"

#include <errno.h>

#define CONTACTS_BYTES 8192

static const struct stw_shared_name *shared_find(
	const struct stw_config *config, struct stw_str user)
{
	for (unsigned i = 0; i < config->shared_name_count; i++) {
		if (stw_str_equal(config->shared_names[i].name, user))
			return &config->shared_names[i];
	}
	return NULL;
}

static int contacts_write(
	struct stw_check *check, const struct stw_shared_name *name, struct stw_str *ret)
{
	char *buffer = stw_arena_bytes(&check->request->arena, CONTACTS_BYTES);
	struct stw_writer writer;

	if (!buffer)
		return -ENOMEM;
	stw_writer_init(&writer, buffer, CONTACTS_BYTES);
	for (unsigned i = 0; i < name->choice_count; i++) {
		const struct stw_name_choice *choice = &name->choices[i];
		struct stw_str domain = choice->domain.len ? choice->domain : check->domain;

		stw_write_text(&writer, i ? ", " : "Contact: ");
		if (choice->display.len)
			stw_write_format(&writer, "\"%.*s\" ", STW_STR_ARG(choice->display));
		stw_write_format(
			&writer, "<sip:%.*s@%.*s>", STW_STR_ARG(choice->user), STW_STR_ARG(domain));
	}
	stw_write_text(&writer, "\r\n");
	if (writer.overflow)
		return -ENOBUFS;
	*ret = stw_writer_text(&writer);
	return 0;
}

enum stw_verdict stw_route_ambiguous(struct stw_check *check)
{
	const struct stw_config *config = check->config;
	const struct stw_shared_name *name;
	struct stw_str aor;

	if (config->shared_name_count == 0 || !check->domain.len ||
		check->request->routing.has_route || check->request->routing.in_dialog)
		return STW_PASS;
	name = shared_find(config, check->called->user);
	if (!name || stw_route_aor(check, check->called, check->domain, &aor) < 0 ||
		stw_directory_resolve(check->core->options.directory, aor))
		return STW_PASS;
	check->refusal.option = "call.ambiguous";
	stw_refusal_fact(&check->refusal, "name", name->name);
	if (config->call.ambiguous == STW_AMBIGUOUS_404)
		return stw_route_refuse(check, &stw_cause_name_hidden);
	if (config->call.ambiguous == STW_AMBIGUOUS_485 &&
		contacts_write(check, name, &check->refusal.headers) < 0)
		return stw_route_refuse(check, &stw_cause_out_of_memory);
	return stw_route_refuse(check, &stw_cause_name_ambiguous);
}
