/* SPDX-License-Identifier: Apache-2.0 */
/* What the use cases share among themselves: sessions and errands, and the steps every use case is made of.
 * Below it are the cabinet as it stands there (cabinet/hardware.h) and what is recorded (records/records.h).
 */
#pragma once

#include "base/text.h"
#include "ledger/parcels.h"
#include "cabinet/hardware.h"
#include "core/access.h"
#include "core/code.h"
#include "core/errand.h"
#include "core/fit.h"
#include "core/mask.h"
#include "core/pace.h"
#include "locker/locker.h"
#include <jansson.h>

typedef struct Errand Errand;

struct Session {
        Session *next;
        Locker *locker;
        uint64_t id;
        SessionKind kind;
        SessionState told; /* what the listeners know; see session_refresh() */
        bool gone;         /* ended; freed by the next tick */
        bool with_errand;  /* ends when its errand does */
        char terminal[LABEL_MAX];
        char actor[LABEL_MAX + 16];
        void *userdata;

        /* who: set by authentication */
        uint64_t person;
        char courier_number[LABEL_MAX + 1];
        uint64_t code_parcel;
        unsigned presented;      /* kinds of credentials (bits) that were right for this person */
        bool vouched;            /* another door has said who it is */
        Verification *job;       /* under way */
        CredentialKind job_kind; /* of what is under way */

        /* what: the errand at hand (also one that is only kept for reopening), and the last parcel */
        Errand *errand;
        uint64_t parcel;
        bool had_errand;
        Placement *queue; /* of a take-back */
        size_t n_queue, queue_at;
        int take_back_result; /* why none of its doors has opened so far */

        /* The pending request, unless an errand has it. */
        LockerReply reply;
        void *reply_userdata;

        uint64_t idle_at; /* boot µs */
};

/* A lock that somebody has opened without having shown who they are. */
typedef struct Exposure {
        const char *why; /* NULL: not exposed */
        bool marked; /* what no sensor saw is unverified; what one saw is watched until the lock is shut */
        uint64_t over_at; /* boot µs; USEC_INFINITY while it is open */
} Exposure;

struct Locker {
        /* The same as in `records`. */
        const Cabinet *cabinet;
        const Settings *settings;
        Ledger *ledger;
        People *people;
        Identity *identity;
        Now (*now)(void);
        uint8_t boot_id[16];
        Records records;
        Hardware hardware;

        Errand **holder;     /* [n_slots]: which errand has this slot */
        Exposure *exposed;   /* [n_locks] */
        uint64_t exposed_at; /* boot µs: look at them again; USEC_INFINITY */
        Session *sessions;
        Errand *errands;

        uint64_t recover_until; /* the last movement that a former run left open; ids only grow */
        bool adopt_due;         /* what was written before the start could not be taken over yet */
        unsigned n_homeless; /* parcels in slots that the cabinet does not have (any more), found at the start
                              */
        bool recovered;      /* what a former run left open has been settled or marked */
        uint64_t recover_at, checkpoint_at;
        uint64_t moved_at; /* boot µs: a sensor of a slot said something else than before; 0: never */
        Attendance attendance;
        const char *backend_state; /* NULL: no backend */
        char backend_sentence[160];
        const char *keys_state; /* NULL: no backend */
        char keys_sentence[160];
        bool clock_known, clock_synced, clock_vouched; /* what was last said of the clock */
};

/* --- what is recorded: records/records.h, by its Locker --- */
static inline int locker_begin(Locker *l) {
        return records_begin(&l->records);
}
static inline int locker_commit(Locker *l) {
        return records_commit(&l->records);
}
static inline int locker_end(Locker *l, int r) {
        return records_end(&l->records, r);
}
static inline void locker_rollback(Locker *l) {
        records_rollback(&l->records);
}
static inline int locker_record(Locker *l, const char *actor, const char *reason, const char *type,
                                const char *subject, json_t *data, const char *secret) {
        return records_add(&l->records, actor, reason, type, subject, data, secret);
}
static inline int locker_record_parcel(Locker *l, const char *actor, const char *reason, const ParcelRow *p,
                                       const char *secret) {
        return records_add_parcel(&l->records, actor, reason, p, secret);
}
static inline int64_t locker_wall(const Locker *l) {
        return records_moment(&l->records).wall;
}
/* Now, for the times `what` of a parcel; marked when they will have to be shifted. */
static inline int64_t locker_stamp(const Locker *l, ParcelRow *p, unsigned what) {
        Moment m = records_moment(&l->records);

        p->loose = m.vouched ? p->loose & ~what : p->loose | what;
        return m.wall;
}
static inline int locker_find_slot(const Locker *l, const char *label) {
        return hardware_find_slot(&l->hardware, label);
}

/* --- places (places.c) --- */
void parcel_set_place(const Locker *l, ParcelRow *p, int position);
int parcel_place(const Locker *l, const ParcelRow *p, int *ret_slot,
                 int *ret_position); /* -ENOENT: not in this cabinet */
Refusal locker_choose_position(Locker *l, const Session *own, const FitRequest *fit, const uint8_t *tried,
                               int *ret_position);
/* Whether whoever comes with the parcel that it is reserved for may put it there. */
bool locker_reserved_is_free(Locker *l, const Session *own, int position);
int locker_quarantine(Locker *l, int position, const char *actor, const char *why);
/* The lid of another position with something in it stands open: whoever opens the door could reach it. */
bool lid_holds_back(Locker *l, int slot, int own_position, unsigned *ret_number);

/* --- parcels: the one way for them to change (parcels.c) --- */
/* In a transaction: the parcel becomes `to`, with all that follows from it (times, validity, code, what is
 * remembered of before), and the event. -EINVAL: the life cycle has no such edge. The same state again:
 * nothing but what the row's other fields say. */
int parcel_write(Locker *l, ParcelRow *p, ParcelState to, const char *actor, const char *reason);
/* After the commit: log and listeners. */
void parcel_written(Locker *l, const ParcelRow *p, const char *reason);
/* All of it, in a transaction of its own. -ENOENT: it has ended. */
int parcel_becomes(Locker *l, uint64_t id, ParcelState to, const char *actor, const char *reason);
/* Somebody could reach in behind this lock without having shown who they are: what lies there is unverified,
 * unless a sensor says that it still does, as long as the lock is open. Tried again until the ledger takes
 * it. */
void parcels_exposed(Locker *l, int lock, const char *why);
/* What a sensor says is gone from behind this lock is unverified, until it is shut. */
void parcels_watched(Locker *l, int lock, const char *why);
void exposed_look(Locker *l, int slot); /* its sensors have changed */
void exposed_tick(Locker *l, const Now *now);

/* --- errands (errand.c) --- */
/* What is remembered of a deposit until its place is final. */
typedef struct Deposit {
        FitRequest fit;
        uint8_t *tried;             /* [n_positions] */
        char code[CODE_LENGTH + 1]; /* between commit and reply only; erased */
        int64_t expires_usec;
        unsigned bound; /* kinds of credentials that open it */
        /* the search for another place, while one is asked for */
        const char *why, *quarantine;
        bool larger;
} Deposit;

/* One errand at one place: the machine (core/errand.h), and what it is about. Its session may end; it goes on
 * until its slot is nobody's. */
struct Errand {
        Errand *next;
        Locker *locker;
        ErrandMachine m;
        Session *session;    /* NULL: nobody is there any more, or never was */
        uint64_t session_id; /* for the ledger; 0: none */
        char actor[LABEL_MAX + 16];
        const char *why;    /* static; for the events of its parcel; NULL */
        uint64_t parcel;    /* 0: none */
        int slot, position; /* indices; position -1: the door alone */
        Opening *opening;   /* committed; under way in OPENING */
        LockerReply reply;  /* of the pending request */
        void *reply_userdata;
        ParcelChoice
                choice; /* what was said; written at once, or at retry_at when the ledger could not take it */
        uint64_t retry_at;      /* boot µs; USEC_INFINITY */
        int result;             /* why the request is refused */
        const char *quarantine; /* why nothing else may be put there; written with what comes next; NULL */
        char *reason;           /* an operator's; NULL */
        bool reported_open;
        bool deserted; /* its session idles although its door is open: session_look_for_person() */
        Deposit *deposit;
};

/* In OPENING, holding its slot; whatever the session had before gives way. opening: committed. */
int errand_new(Locker *l, ErrandKind kind, Session *s, int slot, int position, Errand **ret);
/* When it is done, or has never begun because its transaction failed: then nothing of it has happened. */
Errand *errand_free(Errand *e);
/* After the commit: the slot and the session are its, and its locks begin to move. */
void errand_begin(Errand *e, LockerReply reply, void *userdata);
void errand_event(Errand *e, ErrandEvent event);
/* May the person say that now? Refusal; the errand. No side effect. */
int errand_ask(Session *s, Act act, ErrandEvent event, Errand **ret);
void errand_start(Errand *e); /* what errand_intend() has written */
void errand_expect_reply(Errand *e, LockerReply reply, void *userdata);
void errand_answer(Errand *e, int result, const char *detail);
int errand_intend(Errand *e, const char *why, bool insist); /* in a transaction: e->opening */
void errand_log_quarantined(const Errand *e, const char *why);
void errand_hold(Errand *e);            /* its slot */
void errands_look(Locker *l, int slot); /* its sensors have changed */
void errands_tick(Locker *l, const Now *now);
uint64_t errands_next_deadline(const Locker *l);
ErrandView errand_view(const Errand *e);
int deposit_seek(Errand *e); /* deposit.c: 0: it has moved on; else a refusal, or a negative errno */
int errand_write_choice(Errand *e, ParcelChoice choice); /* 0 also when it has to be tried again */
Deposit *deposit_free(Deposit *d);
DEFINE_CLEANUP(Deposit *, deposit_free);

/* --- sessions (sessions.c) --- */
int session_expect(Session *s,
                   Act act);   /* refusal unless idle and what was proved allows it (core/access.h) */
int session_touch(Session *s); /* refusal when ended or a request is under way */
bool session_is_at_work(const Session *s);
void session_idles_from_now(Session *s);
/* After something has happened in its errand: is anybody there still? A door that nobody shuts, or sees, is
 * no proof; the time for it begins when that is noticed. */
void session_look_for_person(Session *s, Errand *e);
void session_answer(Session *s, int result, const char *detail);
void reply_refusal(LockerReply reply, void *userdata, int result, const char *detail);
void session_refresh(Session *s); /* tells its state when it is another one */
void session_take_errand(Session *s, Errand *e);
void session_give_up_errand(Session *s); /* one that is settled, and only kept for reopening */
/* May `s` (NULL: an operator) open this slot now? slot_clear() then takes it from whoever only keeps it for
 * reopening. */
bool slot_is_clear(const Locker *l, int slot, const Session *s);
void slot_clear(Locker *l, int slot);
bool errand_gives_way_to_operator(const Errand *e);
void errand_yield(Errand *e);
void session_unlink(Session *s);
void sessions_by_code_end(Locker *l, uint64_t parcel); /* the code that opened them is not valid any more */
void sessions_tick(Locker *l, const Now *now);
uint64_t sessions_next_deadline(const Locker *l);
void take_back_next(Session *s);
void take_back_stop(Session *s);

/* --- after a restart (recover.c) --- */
int locker_recover_begin(Locker *l);
int locker_adopt(Locker *l); /* if it is due: 0, or why the ledger does not take it */
void locker_recover(Locker *l);
void homeless_count(Locker *l); /* parcels in slots that are not configured; tells health */

/* --- people (authenticate.c) --- */
void locker_person_revoked(void *locker, uint64_t person); /* ends the sessions of that person */
/* Nobody waits any more for what is being verified; false: nothing is. */
bool session_give_up_evidence(Session *s);

/* --- health (health.c) --- */
void clock_tick(Locker *l, const Now *now);
