/* SPDX-License-Identifier: Apache-2.0 */
/* What doors and lids were when they were last seen. Errors as in ledger.h. */
#pragma once

#include "core/door.h"
#include "ledger/ledger.h"

/* position 0: the slot's door. DOOR_SEEN_NEVER: nothing is known of it any more. */
int ledger_door_set(Ledger *l, const char *slot, unsigned position, DoorSeen seen);
int ledger_door_each(Ledger *l,
                     int (*each)(void *userdata, const char *slot, unsigned position, DoorSeen seen),
                     void *userdata);
