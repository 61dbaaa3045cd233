/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of one board: which of the values that were read are believed. A value counts when so many
 * responses in a row agree about it and it has been read throughout the channel's debounce time. Pure.
 *
 * Times are boot µs. */
#pragma once

#include "base/clock.h"
#include "lockwire/wire.h"

/* A safety input that has not come to rest for so long counts as active: who has to get out is not kept in by
 * a bad contact. */
#define INPUT_UNREST_USEC USEC_PER_SEC

typedef struct InputChannel {
        bool value;        /* as read last */
        unsigned agreeing; /* responses in a row that say so; 0: not read, or one was missing since */
        uint64_t since;    /* of the first of the reads that say so; 0: never read */
        uint64_t restless; /* since when it has not been at rest; 0: it is */
        unsigned debounce_ms;
} InputChannel;

typedef struct Inputs {
        uint8_t used[WIRE_CHANNELS / 8];
        uint8_t known[WIRE_CHANNELS / 8], believed[WIRE_CHANNELS / 8];
        uint8_t unrest_on[WIRE_CHANNELS / 8], unrest_off[WIRE_CHANNELS / 8]; /* as in WireBoard */
        InputChannel channels[WIRE_CHANNELS];
} Inputs;

typedef enum InputsTaken {
        INPUTS_CHANGED = 1 << 0,   /* something else is believed now */
        INPUTS_UNSETTLED = 1 << 1, /* too few responses agree about a channel: ask again at once */
} InputsTaken;

void inputs_init(Inputs *in, const WireBoard *b, unsigned n);
/* A good response about the channels in `mask`, of which `agreeing` in a row make a value. InputsTaken. */
unsigned inputs_take(Inputs *in, const uint8_t bits[WIRE_CHANNELS / 8], const uint8_t mask[WIRE_CHANNELS / 8],
                     unsigned agreeing, uint64_t at);
/* A response was missing or damaged: those before and after it are not in a row. */
void inputs_break(Inputs *in);
void inputs_forget(Inputs *in);
bool inputs_are_known(const Inputs *in); /* all that are used */
/* Every channel is what it was read as last: nothing waits for agreement or its debounce time. */
bool inputs_are_settled(const Inputs *in);
/* When a channel that differs from what is believed has been debounced; USEC_INFINITY: none differs. */
uint64_t inputs_rest_at(const Inputs *in);
