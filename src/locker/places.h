/* SPDX-License-Identifier: Apache-2.0 */
/* Places: where a parcel lies, and where one may be put. */
#pragma once

#include "core/fit.h"
#include "ledger/parcels.h"
#include "locker/locker.h"

void parcel_set_place(const Locker *l, ParcelRow *p, int position);
int parcel_place(const Locker *l, const ParcelRow *p, int *ret_slot,
                 int *ret_position); /* -ENOENT: not in this cabinet */
Refusal locker_choose_position(Locker *l, const Session *own, const FitRequest *fit, const uint8_t *tried,
                               int *ret_position);
/* Whether whoever comes with the parcel that it is reserved for may put it there. */
bool locker_reserved_is_free(Locker *l, const Session *own, int position);
int locker_quarantine(Locker *l, int position, const char *actor, const char *why);
/* The lid of another position with something in it stands open: whoever opens the door could reach it. */
bool lid_holds_back(Locker *l, int slot, int own_position, unsigned *ret_number);
