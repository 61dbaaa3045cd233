/* SPDX-License-Identifier: Apache-2.0 */
/* Plausibility of an unsynchronised wall clock. A synchronised clock is always believed. Without
 * synchronisation, steps are not followed: time continues from the last believed value, counted by the boot
 * clock, until the clock is synchronised. So a cabinet without a network keeps its calendar, and one whose
 * clock jumps by years does not act as if the years had passed. */
#pragma once

#include "base/clock.h"

/* An unsynchronised clock may drift or be corrected by this much. */
#define BELIEVED_STEP_USEC ((int64_t)3600 * (int64_t)USEC_PER_SEC)
/* The longest power failure; a clock that claims more is not believed at start. */
#define BELIEVED_OFF_USEC ((int64_t)30 * 86400 * (int64_t)USEC_PER_SEC)

typedef struct BelievedClock {
        int64_t wall;  /* believed at … */
        uint64_t boot; /* … this moment of the boot clock */
        bool synced;
} BelievedClock;

/* last: the latest believed time that is known from before, 0 when there is none. */
void believed_clock_init(BelievedClock *c, const Now *now, int64_t last);
/* The time to believe now. *ret_step: the difference to the continued old time; not 0 only for steps that
 * are followed. */
int64_t believed_clock_read(BelievedClock *c, const Now *now, int64_t *ret_step);
