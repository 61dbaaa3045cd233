/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept in memory of people; inside of people.h. */
#pragma once

#include "core/bucket.h"
#include "core/reminder.h"
#include "people/people.h"

typedef struct Enrolling Enrolling;

struct People {
        Records *records;
        Ledger *ledger; /* the records' */
        const Settings *settings;
        Identity *identity;
        uint8_t boot_id[16];
        void (*revoked)(void *userdata, uint64_t person);
        void *userdata;

        Enrolling *enrolling;        /* waiting for their evidence to be processed */
        Verification *verifications; /* likewise */
        uint64_t lockouts_at;        /* boot µs */
        Bucket refused; /* right codes that do not open: rows that cost the one who tries nothing */
        struct {
                ReminderRules rules;
                uint64_t at;       /* boot µs: look for what is due */
                unsigned followed; /* corrections of the calendar that were seen */
        } reminders;
        uint64_t history_at; /* boot µs: look for names that have been kept long enough */
        uint64_t unused_at;  /* boot µs: look for credentials that nobody uses */
};

static inline Now people_now(const People *p) {
        return p->records->now();
}
static inline int64_t people_wall(const People *p) {
        return records_moment(p->records).wall;
}
