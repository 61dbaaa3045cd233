/* SPDX-License-Identifier: Apache-2.0 */
/* When a waiting parcel produces a reminder (once, at the hour at which its recipient usually collects) and
 * when a recall request (once). Pure: the time and the zone are passed in. No state is kept here: the
 * caller stores what was sent and since when the parcel waits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define REMINDER_NEVER INT64_MAX
#define HABIT_HOURS    24

/* Seconds east of UTC at a moment (wall µs). */
typedef struct LocalTime {
        int (*offset)(const void *userdata, int64_t wall_usec);
        const void *userdata;
} LocalTime;

typedef struct ReminderRules {
        int64_t reminder_after, recall_after; /* µs of waiting; 0: never */
        int64_t patience;                     /* the longest a reminder waits for the usual hour */
        unsigned quiet_from, quiet_until;     /* minutes of the local day; the same: never quiet */
        unsigned default_hour;                /* for recipients without habits */
} ReminderRules;

typedef struct ReminderFacts {
        int64_t since;    /* since when it waits, wall µs */
        int64_t reminded; /* when that was sent; 0: not yet */
        int64_t recalled; /* when the recall was requested; 0: not yet */
        unsigned usual_hour;
} ReminderFacts;

typedef enum ReminderAct { REMINDER_NOTHING, REMINDER_REMIND, REMINDER_RECALL } ReminderAct;

typedef struct ReminderDecision {
        ReminderAct act;
        int64_t due;  /* when the threshold of this act was reached */
        int64_t look; /* when to ask again, after the act is done; REMINDER_NEVER */
} ReminderDecision;

/* The recall takes precedence: a reminder that could not be sent before it is not sent after it. The
 * reminder waits for the usual hour, unless that would be later than `patience` or the recall; then it is
 * sent as soon as it is not quiet. A recall request goes to the backend only and ignores quiet hours. */
ReminderDecision reminder_decide(const ReminderRules *rules, const ReminderFacts *facts,
                                 const LocalTime *local, int64_t now);

/* The hour of the day (0 … 23) at which to send: the one around which most collections lie, the default when
 * nothing is known. An hour that is quiet all through is replaced by the nearest one that is not, the earlier
 * of two. */
unsigned reminder_usual_hour(const uint8_t habit[HABIT_HOURS], const ReminderRules *rules);
/* One more collection at this hour. Older ones decay, so that a habit may change. */
void habit_count(uint8_t habit[HABIT_HOURS], unsigned hour);
unsigned local_hour(const LocalTime *local, int64_t wall_usec);
