/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a place, for whomever: the slot's door first, then the position's own lock, and only that one. */
#include "locker/private.h"

#include <errno.h>

struct Opening {
        Movement *door, *lid; /* NULL: not to be moved, or over */
        bool reported_open;
        OpeningDone done;
        void *userdata;
};

/* A lock that is open already (the door for a second position of the same slot) is not pulsed again, unless somebody who stands
 * there says otherwise. */
static bool needs_pulse(const Locker *l, int lock, const OpeningRequest *q, bool last) {
        const Door *d = &l->doors[lock];
        bool is_open = d->state == DOOR_OPEN || d->state == DOOR_LEFT_OPEN;

        if (q->insist_last)
                return last || !door_is_open(d);
        return !is_open || (q->insist && d->closed != TRI_NO);
}

static int intend(Locker *l, Opening *o, int lock, const OpeningRequest *q, bool last, Movement **ret) {
        if (lock < 0 || !needs_pulse(l, lock, q, last))
                return 0;
        if (l->locks)
                locks_expect(l->locks, lock);
        int r = movement_intend(l, lock, LOCK_ACTION_UNLOCK, q->session, q->parcel, q->why, q->actor, q->reason, ret);
        if (r < 0)
                return r;
        bool is_open = q->insist_last && door_is_open(&l->doors[lock]);
        (*ret)->insist = q->insist || is_open;
        o->reported_open = o->reported_open || is_open;
        return 0;
}

int opening_intend(Locker *l, const OpeningRequest *q, Opening **ret) {
        const Cabinet *c = l->cabinet;
        int lid = q->position < 0 ? -1 : c->positions[q->position].lock;
        Opening *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        int r = intend(l, o, c->slots[q->slot].lock, q, lid < 0, &o->door);
        if (r >= 0)
                r = intend(l, o, lid, q, true, &o->lid);
        if (r < 0) {
                opening_free(o);
                return r;
        }
        *ret = o;
        return 0;
}

bool opening_reported_open(const Opening *o) {
        return o->reported_open;
}

Opening *opening_free(Opening *o) {
        if (!o)
                return NULL;
        movement_free(o->door);
        movement_free(o->lid);
        free(o);
        return NULL;
}

static void over(Opening *o, int result) {
        OpeningDone done = o->done;
        void *userdata = o->userdata;

        movement_withdraw(o->lid); /* never started */
        free(o);
        done(userdata, result);
}

static void lid_done(Movement *m, int result) {
        Opening *o = m->userdata;

        o->lid = NULL;
        over(o, result);
}

static void start_lid(Opening *o) {
        if (!o->lid) {
                over(o, 0);
        } else if (movement_start(o->lid, lid_done, o) < 0) {
                movement_withdraw(steal_ptr(o->lid));
                over(o, LOCKER_E_POSITION_DID_NOT_OPEN);
        }
}

static void door_done(Movement *m, int result) {
        Opening *o = m->userdata;

        o->door = NULL;
        if (result)
                over(o, result);
        else
                start_lid(o);
}

void opening_start(Opening *o, OpeningDone done, void *userdata) {
        o->done = done;
        o->userdata = userdata;
        if (!o->door) {
                start_lid(o);
        } else if (movement_start(o->door, door_done, o) < 0) {
                movement_withdraw(steal_ptr(o->door));
                over(o, LOCKER_E_SLOT_BUSY);
        }
}
