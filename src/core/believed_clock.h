/* SPDX-License-Identifier: Apache-2.0 */
/* The one judgement of whether the calendar is vouched for, and the time that is believed meanwhile. Pure.
 *
 * A calendar is vouched for while the kernel says that it is synchronised, and for BELIEVED_TERM_USEC of the
 * same boot after it last said so, as the boot clock counts on. Everything else (the clock hardware after a
 * power cut, a calendar that was set by hand) is only a claim: time then goes on from the last believed value
 * by what the boot clock has counted, and waits for the next synchronisation. Counted time loses what the
 * machine was off, so it is never ahead of the true time by that; what was written by it is shifted forward
 * when the clock is put right, and nothing becomes due too early. */
#pragma once

#include "base/clock.h"

/* How long a calendar is vouched for without another synchronisation: an oscillator that is wrong by a
 * ten-thousandth loses four minutes in it. */
#define BELIEVED_TERM_USEC (UINT64_C(30) * 86400 * USEC_PER_SEC)
/* The longest power failure: clock hardware that claims more is not used for the hour of the day either. */
#define BELIEVED_OFF_USEC ((int64_t)30 * 86400 * (int64_t)USEC_PER_SEC)

typedef struct BelievedClock {
        int64_t wall;           /* believed at …, µs since 1970 UTC */
        uint64_t boot;          /* … this moment of the boot clock */
        uint64_t vouched_until; /* boot µs; 0: nobody vouches for it */
        bool bound;    /* it was vouched for once and has only been counted since: the true time is not
                          earlier */
        int64_t ahead; /* µs: what clock hardware shows beyond the counted time, for the hour of the day alone
                        */
} BelievedClock;

/* The believed time of a moment. */
typedef struct Moment {
        int64_t wall;       /* µs since 1970 UTC; by a calendar that is vouched for, or counted */
        int64_t not_before; /* the true time is not earlier; 0: nothing is known */
        bool vouched;       /* only then does anything expire */
} Moment;

/* After a start of the machine. last: the latest believed time from before, 0 when there is none; bound: as
 * it was then. Nobody vouches for it before believed_clock_read(). */
void believed_clock_init(BelievedClock *c, const Now *now, int64_t last, bool bound);
Moment believed_clock_moment(const BelievedClock *c, uint64_t boot_usec);
/* Follows a synchronised clock, and no other. *ret_step: by how much the time that went on from the old value
 * was wrong, µs; 0 when nothing is followed. */
void believed_clock_read(BelievedClock *c, const Now *now, int64_t *ret_step);
