/* SPDX-License-Identifier: Apache-2.0 */
/* Facts come in, the door machines turn them into what happened, and what happened goes to the ledger, to the
 * movement under way, to the session that holds the slot, and to whoever is left over from before a restart.
 * In that order. */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <stdio.h>

/* While an alarm input or inside release is active, an unopened door is pulsed again this often. */
#define SAFETY_REPEAT_USEC  (5 * USEC_PER_SEC)
#define SAFETY_EXPIRES_USEC (30 * USEC_PER_SEC)
#define SAFETY_BUSY_USEC    (250 * USEC_PER_MSEC) /* its door is being moved: look again */
#define SAFETY_PULSES       3                     /* after the input is quiet again */

static const struct {
        DoorHappened bit;
        const char *event;
        const char *message_id;
        const char *sentence;
} door_events[] = {
        {DOOR_FORCED_OPEN, "door.forced-open", LOCKERD_MESSAGE_DOOR_FORCED, "was opened without a command"},
        {DOOR_RELEASED, "door.released", NULL, NULL},
        {DOOR_OPENED, "door.opened", NULL, NULL},
        {DOOR_CLOSED, "door.closed", NULL, NULL},
        {DOOR_OPEN_TOO_LONG, "door.open-too-long", LOCKERD_MESSAGE_DOOR_LEFT_OPEN,
         "has been open for too long"},
        {DOOR_LOST, "door.unknown", NULL, NULL},
};

static int record_happened(Locker *l, int lock, unsigned happened) {
        const Lock *k = &l->cabinet->locks[lock];
        unsigned number = k->position < 0 ? 0 : l->cabinet->positions[k->position].number;
        Movement *m = l->moving[lock];
        char subject[SUBJECT_MAX];
        int r = 0;

        subject_place(l, k->slot, number, subject);
        if (m && m->started && m->action == LOCK_ACTION_UNLOCK && happened & DOOR_RELEASED)
                r = movement_settle_in(m, "released");
        if (m && m->started && m->action == LOCK_ACTION_SECURE && happened & DOOR_CLOSED)
                r = movement_settle_in(m, "secured");
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(door_events); i++)
                if (happened & door_events[i].bit)
                        r = locker_record(l, NULL, NULL, door_events[i].event, subject,
                                          data_place(l, k->slot, number), NULL);
        return r;
}

static void log_happened(Locker *l, int lock, unsigned happened) {
        const Lock *k = &l->cabinet->locks[lock];
        const char *label = l->cabinet->slots[k->slot].label;

        for (size_t i = 0; i < ARRAY_SIZE(door_events); i++)
                if (happened & door_events[i].bit && door_events[i].message_id)
                        log_message(LOG_WARNING, door_events[i].message_id,
                                    (const char *const[]){"LOCKERD_SLOT", label, NULL}, "%s of slot %s %s",
                                    k->position < 0 ? "The door" : "A position's lid", label,
                                    door_events[i].sentence);
}

void doors_happened(Locker *l, int lock, unsigned happened) {
        int slot = l->cabinet->locks[lock].slot;
        unsigned recorded =
                DOOR_RELEASED | DOOR_OPENED | DOOR_CLOSED | DOOR_FORCED_OPEN | DOOR_OPEN_TOO_LONG | DOOR_LOST;

        /* Asked before the movement is over; after it the input that is still active says so. */
        bool for_safety = l->safety_at[slot] != USEC_INFINITY || (l->moving[lock] && l->moving[lock]->urgent);

        if (happened & recorded && locker_begin(l) >= 0) {
                int r = record_happened(l, lock, happened);
                if (r < 0) {
                        locker_rollback(l);
                        l->ledger_failing = true;
                        log_error_errno(r, "Cannot record what a door did");
                } else {
                        (void)locker_commit(l);
                }
        }
        log_happened(l, lock, happened);
        movement_facts(l, lock, happened);
        if (happened & DOOR_FORCED_OPEN)
                slot_exposed(l, lock, "forced open");
        else if (for_safety && happened & (DOOR_RELEASED | DOOR_OPENED))
                slot_exposed(l, lock, "opened for safety");

        Session *s = l->holder[slot];
        if (s && happened & DOOR_OPEN_TOO_LONG)
                session_prompt(s, "door-open", "The door has been open for a long time. Please close it.");
        if (s)
                session_shut(s);
        else if (happened & (DOOR_CLOSED | DOOR_FOUND)) {
                secure_lids(l, slot);
                settle_orphans(l, slot);
        }
        if (happened & DOOR_FAILED_TO_OPEN)
                notify_health(l);
        notify_slot(l, slot);
}

static void safety_release(Locker *l, int slot, const char *why) {
        int lock = l->cabinet->slots[slot].lock;
        Now now = l->now();
        char subject[SUBJECT_MAX];
        Movement *m = NULL;

        if (l->moving[lock])
                return; /* already being opened; asked again while the input stays active */
        m = calloc(1, sizeof(*m));
        if (!m)
                return;
        *m = (Movement){.locker = l,
                        .lock = lock,
                        .action = LOCK_ACTION_UNLOCK,
                        .urgent = true,
                        .secure_until = USEC_INFINITY,
                        .expires = now.boot_usec + SAFETY_EXPIRES_USEC};
        /* The one act that opens first and writes second. */
        if (movement_start(m, NULL, NULL) < 0) {
                free(m);
                return;
        }
        log_message(LOG_CRIT, LOCKERD_MESSAGE_SAFETY_RELEASE,
                    (const char *const[]){"LOCKERD_SLOT", l->cabinet->slots[slot].label, NULL},
                    "Slot %s is opened: %s", l->cabinet->slots[slot].label, why);
        if (locker_begin(l) < 0)
                return;
        MovementRow row = {.action = "unlock", .why = "safety", .actor = "lockerd", .reason = why};
        snprintf(row.slot, sizeof(row.slot), "%s", l->cabinet->slots[slot].label);
        subject_place(l, slot, 0, subject);
        int r = ledger_movement_intend(l->ledger, &row, &now);
        if (r >= 0)
                r = locker_record(l, NULL, why, "safety.released", subject, data_place(l, slot, 0), NULL);
        if (r < 0) {
                locker_rollback(l);
                log_error_errno(r, "Cannot record a safety release");
                return;
        }
        if (locker_commit(l) >= 0)
                m->id = row.id;
}

static bool alarm_opens(const Alarm *a, int slot) {
        if (a->all_slots)
                return true;
        for (int i = 0; i < a->n_slots; i++)
                if (a->slots[i] == slot)
                        return true;
        return false;
}

/* Why the slot must be open now, or NULL. */
static const char *safety_reason(const Locker *l, int slot) {
        const Cabinet *c = l->cabinet;

        if (c->slots[slot].release.board >= 0 && locks_fact(l->locks, FACT_RELEASE, slot) == TRI_YES)
                return "the inside release was pressed";
        for (int i = 0; i < c->n_alarms; i++)
                if (alarm_opens(&c->alarms[i], slot) && locks_fact(l->locks, FACT_ALARM, i) == TRI_YES)
                        return "the alarm input is active";
        return NULL;
}

/* A button that was pressed for a moment while its door was being moved is not forgotten: the request stands
 * until the door is open, or has had its pulses. */
static void safety_look(Locker *l, int slot, const Now *now) {
        int lock = l->cabinet->slots[slot].lock;
        const char *active = safety_reason(l, slot);

        if (active) {
                l->safety_why[slot] = active;
                l->safety_left[slot] = SAFETY_PULSES;
        }
        if (door_is_open(&l->doors[lock]))
                l->safety_left[slot] = 0;
        if (!active && !l->safety_left[slot]) {
                l->safety_at[slot] = USEC_INFINITY;
                return;
        }
        l->safety_at[slot] = now->boot_usec + SAFETY_REPEAT_USEC;
        if (!l->safety_left[slot])
                return;
        if (l->moving[lock]) {
                l->safety_at[slot] = now->boot_usec + SAFETY_BUSY_USEC;
                return;
        }
        if (!active)
                l->safety_left[slot]--;
        safety_release(l, slot, l->safety_why[slot]);
}

void safety_tick(Locker *l, const Now *now) {
        for (int slot = 0; slot < l->cabinet->n_slots; slot++)
                if (now->boot_usec >= l->safety_at[slot])
                        safety_look(l, slot, now);
}

static void safety_fact(Locker *l, const Fact *fact) {
        Now now = l->now();

        for (int slot = 0; slot < l->cabinet->n_slots; slot++)
                if ((fact->kind == FACT_RELEASE && slot == fact->index) ||
                    (fact->kind == FACT_ALARM && alarm_opens(&l->cabinet->alarms[fact->index], slot)))
                        l->safety_at[slot] = now.boot_usec;
        safety_tick(l, &now);
}

/* A latch that lets go after all, when whoever asked for it has been told that it does not. */
static void opened_late(Locker *l, int lock, DoorState before) {
        int slot = l->cabinet->locks[lock].slot;

        if (before == DOOR_JAMMED && l->doors[lock].state != DOOR_JAMMED)
                notify_health(l);
        if (before == DOOR_JAMMED && door_is_open(&l->doors[lock]) && !l->moving[lock] && !l->holder[slot])
                slot_exposed(l, lock, "opened late");
}

/* Contact and latch of one lock come next to each other: both at once, so that a door that opens is not first
 * a door that is unlocked. */
static bool look_at(Locker *l, int lock, uint64_t at) {
        Tri closed = locks_fact(l->locks, FACT_CONTACT, lock),
            locked = locks_fact(l->locks, FACT_LATCH, lock);
        DoorState before = l->doors[lock].state;
        unsigned happened = door_facts(&l->doors[lock], closed, locked, at);

        if (happened)
                doors_happened(l, lock, happened);
        opened_late(l, lock, before);
        return happened != 0;
}

void doors_fact(void *userdata, const Fact *fact, bool more) {
        Locker *l = userdata;

        switch (fact->kind) {
        case FACT_CONTACT:
        case FACT_LATCH: {
                const Lock *k = &l->cabinet->locks[fact->index];
                const Slot *slot = &l->cabinet->slots[k->slot];
                /* A lid and its door shut in one answer: what comes of the slot is judged when the door is,
                 * so the lids first. */
                for (int i = 0; k->position < 0 && i < slot->n_positions; i++) {
                        int inner = l->cabinet->positions[slot->first_position + i].lock;
                        if (inner >= 0)
                                (void)look_at(l, inner, fact->at_boot);
                }
                if (!look_at(l, fact->index, fact->at_boot))
                        notify_slot(l, k->slot);
                break;
        }
        case FACT_PRESENCE: {
                int slot = l->cabinet->positions[fact->index].slot;
                if (l->holder[slot])
                        session_shut(l->holder[slot]);
                else
                        settle_orphans(l, slot);
                notify_slot(l, slot);
                break;
        }
        case FACT_RELEASE:
        case FACT_ALARM:
                safety_fact(l, fact);
                break;
        }
        if (!more)
                locker_recover(l); /* now that this sensor has spoken */
}

static void seen(Locker *l, int lock) {
        uint64_t at = locks_seen(l->locks, lock);
        Door *d = &l->doors[lock];

        if (at == 0)
                return;
        if (d->state == DOOR_RELEASING || d->state == DOOR_UNKNOWN) {
                unsigned happened = door_seen(d, locks_fact(l->locks, FACT_CONTACT, lock),
                                              locks_fact(l->locks, FACT_LATCH, lock), at);
                if (happened)
                        doors_happened(l, lock, happened);
        }
        movement_seen(l, lock, at);
}

void doors_seen(void *userdata, int board) {
        Locker *l = userdata;

        /* The lids first, as above. */
        for (int lids = 1; lids >= 0; lids--)
                for (int i = 0; i < l->cabinet->n_locks; i++) {
                        const Lock *k = &l->cabinet->locks[i];
                        if ((k->position >= 0) == lids &&
                            (k->contact.board == board || k->latch.board == board))
                                seen(l, i);
                }
}

void doors_tick(Locker *l, const Now *now) {
        for (int i = 0; i < l->cabinet->n_locks; i++) {
                if (door_next_deadline(&l->doors[i]) > now->boot_usec)
                        continue;
                unsigned happened = door_tick(&l->doors[i], now->boot_usec);
                if (happened & DOOR_WANTS_LOOK)
                        locks_look(l->locks, i);
                if (happened)
                        doors_happened(l, i, happened);
        }
}

uint64_t doors_next_deadline(const Locker *l) {
        uint64_t next = USEC_INFINITY;

        for (int i = 0; i < l->cabinet->n_locks; i++)
                next = MIN(next, door_next_deadline(&l->doors[i]));
        for (int i = 0; i < l->cabinet->n_slots; i++)
                next = MIN(next, l->safety_at[i]);
        return next;
}
