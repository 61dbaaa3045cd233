/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a worker process: it gets the standard descriptors and its end of a socket pair, and nothing else
 * of ours. */
#pragma once

#include <sys/types.h>

#define SPAWN_FD 3 /* where a worker finds its end */

/* argument: shown by ps, NULL for none. Signals are unblocked and default in the worker. 0 or negative errno.
 */
int spawn_worker(const char *program, const char *argument, int fd, pid_t *ret);
