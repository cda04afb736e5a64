/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to simulate/: user agents that call each other, through a proxy that forks or without it.
 * Each has a stack of its own; the network between them loses, repeats and reorders.
 */
#ifndef STW_SIMULATE_AGENTS_H
#define STW_SIMULATE_AGENTS_H

#include "simulate/internal.h"

#include <strowger/ua.h>
#include <strowger/uac.h>

#define PARTIES     4
#define FORK        PARTIES /* the proxy among the stations */
#define STATIONS    (PARTIES + 1)
#define LEGS_OF_ONE 6 /* sessions that a call may become by transfers, on the average */
#define OWED_MAX    8

struct scene;

struct party {
	struct scene *scene;
	unsigned index;
	struct stw_stack *stack;
	struct stw_ua *ua; /* NULL: the proxy */
	struct stw_listeners listeners;
	struct stw_addr addr;
	bool has_media;
	enum stw_sdp_qos qos;
	unsigned ports; /* of media, in hand */
	uint64_t cut_until_ms;
	char aor[40], address[24], redirect[40];
	struct stw_sdp_codec codecs[2];
};

/* A session as its party knows it. */
struct leg {
	struct leg *next; /* all of the run */
	struct party *party;
	struct stw_session *session; /* NULL: it is over */
	unsigned number;
	bool told;           /* its user knows of it, and will be told of its end */
	bool caller, direct; /* its INVITE went to a party itself */
	bool accepted, established, ended_by_user, by_us;
	bool mixed;          /* with another: Join */
	bool changing;       /* a hold or resume was begun and nothing was said of it */
	unsigned changed_to; /* the last thing that was said */
	unsigned code;       /* of its end */
	uint16_t port;       /* 0: it never had one */
	const struct stw_session *port_of; /* NULL: it was given back */
	struct stw_sdp_abilities abilities;
	char call_id[64];
};

/* A request whose answer is to be told. */
struct job {
	struct job *next;
	struct leg *leg; /* NULL: outside of sessions */
	unsigned answers;
	bool begun;
};

struct scene {
	const struct stw_simulate_options *options;
	struct stw_simulate_result *result;
	struct stw_random random, more_random; /* the second: what `more` brings, so that a seed
						  without it stays as it was */
	bool more;                             /* preconditions, takeovers, renewals, 199 */
	struct stw_now now;
	unsigned loss, repeat, jitter_ms; /* per mille */
	bool mutate, starve, cuts;
	bool calm; /* nothing is lost, and nobody begins anything */
	struct agenda agenda;
	struct party stations[STATIONS];
	struct leg *legs;
	unsigned leg_count;
	struct job *jobs;
	/* rules */
	struct keyed_table requests, dialogs;
	struct owed {
		uint64_t key;
		const char *what;
		char call_id[64];
	} owed[OWED_MAX]; /* in this batch */
	unsigned owed_count;
	char lines[LINES_REMEMBERED][240];
	unsigned line_count;
};

/* ---- scene.c ---- */
uint64_t scene_below(struct scene *scene, uint64_t bound);
bool scene_chance(struct scene *scene, unsigned per_mille);
/* Likewise, of a scene with more; else false. */
bool scene_more(struct scene *scene, unsigned per_mille);
/* Neither mutations nor a lack of memory: all rules hold. */
bool scene_strict(const struct scene *scene);
void scene_wrong(struct scene *scene, struct stw_str call_id, const char *format, ...)
	STW_PRINTF(3, 4);
void scene_line(struct scene *scene, struct stw_str call_id, const char *format, ...)
	STW_PRINTF(3, 4);
void scene_plan_leg(struct leg *leg, uint64_t delay_ms);
int scene_run(const struct stw_simulate_options *options, struct stw_simulate_result *ret);

/* ---- party.c ---- */
int party_start(struct party *party, const struct stw_io_ops *io);
void party_end(struct party *party);
/* It begins a call, or asks something outside of one. */
void party_calls(struct party *party);
/* It calls somebody with these header lines. */
void party_takes_over(struct party *party, const char *uri, const char *headers);
/* Something that the user of this session does; within a batch of the party. */
void leg_acts(struct leg *leg);
/* The other end of its dialog; NULL: nobody has it. */
struct leg *leg_peer(const struct leg *leg);
struct stw_str leg_call_id(const struct leg *leg);
/* Begins a hold or a resume. @return as stw_session_hold() */
int leg_hold(struct leg *leg, bool hold);
void legs_free(struct scene *scene);

/* ---- party_rules.c ---- */
void party_got(struct party *party, struct stw_str text);
void party_sent(struct party *party, struct stw_str text);
void party_batch_end(struct party *party);
/* When the weather has been calm for long enough: both ends of each session agree. */
void scene_check_standing(struct scene *scene);
/* What came of each call, told to both. */
void scene_check_results(struct scene *scene);
void party_rules_done(struct scene *scene);

#endif
