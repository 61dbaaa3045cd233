/* SPDX-License-Identifier: Apache-2.0 */
/* Facts come in, the door machines turn them into what happened, and what happened goes to the ledger, to the
 * movement under way, and up. In that order. */
#include "cabinet/hardware.h"
#include "ledger/doors.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <stdio.h>

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

static unsigned number_of(const Hardware *h, int lock) {
        int position = h->cabinet->locks[lock].position;

        return position < 0 ? 0 : h->cabinet->positions[position].number;
}

/* found: it was seen only now, and has happened at some time before. */
static json_t *data_happened(const Hardware *h, int lock, unsigned happened) {
        json_t *data = data_place(h->cabinet, h->cabinet->locks[lock].slot, number_of(h, lock));

        if (data && happened & DOOR_FOUND && json_object_set_new(data, "found", json_true()) < 0) {
                json_decref(data);
                return NULL;
        }
        return data;
}

static bool is_blind(const Hardware *h, int board) {
        return board >= 0 && h->boards[board] == BOARD_BLIND;
}

/* How the movement under way ends by it; NULL: it does not. */
static const char *movement_outcome(const Movement *m, unsigned happened) {
        if (!m || !m->started)
                return NULL;
        return m->action == LOCK_ACTION_UNLOCK && happened & DOOR_RELEASED ? "released"
               : m->action == LOCK_ACTION_SECURE && happened & DOOR_CLOSED ? "secured"
                                                                           : NULL;
}

static int record_movement(Hardware *h, int lock, unsigned happened) {
        int slot = h->cabinet->locks[lock].slot;
        Movement *m = h->moving[lock];
        const char *outcome = movement_outcome(m, happened);
        char subject[SUBJECT_MAX];
        int r = outcome ? movement_settle_in(m, outcome) : 0;

        if (r < 0 || !outcome || !m->urgent)
                return r;
        subject_place(h->cabinet, slot, number_of(h, lock), subject);
        return records_add(h->records, NULL, m->safety, "safety.released", subject,
                           data_place(h->cabinet, slot, number_of(h, lock)), NULL);
}

static int record_events(Hardware *h, int lock, unsigned happened) {
        char subject[SUBJECT_MAX];
        int r = 0;

        subject_place(h->cabinet, h->cabinet->locks[lock].slot, number_of(h, lock), subject);
        /* What a board lost with all its inputs is one event, and the board's. */
        const Lock *k = &h->cabinet->locks[lock];
        if (is_blind(h, k->contact.board) || is_blind(h, k->latch.board))
                happened &= ~(unsigned)DOOR_LOST;
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(door_events); i++)
                if (happened & door_events[i].bit)
                        r = records_add(h->records, NULL, NULL, door_events[i].event, subject,
                                        data_happened(h, lock, happened), NULL);
        return r;
}

/* For the next start. */
static bool is_worth_remembering(const Hardware *h, int lock) {
        return h->remembered[lock] && h->seen[lock] != door_seen_last(&h->doors[lock]);
}

/* now: it has just happened, and is the movement's that is under way. */
static int record(Hardware *h, int lock, unsigned happened, bool now) {
        DoorSeen seen = door_seen_last(&h->doors[lock]);
        int r = records_begin(h->records);

        if (r < 0)
                return r;
        r = now ? record_movement(h, lock, happened) : 0;
        if (r >= 0)
                r = record_events(h, lock, happened);
        if (r >= 0 && seen != h->seen[lock])
                r = ledger_door_set(h->records->ledger, h->cabinet->slots[h->cabinet->locks[lock].slot].label,
                                    number_of(h, lock), seen);
        r = records_end(h->records, r);
        if (r >= 0) {
                h->remembered[lock] = h->remembered[lock] || seen != h->seen[lock];
                h->seen[lock] = seen;
        }
        return r;
}

/* Of a door that opens and shuts several times until there is room, the last time. */
static void keep_unrecorded(Hardware *h, int lock, unsigned happened) {
        if (h->unrecorded[lock] & DOOR_CLOSED && happened & (DOOR_RELEASED | DOOR_OPENED | DOOR_FORCED_OPEN))
                h->unrecorded[lock] = 0;
        h->unrecorded[lock] |= happened;
        h->record_at = MIN(h->record_at, h->records->now().boot_usec + RECORDS_RETRY_USEC);
}

/* What the ledger could not take when it happened. */
static int catch_up(Hardware *h, int lock) {
        if (!h->unrecorded[lock])
                return 0;
        int r = record(h, lock, h->unrecorded[lock], false);
        if (r >= 0)
                h->unrecorded[lock] = 0;
        return r;
}

static void log_happened(Hardware *h, int lock, unsigned happened) {
        const Lock *k = &h->cabinet->locks[lock];
        const char *label = h->cabinet->slots[k->slot].label;

        for (size_t i = 0; i < ARRAY_SIZE(door_events); i++)
                if (happened & door_events[i].bit && door_events[i].message_id)
                        log_message(LOG_WARNING, door_events[i].message_id,
                                    (const char *const[]){"LOCKERD_SLOT", label, NULL}, "%s of slot %s %s%s",
                                    k->position < 0 ? "The door" : "A position's lid", label,
                                    door_events[i].sentence,
                                    happened & DOOR_FOUND ? ", while nobody could see it" : "");
}

/* Also one that had been open before nobody could see it, though it is shut now: whoever was there may have
 * taken something out. `before`: as it was last seen. */
static unsigned says_exposed(Hardware *h, int lock, unsigned happened, DoorSeen before) {
        const Door *d = &h->doors[lock];

        if (happened & DOOR_FORCED_OPEN)
                return HARDWARE_FORCED;
        if (!(happened & DOOR_FOUND))
                return 0;
        if (h->may_let_go[lock]) {
                h->may_let_go[lock] = false;
                return door_is_open(d) ? HARDWARE_OPENED_LATE : HARDWARE_OPEN_UNSEEN;
        }
        return d->state == DOOR_FORCED || before == DOOR_SEEN_FORCED ? HARDWARE_FORCED
               : door_is_open(d) || before == DOOR_SEEN_OPEN         ? HARDWARE_OPEN_UNSEEN
                                                                     : 0;
}

void doors_happened(Hardware *h, int lock, unsigned happened) {
        const Lock *k = &h->cabinet->locks[lock];
        int slot = k->slot;
        DoorSeen before = h->seen[lock];
        unsigned recorded =
                DOOR_RELEASED | DOOR_OPENED | DOOR_CLOSED | DOOR_FORCED_OPEN | DOOR_OPEN_TOO_LONG | DOOR_LOST;

        /* Asked before the movement is over; after it the input that is still active says so. */
        bool for_safety = h->safety[slot].at != USEC_INFINITY || (h->moving[lock] && h->moving[lock]->urgent);

        if (happened & recorded || is_worth_remembering(h, lock)) {
                int r = catch_up(h, lock);
                if (r >= 0)
                        r = record(h, lock, happened, true);
                if (r < 0) {
                        h->records->ledger_failing = true;
                        log_error_errno(r, "Cannot record what a door did; trying again");
                        const char *outcome = movement_outcome(h->moving[lock], happened);
                        if (outcome)
                                movement_settle_later(h->moving[lock], outcome);
                        keep_unrecorded(h, lock, happened & (recorded | DOOR_FOUND));
                }
        }
        log_happened(h, lock, happened);
        /* One that is found open was opened nobody knows when. */
        if (happened & DOOR_FORCED_OPEN && !(happened & DOOR_FOUND))
                movement_suspects(h, lock);
        /* By a command that is over: a latch that let go late, or a door that sprang open again. */
        bool late = happened & DOOR_RELEASED && !h->moving[lock];
        movement_facts(h, lock, happened);
        if (happened & (DOOR_RELEASED | DOOR_OPENED | DOOR_FORCED_OPEN)) {
                lids_moved(h, slot);
                if (k->position < 0)
                        h->safety[slot].left = 0; /* what was asked for a moment has been done */
        }
        hardware_changed(
                h, slot, lock,
                says_exposed(h, lock, happened, before) |
                        (for_safety && happened & (DOOR_RELEASED | DOOR_OPENED) ? HARDWARE_FOR_SAFETY : 0) |
                        (late ? HARDWARE_OPENED_LATE : 0) |
                        (happened & DOOR_OPEN_TOO_LONG ? HARDWARE_OPEN_TOO_LONG : 0));
        if (happened & DOOR_FAILED_TO_OPEN)
                notify_health(h->records);
        notify_slot(h->records, slot);
}

/* A latch that lets go after all, when whoever asked for it has been told that it does not. */
static void opened_late(Hardware *h, int lock, DoorState before) {
        int slot = h->cabinet->locks[lock].slot;

        if (before == DOOR_JAMMED && h->doors[lock].state != DOOR_JAMMED)
                notify_health(h->records);
        if (before == DOOR_JAMMED && door_is_open(&h->doors[lock]) && !h->moving[lock])
                h->up(h->userdata, slot, lock, HARDWARE_OPENED_LATE);
}

/* Contact and latch of one lock come next to each other: both at once, so that a door that opens is not first
 * a door that is unlocked. */
static bool look_at(Hardware *h, int lock, uint64_t at) {
        Tri closed = locks_fact(h->locks, FACT_CONTACT, lock),
            locked = locks_fact(h->locks, FACT_LATCH, lock);
        DoorState before = h->doors[lock].state;
        unsigned happened = door_facts(&h->doors[lock], closed, locked, at);

        if (happened)
                doors_happened(h, lock, happened);
        opened_late(h, lock, before);
        return happened != 0;
}

void doors_fact(void *userdata, const Fact *fact, bool more) {
        Hardware *h = userdata;

        switch (fact->kind) {
        case FACT_CONTACT:
        case FACT_LATCH: {
                const Lock *k = &h->cabinet->locks[fact->index];
                const Slot *slot = &h->cabinet->slots[k->slot];
                /* A lid and its door shut in one answer: what comes of the slot is judged when the door is,
                 * so the lids first. */
                for (int i = 0; k->position < 0 && i < slot->n_positions; i++) {
                        int inner = h->cabinet->positions[slot->first_position + i].lock;
                        if (inner >= 0)
                                (void)look_at(h, inner, fact->at_boot);
                }
                if (!look_at(h, fact->index, fact->at_boot)) {
                        /* Nothing to report, but a lid may be where it can be locked now. */
                        hardware_changed(h, k->slot, fact->index, 0);
                        notify_slot(h->records, k->slot);
                }
                break;
        }
        case FACT_PRESENCE: {
                int slot = h->cabinet->positions[fact->index].slot;
                hardware_changed(h, slot, -1, 0);
                notify_slot(h->records, slot);
                break;
        }
        case FACT_RELEASE:
        case FACT_ALARM:
                safety_fact(h, fact);
                break;
        }
        if (!more)
                h->up(h->userdata, -1, -1, HARDWARE_SPOKE);
}

static void seen(Hardware *h, int lock) {
        uint64_t at = locks_seen(h->locks, lock);
        Door *d = &h->doors[lock];

        if (at == 0)
                return;
        if (d->state == DOOR_RELEASING || d->state == DOOR_UNKNOWN) {
                unsigned happened = door_seen(d, locks_fact(h->locks, FACT_CONTACT, lock),
                                              locks_fact(h->locks, FACT_LATCH, lock), at);
                if (happened)
                        doors_happened(h, lock, happened);
        }
        movement_seen(h, lock, at);
}

void doors_seen(void *userdata, int board) {
        Hardware *h = userdata;

        /* The lids first, as above. */
        for (int lids = 1; lids >= 0; lids--)
                for (int i = 0; i < h->cabinet->n_locks; i++) {
                        const Lock *k = &h->cabinet->locks[i];
                        if ((k->position >= 0) == lids &&
                            (k->contact.board == board || k->latch.board == board))
                                seen(h, i);
                }
}

static void record_again(Hardware *h, const Now *now) {
        h->record_at = USEC_INFINITY;
        if (movements_settle_again(h) < 0) {
                h->record_at = now->boot_usec + RECORDS_RETRY_USEC;
                return;
        }
        for (int i = 0; i < h->cabinet->n_locks; i++) {
                if (!h->unrecorded[i] && !is_worth_remembering(h, i))
                        continue;
                if (record(h, i, h->unrecorded[i], false) < 0) {
                        h->record_at = now->boot_usec + RECORDS_RETRY_USEC;
                        return;
                }
                h->unrecorded[i] = 0;
        }
}

void doors_tick(Hardware *h, const Now *now) {
        if (now->boot_usec >= h->record_at)
                record_again(h, now);
        for (int i = 0; i < h->cabinet->n_locks; i++) {
                if (door_next_deadline(&h->doors[i]) > now->boot_usec)
                        continue;
                unsigned happened = door_tick(&h->doors[i], now->boot_usec);
                if (happened & DOOR_WANTS_LOOK)
                        locks_look(h->locks, i);
                if (happened || is_worth_remembering(h, i))
                        doors_happened(h, i, happened);
        }
}

uint64_t doors_next_deadline(const Hardware *h) {
        uint64_t next = h->record_at;

        for (int i = 0; i < h->cabinet->n_locks; i++)
                next = MIN(next, door_next_deadline(&h->doors[i]));
        return next;
}
