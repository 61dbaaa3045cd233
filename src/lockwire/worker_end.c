/* SPDX-License-Identifier: Apache-2.0 */
#include "lockwire/worker_end.h"
#include "base/log.h"
#include "base/worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

void worker_prepare(int argc, char *argv[]) {
        worker_begin(argc, argv);
        /* The end comes as end of file, after which there is still something to switch off: a stopping
         * service manager's signal to the whole group must not prevent that. */
        (void)signal(SIGTERM, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

void worker_end_send(WorkerEnd *e, const char *line, WireType type, void *message) {
        int r = wire_send(e->socket, type, message);

        if (r >= 0 || e->leaving)
                return;
        /* A daemon that has not read hundreds of messages is as good as dead; somebody must switch off. */
        if (r != -EPIPE)
                log_error_errno(r, "Line %s: cannot tell the daemon", line);
        e->leaving = true;
}

void worker_end_hello(WorkerEnd *e, const char *line) {
        WireId hello = {0};

        worker_end_send(e, line, WIRE_HELLO, &hello);
}

static bool answer_ping(WorkerEnd *e, const char *line, const WireMessage *m) {
        WireId pong = {.id = m->id.id};

        if (m->header.type != WIRE_PING)
                return false;
        worker_end_send(e, line, WIRE_PONG, &pong);
        return true;
}

void worker_end_receive(WorkerEnd *e, const char *line, bool (*take)(void *userdata, const WireMessage *m),
                        void *userdata) {
        WireMessage m;
        int r;

        while (!e->leaving && (r = wire_receive_passed(e->socket, &m, &e->passed)) != 0) {
                bool taken = r > 0 && (answer_ping(e, line, &m) || take(userdata, &m));
                if (r > 0 && e->passed >= 0)
                        close(steal_fd(&e->passed));
                if (taken)
                        continue;
                if (r != -EPIPE)
                        log_error_errno(r < 0 ? r : -EPROTO, "Line %s: message not understood", line);
                e->leaving = true;
        }
}
