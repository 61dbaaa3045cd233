/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo terminals: the descriptor is the wire's end, the slave is the computer's serial port. */
#pragma once

#include <stdbool.h>

/* A raw pty whose slave is not open, set to `baud`. Returns the descriptor or -errno. */
int pty_open(unsigned baud, char **ret_path);
/* Whether some program has the slave open. */
bool pty_in_use(int fd);
/* The speed the program has set, 0 if unknown. */
unsigned pty_speed(int fd);
/* Discards unread bytes, as a closed serial port would. */
void pty_flush(const char *path);
/* Makes or replaces a symbolic link, but only one that points at a pty. 0 or -errno. */
int pty_link(const char *target, const char *link);
