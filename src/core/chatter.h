/* SPDX-License-Identifier: Apache-2.0 */
/* A contact that chatters: one whose value changes far more often than doors and people do is not believed
 * until it has rested, and is reported twice: when that begins, and when it is over. One for each input; the
 * table of its states is in chatter.c. Pure.
 *
 * How much is too much: a change fills, time empties, and so does a command, after which doors move. */
#pragma once

#include "base/clock.h"

#define CHATTER_CHANGES     20                    /* so many at once pass */
#define CHATTER_EACH_USEC   (60 * USEC_PER_SEC)   /* … and then one in so long */
#define CHATTER_REST_FIRST  (60 * USEC_PER_SEC)   /* without a change, until it is believed again; twice as */
#define CHATTER_REST_MAX    (3600 * USEC_PER_SEC) /* long when it soon begins anew, up to this */
#define CHATTER_FORGET_USEC (4 * 3600 * USEC_PER_SEC) /* soon */

typedef enum ChatterState {
        CHATTER_BELIEVED,
        CHATTER_HELD,   /* its value is not believed */
        CHATTER_ASTRAY, /* … and its board does not say it either */
        CHATTER_STATE_MAX
} ChatterState;

typedef enum ChatterEvent {
        CHATTER_CHANGE,
        CHATTER_COMMAND, /* a lock behind the same door was told to move */
        CHATTER_LOST,    /* its board does not say anything any more */
        CHATTER_FOUND,   /* … and does again */
        CHATTER_TIME,    /* chatter_next_deadline() has come */
        CHATTER_EVENT_MAX
} ChatterEvent;

/* What the caller has to do, bits. */
typedef enum ChatterEffect {
        CHATTER_BEGINS = 1 << 0, /* report; the value is unknown from now on */
        CHATTER_ENDS = 1 << 1,   /* report; the value counts again */
} ChatterEffect;

typedef struct Chatter {
        ChatterState state;
        unsigned level;       /* changes that have not been forgotten yet */
        uint64_t level_at;    /* boot µs at which that was so */
        uint64_t since;       /* boot µs of the first of them */
        uint64_t changes;     /* since then */
        uint64_t rest_usec;   /* how long it has to rest; 0: has not chattered yet */
        uint64_t rest_at;     /* boot µs at which it has; USEC_INFINITY: not now */
        uint64_t believed_at; /* boot µs at which it had last */
} Chatter;

void chatter_init(Chatter *c);
/* Returns ChatterEffect. `now`: boot µs, never earlier than before. */
unsigned chatter_happened(Chatter *c, ChatterEvent event, uint64_t now);
bool chatter_is_believed(const Chatter *c);
uint64_t chatter_next_deadline(const Chatter *c); /* USEC_INFINITY: none */
const char *chatter_state_to_string(ChatterState s);
