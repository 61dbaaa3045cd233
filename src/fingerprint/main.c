/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-fingerprint: a fingerprint module at a serial device. Its messages: identity/matcher_wire.h. */
#include "base/clock.h"
#include "base/confine.h"
#include "base/log.h"
#include "base/worker.h"
#include "fingerprint/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#define PROBE           (10 * USEC_PER_SEC) /* is it still there? */
#define REOPEN_FIRST    (500 * USEC_PER_MSEC)
#define REOPEN_MAX      (8 * USEC_PER_SEC)
#define MEMORY_MAX      (16 * 1024 * 1024)
#define DESCRIPTORS_MAX 16

static bool set_up(void *userdata, const MatcherMessage *m) {
        static const char *const calls[] = {"fcntl", "fcntl64", "flock", "ioctl", NULL};
        static const Confinement confinement = {
                .calls = calls, .memory = MEMORY_MAX, .descriptors = DESCRIPTORS_MAX};
        Worker *w = userdata;

        if (m->body.header.type == MATCHER_SETUP)
                return w->end.setup.baud >= 1200 && w->end.setup.baud <= 1000000;
        w->opener = steal_fd(&w->end.passed);
        w->end.ready = confine(&confinement) >= 0;
        return w->end.ready;
}

int worker_wait(Worker *w, int fd, uint64_t until) {
        for (;;) {
                struct pollfd fds[] = {{.fd = w->deaf ? -1 : w->end.socket, .events = POLLIN},
                                       {.fd = fd, .events = POLLIN}};
                uint64_t now = clock_now().boot_usec, left = until > now ? until - now : 0;
                uint64_t most = MIN(left, WORKER_ALIVE_MS * USEC_PER_MSEC);
                struct timespec ts = {(time_t)(most / USEC_PER_SEC), (long)(most % USEC_PER_SEC * 1000)};

                worker_is_alive();
                int r = ppoll(fds, 2, &ts, NULL);
                if (r < 0 && errno != EINTR) {
                        w->end.leaving = true;
                        return STEP_LEAVING;
                }
                if (r > 0 && fds[0].revents)
                        matcher_end_receive(&w->end, set_up, w);
                if (w->end.leaving && !w->deaf)
                        return STEP_LEAVING;
                if (r > 0 && fds[1].revents)
                        return 1;
                if ((r == 0 && most == left) || (r > 0 && (fd < 0 || w->idle)))
                        return 0;
        }
}

/* --- between attempts --- */

static void look_after(Worker *w) {
        int step = w->module.fd < 0 ? module_ready(w) : module_probe(w);

        if (step > 0) {
                matcher_end_health(&w->end, (MatcherProblem)step, "");
                w->backoff = w->backoff ? MIN(2 * w->backoff, REOPEN_MAX) : REOPEN_FIRST;
                w->probe_at = clock_now().boot_usec + w->backoff;
                return;
        }
        w->backoff = 0;
        w->probe_at = clock_now().boot_usec + PROBE;
}

/* Nobody has asked it for anything. */
static void hear_device(Worker *w) {
        int step = port_quiet(w, 0);

        if (step <= 0)
                return;
        port_close(w);
        matcher_end_health(&w->end, (MatcherProblem)step, "");
        w->probe_at = clock_now().boot_usec + REOPEN_FIRST;
}

static void wait_for_work(Worker *w) {
        w->idle = true;
        int r = worker_wait(w, w->module.fd, w->end.ready ? w->probe_at : USEC_INFINITY);
        w->idle = false;
        if (r > 0)
                hear_device(w);
}

static void serve(Worker *w) {
        while (!w->end.leaving) {
                if (w->end.attempt.number) {
                        attempt_run(w);
                        w->probe_at = clock_now().boot_usec + (w->module.fd < 0 ? REOPEN_FIRST : PROBE);
                } else if (w->end.ready && clock_now().boot_usec >= w->probe_at)
                        look_after(w);
                else
                        wait_for_work(w);
        }
}

int main(int argc, char *argv[]) {
        static Worker w = {.end = MATCHER_END("fingerprint"), .opener = -1, .module.fd = -1};

        worker_begin(argc, argv);
        (void)signal(SIGPIPE, SIG_IGN);
        matcher_end_hello(&w.end, MATCHER_ENROLS | MATCHER_VERIFIES);
        serve(&w);
        matcher_end_forget(&w.end);
        return EXIT_SUCCESS;
}
