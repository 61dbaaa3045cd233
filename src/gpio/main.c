/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-gpio: the GPIO lines of this computer. Started by lockerd with its end of the socket pair as
 * descriptor 3. */
#include "gpio/worker.h"

#include <sys/time.h>

/* SIGALRM is left to its default, which is to die. */
void worker_guard(uint64_t at) {
        uint64_t now = worker_now(), left = !at ? 0 : at > now ? at - now : 1;
        struct itimerval timer = {
                .it_value = {(time_t)(left / USEC_PER_SEC), (suseconds_t)(left % USEC_PER_SEC)}};

        (void)setitimer(ITIMER_REAL, &timer, NULL);
}

int main(int argc, char *argv[]) {
        GpioWorker w = {.end.socket = WIRE_FD};

        worker_prepare();
        int r = worker_run(&w);
        worker_clear(&w);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
