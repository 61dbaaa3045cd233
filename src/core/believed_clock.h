/* SPDX-License-Identifier: Apache-2.0 */
/* Which wall clock to believe when nobody vouches for it. A synchronised clock is always believed. Without
 * that, a clock that steps is not followed: time goes on from where it was, as the boot clock counts it,
 * until the clock is synchronised. So a cabinet without network keeps its calendar, and one whose clock leaps
 * by years does not act as if the years had passed. */
#pragma once

#include "base/clock.h"

/* An unsynchronised clock may wander or be put right by this much. */
#define BELIEVED_STEP_USEC ((int64_t)3600 * (int64_t)USEC_PER_SEC)
/* The power may have been off for so long; a clock that claims more is not believed at start. */
#define BELIEVED_OFF_USEC ((int64_t)30 * 86400 * (int64_t)USEC_PER_SEC)

typedef struct BelievedClock {
        int64_t wall;  /* believed at … */
        uint64_t boot; /* … this moment of the boot clock */
        bool synced;
} BelievedClock;

/* last: the latest believed time that is known from before, 0 when there is none. */
void believed_clock_init(BelievedClock *c, const Now *now, int64_t last);
/* The time to believe now. *ret_step: by how much it differs from what it would have been had the clock just
 * run on; only steps that are followed show here. */
int64_t believed_clock_read(BelievedClock *c, const Now *now, int64_t *ret_step);
