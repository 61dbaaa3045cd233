/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "ledger/parcels.h"
#include "ledger/credentials.h"
#include "ledger/people.h"

static const Consent agreed = {"storage", "2026-11", "kiosk", "operator:anna"};

static PersonRow anna(void) {
        return (PersonRow){
                .kind = PERSON_RECIPIENT,
                .name = (char *)"Annegret Zitronenfalter",
                .phone = (char *)"+49 170 555-0199",
                .enrolled = 11,
                .consented = 10,
        };
}

static PersonRow courier(const char *number_text) {
        PersonRow p = {.kind = PERSON_COURIER,
                       .name = (char *)"Bo",
                       .phone = (char *)"+49 170 555-0199",
                       .enrolled = 12};

        snprintf(p.number, sizeof(p.number), "%s", number_text);
        return p;
}

static int count(void *userdata, const PersonRow *p) {
        assert_non_null(p->name);
        ++*(int *)userdata;
        return 0;
}

static void test_person_enrolled_found_by_number_and_phone(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        PersonRow a = anna(), c = courier("4711");
        _cleanup_person_ PersonRow by_phone = {0}, by_number = {0}, by_id = {0}, none = {0};
        int n = 0;

        /* The courier first: the same phone as somebody who receives. */
        assert_int_equal(ledger_person_insert(l, &c), 0);
        assert_int_equal(ledger_person_insert(l, &a), 0);
        /* As it is dialled from abroad: the same number. */
        assert_int_equal(ledger_person_by_phone(l, "0049170 5550199", &none), 0);
        assert_int_equal(none.id, a.id);
        person_row_done(&none);
        assert_int_equal(ledger_person_by_phone(l, "0170 5550199", &none), -ENOENT);
        assert_int_equal(ledger_person_by_phone(l, "49 1705550199", &by_phone), 0);
        assert_int_equal(by_phone.id, a.id);
        assert_int_equal(by_phone.kind, PERSON_RECIPIENT);
        assert_string_equal(by_phone.name, a.name);
        assert_string_equal(by_phone.phone, a.phone);
        assert_int_equal(by_phone.enrolled, 11);
        assert_int_equal(by_phone.consented, 10);
        assert_int_equal(ledger_person_by_number(l, "4711", &by_number), 0);
        assert_int_equal(by_number.id, c.id);
        assert_int_equal(by_number.kind, PERSON_COURIER);
        assert_string_equal(by_number.number, "4711");
        assert_int_equal(ledger_person_get(l, a.id, &by_id), 0);
        assert_string_equal(by_id.name, a.name);
        assert_int_equal(ledger_person_by_number(l, "4712", &none), -ENOENT);
        assert_int_equal(ledger_person_by_number(l, "", &none), -ENOENT);
        assert_int_equal(ledger_person_by_phone(l, "", &none), -ENOENT);
        assert_int_equal(ledger_person_get(l, 99, &none), -ENOENT);
        assert_int_equal(ledger_person_each(l, count, &n), 0);
        assert_int_equal(n, 2);
}

static void test_person_insert_that_fails_spoils_the_transaction_it_is_part_of(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        PersonRow a = anna(), b = anna(), c = courier("4711");
        int n = 0;

        assert_int_equal(ledger_person_insert(l, &a), 0);
        assert_int_equal(ledger_begin(l), 0);
        assert_int_equal(ledger_person_insert(l, &c), 0);
        assert_int_equal(ledger_person_insert(l, &b), -EEXIST);
        assert_int_equal(ledger_commit(l), -EEXIST);
        assert_int_equal(ledger_person_each(l, count, &n), 0);
        assert_int_equal(n, 1);
}

static void test_person_number_or_phone_enrolled_refused(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        PersonRow a = anna(), b = anna(), c = courier("4711"), d = courier("4711"), e = courier("4712");

        assert_int_equal(ledger_person_insert(l, &a), 0);
        assert_int_equal(ledger_person_insert(l, &b), -EEXIST);
        assert_int_equal(ledger_person_insert(l, &c), 0);
        d.phone = NULL;
        assert_int_equal(ledger_person_insert(l, &d), -EEXIST);
        assert_int_equal(ledger_person_insert(l, &e), -EEXIST);
        e.phone = NULL;
        assert_int_equal(ledger_person_insert(l, &e), 0);
}

static void test_credential_set_comes_back_sealed_for_this_person_and_kind(void **state) {
        Place *place = *state;
        Ledger *l = place->ledger;
        PersonRow a = anna(), c = courier("4711");
        _cleanup_person_ PersonRow out = {0};
        uint8_t data[128], *back = NULL, *big = malloc(CREDENTIAL_DATA_MAX + 1);
        size_t n = 0;

        memset(data, 0x77, sizeof(data));
        assert_int_equal(ledger_person_insert(l, &a), 0);
        assert_int_equal(ledger_person_insert(l, &c), 0);
        assert_int_equal(ledger_credential_get(l, a.id, "password", &back, &n), -ENOENT);
        assert_int_equal(ledger_credential_set(l, a.id, "password", data, sizeof(data), &agreed, 7), 0);
        assert_int_equal(ledger_credential_set(l, c.id, "pin", data, 1, NULL, 7), 0);
        assert_int_equal(ledger_credential_set(l, c.id, "pin", data, 64, NULL, 7), 0);
        assert_int_equal(ledger_credential_get(l, a.id, "password", &back, &n), 0);
        assert_int_equal(n, sizeof(data));
        assert_memory_equal(back, data, n);
        bytes_erase_free(back, n);
        assert_int_equal(ledger_credential_get(l, c.id, "pin", &back, &n), 0);
        assert_int_equal(n, 64);
        bytes_erase_free(back, n);
        /* A template may be long, and holds any byte. */
        assert_non_null(big);
        for (size_t i = 0; i <= CREDENTIAL_DATA_MAX; i++)
                big[i] = (uint8_t)(i * 7);
        assert_int_equal(ledger_credential_set(l, a.id, "password", big, CREDENTIAL_DATA_MAX + 1, &agreed, 7),
                         -EINVAL);
        assert_int_equal(ledger_credential_set(l, a.id, "password", big, CREDENTIAL_DATA_MAX, &agreed, 7), 0);
        assert_int_equal(ledger_credential_get(l, a.id, "password", &back, &n), 0);
        assert_int_equal(n, CREDENTIAL_DATA_MAX);
        assert_memory_equal(back, big, n);
        bytes_erase_free(back, n);
        free(big);
        assert_int_equal(ledger_credential_set(l, 99, "pin", data, 1, NULL, 7), -ENOENT);
        assert_int_equal(ledger_credential_set(l, a.id, "", data, 1, &agreed, 7), -EINVAL);
        assert_int_equal(ledger_person_get(l, c.id, &out), 0);
        assert_true(person_has(&out, CREDENTIAL_PIN));
        assert_false(person_has(&out, CREDENTIAL_PASSWORD));
        assert_false(file_contains(place->path, data, 16));
        /* Somebody else's credential put into this row is noticed. */
        assert_int_equal(
                sql_exec(l->db,
                         "UPDATE credential SET data = (SELECT data FROM credential WHERE kind = 'pin')"),
                0);
        assert_int_equal(ledger_credential_get(l, a.id, "password", &back, &n), -EUCLEAN);
}

/* Requirement: C6 */
static void test_credential_without_a_consent_is_not_stored(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        PersonRow a = anna();
        uint8_t *back = NULL;
        size_t n = 0;

        assert_int_equal(ledger_person_insert(l, &a), 0);
        assert_int_equal(ledger_credential_set(l, a.id, "pattern", (const uint8_t *)"t", 1, NULL, 7), -EPERM);
        assert_int_equal(ledger_credential_get(l, a.id, "pattern", &back, &n), -ENOENT);
        assert_int_equal(number(l, "SELECT count(*) FROM consent"), 0);
        /* The tables themselves refuse it: without one, and with one that nobody has given. */
        assert_true(
                sql_exec(l->db,
                         "INSERT INTO credential (person, kind, data, enrolled) VALUES (1, 'pattern', x'00', "
                         "7)") < 0);
        assert_true(sql_exec(l->db,
                             "INSERT INTO credential (person, kind, data, enrolled, consent) VALUES (1, "
                             "'pattern', x'00', 7, 7)") < 0);
        assert_int_equal(number(l, "SELECT count(*) FROM credential"), 0);
        assert_int_equal(ledger_credential_set(l, a.id, "pattern", (const uint8_t *)"t", 1, &agreed, 7), 0);
        /* Nor does a consent go while something rests on it. */
        assert_true(sql_exec(l->db, "DELETE FROM consent") < 0);
}

typedef struct Listed {
        unsigned n;
        int64_t enrolled, used, given;
        char kinds[64], consent[160];
} Listed;

static int list(void *userdata, const CredentialRow *c) {
        Listed *seen = userdata;
        size_t n = strlen(seen->kinds);

        seen->n++;
        snprintf(seen->kinds + n, sizeof(seen->kinds) - n, "%s ", c->kind);
        seen->enrolled = c->enrolled;
        seen->used = c->used;
        seen->given = c->given;
        snprintf(seen->consent, sizeof(seen->consent), "%s %s %s %s", c->consent.text ? c->consent.text : "-",
                 c->consent.version ? c->consent.version : "-", c->consent.place ? c->consent.place : "-",
                 c->consent.witness ? c->consent.witness : "-");
        return 0;
}

/* Requirement: C1, C6 */
static void test_credential_has_its_times_and_its_consent(void **state) {
        const int64_t hour = INT64_C(3600000000);
        const Consent newer = {"storage", "2027-01", "desk", "operator:bo"};
        Ledger *l = ((Place *)*state)->ledger;
        PersonRow a = anna(), c = courier("4711");
        Listed seen = {0};

        assert_int_equal(ledger_person_insert(l, &a), 0);
        assert_int_equal(ledger_person_insert(l, &c), 0);
        assert_int_equal(ledger_credential_set(l, a.id, "pattern", (const uint8_t *)"t", 1, &agreed, 7), 0);
        assert_int_equal(ledger_credential_set(l, c.id, "pin", (const uint8_t *)"t", 1, NULL, 8), 0);
        assert_int_equal(ledger_credential_each(l, a.id, list, &seen), 0);
        assert_string_equal(seen.kinds, "pattern ");
        assert_true(seen.enrolled == 7 && seen.used == 0 && seen.given == 7);
        assert_string_equal(seen.consent, "storage 2026-11 kiosk operator:anna");
        /* Used: once an hour at most. */
        assert_int_equal(ledger_credential_used(l, a.id, "pattern", 2 * hour), 0);
        assert_int_equal(ledger_credential_used(l, a.id, "pattern", 2 * hour + 5), 0);
        assert_int_equal(number(l, "SELECT used FROM credential WHERE kind = 'pattern'"), 2 * hour);
        assert_int_equal(ledger_credential_used(l, a.id, "pattern", 4 * hour), 0);
        assert_int_equal(number(l, "SELECT used FROM credential WHERE kind = 'pattern'"), 4 * hour);
        /* Another one of the same kind: a consent of its own, the former stays as a proof. */
        assert_int_equal(ledger_credential_set(l, a.id, "pattern", (const uint8_t *)"u", 1, &newer, 5 * hour),
                         0);
        seen = (Listed){0};
        assert_int_equal(ledger_credential_each(l, a.id, list, &seen), 0);
        assert_true(seen.n == 1 && seen.enrolled == 5 * hour && seen.used == 0);
        assert_string_equal(seen.consent, "storage 2027-01 desk operator:bo");
        assert_int_equal(number(l, "SELECT count(*) FROM consent"), 2);
        seen = (Listed){0};
        assert_int_equal(ledger_credential_each(l, c.id, list, &seen), 0);
        assert_string_equal(seen.consent, "- - - -");
        assert_true(seen.given == 0 && seen.enrolled == 8);
        /* Which nobody has used for long. */
        seen = (Listed){0};
        assert_int_equal(ledger_credential_each_unused(l, 8, 10, list, &seen), 0);
        assert_int_equal(seen.n, 0);
        assert_int_equal(ledger_credential_each_unused(l, 5 * hour, 10, list, &seen), 0);
        assert_string_equal(seen.kinds, "pin ");
        seen = (Listed){0};
        assert_int_equal(ledger_credential_each_unused(l, 5 * hour + 1, 1, list, &seen), 0);
        assert_int_equal(seen.n, 1);
}

/* Requirement: C6, F9 */
static void test_credential_erased_leaves_nothing_but_the_withdrawn_consent(void **state) {
        Place *place = *state;
        Ledger *l = place->ledger;
        PersonRow a = anna();
        uint8_t sealed[64], *back = NULL;
        size_t n_sealed, n = 0;

        assert_int_equal(ledger_person_insert(l, &a), 0);
        assert_int_equal(ledger_credential_set(l, a.id, "password", (const uint8_t *)"first", 5, &agreed, 7),
                         0);
        assert_int_equal(ledger_credential_set(l, a.id, "pattern", (const uint8_t *)"second", 6, &agreed, 8),
                         0);
        sqlite3_stmt *s = NULL;
        assert_int_equal(
                sqlite3_prepare_v2(l->db, "SELECT data FROM credential WHERE kind = 'pattern'", -1, &s, NULL),
                SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        n_sealed = (size_t)sqlite3_column_bytes(s, 0);
        assert_true(n_sealed <= sizeof(sealed));
        memcpy(sealed, sqlite3_column_blob(s, 0), n_sealed);
        sqlite3_finalize(s);
        assert_true(file_contains(place->path, sealed, n_sealed));
        assert_int_equal(ledger_credential_erase(l, a.id, "pattern", 99), 0);
        assert_true(ledger_wants_checkpoint(l));
        assert_int_equal(ledger_checkpoint(l), 0);
        assert_false(file_contains(place->path, sealed, n_sealed));
        assert_int_equal(ledger_credential_get(l, a.id, "pattern", &back, &n), -ENOENT);
        assert_int_equal(ledger_credential_erase(l, a.id, "pattern", 99), -ENOENT);
        assert_int_equal(number(l, "SELECT withdrawn FROM consent WHERE kind = 'pattern'"), 99);
        assert_int_equal(number(l, "SELECT withdrawn IS NULL FROM consent WHERE kind = 'password'"), 1);
        /* The other one is as it was. */
        assert_int_equal(ledger_credential_get(l, a.id, "password", &back, &n), 0);
        assert_memory_equal(back, "first", 5);
        bytes_erase_free(back, n);
        assert_int_equal(ledger_person_revoke(l, a.id, 100), 0);
        assert_int_equal(number(l, "SELECT count(*) FROM credential"), 0);
        assert_int_equal(number(l, "SELECT withdrawn FROM consent WHERE kind = 'password'"), 100);
}

/* Erasing erases: what is left in the file, and in its WAL, opens nothing. */
/* Requirement: C6, F9 */
static void test_person_revoked_nothing_personal_left_in_the_file(void **state) {
        Place *place = *state;
        Ledger *l = place->ledger;
        PersonRow a = anna();
        uint8_t salt[16], *back = NULL, sealed_name[64], sealed_data[40];
        size_t n = 0;
        _cleanup_person_ PersonRow none = {0};

        assert_int_equal(ledger_person_insert(l, &a), 0);
        assert_int_equal(ledger_credential_set(l, a.id, "password", (const uint8_t *)"hash", 4, &agreed, 7),
                         0);
        sqlite3_stmt *s = NULL;
        assert_int_equal(sqlite3_prepare_v2(l->db, "SELECT salt, name, data FROM person JOIN credential", -1,
                                            &s, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        memcpy(salt, sqlite3_column_blob(s, 0), sizeof(salt));
        size_t n_name = (size_t)sqlite3_column_bytes(s, 1), n_data = (size_t)sqlite3_column_bytes(s, 2);
        assert_true(n_name < sizeof(sealed_name) && n_data < sizeof(sealed_data));
        memcpy(sealed_name, sqlite3_column_blob(s, 1), n_name);
        memcpy(sealed_data, sqlite3_column_blob(s, 2), n_data);
        sqlite3_finalize(s);
        assert_true(file_contains(place->path, salt, sizeof(salt)));
        assert_true(file_contains(place->path, sealed_name, n_name));

        assert_int_equal(ledger_person_revoke(l, a.id, 77), 0);
        assert_true(ledger_wants_checkpoint(l));
        assert_int_equal(ledger_checkpoint(l), 0);
        assert_false(ledger_wants_checkpoint(l));
        assert_false(file_contains(place->path, salt, sizeof(salt)));
        assert_false(file_contains(place->path, sealed_name, n_name));
        assert_false(file_contains(place->path, sealed_data, n_data));
        assert_false(file_contains(place->path, "Zitronenfalter", 14));
        assert_false(file_contains(place->path, "5550199", 7));
        assert_false(file_contains(place->path, "555-0199", 8));

        assert_int_equal(ledger_person_get(l, a.id, &none), -ENOENT);
        assert_int_equal(ledger_person_by_phone(l, a.phone, &none), -ENOENT);
        assert_int_equal(ledger_credential_get(l, a.id, "password", &back, &n), -ENOENT);
        assert_int_equal(ledger_credential_set(l, a.id, "password", salt, 1, &agreed, 7), -ENOENT);
        assert_int_equal(ledger_person_revoke(l, a.id, 78), -ENOENT);
        assert_int_equal(number(l, "SELECT count(*) FROM person WHERE revoked = 77"), 1);
        /* And may come back, as somebody new. */
        PersonRow again = anna();
        assert_int_equal(ledger_person_insert(l, &again), 0);
        assert_int_not_equal(again.id, a.id);
}

/* Requirement: C6, F9 */
static void test_person_revoked_parcels_of_the_past_forget_the_name(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        PersonRow a = anna();
        ParcelRow p[2];
        _cleanup_parcel_ ParcelRow live = {0}, past = {0}, later = {0};

        assert_int_equal(ledger_person_insert(l, &a), 0);
        for (unsigned i = 0; i < 2; i++) {
                p[i] = (ParcelRow){
                        .state = PARCEL_RESERVED, .slot = "1", .position = i + 1, .size = "M", .created = 1};
                p[i].recipient = a.name;
                p[i].phone = a.phone;
                p[i].person = a.id;
                assert_int_equal(ledger_parcel_insert(l, &p[i]), 0);
        }
        p[0].state = PARCEL_CANCELLED;
        p[0].ended = 2;
        assert_int_equal(ledger_parcel_update(l, &p[0]), 0);
        assert_int_equal(ledger_person_revoke(l, a.id, 77), 0);
        assert_int_equal(ledger_parcel_history(l, p[0].id, &past), 0);
        assert_null(past.recipient);
        assert_null(past.phone);
        /* What still lies there must still be given out … */
        assert_int_equal(ledger_parcel_get(l, p[1].id, &live), 0);
        assert_string_equal(live.recipient, a.name);
        /* … and is forgotten when it has been. */
        p[1].state = PARCEL_CANCELLED;
        p[1].ended = 3;
        assert_int_equal(ledger_parcel_update(l, &p[1]), 0);
        assert_int_equal(ledger_parcel_history(l, p[1].id, &later), 0);
        assert_null(later.recipient);
        assert_null(later.phone);
}

static uint64_t sent(Ledger *l, unsigned position, const char *phone, bool ended) {
        ParcelRow p = {
                .state = PARCEL_RESERVED, .slot = "1", .position = position, .size = "M", .created = 1};

        p.recipient = (char *)"Annegret Zitronenfalter";
        p.phone = (char *)phone;
        assert_int_equal(ledger_parcel_insert(l, &p), 0);
        if (ended) {
                p.state = PARCEL_CANCELLED;
                p.ended = 2;
                p.phone = p.recipient = NULL; /* as a row that says only what changes */
                assert_int_equal(ledger_parcel_update(l, &p), 0);
        }
        return p.id;
}

static bool is_forgotten(Ledger *l, uint64_t id) {
        _cleanup_parcel_ ParcelRow p = {0};

        assert_int_equal(ledger_parcel_history(l, id, &p), 0);
        assert_int_equal(!p.phone, !p.recipient);
        return !p.phone;
}

/* What was sent to the same phone before its owner enrolled belongs to nobody, and is theirs all the same. */
/* Requirement: C6, F9 */
static void test_person_revoked_parcels_from_before_the_enrolment_forget_the_name(void **state) {
        Ledger *l = ((Place *)*state)->ledger;
        PersonRow a = anna(), c = courier("4711");

        uint64_t before = sent(l, 1, a.phone, true), other = sent(l, 1, "+49 170 555-0198", true);
        uint64_t old = sent(l, 1, "0049 170 5550199", true), no_phone = sent(l, 1, "unknown", true);
        /* As a version left it that did not keep the hash. */
        assert_int_equal(sql_exec(l->db, "UPDATE parcel_history SET phone_mac = NULL WHERE id > 2"), 0);
        uint64_t live = sent(l, 1, a.phone, false), others_live = sent(l, 2, "+49 171 555-0199", false);
        assert_int_equal(ledger_person_insert(l, &a), 0);
        assert_int_equal(ledger_person_insert(l, &c), 0);
        /* A courier who leaves takes nothing along of what a recipient with the same phone has got. */
        assert_int_equal(ledger_person_revoke(l, c.id, 76), 0);
        assert_false(is_forgotten(l, before));
        assert_int_equal(ledger_person_revoke(l, a.id, 77), 0);
        assert_true(is_forgotten(l, before));
        assert_true(is_forgotten(l, old));
        assert_false(is_forgotten(l, other));
        assert_false(is_forgotten(l, no_phone));
        assert_int_equal(number(l, "SELECT count(*) FROM parcel_history WHERE phone_mac IS NULL AND "
                                   "phone IS NOT NULL"),
                         0);
        /* What lies there is given out first. */
        ParcelRow p = {
                .id = live, .state = PARCEL_CANCELLED, .slot = "1", .position = 1, .size = "M", .ended = 3};
        assert_int_equal(ledger_parcel_update(l, &p), 0);
        assert_true(is_forgotten(l, live));
        p = (ParcelRow){.id = others_live,
                        .state = PARCEL_CANCELLED,
                        .slot = "1",
                        .position = 2,
                        .size = "M",
                        .ended = 3};
        assert_int_equal(ledger_parcel_update(l, &p), 0);
        assert_false(is_forgotten(l, others_live));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_person_enrolled_found_by_number_and_phone),
                TEST(test_person_insert_that_fails_spoils_the_transaction_it_is_part_of),
                TEST(test_person_number_or_phone_enrolled_refused),
                TEST(test_credential_set_comes_back_sealed_for_this_person_and_kind),
                TEST(test_credential_without_a_consent_is_not_stored),
                TEST(test_credential_has_its_times_and_its_consent),
                TEST(test_credential_erased_leaves_nothing_but_the_withdrawn_consent),
                TEST(test_person_revoked_nothing_personal_left_in_the_file),
                TEST(test_person_revoked_parcels_of_the_past_forget_the_name),
                TEST(test_person_revoked_parcels_from_before_the_enrolment_forget_the_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
