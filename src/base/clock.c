/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <sys/timex.h>
#include <time.h>

static uint64_t timespec_usec(const struct timespec *ts) {
        return (uint64_t)ts->tv_sec * USEC_PER_SEC + (uint64_t)ts->tv_nsec / 1000;
}

Now clock_now(void) {
        struct timespec boot = {0}, wall = {0};
        struct timex tx = {0};

        (void)clock_gettime(CLOCK_BOOTTIME, &boot);
        (void)clock_gettime(CLOCK_REALTIME, &wall);
        return (Now){
                .boot_usec = timespec_usec(&boot),
                .wall_usec = (int64_t)timespec_usec(&wall),
                .synced = adjtimex(&tx) >= 0 && !(tx.status & STA_UNSYNC),
        };
}
