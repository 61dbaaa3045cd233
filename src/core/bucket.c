/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bucket.h"

static uint64_t level_now(const Bucket *p, uint64_t now_boot) {
        uint64_t passed = now_boot > p->as_of ? now_boot - p->as_of : 0;

        return p->level > passed ? p->level - passed : 0;
}

uint64_t bucket_next(const Bucket *p, const BucketRules *rules, uint64_t now_boot) {
        uint64_t level = level_now(p, now_boot), room = (rules->burst - 1) * rules->each_usec;

        return level > room ? now_boot + level - room : now_boot;
}

bool bucket_take(Bucket *p, const BucketRules *rules, uint64_t now_boot) {
        if (bucket_next(p, rules, now_boot) > now_boot)
                return false;
        p->level = level_now(p, now_boot) + rules->each_usec;
        p->as_of = MAX(p->as_of, now_boot);
        return true;
}
