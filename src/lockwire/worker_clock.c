/* SPDX-License-Identifier: Apache-2.0 */
/* Time as the workers of lines see it; tests put one of their own in its place. */
#include "base/clock.h"
#include "base/worker.h"
#include "lockwire/worker_end.h"

#include <errno.h>
#include <time.h>

uint64_t worker_now(void) {
        return clock_now().boot_usec;
}

int worker_poll(struct pollfd *fds, unsigned n, uint64_t until) {
        for (;;) {
                uint64_t now = worker_now(), left = until > now ? until - now : 0,
                         most = MIN(left, WORKER_ALIVE_MS * USEC_PER_MSEC);
                struct timespec ts = {(time_t)(most / USEC_PER_SEC), (long)(most % USEC_PER_SEC * 1000)};

                worker_is_alive();
                int r = ppoll(fds, n, &ts, NULL);
                if (r != 0 || most == left)
                        return r < 0 ? -errno : r;
        }
}
