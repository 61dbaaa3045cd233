/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/worker.h"

#include <sys/random.h>

/* The first wait is already spread over this many times BackoffMin=: when a broker restarts, all of its
 * cabinets lose it in the same instant, and none of them knows about the others. */
#define FIRST_SPREAD 16

uint64_t backoff_random(uint64_t n) {
        uint64_t v;

        if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != (ssize_t)sizeof(v))
                v = worker_now() * UINT64_C(6364136223846793005) >> 16;
        return n ? v % n : 0;
}

uint64_t backoff_delay(const MqttSetup *s, unsigned n) {
        uint64_t top = s->backoff_min_usec;

        for (unsigned i = 0; i < n && top < s->backoff_max_usec; i++)
                top *= 2;
        top = MIN(top * FIRST_SPREAD, s->backoff_max_usec);
        return s->backoff_min_usec + backoff_random(top - s->backoff_min_usec + 1);
}
