/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger that is not what this cabinet has had last does not know what has happened since: whatever may be
 * inside is unverified, and where it says that nothing is, something may be. Both are for an operator to
 * find. */
#include "locker/doubt.h"
#include "locker/errand.h"
#include "locker/locker_struct.h"
#include "locker/parcels.h"
#include "locker/places.h"
#include "ledger/parcels.h"
#include "ledger/seals.h"
#include "ledger/settings.h"
#include "ledger/slots.h"
#include "base/ids.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

typedef struct Doubted {
        Locker *locker;
        Ids parcels;
        bool *known; /* [n_positions]: a parcel of the ledger lies there */
} Doubted;

static bool has_errand(const Locker *l, uint64_t parcel, int position) {
        for (const Errand *e = l->errands; e; e = e->next)
                if (parcel ? e->parcel == parcel : e->position == position)
                        return true;
        return false;
}

static int find_doubted(void *userdata, const ParcelRow *p) {
        Doubted *all = userdata;
        int slot, position;

        if (!parcel_may_be_inside(p->state) || p->state == PARCEL_RESERVED)
                return 0;
        if (parcel_place(all->locker, p, &slot, &position) >= 0)
                all->known[position] = true;
        return p->doubted || has_errand(all->locker, p->id, -1) ? 0 : ids_add(&all->parcels, p->id);
}

static int gather_doubted(Locker *l, Doubted *ret) {
        *ret = (Doubted){.locker = l,
                         .known = calloc((size_t)l->cabinet->n_positions + 1, sizeof(*ret->known))};
        return ret->known ? ledger_parcel_each(l->ledger, find_doubted, ret) : -ENOMEM;
}

static void doubted_done(Doubted *all) {
        ids_done(&all->parcels);
        free(all->known);
}

static int doubt_parcel(Locker *l, uint64_t id, const char *reason) {
        _cleanup_parcel_ ParcelRow p = {0};
        int r = ledger_parcel_doubt(l->ledger, id);

        if (r >= 0)
                r = ledger_parcel_get(l->ledger, id, &p);
        return r < 0 ? r : locker_record_parcel(l, NULL, reason, &p, NULL);
}

/* One whose parcel is doubted is not free in any case, and found out with its parcel. */
static int doubt_place(Locker *l, int position, const char *reason) {
        const Position *p = &l->cabinet->positions[position];
        ServiceRow row = {0};
        int r = ledger_service_get(l->ledger, l->cabinet->slots[p->slot].label, p->number, &row);

        if (r >= 0 && row.service == SERVICE_IN)
                r = locker_quarantine(l, position, NULL, reason);
        service_row_done(&row);
        return r;
}

/* Where the ledger knows of nothing. */
static int doubt_places(Locker *l, const Doubted *all, const char *reason) {
        char why[160];
        int r = 0;

        (void)snprintf(why, sizeof(why), "%s: look inside, then lockerctl reconcile", reason);
        for (int i = 0; r >= 0 && i < l->cabinet->n_positions; i++)
                if (!all->known[i] && !has_errand(l, 0, i))
                        r = doubt_place(l, i, why);
        return r;
}

static int write_doubts(Locker *l, const Doubted *all, const char *reason) {
        int r = locker_begin(l);

        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < all->parcels.n; i++)
                r = doubt_parcel(l, all->parcels.ids[i], reason);
        if (r >= 0)
                r = doubt_places(l, all, reason);
        return locker_end(l, MIN(r, 0));
}

static void tell_doubts(Locker *l, const Doubted *all, const char *reason) {
        for (size_t i = 0; i < all->parcels.n; i++) {
                _cleanup_parcel_ ParcelRow p = {0};
                if (ledger_parcel_get(l->ledger, all->parcels.ids[i], &p) >= 0)
                        parcel_written(l, &p, reason);
        }
        for (int i = 0; i < l->cabinet->n_slots; i++)
                notify_slot(&l->records, i);
        log_warning("Whatever may be in the cabinet is unverified and no place is offered, because %s: look "
                    "inside (lockerctl parcels, lockerctl reconcile)",
                    reason);
}

int locker_doubt_contents(Locker *l, const char *reason) {
        _cleanup_(doubted_done) Doubted all = {0};
        int r = gather_doubted(l, &all);

        if (r >= 0)
                r = write_doubts(l, &all, reason);
        if (r >= 0)
                tell_doubts(l, &all, reason);
        return r;
}

/* --- rows of parcels that somebody else has written --- */

static int collect_id(void *userdata, uint64_t id) {
        return ids_add(userdata, id);
}

static void changed_setting(uint64_t parcel, char ret[64]) {
        (void)snprintf(ret, 64, "changed-parcel-%llu", (unsigned long long)parcel);
}

/* It was found at an earlier start, and an operator may have looked since. */
static bool is_settled(Locker *l, const Ids *changed) {
        char name[64];
        int64_t value;

        for (size_t i = 0; i < changed->n; i++) {
                changed_setting(changed->ids[i], name);
                if (ledger_setting_get(l->ledger, name, &value) < 0)
                        return false;
        }
        return true;
}

static int write_changed(Locker *l, const Doubted *all, const Ids *changed) {
        char name[64];
        int r = locker_begin(l);

        if (r < 0)
                return r;
        r = doubt_places(l, all, "parcels were changed while lockerd did not run");
        for (size_t i = 0; r >= 0 && i < changed->n; i++) {
                changed_setting(changed->ids[i], name);
                r = ledger_setting_set(l->ledger, name, 1);
        }
        return locker_end(l, MIN(r, 0));
}

/* What lay where such a row was before may be anywhere: no place is free on the ledger's word. */
static int doubt_changed(Locker *l) {
        _cleanup_(doubted_done) Doubted all = {0};
        _cleanup_ids_ Ids changed = {0};
        bool whole;
        int r = ledger_parcels_each_changed(l->ledger, collect_id, &changed, &whole);

        if (r < 0 || (!whole && is_settled(l, &changed)))
                return r;
        r = gather_doubted(l, &all);
        return r < 0 ? r : write_changed(l, &all, &changed);
}

int locker_settle_finding(Locker *l) {
        uint64_t told;
        LedgerFinding f = ledger_finding(l->ledger, &told);

        if (f == LEDGER_IN_ORDER) {
                int r = doubt_changed(l);
                /* Where answered commands were taken out, those that name no epoch could be carried out
                 * again. */
                return r >= 0 && ledger_inbox_is_doubtful(l->ledger) ? locker_begin_epoch(l, EPOCH_UNCLEAN, 0)
                                                                     : r;
        }
        /* First: a power cut between the two finds the same again. */
        int r = locker_doubt_contents(l, f == LEDGER_END_MISSING
                                                 ? "the end of the ledger is missing"
                                                 : "the ledger is not the one that was here last");
        return r < 0 ? r
                     : locker_begin_epoch(l,
                                          f == LEDGER_BEHIND    ? EPOCH_BEHIND
                                          : f == LEDGER_FOREIGN ? EPOCH_FOREIGN
                                                                : EPOCH_UNCLEAN,
                                          told);
}
