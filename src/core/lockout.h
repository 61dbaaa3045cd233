/* SPDX-License-Identifier: Apache-2.0 */
/* What wrong entries cost. A subject (a terminal, a claim, a person's credential, …) has
 *
 *  - the visible rule: after so many wrong entries in a row it must wait (D4). A right entry begins the count
 * anew;
 *  - its pace: a leaky bucket of wrong entries. A right entry takes nothing out of it, so that one's own
 * right code after each two guesses buys no more of them; who goes on waits longer and longer, in the end for
 * as long as the bucket takes to leak;
 *  - its risk: a leaky bucket of the probability that guesses had of being right, however many codes they
 * were compared with. What it lets through in a year is bounded by LOCKOUT_YEARLY, whoever succeeds or lifts
 * meanwhile.
 *
 * Both buckets are measured in the time that they take to leak: an entry adds what it costs, and a µs takes
 * out a µs. docs/guessing.md says what comes of it.
 *
 * Time is CLOCK_BOOTTIME; waits are stored as time remaining and buckets as their level, so that neither a
 * restart nor a change of the calendar clock shortens anything; time during which the machine was off does
 * not count. */
#pragma once

#include "base/clock.h"
#include "base/macros.h"

#define BOOT_ID_SIZE   16
#define LOCKOUT_NO_ROW UINT32_MAX /* attempts: no rule of so many in a row */
#define LOCKOUT_YEAR   (UINT64_C(31557600) * USEC_PER_SEC)
/* Of the yearly risk of 0.3 % nine tenths leak in the course of the year and one tenth is there at once. */
#define LOCKOUT_YEARLY   (0.003)
#define LOCKOUT_RISK_MAX (LOCKOUT_YEAR / 9)

typedef struct Lockout {
        unsigned failures; /* consecutive */
        bool locked;
        uint64_t until_boot;     /* boot µs, valid for boot_id only */
        uint64_t remaining_usec; /* as of the last time the row was stored */
        uint8_t boot_id[BOOT_ID_SIZE];
        uint64_t pace, risk;  /* µs until they are empty, as of leaked_boot */
        uint64_t leaked_boot; /* boot µs, valid for boot_id only */
} Lockout;

typedef struct LockoutRules {
        unsigned attempts; /* LOCKOUT_NO_ROW: none; the buckets alone count */
        uint64_t duration_usec;
        uint64_t pace_usec,
                pace_max; /* what an entry adds and what the bucket holds; pace_max 0: no such bucket */
        uint64_t risk_usec, risk_max; /* likewise, of this entry: lockout_risk() */
} LockoutRules;

/* The rule of D4 (so many in a row, so long), the pace that goes with it (in the long run a quarter of what
 * D4 alone would let through, and four times so many in a row at once) and the risk of this entry: for a
 * terminal's codes, a claim, a person's credential. */
LockoutRules lockout_rules(unsigned attempts, uint64_t duration_usec, uint64_t risk_usec);
/* The risk alone: for all credentials of a kind at one terminal. */
LockoutRules lockout_rules_total(uint64_t risk_usec);
/* What one courier lifts: five at once, and one more each two hours. */
LockoutRules lockout_rules_lifts(void);

/* What a guess costs that is compared with `right` of `space` equally likely values: µs. */
uint64_t lockout_risk(uint64_t right, uint64_t space);
/* 10^digits, as the space of a PIN; at most 10^18. */
uint64_t lockout_digits(size_t digits);

/* Brings a row read from the ledger into this boot: same boot id → until_boot stands, else it is now +
 * remaining; what has leaked since the row was stored is not known then, and nothing has. */
void lockout_adopt(Lockout *l, const uint8_t boot_id[BOOT_ID_SIZE], uint64_t now_boot);
bool lockout_is_locked(const Lockout *l, uint64_t now_boot);
uint64_t lockout_remaining(const Lockout *l, uint64_t now_boot); /* µs, 0 when not locked */
/* How long until an entry may be looked at: locked, or its cost does not fit; 0: now. */
uint64_t lockout_wait(const Lockout *l, const LockoutRules *rules, uint64_t now_boot);
/* One more wrong entry; true when this one locks. Not called while locked. */
bool lockout_fail(Lockout *l, const LockoutRules *rules, const uint8_t boot_id[BOOT_ID_SIZE],
                  uint64_t now_boot);
/* A right entry, or the wait is over: the visible count begins anew. The buckets stay as they are. */
void lockout_reset(Lockout *l);
/* Takes out of the pace what one more costs, without counting or locking; false: it does not fit yet. */
bool lockout_spend(Lockout *l, const LockoutRules *rules, const uint8_t boot_id[BOOT_ID_SIZE],
                   uint64_t now_boot);
/* A courier vouches for the person at the terminal: the wait ends and the pace begins anew; the risk stays.
 */
void lockout_lift(Lockout *l);
/* Nothing to remember any more. */
bool lockout_is_empty(const Lockout *l, uint64_t now_boot);
/* What to store now, so that a restart loses at most the time since this call. */
void lockout_refresh(Lockout *l, uint64_t now_boot);
