/* SPDX-License-Identifier: Apache-2.0 */
/* A lock's movement: the intent is in the ledger before the command goes out, the outcome after the sensors
 * have spoken. What a board acknowledges only starts the release window; what the door did is told by
 * doors.c. */
#include "cabinet/hardware.h"
#include "ledger/movements.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

/* A command that has not reached the line by then is stale: the person may have gone. */
#define COMMAND_EXPIRES_USEC (5 * USEC_PER_SEC)

static unsigned position_number(const Hardware *h, int lock) {
        int position = h->cabinet->locks[lock].position;

        return position < 0 ? 0 : h->cabinet->positions[position].number;
}

Movement *movement_free(Movement *m) {
        if (!m)
                return NULL;
        if (m->hardware->moving[m->lock] == m)
                m->hardware->moving[m->lock] = NULL;
        free(m);
        return NULL;
}

/* That a lock was told to move is one fact, what it did is another. In the transaction of the intent. */
int record_commanded(Hardware *h, int lock, LockAction action, const char *actor, const char *reason) {
        char subject[SUBJECT_MAX];
        int slot = h->cabinet->locks[lock].slot;

        subject_place(h->cabinet, slot, position_number(h, lock), subject);
        return records_add(h->records, actor, reason, "door.commanded", subject,
                           json_pack("{s:s, s:i, s:s}", "slot", h->cabinet->slots[slot].label, "position",
                                     (int)position_number(h, lock), "action",
                                     action == LOCK_ACTION_UNLOCK ? "unlock" : "secure"),
                           NULL);
}

int movement_intend(Hardware *h, int lock, LockAction action, uint64_t session, uint64_t parcel,
                    const char *why, const char *actor, const char *reason, Movement **ret) {
        const Lock *k = &h->cabinet->locks[lock];
        Now now = h->records->now();
        MovementRow row = {.session = session,
                           .parcel = parcel,
                           .position = position_number(h, lock),
                           .action = action == LOCK_ACTION_UNLOCK ? "unlock" : "secure",
                           .why = why,
                           .actor = actor,
                           .reason = reason};

        snprintf(row.slot, sizeof(row.slot), "%s", h->cabinet->slots[k->slot].label);
        int r = ledger_movement_intend(h->records->ledger, &row, &now);
        if (r >= 0)
                r = record_commanded(h, lock, action, actor, reason);
        if (r < 0)
                return r;
        Movement *m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        *m = (Movement){.hardware = h,
                        .id = row.id,
                        .lock = lock,
                        .action = action,
                        .secure_until = USEC_INFINITY,
                        .suspect = -1};
        *ret = m;
        return 0;
}

/* A command's number says which lock it moves and how: its result may come when the movement is settled, and
 * others have begun. */
static uint64_t command_number(Hardware *h, int lock, LockAction action) {
        return (++h->next_command * (uint64_t)h->cabinet->n_locks + (uint64_t)lock) * 2 +
               (action == LOCK_ACTION_SECURE);
}

static int command_unlocks(const Hardware *h, uint64_t command) {
        return command % 2 ? -1 : (int)(command / 2 % (uint64_t)h->cabinet->n_locks);
}

static void give_command(Movement *m) {
        Hardware *h = m->hardware;

        m->command = command_number(h, m->lock, m->action);
        int r = locks_command(h->locks, m->command, m->lock, m->action, m->expires, m->urgent);
        if (r < 0) {
                /* Out of memory or no worker: the result that would have come is made here, but not from
                 * inside the caller. */
                log_error_errno(r, "Cannot queue a lock command");
                m->expires = 0;
        }
}

int movement_start(Movement *m, MovementDone done, void *userdata) {
        Hardware *h = m->hardware;

        if (h->moving[m->lock])
                return -EBUSY;
        if (m->action == LOCK_ACTION_UNLOCK && !door_command(&h->doors[m->lock], m->urgent || m->insist))
                return -EBUSY;
        /* A lid waits for its door, which may take its retry: it is as fresh as the moment at which its turn
         * has come. */
        if (!m->urgent)
                m->expires = h->records->now().boot_usec + COMMAND_EXPIRES_USEC;
        m->done = done;
        m->userdata = userdata;
        m->started = true;
        h->moving[m->lock] = m;
        give_command(m);
        notify_slot(h->records, h->cabinet->locks[m->lock].slot);
        return 0;
}

int movement_settle_in(Movement *m, const char *outcome) {
        Now now = m->hardware->records->now();

        return m->id ? ledger_movement_settle(m->hardware->records->ledger, m->id, outcome, &now) : 0;
}

static int record_unsettled(Hardware *h, const Unsettled *u) {
        int slot = h->cabinet->locks[u->lock].slot;
        char subject[SUBJECT_MAX];
        Now now = h->records->now();
        int r = records_begin(h->records);

        if (r < 0)
                return r;
        r = u->id ? ledger_movement_settle(h->records->ledger, u->id, u->outcome, &now) : 0;
        if (r >= 0 && u->event) {
                subject_place(h->cabinet, slot, position_number(h, u->lock), subject);
                r = records_add(h->records, NULL, u->reason, u->event, subject,
                                data_place(h->cabinet, slot, position_number(h, u->lock)), NULL);
        }
        return records_end(h->records, r);
}

/* Without memory for it the intent stays open for the next start. */
static void keep_unsettled(Hardware *h, const Unsettled *u) {
        Unsettled *grown = reallocarray(h->unsettled, h->n_unsettled + 1, sizeof(*grown));

        if (!grown)
                return;
        h->unsettled = grown;
        h->unsettled[h->n_unsettled++] = *u;
        h->record_at = MIN(h->record_at, h->records->now().boot_usec + RECORDS_RETRY_USEC);
}

void movement_settle_later(Movement *m, const char *outcome) {
        keep_unsettled(m->hardware, &(Unsettled){.id = m->id,
                                                 .lock = m->lock,
                                                 .outcome = outcome,
                                                 .event = m->urgent ? "safety.released" : NULL,
                                                 .reason = m->urgent ? m->safety : NULL});
}

int movements_settle_again(Hardware *h) {
        size_t done = 0;
        int r = 0;

        while (done < h->n_unsettled) {
                r = record_unsettled(h, &h->unsettled[done]);
                if (r < 0 && r != -EALREADY && r != -ENOENT)
                        break;
                r = 0;
                done++;
        }
        h->n_unsettled -= done;
        if (done)
                memmove(h->unsettled, h->unsettled + done, h->n_unsettled * sizeof(*h->unsettled));
        return r;
}

/* In a transaction of its own. */
static void settle(Movement *m, const char *outcome, const char *event, int priority) {
        Hardware *h = m->hardware;
        const Unsettled u = {.id = m->id, .lock = m->lock, .outcome = outcome, .event = event};
        int r = record_unsettled(h, &u);

        if (r < 0) {
                keep_unsettled(h, &u);
                log_error_errno(r, "Cannot record the outcome of a lock movement; trying again");
                return;
        }
        if (priority)
                log_message(priority, LOCKERD_MESSAGE_DOOR_JAMMED, NULL, "Slot %s: %s%s",
                            h->cabinet->slots[h->cabinet->locks[m->lock].slot].label, outcome,
                            m->pulsed && !m->confirmed ? "; its board confirmed no pulse: look at the line"
                                                       : "");
}

static void finish(Movement *m, int result) {
        MovementDone done = m->done;

        /* A pulse that is still waiting (the retry, when the latch lets go late after all) must not open a
         * door that has been shut again meanwhile. One that is over or on the wire is not touched by this. */
        locks_withdraw(m->hardware->locks, m->command);
        m->hardware->moving[m->lock] = NULL;
        if (done)
                done(m, result);
        free(m);
}

void movement_withdraw(Movement *m) {
        if (!m)
                return;
        settle(m, "withdrawn", NULL, 0);
        movement_free(m);
}

static bool inner_lock(const Movement *m) {
        return m->hardware->cabinet->locks[m->lock].position >= 0;
}

/* A lid that did not open, behind a door that has been shut meanwhile: nobody would see a retry, and whoever
 * comes to this slot next would find the lid open. What the first pulse did, nobody saw either. */
static void give_up_behind_shut_door(Movement *m) {
        (void)door_command_failed(&m->hardware->doors[m->lock]);
        settle(m, "unknown", "door.unknown", LOG_WARNING);
        finish(m, LOCKER_E_OUTCOME_UNKNOWN);
}

/* A door that opens by itself while another one was told to, and does not: their wires are swapped. Where
 * several were told to, nobody can say whose it is. */
void movement_suspects(Hardware *h, int lock) {
        Movement *only = NULL;

        for (int i = 0; i < h->cabinet->n_locks; i++) {
                Movement *m = h->moving[i];
                if (!m || !m->started || m->action != LOCK_ACTION_UNLOCK || i == lock ||
                    h->doors[i].state != DOOR_RELEASING)
                        continue;
                if (only)
                        return;
                only = m;
        }
        if (only)
                only->suspect = lock;
}

static void record_wrong_door(Hardware *h, int lock, const char *other) {
        const char *label = h->cabinet->slots[h->cabinet->locks[lock].slot].label;
        char subject[SUBJECT_MAX];

        subject_place(h->cabinet, h->cabinet->locks[lock].slot, position_number(h, lock), subject);
        if (records_begin(h->records) >= 0)
                (void)records_end(h->records,
                                  records_add(h->records, NULL, NULL, "door.wrong-opened", subject,
                                              json_pack("{s:s, s:i, s:s}", "slot", label, "position",
                                                        (int)position_number(h, lock), "opened", other),
                                              NULL));
        log_message(LOG_CRIT, LOCKERD_MESSAGE_WRONG_DOOR, (const char *const[]){"LOCKERD_SLOT", label, NULL},
                    "The lock of slot %s opened slot %s: check the wiring", label, other);
}

/* No second pulse: it would open what is somebody else's once more. */
static void wrong_door(Movement *m) {
        Hardware *h = m->hardware;
        int lock = m->lock;

        h->miswired[lock] = m->suspect;
        (void)door_command_failed(&h->doors[lock]);
        settle(m, "failed", "door.failed-to-open", LOG_WARNING);
        record_wrong_door(h, lock, h->cabinet->slots[h->cabinet->locks[m->suspect].slot].label);
        h->up(h->userdata, h->cabinet->locks[lock].slot, lock, HARDWARE_WRONG_DOOR);
        finish(m, LOCKER_E_WRONG_DOOR);
        notify_health(h->records);
}

/* doors.c has recorded released, opened and closed; here the movement draws its conclusion. */
void movement_facts(Hardware *h, int lock, unsigned happened) {
        Movement *m = h->moving[lock];

        if (!m || !m->started)
                return;
        if (m->action == LOCK_ACTION_SECURE) {
                if (happened & DOOR_CLOSED)
                        finish(m, 0);
                return;
        }
        if (happened & DOOR_RELEASED) {
                h->miswired[lock] = -1;
                finish(m, 0);
        } else if (m->suspect >= 0 && happened & (DOOR_WANTS_RETRY | DOOR_FAILED_TO_OPEN)) {
                wrong_door(m);
        } else if (happened & DOOR_WANTS_RETRY && inner_lock(m) &&
                   slot_is_shut(h, h->cabinet->locks[lock].slot)) {
                give_up_behind_shut_door(m);
        } else if (happened & DOOR_WANTS_RETRY) {
                /* The one verified retry is part of the same intent; the person is still there. */
                m->expires = h->records->now().boot_usec + COMMAND_EXPIRES_USEC;
                give_command(m);
        } else if (happened & DOOR_FAILED_TO_OPEN) {
                settle(m, "failed", "door.failed-to-open", LOG_WARNING);
                finish(m, inner_lock(m) ? LOCKER_E_POSITION_DID_NOT_OPEN : LOCKER_E_DID_NOT_OPEN);
        } else if (happened & DOOR_LOST) {
                settle(m, "unknown", NULL, LOG_WARNING);
                finish(m, LOCKER_E_OUTCOME_UNKNOWN);
        }
}

static void not_secured(Movement *m) {
        settle(m, "failed", "door.failed-to-lock", LOG_WARNING);
        finish(m, LOCKER_E_POSITION_DID_NOT_OPEN);
}

/* As with a door that does not open, see door.h: no verdict without a look. */
static void secure_window_over(Movement *m, const Now *now) {
        if (!m->secure_look) {
                m->secure_look = m->secure_until;
                m->secure_until = now->boot_usec + DOOR_UNSEEN_USEC;
                locks_look(m->hardware->locks, m->lock);
                return;
        }
        settle(m, "unknown", "door.unknown", LOG_WARNING);
        finish(m, LOCKER_E_OUTCOME_UNKNOWN);
}

void movement_seen(Hardware *h, int lock, uint64_t at_boot) {
        Movement *m = h->moving[lock];

        if (m && m->started && m->action == LOCK_ACTION_SECURE && m->secure_look && at_boot >= m->secure_look)
                not_secured(m);
}

static Movement *by_command(Hardware *h, uint64_t command) {
        for (int i = 0; i < h->cabinet->n_locks; i++)
                if (h->moving[i] && h->moving[i]->command == command)
                        return h->moving[i];
        return NULL;
}

/* Nothing moved; but when it is the retry that came to nothing, the first pulse may have done its work
 * unseen. */
static void not_moved(Movement *m, const char *outcome) {
        Hardware *h = m->hardware;
        int lock = m->lock, slot = h->cabinet->locks[lock].slot;
        bool online = board_is_online(h, h->cabinet->locks[lock].board),
             unlock = m->action == LOCK_ACTION_UNLOCK;

        unsigned happened = unlock ? door_command_failed(&h->doors[lock]) : 0;
        if (unlock && m->pulsed) {
                /* When the door machine has lost it, that is recorded below. */
                settle(m, "unknown", happened & DOOR_LOST ? NULL : "door.unknown", LOG_WARNING);
                finish(m, LOCKER_E_OUTCOME_UNKNOWN);
        } else {
                settle(m, outcome, unlock ? "door.failed-to-open" : "door.failed-to-lock", LOG_WARNING);
                finish(m, !online         ? LOCKER_E_BOARD_OFFLINE
                          : inner_lock(m) ? LOCKER_E_POSITION_DID_NOT_OPEN
                                          : LOCKER_E_DID_NOT_OPEN);
        }
        if (happened)
                doors_happened(h, lock, happened);
        else
                hardware_changed(h, slot, lock, 0); /* others wait for this lock, too */
        notify_slot(h->records, slot);
}

/* The movement is settled already: the door was faster than the board's answer. The door machine counts its
 * pulses all the same. */
static void late_result(Hardware *h, uint64_t command, LockResult result, uint64_t at_boot) {
        int lock = command_unlocks(h, command);

        if (lock < 0)
                return;
        if (result == LOCK_RESULT_PULSED || result == LOCK_RESULT_UNCERTAIN)
                door_pulsed(&h->doors[lock], at_boot);
        else
                (void)door_command_failed(&h->doors[lock]);
}

void movements_result(void *userdata, uint64_t command, LockResult result, uint64_t at_boot) {
        Hardware *h = userdata;
        Movement *m = by_command(h, command);

        if (!m) {
                late_result(h, command, result, at_boot);
                return;
        }
        switch (result) {
        case LOCK_RESULT_PULSED:
        case LOCK_RESULT_UNCERTAIN: /* it may have been energised: only the sensors can tell */
                m->pulsed = true;
                m->confirmed = m->confirmed || result == LOCK_RESULT_PULSED;
                if (m->action == LOCK_ACTION_UNLOCK)
                        door_pulsed(&h->doors[m->lock], at_boot);
                else
                        m->secure_until = at_boot + h->cabinet->locks[m->lock].release_ms * USEC_PER_MSEC;
                break;
        case LOCK_RESULT_NOT_SENT:
                not_moved(m, "not-sent");
                break;
        case LOCK_RESULT_REFUSED:
                not_moved(m, "refused");
                break;
        }
}

void movements_tick(Hardware *h, const Now *now) {
        for (int i = 0; i < h->cabinet->n_locks; i++) {
                Movement *m = h->moving[i];
                if (!m)
                        continue;
                if (m->expires == 0) {
                        not_moved(m, "not-sent");
                } else if (now->boot_usec >= m->secure_until) {
                        secure_window_over(m, now);
                }
        }
}

uint64_t movements_next_deadline(const Hardware *h) {
        uint64_t next = USEC_INFINITY;

        for (int i = 0; i < h->cabinet->n_locks; i++)
                if (h->moving[i])
                        next = MIN(next, h->moving[i]->expires == 0 ? 0 : h->moving[i]->secure_until);
        return next;
}
