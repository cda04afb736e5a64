/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * ladder: a call as it is drawn in the RFCs: a column for each element, an arrow for each message.
 */
#ifndef STW_LADDER_H
#define STW_LADDER_H

#include <jansson.h>
#include <stdio.h>

#define STW_LADDER_MARKS 64

/** Records that are explained below the ladder, in the order of their numbers. */
struct stw_ladder_marks {
	const json_t *records[STW_LADDER_MARKS]; /* borrowed */
	unsigned count;
};

/** At most 100 columns. `call` as /v1/why answers it. */
void stw_ladder_print(FILE *out, const json_t *call, struct stw_ladder_marks *ret);

#endif
