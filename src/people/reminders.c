/* SPDX-License-Identifier: Apache-2.0 */
/* Reminders and recall requests for parcels that wait too long (E3, E4), at the hour at which their recipient
 * usually comes (E5). What was sent is in the ledger, in the transaction that sends it: nothing twice,
 * nothing forgotten. A recall request changes nothing here: the parcel stays collectable until the backend
 * recalls it or a courier takes it, and is not sent by a calendar that nobody vouches for. */
#include "base/log.h"
#include "ledger/parcels.h"
#include "ledger/reminders.h"
#include "ledger/settings.h"
#include "people/reminders.h"
#include "base/text.h"
#include "core/reminder.h"
#include "people/people.h"
#include "people/people_struct.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define BATCH 32
#define LOOK_EVERY_USEC \
        (60 * USEC_PER_SEC) /* also finds what others have stored, and a clock that was changed */
#define RETRY_USEC       (60 * USEC_PER_SEC)
#define UNREADABLE_USEC  ((int64_t)3600 * (int64_t)USEC_PER_SEC)
#define DAY_USEC         ((int64_t)86400 * (int64_t)USEC_PER_SEC)
#define PATIENCE_USEC    DAY_USEC /* every hour of the day comes within a day */
#define HABIT_OFF_USEC   ((int64_t)600 * (int64_t)USEC_PER_SEC)
#define HABIT_KEPT_USEC  (400 * DAY_USEC) /* of people who have not come for so long */
#define THRESHOLD_MAX    (INT64_C(366) * 86400)
#define SETTING_REMINDER "reminder-after" /* µs; what the backend has set */
#define SETTING_RECALL   "recall-after"

/* The daemon has set TZ to the cabinet's zone. The hour of the day is that of the clock hardware, as long as
 * it is plausible: what the machine was off is missing in the counted time. */
static int zone_offset(const void *userdata, int64_t wall) {
        const Records *rec = userdata;
        int64_t ahead = rec->calendar.clock.ahead;
        time_t t = (time_t)((wall + ahead) / (int64_t)USEC_PER_SEC);
        struct tm tm;

        return (localtime_r(&t, &tm) ? (int)tm.tm_gmtoff : 0) + (int)(ahead / (int64_t)USEC_PER_SEC);
}

static LocalTime local_time(const People *p) {
        return (LocalTime){.offset = zone_offset, .userdata = p->records};
}

static int threshold(People *p, const char *name, uint64_t configured, int64_t *ret) {
        int r = ledger_setting_get(p->ledger, name, ret);

        if (r != -ENOENT)
                return r;
        *ret = (int64_t)configured;
        return 0;
}

static int load_rules(People *p) {
        const ReminderSettings *s = &p->settings->reminders;
        ReminderRules rules = {.patience = PATIENCE_USEC,
                               .quiet_from = s->quiet_from,
                               .quiet_until = s->quiet_until,
                               .default_hour = s->default_hour};

        int r = threshold(p, SETTING_REMINDER, s->reminder_after_usec, &rules.reminder_after);
        if (r >= 0)
                r = threshold(p, SETTING_RECALL, s->recall_after_usec, &rules.recall_after);
        if (r >= 0)
                p->reminders.rules = rules;
        return r;
}

/* Commits when r is not negative, else rolls back. */
static int finish(People *p, int r) {
        if (r >= 0)
                return records_commit(p->records);
        records_rollback(p->records);
        return r;
}

int reminders_begin(People *p) {
        return load_rules(p);
}

int reminders_adopt(People *p) {
        Moment now = records_moment(p->records);
        int r = records_begin(p->records);

        if (r < 0)
                return r;
        /* The configuration, the zone or the clock may be another now. */
        r = ledger_reminder_adopt(p->ledger, now.wall);
        if (r >= 0)
                r = ledger_reminder_look_again(p->ledger);
        if (r >= 0 && now.vouched)
                r = ledger_habit_forget(p->ledger, now.wall - HABIT_KEPT_USEC);
        return finish(p, r);
}

static int send(People *p, const ParcelRow *parcel, const ReminderDecision *d, unsigned usual_hour) {
        bool recall = d->act == REMINDER_RECALL;
        json_t *data = data_parcel(parcel);
        _cleanup_erase_ char *secret = NULL;
        char subject[SUBJECT_MAX];

        if (!data || json_object_set_new(data, "usual_hour", json_integer(usual_hour)) < 0 ||
            json_object_set_new(data, "stored", json_integer((json_int_t)parcel->stored)) < 0 ||
            json_object_set_new(data, "due", json_integer((json_int_t)d->due)) < 0) {
                json_decref(data);
                return -ENOMEM;
        }
        /* Whom to remind. */
        if (parcel->phone && *parcel->phone) {
                json_t *hidden = json_pack("{s:s}", "phone", parcel->phone);
                secret = hidden ? json_dumps(hidden, JSON_COMPACT) : NULL;
                json_decref(hidden);
                if (!secret) {
                        json_decref(data);
                        return -ENOMEM;
                }
        }
        snprintf(subject, sizeof(subject), "parcel:%llu", (unsigned long long)parcel->id);
        return records_add(p->records, NULL,
                           recall ? "stored for longer than the second threshold"
                                  : "stored for longer than the first threshold",
                           recall ? "parcel.recall-requested" : "parcel.reminder", subject, data, secret);
}

static int decide(People *p, const ParcelRow *parcel, ReminderRow *row, const Moment *now) {
        const LocalTime local = local_time(p);
        uint8_t habit[HABIT_HOURS];
        int r = ledger_habit_get(p->ledger, parcel, habit);

        if (r < 0)
                return r;
        const ReminderFacts facts = {.since = row->since,
                                     .reminded = row->reminded,
                                     .recalled = row->recalled,
                                     .usual_hour = reminder_usual_hour(habit, &p->reminders.rules)};
        ReminderDecision d = reminder_decide(&p->reminders.rules, &facts, &local, now->wall);
        row->look = d.look;
        switch (d.act) {
        case REMINDER_NOTHING:
                return 0;
        case REMINDER_REMIND:
                row->reminded = now->wall;
                break;
        case REMINDER_RECALL:
                if (!now->vouched) { /* a correction has it looked at again */
                        row->look = now->wall + DAY_USEC;
                        return 0;
                }
                row->recalled = now->wall;
                break;
        }
        return send(p, parcel, &d, facts.usual_hour);
}

static int look_at(People *p, ReminderRow *row, const Moment *now) {
        _cleanup_parcel_ ParcelRow parcel = {0};
        int r = ledger_parcel_get(p->ledger, row->parcel, &parcel);

        if (r < 0 && r != -EUCLEAN)
                return r;
        /* New, or stored while the clock was ahead: it waits from now on, late rather than never. */
        if (!row->since || row->since > now->wall) {
                row->since = now->wall;
                row->synced = now->vouched;
        }
        if (r == -EUCLEAN) {
                /* The others are not to wait for it. */
                log_error_errno(r, "Parcel %llu cannot be read; no reminder for it",
                                (unsigned long long)row->parcel);
                row->look = now->wall + UNREADABLE_USEC;
        } else if (parcel.state != PARCEL_STORED) {
                row->look = REMINDER_NEVER; /* should it be stored again, the ledger looks at it again */
        } else {
                r = decide(p, &parcel, row, now);
                if (r < 0)
                        return r;
        }
        return ledger_reminder_put(p->ledger, row);
}

typedef struct Batch {
        ReminderRow rows[BATCH];
        size_t n;
} Batch;

static int gather(void *userdata, const ReminderRow *row) {
        Batch *b = userdata;

        b->rows[b->n++] = *row;
        return b->n == BATCH;
}

static int work(People *p, const Now *now) {
        Moment m = records_moment(p->records);
        Batch batch = {0};
        size_t due = 0;
        int r = ledger_reminder_each(p->ledger, BATCH, gather, &batch);

        if (r < 0)
                return r;
        while (due < batch.n && batch.rows[due].look <= m.wall)
                due++;
        if (!due) {
                uint64_t wait = batch.n ? (uint64_t)(batch.rows[0].look - m.wall) : USEC_INFINITY;
                p->reminders.at = now->boot_usec + MIN(wait, LOOK_EVERY_USEC);
                return 0;
        }
        r = records_begin(p->records);
        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < due; i++)
                r = look_at(p, &batch.rows[i], &m);
        /* `at` stays: the next turn asks what is next. */
        return finish(p, r);
}

void reminders_tick(People *p, const Now *now) {
        if (!p->settings->reminders.enabled)
                return;
        /* Everything is looked at again when the calendar was put right. */
        if (p->reminders.followed != p->records->calendar.followed) {
                p->reminders.followed = p->records->calendar.followed;
                p->reminders.at = 0;
        }
        if (now->boot_usec < p->reminders.at)
                return;
        p->reminders.at = now->boot_usec;
        int r = work(p, now);
        if (r < 0) {
                p->reminders.at = now->boot_usec + RETRY_USEC;
                log_error_errno(r, "Cannot look after the reminders; trying again");
        }
}

uint64_t reminders_next_deadline(const People *p) {
        return p->settings->reminders.enabled ? p->reminders.at : USEC_INFINITY;
}

int people_parcel_moved(People *p, const ParcelRow *parcel) {
        const LocalTime local = local_time(p);
        Moment now = records_moment(p->records);
        int64_t shown = now.wall + p->records->calendar.clock.ahead, off = people_now(p).wall_usec - shown;

        if (parcel->state == PARCEL_STORED)
                p->reminders.at = 0;
        if (parcel->state != PARCEL_COLLECTED)
                return 0;
        /* No habits by a calendar that shows another hour than the one that is believed. */
        return off > -HABIT_OFF_USEC && off < HABIT_OFF_USEC
                       ? ledger_habit_count(p->ledger, parcel, local_hour(&local, now.wall), now.wall)
                       : 0;
}

int people_set_thresholds(People *p, int64_t reminder_s, int64_t recall_s, const char *actor) {
        ReminderRules rules = p->reminders.rules;

        if (reminder_s > THRESHOLD_MAX || recall_s > THRESHOLD_MAX || (reminder_s < 0 && recall_s < 0))
                return LOCKER_E_INVALID_ARGUMENT;
        if (reminder_s >= 0)
                rules.reminder_after = reminder_s * (int64_t)USEC_PER_SEC;
        if (recall_s >= 0)
                rules.recall_after = recall_s * (int64_t)USEC_PER_SEC;
        if (rules.reminder_after && rules.recall_after && rules.recall_after <= rules.reminder_after)
                return LOCKER_E_INVALID_ARGUMENT;
        int r = records_begin(p->records);
        if (r < 0)
                return r;
        if (reminder_s >= 0)
                r = ledger_setting_set(p->ledger, SETTING_REMINDER, rules.reminder_after);
        if (r >= 0 && recall_s >= 0)
                r = ledger_setting_set(p->ledger, SETTING_RECALL, rules.recall_after);
        if (r >= 0)
                r = ledger_reminder_look_again(p->ledger);
        if (r >= 0)
                r = records_add(p->records, actor, NULL, "thresholds.set", "cabinet",
                                json_pack("{s:I, s:I}", "reminder",
                                          (json_int_t)(rules.reminder_after / (int64_t)USEC_PER_SEC),
                                          "recall", (json_int_t)(rules.recall_after / (int64_t)USEC_PER_SEC)),
                                NULL);
        r = finish(p, r);
        if (r < 0)
                return r;
        p->reminders.rules = rules;
        p->reminders.at = 0;
        return 0;
}
