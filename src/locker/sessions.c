/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: who is at the terminal, what they are at, and which slot is theirs until its door is shut (A6).
 */
#include "locker/private.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

#define RETRY_USEC (5 * USEC_PER_SEC)

const char *session_kind_to_string(SessionKind k) {
        return k == SESSION_COURIER ? "courier" : "recipient";
}

const char *session_state_to_string(SessionState s) {
        static const char *const names[] = {
                [SESSION_NEW] = "new",         [SESSION_AUTHENTICATED] = "authenticated",
                [SESSION_OPENING] = "opening", [SESSION_OPEN] = "open",
                [SESSION_CLOSING] = "closing", [SESSION_ENDED] = "ended",
        };
        return names[s];
}

uint64_t session_id(const Session *s) {
        return s->id;
}

SessionKind session_kind(const Session *s) {
        return s->kind;
}

SessionState session_state(const Session *s) {
        return s->gone ? SESSION_ENDED : s->state;
}

void session_set_userdata(Session *s, void *userdata) {
        s->userdata = userdata;
}

void *session_userdata(const Session *s) {
        return s->userdata;
}

Placement session_place(const Session *s) {
        if (s->slot < 0)
                return (Placement){.slot = -1, .parcel = s->parcel};
        return (Placement){.slot = s->slot,
                           .position = s->locker->cabinet->positions[s->position].number,
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

int locker_start_session(Locker *l, SessionKind kind, const char *terminal, Session **ret) {
        Now now = l->now();
        unsigned n = 0;
        uint64_t id;

        for (Session *s = l->sessions; s; s = s->next)
                n += !s->gone;
        if (n >= l->settings->max_sessions)
                return LOCKER_E_TOO_MANY_SESSIONS;
        Session *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        storage_make_room(l);
        int r = ledger_session_begin(l->ledger, session_kind_to_string(kind), terminal, &now, &id);
        if (r < 0) {
                free(s);
                return r;
        }
        *s = (Session){.locker = l,
                       .id = id,
                       .kind = kind,
                       .slot = -1,
                       .position = -1,
                       .idle_at = now.boot_usec + l->settings->session_idle_usec,
                       .answer_at = USEC_INFINITY,
                       .grace_until = USEC_INFINITY,
                       .retry_at = USEC_INFINITY,
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
        for (int i = 0; i < l->cabinet->n_slots; i++)
                if (l->holder[i] == s)
                        l->holder[i] = NULL;
        if (s->job)
                identity_cancel(s->job);
        explicit_bzero(s->code, sizeof(s->code));
        free(s->tried);
        free(s->queue);
        free(s);
}

/* A session that has ended goes when nothing in the cabinet waits for it any more. */
static bool needed(const Session *s) {
        const Locker *l = s->locker;

        if (s->opened || s->inner || (s->step != STEP_NONE && !s->settled))
                return true;
        for (int i = 0; i < l->cabinet->n_slots; i++)
                if (l->holder[i] == s)
                        return true;
        return false;
}

void locker_end_session(Locker *l, Session *s, const char *how) {
        Now now = l->now();

        if (s->gone)
                return;
        s->gone = true;
        if (s->job) {
                identity_cancel(s->job);
                s->job = NULL;
        }
        if (s->reply && !s->opened)
                session_answer(s, LOCKER_E_SESSION_ENDED, NULL);
        storage_make_room(l);
        int r = ledger_session_end(l->ledger, s->id, how, &now);
        if (r < 0)
                log_error_errno(r, "Cannot record the end of session %llu", (unsigned long long)s->id);
        /* What is on its way to being open is brought to its end; a queue of further doors is not. */
        s->queue_at = s->n_queue;
        notify_session(l, s);
        s->userdata = NULL;
        if (s->settled || s->step == STEP_NONE)
                session_drop_slot(s);
        if (needed(s))
                session_shut(s);
        /* It is freed by the next tick: whoever called may be in the middle of this very session. */
}

void sessions_by_code_end(Locker *l, uint64_t parcel) {
        for (Session *s = l->sessions, *next; s; s = next) {
                next = s->next;
                /* Who is in the middle of it brings it to its end. */
                if (s->code_parcel == parcel && !s->gone && s->step == STEP_NONE && !s->opened && !s->reply)
                        locker_end_session(l, s, "code revoked");
        }
}

void slot_released(Locker *l, int slot) {
        l->holder[slot] = NULL;
        secure_lids(l, slot);
        notify_slot(l, slot);
}

void session_take_slot(Session *s, int slot, int position) {
        if (s->slot >= 0 && s->slot != slot)
                session_drop_slot(s);
        s->slot = slot;
        s->position = position;
        s->locker->holder[slot] = s;
        s->settled = s->reopened = s->deposited = s->out_of_time = false;
        s->waiting = WAITING_NO;
        s->answer_at = s->grace_until = s->retry_at = USEC_INFINITY;
}

void session_drop_slot(Session *s) {
        int slot = s->slot;

        s->slot = s->position = -1;
        s->deposited = false;
        s->grace_until = USEC_INFINITY;
        /* An open door stays this session's until it is shut, even when the session has turned to another
         * slot. One that did not open, or that nobody can see any more, is nobody's: it can be tried again.
         */
        if (slot >= 0 && s->locker->holder[slot] == s && slot_is_over(s->locker, slot))
                slot_released(s->locker, slot);
}

static bool slot_is_moving(const Locker *l, int slot) {
        const Slot *k = &l->cabinet->slots[slot];

        for (int i = 0; i < k->n_positions; i++) {
                int lock = l->cabinet->positions[k->first_position + i].lock;
                if (lock >= 0 && l->moving[lock])
                        return true;
        }
        return l->moving[k->lock];
}

/* May `s` (NULL: an operator) open this slot now? A place that is only kept for reopening, shut and settled,
 * gives way to somebody who has a parcel there; an open one never does (A6). */
bool slot_is_clear(Locker *l, int slot, const Session *s) {
        Session *holder = l->holder[slot];

        if (slot_is_moving(l, slot))
                return false;
        if (!holder || holder == s)
                return true;
        if (!holder->settled || holder->opened || holder->slot != slot || !slot_is_closed(l, slot))
                return false;
        session_drop_slot(holder);
        return true;
}

int session_touch(Session *s) {
        if (s->gone)
                return LOCKER_E_SESSION_ENDED;
        if (s->reply || s->job || s->opened)
                return LOCKER_E_BUSY;
        s->idle_at = s->locker->now().boot_usec + s->locker->settings->session_idle_usec;
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

        return r ? r : (int)access_of_proof(act, session_proof(s));
}

void reply_refusal(LockerReply reply, void *userdata, int result, const char *detail) {
        LockerAnswer answer = {.result = result, .place.slot = -1};

        if (detail)
                snprintf(answer.detail, sizeof(answer.detail), "%s", detail);
        if (reply)
                reply(userdata, &answer);
}

void session_answer(Session *s, int result, const char *detail) {
        LockerReply reply = s->reply;
        LockerAnswer answer = {.result = result, .place = session_place(s)};

        s->reply = NULL;
        if (detail)
                snprintf(answer.detail, sizeof(answer.detail), "%s", detail);
        if (!result && s->step == STEP_DEPOSIT) {
                answer.prompt = "Put the item in and close the door.";
                answer.receipt = (Receipt){.code = s->code[0] ? s->code : NULL,
                                           .expires_usec = s->expires_usec,
                                           .bound_password = s->bound_password};
        } else if (!result && s->step == STEP_TAKE_BACK) {
                answer.prompt = "Take the item out and close the door.";
                answer.places = s->queue;
                answer.n_places = s->n_queue;
        } else if (!result) {
                answer.prompt = "Take the item out, look at it, accept or reject it, and close the door.";
        }
        if (reply)
                reply(s->reply_userdata, &answer);
        explicit_bzero(s->code, sizeof(s->code));
}

void session_set_state(Session *s, SessionState state) {
        if (s->state == state)
                return;
        s->state = state;
        if (!s->gone)
                notify_session(s->locker, s);
}

void session_prompt(Session *s, const char *what, const char *sentence) {
        Locker *l = s->locker;
        Placement place = session_place(s);

        if (!s->gone)
                notify_prompt(l, s, place.slot, place.position, what, sentence);
}

/* The step is over; the door may be opened again for a while. */
void session_settled(Session *s, const char *what, const char *sentence) {
        s->settled = true;
        s->step = STEP_NONE;
        s->choice = CHOICE_NONE;
        s->waiting = WAITING_NO;
        s->answer_at = s->retry_at = USEC_INFINITY;
        s->grace_until = s->locker->now().boot_usec + s->locker->settings->reopen_grace_usec;
        s->idle_at = s->locker->now().boot_usec + s->locker->settings->session_idle_usec;
        session_prompt(s, what, sentence);
        session_set_state(s, SESSION_AUTHENTICATED);
        if (s->gone)
                session_drop_slot(s);
}

static bool idles(const Session *s) {
        return !s->gone && (s->step == STEP_NONE || s->settled) && !s->opened && !s->job &&
               s->state != SESSION_OPEN;
}

/* Only the beginning of a reopening must lie within the grace time: the door on its way is somebody's (A6).
 */
static bool keeps_for_grace(const Session *s) {
        return s->settled && !s->reopened && !s->opened;
}

void sessions_tick(Locker *l, const Now *now) {
        for (Session *s = l->sessions, *next; s; s = next) {
                next = s->next;
                if (now->boot_usec >= s->answer_at) {
                        s->answer_at = USEC_INFINITY;
                        session_answer_timeout(s);
                } else if (now->boot_usec >= s->retry_at) {
                        s->retry_at = now->boot_usec + RETRY_USEC;
                        session_shut(s);
                } else if (idles(s) && now->boot_usec >= s->idle_at) {
                        session_prompt(s, "timed-out", "The session has ended because nothing happened.");
                        locker_end_session(l, s, "timed out");
                } else if (keeps_for_grace(s) && now->boot_usec >= s->grace_until) {
                        session_drop_slot(s);
                } else if (s->gone && !needed(s)) {
                        session_unlink(s);
                }
        }
}

uint64_t sessions_next_deadline(const Locker *l) {
        uint64_t next = USEC_INFINITY;

        for (const Session *s = l->sessions; s; s = s->next) {
                next = MIN(next, MIN(s->answer_at, s->retry_at));
                if (idles(s))
                        next = MIN(next, s->idle_at);
                if (keeps_for_grace(s))
                        next = MIN(next, s->grace_until);
                if (s->gone && !needed(s))
                        next = 0;
        }
        return next;
}

typedef struct Found {
        const Session *session;
        uint64_t *ids;
        size_t n;
} Found;

static int collect_own(void *userdata, const ParcelRow *p) {
        Found *f = userdata;
        const Session *s = f->session;
        bool mine = s->kind == SESSION_RECIPIENT
                            ? parcel_is_collectable(p->state)
                            : p->state == PARCEL_REJECTED || p->state == PARCEL_RECALLED ||
                                      locker_expired(s->locker, p);

        if (!mine)
                return 0;
        uint64_t *grown = reallocarray(f->ids, f->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        f->ids = grown;
        f->ids[f->n++] = p->id;
        return 0;
}

int session_parcels(Locker *l, const Session *s, uint64_t **ret, size_t *ret_n) {
        Found f = {.session = s};
        int r = 0;

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
                free(f.ids);
                return r;
        }
        *ret = f.ids;
        *ret_n = f.n;
        return 0;
}
