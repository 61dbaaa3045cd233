/* SPDX-License-Identifier: Apache-2.0 */
/* What a board goes through before it is believed: off, probed, identified; and the way back from offline. */
#include "line/worker.h"

#include <stdio.h>

#define PROBES           4
#define PROBES_DAMAGED   2 /* of those: two boards talk at once */
#define PROBES_SILENT    2 /* in all: nobody there */
#define TRIES            3
#define STRANGERS        2
#define GAP_OTHER        (15 * USEC_PER_MSEC)
#define FACTORY_INTERVAL (600 * USEC_PER_SEC)

bool identify_is_under_way(const Unit *u) {
        switch (u->phase) {
        case PHASE_ALL_OFF:
        case PHASE_PROBE:
        case PHASE_IDENTIFY:
                return true;
        case PHASE_ONLINE:
        case PHASE_OFFLINE:
        case PHASE_DISTRUST:
                return false;
        }
        return false;
}

static void next_phase(Worker *w, Unit *u) {
        bool refusal;
        Request q;

        u->step = u->tries = 0;
        u->phase++;
        if (u->phase == PHASE_IDENTIFY && !u->driver->identify(u->profile, u->address, 0, &q, &refusal))
                u->phase++;
        if (u->phase != PHASE_ONLINE)
                return;
        u->coils_due = worker_now() + worker_jitter(w, USEC_PER_SEC);
        u->backoff = 0;
        u->misses = u->silences = 0;
        u->spaced = false;
        unit_report(w, u, BOARD_ONLINE, "Board %s works", u->name);
}

/* A board that falls silent or garbles while it is being identified: a few more tries, then it counts as
 * offline. */
static void failed(Worker *w, Unit *u) {
        if (++u->tries >= TRIES)
                unit_offline(w, u);
}

static bool is_passing(const Unit *u, const Exchange *x) {
        bool done;

        return u->driver->is_passing && u->driver->is_passing(x->exception, &done);
}

static void off_done(Worker *w, Unit *u, bool confirmed) {
        u->all_off = confirmed && u->profile->all_off != ALL_OFF_NONE;
        u->phase = u->probed ? PHASE_PROBE : PHASE_ALL_OFF;
        if (confirmed && u->off_pending) {
                WireOver m = {.id = u->off_command, .at = worker_now()};
                u->off_pending = false;
                worker_send(w, WIRE_OVER, &m);
        }
        next_phase(w, u);
}

static void step_all_off(Worker *w, Unit *u) {
        const WireProfile *p = u->profile;
        Exchange x;
        Request q;

        if (!unit_all_off_request(u, u->step, &q)) {
                if (u->off_pending && p->all_off == ALL_OFF_NONE)
                        command_off(w, u);
                off_done(w, u, p->all_off != ALL_OFF_NONE);
                return;
        }
        if (unit_must_wait(u, &q, worker_now()))
                return;
        unit_ask(w, u, &q, &x);
        switch (x.outcome) {
        case EXCHANGE_GOOD:
                u->step++;
                u->tries = 0;
                if (!unit_all_off_request(u, u->step, &q))
                        off_done(w, u, true);
                break;
        case EXCHANGE_EXCEPTION:
                if (u->probed && is_passing(u, &x))
                        failed(w, u);
                else if (is_passing(u, &x))
                        off_done(w, u, false);
                else
                        unit_distrust(w, u, BOARD_WRONG, "refuses to switch everything off");
                break;
        case EXCHANGE_TIMEOUT:
        case EXCHANGE_DAMAGED:
                if (u->probed)
                        failed(w, u);
                else
                        off_done(w, u, false);
                break;
        case EXCHANGE_BROKEN:
                break;
        }
}

/* The contents do not matter here, so that answers in doubt may be counted too. */
static void step_probe(Worker *w, Unit *u) {
        Exchange x;
        Request q;

        if (u->step >= PROBES || !unit_alive_request(u, &q)) {
                u->probed = true;
                /* Two boards are never silent. One that is slow is, and what it says then meets the next
                 * request. */
                if (u->probes_damaged >= PROBES_DAMAGED && u->probes_silent > 0)
                        unit_offline(w, u);
                else if (u->probes_damaged >= PROBES_DAMAGED)
                        unit_distrust(w, u, BOARD_CONFLICT,
                                      "answers twice or garbled: two boards may have its address");
                else if (!u->all_off && u->profile->all_off != ALL_OFF_NONE) {
                        u->phase = PHASE_ALL_OFF;
                        u->step = u->tries = 0;
                } else
                        next_phase(w, u);
                return;
        }
        unit_ask(w, u, &q, &x);
        u->step++;
        switch (x.outcome) {
        case EXCHANGE_GOOD:
        case EXCHANGE_BROKEN:
                break;
        case EXCHANGE_EXCEPTION:
                if (!is_passing(u, &x)) /* else it is there, which is what was asked */
                        unit_distrust(w, u, BOARD_WRONG,
                                      "refuses the reads of its profile: it has fewer channels");
                break;
        case EXCHANGE_TIMEOUT:
                if (++u->probes_silent >= PROBES_SILENT)
                        unit_offline(w, u);
                break;
        case EXCHANGE_DAMAGED:
                u->probes_damaged++;
                break;
        }
}

static void step_identify(Worker *w, Unit *u) {
        const char *wrong = NULL;
        bool refusal;
        Exchange x;
        Request q;

        if (!u->driver->identify(u->profile, u->address, u->step, &q, &refusal)) {
                next_phase(w, u);
                return;
        }
        uint64_t until = refusal ? doubts_exception_until(&u->doubts, &q) : doubts_until(&u->doubts, &q);
        if (until > worker_now()) {
                u->due = until;
                return;
        }
        unit_ask(w, u, &q, &x);
        switch (x.outcome) {
        case EXCHANGE_GOOD:
        case EXCHANGE_EXCEPTION: {
                if (x.exception && is_passing(u, &x)) {
                        failed(w, u);
                        break;
                }
                Answer a = {.exception = x.exception, .data = x.data, .n_data = x.n_data};
                wrong = u->driver->recognise(u->profile, &q, &a);
                u->step++;
                u->tries = 0;
                if (wrong)
                        unit_distrust(w, u, BOARD_WRONG, wrong);
                break;
        }
        case EXCHANGE_TIMEOUT:
        case EXCHANGE_DAMAGED:
                failed(w, u);
                break;
        case EXCHANGE_BROKEN:
                break;
        }
}

/* A converter that does not do what is configured passes on nothing that its boards understand. One request
 * as it would, harmless to whatever is there, shows it; on a fresh connection, and followed by another, since
 * what is half of a frame to one side is not to the other. */
static bool wants_other_framing(Worker *w) {
        return w->port.network && w->driver == &modbus_driver && !w->spoke && ++w->strangers % STRANGERS == 0;
}

static void try_other_framing(Worker *w, Unit *u, const Request *q) {
        Framing configured = w->port.framing;
        uint64_t gap = w->port.gap;
        Exchange x;

        w->other_framing = false;
        w->port.framing = configured == FRAMING_TCP ? FRAMING_SERIAL : FRAMING_TCP;
        w->port.gap = GAP_OTHER;
        exchange_run(&w->port, q, EXCHANGE_UNLIMITED, worker_wait, w, &x);
        w->port.framing = configured;
        w->port.gap = gap;
        port_close(&w->port);
        if (x.outcome != EXCHANGE_GOOD && x.outcome != EXCHANGE_EXCEPTION)
                return;
        u->oddity = configured == FRAMING_TCP ? ODDITY_BARE : ODDITY_FRAMED;
        u->n_odd = 0;
        u->oddities = PROBES;
}

static void step_offline(Worker *w, Unit *u) {
        uint64_t now = worker_now();
        Request q, other;
        Exchange x;

        if (u->off_pending) {
                command_off(w, u);
                if (u->off_pending)
                        unit_offline(w, u);
                else
                        unit_restart(u);
                return;
        }
        if (!unit_alive_request(u, &q)) {
                unit_restart(u);
                return;
        }
        if (doubts_until(&u->doubts, &q) > now && unit_spacer_request(u, &other) &&
            doubts_until(&u->doubts, &other) < doubts_until(&u->doubts, &q))
                q = other;
        if (unit_must_wait(u, &q, now))
                return;
        if (w->other_framing) {
                try_other_framing(w, u, &q);
                unit_offline(w, u);
                return;
        }
        unit_ask(w, u, &q, &x);
        if (x.outcome == EXCHANGE_BROKEN)
                return;
        if (x.outcome == EXCHANGE_TIMEOUT) {
                if (wants_other_framing(w)) {
                        w->other_framing = true;
                        port_close(&w->port);
                }
                unit_offline(w, u);
        } else
                unit_restart(u); /* somebody is there, whatever he says */
}

void identify_step(Worker *w, Unit *u) {
        switch (u->phase) {
        case PHASE_ALL_OFF:
                step_all_off(w, u);
                break;
        case PHASE_PROBE:
                step_probe(w, u);
                break;
        case PHASE_IDENTIFY:
                step_identify(w, u);
                break;
        case PHASE_OFFLINE:
                step_offline(w, u);
                break;
        case PHASE_DISTRUST:
                unit_restart(u);
                break;
        case PHASE_ONLINE:
                break;
        }
}

static bool address_is_configured(const Worker *w, int address) {
        for (unsigned i = 0; i < w->n_units; i++)
                if (w->units[i].address == address)
                        return true;
        return false;
}

static bool somebody_answers(Worker *w, const WireProfile *p) {
        Unit nobody = {.address = (uint8_t)p->factory_address, .profile = p, .driver = w->driver};
        Exchange x;
        Request q;

        if (!unit_alive_request(&nobody, &q))
                return false;
        q.value =
                1; /* how many channels it has is not known; without a meaning for drivers that count none */
        exchange_run(&w->port, &q, EXCHANGE_UNLIMITED, worker_wait, w, &x);
        if (w->port.framing == FRAMING_TCP ? !x.in_step : w->port.network && x.outcome == EXCHANGE_BROKEN)
                port_close(&w->port);
        else if (x.outcome == EXCHANGE_BROKEN)
                line_lost(w, "The device is gone");
        return x.outcome == EXCHANGE_GOOD || x.outcome == EXCHANGE_EXCEPTION;
}

void factory_step(Worker *w) {
        while (w->factory_next < w->n_profiles) {
                const WireProfile *p = &w->profiles[w->factory_next++];
                bool known = p->factory_address < 0 || address_is_configured(w, p->factory_address);

                for (unsigned i = 0; i + 1 < w->factory_next && !known; i++)
                        known = w->profiles[i].factory_address == p->factory_address;
                if (known)
                        continue;
                if (somebody_answers(w, p)) {
                        w->factory_found = true;
                        worker_report_line(
                                w, true, 0,
                                "An unconfigured board answers at the factory address %d; give it its own",
                                p->factory_address);
                }
                w->factory_due = worker_now();
                return; /* one exchange a turn */
        }
        w->factory_next = 0;
        w->factory_due = worker_now() + FACTORY_INTERVAL;
}
