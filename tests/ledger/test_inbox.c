/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the backend in the ledger, and the step from a ledger that had no room for them. */
#include "ledger/migrations.h"
#include "ledger/codes.h"
#include "ledger/inbox.h"
#include "ledger/parcels.h"
#include "support.h"

static InboxRow announce(const char *id) {
        InboxRow row = {.received = 1000000,
                        .expires = 9000000,
                        .command = (char *)"{\"recipient\":\"Erika Mustermann\"}"};

        snprintf(row.id, sizeof(row.id), "%s", id);
        snprintf(row.name, sizeof(row.name), "announce");
        return row;
}

/* Requirement: F5 */
static void test_inbox_repeated_id_keeps_the_first(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        InboxRow row = announce("a-1"), read = {0};

        row.response_topic = (char *)"backend/answers";
        row.correlation = (char *)"0badcafe";
        assert_int_equal(ledger_inbox_get(l, "a-1", &read), -ENOENT);
        assert_int_equal(ledger_inbox_store(l, &row), 0);
        assert_int_equal(ledger_inbox_store(l, &row), -EEXIST);
        assert_int_equal(ledger_inbox_get(l, "a-1", &read), 0);
        assert_string_equal(read.name, "announce");
        assert_string_equal(read.command, row.command);
        assert_string_equal(read.response_topic, "backend/answers");
        assert_string_equal(read.correlation, "0badcafe");
        assert_int_equal(read.received, 1000000);
        assert_int_equal(read.expires, 9000000);
        assert_false(read.begun);
        assert_null(read.answer);
        inbox_row_done(&read);
}

/* Requirement: F5 */
static void test_inbox_begun_and_answered_once_only(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        InboxRow row = announce("a-2"), read = {0};

        assert_int_equal(ledger_inbox_store(l, &row), 0);
        assert_int_equal(ledger_inbox_begin(l, &row), 0);
        assert_int_equal(ledger_inbox_begin(l, &row), 0); /* a second transaction of it */
        assert_int_equal(ledger_inbox_answer(l, &row, "{\"code\":\"ABC123\"}"), 0);
        assert_int_equal(ledger_inbox_answer(l, &row, "{\"code\":\"XYZ789\"}"), -EEXIST);
        assert_int_equal(ledger_inbox_begin(l, &row), -EEXIST);
        assert_int_equal(ledger_inbox_get(l, "a-2", &read), 0);
        assert_true(read.begun);
        assert_string_equal(read.answer, "{\"code\":\"ABC123\"}");
        inbox_row_done(&read);
}

/* Requirement: F5 */
static void test_inbox_begun_or_answered_without_being_stored_before(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        InboxRow begun = announce("a-5"), answered = announce("a-6"), read = {0};

        assert_int_equal(ledger_inbox_begin(l, &begun), 0);
        assert_int_equal(ledger_inbox_get(l, "a-5", &read), 0);
        assert_true(read.begun);
        assert_null(read.answer);
        assert_string_equal(read.command, begun.command);
        inbox_row_done(&read);
        assert_int_equal(ledger_inbox_answer(l, &answered, "{}"), 0);
        assert_int_equal(ledger_inbox_get(l, "a-6", &read), 0);
        assert_false(read.begun);
        assert_string_equal(read.answer, "{}");
        inbox_row_done(&read);
        /* What is rolled back was never there. */
        answered = announce("a-7");
        assert_int_equal(ledger_begin(l), 0);
        assert_int_equal(ledger_inbox_begin(l, &answered), 0);
        ledger_rollback(l);
        assert_int_equal(ledger_inbox_get(l, "a-7", &read), -ENOENT);
}

static int note_id(void *userdata, const InboxRow *r) {
        char *all = userdata;
        size_t n = strlen(all);

        snprintf(all + n, 100 - n, "%s%s ", r->id, r->begun ? "*" : "");
        return 0;
}

/* Requirement: F5 */
static void test_inbox_open_ones_come_in_order_of_arrival(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        const char *ids[] = {"z", "b", "m", "a"};
        char all[100] = "";

        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
                InboxRow row = announce(ids[i]);
                assert_int_equal(ledger_inbox_store(l, &row), 0);
        }
        InboxRow m = announce("m"), b = announce("b");
        assert_int_equal(ledger_inbox_begin(l, &m), 0);
        assert_int_equal(ledger_inbox_answer(l, &b, "{}"), 0);
        assert_int_equal(ledger_inbox_each_open(l, note_id, all), 0);
        assert_string_equal(all, "z m* a ");
}

/* Requirement: F5 */
static void test_inbox_forgets_answered_ones_after_their_expiry_only(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        InboxRow open = announce("open"), answered = announce("answered"), read = {0};

        assert_int_equal(ledger_inbox_store(l, &open), 0);
        assert_int_equal(ledger_inbox_store(l, &answered), 0);
        assert_int_equal(ledger_inbox_answer(l, &answered, "{}"), 0);
        assert_int_equal(ledger_inbox_forget(l, 9000000), 0);
        assert_int_equal(ledger_inbox_get(l, "answered", &read), 0);
        inbox_row_done(&read);
        assert_int_equal(ledger_inbox_forget(l, 9000001), 1);
        assert_int_equal(ledger_inbox_get(l, "answered", &read), -ENOENT);
        assert_int_equal(ledger_inbox_get(l, "open", &read), 0);
        inbox_row_done(&read);
}

/* Requirement: F16, F5 */
static void test_inbox_remembers_until_when_signed_ones_are_forgotten(void **state) {
        Place *p = *state;
        static const struct {
                const char *id;
                int64_t expires;
                bool is_signed;
        } rows[] = {{"a", 100, true}, {"b", 300, true}, {"c", 500, false}, {"d", 700, true}};
        int64_t until = -1;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                InboxRow row = announce(rows[i].id), read = {0};
                row.expires = rows[i].expires;
                row.is_signed = rows[i].is_signed;
                assert_int_equal(ledger_inbox_answer(p->ledger, &row, "{}"), 0);
                assert_int_equal(ledger_inbox_get(p->ledger, rows[i].id, &read), 0);
                assert_int_equal(read.is_signed, rows[i].is_signed);
                inbox_row_done(&read);
        }
        assert_int_equal(ledger_inbox_forgotten(p->ledger, &until), 0);
        assert_int_equal(until, 0);
        /* One that waits, and is withdrawn, was never here; an answered one stays. */
        InboxRow waits = announce("w");
        assert_int_equal(ledger_inbox_store(p->ledger, &waits), 0);
        assert_int_equal(ledger_inbox_withdraw(p->ledger, "w"), 0);
        assert_int_equal(ledger_inbox_withdraw(p->ledger, "a"), 0);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM inbox"), 4);
        /* A leap forward: what anybody may send without a key does not count. */
        assert_int_equal(ledger_inbox_forget(p->ledger, 600), 3);
        assert_int_equal(ledger_inbox_forgotten(p->ledger, &until), 0);
        assert_int_equal(until, 300);
        /* And back: what is forgotten then is less. */
        InboxRow early = announce("e");
        early.expires = 200;
        early.is_signed = true;
        assert_int_equal(ledger_inbox_answer(p->ledger, &early, "{}"), 0);
        assert_int_equal(ledger_inbox_forget(p->ledger, 250), 1);
        place_close(p);
        place_open(p);
        assert_int_equal(ledger_inbox_forgotten(p->ledger, &until), 0);
        assert_int_equal(until, 300);
}

/* Requirement: F9 */
static void test_inbox_names_and_codes_are_sealed_in_the_file(void **state) {
        Place *p = *state;
        InboxRow row = announce("a-3");

        assert_int_equal(ledger_inbox_store(p->ledger, &row), 0);
        assert_int_equal(ledger_inbox_answer(p->ledger, &row, "{\"code\":\"QX7ZK2\"}"), 0);
        assert_false(file_contains(p->path, "Mustermann", 10));
        assert_false(file_contains(p->path, "QX7ZK2", 6));
        assert_true(file_contains(p->path, "announce", 8)); /* the look itself works */
}

/* Requirement: B4 */
static void test_migration_from_version_1_keeps_what_is_inside(void **state) {
        Place *p = *state;
        InboxRow row = announce("a-4");
        _cleanup_parcel_ ParcelRow parcel = {0};

        int64_t id = deposit(p->ledger, "12", 1, "ABCDEF");
        assert_true(id > 0);
        /* As the first version left it. */
        place_undo(p, UNDO_ERRANDS
                   "DROP TABLE inbox; DROP TRIGGER reminder_begin; DROP TRIGGER habit_of_the_revoked; "
                   "DROP TABLE reminder; DROP TABLE habit; DROP TABLE setting; DROP INDEX "
                   "movement_session; DROP INDEX parcel_history_named; PRAGMA user_version = 1");
        place_open(p);
        assert_int_equal(number(p->ledger, "PRAGMA user_version"), ledger_n_migrations);
        assert_int_equal(ledger_parcel_get(p->ledger, (uint64_t)id, &parcel), 0);
        assert_string_equal(parcel.slot, "12");
        assert_true(ledger_code_matches(p->ledger, (uint64_t)id, "ABCDEF"));
        assert_int_equal(ledger_inbox_store(p->ledger, &row), 0);
        place_close(p);
        assert_consistent(p->path);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_ledger, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_inbox_repeated_id_keeps_the_first),
                TEST(test_inbox_begun_and_answered_once_only),
                TEST(test_inbox_begun_or_answered_without_being_stored_before),
                TEST(test_inbox_open_ones_come_in_order_of_arrival),
                TEST(test_inbox_forgets_answered_ones_after_their_expiry_only),
                TEST(test_inbox_remembers_until_when_signed_ones_are_forgotten),
                TEST(test_inbox_names_and_codes_are_sealed_in_the_file),
                TEST(test_migration_from_version_1_keeps_what_is_inside),
        };

        return cmocka_run_group_tests_name("ledger inbox", tests, NULL, NULL);
}
