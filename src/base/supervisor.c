/* SPDX-License-Identifier: Apache-2.0 */
#include "base/supervisor.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/message_ids.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define HEARTBEAT USEC_PER_SEC
#define ACCURACY  (10 * USEC_PER_MSEC)
#define STABLE    60 /* heartbeats after which a worker counts as good */
/* For workers that the service manager starts, and ends. */
#define STARTING 30 /* heartbeats until its first word: a machine that boots has much to do */
#define ENDING   60 /* heartbeats for the unit's watchdog */

struct Supervisor {
        sd_event *event;
        char *program, *argument, *name;
        const char *const *fields;
        unsigned allowed;
        uint64_t first_pause, max_pause;
        int buffer;
        const SupervisorHandlers *handlers;
        void *userdata;

        Child child;
        sd_event_source *on_socket, *on_exit, *timer;
        uint64_t beats;
        unsigned unanswered, patience; /* heartbeats */
        bool silent;                   /* it has not said anything so far */
        unsigned ending; /* heartbeats left until one that was told to end is given up; 0: was not */
        uint64_t pause;
};

static void stop_listening(Supervisor *s) {
        s->on_socket = sd_event_source_disable_unref(s->on_socket);
        s->on_exit = sd_event_source_disable_unref(s->on_exit);
}

static void forget(Supervisor *s) {
        stop_listening(s);
        child_forget(&s->child);
}

static void arm(Supervisor *s, uint64_t usec) {
        (void)sd_event_source_set_time_relative(s->timer, usec);
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static void replace_later(Supervisor *s, const char *sentence) {
        if (s->beats > STABLE)
                s->pause = 0;
        s->pause = s->pause ? MIN(2 * s->pause, s->max_pause) : s->first_pause;
        s->beats = 0;
        arm(s, s->pause);
        s->handlers->gone(s->userdata, sentence);
}

static void end_unit(Supervisor *s) {
        s->ending = ENDING;
        supervisor_hang_up(s);
}

static bool is_unit(const Supervisor *s) {
        return s->child.socket >= 0 && s->child.pid == 0;
}

/* Its end of the socket is closed when it has exited: the service manager keeps it until then. */
static bool has_closed(const Supervisor *s) {
        char byte;
        ssize_t n;

        do
                n = recv(s->child.socket, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC);
        while (n > 0 || (n < 0 && errno == EINTR));
        return n == 0 || errno != EAGAIN;
}

static void unit_has_ended(Supervisor *s) {
        char sentence[192];

        snprintf(sentence, sizeof(sentence), "%s ended", s->name);
        log_message(LOG_WARNING, LOCKERD_MESSAGE_WORKER_REPLACED, s->fields, "%s; it is replaced", sentence);
        forget(s);
        replace_later(s, sentence);
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Supervisor *s = userdata;

        if (!s->ending && s->handlers->readable(s->userdata)) {
                /* What it was asked while it started, it has yet to answer. */
                if (s->silent) {
                        s->silent = false;
                        s->unanswered = 0;
                }
                return 0;
        }
        if (is_unit(s)) {
                if (!s->ending)
                        end_unit(s);
                if (has_closed(s))
                        unit_has_ended(s);
                return 0;
        }
        /* A worker whose end is closed has exited or is about to; one that sends invalid messages must
         * exit. */
        (void)sd_event_source_set_enabled(s->on_socket, SD_EVENT_OFF);
        supervisor_hang_up(s);
        return 0;
}

static int on_exit_of_worker(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Supervisor *s = userdata;
        siginfo_t si = {0};
        char sentence[192];

        if (waitid(P_PIDFD, (id_t)s->child.pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
                return 0;
        snprintf(sentence, sizeof(sentence), "%s ended (%s %d)", s->name,
                 si.si_code == CLD_EXITED ? "status" : "signal", si.si_status);
        log_message(LOG_WARNING, LOCKERD_MESSAGE_WORKER_REPLACED, s->fields, "%s; it is replaced", sentence);
        forget(s);
        replace_later(s, sentence);
        return 0;
}

static int start(Supervisor *s) {
        int r = child_start(s->program, s->argument, s->buffer, &s->child);

        if (r < 0)
                return r;
        s->beats = s->unanswered = s->patience = s->ending = 0;
        s->silent = is_unit(s);
        if (s->child.pidfd >= 0)
                r = sd_event_add_io(s->event, &s->on_exit, s->child.pidfd, EPOLLIN, on_exit_of_worker, s);
        if (r >= 0 && s->on_exit)
                /* Messages that it sent before it exited are read first. */
                r = sd_event_source_set_priority(s->on_exit, SD_EVENT_PRIORITY_NORMAL + 1);
        if (r >= 0)
                r = sd_event_add_io(s->event, &s->on_socket, s->child.socket, EPOLLIN, on_socket, s);
        return r < 0 ? r : s->handlers->started(s->userdata);
}

/* It was told to end, and nobody ends it: another one is worth a try. */
static void wait_for_end(Supervisor *s) {
        if (--s->ending > 0) {
                arm(s, HEARTBEAT);
                return;
        }
        log_error("%s has not ended", s->name);
        unit_has_ended(s);
}

static void beat(Supervisor *s) {
        if (s->ending) {
                wait_for_end(s);
                return;
        }
        if (s->unanswered++ >= (s->silent ? STARTING : s->allowed + s->patience)) {
                log_message(LOG_ERR, LOCKERD_MESSAGE_WORKER_REPLACED, s->fields, "%s hangs; it is replaced",
                            s->name);
                s->unanswered = 0;
                if (is_unit(s)) {
                        end_unit(s);
                        arm(s, HEARTBEAT);
                        return;
                }
                (void)kill(s->child.pid, SIGKILL);
        }
        (void)s->handlers->ping(s->userdata, s->beats++);
        arm(s, HEARTBEAT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *s = userdata;
        char sentence[256];
        int r;

        if (s->child.socket >= 0) {
                beat(s);
                return 0;
        }
        r = start(s);
        if (r >= 0) {
                arm(s, HEARTBEAT);
                return 0;
        }
        snprintf(sentence, sizeof(sentence), "%s cannot be started: %s", s->name, strerror(-r));
        log_error("%s", sentence);
        supervisor_kill(s);
        replace_later(s, sentence);
        return 0;
}

int supervisor_new(Supervisor **ret, sd_event *event, const SupervisorOptions *options,
                   const SupervisorHandlers *handlers, void *userdata) {
        _cleanup_(supervisor_freep) Supervisor *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        *s = (Supervisor){
                .event = sd_event_ref(event),
                .program = strdup(options->program),
                .argument = options->argument ? strdup(options->argument) : NULL,
                .name = strdup(options->name),
                .fields = options->fields,
                .allowed = options->unanswered,
                .first_pause = options->first_pause,
                .max_pause = options->max_pause,
                .buffer = options->buffer,
                .handlers = handlers,
                .userdata = userdata,
                .child = CHILD_NONE,
        };
        if (!s->program || !s->name || (options->argument && !s->argument))
                return -ENOMEM;
        r = sd_event_add_time_relative(event, &s->timer, CLOCK_BOOTTIME, 0, ACCURACY, on_timer, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = steal_ptr(s);
        return 0;
}

void supervisor_start(Supervisor *s) {
        arm(s, 0);
}

int supervisor_socket(const Supervisor *s) {
        return s->child.socket;
}

bool supervisor_is_running(const Supervisor *s) {
        return s->child.socket >= 0;
}

void supervisor_heard(Supervisor *s) {
        s->unanswered = 0;
}

void supervisor_be_patient(Supervisor *s, unsigned ms) {
        s->patience = ms ? ms / 1000 + 1 : 0;
}

void supervisor_stop(Supervisor *s) {
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
}

void supervisor_hang_up(Supervisor *s) {
        /* Of a unit's worker the end is still to be heard. */
        if (s->child.socket >= 0)
                (void)shutdown(s->child.socket, is_unit(s) ? SHUT_WR : SHUT_RDWR);
}

/* Boot µs → ms for poll(). */
static int left(uint64_t until) {
        uint64_t now = clock_now().boot_usec;

        return until > now ? (int)((until - now) / USEC_PER_MSEC) : 0;
}

static bool join_unit(Supervisor *s, uint64_t until) {
        struct pollfd fd = {.fd = s->child.socket, .events = POLLIN};

        while (poll(&fd, 1, left(until)) > 0)
                if (has_closed(s)) {
                        forget(s);
                        return true;
                }
        return false;
}

bool supervisor_join(Supervisor *s, uint64_t until) {
        struct pollfd fd = {.fd = s->child.pidfd, .events = POLLIN};

        if (is_unit(s))
                return join_unit(s, until);
        if (s->child.pidfd < 0)
                return true;
        if (poll(&fd, 1, left(until)) <= 0)
                return false;
        (void)waitid(P_PIDFD, (id_t)s->child.pidfd, &(siginfo_t){0}, WEXITED | WNOHANG);
        forget(s);
        return true;
}

void supervisor_kill(Supervisor *s) {
        stop_listening(s);
        child_kill(&s->child);
}

Supervisor *supervisor_free(Supervisor *s) {
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->timer);
        forget(s);
        sd_event_unref(s->event);
        free(s->program);
        free(s->argument);
        free(s->name);
        free(s);
        return NULL;
}
