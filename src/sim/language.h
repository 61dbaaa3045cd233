/* SPDX-License-Identifier: Apache-2.0 */
/* What the boards of a line speak: how long a request is, what is in it, what a board makes of it, and how
 * its response looks. Written on its own, without a line of the daemon's worker: a mistake there must show
 * here. */
#pragma once

#include "sim/line.h"

typedef struct Language {
        const char *name; /* as in a profile */
        bool broadcast;   /* address 0 is for all boards, and nobody responds */
        unsigned address_max;
        bool checksum;
        /* How long the request that begins here is: 0 = cannot tell yet, -1 = only the silence after it
         * tells. */
        int (*length)(const uint8_t *bytes, size_t n);
        /* Takes a request apart; false when its checksum or end is wrong. */
        bool (*open)(const uint8_t *bytes, size_t n, uint8_t *ret_address, Pdu *ret);
        /* Executes it at time `at`; ret->n is 0 when there is nothing to respond. */
        void (*handle)(Board *b, const Pdu *request, uint64_t at, Pdu *ret);
        /* Puts a response into its frame. */
        void (*frame)(Sending *s, uint8_t address, const Pdu *pdu);
} Language;

extern const Language modbus_language, kerong_language, winnsen_language;
