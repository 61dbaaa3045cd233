/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolling and verifying against the real lockerd-hash, found in the directory that $WORKERS names. With the
 * argument "idle" only the test that waits for half a minute. */
#include "base/clock.h"
#include "base/text.h"
#include "identity/hash_wire.h"
#include "identity/identity.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#define FAST 10 /* log2 of scrypt's N */
#define SLOW 17 /* about half a second: time enough to be killed in */

static const uint8_t pepper[32] = "a pepper of thirty-two bytes...", other_pepper[32] = "another one";

typedef struct Outcome {
        unsigned calls;
        IdentityResult result;
        uint8_t data[HASH_DATA_MAX];
        size_t n_data;
        unsigned turn; /* the how manieth answer of the test */
} Outcome;

typedef struct Fixture {
        sd_event *event;
        Identity *identity;
} Fixture;

static Identity *new_identity(Fixture *f, unsigned log_n, const uint8_t *with_pepper) {
        const char *workers = getenv("WORKERS");

        assert_non_null(workers);
        assert_int_equal(identity_new(&f->identity, f->event, workers, log_n, with_pepper), 0);
        return f->identity;
}

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));

        if (!f || sd_event_new(&f->event) < 0)
                return -1;
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        identity_free(f->identity);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static void done(void *userdata, IdentityResult result, const uint8_t *data, size_t n_data) {
        static unsigned turns;
        Outcome *o = userdata;

        o->calls++;
        o->turn = ++turns;
        o->result = result;
        o->n_data = n_data;
        if (n_data > 0)
                memcpy(o->data, data, n_data);
}

/* Runs the loop until the job is answered, at most half a minute. */
static void wait_for(Fixture *f, const Outcome *o) {
        uint64_t end = clock_now().boot_usec + 30 * USEC_PER_SEC;

        while (o->calls == 0 && clock_now().boot_usec < end)
                assert_true(sd_event_run(f->event, 100 * USEC_PER_MSEC) >= 0);
        assert_int_equal(o->calls, 1);
}

static int enrol_pin(Identity *i, const char *secret, IdentityDone then, void *userdata, IdentityJob **ret) {
        return identity_enrol(i,
                              &(IdentityRequest){.kind = CREDENTIAL_PIN,
                                                 .evidence = secret,
                                                 .n_evidence = strlen(secret),
                                                 .done = then,
                                                 .userdata = userdata},
                              ret);
}

static int verify_pin(Identity *i, const char *secret, const uint8_t *data, size_t n, IdentityDone then,
                      void *userdata, IdentityJob **ret) {
        return identity_verify(i,
                               &(IdentityRequest){.kind = CREDENTIAL_PIN,
                                                  .evidence = secret,
                                                  .n_evidence = strlen(secret),
                                                  .templates = &(IdentityTemplate){data, n},
                                                  .n_templates = data != NULL,
                                                  .done = then,
                                                  .userdata = userdata},
                               ret);
}

static Outcome enrol(Fixture *f, const char *secret) {
        Outcome o = {0};

        assert_int_equal(enrol_pin(f->identity, secret, done, &o, NULL), 0);
        assert_int_equal(o.calls, 0);
        wait_for(f, &o);
        return o;
}

static IdentityResult verify(Fixture *f, const char *secret, const uint8_t *data, size_t n_data) {
        Outcome o = {0};

        assert_int_equal(verify_pin(f->identity, secret, data, n_data, done, &o, NULL), 0);
        assert_int_equal(o.calls, 0);
        wait_for(f, &o);
        assert_int_equal(o.n_data, o.result == IDENTITY_MATCH);
        return o.result;
}

/* Our children, by /proc: the client does not tell and need not. Returns 0 when there is none. */
static pid_t worker_pid(void) {
        DIR *d = opendir("/proc");
        pid_t found = 0;

        assert_non_null(d);
        for (struct dirent *e; !found && (e = readdir(d));) {
                char path[300], line[512] = "";
                if (!isdigit((unsigned char)e->d_name[0]))
                        continue;
                snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
                FILE *f = fopen(path, "re");
                if (!f)
                        continue;
                char *p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
                fclose(f);
                char status;
                int parent;
                if (p && sscanf(p, ") %c %d", &status, &parent) == 2 && parent == getpid() && status != 'Z')
                        found = (pid_t)atoi(e->d_name);
        }
        closedir(d);
        return found;
}

static void test_identity_enrolled_secret_matches_and_no_other(void **state) {
        static const char *const wrong[] = {"12345", "1234567", "", "123457", "6 54321", "123456 "};
        Fixture *f = *state;

        new_identity(f, FAST, pepper);
        Outcome o = enrol(f, "123456");
        assert_int_equal(o.result, IDENTITY_ENROLLED);
        assert_in_range(o.n_data, 48, HASH_DATA_MAX);
        assert_int_equal(verify(f, "123456", o.data, o.n_data), IDENTITY_MATCH);
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                assert_int_equal(verify(f, wrong[i], o.data, o.n_data), IDENTITY_NO_MATCH);
        assert_int_equal(verify(f, "123456", o.data, o.n_data), IDENTITY_MATCH);
}

static void test_identity_data_differs_each_time_and_hides_the_secret(void **state) {
        Fixture *f = *state;

        new_identity(f, FAST, pepper);
        Outcome a = enrol(f, "correct horse 张三"), b = enrol(f, "correct horse 张三");
        assert_int_equal(a.n_data, b.n_data);
        assert_memory_not_equal(a.data, b.data, a.n_data);
        assert_null(memmem(a.data, a.n_data, "horse", 5));
        assert_int_equal(verify(f, "correct horse 张三", b.data, b.n_data), IDENTITY_MATCH);
}

static void test_identity_data_is_useless_without_the_pepper(void **state) {
        Fixture *f = *state;

        new_identity(f, FAST, pepper);
        Outcome o = enrol(f, "secret password");
        f->identity = identity_free(f->identity);
        new_identity(f, FAST, other_pepper);
        assert_int_equal(verify(f, "secret password", o.data, o.n_data), IDENTITY_NO_MATCH);
}

static void test_identity_verifies_with_the_cost_it_was_enrolled_with(void **state) {
        Fixture *f = *state;

        new_identity(f, FAST, pepper);
        Outcome o = enrol(f, "secret password");
        f->identity = identity_free(f->identity);
        new_identity(f, 16, pepper); /* 64 MiB: more than OpenSSL allows by itself */
        assert_int_equal(verify(f, "secret password", o.data, o.n_data), IDENTITY_MATCH);
        o = enrol(f, "secret password");
        assert_int_equal(o.result, IDENTITY_ENROLLED);
        assert_int_equal(verify(f, "secret password", o.data, o.n_data), IDENTITY_MATCH);
}

static uint64_t fastest(Fixture *f, const uint8_t *data, size_t n_data) {
        uint64_t best = UINT64_MAX;

        for (int i = 0; i < 7; i++) {
                uint64_t start = clock_now().boot_usec;
                assert_int_equal(verify(f, "not it", data, n_data), IDENTITY_NO_MATCH);
                best = MIN(best, clock_now().boot_usec - start);
        }
        return best;
}

static void test_identity_nobody_takes_as_long_as_somebody(void **state) {
        Fixture *f = *state;

        new_identity(f, 14, pepper);
        Outcome o = enrol(f, "secret password");
        uint64_t somebody = fastest(f, o.data, o.n_data), nobody = fastest(f, NULL, 0);
        assert_in_range(nobody, somebody / 2, somebody * 2);
}

static void test_identity_broken_data_is_neither_yes_nor_no(void **state) {
        Fixture *f = *state;

        new_identity(f, FAST, pepper);
        Outcome o = enrol(f, "123456");
        static const struct {
                size_t at;
                uint8_t value;
        } damages[] = {
                {0, 0},  {0, 2}, /* version */
                {1, 0},  {1, 9},   {1, 21}, {1, 31},
                {1, 63}, {1, 255},                    /* cost: none, or all the memory there is */
                {2, 0},  {2, 255}, {3, 0},  {3, 255}, /* block size, parallelism */
        };
        for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
                uint8_t data[HASH_DATA_MAX];
                memcpy(data, o.data, o.n_data);
                data[damages[i].at] = damages[i].value;
                assert_int_equal(verify(f, "123456", data, o.n_data), IDENTITY_FAILED);
        }
        for (size_t n = 0; n < o.n_data; n += 17)
                assert_int_equal(verify(f, "123456", o.data, n), IDENTITY_FAILED);
        assert_int_equal(verify(f, "123456", o.data, o.n_data + 1), IDENTITY_FAILED);
        for (size_t at = 4; at < o.n_data; at += 5) { /* salt and hash */
                uint8_t data[HASH_DATA_MAX];
                memcpy(data, o.data, o.n_data);
                data[at] ^= 1;
                assert_int_equal(verify(f, "123456", data, o.n_data), IDENTITY_NO_MATCH);
        }
        assert_int_equal(verify(f, "123456", o.data, o.n_data), IDENTITY_MATCH);
}

static void test_identity_worker_killed_in_the_middle_fails_that_job_only(void **state) {
        Fixture *f = *state;
        Outcome under_way = {0}, waiting = {0};

        new_identity(f, SLOW, pepper);
        assert_int_equal(enrol_pin(f->identity, "123456", done, &under_way, NULL), 0);
        assert_int_equal(enrol_pin(f->identity, "123456", done, &waiting, NULL), 0);
        assert_true(sd_event_run(f->event, 50 * USEC_PER_MSEC) >= 0);
        pid_t first = worker_pid();
        assert_true(first > 0);
        assert_int_equal(kill(first, SIGKILL), 0);

        wait_for(f, &under_way);
        assert_int_equal(under_way.result, IDENTITY_FAILED);
        wait_for(f, &waiting);
        assert_int_equal(waiting.result, IDENTITY_ENROLLED);
        assert_int_not_equal(worker_pid(), first);
}

static void test_identity_worker_killed_while_idle_is_replaced(void **state) {
        Fixture *f = *state;

        new_identity(f, FAST, pepper);
        assert_int_equal(worker_pid(), 0); /* on demand only */
        Outcome o = enrol(f, "123456");
        for (int noticed = 0; noticed < 2; noticed++) {
                pid_t pid = worker_pid();
                assert_true(pid > 0);
                assert_int_equal(kill(pid, SIGKILL), 0);
                while (worker_pid() == pid)
                        usleep(1000);
                if (noticed)
                        assert_true(sd_event_run(f->event, 100 * USEC_PER_MSEC) >= 0);
                assert_int_equal(verify(f, "123456", o.data, o.n_data), IDENTITY_MATCH);
        }
}

static void test_identity_worker_that_hangs_fails_the_job_after_ten_seconds(void **state) {
        Fixture *f = *state;
        Outcome o = {0};

        new_identity(f, FAST, pepper);
        Outcome enrolled = enrol(f, "123456");
        assert_int_equal(kill(worker_pid(), SIGSTOP), 0);
        uint64_t start = clock_now().boot_usec;
        assert_int_equal(verify_pin(f->identity, "123456", enrolled.data, enrolled.n_data, done, &o, NULL),
                         0);
        wait_for(f, &o);
        assert_int_equal(o.result, IDENTITY_FAILED);
        assert_in_range(clock_now().boot_usec - start, 9 * USEC_PER_SEC, 15 * USEC_PER_SEC);
        assert_int_equal(verify(f, "123456", enrolled.data, enrolled.n_data), IDENTITY_MATCH);
}

static void test_identity_cancelled_jobs_are_never_called_back(void **state) {
        Fixture *f = *state;
        Outcome under_way = {0}, waiting = {0}, last = {0};
        IdentityJob *a, *b;

        new_identity(f, 12, pepper);
        assert_int_equal(enrol_pin(f->identity, "123456", done, &under_way, &a), 0);
        assert_int_equal(enrol_pin(f->identity, "123456", done, &waiting, &b), 0);
        assert_int_equal(enrol_pin(f->identity, "123456", done, &last, NULL), 0);
        identity_cancel(a);
        identity_cancel(b);
        identity_cancel(NULL);
        wait_for(f, &last);
        assert_int_equal(last.result, IDENTITY_ENROLLED);
        assert_int_equal(under_way.calls + waiting.calls, 0);
}

/* Compares with both, and with nothing until there have been four. */
static void compare_with_two(Fixture *f, const char *secret, const Outcome *a, const Outcome *b, Outcome *o,
                             IdentityJob **ret) {
        const IdentityTemplate templates[] = {{a->data, a->n_data}, {b->data, b->n_data}};

        assert_int_equal(identity_verify(f->identity,
                                         &(IdentityRequest){.kind = CREDENTIAL_PIN,
                                                            .evidence = secret,
                                                            .n_evidence = strlen(secret),
                                                            .templates = templates,
                                                            .n_templates = ARRAY_SIZE(templates),
                                                            .comparisons = IDENTITY_CANDIDATES_MAX,
                                                            .done = done,
                                                            .userdata = o},
                                         ret),
                         0);
}

static void test_identity_of_several_a_single_one_must_match(void **state) {
        Fixture *f = *state;

        new_identity(f, FAST, pepper);
        Outcome a = enrol(f, "258036"), b = enrol(f, "739164"), same = enrol(f, "258036");
        Outcome first = {0}, second = {0}, neither = {0}, both = {0};
        compare_with_two(f, "258036", &a, &b, &first, NULL);
        compare_with_two(f, "739164", &a, &b, &second, NULL);
        compare_with_two(f, "111111", &a, &b, &neither, NULL);
        compare_with_two(f, "258036", &a, &same, &both, NULL);
        wait_for(f, &both);
        assert_int_equal(first.calls + second.calls + neither.calls, 3);
        assert_int_equal(first.result, IDENTITY_MATCH);
        assert_int_equal(first.n_data, 1);
        assert_int_equal(first.data[0], 0);
        assert_int_equal(second.result, IDENTITY_MATCH);
        assert_int_equal(second.data[0], 1);
        assert_int_equal(neither.result, IDENTITY_NO_MATCH);
        assert_int_equal(both.result, IDENTITY_NO_MATCH);
        assert_int_equal(both.n_data, 0);
}

static void test_identity_cancelled_between_two_comparisons_makes_no_more(void **state) {
        Fixture *f = *state;
        Outcome cancelled = {0}, next = {0};
        IdentityJob *job;

        new_identity(f, FAST, pepper);
        Outcome a = enrol(f, "258036"), b = enrol(f, "739164");
        compare_with_two(f, "739164", &a, &b, &cancelled, &job);
        identity_cancel(job);
        compare_with_two(f, "739164", &a, &b, &next, NULL);
        wait_for(f, &next);
        assert_int_equal(next.result, IDENTITY_MATCH);
        assert_int_equal(cancelled.calls, 0);
}

static void test_identity_jobs_are_answered_in_their_order(void **state) {
        Fixture *f = *state;
        Outcome o[8] = {0};

        new_identity(f, FAST, pepper);
        for (size_t i = 0; i < ARRAY_SIZE(o); i++)
                assert_int_equal(enrol_pin(f->identity, "123456", done, &o[i], NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(o); i++) {
                wait_for(f, &o[i]);
                assert_true(i == 0 || o[i].turn == o[i - 1].turn + 1);
        }
}

static void test_identity_freed_with_jobs_calls_nobody(void **state) {
        Fixture *f = *state;
        Outcome a = {0}, b = {0};

        new_identity(f, SLOW, pepper);
        assert_int_equal(enrol_pin(f->identity, "123456", done, &a, NULL), 0);
        assert_int_equal(enrol_pin(f->identity, "123456", done, &b, NULL), 0);
        f->identity = identity_free(f->identity);
        assert_int_equal(worker_pid(), 0);
        assert_int_equal(a.calls + b.calls, 0);
}

static void test_identity_limits_are_refused(void **state) {
        Fixture *f = *state;
        Outcome o = {0};
        Identity *none = NULL;
        char secret[HASH_SECRET_MAX + 2] = "";
        uint8_t data[HASH_DATA_MAX + 1] = {0};
        int r = 0;

        assert_int_equal(identity_new(&none, f->event, "/", 9, pepper), -EINVAL);
        assert_int_equal(identity_new(&none, f->event, "/", 21, pepper), -EINVAL);
        assert_null(none);

        new_identity(f, FAST, pepper);
        memset(secret, 'x', HASH_SECRET_MAX);
        Outcome longest = enrol(f, secret);
        assert_int_equal(verify(f, secret, longest.data, longest.n_data), IDENTITY_MATCH);
        secret[HASH_SECRET_MAX] = 'x';
        assert_int_equal(enrol_pin(f->identity, secret, done, &o, NULL), -E2BIG);
        assert_int_equal(verify(f, secret, longest.data, longest.n_data), IDENTITY_NO_MATCH);
        assert_int_equal(verify_pin(f->identity, "x", data, sizeof(data), done, &o, NULL), -EINVAL);

        for (int i = 0; i < 1000 && r == 0; i++)
                r = enrol_pin(f->identity, "123456", done, &o, NULL);
        assert_int_equal(r, -ENOBUFS);
        f->identity = identity_free(f->identity);
        assert_int_equal(o.calls, 0);
}

static void test_identity_without_worker_says_so_at_once(void **state) {
        Fixture *f = *state;
        Outcome o = {0};
        IdentityJob *job = NULL;

        assert_int_equal(identity_new(&f->identity, f->event, "/nonexistent", FAST, pepper), 0);
        assert_int_equal(enrol_pin(f->identity, "123456", done, &o, &job), -ENOENT);
        assert_true(sd_event_run(f->event, 0) >= 0);
        assert_int_equal(o.calls, 0);
        assert_null(job);
}

static void again(void *userdata, IdentityResult result, const uint8_t *data, size_t n_data) {
        Fixture *f = ((void **)userdata)[0];

        assert_int_equal(result, IDENTITY_ENROLLED);
        assert_int_equal(verify_pin(f->identity, "123456", data, n_data, done, ((void **)userdata)[1], NULL),
                         0);
}

static void test_identity_callback_may_put_in_the_next_job(void **state) {
        Fixture *f = *state;
        Outcome o = {0};
        void *both[] = {f, &o};

        new_identity(f, FAST, pepper);
        assert_int_equal(enrol_pin(f->identity, "123456", again, both, NULL), 0);
        wait_for(f, &o);
        assert_int_equal(o.result, IDENTITY_MATCH);
}

static void test_identity_worker_started_by_hand_leaves(void **state) {
        _cleanup_free_ char *path = text_printf("%s/lockerd-hash", getenv("WORKERS"));
        int status;

        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                close(HASH_WIRE_FD);
                close(STDERR_FILENO);
                execl(path, path, (char *)NULL);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
}

static void test_identity_idle_worker_leaves_after_half_a_minute(void **state) {
        Fixture *f = *state;
        uint64_t start = clock_now().boot_usec;

        new_identity(f, FAST, pepper);
        Outcome o = enrol(f, "123456");
        while (worker_pid() > 0 && clock_now().boot_usec - start < 60 * USEC_PER_SEC)
                assert_true(sd_event_run(f->event, USEC_PER_SEC) >= 0);
        assert_in_range(clock_now().boot_usec - start, 29 * USEC_PER_SEC, 40 * USEC_PER_SEC);
        assert_int_equal(verify(f, "123456", o.data, o.n_data), IDENTITY_MATCH);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                TEST(test_identity_enrolled_secret_matches_and_no_other),
                TEST(test_identity_data_differs_each_time_and_hides_the_secret),
                TEST(test_identity_data_is_useless_without_the_pepper),
                TEST(test_identity_verifies_with_the_cost_it_was_enrolled_with),
                TEST(test_identity_nobody_takes_as_long_as_somebody),
                TEST(test_identity_broken_data_is_neither_yes_nor_no),
                TEST(test_identity_worker_killed_in_the_middle_fails_that_job_only),
                TEST(test_identity_worker_killed_while_idle_is_replaced),
                TEST(test_identity_worker_that_hangs_fails_the_job_after_ten_seconds),
                TEST(test_identity_cancelled_jobs_are_never_called_back),
                TEST(test_identity_of_several_a_single_one_must_match),
                TEST(test_identity_cancelled_between_two_comparisons_makes_no_more),
                TEST(test_identity_jobs_are_answered_in_their_order),
                TEST(test_identity_freed_with_jobs_calls_nobody),
                TEST(test_identity_limits_are_refused),
                TEST(test_identity_without_worker_says_so_at_once),
                TEST(test_identity_callback_may_put_in_the_next_job),
                TEST(test_identity_worker_started_by_hand_leaves),
        };
        const struct CMUnitTest idle[] = {TEST(test_identity_idle_worker_leaves_after_half_a_minute)};

        if (argc > 1 && streq(argv[1], "idle"))
                return cmocka_run_group_tests(idle, NULL, NULL);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
