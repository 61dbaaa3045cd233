/* SPDX-License-Identifier: Apache-2.0 */
/* The door machine: turns facts (contact, latch, commands, time) into the state of a door and reports about
 * it. One machine a lock; a position's inner lid is a door too. Pure: it reports, the use cases act.
 *
 *   locked → releasing → open → closing → locked, with jammed, forced, left_open, unknown.
 *
 * An acknowledgement of a board is not a fact about a door and does not occur here.
 *
 * Sensors. With a contact alone, closed means locked. With a latch alone (a hook lock's one feedback),
 * released means open. With both there is a third condition, shut but not latched: after a command it is a
 * release (the door is blocked: RELEASED without OPENED), after an opening it is closing, and without a
 * command it is closing too, silently, until the door is latched again, moves (forced) or has stayed so for
 * open_max (left_open). When one of two sensors is silent the door is unknown, except that a contact which
 * says open is believed.
 *
 * Reports. Every accepted command whose pulse is accounted for (door_pulsed(), door_command_failed()) is
 * answered by exactly one of RELEASED, FAILED_TO_OPEN or LOST: also a forced one on a door that stands open
 * (RELEASED), while one that joins a command under way shares its answer. Only door_command_failed() before
 * any pulse reports nothing: its caller knows. An opening is reported once, as OPENED or as FORCED_OPEN,
 * never both, and not again before CLOSED or FOUND. A command given in closing or to an open door is
 * therefore answered by RELEASED alone.
 *
 * Attribution of an opening. To a command, while it is pending; until the release window of its last pulse
 * is over, even if the door was shut again meanwhile (contacts bounce, springs pull back); and after a
 * failure for another DOOR_LATE_USEC, because latches release late. Anything later is forced. While the
 * sensors do not respond a pending command stays pending: an opening seen when they respond again within the
 * window answers it.
 *
 * A verdict needs fresh sensor values. Values from before the pulse are no evidence: when the release
 * window is over and the sensors have not been read since (door_seen()), the door requests a reading
 * (WANTS_LOOK) and waits for it, for DOOR_UNSEEN_USEC at most. Read and still locked, it is pulsed again or
 * has failed; if it could not be read, the outcome is LOST, it is not pulsed blindly, and an opening that is
 * seen later is attributed to the command. A door whose sensors were lost before the command does not wait.
 * A door that is believed to be open when it is pulsed has no window: the next reading answers. When that
 * says shut, its closing was told late, and the window is a whole one after all.
 *
 * Found again. FOUND comes alone: unseen changes are not reported as if they had been seen; read the
 * state. A door found open is open when a command was pending or it had been open before, forced when it was,
 * and left_open when nothing was known before (the cabinet is new). One exception: last seen locked, no
 * command, and now open is FOUND|FORCED_OPEN; neither cutting the cable nor stopping the daemon must hide a
 * forced opening (door_remember()). And when
 * the pending command was given to an unknown door, a door that is then found open is FOUND|RELEASED|OPENED:
 * whether it was open before is unknown, but it is open for the person who asked. */
#pragma once

#include "base/clock.h"
#include "base/macros.h"

typedef enum DoorState {
        DOOR_UNKNOWN,   /* no believable sensor value */
        DOOR_LOCKED,    /* closed, and locked as far as there is a latch contact */
        DOOR_RELEASING, /* a command is under way */
        DOOR_OPEN,      /* released or open after a command */
        DOOR_CLOSING,   /* shut, but not latched yet */
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
        DOOR_RELEASED = 1 << 0,       /* the latch released, or the door moved, after a command */
        DOOR_OPENED = 1 << 1,         /* the contact, or a latch without contact, says open */
        DOOR_CLOSED = 1 << 2,         /* shut and, where a latch contact exists, locked */
        DOOR_FAILED_TO_OPEN = 1 << 3, /* the release window ended without a release */
        DOOR_FORCED_OPEN = 1 << 4,    /* opened without a command */
        DOOR_OPEN_TOO_LONG = 1 << 5,
        DOOR_LOST = 1 << 6,        /* sensors no longer respond; or a command ended unseen */
        DOOR_FOUND = 1 << 7,       /* sensors respond (again) and the state was taken from them */
        DOOR_WANTS_RETRY = 1 << 8, /* the first release window ended: pulse once more */
        DOOR_WANTS_LOOK = 1 << 9,  /* the release window ended unseen: read the sensors, door_seen() */
} DoorHappened;

typedef enum DoorSeen { DOOR_SEEN_NEVER, DOOR_SEEN_SHUT, DOOR_SEEN_OPEN, DOOR_SEEN_FORCED } DoorSeen;

typedef struct DoorTimes {
        uint64_t release_usec;  /* window after the pulse */
        uint64_t open_max_usec; /* then left_open */
} DoorTimes;

/* A release this long after a failure still belongs to the command. */
#define DOOR_LATE_USEC (10 * USEC_PER_SEC)
/* The longest wait for a sensor reading after a release window. A board on a noisy line pauses for a second
 * or two; after a longer time the user may have opened and closed the door again. */
#define DOOR_UNSEEN_USEC (3 * USEC_PER_SEC)

typedef struct Door {
        DoorState state;
        bool has_contact, has_latch; /* at least one is true */
        Tri closed;                  /* last believed contact value */
        Tri locked;                  /* last believed latch value */
        uint64_t release_until;      /* boot µs; in releasing once the pulse was given, else USEC_INFINITY */
        uint64_t window_end;         /* boot µs: release_until without the wait for a reading */
        uint64_t left_open_at;       /* boot µs; else USEC_INFINITY */
        unsigned attempt;            /* pulses of this command so far */
        DoorTimes times;
        /* The machine's own memory. */
        bool known;             /* the sensors have responded at least once */
        bool lost;              /* LOST was reported (or nothing is known yet) and FOUND not since */
        unsigned reported;      /* DoorHappened bits since the door was last seen locked */
        unsigned pulses_due;    /* pulses asked for and not accounted for yet */
        uint64_t command_until; /* boot µs: until then an opening is attributed to a command */
} Door;

void door_init(Door *d, bool has_contact, bool has_latch, DoorTimes times);
/* A command is about to be given. Returns false (and changes nothing) unless the state is locked, jammed,
 * closing or unknown. `force` (safety release, operator) is accepted in every state. */
bool door_command(Door *d, bool force);
/* The pulse was sent (the board responded, or the deadline passed without a response): the release window
 * starts. Called once for each command and once for each WANTS_RETRY that was followed, also when the
 * release has been seen already. */
void door_pulsed(Door *d, uint64_t now_boot);
/* The command was never sent (expired, board refused it): back to the state that the sensors show. When
 * only the retry could not be sent (or is not wanted), the first pulse did happen: FAILED_TO_OPEN. */
unsigned door_command_failed(Door *d);
/* Sensor values; TRI_UNKNOWN when the board does not respond. Values of sensors that do not exist are
 * ignored. Returns DoorHappened bits. */
unsigned door_facts(Door *d, Tri closed, Tri locked, uint64_t now_boot);
/* The same, when every sensor that the door has was read at `at_boot` or later: also when nothing has
 * changed. */
unsigned door_seen(Door *d, Tri closed, Tri locked, uint64_t at_boot);
/* Time passed. Returns DoorHappened bits. */
unsigned door_tick(Door *d, uint64_t now_boot);
uint64_t door_next_deadline(const Door *d); /* boot µs or USEC_INFINITY; may lie in the past: tick now */
/* What is worth remembering over a restart, and what was: before the first fact. Where a command was pending,
 * or has failed so lately that its latch may still let go, nothing is known: an opening might be its. */
DoorSeen door_seen_last(const Door *d);
void door_remember(Door *d, DoorSeen seen);
bool door_is_shut(const Door *d);                   /* locked; not jammed, which may release late */
bool door_is_open(const Door *d);                   /* seen to be, by command or by force */
bool door_may_become(DoorState from, DoorState to); /* the table of edges; staying is not an edge */
