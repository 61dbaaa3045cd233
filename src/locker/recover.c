/* SPDX-License-Identifier: Apache-2.0 */
/* After a restart: what a former run left between intent and outcome is held against the sensors. What they
 * settle is settled; the rest is `unknown` and `unverified`, for an operator, never guessed. */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>

/* Boards and sensors that have not answered by then are treated as silent. */
#define RECOVER_WAIT_USEC  (10 * USEC_PER_SEC)
#define ORPHANS_RETRY_USEC (5 * USEC_PER_SEC)

typedef struct Open {
        uint64_t id, parcel;
        char slot[LABEL_MAX];
        unsigned position;
} Open;

typedef struct Opens {
        Open *rows;
        size_t n;
} Opens;

static int collect_open(void *userdata, uint64_t id, const char *slot, unsigned position, uint64_t parcel) {
        Opens *all = userdata;
        Open *grown = reallocarray(all->rows, all->n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        all->rows = grown;
        Open *o = &all->rows[all->n++];
        *o = (Open){.id = id, .parcel = parcel, .position = position};
        strncpy(o->slot, slot, sizeof(o->slot) - 1);
        return 0;
}

static int collect_orphan(void *userdata, const ParcelRow *p) {
        if (p->state != PARCEL_DEPOSITING && p->state != PARCEL_COLLECTING)
                return 0;
        return collect_open(userdata, p->id, p->slot, p->position, p->id);
}

/* A movement without outcome: nobody saw what it did. An open door says that it worked. */
static int settle_movements(Locker *l) {
        Opens all = {0};
        Now now = l->now();
        int r = ledger_movement_each_open(l->ledger, collect_open, &all);

        for (size_t i = 0; r >= 0 && i < all.n; i++) {
                int slot = locker_find_slot(l, all.rows[i].slot), lock = -1;
                const char *outcome = "unknown";
                char subject[SUBJECT_MAX] = "cabinet";

                if (slot >= 0 && all.rows[i].position <= (unsigned)l->cabinet->slots[slot].n_positions) {
                        const Slot *k = &l->cabinet->slots[slot];
                        lock = all.rows[i].position ? l->cabinet
                                                              ->positions[k->first_position +
                                                                          (int)all.rows[i].position - 1]
                                                              .lock
                                                    : k->lock;
                        subject_place(l, slot, all.rows[i].position, subject);
                }
                if (lock >= 0 &&
                    (l->doors[lock].state == DOOR_OPEN || l->doors[lock].state == DOOR_LEFT_OPEN))
                        outcome = "released";
                r = ledger_movement_settle(l->ledger, all.rows[i].id, outcome, &now);
                if (r >= 0 && lock >= 0)
                        r = locker_record(l, NULL, "interrupted by a restart",
                                          streq(outcome, "unknown") ? "door.unknown" : "door.released",
                                          subject, data_place(l, slot, all.rows[i].position), NULL);
        }
        free(all.rows);
        return r;
}

/* What the sensors say that an interrupted step came to; PARCEL_STATE_MAX: wait, its door is open or its
 * lid is being locked. */
static ParcelState judge(Locker *l, const ParcelRow *p, int slot, int position) {
        int inner = l->cabinet->positions[position].lock;
        const Door *door = &l->doors[l->cabinet->slots[slot].lock];
        Tri occupied = position_occupied(l, position);

        if (door->state == DOOR_UNKNOWN)
                return PARCEL_UNVERIFIED;
        if (!locker_slot_shut(l, slot) || (inner >= 0 && l->moving[inner]))
                return PARCEL_STATE_MAX;
        if (occupied == TRI_UNKNOWN || !lock_is_shut(l, inner))
                return PARCEL_UNVERIFIED;
        if (p->state == PARCEL_DEPOSITING)
                return occupied == TRI_YES ? PARCEL_STORED : PARCEL_CANCELLED;
        return occupied == TRI_YES ? PARCEL_STORED : PARCEL_COLLECTED;
}

static int write_judgement(Locker *l, ParcelRow *p, ParcelState state, const char *why) {
        Now now = l->now();
        int64_t wall = locker_wall(l, &now);

        p->state = state;
        if (state == PARCEL_STORED && !p->stored) {
                p->stored = wall;
                p->expires = wall + (int64_t)l->settings->code_valid_usec;
        }
        p->ended = parcel_is_final(state) ? wall : 0;
        int r = ledger_parcel_update(l->ledger, p);
        if (r >= 0)
                r = locker_record_parcel(l, NULL, why, p, NULL);
        if (r >= 0 && state == PARCEL_UNVERIFIED)
                log_message(LOG_WARNING, LOCKERD_MESSAGE_UNVERIFIED,
                            (const char *const[]){"LOCKERD_SLOT", p->slot, NULL},
                            "Parcel %llu in slot %s position %u is unverified (%s): look and reconcile",
                            (unsigned long long)p->id, p->slot, p->position, why);
        return r;
}

static bool has_session(const Locker *l, uint64_t parcel) {
        for (const Session *s = l->sessions; s; s = s->next)
                if (s->parcel == parcel && s->step != STEP_NONE)
                        return true;
        return false;
}

static int settle_orphan(Locker *l, uint64_t id, int only_slot) {
        _cleanup_parcel_ ParcelRow p = {0};
        ParcelState state = PARCEL_UNVERIFIED;
        int slot = -1, position;
        int r = ledger_parcel_get(l->ledger, id, &p);

        if (r < 0 || has_session(l, id) || parcel_is_owed(l, id))
                return r == -ENOENT ? 0 : r;
        if (parcel_place(l, &p, &slot, &position) >= 0) {
                if (only_slot >= 0 && slot != only_slot)
                        return 0;
                state = judge(l, &p, slot, position);
                if (state == PARCEL_STATE_MAX)
                        return 0;
        } else if (only_slot >= 0) {
                return 0;
        }
        r = locker_begin(l);
        if (r < 0)
                return r;
        r = write_judgement(l, &p, state, "interrupted");
        if (r < 0) {
                locker_rollback(l);
                return r;
        }
        r = locker_commit(l);
        if (r >= 0)
                notify_parcel(l, id);
        return r;
}

void settle_orphans(Locker *l, int slot) {
        Opens all = {0};

        if (!l->recovered)
                return; /* the sensors have not all spoken yet */
        int r = slot >= 0 ? ledger_parcel_each_in_slot(l->ledger, l->cabinet->slots[slot].label,
                                                       collect_orphan, &all)
                          : ledger_parcel_each(l->ledger, collect_orphan, &all);
        for (size_t i = 0; r >= 0 && i < all.n; i++)
                r = settle_orphan(l, all.rows[i].id, slot);
        if (r < 0) {
                log_error_errno(r, "Cannot settle an interrupted step; trying again");
                l->owed_at = MIN(l->owed_at, l->now().boot_usec + ORPHANS_RETRY_USEC);
                l->orphans_owed = true;
        }
        free(all.rows);
}

int locker_recover_begin(Locker *l) {
        Now now = l->now();

        l->recover_at = now.boot_usec + RECOVER_WAIT_USEC;
        int r = ledger_session_end_all_open(l->ledger, "restart", &now);
        return r < 0 ? r : lockouts_adopt(l);
}

/* Not when the boards are found, but when all have told what their inputs say. A board that is offline may be
 * so only for now: after a crash the line is still held by the worker of the former run, which ends its
 * pulse. */
static bool sensors_spoke(const Locker *l) {
        const Cabinet *c = l->cabinet;

        for (int i = 0; i < c->n_boards; i++)
                if (!locker_board_online(l, i))
                        return false;
        for (int i = 0; i < c->n_locks; i++)
                if ((c->locks[i].contact.board >= 0 || c->locks[i].latch.board >= 0) &&
                    l->doors[i].state == DOOR_UNKNOWN)
                        return false;
        for (int i = 0; i < c->n_positions; i++)
                if (c->positions[i].presence.board >= 0 && position_occupied(l, i) == TRI_UNKNOWN)
                        return false;
        return true;
}

void locker_recover(Locker *l) {
        if (l->recovered || !l->locks)
                return;
        if (!sensors_spoke(l) && l->now().boot_usec < l->recover_at)
                return;
        int r = locker_begin(l);
        if (r >= 0) {
                r = settle_movements(l);
                r = locker_end(l, r);
        }
        if (r < 0) {
                log_error_errno(r, "Cannot settle what a former run left open; trying again");
                l->recover_at = l->now().boot_usec + RECOVER_WAIT_USEC;
                return;
        }
        l->recovered = true;
        for (int i = 0; i < l->cabinet->n_slots; i++)
                secure_lids(l, i);
        settle_orphans(l, -1);
}

/* Somebody could reach in without having shown who they are: what lies behind this very lock is unverified,
 * unless a sensor says that it is still there. */
typedef struct Exposed {
        Locker *locker;
        int lock;
        uint64_t ids[64];
        size_t n;
} Exposed;

static int collect_exposed(void *userdata, const ParcelRow *p) {
        Exposed *e = userdata;
        const Cabinet *c = e->locker->cabinet;
        int slot, position;

        if (parcel_place(e->locker, p, &slot, &position) < 0 || p->state != PARCEL_STORED ||
            e->n == ARRAY_SIZE(e->ids))
                return 0;
        int guard = c->positions[position].lock >= 0 ? c->positions[position].lock : c->slots[slot].lock;
        if (guard == e->lock && position_occupied(e->locker, position) != TRI_YES)
                e->ids[e->n++] = p->id;
        return 0;
}

void slot_exposed(Locker *l, int lock, const char *why) {
        Exposed e = {.locker = l, .lock = lock};
        int slot = l->cabinet->locks[lock].slot;
        int r = ledger_parcel_each_in_slot(l->ledger, l->cabinet->slots[slot].label, collect_exposed, &e);

        for (size_t i = 0; r >= 0 && i < e.n; i++) {
                _cleanup_parcel_ ParcelRow p = {0};
                r = ledger_parcel_get(l->ledger, e.ids[i], &p);
                if (r >= 0)
                        r = locker_begin(l);
                if (r < 0)
                        break;
                r = write_judgement(l, &p, PARCEL_UNVERIFIED, why);
                r = locker_end(l, r);
                if (r >= 0)
                        notify_parcel(l, p.id);
        }
        if (r < 0)
                log_error_errno(r, "Cannot mark the parcels of an exposed slot");
}
