/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps one worker process alive: starts it, pings it once a second, kills it when it hangs, and starts
 * another one, after a pause that grows while workers do not last. What is said over the socket is for the
 * owner. */
#pragma once

#include "base/macros.h"
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Supervisor Supervisor;

typedef struct SupervisorOptions {
        const char *program;             /* path */
        const char *argument;            /* shown by ps; NULL: none */
        const char *name;                /* begins sentences: "The worker of line left" */
        const char *const *fields;       /* of its log messages, see base/log.h; outlive the supervisor */
        unsigned unanswered;             /* pings, then it hangs */
        uint64_t first_pause, max_pause; /* µs before the next worker; doubled each time */
        int buffer;                      /* bytes, see child_start() */
} SupervisorOptions;

typedef struct SupervisorHandlers {
        /* A worker has been started: tell it what it needs. Negative errno: it is killed, and another one
         * tried later. */
        int (*started)(void *userdata);
        /* Something can be read. False: the other end is closed or talks nonsense; it is not listened to any
         * more and told so by end of file. */
        bool (*readable)(void *userdata);
        int (*ping)(void *userdata, uint64_t number);
        /* It is gone or could not be started; what it had said has been read before. */
        void (*gone)(void *userdata, const char *sentence);
} SupervisorHandlers;

/* Does nothing before supervisor_start(). Copies the texts of the options. */
int supervisor_new(Supervisor **ret, sd_event *event, const SupervisorOptions *options,
                   const SupervisorHandlers *handlers, void *userdata);
void supervisor_start(Supervisor *s);       /* from the event loop, soon */
int supervisor_socket(const Supervisor *s); /* -1: no worker */
bool supervisor_is_running(const Supervisor *s);
void supervisor_heard(Supervisor *s); /* it has answered */
/* It has said that it may be too busy to answer for so long; 0: no longer. */
void supervisor_be_patient(Supervisor *s, unsigned ms);
/* No more pings, no other worker. */
void supervisor_stop(Supervisor *s);
/* Tells the worker by end of file. */
void supervisor_hang_up(Supervisor *s);
/* Waits until it has left or boot µs `until`: has it left? */
bool supervisor_join(Supervisor *s, uint64_t until);
void supervisor_kill(Supervisor *s);
/* A worker that still runs is left to itself. */
Supervisor *supervisor_free(Supervisor *s);
DEFINE_CLEANUP(Supervisor *, supervisor_free);
