/* SPDX-License-Identifier: Apache-2.0 */
/* How fast something may happen: a leaky bucket. So many at once, and in the long run one each `each_usec`.
 * Measured in the time that the bucket takes to leak; time is CLOCK_BOOTTIME. One of all zeroes is empty. */
#pragma once

#include "base/clock.h"
#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Bucket {
        uint64_t level, as_of; /* µs until it is empty, as of this boot µs */
} Bucket;

typedef struct BucketRules {
        unsigned burst;     /* at least 1 */
        uint64_t each_usec; /* at least 1 */
} BucketRules;

/* One more: true, and it counts; false: not yet. */
bool bucket_take(Bucket *p, const BucketRules *rules, uint64_t now_boot);
/* Boot µs from which on one more fits; at the earliest now. */
uint64_t bucket_next(const Bucket *p, const BucketRules *rules, uint64_t now_boot);
