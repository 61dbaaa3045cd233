/* SPDX-License-Identifier: Apache-2.0 */
/* What a lock board's protocol allows, for those who check a configuration or plan with it. How it is spoken
 * is the line worker's business (src/line). */
#pragma once

#include "core/cabinet.h"

typedef struct Protocol {
        const char *name; /* as in a profile */
        bool on_lines;    /* spoken on a serial line; else lines of the computer itself */
        bool on_modbus_tcp;
        unsigned address_min, address_max;
        unsigned outputs_max, inputs_max;
        bool inputs_equal_outputs; /* each lock tells its own state, and nothing else is told */
        bool answers_after_pulse;  /* the response to an unlock may come when the board's pulse is over */
        bool fixed_requests;       /* a profile has no addresses, functions and values to say */
} Protocol;

const Protocol *protocol_of(BoardProtocol p);
