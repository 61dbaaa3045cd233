/* SPDX-License-Identifier: Apache-2.0 */
/* What the inputs of the boards mean: which lock, position, slot or alarm hangs on which channel, and the
 * value last believed. Not everything that a board says is believed at once: a contact that chatters is
 * unknown until it has rested (core/chatter.h), and doors that all open at once without a command, or are
 * all open when their board is first heard, are one fault of their board. Alarm inputs and inside releases
 * are believed whatever they do.
 *
 * Knows no event loop and no worker. Times are boot µs. */
#pragma once

#include "core/cabinet.h"
#include "lock/locks.h"
#include "lockwire/wire.h"

/* How long an opening that nobody has commanded waits for others of its board; each that comes prolongs it,
 * up to the last. While a command is under way it may be a wrong door, which is not kept waiting. */
#define FACTS_HOLD_USEC      (150 * USEC_PER_MSEC)
#define FACTS_HOLD_BUSY_USEC (20 * USEC_PER_MSEC)
#define FACTS_HOLD_MAX_USEC  USEC_PER_SEC
/* So many locks at once are no burglary. */
#define FACTS_FAULT_LOCKS 3
/* How long the inputs of such a board must differ again; twice as long when it soon happens anew. */
#define FACTS_MEND_FIRST_USEC (2 * USEC_PER_SEC)
#define FACTS_MEND_MAX_USEC   (3600 * USEC_PER_SEC)

typedef struct Facts Facts;

typedef struct FactsHandlers {
        void (*fact)(void *userdata, const Fact *fact, bool more);
        /* Told before the facts that follow from it. Over: it has rested. */
        void (*chatter)(void *userdata, const FactChatter *chatter);
        void (*common)(void *userdata, int board, bool fault); /* all inputs of the board at once */
} FactsHandlers;

int facts_new(Facts **ret, const Cabinet *cabinet, const FactsHandlers *handlers, void *userdata);
Facts *facts_free(Facts *f);
DEFINE_CLEANUP(Facts *, facts_free);
/* Fills in which channels of a board mean something, how they are debounced, and how often they are read at
 * rest. */
void facts_describe(const Facts *f, int board, WireBoard *m);
/* A board's answer; tells what has changed, contact and latch of a lock next to each other. */
void facts_inputs(Facts *f, int board, const uint8_t bits[WIRE_CHANNELS / 8], uint64_t at);
/* A board no longer answers or is not trusted: what it said is unknown now. */
void facts_lost(Facts *f, int board, uint64_t at);
/* This lock was told to move, until `until` at the latest: what moves by then may be its work. */
void facts_commanded(Facts *f, int lock, uint64_t at, uint64_t until);
void facts_tick(Facts *f, uint64_t now);
uint64_t facts_next_deadline(const Facts *f);
Tri facts_get(const Facts *f, FactKind kind, int index); /* unknown when nothing is wired */
