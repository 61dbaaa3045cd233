/* SPDX-License-Identifier: Apache-2.0 */
/* A slot's door has been shut (or a sensor inside has changed): what was the person's step, and what came of
 * it? Sensors decide where there are any; where they contradict the person, the person is told and asked;
 * where nobody answers, the parcel is unverified. */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>

#define RETRY_USEC       (5 * USEC_PER_SEC)
#define SENSORS_LAG_USEC USEC_PER_SEC

static void wait_for(Session *s, Waiting waiting, const char *what, const char *sentence) {
        Locker *l = s->locker;
        Now now = l->now();

        if (s->waiting == waiting)
                return;
        s->waiting = waiting;
        s->out_of_time = false;
        /* Nobody is there any more to choose; but a sensor on another line may still say what was before the
         * door was shut. */
        s->answer_at = now.boot_usec + (s->gone ? SENSORS_LAG_USEC : l->settings->answer_usec);
        session_set_state(s, SESSION_CLOSING);
        session_prompt(s, what, sentence);
}

static int write_end(Session *s, ParcelState state) {
        Locker *l = s->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        Now now = l->now();
        int64_t wall = locker_wall(l, &now);
        int r = ledger_parcel_get(l->ledger, s->parcel, &p);

        if (r < 0)
                return r;
        p.state = state;
        if (state == PARCEL_STORED && !p.stored) {
                p.stored = wall;
                p.expires = wall + (int64_t)l->settings->code_valid_usec;
                r = ledger_position_used(l->ledger, p.slot, p.position);
        }
        if (parcel_is_final(state))
                p.ended = wall;
        if (r >= 0 && state == PARCEL_REJECTED)
                r = ledger_code_erase(l->ledger, p.id);
        if (r >= 0)
                r = ledger_parcel_update(l->ledger, &p);
        if (r >= 0)
                r = locker_record_parcel(l, s->actor, NULL, &p, NULL);
        if (r >= 0)
                r = reminders_moved(l, &p);
        if (r >= 0 && state == PARCEL_UNVERIFIED)
                log_message(LOG_WARNING, LOCKERD_MESSAGE_UNVERIFIED,
                            (const char *const[]){"LOCKERD_SLOT", p.slot, NULL},
                            "Parcel %llu in slot %s position %u is unverified: look and reconcile",
                            (unsigned long long)p.id, p.slot, p.position);
        return r;
}

/* False: the ledger could not take it; the step stays and is tried again. */
static bool end_parcel(Session *s, ParcelState state) {
        Locker *l = s->locker;
        int r = locker_begin(l);

        if (r >= 0) {
                r = write_end(s, state);
                r = locker_end(l, r);
        }
        if (r < 0) {
                log_error_errno(r, "Cannot record that parcel %llu is %s; trying again",
                                (unsigned long long)s->parcel, parcel_state_to_string(state));
                s->retry_at = l->now().boot_usec + RETRY_USEC;
                return false;
        }
        notify_parcel(l, s->parcel);
        return true;
}

static void end_step(Session *s, ParcelState state) {
        static const struct {
                ParcelState state;
                const char *what, *sentence;
        } words[] = {
                {PARCEL_STORED, "stored", "The item is locked in."},
                {PARCEL_CANCELLED, "cancelled", "The deposit was cancelled."},
                {PARCEL_COLLECTED, "collected", "Thank you."},
                {PARCEL_REJECTED, "rejected", "The item is locked in again and goes back with the courier."},
                {PARCEL_UNVERIFIED, "unverified", "The operator has been asked to look into this slot."},
        };
        bool deposited = s->step == STEP_DEPOSIT && state == PARCEL_STORED;

        if (!end_parcel(s, state))
                return;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (words[i].state == state)
                        session_settled(s, words[i].what, words[i].sentence);
        s->deposited = deposited;
        /* What was given back stays locked in until a courier comes: no reopening, the ledger would not know
         * of it. */
        if (state == PARCEL_REJECTED)
                session_drop_slot(s);
}

static void secured(Movement *m, int result) {
        Session *s = m->userdata;

        s->inner = NULL;
        s->waiting = WAITING_NO;
        if (result)
                wait_for(s, WAITING_FOR_LID, "close-lid",
                         "The position inside did not lock. Please open again and close its lid.");
        else
                session_shut(s);
}

/* A motor lock is shut by command once its lid is (A3). True: under way. */
static bool secure_lid(Session *s, int lock) {
        Locker *l = s->locker;

        if (s->inner)
                return true;
        if (s->waiting == WAITING_FOR_LID || !lid_can_be_secured(l, lock) ||
            lid_secure(l, lock, s, s->parcel, secured, s, &s->inner) < 0)
                return false;
        s->waiting = WAITING_FOR_SECURE;
        session_set_state(s, SESSION_CLOSING);
        return true;
}

/* Is the position's own lock shut? Waits for it, or gives up when `final`. */
typedef enum Lid { LID_SHUT, LID_WAITING, LID_GIVEN_UP } Lid;

static Lid settle_lid(Session *s, bool final) {
        int lock = s->locker->cabinet->positions[s->position].lock;

        /* One that was told to open and did not is as shut as it was. */
        if (lock_is_shut(s->locker, lock) ||
            (s->locker->doors[lock].state == DOOR_JAMMED && !s->locker->moving[lock]))
                return LID_SHUT;
        if (secure_lid(s, lock))
                return LID_WAITING;
        if (final)
                return LID_GIVEN_UP;
        wait_for(s, WAITING_FOR_LID, "close-lid",
                 "The lid inside is not locked. Please open the door again and close the lid.");
        return LID_WAITING;
}

/* Nobody shuts the lid any more. What is behind it is unverified, unless a sensor says that there is nothing.
 */
static void end_with_open_lid(Session *s, ParcelState if_empty) {
        (void)lid_out_of_service(s->locker, s->position, s->actor);
        end_step(s, position_occupied(s->locker, s->position) == TRI_NO ? if_empty : PARCEL_UNVERIFIED);
}

static void settle_deposit(Session *s, bool final) {
        Lid lid = settle_lid(s, final);
        Tri occupied = position_occupied(s->locker, s->position);

        if (lid == LID_WAITING)
                return;
        if (lid == LID_GIVEN_UP) {
                end_with_open_lid(s, PARCEL_UNVERIFIED);
        } else if (s->choice == CHOICE_CANCEL) {
                if (occupied != TRI_YES)
                        end_step(s, PARCEL_CANCELLED);
                else if (final)
                        end_step(s, PARCEL_UNVERIFIED);
                else
                        wait_for(s, WAITING_FOR_ITEM, "still-inside",
                                 "Something is still inside. Please open again and take it out.");
        } else if (occupied == TRI_NO) {
                if (final)
                        end_step(s, PARCEL_CANCELLED);
                else
                        wait_for(s, WAITING_FOR_ITEM, "put-in",
                                 "The position is still empty. Please open again and put the item in.");
        } else {
                end_step(s, PARCEL_STORED);
        }
}

static void settle_accept(Session *s, bool final) {
        if (position_occupied(s->locker, s->position) != TRI_YES)
                end_step(s, PARCEL_COLLECTED);
        else if (final)
                end_step(s, PARCEL_UNVERIFIED);
        else
                wait_for(s, WAITING_FOR_ITEM, "still-inside",
                         "The item is still inside. Please open again and take it out.");
}

static void settle_reject(Session *s, bool final) {
        if (position_occupied(s->locker, s->position) != TRI_NO)
                end_step(s, PARCEL_REJECTED);
        else if (final)
                end_step(s, PARCEL_UNVERIFIED);
        else
                wait_for(s, WAITING_FOR_ITEM, "put-back",
                         "The position is empty. Please open again and put the item back.");
}

static void settle_unanswered(Session *s, bool final) {
        Tri occupied = position_occupied(s->locker, s->position);

        if (!final) {
                wait_for(s, WAITING_FOR_CHOICE, "choose", "Do you keep the item (accept) or not (reject)?");
                return;
        }
        if (occupied == TRI_YES)
                end_step(s, PARCEL_STORED);
        else if (occupied == TRI_NO || s->locker->settings->unanswered_is_collected)
                end_step(s, PARCEL_COLLECTED);
        else
                end_step(s, PARCEL_UNVERIFIED);
}

static void settle_collect(Session *s, bool final) {
        switch (settle_lid(s, final)) {
        case LID_WAITING:
                return;
        case LID_GIVEN_UP:
                end_with_open_lid(s, s->choice == CHOICE_REJECT ? PARCEL_UNVERIFIED : PARCEL_COLLECTED);
                return;
        case LID_SHUT:
                break;
        }
        switch (s->choice) {
        case CHOICE_ACCEPT:
                settle_accept(s, final);
                break;
        case CHOICE_REJECT:
                settle_reject(s, final);
                break;
        case CHOICE_NONE:
        case CHOICE_CANCEL:
                settle_unanswered(s, final);
                break;
        }
}

static void settle_take_back(Session *s, bool final) {
        Lid lid = settle_lid(s, final);
        Tri occupied = position_occupied(s->locker, s->position);
        ParcelState state = PARCEL_RETURNED;

        if (lid == LID_WAITING)
                return;
        if (occupied == TRI_YES && !final) {
                wait_for(s, WAITING_FOR_ITEM, "still-inside",
                         "The item is still inside. Please open again and take it out.");
                return;
        }
        if (lid == LID_GIVEN_UP) {
                (void)lid_out_of_service(s->locker, s->position, s->actor);
                state = occupied == TRI_NO ? PARCEL_RETURNED : PARCEL_UNVERIFIED;
        }
        bool stays = lid == LID_SHUT && occupied == TRI_YES;
        if (!stays && !end_parcel(s, state))
                return;
        if (stays)
                session_prompt(s, "left-inside", "The item was not taken and stays locked in.");
        else if (state == PARCEL_UNVERIFIED)
                session_prompt(s, "unverified", "The operator has been asked to look into this slot.");
        else
                session_prompt(s, "returned", "Thank you.");
        (void)take_back_next(s);
}

static void settle(Session *s, bool final) {
        switch (s->step) {
        case STEP_NONE:
                break;
        case STEP_DEPOSIT:
                settle_deposit(s, final);
                break;
        case STEP_COLLECT:
                settle_collect(s, final);
                break;
        case STEP_TAKE_BACK:
                settle_take_back(s, final);
                break;
        }
}

/* A door that nobody can see, and nobody is there to ask. */
static void give_up_unseen(Session *s) {
        end_step(s, PARCEL_UNVERIFIED);
        if (s->settled)
                session_drop_slot(s);
}

static void drop_leftovers(Session *s) {
        Locker *l = s->locker;

        for (int i = 0; i < l->cabinet->n_slots; i++)
                if (l->holder[i] == s && i != s->slot && slot_is_over(l, i))
                        slot_released(l, i);
}

/* The door has been opened again (by force, by an operator, by a safety input) while something was waited
 * for: what is waited for then is that it is shut, and all of it is asked anew. */
static void open_again(Session *s) {
        if (s->waiting == WAITING_NO || s->waiting == WAITING_FOR_SECURE)
                return;
        s->waiting = WAITING_NO;
        s->out_of_time = false;
        s->answer_at = USEC_INFINITY;
        session_set_state(s, SESSION_OPEN);
}

/* Nobody is there any more, and nobody can see the door: an end that does not wait for the board's return. */
static void wait_for_sight(Session *s) {
        if (s->gone && !s->settled && s->step != STEP_NONE && s->answer_at == USEC_INFINITY)
                s->answer_at = s->locker->now().boot_usec + s->locker->settings->answer_usec;
}

void session_shut(Session *s) {
        drop_leftovers(s);
        if (s->slot < 0 || s->opened)
                return;
        if (!slot_is_closed(s->locker, s->slot)) {
                if (!slot_is_over(s->locker, s->slot))
                        open_again(s);
                else if (s->settled && s->gone)
                        session_drop_slot(s);
                else
                        wait_for_sight(s);
                return;
        }
        secure_lids(s->locker, s->slot);
        if (s->settled) {
                if (s->reopened) {
                        Lid lid = settle_lid(s, s->out_of_time || s->gone);
                        if (lid == LID_WAITING)
                                return;
                        if (lid == LID_GIVEN_UP)
                                (void)lid_out_of_service(s->locker, s->position, s->actor);
                        s->waiting = WAITING_NO;
                        s->reopened = false;
                        s->grace_until = s->locker->now().boot_usec + s->locker->settings->reopen_grace_usec;
                        session_set_state(s, SESSION_AUTHENTICATED);
                }
                if (s->gone)
                        session_drop_slot(s);
                return;
        }
        settle(s, s->out_of_time);
}

void session_answer_timeout(Session *s) {
        if (s->slot < 0 || s->opened)
                return;
        s->out_of_time = true;
        if (s->settled)
                session_shut(s); /* reopened, and its lid is still open */
        else if (slot_is_closed(s->locker, s->slot))
                settle(s, true);
        else if (s->gone && slot_is_over(s->locker, s->slot))
                give_up_unseen(s);
}
