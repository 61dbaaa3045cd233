/* SPDX-License-Identifier: Apache-2.0 */
/* A recipient collects (A4, D5): only the door of the slot and the lock of the one position; then accept or
 * reject. */
#include "locker/private.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

static int choose_parcel(Locker *l, Session *s, uint64_t wanted, uint64_t *ret) {
        _cleanup_free_ uint64_t *ids = NULL;
        size_t n;
        int r = session_parcels(l, s, &ids, &n);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (!wanted || ids[i] == wanted) {
                        *ret = ids[i];
                        return 0;
                }
        if (!wanted)
                return LOCKER_E_NOTHING_TO_COLLECT;
        _cleanup_parcel_ ParcelRow p = {0};
        r = ledger_parcel_get(l->ledger, wanted, &p);
        return r == -ENOENT ? LOCKER_E_UNKNOWN_PARCEL : r < 0 ? r : LOCKER_E_NOT_ALLOWED;
}

/* Everything that must be durable before the pulse, in one transaction. */
static int write_collect(Session *s, ParcelRow *p) {
        Locker *l = s->locker;

        p->state = PARCEL_COLLECTING;
        int r = ledger_parcel_update(l->ledger, p);
        if (r >= 0)
                r = opening_intend(s, "collect", false);
        if (r >= 0)
                r = locker_record_parcel(l, s->actor, NULL, p, NULL);
        return r;
}

static void collect_opened(Session *s, int result) {
        if (!result) {
                session_set_state(s, SESSION_OPEN);
                session_answer(s, 0, NULL);
                session_prompt(s, "take-out", "Take the item out, accept or reject it, and close the door.");
                session_shut(s);
                return;
        }
        /* The door never opened: it is still inside and the code still good. The door open but the lid stuck:
         * likewise. */
        (void)parcel_owe(s->locker, s->parcel,
                         result == LOCKER_E_OUTCOME_UNKNOWN ? PARCEL_UNVERIFIED : PARCEL_STORED, s->actor,
                         refusal_name(result));
        s->step = STEP_NONE;
        s->settled = true;
        session_answer(s, result, NULL);
        session_settled(s, "did-not-open", refusal_sentence((Refusal)result));
        session_drop_slot(s);
}

static int begin_collect(Locker *l, Session *s, uint64_t wanted, char detail[LOCKER_DETAIL_MAX]) {
        _cleanup_parcel_ ParcelRow p = {0};
        uint64_t id;
        unsigned neighbour;
        int slot, position;
        int r = choose_parcel(l, s, wanted, &id);

        if (!r)
                r = ledger_parcel_get(l->ledger, id, &p);
        if (r)
                return r;
        if (parcel_place(l, &p, &slot, &position) < 0)
                return LOCKER_E_UNKNOWN_SLOT;
        /* Both, or a shared slot would stand open for a position that cannot be unlocked. */
        if (!place_online(l, slot, position))
                return LOCKER_E_BOARD_OFFLINE;
        /* A6: nobody joins another one at an open slot, and a door that stands open is nobody's to guess
         * about. */
        if (!slot_is_clear(l, slot, s))
                return LOCKER_E_SLOT_BUSY;
        const Door *door = &l->doors[l->cabinet->slots[slot].lock];
        if (door_is_open(door) || door->state == DOOR_CLOSING) {
                snprintf(detail, LOCKER_DETAIL_MAX,
                         "The door of slot %s is reported open. If it is shut, please call the operator.",
                         p.slot);
                return LOCKER_E_SLOT_BUSY;
        }
        if (lid_holds_back(l, slot, position, &neighbour)) {
                snprintf(detail, LOCKER_DETAIL_MAX,
                         "The lid of position %u beside it is not locked. Please call the operator.",
                         neighbour);
                return LOCKER_E_SLOT_BUSY;
        }

        r = locker_begin(l);
        if (r < 0)
                return r;
        session_take_slot(s, slot, position);
        s->parcel = id;
        s->step = STEP_COLLECT;
        s->choice = CHOICE_NONE;
        r = write_collect(s, &p);
        r = locker_end(l, r);
        if (r < 0) {
                opening_drop(s);
                s->step = STEP_NONE;
                session_drop_slot(s);
        }
        return r;
}

void locker_collect(Locker *l, Session *s, uint64_t parcel, LockerReply reply, void *userdata) {
        char detail[LOCKER_DETAIL_MAX] = "";
        int r = session_expect(s, ACT_COLLECT);

        if (!r && s->step != STEP_NONE)
                r = LOCKER_E_WRONG_STATE;
        if (!r)
                r = begin_collect(l, s, parcel, detail);
        if (r) {
                reply_refusal(reply, userdata, r, detail);
                return;
        }
        s->reply = reply;
        s->reply_userdata = userdata;
        opening_go(s, collect_opened);
        notify_parcel(l, s->parcel);
}

static int choose(Session *s, Act act, Step step, Choice choice) {
        int r = session_expect(s, act);

        if (r)
                return r;
        if (s->step != step)
                return LOCKER_E_WRONG_STATE;
        s->choice = choice;
        s->waiting = WAITING_NO;
        s->out_of_time = false;
        s->answer_at = USEC_INFINITY;
        session_shut(s);
        return 0;
}

int locker_accept(Locker *l, Session *s) {
        return choose(s, ACT_COLLECT, STEP_COLLECT, CHOICE_ACCEPT);
}

int locker_reject(Locker *l, Session *s) {
        return choose(s, ACT_COLLECT, STEP_COLLECT, CHOICE_REJECT);
}

int locker_cancel(Locker *l, Session *s) {
        if (s->step == STEP_DEPOSIT) {
                int r = choose(s, ACT_DEPOSIT, STEP_DEPOSIT, CHOICE_CANCEL);
                if (!r && s->step == STEP_DEPOSIT)
                        session_prompt(s, "take-out", "Take the item out again and close the door.");
                return r;
        }
        int r = session_expect(s, ACT_REOPEN);
        if (r)
                return r;
        if (s->step != STEP_TAKE_BACK)
                return LOCKER_E_WRONG_STATE;
        s->queue_at = s->n_queue; /* the door that is open is the last one */
        return 0;
}

static void reopened(Session *s, int result) {
        session_set_state(s, result ? (s->settled ? SESSION_AUTHENTICATED : SESSION_CLOSING) : SESSION_OPEN);
        s->reopened = !result && s->settled;
        session_answer(s, result, NULL);
        session_shut(s);
}

/* Within the grace time the courier is still at it: the parcel is being deposited again, may be moved or
 * cancelled, and is judged anew when the door is shut. In the transaction of the intent. */
static int resume_deposit(Session *s) {
        Locker *l = s->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        int r = ledger_parcel_get(l->ledger, s->parcel, &p);

        if (r < 0)
                return r == -ENOENT ? LOCKER_E_GRACE_OVER : r;
        if (p.state != PARCEL_STORED)
                return LOCKER_E_GRACE_OVER; /* recalled, or somebody collects it */
        p.state = PARCEL_DEPOSITING;
        r = ledger_parcel_update(l->ledger, &p);
        return r < 0 ? r : locker_record_parcel(l, s->actor, "reopen", &p, NULL);
}

static void deposit_resumed(Session *s) {
        s->step = STEP_DEPOSIT;
        s->choice = CHOICE_NONE;
        s->settled = s->deposited = s->out_of_time = false;
        s->grace_until = USEC_INFINITY;
        notify_parcel(s->locker, s->parcel);
}

/* The same without the door: the courier has the item in hand and wants another place for it. */
int session_resume_deposit(Session *s) {
        Locker *l = s->locker;

        if (!s->deposited || s->slot < 0 || l->now().boot_usec >= s->grace_until ||
            position_occupied(l, s->position) == TRI_YES)
                return LOCKER_E_WRONG_STATE;
        int r = locker_begin(l);
        if (!r)
                r = locker_end(l, resume_deposit(s));
        if (!r)
                deposit_resumed(s);
        return r;
}

/* The same place once more: while its step waits for something, or within the grace time after it. */
void locker_reopen(Locker *l, Session *s, LockerReply reply, void *userdata) {
        Now now = l->now();
        int r = session_expect(s, ACT_REOPEN);

        if (!r && s->inner)
                r = LOCKER_E_BUSY; /* its lid is being locked */
        if (!r && s->slot < 0)
                r = s->settled ? LOCKER_E_GRACE_OVER : LOCKER_E_WRONG_STATE;
        if (!r && !slot_is_closed(l, s->slot))
                r = LOCKER_E_WRONG_STATE;
        if (!r && s->settled && now.boot_usec >= s->grace_until)
                r = LOCKER_E_GRACE_OVER;
        if (!r)
                r = locker_begin(l);
        if (!r) {
                r = s->deposited ? resume_deposit(s) : 0;
                if (!r)
                        r = opening_intend(s, "reopen", false);
                r = locker_end(l, r);
                if (r < 0)
                        opening_drop(s);
        }
        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        if (s->deposited)
                deposit_resumed(s);
        s->waiting = WAITING_NO;
        s->out_of_time = false;
        s->answer_at = USEC_INFINITY;
        s->reply = reply;
        s->reply_userdata = userdata;
        opening_go(s, reopened);
}
