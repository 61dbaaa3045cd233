/* SPDX-License-Identifier: Apache-2.0 */
#include "core/supply.h"

#include <string.h>

static uint64_t later_by(uint64_t t, uint64_t by) {
        uint64_t sum;

        return __builtin_add_overflow(t, by, &sum) ? USEC_INFINITY : sum;
}

void supply_init(SupplyState *s, unsigned max_active, uint64_t cooldown_usec, uint64_t not_before) {
        memset(s, 0, sizeof(*s));
        s->max_active = MIN(max_active, (unsigned)SUPPLY_ACTIVE_MAX);
        s->cooldown_usec = cooldown_usec;
        s->not_before = not_before;
}

void supply_tick(SupplyState *s, uint64_t now_boot) {
        for (unsigned i = 0; i < s->n_active;) {
                if (s->active[i].until > now_boot) {
                        i++;
                        continue;
                }
                s->not_before = MAX(s->not_before, later_by(s->active[i].until, s->cooldown_usec));
                s->active[i] = s->active[--s->n_active];
        }
}

bool supply_acquire(SupplyState *s, uint64_t token, uint64_t now_boot, uint64_t worst_end) {
        supply_tick(s, now_boot);
        if (now_boot < s->not_before || s->n_active >= s->max_active)
                return false;
        s->active[s->n_active].token = token;
        s->active[s->n_active].until = worst_end;
        s->n_active++;
        return true;
}

void supply_release(SupplyState *s, uint64_t token, uint64_t end) {
        /* An end in the past is removed with the next tick; one long past (a pulse that did not happen)
         * without a cooldown. */
        for (unsigned i = 0; i < s->n_active; i++)
                if (s->active[i].token == token)
                        s->active[i].until = end;
}

uint64_t supply_next_change(const SupplyState *s, uint64_t now_boot) {
        uint64_t next = s->not_before > now_boot ? s->not_before : USEC_INFINITY;

        for (unsigned i = 0; i < s->n_active; i++)
                next = MIN(next, MAX(s->active[i].until, now_boot));
        return next;
}
