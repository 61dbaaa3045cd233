/* SPDX-License-Identifier: Apache-2.0 */
#include "core/code.h"
#include "support.h"
#include "ledger/codes.h"
#include "ledger/parcels.h"
#include "ledger/people.h"

static ParcelRow row_in(const char *slot, unsigned position) {
        ParcelRow p = {.state = PARCEL_RESERVED, .position = position, .size = "M", .created = 5};

        snprintf(p.slot, sizeof(p.slot), "%s", slot);
        return p;
}

static int count(void *userdata, const ParcelRow *p) {
        uint64_t *n = userdata;

        n[1] = n[1] * 10 + p->id;
        n[0]++;
        return 0;
}

static int count_place(void *userdata, const PlaceRow *p) {
        uint64_t *n = userdata;

        n[1] = n[1] * 10 + p->id;
        n[0]++;
        return 0;
}

static void test_parcel_inserted_comes_back_whole(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        PersonRow person = {
                .kind = PERSON_RECIPIENT, .name = (char *)"A", .phone = (char *)"123456", .enrolled = 1};
        assert_int_equal(ledger_person_insert(l, &person), 0);
        ParcelRow in = {
                .state = PARCEL_DEPOSITING,
                .slot = "P1",
                .position = 3,
                .size = "L",
                .waybill = (char *)"WB-1",
                .recipient = (char *)"王小明",
                .phone = (char *)"+49 171 5550123",
                .person = person.id,
                .courier_number = "4711",
                .created = 11,
                .stored = 12,
                .expires = 13,
        };
        _cleanup_parcel_ ParcelRow out = {0}, at_place = {0}, none = {0};

        assert_int_equal(ledger_parcel_insert(l, &in), 0);
        assert_int_equal(ledger_parcel_get(l, in.id, &out), 0);
        assert_int_equal(out.id, in.id);
        assert_int_equal(out.state, in.state);
        assert_string_equal(out.slot, "P1");
        assert_int_equal(out.position, 3);
        assert_string_equal(out.size, "L");
        assert_string_equal(out.waybill, in.waybill);
        assert_string_equal(out.recipient, in.recipient);
        assert_string_equal(out.phone, in.phone);
        assert_int_equal(out.person, person.id);
        assert_int_equal(out.courier, 0);
        assert_string_equal(out.courier_number, "4711");
        assert_int_equal(out.created, 11);
        assert_int_equal(out.stored, 12);
        assert_int_equal(out.expires, 13);
        assert_int_equal(out.ended, 0);
        assert_int_equal(ledger_parcel_at(l, "P1", 3, &at_place), 0);
        assert_int_equal(at_place.id, in.id);
        assert_int_equal(ledger_parcel_at(l, "P1", 2, &none), -ENOENT);
        assert_int_equal(ledger_parcel_get(l, 99, &none), -ENOENT);
}

/* The courier says at the deposit what the announcement did not; a row without strings erases nothing. */
static void test_parcel_updated_with_phone_found_by_it(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        ParcelRow p = {.state = PARCEL_ANNOUNCED, .size = "M", .created = 1};
        _cleanup_parcel_ ParcelRow out = {0};
        uint64_t n[2] = {0};

        assert_int_equal(ledger_parcel_insert(l, &p), 0);
        p.state = PARCEL_DEPOSITING;
        p.slot[0] = '1';
        p.position = 1;
        p.phone = (char *)"+49 171 5550123";
        p.recipient = (char *)"Anna";
        p.waybill = (char *)"WB-2";
        assert_int_equal(ledger_parcel_update(l, &p), 0);
        p.phone = p.recipient = p.waybill = NULL;
        p.state = PARCEL_STORED;
        assert_int_equal(ledger_parcel_update(l, &p), 0);
        assert_int_equal(ledger_parcel_each_of_phone_tail(l, "0123", count, n), 0);
        assert_int_equal(n[0], 1);
        assert_int_equal(ledger_parcel_get(l, p.id, &out), 0);
        assert_string_equal(out.phone, "+49 171 5550123");
        assert_string_equal(out.recipient, "Anna");
        assert_string_equal(out.waybill, "WB-2");
}

static void test_parcel_without_anything_optional_comes_back_without(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        ParcelRow in = {.state = PARCEL_ANNOUNCED, .size = "S", .created = 1};
        _cleanup_parcel_ ParcelRow out = {0};

        assert_int_equal(ledger_parcel_insert(l, &in), 0);
        assert_int_equal(ledger_parcel_get(l, in.id, &out), 0);
        assert_string_equal(out.slot, "");
        assert_null(out.waybill);
        assert_null(out.recipient);
        assert_null(out.phone);
}

/* Requirement: A1, F2 */
static void test_parcel_second_in_one_position_refused(void **state) {
        Place *place = *state;
        Ledger *l = place->ledger;
        ParcelRow a = row_in("1", 1), b = row_in("1", 1), c = row_in("1", 2);

        begin(l);
        assert_int_equal(ledger_parcel_insert(l, &a), 0);
        assert_int_equal(ledger_parcel_insert(l, &b), -EEXIST);
        /* The refusal leaves the transaction good. */
        assert_int_equal(ledger_parcel_insert(l, &c), 0);
        c.position = 1;
        assert_int_equal(ledger_parcel_update(l, &c), -EEXIST);
        commit(l);
        assert_int_equal(number(l, "SELECT count(*) FROM parcel"), 2);
        /* … and by raw SQL. */
        assert_int_equal(raw_sql(place->path, "UPDATE parcel SET position = 1", false),
                         SQLITE_CONSTRAINT_UNIQUE);
        assert_int_equal(raw_sql(place->path,
                                 "INSERT INTO parcel (state, slot, position, size, created) VALUES "
                                 "('stored', '1', 1, 'S', 1)",
                                 false),
                         SQLITE_CONSTRAINT_UNIQUE);
        assert_int_equal(raw_sql(place->path,
                                 "INSERT INTO parcel (state, slot, position, size, created) VALUES ('lost', "
                                 "'9', 1, 'S', 1)",
                                 false),
                         SQLITE_CONSTRAINT_CHECK);
        assert_int_equal(raw_sql(place->path,
                                 "INSERT INTO parcel (state, size, created) VALUES ('stored', 'S', 1)",
                                 false),
                         SQLITE_CONSTRAINT_CHECK);
}

static void test_parcel_ended_goes_to_history_and_frees_position(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        _cleanup_parcel_ ParcelRow live = {0}, past = {0};
        uint64_t id = 0;

        assert_int_equal(deposit(l, "1", 1, "AAAAAA"), 1);
        assert_int_equal(collect(l, 1), 0);
        assert_int_equal(ledger_parcel_get(l, 1, &live), -ENOENT);
        assert_int_equal(ledger_parcel_history(l, 1, &past), 0);
        assert_int_equal(past.state, PARCEL_COLLECTED);
        assert_string_equal(past.slot, "1");
        assert_string_equal(past.recipient, "Wilhelmine Zauberberg");
        assert_int_equal(past.ended, at(2).wall_usec);
        assert_int_equal(ledger_code_find(l, "AAAAAA", &id), -ENOENT);
        assert_false(ledger_code_matches(l, 1, "AAAAAA"));
        /* Position and code are free again, the id is not. */
        assert_int_equal(deposit(l, "1", 1, "AAAAAA"), 2);
        assert_int_equal(ledger_parcel_history(l, 2, &live), -ENOENT);
}

static void test_parcel_ids_last_one_gone_never_used_again(void **state) {
        Place *p = *state;

        assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
        assert_int_equal(collect(p->ledger, 1), 0);
        place_close(p);
        place_open(p);
        assert_int_equal(deposit(p->ledger, "1", 1, "BBBBBB"), 2);
}

static void test_parcel_forbidden_transitions_refused_and_transaction_good(void **state) {
        Ledger *l = ((Place *)*state)->ledger;

        for (int from = 0; from < PARCEL_STATE_MAX; from++)
                for (int to = 0; to < PARCEL_STATE_MAX; to++) {
                        char sql[160];
                        ParcelRow p = row_in("1", 1);
                        if (parcel_is_final((ParcelState)from))
                                continue;
                        begin(l);
                        assert_int_equal(ledger_parcel_insert(l, &p), 0);
                        snprintf(sql, sizeof(sql), "UPDATE parcel SET state = '%s'%s",
                                 parcel_state_to_string((ParcelState)from),
                                 from == PARCEL_ANNOUNCED ? ", slot = NULL, position = NULL" : "");
                        assert_int_equal(sql_exec(l->db, sql), 0);
                        p.state = (ParcelState)to;
                        p.ended = 9;
                        if (to == PARCEL_ANNOUNCED)
                                p.slot[0] = 0;
                        bool may = from == to || parcel_may_become((ParcelState)from, (ParcelState)to);
                        assert_int_equal(ledger_parcel_update(l, &p), may ? 0 : -EINVAL);
                        assert_int_equal(l->failure, 0);
                        ledger_rollback(l);
                }
        ParcelRow p = row_in("1", 1);
        p.state = PARCEL_STORED;
        assert_int_equal(ledger_parcel_insert(l, &p), -EINVAL);
        p = row_in("1", 1);
        assert_int_equal(ledger_parcel_insert(l, &p), 0);
        p.state = PARCEL_CANCELLED; /* without a time */
        assert_int_equal(ledger_parcel_update(l, &p), -EINVAL);
        p.id = 99;
        assert_int_equal(ledger_parcel_update(l, &p), -ENOENT);
}

static void test_parcel_walks_find_theirs_oldest_first(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        uint64_t n[2] = {0};
        PersonRow person = {
                .kind = PERSON_RECIPIENT, .name = (char *)"A", .phone = (char *)"123456", .enrolled = 1};

        assert_int_equal(ledger_person_insert(l, &person), 0);
        for (unsigned i = 1; i <= 4; i++) {
                ParcelRow p = row_in(i % 2 ? "1" : "2", i);
                p.phone = (char *)(i < 3 ? "0171/99 88-77" : i == 3 ? "+49 30 1234" : "12");
                p.person = i == 4 ? person.id : 0;
                assert_int_equal(ledger_parcel_insert(l, &p), 0);
        }
        ParcelRow announced = {.state = PARCEL_ANNOUNCED, .size = "S", .created = 1};
        assert_int_equal(ledger_parcel_insert(l, &announced), 0);
        static const struct {
                const char *what, *key;
                uint64_t ids;
        } cases[] = {
                {"all", NULL, 12345}, {"slot", "1", 13},       {"slot", "2", 24},   {"slot", "", 0},
                {"slot", "3", 0},     {"tail", "8877", 12},    {"tail", "1234", 3}, {"tail", "0012", 0},
                {"person", NULL, 4},  {"places", NULL, 12345}, {"places", "2", 24},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int r;
                memset(n, 0, sizeof(n));
                if (streq(cases[i].what, "all"))
                        r = ledger_parcel_each(l, count, n);
                else if (streq(cases[i].what, "slot"))
                        r = ledger_parcel_each_in_slot(l, cases[i].key, count, n);
                else if (streq(cases[i].what, "tail"))
                        r = ledger_parcel_each_of_phone_tail(l, cases[i].key, count, n);
                else if (streq(cases[i].what, "person"))
                        r = ledger_parcel_each_of_person(l, person.id, count, n);
                else
                        r = ledger_place_each(l, cases[i].key, count_place, n);
                assert_int_equal(r, 0);
                assert_int_equal(n[1], cases[i].ids);
        }
        assert_int_equal(ledger_parcel_each_of_phone_tail(l, "123", count, n), -EINVAL);
        assert_int_equal(ledger_parcel_each_of_phone_tail(l, "abcd", count, n), -EINVAL);
}

static int end_each(void *userdata, const ParcelRow *p) {
        Ledger *l = userdata;
        uint64_t n[2] = {0};
        ParcelRow copy = *p;

        /* The same question inside itself, and the row itself leaves. */
        assert_int_equal(ledger_parcel_each(l, count, n), 0);
        assert_int_equal(n[0], 4 - p->id);
        copy.state = PARCEL_CANCELLED;
        copy.ended = 7;
        return ledger_parcel_update(l, &copy);
}

static int stop(void *userdata, const ParcelRow *p) {
        return 42;
}

static void test_parcel_walk_row_ended_inside_goes_on(void **state) {
        Ledger *l = ((Place *)*state)->ledger;

        for (unsigned i = 1; i <= 3; i++) {
                ParcelRow p = row_in("1", i);
                assert_int_equal(ledger_parcel_insert(l, &p), 0);
        }
        assert_int_equal(ledger_parcel_each(l, stop, NULL), 42);
        assert_int_equal(ledger_parcel_each(l, end_each, l), 0);
        assert_int_equal(number(l, "SELECT count(*) FROM parcel"), 0);
        assert_int_equal(number(l, "SELECT count(*) FROM parcel_history"), 3);
}

/* Requirement: D3 */
static void test_code_of_another_live_parcel_refused(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        ParcelRow a = row_in("1", 1), b = row_in("1", 2);
        uint64_t id = 0;

        assert_int_equal(ledger_parcel_insert(l, &a), 0);
        assert_int_equal(ledger_parcel_insert(l, &b), 0);
        assert_int_equal(ledger_code_set(l, a.id, "K7M2QX"), 0);
        assert_int_equal(ledger_code_set(l, a.id, "K7M2QX"), 0);
        assert_int_equal(ledger_code_set(l, b.id, "K7M2QX"), -EEXIST);
        assert_int_equal(ledger_code_set(l, 99, "ZZZZZZ"), -ENOENT);
        assert_int_equal(ledger_code_set(l, a.id, "NEWNEW"), 0);
        assert_int_equal(ledger_code_find(l, "K7M2QX", &id), -ENOENT);
        assert_int_equal(ledger_code_set(l, b.id, "K7M2QX"), 0);
        assert_int_equal(ledger_code_find(l, "K7M2QX", &id), 0);
        assert_int_equal(id, b.id);
        assert_true(ledger_code_matches(l, a.id, "NEWNEW"));
        assert_false(ledger_code_matches(l, a.id, "K7M2QX"));
        assert_false(ledger_code_matches(l, a.id, ""));
        assert_false(ledger_code_matches(l, 99, "NEWNEW"));
        assert_int_equal(ledger_code_erase(l, a.id), 0);
        assert_false(ledger_code_matches(l, a.id, "NEWNEW"));
}

/* Requirement: D4 */
static void test_code_renewed_opens_beside_the_first_one(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        ParcelRow a = row_in("1", 1), b = row_in("1", 2);
        uint64_t id = 0, n = 99;

        assert_int_equal(ledger_parcel_insert(l, &a), 0);
        assert_int_equal(ledger_parcel_insert(l, &b), 0);
        assert_int_equal(ledger_code_exists(l, a.id), 0);
        assert_int_equal(ledger_code_set(l, a.id, "AAAAAA"), 0);
        assert_int_equal(ledger_code_set(l, b.id, "BBBBBB"), 0);
        begin(l);
        /* Taken by either: another one is tried in the same transaction. */
        assert_int_equal(ledger_code_renew(l, a.id, "BBBBBB"), -EEXIST);
        assert_int_equal(ledger_code_renew(l, a.id, "AAAAAA"), -EEXIST);
        assert_int_equal(ledger_code_set(l, b.id, "AAAAAA"), -EEXIST);
        assert_int_equal(ledger_code_renew(l, a.id, "CCCCCC"), 0);
        commit(l);
        assert_int_equal(ledger_code_set(l, b.id, "CCCCCC"), -EEXIST);
        assert_int_equal(ledger_code_renew(l, a.id, "DDDDDD"), -EEXIST);
        assert_true(ledger_code_matches(l, a.id, "AAAAAA"));
        assert_true(ledger_code_matches(l, a.id, "CCCCCC"));
        assert_false(ledger_code_matches(l, b.id, "CCCCCC"));
        assert_int_equal(ledger_code_find(l, "CCCCCC", &id), 0);
        assert_int_equal(id, a.id);
        assert_int_equal(ledger_code_exists(l, a.id), 2);
        assert_int_equal(ledger_code_count(l, &n), 0);
        assert_int_equal(n, 3);
        /* A new one replaces both, also when it is the second. */
        assert_int_equal(ledger_code_set(l, a.id, "CCCCCC"), 0);
        assert_int_equal(ledger_code_exists(l, a.id), 1);
        assert_false(ledger_code_matches(l, a.id, "AAAAAA"));
        assert_int_equal(ledger_code_renew(l, a.id, "EEEEEE"), 0);
        assert_int_equal(ledger_code_erase(l, a.id), 0);
        assert_int_equal(ledger_code_exists(l, a.id), 0);
        assert_int_equal(ledger_code_find(l, "EEEEEE", &id), -ENOENT);
}

/* Requirement: B3 */
static void test_code_that_is_void_is_known_as_such(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        ParcelRow a = row_in("1", 1), b = row_in("1", 2);
        uint64_t id = 0;

        assert_int_equal(ledger_parcel_insert(l, &a), 0);
        assert_int_equal(ledger_parcel_insert(l, &b), 0);
        assert_int_equal(ledger_code_set(l, a.id, "AAAAAA"), 0);
        assert_int_equal(ledger_code_find_spent(l, "AAAAAA", &id), -ENOENT);
        begin(l);
        assert_int_equal(ledger_code_renew(l, a.id, "BBBBBB"), 0);
        commit(l);
        assert_int_equal(ledger_code_set(l, a.id, "CCCCCC"), 0); /* replaces both */
        assert_int_equal(ledger_code_find_spent(l, "AAAAAA", &id), 0);
        assert_int_equal(id, a.id);
        assert_int_equal(ledger_code_find_spent(l, "BBBBBB", &id), 0);
        assert_int_equal(ledger_code_find_spent(l, "CCCCCC", &id), -ENOENT);
        /* Another parcel may have it: the newest counts. */
        assert_int_equal(ledger_code_set(l, b.id, "AAAAAA"), 0);
        a.state = PARCEL_CANCELLED;
        a.ended = 5;
        assert_int_equal(ledger_parcel_update(l, &a), 0);
        assert_int_equal(ledger_code_find_spent(l, "CCCCCC", &id), 0);
        assert_int_equal(id, a.id);
        assert_int_equal(ledger_code_erase(l, b.id), 0);
        assert_int_equal(ledger_code_find_spent(l, "AAAAAA", &id), 0);
        assert_int_equal(id, b.id);
        assert_int_equal(ledger_code_find_spent(l, "ZZZZZZ", &id), -ENOENT);
}

static void test_codes_that_are_void_have_an_end(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        ParcelRow a = row_in("1", 1);
        char code[CODE_LENGTH + 1];
        uint64_t id;

        assert_int_equal(ledger_parcel_insert(l, &a), 0);
        begin(l);
        for (int i = 0; i < 4200; i++) {
                snprintf(code, sizeof(code), "%06d", i);
                assert_int_equal(ledger_code_set(l, a.id, code), 0);
        }
        commit(l);
        assert_int_equal(number(l, "SELECT count(*) FROM spent_code"), 4096);
        assert_int_equal(ledger_code_find_spent(l, "000000", &id), -ENOENT);
        assert_int_equal(ledger_code_find_spent(l, "004198", &id), 0);
}

/* Requirement: F9 */
static void test_parcel_file_bytes_hold_no_plaintext(void **state) {
        Place *p = *state;

        assert_true(deposit(p->ledger, "1", 1, "QWXYZV") > 0);
        for (int i = 0; i < 2; i++) {
                assert_true(file_contains(p->path, "courier:4711", 12)); /* the search finds what is there */
                assert_false(file_contains(p->path, "QWXYZV", 6));
                assert_false(file_contains(p->path, "Zauberberg", 10));
                assert_false(file_contains(p->path, "555 9876", 8));
                assert_false(file_contains(p->path, "9876", 4));
                assert_false(file_contains(p->path, "a secret", 8));
                assert_int_equal(ledger_checkpoint(p->ledger), 0);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_parcel_inserted_comes_back_whole),
                TEST(test_parcel_updated_with_phone_found_by_it),
                TEST(test_parcel_without_anything_optional_comes_back_without),
                TEST(test_parcel_second_in_one_position_refused),
                TEST(test_parcel_ended_goes_to_history_and_frees_position),
                TEST(test_parcel_ids_last_one_gone_never_used_again),
                TEST(test_parcel_forbidden_transitions_refused_and_transaction_good),
                TEST(test_parcel_walks_find_theirs_oldest_first),
                TEST(test_parcel_walk_row_ended_inside_goes_on),
                TEST(test_code_of_another_live_parcel_refused),
                TEST(test_code_renewed_opens_beside_the_first_one),
                TEST(test_code_that_is_void_is_known_as_such),
                TEST(test_codes_that_are_void_have_an_end),
                TEST(test_parcel_file_bytes_hold_no_plaintext),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
