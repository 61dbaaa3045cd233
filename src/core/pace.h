/* SPDX-License-Identifier: Apache-2.0 */
/* How often a board's inputs are read. Fast while somebody is at the cabinet, a lock moves or something is in
 * doubt, and for a moment after whatever has happened; else slowly, because nobody waits for the answer and a
 * cabinet may live on a battery. Pure. Times are boot µs. */
#pragma once

#include "base/clock.h"
#include <stdbool.h>

#define PACE_FAST_USEC   (10 * USEC_PER_MSEC) /* from the beginning of a round to the next one's */
#define PACE_LINGER_USEC USEC_PER_SEC         /* contacts bounce, and one that moves is seldom alone */
/* From an opening nobody has commanded, or the pressing of an inside release, to its report: also at rest. */
#define PACE_REPORT_USEC (500 * USEC_PER_MSEC)

/* IdlePoll=, ms. Safety inputs are read at least every PACE_SAFETY_MS, whatever is configured. */
#define PACE_IDLE_MIN     10
#define PACE_IDLE_DEFAULT 250
#define PACE_IDLE_MAX     2000
#define PACE_SAFETY_MS    250

/* What a worker knows of all of its boards. */
typedef struct Pace {
        bool attended; /* the daemon says that somebody is there */
        uint64_t fast_until;
} Pace;

/* Something has happened: an input changed, a command came, somebody asked. */
void pace_stir(Pace *p, uint64_t now);
void pace_attend(Pace *p, bool attended, uint64_t now);
/* doubt: of this board something is not settled: a response was missing, a value is not believed yet, a coil
 * is on. */
bool pace_is_fast(const Pace *p, bool doubt, uint64_t now);
/* When the round that began at `began` is followed by the next one. */
uint64_t pace_next(const Pace *p, unsigned idle_ms, bool doubt, uint64_t began, uint64_t now);

/* --- the daemon's side: is anybody there? --- */

#define ATTEND_LINGER_USEC (10 * USEC_PER_SEC) /* the next one in the queue */

typedef struct Presence {
        bool session, moving; /* somebody has a session; a lock is being moved */
        bool open;            /* a door or lid is open … */
        uint64_t moved_at;    /* … and a sensor of a slot changed then; 0: never */
        uint64_t open_usec;   /* DoorOpenTimeout=: whoever left it open for longer has gone */
} Presence;

typedef struct Attendance {
        bool attended;
        uint64_t until; /* without another sign; USEC_INFINITY: as long as the session or movement lasts */
} Attendance;

void attendance_look(Attendance *a, const Presence *p, uint64_t now);
/* When to look again though nothing happens. */
uint64_t attendance_next(const Attendance *a);
