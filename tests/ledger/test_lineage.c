/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs: no event and no number is identified twice, whatever was restored or copied. */
#include "support.h"
#include "ledger/events.h"
#include "ledger/parcels.h"
#include "ledger/people.h"
#include "ledger/sessions.h"

static uint64_t record(Ledger *l, const char *type) {
        const Now now = at(1);
        EventRow e;

        begin(l);
        assert_int_equal(
                ledger_record(l,
                              &(Record){.actor = "lockerd", .type = type, .subject = "cabinet", .data = "{}"},
                              &now, &e),
                0);
        commit(l);
        return e.sequence;
}

/* Requirement: F14 */
static void test_each_new_ledger_has_its_own_epoch_and_keeps_it(void **state) {
        Place *p = *state;
        char first[EPOCH_LENGTH + 1];

        snprintf(first, sizeof(first), "%s", ledger_epoch(p->ledger));
        assert_int_equal(strspn(first, "0123456789abcdef"), EPOCH_LENGTH);
        assert_int_equal(ledger_epoch_why(p->ledger), EPOCH_NEW);
        assert_false(ledger_epoch_is_guarded(p->ledger));
        place_close(p);
        place_open(p);
        assert_string_equal(ledger_epoch(p->ledger), first);
        place_close(p);
        (void)unlink(p->path);
        place_open(p);
        assert_string_not_equal(ledger_epoch(p->ledger), first);
}

/* Requirement: F14 */
static void test_events_belong_to_the_youngest_epoch_that_takes_them_in(void **state) {
        Place *p = *state;
        Ledger *l = p->ledger;
        const Now now = at(2);
        char first[EPOCH_LENGTH + 1], second[EPOCH_LENGTH + 1];
        uint64_t since;

        for (int i = 0; i < 5; i++)
                (void)record(l, "board.online");
        snprintf(first, sizeof(first), "%s", ledger_epoch(l));
        assert_int_equal(ledger_outbox_acknowledge(l, 0, 3), 0);
        assert_int_equal(ledger_epoch_untold(l, &since), 0);
        assert_int_equal(since, 4);

        /* Taken back with its transaction. */
        begin(l);
        assert_int_equal(ledger_epoch_begin(l, EPOCH_BEHIND, since, &now), 0);
        assert_string_not_equal(ledger_epoch(l), first);
        ledger_rollback(l);
        assert_string_equal(ledger_epoch(l), first);
        assert_false(ledger_epoch_is_guarded(l));

        begin(l);
        assert_int_equal(ledger_epoch_begin(l, EPOCH_BEHIND, since, &now), 0);
        commit(l);
        snprintf(second, sizeof(second), "%s", ledger_epoch(l));
        place_close(p);
        place_open(p);
        l = p->ledger;
        assert_string_equal(ledger_epoch(l), second);
        assert_int_equal(ledger_epoch_why(l), EPOCH_BEHIND);
        assert_true(ledger_epoch_is_guarded(l));
        assert_string_equal(ledger_epoch_of(l, 3), first);
        assert_string_equal(ledger_epoch_of(l, 4), second);
        assert_string_equal(ledger_epoch_of(l, 400), second);
        assert_true(ledger_epoch_is_known(l, first));
        assert_false(ledger_epoch_is_known(l, "0123456789abcdef"));

        assert_int_equal(ledger_outbox_acknowledge(l, 0, 5), 0);
        assert_int_equal(ledger_epoch_untold(l, &since), 0);
        assert_int_equal(since, 6);
}

/* Requirement: F14 */
static void test_numbers_are_not_used_twice_after_a_new_epoch(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        const Now now = at(3);
        uint64_t session = 0, last = 0;

        int64_t before = deposit(l, "01", 1, "AAAAAA");
        assert_true(before > 0);
        for (int i = 0; i < 50; i++) {
                begin(l);
                assert_int_equal(ledger_epoch_begin(l, EPOCH_RESTORED, 1, &now), 0);
                commit(l);
                ParcelRow parcel = {.state = PARCEL_ANNOUNCED, .size = "S", .created = 1};
                PersonRow person = {.kind = PERSON_RECIPIENT, .enrolled = 1};
                assert_int_equal(ledger_parcel_insert(l, &parcel), 0);
                assert_int_equal(ledger_person_insert(l, &person), 0);
                assert_int_equal(ledger_session_begin(l, "courier", "t", &now, &session), 0);
                assert_true(parcel.id > last && parcel.id > 1000000);
                assert_int_equal(parcel.id % 1000000, 1);
                assert_int_equal(person.id, parcel.id);
                assert_int_equal(session, parcel.id);
                assert_true(parcel.id < UINT64_C(1) << 53);
                last = parcel.id;
        }
        /* What was there stays what it was. */
        ParcelRow old = {0};
        assert_int_equal(ledger_parcel_get(l, (uint64_t)before, &old), 0);
        parcel_row_done(&old);
}

static void assert_finding(Place *p, LedgerFinding expected) {
        uint64_t told;

        place_open(p);
        assert_int_equal(ledger_finding(p->ledger, &told), expected);
}

static void settle(Place *p) {
        const Now now = at(1);

        begin(p->ledger);
        assert_int_equal(ledger_epoch_begin(p->ledger, EPOCH_BEHIND, 1, &now), 0);
        commit(p->ledger);
        place_close(p);
        assert_finding(p, LEDGER_IN_ORDER);
}

/* A start that is cut off before it has done anything about it must not be the last one that knows. */
/* Requirement: F14 */
static void test_ledger_that_is_behind_is_found_until_an_epoch_has_begun(void **state) {
        Place *p = *state;
        _cleanup_free_ char *old = text_printf("%s/old", p->directory);

        assert_true(deposit(p->ledger, "1", 1, "AAAAAA") > 0);
        place_close(p);
        copy_file(p->path, old);
        place_open(p);
        assert_true(deposit(p->ledger, "2", 1, "BBBBBB") > 0);
        place_close(p);
        copy_file(old, p->path);
        for (int i = 0; i < 3; i++) {
                assert_finding(p, LEDGER_BEHIND);
                if (i == 1)
                        assert_true(deposit(p->ledger, "3", 1, "CCCCCC") > 0);
                place_close(p);
                (void)unlink(old);
        }
        assert_finding(p, LEDGER_BEHIND);
        settle(p);
}

/* Requirement: F14 */
static void test_end_that_is_missing_is_found_until_an_epoch_has_begun(void **state) {
        Place *p = *state, q = *p;
        _cleanup_free_ char *mark = text_printf("%s/copy.mark", p->directory);

        q.ledger = NULL;
        snprintf(q.path, sizeof(q.path), "%s/copy", p->directory);
        assert_true(deposit(p->ledger, "1", 1, "AAAAAA") > 0);
        assert_int_equal(ledger_checkpoint(p->ledger), 0);
        copy_file(p->path, q.path); /* as it lies there while it is open, without its log */
        for (int i = 0; i < 3; i++) {
                (void)unlink(mark);
                assert_finding(&q, LEDGER_END_MISSING);
                if (i == 1)
                        assert_true(deposit(q.ledger, "3", 1, "CCCCCC") > 0);
                place_close(&q);
        }
        assert_finding(&q, LEDGER_END_MISSING);
        settle(&q);
        place_close(&q);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_each_new_ledger_has_its_own_epoch_and_keeps_it),
                TEST(test_events_belong_to_the_youngest_epoch_that_takes_them_in),
                TEST(test_ledger_that_is_behind_is_found_until_an_epoch_has_begun),
                TEST(test_end_that_is_missing_is_found_until_an_epoch_has_begun),
                TEST(test_numbers_are_not_used_twice_after_a_new_epoch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
