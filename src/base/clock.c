/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <sys/timex.h>
#include <time.h>

/* Reads within this count as simultaneous. */
#define CLOSE_USEC 20
#define TRIES      4

static uint64_t timespec_usec(const struct timespec *ts) {
        return (uint64_t)ts->tv_sec * USEC_PER_SEC + (uint64_t)ts->tv_nsec / 1000;
}

static uint64_t boot_now(void) {
        struct timespec ts = {0};

        (void)clock_gettime(CLOCK_BOOTTIME, &ts);
        return timespec_usec(&ts);
}

/* Both clocks at one moment: whoever is preempted between the two reads would see the calendar step. The
 * closest of some tries. */
static void read_both(uint64_t *ret_boot, int64_t *ret_wall) {
        uint64_t closest = UINT64_MAX;

        for (unsigned i = 0; i < TRIES && closest > CLOSE_USEC; i++) {
                struct timespec wall = {0};
                uint64_t before = boot_now();
                (void)clock_gettime(CLOCK_REALTIME, &wall);
                uint64_t behind = boot_now();
                if (behind - before < closest) {
                        closest = behind - before;
                        *ret_boot = behind;
                        *ret_wall = (int64_t)timespec_usec(&wall);
                }
        }
}

Now clock_now(void) {
        struct timex tx = {0};
        uint64_t boot = 0;
        int64_t wall = 0;

        read_both(&boot, &wall);
        return (Now){
                .boot_usec = boot,
                .wall_usec = wall,
                .synced = adjtimex(&tx) >= 0 && !(tx.status & STA_UNSYNC),
        };
}
