/* SPDX-License-Identifier: Apache-2.0 */
/* Lids behind a shut door. A motor lock does not lock by itself: whatever was released there is locked by
 * command as soon as the door is shut, whoever released it (an errand, an operator's look, a position that
 * was not empty, a former run). An errand waits for its own. What cannot be locked is reported, taken out of
 * service, and held back from the next person (lid_holds_back()). */
#include "cabinet/hardware.h"

/* Pushed home as far as anybody can see, so that the motor can turn. */
static bool can_be_secured(const Hardware *h, int lock) {
        const Door *d = &h->doors[lock];

        return h->cabinet->locks[lock].kind == LOCK_MOTOR && lid_is_open(h, lock) && !h->moving[lock] &&
               (!d->has_contact || d->closed == TRI_YES);
}

static void secured(Movement *m, int result) {
        Hardware *h = m->hardware;

        /* Said once, and not tried for ever: a lid that somebody left ajar would be pulsed all night. */
        if (result)
                h->lid_gave_up[m->lock] = true;
        hardware_changed(h, h->cabinet->locks[m->lock].slot, m->lock, 0);
}

static int secure(Hardware *h, int lock) {
        const Release *by = &h->released[lock];
        Movement *m = NULL;
        int r = records_begin(h->records);

        if (r < 0)
                return r;
        r = records_end(h->records,
                        movement_intend(h, lock, LOCK_ACTION_SECURE, by->session, by->parcel, "secure",
                                        by->actor[0] ? by->actor : "lockerd", NULL, &m));
        if (r < 0) {
                movement_free(m);
                return r;
        }
        r = movement_start(m, secured, NULL);
        if (r < 0)
                movement_withdraw(m);
        return r;
}

void secure_lids(Hardware *h, int slot) {
        const Slot *k = &h->cabinet->slots[slot];

        if (!h->may_secure || h->moving[k->lock] || !slot_is_closed(h, slot) || h->opening[slot])
                return;
        for (int i = 0; i < k->n_positions; i++) {
                int lock = h->cabinet->positions[k->first_position + i].lock;
                if (lock >= 0 && !h->lid_gave_up[lock] && can_be_secured(h, lock) && secure(h, lock) < 0)
                        h->lids_at = MIN(h->lids_at, h->records->now().boot_usec + RECORDS_RETRY_USEC);
        }
}

void hardware_changed(Hardware *h, int slot, int lock, unsigned more) {
        secure_lids(h, slot);
        h->up(h->userdata, slot, lock, HARDWARE_CHANGED | more);
}

void lids_tick(Hardware *h, const Now *now) {
        if (now->boot_usec < h->lids_at)
                return;
        h->lids_at = USEC_INFINITY;
        for (int i = 0; i < h->cabinet->n_slots; i++)
                secure_lids(h, i);
}

void lids_moved(Hardware *h, int slot) {
        const Slot *k = &h->cabinet->slots[slot];

        for (int i = 0; i < k->n_positions; i++) {
                int lock = h->cabinet->positions[k->first_position + i].lock;
                if (lock >= 0)
                        h->lid_gave_up[lock] = false;
        }
}
