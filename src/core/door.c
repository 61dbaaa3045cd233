/* SPDX-License-Identifier: Apache-2.0 */
#include "core/door.h"

#include <errno.h>

#define TO(state)  (1U << (state))
#define PULSES_MAX 2 /* the first and one retry */
#define OPENINGS   (DOOR_OPENED | DOOR_FORCED_OPEN)

/* The sensors combined. */
typedef enum Reading {
        READING_LOST,
        READING_LOCKED,
        READING_UNLATCHED, /* shut, but not latched: only where both sensors exist */
        READING_OPEN,
} Reading;

typedef struct DoorRow {
        const char *name;
        unsigned next; /* TO() bits */
} DoorRow;

static const DoorRow rows[DOOR_STATE_MAX] = {
        [DOOR_UNKNOWN] = {"unknown", TO(DOOR_LOCKED) | TO(DOOR_RELEASING) | TO(DOOR_OPEN) | TO(DOOR_CLOSING) |
                                             TO(DOOR_FORCED) | TO(DOOR_LEFT_OPEN)},
        /* open: the pulse's window is not over yet; closing: the latch released by itself. */
        [DOOR_LOCKED] = {"locked", TO(DOOR_UNKNOWN) | TO(DOOR_RELEASING) | TO(DOOR_OPEN) | TO(DOOR_CLOSING) |
                                           TO(DOOR_FORCED)},
        /* locked, closing, forced, left_open: the command was never sent. */
        [DOOR_RELEASING] = {"releasing", TO(DOOR_UNKNOWN) | TO(DOOR_LOCKED) | TO(DOOR_OPEN) |
                                                 TO(DOOR_CLOSING) | TO(DOOR_JAMMED) | TO(DOOR_FORCED) |
                                                 TO(DOOR_LEFT_OPEN)},
        /* locked: there is no latch contact, or both changed at once. releasing: a forced command, as in the
           others. */
        [DOOR_OPEN] = {"open", TO(DOOR_UNKNOWN) | TO(DOOR_LOCKED) | TO(DOOR_RELEASING) | TO(DOOR_CLOSING) |
                                       TO(DOOR_LEFT_OPEN)},
        [DOOR_CLOSING] = {"closing", TO(DOOR_UNKNOWN) | TO(DOOR_LOCKED) | TO(DOOR_RELEASING) | TO(DOOR_OPEN) |
                                             TO(DOOR_FORCED) | TO(DOOR_LEFT_OPEN)},
        [DOOR_JAMMED] = {"jammed", TO(DOOR_UNKNOWN) | TO(DOOR_RELEASING) | TO(DOOR_OPEN) | TO(DOOR_CLOSING) |
                                           TO(DOOR_FORCED)},
        [DOOR_FORCED] = {"forced",
                         TO(DOOR_UNKNOWN) | TO(DOOR_LOCKED) | TO(DOOR_RELEASING) | TO(DOOR_CLOSING)},
        /* forced: it was left unlatched for too long, and is now opened. */
        [DOOR_LEFT_OPEN] = {"left_open", TO(DOOR_UNKNOWN) | TO(DOOR_LOCKED) | TO(DOOR_RELEASING) |
                                                 TO(DOOR_OPEN) | TO(DOOR_CLOSING) | TO(DOOR_FORCED)},
};

const char *door_state_to_string(DoorState s) {
        return (unsigned)s < DOOR_STATE_MAX ? rows[s].name : "invalid";
}

int door_state_from_string(const char *s, DoorState *ret) {
        for (unsigned i = 0; s && i < DOOR_STATE_MAX; i++)
                if (streq(rows[i].name, s)) {
                        *ret = (DoorState)i;
                        return 0;
                }
        return -EINVAL;
}

bool door_may_become(DoorState from, DoorState to) {
        return (unsigned)from < DOOR_STATE_MAX && (unsigned)to < DOOR_STATE_MAX && (rows[from].next & TO(to));
}

static uint64_t later(uint64_t when, uint64_t by) {
        return when > USEC_INFINITY - by ? USEC_INFINITY : when + by;
}

static Reading door_reading(const Door *d) {
        if (!d->has_contact)
                return d->locked == TRI_YES  ? READING_LOCKED
                       : d->locked == TRI_NO ? READING_OPEN
                                             : READING_LOST;
        if (d->closed == TRI_NO)
                return READING_OPEN;
        if (d->closed == TRI_UNKNOWN || (d->has_latch && d->locked == TRI_UNKNOWN))
                return READING_LOST;
        return d->has_latch && d->locked == TRI_NO ? READING_UNLATCHED : READING_LOCKED;
}

void door_init(Door *d, bool has_contact, bool has_latch, DoorTimes times) {
        *d = (Door){
                .state = DOOR_UNKNOWN,
                .has_contact = has_contact,
                .has_latch = has_latch,
                .closed = TRI_UNKNOWN,
                .locked = TRI_UNKNOWN,
                .release_until = USEC_INFINITY,
                .left_open_at = USEC_INFINITY,
                .times = times,
                .lost = true,
        };
}

DoorSeen door_seen_last(const Door *d) {
        return d->reported & DOOR_FORCED_OPEN             ? DOOR_SEEN_FORCED
               : d->reported & (DOOR_RELEASED | OPENINGS) ? DOOR_SEEN_OPEN
               : !d->known || d->command_until == USEC_INFINITY ||
                               (d->state == DOOR_JAMMED && d->command_until)
                       ? DOOR_SEEN_NEVER
                       : DOOR_SEEN_SHUT;
}

void door_remember(Door *d, DoorSeen seen) {
        d->known = seen != DOOR_SEEN_NEVER;
        d->reported = seen == DOOR_SEEN_FORCED ? DOOR_FORCED_OPEN
                      : seen == DOOR_SEEN_OPEN ? DOOR_RELEASED | DOOR_OPENED
                                               : 0;
}

bool door_is_shut(const Door *d) {
        return d->state == DOOR_LOCKED;
}

bool door_is_open(const Door *d) {
        return d->state == DOOR_OPEN || d->state == DOOR_LEFT_OPEN || d->state == DOOR_FORCED;
}

/* The state of an open door follows from the reports so far. */
static DoorState open_state(const Door *d) {
        return d->reported & DOOR_FORCED_OPEN     ? DOOR_FORCED
               : d->reported & DOOR_OPEN_TOO_LONG ? DOOR_LEFT_OPEN
                                                  : DOOR_OPEN;
}

static void start_open_timer(Door *d, uint64_t now) {
        if (d->left_open_at == USEC_INFINITY && !(d->reported & DOOR_OPEN_TOO_LONG))
                d->left_open_at = later(now, d->times.open_max_usec);
}

static unsigned become_released(Door *d, Reading reading, uint64_t now) {
        unsigned happened = DOOR_RELEASED;

        if (reading == READING_OPEN && !(d->reported & OPENINGS))
                happened |= DOOR_OPENED;
        /* From here on it counts as open by command, whatever opened it. */
        d->reported = happened | (d->reported & OPENINGS ? DOOR_OPENED : 0);
        d->state = DOOR_OPEN;
        d->release_until = USEC_INFINITY;
        d->left_open_at = later(now, d->times.open_max_usec);
        /* After a late release the long grace is used up. */
        d->command_until = MIN(d->command_until, later(now, d->times.release_usec));
        return happened;
}

static unsigned become_forced(Door *d, uint64_t now) {
        d->state = DOOR_FORCED;
        d->reported |= DOOR_FORCED_OPEN;
        start_open_timer(d, now);
        return DOOR_FORCED_OPEN;
}

/* Also with values that are too old: they are not used any more. */
static unsigned become_lost(Door *d) {
        d->state = DOOR_UNKNOWN;
        d->closed = d->locked = TRI_UNKNOWN;
        d->lost = true;
        d->release_until = USEC_INFINITY;
        return DOOR_LOST;
}

/* The grace runs from the end of the last window, which command_until still holds. */
static unsigned become_jammed(Door *d) {
        d->state = DOOR_JAMMED;
        d->release_until = USEC_INFINITY;
        d->command_until = later(d->command_until, DOOR_LATE_USEC);
        return DOOR_FAILED_TO_OPEN;
}

bool door_command(Door *d, bool force) {
        switch (d->state) {
        case DOOR_LOCKED:
        case DOOR_JAMMED:
        case DOOR_CLOSING:
        case DOOR_UNKNOWN:
                break;
        case DOOR_RELEASING:
        case DOOR_OPEN:
        case DOOR_FORCED:
        case DOOR_LEFT_OPEN:
        case DOOR_STATE_MAX:
                if (!force)
                        return false;
                break;
        }
        /* A second command joins the pending one: each pulse prolongs the window, one report answers both.
         */
        if (d->state != DOOR_RELEASING) {
                d->state = DOOR_RELEASING;
                d->attempt = 0;
                d->release_until = USEC_INFINITY;
        }
        d->pulses_due++;
        return true;
}

void door_pulsed(Door *d, uint64_t now_boot) {
        uint64_t until = later(now_boot, d->times.release_usec);

        if (d->pulses_due > 0)
                d->pulses_due--;
        /* In other states as well: the response came after the release, or a retry had been sent already
         * and opens the door once more. */
        if (d->state != DOOR_RELEASING) {
                d->command_until = MAX(d->command_until, until);
                return;
        }
        d->command_until = until; /* also replaces the infinity that an unseen command has set */

        Reading reading = door_reading(d);
        d->attempt++;
        /* A latch that is not locked has nothing left to release: due with the next reading. What was read
         * before the pulse is no evidence of that, the door may be shut by now. */
        d->window_end = reading == READING_OPEN || reading == READING_UNLATCHED ? now_boot : until;
        d->release_until = d->window_end;
}

unsigned door_command_failed(Door *d) {
        if (d->pulses_due > 0)
                d->pulses_due--;
        /* Another pulse is expected or its window has not ended: that one decides. */
        if (d->state != DOOR_RELEASING || d->pulses_due > 0 || d->release_until != USEC_INFINITY)
                return 0;

        Reading reading = door_reading(d);
        if (d->attempt > 0 && reading == READING_LOCKED)
                return become_jammed(d);
        switch (reading) {
        case READING_LOST:
                /* Nothing new, when it was unknown before and nothing was sent. */
                if (d->lost && d->attempt == 0) {
                        d->state = DOOR_UNKNOWN;
                        return 0;
                }
                if (d->attempt > 0)
                        d->command_until = USEC_INFINITY;
                return become_lost(d);
        case READING_LOCKED:
                d->state = DOOR_LOCKED;
                break;
        case READING_UNLATCHED:
                d->state = DOOR_CLOSING;
                break;
        case READING_OPEN:
                d->state = open_state(d);
                break;
        }
        return 0;
}

/* The sensors respond again and no command is pending. */
static unsigned found(Door *d, Reading reading, uint64_t now) {
        bool known = d->known, by_command = now <= d->command_until;

        d->lost = false;
        d->known = true;
        if (d->command_until == USEC_INFINITY)
                d->command_until = 0;
        if (reading == READING_LOCKED) {
                d->state = DOOR_LOCKED;
                d->reported = 0;
                d->left_open_at = USEC_INFINITY;
                return DOOR_FOUND;
        }

        bool was_open = d->reported & (DOOR_RELEASED | OPENINGS);
        if (by_command && !was_open) { /* a new opening with its own start time */
                d->reported = 0;
                d->left_open_at = USEC_INFINITY;
        }
        if (reading == READING_UNLATCHED) {
                d->state = by_command && !was_open ? DOOR_OPEN : DOOR_CLOSING;
                /* Only known to be unlatched: if it opens now, it is not a forced opening. */
                if (by_command || !known)
                        d->reported |= DOOR_RELEASED;
        } else if (was_open || by_command) {
                if (!(d->reported & DOOR_FORCED_OPEN))
                        d->reported |= DOOR_RELEASED | DOOR_OPENED;
                d->state = open_state(d);
        } else if (!known) {
                d->reported |= DOOR_OPENED | DOOR_OPEN_TOO_LONG;
                d->state = DOOR_LEFT_OPEN;
        } else
                return DOOR_FOUND | become_forced(d, now);
        start_open_timer(d, now);
        return DOOR_FOUND;
}

static unsigned seen_lost(Door *d, uint64_t now) {
        /* A pending command is decided at the end of its window: a board that pauses may respond again by
         * then. */
        if (d->state == DOOR_RELEASING)
                return 0;
        /* A late release would not be seen now. */
        if (d->state == DOOR_JAMMED && now <= d->command_until)
                d->command_until = USEC_INFINITY;
        return become_lost(d);
}

/* It was believed open when it was pulsed, and is not: now there is something to release. */
static void whole_window(Door *d) {
        if (d->release_until != USEC_INFINITY && d->window_end < d->command_until)
                d->release_until = d->window_end = d->command_until;
}

static unsigned seen_locked(Door *d) {
        unsigned happened = d->reported ? DOOR_CLOSED : 0;

        d->reported = 0;
        d->left_open_at = USEC_INFINITY;
        if (d->state != DOOR_RELEASING)
                d->state = DOOR_LOCKED;
        else
                whole_window(d);
        return happened;
}

static unsigned seen_unlatched(Door *d, Reading before, uint64_t now) {
        switch (d->state) {
        case DOOR_RELEASING:
                /* An open door that got a forced command and is closed before the pulse. */
                return before == READING_OPEN ? 0 : become_released(d, READING_UNLATCHED, now);
        case DOOR_LOCKED:
        case DOOR_JAMMED:
                if (now <= d->command_until)
                        return become_released(d, READING_UNLATCHED, now);
                break;
        case DOOR_UNKNOWN:
        case DOOR_OPEN:
        case DOOR_CLOSING:
        case DOOR_FORCED:
        case DOOR_LEFT_OPEN:
        case DOOR_STATE_MAX:
                break;
        }
        d->state = DOOR_CLOSING;
        start_open_timer(d, now);
        return 0;
}

static unsigned seen_open(Door *d, uint64_t now) {
        if (d->state == DOOR_RELEASING)
                return become_released(d, READING_OPEN, now);
        /* The reported opening continues: a blocked door opens, or a closing one is pulled open again. */
        if (d->reported & (DOOR_RELEASED | OPENINGS)) {
                unsigned happened = d->reported & OPENINGS ? 0 : DOOR_OPENED;
                d->reported |= happened;
                d->state = open_state(d);
                return happened;
        }
        return now <= d->command_until ? become_released(d, READING_OPEN, now) : become_forced(d, now);
}

/* The sensors have not been read since the window ended: request it once. */
static unsigned window_over_unseen(Door *d, uint64_t now) {
        if (!d->lost && d->release_until == d->window_end) {
                d->release_until = later(now, DOOR_UNSEEN_USEC);
                return DOOR_WANTS_LOOK;
        }
        d->command_until = USEC_INFINITY;
        return become_lost(d);
}

static unsigned window_over_locked(Door *d) {
        if (d->attempt >= PULSES_MAX)
                return become_jammed(d);
        d->release_until = USEC_INFINITY;
        /* Another pulse may have been sent already: a second command's. */
        if (d->pulses_due > 0)
                return 0;
        d->pulses_due++;
        return DOOR_WANTS_RETRY;
}

/* The window of a pulse is over; `seen`: the sensors have been read since. */
static unsigned window_over(Door *d, bool seen, uint64_t now) {
        Reading reading = door_reading(d);

        if (!seen || reading == READING_LOST)
                return window_over_unseen(d, now);
        return reading == READING_LOCKED ? window_over_locked(d) : become_released(d, reading, now);
}

unsigned door_facts(Door *d, Tri closed, Tri locked, uint64_t now_boot) {
        Reading before = door_reading(d);
        unsigned happened = 0;

        d->closed = d->has_contact ? closed : TRI_UNKNOWN;
        d->locked = d->has_latch ? locked : TRI_UNKNOWN;
        Reading reading = door_reading(d);
        if (reading == before)
                return happened;

        if (reading != READING_LOST && d->lost) {
                if (d->state != DOOR_RELEASING)
                        return happened | found(d, reading, now_boot);
                d->lost = false;
                d->known = true;
                if (d->command_until == USEC_INFINITY)
                        d->command_until = 0;
                /* Closed unseen at an unknown time: not reported as if it had been seen. */
                if (reading == READING_LOCKED)
                        d->reported = 0;
                happened |= DOOR_FOUND;
        }
        switch (reading) {
        case READING_LOST:
                return happened | seen_lost(d, now_boot);
        case READING_LOCKED:
                return happened | seen_locked(d);
        case READING_UNLATCHED:
                return happened | seen_unlatched(d, before, now_boot);
        case READING_OPEN:
                return happened | seen_open(d, now_boot);
        }
        return happened;
}

unsigned door_seen(Door *d, Tri closed, Tri locked, uint64_t at_boot) {
        unsigned happened = door_facts(d, closed, locked, at_boot);

        if (d->state == DOOR_RELEASING && d->release_until != USEC_INFINITY && at_boot >= d->window_end)
                happened |= window_over(d, true, at_boot);
        return happened;
}

unsigned door_tick(Door *d, uint64_t now_boot) {
        if (now_boot < door_next_deadline(d))
                return 0;
        if (d->state == DOOR_RELEASING)
                return window_over(d, false, now_boot);
        if (d->state == DOOR_JAMMED) { /* nothing to report, but to remember: what comes now is forced */
                d->command_until = 0;
                return 0;
        }

        /* Report once; FORCED takes precedence over LEFT_OPEN. */
        d->left_open_at = USEC_INFINITY;
        d->reported |= DOOR_OPEN_TOO_LONG;
        if (d->state != DOOR_FORCED)
                d->state = DOOR_LEFT_OPEN;
        return DOOR_OPEN_TOO_LONG;
}

uint64_t door_next_deadline(const Door *d) {
        switch (d->state) {
        case DOOR_RELEASING:
                return d->release_until;
        case DOOR_OPEN:
        case DOOR_CLOSING:
        case DOOR_FORCED:
                return d->left_open_at;
        case DOOR_JAMMED:
                return d->command_until ? later(d->command_until, 1) : USEC_INFINITY;
        case DOOR_UNKNOWN:
        case DOOR_LOCKED:
        case DOOR_LEFT_OPEN:
        case DOOR_STATE_MAX:
                break;
        }
        return USEC_INFINITY;
}
