/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger of version 0.1.0, made by ledger_0_1_0.py without any code of ours, is opened by this version:
 * whatever the newest migration is, what lay in it is still there and can be worked with. */
#include "support.h"
#include "ledger/audit.h"
#include "ledger/codes.h"
#include "ledger/events.h"
#include "ledger/inbox.h"
#include "ledger/lockouts.h"
#include "ledger/movements.h"
#include "ledger/parcels.h"
#include "ledger/credentials.h"
#include "ledger/people.h"
#include "ledger/reminders.h"
#include "ledger/sessions.h"
#include "ledger/settings.h"
#include "ledger/slots.h"

#include <spawn.h>
#include <sys/wait.h>

static const char *python, *generator;

typedef struct Expected {
        uint64_t id;
        ParcelState state;
        const char *slot, *code, *recipient, *phone;
        uint64_t person;
        ParcelState next[2]; /* where it goes in this test */
} Expected;

/* As in the generator's PARCELS. PARCEL_STATE_MAX: nothing more. */
static const Expected parcels[] = {
        {1,
         PARCEL_ANNOUNCED,
         "",
         NULL,
         "Zoë Ä. Muster",
         "+49 151 2345678",
         2,
         {PARCEL_RESERVED, PARCEL_CANCELLED}},
        {2, PARCEL_RESERVED, "01", NULL, "Ada Lovelace", NULL, 0, {PARCEL_DEPOSITING, PARCEL_STORED}},
        {3, PARCEL_DEPOSITING, "02", "2V0AAA", "Ada Lovelace", NULL, 0, {PARCEL_UNVERIFIED, PARCEL_STORED}},
        {4, PARCEL_STORED, "03", "7K3M9P", "张三", "0151 9876543", 0, {PARCEL_COLLECTING, PARCEL_COLLECTED}},
        {5,
         PARCEL_COLLECTING,
         "04",
         "8H2J4Q",
         "Eve Example",
         "0151 5550000",
         0,
         {PARCEL_STORED, PARCEL_RECALLED}},
        {6, PARCEL_REJECTED, "05", NULL, "Eve Example", NULL, 0, {PARCEL_RETURNED, PARCEL_STATE_MAX}},
        {7, PARCEL_RECALLED, "06", NULL, NULL, NULL, 0, {PARCEL_RETURNED, PARCEL_STATE_MAX}},
        {8, PARCEL_UNVERIFIED, "07", "9X5Y6Z", "Li", "0151 1112222", 0, {PARCEL_COLLECTING, PARCEL_REJECTED}},
        {9,
         PARCEL_STORED,
         "08",
         "3A4B5C",
         "Zoë Ä. Muster",
         "+49 151 2345678",
         2,
         {PARCEL_RECALLED, PARCEL_RETURNED}},
        {10, PARCEL_STORED, "09", "6D7E8F", "Too Late", NULL, 0, {PARCEL_RETURNED, PARCEL_STATE_MAX}},
};

static void key_path(const Place *p, char ret[128]) {
        snprintf(ret, 128, "%s/key", p->directory);
}

static void open_old(Place *p) {
        _cleanup_free_ char *detail = NULL;
        LedgerProblem problem;
        Vault *vault = NULL;
        char key[128];

        key_path(p, key);
        assert_int_equal(vault_load(&vault, key, false), 0);
        int r = ledger_open(&p->ledger, p->path, vault, &problem, &detail);
        if (r < 0)
                fail_msg("%s: %s", strerror(-r), detail);
}

static int setup_old(void **state) {
        if (setup_directory(state) < 0)
                return -1;
        Place *p = *state;
        char key[128];
        char *argv[] = {(char *)(uintptr_t)python, (char *)(uintptr_t)generator, p->path, key, NULL};
        int status;
        pid_t pid;

        key_path(p, key);
        if (posix_spawn(&pid, python, NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid ||
            status != 0)
                return -1;
        return raw_number(p->path, "PRAGMA user_version") == 3 ? 0 : -1;
}

static void test_upgrade_reaches_the_newest_version_and_keeps_the_chain(void **state) {
        Place *p = *state, fresh = {.ledger = NULL};
        char head[AUDIT_HEAD_MAX], key[128];
        _cleanup_(vault_freep) Vault *vault = NULL;
        _cleanup_free_ char *detail = NULL;
        uint64_t rows = 0;

        open_old(p);
        assert_int_equal(number(p->ledger, "PRAGMA user_version"), ledger_schema_version());
        assert_int_equal(number(p->ledger, "PRAGMA page_size"), 4096); /* as it was made */
        begin(p->ledger);
        commit(p->ledger);
        place_close(p);
        if (ledger_check_file(p->path, &detail) < 0)
                fail_msg("%s", detail);
        key_path(p, key);
        assert_int_equal(vault_load(&vault, key, false), 0);
        assert_int_equal(ledger_audit_verify_file(p->path, vault, NULL, &rows, head, &detail), 0);
        assert_true(rows >= 3);
        open_old(p); /* once more: nothing is left to migrate */

        /* The tables, indices and triggers are those of a ledger that is made now. */
        static const char schema[] = "SELECT count(*) FROM sqlite_schema";
        memcpy(fresh.directory, p->directory, sizeof(fresh.directory));
        snprintf(fresh.path, sizeof(fresh.path), "%s/fresh", fresh.directory);
        place_open(&fresh);
        assert_int_equal(number(p->ledger, schema), number(fresh.ledger, schema));
        assert_int_equal(number(fresh.ledger, "PRAGMA page_size"), 1024);
        place_close(&fresh);
}

static void assert_text(const char *got, const char *expected) {
        if (!expected)
                assert_null(got);
        else
                assert_string_equal(got, expected);
}

static void test_upgrade_parcels_of_every_live_state_are_read(void **state) {
        Place *p = *state;
        bool seen[PARCEL_STATE_MAX] = {false};

        open_old(p);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM parcel"), ARRAY_SIZE(parcels));
        for (size_t i = 0; i < ARRAY_SIZE(parcels); i++) {
                const Expected *e = &parcels[i];
                _cleanup_parcel_ ParcelRow row = {0};
                uint64_t found = 0;

                assert_int_equal(ledger_parcel_get(p->ledger, e->id, &row), 0);
                assert_int_equal(row.state, e->state);
                assert_string_equal(row.slot, e->slot);
                assert_text(row.recipient, e->recipient);
                assert_text(row.phone, e->phone);
                assert_int_equal(row.person, e->person);
                assert_int_equal(ledger_code_exists(p->ledger, e->id), e->code != NULL);
                if (e->code) {
                        assert_true(ledger_code_matches(p->ledger, e->id, e->code));
                        assert_int_equal(ledger_code_find(p->ledger, e->code, &found), 0);
                        assert_int_equal(found, e->id);
                }
                seen[row.state] = true;
        }
        for (ParcelState s = 0; s < PARCEL_STATE_MAX; s++)
                if (!seen[s] && !parcel_is_final(s))
                        fail_msg("the old ledger has no parcel that is %s", parcel_state_to_string(s));
}

static void test_upgrade_parcels_live_on_to_their_ends(void **state) {
        Place *p = *state;

        open_old(p);
        for (size_t i = 0; i < ARRAY_SIZE(parcels); i++) {
                for (size_t k = 0; k < 2 && parcels[i].next[k] != PARCEL_STATE_MAX; k++) {
                        _cleanup_parcel_ ParcelRow row = {0};

                        assert_int_equal(ledger_parcel_get(p->ledger, parcels[i].id, &row), 0);
                        row.state = parcels[i].next[k];
                        if (!row.slot[0] && row.state == PARCEL_RESERVED) {
                                strcpy(row.slot, "12");
                                row.position = 1;
                        }
                        if (parcel_is_final(row.state))
                                row.ended = at(1000).wall_usec;
                        int r = ledger_parcel_update(p->ledger, &row);
                        if (r < 0)
                                fail_msg("parcel %zu to %s: %s", i + 1, parcel_state_to_string(row.state),
                                         strerror(-r));
                }
        }
        for (uint64_t id = 11; id <= 13; id++) {
                _cleanup_parcel_ ParcelRow row = {0};

                assert_int_equal(ledger_parcel_history(p->ledger, id, &row), 0);
                assert_string_equal(row.recipient, "Old Name");
        }
        /* A place that is taken stays taken, a new parcel gets an id that was never used. */
        assert_int_equal(deposit(p->ledger, "02", 1, "AAAAAA"), -EEXIST);
        assert_int_equal(deposit(p->ledger, "11", 1, "AAAAAA"), 14);
}

static void test_upgrade_people_and_credentials_are_read_and_erased(void **state) {
        Place *p = *state;
        _cleanup_person_ PersonRow courier = {0}, recipient = {0};
        uint8_t *data = NULL;
        size_t n = 0;
        uint8_t hours[HABIT_HOURS] = {0};

        open_old(p);
        assert_int_equal(ledger_person_by_number(p->ledger, "4711", &courier), 0);
        assert_string_equal(courier.name, "Carla Courier");
        assert_int_equal(courier.credentials, 1U << CREDENTIAL_PIN);
        assert_int_equal(ledger_credential_get(p->ledger, courier.id, "pin", &data, &n), 0);
        assert_int_equal(n, 52);
        bytes_erase_free(data, n);
        assert_int_equal(ledger_person_by_phone(p->ledger, "0049 151 2345678", &recipient), 0);
        assert_string_equal(recipient.name, "Zoë Ä. Muster");
        assert_int_equal(recipient.credentials, 1U << CREDENTIAL_PIN | 1U << CREDENTIAL_PASSWORD);
        assert_int_equal(ledger_person_get(p->ledger, 3, &(PersonRow){0}), -ENOENT); /* revoked */

        /* What they had agreed to is not known by name, but when is; a courier's PIN needed nothing. */
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM consent"), 2);
        assert_int_equal(number(p->ledger,
                                "SELECT count(*) FROM credential c JOIN consent o ON o.person = c.person AND "
                                "o.kind = c.kind AND o.given = c.consent JOIN person p ON p.id = c.person "
                                "WHERE o.given = p.consented AND o.text = 'unrecorded' AND c.person = 2"),
                         2);
        assert_int_equal(number(p->ledger, "SELECT consent IS NULL FROM credential WHERE person = 1"), 1);
        assert_int_equal(number(p->ledger,
                                "SELECT count(*) FROM credential c JOIN person p ON p.id = c.person WHERE "
                                "c.enrolled = p.enrolled"),
                         3);
        /* Last used: by the sessions. */
        assert_int_equal(number(p->ledger,
                                "SELECT c.used = s.begun FROM credential c JOIN session s ON s.person = 1 "
                                "WHERE c.person = 1"),
                         1);
        assert_int_equal(
                number(p->ledger, "SELECT count(*) FROM credential WHERE person = 2 AND used IS NULL"), 2);
        assert_int_equal(ledger_habit_get(p->ledger, &(ParcelRow){.person = recipient.id}, hours), 0);
        assert_int_equal(hours[18], 7);
        assert_int_equal(ledger_person_revoke(p->ledger, recipient.id, at(2000).wall_usec), 0);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM credential WHERE person = 2"), 0);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM habit"), 0);
}

static int count_movement(void *userdata, uint64_t id, const char *slot, unsigned position, uint64_t parcel,
                          const char *why) {
        assert_int_equal(id, 2);
        assert_string_equal(slot, "04");
        assert_int_equal(parcel, 5);
        (*(unsigned *)userdata)++;
        return 0;
}

static int check_secret(void *userdata, const EventRow *e, const char *secret) {
        if (e->sequence == 2)
                assert_string_equal(secret, "{\"code\":\"7K3M9P\"}");
        (*(unsigned *)userdata)++;
        return 0;
}

static int count_reminder(void *userdata, const ReminderRow *row) {
        (*(unsigned *)userdata)++;
        return 0;
}

static void test_upgrade_work_in_hand_goes_on(void **state) {
        Place *p = *state;
        Now now = at(3000);
        unsigned movements = 0, events = 0, reminders = 0;
        ServiceRow service = {0};
        LockoutRow lockout;
        InboxRow command = {0};
        int64_t setting = 0;

        open_old(p);
        assert_int_equal(ledger_movement_each_open(p->ledger, count_movement, &movements), 0);
        assert_int_equal(movements, 1);
        assert_int_equal(ledger_movement_settle(p->ledger, 2, "unknown", &now), 0);
        assert_int_equal(ledger_session_end_all_open(p->ledger, "restart", &now), 0);
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM session WHERE ended IS NULL"), 0);

        assert_int_equal(ledger_outbox_each(p->ledger, 0, 0, check_secret, &events), 0);
        assert_int_equal(events, 2);
        assert_int_equal(ledger_outbox_acknowledge(p->ledger, 0, 3), 0);

        assert_int_equal(ledger_reminder_each(p->ledger, 100, count_reminder, &reminders), 0);
        assert_int_equal(reminders, 7);
        assert_int_equal(ledger_setting_get(p->ledger, "reminder-after", &setting), 0);
        assert_int_equal(setting, INT64_C(25) * 3600 * 1000000);

        assert_int_equal(ledger_service_get(p->ledger, "10", 0, &service), 0);
        assert_int_equal(service.service, SERVICE_DISABLED);
        service_row_done(&service);
        assert_int_equal(ledger_service_get(p->ledger, "11", 1, &service), 0);
        assert_int_equal(service.service, SERVICE_QUARANTINED);
        assert_string_equal(service.reason, "does not open");
        service_row_done(&service);
        assert_int_equal(ledger_lockout_get(p->ledger, "claim:slot:07", &lockout), 0);
        assert_int_equal(lockout.lockout.failures, 2);

        assert_int_equal(ledger_inbox_get(p->ledger, "cmd-1", &command), 0);
        assert_string_equal(command.command, "{\"parcel\":7}");
        assert_string_equal(command.answer, "{\"status\":\"done\"}");
        inbox_row_done(&command);
}

/* One that stands open when the old version is stopped has not been forced. */
static void test_upgrade_doors_are_what_they_were_last(void **state) {
        static const struct {
                const char *slot, *seen;
        } rows[] = {{"03", "shut"}, {"06", "shut"}, {"08", "open"}, {"09", "shut"}};
        Place *p = *state;
        char sql[120];

        open_old(p);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                (void)snprintf(sql, sizeof(sql),
                               "SELECT count(*) FROM door WHERE slot = '%s' AND position = 0 AND seen = '%s'",
                               rows[i].slot, rows[i].seen);
                if (number(p->ledger, sql) != 1)
                        fail_msg("slot %s is not %s", rows[i].slot, rows[i].seen);
        }
}

static void test_upgrade_with_another_key_is_refused_and_changes_nothing(void **state) {
        Place *p = *state;

        assert_refused(p, 1, LEDGER_PROBLEM_WRONG_KEY);
        assert_int_equal(raw_number(p->path, "PRAGMA user_version"), 3);
        open_old(p);
}

int main(int argc, char **argv) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_upgrade_reaches_the_newest_version_and_keeps_the_chain,
                                                setup_old, teardown),
                cmocka_unit_test_setup_teardown(test_upgrade_parcels_of_every_live_state_are_read, setup_old,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_upgrade_parcels_live_on_to_their_ends, setup_old,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_upgrade_people_and_credentials_are_read_and_erased,
                                                setup_old, teardown),
                cmocka_unit_test_setup_teardown(test_upgrade_work_in_hand_goes_on, setup_old, teardown),
                cmocka_unit_test_setup_teardown(test_upgrade_doors_are_what_they_were_last, setup_old,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_upgrade_with_another_key_is_refused_and_changes_nothing,
                                                setup_old, teardown),
        };

        if (argc != 3) {
                fprintf(stderr, "usage: %s PYTHON GENERATOR\n", argv[0]);
                return 2;
        }
        python = argv[1];
        generator = argv[2];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
