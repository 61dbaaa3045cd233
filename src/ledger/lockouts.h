/* SPDX-License-Identifier: Apache-2.0 */
/* Lockouts: what wrong entries have cost. Errors as in ledger.h. */
#pragma once

#include "core/lockout.h"
#include "ledger/ledger.h"

typedef struct LockoutRow {
        char subject[SUBJECT_MAX];
        Lockout lockout;
} LockoutRow;
int ledger_lockout_get(Ledger *l, const char *subject, LockoutRow *ret); /* absent: zeroes */
int ledger_lockout_put(Ledger *l, const LockoutRow *row);                /* nothing in it: the row goes */
/* Parcels that the wrong entries at this subject were about. */
int ledger_lockout_concern(Ledger *l, const char *subject, uint64_t parcel);
int ledger_lockout_concerned(Ledger *l, const char *subject, int (*each)(void *userdata, uint64_t parcel),
                             void *userdata);
int ledger_lockout_unconcern(Ledger *l, const char *subject);
int ledger_lockout_each(Ledger *l, int (*each)(void *userdata, const LockoutRow *r), void *userdata);
