/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the errands' machine (core/errand.h): shows it what the sensors say, and does what it wants done. What
 * a person asks for is prepared and committed in deposit.c, collect.c, take_back.c and operator.c; what
 * happens then, happens here. */
#include "locker/errand.h"
#include "cabinet/hardware.h"
#include "core/access.h"
#include "core/errand.h"
#include "locker/deposit.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/parcels.h"
#include "locker/places.h"
#include "locker/session.h"
#include "locker/sessions.h"
#include "locker/take_back.h"
#include "ledger/parcels.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <stdio.h>

#define NO_EVENT ERRAND_EVENT_MAX

static ErrandRules rules_of(const Locker *l) {
        return (ErrandRules){.answer_usec = l->settings->answer_usec,
                             .grace_usec = l->settings->reopen_grace_usec,
                             .unanswered_is_collected = l->settings->unanswered_is_collected};
}

ErrandView errand_view(const Errand *e) {
        return place_view(&e->locker->hardware, e->slot, e->position);
}

/* --- its life --- */

int errand_new(Locker *l, ErrandKind kind, Session *s, int slot, int position, Errand **ret) {
        Errand *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        *e = (Errand){.locker = l,
                      .session = s,
                      .session_id = s ? s->id : 0,
                      .slot = slot,
                      .position = position,
                      .retry_at = USEC_INFINITY,
                      .next = l->errands};
        snprintf(e->actor, sizeof(e->actor), "%s", s ? s->actor : "lockerd");
        errand_init(&e->m, kind, s != NULL);
        l->errands = e;
        *ret = e;
        return 0;
}

Errand *errand_free(Errand *e) {
        if (!e)
                return NULL;
        Locker *l = e->locker;
        for (Errand **p = &l->errands; *p; p = &(*p)->next)
                if (*p == e) {
                        *p = e->next;
                        break;
                }
        if (l->holder[e->slot] == e)
                l->holder[e->slot] = NULL;
        if (e->session && e->session->errand == e)
                e->session->errand = NULL;
        opening_free(e->opening);
        deposit_free(e->deposit);
        free(e->reason);
        free(e);
        return NULL;
}

void errand_begin(Errand *e, LockerReply reply, void *userdata) {
        slot_clear(e->locker, e->slot);
        if (e->session)
                session_take_errand(e->session, e);
        errand_hold(e);
        errand_expect_reply(e, reply, userdata);
        errand_start(e);
}

void errand_hold(Errand *e) {
        e->locker->holder[e->slot] = e;
}

int errand_intend(Errand *e, const char *why, bool insist) {
        return opening_intend(&e->locker->hardware,
                              &(OpeningRequest){.slot = e->slot,
                                                .position = e->position,
                                                .session = e->session_id,
                                                .parcel = e->parcel,
                                                .why = why,
                                                .actor = e->actor,
                                                .reason = e->reason,
                                                .insist = insist,
                                                .insist_last = e->reason != NULL},
                              &e->opening);
}

void errand_expect_reply(Errand *e, LockerReply reply, void *userdata) {
        e->reply = reply;
        e->reply_userdata = userdata;
}

/* --- what it wants done --- */

static const char *answer_prompt(const Errand *e) {
        switch (e->m.kind) {
        case ERRAND_DEPOSIT:
                return "Put the item in and close the door.";
        case ERRAND_COLLECT:
                return "Take the item out, look at it, accept or reject it, and close the door.";
        case ERRAND_TAKE_BACK:
                return "Take the item out and close the door.";
        case ERRAND_LOOK:
        case ERRAND_KIND_MAX:
                break;
        }
        return "Close the door.";
}

void errand_answer(Errand *e, int result, const char *detail) {
        LockerReply reply = steal_ptr(e->reply);
        const Locker *l = e->locker;
        LockerAnswer answer = {
                .result = result,
                .place = {.slot = e->slot,
                          .position = e->position < 0 ? 0 : l->cabinet->positions[e->position].number,
                          .parcel = e->parcel}};

        if (detail)
                snprintf(answer.detail, sizeof(answer.detail), "%s", detail);
        if (!result)
                answer.prompt = answer_prompt(e);
        if (!result && e->deposit)
                answer.receipt = (Receipt){
                        .code = e->deposit->code[0] ? e->deposit->code : NULL,
                        .expires_usec = e->deposit->expires_usec,
                        .bound = e->deposit->bound,
                        .offline = e->deposit->offline && e->deposit->code[0] ? &e->deposit->receipt : NULL};
        if (!result && e->m.kind == ERRAND_TAKE_BACK && e->session) {
                answer.places = e->session->queue;
                answer.n_places = e->session->n_queue;
        }
        if (reply)
                reply(e->reply_userdata, &answer);
        if (e->deposit)
                deposit_forget_code(e->deposit);
}

/* An opening by an operator is reported when there was one; the intent, with who and why, has been in the
 * ledger before. */
static void record_opened(const Errand *e) {
        Locker *l = e->locker;
        const char *label = l->cabinet->slots[e->slot].label;
        unsigned number = e->position < 0 ? 0 : l->cabinet->positions[e->position].number;
        char subject[SUBJECT_MAX];
        int r = locker_begin(l);

        if (!r) {
                json_t *data = json_pack("{s:s, s:i, s:s*}", "slot", label, "position", (int)number,
                                         "reported", e->reported_open ? "open" : NULL);
                subject_place(l->cabinet, e->slot, number, subject);
                r = locker_end(l, locker_record(l, e->actor, e->reason, "operator.opened", subject,
                                                data_by(data, e->actor, e->reason), NULL));
        }
        if (r < 0)
                log_error_errno(r, "Cannot record that an operator opened slot %s", label);
        log_message(LOG_NOTICE, LOCKERD_MESSAGE_OPERATOR_OPEN,
                    (const char *const[]){"LOCKERD_SLOT", label, "LOCKERD_ACTOR", e->actor, NULL},
                    "Slot %s was opened by %s: %s%s", label, e->actor, e->reason,
                    e->reported_open ? " (it was reported open already)" : "");
}

static const char *quarantine_reason(const Errand *e) {
        if (e->m.state != ERRAND_SEEKING)
                return "its lid is not locked";
        return e->m.blind ? "nobody saw whether it opened" : "it did not open";
}

/* A take-back answers when the first of its doors is open; as long as there are others, one that is not is no
 * answer. */
static bool hands_on_reply(Errand *e) {
        Session *s = e->session;

        if (e->m.kind != ERRAND_TAKE_BACK || !s || s->gone || !e->reply || e->m.state != ERRAND_WRITING)
                return false;
        s->take_back_result = e->result;
        if (e->result == LOCKER_E_WRONG_DOOR)
                s->queue_at = s->n_queue; /* the next one may be wrong as well */
        s->reply = steal_ptr(e->reply);
        s->reply_userdata = e->reply_userdata;
        return true;
}

static void refuse(Errand *e) {
        if (e->m.state == ERRAND_OPEN && e->m.pulse == ERRAND_PULSE_AGAIN && e->m.kind == ERRAND_COLLECT)
                errand_answer(e, e->result,
                              "It still does not open. Please call the operator; the item stays locked in.");
        else if (!hands_on_reply(e))
                errand_answer(e, e->result, NULL);
}

static ParcelState becomes(const Errand *e, const ParcelRow *p) {
        switch (e->m.outcome) {
        case ERRAND_STORED:
                return PARCEL_STORED;
        case ERRAND_CANCELLED:
                return PARCEL_CANCELLED;
        case ERRAND_COLLECTED:
                return PARCEL_COLLECTED;
        case ERRAND_REJECTED:
                return PARCEL_REJECTED;
        case ERRAND_RETURNED:
                return PARCEL_RETURNED;
        case ERRAND_BACK:
                return p->was == PARCEL_UNVERIFIED &&
                                       position_occupied(&e->locker->hardware, e->position) != TRI_YES
                               ? PARCEL_UNVERIFIED
                               : PARCEL_STORED;
        case ERRAND_UNVERIFIED:
                return PARCEL_UNVERIFIED;
        case ERRAND_KEPT:
        case ERRAND_OUTCOME_NONE:
        case ERRAND_NOTHING_LEFT:
        case ERRAND_OUTCOME_MAX:
                break;
        }
        return p->state;
}

/* Somebody else (an operator) may have settled it otherwise meanwhile: then that stands. */
static int write_parcel(Errand *e, ParcelRow *p, bool *ret_changed) {
        Locker *l = e->locker;
        int r = ledger_parcel_get(l->ledger, e->parcel, p);

        *ret_changed = false;
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        ParcelState to = becomes(e, p);
        if (to != p->state && !parcel_may_become(p->state, to))
                return 0;
        *ret_changed = true;
        p->taking_back = false;
        return parcel_write(l, p, to, e->actor, e->why);
}

void errand_log_quarantined(const Errand *e, const char *why) {
        const Locker *l = e->locker;
        const char *label = l->cabinet->slots[e->slot].label;

        log_message(LOG_WARNING, LOCKERD_MESSAGE_QUARANTINED,
                    (const char *const[]){"LOCKERD_SLOT", label, NULL},
                    "Slot %s position %u is quarantined: %s", label,
                    l->cabinet->positions[e->position].number, why);
}

static int write_outcome(Errand *e) {
        Locker *l = e->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        bool changed = false;

        if (!e->parcel && !e->quarantine)
                return 0;
        int r = locker_begin(l);
        if (r < 0)
                return r;
        if (e->parcel)
                r = write_parcel(e, &p, &changed);
        if (r >= 0 && e->quarantine)
                r = locker_quarantine(l, e->position, e->actor, e->quarantine);
        r = locker_end(l, r);
        if (r < 0)
                return log_error_errno(r, "Cannot record what came of slot %s; trying again",
                                       l->cabinet->slots[e->slot].label);
        if (changed)
                parcel_written(l, &p, e->why);
        e->retry_at = USEC_INFINITY;
        if (e->quarantine) {
                errand_log_quarantined(e, e->quarantine);
                notify_slot(&l->records, e->slot);
        }
        e->quarantine = NULL;
        return 0;
}

static int write_choice(const Errand *e) {
        Locker *l = e->locker;
        _cleanup_parcel_ ParcelRow p = {0};
        int r = ledger_parcel_get(l->ledger, e->parcel, &p);

        if (r < 0)
                return r;
        if (p.choice == e->choice)
                return 0;
        p.choice = e->choice;
        r = locker_begin(l);
        return r < 0 ? r : locker_end(l, ledger_parcel_update(l->ledger, &p));
}

/* In the ledger as soon as it was said, so that a power cut does not forget what was decided. A full disk
 * does not forbid to decide: the item is in somebody's hands already. */
int errand_write_choice(Errand *e, ParcelChoice choice) {
        e->choice = choice;
        e->retry_at = USEC_INFINITY;
        int r = write_choice(e);
        if (r == -ENOENT)
                return LOCKER_E_WRONG_STATE; /* an operator has settled it */
        if (r < 0) {
                log_error_errno(r, "Cannot record what was decided about parcel %llu; trying again",
                                (unsigned long long)e->parcel);
                e->retry_at = e->locker->now().boot_usec + RECORDS_RETRY_USEC;
        }
        return 0;
}

static void opened(void *userdata, int result) {
        Errand *e = userdata;
        bool did_not = result == LOCKER_E_DID_NOT_OPEN || result == LOCKER_E_POSITION_DID_NOT_OPEN;

        e->opening = NULL;
        e->result = result;
        if (!result && e->reason)
                record_opened(e);
        errand_event(e, !result                              ? ERRAND_OPENED
                        : result == LOCKER_E_OUTCOME_UNKNOWN ? ERRAND_UNKNOWN
                        : result == LOCKER_E_WRONG_DOOR      ? ERRAND_WRONG_DOOR
                        : did_not                            ? ERRAND_FAILED
                                                             : ERRAND_NOT_SENT);
}

void errand_start(Errand *e) {
        if (e->session)
                session_refresh(e->session);
        opening_start(e->opening, opened, e);
}

static void prompt(Errand *e, ErrandPrompt say) {
        Locker *l = e->locker;
        const char *sentence = errand_prompt_sentence(say);

        if (!e->session)
                return;
        if (say == ERRAND_SAY_DID_NOT_OPEN)
                sentence = refusal_sentence((Refusal)e->result);
        notify_prompt(&l->records, e->session, e->slot,
                      e->position < 0 ? 0 : l->cabinet->positions[e->position].number,
                      errand_prompt_word(say), sentence);
}

static void free_slot(Errand *e) {
        Locker *l = e->locker;
        Session *s = e->session;

        if (s && s->errand == e)
                s->errand = NULL;
        if (l->holder[e->slot] != e)
                return;
        l->holder[e->slot] = NULL;
        secure_lids(&l->hardware, e->slot);
        notify_slot(&l->records, e->slot);
}

/* The parcel is somewhere else now, or settled; here only the door has to be shut. */
static void leave_place(Errand *e) {
        Session *s = e->session;

        e->retry_at = USEC_INFINITY;
        if (s && s->errand == e)
                s->errand = NULL;
        e->session = NULL;
        e->parcel = 0;
        e->deposit = deposit_free(e->deposit);
}

static ErrandEvent execute(Errand *e, const ErrandStep *step) {
        ErrandEvent next = NO_EVENT;

        if (step->effects & ERRAND_ANSWER)
                errand_answer(e, 0, NULL);
        if (step->effects & ERRAND_QUARANTINE)
                e->quarantine = quarantine_reason(e);
        if (step->effects & ERRAND_SEEK) {
                int r = deposit_seek(e);
                if (r && e->m.seek == ERRAND_SEEK_ASKED)
                        e->result = r;
                next = r ? ERRAND_NOT_MOVED : ERRAND_MOVED;
        }
        if (step->effects & ERRAND_REFUSE)
                refuse(e);
        if (step->effects & ERRAND_LEAVE_PLACE)
                leave_place(e);
        if (step->effects & ERRAND_START)
                errand_start(e);
        if (step->effects & ERRAND_WRITE)
                next = write_outcome(e) < 0 ? ERRAND_NOT_WRITTEN : ERRAND_WRITTEN;
        if (step->effects & ERRAND_PROMPT)
                prompt(e, step->prompt);
        if (step->effects & ERRAND_FREE_SLOT)
                free_slot(e);
        return next;
}

void errand_event(Errand *e, ErrandEvent event) {
        Locker *l = e->locker;
        ErrandRules rules = rules_of(l);
        Session *s = e->session; /* sessions are freed by the next tick, never before */
        bool was_at_work = errand_is_at_work(&e->m), takes_back = e->m.kind == ERRAND_TAKE_BACK;

        while (event != NO_EVENT) {
                ErrandMachine before = e->m;
                ErrandView view = errand_view(e);
                ErrandStep step;
                if (!errand_step(&e->m, &rules, event, &view, l->now().boot_usec, &step) &&
                    event == ERRAND_FACTS)
                        break;
                if (e->session)
                        session_refresh(e->session);
                ErrandEvent next = execute(e, &step);
                bool same = event == ERRAND_FACTS && before.state == e->m.state && before.wait == e->m.wait &&
                            before.final == e->m.final;
                event = next != NO_EVENT ? next : same || !errand_is_looking(&e->m) ? NO_EVENT : ERRAND_FACTS;
        }
        notify_slot(&l->records, e->slot);
        if (!s || s->gone)
                return;
        if (takes_back && e->m.state == ERRAND_WRITING)
                take_back_stop(s);
        /* Settled, or with nothing more to do with this person: a door that stands open, say, in front of a
         * lid that did not. */
        bool over = was_at_work && (!errand_is_at_work(&e->m) || e->session != s);
        if (over)
                session_idles_from_now(s);
        session_look_for_person(s, e);
        session_refresh(s);
        if (takes_back && over)
                take_back_next(s);
}

int errand_ask(Session *s, Act act, ErrandEvent event, Errand **ret) {
        int r = session_expect(s, act);

        if (r)
                return r;
        Errand *e = s->errand;
        bool late = e && e->m.state == ERRAND_GRACE && s->locker->now().boot_usec >= e->m.deadline;
        if (event == ERRAND_REOPEN && (late || (!e && s->had_errand)))
                return LOCKER_E_GRACE_OVER;
        if (!e || late)
                return LOCKER_E_WRONG_STATE;
        ErrandView view = errand_view(e);
        if (!errand_allows(&e->m, event, &view))
                return errand_is_busy(&e->m) ? LOCKER_E_BUSY : LOCKER_E_WRONG_STATE;
        *ret = e;
        return 0;
}

void errands_look(Locker *l, int slot) {
        /* Errands are freed by the next tick, never before; new ones come to the front. */
        for (Errand *e = l->errands; e; e = e->next)
                if (e->slot == slot && errand_is_looking(&e->m))
                        errand_event(e, ERRAND_FACTS);
}

void errands_tick(Locker *l, const Now *now) {
        for (Errand *e = l->errands, *next; e; e = next) {
                next = e->next;
                if (now->boot_usec >= e->retry_at)
                        (void)errand_write_choice(e, e->choice);
                if (e->m.state == ERRAND_DONE)
                        errand_free(e);
                else if (now->boot_usec >= e->m.deadline)
                        errand_event(e, ERRAND_TIME);
        }
}

uint64_t errands_next_deadline(const Locker *l) {
        uint64_t next = USEC_INFINITY;

        for (const Errand *e = l->errands; e; e = e->next)
                next = MIN(next, e->m.state == ERRAND_DONE ? 0 : MIN(e->m.deadline, e->retry_at));
        return next;
}
