/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pace.h"

static uint64_t level_now(const Pace *p, uint64_t now_boot) {
        uint64_t passed = now_boot > p->as_of ? now_boot - p->as_of : 0;

        return p->level > passed ? p->level - passed : 0;
}

uint64_t pace_next(const Pace *p, const PaceRules *rules, uint64_t now_boot) {
        uint64_t level = level_now(p, now_boot), room = (rules->burst - 1) * rules->each_usec;

        return level > room ? now_boot + level - room : now_boot;
}

bool pace_take(Pace *p, const PaceRules *rules, uint64_t now_boot) {
        if (pace_next(p, rules, now_boot) > now_boot)
                return false;
        p->level = level_now(p, now_boot) + rules->each_usec;
        p->as_of = MAX(p->as_of, now_boot);
        return true;
}
