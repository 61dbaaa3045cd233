/* SPDX-License-Identifier: Apache-2.0 */
#include "gpio/worker.h"

#include <sys/time.h>

/* SIGALRM is left to its default, which is to die. */
void worker_guard(uint64_t at) {
        uint64_t now = worker_now(), left = !at ? 0 : at > now ? at - now : 1;
        struct itimerval timer = {
                .it_value = {(time_t)(left / USEC_PER_SEC), (suseconds_t)(left % USEC_PER_SEC)}};

        (void)setitimer(ITIMER_REAL, &timer, NULL);
}
