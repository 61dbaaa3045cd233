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

#define KIND            "fingerprint"
#define PROBE           (10 * USEC_PER_SEC) /* is it still there? */
#define REOPEN_FIRST    (500 * USEC_PER_MSEC)
#define REOPEN_MAX      (8 * USEC_PER_SEC)
#define MEMORY_MAX      (16 * 1024 * 1024)
#define DESCRIPTORS_MAX 16

static void say(Worker *w, MatcherType type, void *body) {
        int r = matcher_wire_send(w->socket, type, body, NULL, 0, -1);

        if (r >= 0 || w->leaving)
                return;
        if (r != -EPIPE)
                log_error_errno(r, "Reader %s: cannot tell the daemon", w->setup.name);
        w->leaving = true;
}

void worker_prompt(Worker *w, MatcherPrompt prompt) {
        MatcherProgress m = {.header.attempt = w->attempt.number, .prompt = prompt};

        say(w, MATCHER_PROGRESS, &m);
}

void worker_health(Worker *w, MatcherProblem problem, const char *detail) {
        MatcherHealth m = {.problem = problem};

        snprintf(m.detail, sizeof(m.detail), "%s", detail);
        if (w->health_told && w->health.problem == problem && streq(w->health.detail, m.detail))
                return;
        w->health = m;
        w->health_told = true;
        say(w, MATCHER_HEALTH, &m);
}

/* --- what the daemon says --- */

static bool take_setup(Worker *w, const MatcherSetup *s) {
        if (w->ready || !streq(s->kind, KIND) || s->baud < 1200 || s->baud > 1000000)
                return false;
        w->setup = *s;
        return true;
}

static bool take_device(Worker *w) {
        static const char *const calls[] = {"fcntl", "fcntl64", "flock", "ioctl", NULL};
        static const Confinement confinement = {
                .calls = calls, .memory = MEMORY_MAX, .descriptors = DESCRIPTORS_MAX};

        if (w->ready || !w->setup.baud || w->passed < 0)
                return false;
        w->opener = steal_fd(&w->passed);
        w->ready = confine(&confinement) >= 0;
        return w->ready;
}

static bool take_candidate(Worker *w, const MatcherMessage *m) {
        Attempt *a = &w->attempt;

        if (a->number || a->n_candidates >= MATCHER_CLAIMED_MAX ||
            m->body.candidate.number != a->n_candidates + 1 ||
            (a->n_candidates && a->candidates_of != m->body.header.attempt))
                return false;
        uint8_t *copy = malloc(m->body.header.n_data);
        if (!copy)
                return false;
        memcpy(copy, m->data, m->body.header.n_data);
        a->candidates[a->n_candidates++] = (Candidate){copy, m->body.header.n_data, false};
        a->candidates_of = m->body.header.attempt;
        return true;
}

static bool take_task(Worker *w, const MatcherTask *t) {
        Attempt *a = &w->attempt;

        if (!w->ready || a->number || t->n_candidates != a->n_candidates ||
            (a->n_candidates && a->candidates_of != t->header.attempt))
                return false;
        a->number = t->header.attempt;
        a->task = (MatcherType)t->header.type;
        a->n_comparisons = MAX(MAX(t->n_comparisons, t->n_candidates), 1U);
        a->until = clock_now().boot_usec + t->timeout_ms * USEC_PER_MSEC;
        return true;
}

static bool take(Worker *w, const MatcherMessage *m) {
        switch ((MatcherType)m->body.header.type) {
        case MATCHER_SETUP:
                return take_setup(w, &m->body.setup);
        case MATCHER_DEVICE:
                return take_device(w);
        case MATCHER_CANDIDATE:
                return take_candidate(w, m);
        case MATCHER_ENROL:
        case MATCHER_VERIFY:
                return take_task(w, &m->body.task);
        case MATCHER_CANCEL:
                /* One that comes too late is about an attempt that has ended. */
                if (w->attempt.number == m->body.header.attempt)
                        w->attempt.cancelled = true;
                return true;
        case MATCHER_PING: {
                MatcherPlain pong = {.number = m->body.plain.number};
                say(w, MATCHER_PONG, &pong);
                return true;
        }
        case MATCHER_WATCH: /* nobody walks past a fingerprint reader */
        case MATCHER_HELLO:
        case MATCHER_HEALTH:
        case MATCHER_PROGRESS:
        case MATCHER_RESULT:
        case MATCHER_PONG:
        case MATCHER_TYPE_MAX:
                break;
        }
        return false;
}

static void hear(Worker *w) {
        MatcherMessage m;
        int r;

        while (!w->leaving && (r = matcher_wire_receive(w->socket, true, w->buffer, &m, &w->passed)) != 0) {
                bool taken = r > 0 && take(w, &m);

                if (r > 0)
                        explicit_bzero(w->buffer, sizeof(m.body) + m.body.header.n_data);
                if (r > 0 && w->passed >= 0)
                        close(steal_fd(&w->passed));
                if (taken)
                        continue;
                if (r != -EPIPE)
                        log_error_errno(r < 0 ? r : -EPROTO, "Reader %s: message not understood",
                                        w->setup.name);
                w->leaving = true;
        }
}

int worker_wait(Worker *w, int fd, uint64_t until) {
        for (;;) {
                struct pollfd fds[] = {{.fd = w->deaf ? -1 : w->socket, .events = POLLIN},
                                       {.fd = fd, .events = POLLIN}};
                uint64_t now = clock_now().boot_usec, left = until > now ? until - now : 0;
                uint64_t most = MIN(left, WORKER_ALIVE_MS * USEC_PER_MSEC);
                struct timespec ts = {(time_t)(most / USEC_PER_SEC), (long)(most % USEC_PER_SEC * 1000)};

                worker_is_alive();
                int r = ppoll(fds, 2, &ts, NULL);
                if (r < 0 && errno != EINTR) {
                        w->leaving = true;
                        return STEP_LEAVING;
                }
                if (r > 0 && fds[0].revents)
                        hear(w);
                if (w->leaving && !w->deaf)
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
                worker_health(w, (MatcherProblem)step, "");
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
        worker_health(w, (MatcherProblem)step, "");
        w->probe_at = clock_now().boot_usec + REOPEN_FIRST;
}

static void wait_for_work(Worker *w) {
        w->idle = true;
        int r = worker_wait(w, w->module.fd, w->ready ? w->probe_at : USEC_INFINITY);
        w->idle = false;
        if (r > 0)
                hear_device(w);
}

static void serve(Worker *w) {
        while (!w->leaving) {
                if (w->attempt.number) {
                        attempt_run(w);
                        w->probe_at = clock_now().boot_usec + (w->module.fd < 0 ? REOPEN_FIRST : PROBE);
                } else if (w->ready && clock_now().boot_usec >= w->probe_at)
                        look_after(w);
                else
                        wait_for_work(w);
        }
}

int main(int argc, char *argv[]) {
        static Worker w = {.socket = MATCHER_WIRE_FD, .opener = -1, .passed = -1, .module.fd = -1};
        MatcherHello hello = {.kind = KIND, .abilities = MATCHER_ENROLS | MATCHER_VERIFIES};

        worker_begin(argc, argv);
        (void)signal(SIGPIPE, SIG_IGN);
        say(&w, MATCHER_HELLO, &hello);
        serve(&w);
        attempt_forget(&w.attempt);
        return EXIT_SUCCESS;
}
