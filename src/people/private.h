/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. */
#pragma once

#include "base/text.h"
#include "core/mask.h"
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
        struct {
                ReminderRules rules;
                uint64_t at;       /* boot µs: look for what is due */
                unsigned followed; /* corrections of the calendar that were seen */
        } reminders;
        uint64_t history_at; /* boot µs: look for names that have been kept long enough */
        uint64_t unused_at;  /* boot µs: look for credentials that nobody uses */
};

/* --- history.c: names and phone numbers of ended parcels --- */
void history_tick(People *p, const Now *now);

/* --- credentials.c --- */
void credentials_tick(People *p, const Now *now); /* those that nobody uses end */
/* In a transaction, after credentials of this person have changed or gone: what waits for somebody who could
 * not open it gets a code. */
int codes_instead(People *p, uint64_t person, const char *actor);
/* In a transaction: what waits here for the phone of somebody who has just been enrolled is theirs. */
int parcels_adopt(People *p, const PersonRow *person);
/* In a transaction, likewise: says of what waits for this person what opens it now. */
int bindings_tell(People *p, uint64_t person, const char *actor);

static inline Now people_now(const People *p) {
        return p->records->now();
}
static inline int64_t people_wall(const People *p) {
        return records_moment(p->records).wall;
}

/* --- lockouts.c --- */
/* What a wrong entry costs one subject. */
typedef struct Charge {
        char subject[SUBJECT_MAX];
        LockoutRules rules;
} Charge;
/* The rule of D4, the pace and this entry's risk. */
void charge_init(const People *p, Charge *ret, uint64_t risk_usec, const char *format, ...) _printf_(4, 5);
/* The risk alone: all entries of a kind of credential at one terminal. */
void charge_init_total(Charge *ret, uint64_t risk_usec, const char *format, ...) _printf_(3, 4);
/* 0, or LOCKED_OUT with how long. */
int lockouts_check(People *p, const Charge *charges, size_t n, char detail[PEOPLE_DETAIL_MAX]);
/* Counts a wrong entry for each subject, in one transaction; detail says what is left. near: parcels that may
 * have been meant. */
int lockouts_wrong(People *p, const char *actor, const char *type, const Charge *charges, size_t n,
                   const uint64_t *near, size_t n_near, char detail[PEOPLE_DETAIL_MAX]);
int lockouts_right(People *p, const Charge *charges, size_t n); /* in a transaction */
void lockouts_tick(People *p, const Now *now);
int lockouts_adopt(People *p);

/* --- verification.c --- */
/* What a verifier said when it did not take a job: that there is no reader, or that it is in use, as a
 * refusal with detail; anything else as it is. */
int people_reader_refusal(int r, char detail[PEOPLE_DETAIL_MAX]);
/* What a reader said instead of an answer, as a refusal with its sentence; 0: it is no such result. */
int people_reader_said(IdentityResult result, const uint8_t *sentence, size_t n,
                       char detail[PEOPLE_DETAIL_MAX]);

/* --- verification.c, enrolment.c: for the end of the daemon --- */
void verifications_drop(People *p);
void enrolments_give_up(People *p);

/* --- reminders.c --- */
int reminders_begin(People *p);
int reminders_adopt(People *p); /* what was written before the start */
void reminders_tick(People *p, const Now *now);
uint64_t reminders_next_deadline(const People *p);
