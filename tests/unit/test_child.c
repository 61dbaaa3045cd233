/* SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <cmocka.h>

/* Runs a line of shell with its output in a pipe. */
static void run(const char *line, int fd_there, bool idle, char *ret, size_t size) {
        const char *argv[] = {"sh", "-c", line, NULL};
        int fds[2], status;
        size_t n = 0;
        pid_t pid;
        ssize_t r;

        assert_int_equal(pipe(fds), 0); /* without O_CLOEXEC: what is not closed for the child is seen */
        assert_int_equal(child_spawn("/bin/sh", argv, fds[1], fd_there, idle, &pid), 0);
        close(fds[1]);
        while ((r = read(fds[0], ret + n, size - 1 - n)) > 0)
                n += (size_t)r;
        ret[n] = 0;
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void test_spawn_gives_one_descriptor_and_closes_the_rest(void **state) {
        char out[256];

        run("for f in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$f ] && echo $f >&3; done; true", 3, false, out,
            sizeof(out));
        assert_string_equal(out, "3\n");
        run("for f in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$f ] && echo $f; done; echo end", STDOUT_FILENO,
            false, out, sizeof(out));
        assert_string_equal(out, "end\n");
}

static void test_spawn_descriptor_that_has_its_number_already_stays_open(void **state) {
        const char *argv[] = {"sh", "-c", "echo seen >&9", NULL};
        int fds[2], status;
        char out[16] = "";
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(dup3(fds[1], 9, O_CLOEXEC), 9);
        assert_int_equal(child_spawn("/bin/sh", argv, 9, 9, false, &pid), 0);
        close(9);
        close(fds[1]);
        assert_int_equal(read(fds[0], out, sizeof(out) - 1), 5);
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_string_equal(out, "seen\n");
}

static void test_spawn_signals_are_unblocked_and_default(void **state) {
        sigset_t blocked, before;
        char out[256];
        unsigned long mask, ignored;

        sigfillset(&blocked);
        assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, &before), 0);
        assert_true(signal(SIGTERM, SIG_IGN) != SIG_ERR);
        run("grep -E '^Sig(Blk|Ign):' /proc/self/status | cut -f2", STDOUT_FILENO, false, out, sizeof(out));
        signal(SIGTERM, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        assert_int_equal(sscanf(out, "%lx %lx", &mask, &ignored), 2);
        assert_int_equal(mask, 0);
        assert_int_equal(ignored & 0x7fffffff, 0); /* 32 and 33 are the C library's own */
}

static void test_spawn_idle_is_of_the_idle_class(void **state) {
        char out[256];

        /* proc_pid_stat(5): number 41 is the policy; SCHED_IDLE is 5, which the child has soon after its
         * start. */
        run("for i in $(seq 500); do p=$(cut -d' ' -f41 /proc/self/stat); [ $p = 5 ] && break; sleep 0.01; "
            "done; echo $p",
            STDOUT_FILENO, true, out, sizeof(out));
        assert_string_equal(out, "5\n");
        run("cut -d' ' -f41 /proc/self/stat", STDOUT_FILENO, false, out, sizeof(out));
        assert_string_equal(out, "0\n");
}

static void test_spawn_of_what_is_not_there_fails(void **state) {
        pid_t pid = 77;

        assert_int_equal(child_spawn("/nowhere/sh", (const char *const[]){"sh", NULL}, 0, 3, false, &pid),
                         -ENOENT);
        assert_int_equal(pid, 77);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_spawn_gives_one_descriptor_and_closes_the_rest),
                cmocka_unit_test(test_spawn_descriptor_that_has_its_number_already_stays_open),
                cmocka_unit_test(test_spawn_signals_are_unblocked_and_default),
                cmocka_unit_test(test_spawn_idle_is_of_the_idle_class),
                cmocka_unit_test(test_spawn_of_what_is_not_there_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
