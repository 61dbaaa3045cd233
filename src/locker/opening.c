/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the place at hand for a session: the slot's door first, then the position's own lock, and only that
 * one. */
#include "locker/private.h"
#include "base/log.h"

#include <errno.h>

/* A lock that is open already (the door for a second position of the same slot) is not pulsed again. */
static bool needs_pulse(const Locker *l, int lock, bool insist) {
        const Door *d = &l->doors[lock];

        if (d->state == DOOR_OPEN || d->state == DOOR_LEFT_OPEN)
                return insist && d->closed != TRI_NO;
        return true;
}

static int intend(Session *s, int lock, const char *why, bool insist, Movement **ret) {
        if (lock < 0 || !needs_pulse(s->locker, lock, insist))
                return 0;
        if (s->locker->locks)
                locks_expect(s->locker->locks, lock);
        int r = movement_intend(s->locker, lock, LOCK_ACTION_UNLOCK, s, s->parcel, why, s->actor, NULL, ret);
        if (r >= 0)
                (*ret)->insist = insist;
        return r;
}

int opening_intend(Session *s, const char *why, bool insist) {
        const Cabinet *c = s->locker->cabinet;

        s->door = s->inner = NULL;
        int r = intend(s, c->slots[s->slot].lock, why, insist, &s->door);
        if (r >= 0)
                r = intend(s, c->positions[s->position].lock, why, insist, &s->inner);
        if (r < 0)
                opening_drop(s);
        return r;
}

void opening_drop(Session *s) {
        s->door = movement_free(s->door);
        s->inner = movement_free(s->inner);
}

static void opening_over(Session *s, int result) {
        void (*opened)(Session *, int) = s->opened;

        if (s->inner && !s->inner->started)
                movement_withdraw(s->inner);
        s->door = s->inner = NULL;
        s->opened = NULL;
        opened(s, result);
}

static void inner_done(Movement *m, int result) {
        Session *s = m->userdata;

        s->inner = NULL;
        opening_over(s, result);
}

static void start_inner(Session *s) {
        if (!s->inner) {
                opening_over(s, 0);
                return;
        }
        if (movement_start(s->inner, inner_done, s) < 0) {
                movement_withdraw(steal_ptr(s->inner));
                opening_over(s, LOCKER_E_POSITION_DID_NOT_OPEN);
        }
}

static void door_done(Movement *m, int result) {
        Session *s = m->userdata;

        s->door = NULL;
        if (result)
                opening_over(s, result);
        else
                start_inner(s);
}

void opening_go(Session *s, void (*opened)(Session *s, int result)) {
        s->opened = opened;
        session_set_state(s, SESSION_OPENING);
        if (!s->door) {
                start_inner(s);
                return;
        }
        if (movement_start(s->door, door_done, s) < 0) {
                movement_withdraw(steal_ptr(s->door));
                opening_over(s, LOCKER_E_SLOT_BUSY);
        }
}
