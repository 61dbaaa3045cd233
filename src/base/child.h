/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a process. It inherits the standard descriptors and one more; for a worker that is its end of a
 * SOCK_SEQPACKET pair. base/supervisor.h restarts workers. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Runs program with argv (argv[0] included, NULL at the end). fd, which stays open in the caller, becomes
 * its descriptor fd_there; all other descriptors above 2 are closed in it. Signals are unblocked and
 * default; idle: it runs only when nothing else wants to (SCHED_IDLE). 0 or negative errno, and *ret
 * untouched. */
int child_spawn(const char *program, const char *const argv[], int fd, int fd_there, bool idle, pid_t *ret);

#define CHILD_FD 3 /* a worker's end of its socket */

typedef struct Child {
        pid_t pid; /* 0: none */
        int pidfd, socket;
} Child;

#define CHILD_NONE ((Child){.pidfd = -1, .socket = -1})

/* argument: shown by ps, NULL for none. buffer: bytes that may wait in either direction, as far as the
 * kernel allows; 0: its default. Signals are unblocked and default in the worker. Both ends block: use
 * MSG_DONTWAIT where waiting is not allowed. 0 or negative errno, and *ret untouched. */
int child_start(const char *program, const char *argument, int buffer, Child *ret);
/* Closes the socket and the pidfd. The caller must still reap the process. */
void child_forget(Child *c);
/* Kills and reaps it, and closes its descriptors. Does not wait long: no worker sleeps uninterruptibly. */
void child_kill(Child *c);
