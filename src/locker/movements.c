/* SPDX-License-Identifier: Apache-2.0 */
/* A lock's movement: the intent is in the ledger before the command goes out, the outcome after the sensors
 * have spoken. What a board acknowledges only starts the release window; what the door did is told by
 * doors.c. */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

/* A command that has not reached the line by then is stale: the person may have gone. */
#define COMMAND_EXPIRES_USEC (5 * USEC_PER_SEC)

static unsigned position_number(const Locker *l, int lock) {
        int position = l->cabinet->locks[lock].position;

        return position < 0 ? 0 : l->cabinet->positions[position].number;
}

Movement *movement_free(Movement *m) {
        if (!m)
                return NULL;
        if (m->locker->moving[m->lock] == m)
                m->locker->moving[m->lock] = NULL;
        free(m);
        return NULL;
}

int movement_intend(Locker *l, int lock, LockAction action, Session *s, uint64_t parcel, const char *why,
                    const char *actor, const char *reason, Movement **ret) {
        const Lock *k = &l->cabinet->locks[lock];
        Now now = l->now();
        MovementRow row = {.session = s ? s->id : 0,
                           .parcel = parcel,
                           .position = position_number(l, lock),
                           .action = action == LOCK_ACTION_UNLOCK ? "unlock" : "secure",
                           .why = why,
                           .actor = actor,
                           .reason = reason};

        snprintf(row.slot, sizeof(row.slot), "%s", l->cabinet->slots[k->slot].label);
        int r = ledger_movement_intend(l->ledger, &row, &now);
        if (r < 0)
                return r;
        Movement *m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        *m = (Movement){.locker = l,
                        .id = row.id,
                        .lock = lock,
                        .action = action,
                        .secure_until = USEC_INFINITY,
                        .expires = now.boot_usec + COMMAND_EXPIRES_USEC};
        *ret = m;
        return 0;
}

/* A command's number says which lock it moves and how: its result may come when the movement is settled, and
 * others have begun. */
static uint64_t command_number(Locker *l, int lock, LockAction action) {
        return (++l->next_command * (uint64_t)l->cabinet->n_locks + (uint64_t)lock) * 2 +
               (action == LOCK_ACTION_SECURE);
}

static int command_unlocks(const Locker *l, uint64_t command) {
        return command % 2 ? -1 : (int)(command / 2 % (uint64_t)l->cabinet->n_locks);
}

static void give_command(Movement *m) {
        Locker *l = m->locker;

        m->command = command_number(l, m->lock, m->action);
        int r = locks_command(l->locks, m->command, m->lock, m->action, m->expires, m->urgent);
        if (r < 0) {
                /* Out of memory or no worker: the result that would have come is made here, but not from
                 * inside the caller. */
                log_error_errno(r, "Cannot queue a lock command");
                m->expires = 0;
        }
}

int movement_start(Movement *m, MovementDone done, void *userdata) {
        Locker *l = m->locker;

        if (l->moving[m->lock])
                return -EBUSY;
        if (m->action == LOCK_ACTION_UNLOCK && !door_command(&l->doors[m->lock], m->urgent || m->insist))
                return -EBUSY;
        m->done = done;
        m->userdata = userdata;
        m->started = true;
        l->moving[m->lock] = m;
        give_command(m);
        notify_slot(l, l->cabinet->locks[m->lock].slot);
        return 0;
}

int movement_settle_in(Movement *m, const char *outcome) {
        Now now = m->locker->now();

        return m->id ? ledger_movement_settle(m->locker->ledger, m->id, outcome, &now) : 0;
}

/* Settles in a transaction of its own. A ledger that cannot take it leaves the intent open, which the next
 * start finds. */
static void settle(Movement *m, const char *outcome, const char *event, int priority) {
        Locker *l = m->locker;
        const Lock *k = &l->cabinet->locks[m->lock];
        char subject[SUBJECT_MAX];

        if (locker_begin(l) < 0)
                return;
        int r = movement_settle_in(m, outcome);
        if (r >= 0 && event) {
                subject_place(l, k->slot, position_number(l, m->lock), subject);
                r = locker_record(l, NULL, NULL, event, subject,
                                  data_place(l, k->slot, position_number(l, m->lock)), NULL);
        }
        if (r < 0) {
                locker_rollback(l);
                log_error_errno(r, "Cannot record the outcome of a lock movement");
                return;
        }
        (void)locker_commit(l);
        if (priority)
                log_message(priority, LOCKERD_MESSAGE_DOOR_JAMMED, NULL, "Slot %s: %s%s",
                            l->cabinet->slots[k->slot].label, outcome,
                            m->pulsed && !m->confirmed ? "; its board confirmed no pulse: look at the line"
                                                       : "");
}

static void finish(Movement *m, int result) {
        MovementDone done = m->done;

        /* A pulse that is still waiting (the retry, when the latch lets go late after all) must not open a
         * door that has been shut again meanwhile. One that is over or on the wire is not touched by this. */
        locks_withdraw(m->locker->locks, m->command);
        m->locker->moving[m->lock] = NULL;
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
        return m->locker->cabinet->locks[m->lock].position >= 0;
}

/* A lid that did not open, behind a door that has been shut meanwhile: nobody would see a retry, and whoever
 * comes to this slot next would find the lid open. What the first pulse did, nobody saw either. */
static void give_up_behind_shut_door(Movement *m) {
        (void)door_command_failed(&m->locker->doors[m->lock]);
        settle(m, "unknown", "door.unknown", LOG_WARNING);
        finish(m, LOCKER_E_OUTCOME_UNKNOWN);
}

/* doors.c has recorded released, opened and closed; here the movement draws its conclusion. */
void movement_facts(Locker *l, int lock, unsigned happened) {
        Movement *m = l->moving[lock];

        if (!m || !m->started)
                return;
        if (m->action == LOCK_ACTION_SECURE) {
                if (happened & DOOR_CLOSED)
                        finish(m, 0);
                return;
        }
        if (happened & DOOR_RELEASED) {
                finish(m, 0);
        } else if (happened & DOOR_WANTS_RETRY && inner_lock(m) &&
                   locker_slot_shut(l, l->cabinet->locks[lock].slot)) {
                give_up_behind_shut_door(m);
        } else if (happened & DOOR_WANTS_RETRY) {
                /* The one verified retry is part of the same intent; the person is still there. */
                m->expires = l->now().boot_usec + COMMAND_EXPIRES_USEC;
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
                locks_look(m->locker->locks, m->lock);
                return;
        }
        settle(m, "unknown", "door.unknown", LOG_WARNING);
        finish(m, LOCKER_E_OUTCOME_UNKNOWN);
}

void movement_seen(Locker *l, int lock, uint64_t at_boot) {
        Movement *m = l->moving[lock];

        if (m && m->started && m->action == LOCK_ACTION_SECURE && m->secure_look && at_boot >= m->secure_look)
                not_secured(m);
}

static Movement *by_command(Locker *l, uint64_t command) {
        for (int i = 0; i < l->cabinet->n_locks; i++)
                if (l->moving[i] && l->moving[i]->command == command)
                        return l->moving[i];
        return NULL;
}

/* Nothing moved; but when it is the retry that came to nothing, the first pulse may have done its work
 * unseen. */
static void not_moved(Movement *m, const char *outcome) {
        Locker *l = m->locker;
        int lock = m->lock, slot = l->cabinet->locks[lock].slot;
        bool online = locker_board_online(l, l->cabinet->locks[lock].board),
             unlock = m->action == LOCK_ACTION_UNLOCK;

        unsigned happened = unlock ? door_command_failed(&l->doors[lock]) : 0;
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
                doors_happened(l, lock, happened);
        notify_slot(l, slot);
}

/* The movement is settled already: the door was faster than the board's answer. The door machine counts its
 * pulses all the same. */
static void late_result(Locker *l, uint64_t command, LockResult result, uint64_t at_boot) {
        int lock = command_unlocks(l, command);

        if (lock < 0)
                return;
        if (result == LOCK_RESULT_PULSED || result == LOCK_RESULT_UNCERTAIN)
                door_pulsed(&l->doors[lock], at_boot);
        else
                (void)door_command_failed(&l->doors[lock]);
}

void movements_result(void *userdata, uint64_t command, LockResult result, uint64_t at_boot) {
        Locker *l = userdata;
        Movement *m = by_command(l, command);

        if (!m) {
                late_result(l, command, result, at_boot);
                return;
        }
        switch (result) {
        case LOCK_RESULT_PULSED:
        case LOCK_RESULT_UNCERTAIN: /* it may have been energised: only the sensors can tell */
                m->pulsed = true;
                m->confirmed = m->confirmed || result == LOCK_RESULT_PULSED;
                if (m->action == LOCK_ACTION_UNLOCK)
                        door_pulsed(&l->doors[m->lock], at_boot);
                else
                        m->secure_until = at_boot + l->cabinet->locks[m->lock].release_ms * USEC_PER_MSEC;
                break;
        case LOCK_RESULT_NOT_SENT:
                not_moved(m, "not-sent");
                break;
        case LOCK_RESULT_REFUSED:
                not_moved(m, "refused");
                break;
        }
}

void movements_tick(Locker *l, const Now *now) {
        for (int i = 0; i < l->cabinet->n_locks; i++) {
                Movement *m = l->moving[i];
                if (!m)
                        continue;
                if (m->expires == 0) {
                        not_moved(m, "not-sent");
                } else if (now->boot_usec >= m->secure_until) {
                        secure_window_over(m, now);
                }
        }
}

uint64_t movements_next_deadline(const Locker *l) {
        uint64_t next = USEC_INFINITY;

        for (int i = 0; i < l->cabinet->n_locks; i++)
                if (l->moving[i])
                        next = MIN(next, l->moving[i]->expires == 0 ? 0 : l->moving[i]->secure_until);
        return next;
}
