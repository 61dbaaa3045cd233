/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong entries and their price. */
#pragma once

#include "base/macros.h"
#include "core/lockout.h"
#include "people/people.h"

/* Before the claims made at a terminal of the street: who tries there must not lock the kiosk, nor the other
 * way round. */
#define CLAIMS_APART "apart-"

/* What a wrong entry costs one subject. */
typedef struct Charge {
        char subject[SUBJECT_MAX];
        LockoutRules rules;
        bool quiet; /* the answer does not tell that this one is locked now: nobody has named it */
} Charge;
/* The rule of D4, the pace and this entry's risk. */
void charge_init(const People *p, Charge *ret, uint64_t risk_usec, const char *format, ...) _printf_(4, 5);
/* The risk alone: all entries of a kind of credential at one terminal. */
void charge_init_total(Charge *ret, uint64_t risk_usec, const char *format, ...) _printf_(3, 4);
/* 0, or LOCKED_OUT with how long. */
int lockouts_check(People *p, const Charge *charges, size_t n, char detail[PEOPLE_DETAIL_MAX]);
/* Counts a wrong entry for each subject, in one transaction; detail says what is left. near: parcels that may
 * have been meant. why: what is known of it, for the ledger alone; NULL. */
int lockouts_wrong(People *p, const char *actor, const char *type, const char *why, const Charge *charges,
                   size_t n, const uint64_t *near, size_t n_near, char detail[PEOPLE_DETAIL_MAX]);
int lockouts_right(People *p, const Charge *charges, size_t n); /* in a transaction */
void lockouts_tick(People *p, const Now *now);
int lockouts_adopt(People *p);
