/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-fingerprint-usb: a fingerprint reader at USB. Its messages: identity/matcher_wire.h. What it
 * reaches is its unit's to say: libfprint opens what is plugged in, whenever that is, so that nothing can be
 * given up before. */
#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "fingerprint_usb/worker.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

#define KIND    "fingerprint"
#define PROBE   (10 * USEC_PER_SEC) /* is it still there? */
#define MISSING (3 * USEC_PER_SEC)  /* is it there now? */

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

static void stop_reader(Worker *w) {
        if (w->cancel)
                g_cancellable_cancel(w->cancel);
}

/* --- what the daemon says --- */

static bool take_setup(Worker *w, const MatcherSetup *s) {
        if (w->ready || !streq(s->kind, KIND) || s->baud)
                return false;
        w->setup = *s;
        w->ready = true;
        return true;
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
        a->candidates[a->n_candidates++] = (Candidate){copy, m->body.header.n_data};
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
        a->n_comparisons = t->n_comparisons;
        a->until = clock_now().boot_usec + t->timeout_ms * USEC_PER_MSEC;
        return true;
}

static bool take(Worker *w, const MatcherMessage *m) {
        switch ((MatcherType)m->body.header.type) {
        case MATCHER_SETUP:
                return take_setup(w, &m->body.setup);
        case MATCHER_CANDIDATE:
                return take_candidate(w, m);
        case MATCHER_ENROL:
        case MATCHER_VERIFY:
                return take_task(w, &m->body.task);
        case MATCHER_CANCEL:
                /* One that comes too late is about an attempt that has ended. */
                if (w->attempt.number == m->body.header.attempt) {
                        w->attempt.cancelled = true;
                        stop_reader(w);
                }
                return true;
        case MATCHER_PING: {
                MatcherPlain pong = {.number = m->body.plain.number};
                say(w, MATCHER_PONG, &pong);
                return true;
        }
        case MATCHER_DEVICE: /* of serial readers */
        case MATCHER_WATCH:  /* nobody walks past a fingerprint reader */
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

static gboolean hear(gint fd, GIOCondition condition, gpointer userdata) {
        Worker *w = userdata;
        MatcherMessage m;
        int r;

        while (!w->leaving && (r = matcher_wire_receive(w->socket, true, w->buffer, &m, NULL)) != 0) {
                bool taken = r > 0 && take(w, &m);

                if (r > 0)
                        explicit_bzero(w->buffer, sizeof(m.body) + m.body.header.n_data);
                if (taken)
                        continue;
                if (r != -EPIPE)
                        log_error_errno(r < 0 ? r : -EPROTO, "Reader %s: message not understood",
                                        w->setup.name);
                w->leaving = true;
        }
        if (w->leaving)
                stop_reader(w);
        return w->leaving ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* The loop turns; and the time of an attempt ends. */
static gboolean tick(gpointer userdata) {
        Worker *w = userdata;

        worker_is_alive();
        if (w->attempt.number && clock_now().boot_usec >= w->attempt.until)
                stop_reader(w);
        return G_SOURCE_CONTINUE;
}

void worker_run_until(const bool *done) {
        while (!*done)
                g_main_context_iteration(NULL, TRUE);
}

static void serve(Worker *w) {
        while (!w->leaving) {
                if (w->attempt.number) {
                        attempt_run(w);
                        w->probe_at = clock_now().boot_usec + (w->health.problem ? MISSING : PROBE);
                } else if (w->ready && clock_now().boot_usec >= w->probe_at)
                        w->probe_at = clock_now().boot_usec + (reader_look(w) ? MISSING : PROBE);
                else
                        g_main_context_iteration(NULL, TRUE);
        }
}

int main(int argc, char *argv[]) {
        static Worker w = {.socket = MATCHER_WIRE_FD};
        MatcherHello hello = {.kind = KIND, .abilities = MATCHER_ENROLS | MATCHER_VERIFIES};

        worker_begin(argc, argv);
        (void)signal(SIGPIPE, SIG_IGN);
        say(&w, MATCHER_HELLO, &hello);
        (void)g_unix_fd_add(w.socket, G_IO_IN | G_IO_HUP | G_IO_ERR, hear, &w);
        (void)g_timeout_add(WORKER_ALIVE_MS, tick, &w);
        serve(&w);
        attempt_forget(&w.attempt);
        return EXIT_SUCCESS;
}
