/* SPDX-License-Identifier: Apache-2.0 */
/* Lockouts: after a number of consecutive failed attempts a subject (a terminal, a claim, a person's PIN)
 * is locked for a time. It is measured in CLOCK_BOOTTIME and stored as time remaining, so that neither a
 * restart nor a change of the calendar clock shortens it; time during which the machine was off does not
 * count. */
#pragma once

#include "base/clock.h"
#include "base/macros.h"

#define BOOT_ID_SIZE 16

typedef struct Lockout {
        unsigned failures; /* consecutive */
        bool locked;
        uint64_t until_boot;     /* boot µs, valid for boot_id only */
        uint64_t remaining_usec; /* as of the last time the row was stored */
        uint8_t boot_id[BOOT_ID_SIZE];
} Lockout;

typedef struct LockoutRules {
        unsigned attempts;
        uint64_t duration_usec;
} LockoutRules;

/* Converts a row from the ledger to this boot: same boot id → until_boot is valid, else it becomes now +
 * remaining. */
void lockout_adopt(Lockout *l, const uint8_t boot_id[BOOT_ID_SIZE], uint64_t now_boot);
bool lockout_is_locked(const Lockout *l, uint64_t now_boot);
uint64_t lockout_remaining(const Lockout *l, uint64_t now_boot); /* µs, 0 when not locked */
/* One more failed attempt; true when it starts a lockout. Not called while locked. */
bool lockout_fail(Lockout *l, const LockoutRules *rules, const uint8_t boot_id[BOOT_ID_SIZE],
                  uint64_t now_boot);
void lockout_reset(Lockout *l);
/* The row to store now, so that a restart loses at most the time since this call. */
void lockout_refresh(Lockout *l, uint64_t now_boot);
