/* SPDX-License-Identifier: Apache-2.0 */
/* The door machine: turns facts (contact, latch, commands, time) into what a door is and what happened to it.
 * One machine a lock; a position's inner lid is a door too. Pure: it reports, the use cases act.
 *
 *   locked → releasing → open → closing → locked, with jammed, forced, left_open, unknown.
 *
 * An acknowledgement of a board is not a fact about a door and does not occur here. */
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
        DOOR_OPENED = 1 << 1,         /* the contact says open */
        DOOR_CLOSED = 1 << 2,         /* shut and, where a latch contact exists, locked */
        DOOR_FAILED_TO_OPEN = 1 << 3, /* the release window ended without a release */
        DOOR_FORCED_OPEN = 1 << 4,    /* opened without a command */
        DOOR_OPEN_TOO_LONG = 1 << 5,
        DOOR_LOST = 1 << 6,  /* sensors no longer answer */
        DOOR_FOUND = 1 << 7, /* sensors answer (again); the state was taken from them without an event of the door */
        DOOR_WANTS_RETRY = 1 << 8, /* the first release window ended: pulse once more */
} DoorHappened;

typedef struct DoorTimes {
        uint64_t release_usec;  /* window after the pulse */
        uint64_t open_max_usec; /* then left_open */
} DoorTimes;

typedef struct Door {
        DoorState state;
        bool has_contact, has_latch; /* at least one is true */
        Tri closed;                  /* last believed contact value */
        Tri locked;                  /* last believed latch value */
        uint64_t release_until;      /* boot µs; only in releasing, once the pulse has been given; else USEC_INFINITY */
        uint64_t left_open_at;       /* boot µs; else USEC_INFINITY */
        unsigned attempt;            /* pulses of this command so far */
        DoorTimes times;
} Door;

void door_init(Door *d, bool has_contact, bool has_latch, DoorTimes times);
/* A command is about to be given. Returns false (and changes nothing) unless the state is locked, jammed, closing or
 * unknown. `force` (safety release, operator) is accepted in every state. */
bool door_command(Door *d, bool force);
/* The pulse was given (board's answer came, or its deadline passed without one): the release window starts. */
void door_pulsed(Door *d, uint64_t now_boot);
/* The command was never sent (expired, board refused it): back to what the sensors say. */
unsigned door_command_failed(Door *d);
/* Sensor values; TRI_UNKNOWN when the board is silent. Returns DoorHappened bits. */
unsigned door_facts(Door *d, Tri closed, Tri locked, uint64_t now_boot);
/* Time passed. Returns DoorHappened bits. */
unsigned door_tick(Door *d, uint64_t now_boot);
uint64_t door_next_deadline(const Door *d); /* boot µs or USEC_INFINITY */
bool door_is_shut(const Door *d);           /* locked: nobody can reach in */
bool door_may_become(DoorState from, DoorState to); /* the table of edges */
