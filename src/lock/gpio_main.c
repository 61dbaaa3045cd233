/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-gpio: the GPIO lines of this computer. Started by lockerd with its end of the socket pair as
 * descriptor 3. */
#include "lock/gpio_worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
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

/* SIGALRM is left to its default, which is to die. */
void worker_guard(uint64_t at) {
        uint64_t now = worker_now(), left = !at ? 0 : at > now ? at - now : 1;
        struct itimerval timer = {
                .it_value = {(time_t)(left / USEC_PER_SEC), (suseconds_t)(left % USEC_PER_SEC)}};

        (void)setitimer(ITIMER_REAL, &timer, NULL);
}

int main(int argc, char *argv[]) {
        GpioWorker w = {.socket = WIRE_FD};

        log_open();
        /* The end comes as end of file, after which there is still something to switch off: a stopping
         * service manager's signal to the whole group must not prevent that. */
        (void)signal(SIGTERM, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);

        int r = worker_run(&w);
        worker_clear(&w);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
