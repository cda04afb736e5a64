/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * agent: a user agent with sockets, for the commands that call, answer, register and send messages:
 * it runs lib/ua on a stack of its own, carries the sound, and says what happens, in words or as
 * JSON, one event a line.
 */
#ifndef STW_AGENT_H
#define STW_AGENT_H

#include <strowger/io.h>
#include <strowger/media.h>
#include <strowger/ua.h>

#include "cli/cli.h"

#define AGENT_LINES_MAX 32
#define AGENT_RECORDS   2000 /* messages that the ladder shows */

/** Options that the commands share; those of sound last. Read by stw_cli_parse(). */
struct agent_options {
	const char *user, *password_file, *proxy, *listen, *transport, *timeout, *json_file, *dns;
	bool trace;
	const char *play, *record, *codecs, *tone;
	bool echo, loop;
};

#define AGENT_OPTIONS(o)                                                                           \
	{ "user", 0, "AOR", "who we are: sip:alice@example.com", &(o).user, NULL },                \
		{ "password-file", 0, "FILE", "its first line is the password of the user",        \
			&(o).password_file, NULL },                                                \
		{ "proxy", 0, "URI", "send all requests there: sip:192.0.2.1", &(o).proxy, NULL }, \
		{ "listen", 0, "ADDRESS:PORT", "where we receive; PORT alone: all addresses",      \
			&(o).listen, NULL },                                                       \
		{ "transport", 0, "udp|tcp", "instead of the one that the URI names",              \
			&(o).transport, NULL },                                                    \
		{ "timeout", 0, "SECONDS", "give up after so long without a final answer",         \
			&(o).timeout, NULL },                                                      \
		{ "dns", 0, "ADDRESS:PORT", "ask this name server, not the system's; or several",  \
			&(o).dns, NULL },                                                          \
		{ "trace", 0, NULL, "show each message, and the ladder at the end", NULL,          \
			&(o).trace },                                                              \
	{                                                                                          \
		"json-file", 0, "FILE", "write the events there, too, one JSON object a line",     \
			&(o).json_file, NULL                                                       \
	}

#define AGENT_SOUND_OPTIONS(o)                                                                     \
	{ "play", 0, "FILE", "send this WAV file (8000 Hz, 16 bit, mono)", &(o).play, NULL },      \
		{ "loop", 0, NULL, "play it again and again", NULL, &(o).loop },                   \
		{ "record", 0, "FILE", "write what is heard as WAV", &(o).record, NULL },          \
		{ "echo", 0, NULL, "send back what is heard", NULL, &(o).echo },                   \
		{ "tone", 0, "HZ", "send a tone", &(o).tone, NULL },                               \
	{                                                                                          \
		"codecs", 0, "LIST", "of PCMU and PCMA, the preferred one first", &(o).codecs,     \
			NULL                                                                       \
	}

struct agent;

/** The sound of one session. */
struct agent_line {
	struct agent *agent;
	const struct stw_session *session;
	bool used, sounding;
	struct stw_io_rtp *rtp;
	struct stw_sdp_abilities abilities;
	struct stw_sound sound;
	struct stw_addr peer; /* of RTP; port of RTCP besides */
	uint16_t peer_rtcp_port;
	struct stw_addr heard; /* whose sound is taken; family 0: nobody's yet */
	FILE *record;
	uint64_t recorded;  /* samples */
	uint64_t record_ms; /* since when */
	char address[STW_ADDR_TEXT_MAX];
	uint64_t hangup_ms; /* UINT64_MAX: not by us */
	bool hung_up;
	unsigned conversation; /* lines with the same number hear each other; 0: alone */
	struct stw_mix said;
	struct stw_mix_ear ears[AGENT_LINES_MAX]; /* where it is in what the others say */
};

struct agent {
	struct stw_cli *cli;
	const struct agent_options *options;
	struct stw_io *io;
	struct stw_stack *stack;
	struct stw_ua *ua;
	struct stw_ua_options ua_options;
	struct stw_listeners listeners;
	struct stw_now now, started;
	FILE *json_file;
	bool colour;
	char aor[512], outbound[512], password[256];
	char auth_user[512]; /* of --user, also when --from says another; empty: that of `aor` */
	struct stw_addr media_addrs[2]; /* of IPv4 and IPv6; family 0: not used */
	struct stw_addr heard_from;     /* of the message that is looked at */
	enum stw_transport heard_by;
	int failure; /* the last errno of a transport, and whose it was */
	struct stw_addr failed;
	enum stw_transport failed_by;
	bool probe; /* one answer is all that is said, and redirects are not followed */
	struct stw_sdp_abilities abilities; /* told to who sends OPTIONS */
	char abilities_address[STW_ADDR_TEXT_MAX];
	struct stw_sdp_codec codecs[STW_SDP_CODECS_MAX];
	unsigned codec_count;
	enum stw_sdp_qos qos;
	bool everywhere;
	uint8_t *play; /* whole WAV file */
	const uint8_t *samples;
	size_t sample_count;
	double tone_hz;
	const char *dial; /* digits, when a session is established */
	struct agent_line lines[AGENT_LINES_MAX];
	unsigned recordings;
	unsigned conversations;
	json_t *records; /* of the ladder */
	char first_uri[512];
	/** What the command does at an event, after it was said. */
	void (*event)(struct agent *agent, const struct stw_ua_event *event);
	/** At each turn. May be NULL. */
	void (*turn)(struct agent *agent);
	void *user;
	bool registered;      /* a binding of ours is in force */
	bool leaves;          /* and is removed at the end */
	uint64_t deadline_ms; /* when `turn` wants to be called; UINT64_MAX: no matter */
	bool finished;        /* end as soon as nothing is under way */
	bool stopping;        /* by a signal */
	bool owes_answer;     /* to end before one has come is a failure */
	int status;
};

/** Open sockets and files. `target`: URI that is talked to first, or NULL.
 * @return -1 to go on; else the exit status, what is wrong was said */
int agent_open(struct agent *agent, struct stw_cli *cli, const struct agent_options *options,
	const char *target);
/** Make the agent from `ua_options`, whose policy the command has filled; from here on a signal
 * stops it in order. @return as agent_open()
 */
int agent_start(struct agent *agent);
/** Run until finished, or stopped by a signal. */
void agent_run(struct agent *agent);
/** Ladder and all that is open. @return the exit status */
int agent_close(struct agent *agent);
/** Between these, functions of lib/ua may be called outside of events. */
void agent_begin(struct agent *agent);
void agent_end(struct agent *agent);
/** "sip:bob@x" with ";transport=tcp" when --transport asks for it. */
void agent_uri(const struct agent *agent, const char *text, char *buffer, size_t size);
/** What OPTIONS outside of sessions is answered with; before the agent is made. */
void agent_abilities(struct agent *agent);
/** Seconds of an option, with a fraction. @return -1 to go on; else the exit status */
int agent_seconds(struct stw_cli *cli, const char *option, const char *text, uint64_t *ret_ms);

/** Where sound is received in this family; 0: the usual one. Its family is 0 when there is none. */
const struct stw_addr *agent_media_addr(const struct agent *agent, unsigned family);

/* agent_line.c */
const struct stw_sdp_abilities *agent_media(void *user, struct stw_session *session);
struct agent_line *agent_line_find(struct agent *agent, const struct stw_session *session);
/** What was agreed on is in force. */
void agent_line_stream(struct agent_line *line, const struct stw_sdp_stream *stream);
/** They hear each other from now on (RFC 3911), and all that do already. */
void agent_line_join(struct agent_line *line, struct agent_line *other);
/** Packets in and out. */
void agent_lines_turn(struct agent *agent);
/** When the next packet is due. */
uint64_t agent_lines_next(const struct agent *agent);
void agent_line_free(struct agent_line *line);
/** Samples and codecs of the options. @return as agent_open() */
int agent_sound_read(struct agent *agent);
void agent_digit(void *user, char digit);
/** Statistics of the sound, or NULL when there was none. */
json_t *agent_line_json(const struct agent_line *line);

/* agent_say.c */
void agent_say(struct agent *agent, const struct stw_ua_event *event);
/** "line" and members of `json` (taken); text goes to standard output. */
void agent_tell(struct agent *agent, const char *event, json_t *json, const char *text);
/** A cause in words for a telephone, where those of the stack are for who can change `listen`. */
const struct stw_cause *agent_cause(const struct stw_cause *cause);
/** What a final code means, why it is sent and what helps. */
void agent_explain(struct agent *agent, unsigned code, const struct stw_cause *cause);
/** A message as it goes, for --trace. */
void agent_trace(struct agent *agent, bool out, const struct stw_hop *hop, struct stw_slices text);
void agent_note(void *core, const struct stw_note *note);

/* agent_keys.c: lines of standard input: hold, resume, transfer URI, dtmf DIGITS, hangup.
 * Obeys one of them, which may end the session and free it; false: there is none. */
bool agent_keys(struct agent *agent, struct stw_session *session);
/** When to look for more. */
uint64_t agent_keys_next(const struct agent *agent);

#endif
