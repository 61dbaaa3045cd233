/* SPDX-License-Identifier: Apache-2.0 */
/* The one way for parcels to change. */
#pragma once

#include "ledger/parcels.h"
#include "locker/locker.h"

/* A lock that somebody has opened without having shown who they are. */
typedef struct Exposure {
        const char *why; /* NULL: not exposed */
        bool marked; /* what no sensor saw is unverified; what one saw is watched until the lock is shut */
        uint64_t over_at; /* boot µs; USEC_INFINITY while it is open */
} Exposure;

/* In a transaction: the parcel becomes `to`, with all that follows from it (times, validity, code, what is
 * remembered of before), and the event. -EINVAL: the life cycle has no such edge. The same state again:
 * nothing but what the row's other fields say. */
int parcel_write(Locker *l, ParcelRow *p, ParcelState to, const char *actor, const char *reason);
/* After the commit: log and listeners. */
void parcel_written(Locker *l, const ParcelRow *p, const char *reason);
/* All of it, in a transaction of its own. -ENOENT: it has ended. */
int parcel_becomes(Locker *l, uint64_t id, ParcelState to, const char *actor, const char *reason);
/* Somebody could reach in behind this lock without having shown who they are: what lies there is unverified,
 * unless a sensor says that it still does, as long as the lock is open. Tried again until the ledger takes
 * it. */
void parcels_exposed(Locker *l, int lock, const char *why);
/* What a sensor says is gone from behind this lock is unverified, until it is shut. */
void parcels_watched(Locker *l, int lock, const char *why);
void exposed_look(Locker *l, int slot); /* its sensors have changed */
void exposed_tick(Locker *l, const Now *now);
