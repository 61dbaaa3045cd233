/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by a test: moves the calendar (CLOCK_REALTIME) by as many seconds as the file $CLOCKSHIM says,
 * now, and leaves every other clock alone. libfaketime cannot: it moves absolute timers of CLOCK_BOOTTIME
 * too, to before the machine's start. With $CLOCKSHIM_SYNCED the clock is a synchronised one, whatever the
 * machine's is. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *ret) {
        const char *path = getenv("CLOCKSHIM");
        long r = syscall(SYS_clock_gettime, clock, ret), seconds = 0;

        if (r == 0 && clock == CLOCK_REALTIME && path) {
                FILE *f = fopen(path, "re");
                if (f) {
                        if (fscanf(f, "%ld", &seconds) == 1)
                                ret->tv_sec += seconds;
                        fclose(f);
                }
        }
        return (int)r;
}

int adjtimex(struct timex *ret) {
        int r = (int)syscall(SYS_adjtimex, ret);

        if (getenv("CLOCKSHIM_SYNCED")) {
                ret->status &= ~STA_UNSYNC;
                return TIME_OK;
        }
        return r;
}
