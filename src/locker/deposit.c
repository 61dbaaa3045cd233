/* SPDX-License-Identifier: Apache-2.0 */
/* A courier deposits (A2, D2, F2, F3): the parcel has its position, its code and the intents of its locks in
 * one transaction, then the door opens. A place that does not open, is too small or not empty is left for
 * another one; the parcel moves, its code stays. */
#include "locker/deposit.h"
#include "core/access.h"
#include "core/errand.h"
#include "core/fit.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/parcels.h"
#include "locker/places.h"
#include "locker/recover.h"
#include "locker/session.h"
#include "locker/sessions.h"
#include "ledger/codes.h"
#include "ledger/parcels.h"
#include "ledger/people.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

void deposit_forget_code(Deposit *d) {
        explicit_bzero(d->code, sizeof(d->code));
        explicit_bzero(&d->receipt, sizeof(d->receipt));
}

Deposit *deposit_free(Deposit *d) {
        if (!d)
                return NULL;
        deposit_forget_code(d);
        free(d->tried);
        free(d);
        return NULL;
}

/* C2, C4, C5: whose parcel is it, and does that person need a code? */
static int bind_recipient(Locker *l, ParcelRow *p, unsigned *ret_bound, bool *ret_needs_code) {
        _cleanup_person_ PersonRow person = {0};
        int r = p->phone && *p->phone ? ledger_person_by_phone(l->ledger, p->phone, &person) : -ENOENT;

        if (r < 0 && r != -ENOENT)
                return r;
        bool enrolled = r >= 0 && person.kind == PERSON_RECIPIENT;
        p->person = enrolled ? person.id : 0;
        *ret_bound = enrolled && sufficiency_possible(&l->settings->alone, ACT_COLLECT, person.credentials)
                             ? person.credentials
                             : 0;
        *ret_needs_code = !*ret_bound || l->settings->code_for_everybody;
        return 0;
}

static int issue_code(Errand *e, ParcelRow *p, const char *actor, const char *why) {
        Deposit *d = e->deposit;

        return d->offline ? people_issue_offline_code(e->locker->people, p, actor, why, &d->receipt, d->code)
                          : people_issue_code(e->locker->people, p, actor, why, d->code);
}

/* Inside the transaction: parcel, code, intents, event. */
static int write_deposit(Errand *e, const Session *s, ParcelRow *p) {
        Locker *l = e->locker;
        Deposit *d = e->deposit;
        bool needs_code;
        int r = bind_recipient(l, p, &d->bound, &needs_code);

        if (r < 0)
                return r;
        p->courier = s->person;
        snprintf(p->courier_number, sizeof(p->courier_number), "%s", s->courier_number);
        parcel_set_place(l, p, e->position);
        r = parcel_write(l, p, PARCEL_DEPOSITING, s->actor, NULL);
        if (r < 0)
                return r;
        e->parcel = p->id;
        d->expires_usec = p->expires;
        if (d->bound)
                r = people_bound(l->people, p, d->bound, s->actor);
        if (r >= 0 && needs_code)
                r = issue_code(e, p, s->actor, NULL);
        return r < 0 ? r : errand_intend(e, "deposit", false);
}

/* --- another place --- */

/* A code that is made of the place is another one at another place, unless there is none. */
static int move_code(Errand *e, ParcelRow *p, const char *why) {
        int r = e->deposit->offline ? ledger_code_exists(e->locker->ledger, p->id) : 0;

        return r > 0 ? issue_code(e, p, e->actor, why) : r;
}

/* Inside the transaction. A parcel that has just been stored is being deposited again. */
static int write_move(Errand *e, Errand *next, const char *why) {
        Locker *l = e->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        int r = ledger_parcel_get(l->ledger, e->parcel, &p);

        if (r == -ENOENT || (r >= 0 && p.state != PARCEL_DEPOSITING && p.state != PARCEL_STORED))
                return LOCKER_E_WRONG_STATE; /* an operator has settled it otherwise */
        if (r < 0)
                return r;
        parcel_set_place(l, &p, next->position);
        bool again = p.state == PARCEL_STORED;
        r = parcel_write(l, &p, PARCEL_DEPOSITING, e->actor, why);
        if (r >= 0 && !again)
                r = locker_record_parcel(l, e->actor, why, &p, NULL);
        if (r >= 0)
                r = move_code(e, &p, why);
        return r < 0 ? r : errand_intend(next, why, false);
}

/* One transaction: the present place out of service if it is to be, the parcel in another one, the intents of
 * its locks. `next` NULL: there is none. */
static int commit_move(Errand *e, Errand *next, const char *why) {
        Locker *l = e->locker;
        const char *quarantine = e->deposit->quarantine ? e->deposit->quarantine : e->quarantine;

        if (!next && !quarantine)
                return 0;
        int r = locker_begin(l);
        if (r < 0)
                return r;
        if (quarantine)
                r = locker_quarantine(l, e->position, e->actor, quarantine);
        if (r >= 0 && next)
                r = write_move(e, next, why);
        r = locker_end(l, r);
        if (!r && quarantine)
                errand_log_quarantined(e, quarantine);
        if (!r)
                e->quarantine = NULL;
        return r;
}

/* The reply, the choice of places and the person go on to the new one. */
static void hand_on(Errand *e, Errand *next) {
        next->deposit = steal_ptr(e->deposit);
        next->deposit->why = next->deposit->quarantine = NULL;
        next->reply = steal_ptr(e->reply);
        next->reply_userdata = e->reply_userdata;
        e->session->errand = next;
        /* A neighbour in the same slot: the door is already theirs. */
        errand_hold(next);
}

int deposit_seek(Errand *e) {
        Locker *l = e->locker;
        Deposit *d = e->deposit;
        FitRequest fit = d->fit;
        Errand *next = NULL;
        const char *why = d->why ? d->why : "does-not-open";
        int position = -1;

        if (d->larger) {
                fit.min_ordinal = l->cabinet->sizes[l->cabinet->slots[e->slot].size].ordinal + 1;
                fit.allow_larger = true;
        }
        d->tried[e->position] = 1;
        int refusal = (int)locker_choose_position(l, e->session, &fit, d->tried, &position);
        int r = refusal ? 0
                        : errand_new(l, ERRAND_DEPOSIT, e->session, l->cabinet->positions[position].slot,
                                     position, &next);
        if (r < 0)
                return r;
        if (next)
                next->parcel = e->parcel;
        r = commit_move(e, next, why);
        if (r || !next) {
                if (next)
                        errand_free(next);
                d->why = d->quarantine = NULL;
                d->larger = false;
                return r ? r : refusal;
        }
        d->fit = fit;
        d->larger = false;
        hand_on(e, next);
        notify_parcel(&l->records, next->parcel);
        errand_start(next);
        return 0;
}

/* The reserved position, when it is still good: as free as any other but for the reservation. */
static bool reserved_position(Locker *l, const Session *s, const ParcelRow *p, int *ret_position) {
        int slot, position;

        if (p->state != PARCEL_RESERVED || parcel_place(l, p, &slot, &position) < 0 ||
            !locker_reserved_is_free(l, s, position))
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
                p->created = locker_wall(l);
        }
        if (r >= 0)
                r = set_text(&p->recipient, q->recipient);
        if (r >= 0)
                r = set_text(&p->phone, q->phone);
        if (r >= 0)
                r = set_text(&p->waybill, q->waybill);
        if (r < 0)
                return r;
        /* What was announced wins over what the courier wishes: it is the recipient's. */
        p->accessible = p->accessible || q->accessible;
        if (!q->parcel) {
                p->temperature = q->temperature;
                p->larger = q->allow_larger;
        }
        if (q->size)
                snprintf(p->size, sizeof(p->size), "%s", q->size);
        p->expires = locker_stamp(l, p, LOOSE_EXPIRES) + (int64_t)l->settings->code_valid_usec;
        return 0;
}

static int choose_place(Session *s, const ParcelRow *p, Deposit *d, int *ret_position) {
        Locker *l = s->locker;
        int size = p->size[0] ? cabinet_find_size(l->cabinet, p->size) : -1;

        if (size < 0)
                return p->size[0] ? LOCKER_E_UNKNOWN_SIZE : LOCKER_E_INVALID_ARGUMENT;
        d->fit = (FitRequest){.min_ordinal = l->cabinet->sizes[size].ordinal,
                              .accessible = p->accessible,
                              .temperature = p->temperature,
                              .allow_larger = p->larger};
        return reserved_position(l, s, p, ret_position)
                       ? 0
                       : (int)locker_choose_position(l, s, &d->fit, d->tried, ret_position);
}

static Deposit *deposit_new(const Locker *l) {
        Deposit *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->tried = calloc((size_t)l->cabinet->n_positions + 1, 1);
        return d->tried ? d : deposit_free(d);
}

static int begin_deposit(Session *s, const DepositRequest *q, Errand **ret) {
        Locker *l = s->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        _cleanup_(deposit_freep) Deposit *d = deposit_new(l);
        Errand *e;
        int position = -1;
        int r = d ? fill_parcel(s, q, &p) : -ENOMEM;

        if (!r)
                r = choose_place(s, &p, d, &position);
        if (!r)
                r = errand_new(l, ERRAND_DEPOSIT, s, l->cabinet->positions[position].slot, position, &e);
        if (r)
                return r;
        d->offline = q->offline;
        e->deposit = steal_ptr(d);
        r = locker_begin(l);
        if (!r)
                r = locker_end(l, write_deposit(e, s, &p));
        if (r) {
                errand_free(e);
                return r;
        }
        *ret = e;
        return 0;
}

void locker_deposit(Locker *l, Session *s, const DepositRequest *q, LockerReply reply, void *userdata) {
        Errand *e = NULL;
        int r = session_expect(s, ACT_DEPOSIT);

        if (!r && session_is_at_work(s))
                r = LOCKER_E_WRONG_STATE;
        if (!r) {
                Now now = l->now();
                storage_check(&l->records, &now);
                if (l->records.storage_low)
                        r = LOCKER_E_STORAGE_FULL;
        }
        if (!r)
                r = begin_deposit(s, q, &e);
        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        errand_begin(e, reply, userdata);
        notify_parcel(&l->records, e->parcel);
        if (l->n_homeless) /* its reserved place may have been one that the cabinet does not have any more */
                homeless_count(l);
}

static void other_place(Session *s, const char *why, bool larger, const char *quarantine, LockerReply reply,
                        void *userdata) {
        Errand *e;
        int r = errand_ask(s, ACT_DEPOSIT, ERRAND_OTHER_PLACE, &e);

        if (r) {
                reply_refusal(reply, userdata, r, NULL);
                return;
        }
        e->deposit->why = why;
        e->deposit->larger = larger;
        e->deposit->quarantine = quarantine;
        errand_expect_reply(e, reply, userdata);
        errand_event(e, ERRAND_OTHER_PLACE);
}

void locker_too_small(Locker *l, Session *s, LockerReply reply, void *userdata) {
        other_place(s, "too-small", true, NULL, reply, userdata);
}

void locker_not_empty(Locker *l, Session *s, LockerReply reply, void *userdata) {
        other_place(s, "not-empty", false, "a courier found it not empty", reply, userdata);
}
