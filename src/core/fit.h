/* SPDX-License-Identifier: Apache-2.0 */
/* Which position a deposit gets: the smallest that fits, decided by ledger and sensors together. Pure. */
#pragma once

#include "core/cabinet.h"
#include "core/door.h"
#include "core/refusal.h"

/* The facts about one position for the choice. */
typedef struct PositionFacts {
        bool in_service;   /* slot and position enabled and not quarantined */
        bool taken;        /* a live parcel holds it (ledger) */
        bool held;         /* the slot is held by another session or its door is not shut */
        bool board_online; /* the boards of its locks respond */
        bool tried;        /* this deposit has already tried it ("too small", "not empty", "does not open") */
        bool inner_unlocked; /* the position's own lock is not shut */
        Tri occupied;        /* presence sensor; TRI_UNKNOWN where there is none */
        bool has_presence;
        unsigned slot_load; /* live parcels in the same slot: fuller shared slots are filled first */
        uint64_t last_used; /* a counter, not a clock: among equals the longest unused one is chosen (wear) */
} PositionFacts;

typedef struct FitRequest {
        unsigned min_ordinal; /* size ordinal asked for */
        bool accessible;      /* only accessible slots */
        Temperature temperature;
        bool allow_larger; /* take a larger one when none of the size is free */
} FitRequest;

/* ret_position: index into cabinet->positions. NO_FREE_POSITION when none fits. When `request->accessible` is
 * not set, accessible slots are used last, so that they stay free for those who need them. */
Refusal fit_choose(const Cabinet *c, const PositionFacts *facts, const FitRequest *request,
                   int *ret_position);
/* May this position be offered as empty: ledger and sensors agree. */
bool fit_is_free(const PositionFacts *f);
