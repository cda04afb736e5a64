/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * sdp: session descriptions (RFC 8866) as slices of the received text, and offers and answers (RFC
 * 3264, RFC 6337) as a pure state: text in, text and streams out. One audio stream is what we can
 * do; every other one is kept in its place with port 0.
 */
#ifndef STROWGER_SDP_H
#define STROWGER_SDP_H

#include <strowger/base.h>

#define STW_SDP_BYTES_MAX   16384 /* of a description that is read */
#define STW_SDP_WRITTEN_MAX 2048  /* of one that we write */
#define STW_SDP_MEDIA_MAX   16    /* m= lines */
#define STW_SDP_FORMATS_MAX 32    /* of an m= line */
#define STW_SDP_CODECS_MAX  8

/* ---- reading: RFC 8866 ----------------------------------------------------------------------- */

/** What is wrong with a description. */
struct stw_sdp_fault {
	unsigned line;   /* from 1 */
	const char *why; /* static; "there is no c= line" */
};

/** c=, RFC 8866 §5.7. */
struct stw_sdp_connection {
	struct stw_str network, type, address; /* "IN", "IP4", the address without "/ttl" */
};

/** Directions as bits, so that both ways is the sum of one and the other. */
enum stw_sdp_direction {
	STW_SDP_INACTIVE = 0,
	STW_SDP_SENDONLY = 1, /* who wrote it sends */
	STW_SDP_RECVONLY = 2,
	STW_SDP_SENDRECV = 3,
};

/** A media description: its m= line and what follows it up to the next, RFC 8866 §5.14. */
struct stw_sdp_media {
	struct stw_str type; /* "audio" */
	uint16_t port;       /* 0: rejected or unused */
	unsigned port_count; /* "/2"; 1 */
	struct stw_str protocol;
	struct stw_str formats; /* as written: "0 8 101" */
	unsigned format_count;
	struct stw_sdp_connection connection; /* its own or that of the session */
	enum stw_sdp_direction direction;     /* its own or that of the session; sendrecv */
	struct stw_str lines;                 /* those behind the m= line */
	unsigned line;                        /* of the m= line, from 1 */
};

/** All text borrows from what was read. */
struct stw_sdp {
	struct stw_str user, session_id, version; /* o=, the numbers as written */
	struct stw_sdp_connection origin;         /* the rest of o= */
	struct stw_str name;                      /* s= */
	struct stw_str lines;                     /* of the session, before the first m= */
	struct stw_sdp_media media[STW_SDP_MEDIA_MAX];
	unsigned media_count;
};

/**
 * Read a description. Allocates nothing. Lines end in CRLF or LF; the order of RFC 8866 §5 is
 * demanded where it carries meaning (v, o, s first, each type where it may stand).
 * @return 0; -EBADMSG; -ENOBUFS too long, or too many m= lines or formats. `fault` is written then
 */
int stw_sdp_parse(struct stw_str text, struct stw_sdp *ret, struct stw_sdp_fault *fault);
/**
 * The attributes of a part (`lines` of a session or a media description), one a call.
 * @param cursor  0 at first
 * @param value   empty for a property: "a=sendrecv"
 * @return false: no more
 */
bool stw_sdp_attribute_next(
	struct stw_str lines, size_t *cursor, struct stw_str *name, struct stw_str *value);
/** First attribute of this name; case matters. @return false: there is none */
bool stw_sdp_attribute(struct stw_str lines, struct stw_str name, struct stw_str *ret_value);
/** The formats of an m= line, one a call. @param cursor 0 at first. @return false: no more */
bool stw_sdp_format_next(
	const struct stw_sdp_media *media, size_t *cursor, struct stw_str *ret_format);
/** Value of the a=rtpmap or a=fmtp of a format, without the format itself. */
bool stw_sdp_format_attribute(const struct stw_sdp_media *media, struct stw_str attribute,
	struct stw_str format, struct stw_str *ret_value);

/* ---- what we can do ---------------------------------------------------------------------------
 */

/** A codec of RTP: a=rtpmap, RFC 8866 §6.6. Codecs of telephone events count as one of them. */
struct stw_sdp_codec {
	struct stw_str name;   /* "PCMU", compared without case */
	uint32_t clock_hz;     /* 8000 */
	uint8_t payload_type;  /* what we offer; below 96: static, needs no a=rtpmap */
	struct stw_str fmtp;   /* "0-15", or empty */
	bool telephone_events; /* RFC 4733: goes along with a codec, is none by itself */
};

/** PCMU, PCMA and telephone-event, in this order. */
extern const struct stw_sdp_codec stw_sdp_codecs_default[3];

/** Preconditions of quality of service, RFC 3312. */
enum stw_sdp_qos {
	STW_SDP_QOS_NONE,      /* not understood: ignored (Require: precondition earns a 420) */
	STW_SDP_QOS_SUPPORTED, /* answered when offered */
	STW_SDP_QOS_MANDATORY, /* and demanded in our offers */
};

/** What an agent can and wants; borrowed for the life of the state below. */
struct stw_sdp_abilities {
	const struct stw_sdp_codec *codecs; /* in the order of preference; NULL: the default ones */
	unsigned codec_count;
	struct stw_str address;   /* where we receive; IPv6 when it has a colon */
	uint16_t rtp_port;        /* of the audio stream */
	uint16_t rtcp_port;       /* a=rtcp when it is not rtp_port + 1 (RFC 3605); 0: as usual */
	uint16_t ptime_ms;        /* what we want to receive; 0: 20 */
	unsigned bandwidth_kbits; /* refuse offers with a larger b=AS (370); 0: no limit */
	bool everywhere;          /* no other device of the user can do better: 606, not 488 */
	bool addresses_only;      /* nobody resolves a name in c=: it is refused */
	enum stw_sdp_qos qos;
};

/* ---- offer and answer: RFC 3264 ---------------------------------------------------------------
 */

/** Why an offer is refused; 0 in `code`: it is not. */
struct stw_sdp_refusal {
	unsigned code;    /* 400, 488, 580 or 606 */
	unsigned warning; /* RFC 3261 §20.43: 300-307, 370, 399; 0: none */
	char why[128];    /* text of the Warning, or what is broken */
};

struct stw_sdp_stream_codec {
	uint8_t send_type, receive_type; /* payload types */
	struct stw_sdp_codec codec;      /* one of ours */
};

/** The audio stream that was agreed on. */
struct stw_sdp_stream {
	bool active;                      /* both ports are set */
	enum stw_sdp_direction direction; /* what we do */
	bool may_send;                    /* direction allows it and the peer has an address (§8.4:
					     0.0.0.0 is none) */
	char address[64];                 /* of the peer */
	uint16_t rtp_port, rtcp_port;     /* of the peer */
	uint16_t ptime_ms;                /* of what we send */
	struct stw_sdp_stream_codec codec;  /* of what we send */
	struct stw_sdp_stream_codec events; /* name empty: none agreed */
	/* Further ones of an answer to us: the peer may send each (RFC 3264 §6.1). */
	struct stw_sdp_stream_codec others[STW_SDP_CODECS_MAX];
	unsigned other_count;
};

enum stw_sdp_state {
	STW_SDP_STABLE, /* no offer is open */
	STW_SDP_OFFER_SENT,
	STW_SDP_OFFER_RECEIVED, /* and not answered yet */
};

/** An m= line that keeps its place for the life of the session, §8. */
struct stw_sdp_place {
	char type[16], protocol[32], format[32]; /* of one that we reject */
	bool ours;                               /* the audio stream that we use */
};

/** Preconditions of the audio stream, RFC 3312 §5; "local" is ours. */
struct stw_sdp_qos_table {
	bool used;                        /* of this session */
	bool end_to_end;                  /* e2e instead of local and remote */
	unsigned local, remote;           /* current: bits of enum stw_sdp_direction */
	unsigned want_local, want_remote; /* mandatory ones */
	unsigned told;                    /* of `local`, by our last description */
	bool confirm;                     /* the peer asked: tell when ours is met */
	char unknown[96];                 /* a mandatory type that we do not know, §9; or empty */
};

/** Embedded; no memory besides. Values are copied, but `abilities` is borrowed. */
struct stw_sdp_session {
	const struct stw_sdp_abilities *abilities;
	enum stw_sdp_state state;
	enum stw_sdp_direction wish; /* RFC 6337 §5.3: what we want, whatever was agreed */
	uint64_t id, version;        /* our o= */
	struct stw_sdp_place places[STW_SDP_MEDIA_MAX], next_places[STW_SDP_MEDIA_MAX];
	unsigned place_count, next_place_count; /* in force; with the open offer */
	struct stw_sdp_stream stream;           /* in force */
	struct stw_sdp_stream next;             /* of the open offer, when received */
	enum stw_sdp_direction offered;         /* by our open offer */
	struct stw_sdp_qos_table qos, qos_before;
	char written[STW_SDP_WRITTEN_MAX]; /* our last description */
	size_t written_bytes;
	size_t written_body; /* where it goes on behind o= */
};

/** @param id  of o=: random or a time, below 2^62, unique for this host (RFC 8866 §5.2) */
void stw_sdp_session_init(
	struct stw_sdp_session *session, const struct stw_sdp_abilities *abilities, uint64_t id);
/** Hold (sendonly) or resume (sendrecv), or another wish. Takes effect by the next offer or answer.
 */
void stw_sdp_session_wish(struct stw_sdp_session *session, enum stw_sdp_direction wish);
/**
 * Make an offer: the first one, or a later one with the same m= lines.
 * @param ret  borrowed from the session until the next description is written
 * @return 0; -EBUSY an offer is open (491 or 500, RFC 6337 §2.3); -ENOBUFS
 */
int stw_sdp_offer(struct stw_sdp_session *session, struct stw_str *ret);
/**
 * Read the offer of the peer.
 * @param ret  `code` 0: go on with stw_sdp_answer(). Else the state is as before
 * @return 0; -EBUSY an offer is open already; -EBADMSG refused
 */
int stw_sdp_receive_offer(
	struct stw_sdp_session *session, struct stw_str text, struct stw_sdp_refusal *ret);
/** Answer the open offer; the stream is in force then. @return 0; -EINVAL no offer; -ENOBUFS */
int stw_sdp_answer(struct stw_sdp_session *session, struct stw_str *ret);
/**
 * Read the answer to our offer; the stream is in force then.
 * @return 0; -EINVAL we have no offer open: ignore it (a repetition in a 1xx or 2xx, RFC 6337
 * §2.1); -EBADMSG it does not fit the offer: `fault` says why, the state is as before the offer
 */
int stw_sdp_receive_answer(
	struct stw_sdp_session *session, struct stw_str text, struct stw_sdp_fault *fault);
/** The open offer was refused or its transaction failed: all is as before it (RFC 6337 §3.4). */
void stw_sdp_rollback(struct stw_sdp_session *session);
/**
 * What we can do, for OPTIONS and 488 (RFC 3264 §9): the m= lines of an offer with port 0.
 * @return 0; -ENOBUFS
 */
int stw_sdp_abilities_write(
	const struct stw_sdp_abilities *abilities, uint64_t id, struct stw_writer *writer);
/**
 * The answer that takes nothing of an offer: each stream with port 0, RFC 3264 §6. For who must
 * answer in ACK and ends the session at once (RFC 3261 §13.2.2.4).
 * @param id  of o=, as of stw_sdp_session_init()
 * @return 0; -EBADMSG the offer is broken; -ENOBUFS
 */
int stw_sdp_reject(struct stw_str offer, uint64_t id, struct stw_writer *writer);

/**
 * Which of our codecs a description of what the peer can do names, for the next offer after a 488
 * or 606 (RFC 3264 §9, RFC 3261 §21.4.26). In our order; those of its first audio stream.
 * @param ret_all  how many we have
 * @return how many are in common; 0 also when only telephone events are
 */
unsigned stw_sdp_codecs_common(const struct stw_sdp_abilities *abilities, struct stw_str text,
	struct stw_sdp_codec ret[STW_SDP_CODECS_MAX], unsigned *ret_all);

/* ---- preconditions: RFC 3312, RFC 4032 --------------------------------------------------------
 */

/** Our resources are there (or gone): the next description says so. */
void stw_sdp_qos_reserved(struct stw_sdp_session *session, enum stw_sdp_direction direction);
/** All mandatory preconditions are met, or there are none: the callee may ring. */
bool stw_sdp_qos_met(const struct stw_sdp_session *session);
/** False: the open offer demands something that we do not know (§9): 580. */
bool stw_sdp_qos_possible(const struct stw_sdp_session *session);
/** Ours is met and the peer waits to be told: an UPDATE with an offer is due (§5.1.2). */
bool stw_sdp_qos_update_due(const struct stw_sdp_session *session);
/** Body of a 580 to the open offer, §8: port 0 and what cannot be reserved; the offer is closed.
 * @return 0; -EINVAL; -ENOBUFS */
int stw_sdp_qos_failure(struct stw_sdp_session *session, struct stw_str *ret);

#endif
