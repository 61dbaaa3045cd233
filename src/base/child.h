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
        pid_t pid;  /* 0: none, or not ours */
        int pidfd;  /* -1: likewise */
        int socket; /* -1: none */
} Child;

#define CHILD_NONE ((Child){.pidfd = -1, .socket = -1})

/* Where a worker comes from is decided by what is there: `path` is a program, which is started as this user,
 * or the socket of a unit (systemd/), for whose connections the service manager starts one as a user of its
 * own. It then does not end when it is told to but when it likes, or by the unit's watchdog. argument: shown
 * by ps, NULL for none; a program's only. It gets a clean environment. buffer: bytes that may wait in either
 * direction, as far as the kernel allows; 0: its default. Signals are unblocked and default in the worker.
 * Both ends block: use MSG_DONTWAIT where waiting is not allowed. 0 or negative errno, and *ret untouched. */
int child_start(const char *path, const char *argument, int buffer, Child *ret);
/* Closes the socket and the pidfd. The caller must still reap the process. */
void child_forget(Child *c);
/* Kills and reaps it if it is ours, and closes its descriptors. Does not wait long: no worker sleeps
 * uninterruptibly. */
void child_kill(Child *c);
