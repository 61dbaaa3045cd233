/* SPDX-License-Identifier: Apache-2.0 */
/* A courier takes back everything rejected, recalled or expired in one go (F11): one door after the other. */
#include "locker/private.h"
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

static void take_back_opened(Session *s, int result) {
        if (!result) {
                session_set_state(s, SESSION_OPEN);
                if (s->reply)
                        session_answer(s, 0, NULL);
                session_prompt(s, "take-next", "Take the item out and close the door.");
                session_shut(s);
                return;
        }
        session_prompt(s, "did-not-open", refusal_sentence((Refusal)result));
        session_drop_slot(s);
        s->step = STEP_TAKE_BACK;
        (void)take_back_next(s);
        if (s->step == STEP_NONE && s->reply)
                session_answer(s, result, NULL);
}

/* Every lock on the way answers: a door that opens in front of a lid that cannot is of no use. */
static bool boards_answer(const Locker *l, const Placement *place) {
        const Slot *slot = &l->cabinet->slots[place->slot];
        int inner = l->cabinet->positions[slot->first_position + (int)place->position - 1].lock;

        return locker_board_online(l, l->cabinet->locks[slot->lock].board) &&
               (inner < 0 || locker_board_online(l, l->cabinet->locks[inner].board));
}

static bool may_open(Locker *l, const Session *s, int slot) {
        DoorState door = l->doors[l->cabinet->slots[slot].lock].state;

        return slot_is_clear(l, slot, s) &&
               (door == DOOR_LOCKED || door == DOOR_JAMMED || door == DOOR_UNKNOWN);
}

static int open_one(Session *s, const Placement *place) {
        Locker *l = s->locker;
        _cleanup_parcel_ ParcelRow p = {0};

        /* Between listing and now it may have been collected, or its slot be in somebody's hands: leave it
         * for the next time. */
        if (!boards_answer(l, place))
                return LOCKER_E_BOARD_OFFLINE;
        if (!may_open(l, s, place->slot) ||
            lid_holds_back(l, place->slot,
                           l->cabinet->slots[place->slot].first_position + (int)place->position - 1, NULL) ||
            ledger_parcel_get(l->ledger, place->parcel, &p) < 0 ||
            !(p.state == PARCEL_REJECTED || p.state == PARCEL_RECALLED || locker_expired(l, &p)))
                return LOCKER_E_SLOT_BUSY;
        int r = locker_begin(l);
        if (r < 0)
                return r;
        session_take_slot(s, place->slot,
                          l->cabinet->slots[place->slot].first_position + (int)place->position - 1);
        s->parcel = place->parcel;
        r = opening_intend(s, "take-back", false);
        r = locker_end(l, r);
        if (r < 0) {
                opening_drop(s);
                session_drop_slot(s);
                return r;
        }
        opening_go(s, take_back_opened);
        return 0;
}

/* Opens the next of the queue; at its end the step is over. Returns why the last one could not be tried, or
 * 0. */
int take_back_next(Session *s) {
        int r = 0;

        s->waiting = WAITING_NO;
        s->answer_at = USEC_INFINITY;
        while (s->queue_at < s->n_queue) {
                r = open_one(s, &s->queue[s->queue_at++]);
                if (r == 0)
                        return 0;
        }
        session_settled(s, "done", "That was all. Thank you.");
        return r;
}

void locker_take_back(Locker *l, Session *s, LockerReply reply, void *userdata) {
        int r = session_expect(s, ACT_TAKE_BACK);

        if (!r && s->step != STEP_NONE)
                r = LOCKER_E_WRONG_STATE;
        if (!r)
                r = fill_queue(l, s);
        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        s->step = STEP_TAKE_BACK;
        s->choice = CHOICE_NONE;
        s->reply = reply;
        s->reply_userdata = userdata;
        r = take_back_next(s);
        if (s->step == STEP_NONE && s->reply)
                session_answer(s, r, NULL);
}
