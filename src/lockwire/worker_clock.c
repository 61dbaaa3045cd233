/* SPDX-License-Identifier: Apache-2.0 */
/* Time as the workers of lines see it; tests put one of their own in its place. */
#include "base/clock.h"
#include "lockwire/worker_end.h"

#include <errno.h>
#include <time.h>

uint64_t worker_now(void) {
        return clock_now().boot_usec;
}

int worker_poll(struct pollfd *fds, unsigned n, uint64_t until) {
        uint64_t now = worker_now(), left = until > now ? until - now : 0;
        struct timespec ts = {(time_t)(left / USEC_PER_SEC), (long)(left % USEC_PER_SEC * 1000)};

        int r = ppoll(fds, n, until == USEC_INFINITY ? NULL : &ts, NULL);
        return r < 0 ? -errno : r;
}
