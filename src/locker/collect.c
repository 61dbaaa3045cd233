/* SPDX-License-Identifier: Apache-2.0 */
/* A recipient collects (A4, D5): only the door of the slot and the lock of the one position; then accept or
 * reject. */
#include "cabinet/hardware.h"
#include "core/access.h"
#include "core/errand.h"
#include "locker/authenticate.h"
#include "locker/own.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/parcels.h"
#include "locker/places.h"
#include "locker/session.h"
#include "locker/sessions.h"
#include "ledger/parcels.h"
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

/* A6: nobody joins another one at an open slot, and a door that stands open is nobody's to guess about. No
 * side effect. */
static int may_open(const Locker *l, const Session *s, int slot, int position,
                    char detail[LOCKER_DETAIL_MAX]) {
        const Door *door = &l->hardware.doors[l->cabinet->slots[slot].lock];
        unsigned neighbour;

        /* Both, or a shared slot would stand open for a position that cannot be unlocked. */
        if (!place_online(&l->hardware, slot, position))
                return LOCKER_E_BOARD_OFFLINE;
        const Errand *e = l->holder[slot];
        bool somebodys = e && e->session && e->session != s && errand_is_at_work(&e->m);
        if (!somebodys && (door_is_open(door) || door->state == DOOR_CLOSING)) {
                snprintf(detail, LOCKER_DETAIL_MAX,
                         "The door of slot %s is reported open. If it is shut, please call the operator.",
                         l->cabinet->slots[slot].label);
                return LOCKER_E_SLOT_BUSY;
        }
        if (!slot_is_clear(l, slot, s))
                return LOCKER_E_SLOT_BUSY;
        if (lid_holds_back((Locker *)l, slot, position, &neighbour)) {
                snprintf(detail, LOCKER_DETAIL_MAX,
                         "The lid of position %u beside it is not locked. Please call the operator.",
                         neighbour);
                return LOCKER_E_SLOT_BUSY;
        }
        return 0;
}

/* Everything that must be durable before the pulse, in one transaction. */
static int write_collect(Errand *e, ParcelRow *p) {
        int r = parcel_write(e->locker, p, PARCEL_COLLECTING, e->actor, NULL);

        return r < 0 ? r : errand_intend(e, "collect", false);
}

static int begin_collect(Locker *l, Session *s, uint64_t wanted, char detail[LOCKER_DETAIL_MAX],
                         Errand **ret) {
        _cleanup_parcel_ ParcelRow p = {0};
        uint64_t id;
        int slot, position;
        Errand *e;
        int r = choose_parcel(l, s, wanted, &id);

        if (!r)
                r = ledger_parcel_get(l->ledger, id, &p);
        if (r)
                return r;
        if (parcel_place(l, &p, &slot, &position) < 0)
                return LOCKER_E_UNKNOWN_SLOT;
        r = may_open(l, s, slot, position, detail);
        if (!r)
                r = errand_new(l, ERRAND_COLLECT, s, slot, position, &e);
        if (r)
                return r;
        e->parcel = id;
        r = locker_begin(l);
        if (!r)
                r = locker_end(l, write_collect(e, &p));
        if (r) {
                errand_free(e);
                return r;
        }
        *ret = e;
        return 0;
}

void locker_collect(Locker *l, Session *s, uint64_t parcel, LockerReply reply, void *userdata) {
        char detail[LOCKER_DETAIL_MAX] = "";
        Errand *e = NULL;
        int r = session_expect(s, ACT_COLLECT);

        if (!r && session_is_at_work(s))
                r = LOCKER_E_WRONG_STATE;
        if (!r)
                r = begin_collect(l, s, parcel, detail, &e);
        if (r) {
                reply_refusal(reply, userdata, r, detail);
                return;
        }
        errand_begin(e, reply, userdata);
        notify_parcel(&l->records, e->parcel);
}

static int choose(Session *s, Act act, ErrandEvent event, ParcelChoice choice) {
        Errand *e;
        int r = errand_ask(s, act, event, &e);

        if (!r)
                r = errand_write_choice(e, choice);
        if (!r)
                errand_event(e, event);
        return r;
}

int locker_accept(Locker *l, Session *s) {
        return choose(s, ACT_COLLECT, ERRAND_ACCEPT, CHOICE_ACCEPT);
}

int locker_reject(Locker *l, Session *s) {
        return choose(s, ACT_COLLECT, ERRAND_REJECT, CHOICE_REJECT);
}

int locker_cancel(Locker *l, Session *s) {
        if (session_give_up_evidence(s) || session_give_up_enrolment(s))
                return 0;
        if (s->errand && s->errand->m.kind == ERRAND_TAKE_BACK && errand_is_at_work(&s->errand->m)) {
                int r = session_expect(s, ACT_REOPEN);
                if (!r)
                        s->queue_at = s->n_queue; /* the door that is open is the last one */
                return r;
        }
        return choose(s, s->errand && s->errand->m.kind == ERRAND_DEPOSIT ? ACT_DEPOSIT : ACT_REOPEN,
                      ERRAND_CANCEL, CHOICE_CANCEL);
}
