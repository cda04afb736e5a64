/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * message: the syntax of SIP, RFC 3261 §7, §19, §20, §25.
 *
 * One pass over the bytes makes an index of header fields (offsets). Values are
 * decoded when first asked for. Forwarding splices the received bytes (`edit`).
 * Nothing allocates per header field.
 */
#ifndef STROWGER_MESSAGE_H
#define STROWGER_MESSAGE_H

#include <strowger/base.h>

/* ---- methods and header fields: lists of facts ----------------------------- */

/* clang-format off */
#define STW_METHOD_LIST(X)                                                                         \
	X(INVITE, "RFC 3261 §13")                                                                  \
	X(ACK, "RFC 3261 §17.1.1.3")                                                               \
	X(BYE, "RFC 3261 §15")                                                                     \
	X(CANCEL, "RFC 3261 §9")                                                                   \
	X(OPTIONS, "RFC 3261 §11")                                                                 \
	X(REGISTER, "RFC 3261 §10")                                                                \
	X(PRACK, "RFC 3262")                                                                       \
	X(SUBSCRIBE, "RFC 6665")                                                                   \
	X(NOTIFY, "RFC 6665")                                                                      \
	X(PUBLISH, "RFC 3903")                                                                     \
	X(INFO, "RFC 6086")                                                                        \
	X(REFER, "RFC 3515")                                                                       \
	X(MESSAGE, "RFC 3428")                                                                     \
	X(UPDATE, "RFC 3311")
/* clang-format on */

enum stw_method {
	STW_METHOD_UNKNOWN, /* any other token; case-sensitive (§7.1) */
#define X(name, rfc) STW_METHOD_##name,
	STW_METHOD_LIST(X)
#undef X
		STW_METHODS
};

/** Method of a token; STW_METHOD_UNKNOWN for tokens not in the list. */
enum stw_method stw_method_from(struct stw_str token);
/** Name of a known method. */
struct stw_str stw_method_name(enum stw_method method);

/* Header fields that Strowger knows: enum suffix, name, compact form (0: none), flags, RFC. */
#define STW_HDR_SINGLE 1u /* at most once (§7.3.1, Table 2) */
#define STW_HDR_LIST   2u /* comma-separated list, may stand in several lines */
#define STW_HEADER_LIST(X)                                                                         \
	X(ACCEPT, "Accept", 0, STW_HDR_LIST, "RFC 3261 §20.1")                                     \
	X(ACCEPT_CONTACT, "Accept-Contact", 'a', STW_HDR_LIST, "RFC 3841 §9.2")                    \
	X(ACCEPT_ENCODING, "Accept-Encoding", 0, STW_HDR_LIST, "RFC 3261 §20.2")                   \
	X(ACCEPT_LANGUAGE, "Accept-Language", 0, STW_HDR_LIST, "RFC 3261 §20.3")                   \
	X(ALERT_INFO, "Alert-Info", 0, STW_HDR_LIST, "RFC 3261 §20.4")                             \
	X(ALLOW, "Allow", 0, STW_HDR_LIST, "RFC 3261 §20.5")                                       \
	X(ALLOW_EVENTS, "Allow-Events", 'u', STW_HDR_LIST, "RFC 6665 §8.2.2")                      \
	X(AUTHENTICATION_INFO, "Authentication-Info", 0, 0, "RFC 3261 §20.6")                      \
	X(AUTHORIZATION, "Authorization", 0, 0, "RFC 3261 §20.7")                                  \
	X(CALL_ID, "Call-ID", 'i', STW_HDR_SINGLE, "RFC 3261 §20.8")                               \
	X(CALL_INFO, "Call-Info", 0, STW_HDR_LIST, "RFC 3261 §20.9")                               \
	X(CONTACT, "Contact", 'm', STW_HDR_LIST, "RFC 3261 §20.10")                                \
	X(CONTENT_DISPOSITION, "Content-Disposition", 0, STW_HDR_SINGLE, "RFC 3261 §20.11")        \
	X(CONTENT_ENCODING, "Content-Encoding", 'e', STW_HDR_LIST, "RFC 3261 §20.12")              \
	X(CONTENT_LANGUAGE, "Content-Language", 0, STW_HDR_LIST, "RFC 3261 §20.13")                \
	X(CONTENT_LENGTH, "Content-Length", 'l', STW_HDR_SINGLE, "RFC 3261 §20.14")                \
	X(CONTENT_TYPE, "Content-Type", 'c', STW_HDR_SINGLE, "RFC 3261 §20.15")                    \
	X(CSEQ, "CSeq", 0, STW_HDR_SINGLE, "RFC 3261 §20.16")                                      \
	X(DATE, "Date", 0, STW_HDR_SINGLE, "RFC 3261 §20.17")                                      \
	X(DIVERSION, "Diversion", 0, STW_HDR_LIST, "RFC 5806")                                     \
	X(ERROR_INFO, "Error-Info", 0, STW_HDR_LIST, "RFC 3261 §20.18")                            \
	X(EVENT, "Event", 'o', STW_HDR_SINGLE, "RFC 6665 §8.2.1")                                  \
	X(EXPIRES, "Expires", 0, STW_HDR_SINGLE, "RFC 3261 §20.19")                                \
	X(FROM, "From", 'f', STW_HDR_SINGLE, "RFC 3261 §20.20")                                    \
	X(HISTORY_INFO, "History-Info", 0, STW_HDR_LIST, "RFC 7044")                               \
	X(IDENTITY, "Identity", 'y', STW_HDR_LIST, "RFC 8224 §4")                                  \
	X(IN_REPLY_TO, "In-Reply-To", 0, STW_HDR_LIST, "RFC 3261 §20.21")                          \
	X(MAX_BREADTH, "Max-Breadth", 0, STW_HDR_SINGLE, "RFC 5393 §5.3.1")                        \
	X(MAX_FORWARDS, "Max-Forwards", 0, STW_HDR_SINGLE, "RFC 3261 §20.22")                      \
	X(MIN_EXPIRES, "Min-Expires", 0, STW_HDR_SINGLE, "RFC 3261 §20.23")                        \
	X(MIN_SE, "Min-SE", 0, STW_HDR_SINGLE, "RFC 4028 §5")                                      \
	X(MIME_VERSION, "MIME-Version", 0, STW_HDR_SINGLE, "RFC 3261 §20.24")                      \
	X(ORGANIZATION, "Organization", 0, STW_HDR_SINGLE, "RFC 3261 §20.25")                      \
	X(P_ASSERTED_IDENTITY, "P-Asserted-Identity", 0, STW_HDR_LIST, "RFC 3325 §9.1")            \
	X(PATH, "Path", 0, STW_HDR_LIST, "RFC 3327 §4")                                            \
	X(PRIORITY, "Priority", 0, STW_HDR_SINGLE, "RFC 3261 §20.26")                              \
	X(PRIVACY, "Privacy", 0, 0, "RFC 3323 §4.2")                                               \
	X(PROXY_AUTHENTICATE, "Proxy-Authenticate", 0, 0, "RFC 3261 §20.27")                       \
	X(PROXY_AUTHORIZATION, "Proxy-Authorization", 0, 0, "RFC 3261 §20.28")                     \
	X(PROXY_REQUIRE, "Proxy-Require", 0, STW_HDR_LIST, "RFC 3261 §20.29")                      \
	X(RACK, "RAck", 0, STW_HDR_SINGLE, "RFC 3262 §7.2")                                        \
	X(REASON, "Reason", 0, STW_HDR_LIST, "RFC 3326 §2")                                        \
	X(RECORD_ROUTE, "Record-Route", 0, STW_HDR_LIST, "RFC 3261 §20.30")                        \
	X(REFER_TO, "Refer-To", 'r', STW_HDR_SINGLE, "RFC 3515 §2.1")                              \
	X(REFERRED_BY, "Referred-By", 'b', STW_HDR_SINGLE, "RFC 3892 §3")                          \
	X(REJECT_CONTACT, "Reject-Contact", 'j', STW_HDR_LIST, "RFC 3841 §9.2")                    \
	X(REPLACES, "Replaces", 0, STW_HDR_SINGLE, "RFC 3891 §6")                                  \
	X(REPLY_TO, "Reply-To", 0, STW_HDR_SINGLE, "RFC 3261 §20.31")                              \
	X(REQUEST_DISPOSITION, "Request-Disposition", 'd', STW_HDR_LIST, "RFC 3841 §9.1")          \
	X(REQUIRE, "Require", 0, STW_HDR_LIST, "RFC 3261 §20.32")                                  \
	X(RESOURCE_PRIORITY, "Resource-Priority", 0, STW_HDR_LIST, "RFC 4412 §3.1")                \
	X(RETRY_AFTER, "Retry-After", 0, STW_HDR_SINGLE, "RFC 3261 §20.33")                        \
	X(ROUTE, "Route", 0, STW_HDR_LIST, "RFC 3261 §20.34")                                      \
	X(RSEQ, "RSeq", 0, STW_HDR_SINGLE, "RFC 3262 §7.1")                                        \
	X(SERVER, "Server", 0, STW_HDR_SINGLE, "RFC 3261 §20.35")                                  \
	X(SERVICE_ROUTE, "Service-Route", 0, STW_HDR_LIST, "RFC 3608 §5")                          \
	X(SESSION_EXPIRES, "Session-Expires", 'x', STW_HDR_SINGLE, "RFC 4028 §4")                  \
	X(SUBJECT, "Subject", 's', STW_HDR_SINGLE, "RFC 3261 §20.36")                              \
	X(SUBSCRIPTION_STATE, "Subscription-State", 0, STW_HDR_SINGLE, "RFC 6665 §8.2.3")          \
	X(SUPPORTED, "Supported", 'k', STW_HDR_LIST, "RFC 3261 §20.37")                            \
	X(TIMESTAMP, "Timestamp", 0, STW_HDR_SINGLE, "RFC 3261 §20.38")                            \
	X(TO, "To", 't', STW_HDR_SINGLE, "RFC 3261 §20.39")                                        \
	X(UNSUPPORTED, "Unsupported", 0, STW_HDR_LIST, "RFC 3261 §20.40")                          \
	X(USER_AGENT, "User-Agent", 0, STW_HDR_SINGLE, "RFC 3261 §20.41")                          \
	X(VIA, "Via", 'v', STW_HDR_LIST, "RFC 3261 §20.42")                                        \
	X(WARNING, "Warning", 0, STW_HDR_LIST, "RFC 3261 §20.43")                                  \
	X(WWW_AUTHENTICATE, "WWW-Authenticate", 0, 0, "RFC 3261 §20.44")

enum stw_header {
	STW_HDR_UNKNOWN,
#define X(id, name, compact, flags, rfc) STW_HDR_##id,
	STW_HEADER_LIST(X)
#undef X
		STW_HEADERS
};

/** By full name or compact form, without case. STW_HDR_UNKNOWN for the rest. */
enum stw_header stw_header_from(struct stw_str name);
/** Full name as the RFC writes it; empty for STW_HDR_UNKNOWN. */
struct stw_str stw_header_name(enum stw_header header);
/** Set of STW_HDR_SINGLE, STW_HDR_LIST. */
unsigned stw_header_flags(enum stw_header header);

/* ---- causes and status codes ------------------------------------------------ */

/** Why a response was made. Rows live in `causes.def` of each layer. */
struct stw_cause {
	const char *id;      /* stable, lower case with hyphens: "not-registered" */
	unsigned code;       /* the response; 0: the request is dropped without one */
	const char *phrase;  /* Reason-Phrase */
	const char *rfc;     /* "RFC 3261 §16.5" */
	const char *meaning; /* what it means */
	const char *reason;  /* the usual reason */
	const char *remedy;  /* what to do */
};

/* A causes.def expands to declarations in its header and to definitions in one file of its layer.
 */
#define STW_CAUSE_DECLARE(name) extern const struct stw_cause stw_cause_##name
#define STW_CAUSE_DEFINE(name, id, code, phrase, rfc, meaning, reason, remedy)                     \
	const struct stw_cause stw_cause_##name = { id, code, phrase, rfc, meaning, reason,        \
		remedy };
#define CAUSE(name, id, code, phrase, rfc, meaning, reason, remedy) STW_CAUSE_DECLARE(name);
#include <strowger/causes/message.def>
#undef CAUSE

/** A row of the registry of response codes. */
struct stw_status {
	unsigned code;
	const char *phrase;  /* default Reason-Phrase */
	const char *rfc;     /* "RFC 3261 §21.4.24" */
	const char *status;  /* current, deprecated, legacy */
	const char *methods; /* which requests it answers */
	const char *summary; /* what it means */
	const char *reason;  /* usual cause */
	const char *remedy;
	const char *retry; /* may a client send again */
};

/** NULL when the code is not in the table. */
const struct stw_status *stw_status_find(unsigned code);
/** The row itself, or that of x00 of its class (§8.1.3.2: unknown 1xx as 183). NULL outside
 * 100–699. */
const struct stw_status *stw_status_or_class(unsigned code);
/** All rows in ascending order; `ret_count` rows. */
const struct stw_status *stw_status_all(size_t *ret_count);
/** Default phrase; "" for codes that are not known. */
const char *stw_status_phrase(unsigned code);

/* ---- the message -------------------------------------------------------------- */

/** Where parsing failed and why. */
struct stw_fault {
	size_t offset;          /* byte in the message */
	unsigned line;          /* 1 is the start line */
	enum stw_header header; /* STW_HDR_UNKNOWN: start line, or a field not in the list */
	const struct stw_cause *cause;
};

/** A header field in the index. Offsets count from the start of the message. */
struct stw_field {
	uint32_t start;     /* first byte of the name */
	uint32_t value;     /* first byte of the value, leading LWS skipped */
	uint32_t value_len; /* without trailing LWS; may contain folds */
	uint32_t end;       /* byte behind the CRLF that ends the field */
	uint16_t name_len;
	uint16_t header; /* enum stw_header */
};

/** host, IPv4 or IPv6 as written; brackets of IPv6 are not part of it. */
enum stw_host_kind { STW_HOST_NAME, STW_HOST_IPV4, STW_HOST_IPV6 };

enum stw_scheme {
	STW_SCHEME_OTHER,
	STW_SCHEME_SIP,
	STW_SCHEME_SIPS,
	STW_SCHEME_TEL,
	STW_SCHEME_URN
};

/** A URI, RFC 3261 §19.1 and RFC 3966; all parts borrowed and still escaped. */
struct stw_uri {
	enum stw_scheme scheme;
	struct stw_str text; /* the whole URI */
	struct stw_str scheme_name;
	struct stw_str user;     /* ptr NULL: no user part. tel: the number */
	struct stw_str password; /* ptr NULL: none */
	struct stw_str host;
	enum stw_host_kind host_kind;
	uint16_t port;          /* 0: none given */
	struct stw_str params;  /* from the first ";" on, or empty */
	struct stw_str headers; /* behind "?", or empty */
	struct stw_str opaque;  /* other schemes: all behind ":" */
};

/** name-addr or addr-spec with header parameters (From, To, Contact, Route, …). RFC 8217. */
struct stw_address {
	struct stw_str display; /* as written, quotes included; empty: none */
	struct stw_uri uri;
	bool in_brackets;      /* name-addr */
	bool wildcard;         /* Contact: * */
	bool tag_repeated;     /* against §7.3.1; the first counts */
	struct stw_str params; /* header parameters from the first ";" on, or empty */
	struct stw_str tag;    /* value of "tag"; ptr NULL: none */
};

/** A Via value, §20.42. */
struct stw_via {
	struct stw_str text;      /* the whole value */
	struct stw_str transport; /* "UDP" … */
	struct stw_str sent_by;   /* host[:port] as written */
	struct stw_str host;
	enum stw_host_kind host_kind;
	uint16_t port;           /* 0: none given */
	struct stw_str params;   /* from the first ";" on */
	struct stw_str branch;   /* ptr NULL: none */
	struct stw_str received; /* ptr NULL: none; brackets stripped (RFC 5118 §4.5) */
	struct stw_str maddr;    /* ptr NULL: none */
	bool has_rport;
	bool is_stamped;   /* what §18.2.1 and RFC 3581 §4 write is there, or rport repeated */
	bool repeated;     /* one of these parameters, against §7.3.1; the first counts */
	bool has_oc;       /* overload control, RFC 7339 §4 */
	uint16_t rport;    /* 0: no value */
	uint32_t rport_at; /* in `text`: behind the name rport, where the value goes */
	struct stw_str oc; /* ptr NULL: without a value, as in requests */
	struct stw_str oc_algo; /* without its quotes; ptr NULL: none */
};

/** Value of a CSeq header field, §20.16. */
struct stw_cseq {
	uint32_t number; /* below 2^31, §8.1.1.5 */
	enum stw_method method;
	struct stw_str name; /* the method as written */
};

/** What a message may measure; the number is the code that answers more. */
struct stw_msg_limits {
	uint32_t max_message; /* whole message, bytes: 513 */
	uint32_t max_uri;     /* Request-URI, bytes: 414 */
	uint32_t max_body;    /* 413 */
	uint32_t max_headers; /* fields: 513 */
	uint32_t max_field;   /* one field, bytes: 513 */
	bool rfc2543;         /* no Content-Length over a connection: 411 (RFC 2543 §7.4.12) */
};

extern const struct stw_msg_limits stw_msg_limits_default;

/** None: for what was let in before, and has grown since by what is added on the way. */
extern const struct stw_msg_limits stw_msg_limits_none;

#define STW_MSG_FIELDS_MAX 256
#define STW_MSG_REPEATED   0x8000u /* in stw_msg.first */

/** A parsed message. It borrows its bytes; see stw_msg_keep() to outlive them. */
struct stw_msg {
	const char *data;
	uint32_t len; /* start line to the end of the body */
	bool is_request;
	enum stw_method method;         /* request: start line. response: CSeq, once checked */
	uint16_t code;                  /* response */
	uint32_t start_len;             /* start line without CRLF */
	uint32_t method_len;            /* request */
	uint32_t uri_at, uri_len;       /* request */
	uint32_t phrase_at, phrase_len; /* response */
	uint32_t headers_at;            /* first byte behind the start line's CRLF */
	uint32_t body_at, body_len;
	/* Computed once, by the transaction layer and by the core; 0: not yet. */
	uint64_t tx_hash, merge_hash, call_hash;
	struct stw_field *fields;
	uint16_t field_count, field_capacity;
	/* Index + 1 of the first field of a kind, and whether another follows; 0: none. */
	uint16_t first[STW_HEADERS];
	bool has_via, has_from, has_to, has_call_id, has_cseq, has_uri;
	bool has_fault; /* stw_msg_parse() found one; stw_msg_check() keeps it */
	/* Written by stw_msg_check(), where `has_…` says so; pointers are into `data`. */
	struct stw_uri uri; /* Request-URI */
	struct stw_via via; /* topmost */
	struct stw_address from, to;
	struct stw_str call_id;
	struct stw_cseq cseq;
	int16_t max_forwards; /* of a request: 0 to 255; -1: absent, or counts as absent */
};

/**
 * Index one message of a datagram or of a framed stream, RFC 3261 §7. One pass; allocates nothing.
 * Bytes behind Content-Length are ignored (§18.3). Without Content-Length the body is the rest.
 * The checks F4–F8 of the common front are made in their order (505, 414, 413, 513, 400).
 *
 * @param msg     `fields` and `field_capacity` set by the caller; all else is written. Also after
 * an error what was read so far stands in it, so that an answer can be addressed.
 * @param limits  NULL: stw_msg_limits_default
 * @param fault   written on error only
 * @return 0; -EBADMSG; -EAGAIN: no SIP at all (keep-alive CRLF, other protocols): drop
 */
int stw_msg_parse(struct stw_msg *msg, const char *data, size_t len,
	const struct stw_msg_limits *limits, struct stw_fault *fault);

/** Room in the index that is enough for this message: its lines in front of the body. Together with
 * stw_msg_limits_none. */
uint16_t stw_msg_lines(const char *data, size_t len);

/**
 * F9: mandatory header fields present once and well-formed (§8.1.1, §8.2.2), CSeq method equal to
 * the request's, Request-URI well-formed. Fills the decoded members. Faults in fields not needed
 * are ignored. Call it also after a failed parse: it decodes what it can and keeps the first fault.
 * @return 0; -EBADMSG with fault
 */
int stw_msg_check(struct stw_msg *msg, struct stw_fault *fault);

#define STW_PEEK_VIAS_MAX 8

/** What a refusal without state needs of a request; borrowed from its bytes. */
struct stw_msg_peek {
	enum stw_method method;
	struct stw_str method_name, uri;
	struct stw_str vias[STW_PEEK_VIAS_MAX]; /* whole lines without CRLF */
	unsigned via_count;
	struct stw_str via, from, to, call_id, cseq; /* values; the topmost Via */
};

/**
 * A short look at a request outside of a dialog, or at an ACK, when there is no time to read it.
 * @return true: it is one without a To tag, which only an ACK may have, and without a
 *         Resource-Priority, and all members are there.
 *         false: it may be anything else, or is not plain enough; stw_msg_parse() is to read it
 */
bool stw_msg_peek(const char *data, size_t len, struct stw_msg_peek *ret);
/** The tag of a From or To value without quotes, when it is the first parameter.
 * @return 0; -EBADMSG: stw_address_parse() may find it */
int stw_msg_peek_tag(struct stw_str from, struct stw_str *ret);

/** Copy message, index and bytes into one block with one allocation; `ret` points into the block
 * and lives as long. @return 0, -ENOMEM */
int stw_msg_keep(const struct stw_msg *msg, struct stw_block **ret_block, struct stw_msg **ret);
/** The same behind `front_bytes` of the block that are the caller's, aligned for any type. */
int stw_msg_keep_behind(const struct stw_msg *msg, size_t front_bytes, struct stw_block **ret_block,
	struct stw_msg **ret);
/** Text that borrows from `from` borrows from its copy `to` afterwards; other text stays. */
void stw_str_move(struct stw_str *text, const struct stw_msg *from, const struct stw_msg *to);
void stw_uri_move(struct stw_uri *uri, const struct stw_msg *from, const struct stw_msg *to);

/** `len` bytes of the message from `at` on; borrowed from its data, as all below. */
static inline struct stw_str stw_msg_text(const struct stw_msg *msg, uint32_t at, uint32_t len)
{
	return (struct stw_str){ msg->data + at, len };
}
static inline struct stw_str stw_msg_method_name(const struct stw_msg *msg)
{
	return stw_msg_text(msg, 0, msg->method_len);
}
static inline struct stw_str stw_msg_body(const struct stw_msg *msg)
{
	return stw_msg_text(msg, msg->body_at, msg->body_len);
}
static inline struct stw_str stw_msg_phrase(const struct stw_msg *msg)
{
	return stw_msg_text(msg, msg->phrase_at, msg->phrase_len);
}
static inline struct stw_str stw_field_name(
	const struct stw_msg *msg, const struct stw_field *field)
{
	return stw_msg_text(msg, field->start, field->name_len);
}
static inline struct stw_str stw_field_value(
	const struct stw_msg *msg, const struct stw_field *field)
{
	return stw_msg_text(msg, field->value, field->value_len);
}

/** First field of a kind, NULL when absent. */
static inline const struct stw_field *stw_msg_find(
	const struct stw_msg *msg, enum stw_header header)
{
	const struct stw_field *field;

	if (header == STW_HDR_UNKNOWN || (unsigned)header >= STW_HEADERS || !msg->first[header])
		return NULL;
	field = msg->fields + (msg->first[header] & (STW_MSG_REPEATED - 1)) - 1;
#ifdef __GNUC__
	if (!field) /* so that the caller's check for NULL is not made twice */
		__builtin_unreachable();
#endif
	return field;
}
/** Next field of the same kind. */
const struct stw_field *stw_msg_find_next(const struct stw_msg *msg, const struct stw_field *field);
/** First field of this name when it is not in the list of known ones. */
const struct stw_field *stw_msg_find_name(const struct stw_msg *msg, struct stw_str name);
/** Value of the first field of a kind; ptr NULL when absent. */
static inline struct stw_str stw_msg_value(const struct stw_msg *msg, enum stw_header header)
{
	const struct stw_field *field = stw_msg_find(msg, header);

	return field ? stw_field_value(msg, field) : (struct stw_str){ NULL, 0 };
}

/** Walks over the values of a list header field, over commas and over lines. */
struct stw_values {
	const struct stw_msg *msg;
	const struct stw_field *field; /* the field that holds `value` */
	size_t at;                     /* next byte within the field's value */
	enum stw_header header;
	bool is_last; /* no value comes behind the one given last */
};

/** The start of the walk; borrows the message. */
static inline struct stw_values stw_msg_values(const struct stw_msg *msg, enum stw_header header)
{
	return (struct stw_values){ msg, stw_msg_find(msg, header), 0, header, false };
}
/** The Via values behind the topmost, which stw_msg_check() has decoded; none when it could not. */
struct stw_values stw_msg_vias_below(const struct stw_msg *msg);
/** As below, where `field` is not NULL and the value given last is not the last one. */
bool stw_values_read(struct stw_values *values, struct stw_str *ret);
/** Next value, trimmed; empty elements (",,") are skipped. False at the end. */
static inline bool stw_values_next(struct stw_values *values, struct stw_str *ret)
{
	return values->field && !values->is_last && stw_values_read(values, ret);
}
/** Does a list of tokens (Supported, Require, Allow …) name `token`? Without case. */
bool stw_msg_has_token(const struct stw_msg *msg, enum stw_header header, struct stw_str token);
/** Does Accept name the media type, its type with any subtype, or all (§20.1)? False without
 * Accept, whose default depends on what is asked. */
bool stw_msg_accepts(const struct stw_msg *msg, struct stw_str type);
/** Non-negative number of a single field. @return 0; -ENOENT absent; -EBADMSG; -ERANGE above max */
int stw_msg_number(const struct stw_msg *msg, enum stw_header header, uint64_t max, uint64_t *ret);

/* ---- values ---------------------------------------------------------------------- */

/* What these three write after an error is of no use. */
/** @return 0; -EBADMSG. An unknown scheme is no error: `opaque` holds the rest. */
int stw_uri_parse(struct stw_str text, struct stw_uri *ret);
/** The same, quicker when `like`, which was parsed before, is of the same text. */
int stw_uri_parse_like(struct stw_str text, const struct stw_uri *like, struct stw_uri *ret);
/** "urn:service:sos" or below it, RFC 5031 §4.2. */
bool stw_uri_is_sos(const struct stw_uri *uri);
/** §19.1.4 with RFC 5954; other schemes byte for byte, scheme without case. */
bool stw_uri_equal(const struct stw_uri *a, const struct stw_uri *b);
/** Parameter of a URI, name compared without case. */
bool stw_uri_param(const struct stw_uri *uri, struct stw_str name, struct stw_str *ret);
/** Undo %HH; `buffer` of at least text.len bytes. @return bytes written, -EBADMSG on a broken
 * escape */
int stw_unescape(struct stw_str text, char *buffer);
/** A domain name, IPv4 address or IPv6 reference: full match. Brackets are stripped in `ret`.
 * @return 0, -EBADMSG */
int stw_host_parse(struct stw_str text, struct stw_str *ret, enum stw_host_kind *ret_kind);
/** Without its final dot: "example.com." is the absolute form of "example.com" (RFC 1034 §3.1). */
struct stw_str stw_host_relative(struct stw_str host);

/** name-addr or addr-spec with parameters, §20.10, RFC 8217; "*" too. @return 0, -EBADMSG */
int stw_address_parse(struct stw_str value, struct stw_address *ret);
/** One Via value, §20.42. @return 0, -EBADMSG */
int stw_via_parse(struct stw_str value, struct stw_via *ret);
/** Is it a parameter of overload control: oc, oc-algo, oc-validity, oc-seq (RFC 7339 §4)? */
bool stw_via_param_is_oc(struct stw_str name);
/** @return 0; -EBADMSG; -ERANGE when 2^31 or more. Both earn a 400 (RFC 4475 §3.1.2.4). */
int stw_cseq_parse(struct stw_str value, struct stw_cseq *ret);
/** SIP-date (RFC 1123, GMT only) to seconds since 1970 UTC. @return 0, -EBADMSG */
int stw_date_parse(struct stw_str value, int64_t *ret_s);
#define STW_DATE_BYTES 30
/** 29 characters and a NUL. */
void stw_date_write(int64_t seconds, char buffer[STW_DATE_BYTES]);

/** One parameter of ";name=value" lists (Via, addresses, URIs); comma lists of auth have their own
 * reader. */
struct stw_param {
	struct stw_str name;
	struct stw_str value; /* ptr NULL: no "=". Quotes included. */
};

/** Walk over ";a;b=c": *at starts at 0. @return 1 one more, 0 the end, -EBADMSG */
int stw_param_next(struct stw_str params, size_t *at, struct stw_param *ret);
/** True when there; a value-less parameter gives ptr NULL. Name without case. */
bool stw_param_find(struct stw_str params, struct stw_str name, struct stw_str *ret_value);
/** Without quotes and escapes; `buffer` of at least value.len bytes. */
struct stw_str stw_unquote(struct stw_str value, char *buffer);
/** q value in thousandths, 0–1000; 1000 for "1.0". @return 0, -EBADMSG */
int stw_qvalue_parse(struct stw_str value, unsigned *ret);

/** delta-seconds; above 2^32-1 is clamped to it (RFC 4475 §3.1.2.4). @return 0, -EBADMSG */
int stw_delta_seconds_parse(struct stw_str value, uint32_t *ret);

/** Does a list "a, b" name the token? Without case. */
bool stw_list_has(struct stw_str list, struct stw_str token);
/** A token of §25.1: one byte or more. */
bool stw_is_token(struct stw_str text);
/** Bytes of LWS at `at`: blanks, tabs and folds. */
size_t stw_lws_length(struct stw_str text, size_t at);

/* ---- multipart, RFC 2046 §5.1, RFC 5621 -------------------------------------------- */

/** One part of a multipart body; borrowed from the body. */
struct stw_part {
	struct stw_str headers;                           /* as written, without the blank line */
	struct stw_str content_type, content_disposition; /* values; empty: none */
	struct stw_str content_encoding, content_language;
	struct stw_str body;
};
/** A walk over the parts. `boundary` may point into the structure: do not copy it. */
struct stw_multipart {
	struct stw_str boundary, rest;
	char boundary_text[74];
};
/** @return 0; -ENOENT: not multipart; -EBADMSG */
int stw_multipart_begin(
	struct stw_str content_type, struct stw_str body, struct stw_multipart *ret);
/** @return 1 one more, 0 the end, -EBADMSG */
int stw_multipart_next(struct stw_multipart *multipart, struct stw_part *ret);

/* ---- what of a body is understood, RFC 3261 §8.2.3, RFC 5621 --------------------------- */

#define STW_BODY_ACCEPT    "application/sdp, multipart/mixed, multipart/alternative"
#define STW_BODY_ENCODINGS "identity"
#define STW_BODY_LANGUAGES "en"

enum stw_body_fault {
	STW_BODY_UNDERSTOOD, /* or it is optional, or there is none */
	STW_BODY_TYPE,       /* the media type, or the disposition */
	STW_BODY_ENCODING,
	STW_BODY_LANGUAGE,
	STW_BODY_BROKEN, /* multipart whose parts cannot be told from one another */
};
/** `accept`: media types, as in Accept; with multipart/mixed each part is looked at. */
enum stw_body_fault stw_body_check(const struct stw_msg *request, struct stw_str accept);
/** The description of the session (Content-Disposition `session`, not early-session and the like),
 * alone or as a part; borrowed. */
bool stw_body_description(const struct stw_msg *msg, struct stw_str *ret);

/* ---- edit: forward by splicing ------------------------------------------------------- */

#define STW_EDIT_MAX        (STW_MSG_FIELDS_MAX / 2 + 32) /* every other field, and more */
#define STW_EDIT_SLICES_MAX (2 * STW_EDIT_MAX + 1)

struct stw_edit_op {
	uint32_t at, cut;    /* replace [at, at+cut) … */
	struct stw_str text; /* … by this; borrowed */
};

/** Changes to a message, kept in order of place. The message itself is not touched. */
struct stw_edit {
	const struct stw_msg *msg;
	struct stw_edit_op ops[STW_EDIT_MAX];
	unsigned count;
	bool overflow; /* more than STW_EDIT_MAX changes, or two that overlap */
};

/** No change yet; borrows the message. */
void stw_edit_init(struct stw_edit *edit, const struct stw_msg *msg);
/** Replace bytes. At the same place, later insertions stand behind earlier ones. */
void stw_edit_splice(struct stw_edit *edit, uint32_t at, uint32_t cut, struct stw_str text);
/** `line` with its CRLF, behind the last header field. */
void stw_edit_append_field(struct stw_edit *edit, struct stw_str line);
/** `line` with its CRLF, before `field`. */
void stw_edit_insert_before(
	struct stw_edit *edit, const struct stw_field *field, struct stw_str line);
/** The whole field, its CRLF and folds included. */
void stw_edit_remove_field(struct stw_edit *edit, const struct stw_field *field);
/** The name stays as it was written. */
void stw_edit_set_value(struct stw_edit *edit, const struct stw_field *field, struct stw_str value);
/** Remove the first value of a list field kind (top Via, top Route), its comma or its whole line.
 */
void stw_edit_remove_first_value(struct stw_edit *edit, enum stw_header header);
/** Another Request-URI. */
void stw_edit_set_uri(struct stw_edit *edit, struct stw_str uri);
/**
 * The message as slices; `v` has room for one more than twice the changes (at most
 * STW_EDIT_SLICES_MAX).
 * @return number of slices; -ENOBUFS when `overflow`
 */
int stw_edit_slices(const struct stw_edit *edit, struct stw_str *v);

/* ---- write: messages of our own -------------------------------------------------------- */

/** A response to be written; all text is borrowed until then. */
struct stw_response {
	const struct stw_msg *request;
	unsigned code;
	struct stw_str phrase;  /* empty: the default of the code */
	struct stw_str to_tag;  /* added when the request's To has none and code is not 100 */
	struct stw_str headers; /* further header field lines, each with CRLF */
	struct stw_str content_type, body; /* empty: none */
	bool record_route;                 /* copy Record-Route (§12.1.1) */
	/* What the top Via gets (§18.2.1, RFC 3581); empty and 0: nothing. */
	struct stw_str received;
	uint16_t rport;
	struct stw_str oc; /* ";oc=…": takes the place of the client's (RFC 7339 §5.2) */
};

/** §8.2.6: Via values in order, From, To, Call-ID, CSeq copied as far as readable; Content-Length.
 */
void stw_response_write(struct stw_writer *writer, const struct stw_response *response);

/* ---- stream framing, §18.3 ---------------------------------------------------------------- */

/** Finds message ends in a byte stream, byte by byte if need be. Holds no bytes itself. */
struct stw_framing {
	uint32_t scanned;     /* bytes of the current message already looked at */
	uint32_t headers_end; /* behind the blank line; 0: not seen yet */
	uint32_t content_length;
	uint32_t line_at;     /* first byte of the line being read */
	uint32_t field_at;    /* first byte of the header field being read; 0: none yet */
	uint32_t uri_bytes;   /* of the Request-URI so far */
	uint8_t start_spaces; /* before and behind the Request-URI */
	bool has_length;
	const struct stw_cause *fault; /* of Content-Length, the first */
};

enum stw_frame_kind {
	STW_FRAME_MORE,    /* give more bytes */
	STW_FRAME_PING,    /* CRLFCRLF keep-alive: answer CRLF (RFC 5626 §3.5.1) */
	STW_FRAME_CRLF,    /* a lone CRLF (pong): skip */
	STW_FRAME_MESSAGE, /* `bytes` form one message */
	STW_FRAME_BROKEN,  /* framing lost: answer from what is there, then close (F5–F8) */
};

/** What stw_framing_next() found. */
struct stw_frame {
	enum stw_frame_kind kind;
	size_t bytes; /* to take from the front of the buffer. BROKEN: up to the blank
			 line if it was seen, else all there is */
	const struct stw_cause *cause; /* BROKEN only: 413, 414, 513 or 400 */
};

/** At the start of a message. */
void stw_framing_init(struct stw_framing *framing);
/**
 * `data` starts at the current message; the same bytes may be given again with more behind them.
 * Every answer but MORE ends the current message: the next call begins anew, behind `bytes`. A lone
 * CRLF is told once the byte behind it has come, as it might be half a ping: any byte is a sign of
 * life.
 */
struct stw_frame stw_framing_next(struct stw_framing *framing, const char *data, size_t len,
	const struct stw_msg_limits *limits);

#endif
