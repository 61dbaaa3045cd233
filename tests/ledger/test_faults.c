/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails or is full, at every single write, sync, truncation and map of an operation: a shim below
 * SQLite does it. */
#include "shim.h"
#include "ledger/codes.h"
#include "ledger/events.h"
#include "ledger/lockouts.h"
#include "ledger/credentials.h"
#include "ledger/people.h"
#include "ledger/sessions.h"
#include "ledger/slots.h"
#include "support.h"

#include <signal.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

/* The linker puts this one in front of libc's (see meson.build): the kernel does not make a file system
 * read-only that has files open for writing, except when its disk fails. */
static unsigned read_only_after; /* calls; 0: never */
int __real_statvfs64(const char *path, struct statvfs *ret);
int __wrap_statvfs64(const char *path, struct statvfs *ret);
int __wrap_statvfs64(const char *path, struct statvfs *ret) {
        int r = __real_statvfs64(path, ret);

        if (r == 0 && read_only_after > 0 && --read_only_after == 0) {
                ret->f_flag |= ST_RDONLY;
                read_only_after = 1; /* and stays so */
        }
        return r;
}

#if defined(__SANITIZE_ADDRESS__)
#define STRIDE 9
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STRIDE 9
#endif
#endif
#ifndef STRIDE
#define STRIDE 1
#endif

static void heal(void) {
        fault = (Fault){0};
}

static void test_commit_costs_one_sync(void **state) {
        Ledger *l = ((Place *)*state)->ledger;

        assert_int_equal(deposit(l, "1", 1, "AAAAAA"), 1);
        for (unsigned i = 2; i < 12; i++) {
                char code[8];
                snprintf(code, sizeof(code), "%06u", i);
                fault.syncs = 0;
                assert_int_equal(deposit(l, "1", i, code), i);
                assert_int_equal(fault.syncs, 1);
        }
}

/* One of each thing that is written. Stops at the first error. */
static int a_days_work(Ledger *l) {
        const Now now = at(4);
        PersonRow person = {.kind = PERSON_COURIER, .number = "7", .name = (char *)"N", .enrolled = 1};
        LockoutRow lockout = {.subject = "terminal:kiosk", .lockout = {.failures = 1}};
        uint64_t session;
        int64_t id = deposit(l, "2", 1, "BBBBBB");

        int r = id < 0 ? (int)id : collect(l, 1);
        if (r >= 0)
                r = ledger_person_insert(l, &person);
        if (r >= 0)
                r = ledger_credential_set(l, person.id, "pin", (const uint8_t *)"x", 1, NULL, 7);
        if (r >= 0)
                r = ledger_session_begin(l, "courier", "kiosk", &now, &session);
        if (r >= 0)
                r = ledger_session_end(l, session, "ended", &now);
        if (r >= 0)
                r = ledger_lockout_put(l, &lockout);
        if (r >= 0)
                r = ledger_service_set(l, "2", 0, SERVICE_DISABLED, "x");
        if (r >= 0)
                r = ledger_outbox_acknowledge(l, 0, 1);
        if (r >= 0)
                r = ledger_person_revoke(l, person.id, 5);
        return r < 0 ? r : ledger_checkpoint(l);
}

/* A copy of what is on the disk this instant is what a power cut would leave: it must open, and be
 * consistent. */
static void assert_survives_power_cut(const Place *p) {
        char copy[128], wal[128], wal_copy[160];

        snprintf(copy, sizeof(copy), "%s/copy.db", p->directory);
        snprintf(wal, sizeof(wal), "%s-wal", p->path);
        snprintf(wal_copy, sizeof(wal_copy), "%s-wal", copy);
        copy_file(p->path, copy);
        copy_file(wal, wal_copy);
        assert_consistent(copy);
        unlink(copy);
        unlink(wal_copy);
}

static void one_fault(Place *p, const char *template, Fault f, int *ret_hits) {
        char wal[128];

        snprintf(wal, sizeof(wal), "%s-wal", p->path);
        unlink(wal);
        copy_file(template, p->path);
        place_open(p);
        fault = f;
        int r = a_days_work(p->ledger);
        *ret_hits = fault.hits;
        heal();
        if (r < 0 && r != -EIO && r != -ENOSPC)
                fail_msg("fault %d: %s", f.countdown, strerror(-r));
        if (f.error == SQLITE_FULL && f.lasting && *ret_hits > 0 && r == 0)
                fail_msg("fault %d: the disk was full and nobody noticed", f.countdown);
        /* No transaction is left open, the daemon can read and go on writing. */
        assert_true(sqlite3_get_autocommit(p->ledger->db));
        assert_survives_power_cut(p);
        int64_t parcels = number(p->ledger, "SELECT count(*) FROM parcel");
        int64_t id = deposit(p->ledger, "3", 1, "CCCCCC");
        if (id < 0)
                fail_msg("fault %d: not healed: %s", f.countdown, strerror((int)-id));
        assert_int_equal(number(p->ledger, "SELECT count(*) FROM parcel"), parcels + 1);
        assert_survives_power_cut(p);
        place_close(p);
        assert_consistent(p->path);
        place_open(p);
        place_close(p);
}

/* Each write and sync in turn; with sanitizers, which make each run ten times slower, every ninth: the other
 * build has them all. */
static void each_fault(Place *p, Fault kind, int first) {
        char template[128];
        int runs = 0;

        assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
        place_close(p);
        snprintf(template, sizeof(template), "%s/template.db", p->directory);
        copy_file(p->path, template);
        for (int n = first, hits = 1; hits > 0; n += STRIDE, runs++) {
                Fault f = kind;
                f.countdown = n;
                one_fault(p, template, f, &hits);
        }
        print_message("%d faults\n", runs);
        assert_true(runs * STRIDE > 100);
}

/* Requirement: F4 */
static void test_every_write_full_once_leaves_ledger_consistent(void **state) {
        each_fault(*state, (Fault){.error = SQLITE_FULL}, 1);
}

/* Requirement: F4 */
static void test_every_write_full_from_then_on_leaves_ledger_consistent(void **state) {
        each_fault(*state, (Fault){.error = SQLITE_FULL, .lasting = true}, 2);
}

/* Requirement: F4 */
static void test_every_write_torn_once_leaves_ledger_consistent(void **state) {
        each_fault(*state, (Fault){.error = SQLITE_IOERR, .torn = true}, STRIDE);
}

/* Requirement: F4 */
static void test_every_write_torn_from_then_on_leaves_ledger_consistent(void **state) {
        each_fault(*state, (Fault){.error = SQLITE_IOERR, .torn = true, .lasting = true}, 1);
}

static void test_fault_while_opening_new_ledger_next_opening_is_good(void **state) {
        Place *p = *state;
        char wal[128];
        int hits = 1, n;

        snprintf(wal, sizeof(wal), "%s-wal", p->path);
        for (n = 1; hits > 0; n += STRIDE) {
                _cleanup_(vault_freep) Vault *v = test_vault(1);
                _cleanup_free_ char *detail = NULL;
                LedgerProblem problem = LEDGER_PROBLEM_NONE;

                unlink(p->path);
                unlink(wal);
                fault = (Fault){.countdown = n, .error = SQLITE_FULL, .lasting = n % 2 == 0};
                int r = ledger_open(&p->ledger, p->path, v, &problem, &detail);
                hits = fault.hits;
                heal();
                if (r >= 0) {
                        v = NULL;
                        place_close(p);
                } else if (problem != LEDGER_PROBLEM_FULL && problem != LEDGER_PROBLEM_IO)
                        fail_msg("fault %d: problem %d, %s", n, (int)problem, detail);
                place_open(p);
                assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
                place_close(p);
                assert_consistent(p->path);
        }
        assert_true(n > 5);
}

static void test_fault_while_backing_up_ledger_unharmed_and_no_backup(void **state) {
        Place *p = *state;
        char path[128];
        int hits = 1;

        assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
        snprintf(path, sizeof(path), "%s/backup.db", p->directory);
        for (int n = 1; hits > 0; n++) {
                LedgerBackup *b = NULL;
                bool done = false;

                fault = (Fault){.countdown = n, .error = SQLITE_FULL, .lasting = true};
                int r = ledger_backup_begin(p->ledger, path, &b);
                for (int i = 0; i < 1000 && r >= 0 && !done; i++)
                        r = ledger_backup_step(b, 2, &done);
                int k = b ? ledger_backup_end(b, NULL) : r;
                hits = fault.hits;
                heal();
                if (hits > 0) {
                        assert_true(k < 0);
                        assert_int_not_equal(access(path, F_OK), 0);
                } else
                        assert_int_equal(k, 0);
        }
        assert_consistent(path);
        assert_consistent(p->path);
}

/* Fills until nothing goes any more, in a child of its own; 0 when all was as it should be. */
static int fill_the_disk(const char *path) {
        LedgerProblem problem;
        Ledger *l = NULL;
        int64_t r = 0;
        unsigned n = 0;

        if (ledger_open(&l, path, test_vault(1), &problem, NULL) < 0)
                return 1;
        for (; n < 20000 && r >= 0; n++) {
                char code[8];
                snprintf(code, sizeof(code), "%06u", n);
                r = deposit(l, "1", n + 1, code);
                if (ledger_wants_checkpoint(l))
                        (void)ledger_checkpoint(l); /* may fail first: no harm */
        }
        if (r != -ENOSPC)
                return 2;
        /* Nothing of the last one stays; everything before is readable; and it is not a matter of luck. */
        if (number(l, "SELECT count(*) FROM parcel") != n - 1 ||
            number(l, "SELECT count(*) FROM event") != n - 1)
                return 3;
        for (int i = 0; i < 5; i++) {
                uint64_t id;
                if (ledger_code_find(l, "000000", &id) < 0 || id != 1)
                        return 4;
                r = deposit(l, "2", 1, "XXXXXX");
                if (r >= 0) /* a smaller rest may still have fitted */
                        (void)collect(l, (uint64_t)r);
                else if (r != -ENOSPC)
                        return 5;
        }
        ledger_free(l);
        return 0;
}

/* Requirement: F4 */
static void test_disk_full_by_file_size_limit_fails_whole_and_reads_on(void **state) {
        Place *p = *state;
        int status;

        pid_t child = fork();
        if (child == 0) {
                const struct rlimit limit = {600000, 600000};
                signal(SIGXFSZ, SIG_IGN);
                _exit(setrlimit(RLIMIT_FSIZE, &limit) < 0 ? 9 : fill_the_disk(p->path));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_consistent(p->path);
        place_open(p);
        assert_true(deposit(p->ledger, "3", 1, "YYYYYY") > 0);
}

/* The same on a real file system without room; needs the right to mount. */
static void test_disk_full_on_small_file_system_fails_whole_and_reads_on(void **state) {
        Place *p = *state;
        int status;

        pid_t child = fork();
        if (child == 0) {
                if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                    mount("tmpfs", p->directory, "tmpfs", 0, "size=1100k") < 0)
                        _exit(77);
                int r = fill_the_disk(p->path);
                if (r == 0) {
                        place_open(p); /* still full: what is there can be read */
                        _exit(number(p->ledger, "SELECT count(*) FROM parcel") > 10 ? 0 : 8);
                }
                _exit(r);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) {
                print_message("SKIPPED: may not mount a tmpfs here; the limit of the file size was tried "
                              "instead\n");
                skip();
        }
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* At every point at which it may happen: what has been committed before stays, and nothing is taken for
 * committed after it. */
static void test_file_system_turns_read_only(void **state) {
        Place *p = *state;

        assert_int_equal(deposit(p->ledger, "1", 1, "AAAAAA"), 1);
        for (unsigned n = 1; n <= 3; n++) {
                int64_t before = number(p->ledger, "SELECT count(*) FROM parcel");
                read_only_after = n;
                assert_int_equal(deposit(p->ledger, "2", n, "BBBBBB"), -EROFS);
                assert_true(ledger_is_read_only(p->ledger));
                assert_true(sqlite3_get_autocommit(p->ledger->db));
                /* Before or in the commit: nothing of it; behind it: nobody relies on it. */
                int64_t after = number(p->ledger, "SELECT count(*) FROM parcel");
                assert_int_equal(after, before + (n == 3));
                assert_int_equal(deposit(p->ledger, "3", n, "CCCCCC"), -EROFS);
                read_only_after = 0;
                assert_false(ledger_is_read_only(p->ledger));
        }
        assert_true(deposit(p->ledger, "3", 1, "CCCCCC") > 0);
        assert_survives_power_cut(p);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, setup_ledger, teardown)
#define TEST_NEW(name) cmocka_unit_test_setup_teardown(name, setup_directory, teardown)

/* [PATTERN]: only the tests whose names match; !PATTERN: only the others. So the long ones run side by side.
 */
int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_file_system_turns_read_only),
                TEST(test_commit_costs_one_sync),
                TEST(test_every_write_full_once_leaves_ledger_consistent),
                TEST(test_every_write_full_from_then_on_leaves_ledger_consistent),
                TEST(test_every_write_torn_once_leaves_ledger_consistent),
                TEST(test_every_write_torn_from_then_on_leaves_ledger_consistent),
                TEST_NEW(test_fault_while_opening_new_ledger_next_opening_is_good),
                TEST(test_fault_while_backing_up_ledger_unharmed_and_no_backup),
                TEST_NEW(test_disk_full_by_file_size_limit_fails_whole_and_reads_on),
                TEST_NEW(test_disk_full_on_small_file_system_fails_whole_and_reads_on),
        };

        if (argc > 1 && argv[1][0] == '!')
                cmocka_set_skip_filter(argv[1] + 1);
        else if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, install_shim, NULL);
}
