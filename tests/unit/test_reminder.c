/* SPDX-License-Identifier: Apache-2.0 */
/* When reminders and recall requests are due: usual hours, quiet hours, midnight, the days on which clocks
 * are changed. */
#include "base/clock.h"
#include "base/macros.h"
#include "core/reminder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SECOND ((int64_t)USEC_PER_SEC)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
/* 2026-03-02 00:00 UTC, a Monday */
#define MONDAY (INT64_C(1772409600) * SECOND)
/* Clocks in Berlin: 2026-03-29 01:00 UTC from +1 h to +2 h; 2026-10-25 01:00 UTC back. */
#define SPRING (INT64_C(1774746000) * SECOND)
#define AUTUMN (INT64_C(1792890000) * SECOND)

static int utc(const void *userdata, int64_t wall) {
        return 0;
}

static int berlin(const void *userdata, int64_t wall) {
        return wall >= SPRING && wall < AUTUMN ? 7200 : 3600;
}

static int kathmandu(const void *userdata, int64_t wall) {
        return 20700; /* +5:45 */
}

static int samoa(const void *userdata, int64_t wall) {
        return -39600;
}

static const LocalTime in_utc = {.offset = utc}, in_berlin = {.offset = berlin},
                       in_kathmandu = {.offset = kathmandu}, in_samoa = {.offset = samoa};

static ReminderRules rules_of(unsigned from, unsigned until) {
        return (ReminderRules){.reminder_after = DAY,
                               .recall_after = 3 * DAY,
                               .patience = DAY,
                               .quiet_from = from,
                               .quiet_until = until,
                               .default_hour = 17};
}

typedef struct Case {
        const char *what;
        const LocalTime *local;
        int64_t since;
        unsigned usual_hour, quiet_from, quiet_until;
        int64_t due; /* when it goes out; REMINDER_NEVER: the recall comes first */
} Case;

/* Asks as the daemon does: at the moments that the answers name, with a little delay. */
static int64_t follow(const ReminderRules *rules, const ReminderFacts *facts, const LocalTime *local,
                      ReminderAct *ret_act) {
        int64_t now = facts->since;

        for (int i = 0; i < 10; i++) {
                ReminderDecision d = reminder_decide(rules, facts, local, now);
                if (d.act != REMINDER_NOTHING || d.look == REMINDER_NEVER) {
                        *ret_act = d.act;
                        return now;
                }
                assert_true(d.look > now);
                now = d.look;
        }
        fail_msg("it never comes to anything");
        return 0;
}

/* Requirement: E3, E5 */
static void test_reminder_is_sent_once_at_the_usual_hour(void **state) {
        static const Case cases[] = {
                {"later the same day", &in_utc, MONDAY + 10 * HOUR, 17, 21 * 60, 8 * 60,
                 MONDAY + DAY + 17 * HOUR},
                {"in the usual hour: at once", &in_utc, MONDAY + 17 * HOUR + 30 * MINUTE, 17, 21 * 60, 8 * 60,
                 MONDAY + DAY + 17 * HOUR + 30 * MINUTE},
                {"just missed: the next day", &in_utc, MONDAY + 18 * HOUR, 17, 21 * 60, 8 * 60,
                 MONDAY + 2 * DAY + 17 * HOUR},
                {"over midnight", &in_utc, MONDAY + 23 * HOUR, 9, 21 * 60, 8 * 60,
                 MONDAY + 2 * DAY + 9 * HOUR},
                {"at midnight where that is not quiet", &in_utc, MONDAY + 23 * HOUR, 0, 0, 0,
                 MONDAY + 2 * DAY},
                {"an hour that is quiet at first", &in_utc, MONDAY + 10 * HOUR, 8, 21 * 60, 8 * 60 + 30,
                 MONDAY + 2 * DAY + 8 * HOUR + 30 * MINUTE},
                {"quiet by day", &in_utc, MONDAY + 10 * HOUR, 3, 9 * 60, 18 * 60,
                 MONDAY + 2 * DAY + 3 * HOUR},
                {"Kathmandu's quarters", &in_kathmandu, MONDAY + 6 * HOUR, 17, 21 * 60, 8 * 60,
                 MONDAY + DAY + 11 * HOUR + 15 * MINUTE},
                {"the other side of the date line", &in_samoa, MONDAY + 10 * HOUR, 17, 21 * 60, 8 * 60,
                 MONDAY + 2 * DAY + 4 * HOUR},
                {"the day with 23 hours", &in_berlin, SPRING - DAY + 2 * HOUR, 17, 21 * 60, 8 * 60,
                 SPRING + 14 * HOUR},
                {"the day before it, waiting over the change", &in_berlin, SPRING - 2 * DAY + 20 * HOUR, 9,
                 21 * 60, 8 * 60, SPRING + 6 * HOUR},
                {"the day with 25 hours", &in_berlin, AUTUMN - DAY + 2 * HOUR, 17, 21 * 60, 8 * 60,
                 AUTUMN + 15 * HOUR},
                {"an hour that is there twice: the first one", &in_berlin, AUTUMN - DAY - 3 * HOUR, 2, 0, 0,
                 AUTUMN - HOUR},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const Case *c = &cases[i];
                ReminderRules rules = rules_of(c->quiet_from, c->quiet_until);
                ReminderFacts facts = {.since = c->since, .usual_hour = c->usual_hour};
                ReminderAct act;
                int64_t at = follow(&rules, &facts, c->local, &act);
                if (act != REMINDER_REMIND || at != c->due)
                        fail_msg("%s: act %d, %lld s off", c->what, act, (long long)((at - c->due) / SECOND));
                /* Not again, whenever one asks, also with the clock put back. */
                facts.reminded = at;
                for (int64_t t = c->since - 400 * DAY; t < c->since + 3 * DAY; t += 3 * HOUR)
                        assert_int_equal(reminder_decide(&rules, &facts, c->local, t).act, REMINDER_NOTHING);
                assert_int_equal(reminder_decide(&rules, &facts, c->local, at).look, c->since + 3 * DAY);
        }
}

/* Two in the morning does not exist that day, and the next one is too far away: as soon as it is allowed. */
static void test_reminder_hour_that_the_day_does_not_have_is_not_waited_for(void **state) {
        ReminderRules rules = rules_of(0, 0);
        ReminderFacts facts = {.since = SPRING - 2 * DAY + 2 * HOUR, .usual_hour = 2};
        ReminderAct act;

        assert_int_equal(follow(&rules, &facts, &in_berlin, &act), SPRING - DAY + 2 * HOUR);
        assert_int_equal(act, REMINDER_REMIND);
}

/* Requirement: E3 */
static void test_reminder_is_never_sent_in_quiet_hours(void **state) {
        ReminderRules rules = rules_of(21 * 60, 8 * 60);

        for (int64_t since = MONDAY; since < MONDAY + DAY; since += 7 * MINUTE)
                for (unsigned hour = 0; hour < 24; hour++) {
                        ReminderFacts facts = {.since = since, .usual_hour = hour};
                        for (int64_t now = since; now < since + 3 * DAY; now += 29 * MINUTE) {
                                ReminderDecision d = reminder_decide(&rules, &facts, &in_berlin, now);
                                int64_t minute = (now + HOUR) % DAY / MINUTE;
                                if (d.act == REMINDER_REMIND && (minute >= 21 * 60 || minute < 8 * 60))
                                        fail_msg("sent at minute %d", (int)minute);
                        }
                }
}

/* The power was off at the usual hour: it is not forgotten. */
static void test_reminder_missed_is_sent_as_soon_as_it_may(void **state) {
        ReminderRules rules = rules_of(21 * 60, 8 * 60);
        const ReminderFacts facts = {.since = MONDAY + 10 * HOUR, .usual_hour = 17};
        ReminderDecision d = reminder_decide(&rules, &facts, &in_utc, MONDAY + DAY + 19 * HOUR);

        /* tomorrow at five would be later than a day after the threshold */
        assert_int_equal(d.act, REMINDER_REMIND);
        assert_int_equal(d.due, MONDAY + DAY + 10 * HOUR);
        d = reminder_decide(&rules, &facts, &in_utc, MONDAY + DAY + 22 * HOUR);
        assert_int_equal(d.act, REMINDER_NOTHING);
        assert_int_equal(d.look, MONDAY + 2 * DAY + 8 * HOUR);
}

/* Requirement: E3, E5 */
static void test_reminder_does_not_wait_for_an_hour_behind_the_recall(void **state) {
        ReminderRules rules = rules_of(21 * 60, 8 * 60);
        ReminderFacts facts = {.since = MONDAY + 10 * HOUR, .usual_hour = 17};
        ReminderAct act;

        rules.recall_after = DAY + 4 * HOUR;
        assert_int_equal(follow(&rules, &facts, &in_utc, &act), MONDAY + DAY + 10 * HOUR);
        assert_int_equal(act, REMINDER_REMIND);
        /* Quiet until the recall: there is none. */
        facts.since = MONDAY + 22 * HOUR;
        assert_int_equal(follow(&rules, &facts, &in_utc, &act), facts.since + rules.recall_after);
        assert_int_equal(act, REMINDER_RECALL);
}

/* Requirement: E4 */
static void test_recall_is_requested_once_at_any_hour(void **state) {
        ReminderRules rules = rules_of(21 * 60, 8 * 60);

        for (int64_t since = MONDAY; since < MONDAY + DAY; since += HOUR) {
                ReminderFacts facts = {.since = since, .reminded = since + DAY, .usual_hour = 17};
                ReminderDecision d = reminder_decide(&rules, &facts, &in_berlin, since + 3 * DAY - 1);
                assert_int_equal(d.act, REMINDER_NOTHING);
                assert_int_equal(d.look, since + 3 * DAY);
                d = reminder_decide(&rules, &facts, &in_berlin, d.look);
                assert_int_equal(d.act, REMINDER_RECALL);
                assert_int_equal(d.due, since + 3 * DAY);
                assert_int_equal(d.look, REMINDER_NEVER);
                facts.recalled = since + 3 * DAY;
                facts.reminded = 0; /* not after it either */
                for (int64_t now = since; now < since + 30 * DAY; now += 5 * HOUR) {
                        d = reminder_decide(&rules, &facts, &in_berlin, now);
                        assert_int_equal(d.act, REMINDER_NOTHING);
                        assert_int_equal(d.look, REMINDER_NEVER);
                }
        }
}

static void test_thresholds_of_zero_are_never_reached(void **state) {
        ReminderRules rules = rules_of(0, 0);
        const ReminderFacts facts = {.since = MONDAY, .usual_hour = 17};
        ReminderDecision d;

        rules.recall_after = 0;
        d = reminder_decide(&rules, &(ReminderFacts){.since = MONDAY, .reminded = MONDAY, .usual_hour = 1},
                            &in_utc, MONDAY + 999 * DAY);
        assert_int_equal(d.act, REMINDER_NOTHING);
        assert_int_equal(d.look, REMINDER_NEVER);
        rules.reminder_after = 0;
        d = reminder_decide(&rules, &facts, &in_utc, MONDAY + 999 * DAY);
        assert_int_equal(d.act, REMINDER_NOTHING);
        assert_int_equal(d.look, REMINDER_NEVER);
        rules.recall_after = 1;
        assert_int_equal(reminder_decide(&rules, &facts, &in_utc, MONDAY + 1).act, REMINDER_RECALL);
}

/* Requirement: E5 */
static void test_usual_hour_is_where_most_collections_lie(void **state) {
        static const struct {
                const char *what;
                uint8_t habit[HABIT_HOURS];
                unsigned hour;
        } cases[] = {
                {"nothing is known", {0}, 17},
                {"once", {[12] = 1}, 12},
                {"most often", {[9] = 3, [19] = 5}, 19},
                {"around an hour", {[9] = 4, [17] = 3, [18] = 3, [19] = 1}, 18},
                {"as often: the one that the default comes to first", {[9] = 2, [18] = 2}, 18},
                {"in the quiet evening: the last hour before it", {[22] = 9}, 20},
                {"in the quiet morning: the first hour after it", {[7] = 9}, 8},
                {"over midnight", {[23] = 2, [0] = 2, [1] = 2, [12] = 3}, 20},
        };
        const ReminderRules rules = rules_of(21 * 60, 8 * 60);

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (reminder_usual_hour(cases[i].habit, &rules) != cases[i].hour)
                        fail_msg("%s: %u", cases[i].what, reminder_usual_hour(cases[i].habit, &rules));
}

static void test_usual_hour_is_right_for_any_quiet_time(void **state) {
        for (unsigned from = 0; from < 1440; from += 47)
                for (unsigned until = 0; until < 1440; until += 61)
                        for (unsigned hour = 0; hour < 24; hour++) {
                                const ReminderRules rules = rules_of(from, until);
                                const ReminderFacts facts = {
                                        .since = MONDAY,
                                        .usual_hour =
                                                reminder_usual_hour((uint8_t[HABIT_HOURS]){[0] = 0}, &rules)};
                                ReminderAct act;
                                int64_t at = follow(&rules, &facts, &in_berlin, &act);
                                assert_int_equal(act, REMINDER_REMIND);
                                assert_true(at <= MONDAY + 2 * DAY);
                                assert_int_equal(local_hour(&in_berlin, at), facts.usual_hour);
                        }
}

/* Requirement: E5 */
static void test_habit_follows_a_change_of_habits(void **state) {
        const ReminderRules rules = rules_of(21 * 60, 8 * 60);
        uint8_t habit[HABIT_HOURS] = {0};
        int n = 0;

        for (int i = 0; i < 10000; i++)
                habit_count(habit, 9);
        assert_int_equal(reminder_usual_hour(habit, &rules), 9);
        for (; reminder_usual_hour(habit, &rules) != 19 && n < 100; n++)
                habit_count(habit, 19);
        assert_in_range(n, 5, 30);
        habit_count(habit, 24); /* no such hour */
}

static void test_local_hour_before_1970_and_west(void **state) {
        assert_int_equal(local_hour(&in_utc, -1), 23);
        assert_int_equal(local_hour(&in_samoa, 0), 13);
        assert_int_equal(local_hour(&in_kathmandu, MONDAY), 5);
        assert_int_equal(local_hour(&in_berlin, SPRING - 1), 1);
        assert_int_equal(local_hour(&in_berlin, SPRING), 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reminder_is_sent_once_at_the_usual_hour),
                cmocka_unit_test(test_reminder_hour_that_the_day_does_not_have_is_not_waited_for),
                cmocka_unit_test(test_reminder_is_never_sent_in_quiet_hours),
                cmocka_unit_test(test_reminder_missed_is_sent_as_soon_as_it_may),
                cmocka_unit_test(test_reminder_does_not_wait_for_an_hour_behind_the_recall),
                cmocka_unit_test(test_recall_is_requested_once_at_any_hour),
                cmocka_unit_test(test_thresholds_of_zero_are_never_reached),
                cmocka_unit_test(test_usual_hour_is_where_most_collections_lie),
                cmocka_unit_test(test_usual_hour_is_right_for_any_quiet_time),
                cmocka_unit_test(test_habit_follows_a_change_of_habits),
                cmocka_unit_test(test_local_hour_before_1970_and_west),
        };

        return cmocka_run_group_tests_name("reminder", tests, NULL, NULL);
}
