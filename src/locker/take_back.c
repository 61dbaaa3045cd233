/* SPDX-License-Identifier: Apache-2.0 */
/* A courier takes back everything rejected, recalled or expired in one go (F11): one door after the other. */
#include "locker/take_back.h"
#include "core/access.h"
#include "core/errand.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/places.h"
#include "locker/session.h"
#include "locker/sessions.h"
#include "ledger/parcels.h"
#include "base/log.h"

#include <errno.h>

static int fill_queue(Locker *l, Session *s) {
        _cleanup_free_ uint64_t *ids = NULL;
        size_t n;
        int r = session_parcels(l, s, &ids, &n);

        if (r < 0)
                return r;
        free(s->queue);
        s->queue = calloc(n + 1, sizeof(*s->queue));
        s->n_queue = s->queue_at = 0;
        if (!s->queue)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                _cleanup_parcel_ ParcelRow p = {0};
                int slot, position;
                r = ledger_parcel_get(l->ledger, ids[i], &p);
                if (r < 0 || parcel_place(l, &p, &slot, &position) < 0)
                        continue;
                s->queue[s->n_queue++] = (Placement){
                        .parcel = p.id, .slot = slot, .position = l->cabinet->positions[position].number};
        }
        return s->n_queue ? 0 : LOCKER_E_NOTHING_TO_COLLECT;
}

/* Every lock on the way answers: a door that opens in front of a lid that cannot is of no use. */
static bool boards_answer(const Locker *l, const Placement *place) {
        const Slot *slot = &l->cabinet->slots[place->slot];
        int inner = l->cabinet->positions[slot->first_position + (int)place->position - 1].lock;

        return locker_board_online(l, l->cabinet->locks[slot->lock].board) &&
               (inner < 0 || locker_board_online(l, l->cabinet->locks[inner].board));
}

static bool may_open(const Locker *l, const Session *s, int slot) {
        DoorState door = l->hardware.doors[l->cabinet->slots[slot].lock].state;

        return slot_is_clear(l, slot, s) &&
               (door == DOOR_LOCKED || door == DOOR_JAMMED || door == DOOR_UNKNOWN);
}

/* Between listing and now it may have been collected, or its slot be in somebody's hands: left for the next
 * time. */
static int check_one(Session *s, const Placement *place, int position, ParcelRow *p) {
        Locker *l = s->locker;

        if (!boards_answer(l, place))
                return LOCKER_E_BOARD_OFFLINE;
        if (!may_open(l, s, place->slot) || lid_holds_back(l, place->slot, position, NULL))
                return LOCKER_E_SLOT_BUSY;
        int r = ledger_parcel_get(l->ledger, place->parcel, p);
        if (r < 0)
                return r == -ENOENT ? LOCKER_E_SLOT_BUSY : r;
        return p->state == PARCEL_REJECTED || p->state == PARCEL_RECALLED ||
                               (!p->doubted && locker_expired(l, p))
                       ? 0
                       : LOCKER_E_SLOT_BUSY;
}

/* The state stays what it is; that it is being taken back is remembered, should the power go. */
static int write_take_back(Errand *e, ParcelRow *p) {
        p->taking_back = true;
        int r = ledger_parcel_update(e->locker->ledger, p);
        return r < 0 ? r : errand_intend(e, "take-back", false);
}

static int open_one(Session *s, const Placement *place) {
        Locker *l = s->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        int position = l->cabinet->slots[place->slot].first_position + (int)place->position - 1;
        Errand *e;
        int r = check_one(s, place, position, &p);

        if (!r)
                r = errand_new(l, ERRAND_TAKE_BACK, s, place->slot, position, &e);
        if (r)
                return r;
        e->parcel = place->parcel;
        r = locker_begin(l);
        if (!r)
                r = locker_end(l, write_take_back(e, &p));
        if (r) {
                errand_free(e);
                return r;
        }
        errand_begin(e, steal_ptr(s->reply), s->reply_userdata);
        return 0;
}

/* Opens the next of the queue. At its end the request, if none of its doors opened, is answered by why the
 * last one did not. */
void take_back_next(Session *s) {
        Locker *l = s->locker;
        Placement place = session_place(s);
        int r = s->take_back_result;

        while (s->queue_at < s->n_queue) {
                r = open_one(s, &s->queue[s->queue_at++]);
                if (!r)
                        return;
        }
        if (s->reply)
                session_answer(s, r, NULL);
        if (!s->gone)
                notify_prompt(&l->records, s, place.slot, place.position, "done", "That was all. Thank you.");
}

/* The ledger does not take what came of the last one, and nobody knows when it will. The request has its
 * answer now, and no further door opens by itself when there is nobody in front of it any more. */
void take_back_stop(Session *s) {
        s->queue_at = s->n_queue;
        if (s->reply)
                session_answer(s, s->take_back_result, NULL);
}

void locker_take_back(Locker *l, Session *s, LockerReply reply, void *userdata) {
        int r = session_expect(s, ACT_TAKE_BACK);

        if (!r && session_is_at_work(s))
                r = LOCKER_E_WRONG_STATE;
        if (!r)
                r = fill_queue(l, s);
        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        s->reply = reply;
        s->reply_userdata = userdata;
        s->take_back_result = LOCKER_E_SLOT_BUSY;
        take_back_next(s);
}
