/* SPDX-License-Identifier: Apache-2.0 */
#include "line/exchange.h"
#include "base/macros.h"
#include "lockwire/worker_end.h"

#include <errno.h>

#define HEAD 2 /* bytes that must be right before a piece counts as the beginning of an answer */

typedef struct Turn {
        Port *port;
        Asked asked;
        ExchangeWait wait;
        void *userdata;
        Exchange *x;
        uint64_t earliest; /* a byte before that cannot belong to the answer */
        uint64_t deadline;
        bool rested;               /* what has been read lay there for a gap */
        uint8_t bytes[ANSWER_MAX]; /* what has come, the rest of a drained line included as far as there is
                                      room */
        size_t n;
} Turn;

static uint64_t now(void) {
        return worker_now();
}

/* What is thrown away may say why. */
static void keep(Turn *t, const uint8_t *bytes, size_t n) {
        size_t kept = MIN(n, sizeof(t->bytes) - t->n);

        memcpy(t->bytes + t->n, bytes, kept);
        t->n += kept;
}

/* Reads away what comes until the line has been silent for the gap. 1: silent, 0: still noisy at `deadline`.
 */
static int wait_for_silence(Turn *t, uint64_t deadline) {
        Port *p = t->port;
        uint8_t bytes[ANSWER_MAX];

        for (;;) {
                uint64_t until = p->quiet_from + p->gap;
                int r = t->wait(t->userdata, p->fd, MIN(until, deadline));
                if (r < 0)
                        return r;
                if (r == 0)
                        return until <= deadline;
                int n = port_read(p, bytes, sizeof(bytes));
                if (n < 0)
                        return n;
                keep(t, bytes, (size_t)n);
                p->quiet_from = now();
                if (p->quiet_from > deadline)
                        return 0;
        }
}

/* A serial answer has come, though not as it should be: too long, damaged, with stray bytes in front, or only
 * its beginning. The board has nothing left to say to this question, and the next answer of this shape
 * belongs to the next question. Whole frames of somebody else say nothing about ours. */
static bool is_answered(const Turn *t) {
        const BoardDriver *driver = t->port->driver;
        const Request *q = &t->asked.request;
        size_t want = driver->answer_length(t->port->framing, q), n;
        const uint8_t *bytes = adapter_response(&t->port->adapter, &t->asked, t->bytes, t->n, &n);
        Answer a;

        if (t->port->framing != FRAMING_SERIAL || !want)
                return false;
        if (n < want)
                return n >= HEAD && driver->judge(t->port->framing, q, bytes, n, &a) == ANSWER_INCOMPLETE;
        return driver->judge(t->port->framing, q, bytes + n - want, want, &a) == ANSWER_GOOD ||
               !driver->is_whole(bytes, n);
}

static bool has_response(const Turn *t) {
        size_t n;

        (void)adapter_response(&t->port->adapter, &t->asked, t->bytes, t->n, &n);
        return n > 0;
}

/* Nothing of an exchange may be left for the next one. A foreign frame says that ours may still be on its
 * way. */
static void drain(Turn *t, bool foreign) {
        Port *p = t->port;
        int r = 0;

        while (foreign && (r = t->wait(t->userdata, p->fd, t->deadline)) > 0) {
                uint8_t bytes[ANSWER_MAX];
                r = port_read(p, bytes, sizeof(bytes));
                if (r < 0)
                        break;
                keep(t, bytes, (size_t)r);
                p->quiet_from = now();
                if (p->quiet_from >= t->deadline)
                        break;
        }
        if (r >= 0)
                r = wait_for_silence(t, MAX(t->deadline, now() + p->gap));
        t->x->outcome = r < 0 ? EXCHANGE_BROKEN : EXCHANGE_DAMAGED;
        t->x->answered = r >= 0 && is_answered(t);
        t->x->at = now();
}

/* Nothing had come for the request before, and now it has. */
static void look_for_late(Turn *t) {
        const Asked *former = &t->port->unanswered;
        Answer a;

        if (former->n == 0 || t->n == 0)
                return;
        Verdict v = adapter_judge(&t->port->adapter, former, t->bytes, t->n, &a);
        t->x->late = v == ANSWER_GOOD || v == ANSWER_EXCEPTION;
        t->x->late_unit = former->request.unit;
}

/* The gap that has passed since the last byte counts: after a good answer it has been waited for already. */
static int prepare(Turn *t) {
        Port *p = t->port;
        int r = port_flush(p, t->bytes, sizeof(t->bytes));

        if (r < 0)
                return r;
        t->n = MIN((size_t)r, sizeof(t->bytes));
        if (r > 0)
                p->quiet_from = now();
        r = wait_for_silence(t, now() + MAX(p->timeout, 2 * p->gap));
        if (r < 0)
                return r;
        look_for_late(t);
        t->n = 0;
        return r > 0 ? 0 : -EAGAIN;
}

/* Sleeps until the rest of the answer, which begins (or goes on) at `from`, is there and a gap has passed, if
 * the board does not pause. Whoever has something for the worker ends it. */
static void be_patient(Turn *t, uint64_t from) {
        Port *p = t->port;
        const Adapter *adapter = &p->adapter;
        size_t want = p->driver->answer_length(p->framing, &t->asked.request) + adapter->front +
                      adapter->back + (adapter->echo ? t->asked.n : 0);
        uint64_t until = from + (want > t->n ? want - t->n : 0) * p->char_usec + p->gap;

        t->rested = false;
        if (until >= t->deadline)
                return;
        (void)t->wait(t->userdata, -1, until);
        t->rested = now() >= until;
}

static void finish(Turn *t, Verdict v, const Answer *a) {
        Exchange *x = t->x;
        uint64_t silent_at = t->port->quiet_from + (t->rested ? 0 : t->port->gap);

        x->at = t->port->quiet_from;
        int r = t->wait(t->userdata, t->port->fd, silent_at);
        if (r > 0)
                return drain(t, false);
        if (r < 0) {
                x->outcome = EXCHANGE_BROKEN;
                return;
        }
        x->in_step = true;
        if (v == ANSWER_GOOD) {
                x->outcome = EXCHANGE_GOOD;
                x->n_data = a->n_data;
                if (a->n_data)
                        memcpy(x->data, a->data, a->n_data);
                return;
        }
        x->exception = a->exception;
        x->outcome = t->port->driver->is_silence(t->port->framing, a->exception) ? EXCHANGE_TIMEOUT
                                                                                 : EXCHANGE_EXCEPTION;
}

static void receive(Turn *t) {
        Port *p = t->port;
        Answer a;

        for (;;) {
                int r = t->wait(t->userdata, p->fd, t->deadline);
                if (r > 0)
                        r = port_read(p, t->bytes + t->n, sizeof(t->bytes) - t->n);
                else if (r == 0) {
                        t->x->outcome = has_response(t) ? EXCHANGE_DAMAGED : EXCHANGE_TIMEOUT;
                        t->x->answered = is_answered(t);
                        t->x->at = now();
                        return;
                }
                if (r < 0) {
                        t->x->outcome = EXCHANGE_BROKEN;
                        return;
                }
                if (t->n == 0 && !t->rested)
                        t->x->first_at = now();
                t->n += (size_t)r;
                p->quiet_from = now();
                if (p->quiet_from > t->deadline)
                        return drain(t, false);
                if (p->quiet_from < t->earliest && !p->adapter.echo) {
                        t->n = 0; /* says nothing about ours */
                        return drain(t, true);
                }

                Verdict v = adapter_judge(&p->adapter, &t->asked, t->bytes, t->n, &a);
                switch (v) {
                case ANSWER_GOOD:
                case ANSWER_EXCEPTION:
                        return finish(t, v, &a);
                case ANSWER_FOREIGN:
                        return drain(t, true);
                case ANSWER_DAMAGED:
                        return drain(t, false);
                case ANSWER_INCOMPLETE:
                        if (t->n == sizeof(t->bytes))
                                return drain(t, false);
                        t->rested = false;
                        break;
                }
        }
}

void exchange_run(Port *p, const Request *q, ExchangeLimits limits, ExchangeWait wait, void *userdata,
                  Exchange *ret) {
        Turn t = {.port = p, .wait = wait, .userdata = userdata, .x = ret};
        int r;

        asked_make(&t.asked, p->driver, p->framing, q);
        uint64_t on_wire = t.asked.n * p->char_usec;
        *ret = (Exchange){.outcome = EXCHANGE_BROKEN};
        r = prepare(&t);
        p->unanswered.n = 0;
        if (r == -EAGAIN || (r >= 0 && now() >= limits.send_before)) {
                ret->outcome = EXCHANGE_DAMAGED;
                ret->at = now();
                return;
        }
        if (r < 0)
                return;

        ret->sent = true;
        ret->sent_at = now();
        /* 5 % for a board whose clock is fast. */
        t.earliest = p->has_wire ? ret->sent_at + on_wire * 95 / 100 : 0;
        if (port_send(p, t.asked.bytes, t.asked.n) < 0)
                return;
        t.deadline = now() + on_wire + p->timeout;
        if (p->driver->extra_ms)
                t.deadline += p->driver->extra_ms(q) * USEC_PER_MSEC;
        if (limits.wait_at_most < USEC_INFINITY)
                t.deadline = MIN(t.deadline, ret->sent_at + limits.wait_at_most);
        p->quiet_from = now() + on_wire;
        if (limits.latency > 0)
                be_patient(&t, ret->sent_at + limits.latency);
        receive(&t);
        if (ret->outcome == EXCHANGE_BROKEN)
                ret->at = now();
        else if (ret->outcome == EXCHANGE_TIMEOUT && t.n == 0)
                p->unanswered = t.asked;
        else if (ret->outcome == EXCHANGE_DAMAGED || ret->outcome == EXCHANGE_TIMEOUT)
                ret->oddity = adapter_diagnose(&p->adapter, &t.asked, t.bytes, t.n, &ret->n_odd);
}
