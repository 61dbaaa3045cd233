/* SPDX-License-Identifier: Apache-2.0 */
#include "core/reminder.h"
#include "base/clock.h"
#include "base/macros.h"

#define MINUTE_USEC ((int64_t)60 * (int64_t)USEC_PER_SEC)
#define DAY_MINUTES 1440
/* Two days of hours and the ends of quiet times, with room for the days on which clocks are put back. */
#define STEPS_MAX 128
/* Collections kept in a habit: about half a year's for one person. */
#define HABIT_MAX 32

static int64_t floor_div(int64_t a, int64_t b) {
        return a / b - (a % b < 0);
}

/* The minute of the local day, and the offset within it. */
static unsigned local_minute(const LocalTime *local, int64_t wall, int64_t *ret_inside) {
        int64_t t = wall + local->offset(local->userdata, wall) * (int64_t)USEC_PER_SEC;
        int64_t minutes = floor_div(t, MINUTE_USEC);

        *ret_inside = t - minutes * MINUTE_USEC;
        return (unsigned)(minutes - floor_div(minutes, DAY_MINUTES) * DAY_MINUTES);
}

unsigned local_hour(const LocalTime *local, int64_t wall_usec) {
        int64_t inside;

        return local_minute(local, wall_usec, &inside) / 60;
}

static bool is_quiet(const ReminderRules *rules, unsigned minute) {
        if (rules->quiet_from <= rules->quiet_until)
                return minute >= rules->quiet_from && minute < rules->quiet_until;
        return minute >= rules->quiet_from || minute < rules->quiet_until;
}

/* Minutes to the next moment at which the result may change: a new hour, the end of the quiet time. */
static unsigned to_next_border(const ReminderRules *rules, unsigned minute) {
        unsigned hour = 60 - minute % 60, end = (rules->quiet_until + DAY_MINUTES - minute) % DAY_MINUTES;

        return end > 0 && end < hour ? end : hour;
}

/* The first moment from `from` on that is not quiet and, unless hour is negative, lies in that hour.
 * Iterates over these moments, so that hours which a day lacks or has twice need no special case. */
static int64_t first_allowed(const ReminderRules *rules, const LocalTime *local, int hour, int64_t from) {
        int64_t t = from;

        for (int i = 0; i < STEPS_MAX; i++) {
                int64_t inside;
                unsigned minute = local_minute(local, t, &inside);
                if (!is_quiet(rules, minute) && (hour < 0 || minute / 60 == (unsigned)hour))
                        return t;
                t += to_next_border(rules, minute) * MINUTE_USEC - inside;
        }
        return REMINDER_NEVER;
}

static int64_t after(int64_t since, int64_t wait) {
        return wait <= 0 ? REMINDER_NEVER : since > REMINDER_NEVER - wait ? REMINDER_NEVER : since + wait;
}

/* When to send the reminder. */
static int64_t reminder_moment(const ReminderRules *rules, const ReminderFacts *facts, const LocalTime *local,
                               int64_t due, int64_t recall, int64_t now) {
        int64_t from = MAX(due, now);
        int64_t t = first_allowed(rules, local, (int)facts->usual_hour, from);

        if (t > after(due, rules->patience) || t >= recall)
                t = first_allowed(rules, local, -1, from);
        return t < recall ? t : REMINDER_NEVER;
}

ReminderDecision reminder_decide(const ReminderRules *rules, const ReminderFacts *facts,
                                 const LocalTime *local, int64_t now) {
        int64_t recall = facts->recalled ? REMINDER_NEVER : after(facts->since, rules->recall_after);
        int64_t remind = facts->reminded || facts->recalled ? REMINDER_NEVER
                                                            : after(facts->since, rules->reminder_after);

        if (recall <= now)
                return (ReminderDecision){.act = REMINDER_RECALL, .due = recall, .look = REMINDER_NEVER};
        if (remind == REMINDER_NEVER)
                return (ReminderDecision){.act = REMINDER_NOTHING, .due = recall, .look = recall};
        int64_t moment = reminder_moment(rules, facts, local, remind, recall, now);
        if (moment <= now)
                return (ReminderDecision){.act = REMINDER_REMIND, .due = remind, .look = recall};
        return (ReminderDecision){.act = REMINDER_NOTHING, .due = remind, .look = MIN(moment, recall)};
}

/* --- habits --- */

static bool hour_is_quiet(const ReminderRules *rules, unsigned hour) {
        for (unsigned minute = hour * 60; minute < hour * 60 + 60; minute++)
                if (!is_quiet(rules, minute))
                        return false;
        return true;
}

static unsigned not_quiet(const ReminderRules *rules, unsigned hour) {
        for (unsigned i = 0; i <= HABIT_HOURS / 2; i++) {
                unsigned before = (hour + HABIT_HOURS - i) % HABIT_HOURS, behind = (hour + i) % HABIT_HOURS;
                if (!hour_is_quiet(rules, before))
                        return before;
                if (!hour_is_quiet(rules, behind))
                        return behind;
        }
        return hour;
}

unsigned reminder_usual_hour(const uint8_t habit[HABIT_HOURS], const ReminderRules *rules) {
        unsigned best = rules->default_hour, most = 0;

        /* Neighbours count half: 17:55 and 18:05 are one habit. Ties go to the hour that the default comes to
         * first. */
        for (unsigned i = 0; i < HABIT_HOURS; i++) {
                unsigned h = (rules->default_hour + i) % HABIT_HOURS;
                unsigned weight = 2U * habit[h] + habit[(h + 1) % HABIT_HOURS] +
                                  habit[(h + HABIT_HOURS - 1) % HABIT_HOURS];
                if (habit[h] && weight > most) {
                        most = weight;
                        best = h;
                }
        }
        return not_quiet(rules, best);
}

void habit_count(uint8_t habit[HABIT_HOURS], unsigned hour) {
        unsigned all = 0;

        for (unsigned i = 0; i < HABIT_HOURS; i++)
                all += habit[i];
        for (unsigned i = 0; all >= HABIT_MAX && i < HABIT_HOURS; i++)
                habit[i] = (uint8_t)(habit[i] / 2);
        if (hour < HABIT_HOURS)
                habit[hour]++;
}
