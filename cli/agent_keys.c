/* SPDX-License-Identifier: Apache-2.0 */
/* What the person at the terminal, or a script, wants of a call: lines of standard input. */
#include "cli/agent.h"

#include <poll.h>
#include <unistd.h>

#define KEYS_MS 100 /* how often the terminal is looked at */

static char input[1024];
static size_t input_len;
static bool ended;

/* A pipe without lines may get some later; its end is seen when it is read. */
uint64_t agent_keys_next(const struct agent *agent)
{
	return ended ? UINT64_MAX : agent->now.mono_ms + KEYS_MS;
}

/* RFC 8197 §4: while it rings, or in its midst. */
static void unwanted(struct stw_session *session)
{
	if (stw_session_refuse(session, 607, STW_STR_NONE, STW_STR_NONE) < 0)
		stw_session_end(session, STW_STR("Reason: SIP;cause=607;text=\"Unwanted\"\r\n"));
}

static void line_obey(struct agent *agent, struct stw_session *session, char *line)
{
	struct agent_line *sound = agent_line_find(agent, session);
	const char *word = strtok(line, " \t"), *rest = strtok(NULL, " \t");
	int err = 0;

	if (!word || !session)
		return;
	if (strcmp(word, "hold") == 0 || strcmp(word, "h") == 0)
		err = stw_session_hold(session, true);
	else if (strcmp(word, "resume") == 0 || strcmp(word, "r") == 0)
		err = stw_session_hold(session, false);
	else if ((strcmp(word, "transfer") == 0 || strcmp(word, "t") == 0) && rest)
		err = stw_session_refer(session, stw_str_from(rest), NULL);
	else if ((strcmp(word, "dtmf") == 0 || strcmp(word, "d") == 0) && rest && sound)
		err = stw_sound_dial(&sound->sound, rest);
	else if (strcmp(word, "dial") == 0 && rest)
		err = stw_session_dial(session, stw_str_from(rest));
	else if (strcmp(word, "unwanted") == 0)
		unwanted(session);
	else if (strcmp(word, "hangup") == 0 || strcmp(word, "q") == 0)
		stw_session_end(session, STW_STR_NONE);
	else
		fprintf(agent->cli->err,
			"hold, resume, transfer URI, dtmf DIGITS, dial DIGITS, unwanted or hangup; "
			"not %s\n",
			word);
	if (err < 0)
		fprintf(agent->cli->err, "%s: %s\n", word, strerror(-err));
}

static void keys_read(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	ssize_t got;

	if (ended || poll(&in, 1, 0) <= 0)
		return;
	if (input_len == sizeof(input) - 1) /* no line is that long */
		input_len = 0;
	got = read(STDIN_FILENO, input + input_len, sizeof(input) - 1 - input_len);
	if (got <= 0) {
		ended = true;
		return;
	}
	input_len += (size_t)got;
	input[input_len] = '\0';
}

bool agent_keys(struct agent *agent, struct stw_session *session)
{
	char line[sizeof(input)], *end;

	if (!strchr(input, '\n'))
		keys_read();
	end = strchr(input, '\n');
	if (!end)
		return false;
	*end = '\0';
	snprintf(line, sizeof(line), "%s", input);
	input_len -= (size_t)(end + 1 - input);
	memmove(input, end + 1, input_len + 1);
	line_obey(agent, session, line);
	return true;
}
