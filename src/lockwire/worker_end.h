/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's end of the wire, whatever kind of line it drives. */
#pragma once

#include "lockwire/wire.h"
#include <poll.h>

typedef struct WorkerEnd {
        int socket;
        bool leaving; /* the daemon is gone or wants us gone */
        int passed; /* the descriptor that came with the message that is being taken, or -1; closed afterwards
                     * if it is still here */
} WorkerEnd;

/* Once, by main(): as every worker begins (base/worker.h), signals, timers that are exact. */
void worker_prepare(int argc, char *argv[]);
/* line: its name, for the log. */
void worker_end_send(WorkerEnd *e, const char *line, WireType type, void *message);
/* The first message. */
void worker_end_hello(WorkerEnd *e, const char *line);
/* Answers pings and hands the rest to `take`, which returns false when the message makes no sense. */
void worker_end_receive(WorkerEnd *e, const char *line, bool (*take)(void *userdata, const WireMessage *m),
                        void *userdata);

/* worker_clock.c, or a test: the clock, in boot µs, and waiting for descriptors until then (USEC_INFINITY:
 * for ever). */
uint64_t worker_now(void);
int worker_poll(struct pollfd *fds, unsigned n, uint64_t until);
