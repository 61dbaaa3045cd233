/* SPDX-License-Identifier: Apache-2.0 */
#include "line/worker.h"

#include <stdarg.h>
#include <stdio.h>

#define BACKOFF_FIRST    (250 * USEC_PER_MSEC)
#define BACKOFF_MAX      (8 * USEC_PER_SEC)
#define BACKOFF_OFF_OWED (500 * USEC_PER_MSEC)
#define DISTRUST_FIRST   (5 * USEC_PER_SEC)
#define DISTRUST_MAX     (60 * USEC_PER_SEC)
/* A board that says nothing is given up sooner than one on a noisy line, and none for a short burst; but what
 * it said last is not believed for long when nothing good comes any more. */
#define SILENCES_MAX  4
#define MISSES_MAX    9
#define MISSES_LONG   3
#define NOISE_SHORT   USEC_PER_SEC
#define PASSING_AGAIN (100 * USEC_PER_MSEC)
#define PASSING_MAX   (3 * USEC_PER_SEC) /* since the last good answer */
#define NOISE_LONG    (2 * USEC_PER_SEC)

bool unit_status_request(const Unit *u, Request *ret) {
        return u->driver->status(u->profile, u->address, u->part, ret);
}

bool unit_coil_request(const Unit *u, Request *ret) {
        return u->driver->coils(u->profile, u->address, ret);
}

bool unit_spacer_request(const Unit *u, Request *ret) {
        Request status;

        return unit_status_request(u, &status) && u->driver->spacer(u->profile, &status, ret);
}

bool unit_alive_request(const Unit *u, Request *ret) {
        bool refusal;

        return u->driver->status(u->profile, u->address, u->part, ret) || unit_coil_request(u, ret) ||
               (u->driver->identify(u->profile, u->address, 0, ret, &refusal) && !refusal);
}

bool unit_off_request(const Unit *u, unsigned channel, Request *ret) {
        return u->driver->off(u->profile, u->address, channel, ret);
}

bool unit_all_off_request(const Unit *u, unsigned step, Request *ret) {
        return u->driver->all_off(u->profile, u->address, step, ret);
}

uint64_t worker_late_window(const Worker *w) {
        return MAX(USEC_PER_SEC, 3 * w->line.response_timeout_ms * USEC_PER_MSEC);
}

/* Twice the same is no accident of a noisy line. */
#define ODDITIES 2

bool unit_describe_oddity(const Worker *w, const Unit *u, char *buffer, size_t size) {
        const char *line = w->line.name;

        if (u->oddities < ODDITIES)
                return false;
        switch (u->oddity) {
        case ODDITY_ECHO:
                snprintf(buffer, size,
                         "Board %s: the adapter of its line echoes every request; set Echo=yes in [Line %s]",
                         u->name, line);
                return true;
        case ODDITY_FRONT:
        case ODDITY_BACK:
                snprintf(buffer, size,
                         "Board %s: the adapter of its line adds %u byte%s %s every response; set "
                         "Surplus%s=%u "
                         "in [Line %s]",
                         u->name, u->n_odd, u->n_odd == 1 ? "" : "s",
                         u->oddity == ODDITY_FRONT ? "before" : "behind",
                         u->oddity == ODDITY_FRONT ? "Front" : "Back", u->n_odd, line);
                return true;
        case ODDITY_LATE:
                snprintf(
                        buffer, size,
                        "Board %s responds later than ResponseTimeout=%ums in [Line %s] allows: raise it, or "
                        "look at the adapter",
                        u->name, w->line.response_timeout_ms, line);
                return true;
        case ODDITY_BARE:
                snprintf(buffer, size,
                         "Board %s: the converter does not speak Modbus TCP, it passes on bytes; set "
                         "Device=raw-tcp:… in [Line %s]",
                         u->name, line);
                return true;
        case ODDITY_FRAMED:
                snprintf(buffer, size,
                         "Board %s: the converter speaks Modbus TCP; set Device=tcp:… in [Line %s]", u->name,
                         line);
                return true;
        case ODDITY_NONE:
        case ODDITY_MAX:
                break;
        }
        return false;
}

static void note_oddity(Unit *u, Oddity oddity, unsigned n) {
        if (u->oddity != oddity || u->n_odd != n)
                u->oddities = 0;
        u->oddity = oddity;
        u->n_odd = n;
        u->oddities++;
}

static void note_late(Worker *w, uint8_t address) {
        for (unsigned i = 0; i < w->n_units; i++)
                if (w->units[i].address == address)
                        note_oddity(&w->units[i], ODDITY_LATE, 0);
}

static void note_odd(Worker *w, Unit *u, const Exchange *x) {
        if (x->late)
                note_late(w, x->late_unit);
        if (x->oddity != ODDITY_NONE)
                note_oddity(u, x->oddity, x->n_odd);
        /* What a board says while it is being identified may belong to the request before. */
        if (x->outcome == EXCHANGE_GOOD && u->phase == PHASE_ONLINE)
                u->oddities = 0;
        if (x->outcome == EXCHANGE_GOOD)
                w->spoke = true;
}

static void unit_break(Unit *u) {
        inputs_break(&u->inputs);
        u->unsettled = false;
}

void unit_ask(Worker *w, Unit *u, const Request *q, Exchange *x) {
        unit_ask_within(w, u, q, EXCHANGE_UNLIMITED, x);
}

void unit_ask_within(Worker *w, Unit *u, const Request *q, ExchangeLimits limits, Exchange *x) {
        Request status;

        exchange_run(&w->port, q, limits, worker_wait, w, x);
        note_odd(w, u, x);
        /* A former question of this function may have been refused late. */
        if (x->outcome == EXCHANGE_EXCEPTION && doubts_exception_until(&u->doubts, q) > x->sent_at)
                x->outcome = EXCHANGE_DAMAGED;
        if (x->outcome == EXCHANGE_TIMEOUT && u->driver->may_be_silent && u->driver->may_be_silent(q)) {
                unit_break(u);
                return;
        }
        switch (x->outcome) {
        case EXCHANGE_GOOD:
                /* Reads alone: a lock is not pulsed again on that. */
                if (w->port.framing == FRAMING_SERIAL && unit_status_request(u, &status))
                        doubts_overtaken(&u->doubts, &status, q);
                u->misses = u->silences = 0;
                u->good_at = x->at;
                w->suspicious -= w->suspicious > 0;
                return;
        case EXCHANGE_EXCEPTION:
                unit_break(u);
                w->suspicious -= w->suspicious > 0;
                return;
        case EXCHANGE_BROKEN:
                if (w->port.network)
                        port_close(&w->port); /* some gateways hang up now and then: only a failing connect
                                                 matters */
                else
                        line_lost(w, "The device is gone");
                break;
        case EXCHANGE_TIMEOUT:
        case EXCHANGE_DAMAGED:
                if (w->port.framing == FRAMING_TCP && !x->in_step)
                        port_close(&w->port); /* raw requests carry no transaction number: start afresh */
                break;
        }
        unit_break(u);
        u->misses++;
        u->silences += x->outcome != EXCHANGE_DAMAGED;
        w->suspicious = 8 * w->n_units;
        poll_wake(w); /* for the read of another shape, before the inputs have to be read */
        if (x->sent && !x->answered)
                doubts_add(&u->doubts, q, x->at, x->at + worker_late_window(w));
}

bool unit_refusal_passes(Unit *u, const Exchange *x) {
        bool done;

        if (!u->driver->is_passing || !u->driver->is_passing(x->exception, &done) ||
            x->at >= u->good_at + PASSING_MAX)
                return false;
        u->due = x->at + PASSING_AGAIN;
        return true;
}

bool unit_is_gone(const Unit *u) {
        uint64_t now = worker_now();

        return ((u->silences >= SILENCES_MAX || u->misses >= MISSES_MAX) &&
                now >= u->good_at + NOISE_SHORT) ||
               (u->misses >= MISSES_LONG && now >= u->good_at + NOISE_LONG);
}

bool unit_must_wait(Unit *u, const Request *q, uint64_t now) {
        uint64_t until = doubts_until(&u->doubts, q);

        if (until <= now)
                return false;
        u->due = until;
        return true;
}

void unit_report(Worker *w, Unit *u, BoardHealth health, const char *format, ...) {
        WireBoardState m = {.board = u->board, .health = health, .all_off = u->all_off};
        va_list ap;

        u->health = health;
        va_start(ap, format);
        vsnprintf(m.sentence, sizeof(m.sentence), format, ap);
        va_end(ap);
        worker_send(w, WIRE_BOARD_STATE, &m);
}

void unit_forget_inputs(Unit *u) {
        inputs_forget(&u->inputs);
        u->unsettled = false;
}

void unit_restart(Unit *u) {
        u->phase = PHASE_ALL_OFF;
        u->all_off = u->probed = false;
        u->step = u->tries = 0;
        u->probes_damaged = u->probes_silent = 0;
        unit_forget_inputs(u);
        u->coil_seen_on = u->resting = false;
        u->round_over = true;
        u->due = 0;
}

void unit_offline(Worker *w, Unit *u) {
        char odd[WIRE_SENTENCE];
        bool known = unit_describe_oddity(w, u, odd, sizeof(odd));

        if (u->health != BOARD_OFFLINE || (known && u->told_oddity != u->oddity)) {
                u->all_off = false;
                u->told_oddity = known ? u->oddity : ODDITY_NONE;
                if (known)
                        unit_report(w, u, BOARD_OFFLINE, "%s", odd);
                else if (u->off_pending)
                        unit_report(w, u, BOARD_OFFLINE,
                                    "Board %s does not answer; its coil %u may still be on", u->name,
                                    u->off_coil + 1);
                else
                        unit_report(w, u, BOARD_OFFLINE, "Board %s does not answer", u->name);
        }
        u->phase = PHASE_OFFLINE;
        unit_forget_inputs(u);
        u->backoff = u->backoff ? u->backoff : BACKOFF_FIRST;
        u->due = worker_now() +
                 worker_jitter(w, u->off_pending ? MIN(u->backoff, BACKOFF_OFF_OWED) : u->backoff);
        u->backoff = MIN(2 * u->backoff, BACKOFF_MAX);
}

void unit_distrust(Worker *w, Unit *u, BoardHealth health, const char *sentence) {
        char odd[WIRE_SENTENCE];

        if (health == BOARD_CONFLICT && unit_describe_oddity(w, u, odd, sizeof(odd)))
                unit_report(w, u, BOARD_OFFLINE, "%s", odd);
        else
                unit_report(w, u, health, "Board %s %s", u->name, sentence);
        u->phase = PHASE_DISTRUST;
        unit_forget_inputs(u);
        u->backoff = MAX(MIN(2 * u->backoff, DISTRUST_MAX), DISTRUST_FIRST);
        u->due = worker_now() + worker_jitter(w, u->backoff);
}

void line_lost(Worker *w, const char *why) {
        port_close(&w->port);
        w->reopen_backoff = BACKOFF_FIRST;
        w->reopen_at = worker_now() + w->reopen_backoff;
        worker_report_line(w, false, 0, "%s: %s", w->line.device, why);
        for (unsigned i = 0; i < w->n_units; i++) {
                Unit *u = &w->units[i];
                u->all_off = false;
                unit_report(w, u, BOARD_OFFLINE, "Board %s cannot be reached: its line does not work",
                            u->name);
                u->phase = PHASE_OFFLINE;
                unit_forget_inputs(u);
                u->backoff = 0;
        }
}
