/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the place at hand for a session: the slot's door first, then the position's own lock, and only that one. */
#include "locker/private.h"
#include "base/log.h"

#include <errno.h>

/* A door that this session has open already (a second position of the same slot, a stuck lid) is not pulsed again. */
static bool door_is_ours_and_open(const Session *s) {
        const Locker *l = s->locker;

        return l->holder[s->slot] == s && l->doors[l->cabinet->slots[s->slot].lock].state == DOOR_OPEN;
}

int opening_intend(Session *s, const char *why) {
        Locker *l = s->locker;
        int inner = l->cabinet->positions[s->position].lock, r = 0;

        s->door = s->inner = NULL;
        if (!door_is_ours_and_open(s))
                r = movement_intend(l, l->cabinet->slots[s->slot].lock, LOCK_ACTION_UNLOCK, s, s->parcel, why, s->actor, NULL, &s->door);
        if (r >= 0 && inner >= 0 && lock_is_shut(l, inner))
                r = movement_intend(l, inner, LOCK_ACTION_UNLOCK, s, s->parcel, why, s->actor, NULL, &s->inner);
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
