/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: who is at the terminal, and which errand is theirs. A session that ends is gone at once; its
 * errand goes on by itself until its slot is nobody's (A6). */
#include "locker/sessions.h"
#include "cabinet/hardware.h"
#include "core/access.h"
#include "core/errand.h"
#include "locker/errand.h"
#include "locker/locker.h"
#include "locker/locker_struct.h"
#include "locker/own.h"
#include "locker/recover.h"
#include "locker/session.h"
#include "ledger/parcels.h"
#include "ledger/sessions.h"
#include "base/ids.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

const char *session_kind_to_string(SessionKind k) {
        return k == SESSION_COURIER ? "courier" : "recipient";
}

const char *session_state_to_string(SessionState s) {
        static const char *const names[] = {
                [SESSION_NEW] = "new",
                [SESSION_INCOMPLETE] = "incomplete",
                [SESSION_AUTHENTICATED] = "authenticated",
                [SESSION_OPENING] = "opening",
                [SESSION_OPEN] = "open",
                [SESSION_CLOSING] = "closing",
                [SESSION_ENDED] = "ended",
        };
        return names[s];
}

uint64_t session_id(const Session *s) {
        return s->id;
}

const char *session_terminal(const Session *s) {
        return s->terminal;
}

const char *session_actor(const Session *s) {
        return s->actor;
}

void session_end_with_errand(Session *s) {
        s->with_errand = true;
}

void session_count_apart(Session *s) {
        s->apart = true;
}

SessionKind session_kind(const Session *s) {
        return s->kind;
}

static SessionState state_of_errand(const Errand *e) {
        switch (e->m.state) {
        case ERRAND_OPENING:
        case ERRAND_SEEKING:
                return SESSION_OPENING;
        case ERRAND_OPEN:
                return SESSION_OPEN;
        case ERRAND_SECURING:
        case ERRAND_WAITING:
        case ERRAND_WRITING:
                return SESSION_CLOSING;
        case ERRAND_GRACE:
        case ERRAND_DONE:
        case ERRAND_STATE_MAX:
                break;
        }
        return SESSION_AUTHENTICATED;
}

/* Whether what was shown of this person is enough for it. */
static Refusal suffices(const Session *s, Act act) {
        if (!s->person || s->code_parcel || s->vouched)
                return REFUSAL_NONE;
        return sufficiency_of(&s->locker->settings->alone, act, s->presented);
}

static SessionState state_of_person(const Session *s) {
        bool enough = s->kind == SESSION_RECIPIENT
                              ? !suffices(s, ACT_COLLECT)
                              : !suffices(s, ACT_DEPOSIT) || !suffices(s, ACT_TAKE_BACK) ||
                                        !suffices(s, ACT_LIFT_TERMINAL_LOCKOUT);

        return enough ? SESSION_AUTHENTICATED : SESSION_INCOMPLETE;
}

SessionState session_state(const Session *s) {
        if (s->gone)
                return SESSION_ENDED;
        if (s->errand)
                return state_of_errand(s->errand);
        return s->person || s->code_parcel ? state_of_person(s) : SESSION_NEW;
}

void session_refresh(Session *s) {
        SessionState now = session_state(s);

        if (s->gone || s->told == now)
                return;
        s->told = now;
        notify_session(&s->locker->records, s);
}

void session_set_userdata(Session *s, void *userdata) {
        s->userdata = userdata;
}

void *session_userdata(const Session *s) {
        return s->userdata;
}

Placement session_place(const Session *s) {
        const Errand *e = s->errand;

        if (!e)
                return (Placement){.slot = -1, .parcel = s->parcel};
        return (Placement){.slot = e->slot,
                           .position =
                                   e->position < 0 ? 0 : s->locker->cabinet->positions[e->position].number,
                           .parcel = s->parcel};
}

Session *locker_session(Locker *l, uint64_t id) {
        for (Session *s = l->sessions; s; s = s->next)
                if (s->id == id && !s->gone)
                        return s;
        return NULL;
}

int locker_sessions(Locker *l, uint64_t **ret, size_t *ret_n) {
        size_t n = 0;

        for (Session *s = l->sessions; s; s = s->next)
                n += !s->gone;
        uint64_t *ids = calloc(n + 1, sizeof(*ids));
        if (!ids)
                return -ENOMEM;
        n = 0;
        for (Session *s = l->sessions; s; s = s->next)
                if (!s->gone)
                        ids[n++] = s->id;
        *ret = ids;
        *ret_n = n;
        return 0;
}

void session_idles_from_now(Session *s) {
        s->idle_at = s->locker->now().boot_usec + s->locker->settings->session_idle_usec;
}

/* Nothing tells when it will be over: its door has been open for longer than allowed, or nobody can see it.
 * Its person may have gone. */
static bool is_deserted(const Errand *e) {
        return e->m.state == ERRAND_OPEN && !e->reply &&
               (errand_view(e).door == ERRAND_DOOR_LOST || slot_is_left_open(&e->locker->hardware, e->slot));
}

void session_look_for_person(Session *s, Errand *e) {
        bool deserted = e->session == s && is_deserted(e);

        if (deserted && !e->deserted)
                session_idles_from_now(s);
        e->deserted = deserted;
}

static bool rests(const Session *s) {
        return !s->gone && !session_is_at_work(s) && !s->job && !s->reply;
}

/* It ends when nobody says anything: a door that is not going to be shut must not keep it for ever. */
static bool idles(const Session *s) {
        return rests(s) || (!s->gone && !s->job && !s->reply && s->errand && is_deserted(s->errand));
}

bool session_is_spare(const Session *s) {
        return rests(s) && !s->errand;
}

/* Ends the oldest session that is only kept for reopening. */
static bool make_room(Locker *l) {
        Session *oldest = NULL;

        for (Session *s = l->sessions; s; s = s->next)
                if (s->with_errand && s->had_errand && rests(s))
                        oldest = s; /* the list begins with the newest */
        if (oldest)
                locker_end_session(l, oldest, "ended");
        return oldest;
}

int locker_start_session(Locker *l, SessionKind kind, const char *terminal, Session **ret) {
        Now now = l->now();
        unsigned n = 0;
        uint64_t id;

        for (Session *s = l->sessions; s; s = s->next)
                n += !s->gone;
        if (n >= l->settings->max_sessions && !make_room(l))
                return LOCKER_E_TOO_MANY_SESSIONS;
        Session *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        storage_make_room(&l->records);
        int r = locker_adopt(l);
        if (r >= 0)
                r = ledger_session_begin(l->ledger, session_kind_to_string(kind), terminal, &now, &id);
        if (r < 0) {
                free(s);
                return r;
        }
        *s = (Session){.locker = l,
                       .id = id,
                       .kind = kind,
                       .idle_at = now.boot_usec + l->settings->session_idle_usec,
                       .next = l->sessions};
        snprintf(s->terminal, sizeof(s->terminal), "%s", terminal);
        snprintf(s->actor, sizeof(s->actor), "%s", session_kind_to_string(kind));
        l->sessions = s;
        *ret = s;
        return 0;
}

void session_unlink(Session *s) {
        Locker *l = s->locker;

        for (Session **p = &l->sessions; *p; p = &(*p)->next)
                if (*p == s) {
                        *p = s->next;
                        break;
                }
        if (s->errand)
                s->errand->session = NULL;
        if (s->job)
                verification_cancel(s->job);
        (void)session_give_up_enrolment(s);
        free(s->queue);
        free(s);
}

void locker_end_session(Locker *l, Session *s, const char *how) {
        Now now = l->now();

        if (s->gone)
                return;
        s->gone = true;
        if (s->job) {
                verification_cancel(s->job);
                s->job = NULL;
        }
        (void)session_give_up_enrolment(s);
        if (s->reply)
                session_answer(s, LOCKER_E_SESSION_ENDED, NULL);
        storage_make_room(&l->records);
        int r = ledger_session_end(l->ledger, s->id, how, &now);
        if (r < 0)
                log_error_errno(r, "Cannot record the end of session %llu", (unsigned long long)s->id);
        /* What is on its way to being open is brought to its end; a queue of further doors is not. */
        s->queue_at = s->n_queue;
        notify_session(&l->records, s);
        s->userdata = NULL;
        Errand *e = steal_ptr(s->errand);
        if (e) {
                e->session = NULL;
                errand_event(e, ERRAND_LEAVE);
        }
        /* It is freed by the next tick: whoever called may be in the middle of this very session. */
}

void sessions_by_code_end(Locker *l, uint64_t parcel) {
        for (Session *s = l->sessions, *next; s; s = next) {
                next = s->next;
                /* Who is in the middle of it brings it to its end. */
                if (s->code_parcel == parcel && !s->gone && !session_is_at_work(s) && !s->reply)
                        locker_end_session(l, s, "code revoked");
        }
}

bool session_is_at_work(const Session *s) {
        return s->errand && errand_is_at_work(&s->errand->m);
}

void session_give_up_errand(Session *s) {
        Errand *e = steal_ptr(s->errand);

        s->parcel = 0;
        s->had_errand = false;
        if (e) {
                e->session = NULL;
                errand_event(e, ERRAND_LEAVE);
        }
}

/* What it only kept for reopening is given up for this one. */
void session_take_errand(Session *s, Errand *e) {
        if (s->errand != e)
                session_give_up_errand(s);
        s->errand = e;
        s->parcel = e->parcel;
        s->had_errand = true;
}

/* A place that is only kept for reopening gives way to somebody who has a parcel there; an open one never
 * does (A6). An operator may look again where one is looking, and where a door was left open. */
static bool gives_way(const Errand *e, bool to_operator) {
        ErrandView view = errand_view(e);

        if (!errand_allows(&e->m, ERRAND_YIELD, &view))
                return false;
        return e->m.state == ERRAND_GRACE ||
               (to_operator &&
                (e->m.kind == ERRAND_LOOK || slot_is_left_open(&e->locker->hardware, e->slot)));
}

bool errand_gives_way_to_operator(const Errand *e) {
        return gives_way(e, true);
}

void errand_yield(Errand *e) {
        if (errand_is_at_work(&e->m) && e->parcel)
                e->why = "its door was left open";
        errand_event(e, ERRAND_YIELD);
}

bool slot_is_clear(const Locker *l, int slot, const Session *s) {
        const Errand *e = l->holder[slot];

        if (slot_is_moving(&l->hardware, slot))
                return false;
        return !e || gives_way(e, s == NULL) || (s && e->session == s && e->m.state == ERRAND_GRACE);
}

void slot_clear(Locker *l, int slot) {
        Errand *e = l->holder[slot];

        if (!e)
                return;
        errand_yield(e);
        if (l->holder[slot] == e) /* its own session has it only for reopening, and its door is not shut */
                l->holder[slot] = NULL;
}

int session_touch(Session *s) {
        if (s->gone)
                return LOCKER_E_SESSION_ENDED;
        if (s->reply || s->job || (s->errand && s->errand->reply))
                return LOCKER_E_BUSY;
        session_idles_from_now(s);
        return 0;
}

static Proof session_proof(const Session *s) {
        if (s->code_parcel)
                return PROOF_CODE;
        if (!s->person)
                return PROOF_NOTHING;
        return s->kind == SESSION_COURIER ? PROOF_COURIER : PROOF_RECIPIENT;
}

int session_expect(Session *s, Act act) {
        int r = session_touch(s);

        if (!r)
                r = (int)access_of_proof(act, session_proof(s));
        return r ? r : (int)suffices(s, act);
}

void reply_refusal(LockerReply reply, void *userdata, int result, const char *detail) {
        LockerAnswer answer = {.result = result, .place.slot = -1};

        if (detail)
                snprintf(answer.detail, sizeof(answer.detail), "%s", detail);
        if (reply)
                reply(userdata, &answer);
}

void session_answer(Session *s, int result, const char *detail) {
        reply_refusal(steal_ptr(s->reply), s->reply_userdata, result, detail);
}

/* Nothing is left to reopen. */
static bool is_over(const Session *s) {
        return s->with_errand && s->had_errand && session_is_spare(s);
}

static void time_out(Session *s) {
        Placement place = session_place(s);

        notify_prompt(&s->locker->records, s, place.slot, place.position, "timed-out",
                      "The session has ended because nothing happened.");
        locker_end_session(s->locker, s, "timed out");
}

void sessions_tick(Locker *l, const Now *now) {
        for (Session *s = l->sessions, *next; s; s = next) {
                next = s->next;
                if (s->gone)
                        session_unlink(s);
                else if (is_over(s))
                        locker_end_session(l, s, "ended");
                else if (idles(s) && now->boot_usec >= s->idle_at)
                        time_out(s);
        }
}

uint64_t sessions_next_deadline(const Locker *l) {
        uint64_t next = USEC_INFINITY;

        for (const Session *s = l->sessions; s; s = s->next) {
                if (s->gone || is_over(s))
                        return 0;
                if (idles(s))
                        next = MIN(next, s->idle_at);
        }
        return next;
}

typedef struct Found {
        const Session *session;
        Ids parcels;
} Found;

static int collect_own(void *userdata, const ParcelRow *p) {
        Found *f = userdata;
        const Session *s = f->session;
        bool mine = s->kind == SESSION_RECIPIENT
                            ? parcel_is_recipients(p)
                            : p->state == PARCEL_REJECTED || p->state == PARCEL_RECALLED ||
                                      (!p->doubted && locker_expired(s->locker, p));

        return mine ? ids_add(&f->parcels, p->id) : 0;
}

int session_parcels(Locker *l, const Session *s, uint64_t **ret, size_t *ret_n) {
        Found f = {.session = s};
        int r = 0;

        /* Whoever has not shown enough is not told what waits for whom. */
        if (suffices(s, s->kind == SESSION_RECIPIENT ? ACT_COLLECT : ACT_TAKE_BACK)) {
                *ret = NULL;
                *ret_n = 0;
                return 0;
        }
        if (s->code_parcel) {
                _cleanup_parcel_ ParcelRow p = {0};
                r = ledger_parcel_get(l->ledger, s->code_parcel, &p);
                r = r == -ENOENT ? 0 : r < 0 ? r : collect_own(&f, &p);
        } else if (s->person && s->kind == SESSION_RECIPIENT) {
                r = ledger_parcel_each_of_person(l->ledger, s->person, collect_own, &f);
        } else if (s->person) {
                r = ledger_parcel_each(l->ledger, collect_own, &f);
        }
        if (r < 0) {
                ids_done(&f.parcels);
                return r;
        }
        *ret = f.parcels.ids;
        *ret_n = f.parcels.n;
        return 0;
}
