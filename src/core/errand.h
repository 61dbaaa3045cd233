/* SPDX-License-Identifier: Apache-2.0 */
/* One errand at one place: a deposit, a collection, a take-back, or a look (an operator's or the backend's
 * opening; a place that is opened again when nothing is left to settle; a place that its parcel has left). A
 * table: state × event × what the sensors say → next state, effects, deadline. Pure: it knows neither ledger
 * nor lock; whoever runs it commits, acts and reports back. Drawn in docs/architecture.md, explored by
 * tests/unit/test_errand.c and test_errand_walk.c.
 *
 * How it is run. Something happens: errand_step(). A request of a person is refused, before any side effect,
 * where the table has no row for it: errand_allows(). After each step the effects are executed in the order
 * of their bits, then ERRAND_FACTS is stepped until nothing changes any more (errand_is_looking()). What the
 * person decides is committed before it is stepped.
 *
 * What a parcel becomes follows from what was said, and from the sensors. Where they contradict each other
 * the person is asked, for a while; then what the sensors say counts, and where they say nothing, nothing is
 * guessed: unverified. */
#pragma once

#include "base/clock.h"
#include "base/macros.h"
#include "core/door.h"

typedef enum ErrandKind {
        ERRAND_DEPOSIT,
        ERRAND_COLLECT,
        ERRAND_TAKE_BACK,
        ERRAND_LOOK, /* no parcel to settle: only the place has to be shut and locked again */
        ERRAND_KIND_MAX,
} ErrandKind;

typedef enum ErrandState {
        ERRAND_OPENING,  /* its locks are being moved */
        ERRAND_OPEN,     /* released: its door is open, or nobody can see it, or it has just been shut */
        ERRAND_SEEKING,  /* another place is being looked for; left at once by MOVED or NOT_MOVED */
        ERRAND_SECURING, /* shut; the lid inside is being locked */
        ERRAND_WAITING,  /* shut; somebody has to do or say something, until the deadline */
        ERRAND_WRITING,  /* the outcome is known; the ledger has not taken it yet */
        ERRAND_GRACE,    /* settled; the place may be opened again, until the deadline */
        ERRAND_DONE,     /* the slot is nobody's */
        ERRAND_STATE_MAX,
} ErrandState;

typedef enum ErrandEvent {
        /* of its opening */
        ERRAND_OPENED,
        ERRAND_FAILED,     /* it was told to open and did not */
        ERRAND_NOT_SENT,   /* no pulse was given */
        ERRAND_UNKNOWN,    /* nobody saw what the pulse did */
        ERRAND_WRONG_DOOR, /* another one opened instead: the locks' wires are swapped */
        /* of door, lid and presence: look at the view */
        ERRAND_FACTS,
        /* said by the person */
        ERRAND_ACCEPT,
        ERRAND_REJECT,
        ERRAND_CANCEL,
        ERRAND_OTHER_PLACE, /* too small, not empty */
        ERRAND_DOES_NOT_OPEN,
        ERRAND_REOPEN,
        ERRAND_LEAVE, /* the session has ended: nobody is there any more */
        /* of the search for another place */
        ERRAND_MOVED,
        ERRAND_NOT_MOVED,
        /* of the ledger */
        ERRAND_WRITTEN,
        ERRAND_NOT_WRITTEN,
        ERRAND_YIELD, /* somebody with a parcel in this slot wants it, or an operator does */
        ERRAND_TIME,  /* the deadline has passed */
        ERRAND_EVENT_MAX,
} ErrandEvent;

typedef enum ErrandSaid {
        ERRAND_SAID_NOTHING,
        ERRAND_SAID_ACCEPT,
        ERRAND_SAID_REJECT,
        ERRAND_SAID_CANCEL,
        ERRAND_SAID_MAX
} ErrandSaid;

/* What an errand that is WAITING waits for. */
typedef enum ErrandWait {
        ERRAND_WAIT_NOTHING,
        ERRAND_WAIT_LID,    /* to be shut */
        ERRAND_WAIT_ITEM,   /* to be put in, taken out, put back */
        ERRAND_WAIT_CHOICE, /* accept or reject */
        ERRAND_WAIT_SIGHT,  /* nobody can see the door, and nobody is there to ask */
        ERRAND_WAIT_MAX,
} ErrandWait;

/* Why the locks are being moved. */
typedef enum ErrandPulse {
        ERRAND_PULSE_FIRST,
        ERRAND_PULSE_AGAIN /* "does not open" */,
        ERRAND_PULSE_REOPEN,
        ERRAND_PULSE_MAX
} ErrandPulse;

/* Why another place is looked for. */
typedef enum ErrandSeek { ERRAND_SEEK_ASKED, ERRAND_SEEK_FAILED, ERRAND_SEEK_MAX } ErrandSeek;

typedef enum ErrandOutcome {
        ERRAND_OUTCOME_NONE,
        ERRAND_STORED,    /* put in */
        ERRAND_CANCELLED, /* never was inside, or was taken out again */
        ERRAND_COLLECTED,
        ERRAND_REJECTED,
        ERRAND_BACK, /* it still is where it was before the collection was begun */
        ERRAND_RETURNED,
        ERRAND_KEPT,         /* a take-back that took nothing: the parcel is what it was */
        ERRAND_UNVERIFIED,   /* nobody knows */
        ERRAND_NOTHING_LEFT, /* a look: nothing to write */
        ERRAND_OUTCOME_MAX,
} ErrandOutcome;

typedef struct ErrandMachine {
        ErrandKind kind;
        ErrandState state;
        ErrandSaid said;
        ErrandWait wait;       /* in WAITING */
        ErrandPulse pulse;     /* in OPENING */
        ErrandSeek seek;       /* in SEEKING */
        ErrandOutcome outcome; /* from WRITING on */
        bool attended;         /* a session is there to ask */
        bool blind;            /* a part of it nobody saw: what no sensor says is unverified */
        bool final;            /* nobody answered: what is judged now is not asked again */
        bool keep;             /* in WRITING: the place is kept for reopening afterwards */
        uint64_t deadline;     /* boot µs; USEC_INFINITY */
} ErrandMachine;

typedef enum ErrandDoor {
        ERRAND_DOOR_SHUT,
        ERRAND_DOOR_STUCK, /* told to open and did not: as shut as it was */
        ERRAND_DOOR_OPEN,  /* or on its way */
        ERRAND_DOOR_LOST,  /* nobody can see it */
        ERRAND_DOOR_MAX,
} ErrandDoor;

typedef enum ErrandLid {
        ERRAND_LID_LOCKED, /* also: there is none */
        ERRAND_LID_MOVING,
        ERRAND_LID_LOOSE, /* open, or nobody can see it */
        ERRAND_LID_MAX,
} ErrandLid;

/* What the sensors say of its place. */
typedef struct ErrandView {
        ErrandDoor door;
        ErrandLid lid;
        Tri occupied; /* TRI_UNKNOWN also: there is no sensor */
} ErrandView;

typedef struct ErrandRules {
        uint64_t answer_usec, grace_usec;
        bool unanswered_is_collected;
} ErrandRules;

/* In this order. */
typedef enum ErrandEffect {
        ERRAND_ANSWER = 1 << 0,     /* the pending request: done */
        ERRAND_QUARANTINE = 1 << 1, /* nothing else may be put there until somebody looked */
        ERRAND_SEEK = 1 << 2,       /* try another place; report MOVED or NOT_MOVED */
        ERRAND_REFUSE = 1 << 3,     /* the pending request: why not */
        ERRAND_LEAVE_PLACE =
                1 << 4,            /* the parcel and the person have nothing to do with this place any more */
        ERRAND_START = 1 << 5,     /* the movement that was committed with the request */
        ERRAND_WRITE = 1 << 6,     /* the outcome; report WRITTEN or NOT_WRITTEN */
        ERRAND_PROMPT = 1 << 7,    /* tell the person, see ErrandStep.prompt */
        ERRAND_FREE_SLOT = 1 << 8, /* it is nobody's */
} ErrandEffect;

typedef enum ErrandPrompt {
        ERRAND_SAY_NOTHING,
        ERRAND_SAY_PUT_IN,
        ERRAND_SAY_TAKE_OUT,
        ERRAND_SAY_TAKE_NEXT,
        ERRAND_SAY_TAKE_OUT_AGAIN,
        ERRAND_SAY_CLOSE_LID,
        ERRAND_SAY_STILL_INSIDE,
        ERRAND_SAY_STILL_EMPTY,
        ERRAND_SAY_PUT_BACK,
        ERRAND_SAY_CHOOSE,
        ERRAND_SAY_DID_NOT_OPEN, /* the refusal's sentence says more */
        ERRAND_SAY_STORED,
        ERRAND_SAY_CANCELLED,
        ERRAND_SAY_COLLECTED,
        ERRAND_SAY_REJECTED,
        ERRAND_SAY_RETURNED,
        ERRAND_SAY_LEFT_INSIDE,
        ERRAND_SAY_UNVERIFIED,
        ERRAND_PROMPT_MAX,
} ErrandPrompt;

typedef struct ErrandStep {
        unsigned effects; /* ErrandEffect bits */
        ErrandPrompt prompt;
} ErrandStep;

/* It begins in OPENING. */
void errand_init(ErrandMachine *e, ErrandKind kind, bool attended);
/* One that a former run left behind: nobody is there, nobody saw it, and its door may be open. said: as the
 * ledger knows it. */
void errand_init_again(ErrandMachine *e, ErrandKind kind, ErrandSaid said);
bool errand_allows(const ErrandMachine *e, ErrandEvent event, const ErrandView *view);
/* False, and nothing is changed, when the table has no row. */
bool errand_step(ErrandMachine *e, const ErrandRules *rules, ErrandEvent event, const ErrandView *view,
                 uint64_t now_boot, ErrandStep *ret);
/* It is to be told ERRAND_FACTS when the sensors have changed, and after each step. */
bool errand_is_looking(const ErrandMachine *e);
/* A request is being carried out: another one has to wait. */
bool errand_is_busy(const ErrandMachine *e);
/* Its parcel is not settled. */
bool errand_is_at_work(const ErrandMachine *e);

const char *errand_kind_to_string(ErrandKind k);
const char *errand_state_to_string(ErrandState s); /* "opening" … */
const char *errand_event_to_string(ErrandEvent e);
const char *errand_prompt_word(ErrandPrompt p);     /* "still-inside" …; a contract with kiosk programs */
const char *errand_prompt_sentence(ErrandPrompt p); /* for people */
/* State × state edges of the table, for the drawing in docs/architecture.md. */
bool errand_may_become(ErrandState from, ErrandState to);
