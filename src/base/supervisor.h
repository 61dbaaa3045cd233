/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps one worker process alive: starts it, pings it once a second, ends it when it hangs, and restarts
 * it, after a pause that grows while workers fail early. The messages on the socket are the owner's. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Supervisor Supervisor;

typedef struct SupervisorOptions {
        const char *program;             /* path, see child_start() */
        const char *argument;            /* shown by ps; NULL: none */
        const char *name;                /* begins sentences: "The worker of line left" */
        const char *const *fields;       /* of its log messages, see base/log.h; outlive the supervisor */
        unsigned unanswered;             /* unanswered pings until it counts as hanging */
        uint64_t first_pause, max_pause; /* µs before the next worker; doubled each time */
        int buffer;                      /* bytes, see child_start() */
} SupervisorOptions;

typedef struct SupervisorHandlers {
        /* A worker has been started: send its configuration. Negative errno: it is killed, and another one
         * is started later. */
        int (*started)(void *userdata);
        /* The socket is readable. False: the other end is closed or sent an invalid message; nothing more
         * is read, and the socket is shut down. */
        bool (*readable)(void *userdata);
        int (*ping)(void *userdata, uint64_t number);
        /* It has exited or could not be started; its messages have been read before. */
        void (*gone)(void *userdata, const char *sentence);
} SupervisorHandlers;

/* Does nothing before supervisor_start(). Copies the texts of the options. */
int supervisor_new(Supervisor **ret, sd_event *event, const SupervisorOptions *options,
                   const SupervisorHandlers *handlers, void *userdata);
void supervisor_start(Supervisor *s);       /* from the event loop, soon */
int supervisor_socket(const Supervisor *s); /* -1: no worker */
bool supervisor_is_running(const Supervisor *s);
void supervisor_heard(Supervisor *s); /* it has responded */
/* It has announced that it may not respond for this time; 0: normal again. */
void supervisor_be_patient(Supervisor *s, unsigned ms);
/* No more pings, no other worker. */
void supervisor_stop(Supervisor *s);
/* Shuts the socket down, which ends the worker. */
void supervisor_hang_up(Supervisor *s);
/* Waits until it has exited or until boot µs `until`; returns whether it has exited. What it still says is
 * not read. */
bool supervisor_join(Supervisor *s, uint64_t until);
/* One that is not ours to kill only loses its socket. */
void supervisor_kill(Supervisor *s);
/* A worker that still runs is not terminated. */
Supervisor *supervisor_free(Supervisor *s);
DEFINE_CLEANUP(Supervisor *, supervisor_free);
