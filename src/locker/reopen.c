/* SPDX-License-Identifier: Apache-2.0 */
/* The same place once more: because it does not open, or because something was forgotten inside. */
#include "cabinet/hardware.h"
#include "core/access.h"
#include "core/errand.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/parcels.h"
#include "locker/session.h"
#include "locker/sessions.h"
#include "ledger/parcels.h"

#include <errno.h>

/* Within the grace time the person is still at it: what is settled, and lies there, is taken up again, and
 * judged anew when the door is shut. In the transaction of the intent. */
static int take_up_again(const Errand *e) {
        Locker *l = e->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        ParcelState to;

        if (e->m.kind == ERRAND_DEPOSIT && e->m.outcome == ERRAND_STORED)
                to = PARCEL_DEPOSITING;
        else if (e->m.kind == ERRAND_COLLECT && e->m.outcome == ERRAND_BACK)
                to = PARCEL_COLLECTING;
        else if (e->m.kind == ERRAND_TAKE_BACK && e->m.outcome == ERRAND_KEPT)
                to = PARCEL_STATE_MAX; /* stays what it is */
        else
                return 0;
        int r = ledger_parcel_get(l->ledger, e->parcel, &p);
        if (r < 0)
                return r == -ENOENT ? LOCKER_E_GRACE_OVER : r;
        if (to == PARCEL_STATE_MAX) {
                p.taking_back = true;
                return ledger_parcel_update(l->ledger, &p);
        }
        /* Recalled, or somebody else has it in hand. */
        if (p.state != PARCEL_STORED && !(p.state == PARCEL_UNVERIFIED && to == PARCEL_COLLECTING))
                return LOCKER_E_GRACE_OVER;
        return parcel_write(l, &p, to, e->actor, "reopen");
}

static void pulse(Session *s, ErrandEvent event, const char *why, bool insist, LockerReply reply,
                  void *userdata) {
        Locker *l = s->locker;
        Errand *e = NULL;
        bool taken_up = false;
        int r = errand_ask(s, ACT_REOPEN, event, &e);

        if (!r && slot_is_moving(&l->hardware, e->slot))
                r = LOCKER_E_BUSY;
        if (!r)
                r = locker_begin(l);
        if (!r) {
                taken_up = e->m.state == ERRAND_GRACE;
                r = taken_up ? take_up_again(e) : 0;
                if (!r)
                        r = errand_intend(e, why, insist);
                r = locker_end(l, r);
                if (r)
                        e->opening = opening_free(e->opening);
        }
        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        errand_expect_reply(e, reply, userdata);
        errand_event(e, event);
        if (taken_up)
                notify_parcel(&l->records, e->parcel);
}

/* "Does not open", said by the person: whatever the sensors say, the locks involved get one more pulse. */
void locker_does_not_open(Locker *l, Session *s, LockerReply reply, void *userdata) {
        pulse(s, ERRAND_DOES_NOT_OPEN, "does-not-open", true, reply, userdata);
}

/* While it waits for something, or within the grace time after it. */
void locker_reopen(Locker *l, Session *s, LockerReply reply, void *userdata) {
        pulse(s, ERRAND_REOPEN, "reopen", false, reply, userdata);
}
