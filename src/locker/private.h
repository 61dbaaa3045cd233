/* SPDX-License-Identifier: Apache-2.0 */
/* What the use cases share among themselves: the state of the running cabinet that is not in the ledger
 * (doors as the sensors tell, sessions, movements under way), and the steps every use case is made of. */
#pragma once

#include "base/text.h"
#include "core/access.h"
#include "core/believed_clock.h"
#include "core/code.h"
#include "core/errand.h"
#include "core/fit.h"
#include "core/mask.h"
#include "core/reminder.h"
#include "locker/locker.h"
#include <jansson.h>

typedef struct Movement Movement;
typedef struct Enrolling Enrolling;
typedef struct Errand Errand;
typedef void (*MovementDone)(Movement *m, int result);

/* One lock being moved: from the intent in the ledger to the outcome. At most one a lock. */
struct Movement {
        Locker *locker;
        uint64_t id;      /* in the ledger; 0 while a safety release has not been written yet */
        uint64_t command; /* towards the lock driver; a retry gets a new one */
        int lock;
        LockAction action;
        uint64_t expires;
        bool urgent, started;
        bool pulsed;           /* a command of it has reached the board, or may have */
        bool confirmed;        /* the board has said so */
        bool insist;           /* pulse even though the sensors say open: the person says it is stuck */
        uint64_t secure_until; /* secure: by then the latch must be home; boot µs */
        uint64_t
                secure_look; /* secure: the window is over, its latch is being looked at since then; else 0 */
        MovementDone done;
        void *userdata;
};

struct Session {
        Session *next;
        Locker *locker;
        uint64_t id;
        SessionKind kind;
        SessionState told; /* what the listeners know; see session_refresh() */
        bool gone;         /* ended; freed by the next tick */
        char terminal[LABEL_MAX];
        char actor[LABEL_MAX + 16];
        void *userdata;

        /* who: set by authentication */
        uint64_t person;
        char courier_number[LABEL_MAX + 1];
        uint64_t code_parcel;
        IdentityJob *job;
        char subject[SUBJECT_MAX]; /* whose lockout the running verification counts for */
        uint64_t candidate;        /* the person being verified, 0: nobody */

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

#define LISTENERS_MAX 4

typedef struct PendingEvent {
        EventRow row;
        char *type, *subject, *data;
} PendingEvent;

struct Locker {
        const Cabinet *cabinet;
        const Settings *settings;
        Ledger *ledger;
        Identity *identity;
        Locks *locks;
        Now (*now)(void);
        uint8_t boot_id[16];
        struct {
                const LockerListener *listener;
                void *userdata;
        } listeners[LISTENERS_MAX];

        Door *doors;             /* [n_locks] */
        Movement **moving;       /* [n_locks] */
        uint64_t *safety_at;     /* [n_slots]: when to look at the safety inputs again; USEC_INFINITY */
        const char **safety_why; /* [n_slots]: a request that has not been met yet, although its input may be
                                    quiet again */
        unsigned *safety_left;   /* [n_slots]: how many pulses it has left then */
        Errand **holder;         /* [n_slots]: which errand has this slot */
        const char **exposed;    /* [n_locks]: what is behind it has still to be marked, and why; NULL */
        uint64_t exposed_at;     /* boot µs: try that again; USEC_INFINITY */
        bool *lid_gave_up;       /* [n_locks]: it could not be locked; not tried again until something moves */
        uint64_t lids_at;        /* boot µs: try again to lock what the ledger could not take; USEC_INFINITY */
        int *slots_by_label;     /* indices, sorted by label */
        BoardHealth *boards;     /* [n_boards] */
        char (*board_sentences)[160];
        bool *lines; /* [n_lines] working */
        char (*line_sentences)[160];
        Session *sessions;
        Errand *errands;
        Enrolling *enrolling; /* waiting for their secrets to be hashed */
        uint64_t next_command;

        PendingEvent *pending;
        size_t n_pending;
        bool in_transaction;
        InboxRow *command; /* of the backend, being executed; NULL */

        struct {
                BelievedClock clock;
                ReminderRules rules;
                uint64_t at;  /* boot µs: look for what is due */
                int64_t kept; /* the believed time that the ledger knows */
                int64_t owed; /* by how much the clock was put right, as long as the ledger does not know it
                               */
                bool follow;  /* … and that it was */
        } reminders;

        bool recovered; /* what a former run left open has been settled or marked */
        uint64_t recover_until; /* the last movement that a former run left open; ids only grow */
        uint64_t recover_at, lockouts_at, checkpoint_at, storage_at;
        const char *backend_state; /* NULL: no backend */
        char backend_sentence[160];
        const char *keys_state; /* NULL: no backend */
        char keys_sentence[160];
        uint64_t clock_at;
        bool clock_known, clock_synced; /* what was last said of the wall clock */
        bool storage_low;               /* no deposits */
        bool ledger_failing;            /* the last write failed */
        int64_t wall_floor;             /* latest time the ledger has seen */
};

/* --- transactions and records (record.c) --- */
int locker_begin(Locker *l);
/* Commits, then tells the listener of the recorded events. */
int locker_commit(Locker *l);
/* Commits when r is 0, else rolls back; returns what came of it. */
int locker_end(Locker *l, int r);
void locker_rollback(Locker *l);
/* Steals `data`; NULL is what json_pack() says when there is no memory: -ENOMEM. actor NULL: "lockerd". */
int locker_record(Locker *l, const char *actor, const char *reason, const char *type, const char *subject,
                  json_t *data, const char *secret);
/* "slot:12" or "slot:P1/3" (number 0: the door). */
void subject_place(const Locker *l, int slot, unsigned number, char ret[SUBJECT_MAX]);
json_t *data_place(const Locker *l, int slot, unsigned number);
/* What an operator does says who and why also where events are read. Steals `data`, which may be NULL, as its
 * result. */
json_t *data_by(json_t *data, const char *actor, const char *reason);
json_t *data_parcel(const ParcelRow *p);
int locker_record_parcel(Locker *l, const char *actor, const char *reason, const ParcelRow *p,
                         const char *secret);
int64_t locker_wall(const Locker *l, const Now *now);

/* --- telling the doors (notify.c) --- */
void notify_slot(Locker *l, int slot);
void notify_parcel(Locker *l, uint64_t id);
void notify_session(Locker *l, Session *s);
void notify_prompt(Locker *l, Session *s, int slot, unsigned position, const char *what,
                   const char *sentence);
void notify_health(Locker *l);
void notify_event(Locker *l, const EventRow *event);

/* --- places (places.c) --- */
void parcel_set_place(const Locker *l, ParcelRow *p, int position);
int locker_find_slot(const Locker *l, const char *label);
int parcel_place(const Locker *l, const ParcelRow *p, int *ret_slot,
                 int *ret_position); /* -ENOENT: not in this cabinet */
bool locker_slot_shut(const Locker *l, int slot);
bool lock_is_shut(const Locker *l, int lock);
bool place_online(const Locker *l, int slot, int position); /* position < 0: the door alone matters */
Refusal locker_choose_position(Locker *l, const Session *own, const FitRequest *fit, const uint8_t *tried,
                               int *ret_position);
int locker_quarantine(Locker *l, int position, const char *actor, const char *why);
Tri position_occupied(const Locker *l, int position);

/* --- parcels: the one way for them to change (parcels.c) --- */
/* In a transaction: the parcel becomes `to`, with all that follows from it (times, validity, code, what is remembered of before), and
 * the event. -EINVAL: the life cycle has no such edge. The same state again: nothing but what the row's other fields say. */
int parcel_write(Locker *l, ParcelRow *p, ParcelState to, const char *actor, const char *reason);
/* After the commit: log and listeners. */
void parcel_written(Locker *l, const ParcelRow *p, const char *reason);
/* All of it, in a transaction of its own. -ENOENT: it has ended. */
int parcel_becomes(Locker *l, uint64_t id, ParcelState to, const char *actor, const char *reason);
/* May its recipient have it? Not what was rejected or recalled before it became unverified. */
bool parcel_is_recipients(const ParcelRow *p);
/* Somebody could reach in behind this lock without having shown who they are: what lies there is unverified, unless a sensor says that
 * it still does. Tried again until the ledger takes it. */
void parcels_exposed(Locker *l, int lock, const char *why);
void exposed_tick(Locker *l, const Now *now);

/* --- movements (movements.c) --- */
/* Writes the intent; inside a transaction. session, parcel: for the ledger; 0: none. */
int movement_intend(Locker *l, int lock, LockAction action, uint64_t session, uint64_t parcel, const char *why,
                    const char *actor, const char *reason, Movement **ret);
/* After the commit: gives the command. `done` gets 0, a Refusal or LOCKER_E_OUTCOME_UNKNOWN, never from
 * inside. */
int movement_start(Movement *m, MovementDone done, void *userdata);
void movement_withdraw(Movement *m); /* an intent that is not needed any more: settles it */
Movement *movement_free(Movement *m);
void movement_facts(Locker *l, int lock, unsigned happened); /* from doors.c */
int movement_settle_in(Movement *m, const char *outcome);
void movement_seen(Locker *l, int lock, uint64_t at_boot); /* the same: its sensors were read */
void movements_result(void *userdata, uint64_t command, LockResult result, uint64_t at_boot);
void movements_tick(Locker *l, const Now *now);
uint64_t movements_next_deadline(const Locker *l);

/* --- doors (doors.c) --- */
void doors_happened(Locker *l, int lock, unsigned happened);
void doors_fact(void *userdata, const Fact *fact, bool more);
void doors_seen(void *userdata, int board);
void doors_tick(Locker *l, const Now *now);
uint64_t doors_next_deadline(const Locker *l);
void safety_tick(Locker *l, const Now *now);

/* --- opening a place: door, then lid (opening.c) --- */
typedef struct Opening Opening;
/* result: 0, a Refusal, or LOCKER_E_OUTCOME_UNKNOWN. The opening is gone by then. */
typedef void (*OpeningDone)(void *userdata, int result);
typedef struct OpeningRequest {
        int slot, position;       /* position -1: the door alone */
        uint64_t session, parcel; /* for the ledger; 0: none */
        const char *why, *actor, *reason;
        bool insist;      /* the person says it is stuck: pulse what the sensors call open, unless a contact shows that it really is */
        bool insist_last; /* the operator: pulse what was asked for whatever the sensors say */
} OpeningRequest;
/* Writes the intents; inside a transaction. */
int opening_intend(Locker *l, const OpeningRequest *q, Opening **ret);
/* After the commit. `done` may be called from inside, when there is nothing to move or it cannot be. */
void opening_start(Opening *o, OpeningDone done, void *userdata);
bool opening_reported_open(const Opening *o); /* what was asked for was reported open before its pulse */
Opening *opening_free(Opening *o);            /* leaves its intents open: only before the commit, or at the very end */

/* --- errands (errand.c) --- */
/* What is remembered of a deposit until its place is final. */
typedef struct Deposit {
        FitRequest fit;
        uint8_t *tried;             /* [n_positions] */
        char code[CODE_LENGTH + 1]; /* between commit and reply only; erased */
        int64_t expires_usec;
        bool bound_password;
        /* the search for another place, while one is asked for */
        const char *why, *quarantine;
        bool larger;
} Deposit;

/* One errand at one place: the machine (core/errand.h), and what it is about. Its session may end; it goes on until its slot is nobody's. */
struct Errand {
        Errand *next;
        Locker *locker;
        ErrandMachine m;
        Session *session;    /* NULL: nobody is there any more, or never was */
        uint64_t session_id; /* for the ledger; 0: none */
        char actor[LABEL_MAX + 16];
        const char *why;       /* static; for the events of its parcel; NULL */
        uint64_t parcel;       /* 0: none */
        int slot, position;    /* indices; position -1: the door alone */
        Opening *opening;      /* committed; under way in OPENING */
        LockerReply reply;     /* of the pending request */
        void *reply_userdata;
        ParcelChoice choice;    /* what was said; written at once, or at retry_at when the ledger could not take it */
        uint64_t retry_at;      /* boot µs; USEC_INFINITY */
        int result;             /* why the request is refused */
        const char *quarantine; /* why nothing else may be put there; written with what comes next; NULL */
        char *reason;           /* an operator's; NULL */
        bool reported_open;
        Deposit *deposit;
};

/* In OPENING, holding its slot; whatever the session had before gives way. opening: committed. */
int errand_new(Locker *l, ErrandKind kind, Session *s, int slot, int position, Errand **ret);
Errand *errand_free(Errand *e);
/* After the commit: the slot and the session are its, and its locks begin to move. */
void errand_begin(Errand *e, LockerReply reply, void *userdata);
void errand_event(Errand *e, ErrandEvent event);
/* May the person say that now? Refusal; the errand. No side effect. */
int errand_ask(Session *s, Act act, ErrandEvent event, Errand **ret);
void errand_start(Errand *e);   /* what errand_intend() has written */
void errand_expect_reply(Errand *e, LockerReply reply, void *userdata);
void errand_answer(Errand *e, int result, const char *detail);
int errand_intend(Errand *e, const char *why, bool insist); /* in a transaction: e->opening */
void errand_hold(Errand *e);                                /* its slot */
void errand_stand_down(Errand *e); /* never began: gone without a trace */
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
void session_answer(Session *s, int result, const char *detail);
void reply_refusal(LockerReply reply, void *userdata, int result, const char *detail);
void session_refresh(Session *s); /* tells its state when it is another one */
void session_take_errand(Session *s, Errand *e);
bool slot_is_moving(const Locker *l, int slot); /* one of its locks is */
bool slot_is_closed(const Locker *l, int slot); /* shut, or told to open and did not, and no lock is moving */
/* May `s` (NULL: an operator) open this slot now? slot_clear() then takes it from whoever only keeps it for reopening. */
bool slot_is_clear(const Locker *l, int slot, const Session *s);
void slot_clear(Locker *l, int slot);
void session_unlink(Session *s);
void sessions_by_code_end(Locker *l, uint64_t parcel); /* the code that opened them is not valid any more */
void sessions_tick(Locker *l, const Now *now);
uint64_t sessions_next_deadline(const Locker *l);
void take_back_next(Session *s);

/* --- lockouts (lockouts.c) --- */
int lockout_check(Locker *l, const char *subject,
                  char detail[LOCKER_DETAIL_MAX]); /* 0 or LOCKER_E_LOCKED_OUT */
/* Counts a wrong entry for each subject, in one transaction; detail says what is left. */
int lockout_wrong(Locker *l, const char *actor, const char *type, const char *const *subjects, size_t n,
                  char detail[LOCKER_DETAIL_MAX]);
int lockout_right(Locker *l, const char *subject); /* inside a transaction */
void lockouts_tick(Locker *l, const Now *now);
int lockouts_adopt(Locker *l);

/* --- codes (codes.c) --- */
int code_issue(Locker *l, ParcelRow *p, const char *actor, const char *reason,
               char ret_code[CODE_LENGTH + 1]); /* in a transaction */

/* --- reminders and recall (reminders.c) --- */
int reminders_begin(Locker *l);
void reminders_tick(Locker *l, const Now *now);
uint64_t reminders_next_deadline(const Locker *l);
int reminders_moved(
        Locker *l, const ParcelRow *p); /* in the transaction in which a parcel becomes stored or collected */

/* --- after a restart (recover.c) --- */
int locker_recover_begin(Locker *l);
void locker_recover(Locker *l);

/* --- lids behind a shut door (securing.c) --- */
/* Locks by command whatever can be and is not locked; each end is told by errands_look(). */
void secure_lids(Locker *l, int slot);
/* Tries again what the ledger could not take. */
void lids_tick(Locker *l, const Now *now);
/* Something has moved: what could not be locked may be tried again. */
void lids_moved(Locker *l, int slot);
/* The lid of another position with something in it stands open: whoever opens the door could reach it. */
bool lid_holds_back(Locker *l, int slot, int own_position, unsigned *ret_number);

/* --- people (people.c) --- */
void people_give_up(Locker *l);

/* --- health (health.c) --- */
void health_board(void *userdata, int board, BoardHealth health, const char *sentence);
void clock_tick(Locker *l, const Now *now);
void health_line(void *userdata, int line, bool working, const char *sentence);

/* --- storage (storage.c) --- */
void storage_check(Locker *l, const Now *now);
void storage_make_room(Locker *l);
