/* SPDX-License-Identifier: Apache-2.0 */
/* Reminders, and the hours at which recipients use to come. Errors as in ledger.h. */
#pragma once

#include "core/reminder.h"
#include "ledger/ledger.h"
#include "ledger/parcels.h"

/* A row for each live parcel that has been stored; created and deleted automatically. Times are those
 * of the believed clock. */
typedef struct ReminderRow {
        uint64_t parcel;
        int64_t since;              /* 0: not looked at yet */
        bool synced;                /* was the clock, when `since` was written? */
        int64_t look;               /* INT64_MAX: never again */
        int64_t reminded, recalled; /* when that was sent; 0: not yet */
} ReminderRow;
/* The rows that are due, earliest first. */
int ledger_reminder_each(Ledger *l, unsigned limit, int (*each)(void *userdata, const ReminderRow *r),
                         void *userdata);
int ledger_reminder_put(Ledger *l, const ReminderRow *r); /* -ENOENT: the parcel has ended */
int ledger_reminder_look_again(Ledger *l);                /* makes all of them due at once */
int ledger_reminder_adopt(
        Ledger *l,
        int64_t now); /* rows of a former run that were never examined wait since they were stored */
int ledger_reminder_shift(
        Ledger *l, int64_t by); /* `since` of those that were written while the clock was not synchronised */

/* The habits of a parcel's recipient, by person or else by phone; zeroes when there are none. */
int ledger_habit_get(Ledger *l, const ParcelRow *p, uint8_t ret[HABIT_HOURS]);
int ledger_habit_count(Ledger *l, const ParcelRow *p, unsigned hour,
                       int64_t wall); /* recipients without both: nothing is counted */
int ledger_habit_forget(Ledger *l, int64_t before);
