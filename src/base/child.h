/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a worker process: it gets the standard descriptors and its end of a SOCK_SEQPACKET pair, and
 * nothing else of ours. Who keeps it alive: base/supervisor.h. */
#pragma once

#include <sys/types.h>

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
