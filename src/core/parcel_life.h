/* SPDX-License-Identifier: Apache-2.0 */
/* The life cycle of a parcel as a table: which state may follow which, and what it means for position and
 * code. Drawn in docs/architecture.md; a test walks every edge and tries every non-edge. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>

typedef enum ParcelState {
        PARCEL_ANNOUNCED,  /* the backend expects it; no position */
        PARCEL_RESERVED,   /* a position is reserved for it */
        PARCEL_DEPOSITING, /* the door was opened for the courier */
        PARCEL_STORED,     /* in its position, locked */
        PARCEL_COLLECTING, /* the door was opened for the recipient */
        PARCEL_REJECTED,   /* put back by the recipient, waits for a courier */
        PARCEL_RECALLED,   /* the operator wants it back, waits for a courier */
        PARCEL_UNVERIFIED, /* an interrupted step whose outcome the sensors could not determine; keeps its
                              position */
        PARCEL_COLLECTED,  /* final: the recipient has it */
        PARCEL_RETURNED,   /* final: a courier took it out */
        PARCEL_CANCELLED,  /* final: never deposited, or the deposit was undone */
        PARCEL_STATE_MAX,
} ParcelState;

/* What the person at the open door has decided. */
typedef enum ParcelChoice {
        CHOICE_NONE,
        CHOICE_ACCEPT,
        CHOICE_REJECT,
        CHOICE_CANCEL,
        CHOICE_MAX
} ParcelChoice;

const char *parcel_choice_to_string(ParcelChoice c);             /* "accept" …; NULL for CHOICE_NONE */
int parcel_choice_from_string(const char *s, ParcelChoice *ret); /* NULL: CHOICE_NONE; -EINVAL */

const char *parcel_state_to_string(ParcelState s);             /* "announced" … */
int parcel_state_from_string(const char *s, ParcelState *ret); /* -EINVAL */

bool parcel_may_become(ParcelState from, ParcelState to);
bool parcel_may_begin(ParcelState s);      /* announced, reserved, depositing */
bool parcel_is_final(ParcelState s);       /* collected, returned, cancelled */
bool parcel_holds_position(ParcelState s); /* reserved … unverified: a position is taken */
bool parcel_is_collectable(ParcelState s); /* its code or its recipient can open it: stored, unverified */
/* An item may physically be in the position. */
bool parcel_may_be_inside(ParcelState s);
