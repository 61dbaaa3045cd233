/* SPDX-License-Identifier: Apache-2.0 */
/* The socket transport: a Unix socket, and TCP on the loopback. Each connection's bytes go to a
 * LinkConnection. */
#pragma once

#include "link/connection.h"

/* A listening socket, or a negative errno. The path is taken over from whoever had it before. Who may connect
 * are the worker's own user and group. */
int link_socket_listen(const char *path);
int link_socket_listen_loopback(unsigned port);
int link_socket_accept(int fd); /* -EAGAIN: nobody */
/* As much as there is to read or write now. */
void link_socket_read(LinkConnection *c, uint64_t now);
void link_socket_write(LinkConnection *c, uint64_t now);
