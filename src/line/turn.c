/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is on the line. */
#include "line/worker.h"

static Unit *next_unit(Worker *w, uint64_t now) {
        for (unsigned i = 0; i < w->n_units; i++)
                if (w->units[i].phase == PHASE_ALL_OFF && w->units[i].due <= now)
                        return &w->units[i];
        for (unsigned i = 0; i < w->n_units && !w->confirmed_last; i++)
                if (w->units[i].again && w->units[i].due <= now) {
                        w->confirmed_last = true;
                        return &w->units[i];
                }
        w->confirmed_last = false;
        for (unsigned k = 0; k < w->n_units; k++) {
                unsigned i = (w->cursor + k) % w->n_units;
                if (w->units[i].due <= now) {
                        w->cursor = i + 1;
                        return &w->units[i];
                }
        }
        return NULL;
}

/* A request that perhaps nobody responds to keeps the line for the whole response timeout. Boards that rest
 * are read before it, once, so that none has to be read meanwhile. asked_from: when that request became due.
 */
static Unit *unit_to_read_before(Worker *w, uint64_t asked_from) {
        for (unsigned i = 0; i < w->n_units; i++) {
                Unit *u = &w->units[i];
                if (u->phase == PHASE_ONLINE && u->resting && u->round_at < asked_from)
                        return u;
        }
        return NULL;
}

static bool factory_is_due(const Worker *w, uint64_t now) {
        for (unsigned i = 0; i < w->n_units; i++)
                if (identify_is_under_way(&w->units[i]))
                        return false;
        return w->factory_due <= now;
}

static uint64_t next_due(Worker *w, uint64_t now) {
        uint64_t next = MIN(w->factory_due, command_next_due(w, now));

        if (!port_is_open(&w->port))
                return MIN(w->reopen_at, command_next_due(w, now));
        for (unsigned i = 0; i < w->n_units; i++)
                next = MIN(next, w->units[i].due);
        return next;
}

/* Coils that must be switched off wait for nobody. */
static bool may_hold(const Worker *w) {
        for (unsigned i = 0; i < w->n_units; i++)
                if (w->units[i].off_pending || w->units[i].phase == PHASE_ALL_OFF)
                        return false;
        return true;
}

void worker_turn(Worker *w) {
        uint64_t now = worker_now();

        if (!port_is_open(&w->port) && w->reopen_at <= now)
                return worker_open_line(w);
        if (command_run_next(w))
                return;
        if (w->hold_until > now && may_hold(w)) {
                (void)worker_wait(w, -1, w->hold_until);
                return;
        }
        if (port_is_open(&w->port)) {
                Unit *u = next_unit(w, now), *first = NULL;
                bool factory = !u && factory_is_due(w, now);

                if (factory || (u && u->phase != PHASE_ONLINE))
                        first = unit_to_read_before(w, u ? u->due : w->factory_due);
                if (first)
                        return poll_step(w, first);
                if (u && u->phase == PHASE_ONLINE)
                        return poll_step(w, u);
                if (u)
                        return identify_step(w, u);
                if (factory)
                        return factory_step(w);
        }
        (void)worker_wait(w, -1, next_due(w, now));
}
