/* SPDX-License-Identifier: Apache-2.0 */
#include "locker/places.h"
#include "cabinet/hardware.h"
#include "core/fit.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "ledger/parcels.h"
#include "ledger/slots.h"

#include <errno.h>
#include <stdio.h>

int parcel_place(const Locker *l, const ParcelRow *p, int *ret_slot, int *ret_position) {
        int slot = p->slot[0] ? locker_find_slot(l, p->slot) : -1;

        int position = cabinet_find_position(l->cabinet, slot, p->position);

        if (position < 0)
                return -ENOENT;
        *ret_slot = slot;
        *ret_position = position;
        return 0;
}

void parcel_set_place(const Locker *l, ParcelRow *p, int position) {
        const Position *place = &l->cabinet->positions[position];

        snprintf(p->slot, sizeof(p->slot), "%s", l->cabinet->slots[place->slot].label);
        p->position = place->number;
}

bool lid_holds_back(Locker *l, int slot, int own_position, unsigned *ret_number) {
        const Slot *k = &l->cabinet->slots[slot];

        for (int i = 0; i < k->n_positions; i++) {
                const Position *p = &l->cabinet->positions[k->first_position + i];
                _cleanup_parcel_ ParcelRow row = {0};
                if (k->first_position + i == own_position || p->lock < 0 ||
                    !lid_is_open(&l->hardware, p->lock) ||
                    ledger_parcel_at(l->ledger, k->label, p->number, &row) < 0 ||
                    !parcel_may_be_inside(row.state))
                        continue;
                if (ret_number)
                        *ret_number = p->number;
                return true;
        }
        return false;
}

typedef struct Gather {
        Locker *locker;
        PositionFacts *facts;
        unsigned *load; /* [n_slots] */
} Gather;

static int gather_place(void *userdata, const PlaceRow *p) {
        Gather *g = userdata;
        int slot = locker_find_slot(g->locker, p->slot);

        /* A parcel in a slot that the cabinet no longer has takes nothing away from those that it had before
         * (know_places()); one in a part of a slot that is not divided so any more takes all of it.
         */
        if (slot < 0)
                return 0;
        const Slot *s = &g->locker->cabinet->slots[slot];
        int position = cabinet_find_position(g->locker->cabinet, slot, p->position);
        if (position < 0) {
                for (int i = 0; i < s->n_positions; i++)
                        g->facts[s->first_position + i].taken = true;
                return 0;
        }
        g->facts[position].taken = true;
        g->load[slot]++;
        return 0;
}

static int gather_service(void *userdata, const ServiceRow *r) {
        Gather *g = userdata;
        int slot = locker_find_slot(g->locker, r->slot);

        if (slot < 0)
                return 0;
        const Slot *s = &g->locker->cabinet->slots[slot];
        for (int i = 0; i < s->n_positions; i++) {
                PositionFacts *f = &g->facts[s->first_position + i];
                if (r->position && r->position != (unsigned)i + 1)
                        continue;
                if (r->service != SERVICE_IN)
                        f->in_service = false;
                if (r->position)
                        f->last_used = r->last_used;
        }
        return 0;
}

static void gather_sensors(Locker *l, const Session *own, int position, PositionFacts *f) {
        const Position *p = &l->cabinet->positions[position];
        const Lock *door = &l->cabinet->locks[l->cabinet->slots[p->slot].lock];

        /* What a session keeps for reopening is not kept from itself. */
        const Errand *e = l->holder[p->slot];
        f->held = (e && (!own || e->session != own)) || !slot_is_shut(&l->hardware, p->slot) ||
                  lid_holds_back(l, p->slot, position, NULL);
        f->board_online = locker_board_online(l, door->board) &&
                          (p->lock < 0 || locker_board_online(l, l->cabinet->locks[p->lock].board));
        f->inner_unlocked = !lock_is_shut(&l->hardware, p->lock);
        f->has_presence = p->presence.board >= 0;
        f->occupied = position_occupied(&l->hardware, position);
}

/* What ledger and sensors say of every position, into fresh memory. */
static int gather_facts(Locker *l, const Session *own, PositionFacts **ret) {
        const Cabinet *c = l->cabinet;
        _cleanup_free_ PositionFacts *facts = calloc((size_t)c->n_positions + 1, sizeof(*facts));
        _cleanup_free_ unsigned *load = calloc((size_t)c->n_slots + 1, sizeof(*load));

        if (!facts || !load)
                return -ENOMEM;
        for (int i = 0; i < c->n_positions; i++) {
                facts[i].in_service = true;
                gather_sensors(l, own, i, &facts[i]);
        }
        Gather g = {.locker = l, .facts = facts, .load = load};
        int r = ledger_place_each(l->ledger, NULL, gather_place, &g);
        if (r >= 0)
                r = ledger_service_each(l->ledger, gather_service, &g);
        if (r < 0)
                return r;
        for (int i = 0; i < c->n_positions; i++)
                facts[i].slot_load = load[c->positions[i].slot];
        *ret = steal_ptr(facts);
        return 0;
}

Refusal locker_choose_position(Locker *l, const Session *own, const FitRequest *fit, const uint8_t *tried,
                               int *ret_position) {
        _cleanup_free_ PositionFacts *facts = NULL;

        if (gather_facts(l, own, &facts) < 0)
                return LOCKER_E_INTERNAL;
        if (tried)
                for (int i = 0; i < l->cabinet->n_positions; i++)
                        facts[i].tried = tried[i];
        return fit_choose(l->cabinet, facts, fit, ret_position);
}

bool locker_reserved_is_free(Locker *l, const Session *own, int position) {
        _cleanup_free_ PositionFacts *facts = NULL;

        if (gather_facts(l, own, &facts) < 0)
                return false;
        facts[position].taken = false; /* by the reservation itself */
        return fit_is_free(&facts[position]);
}

int locker_free_positions(Locker *l, unsigned *ret_by_size) {
        _cleanup_free_ PositionFacts *facts = NULL;
        int r = gather_facts(l, NULL, &facts);

        if (r < 0)
                return r;
        memset(ret_by_size, 0, sizeof(*ret_by_size) * (size_t)l->cabinet->n_sizes);
        for (int i = 0; i < l->cabinet->n_positions; i++)
                if (fit_is_free(&facts[i]))
                        ret_by_size[l->cabinet->slots[l->cabinet->positions[i].slot].size]++;
        return 0;
}

int locker_free_kinds(Locker *l, FreeKind **ret, size_t *ret_n) {
        const Cabinet *c = l->cabinet;
        _cleanup_free_ PositionFacts *facts = NULL;
        _cleanup_free_ FreeKind *kinds = calloc((size_t)c->n_positions + 1, sizeof(*kinds));
        size_t n = 0;
        int r = kinds ? gather_facts(l, NULL, &facts) : -ENOMEM;

        if (r < 0)
                return r;
        for (int i = 0; i < c->n_positions; i++) {
                const Slot *s = &c->slots[c->positions[i].slot];
                unsigned ordinal = c->sizes[s->size].ordinal;
                size_t k = 0;
                while (k < n && (kinds[k].ordinal != ordinal || kinds[k].temperature != s->temperature ||
                                 kinds[k].accessible != s->accessible))
                        k++;
                if (k == n)
                        kinds[n++] = (FreeKind){.ordinal = ordinal,
                                                .temperature = s->temperature,
                                                .accessible = s->accessible};
                kinds[k].free += fit_is_free(&facts[i]);
        }
        *ret = steal_ptr(kinds);
        *ret_n = n;
        return 0;
}

int locker_quarantine(Locker *l, int position, const char *actor, const char *why) {
        const Position *p = &l->cabinet->positions[position];
        char subject[SUBJECT_MAX];

        int r = ledger_service_set(l->ledger, l->cabinet->slots[p->slot].label, p->number,
                                   SERVICE_QUARANTINED, why);
        if (r < 0)
                return r;
        subject_place(l->cabinet, p->slot, p->number, subject);
        return locker_record(l, actor, why, "slot.quarantined", subject,
                             data_place(l->cabinet, p->slot, p->number), NULL);
}
