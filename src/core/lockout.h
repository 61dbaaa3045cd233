/* SPDX-License-Identifier: Apache-2.0 */
/* Lockouts: after so many wrong entries in a row a subject (a terminal, a claim, a person's PIN) must wait.
 * The wait is measured in CLOCK_BOOTTIME and stored as time remaining, so that neither a restart nor a change
 * of the calendar clock shortens it; time during which the machine was off does not count. */
#pragma once

#include "base/clock.h"
#include "base/macros.h"

#define BOOT_ID_SIZE 16

typedef struct Lockout {
        unsigned failures; /* in a row */
        bool locked;
        uint64_t until_boot;     /* boot µs, valid for boot_id only */
        uint64_t remaining_usec; /* as of the last time the row was stored */
        uint8_t boot_id[BOOT_ID_SIZE];
} Lockout;

typedef struct LockoutRules {
        unsigned attempts;
        uint64_t duration_usec;
} LockoutRules;

/* Brings a row read from the ledger into this boot: same boot id → until_boot stands, else it is now +
 * remaining. */
void lockout_adopt(Lockout *l, const uint8_t boot_id[BOOT_ID_SIZE], uint64_t now_boot);
bool lockout_is_locked(const Lockout *l, uint64_t now_boot);
uint64_t lockout_remaining(const Lockout *l, uint64_t now_boot); /* µs, 0 when not locked */
/* One more wrong entry; true when this one locks. Not called while locked. */
bool lockout_fail(Lockout *l, const LockoutRules *rules, const uint8_t boot_id[BOOT_ID_SIZE],
                  uint64_t now_boot);
void lockout_reset(Lockout *l);
/* What to store now, so that a restart loses at most the time since this call. */
void lockout_refresh(Lockout *l, uint64_t now_boot);
