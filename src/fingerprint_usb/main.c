/* SPDX-License-Identifier: Apache-2.0 */
/* lockerd-fingerprint-usb: a fingerprint reader at USB. Its messages: identity/matcher_wire.h. What it
 * reaches is its unit's to say: libfprint opens what is plugged in, whenever that is, so that nothing can be
 * given up before. */
#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "fingerprint_usb/worker.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

#define PROBE   (10 * USEC_PER_SEC) /* is it still there? */
#define MISSING (3 * USEC_PER_SEC)  /* is it there now? */

static bool set_up(void *userdata, const MatcherMessage *m) {
        Worker *w = userdata;

        w->end.ready = m->body.header.type == MATCHER_SETUP && !m->body.setup.baud;
        return w->end.ready;
}

/* Of whatever the reader is at nothing is wanted any more. */
static void stop_reader(Worker *w) {
        if (w->cancel)
                g_cancellable_cancel(w->cancel);
}

static gboolean hear(gint fd, GIOCondition condition, gpointer userdata) {
        Worker *w = userdata;

        matcher_end_receive(&w->end, set_up, w);
        if (w->end.leaving || w->end.attempt.cancelled)
                stop_reader(w);
        return w->end.leaving ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* The loop turns; and the time of an attempt ends. */
static gboolean tick(gpointer userdata) {
        Worker *w = userdata;

        worker_is_alive();
        if (w->end.attempt.number && clock_now().boot_usec >= w->end.attempt.until)
                stop_reader(w);
        return G_SOURCE_CONTINUE;
}

void worker_run_until(const bool *done) {
        while (!*done)
                g_main_context_iteration(NULL, TRUE);
}

static void serve(Worker *w) {
        while (!w->end.leaving) {
                if (w->end.attempt.number) {
                        attempt_run(w);
                        w->probe_at = clock_now().boot_usec + (w->end.health.problem ? MISSING : PROBE);
                } else if (w->end.ready && clock_now().boot_usec >= w->probe_at)
                        w->probe_at = clock_now().boot_usec + (reader_look(w) ? MISSING : PROBE);
                else
                        g_main_context_iteration(NULL, TRUE);
        }
}

int main(int argc, char *argv[]) {
        static Worker w = {.end = MATCHER_END("fingerprint")};

        worker_begin(argc, argv);
        (void)signal(SIGPIPE, SIG_IGN);
        matcher_end_hello(&w.end, MATCHER_ENROLS | MATCHER_VERIFIES);
        (void)g_unix_fd_add(w.end.socket, G_IO_IN | G_IO_HUP | G_IO_ERR, hear, &w);
        (void)g_timeout_add(WORKER_ALIVE_MS, tick, &w);
        serve(&w);
        matcher_end_forget(&w.end);
        return EXIT_SUCCESS;
}
