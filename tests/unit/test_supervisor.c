/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor and a worker that the service manager starts: here the test is at the other end. */
#include "base/supervisor.h"
#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define UNANSWERED 2

typedef struct Owner {
        sd_event *event;
        Supervisor *supervisor;
        char folder[32], path[64];
        int listening, worker;
        bool gone;
} Owner;

static int started(void *userdata) {
        return 0;
}

static bool readable(void *userdata) {
        Owner *o = userdata;
        char word[8] = "";
        ssize_t n;

        while ((n = recv(supervisor_socket(o->supervisor), word, sizeof(word) - 1, MSG_DONTWAIT)) > 0)
                if (strcmp(word, "pong") == 0)
                        supervisor_heard(o->supervisor);
        return n < 0 && errno == EAGAIN;
}

static int ping(void *userdata, uint64_t number) {
        Owner *o = userdata;

        return send(supervisor_socket(o->supervisor), "ping", 4, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void gone(void *userdata, const char *sentence) {
        Owner *o = userdata;

        o->gone = true;
}

static int set_up(void **state) {
        static const SupervisorHandlers handlers = {started, readable, ping, gone};
        static const char *const no_fields[] = {NULL};
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        Owner *o = calloc(1, sizeof(*o));

        assert_non_null(o);
        strcpy(o->folder, "/tmp/supervisor.XXXXXX");
        assert_non_null(mkdtemp(o->folder));
        snprintf(o->path, sizeof(o->path), "%s/worker", o->folder);
        strcpy(address.sun_path, o->path);
        o->listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_true(o->listening >= 0);
        assert_int_equal(bind(o->listening, (const struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(o->listening, 4), 0);
        assert_int_equal(sd_event_new(&o->event), 0);
        SupervisorOptions options = {
                .program = o->path,
                .name = "The worker",
                .fields = no_fields,
                .unanswered = UNANSWERED,
                .first_pause = USEC_PER_SEC,
                .max_pause = USEC_PER_SEC,
        };
        assert_int_equal(supervisor_new(&o->supervisor, o->event, &options, &handlers, o), 0);
        supervisor_start(o->supervisor);
        while (!supervisor_is_running(o->supervisor))
                assert_true(sd_event_run(o->event, USEC_PER_SEC) >= 0);
        o->worker = accept(o->listening, NULL, NULL);
        assert_true(o->worker >= 0);
        *state = o;
        return 0;
}

static int tear_down(void **state) {
        Owner *o = *state;

        supervisor_free(o->supervisor);
        sd_event_unref(o->event);
        close(o->worker);
        close(o->listening);
        unlink(o->path);
        rmdir(o->folder);
        free(o);
        return 0;
}

/* Until the worker has been asked `pings` times. False: it was told to end. */
static bool asked(Owner *o, unsigned pings) {
        while (pings > 0) {
                char word[8];
                ssize_t n = recv(o->worker, word, sizeof(word), MSG_DONTWAIT);

                if (n == 0)
                        return false;
                if (n > 0)
                        pings--;
                else
                        assert_true(sd_event_run(o->event, USEC_PER_SEC / 5) >= 0);
        }
        return true;
}

static void say(Owner *o, const char *word) {
        assert_int_equal(send(o->worker, word, strlen(word), MSG_NOSIGNAL), strlen(word));
}

/* A board that boots has much to do. Its worker says its first word late, and its next one a little later:
 * what it was asked before the first is not held against it.
 * Requirement: F4 */
static void test_supervisor_waits_for_a_worker_that_starts_slowly(void **state) {
        Owner *o = *state;

        assert_true(asked(o, UNANSWERED + 2));
        say(o, "word");
        assert_true(asked(o, UNANSWERED));
        say(o, "pong");
        assert_true(asked(o, UNANSWERED));
        assert_false(o->gone);
}

/* Requirement: F4 */
static void test_supervisor_ends_a_worker_that_has_spoken_and_hangs(void **state) {
        Owner *o = *state;

        say(o, "word");
        assert_false(asked(o, UNANSWERED + 2));
        assert_false(o->gone); /* the service manager keeps its end until it has exited */
        close(o->worker);
        o->worker = -1;
        while (!o->gone)
                assert_true(sd_event_run(o->event, USEC_PER_SEC) >= 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_supervisor_waits_for_a_worker_that_starts_slowly, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_supervisor_ends_a_worker_that_has_spoken_and_hangs,
                                                set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
