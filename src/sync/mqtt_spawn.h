/* SPDX-License-Identifier: Apache-2.0 */
/* Starts lockerd-mqtt with nothing but its end of a socket pair and the standard descriptors. */
#pragma once

#include <sys/types.h>

/* On failure *ret_pid may still be set: then the process lives, and so may the descriptors. */
int mqtt_spawn(const char *program, pid_t *ret_pid, int *ret_pidfd, int *ret_socket);
