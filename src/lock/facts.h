/* SPDX-License-Identifier: Apache-2.0 */
/* What the inputs of the boards mean: which lock, position, slot or alarm hangs on which channel, and the
 * value last believed. Knows no event loop and no worker. */
#pragma once

#include "core/cabinet.h"
#include "lock/locks.h"
#include "lockwire/wire.h"

typedef struct Facts Facts;
typedef void (*FactsTell)(void *userdata, const Fact *fact, bool more);

int facts_new(Facts **ret, const Cabinet *cabinet);
Facts *facts_free(Facts *f);
DEFINE_CLEANUP(Facts *, facts_free);
/* Fills in which channels of a board mean something, and how they are debounced. */
void facts_describe(const Facts *f, int board, WireBoard *m);
/* A board's answer; tells what has changed, contact and latch of a lock next to each other. */
void facts_inputs(Facts *f, int board, const uint8_t bits[WIRE_CHANNELS / 8], uint64_t at, FactsTell tell,
                  void *userdata);
/* A board no longer answers or is not trusted: what it said is unknown now. */
void facts_lost(Facts *f, int board, uint64_t at, FactsTell tell, void *userdata);
Tri facts_get(const Facts *f, FactKind kind, int index); /* unknown when nothing is wired */
