/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's end of one line: starts the worker, tells it what it drives, listens to it, and replaces it
 * when it dies or hangs. What the messages mean is for locks.c. */
#pragma once

#include "lock/facts.h"
#include <systemd/sd-event.h>

typedef struct LineClient LineClient;

typedef struct LineClientHandlers {
        /* False: no honest worker says that; it is replaced. */
        bool (*message)(void *userdata, int line, const WireMessage *m);
        /* The worker is gone (or could not be started); everything it had said has been handed over before.
         */
        void (*gone)(void *userdata, int line, const char *sentence);
} LineClientHandlers;

int line_client_new(LineClient **ret, sd_event *event, const Cabinet *cabinet, const Facts *facts, int line,
                    const char *worker_directory, const LineClientHandlers *handlers, void *userdata);
void line_client_start(LineClient *c); /* from the event loop, soon */
bool line_client_is_running(const LineClient *c);
int line_client_send(LineClient *c, WireType type, void *message);
/* Whether somebody is at the cabinet; told to each new worker, too. */
void line_client_attend(LineClient *c, bool attended);
/* Asks the worker to switch off and leave. */
void line_client_stop(LineClient *c);
/* After stop: waits until the worker has left or boot time `until`. */
void line_client_join(LineClient *c, uint64_t until);
LineClient *line_client_free(LineClient *c);
DEFINE_CLEANUP(LineClient *, line_client_free);
