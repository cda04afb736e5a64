/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission by the time a request has waited in the queue of the kernel. The queue is first in,
 * first out, and to refuse is many times cheaper than to serve: above the target new requests are
 * refused until half of it is reached, so the queue never empties and no time is lost; of a queue
 * that is cut (stw_overload_room()) only what has waited for longer, since it is full again at
 * once. Each connection is a queue of its own: refused is what has waited there. What upstream
 * servers are asked to keep back follows from the share refused here.
 */
#include <strowger/overload.h>

/* Registrations are refused at twice the target; nothing is answered any more at sixteen times,
 * when the peer has repeated its request already. */
#define REGISTER_FACTOR 2
#define DROP_FACTOR     16
/* What a stream has brought may be served late (below), but not when its sender has given up. */
#define STREAM_FACTOR 64
#define INTERVAL_MS   100
#define STANDING_MS   100
#define MEMORY_MS     1000
#define VALIDITY_MS   500 /* RFC 7339 §4.3 */
/* From full restraint to none in 1.5 seconds. */
#define LOSS_STEP_PERMILLE 67
#define CALM_INTERVALS     15
/* The room of a queue: a fourth more than the target, so that some are read and refused with a
 * word; never less than a batch. */
#define ROOM_PERCENT 125
#define ROOM_MIN     64
#define ROOM_MS      1500
/* Answered are as many refusals as requests are served, and so many in each interval: of datagrams,
 * and of what connections bring. */
#define ANSWERS_MIN 64
#define ANSWERS_MAX 4096
/* Refusals in an interval from which on it is a flood. */
#define FLOOD_MIN 16
/* How fast the share refused here is passed upstream. */
#define GAIN_PERMILLE 700

enum level { LEVEL_NONE, LEVEL_NEW, LEVEL_REGISTER, LEVEL_DROP };

void stw_overload_init(struct stw_overload *overload, const struct stw_overload_options *options)
{
	*overload = (struct stw_overload){ .options = *options, .calm = CALM_INTERVALS };
}

static uint8_t level_at(const struct stw_overload *overload, uint64_t waited_us)
{
	uint64_t target_us = (uint64_t)overload->options.target_ms * 1000;

	if (waited_us > DROP_FACTOR * target_us)
		return LEVEL_DROP;
	if (waited_us > REGISTER_FACTOR * target_us)
		return LEVEL_REGISTER;
	return waited_us > target_us ? LEVEL_NEW : LEVEL_NONE;
}

/* RFC 6357 §4 leaves the sign of overload open; this is that of CoDel (RFC 8289 §3): the delay that
 * a queue cannot get rid of. */
static bool queue_stands(struct stw_overload_queue *queue, uint64_t now_ms)
{
	if (!queue->above_ms)
		queue->above_ms = now_ms;
	queue->seen_ms = now_ms;
	return now_ms - queue->above_ms >= STANDING_MS ||
	       (queue->refused_ms && now_ms - queue->refused_ms < MEMORY_MS);
}

/* Up at a threshold, down at half of it, and when nothing waits any more. A queue that is cut goes
 * down at once: it is full again at once, and to empty it means to refuse what could be served. */
static uint8_t level_next(const struct stw_overload *overload, struct stw_overload_queue *queue,
	const struct stw_overload_arrival *arrival, uint64_t now_ms)
{
	uint8_t up = level_at(overload, arrival->waited_us);
	uint8_t keep = arrival->cut ? up : level_at(overload, UINT64_C(2) * arrival->waited_us);
	bool above = arrival->standing && up > LEVEL_NONE;

	if (!above)
		queue->above_ms = 0;
	if (!arrival->standing ||
		(queue->level == LEVEL_NONE && !(above && queue_stands(queue, now_ms))))
		return LEVEL_NONE;
	if (up >= queue->level)
		return up;
	return keep < queue->level ? keep : queue->level;
}

/*
 * Connections without a backlog say nothing about those with one, and are not refused for them.
 * Nothing is dropped, as nobody would repeat it: when no more refusals are afforded, what has
 * waited is served, and TCP keeps back what the peer has still to say; but what is very late is
 * refused whatever it costs, or only the dead would be served.
 */
static uint8_t level_of_stream(const struct stw_overload *overload,
	struct stw_overload_queue *queue, const struct stw_overload_arrival *arrival,
	uint64_t now_ms)
{
	uint64_t late_us = UINT64_C(1000) * STREAM_FACTOR * overload->options.target_ms;
	uint8_t up = level_at(overload, arrival->waited_us);

	if (!arrival->standing || up == LEVEL_NONE)
		return LEVEL_NONE;
	if (now_ms - queue->seen_ms >= STANDING_MS)
		queue->above_ms = 0;
	if (!queue_stands(queue, now_ms) ||
		(!overload->answers[true] && arrival->waited_us <= late_us))
		return LEVEL_NONE;
	return up < LEVEL_DROP ? up : LEVEL_REGISTER;
}

/* ---- what upstream servers are asked ------------------------------------------------ */

static void loss_update(struct stw_overload *overload)
{
	uint32_t loss = overload->loss_permille, share;

	if (overload->refused) {
		share = (uint32_t)((uint64_t)overload->refused * 1000 / overload->offered);
		loss += (1000 - loss) * share / 1000 * GAIN_PERMILLE / 1000;
	} else {
		loss -= loss < LOSS_STEP_PERMILLE ? loss : LOSS_STEP_PERMILLE;
	}
	overload->loss_permille = loss;
}

static void rate_update(struct stw_overload *overload)
{
	uint32_t taken = (overload->requests - overload->refused) * (1000 / INTERVAL_MS);

	if (overload->refused)
		overload->rate = taken ? taken : 1;
	else if (overload->calm >= CALM_INTERVALS)
		overload->rate = 0;
	else if (overload->rate)
		overload->rate += overload->rate / 20 + 1;
}

static void taken_update(struct stw_overload *overload)
{
	for (unsigned i = 0; i < STW_OVERLOAD_QUEUES; i++) {
		struct stw_overload_queue *queue = &overload->queues[i];

		if (!queue->taken_mean)
			queue->taken_mean = queue->taken;
		else
			queue->taken_mean = (3 * queue->taken_mean + queue->taken + 3) / 4;
		queue->taken = 0;
	}
}

static void interval_end(struct stw_overload *overload, struct stw_now now)
{
	taken_update(overload);
	overload->calm = overload->refused ? 0 : overload->calm + (overload->calm < CALM_INTERVALS);
	loss_update(overload);
	rate_update(overload);
	overload->requests = overload->offered = overload->refused = 0;
	for (unsigned i = 0; i < STW_ARRAY_SIZE(overload->answers); i++) {
		if (overload->answers[i] < ANSWERS_MIN)
			overload->answers[i] = ANSWERS_MIN;
	}
	for (unsigned known = 0; known < 2; known++) {
		overload->clients[known][1] = overload->clients[known][0];
		overload->clients[known][0] = 0;
	}
	if (now.wall_ms > overload->wall_ms)
		overload->wall_ms = now.wall_ms;
	else
		overload->wall_ms++;
}

static void overload_advance(struct stw_overload *overload, struct stw_now now)
{
	uint64_t passed;

	if (now.mono_ms < overload->interval_end_ms)
		return;
	passed = (now.mono_ms - overload->interval_end_ms) / INTERVAL_MS + 1;
	/* After so many quiet ones all is over. */
	for (uint64_t i = 0; i < passed && i < 2 * CALM_INTERVALS; i++)
		interval_end(overload, now);
	overload->interval_end_ms = now.mono_ms + INTERVAL_MS;
}

/* ---- this server ------------------------------------------------------------------------ */

enum stw_overload_verdict stw_overload_admit(struct stw_overload *overload,
	enum stw_overload_class class, const struct stw_overload_arrival *arrival,
	struct stw_now now)
{
	unsigned index = arrival->queue < STW_OVERLOAD_QUEUES ? arrival->queue : 0;
	struct stw_overload_queue *own = &overload->queues[index];
	struct stw_overload_queue *queue = arrival->elsewhere ? arrival->elsewhere : own;
	uint32_t *answers = &overload->answers[arrival->stream];
	uint8_t level;

	if (!overload->options.target_ms)
		return STW_OVERLOAD_ADMIT;
	overload_advance(overload, now);
	overload->requests++;
	if (arrival->stream)
		level = level_of_stream(overload, queue, arrival, now.mono_ms);
	else
		level = queue->level = level_next(overload, queue, arrival, now.mono_ms);
	if (class == STW_OVERLOAD_NEVER)
		return STW_OVERLOAD_ADMIT;
	overload->offered++;
	if (level == LEVEL_NONE || (class == STW_OVERLOAD_REGISTER && level == LEVEL_NEW)) {
		/* Where the load is shared evenly as much of ours is served elsewhere. */
		own->taken++;
		*answers += *answers < ANSWERS_MAX;
		return STW_OVERLOAD_ADMIT;
	}
	overload->refused++;
	queue->refused_ms = now.mono_ms;
	if (level == LEVEL_DROP || (!*answers && !arrival->stream)) {
		overload->dropped_total++;
		return STW_OVERLOAD_DROP;
	}
	*answers -= *answers > 0;
	overload->refused_total++;
	return STW_OVERLOAD_REFUSE;
}

bool stw_overload_floods(
	const struct stw_overload *overload, const struct stw_overload_arrival *arrival)
{
	uint64_t waited_us = arrival->cut || arrival->stream ? arrival->waited_us
							     : UINT64_C(2) * arrival->waited_us;

	return overload->refused >= FLOOD_MIN && arrival->standing &&
	       waited_us > (uint64_t)overload->options.target_ms * 1000;
}

bool stw_overload_refuses(const struct stw_overload *overload)
{
	return overload->refused >= FLOOD_MIN || overload->calm == 0;
}

bool stw_overload_active(struct stw_overload *overload, struct stw_now now)
{
	overload_advance(overload, now);
	return overload->refused || overload->calm < CALM_INTERVALS;
}

uint32_t stw_overload_room(const struct stw_overload *overload, unsigned index, struct stw_now now)
{
	const struct stw_overload_queue *queue = &overload->queues[index];
	uint64_t room;

	if (!overload->options.target_ms || !queue->refused_ms || !queue->taken_mean ||
		now.mono_ms - queue->refused_ms >= ROOM_MS)
		return UINT32_MAX;
	room = (uint64_t)queue->taken_mean * overload->options.target_ms * ROOM_PERCENT / 100 /
	       INTERVAL_MS;
	return room < ROOM_MIN ? ROOM_MIN : (uint32_t)room;
}

/* ---- RFC 7339 §5.2 ------------------------------------------------------------------------- */

static bool algorithm_offered(const struct stw_via *via, struct stw_str algorithm)
{
	struct stw_str list = via->oc_algo;
	size_t at = 0, comma;

	while (at < list.len) {
		comma = stw_str_find(list, ',', at);
		if (stw_str_equal_nocase(stw_str_trim(stw_str_cut(list, at, comma)), algorithm))
			return true;
		at = comma + 1;
	}
	return false;
}

static uint32_t clients_count(const uint64_t clients[2])
{
	return (uint32_t)__builtin_popcountll(clients[0] | clients[1]);
}

/* Who is under control now is counted by one bit for each of 64 hashes. All get the same, but
 * strangers share one part: from however many addresses one of them asks, there is the rest for the
 * others. Nobody is told nothing at all. */
static uint32_t rate_of_one(
	struct stw_overload *overload, const struct stw_addr *source, bool known)
{
	uint64_t words[2] = { stw_addr_network(source), source->family };
	uint64_t bit = stw_hash(overload->options.key, words, sizeof(words)) & 63;
	uint32_t rate = overload->rate, strangers, parts;

	overload->clients[known][0] |= UINT64_C(1) << bit;
	strangers = clients_count(overload->clients[false]);
	parts = clients_count(overload->clients[true]) + (strangers > 0);
	rate = rate * (overload->options.workers ? overload->options.workers : 1) / parts;
	if (!known)
		rate /= strangers;
	return rate ? rate : 1;
}

struct stw_str stw_overload_params(struct stw_overload *overload, const struct stw_via *via,
	const struct stw_addr *source, bool known, struct stw_now now,
	char buffer[STW_OVERLOAD_PARAMS_MAX])
{
	struct stw_writer writer;
	bool rate, active;
	uint32_t value;

	if (!via->has_oc || overload->options.feedback == STW_OVERLOAD_FEEDBACK_OFF ||
		!overload->options.target_ms)
		return STW_STR_NONE;
	overload_advance(overload, now);
	/* The choice follows from what the client offers, so it stays the same for each (§5.8). */
	rate = overload->options.feedback == STW_OVERLOAD_FEEDBACK_RATE &&
	       algorithm_offered(via, STW_STR("rate"));
	if (!rate && via->oc_algo.len && !algorithm_offered(via, STW_STR("loss")))
		return STW_STR_NONE;
	active = rate ? overload->rate > 0 : overload->loss_permille > 0;
	value = rate ? rate_of_one(overload, source, known) : (overload->loss_permille + 9) / 10;
	stw_writer_init(&writer, buffer, STW_OVERLOAD_PARAMS_MAX);
	stw_write_format(&writer, ";oc=%u;oc-algo=\"%s\";oc-validity=%d;oc-seq=%lld.%03d",
		active ? value : 0, rate ? "rate" : "loss", active ? VALIDITY_MS : 0,
		(long long)(overload->wall_ms / 1000), (int)(overload->wall_ms % 1000));
	return stw_writer_text(&writer);
}
