/* SPDX-License-Identifier: Apache-2.0 */
/* After a restart: movements without outcome are held against the sensors, and errands that were interrupted
 * are taken up again. What the sensors settle is settled; the rest is `unknown` and `unverified`, for an
 * operator, never guessed. */
#include "locker/recover.h"
#include "cabinet/hardware.h"
#include "core/errand.h"
#include "locker/doubt.h"
#include "locker/errand.h"
#include "locker/locker_struct.h"
#include "locker/parcels.h"
#include "locker/places.h"
#include "ledger/movements.h"
#include "ledger/parcels.h"
#include "ledger/sessions.h"
#include "ledger/settings.h"
#include "ledger/slots.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>

/* Boards and sensors that have not answered by then are treated as silent. */
#define RECOVER_WAIT_USEC (10 * USEC_PER_SEC)
#define SETTING_PLACES    "places-known"

typedef struct Open {
        uint64_t id, parcel;
        char slot[LABEL_MAX];
        unsigned position;
        bool safety;
} Open;

typedef struct Opens {
        Open *rows;
        size_t n;
} Opens;

static int collect_open(void *userdata, uint64_t id, const char *slot, unsigned position, uint64_t parcel,
                        const char *why) {
        Opens *all = userdata;
        Open *grown = reallocarray(all->rows, all->n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        all->rows = grown;
        Open *o = &all->rows[all->n++];
        *o = (Open){.id = id, .parcel = parcel, .position = position};
        strncpy(o->slot, slot, sizeof(o->slot) - 1);
        o->safety = why && streq(why, "safety");
        return 0;
}

/* A movement without outcome: nobody saw what it did. An open door says that it worked. */
static int settle_movements(Locker *l) {
        Opens all = {0};
        Now now = l->now();
        int r = ledger_movement_each_open(l->ledger, collect_open, &all);

        for (size_t i = 0; r >= 0 && i < all.n; i++) {
                /* What this run has begun while it waited for the sensors is under way. */
                if (all.rows[i].id > l->recover_until)
                        continue;
                int slot = locker_find_slot(l, all.rows[i].slot);
                int lock = hardware_find_lock(&l->hardware, all.rows[i].slot, all.rows[i].position);
                const char *outcome = "unknown";
                char subject[SUBJECT_MAX] = "cabinet";

                if (lock >= 0)
                        subject_place(l->cabinet, slot, all.rows[i].position, subject);
                if (lock >= 0 && (l->hardware.doors[lock].state == DOOR_OPEN ||
                                  l->hardware.doors[lock].state == DOOR_LEFT_OPEN))
                        outcome = "released";
                /* Whoever is there has shown nothing; whether it opened, nobody knows. */
                if (lock >= 0 && all.rows[i].safety)
                        parcels_exposed(l, lock, "opened for safety");
                r = ledger_movement_settle(l->ledger, all.rows[i].id, outcome, &now);
                if (r >= 0 && lock >= 0)
                        r = locker_record(l, NULL, "interrupted by a restart",
                                          streq(outcome, "unknown") ? "door.unknown" : "door.released",
                                          subject, data_place(l->cabinet, slot, all.rows[i].position), NULL);
        }
        free(all.rows);
        return r;
}

static int collect_interrupted(void *userdata, const ParcelRow *p) {
        if (p->state != PARCEL_DEPOSITING && p->state != PARCEL_COLLECTING && !p->taking_back)
                return 0;
        return collect_open(userdata, p->id, p->slot, p->position, p->id, NULL);
}

static ErrandKind kind_of(const ParcelRow *p) {
        return p->taking_back                  ? ERRAND_TAKE_BACK
               : p->state == PARCEL_DEPOSITING ? ERRAND_DEPOSIT
                                               : ERRAND_COLLECT;
}

static ErrandSaid said_of(const ParcelRow *p) {
        static const ErrandSaid said[CHOICE_MAX] = {[CHOICE_ACCEPT] = ERRAND_SAID_ACCEPT,
                                                    [CHOICE_REJECT] = ERRAND_SAID_REJECT,
                                                    [CHOICE_CANCEL] = ERRAND_SAID_CANCEL};
        return said[p->choice];
}

/* The errand goes on where it was interrupted: without its person, and without having seen what happened
 * meanwhile. */
static int take_up(Locker *l, const ParcelRow *p, Errand **ret) {
        int slot, position;
        Errand *e;

        *ret = NULL;
        for (const Errand *other = l->errands; other; other = other->next)
                if (other->parcel == p->id)
                        return 0;
        /* A slot that this cabinet does not have (any more), or one that another interrupted errand has: for
         * an operator. */
        if (parcel_place(l, p, &slot, &position) < 0 || l->holder[slot])
                return parcel_becomes(l, p->id, PARCEL_UNVERIFIED, NULL, "interrupted");
        int r = errand_new(l, kind_of(p), NULL, slot, position, &e);
        if (r < 0)
                return r;
        errand_init_again(&e->m, kind_of(p), said_of(p));
        e->parcel = p->id;
        e->why = "interrupted";
        errand_hold(e);
        *ret = e;
        return 0;
}

static int take_up_all(Locker *l) {
        Opens all = {0};
        int r = ledger_parcel_each(l->ledger, collect_interrupted, &all);

        for (size_t i = 0; r >= 0 && i < all.n; i++) {
                _cleanup_parcel_ ParcelRow p = {0};
                Errand *e = NULL;
                r = ledger_parcel_get(l->ledger, all.rows[i].id, &p);
                if (r >= 0)
                        r = take_up(l, &p, &e);
                if (r >= 0 && e)
                        errands_look(l, e->slot);
        }
        free(all.rows);
        return r;
}

static int find_last(void *userdata, uint64_t id, const char *slot, unsigned position, uint64_t parcel,
                     const char *why) {
        uint64_t *last = userdata;

        *last = MAX(*last, id);
        return 0;
}

/* What lies where the configuration has no slot any more is nobody's to open: whoever changed it is told. */
static bool has_home(const Locker *l, const PlaceRow *p) {
        int slot = p->slot[0] ? locker_find_slot(l, p->slot) : -1;

        return !p->slot[0] || (slot >= 0 && p->position <= (unsigned)l->cabinet->slots[slot].n_positions);
}

typedef struct Known {
        const Locker *locker;
        bool *known; /* [n_positions] */
        unsigned n_homeless;
} Known;

static int mark_known(void *userdata, const ServiceRow *row) {
        Known *k = userdata;
        int slot = locker_find_slot(k->locker, row->slot);
        int position = cabinet_find_position(k->locker->cabinet, slot, row->position);

        if (position >= 0)
                k->known[position] = true;
        return 0;
}

static int count_homeless(void *userdata, const PlaceRow *p) {
        Known *k = userdata;

        k->n_homeless += !has_home(k->locker, p);
        return 0;
}

static int write_place(Locker *l, int position, bool may_be_anothers) {
        const Position *p = &l->cabinet->positions[position];

        return may_be_anothers
                       ? locker_quarantine(l, position, NULL,
                                           "its label is new, and a parcel lies in a slot that is not "
                                           "configured any more, which may be this one: look inside, then "
                                           "lockerctl reconcile")
                       : ledger_service_set(l->ledger, l->cabinet->slots[p->slot].label, p->number,
                                            SERVICE_IN, NULL);
}

static int write_places(Locker *l, const Known *k, bool first) {
        int r = locker_begin(l);

        for (int i = 0; r >= 0 && i < l->cabinet->n_positions; i++)
                if (!k->known[i])
                        r = write_place(l, i, k->n_homeless > 0 && !first);
        if (r >= 0 && first)
                r = ledger_setting_set(l->ledger, SETTING_PLACES, 1);
        return locker_end(l, MIN(r, 0));
}

/* The ledger has a row of each place from its first start on. One that comes later may be the compartment of
 * a parcel whose label is gone: not free until somebody has looked. */
static int know_places(Locker *l) {
        Known k = {.locker = l, .known = calloc((size_t)l->cabinet->n_positions + 1, sizeof(*k.known))};
        int64_t value;
        bool all = true, first = ledger_setting_get(l->ledger, SETTING_PLACES, &value) == -ENOENT;
        int r = k.known ? ledger_service_each(l->ledger, mark_known, &k) : -ENOMEM;

        if (r >= 0)
                r = ledger_place_each(l->ledger, NULL, count_homeless, &k);
        for (int i = 0; r >= 0 && i < l->cabinet->n_positions; i++)
                all = all && k.known[i];
        if (r >= 0 && (!all || first))
                r = write_places(l, &k, first);
        free(k.known);
        return r;
}

int locker_recover_begin(Locker *l) {
        Now now = l->now();

        l->recover_at = now.boot_usec + RECOVER_WAIT_USEC;
        int r = ledger_movement_each_open(l->ledger, find_last, &l->recover_until);
        if (r < 0)
                return r;
        l->adopt_due = l->finding_due = true;
        r = locker_adopt(l);
        if (r == -EBUSY)
                records_locked(&l->records);
        if (r != -ENOSPC)
                return r == -EBUSY ? 0 : r;
        l->records.ledger_failing = true;
        log_message(
                LOG_ERR, LOCKERD_MESSAGE_STORAGE_LOW, NULL,
                "The disk is full: lockerd starts without being able to record anything, so nothing opens. "
                "Free some space.");
        return 0;
}

/* Before anybody comes: nobody's session is older than this run. */
int locker_adopt(Locker *l) {
        Now now = l->now();
        bool was_failing = l->records.ledger_failing;

        if (!l->adopt_due)
                return 0;
        int r = l->finding_due ? locker_settle_finding(l) : 0;
        if (r >= 0) {
                l->finding_due = false;
                r = know_places(l);
        }
        if (r >= 0)
                r = ledger_session_end_all_open(l->ledger, "restart", &now);
        if (r >= 0)
                r = people_adopt(l->people);
        if (r < 0)
                return r;
        l->adopt_due = false;
        if (was_failing) {
                log_notice("What happens can be recorded again");
                storage_check(&l->records, &now);
        }
        return 0;
}

void homeless_count(Locker *l) {
        Known k = {.locker = l};
        int r = ledger_place_each(l->ledger, NULL, count_homeless, &k);

        l->n_homeless = k.n_homeless;
        if (r < 0)
                log_error_errno(r, "Cannot look for parcels in slots that are not configured");
        notify_health(&l->records);
}

static int name_homeless(void *userdata, const PlaceRow *p) {
        const Locker *l = userdata;

        if (has_home(l, p))
                return 0;
        log_message(
                LOG_WARNING, LOCKERD_MESSAGE_SLOT_MISSING,
                (const char *const[]){"LOCKERD_SLOT", p->slot, NULL},
                "Parcel %llu lies in slot %s position %u, which the cabinet's configuration does not have",
                (unsigned long long)p->id, p->slot, p->position);
        return 0;
}

void locker_recover(Locker *l) {
        if (l->recovered || !l->hardware.locks)
                return;
        if (!hardware_all_spoke(&l->hardware) && l->now().boot_usec < l->recover_at)
                return;
        int r = locker_adopt(l);
        if (r >= 0)
                r = locker_begin(l);
        if (r >= 0)
                r = locker_end(l, settle_movements(l));
        l->recovered = l->hardware.may_secure = r >= 0;
        for (int i = 0; i < l->cabinet->n_slots; i++)
                secure_lids(&l->hardware, i); /* not before may_secure */
        if (r >= 0)
                r = take_up_all(l);
        if (r < 0) {
                log_error_errno(r, "Cannot settle what a former run left open; trying again");
                l->recovered = l->hardware.may_secure = false;
                l->recover_at = l->now().boot_usec + RECOVER_WAIT_USEC;
                return;
        }
        /* What was exposed before the sensors had spoken. */
        for (int i = 0; i < l->cabinet->n_slots; i++)
                exposed_look(l, i);
        (void)ledger_place_each(l->ledger, NULL, name_homeless, l);
        homeless_count(l);
}
