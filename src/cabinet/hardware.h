/* SPDX-License-Identifier: Apache-2.0 */
/* The cabinet as it stands there: what its sensors say of doors, lids and positions, how its locks are moved,
 * how lids are locked again, and what opens by itself when somebody has to get out. Facts come in from
 * src/lock; what has happened goes up through one callback. Nothing here knows of parcels, people or errands.
 */
#pragma once

#include "core/bucket.h"
#include "core/door.h"
#include "core/errand.h"
#include "core/refusal.h"
#include "lock/locks.h"
#include "records/records.h"

typedef struct Hardware Hardware;
typedef struct Movement Movement;
typedef struct Opening Opening;
typedef void (*MovementDone)(Movement *m, int result);

/* What has happened, bits. */
typedef enum HardwareHappened {
        HARDWARE_CHANGED = 1 << 0, /* sensors of this slot say something else than before, or one of its locks
                                      has come to rest */
        HARDWARE_FORCED = 1 << 1,  /* opened without a command: whoever is there has shown nothing */
        HARDWARE_FOR_SAFETY = 1 << 2,  /* opened by a release or alarm input: likewise */
        HARDWARE_OPENED_LATE = 1 << 3, /* by a command that is over: a lock that did not open has let go after
                                          all, or a door that was just shut has sprung open again */
        HARDWARE_OPEN_TOO_LONG = 1 << 4,
        HARDWARE_WRONG_DOOR = 1 << 6,  /* this lock was told to open, and another one opened: h->miswired[] */
        HARDWARE_OPEN_UNSEEN = 1 << 7, /* by a command, or nobody knows how, and stood open while nobody could
                                          see it: over a restart, say */
        HARDWARE_SPOKE = 1 << 5,       /* slot -1: a sensor or a board has spoken; see hardware_all_spoke() */
} HardwareHappened;

/* slot -1: none in particular; lock -1: none (presence). Called after the event has been recorded. */
typedef void (*HardwareUp)(void *userdata, int slot, int lock, unsigned happened);

/* One lock being moved: from the intent in the ledger to the outcome. At most one a lock. */
struct Movement {
        Hardware *hardware;
        uint64_t id;      /* in the ledger; 0 while a safety release has not been written yet */
        uint64_t command; /* towards the lock driver; a retry gets a new one */
        int lock;
        LockAction action;
        uint64_t expires;
        bool urgent, started;
        const char *safety;    /* urgent: why; static */
        int suspect;           /* the lock that opened without a command while this one was to; -1 */
        bool pulsed;           /* a command of it has reached the board, or may have */
        bool confirmed;        /* the board has said so */
        bool insist;           /* pulse even though the sensors say open: the person says it is stuck */
        uint64_t secure_until; /* secure: by then the latch must be home; boot µs */
        uint64_t
                secure_look; /* secure: the window is over, its latch is being looked at since then; else 0 */
        MovementDone done;
        void *userdata;
};

/* Who released a lid last: locking it again belongs to the same errand. */
typedef struct Release {
        uint64_t session, parcel;
        char actor[LABEL_MAX + 16];
} Release;

/* An outcome that the ledger could not take; tried again, in order. */
typedef struct Unsettled {
        uint64_t id; /* 0: there is no intent of it */
        int lock;
        const char *outcome, *event, *reason; /* static; event, reason: NULL */
} Unsettled;

typedef struct Safety {
        uint64_t at;     /* boot µs: when to look at the inputs again; USEC_INFINITY */
        const char *why; /* a request that has not been met yet, although its input may be quiet again */
        bool requested;
        unsigned left; /* how many pulses it has left then */
        Bucket pulses; /* that it has had */
} Safety;

struct Hardware {
        const Cabinet *cabinet;
        Records *records;
        Locks *locks; /* NULL until attached */
        HardwareUp up;
        void *userdata;

        Door *doors;          /* [n_locks] */
        DoorSeen *seen;       /* [n_locks]: as the ledger has it */
        bool *remembered;     /* [n_locks]: the ledger has it; one that has never moved is not begun with */
        unsigned *unrecorded; /* [n_locks]: DoorHappened bits that the ledger could not take */
        Unsettled *unsettled;
        size_t n_unsettled;
        uint64_t record_at; /* boot µs: try that again; USEC_INFINITY */
        Movement **moving;  /* [n_locks] */
        Opening **opening;  /* [n_slots]: under way */
        Release *released;  /* [n_locks] */
        int *miswired;    /* [n_locks]: the lock that opened instead of this one, until it opens itself; -1 */
        bool *may_let_go; /* [n_locks]: a former run has told it to open, and did not see what came of it;
                             nobody has seen it since */
        bool *lid_gave_up;    /* [n_locks]: it could not be locked; not tried again until something moves */
        Safety *safety;       /* [n_slots] */
        unsigned *chattering; /* [n_slots]: bits 1 << FactKind: an input of it chatters */
        bool *alarms_chatter; /* [n_alarms] */
        BoardHealth *boards;  /* [n_boards] */
        char (*board_sentences)[160];
        bool *lines; /* [n_lines] working */
        char (*line_sentences)[160];
        int *slots_by_label; /* indices, sorted by label */
        uint64_t lids_at;    /* boot µs: try again to lock what the ledger could not take; USEC_INFINITY */
        uint64_t next_command;
        bool may_secure; /* what a former run left open has been settled: lids may be locked */
};

/* With what the ledger remembers of its doors. */
int hardware_init(Hardware *h, Records *records, HardwareUp up, void *userdata);
void hardware_done(Hardware *h);
extern const LocksHandlers hardware_handlers; /* userdata: the Hardware */
void hardware_tick(Hardware *h, const Now *now);
uint64_t hardware_next_deadline(const Hardware *h);
bool hardware_is_still(const Hardware *h); /* no lock is being moved */
/* All boards answer and every sensor has said something. */
bool hardware_all_spoke(const Hardware *h);

/* --- what the sensors say (sight.c) --- */
int hardware_find_slot(const Hardware *h, const char *label); /* -1 */
/* position 0: the slot's door. -1: this cabinet has no such lock. */
int hardware_find_lock(const Hardware *h, const char *label, unsigned position);
bool lock_is_shut(const Hardware *h, int lock); /* lock -1: there is none, yes */
/* A sentence for operators: which one opened when this lock was told to. False: none but its own. */
bool lock_is_miswired(const Hardware *h, int lock, char *ret, size_t size);
/* A sentence for operators: which input of the slot chatters. False: none. */
bool slot_chatters(const Hardware *h, int slot, char *ret, size_t size);
bool lid_is_open(const Hardware *h, int lock);
bool slot_is_shut(const Hardware *h, int slot);
bool slot_is_closed(const Hardware *h,
                    int slot); /* shut, or told to open and did not, and its door is not moving */
bool slot_is_left_open(const Hardware *h, int slot); /* for longer than allowed */
bool slot_is_moving(const Hardware *h, int slot);    /* one of its locks is */
bool board_is_online(const Hardware *h, int board);
bool place_online(const Hardware *h, int slot, int position); /* position < 0: the door alone matters */
Tri position_occupied(const Hardware *h, int position);       /* TRI_UNKNOWN also: it has no sensor */
ErrandView place_view(const Hardware *h, int slot, int position);

/* --- movements (movements.c) --- */
/* Writes the intent; inside a transaction. session, parcel: for the ledger; 0: none. */
int movement_intend(Hardware *h, int lock, LockAction action, uint64_t session, uint64_t parcel,
                    const char *why, const char *actor, const char *reason, Movement **ret);
int record_commanded(Hardware *h, int lock, LockAction action, const char *actor, const char *reason);
/* After the commit: gives the command. `done` gets 0, a Refusal or LOCKER_E_OUTCOME_UNKNOWN, never from
 * inside. -EBUSY. */
int movement_start(Movement *m, MovementDone done, void *userdata);
void movement_withdraw(Movement *m); /* an intent that is not needed any more: settles it */
Movement *movement_free(Movement *m);
int movement_settle_in(Movement *m, const char *outcome);
void movement_settle_later(Movement *m, const char *outcome); /* when the transaction has failed */
int movements_settle_again(Hardware *h);
void movement_suspects(Hardware *h, int lock); /* this lock has opened without a command */
void movement_facts(Hardware *h, int lock, unsigned happened);
void movement_seen(Hardware *h, int lock, uint64_t at_boot);
void movements_result(void *userdata, uint64_t command, LockResult result, uint64_t at_boot);
void movements_tick(Hardware *h, const Now *now);
uint64_t movements_next_deadline(const Hardware *h);

/* --- doors (doors.c) --- */
void doors_happened(Hardware *h, int lock, unsigned happened);
void doors_fact(void *userdata, const Fact *fact, bool more);
void doors_seen(void *userdata, int board);
void doors_tick(Hardware *h, const Now *now);
uint64_t doors_next_deadline(const Hardware *h);

/* --- safety inputs (safety.c) --- */
void safety_fact(Hardware *h, const Fact *fact);
void safety_tick(Hardware *h, const Now *now);
uint64_t safety_next_deadline(const Hardware *h);

/* --- opening a place: door, then lid (opening.c) --- */
/* result: 0, a Refusal, or LOCKER_E_OUTCOME_UNKNOWN. The opening is gone by then. */
typedef void (*OpeningDone)(void *userdata, int result);
typedef struct OpeningRequest {
        int slot, position;       /* position -1: the door alone */
        uint64_t session, parcel; /* for the ledger; 0: none */
        const char *why, *actor, *reason;
        bool insist; /* the person says it is stuck: pulse what the sensors call open, unless a contact shows
                        that it really is */
        bool insist_last; /* the operator: pulse what was asked for whatever the sensors say */
} OpeningRequest;
/* Writes the intents; inside a transaction. */
int opening_intend(Hardware *h, const OpeningRequest *q, Opening **ret);
/* After the commit. `done` may be called from inside, when there is nothing to move or it cannot be. */
void opening_start(Opening *o, OpeningDone done, void *userdata);
bool opening_reported_open(const Opening *o); /* what was asked for was reported open before its pulse */
Opening *opening_free(Opening *o); /* leaves its intents open: only before the commit, or at the very end */

/* --- lids behind a shut door (securing.c) --- */
/* Locks by command whatever can be and is not locked; the end of each is told as HARDWARE_CHANGED. */
void secure_lids(Hardware *h, int slot);
/* Tells HARDWARE_CHANGED, and whatever more there is, after locking the lids that it lets be locked. */
void hardware_changed(Hardware *h, int slot, int lock, unsigned more);
void lids_tick(Hardware *h, const Now *now); /* tries again what the ledger could not take */
void lids_moved(Hardware *h, int slot);      /* what could not be locked may be tried again */

/* --- contacts that chatter (contacts.c) --- */
void contacts_chatter(void *userdata, const FactChatter *chatter);

/* --- boards and lines (boards.c) --- */
void boards_health(void *userdata, int board, BoardHealth health, const char *sentence);
void boards_line(void *userdata, int line, bool working, const char *sentence);
const char *board_health_word(BoardHealth health); /* "ok" "degraded" "failed" "starting" */
