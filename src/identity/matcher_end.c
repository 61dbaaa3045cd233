/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/matcher_end.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void say(MatcherEnd *e, MatcherType type, void *body) {
        int r = matcher_wire_send(e->socket, type, body, NULL, 0, -1);

        if (r >= 0 || e->leaving)
                return;
        if (r != -EPIPE)
                log_error_errno(r, "Reader %s: cannot tell the daemon", e->setup.name);
        e->leaving = true;
}

void matcher_end_hello(MatcherEnd *e, unsigned abilities) {
        MatcherHello hello = {.abilities = abilities};

        snprintf(hello.kind, sizeof(hello.kind), "%s", e->kind);
        say(e, MATCHER_HELLO, &hello);
}

void matcher_end_prompt(MatcherEnd *e, MatcherPrompt prompt) {
        MatcherProgress m = {.header.attempt = e->attempt.number,
                             .prompt = prompt,
                             .taken = MIN(e->attempt.taken, e->attempt.of),
                             .of = e->attempt.of};

        say(e, MATCHER_PROGRESS, &m);
}

void matcher_end_health(MatcherEnd *e, MatcherProblem problem, const char *detail) {
        MatcherHealth m = {.problem = problem};

        snprintf(m.detail, sizeof(m.detail), "%s", detail);
        if (e->health_told && e->health.problem == problem && streq(e->health.detail, m.detail))
                return;
        e->health = m;
        e->health_told = true;
        say(e, MATCHER_HEALTH, &m);
}

/* --- what the daemon says --- */

static bool take_candidate(Attempt *a, const MatcherMessage *m) {
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

static bool take_task(MatcherEnd *e, const MatcherTask *t) {
        Attempt *a = &e->attempt;

        if (!e->ready || a->number || t->n_candidates != a->n_candidates ||
            (a->n_candidates && a->candidates_of != t->header.attempt))
                return false;
        a->number = t->header.attempt;
        a->task = (MatcherType)t->header.type;
        a->n_comparisons = MAX(MAX(t->n_comparisons, t->n_candidates), 1U);
        a->until = clock_now().boot_usec + t->timeout_ms * USEC_PER_MSEC;
        return true;
}

static bool take(MatcherEnd *e, const MatcherMessage *m,
                 bool (*set_up)(void *userdata, const MatcherMessage *m), void *userdata) {
        switch ((MatcherType)m->body.header.type) {
        case MATCHER_SETUP:
                if (e->ready || !streq(m->body.setup.kind, e->kind))
                        return false;
                e->setup = m->body.setup;
                return set_up(userdata, m);
        case MATCHER_DEVICE:
                return !e->ready && e->setup.kind[0] && e->passed >= 0 && set_up(userdata, m);
        case MATCHER_CANDIDATE:
                return take_candidate(&e->attempt, m);
        case MATCHER_ENROL:
        case MATCHER_VERIFY:
                return take_task(e, &m->body.task);
        case MATCHER_CANCEL:
                /* One that comes too late is about an attempt that has ended. */
                if (e->attempt.number == m->body.header.attempt)
                        e->attempt.cancelled = true;
                return true;
        case MATCHER_PING: {
                MatcherPlain pong = {.number = m->body.plain.number};
                say(e, MATCHER_PONG, &pong);
                return true;
        }
        case MATCHER_WATCH: /* nobody walks past a reader that is touched */
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

void matcher_end_receive(MatcherEnd *e, bool (*set_up)(void *userdata, const MatcherMessage *m),
                         void *userdata) {
        MatcherMessage m;
        int r;

        while (!e->leaving && (r = matcher_wire_receive(e->socket, true, e->buffer, &m, &e->passed)) != 0) {
                bool taken = r > 0 && take(e, &m, set_up, userdata);

                if (r > 0)
                        explicit_bzero(e->buffer, sizeof(m.body) + m.body.header.n_data);
                if (r > 0 && e->passed >= 0)
                        close(steal_fd(&e->passed));
                if (taken)
                        continue;
                if (r != -EPIPE)
                        log_error_errno(r < 0 ? r : -EPROTO, "Reader %s: message not understood",
                                        e->setup.name);
                e->leaving = true;
        }
}

/* --- an attempt --- */

bool problem_is_readers(int step) {
        switch (step) {
        case MATCHER_PROBLEM_MISSING:
        case MATCHER_PROBLEM_UNPLUGGED:
        case MATCHER_PROBLEM_SILENT:
        case MATCHER_PROBLEM_CORRUPT:
        case MATCHER_PROBLEM_CHATTER:
        case MATCHER_PROBLEM_PASSWORD:
        case MATCHER_PROBLEM_REFUSES:
        case MATCHER_PROBLEM_SEVERAL:
        case MATCHER_PROBLEM_UNSUITABLE:
        case MATCHER_PROBLEM_BUSY:
        case MATCHER_PROBLEM_HOT:
        case MATCHER_PROBLEM_MODEL_MISSING:
        case MATCHER_PROBLEM_MODEL_OTHER:
        case MATCHER_PROBLEM_MODEL_UNUSABLE:
        case MATCHER_PROBLEM_FAULT:
                return true;
        default: /* cancelled, late, the sample's, the template's */
                return false;
        }
}

int matcher_end_over(const MatcherEnd *e) {
        if (e->leaving)
                return STEP_LEAVING;
        if (e->attempt.cancelled)
                return STEP_CANCELLED;
        return clock_now().boot_usec >= e->attempt.until ? STEP_LATE : 0;
}

void matcher_end_forget(MatcherEnd *e) {
        Attempt *a = &e->attempt;

        for (unsigned i = 0; i < a->n_candidates; i++) {
                explicit_bzero(a->candidates[i].data, a->candidates[i].n);
                free(a->candidates[i].data);
        }
        *a = (Attempt){0};
}

void matcher_end_result(MatcherEnd *e, int step, MatcherResult r, const uint8_t *data, size_t n) {
        if (step) {
                bool cancelled = step == STEP_CANCELLED || step == STEP_LEAVING;
                r = (MatcherResult){.outcome = cancelled ? MATCHER_CANCELLED : MATCHER_FAILED,
                                    .problem = cancelled           ? MATCHER_PROBLEM_NONE
                                               : step == STEP_LATE ? MATCHER_PROBLEM_NO_SAMPLE
                                                                   : (uint32_t)step};
        }
        r.header.attempt = e->attempt.number;
        if (matcher_wire_send(e->socket, MATCHER_RESULT, &r, data, n, -1) < 0)
                e->leaving = true;
        matcher_end_forget(e);
}
