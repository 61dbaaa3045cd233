/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "ledger/codes.h"
#include "ledger/migrations.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void test_open_nothing_there_made_private_and_complete(void **state) {
        Place *p = *state;
        struct stat st;
        char wal[128];

        place_open(p);
        assert_int_equal(stat(p->path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        snprintf(wal, sizeof(wal), "%s-wal", p->path);
        assert_int_equal(stat(wal, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(number(p->ledger, "PRAGMA user_version"), ledger_n_migrations);
        assert_int_equal(number(p->ledger, "PRAGMA application_id"), APPLICATION_ID);
        assert_int_equal(number(p->ledger, "PRAGMA synchronous"), 2);
        assert_int_equal(number(p->ledger, "PRAGMA foreign_keys"), 1);
        assert_int_equal(number(p->ledger, "PRAGMA secure_delete"), 1);
        assert_int_equal(
                number(p->ledger,
                       "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
                       "AND name NOT LIKE 'sqlite_%' AND NOT strict"),
                0);
        assert_int_equal(
                number(p->ledger, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND strict"),
                25);
}

static void test_open_zero_length_is_new(void **state) {
        Place *p = *state;

        write_file(p->path, "", 0);
        place_open(p);
        assert_true(deposit(p->ledger, "1", 1, "AAAAAA") > 0);
}

static void test_open_again_finds_everything(void **state) {
        Place *p = *state;
        uint64_t id = 0;

        place_open(p);
        assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
        place_close(p);
        place_open(p);
        assert_int_equal(ledger_code_find(p->ledger, "AAAAAA", &id), 0);
        assert_int_equal(id, 1);
}

static void test_open_held_by_another_refused_but_readable(void **state) {
        Place *p = *state;
        _cleanup_free_ char *detail = NULL;

        place_open(p);
        assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
        Place other = *p;
        other.ledger = NULL;
        assert_refused(&other, 1, LEDGER_PROBLEM_LOCKED);
        pid_t child = fork();
        if (child == 0) {
                Ledger *l = NULL;
                LedgerProblem problem = LEDGER_PROBLEM_NONE;
                (void)ledger_open(&l, p->path, test_vault(1), &problem, NULL);
                _exit(problem == LEDGER_PROBLEM_LOCKED && ledger_check_file(p->path, NULL) == 0 ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(ledger_check_file(p->path, &detail), 0);
        place_close(p);
        place_open(p);
}

/* As the child of a daemon that was killed while it started a worker. */
static void test_open_held_for_a_moment_is_waited_for(void **state) {
        Place *p = *state;
        char path[128];
        int ready[2], status;

        place_open(p);
        place_close(p);
        snprintf(path, sizeof(path), "%s.lock", p->path);
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        if (child == 0) {
                int fd = open(path, O_RDWR | O_CLOEXEC);
                if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || write(ready[1], "", 1) != 1)
                        _exit(1);
                usleep(200000);
                _exit(0);
        }
        char byte;
        assert_int_equal(read(ready[0], &byte, 1), 1);
        place_open(p);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        close(ready[0]);
        close(ready[1]);
}

static void test_open_wrong_key_refused_and_untouched(void **state) {
        Place *p = *state;

        place_open(p);
        assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
        place_close(p);
        assert_refused(p, 2, LEDGER_PROBLEM_WRONG_KEY);
        place_open(p);
}

static void test_open_newer_version_refused(void **state) {
        Place *p = *state;

        place_open(p);
        place_close(p);
        assert_int_equal(raw_sql(p->path, "PRAGMA user_version = 99", false), SQLITE_OK);
        assert_refused(p, 1, LEDGER_PROBLEM_NEWER);
        assert_int_equal(raw_number(p->path, "PRAGMA user_version"), 99);
}

static void test_open_other_programs_database_refused(void **state) {
        Place *p = *state;

        assert_int_equal(raw_sql(p->path, "CREATE TABLE bookmark (url)", false), SQLITE_OK);
        assert_refused(p, 1, LEDGER_PROBLEM_DAMAGED);
}

static void test_open_garbage_refused(void **state) {
        Place *p = *state;
        uint8_t garbage[8192];

        memset(garbage, 0x5a, sizeof(garbage));
        write_file(p->path, garbage, sizeof(garbage));
        assert_refused(p, 1, LEDGER_PROBLEM_DAMAGED);
        write_file(p->path, garbage, 100);
        assert_refused(p, 1, LEDGER_PROBLEM_DAMAGED);
        memset(garbage, 0, sizeof(garbage)); /* what some file systems leave after a power cut */
        write_file(p->path, garbage, sizeof(garbage));
        assert_refused(p, 1, LEDGER_PROBLEM_DAMAGED);
}

static void test_open_truncated_refused(void **state) {
        Place *p = *state;
        struct stat st;

        place_open(p);
        for (unsigned i = 1; i <= 60; i++) {
                char code[8];
                snprintf(code, sizeof(code), "%06u", i);
                assert_true(deposit(p->ledger, "1", i, code) > 0);
        }
        place_close(p);
        assert_int_equal(stat(p->path, &st), 0);
        for (off_t size = st.st_size - 4096; size > 0; size -= 4096) {
                char copy[112];
                Place q = *p;
                snprintf(copy, sizeof(copy), "%s2", p->path);
                copy_file(p->path, copy);
                assert_int_equal(truncate(copy, size), 0);
                memcpy(q.path, copy, sizeof(q.path));
                assert_refused(&q, 1, LEDGER_PROBLEM_DAMAGED);
        }
}

/* Every page of the present that is overwritten is noticed at start or by the check of the whole file; at
 * start at least those of the live parcels. */
static void test_open_page_overwritten_noticed(void **state) {
        Place *p = *state;
        struct stat st;
        char junk[4096];
        uint64_t parcel_root;

        place_open(p);
        for (unsigned i = 1; i <= 40; i++) {
                char code[8];
                snprintf(code, sizeof(code), "%06u", i);
                assert_true(deposit(p->ledger, "1", i, code) > 0);
        }
        parcel_root = (uint64_t)number(p->ledger, "SELECT rootpage FROM sqlite_schema WHERE name = 'parcel'");
        place_close(p);
        memset(junk, 0xa5, sizeof(junk));
        assert_int_equal(stat(p->path, &st), 0);
        for (uint64_t page = 1; page <= (uint64_t)st.st_size / 4096; page++) {
                Place q = *p;
                _cleanup_(vault_freep) Vault *v = test_vault(1);
                _cleanup_free_ char *detail = NULL;
                LedgerProblem problem = LEDGER_PROBLEM_NONE;

                snprintf(q.path, sizeof(q.path), "%s/copy", p->directory);
                copy_file(p->path, q.path);
                int fd = open(q.path, O_WRONLY | O_CLOEXEC);
                assert_int_equal(pwrite(fd, junk, sizeof(junk), (off_t)(page - 1) * 4096), sizeof(junk));
                close(fd);
                q.ledger = NULL;
                int r = ledger_open(&q.ledger, q.path, v, &problem, &detail);
                if (r >= 0) {
                        v = NULL;
                        place_close(&q);
                        assert_true(page != parcel_root);
                        if (ledger_check_file(q.path, NULL) != -EUCLEAN)
                                fail_msg("page %d is overwritten and nobody notices", (int)page);
                } else
                        assert_int_equal(problem, LEDGER_PROBLEM_DAMAGED);
        }
}

static void test_open_index_without_row_noticed(void **state) {
        Place *p = *state;

        place_open(p);
        assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
        assert_int_equal(deposit(p->ledger, "2", 1, "BBBBBB"), 2);
        place_close(p);
        /* The table without the index of safety rule 3: two parcels in one place would not be noticed. */
        assert_int_equal(
                raw_sql(p->path,
                        "PRAGMA writable_schema = ON; CREATE TABLE keep AS SELECT sql FROM sqlite_schema "
                        "WHERE name = "
                        "'parcel_place'; UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX parcel_place ON "
                        "parcel "
                        "(size, id) WHERE slot IS NOT NULL' WHERE name = 'parcel_place'; DROP TABLE keep",
                        false),
                SQLITE_OK);
        assert_refused(p, 1, LEDGER_PROBLEM_DAMAGED);
}

static void test_open_directory_not_writable_says_so(void **state) {
        Place *p = *state;

        place_open(p);
        place_close(p);
        char lock[128];
        snprintf(lock, sizeof(lock), "%s.lock", p->path);
        unlink(lock);
        assert_int_equal(chmod(p->directory, 0555), 0);
        pid_t child = fork();
        if (child == 0) {
                Ledger *l = NULL;
                LedgerProblem problem = LEDGER_PROBLEM_NONE;
                char *detail = NULL;
                /* Root may write everywhere. */
                if (geteuid() == 0 && setuid(65534) < 0)
                        _exit(2);
                int r = ledger_open(&l, p->path, test_vault(1), &problem, &detail);
                _exit(r < 0 && problem == LEDGER_PROBLEM_IO && detail ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(chmod(p->directory, 0700), 0);
        assert_int_equal(status, 0);
}

static void test_open_refused_sentences_all_there(void **state) {
        for (int i = LEDGER_PROBLEM_NONE; i <= LEDGER_PROBLEM_IO; i++)
                assert_true(strlen(ledger_problem_sentence((LedgerProblem)i)) > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_directory, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_open_nothing_there_made_private_and_complete),
                TEST(test_open_zero_length_is_new),
                TEST(test_open_again_finds_everything),
                TEST(test_open_held_by_another_refused_but_readable),
                TEST(test_open_held_for_a_moment_is_waited_for),
                TEST(test_open_wrong_key_refused_and_untouched),
                TEST(test_open_newer_version_refused),
                TEST(test_open_other_programs_database_refused),
                TEST(test_open_garbage_refused),
                TEST(test_open_truncated_refused),
                TEST(test_open_page_overwritten_noticed),
                TEST(test_open_index_without_row_noticed),
                TEST(test_open_directory_not_writable_says_so),
                cmocka_unit_test(test_open_refused_sentences_all_there),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
