/* SPDX-License-Identifier: Apache-2.0 */
#include "server/directory/change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <strowger/registrar.h>

#include "server/dialplan/dialplan.h"

#define ARENA_BYTES 65536
#define USERS_MAX   256 /* looked at for a ring; a longer one ends in 482 */

static int fail(struct stw_setting_error *error, const char *format, ...) STW_PRINTF(2, 3);

static int fail(struct stw_setting_error *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -EBADMSG;
}

/* ---- whom a forwarding reaches ----------------------------------------------------------- */

static const struct stw_user *find_number(const struct stw_directory *directory,
	struct stw_str domain, struct stw_str text, struct stw_arena *arena)
{
	const struct stw_user *user = NULL;
	char buffer[STW_NUMBER_MAX];
	struct stw_str number, key;

	if (stw_number_from_text(text, buffer, &number) < 0)
		return NULL;
	if (stw_aor_make(number, domain, arena, &key) == 0)
		user = stw_directory_resolve(directory, key);
	if (!user && number.ptr[0] == '+' &&
		stw_arena_printf(arena, &key, "tel:%.*s", STW_STR_ARG(number)) == 0)
		user = stw_directory_resolve(directory, key);
	return user;
}

static const struct stw_user *find_uri(const struct stw_directory *directory, struct stw_str domain,
	struct stw_str text, struct stw_arena *arena)
{
	char buffer[STW_NUMBER_MAX];
	struct stw_str key;
	struct stw_uri uri;

	if (stw_uri_parse(text, &uri) < 0)
		return NULL;
	if (uri.scheme == STW_SCHEME_TEL)
		return stw_number_from_uri(&uri, buffer, &key) == 0
			       ? find_number(directory, domain, key, arena)
			       : NULL;
	if (stw_aor_canonical(&uri, arena, &key) < 0)
		return NULL;
	return stw_directory_resolve(directory, key);
}

const struct stw_user *stw_directory_target(const struct stw_directory *directory,
	struct stw_str domain, const struct stw_forward_target *target, struct stw_arena *arena)
{
	const struct stw_user *user = NULL;
	struct stw_str key;

	switch (target->kind) {
	case STW_FORWARD_TO_NAME:
		if (stw_aor_make(target->text, domain, arena, &key) == 0)
			user = stw_directory_resolve(directory, key);
		return user ? user : find_number(directory, domain, target->text, arena);
	case STW_FORWARD_TO_NUMBER:
		return find_number(directory, domain, target->text, arena);
	case STW_FORWARD_TO_USER:
		if (stw_arena_printf(arena, &key, "sip:%.*s", STW_STR_ARG(target->text)) < 0)
			return NULL;
		return find_uri(directory, domain, key, arena);
	case STW_FORWARD_TO_URI:
		return find_uri(directory, domain, target->text, arena);
	case STW_FORWARD_TO_QUEUE:
	case STW_FORWARD_TO_GROUP:
		break;
	}
	return NULL;
}

/* ---- rings --------------------------------------------------------------------------------- */

static const char *const forward_keys[STW_FORWARD_KINDS] = { "forward.always", "forward.busy",
	"forward.no_answer", "forward.unregistered", "forward.dnd" };

/* Users who are reached, each from an earlier one. */
struct walk {
	const struct stw_directory *directory;
	struct stw_arena arena;
	struct stw_setting_error *error;
	struct {
		const struct stw_user *user;
		unsigned from;
		enum stw_forward_when when; /* by which forwarding of `from` */
	} v[USERS_MAX];
	unsigned n;
};

/* "forward.busy: a ring: bob busy -> carol always -> bob". */
static int ring_say(const struct walk *walk, unsigned last, enum stw_forward_when when)
{
	char *text = walk->error->text;
	unsigned chain[USERS_MAX], n = 0;
	struct stw_writer writer;

	for (unsigned i = last; i; i = walk->v[i].from)
		chain[n++] = i;
	stw_writer_init(&writer, text, sizeof(walk->error->text) - 1);
	stw_write_format(
		&writer, "the forwardings make a ring: %.*s", STW_STR_ARG(walk->v[0].user->user));
	while (n--)
		stw_write_format(&writer, " %s -> %.*s",
			forward_keys[walk->v[chain[n]].when] + sizeof("forward.") - 1,
			STW_STR_ARG(walk->v[chain[n]].user->user));
	stw_write_format(&writer, " %s -> %.*s", forward_keys[when] + sizeof("forward.") - 1,
		STW_STR_ARG(walk->v[0].user->user));
	text[writer.len] = 0;
	return -EBADMSG;
}

static bool walk_add(
	struct walk *walk, const struct stw_user *user, unsigned from, enum stw_forward_when when)
{
	/* The first may be a snapshot that is not published; the others come from the directory. */
	if (walk->n && stw_str_equal(walk->v[0].user->aor, user->aor))
		return false;
	for (unsigned i = 1; i < walk->n; i++) {
		if (walk->v[i].user == user)
			return true;
	}
	if (walk->n < USERS_MAX) {
		walk->v[walk->n].user = user;
		walk->v[walk->n].from = from;
		walk->v[walk->n++].when = when;
	}
	return true;
}

/* A name of our own domain that nobody has. */
static bool refers_to_nothing(const struct stw_user *user, const struct stw_forward_target *target)
{
	size_t at = stw_str_find(target->text, '@', 0);
	char buffer[STW_NUMBER_MAX];
	struct stw_str number;
	struct stw_uri uri;

	switch (target->kind) {
	case STW_FORWARD_TO_NAME:
		return stw_number_from_text(target->text, buffer, &number) < 0;
	case STW_FORWARD_TO_USER:
		return stw_str_equal_nocase(
			stw_str_cut(target->text, at + 1, target->text.len), user->domain);
	case STW_FORWARD_TO_URI:
		return stw_uri_parse(target->text, &uri) == 0 && uri.user.len &&
		       uri.scheme != STW_SCHEME_TEL &&
		       stw_str_equal_nocase(uri.host, user->domain) &&
		       stw_number_from_uri(&uri, buffer, &number) < 0;
	default:
		return false;
	}
}

static int walk_edge(struct walk *walk, unsigned from, enum stw_forward_when when)
{
	const struct stw_user *user = walk->v[from].user, *next;
	struct stw_forward_target target;

	if (!user->settings || !user->settings->forward[when].len ||
		stw_forward_target_parse(user->settings->forward[when], &target) < 0)
		return 0;
	next = stw_directory_target(walk->directory, user->domain, &target, &walk->arena);
	if (!next && from == 0 && refers_to_nothing(user, &target))
		return fail(walk->error, "%s: there is no user %.*s", forward_keys[when],
			STW_STR_ARG(target.text));
	return next && !walk_add(walk, next, from, when) ? ring_say(walk, from, when) : 0;
}

/* A new ring goes through the user whose settings are new. */
static int check_forwards(const struct stw_directory *directory, const struct stw_user *user,
	struct stw_setting_error *error)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	int err = 0;

	if (!walk)
		return -ENOMEM;
	walk->directory = directory;
	walk->error = error;
	stw_arena_init(&walk->arena, ARENA_BYTES);
	walk_add(walk, user, 0, STW_FORWARD_ALWAYS);
	for (unsigned i = 0; err == 0 && i < walk->n; i++) {
		for (unsigned when = 0; err == 0 && when < STW_FORWARD_KINDS; when++)
			err = walk_edge(walk, i, (enum stw_forward_when)when);
		stw_arena_reset(&walk->arena);
	}
	stw_arena_done(&walk->arena);
	free(walk);
	return err;
}

/* ---- names --------------------------------------------------------------------------------- */

static int check_names(const struct stw_directory *directory, const struct stw_user *user,
	struct stw_setting_error *error)
{
	for (size_t i = 0; i < stw_user_name_count(user); i++) {
		struct stw_str name = stw_user_name(user, i);
		const struct stw_user *other = stw_directory_resolve(directory, name);

		if (!other || stw_str_equal(other->aor, user->aor))
			continue;
		if (stw_str_equal(other->aor, name))
			return fail(error, "alias, number: %.*s is a user", STW_STR_ARG(name));
		return fail(error, "alias, number: %.*s is a name of %.*s already",
			STW_STR_ARG(name), STW_STR_ARG(other->aor));
	}
	return 0;
}

/* Callers would come back for ever. */
static int check_moved(const struct stw_directory *directory, const struct stw_user *user,
	struct stw_setting_error *error)
{
	const struct stw_user *next = NULL;
	struct stw_arena arena;

	if (!user->settings->moved_to.len)
		return 0;
	stw_arena_init(&arena, ARENA_BYTES);
	next = find_uri(directory, user->domain, user->settings->moved_to, &arena);
	stw_arena_done(&arena);
	if (next && stw_str_equal(next->aor, user->aor))
		return fail(error, "moved_to: %.*s is the user himself",
			STW_STR_ARG(user->settings->moved_to));
	return 0;
}

int stw_directory_check(const struct stw_directory *directory, const struct stw_user *user,
	struct stw_setting_error *error)
{
	int err = check_names(directory, user, error);

	if (err == 0 && user->settings)
		err = check_moved(directory, user, error);
	return err < 0 || !user->settings ? err : check_forwards(directory, user, error);
}

/* ---- the change ------------------------------------------------------------------------------ */

/* Takes the settings. Who has none of his own left is a user without. */
static int user_with(const struct stw_user *old, struct stw_settings *settings,
	struct stw_user **ret, struct stw_setting_error *error)
{
	int err = stw_user_load(
		old->aor, old->user, old->domain, &old->ha1_user, &old->ha1_user_domain, ret);

	if (err == 0)
		(*ret)->birth = old->birth;
	if (err == 0 && settings->text.len)
		err = stw_user_settle(*ret, settings);
	if (err == 0 && settings->text.len)
		return 0;
	free(settings);
	if (err == -EBADMSG)
		fail(error, "alias, number: one of them can be no name");
	return err;
}

int stw_directory_change(const struct stw_directory *directory, struct stw_str aor,
	const struct stw_str *changes, unsigned n, struct stw_user **ret,
	struct stw_setting_error *error)
{
	const struct stw_user *old = stw_directory_find(directory, aor);
	struct stw_user *user = NULL;
	struct stw_settings *settings;
	int err;

	if (!old)
		return -ENOENT;
	err = stw_settings_change(old->settings, changes, n, &settings, error);
	if (err == 0)
		err = user_with(old, settings, &user, error);
	if (err == 0)
		err = stw_directory_check(directory, user, error);
	if (err < 0) {
		stw_user_free(user);
		return err;
	}
	*ret = user;
	return 0;
}
