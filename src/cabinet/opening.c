/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a place, for whomever: the slot's door first, then the position's own lock, and only that one. */
#include "cabinet/hardware.h"

#include <errno.h>
#include <stdio.h>

struct Opening {
        Hardware *hardware;
        int slot;
        Movement *door, *lid; /* NULL: not to be moved, or over */
        bool reported_open;
        OpeningDone done;
        void *userdata;
};

/* A lock that is open already (the door for a second position of the same slot) is not pulsed again, unless
 * somebody who stands there says otherwise. */
static bool needs_pulse(const Hardware *h, int lock, const OpeningRequest *q, bool last) {
        const Door *d = &h->doors[lock];
        bool is_open = d->state == DOOR_OPEN || d->state == DOOR_LEFT_OPEN;

        if (q->insist_last)
                return last || !door_is_open(d);
        return !is_open || (q->insist && d->closed != TRI_NO);
}

static int intend(Hardware *h, Opening *o, int lock, const OpeningRequest *q, bool last, Movement **ret) {
        if (lock < 0 || !needs_pulse(h, lock, q, last))
                return 0;
        if (h->locks)
                locks_expect(h->locks, lock);
        int r = movement_intend(h, lock, LOCK_ACTION_UNLOCK, q->session, q->parcel, q->why, q->actor,
                                q->reason, ret);
        if (r < 0)
                return r;
        bool is_open = q->insist_last && door_is_open(&h->doors[lock]);
        (*ret)->insist = q->insist || is_open;
        o->reported_open = o->reported_open || is_open;
        return 0;
}

int opening_intend(Hardware *h, const OpeningRequest *q, Opening **ret) {
        const Cabinet *c = h->cabinet;
        int lid = q->position < 0 ? -1 : c->positions[q->position].lock;
        Opening *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        o->hardware = h;
        o->slot = q->slot;
        int r = intend(h, o, c->slots[q->slot].lock, q, lid < 0, &o->door);
        if (r >= 0)
                r = intend(h, o, lid, q, true, &o->lid);
        if (r < 0) {
                opening_free(o);
                return r;
        }
        if (lid >= 0) {
                Release *by = &h->released[lid];
                by->session = q->session;
                by->parcel = q->parcel;
                snprintf(by->actor, sizeof(by->actor), "%s", q->actor);
        }
        *ret = o;
        return 0;
}

bool opening_reported_open(const Opening *o) {
        return o->reported_open;
}

static void leave(Opening *o) {
        if (o->hardware->opening[o->slot] == o)
                o->hardware->opening[o->slot] = NULL;
}

Opening *opening_free(Opening *o) {
        if (!o)
                return NULL;
        movement_free(o->door);
        movement_free(o->lid);
        leave(o);
        free(o);
        return NULL;
}

static void over(Opening *o, int result) {
        OpeningDone done = o->done;
        void *userdata = o->userdata;

        movement_withdraw(o->lid); /* never started */
        leave(o);
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
        o->hardware->opening[o->slot] = o;
        if (!o->door) {
                start_lid(o);
        } else if (movement_start(o->door, door_done, o) < 0) {
                movement_withdraw(steal_ptr(o->door));
                over(o, LOCKER_E_SLOT_BUSY);
        }
}
