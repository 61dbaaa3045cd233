/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "ledger/parcels.h"

#include <dirent.h>
#include <sys/stat.h>

static unsigned files(const Place *p, const char *part) {
        DIR *d = opendir(p->directory);
        unsigned n = 0;

        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));)
                n += strstr(e->d_name, part) != NULL;
        closedir(d);
        return n;
}

static void fill(Ledger *l) {
        for (unsigned i = 1; i <= 100; i++) {
                char code[8];
                snprintf(code, sizeof(code), "%06u", i);
                assert_true(deposit(l, "1", i, code) > 0);
        }
}

static void test_backup_taken_while_writing_is_a_whole_ledger(void **state) {
        Place *p = *state, copy = *p;
        LedgerBackup *b = NULL;
        bool done = false;
        uint64_t bytes = 0, steps = 0;
        struct stat st;
        _cleanup_parcel_ ParcelRow row = {0};

        fill(p->ledger);
        snprintf(copy.path, sizeof(copy.path), "%s/backup.db", p->directory);
        assert_int_equal(ledger_backup_begin(p->ledger, copy.path, &b), 0);
        while (!done) {
                assert_int_equal(ledger_backup_step(b, 5, &done), 0);
                assert_int_not_equal(access(copy.path, F_OK), 0);
                if (!done && steps++ < 5)
                        assert_int_equal(collect(p->ledger, steps), 0);
        }
        assert_true(steps > 3);
        assert_int_equal(ledger_backup_end(b, &bytes), 0);
        assert_int_equal(stat(copy.path, &st), 0);
        assert_int_equal(st.st_size, bytes);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(files(p, ".part"), 0);
        assert_consistent(copy.path);
        copy.ledger = NULL;
        place_open(&copy);
        assert_int_equal(ledger_parcel_get(copy.ledger, 50, &row), 0);
        assert_string_equal(row.recipient, "Wilhelmine Zauberberg");
        assert_int_equal(number(copy.ledger, "SELECT count(*) FROM event"),
                         number(p->ledger, "SELECT count(*) FROM event"));
        place_close(&copy);
}

static void test_backup_name_in_use_never_overwritten(void **state) {
        Place *p = *state;
        LedgerBackup *b = NULL;
        bool done = false;
        char path[128];

        snprintf(path, sizeof(path), "%s/backup.db", p->directory);
        write_file(path, "precious", 8);
        assert_int_equal(ledger_backup_begin(p->ledger, path, &b), -EEXIST);
        assert_null(b);
        unlink(path);
        assert_int_equal(ledger_backup_begin(p->ledger, path, &b), 0);
        assert_int_equal(ledger_backup_step(b, -1, &done), 0);
        assert_true(done);
        write_file(path, "precious", 8); /* somebody came in between */
        assert_int_equal(ledger_backup_end(b, NULL), -EEXIST);
        assert_true(file_contains(path, "precious", 8));
        assert_int_equal(files(p, ".part"), 0);
}

static void test_backup_given_up_leaves_nothing(void **state) {
        Place *p = *state;
        LedgerBackup *b = NULL;
        bool done = true;
        char path[128];

        fill(p->ledger);
        snprintf(path, sizeof(path), "%s/backup.db", p->directory);
        assert_int_equal(ledger_backup_begin(p->ledger, path, &b), 0);
        begin(p->ledger); /* in the middle of a transaction nothing is copied */
        assert_int_equal(ledger_backup_step(b, -1, &done), 0);
        assert_false(done);
        ledger_rollback(p->ledger);
        assert_int_equal(ledger_backup_step(b, 2, &done), 0);
        assert_false(done);
        assert_int_equal(ledger_backup_end(b, NULL), -ECANCELED);
        assert_int_equal(files(p, "backup.db"), 0);
        snprintf(path, sizeof(path), "%s/absent/backup.db", p->directory);
        assert_int_equal(ledger_backup_begin(p->ledger, path, &b), -ENOENT);
}

static void test_check_file_with_odd_name_and_broken_reference(void **state) {
        Place *p = *state;
        char path[128];
        _cleanup_free_ char *detail = NULL;

        assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
        place_close(p);
        snprintf(path, sizeof(path), "%s/a?b#c%%20 d.db", p->directory);
        copy_file(p->path, path);
        assert_int_equal(ledger_check_file(path, &detail), 0);
        assert_null(detail);
        assert_int_equal(raw_sql(path, "DELETE FROM reminder; DELETE FROM parcel", false),
                         SQLITE_OK); /* foreign keys are off there */
        assert_int_equal(ledger_check_file(path, &detail), -EUCLEAN);
        assert_non_null(strstr(detail, "pickup_code"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_backup_taken_while_writing_is_a_whole_ledger),
                TEST(test_backup_name_in_use_never_overwritten),
                TEST(test_backup_given_up_leaves_nothing),
                TEST(test_check_file_with_odd_name_and_broken_reference),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
