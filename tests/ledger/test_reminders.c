/* SPDX-License-Identifier: Apache-2.0 */
/* Reminders that have been sent, habits and settings in the ledger, and the step from a ledger without them.
 */
#include "ledger/migrations.h"
#include "ledger/codes.h"
#include "ledger/events.h"
#include "ledger/parcels.h"
#include "ledger/people.h"
#include "ledger/reminders.h"
#include "ledger/settings.h"
#include "support.h"

#define DAY_USEC (INT64_C(86400) * 1000000)

typedef struct Rows {
        ReminderRow rows[8];
        size_t n;
} Rows;

static int note(void *userdata, const ReminderRow *row) {
        Rows *all = userdata;

        assert_true(all->n < ARRAY_SIZE(all->rows));
        all->rows[all->n++] = *row;
        return 0;
}

static Rows rows_of(Ledger *l, unsigned limit) {
        Rows all = {0};

        assert_int_equal(ledger_reminder_each(l, limit, note, &all), 0);
        return all;
}

/* Requirement: E3 */
static void test_reminder_begins_when_a_parcel_is_stored_and_goes_with_it(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        int64_t id = deposit(l, "1", 1, "AAAAAA");
        Rows all = rows_of(l, 8);

        assert_int_equal(all.n, 1);
        assert_int_equal(all.rows[0].parcel, id);
        assert_int_equal(all.rows[0].look, 0);
        assert_int_equal(all.rows[0].since, 0);
        assert_int_equal(all.rows[0].reminded, 0);
        assert_int_equal(collect(l, (uint64_t)id), 0);
        assert_int_equal(number(l, "SELECT count(*) FROM reminder"), 0);
        assert_int_equal(ledger_reminder_put(l, &all.rows[0]), -ENOENT);
}

/* Requirement: E3, E4 */
static void test_reminder_what_was_sent_survives_and_comes_in_order(void **state) {
        Place *p = *state;
        Rows all;

        for (unsigned i = 1; i <= 5; i++) {
                char code[8];
                snprintf(code, sizeof(code), "%06u", i);
                int64_t id = deposit(p->ledger, "1", i, code);
                const ReminderRow row = {.parcel = (uint64_t)id,
                                         .since = 100 + i,
                                         .look = i == 5 ? INT64_MAX : 1000 - i,
                                         .reminded = i == 2 ? 77 : 0,
                                         .recalled = i == 5 ? 88 : 0,
                                         .synced = i == 1};
                assert_int_equal(ledger_reminder_put(p->ledger, &row), 0);
        }
        place_close(p);
        place_open(p);
        all = rows_of(p->ledger, 3);
        assert_int_equal(all.n, 3);
        assert_int_equal(all.rows[0].look, 996);
        assert_int_equal(all.rows[2].look, 998);
        assert_int_equal(all.rows[2].reminded, 77);
        assert_int_equal(all.rows[2].since, 102);
        all = rows_of(p->ledger, 8);
        assert_int_equal(all.n, 4); /* the last one has all behind it … */
        assert_int_equal(ledger_reminder_look_again(p->ledger), 0);
        all = rows_of(p->ledger, 8);
        assert_int_equal(all.n, 4); /* … for good */
        assert_int_equal(all.rows[0].look, 0);
        /* Only what was written by an unsynchronised clock. */
        assert_int_equal(ledger_reminder_shift(p->ledger, 1000), 0);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM reminder WHERE since > 1000"), 4);
        assert_int_equal(ledger_reminder_shift(p->ledger, 1000), 0);
        assert_int_equal(number(p->ledger, "SELECT max(since) FROM reminder"), 1105);
}

static void set_state(Ledger *l, uint64_t id, ParcelState state) {
        _cleanup_parcel_ ParcelRow p = {0};

        assert_int_equal(ledger_parcel_get(l, id, &p), 0);
        p.state = state;
        assert_int_equal(ledger_parcel_update(l, &p), 0);
}

static void test_reminder_found_again_keeps_what_was_sent(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        uint64_t id = (uint64_t)deposit(l, "1", 1, "AAAAAA");
        const ReminderRow row = {.parcel = id, .since = 100, .look = INT64_MAX, .reminded = 77};
        Rows all;

        assert_int_equal(ledger_reminder_put(l, &row), 0);
        set_state(l, id, PARCEL_UNVERIFIED);
        assert_int_equal(rows_of(l, 8).n, 0);
        set_state(l, id, PARCEL_STORED);
        all = rows_of(l, 8);
        assert_int_equal(all.n, 1);
        assert_int_equal(all.rows[0].look, 0);
        assert_int_equal(all.rows[0].reminded, 77);
        assert_int_equal(all.rows[0].since, 100);
}

static void test_reminder_of_a_former_run_waits_since_it_was_stored(void **state) {
        Ledger *l = ((Place *)*state)->ledger;

        assert_true(deposit(l, "1", 1, "AAAAAA") > 0); /* stored at(1) */
        assert_int_equal(ledger_reminder_adopt(l, at(1000).wall_usec), 0);
        assert_int_equal(rows_of(l, 8).rows[0].since, at(1).wall_usec);
        assert_true(deposit(l, "2", 1, "BBBBBB") > 0);
        assert_int_equal(ledger_reminder_adopt(l, 5), 0); /* the clock was ahead when it was stored */
        assert_int_equal(number(l, "SELECT since FROM reminder ORDER BY parcel DESC"), 5);
}

/* Requirement: F16, E3 */
static void test_reminder_of_a_loose_parcel_is_shifted_with_it(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        uint64_t id = (uint64_t)deposit(l, "1", 1, "AAAAAA");
        _cleanup_parcel_ ParcelRow p = {0};

        assert_int_equal(ledger_parcel_get(l, id, &p), 0);
        assert_int_equal(p.loose, 0);
        p.loose = LOOSE_STORED | LOOSE_EXPIRES;
        assert_int_equal(ledger_parcel_update(l, &p), 0);
        parcel_row_done(&p);
        assert_int_equal(ledger_parcel_get(l, id, &p), 0);
        assert_int_equal(p.loose, LOOSE_STORED | LOOSE_EXPIRES);
        assert_true(deposit(l, "2", 1, "BBBBBB") > 0);
        assert_int_equal(ledger_reminder_adopt(l, at(1000).wall_usec), 0);
        assert_int_equal(ledger_reminder_shift(l, 5), 0);
        assert_int_equal(rows_of(l, 8).rows[0].since, at(1).wall_usec + 5);
        assert_int_equal(rows_of(l, 8).rows[1].since, at(1).wall_usec);
}

/* Requirement: F16 */
static void test_migration_of_an_unsynchronised_ledger_has_its_times_shifted(void **state) {
        Place *p = *state;

        for (int synced = 0; synced < 2; synced++) {
                const Record record = {
                        .actor = "lockerd", .type = "slot.enabled", .subject = "slot:1", .data = "{}"};
                Now now = at(50);
                now.synced = synced;
                assert_true(deposit(p->ledger, synced ? "2" : "1", 1, synced ? "BBBBBB" : "AAAAAA") > 0);
                begin(p->ledger);
                assert_int_equal(ledger_record(p->ledger, &record, &now, NULL), 0);
                commit(p->ledger);
                place_undo(p, UNDO_LINEAGE UNDO_CLOCK "PRAGMA user_version = 7");
                place_open(p);
                assert_int_equal(number(p->ledger, "SELECT max(loose) FROM parcel"), synced ? 0 : 3);
        }
}

/* Requirement: E5 */
static void test_habit_is_counted_by_phone_or_person(void **state) {
        Place *p = *state;
        ParcelRow a = {.phone = (char *)"+49 171 555 9876"}, b = {.phone = (char *)"0171 555 1111"},
                  nobody = {0};
        uint8_t hours[HABIT_HOURS];

        assert_int_equal(ledger_habit_get(p->ledger, &a, hours), 0);
        assert_int_equal(hours[18], 0);
        for (int i = 0; i < 3; i++)
                assert_int_equal(ledger_habit_count(p->ledger, &a, 18, 5 * DAY_USEC + 1), 0);
        assert_int_equal(ledger_habit_count(p->ledger, &b, 9, DAY_USEC), 0);
        assert_int_equal(ledger_habit_count(p->ledger, &nobody, 9, DAY_USEC), 0);
        a.phone = (char *)"+491715559876"; /* the same, written otherwise */
        assert_int_equal(ledger_habit_get(p->ledger, &a, hours), 0);
        assert_int_equal(hours[18], 3);
        assert_int_equal(hours[9], 0);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM habit"), 2);
        assert_int_equal(number(p->ledger, "SELECT changed FROM habit ORDER BY id"), 5 * DAY_USEC);
        /* Neither the number nor a part of it is in the file. */
        assert_false(file_contains(p->path, "5559876", 7));
        assert_int_equal(ledger_habit_forget(p->ledger, 2 * DAY_USEC), 0);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM habit"), 1);
}

/* Requirement: E5, C6 */
static void test_habit_is_kept_on_enrolment_and_erased_with_the_person(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        ParcelRow p = {.phone = (char *)"+49 171 555 9876"};
        PersonRow person = {
                .kind = PERSON_RECIPIENT, .name = (char *)"Erika", .phone = p.phone, .enrolled = 1};
        uint8_t hours[HABIT_HOURS];

        assert_int_equal(ledger_habit_count(l, &p, 18, DAY_USEC), 0);
        assert_int_equal(ledger_person_insert(l, &person), 0);
        p.person = person.id;
        assert_int_equal(ledger_habit_get(l, &p, hours), 0);
        assert_int_equal(hours[18], 1);
        assert_int_equal(ledger_habit_count(l, &p, 18, DAY_USEC), 0);
        assert_int_equal(ledger_habit_get(l, &p, hours), 0);
        assert_int_equal(hours[18], 2);
        assert_int_equal(number(l, "SELECT count(*) FROM habit"), 2);
        assert_int_equal(ledger_person_revoke(l, person.id, 2), 0);
        assert_int_equal(number(l, "SELECT count(*) FROM habit"), 0);
}

static void test_setting_is_replaced_and_survives(void **state) {
        Place *p = *state;
        int64_t value = 0;

        assert_int_equal(ledger_setting_get(p->ledger, "recall-after", &value), -ENOENT);
        assert_int_equal(ledger_setting_set(p->ledger, "recall-after", 5), 0);
        assert_int_equal(ledger_setting_set(p->ledger, "recall-after", 0), 0);
        place_close(p);
        place_open(p);
        assert_int_equal(ledger_setting_get(p->ledger, "recall-after", &value), 0);
        assert_int_equal(value, 0);
}

/* Requirement: E3 */
static void test_migration_from_version_2_reminds_of_what_is_inside(void **state) {
        Place *p = *state;
        Rows all;

        int64_t id = deposit(p->ledger, "12", 1, "ABCDEF"), other = deposit(p->ledger, "13", 1, "ABCDEG");
        set_state(p->ledger, (uint64_t)other, PARCEL_RECALLED);
        /* As the second version left it. */
        place_undo(p,
                   UNDO_ERRANDS "DROP TRIGGER reminder_begin; DROP TRIGGER habit_of_the_revoked; DROP TABLE "
                                "reminder; "
                                "DROP TABLE habit; DROP TABLE setting; DROP INDEX movement_session; DROP "
                                "INDEX parcel_history_named; PRAGMA "
                                "user_version = 2");
        place_open(p);
        assert_int_equal(number(p->ledger, "PRAGMA user_version"), ledger_n_migrations);
        assert_int_equal(ledger_reminder_adopt(p->ledger, at(99).wall_usec), 0);
        all = rows_of(p->ledger, 8);
        assert_int_equal(all.n, 1);
        assert_int_equal(all.rows[0].parcel, id);
        assert_int_equal(all.rows[0].since, at(1).wall_usec);
        assert_true(ledger_code_matches(p->ledger, (uint64_t)id, "ABCDEF"));
        assert_int_equal(collect(p->ledger, (uint64_t)id), 0);
        place_close(p);
        assert_int_equal(ledger_check_file(p->path, NULL), 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_ledger, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_reminder_begins_when_a_parcel_is_stored_and_goes_with_it),
                TEST(test_reminder_what_was_sent_survives_and_comes_in_order),
                TEST(test_reminder_found_again_keeps_what_was_sent),
                TEST(test_reminder_of_a_former_run_waits_since_it_was_stored),
                TEST(test_reminder_of_a_loose_parcel_is_shifted_with_it),
                TEST(test_migration_of_an_unsynchronised_ledger_has_its_times_shifted),
                TEST(test_habit_is_counted_by_phone_or_person),
                TEST(test_habit_is_kept_on_enrolment_and_erased_with_the_person),
                TEST(test_setting_is_replaced_and_survives),
                TEST(test_migration_from_version_2_reminds_of_what_is_inside),
        };

        return cmocka_run_group_tests_name("ledger reminders", tests, NULL, NULL);
}
