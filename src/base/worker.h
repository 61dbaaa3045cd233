/* SPDX-License-Identifier: Apache-2.0 */
/* How every worker process begins, whoever has started it: the daemon (its end of a socket pair is descriptor
 * 3), or the service manager for a connection of the daemon (likewise, and the unit says --daemon=USER). */
#pragma once

#include <stdbool.h>

#define WORKER_FD 3 /* the socket to the daemon */

/* Opens the log, checks who is at the other end, closes all other descriptors, forgets the environment, makes
 * the process unreadable for others of its user, and the first that the kernel ends when memory is short.
 * Ends the process when it was not started as a worker. */
void worker_begin(int argc, char *argv[]);
/* Its loop turns: told to the service manager, at most once in WORKER_ALIVE_MS, whose watchdog (WatchdogSec=)
 * ends a worker that hangs. The daemon cannot: it is another user. */
#define WORKER_ALIVE_MS 1000 /* wait no longer at a time */
void worker_is_alive(void);
