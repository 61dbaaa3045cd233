/* SPDX-License-Identifier: Apache-2.0 */
/* The one way for a parcel to change: whatever it becomes, for whatever reason, times, validity, code,
 * reminders and events follow here. */
#include "locker/parcels.h"
#include "cabinet/hardware.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/places.h"
#include "ledger/codes.h"
#include "ledger/parcels.h"
#include "ledger/slots.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>

#define SENSORS_LAG_USEC USEC_PER_SEC /* of a presence sensor behind what was just shut */

/* What it may have to become again. */
static ParcelState remembered(const ParcelRow *p, ParcelState to) {
        if (to == PARCEL_COLLECTING)
                return p->state;
        if (to == PARCEL_UNVERIFIED)
                return p->state == PARCEL_REJECTED || p->state == PARCEL_RECALLED ? p->state
                                                                                  : PARCEL_ANNOUNCED;
        return PARCEL_ANNOUNCED;
}

static int becomes_stored(Locker *l, ParcelRow *p) {
        /* Never seen to be stored before: from now on it is, and waits as long as any other. */
        if (p->stored)
                return 0;
        p->stored = locker_stamp(l, p, LOOSE_STORED | LOOSE_EXPIRES);
        p->expires = p->stored + (int64_t)l->settings->code_valid_usec;
        return ledger_position_used(l->ledger, p->slot, p->position);
}

int parcel_write(Locker *l, ParcelRow *p, ParcelState to, const char *actor, const char *reason) {
        bool changes = p->state != to;
        int r = 0;

        if (changes && !parcel_may_become(p->state, to))
                return -EINVAL;
        if (changes)
                p->was = remembered(p, to);
        /* An unverified one keeps what was said of it, for whoever finds it. */
        if (changes && to != PARCEL_UNVERIFIED)
                p->choice = CHOICE_NONE;
        /* A recall in the middle of a take-back changes nothing of what the courier is at. */
        if (changes && to != PARCEL_RECALLED)
                p->taking_back = false;
        p->state = to;
        if (to == PARCEL_STORED)
                r = becomes_stored(l, p);
        if (parcel_is_final(to))
                p->ended = locker_wall(l);
        if (r >= 0 && (to == PARCEL_REJECTED || to == PARCEL_RECALLED))
                r = ledger_code_erase(l->ledger, p->id);
        if (r >= 0)
                r = p->id ? ledger_parcel_update(l->ledger, p) : ledger_parcel_insert(l->ledger, p);
        if (r >= 0 && changes)
                r = locker_record_parcel(l, actor, reason, p, NULL);
        if (r >= 0 && changes)
                r = people_parcel_moved(l->people, p);
        return r;
}

void parcel_written(Locker *l, const ParcelRow *p, const char *reason) {
        if (p->state == PARCEL_UNVERIFIED)
                log_message(LOG_WARNING, LOCKERD_MESSAGE_UNVERIFIED,
                            (const char *const[]){"LOCKERD_SLOT", p->slot, NULL},
                            "Parcel %llu in slot %s position %u is unverified%s%s%s: look and reconcile",
                            (unsigned long long)p->id, p->slot, p->position, reason ? " (" : "",
                            reason ? reason : "", reason ? ")" : "");
        notify_parcel(&l->records, p->id);
}

int parcel_becomes(Locker *l, uint64_t id, ParcelState to, const char *actor, const char *reason) {
        _cleanup_parcel_ ParcelRow p = {0};
        int r = ledger_parcel_get(l->ledger, id, &p);

        if (r >= 0)
                r = locker_begin(l);
        if (r < 0)
                return r;
        r = locker_end(l, parcel_write(l, &p, to, actor, reason));
        if (!r)
                parcel_written(l, &p, reason);
        return r;
}

/* --- exposed --- */

typedef struct Exposed {
        Locker *locker;
        int lock;
        bool only_empty; /* what was not marked at first, because a sensor saw it */
        uint64_t next;   /* the first one that has to be marked; 0: none */
} Exposed;

static int find_exposed(void *userdata, const ParcelRow *p) {
        Exposed *e = userdata;
        const Cabinet *c = e->locker->cabinet;
        int slot, position;

        if (p->state != PARCEL_STORED && p->state != PARCEL_REJECTED && p->state != PARCEL_RECALLED)
                return 0;
        /* The take-back under way judges its own parcel. */
        if (parcel_place(e->locker, p, &slot, &position) < 0 || p->taking_back)
                return 0;
        int guard = c->positions[position].lock >= 0 ? c->positions[position].lock : c->slots[slot].lock;
        Tri occupied = position_occupied(&e->locker->hardware, position);
        if (guard != e->lock || (e->only_empty ? occupied != TRI_NO : occupied == TRI_YES))
                return 0;
        e->next = p->id;
        return 1;
}

static int mark_exposed(Locker *l, int lock) {
        const char *label = l->cabinet->slots[l->cabinet->locks[lock].slot].label;
        Exposure *x = &l->exposed[lock];
        int r;

        for (;;) {
                Exposed e = {.locker = l, .lock = lock, .only_empty = x->marked};
                r = ledger_parcel_each_in_slot(l->ledger, label, find_exposed, &e);
                if (r < 0 || !e.next)
                        break;
                r = parcel_becomes(l, e.next, PARCEL_UNVERIFIED, NULL, x->why);
                if (r < 0)
                        break;
        }
        if (r >= 0) {
                x->marked = true;
                return 0;
        }
        l->exposed_at = MIN(l->exposed_at, l->now().boot_usec + RECORDS_RETRY_USEC);
        return log_error_errno(
                r, "Cannot mark what lies behind a lock that was opened without its owner; trying again");
}

void parcels_exposed(Locker *l, int lock, const char *why) {
        l->exposed[lock] = (Exposure){.why = why, .over_at = USEC_INFINITY};
        /* Before that the presence sensors have not spoken yet; then recover.c looks at all of them. */
        if (l->recovered)
                (void)mark_exposed(l, lock);
}

void parcels_watched(Locker *l, int lock, const char *why) {
        if (!l->exposed[lock].why)
                l->exposed[lock] = (Exposure){.why = why, .marked = true, .over_at = USEC_INFINITY};
}

void exposed_look(Locker *l, int slot) {
        uint64_t now = l->now().boot_usec;

        for (int i = 0; l->recovered && i < l->cabinet->n_locks; i++) {
                Exposure *x = &l->exposed[i];
                if (!x->why || l->cabinet->locks[i].slot != slot)
                        continue;
                (void)mark_exposed(l, i);
                bool is_shut = lock_is_shut(&l->hardware, i);
                if (!is_shut)
                        x->over_at = USEC_INFINITY;
                else if (x->over_at == USEC_INFINITY)
                        x->over_at = now + SENSORS_LAG_USEC;
                l->exposed_at = MIN(l->exposed_at, x->over_at);
        }
}

void exposed_tick(Locker *l, const Now *now) {
        if (now->boot_usec < l->exposed_at)
                return;
        l->exposed_at = USEC_INFINITY;
        for (int i = 0; i < l->cabinet->n_locks; i++) {
                Exposure *x = &l->exposed[i];
                if (!x->why || mark_exposed(l, i) < 0)
                        continue;
                if (now->boot_usec >= x->over_at)
                        x->why = NULL;
                else
                        l->exposed_at = MIN(l->exposed_at, x->over_at);
        }
}
