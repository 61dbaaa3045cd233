/* SPDX-License-Identifier: Apache-2.0 */
/* The door machine: turns facts (contact, latch, commands, time) into what a door is and what happened to it.
 * One machine a lock; a position's inner lid is a door too. Pure: it reports, the use cases act.
 *
 *   locked → releasing → open → closing → locked, with jammed, forced, left_open, unknown.
 *
 * An acknowledgement of a board is not a fact about a door and does not occur here.
 *
 * Sensors. With a contact alone, closed means locked. With a latch alone (a hook lock's one feedback),
 * released means open. With both there is a third condition, shut but not latched: after a command it is a
 * release (somebody leans on the door: RELEASED without OPENED), on the way back it is closing, and without a
 * command it is closing too, silently, until the door is latched again, moves (forced) or has stayed so for
 * open_max (left_open). When one of two sensors is silent the door is unknown, except that a contact which
 * says open is believed.
 *
 * Reports. Every accepted command whose pulse is accounted for (door_pulsed(), door_command_failed()) is
 * answered by exactly one of RELEASED, FAILED_TO_OPEN or LOST: also a forced one on a door that stands open
 * (RELEASED), while one that joins a command under way shares its answer. Only door_command_failed() before
 * any pulse answers nothing: its caller knows. An opening is reported once, as OPENED or as FORCED_OPEN,
 * never both, and not again before CLOSED or FOUND. A command given in closing or to an open door is
 * therefore answered by RELEASED alone.
 *
 * Whose opening is it? A command's, while it is under way; until the release window of its last pulse is
 * over, even if the door was shut again meanwhile (contacts bounce, springs pull back); and after a failure
 * for another DOOR_LATE_USEC, because latches let go late. Anything later is forced. While the sensors are
 * silent a command still under way is not given up: an opening seen when they are back within the window
 * answers it.
 *
 * A verdict needs a look. What the sensors said before the pulse says nothing about it: when the release
 * window is over and they have not been read since (door_seen()), the door wants a look and waits for it, for
 * DOOR_UNSEEN_USEC at most. Read at last and still locked, it is pulsed again or has failed; if nobody could
 * read it, the outcome is LOST, it is not pulsed blindly, and an opening that is seen later is the command's.
 * A door whose sensors were lost before the command does not wait.
 *
 * Found again. FOUND comes alone: what happened unseen is not reported as if it had been seen; look at the
 * state. A door found open is open when a command was on its way or it had been open before, forced when it
 * was, and left_open when nothing was known before (the daemon has just started: nobody knows since when or
 * by whom). One exception: last seen locked, no command, and now open is FOUND|FORCED_OPEN; cutting the cable
 * must not make a burglary silent. And when the command under way was given to an unknown door, one that is
 * found open then is FOUND|RELEASED|OPENED: whether it was open before nobody knows, that it is open to the
 * person who asked is certain. */
#pragma once

#include "base/clock.h"
#include "base/macros.h"

typedef enum DoorState {
        DOOR_UNKNOWN,   /* no believable sensor value */
        DOOR_LOCKED,    /* closed, and locked as far as there is a latch contact */
        DOOR_RELEASING, /* a command is under way */
        DOOR_OPEN,      /* released or open after a command */
        DOOR_CLOSING,   /* shut, but the latch is not home yet */
        DOOR_JAMMED,    /* commanded (and retried) but not released */
        DOOR_FORCED,    /* opened without a command */
        DOOR_LEFT_OPEN, /* open for longer than allowed */
        DOOR_STATE_MAX,
} DoorState;

const char *door_state_to_string(DoorState s); /* "left_open" … */
int door_state_from_string(const char *s, DoorState *ret);

typedef enum Tri { TRI_NO = 0, TRI_YES = 1, TRI_UNKNOWN = -1 } Tri;

/* What happened, for ledger, events and prompts. A bit set: one input may report several. */
typedef enum DoorHappened {
        DOOR_HAPPENED_NOTHING = 0,
        DOOR_RELEASED = 1 << 0,       /* the latch let go, or the door moved, after a command */
        DOOR_OPENED = 1 << 1,         /* the contact, or a latch without contact, says open */
        DOOR_CLOSED = 1 << 2,         /* shut and, where a latch contact exists, locked */
        DOOR_FAILED_TO_OPEN = 1 << 3, /* the release window ended without a release */
        DOOR_FORCED_OPEN = 1 << 4,    /* opened without a command */
        DOOR_OPEN_TOO_LONG = 1 << 5,
        DOOR_LOST = 1 << 6,        /* sensors no longer answer; or a command ended unseen */
        DOOR_FOUND = 1 << 7,       /* sensors answer (again) and the state was taken from them */
        DOOR_WANTS_RETRY = 1 << 8, /* the first release window ended: pulse once more */
        DOOR_WANTS_LOOK = 1 << 9,  /* the release window ended unseen: read the sensors, door_seen() */
} DoorHappened;

typedef struct DoorTimes {
        uint64_t release_usec;  /* window after the pulse */
        uint64_t open_max_usec; /* then left_open */
} DoorTimes;

/* A release this long after a failure still belongs to the command. */
#define DOOR_LATE_USEC (10 * USEC_PER_SEC)
/* So long after a release window the sensors may take to be read. A board on a noisy line pauses for a second
 * or two; and after a longer time the door may have been opened and shut again by whoever asked for it. */
#define DOOR_UNSEEN_USEC (3 * USEC_PER_SEC)

typedef struct Door {
        DoorState state;
        bool has_contact, has_latch; /* at least one is true */
        Tri closed;                  /* last believed contact value */
        Tri locked;                  /* last believed latch value */
        uint64_t release_until;      /* boot µs; in releasing once the pulse was given, else USEC_INFINITY */
        uint64_t window_end;         /* boot µs: release_until without the wait for a look */
        uint64_t left_open_at;       /* boot µs; else USEC_INFINITY */
        unsigned attempt;            /* pulses of this command so far */
        DoorTimes times;
        /* The machine's own memory. */
        bool known;             /* the sensors have answered at least once */
        bool lost;              /* LOST was reported (or nothing is known yet) and FOUND not since */
        unsigned reported;      /* DoorHappened bits since the door was last seen locked */
        unsigned pulses_due;    /* pulses asked for and not accounted for yet */
        uint64_t command_until; /* boot µs: until then an opening is the work of a command */
} Door;

void door_init(Door *d, bool has_contact, bool has_latch, DoorTimes times);
/* A command is about to be given. Returns false (and changes nothing) unless the state is locked, jammed,
 * closing or unknown. `force` (safety release, operator) is accepted in every state. */
bool door_command(Door *d, bool force);
/* The pulse was given (board's answer came, or its deadline passed without one): the release window starts.
 * Called once for each command and once for each WANTS_RETRY that was followed, also when the release has
 * been seen already. */
void door_pulsed(Door *d, uint64_t now_boot);
/* The command was never sent (expired, board refused it): back to what the sensors say. When it was the retry
 * that could not be sent (or is not wanted), the first pulse did happen: FAILED_TO_OPEN. */
unsigned door_command_failed(Door *d);
/* Sensor values; TRI_UNKNOWN when the board is silent. Values of sensors that do not exist are ignored.
 * Returns DoorHappened bits. */
unsigned door_facts(Door *d, Tri closed, Tri locked, uint64_t now_boot);
/* The same, when every sensor that the door has was read at `at_boot` or later: also when nothing has
 * changed. */
unsigned door_seen(Door *d, Tri closed, Tri locked, uint64_t at_boot);
/* Time passed. Returns DoorHappened bits. */
unsigned door_tick(Door *d, uint64_t now_boot);
uint64_t door_next_deadline(const Door *d); /* boot µs or USEC_INFINITY; may lie in the past: tick now */
bool door_is_shut(const Door *d);           /* locked: nobody can reach in. Not jammed: it may let go late. */
bool door_is_open(const Door *d);           /* seen to be, by command or by force */
bool door_may_become(DoorState from, DoorState to); /* the table of edges; staying is not an edge */
