/* SPDX-License-Identifier: Apache-2.0 */
/* Lids behind a shut door. A motor lock does not lock by itself: whatever was released there is locked by command as soon as the door
 * is shut, whoever released it (an errand, an operator's look, a position that was not empty, a former run). An errand waits for its
 * own. What cannot be locked is reported, taken out of service, and held back from the next person (lid_holds_back()). */
#include "locker/private.h"

#define RETRY_USEC (5 * USEC_PER_SEC) /* a ledger that could not take the intent */

static bool lid_is_open(const Locker *l, int lock) {
        const Door *d = &l->doors[lock];

        return door_is_open(d) || d->state == DOOR_CLOSING;
}

/* Pushed home as far as anybody can see, so that the motor can turn. */
static bool can_be_secured(const Locker *l, int lock) {
        const Door *d = &l->doors[lock];

        return l->cabinet->locks[lock].kind == LOCK_MOTOR && lid_is_open(l, lock) && !l->moving[lock] &&
               (!d->has_contact || d->closed == TRI_YES);
}

static void secured(Movement *m, int result) {
        Locker *l = m->locker;

        /* Said once, and not tried for ever: a lid that somebody left ajar would be pulsed all night. */
        if (result)
                l->lid_gave_up[m->lock] = true;
        errands_look(l, l->cabinet->locks[m->lock].slot);
}

static int secure(Locker *l, int lock) {
        const Errand *e = l->holder[l->cabinet->locks[lock].slot];
        bool own = e && e->position == l->cabinet->locks[lock].position;
        Movement *m = NULL;
        int r = locker_begin(l);

        if (r < 0)
                return r;
        r = locker_end(l, movement_intend(l, lock, LOCK_ACTION_SECURE, own ? e->session_id : 0, own ? e->parcel : 0, "secure",
                                          own ? e->actor : "lockerd", NULL, &m));
        if (r < 0) {
                movement_free(m);
                return r;
        }
        r = movement_start(m, secured, NULL);
        if (r < 0)
                movement_withdraw(m);
        return r;
}

void secure_lids(Locker *l, int slot) {
        const Slot *k = &l->cabinet->slots[slot];
        const Errand *e = l->holder[slot];

        if (!l->recovered || l->moving[k->lock] || !slot_is_closed(l, slot) || (e && e->opening))
                return;
        for (int i = 0; i < k->n_positions; i++) {
                int lock = l->cabinet->positions[k->first_position + i].lock;
                if (lock >= 0 && !l->lid_gave_up[lock] && can_be_secured(l, lock) && secure(l, lock) < 0)
                        l->lids_at = MIN(l->lids_at, l->now().boot_usec + RETRY_USEC);
        }
}

void lids_tick(Locker *l, const Now *now) {
        if (now->boot_usec < l->lids_at)
                return;
        l->lids_at = USEC_INFINITY;
        for (int i = 0; i < l->cabinet->n_slots; i++)
                secure_lids(l, i);
}

void lids_moved(Locker *l, int slot) {
        const Slot *k = &l->cabinet->slots[slot];

        for (int i = 0; i < k->n_positions; i++) {
                int lock = l->cabinet->positions[k->first_position + i].lock;
                if (lock >= 0)
                        l->lid_gave_up[lock] = false;
        }
}

bool lid_holds_back(Locker *l, int slot, int own_position, unsigned *ret_number) {
        const Slot *k = &l->cabinet->slots[slot];

        for (int i = 0; i < k->n_positions; i++) {
                const Position *p = &l->cabinet->positions[k->first_position + i];
                _cleanup_parcel_ ParcelRow row = {0};
                if (k->first_position + i == own_position || p->lock < 0 || !lid_is_open(l, p->lock) ||
                    ledger_parcel_at(l->ledger, k->label, p->number, &row) < 0 ||
                    !parcel_may_be_inside(row.state))
                        continue;
                if (ret_number)
                        *ret_number = p->number;
                return true;
        }
        return false;
}
