/* SPDX-License-Identifier: Apache-2.0 */
/* The believed clock of this cabinet (core/believed_clock.h), kept in the ledger over restarts. Whoever
 * decides by the calendar asks records_moment(), and nobody else.
 *
 * A correction is followed in one transaction with the shift of what was written while nobody vouched for the
 * calendar; before that is committed, time goes on as it did. So no code is expired in between. */
#pragma once

#include "core/believed_clock.h"

typedef struct Records Records;

typedef struct Calendar {
        BelievedClock clock;
        int64_t boot_id;   /* of this boot: its first 63 bits */
        int64_t kept;      /* the believed time that the ledger knows */
        uint64_t at;       /* boot µs: look at the clock again */
        unsigned followed; /* corrections; whoever waits for a moment looks again when it has changed */
} Calendar;

/* Once, when the ledger is open. */
int calendar_begin(Records *rec, const uint8_t boot_id[16]);
/* Looks at the clock now, in case it was put right since the last tick. Not from within a query. */
void calendar_look(Records *rec);
void calendar_tick(Records *rec, const Now *now);
uint64_t calendar_next_deadline(const Records *rec);
Moment records_moment(const Records *rec);
