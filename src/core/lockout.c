/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lockout.h"

#define PACE_SLOWER 4
#define PACE_BURST  4
#define LIFTS_BURST 5
#define LIFT_USEC   (7200 * USEC_PER_SEC)

static uint64_t later(uint64_t when, uint64_t by) {
        return when > USEC_INFINITY - by ? USEC_INFINITY : when + by;
}

static uint64_t less(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

static uint64_t times(uint64_t a, uint64_t n) {
        return n && a > USEC_INFINITY / n ? USEC_INFINITY : a * n;
}

/* What a bucket holds now. */
static uint64_t level(uint64_t was, const Lockout *l, uint64_t now_boot) {
        return less(was, less(now_boot, l->leaked_boot));
}

static void leak(Lockout *l, uint64_t now_boot) {
        l->pace = level(l->pace, l, now_boot);
        l->risk = level(l->risk, l, now_boot);
        l->leaked_boot = now_boot;
}

/* Until `entries` more of this cost fit; more than the bucket holds fits when it is empty. */
static uint64_t until_it_fits(uint64_t in_it, uint64_t cost, unsigned entries, uint64_t max) {
        if (!max)
                return 0;
        return less(in_it, less(max, times(cost, entries)));
}

LockoutRules lockout_rules(unsigned attempts, uint64_t duration_usec, uint64_t risk_usec) {
        uint64_t pace = PACE_SLOWER * duration_usec / attempts;

        return (LockoutRules){.attempts = attempts,
                              .duration_usec = duration_usec,
                              .pace_usec = pace,
                              .pace_max = PACE_BURST * attempts * pace,
                              .risk_usec = risk_usec,
                              .risk_max = LOCKOUT_RISK_MAX};
}

LockoutRules lockout_rules_total(uint64_t risk_usec) {
        return (LockoutRules){
                .attempts = LOCKOUT_NO_ROW, .risk_usec = risk_usec, .risk_max = LOCKOUT_RISK_MAX};
}

LockoutRules lockout_rules_lifts(void) {
        return (LockoutRules){
                .attempts = LOCKOUT_NO_ROW, .pace_usec = LIFT_USEC, .pace_max = LIFTS_BURST * LIFT_USEC};
}

uint64_t lockout_risk(uint64_t right, uint64_t space) {
        /* A year's leak of the bucket is nine tenths of the yearly risk. */
        double usec = (double)LOCKOUT_YEAR * (double)right / (double)space / (0.9 * LOCKOUT_YEARLY);

        return usec >= 9e18 ? UINT64_C(9000000000000000000) : (uint64_t)usec + 1;
}

uint64_t lockout_digits(size_t digits) {
        uint64_t n = 1;

        for (size_t i = 0; i < digits && i < 18; i++)
                n *= 10;
        return n;
}

void lockout_adopt(Lockout *l, const uint8_t boot_id[BOOT_ID_SIZE], uint64_t now_boot) {
        if (memcmp(l->boot_id, boot_id, BOOT_ID_SIZE) == 0)
                return;
        /* The boot clock restarted at zero: the remaining time is that of the stored row. */
        memcpy(l->boot_id, boot_id, BOOT_ID_SIZE);
        l->until_boot = l->locked ? later(now_boot, l->remaining_usec) : 0;
        l->leaked_boot = now_boot;
}

bool lockout_is_locked(const Lockout *l, uint64_t now_boot) {
        return lockout_remaining(l, now_boot) > 0;
}

uint64_t lockout_remaining(const Lockout *l, uint64_t now_boot) {
        return l->locked && l->until_boot > now_boot ? l->until_boot - now_boot : 0;
}

static uint64_t budget_wait(const Lockout *l, const LockoutRules *rules, unsigned entries,
                            uint64_t now_boot) {
        return MAX(until_it_fits(level(l->pace, l, now_boot), rules->pace_usec, entries, rules->pace_max),
                   until_it_fits(level(l->risk, l, now_boot), rules->risk_usec, entries, rules->risk_max));
}

uint64_t lockout_wait(const Lockout *l, const LockoutRules *rules, uint64_t now_boot) {
        return MAX(lockout_remaining(l, now_boot), budget_wait(l, rules, 1, now_boot));
}

bool lockout_fail(Lockout *l, const LockoutRules *rules, const uint8_t boot_id[BOOT_ID_SIZE],
                  uint64_t now_boot) {
        /* Must not happen; if it does, a failed attempt neither prolongs the lockout nor counts after it.
         */
        if (lockout_is_locked(l, now_boot))
                return false;
        /* The lockout has ended: the count restarts. */
        if (l->locked)
                lockout_reset(l);

        memcpy(l->boot_id, boot_id, BOOT_ID_SIZE);
        leak(l, now_boot);
        l->pace = later(l->pace, rules->pace_max ? rules->pace_usec : 0);
        l->risk = later(l->risk, rules->risk_max ? rules->risk_usec : 0);
        if (l->failures < UINT32_MAX)
                l->failures++;
        bool in_a_row = rules->attempts != LOCKOUT_NO_ROW && l->failures >= rules->attempts;
        /* After the wait there are as many tries as the rule gives, or the one that there is room for. */
        unsigned tries = in_a_row ? MAX(rules->attempts, 1) : 1;
        uint64_t wait = budget_wait(l, rules, tries, now_boot);
        if (!in_a_row && !wait)
                return false;
        l->locked = true;
        l->until_boot =
                later(now_boot, rules->attempts == LOCKOUT_NO_ROW ? wait : MAX(wait, rules->duration_usec));
        l->remaining_usec = lockout_remaining(l, now_boot);
        return true;
}

void lockout_reset(Lockout *l) {
        l->failures = 0;
        l->locked = false;
        l->until_boot = 0;
        l->remaining_usec = 0;
}

bool lockout_spend(Lockout *l, const LockoutRules *rules, const uint8_t boot_id[BOOT_ID_SIZE],
                   uint64_t now_boot) {
        if (lockout_wait(l, rules, now_boot))
                return false;
        memcpy(l->boot_id, boot_id, BOOT_ID_SIZE);
        leak(l, now_boot);
        l->pace = later(l->pace, rules->pace_usec);
        return true;
}

void lockout_lift(Lockout *l) {
        lockout_reset(l);
        l->pace = 0;
}

bool lockout_is_empty(const Lockout *l, uint64_t now_boot) {
        return !l->failures && !l->locked && !level(l->pace, l, now_boot) && !level(l->risk, l, now_boot);
}

void lockout_refresh(Lockout *l, uint64_t now_boot) {
        l->remaining_usec = lockout_remaining(l, now_boot);
        leak(l, now_boot);
}
