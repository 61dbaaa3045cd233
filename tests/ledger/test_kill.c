/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon is killed at random moments, a hundred times: what was committed is there, what was not is not,
 * and all of it fits. */
#include "support.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS 100

static int backup_step(Ledger *l, const char *path, LedgerBackup **b, unsigned i) {
        bool done = false;
        char target[160];

        if (!*b) {
                snprintf(target, sizeof(target), "%s.backup-%d-%u", path, (int)getpid(), i);
                return ledger_backup_begin(l, target, b);
        }
        int r = ledger_backup_step(*b, 1, &done);
        return r;
}

static void work_until_killed(const char *path, volatile uint64_t *committed) {
        LedgerProblem problem;
        LedgerBackup *backup = NULL;
        Ledger *l = NULL;

        if (ledger_open(&l, path, test_vault(1), &problem, NULL) < 0)
                _exit(1);
        for (unsigned i = 0;; i++) {
                char code[8];
                snprintf(code, sizeof(code), "%06u", i % 1000000);
                int64_t id = deposit(l, "1", i % 3 + 1, code);
                if (id == -EEXIST) { /* left by the one before: fetch it, which frees place and code */
                        id = number(l, "SELECT min(id) FROM parcel");
                        if (collect(l, (uint64_t)id) < 0)
                                _exit(2);
                        ++*committed;
                        continue;
                }
                if (id < 0)
                        _exit(3);
                ++*committed;
                if (i % 3 && collect(l, (uint64_t)id) >= 0)
                        ++*committed;
                if (i % 7 == 0 && ledger_checkpoint(l) < 0)
                        _exit(4);
                if (i % 5 == 0 && backup_step(l, path, &backup, i) < 0)
                        _exit(5);
        }
}

static void nap(long nsec) {
        const struct timespec t = {.tv_nsec = nsec};

        nanosleep(&t, NULL);
}

/* Requirement: F4, F10 */
static void test_kill_at_random_moments_nothing_lost_nothing_half(void **state) {
        Place *p = *state;
        volatile uint64_t *committed =
                mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        unsigned seed = (unsigned)time(NULL);
        unsigned working = 0;

        assert_ptr_not_equal(committed, MAP_FAILED);
        print_message("seed %u\n", seed);
        for (int i = 0; i < ROUNDS; i++) {
                int status;
                uint64_t before = *committed;
                pid_t child = fork();
                assert_true(child >= 0);
                if (child == 0)
                        work_until_killed(p->path, committed);
                /* From the first moments of opening to well into the work. */
                if (i % 4)
                        for (int k = 0; k < 500 && *committed == before; k++)
                                nap(1000000);
                nap(rand_r(&seed) % 20000000);
                kill(child, SIGKILL);
                assert_int_equal(waitpid(child, &status, 0), child);
                if (!WIFSIGNALED(status))
                        fail_msg("round %d: the child left by itself with %d", i, WEXITSTATUS(status));
                working += *committed > before;
                place_open(p);
                int64_t events = number(p->ledger, "SELECT count(*) FROM event");
                /* One more may have been committed than the child came to count. */
                assert_in_range(events, *committed, *committed + 1);
                *committed = (uint64_t)events;
                if (i % 10 == 9)
                        assert_consistent(p->path);
                place_close(p);
        }
        assert_consistent(p->path);
        assert_in_range(working, ROUNDS / 2, ROUNDS);
        print_message("%llu commits\n", (unsigned long long)*committed);
        munmap((void *)committed, 4096);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_kill_at_random_moments_nothing_lost_nothing_half,
                                                setup_directory, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
