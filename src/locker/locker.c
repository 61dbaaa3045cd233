/* SPDX-License-Identifier: Apache-2.0 */
#include "locker/private.h"
#include "base/log.h"

#include <errno.h>

#define CHECKPOINT_IDLE_USEC (2 * USEC_PER_SEC)

const LocksHandlers locker_locks_handlers = {
        .fact = doors_fact,
        .seen = doors_seen,
        .result = movements_result,
        .board = health_board,
        .line = health_line,
};

static int by_label(const void *a, const void *b, void *cabinet) {
        const Slot *slots = ((const Cabinet *)cabinet)->slots;

        return strcmp(slots[*(const int *)a].label, slots[*(const int *)b].label);
}

static int allocate(Locker *l) {
        const Cabinet *c = l->cabinet;

        l->doors = calloc((size_t)c->n_locks + 1, sizeof(*l->doors));
        l->moving = calloc((size_t)c->n_locks + 1, sizeof(*l->moving));
        l->safety_at = calloc((size_t)c->n_slots + 1, sizeof(*l->safety_at));
        l->safety_why = calloc((size_t)c->n_slots + 1, sizeof(*l->safety_why));
        l->safety_left = calloc((size_t)c->n_slots + 1, sizeof(*l->safety_left));
        l->holder = calloc((size_t)c->n_slots + 1, sizeof(*l->holder));
        l->exposed = calloc((size_t)c->n_locks + 1, sizeof(*l->exposed));
        l->lid_gave_up = calloc((size_t)c->n_locks + 1, sizeof(*l->lid_gave_up));
        l->slots_by_label = calloc((size_t)c->n_slots + 1, sizeof(*l->slots_by_label));
        l->boards = calloc((size_t)c->n_boards + 1, sizeof(*l->boards));
        l->board_sentences = calloc((size_t)c->n_boards + 1, sizeof(*l->board_sentences));
        l->lines = calloc((size_t)c->n_lines + 1, sizeof(*l->lines));
        l->line_sentences = calloc((size_t)c->n_lines + 1, sizeof(*l->line_sentences));
        return l->doors && l->moving && l->safety_at && l->safety_why && l->safety_left && l->holder && l->exposed && l->lid_gave_up &&
                               l->slots_by_label && l->boards && l->board_sentences && l->lines &&
                               l->line_sentences
                       ? 0
                       : -ENOMEM;
}

int locker_new(Locker **ret, const LockerOptions *o) {
        _cleanup_(locker_freep) Locker *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (Locker){.cabinet = o->cabinet,
                      .settings = o->settings,
                      .ledger = o->ledger,
                      .identity = o->identity,
                      .now = o->now,
                      .recover_at = USEC_INFINITY,
                      .exposed_at = USEC_INFINITY,
                      .lids_at = USEC_INFINITY,
                      .lockouts_at = USEC_INFINITY,
                      .checkpoint_at = USEC_INFINITY};
        memcpy(l->boot_id, o->boot_id, sizeof(l->boot_id));
        int r = allocate(l);
        if (r < 0)
                return r;
        for (int i = 0; i < o->cabinet->n_locks; i++) {
                const Lock *k = &o->cabinet->locks[i];
                door_init(&l->doors[i], k->contact.board >= 0, k->latch.board >= 0,
                          (DoorTimes){.release_usec = k->release_ms * USEC_PER_MSEC,
                                      .open_max_usec = o->settings->door_open_usec});
        }
        for (int i = 0; i < o->cabinet->n_slots; i++) {
                l->slots_by_label[i] = i;
                l->safety_at[i] = USEC_INFINITY;
        }
        qsort_r(l->slots_by_label, (size_t)o->cabinet->n_slots, sizeof(int), by_label,
                (void *)(uintptr_t)o->cabinet);
        r = ledger_last_wall(l->ledger, &l->wall_floor);
        if (r < 0)
                return r;
        r = locker_recover_begin(l);
        if (r >= 0)
                r = reminders_begin(l);
        if (r < 0)
                return r;
        *ret = steal_ptr(l);
        return 0;
}

Locker *locker_free(Locker *l) {
        if (!l)
                return NULL;
        people_give_up(l);
        /* Whoever still waits for an answer gets one; their movements stay open in the ledger for the next
         * start. */
        while (l->errands) {
                errand_answer(l->errands, LOCKER_E_SESSION_ENDED, NULL);
                errand_free(l->errands);
        }
        while (l->sessions) {
                if (l->sessions->reply)
                        session_answer(l->sessions, LOCKER_E_SESSION_ENDED, NULL);
                session_unlink(l->sessions);
        }
        for (int i = 0; l->moving && i < l->cabinet->n_locks; i++) {
                movement_free(l->moving[i]);
        }
        locker_rollback(l);
        free(l->doors);
        free(l->moving);
        free(l->safety_at);
        free(l->safety_why);
        free(l->safety_left);
        free(l->holder);
        free(l->exposed);
        free(l->lid_gave_up);
        free(l->slots_by_label);
        free(l->boards);
        free(l->board_sentences);
        free(l->lines);
        free(l->line_sentences);
        free(l);
        return NULL;
}

void locker_attach_locks(Locker *l, Locks *locks) {
        l->locks = locks;
}

static bool quiet(const Locker *l) {
        for (const Session *s = l->sessions; s; s = s->next)
                if (s->reply || s->job)
                        return false;
        for (const Errand *e = l->errands; e; e = e->next)
                if (e->reply)
                        return false;
        for (int i = 0; i < l->cabinet->n_locks; i++)
                if (l->moving[i])
                        return false;
        return true;
}

/* Checkpoints belong into idle moments: they take time and are where a lying disk does its harm. */
static void checkpoint_tick(Locker *l, const Now *now) {
        if (!ledger_wants_checkpoint(l->ledger)) {
                l->checkpoint_at = USEC_INFINITY;
                return;
        }
        if (l->checkpoint_at == USEC_INFINITY || !quiet(l)) {
                l->checkpoint_at = now->boot_usec + CHECKPOINT_IDLE_USEC;
                return;
        }
        if (now->boot_usec < l->checkpoint_at)
                return;
        l->checkpoint_at = USEC_INFINITY;
        int r = ledger_checkpoint(l->ledger);
        if (r < 0)
                log_error_errno(r, "Cannot checkpoint the ledger");
}

void locker_tick(Locker *l) {
        Now now = l->now();

        locker_recover(l);
        movements_tick(l, &now);
        doors_tick(l, &now);
        safety_tick(l, &now);
        errands_tick(l, &now);
        sessions_tick(l, &now);
        exposed_tick(l, &now);
        lids_tick(l, &now);
        lockouts_tick(l, &now);
        if (now.boot_usec >= l->storage_at)
                storage_check(l, &now);
        clock_tick(l, &now);
        reminders_tick(l, &now);
        checkpoint_tick(l, &now);
}

uint64_t locker_next_deadline(const Locker *l) {
        uint64_t next = MIN(movements_next_deadline(l), doors_next_deadline(l));

        next = MIN(next, MIN(sessions_next_deadline(l), errands_next_deadline(l)));
        next = MIN(next, MIN(l->lockouts_at, l->storage_at));
        next = MIN(next, MIN(l->clock_at, reminders_next_deadline(l)));
        next = MIN(next, MIN(l->checkpoint_at, MIN(l->exposed_at, l->lids_at)));
        return l->recovered ? next : MIN(next, l->recover_at);
}

bool locker_is_settled(const Locker *l) {
        return l->recovered;
}

const Cabinet *locker_cabinet(const Locker *l) {
        return l->cabinet;
}

const Settings *locker_settings(const Locker *l) {
        return l->settings;
}

Ledger *locker_ledger(Locker *l) {
        return l->ledger;
}

DoorState locker_door(const Locker *l, int lock) {
        return l->doors[lock].state;
}

Tri locker_presence(const Locker *l, int position) {
        return position_occupied(l, position);
}

bool locker_slot_in_use(const Locker *l, int slot) {
        return l->holder[slot] != NULL;
}

bool locker_expired(const Locker *l, const ParcelRow *p) {
        Now now = l->now();

        return parcel_is_collectable(p->state) && p->expires && locker_wall(l, &now) > p->expires;
}
