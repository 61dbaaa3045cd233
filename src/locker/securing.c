/* SPDX-License-Identifier: Apache-2.0 */
/* Lids behind a shut door. A motor lock does not lock by itself: whatever was released there and is not part
 * of an errand any more (an operator's look, a position that was not empty, a former run) is locked by
 * command. What cannot be locked is reported, taken out of service, and held back from the next person
 * (lid_holds_back()). */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

static bool lid_is_open(const Locker *l, int lock) {
        const Door *d = &l->doors[lock];

        return door_is_open(d) || d->state == DOOR_CLOSING;
}

/* Pushed home as far as anybody can see, so that the motor can turn. */
bool lid_can_be_secured(const Locker *l, int lock) {
        const Door *d = &l->doors[lock];

        return l->cabinet->locks[lock].kind == LOCK_MOTOR && lid_is_open(l, lock) && !l->moving[lock] &&
               (!d->has_contact || d->closed == TRI_YES);
}

int lid_secure(Locker *l, int lock, Session *s, uint64_t parcel, MovementDone done, void *userdata,
               Movement **ret) {
        Movement *m = NULL;
        int r = locker_begin(l);

        if (r < 0)
                return r;
        r = locker_end(l, movement_intend(l, lock, LOCK_ACTION_SECURE, s, parcel, "secure",
                                          s ? s->actor : "lockerd", NULL, &m));
        if (r < 0) {
                movement_free(m);
                return r;
        }
        r = movement_start(m, done, userdata);
        if (r < 0) {
                movement_withdraw(m);
                return r;
        }
        if (ret)
                *ret = m;
        return 0;
}

/* What was interrupted behind this lid has waited for it. */
static void secured(Movement *m, int result) {
        settle_orphans(m->locker, m->locker->cabinet->locks[m->lock].slot);
}

void secure_lids(Locker *l, int slot) {
        const Slot *k = &l->cabinet->slots[slot];
        const Session *holder = l->holder[slot] && l->holder[slot]->slot == slot ? l->holder[slot] : NULL;

        if (!l->recovered || l->moving[k->lock] || !locker_slot_shut(l, slot) || (holder && holder->opened))
                return;
        for (int i = 0; i < k->n_positions; i++) {
                int position = k->first_position + i, lock = l->cabinet->positions[position].lock;
                /* The lid of the errand at hand is part of the errand. */
                if (lock >= 0 && !(holder && holder->position == position) && lid_can_be_secured(l, lock))
                        (void)lid_secure(l, lock, NULL, 0, secured, NULL, NULL);
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

int lid_out_of_service(Locker *l, int position, const char *actor) {
        const char *label = l->cabinet->slots[l->cabinet->positions[position].slot].label;
        int r = locker_begin(l);

        if (!r)
                r = locker_end(l, locker_quarantine(l, position, actor, "its lid is not locked"));
        if (r < 0)
                return log_error_errno(r, "Cannot take a position with an open lid out of service");
        log_message(LOG_WARNING, LOCKERD_MESSAGE_QUARANTINED,
                    (const char *const[]){"LOCKERD_SLOT", label, NULL},
                    "Slot %s position %u is quarantined: its lid is not locked", label,
                    l->cabinet->positions[position].number);
        notify_slot(l, l->cabinet->positions[position].slot);
        return 0;
}
