/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lockout.h"

static uint64_t later(uint64_t when, uint64_t by) {
        return when > USEC_INFINITY - by ? USEC_INFINITY : when + by;
}

void lockout_adopt(Lockout *l, const uint8_t boot_id[BOOT_ID_SIZE], uint64_t now_boot) {
        if (memcmp(l->boot_id, boot_id, BOOT_ID_SIZE) == 0)
                return;
        /* The boot clock restarted at zero: the remaining time is that of the stored row. */
        memcpy(l->boot_id, boot_id, BOOT_ID_SIZE);
        l->until_boot = l->locked ? later(now_boot, l->remaining_usec) : 0;
}

bool lockout_is_locked(const Lockout *l, uint64_t now_boot) {
        return lockout_remaining(l, now_boot) > 0;
}

uint64_t lockout_remaining(const Lockout *l, uint64_t now_boot) {
        return l->locked && l->until_boot > now_boot ? l->until_boot - now_boot : 0;
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
        if (l->failures < UINT32_MAX)
                l->failures++;
        if (l->failures < rules->attempts)
                return false;
        l->locked = true;
        l->until_boot = later(now_boot, rules->duration_usec);
        l->remaining_usec = lockout_remaining(l, now_boot);
        return true;
}

void lockout_reset(Lockout *l) {
        l->failures = 0;
        l->locked = false;
        l->until_boot = 0;
        l->remaining_usec = 0;
}

void lockout_refresh(Lockout *l, uint64_t now_boot) {
        l->remaining_usec = lockout_remaining(l, now_boot);
}
