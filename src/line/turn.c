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
                Unit *u = next_unit(w, now);

                if (u && u->phase == PHASE_ONLINE)
                        return poll_step(w, u);
                if (u)
                        return identify_step(w, u);
                if (factory_is_due(w, now))
                        return factory_step(w);
        }
        (void)worker_wait(w, -1, next_due(w, now));
}
