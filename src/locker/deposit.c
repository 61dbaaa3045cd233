/* SPDX-License-Identifier: Apache-2.0 */
/* A courier deposits (A2, D2, F2, F3): the parcel has its position, its code and the intents of its locks in
 * one transaction, then the door opens. A place that does not open, is too small or not empty is left for
 * another one; the parcel moves, its code stays. */
#include "locker/private.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

static int set_place(Session *s, ParcelRow *p) {
        const Position *position = &s->locker->cabinet->positions[s->position];

        snprintf(p->slot, sizeof(p->slot), "%s", s->locker->cabinet->slots[position->slot].label);
        p->position = position->number;
        return 0;
}

/* C2, C4, C5: whose parcel is it, and does that person need a code? */
static int bind_recipient(Session *s, ParcelRow *p, bool *ret_needs_code) {
        Locker *l = s->locker;
        _cleanup_person_ PersonRow person = {0};
        int r = p->phone && *p->phone ? ledger_person_by_phone(l->ledger, p->phone, &person) : -ENOENT;

        if (r < 0 && r != -ENOENT)
                return r;
        bool enrolled = r >= 0 && person.kind == PERSON_RECIPIENT;
        p->person = enrolled ? person.id : 0;
        s->bound_password = enrolled && person.has_password;
        *ret_needs_code = !s->bound_password || l->settings->code_for_everybody;
        return 0;
}

/* Inside the transaction: parcel, code, intents, event. */
static int write_deposit(Session *s, ParcelRow *p) {
        Locker *l = s->locker;
        bool needs_code;
        int r = bind_recipient(s, p, &needs_code);

        if (r < 0)
                return r;
        p->state = PARCEL_DEPOSITING;
        p->courier = s->person;
        snprintf(p->courier_number, sizeof(p->courier_number), "%s", s->courier_number);
        set_place(s, p);
        r = p->id ? ledger_parcel_update(l->ledger, p) : ledger_parcel_insert(l->ledger, p);
        if (r < 0)
                return r;
        s->parcel = p->id;
        s->expires_usec = p->expires;
        r = locker_record_parcel(l, s->actor, NULL, p, NULL);
        if (r >= 0 && needs_code)
                r = code_issue(l, p, s->actor, NULL, s->code);
        if (r >= 0)
                r = opening_intend(s, "deposit", false);
        return r;
}

static void deposit_opened(Session *s, int result);

/* Moves the parcel at hand to another position; inside a transaction. */
static int write_move(Session *s, int position, const char *why) {
        Locker *l = s->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        int r = ledger_parcel_get(l->ledger, s->parcel, &p);

        if (r < 0)
                return r;
        session_take_slot(s, l->cabinet->positions[position].slot, position);
        set_place(s, &p);
        r = ledger_parcel_update(l->ledger, &p);
        if (r >= 0)
                r = locker_record_parcel(l, s->actor, why, &p, NULL);
        if (r >= 0)
                r = opening_intend(s, why, false);
        return r;
}

/* Chooses another position for the parcel at hand, leaving the present one; quarantine: why nothing else may
 * be put there, or NULL. */
static int move_on(Session *s, const char *why, const char *quarantine) {
        Locker *l = s->locker;
        int former = s->position, former_slot = s->slot, position = -1;

        s->tried[former] = 1;
        Refusal refusal = locker_choose_position(l, s, &s->fit, s->tried, &position);
        int r = locker_begin(l);
        if (r < 0)
                return r;
        if (quarantine)
                r = locker_quarantine(l, former, s->actor, quarantine);
        if (r >= 0 && !refusal)
                r = write_move(s, position, why);
        if (r < 0) {
                locker_rollback(l);
                opening_drop(s);
                session_take_slot(s, former_slot, former);
                return r;
        }
        r = locker_commit(l);
        if (r < 0) {
                opening_drop(s);
                session_take_slot(s, former_slot, former);
                return r;
        }
        if (quarantine)
                log_message(LOG_WARNING, LOCKERD_MESSAGE_QUARANTINED,
                            (const char *const[]){"LOCKERD_SLOT", l->cabinet->slots[former_slot].label, NULL},
                            "Slot %s position %u is quarantined: %s", l->cabinet->slots[former_slot].label,
                            l->cabinet->positions[former].number, quarantine);
        notify_slot(l, former_slot);
        if (refusal)
                return refusal;
        notify_parcel(l, s->parcel);
        opening_go(s, deposit_opened);
        return 0;
}

/* Nothing could be opened: the parcel never was inside. */
static void give_up(Session *s, int result) {
        Locker *l = s->locker;

        s->choice = CHOICE_CANCEL;
        session_answer(s, result, NULL);
        session_set_state(s, SESSION_OPEN);
        if (!slot_is_over(l, s->slot))
                return; /* judged when it is shut */
        /* A door whose sensors are gone may be open after all. */
        (void)parcel_owe(l, s->parcel,
                         result == LOCKER_E_OUTCOME_UNKNOWN ? PARCEL_UNVERIFIED : PARCEL_CANCELLED, s->actor,
                         refusal_name(result));
        session_settled(s, "cancelled", "The deposit was cancelled.");
        session_drop_slot(s);
}

static void deposit_opened(Session *s, int result) {
        if (!result) {
                session_set_state(s, SESSION_OPEN);
                session_answer(s, 0, NULL);
                session_prompt(s, "put-in", "Put the item in and close the door.");
                session_shut(s); /* it may be shut again already */
                return;
        }
        /* The next best place, as long as the person is there and one is left. */
        const char *quarantine = NULL;
        if (result == LOCKER_E_DID_NOT_OPEN || result == LOCKER_E_POSITION_DID_NOT_OPEN)
                quarantine = "it did not open";
        else if (result == LOCKER_E_OUTCOME_UNKNOWN) /* the item may lie there already */
                quarantine = "nobody saw whether it opened";
        if (s->gone || move_on(s, "does-not-open", quarantine) != 0)
                give_up(s, result);
}

/* The reserved position, when it is still good. */
static bool reserved_position(Locker *l, const ParcelRow *p, int *ret_position) {
        int slot, position;

        if (p->state != PARCEL_RESERVED || parcel_place(l, p, &slot, &position) < 0 || l->holder[slot] ||
            !locker_slot_shut(l, slot) || position_occupied(l, position) == TRI_YES ||
            !place_online(l, slot, position))
                return false;
        *ret_position = position;
        return true;
}

static int set_text(char **field, const char *value) {
        if (!value)
                return 0;
        char *copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

static int fill_parcel(Session *s, const DepositRequest *q, ParcelRow *p) {
        Locker *l = s->locker;
        Now now = l->now();
        int64_t wall = locker_wall(l, &now);
        int r = 0;

        if (q->parcel) {
                r = ledger_parcel_get(l->ledger, q->parcel, p);
                if (r == -ENOENT)
                        return LOCKER_E_UNKNOWN_PARCEL;
                /* Not by the life cycle's table: what is stored may be deposited again only by whoever has
                 * just put it in (session_resume_deposit()). */
                if (r >= 0 && p->state != PARCEL_ANNOUNCED && p->state != PARCEL_RESERVED)
                        return LOCKER_E_WRONG_STATE;
        } else {
                p->created = wall;
        }
        if (r >= 0)
                r = set_text(&p->recipient, q->recipient);
        if (r >= 0)
                r = set_text(&p->phone, q->phone);
        if (r >= 0)
                r = set_text(&p->waybill, q->waybill);
        if (r < 0)
                return r;
        if (q->size)
                snprintf(p->size, sizeof(p->size), "%s", q->size);
        p->expires = wall + (int64_t)l->settings->code_valid_usec;
        return 0;
}

static int begin_deposit(Session *s, const DepositRequest *q) {
        Locker *l = s->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        int position = -1;
        int r = fill_parcel(s, q, &p);

        if (r)
                return r;
        int size = p.size[0] ? cabinet_find_size(l->cabinet, p.size) : -1;
        if (size < 0)
                return p.size[0] ? LOCKER_E_UNKNOWN_SIZE : LOCKER_E_INVALID_ARGUMENT;
        s->fit = (FitRequest){.min_ordinal = l->cabinet->sizes[size].ordinal,
                              .accessible = q->accessible,
                              .temperature = q->temperature,
                              .allow_larger = q->allow_larger};
        free(s->tried);
        s->tried = calloc((size_t)l->cabinet->n_positions + 1, 1);
        if (!s->tried)
                return -ENOMEM;
        if (!reserved_position(l, &p, &position)) {
                r = (int)locker_choose_position(l, s, &s->fit, s->tried, &position);
                if (r)
                        return r;
        }
        r = locker_begin(l);
        if (r < 0)
                return r;
        session_take_slot(s, l->cabinet->positions[position].slot, position);
        s->step = STEP_DEPOSIT;
        s->choice = CHOICE_NONE;
        r = write_deposit(s, &p);
        r = locker_end(l, r);
        if (r < 0) {
                opening_drop(s);
                s->step = STEP_NONE;
                s->parcel = 0;
                session_drop_slot(s);
        }
        return r;
}

void locker_deposit(Locker *l, Session *s, const DepositRequest *q, LockerReply reply, void *userdata) {
        int r = session_expect(s, ACT_DEPOSIT);

        if (!r && s->step != STEP_NONE)
                r = LOCKER_E_WRONG_STATE;
        if (!r) {
                Now now = l->now();
                storage_check(l, &now);
                if (l->storage_low)
                        r = LOCKER_E_STORAGE_FULL;
        }
        if (!r)
                r = begin_deposit(s, q);
        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        notify_parcel(l, s->parcel);
        s->reply = reply;
        s->reply_userdata = userdata;
        opening_go(s, deposit_opened);
}

static void other_place(Locker *l, Session *s, const char *why, bool larger, const char *quarantine,
                        LockerReply reply, void *userdata) {
        FitRequest before = s->fit;
        int r = session_expect(s, ACT_DEPOSIT);

        if (!r && s->inner)
                r = LOCKER_E_BUSY; /* its lid is being locked */
        if (!r && s->settled)
                r = session_resume_deposit(s);
        if (!r && (s->step != STEP_DEPOSIT || s->slot < 0 || s->choice == CHOICE_CANCEL))
                r = LOCKER_E_WRONG_STATE;
        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        if (larger) {
                int size = l->cabinet->slots[s->slot].size;
                s->fit.min_ordinal = l->cabinet->sizes[size].ordinal + 1;
                s->fit.allow_larger = true;
        }
        s->reply = reply;
        s->reply_userdata = userdata;
        r = move_on(s, why, quarantine);
        if (r) {
                s->fit = before;
                session_answer(s, r, NULL);
                session_shut(s); /* it stays where it is */
        }
}

void locker_too_small(Locker *l, Session *s, LockerReply reply, void *userdata) {
        other_place(l, s, "too-small", true, NULL, reply, userdata);
}

void locker_not_empty(Locker *l, Session *s, LockerReply reply, void *userdata) {
        other_place(l, s, "not-empty", false, "a courier found it not empty", reply, userdata);
}

static void pulsed_again(Session *s, int result) {
        if (!result) {
                session_set_state(s, SESSION_OPEN);
                session_answer(s, 0, NULL);
                session_shut(s);
                return;
        }
        if (s->step == STEP_DEPOSIT) {
                deposit_opened(s, result);
                return;
        }
        session_set_state(s, SESSION_OPEN);
        session_answer(s, result,
                       "It still does not open. Please call the operator; the item stays locked in.");
        session_shut(s);
}

/* "Does not open", said by the person: whatever the sensors say, the locks involved get one more pulse. */
void locker_does_not_open(Locker *l, Session *s, LockerReply reply, void *userdata) {
        int r = session_expect(s, ACT_REOPEN);

        if (!r && s->inner)
                r = LOCKER_E_BUSY; /* its lid is being locked */
        if (!r && (s->slot < 0 || (s->step == STEP_NONE && !s->reopened)))
                r = LOCKER_E_WRONG_STATE;
        if (!r)
                r = locker_begin(l);
        if (!r) {
                r = opening_intend(s, "does-not-open", true);
                r = locker_end(l, r);
                if (r < 0)
                        opening_drop(s);
        }
        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        s->reply = reply;
        s->reply_userdata = userdata;
        s->waiting = WAITING_NO;
        opening_go(s, pulsed_again);
}
