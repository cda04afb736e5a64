/* uses: stw_sdp */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an offer and as an answer; what we answer must be one to that offer. */
#include <strowger/sdp.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static const struct stw_sdp_abilities can = {
	.address = { "192.0.2.1", 9 },
	.rtp_port = 4000,
	.qos = STW_SDP_QOS_SUPPORTED,
};

/* Our answer is read by our own parser and has as many m= lines as the offer. */
static void try_offer(struct stw_str text)
{
	static struct stw_sdp offer, answer;
	struct stw_sdp_session session;
	struct stw_sdp_refusal refusal;
	struct stw_sdp_fault fault;
	struct stw_str written;

	stw_sdp_session_init(&session, &can, 1);
	if (stw_sdp_receive_offer(&session, text, &refusal) < 0) {
		must(refusal.code >= 400 && refusal.why[0]);
		must(session.state == STW_SDP_STABLE);
		return;
	}
	must(stw_sdp_parse(text, &offer, &fault) == 0);
	if (stw_sdp_answer(&session, &written) < 0)
		return;
	must(stw_sdp_parse(written, &answer, &fault) == 0);
	must(answer.media_count == offer.media_count);
	for (unsigned i = 0; i < offer.media_count; i++)
		must(!answer.media[i].port || offer.media[i].port);
	must(stw_sdp_offer(&session, &written) == 0);
	must(stw_sdp_parse(written, &answer, &fault) == 0);
	must(answer.media_count >= offer.media_count);
}

static void try_answer(struct stw_str text)
{
	struct stw_sdp_session session;
	struct stw_sdp_fault fault;
	struct stw_str written;

	stw_sdp_session_init(&session, &can, 1);
	must(stw_sdp_offer(&session, &written) == 0);
	stw_sdp_receive_answer(&session, text, &fault);
	must(session.state == STW_SDP_STABLE);
	must(!session.stream.active || session.stream.rtp_port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + !size);
	struct stw_str text = { copy, size };

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	try_offer(text);
	try_answer(text);
	free(copy);
	return 0;
}
