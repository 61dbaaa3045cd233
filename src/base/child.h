/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a process: it gets the standard descriptors and one more, and nothing else of ours. A worker's is
 * its end of a SOCK_SEQPACKET pair. Who keeps a worker alive: base/supervisor.h. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Runs program with argv (argv[0] included, NULL at the end). It finds fd, which stays open here, as number
 * fd_there; descriptors above 2 and fd_there are closed. Signals are unblocked and default; idle: it runs
 * only when nothing else wants to (SCHED_IDLE). 0 or negative errno, and *ret untouched. */
int child_spawn(const char *program, const char *const argv[], int fd, int fd_there, bool idle, pid_t *ret);

#define CHILD_FD 3 /* where a worker finds its end */

typedef struct Child {
        pid_t pid; /* 0: none */
        int pidfd, socket;
} Child;

#define CHILD_NONE ((Child){.pidfd = -1, .socket = -1})

/* argument: shown by ps, NULL for none. buffer: bytes that may wait in either direction, as far as the kernel
 * allows; 0: its default. Signals are unblocked and default in the worker. Both ends block: who must not wait
 * says MSG_DONTWAIT. 0 or negative errno, and *ret untouched. */
int child_start(const char *program, const char *argument, int buffer, Child *ret);
/* Closes our ends. The process is for whoever waits for it. */
void child_forget(Child *c);
/* Kills it, waits for it (it is gone at once: nothing of ours sleeps uninterruptibly) and forgets it. */
void child_kill(Child *c);
