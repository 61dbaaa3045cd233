/* SPDX-License-Identifier: Apache-2.0 */
/* What the use cases share among themselves: the state of the running cabinet that is not in the ledger
 * (doors as the sensors tell, sessions, movements under way), and the steps every use case is made of. */
#pragma once

#include "base/text.h"
#include "core/access.h"
#include "core/believed_clock.h"
#include "core/code.h"
#include "core/fit.h"
#include "core/mask.h"
#include "core/reminder.h"
#include "locker/locker.h"
#include <jansson.h>

typedef struct Movement Movement;
typedef struct Enrolling Enrolling;
typedef struct Owed Owed;
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

typedef enum Step { STEP_NONE, STEP_DEPOSIT, STEP_COLLECT, STEP_TAKE_BACK } Step;
typedef enum Choice { CHOICE_NONE, CHOICE_ACCEPT, CHOICE_REJECT, CHOICE_CANCEL } Choice;

/* What has been said to the person while the doors are shut and the step is not settled, so that it is said
 * once. */
typedef enum Waiting {
        WAITING_NO,
        WAITING_FOR_LID,
        WAITING_FOR_ITEM,
        WAITING_FOR_CHOICE,
        WAITING_FOR_SECURE
} Waiting;

struct Session {
        Session *next;
        Locker *locker;
        uint64_t id;
        SessionKind kind;
        SessionState state;
        bool gone; /* ended for the outside; lives on until its doors are shut and its step is settled */
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

        /* what: the step at hand */
        Step step;
        Choice choice;
        Waiting waiting;
        uint64_t parcel;
        int slot, position; /* indices; -1: none */
        bool settled;       /* the step is over; the place is kept for reopening until grace_until */
        bool reopened;      /* open again within the grace time: nothing to settle on shutting */
        bool deposited;     /* settled, and what was stored is this courier's: reopening takes the deposit up
                               again */
        bool out_of_time;   /* nobody answered: what is judged now is final, also when the ledger has to be
                               asked again */
        FitRequest fit;
        uint8_t *tried; /* [n_positions], deposits */
        Placement *queue;
        size_t n_queue, queue_at;

        /* the opening under way: door first, then the position's own lock */
        Movement *door, *inner;
        void (*opened)(Session *s, int result);

        LockerReply reply;
        void *reply_userdata;
        char code[CODE_LENGTH + 1]; /* between commit and reply of a deposit only; erased */
        int64_t expires_usec;
        bool bound_password;

        uint64_t idle_at, answer_at, grace_until, retry_at; /* boot µs */
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
        Session **holder;        /* [n_slots]: whose open slot it is */
        int *slots_by_label;     /* indices, sorted by label */
        BoardHealth *boards;     /* [n_boards] */
        char (*board_sentences)[160];
        bool *lines; /* [n_lines] working */
        char (*line_sentences)[160];
        Session *sessions;
        Owed *owed;           /* changes of parcels that the ledger could not take yet */
        bool orphans_owed;    /* interrupted steps could not be settled */
        uint64_t owed_at;     /* boot µs: try again; USEC_INFINITY */
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

/* --- movements (movements.c) --- */
/* Writes the intent; inside a transaction. */
int movement_intend(Locker *l, int lock, LockAction action, Session *s, uint64_t parcel, const char *why,
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

/* --- opening a place for a session (opening.c) --- */
/* insist: pulse what the sensors call open, unless a contact shows that it really is. */
int opening_intend(Session *s, const char *why, bool insist);
void opening_go(Session *s, void (*opened)(Session *s, int result));
void opening_drop(Session *s);

/* --- sessions (sessions.c) --- */
int session_expect(Session *s,
                   Act act);   /* refusal unless idle and what was proved allows it (core/access.h) */
int session_touch(Session *s); /* refusal when ended or a request is under way */
void session_answer(Session *s, int result, const char *detail);
void reply_refusal(LockerReply reply, void *userdata, int result, const char *detail);
void session_set_state(Session *s, SessionState state);
void session_prompt(Session *s, const char *what, const char *sentence);
void session_take_slot(Session *s, int slot, int position);
bool slot_is_closed(const Locker *l, int slot); /* shut, or told to open and did not, and no lock is moving */
bool slot_is_over(const Locker *l,
                  int slot);        /* nothing more is to be expected of its door: closed, or lost */
void session_drop_slot(Session *s); /* the place at hand is no longer this session's, as soon as it is shut */
bool slot_is_clear(Locker *l, int slot, const Session *s);
void session_settled(Session *s, const char *what, const char *sentence);
void session_shut(Session *s); /* doors changed: settle what can be settled (settle.c) */
void session_answer_timeout(Session *s);
int session_resume_deposit(Session *s); /* collect.c: WRONG_STATE unless within its grace time */
void session_unlink(Session *s);
void sessions_by_code_end(Locker *l, uint64_t parcel); /* the code that opened them is not valid any more */
void sessions_tick(Locker *l, const Now *now);
uint64_t sessions_next_deadline(const Locker *l);
int take_back_next(Session *s);
void slot_released(Locker *l, int slot); /* tells the listener */

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
void settle_orphans(Locker *l, int slot); /* -1: all */
void slot_exposed(Locker *l, int lock, const char *why);

/* --- lids behind a shut door (securing.c) --- */
bool lid_can_be_secured(const Locker *l, int lock);
/* s, ret: may be NULL. */
int lid_secure(Locker *l, int lock, Session *s, uint64_t parcel, MovementDone done, void *userdata,
               Movement **ret);
void secure_lids(Locker *l, int slot); /* those that are not part of an errand */
/* The lid of another position with something in it stands open: whoever opens the door could reach it. */
bool lid_holds_back(Locker *l, int slot, int own_position, unsigned *ret_number);
int lid_out_of_service(Locker *l, int position, const char *actor);

/* --- what the ledger could not take (owed.c) --- */
/* The parcel becomes this as soon as the ledger takes it; 0 when it has, else it is kept and tried again.
 * why: for the ledger, static; NULL. */
int parcel_owe(Locker *l, uint64_t parcel, ParcelState state, const char *actor, const char *why);
bool parcel_is_owed(const Locker *l, uint64_t parcel);
void owed_tick(Locker *l, const Now *now);
uint64_t owed_next_deadline(const Locker *l);
void owed_forget(Locker *l);

/* --- people (people.c) --- */
void people_give_up(Locker *l);

/* --- health (health.c) --- */
void health_board(void *userdata, int board, BoardHealth health, const char *sentence);
void clock_tick(Locker *l, const Now *now);
void health_line(void *userdata, int line, bool working, const char *sentence);

/* --- storage (storage.c) --- */
void storage_check(Locker *l, const Now *now);
void storage_make_room(Locker *l);
